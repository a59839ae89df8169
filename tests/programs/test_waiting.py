"""What a person at a terminal sees of work that takes long, and that programs and files see nothing of it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from programs.site import Site, make_site

from citgit.programs.waiting import waiting

CIT = '[job.check]\ncommand = ["true"]\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A checkout with three builds."""
    made = make_site(tmp_path, monkeypatch, None, CIT)
    for _ in range(3):
        made.cit("run", "check", "--pool", "default", "--no-follow")
    return made


def at_terminal(argv: list[str], top: Path, **env: str) -> tuple[str, str]:
    """Runs a program whose stderr is a terminal, and its stdin; (stdout, what the terminal got)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv, cwd=top, env={**os.environ, "TERM": "xterm", **env}, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    screen = to_the_end(ours)
    out, _ = process.communicate(timeout=60)
    return out.decode(), screen


def to_the_end(ours: int) -> str:
    """What a terminal got until nobody has it any more."""
    screen = b""
    with contextlib.suppress(OSError):  # that is how the end is told
        while more := os.read(ours, 4096):
            screen += more
    os.close(ours)
    return screen.decode()


# everything takes long, as far as the verb can tell
_SOON = """
import sys
from citgit.programs import waiting
waiting.SOON = waiting._DRAW = 0
from citgit.programs.cit import main
sys.exit(main(sys.argv[1:]))
"""


def soon(*argv: str) -> list[str]:
    """A verb that tells at once what it tells of long work."""
    return [sys.executable, "-c", _SOON, *argv]


def _plain(screen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)


def test_a_bar_with_a_count(site: Site) -> None:
    """On a terminal, and not in what is read from stdout; it is gone when all is done."""
    out, screen = at_terminal(soon("verify", "--all"), site.top)
    assert re.search(r"verifying builds 3 +0:00", _plain(screen)), screen
    assert screen.endswith("\x1b[2K"), "its line is cleared"
    assert [line.split()[0] for line in out.splitlines()].count("good") >= 3
    assert "\x1b" not in out
    out, screen = at_terminal(soon("report", "--out", "pages"), site.top)
    assert re.search(r"writing pages of builds .* [0-3]/3 +0:00", _plain(screen)), screen


def test_programs_see_nothing(site: Site) -> None:
    """With --json, and where stderr is a file."""
    out, screen = at_terminal(soon("verify", "--all", "--json"), site.top)
    assert screen == ""
    assert out.count('"version": 1') >= 3
    done = subprocess.run(soon("verify", "--all"), cwd=site.top, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_words_while_a_host_thinks(site: Site, tmp_path: Path) -> None:
    """Which host is asked is said once it takes long, on a line that ssh may follow with a question of its own."""
    (tmp_path / "ssh").write_text("#!/bin/sh\nsleep 3\necho 'ssh: no route' >&2\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    site.git("config", "citgit.state", "ssh://git@lab1.example/project.git")
    site.git("config", "core.sshCommand", str(tmp_path / "ssh"))
    argv = [sys.executable, "-m", "citgit.programs.cit", "status"]
    _, screen = at_terminal(argv, site.top)
    assert "asking ssh://git@lab1.example/project.git …\r\n" in screen
    assert screen.index("asking") < screen.index("the host is away")
    done = subprocess.run(argv, cwd=site.top, capture_output=True, text=True, check=False)
    assert "asking" not in done.stderr


def test_what_is_quick_shows_nothing(site: Site) -> None:
    """Neither words nor a bar."""
    argv = [sys.executable, "-m", "citgit.programs.cit", "verify", "--all"]
    _, screen = at_terminal(argv, site.top)
    assert "verifying" not in screen


def test_who_prints_rows_may_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar beside rows has no thread of its own, or a verification would keep to one processor."""
    ours, theirs = pty.openpty()
    with open(theirs, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr("citgit.programs.waiting.SOON", 0)
        patch.setattr(sys, "stderr", stderr)
        before = threading.active_count()
        with waiting("verifying", rows=True) as count:
            count(1, 0)
            count(2, 0)
            assert threading.active_count() == before
    assert "verifying" in to_the_end(ours)


def test_nothing_moves_before_the_first_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then ssh may be asking for a passphrase on the same line."""
    ours, theirs = pty.openpty()
    with open(theirs, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr("citgit.programs.waiting.SOON", 0.05)
        patch.setattr(sys, "stderr", stderr)
        with waiting("from lab1", size=True) as count:
            time.sleep(0.3)
            before = os.read(ours, 4096)
            tell: Callable[[int, int], None] = count
            tell(512, 1024)
            tell(1024, 1024)
    assert before == "from lab1 …\r\n".encode()
    assert "1.0/1.0 KiB" in to_the_end(ours)
