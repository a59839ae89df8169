"""What each pattern selects, and what it does not."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citgit.model.globs import matches, matches_any, matches_branch

SELECTED = [
    ("a", "a"),
    ("*", "a"),
    ("*.h", "zlib.h"),
    ("?.h", "a.h"),
    ("src/*", "src/a"),
    ("src/**", "src/a"),
    ("src/**", "src/a/b/c"),
    ("src/", "src/a/b"),
    ("**", "a/b"),
    ("**/a", "a"),
    ("**/a", "x/y/a"),
    ("a/**/b", "a/b"),
    ("a/**/b", "a/x/y/b"),
    ("a/**/**/b", "a/b"),
    ("**/**", "a"),
    ("a**b", "axxb"),
    ("[a-c]", "b"),
    ("[!a-c]", "d"),
    ("[^a]", "b"),
    ("[]]", "]"),
    ("[a&&b]", "&"),
    ("[z-a]", "[z-a]"),
    ("[", "["),
    ("a.b", "a.b"),
    ("a+(b)", "a+(b)"),
    ("a*", "a\nb"),
]
NOT_SELECTED = [
    ("a", "b"),
    ("a", "A"),
    ("a", "a/b"),
    ("a", "ab"),
    ("*", "a/b"),
    ("*.h", "src/zlib.h"),
    ("?", "/"),
    ("?", "ab"),
    ("src/**", "src"),
    ("src/", "src"),
    ("src/**", "source/a"),
    ("**/a", "ba"),
    ("a/**/b", "a/xb"),
    ("a**b", "a/b"),
    ("[!a]", "/"),
    ("[.-0]", "/"),
    ("[a-c]", "d"),
    ("a.b", "axb"),
    ("", "a"),
]


@pytest.mark.parametrize(("pattern", "path"), SELECTED)
def test_selected(pattern: str, path: str) -> None:
    """The pattern selects the path."""
    assert matches([pattern], path)


@pytest.mark.parametrize(("pattern", "path"), NOT_SELECTED)
def test_not_selected(pattern: str, path: str) -> None:
    """The pattern does not select the path."""
    assert not matches([pattern], path)


@pytest.mark.parametrize(
    ("patterns", "path", "selected"),
    [
        ([], "a", False),
        (["a", "b"], "b", True),
        (["src/**", "!src/doc/**"], "src/doc/a", False),
        (["src/**", "!src/doc/**"], "src/a", True),
        (["src/**", "!src/doc/**", "src/doc/build/**"], "src/doc/build/a", True),
        (["!**/*.md"], "src/a.c", True),
        (["!**/*.md"], "doc/a.md", False),
        (["!**/*.md", "README.md"], "README.md", True),
    ],
)
def test_the_last_match_decides(patterns: list[str], path: str, selected: bool) -> None:
    """A leading ! takes back; a list that begins with it starts from everything."""
    assert matches(patterns, path) is selected


def test_any_path_is_enough() -> None:
    """One path that is selected selects the push."""
    assert matches_any(["src/**"], ["doc/a", "src/b"])
    assert not matches_any(["src/**"], ["doc/a"])
    assert not matches_any(["src/**"], [])


@pytest.mark.parametrize(
    ("patterns", "branch", "selected"),
    [
        (["*"], "topic/a", True),
        (["release/*"], "release/1", True),
        (["release/*"], "release/1/2", False),
        (["main"], "maintenance", False),
        (["*", "!wip/**"], "wip/a/b", False),
    ],
)
def test_branches(patterns: list[str], branch: str, selected: bool) -> None:
    """A lone star is every branch; otherwise branches match as paths do."""
    assert matches_branch(patterns, branch) is selected


def _slow(parts: list[str], path: list[str]) -> bool:
    """The meaning of a pattern without regular expressions over slashes."""
    if not parts:
        return not path
    if parts[0] == "**":
        if len(parts) == 1:
            return bool(path)
        return _slow(parts[1:], path) or (bool(path) and _slow(parts, path[1:]))
    if not path:
        return False
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in parts[0])
    return re.fullmatch(expression, path[0]) is not None and _slow(parts[1:], path[1:])


def test_all_short_patterns_and_paths() -> None:
    """Every pattern of up to three parts on every path of up to three parts."""
    words = ["a", "ab", "*", "?", "a*", "*b*", "**"]
    for size, length in itertools.product((1, 2, 3), (1, 2, 3)):
        for parts in itertools.product(words, repeat=size):
            for path in itertools.product(("a", "b", "ab"), repeat=length):
                wanted = _slow(list(parts), list(path))
                assert matches(["/".join(parts)], "/".join(path)) is wanted, (parts, path)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_pattern_is_an_error(pattern: str, path: str) -> None:
    """Any text is a pattern."""
    matches([pattern], path)


def test_a_hostile_pattern_is_quick() -> None:
    """Runs of stars do not make the search explode."""
    assert not matches(["**/" * 20 + "b"], "a/" * 100 + "a")
    assert not matches(["*" * 40 + "b"], "a" * 200)
    assert not matches(["*a" * 30 + "b"], "a" * 200)
    assert not matches(["**/a/" * 30 + "b"], "a/" * 200 + "c")
    assert not matches(["**/*a*a*a*b/" * 9 + "c"], "aaaaaaaaab/" * 30 + "d")
