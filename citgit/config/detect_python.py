"""Proposals for Python projects: a fresh virtual environment, the project in it, its tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import tomli

from citgit.config.proposal import Proposal, Tree, shell

_PYTHON = ".venv/bin/python"
_TESTS = r"(.*/)?(test_[^/]*|[^/]*_test)\.py"
_GROUPS = ("tests", "test", "testing", "dev")
_REQUIREMENTS = (
    "requirements-test.txt",
    "requirements-tests.txt",
    "test-requirements.txt",
    "requirements_test.txt",
    "requirements/tests.txt",
    "requirements/test.txt",
    "tests/requirements.txt",
    "requirements-dev.txt",
    "dev-requirements.txt",
)


def python_proposals(tree: Tree) -> Iterator[Proposal]:
    """At most one proposal."""
    package = tree.first("pyproject.toml", "setup.py", "setup.cfg")
    project = _parsed(tree.text("pyproject.toml"))
    packaged = package != "" and (package != "pyproject.toml" or bool({"project", "build-system"} & project.keys()))
    tested = tree.any(_TESTS)
    if packaged and not tested and "tox.ini" not in tree.files:
        yield Proposal(
            name="python",
            command=("python3", "-m", "compileall", "-q", "."),
            why=f"There is a {package}, but no test was found, so this only looks for syntax errors.",
            requires_tools=("python3",),
        )
    elif packaged or (tested and tree.any(r"[^/]+\.py|tests?/.*")):
        yield _tests(tree, project, package if packaged else "")


def _tests(tree: Tree, project: dict[str, Any], package: str) -> Proposal:
    found, installs = _installs(tree, project, package)
    steps = [f"{_PYTHON} -m pip install -q {install}" for install in installs]
    why = f"There are tests{f' and a {package}' if package else ''}{found}."
    env = {}
    text = tree.text("pyproject.toml") + tree.text("setup.cfg") + tree.text("setup.py")
    if any(word in text for word in ("setuptools_scm", "setuptools-scm", "hatch-vcs")):
        why += " The version comes from git's tags, which a build may not have, so it is set."
        # what the tests need may want a version of this very project, so one that was released is better than none
        env["SETUPTOOLS_SCM_PRETEND_VERSION"] = _released(tree) or "0"
    return Proposal(
        name="python",
        command=shell("python3 -m venv .venv", *steps, f"{_PYTHON} -m pytest"),
        why=why,
        requires_tools=("python3",),
        env=env,
    )


def _installs(tree: Tree, project: dict[str, Any], package: str) -> tuple[str, list[str]]:
    """Where the tests' own needs are written, in words, and what pip is told one after the other."""
    here = "-e ." if package else ""
    table = project.get("project")
    extras = table.get("optional-dependencies") if isinstance(table, dict) else None
    for name in _GROUPS:
        if package and isinstance(extras, dict) and name in extras:
            return f' with the extra "{name}"', [f"-e '.[{name}]' pytest"]
    groups = project.get("dependency-groups")
    for name in _GROUPS:
        if isinstance(groups, dict) and name in groups:
            # Groups came with pip 25.1; older ones that come with Python do not know them.
            return f' with the group "{name}"', ["'pip>=25.1'", f"{here} pytest --group {name}".strip()]
    if wanted := tree.first(*_REQUIREMENTS):
        return f" and a {wanted}", [f"{here} pytest -r {wanted}".strip()]
    plain = "-r requirements.txt" if not package and "requirements.txt" in tree.files else ""
    return "", [" ".join(part for part in (here, "pytest", plain) if part)]


def _released(tree: Tree) -> str:
    """The version that a source distribution says it is; "" in a checkout."""
    found = re.search(r"^Version: (\d[\w.+!-]*)$", tree.text("PKG-INFO"), re.MULTILINE)
    return found[1] if found else ""


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except (ValueError, RecursionError):
        return {}
