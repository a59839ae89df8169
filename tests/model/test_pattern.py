"""Every regular expression of the program compiles, although each does so only when it is first used."""

from __future__ import annotations

import importlib
import pkgutil
import re

import citgit
from citgit.model.pattern import pattern


def test_all_of_them_compile() -> None:
    """A fault in one must not wait for the day when somebody needs it."""
    found = []
    for module in pkgutil.walk_packages(citgit.__path__, "citgit."):
        if module.name.startswith("citgit.testing") or module.name.endswith("__main__"):
            continue
        found += [one for one in vars(importlib.import_module(module.name)).values() if type(one) is pattern]
    assert len(found) > 50
    assert all(re.compile(one.pattern, one.flags) for one in found)
