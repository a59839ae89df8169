"""The pages of a made-up project: what each of them shows, in a report of many builds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pages import hostile
from pages.parsed import Page, assert_harmless

from citgit.model.build import Build
from citgit.pages import spread
from citgit.pages.past import flaky_tests, latest
from citgit.pages.site import Site
from citgit.pages.summary import Summary
from citgit.pages.words import build_page, commit_link, job_page
from citgit.testing.project import Project, project
from citgit.wiring.pages import plain


@pytest.fixture(scope="module")
def made() -> Project:
    """A project with some weeks of builds."""
    return project()


@pytest.fixture(scope="module")
def out(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    place = tmp_path_factory.mktemp("pages") / "out"
    done = Site(place, plain).render(made.world())
    assert (done.shown, done.jobs) == (len(made.builds), 5)
    return place


def newest(made: Project, job: str, outcome: str) -> Build:
    """The newest build of a job that ended so."""
    return next(
        build
        for _, build in sorted(made.builds.items(), reverse=True)
        if build.request and build.outcome and (build.request.job, build.outcome.value) == (job, outcome)
    )


def text(out: Path, page: str) -> str:
    """The words of a page, single spaces between them."""
    return " ".join(Page((out / page).read_text()).text.split())


def in_order(whole: str, parts: Sequence[str]) -> None:
    """Each part stands in the text, after the one before it."""
    at = 0
    for part in parts:
        assert part in whole[at:], f"{part!r} is missing, or before {parts}"
        at = whole.index(part, at)


def test_the_overview_says_what_is_now_and_what_is_red_first(out: Path) -> None:
    """What runs, what is red, the jobs by branches, the last builds; a matrix shows its worst cell."""
    in_order(text(out, "index.html"), [
        "Now 3 waiting or running", "running compile", "40 s of about", "Red", "test python=3.13 main",
        "AssertionError", "Jobs the last build of each branch", "main", "compile", "Last builds",
    ])  # fmt: skip
    grid = (out / "index.html").read_text().partition('class="grid"')[2]
    row = grid.partition(">test</a>")[2].partition("</tr>")[0]
    assert row.index("failed") < row.index("running"), "main is the first branch, and its worst cell failed"


def test_a_red_build_starts_with_the_first_error(out: Path, made: Project) -> None:
    """The error, then the pipeline, the components in time and as a tree, and everything that explains the build."""
    build = newest(made, "test", "failed")
    in_order(text(out, build_page(build.id)), [
        "First error in tests tests/test_parse.py:57", "AssertionError", "Took", "usually", "Built by agent:oak",
        "Pipeline 4 builds", "Output 3 components", "failed tests", "The whole log: oak:/srv/cit",
        "Tests 418: 414 passed, 1 failed, 3 skipped", "tests/test_parse.py::test_keeps_spaces newly failing",
        "The slowest", "test_many_writers", "Difference", "the one before, passed", "Why here", "tool cc >= 12",
        "Inputs", "pytest --junitxml=results.xml", "matrix python", "waited for", "Environment", "gcc 12.2.0",
        "build key", "Signatures", "verified SHA256:", "valid",
    ])  # fmt: skip
    page = Page((out / build_page(build.id)).read_text())
    links = [attrs.get("href") or "" for tag, attrs in page.tags if tag == "a"]
    assert build.request is not None
    commit = build.request.config.commit
    assert f"https://codeberg.org/example/harbour/commit/{commit}" in links
    assert f"https://codeberg.org/example/harbour/src/commit/{commit}/cit.toml" in links
    opened = [attrs["id"] for tag, attrs in page.tags if tag == "details" and "open" in attrs]
    assert opened == ["part-0", "part-2"], "the way to where it failed"


def test_a_job_shows_its_history(out: Path, made: Project) -> None:
    """Rate, usual time, plots of durations and of failures, flaky tests, all builds; a badge as a file of its own."""
    in_order(text(out, job_page("test")), [
        "Passed", "% of the last 50", "Usual time", "Badge", "Branches", "Durations", "Failures", "Flaky",
        "tests/test_net.py::test_reconnects", "Builds",
    ])  # fmt: skip
    assert "durations of the last 80 builds: usually 3 min" in (out / job_page("test")).read_text()
    badge = out / job_page("test").replace("job/", "badge/").replace(".html", ".svg")
    assert "failed" in badge.read_text()
    assert "http" not in badge.read_text().replace("http://www.w3.org/2000/svg", "")


def test_agents_and_their_load(out: Path) -> None:
    """Each agent with what it does now and how much it was used."""
    in_order(text(out, "agents.html"), ["2 of 8 slots", "birch drained", "elm", "running compile", "% on average"])


def test_nothing_runs_or_loads_and_all_links_lead_somewhere(out: Path) -> None:
    """Of every page."""
    assert_harmless(out)


@pytest.mark.parametrize("live", [False, True])
def test_hostile_texts_stay_texts(tmp_path: Path, live: bool) -> None:
    """Markup, controls, marks of direction, a million tests, deep components: shown, and nothing else."""
    Site(tmp_path, plain).render(hostile.world(live=live))
    assert_harmless(tmp_path, live=live)
    whole = (tmp_path / "index.html").read_text()
    assert "&lt;script&gt;alert(1)" in whole
    assert "{{ 7*7 }}" in whole
    assert "&lt;U+202E&gt;" in whole
    assert max(path.stat().st_size for path in tmp_path.rglob("*.html")) < 4_000_000
    for badge in tmp_path.glob("badge/*.svg"):
        assert {tag for tag, _ in Page(badge.read_text()).tags} == {"svg", "title", "rect", "path", "g", "text"}


def test_many_builds_are_rendered_by_several_processes(
    made: Project, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same pages, whoever renders them; and if a process ends, this one does it all."""
    monkeypatch.setattr(spread, "pays", lambda count: True)
    monkeypatch.setattr(spread, "_LEAST", 100)
    monkeypatch.setattr(spread, "_processors", lambda: 3)
    Site(tmp_path / "spread", plain).render(made.world())
    same = {path.relative_to(out): path.read_bytes() for path in out.rglob("*.html")}
    assert {
        path.relative_to(tmp_path / "spread"): path.read_bytes() for path in (tmp_path / "spread").rglob("*.html")
    } == same

    def ended(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(spread, "_hand", ended)
    Site(tmp_path / "alone", plain).render(made.world())
    assert (tmp_path / "alone/index.html").read_bytes() == (out / "index.html").read_bytes()


def test_an_empty_project_says_what_to_do(made: Project, tmp_path: Path) -> None:
    """No builds, no agents: the pages say how to get some."""
    Site(tmp_path, plain).render(replace(made.world(), tips={}, agents=()))
    assert "cit run" in text(tmp_path, "index.html")
    assert "cit run --here" in text(tmp_path, "agents.html")


def test_what_is_flaky_and_what_is_latest() -> None:
    """Tests that differ at equal inputs; the worst cell of the newest commit."""
    same = {"job": "t", "branch": "main", "key": "k", "tests": 2}
    red = Summary(id="3", tip="", word="failed", failures=("a", "b"), commit="c2", cell={"x": "1"}, **same)
    less = Summary(id="2", tip="", word="failed", failures=("a",), commit="c2", cell={"x": "2"}, **same)
    old = Summary(id="1", tip="", word="errored", commit="c1", cell={"x": "3"}, job="t", branch="main")
    good = Summary(id="4", tip="", word="passed", commit="c2", cell={"x": "3"}, job="t", branch="main", key="other")
    assert flaky_tests([red, less, good]) == {"b"}
    assert latest([good, red, less, old]) == {"main": red}


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://github.com/a/b.git", f"https://github.com/a/b/commit/{'a' * 40}"),
        ("git@gitlab.com:a/b/c.git", f"https://gitlab.com/a/b/c/-/commit/{'a' * 40}"),
        ("ssh://git@codeberg.org:22/a/b", f"https://codeberg.org/a/b/commit/{'a' * 40}"),
        ("https://github.com.evil.example/a/b", ""),
        ("javascript:alert(1)", ""),
        ("https://github.com/a/b?x=<script>", ""),
        ("/srv/git/project.git", ""),
    ],
)
def test_only_known_forges_are_linked(url: str, link: str) -> None:
    """An address from a record becomes a link only where its host is known."""
    assert commit_link(url, "a" * 40) == link
    assert commit_link(url, "a" * 40 + "/../x") == ""
