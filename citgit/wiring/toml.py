"""Configs behind the flows' interface: the readers of `cit.toml`, loaded when a config is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from citgit.model.job import CitToml, ResolvedJob, Value


class TomlConfigs:
    """Configs over the readers of `citgit.config`."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        """The jobs."""
        from citgit.config.read import read_cit

        return read_cit(files)

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        """One resolved job per cell."""
        from citgit.config.resolve import resolve

        return resolve(config, job, parameters=parameters)

    def selected(self, config: CitToml, branch: str, changed: Sequence[str] | None) -> list[str]:
        """The jobs that a push starts."""
        from citgit.config.resolve import selected_by_push

        return selected_by_push(config, branch, changed)
