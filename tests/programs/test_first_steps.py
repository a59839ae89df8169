"""What a newcomer meets: who git says they are, command lines that are wrong, places that cannot be written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from programs.site import Site, empty_home, make_site

from citgit.programs.cit import main

CIT = '[job.check]\ncommand = ["true"]\n'


def test_the_user_of_git_is_who_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that is set for all repositories names the person, and the commit of `cit init` is theirs."""
    empty_home(monkeypatch, tmp_path)
    for key in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(key, raising=False)
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Anna M. Smith\n\temail = anna@example.org\n")
    site = Site(tmp_path / "project", tmp_path / "none")
    subprocess.run(["git", "init", "-q", "-b", "main", str(site.top)], check=True)
    site.commit("first", cit_toml=CIT)
    assert "signed by anna-m-smith" in site.cit("init").out
    assert site.git("log", "-1", "--format=%an <%ae> %s") == "Anna M. Smith <anna@example.org> Build with citgit\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A checkout that is ready."""
    with pytest.MonkeyPatch.context() as patch:
        return make_site(tmp_path_factory.mktemp("first"), patch, None, CIT)


WRONG: list[tuple[tuple[str, ...], str, str]] = [
    (("agent", "prob", "x"), "cit agent: error: no such command 'prob'", "'cit agent --help'"),
    (("status", "--jsn"), "cit status: error: no such option", "'cit status --help'"),
    (("agent", "install"), "cit agent install: error: missing argument", "[OPTIONS] [USER@]HOST[:PORT]"),
    (("log", "--first", "-1"), "cit log: error: invalid value for '--first'", "'cit log --help'"),
    (("tidy", "--days", "x"), "cit tidy: error: invalid value", "'cit tidy --help'"),
    (("run", "check", "--set", "a"), "cit run: error: not a parameter: 'a'", "--set NAME=VALUE"),
]


@pytest.mark.parametrize(("argv", "error", "hint"), [pytest.param(*one, id=" ".join(one[0])) for one in WRONG])
def test_a_command_line_that_is_wrong(site: Site, argv: tuple[str, ...], error: str, hint: str) -> None:
    """Two lines, as all errors have: which verb and what, then what to do."""
    said = site.cit(*argv, status=2)
    first, second = said.err.splitlines()
    assert first.startswith(error)
    assert second.startswith("hint: ")
    assert hint in second
    assert said.out == ""


@pytest.mark.parametrize("argv", [[], ["agent"], ["job"], ["policy"]], ids=str)
def test_without_a_verb_there_is_help(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As it is laid out, not on the line of an error."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert lines[0].startswith(" ".join(["Usage: cit", *argv]))
    assert len(lines) > 10
    assert lines[-1].strip().startswith("Example: cit ")
    assert out == ""


def test_a_verb_with_letters_in_the_wrong_order(site: Site) -> None:
    """Both that it may have meant are named."""
    assert site.cit("stauts", status=2).err.endswith("hint: did you mean 'cit stats' or 'cit status'?\n")


def test_a_place_that_cannot_be_written(site: Site) -> None:
    """It is named, with the system's word: that is no bug of the verb."""
    said = site.cit("report", "--out", "/proc/report", status=4)
    assert said.err.startswith("cit report: error: '/proc/report")
    assert "No such file or directory" in said.err
    assert "bug" not in said.err
