"""Hides what only a build's readers may see, and opens it again for those who can.

The hidden part is the whole request or result, encrypted to the readers' keys; the record keeps an envelope and is
signed as ever: the signature is outside, since encryption says nothing of who wrote. It stands in the record itself,
not beside it, because a promise holds whole requests, to which the promised builds' records must be equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from citgit.errors import Refused, UsageError
from citgit.flows.chains import read_chain
from citgit.flows.state import Actor, Snapshot, State
from citgit.flows.writing import follow, parent_at, write
from citgit.model.build import Build
from citgit.model.names import Kind, Place
from citgit.model.policy import PolicyChain, PolicyView
from citgit.model.record import Grant, Promise, Request, Result
from citgit.rules.private import (
    can_decrypt,
    cannot_read,
    hides_request,
    is_private,
    keys_of,
    may_grant,
    named_readers,
    readers,
    request_envelope,
    result_envelope,
)
from citgit.rules.side_records import side_fault

T = TypeVar("T")


def conceal_request(state: State, policy: PolicyView, owner: str, request: Request, pool: str) -> Request:
    """The request as it is recorded, those that it promises too. Raises Unsupported without age."""
    promised = []
    for one in request.promises:
        hidden = conceal_request(state, policy, owner, one.request, one.pool)
        promised.append(Promise(id=one.id, pool=one.pool, request=hidden))
    request = msgspec.structs.replace(request, promises=tuple(promised))
    if not hides_request(request):
        return request
    actors = readers(policy, request, pool=pool, owner=owner)
    # the promises are in the envelope, as everybody must see them
    plain = msgspec.structs.replace(request, promises=())
    return msgspec.structs.replace(request_envelope(request), private=_seal(state, policy, actors, plain))


def conceal_result(state: State, policies: PolicyChain, build: Build, result: Result) -> Result:
    """The result as it is recorded, for those whom a grant named so far too. Raises Unsupported without age."""
    request = build.request
    if request is None or not is_private(request):
        return result
    named = [name for grant in grants(state, policies, build) for name in grant.readers]
    actors = readers(policies.tip, request, pool=build.pool, owner=build.owner, granted=named)
    plain = msgspec.structs.replace(result, promises=())
    return msgspec.structs.replace(result_envelope(result), private=_seal(state, policies.tip, actors, plain))


def unreached(policy: PolicyView, request: Request, pool: str, owner: str) -> list[str]:
    """The readers of a private build from whom everything is hidden too, since no key of theirs can decrypt."""
    if not is_private(request):
        return []
    return cannot_read(policy, readers(policy, request, pool=pool, owner=owner))


def need_vault(state: State, build: Build) -> None:
    """Raises Unsupported if the build is private and this client could not hide its result."""
    if build.request and is_private(build.request):
        state.vault.ready()


def reveal(state: State, build: Build) -> Build:
    """The build with what is hidden in it, as far as this client's keys open it. Raises Refused if it is not it."""
    request, result = build.request, build.result
    return _told(
        build,
        _open(state, request.private, Request) if request and request.private else None,
        _open(state, result.private, Result) if result and result.private else None,
    )


def opened_request(state: State, build: str, request: Request) -> Request:
    """A request that a build promises, whole. Raises Refused if it is hidden from this client."""
    opened = _opened(state, build, request) if request.private else request
    if opened is None:
        raise Refused(f"build {build} promises a private build, and no key here is one of its readers'")
    return opened


def _opened(state: State, build: str, request: Request) -> Request | None:
    opened = _open(state, request.private, Request)
    return _whole(build, request, opened) if opened else None


def _told(build: Build, request: Request | None, result: Result | None) -> Build:
    """The build with these in the place of its envelopes, if they fit. Raises Refused."""
    if request and build.request and build.request.private:
        build = msgspec.structs.replace(build, request=_whole(build.id, build.request, request))
    if result and build.result and build.result.private:
        result = msgspec.structs.replace(result, promises=build.result.promises)
        _same(build.id, result_envelope(result), build.result)
        build = msgspec.structs.replace(build, result=result)
    return build


def _whole(build: str, shown: Request, hidden: Request) -> Request:
    hidden = msgspec.structs.replace(hidden, promises=shown.promises)
    _same(build, request_envelope(hidden), shown)
    return hidden


