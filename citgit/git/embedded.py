"""A state repository on this machine, served in-process: no program is started, no object is copied.

That is right only where git itself would do nothing else than write files: `Gate` looks, before each operation and
cheaply, whether that still holds. Where it does not (the repository got a receive hook, another owner, a setting that
git would obey) the git program does the work, by itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from citgit.errors import Bug, NotFound
from citgit.git import closure
from citgit.git.objects import GitObjects, common_dir
from citgit.git.program import run
from citgit.git.refs import RefFiles
from citgit.git.remote import GitRemote
from citgit.interfaces import EMPTY_TREE, Answer, Entry, Objects, Oid, Pushed, Update
from citgit.model.names import is_oid
from citgit.model.pattern import pattern

_HOOKS = ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive")
# Words in a git config that may change what a push does, or where things are; git itself is then asked what it means.
_TELLING = pattern(
    rb"(?i)hookspath|refstorage|objectformat|sharedrepository|hiderefs|logallrefupdates\s*=\s*always|include"
    rb"|procreceiverefs|maxinputsize|fsckobjects|worktreeconfig|denydeletes(?!\s*=\s*(false|no|off|0)\b)"
)
_ASKED = (
    r"^(core\.(hookspath|sharedrepository|logallrefupdates)|extensions\..*|(receive|transfer)\.(hiderefs|fsckobjects)"
    r"|receive\.(procreceiverefs|maxinputsize|denydeletes))$"
)
_HARMLESS = pattern(
    r"core\.sharedrepository\n(umask|false|0|no)|core\.logallrefupdates\n(true|false|yes|no|1|0)"
    r"|extensions\.objectformat\nsha1|extensions\.refstorage\nfiles|[a-z.]+\n(false|no|off|0)"
)
# What is behind by more than so many objects is fetched by git, as one pack.
_MOST_LINKED = 1_000
_MOST_KEPT = 100_000
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def place_of(url: str) -> Path | None:
    """The common git directory of the repository at `url`, if that is a path on this machine; else None."""
    path = Path(url.removeprefix("file://"))
    if not path.is_absolute():
        return None
    for place in (path / ".git", path):
        if (place / "HEAD").is_file():
            shared = common_dir(place)
            return shared if (shared / "objects").is_dir() and (shared / "refs").is_dir() else None
    return None


class Gate:
    """Says whether the repository at `place` may be served in-process for a client whose own files are in `home`.

    `needless` says which hooks need not run, because this process does what they would do.
    """

    def __init__(self, place: Path, home: Path, needless: Callable[[Path], bool] = lambda hook: False) -> None:
        self._place = place
        self._needless = needless
        self._stats = [str(place), str(place / "refs"), str(place / "objects"), str(home)]
        self._hooks = [str(place / "hooks" / name) for name in _HOOKS]
        self._configs = [str(place / "config"), *_user_configs()]
        self._judged: tuple[list[tuple[int, int, int] | None], bool] | None = None

    def is_open(self) -> bool:
        """Looks anew each time: a dozen system calls."""
        try:
            place, refs, objects, home = map(os.stat, self._stats)
        except OSError:
            return False
        me = os.geteuid()
        if not (place.st_uid == refs.st_uid == objects.st_uid == me and place.st_dev == home.st_dev):
            return False
        if any(os.access(hook, os.X_OK) and not self._needless(Path(hook)) for hook in self._hooks):
            return False
        now = [_changed(path) for path in self._configs]
        if self._judged is None or self._judged[0] != now:
            self._judged = now, self._is_plain()
        return self._judged[1]

    def _is_plain(self) -> bool:
        """Whether no setting asks for more than files."""
        told = False
        for path in self._configs:
            with contextlib.suppress(FileNotFoundError):
                told = told or _TELLING.search(Path(path).read_bytes()) is not None
        if not told:
            return True
        asked = run(["config", "-z", "--get-regexp", _ASKED], git_dir=self._place, network=True)
        found = [one for one in asked.stdout.decode("utf-8", "replace").split("\0") if one]
        own = "core.hookspath\n/dev/null"  # what our own way of starting git adds
        return asked.status in (0, 1) and all(one == own or _HARMLESS.fullmatch(one) for one in found)


class EmbeddedObjects:
    """The objects of the state repository, and the client's own for what is written while the gate is shut."""

    def __init__(self, gate: Gate, host: GitObjects, own: GitObjects) -> None:
        self._gate = gate
        self.host = host
        self.own = own
        self._kept: set[Oid] = set()
        self._rooted: list[GitObjects] = []
        self._chosen: GitObjects | None = None

    def read(self, oid: Oid, *, limit: int = 1 << 24) -> tuple[str, bytes]:
        """Type and bytes, from where they are. Raises NotFound, Refused, Errored."""
        try:
            return self.host.read(oid, limit=limit)
        except NotFound:
            return self.own.read(oid, limit=limit)

    def has(self, oid: Oid) -> bool:
        """Whether the object is in one of both."""
        with contextlib.suppress(NotFound):
            if self.host.has(oid):
                return True
        return self.own.has(oid)

    def write(self, kind: str, data: bytes) -> Oid:
        """Stores an object where it will be needed. Raises NodeFull."""
        target = self._target()
        self._root(target)
        return target.write(kind, data)

    def group(self) -> AbstractContextManager[None]:
        """What is written inside is durable only when this ends."""
        return self._both()

    def tree(self, oid: Oid) -> list[Entry]:
        """The entries of a tree. Raises NotFound, Errored."""
        try:
            return self.host.tree(oid)
        except NotFound:
            return self.own.tree(oid)

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """Stores a tree."""
        return self._target().write_tree(entries)

    def keep(self, oids: Iterable[Oid]) -> bool:
        """Has the client hold what these reach, as after any fetch; False if that is better left to git.

        Files are linked, not copied, and not synced: the state repository has them.
        """
        if self.host is self.own:
            return True
        for oid in oids:
            if oid not in self._kept:
                if not self._keep(oid):
                    return False
                if len(self._kept) > _MOST_KEPT:
                    self._kept.clear()
                self._kept.add(oid)
        return True

    def _keep(self, oid: Oid) -> bool:
        self._root(self.own)
        pending, seen = [(oid, True)], {EMPTY_TREE}
        while pending:
            each, names = pending.pop()
            if each in seen or each in self._kept:
                continue
            seen.add(each)
            if len(seen) > _MOST_LINKED:
                return False
            if not names and self.host.loose_kind(each) not in ("blob", ""):
                # what a tree's entry says of it is not so: linked, it would stand for all that it reaches
                return False
            found = self.own.link(self.host, each)
            if found is None:
                return False
            if found and names:
                # files are never read here: anybody can push a huge one
                pending += closure.links(*self.host.read(each, limit=closure.LARGEST))
        return True

    def _root(self, store: GitObjects) -> None:
        """Every record names the empty tree; git knows it without having it, but its fsck does not."""
        if store not in self._rooted:
            store.write("tree", b"")
            self._rooted.append(store)

    def _target(self) -> GitObjects:
        return self._chosen or (self.host if self._gate.is_open() else self.own)

    @contextlib.contextmanager
    def _both(self) -> Iterator[None]:
        before, self._chosen = self._chosen, self._target()
        try:
            with self.own.group(), self.host.group():
                yield
        finally:
            self._chosen = before


