"""Counts test results in JUnit reports of any size, which are as untrusted as the build that wrote them.

They are read as a stream: what is kept of a report is bounded, however long it is and whatever is in it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping
from xml.parsers import expat

from citgit.model.record import Tests, TestTime

MOST_BYTES = 2 << 30
"""Of all reports of a build together; one that goes on beyond that is told, and not counted."""

MOST_FAILURES = 50
MOST_SLOW = 10
_BLOCK = 1 << 18
_NAME = 200
_LONGEST = 10**8

# What the parser itself keeps: a tag that has not ended, the names that it has met, the elements that are open.
_TAG_BYTES = 4 << 20
_MOST_NAMES = 1000
_DEEPEST = 64

Read = Callable[[int, int], bytes]
"""Gives up to so many bytes (the second number) of a report from an offset (the first) on; none at its end."""


class Tally:
    """The results of all reports that it is given; `faults` says in words which cannot be read."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._tests: Tests | None = None
        self._left = MOST_BYTES

    def add(self, path: str, read: Read) -> None:
        """Counts the report at `path`, as a whole or not at all."""
        report = _Report()
        try:
            for block in self._blocks(read):
                report.feed(block)
            found = report.end()
        except (ValueError, expat.ExpatError, OSError) as fault:
            self.faults.append(f"cannot read report '{path}': {str(fault)[:_NAME]}")
            return
        self._tests = _together(self._tests, found) if self._tests else found

    def tests(self) -> Tests | None:
        """The results together; None if no report could be read."""
        return self._tests

    def _blocks(self, read: Read) -> Iterator[bytes]:
        at = 0
        while block := read(at, _BLOCK):
            at += len(block)
            self._left -= len(block)
            if self._left < 0:
                raise ValueError(f"the reports hold more than {MOST_BYTES} bytes")
            yield block


def _together(one: Tests, other: Tests) -> Tests:
    return Tests(
        total=one.total + other.total, failed=one.failed + other.failed, skipped=one.skipped + other.skipped,
        failures=(*one.failures, *other.failures)[:MOST_FAILURES],
        slowest=tuple(heapq.nlargest(MOST_SLOW, (*one.slowest, *other.slowest), key=lambda test: test.ms)),
    )  # fmt: skip


class _Report:
    """One report on its way through the parser."""

    def __init__(self) -> None:
        self._parser = parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        self._bytes = self._depth = self._case_depth = 0
        self._case: Mapping[str, str] = {}
        self._outcome = ""
        self._total = self._failed = self._skipped = 0
        self._failures: list[str] = []
        self._slow: list[tuple[int, int, str]] = []

    def feed(self, block: bytes) -> None:
        """Raises ValueError or ExpatError."""
        self._bytes += len(block)
        self._parser.Parse(block, False)
        if self._bytes - self._parser.CurrentByteIndex > _TAG_BYTES:
            raise ValueError(f"a tag of more than {_TAG_BYTES} bytes")
        if len(self._parser.intern) > _MOST_NAMES:
            raise ValueError(f"more than {_MOST_NAMES} names of elements and attributes")

    def end(self) -> Tests:
        """What was counted. Raises ExpatError if something is missing."""
        self._parser.Parse(b"", True)
        slowest = sorted(self._slow, reverse=True)
        return Tests(
            total=self._total, failed=self._failed, skipped=self._skipped, failures=tuple(self._failures),
            slowest=tuple(TestTime(name=name, ms=ms) for ms, _, name in slowest),
        )  # fmt: skip

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._case_depth:
            if self._depth == self._case_depth + 1 and self._outcome != "failed":
                self._outcome = _OUTCOMES.get(tag, self._outcome)
        elif tag == "testcase" and self._depth > 1:
            self._case, self._case_depth, self._outcome = attributes, self._depth, ""
        elif self._depth == 1 and tag not in ("testsuites", "testsuite"):
            raise ValueError(f"it begins with <{tag[:_NAME]}>, not with <testsuites> or <testsuite>")
        if self._depth > _DEEPEST:
            raise ValueError(f"elements more than {_DEEPEST} deep")

    def _end(self, _: str) -> None:
        if self._depth == self._case_depth:
            self._case_depth = 0
            self._count()
        self._depth -= 1

    def _count(self) -> None:
        """The test that has just ended."""
        self._total += 1
        if self._outcome == "failed":
            self._failed += 1
            if len(self._failures) < MOST_FAILURES:
                self._failures.append(_named(self._case))
        elif self._outcome == "skipped":
            self._skipped += 1
        ms = _ms(self._case.get("time", ""))
        if ms and (len(self._slow) < MOST_SLOW or ms > self._slow[0][0]):
            # the second number: of equal ones the earlier counts as slower
            one = (ms, -self._total, _named(self._case))
            (heapq.heappush if len(self._slow) < MOST_SLOW else heapq.heapreplace)(self._slow, one)


_OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}


def _refuse(*_: object) -> None:
    """A report has no use for a document type, and entities in one can grow without bound."""
    raise ValueError("it declares a document type")


def _named(case: Mapping[str, str]) -> str:
    return f"{case.get('classname', '')}::{case.get('name', '')}".removeprefix("::")[:_NAME]


def _ms(time: str) -> int:
    """How long it says that it took; 0 if that is no sensible number."""
    try:
        seconds = float(time or 0)
    except ValueError:
        return 0
    return round(seconds * 1000) if math.isfinite(seconds) and 0 < seconds < _LONGEST else 0
