"""A hostile build, through the product: what it manages under each executor, and that the documentation says so."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from separate import separate
from services import Sshd, need
from world import until

from citgit.executors.bwrap import bwrap
from citgit.logs.capture import Capture
from citgit.programs.cit import main
from citgit.wiring.worker import worker_home

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
SCRIPT = Path(__file__).with_name("hostile.sh")

ATTEMPTS = {
    "read-key": "read the worker's signing key",
    "forge-result": "write a result of its own into the attempt's directory",
    "write-workspace": "write into another build's workspace",
    "kill-another": "end another build's processes",
    "use-agent": "use an ssh-agent whose socket it knows",
    "inherit-agent": "find an ssh-agent in its environment",
    "write-hook": "put a git hook into the node's mirror",
    "write-config": "change the mirror's git config",
    "poison": "leave something for the next build",
    "survive": "leave a process behind",
    "speak": "end as passed by what it prints",
}
MANAGED: dict[str, set[str]] = {
    "`process`: `self`": {
        "read-key", "write-workspace", "kill-another", "use-agent", "write-hook", "write-config", "poison",
        "forge-result",
    },
    "`bwrap`: `self`": set(),
    "`process` by a builder: `node`": set(),
    "`bwrap` by a builder: `isolated`": set(),
}  # fmt: skip


def table() -> str:
    """Attempts and executors as Markdown."""
    lines = ["| a build tries to | " + " | ".join(MANAGED) + " |", "| --- |" + " --- |" * len(MANAGED)]
    for attempt, words in ATTEMPTS.items():
        lines.append(f"| {words} | " + " | ".join("yes" if attempt in one else "no" for one in MANAGED.values()) + " |")
    return "\n".join(lines) + "\n"


def test_the_documented_outcomes_are_these() -> None:
    """Between the markers of docs/security.md; CIT_GOLDEN=write writes it."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition("<!-- hostile -->\n")
    inside, _, after = rest.partition("<!-- /hostile -->")
    if os.environ.get("CIT_GOLDEN") == "write":
        PAGE.write_text(f"{before}<!-- hostile -->\n{table()}<!-- /hostile -->{after}", "utf-8")
        return
    assert inside == table()


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    """A real ssh-agent that holds a key."""
    place = tmp_path / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "loaded")], check=True)
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    for _ in range(200):
        added = subprocess.run(
            ["ssh-add", str(tmp_path / "loaded")], env={**os.environ, "SSH_AUTH_SOCK": str(place)}, capture_output=True,
            check=False,
        )  # fmt: skip
        if added.returncode == 0:
            break
        time.sleep(0.02)
    yield place
    running.terminate()
    running.wait()


def effects(home: Path, mirrors: Path, poison: str, survivor: str, builders: Path) -> set[str]:
    """What is on the node after the build: a sandbox may let it write into places that are gone with it."""
    logins = list(builders.glob("*/.[bps]*"))
    shared = [*logins, *(path for one in logins if one.is_dir() for path in one.iterdir()), Path("/tmp", poison)]
    left = {
        "forge-result": any(b"forged" in path.read_bytes() for path in home.glob("attempts/*/result.json")),
        "write-workspace": (home / "workspaces" / "another" / "file").exists(),
        "write-hook": bool(list(mirrors.glob("*.git/hooks/post-checkout"))),
        "write-config": any(b"planted" in path.read_bytes() for path in mirrors.glob("*.git/config")),
        "poison": any(one.is_file() and b"poison" in one.read_bytes() for one in (home / "poison", *shared)),
        "survive": any(one.info["cmdline"] == ["sleep", survivor] for one in psutil.process_iter(["cmdline"])),
    }
    return {name for name, managed in left.items() if managed}


def managed(shown: dict[str, Any], log: str, left: set[str]) -> set[str]:
    """All that the build managed, by what it says, what came of it, and what it left."""
    found = {*re.findall(r"^did: (\S+)$", log, re.MULTILINE), *left}
    if shown["outcome"] != "failed" and "forge-result" not in found:
        found.add("speak")
    return found


def config(executor: str, places: dict[str, str]) -> str:
    """The jobs: the hostile one, one beside it, one after it."""
    listed = ", ".join(f"{name} = {json.dumps(value)}" for name, value in places.items())
    return (
        f'[job.hostile]\ncommand = ["sh", "hostile.sh"]\nplace.executor = "{executor}"\nenv.set = {{ {listed} }}\n'
        f'[job.victim]\ncommand = ["sh", "victim.sh"]\nplace.executor = "{executor}"\n'
        f'[job.next]\ncommand = ["sh", "-c", "ls -a"]\nplace.executor = "{executor}"\n'
    )


@pytest.fixture
def poison() -> Iterator[str]:
    """The name of what the build leaves in places for all."""
    name = f"citgit-poison-{secrets.token_hex(4)}"
    yield name
    for place in ("/tmp", "/dev/shm"):
        Path(place, name).unlink(missing_ok=True)


@pytest.fixture
def sleeps() -> tuple[str, str]:
    """For how long another build's process sleeps, and one that the hostile build leaves: no other test's does."""
    victim, survivor = (str(secrets.randbelow(10**8) + 10**8) for _ in "12")
    return victim, survivor


