"""`cit agent keys`: the lines by which people's ssh keys may read on a node, and nothing else, from the policy."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from citgit.errors import NotFound, UsageError
from citgit.flows.policies import fetch_policies
from citgit.model.policy import PolicyView
from citgit.programs.wording import many, plain
from citgit.rules.authority import live_keys
from citgit.wiring.clone import open_clone
from citgit.wiring.keys import fingerprint

BEGIN = "# citgit: who may read here (cit agent keys); what is between these lines is replaced"
END = "# citgit: end"

_PLAIN = re.compile(r"[A-Za-z0-9/._+@-]+")


@click.command(
    "keys", short_help="print who may read on a node, as authorized_keys has it",
    epilog="Example: cit agent keys --into ~/.ssh/authorized_keys",
)  # fmt: skip
@click.option("-C", "directory", default=".", help="a checkout")
@click.option("--serve", "program", default="", help="where cit-serve is on the node; default: as here")
@click.option("--home", "homes", multiple=True, help="a worker's files; default: of all workers of the account")
@click.option("--into", "target", default="", help="write them into this file, in place of those of the last time")
def keys(directory: str, program: str, homes: tuple[str, ...], target: str) -> None:
    """Prints a line of authorized_keys for each key of everybody who has a role.

    They are for the account that runs a worker: such a key may ask cit-serve for logs, artifacts and the like, as
    its owner; what they may read is judged by the policy at each read. Run it again when people or keys change.
    """
    policy = fetch_policies(open_clone(Path(directory)).state).tip
    wanted = lines(policy, _program(program), homes)
    if not target:
        for line in wanted:
            click.echo(line)
        return
    own = _write(Path(target), wanted)
    click.echo(f"{many(len(wanted), 'key')} in {plain(target)}", err=True)
    for line in own:
        click.echo(f"note: a line before these lets that key do more: {plain(line)}", err=True)


def lines(policy: PolicyView, program: str, homes: Sequence[str] = ()) -> list[str]:
    """The lines, by name. Raises UsageError for paths that would need quotes."""
    for part in (program, *homes):
        if not _PLAIN.fullmatch(part):
            raise UsageError(f"not a path for authorized_keys: {part[:200]!a}", hint="letters, digits and /._+@- only")
    found = []
    for name, person in sorted(policy.team.person.items()):
        for key in live_keys(policy, name) if person.roles else ():
            asked = [program, "--as", f"person:{name}", "--key", fingerprint(key)]
            command = " ".join([*asked, *(part for home in homes for part in ("--home", home))])
            found.append(f'restrict,command="{command}" {key} {name}')
    return found


def _program(given: str) -> str:
    here = Path(sys.argv[0]).absolute().with_name("cit-serve")
    found = given or (str(here) if here.is_file() else shutil.which("cit-serve") or "")
    if not found:
        raise NotFound(
            "no cit-serve beside this cit", hint="say where it is on the node: --serve /usr/local/bin/cit-serve"
        )
    return found


def _write(path: Path, wanted: Sequence[str]) -> list[str]:
    """Puts the lines into the file, all or none; the other lines that name one of the keys."""
    path = path.resolve()
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        before = path.read_text().splitlines() if path.exists() else []
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        kept = _others(path, before)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with open(handle, "w") as file:
                file.write("\n".join([*kept, BEGIN, *wanted, END]) + "\n")
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot write {str(path)!r}: {why}", hint="name another file: --into FILE") from error
    given = {line.split()[-2] for line in wanted}
    return [line for line in kept if given & set(line.split())]


def _others(path: Path, lines: list[str]) -> list[str]:
    """The lines that are not between the marks. Raises UsageError if one mark is missing."""
    if BEGIN not in lines:
        return lines
    start = lines.index(BEGIN)
    if END not in lines[start:]:
        raise UsageError(f"the mark {END!r} is missing in {str(path)!r}", hint="put it back where the lines end")
    return [*lines[:start], *lines[lines.index(END, start) + 1 :]]
