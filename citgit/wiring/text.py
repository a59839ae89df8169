"""Text from records and logs as a terminal may show it."""

from __future__ import annotations

from citgit.logs.clean import visible

__all__ = ["visible"]
