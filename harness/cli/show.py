"""``harness show``: a run's scores again, or one of its samples in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import json_option, run_argument, say, show, show_json
from harness.errors import EXIT_OK, DataError, did_you_mean

if TYPE_CHECKING:
    from harness.api import Run


@click.command("show")
@run_argument()
@click.argument("sample", required=False)
@click.option("--repeat", type=click.IntRange(min=0), default=0, metavar="N", help="Which repeat of the sample.")
@click.option(
    "--without-pass", "without", multiple=True, metavar="NAME", help="Scores as they would be without this pass."
)
@click.option("--passes", is_flag=True, help="Measure the later passes of a large run too.")
@json_option
def command(run: str, sample: str | None, repeat: int, without: tuple[str, ...], passes: bool, as_json: bool) -> int:
    """Show a run's scores and passes, or one sample in full.

    Of a sample: its text, gold and predicted labels, what each pass made of it, every message that was sent and what
    came back. --without-pass reads the stored answers without that pass; no call is made and nothing is written.

    \b
    Examples:
      harness show v3
      harness show v3 r145
      harness show v4 --without-pass check
    """
    from harness import api

    if sample is not None and without:
        raise click.UsageError("--without-pass: does not go with a sample, which is shown as it was asked.")
    loaded = api.load(run, warn=say)
    if sample is not None:
        return _show_sample(loaded, sample, repeat, as_json)
    if without:
        return _show_without(loaded, without, as_json)
    from harness.holdout import looks_of
    from harness.noise import noise_of
    from harness.passmeasuring import takes_long
    from harness.plainvalues import to_plain

    stored, result = loaded.stored, loaded.result
    several = result.n_repeats > 1
    space = stored.manifest.space
    noise = noise_of(space, stored.samples, stored.gold, stored.predictions, result) if several else None
    long = not passes and takes_long(stored)
    measured = None if long else loaded.measured
    looks = looks_of(stored, loaded.project)
    if as_json:
        worth = None if measured is None else measured.to_json()
        reach = None if loaded.reach is None else loaded.reach.to_json()
        scores = {"scores": result.to_json(), "noise": to_plain(noise), "passes": worth, "reach": reach}
        holdout = looks.to_json() if looks else None
        failed = {"call_errors": [each.to_json() for each in loaded.call_errors]} if loaded.call_errors else {}
        show_json({"run": stored.manifest.to_json(), **scores, "holdout": holdout, **failed})
        return EXIT_OK
    from harness.execution import run_spent
    from harness.report.listing import searched_line
    from harness.report.passes import hint, passes_report
    from harness.report.reach import reach_parts
    from harness.report.terminal import run_report

    spent = run_spent(stored, loaded.project.settings.prices)
    show(run_report(stored.manifest, result, spent, None, None, noise, looks, loaded.call_errors))
    if searched := searched_line(stored.manifest):
        show("", searched)
    show(*reach_parts(loaded.reach))
    if measured is not None:
        show("", passes_report(measured, locked=looks is not None))
    elif long:
        show("", hint(run))
    return EXIT_OK


def _show_without(loaded: Run, names: tuple[str, ...], as_json: bool) -> int:
    """Show the scores that a run would have without some passes."""
    found = loaded.without(*names)
    answers = found.answers
    if answers.missing:
        from harness.report import numbers

        say(
            f"without {', '.join(answers.names)} run {loaded.id} would need calls that were never made: "
            f"{numbers.count(answers.missing)}. They count as call errors."
        )
    if as_json:
        scores = {"without": list(answers.names), "missing": answers.missing, "scores": found.result.to_json()}
        show_json({"run": loaded.stored.manifest.to_json(), **scores})
        return EXIT_OK
    from harness.report.passes import without_report

    show(without_report(found.comparison.compared, answers))
    return EXIT_OK


def _show_sample(loaded: Any, identity: str, repeat: int, as_json: bool) -> int:
    from harness.failures import describe
    from harness.report.listing import sample_report, sample_row
    from harness.samplesteps import sample_steps

    stored = loaded.stored
    samples = {sample.id: sample for sample in stored.samples}
    if identity not in samples:
        raise DataError(f"run {loaded.id}: has no sample '{identity}'.{did_you_mean(identity, samples)}")
    prediction = next((each for each in stored.predictions if (each.sample, each.repeat) == (identity, repeat)), None)
    if prediction is None:
        raise DataError(
            f"--repeat: must be below {stored.manifest.repeats}, the repeats of run {loaded.id}, got {repeat}."
        )
    gold = stored.gold[identity]
    found = describe(stored, samples[identity], prediction, gold or frozenset())
    requests = _requests(stored, samples[identity], repeat)
    steps = sample_steps(stored, samples[identity], prediction)
    if as_json:
        passes = {} if steps is None else {"passes": [each.to_json() for each in steps.passes]}
        show_json({**sample_row(found, gold), **passes, "calls": requests})
    else:
        show(sample_report(found, gold, stored, requests, steps))
    return EXIT_OK


def _requests(stored: Any, sample: Any, repeat: int) -> list[dict[str, Any]]:
    """Return what was sent for a sample and what came back, pass by pass, rendered again from what the run froze.

    Nothing was sent for predictions that no prompt made.
    """
    from harness.rescoring import calls_of

    models = {each.name: each.model.name for each in stored.manifest.prompt.passes}
    return [
        {
            "pass": call.pass_name,
            "unit": call.unit,
            "draw": call.draw,
            "model": models[call.pass_name],
            "messages": list(call.messages),
            **({"questions": [dict(each) for each in call.questions]} if call.questions else {}),
            "completion": found.completion.to_json(),
        }
        for call, found in calls_of(stored, sample, repeat)
    ]
