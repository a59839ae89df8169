"""Threat: a build plants what it likes into its log. It gets its result, others theirs, and every reader goes on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site

PLANT = r"""
import json, os
log = os.environ["CIT_LOG"]
parts = os.fsencode(log) + b"/parts"
def part(name, **files):
    place = parts + b"/" + name
    os.makedirs(place, exist_ok=True)
    for one in ("out", "err", "times", "component_json"):
        files.setdefault(one, b'{"started": 1, "ended": 2}' if one[0] == "c" else b"x\n")
    for one, data in files.items():
        open(place + b"/" + one.replace("_", ".").encode(), "wb").write(data)
part(b"\xff\xfe")
part(b"\x1b[2J")
part(b"huge", component_json=b'{"started": 1%s, "ended": 2%s}' % (b"0" * 40, b"0" * 40), times=b"9" * 99 + b" 2 0\n")
part(b"deep", component_json=b"[" * 50000)
part(b"index", index_json=b'{"block": 0, "out": [0]}', out=b"x" * 100000)
part(b"times", times=b"1" * 5000000)
for one in (log, log + "/parts/huge"):
    open(one + "/sections.json", "w").write(json.dumps({"sections": [
        {"path": "s", "within": "", "stream": "none", "begin": -1, "ended": 10**40}]}))
    open(one + "/index.json", "w").write('{"block": 0, "failing": [{"stream": "x", "at": -1, "number": -1}]}')
    open(one + "/err.zst", "wb").write(b"junk")
print("::group::\xa0\n" * 50)
print("::group::" + "\U0001f600" * 200)
"""

LOUD = "for _ in range(40): print('\\U0001f600' * 500)\n"
MANY = "import os\nos.mkdir('kept')\nfor at in range(2000): open(f'kept/{at:060}', 'w').write(str(at))\n"

CIT = """\
[job.plant]
command = ["PYTHON", "plant.py"]
place.executor = "process"
[job.loud]
command = ["PYTHON", "loud.py"]
place.executor = "process"
[job.many]
command = ["PYTHON", "many.py"]
place.executor = "process"
keep.artifacts = ["kept/*"]
[job.plain]
command = ["echo", "well"]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A checkout with jobs that plant."""
    site = make_site(tmp_path, monkeypatch, None, CIT.replace("PYTHON", sys.executable))
    (site.top / "plant.py").write_text(PLANT, encoding="utf-8")
    (site.top / "loud.py").write_text(LOUD)
    (site.top / "many.py").write_text(MANY)
    site.commit("plant")
    return site


def test_a_build_that_plants_into_its_log_gets_its_result(site: Site, tmp_path: Path) -> None:
    """By a real worker, which goes on; the log, its search and a report of it work as ever."""
    site.cit("run", "plant", "--here")
    site.cit("run", "plain", "--here")
    shown = site.cit("log", "plant@main").out
    assert "index" in shown
    assert "\x1b" not in shown
    for how in (("--failed",), ("--grep", "x"), ("--last", "3"), ("--json",), (".",), ("huge",)):
        site.cit("log", "plant@main", *how)
    site.cit("report", "--out", str(tmp_path / "report"))
    site.cit("show", "plant@main")


def test_what_a_record_has_no_room_for_is_left_out(site: Site) -> None:
    """Lines of characters that take twelve bytes each in a record: it passes, with fewer of them."""
    site.cit("run", "loud", "--here")
    (shown,) = site.cit("show", "loud@main", "--json").documents
    assert shown["result"]["log"]["out_bytes"] > 60_000
    assert 0 < len(shown["result"]["log"]["tail"]) < 20


def test_more_artifacts_than_a_record_holds_fail_the_build(site: Site) -> None:
    """A pass without its files would be none; the attempt ends, and says why."""
    site.cit("run", "many", "--here", status=1)
    assert "2000 artifacts are more than a record has room for" in site.cit("show", "many@main", status=1).out
    site.cit("run", "plain", "--here")
