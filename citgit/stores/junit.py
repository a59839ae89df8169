"""Counts test results in JUnit reports, which are as untrusted as the build that wrote them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from xml.parsers import expat

import junitparser

from citgit.model.record import Tests, TestTime

REPORT_BYTES = 16 * 2**20
MOST_FAILURES = 50
MOST_SLOW = 10
_NAME = 200
_LONGEST = 10**8


def count(reports: Sequence[tuple[str, bytes]]) -> tuple[Tests | None, tuple[str, ...]]:
    """The results of all `reports` (path, bytes) together, None if none can be read; and what cannot, in words."""
    total = failed = skipped = 0
    failures: list[str] = []
    faults: list[str] = []
    slow: list[tuple[int, str]] = []
    read = 0
    for path, data in reports:
        try:
            cases = _cases(data)
        except (ValueError, expat.ExpatError, junitparser.JUnitXmlError, SyntaxError, RecursionError) as fault:
            faults.append(f"cannot read report '{path}': {str(fault)[:_NAME]}")
            continue
        read += 1
        slow = heapq.nlargest(MOST_SLOW, [*slow, *((ms, _named(case)) for case in cases if (ms := _ms(case)))])
        for case in cases:
            total += 1
            kinds = {type(one) for one in case.result}
            if kinds & {junitparser.Failure, junitparser.Error}:
                failed += 1
                failures.append(_named(case))
            elif junitparser.Skipped in kinds:
                skipped += 1
    if not read:
        return None, tuple(faults)
    found = Tests(
        total=total, failed=failed, skipped=skipped, failures=tuple(failures[:MOST_FAILURES]),
        slowest=tuple(TestTime(name=name, ms=ms) for ms, name in slow),
    )  # fmt: skip
    return found, tuple(faults)


def _named(case: junitparser.TestCase) -> str:
    return f"{case.classname or ''}::{case.name or ''}".removeprefix("::")[:_NAME]


def _ms(case: junitparser.TestCase) -> int:
    """How long it says that it took; 0 if that is no sensible number."""
    try:
        seconds = float(case.time or 0)
    except (TypeError, ValueError):
        return 0
    return round(seconds * 1000) if math.isfinite(seconds) and 0 < seconds < _LONGEST else 0


def _cases(data: bytes) -> list[junitparser.TestCase]:
    if len(data) > REPORT_BYTES:
        raise ValueError(f"larger than {REPORT_BYTES} bytes")
    _refuse_entities(data)
    root = junitparser.JUnitXml.fromstring(data)
    # A suite goes through the suites within it by itself.
    suites = [root] if isinstance(root, junitparser.TestSuite) else list(root)
    return [case for suite in suites for case in suite]


def _refuse_entities(data: bytes) -> None:
    """A report has no use for a document type, and entities in one can grow without bound."""

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)
