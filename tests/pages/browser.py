"""A browser for tests: the system's chromium, which tells of everything that it loads, asks, or complains about."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from services import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@dataclass(slots=True)
class Watched:
    """A browser window, and what happened in it that no report may cause."""

    page: Page
    allowed: str
    faults: list[str] = field(default_factory=list)

    def expect_nothing(self) -> None:
        """Fails if the page loaded from elsewhere, ran into an error, or opened a dialog."""
        assert self.faults == []


@contextmanager
def browser() -> Iterator[Browser]:
    """The system's chromium; without it, tests are skipped, in CI they fail."""
    program = shutil.which("chromium")
    if program is None:
        need("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # root has no user namespaces of its own to sandbox in
        found = driver.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        try:
            yield found
        finally:
            found.close()


@contextmanager
def window(found: Browser, allowed: str, **options: Any) -> Iterator[Watched]:
    """A window that may load what begins with `allowed`, and nothing else."""
    context = found.new_context(**options)
    watched = Watched(context.new_page(), allowed)
    page = watched.page
    page.on("dialog", lambda one: (watched.faults.append(f"dialog: {one.message}"), one.dismiss()))
    page.on("pageerror", lambda one: watched.faults.append(f"error: {one}"))
    page.on("console", lambda one: watched.faults.append(f"console: {one.text}") if one.type == "error" else None)
    context.on("request", lambda one: None if one.url.startswith(allowed) else watched.faults.append(one.url))
    page.set_default_timeout(15_000)
    try:
        yield watched
    finally:
        context.close()
