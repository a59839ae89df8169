"""`cit-serve` behind a real sshd: judged pushes, its refusals, events, and what happens when either end breaks."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from chains import request
from hosted import Hosted, channel_of, hosted
from stage import ANNA, EVE, LAB1, LAB2
from world import ROUNDS

from citgit.git.objects import init_bare
from citgit.interfaces import Answer, Update
from citgit.model.record import Cancel, Claim, Outcome, Result
from citgit.ssh.channel import Channel, Lost
from citgit.wiring.hosts import channel_trial
from citgit.wiring.shipped import SHIPPED

__all__ = ["hosted"]

pytestmark = pytest.mark.privileged

SEED = 20261125


def servers(host: Hosted) -> list[psutil.Process]:
    """The cit-serve processes for this host."""
    return [
        process for process in psutil.process_iter(["cmdline"])
        if str(host.git_dir) in (process.info["cmdline"] or []) and "citgit.programs.serve" in process.info["cmdline"]
    ]  # fmt: skip


def test_a_life_through_the_channel(hosted: Hosted) -> None:
    """Request, claim, result of different people, each judged at the host; another client sees them; no git is used."""
    stage = hosted.stage
    anna, lab1 = (hosted.client(hosted.key()) for _ in range(2))
    ref = stage.refs.build("default", stage.entropy.build_id())
    assert anna.at(stage.refs.policy) == stage.repo
    tip = None
    for kind, by in (("request", ANNA), ("claim", LAB1), ("result", LAB1)):
        client = anna if by == ANNA else lab1
        body = {
            "request": request(),
            "claim": Claim(attempt=1),
            "result": Result(claim=tip or "", outcome=Outcome.PASSED),
        }
        data = stage.record(ref, body[kind], by)
        assert client.at(ref) == tip
        new = hosted.bring(client, data)
        assert client.push(ref, tip, new) is Answer.DONE
        stage.place(ref, data)
        tip = new
    assert anna.at(ref) == tip == hosted.at(ref)
    assert anna.objects.has(tip)
    assert channel_of(anna).is_open
    assert channel_of(lab1).is_open
    for command in (["fsck", "--strict"], ["log", "-3", "--format=%s", ref]):
        assert subprocess.run(["git", "-c", "safe.directory=*", *command], cwd=hosted.git_dir).returncode == 0


def test_forgeries_are_refused_by_name(hosted: Hosted) -> None:
    """The channel judges as the hook does: a stranger's record, another's claim, a rewind, a deletion too early."""
    stage = hosted.stage
    build = stage.request()
    ref = stage.refs.build("default", build)
    claim = stage.write(ref, Claim(attempt=1), LAB1)
    hosted.publish()
    client = hosted.client(hosted.key())
    assert client.at(ref) == claim
    root = stage.chain(ref)[0]
    forged = {
        "table: ": (ref, claim, stage.record(ref, Result(claim=claim, outcome=Outcome.PASSED), LAB2)),
        "table": (ref, claim, stage.record(ref, Cancel(), EVE)),
        "fast-forward": (ref, claim, stage.record(ref, Cancel(), ANNA, parent=root)),
        "shape": (f"{stage.refs.root}builds/default/{stage.entropy.build_id()}", None, stage.data(claim)),
        "name": (f"{stage.refs.root}builds/default/not-an-id", None, stage.record(ref, Cancel(), ANNA)),
        "delete": (ref, claim, None),
    }
    for rule, (at, old, data) in forged.items():
        new = hosted.bring(client, data) if data else None
        pushed = client.remote.push([Update(at, old, new)])[0]
        assert (pushed.answer, pushed.message[: len(rule)]) == (Answer.DENIED, rule), pushed
    assert hosted.at(ref) == claim
    assert channel_of(client).is_open


def test_keys_may_do_nothing_else(hosted: Hosted) -> None:
    """Through sshd: no shell, no other program, no other repository, no forwarding; git and the channel work."""
    ssh = [*hosted.key().split(), "-p", str(hosted.sshd.port), "citgit-anna@127.0.0.1"]
    for line in ("", "cat /etc/passwd", f"git-upload-pack '{hosted.git_dir}';id", "git-upload-pack '/etc'",
                 "cit-serve --repo / state /"):  # fmt: skip
        told = subprocess.run(
            [*ssh, *([line] if line else [])], stdin=subprocess.DEVNULL, capture_output=True, timeout=30
        )
        assert (told.returncode, told.stdout) == (3, b""), (line, told)
        assert b"cit-serve: error: " in told.stderr
    listed = subprocess.run(["git", "ls-remote", "--", hosted.url], capture_output=True,
                            env={**os.environ, "GIT_SSH_COMMAND": hosted.key()})  # fmt: skip
    assert hosted.stage.refs.policy.encode() in listed.stdout


def test_a_shell_on_the_host_needs_no_key_of_its_own(hosted: Hosted) -> None:
    """Whoever can log in with a shell gets the channel by the command alone, for what their account may read."""
    path = hosted.sshd.python().parent
    line = [*hosted.line(hosted.sshd.command)[:-1], f"PATH={path}:$PATH cit-serve state '{hosted.git_dir}'"]
    channel = Channel(line, "refs/cit/", timeout=20)
    assert channel.by_git == ""
    channel.close()
    line[-1] = f"PATH={path}:$PATH cit-serve state '{hosted.folder}/absent.git'"
    with pytest.raises(Lost, match="not a repository"):
        Channel(line, "refs/cit/", timeout=20)


def test_a_reader_s_key(hosted: Hosted) -> None:
    """It fetches and hears of changes, and pushes neither through the channel nor through git."""
    stage = hosted.stage
    client = hosted.client(hosted.key("--read"))
    ref = stage.refs.build("default", stage.entropy.build_id())
    assert client.at(stage.refs.policy) == stage.repo
    new = hosted.bring(client, stage.record(ref, request(), ANNA))
    pushed = client.remote.push([Update(ref, None, new)])[0]
    assert pushed.answer is Answer.DENIED
    assert "this key may only read" in pushed.message
    channel_of(client).close()
    channel_of(client)._not_before = time.monotonic() + 60
    pushed = client.remote.push([Update(ref, None, new)])[0]
    assert pushed.answer is Answer.DENIED
    assert "this key may only read" in pushed.message


def test_events_wake(hosted: Hosted) -> None:
    """What another client pushes, by whatever way, makes the descriptor readable long before any poll."""
    stage = hosted.stage
    client = hosted.client(hosted.key())
    remote = channel_of(client)
    assert (remote.fileno(), remote.drain()) == (-1, False)
    client.remote.fetch(["refs/cit/"])
    while remote.drain():  # what was there before the first look
        client.remote.fetch(["refs/cit/"])
    stage.request()
    (server,) = servers(hosted)
    assert any("inotify" in os.readlink(one) for one in Path(f"/proc/{server.pid}/fd").iterdir())
    hosted.publish()
    assert select.select([remote.fileno()], [], [], 20)[0]
    assert remote.drain()
    assert not remote.drain()
    assert len(client.remote.fetch(["refs/cit/builds/"])) == 1


def test_a_hook_of_the_repository_is_not_passed_by(hosted: Hosted) -> None:
    """A host that gets a hook meanwhile keeps the channel for reading; pushes go through git, which runs the hook."""
    stage = hosted.stage
    client = hosted.client(hosted.key())
    assert client.at(stage.refs.policy) == stage.repo
    hook = hosted.git_dir / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    hosted.sshd.give(hosted.git_dir, "citgit-anna")
    ref = stage.refs.build("default", stage.entropy.build_id())
    pushed = client.remote.push([Update(ref, None, hosted.bring(client, stage.record(ref, request(), ANNA)))])[0]
    assert (pushed.answer, "not today" in pushed.message) == (Answer.DENIED, True)
    assert channel_of(client).is_open


@pytest.mark.parametrize("name", ["update", "pre-receive", "post-receive"])
def test_our_own_hooks_are_done_here(hosted: Hosted, name: str) -> None:
    """A host with the hooks that citgit ships keeps the channel: it judges as they do, and starts nothing."""
    hook = hosted.git_dir / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes((SHIPPED / "hooks" / name).read_bytes())
    hook.chmod(0o755)
    hosted.sshd.give(hosted.git_dir, "citgit-anna")
    channel = Channel(hosted.line(hosted.key()), "refs/cit/", timeout=20)
    assert channel.by_git == ""
    channel.close()


def test_doctor_says_how_to_get_a_channel(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is one it says so; where there is none, what to write into which file."""
    init_bare(hosted.folder / "mine.git")
    monkeypatch.setenv("GIT_SSH_COMMAND", hosted.key())
    assert "is open to workers" in (channel_trial(hosted.folder / "mine.git", hosted.url, "refs/cit/") or "")
    monkeypatch.setenv("GIT_SSH_COMMAND", hosted.sshd.command)
    told = channel_trial(hosted.folder / "mine.git", hosted.url, "refs/cit/") or ""
    assert "not found" in told
    assert f'restrict,command="cit-serve --repo {hosted.git_dir}" KEY' in told
    assert channel_trial(hosted.folder / "mine.git", str(hosted.git_dir), "refs/cit/") is None


