"""The executors need no root: the contract holds for an ordinary user too."""

import os
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from citgit.executors import TABLE
from citgit.executors.shim import SHIM
from citgit.logs.capture import Capture
from citgit.testing.executors import CHECKS, Bench

UID = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory of the ordinary user's, outside of root's own."""
    made = Path(tempfile.mkdtemp(prefix="cit-user-"))
    os.chown(made, UID, UID)
    yield made
    shutil.rmtree(made)


def as_user(check: str, name: str, folder: Path) -> str:
    """Runs a check in a process of the ordinary user's; the traceback if it fails."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        words = ""
        try:
            os.setgroups([])
            os.setresgid(UID, UID, UID)
            os.setresuid(UID, UID, UID)
            os.environ["HOME"] = str(folder)
            CHECKS[check](Bench(lambda: TABLE[name](Capture()), folder))
        except BaseException:
            words = traceback.format_exc()
        os.write(write, words.encode()[-4000:])
        os._exit(0)
    os.close(write)
    with open(read) as file:
        words = file.read()
    os.waitpid(child, 0)
    return words


@pytest.mark.privileged
@pytest.mark.parametrize("name", ["process", "bwrap"])
@pytest.mark.parametrize(
    "check",
    [
        "exit_3",
        "environment",
        "reopened_streams",
        "output_limit",
        "escaped_child",
        "left_behind",
        "fork_bomb",
        "adopted",
    ],
)
def test_the_contract_holds_for_an_ordinary_user(folder: Path, name: str, check: str) -> None:
    """Started, watched, adopted and ended by somebody who is not root."""
    if os.getuid() != 0:
        pytest.skip("privileged: becomes another user, which only root can")
    if not all(path.stat().st_mode & 0o005 for path in SHIM.parents):
        pytest.skip(f"privileged: '{SHIM}' is not readable for other users")
    probe = TABLE[name](Capture()).probe()
    if not probe.ok:
        message = f"executor {name}: {probe.reason}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    assert as_user(check, name, folder) == ""
