"""``harness compare``: prompt versions side by side."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import json_option, limit_option, note_written, output_option, run_argument, show, show_json
from harness.errors import EXIT_OK


@click.command("compare", short_help="Compare runs side by side; the first is the baseline.")
@run_argument("runs", nargs=-1, metavar="RUN RUN…")
@limit_option(8, "samples of a kind")
@output_option("as .json, .md, or the labels as .csv")
@json_option
def command(runs: tuple[str, ...], limit: int, output: Path | None, as_json: bool) -> int:
    """Compare runs on the samples they have in common; the first is the baseline.

    Shows headline scores side by side, F1 by label, and which samples regressed, were fixed or churned (wrong both
    times, differently). All runs are scored against the same gold.

    \b
    Examples:
      harness compare v2 v3
      harness compare v1 v2 v3 -o comparison.md
    """
    from dataclasses import asdict

    from harness import api
    from harness.plainvalues import to_plain
    from harness.report import changes, files

    if len(runs) < 2:
        raise click.UsageError("name at least two runs: the baseline first. Type 'harness runs' to see them.")
    if output is not None:
        files.check_output(output)
    compared = api.compare(*runs).compared
    value = {"runs": list(compared.names), "notes": list(compared.notes), **compared.comparison.to_json()}
    if as_json:
        show_json(value)
    elif output is None:
        show(changes.comparison_report(compared, limit))
    if output is not None:
        rows = [{"run": diff.after, **asdict(label)} for diff in compared.comparison.diffs for label in diff.labels]
        files.write_result(output, value, to_plain(rows), lambda: changes.comparison_markdown(compared))
        note_written(output, as_json)
    return EXIT_OK
