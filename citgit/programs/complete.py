"""What a shell may complete: builds, jobs, agents, pools, branches, as this clone knows them; no host is asked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from citgit.errors import CitError
from citgit.model.pattern import pattern
from citgit.model.team import Team

MOST_BUILDS = 30

_INERT = pattern(r"[A-Za-z0-9_][A-Za-z0-9_@%+=:,./-]*")
"""What no shell takes for more than a word: bash puts an offer into the line as it is, and others name branches."""

_UNPRINTABLE = pattern(r"[\x00-\x1f\x7f-\x9f]")

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _offer(look: Callable[[Path], Iterable[tuple[str, str]]]) -> Completer:
    """A completer that offers what `look` finds; whatever is wrong there, a person who types is not told."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        place = Path(ctx.find_root().params.get("directory") or ".") / (ctx.params.get("directory") or ".")
        try:
            found = list(look(place))
        except (CitError, OSError):
            return []
        return [
            CompletionItem(value, help=_UNPRINTABLE.sub(" ", about))
            for value, about in found
            if value.startswith(incomplete) and _INERT.fullmatch(value)
        ]

    return complete


def _builds(directory: Path) -> Iterator[tuple[str, str]]:
    from citgit.flows.builds import Repository
    from citgit.flows.poll import remembered
    from citgit.programs.find import short, title
    from citgit.programs.wording import word
    from citgit.wiring.clone import open_clone

    yield "HEAD", "the newest build of this commit"
    clone = open_clone(directory)
    repository = Repository(clone.state, remembered(clone.state, clone.journal.entries()))
    newest = itertools.islice(sorted(repository.active(), key=lambda one: one.id, reverse=True), MOST_BUILDS)
    known = [build for build in newest if build.request]
    for name in dict.fromkeys(name for build in known for name in (build.request.job, title(build))):  # type: ignore[union-attr]
        yield name, "its newest build"
    for name, _ in _jobs(directory):
        yield name, "its newest build"
    for build in known:
        yield short(build.id), f"{title(build)} {word(build)}"


def _jobs(directory: Path) -> Iterator[tuple[str, str]]:
    from citgit.wiring.checkout import config_files
    from citgit.wiring.configs import read_cit

    for name, job in read_cit(config_files(directory, "")).job.items():
        yield name, job.description or " ".join(job.command)[:60]


def _agents(directory: Path) -> Iterator[tuple[str, str]]:
    return ((name, f"serves {', '.join(agent.pools)}") for name, agent in _team(directory).agent.items())


def _pools(directory: Path) -> Iterator[tuple[str, str]]:
    return ((name, "a pool") for name in _team(directory).pool)


def _team(directory: Path) -> Team:
    from citgit.flows.poll import remembered
    from citgit.wiring.clone import open_clone

    return remembered(open_clone(directory).state).policies.tip.team


def _branches(directory: Path) -> Iterator[tuple[str, str]]:
    from citgit.wiring.checkout import branches
    from citgit.wiring.clone import git_place

    return ((name, "a branch") for name in branches(git_place(directory)[1]))


builds, jobs, agents, pools, refs = (_offer(look) for look in (_builds, _jobs, _agents, _pools, _branches))
