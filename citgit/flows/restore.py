"""A host that came back from a backup (PROTOCOL §7): noticed, held by an admin, given back what it lost, let go.

Whoever remembers more than the host has, or meets a record whose writer had seen more, stops claiming. An admin then
publishes a policy of the next generation that holds all claims, so that no old chain is extended while everybody
gives back the longer ones that they remember. Once the hold is lifted the host's word counts again: what could not be
given back, because the host went on another way, is kept here as evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from citgit.errors import NotFound, Refused
from citgit.flows.chains import read_link
from citgit.flows.compare import grew
from citgit.flows.folders import listed, tip_in
from citgit.flows.policies import read_policies
from citgit.flows.poll import poll
from citgit.flows.publishing import Next, Submitted, refuse_stranger, seal_of, submit
from citgit.flows.state import Actor, Snapshot, State
from citgit.flows.writing import complain
from citgit.interfaces import Answer, Oid, Remote, Update
from citgit.model.build import Link
from citgit.model.names import Kind
from citgit.rules.authority import is_known

EVIDENCE = "evidence/"
"""Below the root, in the memory of tips: what this clone had seen and the host went on without, by generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What became of the refs of which the host had less: `given` back, kept as `evidence`, or still `open`."""

    given: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


@dataclass(slots=True)
class Caution:
    """A worker's look at whether the host may be an old copy; `checked` are the records that were looked at."""

    checked: set[Oid] = field(default_factory=set)

    def held(self, state: State, snapshot: Snapshot, say: Callable[[str, str, str], None]) -> bool:
        """Gives a restored host back what it lost; whether nothing may be taken or put away on it as it is.

        `say` is told of alarms and what was given back: a kind, a build or another last part of a ref, words.
        """
        for alarm in snapshot.alarms:
            say("alarm", "", alarm)
        done = push_back(state, snapshot)
        for ref in done.given:
            say("returned", ref.rpartition("/")[2], f"{ref!r}: the restored host lacked it")
        for ref in done.evidence:
            say("evidence", ref.rpartition("/")[2], f"{ref!r}: the host went on without what was seen of it")
        doubtful = doubts(state, snapshot, self.checked)
        for doubt in doubtful:
            say("alarm", "", f"nothing is claimed: {doubt}")
        return bool(doubtful) or snapshot.policies.tip.hold


def doubts(state: State, snapshot: Snapshot, checked: set[Oid]) -> list[str]:
    """Why the host seems to have lost something that decides who may build what; empty if it does not.

    `checked` keeps what was looked at: a record is looked at once. Only records by keys that the policy knows count,
    and only those of this generation: what was lost before an admin's restore is known to be lost.
    """
    found = [
        f"the host lacks what {ref!r} had" for ref in sorted(snapshot.behind)
        if (place := state.refs.parse(ref)) and place.kind in (Kind.POLICY, Kind.ARCHIVE)
    ]  # fmt: skip
    for kind in (Kind.BUILD, Kind.AGENT):
        for tip in snapshot.of(state.refs, kind).values():
            if tip in checked:
                continue
            links = list(_unchecked(state, tip, checked))
            unknown = [text for link in links for text in had_seen_more(state, snapshot, link)]
            found += unknown
            if not unknown:
                checked.update(link.oid for link in links)
    return found


def push_back(state: State, snapshot: Snapshot) -> Returned:
    """Gives the host back what it lost and this clone remembers; what does not fit any more is kept as evidence.

    Only after an admin's restore (`snapshot.restored`). Call it with each new snapshot until nothing is open.
    """
    if not snapshot.restored:
        return Returned()
    memory = state.tips.load()
    updates: list[Update] = []
    forked: list[tuple[str, Oid, Oid | None]] = []
    for ref, there in snapshot.behind.items():
        mine = memory.get(ref)
        if mine is None or ref == state.refs.policy:
            continue
        if there is None or grew(state, ref, mine, there):
            updates.append(Update(ref, there, mine))
        else:
            forked.append((ref, mine, there))
    updates.sort(key=lambda one: (f"/{Kind.ARCHIVE.value}/" not in one.ref, one.ref))
    answers = state.remote.push(updates) if updates else []
    forked += [(one.update.ref, str(one.update.new), one.update.old) for one in answers if one.answer is Answer.DENIED]
    _give_up(state, snapshot, forked)
    opened = [one.update.ref for one in answers if one.answer in (Answer.STALE, Answer.UNKNOWN)]
    if not opened and not forked and state.refs.policy not in snapshot.behind and not snapshot.policies.tip.hold:
        state.tips.save({state.refs.policy: snapshot.policies.tip.oid})
    given = tuple(one.update.ref for one in answers if one.answer is Answer.DONE)
    return Returned(given=given, evidence=tuple(ref for ref, _, _ in forked), open=tuple(opened))


