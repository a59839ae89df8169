"""Threat: bytes that nobody honest wrote. Records, configs and trees mutated from a seed: typed errors, in bounds."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from samples import BODIES, BUILD
from stage import ANNA, SeededSigner, Stage

from citgit.config.read import read_cit, read_team
from citgit.errors import BadConfig, BadRecord, CitError, Refused, Unsupported
from citgit.flows.chains import read_link
from citgit.flows.policies import decoded
from citgit.git.trees import parse_tree
from citgit.keys.ssh_signature import unarmor
from citgit.model.record import Seen
from citgit.model.team import Team
from citgit.records import commit as commits
from citgit.records import envelope

SEED = 4
SAMPLE = Path(__file__).parents[2] / "sample-config-repo"
SLOW = 1.0
"""Seconds that no single input may take."""

TOKENS = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"\n", b"\0", b"\x1b[2J", b"\xff\xfe", b"\xe2\x80\xae", b"-1",
    b"NaN", b"Infinity", b"9" * 40, b"null", b"true", b"\\ud800", b"\\u0000", b'"a":1,"a":2', b"[" * 200, b"{" * 200,
    b"../../etc/passwd", b"--upload-pack=x", b"$(id)", b"tree ", b"parent ", b"gpgsig ", b"-----BEGIN SSH SIGNATURE-",
    b"refs/cit/policy", b"person:eve", b'"""', b"'''", b"[job.x]", b"=", b"#", b"0" * 40, b"f" * 64,
]  # fmt: skip


