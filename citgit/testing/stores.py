"""The contracts of Objects, Tips and Journal, for the real ones and the simulation's.

A test class inherits one and offers the pytest fixture that its tests name.
"""

from __future__ import annotations

from citgit.errors import Bug, Errored, NotFound, Refused
from citgit.interfaces import EMPTY_TREE, Entrusted, Entry, Journal, Objects, Tips

A, B, C = ("a" * 40, "b" * 40, "c" * 40)


def error_of(action: object, *arguments: object, **options: object) -> Exception | None:
    """What calling `action` raises; None if it returns."""
    assert callable(action)
    try:
        action(*arguments, **options)
    except Exception as error:
        return error
    return None


class ObjectsContract:
    """Needs the fixture `objects`: an empty store."""

    def test_names_are_gits(self, objects: Objects) -> None:
        """An object gets the name that git gives it, and is read back with its type."""
        oid = objects.write("blob", b"hello\n")
        assert oid == "ce013625030ba8dba906f756967f9e9ca394464a"
        assert objects.read(oid) == ("blob", b"hello\n")
        assert objects.has(oid)

    def test_absent_object(self, objects: Objects) -> None:
        """What is not here is said to be not here."""
        assert not objects.has(A)
        error = error_of(objects.read, A)
        assert isinstance(error, NotFound)
        assert "aaaaaaaaaaaa" in error.message

    def test_limit(self, objects: Objects) -> None:
        """An object is read up to the limit and refused beyond it."""
        oid = objects.write("blob", b"x" * 100)
        assert objects.read(oid, limit=100)[1] == b"x" * 100
        assert isinstance(error_of(objects.read, oid, limit=99), Refused)

    def test_trees_are_sorted_as_git_does(self, objects: Objects) -> None:
        """Entries may come in any order; a folder sorts as if its name ended in a slash."""
        blob = objects.write("blob", b"")
        inner = objects.write_tree([Entry("file", 0o100755, blob)])
        entries = [Entry("a", 0o040000, inner), Entry("a.txt", 0o100644, blob), Entry("a-b", 0o120000, blob)]
        tree = objects.write_tree(entries)
        assert [entry.name for entry in objects.tree(tree)] == ["a-b", "a.txt", "a"]
        assert objects.write_tree(reversed(entries)) == tree
        assert sorted(objects.tree(tree), key=str) == sorted(entries, key=str)

    def test_empty_tree(self, objects: Objects) -> None:
        """The empty tree has its well-known name."""
        assert objects.write_tree([]) == EMPTY_TREE
        assert objects.tree(EMPTY_TREE) == []

    def test_tree_of_a_blob(self, objects: Objects) -> None:
        """Asking for the entries of a file says what it is."""
        error = error_of(objects.tree, objects.write("blob", b"x"))
        assert isinstance(error, Errored)
        assert "is a blob, not a tree" in error.message

    def test_bad_entries(self, objects: Objects) -> None:
        """Names that would leave the folder, and names that come twice, are never written."""
        blob = objects.write("blob", b"")
        for names in (["../x"], [".git"], [".."], ["a/b"], [""], ["x", "x"], ["a\0b"]):
            assert isinstance(error_of(objects.write_tree, [Entry(name, 0o100644, blob) for name in names]), Bug)
        assert isinstance(error_of(objects.write_tree, [Entry("x", 0o100666, blob)]), Bug)


class TipsContract:
    """Needs the fixture `tips` (empty) and the attribute `oids`: three commits that may be remembered."""

    def test_remember_and_forget(self, tips: Tips, oids: tuple[str, str, str]) -> None:
        """What was saved is loaded; None forgets; forgetting what is not known is fine."""
        one, two = "refs/cit/builds/linux/one", "refs/cit/policy"
        tips.save({one: oids[0], two: oids[1]})
        assert tips.load() == {one: oids[0], two: oids[1]}
        tips.save({one: oids[2], two: None, "refs/cit/never": None})
        assert tips.load() == {one: oids[2]}
        tips.save({})
        assert tips.load() == {one: oids[2]}

    def test_many(self, tips: Tips, oids: tuple[str, str, str]) -> None:
        """A thousand tips at once."""
        many = {f"refs/cit/builds/linux/{number}": oids[number % 3] for number in range(1000)}
        tips.save(many)
        assert tips.load() == many


class JournalContract:
    """Needs the fixture `journal`, empty."""

    def test_order_and_settling(self, journal: Journal) -> None:
        """Entries come back whole, oldest first, until they are settled."""
        first = Entrusted("refs/cit/x", None, A, (b"commit\0\xff", b""), "request")
        second = Entrusted("refs/cit/x", A, B, (), "result")
        journal.add(first)
        journal.add(second)
        assert journal.entries() == [first, second]
        journal.settle(A)
        journal.settle(C)
        assert journal.entries() == [second]
        journal.add(first)
        assert journal.entries() == [second, first]

    def test_adding_again_changes_nothing(self, journal: Journal) -> None:
        """A push that is tried again is one entry."""
        entry = Entrusted("refs/cit/x", None, A, (b"one",), "claim")
        journal.add(entry)
        journal.add(entry)
        assert journal.entries() == [entry]

    def test_claims_outlive_settling(self, journal: Journal) -> None:
        """A worker knows its own claims after their pushes are settled, and counts nothing else as one."""
        journal.add(Entrusted("refs/cit/x", None, A, (), "claim"))
        journal.add(Entrusted("refs/cit/x", A, B, (), "result"))
        journal.settle(A)
        assert journal.claims() == {A}

    def test_unused(self, journal: Journal) -> None:
        """A new journal is empty and nothing can be settled in it."""
        journal.settle(A)
        assert (journal.entries(), journal.claims()) == ([], set())
