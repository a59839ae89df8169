"""The house rules of imports and sizes: who may know whom, what pure code may not touch."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "citgit").rglob("*.py"))

_PURE = {"errors", "model", "records", "rules"}
_ADAPTERS = {
    "git", "keys", "ssh", "executors", "triggers", "stores", "logs", "pages", "config", "workspaces", "machine",
    "nodes",
}  # fmt: skip

# What a part may import of citgit beside itself; "" is the package itself: its version, and what
# `import citgit` offers, looked up in the programs once somebody asks for it.
_ALLOWED: dict[str, set[str]] = {
    "": {"programs"},
    "errors": set(),
    "model": {"errors"},
    "records": {"errors", "model"},
    "rules": {"errors", "model", "records"},
    "interfaces": _PURE,
    "flows": {"interfaces", *_PURE},
    **{adapter: {"", "interfaces", *_PURE} for adapter in _ADAPTERS},
    "wiring": {"", "flows", "interfaces", *_PURE, *_ADAPTERS},
    "programs": {"", "wiring", "flows", "interfaces", *_PURE},
    # the simulation drives the real flows
    "testing": {"flows", "interfaces", *_PURE, *_ADAPTERS},
}
# The suite that checks executors here is the one that strangers check theirs with.
_ALSO = {"citgit.programs.conformance": {"testing"}}
_FORBIDDEN = {
    "os", "io", "subprocess", "time", "random", "secrets", "socket", "shutil", "tempfile", "threading", "asyncio",
    "pathlib", "git", "pygit2",
}  # fmt: skip
_EFFECTS = {"open", "input", "print", "exec", "eval", "__import__"}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _part(module: str) -> str:
    return [*module.split("."), ""][1]


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    """All of a module's syntax, parsed once for all tests."""
    return list(ast.walk(ast.parse(path.read_text())))


@functools.cache
def _imports(path: Path) -> list[tuple[int, str]]:
    return list(_imported(path))


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if _is_module(whole) else str(node.module)


def _is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def _mine(path: Path) -> list[tuple[int, str]]:
    return [(line, name) for line, name in _imports(path) if name.split(".")[0] == "citgit"]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_go_one_way(path: Path) -> None:
    """Programs know wiring, wiring adapters, flows interfaces; adapters neither flows nor each other."""
    part = _part(_name(path))
    assert part in _ALLOWED, f"no rule says what {part!r} may import"
    wrong = [
        f"{path.name}:{line}: {name}"
        for line, name in _mine(path)
        if _part(name) != part and _part(name) not in _ALLOWED[part] | _ALSO.get(_name(path), set())
    ]
    assert wrong == []


@pytest.mark.parametrize("path", [path for path in MODULES if _part(_name(path)) in _PURE], ids=_name)
def test_pure_code_touches_nothing(path: Path) -> None:
    """Model, records and rules reach no file, clock, process, network or chance."""
    touched = [name for _, name in _imports(path) if name.split(".")[0] in _FORBIDDEN]
    for node in _nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EFFECTS:
            touched.append(f"{node.func.id}() in line {node.lineno}")
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "uuid4", "uuid1"):
            touched.append(f".{node.attr} in line {node.lineno}")
    assert touched == []


def test_no_import_cycle() -> None:
    """No module imports itself through others, late imports included."""
    graph = {_name(path): {name for _, name in _mine(path) if name != "citgit"} - {_name(path)} for path in MODULES}
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> None:
        assert module not in way, " -> ".join([*way, module])
        if module not in done:
            for further in sorted(graph.get(module, ())):
                visit(further, [*way, module])
            done.add(module)

    for module in graph:
        visit(module, [])


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_sizes_and_docstrings(path: Path) -> None:
    """A module opens with a docstring and stays within 400 lines, a function within 60."""
    text = path.read_text()
    tree = _nodes(path)[0]
    assert isinstance(tree, ast.Module)
    assert ast.get_docstring(tree), "no docstring"
    assert len(text.splitlines()) <= 400
    long = [
        f"{node.name}: {lines} lines"
        for node in _nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > 60
    ]
    assert long == []


def test_no_name_says_nothing() -> None:
    """No module is called after nothing in particular."""
    empty = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert [name for name in map(_name, MODULES) if empty & set(name.split("."))] == []
