"""Every executor keeps the contract, in whatever language it is written."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from board import BoardBench, board

from citgit.executors import TABLE
from citgit.executors.external import ExternalExecutor
from citgit.interfaces import Executor
from citgit.logs.capture import Capture
from citgit.testing.executors import CHECKS, Bench, kill_survivors

PLAIN = Path(__file__).parent.parent / "data" / "executors"


def make(name: str) -> Executor:
    """A fresh executor of that name."""
    if name == "plain":
        return ExternalExecutor("plain", Capture(), f"{PLAIN}:{os.environ['PATH']}")
    return TABLE[name](Capture())


@pytest.fixture(params=["process", "bwrap", "plain"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A bench for the executor, if it works here; whatever is left of a failed check is killed."""
    name = request.param
    probe = make(name).probe()
    if not probe.ok:
        message = f"executor {name}: {probe.reason}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    bench = Bench(lambda: make(name), tmp_path / "with space")
    yield bench
    kill_survivors(bench)


@pytest.mark.parametrize("check", CHECKS)
def test_the_executor_keeps_the_contract(bench: Bench, check: str) -> None:
    """One check of the shipped suite holds."""
    CHECKS[check](bench)


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardBench]:
    """A bench at a machine that has only sshd, git and a shell."""
    folder = tmp_path_factory.mktemp("board")
    with board(folder) as made:
        bench = BoardBench(made.executor, folder / "with space")
        bench.board = made
        yield bench


@pytest.mark.privileged
@pytest.mark.parametrize("check", CHECKS)
def test_the_contract_holds_at_a_machine_elsewhere(away: BoardBench, check: str) -> None:
    """One check of the shipped suite holds, although nothing runs here but the login."""
    try:
        CHECKS[check](away)
    finally:
        kill_survivors(away)
