"""The log of an attempt that is on a node: a LogSource that asks it piece by piece, and again after a break."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import msgspec

from citgit.errors import NodeAway, NotFound
from citgit.model.log import LogIndex, LogNode
from citgit.ssh.call import Call
from citgit.ssh.frames import Garbled
from citgit.ssh.reading import AllNodes, Await, Done, IndexOf, Nodes, Piece, PieceOf
from citgit.ssh.talk import NodeMessage

T = TypeVar("T", bound=NodeMessage)

BLOCK = 1 << 20
_KEPT = 16
_WAIT_S = 1.0


class RemoteLog:
    """The log behind `begin`, which starts a call of the verb `log`.

    `again` is asked after a break, and waits, if it likes, before it says whether to try once more. What the log was
    like when it was last asked counts until `wait`.
    """

    def __init__(self, begin: Callable[[], Call], again: Callable[[NodeAway], bool] = lambda error: False) -> None:
        self._begin, self._again = begin, again
        self._call: Call | None = None
        self._nodes: list[LogNode] | None = None
        self._blocks: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()

    def nodes(self) -> list[LogNode]:
        """The root and all components below it, each before its parts, oldest first. Raises NotFound."""
        if self._nodes is None:
            self._learn(*self._ask(AllNodes(), Nodes))
        return list(self._nodes or ())

    def look(self, path: str) -> LogNode:
        """One component. Raises NotFound."""
        for node in self.nodes():
            if node.path == path:
                return node
        raise NotFound(f"no component {path[:200]!a}", hint="`cit log BUILD` lists the components")

    def read(self, path: str, name: str, at: int, count: int) -> bytes:
        """Up to `count` bytes from byte `at` of a component's file `name`. Raises NotFound."""
        key = (path, name, at // BLOCK)
        begin = key[2] * BLOCK
        known = self._blocks.pop(key, b"")
        if begin + len(known) < at + count and len(known) < BLOCK:
            wanted = PieceOf(path=path, name=name, at=begin + len(known), count=BLOCK - len(known))
            known += self._ask(wanted, Piece)[1][: wanted.count]
        self._blocks[key] = known
        if len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return known[at - begin : at - begin + count]

    def index(self, path: str) -> LogIndex | None:
        """What is known of a finished component besides; None if nothing is."""
        _, body = self._ask(IndexOf(path=path), Piece)
        return _decoded(body, LogIndex) if body else None

    def wait(self) -> None:
        """Until the log has changed, at most a second; what it is like then counts from now on."""
        self._learn(*self._ask(Await(seconds=_WAIT_S), Nodes))

    def close(self) -> None:
        """Ends the call; it begins anew when something is asked."""
        if self._call:
            self._call.close()
        self._call = None

    def _learn(self, told: Nodes, body: bytes) -> None:
        found = _decoded(body, list[LogNode]) if body else []
        if told.whole or self._nodes is None:
            self._nodes = found
        elif found:
            changed = {node.path: node for node in found}
            self._nodes = [changed.get(node.path, node) for node in self._nodes]

    def _ask(self, message: NodeMessage, kind: type[T]) -> tuple[T, bytes]:
        while True:
            try:
                if self._call is None:
                    call = self._begin()
                    try:
                        call.hear(Done)
                    except BaseException:
                        call.close()
                        raise
                    self._call = call
                self._call.say(message)
                return self._call.hear_with(kind)
            except NodeAway as error:
                self.close()
                if not self._again(error):
                    raise
            except BaseException:
                self.close()
                raise


D = TypeVar("D")


def _decoded(body: bytes, kind: type[D]) -> D:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Garbled(f"what the node says of its log makes no sense: {str(error)[:200]}") from None
