"""Attempt keys: each signs the records of one attempt, with a certificate by which plain git takes it for the agent."""

from __future__ import annotations

import base64
import hashlib
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from citgit.errors import BadSignature, CitError
from citgit.keys.files import FileSigner
from citgit.keys.generate import generate
from citgit.keys.public import parse_public_key
from citgit.keys.ssh_signature import armor, unarmor

_KEPT_S = 30 * 86400
_PATIENCE_S = 120


class CertifiedSigner:
    """The private key at `path`, whose signatures carry the certificate beside it."""

    def __init__(self, path: Path) -> None:
        self._plain = FileSigner(path)
        text = path.with_name(f"{path.name}-cert.pub").read_text("ascii").split()
        self._certificate = base64.b64decode(text[1])

    @property
    def public_key(self) -> str:
        """The key itself, as a claim names it."""
        return self._plain.public_key

    def sign(self, payload: bytes) -> str:
        """The armored signature over `payload`."""
        made = unarmor(self._plain.sign(payload))
        return armor(self._certificate, made.algorithm, made.blob, made.hash)


class CertifiedKeys:
    """The keys of one agent's attempts, in `folder`; `authority` is the agent's own key, `name` whose it is.

    A key that is lost is missed by nobody: the agent's own signs for it.
    """

    def __init__(self, folder: Path, authority: Path, name: str) -> None:
        self._folder, self._authority, self._name = folder, authority, name

    def make(self) -> str:
        """A new key, certified; its public half. Raises BadSignature."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget()
        scratch = self._folder / f".{secrets.token_hex(8)}"
        public = generate(scratch / "key", self._name)
        by_agent = ["-U"] if self._authority.suffix == ".pub" else []
        argv = ["ssh-keygen", "-q", *by_agent, "-s", str(self._authority), "-I", self._name, "-n", self._name]
        try:
            done = subprocess.run(
                [*argv, str(scratch / "key.pub")], capture_output=True, timeout=_PATIENCE_S, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            said = done.stderr.decode(errors="replace").strip() if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as fault:
            said = str(fault)
        if said:
            shutil.rmtree(scratch, ignore_errors=True)
            raise BadSignature(f"cannot certify a key with {str(self._authority)!r}: {said[-300:]}")
        scratch.rename(self._place(public))
        return public

    def signer(self, public_key: str) -> CertifiedSigner | None:
        """Who signs with that key; None if it is not here."""
        try:
            return CertifiedSigner(self._place(public_key) / "key")
        except (CitError, OSError, ValueError, IndexError):
            return None

    def _place(self, public_key: str) -> Path:
        return self._folder / hashlib.sha256(parse_public_key(public_key)[1]).hexdigest()[:32]

    def _forget(self) -> None:
        for one in self._folder.iterdir():
            if one.stat().st_mtime < time.time() - _KEPT_S:
                shutil.rmtree(one, ignore_errors=True)
