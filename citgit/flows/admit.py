"""Whether a push of one ref may land: what the host itself can judge for certain (PROTOCOL §6).

It narrows what can happen; every reader still judges for itself. The server's hook and the `cit-serve` channel call
this one function, and it calls the judgement of the readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from citgit.errors import CitError, NotFound, NotYet, Refused
from citgit.flows.builds import Repository
from citgit.flows.chains import descends, read_link
from citgit.flows.layout import archive_commits, archive_fault
from citgit.flows.policies import read_policies
from citgit.flows.state import Snapshot, State
from citgit.interfaces import Hosted, Oid, Update
from citgit.model.build import Link
from citgit.model.names import Kind, Place
from citgit.model.policy import PolicyChain
from citgit.rules.authority import is_known, may_maintain
from citgit.rules.folding import is_disputed
from citgit.rules.side_records import side_fault

MOST_NEW = 1000
"""Records that one push may add to a ref."""


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a push of one ref is refused: the rule, in a word or two, what breaks it, and the record that does."""

    rule: str
    words: str
    record: Oid = ""

    def __str__(self) -> str:
        return f"{self.rule}: " + (f"record {self.record[:12]}: " if self.record else "") + self.words


def admit(state: State, hosted: Hosted, update: Update, *, pusher: str = "") -> Denied | None:
    """The rule that the update breaks; None if it breaks none that can be judged for certain.

    `state.objects` must hold what was pushed. `pusher` ("person:anna") is whoever the host knows to be pushing.
    """
    if not update.ref.startswith(state.refs.root):
        return None
    place = state.refs.parse(update.ref)
    if place is None:
        return Denied("name", f"{update.ref!r} is no ref of this protocol")
    if update.new == update.old:
        return None
    try:
        if place.kind is Kind.POLICY:
            return _policy(state, update)
        policy = hosted.tip(state.refs.policy)
        if policy is None:
            return Denied("policy", "the repository has no policy yet; 'cit init' makes the first")
        host = _Host(state, hosted, update, place, read_policies(state, policy), pusher)
        if update.new is None:
            return _DELETES[place.kind](host) if place.kind in _DELETES else _only_maintainers(host)
        if update.old and not descends(state, update.new, update.old):
            return Denied("fast-forward", f"{update.new[:12]} does not descend from {update.old[:12]}")
        return _CHANGES[place.kind](host)
    except NotYet as error:
        return Denied("policy", error.message)
    except NotFound as error:
        return Denied("shape", f"an object is missing: {error.message}")
    except CitError as error:
        return Denied("shape", error.message)


class _Tips(Mapping[str, Oid]):
    """The host's refs, each looked up when it is asked for."""

    def __init__(self, hosted: Hosted, root: str) -> None:
        self._hosted, self._root = hosted, root

    def __getitem__(self, ref: str) -> Oid:
        tip = self._hosted.tip(ref)
        if tip is None:
            raise KeyError(ref)
        return tip

    def __iter__(self) -> Iterator[str]:
        return iter(self._hosted.under(self._root))

    def __len__(self) -> int:
        return len(self._hosted.under(self._root))


class _Host:
    """What the judgement of one update knows."""

    def __init__(
        self, state: State, hosted: Hosted, update: Update, place: Place, policies: PolicyChain, pusher: str
    ) -> None:
        self.state, self.hosted, self.update, self.place = state, hosted, update, place
        self.policies, self.pusher = policies, pusher
        self.repository = Repository(state, Snapshot(tips=_Tips(hosted, state.refs.root), policies=policies))

    def new_links(self) -> list[tuple[Link | None, Link]]:
        """(parent, record) of each commit that the push adds, oldest first. Raises Refused if they are too many."""
        links: list[Link] = []
        oid = self.update.new
        while oid is not None and oid != self.update.old:
            if len(links) >= MOST_NEW:
                raise Refused(f"more than {MOST_NEW} records in one push")
            links.append(read_link(self.state, oid))
            oid = links[-1].parents[0] if links[-1].parents else None
        parents = [read_link(self.state, oid) if oid else None, *reversed(links[1:])]
        return list(zip(parents, reversed(links), strict=True))


def _policy(state: State, update: Update) -> Denied | None:
    if update.new is None:
        return Denied("delete", "a policy is never deleted")
    if update.old and not descends(state, update.new, update.old):
        return Denied("fast-forward", f"policy {update.new[:12]} does not descend from {update.old[:12]}")
    try:
        read_policies(state, update.new)
    except CitError as error:
        return Denied("policy", error.message)
    return None


