"""Edits the text of cit.toml and team.toml as a person would: the tables of one entry, comments and all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import tomli

from citgit.config.document import CIT, TEAM, Layout, load
from citgit.config.read import read_cit, read_team
from citgit.errors import NotFound, UsageError
from citgit.model.names import name as checked_name

_BY_HAND = "do it by hand, then check: cit job check"


def with_drain(files: Mapping[str, bytes], agent: str, *, drain: bool) -> tuple[str, bytes]:
    """The file of the team to change, and its content with the agent drained or not.

    Raises NotFound, UsageError if the text is laid out in a way that a program cannot edit, BadConfig.
    """
    team = read_team(files)
    path, start, _ = _entry(TEAM, files, "agent", agent)
    lines = files[path].decode().split("\n")
    place = load(TEAM, files).places.get(("agent", agent, "drain"))
    text = f"drain = {'true' if drain else 'false'}"
    if place:
        lines[place.line - 1] = text
    else:
        lines.insert(start + 1 if _header(lines[start]) else start, text)
    content = "\n".join(lines).encode()
    wanted = msgspec.structs.replace(team.agent[agent], drain=drain)
    if read_team({**files, path: content}).agent != {**team.agent, agent: wanted}:
        raise UsageError(f"cannot edit the table of agent {agent!r} in {path}", hint=_BY_HAND)
    return path, content


def without_agent(files: Mapping[str, bytes], agent: str) -> tuple[str, bytes | None]:
    """The file of the team to change, and its content without the agent; None: the file goes.

    Raises NotFound, UsageError if the text is laid out in a way that a program cannot edit, BadConfig.
    """
    team = read_team(files)
    path, start, end = _entry(TEAM, files, "agent", agent)
    lines = files[path].decode().split("\n")
    rest = "\n".join([*lines[:start], *lines[end:]]).strip("\n")
    content = rest.encode() + b"\n" if rest.strip() else None
    left = {**files, path: content} if content is not None else {key: files[key] for key in files if key != path}
    known = read_team({key: text for key, text in left.items() if text is not None}).agent
    if known != {key: one for key, one in team.agent.items() if key != agent}:
        raise UsageError(f"cannot take agent {agent!r} out of {path}", hint=_BY_HAND)
    return path, content


def with_job(files: Mapping[str, bytes], job: str, command: Sequence[str], push: Sequence[str]) -> tuple[str, bytes]:
    """The file of jobs to change, and its content with a new job at its end. Raises UsageError, BadConfig."""
    _is_new(files, job)
    path = next((one for one in ("cit.toml", ".cit/cit.toml") if one in files), "cit.toml")
    block = f"[job.{_key(job)}]\ncommand = {json.dumps(list(command))}\n"
    block += f"trigger.push = {json.dumps(list(push))}\n" if push else ""
    content = _joined(files.get(path, b""), block)
    read_cit({**files, path: content})
    return path, content


def with_copy(files: Mapping[str, bytes], old: str, new: str) -> tuple[str, bytes]:
    """The file of jobs to change or make, and its content with job `new`, a copy of `old`.

    Raises NotFound, UsageError if the text is laid out in a way that a program cannot copy, BadConfig.
    """
    _is_new(files, new)
    jobs = read_cit(files).job
    path, start, end = _entry(CIT, files, "job", old)
    lines = files[path].decode().split("\n")
    if path.endswith(f"/{old}.toml"):
        target, content = f"{path.rpartition('/')[0]}/{new}.toml", files[path]
    else:
        block = [_renamed(line, old, new) for line in lines[start:end]]
        target, content = path, _joined(files[path], "\n".join(block).strip("\n") + "\n")
    copied = read_cit({**files, target: content}).job
    if copied != {**jobs, new: jobs[old]}:
        raise UsageError(f"cannot copy the tables of job {old!r} in {path}", hint=_BY_HAND)
    return target, content


def _is_new(files: Mapping[str, bytes], job: str) -> None:
    checked_name("job", job)
    known = load(CIT, files).data.get("job", {})
    if job in known:
        raise UsageError(f"there is a job {job!r} already", hint=f"known jobs: {', '.join(known)}")


def _joined(before: bytes, block: str) -> bytes:
    text = before.decode().rstrip()
    return (f"{text}\n\n{block}" if text else block).encode()


def _entry(layout: Layout, files: Mapping[str, bytes], table: str, entry: str) -> tuple[str, int, int]:
    """The file of an entry, and the lines (from, until) of its tables. Raises NotFound, UsageError."""
    document = load(layout, files)
    place = document.places.get((table, entry))
    if document.broken or place is None:
        known = ", ".join(document.data.get(table, {})) or "none"
        raise NotFound(f"no {table} {entry!r} in the config", hint=f"known: {known}")
    lines = files[place.file].decode().split("\n")
    headers = list(_headers(lines))
    mine = [at for at, path in headers if path[:2] == (table, entry)]
    if not mine:
        if not any(path[:1] == (table,) for _, path in headers) and place.file != layout.main:
            return place.file, 0, len(lines)  # a file of its own, without a header
        raise UsageError(f"{table} {entry!r} has no table of its own in {place.file}", hint=_BY_HAND)
    after = next((at for at, path in headers if at > mine[-1] and path[:2] != (table, entry)), len(lines))
    while after < len(lines) and after > mine[-1] + 1 and lines[after - 1].startswith("#"):
        after -= 1  # a comment above a table belongs to it
    return place.file, mine[0], after


def _headers(lines: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    for at, line in enumerate(lines):
        if path := _header(line):
            yield at, path


def _header(line: str) -> tuple[str, ...]:
    """The table that a line opens; empty if it opens none."""
    if not line.lstrip().startswith("["):
        return ()
    try:
        found: Any = tomli.loads(line)
    except tomli.TOMLDecodeError:
        return ()
    path: list[str] = []
    while isinstance(found, dict) and found:
        (key,) = found
        path.append(key)
        found = found[key]
    return tuple(path)


def _renamed(line: str, old: str, new: str) -> str:
    if _header(line)[:2] != ("job", old):
        return line
    for written in (f'job."{old}"', f"job.'{old}'", f"job.{old}"):
        line = line.replace(written, f"job.{_key(new)}", 1) if written in line else line
        if _header(line)[:2] == ("job", new):
            break
    return line


def _key(name: str) -> str:
    return json.dumps(name) if "." in name else name
