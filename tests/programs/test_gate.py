"""Merge gates: what `cit status` says of a commit, and the server's hook that insists on a signed pass."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site

from citgit.wiring.shipped import SHIPPED

CIT = """\
[job.check]
command = ["grep", "-q", "good", "state.txt"]
[job.docs]
command = ["true"]
[job.many]
command = ["sh", "-c", "test $CIT_CELL_CC = gcc || test $CIT_PARAM_TESTS = none"]
matrix.cc = ["clang", "gcc"]
parameters.tests = { default = "all" }
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A checkout with an agent lab1, and the gate in its origin."""
    site = make_site(tmp_path, monkeypatch, None, CIT)
    told = site.cit("worker", "--agent", "lab1", "--once", status=2).err
    site.commit("register lab1", team_toml=(site.top / "team.toml").read_text() + told[told.index("\n[agent") :])
    site.cit("policy", "publish")
    site.git("push", "-q", "--no-verify", "origin", "main")
    shutil.copy(SHIPPED / "hooks" / "update-require-pass", site.bare / "hooks" / "update")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "cit").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m citgit.programs.cit "$@"\n')
    (bin_ / "cit").chmod(0o755)
    for key, value in {
        "citgit.protected": "refs/heads/main", "citgit.require": "check", "citgit.path": str(bin_),
        "receive.denyDeleteCurrent": "ignore",
    }.items():  # fmt: skip
        subprocess.run(["git", "-C", str(site.bare), "config", "--add", key, value], check=True)
    return site


def work(site: Site) -> None:
    """The agent builds what waits."""
    argv = ["-m", "citgit.programs.cit", "worker", "--agent", "lab1", "-C", str(site.top), "--own", "--once"]
    argv += ["--home", str(site.top.parent / "lab1"), "--no-doors"]
    subprocess.run([sys.executable, "-P", *argv], check=True, capture_output=True)


def test_a_protected_branch_moves_to_what_passed_alone(site: Site) -> None:
    """Not asked for, built by the pusher alone, by another config, failed: all refused; what an agent passed goes."""
    site.commit("bad", state_txt="bad")
    site.git("push", "-q", "--no-verify", "origin", "HEAD:review")
    push = ("push", "--no-verify", "origin", "HEAD:main")
    assert "job 'check' has not passed yet" in site.git(*push, status=1)
    site.cit("run", "check", "--here", status=1)
    assert "has not passed yet" in site.git(*push, status=1)
    site.git("checkout", "-q", "-b", "evil")
    site.commit("pass", cit_toml=CIT.replace('"grep", "-q", "good", "state.txt"', '"true"'))
    site.git("push", "-q", "--no-verify", "origin", "evil")
    site.git("checkout", "-q", "main")
    site.cit("run", "check", "--pool", "default", "--config-ref", "evil")
    work(site)
    assert site.cit("status", "check").out.count("passed") == 1
    assert "has not passed yet" in site.git(*push, status=1)
    site.cit("run", "check", "--pool", "default")
    assert site.cit("status", "HEAD", "--require", "check", status=75).status == 75
    work(site)
    assert "job 'check' did not pass" in site.git(*push, status=1)
    site.commit("good", state_txt="good")
    site.git("push", "-q", "--no-verify", "origin", "HEAD:review")
    site.cit("run", "check", "--pool", "default")
    work(site)
    assert site.cit("status", "HEAD", "--require", "check").status == 0
    assert site.cit("status", "HEAD", "--require", "check", "--require", "docs", status=75).status == 75
    site.git(*push)
    assert "it cannot be deleted" in site.git("push", "--no-verify", "origin", ":main", status=1)


def test_the_status_of_a_commit_is_that_of_all_its_jobs(site: Site) -> None:
    """One failed, all passed, one not over."""
    site.commit("bad", state_txt="bad")
    site.cit("run", "check", "docs", "--here", status=1)
    said = site.cit("status", "HEAD", status=1)
    assert {"check@main", "docs@main"} <= set(said.out.split())
    site.commit("good", state_txt="good")
    site.git("push", "-q", "--no-verify", "origin", "HEAD:review")
    site.cit("run", "check", "--here")
    assert site.cit("status", "HEAD").status == 0
    site.cit("run", "docs", "--pool", "default")
    assert site.cit("status", "HEAD", status=75).status == 75


def test_a_gate_wants_all_of_a_job(site: Site) -> None:
    """Each cell of its matrix, with no parameters but its own; and looks at one commit alone."""
    site.git("push", "-q", "--no-verify", "origin", "HEAD:review")
    gate = ("status", "HEAD", "--require", "many")
    site.cit("run", "many", "--pool", "default", "--set", "tests=none")
    work(site)
    assert "no agent was asked for 'many' at HEAD" in site.cit(*gate, status=75).err
    site.cit("run", "many", "--pool", "default")
    work(site)
    assert site.cit(*gate, status=1).out.count("many@main") == 2
    site.cit("run", "many", "--pool", "default", "--set", "tests=none")
    work(site)
    assert site.cit(*gate, status=1).out.count("many@main") == 2, "what somebody chose hides nothing"
    for options in (("-f",), ("--everywhere",), ("--started",), ("--since", "2026-01")):
        assert "about one commit alone" in site.cit(*gate, *options, status=2).err
    assert "about one commit alone" in site.cit("status", "--require", "many", status=2).err


def test_the_gate_beside_the_judgement_of_records(site: Site) -> None:
    """The hook that the docs show: the gate's word, and the judge's of a record that is none."""
    hooks = site.bare / "hooks"
    (hooks / "update").rename(hooks / "update-require-pass")
    told = (Path(__file__).parents[2] / "docs" / "notify.md").read_text()
    (hooks / "update").write_text(next(one for one in told.split("```\n") if one.startswith("#!/bin/sh")))
    (hooks / "update").chmod(0o755)
    judge = site.top.parent / "bin" / "cit-verify-push"
    judge.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m citgit.programs.verify_push "$@"\n')
    judge.chmod(0o755)
    site.commit("more")
    assert "has not passed yet" in site.git("push", "--no-verify", "origin", "HEAD:main", status=1)
    site.git("push", "-q", "--no-verify", "origin", "HEAD:review")
    junk = "HEAD:refs/cit/builds/default/0192b7f0-0000-7000-8000-000000000000"
    assert "cit: refused refs/cit/builds" in site.git("push", "--no-verify", "origin", junk, status=1)
