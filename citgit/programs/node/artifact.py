"""`cit-serve artifact CLAIM`: gives files that an attempt kept, asked for by their digest."""

from __future__ import annotations

import os

from citgit.errors import NotFound, UsageError
from citgit.programs.node.asked import Asked
from citgit.programs.node.gate import admitted, need_code
from citgit.rules.authority import alias_of
from citgit.wiring.homes import kept_result
from citgit.wiring.serve_node import Content, Done, Get, Talk, open_kept


def serve(asked: Asked, talk: Talk) -> None:
    """One file after the other, until the client leaves."""
    kept = admitted(asked)
    files = {one.sha256: one for one in kept_result(kept).artifacts}
    if not alias_of(kept.attempt.request):
        need_code(asked, talk, kept)
    talk.say(Done())
    while True:
        wanted = talk.hear(Get)
        one = files.get(wanted.sha256)
        # who may not have the code does not learn what else was kept either
        need_code(asked, talk, kept, one.path if one else "")
        if one is None:
            raise NotFound(f"attempt {kept.attempt.claim[:12]} kept nothing with digest {wanted.sha256[:12]}")
        try:
            handle = open_kept(kept.directory / "artifacts", one.path)
        except OSError as error:
            raise NotFound(f"artifact {one.path!r} is not on this node any more: {error.strerror}") from error
        try:
            size = os.fstat(handle).st_size
            if wanted.at > size:
                raise UsageError(f"artifact {one.path!r} has {size} bytes")
            talk.say(Content(follow=size - wanted.at, size=size))
            talk.pour_file(handle, wanted.at, size - wanted.at)
        finally:
            os.close(handle)
