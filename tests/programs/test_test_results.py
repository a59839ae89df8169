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
    assert "slowest: t::adds 1.5 s" in shown
    assert "newly failing (not in " in site.cit("why").out
    assert "newly failing" in site.cit("log", "--failed").err
    other.write_text(report("divides", "waits"))
    site.cit("retry", status=1)
    assert "flaky, differ at equal inputs: t::waits" in site.cit("show", status=1).out
    assert site.cit("show", "--json", status=1).documents[0]["tests"]["flaky"] == ["t::waits"]


WRITER = """\
print('<testsuites><testsuite name="many">')
for at in range(10**6):
    bad = '<failure message="wrong"/>' if at % 10_000 == 9_999 else ''
    print(f'<testcase classname="m" name="t{at}" time="0.001">{bad}</testcase>')
print('</testsuite></testsuites>')
"""


@pytest.mark.heavy
def test_a_million_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of 60 MiB: right totals, the failures first, and a page that stays light."""
    job = CIT.partition("command")[0] + 'command = ["sh", "-c", "python3 many.py >out.xml; exit 1"]\n'
    site = make_site(tmp_path, monkeypatch, None, job + 'keep.junit = ["out.xml"]\nplace.executor = "process"\n')
    (site.top / "many.py").write_text(WRITER)
    site.commit("many")
    site.cit("run", "check", "--here", status=1)
    shown = site.cit("show", status=1).out
    assert "tests:       1000000, 100 failed, 0 skipped" in shown
    assert shown.index("m::t9999") < shown.index("m::t19999")
    out = tmp_path / "out"
    site.cit("report", "--out", str(out))
    (page,) = (out / "build").iterdir()
    text = page.read_text()
    assert "1000000: 999900 passed, 100 failed" in text
    assert "50 more failures are not in the record" in text
    assert len(text) < 60_000
