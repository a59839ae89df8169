"""The programs that split a log: real makes, npm and CMake, unmodified, become trees of components."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from services import need

from citgit.executors.split import split_environment
from citgit.logs.capture import TOOLS, Capture
from citgit.logs.local import LocalLog
from citgit.logs.read import read
from citgit.model.job import Split

PATH = os.environ["PATH"]

MAKEFILES = {
    "Makefile": "all:\n\t@echo top\n\t$(MAKE) -C lib\n\tcd app && $(MAKE)\n\t$(MAKE) same\nsame:\n\t@echo same\n",
    "lib/Makefile": "X := $(shell echo asked)\nall:\n\t@echo $(X); echo warned >/dev/stderr\n"
    "\t$(MAKE) --directory=src\n",
    "lib/src/Makefile": "all:\n\t@echo deep; echo again >/dev/stdout\n",
    "app/Makefile": "all:\n\t@echo building\n\t@$(WRONG)\n",
}


@dataclass(frozen=True, slots=True)
class Build:
    """A workspace and the log of a command in it."""

    workspace: Path
    log: Path

    def run(self, *command: str, split: tuple[Split, ...] = (), env: Mapping[str, str] | None = None) -> int:
        """Runs a command as a worker would have it run; its exit status."""
        given = {
            "PATH": PATH, "HOME": str(self.workspace), "CIT_WORKSPACE": str(self.workspace), "CIT_LOG": str(self.log),
            "CIT_TOOLS": str(TOOLS),
        }  # fmt: skip
        given = split_environment({**given, **(env or {})}, split, str(TOOLS))
        with open(self.log / "out", "ab") as out, open(self.log / "err", "ab") as err:
            done = subprocess.run(
                command, cwd=self.workspace, env=given, stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False
            )
        return done.returncode

    def text(self, path: str) -> str:
        """What a component printed."""
        return "\n".join(line.text for line in read(LocalLog(self.log), path))

    def states(self) -> dict[str, int | None]:
        """The exit status of each component below the root."""
        return {node.path: node.exit.status for node in LocalLog(self.log).nodes() if node.path}

    def fill(self, files: Mapping[str, str]) -> None:
        """Writes files into the workspace."""
        for name, text in files.items():
            (self.workspace / name).parent.mkdir(parents=True, exist_ok=True)
            (self.workspace / name).write_text(text)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """An empty workspace, in a folder with a name that must be quoted."""
    workspace = tmp_path / "it's a $HOME"
    workspace.mkdir()
    Capture().begin(tmp_path / "log", "", 1000)
    return Build(workspace.resolve(), tmp_path / "log")


@pytest.mark.parametrize("way", ["switch", "shell", "parallel"])
def test_each_directory_of_a_recursive_make_is_a_component(build: Build, way: str) -> None:
    """Output, exit status and nesting are the directory's own; `$(shell)` and makes in one place are as before."""
    build.fill(MAKEFILES)
    if way == "switch":
        status = build.run("make", "WRONG=false", split=(Split.MAKE,))
    else:
        jobs = ["-j4", "-k"] if way == "parallel" else []
        status = build.run("make", f"SHELL={TOOLS}/cit-sh", "WRONG=false", *jobs)
    assert status == 2
    assert build.states() == {"lib": 0, "lib/src": 0, "app": 2}
    assert {"asked", "warned"} <= set(build.text("lib").splitlines())
    assert {"deep", "again"} <= set(build.text("lib/src").splitlines())
    assert "deep" not in build.text("lib")
    assert "building" in build.text("app")
    assert "Error 1" in build.text("app")
    assert "top" in build.text("")
    assert "cit-make" not in build.text("")


def test_a_build_that_passes_says_so_everywhere(build: Build) -> None:
    """The make in the same directory is no component; all others passed."""
    build.fill(MAKEFILES)
    assert build.run("make", "WRONG=true", split=(Split.MAKE,)) == 0
    assert build.states() == {"lib": 0, "lib/src": 0, "app": 0}
    assert "same" in build.text("")


def test_each_npm_script_is_a_component(build: Build) -> None:
    """`npm test` with a pretest: two components, named after package and script."""
    need("" if shutil.which("npm") else "npm")
    build.fill({"package.json": '{"name": "web", "scripts": {"pretest": "echo first", "test": "echo second; exit 3"}}'})
    assert build.run("npm", "test", split=(Split.NPM,)) != 0
    assert build.states() == {"web:pretest": 0, "web:test": 3}
    assert build.text("web:test") == "second"


