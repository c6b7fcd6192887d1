"""``harness run``: run prompts on labelled samples, score them, and show what changed."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli.common import (
    complete_run,
    json_option,
    model_options,
    note_written,
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
    from harness.holdoutlog import Looks
    from harness.noise import Noise
    from harness.passmeasuring import MeasuredPasses
    from harness.planning import Plan
    from harness.project import Project
    from harness.store import StoredRun
    from harness.versions import ComparedRuns

LATEST = "latest"
CHANGES_SHOWN = 5
ENOUGH_TO_CALIBRATE = 20
"""Samples from which on thresholds are worth looking for."""
FROZEN = ("model", "base_url", "variables", "split", "limit", "filter_", "samples", "repeat", "tag", "dry_run")
"""Options that say what a new run asks, or that none is made."""

RETRY_KINDS = ("call_error", "refusal", "truncated", "unparseable")


@click.command("run")
@click.argument("prompts", nargs=-1, metavar="[PROMPT…]", type=click.Path(path_type=Path))
@model_options
@click.option("--split", metavar="NAME", help="Which samples; default: the dataset's default split.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N samples, the same for every version.")
@click.option("--filter", "filter_", metavar="EXPR", help="A Jinja expression over a sample: \"'price' in gold\".")
@click.option("--samples", metavar="IDS|FILE", help="Only these ids: between commas, or a file with one a line.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="K", help="Ask K times; scores are means.")
@click.option("--baseline", metavar="RUN", shell_complete=complete_run, help="Compare with this run.")
@click.option("--final", is_flag=True, help="Look at a locked split; the look is logged in runs/holdout.jsonl.")
@click.option("--reason", metavar="TEXT", help="With --final: why, for that log.")
@click.option("--tag", metavar="WORD", help="A word to find the run by.")
@click.option("--dry-run", is_flag=True, help="Tell calls, tokens and price; make no call.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value=LATEST,
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
@click.pass_context
def command(
    ctx: click.Context,
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
    final: bool,
    reason: str | None,
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
    come from the cache. A locked split, such as test, needs --final.

    \b
    Examples:
      harness run prompts/v3.yaml
      harness run prompts/v3.yaml --limit 50 --filter "language == 'en'"
      harness run prompts/v*.yaml --dry-run
      harness run prompts/v3.yaml --split test --final --reason "before release"
      harness run --resume
      harness run prompts/v3.yaml --resume
      harness run --retry-failures v3
    """
    from harness import api, holdout
    from harness.promptnames import unused_variables
    from harness.report.files import check_output
    from harness.selection import Selection, read_ids

    if resume:
        prompts, resume = _resumed(prompts, resume)
    if bool(prompts) + bool(resume) + bool(retry_failures) != 1:
        raise click.UsageError("name a prompt file, or --resume or --retry-failures a run: one of them.")
    if kinds and not retry_failures:
        raise click.UsageError("--kind goes with --retry-failures.")
    if reason is not None and not final:
        raise click.UsageError("--reason: goes with --final.")
    if output is not None:
        check_output(output, (".json", ".csv", ".md"))
    how: dict[str, Any] = {"concurrency": concurrency, "cache": not no_cache, "final": final, "reason": reason}
    if continued := resume or retry_failures:
        _refuse_frozen(ctx, "--resume" if resume else "--retry-failures")
        retry = kinds or ("call_error",) if retry_failures else ()
        return _finish([_continue(continued, retry, baseline, **how)], baseline, output, as_json)
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
    plans = [api.plan_run(path, warn=say, **options) for path in prompts]
    for warning in unused_variables([plan.prompt for plan, _ in plans]):
        say(warning)
    if dry_run:
        return _dry_run(plans, not no_cache, as_json)
    for plan, project in plans:
        if plan.locked:
            holdout.allow(project, plan.dataset, plan.split, final)  # of several prompts, before the first one runs
        elif final:
            say(f"--final: split '{plan.split}' of {plan.dataset} is not locked, so this is no look and is not logged.")
    against = _resolved(baseline, plans)
    return _finish(_run_all(plans, quiet=as_json, **how), against, output, as_json)


