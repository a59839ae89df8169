"""The errors of citgit: each class owns its exit status; each error names the thing, the cause, the next move."""

from __future__ import annotations


class CitError(Exception):
    """An error a person can act on.

    `message` is lower case, failure first, the subject quoted, no full stop; `hint` is the next move.
    """

    status = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CitError):
    """The command line, a name or a config is wrong; nothing was changed."""

    status = 2


class BadName(UsageError):
    """A name does not follow the grammar of PROTOCOL §1."""


class BadConfig(UsageError):
    """A config file has faults; `faults` lists all of them."""

    def __init__(self, message: str, *, faults: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.faults = faults


class NotFound(UsageError):
    """What was named does not exist (a build, a job, a repository)."""


class Refused(CitError):
    """A signature, a policy or a record forbids it."""

    status = 3


class BadRecord(Refused):
    """Bytes that are not a record of this protocol; `rule` names the rule they break."""

    def __init__(self, message: str, *, rule: str = "grammar", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class BadSignature(Refused):
    """A record's signature is missing, malformed, or not over its bytes."""


class Dismissed(Refused):
    """Whoever this program acts for may not act any more: it ends."""


class Unsupported(CitError):
    """A record or a config key that needs another version of citgit, or is not supported yet."""

    status = 2


class Errored(CitError):
    """The system, not the job, failed: a lost node, a time limit, a missing executor."""

    status = 4


class NodeFull(Errored):
    """The node lacks the disk, memory or files to go on."""


class TryAgain(CitError):
    """A lost race or a host that is away; the same command may succeed later."""

    status = 75


class RemoteAway(TryAgain):
    """The state or source repository did not answer."""


class NodeAway(RemoteAway):
    """The node that holds something cannot be reached, or went away in the middle."""


class NoServe(RemoteAway):
    """The node was reached, and has no `cit-serve` for this key, or one that speaks otherwise.

    `absent`: a shell there did not find it.
    """

    absent = False


class NotYet(TryAgain):
    """A revision or a policy that was named cannot be fetched yet."""


class Bug(CitError):
    """A state that citgit's own rules exclude."""

    status = 70
