"""What a key that is bound to `cit-serve` may ask for, and the many things that it may not."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from citgit.errors import Refused
from citgit.ssh.grammar import READS, Command, Verb, parse, spellings
from citgit.wiring.command import own_environment

REPOSITORY, BELOW = Path("/srv/project.git"), Path("/home/cit/team/state.git")
ALLOWED = spellings([REPOSITORY, BELOW], Path("/home/cit"))


@pytest.mark.parametrize(
    ("line", "verb", "path"),
    [
        ("git-upload-pack '/srv/project.git'", Verb.UPLOAD, REPOSITORY),
        ("git upload-pack '/srv/project.git'", Verb.UPLOAD, REPOSITORY),
        ("git-receive-pack '/srv/project'", Verb.RECEIVE, REPOSITORY),
        ("git-receive-pack '/srv/project.git/'", Verb.RECEIVE, REPOSITORY),
        ("git receive-pack 'team/state.git'", Verb.RECEIVE, BELOW),
        ("git-upload-pack '~/team/state'", Verb.UPLOAD, BELOW),
        ("cit-serve state '/home/cit/team/state.git'", Verb.STATE, BELOW),
    ],
)
def test_what_is_allowed(line: str, verb: Verb, path: Path) -> None:
    """git's own spellings of a repository lead to the path that was configured."""
    assert parse(line, ALLOWED) == Command(verb, path)


def hostile() -> list[str]:
    """Command lines that must be refused: other programs, other repositories, other shapes, other bytes."""
    good = "'/srv/project.git'"
    programs = [
        "", "sh", "bash -c", "/bin/sh", "scp -t", "scp -f", "rsync --server", "sftp", "internal-sftp", "git",
        "git-shell", "git-upload-archive", "git upload-archive", "git-annex-shell", "git-lfs-authenticate",
        "git-http-backend", "git config", "git daemon", "git -c core.sshCommand=x upload-pack",
        "git --exec-path=/tmp upload-pack", "git-upload-pack2", "xgit-upload-pack", "./git-upload-pack",
        "/usr/bin/git-upload-pack", "GIT-UPLOAD-PACK", "git_upload_pack", "git  upload-pack", "git\tupload-pack",
        "git\u00a0upload-pack", "cit-serve", "cit-serve  state", "cit-serve watch", "cit-serve shell",
        "cit-serve kill", "cit-serve start", "cit-serve probe", "cit-serve --help", "cit-serve --repo / state",
        "cit-serve state --read", "cit-serve State", "cit", "cit worker", "python3 -c", "env X=1 git-upload-pack",
        "X=1 git-upload-pack", "exec git-upload-pack", "command git-upload-pack", "sudo git-upload-pack",
        "nohup git-upload-pack", "git-upload-pack --strict", "git-upload-pack --timeout=9",
        "git-receive-pack --stateless-rpc", "git-upload-pack --advertise-refs", "git-upload-pack --",
        "-git-upload-pack",
    ]  # fmt: skip
    operands = [
        "", "''", "/srv/project.git", '"/srv/project.git"', "'/srv/project.git", "/srv/project.git'",
        "''/srv/project.git''", "'/srv/project.git' ", " '/srv/project.git'", "'/srv/project.git' '/etc'",
        "'/srv/project.git';id", "'/srv/project.git' ; id", "'/srv/project.git' && id", "'/srv/project.git' | id",
        "'/srv/project.git' > /tmp/x", "'/srv/project.git'\nid", "'/srv/project.git'\rid", "'/srv/project.git'\0id",
        "'/srv/project.git'`id`", "'/srv/project.git'$(id)", "'/srv/project.git'\\", "'/srv/project.git'''",
        "'/srv/project.git'\\''x'", "'/srv/project.git\n'", "'/srv/project.git\0'", "'/srv/project.git\\'",
        "'/srv/project.git'#", "'/srv/project.git'&", "'/srv/../srv/project.git'", "'/srv/./project.git'",
        "'//srv/project.git'", "'/srv//project.git'", "'/srv'", "'/'", "'/srv/project.git/..'",
        "'/srv/project.git/../other.git'", "'/srv/project.git/hooks'", "'/srv/other.git'", "'.'", "'..'", "'~'",
        "'~/'", "'~root/x'", "'~/../cit/team/state.git'", "'team/../team/state.git'", "'state.git'", "'/etc'",
        "'/etc/passwd'", "'/srv/PROJECT.git'", "'/srv/project.git.git'", "'/srv/projec?.git'", "'/srv/*'", "'$HOME'",
        "'${IFS}'", "'/srv/project.git '", "' /srv/project.git'", "'--upload-pack=id'", "'-x'", "'--help'", "'@{u}'",
        "'file:///srv/project.git'", "'ssh://x/srv/project.git'", "'ext::id'", "'/srv/project\u2024git'", "'\u202e'",
        "'/srv/project.git\x1b[2J'", "'/srv/proje\u0301ct.git'", "'" + "a" * 4097 + "'", "'" + "/x" * 4000 + "'",
        "'!'", "'/proc/self/environ'", "'/dev/stdin'", "'C:\\x'", "'\\\\host\\x'", "'%00'", "'%2e%2e'", "@/etc/passwd",
        "'@/etc/x'",
    ]  # fmt: skip
    verbs = [*(verb.value for verb in Verb), "git upload-pack", "git receive-pack"]
    lines = [f"{program} {good}" for program in programs]
    lines += [f"{verb} {operand}" for verb, operand in itertools.product(verbs, operands)]
    lines += [*verbs, f" {verbs[0]} {good}", f"{verbs[0]}\t{good}"]
    return lines


