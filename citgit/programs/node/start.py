"""`cit-serve start`: a build was asked for that this node can take: its worker looks now, and is started if need be."""

from __future__ import annotations

from citgit.errors import CitError
from citgit.programs.node.asked import Asked, need
from citgit.rules.reading import denied_node
from citgit.wiring.serve_node import NodeMessage, Talk


class Wanted(NodeMessage, frozen=True, kw_only=True):
    """Whose worker is to look."""

    agent: str


class Woken(NodeMessage, frozen=True, kw_only=True):
    """Whether a worker looks now; `why` not."""

    agent: str
    running: bool
    why: str = ""


def serve(asked: Asked, talk: Talk) -> None:
    """Wakes the worker of an agent whose policy knows the client. Raises Refused."""
    from citgit.wiring.node import wake  # a whole worker's, which those who only ask do without

    wanted = talk.hear(Wanted)
    for home in asked.places():
        if home.name != wanted.agent:
            continue
        if asked.reader:
            need(asked.refusal(home.repository.snapshot.policies.tip, denied_node))
        try:
            done = wake(home.name)
            talk.say(Woken(agent=home.name, running=bool(done["supervisor"]) or done["systemd"]))
        except CitError as error:
            talk.say(Woken(agent=home.name, running=False, why=error.message))
        return
    talk.say(Woken(agent=wanted.agent, running=False, why="no worker of it is here"))
