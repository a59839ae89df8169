"""What an attempt is entrusted with: kept for its user alone until its result is made, and masked in that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from citgit.model.plan import Plan
from citgit.model.record import Result
from citgit.workspaces.kept import kept

SECRETS = "secrets"
_TOLD = ("reason", "first_error", "tests", "components", "log")


def entrusted(plan: Plan, give: Callable[[], dict[str, str]]) -> Plan:
    """The plan with the values in its environment: those that it was given before, or what `give` gives now.

    Only what is handed to the executor holds them; plan.json never does. Raises Refused.
    """
    place = Path(plan.directory) / SECRETS
    values = kept(place, dict[str, str])
    if values is None:
        values = give()
        scratch = place.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(values))
        scratch.replace(place)
    return msgspec.structs.replace(plan, env={**plan.env, **values})


def masked(result: Result, hide: Callable[[str], str]) -> Result:
    """The result without the values; a file whose name holds one is not among its artifacts."""
    document = msgspec.to_builtins(result)
    document |= {name: _hidden(document[name], hide) for name in _TOLD if name in document}
    document["artifacts"] = [one for one in document.get("artifacts", ()) if hide(one["path"]) == one["path"]]
    return msgspec.convert(document, Result)


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    match value:
        case str():
            return hide(value)
        case dict():
            return {key: _hidden(one, hide) for key, one in value.items()}
        case list() | tuple():
            return [_hidden(one, hide) for one in value]
    return value
