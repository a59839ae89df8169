"""What an executor is told and what it answers; kept as JSON files in the attempt's directory."""

from __future__ import annotations

import msgspec

from citgit.model.record import Exit, Usage


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, ready to run. Paths are absolute; `seconds` of wall time, `output` bytes of out plus err.

    `directory` belongs to the attempt and outlives the worker: everything an executor needs to adopt the
    attempt after a restart is in it. `directory/log/` is the root component of the log tree.
    With a `builder` the command runs as that user, whose `workspace` becomes a copy of what is `laid` out; where that
    user is `away`, on another machine, so are the workspace and all paths of the command.
    `secrets` are the names of variables that the command gets besides `env`: only what is handed to the executor holds
    their values, and `directory`/secrets until the attempt has its result.
    """

    build: str
    claim: str
    directory: str
    workspace: str
    command: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    seconds: int
    output: int
    network: bool = True
    executor: str = "process"
    read_only: tuple[str, ...] = ()
    memory: int = 0
    builder: str = ""
    laid: str = ""
    away: bool = False
    secrets: tuple[str, ...] = ()


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """The directories of a command, all in `place`; as another `user` than the worker's if there is a `builder`.

    `builder` is the address of that user's login, `tools` a copy of what citgit offers to builds ("": its own place).
    Where that user is `away`, on another machine, `path` and `cpus` are those of that machine.
    """

    place: str
    workspace: str
    home: str
    temporary: str
    log: str
    tools: str = ""
    builder: str = ""
    user: str = ""
    away: bool = False
    path: str = ""
    cpus: int = 0


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine that is `away` has: memory and disk in bytes, tools with their versions ("": not told)."""

    host: str
    os: str
    arch: str
    cpu: int = 1
    memory: int = 0
    disk: int = 0
    tools: dict[str, str] = {}


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that is checked out `at` a path of a workspace; `tags` as lines "OID REF"."""

    at: str
    commit: str
    tags: tuple[str, ...] = ()


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What makes up a workspace: commits, outer ones first, and `files` that no commit has."""

    sources: tuple[Sent, ...]
    files: tuple[str, ...] = ()


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A file that an upstream build kept: `claim` is the attempt that made it, `node` the machine it is on."""

    label: str
    claim: str
    node: str
    path: str
    sha256: str
    size: int
    executable: bool = False


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the command of an attempt ended; `error` says why it could not be run or was stopped by the system."""

    exit: Exit = Exit()
    usage: Usage = Usage()
    started: int = 0
    ended: int = 0
    limit: str = ""
    error: str = ""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an executor can be used here, and if not, why."""

    ok: bool
    reason: str = ""
    isolated: bool = False
