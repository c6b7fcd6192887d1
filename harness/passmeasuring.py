"""What the later passes of a stored run are worth: what they corrected and broke, their price, what would be otherwise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness import metrics
from harness.comparison import RunPredictions, compare
from harness.labelspace import LabelSpace
from harness.metrics import NAN
from harness.passeffects import Around, Effect, Gain, Worth, effect_of, gain_of, worth
from harness.passreplay import WITHOUT, Tally, compared_passes, replayed, to_replay
from harness.plainvalues import to_plain
from harness.pricing import Prices, spent
from harness.prompt import MergeHow
from harness.records import FailureKind, Prediction, Sample
from harness.scoring import Aligned, align, mean_defined
from harness.significance import JUDGED, Difference, Settings, judge
from harness.store import StoredRun

THOUSAND = 1_000
"""Samples that a price is told for."""

MOST_UNASKED = 20_000
"""Completions up to which passes are measured without being asked to: some seconds."""

HEADLINE = ("macro_f1", "micro_f1", "subset_accuracy", "coverage")


@dataclass(frozen=True, slots=True)
class Price:
    """What a pass costs: a mean over the repeats, as the cells are.

    Attributes:
        calls: Calls that were answered or failed, those from the cache among them.
        cached: Calls that the cache answered: they cost nothing in this run.
        prompt_tokens: Of all its calls, cached ones too: what the pass needs on new samples.
        completion_tokens: In the same way.
        usd: What all its calls cost, cached ones too; None where a price is unknown.
        paid_usd: What the calls cost that this run really made.
        latency_s: Median seconds of a call that was answered; NaN without any.
        seconds: Seconds of all its calls, one after the other.
        n_samples: The samples that it was for, sent or not; at least one.
    """

    calls: float
    cached: float
    prompt_tokens: float
    completion_tokens: float
    usd: float | None
    paid_usd: float | None
    latency_s: float
    seconds: float
    n_samples: int

    @property
    def tokens(self) -> float:
        """Tokens of prompts and completions."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def per_thousand(self) -> PerThousand:
        """What the pass would need on `THOUSAND` new samples like these, which no cache knows."""
        share = THOUSAND / self.n_samples
        usd = None if self.usd is None else self.usd * share
        return PerThousand(round(self.calls * share), round(self.tokens * share), usd)


@dataclass(frozen=True, slots=True)
class PerThousand:
    """What a pass needs for `THOUSAND` samples: calls and tokens, and US dollars, None where a price is unknown."""

    calls: int
    tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class CostPer:
    """What one cell costs: the tokens and the price of a pass, by the number of cells.

    Attributes:
        tokens: NaN where there is no such cell.
        usd: None where a price is unknown; NaN where there is no such cell.
    """

    tokens: float
    usd: float | None

    @classmethod
    def cell(cls, price: Price, cells: float) -> CostPer:
        """Return what one of so many cells costs; of none, or fewer, there is no price."""
        if not cells > 0:
            return cls(NAN, NAN)
        return cls(price.tokens / cells, None if price.usd is None else price.usd / cells)


