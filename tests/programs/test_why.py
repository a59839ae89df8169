"""`cit why` on real chains: each reason for which a build waits, runs where it runs, or ended as it did."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from programs.site import Site, make_site

CIT = """\
[job.long]
command = ["sh", "-c", "sleep 60"]

[job.plain]
command = ["true"]

[job.after]
command = ["true"]
after.long = {}

[job.tool]
command = ["true"]
requires.tools = ["no-such-tool-here", "git >= 99"]

[job.label]
command = ["true"]
requires = { labels = ["gpu"], disk = "900 TiB" }
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A checkout whose pool `default` is served by one agent with one slot, which a long build takes."""
    home = tmp_path_factory.mktemp("why")
    with pytest.MonkeyPatch.context() as patch:
        made = make_site(home, patch, None, CIT)
        told = made.cit("worker", "--agent", "lab1", "--once", status=2).err
        team = (made.top / "team.toml").read_text() + told[told.index("\n[agent.") :]
        team += '\n[pool.empty]\nclaim = ["@agents"]\nrequest = ["@dev"]\nmaintain = ["@dev"]\n'
        made.commit("register lab1", team_toml=team)
        made.git("push", "-q", "--no-verify", "origin", "main")
        made.cit("policy", "publish")
        made.cit("run", "after", "--pool", "default")
        argv = [
            sys.executable, "-P", "-m", "citgit.programs.cit", "worker", "--agent", "lab1", "-C", str(made.top),
            "--home", str(home / "lab1"), "--own", "--no-doors", "--interval", "0.2",
        ]  # fmt: skip
        worker = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 60
            while made.cit("status", "long", "--json", status=None).documents[0]["state"] != "running":
                assert time.monotonic() < until
                time.sleep(0.2)
            yield made
        finally:
            made.cit("cancel", "long", status=None)
            worker.terminate()
            worker.wait(timeout=30)


def why(site: Site, *argv: str) -> str:
    """What it says of the newest build that `cit run` asks for with these words."""
    build = site.cit("run", *argv, "--json").documents[0]["build"]
    said = site.cit("why", build).out
    site.cit("cancel", build)
    return said


def test_a_pool_without_a_live_agent(site: Site) -> None:
    """It names the pool, and who is registered there."""
    assert "no live agent in pool 'empty'" in why(site, "plain", "--pool", "empty")


def test_an_agent_that_lacks_something(site: Site) -> None:
    """Each tool, label, and the disk, with what was found instead."""
    said = why(site, "tool", "--pool", "default")
    assert "agent lab1 lacks" in said
    assert "tool no-such-tool-here (found: missing)" in said
    assert "tool git >= 99 (found: " in said
    said = why(site, "label", "--pool", "default")
    assert "label gpu" in said
    assert "disk >= " in said


def test_an_agent_without_a_free_slot(site: Site) -> None:
    """It is busy with the long build."""
    assert "slot (found: 0 of 1 free)" in why(site, "plain", "--pool", "default")


def test_a_build_for_another_agent(site: Site) -> None:
    """`--on` is a reason too."""
    said = site.cit("run", "plain", "--on", "lab1", "--pool", "default", "--json").documents[0]["build"]
    assert "agent lab1: lab1" in site.cit("why", said).out
    site.cit("cancel", said)


def test_a_paused_build(site: Site) -> None:
    """Who paused it, and what lets it go on."""
    build = site.cit("run", "plain", "--pool", "default", "--json").documents[0]["build"]
    site.cit("pause", build)
    said = site.cit("why", build).out
    assert "paused by person:anna" in said
    assert "'cit resume'" in said
    site.cit("cancel", build)


def test_a_build_that_waits_for_another(site: Site) -> None:
    """The job and the build it waits for."""
    long = site.cit("status", "long", "--json", status=75).documents[0]["build"]
    assert f"waits for long ({long})" in site.cit("why", "after").out


def test_a_running_build(site: Site) -> None:
    """Who holds it, and why that agent took it."""
    said = site.cit("why", "long").out
    assert "held by agent:lab1, attempt 1" in said
    assert "lab1: yes  slot: 1 of 1 free" in said


def test_a_revision_that_nobody_can_fetch(site: Site) -> None:
    """It names the revision and the next move."""
    site.git("switch", "-q", "-c", "unpushed")
    commit = site.commit("not pushed")
    said = why(site, "plain", "--pool", "empty")
    site.git("switch", "-q", "main")
    assert f"revision {commit[:12]} cannot be fetched yet" in said


def test_builds_that_ended(site: Site) -> None:
    """A cancelled one by whom and for what; one on this machine with its decisions."""
    build = site.cit("run", "plain", "--pool", "empty", "--json").documents[0]["build"]
    site.cit("cancel", build, "--why", "wrong branch")
    assert "ended by a cancel of person:anna: wrong branch" in site.cit("why", build).out
    site.cit("run", "plain", "--here")
    said = site.cit("why", "plain").out
    assert "ended by a result of person:anna" in said
    assert "yes  executor" in said
