"""People are told of builds: by a real SMTP server, a real HTTP server, in a real repository; once, whatever fails."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from programs.site import Site, make_site

from citgit.model.notice import schema

CIT = """\
[job.check]
command = ["sh", "-c", "grep -q good state.txt || { echo 'src/a.c:3:1: error: bad \\u202e' >&2; exit 1; }"]
"""


class Smtp(socketserver.ThreadingTCPServer):
    """A small SMTP server that keeps what it gets."""

    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        """One client: as much of the protocol as a mail needs."""

        def handle(self) -> None:
            """Answers until the client leaves."""
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    while (one := self.rfile.readline()) != b".\r\n":
                        lines.append(one.removeprefix(b"."))
                    self.server.mails.append(b"".join(lines))  # type: ignore[attr-defined]
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.mails: list[bytes] = []


class Web(ThreadingHTTPServer):
    """An HTTP server that keeps what is posted, and answers as it is told to."""

    class Handler(BaseHTTPRequestHandler):
        """Keeps a post."""

        def do_POST(self) -> None:
            """Takes it."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.posts.append((dict(self.headers), body))  # type: ignore[attr-defined]
            self.send_response(self.server.answer)  # type: ignore[attr-defined]
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            """Would take whatever comes."""
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answer = 200


@pytest.fixture
def smtp() -> Iterator[Smtp]:
    """A mail server."""
    with Smtp() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server."""
    with Web() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A checkout, and a PATH with the programs that tell people."""
    made = make_site(tmp_path, monkeypatch, None, CIT)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("mail", "webhook", "git-notes"):
        module = f"citgit.programs.notify_{name.replace('-', '_')}"
        (programs / f"cit-notify-{name}").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (programs / f"cit-notify-{name}").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return made


def rules(site: Site, *entries: str) -> None:
    """Writes notify.toml."""
    place = site.top.parent / "citgit" / "notify.toml"
    place.write_text("".join(f"[[notify]]\n{entry}\n" for entry in entries))


def build(site: Site, state: str) -> str:
    """Builds a commit that is "good" or not; the commit."""
    commit = site.commit(f"now {state}", state_txt=state)
    site.cit("run", "check", "--here", status=None)
    return commit


def test_a_mail_when_it_turns_red_and_when_it_is_green_again(site: Site, smtp: Smtp) -> None:
    """Nothing of before the first look, one mail for each change, none in between, none twice."""
    rules(site, f'name = "me"\nrun = "mail"\nowners = ["me"]\nsettings = {{ to = "anna@example.org", smtp = "127.0.0.1:{smtp.server_address[1]}" }}')  # noqa: E501  # fmt: skip
    build(site, "bad")
    assert site.cit("notify").out == ""
    build(site, "good")
    assert "newly-green  check@main" in site.cit("notify").out
    commit = build(site, "bad")
    build(site, "worse")
    assert "newly-red  check@main" in site.cit("notify").out
    assert site.cit("notify").out == ""
    green, red = (message_from_bytes(mail, policy=policy.default) for mail in smtp.mails)
    assert (green["subject"], red["subject"]) == ("green again: check@main passed", "newly red: check@main failed")
    assert red["to"] == "anna@example.org"
    assert red["message-id"].startswith("<me.newly-red.")
    text = red.get_content()
    assert "first error: src/a.c:3: bad <U+202E>" in text
    assert commit in text


