"""How build systems are made to tell their parts apart: variables that they read anyway, and programs that stand in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping

from citgit.model.job import Split


def split_environment(env: Mapping[str, str], split: Iterable[Split], tools: str) -> dict[str, str]:
    """`env` with what makes each build system of `split` use the programs in the directory `tools`.

    make: `$(MAKE)` is the word `make` in every recipe, and the first `make` on PATH is the one that stands in for it;
    the real one is in CIT_MAKE. npm: its shell for scripts is `cit-sh`.
    """
    made = dict(env)
    for one in split:
        match one:
            case Split.MAKE:
                real = shutil.which("make", path=env.get("PATH", ""))
                if real is None:
                    continue
                made["CIT_MAKE"] = real
                made["PATH"] = f"{tools}/shims:{made['PATH']}"
                given = made.get("MAKEFLAGS", "")
                made["MAKEFLAGS"] = f"{given} MAKE=make" if " -- " in f" {given} " else f"{given} -- MAKE=make"
            case Split.NPM:
                made["npm_config_script_shell"] = f"{tools}/cit-sh"
    return made
