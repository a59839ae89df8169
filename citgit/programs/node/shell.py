"""`cit-serve shell CLAIM`: a shell in the workspace that an attempt left, for who has an account of their own here."""

from __future__ import annotations

import os
import pwd

from citgit.errors import Errored, Refused
from citgit.programs.node.asked import Asked
from citgit.programs.node.gate import admitted
from citgit.wiring.homes import kept_plan, workspace_of
from citgit.wiring.proofs import need_checkout

_OF_THE_BUILD = frozenset({"CIT_ATTEMPT", "CIT_LOG"})


def become(asked: Asked) -> None:
    """Becomes the account's shell, with the variables that the build's command had. Raises Refused, NotFound."""
    if not asked.own:
        raise Refused("access denied: this key opens no shells", hint="log in with an account of your own on the node")
    kept = admitted(asked)
    if not kept.is_ours:
        need_checkout(kept)
    workspace = workspace_of(kept)
    account = pwd.getpwuid(os.getuid())
    shell = account.pw_shell or "/bin/sh"
    plan = kept_plan(kept)
    # not what marks a build's processes, which are ended with it, nor where its log was written
    known = {key: value for key, value in plan.env.items() if key not in _OF_THE_BUILD} if plan else {}
    # a person's shell is at home in their own folder
    env = {**known, **os.environ, "TERM": os.environ.get("TERM", "dumb"), "SHELL": shell}
    place = plan.cwd if plan and os.path.isdir(plan.cwd) else str(workspace)
    try:
        os.chdir(place)
        os.execve(shell, [f"-{os.path.basename(shell)}"], {**env, "PWD": place})
    except OSError as error:
        raise Errored(f"cannot start {shell!r} in {place!r}: {error.strerror}", hint="see who may enter it") from error
