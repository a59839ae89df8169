"""The store in a directory keeps what it is given, under its digest, and says when it is damaged."""

import hashlib
from pathlib import Path

import pytest

from citgit.errors import NotFound, Refused
from citgit.stores.directory import DirectoryStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """An empty store."""
    return DirectoryStore(tmp_path / "store")


def kept(store: DirectoryStore, tmp_path: Path) -> str:
    """Keeps a file and returns its digest."""
    (tmp_path / "file").write_bytes(b"content")
    return store.put(tmp_path / "file")


def test_what_is_put_is_got_back(store: DirectoryStore, tmp_path: Path) -> None:
    """A file comes back byte for byte under its sha256, however often it was kept."""
    digest = kept(store, tmp_path)
    assert digest == hashlib.sha256(b"content").hexdigest() == kept(store, tmp_path)
    assert store.has(digest)
    store.get(digest, tmp_path / "below" / "back")
    assert (tmp_path / "below" / "back").read_bytes() == b"content"
    assert [one.name for one in (tmp_path / "store").iterdir()] == [digest[:2]]


def test_damage_is_noticed_and_writes_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    """Content that is not what its name says is refused, and the target stays as it was."""
    digest = kept(store, tmp_path)
    place = tmp_path / "store" / digest[:2] / digest[2:]
    place.chmod(0o600)
    place.write_bytes(b"other")
    (tmp_path / "back").write_text("before")
    with pytest.raises(Refused, match="damaged content"):
        store.get(digest, tmp_path / "back")
    assert (tmp_path / "back").read_text() == "before"


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "A" * 64])
def test_unknown_names_are_not_found(store: DirectoryStore, tmp_path: Path, name: str) -> None:
    """A name that is no digest never becomes a path."""
    with pytest.raises(NotFound):
        store.get(name, tmp_path / "back")


def test_what_is_not_there_cannot_be_kept(store: DirectoryStore, tmp_path: Path) -> None:
    """A missing file is an error, not an empty content."""
    with pytest.raises(NotFound, match="no file"):
        store.put(tmp_path / "absent")
