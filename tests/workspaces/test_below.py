"""Where sources are laid: below the workspace, whatever an earlier source put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from citgit.errors import Errored
from citgit.workspaces.below import inside


def test_inside(tmp_path: Path) -> None:
    """The workspace itself, folders in it, and links that stay in it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "near").symlink_to("real")
    assert inside(tmp_path, ".") == tmp_path
    assert inside(tmp_path, "a/b") == tmp_path / "a/b"
    assert inside(tmp_path, "near/b") == tmp_path / "near/b"


def test_a_link_of_an_earlier_source_leads_nowhere(tmp_path: Path) -> None:
    """Neither as the place itself nor on the way to it."""
    top, out = tmp_path / "top", tmp_path / "out"
    top.mkdir()
    out.mkdir()
    (top / "data").symlink_to(out)
    for at in ("data", "data/x", "data/../x"):
        with pytest.raises(Errored, match="out of the workspace"):
            inside(top, at)
