"""``harness batch``: batches at a provider, of runs with ``--engine batch``: look at them, fetch them, cancel them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from harness.cli.common import complete_run, json_option, run_argument, say, show, show_json
from harness.errors import EXIT_OK

if TYPE_CHECKING:
    from harness.batchsending import Waiting
    from harness.project import Project
    from harness.store import StoredRun


@click.group("batch", short_help="Batches at a provider: status, fetch, cancel.")
def command() -> None:
    """Look at the batches of runs with --engine batch, fetch what they answered, or cancel them.

    \b
    Examples:
      harness run prompts/v3.yaml --engine batch --no-wait
      harness batch status
      harness batch fetch v3
      harness batch cancel v3
    """


@command.command("status", short_help="Show how far batches are.")
@click.argument("run", required=False, metavar="[RUN]", shell_complete=complete_run)
@json_option
def status(run: str | None, as_json: bool) -> int:
    """Show how far batches are: those of a run, else all that are open.

    \b
    Examples:
      harness batch status
      harness batch status v3 --json
    """
    from rich.text import Text

    from harness import batchrunning
    from harness.project import find_project
    from harness.report import batch
    from harness.runnames import list_runs

    project = find_project()
    if run is None:
        runs = [found for found, _ in batchrunning.open_runs(list_runs(project.runs))]
    else:
        runs = [_batched(project, run)]
    rows = [row for found in runs for row in asyncio.run(batchrunning.look_at(found, project.settings))]
    if run is None:
        rows = [row for row in rows if row.part.ended is None]
    if as_json:
        show_json([batch.batch_row(row) for row in rows])
    elif not rows:
        show(Text("No batch is open." if run is None else "It has no batches yet."))
    else:
        show(batch.batches_table(rows, batch.now()))
        if any(row.part.ended is None for row in rows):
            show("", Text(f"harness batch fetch {rows[-1].run}", style="dim"))
    return EXIT_OK


@command.command("fetch", short_help="Fetch what the batches of a run have answered.")
@run_argument()
@json_option
def fetch(run: str, as_json: bool) -> int:
    """Fetch what the batches of a run have answered, and finish the run where that was all.

    Nothing is submitted: where calls are still missing, 'harness run --resume RUN' goes on.

    \b
    Example:
      harness batch fetch v3
    """
    from harness.batchrunning import go_on
    from harness.batchsending import Ways
    from harness.cli.running import finish
    from harness.project import find_project
    from harness.results import Run

    project = find_project()
    found = _batched(project, run)
    with waiting_line() as tell:
        stored = go_on(found, project, Ways(submit=False, wait=False, tell=tell), warn=say)
    return finish([Run(stored, project)], None, None, as_json)


@command.command("cancel", short_help="Cancel the open batches of a run at the provider.")
@run_argument()
def cancel(run: str) -> int:
    """Cancel the open batches of a run at the provider; what they answered till then is kept.

    A batch that the provider does not know any more is forgotten, so that the run asks for its calls again when it goes on.

    \b
    Example:
      harness batch cancel v3
    """
    from rich.text import Text

    from harness import batchrunning
    from harness.project import find_project
    from harness.report import batch, numbers

    project = find_project()
    found = _batched(project, run)
    rows = asyncio.run(batchrunning.cancel(found, project.settings))
    if not rows:
        show(Text(f"run {found.manifest.id}: no batch is open."))
        return EXIT_OK
    lost = [row for row in rows if row.remote is None and row.part.batch is not None]
    if lost:
        batchrunning.forget_lost(found, lost)
        say(
            f"run {found.manifest.id}: the provider knows {numbers.plural(len(lost), 'batch', 'batches')} of it no more."
        )
    show(batch.batches_table(rows, batch.now()))
    show("", Text(f"To keep what was answered: harness batch fetch {found.manifest.id}", style="dim"))
    return EXIT_OK


def _batched(project: Project, name: str) -> StoredRun:
    """Return a run that has batches, whatever its state.

    Raises:
        RunNameError: There is no such run.
        DataError: It has no batches.
    """
    from harness.batchrunning import goes_on_by_batches
    from harness.errors import DataError
    from harness.runnames import find_run

    found = find_run(project.runs, name, any_state=True)
    if not goes_on_by_batches(found):
        raise DataError(
            f"run {found.manifest.id}: must have been made with --engine batch, but has no batches. "
            "See: harness batch status"
        )
    return found


@contextmanager
def waiting_line() -> Iterator[Callable[[Waiting], None]]:
    """Show on standard error how far batches are: one line that changes in a terminal, else a line for every change."""
    from harness.report import batch

    told: tuple[int, int, int] | None = None

    def note(waiting: Waiting) -> None:
        nonlocal told
        counts = (waiting.batches, waiting.done, waiting.failed)
        if counts != told:  # a log need not grow while nothing happens
            click.echo(batch.waiting_line(waiting, batch.now()), err=True)
        told = counts

    if not sys.stderr.isatty():
        yield note
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False)
    how = "Ctrl-C leaves the batches running"
    with console.status("batches: submitting …") as line:
        yield lambda waiting: line.update(f"{batch.waiting_line(waiting, batch.now())} · {how}")
