"""A proposed job, the checkout it was read from, and the cit.toml that proposals become."""

from __future__ import annotations

import json
import posixpath
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A job that somebody new to a repository could start with; `why` says from what it was concluded."""

    name: str
    command: tuple[str, ...]
    why: str
    requires_tools: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    directory: str = "."
    env: Mapping[str, str] = field(default_factory=dict)
    split: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """One folder of a checkout: the paths below it, and a way to read them (None: no such file)."""

    files: frozenset[str]
    read: Callable[[str], bytes | None]

    def text(self, path: str) -> str:
        """The file's text, empty if there is none; what is not UTF-8 does not matter here."""
        content = self.read(path) if path in self.files else None
        return (content or b"").decode("utf-8", "replace")

    def first(self, *paths: str) -> str:
        """The first of `paths` that exists, or nothing."""
        return next((path for path in paths if path in self.files), "")

    def any(self, pattern: str) -> bool:
        """Whether a path matches the regular expression as a whole."""
        return any(re.fullmatch(pattern, path) for path in self.files)

    def below(self, folder: str) -> Tree:
        """The sub-tree in `folder`."""
        inside = {path[len(folder) + 1 :] for path in self.files if path.startswith(f"{folder}/")}
        return Tree(frozenset(inside), lambda path: self.read(posixpath.join(folder, path)))


def shell(*steps: str) -> tuple[str, ...]:
    """A command of several steps, for projects whose build system has no single one."""
    return ("sh", "-c", " && ".join(steps))


def render_cit_toml(proposals: Sequence[Proposal], branch: str = "main", mentions: Iterable[str] = ()) -> str:
    """A cit.toml that holds `proposals`, started by pushes to `branch`; `mentions` are other CI files seen."""
    blocks = ["# What is built here, one table per job. 'cit job check' tells what is wrong with a change.\n"]
    if seen := ", ".join(mentions):
        blocks[0] += _comment(f"Left as they are, nothing in them is carried over: {seen}")
    if not proposals:
        blocks.append('# [job.check]\n# command = ["make", "check"]\n# trigger.push = ["main"]\n')
    return "\n".join([*blocks, *(_job(proposal, branch) for proposal in proposals)])


def _job(proposal: Proposal, branch: str) -> str:
    lines = [f"[job.{_key(proposal.name)}]", f"command = {_command(proposal.command)}"]
    if proposal.directory != ".":
        lines.append(f"directory = {_string(proposal.directory)}")
    if proposal.requires_tools:
        lines.append(f"requires.tools = {_array(proposal.requires_tools)}")
    if proposal.env:
        pairs = ", ".join(f"{key} = {_string(value)}" for key, value in sorted(proposal.env.items()))
        lines.append(f"env.set = {{ {pairs} }}")
    if proposal.split:
        lines.append(f"log.split = {_array(proposal.split)}  # parts of the build get logs of their own")
    lines.append(f"trigger.push = {_array([branch])}")
    if proposal.artifacts:
        lines.append(f"keep.artifacts = {_array(proposal.artifacts)}")
    return _comment(proposal.why) + "\n".join(lines) + "\n"


def _command(command: Sequence[str]) -> str:
    """Steps of a shell stand one to a line; the backslashes make TOML read them as the one line they are."""
    steps = command[-1].split(" && ")
    # TOML drops the space at the beginning of such a line.
    if tuple(command[:-1]) != ("sh", "-c") or len(steps) == 1 or any(step != step.strip() for step in steps):
        return _array(command)
    steps = [_string(step)[1:-1] for step in steps]
    return '["sh", "-c", """\\\n    ' + " && \\\n    ".join(steps) + '"""]'


def _comment(text: str) -> str:
    # Paths come from the repository: none of them may end the comment.
    clean = "".join(char if char.isprintable() else "?" for char in text)
    return "".join(f"# {line}\n" for line in textwrap.wrap(clean, 100))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _string(name)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _array(words: Iterable[str]) -> str:
    return "[" + ", ".join(map(_string, words)) + "]"
