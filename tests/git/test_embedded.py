"""The state served in-process: races with git itself, locks of the dead, and when the git program takes over."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from citgit.git.embedded import EmbeddedObjects, EmbeddedRemote, Gate, place_of
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.git.refs import RefFiles
from citgit.git.remote import GitRemote
from citgit.interfaces import Answer, Entry, Update
from citgit.testing.remotes import ONE, POOL, TWO, Client

RACERS = 16
ROUNDS = 6


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A bare repository."""
    init_bare(tmp_path / "host.git")
    return tmp_path / "host.git"


def client(host: Path, name: str) -> Client:
    """A client in-process."""
    mine = host.with_name(f"{name}.git")
    if not mine.exists():
        init_bare(mine)
    gate = Gate(host, mine)
    objects = EmbeddedObjects(gate, GitObjects(host), GitObjects(mine))
    outside = GitRemote(mine, str(host), timeout=20)
    return Client(EmbeddedRemote(gate, host, objects, outside, "refs/cit/"), objects)


def by_git(host: Path, name: str) -> Client:
    """A client through the git program."""
    mine = host.with_name(f"{name}.git")
    init_bare(mine)
    return Client(GitRemote(mine, str(host), timeout=60), GitObjects(mine))


def together(works: list[Callable[[], list[str]]]) -> list[list[str]]:
    """What each of the functions returns, each in a process of its own, begun at once."""
    context = multiprocessing.get_context("fork")
    start, queue = context.Barrier(len(works)), context.Queue()

    def life(at: int, work: Callable[[], list[str]]) -> None:
        start.wait()
        queue.put((at, work()))

    processes = [context.Process(target=life, args=(at, work)) for at, work in enumerate(works)]
    for process in processes:
        process.start()
    answers = dict(queue.get(timeout=120) for _ in works)
    for process in processes:
        process.join()
    return [answers[at] for at in range(len(works))]


def test_one_winner_among_many(host: Path) -> None:
    """Sixteen race for each ref, a quarter of them through git, while refs are packed: one wins, and all agree."""
    root = client(host, "first").commit("root")
    client(host, "first").push(f"{POOL}x", None, root)
    refs = [f"{POOL}01932c07-3a80-7000-8000-{number:012d}" for number in range(ROUNDS)]

    def racer(name: str) -> Callable[[], list[str]]:
        def race() -> list[str]:
            mine = by_git(host, name) if int(name[1:]) % 4 == 0 else client(host, name)
            won = []
            for ref in refs:
                made = mine.commit(f"{name} at {ref}")
                if mine.push(ref, None, made) is Answer.DONE:
                    won.append(f"{ref} {made}")
            return won

        return race

    def packer() -> list[str]:
        for _ in range(8):
            must(["pack-refs", "--all", "--prune"], git_dir=host, doing="pack the refs")
        return []

    winners = [one for won in together([*(racer(f"r{at}") for at in range(RACERS)), packer]) for one in won]
    assert sorted(one.split(" ")[0] for one in winners) == refs
    assert {one.split(" ")[0]: one.split(" ")[1] for one in winners} == {
        ref: oid for ref, oid in client(host, "last").remote.fetch([POOL]).items() if ref in refs
    }
    must(["fsck", "--strict"], git_dir=host, doing="check the repository")


def test_chains_grow_and_shrink_while_git_packs(host: Path) -> None:
    """No update is lost and no deleted ref comes back, whatever pack-refs and gc do meanwhile."""
    ends = 3

    def grower(name: str) -> Callable[[], list[str]]:
        def grow() -> list[str]:
            mine, ref, tip = client(host, name), f"{POOL}{name}", None
            for number in range(60):
                made = mine.commit(f"{name} {number}", *([tip] if tip else []))
                assert mine.push(ref, tip, made) is Answer.DONE
                tip = made
                if number % 7 == 6:
                    assert mine.push(ref, tip, None) is Answer.DONE
                    assert mine.at(ref) is None
                    tip = None
            return [f"{ref} {tip}"]

        return grow

    def packer() -> list[str]:
        for number in range(12):
            must(["pack-refs", "--all", "--prune"], git_dir=host, doing="pack the refs")
            if number % 4 == 0:
                must(["gc", "--quiet"], git_dir=host, doing="collect")
        return []

    told = [one for lines in together([*(grower(f"g{at}") for at in range(ends)), packer]) for one in lines]
    assert {one.split(" ")[0]: one.split(" ")[1] for one in told} == client(host, "last").remote.fetch([POOL])
    must(["fsck", "--strict"], git_dir=host, doing="check the repository")


