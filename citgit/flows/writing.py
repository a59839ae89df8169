"""Writes records: composed, signed, journalled, pushed with a lease, and read back when the answer was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from citgit.errors import CitError, Refused, RemoteAway, TryAgain, Unsupported
from citgit.flows.chains import descends, read_chain, read_link
from citgit.flows.folders import archived_tip
from citgit.flows.state import Actor, Snapshot, State
from citgit.interfaces import Answer, Entrusted, Journal, Oid, Pushed, Update
from citgit.model.build import Build, Link
from citgit.model.names import Kind
from citgit.model.record import Body, Claim, Progress, RecordType, Result, Seen
from citgit.records import commit as commits
from citgit.records.envelope import Parent, compose, parent_of, read_record
from citgit.records.registry import BY_BODY
from citgit.rules.ids import month_of

_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A signed record that is not pushed yet; `old` is the tip it follows."""

    ref: str
    old: Oid | None
    new: Oid
    data: bytes
    kind: str
    parent: Parent


def sign(
    state: State, actor: Actor, body: Body, *, ref: str, build: str, parent: Parent | None, repo: str, policy: str,
    seen: Seen, tree: str = commits.EMPTY_TREE, stored: bool = True,
) -> Draft:  # fmt: skip
    """A signed record that is not pushed yet, in the local store unless only `push` is to put it there.

    Raises:
        BadRecord, BadSignature: it cannot be written, or not be signed.
    """
    payload = compose(
        body, repo=repo, ref=ref, build=build, parent=parent, policy=policy, seen=seen, actor=actor.name,
        nonce=state.entropy.nonce(), time=state.clock.now(), tree=tree,
    )  # fmt: skip
    data = commits.signed(payload, actor.signer.sign(payload))
    made = commits.parse(data)
    if stored:
        state.objects.write("commit", data)
    # what this process signed itself it need not verify
    key = " ".join(actor.signer.public_key.split()[:2])
    record = read_record(made)
    state.links[made.oid] = Link(
        oid=made.oid, sha256=made.sha256, parents=made.parents, tree=made.tree, key=key, record=record
    )
    return Draft(
        ref=ref, old=parent.oid if parent else None, new=made.oid, data=data, kind=BY_BODY[type(body)].type.value,
        parent=Parent(oid=made.oid, sha256=made.sha256, seq=record.head.seq, policy=record.head.policy),
    )  # fmt: skip


def parent_at(state: State, tip: Oid) -> Parent:
    """What a record that follows must know of the tip of a chain; if that is no record, its place in the chain."""
    try:
        return parent_of(state.objects.read(tip)[1])
    except (Refused, Unsupported):
        links = read_chain(state, tip)
        return Parent(oid=tip, sha256=links[-1].sha256, seq=len(links) - 1, policy="")


def draft(state: State, actor: Actor, snapshot: Snapshot, build: Build, body: Body, *, stored: bool = True) -> Draft:
    """The next record of a build that was read; as `sign`."""
    if build.broken or build.unsupported:
        raise Refused(f"cannot write to build {build.id}: {build.broken or build.unsupported}")
    last = build.entries[-1].link
    # its place in the chain, whatever the last one says of itself: anybody may have pushed that
    parent = Parent(oid=last.oid, sha256=last.sha256, seq=len(build.entries) - 1, policy=snapshot.policies.tip.oid)
    actor = _attempt(actor, build) if isinstance(body, Progress | Result) else actor
    return follow(state, actor, snapshot, body, ref=build.ref, build=build.id, parent=parent, stored=stored)


def _attempt(actor: Actor, build: Build) -> Actor:
    """The actor with the key of the attempt that holds the build, if it is here; else as it is."""
    named = build.held.attempt_key if build.held and build.held.actor == actor.name else ""
    signer = actor.keys.signer(named) if actor.keys and named else None
    return replace(actor, signer=signer) if signer else actor


