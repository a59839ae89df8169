"""`cit-conformance` names the rule that each forgery breaks, and finds none in what real programs wrote."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from programs.site import make_site
from stage import LAB1, export
from test_forgeries import ATTACKS, Site

from citgit.flows.conformance import look, verdicts
from citgit.model.record import Progress
from citgit.programs.conformance import main

RULES = {
    "a changed byte": "signature", "replay to another build": "place", "replay to another pool": "place",
    "replay from another repository": "place", "a record grafted onto another build": "signature",
    "a record that names another parent": "parent", "a record that names another place in the chain": "parent",
    "a swapped author": "role", "an author who is not the actor": "shape", "a stranger's record": "role",
    "somebody cancels what is not theirs": "role", "an unclaimed result": "life cycle",
    "a result by another agent": "role", "a person plays agent": "role", "a key that stands twice": "shape",
    "a number that is none": "shape", "an extra header": "shape", "a second tree header": "shape",
    "a tree with files nobody names": "shape", "a merge": "parent", "a policy that nobody else knows": "policy",
    "a forged beat": "signature", "another agent's beat": "role", "an archive whose file lies": "archive",
    "an archive whose tip lies": "archive", "an archive of a build that has not ended": "archive",
    "an archive with a file too many": "archive", "an unsigned archive": "signature", "a ref of no protocol": "name",
}  # fmt: skip


def broken(site: Site) -> set[str]:
    """The rules that are broken, for a reader who sees the host for the first time."""
    repository, wrong = look(site.client())
    found = [*wrong, *(verdicts(repository) if repository else ())]
    rules = {rule for one in found for rule in (one.rule, *(r.rule for r in one.records if not r.ok)) if not one.ok}
    return rules - {""}


def test_every_forgery_has_a_rule() -> None:
    """None is left out."""
    assert set(RULES) == set(ATTACKS)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_rule_is_named(name: str) -> None:
    """Exactly the one that the forgery breaks."""
    site = Site().prepare()
    assert broken(site) == set()
    ATTACKS[name][0](site)
    site.host.objects.content["0" * 40] = ("tree", b"")  # what the second tree header names
    # the entry that an archive lies about is judged as a build too
    assert broken(site) - ({"place"} if "archive" in name else set()) == {RULES[name]}


def test_a_state_that_real_programs_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All obeys, with the right root; another root is refused, nothing at all is usage."""
    site = make_site(tmp_path, monkeypatch, capsys, '[job.check]\ncommand = ["true"]\n')
    site.cit("run", "check", "--here")
    capsys.readouterr()
    root = site.git("config", "citgit.root").strip()
    assert main([str(site.bare), "--root", root, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    types = [one["type"] for ref in found for one in ref["records"] if "/builds/" in ref["ref"]]
    assert types[:2] == ["request", "claim"]
    assert types[-1] == "result"
    assert all(ref["ok"] and one["ok"] and one["oid"] for ref in found for one in ref["records"])
    assert {ref["ref"].split("/")[2] for ref in found} >= {"builds", "policy"}
    assert main([str(site.bare), "--root", "0" * 40]) == 3
    assert "root policy" in capsys.readouterr().out
    assert main([str(site.bare), "--root", "x"]) == 2
    assert main([str(site.top), "--refs", "refs/none"]) == 2
    assert "has no policy" in capsys.readouterr().err


def test_it_is_said_of_each_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ref, the record, its type and actor, the rule, the words; and which root was trusted."""
    monkeypatch.setenv("HOME", str(tmp_path))
    site = Site().prepare()
    ATTACKS["a result by another agent"][0](site)
    forged = site.host.refs[site.running]
    site.write(site.running, Progress(claim=site.claim, phase="x"), LAB1)
    export(site, tmp_path / "host.git")
    assert main([str(tmp_path / "host.git")]) == 3
    said = capsys.readouterr().out
    assert f"BAD   {site.running}  4 records" in said
    assert f"      {forged[:12]} result of agent:lab2: role: agent:lab2 is not holder" in said
    assert said.count("BAD ") == 1
    assert "1 break a rule" in said
    assert f"root policy {site.repo}, as found" in said


PLAIN = Path(__file__).parent.parent / "data" / "executors"


def test_an_executor_is_held_to_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A good one passes; of one that tells every status as 0 the promise is named that it breaks, and how it ended."""
    bad = tmp_path / "cit-executor-rosy"
    text = (PLAIN / "cit-executor-plain").read_text()
    bad.write_text('#!/bin/sh\n"$(dirname "$0")"/plain "$@" | sed \'s/"status": *[0-9]*/"status": 0/\'\n')
    (tmp_path / "plain").write_text(text)
    for program in tmp_path.iterdir():
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{PLAIN}", prepend=":")
    assert main(["executor", "plain", "exit_0", "exit_3"]) == 0
    assert main(["executor", "rosy", "exit_0", "exit_3", "--json"]) == 1
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()[2:]]
    assert first["ok"]
    assert not second["ok"]
    assert "(3, " in second["words"]
    assert "status=0" in second["words"]
    assert main(["executor", "absent"]) == 4
    assert "no program 'cit-executor-absent' on PATH" in capsys.readouterr().err
    assert main(["executor", "plain", "no_such"]) == 2
    assert main(["executor", "../x"]) == 2
