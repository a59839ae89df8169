"""The environment of a build: what docs/environment.md promises and nothing else of the worker's."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from citgit.errors import BadConfig
from citgit.model.job import Env, Value
from citgit.model.pattern import pattern

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Used where the node's own PATH is not passed through."""

_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = "CIT_"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an attempt runs: the claim it belongs to, the node's name and processors, the user, its directories.

    `directory` is where the command starts; `home` and `temporary` are fresh for each attempt and outside of the
    checkout. `log` is the attempt's log, `tools` the directory of the programs that split it ("" where there are none).
    """

    claim: str
    node: str
    cpus: int
    user: str
    workspace: str
    home: str
    temporary: str
    directory: str = ""
    log: str = ""
    tools: str = ""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is built: `time` is the commit's, in unix seconds, 0 if unknown."""

    build: str
    job: str
    branch: str
    commit: str
    time: int = 0
    cell: dict[str, str] = {}
    parameters: dict[str, Value] = {}


def environment(subject: Subject, place: Place, wanted: Env, node: Mapping[str, str]) -> dict[str, str]:
    """The variables of a build; `node` is where those that the job passes through come from.

    Raises BadConfig if the job sets what is not a variable or is citgit's own.
    """
    env = {
        "PATH": PATH,
        "HOME": place.home,
        "USER": place.user,
        "LOGNAME": place.user,
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": place.temporary,
        "CI": "true",
    }
    if subject.time > 0:
        env["SOURCE_DATE_EPOCH"] = str(subject.time)
    env |= {name: node[name] for name in wanted.pass_ if _allowed(name) and name in node}
    env |= {name: _value(name, text) for name, text in wanted.set.items() if _allowed(name)}
    env |= {f"CIT_MATRIX_{_upper(name)}": _value(name, text) for name, text in subject.cell.items()}
    env |= {f"CIT_PARAM_{_upper(name)}": _value(name, text) for name, text in subject.parameters.items()}
    if place.tools:
        # at the end: what the node or the job has under these names is meant
        env["PATH"] += f":{place.tools}"
        env |= {"CIT_LOG": place.log, "CIT_TOOLS": place.tools, "CIT_DIRECTORY": place.directory}
    return env | {
        "CIT_BUILD_ID": subject.build,
        "CIT_JOB": subject.job,
        "CIT_BRANCH": subject.branch,
        "CIT_COMMIT": subject.commit,
        "CIT_WORKSPACE": place.workspace,
        "CIT_ATTEMPT": place.claim,
        "CIT_NODE": place.node,
        "CIT_CPUS": str(place.cpus),
    }


def _upper(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _allowed(name: str) -> bool:
    if not _NAME.fullmatch(name):
        raise BadConfig(
            f"not the name of a variable: {name[:80]!a}", hint="use letters, digits and '_' in [job.NAME.env]"
        )
    if name.startswith(_RESERVED):
        raise BadConfig(f"reserved variable '{name}'", hint="names that start with CIT_ are citgit's; choose another")
    return True


def _value(name: str, value: Value) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\0" in text:
        raise BadConfig(f"NUL in the value of '{name}'", hint="variables hold text")
    return text
