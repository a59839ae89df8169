"""What the owner of a node entrusts to jobs: secrets by name, and who may get each."""

from __future__ import annotations

import msgspec


class Secret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The variable `name` for `jobs` (globs) of one `repository`, as requests' "self" is reached from the node.

    The job's config and all that is built must be on `branches` (globs; none: the branch whose team.toml counts).
    `aliases` may build with it, `parameters` may differ from their defaults, and files of `upstream` builds may come
    into the workspace; none of that unless it is said.
    """

    name: str
    value: str
    repository: str
    jobs: tuple[str, ...]
    branches: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    upstream: bool = False

    def __repr__(self) -> str:
        return f"Secret({self.name})"


class Secrets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """secrets.toml as a whole."""

    secret: tuple[Secret, ...] = ()
