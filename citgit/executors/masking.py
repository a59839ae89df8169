"""Masks known secrets in a stream: copies stdin to stdout, with three asterisks for each of them.

    python -IS masking.py <pipe >>log

The shim starts it where a job has secrets, in the place of `cat`; descriptor 8 holds their values by name, as JSON.
It imports nothing but the standard library, for it starts without the packages of citgit.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

VALUES_FD = 8
STARS = b"***"

_LEAST = 8
_LEAST_END = 4
_BLOCK = 1 << 16


def forms(value: str) -> set[bytes]:
    """What is looked for: the value, each longer line of it, and both in the usual encodings."""
    found: set[bytes] = set()
    lines = [line.strip() for line in value.splitlines()]
    for text in (value, value.strip(), *lines):
        data = text.encode(errors="surrogateescape")
        if len(data) < _LEAST:
            continue
        found |= {data, data.hex().encode(), data.hex().upper().encode(), json.dumps(text)[1:-1].encode()}
        found |= {quote(data, safe="").encode(), quote(data).encode(), quote_plus(data).encode()}
        found |= {repr(text)[1:-1].encode(errors="surrogateescape"), data.replace(b"\n", b"\r\n")}
        for lead in range(3):
            found |= {one for one in (_inner(data, lead, b"+/"), _inner(data, lead, b"-_")) if len(one) >= _LEAST}
    return found


def _inner(data: bytes, lead: int, letters: bytes) -> bytes:
    """What base64 makes of the value whatever comes before (`lead` bytes, modulo 3) and behind it."""
    whole = base64.b64encode(b"\0" * lead + data, letters).rstrip(b"=")
    begin = (0, 2, 3)[lead]
    return whole[begin : (lead + len(data)) * 8 // 6]


class Mask:
    """Masks a stream, block after block: a secret may be split anywhere between them."""

    def __init__(self, values: Iterable[str]) -> None:
        self._forms = sorted({form for value in values for form in forms(value)})
        self._longest = max(map(len, self._forms), default=0)
        self._kept = b""
        self._covered = 0

    def feed(self, data: bytes) -> bytes:
        """What can be told now: the end is kept for as long as a secret may begin there."""
        return self._told(self._kept + data, final=False)

    def end(self) -> bytes:
        """What is left, when nothing more comes."""
        return self._told(self._kept, final=True)

    def text(self, text: str) -> str:
        """A text as a whole, that may have been cut off in the middle of a secret."""
        data = Mask.feed(fresh := self._fresh(), text.encode(errors="surrogatepass"))
        rest = fresh._kept[fresh._covered :]
        end = STARS if len(rest) >= _LEAST_END else rest
        return (data + end).decode(errors="replace")

    def _fresh(self) -> Mask:
        made = Mask(())
        made._forms, made._longest = self._forms, self._longest
        return made

    def _told(self, buffer: bytes, *, final: bool) -> bytes:
        hold = len(buffer) if final else self._hold(buffer)
        at, said = self._covered, []
        for begin, end in self._found(buffer):
            if begin >= hold:
                break
            if begin >= at:
                said += [buffer[at:begin], STARS]
            at = max(at, end)
        if at < hold:
            said.append(buffer[at:hold])
            at = hold
        # what is masked already may still be the beginning of another one
        self._kept, self._covered = buffer[hold:], at - hold
        return b"".join(said)

    def _found(self, buffer: bytes) -> list[tuple[int, int]]:
        """Where secrets are, the first first; those that overlap are one."""
        found = []
        for form in self._forms:
            at = buffer.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = buffer.find(form, at + 1)
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(found):
            if merged and begin < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged

    def _hold(self, buffer: bytes) -> int:
        """From where on the end of the buffer may be the beginning of a secret."""
        tail = buffer[-self._longest :] if self._longest else b""
        longest = 0
        for form in self._forms:
            for size in range(min(len(form) - 1, len(tail)), longest, -1):
                if form[size - 1] == tail[-1] and tail.endswith(form[:size]):
                    longest = size
                    break
        return len(buffer) - longest


def main() -> None:
    """Copies until the end of stdin."""
    size = os.fstat(VALUES_FD).st_size
    mask = Mask(json.loads(os.pread(VALUES_FD, size, 0)).values())
    os.close(VALUES_FD)
    while data := os.read(0, _BLOCK):
        _write(mask.feed(data))
    _write(mask.end())


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
