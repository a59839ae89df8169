"""The server's hook in a real repository: what it refuses, what it says, what the client makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import need
from stage import ANNA, EVE, LAB1, LAB2, Stage, export

from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must, run
from citgit.git.remote import GitRemote
from citgit.interfaces import Answer, Pushed, Update
from citgit.model.record import Cancel, Claim, Outcome, Progress, Result
from citgit.programs.cit import main
from citgit.wiring.shipped import install_hook


class Server:
    """A bare repository with the hook, and a client's repository with a remote to it."""

    def __init__(self, folder: Path, *hooks: str) -> None:
        self.git_dir = folder / "host.git"
        init_bare(self.git_dir)
        init_bare(folder / "client.git")
        self.objects = GitObjects(folder / "client.git")
        self.remote = GitRemote(folder / "client.git", str(self.git_dir), timeout=60)
        self.stage = Stage()
        self.running = self.stage.refs.build("default", self.stage.request())
        self.claim = self.stage.write(self.running, Claim(attempt=1), LAB1)
        self.sync()
        must(["config", "citgit.path", str(Path(sys.executable).parent)], git_dir=self.git_dir, doing="set up")
        for hook in hooks:
            install_hook(self.git_dir, hook)

    def sync(self) -> None:
        """Brings the stage's refs and objects to the host around its hooks, and the objects to the client."""
        export(self.stage, self.git_dir)
        for kind, data in self.stage.host.objects.content.values():
            self.objects.write(kind, data)

    def push(self, ref: str, *datas: bytes, old: str | None = None) -> Pushed:
        """Those commits, as a client pushes them; a deletion if there are none."""
        new = None
        for data in datas:
            new = self.objects.write("commit", data)
        return self.remote.push([Update(ref, old or self.stage.tip(ref), new)])[0]

    def judge(self) -> list[Path]:
        """The sockets of judges who stay."""
        return list(self.git_dir.glob("cit-judge-*"))

    def dismiss(self) -> None:
        """Takes the sockets away, so that the judges end."""
        for path in self.judge():
            path.unlink()


@pytest.fixture(params=[("update",), ("update", "pre-receive")], ids="-".join)
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """With the update hook, alone or with pre-receive."""
    made = Server(tmp_path, *request.param)
    yield made
    made.dismiss()


def test_the_pusher_is_told_rule_and_record(server: Server) -> None:
    """Honest pushes pass, forged ones are denied with words; a judge has stayed and answers alike."""
    stage, ref = server.stage, server.running
    honest = stage.record(ref, Progress(claim=server.claim, phase="x"), LAB1)
    forged = stage.record(ref, Result(claim=server.claim, outcome=Outcome.PASSED), LAB2)
    for _ in "12":
        refused = server.push(ref, forged)
        assert refused.answer is Answer.DENIED
        oid = server.objects.write("commit", forged)[:12]
        assert refused.message == f"table: record {oid}: agent:lab2 is not holder of the claim"
    assert len(server.judge()) == 1
    assert server.push(ref, honest).answer is Answer.DONE
    stage.place(ref, honest)
    deleted = server.push(ref)
    assert (deleted.answer, "is not archived yet" in deleted.message) == (Answer.DENIED, True)
    assert server.push("refs/cit/other/x", honest).answer is Answer.DENIED


def test_one_bad_ref_does_not_stop_the_others(server: Server) -> None:
    """A worker pushes several refs at once: each is judged on its own."""
    stage = server.stage
    good, bad = stage.request(), stage.entropy.build_id()
    first, second = stage.refs.build("default", good), stage.refs.build("default", bad)
    data = stage.data(stage.host.refs.pop(first))
    forged = stage.record(second, Cancel(), EVE)
    updates = [
        Update(first, None, server.objects.write("commit", data)),
        Update(second, None, server.objects.write("commit", forged)),
    ]
    done, denied = server.remote.push(updates)
    assert (done.answer, denied.answer) == (Answer.DONE, Answer.DENIED)
    assert denied.message.startswith("shape: root is void")


