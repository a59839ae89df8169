"""A state that was kept in the repository moves to its origin: `cit init`, run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = '[job.check]\ncommand = ["true"]\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A checkout that kept its state, with a build in it, and has an origin that knows nothing of it."""
    made = make_site(tmp_path, monkeypatch, None, CIT, "--state", ".")
    made.cit("run", "check", "--here")
    made.git("config", "--unset", "citgit.state")
    return made


def test_the_state_moves_to_the_origin(site: Site) -> None:
    """Other verbs name the way; afterwards all is as before, at the origin alone."""
    assert "'cit init' moves it there" in site.cit("policy", "invite", "ben", status=3).err
    told = site.cit("status").err
    assert f"{site.bare} has no state, and this repository has one: 'cit init' moves it there" in told
    assert f"if {site.bare} had one before, it lost it" in told
    assert "alarm" not in told, "nothing was lost"
    assert "'cit init' moves it there" in site.cit("doctor", status=1).out
    assert f"moved the state from this repository to {site.bare}: 2 refs" in site.cit("init").out
    assert site.git("for-each-ref", "refs/cit/") == ""
    told = site.cit("status")
    assert "passed" in told.out
    assert "alarm" not in told.err
    site.cit("verify", "--all")
    site.cit("run", "check", "--pool", "default")
    assert "moved" not in site.cit("init").out


def test_an_old_copy_does_not(site: Site) -> None:
    """A host that was emptied is not given back less than was seen of it."""
    older = site.git("rev-parse", "refs/cit/policy").strip()
    site.git("config", "citgit.state", ".")
    site.commit("more", team_toml=(site.top / "team.toml").read_text() + "\n[limits]\nattempts = 2\n")
    site.cit("policy", "publish")
    site.git("update-ref", "refs/cit/policy", older)
    site.git("config", "--unset", "citgit.state")
    assert "policy is gone" in site.cit("init", status=3).err
    assert site.git("for-each-ref", "refs/cit/")