def test_a_killed_server(hosted: Hosted) -> None:
    """The channel breaks, git goes on at once, and the next channel opens by itself."""
    stage = hosted.stage
    client = hosted.client(hosted.key())
    remote = channel_of(client)
    assert client.at(stage.refs.policy) == stage.repo
    for process in servers(hosted):
        process.kill()
    assert select.select([remote.fileno()], [], [], 20)[0]
    assert remote.drain()
    assert not remote.is_open
    assert "the channel ended" in remote.why_not
    remote._not_before = time.monotonic() + 60
    ref = stage.refs.build("default", stage.entropy.build_id())
    assert client.push(ref, None, hosted.bring(client, stage.record(ref, request(), ANNA))) is Answer.DONE
    assert not remote.is_open
    remote._not_before = 0.0
    assert client.at(ref) == hosted.at(ref)
    assert remote.is_open
    assert servers(hosted) != []


def test_a_stopped_server(hosted: Hosted) -> None:
    """A server that hangs costs one timeout; a push to it is unknown, and git finds out."""
    stage = hosted.stage
    client = hosted.client(hosted.key(), timeout=1.5)
    channel_of(client)._timeout = 20
    assert client.at(stage.refs.policy) == stage.repo
    channel = channel_of(client)._channel
    assert channel is not None
    channel._timeout = 1.0
    channel_of(client)._git._timeout = 20  # type: ignore[attr-defined]
    stopped = servers(hosted)
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    ref = stage.refs.build("default", stage.entropy.build_id())
    new = hosted.bring(client, stage.record(ref, request(), ANNA))
    channel_of(client)._first_delay = channel_of(client)._delay = 60
    pushed = client.remote.push([Update(ref, None, new)])[0]
    assert (pushed.answer, "said nothing for 1 s" in pushed.message) == (Answer.UNKNOWN, True)
    assert client.at(ref) is None
    for process in stopped:
        process.send_signal(signal.SIGCONT)
    assert client.push(ref, None, new) is Answer.DONE


