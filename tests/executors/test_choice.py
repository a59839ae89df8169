"""A build gets the safest executor that works, and somebody else's never one without a wall."""

from collections.abc import Mapping

import pytest

from citgit.errors import Errored
from citgit.executors.choice import choose
from citgit.interfaces import Executor
from citgit.model.plan import Ended, Plan, Probe

WORKS, OPEN, BROKEN = Probe(ok=True, isolated=True), Probe(ok=True), Probe(ok=False, reason="no user namespaces")


class Probed:
    """An executor of which only the probe is asked."""

    name = "probed"

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def probe(self) -> Probe:
        """What it was made with."""
        return self._probe

    def start(self, plan: Plan) -> None:
        """Not asked."""

    def poll(self, plan: Plan) -> Ended | None:
        """Not asked."""

    def stop(self, plan: Plan, why: str) -> None:
        """Not asked."""

    def clean(self, plan: Plan) -> None:
        """Not asked."""


def node(bwrap: Probe) -> Mapping[str, Executor]:
    """A node's executors."""
    return {"process": Probed(OPEN), "bwrap": Probed(bwrap), "slurm": Probed(WORKS)}


@pytest.mark.parametrize(
    ("bwrap", "wanted", "own", "chosen"),
    [
        (WORKS, "", True, "bwrap"),
        (WORKS, "", False, "bwrap"),
        (BROKEN, "", True, "process"),
        (WORKS, "process", True, "process"),
        (BROKEN, "slurm", False, "slurm"),
    ],
)
def test_the_safest_that_works(bwrap: Probe, wanted: str, own: bool, chosen: str) -> None:
    """Without a wish bwrap comes first; a wish counts if it is safe enough."""
    assert choose(node(bwrap), wanted, own=own) == chosen


@pytest.mark.parametrize(
    ("bwrap", "wanted", "own", "words"),
    [
        (BROKEN, "", False, "bwrap: no user namespaces"),
        (BROKEN, "bwrap", True, "no user namespaces"),
        (WORKS, "process", False, "does not isolate"),
        (WORKS, "podman", True, "no executor 'podman'"),
    ],
)
def test_it_fails_closed(bwrap: Probe, wanted: str, own: bool, words: str) -> None:
    """Where nothing is safe enough nothing is chosen, and the reason is the probe's."""
    with pytest.raises(Errored, match=words) as caught:
        choose(node(bwrap), wanted, own=own)
    assert caught.value.hint
