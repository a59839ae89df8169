"""Flipped bytes and cut files at the host, in clones and on nodes: no reader says anything else than the truth."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from world import CIT, FULL, Record, World

from citgit.errors import CitError
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.git.journal import FileJournal
from citgit.wiring.clone import open_clone

CASES = 1000 if FULL else 60
EACH = 50


def files(world: World) -> Iterator[Path]:
    """What holds state: objects, refs and configuration of the host and the clone, the node's memory and journal."""
    for place in (world.bare, world.clone_dir / ".git", world.home("lab1")):
        for path in sorted(place.rglob("*")):
            if path.is_file() and not path.is_symlink() and not {"workspaces", "mirrors", "hooks"} & set(path.parts):
                yield path


def damage(path: Path, chance: random.Random) -> str:
    """Flips a bit, cuts the file, or empties it; what was done."""
    content = bytearray(path.read_bytes())
    kind = chance.choice(["flip", "flip", "cut", "empty"]) if content else "fill"
    at = chance.randrange(len(content)) if content else 0
    if kind == "flip":
        content[at] ^= 1 << chance.randrange(8)
    new = {"flip": bytes(content), "cut": bytes(content[:at]), "empty": b"", "fill": b"\0" * 16}[kind]
    path.chmod(0o644)
    path.write_bytes(new)
    return f"{kind} {path} at {at}"


def said(world: World) -> dict[str, str]:
    """What a reader makes of it. Raises CitError."""
    clone = open_clone(world.clone_dir)
    repository = Repository(clone.state, poll(clone.state))
    builds = {build.id: build for build in (*repository.active(), *repository.archived())}
    told = [build.broken for build in builds.values() if build.broken]
    if repository.snapshot.alarms or told:
        raise CitError("; ".join([*repository.snapshot.alarms, *told]))
    return {each.id: f"{each.state} {each.outcome} {each.final}" for each in builds.values()}


@pytest.mark.heavy
@pytest.mark.parametrize("first", range(0, CASES, EACH))
def test_no_reader_is_deceived(make: Callable[..., World], first: int, record_property: Record) -> None:
    """Each case damages one file of a copy: the same answer, or an error or alarm, never another answer."""
    world = make(slow=0)
    world.ask(3)
    worker = world.worker()
    world.until_archived()
    world.go.touch()
    world.ask(2, "slow")
    worker.leave()
    world.cit("status", "--all")
    truth = said(world)
    entries = FileJournal(world.home("lab1") / "journal").entries()
    whole = world.top / "whole"
    places = (world.bare, world.clone_dir, world.home("lab1"))
    for place in places:
        shutil.copytree(place, whole / place.name, symlinks=True, ignore=shutil.ignore_patterns("*.pipe"))
    complaints = 0
    cases = range(first, min(first + EACH, CASES))
    record_property("tried", len(cases))
    for seed in cases:
        chance = random.Random(seed)
        done = damage(chance.choice(list(files(world))), chance)
        try:
            assert said(world) == truth, f"{done} changed what is read, without a word (seed {seed})"
        except CitError:
            complaints += 1
        except Exception as error:
            raise AssertionError(f"{done} is no error that can be understood (seed {seed})") from error
        assert FileJournal(world.home("lab1") / "journal").entries() in (entries, []), f"{done} (seed {seed})"
        for place in places:
            shutil.rmtree(place)
            shutil.copytree(whole / place.name, place, symlinks=True, ignore=shutil.ignore_patterns("*.pipe"))
    assert complaints, "no damage was ever noticed: this looks in the wrong place"
    world.worker()
    world.until_archived()


@pytest.mark.heavy
def test_caches_are_rebuilt(make: Callable[..., World]) -> None:
    """What a clone keeps to be faster may be lost or spoilt: the next command reads as before."""
    world = make()
    world.ask(2)
    world.worker()
    world.until_archived()
    before = world.run(*CIT, "status", "--all", "--json")
    caches = [path for path in (world.clone_dir / ".git").glob("cit*") if "mirror" not in path.name]
    for path in caches:
        for file in [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]:
            file.write_bytes(b"\0damaged\xff\0")
    assert len(world.run(*CIT, "status", "--all", "--json").splitlines()) == len(before.splitlines())
