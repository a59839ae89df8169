"""What the parts of a record's body have in common."""

from __future__ import annotations

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a body: immutable, defaults left out of the bytes."""
