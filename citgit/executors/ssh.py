"""The executor `ssh`: the command runs at a target, a machine that has only sshd, git and a POSIX shell.

Here a driver stands in for it under the shim, so that it outlives the worker as any other build does: it sends the
checkout by `git push`, lays out the room, and holds the login that runs the command. Its beats go there on stdin; when
they stop, the target ends the command by itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from citgit.errors import CitError, Errored
from citgit.executors import brought
from citgit.executors.attempt import cannot
from citgit.executors.descendants import MARKER
from citgit.executors.leaving import Leaving
from citgit.executors.local import LocalExecutor, Wrapped, Wrapper
from citgit.executors.log_writer import LogWriter
from citgit.executors.shim import no_file, no_folder, no_program, not_executable
from citgit.executors.target import Target
from citgit.model.globs import matches
from citgit.model.names import plain_parts
from citgit.model.plan import Plan, Sending

NAME = "ssh"
BEAT_S, LEASE_S = 5, 60
"""Seconds between two beats, and without one until the target ends the command."""

_MORE_S = 600
_END_S = 20
_TERM_S = 10
_STALL_S = 120
_MOST_BYTES = 100 << 30
_MOST_FILES = 10_000
_MOST_PARTS = 50_000
_LOST = 255


def ssh(
    target: Target, tools: Path, sending: Callable[[Path], Sending], logs: LogWriter, *, lease: int = LEASE_S
) -> LocalExecutor:
    """The executor; `tools` is what a build gets besides, `sending` says what makes up a checkout."""
    return LocalExecutor(wrapper(target, tools, sending, lease), logs)


def wrapper(target: Target, tools: Path, sending: Callable[[Path], Sending], lease: int) -> Wrapper:
    """What is particular to it."""
    there = _There(target, tools, sending, lease)
    # none of what runs here is the build's: TERM is sent there
    return Wrapper(
        NAME, target.probe, there.wrap, there.explain, spared=1000, term=there.term, leave=there.leaving, away=True
    )


@dataclass(slots=True)
class _There:
    target: Target
    tools: Path
    sending: Callable[[Path], Sending]
    lease: int
    leaving: Leaving = field(init=False)

    def __post_init__(self) -> None:
        self.leaving = Leaving(self.leave)

    def wrap(self, plan: Plan, program: str) -> Wrapped:
        """The driver's command line; what is run there, secrets too, goes through files. Raises Errored."""
        directory = Path(plan.directory)
        sending = self.sending(Path(plan.laid))
        if any("\n" in one.at for one in sending.sources):
            raise Errored("a folder of the checkout has the end of a line in its name", hint="rename it")
        for name, content in (("room.tar", self._room(plan, sending)), ("driver", self._driver(plan, sending))):
            (directory / name).touch(mode=0o600)
            (directory / name).write_bytes(content)
        (directory / "files").write_bytes(b"".join(os.fsencode(one) + b"\0" for one in sending.files))
        env = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
        env |= {"GIT_SSH_COMMAND": self.target.host.git_ssh(), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        return Wrapped("/", ("/bin/sh", str(directory / "driver")), {**env, MARKER: f"here.{plan.claim}"})

    def _room(self, plan: Plan, sending: Sending) -> bytes:
        files = {
            "own/claim": plan.claim + "\n",
            "own/command": _command(plan),
            "own/sources": "".join(f"{one.commit} {one.at}\n" for one in sending.sources),
        }
        for number, one in enumerate(sending.sources, 1):
            if one.tags:
                files[f"own/tags.{number}"] = "\n".join(["# pack-refs with: sorted ", *one.tags, ""])
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, text in files.items():
                content = text.encode("utf-8", "surrogateescape")
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o600
                archive.addfile(member, io.BytesIO(content))
            archive.add(self.tools, "tools", filter=_plain)
        return packed.getvalue()

    def _driver(self, plan: Plan, sending: Sending) -> bytes:
        at = shlex.quote(plan.directory)
        push = ["git", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "push", "--quiet"]
        push += ["--no-verify", "--receive-pack=git -c core.hooksPath=/dev/null receive-pack"]
        mirror = self.target.host.repository(f"{self.target.facts().base}/mirror.git")
        lines = [f"cd {at} || exit {_LOST}", "exec 2>>words", "echo send >stage"]
        for one in sending.sources:
            oids = dict.fromkeys([one.commit, *(tag.partition(" ")[0] for tag in one.tags)])
            refs = [f"{oid}:refs/sent/{oid}" for oid in oids]
            line = shlex.join([*push[:1], "-C", str(Path(plan.laid, one.at)), *push[1:], "--", mirror, *refs])
            # another attempt may send the same at this moment
            lines.append(f"{line} || {{ sleep 2; {line}; }} || exit {_LOST}")
        name = _name(plan)
        lay, add = (shlex.join(self.target.line(verb, name, master=False)) for verb in ("lay", "add"))
        lines.append(f"{lay} <room.tar >>words || exit {_LOST}")
        if sending.files:
            tar = shlex.join(["tar", "-C", plan.laid, "--null", "-T", f"{plan.directory}/files", "-cf", "-"])
            lines.append(f"{{ {tar} || echo failed >failed; }} | {add} >>words && ! [ -e failed ] || exit {_LOST}")
        run = shlex.join(self.target.line("run", name, str(self.lease), master=False))
        beats = (plan.seconds + _MORE_S) // BEAT_S
        lines += [
            "echo run >stage", "rm -f beats", "mkfifo beats",
            "(exec >beats 2>/dev/null 3>&-; n=0",
            f"while [ $n -lt {beats} ] && echo; do sleep {BEAT_S}; n=$((n + 1)); done) &",
            # to this login the errors of the command belong
            f"beats=$!; {run} <beats 2>&3 3>&-; status=$?", "kill $beats; exit $status",
        ]  # fmt: skip
        return "\n".join(["exec 3>&2", *lines, ""]).encode("utf-8", "surrogateescape")

    def explain(self, plan: Plan, status: int) -> str:
        """Why the target or the way there, not the command, failed."""
        directory = Path(plan.directory)
        if plan.claim in self.leaving.failing:
            return f"lost: target '{plan.builder}' cannot be reached or swept; it ends the command by itself"
        if _words(directory / "stage") != "run":
            return f"cannot lay out the checkout at '{plan.builder}': {_words(directory / 'words')[-500:] or 'no word'}"
        said = dict(line.partition("=")[::2] for line in _words(directory / "told").splitlines())
        if said.get("status") != str(status):
            return f"lost: the connection to '{plan.builder}' broke off"
        return said.get("reason", "")

    def term(self, plan: Plan) -> None:
        """Asks everything of the attempt's to end; a target that cannot be reached is swept later."""
        with contextlib.suppress(CitError):
            self.target.words("term", _name(plan), seconds=_TERM_S)

    def leave(self, plan: Plan) -> None:
        """Ends all of the attempt there, and takes over what it left for the log. Raises Errored, RemoteAway."""
        directory = Path(plan.directory)
        said = self.target.words("end", _name(plan), seconds=_END_S).decode("utf-8", "replace").splitlines()
        told = [line for line in said if line.startswith(("status=", "reason=", "cut="))]
        parts = [line[5:] for line in said if line.startswith("part=") and plain_parts(line[5:])][:_MOST_PARTS]
        try:
            # what the driver used is no use of the command's
            (directory / "usage").write_text("".join(f"{line[6:]}\n" for line in said if line.startswith("usage=")))
            shutil.rmtree(directory / "log" / "parts", ignore_errors=True)
            bring(self.target, _name(plan), [(one, directory / one) for one in parts], plan.output)
            (directory / "told").write_text("\n".join(told)[:4000])
        except OSError as fault:
            raise cannot(f"take over what is at '{plan.builder}'", fault) from fault


def bring_kept(target: Target, name: str, folder: Path, patterns: Sequence[str]) -> None:
    """Brings what the patterns match in a checkout into `folder`, which is made anew. Raises Errored, RemoteAway."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if patterns:
        listed = target.words("list", name, seconds=_STALL_S).decode("utf-8", "surrogateescape").splitlines()
        found = sorted(one for line in listed if plain_parts(one := line.removeprefix("./")) and matches(patterns, one))
        try:
            bring(target, name, [(f"work/{one}", folder / one) for one in found[:_MOST_FILES]], _MOST_BYTES)
        except OSError as fault:
            raise cannot(f"bring files into '{folder}'", fault) from fault
    target.words("over", name)


def bring(target: Target, name: str, wanted: Sequence[tuple[str, Path]], limit: int) -> None:
    """Brings files of a room here. Raises Errored, OSError."""
    if not wanted:
        return
    with subprocess.Popen(
        target.line("give", name), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as giver:
        assert giver.stdin is not None
        assert giver.stdout is not None
        try:
            names = "".join(f"{one}\n" for one, _ in wanted).encode("utf-8", "surrogateescape")
            with brought.asking(giver.stdin, names):
                brought.land(brought.Patient(giver.stdout, _STALL_S), wanted, limit)
        finally:
            giver.kill()


def _name(plan: Plan) -> str:
    return Path(plan.workspace).parent.name


def _words(path: Path) -> str:
    try:
        return path.read_bytes()[: 1 << 16].decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _command(plan: Plan) -> str:
    """What the target's shell runs, with an empty environment, in the room's own/: finds the program, becomes it.

    Its one variable has a name that jobs may not use.
    """
    env: Mapping[str, str] = {**plan.env, MARKER: plan.claim}
    word, path = plan.command[0] if plan.command else "", plan.env.get("PATH", "")
    why = {
        "folder": no_folder(plan.cwd), "file": no_file(word, plan.cwd), "plain": not_executable(word),
        "program": no_program(word, path),
    }  # fmt: skip
    reason = shlex.quote(f"{Path(plan.workspace).parent}/own/reason")
    say = f"printf '%s\\n' \"$1\" >{reason}; printf 'cit: %s\\n' \"$1\" >&2; exit 127"
    fail = {key: f"{{ set -- {shlex.quote(_line(one))}; {say}; }}" for key, one in why.items()}
    lines = ["echo $$ >pid"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    lines += [f"set -- {shlex.join(plan.command)}", f"cd {shlex.quote(plan.cwd)} 2>/dev/null || {fail['folder']}"]
    if "/" in word:
        lines += [
            'CIT__=$1', f'[ -f "$CIT__" ] || {fail["file"]}', f'[ -x "$CIT__" ] || {fail["plain"]}',
            'case $CIT__ in /*) ;; *) CIT__=$PWD/$CIT__ ;; esac',
        ]  # fmt: skip
    else:
        lines += [
            "CIT__=", "set -f", "IFS=:",
            'for CIT__ in $PATH; do', 'case $CIT__ in /*) CIT__=$CIT__/$1 ;; *) CIT__= && continue ;; esac',
            '[ -f "$CIT__" ] && [ -x "$CIT__" ] && break', "CIT__=", "done",
            "unset IFS", "set +f", f'[ -n "$CIT__" ] || {fail["program"]}',
        ]  # fmt: skip
    return "\n".join([*lines, "shift", 'unset OLDPWD && exec "$CIT__" "$@"', ""])


def _line(text: str) -> str:
    return " ".join(text.split("\n"))
