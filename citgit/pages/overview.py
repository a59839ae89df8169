"""The pages about many builds: the overview, the agents, and one for each job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from citgit.pages import charts, words
from citgit.pages.past import ACTIVE, ENDED, RED, Past, by_job, flaky_builds, latest
from citgit.pages.summary import Summary
from citgit.pages.world import World

_HISTORY = 80
_LISTED = 400
_BRANCHES = 8
_RECENT = 40
_RATE = 50
_TREND = 16
_DAYS = 30
_DAY = 86400
_MAIN = ("main", "master")


def overview(world: World, past: Past) -> dict[str, object]:
    """What waits and runs, what is red, jobs by branches, and the last builds."""
    newest = {job: latest(builds) for job, builds in by_job(past.ordered).items() if job}
    trend: dict[str, list[Summary]] = defaultdict(list)
    branches: dict[str, int] = {}
    for one in past.ordered:
        if not one.job:
            continue
        branches.setdefault(one.branch, len(branches))
        if one.word not in ACTIVE and len(trend[one.job]) < _TREND:
            trend[one.job].append(one)
    # the branches with news come first, but the ones that all have stay in their place
    chosen = sorted(branches, key=lambda name: (name not in _MAIN, branches[name]))[:_BRANCHES]
    red = [one for _, row in sorted(newest.items()) for one in row.values() if one.word in RED]
    return {
        "world": world, "here": "", "tab": "overview", "jobs": {job: newest[job] for job in sorted(newest)},
        "trends": {job: charts.trend(trend[job][::-1], words.say) for job in newest},
        "branches": chosen, "more_branches": len(branches) - len(chosen), "usual": past.usual,
        "active": [one for one in past.ordered if one.word in ACTIVE], "name_of": words.name_of,
        "red": sorted(red, key=lambda one: (one.branch not in chosen[:1], -one.requested))[:_RECENT],
        "recent": [one for one in past.ordered if one.word not in ACTIVE][:_RECENT], "known": len(past.ordered),
    }  # fmt: skip


def agents(world: World, past: Past) -> dict[str, object]:
    """Each agent, what it does now, and how much of it was used on each of the last days."""
    used: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    now: dict[str, list[Summary]] = defaultdict(list)
    today = world.now // _DAY
    for one in past.ordered:
        name = one.agent.removeprefix("agent:")
        if one.word in ("running", "stopping"):
            now[name].append(one)
        if today - _DAYS < one.ended // 1000 // _DAY <= today:
            used[name][one.ended // 1000 // _DAY] += one.wall_ms
    shares = {
        agent.name: [
            (words.moment(day * _DAY)[:10], used[agent.name][day] / (max(1, agent.slots) * _DAY * 1000))
            for day in range(today - _DAYS + 1, today + 1)
        ]
        for agent in world.agents
    }
    most = max((share for days in shares.values() for _, share in days), default=0.0)
    return {
        "world": world, "here": "", "tab": "agents", "now": now, "most": most,
        "loads": {name: charts.load(days, most) for name, days in shares.items()},
        "means": {name: sum(share for _, share in days) / _DAYS for name, days in shares.items()},
    }  # fmt: skip


def job(world: World, past: Past, name: str, builds: Sequence[Summary]) -> dict[str, object]:
    """One job: how often it passes, how long it takes, where, and all its builds, newest first."""
    ended = [one for one in builds if one.wall_ms and one.word in ENDED]
    last = ended[:_RATE]
    times = sorted(one.wall_ms for one in last if one.word == "passed")
    return {
        "world": world, "here": "../", "job": name, "builds": builds[:_LISTED],
        "more": max(0, len(builds) - _LISTED), "latest": latest(builds),
        "usual": times[len(times) // 2] if times else 0, "slow": times[len(times) * 9 // 10] if times else 0,
        "rate": round(100 * sum(one.word == "passed" for one in last) / len(last)) if last else None,
        "counted": len(last), "flaky": flaky_builds(builds)[:_RECENT],
        "flaky_tests": sorted(past.flaky.get(name, ()))[:_RECENT],
        "chart": charts.history(ended[:_HISTORY][::-1], words.say, _build_page),
        "days": charts.days(_by_day(world.now, builds)),
        "badge": badge(name, builds), "cells": any(one.cell for one in builds),
    }  # fmt: skip


def badge(name: str, builds: Sequence[Summary]) -> str:
    """The badge of a job: its last outcome on main, or wherever it was built last."""
    over = [one for one in builds if one.word not in ACTIVE]
    newest = next((one for one in over if one.branch in _MAIN), over[0] if over else None)
    return charts.badge(name, newest.word if newest else "unknown")


def _by_day(now: int, builds: Sequence[Summary]) -> list[tuple[str, int, int, int]]:
    """(day, passed, failed, others) of the last days, oldest first."""
    today = now // _DAY
    counts: dict[int, list[int]] = {day: [0, 0, 0] for day in range(today - _DAYS + 1, today + 1)}
    for one in builds:
        if one.word not in ACTIVE and (day := counts.get(one.requested // _DAY)) is not None:
            day[0 if one.word in ("passed", "reused") else 1 if one.word == "failed" else 2] += 1
    return [(words.moment(day * _DAY)[:10], *counts[day]) for day in counts]  # type: ignore[misc]


def _build_page(build: str) -> str:
    return "../" + words.build_page(build)
