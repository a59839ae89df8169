"""Pipelines: upstream artifacts reach the workspace; where they are not, no agent takes the build and `why` says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site

from citgit.flows.placing import kept_at
from citgit.model.plan import Input
from citgit.model.record import Decision

CIT = """\
[job.lib]
command = ["sh", "-c", "mkdir -p out; echo made by lib > out/lib.txt; echo private > out/other.txt"]
keep.artifacts = ["out/*"]

[job.app]
command = ["sh", "-c", "cat out/lib.txt && ! test -e out/other.txt"]
after.lib = { artifacts = ["out/lib.txt"] }

[job.wrong]
command = ["true"]
after.lib = { artifacts = ["no/such/file"] }
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout with the pipeline lib -> app."""
    return make_site(tmp_path, monkeypatch, capsys, CIT)


def register(site: Site, **agents: str) -> None:
    """Makes the agents' keys, and publishes a policy with them, each with more lines of its table."""
    team = (site.top / "team.toml").read_text()
    for agent, more in agents.items():
        told = site.cit("worker", "--agent", agent, "--once", status=2).err
        team += told[told.index("\n[agent.") :] + more
    site.commit("register agents", team_toml=team)
    site.cit("policy", "publish")


def worker(site: Site, agent: str) -> list[str]:
    """What the agent's worker does until nothing is left for it to do."""
    home = site.top.with_name("nodes") / agent / "home"
    argv = [
        sys.executable, "-P", "-m", "citgit.programs.cit", "worker", "--agent", agent, "-C", str(site.top),
        "--home", str(home), "--once", "--own", "--json", "--no-doors",
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return [f"{one['event']} {one['build']}" for one in map(json.loads, done.stdout.splitlines())]


def outcome(site: Site, build: str) -> str | None:
    """What came of a build; None while it is not over."""
    found: str | None = site.cit("status", build, "--json", status=None).documents[0]["outcome"]
    return found


def test_the_artifacts_of_lib_are_there_before_app_starts(site: Site) -> None:
    """Only what the job asked for, at its own path; the claim says where it was."""
    said = site.cit("run", "app", "--here").out
    assert "made by lib" in said
    assert "app passed" in said
    assert "yes  artifacts of lib: on node " in site.cit("why", "app").out


def test_an_upstream_build_that_kept_nothing_is_an_error_of_the_system(site: Site) -> None:
    """lib passed, so the job is not at fault; the reason names the job and the pattern."""
    site.cit("run", "wrong", "--here", status=4)
    found = site.cit("status", "wrong", "--json", status=4).documents[0]
    assert found["outcome"] == "errored"
    assert found["reason"] == "lib kept nothing that matches no/such/file"


def test_a_build_is_placed_where_its_artifacts_are(site: Site) -> None:
    """lab2's home lacks them, so it leaves app alone; lab1, which built lib, takes it."""
    site.commit("lib needs a label", cit_toml=CIT.replace("[job.app]", 'requires.labels = ["big"]\n\n[job.app]'))
    register(site, lab1='labels = ["big"]\n', lab2="")
    assert "is not pushed yet: the build waits until it is" in site.cit("run", "app", "--pool", "default").err
    site.git("push", "-q", "--no-verify", "origin", "main")
    worker(site, "lab2")  # creates what is promised, cannot build lib
    site.cit("pause", "app")
    worker(site, "lab1")
    assert (outcome(site, "lib"), outcome(site, "app")) == ("passed", None)
    site.cit("resume", "app")
    assert not any(event.startswith("claimed") for event in worker(site, "lab2"))
    worker(site, "lab1")
    assert outcome(site, "app") == "passed"
    assert site.cit("status", "app", "--json").documents[0]["agent"] == "agent:lab1"


def test_the_reason_names_the_node() -> None:
    """What `why` says of an agent elsewhere."""
    one = Input(label="lib", claim="c" * 40, node="lab1.example.org", path="x", sha256="0" * 64, size=0)
    assert kept_at([one, one], here=False) == [
        Decision(check="artifacts of lib", ok=False, found="on node lab1.example.org")
    ]
