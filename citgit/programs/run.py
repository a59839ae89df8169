"""`cit run`: asks for builds of a revision; `--here` builds them on this machine, by the worker's own path."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from citgit.errors import RemoteAway, UsageError
from citgit.flows.chains import read_link
from citgit.flows.enqueue import Change, Wish, enqueue_person, need_pool
from citgit.flows.state import Snapshot
from citgit.flows.worker import Event
from citgit.flows.writing import Draft, complain, push, remember
from citgit.interfaces import Answer
from citgit.model.names import HERE, Kind
from citgit.model.record import Request
from citgit.programs.follow import Follower
from citgit.programs.reach import reach
from citgit.wiring.checkout import is_pushed, revision
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.worker import open_worker, worker_home

KEEP = "'cit run --pool default' keeps a request here, to be pushed when the host is back"


@click.command("run", epilog="Example: cit run check --set level=9 --follow")
@click.argument("job", nargs=-1)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--ref", default="HEAD", help="what to build: a branch or a commit")
@click.option("--set", "values", multiple=True, metavar="K=V", help="a parameter")
@click.option("--pool", default="", help="the queue to ask in")
@click.option("--on", default="", help="only this agent")
@click.option("--here", is_flag=True, help="build on this machine")
@click.option("-f", "--follow/--no-follow", default=None, help="wait and show the output (default with --here)")
@click.option("-m", "--message", default="", help="why you ask")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per event")
@click.pass_context
def command(
    ctx: click.Context, job: tuple[str, ...], directory: str, ref: str, values: tuple[str, ...], pool: str, on: str,
    here: bool, follow: bool | None, message: str, as_json: bool,
) -> None:  # fmt: skip
    """Asks for a build of HEAD, or of --ref; without JOB for all jobs of its cit.toml."""
    clone = open_clone(Path(directory))
    actor = clone.actor()
    snapshot = reach(clone).snapshot
    if here and snapshot.away:
        raise RemoteAway("a build here records its claim and result at the host, and that is away", hint=KEEP)
    commit, branch = revision(clone.git_dir, ref)
    if not here and not pool and not snapshot.away and not _live(clone, snapshot, "default"):
        here = _offer(snapshot)
    if pool:
        need_pool(snapshot, pool)
    wish = Wish(
        jobs=job, parameters=_parameters(values), pool=HERE if here else pool, on=on, message=message,
    )  # fmt: skip
    change = Change(url=str(clone.repository), branch=branch, commit=commit)
    drafts = enqueue_person(clone.state, actor, snapshot, clone.doors, change, wish)
    out, kept = Out(as_json), False
    answers = push(clone.state, actor, drafts)
    remember(clone.state, answers)
    for draft, answer in zip(drafts, answers, strict=True):
        build = draft.ref.rpartition("/")[2]
        if answer.answer is Answer.UNKNOWN:
            out.say("kept", build, "the host is away: it is pushed by the next cit command that reaches it")
            kept = True
            continue
        complain(answer)
        out.say("queued", build, f"{draft.ref.split('/')[-2]}: {_subject(clone, draft)}")
    if kept:
        ctx.exit(75)
    if here:
        ctx.exit(build_here(clone, drafts, out))
    if not is_pushed(clone.git_dir, commit):
        click.echo(f"commit {commit[:12]} is not pushed yet: the build waits until it is", err=True)
    if follow:
        follower = Follower(clone, [draft.ref for draft in drafts], out.say)
        ctx.exit(follower.until_final())


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


def build_here(clone: Clone, drafts: list[Draft], out: Out) -> int:
    """Builds the requests on this machine until all are final; the exit status."""
    actor = clone.actor()

    def tell(event: Event) -> None:
        if event.kind in ("claimed", "result", "skipped", "error", "lost"):
            out.say(event.kind, event.build, event.text)

    worker = open_worker(
        clone.url, worker_home(clone.url, actor.name), actor.name, actor.signer, pools=[HERE],
        source=str(clone.repository), tell=tell, root=clone.state.refs.root, pinned=clone.state.pinned,
    )  # fmt: skip
    follower = Follower(clone, [draft.ref for draft in drafts], out.say, logs=worker.workshop)
    worker.only = frozenset(follower.ids())
    while True:
        worker.turn()
        worker.only = frozenset(follower.refresh())
        if follower.done():
            return follower.status()
        while not follower.output() and any(worker.workshop.poll(claim) is None for claim in worker.workshop.running()):
            clone.state.clock.sleep(0.02)
        follower.output()


def _parameters(values: tuple[str, ...]) -> dict[str, str | int | bool]:
    found: dict[str, str | int | bool] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals:
            raise UsageError(f"not a parameter: {value!r}", hint="write --set NAME=VALUE")
        found[key] = text
    return found


def _live(clone: Clone, snapshot: Snapshot, pool: str) -> bool:
    team = snapshot.policies.tip.team
    boots = {place.group for ref in snapshot.of(clone.state.refs, Kind.AGENT) if (place := clone.state.refs.parse(ref))}
    return any(pool in agent.pools and not agent.drain and name in boots for name, agent in team.agent.items())


def _offer(snapshot: Snapshot) -> bool:
    registered = [name for name, agent in snapshot.policies.tip.team.agent.items() if agent.pools]
    if not registered:
        click.echo("no agent is registered: building here (--here)", err=True)
        return True
    click.echo(f"no live agent (registered: {', '.join(registered)})", err=True)
    if sys.stdin.isatty():
        return click.confirm("build here?", default=True, err=True)
    click.echo("hint: 'cit run --here' builds on this machine; the request waits otherwise", err=True)
    return False


def _subject(clone: Clone, draft: Draft) -> str:
    record = read_link(clone.state, draft.new).record
    body = record.body if record else None
    return f"{body.job} on {body.branch} at {body.sources[0].commit[:10]}" if isinstance(body, Request) else ""
