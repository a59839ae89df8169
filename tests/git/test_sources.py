"""Mirrors: fetching by every way, reading config, and checkouts that obey nobody's git configuration."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from citgit.errors import Errored, NotYet, Refused, RemoteAway, UsageError
from citgit.flows.claims import on_their_branches
from citgit.git.program import must
from citgit.git.sources import Mirrors
from citgit.git.submodules import is_local, resolve
from citgit.model.job import Job
from citgit.model.record import Cause, Config, PinnedSource, Request
from citgit.model.team import Pool

WHO = {
    "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "anna@lab1", "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_NAME": "anna", "GIT_COMMITTER_EMAIL": "anna@lab1", "GIT_COMMITTER_DATE": "1700000000 +0200",
}  # fmt: skip


class Project:
    """A source repository that a test writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        must(["init", "-q", "-b", "main", "--", str(path)], doing="make a project")

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.path)

    def git(self, *args: str) -> str:
        """A git command in it."""
        out = must(list(args), cwd=self.path, env=WHO, doing="prepare", settings=["protocol.file.allow=always"])
        return out.stdout.decode().strip()

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        """Writes files and commits everything."""
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    return Project(tmp_path / "zlib")


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    """No mirrors yet."""
    return Mirrors(tmp_path / "mirrors", timeout=30)


def test_heads_follow_the_host(project: Project, mirrors: Mirrors) -> None:
    """Branches appear, move back and vanish as they do at the host."""
    first = project.commit({"a": "1"})
    second = project.commit({"a": "2"})
    project.git("branch", "release/1", first)
    assert mirrors.heads(project.url) == {"main": second, "release/1": first}
    project.git("reset", "-q", "--hard", first)
    project.git("branch", "-D", "release/1")
    project.git("branch", "release", first)
    assert mirrors.heads(project.url) == {"main": first, "release": first}


def test_fetch_by_name_of_any_commit(project: Project, mirrors: Mirrors) -> None:
    """A commit that no branch shows any more is fetched by its name."""
    project.commit({"a": "1"})
    lost = project.commit({"a": "2"})
    project.git("reset", "-q", "--hard", "HEAD^")
    assert mirrors.fetch(project.url, lost).commit == lost
    assert mirrors.fetch(project.url, lost).time == 1_700_000_000_000


