"""What a key that is bound to `cit-serve` may ask for, and the many things that it may not."""

from __future__ import annotations

import importlib.util
import itertools
import os
from pathlib import Path

import pytest

from citgit.errors import Refused
from citgit.programs.node import VERBS
from citgit.ssh.grammar import NODE_VERBS, READS, Command, NodeCommand, Verb, parse, parse_node, spellings
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


CLAIM = "0123456789abcdef0123456789abcdef01234567"


def test_verbs_of_a_node() -> None:
    """Each has its words, of its form alone, and a file that does it."""
    assert NODE_VERBS.keys() == VERBS.keys()
    assert parse_node("cit-serve stats") == NodeCommand("stats", ())
    for verb, takes in NODE_VERBS.items():
        words = [next(word for word in WORDS if one.fullmatch(word)) for one in takes]
        line = " ".join(["cit-serve", verb, *words])
        assert parse_node(line) == NodeCommand(verb, tuple(words))
        assert importlib.util.find_spec(f"citgit.programs.node.{VERBS[verb]}")


WORDS = (CLAIM, "0190a0b0-0000-7000-8000-000000000000")


def hostile_to_a_node() -> list[str]:
    """Lines that look like a node's verbs and are none."""
    odd = [
        "", " ", "  ", "''", f"'{CLAIM}'", f'"{CLAIM}"', CLAIM[:-1], CLAIM + "0", CLAIM.upper(), CLAIM[:-1] + "g",
        f"{CLAIM} {CLAIM}", f"{CLAIM};id", f"{CLAIM} ;id", f"{CLAIM}&&id", f"{CLAIM}|id", f"{CLAIM}>x", f"{CLAIM}\n",
        f"{CLAIM}\nid", f"{CLAIM}\r", f"{CLAIM}\0", f"$({CLAIM})", f"`{CLAIM}`", f"{CLAIM} --own", f"--own {CLAIM}",
        f"-- {CLAIM}", "../../etc/passwd", "/etc/passwd", f"../{CLAIM}", f"{CLAIM}/..", f"{CLAIM}/log", "~", "*", "?",
        "-", "--", "--help", "--as person:eve", "--home /", "--own", "-h", f" {CLAIM}", f"{CLAIM} ", f"{CLAIM}\t",
        f"\t{CLAIM}", "\uff10" + CLAIM[1:], "\u0660" + CLAIM[1:], f"{CLAIM}\u200b", "0" * 64, "0" * 100_000, "HEAD",
        "@", "@{u}", "refs/cit/policy", "%30" * 40, "\\x30" * 40, "0x" + CLAIM[2:], CLAIM.replace("0", "O"), "null",
        "{}", "[]", f"{CLAIM}\x1b[2J", f"{CLAIM}=", f"X={CLAIM}", f"{CLAIM},{CLAIM}", f"{CLAIM}:{CLAIM}", "1 2 3 4 5",
    ]  # fmt: skip
    lines = [f"cit-serve {verb} {word}" for verb in NODE_VERBS for word in odd]
    lines += [f"cit-serve {verb}{end}" for verb in NODE_VERBS for end in ("\n", " ;id", "\0", "s", "/", ".py", "'")]
    starts = [
        "", "cit", "cit-serve ", "cit-serve\t", "CIT-SERVE", "exec cit-serve", "/usr/bin/cit-serve", "X=1 cit-serve",
        "cit-serve --as person:eve", "cit-serve --own",
    ]  # fmt: skip
    lines += [f"{start} {verb}" for verb in NODE_VERBS for start in starts]
    verbs = ["exec", "sh", "cat", "put", "get", "scp", "read", "write", "root", "import", "os", "asked"]
    return [*lines, *(f"cit-serve {verb}{more}" for verb in verbs for more in ("", f" {CLAIM}"))]


def test_hostile_verbs() -> None:
    """None is taken for a node's verb, nor for one of a repository."""
    lines = hostile_to_a_node()
    taken = [line for line in lines if parse_node(line) or not refusal(line)]
    assert taken == []
    assert len(set(hostile() + lines)) >= 500
