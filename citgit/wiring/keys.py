"""Keys: who signs, made where there is none yet, named by the policy."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from citgit.errors import NotFound
from citgit.interfaces import Signer
from citgit.keys.age import age_file, ensure_identity
from citgit.keys.files import FileSigner, secret_signer
from citgit.keys.generate import generate
from citgit.keys.program import signer_for
from citgit.keys.public import fingerprint, parse_public_key, read_public_key
from citgit.model.names import name
from citgit.model.team import Team
from citgit.rules.authority import actor_of
from citgit.rules.private import can_decrypt

__all__ = [
    "age_key", "ensure_key", "fingerprint", "generate", "named_actor", "parse_public_key", "read_public_key",
    "secret_signer", "signer_for",
]  # fmt: skip


def ensure_key(path: Path, comment: str) -> tuple[str, bool]:
    """The public key of `path`, and whether it was made just now. Raises UsageError, NotFound, BadSignature.

    `path` is a private key, or the .pub file of one that an agent holds.
    """
    if path.exists() or path.with_name(path.name + ".pub").exists():
        return signer_for(path).public_key, False
    if path.suffix == ".pub":
        raise NotFound(f"no public key at {str(path)!r}", hint="name the file that 'ssh-add -L' printed the key of")
    return generate(path, comment), True


def age_key(path: Path) -> str:
    """The age key ("age1…") that opens private builds for the signing key `path`; "" if that key can do it itself.

    It is made beside the key where it is needed and age is installed.
    """
    signer = signer_for(path)
    if isinstance(signer, FileSigner) and can_decrypt(signer.public_key):
        return ""
    identity = age_file(path)
    return ensure_identity(identity) if identity.exists() or find_spec("pyrage") else ""


def named_actor(team: Team, signer: Signer, wanted: str = "", age: str = "") -> str:
    """The actor that the key belongs to under a team. Raises NotFound with what to add to team.toml."""
    found = actor_of(team, signer.public_key)
    if found and (not wanted or found == wanted):
        return found
    name("agent", wanted.partition(":")[2] or "agent")
    raise NotFound(
        f"the key of {wanted or 'this machine'} is not in the policy",
        hint=f"add to team.toml on the protected branch, then run 'cit policy publish':\n\n"
        f'[agent.{wanted.partition(":")[2] or "NAME"}]\nkey = "{signer.public_key}"\npools = ["default"]\n'
        + (f'age = "{age}"\n' if age else ""),
    )
