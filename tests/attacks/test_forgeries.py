"""Threats: forged, replayed, grafted and rewritten history. `cit verify` shows each and ends with 3."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stage import ANNA, BEN, CARA, EVE, LAB1, LAB2, Stage, clone_of, export, team

from citgit.interfaces import Entry
from citgit.model.record import Advert, Beat, Cancel, Claim, Outcome, Progress, Result
from citgit.programs.cit import main
from citgit.records import commit as commits

Attack = Callable[[Stage], None]
PASSED = Outcome.PASSED


class Site(Stage):
    """Three builds: `done` is archived, `running` is held by lab1, `waiting` waits; lab1 beats."""

    def prepare(self) -> Site:
        """Makes them."""
        self.done = self.request()
        self.finish(self.done)
        self.host.denied = (self.refs.builds(),)
        self.fold()
        self.host.denied = ()
        self.host.refs.pop(self.refs.build("default", self.done))
        self.running, self.waiting = (self.refs.build("default", self.request()) for _ in "12")
        self.beats = self.refs.agent("lab1", "b1")
        self.month = self.refs.archive("default", "2023-11")
        self.claim = self.write(self.running, Claim(attempt=1), LAB1)
        self.write(self.beats, Advert(boot="b1", version="1", renews=(self.claim,)), LAB1)
        return self

    def resigned(self, data: bytes, by: str) -> bytes:
        """The commit as it is, signed by somebody else."""
        payload = commits.parse(data).payload
        return commits.signed(payload, self.actor(by).signer.sign(payload))

    def edited(self, ref: str, old: bytes, new: bytes, *, both: bool = False) -> None:
        """A result of the running build with other bytes (author and committer, if `both`), well signed."""
        payload = commits.parse(self.record(ref, Result(claim=self.claim, outcome=PASSED), LAB1)).payload
        assert old in payload
        payload = payload.replace(old, new, 2 if both else 1)
        self.place(ref, commits.signed(payload, self.actor(LAB1).signer.sign(payload)))

    def refold(self, change: Callable[[dict[str, Entry]], None], *, tip: str = "") -> None:
        """The archive anew with a changed folder of `done`, well signed by lab1."""
        honest = commits.parse(self.data(self.host.refs[self.month]))
        store = self.host.objects
        day = store.tree(honest.tree)[0]
        folder = {one.name: one for one in store.tree(store.tree(day.oid)[0].oid)}
        change(folder)
        made = store.write_tree(folder.values())
        tree = store.write_tree([Entry(day.name, 0o40000, store.write_tree([Entry(self.done, 0o40000, made)]))])
        payload = commits.unsigned(
            tree=tree, parents=(tip or honest.parents[0],), author=LAB1, mail=honest.mail, time=honest.time,
            message=honest.message,
        )  # fmt: skip
        self.place(self.month, commits.signed(payload, self.actor(LAB1).signer.sign(payload)))


def _other_repository(site: Site) -> None:
    other = Stage(seed=2)
    ref = site.refs.build("default", other.request())
    site.host.objects.content |= other.host.objects.content
    site.host.refs[ref] = other.host.refs[ref]


def _changed_byte(site: Site) -> None:
    site.place(site.running, site.data(site.claim).replace(b'"attempt": 1', b'"attempt": 2'))


def _file(site: Site, name: str, data: bytes) -> Entry:
    return Entry(name, 0o100644, site.host.objects.write("blob", data))


def _lying_file(site: Site) -> None:
    site.refold(lambda folder: folder.update({"3-result.json": _file(site, "3-result.json", b"{}\n")}))


def _lying_tip(site: Site) -> None:
    site.refold(lambda folder: folder.update(tip=_file(site, "tip", f"{site.claim} {'0' * 64}\n".encode())))


def _wrong_tip(site: Site) -> None:
    running = site.host.refs[site.running]
    site.refold(lambda folder: folder.update(tip=_file(site, "tip", f"{running} {'0' * 64}\n".encode())), tip=running)


ATTACKS: dict[str, tuple[Callable[[Site], object], str]] = {
    "a changed byte": (_changed_byte, "signature is not over these bytes"),
    "replay to another build": (
        lambda site: site.host.refs.update(
            {site.refs.build("default", site.entropy.build_id()): site.host.refs[site.running]}
        ),
        "root is void: ref is",
    ),
    "replay to another pool": (
        lambda site: site.host.refs.update({site.running.replace("default", "other"): site.host.refs[site.running]}),
        "root is void: ref is",
    ),
    "replay from another repository": (_other_repository, "root is void: repo is"),
    "a record grafted onto another build": (
        lambda site: site.place(
            site.waiting, site.record(site.running, Cancel(), ANNA).replace(
                site.host.refs[site.running].encode(), site.host.refs[site.waiting].encode(), 1)),
        "signature is not over these bytes",
    ),
    "a record that names another parent": (
        lambda site: site.edited(site.running, b'"prev": "' + site.claim.encode(), b'"prev": "' + b"e" * 40),
        "prev is",
    ),
    "a record that names another place in the chain": (
        lambda site: site.edited(site.running, b'"seq": 2', b'"seq": 3'), "seq is",
    ),
    "a swapped author": (
        lambda site: site.place(site.running, site.resigned(site.record(site.running, Cancel(), ANNA), BEN)),
        "person:anna is not",
    ),
    "an author who is not the actor": (
        lambda site: site.edited(
            site.running, b"agent:lab1 <lab1@agent.cit> ", b"agent:lab1 <ben@person.cit> ", both=True),
        "author is not the actor",
    ),
    "a stranger's record": (lambda site: site.write(site.running, Cancel(), EVE), "person:eve is not"),
    "somebody cancels what is not theirs": (lambda site: site.write(site.running, Cancel(), BEN), "person:ben is not"),
    "an unclaimed result": (
        lambda site: site.write(site.waiting, Result(claim=site.claim, outcome=PASSED), LAB1),
        "not allowed in state waiting",
    ),
    "a result by another agent": (
        lambda site: site.write(site.running, Result(claim=site.claim, outcome=PASSED), LAB2),
        "agent:lab2 is not holder",
    ),
    "a person plays agent": (lambda site: site.write(site.waiting, Claim(attempt=1), ANNA), "person:anna is not agent"),
    "a key that stands twice": (
        lambda site: site.edited(site.running, b'"seq": 2,', b'"seq": 2,\n  "seq": 2,'), "key stands twice",
    ),
    "a number that is none": (lambda site: site.edited(site.running, b'"seq": 2,', b'"seq": 2.0,'), "not an integer"),
    "an extra header": (
        lambda site: site.edited(site.running, b"\n\n", b"\nencoding latin-1\n\n"), "not of the record grammar",
    ),
    "a second tree header": (
        lambda site: site.edited(site.running, b"\nparent", b"\ntree " + b"0" * 40 + b"\nparent"),
        "not of the record grammar",
    ),
    "a tree with files nobody names": (
        lambda site: site.edited(
            site.running, b"tree " + commits.EMPTY_TREE.encode(), site.data(site.host.refs[site.month])[:45]),
        "tree holds files",
    ),
    "a merge": (
        lambda site: site.edited(site.running, b"\nauthor", b"\nparent " + site.repo.encode() + b"\nauthor"),
        "other parents",
    ),
    "a policy that nobody else knows": (
        lambda site: site.write(site.running, Progress(claim=site.claim, phase="x"), LAB1, policy="f" * 40),
        "which the host does not hold",
    ),
    "a forged beat": (
        lambda site: site.write(site.beats, Beat(renews=(site.claim,)), LAB1, signer=LAB2),
        "not one of agent:lab1",
    ),
    "another agent's beat": (
        lambda site: site.write(site.beats, Beat(renews=(site.claim,)), LAB2), "another agent's ref",
    ),
    "an archive whose file lies": (_lying_file, "'3-result.json' is not what the chain says"),
    "an archive whose tip lies": (_lying_tip, "parents are not the tips"),
    "an archive of a build that has not ended": (_wrong_tip, "ref is"),
    "an archive with a file too many": (
        lambda site: site.refold(lambda folder: folder.update(x=_file(site, "x", b""))), "'x' is of no record",
    ),
    "an unsigned archive": (
        lambda site: site.place(site.month, commits.parse(site.data(site.host.refs[site.month])).payload),
        "signature is missing",
    ),
    "a ref of no protocol": (
        lambda site: site.host.refs.update({"refs/cit/builds/Evil/x": site.repo}), "none of this protocol",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A host, and anna's checkout that has seen it whole and honest."""
    folder = tmp_path_factory.mktemp("forgeries")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        site = Site().prepare()
        export(site, folder / "host.git")
        yield folder / "host.git", clone_of(site, folder / "host.git", folder / "anna")


