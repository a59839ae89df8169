"""The judge behind `cit-verify-push`: answers one push, then stays for the next ones of this user and repository."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from citgit.wiring.host import HostJudge

Peer = Callable[[socket.socket], int]

_TICK = 2.0
_LARGEST = 1 << 24


def judge_and_stay(request: str, name: str, own: str, peer: Peer) -> list[str]:
    """The answers; a copy of this process goes on as the judge of later pushes.

    It listens at `name`, to those whom `peer` says to be this user, and ends once a request says not to be for `own`.
    """
    os.closerange(3, 256)  # before git's packs are opened: nobody who started us may have to wait for who stays
    judge = HostJudge(Path.cwd())
    answers = _answer(judge, request)
    if judge.idle > 0:
        sys.stdout.flush()
        sys.stderr.flush()
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                _stay(judge, name, own, peer)
            os._exit(0)
    return answers


def _answer(judge: HostJudge, request: str) -> list[str]:
    _, quarantine, pusher, *parts = request.split("\0")
    updates = list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
    return [words.replace("\n", " ") for words in judge.judge(updates, quarantine=quarantine, pusher=pusher)]


def _stay(judge: HostJudge, name: str, own: str, peer: Peer) -> None:
    """Serves until nobody came for a while, the repository is gone, or another judge took the socket over."""
    os.setsid()
    with open(os.devnull, "r+b") as nothing:
        for descriptor in (0, 1, 2):
            os.dup2(nothing.fileno(), descriptor)
    scratch = f"{name}.{os.getpid()}"
    server = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # for this user alone
    server.bind(scratch)
    os.umask(before)
    server.listen(64)
    os.rename(scratch, name)
    place = os.stat(name).st_ino
    idle = 0.0
    while idle < judge.idle and _still(name, place):
        if not select.select([server], [], [], _TICK)[0]:
            idle += _TICK
            continue
        idle = 0.0
        with contextlib.suppress(OSError), server.accept()[0] as channel:
            channel.settimeout(_TICK * 5)
            if peer(channel) == os.geteuid() and not _serve(judge, channel, own):
                break
    if _still(name, place):
        os.unlink(name)


def _serve(judge: HostJudge, channel: socket.socket, own: str) -> bool:
    """One request; False if it needs another judge than this one."""
    received = b""
    while part := channel.recv(1 << 16):
        received += part
        if len(received) > _LARGEST:
            return True
    request = os.fsdecode(received)
    if request.partition("\0")[0] != own:
        return False
    channel.sendall("".join(f"{words}\n" for words in _answer(judge, request)).encode("utf-8", "replace"))
    return True


def _still(name: str, place: int) -> bool:
    try:
        return os.stat(name).st_ino == place
    except OSError:
        return False
