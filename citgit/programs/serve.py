"""`cit-serve`: the only program that an ssh key needs for a state repository: a kept channel, and git's own servers.

In ~/.ssh/authorized_keys of the account that owns the repository, one line a key (docs/serve.md):
    restrict,command="/usr/local/bin/cit-serve --repo /srv/project.git" ssh-ed25519 AAAA… lab1
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from citgit.errors import CitError, Refused, UsageError
from citgit.model.names import is_name
from citgit.wiring.command import READS, Command, Verb, home, own_environment, parse, run_git, spellings

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
    parser.add_argument("--idle", type=float, default=IDLE, help="seconds of silence after which a client is left")
    parser.add_argument("command", nargs="*", help="from a login shell, without --repo: state PATH")
    options = parser.parse_args(argv)
    try:
        kind, _, who = options.pusher.partition(":")
        if options.pusher and not (kind in ("person", "agent") and is_name(who)):
            raise UsageError(f"not an actor: {options.pusher[:80]!a}", hint="name person:NAME or agent:NAME")
        environment = own_environment(os.environ, options.pusher)
        command = _command(options, os.environ.get("SSH_ORIGINAL_COMMAND"))
        # nothing below here can be steered by variables of the client
        os.environ.clear()
        os.environ.update(environment)
        if command.verb is not Verb.STATE:
            run_git(command, environment)
        from citgit.wiring.serve import serve_state  # what follows takes long to load, and git needs none of it

        serve_state(command.repository, pusher=options.pusher, may_push=not options.read, idle=options.idle)
    except CitError as error:
        from citgit.programs.cit import report

        return report("cit-serve", error)
    return 0


def _command(options: argparse.Namespace, asked: str | None) -> Command:
    """What to do: what the client asked for by ssh, or what a person with a shell typed."""
    if asked is not None or options.repo:
        allowed = spellings([Path(path) for path in options.repo], home())
        if options.command or not asked:
            raise Refused("this key is for git and citgit alone", hint="there is no shell to log in to")
        return parse(asked, allowed, READS if options.read else tuple(Verb))
    match options.command:
        case ["state", path]:
            # whoever has a shell reaches what their account reaches; git reads ~ in a path as this does
            return Command(Verb.STATE, home() / path.removeprefix("~/") if path != "~" else home())
    raise UsageError("nothing to serve", hint="see 'cit-serve --help'")


if __name__ == "__main__":
    sys.exit(main())
