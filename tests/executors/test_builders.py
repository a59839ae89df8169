"""Builders: commands of other users, by a worker that is neither theirs nor root's."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from separate import Node, separate
from services import Sshd
from world import until

from citgit.errors import UsageError
from citgit.executors.builders import Builders
from citgit.model.plan import Plan

pytestmark = pytest.mark.privileged
CIT = """\
[job.hello]
command = ["sh", "hello.sh"]
keep = { artifacts = ["out/*.txt", "out/*.link", "own/*"] }
place.executor = "process"

[job.boxed]
extends = "hello"
place.executor = "bwrap"

[job.entrusted]
command = ["sh", "tell.sh"]
place.executor = "process"
env.secrets = ["KEY"]

[job.sealed]
extends = "entrusted"
place.executor = "bwrap"

[job.slow]
command = ["sh", "slow.sh"]
place.executor = "process"
limits.time = "5 s"

[job.long]
command = ["sh", "-c", "echo begun by $(id -un); touch begun; until [ -e end ]; do sleep 0.1; done; echo over"]
place.executor = "process"
"""
HELLO = """\
echo "i am $(id -un) $USER"
git log --oneline | grep -c . || exit 9
test -z "$SSH_CONNECTION$SSH_AUTH_SOCK" || exit 8
mkdir out && echo kept > out/kept.txt && ln -s /etc/passwd out/a.link
"$CIT_TOOLS/cit-component" part -- echo in a part
[ "$CIT_JOB" = hello ] || exit 0
mv ../work ../other 2> /dev/null && exit 7
mkdir ../more 2> /dev/null && exit 6
exit 0
"""
TELL = """\
echo "told $KEY by $(id -un)"
mkdir -p ../log/parts/mine && echo "$KEY" > ../log/parts/mine/out && echo '{}' > ../log/parts/mine/component.json
cat ../secrets 2> /dev/null
exit 0
"""
SLOW = """\
trap 'echo got it; exit 1' TERM
(setsid env -i sh -c 'trap "" TERM; while :; do sleep 54321; done' > /dev/null 2>&1 < /dev/null &)
while :; do sleep 0.1; done
"""


@pytest.fixture(scope="module")
def node(sshd_server: Sshd) -> Iterator[Node]:
    """One node for all."""
    with separate(sshd_server, "builds") as made:
        made.commit({"cit.toml": CIT, "hello.sh": HELLO, "slow.sh": SLOW, "tell.sh": TELL})
        made.register()
        yield made


def test_builds_by_builders(node: Node) -> None:
    """They run as builders, in a checkout that is whole; output, parts, artifacts, assurance are in their results."""
    builds = {"node": node.ask("hello"), "isolated": node.ask("boxed")}
    told = node.run(*node.worker("--once")).stdout
    users = set()
    for assurance, build in builds.items():
        shown = node.show(build)
        assert shown["result"], (shown, told, node.cit("why", build, ok=(0, 1)))
        log = node.log(build)
        assert (shown["outcome"], shown["result"].get("assurance")) == ("passed", assurance), (shown, log)
        assert [one["path"] for one in shown["result"]["artifacts"]] == ["out/kept.txt"], (
            "links are left where they are"
        )
        assert [one["path"] for one in shown["result"]["components"]] == ["part"]
        users.add(log.partition("i am ")[2].split()[0])
    assert users <= set(node.builders)
    # what was built is closed to whoever built it
    rooms = [room for one in node.builders for room in (node.folder / "builders" / one / "rooms").glob("[0-9a-f]*")]
    assert [room.stat().st_mode & 0o777 for room in rooms] == [0o700] * len(users)


def test_secrets_by_builders(node: Node) -> None:
    """They reach the command alone, are masked, and nothing of the worker's or the room's holds them afterwards."""
    value = "pL4nt3d-s3cr3t"
    place = node.keys / "secrets.toml"
    entry = {"name": "KEY", "value": value, "repository": str(node.top / ".git")}
    lines = "".join(f'{key} = "{one}"\n' for key, one in entry.items())
    place.write_text(f'[[secret]]\njobs = ["entrusted", "sealed"]\n{lines}')
    place.chmod(0o600)
    shutil.chown(place, node.run("id", "-un").stdout.strip())
    for job in ("entrusted", "sealed"):
        shown = node.build(job)
        assert shown["outcome"] == "passed", shown
        assert node.log(shown["build"]).split()[:3] == ["told", "***", "by"]
        assert value not in json.dumps(shown)
    kept = [path for top in (node.home / "worker", node.folder / "builders") for path in top.rglob("*")]
    assert not [path for path in kept if path.is_file() and value.encode() in path.read_bytes() and path.name != "out"]
    assert not [path for path in (node.home / "worker").rglob("*") if path.is_file() and value in path.read_text("l1")]


WORDS = [
    "", "sh", "probe x", "run", "run ../../x", "run $(touch /tmp/x)", "take " + "a" * 41, "drop ..", "sweep;id",
    "idle idle", "run " + "A" * 40, "-c id", "install a b", "term\nid",
]  # fmt: skip


def test_a_login_does_nothing_else(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key that starts builds opens no shell: a closed grammar, and none of ssh's own doors."""
    monkeypatch.setenv("PATH", node.env["PATH"])
    ssh = ["ssh", "-T", "-o", "BatchMode=yes", "-o", "NoHostAuthenticationForLocalhost=yes", "--"]
    login = f"{node.builders[0]}@localhost"
    for words in WORDS:
        done = subprocess.run(
            [*ssh, f"{node.builders[0]}@localhost", words], capture_output=True, input=b"", check=False
        )
        assert (done.returncode, done.stdout) == (64, b""), (words, done)
    done = subprocess.run([*ssh[:-1], "-s", "--", login, "sftp"], capture_output=True, input=b"", check=False)
    assert done.returncode == 64, done


