"""Archives of any size are read in bounded portions: what a poll, a look-up and a search read does not grow."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from citgit.flows.archive import archive
from citgit.flows.audit import every
from citgit.flows.builds import Repository
from citgit.flows.compare import ask, ask_all
from citgit.flows.control import control
from citgit.flows.history import Search
from citgit.flows.poll import poll
from citgit.flows.publishing import publish
from citgit.flows.reap import Watches, watch
from citgit.flows.state import Actor, State
from citgit.flows.writing import follow, write
from citgit.interfaces import Update
from citgit.model.job import Job
from citgit.model.names import Kind, Refs
from citgit.model.policy import Seal
from citgit.model.record import Cancel, Cause, Config, PinnedSource, Request
from citgit.model.team import Agent, Person, Pool, Role, Team
from citgit.records.folded import Folded, lines, message
from citgit.rules.folding import MOST_PARENTS, is_due
from citgit.rules.ids import month_of, months_back
from citgit.testing.clock import FakeClock, SeededEntropy
from citgit.testing.counting import CountingObjects
from citgit.testing.keys import FakeSigner, FakeVerifier, fake_public_key
from citgit.testing.memory import MemoryHost, MemoryJournal, MemoryObjects, MemoryRemote, MemoryTips


class Asked:
    """A remote that remembers what it was asked for."""

    def __init__(self, remote: MemoryRemote) -> None:
        self._remote = remote
        self.fetched: list[list[str]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return self._remote.url

    def fetch(self, prefixes: list[str]) -> dict[str, str]:
        """As the remote."""
        self.fetched.append(list(prefixes))
        return self._remote.fetch(prefixes)

    def push(self, updates: list[Update]) -> list[object]:
        """As the remote."""
        return self._remote.push(updates)  # type: ignore[return-value]


@dataclass
class World:
    """One host, anna and lab1; `clock` moves only when told to."""

    host: MemoryHost = field(default_factory=MemoryHost)
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.entropy = SeededEntropy(random.Random(1), self.clock)
        self.writer = self.client()
        team = Team(
            person={"anna": Person(keys=(fake_public_key("anna"),), roles=(Role.ADMIN, Role.REQUEST))},
            agent={"lab1": Agent(key=fake_public_key("lab1"))}, pool={"default": Pool(request=("@people",))},
        )  # fmt: skip
        publish(self.writer, self.actor("person:anna"), team, before=None, seal=Seal())

    def actor(self, name: str) -> Actor:
        """An actor."""
        return Actor(name=name, signer=FakeSigner(name.partition(":")[2]), journal=MemoryJournal())

    def client(self) -> State:
        """A client that counts what it reads."""
        objects = MemoryObjects()
        return State(
            refs=Refs(), objects=CountingObjects(objects), remote=Asked(MemoryRemote(self.host, objects)),  # type: ignore[arg-type]
            tips=MemoryTips(), verifier=FakeVerifier(), clock=self.clock, entropy=self.entropy,
        )  # fmt: skip

    def ask(self, job: str = "check", branch: str = "main") -> str:
        """A new request."""
        state, snapshot = self.writer, poll(self.writer)
        build = self.entropy.build_id()
        body = Request(
            job=job, branch=branch, config=Config(branch=branch, commit="a" * 40), definition=Job(command=("true",)),
            sources=(PinnedSource(ref="main", commit=build.replace("-", "") + "0" * 8),), cause=Cause(),
        )  # fmt: skip
        ref = state.refs.build("default", build)
        write(state, self.actor("person:anna"), [
            follow(state, self.actor("person:anna"), snapshot, body, ref=ref, build=build, parent=None)
        ])  # fmt: skip
        return build

    def ended(self, count: int, job: str = "check", branch: str = "main") -> list[str]:
        """Builds that were cancelled and archived, a second apart, fifty to a fold."""
        made = []
        for at in range(count):
            self.clock.advance(1)
            made.append(self.ask(job, branch))
            repository = Repository(self.writer, poll(self.writer))
            build = repository.find(made[-1])
            assert build is not None
            control(self.writer, self.actor("person:anna"), repository, build, Cancel())
            if at % 50 == 49 or at == count - 1:
                self.fold()
        return made

    def fold(self) -> list[str]:
        """What lab1 archives a minute later, when it is due in a day of this size."""
        self.clock.advance(60)
        done = archive(self.writer, self.actor("agent:lab1"), Repository(self.writer, poll(self.writer)), "default")
        return done


@pytest.fixture
def world() -> World:
    """A world."""
    return World()


def reads(state: State) -> tuple[int, int]:
    """What was read since the last question, in objects and bytes."""
    counting = state.objects
    assert isinstance(counting, CountingObjects)
    found = counting.reads, counting.bytes
    counting.clear()
    return found


def test_a_poll_reads_the_same_whatever_the_history(world: World) -> None:
    """Refs, objects and bytes of a worker's poll do not grow with what is archived, nor does it ask for more."""
    found = []
    for more in (10, 200):
        world.ended(more)
        waiting = world.ask()
        state = world.client()
        poll(state)
        asked = state.remote.fetched  # type: ignore[attr-defined]
        asked.clear()
        reads(state)
        repository = Repository(state, poll(state, ["default"]))
        assert not repository.is_archived("default", waiting)
        assert not repository.is_archived("default", waiting)
        first = reads(state)
        assert [one.id for one in Repository(state, poll(state, ["default"])).active()] == [waiting]
        reads(state)
        again = Repository(state, poll(state, ["default"]))
        assert not again.is_archived("default", waiting)
        assert list(again.active())
        found.append((len(again.snapshot.tips), reads(state), asked[-2:], first[0]))
        control(world.writer, world.actor("person:anna"), Repository(world.writer, poll(world.writer)),
                Repository(world.writer, poll(world.writer)).find(waiting), Cancel())  # type: ignore[arg-type] # fmt: skip
        world.fold()
    assert found[0] == found[1]
    assert found[0][1] == (0, 0)


