"""From a command line of ssh to a command of `cit-serve`, and to git in its place. Loads little: git waits for it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from citgit.git.program import become
from citgit.model.pattern import pattern
from citgit.ssh.grammar import READS as READS
from citgit.ssh.grammar import Command as Command
from citgit.ssh.grammar import NodeCommand as NodeCommand
from citgit.ssh.grammar import Verb as Verb
from citgit.ssh.grammar import parse as parse
from citgit.ssh.grammar import parse_node as parse_node
from citgit.ssh.grammar import spellings as spellings

_PROTOCOL = pattern(r"version=[0-2]")
_TERMINAL = pattern(r"[a-zA-Z0-9][a-zA-Z0-9+._-]{0,40}")


def home() -> Path:
    """The home directory of the account that this runs as, whatever the environment says."""
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


def own_environment(given: Mapping[str, str], pusher: str) -> dict[str, str]:
    """All that git and its hooks get to see: nothing of what the client sent but the version of git's protocol."""
    account = pwd.getpwuid(os.getuid())
    found = {
        "PATH": given.get("PATH", os.defpath),
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "LC_ALL": "C",
    }
    if _TERMINAL.fullmatch(given.get("TERM", "")):
        found["TERM"] = given["TERM"]
    if _PROTOCOL.fullmatch(given.get("GIT_PROTOCOL", "")):
        found["GIT_PROTOCOL"] = given["GIT_PROTOCOL"]
    return found | ({"CIT_PUSHER": pusher} if pusher else {})


def run_git(command: Command, environment: Mapping[str, str]) -> None:
    """Becomes git's own server of a fetch or a push."""
    become([command.verb.value.removeprefix("git-"), "--", str(command.repository)], environment)
