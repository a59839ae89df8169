"""Logs are read in the order of their marks and in bounded memory, whatever was written."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from citgit.errors import NotFound
from citgit.logs import read as lines_of
from citgit.logs.capture import About, Capture, read_about
from citgit.logs.local import LocalLog
from citgit.logs.read import LINE_BYTES, Line, follow
from citgit.model.record import Exit


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A component without output."""
    Capture().begin(tmp_path / "log", "", 1000)
    return tmp_path / "log"


def read(log: Path) -> Iterator[Line]:
    """The lines of the log's root."""
    return lines_of.read(LocalLog(log), "")


def tail(log: Path, count: int) -> list[Line]:
    """The last lines of the log's root."""
    return lines_of.tail(LocalLog(log), "", count)


def write(log: Path, ms: int, out: bytes = b"", err: bytes = b"") -> None:
    """What a command writes until the poll at `ms`."""
    for name, data in (("out", out), ("err", err)):
        with open(log / name, "ab") as file:
            file.write(data)
    Capture().mark(log, ms)


def shown(log: Path) -> list[tuple[int, str, str]]:
    """The lines as tuples."""
    return [(line.time_ms, line.stream, line.text) for line in read(log)]


def test_streams_are_merged_by_their_marks(log: Path) -> None:
    """A line has the time at which its end was seen; at the same time out comes first."""
    write(log, 10, out=b"one\n")
    write(log, 20, err=b"warn\n")
    write(log, 30, out=b"two\nthr", err=b"bad\n")
    write(log, 40, out=b"ee\n")
    assert shown(log) == [
        (10, "out", "one"), (20, "err", "warn"), (30, "out", "two"), (30, "err", "bad"), (40, "out", "three"),
    ]  # fmt: skip


def test_what_has_no_end_or_no_mark_is_there_too(log: Path) -> None:
    """Half a line at the end, empty lines, and output after the last mark are not lost."""
    write(log, 10, out=b"\n\na\r\nhalf")
    with open(log / "err", "ab") as file:
        file.write(b"unmarked\n")
    assert shown(log) == [
        (10, "out", ""), (10, "out", ""), (10, "out", "a\r"), (10, "err", "unmarked"), (10, "out", "half"),
    ]  # fmt: skip


def test_marks_are_written_only_when_something_changed(log: Path) -> None:
    """Polling a silent command costs no disk."""
    for ms in range(10):
        write(log, ms)
    write(log, 11, out=b"x\n")
    write(log, 12)
    assert (log / "times").read_text() == "11 2 0\n"


def test_a_half_written_mark_is_no_mark(log: Path) -> None:
    """After a crash in the middle of a mark the rest is read, and later marks count again."""
    write(log, 10, out=b"a\n")
    with open(log / "times", "ab") as file:
        file.write(b"20 99")
    with open(log / "out", "ab") as file:
        file.write(b"b\n")
    assert [text for _, _, text in shown(log)] == ["a", "b"]


@pytest.mark.parametrize("data", [b"x" * 50_000_000, b"\0" * 50_000_000, b"\xff\xfe" * 25_000_000])
def test_a_huge_line_is_cut_not_held(log: Path, data: bytes) -> None:
    """Of a line of 50 MB the beginning is kept, the rest counted, and memory stays flat."""
    write(log, 10, out=data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (line,) = read(log)
    (last,) = tail(log, 5)
    assert line.cut == len(data) - LINE_BYTES
    assert line.text == data[:LINE_BYTES].decode(errors="replace")
    assert len(last.text) <= LINE_BYTES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


@pytest.mark.parametrize("count", [0, 1, 2, 5, 100])
def test_the_tail_is_the_end_of_the_whole(log: Path, count: int) -> None:
    """The last lines are the same whether one reads everything or from the end."""
    for number in range(30):
        write(log, number * 10, out=f"out {number}\n".encode() * (number % 3), err=f"err {number}\n".encode())
    write(log, 999, out=b"no end")
    assert tail(log, count) == list(read(log))[-count or 10**6 :]


def test_the_tail_of_a_long_log_is_found_without_reading_it(log: Path) -> None:
    """The times at the end of a long log are right although its beginning is skipped."""
    with open(log / "times", "wb") as times, open(log / "out", "wb") as out:
        for number in range(50_000):
            out.write(f"{number:099d}\n".encode())
            times.write(f"{number * 7} {(number + 1) * 100} 0\n".encode())
    assert [(line.time_ms, int(line.text)) for line in tail(log, 2)] == [(49_998 * 7, 49_998), (49_999 * 7, 49_999)]


def test_no_log_has_no_tail_but_cannot_be_read(tmp_path: Path) -> None:
    """An attempt that never began has no last lines; who asks for its log is told."""
    assert tail(tmp_path / "none", 5) == []
    with pytest.raises(NotFound, match="no log"):
        list(read(tmp_path / "none"))


def test_following_tells_each_line_once_and_ends_with_the_component(log: Path) -> None:
    """Lines come as they get their marks, halves when they are whole, and the end comes with the component's."""
    steps = [
        lambda: write(log, 10, out=b"one\ntw"),
        lambda: write(log, 20, err=b"bad\n"),
        lambda: write(log, 30, out=b"o\nend"),
        lambda: Capture().finish(log, 2000, Exit(status=0), 10**6),
    ]
    followed = follow(LocalLog(log), "", lambda: False, lambda: steps.pop(0)())
    assert [(line.time_ms, line.text) for line in followed] == [(10, "one"), (20, "bad"), (30, "two"), (30, "end")]
    assert steps == []


def test_following_stops_when_asked(log: Path) -> None:
    """Who stops following gets what is there."""
    write(log, 10, out=b"one\nhalf")
    asked = iter([False, True])
    assert [line.text for line in follow(LocalLog(log), "", lambda: next(asked), lambda: None)] == ["one", "half"]


@pytest.mark.parametrize(
    ("out", "err", "kept"), [(50, 20, (50, 20)), (500, 20, (80, 20)), (20, 500, (20, 80)), (500, 500, (50, 50))]
)
def test_the_limit_cuts_the_longer_stream(log: Path, out: int, err: int, kept: tuple[int, int]) -> None:
    """Of two streams neither can push the other out, and the cut is noted."""
    write(log, 10, out=b"x" * out, err=b"y" * err)
    assert Capture().finish(log, 2000, Exit(status=1), 100) == (out + err > 100)
    assert ((log / "out").stat().st_size, (log / "err").stat().st_size) == kept
    assert '"version": 1' in (log / "component.json").read_text()
    about = read_about(log)
    assert about == About(started=1000, ended=2000, exit=Exit(status=1), truncated=out + err > 100)
