"""Reports: real builds of hostile projects become pages that hold nothing but text, links and plots."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages.parsed import assert_harmless, pages
from programs.site import Site, make_site

CIT = r"""
[job.check]
command = ["true"]

[job.lib]
command = ["true"]

[job.app]
command = ["sh", "-c", "printf '<script>alert(1)</script>\\n\\033]8;;http://evil.example\\a\\xe2\\x80\\xaeabc\\n'; echo 'x.c:3:1: error: <img src=x onerror=alert(2)>' >&2; exit 1"]
after.lib = {}
matrix.cc = ["gcc", "clang"]
"""  # noqa: E501

BRANCH = "<b>&amp;'\"@x"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A checkout with a passed job and a pipeline that fails, on a branch with a name to be afraid of."""
    with pytest.MonkeyPatch.context() as patch:
        site = make_site(tmp_path_factory.mktemp("report"), patch, None, CIT)
        site.cit("run", "check", "--here")
        site.git("checkout", "-q", "-b", BRANCH)
        site.cit("run", "app", "--here", status=1)
        yield site


def report(project: Site, out: Path) -> dict[str, Any]:
    """Runs `cit report --json`; what it says."""
    return project.cit("report", "--out", str(out), "--json").documents[0]


def test_pages_hold_nothing_that_runs_or_loads(project: Site, tmp_path: Path) -> None:
    """No script, handler, style or address that came from a build; every link leads to a page of the report."""
    said = report(project, tmp_path / "out")
    assert (said["builds"], said["pages"], said["jobs"]) == (4, 4, 3)
    assert_harmless(tmp_path / "out")


def test_what_failed_is_first(project: Site, tmp_path: Path) -> None:
    """The page of a red build starts with the first error and its place, as text."""
    report(project, tmp_path / "out")
    red = [page for page in pages(tmp_path / "out").values() if "First error x.c:3" in page.text]
    assert len(red) == 2
    for page in red:
        assert page.text.index("<img src=x onerror=alert(2)>") < page.text.index("<script>alert(1)</script>")
        assert "Pipeline" in page.text
        assert BRANCH in page.text


def test_only_what_changed_is_written_again(project: Site, tmp_path: Path) -> None:
    """A second report writes no page of a build; one more build brings one page, and its job's."""
    out = tmp_path / "out"
    report(project, out)
    said = report(project, out)
    assert (said["pages"], said["jobs"]) == (0, 0)
    project.cit("run", "check", "--here")
    said = report(project, out)
    assert (said["builds"], said["pages"], said["jobs"]) == (5, 1, 1)
    (out / ".known.json").write_text("{")
    assert report(project, out)["pages"] == 5


def test_other_peoples_files_are_left_alone(project: Site, tmp_path: Path) -> None:
    """A directory with something else in it is no place for a report."""
    (tmp_path / "notes.txt").write_text("mine")
    said = project.cit("report", "--out", str(tmp_path), status=2)
    assert "holds other files" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_report_can_be_kept_in_the_repository(project: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of docs/reports.md put it on a branch; what comes back from there is brought up to date."""
    monkeypatch.chdir(project.top)
    report(project, project.top / "report")
    words = (Path(__file__).parents[2] / "docs/reports.md").read_text()
    commands = next(part.partition("```")[0] for part in words.split("```sh\n")[1:] if "commit-tree" in part)
    before = project.git("status", "--porcelain", "--untracked-files=no")
    subprocess.run(["sh", "-eu", "-c", commands], check=True, cwd=project.top)
    assert project.git("status", "--porcelain", "--untracked-files=no") == before
    kept = tmp_path / "kept"
    subprocess.run(["git", "clone", "-q", "-b", "pages", str(project.bare), str(kept)], check=True)
    assert (kept / "index.html").read_bytes() == (project.top / "report/index.html").read_bytes()
    assert_harmless(kept)
    shutil.rmtree(kept / ".git")
    assert report(project, kept)["pages"] == 0
