"""``harness check``: validate prompts, datasets and templates without a call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import json_option, say, show, show_json, variables_of
from harness.errors import EXIT_ERROR, EXIT_OK, DataError

if TYPE_CHECKING:
    from harness.promptfile import Task


@click.command("check")
@click.argument("prompts", nargs=-1, metavar="[PROMPT…]", type=click.Path(path_type=Path))
@click.option("--split", metavar="NAME", help="Check the templates against this split.")
@click.option("--show", "n_shown", type=click.IntRange(min=0), default=0, metavar="N", help="Print N rendered calls.")
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

    paths = list(prompts)
    if not paths:
        project = find_project()
        folder = Path(project.show(project.root / "prompts"))  # as a person here would type it
        paths = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
        if not paths:
            raise DataError(f"{folder}: must hold at least one prompt, got none. Type: harness init")
    rows = [_check(path, split, variables_of(variables), n_shown) for path in paths]
    if as_json:
        show_json(rows)
    else:
        _print(rows)
    return EXIT_OK if all(row["ok"] for row in rows) else EXIT_ERROR


def _check(path: Path, split: str | None, variables: dict[str, str], n_shown: int) -> dict[str, Any]:
    """Return what is wrong with one prompt, or what it is."""
    from harness.planning import refuse_leaks
    from harness.project import find_project
    from harness.promptfile import load_task

    try:
        project = find_project(path)
        task = load_task(path, project, split=split, variables=variables)
        for warning in task.samples.warnings:
            say(warning)
        refuse_leaks(task.prompt, task.samples.samples)
        calls = _render(task, n_shown)
    except DataError as error:
        return {"path": str(path), "ok": False, "problems": str(error).splitlines()}
    return {
        "path": str(path),
        "ok": True,
        "hash": task.prompt.hash,
        "dataset": task.dataset.name,
        "labels": len(task.dataset.space),
        "samples": len(task.samples),
        "models": [model.name for model in task.prompt.models],
        "passes": [each.name for each in task.prompt.passes],
        "calls": calls,
    }


def _render(task: Task, n_shown: int) -> list[dict[str, Any]]:
    """Render every sample's first call, so that a template that fails on one of them is told now; keep the first N."""
    from harness.predict import predict

    calls = []
    for number, sample in enumerate(task.samples.samples):
        (call,) = next(predict(task.prompt, task.dataset.space, sample))
        if number < n_shown:
            calls.append({"sample": call.sample, "pass": call.pass_name, "messages": list(call.messages)})
    return calls


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from harness.report.listing import rendered_call
    from harness.report.numbers import plural
    from harness.report.text import visible

    for row in rows:
        if row["ok"]:
            models = ", ".join(row["models"])
            what = f"{plural(row['labels'], 'label')}, {plural(row['samples'], 'sample')}, {models}"
            show(Text.assemble(("ok ", "green"), (f"{row['path']}", "bold"), f": {row['dataset']}, {what}"))
            show(*(part for call in row["calls"] for part in rendered_call(call)))
        else:
            show(Text.assemble(("bad ", "red"), (f"{row['path']}", "bold")))
            show(*(Text(f"  {visible(line)}") for line in row["problems"]))
