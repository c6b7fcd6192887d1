"""``harness report``: a run as a page to read and send, or as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import complete_run, note_written, run_argument, say, show_json
from harness.errors import EXIT_OK

if TYPE_CHECKING:
    from harness.results import Run
    from harness.store import StoredRun


@click.command("report", short_help="Write a run as one page to read and send.")
@run_argument()
@click.argument("baseline", required=False, metavar="[BASELINE]", shell_complete=complete_run)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to, by extension: .html, .md, .csv, .json, .jsonl or .parquet. May be given several times.",
)
@click.option("--no-baseline", is_flag=True, help="Show the run alone.")
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
def command(
    run: str, baseline: str | None, outputs: tuple[Path, ...], no_baseline: bool, open_: bool, as_json: bool
) -> int:
    """Write a report of a run, against its baseline.

    The page (.html) is one file that needs no network: scores with their intervals, every label, what changed, which
    labels are confused, and every sample with its text, gold, answers, raw outputs and what was sent. The other formats
    are made of the same data: .md the scores and changes, .csv one row a label, .json everything, .jsonl and .parquet
    one row a prediction.

    Without BASELINE it is the one that 'harness run' compares with: the previous run of this version with another
    prompt, else the newest run of its parent.

    \b
    Examples:
      harness report v3 -o report.html
      harness report v3 v1 -o report.html -o report.md
      harness report v3 --no-baseline -o scores.csv -o predictions.parquet
    """
    from harness import api
    from harness.report import files, reports
    from harness.reportdata import report_of

    if baseline is not None and no_baseline:
        raise click.UsageError("--no-baseline: does not go with a BASELINE. Leave one of them out.")
    if not outputs and not as_json:
        raise click.UsageError("-o: name a file to write, such as -o report.html.")
    page = next((path for path in outputs if path.suffix.lower() == ".html"), None)
    if open_ and page is None:
        raise click.UsageError("--open: needs a page to open. Add -o report.html.")
    for path in outputs:
        files.check_output(path, reports.FORMATS)
    loaded = api.load(run, warn=say)
    before = None if no_baseline else _baseline(loaded, baseline)
    report = report_of(loaded.stored, loaded.project, before)
    if as_json:
        show_json(report.to_json())
    for path in outputs:
        reports.write_report(path, report)
        note_written(path, as_json)
    if open_ and page is not None and click.launch(str(page.resolve())):
        say(f"--open: no browser could be started. Open {page} yourself.")
    return EXIT_OK


def _baseline(loaded: Run, named: str | None) -> StoredRun | None:
    """Return the named run, else the one that the run is measured against by itself."""
    from harness import api
    from harness.errors import RunNameError
    from harness.lineage import find_baseline

    if named is None:
        return find_baseline(loaded.stored, loaded.project)
    found = api.load(named, loaded.project, warn=say).stored
    if found.manifest.id == loaded.id:
        raise RunNameError(f"{named}: must be another run than {loaded.id}, got the same one. See: harness runs")
    return found