def test_each_target_of_cmake_is_a_component(build: Build) -> None:
    """CMake's makes all work in one directory: targets are told apart."""
    need("" if shutil.which("cmake") and shutil.which("cc") else "cmake and cc")
    build.fill({
        "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(x C)\nadd_library(good good.c)\n"
        "add_executable(bad bad.c)\n",
        "good.c": "int good(void) { return 1; }\n", "bad.c": "int main(void) { return x; }\n",
    })  # fmt: skip
    steps = "cmake -S . -B build -G 'Unix Makefiles' && cmake --build build -- -k"
    assert build.run("sh", "-c", steps, split=(Split.MAKE,)) != 0
    states = build.states()
    assert states["build/bad"] != 0 or states["bad"] != 0
    red = next(path for path, status in states.items() if path.endswith("bad"))
    assert "bad.c:1" in build.text(red)


def test_a_component_wraps_any_command(build: Build) -> None:
    """Names become directories, never paths; a name used twice is two components; the exit status is the command's."""
    script = (
        "cit-component a/../b -- echo one; cit-component same -- echo two; cit-component same -- sh -c 'exit 7';"
        "cit-component .hidden -- echo three; cit-component quiet -- true"
    )
    assert build.run("sh", "-c", script, env={"PATH": f"{PATH}:{TOOLS}"}) == 0
    assert build.states() == {"a:..:b": 0, "same": 0, "same.2": 7, "_.hidden": 0}
    assert {path.name for path in build.log.iterdir()} == {"component.json", "err", "out", "parts", "times"}


def test_a_server_left_behind_holds_nobody_up(build: Build) -> None:
    """The component ends with its command; what the server says afterwards is still in its log."""
    script = "(sleep 2; echo late) & echo early"
    began = time.monotonic()
    assert build.run(f"{TOOLS}/cit-component", "server", "--", "sh", "-c", script) == 0
    assert time.monotonic() - began < 1.9
    assert build.states() == {"server": 0}
    time.sleep(1.5)
    assert build.text("server") == "early\nlate"


def test_without_a_place_for_a_log_commands_run_all_the_same(build: Build) -> None:
    """Outside of a build, and where the log cannot be written, nothing changes for the command."""
    for env in ({"CIT_LOG": ""}, {"CIT_LOG": "/proc/nowhere"}):
        assert build.run(f"{TOOLS}/cit-component", "x", "--", "sh", "-c", "echo ran; exit 4", env=env) == 4
    assert build.text("") == "ran\nran"
    build.fill(MAKEFILES)
    assert build.run("make", f"SHELL={TOOLS}/cit-sh", "WRONG=true", env={"CIT_LOG": "", "CIT_TOOLS": ""}) == 0


def test_each_file_of_pytest_is_a_component(build: Build) -> None:
    """What its tests came to and why; the plug-in is found by itself, and gone where nobody asked for it."""
    build.fill({
        "tests/test_a.py": "def test_adds():\n    print('looking')\n    assert 1 + 1 == 3\n",
        "tests/test_b.py": "def test_fine():\n    pass\n",
    })  # fmt: skip
    argv = (sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", "tests")
    assert build.run(*argv, split=(Split.PYTEST,)) == 1
    assert build.states() == {"tests:test_a.py": 1, "tests:test_b.py": 0}
    text = build.text("tests:test_a.py")
    assert "FAILED tests/test_a.py::test_adds" in text
    assert "assert (1 + 1) == 3" in text
    assert "looking" in text
    assert build.text("tests:test_b.py").startswith("PASSED tests/test_b.py::test_fine")
    assert build.run(*argv) == 1
    assert len(build.states()) == 2


AUTOCONF = {
    "configure.ac": "AC_INIT([x], [1])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CC\n"
    "AC_CONFIG_FILES([Makefile sub/Makefile])\nAC_OUTPUT\n",
    "Makefile.am": "SUBDIRS = sub\n",
    "sub/Makefile.am": "check_PROGRAMS = t\nt_SOURCES = t.c\nTESTS = t\n",
    "sub/t.c": '#include <stdio.h>\nint main(void) { puts("it is wrong"); return 1; }\n',
}


@pytest.mark.heavy
def test_configure_and_makes_of_autotools_are_components(build: Build) -> None:
    """A real configure script runs as a part; what failed in a test is in the log of its directory."""
    need("" if shutil.which("autoreconf") and shutil.which("cc") else "autoconf, automake and cc")
    top = build.workspace.parent / "plain"
    top.mkdir()
    build = Build(top.resolve(), build.log)
    build.fill(AUTOCONF)
    steps = "autoreconf -fi >/dev/null 2>&1 && ./configure && make check"
    assert build.run("sh", "-c", steps, split=(Split.AUTOTOOLS,)) != 0
    states = build.states()
    assert states["configure"] == 0
    assert "checking for gcc" in build.text("configure")
    assert "checking for gcc" not in build.text("")
    assert states["sub"] == 2
    assert any("it is wrong" in build.text(path) for path in states if path.startswith("sub"))
    assert "cit-configure" not in (top / "sub" / "Makefile").read_text()
