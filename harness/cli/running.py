"""Runs made one after the other, and what is told of the last: for every command that makes them."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import note_written, progress_bar, say, show, show_json
from harness.errors import EXIT_INCOMPLETE, EXIT_OK
from harness.records import FailureKind

if TYPE_CHECKING:
    from harness.api import Run
    from harness.holdoutlog import Looks
    from harness.noise import Noise
    from harness.passmeasuring import MeasuredPasses
    from harness.planning import Plan
    from harness.project import Project
    from harness.prompt import Prompt
    from harness.store import StoredRun
    from harness.versions import ComparedRuns

CHANGES_SHOWN = 5
LOAD_AFTER_S = 0.5
"""Seconds after the start of a run from which on what is needed at its end is loaded."""

ENOUGH_TO_CALIBRATE = 20
"""Samples from which on thresholds are worth looking for."""


def run_all(plans: list[tuple[Plan, Project]], *, quiet: bool, **how: Any) -> list[Run]:
    """Run prompts one after the other. The plans are used up: their samples need not stay in memory."""
    from harness import api

    width, several = max(len(plan.prompt.version) for plan, _ in plans), len(plans) > 1
    runs = []
    while plans:
        plan, project = plans.pop(0)
        title, total = plan.prompt.version, len(plan.samples) * plan.repeats
        with loading_the_end(plan.prompt), telling(title, total, how) as told:
            stored = api.start(plan, project, warn=say, **told)
        del plan
        runs.append(api.Run(stored, project))
        if several and not quiet:
            from harness.report.terminal import headline_line

            show(headline_line(stored.manifest, runs[-1].result, width))
    if several and not quiet:
        show("")
    return runs


@contextmanager
def loading_the_end(prompt: Prompt) -> Iterator[None]:
    """Load what is needed when a run has ended, which takes a while, in the time in which servers are waited for."""
    loads = threading.Timer(LOAD_AFTER_S, _load, [prompt])
    loads.daemon = True
    loads.start()
    try:
        yield
    finally:
        loads.cancel()


def _load(prompt: Prompt) -> None:
    """Load the report with its numpy, and the list of prices.

    The calls come first: this thread lets go of the interpreter every half millisecond.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        import harness.report.probabilities
        import harness.report.terminal  # noqa: F401
        from harness.pricing import price

        for model in prompt.models:
            price(model.name, {"prompt_tokens": 1, "completion_tokens": 1}, {})
    finally:
        sys.setswitchinterval(before)