def test_nobody_honest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verbs of a first day, on a host that judged from before its first policy: init, run, cancel, verify."""
    for key, value in {
        "HOME": str(tmp_path),
        "CITGIT_HOME": str(tmp_path / "home"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }.items():
        monkeypatch.setenv(key, value)
    host, top = tmp_path / "empty.git", tmp_path / "project"
    init_bare(host)
    must(["config", "citgit.path", str(Path(sys.executable).parent)], git_dir=host, doing="set up")
    for hook in ("update", "pre-receive"):
        install_hook(host, hook)
    must(["init", "-q", "-b", "main", "--", str(top)], doing="make a checkout")
    (top / "cit.toml").write_text('[job.check]\ncommand = ["true"]\n')
    must(["add", "cit.toml"], cwd=top, doing="add")
    must(["-c", "user.name=a", "-c", "user.email=a", "commit", "-q", "-m", "x"], cwd=top, doing="commit")
    assert main(["init", "-C", str(top), "--name", "anna", "--state", str(host)]) == 0
    must(["push", "-q", "--no-verify", str(host), "main"], cwd=top, doing="push")
    assert main(["run", "check", "-C", str(top), "--here"]) == 0
    assert main(["run", "check", "-C", str(top), "--no-follow", "--pool", "default"]) == 0
    assert main(["cancel", "-C", str(top)]) == 0
    assert main(["policy", "publish", "-C", str(top)]) == 0
    assert main(["verify", "--all", "-C", str(top)]) == 0
    for path in host.glob("cit-judge-*"):
        path.unlink()


def test_branches_are_left_alone(server: Server, tmp_path: Path) -> None:
    """Code is pushed, rewound and deleted as ever."""
    stage = server.stage
    tree = server.objects.write("tree", b"")
    plain = b"tree %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n" % tree.encode()
    oid = server.objects.write("commit", plain)
    for spec in (f"{oid}:refs/heads/main", f"+{stage.repo}:refs/heads/main", ":refs/heads/main"):
        assert run(["push", "-q", str(server.git_dir), spec], git_dir=tmp_path / "client.git", network=True).status == 0


def test_many_objects_arrive_as_a_pack(server: Server) -> None:
    """More than receive.unpackLimit objects stay packed in the quarantine: they are judged as well."""
    must(["config", "receive.unpackLimit", "1"], git_dir=server.git_dir, doing="set up")
    ref = server.stage.refs.build("default", server.stage.request())
    data = server.stage.data(server.stage.host.refs.pop(ref))
    assert server.push(ref, data).answer is Answer.DONE
    assert server.push(server.running, server.stage.record(server.running, Cancel(), EVE)).answer is Answer.DENIED


def test_what_was_refused_is_not_kept(tmp_path: Path) -> None:
    """With pre-receive, git drops the objects of a refused push with its quarantine."""
    server = Server(tmp_path, "update", "pre-receive")
    forged = server.stage.record(server.running, Cancel(), EVE)
    assert server.push(server.running, forged).answer is Answer.DENIED
    assert not GitObjects(server.git_dir).has(server.objects.write("commit", forged))
    server.dismiss()


def test_a_judge_who_stays_knows_what_changed(server: Server) -> None:
    """A policy that another way brought, and changed settings, count at once."""
    stage, ref = server.stage, server.running
    assert server.push(ref, stage.record(ref, Cancel(), ANNA)).answer is Answer.DONE
    other = stage.refs.build("default", stage.request())
    team = stage.policies.tip.team
    stage.policy(type(team)(person={"cara": team.person["cara"]}, agent=team.agent, pool=team.pool))
    late = stage.record(other, Cancel(), ANNA, policy=stage.repo)
    server.sync()
    denied = server.push(other, late)
    assert (denied.answer, "person:anna is not" in denied.message) == (Answer.DENIED, True)
    before = server.judge()[0].stat().st_ino
    must(["config", "citgit.hookIdle", "0"], git_dir=server.git_dir, doing="set up")
    server.push(other, late)
    for _ in range(100):
        if not server.judge():
            break
        time.sleep(0.05)
    assert server.judge() == [], before


def test_a_broken_judge_lets_nothing_in(server: Server) -> None:
    """An error is no permission: without its policy's files the host refuses, and says so."""
    for oid, (kind, _) in server.stage.host.objects.content.items():
        if kind == "blob":
            path = server.git_dir / "objects" / oid[:2] / oid[2:]
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    refused = server.push(server.running, server.stage.record(server.running, Cancel(), ANNA))
    assert refused.answer is Answer.DENIED
    assert "is damaged" in refused.message


@pytest.mark.privileged
def test_nobody_else_s_judge_is_believed() -> None:
    """Another user's socket at the place of ours is not asked: its owner is."""
    if os.geteuid() != 0 or not Path("/usr/bin/python3").exists():
        need("root and /usr/bin/python3 (another uid)")
    with tempfile.TemporaryDirectory(prefix="citgit-hook-") as name:
        server = Server(Path(name), "update")
        liar = f"""
import socket
s = socket.socket(socket.AF_UNIX); s.bind({str(server.git_dir / "liar")!r}); s.listen()
print("up", flush=True)
c, _ = s.accept(); c.recv(1 << 16); c.sendall(b"\\n"); c.close()
"""
        for path in (Path(name), server.git_dir):
            path.chmod(0o777)
        argv = ["/usr/bin/python3", "-c", liar]
        with subprocess.Popen(argv, user=65534, group=65534, stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
            (server.git_dir / "liar").rename(server.git_dir / f"cit-judge-{os.geteuid()}")
            denied = server.push(server.running, server.stage.record(server.running, Cancel(), EVE))
            process.kill()
        server.dismiss()
    assert denied.answer is Answer.DENIED
