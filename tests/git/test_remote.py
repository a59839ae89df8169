"""What only a real git host does: locks, hooks, permissions, other people's configuration, killed programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from services import Sshd

from citgit.errors import Bug, NotFound, Refused, RemoteAway
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import Output, must
from citgit.git.push_answers import answers
from citgit.git.remote import GitRemote
from citgit.interfaces import Answer, Update
from citgit.testing.remotes import ONE, POOL, TWO, Client


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A bare repository."""
    init_bare(tmp_path / "host.git")
    return tmp_path / "host.git"


@pytest.fixture
def anna(host: Path, tmp_path: Path) -> Client:
    """A client of it."""
    init_bare(tmp_path / "anna.git")
    return Client(GitRemote(tmp_path / "anna.git", str(host), timeout=20), GitObjects(tmp_path / "anna.git"))


def test_left_lock_is_unknown_and_named(anna: Client, host: Path) -> None:
    """A REF.lock that a killed git left at the host: the answer holds its path; other refs go through."""
    lock = host / f"{ONE}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    root = anna.commit("root")
    stuck, fine = anna.remote.push([Update(ONE, None, root), Update(TWO, None, root)])
    assert (stuck.answer, fine.answer) == (Answer.UNKNOWN, Answer.DONE)
    assert f"{ONE}.lock" in stuck.message
    assert "File exists" in stuck.message
    lock.unlink()
    assert anna.push(ONE, None, root) is Answer.DONE


def test_two_causes_in_one_push_are_told_apart(anna: Client, host: Path) -> None:
    """Each ref gets the host's words about itself, not about its neighbour."""
    (host / ONE).parent.mkdir(parents=True)
    (host / f"{ONE}.lock").touch()
    root = anna.commit("root")
    anna.push("refs/cit/x", None, root)
    locked, below = anna.remote.push([Update(ONE, None, root), Update("refs/cit/x/y", None, root)])
    assert (locked.answer, below.answer) == (Answer.UNKNOWN, Answer.DENIED)
    assert "cannot create 'refs/cit/x/y'" in below.message
    assert "x/y" not in locked.message


@pytest.mark.parametrize(("root", "answer"), [("refs/heads/cit/", Answer.DENIED), ("refs/cit/", Answer.DONE)])
def test_state_only_host_keeps_branches(anna: Client, tmp_path: Path, root: str, answer: Answer) -> None:
    """git's rule against rewinding covers branches only; elsewhere a lease forces, and deletion stays possible."""
    init_bare(tmp_path / "strict.git", state_only=True)
    remote = GitRemote(tmp_path / "anna.git", str(tmp_path / "strict.git"), root)
    client, ref = Client(remote, anna.objects), f"{root}policy"
    first = client.commit("first")
    second = client.commit("second", first)
    assert client.push(ref, None, second) is Answer.DONE
    assert client.push(ref, second, first) is answer
    assert client.push(ref, client.at(ref), None) is Answer.DONE


def test_user_s_pre_push_hook_does_not_run(tmp_path: Path, host: Path) -> None:
    """Records are pushed from the user's clone without its hooks and push settings."""
    clone = tmp_path / "clone"
    must(["init", "-q", "--", str(clone)], doing="make a clone")
    hook = clone / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    for name, value in (("push.gpgSign", "true"), ("push.followTags", "true"), ("push.recurseSubmodules", "check")):
        must(["config", name, value], cwd=clone, doing="configure")
    ben = Client(GitRemote(clone / ".git", str(host)), GitObjects(clone / ".git"))
    assert ben.push(ONE, None, ben.commit("root")) is Answer.DONE


def test_clone_s_refs_and_fetch_head_stay(tmp_path: Path, host: Path, anna: Client) -> None:
    """Fetching records into a user's clone changes nothing that the user works with."""
    clone = tmp_path / "clone"
    must(["init", "-q", "--", str(clone)], doing="make a clone")
    must(["remote", "add", "--", "origin", str(host)], cwd=clone, doing="name the host")
    root = anna.commit("root")
    must(["push", "-q", "--", str(host), f"{root}:refs/heads/main", f"{root}:refs/tags/v1"],
         git_dir=tmp_path / "anna.git", doing="push code")  # fmt: skip
    anna.push(ONE, None, root)
    assert GitRemote(clone / ".git", str(host)).fetch(["refs/cit/"]) == {ONE: root}
    refs = must(["for-each-ref", "--format=%(refname)"], cwd=clone, doing="list").stdout.decode().split()
    assert [ref for ref in refs if not ref.startswith("refs/cit-seen/new/")] == []
    assert not (clone / ".git" / "FETCH_HEAD").exists()


