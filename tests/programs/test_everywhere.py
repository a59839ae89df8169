"""`cit status` over all of a person's state repositories, and what is kept of builds that were asked for here."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from programs.site import Site, make_site

from citgit.programs import everywhere
from citgit.programs.cit import main

CIT = '[job.make]\ncommand = ["true"]\n'


def test_all_states_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each host is asked; one that is away, or says nothing, is shown as remembered and delays nobody."""
    one = make_site(tmp_path, monkeypatch, capsys, CIT)
    two = Site(tmp_path / "tools", tmp_path / "tools.git", capsys)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(two.bare)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(two.top)], check=True)
    two.git("remote", "add", "origin", str(two.bare))
    two.commit("first", cit_toml=CIT.replace("make", "tool"))
    two.cit("init", "--name", "anna")
    two.git("push", "-q", "--no-verify", "origin", "main")
    one.cit("run", "make")
    two.cit("run", "tool")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    assert main(["status"]) == 0
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()] == ["tools", "project"]
    assert [line.split()[2] for line in said.out.splitlines()] == ["tool@main", "make@main"]
    assert said.err == ""
    documents = two.cit("status", "--everywhere", "--json").documents
    assert [one["checkout"] for one in documents] == [str(two.top), str(one.top)]

    with two.away():
        said = two.cit("status", "--everywhere")
        assert len(said.out.splitlines()) == 2
        assert f"{two.top}: this is what is remembered" in said.err
        two.cit("run", "tool", "-m", "for later", status=75)
        assert len(two.cit("status", "--everywhere").out.splitlines()) == 3

    monkeypatch.setattr(everywhere, "PATIENCE_S", 1.0)
    two.git("config", "citgit.state", "ssh://nowhere.example/tools.git")
    two.git("config", "core.sshCommand", "sleep 9 #")
    began = time.monotonic()
    said = one.cit("status", "--everywhere")
    assert time.monotonic() - began < 8
    assert "project" in said.out
    assert "no answer within 1 s" in said.err


def test_what_was_started_is_kept_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also a build that no host ever got; no host is asked for the list."""
    site = make_site(tmp_path, monkeypatch, capsys, CIT)
    site.cit("run", "make")
    with site.away():
        site.cit("run", "make", status=75)
        listed = site.cit("status", "--started", "--json").documents
    assert [(one["job"], one["branch"], one["answer"]) for one in listed] == [
        ("make", "main", "kept here"), ("make", "main", "asked"),
    ]  # fmt: skip
    assert listed[0]["clone"] == str(site.top)
    assert "make@main" in site.cit("status", "--started").out
    site.cit("status", "HEAD", "--started", status=2)
