"""What every verb has: help with an example, JSON for programs, a line in the list."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from citgit.programs.cit import VERBS, cit

NO_JSON = {"completion", "policy gitolite", "agent keys", "shell"}
"""Verbs whose output is a program's text anyway."""


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Every verb and what is below it, by the words that are typed."""
    context = click.Context(cit)
    for name in VERBS:
        command = cit.get_command(context, name)
        assert command is not None
        below = (
            [(f"{name} {sub}", one) for sub, one in command.commands.items()]
            if isinstance(command, click.Group)
            else []
        )
        yield from below or [(name, command)]


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in verbs()])
def test_help_has_an_example_and_programs_get_json(name: str, command: click.Command) -> None:
    """The example begins as the verb is typed (or with git), and the options are all explained."""
    assert command.help
    assert command.epilog is not None
    assert command.epilog.startswith("Example: ")
    assert f"cit {name}" in command.epilog
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert all(option.help for option in options), [option.name for option in options if not option.help]
    assert name in NO_JSON or "--json" in {text for option in options for text in option.opts}


def test_verbs_below_another_have_a_line_in_its_list() -> None:
    """Short enough to stand there whole."""
    below = {name: command.short_help or "" for name, command in verbs() if " " in name}
    assert {name: words for name, words in below.items() if not 0 < len(words) <= 60} == {}
