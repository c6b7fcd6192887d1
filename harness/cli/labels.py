"""``harness labels``: which labels are confused, go together, come too often, or break the rules of the dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import (
    json_option,
    limit_option,
    note_written,
    output_option,
    run_argument,
    say,
    show,
    show_json,
)
from harness.errors import EXIT_OK, UsageError, did_you_mean, listing

if TYPE_CHECKING:
    from harness.labelanalysis import LabelAnalysis
    from harness.results import Run
    from harness.store import Manifest


@click.command("labels", short_help="See which labels are confused, or come too often.")
@run_argument()
@click.option("--label", metavar="LABEL", help="Only what is about this label.")
@limit_option(10, "pairs of labels")
@output_option("all of it as .json or .md, confusions as .csv")
@json_option
def command(run: str, label: str | None, limit: int, output: Path | None, as_json: bool) -> int:
    """Show what a run does to its labels.

    How many labels it gives, which it predicts too often or too seldom, which it misses where it adds another one,
    which it puts together, and which samples break the rules (exclusive, implies) of the dataset. Of several repeats
    the counts are means. Files hold all pairs, whatever --limit says.

    \b
    Examples:
      harness labels v3
      harness labels v3 --label shipping
      harness labels v3 -o labels.md
    """
    from harness import api
    from harness.report import files
    from harness.report.labels import confusion_rows, labels_markdown, labels_report, labels_title

    if output is not None:
        files.check_output(output, (".json", ".csv", ".md"))
    loaded = api.load(run, warn=say)
    manifest = loaded.stored.manifest
    chosen = None if label is None else _label(label, manifest)
    analysis = _analysis(loaded)
    analysis = analysis if chosen is None else analysis.about(chosen)
    title = labels_title(manifest, analysis, chosen)
    value = {"run": manifest.id, **analysis.to_json()}
    if as_json:
        show_json(value)
    elif output is None:
        show(*labels_report(analysis, title, limit, chosen))
    if output is not None:
        files.write_result(output, value, confusion_rows(analysis), lambda: labels_markdown(analysis, title))
        note_written(output, as_json)
    return EXIT_OK


def _label(label: str, manifest: Manifest) -> str:
    found = manifest.space.find(label)
    if found is None:
        names = manifest.space.names
        raise UsageError(
            f"--label '{label}': must be a label of {manifest.dataset}: {listing(names)}.{did_you_mean(label, names)}"
        )
    return found


def _analysis(loaded: Run) -> LabelAnalysis:
    """Return the analysis of a run against the gold that it was last scored against.

    Raises:
        DataError: The run's samples are unlabelled.
    """
    from harness.labelanalysis import analyse
    from harness.scoring import align
    from harness.versions import with_todays_rules

    stored = loaded.stored
    _ = loaded.result  # tells where the samples are unlabelled
    samples = [replace(each, labels=stored.gold.get(each.id, each.labels)) for each in stored.samples]
    space = with_todays_rules(stored.manifest, loaded.project)
    return analyse(space, align(space, samples, stored.predictions))