def test_lock_of_the_dead_is_no_obstacle(host: Path) -> None:
    """A citgit that is killed holding locks leaves them; the next one sees that nobody holds them."""
    first = client(host, "first")
    root = first.commit("root")
    first.push(ONE, None, root)
    child = os.fork()
    if child == 0:
        locks = RefFiles(host, "refs/cit/")._locks
        locks.take(f"{host}/{ONE}.lock")
        locks.take(f"{host}/packed-refs.lock")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (host / f"{ONE}.lock").exists()
    assert first.push(ONE, root, first.commit("next", root)) is Answer.DONE
    assert first.push(ONE, first.at(ONE), None) is Answer.DONE
    assert not list(host.rglob("*.lock"))


def test_lock_of_git_is_respected(host: Path) -> None:
    """A lock that is not ours stops that ref alone, and is named; so does one that a living citgit holds."""
    first = client(host, "first")
    root = first.commit("root")
    (host / POOL).mkdir(parents=True)
    (host / f"{ONE}.lock").touch()
    stuck, fine = first.remote.push([Update(ONE, None, root), Update(TWO, None, root)])
    assert (stuck.answer, fine.answer) == (Answer.UNKNOWN, Answer.DONE)
    assert f"{ONE}.lock" in stuck.message
    (host / f"{ONE}.lock").unlink()
    held = RefFiles(host, "refs/cit/")._locks
    held.take(f"{host}/{ONE}.lock")
    assert first.push(ONE, None, root) is Answer.UNKNOWN
    assert must(["pack-refs", "--all"], git_dir=host, doing="pack").status == 0
    held.release(f"{host}/{ONE}.lock")
    assert first.push(ONE, None, root) is Answer.DONE


def test_names_that_are_in_the_way(host: Path) -> None:
    """A name is a ref or a folder, also where one of both is packed."""
    first = client(host, "first")
    root = first.commit("root")
    assert first.push("refs/cit/a/b", None, root) is Answer.DONE
    for _ in ("loose", "packed"):
        assert first.push("refs/cit/a", None, root) is Answer.DENIED
        assert first.push("refs/cit/a/b/c", None, root) is Answer.DENIED
        must(["pack-refs", "--all", "--prune"], git_dir=host, doing="pack")
    assert first.push("refs/cit/a/b", root, None) is Answer.DONE
    assert first.push("refs/cit/a", None, root) is Answer.DONE
    assert first.remote.fetch(["refs/cit/"]) == {"refs/cit/a": root}


@pytest.mark.parametrize(
    ("setting", "is_open"),
    [
        ("core.hooksPath=/srv/hooks", False), ("core.sharedRepository=group", False),
        ("receive.hideRefs=refs/cit/", False), ("receive.denyDeletes=true", False), ("receive.fsckObjects=true", False),
        ("core.sharedRepository=umask", True), ("transfer.fsckObjects=false", True), ("user.name=anna", True),
        ("include.path=/dev/null", True),
    ],
)  # fmt: skip
def test_settings_that_ask_for_git(host: Path, setting: str, is_open: bool) -> None:
    """A setting that git would obey and we do not is noticed when it comes, and when it goes."""
    gate = Gate(host, host)
    assert gate.is_open()
    name, _, value = setting.partition("=")
    must(["config", name, value], git_dir=host, doing="set")
    assert gate.is_open() is is_open
    must(["config", "--unset", name], git_dir=host, doing="unset")
    assert gate.is_open()


