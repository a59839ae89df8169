"""Configs: the readers of `cit.toml` and `team.toml` for the verbs about them."""

from __future__ import annotations

from citgit.config.agents import with_agent
from citgit.config.blocks import with_copy, with_drain, with_job, without_agent
from citgit.config.detect import detect, other_ci, render_cit_toml
from citgit.config.people import with_keys, with_person
from citgit.config.read import cit_paths, read_cit, read_team, team_paths
from citgit.config.resolve import resolve

__all__ = [
    "cit_paths", "detect", "other_ci", "read_cit", "read_team", "render_cit_toml", "resolve",
    "team_paths", "with_agent", "with_copy", "with_drain", "with_job", "with_keys", "with_person", "without_agent",
]  # fmt: skip
