"""A state repository over a path, ssh or https, through git: fetch by prefix, compare-and-swap push."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from citgit.errors import Bug, NotFound, Refused, RemoteAway
from citgit.git.objects import common_dir
from citgit.git.program import Output, check_url, failed, must, run, shown
from citgit.git.push_answers import answers, no_access, one_line
from citgit.interfaces import Oid, Pushed, Update
from citgit.model.names import DEFAULT_ROOT, SEEN, Refs, is_oid
from citgit.model.pattern import pattern

# One push names at most this many refs: the command line has a limit, and some hosts choke on long ones.
_AT_ONCE = 200

_FETCH = (
    "fetch", "--prune", "--no-tags", "--force", "--no-write-fetch-head", "--no-auto-maintenance", "--no-progress",
    "--no-recurse-submodules", "--no-show-forced-updates", "--no-write-commit-graph", "--refmap=",
)  # fmt: skip
_PUSH = (
    "push",
    "--porcelain",
    "--no-verify",
    "--no-follow-tags",
    "--no-signed",
    "--recurse-submodules=no",
    "--no-progress",
)
_FETCH_SETTINGS = (
    # One malformed object, pushed by anybody who may push, would stop everyone's fetch. Records are judged from
    # their bytes by a grammar that is stricter than fsck's, and their trees are never checked out by git.
    "fetch.fsckObjects=false",
    "transfer.fsckObjects=false",
    "fetch.output=full",
    "fetch.parallel=1",
)
_LOST_REF = pattern(r"^ ! .*?\s(\S+)\s+->\s+\S+\s+\(unable to update local ref\)", re.MULTILINE)
# git's own words (the host's start with "remote:"): it found, before sending, that it lacks what it should send.
_MISSING = pattern(r"^(fatal: bad object|fatal: Failed to traverse parents|error: src refspec .* any$)", re.MULTILINE)


class GitRemote:
    """The state repository at `url`; its objects come into, and are pushed from, the repository `git_dir`.

    `timeout` (seconds) bounds one fetch or push; `environment` is asked before each for what git needs besides.
    """

    def __init__(
        self,
        git_dir: Path,
        url: str,
        root: str = DEFAULT_ROOT,
        *,
        timeout: float = 120.0,
        environment: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._git_dir = git_dir
        self._url = check_url(url)
        self._root = root
        self._timeout = timeout
        self._environment = environment
        digest = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        # Each host has its own staging: what one of them lacks must not be pruned from another's.
        self._staging = f"{SEEN}new/{digest}/"
        self._lock = common_dir(git_dir) / f"cit-fetch-{digest}.lock"
        self._listed: tuple[bytes, dict[str, Oid]] = (b"", {})

    @property
    def url(self) -> str:
        """Where it is, for messages: without credentials."""
        return shown(self._url)

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The host's refs under `prefixes`, their objects fetched. Raises RemoteAway, Refused."""
        for prefix in prefixes:
            if not prefix.startswith(self._root) or "*" in prefix:
                raise Bug(f"not a ref or prefix under {self._root!r}: {prefix[:200]!a}")
        if not prefixes:
            return {}
        with self._alone() as before:
            output = self._fetch(prefixes)
            if output.status and not output.timed_out and self._staging in output.stderr:
                # A conflict with what earlier fetches left (a ref that became a folder, a lock of a killed git):
                # the staging holds nothing that the host does not have, so it can go.
                self._forget_staging()
                output = self._fetch(prefixes)
            if output.status and not self._harmless(output):
                raise self._unread(output)
            # git prints a line for each ref that it changed: mostly there is none, and one process less to start
            if not before or before != self._listed[0] or output.status or " -> " in output.stderr:
                self._listed = os.urandom(16), self.known()
            self._lock.write_bytes(self._listed[0])
            found = self._listed[1]
        whole = tuple(prefix for prefix in prefixes if prefix.endswith("/"))
        return {ref: oid for ref, oid in found.items() if ref in prefixes or (whole and ref.startswith(whole))}

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Tries each update on its own; one answer each, in order. Raises NotFound if an object is not here."""
        if len({update.ref for update in updates}) != len(updates):
            raise Bug("one push names a ref twice")
        done: list[Pushed] = []
        for start in range(0, len(updates), _AT_ONCE):
            done += self._push(updates[start : start + _AT_ONCE])
        return done

    def _push(self, updates: Sequence[Update]) -> list[Pushed]:
        leases = [f"--force-with-lease={each.ref}:{each.old or ''}" for each in updates]
        specs = [f"{each.new or ''}:{each.ref}" for each in updates]
        for each in updates:
            if not each.ref.startswith(self._root) or not all(is_oid(oid) for oid in (each.old, each.new) if oid):
                raise Bug(f"not an update under {self._root!r}: {each.ref[:200]!a}")
        output = self._git([*_PUSH, *leases, "--", self._url, *specs])
        if _MISSING.search(output.stderr):
            raise NotFound(
                f"cannot push to {self.url!r}: an object is not in {str(self._git_dir)!r}: {one_line(output.stderr)}"
            )
        return answers(updates, output)

    def _fetch(self, prefixes: Sequence[str]) -> Output:
        # A pattern, for a full name too: git fails when a name without a star does not exist at the host.
        specs = [f"+{each}*:{self._staging}{each[len(self._root) :]}*" for each in dict.fromkeys(prefixes)]
        return self._git([*_FETCH, "--", self._url, *specs], settings=_FETCH_SETTINGS)

    def _git(self, args: Sequence[str], *, settings: Sequence[str] = ()) -> Output:
        return run(
            args,
            git_dir=self._git_dir,
            network=True,
            timeout=self._timeout,
            settings=settings,
            env=self._environment(),
        )

    def known(self) -> dict[str, Oid]:
        """All refs that fetches from this host have left here, their objects too."""
        listing = must(
            ["for-each-ref", "--format=%(objectname) %(refname)", "--", self._staging],
            git_dir=self._git_dir,
            doing="list what was fetched",
        )
        lines = listing.stdout.decode("utf-8", "surrogateescape").split("\n")
        return {self._root + line[41 + len(self._staging) :]: line[:40] for line in lines if line}

    def _harmless(self, output: Output) -> bool:
        """Whether all that failed is storing refs that mean nothing here, such as names too long for this disk."""
        lost = _LOST_REF.findall(output.stderr)
        other = "fatal:" in output.stderr or output.timed_out
        return bool(lost) and not other and all(Refs(self._root).parse(ref) is None for ref in lost)

    def _forget_staging(self) -> None:
        base = common_dir(self._git_dir) / self._staging
        for lock in base.rglob("*.lock"):  # only fetches that hold our lock write here: whoever left it is dead
            lock.unlink(missing_ok=True)
        listing = must(
            ["for-each-ref", "--format=delete %(refname)", "--", self._staging],
            git_dir=self._git_dir,
            doing="list the staging of a fetch",
        )
        must(["update-ref", "--stdin"], git_dir=self._git_dir, input=listing.stdout, doing="empty the staging")

    def _unread(self, output: Output) -> Refused | RemoteAway:
        error = failed(f"fetch from {self.url!r}", output)
        said = one_line(output.stderr)
        if no_access(output.stderr) and not output.timed_out:
            refused = Refused(
                f"{self.url!r} does not let this user read: {said}",
                hint=f"check that `git ls-remote {self.url}` works for this user",
            )
            refused.__cause__ = error
            return refused
        away = RemoteAway(
            f"{self.url!r} did not answer: {said or 'git said nothing'}",
            hint="check the address and the network; what is here waits and is sent later",
        )
        away.__cause__ = error
        return away

    @contextmanager
    def _alone(self) -> Iterator[bytes]:
        """Two commands in one clone share the staging; the kernel frees the lock of one that was killed.

        Gives what the last fetch wrote there of its listing, and empties it: a fetch that is killed leaves nothing.
        """
        with open(self._lock, "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            before = file.read()
            file.truncate(0)
            yield before
