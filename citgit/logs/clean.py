"""Makes output safe to show in a terminal: colours and plain links pass, every other control becomes visible text."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"(?P<colour>\x1b\[[0-9;]{0,40}m)"
    r"|(?P<link>\x1b\]8;[^;\x00-\x1f\x7f-\x9f]{0,100};(?P<url>[^\x00-\x1f\x7f-\x9f]{0,2000})(?:\x07|\x1b\\))"
    r"|(?P<erase>\x1b\[[0-2]?K)"
    r"|(?P<control>[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb])"
    r"|(?P<surrogate>[\ud800-\udfff])"
)
_RESET = "\x1b[0m"
_LINK_END = "\x1b]8;;\x1b\\"

_URL = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?(/[!-~]*)?")
"""Where a link may lead: no other program is started by it, and no user name hides the host."""


def visible(text: str, *, colour: bool = True) -> str:
    """One line of output as it may be shown: the last state of a progress line, nothing hidden, nothing obeyed."""
    coloured = linked = False

    def shown(found: re.Match[str]) -> str:
        nonlocal coloured, linked
        token = found[0]
        match found.lastgroup:
            case "colour":
                passes = colour and not _hides(token[2:-1])
                coloured = coloured or passes
                return token if passes else ""
            case "link":
                passes = colour and _URL.fullmatch(found["url"]) is not None
                ends, linked = linked and not passes, passes
                return f"\x1b]8;;{found['url']}\x1b\\" if passes else _LINK_END if ends else ""
            case "erase":
                # gcc writes these around its colours; on a line by itself they do nothing.
                return ""
            case "control" if ord(token) < 0x20 or token == "\x7f":
                return f"^{chr(ord(token) ^ 0x40)}"
        return f"<U+{ord(token):04X}>"

    clean = _TOKEN.sub(shown, last_state(text))
    return clean + (_LINK_END if linked else "") + (_RESET if coloured else "")


def last_state(text: str) -> str:
    """What a terminal would show of a line that returns to its start: its last part that is not empty."""
    if "\r" not in text:
        return text
    return next((part for part in reversed(text.split("\r")) if part), "")


def _hides(codes: str) -> bool:
    """Whether an SGR sequence conceals text (code 8, unless it is the number of a colour)."""
    words = [word.lstrip("0") or "0" for word in codes.split(";")]
    at = 0
    while at < len(words):
        if words[at] in ("38", "48", "58") and at + 1 < len(words):
            at += {"5": 3, "2": 5}.get(words[at + 1], 1)
        elif words[at] == "8":
            return True
        else:
            at += 1
    return False
