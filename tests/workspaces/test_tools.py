"""Tools are asked for their versions once, and again when they have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from citgit.workspaces.tools import versions


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program on PATH that counts how often it was started."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "zig"
    program.write_text(f"#!/bin/sh\necho x >>{tmp_path}/started\necho zig version 1.2.3\n")
    program.chmod(0o755)
    return program


def started(tool: Path) -> int:
    """How often it was."""
    return len((tool.parent / "started").read_text().splitlines())


def test_a_tool_is_asked_once(tool: Path, tmp_path: Path) -> None:
    """Its version is remembered in a file; a changed program is asked anew, a lost or damaged file costs a question."""
    kept = tmp_path / "tools.json"
    for _ in range(3):
        assert versions(kept, ["zig", "no-such-tool-here"]) == {"zig": "1.2.3"}
    assert started(tool) == 1
    tool.write_text(tool.read_text().replace("1.2.3", "1.2.40"))
    assert versions(kept, ["zig"]) == {"zig": "1.2.40"}
    kept.write_text("{")
    assert versions(kept, ["zig"]) == {"zig": "1.2.40"}
    assert started(tool) == 3


def test_a_program_that_is_no_known_tool_is_never_started(tool: Path, tmp_path: Path) -> None:
    """A job may name any program; that it is there is all that is found out."""
    tool.rename(tmp_path / "frob")
    assert versions(tmp_path / "tools.json", ["frob"]) == {"frob": ""}
    assert not (tmp_path / "started").exists()
