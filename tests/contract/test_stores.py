"""Objects, tips and journals, real and simulated, against their contracts; and what only real ones can suffer."""

from __future__ import annotations

from pathlib import Path

import pytest

from citgit.errors import Errored, NodeFull, NotFound
from citgit.git.journal import FileJournal
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.git.tips import GitTips
from citgit.interfaces import EMPTY_TREE, Entrusted
from citgit.records.commit import unsigned
from citgit.testing.memory import MemoryJournal, MemoryObjects, MemoryTips
from citgit.testing.stores import JournalContract, ObjectsContract, TipsContract

REF = "refs/cit/builds/linux/one"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty bare repository."""
    init_bare(tmp_path / "clone.git")
    return tmp_path / "clone.git"


def commits(objects: GitObjects) -> tuple[str, str, str]:
    """Three commits."""
    objects.write_tree([])
    made = [
        objects.write(
            "commit", unsigned(tree=EMPTY_TREE, parents=(), author="anna", mail="a@lab1", time=1, message=f"{n}\n")
        )
        for n in range(3)
    ]
    return made[0], made[1], made[2]


class TestGitObjects(ObjectsContract):
    """A bare repository."""

    @pytest.fixture
    def objects(self, repository: Path) -> GitObjects:
        """Its store."""
        return GitObjects(repository)

    def test_git_agrees(self, objects: GitObjects, repository: Path) -> None:
        """What is written here passes git's own strict check."""
        tip = commits(objects)[0]
        must(["update-ref", "refs/heads/x", tip], git_dir=repository, doing="point at it")
        assert must(["fsck", "--strict", "--no-dangling"], git_dir=repository, doing="check").stdout == b""

    def test_sees_what_others_write(self, objects: GitObjects, repository: Path) -> None:
        """An open store sees objects that came later, also when they are packed."""
        assert not objects.has("ce013625030ba8dba906f756967f9e9ca394464a")
        oid = must(["hash-object", "-w", "--stdin"], git_dir=repository, input=b"hello\n", doing="write").stdout
        assert objects.has(oid.decode().strip())
        must(["repack", "-adq"], git_dir=repository, doing="pack")
        assert objects.read("ce013625030ba8dba906f756967f9e9ca394464a") == ("blob", b"hello\n")

    def test_damaged_object(self, objects: GitObjects, repository: Path) -> None:
        """An object whose bytes are not those of its name is an error, never an answer."""
        good, other = objects.write("blob", b"good"), objects.write("blob", b"evil")
        path = repository / "objects" / good[:2] / good[2:]
        path.chmod(0o644)
        path.write_bytes((repository / "objects" / other[:2] / other[2:]).read_bytes())
        with pytest.raises(Errored, match="is damaged") as caught:
            GitObjects(repository).read(good)
        assert "fsck" in caught.value.hint

    def test_linked_worktree_shares_objects(self, tmp_path: Path) -> None:
        """The git directory of a linked worktree writes into the main repository."""
        main = tmp_path / "main"
        must(["init", "-q", "--", str(main)], doing="make a repository")
        tip = commits(GitObjects(main / ".git"))[0]
        must(["update-ref", "HEAD", tip], cwd=main, doing="commit")
        must(["worktree", "add", "-q", "--detach", str(tmp_path / "linked")], cwd=main, doing="link")
        oid = GitObjects(main / ".git" / "worktrees" / "linked").write("blob", b"shared")
        assert GitObjects(main / ".git").has(oid)

    def test_no_repository(self, tmp_path: Path) -> None:
        """A folder that is no repository is named."""
        with pytest.raises(NotFound, match="cannot open the repository") as caught:
            GitObjects(tmp_path).has("a" * 40)
        assert str(tmp_path) in caught.value.message


class TestMemoryObjects(ObjectsContract):
    """The simulation's."""

    @pytest.fixture
    def objects(self) -> MemoryObjects:
        """A new store."""
        return MemoryObjects()


