"""The verbs that only read: over a repository with a passed, a failed, a waiting and a forged build."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from programs.site import as_anna

from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.interfaces import Update
from citgit.programs.cit import main
from citgit.programs.find import builds
from citgit.wiring.clone import open_clone

CIT = """\
[job.check]
command = ["sh", "-c", "echo hello; printf 'gone\\\\033[2J\\\\n'"]

[job.bad]
command = ["sh", "-c", "echo before; echo $PWD/x.c:3:1: error: no such thing >&2; exit 1"]

[job.big]
command = ["true"]
requires = { cpu = 4096, tools = ["no-such-tool-here"] }
"""


@dataclass(frozen=True, slots=True)
class Site:
    """The checkout, and the ids of its builds by job."""

    top: Path
    builds: dict[str, str]

    def git(self, *argv: str) -> str:
        """git in the checkout."""
        return subprocess.run(["git", "-C", str(self.top), *argv], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A checkout of anna's with one build of each job: check passed, bad failed, big waits in pool default."""
    home = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        as_anna(patch, home)
        top = home / "project"
        top.mkdir()
        made = Site(top, {})
        made.git("init", "-q", "-b", "main")
        (top / "cit.toml").write_text(CIT)
        made.git("add", "cit.toml")
        made.git("commit", "-q", "-m", "first")
        assert main(["init", "-C", str(top), "--name", "anna"]) == 0
        assert main(["run", "check", "-C", str(top), "--here"]) == 0
        assert main(["run", "bad", "-C", str(top), "--here"]) == 1
        assert main(["run", "big", "-C", str(top), "--pool", "default", "--no-follow"]) == 0
        repository = Repository(open_clone(top).state, poll(open_clone(top).state))
        made.builds.update({one.request.job: one.id for one in builds(repository) if one.request})
        yield made


