"""Sources that a request could not pin, because its asker may not see them: pinned by the node that builds."""

from __future__ import annotations

import msgspec

from citgit.errors import NotYet
from citgit.interfaces import Sources
from citgit.model.record import PinnedSource, Request
from citgit.model.request import TIP


def at_tips(sources: Sources, url: str, request: Request) -> Request:
    """The request with such sources at what their branches are now; itself if there are none.

    `url` is what requests call "self". Raises NotYet, RemoteAway, Refused.
    """
    if all(one.commit != TIP for one in request.sources):
        return request
    return msgspec.structs.replace(request, sources=tuple(_pinned(sources, url, one) for one in request.sources))


def _pinned(sources: Sources, url: str, source: PinnedSource) -> PinnedSource:
    if source.commit != TIP:
        return source
    branch = source.ref.removeprefix("refs/heads/")
    commit = sources.heads(source.url or url).get(branch)
    if commit is None:
        raise NotYet(f"source {source.repo!r} has no branch {branch!r}", hint="push it there; the build waits for it")
    return msgspec.structs.replace(source, commit=commit)
