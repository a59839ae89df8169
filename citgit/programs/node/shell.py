"""`cit-serve shell CLAIM`: a shell in the workspace that an attempt left, for who has an account of their own here."""

from __future__ import annotations

import os
import pwd

from citgit.errors import Errored, Refused
from citgit.programs.node.asked import Asked
from citgit.programs.node.gate import admitted
from citgit.wiring.homes import kept_plan, workspace_of

_OF_THE_BUILD = frozenset({"CIT_ATTEMPT", "CIT_LOG"})
_INERT = frozenset({"CI", "LANG", "TZ", "SOURCE_DATE_EPOCH"})


def become(asked: Asked) -> None:
    """Becomes the account's shell, with the variables that citgit gave the build. Raises Refused, NotFound."""
    if not asked.own:
        raise Refused("access denied: this key opens no shells", hint="log in with an account of your own on the node")
    kept = admitted(asked)
    workspace = workspace_of(kept)
    account = pwd.getpwuid(os.getuid())
    shell = account.pw_shell or "/bin/sh"
    plan = kept_plan(kept)
    # not what marks a build's processes, which are ended with it, nor what its job set: LD_PRELOAD and the like
    # would have the shell run what the build left, outside of its sandbox
    given = plan.env if plan else {}
    known = {
        key: value
        for key, value in given.items()
        if key in _INERT or (key.startswith("CIT_") and key not in _OF_THE_BUILD)
    }
    # a person's shell is at home in their own folder
    env = {**known, **os.environ, "TERM": os.environ.get("TERM", "dumb"), "SHELL": shell}
    place = plan.cwd if plan and os.path.isdir(plan.cwd) else str(workspace)
    try:
        os.chdir(place)
        os.execve(shell, [f"-{os.path.basename(shell)}"], {**env, "PWD": place})
    except OSError as error:
        raise Errored(f"cannot start {shell!r} in {place!r}: {error.strerror}", hint="see who may enter it") from error
