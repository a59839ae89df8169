"""`cit run --here`: what the machine lacks is said at once, and what it builds is trusted as its checkout trusts."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = """\
[job.easy]
command = ["true"]

[job.hard]
command = ["true"]
requires = { tools = ["no-such-tool-here"], memory = "900 TiB" }

[job.after-hard]
command = ["true"]
after.hard = {}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout with a job that this machine can build, and two that it cannot."""
    return make_site(tmp_path, monkeypatch, capsys, CIT)


@pytest.mark.parametrize("job", ["hard", "after-hard"])
def test_what_is_lacking_is_told_and_nothing_asked(site: Site, job: str) -> None:
    """Also what a job of the pipeline needs that comes first."""
    said = site.cit("run", job, "--here", status=2).err
    assert "job 'hard' needs memory >= 900 TiB" in said
    assert "tool no-such-tool-here (missing)" in said
    assert site.cit("status", "--all").out == ""


def test_the_other_jobs_are_built(site: Site) -> None:
    """Without a name all jobs are wished for: those that can be built here are, the others are named."""
    answer = site.cit("run", "--here")
    assert "easy passed" in answer.out
    assert "left out, since this machine cannot build it: job 'hard' needs" in answer.err
    assert [one["job"] for one in site.cit("status", "--all", "--json").documents] == ["easy"]


def test_what_reads_the_builds_trusts_the_same_root(site: Site, tmp_path: Path) -> None:
    """The store that `cit-serve` reads beside the builds has the checkout's pinned root: it never takes the host's."""
    site.cit("run", "easy", "--here")
    (store,) = (tmp_path / "citgit").glob("workers/*/state.git")
    pinned = site.git("config", "citgit.root")
    assert pinned
    assert site.git("--git-dir", str(store), "config", "citgit.root") == pinned