def cit(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of a verb."""
    capsys.readouterr()
    status = main(argv)
    out, err = capsys.readouterr()
    return status, out, err


def documents(text: str) -> list[dict[str, Any]]:
    """The JSON documents, one per line; each must say its version."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(one["version"] == 1 for one in found)
    return found


def test_status_lists_my_builds_newest_first(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """All three builds are anna's; each line says what came of it."""
    status, out, _ = cit(capsys, "status", "-C", str(site.top), "--json")
    listed = documents(out)
    assert status == 0
    assert [(one["job"], one["outcome"] or one["state"]) for one in listed] == [
        ("big", "waiting"), ("bad", "failed"), ("check", "passed"),
    ]  # fmt: skip
    assert cit(capsys, "status", "-C", str(site.top), "-n", "1")[1].count("\n") == 1
    assert documents(cit(capsys, "status", "-C", str(site.top), "--since", "2020-01", "--json")[1]) == listed
    assert cit(capsys, "status", "-C", str(site.top), "--since", "January")[0] == 2


@pytest.mark.parametrize(("build", "wanted"), [("check", 0), ("bad@main", 1), ("HEAD", 75), ("", 75)])
def test_the_exit_status_is_that_of_the_build(
    site: Site, capsys: pytest.CaptureFixture[str], build: str, wanted: int
) -> None:
    """`cit show` and `cit status BUILD` are questions that a script can ask."""
    assert cit(capsys, "show", build, "-C", str(site.top))[0] == wanted
    if build:
        # of a commit all jobs count: one of HEAD's failed
        assert cit(capsys, "status", build, "-C", str(site.top))[0] == (1 if build == "HEAD" else wanted)


def test_a_build_that_is_not_there_is_not_found(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown and ambiguous names end with 2 and with builds to choose from."""
    common = site.builds["check"][:6]
    for text in ("nothing", "check@elsewhere", common):
        status, out, err = cit(capsys, "show", text, "-C", str(site.top))
        assert (status, out) == (2, "")
        assert site.builds["check"] in err
    assert cit(capsys, "show", site.builds["bad"][-12:], "-C", str(site.top))[0] == 1


def test_log_obeys_nothing_that_a_build_prints(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences become visible text; --grep and --times do what they say."""
    status, out, _ = cit(capsys, "log", "check", "-C", str(site.top))
    assert (status, out.splitlines()) == (0, ["hello", "gone^[[2J"])
    assert cit(capsys, "log", "check", "-C", str(site.top), "--grep", "^hel")[1] == "hello\n"
    assert "0." in cit(capsys, "log", "check", "-C", str(site.top), "--times")[1].split()[0]
    assert cit(capsys, "log", "check", "-f", "-C", str(site.top))[1] == out
    assert cit(capsys, "log", "check", "-C", str(site.top), "--grep", "(")[0] == 2


def test_log_failed_shows_the_first_error(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The place goes to people, the lines to stdout."""
    status, out, err = cit(capsys, "log", "bad", "--failed", "-C", str(site.top))
    assert status == 0
    assert "\nx.c:3:1: error: no such thing\n" in out, "as in the checkout, wherever that was"
    assert "first error at x.c:3" in err


def test_log_falls_back_on_what_the_result_kept(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the log's directory, the tail is printed, and where the whole log lies."""
    monkeypatch.setattr("citgit.programs.log_place.local_log", lambda build: None)
    _, out, err = cit(capsys, "log", "check", "-C", str(site.top))
    assert out.splitlines()[0] == "hello"
    assert "/log" in err
    assert cit(capsys, "log", "big", "-C", str(site.top))[0] == 2


def test_why_explains_each_state(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """A waiting build names the pool without agents; an ended one its record."""
    assert "no live agent in pool 'default'" in cit(capsys, "why", "big", "-C", str(site.top))[1]
    said = documents(cit(capsys, "why", "bad", "-C", str(site.top), "--json")[1])[0]["why"]
    assert said == ["ended by a result of person:anna: exit status 1", "first error: x.c:3: no such thing"]


def test_stats_tell_what_jobs_need(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Counts, rates and figures of each job, and the load of whoever built."""
    found = documents(cit(capsys, "stats", "-C", str(site.top), "--json")[1])
    jobs = {one["job"]: one for one in found if "job" in one}
    assert {name: (one["builds"], one["ended"], one["passed"]) for name, one in jobs.items()} == {
        "check": (1, 1, 1), "bad": (1, 1, 0), "big": (1, 0, 0),
    }  # fmt: skip
    assert jobs["check"]["wall_ms"]["p95"] > 0
    assert [(one["agent"], one["builds"]) for one in found if "agent" in one] == [("person:anna", 2)]
    status, out, _ = cit(capsys, "stats", "-C", str(site.top))
    assert status == 0
    assert "100 %" in out


def test_diff_compares_what_was_asked_and_what_came_of_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Outcome and command differ; a build does not differ from itself."""
    status, out, _ = cit(capsys, "diff", "check", "bad", "-C", str(site.top), "--json")
    found = documents(out)[0]["differences"]
    assert status == 1
    assert found["outcome"] == {"a": "passed", "b": "failed"}
    assert "definition.command" in found
    assert cit(capsys, "diff", "bad", "bad", "-C", str(site.top))[0] == 0


def test_job_check_prints_every_fault(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The working tree's faults end with 2; the committed revision is still good."""
    assert cit(capsys, "job", "check", "-C", str(site.top))[0] == 0
    (site.top / "cit.toml").write_text(CIT + '\n[job.worse]\ncomand = ["true"]\nlimits = { time = "soon" }\n')
    try:
        status, out, err = cit(capsys, "job", "check", "-C", str(site.top))
        assert (status, out) == (2, "")
        assert "comand" in err
        assert "soon" in err
        assert cit(capsys, "job", "check", "--ref", "HEAD", "-C", str(site.top))[0] == 0
    finally:
        (site.top / "cit.toml").write_text(CIT)


def test_job_list_and_show(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Jobs by name; an unknown one is not found."""
    listed = documents(cit(capsys, "job", "list", "-C", str(site.top), "--json")[1])
    assert [one["job"] for one in listed] == ["check", "bad", "big"]
    assert "4096" in cit(capsys, "job", "show", "big", "-C", str(site.top))[1]
    assert cit(capsys, "job", "show", "none", "-C", str(site.top))[0] == 2


def test_agents_and_completion(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """No agent is registered here; each shell gets a script that knows cit."""
    status, out, err = cit(capsys, "agent", "list", "-C", str(site.top))
    assert (status, out) == (0, "")
    assert "no agent is registered" in err
    for shell in ("zsh", "fish"):
        assert "_CIT_COMPLETE" in cit(capsys, "completion", shell)[1]


def test_verify_checks_a_range(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """From one build to another, in the order of their ids, whichever is named first."""
    check, bad, big = (site.builds[job] for job in ("check", "bad", "big"))
    for text, wanted in (
        (f"{check}..{bad}", {check, bad}),
        (f"{big}..{check}", {check, bad, big}),
        (f"{bad}..{bad}", {bad}),
    ):
        status, out, _ = cit(capsys, "verify", text, "-C", str(site.top), "--json")
        assert (status, {one["build"] for one in documents(out) if "build" in one}) == (0, wanted)


def test_verify_finds_a_record_that_was_changed(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """All is good at first; a record whose bytes were changed after signing ends with 3."""
    assert cit(capsys, "verify", "--all", "-C", str(site.top))[0] == 0
    clone = open_clone(site.top)
    ref = clone.state.refs.build("default", site.builds["big"])
    tip = clone.state.remote.fetch([ref])[ref]
    data = clone.state.objects.read(tip)[1]
    head, _, body = data.partition(b"\n\n")
    tree = head.split(b"\n")[0]
    signed = b"\n".join([tree, b"parent " + tip.encode(), *head.split(b"\n")[1:]])
    forged = clone.state.objects.write("commit", signed + b"\n\n" + body)
    clone.state.remote.push([Update(ref, tip, forged)])
    status, out, _ = cit(capsys, "verify", "big", "-C", str(site.top), "--json")
    found = documents(out)[0]
    assert (status, found["ok"]) == (3, False)
    assert found["void"][0]["oid"] == forged
    assert "signature" in found["void"][0]["fault"]
    assert cit(capsys, "verify", "check", "-C", str(site.top))[0] == 0
