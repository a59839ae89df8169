"""Workers of one user on a node share the mirrors of sources; those of other users, and in other homes, do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs.site import Site, make_site

from citgit.wiring.clone import mirror_folder, state_dir

CIT = '[job.check]\ncommand = ["test", "-s", "big"]\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """A project with two agents of one user."""
    site = make_site(tmp_path, monkeypatch, capsys, CIT)
    for name in ("lab1", "lab2"):
        key = Path(os.environ["CITGIT_HOME"]) / "keys" / name
        key.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
        public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
        with (site.top / "team.toml").open("a") as file:
            file.write(f'\n[agent.{name}]\nkey = "{public}"\n')
    site.commit("two agents", big="x" * 10_000)
    site.git("push", "-q", "--no-verify", "origin", "main")
    site.cit("policy", "publish", "--yes")
    return site


def work(site: Site, agent: str) -> subprocess.Popen[str]:
    """A worker of its own process, which builds what waits; git tells what it received."""
    argv = [sys.executable, "-P", "-m", "citgit.programs.cit", "worker", "-C", str(site.top), "--agent", agent]
    argv += ["--once", "--own", "--no-doors"]
    trace = {"GIT_TRACE": str(site.top.parent / f"{agent}.trace")}
    return subprocess.Popen(argv, env=os.environ | trace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def received(site: Site, agent: str) -> int:
    """How often this agent's git unpacked something."""
    trace = (site.top.parent / f"{agent}.trace").read_text()
    return trace.count("git unpack-objects") + trace.count("git index-pack")


def test_the_second_fetches_nothing_that_the_first_has(site: Site) -> None:
    """Two agents, one mirror: what one brought, the other checks out of."""
    for agent in ("lab1", "lab2"):
        site.cit("run", "check", "--on", agent)
        done = work(site, agent)
        said = done.communicate(timeout=60)[0]
        assert done.returncode == 0, said
    mirrors = list((state_dir() / "mirrors").glob("*.git"))
    assert len(mirrors) == 1
    assert not list((state_dir() / "workers").glob("*/mirrors"))
    assert received(site, "lab1") > 0
    assert received(site, "lab2") == 0
    outcomes = {one["outcome"] for one in site.cit("status", "--all", "--json").documents}
    assert outcomes == {"passed"}


@pytest.mark.heavy
def test_two_at_once(site: Site) -> None:
    """Both make the mirror in the same moment: one waits for the other, and both build."""
    for agent in ("lab1", "lab2"):
        site.cit("run", "check", "--on", agent)
    both = [work(site, agent) for agent in ("lab1", "lab2")]
    for one in both:
        said = one.communicate(timeout=60)[0]
        assert one.returncode == 0, said
    least, most = sorted(received(site, agent) for agent in ("lab1", "lab2"))
    assert least == 0 < most
    assert [one["outcome"] for one in site.cit("status", "--all", "--json").documents] == ["passed", "passed"]


def test_who_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home elsewhere, a folder in which others may write, or another user's mirrors: then the worker has its own."""
    monkeypatch.setenv("CITGIT_HOME", str(tmp_path))
    home, elsewhere = tmp_path / "workers" / "agent-lab1", tmp_path / "elsewhere"
    assert mirror_folder(home) == tmp_path / "mirrors"
    assert (tmp_path / "mirrors").stat().st_mode & 0o777 == 0o700
    assert mirror_folder(elsewhere) == elsewhere / "mirrors"
    if os.geteuid() == 0:
        os.chown(tmp_path / "mirrors", 12345, -1)
        assert mirror_folder(home) == home / "mirrors"
        os.chown(tmp_path / "mirrors", 0, -1)
    tmp_path.chmod(0o777)
    assert mirror_folder(home) == home / "mirrors"