def test_fetch_through_a_ref_where_names_are_refused(
    project: Project, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host of the old protocol hands out what its refs show only: then the ref that was named helps."""
    (tmp_path / "config").write_text("[protocol]\n\tversion = 0\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    project.commit({"a": "1"})
    change = project.commit({"a": "2"})
    project.git("update-ref", "refs/changes/1", change)
    later = project.commit({"a": "3"})
    project.git("update-ref", "refs/changes/1", later)
    project.git("reset", "-q", "--hard", "HEAD~2")
    with pytest.raises(NotYet, match="is not at") as caught:
        mirrors.fetch(project.url, change)
    assert "push it there" in caught.value.hint
    assert mirrors.fetch(project.url, change, "refs/changes/1").commit == change


def test_a_commit_that_nobody_pushed(project: Project, mirrors: Mirrors) -> None:
    """It is not an error but something to wait for; once pushed it is found."""
    project.commit({"a": "1"})
    with pytest.raises(NotYet, match="1111111111"):
        mirrors.fetch(project.url, "1" * 40)
    tip = project.commit({"a": "2"})
    assert mirrors.fetch(project.url, tip).commit == tip


def test_known_commits_need_no_host(project: Project, mirrors: Mirrors) -> None:
    """A revision that is here is built while the host is away; a new one is not."""
    tip = project.commit({"a": "1"})
    mirrors.fetch(project.url, tip)
    project.path.rename(project.path.with_name("moved"))
    assert mirrors.fetch(project.url, tip).commit == tip
    with pytest.raises(RemoteAway, match="did not answer"):
        mirrors.heads(project.url)
    with pytest.raises(RemoteAway, match="did not answer"):
        mirrors.fetch(project.url, "1" * 40)


def test_half_fetched_commit_is_not_taken_for_whole(project: Project, mirrors: Mirrors) -> None:
    """A commit object without its tree, as a killed fetch leaves it, is fetched again."""
    project.commit({"a": "1"})
    mirrors.heads(project.url)
    tip = project.commit({"a": "2"})
    body = must(["cat-file", "commit", tip], cwd=project.path, doing="read").stdout
    mirror = mirrors.path(project.url)
    must(["hash-object", "-w", "-t", "commit", "--stdin"], git_dir=mirror, input=body, doing="plant")
    mirrors.fetch(project.url, tip)
    assert mirrors.files(project.url, tip, ["a"]) == {"a": b"2"}


@pytest.mark.parametrize("name", ["main", "HEAD", "1" * 39, "--upload-pack=x", ""])
def test_only_full_names(project: Project, mirrors: Mirrors, name: str) -> None:
    """A build pins a commit by its full name."""
    with pytest.raises(Refused, match="not a commit"):
        mirrors.fetch(project.url, name)


def test_tag_objects_are_not_commits(project: Project, mirrors: Mirrors) -> None:
    """A tag's own object is refused by its kind."""
    project.commit({"a": "1"})
    project.git("tag", "-a", "-m", "one", "v1")
    with pytest.raises(Refused, match="is a tag, not a commit"):
        mirrors.fetch(project.url, project.git("rev-parse", "v1"))


@pytest.mark.parametrize("url", ["--upload-pack=touch x", "ext::sh -c x", "foo::bar", "gopher://x/y", "", "a\nb"])
def test_addresses_that_name_programs(mirrors: Mirrors, url: str) -> None:
    """An address never becomes an option or a command."""
    with pytest.raises(UsageError, match="address"):
        mirrors.heads(url)


def test_files(project: Project, mirrors: Mirrors) -> None:
    """Named files and the *.toml of named folders, regular files only; what is absent is left out."""
    files = {"cit.toml": "c", "jobs/a.toml": "a", "jobs/b.txt": "b", "jobs/deep/c.toml": "c", "x/.hidden.toml": "h"}
    (project.path / "link.toml").symlink_to("/etc/hostname")
    tip = project.commit(files)
    mirrors.fetch(project.url, tip)
    wanted = ["cit.toml", "team.toml", "jobs/", "x/", "none/", "link.toml", "jobs", "jobs/deep/c.toml", "../x", "/etc/"]
    assert mirrors.files(project.url, tip, wanted) == {"cit.toml": b"c", "jobs/a.toml": b"a", "jobs/deep/c.toml": b"c"}


def test_changed(project: Project, mirrors: Mirrors) -> None:
    """Paths that differ, whatever they are called; None where there is nothing to compare with."""
    first = project.commit({"a": "1", "b": "1", "old": "1\n2\n3\n"})
    (project.path / "old").rename(project.path / "new")
    second = project.commit({"b": "2", 'sub/é "x"\n': "1"})
    mirrors.heads(project.url)
    assert set(mirrors.changed(project.url, first, second) or []) == {"b", "old", "new", 'sub/é "x"\n'}
    assert mirrors.changed(project.url, first, first) == []
    assert mirrors.changed(project.url, None, second) is None
    assert mirrors.changed(project.url, "1" * 40, second) is None


def test_tree(project: Project, mirrors: Mirrors) -> None:
    """Two revisions with the same content have the same tree."""
    first = project.commit({"a": "1"})
    second = project.commit({}, "nothing changed")
    mirrors.heads(project.url)
    assert (
        mirrors.tree(project.url, first) == mirrors.tree(project.url, second) == project.git("rev-parse", "HEAD^{tree}")
    )
    with pytest.raises(NotYet, match="was not fetched"):
        mirrors.tree(project.url, "1" * 40)


def test_checkout(project: Project, mirrors: Mirrors, tmp_path: Path) -> None:
    """The files of the commit, HEAD detached there, tags for git describe, no origin, and where objects come from."""
    first = project.commit({"a": "1", "run.sh": "#!/bin/sh\n"})
    project.git("tag", "-a", "-m", "one", "v1")
    (project.path / "run.sh").chmod(0o755)
    second = project.commit({"b": "2"})
    project.commit({"c": "3"})
    mirrors.fetch(project.url, second)
    target = tmp_path / "build"
    assert mirrors.checkout(project.url, second, target, submodules=False) == [mirrors.path(project.url)]
    assert sorted(path.name for path in target.iterdir()) == [".git", "a", "b", "run.sh"]
    assert (target / "run.sh").stat().st_mode & 0o111

    def git(*args: str) -> str:
        return must(list(args), cwd=target, doing="look").stdout.decode().strip()

    assert git("rev-parse", "--symbolic-full-name", "HEAD") == "HEAD"
    assert git("describe") == f"v1-1-g{second[:7]}"
    assert git("log", "--format=%H").split() == [second, first]
    assert (git("status", "--porcelain"), git("remote")) == ("", "")
    assert not (target / ".git" / "hooks").exists()


def test_checkout_of_a_huge_file(project: Project, mirrors: Mirrors, tmp_path: Path) -> None:
    """What is too much to be read at once is git's to write."""
    (project.path / "video").write_bytes(b"x" * (17 << 20))
    commit = project.commit({"a": "1"})
    mirrors.fetch(project.url, commit)
    assert not mirrors.is_light(project.url, commit)
    mirrors.checkout(project.url, commit, tmp_path / "build", submodules=False)
    assert (tmp_path / "build" / "video").stat().st_size == 17 << 20


def test_a_tree_is_looked_through_once(
    project: Project, mirrors: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its files are few is asked before it is checked out, and the answer "no" is kept too."""
    commit = project.commit({".gitattributes": "* text=auto\n"})
    mirrors.fetch(project.url, commit)
    assert not mirrors.is_light(project.url, commit)
    monkeypatch.setattr("citgit.git.sources.plain_files", None)
    mirrors.checkout(project.url, commit, tmp_path / "build", submodules=False)
    assert (tmp_path / "build" / ".gitattributes").is_file()


def test_checkout_obeys_no_configuration(
    project: Project, mirrors: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters, hooks, templates and attributes of the user do not run and do not change files."""
    home = tmp_path / "home"
    (home / "template" / "hooks").mkdir(parents=True)
    evil = f"touch {tmp_path / 'evil'}"
    hook = home / "template" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\n{evil}\n")
    hook.chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[init]\n\ttemplateDir = {home}/template\n[core]\n\thooksPath = {home}/template/hooks\n\tautocrlf = true\n"
        f'\tattributesFile = {home}/attributes\n\tfsmonitor = {evil}\n[filter "lfs"]\n\tsmudge = {evil}; cat\n'
        f'[filter "own"]\n\tsmudge = {evil}; cat\n'
    )
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "attributes").write_text("* filter=own eol=crlf\n")
    tip = project.commit({".gitattributes": "*.bin filter=lfs\n", "a.bin": "pointer\n", "text": "one\ntwo\n"})
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(home / "template"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.autocrlf'='true'")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    mirrors.fetch(project.url, tip)
    mirrors.checkout(project.url, tip, tmp_path / "build", submodules=False)
    assert (tmp_path / "build" / "text").read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "build" / "a.bin").read_bytes() == b"pointer\n"
    assert not (tmp_path / "evil").exists()


