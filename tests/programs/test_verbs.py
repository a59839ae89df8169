"""Verbs that change something: jobs, agents, and requests that are refused before they are pushed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = """\
[job.lib]
command = ["sh", "-c", "echo one > lib.txt"]
keep.artifacts = ["lib.txt"]

[job.app]
command = ["cat", "lib.txt"]
after.lib = { artifacts = ["lib.txt"] }
"""

CLI = [sys.executable, "-P", "-m", "citgit.programs.cit"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout with the pipeline lib -> app."""
    return make_site(tmp_path, monkeypatch, capsys, CIT)


def jobs(site: Site) -> list[tuple[str, str]]:
    """(job, outcome or state) of every build, oldest first."""
    listed = site.cit("status", "--json", "-n", "99").documents
    return [(one["job"], one["outcome"] or one["state"]) for one in reversed(listed)]


def test_retry_asks_for_all_that_a_build_promised(site: Site) -> None:
    """The root of a pipeline brings the rest along; one in the middle stands after the same builds as before."""
    site.cit("run", "app", "--here")
    assert "app passed" in site.cit("retry", "lib").out
    assert jobs(site) == [("lib", "passed"), ("app", "passed")] * 2
    found = site.cit("retry", "app", "--json").documents
    assert [one["event"] for one in found if one["event"] in ("queued", "final")] == ["queued", "final"]
    assert jobs(site)[4:] == [("app", "passed")]
    shown = site.cit("show", found[0]["build"], "--json").documents[0]
    assert shown["request"]["retry_of"] != ""


def test_the_jobs_may_come_from_another_branch(site: Site) -> None:
    """What is built is HEAD; the request names the branch whose config counted."""
    site.git("switch", "-q", "-c", "config")
    site.commit("more jobs", cit_toml=CIT + '[job.count]\ncommand = ["sh", "-c", "! grep count cit.toml"]\n')
    site.git("switch", "-q", "main")
    site.cit("run", "count", "--here", status=2)
    site.cit("run", "count", "--config-ref", "config", "--here")
    request = site.cit("show", "count", "--json").documents[0]["request"]
    assert (request["branch"], request["config"]["branch"]) == ("main", "config")


def test_a_request_that_would_be_void_is_not_pushed(site: Site) -> None:
    """The person reads why at once, instead of waiting for a build that nobody may take."""
    team = (site.top / "team.toml").read_text() + '\n[pool.release]\nclaim = ["@agents"]\nrequest = []\n'
    site.commit("a pool for nobody", team_toml=team)
    site.cit("policy", "publish")
    said = site.cit("run", "lib", "--pool", "release", status=3).err
    assert "cannot ask for 'lib' in pool 'release' as person:anna" in said
    assert jobs(site) == []


CANNOT: list[tuple[tuple[str, ...], str]] = [
    (("run", "none"), "none"),
    (("rnu",), "did you mean 'cit run'?"),
    (("run", "lib", "--here", "--pool", "default"), "--here does not go with --pool"),
    (("init", "--name", "Anna B"), "not a name for a person: 'Anna B'"),
    (("agent", "drain", "Lab 1"), "cit agent drain: error: not a name for an agent: 'Lab 1'"),
    (("run", "lib", "--pool", "none"), "no pool 'none'"),
    (("run", "lib", "--on", "none"), "no agent 'none'"),
    (("run", "lib", "--ref", "none"), "no revision 'none'"),
    (("run", "lib", "--ref", "--upload-pack=x"), "not a revision: '--upload-pack=x'"),
    (("run", "lib", "--config-ref", "../x"), "no revision '../x'"),
    (("run", "lib", "--set", "level"), "not a parameter: 'level'"),
    (("run", "lib", "--set", "level=1"), "level"),
]


def test_what_cannot_be_asked_for(site: Site) -> None:
    """Usage: status 2, what was wrong is quoted, and there is a hint where there is a next move."""
    for argv, words in CANNOT:
        assert words in site.cit(*argv, status=2).err, argv
    assert jobs(site) == []


