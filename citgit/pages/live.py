"""Serves a report on loopback to the one person who asked for it: reading only, with news as they come.

Whoever can connect is another user of the machine, or a page in the person's browser that had a name resolve to
loopback. So every address holds a secret, the Host must be this one, nothing but GET is answered, and what is
answered forbids to be framed, read by other origins, or to load anything from elsewhere.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FILE = re.compile(r"(?:(?:index|agents)\.html|style\.css|live\.js|(?:build|job|badge)/[0-9a-f-]{1,40}\.(?:html|svg))")
_LOG = re.compile(r"log/([0-9a-f-]{36})")
_MOST = 64
"""Streams at a time: one per open page, and one per log that is followed."""

_PULSE = 10.0
_IDLE = 0.25
_WATCHED = 60.0
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip

Said = tuple[str, int, str, str]
"""A line of a log: component, ms since the start, stream, text that is safe to show."""

Follow = Callable[[str, Callable[[], bool]], Iterator[Sequence[Said] | str]]
"""Given a build and what says that nobody listens any more: its lines, in lots; an empty lot when nothing is new.

Words instead of a lot say why no lines come.
"""


class Live:
    """The server of the pages in `out`; `url` is the address of the overview, which holds the secret."""

    def __init__(self, out: Path, follow: Follow, port: int = 0) -> None:
        self.out = out
        self.follow = follow
        self.secret = secrets.token_urlsafe(24)
        self.version = 0
        self.streams = 0
        self.news = threading.Condition()
        self._asked = time.monotonic()
        self._server = _Server(("127.0.0.1", port), _Answer)
        self._server.live = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a request may call this server."""
        return tuple(f"{name}:{self._server.server_address[1]}" for name in ("127.0.0.1", "localhost"))

    @property
    def url(self) -> str:
        """Where the overview is."""
        return f"http://{self.hosts[0]}/{self.secret}/index.html"

    @property
    def watched(self) -> bool:
        """Whether somebody looks at a page, or did so lately: nobody asks the host for pages that nobody sees."""
        return self.streams > 0 or time.monotonic() - self._asked < _WATCHED

    def touch(self) -> None:
        """Somebody looks."""
        self._asked = time.monotonic()

    def changed(self) -> None:
        """Tells all open pages that there are newer ones."""
        with self.news:
            self.version += 1
            self.news.notify_all()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    live: Live

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""


class _Answer(BaseHTTPRequestHandler):
    server: _Server
    server_version = "citgit"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """A page, its style or script, news, or a log."""
        live = self.server.live
        path = self._inside(live)
        if path is None:
            return
        live.touch()
        if path == "news":
            self._stream(self._news())
        elif found := _LOG.fullmatch(path):
            self._stream(self._log(found[1]))
        elif _FILE.fullmatch(path) and (live.out / path).is_file():
            self._head(HTTPStatus.OK, _TYPES[path.rpartition(".")[2]])
            self.wfile.write((live.out / path).read_bytes())
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Addresses hold the secret: they are not printed."""

    def _inside(self, live: Live) -> str | None:
        """The path below the secret; None if the request was refused."""
        secret, _, path = self.path.split("?")[0].lstrip("/").partition("/")
        fault = None
        if self.headers.get("Host") not in live.hosts:
            fault = HTTPStatus.MISDIRECTED_REQUEST
        elif not hmac.compare_digest(secret.encode(), live.secret.encode()):
            fault = HTTPStatus.NOT_FOUND
        elif self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            fault = HTTPStatus.FORBIDDEN
        if fault:
            self._refuse(fault)
        return None if fault else path or "index.html"

    def _refuse(self, status: HTTPStatus) -> None:
        self._head(status, "text/plain")
        self.wfile.write(f"{status.phrase}\n".encode())

    def _head(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": f"{kind}; charset=utf-8", **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, events: Iterator[str]) -> None:
        live = self.server.live
        with live.news:
            full = live.streams >= _MOST
            live.streams += not full
        if full:
            # whoever does not read it holds up nobody else
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            self._head(HTTPStatus.OK, "text/event-stream")
            for event in events:
                self.wfile.write(event.encode())
                self.wfile.flush()
        except OSError:
            pass  # the page was closed
        finally:
            with live.news:
                live.streams -= 1

    def _news(self) -> Iterator[str]:
        live = self.server.live
        seen = live.version
        yield f"data: {seen}\n\n"
        while True:
            with live.news:
                if live.version == seen:
                    live.news.wait(_PULSE)
                fresh, seen = live.version != seen, live.version
            yield f"data: {seen}\n\n" if fresh else ": still here\n\n"

    def _log(self, build: str) -> Iterator[str]:
        said = time.monotonic()
        for lines in self.server.live.follow(build, lambda: False):
            if lines:
                kind = "event: word\n" if isinstance(lines, str) else ""
                yield f"{kind}data: {json.dumps(lines)}\n\n"
                said = time.monotonic()
            elif time.monotonic() - said > _PULSE:
                yield ": still here\n\n"
                said = time.monotonic()
            else:
                time.sleep(_IDLE)
        yield "event: over\ndata: \n\n"
