"""``harness compare``: prompt versions side by side, what changed, and whether it is real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from harness.devtest import HeldOut
    from harness.ledger import View
    from harness.versions import ComparedRuns

ONLY = ("regressed", "fixed", "churned", "unstable")
SORTS = ("order", "flips", "length")


@click.command("compare", short_help="Compare runs side by side; the first is the baseline.")
@run_argument("runs", nargs=-1, metavar="RUN RUN…")
@click.option("--label", metavar="LABEL", help="Only this label, and the samples in which its cell changed.")
@click.option("--only", type=click.Choice(ONLY), help="Only samples that changed so.")
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    default="order",
    show_default=True,
    help="Samples: most changed labels first, or shortest text first.",
)
@limit_option(8, "samples of a kind")
@click.option("--full", is_flag=True, help="All labels, the whole prompt diff, samples with raw outputs.")
@click.option("--common", is_flag=True, help="Where the samples differ: compare on those that all have.")
@click.option(
    "--margin",
    type=click.FloatRange(0.001, 0.999),
    default=0.02,
    metavar="D",
    show_default=True,
    help="How much lower is still no worse.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    show_default=True,
    help="Of the resamples that intervals and tests are made of.",
)
@output_option("all of it as .json or .md, labels with all statistics as .csv or .jsonl")
@json_option
def command(
    runs: tuple[str, ...],
    label: str | None,
    only: str | None,
    sort: str,
    limit: int,
    full: bool,
    common: bool,
    margin: float,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> int:
    """Compare runs: what changed, what broke, and whether it is more than chance. The first is the baseline.

    Says for each later run whether it is better, worse, no worse, or whether these samples cannot tell; shows scores
    with intervals, F1 by label with a verdict each, which confusions became more or less, the diff of the prompts, and
    which samples regressed, were fixed or churned (wrong both times, differently). All runs are scored against the
    same gold. Files hold all samples, whatever --limit says. Prompts that were run on a locked split too are shown on
    dev against test.

    \b
    Examples:
      harness compare v2 v3
      harness compare v1 v2 v3
      harness compare v2 v3 --label shipping --only regressed
      harness compare v2 v3 --full
      harness compare v1 v2 v3 -o comparison.md
    """
    from harness import api
    from harness.devtest import held_out_runs
    from harness.ledger import View
    from harness.project import find_project
    from harness.report import files

    if len(runs) < 2:
        raise click.UsageError("name at least two runs: the baseline first. Type 'harness runs' to see them.")
    if output is not None:
        files.check_output(output)
    compared = api.compare(*runs, common=common, margin=margin, seed=seed, warn=say).compared
    view = View(None if label is None else _label(label, compared), only, sort)
    tested = held_out_runs(compared, find_project())
    if as_json or output is not None:
        _write(compared, tested, view, output, as_json)
    else:
        from harness.report.changes import comparison_report

        show(comparison_report(compared, limit, view, full))
        if tested.runs:
            from harness.report.devtest import against_report

            show("", against_report(tested))
    return EXIT_OK


def _label(label: str, compared: ComparedRuns) -> str:
    space = compared.comparison.space
    found = space.find(label)
    if found is None:
        dataset = compared.runs[0].manifest.dataset
        raise UsageError(
            f"--label '{label}': must be a label of {dataset}: {listing(space.names)}.{did_you_mean(label, space.names)}"
        )
    return found


def _write(compared: ComparedRuns, tested: HeldOut, view: View, output: Path | None, as_json: bool) -> None:
    """Write a comparison as JSON to standard output, to a file, or both."""
    from harness.ledger import viewed
    from harness.plainvalues import to_plain
    from harness.report import files
    from harness.report.changesmarkdown import comparison_markdown
    from harness.report.devtest import against_markdown
    from harness.results import label_rows

    if as_json:
        show_json(comparison_json(compared, view, tested))
    if output is not None:
        shown = viewed(compared.comparison, view, compared.samples)
        rows = to_plain(label_rows(compared, shown))
        value = comparison_json(compared, view, tested) if output.suffix.lower() == ".json" else None
        files.write_result(output, value, rows, lambda: comparison_markdown(compared, view) + against_markdown(tested))
        note_written(output, as_json)


def comparison_json(compared: ComparedRuns, view: View, tested: HeldOut | None = None) -> dict[str, Any]:
    """Return a comparison for other programs: runs, verdicts, what changed, the judgement, and the prompt diffs.

    Where prompts were run on a locked split too, dev against test stands in it.
    """
    from harness.ledger import viewed
    from harness.plainvalues import to_plain
    from harness.report.judged import verdict_text, word

    plain = viewed(compared.comparison, view, compared.samples).to_json()
    about = [
        {
            "id": run.manifest.id,
            "version": run.manifest.version,
            "models": list(run.manifest.models),
            "seconds": run.manifest.seconds,
            "cost_usd": run.manifest.cost_usd,
            "median_latency_s": latency,
        }
        for run, latency in zip(compared.runs, compared.latencies, strict=True)
    ]
    plain["runs"] = [row | to_plain(more) for row, more in zip(plain["runs"], about, strict=True)]
    verdicts = [
        {
            "before": diff.before,
            "after": diff.after,
            "verdict": None if each.judged is None else word(each.judged.averages["macro_f1"]),
            "text": verdict_text(compared, at),
        }
        for at, (diff, each) in enumerate(zip(compared.comparison.diffs, compared.grounds, strict=True))
    ]
    unseen = [None if each is None else each.to_json() for each in compared.unseen]
    prompts = [None if diff is None else diff.to_json() for diff in compared.prompt_diffs]
    return {
        "verdicts": verdicts,
        "notes": list(compared.notes),
        **plain,
        "judgement": compared.judgement.to_json(),
        **({"unseen": unseen} if any(unseen) else {}),
        "prompt_diffs": prompts,
        **({"dev_against_test": tested.to_json()} if tested is not None and tested.runs else {}),
    }
