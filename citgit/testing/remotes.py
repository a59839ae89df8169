"""The contract of Remote: what every way to reach a state repository must do, and the fake ones of simulations too.

A test class inherits RemoteContract and offers a pytest fixture `host` that gives a RemoteHost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from citgit.errors import RemoteAway
from citgit.interfaces import EMPTY_TREE, Answer, Entry, Objects, Oid, Pushed, Remote, Update
from citgit.records.commit import unsigned

POOL = "refs/cit/builds/linux/"
ONE, TWO, THREE = (f"{POOL}01932c07-3a80-7000-8000-00000000000{digit}" for digit in "123")


@dataclass(frozen=True, slots=True)
class Client:
    """One of several who use the host: its remote and its own objects."""

    remote: Remote
    objects: Objects

    def commit(self, message: str, *parents: Oid, tree: Oid = EMPTY_TREE) -> Oid:
        """A commit in this client's store; the same arguments give the same commit."""
        self.objects.write("tree", b"")
        data = unsigned(
            tree=tree, parents=parents, author="anna", mail="anna@lab1", time=1_700_000_000, message=message + "\n"
        )
        return self.objects.write("commit", data)

    def push(self, ref: str, old: Oid | None, new: Oid | None) -> Answer:
        """One update alone."""
        return self.remote.push([Update(ref, old, new)])[0].answer

    def at(self, ref: str) -> Oid | None:
        """Where the host says that the ref is."""
        return self.remote.fetch([ref]).get(ref)


class RemoteHost(Protocol):
    """A state repository under test."""

    def client(self) -> Client:
        """A new client with its own objects."""

    def place(self, ref: str, oid: Oid) -> None:
        """Sets a ref at the host itself, whatever its name; the host has the object."""

    def deny(self) -> None:
        """From now on the host declines every push, saying "not today"."""

    def vanish(self) -> None:
        """From now on the host does not answer."""


def by_answer(pushed: Iterable[Pushed]) -> list[Answer]:
    """The answers alone."""
    return [each.answer for each in pushed]


