"""`cit run --follow` by somebody whose build runs on a node that they reach only over ssh."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from nodes import Node, Reader, node
from world import until

__all__ = ["node"]

pytestmark = [pytest.mark.privileged, pytest.mark.heavy]


@contextmanager
def following(node: Node, job: str) -> Iterator[subprocess.Popen[str]]:
    """ben asks for a build and follows it; it is in the state, and nobody has taken it yet."""
    subprocess.run(["git", "-C", str(node.site.bare), "config", "core.sharedRepository", "0666"], check=True)
    subprocess.run(["chmod", "-R", "a+rwX", str(node.site.bare)], check=True)
    known = len(asked(node))
    follow = node.reader("ben").start("run", job, "--follow", "--no-probe", "--pool", "default", "--json")
    patience = threading.Timer(240, follow.kill)
    patience.start()
    try:
        until("the request", lambda: follow.poll() is not None or len(asked(node)) > known)
        yield follow
    finally:
        patience.cancel()
        follow.kill()
        follow.communicate()


@pytest.fixture(scope="module", autouse=True)
def _ben_may_ask(node: Node) -> None:
    team = (node.site.top / "team.toml").read_text().replace('request = ["@dev"]', 'request = ["@dev", "ben"]')
    node.site.commit("ben may ask", team_toml=team)
    node.site.git("push", "-q", "--no-verify", "origin", "main")
    node.site.cit("policy", "publish")


def asked(node: Node) -> list[str]:
    """The builds that wait or run."""
    argv = ["git", "-C", str(node.site.bare), "for-each-ref", "--format=%(refname)", "refs/cit/builds"]
    return subprocess.check_output(argv, text=True).split()


def test_lines_come_as_they_are_written(node: Node) -> None:
    """From the node, while it runs, none missing, and the end after the last of them."""
    said: list[tuple[str, str]] = []
    with following(node, "drip") as follow, node.worker():
        assert follow.stdout is not None
        for line in follow.stdout:
            event = json.loads(line)
            said.append((event["event"], event["text"]))
            if said[-1] == ("output", "10"):
                (node.folder / "stop").touch()
        assert follow.wait(60) == 0, follow.stderr and follow.stderr.read()
    kinds = [kind for kind, _ in said]
    assert (kinds[0], kinds[-1]) == ("queued", "final")
    output = [text for kind, text in said if kind == "output"]
    assert len(output) > 10
    assert output == [*map(str, range(1, len(output))), "end"]


def test_a_node_that_cannot_be_read(node: Node) -> None:
    """One line says so, once; the end is told all the same, and the lines that the result has kept."""
    ben: Reader = node.reader("ben")
    usual = ben.use("sh -c 'echo no route to it >&2; exit 255' ssh")
    try:
        with following(node, "make") as follow:
            node.work()
            out, err = follow.communicate(timeout=120)
    finally:
        ben.use(usual)
    events = [json.loads(line) for line in out.splitlines()]
    assert follow.returncode == 0, err
    assert [one["text"] for one in events if one["event"] == "output"] == ["hello", "oops"]
    assert events[-1]["event"] == "final"
    assert err.count("cannot be read now: ") == 1, err
    assert "no route to it" in err
    assert "its last lines, which its result has kept" in err