def test_jobs_are_added_and_copied_in_the_working_tree(site: Site) -> None:
    """Nothing is committed; what is written is good."""
    site.cit("job", "new", "lint", "--push", "*", "--", "sh", "-c", "true")
    site.cit("job", "clone", "app", "app2", "--json")
    assert [one["job"] for one in site.cit("job", "list", "--json").documents] == ["lib", "app", "lint", "app2"]
    assert site.cit("job", "check").out == "good: cit.toml, team.toml\n"
    assert "cit.toml" in site.git("status", "--short")
    assert "already" in site.cit("job", "new", "lib", "true", status=2).err


def test_agents_are_drained_and_removed_by_a_proposal(site: Site) -> None:
    """A branch of its own with the change; the policy is as before until it is merged and published."""
    told = site.cit("worker", "--agent", "lab1", "--once", status=2).err
    team = (site.top / "team.toml").read_text() + told[told.index("\n[agent.") :]
    site.commit("register lab1", team_toml=team)
    site.cit("policy", "publish")
    said = site.cit("agent", "drain", "lab1").out
    assert "+drain = true" in said
    assert "git merge drain-lab1 && cit policy publish" in said
    assert site.git("status", "--short") == ""
    assert site.cit("agent", "list", "--json").documents[0]["drain"] is False
    assert site.cit("agent", "drain", "lab1").out == said, "asked again, it proposes the same"
    other = site.cit("agent", "remove", "lab1", "--branch", "drain-lab1", status=2).err
    assert "there is a branch 'drain-lab1' already, with another change" in other
    site.git("merge", "-q", "drain-lab1")
    site.cit("policy", "publish")
    assert site.cit("agent", "list", "--json").documents[0]["drain"] is True
    assert "-[agent.lab1]" in site.cit("agent", "remove", "lab1", "--branch", "less").out
    site.git("merge", "-q", "less")
    site.cit("policy", "publish")
    assert site.cit("agent", "list", "--json").documents == []
    assert "known: none" in site.cit("agent", "remove", "lab1", status=2).err


def test_status_follows_a_build_until_it_is_over(site: Site) -> None:
    """Each change of its state is one line, and the exit status is the build's."""
    build = site.cit("run", "lib", "--pool", "default", "--json").documents[0]["build"]
    argv = [
        sys.executable,
        "-P",
        "-m",
        "citgit.programs.cit",
        "status",
        build,
        "--follow",
        "--json",
        "-C",
        str(site.top),
    ]
    follower = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    assert json.loads(follower.stdout.readline())["state"] == "waiting"
    site.cit("pause", build)
    assert json.loads(follower.stdout.readline())["state"] == "paused"
    site.cit("cancel", build)
    assert json.loads(follower.stdout.readline())["outcome"] == "cancelled"
    assert follower.wait(timeout=30) == 5


def test_a_second_person_is_told_how_to_get_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a policy is in force, init makes nobody an admin; a request of a stranger is refused, not void."""
    top = site.top.with_name("bens")
    subprocess.run(["git", "clone", "-q", str(site.bare), str(top)], check=True)
    ben = Site(top, site.bare, site.capsys)
    (top / "team.toml").unlink()
    done = ben.cit("init", "--name", "ben", "--json")
    assert (done.documents[0]["person"], len(done.documents[0]["root"])) == ("ben", 40)
    assert "cit policy invite ben" in done.err
    assert not (top / "team.toml").exists()
    assert "as person:ben" in ben.cit("run", "lib", "--pool", "default", status=3).err


def test_a_tool_that_no_list_names_is_looked_for(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any program may be required; one that is missing is named before anything is asked for."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    site.commit("a tool", cit_toml='[job.odd]\ncommand = ["true"]\nrequires.tools = ["cit-odd-tool", "git >= 2"]\n')
    said = site.cit("run", "odd", "--here", status=2).err
    assert "tool cit-odd-tool (missing)" in said
    assert jobs(site) == []
    (tools / "cit-odd-tool").write_text("#!/bin/sh\ntouch started\n")
    (tools / "cit-odd-tool").chmod(0o755)
    site.cit("run", "odd", "--here")
    assert not Path("started").exists()
