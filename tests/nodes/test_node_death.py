"""A node that was chosen, began to build at once, and died: another one ends the build."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from lab import Lab, lab
from world import until

pytestmark = [pytest.mark.privileged, pytest.mark.heavy]
NODES = {"lab1": "citgit-node1", "lab2": "citgit-node2"}


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab with two nodes whose leases are short."""
    with lab(monkeypatch, *NODES.values()) as made:
        team = made.site.top / "team.toml"
        team.write_text(team.read_text() + '\n[limits]\nttl = "9 s"\nbeat = "3 s"\n')
        made.site.git("commit", "-q", "-am", "short leases")
        made.site.git("push", "-q", "--no-verify", "origin", "main")
        made.site.cit("policy", "publish")
        for agent, node in NODES.items():
            made.join(node, agent)
        yield made


def test_a_node_dies_after_a_direct_start(two: Lab) -> None:
    """The build runs at once where it was asked to; all of that node is killed; the other takes over, and says so."""
    build = two.ask("held")
    first = two.shown(build)["request"]["prefer"]
    other = next(agent for agent in NODES if agent != first)
    until("the build to begin", lambda: "begun" in two.site.cit("log", build, status=None).out, 60)
    assert two.shown(build)["agent"] == f"agent:{first}"
    died = time.monotonic()
    for _ in range(3):  # its supervisor starts things meanwhile
        for one in two.processes(NODES[first]):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
    assert two.processes(NODES[first]) == []
    until("the other node to take over", lambda: two.shown(build)["agent"] == f"agent:{other}", 120)
    assert time.monotonic() - died > 9, "no lease is taken from who may still hold it"
    two.gate().touch()
    shown = two.final(build, 120)
    assert (shown["outcome"], shown["agent"]) == ("passed", f"agent:{other}")
    claims = [one["record"]["body"]["attempt"] for one in shown["records"] if one["record"]["type"] == "claim"]
    assert claims == [1, 2]
    assert "done" in two.site.cit("log", build).out
    why = two.site.cit("why", build).out
    assert first in why
    assert other in why
