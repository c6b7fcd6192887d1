"""``harness show``: a run's scores again, or one of its samples in full."""

from __future__ import annotations

from typing import Any

import click

from harness.cli.common import json_option, run_argument, show, show_json
from harness.errors import EXIT_OK, DataError, did_you_mean


@click.command("show")
@run_argument()
@click.argument("sample", required=False)
@click.option("--repeat", type=click.IntRange(min=0), default=0, metavar="N", help="Which repeat of the sample.")
@json_option
def command(run: str, sample: str | None, repeat: int, as_json: bool) -> int:
    """Show a run's scores, or one sample in full.

    Of a sample: its text, gold and predicted labels, every message that was sent and what came back.

    \b
    Examples:
      harness show v3
      harness show v3 r145
    """
    from harness import api

    loaded = api.load(run)
    if sample is not None:
        return _show_sample(loaded, sample, repeat, as_json)
    from harness.noise import noise_of
    from harness.plainvalues import to_plain

    stored, result = loaded.stored, loaded.result
    several = result.n_repeats > 1
    space = stored.manifest.space
    noise = noise_of(space, stored.samples, stored.gold, stored.predictions, result) if several else None
    if as_json:
        show_json({"run": stored.manifest.to_json(), "scores": result.to_json(), "noise": to_plain(noise)})
        return EXIT_OK
    from harness.execution import run_spent
    from harness.report.terminal import run_report

    spent = run_spent(stored, loaded.project.settings.prices)
    show(run_report(stored.manifest, result, spent, None, None, noise))
    return EXIT_OK


def _show_sample(loaded: Any, identity: str, repeat: int, as_json: bool) -> int:
    from harness.failures import describe
    from harness.report.listing import sample_report, sample_row

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
    if as_json:
        show_json({**sample_row(found, gold), "calls": requests})
    else:
        show(sample_report(found, gold, stored, requests))
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
