"""What the user's git configuration says about reaching a host: the real address, and the ssh command to use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from citgit.git.program import check_url, run

_KEYS = r"^(core\.sshcommand|url\..*\.insteadof)$"


@dataclass(frozen=True, slots=True)
class Reach:
    """`url` as git rewrites it; `command` and `program` are the ssh that the user chose for git, mostly ""."""

    url: str
    command: str
    program: str


def reach(git_dir: Path, url: str) -> Reach:
    """How git, run in the repository `git_dir`, would reach `url`."""
    check_url(url)
    found = run(["config", "-z", "--get-regexp", _KEYS], git_dir=git_dir, network=True)
    entries = [entry.partition("\n") for entry in found.stdout.decode("utf-8", "surrogateescape").split("\0") if entry]
    command = next((value for key, _, value in reversed(entries) if key == "core.sshcommand"), "")
    if any(key != "core.sshcommand" for key, _, _ in entries):
        rewritten = run(["ls-remote", "--get-url", "--", url], git_dir=git_dir, network=True)
        url = rewritten.stdout.decode("utf-8", "surrogateescape").rstrip("\n") or url
    # as git orders them: the environment's command, the configured one, the environment's program
    return Reach(url, os.environ.get("GIT_SSH_COMMAND") or command, os.environ.get("GIT_SSH", ""))
