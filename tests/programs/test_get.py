"""`cit get`: what a build kept is copied, checked, and never outside of where it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = """\
[job.make]
command = ["sh", "-c", "mkdir -p out/bin; echo text > out/a.txt; echo prog > out/bin/run; chmod +x out/bin/run"]
keep.artifacts = ["out/**"]

[job.none]
command = ["true"]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout whose job `make` was built here."""
    site = make_site(tmp_path, monkeypatch, capsys, CIT)
    site.cit("run", "make", "none", "--here")
    return site


def test_what_was_kept_is_copied(site: Site, tmp_path: Path) -> None:
    """All of it or what matches, under its path, executable if it was; `--list` copies nothing."""
    to = tmp_path / "to"
    listed = site.cit("get", "make", "--list", "--json").documents
    assert [(one["path"], one["size"]) for one in listed] == [("out/a.txt", 5), ("out/bin/run", 5)]
    assert not to.exists()
    assert site.cit("get", "make", "out/bin/*", "--to", str(to)).out == f"{to}/out/bin/run\n"
    assert not (to / "out" / "a.txt").exists()
    assert "1 file already there" in site.cit("get", "make", "--to", str(to), status=2).err
    site.cit("get", "make", "--to", str(to), "--force")
    assert (to / "out" / "a.txt").read_text() == "text\n"
    assert (to / "out" / "bin" / "run").stat().st_mode & 0o111


def test_what_cannot_be_had_is_named(site: Site, tmp_path: Path) -> None:
    """Nothing kept, nothing that matches, changed or gone from the node: each says so, and leaves nothing behind."""
    to = tmp_path / "to"
    assert "kept no artifacts" in site.cit("get", "none", "--to", str(to), status=2).err
    assert "matches 'x*'" in site.cit("get", "make", "x*", "--to", str(to), status=2).err
    (kept,) = (tmp_path / "citgit").glob("workers/*/attempts/*/artifacts/out/a.txt")
    kept.chmod(0o644)
    kept.write_text("evil\n")
    assert "it was changed" in site.cit("get", "make", "out/a.txt", "--to", str(to), status=3).err
    kept.unlink()
    said = site.cit("get", "make", "out/a.txt", "--to", str(to), status=2).err
    assert "not on this machine" in said
    assert "scp -r -- " in said
    assert not (to / "out" / "a.txt").exists()
