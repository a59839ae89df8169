"""Takes the pictures of docs/images: pages of the made-up project in the system's chromium, light and dark, small."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from citgit.pages.site import Site
from citgit.pages.words import build_page
from citgit.testing.project import Project, project
from citgit.wiring.pages import plain

PLACE = Path(__file__).parent.parent / "docs" / "images"


def main() -> int:
    """Writes overview.png, build.png and phone.png."""
    from playwright.sync_api import sync_playwright

    made = project()
    red = build_page(_red(made))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        Site(Path(folder), plain).render(made.world())
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, page, size, dark in (
            ("overview", "index.html", (1180, 760), False),
            ("build", red, (1180, 900), True),
            ("phone", red, (390, 844), False),
        ):
            window = browser.new_page(
                viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
            )
            window.goto(f"file://{folder}/{page}")
            window.screenshot(path=PLACE / f"{name}.png")
        browser.close()
    return 0


def _red(made: Project) -> str:
    """The newest build whose compiler complained."""
    builds = sorted(made.builds.values(), key=lambda build: build.id, reverse=True)
    return next(
        build.id
        for build in builds
        if build.request and build.request.job == "compile" and build.result and build.result.first_error
    )


if __name__ == "__main__":
    sys.exit(main())
