"""`cit-enqueue`: the doors' program: reads pushes from stdin, asks for what they start.

stdin: lines "OLD NEW REF" (as git gives them to post-receive), or, with --pre-push, "REF NEW REMOTE_REF OLD".
Exit: 0 asked, known already, or kept here until the host is back · 2 a config with faults · 3 refused · 75 the
state repository is away and was never seen from here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from citgit.errors import CitError, NotFound
from citgit.flows.builds import Repository
from citgit.flows.enqueue import Change, enqueue_push, supersede_older
from citgit.flows.poll import poll
from citgit.programs.cit import report
from citgit.programs.job import faults_of
from citgit.programs.reach import reach
from citgit.wiring.checkout import config_files
from citgit.wiring.clone import Clone, open_clone, setting
from citgit.wiring.keys import named_actor, signer_for

_NONE = "0" * 40


def main(argv: Sequence[str] | None = None) -> int:
    """Asks for builds of the pushes on stdin."""
    parser = argparse.ArgumentParser(
        prog="cit-enqueue", description=__doc__, epilog="Example: echo OLD NEW refs/heads/main | cit-enqueue",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("-C", dest="directory", default=".", help="the repository (default: where git runs the hook)")
    parser.add_argument("--key", default="", help="the key that signs; default: citgit.hookKey, else citgit.key")
    parser.add_argument("--principal", default="push", help="the trigger in team.toml")
    parser.add_argument("--pushed-by", default=os.environ.get("CIT_PUSHER", ""), help="person:NAME, if the host knows")
    parser.add_argument("--pre-push", action="store_true", help="stdin and REMOTE are those of git's pre-push hook")
    parser.add_argument("remote", nargs="*", metavar="REMOTE", help="with --pre-push: the remote's name and URL")
    options = parser.parse_args(argv)
    try:
        clone = open_clone(Path(options.directory))
        pushes = list(_pushes(sys.stdin, pre_push=options.pre_push))
        if options.pre_push and _faulty(clone, pushes):
            return 2
        repository = reach(clone)
        if pushes and _is_built(clone, options.remote):
            _enqueue(clone, repository, options, pushes)
    except CitError as error:
        return report("cit-enqueue", error)
    return 0


def _pushes(lines: Iterator[str], *, pre_push: bool) -> Iterator[tuple[str, str, str]]:
    for line in lines:
        words = line.split()
        if len(words) != (4 if pre_push else 3):
            continue
        old, new, ref = (words[3], words[1], words[2]) if pre_push else (words[0], words[1], words[2])
        if new != _NONE and ref.startswith("refs/heads/"):
            yield old, new, ref.removeprefix("refs/heads/")


def _faulty(clone: Clone, pushes: list[tuple[str, str, str]]) -> bool:
    """Whether a pushed commit's config has faults; all of them are told to the person who pushes."""
    found = {branch: faults_of(config_files(clone.top, commit)) for _, commit, branch in pushes}
    faulty = {branch: faults for branch, faults in found.items() if faults}
    for branch, faults in faulty.items():
        print(f"cit: push of {branch} refused: its config has faults", file=sys.stderr)
        print(*(f"  {fault}" for fault in faults), sep="\n", file=sys.stderr)
    if faulty:
        print("hint: mend them and amend the commit; 'git push --no-verify' pushes all the same", file=sys.stderr)
    return bool(faulty)


def _is_built(clone: Clone, remote: list[str]) -> bool:
    """Whether the push goes to where workers look for code: not to somebody's fork, say."""
    return len(remote) < 2 or remote[1] in (clone.url, setting(clone.git_dir, "remote.origin.url"))


def _enqueue(
    clone: Clone, repository: Repository, options: argparse.Namespace, pushes: list[tuple[str, str, str]]
) -> None:
    key = options.key or setting(clone.git_dir, "citgit.hookKey") or str(clone.key or "")
    if not key:
        raise NotFound("no key to sign requests with", hint="git config citgit.hookKey PATH, or run 'cit init'")
    signer = signer_for(Path(key))
    actor = clone.actor_as(named_actor(repository.snapshot.policies.tip.team, signer), signer)
    for old, new, branch in pushes:
        change = Change(url=str(clone.repository), branch=branch, commit=new, old=old if old != _NONE else None)
        for asked in enqueue_push(
            clone.state, actor, repository, clone.doors, change, principal=options.principal,
            pushed_by=options.pushed_by,
        ):  # fmt: skip
            word = "kept here until the host is back:" if asked.kept else "queued" if asked.new else "known"
            print(f"cit: {asked.job} on {branch}: {word} {asked.build}")
            if asked.new:
                after = Repository(clone.state, poll(clone.state))
                supersede_older(clone.state, actor, after, after.find(asked.build))


if __name__ == "__main__":
    sys.exit(main())
