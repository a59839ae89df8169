"""Gives builds the secrets of the node that its owner lets them have; nothing to anybody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from citgit.errors import CitError, Refused
from citgit.interfaces import Sources
from citgit.model.record import Decision, Request
from citgit.model.secret import Secrets
from citgit.rules.secrets import is_whole, meant, places, refusal


@dataclass(frozen=True, slots=True)
class NodeSecrets:
    """Those of a node for the repository at `url`; `read` raises BadConfig, `protected` is the branch that counts.

    Where the commands run on another machine (`away`) none is given: who else is there nobody here can tell.
    """

    read: Callable[[], Secrets]
    url: str
    sources: Sources
    protected: Callable[[], str]
    away: bool = False

    def judge(self, request: Request) -> list[Decision]:
        """As `decide`, by what the request says alone."""
        return _told(self._claimed(request))

    def decide(self, request: Request) -> list[Decision]:
        """Whether the build may have each secret that its job names, and why not."""
        return _told(self._why(request))

    def give(self, request: Request) -> dict[str, str]:
        """The values by name. Raises Refused."""
        names = request.definition.env.secrets
        if not names:
            return {}
        for name, why in self._why(request):
            if why:
                raise Refused(f"this node does not give secret {name} to the build: {why}")
        table = self.read()
        found = {name: meant(table, name, self.url, request.job) for name in names}
        return {name: one.value for name, one in found.items() if one}

    def _claimed(self, request: Request) -> list[tuple[str, str]]:
        """Why not, by name, as far as the request tells; "" where nothing speaks against it."""
        names = request.definition.env.secrets
        if not names:
            return []
        if self.away:
            return [(name, "its builds run on another machine, where no secret goes") for name in names]
        try:
            table = self.read()
        except CitError as error:
            return [(name, error.message) for name in names]
        return [(name, self._refusal(table, name, request)) for name in names]

    def _why(self, request: Request) -> list[tuple[str, str]]:
        told = self._claimed(request)
        if not told or any(why for _, why in told):
            return told
        try:
            for url, branch, commit in places(request, self.url):
                self.sources.fetch(url, commit, f"refs/heads/{branch}")
                if not self.sources.on_branch(url, branch, commit):
                    return [(name, f"commit {commit[:12]} is not on branch {branch!r}") for name, _ in told]
        except CitError as error:
            return [(name, error.message) for name, _ in told]
        return told

    def _refusal(self, table: Secrets, name: str, request: Request) -> str:
        found = meant(table, name, self.url, request.job)
        if found is None:
            return f"its owner gave none for job {request.job!r} of {self.url!r}"
        return (
            refusal(found, request, self.protected()) if is_whole(request) else "its sources are not those of the job"
        )


def _told(found: list[tuple[str, str]]) -> list[Decision]:
    return [Decision(check=f"secret {name}", ok=not why, found=why[:300]) for name, why in found]
