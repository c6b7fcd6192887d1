"""The command line: thin commands that load, call and print. One file a command."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from harness import __version__
from harness.errors import EXIT_INTERRUPTED, HarnessError

COMMANDS = {
    "init": "harness.cli.init",
    "check": "harness.cli.check",
    "run": "harness.cli.run",
    "compare": "harness.cli.compare",
    "failures": "harness.cli.failures",
    "show": "harness.cli.show",
    "runs": "harness.cli.runs",
    "score": "harness.cli.score",
    "label": "harness.cli.label",
    "completion": "harness.cli.completion",
}
"""In the order of the loop, which is the order of the help."""


class _Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from harness.errors import did_you_mean

            ctx.fail(f"no command '{args[0]}'.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="harness")
def group() -> None:
    """Iterate on LLM prompts for multi-label text classification.

    Write a prompt, run it on labelled samples, see per label how well it does and which samples regressed, change
    it, and run it again.

    \b
    Example:
      harness run prompts/v3.yaml
      harness compare v2 v3
      harness failures v3 --label shipping
    """


def main() -> None:
    """Run the command line; a user's mistake ends in a message and an exit code, never in a traceback."""
    try:
        code = group(standalone_mode=False)
    except click.exceptions.Abort:
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except HarnessError as error:
        from harness.report.text import visible

        click.echo(f"error: {visible(str(error))}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone. Python would complain once more when it flushes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
