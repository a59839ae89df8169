"""Probing over real ssh, and builds that start at once on the node that is best."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from lab import JOBS, Lab, lab
from msgspec.structs import replace

from citgit.errors import NotFound
from citgit.model.team import Agent, Team
from citgit.programs.probing import need_hosts

pytestmark = pytest.mark.privileged
NODE = "citgit-node1"

ASKING = (
    JOBS
    + """
[job.picky]
command = ["true"]
place.executor = "process"
requires.can_build = "ci/can-build"
parameters.answer = { default = "0" }
[job.cells]
command = ["true", "{matrix.cc}"]
matrix.cc = ["clang", "gcc", "tcc"]
place.executor = "process"
[job.huge]
command = ["true"]
requires.memory = "900 TiB"
requires.tools = ["cit-no-such-tool >= 2"]
"""
)
CAN_BUILD = "#!/bin/sh\necho said $CIT_PARAM_ANSWER as $(id -un)\nexit $CIT_PARAM_ANSWER\n"


@pytest.fixture(scope="module")
def one() -> Iterator[Lab]:
    """A node that works, an agent that is silent, one at a host that nobody has, one that only listens."""
    with pytest.MonkeyPatch.context() as patch, lab(patch, NODE, jobs=ASKING) as made:
        patch.setattr("citgit.programs.probing.SECONDS", 60.0)
        (made.site.top / "ci").mkdir()
        (made.site.top / "ci" / "can-build").write_text(CAN_BUILD)
        (made.site.top / "ci" / "can-build").chmod(0o755)
        made.site.commit("a program that says whether it can be built")
        made.join(NODE, "lab1")
        key = (made.home(NODE) / ".local/share/citgit/keys/lab1.pub").read_text().split()[:2]
        team = (made.site.top / "team.toml").read_text()
        for name, host in (("gone", "nobody@127.0.0.1:9"), ("mute", f"citgit-git@127.0.0.1:{made.sshd.port}")):
            other = key[1][:-3] + {"gone": "AAA", "mute": "BBB"}[name]
            team += f'\n[agent.{name}]\nkey = "{key[0]} {other}"\nhost = "ssh://{host}"\n'
        made.site.commit("two agents that are away", team_toml=team)
        made.site.git("push", "-q", "--no-verify", "origin", "main")
        made.site.cit("policy", "publish")
        yield made


@pytest.mark.heavy
def test_a_ranked_table_with_reasons(one: Lab) -> None:
    """The node that can is first; those that are away say why; what is lacking is named with what was found."""
    answers = one.site.cit("agent", "probe", "hello", "--json", "--seconds", "60").documents
    assert [(each["agent"], each["fits"]) for each in answers] == [("lab1", True), ("gone", False), ("mute", False)]
    assert "refused" in answers[1]["away"]
    assert "cit-serve" in answers[2]["away"]
    told = one.site.cit("agent", "probe", "huge", "--seconds", "60", status=1).out
    assert "lacks memory >= 900 TiB (found: " in told
    assert "lacks tool cit-no-such-tool >= 2 (found: missing)" in told


@pytest.mark.heavy
def test_the_jobs_own_program(one: Lab) -> None:
    """It says on the node whether the job can be built there, by its exit status and its first line."""
    (said, *_) = one.site.cit("agent", "probe", "picky", "--json", "--seconds", "60").documents
    assert {"check": "can_build ci/can-build", "ok": True, "found": f"said 0 as {NODE}"} in said["decisions"]
    refused = one.site.cit("agent", "probe", "picky", "--set", "answer=3", "--seconds", "60", status=1)
    assert f"lacks can_build ci/can-build (found: said 3 as {NODE})" in refused.out
    build = one.ask("picky", "--set", "answer=3")
    assert "lab1 lacked can_build ci/can-build" in one.site.cit("why", build).out
    one.site.cit("cancel", build)


def test_a_build_starts_at_once_on_the_best_node(one: Lab) -> None:
    """The request names the best node, whose worker is woken though its next poll is far; the record tells of all."""
    one.node(NODE, "stop", "lab1")
    began = time.monotonic()
    build = one.ask("hello")
    shown = one.final(build)
    assert shown["outcome"] == "passed"
    assert time.monotonic() - began < 60, "the worker was started by the request"
    assert shown["request"]["prefer"] == "lab1"
    assert [each["agent"] for each in shown["request"]["probed"]] == ["lab1", "gone", "mute"]
    why = one.site.cit("why", build).out
    assert "asked 3 nodes; lab1 was the best" in why
    assert "gone did not answer" in why
    again = one.site.cit("retry", build, "--json").documents[-1]["build"]
    assert one.final(again)["request"].get("prefer", "") == "", "what the nodes said of the first was not asked again"
    assert "nodes" not in one.site.cit("why", again).out


@pytest.mark.heavy
def test_cells_of_a_matrix(one: Lab) -> None:
    """All cells are one question to each node; a node gets no more of them, and of other jobs, than it has slots."""
    answers = one.site.cit("agent", "probe", "cells", "--json", "--seconds", "60").documents
    assert [each["agent"] for each in answers] == ["lab1", "gone", "mute"]
    assert {tuple(each["cells"]) for each in answers} == {("cc=clang", "cc=gcc", "cc=tcc")}
    assert "cells cc=clang, cc=gcc, cc=tcc\n" in one.site.cit("agent", "probe", "cells", "--seconds", "60").out
    asked = one.site.cit("run", "cells", "hello", "--json").documents
    shown = [one.final(each["build"])["request"] for each in asked]
    shown += [each["request"] for each in shown[0]["promises"]]
    assert sorted(each.get("prefer", "") for each in shown) == ["", "", "", "lab1"]


def test_all_are_drained() -> None:
    """That is said of a pool whose agents are all drained by the policy, and only then."""
    team = Agent(key="", pools=("default",), host="lab1")
    drained = {"lab1": replace(team, drain=True), "lab2": replace(team, drain=True, host="")}
    with pytest.raises(NotFound, match="all agents of pool 'default' are drained by the policy: lab1, lab2"):
        need_hosts(Team(agent=drained), "default")
    with pytest.raises(NotFound, match="can be asked: none has a 'host'"):
        need_hosts(Team(agent={**drained, "lab3": replace(team, host="")}), "default")
    with pytest.raises(NotFound, match="no agent is registered for pool 'other'"):
        need_hosts(Team(agent=drained), "other")
    need_hosts(Team(agent={**drained, "lab3": team}), "default")


@pytest.mark.heavy
def test_none_is_free(one: Lab) -> None:
    """Then it queues, with a word about each node, and is built when its turn comes."""
    first = one.ask("held")
    said = one.site.cit("run", "hello", "--json")
    assert "no node can start hello at once, so it waits: lab1: slot (0 of 1 free)" in said.err
    one.gate().touch()
    assert one.final(first)["outcome"] == "passed"
    assert one.final(said.documents[-1]["build"])["outcome"] == "passed"
