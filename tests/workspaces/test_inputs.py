"""Artifacts from upstream builds: verified, and never outside of the workspace whatever names and links say."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from citgit.errors import CitError, Errored, NotFound, Refused
from citgit.model.plan import Input
from citgit.workspaces.inputs import bring, find

CLAIM = "c" * 40


def kept(home: Path, path: str, content: bytes, label: str = "lib", claim: str = CLAIM) -> Input:
    """A file among the artifacts of an attempt, and the input that names it."""
    target = home / "attempts" / claim / "artifacts" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Input(label=label, claim=claim, node="n", path=path, sha256=digest, size=len(content), executable=True)


def space(tmp_path: Path) -> Path:
    """A workspace."""
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def test_a_file_comes_to_where_it_was(tmp_path: Path) -> None:
    """Folders are made, the mode is kept, a file of the checkout is replaced; a worker beside this one may have it."""
    one = kept(tmp_path / "lab2", "lib/libgreet.a", b"archive")
    workspace = space(tmp_path)
    (workspace / "lib").mkdir()
    (workspace / "lib" / "libgreet.a").write_text("old")
    two = kept(tmp_path / "lab1", "bin/cc", b"")
    bring([tmp_path / "lab1", tmp_path / "lab2"], workspace, [one, two])
    assert (workspace / "lib" / "libgreet.a").read_bytes() == b"archive"
    assert (workspace / "bin" / "cc").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in workspace.rglob("*")) == ["bin", "cc", "lib", "libgreet.a"]


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", ".git/hooks/post-checkout", "a//b", "a\nb", "", "."])
def test_a_name_that_leads_elsewhere_is_not_found(tmp_path: Path, path: str) -> None:
    """Whatever a result says: only plain names below the workspace, and none of git's own files."""
    one = Input(label="lib", claim=CLAIM, node="n", path=path, sha256="0" * 64, size=0)
    (tmp_path / "attempts" / CLAIM / "artifacts").mkdir(parents=True)
    assert find([tmp_path], one) is None
    with pytest.raises(NotFound):
        bring([tmp_path], space(tmp_path), [one])


def test_a_claim_that_is_no_oid_is_not_looked_for(tmp_path: Path) -> None:
    """A claim is a name from a record, and names never become paths."""
    (tmp_path / "x").write_bytes(b"")
    one = Input(label="lib", claim="../..", node="n", path="x", sha256="0" * 64, size=0)
    assert find([tmp_path / "attempts"], one) is None


def test_a_link_in_the_checkout_is_not_followed(tmp_path: Path) -> None:
    """A folder of the checkout that is a link cannot lead the file out; a link in its place is replaced."""
    outside = tmp_path / "outside"
    outside.mkdir()
    one = kept(tmp_path, "lib/libgreet.a", b"archive")
    workspace = space(tmp_path)
    (workspace / "lib").symlink_to(outside)
    with pytest.raises(Refused, match="'lib'"):
        bring([tmp_path], workspace, [one])
    assert list(outside.iterdir()) == []
    (workspace / "lib").unlink()
    (workspace / "lib").mkdir()
    (workspace / "lib" / "libgreet.a").symlink_to(outside / "x")
    bring([tmp_path], workspace, [one])
    assert not (workspace / "lib" / "libgreet.a").is_symlink()
    assert list(outside.iterdir()) == []


def test_changed_content_is_refused(tmp_path: Path) -> None:
    """The digest of the result decides; nothing of the file stays."""
    one = kept(tmp_path, "libgreet.a", b"archive")
    (tmp_path / "attempts" / CLAIM / "artifacts" / "libgreet.a").write_bytes(b"ARCHIVE")
    workspace = space(tmp_path)
    with pytest.raises(Refused, match="was changed"):
        bring([tmp_path], workspace, [one])
    assert list(workspace.iterdir()) == []


def test_two_builds_that_disagree_are_an_error(tmp_path: Path) -> None:
    """Two upstream builds may make the same file, but not two files of one name."""
    one = kept(tmp_path, "config.h", b"#define A")
    same = kept(tmp_path, "config.h", b"#define A", "other", "d" * 40)
    bring([tmp_path], space(tmp_path), [one, same])
    other = kept(tmp_path, "config.h", b"#define B", "other", "e" * 40)
    with pytest.raises(CitError) as caught:
        bring([tmp_path], tmp_path / "workspace", [one, other])
    assert isinstance(caught.value, Errored)
    assert "from lib and from other" in caught.value.message
