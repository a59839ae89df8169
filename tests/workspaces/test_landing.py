"""What a node or a record says of a file must never reach beyond the folder that was chosen for it."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from citgit.errors import Refused
from citgit.model.plan import Input
from citgit.workspaces.landing import landing

DATA = b"what was kept\n"
SHA = hashlib.sha256(DATA).hexdigest()


def wanted(path: str, *, sha256: str = SHA, size: int = len(DATA)) -> Input:
    """A file to be had."""
    return Input(label="make@main", claim="0" * 40, node="lab1", path=path, sha256=sha256, size=size)


def land(top: Path, one: Input, data: bytes = DATA, *, resume: bool = True) -> None:
    """Writes it in two pieces, from where it was."""
    with landing(top, one, resume=resume) as file:
        rest = data[file.at :]
        file.write(rest[:5])
        file.write(rest[5:])


PATHS = [
    "", ".", "..", "/", "//", "/etc/passwd", "//etc/passwd", "../x", "../../x", "a/../x", "a/../../x", "./x", "a/./x",
    "a//x", "a/", "a/.", "a/..", "/..", "..//x", "~/../x/", ".git", ".git/config", ".git/hooks/post-checkout",
    "a/.git/config", ".GIT/config", ".Git/hooks/x", "a/.giT", "git~1/config", "GIT~1/hooks/x", ".git./config",
    ".git /config", ".git.. /x", "a\0b", "\0", "a\nb", "a\rb", "a\tb", "a\x1b[2Jb", "a\x7fb", "a\u202eb", "a\u200bb",
    "a\u2028b", "a\udc80b", "a/\0/b", "x" * 256, "a/" + "x" * 256, "\u00e9" * 128, "a/" * 2048 + "x", "a/b/" * 1500,
    "\ufeffx", "... /x", ". ", ".. ", "..../", "a/ ../", "a/... ", "a\u0085b", "a\u00a0/\u00a0", "\u3000", " ",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=ascii)
def test_hostile_paths(tmp_path: Path, path: str) -> None:
    """Each is refused, and nothing is made, neither there nor anywhere else."""
    top = tmp_path / "a" / "top"
    top.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Refused):
        land(top, wanted(path))
    assert sorted(tmp_path.rglob("*")) == before


def link_out(top: Path) -> None:
    """A folder on the way is a link that leads out."""
    (top / "out").symlink_to(top.parent)


def link_home(top: Path) -> None:
    """A folder on the way is a link to the top itself."""
    (top / "out").symlink_to(".")


def file_on_the_way(top: Path) -> None:
    """A folder on the way is a file."""
    (top / "out").write_text("mine")


def folder_in_the_way(top: Path) -> None:
    """The file is a folder."""
    (top / "out" / "a.txt" / "mine").mkdir(parents=True)


def part(top: Path) -> Path:
    """Where what came before a break is kept."""
    (top / "out").mkdir()
    return top / "out" / f".cit-{SHA[:32]}.part"


def part_is_a_link(top: Path) -> None:
    """What came before a break is a link to somebody's file."""
    (top.parent / "mine").write_text("")
    part(top).symlink_to(top.parent / "mine")


def part_has_two_names(top: Path) -> None:
    """What came before a break is somebody's file too."""
    (top.parent / "mine").write_text("")
    os.link(top.parent / "mine", part(top))


def part_is_a_pipe(top: Path) -> None:
    """What came before a break is a pipe."""
    os.mkfifo(part(top))


def part_is_a_socket(top: Path) -> None:
    """What came before a break is a socket."""
    place = part(top)
    here = os.getcwd()
    os.chdir(place.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(place.name)
    finally:
        os.chdir(here)


def part_is_a_folder(top: Path) -> None:
    """What came before a break is a folder."""
    part(top).mkdir()


@pytest.mark.parametrize(
    "trap",
    [link_out, link_home, file_on_the_way, folder_in_the_way, part_is_a_link, part_has_two_names, part_is_a_pipe,
     part_is_a_socket, part_is_a_folder],
)  # fmt: skip
def test_what_is_in_the_way(tmp_path: Path, trap: Callable[[Path], None]) -> None:
    """Links are not followed, and what is not ours to write is not written."""
    top = tmp_path / "top"
    top.mkdir()
    trap(top)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(Refused):
        land(top, wanted("out/a.txt"))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_link_in_its_place_is_replaced(tmp_path: Path) -> None:
    """Not what it leads to: the name is given anew."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "a.txt").symlink_to(tmp_path / "mine")
    land(tmp_path, wanted("a.txt"))
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "a.txt").read_bytes() == DATA


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    "data", [b"", DATA[:-1], DATA + b"x", DATA * 1000, b"x" * len(DATA), b"W" + DATA[1:]], ids=lambda one: f"{len(one)}"
)
def test_other_content(tmp_path: Path, data: bytes, resume: bool) -> None:
    """Too short, too long, or changed: it gets no name; what is wrong is not gone on from."""
    with pytest.raises(Refused):
        land(tmp_path, wanted("a.txt"), data, resume=resume)
    assert not (tmp_path / "a.txt").exists()
    land(tmp_path, wanted("a.txt"))
    assert (tmp_path / "a.txt").read_bytes() == DATA
    assert len(list(tmp_path.iterdir())) == 1


def test_a_break_is_gone_on_from(tmp_path: Path) -> None:
    """What came before it is not asked for again; if it was changed meanwhile, the end shows it."""
    for spoilt in (False, True):
        with suppress(KeyboardInterrupt), landing(tmp_path, wanted("a.txt"), resume=True) as file:
            file.write(DATA[:5])
            raise KeyboardInterrupt
        (left,) = tmp_path.glob(".cit-*")
        if not spoilt:
            land(tmp_path, wanted("a.txt"))
            assert (tmp_path / "a.txt").read_bytes() == DATA
            (tmp_path / "a.txt").unlink()
            continue
        left.write_bytes(b"WRONG")
        with pytest.raises(Refused, match="it was changed"):
            land(tmp_path, wanted("a.txt"))
        assert list(tmp_path.iterdir()) == []
