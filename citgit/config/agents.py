"""Writes agents into team.toml as a person would: a table after those of the others, or new values in an old one."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
import tomli

from citgit.config.document import TEAM, load
from citgit.config.read import read_team
from citgit.errors import Refused, UsageError
from citgit.model import names
from citgit.model.team import Agent

_KEYS = ("key", "pools", "labels", "host", "slots", "drain", "age", "person")


def with_agent(files: Mapping[str, bytes], name: str, agent: Agent) -> tuple[str, bytes]:
    """The file of the team to change, and its content with the agent as given; the same content if it is so already.

    Raises:
        Refused: there is an agent of that name with another key. UsageError: it is no name, or the file is laid out in
        a way that a program cannot edit. BadConfig: the team would have faults.
    """
    names.name("agent", name)
    team = read_team(files)
    known = team.agent.get(name)
    if known is not None and _bare(known.key) != _bare(agent.key):
        raise Refused(
            f"there is an agent {name!r} with another key",
            hint="choose another name with --name, or take the old one out first: cit agent remove " + name,
        )
    path, content = _changed(files, name, known, agent) if known else _added(files, name, agent)
    wanted = msgspec.structs.replace(agent, key=known.key if known else agent.key)
    if read_team({**files, path: content}) != msgspec.structs.replace(team, agent={**team.agent, name: wanted}):
        raise UsageError(f"cannot write agent {name!r} into {path}", hint=f"write there: {_block(name, agent)}")
    return path, content


def _added(files: Mapping[str, bytes], name: str, agent: Agent) -> tuple[str, bytes]:
    split = next((path.rpartition("/")[0] for path in sorted(files) if "agents/" in path), "")
    path = f"{split}/{name}.toml" if split else ".cit/team.toml" if ".cit/team.toml" in files else "team.toml"
    lines = files.get(path, b"").decode().rstrip().split("\n")
    places = load(TEAM, files).places
    last = max((place.line for key, place in places.items() if key[:1] == ("agent",) and place.file == path), default=0)
    # behind the tables of the other agents: up to the next table of something else, and the comment that goes with it
    at = next((at for at in range(last, len(lines)) if lines[at].startswith("[")), len(lines)) if last else len(lines)
    while last and at > last and (lines[at - 1].startswith("#") or not lines[at - 1].strip()):
        at -= 1
    before, after = [line for line in lines[:at] if line or at > 1], lines[at:]
    block = _block(name, agent).split("\n")
    text = "\n".join(
        [*before, *([""] if any(before) else []), *block, *([""] if after and after[0].strip() else []), *after]
    )
    return path, f"{text.rstrip()}\n".encode()


def _changed(files: Mapping[str, bytes], name: str, known: Agent, wanted: Agent) -> tuple[str, bytes]:
    places = load(TEAM, files).places
    path = places[("agent", name)].file
    lines = files[path].decode().split("\n")
    new = []
    for key in _KEYS[1:]:
        if getattr(known, key) == getattr(wanted, key):
            continue
        text = f"{key} = {_value(getattr(wanted, key))}"
        place = places.get(("agent", name, key))
        if place is None:
            new.append(text)
            continue
        line = lines[place.line - 1]
        if not _is_whole(line):
            raise UsageError(f"cannot replace {key!r} of agent {name!r} in {path}", hint=f"write there: {text}")
        comment = line[line.index("#") :] if "#" in line and not _is_whole(line.partition("#")[0] + '"') else ""
        lines[place.line - 1] = f"{text}   {comment}".rstrip()
    key_line = places[("agent", name, "key")].line
    lines[key_line:key_line] = new
    return path, "\n".join(lines).encode()


def _block(name: str, agent: Agent) -> str:
    default = Agent(key="")
    lines = [f"[agent.{json.dumps(name) if '.' in name else name}]"]
    for key in _KEYS:
        value = getattr(agent, key)
        if value != getattr(default, key) or key == "pools":
            lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(json.dumps(one) for one in value) + "]"
    return json.dumps(value)


def _is_whole(line: str) -> bool:
    try:
        return bool(tomli.loads(line))
    except tomli.TOMLDecodeError:
        return False


def _bare(key: str) -> str:
    return " ".join(key.split()[:2])
