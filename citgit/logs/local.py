"""The log of an attempt on this machine: a LogSource over its directory, packed or not."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from citgit.errors import NotFound
from citgit.logs.capture import INDEX, SECTIONS, UNREADABLE, open_regular, read_about
from citgit.logs.tree import MOST, component, is_directory, ordered, part_names
from citgit.model.log import STREAMS, LogIndex, LogNode

if TYPE_CHECKING:
    from citgit.logs.packed import Packed

_FILES = ("out", "err", "times")
_MOST_OPEN = 4
_MOST_JSON = 16 << 20
_T = TypeVar("_T")


class Sections(msgspec.Struct, frozen=True, kw_only=True):
    """sections.json beside the root's streams: what the output of components marks off as parts."""

    version: int = 1
    sections: tuple[LogNode, ...] = ()


class LocalLog:
    """The log in the directory `root`. Nothing outside of it is read, and no link followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._open: OrderedDict[tuple[str, str], Packed] = OrderedDict()
        self._sections: dict[str, LogNode] | None = None

    def nodes(self) -> list[LogNode]:
        """The root and all components below it, each before its parts, oldest first. Raises NotFound."""
        found = [self.look("")]
        at = 0
        while at < len(found) and len(found) < MOST:
            parts = sorted(self._parts(found[at].path), key=lambda one: (one.started, one.path))
            at += 1
            found[at:at] = parts[: MOST - len(found)]
        return ordered([*found, *list(self._marked_off().values())[: MOST - len(found)]])

    def _parts(self, path: str) -> Iterator[LogNode]:
        """The components in the component at `path`; one that is gone by now is none."""
        with contextlib.suppress(NotFound):
            for name, place in part_names(component(self.root, path), path):
                with contextlib.suppress(NotFound):
                    yield self._node(name, place)

    def look(self, path: str) -> LogNode:
        """One component as it is now. Raises NotFound."""
        try:
            place = component(self.root, path)
        except NotFound:
            if section := self._marked_off().get(path):
                return section
            raise
        return self._node(path, place)

    def read(self, path: str, name: str, at: int, count: int) -> bytes:
        """Up to `count` bytes from byte `at` of a component's file `name`. Raises NotFound."""
        if name not in _FILES:
            raise NotFound(f"no file {name[:80]!a} in a log")
        place = component(self.root, path)
        try:
            try:
                handle = open_regular(place / name)
            except FileNotFoundError:
                return self._packed(path, name, place).read(at, count)
            try:
                return os.pread(handle, count, at)
            finally:
                os.close(handle)
        except OSError as fault:
            raise NotFound(
                f"no log in '{place}': {fault.strerror or fault}", hint="`cit show BUILD` says where its log is"
            ) from fault

    def index(self, path: str) -> LogIndex | None:
        """What is known of a finished component besides; None if nothing is."""
        return _decoded(component(self.root, path) / INDEX, LogIndex)

    def _packed(self, path: str, name: str, place: Path) -> Packed:
        from citgit.logs.packed import Packed  # only where something is packed

        found = self._open.pop((path, name), None) or Packed(open_regular(place / f"{name}.zst"))
        self._open[path, name] = found
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return found

    def _node(self, path: str, place: Path) -> LogNode:
        if not is_directory(place):
            raise NotFound(f"no log in '{place}'", hint="`cit show BUILD` says where its log is")
        about = read_about(place)
        # the sizes after the end: what is told to have ended must be whole
        out, err, times = (self._size(path, name, place) for name in _FILES)
        return LogNode(
            path=path, started=about.started, ended=about.ended, exit=about.exit, truncated=about.truncated,
            cpu_ms=about.cpu_ms, out=out, err=err, times=times,
        )  # fmt: skip

    def _size(self, path: str, name: str, place: Path) -> int:
        try:
            found = (place / name).lstat()
            return found.st_size if stat.S_ISREG(found.st_mode) else 0
        except OSError:
            pass
        try:
            return self._packed(path, name, place).size if name in STREAMS else 0
        except OSError:
            return 0

    def _marked_off(self) -> dict[str, LogNode]:
        if self._sections is None or not self._sections:
            found = _decoded(self.root / SECTIONS, Sections)
            self._sections = {one.path: one for one in found.sections if _is_section(one)} if found else {}
        return self._sections


def _is_section(one: LogNode) -> bool:
    return bool(one.stream and one.path) and one.path.isprintable() and one.begin <= one.end


def _decoded(path: Path, kind: type[_T]) -> _T | None:
    try:
        with open(open_regular(path), "rb") as file:
            return msgspec.json.decode(file.read(_MOST_JSON), type=kind)
    except UNREADABLE:
        return None