class TestGitTips(TipsContract):
    """Refs of a repository."""

    @pytest.fixture
    def reports(self) -> list[str]:
        """What the memory says about itself."""
        return []

    @pytest.fixture
    def tips(self, repository: Path, reports: list[str]) -> GitTips:
        """A new memory."""
        return GitTips(repository, report=reports.append)

    @pytest.fixture
    def oids(self, repository: Path) -> tuple[str, str, str]:
        """Three commits of the repository."""
        return commits(GitObjects(repository))

    @pytest.mark.parametrize("content", ["", "not an object name\n", "\0" * 41])
    def test_damaged_tip_is_dropped(
        self, tips: GitTips, oids: tuple[str, str, str], repository: Path, reports: list[str], content: str
    ) -> None:
        """A ref file cut off by a power failure costs the memory of that ref only, and is reported."""
        tips.save({REF: oids[0], "refs/cit/policy": oids[1]})
        (repository / "refs/cit-seen/tip/builds/linux/one").write_text(content)
        assert tips.load() == {"refs/cit/policy": oids[1]}
        assert [REF in line for line in reports] == [True]
        tips.save({REF: oids[2]})
        assert tips.load()[REF] == oids[2]

    def test_damaged_tip_is_replaced(self, tips: GitTips, oids: tuple[str, str, str], repository: Path) -> None:
        """Saving over a damaged tip works without loading first, and the others of the call are kept."""
        tips.save({REF: oids[0]})
        (repository / "refs/cit-seen/tip/builds/linux/one").write_text("")
        tips.save({REF: oids[1], "refs/cit/policy": oids[2]})
        assert tips.load() == {REF: oids[1], "refs/cit/policy": oids[2]}

    def test_name_that_became_a_folder(self, tips: GitTips, oids: tuple[str, str, str], reports: list[str]) -> None:
        """A remembered name gives way to one that cannot exist beside it, and that is reported."""
        tips.save({"refs/cit/builds/x": oids[0]})
        tips.save({"refs/cit/builds/x/y": oids[1]})
        assert tips.load() == {"refs/cit/builds/x/y": oids[1]}
        assert "in the way" in reports[0]
        tips.save({"refs/cit/builds/x/y": None, "refs/cit/builds/x": oids[2]})
        assert tips.load() == {"refs/cit/builds/x": oids[2]}

    def test_locked_memory_is_not_lost(self, tips: GitTips, oids: tuple[str, str, str], repository: Path) -> None:
        """A lock that somebody left makes saving fail, naming the file; what was remembered stays."""
        tips.save({REF: oids[0]})
        lock = repository / "refs/cit-seen/tip/builds/linux/one.lock"
        lock.touch()
        with pytest.raises(Errored, match=r"one\.lock"):
            tips.save({REF: oids[1]})
        assert tips.load() == {REF: oids[0]}

    def test_folders_are_apart(self, repository: Path, oids: tuple[str, str, str]) -> None:
        """Two state repositories remembered in one clone do not mix."""
        one, two = GitTips(repository, folder="tip-one"), GitTips(repository, folder="tip-two")
        one.save({REF: oids[0]})
        assert (one.load(), two.load()) == ({REF: oids[0]}, {})


class TestMemoryTips(TipsContract):
    """The simulation's."""

    @pytest.fixture
    def tips(self) -> MemoryTips:
        """A new memory."""
        return MemoryTips()

    @pytest.fixture
    def oids(self) -> tuple[str, str, str]:
        """Any names."""
        return ("a" * 40, "b" * 40, "c" * 40)


class TestFileJournal(JournalContract):
    """Files of a folder."""

    @pytest.fixture
    def journal(self, tmp_path: Path) -> FileJournal:
        """A new journal."""
        return FileJournal(tmp_path / "journal")

    def test_survives_a_restart(self, journal: FileJournal, tmp_path: Path) -> None:
        """Another process finds what this one added, in the same order."""
        entries = [Entrusted("refs/cit/x", None, f"{n:040x}", (b"x",), "claim") for n in range(12)]
        for entry in entries:
            journal.add(entry)
        again = FileJournal(tmp_path / "journal")
        assert again.entries() == entries
        assert again.claims() == {entry.new for entry in entries}

    @pytest.mark.parametrize("keep", [1, 10, 80, -1])
    def test_torn_line(self, journal: FileJournal, tmp_path: Path, keep: int) -> None:
        """A line cut off at any place, or changed, is reported and left out; those after it count."""
        log = tmp_path / "journal" / "log"
        journal.add(Entrusted("refs/cit/x", None, "b" * 40, (b"x",), "claim"))
        content = log.read_bytes()
        log.write_bytes(content[:keep] if keep >= 0 else content.replace(b"refs", b"rets"))
        good = Entrusted("refs/cit/x", None, "a" * 40, (b"x",), "claim")
        reports: list[str] = []
        again = FileJournal(tmp_path / "journal", report=reports.append)
        again.add(good)
        assert again.entries() == [good]
        assert again.claims() == {"a" * 40}
        assert [str(log) in line for line in reports] == ([True] if keep != 1 else [])
        assert FileJournal(tmp_path / "journal").entries() == [good]

    def test_long_journal_is_shortened(
        self, journal: FileJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is settled is dropped in the end, the claims are not, and other processes notice."""
        monkeypatch.setattr("citgit.git.journal._WASTE", 20)
        other = FileJournal(tmp_path / "journal")
        left = Entrusted("refs/cit/left", None, "f" * 40, (b"x",), "claim")
        other.add(left)
        for number in range(40):
            journal.add(Entrusted("refs/cit/x", None, f"{number:040x}", (b"x",), "claim"))
            journal.settle(f"{number:040x}")
        assert len([line for line in (tmp_path / "journal" / "log").read_bytes().split(b"\n") if line]) < 70
        assert journal.entries() == other.entries() == [left]
        assert len(other.claims()) == 41

    def test_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        """Without a journal nothing is pushed: the error says where and what to do."""
        (tmp_path / "file").write_text("")
        with pytest.raises(NodeFull, match="cannot write the journal") as caught:
            FileJournal(tmp_path / "file" / "journal").add(Entrusted("refs/cit/x", None, "a" * 40, (), "claim"))
        assert "free some space" in caught.value.hint


class TestMemoryJournal(JournalContract):
    """The simulation's."""

    @pytest.fixture
    def journal(self) -> MemoryJournal:
        """A new journal."""
        return MemoryJournal()
