"""A build writes into the parts of its log what it likes: nothing of it ends or misleads whoever reads them."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from pathlib import Path

import msgspec
import pytest
import zstandard

from citgit.errors import NotFound
from citgit.logs.capture import Capture, read_about
from citgit.logs.first_error import first_error
from citgit.logs.local import LocalLog
from citgit.logs.matchers import load
from citgit.logs.pack import pack_log
from citgit.logs.read import read, tail, watch
from citgit.logs.sections import mark_off
from citgit.logs.tree import recorded
from citgit.model.log import LogNode
from citgit.model.record import Exit

MOST = 2**53


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with two parts that ended."""
    log = tmp_path / "log"
    Capture().begin(log, "", 1000)
    for name in ("bad", "good"):
        place = log / "parts" / name
        Capture().begin(place, name, 1000 + len(name))
        (place / "out").write_text(f"::group::{name}s\nx.c:1:1: error: {name}\n")
        Capture().finish(place, 2000, Exit(status=1), 10**6)
    return log


def read_all(log: Path) -> list[LogNode]:
    """Everything that is done with a log before its result and in a report; what is told must fit into a record."""
    mark_off(log)
    source = LocalLog(log)
    nodes = source.nodes()
    msgspec.json.encode(nodes)
    for node in nodes:
        with contextlib.suppress(NotFound):
            assert all(0 <= line.time_ms < MOST for line in [*read(source, node.path), *tail(source, node.path, 5)])
        source.index("" if node.stream else node.path)
    assert all(0 <= one.ms < MOST for one in recorded(nodes))
    assert first_error(source, load())
    return nodes


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\x1b[2J", b"a\nb", "\u202eltr".encode(), b"\x7f"])
def test_names_that_cannot_be_shown_are_no_parts(log: Path, name: bytes) -> None:
    """Neither bytes that are no UTF-8 nor characters that nobody sees; the other parts are there."""
    (log / "parts" / "bad").rename(os.fsdecode(os.fsencode(log / "parts") + b"/" + name))
    assert [node.path for node in read_all(log) if not node.stream] == ["", "good"]


@pytest.mark.parametrize(
    "about",
    [
        b'{"started": 1%s, "ended": 2}' % (b"0" * 30),
        b'{"started": -1, "ended": 2}',
        b'{"ended": 1, "exit": {"status": 1%s}}' % (b"0" * 18),
        b'{"ended": 1, "exit": {"signal": "%s"}}' % (b"S" * 999),
        b'{"ended": 1, "cpu_ms": 1%s}' % (b"0" * 17),
        b'{"name": "\xff"}',
        b"[" * 60_000,
        b'{"more": %s}' % (b"[" * 60_000),
    ],
)
def test_what_a_part_says_of_itself_is_bounded(log: Path, about: bytes) -> None:
    """A damaged description is as good as none."""
    (log / "parts" / "bad" / "component.json").write_bytes(about)
    assert not read_about(log / "parts" / "bad").ended
    assert {"", "bad", "good"} <= {node.path for node in read_all(log)}


def test_times_are_bounded(log: Path) -> None:
    """Numbers without end are no marks, and a line without end is not read to it."""
    times = log / "parts" / "bad" / "times"
    times.write_text(f"1{'0' * 20} 99 0\n1{'0' * 15} 99 0\n7 99 0\n")
    read_all(log)
    assert {line.time_ms for line in read(LocalLog(log), "bad")} == {7}
    times.write_bytes(b"1" * (8 << 20))
    source = LocalLog(log)
    asked = []
    kept = source.read
    source.read = lambda path, name, at, count: asked.append(count) or kept(path, name, at, count)  # type: ignore
    assert list(read(source, "bad"))
    assert sum(asked) < 1 << 20


INDEXES = [
    {"block": 0, "out": [0]}, {"block": -1}, {"block": 2**80}, {"block": 1 << 20, "out": [-1]},
    {"block": 1 << 20, "failing": [{"stream": "out", "at": -5, "number": 1, "rank": 0}]},
    {"block": 1 << 20, "failing": [{"stream": "times", "at": 0, "number": 1, "rank": 0}]},
    {"block": 1 << 20, "failing": [{"stream": "out", "at": 2**70, "number": 1, "rank": 0}]},
    {"block": 1 << 20, "failing": [{"stream": "out", "at": 0, "number": 1, "rank": -3}]},
]  # fmt: skip


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_an_index_that_the_build_wrote_is_not_believed(log: Path, index: dict[str, object]) -> None:
    """Whatever is in it, also where it was planted after the end."""
    (log / "parts" / "bad" / "out").write_text("x" * (1 << 20))
    (log / "parts" / "bad" / "index.json").write_text(json.dumps(index))
    read_all(log)
    assert LocalLog(log).index("bad") is None


SECTIONS = [
    {"path": "s", "within": "", "stream": "times", "end": 9}, {"path": "s", "within": "", "stream": "out", "begin": -9},
    {"path": "s", "within": "", "stream": "out", "begin": 2**70}, {"path": "\x1b[2J", "within": "", "stream": "out"},
    {"path": "s", "within": "../..", "stream": "out", "end": 9}, {"path": "s", "within": "s", "stream": "out"},
    {"path": "", "within": "", "stream": "out"}, {"path": "s", "within": "", "stream": "", "started": 1},
]  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_sections_that_the_build_wrote_are_bounded(log: Path, section: dict[str, object]) -> None:
    """They lead nowhere, and no reader falls over them."""
    (log / "sections.json").write_text(json.dumps({"sections": [section]}))
    source = LocalLog(log)
    assert all(node.path.isprintable() for node in source.nodes())
    assert first_error(source, load())
    for node in source.nodes():
        assert tail(source, node.path, 3) or node.stream or not node.path


def zst(claimed: int, content: bytes) -> bytes:
    """A packed stream of one frame whose table says that it holds `claimed` bytes."""
    table = struct.pack("<II", len(content), claimed) + struct.pack("<IBI", 1, 0, 0x8F92EAB1)
    return content + struct.pack("<II", 0x184D2A5E, len(table)) + table


BOMB = b"\x28\xb5\x2f\xfd\xe0" + (2**60).to_bytes(8, "little") + b"\x01\x00\x00"
"""A frame that says that it holds 2^60 bytes."""


@pytest.mark.parametrize(
    "packed", [b"", b"junk" * 9, zst(9, BOMB), zst(64 << 20, BOMB), zst(5, zstandard.compress(b"x" * 9))],
    ids=["empty", "junk", "bomb", "large bomb", "another size"],
)  # fmt: skip
def test_a_packed_stream_that_the_build_wrote(log: Path, packed: bytes) -> None:
    """One that is none, or unpacks to something else than it says, is as good as none."""
    (log / "parts" / "bad" / "out").unlink()
    (log / "parts" / "bad" / "out.zst").write_bytes(packed)
    read_all(log)
    assert tail(LocalLog(log), "bad", 5) == []
    assert {path for path, _ in filter(None, watch(LocalLog(log), lambda: True))} == {"good"}


def test_what_citgit_makes_of_an_ended_log_is_nobody_else_s(log: Path, tmp_path: Path) -> None:
    """Its files go when the command ends, also in parts; a folder or a link in their place harms nothing."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for place in (log, log / "parts" / "bad"):
        for name in ("index.json", "sections.json", "out.zst"):
            (place / name).write_text("{}")
        (place / "err.zst").symlink_to(victim)
    (log / "parts" / "good" / "index.json").mkdir()
    Capture().finish(log, 3000, Exit(status=1), 10**6)
    names = {"out", "err", "times", "component.json", "parts"}
    assert set(os.listdir(log / "parts" / "bad")) <= names
    assert set(os.listdir(log)) <= names
    assert victim.read_text() == "mine"
    (log / "parts" / "good" / "out").write_text("x\n" * 99_999)
    read_all(log)
    pack_log(log, load())
    read_all(log)


def test_a_tree_that_is_too_deep_or_shut(log: Path) -> None:
    """Paths longer than a path may be, and parts that the build closed to everybody."""
    top = os.open(log / "parts" / "bad", os.O_RDONLY)
    for depth in range(20):
        for name in ("parts", f"{depth}" * 120):
            os.mkdir(name, dir_fd=top)
            below = os.open(name, os.O_RDONLY, dir_fd=top)
            os.close(top)
            top = below
        for name in ("component.json", "out", "times"):
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=top))
    os.close(top)
    (log / "parts" / "good" / "times").chmod(0)
    (log / "parts" / "good" / "parts").mkdir(exist_ok=True)
    (log / "parts" / "good" / "parts").chmod(0)
    Capture().parts(log, 9)
    assert {"bad", "good"} <= {node.path for node in read_all(log)}


def test_a_damaged_part_keeps_no_other_from_its_sections(log: Path) -> None:
    """What cannot be read of one is passed over."""
    (log / "parts" / "bad" / "out").unlink()
    os.mkfifo(log / "parts" / "bad" / "out")
    assert "good/goods" in {node.path for node in read_all(log)}
