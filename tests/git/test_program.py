"""The door to git: its environment, its addresses, its failures and its time limits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from citgit.errors import Errored, UsageError
from citgit.git.program import GitFailed, check_url, environment, must, run, shown


def test_a_hook_s_environment_does_not_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started from a git hook, commands work in the repository that they name, not in the hook's."""
    for name in ("one", "two"):
        must(["init", "-q", "--bare", "--", str(tmp_path / name)], doing="make a repository")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "one"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare'='false'")
    output = run(["rev-parse", "--absolute-git-dir", "--git-path", "objects"], cwd=tmp_path / "two")
    assert output.stdout.decode().split() == [str(tmp_path / "two"), "objects"]
    assert run(["config", "core.bare"], git_dir=tmp_path / "two").stdout == b"true\n"


def test_what_is_kept_for_the_network() -> None:
    """The user's ssh, proxies, certificates and credentials count where a host is asked, and nowhere else."""
    network = {"GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_PROXY_COMMAND", "GIT_ASKPASS", "GIT_CONFIG_GLOBAL"}
    network |= {"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
    always = {"GIT_TRACE", "GIT_TRACE_PACKET"}
    never = {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_QUARANTINE_PATH", "GIT_EXEC_PATH", "GIT_ALTERNATE"}
    inherited = dict.fromkeys(network | always | never | {"HOME", "LEGIT_NAME"}, "x")
    assert set(environment(inherited, network=True)[0]) == never
    assert set(environment(inherited, network=False)[0]) == never | network
    assert environment(inherited, network=False)[1]["GIT_CONFIG_GLOBAL"] == os.devnull
    assert "GIT_CONFIG_GLOBAL" not in environment(inherited, network=True)[1]


def test_failure_tells_everything(tmp_path: Path) -> None:
    """A failed command names what was tried, git's words, the status and the command, without a password."""
    with pytest.raises(GitFailed, match="cannot read it: fatal: not a git repository") as caught:
        must(["rev-parse", "https://anna:secret@lab1/x"], git_dir=tmp_path, doing="read it", hint="look there")
    assert "status 128" in caught.value.message
    assert "https://lab1/x" in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.hint == "look there"
    assert caught.value.output.argv[-1].endswith("@lab1/x")


def test_bytes_go_in_and_out(tmp_path: Path) -> None:
    """Standard input and output are bytes, unchanged, also many of them."""
    must(["init", "-q", "--bare", "--", str(tmp_path)], doing="make a repository")
    content = bytes(range(256)) * 20_000 + b"\n\n"
    oid = run(["hash-object", "-w", "--stdin"], git_dir=tmp_path, input=content).stdout.decode().strip()
    assert run(["cat-file", "blob", oid], git_dir=tmp_path).stdout == content


def test_time_limit_ends_git_and_all_below(tmp_path: Path) -> None:
    """A git that hangs is ended, with what it started, and that is told apart from a failure."""
    script = tmp_path / "hang"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    script.chmod(0o755)
    must(["init", "-q", "--", str(tmp_path / "x")], doing="make a repository")
    started = time.monotonic()
    output = run(["-c", f"alias.hang=!{script}", "hang"], cwd=tmp_path / "x", timeout=0.5)
    assert output.timed_out
    assert output.status < 0
    assert "within 0.5 s" in output.stderr
    assert time.monotonic() - started < 20
    deadline = time.monotonic() + 10
    while Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without git on PATH the error says what to install; importing citgit still works."""
    code = (
        "from citgit.git.program import run\nfrom citgit.errors import Errored\n"
        "try: run(['version'])\nexcept Errored as error: print(error.message, '|', error.hint)"
    )
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "cannot start git" in done.stdout
    assert "install git" in done.stdout


def test_errors_are_ours() -> None:
    """What git says can be caught as citgit's error."""
    with pytest.raises(Errored):
        must(["no-such-command"], doing="do it")


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://anna:secret@lab1/x", "https://lab1/x"),
        ("https://token@lab1/x", "https://lab1/x"),
        ("ssh://anna@lab1/x", "ssh://anna@lab1/x"),
        ("ssh://anna:secret@lab1/x", "ssh://anna@lab1/x"),
        ("anna@lab1:x", "anna@lab1:x"),
        ("/srv/a@b", "/srv/a@b"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, safe: str) -> None:
    """Passwords and tokens in addresses never reach a message."""
    assert shown(url) == safe


@pytest.mark.parametrize("url", ["/srv/x", "x", "../x", "anna@lab1:x", "ssh://lab1/x", "HTTPS://lab1/x", "file:///x"])
def test_usual_addresses(url: str) -> None:
    """Paths, ssh and https are taken as they are."""
    assert check_url(url) == url


@pytest.mark.parametrize("url", ["", "-x", "--upload-pack=x", "ext::x", "::x", "a\0b", "a\nb", "ftp://x", "rad://x"])
def test_refused_addresses(url: str) -> None:
    """Options and remote helpers are refused, with what is allowed."""
    with pytest.raises(UsageError) as caught:
        check_url(url)
    assert "ssh://" in caught.value.hint
