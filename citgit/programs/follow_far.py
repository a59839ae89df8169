"""The output of a build on another node while it runs: read by a thread of its own, so that nobody waits for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from citgit.errors import CitError, NodeAway
from citgit.model.build import Build
from citgit.model.policy import PolicyView
from citgit.programs.log_place import Closes, open_log, pause
from citgit.wiring import logs
from citgit.wiring.clone import Clone
from citgit.wiring.logs import Line, LogSource

_AGAIN_S = 1.0


class FarLog:
    """What the node says of one attempt; `over` is whether the build has ended, so that no more will come."""

    def __init__(self, clone: Clone, policy: PolicyView, build: Build, over: Callable[[], bool]) -> None:
        self._clone, self._policy, self._build, self._over = clone, policy, build, over
        self._came: queue.SimpleQueue[tuple[str, Line]] = queue.SimpleQueue()
        self.fault = ""
        self.read = False
        """Whether anything came at all."""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def lines(self) -> Iterator[tuple[str, Line]]:
        """What came since the last time, each line with the path of its component."""
        while not self._came.empty():
            self.read = True
            yield self._came.get()

    def wait(self, seconds: float) -> None:
        """Until all has been read of a build that is over, or it cannot be."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.fault = self.fault or "the node does not answer"

    def _read(self) -> None:
        source: LogSource | None = None
        try:
            source = open_log(self._clone, self._policy, self._build, self._again)
            for one in logs.watch(source, self._over):
                if one is None:
                    pause(self._clone, source)
                else:
                    self._came.put(one)
            self.fault = ""
        except CitError as error:
            self.fault = error.message
        finally:
            if isinstance(source, Closes):
                source.close()

    def _again(self, error: NodeAway) -> bool:
        self.fault = error.message
        if self._over():
            return False
        self._clone.state.clock.sleep(_AGAIN_S)
        return True