def _resumed(prompts: tuple[Path, ...], name: str) -> tuple[tuple[Path, ...], str]:
    """Return what `--resume` means beside a prompt file, before or behind it: the newest run of that version."""
    if name == LATEST and len(prompts) == 1:
        return (), prompts[0].stem
    if not prompts and Path(name).suffix in (".yaml", ".yml"):
        return (), Path(name).stem
    return prompts, name


def _refuse_frozen(ctx: click.Context, goes_on: str) -> None:
    """Refuse options that say what a new run asks: a run that goes on keeps what it froze."""
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in FROZEN:
            raise click.UsageError(f"{parameter.opts[0]}: does not go with {goes_on}, which keeps what the run froze.")


def _continue(name: str, retry: tuple[str, ...], baseline: str | None, **how: Any) -> Run:
    """Go on with a run."""
    from harness import api
    from harness.project import find_project
    from harness.runnames import find_run

    if baseline is not None:
        find_run(find_project().runs, baseline)  # a name that means none is told before any call
    with progress_bar(name) as tell:
        return api.resume(name, retry=retry, progress=tell, warn=say, **how)


def _resolved(baseline: str | None, plans: list[tuple[Plan, Project]]) -> str | None:
    """Return the id of the baseline before the new runs are there; a name that means none is told before any call."""
    from harness.errors import RunNameError
    from harness.runnames import find_run

    if baseline is None:
        return None
    try:
        return find_run(plans[-1][1].runs, baseline).manifest.id
    except RunNameError:
        if baseline in [plan.prompt.version for plan, _ in plans[:-1]]:
            return baseline
        raise


def _run_all(plans: list[tuple[Plan, Project]], *, quiet: bool, **how: Any) -> list[Run]:
    """Run prompts one after the other."""
    from harness import api
    from harness.report.terminal import headline_line

    width = max(len(plan.prompt.version) for plan, _ in plans)
    runs = []
    for plan, project in plans:
        with progress_bar(plan.prompt.version, len(plan.samples) * plan.repeats) as tell:
            stored = api.start(plan, project, progress=tell, warn=say, **how)
        runs.append(api.Run(stored, project))
        if len(plans) > 1 and not quiet:
            show(headline_line(stored.manifest, runs[-1].result, width))
    if len(plans) > 1 and not quiet:
        show("")
    return runs


def _dry_run(plans: list[tuple[Plan, Project]], use_cache: bool, as_json: bool) -> int:
    from harness.outlook import foresee
    from harness.report.listing import outlook_table

    rows = []
    for plan, project in plans:
        outlook = foresee(plan, project, use_cache=use_cache)
        rows.append({"version": plan.prompt.version, "samples": len(plan.samples), **asdict(outlook)})
    if as_json:
        show_json(rows)
    else:
        show(outlook_table(rows))
    return EXIT_OK


def _finish(runs: list[Run], baseline: str | None, output: Path | None, as_json: bool) -> int:
    """Tell the last run's results, against its baseline; then write them, so that a full disk hides nothing."""
    from harness.holdout import looks_of
    from harness.passmeasuring import takes_long
    from harness.report import files
    from harness.report.holdout import looks_markdown
    from harness.report.passesmarkdown import passes_markdown
    from harness.report.reach import reach_markdown
    from harness.versions import compare_runs, find_baseline

    last = runs[-1]
    stored, project = last.stored, last.project
    before = find_baseline(stored, project, baseline)
    compared = compare_runs([before, stored], project) if before is not None else None
    diff = compared.comparison.diffs[0] if compared else None
    looks = looks_of(stored, project)
    passes = None if takes_long(stored) else last.measured
    value = {
        "run": stored.manifest.to_json(),
        "scores": last.result.to_json(),
        "comparison": compared.comparison.to_json() if compared else None,
        "judgement": compared.judgement.to_json() if compared else None,
        **({"unseen": unseen.to_json()} if compared and (unseen := compared.unseen[0]) else {}),
        "holdout": looks.to_json() if looks else None,
        "passes": passes.to_json() if passes else None,
        "reach": last.reach.to_json() if last.reach else None,
    }
    if as_json:
        show_json(value)
    else:
        _tell(runs, compared, looks, passes)
    if output is not None:
        rows = files.prediction_rows(stored)
        files.write_result(
            output,
            value,
            rows,
            lambda: (
                files.run_markdown(stored, last.result, diff)
                + reach_markdown(last.reach)
                + passes_markdown(passes)
                + looks_markdown(looks)
            ),
        )
        note_written(output, as_json)
    return EXIT_OK if stored.manifest.state == "complete" else EXIT_INCOMPLETE