def _build(host: _Host) -> Denied | None:
    place, new = host.place, host.update.new or ""
    if host.repository.is_archived(place.group, place.leaf):
        return Denied("archived", f"build {place.leaf} is archived, and so final for ever")
    build = host.repository.build(host.update.ref, new)
    if build.broken:
        return Denied("shape", build.broken)
    old = next((at for at, one in enumerate(build.entries) if one.link.oid == host.update.old), -1)
    added = build.entries[old + 1 :]
    if len(added) > MOST_NEW:
        return Denied("size", f"{len(added)} records in one push, at most {MOST_NEW}")
    for entry in added:
        # after a restore, whoever holds a longer chain brings it back as it was, void records and all (PROTOCOL §6)
        kept = host.policies.tip.hold and host.policies.tip.generation and not entry.link.fault
        if entry.void and not kept:
            return Denied("table" if entry.link.record else "record", entry.void, entry.link.oid)
        if not kept and (denied := _has_seen_more(host, entry.link)):
            return denied
    return None


def _has_seen_more(host: _Host, link: Link) -> Denied | None:
    """A made-up policy in `seen` would stop all workers; an honest one cites it too, and is refused for that."""
    seen = link.record.head.seen.policy if link.record else ""
    if not seen or host.policies.index(seen) is not None:
        return None
    words = f"its writer had seen policy {seen[:12]}, which is not here: this host is an old copy, or the record lies"
    return Denied("policy", words, link.oid)


def _side(host: _Host) -> Denied | None:
    for parent, link in host.new_links():
        known = link.record is not None or is_known(host.policies.tip, link.key)
        fault = side_fault(host.policies, host.update.ref, host.place, parent, link, host.policies.tip)
        if fault or not known:
            return Denied(*(fault or ("signature", "the signer is a stranger")), link.oid)
        if denied := _has_seen_more(host, link):
            return denied
    return None


def _archive(host: _Host) -> Denied | None:
    for link, before in archive_commits(host.state, host.update.new or "", host.update.old):
        if not link.key or not is_known(host.policies.tip, link.key):
            return Denied("signature", link.fault if not link.key else "the signer is a stranger", link.oid)
        if fault := archive_fault(host.state, host.repository, host.place, link, before):
            return Denied("archive", fault, link.oid)
    return None


def _grant(host: _Host) -> Denied | None:
    build = host.repository.find(host.place.leaf)
    if build is None:
        return Denied("place", f"there is no build {host.place.leaf}")
    if denied := _side(host):
        return denied
    for _, link in host.new_links():
        actor = link.record.head.actor if link.record else ""
        if actor != build.owner and not may_maintain(host.policies.tip.team, actor, build.pool):
            return Denied("actor", f"{actor} is neither owner nor maintainer", link.oid)
    return None


def _replay(host: _Host) -> Denied | None:
    # somebody's changes are a plain commit: nothing in it says who it is from, so this rests on who pushes
    person = f"person:{host.place.group}"
    if host.place.group not in host.policies.tip.team.person or host.pusher not in ("", person):
        return Denied("actor", f"these refs are for {person} alone")
    return None


def _deletes_build(host: _Host) -> Denied | None:
    place, old = host.place, host.update.old or ""
    entry = host.repository.entry(place.group, place.leaf)
    try:
        build = host.repository.build(host.update.ref, old)
    except (NotYet, NotFound):
        build = None
    if entry is not None and build is not None and is_disputed(build, entry, host.policies):
        words = f"build {place.leaf} has another end in the archive: an admin settles that with 'cit restore'"
        return Denied("delete", words)
    if entry is not None or (build is not None and build.broken):
        return None  # a void root is no build: whoever wants the id creates it anew
    return Denied("delete", f"build {place.leaf} is not archived yet")


def _deletes_agent(host: _Host) -> Denied | None:
    agent, ref = host.place.group, host.update.ref
    others = [other for other in host.hosted.under(host.state.refs.agents(agent)) if other != ref]
    team = host.policies.tip.team
    if others or agent not in {**team.agent, **team.person} or may_maintain(team, host.pusher, ""):
        return None
    return Denied("delete", "it is the agent's only ref: the next boot's ref comes first")


def _deletes_replay(host: _Host) -> Denied | None:
    return _replay(host)


def _only_maintainers(host: _Host) -> Denied | None:
    if may_maintain(host.policies.tip.team, host.pusher, ""):
        return None
    return Denied("delete", f"{host.place.kind.value} refs are deleted by admins alone, whom this host must know")


_CHANGES = {
    Kind.BUILD: _build, Kind.AGENT: _side, Kind.ARCHIVE: _archive, Kind.LOCK: _side, Kind.GRANT: _grant,
    Kind.REPLAY: _replay,
}  # fmt: skip
_DELETES = {Kind.BUILD: _deletes_build, Kind.AGENT: _deletes_agent, Kind.REPLAY: _deletes_replay}
