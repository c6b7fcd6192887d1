"""``harness completion``: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from harness.errors import EXIT_OK


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the script that completes commands and run names in a shell.

    \b
    Example:
      eval "$(harness completion bash)"
    """
    from harness.cli import group

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(found(group, {}, "harness", "_HARNESS_COMPLETE").source())
    return EXIT_OK
