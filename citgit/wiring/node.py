"""From the name of an agent to what is on this node of it: settings, key, state, supervisor; the node's end of ssh."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from citgit import __version__
from citgit.errors import Errored, Refused, UsageError
from citgit.git.program import run
from citgit.machine import lock, process_start
from citgit.model.names import DEFAULT_ROOT
from citgit.model.settings import Settings
from citgit.nodes import supervise
from citgit.nodes.settings import AgentFiles, agent_files, installed, read_settings, write_settings
from citgit.wiring.clone import config_dir, data_dir, own_store, set_setting, setting, state_dir
from citgit.wiring.keys import age_key, ensure_key
from citgit.wiring.worker import worker_home
from citgit.workspaces.kept import drain, drained, unfinished
from citgit.workspaces.shared import forget_shared

__all__ = ["Settings", "files_of", "installed_agents", "read_settings", "supervisor"]

_MACHINE = supervise.Machine(lock, process_start)
_REACH_S = 20.0
_UNIT = """\
# Written by 'cit agent install'.
[Unit]
Description=citgit worker of agent {agent}
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={program} supervise {agent}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
# builds outlive the worker: the next one adopts them
KillMode=process
{user}
[Install]
WantedBy={target}
"""


def files_of(agent: str) -> AgentFiles:
    """Where the agent's files are."""
    return agent_files(config_dir(), state_dir(), agent)


def installed_agents() -> list[str]:
    """The agents that were installed for this user."""
    return installed(config_dir())


def program(name: str) -> str:
    """One of this installation's programs, by the path that a later version will have too."""
    current = Path.home() / ".local" / "share" / "citgit" / "current" / "bin" / name
    return str(current) if current.exists() else shutil.which(name, path=str(Path(sys.executable).parent)) or name


def supervisor(agent: str) -> supervise.Supervisor:
    """What keeps the agent's worker alive. Raises NotFound if it was not installed here."""
    files = files_of(agent)
    read_settings(files.settings)
    argv = [program("cit"), "worker", "--config", str(files.settings)]
    return supervise.Supervisor(files, argv, _MACHINE)


def setup(agent: str, given: dict[str, Any]) -> dict[str, Any]:
    """Makes the agent's key and settings, anew or again: what is not `given` stays as it was.

    Its public keys, and whether the state can be reached. Raises UsageError, Refused.
    """
    files = files_of(agent)
    known = msgspec.to_builtins(read_settings(files.settings)) if files.settings.exists() else {}
    try:
        settings = msgspec.convert(known | given | {"agent": agent}, Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"not the settings of a worker: {error}", hint="'cit agent install' sends them") from error
    if known.get("root") and settings.root not in ("", known["root"]):
        raise Refused(
            f"agent {agent!r} of this account serves another project, {known['url']!r}",
            hint="give this one another name: --name",
        )
    key = data_dir() / "keys" / settings.agent
    public, made = ensure_key(key, settings.agent)
    home = worker_home(settings.url, f"agent:{settings.agent}")
    store = own_store(home)
    pinned = setting(store, "citgit.root")
    if settings.root and pinned and pinned != settings.root:
        raise Refused(
            f"the state at {settings.url!r} had another root policy when this node first saw it ({pinned[:12]})",
            hint=f"if that is as it should be, remove {str(home)!r} on the node and install again",
        )
    if settings.root:
        set_setting(store, "citgit.root", settings.root)
    write_settings(files.settings, settings)
    return {
        "public": public,
        "made": made,
        "age": age_key(key),
        "home": str(home),
        "own": settings.own,
        "reaches": _reaches(settings),
    }


def _reaches(settings: Settings) -> str:
    """Why this account cannot read the state or the code; "" if it can."""
    for url in dict.fromkeys(filter(None, (settings.url, settings.source))):
        found = run(
            ["ls-remote", "--quiet", "--", url, f"{settings.refs or DEFAULT_ROOT}policy", "HEAD"],
            network=True, timeout=_REACH_S,
        )  # fmt: skip
        if found.status:
            lines = found.stderr.strip().splitlines() or ["git said nothing"]
            return f"{url}: {lines[0][:200]}"
    return ""


def start(agent: str) -> dict[str, Any]:
    """Sees to it that the agent's worker is kept running. Raises Errored, Refused."""
    supervisor(agent)
    if _unit_file(agent).exists():
        _systemctl("daemon-reload")
        _systemctl("enable", "--now", _unit(agent))
        supervise.awaited(files_of(agent), _MACHINE)
        return state(agent)
    if not supervise.running(files_of(agent), _MACHINE):
        _refuse_systems(agent, "start")
    supervise.start(files_of(agent), _MACHINE, [program("cit-node"), "supervise", agent], Path.home())
    return state(agent)