@pytest.mark.parametrize("executor", ["process", "bwrap"])
def test_a_hostile_build(
    executor: str,
    poison: str,
    sleeps: tuple[str, str],
    tmp_path: Path,
    socket: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Keys, results, workspaces, mirrors and agents, each attacked for real; by what is on disk afterwards."""
    probe = bwrap(Capture()).probe()
    if executor == "bwrap" and not probe.ok:
        need(f"bwrap ({probe.reason})")
    top, keys = tmp_path / "project", tmp_path / "elsewhere"
    top.mkdir()
    keys.mkdir()
    for key, value in {
        "HOME": str(tmp_path), "CITGIT_HOME": str(tmp_path / "citgit"), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "anna",
        "GIT_COMMITTER_EMAIL": "a@example.org", "SSH_AUTH_SOCK": str(socket),
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / "anna")], check=True)
    home = worker_home(str(top / ".git"), "person:anna")
    mirrors = home.parents[1] / "mirrors"
    places = {"KEY": str(keys / "anna"), "WORKER": str(home), "SOCKET": str(socket), "MIRRORS": str(mirrors)}
    victim, survivor = sleeps
    places |= {"VICTIM": victim, "SURVIVOR": survivor, "POISON": poison}
    (top / "cit.toml").write_text(config(executor, places))
    (top / "hostile.sh").write_bytes(SCRIPT.read_bytes())
    for argv in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *argv], cwd=top, check=True)
    monkeypatch.chdir(top)
    assert main(["init", "--name", "anna", "--key", str(keys / "anna")]) == 0
    with subprocess.Popen(["sleep", victim]) as another:
        status = main(["run", "hostile", "--here"])
        another.kill()
    capsys.readouterr()
    main(["show", "hostile", "--json"])
    shown = json.loads(capsys.readouterr().out)
    main(["log", "hostile"])
    left = effects(home, mirrors, poison, survivor, tmp_path / "none")
    assert managed(shown, capsys.readouterr().out, left) == MANAGED[f"`{executor}`: `self`"], shown
    assert shown["result"].get("assurance", "self") == "self"
    if executor == "bwrap":
        assert status == 1
        assert shown["reason"] == "exit status 3"
    # a hook that was planted never runs: the next build is checked out without it, into a fresh workspace
    assert main(["run", "next", "--here"]) == 0
    assert not list(mirrors.glob("*.git/hooks/*.ran"))
    assert main(["verify", "--all"]) == 0


BESIDE = """\
sleep {victim} &
touch begun
until [ -e over ]; do sleep 0.05; done
kill $! && test ! -e planted
"""


@pytest.mark.heavy
@pytest.mark.privileged
@pytest.mark.parametrize(("executor", "assurance"), [("process", "node"), ("bwrap", "isolated")])
def test_a_hostile_build_by_a_builder(
    executor: str, assurance: str, poison: str, sleeps: tuple[str, str], sshd: Sshd
) -> None:
    """The same while another builder's build runs: it reaches nothing of the worker's, of the other's, of the next."""
    with separate(sshd, "hostile") as node:
        socket, mirrors = node.home / "agent", node.home / "worker" / "mirrors"
        places = {
            "KEY": str(node.home / "lab1"), "WORKER": str(node.home / "worker"), "SOCKET": str(socket),
            "MIRRORS": str(mirrors), "VICTIM": sleeps[0], "SURVIVOR": sleeps[1], "POISON": poison,
            "ROOMS": str(node.folder / "builders"), "LOGIN": str(node.folder / "builders" / node.builders[1]),
        }  # fmt: skip
        node.commit({
            "cit.toml": config(executor, places), "victim.sh": BESIDE.format(victim=sleeps[0]),
            "hostile.sh": "until [ -e begin ]; do sleep 0.05; done\n" + SCRIPT.read_text(),
        })  # fmt: skip
        node.register()
        agent = node.start("ssh-agent", "-D", "-a", str(socket))
        victim, hostile = node.ask("victim"), node.ask("hostile")
        worker = node.start(*node.worker("--once"))
        try:

            def rooms() -> set[Path]:
                return set(node.folder.glob("builders/*/rooms/*/work"))

            begun = until("the victim", lambda: {room for room in rooms() if (room / "begun").exists()})
            (other,) = until("both", lambda: len(rooms()) == 2 and rooms() - begun)
            (other / "begin").touch()
            shown = until("its end", lambda: (found := node.show(hostile))["state"] == "final" and found)
            assert node.show(victim)["state"] == "running", "it ran all the while"
            for room in begun:
                (room / "over").touch()
            assert worker.wait(120) in (0, 1)
        finally:
            for one in (worker, agent):
                one.kill()
                one.wait()
        left = effects(node.home / "worker", mirrors, poison, sleeps[1], node.folder / "builders")
        assert managed(shown, node.log(hostile), left) == MANAGED[f"`{executor}` by a builder: `{assurance}`"], shown
        assert (shown["reason"], shown["result"]["assurance"]) == ("exit status 3", assurance)
        beside = node.show(victim)
        assert (beside["outcome"], beside["result"]["assurance"]) == ("passed", assurance), node.log(victim)
        after = node.build("next")
        assert (after["outcome"], "planted" in node.log(after["build"])) == ("passed", False)
        assert not list(mirrors.glob("*.git/hooks/*.ran"))
        node.cit("verify", "--all")
