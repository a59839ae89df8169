"""Looks at a checkout and proposes jobs: what a newcomer would want to work at first try."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator

from citgit.config.detect_c import c_proposals
from citgit.config.detect_python import python_proposals
from citgit.config.proposal import Proposal, Tree, render_cit_toml, shell
from citgit.model.names import is_name
from citgit.model.pattern import pattern

__all__ = ["Proposal", "detect", "other_ci", "render_cit_toml"]

_OTHER_CI = pattern(
    r"\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.yml|Jenkinsfile|\.travis\.yml|\.circleci/config\.yml"
    r"|\.builds/[^/]+\.yml|\.build\.yml|appveyor\.yml|\.appveyor\.yml|azure-pipelines\.yml|\.drone\.yml"
    r"|\.woodpecker\.ya?ml|\.cirrus\.yml"
)
_PART = r".+/(GNUm|M|m)akefile(\.am|\.in){0,2}"
_NPM_PLACEHOLDER = "no test specified"


def detect(files: Iterable[str], read: Callable[[str], bytes | None]) -> list[Proposal]:
    """Jobs for the checkout whose paths are `files`, the likeliest first; `read` gives a file's content.

    Where the root has nothing to build, the folders just below it are looked at.
    """
    tree = Tree(frozenset(files), read)
    if found := list(_proposals(tree)):
        return found
    folders = sorted({path.split("/")[0] for path in tree.files if "/" in path})
    return [
        dataclasses.replace(proposal, name=_name(folder, proposal.name, index), directory=folder)
        for folder in folders
        if not folder.startswith(".") and folder.isprintable() and "\\" not in folder
        for index, proposal in enumerate(_proposals(tree.below(folder)))
    ]


def other_ci(files: Iterable[str]) -> list[str]:
    """Those of `files` that configure another CI system, sorted."""
    return sorted(path for path in files if _OTHER_CI.fullmatch(path))


def _name(folder: str, name: str, index: int) -> str:
    short = re.sub(r"[^a-z0-9_-]+", "-", folder.lower()).strip("-_")[:40]
    wanted = short if index == 0 else f"{short}-{name}"
    return wanted if is_name(wanted) else f"job-{name}"


def _proposals(tree: Tree) -> Iterator[Proposal]:
    for one in (*python_proposals(tree), *_node(tree), *_rust(tree), *_go(tree), *c_proposals(tree)):
        yield dataclasses.replace(one, split=_split(tree, one))


def _split(tree: Tree, proposal: Proposal) -> tuple[str, ...]:
    """The build systems of the command that have parts to tell apart."""
    found = []
    if "cmake" in proposal.requires_tools:
        found.append("cmake")
    elif any("./configure" in word for word in proposal.command):
        found.append("autotools")
    elif "make" in proposal.requires_tools and tree.any(_PART):
        found.append("make")
    if "npm" in proposal.requires_tools:
        found.append("npm")
    if any("-m pytest" in word for word in proposal.command):
        found.append("pytest")
    return tuple(found)


def _node(tree: Tree) -> Iterator[Proposal]:
    text = tree.text("package.json")
    script = re.search(r'"test"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    if not script or _NPM_PLACEHOLDER in script[1]:
        return
    why = 'package.json has a script "test"'
    if "yarn.lock" in tree.files:
        command, tools = shell("yarn install --frozen-lockfile", "yarn test"), ("node", "yarn")
    elif "pnpm-lock.yaml" in tree.files:
        command, tools = shell("pnpm install --frozen-lockfile", "pnpm test"), ("node", "pnpm")
    elif tree.first("package-lock.json", "npm-shrinkwrap.json"):
        command, tools = ("npm", "install-ci-test"), ("node", "npm")
        why += "; this installs what the lock file says, then tests"
    elif re.search(r'"(devD|d)ependencies"\s*:\s*\{\s*"', text):
        command, tools = ("npm", "install-test"), ("node", "npm")
        why += "; without a lock file, each build takes the newest dependencies"
    else:
        command, tools = ("npm", "test"), ("node", "npm")
    yield Proposal(name="node", command=command, why=f"{why}.", requires_tools=tools)


def _rust(tree: Tree) -> Iterator[Proposal]:
    if "Cargo.toml" in tree.files:
        options = ["--workspace"] if "[workspace]" in tree.text("Cargo.toml") else []
        options += ["--locked"] if "Cargo.lock" in tree.files else []
        command = ("cargo", "test", *options)
        yield Proposal(name="rust", command=command, why="There is a Cargo.toml.", requires_tools=("cargo",))


def _go(tree: Tree) -> Iterator[Proposal]:
    if "go.mod" in tree.files:
        command = ("go", "test", "./...")
        yield Proposal(name="go", command=command, why="There is a go.mod.", requires_tools=("go",))
