"""A state host that comes back from a backup, over real git: noticed, held, given back what it lost, let go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from programs.site import Site, make_site

CIT = '[job.check]\ncommand = ["true"]\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout whose host a test can put back to an old state, and an agent of the group's own."""
    made = make_site(tmp_path, monkeypatch, capsys, CIT)
    told = made.cit("worker", "--agent", "lab1", "--once", status=2).err
    made.commit("lab1", team_toml=(made.top / "team.toml").read_text() + told[told.index("\n[agent.") :])
    made.git("push", "-q", "--no-verify", "origin", "main")
    made.cit("policy", "publish")
    return made


def worker(site: Site, home: str = "home") -> list[dict[str, Any]]:
    """What lab1's worker says until nothing runs; it remembers in `home`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "citgit.programs.cit", "worker", "--agent", "lab1", "-C", str(site.top),
         "--home", str(site.top.with_name(home)), "--once", "--own", "--no-doors", "--json"],
        check=True, stdout=subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def kinds(events: list[dict[str, Any]], build: str = "") -> list[str]:
    """The kinds of the events, of one build or all."""
    return [one["event"] for one in events if not build or one["build"] == build]


def asked(site: Site) -> str:
    """A new request in the pool of lab1."""
    return str(site.cit("run", "check", "--pool", "default", "--json").documents[0]["build"])


def test_a_restored_host_gets_back_what_clones_remember(site: Site) -> None:
    """Policies, requests, results and archives of after the backup return; nothing is built meanwhile or twice."""
    first = asked(site)
    backup = site.bare.with_name("backup.git")
    shutil.copytree(site.bare, backup)
    assert "result" in kinds(worker(site), first)
    worker(site)
    site.cit("policy", "publish", "--seal")
    second, third = asked(site), asked(site)
    assert "result" in kinds(worker(site), second)
    fourth = asked(site)
    refs = ["git", "-C", str(site.bare), "for-each-ref", "--format=%(objectname) %(refname)", "refs/cit/archive"]
    archives = subprocess.run(refs, check=True, capture_output=True).stdout
    assert archives
    shutil.rmtree(site.bare)
    shutil.copytree(backup, site.bare)

    noticed = worker(site)
    assert any("nothing is claimed" in one["text"] for one in noticed if one["event"] == "alarm")
    assert not {"claimed", "started"} & set(kinds(noticed))
    told = site.cit("doctor", status=1).out
    assert "an admin runs 'cit restore'" in told

    held = site.cit("restore", "--why", "disk replaced")
    assert "policy 4 is in force" in held.out
    assert f"gave back refs/cit/builds/default/{fourth}" in held.out
    returned = worker(site)
    assert "claimed" not in kinds(returned)
    assert "all claims are held already" in site.cit("restore").out
    assert "holds all claims" in site.cit("doctor", status=1).out
    assert "policy 5 is in force" in site.cit("restore", "--release").out

    after = worker(site)
    assert "claimed" in kinds(after, fourth)
    assert not {"claimed", "started"} & {kind for one in (first, second) for kind in kinds(after, one)}
    worker(site)
    shown = {one["build"]: one["outcome"] for one in site.cit("status", "--all", "--json").documents}
    assert shown == dict.fromkeys((first, second, third, fourth), "passed")
    assert subprocess.run(refs, check=True, capture_output=True).stdout != archives
    told = site.cit("doctor", status=None).out
    assert [line for line in told.splitlines() if "WRONG" in line and "core.fsync" not in line] == []
    site.cit("verify", "--all")


def test_nothing_to_release(site: Site) -> None:
    """Lifting a hold that is none says so."""
    assert "'cit restore' begins" in site.cit("restore", "--release", status=3).err
