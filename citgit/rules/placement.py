"""May this agent take this build: each requirement, checked against the agent's advert, with what was found."""

from __future__ import annotations

import re

from citgit.model.job import Job, Requires
from citgit.model.pattern import pattern
from citgit.model.record import Advert, Decision
from citgit.model.units import rounded_size, size_text

_TOOL = pattern(r"([^\s<>=]+)(?:\s*(>=|<=|==|>|<)\s*([0-9][0-9A-Za-z.]*))?")


def decide(job: Job, advert: Advert, *, agent: str, on: str = "", free: int | None = None) -> list[Decision]:
    """All reasons, good and bad; the agent may take the build if every one is `ok`.

    `free` slots is left out when it does not matter (`cit why` about a full agent asks with it).
    """
    wanted = job.requires
    found = [
        Decision(check=f"executor {job.place.executor or 'any'}", ok=_executor(job, advert), found=_executors(advert))
    ]
    if on:
        found.append(Decision(check=f"agent {on}", ok=on == agent, found=agent))
    if free is not None:
        found.append(Decision(check="slot", ok=free > 0, found=f"{free} of {advert.slots} free"))
    found += _machine(wanted, advert)
    found += [_label(label, advert) for label in wanted.labels]
    found += [_tool(tool, advert) for tool in wanted.tools]
    return found


def _machine(wanted: Requires, advert: Advert) -> list[Decision]:
    found = []
    if wanted.os:
        found.append(Decision(check=f"os {wanted.os}", ok=wanted.os == advert.os, found=advert.os))
    if wanted.arch:
        found.append(Decision(check=f"arch {wanted.arch}", ok=wanted.arch == advert.arch, found=advert.arch))
    if wanted.cpu > 1:
        found.append(Decision(check=f"cpu >= {wanted.cpu}", ok=advert.cpu >= wanted.cpu, found=str(advert.cpu)))
    for name, want, have in (("memory", wanted.memory, advert.memory), ("disk", wanted.disk, advert.disk)):
        if want:
            decision = Decision(check=f"{name} >= {size_text(want)}", ok=have >= want, found=rounded_size(have))
            found.append(decision)
    return found


def _executors(advert: Advert) -> str:
    return ", ".join(f"{name}: {why or 'usable'}" for name, why in sorted(advert.executors.items()))


def _executor(job: Job, advert: Advert) -> bool:
    if job.place.executor:
        return advert.executors.get(job.place.executor) == ""
    return "" in advert.executors.values()


def _label(label: str, advert: Advert) -> Decision:
    return Decision(check=f"label {label}", ok=label in advert.labels, found=", ".join(advert.labels))


def _tool(tool: str, advert: Advert) -> Decision:
    parsed = _TOOL.fullmatch(tool.strip())
    name, operator, version = parsed.groups() if parsed else (tool, None, None)
    have = advert.tools.get(name)
    if have is None:
        return Decision(check=f"tool {tool}", ok=False, found="missing")
    ok = operator is None or (have != "" and compare(have, operator, version or ""))
    return Decision(check=f"tool {tool}", ok=ok, found=have or "version unknown")


def tool_name(tool: str) -> str:
    """The name in "name >= version"."""
    parsed = _TOOL.fullmatch(tool.strip())
    return parsed[1] if parsed else tool


def compare(have: str, operator: str, want: str) -> bool:
    """Whether version `have` stands in that relation to `want`; numbers compare as numbers, missing ones as 0."""
    left, right = _numbers(have), _numbers(want)
    length = max(len(left), len(right))
    left, right = left + (0,) * (length - len(left)), right + (0,) * (length - len(right))
    return {
        ">=": left >= right,
        "<=": left <= right,
        ">": left > right,
        "<": left < right,
        "==": left == right,
    }[operator]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version)[:6])