def reveal_granted(state: State, policies: PolicyChain, build: Build) -> Build:
    """As `reveal`, with what somebody granted to this client's keys. Raises RemoteAway, Refused."""
    build = reveal(state, build)
    if not is_hidden(build):
        return build
    for one in grants(state, policies, build):
        plain = state.vault.open(one.private)
        if plain is not None:
            told = _decoded(plain, Granted)
            build = _told(build, told.request, told.result)
    return build


def grants(state: State, policies: PolicyChain, build: Build) -> list[Grant]:
    """The grants of the build's owner and of maintainers, oldest first, as the host has them now. Raises RemoteAway."""
    ref = state.refs.grant(build.id)
    tip = state.remote.fetch([ref]).get(ref)
    found, parent = [], None
    for link in read_chain(state, tip) if tip else ():
        fault = side_fault(policies, ref, Place(Kind.GRANT, "", build.id), parent, link, judge=policies.tip)
        record = link.record
        if fault is None and record and may_grant(policies.tip.team, record.head.actor, build):
            found += [record.body] if isinstance(record.body, Grant) else []
        parent = link
    return found


def grant(state: State, actor: Actor, snapshot: Snapshot, build: Build, names: tuple[str, ...], reason: str) -> None:
    """Lets further people read a private build. Raises UsageError, Refused, TryAgain."""
    policy = snapshot.policies.tip
    build = need_open(reveal_granted(state, snapshot.policies, build))
    if build.request is None or not is_private(build.request):
        raise UsageError(f"build {build.id} is not private", hint="whoever reads the state repository reads it")
    if not may_grant(policy.team, actor.name, build):
        raise Refused(f"{actor.name} is neither the owner of build {build.id} nor a maintainer of pool {build.pool!r}")
    wanted = named_readers(policy, names)
    if not wanted or cannot_read(policy, wanted):
        who = ", ".join(cannot_read(policy, wanted)) or ", ".join(names)
        raise UsageError(f"cannot let {who} read", hint="they need the role 'read', and a key that age knows or 'age'")
    plain = msgspec.json.encode(
        Granted(
            request=msgspec.structs.replace(build.request, promises=()),
            result=msgspec.structs.replace(build.result, promises=()) if build.result else None,
        )
    )
    keys = [key for key in keys_of(policy, wanted) if can_decrypt(key)]
    body = Grant(readers=names, reason=reason, private=state.vault.seal(plain, keys))
    ref = state.refs.grant(build.id)
    tip = state.remote.fetch([ref]).get(ref)
    parent = parent_at(state, tip) if tip else None
    write(state, actor, [follow(state, actor, snapshot, body, ref=ref, build=build.id, parent=parent)])


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What a grant hides for its readers: the build's request and, if it has ended, its result."""

    request: Request
    result: Result | None = None


def is_hidden(build: Build) -> bool:
    """Whether something of the build could not be opened here."""
    return bool((build.request and build.request.private) or (build.result and build.result.private))


def need_open(build: Build) -> Build:
    """The build. Raises Refused if something of it is hidden from this client."""
    if is_hidden(build):
        raise Refused(
            f"build {build.id} is private, and no key here is one of its readers'",
            hint=f"its owner ({build.owner or 'nobody'}) or a maintainer lets you read it: cit grant {build.id} NAME",
        )
    return build


def _seal(state: State, policy: PolicyView, actors: Iterable[str], plain: Request | Result) -> str:
    keys = [key for key in keys_of(policy, actors) if can_decrypt(key)]
    return state.vault.seal(msgspec.json.encode(plain), keys)


def _open(state: State, sealed: str, kind: type[T]) -> T | None:
    plain = state.vault.open(sealed)
    if plain is None:
        return None
    return _decoded(plain, kind)


def _decoded(plain: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(plain, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"what a private record hides cannot be read: {error}") from None


def _same(build: str, envelope: Request | Result, shown: Request | Result) -> None:
    # what everybody judged must be what is built: nobody may show one thing and hide another
    if envelope != msgspec.structs.replace(shown, private=""):
        raise Refused(f"build {build} hides something else than it shows")
