"""What verbs ask git of a checkout: its revisions, its files, a commit of the config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from citgit.errors import NotFound, UsageError
from citgit.git.program import must, run, shown
from citgit.model.names import is_oid
from citgit.wiring.clone import git_place

_LIMIT = 1 << 20
_FOLDERS = ("jobs", ".cit", ".cit/jobs", "agents", ".cit/agents", "people", ".cit/people")


def commit_at(git_dir: Path, ref: str) -> str:
    """The commit that `ref` names, "" if it names none. Raises UsageError if git would read it as an option."""
    _no_option(ref)
    name = f"{ref}^{{commit}}"
    found = run(["rev-parse", "--verify", "--quiet", "--end-of-options", name], git_dir=git_dir)
    return "" if found.status else found.stdout.decode().strip()


def _no_option(ref: str) -> None:
    if ref.startswith("-"):
        raise UsageError(f"not a revision: {ref!r}", hint="name a branch or a commit")


def revision(git_dir: Path, ref: str) -> tuple[str, str]:
    """(commit, branch) that `ref` means; the branch is "detached" where there is none. Raises NotFound."""
    _no_option(ref)
    told = run(["rev-parse", f"{ref}^{{commit}}", "--abbrev-ref", ref, "--"], git_dir=git_dir)
    commit, *names = told.stdout.decode(errors="replace").split("\n")
    if told.status or not is_oid(commit):
        raise NotFound(f"no revision {ref!r} in {str(git_dir)!r}", hint="name a branch or a commit")
    branch = next((one for one in reversed(names) if one and not one.startswith("--")), "")
    return commit, branch if branch and branch != "HEAD" else "detached"


def is_pushed(git_dir: Path, commit: str) -> bool:
    """Whether a branch of a remote, as far as this clone knows, has the commit; also if there is no remote."""
    found = run(["for-each-ref", "--count=1", f"--contains={commit}", "--", "refs/remotes/"], git_dir=git_dir)
    return bool(found.stdout) or not run(["remote"], git_dir=git_dir).stdout


def head_branch(git_dir: Path) -> str:
    """The branch that is checked out; "main" where there is none."""
    return run(["symbolic-ref", "--short", "HEAD"], git_dir=git_dir).stdout.decode(errors="replace").strip() or "main"


def branches(git_dir: Path) -> list[str]:
    """The short names of the branches, newest commit first."""
    listed = run(["for-each-ref", "--sort=-committerdate", "--format=%(refname:short)", "refs/heads/"], git_dir=git_dir)
    return listed.stdout.decode("utf-8", "replace").split()


def tracked(top: Path) -> list[str]:
    """The files that git knows in the checkout."""
    listed = must(["-C", str(top), "ls-files", "-z"], doing="list the files").stdout.decode("utf-8", "replace")
    return [one for one in listed.split("\0") if one]


def commit_files(top: Path, git_dir: Path, names: Sequence[str], message: str, person: str) -> None:
    """Commits these files and nothing else; as `person` where git knows no identity."""
    must(["-C", str(top), "add", "--", *names], doing="stage the config")
    must(
        [*_identity(git_dir, person), "-C", str(top), "commit", "--quiet", "--no-verify", "-m", message, "--", *names],
        doing="commit the config",
    )


def commit_aside(
    git_dir: Path, branch: str, base: str, changes: Mapping[str, bytes | None], message: str, person: str
) -> str:
    """Commits changed files (None: removed) on a new branch from `base`, away from the working tree; its diff.

    Again is no fault. Raises UsageError if there is such a branch already, with another change.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="cit-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        must(["read-tree", base], git_dir=git_dir, env=env, doing=f"read {base[:12]}")
        lines = []
        for path, content in changes.items():
            stored = ["hash-object", "-w", "--stdin"]
            blob = must(stored, git_dir=git_dir, input=content, doing="store").stdout if content is not None else b""
            mode = "100644" if content is not None else "0"
            lines.append(f"{mode} {blob.decode().strip() or '0' * 40}\t{path}\0")
        given = "".join(lines).encode()
        must(["update-index", "-z", "--index-info"], git_dir=git_dir, env=env, input=given, doing="change the files")
        tree = must(["write-tree"], git_dir=git_dir, env=env, doing="write the tree").stdout.decode().strip()
    found = run(["rev-parse", f"refs/heads/{branch}^{{tree}}", f"refs/heads/{branch}^1"], git_dir=git_dir)
    if found.stdout.decode().split() == [tree, base]:
        return _diff(git_dir, base, tree)
    if not run(["show-ref", "--verify", "--quiet", f"refs/heads/{branch}"], git_dir=git_dir).status:
        raise UsageError(
            f"there is a branch {branch!r} already, with another change",
            hint=f"git branch -D {branch}, or name another",
        )
    made = must(
        [*_identity(git_dir, person), "commit-tree", "-p", base, "-m", message, tree], git_dir=git_dir, doing="commit"
    )
    commit = made.stdout.decode().strip()
    must(["update-ref", f"refs/heads/{branch}", commit, "0" * 40], git_dir=git_dir, doing=f"make branch {branch}")
    return _diff(git_dir, base, commit)