def test_a_watch_forgets_what_has_ended(world: World) -> None:
    """What an observer keeps is about active builds, however long it lives; how long one waited it does not forget."""
    state, watches = world.client(), Watches()
    waiting = world.ask()
    watch(state, Repository(state, poll(state)), watches, ["default"])
    since = watches.first_seen[waiting]
    for _ in range(3):
        ended = world.ask()
        watch(state, Repository(state, poll(state)), watches, ["default"])
        assert set(watches.first_seen) == {waiting, ended}
        repository = Repository(world.writer, poll(world.writer))
        control(world.writer, world.actor("person:anna"), repository, repository.find(ended), Cancel())  # type: ignore[arg-type]
        world.fold()
    watch(state, Repository(state, poll(state)), watches, ["default"])
    assert watches.first_seen == {waiting: since}


def test_finding_a_build_reads_its_own_records(world: World) -> None:
    """By its id: the archive, its days, one day, the build's folder, its chain."""
    counts = []
    for more in (10, 200):
        made = world.ended(more)
        state = world.client()
        repository = Repository(state, poll(state))
        reads(state)
        build = repository.find(made[0])
        assert build is not None
        assert build.is_final
        counts.append(reads(state)[0])
    assert counts[0] == counts[1] <= 12


def test_search_reads_from_the_newest_end(world: World) -> None:
    """The newest build of a job that is built all the time costs the same in a long history."""
    counts = []
    for more in (60, 300):
        world.ended(more)
        made = world.ended(1, "rare", "topic")
        newest = world.ended(1)
        state = world.client()
        repository = Repository(state, poll(state))
        reads(state)
        search = Search(repository)
        assert [one.id for one in search.newest(lambda line: line.job == "rare", lambda build: True, 1)] == made
        assert [one.id for one in search.newest(lambda line: line.job == "check", lambda build: True, 1)] == newest
        counts.append(reads(state)[0])
        assert search.whole
    assert counts[0] == counts[1]
    lines_only = Search(repository)
    assert lines_only.newest(lambda line: line.job == "none", lambda build: True, 1) == []
    assert reads(state)[0] < 40, "no build is read whose line says no"
    assert len(Search(repository).newest(lambda line: line.job == "check", lambda build: True, 2)) == 2
    assert reads(state)[0] < 40, "of a fold no more builds are read than are shown"
    short = Search(repository, left=100)
    assert short.newest(lambda line: line.job == "none", lambda build: True, 1) == []
    assert not short.whole


def test_a_line_is_a_hint(world: World) -> None:
    """What an archive's message says of a build is not believed: the chain is asked."""
    world.ended(1)
    repository = Repository(world.writer, poll(world.writer))
    found = Search(repository).newest(lambda line: line.job == "check", lambda build: False, 1)
    assert found == []


def test_the_newest_is_the_newest_asked_for(world: World) -> None:
    """A long build that ends after a later short one is not the latest."""
    slow = world.ask()
    world.clock.advance(10)
    (quick,) = world.ended(1)
    repository = Repository(world.writer, poll(world.writer))
    control(world.writer, world.actor("person:anna"), repository, repository.find(slow), Cancel())  # type: ignore[arg-type]
    assert world.fold() == [slow]
    repository = Repository(world.writer, poll(world.writer))
    found = Search(repository).newest(lambda line: True, lambda build: True, 2)
    assert [one.id for one in found] == [quick, slow]
    assert [one.id for one in repository.archived()] == [quick, slow]


