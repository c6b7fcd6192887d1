"""``harness init``: a new project, with an example in it or from a labelled file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import say, show
from harness.errors import EXIT_OK

if TYPE_CHECKING:
    from harness.intake import Intake
    from harness.starting import Start

MANY = 200
"""Samples of dev above which the first run that is offered has a limit: a first look takes minutes, never hours."""
FIRST_LOOK = 100

FROM_OPTIONS = ("text", "labels", "id_", "separator", "name", "test_share", "seed", "empty")


@click.command("init", short_help="Start a project, or one from your own labelled file.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--model", metavar="NAME", help="The model of the first prompt; default: local/smollm2-135m.")
@click.option(
    "--from", "source", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Your own labelled file."
)
@click.option("--text", metavar="COLUMN", help="With --from: the column of the texts.")
@click.option(
    "--labels", metavar="COLUMN[,COLUMN…]", multiple=True, help="With --from: one column of names, or 0/1 columns."
)
@click.option("--id", "id_", metavar="COLUMN", help="With --from: the column of ids.")
@click.option(
    "--separator", metavar="TEXT", help="With --from: what stands between the labels of a cell; '' for nothing."
)
@click.option("--name", metavar="NAME", help="With --from: the dataset's name; default: the file's.")
@click.option(
    "--test-share",
    type=click.FloatRange(0, 1, max_open=True),
    help="With --from: the test split's share; default: 0.33.",
)
@click.option("--seed", type=int, help="With --from: of the splits; default: 0.")
@click.option(
    "--empty",
    type=click.Choice(["none", "unlabelled"]),
    help="With --from: what an empty label cell means; default: none, no label applies.",
)
def command(folder: Path, model: str | None, source: Path | None, **options: Any) -> int:
    """Make a new project in DIR (default: here), never overwriting a file.

    Without --from it holds a small example that runs at once. With --from it is made from your own labelled file
    (.csv, .tsv, .jsonl, .parquet or fine-tuning .jsonl): the label space, stratified dev and test splits, a few shots
    and a first prompt.

    \b
    Examples:
      harness init feedback
      harness init --from tickets.csv
      harness init --from tickets.csv --text body --labels tags --id ticket_no
    """
    from harness import scaffold

    chosen = model or scaffold.DEFAULT_MODEL
    if source is not None:
        return _from_file(source, folder, chosen, options)
    given = [name for name in FROM_OPTIONS if options[name] not in (None, ())]
    if given:
        raise click.UsageError(f"--{given[0].strip('_').replace('_', '-')} goes with --from FILE.")
    made = scaffold.write_new(folder, scaffold.example(chosen))
    _finish(folder, made, "prompts/v1.yaml")
    return EXIT_OK


def _from_file(source: Path, folder: Path, model: str, options: Mapping[str, Any]) -> int:
    from harness.starting import dataset_name, start_project

    name = dataset_name(source, options["name"])
    intake = _take_in(source, options)
    share, seed = options["test_share"], options["seed"]
    start = start_project(intake, folder, name, model, test_share=0.33 if share is None else share, seed=seed or 0)
    for note in intake.notes:
        say(note)
    _tell(start)
    limit = FIRST_LOOK if len(start.parts["dev"]) > MANY else None
    _finish(folder, start.made, start.prompt, limit)
    return EXIT_OK


def _take_in(source: Path, options: Mapping[str, Any]) -> Intake:
    """Read the file; where a column must be chosen, ask on a terminal."""
    from harness.columns import AmbiguousColumnsError, Wanted
    from harness.intake import take_in

    text, labels = options["text"], options["labels"]
    while True:
        try:
            return take_in(
                source,
                Wanted(text, tuple(labels), options["id_"]),
                separator=options["separator"],
                empty=options["empty"] or "none",
            )
        except AmbiguousColumnsError as error:
            if not error.choices or not sys.stdin.isatty():
                raise
            answer = click.prompt(error.question, type=click.Choice(error.choices), err=True)
            text, labels = (answer, labels) if error.option == "text" else (text, (answer,))


def _tell(start: Start) -> None:
    from rich.text import Text

    from harness.intake import stated
    from harness.report import numbers
    from harness.report.terminal import table
    from harness.report.text import one_line, visible

    intake = start.intake
    show(
        Text.assemble((f"{start.name}", "bold"), f": {numbers.plural(len(intake.samples), 'sample')} of {intake.path}")
    )
    show(Text(visible(", ".join(stated(intake))), style="dim"), "")
    parts = list(start.parts)
    rows = table("label", "samples", *(part for part in parts if part != "unlabelled"), left=("label",))
    for label, count in intake.support.items():
        counts = (numbers.count(start.support(label, part)) for part in parts if part != "unlabelled")
        rows.add_row(Text(one_line(label, 48)), numbers.count(count), *counts)
    rows.add_section()
    totals = (numbers.count(len(samples)) for part, samples in start.parts.items() if part != "unlabelled")
    rows.add_row(Text("all samples", style="dim"), numbers.count(len(intake.labelled)), *totals)
    show(rows, "")
    told = f"{intake.cardinality:.2f} labels a sample, {numbers.percent(intake.share_none)} without any"
    unlabelled = len(start.parts.get("unlabelled", ()))
    show(Text(told + (f", {numbers.plural(unlabelled, 'sample')} unlabelled and set aside" if unlabelled else "")), "")
    if start.kept:
        show(Text(f"kept as it was: {', '.join(map(str, start.kept))}", style="dim"))


def _finish(folder: Path, made: Sequence[Path], prompt: str, limit: int | None = None) -> None:
    """Tell what was made and what to type next, the first run on ``limit`` samples alone."""
    from rich.text import Text

    from harness.report.terminal import next_steps

    show(Text("made " + "\n     ".join(map(str, made))))
    go = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    show(next_steps([*go, f"harness run {shlex.quote(prompt)}" + (f" --limit {limit}" if limit else "")]))
