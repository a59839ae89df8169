"""Files that citgit ships besides code: hooks, which it installs without overwriting any, and the demo's project."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from citgit.git.objects import common_dir
from citgit.git.program import run

SHIPPED = Path(__file__).resolve().parent.parent / "shipped"


def programs_dir() -> Path:
    """Where the programs of this installation are, for hooks that start with a bare PATH."""
    likely = (str(Path(sys.argv[0]).parent), str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    found = shutil.which("cit-enqueue", path=os.pathsep.join(likely))
    return Path(found or sys.executable).absolute().parent


def install_hook(git_dir: Path, name: str) -> str:
    """Installs the shipped hook unless there is one already; a sentence about what is there now."""
    shipped = (SHIPPED / "hooks" / name).read_bytes()
    # the last value is this program's own, which keeps hooks from running on its behalf
    listed = (
        run(["config", "--get-all", "core.hooksPath"], git_dir=git_dir, network=True)
        .stdout.decode(errors="replace")
        .split("\n")
    )
    elsewhere = listed[-3] if len(listed) > 2 else ""
    if elsewhere:
        return f"hooks are in {elsewhere}: left as they are; to use citgit's, call {SHIPPED / 'hooks' / name} there"
    target = common_dir(git_dir) / "hooks" / name
    if target.exists() or target.is_symlink():
        if target.read_bytes() == shipped:
            return f"the {name} hook is installed"
        return f"there is another {name} hook: left as it is; to use citgit's, call {SHIPPED / 'hooks' / name} from it"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(shipped)
    target.chmod(0o755)
    return f"installed the {name} hook: {target}"


def is_shipped(hook: Path) -> bool:
    """Whether the hook is citgit's own, as this version ships it."""
    try:
        return hook.read_bytes() == (SHIPPED / "hooks" / hook.name).read_bytes()
    except OSError:
        return False