@contextmanager
def telling(title: str, total: int | None, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return how a run is made, with what tells how far it is: a bar, or for batches a line."""
    from dataclasses import replace

    from harness.cli.batch import waiting_line

    if how.get("batches") is not None:
        with waiting_line() as tell_batches:
            yield {**how, "batches": replace(how["batches"], tell=tell_batches)}
    else:
        with progress_bar(title, total) as tell:
            yield {**how, "progress": tell}


def finish(
    runs: list[Run],
    baseline: str | None,
    output: Path | None,
    as_json: bool,
    within: Callable[[dict[str, Any]], dict[str, Any]] = lambda value: value,
) -> int:
    """Tell the last run's results, against its baseline; then write them, so that a full disk hides nothing.

    Args:
        runs: Finished ones.
        baseline: What the last one is measured against; None for what `find_baseline` finds.
        output: A file to write them to, with the scores of the other runs where it has room for more than one.
        as_json: Print them as JSON, with the same.
        within: What of a larger result they are printed in, as JSON.
    """
    from harness.holdout import looks_of
    from harness.lineage import find_baseline

    last = runs[-1]
    stored, project = last.stored, last.project
    before = find_baseline(stored, project, baseline)
    compared = None
    if before is not None:
        from harness.versions import compare_runs

        compared = compare_runs([before, stored], project)
    looks = looks_of(stored, project)
    passes = _measured(last)
    if as_json or output is not None:
        value = {
            "run": stored.manifest.to_json(),
            "scores": last.result.to_json(),
            "comparison": compared.comparison.to_json() if compared else None,
            "judgement": compared.judgement.to_json() if compared else None,
            **({"unseen": unseen.to_json()} if compared and (unseen := compared.unseen[0]) else {}),
            "holdout": looks.to_json() if looks else None,
            "passes": passes.to_json() if passes else None,
            "reach": last.reach.to_json() if last.reach else None,
            **({"others": [_told_of(each) for each in runs[:-1]]} if len(runs) > 1 else {}),
            **({"call_errors": [each.to_json() for each in last.call_errors]} if last.call_errors else {}),
        }
    if as_json:
        show_json(within(value))
    else:
        _tell(runs, compared, looks, passes)
    if output is not None:
        _write(output, value, runs, compared, looks, passes)
        note_written(output, as_json)
        if output.suffix.lower() == ".csv" and len(runs) > 1:
            _name_others(runs)
    return EXIT_OK if stored.manifest.state == "complete" else EXIT_INCOMPLETE


def _name_others(runs: list[Run]) -> None:
    """Say of which run a file of predictions is, and what writes those of the others: no call is made for it."""
    from harness.report.text import visible

    click.echo(f"it holds the predictions of the last run, {visible(runs[-1].id)}. Of the others:", err=True)
    for each in runs[:-1]:
        words = ["harness", "run", "--resume", each.id, "-o", f"{each.version}.csv"]
        click.echo(f"  {visible(shlex.join(words))}", err=True)


def _told_of(run: Run) -> dict[str, Any]:
    """Return what JSON has of a run that is not the last one."""
    return {"run": run.stored.manifest.to_json(), "scores": run.result.to_json()}


def _measured(run: Run) -> MeasuredPasses | None:
    """Return what the later passes are worth; None where there are none, or where that takes long."""
    if len(run.stored.manifest.prompt.passes) < 2:
        return None
    from harness.passmeasuring import takes_long

    return None if takes_long(run.stored) else run.measured


def _write(
    output: Path,
    value: dict[str, Any],
    runs: list[Run],
    compared: ComparedRuns | None,
    looks: Looks | None,
    passes: MeasuredPasses | None,
) -> None:
    from harness.report import files
    from harness.report.looks import looks_markdown
    from harness.report.passesmarkdown import passes_markdown
    from harness.report.reach import reach_markdown

    diff = compared.comparison.diffs[0] if compared else None
    run = runs[-1]
    files.write_result(
        output,
        value,
        files.prediction_rows(run.stored),
        lambda: (
            "".join(f"{files.run_markdown(each.stored, each.result, None)}\n" for each in runs[:-1])
            + files.run_markdown(run.stored, run.result, diff)
            + reach_markdown(run.reach)
            + passes_markdown(passes)
            + looks_markdown(looks)
        ),
    )


def _tell(runs: list[Run], compared: ComparedRuns | None, looks: Looks | None, passes: MeasuredPasses | None) -> None:
    """Show the last run's scores, what changed from its baseline, and what to type next.

    What a run of one pass without a baseline does not have is not imported: it is most of what takes time here.
    """
    from harness.execution import run_spent
    from harness.outside import stronger_baseline
    from harness.report import terminal

    last = runs[-1]
    stored = last.stored
    manifest = stored.manifest
    spent = run_spent(stored, last.project.settings.prices)
    if compared is None:
        show(terminal.run_report(manifest, last.result, spent, None, None, _noise(last), looks, last.call_errors))
    else:
        diff, n_common = compared.comparison.diffs[0], compared.comparison.n_common
        why = last.call_errors
        show(terminal.run_report(manifest, last.result, spent, diff, n_common, _noise(last), looks, why))
        _tell_changes(stored, compared)
    if manifest.prompt.searched is not None:
        from harness.report import listing

        if searched := listing.searched_line(manifest):
            show("", searched)
    if len(manifest.prompt.passes) > 1 or any(each.candidates for each in manifest.prompt.passes):
        _tell_passes(last, passes, locked=looks is not None)
    if stronger := stronger_baseline(stored, last.result, last.project):
        from harness.report import listing

        show("", listing.baseline_line(stronger, _typed(stored, last.project)))
    if commands := _next(runs, compared, looks is not None):
        show(terminal.next_steps(commands))


def _tell_changes(run: StoredRun, compared: ComparedRuns) -> None:
    from harness.report import changes
    from harness.report.judged import verdict_lines

    notes = [changes.note(each) for each in compared.notes]
    changed = changes.diff_report(
        compared.comparison.diffs[0],
        run.manifest.space,
        compared.samples,
        CHANGES_SHOWN,
        "harness compare lists them",
        verdict_lines(compared, 0),
    )
    show("", *notes, *changed)


def _tell_passes(run: Run, passes: MeasuredPasses | None, *, locked: bool) -> None:
    from harness.passmeasuring import takes_long
    from harness.report.passes import hint, passes_report
    from harness.report.reach import reach_parts

    show(*reach_parts(run.reach))
    if passes is not None:
        show("", passes_report(passes, locked=locked))
    elif takes_long(run.stored):
        show("", hint(_typed(run.stored, run.project)))


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
    if _is_refused(last):
        # What the samples' labels are has no say in this: the request is wrong for this server, and stays so.
        prompt = [f"harness check {shlex.quote(str(manifest.prompt.path))} --show 1"] if manifest.prompt.path else []
        return [*prompt, f"harness failures {name} --kind {FailureKind.CALL_ERROR}"]
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


def _is_refused(run: Run) -> bool:
    """Return whether the server refused every call for good, so that nothing was answered and a retry would not help."""
    return run.result.coverage == 0 and bool(run.call_errors) and all(each.permanent for each in run.call_errors)


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
