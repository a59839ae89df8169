"""`cit-conformance`: whether records, or an executor, that another program made obey docs/protocol.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from citgit.errors import CitError, Errored, UsageError
from citgit.flows.conformance import Checked, Verdict, look, verdicts
from citgit.model.names import DEFAULT_ROOT, is_oid
from citgit.programs.cit import report
from citgit.programs.wording import emit, plain
from citgit.testing.executors import CHECKS, Bench, check_on
from citgit.wiring.worker import named_executor, node_state

USAGE = """\
cit-conformance STATE [--root OID] [--refs PREFIX] [--json]
       cit-conformance executor NAME [CHECK ...] [--json]"""
ABOUT = """\
Checks a state repository (a path or URL) for whoever writes another worker, or another program that signs records:
each ref and each record, as a reader who has seen nothing before. A record that breaks a rule is shown with the rule:
shape, signature, place, parent, policy, role, life cycle, archive, name (docs/protocol.md, "Rules by name").

With 'executor': runs the contract of executors against cit-executor-NAME on PATH (or a built-in one), in a folder of
its own; some checks last seconds, one writes 100 MB. A STATE in a folder named 'executor' is './executor'."""
EXIT = """\
exit: 0 all obeys; 1 a check of the executor failed, or a part of the history is not here; 2 usage;
      3 a ref or record breaks a rule; 4 the executor does not work here; 75 the host is away

Example: cit-conformance /srv/project.git
         cit-conformance executor slurm exit_0 stop"""


def main(argv: Sequence[str] | None = None) -> int:
    """Checks a state repository or an executor."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="cit-conformance", usage=USAGE, description=ABOUT, epilog=EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="a JSON document per ref, or per check")
    kind = "executor" if arguments[:1] == ["executor"] else "state"
    if kind == "executor":
        parser.add_argument("name")
        parser.add_argument("checks", nargs="*", metavar="CHECK", help="only these; default: all")
    else:
        parser.add_argument("state", metavar="STATE")
        parser.add_argument("--root", default="", metavar="OID", help="the oid of the root policy to trust")
        parser.add_argument("--refs", default=DEFAULT_ROOT, metavar="PREFIX", help=f"default: {DEFAULT_ROOT}")
    options = parser.parse_args(arguments[1:] if kind == "executor" else arguments)
    try:
        with TemporaryDirectory(prefix="cit-conformance-") as scratch:
            if kind == "executor":
                return _executor(options, Path(scratch))
            return _state(options, Path(scratch))
    except CitError as error:
        return report("cit-conformance", error)


def _state(options: argparse.Namespace, home: Path) -> int:
    """Every ref and record of a state repository. Raises CitError."""
    if options.root and not is_oid(options.root):
        raise UsageError(f"not the oid of a policy: {options.root[:80]!r}", hint="'cit policy show' tells the root")
    place = Path(options.state)
    state = node_state(
        str(place.resolve()) if place.exists() else options.state, home, options.refs.rstrip("/") + "/",
        pinned=options.root,
    )  # fmt: skip
    state.learned = lambda chain: None  # nothing is remembered, so nobody is told of a root that is pinned
    repository, wrong = look(state)
    bad = partial = records = refs = 0
    for one in [*wrong, *(verdicts(repository) if repository else ())]:
        refs, records = refs + 1, records + len(one.records)
        bad, partial = bad + (not one.ok), partial + one.partial
        _print(one, options.json)
    if repository and not options.json:
        said = f"{refs} refs and archived builds, {records} records: " + (f"{bad} break a rule" if bad else "all obey")
        print(said + (f", {partial} could not be judged" if partial else ""))
        if not options.root:
            print(f"trusted: root policy {repository.snapshot.policies.repo}, as found; --root names another")
    return 3 if bad else 1 if partial else 0


def _print(one: Verdict, as_json: bool) -> None:
    if as_json:
        found = [_document(record) for record in one.records]
        emit({"ref": one.ref, "ok": one.ok, "partial": one.partial, "rule": one.rule, "words": one.words,
              "records": found})  # fmt: skip
        return
    word = "BAD " if not one.ok else "part" if one.partial else "good"
    print(f"{word}  {plain(one.ref)}  {len(one.records)} records")
    if one.words:
        print(f"      {one.rule}: {plain(one.words)}" if one.rule else f"      {plain(one.words)}")
    for record in one.records:
        if record.words:
            late = "void by a later policy, no fault of its writer: " if record.late else ""
            print(f"      {record.link.oid[:12]} {_kind(record)}: {late}{record.rule}: {plain(record.words)}")


def _kind(record: Checked) -> str:
    """`result of agent:lab1`, as far as it can be read."""
    head = record.link.record.head if record.link.record else None
    return f"{head.type} of {plain(head.actor)}" if head else plain(record.link.kind) or "commit"


def _document(record: Checked) -> dict[str, str | bool]:
    head = record.link.record.head if record.link.record else None
    return {
        "oid": record.link.oid, "type": head.type if head else record.link.kind, "actor": head.actor if head else "",
        "ok": record.ok, "late": record.late, "rule": record.rule, "words": record.words,
    }  # fmt: skip


def _executor(options: argparse.Namespace, home: Path) -> int:
    """The contract, check by check. Raises CitError."""
    if unknown := [check for check in options.checks if check not in CHECKS]:
        raise UsageError(f"no check {unknown[0][:80]!r}", hint=f"there are: {', '.join(CHECKS)}")
    probe = named_executor(options.name).probe()
    if not probe.ok:
        raise Errored(
            f"executor {options.name!r} does not work here: {probe.reason}",
            hint=f"it is asked as 'cit-executor-{options.name} probe /'; docs/executors.md says what it answers",
        )
    failed = 0
    for name in options.checks or CHECKS:
        words = check_on(Bench(lambda: named_executor(options.name), home / name), name)
        failed += bool(words)
        if options.json:
            emit({"check": name, "ok": not words, "promise": CHECKS[name].__doc__, "words": words})
            continue
        print(f"{'BAD ' if words else 'good'}  {name}: {CHECKS[name].__doc__}", flush=True)
        if words:
            print(f"      {plain(words)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
