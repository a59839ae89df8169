"""Removing a workspace on a node over a real sshd: who may, and what stays."""

from __future__ import annotations

import json

import pytest
from nodes import Node, build, node

from citgit.workspaces.kept import CLEAN

__all__ = ["build", "node"]

pytestmark = pytest.mark.privileged


def test_a_workspace_is_removed_by_whoever_asked_for_the_build(node: Node, build: str) -> None:
    """Others are refused although they may read it; nothing goes while it runs; log and artifacts stay."""
    (workspace,) = (node.home / "workspaces").iterdir()
    for name in ("ben", "eve"):
        assert "access denied" in node.reader(name).cit("tidy", "--workspace", build, status=3).err
    anna = node.reader("anna")
    over = node.home / "attempts" / node.claim(build) / CLEAN
    over.rename(over.with_name("aside"))
    assert "has not ended" in anna.cit("tidy", "--workspace", build, status=75).err
    over.with_name("aside").rename(over)
    for other in ("--dry-run", "--pack", "--days=0"):
        assert "leave out the other options" in anna.cit("tidy", "--workspace", build, other, status=2).err
    assert workspace.is_dir()
    told = json.loads(anna.cit("tidy", "--workspace", build, "--json").out)
    assert (told["kind"], told["bytes"] > 1000) == ("workspace", True)
    assert list((node.home / "workspaces").iterdir()) == []
    assert "is gone" in anna.cit("tidy", "--workspace", build, status=2).err
    assert anna.cit("log", build).out
    anna.cit("get", build, "--to", str(anna.home / "to"))
    assert (anna.home / "to" / "out" / "a.txt").exists()
