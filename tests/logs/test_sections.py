"""Parts that output marks off: real forms of GitHub, GitLab, TeamCity, ninja and ctest, nested, open, hostile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from citgit.logs.capture import Capture
from citgit.logs.first_error import first_error
from citgit.logs.local import LocalLog
from citgit.logs.matchers import load
from citgit.logs.pack import pack_log
from citgit.logs.read import read, tail
from citgit.logs.sections import mark_off
from citgit.model.record import Exit

GITHUB = "before\n::group::Install it\nget\n::endgroup::\nbetween\n##[group]Test/unit\nrun\n##[endgroup]\nafter\n"
GITLAB = (
    "\x1b[0Ksection_start:1700000000:build[collapsed=true]\r\x1b[0KBuilding\nmake\n"
    "\x1b[0Ksection_start:1700000005:inner\r\x1b[0KInner\ndeep\n\x1b[0Ksection_end:1700000006:inner\r\x1b[0K\n"
    "\x1b[0Ksection_end:1700000009:build\r\x1b[0K\nend\n"
)
TEAMCITY = (
    "##teamcity[blockOpened name='Compile |'x|'']\ncc\n##teamcity[testSuiteStarted name='unit']\nok\n"
    "##teamcity[testSuiteFinished name='unit']\n##teamcity[blockClosed name='Compile |'x|'']\n"
)
NINJA = (
    "[1/4] Building C object CMakeFiles/a.dir/a.c.o\n[2/4] Building C object CMakeFiles/b.dir/b.c.o\n"
    "FAILED: CMakeFiles/b.dir/b.c.o \ncc -c b.c\nb.c:1:1: error: bad\n[3/4] Linking C executable a\n"
    "ninja: build stopped: subcommand failed.\n"
)
CTEST = (
    "Test project /w/build\n      Start  1: parses\n 1/3 Test  #1: parses ..........   Passed    0.01 sec\n"
    "      Start  2: adds\n 2/3 Test  #2: adds ............***Failed    0.01 sec\ntests/adds.c:9:one:FAIL: no\n\n"
    "      Start  3: waits\n 3/3 Test  #3: waits ...........***Timeout   9.00 sec\n\n33% tests passed, 2 tests failed"
    " out of 3\n\nThe following tests FAILED:\n\t  2 - adds (Failed)\n"
)


def parts(tmp_path: Path, text: str, packed: bool = False) -> dict[str, str]:
    """The text of each part that the output marks off."""
    log = tmp_path / "log"
    Capture().begin(log, "", 1_700_000_000_000)
    (log / "out").write_text(text)
    Capture().mark(log, 500)
    Capture().finish(log, 1_700_000_010_000, Exit(status=1), 10**9)
    mark_off(log)
    if packed:
        pack_log(log, load())
    source = LocalLog(log)
    return {node.path: "\n".join(line.text for line in read(source, node.path)) for node in source.nodes() if node.path}


def test_groups_of_github_and_azure(tmp_path: Path) -> None:
    """Each group is a part; what is around them is none."""
    assert parts(tmp_path, GITHUB) == {"Install it": "::group::Install it\nget", "Test:unit": "##[group]Test/unit\nrun"}


def test_sections_of_gitlab_nest_and_have_their_own_times(tmp_path: Path) -> None:
    """The times are those that they tell."""
    found = parts(tmp_path, GITLAB)
    assert list(found) == ["build", "build/inner"]
    assert "deep" in found["build"]
    assert "make" not in found["build/inner"]
    took = {node.path: node.ms for node in LocalLog(tmp_path / "log").nodes() if node.path}
    assert took == {"build": 9000, "build/inner": 1000}


def test_blocks_and_suites_of_teamcity(tmp_path: Path) -> None:
    """Their names are unescaped."""
    assert list(parts(tmp_path, TEAMCITY)) == ["Compile 'x'", "Compile 'x'/unit"]


def test_a_failed_step_of_ninja_is_a_part_that_failed(tmp_path: Path) -> None:
    """Steps that passed are none: there are thousands."""
    found = parts(tmp_path, NINJA)
    ((path, text),) = found.items()
    assert path == "Building C object CMakeFiles:b.dir:b.c.o"
    assert "b.c:1:1: error: bad" in text
    assert "Linking" not in text
    assert LocalLog(tmp_path / "log").look(path).failed


def test_a_failed_test_of_ctest_is_a_part_that_failed(tmp_path: Path) -> None:
    """With what it said, up to the next test or the summary; and the first error is in it."""
    found = parts(tmp_path, CTEST)
    assert list(found) == ["adds", "waits"]
    assert found["adds"].endswith("tests/adds.c:9:one:FAIL: no\n")
    assert "tests passed" not in found["waits"]
    error = first_error(LocalLog(tmp_path / "log"), load())
    assert error is not None
    assert (error.component, error.file, error.line) == ("adds", "tests/adds.c", 9)


@pytest.mark.parametrize("packed", [False, True])
def test_a_part_that_is_never_closed_ends_with_the_log(tmp_path: Path, packed: bool) -> None:
    """Also in a packed log, and over the border of two blocks."""
    text = "x" * 70 + "\n"
    text *= 20_000
    found = parts(tmp_path, f"{text}::group::late\n{text}last\n", packed)
    assert found["late"].endswith("last")
    assert found["late"].count("\n") == 20_001
    assert [line.text for line in tail(LocalLog(tmp_path / "log"), "late", 1)] == ["last"]


def test_hostile_marks_stay_within_bounds(tmp_path: Path) -> None:
    """Names never lead anywhere, depth and number are bounded, ends without beginnings do nothing."""
    found = parts(tmp_path, "::endgroup::\n" + "::group::../../etc\n" * 50 + "::group::\x1b]0;t\x07\n" * 3000)
    assert len(found) <= 1000
    assert max(path.count("/") for path in found) < 8
    assert all(name not in ("", ".", "..") for path in found for name in path.split("/"))
    assert not any("\x1b" in path for path in found)


def test_every_part_has_a_path_of_its_own(tmp_path: Path) -> None:
    """Also where names repeat, are equal once they are cut, or are those of real parts; leading dots stay."""
    log = tmp_path / "log"
    Capture().begin(log, "", 1000)
    Capture().begin(log / "parts" / "lib", "lib", 1001)
    long = "x" * 90
    (log / "out").write_text(
        "".join(f"::group::{name}\n{name} {at}\n::endgroup::\n" for at, name in enumerate(
            ["lib", "a", "a", "a.2", ".a", long, f"{long}y", " a ", "\xa0b"]
        ))
        + "##teamcity[blockOpened name='a']\n##teamcity[blockOpened name='in']\nlast\n"
    )  # fmt: skip
    Capture().finish(log, 2000, Exit(status=0), 10**9)
    mark_off(log)
    source = LocalLog(log)
    found = [node for node in source.nodes() if node.stream]
    assert len({node.path for node in found}) == len(found) == 11
    assert {"lib.2", "a", "a.2", "a.2.2", ".a", "a.4", "a.4/in"} <= {node.path for node in found}
    for node in found:
        assert source.look(node.path) == node
    assert [line.text for line in read(source, "a.4/in")][-1] == "last"


def test_very_many_marks_take_a_moment(tmp_path: Path) -> None:
    """16 MiB of nothing but marks: it happens between the end of a command and its result."""
    for number, mark in enumerate(("::endgroup::\n", "[1/2] x\n", "::group::a\n", "::group::a\n::endgroup::\n")):
        log = tmp_path / str(number)
        Capture().begin(log, "", 1000)
        (log / "out").write_text((mark * (1 << 20))[: (8 << 20) - 1])
        Capture().finish(log, 2000, Exit(status=0), 10**9)
        began = time.process_time()
        mark_off(log)
        assert time.process_time() - began < 2
