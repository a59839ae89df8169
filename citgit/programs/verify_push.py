"""`cit-verify-push`: judges what is being pushed, for git's hooks `update` and `pre-receive`, and for gitolite.

Starting Python and importing the judgement costs more than judging. So whoever judges the first push stays for a
while, for the same user and repository, and answers the next ones over a socket in the repository; this file, which
every push starts, imports nothing but the socket.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence

USAGE = """\
usage: cit-verify-push update REF OLD NEW      git's update hook: one ref
       cit-verify-push pre-receive             git's pre-receive hook: lines OLD NEW REF on stdin
       cit-verify-push vref REF OLD NEW NAME   gitolite's VREF: prints NAME and the rule if it is broken

Judges, in the current directory (the repository that is pushed to), whether the refs of citgit may change so;
all other refs may. Says the rule and the record on stderr.

environment: CIT_PUSHER (optional) "person:NAME", where the host knows who pushes; GIT_QUARANTINE_PATH, from git
git config:  citgit.refs the root of the refs; citgit.hookIdle seconds that a judge stays after a push (300; 0: no)
exit:        0 allowed, 1 refused, 2 usage

Example: cit-verify-push update refs/cit/policy OLD NEW
"""
PATIENCE = 60.0
"""Seconds to wait for the judge that stayed: an archive of 500 builds takes it one."""

Triple = tuple[str, str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Judges, and says why not."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    match arguments:
        case ["update", ref, old, new]:
            return _refuse([(old, new, ref)], all_of=False)
        case ["vref", ref, old, new, name]:
            if words := _judged([(old, new, ref)])[0]:
                print(f"{name}: {words}")  # what refuses, to gitolite; its pusher sees stderr
                print(f"cit: refused {ref}: {words}", file=sys.stderr)
            return 0
        case ["pre-receive"]:
            lines = [line.split(" ", 2) for line in sys.stdin.read().splitlines()]
            return _refuse([(old, new, ref) for old, new, ref in lines], all_of=True)
        case ["-h"] | ["--help"]:
            print(USAGE, end="")
            return 0
        case _:
            print(USAGE, end="", file=sys.stderr)
            return 2


def _refuse(updates: list[Triple], *, all_of: bool) -> int:
    """Tells the pusher. One hook refuses what it is asked about; pre-receive only where nothing is left to accept."""
    answers = _judged(updates)
    refused = [(ref, words) for (_, _, ref), words in zip(updates, answers, strict=True) if words]
    if not refused or (all_of and len(refused) < len(updates)):
        return 0  # the update hook refuses the refs of a push one by one
    for ref, words in refused:
        print(f"cit: refused {ref}: {words}", file=sys.stderr)
    return 1


def _judged(updates: list[Triple]) -> list[str]:
    """For each update the rule that it breaks, "" if it may happen; from a judge who is here, else by becoming one."""
    request = "\0".join([stamp(), os.environ.get("GIT_QUARANTINE_PATH", ""), os.environ.get("CIT_PUSHER", ""),
                         *(part for update in updates for part in update)])  # fmt: skip
    answer = _asked(request)
    if answer is None or len(answer) != len(updates):
        from citgit.programs.verify_push_judge import judge_and_stay

        answer = judge_and_stay(request, socket_name(), stamp(), peer)
    return answer


def _asked(request: str) -> list[str] | None:
    """The answer of a judge who stayed; None if there is none, it is another user's or of another version."""
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(PATIENCE)
            channel.connect(socket_name())
            if peer(channel) != os.geteuid():
                return None
            channel.sendall(os.fsencode(request))
            channel.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: channel.recv(1 << 16), b""))
    except OSError:
        return None
    return answer.decode("utf-8", "replace").split("\n")[:-1] if answer.endswith(b"\n") else None


def socket_name() -> str:
    """In the repository, which is the current directory of a hook: an absolute path may be too long for a socket."""
    return f"cit-judge-{os.geteuid()}"


def stamp() -> str:
    """What a judge depends on besides the push: another version or other settings need another judge."""
    stamps = []
    for path in (__file__, "config"):
        try:
            found = os.stat(path)
            stamps.append(f"{found.st_mtime_ns}.{found.st_size}")
        except OSError:
            stamps.append("")
    return f"{sys.prefix} {' '.join(stamps)}"


def peer(channel: socket.socket) -> int:
    """The user at the other end."""
    return int.from_bytes(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8], sys.byteorder)


if __name__ == "__main__":
    sys.exit(main())
