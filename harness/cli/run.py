"""``harness run``: run prompts on labelled samples, score them, and show what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli.common import (
    complete_run,
    json_option,
    model_options,
    output_option,
    say,
    sending,
    sending_options,
    show,
    show_json,
    variables_of,
)
from harness.cli.running import finish, loading_the_end, run_all, telling
from harness.errors import EXIT_OK

if TYPE_CHECKING:
    from harness.api import Run
    from harness.planning import Plan
    from harness.project import Project

LATEST = "latest"
FROZEN = (
    "engine",
    "model",
    "base_url",
    "variables",
    "split",
    "limit",
    "filter_",
    "samples",
    "repeat",
    "tag",
    "dry_run",
)
"""Options that say what a new run asks, or that none is made."""

RETRY_KINDS = ("call_error", "refusal", "truncated", "unparseable")


@click.command("run")
@click.argument("prompts", nargs=-1, metavar="[PROMPT…]", type=click.Path(path_type=Path))
@model_options
@sending_options("--resume")
@click.option("--split", metavar="NAME", help="Which samples; default: the dataset's default split.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N samples, the same for every version.")
@click.option("--filter", "filter_", metavar="EXPR", help="A Jinja expression over a sample: \"'price' in gold\".")
@click.option("--samples", metavar="IDS|FILE", help="Only these ids: between commas, or a file with one a line.")
@click.option("--repeat", type=click.IntRange(min=1), default=1, metavar="K", help="Ask K times; scores are means.")
@click.option("--baseline", metavar="RUN", shell_complete=complete_run, help="Compare with this run.")
@click.option("--final", is_flag=True, help="Look at a locked split; the look is logged in runs/holdout.jsonl.")
@click.option("--reason", metavar="TEXT", help="With --final: why, for that log.")
@click.option("--tag", metavar="WORD", help="A word by which the run can be named later.")
@click.option(
    "--engine",
    type=click.Choice(["direct", "batch"]),
    default="direct",
    help="batch: the provider's batch API, at half the price.",
)
@click.option("--no-wait", is_flag=True, help="With batches: submit them, and do not wait.")
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
    /,
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
    engine: str,
    no_wait: bool,
    dry_run: bool,
    resume: str | None,
    retry_failures: str | None,
    kinds: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    **bounds: Any,
) -> int:
    """Run prompts on labelled samples and score them.

    Shows the scores of every label, what changed since the baseline (the version's previous run, else its parent),
    what regressed and what was fixed. Several prompts are run one after the other; the last one is shown in full, and
    --json and -o hold the scores of the others too (.csv: the predictions of the last one alone). Identical calls come
    from the cache. A locked split, such as test, needs --final.

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
    from harness.selection import Selection, read_ids

    if resume:
        prompts, resume = _resumed(prompts, resume)
    if prompts and (resume or retry_failures):
        option, named = ("--resume", resume) if resume else ("--retry-failures", retry_failures)
        files = " ".join(map(str, prompts))
        either = f", or {named}" if resume else ""
        raise click.UsageError(
            f"{option} {named}: must stand without a prompt, got {files}. Leave out {files}{either}."
        )
    if bool(prompts) + bool(resume) + bool(retry_failures) != 1:
        raise click.UsageError("name a prompt file, or --resume or --retry-failures a run: one of them.")
    if kinds and not retry_failures:
        raise click.UsageError("--kind goes with --retry-failures.")
    if reason is not None and not final:
        raise click.UsageError("--reason: goes with --final.")
    if output is not None:
        from harness.report.files import check_output

        check_output(output, (".json", ".csv", ".md"))
    how: dict[str, Any] = {"concurrency": concurrency, "cache": not no_cache, "final": final, "reason": reason}
    if continued := resume or retry_failures:
        _refuse_frozen(ctx, "--resume" if resume else "--retry-failures")
        retry = kinds or ("call_error",) if retry_failures else ()
        with sending(**bounds) as sent:
            made = _unless_open(no_wait, lambda: [_continue(continued, retry, baseline, no_wait, **how, **sent)])
        return finish(made, baseline, output, as_json) if made else EXIT_OK
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
        elif final and holdout.looked_at_before(plan, project) is None:
            say(f"--final: split '{plan.split}' of {plan.dataset} is not locked, so this is no look and is not logged.")
    against = _resolved(baseline, plans)
    if engine == "batch":
        from harness.batching import refuse_unbatched
        from harness.batchsending import Ways

        for plan, _ in plans:
            refuse_unbatched(plan.prompt)
        how["batches"] = Ways(wait=not no_wait)
    elif no_wait:
        raise click.UsageError("--no-wait: goes with --engine batch.")
    with sending(**bounds) as sent:
        runs = _unless_open(no_wait, lambda: run_all(plans, quiet=as_json, **how, **sent))
    return finish(runs, against, output, as_json) if runs else EXIT_OK


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


def _unless_open(no_wait: bool, make: Callable[[], list[Run]]) -> list[Run]:
    """Return the runs that are made; where nobody waits, and batches are open as was asked, tell so and return none."""
    from harness.batchlog import StillOpenError

    try:
        return make()
    except StillOpenError as told:
        if not no_wait:
            raise
        click.echo(str(told))
        return []


def _continue(name: str, retry: tuple[str, ...], baseline: str | None, no_wait: bool, **how: Any) -> Run:
    """Go on with a run."""
    from harness import api
    from harness.batchrunning import goes_on_by_batches
    from harness.batchsending import Ways
    from harness.project import find_project
    from harness.report.text import visible
    from harness.runnames import find_run

    runs = find_project().runs
    if baseline is not None:
        find_run(runs, baseline)  # a name that means none is told before any call
    run = find_run(runs, name, any_state=True)
    if set(retry) <= {"call_error"} and goes_on_by_batches(run):
        how["batches"] = Ways(wait=not no_wait)
    with loading_the_end(run.manifest.prompt), telling(name, None, how) as told:
        made = api.resume(name, retry=retry, warn=say, **told)
    if run.manifest.state == "complete" and set(retry) <= {"call_error"}:
        click.echo(f"nothing was missing: run {visible(made.id)} was complete.", err=True)
    return made


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
