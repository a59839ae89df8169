"""Threat: secrets of a job get into what is stored or published, or to builds that its owner never meant."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from programs.site import Site, make_site
from services import need

from citgit.errors import Refused
from citgit.executors.bwrap import bwrap
from citgit.flows.secrets import NodeSecrets
from citgit.logs.capture import Capture
from citgit.model.job import Env, Job
from citgit.model.record import Cause, Config, PinnedSource, Request
from citgit.nodes.secrets import read_secrets
from citgit.wiring.hosts import mirrors

VALUE = "pL4nt3d/s3cr3t+value"

TELL = r"""
import base64, os, sys, time, urllib.parse
value = os.environ["KEY"]
half = len(value) // 2
for one in (value[:half], value[half:] + "\n"):  # over two writes, and a pause in which a reader looks
    os.write(1, one.encode())
    time.sleep(0.3)
os.write(1, b"x" * (65536 - 9) + value.encode() + b"\n")  # over the end of the buffer that the pipe is read with
print("base64", base64.b64encode(b"user:" + value.encode()).decode())
print(f"tool.c:3: error: cannot use {value}", file=sys.stderr)
print(f"::group::{value}\ninside\n::endgroup::")
os.makedirs(os.environ.get("CIT_LOG", "nowhere") + "/parts/mine", exist_ok=True)
open("name", "w").write("kept")
open("x" + urllib.parse.quote(value, safe=""), "w").write("kept")
open("report.xml", "w").write(
    f'<testsuite><testcase classname="t" name="test[{value}]"><failure/></testcase>'
    f'<testcase classname="{"x" * 190}" name="{value}"><failure/></testcase></testsuite>'
)
print("by a part of its own")
print("reversed", value[::-1])
sys.exit(1)
"""

WAIT = r"""
import os, time
value = os.environ["KEY"].encode()
os.write(1, b"begin\n" + value[:9])
time.sleep(1)
os.write(1, value[9:] + b"\n")
time.sleep(1)
"""

CIT = """\
[job.tell]
command = ["/usr/bin/python3", "tell.py"]
env.secrets = ["KEY"]
keep.junit = ["report.xml"]
keep.artifacts = ["name*", "x*"]
[job.wait]
command = ["/usr/bin/python3", "wait.py"]
env.secrets = ["KEY"]
[job.plain]
command = ["env"]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A checkout whose node has a secret for its jobs."""
    site = make_site(tmp_path, monkeypatch, None, CIT)
    (site.top / "tell.py").write_text(TELL)
    (site.top / "wait.py").write_text(WAIT)
    site.commit("tell")
    site.git("push", "-q", "--no-verify", "origin", "main")
    give(site)
    return site


def give(site: Site, **more: str) -> Path:
    """Writes secrets.toml; `more` are further keys."""
    place = site.top.parent / "citgit" / "secrets.toml"
    place.parent.mkdir(exist_ok=True)
    entry = {"name": '"KEY"', "value": f'"{VALUE}"', "jobs": '["*"]', "repository": f'"{site.top}/.git"', **more}
    place.write_text("[[secret]]\n" + "".join(f"{key} = {value}\n" for key, value in entry.items()))
    place.chmod(0o600)
    return place


def holding(site: Site, *needles: str) -> list[str]:
    """The files of the node, without the workspaces and the secrets themselves, that hold one of these."""
    home = site.top.parent / "citgit"
    found = []
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink() and "workspaces" not in path.parts and path.name != "secrets.toml":
            data = path.read_bytes() + str(path.relative_to(home)).encode()
            found += [str(path) for needle in needles if needle.encode() in data]
    return found


def logs(site: Site) -> list[Path]:
    """What commands printed, as it lies in the files."""
    return list((site.top.parent / "citgit").glob("workers/*/attempts/*/log/out"))


def records(site: Site) -> str:
    """All records of the host."""
    done = subprocess.run(["git", "-C", str(site.bare), "log", "--all"], check=True, capture_output=True, text=True)
    return done.stdout


ENCODED = base64.b64encode(b"user:" + VALUE.encode()).decode()


@pytest.mark.parametrize("executor", ["process", "bwrap"])
def test_a_planted_secret_is_nowhere(site: Site, tmp_path: Path, executor: str) -> None:
    """Printed over two writes and over a buffer's end, encoded, in an error, a mark, a test and a file's name."""
    if executor == "bwrap" and not bwrap(Capture()).probe().ok:
        need("bubblewrap")
    site.commit("how", cit_toml=CIT.replace("env.secrets", f'place.executor = "{executor}"\nenv.secrets', 1))
    shown = site.cit("run", "tell", "--here", status=1)
    log = site.cit("log", "tell@main", ".").out
    assert "***\n" in log
    assert "base64" in log
    assert "tool.c:3: error: cannot use ***" in site.cit("log", "tell@main", "--failed").out
    (told,) = site.cit("show", "tell@main", "--json", status=1).documents
    assert told["result"]["tests"]["failures"][0] == "t::test[***]"
    assert told["result"]["tests"]["failed"] == 2
    assert [one["path"] for one in told["result"]["artifacts"]] == ["name"]
    site.cit("report", "--out", str(tmp_path / "report"))
    pages = "".join(path.read_text() for path in (tmp_path / "report").rglob("*.html"))
    everything = shown.out + log + json.dumps(told) + records(site) + pages
    half = VALUE[len(VALUE) // 2 :]
    assert half not in everything
    assert ENCODED[7:-4] not in everything
    assert holding(site, VALUE, ENCODED[7:-4], half) == []


def test_a_live_log_shows_neither_half(site: Site) -> None:
    """Whoever reads the file itself while the build runs sees nothing of a secret whose rest has not come yet."""
    argv = [str(Path(sys.executable).with_name("cit")), "run", "wait", "--here", "-C", str(site.top)]
    seen = set()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < end:
            seen |= {path.read_bytes() for path in logs(site)}
            time.sleep(0.02)
    assert seen <= {b"", b"begin\n", b"begin\n***\n"}
    assert b"begin\n" in seen
    assert b"begin\n***\n" in seen


def test_a_worker_that_dies_leaves_nothing_unmasked(site: Site) -> None:
    """What masks outlives it; the next worker makes the result, and nothing holds the value afterwards."""
    argv = [str(Path(sys.executable).with_name("cit")), "run", "wait", "--here", "-C", str(site.top)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 30
        while not any(path.read_bytes() for path in logs(site)) and time.monotonic() < end:
            time.sleep(0.02)
        process.kill()
    assert [path.read_bytes() for path in logs(site)] == [b"begin\n"]
    while (shown := site.cit("show", "wait@main", status=None)).status == 75 and time.monotonic() < end:
        site.cit("run", "plain", "--here")
    assert shown.status == 0
    assert site.cit("log", "wait@main").out == "begin\n***\n"
    assert holding(site, VALUE) == []


def test_a_job_that_names_none_gets_none(site: Site) -> None:
    """Nor does its output lose what only looks like one."""
    site.cit("run", "plain", "--here")
    assert VALUE not in site.cit("log", "plain@main").out
    assert "KEY=" not in site.cit("log", "plain@main").out


def test_other_branches_get_none(site: Site) -> None:
    """Neither their own config nor their code under the config of the branch that counts."""
    site.git("checkout", "-q", "-b", "evil")
    site.commit("steal", tell_py="import os; print(os.environ['KEY'][::-1])")
    for how in ((), ("--config-ref", "main")):
        said = site.cit("run", "tell", "--here", *how, status=2).err
        assert "secret KEY" in said
        assert "branch 'evil'" in said
    give(site, branches='["ev*"]')
    site.cit("run", "tell", "--here")
    assert VALUE[::-1] in site.cit("log", "tell@evil").out


def test_a_request_that_lies_about_its_branch_gets_none(site: Site) -> None:
    """A name is not enough: the commit must be there."""
    site.git("checkout", "-q", "-b", "evil")
    commit = site.commit("steal", tell_py="import os; print(os.environ['KEY'][::-1])")
    main = site.git("rev-parse", "main").strip()
    sources = mirrors(site.top.parent / "mirrors", site.top / ".git")
    own = NodeSecrets(
        lambda: read_secrets(site.top.parent / "citgit" / "secrets.toml"),
        str(site.top / ".git"),
        sources,
        lambda: "main",
    )
    job = Job(command=("x",), env=Env(secrets=("KEY",)))
    request = Request(
        job="tell", branch="main", config=Config(branch="main", commit=main), definition=job, cause=Cause(),
        sources=(PinnedSource(ref="refs/heads/main", commit=main),),
    )  # fmt: skip
    assert own.give(request) == {"KEY": VALUE}
    for lie in (
        replace(request, config=Config(branch="main", commit=commit)),
        replace(request, sources=(PinnedSource(ref="refs/heads/main", commit=commit),)),
    ):
        with pytest.raises(Refused, match="KEY"):
            own.give(lie)


def test_a_file_that_others_may_read_is_not_used(site: Site) -> None:
    """The build is not taken, and its asker reads why."""
    give(site).chmod(0o644)
    assert "others may read" in site.cit("run", "tell", "--here", status=2).err
