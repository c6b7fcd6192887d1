"""``harness baseline``: what a prompt must beat."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import json_option, say, show, show_json
from harness.errors import EXIT_OK


@click.command("baseline", short_help="Make the runs that a prompt must beat.")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="Which samples; default: the dataset's default split.")
@click.option("--seed", type=int, default=0, metavar="N", show_default=True, help="Decides who is in which fold.")
@click.option("--folds", type=int, default=5, metavar="K", show_default=True, help="Parts of the cross-validation.")
@click.option("--final", is_flag=True, help="Look at a locked split; the look is logged in runs/holdout.jsonl.")
@click.option("--reason", metavar="TEXT", help="With --final: why, for that log.")
@json_option
def command(
    dataset: Path, split: str | None, seed: int, folds: int, final: bool, reason: str | None, as_json: bool
) -> int:
    """Make the runs majority and tfidf of a dataset: a prompt that loses to them is not worth its calls.

    majority says the most frequent label set of every sample. tfidf is a logistic regression for each label, on TF-IDF
    of words and characters. Both are cross-validated: each fold of the split is predicted from the others. Fields are
    not predicted, and no call is made.

    \b
    Examples:
      harness baseline datasets/reviews.yaml
      harness compare tfidf v3
    """
    from harness import api
    from harness.execution import run_spent
    from harness.holdout import looks_of
    from harness.report.terminal import next_steps, run_report

    if reason is not None and not final:
        raise click.UsageError("--reason: goes with --final.")
    runs = api.baseline(dataset, split=split, seed=seed, folds=folds, final=final, reason=reason, warn=say)
    looks = looks_of(runs[-1].stored, runs[-1].project)
    if as_json:
        about = {"holdout": looks.to_json() if looks else None}
        show_json([{"run": run.stored.manifest.to_json(), "scores": run.result.to_json(), **about} for run in runs])
        return EXIT_OK
    for at, run in enumerate(runs):
        spent = run_spent(run.stored, run.project.settings.prices)
        show(*([""] if at else []), run_report(run.stored.manifest, run.result, spent, None, None, looks=looks))
    tfidf = runs[-1].stored.manifest
    show(next_steps([f"harness compare {tfidf.version if tfidf.default_split else tfidf.id} VERSION"]))
    return EXIT_OK
