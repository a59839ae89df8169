"""`cit`: finds the verb, runs it, turns errors into words and an exit status."""

from __future__ import annotations

import gc
import importlib
import os
import re
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from citgit import __version__
from citgit.errors import BadConfig, CitError, Errored, UsageError

VERBS = {
    "init": ("init", "make a repository ready"),
    "run": ("run", "ask for a build of HEAD"),
    "status": ("status", "list builds"),
    "show": ("show", "show one build"),
    "log": ("log", "show what a build printed"),
    "why": ("why", "explain why a build waits, runs where it runs, or ended so"),
    "get": ("get", "copy what a build kept"),
    "shell": ("shell", "open a shell in the workspace that a build left"),
    "diff": ("diff", "compare two builds"),
    "verify": ("verify", "check signatures and rules of records"),
    "cancel": ("cancel", "nobody wants a build any more"),
    "pause": ("pause", "hold a waiting build"),
    "resume": ("resume", "let a held build go on"),
    "retry": ("retry", "ask for the same build again"),
    "grant": ("grant", "let somebody read a private build"),
    "job": ("job", "list, show, check, add and copy jobs"),
    "agent": ("agent", "install, probe, list, drain and remove agents"),
    "policy": ("policy", "who may do what: show, publish, sign, revoke, invite"),
    "worker": ("worker", "poll, claim and build"),
    "demo": ("demo", "show the whole thing in a folder of its own"),
    "stats": ("stats", "what jobs need and how much agents are used"),
    "notify": ("notify", "tell people of builds that ended"),
    "report": ("report", "static pages of all builds"),
    "tidy": ("tidy", "remove what old builds left here, pack repositories"),
    "restore": ("restore", "give a host that came back from a backup what it lost"),
    "doctor": ("doctor", "look for what is wrong here"),
    "completion": ("completion", "print shell completion"),
}
"""Verb -> (module of citgit.programs, what it does). A new verb is a file and a line here."""

PROGRAMS = frozenset({
    "enqueue", "claim", "build", "publish", "reap", "archive", "verify-push", "serve", "node", "conformance", "sh",
    "component", "as",
})  # fmt: skip
"""What follows `cit-` in programs of citgit that are no verbs for people; nor are `executor-NAME` and `notify-NAME`."""


class Verbs(click.Group):
    """Loads a verb's module only when it is asked for; any `cit-VERB` on PATH is a verb too."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The built-in verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The verb's command; None if there is none."""
        if name in VERBS:
            command: click.Command = importlib.import_module(f"citgit.programs.{VERBS[name][0]}").command
            gc.freeze()  # what was loaded stays, and is not looked through again
            gc.enable()
            return command
        import shutil

        found = shutil.which(f"cit-{name}") if "/" not in name else None
        if found is None and not ctx.resilient_parsing:
            import difflib

            near = [f"'cit {one}'" for one in difflib.get_close_matches(name, VERBS, n=2, cutoff=0.6)]
            hint = f"did you mean {' or '.join(near)}?" if near else "'cit --help' lists them"
            raise UsageError(f"no verb {name[:80]!r}", hint=hint)
        return _Other(name, found) if found else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs, without loading one; options only where one is begun."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        known = {name: what for name, (_, what) in VERBS.items()} | _others()
        return [CompletionItem(name, help=what) for name, what in known.items() if name.startswith(incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, without loading a single verb."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, what) for name, (_, what) in VERBS.items()])
        with formatter.section("Any program cit-VERB on PATH is a verb"):
            formatter.write_dl(sorted(_others().items()) or [("", "none here")])


def _others() -> dict[str, str]:
    """The verbs that programs on PATH add, each with its file; the first of a name counts, as it does for a shell."""
    found: dict[str, str] = {}
    for folder in os.get_exec_path():
        try:
            files = [one for one in os.listdir(folder) if one.startswith("cit-")]
        except OSError:
            continue
        for file in files:
            name, path = file.removeprefix("cit-"), os.path.join(folder, file)
            shown = name.isprintable() and name not in VERBS and not name.startswith(("executor-", "notify-"))
            if shown and name not in PROGRAMS and os.path.isfile(path) and os.access(path, os.X_OK):
                found.setdefault(name, path)
    return found


class _Other(click.Command):
    """A program that is a verb: it takes the place of this one, and gets its arguments as they are."""

    def __init__(self, name: str, program: str) -> None:
        super().__init__(name, add_help_option=False)
        self._program = program

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leaves all of them to the program."""
        ctx.args = args
        return args

    def invoke(self, ctx: click.Context) -> None:
        """Does not return."""
        os.execv(self._program, [self._program, *ctx.args])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: cit init && cit run")
@click.version_option(__version__, prog_name="cit")
@click.option("-C", "directory", default="", metavar="DIR", help="as if started there")
def cit(directory: str) -> None:
    """Continuous integration whose only state is git."""
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise UsageError(f"cannot enter {directory!r}: {error.strerror}") from error


def report(program: str, error: CitError) -> int:
    """Prints the error for a person; its exit status."""
    # what was typed is quoted in messages, and a word of kilobytes would bury them
    message = re.sub(r"\S{200,}", lambda found: f"{found[0][:60]}…{found[0][-20:]}", error.message)
    print(f"{program}: error: {message}", file=sys.stderr)
    for fault in error.faults if isinstance(error, BadConfig) else ():
        print(f"  {fault}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.status


def _typed(arguments: Sequence[str]) -> str:
    """The verb that was typed, with the one below it: "cit agent probe"."""
    words = [one for one in arguments if not one.startswith("-")]
    verb = words[0][:80] if words else ""
    group = cit.get_command(click.Context(cit, resilient_parsing=True), verb)
    below = next((one for one in words[1:] if one in group.commands), "") if isinstance(group, click.Group) else ""
    return " ".join(part for part in ("cit", verb, below) if part)


def _usage(error: click.ClickException, typed: str) -> UsageError:
    """What click says of a command line, as all other errors are said."""
    words = " ".join(error.format_message().split()).rstrip(".")
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    usage = " ".join(ctx.get_usage().removeprefix("Usage: ").split()) if ctx else ""
    missing = isinstance(error, click.MissingParameter) and usage
    return UsageError(words[:1].lower() + words[1:], hint=usage if missing else f"'{typed} --help' lists what there is")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb. The exit status says what came of it (see the README)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    start = 2 if arguments[:1] == ["-C"] else 0
    verb = next((one for one in arguments[start:] if not one.startswith("-")), "")[:80]
    if odd := next(
        (one for one in arguments if not one.isprintable() and one != one.encode(errors="ignore").decode()), ""
    ):
        return report("cit", UsageError(f"an argument is not UTF-8: {odd[:80]!a}", hint="check the locale's encoding"))
    gc.disable()  # while modules are loaded nothing becomes garbage
    try:
        done = cit.main(args=arguments, prog_name="cit", standalone_mode=False)
        return done if isinstance(done, int) else 0
    except CitError as error:
        return report(_typed(arguments[start:]), error)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.ClickException as error:
        return report(_typed(arguments[start:]), _usage(error, _typed(arguments[start:])))
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        if os.environ.get("CIT_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename is not None and error.strerror:
            named = f"{os.fsdecode(error.filename)!r}: {error.strerror}" if not isinstance(error.filename, int) else ""
            return report(_typed(arguments[start:]), Errored(named or error.strerror, hint="CIT_DEBUG=1 shows where"))
        print(f"cit {verb}: bug: {type(error).__name__}: {error}", file=sys.stderr)
        print("hint: CIT_DEBUG=1 shows where; please report it", file=sys.stderr)
        return 70
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
