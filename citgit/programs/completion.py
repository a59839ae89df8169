"""`cit completion`: prints what makes a shell complete the verbs and options of cit."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from citgit.errors import UsageError

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", epilog='Example: eval "$(cit completion bash)"')
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Prints shell completion for cit, to be read by the shell's start-up file.

    bash: eval "$(cit completion bash)" in ~/.bashrc. zsh: eval "$(cit completion zsh)" in ~/.zshrc, after compinit.
    fish: cit completion fish > ~/.config/fish/completions/cit.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"no completion for {shell!r}", hint=f"known shells: {', '.join(SHELLS)}")
    click.echo(found(ctx.find_root().command, {}, "cit", "_CIT_COMPLETE").source())
