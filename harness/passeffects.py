"""What a pass is worth: which cells it corrected and broke, whom its trigger sent, and whether the gain is more than chance.

Everything is paired: the same samples before a pass and after it. An unanswered cell is wrong, as everywhere. Numbers of
several repeats are means over the repeats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from harness import metrics, stats
from harness.evidence import Settings
from harness.labelspace import LabelSpace
from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector
from harness.pairedtests import MOST_EXACT, TOLERANCE, exchanges
from harness.resampling import weights
from harness.scoring import Aligned, mean_defined
from harness.significance import Difference

Worth: TypeAlias = Literal["pays", "does not pay", "not shown to pay", "never asked"]
"""What can be said of a pass."""

PER = 100
"""Samples that a net gain is told for."""

LEAST_CHANGED = 6
"""Samples that must have changed, all for the better, for an exact test at 5 % to see it: 2 · (1/2)^6 = 0.03."""


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """A pass in one repeat: what stood before it, and after it.

    Attributes:
        before: All samples as they stood before the pass.
        after: The same samples after it; where it was not asked, or failed, as before.
        sent: Samples that the pass was asked about, shape (n_samples,).
        parts: Which alternatives of its trigger hold for a sample that was sent, shape (n_samples, n_parts).
    """

    before: Aligned
    after: Aligned
    sent: BoolVector
    parts: BoolMatrix


@dataclass(frozen=True, slots=True)
class LabelEffect:
    """What a pass did to one label. Counts are cells.

    Attributes:
        changed: Cells in another state (present, absent, unanswered) than before.
        corrected: Wrong or unanswered before, right after.
        broken: Right before, wrong after.
        net: ``corrected - broken``.
        f1_before: F1 before the pass, over all samples; NaN at 0/0.
        f1_after: F1 after it.
    """

    label: str
    changed: float
    corrected: float
    broken: float
    net: float
    f1_before: float
    f1_after: float


@dataclass(frozen=True, slots=True)
class TriggerPart:
    """One alternative of a trigger: a part between the ``or`` of a `when`.

    Attributes:
        source: The expression.
        sent: Samples for which it holds.
        alone: Samples that it alone sends: no other alternative holds there.
        precision: Share of the samples that it sends which had a wrong cell in the scope; NaN where it sends none.
    """

    source: str
    sent: float
    alone: float
    precision: float


@dataclass(frozen=True, slots=True)
class Trigger:
    """Whom a pass was asked about, against what was really wrong in its scope before it.

    Attributes:
        sent: Samples that it was asked about.
        wrong: Samples with a wrong cell in its scope.
        caught: Samples that are both.
        precision: ``caught / sent``: NaN where none was sent.
        recall: ``caught / wrong``: NaN where nothing was wrong.
        base_rate: ``wrong / n_samples``: the precision of a trigger that draws samples blindly.
        share: ``sent / n_samples``.
        parts: The alternatives of the trigger; empty for a pass that is always asked.
    """

    sent: float
    wrong: float
    caught: float
    precision: float
    recall: float
    base_rate: float
    share: float
    parts: tuple[TriggerPart, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a pass changed in what stood before it.

    Attributes:
        n_samples: Samples with gold labels.
        n_repeats: Repeats that the numbers are means over.
        changed: Cells in another state than before: ``corrected + broken``, and those that were unanswered before and
            are answered wrongly now.
        corrected: Cells that were wrong or unanswered before and are right after.
        broken: Cells that were right before and are wrong after.
        net: ``corrected - broken``.
        filled: Cells that nobody had answered before and that are answered now, right or wrong.
        made_right: Samples that were not exactly right before and are after.
        made_wrong: Samples that were exactly right before and are not after.
        labels: The labels of which a cell changed, in label-space order.
    """

    n_samples: int
    n_repeats: int
    changed: float
    corrected: float
    broken: float
    net: float
    filled: float
    made_right: float
    made_wrong: float
    labels: tuple[LabelEffect, ...]
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Gain:
    """The net gain in cells: how many more are right with a pass than without it, per `PER` samples.

    Attributes:
        net: Cells that are right with the pass and not without it, less those the other way round.
        value: That for `PER` samples; NaN without samples.
        low: Lower end of its interval, by the bootstrap over samples.
        high: Upper end.
        standard_error: Of `value`.
        detectable: The smallest true gain that these samples would have shown with 80 % power; NaN where nothing varies.
        p: Two-sided, of the sign-swap test: how often exchanging with and without gives a gain as large.
        n_changed: Samples in which the number of right cells differs, in some repeat.
        needed: About how many samples like these would show a gain of this size with 80 % power; NaN where there is none,
            or where these show it.
    """

    net: float
    value: float
    low: float
    high: float
    standard_error: float
    detectable: float
    p: float
    n_changed: int
    needed: float


