"""Writes people into team.toml as a person would: a table at the end, or new keys in the place of the old ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import tomli

from citgit.config.document import TEAM, load
from citgit.config.read import read_team
from citgit.errors import NotFound, UsageError


def with_person(
    files: Mapping[str, bytes], name: str, key: str, roles: Sequence[str], groups: Sequence[str], age: str = ""
) -> tuple[str, bytes]:
    """The file of the team to change, and its content with the person in it. Raises BadConfig, NotFound."""
    split = next((path.rpartition("/")[0] for path in sorted(files) if "people/" in path), "")
    path = f"{split}/{name}.toml" if split else _main(files)
    text = files.get(path, b"").decode()
    block = f"[person.{_key(name)}]\nkeys = {_list([key])}\nroles = {_list(roles)}\n"
    block += f"groups = {_list(groups)}\n" if groups else ""
    block += f"age = {json.dumps(age)}\n" if age else ""
    content = (f"{text.rstrip()}\n\n{block}" if text.strip() else block).encode()
    read_team({**files, path: content})
    return path, content


def with_keys(files: Mapping[str, bytes], name: str, keys: Sequence[str]) -> tuple[str, bytes]:
    """The file that lists the person's keys, and its content with these instead.

    Raises:
        NotFound: there is no such person. UsageError: the keys do not stand where a program can replace them.
        BadConfig: the team would have faults.
    """
    place = load(TEAM, files).places.get(("person", name, "keys"))
    if place is None:
        raise NotFound(f"no person {name!r} with keys in the team", hint="write them into team.toml by hand")
    lines = files[place.file].decode().split("\n")
    start = place.line - 1
    for end in range(start + 1, len(lines) + 1):
        if _is_keys("\n".join(lines[start:end])):
            lines[start:end] = [f"keys = {_list(keys)}"]
            content = "\n".join(lines).encode()
            read_team({**files, place.file: content})
            return place.file, content
    raise UsageError(
        f"cannot replace the keys of {name!r} in {place.file} line {place.line}",
        hint=f"write there by hand: keys = {_list(keys)}",
    )


def _is_keys(text: str) -> bool:
    try:
        return list(tomli.loads(text)) == ["keys"]
    except tomli.TOMLDecodeError:
        return False


def _main(files: Mapping[str, bytes]) -> str:
    return ".cit/team.toml" if ".cit/team.toml" in files else "team.toml"


def _key(name: str) -> str:
    return json.dumps(name) if "." in name else name


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join(json.dumps(word) for word in words) + "]"
