"""Writes records: composed, signed, journalled, pushed with a lease, and read back when the answer was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from citgit.errors import CitError, Refused, RemoteAway, TryAgain
from citgit.flows.chains import descends
from citgit.flows.state import Actor, Snapshot, State
from citgit.interfaces import Answer, Entrusted, Journal, Oid, Pushed, Update
from citgit.model.build import Build
from citgit.model.record import Body, Seen
from citgit.records import commit as commits
from citgit.records.envelope import Parent, compose, parent_of
from citgit.records.registry import BY_BODY


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
    seen: Seen, tree: str = commits.EMPTY_TREE,
) -> Draft:  # fmt: skip
    """A signed record, in the local store but not pushed. Raises BadRecord, BadSignature."""
    payload = compose(
        body, repo=repo, ref=ref, build=build, parent=parent, policy=policy, seen=seen, actor=actor.name,
        nonce=state.entropy.nonce(), time=state.clock.now(), tree=tree,
    )  # fmt: skip
    data = commits.signed(payload, actor.signer.sign(payload))
    oid = state.objects.write("commit", data)
    return Draft(
        ref=ref, old=parent.oid if parent else None, new=oid, data=data, kind=BY_BODY[type(body)].type.value,
        parent=parent_of(data),
    )  # fmt: skip


def draft(state: State, actor: Actor, snapshot: Snapshot, build: Build, body: Body) -> Draft:
    """The next record of a build that was read."""
    if build.broken or build.unsupported:
        raise Refused(f"cannot write to build {build.id}: {build.broken or build.unsupported}")
    parent = parent_of(state.objects.read(build.tip)[1])
    return follow(state, actor, snapshot, body, ref=build.ref, build=build.id, parent=parent)


def follow(
    state: State, actor: Actor, snapshot: Snapshot, body: Body, *, ref: str, build: str, parent: Parent | None
) -> Draft:
    """The next record of any chain, citing the policy in force."""
    chain = snapshot.policies
    return sign(
        state, actor, body, ref=ref, build=build, parent=parent, repo=chain.repo, policy=chain.tip.oid,
        seen=Seen(policy=chain.tip.oid, archives={}),
    )  # fmt: skip


def write(state: State, actor: Actor, drafts: Sequence[Draft]) -> None:
    """Pushes drafts that must all get through. Raises TryAgain, Refused for the first that did not."""
    answers = push(state, actor, drafts)
    remember(state, answers)
    for pushed in answers:
        complain(pushed)


def remember(state: State, answers: Sequence[Pushed]) -> None:
    """Remembers what was just written: a host that loses it is noticed, and it is known while the host is away."""
    state.tips.save({one.update.ref: one.update.new for one in answers if one.answer is Answer.DONE})


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
    """Journals, pushes, and finds out what became of lost answers. Answers UNKNOWN stay in the journal."""
    for one in drafts:
        actor.journal.add(Entrusted(ref=one.ref, old=one.old, new=one.new, commits=(one.data,), kind=one.kind))
    answers = state.remote.push([Update(one.ref, one.old, one.new) for one in drafts])
    settled = [_resolve(state, answer) if answer.answer is Answer.UNKNOWN else answer for answer in answers]
    for answer in settled:
        if answer.answer is not Answer.UNKNOWN and answer.update.new:
            actor.journal.settle(answer.update.new)
    return settled


def resend(state: State, journal: Journal) -> list[tuple[Entrusted, Pushed]]:
    """Pushes what the journal holds, oldest first, each on its own; what is settled leaves the journal."""
    answers = []
    for entry in journal.entries():
        for data in entry.commits:
            state.objects.write("commit", data)
        answer = state.remote.push([Update(entry.ref, entry.old, entry.new)])[0]
        if answer.answer in (Answer.UNKNOWN, Answer.STALE):
            answer = _resolve(state, answer)
        if answer.answer is not Answer.UNKNOWN:
            journal.settle(entry.new)
        answers.append((entry, answer))
    return answers


def _resolve(state: State, pushed: Pushed) -> Pushed:
    """Reads back a push whose answer was lost. It may still land later, so "not there" stays UNKNOWN."""
    update = pushed.update
    try:
        tip = state.remote.fetch([update.ref]).get(update.ref)
    except CitError:
        return pushed
    if tip and update.new and descends(state, tip, update.new):
        return Pushed(update, Answer.DONE, "read back")
    if tip != update.old:
        return Pushed(update, Answer.STALE, "read back")
    return pushed
