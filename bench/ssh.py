"""A state behind sshd on loopback, its worker and requester both remote: through `cit-serve`, and through git alone."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.sshd import sshd
from bench.stage import Stage, median, percentile, stage
from citgit.wiring.clone import client_state

COUNT = {"channel": 200, "git": 30}
ASKED = {"channel": 40, "git": 8}


def measure() -> dict[str, float]:
    """Milliseconds from request to start, and builds per second with two slots."""
    found: dict[str, float] = {}
    for way in ("channel", "git"):
        with stage() as place, host(place, channel=way == "channel") as url, worker_at(place, url) as worker:
            requester = place.requester()
            state = requester.clone.state
            kept = client_state(requester.clone.git_dir, url, state.refs, pinned=state.pinned, kept=True)
            requester.clone = dataclasses.replace(requester.clone, state=kept)
            pipe = os.open(place.top / "told", os.O_RDWR)
            waited = []
            for _ in range(ASKED[way]):
                began = time.monotonic()
                requester.ask("tell")
                os.read(pipe, 1)
                waited.append((time.monotonic() - began) * 1000)
                worker.await_events("result", 1)
                time.sleep(0.03)
            os.close(pipe)
            worker.pause()
            requester.ask("noop", COUNT[way])
            began = time.monotonic()
            worker.go()
            worker.await_events("result", COUNT[way])
            took = time.monotonic() - began
            found |= {
                f"{way}: request to start p50 ms": median(waited[2:]),
                f"{way}: request to start p95 ms": percentile(waited[2:], 0.95),
                f"{way}: builds/s": COUNT[way] / took,
            }
    return found


@contextmanager
def worker_at(place: Stage, url: str) -> Iterator[object]:
    """A worker with two slots; the address counts for everybody else too."""
    place.run("git", "config", "citgit.state", url)
    with place.worker("--slots", "2", "--no-doors", url=url) as worker:
        yield worker


@contextmanager
def host(place: Stage, *, channel: bool) -> Iterator[str]:
    """An sshd for this user alone; the address of the state behind it. Everybody's git and ssh know how to log in."""
    serve = Path(sys.executable).parent / "cit-serve"
    bound = f'restrict,command="{serve} --repo {place.state}" ' if channel else ""
    with sshd(bound, place.env) as (_, account, port):
        yield f"ssh://{account.replace('127.0.0.1', f'127.0.0.1:{port}')}{place.state}"
