"""What the small programs of a worker have in common: the same options, one step, JSON on stdout."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from citgit.errors import CitError
from citgit.flows.builds import Repository
from citgit.flows.policies import fetch_policies
from citgit.flows.poll import poll
from citgit.flows.telling import Event
from citgit.flows.worker import Worker
from citgit.model.names import name
from citgit.programs.cit import report
from citgit.wiring.clone import data_dir
from citgit.wiring.keys import named_actor, signer_for
from citgit.wiring.worker import node_state, open_worker, worker_home

Step = Callable[[Worker, Repository, argparse.Namespace], int]


def main(program: str, about: str, argv: Sequence[str] | None, step: Step, *, claim: bool = False) -> int:
    """Runs one step of a worker on its own; events go to stdout, a JSON document a line."""
    parser = argparse.ArgumentParser(
        prog=program, description=about, epilog=f"Example: {program} --url /srv/project.git --agent lab1 --home ./lab1"
        + (" CLAIM" if claim else ""), formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--url", required=True, help="the state repository")
    parser.add_argument("--agent", required=True, help="the agent's name in team.toml")
    parser.add_argument("--key", default="", help="its key; default: the one that 'cit worker' would use")
    parser.add_argument("--home", default="", help="where its files are; default: as 'cit worker'")
    parser.add_argument("--own", action="store_true", help="trust all builds as one's own")
    if claim:
        parser.add_argument("claim", help="the oid of a claim that cit-claim printed")
    options = parser.parse_args(argv)
    try:
        worker = _worker(options)
        # what an earlier program of this worker pushed without an answer is settled first
        worker.do_resend()
        return step(worker, Repository(worker.state, poll(worker.state)), options)
    except CitError as error:
        return report(program, error)


def held(worker: Worker, repository: Repository) -> bool:
    """Whether nothing may be taken or put away now; says why."""
    return worker.caution.held(
        worker.state, repository.snapshot, lambda kind, build, text: worker.tell(Event(kind, build, text))
    )


def tell(event: Event) -> None:
    """Prints an event."""
    print(json.dumps({"version": 1, "event": event.kind, "build": event.build, "text": event.text}), flush=True)


def _worker(options: argparse.Namespace) -> Worker:
    name("agent", options.agent)
    home = Path(options.home) if options.home else worker_home(options.url, f"agent:{options.agent}")
    team = fetch_policies(node_state(options.url, home)).tip.team
    key = Path(options.key) if options.key else data_dir() / "keys" / options.agent
    signer = signer_for(key)
    actor = named_actor(team, signer, f"agent:{options.agent}")
    slots = team.agent[options.agent].slots
    worker = open_worker(options.url, home, actor, signer, key=key, slots=slots, team=team, tell=tell)
    worker.own = options.own
    worker.boot = options.agent + "-steps"
    worker.advert = worker.workshop.advert(worker.boot, slots, worker.labels)
    return worker
