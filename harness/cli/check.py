"""``harness check``: validate prompts, datasets and templates without a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import json_option, say, show, show_json, variables_of
from harness.errors import EXIT_ERROR, EXIT_OK, DataError, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.dataset import Dataset
    from harness.records import Sample

NOT_TOLD = ("preview", "prompt")
"""What a row has for the other functions here, and is no part of the result."""

MOST_IDS = 5
"""Samples that are named of those whose gold breaks a rule."""


@click.command("check")
@click.argument("prompts", nargs=-1, metavar="[PROMPT…]", type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="Check the templates against this split.")
@click.option(
    "--show",
    "n_shown",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Print what N samples send, with token counts.",
)
@click.option("--var", "variables", multiple=True, metavar="K=V", help="Set a template variable.")
@json_option
def command(
    prompts: tuple[Path, ...], split: str | None, n_shown: int, variables: tuple[str, ...], as_json: bool
) -> int:
    """Check prompts, datasets and templates without a call.

    Without a file: every prompt in prompts/. Tells all problems of a file at once, with their lines.

    \b
    Examples:
      harness check
      harness check prompts/v3.yaml --show 2
    """
    from harness.project import find_project
    from harness.promptnames import unused_variables

    paths = list(prompts)
    if not paths:
        project = find_project()
        folder = Path(project.show(project.root / "prompts"))  # as a person here would type it
        paths = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        if not paths:
            raise DataError(f"{folder}: must hold at least one prompt, got none. Type: harness init")
    rows = [_check(path, split, variables_of(variables), n_shown) for path in paths]
    if all(row["ok"] for row in rows):  # else one with problems may be the one that uses it
        for warning in unused_variables([row["prompt"] for row in rows]):
            say(warning)
    if as_json:
        show_json([{name: value for name, value in row.items() if name not in NOT_TOLD} for row in rows])
    else:
        _print(rows)
    return EXIT_OK if all(row["ok"] for row in rows) else EXIT_ERROR


def _check(path: Path, split: str | None, variables: dict[str, str], n_shown: int) -> dict[str, Any]:
    """Return what is wrong with one prompt, or what it is."""
    from harness.planning import bare_labels, near_leaks, pasted_text, vain_votes
    from harness.preview import checked
    from harness.project import find_project
    from harness.promptfile import load_task

    try:
        project = find_project(path)
        task = load_task(path, project, split=split, variables=variables)
        for warning in task.samples.warnings:
            say(warning)
        found = checked(task, project, split=split, n_shown=n_shown)
    except DataError as error:
        return {"path": str(path), "ok": False, "problems": str(error).splitlines()}
    prompt, space, samples, look = task.prompt, task.dataset.space, found.samples, found.look
    warnings = [
        *found.aside,
        *_broken_rules(task.dataset, samples),
        *near_leaks(prompt, samples),
        *pasted_text(prompt, space, samples),
        *bare_labels(prompt, space),
        *vain_votes(prompt),
    ]
    warnings += [f"{path}: {warning}" for warning in look.warnings]
    if n_shown and found.unknown:
        warnings.append(
            f"{path}: the nearest shots or labels need embeddings, which are asked for in a run; the first ones stand in."
        )
    for warning in warnings:
        say(warning)
    return {
        "path": str(path),
        "ok": True,
        "hash": prompt.hash,
        "dataset": task.dataset.name,
        "labels": len(space),
        "samples": len(samples),
        "models": list(dict.fromkeys(model.name for model in prompt.models)),
        "passes": [each.name for each in prompt.passes],
        "warnings": [*task.samples.warnings, *warnings],
        "tokens": look.tokens_json(),
        "calls": [request.to_json() for request in look.requests],
        "preview": look,
        "prompt": prompt,
    }


def _broken_rules(dataset: Dataset, samples: Sequence[Sample]) -> list[str]:
    """Return what is to be said of gold that breaks the label rules of its own dataset."""
    from harness.labelanalysis import broken_by_gold
    from harness.report.numbers import plural

    gold = [(sample.id, sample.labels) for sample in samples if sample.labels is not None]
    return [
        f"{dataset.path}: gold breaks the rule '{rule}' in {plural(len(ids), 'sample')}: {listing(ids, MOST_IDS)}."
        for rule, ids in broken_by_gold(dataset.space, gold)
    ]


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from harness.report.numbers import plural
    from harness.report.requests import preview_report
    from harness.report.text import visible

    for row in rows:
        if row["ok"]:
            models = ", ".join(row["models"])
            what = f"{plural(row['labels'], 'label')}, {plural(row['samples'], 'sample')}, {models}"
            show(Text.assemble(("ok ", "green"), (f"{row['path']}", "bold"), f": {row['dataset']}, {what}"))
            show(*preview_report(row["preview"]))
        else:
            show(Text.assemble(("bad ", "red"), (f"{row['path']}", "bold")))
            show(*(Text(f"  {visible(line)}") for line in row["problems"]))
