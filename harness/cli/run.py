"""``harness run``: run prompts on labelled samples, score them, and show what changed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import (
    complete_run,
    json_option,
    model_options,
    output_option,
    progress_bar,
    say,
    show,
    show_json,
    variables_of,
)
from harness.errors import EXIT_INCOMPLETE, EXIT_OK

if TYPE_CHECKING:
    from harness.api import Run
    from harness.comparison import Diff
    from harness.versions import ComparedRuns

CHANGES_SHOWN = 5
RETRY_KINDS = ("call_error", "refusal", "truncated", "unparseable")


@click.command("run")
@click.argument("prompts", nargs=-1, metavar="PROMPT…", type=click.Path(path_type=Path))
@model_options
@click.option("--split", metavar="NAME", help="Which samples; default: the dataset's default split.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N samples, the same for every version.")
@click.option("--filter", "filter_", metavar="EXPR", help="A Jinja expression over a sample: \"'price' in gold\".")
@click.option("--samples", metavar="IDS|FILE", help="Only these ids: between commas, or a file with one a line.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="K", help="Ask K times; scores are means.")
@click.option("--baseline", metavar="RUN", shell_complete=complete_run, help="Compare with this run.")
@click.option("--tag", metavar="WORD", help="A word to find the run by.")
@click.option("--dry-run", is_flag=True, help="Tell calls, tokens and price; make no call.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="latest",
    metavar="[RUN]",
    shell_complete=complete_run,
    help="Go on with a run.",
)
@click.option("--retry-failures", metavar="RUN", shell_complete=complete_run, help="Make a run's failed calls again.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(RETRY_KINDS), help="With --retry-failures: redraw these too."
)
@output_option("scores as .json or .md, predictions as .csv")
@json_option
def command(
    prompts: tuple[Path, ...],
    model: str | None,
    base_url: str | None,
    concurrency: int | None,
    no_cache: bool,
    variables: tuple[str, ...],
    split: str | None,
    limit: int | None,
    filter_: str | None,
    samples: str | None,
    repeat: int,
    baseline: str | None,
    tag: str | None,
    dry_run: bool,
    resume: str | None,
    retry_failures: str | None,
    kinds: tuple[str, ...],
    output: Path | None,
    as_json: bool,
) -> int:
    """Run prompts on labelled samples and score them.

    Shows the scores of every label, what changed since the baseline (the version's previous run, else its parent),
    what regressed and what was fixed. Several prompts are run one after the other and compared. Identical calls
    come from the cache.

    \b
    Examples:
      harness run prompts/v3.yaml
      harness run prompts/v3.yaml --limit 50 --filter "language == 'en'"
      harness run prompts/v*.yaml --dry-run
      harness run --resume
      harness run --retry-failures v3
    """
    from harness import api
    from harness.report.files import check_output
    from harness.selection import Selection, read_ids

    continued = resume or retry_failures
    if bool(prompts) == bool(continued):
        raise click.UsageError("name a prompt file, or --resume or --retry-failures a run: one of them.")
    if kinds and not retry_failures:
        raise click.UsageError("--kind goes with --retry-failures.")
    if output is not None:
        check_output(output, (".json", ".csv", ".md"))
    if continued:
        retry = kinds or ("call_error",) if retry_failures else ()
        with progress_bar(continued) as tell:
            run = api.resume(
                continued, concurrency=concurrency, cache=not no_cache, retry=retry, progress=tell, warn=say
            )
        return _finish([run], baseline, output, as_json)
    selection = Selection(filter_, None if samples is None else read_ids(samples), limit)
    options: dict[str, Any] = {
        "model": model,
        "base_url": base_url,
        "split": split,
        "selection": selection,
        "repeat": repeat,
        "tag": tag,
        "variables": variables_of(variables),
    }
    if dry_run:
        return _dry_run(prompts, options, not no_cache, as_json)
    return _finish(_run_all(prompts, options, concurrency, not no_cache, quiet=as_json), baseline, output, as_json)


def _run_all(
    prompts: tuple[Path, ...], options: dict[str, Any], concurrency: int | None, use_cache: bool, *, quiet: bool
) -> list[Run]:
    """Run prompts one after the other; all of them are checked before the first call is made."""
    from harness import api, execution
    from harness.report.terminal import headline_line

    plans = [api.plan_run(path, warn=say, **options) for path in prompts]
    runs = []
    for plan, project in plans:
        with progress_bar(plan.prompt.version) as tell:
            stored = execution.start(
                plan, project, concurrency=concurrency, use_cache=use_cache, progress=tell, warn=say
            )
        runs.append(api.Run(stored, project))
        if len(plans) > 1 and not quiet:
            show(headline_line(stored.manifest, runs[-1].result))
    return runs


def _dry_run(prompts: tuple[Path, ...], options: dict[str, Any], use_cache: bool, as_json: bool) -> int:
    from harness import api, execution
    from harness.report.listing import outlook_table

    rows = []
    for path in prompts:
        plan, project = api.plan_run(path, warn=say, **options)
        outlook = execution.foresee(plan, project, use_cache=use_cache)
        rows.append({"version": plan.prompt.version, "samples": len(plan.samples), **asdict(outlook)})
    if as_json:
        show_json(rows)
    else:
        show(outlook_table(rows))
    return EXIT_OK


def _finish(runs: list[Run], baseline: str | None, output: Path | None, as_json: bool) -> int:
    """Tell the last run's results, against its baseline."""
    from harness.report import changes, files, terminal
    from harness.versions import compare_runs, find_baseline

    last = runs[-1]
    stored, project = last.stored, last.project
    before = find_baseline(stored, project, baseline)
    compared = compare_runs([before, stored], project) if before is not None else None
    diff = compared.comparison.diffs[0] if compared else None
    value = {
        "run": stored.manifest.to_json(),
        "scores": last.result.to_json(),
        "comparison": compared.comparison.to_json() if compared else None,
    }
    if output is not None:
        files.write_result(
            output, value, files.prediction_rows(stored), lambda: files.run_markdown(stored, last.result, diff)
        )
    if as_json:
        show_json(value)
    else:
        n_common = compared.comparison.n_common if compared else None
        from harness.execution import run_spent

        spent = run_spent(stored, project.settings.prices)
        show("", terminal.run_report(stored.manifest, last.result, spent, diff, n_common))
        if compared is not None and diff is not None:
            samples = {sample.id: sample for sample in stored.samples}
            notes = [changes.note(each) for each in compared.notes]
            space = stored.manifest.space
            show("", *notes, *changes.diff_report(diff, space, samples, CHANGES_SHOWN))
        show(terminal.next_steps(_next(runs, compared)))
    return EXIT_OK if stored.manifest.state == "complete" else EXIT_INCOMPLETE


def _next(runs: list[Run], compared: ComparedRuns | None) -> list[str]:
    """Return the commands that a person will want to type after a run."""
    last = runs[-1]
    manifest = last.stored.manifest
    name = manifest.version if manifest.default_split and manifest.state == "complete" else manifest.id
    commands = []
    if manifest.state != "complete":
        commands.append(f"harness run --retry-failures {manifest.id}")
    if compared is not None:
        diff: Diff = compared.comparison.diffs[0]
        before = compared.names[0]
        names = [each.version for each in runs] if len(runs) > 2 else [before, name]
        commands.append(f"harness compare {' '.join(names)}")
        if diff.regressed:
            commands.append(f"harness failures {name} --regressed-from {before}")
    weakest = min(
        (row for row in last.result.labels if row.support), key=lambda row: (row.f1, -row.support), default=None
    )
    if weakest is not None and weakest.f1 < 1:
        label = weakest.label if weakest.label.isidentifier() else f'"{weakest.label}"'
        commands.append(f"harness failures {name} --label {label}")
    if manifest.prompt.path is not None and last.result.failures and sum(last.result.failures.values()):
        kind = max(last.result.failures, key=lambda each: last.result.failures[each])
        commands.append(f"harness failures {name} --kind {kind}")
    return commands
