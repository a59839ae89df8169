"""While the host is away: requests are kept signed, the person is told, the next verb that reaches it pushes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site
from services import Sshd

from citgit.wiring.clone import open_clone

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


PIPELINE = """\
[job.check]
command = ["sh", "-c", "echo built offline"]

[job.after]
command = ["true"]
after.check = {}

[job.red]
command = ["false"]
"""


def types(site: Site, build: str) -> list[str]:
    """The records of a build at the host, oldest first, as plain git has them; each signature is good for git."""
    ref = f"refs/cit/builds/here/{build}"
    oids = host_git(site, "rev-list", "--reverse", ref).split()
    for oid in oids:
        signers = site.top / ".git" / "cit-allowed-signers"
        host_git(site, "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", oid)
    return [host_git(site, "log", "-1", "--format=%s", oid).split(":")[0].split()[0] for oid in oids]


def host_git(site: Site, *argv: str) -> str:
    """git at the host."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(site.bare), *argv], check=True, capture_output=True, text=True
    )
    return done.stdout


def test_a_build_here_needs_no_host(site: Site) -> None:
    """It is asked for, claimed, built and ended while the host is away, shown meanwhile, and goes out whole later."""
    site.commit("pipeline", cit_toml=PIPELINE)
    site.cit("status")
    with site.away():
        built = site.cit("run", "after", "--here", "--json")
        said = {(one["event"], one["build"]): one["text"] for one in built.documents}
        builds = sorted({build for _, build in said})
        assert len(builds) == 2
        assert sum(event == "final" for event, _ in said) == 2
        assert "kept here, to be pushed by the next cit command" in built.err
        assert any(one["event"] == "output" and one["text"] == "built offline" for one in built.documents)
        listed = site.cit("status", "--json").documents
        assert {(one["build"], one["state"], one["outcome"]) for one in listed} == {
            (build, "final", "passed") for build in builds
        }
        first = next(one["build"] for one in listed if one["job"] == "check")
        assert "result" in site.cit("show", first).out
        assert "built offline" in site.cit("log", first).out
        assert site.cit("run", "red", "--here", status=1).err.count("kept here") >= 1
    assert host(site) == []
    told = site.cit("status", "--all", "--json")
    assert "request of" in told.err
    assert told.err.count("pushed now") >= 9
    assert len(host(site)) == 3
    for build in builds:
        assert types(site, build)[0] == "request"
        assert {"claim", "result"} <= set(types(site, build))
    assert sorted(one["outcome"] for one in told.documents) == ["failed", "passed", "passed"]
    assert site.cit("verify", "--all").status == 0
    assert "kept here" not in site.cit("status").err


def test_who_was_faster_decides(site: Site) -> None:
    """The request had got through and was cancelled meanwhile: claim and result come too late, and that is said."""
    site.cit("status")
    with site.away():
        built = site.cit("run", "check", "--here", "--json")
    build = built.documents[0]["build"]
    clone = open_clone(site.top)
    request, *rest = clone.journal.entries()
    assert (request.kind, rest[0].kind) == ("request", "claim")
    clone.journal.settle(*(one.new for one in rest))
    assert "pushed now" in site.cit("status").err
    site.cit("cancel", build)
    clone.journal.add(*rest)
    said = site.cit("status", build, status=5)
    assert said.err.count("came too late, the host has gone on without it") == len(rest)
    assert site.cit("status", build, "--json", status=5).documents[0]["outcome"] == "cancelled"


def test_over_ssh(site: Site, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, with the state behind a real sshd whose port is closed for a while."""
    with sshd.folder() as folder:
        state = folder / "state.git"
        subprocess.run(["git", "clone", "-q", "--mirror", str(site.bare), str(state)], check=True)
        sshd.give(state, "citgit-anna")
        site.git("config", "citgit.state", f"ssh://citgit-anna@127.0.0.1:{sshd.port}{state}")
        site.cit("status")
        with monkeypatch.context() as away:
            away.setenv("GIT_SSH_COMMAND", f"{sshd.command} -o Port=1")
            built = site.cit("run", "check", "--here", "--json")
            assert "the host is away" in built.err
            build = built.documents[0]["build"]
            assert site.cit("status", build, "--json").documents[0]["outcome"] == "passed"
        assert "pushed now" in site.cit("show", build).err
        at = Site(site.top, state)
        assert types(at, build)[:2] == ["request", "claim"]
        assert types(at, build)[-1] == "result"
