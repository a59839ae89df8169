"""Builds requests on this machine, for `cit run --here`, by the worker's own path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import click

from citgit.errors import NotFound
from citgit.flows.offline import offline
from citgit.flows.policies import fetch_policies
from citgit.flows.telling import Event
from citgit.flows.worker import Worker
from citgit.flows.writing import Draft, drafted
from citgit.model.names import HERE
from citgit.model.record import Body, Request
from citgit.programs.follow import Follower
from citgit.rules.placement import decide, tool_name
from citgit.wiring.clone import Clone
from citgit.wiring.worker import open_worker, worker_home

_IDLE_S = 0.2


class Here:
    """A worker of the person's own, on this machine. `say` gets events: what, of which build, in words.

    While the host is `away` it keeps what it signs in the clone's journal. `asks` is who pushes the requests.
    """

    def __init__(self, clone: Clone, say: Callable[[str, str, str], None], *, away: bool = False) -> None:
        self._clone = clone
        self._say = say
        actor = clone.actor()
        self._worker = open_worker(
            clone.url, worker_home(clone.url, actor.name), actor.name, actor.signer, key=clone.key, pools=[HERE],
            source=str(clone.repository), tell=self._tell, root=clone.state.refs.root, pinned=clone.state.pinned,
        )  # fmt: skip
        self.asks = (clone.state, actor)
        if away:
            self.asks = self._worker.state, self._worker.actor = offline(clone.state, actor)
            self._clone = replace(clone, state=self._worker.state)

    def buildable(self, drafts: list[Draft]) -> list[Draft]:
        """Those drafts that this machine has all for, with a word about the others. Raises NotFound if none is."""
        wanted = {draft.ref: _all_of(drafted(self._clone.state, draft)) for draft in drafts}
        tools = {
            tool_name(tool) for all_of in wanted.values() for one in all_of for tool in one.definition.requires.tools
        }
        worker = self._worker
        if any(one.definition.env.secrets for all_of in wanted.values() for one in all_of):
            worker.team = fetch_policies(self._clone.state).tip.team
        worker.advert = worker.workshop.advert(worker.boot, worker.slots, worker.labels, sorted(tools))
        lacking = {ref: _lacking(all_of, worker) for ref, all_of in wanted.items()}
        left = [draft for draft in drafts if not lacking[draft.ref]]
        said = "; ".join(text for text in lacking.values() if text)
        if not left:
            raise NotFound(
                f"this machine cannot build it: {said}",
                hint="install it, or mend 'requires' in cit.toml; nothing was asked",
            )
        if said:
            click.echo(f"left out, since this machine cannot build it: {said}", err=True)
        return left

    def build(self, drafts: list[Draft]) -> int:
        """Builds the requests until all are final; the exit status."""
        worker = self._worker
        follower = Follower(self._clone, [draft.ref for draft in drafts], self._say)
        worker.only = frozenset(follower.ids())
        while True:
            worker.turn()
            worker.only = frozenset(follower.refresh())
            if follower.done():
                return follower.status()
            running = worker.workshop.running()
            # no longer than until its place is to be told: whoever follows it, we too, reads the log from there
            while (
                not follower.output() and worker.patience() > 0
                and any(worker.workshop.poll(claim) is None for claim in running)
            ):  # fmt: skip
                self._clone.state.clock.sleep(0.02)
            follower.output()
            if not running:
                # waits for something else: another upstream build, a policy without a hold
                self._clone.state.clock.sleep(_IDLE_S)

    def _tell(self, event: Event) -> None:
        # the follower tells the result, after the last of the output
        if event.kind in ("claimed", "skipped", "error", "lost"):
            self._say(event.kind, event.build, event.text)


def _all_of(request: Body | None) -> list[Request]:
    """A request and those that it promises."""
    return [request, *(promise.request for promise in request.promises)] if isinstance(request, Request) else []


def _lacking(requests: list[Request], worker: Worker) -> str:
    """What the machine lacks for the first of the builds that it cannot build; "" if it has all."""
    for one in requests:
        found = decide(one.definition, worker.offer(one), agent="", on=one.on)
        missing = [each for each in [*found, *worker.workshop.can_build(one, own=True)] if not each.ok]
        if missing:
            return f"job {one.job!r} needs " + ", ".join(f"{each.check} ({each.found or 'none'})" for each in missing)
    return ""