@dataclass(frozen=True, slots=True)
class Failures:
    """Answers of a pass that could not be read: what stood before stands.

    Attributes:
        n_answers: Answers that it was asked for: one a unit, however many draws vote on it. A mean over the repeats.
        kinds: Those that failed, by kind.
    """

    n_answers: float
    kinds: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> float:
        """Answers that failed."""
        return math.fsum(self.kinds.values())


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the final answers would be without a pass, or merged by another rule.

    Attributes:
        name: `WITHOUT` or a merge rule.
        headline: The headline scores; NaN where calls are missing.
        change: Each less what the run has as it is.
        missing: Calls that it would need and that were never made.
    """

    name: str
    headline: Mapping[str, float]
    change: Mapping[str, float]
    missing: int


@dataclass(frozen=True, slots=True)
class MeasuredPass:
    """One pass as a controlled experiment on the samples of a run.

    Attributes:
        how: Its merge rule.
        when: Its trigger; None is always.
        effect: What it changed in what stood before it.
        gain: The net gain in right cells, with its uncertainty: of the final answers, or of the step alone.
        of_final: Whether `gain` and `judged` compare final answers with and without the pass; where calls are missing
            for that, the gain is that of the step alone and nothing is judged.
        judged: How real the changes of macro F1, micro F1 and subset accuracy are, with it against without; empty where
            no final answer differs.
        failures: Its answers that failed.
        price: What it costs.
        per_corrected: What one corrected cell costs.
        per_net: What one cell of the net gain costs.
        per_thousand: What it would need on new samples.
        what_ifs: Without it, and under the merge rules that were not chosen.
        worth: Whether it pays, in a word.
    """

    name: str
    how: MergeHow
    when: str | None
    effect: Effect
    gain: Gain
    of_final: bool
    judged: Mapping[str, Difference]
    failures: Failures
    price: Price
    per_corrected: CostPer
    per_net: CostPer
    per_thousand: PerThousand
    what_ifs: tuple[WhatIf, ...]
    worth: Worth


@dataclass(frozen=True, slots=True)
class MeasuredPasses:
    """What the later passes of a run are worth.

    Attributes:
        n_samples: Samples with gold labels.
        n_repeats: Repeats that all numbers are means over.
        headline: The headline scores of the run, as these passes leave it.
        passes: Those that answer what an earlier pass has answered, in the order of the prompt.
        left_out: Names of the other passes after the first: gates, and those that only answer what nobody answered.
        searched: Where the prompt was drafted from errors on some of the samples, how many of these are left out here: the
            prompt has an advantage on them. 0 where no other sample is left, so that all count.
        reread: Whether the stored predictions were read in another way than the run's prompt says, by `harness score`.
            All numbers here are as the prompt says.
        settings: What decided the verdicts.
    """

    n_samples: int
    n_repeats: int
    headline: Mapping[str, float]
    passes: tuple[MeasuredPass, ...]
    left_out: tuple[str, ...]
    searched: int | None
    reread: bool
    settings: Settings

    def to_json(self) -> dict[str, Any]:
        """Return the passes as plain values, NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def measure_passes(run: StoredRun, prices: Prices, settings: Settings | None = None) -> MeasuredPasses | None:
    """Return what the later passes of a run are worth; None for a run of one pass, without a prompt, or without gold.

    Args:
        run: With predictions.
        prices: What calls cost.
        settings: What decides whether a gain is real.
    """
    manifest, chosen = run.manifest, settings or Settings()
    if manifest.origin is not None or len(manifest.prompt.passes) < 2:
        return None
    scored = [replace(each, labels=gold) for each in run.samples if (gold := run.gold.get(each.id)) is not None]
    if not scored:
        return None
    searched = manifest.prompt.searched_on(manifest.split)
    samples = scored if searched is None else [each for each in scored if not searched.saw(each.id)] or scored
    flattered = None if searched is None else len(scored) - len(samples)
    measured = compared_passes(manifest.prompt, manifest.space)
    left_out = tuple(each.name for each in manifest.prompt.passes[1:] if each not in measured)
    if not measured:
        return MeasuredPasses(len(samples), manifest.repeats, {}, (), left_out, flattered, False, chosen)
    seen = replayed(run, samples, measured, every=manifest.state != "complete")
    if reread := seen.differs:
        seen = replayed(run, samples, measured, every=True)
    base = align(manifest.space, samples, [each for rows in seen.final for each in rows])
    headline = _headline(base)
    passes = tuple(
        _measured(tally, seen.final, base, headline, prices, chosen, manifest.space) for tally in seen.tallies.values()
    )
    return MeasuredPasses(len(samples), manifest.repeats, headline, passes, left_out, flattered, reread, chosen)


def takes_long(run: StoredRun) -> bool:
    """Return whether the passes of a run have so many completions that they are measured only where a person asks."""
    return to_replay(run) > MOST_UNASKED


# --- numbers --------------------------------------------------------------------------------------------------------


def _measured(
    tally: Tally,
    final: Sequence[Sequence[Prediction]],
    base: Sequence[Aligned],
    headline: Mapping[str, float],
    prices: Prices,
    settings: Settings,
    space: LabelSpace,
) -> MeasuredPass:
    around = [
        Around(
            _patched(space, rows, tally.before[at]),
            _patched(space, rows, tally.after[at]),
            *_sent(tally, at, len(rows.samples)),
        )
        for at, rows in enumerate(base)
    ]
    effect = effect_of(space, tally.each.inside(space), tally.parts, around)
    of_final = WITHOUT in tally.otherwise and not tally.missing[WITHOUT]
    if of_final:
        without = [_patched(space, rows, tally.otherwise[WITHOUT][at]) for at, rows in enumerate(base)]
        gain = gain_of(without, base, settings)
        judged = _judged(tally.each.name, tally.otherwise[WITHOUT], final, base[0].samples, space, settings)
    else:
        gain, judged = gain_of([each.before for each in around], [each.after for each in around], settings), {}
    price = _price(tally, prices, len(base), effect.n_samples)
    return MeasuredPass(
        name=tally.each.name,
        how=tally.each.how,
        when=tally.each.when,
        effect=effect,
        gain=gain,
        of_final=of_final,
        judged=judged,
        failures=Failures(tally.n_answers / len(base), {kind: n / len(base) for kind, n in tally.failed.items()}),
        price=price,
        per_corrected=CostPer.cell(price, effect.corrected),
        per_net=CostPer.cell(price, effect.net),
        per_thousand=price.per_thousand,
        what_ifs=tuple(_what_if(variant.name, tally, base, headline, space) for variant in tally.variants),
        worth=worth(effect, gain, judged.get("macro_f1"), settings),
    )


