"""``harness failures``: read what went wrong, with the raw output."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import (
    complete_run,
    json_option,
    limit_option,
    note_written,
    output_option,
    run_argument,
    say,
    show,
    show_json,
)
from harness.errors import EXIT_OK


@click.command("failures", short_help="Read what went wrong, with the raw output.")
@run_argument()
@click.option("--label", metavar="LABEL", help="Only where this label is wrong.")
@click.option("--kind", metavar="KIND", help="fp, fn, wrong, call_error, refusal, truncated or unparseable.")
@click.option("--regressed-from", metavar="RUN", shell_complete=complete_run, help="Only what was right in that run.")
@click.option(
    "--sort",
    type=click.Choice(["order", "errors", "length"]),
    default="order",
    show_default=True,
    help="What comes first.",
)
@limit_option(10, "failures; --json and -o have all")
@output_option("failures as .json, .jsonl, .csv or .md")
@json_option
def command(
    run: str,
    label: str | None,
    kind: str | None,
    regressed_from: str | None,
    sort: str,
    limit: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """List the samples that are not exactly right, with gold, prediction and raw output.

    fp is a label too many, fn a label missed, wrong an answer that is not exactly right; the other kinds are reasons
    why there is no answer. --regressed-from asks for samples that were exactly right in the other run, together
    with --label for those in which this label was right. Files and --json hold all failures, whatever --limit says.

    \b
    Examples:
      harness failures v3 --label shipping --kind fn
      harness failures v3 --regressed-from v2
      harness failures v3 --regressed-from v2 --label price
      harness failures v3 --kind unparseable -o failures.csv
    """
    from rich.text import Text

    from harness import api
    from harness.report import files, numbers
    from harness.report.listing import failure_row, failures_report

    if output is not None:
        files.check_output(output)
    loaded = api.load(run, warn=say)
    if regressed_from is not None:
        api.load(regressed_from, loaded.project, warn=say)
    found = loaded.find(label, kind, regressed_from, sort)
    rows = [failure_row(each) for each in found]
    what = [f"label {loaded.stored.manifest.space.find(label)}"] if label else []
    what += [kind] if kind else []
    what += [f"regressed from {regressed_from}"] if regressed_from else []
    total = loaded.stored.manifest.n_samples * loaded.stored.manifest.repeats
    title = f"{loaded.id}: {len(found)} of {numbers.plural(total, 'prediction')} not exactly right"
    title += f" ({', '.join(what)})" if what else ""
    if as_json:
        show_json(rows)
    elif output is None:
        show(failures_report(found, loaded.stored, limit, title))
        if regressed_from and not label and not found:
            show(Text("Add --label LABEL to see where one label was right before and is wrong now.", style="dim"))
    if output is not None:
        files.write_result(output, rows, rows, lambda: files.rows_markdown(title, rows))
        note_written(output, as_json)
    return EXIT_OK
