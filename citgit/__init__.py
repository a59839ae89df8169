"""citgit: continuous integration whose only state is git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from citgit.programs.python import Asked, Build, Ci, CitError, Fault, Outcome
    from citgit.programs.python import open as open

__version__ = "0.1.0"
# not `open`: whoever imports all of this still wants to open files
__all__ = ["Asked", "Build", "Ci", "CitError", "Fault", "Outcome", "__version__"]


def __getattr__(name: str) -> Any:
    # looked up when it is asked for: each program of citgit imports this file, and most need nothing of it
    if name == "open" or name in __all__:
        from citgit.programs import python

        return getattr(python, name)
    raise AttributeError(f"module 'citgit' has no attribute {name!r}")