def follow(
    state: State, actor: Actor, snapshot: Snapshot, body: Body, *, ref: str, build: str, parent: Parent | None,
    stored: bool = True,
) -> Draft:  # fmt: skip
    """The next record of any chain, citing the policy in force."""
    chain = snapshot.policies
    return sign(
        state, actor, body, ref=ref, build=build, parent=parent, repo=chain.repo, policy=chain.tip.oid,
        seen=_seen(state, snapshot, ref, build), stored=stored,
    )  # fmt: skip


def drafted(state: State, draft: Draft) -> Body | None:
    """The body of a record that was drafted."""
    record = read_link(state, draft.new).record
    return record.body if record else None


def _seen(state: State, snapshot: Snapshot, ref: str, build: str) -> Seen:
    """The policy and the archive tips that matter here: of the build's month, or the newest of an agent's pools."""
    place, team, tips = state.refs.parse(ref), snapshot.policies.tip.team, snapshot.tips
    refs: list[str] = []
    if place and place.kind is Kind.BUILD:
        refs = [state.refs.archive(place.group, month_of(build))]
    elif place and place.kind is Kind.AGENT and place.group in team.agent:
        known = sorted(snapshot.of(state.refs, Kind.ARCHIVE))
        for pool in team.agent[place.group].pools:
            refs += [one for one in known if one.startswith(state.refs.archives(pool))][-1:]
    return Seen(policy=snapshot.policies.tip.oid, archives={one: tips[one] for one in refs if one in tips})


def write(state: State, actor: Actor, drafts: Sequence[Draft]) -> None:
    """Pushes drafts that must all get through. Raises TryAgain, Refused for the first that did not."""
    answers = push(state, actor, drafts)
    remember(state, answers)
    for pushed in answers:
        complain(pushed)


def remember(state: State, answers: Sequence[Pushed]) -> None:
    """Remembers what was just written: a host that loses it is noticed, and it is known while the host is away."""
    state.tips.save({one.update.ref: one.update.new for one in answers if one.answer is Answer.DONE})


def _remember_requests(state: State, answers: Sequence[Pushed]) -> None:
    """Whoever asked can give a host that was restored from a backup the request back, if nobody else had seen it."""
    remember(state, [each for each in answers if each.update.old is None and state.refs.is_build(each.update.ref)])


def complain(pushed: Pushed) -> None:
    """Raises what a push that is not done means."""
    ref, words = pushed.update.ref, pushed.message.strip()
    match pushed.answer:
        case Answer.STALE:
            raise TryAgain(f"cannot push {ref!r}: it moved", hint="somebody else was faster; look again")
        case Answer.DENIED:
            raise Refused(f"cannot push {ref!r}: the host refuses it: {words[-300:]}")
        case Answer.UNKNOWN:
            raise RemoteAway(f"cannot push {ref!r}: {words[-300:] or 'no answer'}", hint="it is kept, and pushed later")
        case Answer.DONE:
            return


def push(state: State, actor: Actor, drafts: Sequence[Draft]) -> list[Pushed]:
    """Stores, journals, pushes, and finds out about lost answers. Answers UNKNOWN stay in the journal."""
    with state.objects.group():
        for one in drafts:
            state.objects.write("commit", one.data)
    actor.journal.add(
        *(Entrusted(ref=one.ref, old=one.old, new=one.new, commits=(one.data,), kind=one.kind) for one in drafts)
    )
    answers = state.remote.push([Update(one.ref, one.old, one.new) for one in drafts])
    settled = [_resolve(state, answer) if answer.answer is Answer.UNKNOWN else answer for answer in answers]
    _remember_requests(state, settled)
    known = [one.update.new for one in settled if one.answer is not Answer.UNKNOWN and one.update.new]
    if known:
        actor.journal.settle(*known)
    return settled


