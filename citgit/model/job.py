"""What a job is: every key of a job in cit.toml, as typed values (DESIGN: Config).

A resolved job (extends applied, one cell of the matrix chosen) is pinned in each request.
Keys that are left at their default are left out of the bytes, so that a key added later changes no digest.
"""

from __future__ import annotations

from enum import Enum

import msgspec
from msgspec import field

from citgit.model.units import Bytes, Seconds

Value = str | int | bool
"""The value of a parameter."""


class _Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A table of config: immutable, defaults left out when written."""


class OnNewer(Enum):
    """What a newer revision does to an active build of the same job and branch."""

    SUPERSEDE = "supersede"
    KEEP = "keep"


class OnFailure(Enum):
    """What an upstream job that did not pass means for this one."""

    SKIP = "skip"
    RUN = "run"


class Visibility(Enum):
    """Who may read a build's details: whoever reads the state repository, or the job's readers alone."""

    DOMAIN = "domain"
    PRIVATE = "private"


class ParameterType(Enum):
    """The type of a parameter's value."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"


class Also(_Config, frozen=True, kw_only=True):
    """A further source, checked out at `at` below the workspace."""

    repo: str
    ref: str = ""
    at: str


class Source(_Config, frozen=True, kw_only=True):
    """What is built: `repo` is a name from [source], or "self"; `ref` empty means the requested revision."""

    repo: str = "self"
    ref: str = ""
    submodules: bool = False
    also: tuple[Also, ...] = ()


class Requires(_Config, frozen=True, kw_only=True):
    """What an agent must have: `tools` are "name" or "name >= version", `memory` and `disk` in bytes."""

    os: str = ""
    arch: str = ""
    tools: tuple[str, ...] = ()
    image: str = ""
    cpu: int = 1
    memory: Bytes = 0
    disk: Bytes = 0
    labels: tuple[str, ...] = ()
    can_build: str = ""


class Trigger(_Config, frozen=True, kw_only=True):
    """What starts a build: pushes to branches matching `push` that touch `paths`, or the `cron` tick."""

    push: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    cron: str = ""
    zone: str = "UTC"
    on_newer: OnNewer = OnNewer.SUPERSEDE


class After(_Config, frozen=True, kw_only=True):
    """An upstream job: which of its artifacts come into the workspace, what its failure means."""

    artifacts: tuple[str, ...] = ()
    on_failure: OnFailure = OnFailure.SKIP


class Env(_Config, frozen=True, kw_only=True):
    """The environment: fixed values, names passed through from the node, node-local secrets by name."""

    set: dict[str, str] = {}
    pass_: tuple[str, ...] = field(default=(), name="pass")
    secrets: tuple[str, ...] = ()


class Where(_Config, frozen=True, kw_only=True):
    """Where and as whom: `executor` empty means the safest one whose probe passes."""

    pool: str = "default"
    executor: str = ""
    network: bool = True
    as_: str = field(default="agent", name="as")


class Keep(_Config, frozen=True, kw_only=True):
    """What stays of a build, for whom, for how many `days`; `escrow` sends artifacts to the store as well.

    `readers` are people and @groups who may read a private build, beside its owner and the pool's maintainers.
    """

    artifacts: tuple[str, ...] = ()
    junit: tuple[str, ...] = ()
    visibility: Visibility = Visibility.DOMAIN
    readers: tuple[str, ...] = ()
    escrow: bool = False
    days: int = 30


class Split(Enum):
    """A build system whose parts can have logs of their own, without a change to it."""

    MAKE = "make"
    NPM = "npm"
    CMAKE = "cmake"
    AUTOTOOLS = "autotools"
    PYTEST = "pytest"


class Log(_Config, frozen=True, kw_only=True):
    """How the output is told apart: build systems whose parts become components of the log."""

    split: tuple[Split, ...] = ()


class Limits(_Config, frozen=True, kw_only=True):
    """Wall time of the command, bytes of output, how often it may be tried, how long it may wait."""

    time: Seconds = 3600
    output: Bytes = 200 * 2**20
    attempts: int = 2
    queue: Seconds = 86400


class Parameter(_Config, frozen=True, kw_only=True):
    """An input that whoever asks for a build may set; `choices` empty means any value of the type."""

    type: ParameterType = ParameterType.STRING
    default: Value = ""
    choices: tuple[Value, ...] = ()


class Job(_Config, frozen=True, kw_only=True):
    """The definition of a job; `extends` and `matrix` are empty once it is resolved."""

    command: tuple[str, ...] = ()
    directory: str = "."
    description: str = ""
    extends: str = ""
    source: Source = Source()
    requires: Requires = Requires()
    trigger: Trigger = Trigger()
    after: dict[str, After] = {}
    matrix: dict[str, tuple[str, ...]] = {}
    env: Env = Env()
    place: Where = Where()
    keep: Keep = Keep()
    log: Log = Log()
    limits: Limits = Limits()
    parameters: dict[str, Parameter] = {}


class NamedSource(_Config, frozen=True, kw_only=True):
    """A repository that jobs name: where to fetch it from (any URL that git takes, or a path)."""

    url: str


class CitToml(_Config, frozen=True, kw_only=True):
    """cit.toml as a whole: sources and jobs by name."""

    source: dict[str, NamedSource] = {}
    job: dict[str, Job] = {}


class ResolvedJob(msgspec.Struct, frozen=True, kw_only=True):
    """One build's worth of a job: `extends` applied, one `cell` of the matrix chosen, `parameters` filled in."""

    name: str
    cell: dict[str, str]
    parameters: dict[str, Value]
    job: Job