def verify(top: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """(status, what it says) of `cit verify --all`."""
    capsys.readouterr()
    status = main(["verify", "--all", "-C", str(top)])
    return status, capsys.readouterr().out


def forget(top: Path) -> None:
    """A reader who sees the host for the first time: nothing but the records themselves can betray the attack."""
    for name in (".git/refs/cit-seen", ".git/packed-refs"):
        path = top / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", ATTACKS)
def test_verify_shows_the_attack(places: tuple[Path, Path], capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Status 3, and words that say what is wrong, for a reader without any memory."""
    host, top = places
    site = Site().prepare()
    attack, words = ATTACKS[name]
    attack(site)
    export(site, host)
    forget(top)
    status, out = verify(top, capsys)
    assert words in out, out
    assert status == 3


def test_an_honest_repository_is_good(places: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """No fault where there is none, after a revocation too, whose victims could not know of it."""
    host, top = places
    site = Site().prepare()
    export(site, host)
    forget(top)
    assert verify(top, capsys)[0] == 0
    late = site.data(site.write(site.running, Progress(claim=site.claim, phase="x"), LAB1))
    site.host.refs[site.running] = site.claim
    site.policy(team(agent={name: one for name, one in team().agent.items() if name != "lab1"}))
    site.place(site.running, late)
    export(site, host)
    status, out = verify(top, capsys)
    assert status == 0, out
    assert "1 void" in out


@pytest.mark.parametrize(
    "name", ["another valid tip", "a rewound ref", "a deleted ref", "an older policy", "an emptied host"]
)
def test_a_returning_reader_sees_what_is_gone(
    places: tuple[Path, Path], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Every chain at the host is valid; only memory tells that it is not the one that was there."""
    host, top = places
    site = Site().prepare()
    forget(top)
    root = site.policy()
    first = site.record(site.running, Progress(claim=site.claim, phase="one"), LAB1)
    second = site.record(site.running, Progress(claim=site.claim, phase="two"), LAB1)
    site.place(site.running, first)
    export(site, host)
    assert verify(top, capsys)[0] == 0
    match name:
        case "another valid tip":
            site.host.refs[site.running] = site.claim
            site.place(site.running, second)
        case "a rewound ref":
            site.host.refs[site.running] = site.claim
        case "a deleted ref":
            del site.host.refs[site.waiting]
        case "an older policy":
            site.host.refs[site.refs.policy] = site.repo
        case _:
            site.host.refs.clear()
    export(site, host)
    status, out = verify(top, capsys)
    assert status == 3
    assert ("vanished" if name in ("a deleted ref", "an emptied host") else "rewound") in out
    assert root


def test_cara_can_mend_a_stalled_build(places: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """An insider's lie about an unknown policy stalls one build until the next policy, whose seal covers it."""
    host, top = places
    site = Site().prepare()
    site.write(site.running, Progress(claim=site.claim, phase="x"), LAB1, policy="f" * 40)
    export(site, host)
    forget(top)
    assert "publish" in verify(top, capsys)[1]
    site.policy(by=CARA)
    export(site, host)
    status, out = verify(top, capsys)
    assert status == 3, "the lie stays visible"
    assert "none up to the seal" in out
    assert main(["show", site.running.rpartition("/")[2], "-C", str(top)]) == 75, "and the build goes on"