def test_two_hosts_in_one_clone(tmp_path: Path, host: Path, anna: Client) -> None:
    """What one host lacks is not pruned from what the other one has."""
    init_bare(tmp_path / "other.git")
    other = GitRemote(tmp_path / "anna.git", str(tmp_path / "other.git"))
    root = anna.commit("root")
    anna.push(ONE, None, root)
    assert anna.remote.fetch([POOL]) == {ONE: root}
    assert other.fetch([POOL]) == {}
    listing = must(["for-each-ref", "--format=%(refname)"], git_dir=tmp_path / "anna.git", doing="list").stdout
    assert ONE.removeprefix("refs/cit/").encode() in listing


def test_killed_fetch_leaves_nothing_in_the_way(tmp_path: Path, anna: Client, host: Path) -> None:
    """Locks of an earlier fetch that was killed are removed by the next one."""
    root = anna.commit("root")
    anna.push(ONE, None, root)
    ben = tmp_path / "ben.git"
    init_bare(ben)
    remote = GitRemote(ben, str(host))
    remote.fetch([POOL])
    child = anna.commit("child", root)
    anna.push(ONE, root, child)
    staged = next((ben / "refs" / "cit-seen").rglob(ONE.rpartition("/")[2]))
    staged.with_name(staged.name + ".lock").touch()
    assert remote.fetch([POOL]) == {ONE: child}


def test_malformed_object_does_not_stop_the_others(anna: Client, host: Path) -> None:
    """A commit that fsck would refuse, pushed by anybody, is fetched like any other: readers judge it."""
    root = anna.commit("root")
    anna.push(ONE, None, root)
    evil = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor x\ncommitter x\n\nhello\n"
    args = ["hash-object", "-w", "-t", "commit", "--literally", "--stdin"]
    oid = must(args, git_dir=host, input=evil, doing="plant").stdout.decode().strip()
    must(["update-ref", "--", TWO, oid], git_dir=host, doing="plant")
    assert anna.remote.fetch([POOL]) == {ONE: root, TWO: oid}
    assert anna.objects.read(oid) == ("commit", evil)


def test_names_too_long_for_this_disk(anna: Client, host: Path) -> None:
    """A name outside the grammar that this disk cannot hold is left out; everything else arrives."""
    root = anna.commit("root")
    anna.push(ONE, None, root)
    long = "refs/cit/" + "x" * 253
    with open(host / "packed-refs", "a") as file:
        file.write(f"{root} {long}\n")
    assert anna.remote.fetch(["refs/cit/"]) == {ONE: root}


