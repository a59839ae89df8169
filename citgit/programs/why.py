"""`cit why`: why a build waits, why it runs where it runs, or why it ended as it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from citgit.errors import CitError, Errored, NotYet
from citgit.flows.builds import Repository
from citgit.flows.chains import LONGEST, read_link
from citgit.flows.claims import on_their_branches, upstream, why
from citgit.flows.placing import inputs, kept_at
from citgit.model.build import Build, Entry
from citgit.model.names import HERE, Kind
from citgit.model.plan import Input
from citgit.model.record import Advert, Beat, Claim, Decision, Lost, Observed
from citgit.model.request import TIP
from citgit.programs import complete
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.programs.show import record_line
from citgit.programs.test_words import change_lines, changed
from citgit.programs.wording import (
    builtins,
    coloured,
    document,
    emit,
    error_line,
    label,
    last_claim,
    many,
    plain,
    span,
    word,
)
from citgit.rules.authority import fallen, fallen_asker, is_account_of, runs_as_owner, stop_reason
from citgit.wiring.clone import Clone, open_clone


@dataclass(slots=True)
class Reasons:
    """What is known: sentences, and the decisions by agent."""

    said: list[str] = field(default_factory=list)
    decisions: dict[str, list[Decision]] = field(default_factory=dict)


@click.command("why", epilog="Example: cit why HEAD")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(build: str, directory: str, as_json: bool) -> None:
    """Explains why a build waits, runs where it runs, or ended as it did."""
    clone = open_clone(Path(directory))
    repository = reach(clone)
    found = find_build(repository, clone, build)
    reasons = explain(clone, repository, found)
    void = [entry for entry in found.entries if entry.void]
    if as_json:
        decisions = {agent: builtins(listed) for agent, listed in reasons.decisions.items()}
        voids = [{"oid": entry.link.oid, "void": entry.void} for entry in void]
        emit(document(found) | {"why": reasons.said, "decisions": decisions, "void": voids})
        return
    click.echo(f"{label(found)}  {coloured(word(found))}")
    for said in reasons.said:
        click.echo(f"  {plain(said)}")
    for agent, listed in reasons.decisions.items():
        for one in listed:
            click.echo(f"    {plain(agent)}: {'yes' if one.ok else 'no '}  {plain(one.check)}: {plain(one.found)}")
    for entry in void:
        click.echo("  " + record_line(entry))


def explain(clone: Clone, repository: Repository, build: Build) -> Reasons:
    """The reasons for the state that the build is in."""
    reasons = Reasons()
    reasons.said += _asked(build)
    if build.broken or build.unsupported:
        reasons.said.append(build.broken or build.unsupported)
    elif build.is_final:
        reasons.said += [*_ended(build), *change_lines(changed(repository, build))]
        _placed(build, reasons)
    elif build.held:
        reasons.said.append(f"held by {build.held.actor}, attempt {build.held.attempt}")
        if gone := fallen(repository.snapshot.policies.tip, build.held.actor):
            reasons.said.append(f"{gone}: another agent takes over at its next poll")
        if gone := fallen_asker(repository.snapshot.policies.tip, build.owner, build.principal):
            stops = stop_reason(repository.snapshot.policies.tip, build.owner, build.principal)
            reasons.said.append(f"{gone}: " + ("its holder stops it" if stops else "the policy lets it finish"))
        if build.stopping:
            reasons.said.append(f"it is being stopped ({build.stopping.value})")
        _placed(build, reasons)
    else:
        _waits(clone, repository, build, reasons)
    return reasons


def _asked(build: Build) -> Iterator[str]:
    """What the nodes had said before the build was asked for."""
    if build.request is None or not build.request.probed:
        return
    best = build.request.prefer
    yield f"its requester asked {many(len(build.request.probed), 'node')}; " + (
        f"{best} was the best" if best else "none was free"
    )
    for one in build.request.probed:
        if one.away or one.lacks:
            yield (
                f"{one.agent} did not answer: {one.away}" if one.away else f"{one.agent} lacked {'; '.join(one.lacks)}"
            )


def _ended(build: Build) -> Iterator[str]:
    if build.revoked:
        yield "it was archived as final; a later policy made void what ended it, so nobody vouches for that: retry it"
    for entry in build.entries:
        record = entry.link.record
        if record and entry.link.oid == build.final:
            said = getattr(record.body, "reason", "")
            yield f"ended by a {record.head.type} of {record.head.actor}" + (f": {said}" if said else "")
            if isinstance(record.body, Lost) and record.body.observed:
                yield _observed(record.body.observed)
    if build.result and build.result.first_error:
        yield f"first error: {error_line(build.result.first_error)}"


def _placed(build: Build, reasons: Reasons) -> None:
    """Every claim that took over, and the decisions of the last one."""
    for entry in build.entries:
        body = _claim(entry)
        if body and body.takeover and entry.link.record:
            reasons.said.append(
                f"{entry.link.record.head.actor} took over as attempt {body.attempt}: {_observed(body.takeover)}"
            )
    last = last_claim(build)
    if last and last.link.record and (body := _claim(last)) and body.why:
        reasons.decisions[last.link.record.head.actor.removeprefix("agent:")] = list(body.why)


def _claim(entry: Entry) -> Claim | None:
    body = entry.link.record.body if entry.link.record and not entry.void else None
    return body if isinstance(body, Claim) else None


def _observed(seen: Observed) -> str:
    return f"no beat of claim {seen.claim[:12]} for {span(seen.unchanged_ms / 1000)} over {seen.polls} polls"


def _waits(clone: Clone, repository: Repository, build: Build, reasons: Reasons) -> None:
    policy = repository.snapshot.policies.tip
    said = reasons.said
    if build.paused_by:
        until = f" for {span(build.pause_at - clone.state.clock.now())} more" if build.pause_at else ""
        said.append(f"paused by {build.paused_by}{until}; 'cit resume' lets it go on")
    if gone := fallen_asker(policy, build.owner, build.principal):
        said.append(f"{gone}: nobody takes it; a maintainer ends it with 'cit cancel'")
    if policy.hold:
        said.append(f"policy {policy.version} holds all claims until an admin publishes the next one")
    if build.request and build.valid_claims >= build.request.max_attempts:
        said.append(f"all {build.request.max_attempts} attempts are spent")
    before = upstream(repository, build)
    if before.waits_for:
        said.append(f"waits for {before.waits_for}")
    elif before.skip:
        said.append(f"is about to be skipped: {before.skip.reason}")
    said += _unfetchable(clone, repository, build)
    if build.pool == HERE:
        said.append("only its owner's own machine builds it: 'cit run --here' asks for that")
        return
    agents = policy.team.agent
    if runs_as_owner(build.request) and not any(is_account_of(policy.team, one, build.owner) for one in agents):
        said.append(
            f"it is to run as {build.owner or 'a person, whom no push names'}, and no agent is in their account: "
            "cit agent install USER@HOST --for PERSON"
        )
    _agents(clone, repository, build, reasons)
    if not said:
        said.append("an agent fits and has a free slot: it should be taken at the next poll")


def _agents(clone: Clone, repository: Repository, build: Build, reasons: Reasons) -> None:
    """Each agent of the pool: alive or not, and what it makes of the build."""
    team = repository.snapshot.policies.tip.team
    alive = offers(clone, repository)
    serving = [name for name, agent in sorted(team.agent.items()) if build.pool in agent.pools]
    live = [name for name in serving if name in alive and not team.agent[name].drain]
    if not live:
        known = ", ".join(serving) or "none"
        reasons.said.append(f"no live agent in pool {build.pool!r} (registered: {known})")
    now = clone.state.clock.now()
    wanted = _first_of_each(repository, build)
    for name in live:
        decisions = why(build, alive[name].advert, name, alive[name].free)
        decisions += [reason for one in wanted for reason in kept_at([one], here=one.node == alive[name].advert.host)]
        reasons.decisions[name] = decisions
        if alive[name].short:
            reasons.said.append(f"agent {name} takes nothing new: {alive[name].short}")
        silent = now - alive[name].heard
        if silent > team.limits.ttl:
            reasons.said.append(f"agent {name} was last heard of {span(silent)} ago")
        if missing := [one for one in decisions if not one.ok]:
            found = "; ".join(f"{one.check} (found: {one.found or 'nothing'})" for one in missing)
            reasons.said.append(f"agent {name} lacks {found}")


def _first_of_each(repository: Repository, build: Build) -> list[Input]:
    """One file of each upstream build that hands some over: all of them are where it ran."""
    try:
        return list({one.label: one for one in inputs(repository, build)}.values())
    except Errored:
        return []


@dataclass(frozen=True, slots=True)
class Offer:
    """What an agent last offered, when it was last heard of (unix seconds), its free slots, what it is short of."""

    advert: Advert
    heard: int
    free: int
    short: str = ""


def offers(clone: Clone, repository: Repository) -> dict[str, Offer]:
    """The last offer of each agent of the policy; only records that its own key signed count."""
    team = repository.snapshot.policies.tip.team
    holds = Counter(build.held.actor for build in repository.active() if build.held and not build.is_final)
    found: dict[str, Offer] = {}
    for ref, tip in repository.snapshot.of(clone.state.refs, Kind.AGENT).items():
        place = clone.state.refs.parse(ref)
        if place is None or place.group not in team.agent:
            continue
        heard, advert, short = _advert(clone, tip, team.agent[place.group].key)
        if advert and (place.group not in found or heard > found[place.group].heard):
            # a beat's count is as old as the beat; the claims are as they are now
            free = max(0, advert.slots - holds[f"agent:{place.group}"])
            found[place.group] = Offer(advert, heard, free, short)
    return found


def _advert(clone: Clone, tip: str, key: str) -> tuple[int, Advert | None, str]:
    """(time of the newest record, advert, what the newest says it is short of); no advert if the agent signed none."""
    oid, heard, short = tip, 0, ""
    for _ in range(LONGEST):
        link = read_link(clone.state, oid)
        if link.record and link.key.split()[:2] == key.split()[:2]:
            if not heard and isinstance(link.record.body, Beat):
                short = link.record.body.short
            heard = heard or link.record.head.time
            if isinstance(link.record.body, Advert):
                return heard, link.record.body, short
        if not link.parents:
            break
        oid = link.parents[0]
    return heard, None, short


def _unfetchable(clone: Clone, repository: Repository, build: Build) -> Iterator[str]:
    if build.request and not build.request.commit:
        return  # it is hidden what is to be built
    if build.request:
        try:
            pool = repository.snapshot.policies.tip.team.pool.get(build.pool)
            on_their_branches(clone.doors.sources, clone.url, build.request, pool)
        except NotYet as error:
            yield f"{error.message}, as pool {build.pool!r} demands"
        except CitError:
            pass  # said below, of each revision
    for source in build.request.sources if build.request else ():
        if source.commit == TIP:
            continue  # for the nodes of the alias to find out
        try:
            clone.doors.sources.fetch(source.url or clone.url, source.commit, source.ref)
        except NotYet as error:
            yield f"revision {source.commit[:12]} cannot be fetched yet: {error.message}; push it"
        except CitError as error:
            yield f"revision {source.commit[:12]} cannot be fetched from here: {error.message}"