def test_older_months_come_when_asked(world: World) -> None:
    """A poll asks for this month and the last; a build of another month brings its month with it."""
    (old,) = world.ended(1)
    world.clock.advance(200 * 86_400)
    (new,) = world.ended(1)
    state = world.client()
    repository = Repository(state, poll(state))
    archives = {ref.rpartition("/")[2] for ref in repository.snapshot.of(state.refs, Kind.ARCHIVE)}
    assert archives == {month_of(new)}
    assert [one.id for one in repository.archived()] == [new]
    found = repository.find(old)
    assert found is not None
    assert found.is_final
    assert [one.id for one in repository.archived()] == [new, old]
    assert repository.find(str(old[:-1]) + ("0" if old[-1] != "0" else "1")) is None
    # what was once seen is remembered
    assert [one.id for one in Repository(state, poll(state)).archived()] == [new, old]


def test_a_wrong_clock_hides_no_archive(world: World) -> None:
    """Whoever's clock is ten years off, and sees no active build, still asks for the months in which builds ended."""
    (first,) = world.ended(1)
    state = world.client()
    poll(state)
    state.clock = FakeClock()
    state.clock.advance(10 * 365 * 86_400)
    (second,) = world.ended(1)
    repository = Repository(state, poll(state))
    assert {one.id for one in repository.archived()} == {first, second}


def test_whole_histories_are_asked_for(world: World) -> None:
    """Some months, or all of them: what `cit status --since` and `cit verify --all` need."""
    (old,) = world.ended(1)
    world.clock.advance(100 * 86_400)
    (middle,) = world.ended(1)
    world.clock.advance(100 * 86_400)
    (new,) = world.ended(1)
    state = world.client()
    snapshot = poll(state)
    assert [one.id for one in Repository(state, snapshot).archived()] == [new]
    some = ask(state, snapshot, *months_back(world.clock.now(), 5))
    assert [one.id for one in Repository(state, some).archived()] == [new, middle]
    whole = Repository(state, ask_all(state, snapshot))
    assert [one.id for one in whole.archived()] == [new, middle, old]
    assert [one.id for one in every(whole)] == [new, middle, old]


def test_a_rewound_archive_is_told_whenever_it_is_asked_for(world: World) -> None:
    """Months that come later are held against what is remembered too."""
    world.ended(60)
    state = world.client()
    poll(state)
    (ref,) = [ref for ref in world.host.refs if "/archive/" in ref]
    tip = world.host.refs[ref]
    world.host.refs[ref] = state.objects.read(tip)[1].split(b"parent ")[1][:40].decode()
    assert any("rewound" in alarm for alarm in poll(state).alarms)
    assert poll(state).tips[ref] == tip


def test_folds_wait_until_they_are_worth_it() -> None:
    """In a small day at once; in a large one for many builds or some minutes; a wrong clock never delays."""
    assert is_due(1, 0, 0)
    assert is_due(1, 40, 0)
    assert not is_due(1, 33_000, 60)
    assert is_due(MOST_PARENTS, 33_000, 0)
    assert is_due(1, 33_000, 700)
    assert is_due(1, 33_000, -5)
    assert is_due(16, 1_000, 0)


def test_months() -> None:
    """The current month and those before it, across the year."""
    assert months_back(1_700_000_000, 3) == ["2023-11", "2023-10", "2023-09"]
    assert months_back(1_704_067_200, 2) == ["2024-01", "2023-12"]


def test_lines_survive_any_branch(world: World) -> None:
    """What is written into an archive's message is read back; older and foreign lines are no error."""
    branch = 'tópic/a b\\c"d'
    world.ended(1, "check", branch)
    build = next(Repository(world.writer, poll(world.writer)).archived())
    text = message("default", "2023-11", [build])
    assert text.isascii()
    assert text.count("\n") == 3
    request = build.request
    assert request is not None
    assert lines(text) == [
        Folded(
            build=build.id, outcome="cancelled", commit=request.sources[0].commit, owner="person:anna", job="check",
            branch=branch,
        )
    ]  # fmt: skip
    old = lines(f"archive: 2 builds of default in 2023-11\n\n{build.id} passed\nnonsense\n")
    assert old == [Folded(build=build.id, outcome="passed")]
