"""Artifacts are copies of regular files inside the workspace, whatever the build put there."""

import hashlib
import os
from pathlib import Path

import pytest

from citgit.model.job import Keep
from citgit.stores import collect as module
from citgit.stores.collect import collect
from citgit.stores.junit import Tally


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace."""
    (tmp_path / "work space").mkdir()
    return tmp_path / "work space"


def put(path: Path, text: str = "x") -> Path:
    """Writes a file and its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_matching_files_are_copied_with_digest_size_and_mode(workspace: Path, tmp_path: Path) -> None:
    """Each match is told by its path, in order, and its copy has the same bytes and executable bit."""
    put(workspace / "b/libz.a", "lib")
    put(workspace / "bin/cc", "tool").chmod(0o755)
    put(workspace / "other.txt")
    got = collect(workspace, tmp_path / "kept", Keep(artifacts=("**/*.a", "bin/cc")))
    assert [(one.path, one.size, one.executable) for one in got.artifacts] == [
        ("b/libz.a", 3, False),
        ("bin/cc", 4, True),
    ]
    assert got.artifacts[0].sha256 == hashlib.sha256(b"lib").hexdigest()
    assert (tmp_path / "kept/b/libz.a").read_text() == "lib"
    assert os.access(tmp_path / "kept/bin/cc", os.X_OK)
    assert os.stat(tmp_path / "kept/bin/cc").st_nlink == 1
    assert not (tmp_path / "kept/other.txt").exists()
    assert (got.missing, got.remarks, got.tests) == ((), (), None)


def test_patterns_without_a_match_are_named(workspace: Path, tmp_path: Path) -> None:
    """A pattern that finds nothing is told, the others count."""
    put(workspace / "a.h")
    got = collect(workspace, tmp_path / "kept", Keep(artifacts=("*.h", "*.so")))
    assert got.missing == ("*.so",)
    assert len(got.artifacts) == 1


def test_links_lead_nowhere(workspace: Path, tmp_path: Path) -> None:
    """Neither a link to a file nor one to a directory is followed, and what was left out is told."""
    secret = put(tmp_path / "secret/key", "s3cret")
    (workspace / "key").symlink_to(secret)
    (workspace / "dir").symlink_to(secret.parent)
    got = collect(workspace, tmp_path / "kept", Keep(artifacts=("key", "dir/key", "../secret/key", str(secret))))
    assert got.artifacts == ()
    assert got.remarks == ("left out 'key': it is a link",)
    assert not (tmp_path / "kept").exists()


def test_pipes_and_hidden_git_files_are_left_out(workspace: Path, tmp_path: Path) -> None:
    """A pipe does not hold the collector; the checkout's own .git is no product, unless it is named."""
    os.mkfifo(workspace / "pipe")
    put(workspace / ".git/config")
    got = collect(workspace, tmp_path / "kept", Keep(artifacts=("**",)))
    assert got.artifacts == ()
    assert got.remarks == ("left out 'pipe': not a regular file",)
    assert len(collect(workspace, tmp_path / "kept", Keep(artifacts=(".git/config",))).artifacts) == 1


@pytest.mark.parametrize("name", [b"a\nb.o", b"\xff.o", b"\x1b[2J.o", "\u202e.o".encode()])
def test_names_that_cannot_be_shown_are_left_out(workspace: Path, tmp_path: Path, name: bytes) -> None:
    """A name that a record or a terminal cannot hold as it is does not become an artifact."""
    with open(os.fsencode(workspace) + b"/" + name, "w"):
        pass
    got = collect(workspace, tmp_path / "kept", Keep(artifacts=("**",)))
    assert got.artifacts == ()
    assert "not printable" in got.remarks[0]
    assert got.remarks[0].isprintable()


def test_many_directories_are_all_seen(workspace: Path, tmp_path: Path) -> None:
    """More directories than a process may have open files are no obstacle."""
    for number in range(1200):
        (workspace / f"d{number}").mkdir()
    put(workspace / "d1199/x.o")
    got = collect(workspace, tmp_path / "kept", Keep(artifacts=("**/*.o",)))
    assert [one.path for one in got.artifacts] == ["d1199/x.o"]