def test_a_builder_that_is_no_wall_is_refused(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can read our keys, whose rooms are not ours, who is not there: the probe says so, and nothing is built."""
    monkeypatch.setenv("PATH", node.env["PATH"])
    login = f"{node.builders[0]}@localhost"

    def reason(*addresses: str, private: Path = tmp_path) -> str:
        probe = Builders(addresses, tmp_path / "b", tmp_path / "a", [private], tmp_path).probe()
        assert not probe.ok
        return probe.reason

    open_key = node.folder / "open"
    open_key.write_text("a key")
    open_key.chmod(0o644)
    assert f"can read or change '{open_key}'" in reason(login, private=open_key)
    assert "are not this worker's alone" in reason(login)  # this worker is root, the rooms are anna's
    assert "did not probe" in reason("nobody-here@localhost")
    for addresses in (("-oProxyCommand=x@h",), ("b1",), ("b1@",), (login, login)):
        with pytest.raises(UsageError):
            Builders(addresses, tmp_path / "b", tmp_path / "a", [], tmp_path)


def test_a_builder_that_went_away_ends_no_worker(tmp_path: Path) -> None:
    """An attempt that another worker started, by a builder that this one was not told of or cannot reach."""
    made = Builders((), tmp_path / "b", tmp_path / "a", [], tmp_path)
    plan = Plan(
        build="", claim="c" * 40, directory=str(tmp_path), workspace=str(tmp_path), command=("true",),
        cwd=str(tmp_path), env={}, seconds=1, output=1, executor="process", network=True, builder="gone@localhost",
    )  # fmt: skip
    assert made.processes(plan) == set()
    made.term(plan)


@pytest.mark.heavy
def test_what_ignores_its_end_is_ended(node: Node) -> None:
    """A build over its time gets TERM, and has two seconds; what hides from that is gone before the end is told."""
    shown = node.build("slow")
    assert (shown["outcome"], "got it" in node.log(shown["build"])) == ("timed_out", True), shown
    left = [one for one in psutil.process_iter(["username"]) if one.info["username"] in node.builders]
    assert not [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.heavy
def test_a_worker_that_died_is_replaced(node: Node) -> None:
    """The build goes on as its builder; the next worker tells its output, its end and its assurance."""
    build = node.ask("long")
    worker = node.start(*node.worker())
    try:
        until("it to begin", lambda: list(node.folder.glob("builders/*/rooms/*/*/begun")))
        until("the host to know", lambda: node.show(build)["state"] == "running")
    finally:
        worker.kill()
        worker.wait()
    (begun,) = node.folder.glob("builders/*/rooms/*/*/begun")
    builder = begun.owner()
    begun.with_name("end").touch()
    node.run(*node.worker("--once"))
    shown = node.show(build)
    assert (shown["outcome"], shown["result"].get("assurance")) == ("passed", "node"), shown
    records = [one["record"] for one in shown["records"]]
    assert [one["type"] for one in records].count("claim") == 1, "there was no other attempt"
    assert node.log(build).splitlines() == [f"begun by {builder}", "over"]


@pytest.mark.heavy
def test_without_a_builder_nothing_is_built(node: Node) -> None:
    """The rooms are open to others: the worker takes nothing, and says why."""
    rooms = node.folder / "builders" / node.builders[0] / "rooms"
    rooms.chmod(0o755)
    try:
        build = node.ask("hello")
        node.run(*node.worker("--once", builders=node.builders[:1]), ok=(0, 1, 4))
        assert node.show(build)["state"] == "waiting"
        said = node.cit("why", build, ok=(0, 1))
        assert "are not this worker's alone" in said, said
        node.cit("cancel", build)
    finally:
        rooms.chmod(0o2710)
    assert json.loads(node.cit("show", build, "--json", ok=(5,)))["outcome"] == "cancelled"
