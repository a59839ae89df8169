"""A state behind sshd on loopback, its worker and requester both remote: through `cit-serve`, and through git alone."""

from __future__ import annotations

import dataclasses
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.stage import Stage, median, percentile, stage
from citgit.wiring.clone import client_state

COUNT = {"channel": 200, "git": 30}
ASKED = {"channel": 40, "git": 8}

_CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/hostkey
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
AuthorizedKeysFile {folder}/keys
AcceptEnv GIT_PROTOCOL
Subsystem sftp internal-sftp
"""


def measure() -> dict[str, float]:
    """Milliseconds from request to start, and builds per second with two slots."""
    found: dict[str, float] = {}
    for way in ("channel", "git"):
        with stage() as place, host(place, channel=way == "channel") as url, worker_at(place, url) as worker:
            requester = place.requester()
            state = requester.clone.state
            kept = client_state(requester.clone.git_dir, url, state.refs, pinned=state.pinned, kept=True)
            requester.clone = dataclasses.replace(requester.clone, state=kept)
            pipe = os.open(place.top / "told", os.O_RDWR)
            waited = []
            for _ in range(ASKED[way]):
                began = time.monotonic()
                requester.ask("tell")
                os.read(pipe, 1)
                waited.append((time.monotonic() - began) * 1000)
                worker.await_events("result", 1)
                time.sleep(0.03)
            os.close(pipe)
            worker.pause()
            requester.ask("noop", COUNT[way])
            began = time.monotonic()
            worker.go()
            worker.await_events("result", COUNT[way])
            took = time.monotonic() - began
            found |= {
                f"{way}: request to start p50 ms": median(waited[2:]),
                f"{way}: request to start p95 ms": percentile(waited[2:], 0.95),
                f"{way}: builds/s": COUNT[way] / took,
            }
    return found


@contextmanager
def worker_at(place: Stage, url: str) -> Iterator[object]:
    """A worker with two slots; the address counts for everybody else too."""
    place.run("git", "config", "citgit.state", url)
    with place.worker("--slots", "2", "--no-doors", url=url) as worker:
        yield worker


@contextmanager
def host(place: Stage, *, channel: bool) -> Iterator[str]:
    """An sshd for this user alone; the address of the state behind it. Everybody's git and ssh know how to log in."""
    serve = Path(sys.executable).parent / "cit-serve"
    bound = f'restrict,command="{serve} --repo {place.state}" ' if channel else ""
    with sshd(place, bound) as (_, account, port):
        yield f"ssh://{account.replace('127.0.0.1', f'127.0.0.1:{port}')}{place.state}"


@contextmanager
def sshd(place: Stage, bound: str) -> Iterator[tuple[Path, str, int]]:
    """An sshd for this user alone, whose key is `bound` to something: its folder, USER@HOST and the port."""
    with tempfile.TemporaryDirectory(prefix="cit-sshd-") as name:
        folder = Path(name)
        for key in ("hostkey", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
        (folder / "keys").write_text(bound + (folder / "key.pub").read_text())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "config").write_text(_CONFIG.format(port=port, folder=folder))
        _ssh_of(place, folder)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "/usr/sbin/sshd"
        server = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
        try:
            _await(port)
            yield folder, f"{getpass.getuser()}@127.0.0.1", port
        finally:
            server.terminate()
            server.wait()


def _ssh_of(place: Stage, folder: Path) -> None:
    """An `ssh` on PATH that logs in there: a user's configuration, which sharing connections is to respect."""
    (folder / "bin").mkdir()
    (folder / "bin" / "ssh").write_text(
        f"#!/bin/sh\nexec {shutil.which('ssh')} -F /dev/null -i {folder}/key -o IdentitiesOnly=yes -o LogLevel=ERROR "
        f'-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={folder}/known "$@"\n'
    )
    (folder / "bin" / "ssh").chmod(0o755)
    for env in (place.env, os.environ):
        env["PATH"] = f"{folder}/bin{os.pathsep}{env['PATH']}"
    if "GIT_SSH_COMMAND" in os.environ:
        del os.environ["GIT_SSH_COMMAND"]


def _await(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("sshd did not start")