def _tell(runs: list[Run], compared: ComparedRuns | None, looks: Looks | None, passes: MeasuredPasses | None) -> None:
    """Show the last run's scores, what changed from its baseline, and what to type next."""
    from harness.execution import run_spent
    from harness.outside import stronger_baseline
    from harness.passmeasuring import takes_long
    from harness.report import changes, listing, terminal
    from harness.report.judged import verdict_lines
    from harness.report.passes import hint, passes_report
    from harness.report.reach import reach_parts

    last = runs[-1]
    stored, space = last.stored, last.stored.manifest.space
    spent = run_spent(stored, last.project.settings.prices)
    if compared is None:
        show(terminal.run_report(stored.manifest, last.result, spent, None, None, _noise(last), looks))
    else:
        diff, n_common = compared.comparison.diffs[0], compared.comparison.n_common
        show(terminal.run_report(stored.manifest, last.result, spent, diff, n_common, _noise(last), looks))
        notes = [changes.note(each) for each in compared.notes]
        verdict = verdict_lines(compared, 0)
        changed = changes.diff_report(
            diff, space, compared.samples, CHANGES_SHOWN, "harness compare lists them", verdict
        )
        show("", *notes, *changed)
    if searched := listing.searched_line(stored.manifest):
        show("", searched)
    show(*reach_parts(last.reach))
    if passes is not None:
        show("", passes_report(passes, locked=looks is not None))
    elif takes_long(stored):
        show("", hint(_typed(stored, last.project)))
    if stronger := stronger_baseline(stored, last.result, last.project):
        show("", listing.baseline_line(stronger, _typed(stored, last.project)))
    if commands := _next(runs, compared, looks is not None):
        show(terminal.next_steps(commands))


def _noise(run: Run) -> Noise | None:
    """Return how much the repeats of a run differ; None where there is only one."""
    from harness.noise import noise_of

    stored = run.stored
    if run.result.n_repeats < 2:
        return None
    return noise_of(stored.manifest.space, stored.samples, stored.gold, stored.predictions, run.result)


def _next(runs: list[Run], compared: ComparedRuns | None, locked: bool) -> list[str]:
    """Return the commands that a person will want to type after a run; none that tunes on a locked split."""
    last = runs[-1]
    manifest = last.stored.manifest
    name = _typed(last.stored, last.project)
    commands = []
    if manifest.state != "complete":
        commands.append(f"harness run --retry-failures {name}")
    if compared is not None:
        before = _typed(compared.runs[0], last.project)
        several = [_typed(each.stored, last.project) for each in runs] if len(runs) > 2 else [before, name]
        common = (
            "" if compared.same_samples and len({run.stored.manifest.n_samples for run in runs}) == 1 else " --common"
        )
        commands.append(f"harness compare {' '.join(several)}{common}")
    if locked:
        return commands
    if compared is not None and compared.comparison.diffs[0].regressed:
        commands.append(f"harness failures {name} --regressed-from {before}")
    weakest = min(
        (row for row in last.result.labels if row.support), key=lambda row: (row.f1, -row.support), default=None
    )
    if weakest is not None and weakest.f1 < 1:
        commands.append(f"harness failures {name} --label {shlex.quote(weakest.label)}")
    if sum(last.result.failures.values()):
        kind = max(last.result.failures, key=lambda each: last.result.failures[each])
        commands.append(f"harness failures {name} --kind {kind}")
    if last.result.probabilities is not None and manifest.n_samples >= ENOUGH_TO_CALIBRATE:
        commands.append(f"harness calibrate {name}")
    return commands


def _typed(run: StoredRun, project: Project) -> str:
    """Return what to type to mean a run: its version where that means this very run, else its id."""
    from harness.errors import RunNameError
    from harness.runnames import find_run

    version = run.manifest.version
    try:
        means_it = find_run(project.runs, version).manifest.id == run.manifest.id
    except RunNameError:
        means_it = False
    return shlex.quote(version if means_it else run.manifest.id)
