"""Whether this agent's node can build it: what the job requires, and the files that upstream builds hand over."""

from __future__ import annotations

from collections.abc import Sequence

from citgit.errors import Errored
from citgit.flows.builds import Repository
from citgit.flows.claims import why
from citgit.flows.poll import poll
from citgit.flows.private import is_hidden, need_open, reveal
from citgit.flows.state import State
from citgit.interfaces import Workshop
from citgit.model.build import Build
from citgit.model.globs import matches
from citgit.model.plan import Input
from citgit.model.record import Advert, Decision, Outcome


def reasons(
    repository: Repository, build: Build, advert: Advert, agent: str, workshop: Workshop, free: int | None = None,
    own: bool = False,
) -> list[Decision]:  # fmt: skip
    """All reasons for and against this agent taking the build."""
    found = why(build, advert, agent, free)
    try:
        wanted = inputs(repository, build)
    except Errored:
        # nobody can build it: whoever takes it says why
        return found
    found += kept_at(wanted, workshop.has(wanted))
    if build.request and all(one.ok for one in found):
        opened = reveal(repository.state, build)
        if build.request.definition.requires.can_build:
            need_open(opened)
        # of a private build whose reader this is not, nobody here will see the job either
        found += workshop.can_build(opened.request, own=own) if opened.request and not is_hidden(opened) else []
    return found


def needed(state: State, build: Build) -> tuple[Input, ...]:
    """What upstream builds hand over, as the host has it now; nothing is asked for a build without any."""
    if not build.request or not any(after.artifacts for after in build.request.definition.after.values()):
        return ()
    return inputs(Repository(state, poll(state)), build)


def inputs(repository: Repository, build: Build) -> tuple[Input, ...]:
    """The files of upstream builds that the build's command needs in its workspace.

    Raises Errored if an upstream build passed without keeping what is wanted of it.
    """
    found: list[Input] = []
    for label, named in (build.request.upstream if build.request else {}).items():
        after = build.request.definition.after.get(label.split(" ")[0]) if build.request else None
        other = repository.find(named) if after and after.artifacts else None
        if after is None or other is None or not other.is_final:
            continue
        other = need_open(reveal(repository.state, other))
        kept = [
            Input(
                label=label, claim=other.result.claim, node=other.result.environment.get("node", ""), path=one.path,
                sha256=one.sha256, size=one.size, executable=one.executable,
            )
            for one in other.result.artifacts if matches(after.artifacts, one.path)
        ] if other.result else []  # fmt: skip
        if other.outcome is Outcome.PASSED and not kept:
            raise Errored(f"{label} kept nothing that matches {', '.join(after.artifacts)}")
        found += kept
    return tuple(found)


def kept_at(wanted: Sequence[Input], here: bool) -> list[Decision]:
    """Whether the files are where the agent is, as one decision per upstream build; `here` was found out there."""
    made = {one.label: one.node for one in wanted}
    return [Decision(check=f"artifacts of {label}", ok=here, found=f"on node {node}") for label, node in made.items()]