def stop(agent: str) -> dict[str, Any]:
    """Ends the agent's worker and what starts it again; builds go on. Raises Errored, Refused."""
    _refuse_systems(agent, "stop")
    if _unit_file(agent).exists():
        _systemctl("stop", _unit(agent))
    supervise.stop(files_of(agent), _MACHINE)
    return state(agent)


def wake(agent: str) -> dict[str, Any]:
    """Makes the worker look at the state now; starts it if it does not run."""
    if not supervise.wake(files_of(agent), _MACHINE):
        start(agent)
    return state(agent)


def use_systemd(agent: str) -> None:
    """From now on systemd's manager for this user keeps the worker running."""
    path = _unit_file(agent)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(unit(agent, program("cit-node")))


def unit(agent: str, path: str, *, user: str = "") -> str:
    """The unit that keeps an agent's supervisor running; `user` for one of the whole machine."""
    target = "multi-user.target" if user else "default.target"
    return _UNIT.format(agent=agent, program=path, user=f"User={user}\n" if user else "", target=target)


def set_drained(agent: str, why: str) -> dict[str, Any]:
    """Lets the worker take nothing new, or, without a reason, take builds again."""
    drain(_home(agent), why)
    supervise.wake(files_of(agent), _MACHINE)
    return state(agent)


def state(agent: str) -> dict[str, Any]:
    """How the agent is on this node."""
    files = files_of(agent)
    home = _home(agent)
    lines = files.log.read_text(errors="replace").splitlines()[-5:] if files.log.exists() else []
    return {
        "agent": agent, "version": __version__, "supervisor": supervise.running(files, _MACHINE),
        "systemd": _unit_file(agent).exists() or _is_systems(agent), "drained": drained(home),
        "builds": sorted(unfinished(home)),
        "home": str(home), "log": str(files.log), "says": [line[:300] for line in lines],
    }  # fmt: skip


def forget(agent: str, *, files: bool) -> dict[str, Any]:
    """Ends the worker for good; `files`: its key, workspaces, logs and artifacts go too. Raises Errored."""
    left = state(agent)["builds"]
    if files and left:
        raise Errored(f"{len(left)} builds of {agent} still run here", hint="drain it and wait: cit agent drain --wait")
    stop(agent)
    place = files_of(agent)
    home = _home(agent)
    if _unit_file(agent).exists():
        _systemctl("disable", _unit(agent))
        _unit_file(agent).unlink()
        _systemctl("daemon-reload")
    place.settings.unlink(missing_ok=True)
    if files:
        forget_shared(home)
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(place.folder, ignore_errors=True)
        for one in (data_dir() / "keys").glob(f"{agent}*"):
            if one.name in (agent, f"{agent}.pub", f"{agent}.age"):
                one.unlink()
        if not installed_agents():
            _remove_programs()
    return {"agent": agent, "files": files, "left": installed_agents()}


def _remove_programs() -> None:
    """The versions of an installation that was sent here; a person's keys beside them stay."""
    root = Path.home() / ".local" / "share" / "citgit"
    shutil.rmtree(root / "versions", ignore_errors=True)
    (root / "current").unlink(missing_ok=True)
    for folder in (data_dir() / "keys", root, state_dir() / "agents", state_dir() / "workers", config_dir() / "agents"):
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if nothing is in it


def _home(agent: str) -> Path:
    return worker_home(read_settings(files_of(agent).settings).url, f"agent:{agent}")


def _unit(agent: str) -> str:
    return f"citgit-{agent}.service"


def _unit_file(agent: str) -> Path:
    return Path.home() / ".config" / "systemd" / "user" / _unit(agent)


def _system_unit(agent: str) -> Path:
    return Path("/etc/systemd/system") / _unit(agent)


def _is_systems(agent: str) -> bool:
    """Whether the agent of this account is a service of the machine, and not another account's of that name is."""
    import pwd

    try:
        return f"User={pwd.getpwuid(os.geteuid()).pw_name}\n" in _system_unit(agent).read_text()
    except (OSError, KeyError):
        return False


def _refuse_systems(agent: str, verb: str) -> None:
    """Raises Refused if systemd keeps the worker running for the whole machine: only root may say otherwise."""
    if _is_systems(agent):
        raise Refused(
            f"systemd keeps the worker of {agent!r} running for the whole machine",
            hint=f"as root: systemctl {verb} {_unit(agent)}",
        )


def _systemctl(*words: str) -> None:
    environment = {**os.environ, "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")}
    done = subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise Errored(f"systemctl --user {words[0]} failed: {done.stderr.strip()[-300:]}", hint="install again")
