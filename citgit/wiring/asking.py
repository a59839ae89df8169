"""From the agents of a pool to their answers: all nodes are asked at once over ssh, none waits for another."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from citgit.errors import CitError, NoServe
from citgit.ssh.call import Call as Call
from citgit.ssh.call import node_line
from citgit.ssh.connection import Connection
from citgit.ssh.frames import Garbled
from citgit.ssh.login import PROGRAMS
from citgit.wiring.clone import Clone
from citgit.wiring.hosts import Ways

T = TypeVar("T")
Way = Callable[[str], Connection | None]
"""How a host is reached that team.toml names; None if it is none."""

SECONDS = 5.0
"""For how long a node may think."""

_LONGEST_S = 60.0
_SETTLE_S = 0.4
"""After the first good answer others that are nearly as quick may still be better."""


def way_of(clone: Clone) -> Way:
    """As the person of a clone reaches hosts: with the key that agents know them by, beside what ssh has anyway."""
    ways = Ways(clone.git_dir)
    return lambda host: ways.to_node(host, clone.key)


class Asking(Generic[T]):
    """Asks nodes one thing each: `way` is how a host is reached, `about` does the talking in a call that has begun."""

    def __init__(self, verb: str, way: Way, about: Callable[[Call, str], T]) -> None:
        self._way = way
        self._verb = verb
        self._about = about
        self._calls: dict[str, Call] = {}
        self._over = False
        self._lock = threading.Lock()

    def all(
        self, hosts: Mapping[str, str], *, seconds: float = SECONDS, enough: Callable[[T], bool] = lambda found: False,
        tell: Callable[[int, int], None] = lambda done, of: None,
    ) -> dict[str, tuple[T | str, float]]:  # fmt: skip
        """(answer, or in words why there is none; seconds) by agent.

        Returns once all have answered, after `seconds`, or shortly after an answer that is `enough`.
        """
        answers: queue.Queue[tuple[str, T | str, float]] = queue.Queue()
        began = time.monotonic()
        for agent, host in hosts.items():
            threading.Thread(target=self._ask, args=(agent, host, began, answers), daemon=True).start()
        found: dict[str, tuple[T | str, float]] = {}
        until = began + seconds
        while len(found) < len(hosts) and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                agent, answer, took = answers.get(timeout=left)
                found[agent] = (answer, took)
                tell(len(found), len(hosts))
                if not isinstance(answer, str) and enough(answer):
                    until = min(until, time.monotonic() + _SETTLE_S)
        self._leave()
        waited = time.monotonic() - began
        silent = "did not answer in time" if waited >= seconds - 0.01 else "was not waited for"
        return {agent: found.get(agent, (silent, waited)) for agent in hosts}

    def _ask(self, agent: str, host: str, began: float, answers: queue.Queue[tuple[str, T | str, float]]) -> None:
        answer: T | str
        try:
            answer = self._one(agent, host)
        except CitError as error:
            answer = error.message
        except (OSError, Garbled, ValueError) as error:
            answer = f"{host}: {error}"
        answers.put((agent, answer, time.monotonic() - began))

    def _one(self, agent: str, host: str) -> T:
        connection = self._way(host)
        if connection is None:
            raise NoServe(f"{host[:100]!r} is no host to log in at")
        # a key that is bound understands both; a login finds the first if it was installed from afar
        for line in (f"{PROGRAMS}/{node_line(self._verb)}", node_line(self._verb)):
            try:
                return self._call(connection.argv(line), agent, host)
            except NoServe:
                if not line.startswith(PROGRAMS):
                    raise
        raise NoServe(f"{host} does not serve this")

    def _call(self, argv: list[str], agent: str, host: str) -> T:
        call = Call(argv, node=host, patience=_LONGEST_S)
        with self._lock:
            self._calls[agent] = call
            over = self._over
        try:
            if over:
                raise NoServe(f"{host} was not waited for")
            return self._about(call, agent)
        finally:
            with self._lock:
                del self._calls[agent]
            call.close()

    def _leave(self) -> None:
        """Ends what is still being asked, so that no ssh outlives the question."""
        with self._lock:
            self._over = True
            for call in self._calls.values():
                call.kill()