class RemoteContract:
    """Tests to inherit."""

    def test_create_only_race_has_one_winner(self, host: RemoteHost) -> None:
        """Two clients create one ref: the first wins, the second is told that its lease did not hold."""
        anna, ben = host.client(), host.client()
        first, second = anna.commit("anna"), ben.commit("ben")
        assert (anna.push(ONE, None, first), ben.push(ONE, None, second)) == (Answer.DONE, Answer.STALE)
        assert ben.at(ONE) == first

    def test_identical_commits_make_both_winners(self, host: RemoteHost) -> None:
        """Two clients pushing the same object are both told yes: this is why every record holds a nonce."""
        anna, ben = host.client(), host.client()
        assert anna.commit("claim") == ben.commit("claim")
        assert anna.push(ONE, None, anna.commit("claim")) is Answer.DONE
        assert ben.push(ONE, None, ben.commit("claim")) is Answer.DONE

    def test_stale_lease_changes_nothing(self, host: RemoteHost) -> None:
        """Of two children of one tip the second to arrive is refused."""
        anna, ben = host.client(), host.client()
        root = anna.commit("root")
        anna.push(ONE, None, root)
        assert ben.at(ONE) == root
        left, right = anna.commit("left", root), ben.commit("right", root)
        assert (ben.push(ONE, root, right), anna.push(ONE, root, left)) == (Answer.DONE, Answer.STALE)
        assert anna.at(ONE) == right

    def test_lease_on_an_absent_ref_is_stale(self, host: RemoteHost) -> None:
        """A late push does not bring a deleted ref back."""
        anna = host.client()
        root = anna.commit("root")
        anna.push(ONE, None, root)
        assert anna.push(ONE, root, None) is Answer.DONE
        assert anna.push(ONE, root, anna.commit("late", root)) is Answer.STALE
        assert anna.at(ONE) is None

    def test_lease_forces(self, host: RemoteHost) -> None:
        """A commit that is no descendant is taken under the right lease: keeping history is the sender's duty."""
        anna = host.client()
        root, other = anna.commit("root"), anna.commit("other")
        anna.push(ONE, None, root)
        assert anna.push(ONE, root, other) is Answer.DONE
        assert anna.at(ONE) == other

    def test_rewound_ref_is_seen_as_such(self, host: RemoteHost) -> None:
        """A fetch shows what the host has now, however it came to be, and does not hide the other refs."""
        anna, ben = host.client(), host.client()
        root = anna.commit("root")
        child = anna.commit("child", root)
        anna.remote.push([Update(ONE, None, child), Update(TWO, None, root)])
        assert ben.remote.fetch([POOL]) == {ONE: child, TWO: root}
        host.place(ONE, root)
        grown = anna.commit("grown", root)
        anna.push(TWO, root, grown)
        assert ben.remote.fetch([POOL]) == {ONE: root, TWO: grown}

    def test_leased_delete(self, host: RemoteHost) -> None:
        """A ref is deleted only while it is where the deleter saw it."""
        anna = host.client()
        root = anna.commit("root")
        child = anna.commit("child", root)
        anna.push(ONE, None, child)
        assert anna.push(ONE, root, None) is Answer.STALE
        assert anna.push(ONE, child, None) is Answer.DONE
        assert anna.at(ONE) is None

    def test_delete_of_an_absent_ref_is_stale(self, host: RemoteHost) -> None:
        """Of two deleters one is told that there was nothing left."""
        anna = host.client()
        root = anna.commit("root")
        anna.push(ONE, None, root)
        assert anna.push(TWO, root, None) is Answer.STALE

    def test_batch_updates_are_independent(self, host: RemoteHost) -> None:
        """One stale update of a push does not stop the others; answers come in the order of the updates."""
        anna = host.client()
        root = anna.commit("root")
        child = anna.commit("child", root)
        anna.remote.push([Update(ONE, None, root), Update(THREE, None, root)])
        updates = [Update(ONE, child, child), Update(TWO, None, child), Update(THREE, root, None)]
        updates[0] = Update(ONE, child, anna.commit("wrong", child))
        assert by_answer(anna.remote.push(updates)) == [Answer.STALE, Answer.DONE, Answer.DONE]
        assert anna.remote.fetch([POOL]) == {ONE: root, TWO: child}

    def test_two_hundred_refs_in_one_push(self, host: RemoteHost) -> None:
        """A full batch arrives."""
        anna = host.client()
        root = anna.commit("root")
        refs = [f"{POOL}01932c07-3a80-7000-8000-{number:012d}" for number in range(200)]
        pushed = anna.remote.push([Update(ref, None, root) for ref in refs])
        assert set(by_answer(pushed)) == {Answer.DONE}
        assert [each.update.ref for each in pushed] == refs
        assert sorted(host.client().remote.fetch([POOL])) == refs

    def test_no_updates(self, host: RemoteHost) -> None:
        """Nothing to push is nothing to answer, and nothing to fetch is nothing found."""
        assert host.client().remote.push([]) == []
        assert host.client().remote.fetch([]) == {}

    def test_prefix_is_exact(self, host: RemoteHost) -> None:
        """A prefix ends at its slash, a full name is that name alone, and what is not there is just absent."""
        anna = host.client()
        root = anna.commit("root")
        refs = [f"refs/cit/{name}" for name in ("builds/a/x", "builds/ab/x", "policy", "policy2")]
        anna.remote.push([Update(ref, None, root) for ref in refs])
        assert anna.remote.fetch(["refs/cit/builds/a/"]) == {"refs/cit/builds/a/x": root}
        assert anna.remote.fetch(["refs/cit/policy"]) == {"refs/cit/policy": root}
        assert anna.remote.fetch(["refs/cit/absent", "refs/cit/builds/none/"]) == {}
        assert sorted(anna.remote.fetch(["refs/cit/builds/", "refs/cit/policy", "refs/cit/absent"])) == refs[:3]
        assert sorted(anna.remote.fetch(["refs/cit/", "refs/cit/builds/a/"])) == refs

    def test_fetch_forgets_what_the_host_lost(self, host: RemoteHost) -> None:
        """Deleted refs are gone from the next fetch, also those that another prefix once brought."""
        anna, ben = host.client(), host.client()
        root = anna.commit("root")
        anna.remote.push([Update(ONE, None, root), Update(TWO, None, root)])
        assert set(ben.remote.fetch(["refs/cit/"])) == {ONE, TWO}
        anna.push(ONE, root, None)
        assert set(ben.remote.fetch([POOL])) == {TWO}
        anna.push(TWO, root, None)
        assert ben.remote.fetch(["refs/cit/"]) == {}

    def test_objects_arrive_with_their_history(self, host: RemoteHost) -> None:
        """After a fetch every commit, tree and file below a tip is in the local store."""
        anna, ben = host.client(), host.client()
        blob = anna.objects.write("blob", b"log of the build\n")
        inner = anna.objects.write_tree([Entry("log", 0o100644, blob)])
        tree = anna.objects.write_tree([Entry("files", 0o040000, inner)])
        root = anna.commit("root", tree=tree)
        tip = anna.commit("tip", anna.commit("middle", root))
        anna.push(ONE, None, tip)
        ben.remote.fetch([POOL])
        assert all(ben.objects.has(oid) for oid in (tip, root, tree, inner, blob))
        assert ben.objects.read(blob) == ("blob", b"log of the build\n")

    def test_hostile_names_are_shown_and_harmless(self, host: RemoteHost) -> None:
        """Names outside the grammar are in the answer and do not stop the fetch of the others."""
        anna = host.client()
        root = anna.commit("root")
        anna.push(ONE, None, root)
        names = ["UPPER/x", "--upload-pack=x", "$(touch x)", "a;b", "é", "builds/linux/not-an-id/below", "a'b\"c", "%s"]
        for name in names:
            host.place(f"refs/cit/{name}".replace(" ", "\u00a0"), root)
        found = host.client().remote.fetch(["refs/cit/"])
        assert found[ONE] == root
        assert set(found) == {ONE, *(f"refs/cit/{name}".replace(" ", "\u00a0") for name in names)}

    def test_folder_and_ref_change_places(self, host: RemoteHost) -> None:
        """A name that was a ref and is now a folder, or the reverse, does not confuse a later fetch."""
        anna, ben = host.client(), host.client()
        root = anna.commit("root")
        anna.push("refs/cit/builds/x", None, root)
        assert ben.remote.fetch(["refs/cit/"]) == {"refs/cit/builds/x": root}
        anna.push("refs/cit/builds/x", root, None)
        assert anna.push("refs/cit/builds/x/y", None, root) is Answer.DONE
        assert ben.remote.fetch(["refs/cit/builds/x/"]) == {"refs/cit/builds/x/y": root}
        anna.push("refs/cit/builds/x/y", root, None)
        assert anna.push("refs/cit/builds/x", None, root) is Answer.DONE
        assert ben.remote.fetch(["refs/cit/builds/x"]) == {"refs/cit/builds/x": root}

    def test_denied_push_says_why(self, host: RemoteHost) -> None:
        """A host that declines is not worth another try, and its words reach the caller."""
        anna = host.client()
        root = anna.commit("root")
        host.deny()
        pushed = anna.remote.push([Update(ONE, None, root), Update(TWO, None, root)])
        assert by_answer(pushed) == [Answer.DENIED, Answer.DENIED]
        assert "not today" in pushed[0].message
        assert anna.remote.fetch(["refs/cit/"]) == {}

    def test_gone_host(self, host: RemoteHost) -> None:
        """A fetch from a host that is away says so; a push to it may or may not have happened."""
        anna = host.client()
        root = anna.commit("root")
        anna.push(ONE, None, root)
        host.vanish()
        try:
            told = f"fetched {anna.remote.fetch([POOL])}"
        except RemoteAway as error:
            told = f"{error.message} (hint: {error.hint})"
        assert "did not answer" in told
        assert "hint: check" in told
        assert anna.push(ONE, root, anna.commit("child", root)) is Answer.UNKNOWN
