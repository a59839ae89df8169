"""What a workshop is made of besides itself: the parts that `wiring` chooses, what they hand on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from citgit.interfaces import Executor
from citgit.model.record import Artifact, Component, Decision, FirstError, Request, Tests


class Laid(msgspec.Struct, frozen=True, kw_only=True):
    """laid.json: that a checkout which was made aside is whole, and what it needs read access to besides."""

    needs: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was collected after the command ended; `fault` says why what it left could not be had."""

    artifacts: tuple[Artifact, ...] = ()
    tests: Tests | None = None
    missing: tuple[str, ...] = ()
    fault: str = ""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that `wiring` chooses.

    `environment` makes the variables of a command, `choose` the executor, `collect` the artifacts, `tail` the
    last lines of a log, `first_error` what failed in it, `components` its parts; `over` is told of the log of an
    attempt that is over; `entrusts` says whether a build may have its secrets, `secrets` are their values by name,
    `mask` hides values in a text; `programs` are directories that a command may read besides, with what citgit offers
    to builds.
    """

    environment: Callable[..., dict[str, str]]
    choose: Callable[[Mapping[str, Executor], str, bool], str]
    collect: Callable[[Path, Path, Request], Found]
    tail: Callable[[Path], tuple[str, ...]]
    first_error: Callable[[Path], FirstError | None]
    components: Callable[[Path], tuple[Component, ...]]
    over: Callable[[Path], None] = lambda log: None
    entrusts: Callable[[Request], list[Decision]] = lambda request: []
    secrets: Callable[[Request], dict[str, str]] = lambda request: {}
    mask: Callable[[Iterable[str]], Callable[[str], str]] = lambda values: str
    programs: tuple[Path, ...] = ()