def test_checkout_refuses_git_folders(project: Project, mirrors: Mirrors, tmp_path: Path) -> None:
    """A tree that would write into .git is refused, and leaves no half checkout."""
    blob = project.git("hash-object", "-w", "--stdin")
    tree = must(["mktree"], cwd=project.path, input=f"100644 blob {blob}\tconfig\n".encode(), doing="plant").stdout
    line = b"040000 tree " + tree.strip() + b"\t.GIT\n"
    top = must(["mktree"], cwd=project.path, input=line, doing="plant").stdout.decode().strip()
    tip = project.git("commit-tree", "-m", "evil", top)
    mirrors.fetch(project.url, tip)
    with pytest.raises(Refused, match="does not write"):
        mirrors.checkout(project.url, tip, tmp_path / "build", submodules=False)
    assert not (tmp_path / "build").exists()


def test_checkout_needs_a_new_folder(project: Project, mirrors: Mirrors, tmp_path: Path) -> None:
    """What is in the way stays, and the commit must have been fetched."""
    tip = project.commit({"a": "1"})
    with pytest.raises(NotYet, match="was not fetched"):
        mirrors.checkout(project.url, tip, tmp_path / "build", submodules=False)
    mirrors.fetch(project.url, tip)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "mine").write_text("kept")
    with pytest.raises(Errored, match="it is not empty"):
        mirrors.checkout(project.url, tip, tmp_path / "build", submodules=False)
    assert (tmp_path / "build" / "mine").read_text() == "kept"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Errored, match="it is not empty"):
        mirrors.checkout(project.url, tip, tmp_path / "link", submodules=False)