def test_hanging_host(anna: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes the connection and says nothing is away; a push to it is unknown."""
    hang = tmp_path / "hang"
    hang.write_text("#!/bin/sh\nexec sleep 60\n")
    hang.chmod(0o755)
    monkeypatch.setenv("GIT_SSH", str(hang))
    remote = GitRemote(tmp_path / "anna.git", "ssh://lab1/srv/host.git", timeout=0.5)
    with pytest.raises(RemoteAway, match=r"did not answer: git did not finish within 0\.5 s"):
        remote.fetch([POOL])
    assert remote.push([Update(ONE, None, anna.commit("root"))])[0].answer is Answer.UNKNOWN


def test_host_that_is_off(anna: Client, tmp_path: Path) -> None:
    """A refused connection is away, not a refusal."""
    remote = GitRemote(tmp_path / "anna.git", "git://127.0.0.1:1/host.git", timeout=20)
    with pytest.raises(RemoteAway, match="Connection refused"):
        remote.fetch([POOL])
    assert remote.push([Update(ONE, None, anna.commit("root"))])[0].answer is Answer.UNKNOWN


def test_wrong_calls(anna: Client) -> None:
    """Refs outside the root, names with a star, a ref twice and objects that are not here are our own faults."""
    root = anna.commit("root")
    for prefix in ("refs/heads/", "refs/cit", "refs/cit/*"):
        with pytest.raises(Bug):
            anna.remote.fetch([prefix])
    with pytest.raises(Bug, match="twice"):
        anna.remote.push([Update(ONE, None, root), Update(ONE, root, None)])
    with pytest.raises(Bug):
        anna.remote.push([Update("refs/heads/main", None, root)])
    with pytest.raises(Bug):
        anna.remote.push([Update(ONE, None, "main")])
    with pytest.raises(NotFound, match="an object is not in"):
        anna.remote.push([Update(ONE, None, "1" * 40)])
    with pytest.raises(NotFound, match="an object is not in"):
        anna.remote.push([Update(ONE, None, anna.commit("orphan", "2" * 40)), Update(TWO, None, root)])
    assert anna.remote.fetch([POOL]) == {}


@pytest.mark.privileged
def test_stranger_is_refused(sshd: Sshd, anna: Client, tmp_path: Path) -> None:
    """Somebody whom the host does not let in is told so, with what to check; it is no reason to try again."""
    remote = GitRemote(tmp_path / "anna.git", f"ssh://nobody@127.0.0.1:{sshd.port}/srv/host.git", timeout=20)
    with pytest.raises(Refused, match="Permission denied") as caught:
        remote.fetch([POOL])
    assert "git ls-remote ssh://nobody@127.0.0.1" in caught.value.hint
    assert remote.push([Update(ONE, None, anna.commit("root"))])[0].answer is Answer.DENIED


@pytest.mark.privileged
def test_reader_may_not_write(sshd: Sshd, anna: Client) -> None:
    """A user who can read the folder and not write it gets git's words, which are a full disk's too: so unknown."""
    with sshd.folder() as folder:
        init_bare(folder / "host.git")
        sshd.give(folder, "citgit-anna")
        url = f"ssh://citgit-ben@127.0.0.1:{sshd.port}{folder}/host.git"
        init_bare(folder / "mine.git")
        client = Client(GitRemote(folder / "mine.git", url, timeout=20), GitObjects(folder / "mine.git"))
        pushed = client.remote.push([Update(ONE, None, client.commit("root"))])[0]
        assert pushed.answer is Answer.UNKNOWN
        assert "unable to create temporary object directory" in pushed.message
        assert client.at(ONE) is None


def judged(line: str, stderr: str = "") -> Answer:
    """The answer to one porcelain line."""
    output = Output((), 1, f"To lab1\n{line}\nDone\n".encode(), stderr)
    return answers([Update(ONE, None, "a" * 40)], output)[0].answer


@pytest.mark.parametrize(
    ("flag", "summary", "stderr", "answer"),
    [
        ("*", "[new reference]", "", Answer.DONE),
        ("=", "[up to date]", "", Answer.DONE),
        ("!", "[rejected] (stale info)", "", Answer.STALE),
        ("!", "[rejected] (fetch first)", "", Answer.STALE),
        ("!", "[remote rejected] (incorrect old value provided)", "", Answer.STALE),
        ("!", "[remote rejected] (reference already exists)", "", Answer.STALE),
        ("!", "[remote rejected] (failed to update ref)", "remote: error: cannot lock ref "
         f"'{ONE}': is at {'b' * 40} but expected {'a' * 40}", Answer.STALE),
        ("!", "[remote rejected] (failed to update ref)", f"remote: error: cannot lock ref '{ONE}': "
         f"reference already exists", Answer.STALE),
        ("!", "[remote rejected] (failed to update ref)", "remote: error: cannot lock ref 'refs/cit/other': is at "
         f"{'b' * 40} but expected {'a' * 40}", Answer.UNKNOWN),
        ("!", "[remote rejected] (failed to update ref)", "", Answer.UNKNOWN),
        ("!", "[remote rejected] (pre-receive hook declined)", "remote: no", Answer.DENIED),
        ("!", "[remote rejected] (deny updating a hidden ref)", "", Answer.DENIED),
        ("!", "[remote rejected] (deletion prohibited)", "", Answer.DENIED),
        ("!", "[remote rejected] (non-fast-forward)", "", Answer.DENIED),
        ("!", "[remote rejected] (unpacker error)", "remote: error: No space left on device", Answer.UNKNOWN),
        ("!", "[remote failure] (remote failed to report status)", "", Answer.UNKNOWN),
        ("!", "[remote rejected] (something new)", "", Answer.UNKNOWN),
        ("!", "[remote rejected] (protected branch hook declined)", "", Answer.DENIED),
    ],
)  # fmt: skip
def test_words_of_hosts(flag: str, summary: str, stderr: str, answer: Answer) -> None:
    """What git and hosts say, as answers; what is not known for sure is unknown."""
    assert judged(f"{flag}\t{'a' * 40}:{ONE}\t{summary}", stderr) is answer


def test_names_do_not_decide() -> None:
    """A pool called after what hosts say when they refuse is a pool like any other."""
    ref = "refs/cit/builds/permission-denied.protected/01932c07-3a80-7000-8000-000000000001"
    told = f"remote: error: cannot lock ref '{ref}': is at {'b' * 40} but expected {'a' * 40}"
    line = f"!\t:{ref}\t[remote rejected] (failed to update ref)\n".encode()
    assert answers([Update(ref, "a" * 40, None)], Output((), 1, line, told))[0].answer is Answer.STALE
    told = "fatal: '/srv/permission denied/is read-only' does not appear to be a git repository"
    assert answers([Update(ref, "a" * 40, None)], Output((), 128, b"", told))[0].answer is Answer.UNKNOWN


def test_message_cannot_control_a_terminal() -> None:
    """The host's words are kept without escape sequences."""
    output = Output((), 1, f"!\t:{ONE}\t[remote rejected] (hook declined)\n".encode(), "remote: \x1b[2Jno\n")
    assert "\x1b" not in answers([Update(ONE, "a" * 40, None)], output)[0].message
