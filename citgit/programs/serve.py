"""`cit-serve`: all that an ssh key may run: on a state's host a channel and git's own servers, on a node its verbs.

In ~/.ssh/authorized_keys of the account that owns the repository or runs the worker, one line a key (docs/serve.md):
    restrict,command="/usr/local/bin/cit-serve --repo /srv/project.git" ssh-ed25519 AAAA… lab1
    restrict,command="/usr/local/bin/cit-serve --as person:anna" ssh-ed25519 AAAA… anna
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from citgit.errors import CitError, Refused, UsageError
from citgit.model.names import is_name
from citgit.programs.node import VERBS
from citgit.wiring.command import (
    READS,
    Command,
    NodeCommand,
    Verb,
    home,
    own_environment,
    parse,
    parse_node,
    run_git,
    spellings,
)

if TYPE_CHECKING:
    from citgit.programs.node.asked import Asked

IDLE = 600.0
"""Seconds of silence after which a client is taken for gone; a worker's slowest poll is a minute."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serves one command of one client."""
    parser = argparse.ArgumentParser(
        prog="cit-serve", description="Serves state repositories to an ssh key that may do nothing else.",
        epilog='Example, in authorized_keys: restrict,command="/usr/local/bin/cit-serve --repo /srv/project.git" '
        "ssh-ed25519 AAAA… lab1", allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--repo", action="append", default=[], help="a repository that this key may use")
    parser.add_argument("--read", action="store_true", help="the key may read only")
    parser.add_argument("--pusher", default="", help="whose key this is, for hooks: person:NAME or agent:NAME")
    parser.add_argument("--as", dest="reader", default="", help="whose key this is, for what a node holds: person:NAME")
    parser.add_argument("--key", default="", help="its fingerprint: it counts only while it is theirs")
    parser.add_argument("--own", action="store_true", help="this account is theirs alone: its rights are theirs")
    parser.add_argument("--home", action="append", default=[], help="a worker's files; default: this account's workers")
    parser.add_argument("--idle", type=float, default=IDLE, help="seconds of silence after which a client is left")
    parser.add_argument("command", nargs="*", help="from a login shell: state PATH, or a node's verb")
    options = parser.parse_args(argv)
    try:
        for actor in (options.pusher, options.reader):
            kind, _, who = actor.partition(":")
            if actor and not (kind in ("person", "agent") and is_name(who)):
                raise UsageError(f"not an actor: {actor[:80]!a}", hint="name person:NAME or agent:NAME")
        environment = own_environment(os.environ, options.pusher)
        command = _command(options, os.environ.get("SSH_ORIGINAL_COMMAND"))
        # nothing below here can be steered by variables of the client
        os.environ.clear()
        os.environ.update(environment)
        if isinstance(command, NodeCommand):
            return _node(command, options)
        if command.verb is not Verb.STATE:
            run_git(command, environment)
        from citgit.wiring.serve import serve_state  # what follows takes long to load, and git needs none of it

        serve_state(command.repository, pusher=options.pusher, may_push=not options.read, idle=options.idle)
    except CitError as error:
        from citgit.programs.cit import report

        return report("cit-serve", error)
    return 0


def _command(options: argparse.Namespace, asked: str | None) -> Command | NodeCommand:
    """What to do: what the client asked for by ssh, or what a person with a shell typed."""
    if asked is not None or options.repo or options.reader:
        if options.reader and not options.command and (found := parse_node(asked or "")):
            return found
        allowed = spellings([Path(path) for path in options.repo], home())
        if options.command or not asked:
            raise Refused("this key is for git and citgit alone", hint="there is no shell to log in to")
        return parse(asked, allowed, READS if options.read else tuple(Verb))
    match options.command:
        case ["state", path]:
            # whoever has a shell reaches what their account reaches; git reads ~ in a path as this does
            return Command(Verb.STATE, home() / path.removeprefix("~/") if path != "~" else home())
    if found := parse_node(" ".join(["cit-serve", *options.command])):
        return found
    raise UsageError("nothing to serve", hint="see 'cit-serve --help'")


def _node(command: NodeCommand, options: argparse.Namespace) -> int:
    """Does what a verb of this node does; the client is told what went wrong in a message of its own."""
    if command.verb == "shell":
        importlib.import_module(f"citgit.programs.node.{VERBS[command.verb]}").become(_asked(command, options))
    from citgit.wiring.talk import Gone, Talk, sorry

    try:
        talk = Talk(patience=options.idle)  # greets: a busy machine takes its time for all that comes now
        try:
            importlib.import_module(f"citgit.programs.node.{VERBS[command.verb]}").serve(_asked(command, options), talk)
        except CitError as error:
            talk.say(sorry(error))
            return error.status
    except (Gone, BrokenPipeError, ConnectionResetError):
        return 0
    return 0


def _asked(command: NodeCommand, options: argparse.Namespace) -> Asked:
    from citgit.programs.node.asked import Asked

    return Asked(
        verb=command.verb, words=command.words, reader=options.reader, key=options.key,
        own=options.own or not options.reader, homes=tuple(Path(path) for path in options.home),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
