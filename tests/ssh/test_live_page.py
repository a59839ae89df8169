"""`cit report --serve` on a reader's machine: a build on a node is followed over a real sshd, in a browser."""

from __future__ import annotations

import re

import pytest
from nodes import Node, node
from pages.browser import browser, window

__all__ = ["node"]

pytestmark = [pytest.mark.privileged, pytest.mark.heavy]


def test_a_page_follows_a_build_on_a_node(node: Node) -> None:
    """Lines come as they are printed there; while the node is out of reach, the page says so in plain words."""
    asked = node.site.cit("run", "drip", "--json").documents
    build = next(one["build"] for one in asked if "build" in one)
    ben = node.reader("ben")
    usual = ben.use("ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=5 -o ProxyCommand=false")
    served = ben.start("report", "--serve")
    assert served.stdout is not None
    url = served.stdout.readline().strip()
    try:
        with node.worker(), browser() as found, window(found, url.rpartition("/")[0]) as watched:
            page = watched.page
            page.set_default_timeout(120_000)
            page.goto(url.replace("index.html", f"build/{build}.html"))
            page.locator("h1 .running").wait_for()
            words = page.locator("[data-word]", has_text="cannot be followed from here")
            words.wait_for()
            assert "agent:lab1" in words.inner_text()
            ben.use(usual)
            lines = page.locator("pre[data-part=''] span")
            page.locator("pre[data-part=''] span", has_text=re.compile(r"\b5\s*$")).first.wait_for()
            assert page.locator("[data-word]").inner_text() == ""
            assert [one.split()[1] for one in lines.all_inner_texts()[:3]] == ["1", "2", "3"]
            (node.folder / "stop").touch()
            page.locator("h1 .passed").wait_for()
            page.get_by_label("the last lines").get_by_text("end").wait_for()
            watched.expect_nothing()
    finally:
        ben.use(usual)
        served.terminate()
        served.wait(20)
