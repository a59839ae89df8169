"""Time and randomness under a test's control."""

from __future__ import annotations

import random
from collections.abc import Callable
from uuid import UUID


class FakeClock:
    """A clock that moves only when it is told to, or when somebody sleeps.

    `suspend` is a machine asleep: only `boottime` and `now` go on. `on_sleep`, if given, is called instead of
    moving on, with the seconds wished for: a simulation switches to another actor there.
    """

    def __init__(self, start: int = 1_700_000_000, *, on_sleep: Callable[[float], None] | None = None) -> None:
        self._start = start
        self._awake = 0.0
        self._asleep = 0.0
        self._on_sleep = on_sleep

    def now(self) -> int:
        """Unix seconds."""
        return self._start + int(self._awake + self._asleep)

    def monotonic(self) -> float:
        """Seconds awake."""
        return self._awake

    def boottime(self) -> float:
        """Seconds since the start."""
        return self._awake + self._asleep

    def sleep(self, seconds: float) -> None:
        """Moves on by `seconds`, or hands them to `on_sleep`."""
        if self._on_sleep is not None:
            self._on_sleep(seconds)
        else:
            self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass. Raises ValueError if they are negative: no clock here goes back."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        self._awake += seconds

    def suspend(self, seconds: float) -> None:
        """Lets the machine sleep for `seconds`."""
        self._asleep += seconds

    def step(self, seconds: int) -> None:
        """Sets what `now` shows forward or back: nothing may be judged by it."""
        self._start += seconds


class SeededEntropy:
    """Randomness that repeats: all of it comes from `source`."""

    def __init__(self, source: random.Random, clock: FakeClock | Skewed) -> None:
        self._source = source
        self._clock = clock

    def nonce(self) -> str:
        """128 bits as 32 hex digits."""
        return f"{self._source.getrandbits(128):032x}"

    def build_id(self) -> str:
        """A UUIDv7 of the fake clock's time."""
        bits = (self._clock.now() * 1000) << 80 | self._source.getrandbits(80)
        bits = bits & ~(0xF << 76) | 0x7 << 76
        return str(UUID(int=bits & ~(0x3 << 62) | 0x2 << 62))

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        return self._source.uniform(low, high)


class Skewed:
    """Somebody's own clock beside `base`: it shows another time, and counts its seconds from another zero."""

    def __init__(self, base: FakeClock, zero: float = 0.0) -> None:
        self._base = base
        self._zero = zero
        self.offset = 0

    def now(self) -> int:
        """Unix seconds, `offset` away from the base."""
        return self._base.now() + self.offset

    def monotonic(self) -> float:
        """Seconds awake, from its own zero."""
        return self._base.monotonic() + self._zero

    def boottime(self) -> float:
        """Seconds since its own start."""
        return self._base.boottime() + self._zero

    def sleep(self, seconds: float) -> None:
        """As the base."""
        self._base.sleep(seconds)
