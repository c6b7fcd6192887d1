"""``harness label``: the finished prompt on unlabelled texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import (
    json_option,
    model_options,
    progress_bar,
    say,
    sending,
    sending_options,
    show,
    show_json,
    variables_of,
)
from harness.errors import EXIT_INCOMPLETE, EXIT_OK

if TYPE_CHECKING:
    from harness.labelling import Labelled
    from harness.project import Project


@click.command("label", short_help="Label unlabelled texts with a finished prompt.")
@click.argument("prompt", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="The new file: .csv, .tsv, .jsonl or .parquet.",
)
@click.option("--text", metavar="COLUMN", help="The column of the texts; default: text.")
@click.option("--id", "id_", metavar="COLUMN", help="The column of ids; default: id.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Label N rows only, the same ones every time.")
@click.option("--force", is_flag=True, help="Replace OUT where it exists.")
@model_options
@sending_options("the same command")
@json_option
def command(
    prompt: Path,
    file: Path,
    output: Path,
    text: str | None,
    id_: str | None,
    limit: int | None,
    force: bool,
    model: str | None,
    base_url: str | None,
    concurrency: int | None,
    no_cache: bool,
    variables: tuple[str, ...],
    as_json: bool,
    **bounds: Any,
) -> int:
    """Label the texts of FILE with a finished prompt, and write its rows with the answers beside them.

    Every column and row of FILE is kept as it is. Added are: labels ("a; b", "none" where no label applies), failure
    (why there is no answer), off_list (what was answered and is no label), probabilities (where there are any)
    and the fields that the prompt asks for; where FILE has such a column, the added one is called predicted_labels and so
    on. Labels in FILE are never sent. After Ctrl-C type the same command again: what was answered comes from the cache.

    \b
    Examples:
      harness label prompts/v3.yaml new.csv -o labelled.csv
      harness label prompts/v3.yaml new.parquet -o labelled.jsonl --text body --limit 20
    """
    from harness import api
    from harness.project import find_project

    project = find_project(prompt)
    with sending(**bounds) as sent, progress_bar(prompt.stem) as tell:
        labelled = api.label(
            prompt,
            file,
            output,
            text=text,
            id=id_,
            model=model,
            base_url=base_url,
            limit=limit,
            concurrency=concurrency,
            cache=not no_cache,
            variables=variables_of(variables),
            force=force,
            progress=tell,
            warn=say,
            project=project,
            **sent,
        )
    if as_json:
        show_json(labelled.to_json())
    else:
        _tell(labelled, project)
    return EXIT_OK if labelled.run.manifest.state == "complete" else EXIT_INCOMPLETE


def _tell(labelled: Labelled, project: Project) -> None:
    from rich.text import Text

    from harness.execution import run_spent
    from harness.report import numbers
    from harness.report.terminal import table
    from harness.report.text import one_line

    manifest = labelled.run.manifest
    rows = table("label", "rows", left=("label",))
    for name, count in labelled.counts.items():
        rows.add_row(Text(one_line(name, 48)), numbers.count(count))
    rows.add_section()
    rows.add_row(Text("none of them", style="dim"), numbers.count(labelled.none))
    for kind, count in labelled.failures.items():
        if count:
            rows.add_row(Text(f"no answer: {kind}", style="red"), numbers.count(count))
    if labelled.blank:
        rows.add_row(Text("no text, not asked", style="dim"), numbers.count(len(labelled.blank)))
    show(rows, "")
    if labelled.off_list:
        show(Text(f"something off the list in {numbers.plural(labelled.off_list, 'row')}: see the column off_list"))
    spent = run_spent(labelled.run, project.settings.prices)
    calls = f"{numbers.plural(spent.calls, 'call')} made" if spent.calls else "no call made: every completion was there"
    told = f"{calls}, cost {numbers.usd(spent.usd)}, {numbers.seconds(manifest.seconds)}, run {manifest.id}"
    show(Text(told, style="dim"))
    show(Text.assemble(f"{numbers.plural(labelled.rows, 'row')} written to ", (str(labelled.output), "bold")))
    if manifest.state != "complete":
        show(Text("Calls failed. Type the same command with --force again: only they are made anew.", style="red"))
