"""The promises of the protocol hold in generated histories; `make soak` runs many more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from citgit.testing.simulation.check import Broken
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.trace import Trace

SHARES = {"mixed": 10, "late": 2, "twins": 2, "pipelines": 2, "revoke": 2, "restore": 2}
"""Portions of 25 histories per profile, 500 in all."""

SEEDS = [
    ("restore", 301402),  # two ends around a restore
    ("restore", 301722),
    ("restore", 300501),  # a claim of an archived build was started
    ("pipelines", 300380),  # a cancel of what a late copy had brought back: the ref never went
    ("restore", 400063),  # everybody remembered an end that was given back to the host, and archived otherwise
    ("mixed", 503119),  # lost by the host, and with the disk of the only one who remembered it
]


@pytest.mark.parametrize(
    ("profile", "first"),
    [(name, 1000 + 25 * at) for name, portions in SHARES.items() for at in range(portions)],
)
def test_promises(profile: str, first: int) -> None:
    """In 25 histories each: nothing accepted is lost, one final record each, nothing archived runs again."""
    executed = 0
    for seed in range(first, first + 25):
        trace = Trace(seed, PROFILES[profile])
        trace.run()
        trace.check()
        executed += trace.counts()["attempts"]
    assert executed > 25


@pytest.mark.parametrize(("profile", "seed"), SEEDS)
def test_what_once_broke(profile: str, seed: int) -> None:
    """Histories in which campaigns found a promise broken, by the code as it was then: what each was, beside it."""
    trace = Trace(seed, PROFILES[profile])
    trace.run()
    trace.check()


def test_what_never_rests_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All builds are final and archived, and yet the calm steps run out: somebody still asks."""
    monkeypatch.setattr("citgit.testing.simulation.trace.CALM", 2_000)
    trace = Trace(7, PROFILES["mixed"])
    monkeypatch.setattr(trace, "_asking", lambda: ["hook"])
    trace.run()
    with pytest.raises(Broken, match=r"never came to rest.*'hook'"):
        trace.check()


@pytest.mark.parametrize("seed", range(5))
def test_no_verdict_reads_a_clock(seed: int) -> None:
    """With everybody's clock right, or wrong by up to ten years and stepping, each build has the same story."""
    stories = []
    for skewed in (False, True):
        trace = Trace(seed, PROFILES["mixed"], skewed=skewed, same_ids=True)
        trace.run()
        stories.append(trace.check().story())
    assert stories[0] == stories[1]


def test_one_seed_one_history() -> None:
    """A failure can be shown again."""
    one, two = (Trace(7, PROFILES["mixed"]) for _ in range(2))
    one.run()
    two.run()
    assert one.world.host.refs == two.world.host.refs
    assert one.check().story() == two.check().story()


def test_command_line() -> None:
    """A campaign over two processes counts what it saw; every profile can be named."""
    command = [sys.executable, "-m", "citgit.testing.simulation", "--profile", "mixed", "--count", "4", "--jobs", "2"]
    done = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, check=True)
    summary = json.loads(done.stdout)
    assert (summary["traces"], summary["failures"], summary["profiles"]) == (4, [], ["mixed"])
    assert summary["counts"]["builds"] > 4
