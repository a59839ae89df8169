"""What a key that is bound to `cit-serve` may ask for: a closed grammar of words, read without a shell.

A command is a verb and one repository, or a verb of a node and the ids that it takes, nothing else. The repository is
looked up among those that the key may use; what the client wrote never becomes a path, an option or a variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from citgit.errors import Refused
from citgit.model.pattern import pattern


class Verb(Enum):
    """The verbs, as they are written."""

    STATE = "cit-serve state"
    UPLOAD = "git-upload-pack"
    RECEIVE = "git-receive-pack"


READS = frozenset({Verb.STATE, Verb.UPLOAD})
"""What a key may ask for that may only read."""

# As git writes it: one argument in single quotes. None of the characters that would need more are allowed.
_COMMAND = pattern(r"(?P<verb>[a-z][a-z-]*(?: [a-z][a-z-]*)?) '(?P<repository>[^'\\!\x00-\x1f\x7f]{1,4096})'", re.ASCII)
_SPELLINGS = {verb.value: verb for verb in Verb} | {"git upload-pack": Verb.UPLOAD, "git receive-pack": Verb.RECEIVE}


_CLAIM = pattern(r"[0-9a-f]{40}", re.ASCII)

NODE_VERBS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "probe": (),
    "start": (),
    "stats": (),
    "log": (_CLAIM,),
    "artifact": (_CLAIM,),
    "workspace": (_CLAIM,),
    "clean": (_CLAIM,),
    "shell": (_CLAIM,),
}
"""The verbs of a node, each with what its words must look like, one space before each. What a verb needs beside ids
is told on its stdin, in frames."""

# No quotes, so that nobody has to take any away.
# An installation that was sent to the node is not on the PATH of a session, and a key may be bound or not.
_NODE = pattern(
    r"(?:\.local/share/citgit/current/bin/)?cit-serve (?P<verb>[a-z]{1,16})(?P<words>(?: [0-9a-z-]{1,64}){0,4})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Command:
    """A verb, and the path of the repository as the key's owner configured it."""

    verb: Verb
    repository: Path


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """A verb of a node and its words, each of the form that the verb takes."""

    verb: str
    words: tuple[str, ...]


def parse_node(line: str) -> NodeCommand | None:
    """The command of a node that a client asked for; None if the line is none."""
    found = _NODE.fullmatch(line)
    takes = NODE_VERBS.get(found["verb"]) if found else None
    if found is None or takes is None:
        return None
    words = tuple(found["words"].split(" ")[1:])
    fits = len(words) == len(takes) and all(one.fullmatch(word) for one, word in zip(takes, words, strict=True))
    return NodeCommand(found["verb"], words) if fits else None


def parse(line: str, allowed: Mapping[str, Path], verbs: Iterable[Verb] = tuple(Verb)) -> Command:
    """The command that a client asked for. Raises Refused, always with the same words for what does not exist."""
    found = _COMMAND.fullmatch(line)
    verb = _SPELLINGS.get(found["verb"]) if found else None
    if found is None or verb is None:
        raise Refused("this is no command of cit-serve", hint="this key is for git and citgit alone")
    if verb not in verbs:
        raise Refused("access denied: this key may only read")
    repository = allowed.get(found["repository"])
    if repository is None:
        raise Refused("no such repository for this key")
    return Command(verb, repository)


def spellings(repositories: Iterable[Path], home: Path) -> dict[str, Path]:
    """Each way in which git clients write one of these repositories, and its path."""
    found: dict[str, Path] = {}
    for path in repositories:
        whole = str(path)
        names = {whole}
        if path.is_relative_to(home):
            inside = str(path.relative_to(home))
            names |= {inside, f"~/{inside}", f"/~/{inside}"}
        for name in names:
            for spelling in (name, name + "/", name.removesuffix(".git"), name.removesuffix("/.git")):
                found.setdefault(spelling, path)
    return found
