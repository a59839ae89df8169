"""What is said of tests against earlier builds: only what their results can vouch for."""

from __future__ import annotations

from citgit.model.build import Build
from citgit.model.record import Outcome, Result, Tests
from citgit.rules.test_changes import Changes, changes


def build(name: str, failures: tuple[str, ...] | None, key: str = "", failed: int | None = None) -> Build:
    """A final build whose tests failed like that; None: it had no tests."""
    tests = None if failures is None else Tests(total=9, failed=failed or len(failures), failures=failures)
    result = Result(claim="c", outcome=Outcome.FAILED, key=key, tests=tests)
    return Build(id=name, pool="p", ref=name, tip="t", state="final", result=result)


def test_against_the_last_build_that_had_tests() -> None:
    """New failures and repaired ones are told against the newest earlier build with results."""
    earlier = [build("3", None), build("2", ("a", "b")), build("1", ())]
    assert changes(build("4", ("b", "c")), earlier) == Changes(newly_failing=("c",), newly_fixed=("a",), before="2")
    assert changes(build("4", None), earlier) == Changes()
    assert changes(build("4", ("a",)), []) == Changes()


def test_flaky_is_what_differs_at_equal_inputs() -> None:
    """Only builds with the same key tell, and a test that always fails is not flaky."""
    earlier = [build("3", ("a", "b"), "k1"), build("2", ("z",), "k2"), build("1", ("b",), "k1")]
    assert changes(build("4", ("b",), "k1"), earlier).flaky == ("a",)
    assert changes(build("4", ("z",), "k2"), earlier).flaky == ("a",)
    assert changes(build("4", ("b",), ""), [build("1", (), "")]).flaky == ()


def test_a_list_that_was_cut_proves_no_absence() -> None:
    """Where more failed than names were kept, nothing is concluded from a missing name."""
    cut = build("4", ("b",), "k", failed=60)
    assert changes(cut, [build("3", ("a",), "k")]) == Changes(newly_failing=("b",), before="3")
    assert changes(build("5", ("a",), "k"), [cut]) == Changes(newly_fixed=("b",), before="4")
