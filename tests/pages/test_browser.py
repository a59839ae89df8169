"""Reports in a real browser: what people see, press and print, and that nothing else happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pages import hostile
from pages.browser import browser, window

from citgit.pages.site import Site
from citgit.pages.words import build_page, job_page
from citgit.testing.project import Project, project
from citgit.wiring.pages import Live, plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's browser."""
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def made() -> Project:
    """A project with some weeks of builds."""
    return project()


@pytest.fixture(scope="module")
def out(made: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    place = tmp_path_factory.mktemp("pages") / "out"
    Site(place, plain).render(made.world())
    return place


@pytest.fixture
def red(made: Project) -> str:
    """The page of the newest build whose compiler complained."""
    builds = sorted(made.builds.values(), key=lambda one: one.id, reverse=True)
    return build_page(
        next(one.id for one in builds if one.result and one.result.first_error and one.request
             and one.request.job == "compile")
    )  # fmt: skip


@pytest.fixture
def every(red: str) -> list[str]:
    """One page of each kind."""
    return ["index.html", "agents.html", job_page("test"), red]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_fault_of_accessibility(chromium: Browser, out: Path, every: list[str], scheme: str) -> None:
    """axe finds nothing on any page, in either scheme: names, roles, order, contrast."""
    # it tries to load the style sheet by itself, which the pages' policy forbids: so loads are watched elsewhere
    from axe_playwright_python.sync_playwright import Axe

    with window(chromium, "file://", color_scheme=scheme) as watched:
        for page in every:
            watched.page.goto(f"file://{out / page}")
            watched.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
            found = Axe().run(watched.page)
            assert found.violations_count == 0, f"{page}: {found.generate_report()}"


def test_a_narrow_screen_needs_no_scrolling_sideways(chromium: Browser, out: Path, every: list[str]) -> None:
    """A page is as wide as a phone; only tables, plots and output scroll within it."""
    with window(chromium, "file://", viewport={"width": 360, "height": 740}) as watched:
        for page in every:
            watched.page.goto(f"file://{out / page}")
            wide = watched.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{page} is {wide} px too wide"


def test_the_keyboard_reaches_everything(chromium: Browser, out: Path, red: str) -> None:
    """Skip link, the tabs of a page, components that open and close, output that scrolls."""
    with window(chromium, "file://", reduced_motion="reduce") as watched:
        page = watched.page
        page.goto(f"file://{out / red}")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.locator(".tabs a", has_text="Signatures").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**#records")
        page.wait_for_function("document.getElementById('records').getBoundingClientRect().top < innerHeight")
        store = page.locator("details[data-path='src/store']")
        store.locator("> summary").focus()
        assert not store.evaluate("one => one.open")
        page.keyboard.press("Enter")
        assert store.evaluate("one => one.open")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.part") == "src/store"
        assert page.locator("details[data-path='src/parser']").evaluate("one => one.open"), "where it failed is open"
        watched.expect_nothing()


def test_a_reader_chooses_which_builds_to_see(chromium: Browser, out: Path) -> None:
    """The choice above a table works without a script, by the keyboard too, and is not printed."""
    with window(chromium, "file://", java_script_enabled=False) as watched:
        page = watched.page
        page.goto(f"file://{out / 'index.html'}")
        rows = page.locator(".builds tbody tr:visible")
        whole = rows.count()
        page.locator("#recent-all").focus()
        page.keyboard.press("ArrowRight")
        red = rows.count()
        page.get_by_text("what passed").click()
        assert 0 < red < rows.count() < whole == red + rows.count()
        page.emulate_media(media="print")
        assert not page.locator(".filter").is_visible()


def test_it_prints(chromium: Browser, out: Path, red: str) -> None:
    """On paper nothing is cut off, and the ink is dark."""
    with window(chromium, "file://", color_scheme="dark") as watched:
        watched.page.goto(f"file://{out / red}")
        watched.page.emulate_media(media="print")
        assert watched.page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"
        assert watched.page.locator("pre").first.evaluate("one => one.scrollHeight <= one.clientHeight + 1")
        assert watched.page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("live", [False, True])
def test_a_hostile_project_does_nothing_in_a_browser(chromium: Browser, tmp_path: Path, live: bool) -> None:
    """Every page of it, with everything opened: no load from elsewhere, no dialog, no script, no error."""
    Site(tmp_path / "out", plain).render(hostile.world(live=live, builds=8))
    lines = [[(hostile.ATTACK[:9], 1, hostile.ATTACK, plain(hostile.ATTACK))] * 9]
    served = Live(tmp_path / "out", lambda build, stopped: iter(lines))
    base = served.url.rpartition("/")[0] if live else f"file://{tmp_path}/out"
    try:
        with window(chromium, base) as watched:
            for path in (tmp_path / "out").rglob("*.html"):
                watched.page.goto(f"{base}/{path.relative_to(tmp_path / 'out')}")
                watched.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
                assert watched.page.locator("main script, main img, main b, main a[href^=javascript]").count() == 0
            watched.expect_nothing()
    finally:
        served.close()
