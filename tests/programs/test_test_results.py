"""Test results beside those of earlier builds: what `cit show`, `why` and `log` say of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs.site import make_site

CIT = """\
[job.check]
command = ["sh", "-c", "cp report.xml out.xml; [ ! -f PLACE ] || cp PLACE out.xml; ! grep -q failure out.xml"]
keep.junit = ["out.xml"]
place.executor = "process"
"""


def report(*failed: str) -> str:
    """A report of three tests of which these failed."""
    cases = "".join(
        f'<testcase classname="t" name="{name}" time="1.5">{"<failure/>" if name in failed else ""}</testcase>'
        for name in ("adds", "divides", "waits")
    )
    return f"<testsuite>{cases}</testsuite>"


def test_changes_against_the_builds_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Newly failing, newly fixed, and flaky at equal inputs, with the slowest beside them."""
    other = tmp_path / "other.xml"
    site = make_site(tmp_path, monkeypatch, None, CIT.replace("PLACE", str(other)))
    site.commit("one", report_xml=report("adds"))
    site.cit("run", "check", "--here", status=1)
    site.commit("two", report_xml=report("divides"))
    site.cit("run", "check", "--here", status=1)
    shown = site.cit("show", status=1).out
    assert "tests:       3, 1 failed, 0 skipped" in shown
    assert "t::divides  (newly failing)" in shown
    assert "newly fixed: t::adds" in shown
    assert "slowest: t::waits 1.5 s" in shown
    assert "newly failing (not in " in site.cit("why").out
    assert "newly failing" in site.cit("log", "--failed").err
    other.write_text(report("divides", "waits"))
    site.cit("retry", status=1)
    assert "flaky, differ at equal inputs: t::waits" in site.cit("show", status=1).out
    assert site.cit("show", "--json", status=1).documents[0]["tests"]["flaky"] == ["t::waits"]
