"""Who may do what, written down by hand: every actor, action and object, to hold the rules against.

It is deliberately no function of the rules: `test_matrix.py` builds a chain for each cell and asks `judge`.
The table in docs/concepts/policy.md is printed from it.
"""

from __future__ import annotations

ACTORS = {
    "requester": "role request, in the pool's `request`",
    "outsider": "role request, not in the pool's `request`",
    "maintainer": "role maintain, in the pool's `maintain`",
    "elsewhere": "role maintain, not in the pool's `maintain`",
    "reader": "role read",
    "deputy": "role alias, in the alias's `request`",
    "admin": "role admin",
    "agent": "agent of the pool, in the alias's `nodes`",
    "stray": "agent of another pool",
    "hook": "agent without pools, in the trigger's `keys`",
    "ex-person": "person whose key was revoked",
    "ex-agent": "agent whose key was revoked",
    "stranger": "a key that no policy names",
}

_OWN = {"requester", "outsider", "maintainer", "elsewhere", "reader", "deputy", "admin"}
_RANK = {"maintainer", "admin"}

CELLS: dict[tuple[str, str], set[str]] = {
    ("request", "a job and branch of the pool"): {"requester"},
    ("request", "a job that the pool does not list"): set(),
    ("request", "a branch that the pool does not list"): set(),
    ("request", "with config from a branch that the pool does not list"): set(),
    ("request", "an alias's job, config from its branch"): {"deputy"},
    ("request", "an alias's job, config from another branch"): set(),
    ("request", "an alias's job, config from another repository"): set(),
    ("request", "to build on their own machine"): {"requester", "outsider"},
    ("request", "in a trigger's name"): {"hook"},
    ("claim", "a build of the pool"): {"agent"},
    ("claim", "a build of another pool"): {"stray"},
    ("claim", "an alias's build on its node"): {"agent"},
    ("claim", "an alias's build on no node of its"): set(),
    ("claim", "their own build, on their own machine"): {"requester", "outsider"},
    ("claim", "another's build, on their own machine"): set(),
    ("claim", "anything while the policy holds claims"): set(),
    ("result", "of their claim"): {"agent"},
    ("result", "of another's claim"): set(),
    ("progress", "of their claim"): {"agent"},
    ("lost", "a silent holder's build"): {"agent"} | _RANK,
    ("expired", "a build that waits"): {"agent"} | _RANK,
    ("cancel", "their own build"): _OWN,
    ("cancel", "another's build"): _RANK,
    ("pause", "their own build"): _OWN,
    ("pause", "another's build"): _RANK,
    ("resume", "their own build, paused by its owner"): _OWN,
    ("resume", "their own build, paused by a maintainer"): _RANK,
    ("resume", "another's build"): _RANK,
    ("resume", "a build paused until a time"): {"agent"} | _RANK,
    ("supersede", "their own build"): _OWN,
    ("supersede", "another's build"): _RANK,
    ("supersede", "a trigger's build"): {"hook"} | _RANK,
    ("reused", "a build that waits"): {"agent"},
    ("skipped", "a build that waits"): {"agent"},
    ("moved", "a build that waits"): _RANK,
    ("priority", "their own build, within limits"): _OWN,
    ("priority", "their own build, beyond limits"): _RANK,
    ("priority", "another's build"): _RANK,
    ("read", "a private build of theirs"): _OWN,
    ("read", "a private build of another's"): {"agent"} | _RANK,
    ("read", "a private build that names them"): {"reader", "agent"} | _RANK,
    ("grant", "a private build of theirs"): _OWN,
    ("grant", "a private build of another's"): _RANK,
    ("policy", "the next policy"): {"admin"},
}


def table() -> str:
    """The matrix as Markdown: a row per action and object, a column per actor."""
    lines = ["| who | is |", "| --- | --- |", *(f"| {name} | {what} |" for name, what in ACTORS.items()), ""]
    lines += ["| action | on | " + " | ".join(ACTORS) + " |", "| --- | --- |" + " --- |" * len(ACTORS)]
    for (action, what), allowed in CELLS.items():
        lines.append(f"| {action} | {what} | " + " | ".join("yes" if one in allowed else "" for one in ACTORS) + " |")
    return "\n".join(lines) + "\n"
