"""`cit report`: static pages of all builds, made on this machine from records and the logs that are here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from citgit.errors import CitError, NotFound, RemoteAway, UsageError
from citgit.flows.builds import Repository
from citgit.flows.compare import ask_all
from citgit.model.build import Build
from citgit.model.policy import PolicyView
from citgit.programs.diff import facts
from citgit.programs.log_place import local_log, open_log
from citgit.programs.reach import reach
from citgit.programs.report_live import serve as serve_report
from citgit.programs.waiting import waiting
from citgit.programs.why import offers
from citgit.programs.wording import agent, emit
from citgit.rules.ids import month_of, months_back
from citgit.rules.private import is_private
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.logs import LocalLog
from citgit.wiring.pages import KNOWN, AgentRow, LogPart, Site, World, log_parts, plain


@click.command("report", epilog="Example: cit report --out report && xdg-open report/index.html")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--out", default="", help="the directory to write, brought up to date if it holds a report [cit-report]")
@click.option("--months", default=0, type=click.IntRange(min=0), help="only the last months; default: all there are")
@click.option(
    "--logs", default=0, type=click.IntRange(min=0), help="fetch output of the newest N builds from nodes too"
)
@click.option("--serve", is_flag=True, help="serve the pages on loopback, made anew as things happen")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="the port to serve on; default: any free one")
@click.option("--json", "as_json", is_flag=True, help="print JSON: what was written")
def command(
    directory: str, out: str, months: int, logs: int, serve: bool, port: int, as_json: bool
) -> None:  # fmt: skip
    """Writes a report of all builds that opens as files: no server, no scripts, nothing loaded from elsewhere.

    With --serve, a browser on this machine sees the same pages change as builds do, and follows their output.
    """
    if port and not serve:
        raise UsageError("--port is for --serve", hint="add --serve, or leave it out")
    clone = open_clone(Path(directory))
    place = _place(clone, out, serve)
    repository = reach(clone)
    if not repository.snapshot.away:
        with waiting("fetching all archives"):
            repository = Repository(clone.state, ask_all(clone.state, repository.snapshot))
    with waiting("writing pages of builds") as count:
        site = Site(place, plain, count)
        done = site.render(world(clone, repository, months, logs, live=serve))
    if as_json:
        emit({"out": str(place), "builds": done.shown, "pages": done.builds, "jobs": done.jobs})
    else:
        click.echo(f"{done.shown} builds; {done.builds} pages of builds and {done.jobs} of jobs are new", err=True)
    if serve:
        serve_report(
            clone, Site(place, plain), repository, lambda now: world(clone, now, months, logs, live=True), port
        )
    elif not as_json:
        click.echo(place / "index.html")


def _place(clone: Clone, out: str, serve: bool) -> Path:
    """The directory to write. Raises UsageError if it holds something else."""
    place = Path(out) if out else clone.home / "cit-report" if serve else Path("cit-report")
    if place.exists() and not place.is_dir():
        raise UsageError(f"not a directory: {str(place)!r}", hint="name another one with --out")
    if place.is_dir() and any(place.iterdir()) and not (place / KNOWN).exists():
        raise UsageError(f"{str(place)!r} holds other files", hint="name an empty or new directory with --out")
    if serve:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def world(clone: Clone, repository: Repository, months: int = 0, logs: int = 0, *, live: bool = False) -> World:
    """Everything that the report shows; what is encrypted stays so, since a report can be given away."""
    policies = repository.snapshot.policies
    wanted = set(months_back(clone.state.clock.now(), months))
    active = {build.id: build for build in sorted(repository.active(), key=lambda one: one.id, reverse=True)}
    archived = {
        build: (pool, archive)
        for pool, archive, build in repository.archived_ids()
        if build not in active and (not wanted or month_of(build) in wanted)
    }

    def load(build: str) -> Build:
        found = active[build] if build in active else repository.archived_build(*archived[build], build)
        if found is None:
            raise NotFound(f"build {build} is in the archive, and cannot be read", hint="cit verify --all")
        return found

    order = sorted({*active, *archived}, reverse=True)
    return World(
        name=clone.top.name, root=policies.repo, policy=policies.tip.oid, policy_version=policies.tip.version,
        tips={one: active[one].tip if one in active else "" for one in order},
        load=load,
        agents=_agents(clone, repository), alarms=repository.snapshot.alarms, now=clone.state.clock.now(),
        log=_Logs(clone, policies.tip, frozenset(order[:logs])),
        differences=_differences, origin=clone.source, live=live,
    )  # fmt: skip


def _agents(clone: Clone, repository: Repository) -> Sequence[AgentRow]:
    found = offers(clone, repository)
    busy = Counter(build.held.actor for build in repository.active() if build.held and not build.is_final)
    rows = []
    for name, one in sorted(repository.snapshot.policies.tip.team.agent.items()):
        offer = found.get(name)
        host = f"{offer.advert.host} {offer.advert.os}/{offer.advert.arch}" if offer else ""
        rows.append(
            AgentRow(
                name=name, pools=one.pools, labels=one.labels, slots=one.slots, busy=busy[f"agent:{name}"],
                heard=offer.heard if offer else 0, host=host, drain=one.drain, short=offer.short if offer else "",
                cpu=offer.advert.cpu if offer else 0, memory=offer.advert.memory if offer else 0,
                executors=[name for name, fault in offer.advert.executors.items() if not fault] if offer else (),
            )
        )  # fmt: skip
    return rows


class _Logs:
    """What is shown of logs: those on this machine, and of the builds in `far` also those that nodes have."""

    def __init__(self, clone: Clone, policy: PolicyView, far: frozenset[str]) -> None:
        self._clone, self._policy, self._far = clone, policy, far
        self._away: set[str] = set()

    def __call__(self, build: Build) -> Sequence[LogPart]:
        """The components of the build's log; none if it cannot be read from here."""
        if build.request is None or is_private(build.request):
            return []  # pages are for whoever gets them, and this machine may have built it
        if root := local_log(build):
            return log_parts(LocalLog(root))
        node = agent(build)
        if build.id not in self._far or not node or node in self._away:
            return []
        try:
            return log_parts(open_log(self._clone, self._policy, build))
        except CitError as error:
            if isinstance(error, RemoteAway):
                self._away.add(node)  # once is enough to wait for it
            click.echo(f"no output of {build.id} from {plain(node)}: {plain(error.message)}", err=True)
            return []


def _differences(old: Build, new: Build) -> Mapping[str, tuple[object, object]]:
    before, now = facts(old), facts(new)
    return {
        key: (before.get(key), now.get(key)) for key in sorted({*before, *now}) if before.get(key) != now.get(key)
    }  # fmt: skip
