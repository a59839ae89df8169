"""Reports: real builds of hostile projects become pages that hold nothing but text, links and plots."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from citgit.programs.cit import main

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


class Page(HTMLParser):
    """What a browser would see: elements, attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkout with a passed job and a pipeline that fails, on a branch with a name to be afraid of."""
    home = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "HOME": str(home), "CITGIT_HOME": str(home / "citgit"), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "anna@example.org", "GIT_COMMITTER_NAME": "anna",
            "GIT_COMMITTER_EMAIL": "anna@example.org",
        }.items():  # fmt: skip
            patch.setenv(key, value)
        top = home / "project"
        top.mkdir()
        git(top, "init", "-q", "-b", "main")
        (top / "cit.toml").write_text(CIT)
        git(top, "add", "cit.toml")
        git(top, "commit", "-q", "-m", "first")
        assert main(["init", "-C", str(top), "--name", "anna"]) == 0
        assert main(["run", "check", "-C", str(top), "--here"]) == 0
        git(top, "checkout", "-q", "-b", BRANCH)
        assert main(["run", "app", "-C", str(top), "--here"]) == 1
        yield top


def git(top: Path, *argv: str) -> None:
    """git in the checkout."""
    subprocess.run(["git", "-C", str(top), *argv], check=True, capture_output=True)


def report(capsys: pytest.CaptureFixture[str], project: Path, out: Path) -> dict[str, object]:
    """Runs `cit report --json`; what it says."""
    capsys.readouterr()
    assert main(["report", "-C", str(project), "--out", str(out), "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def pages(out: Path) -> dict[Path, Page]:
    """All pages of a report."""
    return {path: Page(path.read_text()) for path in out.rglob("*.html")}


def test_pages_hold_nothing_that_runs_or_loads(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No script, handler, style or address that came from a build; every link leads to a page of the report."""
    said = report(capsys, project, tmp_path / "out")
    assert (said["builds"], said["pages"], said["jobs"]) == (4, 4, 3)
    for path, page in pages(tmp_path / "out").items():
        assert any("default-src 'none'" in (attrs.get("content") or "") for tag, attrs in page.tags if tag == "meta")
        for tag, attrs in page.tags:
            assert tag not in ("script", "img", "iframe", "object", "embed", "form", "b", "base", "style"), path
            assert not [name for name in attrs if name.startswith("on") or name == "style"], path
            for name in ("href", "src"):
                target = attrs.get(name)
                if target and not target.startswith("#"):
                    assert (path.parent / target).exists(), f"{path}: {target}"
        assert not any((ord(one) < 32 and one not in "\n\t") or one in "\u202e\u200b" for one in page.text), path


def test_what_failed_is_first(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page of a red build starts with the first error and its place, as text."""
    report(capsys, project, tmp_path / "out")
    red = [page for path, page in pages(tmp_path / "out").items() if "First error x.c:3" in page.text]
    assert len(red) == 2
    for page in red:
        assert page.text.index("<img src=x onerror=alert(2)>") < page.text.index("<script>alert(1)</script>")
        assert "Pipeline" in page.text
        assert BRANCH in page.text


def test_only_what_changed_is_written_again(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second report writes no page of a build; one more build brings one page, and its job's."""
    out = tmp_path / "out"
    report(capsys, project, out)
    said = report(capsys, project, out)
    assert (said["pages"], said["jobs"]) == (0, 0)
    assert main(["run", "check", "-C", str(project), "--here"]) == 0
    said = report(capsys, project, out)
    assert (said["builds"], said["pages"], said["jobs"]) == (5, 1, 1)
    (out / ".known.json").write_text("{")
    assert report(capsys, project, out)["pages"] == 5


def test_other_peoples_files_are_left_alone(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory with something else in it is no place for a report."""
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["report", "-C", str(project), "--out", str(tmp_path)]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
