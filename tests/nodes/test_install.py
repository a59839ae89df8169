"""`cit agent install` from a laptop: real accounts behind a real sshd become nodes, are upgraded, drained, removed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from lab import PYTHON, Lab, lab
from world import until

pytestmark = pytest.mark.privileged
NODE = "citgit-node1"
CIT_NODE = ".local/share/citgit/current/bin/cit-node"


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab with one node."""
    with lab(monkeypatch, NODE) as made:
        yield made


def state(one: Lab) -> dict[str, Any]:
    """What the node says of its agent."""
    return one.node(NODE, "state", "lab1")


@pytest.mark.heavy
def test_a_machine_becomes_a_node_and_is_upgraded_under_a_build(one: Lab) -> None:
    """Installed by ssh alone, registered on a branch; a build that runs outlives an upgrade, a crash and a logout."""
    said = one.site.cit(
        "agent", "install", one.host(NODE), "--name", "lab1", "--label", "gpu", "--own", "--python", PYTHON
    )
    assert said.out.splitlines()[-1] == "git merge add-lab1 && cit policy publish"
    assert "sending" in said.err
    key = one.home(NODE) / ".local/share/citgit/keys/lab1"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.with_name("lab1.pub").read_text().split()[1] in one.site.git("show", "add-lab1:team.toml")
    one.publish("add-lab1")
    one.node(NODE, "wake", "lab1")
    build = one.ask("held")
    until("the build to run", lambda: state(one)["builds"], 60)
    before = state(one)
    # another version: a wheel of this one that differs in a file is as good as one
    marker = one.home(NODE) / ".local/share/citgit/versions"
    old = next(marker.iterdir())
    old.rename(marker / "0.0.9-old")
    (marker.parent / "current").unlink()
    (marker.parent / "current").symlink_to("versions/0.0.9-old")
    said = one.site.cit("agent", "install", one.host(NODE), "--python", PYTHON)
    assert "0.0.9-old was" in said.err
    assert "the policy has the agent already: nothing is left to do" in said.err
    after = state(one)
    assert after["supervisor"] not in (0, before["supervisor"])
    assert len(after["builds"]) == 1
    # a crash of the worker: it is started again, and adopts what runs
    worker = next(p for p in one.processes(NODE) if "worker" in p.cmdline() and "--config" in p.cmdline())
    os.kill(worker.pid, signal.SIGKILL)
    until("another worker", lambda: any("worker" in cmdline(p) for p in one.processes(NODE) if p.pid != worker.pid), 60)
    assert one.node(NODE, "start", "lab1")["supervisor"] == after["supervisor"], "one supervisor per agent"
    one.gate().touch()
    assert one.final(build)["outcome"] == "passed"
    assert len([one for one in one.shown(build)["records"] if one["record"]["type"] == "claim"]) == 1, (
        "adopted, not redone"
    )
    drains_and_is_removed(one)


def drains_and_is_removed(one: Lab) -> None:
    """A drained node takes nothing and says why; a removed one leaves no process and, if asked, no file."""
    one.site.cit("agent", "drain", "lab1", "--wait")
    build = one.ask("hello")
    until("the worker to say so", lambda: "drained" in one.site.cit("why", build).out, 60)
    assert "drained: by anna" in one.site.cit("agent", "list").out
    assert one.shown(build)["state"] == "waiting"
    one.site.cit("agent", "drain", "lab1", "--off")
    assert one.final(build)["outcome"] == "passed"
    said = one.site.cit("agent", "remove", "lab1", "--node", "--files")
    assert "git merge remove-lab1 && cit policy publish" in said.out
    assert [left.name() for left in one.processes(NODE) if left.name() not in ("sshd", "ssh")] == []
    assert not (one.home(NODE) / ".local/share/citgit").exists()
    assert not list((one.home(NODE) / ".local/state/citgit/workers").glob("*"))


def cmdline(process: psutil.Process) -> list[str]:
    """The command line; empty once it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_what_is_missing_is_named(one: Lab) -> None:
    """Without a Python that will do, and where there is no login: nothing is changed, the cause is named."""
    said = one.site.cit("agent", "install", one.host(NODE), "--python", "/bin/true", status=2)
    assert "no Python 3.11 or later" in said.err
    assert "--python" in said.err
    said = one.site.cit("agent", "install", "citgit-nobody@" + one.host(NODE).partition("@")[2], status=75)
    assert "cannot log in" in said.err
    assert one.site.cit("agent", "install", "-oProxyCommand=x", status=2).err
    assert not (one.home(NODE) / ".local").exists()
    found = one.site.cit("agent", "install", one.host(NODE), "--look", "--json", "--python", PYTHON).documents[0]
    assert (found["user"], found["python"]) == (NODE, PYTHON)
