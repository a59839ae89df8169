"""Packed logs say what the unpacked ones said, whatever is in them, and survive every crash of the packing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from services import need

from citgit.errors import NotFound
from citgit.logs import pack as packing
from citgit.logs.capture import Capture
from citgit.logs.first_error import first_error
from citgit.logs.local import LocalLog
from citgit.logs.matchers import load
from citgit.logs.pack import LEAST, is_due, pack_log
from citgit.logs.packed import BLOCK
from citgit.logs.read import LINE_BYTES, Line, read, tail
from citgit.model.record import Exit

MATCHERS = load()

LINES = b"".join(b"cc -c -o build/part%d.o src/part%d.c\n" % (at, at) for at in range(5_000))
FAILING = LINES.replace(b"part3000.c\n", b"part3000.c\nsrc/part3000.c:7:12: error: 'x' undeclared\n")


def component(place: Path, out: bytes, err: bytes = b"", status: int = 2) -> Path:
    """A component that printed that and ended."""
    Capture().begin(place, place.name, 1000)
    with open(place / "times", "w") as times:
        times.writelines(f"{at} {size} 0\n" for at, size in enumerate(range(0, len(out), 9999)))
    (place / "out").write_bytes(out)
    (place / "err").write_bytes(err)
    Capture().mark(place, 10**6)
    Capture().finish(place, 10**7, Exit(status=status), 10**9)
    return place


def views(log: Path) -> tuple[list[Line], list[Line], list[tuple[str, int]]]:
    """All lines, the last ones, and the tree."""
    source = LocalLog(log)
    sizes = [(node.path, node.out + node.err) for node in source.nodes()]
    return list(read(source, "")), tail(source, "", 7), sizes


@pytest.mark.parametrize(
    "out",
    [FAILING, b"x" * (3 * BLOCK + 5), b"\n" * 90_000, bytes(range(256)) * 3000, b"y" * 2 * BLOCK + b"\nend"],
    ids=["lines", "one line", "empty lines", "binary", "a long one before the last"],
)
def test_packing_changes_nothing_that_is_read(tmp_path: Path, out: bytes) -> None:
    """Lines, times, tails and sizes are the same; the stream itself is gone."""
    log = component(tmp_path / "log", out, b"warned\n")
    component(log / "parts" / "lib", LINES, status=0)
    before = views(log)
    assert is_due(log)
    assert pack_log(log, MATCHERS) > 0
    assert not is_due(log)
    assert sorted(path.name for path in log.iterdir()) == [
        "component.json", "err", "index.json", "out.zst", "parts", "times",
    ]  # fmt: skip
    assert views(log) == before


def test_zstd_unpacks_it(tmp_path: Path) -> None:
    """The program that a person without citgit would use gives back the bytes."""
    if not shutil.which("zstdcat"):
        need("zstd")
    log = component(tmp_path / "log", FAILING, b"warned\n")
    pack_log(log, MATCHERS)
    done = subprocess.run(["zstdcat", log / "out.zst"], capture_output=True, check=True)
    assert done.stdout == FAILING


def test_a_short_stream_stays_as_it_is(tmp_path: Path) -> None:
    """What costs no less on disk is left readable with cat."""
    log = component(tmp_path / "log", b"x" * (LEAST - 1))
    assert not is_due(log)
    assert pack_log(log, MATCHERS) == 0
    assert (log / "out").stat().st_size == LEAST - 1


def test_an_error_in_the_middle_of_a_long_log_is_in_its_index(tmp_path: Path) -> None:
    """What neither the beginning nor the end shows is found when all of it is looked at."""
    fine = b"doing something that goes well with many words" * 8 + b"\n"
    fine *= 25_000
    text = fine + b"src/a.c:3:1: error: late\n  3 | int\n" + fine + b"make: *** [Makefile:2: all] Error 1\n"
    log = component(tmp_path / "log", text)
    before = first_error(LocalLog(log), MATCHERS)
    assert before is not None
    assert before.message.startswith("[Makefile:2")
    pack_log(log, MATCHERS)
    index = LocalLog(log).index("")
    assert index is not None
    assert [(one.number, one.at) for one in index.failing] == [(25_001, len(fine)), (50_003, text.index(b"make:"))]
    found = first_error(LocalLog(log), MATCHERS)
    assert found is not None
    assert (found.file, found.line, found.message) == ("src/a.c", 3, "late")
    assert found.context[3:5] == ("src/a.c:3:1: error: late", "  3 | int")


def test_of_a_line_without_end_the_end_is_shown_last(tmp_path: Path) -> None:
    """The last of one very long line is its end, and says that its beginning is not there."""
    log = component(tmp_path / "log", b"a" * 5 * BLOCK + b"the end")
    for _ in range(2):
        (line,) = tail(LocalLog(log), "", 3)
        assert line.late
        assert len(line.text) == LINE_BYTES
        assert line.text.endswith("the end")
        pack_log(log, MATCHERS)


@pytest.mark.parametrize("call", ["_write_index", "_pack_stream", "replace", "unlink"])
def test_a_crash_while_packing_loses_nothing(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the packing died at, the log reads as before, and packing again ends it."""
    log = component(tmp_path / "log", LINES, FAILING)
    before = views(log)

    def die(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing if call.startswith("_") else Path, call, die)
        with pytest.raises(KeyboardInterrupt):
            pack_log(log, MATCHERS)
    assert views(log) == before
    pack_log(log, MATCHERS)
    assert views(log) == before
    assert not (log / "out").exists()


@pytest.mark.parametrize("damage", [b"", b"x" * 20, b"\xb1\xea\x92\x8f" * 4])
def test_a_damaged_packed_log_is_an_error_with_words(tmp_path: Path, damage: bytes) -> None:
    """A packed stream that is not one has no lines, and says so."""
    log = component(tmp_path / "log", LINES)
    pack_log(log, MATCHERS)
    whole = (log / "out.zst").read_bytes()
    (log / "out.zst").write_bytes(damage)
    with pytest.raises(NotFound, match="packed log"):
        LocalLog(log).read("", "out", 0, 1)
    (log / "out.zst").write_bytes(whole[:50] + b"\0" * 500 + whole[550:])
    with pytest.raises(NotFound, match="frame 0"):
        list(read(LocalLog(log), ""))


def test_nothing_that_a_build_planted_is_followed(tmp_path: Path) -> None:
    """Links in the place of streams and of our own files neither lead out nor stop the others."""
    log = component(tmp_path / "log", LINES)
    part = component(log / "parts" / "evil", LINES)
    victim = tmp_path / "victim"
    victim.write_bytes(b"z" * LEAST * 2)
    (part / "err").unlink()
    (part / "err").symlink_to(victim)
    (part / "index.json").symlink_to(victim)
    component(log / "parts" / "fine", LINES)
    pack_log(log, MATCHERS)
    assert (log / "parts" / "fine" / "out.zst").is_file()
    assert (part / "out").read_bytes() == LINES
    (part / "err").unlink()
    (part / "err").touch()
    pack_log(log, MATCHERS)
    assert victim.read_bytes() == b"z" * LEAST * 2
    assert not (part / "index.json").is_symlink()