def evidence(state: State) -> dict[str, Oid]:
    """What this clone had seen and the host went on without, by "<generation>/<ref below the root>"."""
    prefix = f"{state.refs.root}{EVIDENCE}"
    return {ref[len(prefix) :]: tip for ref, tip in state.tips.load().items() if ref.startswith(prefix)}


def begin(state: State, branches: Remote, actor: Actor, reason: str) -> Submitted | None:
    """Holds all claims under the next generation, after giving back the policies; None if that has been done.

    Raises Refused: no admin, or the host's policy went another way than the one remembered. TryAgain.
    """
    snapshot = poll(state)
    chain = snapshot.policies
    refuse_stranger(chain, actor)
    if state.refs.policy in snapshot.behind:
        there = snapshot.behind[state.refs.policy]
        if there is not None and not grew(state, state.refs.policy, chain.tip.oid, there):
            raise Refused(
                f"the host's policy {there[:12]} does not lead to {chain.tip.oid[:12]}, the one that this clone knows",
                hint="somebody published on the old policy: the admins have to agree which one holds",
            )
        complain(state.remote.push([Update(state.refs.policy, there, chain.tip.oid)])[0])
        chain = read_policies(state, chain.tip.oid)
    if snapshot.restored and chain.tip.hold:
        return None
    wanted = Next(
        team=chain.tip.team, seal=seal_of(state), reason=reason, hold=True, generation=chain.tip.generation + 1
    )
    done = submit(state, branches, actor, chain, wanted)
    # remembered once this clone too has given back what it knows
    state.tips.save({state.refs.policy: chain.tip.oid})
    return done


def release(state: State, branches: Remote, actor: Actor, reason: str) -> Submitted:
    """Lifts the hold: from here on the host's chains are the ones that count. Raises Refused, TryAgain."""
    chain = poll(state).policies
    refuse_stranger(chain, actor)
    if not chain.tip.hold:
        raise Refused(f"policy {chain.tip.version} holds nothing", hint="'cit restore' begins a restore")
    return submit(state, branches, actor, chain, Next(team=chain.tip.team, seal=seal_of(state), reason=reason))


def _give_up(state: State, snapshot: Snapshot, forked: list[tuple[str, Oid, Oid | None]]) -> None:
    """Takes the host's word for these refs, and keeps what was remembered of them."""
    generation = snapshot.policies.tip.generation
    changes: dict[str, Oid | None] = {}
    for ref, mine, there in forked:
        place = state.refs.parse(ref)
        if place is None or place.kind is not Kind.AGENT:
            changes[f"{state.refs.root}{EVIDENCE}{generation}/{ref[len(state.refs.root) :]}"] = mine
        if place and place.kind is Kind.ARCHIVE and there is not None:
            # the builds themselves can come back as refs: they are final, and are folded again
            lost = {
                state.refs.build(place.group, build): tip_in(state, mine, build)
                for build in listed(state, mine) if not tip_in(state, there, build)
            }  # fmt: skip
            changes |= {one: tip for one, tip in lost.items() if tip}
        changes[ref] = there
    if changes:
        state.tips.save(changes)


def _unchecked(state: State, tip: Oid, checked: set[Oid]) -> Iterator[Link]:
    """The records of a chain that were not looked at before, newest first."""
    oid: Oid | None = tip
    while oid is not None and oid not in checked:
        try:
            link = read_link(state, oid)
        except NotFound:
            return
        yield link
        oid = link.parents[0] if link.parents else None


def had_seen_more(state: State, snapshot: Snapshot, link: Link) -> Iterator[str]:
    """What the writer of a record had seen and the host does not show, in words."""
    chain, record = snapshot.policies, link.record
    if record is None or not is_known(chain.tip, link.key):
        return
    head, at = record.head, chain.index(record.head.policy)
    who = f"{head.actor}, who wrote {head.type} {link.oid[:12]},"
    if at is None:
        yield f"{who} cites a policy that the host does not have: {head.policy[:12]}"
        return
    if chain.policies[at].generation < chain.tip.generation:
        return
    if head.seen.policy and chain.index(head.seen.policy) is None:
        yield f"{who} had seen a policy that the host does not have: {head.seen.policy[:12]}"
    for ref, tip in head.seen.archives.items():
        place = state.refs.parse(ref)
        if not place or place.kind is not Kind.ARCHIVE or (snapshot.asked is not None and ref not in snapshot.asked):
            continue
        # most have seen what is there now, and to look for an object costs more
        if tip != snapshot.tips.get(ref) and not state.objects.has(tip):
            yield f"{who} had seen an archive that the host does not have: {tip[:12]} of {ref!r}"
