"""Reading from a node through sshd on loopback: how late a followed line is, and how fast an artifact comes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.sshd import sshd
from bench.stage import AGENT, Stage, median, percentile, stage
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.logs.read import follow
from citgit.model.build import Build
from citgit.model.plan import Input
from citgit.wiring.nodes import Far, RemoteLog, far

LINES = 60
SIZE = 256 << 20
TIMES = 5

JOBS = f"""
[job.lines]
command = ["sh", "-c", "for i in $(seq {LINES}); do date +%s.%N; sleep 0.1; done"]
place.executor = "process"

[job.large]
command = ["sh", "-c", "head -c {SIZE} /dev/urandom >large"]
place.executor = "process"
keep.artifacts = ["large"]
"""


def measure() -> dict[str, float]:
    """Milliseconds from writing to reading a line; MiB/s of `cit get` and of scp, by turns, over shared connections."""
    with stage(JOBS) as place, node(place) as (copies, account, port):
        requester = place.requester()
        with place.worker("--no-doors") as worker:
            requester.ask("lines")
            late = lateness(place)
            worker.await_events("result", 1)
            requester.ask("large")
            worker.await_events("result", 1)
        return {
            "line to follower p50 ms": median(late), "line to follower p95 ms": percentile(late, 0.95),
            "line to follower worst ms": max(late), **transfers(place, copies, account, port),
        }  # fmt: skip


def attempt(place: Stage, job: str) -> tuple[Far, Build] | None:
    """The attempt of the newest build of a job, reached as a reader elsewhere would; None if there is none yet."""
    clone = place.requester().clone
    snapshot = poll(clone.state)
    repository = Repository(clone.state, snapshot)
    found = [*repository.active(), *repository.archived()]
    chosen = [one for one in found if one.request and one.request.job == job and one.claims]
    return (far(clone, snapshot.policies.tip, chosen[0]), chosen[0]) if chosen else None


def lateness(place: Stage) -> list[float]:
    """How many milliseconds after it was written each line was read, those apart that were there at the start."""
    while (found := attempt(place, "lines")) is None:
        time.sleep(0.05)
    log = RemoteLog(lambda: found[0].call("log"))
    began, late = time.time(), []
    for line in follow(log, "", lambda: False, log.wait):
        if float(line.text) > began + 1.0:
            late.append((time.time() - float(line.text)) * 1000)
    log.close()
    return late


def transfers(place: Stage, copies: Path, account: str, port: int) -> dict[str, float]:
    """MiB/s by turns; a transfer before the first one opens the connection that the others share."""
    found = attempt(place, "large")
    assert found is not None
    there, build = found
    result = build.result
    assert result is not None
    one = result.artifacts[0]
    wanted = Input(label="large", claim=result.claim, node="", path=one.path, sha256=one.sha256, size=one.size)
    source = f"{place.top}/home/attempts/{result.claim}/artifacts/large"
    # a connection of its own, since its key is another; shared by all of scp's calls
    options = [
        re.sub("(ControlPath=.+)", r"\1s", one) for one in shlex.split(there.way().environment()["GIT_SSH_COMMAND"])[1:]
    ]
    rates: dict[str, list[float]] = {"cit get": [], "scp": []}
    for turn in range(TIMES + 1):
        for way, times in rates.items():
            with tempfile.TemporaryDirectory(dir=place.top) as target:
                began = time.monotonic()
                if way == "scp":
                    subprocess.run(
                        ["scp", "-q", "-P", str(port), "-S", str(copies), *options, f"{account}:{source}", target],
                        check=True,
                    )
                else:
                    there.fetch(Path(target), [wanted])
                if turn:
                    times.append(SIZE / (1 << 20) / (time.monotonic() - began))
    rows = {f"{way} MiB/s": median(times) for way, times in rates.items()}
    return {**rows, "cit get of scp %": 100 * rows["cit get MiB/s"] / rows["scp MiB/s"]}


@contextmanager
def node(place: Stage) -> Iterator[tuple[Path, str, int]]:
    """An sshd whose key may read from the worker's files; an ssh for scp, whose key may do more, and the account."""
    serve = Path(sys.executable).parent / "cit-serve"
    bound = f'restrict,command="{serve} --own --as person:anna --home {place.top}/home" '
    with sshd(bound, place.env) as (folder, account, port):
        more = folder / "more"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(more)], check=True)
        with open(folder / "keys", "a") as keys:
            keys.write(more.with_suffix(".pub").read_text())
        text = (folder / "bin" / "ssh").read_text().replace(f"{folder}/key", str(more))
        copies = folder / "bin" / "ssh-for-scp"
        copies.write_text(text)
        copies.chmod(0o755)
        team = (place.checkout / "team.toml").read_text()
        line = f"[agent.{AGENT}]\n"
        (place.checkout / "team.toml").write_text(team.replace(line, f'{line}host = "{account}:{port}"\n'))
        place.run("git", "commit", "--quiet", "-am", "Where the agent is")
        place.run("git", "push", "--quiet", "origin", "main")
        place.run(*place.cit("policy", "publish"))
        yield copies, account, port
