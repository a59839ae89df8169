"""While the host is away: requests are kept signed, the person is told, the next verb that reaches it pushes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site

CIT = '[job.check]\ncommand = ["true"]\ntrigger.push = ["main"]\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A checkout whose host can go away."""
    return make_site(tmp_path, monkeypatch, capsys, CIT)


def host(site: Site) -> list[str]:
    """The builds at the host."""
    listed = ["git", "-C", str(site.bare), "for-each-ref", "--format=%(refname)", "refs/cit/builds/"]
    return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()


def test_a_request_is_kept_and_pushed_by_the_next_verb(site: Site) -> None:
    """`run` keeps it and says so, `status` shows it meanwhile, `show` pushes it once the host is back."""
    site.cit("status")
    with site.away():
        asked = site.cit("run", "check", "--pool", "default", "--json", status=75)
        assert "did not answer" in asked.err
        kept = asked.documents[0]
        assert kept["event"] == "kept"
        meanwhile = site.cit("status", "--json")
        assert [(one["build"], one["state"]) for one in meanwhile.documents] == [(kept["build"], "waiting")]
        assert "1 record (request) is kept here" in meanwhile.err
    assert host(site) == []
    shown = site.cit("show", kept["build"], status=75)
    assert f"request of {kept['build']}, kept here: pushed now" in shown.err
    assert host(site) == [f"refs/cit/builds/default/{kept['build']}"]
    assert "kept here" not in site.cit("status").err


def test_a_cancel_is_kept_behind_the_request_that_it_ends(site: Site) -> None:
    """Two records on one ref, both signed while the host was away, arrive in their order."""
    site.cit("status")
    with site.away():
        build = site.cit("run", "check", "--pool", "default", "--json", status=75).documents[0]["build"]
        assert "kept" in site.cit("cancel", build, "--why", "wrong branch", status=75).err
        assert site.cit("status", build, status=5).err.count("2 records are kept here") == 1
    told = site.cit("status", build, "--json", status=5)
    assert told.documents[0]["outcome"] == "cancelled"
    assert told.err.count("pushed now") == 2


def test_what_came_too_late_is_told(site: Site) -> None:
    """A cancel that was kept while somebody else's arrived changes nothing, and nobody is left to wonder."""
    build = site.cit("run", "check", "--pool", "default", "--json").documents[0]["build"]
    with site.away():
        site.cit("cancel", build, status=75)
        kept = site.top / ".git" / "cit-journal"
        kept.rename(site.top / ".git" / "aside")
    site.cit("pause", build)
    kept.exists() and kept.rename(site.top / ".git" / "other")
    (site.top / ".git" / "aside").rename(kept)
    assert f"cancel of {build}, kept here: came too late" in site.cit("status", build, status=75).err
    assert "kept here" not in site.cit("status").err


def test_a_hook_keeps_what_it_signs(site: Site) -> None:
    """The state host is away, the code host is not: the push goes on, the request follows with the next hook."""
    state = site.bare.with_name("state.git")
    subprocess.run(["git", "clone", "-q", "--mirror", str(site.bare), str(state)], check=True)
    site.git("config", "citgit.state", str(state))
    site.cit("status")
    other = Site(site.top, state, site.capsys)
    line = f"refs/heads/main {site.commit('second')} refs/heads/main {'0' * 40}\n"
    argv = [sys.executable, "-P", "-m", "citgit.programs.enqueue", "-C", str(site.top), "--pre-push"]

    def hook(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(argv, input=text, capture_output=True, text=True, check=False)

    with other.away():
        done = hook(line)
        assert done.returncode == 0, done.stderr
        assert "check on main: kept here until the host is back" in done.stdout
    assert host(other) == []
    assert "pushed now" in hook("").stderr
    assert len(host(other)) == 1
    assert "known" in hook(line).stdout
    assert len(host(other)) == 1


def test_a_build_here_needs_the_host(site: Site) -> None:
    """Its claim is a compare-and-swap there; nothing is signed, and the next move is named."""
    site.cit("status")
    with site.away():
        said = site.cit("run", "--here", status=75).err
    assert "hint: 'cit run --pool default' keeps a request" in said
