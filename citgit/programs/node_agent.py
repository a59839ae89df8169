"""`cit-node`: what is done for an agent on its own node, by name; `cit agent` calls it over ssh, people may too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from citgit.errors import CitError, UsageError
from citgit.model.names import name
from citgit.wiring import node

_VERBS = {
    "setup": "make its key and settings; reads the settings as JSON on stdin",
    "start": "keep its worker running",
    "stop": "end its worker; builds go on, the next worker adopts them",
    "restart": "stop and start: the newest version takes over",
    "wake": "look at the state now; start the worker if it does not run",
    "drain": "take nothing new",
    "undrain": "take builds again",
    "state": "how it is here",
    "list": "how all agents are that are installed here",
    "supervise": "start its worker again and again, in the foreground",
    "forget": "end the worker, remove its settings; with --files also its key, workspaces and logs",
}


def main(argv: Sequence[str] | None = None) -> int:
    """One verb for one agent; JSON on stdout."""
    parser = argparse.ArgumentParser(
        prog="cit-node", description="Looks after the agents of this account on this machine.",
        epilog="Example: cit-node state lab1", formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("verb", choices=list(_VERBS), help="; ".join(f"{key}: {text}" for key, text in _VERBS.items()))
    parser.add_argument("agent", nargs="?", default="", help="the agent's name in team.toml")
    parser.add_argument(
        "--systemd", action="store_true", help="with start, restart: systemd's manager for this user keeps it"
    )
    parser.add_argument("--files", action="store_true", help="with forget: remove its files too")
    parser.add_argument("--why", default="by hand", help="with drain: the reason")
    options = parser.parse_args(argv)
    try:
        if options.verb != "list":
            name("agent", options.agent)
        if options.verb == "supervise":
            return node.supervisor(options.agent).serve()
        answer = _act(options)
    except CitError as error:
        print(msgspec.json.encode({"version": 1, "error": error.message, "hint": error.hint}).decode())
        return error.status
    print(msgspec.json.encode({"version": 1, **answer}).decode())
    return 0


def _act(options: argparse.Namespace) -> dict[str, Any]:
    agent = options.agent
    if options.verb == "list":
        return {"agents": [node.state(one) for one in node.installed_agents()]}
    if options.verb == "setup":
        try:
            given = msgspec.json.decode(sys.stdin.buffer.read(), type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise UsageError(f"not the settings of a worker: {error}", hint="'cit agent install' sends them") from error
        return node.setup(agent, given)
    if options.verb == "restart":
        node.stop(agent)
    if options.verb in ("start", "restart") and options.systemd:
        node.use_systemd(agent)
    acts: dict[str, Callable[[], dict[str, Any]]] = {
        "start": lambda: node.start(agent),
        "restart": lambda: node.start(agent),
        "stop": lambda: node.stop(agent),
        "wake": lambda: node.wake(agent),
        "drain": lambda: node.set_drained(agent, options.why or "by hand"),
        "undrain": lambda: node.set_drained(agent, ""),
        "state": lambda: node.state(agent),
        "forget": lambda: node.forget(agent, files=options.files),
    }
    return acts[options.verb]()


if __name__ == "__main__":
    sys.exit(main())
