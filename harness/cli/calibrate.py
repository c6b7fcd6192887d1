"""``harness calibrate``: find the thresholds that maximise a score."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import json_option, note_written, run_argument, say, show, show_json
from harness.errors import EXIT_OK


@click.command("calibrate", short_help="Find thresholds for a run's probabilities.")
@run_argument()
@click.option(
    "--metric",
    default="macro_f1",
    metavar="NAME",
    show_default=True,
    help="macro_f1, micro_f1, weighted_f1, samples_f1, subset_accuracy or jaccard.",
)
@click.option("--global", "one_threshold", is_flag=True, help="One threshold for all labels.")
@click.option("--folds", type=int, default=5, metavar="K", show_default=True, help="Parts of the cross-validation.")
@click.option("--seed", type=int, default=0, metavar="N", show_default=True, help="Decides what goes into which fold.")
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A new prompt version with these thresholds, beside the run's.",
)
@json_option
def command(
    run: str, metric: str, one_threshold: bool, folds: int, seed: int, write: Path | None, as_json: bool
) -> int:
    """Find the thresholds that maximise a score on a run, without a call.

    Needs probabilities: log-probabilities, scores, votes, or an API that decides. For macro and weighted F1 each label
    with 20 gold samples or more gets a threshold of its own; the other labels, and all of them for the other scores, get
    the global one. What to expect of them on other samples is told by cross-validation.

    \b
    Examples:
      harness calibrate v3
      harness calibrate v3 --metric micro_f1
      harness calibrate v3 --write prompts/v4.yaml
    """
    from harness import api
    from harness.report.probabilities import calibration_report, calibration_steps

    found = api.calibrate(run, metric, one_threshold=one_threshold, folds=folds, seed=seed, write=write, warn=say)
    if as_json:
        show_json(found.to_json())
    else:
        show(*calibration_report(found))
    if found.written is not None:
        note_written(found.written, as_json)
    if not as_json:
        show(*calibration_steps(found))
    return EXIT_OK
