"""What several commands share: options, run names, warnings and the progress bar."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.errors import HarnessError, UsageError, listing

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from rich.console import RenderableType

    from harness.runner import Progress

Command = TypeVar("Command", bound=Callable[..., Any])


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return versions and run ids that begin like what was typed, for the shell."""
    from click.shell_completion import CompletionItem

    from harness.project import find_project
    from harness.runnames import list_runs

    try:
        runs = list_runs(find_project().runs)
    except HarnessError:  # a shell that completes has no place for a message
        return []
    tags = (run.manifest.tag for run in runs if run.manifest.tag)
    versions, ids = (run.manifest.version for run in runs), (run.manifest.id for run in runs)
    names = dict.fromkeys(["latest", *versions, *tags, *ids])
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def run_argument(name: str = "run", *, nargs: int = 1, metavar: str = "RUN") -> Callable[[Command], Command]:
    """Return an argument that names a run."""
    return click.argument(name, nargs=nargs, required=True, metavar=metavar, shell_complete=complete_run)


def json_option(command: Command) -> Command:
    """Add ``--json``: the result as JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def output_option(formats: str) -> Callable[[Command], Command]:
    """Return the option ``-o``: the result to a file, in the format of its extension."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        multiple=True,  # only to refuse a second one: click would take the last and drop the others unsaid
        callback=_only_output,
        help=f"Write to a file: {formats}.",
    )


def _only_output(ctx: click.Context, param: click.Parameter, paths: tuple[Path, ...]) -> Path | None:
    if len(paths) > 1:
        raise UsageError(f"-o: must be given once, got {listing(map(str, paths))}. Run it again for another file.")
    return paths[0] if paths else None


def limit_option(default: int, what: str) -> Callable[[Command], Command]:
    """Return the option ``--limit`` of a listing."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        metavar="N",
        show_default=True,
        help=f"Show at most so many {what}.",
    )


def say(message: str) -> None:
    """Tell a warning or a note on standard error."""
    from harness.report.text import visible

    # Not by click, which writes past the progress bar: this puts it above.
    sys.stderr.write(f"warning: {visible(message)}\n")
    sys.stderr.flush()


def show(*parts: RenderableType) -> None:
    """Print results to standard output."""
    from harness.report.terminal import rendered

    sys.stdout.write(rendered(parts))


def show_json(value: Any) -> None:
    """Print a result as JSON to standard output."""
    from harness.report.text import json_text

    sys.stdout.write(json_text(value, indent=1) + "\n")


def note_written(path: Path, as_json: bool) -> None:
    """Say where a result was written; beside JSON on standard output it is said on standard error."""
    from rich.text import Text

    from harness.report.text import visible

    if as_json:
        click.echo(visible(f"written to {path}"), err=True)
    else:
        show(Text(f"written to {path}", no_wrap=True, overflow="ignore"))


BETWEEN_TELLS_S = 0.05
"""Seconds between two changes of a progress bar."""


@contextmanager
def progress_bar(title: str, total: int | None = None) -> Iterator[Callable[[Progress], None]]:
    """Show how far a run is on standard error, when that is a terminal; yields what the runner tells.

    ``total`` is what there is to do, where it is known before the first call has ended.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from harness.report import numbers
    from harness.report.text import one_line

    def column(field: str) -> TextColumn:
        return TextColumn(f"{{task.{field}}}", markup=False)

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (
        column("description"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        *(column(f"fields[{name}]") for name in ("rate", "failed", "calls", "tokens")),
        TimeRemainingColumn(compact=True),
    )
    with Bar(*columns, console=console, transient=True, refresh_per_second=8) as bar:
        task = bar.add_task(one_line(title, 40), total=total, rate="", failed="", calls="", tokens="")

        shown_at = 0.0

        def tell(progress: Progress) -> None:
            nonlocal shown_at
            now = time.monotonic()
            if now - shown_at < BETWEEN_TELLS_S and progress.done < progress.total:
                return  # there may be thousands a second, and nobody reads faster
            shown_at = now
            bar.update(
                task,
                total=progress.total,
                completed=progress.done,
                rate=_pace(bar.tasks[0].speed),
                failed=f"{progress.failed} failed",
                calls=numbers.plural(progress.calls, "call"),  # they move where one sample is many
                tokens=f"{numbers.short_count(progress.tokens)} tokens",
            )

        yield tell


def _pace(speed: float | None) -> str:
    """Return how fast samples are done; slow ones by the time that each takes, which a rate would round away."""
    from harness.report import numbers

    if not speed:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{numbers.seconds(1 / speed)} each"


def variables_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return ``--var k=v`` pairs as a mapping.

    Raises:
        click.UsageError: A pair has no ``=``.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise click.UsageError(f"--var: must be NAME=VALUE, got '{pair}'.")
        found[name] = value
    return found


def sending_options(goes_on: str) -> Callable[[Command], Command]:
    """Return the options that bound what is sent, and that note it; ``goes_on`` says how a stopped one is gone on with."""

    def decorate(command: Command) -> Command:
        return _sending(command, goes_on)

    return decorate


def _sending(command: Command, goes_on: str) -> Command:
    for option in (
        click.option(
            "--log-file", type=click.Path(path_type=Path), metavar="FILE", help="Note what happens, as JSON lines."
        ),
        click.option(
            "--max-cost", type=click.FloatRange(min=0, min_open=True), metavar="USD", help="Stop before it costs more."
        ),
        click.option(
            "--max-calls", type=click.IntRange(min=1), metavar="N", help=f"Stop after N calls; {goes_on} goes on."
        ),
        click.option("--tpm", type=click.IntRange(min=1), metavar="N", help="Tokens a minute at most, of each model."),
        click.option(
            "--rpm", type=click.IntRange(min=1), metavar="N", help="Requests a minute at most, of each model."
        ),
    ):
        command = option(command)
    return command


@contextmanager
def sending(
    rpm: int | None, tpm: int | None, max_calls: int | None, max_cost: float | None, log_file: Path | None
) -> Iterator[dict[str, Any]]:
    """Return what `sending_options` say, as the arguments of what sends calls; options that are not given are not there.

    Raises:
        HarnessError: The log file cannot be opened.
    """
    from harness import logfile
    from harness.budget import Budget
    from harness.pacing import Rates

    how: dict[str, Any] = {"budget": Budget(max_calls, max_cost)}
    if rpm or tpm:
        how["rates"] = Rates(rpm, tpm)
    with logfile.log_file(log_file, say) as log:
        yield {**how, "log": log}


def model_options(command: Command) -> Command:
    """Add the options that say who answers, and how fast to ask."""
    for option in (
        click.option("--var", "variables", multiple=True, metavar="K=V", help="Set a template variable."),
        click.option("--no-cache", is_flag=True, help="Make every call anew."),
        click.option(
            "-j", "--concurrency", type=click.IntRange(min=1), metavar="N", help="Calls under way at once at most."
        ),
        click.option("--base-url", metavar="URL", help="An OpenAI-compatible server, instead of the prompt's."),
        click.option("--model", metavar="NAME", help="A model, instead of the prompt's."),
    ):
        command = option(command)
    return command
