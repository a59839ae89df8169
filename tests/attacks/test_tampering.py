"""Threat: somebody changes a byte of a record, gives the object its new name and moves the ref there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import pytest
from stage import ANNA, BEN, CARA, HOOK, LAB1, LAB2, Stage

from citgit.flows.builds import Repository
from citgit.flows.chains import read_link
from citgit.flows.poll import poll
from citgit.interfaces import Oid
from citgit.model.record import Advert, Beat, Cancel, Outcome, Pause, Priority, Resume
from citgit.records import commit as commits

SEED = 20


@cache
def records() -> tuple[Stage, tuple[tuple[str, Oid], ...]]:
    """A hundred valid records of several types and signers, each with the ref that it stands at."""
    stage = Stage()
    for number in range(24):
        build = stage.request(by=(ANNA, BEN)[number % 2], priority=number % 3)
        ref = stage.refs.build("default", build)
        if number % 4 == 0:
            stage.write(ref, Pause(reason="gr\u00fc\u00dfe"), CARA)
            stage.write(ref, Resume(), CARA)
            stage.write(ref, Priority(priority=number), CARA)
        if number % 5:
            stage.finish(build, by=(LAB1, LAB2)[number % 2], outcome=(Outcome.PASSED, Outcome.FAILED)[number % 2])
        else:
            stage.write(ref, Cancel(reason="wrong branch"), CARA)
    beats = stage.refs.agent("hook", "b1")
    stage.write(beats, Advert(boot="b1", version="1"), HOOK)
    stage.write(beats, Beat(renews=()), HOOK)
    found = [(ref, oid) for ref in sorted(stage.host.refs) for oid in stage.chain(ref)]
    return stage, tuple(found[:100])


def positions(data: bytes, choose: random.Random, count: int) -> list[int]:
    """Every part of the commit: its first and last bytes, the edges of each line, the rest by chance."""
    lines = [at for at, byte in enumerate(data) if byte == 10]
    edges = [edge for at in choose.sample(lines, min(len(lines), count // 4)) for edge in (at - 1, at, at + 1)]
    chosen = [0, len(data) - 1, *edges, *(choose.randrange(len(data)) for _ in range(count // 2))]
    return sorted({at for at in chosen if at < len(data)})


def undetected(stage: Stage, ref: str, oid: Oid, places: list[int], choose: random.Random) -> Iterator[str]:
    """The changes that no reader would notice."""
    data = stage.data(oid)
    repository = Repository(stage.state, poll(stage.state))
    place = stage.refs.parse(ref)
    for at in places:
        forged = data[:at] + bytes([data[at] ^ choose.randrange(1, 256)]) + data[at + 1 :]
        changed = stage.state.objects.write("commit", forged)
        link = read_link(stage.state, changed)
        if place and place.kind.value == "builds" and link.record:
            build = repository.build(ref, changed)
            if build.broken or build.entries[-1].void:
                continue
        if not link.fault:
            yield f"byte {at} of {oid[:12]} ({data[at : at + 1]!r}, near {data[max(0, at - 20) : at + 20]!r})"


def test_a_changed_byte_is_detected_in_each_of_a_hundred_records() -> None:
    """Some thirty places of each record: every header, the signature, the subject, the document."""
    stage, found = records()
    choose = random.Random(SEED)
    assert len(found) == 100
    assert len({commits.parse(stage.data(oid)).message.partition(":")[0] for _, oid in found}) >= 9
    missed = [
        words for ref, oid in found
        for words in undetected(stage, ref, oid, positions(stage.data(oid), choose, 32), choose)
    ]  # fmt: skip
    assert missed == [], f"seed {SEED}: pytest {__file__}"


@pytest.mark.heavy
def test_every_changed_byte_is_detected() -> None:
    """All bytes of the hundred records."""
    stage, found = records()
    choose = random.Random(SEED)
    for ref, oid in found:
        assert not list(undetected(stage, ref, oid, list(range(len(stage.data(oid)))), choose))


def test_a_signature_has_one_text() -> None:
    """What is not signed itself, the signature's own lines, cannot be written in a second way."""
    stage, found = records()
    for ref, oid in found[:20]:
        data = stage.data(oid)
        head, _, rest = data.partition(b"gpgsig ")
        block, _, body = rest.partition(b"\n\n")
        lines = block.split(b"\n")
        for other in (
            [*lines, b" "], [lines[0], b" ", *lines[1:]], [*lines[:-1], lines[-1] + b" "], [*lines, lines[-1]],
            [lines[0], lines[1] + lines[2][1:], *lines[3:]],
            [lines[0], lines[1][:40], b" " + lines[1][40:], *lines[2:]],
        ):  # fmt: skip
            changed = stage.state.objects.write("commit", head + b"gpgsig " + b"\n".join(other) + b"\n\n" + body)
            assert read_link(stage.state, changed).fault, f"{ref}: {other[-1]!r}"
