"""Regular expressions that are compiled when they are first used: a verb uses few of the seventy that it loads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

_OFFERED = ("match", "fullmatch", "search", "finditer", "findall", "sub", "split", "pattern", "flags")

if TYPE_CHECKING:
    pattern = re.compile
else:

    class pattern:
        """As what `re.compile` gives, from the first use on; a fault in it shows then (`tests/model` uses all)."""

        def __init__(self, text: str | bytes, flags: int = 0) -> None:
            self._made = text, flags

        def __getattr__(self, name: str) -> Any:
            if name not in _OFFERED:
                raise AttributeError(name)
            compiled = re.compile(*self._made)
            for each in _OFFERED:
                setattr(self, each, getattr(compiled, each))
            return getattr(compiled, name)
