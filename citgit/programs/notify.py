"""`cit notify`: tells people of builds that ended, by programs `cit-notify-NAME`, as notify.toml says."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import click
import msgspec
import tomli

from citgit.errors import BadConfig, Errored, NotFound, UsageError
from citgit.flows.builds import Repository
from citgit.model.names import is_name
from citgit.model.notice import Notice, Rule, Rules
from citgit.programs.notices import SLACK, Memory, ended, notices
from citgit.programs.reach import reach
from citgit.programs.wording import builtins, emit, plain
from citgit.rules.ids import time_of
from citgit.wiring.clone import Clone, config_dir, open_clone, state_dir

MOST_TRIES = 10
_TIMEOUT_S = 60
_FIRST_PAUSE_S = 30
_POLL_S = 5.0


@click.command("notify", epilog="Example: cit notify --follow")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--config", default="", metavar="FILE", help="who is to be told; default: notify.toml of this user")
@click.option("-f", "--follow", is_flag=True, help="go on until Ctrl-C; else one look, for cron")
@click.option("--dry-run", is_flag=True, help="only tell what would be told")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per notice")
def command(directory: str, config: str, follow: bool, dry_run: bool, as_json: bool) -> None:
    """Tells people of builds that ended since the last look: finished, newly red, newly green.

    Each entry of notify.toml names a program cit-notify-NAME, which gets a JSON document on stdin. One that fails is
    tried again, ten times at growing distance. The first look only notes what there is.
    """
    clone = open_clone(Path(directory))
    place = Path(config) if config else config_dir() / "notify.toml"
    rules = read_rules(place)
    with _Kept(clone, place) as kept:
        while True:
            for notice, said in look(clone, reach(clone), rules, kept, dry_run=dry_run):
                if as_json:
                    emit({**builtins(notice), "told": not said, "error": said})
                else:
                    what = f"{notice.event.value}  {plain(notice.job)}@{plain(notice.branch)}  {notice.build}"
                    click.echo(
                        f"{what}  {f'not told: {plain(said)}' if said else 'would be told' if dry_run else 'told'}"
                    )
            if not follow:
                return
            clone.state.clock.sleep(_POLL_S)


def read_rules(place: Path) -> list[Rule]:
    """The entries of notify.toml. Raises NotFound, BadConfig."""
    try:
        table = msgspec.convert(tomli.loads(place.read_text("utf-8")), Rules)
    except FileNotFoundError:
        raise NotFound(f"no {str(place)!r}: nobody is to be told", hint="docs/notify.md shows one") from None
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise BadConfig(f"cannot read {str(place)!r}: {error}", hint="docs/notify.md shows what it may hold") from None
    names = [rule.name for rule in table.notify]
    for rule in table.notify:
        if not is_name(rule.run) or not is_name(rule.name) or names.count(rule.name) > 1:
            raise BadConfig(f"entry {rule.name!r} in {str(place)!r}: `name` and `run` must be names, `name` its own")
    return list(table.notify)


class _Kept:
    """The memory of one clone and table on disk; locked, so that nobody is told twice by two at once."""

    def __init__(self, clone: Clone, table: Path) -> None:
        digest = hashlib.sha256(f"{clone.url}\n{table.resolve()}".encode()).hexdigest()[:16]
        self.path = state_dir() / "notify" / f"{digest}.json"
        self.memory = Memory()

    def __enter__(self) -> _Kept:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = open(self.path.with_suffix(".lock"), "wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError("another 'cit notify' runs with this table", hint="one is enough") from None
        try:
            self.memory = msgspec.json.decode(self.path.read_bytes(), type=Memory)
        except FileNotFoundError:
            pass
        except msgspec.MsgspecError as error:
            raise Errored(
                f"damaged {str(self.path)!r}: {error}", hint="remove it: what ends from then on is told"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def save(self) -> None:
        """Durable when it returns: what was told is not told again."""
        scratch = self.path.with_suffix(".new")
        with open(scratch, "wb") as file:
            file.write(msgspec.json.encode(self.memory))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)


def look(
    clone: Clone, repository: Repository, rules: list[Rule], kept: _Kept, *, dry_run: bool
) -> list[tuple[Notice, str]]:
    """Delivers what is due; each notice and why it could not be told, "" if it was."""
    now = clone.state.clock.now()
    memory = kept.memory
    fresh = {rule.name for rule in rules if rule.name not in memory.since}
    memory.since |= dict.fromkeys(fresh, now)
    memory.looked = memory.looked or now
    done: list[tuple[Notice, str]] = []
    told = set(memory.told)
    programs = {rule.name: rule.run for rule in rules}
    for build in ended(repository, memory):
        wanted = [
            notice
            for rule in rules
            if build.ended >= memory.since[rule.name]
            for notice in notices(repository, build, rule, clone.person, str(clone.top))
        ]
        for notice in wanted:
            count, due = memory.tries.get(notice.id, (0, 0))
            if notice.id in told or count >= MOST_TRIES or now < due:
                continue
            rule, _, _ = notice.id.rpartition(".")[0].rpartition(".")
            if rule in fresh:
                # it ended before anybody asked to be told
                told.add(notice.id)
                memory.told.append(notice.id)
                continue
            said = "" if dry_run else deliver(notice, programs[rule])
            done.append((notice, said))
            # on a dry run for this process alone: what follows is not to be told again and again
            _note(memory, told, notice.id, said, now)
            if not dry_run:
                kept.save()
        if all(one.id in told or memory.tries.get(one.id, (0, 0))[0] >= MOST_TRIES for one in wanted):
            memory.settled.append(build.id)
    if not dry_run:
        _forget(memory, repository, now)
        kept.save()
    return done


def _note(memory: Memory, told: set[str], notice: str, said: str, now: int) -> None:
    if said:
        count = memory.tries.get(notice, (0, 0))[0] + 1
        memory.tries[notice] = (count, now + _FIRST_PAUSE_S * 2 ** (count - 1))
        return
    told.add(notice)
    memory.told.append(notice)
    memory.tries.pop(notice, None)


def _forget(memory: Memory, repository: Repository, now: int) -> None:
    """What is too old to come up again; a build whose notices still fail stays open."""
    floor = (now - SLACK) * 1000
    settled = set(memory.settled)
    waiting = {key.rpartition(".")[2] for key, (count, _) in memory.tries.items() if count < MOST_TRIES}
    active = {build.id for build in repository.active()}
    memory.open = sorted({*(one for one in active if one not in settled), *waiting})
    memory.settled = [one for one in memory.settled if time_of(one) >= floor or one in active]
    alive = {*memory.settled, *memory.open}
    memory.told = [one for one in memory.told if one.rpartition(".")[2] in alive]
    memory.tries = {key: tried for key, tried in memory.tries.items() if key.rpartition(".")[2] in alive}
    memory.looked = now


def deliver(notice: Notice, name: str) -> str:
    """Runs cit-notify-NAME with the notice on stdin; why it could not be told, "" if it was."""
    program = shutil.which(f"cit-notify-{name}")
    if program is None:
        return f"there is no cit-notify-{name} on PATH"
    try:
        done = subprocess.run(
            [program], input=msgspec.json.encode(notice) + b"\n", capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"cit-notify-{name} took longer than {_TIMEOUT_S} s"
    except OSError as error:
        return f"cit-notify-{name}: {error.strerror}"
    if not done.returncode:
        return ""
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"cit-notify-{name} ended with {done.returncode}" + (f": {said[-1][:300]}" if said else "")
