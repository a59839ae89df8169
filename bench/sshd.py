"""An sshd on loopback for whoever measures, with a key of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path

_CONFIG = """\
ListenAddress {listen}:{port}
HostKey {folder}/hostkey
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
MaxStartups 200:30:300
AuthorizedKeysFile {folder}/keys
AcceptEnv GIT_PROTOCOL
Subsystem sftp internal-sftp
"""


@contextmanager
def sshd(
    bound: str = "", *envs: MutableMapping[str, str], listen: str = "127.0.0.1"
) -> Iterator[tuple[Path, str, int]]:
    """The server's folder, USER@HOST and its port. Everybody's git and ssh know meanwhile how to log in.

    `bound` is what stands before the key, in it FOLDER for the folder; `envs` are environments beside this process's.
    """
    with tempfile.TemporaryDirectory(prefix="cit-sshd-") as name:
        folder = Path(name)
        for key in ("hostkey", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
        (folder / "keys").write_text(bound.replace("FOLDER", name) + (folder / "key.pub").read_text())
        with socket.socket() as free:
            free.bind((listen, 0))
            port = free.getsockname()[1]
        (folder / "config").write_text(_CONFIG.format(listen=listen, port=port, folder=folder))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "/usr/sbin/sshd"
        with _client(folder, (os.environ, *envs)):
            server = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
            try:
                _await(port)
                yield folder, f"{getpass.getuser()}@127.0.0.1", port
            finally:
                server.terminate()
                server.wait()


@contextmanager
def _client(folder: Path, envs: tuple[MutableMapping[str, str], ...]) -> Iterator[None]:
    """An `ssh` on PATH that logs in there: a user's configuration, which sharing connections is to respect."""
    (folder / "bin").mkdir()
    (folder / "bin" / "ssh").write_text(
        f"#!/bin/sh\nexec {shutil.which('ssh')} -F /dev/null -i {folder}/key -o IdentitiesOnly=yes -o LogLevel=ERROR "
        f'-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "$@"\n'
    )
    (folder / "bin" / "ssh").chmod(0o755)
    before = [(env, env["PATH"], env.pop("GIT_SSH_COMMAND", None)) for env in envs]
    for env in envs:
        env["PATH"] = f"{folder}/bin{os.pathsep}{env['PATH']}"
    try:
        yield
    finally:
        for env, path, command in before:
            env["PATH"] = path
            if command is not None:
                env["GIT_SSH_COMMAND"] = command


def _await(port: int) -> None:
    for _ in range(500):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("sshd did not start")
