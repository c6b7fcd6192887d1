"""``harness completion``: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from harness.errors import EXIT_OK

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def command(shell: str) -> int:
    """Print the script that completes commands and run names in a shell.

    \b
    Example:
      eval "$(harness completion bash)"
    """
    from harness.cli import group

    click.echo(SHELLS[shell](group, {}, "harness", "_HARNESS_COMPLETE").source())
    return EXIT_OK