def _diff(git_dir: Path, old: str, new: str) -> str:
    shown = must(["diff", "--no-color", old, new, "--"], git_dir=git_dir, doing="show the change")
    return shown.stdout.decode(errors="replace")


def git_user(git_dir: Path) -> tuple[str, str]:
    """The name and the address that the user's own git signs commits with; "" for what is not set."""
    # most people set them for all repositories
    told = run(["config", "-z", "--get-regexp", r"^user\.(name|email)$"], git_dir=git_dir, network=True)
    pairs = (one.partition("\n") for one in told.stdout.decode(errors="replace").split("\0") if one)
    known = {key: value.strip() for key, _, value in pairs}
    return known.get("user.name", ""), known.get("user.email", "")


def _identity(git_dir: Path, person: str) -> list[str]:
    name, address = git_user(git_dir)
    return ["-c", f"user.name={name or person}", "-c", f"user.email={address or 'cit'}"]


def config_files(directory: Path, ref: str) -> dict[str, bytes]:
    """The config files of the working tree, or of a revision if `ref` is given. Raises UsageError, NotFound."""
    top, git_dir = git_place(directory)
    if ref or top == git_dir:
        return _committed(git_dir, ref or "HEAD")
    listed = [path.name for path in top.iterdir()]
    for folder in _FOLDERS:
        if (top / folder).is_dir():
            listed += [f"{folder}/{path.name}" for path in (top / folder).iterdir()]
    return {name: (top / name).read_bytes() for name in _config(listed) if _is_plain(top / name)}


def _config(listed: Iterable[str]) -> list[str]:
    names = list(listed)
    from citgit.config.read import cit_paths, team_paths

    return sorted({*cit_paths(names), *team_paths(names)})


def _is_plain(path: Path) -> bool:
    """A regular file of a sane size: a build reads no link either."""
    if path.is_symlink() or not path.is_file():
        return False
    if path.stat().st_size > _LIMIT:
        raise UsageError(f"config file {path.name!a} is larger than 1 MiB", hint="split it into jobs/*.toml")
    return True


def _committed(git_dir: Path, ref: str) -> dict[str, bytes]:
    commit, _ = revision(git_dir, ref)
    listed = must(["ls-tree", "-r", "-z", commit], git_dir=git_dir, doing="list the files").stdout
    blobs: dict[str, str] = {}
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        about, _, path = line.partition("\t")
        if about.startswith("100"):
            blobs[path] = about.split()[2]
    read = {}
    for path in _config(blobs):
        read[path] = must(["cat-file", "blob", blobs[path]], git_dir=git_dir, doing="read the config").stdout
    return read


def behind(git_dir: Path, branch: str) -> int:
    """How many commits the branch's upstream has, as last fetched, that the branch itself lacks."""
    span = f"refs/heads/{branch}..{branch}@{{upstream}}"
    found = run(["rev-list", "--count", "--end-of-options", span], git_dir=git_dir)
    return 0 if found.status else int(found.stdout)


def is_clean(top: Path, name: str) -> bool:
    """Whether a file of the checkout is as committed, or not there at all."""
    changed = run(["-C", str(top), "status", "--porcelain", "--", name]).stdout
    return not changed.strip()


def clone_to(url: str, directory: Path) -> None:
    """Clones the repository at `url` to a new directory. Raises UsageError if it is there, GitFailed."""
    if directory.exists():
        raise UsageError(f"will not clone into {str(directory)!r}: it is there", hint="name another with --into")
    must(["clone", "--quiet", "--", url, str(directory)], network=True, doing=f"clone {shown(url)!r}")
