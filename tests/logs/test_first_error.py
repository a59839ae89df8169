"""The first error is found in what real tools print, and within bounds."""

import time
from pathlib import Path

import pytest

from citgit.logs.capture import Capture
from citgit.logs.first_error import first_error as search
from citgit.logs.local import LocalLog
from citgit.logs.matchers import load
from citgit.logs.pack import pack_log
from citgit.logs.sections import mark_off
from citgit.model.record import Exit, FirstError

MATCHERS = load()


def first_error(root: Path) -> FirstError | None:
    """The first error by the shipped table."""
    return search(LocalLog(root), MATCHERS)


def log(directory: Path, out: str = "", err: str = "", status: int = 2) -> Path:
    """A component with that output."""
    Capture().begin(directory, directory.name, len(str(directory)))
    (directory / "out").write_text(out)
    (directory / "err").write_text(err)
    Capture().mark(directory, 5)
    Capture().finish(directory, 9, Exit(status=status), 10**9)
    return directory


GCC = """\
cc -c -o main.o main.c
\x1b[01m\x1b[Kmain.c:3:5:\x1b[m\x1b[K \x1b[01;35m\x1b[Kwarning: \x1b[m\x1b[Kunused variable
main.c: In function 'main':
\x1b[01m\x1b[Ksrc/main.c:7:12:\x1b[m\x1b[K \x1b[01;31m\x1b[Kerror: \x1b[m\x1b[K'x' undeclared
    7 |     return x;
main.c:9:1: error: second
make: *** [Makefile:2: main.o] Error 1
"""
PYTEST = """\
collected 3 items
tests/test_a.py .F.
=================================== FAILURES ===================================
    def test_sum():
>       assert add(1, 1) == 3
E       assert 2 == 3
E        +  where 2 = add(1, 1)

tests/test_a.py:7: AssertionError
=========================== short test summary info ============================
FAILED tests/test_a.py::test_sum - assert 2 == 3
"""
TRACEBACK = """\
starting
Traceback (most recent call last):
  File "/w/tool.py", line 3, in <module>
    main()
  File "/w/lib.py", line 41, in main
    raise ValueError("no such level")
ValueError: no such level
"""
NODE = """\
TAP version 13
ok 1 - adds
not ok 2 - later # TODO
not ok 3 - divides
  ---
  error: 'Expected values to be strictly equal'
  stack: |-
    at TestContext.<anonymous> (file:///w/test/math.test.js:12:10)
"""
RUST = "error[E0308]: mismatched types\n --> src/main.rs:4:9\n"
LINK = "/usr/bin/ld: main.o: in function `main':\nmain.c:(.text+0x9): undefined reference to `f'\n"


@pytest.mark.parametrize(
    ("text", "file", "line", "message"),
    [
        (GCC, "src/main.c", 7, "'x' undeclared"),
        ("a.c:1:10: fatal error: zlib.h: No such file or directory\n", "a.c", 1, "zlib.h: No such file or directory"),
        (PYTEST, "tests/test_a.py", 7, "assert 2 == 3"),
        (TRACEBACK, "/w/lib.py", 41, "ValueError: no such level"),
        (NODE, "/w/test/math.test.js", 12, "divides"),
        (RUST, "src/main.rs", 4, "mismatched types"),
        (LINK, "main.c", 0, "undefined reference to `f'"),
        ("CMake Error at CMakeLists.txt:5 (find_package):\n", "CMakeLists.txt", 5, "(find_package):"),
        ("x\nmake[1]: *** [Makefile:3: all] Error 1\n", "Makefile", 3, "[Makefile:3: all] Error 1"),
        ("ok - adds\nnot ok - divides\nmake: *** [Makefile:3: all] Error 1\n", "", 0, "divides"),
        ("make: *** No rule to make target 'x'.  Stop.\n", "", 0, "No rule to make target 'x'.  Stop."),
        ("sh: 1: ninja: not found\n", "", 0, "sh: 1: ninja: not found"),
        ("ok\nERROR: the disk is full\n", "", 0, "ERROR: the disk is full"),
    ],
)
def test_the_cause_is_found(tmp_path: Path, text: str, file: str, line: int, message: str) -> None:
    """File, line and message are those of the first cause, not of what follows from it."""
    found = first_error(log(tmp_path / "log", err=text))
    assert found is not None
    assert (found.file, found.line, found.message) == (file, line, message)
    assert len(found.context) <= 10
    assert not any("\x1b" in text for text in found.context)


def test_a_cause_counts_more_than_an_earlier_word(tmp_path: Path) -> None:
    """The compiler's error is the first error, though something was called an error before."""
    found = first_error(log(tmp_path / "log", out="checking for error: no\n", err="a.c:2:1: error: bad\n"))
    assert found is not None
    assert (found.file, found.message) == ("a.c", "bad")


def test_context_surrounds_the_line(tmp_path: Path) -> None:
    """Three lines before and six after are enough to understand it."""
    lines = [f"line {number}" for number in range(40)]
    lines[20] = "a.c:2:1: error: bad"
    found = first_error(log(tmp_path / "log", out="\n".join(lines)))
    assert found is not None
    assert found.context == tuple(lines[17:27])


def test_the_failed_component_is_looked_at_first(tmp_path: Path) -> None:
    """The error of the part that failed is told with the part's path."""
    root = log(tmp_path / "log", out="error: something\n")
    log(root / "parts" / "fine", err="a.c:1:1: error: tolerated\n", status=0)
    log(root / "parts" / "zlib", err="make: *** [Makefile:1: all] Error 2\n")
    log(root / "parts" / "zlib" / "parts" / "inner", err="b.c:1:1: error: real\n")
    assert first_error(root) == FirstError(
        component="zlib/inner", file="b.c", line=1, message="real", context=("b.c:1:1: error: real",)
    )


@pytest.mark.parametrize("text", ["", "all fine\n0 errors, 0 failed\n"])
def test_no_error_is_none(tmp_path: Path, text: str) -> None:
    """Where nothing looks like an error, none is made up."""
    assert first_error(log(tmp_path / "log", out=text)) is None
    assert first_error(tmp_path / "absent") is None


def test_a_long_log_is_looked_at_within_bounds(tmp_path: Path) -> None:
    """Of a very long log the beginning and the end are searched."""
    root = log(tmp_path / "log", out="doing something that goes well\n" * 700_000 + "a.c:2:1: error: late\n")
    began = time.monotonic()
    found = first_error(root)
    assert found is not None
    assert found.message == "late"
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("packed", [False, True])
def test_a_failed_step_of_ninja_is_searched_and_ends_no_search(tmp_path: Path, packed: bool) -> None:
    """A part that output marks off has no index of its own; the error is told as that part's."""
    noise = "".join(f"[{at}/9000] Building C object {at}.o\n" for at in range(1, 5000))
    failed = "FAILED: b.o \ncc -c b.c\nb.c:7:1: error: bad thing\nninja: build stopped: subcommand failed.\n"
    made = log(tmp_path / "log", noise + failed)
    mark_off(made)
    if packed:
        pack_log(made, MATCHERS)
    found = first_error(made)
    assert found
    assert (found.file, found.line, found.component) == ("b.c", 7, "Building C object 4999.o")