def effect_of(space: LabelSpace, scope: Sequence[str], parts: Sequence[str], repeats: Sequence[Around]) -> Effect:
    """Return what a pass changed.

    Args:
        space: The label space.
        scope: Labels that the pass answers.
        parts: The alternatives of its trigger, in the order of `Around.parts`.
        repeats: The pass in each repeat, at least one.
    """
    counted = [_counted(each) for each in repeats]
    total = {name: mean_defined(float(cells[name].sum()) for cells in counted) for name in counted[0]}
    exact = [(each.before.exact, each.after.exact) for each in repeats]
    return Effect(
        n_samples=len(repeats[0].before.samples),
        n_repeats=len(repeats),
        net=total["corrected"] - total["broken"],
        made_right=mean_defined(_count(after & ~before) for before, after in exact),
        made_wrong=mean_defined(_count(before & ~after) for before, after in exact),
        labels=_label_effects(space, repeats, counted),
        trigger=_trigger(space, scope, parts, repeats),
        **total,
    )


def _counted(each: Around) -> dict[str, FloatVector]:
    """Return by label how many cells changed, were corrected, were broken, and were answered that nobody had answered."""
    before, after = each.before, each.after
    right_before, right_after = before.right, after.right
    found = {
        "changed": (before.y_pred != after.y_pred) | (before.answered != after.answered),
        "corrected": right_after & ~right_before,
        "broken": right_before & ~right_after,
        "filled": after.answered & ~before.answered,
    }
    return {name: np.count_nonzero(cells, axis=0).astype(np.float64) for name, cells in found.items()}


def _count(cells: BoolVector) -> float:
    return float(np.count_nonzero(cells))


def _label_effects(
    space: LabelSpace, repeats: Sequence[Around], counted: Sequence[Mapping[str, FloatVector]]
) -> tuple[LabelEffect, ...]:
    means = {name: np.mean([cells[name] for cells in counted], axis=0) for name in ("changed", "corrected", "broken")}
    touched = np.flatnonzero(means["changed"]).tolist()
    before, after = (
        (_f1s([each.before for each in repeats]), _f1s([each.after for each in repeats])) if touched else ((), ())
    )
    return tuple(
        LabelEffect(
            label=space.names[at],
            changed=float(means["changed"][at]),
            corrected=float(means["corrected"][at]),
            broken=float(means["broken"][at]),
            net=float(means["corrected"][at] - means["broken"][at]),
            f1_before=before[at],
            f1_after=after[at],
        )
        for at in touched
    )


def _f1s(repeats: Sequence[Aligned]) -> list[float]:
    """Return the F1 of each label, the mean over the repeats in which it is defined."""
    found = np.array([metrics.f1(metrics.count(rows.y_true, rows.y_pred, rows.answered)) for rows in repeats])
    return [mean_defined(column) for column in found.T.tolist()]


def _trigger(space: LabelSpace, scope: Sequence[str], parts: Sequence[str], repeats: Sequence[Around]) -> Trigger:
    columns = [space.index[name] for name in scope]
    wrong = [~np.logical_and.reduce(each.before.right[:, columns], axis=1) for each in repeats]
    n = len(repeats[0].before.samples)
    n_sent, n_wrong = mean_defined(_count(each.sent) for each in repeats), mean_defined(map(_count, wrong))
    caught = mean_defined(_count(each.sent & its) for each, its in zip(repeats, wrong, strict=True))
    return Trigger(
        sent=n_sent,
        wrong=n_wrong,
        caught=caught,
        precision=_ratio(caught, n_sent),
        recall=_ratio(caught, n_wrong),
        base_rate=_ratio(n_wrong, n),
        share=_ratio(n_sent, n),
        parts=tuple(_part(source, at, repeats, wrong) for at, source in enumerate(parts)),
    )