def test_channels_of_dead_clients_end(hosted: Hosted) -> None:
    """A client that is killed leaves no server behind."""
    client = hosted.client(hosted.key())
    assert client.at(hosted.stage.refs.policy) == hosted.stage.repo
    channel = channel_of(client)._channel
    assert channel is not None
    os.killpg(channel._child.pid, signal.SIGKILL)
    until = time.monotonic() + 20
    while servers(hosted) and time.monotonic() < until:
        time.sleep(0.05)
    assert servers(hosted) == []


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo cit-serve 2 7; exec sleep 9", "speaks version [2, 7], this one [1]"),
        ("echo motd; echo cit-serve 1; exec sleep 9", ""),
        ("exec sh -c nonsense", "nonsense"),
        ("yes", "something else"),
        ("printf 'cit-serve 1\\n\\377\\377\\377\\377\\377\\377\\377\\377'; exec sleep 9", "make no sense"),
    ],
)
def test_other_hosts(hosted: Hosted, script: str, why: str) -> None:
    """A host without cit-serve, with another version of it, or with something else: git does the work."""
    program = hosted.folder / "program"
    program.write_text(
        f'#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in git-*) eval "exec $SSH_ORIGINAL_COMMAND";; esac\n{script}\n'
    )
    program.chmod(0o755)
    client = hosted.client(hosted.sshd.bind(str(program)), again=60)
    channel_of(client)._timeout = 3.0
    assert client.at(hosted.stage.refs.policy) == hosted.stage.repo
    assert not channel_of(client).is_open
    assert why in channel_of(client).why_not
    assert channel_of(client)._not_before > time.monotonic() + 30


