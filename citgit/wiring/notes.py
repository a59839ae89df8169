"""Notes beside commits, by git itself."""

from __future__ import annotations

from pathlib import Path

from citgit.errors import NotFound, TryAgain
from citgit.git.program import run
from citgit.model.names import is_oid

REF = "refs/notes/cit"
_IDENTITY = ("user.name=citgit", "user.email=citgit@localhost")


def add_note(place: str, commit: str, label: str, line: str, *, push: str = "") -> None:
    """Puts a line into the notes of a commit, in the place of one with the same label; `git log` shows them.

    Raises NotFound if the commit is not there, TryAgain if git could not do it.
    """
    here = Path(place)
    if not is_oid(commit) or run(["cat-file", "-e", f"{commit}^{{commit}}"], cwd=here).status:
        raise NotFound(f"no commit {commit[:12]!r} in {place!r}", hint="fetch it there, or name settings.repository")
    if push:
        # others write there too: theirs first, so that ours goes on top
        run(["fetch", "-q", "--", push, f"+{REF}:{REF}"], cwd=here, network=True)
    known = run(["notes", f"--ref={REF}", "show", commit], cwd=here)
    lines = known.stdout.decode("utf-8", "replace").splitlines() if not known.status else []
    kept = [one for one in lines if one.strip() and not one[2:].startswith(label)]
    text = "\n".join([*kept, line]) + "\n"
    argv = ["notes", f"--ref={REF}", "add", "-f", "-F", "-", commit]
    done = run(argv, cwd=here, input=text.encode(), settings=_IDENTITY)
    if done.status:
        raise TryAgain(f"cannot write the note in {place!r}: {done.stderr.strip()[-300:]}")
    shown = run(["config", "--get-all", "notes.displayRef"], cwd=here, network=True)
    if REF not in shown.stdout.decode().split():
        run(["config", "--add", "notes.displayRef", REF], cwd=here)
    if push and (sent := run(["push", "-q", "--", push, f"{REF}:{REF}"], cwd=here, network=True)).status:
        raise TryAgain(f"cannot push the notes to {push!r}: {sent.stderr.strip()[-300:]}")
