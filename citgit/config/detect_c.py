"""Proposals for projects built with make, CMake, Meson or the autotools: one of them, the likeliest to work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from citgit.config.proposal import Proposal, Tree, shell
from citgit.model.pattern import pattern

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # in the order in which make looks for them
_TARGET = pattern(r"^([A-Za-z0-9_.-][A-Za-z0-9_. -]*?)\s*::?(?!=)", re.MULTILINE)
_WANTED = ("check", "test", "tests")


def c_proposals(tree: Tree) -> Iterator[Proposal]:
    """At most one proposal. What ships a finished `configure` goes first, then CMake, Meson, autotools, make.

    A Makefile that calls CMake or Meson itself is the maintainers' own front door, and preferred to it.
    """
    makefile = tree.first(*_MAKEFILES)
    target = _target(tree.text(makefile))
    fronts = re.search(r"\b(cmake|meson|ninja)\b", tree.text(makefile)) is not None
    if "configure" in tree.files and not tree.first("configure.ac", "configure.in"):
        yield _configure(tree, "There is a configure script")
    elif "CMakeLists.txt" in tree.files and not (fronts and target):
        yield _cmake(tree)
    elif "meson.build" in tree.files and not (fronts and target):
        steps = shell("meson setup build", "meson test -C build --print-errorlogs")
        yield Proposal(name="check", command=steps, why="There is a meson.build.", requires_tools=("meson", "ninja"))
    elif tree.first("configure.ac", "configure.in"):
        yield _autotools(tree)
    elif makefile:
        command = ("make", target) if target else ("make",)
        what = f'has a target "{target}"' if target else "has no target for tests, so this only builds"
        yield Proposal(
            name="check", command=command, why=f"{makefile} {what}.", requires_tools=("make", *_compiler(tree))
        )


def _target(makefile: str) -> str:
    names = {name for found in _TARGET.finditer(makefile) for name in found[1].split()}
    return next((name for name in _WANTED if name in names), "")


def _compiler(tree: Tree) -> tuple[str, ...]:
    if tree.any(r".*\.c"):
        return ("cc",)
    return ("c++",) if tree.any(r".*\.(cc|cpp|cxx)") else ()


def _cmake(tree: Tree) -> Proposal:
    tools = ("cmake", *_compiler(tree))
    try:
        preset = json.loads(tree.text("CMakePresets.json") or "{}")["workflowPresets"][0]["name"]
    except (ValueError, KeyError, IndexError, TypeError):
        # `ctest --build-and-test` is a single command too, but shows nothing until the build has ended.
        steps = shell("cmake -S . -B build", "cmake --build build", "ctest --test-dir build --output-on-failure")
        return Proposal(name="check", command=steps, why="There is a CMakeLists.txt.", requires_tools=(*tools, "make"))
    return Proposal(
        name="check",
        command=("cmake", "--workflow", "--preset", str(preset)),
        why="CMakePresets.json has a workflow.",
        requires_tools=("cmake >= 3.25", *tools[1:]),
    )


def _configure(tree: Tree, why: str, *before: str, tools: tuple[str, ...] = ()) -> Proposal:
    rules = tree.first("Makefile.am", "Makefile.in")
    target = "check" if rules == "Makefile.am" else _target(tree.text(rules))
    steps = shell(*before, "./configure", f"make {target}".strip())
    return Proposal(name="check", command=steps, why=f"{why}.", requires_tools=("make", *_compiler(tree), *tools))


def _autotools(tree: Tree) -> Proposal:
    script = tree.first("configure.ac", "configure.in")
    tools = ("help2man",) if "$(HELP2MAN)" in tree.text("Makefile.am") else ()
    if "configure" in tree.files:
        # A checkout gives files any order of times, and make would want to generate anew what is committed.
        why = "There is a configure script; equal times keep make from generating it anew"
        return _configure(tree, why, "find . -exec touch -r configure {} +", tools=tools)
    if "autogen.sh" in tree.files:
        return _configure(
            tree,
            "autogen.sh makes the configure script",
            "NOCONFIGURE=1 ./autogen.sh",
            tools=("autoconf", "automake", *tools),
        )
    libtool = ("libtoolize",) if re.search(r"^(LT_INIT|A[CM]_PROG_LIBTOOL)", tree.text(script), re.MULTILINE) else ()
    return _configure(tree, f"There is a {script}", "autoreconf -fi", tools=("autoconf", "automake", *libtool, *tools))