def mutated(data: bytes, choose: random.Random) -> bytes:
    """One to four changes: bytes flipped, cut, doubled, moved, or replaced by something that means something."""
    for _ in range(choose.randrange(1, 5)):
        at, end = sorted(choose.randrange(len(data) + 1) for _ in "12")
        end = min(end, at + choose.choice((1, 4, 64, 4096)))
        match choose.randrange(6):
            case 0:
                data = data[:at] + bytes([choose.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:end] + data[at:end] * choose.choice((1, 2, 50)) + data[end:]
            case 3:
                data = data[:at] + choose.choice(TOKENS) + data[at:]
            case 4:
                data = data[:at] + choose.choice(TOKENS) + data[end:]
            case _:
                data = data[end:] + data[at:end] + data[:at]
    return data[: 1 << 20]


def played(
    seeds: list[bytes], read: Callable[[bytes], object], count: int, typed: tuple[type[Exception], ...], seed: int
) -> tuple[int, int]:
    """(accepted, refused) of `count` mutants; any other error, or a slow one, fails with what repeats it."""
    choose = random.Random(seed)
    accepted = refused = 0
    for number in range(count):
        data = mutated(choose.choice(seeds), choose)
        began = time.process_time()
        try:
            read(data)
            accepted += 1
        except typed:
            refused += 1
        except Exception as error:
            raise AssertionError(
                f"seed {seed}, input {number}: {type(error).__name__}: {error}\n{data[:2000]!r}"
            ) from error
        spent = time.process_time() - began
        assert spent < SLOW, f"seed {seed}, input {number}: {spent:.1f} s\n{data[:2000]!r}"
    return accepted, refused


def records() -> list[bytes]:
    """A signed record of each type."""
    signer = SeededSigner(ANNA)
    parent = envelope.Parent(oid="e" * 40, sha256="d" * 64, seq=0, policy="b" * 40)
    made = []
    for body in BODIES.values():
        payload = envelope.compose(
            body, repo="b" * 40, ref=f"refs/cit/builds/default/{BUILD}", build=BUILD, parent=parent, policy="b" * 40,
            seen=Seen(policy="b" * 40), actor=ANNA, nonce="0" * 32, time=1_700_000_000,
        )  # fmt: skip
        made.append(commits.signed(payload, signer.sign(payload)))
    return made


def resigned(data: bytes) -> bytes:
    """Any bytes as the message of a commit that is well signed: what a hostile insider can push."""
    head = f"tree {commits.EMPTY_TREE}\nauthor {ANNA} <anna@person.cit> 1700000000 +0000\n"
    head += f"committer {ANNA} <anna@person.cit> 1700000000 +0000\n\n"
    payload = head.encode() + data
    return commits.signed(payload, SeededSigner(ANNA).sign(payload)) if b"\n\n" in payload else payload


@pytest.mark.parametrize("seed", [SEED])
def test_records(seed: int) -> None:
    """5,000 commits around the grammar: none is read as a record that was not signed as it stands."""
    stage = Stage()

    def read(data: bytes) -> None:
        link = read_link(stage.state, stage.state.objects.write("commit", data))
        assert (link.record is None) == bool(link.fault or link.unsupported)
        if link.record is not None:
            read_again = commits.parse(data)
            assert stage.state.verifier.signer(read_again.payload, read_again.signature) == link.key

    accepted, refused = played(records(), read, 5000, (), seed)
    assert (accepted, refused) == (5000, 0), "a bad record is a fault of its link, never an error"


def documents() -> list[bytes]:
    """The messages of all record types."""
    return [commits.parse(data).message.encode() for data in records()]


@pytest.mark.parametrize("seed", [SEED])
def test_documents_by_an_insider(seed: int) -> None:
    """3,000 well-signed documents: refused with the rule that they break, or read and written back the same."""

    def read(data: bytes) -> None:
        commit = commits.parse(resigned(data))
        record = envelope.read_record(commit)
        assert envelope.rewrite(record) == commit.message.partition("\n\n")[2][:-1]

    _, refused = played(documents(), read, 3000, (BadRecord, Unsupported), seed)
    assert refused > 2000


@pytest.mark.parametrize("seed", [SEED])
def test_typed_documents_by_an_insider(seed: int) -> None:
    """2,000 canonical documents whose values were exchanged: the types refuse what the grammar lets through."""
    choose = random.Random(seed)
    plain = [json.loads(text.partition(b"\n\n")[2]) for text in documents()]
    values = [None, True, -1, 2**53, "", "x" * 2000, "\x1b]8;;x", "../x", [], {}, [[]], {"a": {}}, "\u202e", "-x"]

    def places(value: object, way: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield (*way, key)
            yield from places(item, (*way, key))

    for number in range(2000):
        document = json.loads(json.dumps(choose.choice(plain)))
        way = choose.choice(list(places(document)))
        inner = document
        for key in way[:-1]:
            inner = inner[key]
        inner[way[-1]] = choose.choice(values)
        text = json.dumps(document, ensure_ascii=True, sort_keys=True, indent=2)
        try:
            envelope.read_record(commits.parse(resigned(f"{document['type']}: x\n\n{text}\n".encode())))
        except (BadRecord, Unsupported):
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}, input {number}, {way}: {error!r}\n{text}") from error


def fuzz_configs(count: int, seed: int) -> None:
    """That many configs of jobs, and of teams."""
    cit, team = (SAMPLE / "cit.toml").read_bytes(), (SAMPLE / "team.toml").read_bytes()
    plain = b'[job.check]\ncommand = ["true"]\n'
    played([cit, plain, plain], lambda data: read_cit({"cit.toml": data}), count, (BadConfig,), seed)
    played([team], lambda data: read_team({"team.toml": data}), count, (BadConfig,), seed)


def test_configs() -> None:
    """500 configs: faults with places, or a config; nothing else."""
    fuzz_configs(250, SEED)


@pytest.mark.heavy
def test_many_configs() -> None:
    """10,000 configs."""
    fuzz_configs(5000, SEED + 1)


def test_trees_signatures_and_policies() -> None:
    """Trees, armored signatures and a policy's files, 1,000 each."""
    stage = Stage()
    trees = [data for kind, data in stage.host.objects.content.values() if kind == "tree" and data]
    blobs = [data for kind, data in stage.host.objects.content.values() if kind == "blob"]
    signature = SeededSigner(ANNA).sign(b"x").encode()
    played(trees, parse_tree, 1000, (CitError,), SEED)
    played([signature], lambda data: unarmor(data.decode("latin-1")), 1000, (Refused,), SEED)
    played(blobs, lambda data: decoded(data, Team, "policy"), 1000, (Refused,), SEED)
    for deep in (b"[" * 100_000, b'{"person":' * 50_000, b'{"protected": "\xff"}'):
        with pytest.raises(Refused):
            decoded(deep, Team, "policy")