def test_shallow_source(project: Project, mirrors: Mirrors, tmp_path: Path) -> None:
    """A shallow clone can be built from; its history ends where it ends."""
    project.commit({"a": "1"})
    tip = project.commit({"a": "2"})
    must(
        ["clone", "-q", "--depth=1", f"file://{project.path}", str(tmp_path / "shallow")],
        doing="clone",
        settings=["protocol.file.allow=always"],
    )
    url = str(tmp_path / "shallow")
    mirrors.fetch(url, tip)
    mirrors.checkout(url, tip, tmp_path / "build", submodules=False)
    assert must(["log", "--format=%H"], cwd=tmp_path / "build", doing="look").stdout.decode().split() == [tip]


def test_submodules(tmp_path: Path, mirrors: Mirrors) -> None:
    """Nested submodules come only if asked for, each at its pinned commit, relative addresses from their parent."""
    inner, middle, outer = (Project(tmp_path / name) for name in ("inner", "middle", "outer"))
    inner.commit({"i": "1"})
    middle.git("submodule", "--quiet", "add", "../inner", "deep/inner")
    middle.commit({"m": "1"})
    outer.git("submodule", "--quiet", "add", str(middle.path), "middle")
    tip = outer.commit({"o": "1"})
    inner.commit({"i": "2"})
    mirrors.fetch(outer.url, tip)
    mirrors.checkout(outer.url, tip, tmp_path / "plain", submodules=False)
    assert list((tmp_path / "plain" / "middle").iterdir()) == []
    used = mirrors.checkout(outer.url, tip, tmp_path / "full", submodules=True)
    assert (tmp_path / "full/middle/deep/inner/i").read_text() == "1"
    assert used == [mirrors.path(each.url) for each in (outer, middle, inner)]
    assert must(["status", "--porcelain"], cwd=tmp_path / "full", doing="look").stdout == b""


def test_submodule_without_address(project: Project, mirrors: Mirrors, tmp_path: Path) -> None:
    """A pinned commit whose repository nobody names is refused by its path."""
    project.commit({"a": "1"})
    project.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    project.git("commit", "-q", "-m", "link")
    tip = project.git("rev-parse", "HEAD")
    mirrors.fetch(project.url, tip)
    with pytest.raises(Refused, match=r"submodule 'sub' .* has no address"):
        mirrors.checkout(project.url, tip, tmp_path / "build", submodules=True)


