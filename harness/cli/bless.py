"""``harness bless``: make a run the baseline that later ones are held against."""

from __future__ import annotations

import click

from harness.cli.common import run_argument, say, show
from harness.errors import EXIT_OK


@click.command("bless", short_help="Make a run the baseline that a gate holds later runs against.")
@run_argument()
@click.option("--as", "name", metavar="NAME", help="Name of the baseline; default: DATASET-SPLIT.")
@click.option("--notes", metavar="TEXT", help="Why this run; kept in the file.")
def command(run: str, name: str | None, notes: str | None) -> int:
    """Make a complete run the baseline of its dataset and split: baselines/NAME.json, a file to commit.

    The file has the run's scores and, for each sample, its id, a hash of its inputs and the labels that were predicted;
    nothing of its text. It is all that 'harness gate' needs of the old run.

    \b
    Examples:
      harness bless v3
      harness bless v3 --as release --notes "shipped on 3 March"
    """
    from harness import blessing
    from harness.lineage import doubts
    from harness.measuring import replaced_by
    from harness.project import find_project
    from harness.report.gate import blessed_report
    from harness.runnames import find_run

    project = find_project()
    if name is not None:
        blessing.check_name(name)
    found = find_run(project.runs, run)
    for doubt in doubts(run, found, project):
        say(doubt)
    baseline = blessing.baseline_of(found, notes)
    path = blessing.path_of(project, name or blessing.default_name(baseline.dataset, baseline.split))
    replaced = replaced_by(found, path, project) if path.exists() else None
    blessing.write_baseline(path, baseline)
    show(blessed_report(found, baseline, project.show(path), replaced))
    return EXIT_OK
