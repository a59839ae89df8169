"""The tools of this node and their versions: asked for once, and again when a program has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from citgit.model.pattern import pattern

KNOWN_TOOLS = (
    "ant", "ar", "autoconf", "automake", "autoreconf", "bash", "bison", "bundle", "c++", "cargo", "cc", "clang",
    "clang++", "cmake", "composer", "coverage", "ctest", "curl", "deno", "docker", "dotnet", "doxygen", "flex",
    "g++", "gcc", "gdb", "gfortran", "git", "go", "gradle", "help2man", "java", "javac", "jq", "ld", "libtoolize",
    "m4", "make", "meson", "msgfmt", "mvn", "mypy", "nasm", "ninja", "node", "nox", "npm", "pandoc", "perl", "php",
    "pip", "pkg-config", "pnpm", "podman", "poetry", "protoc", "pytest", "python3", "ruby", "ruff", "rustc", "sbt",
    "sh", "shellcheck", "sphinx-build", "sqlite3", "swift", "tar", "tox", "uv", "valgrind", "yarn", "zig",
)  # fmt: skip
"""Tools that an advert names when they are on PATH. A job may require others: they are looked for, never started."""

_VERSION = pattern(r"[0-9]+(?:\.[0-9]+)+")
_GO_WAY = {"go": ["version"]}
_NO_VERSION = {"sh"}
_AT_ONCE = 4


class _Asked(msgspec.Struct, frozen=True):
    """What a program said: `mark` tells whether it is still the same one."""

    mark: str
    version: str


def versions(kept: Path, wanted: Iterable[str] = KNOWN_TOOLS) -> dict[str, str]:
    """Those of the wanted tools that are on PATH, with their versions; `kept` is the file that remembers them."""
    marks = {tool: _mark(found) for tool in wanted if (found := shutil.which(tool))}
    known = _load(kept)
    missing = [tool for tool, mark in marks.items() if tool not in known or known[tool].mark != mark]
    if missing:
        # some start a machine of their own to tell their version: half a second each, and they wait most of it
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(version_of, missing))
        known |= {tool: _Asked(marks[tool], said) for tool, said in zip(missing, answers, strict=True)}
        _save(kept, known)
    return {tool: known[tool].version for tool in marks}


def version_of(tool: str) -> str:
    """The first version number in what `tool --version` prints; "" if there is none within two seconds.

    A program that is not known to have --version is not started: it could be any.
    """
    if tool in _NO_VERSION or tool not in KNOWN_TOOLS:
        return ""
    try:
        done = subprocess.run(
            [tool, *_GO_WAY.get(tool, ["--version"])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search((done.stdout + done.stderr).decode("utf-8", "replace"))
    return found[0] if found else ""


def _mark(program: str) -> str:
    real = os.path.realpath(program)
    found = os.stat(real)
    return f"{program} {real} {found.st_size} {found.st_mtime_ns}"


def _load(kept: Path) -> dict[str, _Asked]:
    try:
        return msgspec.json.decode(kept.read_bytes(), type=dict[str, _Asked])
    except (OSError, msgspec.MsgspecError):
        return {}


def _save(kept: Path, known: dict[str, _Asked]) -> None:
    scratch = kept.with_name(f".{kept.name}.{os.getpid()}")
    scratch.write_bytes(msgspec.json.encode(known))
    scratch.replace(kept)
