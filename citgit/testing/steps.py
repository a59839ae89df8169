"""Names every call that a flow makes to the world, so that a test can act before or after the n-th of a name.

The wrapped objects are real ones. Steps are "part.method", with what it was about where that matters:
"remote.push:claim", "remote.fetch:archive", "journal.add:result", "objects.write:commit".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

At = Callable[[str, str], None]
"""Called with "before" or "after", and the step."""


class Steps:
    """Wraps the parts of one client. What a push is about is known from what the journal was given before it."""

    def __init__(self, at: At) -> None:
        self._at = at
        self._kinds: dict[str, str] = {}

    def wrapped(self, part: str, inner: Any) -> Any:
        """`inner`, whose every call is a step of `part`."""
        return _Wrapped(self, part, inner)

    def call(self, part: str, method: str, act: Callable[..., Any], args: tuple[Any, ...], options: Any) -> Any:
        """One call, with its step told before and after it."""
        about = self._about(part, method, args)
        step = f"{part}.{method}" + (f":{about}" if about else "")
        self._at("before", step)
        done = act(*args, **options)
        self._at("after", step)
        return done

    def _about(self, part: str, method: str, args: tuple[Any, ...]) -> str:
        if (part, method) == ("journal", "add"):
            self._kinds |= {entry.new: str(entry.kind) for entry in args}
            return "+".join(sorted({str(entry.kind) for entry in args}))
        if (part, method) == ("journal", "settle"):
            return "+".join(sorted({self._kinds.get(new, "other") for new in args}))
        if (part, method) == ("remote", "push"):
            kinds = sorted({self._kinds.get(one.new, "other") if one.new else "delete" for one in args[0]})
            return "+".join(kinds)
        if (part, method) == ("remote", "fetch"):
            return "+".join(sorted({(one.split("/") + [""] * 3)[2] for one in args[0]}))
        return str(args[0]) if (part, method) == ("objects", "write") else ""


class _Wrapped:
    def __init__(self, steps: Steps, part: str, inner: Any) -> None:
        self._steps = steps
        self._part = part
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found) or name.startswith("_"):
            return found

        def call(*args: Any, **options: Any) -> Any:
            return self._steps.call(self._part, name, found, args, options)

        return call
