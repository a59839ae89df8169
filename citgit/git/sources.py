"""The node's mirrors of source repositories: one bare repository per address, fetched under a lock."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from citgit.errors import Errored, NotFound, NotYet, Refused, RemoteAway
from citgit.git.checkout import fill
from citgit.git.objects import GitObjects, init_bare, sync_tree
from citgit.git.plain import File, plain_files
from citgit.git.program import Output, check_url, failed, must, run, shown
from citgit.git.push_answers import no_access, one_line
from citgit.git.submodules import Submodule, submodules
from citgit.interfaces import Entry, Oid, Revision
from citgit.model.names import is_oid

_FETCH = (
    "fetch", "--no-tags", "--force", "--no-write-fetch-head", "--no-auto-maintenance", "--no-progress",
    "--no-recurse-submodules", "--no-show-forced-updates", "--update-shallow", "--refmap=",
)  # fmt: skip
_USUAL = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_KEPT = "refs/cit-kept/"
_DEEPEST = 5
_CONFIG_LIMIT = 1 << 22
_SMALL = 1 << 16
_LAST_KEPT = 4


class Mirrors:
    """Mirrors in `directory`, each named by the digest of its URL; `timeout` (seconds) bounds one git command.

    `environment` tells what git needs besides to reach an address.
    """

    def __init__(
        self,
        directory: Path,
        *,
        timeout: float = 900.0,
        environment: Callable[[str], Mapping[str, str]] = lambda url: {},
    ) -> None:
        self._directory = directory
        self._timeout = timeout
        self._environment = environment
        self._stores: dict[Path, GitObjects] = {}
        self._whole: set[tuple[str, Oid]] = set()
        self._last: dict[tuple[Path, Oid], list[File] | None] = {}

    def path(self, url: str) -> Path:
        """Where the mirror of `url` is, or would be."""
        return self._directory / (hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".git")

    def heads(self, url: str) -> dict[str, Oid]:
        """The branches by short name, fetched now. Raises RemoteAway, Refused."""
        with self._alone(url) as mirror:
            self._usual(url, mirror)
            listing = must(
                ["for-each-ref", "--format=%(objectname) %(refname)", "--", "refs/heads/"],
                git_dir=mirror,
                doing=f"list the branches of {shown(url)!r}",
            )
        lines = listing.stdout.decode("utf-8", "surrogateescape").split("\n")
        return {line[41 + len("refs/heads/") :]: line[:40] for line in lines if line}

    def has(self, url: str, commit: Oid) -> bool:
        """Whether the commit was fetched before, as far as can be told without asking anybody."""
        return self.path(url).exists() and is_oid(commit) and self._store(self.path(url)).has(commit)

    def listed(self, url: str, seconds: float) -> list[str]:
        """The branches that the host shows this account; nothing is fetched. Raises RemoteAway, Refused."""
        output = run(
            ["ls-remote", "--heads", "--", check_url(url)], network=True, timeout=seconds, env=self._environment(url)
        )
        if output.status:
            raise _unread(url, output)
        lines = output.stdout.decode("utf-8", "surrogateescape").split("\n")
        return [line.partition("\t")[2].removeprefix("refs/heads/") for line in lines if line]

    def fetch(self, url: str, commit: Oid, ref: str = "") -> Revision:
        """Makes the commit available here; `ref` is where else to look. Raises NotYet, RemoteAway, Refused."""
        if not is_oid(commit):
            raise Refused(f"not a commit: {commit[:80]!a}", hint="name the full object name, 40 hex digits")
        mirror = self.path(url)
        # what was once whole stays so, unless somebody tidied the mirror away
        if (url, commit) not in self._whole or not self._store(mirror).has(commit):
            with self._alone(url) as mirror:
                if not self._has(mirror, commit):
                    self._usual(url, mirror)
                if not self._has(mirror, commit):
                    self._one(url, mirror, commit, ref)
            self._whole.add((url, commit))
        return revision_of(commit, self._commit(mirror, commit))

    def on_branch(self, url: str, branch: str, commit: Oid) -> bool:
        """Whether a fetched commit is the branch's head at the host, or before it. Raises RemoteAway, Refused."""
        head = self.heads(url).get(branch)
        if head is None or not is_oid(commit):
            return False
        args = ["merge-base", "--is-ancestor", commit, head]
        return run(args, git_dir=self.path(url), timeout=self._timeout).status == 0

    def files(self, url: str, commit: Oid, paths: Sequence[str]) -> dict[str, bytes]:
        """Those `paths` that exist (a path ending in "/" = the *.toml files in it); regular files only."""
        return chosen_files(self._store(self.path(url)), self.tree(url, commit), paths)

    def changed(self, url: str, old: Oid | None, new: Oid) -> list[str] | None:
        """The paths that differ between two fetched commits; None if that cannot be told."""
        return changed_paths(self.path(url), old, new, self._timeout)

    def checkout(self, url: str, commit: Oid, target: Path, *, submodules: bool) -> list[Path]:
        """A fresh checkout at `target`; the mirrors it borrows objects from. Raises NotYet, Refused, Errored."""
        return list(dict.fromkeys(self._checkout(url, commit, target, _DEEPEST if submodules else 0)))

    def is_light(self, url: str, commit: Oid) -> bool:
        """Whether a checkout of the commit is a matter of a few files, and none of git's."""
        try:
            return self._plain(self.path(url), self.tree(url, commit)) is not None
        except (NotYet, NotFound, Errored):
            return False

    def tree(self, url: str, commit: Oid) -> Oid:
        """The tree of a fetched commit. Raises NotYet."""
        return tree_of(self._commit(self.path(url), commit))

    def places(self, url: str, commit: Oid, ref: str = "", *, submodules: bool) -> list[tuple[str, Path, Oid]]:
        """Path in a checkout, repository and commit of a source and its submodules, all fetched; "" is the source.

        Raises NotYet, RemoteAway, Refused.
        """
        self.fetch(url, commit, ref)
        return [("", self.path(url), commit), *self.below(self.path(url), url, commit, _DEEPEST if submodules else 0)]

    def below(self, git_dir: Path, url: str, commit: Oid, deep: int = _DEEPEST) -> Iterator[tuple[str, Path, Oid]]:
        """The submodules of a commit of the repository `git_dir`, whose address is `url`, as in `places`."""
        for each in submodules(git_dir, url, commit) if deep else []:
            self.fetch(each.url, each.commit)
            mirror = self.path(each.url)
            yield each.path, mirror, each.commit
            for path, place, oid in self.below(mirror, each.url, each.commit, deep - 1):
                yield f"{each.path}/{path}", place, oid

    def _checkout(self, url: str, commit: Oid, target: Path, deep: int) -> list[Path]:
        mirror = self.path(url)
        tree = self.tree(url, commit)
        files = self._plain(mirror, tree)
        fill(target, mirror, commit, files, timeout=self._timeout)
        if files and sum(len(one.data) for one in files) > _SMALL:
            self._last.pop((mirror, tree), None)
        used = [mirror]
        for each in submodules(mirror, url, commit) if deep else []:
            used += self._submodule(each, target, deep - 1)
        return used

    def _plain(self, mirror: Path, tree: Oid) -> list[File] | None:
        """The files of a plain tree, None of another one. Those of the last ones are kept until they are checked out,
        small ones longer: a queue often builds one revision."""
        key = (mirror, tree)
        if key in self._last:
            return self._last[key]
        files = plain_files(self._store(mirror), tree)
        while len(self._last) >= _LAST_KEPT:
            self._last.pop(next(iter(self._last)))
        self._last[key] = files
        return files

    def _submodule(self, each: Submodule, target: Path, deep: int) -> list[Path]:
        place = target
        for part in each.path.split("/"):
            place /= part
            # git wrote these folders itself a moment ago; on a disk that folds case one may be a link
            if part in ("", ".", "..") or place.is_symlink():
                raise Refused(f"submodule path {each.path!r} is not a folder of the checkout", hint="rename it")
        self.fetch(each.url, each.commit)
        return self._checkout(each.url, each.commit, place, deep)

    @contextmanager
    def _alone(self, url: str) -> Iterator[Path]:
        """The mirror, made if it is new, while nobody else fetches into it."""
        check_url(url)
        mirror = self.path(url)
        self._directory.mkdir(parents=True, exist_ok=True)
        with open(mirror.with_suffix(".lock"), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            told = mirror / "description"
            if not told.is_file() or not told.stat().st_size:  # written last: half a mirror is made again
                shutil.rmtree(mirror, ignore_errors=True)
                init_bare(mirror)
                sync_tree(mirror)  # a power cut must not leave what git cannot read
                told.write_text(shown(url) + "\n", "utf-8", "surrogateescape")
                sync_tree(mirror)
            yield mirror

    def _fetch(self, url: str, mirror: Path, *specs: str, prune: bool = False) -> Output:
        return run(
            [*_FETCH, *(["--prune"] if prune else []), "--", url, *specs],
            git_dir=mirror,
            network=True,
            timeout=self._timeout,
            env=self._environment(url),
            settings=("transfer.fsckObjects=false",),  # old histories have flaws that git has long accepted
        )

    def _usual(self, url: str, mirror: Path) -> None:
        """Branches and tags."""
        output = self._fetch(url, mirror, *_USUAL, prune=True)
        if output.status and not output.timed_out and "lock" in output.stderr:
            for lock in (mirror / "refs").rglob("*.lock"):  # only a fetch that was killed leaves one: we hold the lock
                lock.unlink(missing_ok=True)
            output = self._fetch(url, mirror, *_USUAL, prune=True)
        if output.status:
            raise _unread(url, output)

    def _one(self, url: str, mirror: Path, commit: Oid, ref: str) -> None:
        """One commit by its name, else through `ref`, for hosts that hand out nothing that no ref shows."""
        output = self._fetch(url, mirror, f"+{commit}:{_KEPT}{commit}")
        if output.status and ref.startswith("refs/") and re.fullmatch(r"[\w./-]+", ref):
            self._fetch(url, mirror, f"+{ref}:{_KEPT}{hashlib.sha256(ref.encode()).hexdigest()[:40]}")
        if not self._has(mirror, commit):
            if output.timed_out:
                raise _unread(url, output)
            raise NotYet(
                f"commit {commit[:12]} is not at {shown(url)!r}: {one_line(output.stderr)}",
                hint="push it there; the build waits for it",
            )

    def _has(self, mirror: Path, commit: Oid) -> bool:
        """Whether the commit is here whole: a fetch that was cut off leaves objects without their history."""
        if not self._store(mirror).has(commit):
            return False
        args = ["rev-list", "--objects", "--quiet", commit, "--not", "--all", "--"]
        return run(args, git_dir=mirror, timeout=self._timeout).status == 0

    def _store(self, mirror: Path) -> GitObjects:
        """The mirror's objects, opened once; a mirror that was made anew is another one."""
        if mirror not in self._stores or not mirror.exists():
            self._stores[mirror] = GitObjects(mirror)
        return self._stores[mirror]

    def _commit(self, mirror: Path, commit: Oid) -> bytes:
        """The bytes of a commit. Raises NotYet, Refused."""
        return commit_bytes(self._store(mirror), commit)


def _entries(objects: GitObjects, root: Oid, folder: str) -> list[Entry]:
    """The entries of a folder below the tree `root`; none if it is not there."""
    tree = root
    for part in folder.split("/") if folder else []:
        below = [entry.oid for entry in objects.tree(tree) if entry.name == part and entry.mode == 0o040000]
        if not below:
            return []
        tree = below[0]
    return objects.tree(tree)


def _is_toml(name: str) -> bool:
    return name.endswith(".toml") and not name.startswith(".")


def _header(commit: bytes, pattern: bytes) -> bytes:
    """The first group of `pattern` in the header line of a commit that it matches; empty if none does."""
    for line in commit.split(b"\n\n", 1)[0].split(b"\n"):
        if found := re.fullmatch(pattern, line):
            return found[1]
    return b""


def commit_bytes(objects: GitObjects, commit: Oid) -> bytes:
    """The bytes of a commit. Raises NotYet, Refused."""
    try:
        kind, data = objects.read(commit)
    except NotFound as error:
        raise NotYet(f"commit {commit[:12]} was not fetched", hint="fetch it first") from error
    if kind != "commit":
        raise Refused(f"object {commit[:12]} is a {kind}, not a commit", hint="name the commit itself")
    return data


def revision_of(commit: Oid, data: bytes) -> Revision:
    """A commit and its committer date."""
    seconds = _header(data, rb"committer [^\n]* (-?[0-9]+) [+-][0-9]+")
    return Revision(commit, max(0, int(seconds or b"0")) * 1000)


def tree_of(data: bytes) -> Oid:
    """The tree that a commit's bytes name."""
    return _header(data, b"tree ([0-9a-f]{40})").decode()


def changed_paths(git_dir: Path, old: Oid | None, new: Oid, timeout: float) -> list[str] | None:
    """The paths that differ between two commits of a repository; None if that cannot be told."""
    if old is None or not is_oid(old) or not is_oid(new):
        return None
    args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", old, new, "--"]
    output = run(args, git_dir=git_dir, timeout=timeout)
    if output.status:
        return None
    return [name.decode("utf-8", "surrogateescape") for name in output.stdout.split(b"\0") if name]


def chosen_files(objects: GitObjects, root: Oid, paths: Sequence[str]) -> dict[str, bytes]:
    """Those `paths` that exist in a tree (one ending in "/" = the *.toml files in it); regular files only."""
    found: dict[str, bytes] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        for entry in _entries(objects, root, folder):
            if entry.mode & 0o170000 == 0o100000 and (entry.name == name or (not name and _is_toml(entry.name))):
                full = f"{folder}/{entry.name}" if folder else entry.name
                found[full] = objects.read(entry.oid, limit=_CONFIG_LIMIT)[1]
    return found


def _unread(url: str, output: Output) -> Errored | Refused | RemoteAway:
    said = one_line(output.stderr)
    if output.timed_out or not (no_access(output.stderr) or "unable to update local ref" in output.stderr):
        return RemoteAway(f"{shown(url)!r} did not answer: {said}", hint="check the address and the network")
    if no_access(output.stderr):
        return Refused(
            f"{shown(url)!r} does not let this user read: {said}",
            hint=f"check that `git ls-remote {shown(url)}` works for the user of this worker",
        )
    return failed(f"store the branches of {shown(url)!r}", output)
