"""`cit-notify-git-notes`: ✓ or ✗ beside commits in `git log`, as git notes in the source repository.

Settings: `repository` (default: the checkout of `cit notify`), `push` (a remote to push the notes to).
"""

from __future__ import annotations

import sys

from citgit.errors import CitError
from citgit.model.notice import Notice
from citgit.programs.cit import report
from citgit.programs.notice_text import mark, read_notice
from citgit.programs.wording import plain, span
from citgit.wiring.notes import add_note


def main() -> int:
    """Writes the notice on stdin into the notes; the exit status."""
    try:
        notice = read_notice(sys.stdin.buffer.read())
        place = notice.settings.get("repository", "") or notice.checkout
        add_note(place, notice.commit, label(notice), line(notice), push=notice.settings.get("push", ""))
    except CitError as error:
        return report("cit-notify-git-notes", error)
    return 0


def label(notice: Notice) -> str:
    """What the line is about: a later build of the same takes its place."""
    cell = "".join(f" {plain(key)}={plain(value)}" for key, value in sorted(notice.cell.items()))
    return f"{plain(notice.job)}@{plain(notice.branch)}{cell} "


def line(notice: Notice) -> str:
    """The line that `git log` shows."""
    took = f" after {span(notice.wall_ms / 1000)}" if notice.wall_ms else ""
    return f"{mark(notice)} {label(notice)}{notice.outcome}{took} (build {notice.build})"


if __name__ == "__main__":
    sys.exit(main())