def test_cut_at_any_byte(hosted: Hosted) -> None:
    """A connection that is cut anywhere, in either direction: no answer is wrong, and the next look finds the truth."""
    stage = hosted.stage
    chance = random.Random(SEED)
    relay = hosted.folder / "relay"
    ssh = hosted.key()
    # the client's ssh behind a relay that passes on so many bytes of one direction, then cuts both
    relay.write_text(RELAY)
    for round_ in range(4 * ROUNDS):
        way, limit = chance.choice(["in", "out"]), chance.randrange(1, 3000)
        cutting = f"{sys.executable} {relay} {way} {limit} {ssh}"
        client = hosted.client(ssh, again=60)
        channel_of(client)._connection._chosen = type(channel_of(client)._connection._chosen)(command=cutting)
        told = f"seed {SEED}, round {round_}: cut {way} after {limit} bytes"
        ref = stage.refs.build("default", stage.entropy.build_id())
        new = hosted.bring(client, stage.record(ref, request(), ANNA))
        client.at(stage.refs.policy)
        answer = client.push(ref, None, new)
        found = client.at(ref)
        assert found == hosted.at(ref), told
        assert answer in (Answer.DONE, Answer.UNKNOWN), told
        assert found == new or answer is Answer.UNKNOWN, told


RELAY = """
import os, subprocess, sys, threading
way, limit, argv = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def copy(source, sink, most):
    while most != 0 and (data := os.read(source, 1 if 0 < most < 200 else 4096)):
        data = data[:most] if most > 0 else data
        os.write(sink, data)
        most -= len(data) if most > 0 else 0
    child.kill()
    os._exit(1)
threading.Thread(target=copy, args=(0, child.stdin.fileno(), limit if way == "in" else -1)).start()
copy(child.stdout.fileno(), 1, limit if way == "out" else -1)
"""


def test_race_over_channels(hosted: Hosted) -> None:
    """Three clients claim each of six builds, two by channel and one by git: one wins each, and all agree who."""
    stage = hosted.stage
    refs = [stage.refs.build("default", stage.request()) for _ in range(6)]
    roots = {ref: stage.tip(ref) for ref in refs}
    hosted.publish()
    ssh = hosted.key()
    clients = [hosted.client(ssh) for _ in range(3)]
    channel_of(clients[2])._not_before = time.monotonic() + 600
    offers = [
        {ref: hosted.bring(client, stage.record(ref, Claim(attempt=1), LAB1)) for ref in refs} for client in clients
    ]
    for client in clients:
        assert set(client.remote.fetch(["refs/cit/"])) >= set(refs)
    answers: list[dict[str, Answer]] = [{} for _ in clients]

    def claim(number: int) -> None:
        for ref in refs[number:] + refs[:number]:
            answers[number][ref] = clients[number].push(ref, roots[ref], offers[number][ref])

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ref in refs:
        told = [answer[ref] for answer in answers]
        assert sorted(one.value for one in told) == ["done", "stale", "stale"], (ref, told)
        winner = told.index(Answer.DONE)
        assert {client.at(ref) for client in clients} == {offers[winner][ref]}


def test_a_client_that_does_not_read(hosted: Hosted, tmp_path: Path) -> None:
    """Somebody who asks and asks and never reads an answer is left after a while; memory stays bounded."""
    from citgit.ssh import pipe

    class Endless:
        """A session with a lot to say."""

        is_between, ended = True, False

        def greeting(self) -> bytes:
            """More than a pipe holds."""
            return b"x" * (1 << 20)

    source, sink = os.pipe()
    began = time.monotonic()
    pipe.serve(Endless(), source, sink, idle=20, stalled=0.2)  # type: ignore[arg-type]
    assert 0.1 < time.monotonic() - began < 5
    for handle in (source, sink):
        os.close(handle)


def test_a_silent_client_is_left(hosted: Hosted) -> None:
    """The server ends a channel on which nothing is said, and says why; half a message counts less long."""
    channel = Channel(hosted.line(hosted.key("--idle 1")), "refs/cit/", timeout=20)
    assert select.select([channel.fileno()], [], [], 20)[0]
    with pytest.raises(Exception, match="nothing was heard for 1 s"):
        channel.drain()
    channel.close()
