"""The files of an agent on a node: its worker's settings, its supervisor's lock and log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
import tomli

from citgit.errors import BadConfig, NotFound
from citgit.model.names import name as checked
from citgit.model.settings import Settings

_HEAD = "# Written by 'cit agent install'; 'cit worker --config' reads it, when it starts.\n"


@dataclass(frozen=True, slots=True)
class AgentFiles:
    """Where an agent's files are: settings below the user's configuration, the rest below their state."""

    settings: Path
    folder: Path

    @property
    def lock(self) -> Path:
        """Held by the supervisor; holds its pid and its start."""
        return self.folder / "supervisor"

    @property
    def log(self) -> Path:
        """What the worker tells."""
        return self.folder / "worker.log"


def agent_files(config: Path, state: Path, agent: str) -> AgentFiles:
    """The files of an agent below a user's folders. Raises BadName."""
    checked("agent", agent)
    return AgentFiles(config / "agents" / f"{agent}.toml", state / "agents" / agent)


def installed(config: Path) -> list[str]:
    """The agents that have settings here."""
    return sorted(path.stem for path in (config / "agents").glob("*.toml"))


def read_settings(path: Path) -> Settings:
    """The settings in a file. Raises NotFound, BadConfig."""
    try:
        return msgspec.convert(tomli.loads(path.read_text(encoding="utf-8")), Settings)
    except FileNotFoundError:
        raise NotFound(f"no settings at {str(path)!r}", hint="'cit agent install' writes them") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise BadConfig(f"cannot read {str(path)!r}: {error}", hint="'cit agent install' writes it anew") from error


def write_settings(path: Path, settings: Settings) -> None:
    """Writes them, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_suffix(".new")
    # JSON's strings are TOML's too, but for surrogates and DEL
    values = {key: json.dumps(value, ensure_ascii=False) for key, value in msgspec.to_builtins(settings).items()}
    lines = [f"{key} = {value}\n".replace("\x7f", "\\u007f") for key, value in values.items()]
    scratch.write_text(_HEAD + "".join(lines), encoding="utf-8")
    scratch.replace(path)
