"""Private builds: a copy of the host tells nothing, readers read, a grant adds one, everybody else is refused."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chains import ANNA, policy, request, requested

from citgit.errors import Refused
from citgit.flows.builds import Repository
from citgit.flows.enqueue import Change, Wish, enqueue_person
from citgit.flows.poll import poll
from citgit.flows.private import conceal_request, grants, reveal
from citgit.flows.writing import follow, push, write
from citgit.model.job import Job, Keep, Visibility
from citgit.model.record import Grant
from citgit.programs.cit import main
from citgit.records.envelope import parent_of
from citgit.testing.simulation.node import COMMITS
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.world import World

PARAMETERS = [f"p{at}" for at in range(10)]
JOB = """\
[job.audit]
command = ["sh", "audit.sh"]
keep = {{ visibility = "private", readers = ["ben"], junit = ["report.xml"], artifacts = ["*.out"] }}

[job.audit.env]
set = {{ TARGET = "{{parameter.p0}}" }}

[job.audit.parameters]
{parameters}
"""
SCRIPT = """\
for value in $CIT_PARAM_P1 $CIT_PARAM_P2 $CIT_PARAM_P3; do echo "said-$value"; done
echo "file-$CIT_PARAM_P4.c:3:1: error: found-$CIT_PARAM_P5" >&2
echo x > "kept-$CIT_PARAM_P6.out"
printf '<testsuite tests="2"><testcase name="test-%s" classname="class-%s"><failure message="m"/></testcase>' \
  "$CIT_PARAM_P7" "$CIT_PARAM_P0" > report.xml
printf '<testcase name="fine"/></testsuite>' >> report.xml
exit 7
"""


@dataclass
class Site:
    """A host and checkouts; whoever speaks has their own keys."""

    home: Path
    patch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def host(self) -> Path:
        """The bare repository."""
        return self.home / "host.git"

    def cit(self, who: str, *argv: str, ok: int = 0, at: str = "") -> str:
        """A verb of somebody's; its output."""
        self.patch.setenv("CITGIT_HOME", str(self.home / f"{who}-keys"))
        self.patch.chdir(self.home / (at or who))
        self.capsys.readouterr()
        status = main(argv)
        out, err = self.capsys.readouterr()
        assert status == ok, (argv, status, out, err)
        return out + err

    def show(self, who: str, build: str) -> dict[str, Any]:
        """A build as somebody reads it."""
        found: dict[str, Any] = json.loads(self.cit(who, "show", build, "--json", ok=1))
        return found

    def everything(self) -> bytes:
        """All objects of the host, as a copy of it holds them."""
        argv = ["git", "-C", str(self.host), "cat-file", "--batch", "--batch-all-objects"]
        return subprocess.run(argv, check=True, capture_output=True).stdout