def test_a_post_that_fails_is_tried_again_and_told_once(site: Site, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server refuses waits; what it took is not posted again, also after the memory of the build is pruned."""
    monkeypatch.setenv("CIT_WEBHOOK_SECRET", "hush")
    rules(
        site,
        f'name = "hook"\nrun = "webhook"\non = ["finished"]\nsettings.url = "http://127.0.0.1:{web.server_port}/x"',
    )
    site.cit("notify")
    build(site, "bad")
    web.answer = 500
    assert "not told: cit-notify-webhook ended with 75" in site.cit("notify").out
    assert site.cit("notify").out == ""  # half a minute has not passed
    monkeypatch.setattr("citgit.programs.notify._FIRST_PAUSE_S", -3600)
    memory = next((site.top.parent / "citgit" / "notify").glob("*.json"))
    kept = json.loads(memory.read_bytes())
    memory.write_text(json.dumps(kept | {"tries": {key: [1, 0] for key in kept["tries"]}}))
    web.answer = 204
    (told,) = site.cit("notify", "--json").documents
    assert told["told"] is True
    assert site.cit("notify").out == ""
    headers, body = web.posts[-1]
    assert len(web.posts) == 2
    assert headers["Idempotency-Key"] == told["id"]
    assert headers["X-Cit-Signature"] == "sha256=" + hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    posted = json.loads(body)
    assert posted["outcome"] == "failed"
    assert posted["subject"] == "check@main failed"
    assert posted["settings"] == {}


@pytest.mark.parametrize("answer", [301, 302, 303, 307, 308])
def test_a_post_that_is_led_elsewhere_is_not_told(site: Site, web: Web, answer: int) -> None:
    """What follows would be a GET without the notice, whose answer says nothing."""
    rules(site, f'name = "a"\nrun = "webhook"\non = ["finished"]\nsettings.url = "http://127.0.0.1:{web.server_port}"')
    site.cit("notify")
    build(site, "bad")
    web.answer = answer
    assert "not told: cit-notify-webhook ended with 75" in site.cit("notify").out


def test_a_server_that_speaks_no_http_is_a_failure(site: Site, smtp: Smtp) -> None:
    """It is tried again, as any other."""
    port = smtp.server_address[1]
    rules(site, f'name = "a"\nrun = "webhook"\non = ["finished"]\nsettings.url = "http://127.0.0.1:{port}"')
    site.cit("notify")
    build(site, "bad")
    assert "not told: cit-notify-webhook ended with 75" in site.cit("notify").out


def test_a_dry_run_tells_each_notice_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while it follows; what it showed is still to be told."""
    rules(site, 'name = "a"\nrun = "pigeon"\non = ["finished"]')
    site.cit("notify")
    build(site, "bad")
    turns = iter(range(3))

    def pause(_: object, seconds: float) -> None:
        if next(turns, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr("citgit.machine.SystemClock.sleep", pause)
    assert site.cit("notify", "--follow", "--dry-run", status=None).out.count("would be told") == 1
    assert "would be told" in site.cit("notify", "--dry-run").out


def test_git_log_shows_what_came_of_commits(site: Site) -> None:
    """A line for each job beside its commit; a later build of it takes its place."""
    rules(site, 'name = "log"\nrun = "git-notes"\non = ["finished"]\nsettings.push = "origin"')
    site.cit("notify")
    build(site, "bad")
    assert site.cit("notify").out.rstrip().endswith("  told")
    build(site, "good")
    site.cit("notify")
    site.cit("run", "check", "--here", status=None)
    site.cit("notify")
    shown = site.git("log", "-2")
    assert shown.count("✓ check@main passed") == 1
    assert shown.count("✗ check@main failed") == 1
    assert "refs/notes/cit" in subprocess.run(
        ["git", "-C", str(site.bare), "for-each-ref"], check=True, capture_output=True, text=True
    ).stdout  # fmt: skip


def test_what_is_wrong_is_said(site: Site) -> None:
    """A table that is not there, one with faults, and a program that is missing."""
    assert "nobody is to be told" in site.cit("notify", status=2).err
    rules(site, 'name = "x"\nrun = "../evil"')
    assert "must be names" in site.cit("notify", status=2).err
    rules(site, 'name = "x"\nrun = "pigeon"\non = ["finished"]')
    site.cit("notify")
    build(site, "good")
    assert "there is no cit-notify-pigeon on PATH" in site.cit("notify").out


def test_the_schema_is_the_types() -> None:
    """The file in schemas/ is what the type gives."""
    place = Path(__file__).parents[2] / "schemas" / "notice.schema.json"
    assert json.loads(place.read_text()) == json.loads(json.dumps(schema()))
