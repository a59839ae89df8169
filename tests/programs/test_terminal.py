"""What people see in a real terminal: the live views in tmux, and that what a build prints cannot take it over."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from programs.site import Site, make_site
from services import need

pytestmark = pytest.mark.heavy

EVIL = (
    r"\033]0;stolen\007\033[2J\033[?1049h\033]52;c;c3RvbGVu\007\033[8mhidden\033[0m"
    r" \xe2\x80\xaetxt.exe\033[31mred\033[0m"
)
GOOD = r"\033]8;;https://example.org/log\033\\the log\033]8;;\033\\"
BAD = r"\033]8;;file:///etc/passwd\033\\no link\033]8;;\033\\"
CIT = f"""\
[job.slow]
command = ["sh", "-c", "cit-component lib -- echo in lib; for at in 1 2 3 4 5 6; do echo step $at; sleep 1; done"]
[job.evil]
command = ["printf", "%b\\n", '{EVIL}', '{GOOD}', '{BAD}', "after"]
"""
CIT_VERB = f"{shlex.quote(sys.executable)} -m citgit.programs.cit"


class Terminal:
    """A tmux server of its own with one window, in which a shell runs."""

    def __init__(self, top: Path, where: Path) -> None:
        self._where = where
        shell = ["env", "PS1=$ ", "TERM=tmux-256color", "/bin/sh"]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "-c", str(top), *shell)
        self.await_("$")

    def tmux(self, *argv: str) -> str:
        """A command of tmux; what it said."""
        done = subprocess.run(["tmux", "-S", str(self._where), *argv], check=True, capture_output=True, text=True)
        return done.stdout

    def type(self, line: str) -> None:
        """Types a line."""
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def screen(self, *options: str) -> str:
        """What is on the screen."""
        return self.tmux("capture-pane", "-p", *options)

    def ask(self, what: str) -> str:
        """One of tmux's own values of the pane."""
        return self.tmux("display-message", "-p", f"#{{{what}}}").strip()

    def await_(self, wanted: str | Callable[[str], bool], seconds: float = 30) -> str:
        """Waits until the screen holds a text, or fits; the screen."""
        fits = wanted if callable(wanted) else lambda screen: wanted in screen
        end = time.monotonic() + seconds
        while not fits(screen := self.screen()):
            assert time.monotonic() < end, f"waited for {wanted!r}:\n{screen}" + self.ask("alternate_on")
            time.sleep(0.1)
        return screen


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A checkout with a slow job that was built before, and an evil one."""
    need("" if shutil.which("tmux") else "tmux")
    with pytest.MonkeyPatch.context() as patch:
        site = make_site(tmp_path_factory.mktemp("home"), patch, None, CIT)
        for job in ("slow", "evil"):
            assert site.cit("run", job, "--here").status == 0
        yield site


@pytest.fixture
def terminal(site: Site, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in the checkout."""
    made = Terminal(site.top, tmp_path / "tmux")
    yield made
    made.tmux("kill-server")


@pytest.fixture
def running(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    """A build of the slow job that runs meanwhile."""
    argv = [sys.executable, "-m", "citgit.programs.cit", "run", "slow", "--here"]
    child = subprocess.Popen(argv, cwd=site.top, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while site.cit("status", "slow", status=None).status != 75:
        assert time.monotonic() < end
        time.sleep(0.1)
    yield child
    child.wait(60)


def test_status_is_live(terminal: Terminal, running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """It redraws in place, fits a resized window, shows progress and the end, and leaves the terminal clean."""
    terminal.type(f"{CIT_VERB} status -f")
    screen = terminal.await_(lambda screen: "of about" in screen and "━" in screen)
    assert "1 running, 0 waiting" in screen
    assert "slow@main" in screen
    assert terminal.ask("alternate_on") == "1"
    terminal.tmux("pipe-pane", f"cat >{shlex.quote(str(tmp_path / 'raw'))}")
    terminal.tmux("resize-window", "-x", "60", "-y", "14")
    screen = terminal.await_(lambda screen: "slow@main" in screen and screen.splitlines()[0].startswith("project:"))
    assert max(map(len, screen.splitlines())) <= 60
    terminal.await_(lambda screen: "0 running" in screen)
    assert "passed" in terminal.await_("ended")
    # nothing is ever wiped before it is drawn: that is what flickers
    assert b"\x1b[2J" not in (tmp_path / "raw").read_bytes().split(b"\x1b[?1049l")[0]
    terminal.tmux("send-keys", "C-c")
    terminal.await_(lambda screen: screen.rstrip().endswith("$"))
    assert terminal.ask("alternate_on") == "0"
    assert terminal.ask("cursor_flag") == "1"
    terminal.type("echo status $?")
    terminal.await_("status 130")


def test_a_log_is_followed_live(terminal: Terminal, running: subprocess.Popen[bytes]) -> None:
    """Lines come while the build runs, those of a part behind its name; the end comes by itself."""
    terminal.type(f"{CIT_VERB} log -f slow; echo ended $?")
    screen = terminal.await_("step 2")
    assert "step 6" not in screen
    assert "lib: in lib" in screen
    assert "step 6" in terminal.await_("ended 0")


def test_a_build_cannot_take_the_terminal_over(terminal: Terminal) -> None:
    """Of what it printed colours and safe links are obeyed, everything else is visible text."""
    title = terminal.ask("pane_title")
    terminal.type(f"clear; {CIT_VERB} log evil; echo ended $?")
    screen = terminal.await_("ended 0")
    assert terminal.ask("pane_title") == title
    assert terminal.ask("alternate_on") == "0"
    assert "after" in screen
    assert "hidden" in screen
    assert "<U+202E>txt.exe" in screen
    assert "^[[2J" in screen
    assert terminal.tmux("list-buffers") == ""
    coloured = terminal.screen("-e")
    assert "\x1b[31mred" in coloured
    assert "the log" in coloured
    assert "passwd" not in coloured
