"""Threat: names that are options, paths, commands, markup or look like others. No field takes one."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from chains import request
from stage import ANNA, Stage, clone_of, export

from citgit.config.read import read_cit, read_team
from citgit.errors import BadConfig, BadName, BadRecord, CitError, UsageError
from citgit.git.objects import init_bare
from citgit.git.program import check_url
from citgit.git.remote import GitRemote
from citgit.git.trees import tree_bytes
from citgit.interfaces import Entry
from citgit.model import names
from citgit.model.record import Advert, Body, Claim, Skipped
from citgit.programs.cit import main
from citgit.rules.gitolite import gitolite_rules

CANARY = "citgit-canary"

WORDS = ["a", "build", "main", "x" * 63]
OPTIONS = [
    f"--upload-pack=touch {CANARY}", f"--exec=touch {CANARY}", "-x", "--", "-", "--output=x", "-c", "--help",
    "-oProxyCommand=x", "--git-dir=x", "-C/", "@file", "@", "@{", "@{u}", "HEAD", "^x", "~1", ":", "+a:b", "*", "?",
    "[a", "a..b", "a...b",
]  # fmt: skip
PATHS = [
    "", ".", "..", "../x", "../../../../etc/passwd", "/etc/passwd", "a/b", "a/../b", "a//b", "/", "a/", ".git",
    ".git/config", ".GIT", "git~1", "a.lock", "a.lock/b", "CON", "NUL", "a.", ".a", "a\\b", "C:x", "\\\\host\\x", "~",
    "~root", "$HOME", "%2e%2e",
]  # fmt: skip
COMMANDS = [
    f"$(touch {CANARY})", f"`touch {CANARY}`", f";touch {CANARY}", f"|touch {CANARY}", f"&touch {CANARY}",
    f"\ntouch {CANARY}", f"ext::sh -c 'touch {CANARY}'", f"ext::touch% {CANARY}", "fd::7", f"a'; touch {CANARY} #",
    f'a"; touch {CANARY} #', f"ssh://-oProxyCommand=touch {CANARY}/x", f"-oProxyCommand=touch {CANARY}:x",
    "file:///etc", "transport::x",
]  # fmt: skip
BYTES = [
    "\0", "a\0b", "\n", "a\nb", "\r", "a\r\nb", "\t", " ", " a", "a ", "\x1b[2J", "\x1b]8;;http://x\x07", "\x07",
    "\x7f", "\x85", "\u2028", "\ufeff", "\ud800", "\u202e", "\u2066", "\u200b", "\u200d", "\u00ad", "e\u0301",
    "\u00e9", "\u0430", "A", "Build", "\u0131", "\u017f", "\uff0e\uff0e\uff0f", "\U0001f4a9", "<script>", "&lt;",
    "'\"><img src=x>", "{{7*7}}", "%s%n", "\\u0000", "x" * 64, "x" * 4096, "0" * 40, "f" * 40, "refs/heads/x",
    "refs/cit/policy", "person:eve", "agent:lab1", "@agents", "@people",
]  # fmt: skip
HOSTILE = list(dict.fromkeys([
    *OPTIONS, *PATHS, *COMMANDS, *BYTES,
    *(before + evil for before, evil in itertools.product(WORDS[:2], [*OPTIONS, *PATHS, *COMMANDS, *BYTES])),
]))  # fmt: skip
HOSTILE = [one for one in HOSTILE if not names.is_name(one)]
ID = "01890000-0000-7000-8000-000000000001"


def test_there_are_enough() -> None:
    """Three hundred and more, none of which is a name."""
    assert len(HOSTILE) >= 300


def fields() -> Iterator[tuple[str, Callable[[str], object], type[Exception]]]:
    """Every place in code that takes a name: what it does with it, and how it may refuse."""
    refs = names.Refs()
    yield "a name", lambda evil: names.name("pool", evil), BadName
    yield "the pool of a build's ref", lambda evil: refs.build(evil, ID), BadName
    yield "the id of a build's ref", lambda evil: refs.build("default", evil), BadName
    yield "a pool's builds", lambda evil: refs.builds(evil or "."), BadName
    yield "an agent's ref", lambda evil: refs.agent(evil, "b1"), BadName
    yield "a boot's ref", lambda evil: refs.agent("lab1", evil), BadName
    yield "an archive's pool", lambda evil: refs.archive(evil, "2023-11"), BadName
    yield "an archive's month", lambda evil: refs.archive("default", evil), BadName
    yield "a lock", lambda evil: refs.lock(evil), BadName
    yield "a grant", lambda evil: refs.grant(evil), BadName
    stage = Stage()
    ref = refs.build("default", ID)
    bodies: dict[str, Callable[[str], Body]] = {
        "a request's job": lambda evil: request(job=evil),
        "an agent that is asked for": lambda evil: request(on=evil or "-"),
        "an advert's boot": lambda evil: Advert(boot=evil, version="1"),
        "a skipped build": lambda evil: Skipped(job="a", build=evil, final="f" * 40),
        "an upstream oid": lambda evil: Claim(attempt=1, upstream={"a": evil if evil != "f" * 40 else "-"}),
    }
    for field, body in bodies.items():
        yield field, lambda evil, body=body: stage.record(ref, body(evil), ANNA), BadRecord  # type: ignore[misc]


@pytest.mark.parametrize(("field", "take", "typed"), [pytest.param(*one, id=one[0]) for one in fields()])
def test_no_field_takes_a_hostile_name(field: str, take: Callable[[str], object], typed: type[Exception]) -> None:
    """Each is refused, with an error that a person can be shown."""
    for evil in HOSTILE:
        if field == "an upstream oid" and evil == "0" * 40:
            continue
        with pytest.raises(typed) as caught:
            take(evil)
        assert caught.value.args[0].isprintable(), (field, evil)


@pytest.mark.parametrize("table", ["job", "source", "person", "agent", "pool", "trigger", "alias"])
def test_no_table_of_a_config_has_a_hostile_name(table: str) -> None:
    """All of them at once: each is a fault of its own."""
    plain = dict.fromkeys(one.encode("utf-8", "replace").decode() for one in HOSTILE)
    keys = [msgspec.json.encode(one).decode().replace("\x7f", "\\u007f") for one in plain if not names.is_name(one)]
    need = {"job": 'command = ["true"]', "source": 'url = "https://example.org/x"', "agent": 'key = "ssh-ed25519 AAAA"'}
    text = "".join(f"[{table}.{key}]\n{need.get(table, '')}\n" for key in keys).encode()
    with pytest.raises(BadConfig) as caught:
        read_cit({"cit.toml": text}) if table in ("job", "source") else read_team({"team.toml": text})
    assert len(caught.value.faults) >= len(keys) >= 300
    assert all(str(fault).isprintable() for fault in caught.value.faults)


def test_no_ref_of_the_host_is_a_hostile_name() -> None:
    """Whatever a host lists: what is not of the grammar is nothing to this protocol, so it names no file."""
    refs = names.Refs()
    places = ("builds/{}/" + ID, "builds/default/{}", "agents/{}/b", "{}", "archive/default/{}", "locks/{}")
    for evil in HOSTILE:
        for ref in (evil, *(f"refs/cit/{place.format(evil)}" for place in places)):
            assert refs.parse(ref) is None or ref == refs.policy, ref


def test_addresses_are_neither_options_nor_programs() -> None:
    """git is handed no address that it would read as an option or as a program to run."""
    for evil in (one for one in HOSTILE if one.startswith("-") or "::" in one or not one or "\0" in one or "\n" in one):
        with pytest.raises(UsageError):
            check_url(evil)


def test_no_address_is_read_as_an_option(tmp_path: Path) -> None:
    """An address that is an option of git runs nothing, whatever checks it went through before: dashes stand first."""
    canary = tmp_path / CANARY
    init_bare(tmp_path / "a.git")
    with pytest.raises(CitError):
        GitRemote(tmp_path / "a.git", f"--upload-pack=touch {canary};").fetch(["refs/cit/policy"])
    evil = GitRemote(tmp_path / "a.git", str(tmp_path))
    evil._url = f"--upload-pack=touch {canary};"  # as if no check had been made
    with pytest.raises(CitError):
        evil.fetch(["refs/cit/policy"])
    assert not canary.exists()


def test_trees_hold_no_path(tmp_path: Path) -> None:
    """What is written as a file of a tree has one plain part."""
    for evil in ("", ".", "..", ".git", "a/b", "a\0b", "../x", "/x"):
        with pytest.raises(CitError):
            tree_bytes([Entry(evil, 0o100644, "a" * 40)])


def test_gitolite_s_rules_hold_names_only() -> None:
    """A policy's names are names, so what is generated for another program has one reading."""
    text = gitolite_rules(Stage().policies.tip, "project", "refs/cit/")
    users = " ".join(line.partition(" = ")[2] for line in text.splitlines() if " = " in line).split()
    assert users
    assert all(names.is_name(user) or user == "@all" for user in users)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Anna's checkout with one build."""
    folder = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"HOME": str(folder), "CITGIT_HOME": str(folder / "h"), "GIT_CONFIG_NOSYSTEM": "1"}.items():
            patch.setenv(key, value)
        stage = Stage()
        stage.request()
        export(stage, folder / "host.git")
        made = clone_of(stage, folder / "host.git", folder / "anna")
        patch.chdir(folder)
        (made / "cit.toml").write_text('[job.check]\ncommand = ["true"]\n')
        subprocess.run(["git", "-C", str(made), "add", "."], check=True)
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        subprocess.run(["git", "-C", str(made), *who, "commit", "-qm", "x"], check=True)
        yield made


