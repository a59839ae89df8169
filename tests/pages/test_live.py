"""`cit report --serve`: pages that change as builds do, for one person on this machine, and nothing but reading."""

from __future__ import annotations

import http.client
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from pages.browser import browser, window
from pages.parsed import assert_harmless
from programs.site import Site, make_site

from citgit.pages.live import _Answer
from citgit.pages.site import Site as Report
from citgit.testing.project import project
from citgit.wiring.pages import Live, plain

CIT = r"""
[job.slow]
command = ["sh", "-c", "echo '<b>first</b> line'; while [ ! -e go ]; do sleep 0.1; done; echo last line"]
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server of a made-up project's pages."""
    out = tmp_path_factory.mktemp("live") / "out"
    made = project().world(live=True)
    Report(out, plain).render(made)
    (out.parent / "secret.html").write_text("not yours")
    served = Live(out, lambda build, stopped: iter([[("", 0, "out", f"of {build[:1]}")]]))
    yield served
    served.close()


def ask(live: Live, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers of an answer."""
    host = live.url.split("/")[2]
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = dict(answer.getheaders())
    body = answer.read(4000).decode() if found.get("Content-Type", "").startswith("text/html") else ""
    connection.close()
    return answer.status, body, found


def test_only_the_secret_address_is_answered(live: Live) -> None:
    """Without the secret, under another name, from another site, or by another method than GET: nothing."""
    path = "/" + live.url.split("/", 3)[3]
    secret = path.split("/")[1]
    status, body, headers = ask(live, path)
    assert (status, "harbour" in body) == (200, True)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "'unsafe" not in headers["Content-Security-Policy"]
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    port = live.url.split(":")[2].split("/")[0]
    assert ask(live, "/index.html")[0] == 404
    assert ask(live, f"/{secret[:-1]}/index.html")[0] == 404
    assert ask(live, path, Host=f"evil.example:{port}")[0] == 421
    assert ask(live, path, Host="127.0.0.1")[0] == 421
    assert ask(live, path, Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(live, path, "POST")[0] == 501
    assert ask(live, path, "DELETE")[0] == 501


@pytest.mark.parametrize(
    "path",
    ["../secret.html", "..%2fsecret.html", "/etc/passwd", ".known.json", "build/../../secret.html", "build/", ""],
)
def test_nothing_but_pages_is_served(live: Live, path: str) -> None:
    """No way leads out of the report, nor to what it remembers."""
    status, body, _ = ask(live, f"/{live.secret}/{path}")
    assert status == (200 if not path else 404)
    assert "not yours" not in body


def test_live_pages_are_harmless_too(live: Live) -> None:
    """Their one script is their own; without scripts they are loaded anew every few seconds."""
    assert_harmless(live.out, live=True)
    assert 'http-equiv="refresh"' in (live.out / "index.html").read_text()
    assert stat.S_ISDIR(live.out.stat().st_mode)


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """`cit report --serve` in a process of its own; the address that it prints."""
    argv = [str(Path(sys.executable).with_name("cit")), "report", "--serve", "-C", str(site.top)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()  # not interrupted: who is started in the background may have to ignore that
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextmanager
def building(site: Site) -> Iterator[Path]:
    """A build that goes on until its workspace holds `go`; the workspace."""
    argv = [str(Path(sys.executable).with_name("cit")), "run", "slow", "--here", "-C", str(site.top)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (found := _workspaces(site)) and time.monotonic() < deadline:
            time.sleep(0.1)
        try:
            yield found[0]
        finally:
            (found[0] / "go").touch()
            process.wait(60)


def _workspaces(site: Site) -> Sequence[Path]:
    home = Path(os.environ["CITGIT_HOME"])
    return [path.parent for path in home.rglob("cit.toml") if ".git" not in path.parts and path.parent != site.top]


def test_who_is_refused_for_want_of_room_holds_up_nobody(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """The refusal may take as long as that reader likes: others are answered meanwhile."""
    monkeypatch.setattr("citgit.pages.live._MOST", 0)
    held = threading.Event()
    refuse = _Answer._refuse

    def slow(self: _Answer, status: HTTPStatus) -> None:
        held.set()
        assert live.news.acquire(timeout=5)
        live.news.release()
        refuse(self, status)

    monkeypatch.setattr(_Answer, "_refuse", slow)
    asked = threading.Thread(target=lambda: ask(live, f"/{live.secret}/news"))
    with live.news:
        pass
    asked.start()
    assert held.wait(5)
    assert live.news.acquire(timeout=2)
    live.news.release()
    asked.join(20)


@pytest.mark.heavy
def test_a_page_of_a_build_that_waits_follows_it_once_it_runs(tmp_path: Path) -> None:
    """Neither a build that has not begun nor one without output yet is followed for the last time."""
    out = tmp_path / "out"
    Report(out, plain).render(project().world(live=True))
    page = next(path for path in sorted((out / "build").glob("*.html")) if "data-follow" in path.read_text())
    running = page.read_text()
    block = '<pre data-part=""></pre></section>'
    running = (
        running.replace("</section>", block, running.count("</section>")) if "data-part" not in running else running
    )
    waiting = re.sub(r' data-follow="[^"]*"', "", running)
    said: list[list[tuple[str, int, str, str]]] = []
    served = Live(out, lambda build, stopped: iter(list(said)))
    try:
        with browser() as found, window(found, served.url.rpartition("/")[0]) as watched:
            page.write_text(waiting)
            watched.page.goto(f"{served.url.rpartition('/')[0]}/build/{page.name}")
            watched.page.get_by_text("Live:").wait_for()
            with watched.page.expect_response(lambda one: "/log/" in one.url):
                page.write_text(running)
                served.changed()
            said.append([("", 5, "out", "here at last")])
            served.changed()
            watched.page.locator("pre span", has_text="here at last").first.wait_for()
            watched.expect_nothing()
    finally:
        served.close()


@pytest.mark.heavy
def test_a_page_follows_a_build(tmp_path: Path) -> None:
    """The overview shows the build as it comes, its page appends what is printed, and turns when the build is over."""
    with pytest.MonkeyPatch.context() as patch:
        site = make_site(tmp_path, patch, None, CIT)
        with browser() as found, serving(site) as url, window(found, url.rpartition("/")[0]) as watched:
            page = watched.page
            page.set_default_timeout(60_000)
            page.goto(url)
            assert page.locator(".empty").is_visible()
            with building(site) as workspace:
                page.get_by_role("link", name="running slow").click()
                page.locator("pre span", has_text="<b>first</b> line").wait_for()
                assert page.locator("progress").is_visible()
                (workspace / "go").touch()
                page.locator("pre span", has_text="last line").wait_for()
            page.locator("h1 .passed").wait_for()
            assert page.locator("main b").count() == 0
            watched.expect_nothing()
