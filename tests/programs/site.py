"""A person's checkout for tests of verbs: a made-up identity, an empty HOME, verbs run in this process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from citgit.programs.cit import main


@dataclass(frozen=True, slots=True)
class Answer:
    """How a verb ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The JSON documents, one per line; each must say its version."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(one["version"] == 1 for one in found)
        return found


@dataclass(frozen=True, slots=True)
class Site:
    """anna's checkout at `top`; its origin, a bare repository, at `bare`."""

    top: Path
    bare: Path
    capsys: pytest.CaptureFixture[str] | None = None

    def git(self, *argv: str, status: int = 0) -> str:
        """git in the checkout; what it said."""
        done = subprocess.run(["git", "-C", str(self.top), *argv], check=False, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done.stdout if not status else done.stderr

    def commit(self, message: str, **files: str) -> str:
        """Writes files (`cit_toml` is cit.toml), commits everything; the commit."""
        for name, text in files.items():
            (self.top / name.replace("_", ".")).write_text(text)
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def cit(self, *argv: str, status: int | None = 0) -> Answer:
        """A verb in the checkout (unless -C names another), which must end with `status` (None: with any)."""
        where = argv.index("--") if "--" in argv else len(argv)
        here = () if "-C" in argv else ("-C", str(self.top))
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            ended = main([*argv[:where], *here, *argv[where:]])
        said = Answer(ended, out.getvalue(), err.getvalue())
        assert status is None or ended == status, (argv, said)
        return said

    @contextmanager
    def away(self) -> Iterator[None]:
        """The host is away meanwhile."""
        gone = self.bare.with_name("gone")
        self.bare.rename(gone)
        try:
            yield
        finally:
            gone.rename(self.bare)


def empty_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    """A HOME without settings of git or citgit, and none of the machine's."""
    for key, value in {"HOME": home, "CITGIT_HOME": home / "citgit", "GIT_CONFIG_NOSYSTEM": "1"}.items():
        patch.setenv(key, str(value))


def as_anna(patch: pytest.MonkeyPatch, home: Path) -> None:
    """An empty HOME, and a made-up person."""
    empty_home(patch, home)
    for who in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{who}_NAME", "anna")
        patch.setenv(f"GIT_{who}_EMAIL", "anna@example.org")


def make_site(
    home: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str] | None, cit_toml: str, *init: str
) -> Site:
    """A checkout whose one commit holds cit.toml, pushed to a bare origin that keeps the state, made ready by init."""
    as_anna(patch, home)
    site = Site(home / "project", home / "project.git", capsys)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(site.bare)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(site.top)], check=True)
    site.git("remote", "add", "origin", str(site.bare))
    site.commit("first", cit_toml=cit_toml)
    site.cit("init", "--name", "anna", *init)
    site.git("push", "-q", "--no-verify", "origin", "main")  # the hook of init would ask for builds
    return site
