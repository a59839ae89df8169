"""What verbs reach of the attempts that are on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from citgit.model.plan import Input
from citgit.wiring.clone import state_dir
from citgit.workspaces.inputs import bring


def bring_kept(target: Path, files: Sequence[Input], home: Path | None = None) -> None:
    """Copies kept files below `target`, each verified; `home` is a worker's that may hold them besides the usual.

    Raises NotFound if one is not on this machine, Refused if its content is not what its result says.
    """
    usual = sorted(path.parent for path in (state_dir() / "workers").glob("*/attempts"))
    bring([*([home] if home else []), *usual], target, files)
