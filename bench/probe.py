"""Fifty nodes asked at once over fifty ssh connections: how much longer the whole takes than the slowest answer.

Each node is an address of its own on loopback whose key may run one thing: to wait for 0.1 to 1 s, and to give a
recorded answer. So what is measured is the asking, not fifty interpreters on one machine.
"""

from __future__ import annotations

import time

from bench.sshd import sshd
from citgit.model.job import Job
from citgit.model.record import Cause, Config, PinnedSource, Request
from citgit.model.team import Agent, Team
from citgit.programs.node.probe import End, Said
from citgit.programs.probing import probe
from citgit.ssh.address import address_of
from citgit.ssh.connection import Chosen, Connection
from citgit.ssh.messages import GREETING
from citgit.ssh.talk import encoded

NODES = 50


def measure() -> dict[str, float]:
    """Seconds for all answers, for the slowest node asked alone, and how the two compare."""
    with sshd('restrict,command="sh FOLDER/node" ', listen="0.0.0.0") as (folder, account, port):
        (folder / "node").write_text(_NODE.format(folder=folder))
        for at in range(NODES):
            said = Said(agent=f"n{at}", decisions=(), free=1, slots=1)
            (folder / f"127.0.1.{at + 1}").write_bytes(f"{GREETING} 1\n".encode() + encoded(said) + encoded(End()))
        return _measured(account.partition("@")[0], port)


# A node's address tells its answer apart, and how long it thinks.
_NODE = """\
address=$(echo "$SSH_CONNECTION" | cut -d' ' -f3)
sleep 0.$(( ${{address##*.}} % 9 + 1 ))
exec cat {folder}/"$address"
"""


def _measured(user: str, port: int) -> dict[str, float]:
    hosts = {f"n{at}": f"ssh://{user}@127.0.1.{at + 1}:{port}" for at in range(NODES)}
    team = Team(agent={name: Agent(key="", host=host) for name, host in hosts.items()})
    request = Request(
        job="check", branch="main", config=Config(branch="main", commit="0" * 40), definition=Job(command=("true",)),
        sources=(PinnedSource(ref="refs/heads/main", commit="0" * 40),), cause=Cause(),
    )  # fmt: skip

    def reach(host: str) -> Connection | None:
        address = address_of(host)
        return Connection(address, Chosen()) if address else None

    found: dict[str, float] = {}
    for way in ("first", "kept connections"):
        began = time.monotonic()
        answers = probe(team, "default", request, "person:anna", reach, seconds=60)
        took = time.monotonic() - began
        assert all(one.fits for one in answers), [one.away for one in answers if one.away][:3]
        # the slowest node, asked for itself over a connection that it has by now
        began = time.monotonic()
        probe(Team(agent={"n7": team.agent["n7"]}), "default", request, "person:anna", reach, seconds=60)
        alone = time.monotonic() - began
        found |= {f"{way}: all s": took, f"{way}: slowest alone s": alone, f"{way}: ratio": took / alone}
    return found
