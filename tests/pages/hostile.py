"""A project whose every text is an attack on whoever looks at its pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from citgit.model.build import Build
from citgit.pages.world import LogPart, World
from citgit.testing.project import project

MARKUP = (
    "\"'><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)></title></pre></style>"
    "<svg onload=alert(3)><a href=javascript:alert(4)>x</a>{{ 7*7 }}{% raw %}<!--]]>"
)
CONTROLS = "\x1b]8;;http://evil.example\x07\x1b[8m\x00\x08\u202e\u2066\u200b\u2028\ufeff<b>"
ATTACK = "<i>\r" + MARKUP + CONTROLS
_KEPT = ("type", "policy", "oid", "id", "pool", "ref", "claim", "kind", "outcome", "state", "assurance", "key", "tip")


def world(*, live: bool = False, builds: int = 40) -> World:
    """A report full of attacks: names, messages, output; a million tests, components without end."""
    made = project()
    chosen = sorted(made.builds, reverse=True)[:builds]
    found = {build: _spoiled(made.builds[build]) for build in chosen}
    whole = made.world(live=live)
    parts = [LogPart(path="/".join([ATTACK[:9]] * depth), word="failed", started=1, ms=9, signal=ATTACK,
                     lines=[(1, "out", ATTACK), (2, "err", ATTACK * 20)]) for depth in range(17)]  # fmt: skip
    parts += [LogPart(path=f"{at}{ATTACK}", word="running", started=2, lines=[(3, "err", ATTACK)]) for at in range(180)]
    return replace(
        whole, name=ATTACK, tips={build: found[build].tip for build in chosen}, load=found.__getitem__,
        log=lambda build: parts if build.id in chosen[:2] else (), alarms=[ATTACK], origin=f"https://github.com/{ATTACK}",
        agents=[replace(agent, name=agent.name + ATTACK, labels=[ATTACK], host=ATTACK, short=ATTACK) for agent in
                whole.agents],
        differences=lambda old, new: {ATTACK: (ATTACK, None)},
    )  # fmt: skip


def _spoiled(build: Build) -> Build:
    """The build with an attack in the place of every text that strangers choose."""
    entries = tuple(_changed(entry, _KEPT) for entry in build.entries)
    request = _changed(build.request, _KEPT)
    assert build.request is not None
    request = msgspec.structs.replace(
        request, upstream=dict(build.request.upstream), cause=build.request.cause,
        sources=tuple(msgspec.structs.replace(one, commit=ATTACK, url=ATTACK) for one in request.sources),
    )  # fmt: skip
    result = _changed(build.result, _KEPT) if build.result else None
    if result and result.tests:
        tests = msgspec.structs.replace(result.tests, total=10**6, failed=10**6, failures=(ATTACK,) * 50)
        result = msgspec.structs.replace(result, tests=tests)
    return msgspec.structs.replace(build, entries=entries, request=request, result=result, owner=ATTACK)


def _changed(value: Any, kept: tuple[str, ...]) -> Any:
    match value:
        case str():
            return value[:12] + ATTACK
        case dict():
            return {_changed(key, kept): _changed(one, kept) for key, one in value.items()}
        case tuple():
            return tuple(_changed(one, kept) for one in value)
        case msgspec.Struct():
            names = [name for name in value.__struct_fields__ if name not in kept]
            return msgspec.structs.replace(value, **{name: _changed(getattr(value, name), kept) for name in names})
    return value
