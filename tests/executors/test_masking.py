"""Known secrets never pass a stream, wherever it is cut; what is not known is said in the docs."""

from __future__ import annotations

import base64
import json
import random
from urllib.parse import quote_plus

import pytest

from citgit.executors.masking import Mask

VALUE = "s3cr3t/k+y=0123 wörd"


def through(values: list[str], *blocks: bytes) -> bytes:
    """What comes out of a stream that comes in these blocks."""
    mask = Mask(values)
    return b"".join([*map(mask.feed, blocks), mask.end()])


@pytest.mark.parametrize("at", range(len(VALUE.encode()) + 1))
def test_a_secret_that_is_split_over_two_blocks(at: int) -> None:
    """At every byte, in the middle of a character too; what is around it stays."""
    data = VALUE.encode()
    assert through([VALUE], b"before " + data[:at], data[at:] + b" after\n") == b"before *** after\n"


def test_a_secret_byte_by_byte() -> None:
    """As an unbuffered program writes."""
    data = f"a {VALUE} b {VALUE}{VALUE}".encode()
    assert through([VALUE], *(data[at : at + 1] for at in range(len(data)))) == b"a *** b ******"


def test_cutting_a_stream_changes_nothing() -> None:
    """Any text of pieces of secrets that are alike, overlap and begin like each other, cut anywhere."""
    values = ["abcabcabc", "abcabcabcd-more", "cabcabca", "aaaaaaaa"]
    draw = random.Random(7)
    for _ in range(300):
        text = "".join(draw.choice(["abc", "abcabcabc", "d-more", "aaaa", "c", " ", "\n"]) for _ in range(40)).encode()
        cuts = sorted(draw.choices(range(len(text) + 1), k=12))
        blocks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        whole = through(values, text)
        assert through(values, *blocks) == whole
        assert not any(value.encode() in whole for value in values)


def test_a_secret_without_end_takes_no_memory() -> None:
    """Repetitions that overlap are one, however many they are."""
    mask = Mask(["aaaaaaaa"])
    said = b"".join(mask.feed(b"a" * 65536) for _ in range(50))
    assert len(mask._kept) < 16
    assert said + mask.end() == b"***"


@pytest.mark.parametrize("before", ["", "x", "xy", "user:"])
def test_usual_encodings_are_masked(before: str) -> None:
    """base64 wherever the secret stands in it, hexadecimal, of URLs, of JSON."""
    data = VALUE.encode()
    for form in (
        base64.b64encode(before.encode() + data + b"\n"), base64.urlsafe_b64encode(before.encode() + data + b"::"),
        data.hex().encode(), quote_plus(VALUE).encode(), json.dumps(VALUE).encode(),
    ):  # fmt: skip
        told = through([VALUE], form)
        assert b"***" in told
        assert len(told) < 20


def test_each_line_of_a_longer_secret_is_one() -> None:
    """A key is printed line by line, indented, with other ends."""
    key = "-----BEGIN KEY-----\nAAAABBBBCCCC1111\nDDDDEEEEFFFF2222\nxy\n-----END KEY-----\n"
    told = through([key], key.replace("\n", "\r\n  ").encode())
    assert b"AAAABBBB" not in told
    assert b"DDDDEEEE" not in told


def test_ordinary_output_passes_as_it_is() -> None:
    """Any bytes; the end is told too."""
    data = bytes(range(256)) * 300
    assert through([VALUE], data[:1000], data[1000:]) == data
    assert through([VALUE], VALUE.encode()[:-1]) == VALUE.encode()[:-1]


def test_a_text_that_was_cut_off_in_a_secret() -> None:
    """Names of tests are cut at some length."""
    mask = Mask([VALUE])
    assert mask.text(f"test[{VALUE}]") == "test[***]"
    assert mask.text(f"test[{VALUE[:12]}") == "test[***"
    assert mask.text("plain \u2713 s") == "plain \u2713 s"


def test_what_masking_does_not_find() -> None:
    """Whoever has a secret can tell it in a way that nobody looks for: the docs say so."""
    assert through([VALUE], VALUE[::-1].encode()) == VALUE[::-1].encode()
    assert VALUE.encode()[5:] in through([VALUE], VALUE[:5].encode() + b" " + VALUE[5:].encode())
