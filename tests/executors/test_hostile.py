"""A hostile build, through the product: what it manages under each executor, and that the documentation says so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from services import need

from citgit.executors.bwrap import bwrap
from citgit.logs.capture import Capture
from citgit.programs.cit import main
from citgit.wiring.worker import worker_home

PAGE = Path(__file__).parents[2] / "docs" / "executors.md"
SCRIPT = Path(__file__).with_name("hostile.sh")

ATTEMPTS = {
    "read-key": "read the worker's signing key",
    "forge-result": "write a result of its own into the attempt's directory",
    "write-workspace": "write into another build's workspace",
    "use-agent": "use an ssh-agent whose socket it knows",
    "inherit-agent": "find an ssh-agent in its environment",
    "write-hook": "put a git hook into the node's mirror",
    "write-config": "change the mirror's git config",
    "poison": "leave something for the next build",
    "survive": "leave a process behind",
    "speak": "end as passed by what it prints",
}
MANAGED = {
    "process": {"read-key", "write-workspace", "use-agent", "write-hook", "write-config", "poison", "forge-result"},
    "bwrap": set(),
}


def table() -> str:
    """Attempts and executors as Markdown."""
    lines = ["| a build tries to | " + " | ".join(f"`{name}`" for name in MANAGED) + " |", "| --- |" + " --- |" * 2]
    for attempt, words in ATTEMPTS.items():
        lines.append(f"| {words} | " + " | ".join("yes" if attempt in one else "no" for one in MANAGED.values()) + " |")
    return "\n".join(lines) + "\n"


def test_the_documented_outcomes_are_these() -> None:
    """Between the markers of docs/executors.md; CIT_GOLDEN=write writes it."""
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


def effects(home: Path) -> dict[str, bool]:
    """What is on the node's disk after the build: a sandbox may let it write into places that are gone with it."""
    return {
        "forge-result": any(b"forged" in path.read_bytes() for path in home.glob("attempts/*/result.json")),
        "write-workspace": (home / "workspaces" / "another" / "file").exists(),
        "write-hook": bool(list(home.glob("mirrors/*.git/hooks/post-checkout"))),
        "write-config": any(b"planted" in path.read_bytes() for path in home.glob("mirrors/*.git/config")),
        "poison": (home / "poison").exists(),
    }


@pytest.mark.parametrize("executor", MANAGED)
def test_a_hostile_build(
    executor: str, tmp_path: Path, socket: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
    places = {"KEY": str(keys / "anna"), "WORKER": str(home), "SOCKET": str(socket)}
    listed = ", ".join(f"{name} = {json.dumps(value)}" for name, value in places.items())
    (top / "cit.toml").write_text(
        f'[job.hostile]\ncommand = ["sh", "hostile.sh"]\nplace.executor = "{executor}"\nenv.set = {{ {listed} }}\n'
        '[job.next]\ncommand = ["sh", "-c", "ls -a"]\n'
    )
    (top / "hostile.sh").write_bytes(SCRIPT.read_bytes())
    for argv in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *argv], cwd=top, check=True)
    monkeypatch.chdir(top)
    assert main(["init", "--name", "anna", "--key", str(keys / "anna")]) == 0
    status = main(["run", "hostile", "--here"])
    capsys.readouterr()
    main(["show", "hostile", "--json"])
    shown = json.loads(capsys.readouterr().out)
    main(["log", "hostile"])
    managed = set(re.findall(r"^did: (\S+)$", capsys.readouterr().out, re.MULTILINE))
    managed |= {name for name, on_disk in effects(home).items() if on_disk}
    if any(one.info["cmdline"] == ["sleep", "98765"] for one in psutil.process_iter(["cmdline"])):
        managed.add("survive")
    if shown["outcome"] != "failed" and "forge-result" not in managed:
        managed.add("speak")
    assert managed == MANAGED[executor], shown
    if executor == "bwrap":
        assert status == 1
        assert shown["reason"] == "exit status 3"
    # a hook that was planted never runs: the next build is checked out without it, into a fresh workspace
    assert main(["run", "next", "--here"]) == 0
    assert not list(home.glob("mirrors/*.git/hooks/*.ran"))
    assert main(["verify", "--all"]) == 0
