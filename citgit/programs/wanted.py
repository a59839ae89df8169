"""What is to be built, as `cit run` and `cit agent probe` are told it: the same options, read alike."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from citgit.errors import UsageError
from citgit.flows.enqueue import Change
from citgit.model.record import Config
from citgit.programs import complete
from citgit.wiring.checkout import revision
from citgit.wiring.clone import Clone

T = TypeVar("T")

_OPTIONS = (
    click.option("-C", "directory", default=".", help="the checkout"),
    click.option("--ref", default="HEAD", shell_complete=complete.refs, help="what to build: a branch or a commit"),
    click.option(
        "--config-ref", default="", metavar="BRANCH", shell_complete=complete.refs,
        help="where the jobs come from; default: what is built",
    ),
    click.option("--set", "values", multiple=True, metavar="K=V", help="a parameter"),
    click.option("--pool", default="", shell_complete=complete.pools, help="whose agents build it; default: the job's"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options as they were typed."""

    ref: str
    config_ref: str
    values: Sequence[str]
    pool: str

    def change(self, clone: Clone) -> Change:
        """The revision and where its jobs come from. Raises NotFound."""
        commit, branch = revision(clone.git_dir, self.ref)
        config = revision(clone.git_dir, self.config_ref) if self.config_ref else None
        return Change(
            url=str(clone.repository), branch=branch, commit=commit,
            config=Config(branch=config[1], commit=config[0]) if config else None,
        )  # fmt: skip

    def parameters(self) -> dict[str, str | int | bool]:
        """The parameters by name. Raises UsageError for what is none."""
        found: dict[str, str | int | bool] = {}
        for value in self.values:
            key, equals, text = value.partition("=")
            if not equals:
                raise UsageError(f"not a parameter: {value!r}", hint="write --set NAME=VALUE")
            found[key] = text
        return found


def says_what(act: Callable[..., T]) -> Callable[..., T]:
    """Gives a verb the options, and what was typed as its argument `wanted`."""

    @functools.wraps(act)
    def verb(*arguments: Any, ref: str, config_ref: str, values: tuple[str, ...], pool: str, **others: Any) -> T:
        return act(*arguments, wanted=Wanted(ref, config_ref, values, pool), **others)

    for option in reversed(_OPTIONS):
        verb = option(verb)
    return verb
