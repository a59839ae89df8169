"""What reaches a terminal are colours and visible text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citgit.logs.clean import visible


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain ü 漢\ttab", "plain ü 漢\ttab"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m\x1b[0m"),
        ("\x1b[01;31m\x1b[Kerror:\x1b[m\x1b[K", "\x1b[01;31merror:\x1b[m\x1b[0m"),
        ("\x1b[38;5;8mgrey", "\x1b[38;5;8mgrey\x1b[0m"),
        ("\x1b[8mhidden", "hidden"),
        ("\x1b[0;08mhidden", "hidden"),
        ("\x1b]0;title\x07", "^[]0;title^G"),
        ("\x1b]52;c;aGk=\x1b\\", "^[]52;c;aGk=^[\\"),
        ("\x1b]8;;http://x/a?b\x07link", "\x1b]8;;http://x/a?b\x1b\\link\x1b]8;;\x1b\\"),
        ("\x1b]8;id=1;https://x\x1b\\link\x1b]8;;\x07 on", "\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\ on"),
        ("\x1b]8;;file:///etc/passwd\x07link\x1b]8;;\x07", "link"),
        ("\x1b]8;;https://good.example@evil.example/\x07link", "link"),
        ("\x1b]8;;javascript:alert(1)\x07link", "link"),
        ("\x1b[2J\x1b[H", "^[[2J^[[H"),
        ("\x1bP1$q\x1b\\\x9b31m", "^[P1$q^[\\<U+009B>31m"),
        ("a\0b\x7f\b", "a^@b^?^H"),
        ("abc\u202edef\u200b", "abc<U+202E>def<U+200B>"),
        (" 10%\r 50%\r100%", "100%"),
        ("done\r", "done"),
        ("\r\r", ""),
        ("\ud800", "<U+D800>"),
    ],
)
def test_only_colours_pass(text: str, wanted: str) -> None:
    """Control characters become text, progress lines their last state, colours end with their line."""
    assert visible(text) == wanted


def test_colours_can_be_left_out() -> None:
    """Without colours no escape is left."""
    assert visible("\x1b[31mred\x1b[0m", colour=False) == "red"


@given(st.text(st.characters() | st.sampled_from("\x1b[];mK0123456789\r\x07\x9b8")))
def test_nothing_but_colours_ever_passes(text: str) -> None:
    """Without colours, no output holds a control character; with them, only whole colour sequences and links."""
    plain = visible(text, colour=False)
    assert all(char == "\t" or (ord(char) >= 0x20 and not 0x7F <= ord(char) <= 0x9F) for char in plain)
    parts = re.sub(r"\x1b\]8;;(https?://[!-~]*)?\x1b\\", "", visible(text)).split("\x1b")
    assert all(part[0] == "[" and part[1:].lstrip("0123456789;").startswith("m") for part in parts[1:])
