"""Configs: the readers of `cit.toml` and `team.toml` behind the flows' interface, and for the verbs about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from citgit.config.blocks import with_copy, with_drain, with_job, without_agent
from citgit.config.detect import detect, other_ci, render_cit_toml
from citgit.config.people import with_keys, with_person
from citgit.config.read import cit_paths, read_cit, read_team, team_paths
from citgit.config.resolve import resolve, selected_by_push
from citgit.model.job import CitToml, ResolvedJob, Value

__all__ = [
    "TomlConfigs", "cit_paths", "detect", "other_ci", "read_cit", "read_team", "render_cit_toml", "resolve",
    "team_paths", "with_copy", "with_drain", "with_job", "with_keys", "with_person", "without_agent",
]  # fmt: skip


class TomlConfigs:
    """Configs over the readers of `citgit.config`."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        """The jobs."""
        return read_cit(files)

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        """One resolved job per cell."""
        return resolve(config, job, parameters=parameters)

    def selected(self, config: CitToml, branch: str, changed: Sequence[str] | None) -> list[str]:
        """The jobs that a push starts."""
        return selected_by_push(config, branch, changed)