def _patched(space: LabelSpace, rows: Aligned, other: Mapping[int, Prediction]) -> Aligned:
    """Return aligned samples with other predictions in some rows."""
    if not other:
        return rows
    at, said = list(other), list(other.values())
    predictions = list(rows.predictions)
    for row, prediction in other.items():
        predictions[row] = prediction
    y_pred, answered = rows.y_pred.copy(), rows.answered.copy()
    answered[at] = ~space.vectors(each.unanswered for each in said)
    y_pred[at] = space.vectors(each.labels for each in said) & answered[at]
    return replace(rows, predictions=tuple(predictions), y_pred=y_pred, answered=answered)


def _sent(tally: Tally, repeat: int, n: int) -> tuple[metrics.BoolVector, metrics.BoolMatrix]:
    sent, parts = np.zeros(n, np.bool_), np.zeros((n, len(tally.parts)), np.bool_)
    for row, holds in tally.sent[repeat].items():
        sent[row], parts[row] = True, holds
    return sent, parts


def _judged(
    name: str,
    without: Sequence[Mapping[int, Prediction]],
    final: Sequence[Sequence[Prediction]],
    samples: Sequence[Sample],
    space: LabelSpace,
    settings: Settings,
) -> dict[str, Difference]:
    """Return how real the changes of the headline are, with a pass against without it; nothing where no cell differs."""
    if not any(without):
        return {}
    having = [_slim(each) for rows in final for each in rows]
    lacking = [
        _slim(other.get(at, each)) for rows, other in zip(final, without, strict=True) for at, each in enumerate(rows)
    ]
    runs = (RunPredictions(f"without {name}", lacking), RunPredictions(f"with {name}", having))
    averages = judge(compare(space, samples, runs), settings).diffs[0].averages
    return {score: averages[score] for score in JUDGED}


def _slim(each: Prediction) -> Prediction:
    """Return a prediction's cells alone: that is all that is compared, and probabilities take time."""
    failure = each.failure or (FailureKind.CALL_ERROR if each.unanswered else None)
    return Prediction(each.sample, each.labels, each.unanswered, failure, repeat=each.repeat)


def _headline(repeats: Sequence[Aligned]) -> dict[str, float]:
    """Return the headline scores, means over the repeats."""
    found = [metrics.averages(rows.y_true, rows.y_pred, rows.answered) for rows in repeats]
    scores = {name: mean_defined(getattr(each, name) for each in found) for name in HEADLINE[:3]}
    return scores | {"coverage": mean_defined(float(np.mean(rows.complete)) for rows in repeats)}


def _what_if(
    name: str, tally: Tally, base: Sequence[Aligned], headline: Mapping[str, float], space: LabelSpace
) -> WhatIf:
    missing = tally.missing[name]
    if missing:
        return WhatIf(name, dict.fromkeys(HEADLINE, NAN), dict.fromkeys(HEADLINE, NAN), missing)
    found = _headline([_patched(space, rows, tally.otherwise[name][at]) for at, rows in enumerate(base)])
    return WhatIf(name, found, {score: found[score] - headline[score] for score in HEADLINE}, 0)


def _price(tally: Tally, prices: Prices, n_repeats: int, n_samples: int) -> Price:
    """Return what the calls of a pass cost, a mean over the repeats."""
    model, calls = tally.each.model.name, tally.completions
    answered = [each for each in calls if each.status != "error"]
    all_of_them = spent(((model, each.usage) for each in answered), prices)
    paid = spent(((model, each.usage) for each in answered if not each.cached), prices).usd
    return Price(
        calls=len(calls) / n_repeats,
        cached=sum(each.cached for each in calls) / n_repeats,
        prompt_tokens=all_of_them.prompt_tokens / n_repeats,
        completion_tokens=all_of_them.completion_tokens / n_repeats,
        usd=None if all_of_them.usd is None else all_of_them.usd / n_repeats,
        paid_usd=None if paid is None else paid / n_repeats,
        latency_s=statistics.median(each.latency_s for each in answered) if answered else NAN,
        seconds=math.fsum(each.latency_s for each in calls) / n_repeats,
        n_samples=n_samples,
    )