def _part(source: str, at: int, repeats: Sequence[Around], wrong: Sequence[BoolVector]) -> TriggerPart:
    holds = [each.parts[:, at] for each in repeats]
    alone = [its & (np.count_nonzero(each.parts, axis=1) == 1) for each, its in zip(repeats, holds, strict=True)]
    caught = mean_defined(_count(its & bad) for its, bad in zip(holds, wrong, strict=True))
    sent = mean_defined(map(_count, holds))
    return TriggerPart(source, sent, mean_defined(map(_count, alone)), _ratio(caught, sent))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def gain_of(without: Sequence[Aligned], having: Sequence[Aligned], settings: Settings | None = None) -> Gain:
    """Return the net gain in right cells, with its uncertainty.

    Samples are drawn, and exchanged, whole, with all their cells and repeats; see docs/statistics.md.

    Args:
        without: The final answers without a pass, repeat by repeat.
        having: The final answers with it, on the same samples.
        settings: Resamples, exchanges, seed and level.
    """
    chosen = settings or Settings()
    n_repeats = len(having)
    total = np.zeros(len(having[0].samples))
    for before, after in zip(without, having, strict=True):
        total += np.count_nonzero(after.right, axis=1) - np.count_nonzero(before.right, axis=1)
    n, moved = len(total), total[total != 0]
    if not n:
        return Gain(0.0, NAN, NAN, NAN, NAN, NAN, NAN, 0, NAN)
    per_sample = total * (PER / n_repeats)
    value = float(per_sample.mean())
    drawn = _resampled(per_sample, chosen)
    ends, error = stats.interval(drawn, chosen.level), float(stats.standard_errors(drawn[:, None])[0])
    return Gain(
        net=float(total.sum()) / n_repeats,
        value=value,
        low=min(ends.low, value),
        high=max(ends.high, value),
        standard_error=error,
        detectable=stats.detectable(error),
        p=_swapped(moved, chosen),
        n_changed=len(moved),
        needed=_needed(n, len(moved), value, stats.detectable(error)),
    )


def _resampled(per_sample: FloatVector, settings: Settings) -> FloatVector:
    """Return the mean over the samples in every resample, shape (n_resamples,)."""
    found = np.zeros(settings.resamples)
    if not per_sample.any():
        return found
    for first, drawn in weights(len(per_sample), settings.resamples, np.random.default_rng(settings.seed)):
        found[first : first + drawn.shape[1]] = per_sample @ drawn / len(per_sample)
    return found


def _swapped(moved: FloatVector, settings: Settings) -> float:
    """Return the p-value of a sum of differences: how often it is as large when each has its sign by chance."""
    least, exact = abs(float(moved.sum())) - TOLERANCE, len(moved) <= MOST_EXACT
    hits = n_made = 0
    for swaps in exchanges(len(moved), settings.permutations, exact, np.random.default_rng(settings.seed)):
        sums = moved.sum() - 2 * (moved @ swaps)
        hits += int(np.count_nonzero(np.abs(sums) >= least))
        n_made += swaps.shape[1]
    return hits / n_made if exact else (1 + hits) / (1 + n_made)


def _needed(n: int, n_changed: int, value: float, detectable: float) -> float:
    """Return how many samples would show a gain of this size: errors shrink with the root of their number."""
    if not value > 0 or math.isnan(detectable):
        return NAN
    needed = n * max((detectable / value) ** 2, LEAST_CHANGED / n_changed)
    return math.ceil(needed) if needed > n else NAN


def is_shown(gain: Gain, settings: Settings | None = None) -> bool:
    """Return whether a net gain, or loss, is more than chance: the interval and the test agree."""
    chosen = settings or Settings()
    return gain.p <= chosen.alpha and (gain.low > 0 or gain.high < 0)


def worth(effect: Effect, gain: Gain, macro_f1: Difference | None, settings: Settings | None = None) -> Worth:
    """Return in a word whether a pass pays.

    * never asked: its trigger sent no sample;
    * pays: more cells are right with it than without it, and that or the gain in macro F1 is real by interval and test,
      while the other is not really worse;
    * does not pay: no cell more is right with it, or none can be by the interval, and macro F1 is not really better;
    * not shown to pay: all else. These samples cannot tell the gain from chance, or the two contradict each other.

    Args:
        effect: What it changed.
        gain: Its net gain.
        macro_f1: The change of macro F1; None where no cell changed.
        settings: What decides it.
    """
    if not effect.trigger.sent:
        return "never asked"
    said = None if macro_f1 is None else macro_f1.verdict
    if not gain.net > 0 or gain.high <= 0:
        return "not shown to pay" if said == "better" else "does not pay"
    shown = is_shown(gain, settings) or said == "better"
    return "pays" if shown and said != "worse" else "not shown to pay"
