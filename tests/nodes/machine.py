"""A machine that is booted by systemd: this one's files below a layer of its own, in a container with a real sshd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services import Sshd, need
from world import until

_SSHD = """\
[Unit]
After=systemd-logind.service systemd-user-sessions.service
[Service]
RuntimeDirectory=sshd
ExecStart=/usr/sbin/sshd -D -f /etc/citgit-test/sshd_config
"""
_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey /etc/citgit-test/hostkey
PidFile none
UsePAM yes
PasswordAuthentication no
PermitRootLogin yes
StrictModes no
AuthorizedKeysFile /etc/citgit-test/key
MaxStartups 100:30:200
"""


@dataclass
class Machine:
    """The machine: `port` of its sshd, on loopback; `root` its file system as seen from here."""

    sshd: Sshd
    root: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Starts it, until one can log in."""
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--directory", str(self.root), "--boot", "--register=no", "--keep-unit",
             "--machine=citgit-test", "--console=read-only", "--settings=no"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until("the machine to boot", self.answers, 90)

    def restart(self) -> None:
        """As `systemctl reboot` does: everything ends, what is on the disk stays."""
        assert self.process
        self.on("root", "systemctl", "reboot", status=None)
        self.process.wait(90)
        self.boot()

    def answers(self) -> bool:
        """Whether one can log in."""
        return self.on("root", "true", status=None) is not None

    def on(self, user: str, *argv: str, status: int | None = 0) -> str | None:
        """What a command there prints; None if it failed, or nobody answered."""
        line = [*self.sshd.command.split(), "-o", "ConnectTimeout=5", "-p", str(self.port), f"{user}@127.0.0.1", *argv]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert status is None or done.returncode == status, (argv, done.stdout, done.stderr)
        return done.stdout if done.returncode == 0 else None

    def end(self) -> None:
        """Turns it off."""
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def machine(sshd: Sshd) -> Iterator[Machine]:
    """A machine that has this one's accounts, and lets the sshd's key log in as any of them."""
    if os.geteuid() != 0 or not shutil.which("systemd-nspawn"):
        need("root and systemd-nspawn (a machine booted by systemd)")
    if not list(Path("/lib").glob("*/security/pam_systemd.so")) or not shutil.which("dbus-daemon"):
        need("pam_systemd and dbus-daemon (a manager for each user)")
    layer = Path(tempfile.mkdtemp(prefix="citgit-machine-", dir="/var/tmp"))
    root = layer / "root"
    for part in ("upper", "work", "root"):
        (layer / part).mkdir()
    mount = f"lowerdir=/,upperdir={layer / 'upper'},workdir={layer / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", mount, str(root)], check=True)
    made = Machine(sshd, root, _free_port())
    try:
        _prepare(made)
        made.boot()
        yield made
    finally:
        made.end()
        subprocess.run(["umount", "--lazy", str(root)], check=True)
        shutil.rmtree(layer, ignore_errors=True)


def _prepare(made: Machine) -> None:
    etc = made.root / "etc"
    (etc / "machine-id").unlink(missing_ok=True)
    units = etc / "systemd" / "system"
    for wants in units.glob("*.wants"):
        shutil.rmtree(wants)  # nothing but what a machine needs, and what is installed on it later
    wanted = units / "multi-user.target.wants"
    wanted.mkdir()
    (wanted / "citgit-test-sshd.service").symlink_to("/etc/systemd/system/citgit-test-sshd.service")
    (units / "citgit-test-sshd.service").write_text(_SSHD)
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    ours = etc / "citgit-test"
    ours.mkdir()
    (ours / "sshd_config").write_text(_CONFIG.format(port=made.port))
    shutil.copyfile(f"{made.sshd.key}.pub", ours / "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ours / "hostkey")], check=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
