"""Real services for tests: an sshd with real users. They need root; without it their tests are skipped by name."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
USERS = ("citgit-anna", "citgit-ben")

_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/hostkey
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
StrictModes no
AuthorizedKeysFile {folder}/keys/%u .ssh/authorized_keys
PrintMotd no
MaxStartups 100:30:200
MaxSessions 100
AcceptEnv GIT_PROTOCOL
Subsystem sftp internal-sftp
"""


class Sshd:
    """A private sshd on loopback; each of its users may log in with `key`."""

    def __init__(self, folder: Path, users: tuple[str, ...] = USERS) -> None:
        self._folder = folder
        self.users = users
        self.key = folder / "user_key"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Makes the users and starts the server."""
        (self._folder / "keys").mkdir(mode=0o755)
        self._folder.chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)
        for key in (self._folder / "hostkey", self.key):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        for user in self.users:
            home = account(user)
            shutil.copyfile(f"{self.key}.pub", self._folder / "keys" / user)
            # who may read what is left to file permissions: git's own rule about owners would hide them
            (home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        config = self._folder / "sshd_config"
        config.write_text(_CONFIG.format(port=self.port, folder=self._folder))
        self.listen()

    def listen(self) -> None:
        """Starts the server, again if it was ended."""
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        config = self._folder / "sshd_config"
        self._process = subprocess.Popen([str(program), "-D", "-f", str(config), "-E", str(self._folder / "log")])
        self._await()

    def die(self) -> None:
        """Ends the server and all that it serves, as if the machine had gone."""
        if self._process:
            server = psutil.Process(self._process.pid)
            for one in [server, *server.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            self._process.wait()

    def _await(self) -> None:
        for _ in range(250):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("sshd did not start: " + (self._folder / "log").read_text())

    def stop(self) -> None:
        """Ends the server; the users stay for the next time."""
        if self._process:
            self._process.terminate()
            self._process.wait()

    @property
    def command(self) -> str:
        """The ssh command line that logs in here without asking anything."""
        return (
            f"ssh -F /dev/null -i {self.key} -o BatchMode=yes -o IdentitiesOnly=yes"
            f" -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={self._folder}/known_hosts -o LogLevel=ERROR"
        )

    def bind(self, command: str, user: str = "") -> str:
        """Makes a key that may log in as a user, by default the first, to run `command` alone; the ssh for it."""
        name = f"bound{len(list(self._folder.glob('bound*.pub')))}"
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name))
        return self.allow(self._folder / name, command, user)

    def allow(self, key: Path, command: str, user: str = "") -> str:
        """Lets a key log in as a user, by default the first, to run `command` alone; the ssh command line for it."""
        public = key.with_name(f"{key.name}.pub").read_text().strip()
        with open(self._folder / "keys" / (user or self.users[0]), "a") as file:
            file.write(f'restrict,command="{command}" {public}\n')
        return self.command.replace(str(self.key), str(key))

    def only(self, user: str, public: str) -> None:
        """Lets nobody but `public` log in as `user`."""
        (self._folder / "keys" / user).write_text(public)

    def python(self) -> Path:
        """A Python with this checkout's citgit that the users may run."""
        folder = self._folder / "programs"
        if not folder.exists():
            folder.mkdir()
            programs_for_all(folder)
        return folder / "bin" / "python"

    def log(self) -> str:
        """What the server has logged."""
        return (self._folder / "log").read_text()

    def program_folder(self) -> Path:
        """A folder for PATH: its `ssh` is the real one with a user configuration that logs in here."""
        folder = self._folder / "bin"
        if not folder.exists():
            folder.mkdir()
            real = shutil.which("ssh")
            options = self.command.removeprefix("ssh -F /dev/null")
            (folder / "ssh").write_text(f'#!/bin/sh\nexec {real} -F /dev/null {options} "$@"\n')
            (folder / "ssh").chmod(0o755)
        return folder

    def give(self, path: Path, user: str) -> None:
        """Makes `user` the owner of everything below `path`."""
        _run("chown", "-R", f"{user}:", "--", str(path))

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder that other users can reach, unlike pytest's own."""
        with tempfile.TemporaryDirectory(prefix="citgit-test-", ignore_cleanup_errors=True) as name:
            os.chmod(name, 0o755)
            yield Path(name)


def account(name: str) -> Path:
    """Makes a user of this machine if there is none of that name; their home. They stay for the next time."""
    with open("/tmp/citgit-accounts.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return Path(pwd.getpwnam(name).pw_dir)
        except KeyError:
            _run("useradd", "--create-home", "--shell", "/bin/sh", name)
            _run("usermod", "-p", "*", name)  # no password, and yet not locked
            return Path(pwd.getpwnam(name).pw_dir)


@contextmanager
def held(*names: str) -> Iterator[None]:
    """Meanwhile no other test on this machine has these users, who are ended or made anew, or whose homes change."""
    with contextlib.ExitStack() as stack:
        for name in sorted(names):
            lock = stack.enter_context(open(f"/tmp/citgit-{name}.lock", "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def programs_for_all(folder: Path) -> Path:
    """A folder with citgit's programs as any user of this machine can start them: from this checkout, in its venv."""
    python = next((one for one in (os.path.realpath(sys.executable), "/usr/bin/python3") if _for_all(Path(one))), "")
    packages = sysconfig.get_path("purelib")
    if not python or not _for_all(ROOT / "citgit") or not _for_all(Path(packages)):
        need("a checkout and a python that every user can read")
    made = folder / "bin"
    made.mkdir()
    verbs = {"cit": "cit", "cit-enqueue": "enqueue", "cit-verify-push": "verify_push", "cit-serve": "serve"}
    programs = {name: f"-m citgit.programs.{module}" for name, module in verbs.items()} | {"python": ""}
    for name, arguments in programs.items():
        text = f'#!/bin/sh\nPYTHONPATH={ROOT}:{packages} exec {python} -P {arguments} "$@"\n'
        (made / name).write_text(text)
        (made / name).chmod(0o755)
    return made


def _for_all(path: Path) -> bool:
    return path.exists() and all(part.stat().st_mode & 0o005 == 0o005 for part in (path, *path.parents))


def need(missing: str) -> None:
    """Skips the test because `missing` is missing; in CI that is a failure."""
    if missing and os.environ.get("CI"):
        pytest.fail(f"CI must have {missing}")
    if missing:
        pytest.skip(f"needs {missing}")


@contextmanager
def real_sshd(*users: str) -> Iterator[Sshd]:
    """An sshd for these users while it is needed."""
    if os.geteuid() != 0:
        need("root (real users for a real sshd)")
    if not shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or not shutil.which("useradd"):
        need("sshd and useradd")
    with tempfile.TemporaryDirectory(prefix="citgit-sshd-") as name:
        server = Sshd(Path(name), users)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def sshd_server() -> Iterator[Sshd]:
    """One sshd for all tests."""
    with real_sshd(*USERS) as server:
        yield server


@pytest.fixture
def sshd(sshd_server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    """The sshd, and git told how to log in there."""
    monkeypatch.setenv("GIT_SSH_COMMAND", sshd_server.command)
    return sshd_server