class EmbeddedRemote:
    """The state repository at `place`; `outside` is the same one through the git program."""

    def __init__(self, gate: Gate, place: Path, objects: EmbeddedObjects, outside: GitRemote, root: str) -> None:
        self._gate = gate
        self._place = place
        self._objects = objects
        self._outside = outside
        self._root = root
        self._refs = RefFiles(place, root)

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        return self._outside.url

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The refs under `prefixes`; their objects are where they are read from. Raises RemoteAway, Refused."""
        for prefix in prefixes:
            if not prefix.startswith(self._root) or "*" in prefix:
                raise Bug(f"not a ref or prefix under {self._root!r}: {prefix[:200]!a}")
        if not self._gate.is_open():
            return self._outside.fetch(prefixes)
        found: dict[str, Oid] = {}
        for prefix in dict.fromkeys(prefixes):
            if prefix.endswith("/"):
                found |= self._refs.under(prefix)
            elif oid := self._refs.read(prefix):
                found[prefix] = oid
        return found if self._objects.keep(found.values()) else self._outside.fetch(prefixes)

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Tries each update on its own; one answer each, in order. Raises NotFound if an object is not here."""
        if len({update.ref for update in updates}) != len(updates):
            raise Bug("one push names a ref twice")
        for each in updates:
            if not each.ref.startswith(self._root) or not all(is_oid(oid) for oid in (each.old, each.new) if oid):
                raise Bug(f"not an update under {self._root!r}: {each.ref[:200]!a}")
        try:
            if not self._gate.is_open():
                return self._push_outside(updates)
            _hand_over(updates, self._objects.own, self._objects.host)
            done = self._refs.swap(updates)
            # the writer goes on knowing what it wrote, should the host go away
            self._objects.keep([one.update.new for one in done if one.update.new and one.answer is Answer.DONE])
            return done
        except OSError as error:
            answer = Answer.DENIED if error.errno in _REFUSED else Answer.UNKNOWN
            told = f"cannot write to {self.url!r}: {error.strerror}"
            return [Pushed(update, answer, told) for update in updates]

    def _push_outside(self, updates: Sequence[Update]) -> list[Pushed]:
        _hand_over(updates, self._objects.host, self._objects.own)
        try:
            return self._outside.push(updates)
        except NotFound:
            # what these records follow was read while the gate was open, and is at the host alone
            self._outside.fetch([update.ref for update in updates])
            return self._outside.push(updates)


def _hand_over(updates: Sequence[Update], source: Objects, target: Objects) -> None:
    """What was written while the gate stood otherwise goes to where it is needed now. Raises NotFound."""
    for update in updates:
        if update.new and not target.has(update.new):
            closure.copy(source, target, update.new)


def _user_configs() -> list[str]:
    """The files of git's configuration that are not the repository's."""
    found = [] if os.environ.get("GIT_CONFIG_NOSYSTEM") else [os.environ.get("GIT_CONFIG_SYSTEM") or "/etc/gitconfig"]
    if chosen := os.environ.get("GIT_CONFIG_GLOBAL"):
        return [*found, chosen]
    home = os.path.expanduser("~")
    return [*found, f"{home}/.gitconfig", f"{os.environ.get('XDG_CONFIG_HOME') or home + '/.config'}/git/config"]


def _changed(path: str) -> tuple[int, int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns
