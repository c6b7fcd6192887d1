"""``harness completion``: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from harness.errors import EXIT_OK, listing

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", required=False, metavar="bash|zsh|fish", type=click.Choice(list(SHELLS)))
def command(shell: str | None) -> int:
    """Print the script that completes commands and run names in a shell.

    \b
    Example:
      eval "$(harness completion bash)"
    """
    from harness.cli import group

    if shell is None:  # click would name the choices on a line each, with tabs
        raise click.UsageError(f"name a shell: {listing(SHELLS)}.")
    click.echo(SHELLS[shell](group, {}, "harness", "_HARNESS_COMPLETE").source())
    return EXIT_OK