VERBS: list[tuple[str, ...]] = [
    ("status", "{}"), ("show", "{}"), ("log", "{}"), ("why", "{}"), ("verify", "{}"), ("cancel", "{}"),
    ("retry", "{}"), ("run", "{}", "--no-follow"), ("run", "check", "--pool", "{}", "--no-follow"),
    ("run", "check", "--ref", "{}", "--no-follow"), ("run", "check", "--on", "{}", "--no-follow"),
    ("job", "show", "{}"), ("job", "check", "--ref", "{}"), ("policy", "revoke", "{}", "--why", "x"),
    ("policy", "gitolite", "{}"), ("policy", "show", "--at", "{}"),
]  # fmt: skip
WORST = [COMMANDS[0], COMMANDS[5], OPTIONS[0], "../../x", "a\x1b[2J", "-x", "\udcff", "@{u}"]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_no_verb_takes_a_hostile_name(top: Path, capsys: pytest.CaptureFixture[str], verb: tuple[str, ...]) -> None:
    """Options, commands, paths and controls as arguments: a refusal in words, no command run, no file made."""
    before = {path.name for path in top.parent.iterdir()}
    for evil in WORST:
        status = main([*(part.format(evil) for part in verb), "-C", str(top)])
        out, err = capsys.readouterr()
        assert status not in (0, 70), (verb, evil, out, err)
        assert "\x1b[2J" not in out + err, (verb, evil)
    assert {path.name for path in top.parent.iterdir()} - before <= {"h"}
    assert not list(top.rglob(f"*{CANARY}*"))