def resend(
    state: State, journal: Journal, wanted: Callable[[Entrusted], bool] = lambda entry: True
) -> list[tuple[Entrusted, Pushed]]:
    """Finds out what became of the pushes that the journal holds; those that did not get there are pushed again.

    Oldest first; one that is not `wanted` any more is forgotten instead. What is settled leaves the journal.
    """
    found: list[tuple[Entrusted, Pushed]] = []
    waiting = journal.entries()
    while waiting:
        batch = list({entry.ref: entry for entry in reversed(waiting)}.values())[:_AT_ONCE]  # the oldest of each ref
        for entry in batch:
            for data in entry.commits:
                state.objects.write("commit", data)
        try:
            answers = _again(state, batch, wanted)
        except (RemoteAway, Refused) as error:
            return found + [
                (entry, Pushed(Update(entry.ref, entry.old, entry.new), Answer.UNKNOWN, error.message))
                for entry in waiting
            ]
        _remember_requests(state, answers)
        for entry, pushed in zip(batch, answers, strict=True):
            if pushed.answer is not Answer.UNKNOWN or not wanted(entry):
                journal.settle(entry.new)
        found += zip(batch, answers, strict=True)
        # what follows a push that is still in doubt cannot get through before it
        doubtful = {pushed.update.ref for pushed in answers if pushed.answer is Answer.UNKNOWN}
        waiting = [entry for entry in waiting if entry not in batch and entry.ref not in doubtful]
    return found


def is_wanted(state: State, entry: Entrusted) -> bool:
    """Whether an agent's record should still be pushed: what rests on an observation of back then is decided anew."""
    if entry.kind == RecordType.CLAIM.value:
        record = read_link(state, entry.new).record
        return record is not None and isinstance(record.body, Claim) and record.body.takeover is None
    return entry.kind not in (RecordType.LOST.value, RecordType.EXPIRED.value, "archive")


def _again(state: State, batch: Sequence[Entrusted], wanted: Callable[[Entrusted], bool]) -> list[Pushed]:
    known = _look(state, [Update(entry.ref, entry.old, entry.new) for entry in batch])
    again = [
        pushed.update
        for entry, pushed in zip(batch, known, strict=True)
        if pushed.answer is Answer.UNKNOWN and wanted(entry)
    ]
    answers = {pushed.update.ref: _resolve(state, pushed) for pushed in (state.remote.push(again) if again else [])}
    return [answers.get(pushed.update.ref, pushed) for pushed in known]


def _resolve(state: State, pushed: Pushed) -> Pushed:
    """Reads back a push whose answer was lost, or that came too late."""
    if pushed.answer not in (Answer.UNKNOWN, Answer.STALE):
        return pushed
    try:
        seen = _look(state, [pushed.update])[0]
    except CitError:
        return pushed
    return seen if seen.answer is not Answer.UNKNOWN else pushed


def _look(state: State, updates: Sequence[Update]) -> list[Pushed]:
    """What the host shows of pushes: in `builds`, then in `archive`, in that order.

    A push may still land later, so "not there" is UNKNOWN. Raises RemoteAway, Refused.
    """
    tips = state.remote.fetch([update.ref for update in updates])
    gone = [place for update in updates if update.ref not in tips and (place := state.refs.parse(update.ref))]
    pools = sorted({place.group for place in gone if place.kind is Kind.BUILD})
    archives = state.remote.fetch([state.refs.archives(pool) for pool in pools]) if pools else {}
    found = []
    for update in updates:
        place, tip = state.refs.parse(update.ref), tips.get(update.ref)
        if tip is None and place and place.kind is Kind.BUILD:
            tip = archived_tip(state, archives, place.group, place.leaf) or None
        if tip and update.new and descends(state, tip, update.new):
            found.append(Pushed(update, Answer.DONE, "read back"))
        elif tip != update.old:
            found.append(Pushed(update, Answer.STALE, "read back"))
        else:
            found.append(Pushed(update, Answer.UNKNOWN, "not there"))
    return found
