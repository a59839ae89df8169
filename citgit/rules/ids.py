"""Build ids (PROTOCOL §2): derived ones for triggers and promises, and what an id tells by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from citgit.model.job import Job
from citgit.model.record import Promise, Request
from citgit.records import canonical

_MAX_TIME = 2**48 - 1


def job_digest(job: Job) -> str:
    """sha256 of a resolved job, in hex; a key left at its default does not change it."""
    return _digest(_spare(msgspec.to_builtins(job)))


def trigger_digest(repo: str, principal: str, pool: str, request: Request) -> str:
    """The full digest of a trigger's request: everything that makes it this build and no other."""
    return _digest(
        {
            "repo": repo,
            "principal": principal,
            "pool": pool,
            "job": request.job,
            "branch": request.branch,
            "cell": request.cell,
            "definition": job_digest(request.definition),
            "sources": [[one.repo, one.url, one.commit, one.at] for one in request.sources],
            "parameters": request.parameters,
            "tick": request.cause.tick,
            "generation": request.cause.generation,
            "pipeline": [_promised(one) for one in request.promises],
        }
    )


def trigger_id(time_ms: int, digest: str) -> str:
    """UUIDv8: 48 bits of the cause's time (ms), the rest from the digest."""
    return _uuid8(time_ms, digest)


@lru_cache(maxsize=1 << 12)
def promise_id(build: str, index: int) -> str:
    """The id of the index-th build that `build` promises; it carries the promising build's time."""
    return _uuid8(time_of(build), _digest({"build": build, "index": index}))


def time_of(build: str) -> int:
    """The 48 bits of time in an id, ms since the epoch: for months and display, never for a decision."""
    return int(build.replace("-", "")[:12], 16)


@lru_cache(maxsize=1 << 14)
def month_of(build: str) -> str:
    """yyyy-mm of the id's time: the archive that the build belongs to."""
    return _moment(build)[:7]


def day_of(build: str) -> str:
    """dd of the id's time: the folder in that archive."""
    return _moment(build)[8:]


def months_back(seconds: int, count: int) -> list[str]:
    """The month (yyyy-mm, UTC) of a time in unix seconds, and those before it: `count` in all, newest first."""
    moment = datetime.fromtimestamp(min(max(seconds, 0), 253402300799), UTC)
    last = moment.year * 12 + moment.month - 1
    return [f"{at // 12:04}-{at % 12 + 1:02}" for at in range(last, last - count, -1)]


# cached, as `promise_id`: one turn of a worker asks for the month of each build many times, and an id never changes
@lru_cache(maxsize=1 << 14)
def _moment(build: str) -> str:
    # 253402300799 is the end of the year 9999: what a datetime can hold is less than what 48 bits can
    moment = datetime.fromtimestamp(min(time_of(build) / 1000, 253402300799), UTC)
    return f"{moment.year:04}-{moment.month:02}-{moment.day:02}"  # strftime takes four times as long


def _promised(promise: Promise) -> Sequence[str]:
    return [
        promise.pool,
        promise.request.job,
        job_digest(promise.request.definition),
        _digest(promise.request.cell),
    ]


def _spare(value: Any) -> Any:
    """Without empty tables and lists, at any depth: writing a table out with nothing in it says nothing."""
    if isinstance(value, dict):
        spared = {key: _spare(item) for key, item in value.items()}
        return {key: item for key, item in spared.items() if item not in ({}, [])}
    return [_spare(item) for item in value] if isinstance(value, list | tuple) else value


def _digest(document: Any) -> str:
    return hashlib.sha256(canonical.dumps(document).encode()).hexdigest()


def _uuid8(time_ms: int, digest: str) -> str:
    bits = (min(max(time_ms, 0), _MAX_TIME) << 80) | (int(digest, 16) >> (256 - 80))
    bits = bits & ~(0xF << 76) | (0x8 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
