"""Threat: the host itself. It shows old, other or frozen refs; whoever comes back notices, and is told what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from chains import request as plain_request
from stage import BEN, LAB1, Stage, clone_of, export

from citgit.flows.audit import audit
from citgit.flows.builds import Repository
from citgit.flows.freshness import silent
from citgit.flows.poll import poll
from citgit.flows.restore import doubts
from citgit.git.program import must
from citgit.model.record import Advert, Beat, Claim, Outcome, Progress, Result, Revoked, Seen
from citgit.programs.cit import main
from citgit.wiring.shipped import install_hook


class Place:
    """A host on disk, anna's checkout, a build that lab1 holds."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage()
        self.running = self.stage.refs.build("default", self.stage.request())
        self.claim = self.stage.write(self.running, Claim(attempt=1), LAB1)
        self.host = folder / "host.git"
        export(self.stage, self.host)
        self.top = clone_of(self.stage, self.host, folder / "anna")

    def cit(self, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
        """(status, both streams) of a verb in anna's checkout."""
        export(self.stage, self.host)
        capsys.readouterr()
        status = main([argv[0], *argv[1:], "-C", str(self.top)])
        return status, "".join(capsys.readouterr())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Anna has seen the running build."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("CITGIT_HOME", str(tmp_path / "home"))
    return Place(tmp_path)


def test_a_host_restored_to_an_older_copy(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """status tells, doctor says what to do, verify ends with 3; nothing that was seen is forgotten."""
    stage = place.stage
    copy = dict(stage.host.refs)
    second = stage.request()
    stage.write(place.running, Progress(claim=place.claim, phase="x"), LAB1)
    assert "alarm" not in place.cit(capsys, "status", "--all")[1]
    stage.host.refs = copy
    status, said = place.cit(capsys, "status", "--all")
    assert (status, said.count("alarm: ")) == (0, 2)
    assert f"{stage.refs.build('default', second)!r} vanished" in said
    assert "was rewound" in said
    assert place.cit(capsys, "verify", "--all")[0] == 3
    status, said = place.cit(capsys, "doctor")
    assert (status, "restored from a backup" in said, "cit restore" in said) == (1, True, True)


def test_a_frozen_view(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A host that shows the same refs for ever while somebody holds a build: told after three missed beats."""
    stage = place.stage
    beats = stage.refs.agent("lab1", "b1")
    stage.write(beats, Advert(boot="b1", version="1", renews=(place.claim,)), LAB1)
    start = stage.clock.now()

    def told(after: int) -> list[str]:
        return silent(Repository(stage.state, poll(stage.state)), start + after)

    assert told(60) == []
    assert "agent:lab1, who holds build" in told(61)[0]
    stage.clock.advance(50)
    stage.write(beats, Beat(renews=(place.claim,)), LAB1)
    assert told(110) == []
    assert told(111)
    status, said = place.cit(capsys, "status", "--all")
    assert (status, "has said nothing for" in said) == (0, True)
    assert "ask a colleague" in place.cit(capsys, "doctor")[1]
    stage.write(place.running, Result(claim=place.claim, outcome=Outcome.PASSED), LAB1)
    assert told(1000) == [], "nobody waits for whoever has finished"


def test_two_views_of_one_host(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A host shows anna an older policy than lab1 has seen: lab1's next record betrays it, to each verb."""
    stage = place.stage
    hidden = stage.policy()
    stage.host.refs[stage.refs.policy] = stage.repo  # what anna is shown
    assert place.cit(capsys, "verify", "--all")[0] == 0, "nothing betrays it yet"
    beats = stage.refs.agent("lab1", "b1")
    stage.write(beats, Advert(boot="b1", version="1", renews=(place.claim,)), LAB1, seen=Seen(policy=hidden))
    status, said = place.cit(capsys, "status")
    assert (status, f"had seen a policy that the host does not have: {hidden[:12]}" in said) == (0, True)
    assert place.cit(capsys, "verify", "--all")[0] == 3
    status, said = place.cit(capsys, "doctor")
    assert (status, hidden[:12] in said) == (1, True)


def test_an_insider_who_lies_about_what_he_saw(place: Place) -> None:
    """One who made up an archive stops the workers, is named by the alarm, and stops nobody once he is revoked."""
    stage, month = place.stage, place.stage.refs.archive("default", "2023-11")
    ref = stage.refs.build("default", stage.entropy.build_id())
    stage.write(ref, plain_request(), BEN, seen=Seen(policy=stage.repo, archives={month: "a" * 40}))
    said = doubts(stage.state, poll(stage.state), set())
    assert said
    assert all(f"{BEN}, who wrote request" in one for one in said)
    ben = stage.actor(BEN).signer.public_key
    stage.policy(revoked=(Revoked(key=ben, why="lies"),))  # the team names him still
    assert doubts(stage.state, poll(stage.state), set()) == []


def test_an_old_beat_played_again(place: Place) -> None:
    """Heartbeats that were pushed before renew nothing: at their own ref they are a rewind, elsewhere out of place."""
    stage = place.stage
    beats = stage.refs.agent("lab1", "b1")
    first = stage.write(beats, Advert(boot="b1", version="1", renews=(place.claim,)), LAB1)
    second = stage.write(beats, Beat(renews=(place.claim,)), LAB1)
    poll(stage.state)
    stage.host.refs[beats] = first
    assert any("was rewound" in alarm for alarm in poll(stage.state).alarms)
    stage.host.refs[beats] = second
    stage.host.refs[stage.refs.agent("lab2", "b1")] = second
    reader = stage.client()
    found = {one.ref: one.fault for one in audit(Repository(reader, poll(reader)))}
    assert "ref is" in found[stage.refs.agent("lab2", "b1")]


def test_a_deleted_ref_stays_in_memory(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an archive that holds the build, its ref has vanished; with one, it has ended."""
    stage = place.stage
    place.cit(capsys, "status")
    tip = stage.host.refs.pop(place.running)
    assert "vanished" in place.cit(capsys, "status")[1]
    stage.host.refs[place.running] = tip
    stage.write(place.running, Result(claim=place.claim, outcome=Outcome.PASSED), LAB1)
    stage.fold()
    assert "vanished" not in place.cit(capsys, "status")[1]
    assert place.cit(capsys, "verify", "--all")[0] == 0


def test_doctor_finds_out_what_the_host_enforces(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Leases, deletions, the namespace; whether pushes are judged; and nothing is left behind."""
    status, said = place.cit(capsys, "doctor", "--probe")
    for words in ("takes refs below refs/cit/", "keeps leases", "lets refs be deleted", "readers alone judge"):
        assert words in said
    install_hook(place.host, "update")
    must(["config", "citgit.path", str(Path(sys.executable).parent)], git_dir=place.host, doing="set up")
    status, said = place.cit(capsys, "doctor", "--probe")
    for words in ("takes refs below refs/cit/", "lets refs be deleted", "judges pushes", "by its update hook"):
        assert words in said, said
    listed = must(["for-each-ref", "--format=%(refname)"], git_dir=place.host, doing="list").stdout.decode()
    assert sorted(listed.split()) == sorted(place.stage.host.refs)
    keeper = place.host / "hooks" / "pre-receive"  # as some forges do
    keeper.write_text("#!/bin/sh\nread -r old new ref; case $new in *[!0]*) ;; *) echo deny deletion; exit 1 ;; esac\n")
    keeper.chmod(0o755)
    status, said = place.cit(capsys, "doctor", "--probe")
    assert (status, "deleted: no" in said) == (1, True), said