def test_there_are_enough() -> None:
    """At least three hundred, all different."""
    assert len(set(hostile())) == len(hostile()) >= 300


def test_hostile_command_lines() -> None:
    """Each is refused, without a word about what exists here."""
    words = {line: refusal(line) for line in hostile()}
    assert [line for line, told in words.items() if not told] == []
    assert [line for line, told in words.items() if "/srv" in told or "/home" in told] == []


def refusal(line: str) -> str:
    """What a client is told; "" if it gets what it asked for."""
    try:
        parse(line, ALLOWED)
    except Refused as refused:
        return refused.message + refused.hint
    return ""


def test_a_key_that_may_only_read() -> None:
    """It gets the channel and fetches, no pushes."""
    assert parse("git-upload-pack '/srv/project.git'", ALLOWED, READS).verb is Verb.UPLOAD
    assert parse("cit-serve state '/srv/project.git'", ALLOWED, READS).verb is Verb.STATE
    with pytest.raises(Refused, match="access denied: this key may only read"):
        parse("git-receive-pack '/srv/project.git'", ALLOWED, READS)


def test_nothing_is_allowed_by_default() -> None:
    """A key without a repository may do nothing."""
    with pytest.raises(Refused):
        parse("git-upload-pack '/srv/project.git'", {})


def test_environment_of_the_client_is_dropped() -> None:
    """git and its hooks see nothing that the client sent, but which version of git's protocol it speaks."""
    sent = {
        "PATH": "/usr/bin", "GIT_PROTOCOL": "version=2", "GIT_DIR": "/etc", "GIT_CONFIG_COUNT": "1",
        "LD_PRELOAD": "/tmp/x", "GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": "/tmp", "HOME": "/tmp",
        "CIT_PUSHER": "person:root", "PYTHONPATH": "/tmp", "BASH_ENV": "/tmp/x", "GIT_TRACE": "/tmp/t", "LANG": "x",
        "SSH_ORIGINAL_COMMAND": "id",
    }  # fmt: skip
    kept = own_environment(sent, "person:anna")
    assert set(kept) == {"PATH", "HOME", "USER", "LOGNAME", "LC_ALL", "GIT_PROTOCOL", "CIT_PUSHER"}
    assert kept["HOME"] == os.path.expanduser("~root" if os.getuid() == 0 else f"~{kept['USER']}")
    assert kept["CIT_PUSHER"] == "person:anna"
    assert "CIT_PUSHER" not in own_environment(sent, "")
    for version in ("version=3", "version=2 ", "version=2\nx", "2", "version=2:x"):
        assert "GIT_PROTOCOL" not in own_environment({"GIT_PROTOCOL": version}, "")
