"""`cit run`: asks for builds of a revision; `--here` builds them on this machine, by the worker's own path."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from citgit.errors import NotFound, UsageError
from citgit.flows.enqueue import Change, Wish, buildable, first, load, need_pool, planned
from citgit.flows.private import unreached
from citgit.flows.state import Snapshot
from citgit.flows.writing import Draft, complain, drafted, push, remember
from citgit.interfaces import Answer, Pushed
from citgit.model.names import HERE, Kind
from citgit.model.record import Request
from citgit.programs import complete
from citgit.programs.direct import Starting
from citgit.programs.reach import kept_here, reach
from citgit.programs.waiting import waiting
from citgit.programs.wanted import Wanted, says_what
from citgit.wiring.checkout import is_pushed
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.known import Started, note_clone, note_started


@click.command("run", epilog="Example: cit run check --set level=9 --follow")
@click.argument("job", nargs=-1, shell_complete=complete.jobs)
@says_what
@click.option("--on", default="", metavar="AGENT", shell_complete=complete.agents, help="only this agent")
@click.option("--here", is_flag=True, help="build on this machine")
@click.option("--probe/--no-probe", default=True, help="ask the nodes first, and start on the best free one")
@click.option("-f", "--follow/--no-follow", default=None, help="wait and show the output (default with --here)")
@click.option("--reader", "readers", multiple=True, help="who else may read it, if its job is private")
@click.option("-m", "--message", default="", help="why you ask")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per event")
@click.pass_context
def command(
    ctx: click.Context, job: tuple[str, ...], directory: str, wanted: Wanted, on: str, here: bool, probe: bool,
    follow: bool | None, readers: tuple[str, ...], message: str, as_json: bool,
) -> None:  # fmt: skip
    """Asks for a build of HEAD, or of --ref; without JOB for all jobs of its cit.toml.

    The exit status is 0 once it is asked for, 75 if it is kept here because the host is away; with --here or
    --follow it is that of the build, as 'cit status BUILD' has it. With --here it is built without the host, too: the
    signed request, claim and result are kept, and pushed by the next cit command that reaches it.
    """
    if here and (wanted.pool or on):
        raise UsageError("--here does not go with --pool or --on", hint="leave one of them out")
    clone = open_clone(Path(directory))
    actor = clone.actor()
    snapshot = reach(clone).snapshot
    change, values = wanted.change(clone), wanted.parameters()
    if not here and not wanted.pool and not on and not snapshot.away:
        here = _offer(clone, snapshot, change, job)
    if wanted.pool:
        need_pool(snapshot, wanted.pool)
    if on and on not in snapshot.policies.tip.team.agent:
        known = ", ".join(sorted(snapshot.policies.tip.team.agent)) or "none"
        raise NotFound(f"no agent {on!r} in the policy", hint=f"known agents: {known}")
    wish = Wish(
        jobs=job, parameters=values, pool=HERE if here else wanted.pool, on=on, message=message,
        readers=readers,
    )  # fmt: skip
    with waiting(f"reading the jobs of {change.jobs.commit[:12]}"):
        builds = planned(clone.state, snapshot, clone.doors, change, wish)
    starting = Starting(clone, snapshot.policies.tip.team, on) if not here and not snapshot.away else None
    if starting and probe:
        builds = starting.placed(builds)
    drafts = [first(clone.state, actor, snapshot, request, pool, build) for request, pool, build in builds]
    for draft in drafts:
        body = drafted(clone.state, draft)
        if isinstance(body, Request):
            for who in unreached(snapshot.policies.tip, body, draft.ref.split("/")[-2], actor.name):
                click.echo(f"{who} has no key that private builds can be hidden for: 'age' in team.toml", err=True)
    if not here and not is_pushed(clone.git_dir, change.commit):
        click.echo(f"commit {change.commit[:12]} is not pushed yet: the build waits until it is", err=True)
    ctx.exit(ask(clone, drafts, Out(as_json), here=here, follow=bool(follow), away=snapshot.away, starting=starting))


def ask(
    clone: Clone, drafts: list[Draft], out: Out, *, here: bool, follow: bool, away: bool = False,
    starting: Starting | None = None,
) -> int:  # fmt: skip
    """Pushes requests, builds them here, or has them started and follows them; the exit status.

    Raises NotFound if they are to be built here and this machine can build none of them.
    """
    kept, (state, actor) = False, (clone.state, clone.actor())
    if here:
        from citgit.programs.here import Here

        place = Here(clone, out.say, away=away)
        drafts = place.buildable(drafts)
        state, actor = place.asks
    answers = push(state, actor, drafts)
    remember(state, answers)
    note_clone(clone)
    note_started([_started(clone, draft, answer, away) for draft, answer in zip(drafts, answers, strict=True)])
    for draft, answer in zip(drafts, answers, strict=True):
        build = draft.ref.rpartition("/")[2]
        if answer.answer is Answer.UNKNOWN:
            out.say("kept", build, "the host is away: it is pushed by the next cit command that reaches it")
            kept = True
            continue
        complain(answer)
        out.say("queued", build, f"{draft.ref.split('/')[-2]}: {_subject(clone, draft)}")
    if kept:
        return 75
    if here:
        status = place.build(drafts)
        if away:
            kept_here(clone.journal.entries())
        return status
    if starting:
        starting.wake()
    if not follow:
        return 0
    from citgit.programs.follow import Follower

    return Follower(clone, [draft.ref for draft in drafts], out.say).until_final()


def _started(clone: Clone, draft: Draft, answer: Pushed, away: bool) -> Started:
    """What is kept here of a build that was asked for, whatever becomes of it at the host."""
    request = drafted(clone.state, draft)
    shown = request if isinstance(request, Request) else None
    pool, build = draft.ref.split("/")[-2:]
    return Started(
        time=clone.state.clock.now(), clone=str(clone.top), url=clone.url, build=build, pool=pool,
        job=shown.job if shown else "", branch=shown.branch if shown else "", commit=shown.commit if shown else "",
        answer=_ANSWERS[Answer.UNKNOWN if away else answer.answer],
    )  # fmt: skip


_ANSWERS = {Answer.DONE: "asked", Answer.STALE: "refused", Answer.DENIED: "refused", Answer.UNKNOWN: "kept here"}


@dataclass(frozen=True, slots=True)
class Out:
    """Where events go: lines for people, documents for programs."""

    as_json: bool

    def say(self, kind: str, build: str, text: str) -> None:
        """One event."""
        if self.as_json:
            click.echo(json.dumps({"version": 1, "event": kind, "build": build, "text": text}))
        elif kind == "output":
            click.echo(text)
        else:
            click.echo(f"{kind:>9}  {build[-12:]}  {text}")


def _offer(clone: Clone, snapshot: Snapshot, change: Change, jobs: Sequence[str]) -> bool:
    """Whether to build here because no live agent serves a pool that is asked for; the person decides."""
    team = snapshot.policies.tip.team
    places = [clone.state.refs.parse(ref) for ref in snapshot.of(clone.state.refs, Kind.AGENT)]
    boots = {place.group for place in places if place}
    served = {pool for name, one in team.agent.items() if name in boots and not one.drain for pool in one.pools}
    empty = sorted(_pools(clone, change, jobs) - served)
    if not empty:
        return False
    registered = [name for name, one in team.agent.items() if set(one.pools) & set(empty)]
    if not registered:
        click.echo(f"no agent is registered for pool {', '.join(empty)}: building here (--here)", err=True)
        return True
    click.echo(f"no live agent in pool {', '.join(empty)} (registered: {', '.join(registered)})", err=True)
    if sys.stdin.isatty():
        return click.confirm("build here?", default=True, err=True)
    click.echo("hint: 'cit run --here' builds on this machine; the request waits otherwise", err=True)
    return False


def _pools(clone: Clone, change: Change, jobs: Sequence[str]) -> set[str]:
    """The pools that the jobs ask for."""
    config = load(clone.doors, change)
    pools = set()
    for name in jobs or buildable(config):
        with suppress(UsageError):  # told when they are asked for
            pools |= {one.job.place.pool for one in clone.doors.configs.resolve(config, name, {})}
    return pools


def _subject(clone: Clone, draft: Draft) -> str:
    body = drafted(clone.state, draft)
    if not isinstance(body, Request):
        return ""
    return f"{body.job} on {body.branch}{body.at(10)}"
