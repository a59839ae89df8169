"""Signs with ssh-keygen: for keys that are in an agent or on a FIDO token, or need a passphrase."""

from __future__ import annotations

import subprocess
from pathlib import Path

from citgit.errors import BadSignature
from citgit.keys.files import FileSigner, NeedsProgram
from citgit.keys.public import read_public_key
from citgit.keys.ssh_signature import unarmor

# A person may have to type a passphrase or touch a token.
_PATIENCE = 120.0


class SshKeygenSigner:
    """The key that `path` names: a private key, or the .pub file of one that an agent holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        public = path if path.suffix == ".pub" else path.with_name(path.name + ".pub")
        self._key = read_public_key(public)

    @property
    def public_key(self) -> str:
        """ "type base64", without a comment."""
        return self._key

    def sign(self, payload: bytes) -> str:
        """The armored signature over `payload`. Raises BadSignature with ssh-keygen's words."""
        argv = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(self._path)]
        hint = f"load the key into your agent: ssh-add {str(self._path).removesuffix('.pub')}"
        try:
            done = subprocess.run(argv, input=payload, capture_output=True, timeout=_PATIENCE, check=False)
        except FileNotFoundError as error:
            raise BadSignature("cannot start 'ssh-keygen'", hint="install the OpenSSH client") from error
        except subprocess.TimeoutExpired as error:
            raise BadSignature(f"signing with {str(self._path)!r} took more than {_PATIENCE:g} s", hint=hint) from error
        signature = done.stdout.decode("ascii", "replace")
        if done.returncode or not signature:
            said = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")
            raise BadSignature(f"cannot sign with {str(self._path)!r}: {said[-500:]}", hint=hint)
        unarmor(signature)
        return signature


def signer_for(path: Path) -> FileSigner | SshKeygenSigner:
    """The signer for a key: in-process where the file allows it, else ssh-keygen. Raises BadSignature, NotFound."""
    if path.suffix == ".pub" or not path.exists():
        return SshKeygenSigner(path)
    try:
        return FileSigner(path)
    except NeedsProgram:
        return SshKeygenSigner(path)
