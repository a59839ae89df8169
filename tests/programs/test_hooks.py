"""Hooks: installed without overwriting; the developer's refuses a faulty config, and both ask for the same build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = '[job.check]\ncommand = ["true"]\ntrigger.push = ["main"]\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout with the hook that init installs."""
    return make_site(tmp_path, monkeypatch, capsys, CIT)


def listed(site: Site) -> list[str]:
    """The builds, by what came of them."""
    return [str(one["build"]) for one in site.cit("status", "--all", "--json").documents]


def test_a_push_asks_once_whatever_doors_notice(site: Site) -> None:
    """The developer's hook asks; the server's, installed by init in the bare repository, finds it known."""
    key = site.bare.with_name("hook-key")
    told = site.cit("init", "-C", str(site.bare), "--key", str(key)).out
    site.commit("register the hook", team_toml=(site.top / "team.toml").read_text() + told[told.index("\n[agent") :])
    site.cit("policy", "publish")
    assert "installed the post-receive hook" in told
    done = subprocess.run(
        ["git", "-C", str(site.top), "push", "origin", "main"], check=True, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    (build,) = listed(site)
    assert f"cit: check on main: queued {build}" in said
    assert f"remote: cit: check on main: known {build}" in said
    site.commit("again")
    site.git("push", "-q", "--no-verify", "origin", "main")
    (new, _) = listed(site)
    asked_by = site.cit("show", new, "--json", status=75).documents[0]["records"][0]["record"]["actor"]
    assert asked_by == "agent:server-hook"


def test_a_push_with_a_faulty_config_is_refused(site: Site) -> None:
    """Every fault is named, nothing is pushed or asked for; --no-verify pushes; no config at all is no fault."""
    site.commit("break it", cit_toml=CIT + '[job.worse]\ncomand = ["true"]\nlimits.time = "soon"\n')
    said = site.git("push", "origin", "main", status=1)
    assert "cit: push of main refused: its config has faults" in said
    assert "comand" in said
    assert "soon" in said
    assert site.git("rev-list", "--count", "origin/main..main").strip() == "1"
    assert listed(site) == []
    site.git("push", "-q", "--no-verify", "origin", "main")
    site.git("checkout", "-q", "--orphan", "pages")
    site.git("rm", "-rqf", ".")
    site.commit("no config here")
    site.git("push", "-q", "origin", "pages")


def test_a_fork_asks_for_nothing(site: Site) -> None:
    """Workers do not look into somebody's fork: a push there is checked, no build is asked for."""
    fork = site.bare.with_name("fork.git")
    subprocess.run(["git", "init", "-q", "--bare", str(fork)], check=True)
    site.commit("second")
    site.git("push", "-q", str(fork), "main")
    assert listed(site) == []


def test_hooks_of_others_are_left_alone(site: Site) -> None:
    """Neither a hook that is there nor a folder of hooks elsewhere is touched; the person is told what to call."""
    hook = site.top / ".git" / "hooks" / "pre-push"
    assert "the pre-push hook is installed" in site.cit("init").out
    hook.write_text("#!/bin/sh\nexit 0\n")
    assert "another pre-push hook: left as it is" in site.cit("init").out
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"
    site.git("config", "core.hooksPath", "tools/hooks")
    assert "hooks are in tools/hooks: left as they are" in site.cit("init").out


def test_a_worktree_shares_all_of_its_repository(site: Site) -> None:
    """A linked worktree finds the same key, state and journal, and builds its own HEAD."""
    site.git("worktree", "add", "-q", "-b", "side", str(site.top.with_name("side")))
    side = Site(site.top.with_name("side"), site.bare, site.capsys)
    assert "check on side" in side.cit("run", "check", "--here").out
    with site.away():
        side.cit("run", "check", "--pool", "default", status=75)
        assert "1 record (request) is kept here" in site.cit("status").err


def test_a_state_of_its_own_knows_where_the_code_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The state lives in one repository, the code in another: a worker polls both, and builds what was pushed."""
    state = tmp_path / "state.git"
    subprocess.run(["git", "init", "-q", "--bare", str(state)], check=True)
    site = make_site(tmp_path, monkeypatch, capsys, CIT, "--state", str(state))
    told = site.cit("worker", "--agent", "lab1", "--once", status=2).err
    site.commit("register lab1", team_toml=(site.top / "team.toml").read_text() + told[told.index("\n[agent") :])
    site.git("push", "-q", "--no-verify", "origin", "main")
    site.cit("policy", "publish")
    site.git("push", "-q", "--no-verify", "origin", "main")
    site.cit("run", "check", "--pool", "default")
    argv = ["-m", "citgit.programs.cit", "worker", "--agent", "lab1", "-C", str(site.top), "--own", "--once"]
    argv += ["--home", str(tmp_path / "lab1")]
    subprocess.run([sys.executable, "-P", *argv], check=True, capture_output=True)
    assert site.cit("status", "check", "--json").documents[0]["outcome"] == "passed"