def test_there_is_an_end_to_what_is_kept(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit files are left out, and told."""
    monkeypatch.setattr(module, "MOST_FILES", 2)
    for number in range(3):
        put(workspace / f"{number}.o")
    got = collect(workspace, tmp_path / "kept", Keep(artifacts=("*.o",)))
    assert [one.path for one in got.artifacts] == ["0.o", "1.o"]
    assert "'2.o'" in got.remarks[0]


def test_junit_reports_are_counted_together(workspace: Path, tmp_path: Path) -> None:
    """Suites, nested suites and several reports add up; failures and errors are named, and what took longest."""
    put(
        workspace / "r/a.xml",
        '<testsuites><testsuite><testcase classname="m" name="ok" time="0.25"/>'
        '<testcase classname="m" name="bad" time="1e999"><failure/>'
        '</testcase><testsuite><testcase name="in"><skipped/></testcase></testsuite></testsuite></testsuites>',
    )
    put(
        workspace / "r/b.xml", '<testsuite><testcase name="oops" time="2.5"><error message="x"/></testcase></testsuite>'
    )
    tests = collect(workspace, tmp_path / "kept", Keep(junit=("r/*.xml",))).tests
    assert tests is not None
    assert (tests.total, tests.failed, tests.skipped) == (4, 2, 1)
    assert tests.failures == ("m::bad", "oops")
    assert [(one.name, one.ms) for one in tests.slowest] == [("oops", 2500), ("m::ok", 250)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<html/>",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuite name="&a;"/>',
        "<testsuite>" * 20000,
    ],
)
def test_what_is_no_report_is_told_and_counts_nothing(workspace: Path, tmp_path: Path, text: str) -> None:
    """Damaged or hostile reports are named; they are no reason for the build to end differently."""
    put(workspace / "bad.xml", text)
    got = collect(workspace, tmp_path / "kept", Keep(junit=("*.xml",)))
    assert got.tests is None
    assert "cannot read report 'bad.xml'" in got.remarks[0]


def test_a_report_of_any_size_is_read_as_a_stream() -> None:
    """More than 16 MiB: everything is counted, the first failures and the slowest are named, nothing else is kept."""
    cases, block = 150_000, 1000

    def lot(begin: int) -> bytes:
        numbers = range(begin, begin + block)
        return b"".join(
            b'<testcase classname="suite.of.many" name="number %06d" time="%d"><system-out>%s</system-out>%s</testcase>'
            % (at, at == 77_777, b"said " * 9, b"<failure/>" if at % 1000 == 999 else b"")
            for at in numbers
        )

    size = len(lot(0)) + 10
    whole = [lot(at).ljust(size) for at in range(0, cases, block)]
    data = b"<testsuites><testsuite>" + b"".join(whole) + b"</testsuite></testsuites>"
    assert len(data) > 16 << 20
    tally = Tally()
    longest = 0

    def read(at: int, count: int) -> bytes:
        nonlocal longest
        longest = max(longest, count)
        return data[at : at + count]

    tally.add("r.xml", read)
    tests = tally.tests()
    assert tests is not None
    assert (tests.total, tests.failed, tests.skipped, tally.faults) == (cases, cases // 1000, 0, [])
    assert tests.failures == tuple(f"suite.of.many::number {at:06}" for at in range(999, 50_000, 1000))
    assert [(one.name, one.ms) for one in tests.slowest] == [("suite.of.many::number 077777", 1000)]
    assert longest <= 1 << 20


@pytest.mark.parametrize(
    ("begin", "endless", "words"),
    [
        (b"<testsuite>", b"<a>", "deep"),
        (b'<testsuite name="', b"a" * 1000, "a tag of more than"),
        (b"<testsuite>", None, "names of elements"),
    ],
)
def test_reports_without_end_are_refused_early(begin: bytes, endless: bytes | None, words: str) -> None:
    """What a parser would have to keep is bounded: depth, one tag, different names."""
    given = 0

    def read(at: int, count: int) -> bytes:
        nonlocal given
        given += count
        if not at:
            return begin
        if endless:
            return endless * (count // len(endless))
        return b"".join(b"<n%d/>" % number for number in range(at, at + 500))

    tally = Tally()
    tally.add("r.xml", read)
    assert words in tally.faults[0]
    assert tally.tests() is None
    assert given < 8 << 20
