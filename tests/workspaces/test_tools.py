"""Tools are asked for their versions once, and again when they have changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from citgit.workspaces.tools import versions


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program on PATH that counts how often it was started."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program = tmp_path / "frob"
    program.write_text(f"#!/bin/sh\necho x >>{tmp_path}/started\necho frob version 1.2.3\n")
    program.chmod(0o755)
    return program


def started(tool: Path) -> int:
    """How often it was."""
    return len((tool.parent / "started").read_text().splitlines())


def test_a_tool_is_asked_once(tool: Path, tmp_path: Path) -> None:
    """Its version is remembered in a file; a changed program is asked anew, a lost or damaged file costs a question."""
    kept = tmp_path / "tools.json"
    for _ in range(3):
        assert versions(kept, ["frob", "no-such-tool-here"]) == {"frob": "1.2.3"}
    assert started(tool) == 1
    tool.write_text(tool.read_text().replace("1.2.3", "1.2.40"))
    assert versions(kept, ["frob"]) == {"frob": "1.2.40"}
    kept.write_text("{")
    assert versions(kept, ["frob"]) == {"frob": "1.2.40"}
    assert started(tool) == 3