def git(*argv: str, at: Path) -> str:
    """git somewhere."""
    return subprocess.run(["git", "-C", str(at), *argv], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    """anna's project with a private job; ben may read it, eve is a colleague who may not; lab1 builds."""
    for key, value in {
        "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "anna",
        "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "anna", "GIT_COMMITTER_EMAIL": "a@example.org",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    made = Site(tmp_path, monkeypatch, capsys)
    git("init", "-q", "--bare", "-b", "main", "host.git", at=tmp_path)
    git("clone", "-q", "host.git", "anna", at=tmp_path)
    parameters = "\n".join(f'{name} = {{ type = "string", default = "none" }}' for name in PARAMETERS)
    (tmp_path / "anna" / "cit.toml").write_text(JOB.format(parameters=parameters))
    (tmp_path / "anna" / "audit.sh").write_text(SCRIPT)
    git("add", ".", at=tmp_path / "anna")
    git("commit", "-q", "-m", "first", at=tmp_path / "anna")
    made.cit("anna", "init", "--name", "anna")
    git("push", "-q", "origin", "HEAD:main", at=tmp_path / "anna")
    for name, kind in (("ben", "rsa"), ("eve", "ed25519"), ("otto", "ecdsa")):
        (tmp_path / f"{name}-keys" / "keys").mkdir(parents=True)
        key = str(tmp_path / f"{name}-keys" / "keys" / name)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", key], check=True)
        line = shlex.split(made.cit("anna", "policy", "invite", name).splitlines()[0])[1:]
        made.cit(name, *line, "--into", name, at=".")
    made.cit("anna", "policy", "accept")
    return made


def test_a_private_build(site: Site) -> None:
    """Canaries in parameters, message, output, test names, files and environment: none is on the host."""
    planted = {name: f"canary{at:02}zq" for at, name in enumerate(PARAMETERS)}
    message = "canary20zq why"
    derived = [
        *(f"said-{planted[name]}" for name in ("p1", "p2", "p3")), f"file-{planted['p4']}", f"found-{planted['p5']}",
        f"kept-{planted['p6']}", f"test-{planted['p7']}", f"class-{planted['p0']}", "canary20zq",
        "exit status 7",
    ]  # fmt: skip
    values = [word for name, value in planted.items() for word in ("--set", f"{name}={value}")]
    # an agent whose signing key cannot decrypt: the hint names the age key that was made for it
    key = site.home / "lab1"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(key)], check=True)
    worker = [sys.executable, "-m", "citgit.programs.cit", "worker", "--agent", "lab1", "--key", str(key), "--own"]
    worker += ["--no-doors", "--once", "-C", str(site.home / "anna")]
    hint = subprocess.run(worker, capture_output=True, text=True, check=False).stderr
    with open(site.home / "anna" / "team.toml", "a") as team:
        team.write("\n[agent.lab1]" + hint.partition("[agent.lab1]")[2])
    git("commit", "-q", "-am", "lab1", at=site.home / "anna")
    git("push", "-q", "origin", "main", at=site.home / "anna")
    site.cit("anna", "policy", "publish")
    told = site.cit("anna", "run", "audit", *values, "-m", message, "--pool", "default", "--no-follow", "--json")
    build = json.loads(told.splitlines()[0])["build"]
    assert "canary" not in git("log", "--all", "--format=%B", at=site.home / "anna")
    done = subprocess.run(worker, check=True, capture_output=True, text=True)
    assert "result" in done.stdout, done.stdout + done.stderr
    content = site.everything()
    assert len({*planted.values(), *derived}) == 20
    for canary in (*planted.values(), *derived):
        assert canary.encode() not in content, canary
    head = git("rev-parse", "HEAD", at=site.home / "anna").strip()
    assert head not in git("log", "--format=%B", "--glob=refs/cit/*", at=site.host)
    assert b"audit" in content  # the envelope: job, pool, actor, times
    for who in ("anna", "ben"):
        shown = site.show(who, build)
        assert shown["hidden"] is False
        assert shown["request"]["parameters"] == planted
        assert [line for line in shown["result"]["log"]["tail"] if "said" in line]
        assert f"test-{planted['p7']}" in str(shown["result"]["tests"]["failures"])
        assert shown["reason"] == "exit status 7"
        assert shown["commit"] == head
    refused = site.cit("eve", "show", build, ok=1)
    assert head[:10] not in refused + site.cit("eve", "status", "--all")
    assert "only its readers see the rest" in refused
    assert "canary" not in refused
    assert "is private" in site.cit("eve", "retry", build, ok=3)
    assert "is private" in site.cit("eve", "grant", build, "eve", ok=3)
    site.cit("anna", "report", "--out", str(site.home / "pages"))
    pages = [path.read_bytes() for path in (site.home / "pages").rglob("*") if path.is_file()]
    assert pages
    assert not [page for page in pages if b"canary" in page]
    # a grant adds eve, and otto, whose key age does not know and who has an age key for it
    site.cit("ben", "grant", build, "eve", ok=3)
    site.cit("anna", "grant", build, "eve", "otto", "--why", "they look into it")
    for who in ("eve", "otto"):
        assert site.show(who, build)["request"]["parameters"] == planted
        assert site.show(who, build)["reason"] == "exit status 7"
    assert b"canary" not in site.everything()
    assert site.cit("anna", "verify", "--all")


class Glass:
    """Hides nothing."""

    def seal(self, plain: bytes, keys: object) -> str:
        """As it is."""
        return plain.hex()

    def ready(self) -> None:
        """Always."""

    def open(self, sealed: str) -> bytes:
        """As it is."""
        return bytes.fromhex(sealed)


def test_what_is_shown_must_be_what_is_hidden() -> None:
    """A request that shows one job to the judges and hides another for the builders is refused."""
    state = World(0, PROFILES["mixed"]).reader()
    state.vault = Glass()
    job = Job(command=("make", "secret"), keep=Keep(visibility=Visibility.PRIVATE))
    plain = request(definition=job, parameters={"a": "b"})
    hidden = conceal_request(state, policy(1), ANNA, plain, "default")
    assert (hidden.definition.command, hidden.parameters) == ((), {})
    build = requested().judge()
    assert reveal(state, msgspec.structs.replace(build, request=hidden)).request == plain
    forged = msgspec.structs.replace(hidden, job="deploy")
    with pytest.raises(Refused, match="hides something else than it shows"):
        reveal(state, msgspec.structs.replace(build, request=forged))


def test_a_grant_of_a_stranger_counts_nothing() -> None:
    """Only the owner's and a maintainer's say who reads; anybody may push one, and tell lies in it."""
    world = World(0, PROFILES["mixed"])
    anna, ben = world.nodes["anna"], world.node("ben", "person:ben")
    state, stranger = world.client(anna), world.client(ben)
    wish = Wish(jobs=["check"])
    drafts = enqueue_person(
        state, anna.actor, poll(state), world.doors(), Change(url="self", branch="main", commit=COMMITS[0]), wish
    )
    push(state, anna.actor, drafts)
    snapshot = poll(stranger)
    (build,) = Repository(stranger, snapshot).active()
    for client, node, counted in ((stranger, ben, 0), (state, anna, 1), (stranger, ben, 1)):
        ref = client.refs.grant(build.id)
        tip = client.remote.fetch([ref]).get(ref)
        parent = parent_of(client.objects.read(tip)[1]) if tip else None
        body = Grant(readers=("ben",), private="7b7d")
        made = follow(client, node.actor, snapshot, body, ref=ref, build=build.id, parent=parent)
        write(client, node.actor, [made])
        assert len(grants(stranger, snapshot.policies, build)) == counted