@pytest.mark.parametrize(
    ("parent", "url", "found"),
    [
        ("https://lab1/group/a.git", "../b.git", "https://lab1/group/b.git"),
        ("https://lab1/group/a.git/", "../../b", "https://lab1/b"),
        ("https://lab1/a", "./b", "https://lab1/a/b"),
        ("ssh://anna@lab1:22/srv/a", "../b", "ssh://anna@lab1:22/srv/b"),
        ("anna@lab1:a.git", "../b.git", "anna@lab1:b.git"),
        ("lab1:group/a", "../b", "lab1:group/b"),
        ("/srv/a", "../b", "/srv/b"),
        ("/srv/a", "/srv/b", "/srv/b"),
        ("https://lab1/a", "ssh://lab2/b", "ssh://lab2/b"),
    ],
)
def test_submodule_addresses(parent: str, url: str, found: str) -> None:
    """Relative addresses start at the parent's."""
    assert resolve(parent, url) == found


@pytest.mark.parametrize(
    ("parent", "url", "words"),
    [
        ("https://lab1/a", "../../b", "too many"),
        ("lab1:a", "../../b", "too many"),
        ("https://lab1/a", "/srv/private", "path of this machine"),
        ("https://lab1/a", "file:///srv/private", "path of this machine"),
        ("lab1:a", "private", "path of this machine"),
        ("/srv/a", "ext::sh -c x", "not allowed"),
        ("/srv/a", "-u/x", "not the address"),
        ("https://lab1/a", "", "not the address"),
    ],
)
def test_submodule_addresses_that_are_refused(parent: str, url: str, words: str) -> None:
    """An address never leaves its host by dots, never is a local path named from afar, never a program."""
    with pytest.raises((Refused, UsageError), match=words):
        resolve(parent, url)


@pytest.mark.parametrize("url", ["/a", "a", "./a:b", "file:///a", "FILE:///a"])
def test_local_addresses(url: str) -> None:
    """Paths are local as git reads them."""
    assert is_local(url)


def test_two_processes_fetch_into_one_mirror(project: Project, tmp_path: Path) -> None:
    """Several workers of one node may fetch the same repository at once."""
    tip = project.commit({"a": "1"})
    code = (
        "import sys; from pathlib import Path; from citgit.git.sources import Mirrors\n"
        "for _ in range(5): Mirrors(Path(sys.argv[1])).heads(sys.argv[2])\n"
        "print(Mirrors(Path(sys.argv[1])).fetch(sys.argv[2], sys.argv[3]).commit)"
    )
    import sys

    argv = [sys.executable, "-c", code, str(tmp_path / "mirrors"), project.url, tip]
    several = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in several:
        out, err = process.communicate(timeout=60)
        assert (out.decode().strip(), err.decode()) == (tip, "")


def test_a_request_may_lie_about_its_branch(project: Project, mirrors: Mirrors) -> None:
    """In a pool for main alone, a commit of another branch waits until it is on main; a pool for all does not ask."""
    first = project.commit({"a": "1"})
    project.git("switch", "-q", "-c", "evil")
    evil = project.commit({"a": "2"})
    source = PinnedSource(ref="refs/heads/main", commit=evil)
    asked = Request(
        job="deploy", branch="main", config=Config(branch="main", commit=first), definition=Job(command=("make",)),
        sources=(source,), cause=Cause(),
    )  # fmt: skip
    on_their_branches(mirrors, project.url, asked, Pool())
    with pytest.raises(NotYet, match=f"{evil[:12]} is not on branch 'main'"):
        on_their_branches(mirrors, project.url, asked, Pool(branches=("main",)))
    config = msgspec.structs.replace(asked, sources=(), config=Config(branch="main", commit=evil))
    with pytest.raises(NotYet):
        on_their_branches(mirrors, project.url, config, Pool(branches=("main",)))
    project.git("switch", "-q", "main")
    project.git("merge", "-q", "evil")
    on_their_branches(mirrors, project.url, asked, Pool(branches=("main",)))
    assert not mirrors.on_branch(project.url, "none", first)
