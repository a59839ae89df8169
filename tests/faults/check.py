"""What must be true once it is calm again: every accepted request has exactly one final record, and all verifies."""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator

from world import World

from citgit.git.program import must, run
from citgit.model.build import Build
from citgit.model.record import Claim, Result
from citgit.rules.lifecycle import State as Life

FINAL = {"result", "lost", "expired", "cancel", "supersede", "reused", "skipped", "moved"}


def check(world: World, *, once: bool = True, signatures: int = 100, alarms: Collection[str] = ()) -> dict[str, Build]:
    """Asserts it; the builds by id.

    `once`: no command may have run twice, for no machine was lost. `signatures`: how many records git itself verifies.
    """
    builds = judged(world, alarms)
    for build in world.accepted:
        assert build in builds, f"accepted request {build} is lost"
    for build in builds.values():
        _one_end(build)
    _as_git_sees_it(world, builds)
    _verified(world, signatures)
    if once:
        twice = {build: times for build, times in world.executions().items() if times > 1}
        assert not twice, f"ran more than once: {twice}"
    assert not list((world.bare / "refs").rglob("*.lock")), "locks are left at the host"
    return builds


def judged(world: World, alarms: Collection[str] = ()) -> dict[str, Build]:
    """All builds, active and archived, as citgit's own rules judge them."""
    repository = world.repository()
    unexpected = [one for one in repository.snapshot.alarms if not any(known in one for known in alarms)]
    assert not unexpected, unexpected
    return {build.id: build for build in (*repository.active(), *repository.archived())}


def _one_end(build: Build) -> None:
    assert not build.broken, f"{build.id} is broken: {build.broken}"
    assert not build.unsupported, f"{build.id}: {build.unsupported}"
    assert build.state == Life.FINAL.value, f"{build.id} never ended: {build.state}"
    valid = [entry.link.record for entry in build.entries if not entry.void and entry.link.record]
    results = [record for record in valid if isinstance(record.body, Result)]
    assert len(results) <= 1, f"{build.id} has {len(results)} results"
    holder = build.held.claim if build.held else ""
    for record in results:
        assert isinstance(record.body, Result)
        assert record.body.claim == holder, f"{build.id}: not the holder's result"
    attempts = Counter(record.body.attempt for record in valid if isinstance(record.body, Claim))
    assert all(count == 1 for count in attempts.values()), f"{build.id}: two claims for one attempt: {attempts}"
    most = build.request.max_attempts if build.request else 0
    assert build.valid_claims <= most, f"{build.id}: {build.valid_claims} claims of {most}"
    # nothing of it depends on when it was read: the final record is the last valid one of its kind
    assert build.final, f"{build.id} has no final record"


def _as_git_sees_it(world: World, builds: dict[str, Build]) -> None:
    """The same from commit messages alone, by a reader that knows nothing of citgit."""
    fsck = run(["fsck", "--strict", "--no-dangling"], git_dir=world.bare)
    assert fsck.status == 0, fsck.stderr[-2000:]
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records(world):
        if record["type"] == "claim":
            kinds[record["build"]][f"claim {record['attempt']}"] += 1
        kinds[record["build"]][record["type"]] += 1
    for build in builds:
        assert kinds[build]["request"] == 1, f"{build}: {kinds[build]}"
        ends = sum(count for kind, count in kinds[build].items() if kind in FINAL)
        assert ends == 1 or (ends == 2 and {"cancel", "supersede"} & set(kinds[build])), f"{build}: {kinds[build]}"
        doubled = [kind for kind, count in kinds[build].items() if kind.startswith("claim ") and count > 1]
        assert not doubled, f"{build}: {kinds[build]}"


def commits(world: World) -> list[str]:
    """Every commit that any ref of the protocol reaches."""
    listed = must(["rev-list", "--glob=refs/cit/*"], git_dir=world.bare, doing="list the commits")
    return listed.stdout.decode().split()


def records(world: World) -> Iterator[dict[str, str]]:
    """The records of builds, as JSON in the messages of commits."""
    log = must(["log", "--format=%B%x00", "--glob=refs/cit/*"], git_dir=world.bare, doing="read the records").stdout
    for message in log.decode().split("\0"):
        found = re.search(r"^\{$.*^\}$", message, re.MULTILINE | re.DOTALL)
        document = json.loads(found[0]) if found else {}
        if document.get("build"):
            yield document | document.get("body", {})


def _verified(world: World, most: int) -> None:
    chosen = commits(world)
    if len(chosen) > most:
        chosen = random.Random(len(chosen)).sample(chosen, most)
    signers = f"gpg.ssh.allowedSignersFile={world.clone_dir / '.git' / 'cit-allowed-signers'}"
    for commit in chosen:
        verified = run(["verify-commit", commit], git_dir=world.bare, settings=(signers,))
        assert verified.status == 0, (commit, verified.stderr)
