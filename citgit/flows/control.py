"""What people do to builds: cancel, hold, let go, re-order, ask again."""

from __future__ import annotations

from citgit.errors import Refused
from citgit.flows.builds import Repository
from citgit.flows.state import Actor, State
from citgit.flows.writing import draft, write
from citgit.model.build import Build
from citgit.model.record import Body, Cancel, Pause, Priority, RecordType, Resume
from citgit.rules.lifecycle import TABLE
from citgit.rules.lifecycle import State as Life


def control(state: State, actor: Actor, repository: Repository, build: Build, body: Body) -> Build:
    """Pushes one control record and returns the build as it is then.

    Raises:
        Refused: the record would be void in the build's state, or turned out to be void; or the build is archived.
        NotYet: nobody can tell yet whether it is.
    """
    if (ended := repository.entry(build.pool, build.id)) is not None:
        # a late copy of an old push may have brought its ref back: that one is only waiting to be deleted
        build = ended
    kind = {
        Cancel: RecordType.CANCEL,
        Pause: RecordType.PAUSE,
        Resume: RecordType.RESUME,
        Priority: RecordType.PRIORITY,
    }[type(body)]
    if (Life(build.state), kind) not in TABLE:
        state_now = f"over ({build.outcome.value})" if build.outcome else build.state
        raise Refused(f"cannot {kind.value} build {build.id}: it is {state_now}")
    made = draft(state, actor, repository.snapshot, build, body)
    after = repository.build(build.ref, made.new)
    if void := after.entries[-1].void:
        raise Refused(f"cannot {kind.value} build {build.id}: {void}")
    write(state, actor, [made])
    return after


def outcome_text(build: Build) -> str:
    """The build's state in a word: its outcome once it is final."""
    return "errored (revoked)" if build.revoked else build.outcome.value if build.outcome else build.state
