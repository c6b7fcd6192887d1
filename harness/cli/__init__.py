"""The command line: thin commands that load, call and print. One file a command."""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn, TextIO

import click

from harness import __version__
from harness.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_OK, HarnessError, did_you_mean

COMMANDS = {
    "init": "harness.cli.init",
    "check": "harness.cli.check",
    "run": "harness.cli.run",
    "compare": "harness.cli.compare",
    "history": "harness.cli.history",
    "failures": "harness.cli.failures",
    "labels": "harness.cli.labels",
    "exceptions": "harness.cli.exceptions",
    "report": "harness.cli.report",
    "show": "harness.cli.show",
    "runs": "harness.cli.runs",
    "score": "harness.cli.score",
    "calibrate": "harness.cli.calibrate",
    "suggest": "harness.cli.suggest",
    "bless": "harness.cli.bless",
    "gate": "harness.cli.gate",
    "parse": "harness.cli.parse",
    "label": "harness.cli.label",
    "import": "harness.cli.import_",
    "baseline": "harness.cli.baseline",
    "batch": "harness.cli.batch",
    "cache": "harness.cli.cache",
    "doctor": "harness.cli.doctor",
    "completion": "harness.cli.completion",
}
"""In the order of the loop, which is the order of the help."""


ALLOCATED = 150_000
"""Objects after which Python looks for cycles; by default 700, which is a sixth of the processor time of a large run."""


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
        if not ctx.resilient_parsing and args and args[0] not in COMMANDS and not args[0].startswith("-"):
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
    gc.set_threshold(ALLOCATED, 20, 20)
    sys.stdout, sys.stderr = _lenient(sys.stdout), _lenient(sys.stderr)
    try:
        code = _result()
    except OSError as error:
        _drop_output()
        why = error.strerror or type(error).__name__
        if isinstance(error, _OutputError):
            code = _tell(f"standard output: cannot be written ({why}). Make room, or write elsewhere.")
        else:
            where = error.filename or "a file"
            code = _tell(
                f"{where}: cannot be used ({why}). Check that there is room, and that it is there and may be used."
            )
    sys.exit(code)


def entry() -> NoReturn:
    """Run the command line as all that a process is for.

    All output is written when `main` ends. What Python would then take apart, module by module, the system lets go of at
    once: that is a tenth of a second of a short command. What is written when Python ends, such as a profile, needs `main`.
    """
    try:
        main()
        code = EXIT_OK
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else EXIT_OK if ended.code is None else EXIT_ERROR
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or its reader has gone: `main` has told what there is to tell
            stream.flush()
    os._exit(code)


def _result() -> int:
    """Run the command, with all its output written, and return the exit code."""
    try:
        code = group(standalone_mode=False, prog_name="harness")  # however it was started
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "harness"
        return _tell(f"{error.format_message()} See: {command} --help", error.exit_code)
    except HarnessError as error:
        return _tell(str(error), error.exit_code)
    except click.exceptions.Abort:  # Ctrl-C
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_OK
    return code if isinstance(code, int) else EXIT_OK


def _tell(message: str, code: int = EXIT_ERROR) -> int:
    """Tell an error on standard error and return its exit code."""
    from harness.report.text import visible

    click.echo(f"error: {visible(message)}", err=True)
    return code


STDERR = 2
"""Where warnings and errors go, by its number."""


class _OutputError(OSError):
    """Standard output cannot be written."""


class _Leaving(io.FileIO):
    """A standard stream, whose reader may leave (`| head`): what is written after that goes nowhere.

    So a command ends as it would have: a run is finished, and a gate that fails says so with its exit code.
    """

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)
        except OSError as error:
            if self.fileno() == STDERR:  # there is nobody left to tell it
                return len(data)
            raise _OutputError(error.errno, error.strerror) from None


def _lenient(stream: TextIO) -> TextIO:
    """Return a standard stream as one that ends no command: its reader may leave, and may lack a character."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    if not isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO):  # it is no file of the system's
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Leaving(stream.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _drop_output() -> None:
    """Let go of what standard output still holds; Python would complain once more when it flushes it at the end."""
    with suppress(OSError):  # it may be no file of the system's
        descriptor = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
