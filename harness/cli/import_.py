"""``harness import``: predictions from any other tool or model, as a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import json_option, say, show, show_json
from harness.errors import EXIT_INCOMPLETE, EXIT_OK

if TYPE_CHECKING:
    from harness.importing import Imported
    from harness.project import Project

FORMATS = ("labels", "vector", "columns", "scores")


@click.command("import", short_help="Make a run of predictions from any other tool.")
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option(
    "--dataset", required=True, metavar="YAML", type=click.Path(path_type=Path), help="The dataset that was predicted."
)
@click.option("--name", required=True, metavar="NAME", help="What the run is called, as a version is.")
@click.option("--split", metavar="NAME", help="Which samples; default: the dataset's default split.")
@click.option(
    "--threshold", type=float, metavar="P", help="From which probability on a label is present; default: 0.5."
)
@click.option("--format", "format_", type=click.Choice(FORMATS), help="How labels are said; default: found out.")
@click.option("--column", metavar="COLUMN", help="Where labels, vectors or scores are; default: found out.")
@click.option("--id", "id_", metavar="COLUMN", help="The column of ids; default: id.")
@click.option("--partial", is_flag=True, help="Leave samples without a prediction out; else they are failures.")
@click.option("--final", is_flag=True, help="Look at a locked split; the look is logged in runs/holdout.jsonl.")
@click.option("--reason", metavar="TEXT", help="With --final: why, for that log.")
@click.option("--model", metavar="TEXT", help="Who made the predictions.")
@click.option("--notes", default="", metavar="TEXT", help="What to know of them.")
@json_option
def command(
    predictions: Path,
    dataset: Path,
    name: str,
    split: str | None,
    threshold: float | None,
    format_: str | None,
    column: str | None,
    id_: str | None,
    partial: bool,
    final: bool,
    reason: str | None,
    model: str | None,
    notes: str,
    as_json: bool,
) -> int:
    """Make a run of a file of predictions, so that another model stands in every table.

    PREDICTIONS is JSONL, CSV, TSV or Parquet with one row a sample, found by its id. Labels are said by name in a column,
    as a vector of 0 and 1 in the order of the dataset, in a column of 0 and 1 for each label, or as probabilities: a
    column for each label, or an object by label. What harness label and harness run -o write is read too.

    \b
    Examples:
      harness import bert.jsonl --dataset datasets/reviews.yaml --name bert
      harness import scores.parquet --dataset datasets/reviews.yaml --name svm --threshold 0.35
      harness compare bert v3
    """
    from harness import api
    from harness.project import find_project

    if reason is not None and not final:
        raise click.UsageError("--reason: goes with --final.")
    project = find_project(dataset)
    imported = api.import_predictions(
        predictions,
        dataset=dataset,
        name=name,
        split=split,
        threshold=threshold,
        format=format_,
        column=column,
        id=id_,
        model=model,
        notes=notes,
        partial=partial,
        final=final,
        reason=reason,
        warn=say,
        project=project,
    )
    _tell(imported, project, as_json)
    return EXIT_OK if imported.run.manifest.state == "complete" else EXIT_INCOMPLETE


def _tell(imported: Imported, project: Project, as_json: bool) -> None:
    """Show the run's scores, how the file was read, and what to type next."""
    from rich.text import Text

    from harness.api import Run
    from harness.execution import run_spent
    from harness.holdout import looks_of
    from harness.report.terminal import next_steps, run_report

    run = Run(imported.run, project)
    manifest, spent = imported.run.manifest, run_spent(imported.run, project.settings.prices)
    looks = looks_of(imported.run, project)
    if as_json:
        about = {"missing": imported.missing, "holdout": looks.to_json() if looks else None}
        show_json({"run": manifest.to_json(), "scores": run.result.to_json(), **about})
        return
    show(run_report(manifest, run.result, spent, None, None, looks=looks))
    decided = "" if imported.threshold is None else f"; a label is present from {imported.threshold:g} on"
    show(Text(f"Read from {imported.described}{decided}.", style="dim"))
    called = shlex.quote(manifest.version if manifest.default_split and manifest.state == "complete" else manifest.id)
    read = [] if looks else [f"harness failures {called}"]  # what is read of a locked split is tuned on it
    show(next_steps([*read, f"harness compare {called} VERSION"]))
