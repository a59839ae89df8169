"""How build systems are made to tell their parts apart: variables that they read anyway, and programs that stand in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping

from citgit.model.job import Split


def split_environment(env: Mapping[str, str], split: Iterable[Split], tools: str) -> dict[str, str]:
    """`env` with what makes each build system of `split` use the programs in the directory `tools`.

    make: `$(MAKE)` is the word `make` in every recipe, and the first `make` on PATH is the one that stands in for it;
    the real one is in CIT_MAKE. npm: its shell for scripts is `cit-sh`. cmake: as make, and ctest shows what failed.
    autotools: as make, `configure` starts itself anew under CONFIG_SHELL. pytest: it loads a plug-in that it finds on
    PYTHONPATH. What the job or the node set itself stays.
    """
    made = dict(env)
    wanted = set(split)
    if wanted & {Split.MAKE, Split.CMAKE, Split.AUTOTOOLS}:
        _make(made, tools)
    if Split.CMAKE in wanted:
        made.setdefault("CTEST_OUTPUT_ON_FAILURE", "1")
    if Split.AUTOTOOLS in wanted:
        made.setdefault("CONFIG_SHELL", f"{tools}/cit-configure")
        made.setdefault("VERBOSE", "1")  # automake then prints the logs of tests that failed
    if Split.NPM in wanted:
        made["npm_config_script_shell"] = f"{tools}/cit-sh"
    if Split.PYTEST in wanted:
        given = made.get("PYTHONPATH", "")
        made["PYTHONPATH"] = f"{given}:{tools}/python" if given else f"{tools}/python"
    return made


def _make(made: dict[str, str], tools: str) -> None:
    real = shutil.which("make", path=made.get("PATH", ""))
    if real is not None:
        made["CIT_MAKE"] = real
        made["PATH"] = f"{tools}/shims:{made['PATH']}"
        given = made.get("MAKEFLAGS", "")
        made["MAKEFLAGS"] = f"{given} MAKE=make" if " -- " in f" {given} " else f"{given} -- MAKE=make"
