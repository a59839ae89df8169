"""The table of matchers: each entry fits its own example and no innocent line, and nodes can extend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from citgit.errors import BadConfig
from citgit.logs.matchers import RANKS, SHIPPED, Matcher, load, read

INNOCENT = (
    "cc -Wall -Werror -c -o error.o error.c",
    "checking for strerror... yes",
    "0 errors, 0 failed",
    "1..3",
    "ok 1 - fails gracefully",
    "not ok 2 - later # TODO",
    "PASS: tests/greeting-1",
    "[ 50%] Building C object CMakeFiles/x.dir/fatal.c.o",
    "test errors::are_told ... ok",
)


@pytest.mark.parametrize("one", read(SHIPPED), ids=lambda one: str(one.name))
def test_each_entry_fits_its_example(one: Matcher) -> None:
    """The example has a hint, is matched at the entry's rank, and gives file, line and message."""
    table = load()
    assert any(hint in one.example for hint in one.hints)
    assert table.hint.search(one.example)
    found = table.match(one.example, len(RANKS))
    assert found is not None
    assert (RANKS[found.rank], *found[1:]) == (one.rank, *one.found)


@pytest.mark.parametrize("line", INNOCENT)
def test_innocent_lines_are_no_errors(line: str) -> None:
    """What only talks of errors is none."""
    assert load().match(line, len(RANKS)) is None


def test_the_nodes_own_table_comes_first(tmp_path: Path) -> None:
    """Its entries are asked before the shipped ones, and without hints on every line."""
    own = tmp_path / "matchers.toml"
    own.write_text("[[matcher]]\nname = 'own'\nrank = 'cause'\npattern = 'KAPUTT (?P<message>.*)'\n")
    found = load(own).match("KAPUTT at last", len(RANKS))
    assert found is not None
    assert found.rank == 0
    assert load(own).hint.search("KAPUTT x")
    own.write_text("[[matcher]]\nname = 'own'\nrank = 'cause'\npattern = '(?P<message>a.c.*)'\nhints = ['a.c']\n")
    assert load(own).match("a.c:1:1: error: x", len(RANKS)) == (0, "", 0, "a.c:1:1: error: x")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[[matcher", "matchers.toml"),
        ("[[matcher]]\nname = 'x'\n", "rank"),
        ("[[matcher]]\nname = 'x'\nrank = 'cause'\npattern = '('\n", "matcher 'x'"),
        ("[[matcher]]\nname = 'x'\nrank = 'cause'\npatern = ''\n", "patern"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path: Path, text: str, what: str) -> None:
    """The file and the entry are named."""
    own = tmp_path / "matchers.toml"
    own.write_text(text)
    with pytest.raises(BadConfig) as caught:
        load(own)
    assert what in caught.value.message
