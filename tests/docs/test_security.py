"""docs/security.md promises nothing that no test shows: each test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)(?:::(\w+))?`", PAGE)))


def test_tests_are_named() -> None:
    """Every row of the promises names one at least."""
    rows = PAGE.partition("| promise |")[2].partition("\n\n")[0].split("\n")[2:]
    assert len(rows) > 15
    assert all(re.search(r"`[a-z_/]+\.py", row.rpartition("|")[0].rpartition("|")[2]) for row in rows)


def test_each_attack_is_tried() -> None:
    """Every row of the attacks names a test, and everybody whom the page trusts with something is among them."""
    rows = PAGE.partition("| who | attack |")[2].partition("\n\n")[0].split("\n")[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert all(len(row) == 3 and re.search(r"`[a-z_/]+\.py::\w+`", row[2]) for row in cells)
    assert len({row[1] for row in cells}) == len(cells)
    wanted = ["stranger", "push", "requester", "reader", "insider", "build", "agent", "host", "key", "machine"]
    assert all(any(word in row[0] for row in cells) for word in wanted)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_named_test_exists(file: str, name: str) -> None:
    """The file is there, and defines that test or class."""
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert not name or name in defined