def test_hook_that_comes_and_goes(host: Path) -> None:
    """A receive hook is run from the moment it is there; a record written before that goes with it."""
    first = client(host, "first")
    root = first.commit("root")
    first.push(ONE, None, root)
    child = first.commit("child", root)
    hook = host / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ncat >{host}/told\n")
    assert first.push(ONE, root, child) is Answer.DONE
    assert not (host / "told").exists()
    hook.chmod(0o755)
    grand = first.commit("grand", child)
    assert first.push(ONE, child, grand) is Answer.DONE
    assert (host / "told").read_text().split() == [child, grand, ONE]
    hook.unlink()
    last = first.commit("last", grand)
    assert first.push(ONE, grand, last) is Answer.DONE
    assert first.at(ONE) == last


@pytest.mark.privileged
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give the repository away")
def test_another_owner(host: Path) -> None:
    """A repository that is somebody else's is left to git, which has its own rules about that."""
    gate = Gate(host, host.parent)
    assert gate.is_open()
    os.chown(host / "refs", 65534, -1)
    assert not gate.is_open()


def test_many_objects_become_a_pack(host: Path) -> None:
    """A group of writes is one pack, whole and readable; of few it is loose files."""
    objects = GitObjects(host)
    source = random.Random(7)
    blobs = [source.randbytes(source.choice((0, 5, 100, 5000))) for _ in range(100)]
    with objects.group():
        oids = [objects.write("blob", blob) for blob in blobs]
        tree = objects.write_tree(Entry(f"f{at}", 0o100644, oid) for at, oid in enumerate(oids))
        assert objects.read(oids[3]) == ("blob", blobs[3])
        assert len(objects.tree(tree)) == 100
    assert [objects.read(oid)[1] for oid in oids] == blobs
    assert len(list((host / "objects" / "pack").glob("*.pack"))) == 1
    with objects.group():
        few = objects.write("blob", b"few")
    assert (host / "objects" / few[:2] / few[2:]).is_file()
    must(["fsck", "--strict"], git_dir=host, doing="check")


@pytest.mark.parametrize("refused", [False, True])
def test_a_huge_file_in_a_record_stops_no_fetch(host: Path, monkeypatch: pytest.MonkeyPatch, refused: bool) -> None:
    """Anybody may push one; it is linked, or copied where a link is refused, and not read."""
    store = GitObjects(host)
    huge = store.write("blob", b"x" * (17 << 20))
    tree = store.write_tree([Entry("payload", 0o100644, huge)])
    who = "eve <eve@x> 1 +0000"
    text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nhuge\n"
    must(["update-ref", ONE, tip := store.write("commit", text.encode())], git_dir=host, doing="push")
    one = client(host, "anna")
    if refused:
        monkeypatch.setattr(os, "link", _refused)
    assert one.remote.fetch([POOL]) == {ONE: tip}
    own = GitObjects(host.with_name("anna.git"))
    assert own.read(huge, limit=1 << 25)[1] == b"x" * (17 << 20)


def test_a_file_that_is_a_folder_hides_nothing(host: Path) -> None:
    """A tree may call a tree a file: linked as one, it would stand for what it holds when an honest one names it."""
    store = GitObjects(host)
    blob = store.write("blob", b"held")
    inner = store.write_tree([Entry("f", 0o100644, blob)])
    tips = []
    for name, mode in (("x", 0o100644), ("sub", 0o040000)):
        tree = store.write_tree([Entry(name, mode, inner)])
        text = f"tree {tree}\nauthor e <e@x> 1 +0000\ncommitter e <e@x> 1 +0000\n\n{name}\n"
        tips.append(store.write("commit", text.encode()))
    objects, own = client(host, "anna").objects, GitObjects(host.with_name("anna.git"))
    assert isinstance(objects, EmbeddedObjects)
    assert objects.keep(tips[:1]) is False
    assert objects.keep(tips[1:]) is True
    assert own.read(blob) == ("blob", b"held")


def _refused(source: str, target: str) -> None:
    raise PermissionError(errno.EPERM, "not permitted", source)


def test_place_of(host: Path, tmp_path: Path) -> None:
    """Which addresses are repositories on this machine."""
    must(["init", "-q", "--", str(tmp_path / "clone")], doing="make a clone")
    assert place_of(str(host)) == host
    assert place_of(f"file://{host}") == host
    assert place_of(str(tmp_path / "clone")) == tmp_path / "clone" / ".git"
    assert place_of("ssh://lab1/srv/x.git") is None
    assert place_of(str(tmp_path)) is None
