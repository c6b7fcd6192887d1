"""``harness exceptions``: find what a second pass should look at, and draft it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import (
    complete_run,
    json_option,
    limit_option,
    note_written,
    output_option,
    run_argument,
    say,
    show,
    show_json,
)
from harness.errors import EXIT_OK

if TYPE_CHECKING:
    from harness.exceptionsearch import Exceptions

FORMATS = (".md", ".json")


@click.command("exceptions", short_help="Find what a second pass should look at, and draft it.")
@run_argument()
@click.option("--budget", default="20%", metavar="SHARE", show_default=True, help="Samples that may be asked twice.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="Only errors of this label; can be repeated.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Decides which half is searched. [default: 0]")
@click.option(
    "--versions",
    metavar="RUN,RUN",
    shell_complete=complete_run,
    help="Other runs to look for disagreement in. [default: those of the other versions]",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draft the next version with an exception pass, beside the run's.",
)
@click.option("--name", metavar="PASS", help="What the drafted pass is called. [default: exception]")
@click.option(
    "--style",
    type=click.Choice(["list", "yes_no"]),
    help="How it asks: all labels in question at once, or each in a call. [default: by its model]",
)
@click.option(
    "--set-aside",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Take N samples of the searched half as its worked examples; they are evaluated no more.",
)
@click.option("--anyway", is_flag=True, help="Draft it though no trigger is worth it.")
@limit_option(8, "triggers")
@output_option("a digest with samples to read as .md, or .json")
@json_option
def command(
    run: str,
    budget: str,
    labels: tuple[str, ...],
    seed: int | None,
    versions: str | None,
    write: Path | None,
    name: str | None,
    style: str | None,
    set_aside: int,
    anyway: bool,
    limit: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Find where a run's errors are, and which 'when' of a second pass would catch them, without a call.

    Triggers are searched on one half of the samples, by the hash of their ids; the other half says what they are worth.
    The gain that is told is an upper bound: that of a second pass which makes everything right that it is sent.

    --write drafts the next version: the parent's passes as they are, so that their answers come from the cache, and a
    pass about the labels in question. It marks where a person should write.

    \b
    Examples:
      harness exceptions v3
      harness exceptions v3 --budget 10% --label shipping --label packaging
      harness exceptions v3 -o exceptions.md
      harness exceptions v3 --write prompts/v4.yaml
    """
    from harness import api
    from harness.report import files
    from harness.report.exceptions import draft_report, exceptions_report, search_steps
    from harness.report.exceptionsmarkdown import digest, to_json

    if write is None:
        _refuse_draft_options({"--name": name, "--style": style, "--set-aside": set_aside, "--anyway": anyway})
    if output is not None:
        files.check_output(output, FORMATS)

    def tell(found: Exceptions) -> None:
        if not as_json:
            show(*exceptions_report(found, limit))
        if output is not None:
            files.write_result(output, to_json(found), [], lambda: digest(found))
            note_written(output, as_json)

    found = api.exceptions(
        run,
        budget=budget,
        labels=labels,
        seed=seed,
        versions=None if versions is None else [each.strip() for each in versions.split(",")],
        write=write,
        pass_name=name,
        style=style,
        set_aside=set_aside,
        anyway=anyway,
        tell=tell,
        warn=say,
    )
    if as_json:
        show_json(to_json(found))
    if found.drafted is not None:
        note_written(found.drafted.written, as_json)
    if not as_json:
        drafted = found.drafted
        show(*(search_steps(found, run) if drafted is None else draft_report(drafted, run)))
    return EXIT_OK


def _refuse_draft_options(said: Mapping[str, object]) -> None:
    """Refuse options that say how a version is drafted where none is."""
    if strange := [option for option, value in said.items() if value]:
        raise click.UsageError(f"{strange[0]}: must go with --write FILE, because it says how a version is drafted.")
