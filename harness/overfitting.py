"""Dev against test: how much lower a run scores on samples that nothing was tuned on, and whether that is more than chance.

The two sides have no sample in common, so nothing is paired: each is resampled by itself (Efron & Tibshirani 1993,
chapter 8: the two-sample bootstrap), with draws of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from harness import metrics, stats
from harness.comparison import ComparedRun
from harness.evidence import Settings, around
from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector
from harness.plainvalues import to_plain
from harness.scoring import mean_defined
from harness.significance import FEW_SAMPLES

SCORES = ("macro_f1", "micro_f1", "subset_accuracy")
"""The headline scores that are compared, the most telling first."""

GapVerdict: TypeAlias = Literal["overfitting to dev", "higher on test", "no gap shown", "too few to tell"]


@dataclass(frozen=True, slots=True)
class Gap:
    """One score on both sides.

    Attributes:
        dev: In [0, 1]; NaN where it is not defined.
        test: In [0, 1]; NaN where it is not defined.
        delta: ``test - dev``.
        low: Lower end of its interval; NaN where nothing can be said, as where one side never varies.
        high: Upper end.
    """

    dev: float
    test: float
    delta: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DevTest:
    """A prompt on dev and on test.

    Attributes:
        n_dev: Samples on dev.
        n_test: Samples on test.
        labels: What macro F1 is over: the labels with gold on both sides, in label-space order.
        one_sided: Labels with gold on one side alone; they are in neither macro F1 here.
        gaps: By name, all of `SCORES`.
        level: Of the intervals; higher where several prompts are looked at together.
        cautions: Why the numbers here are rough, for people.
    """

    n_dev: int
    n_test: int
    labels: tuple[str, ...]
    one_sided: tuple[str, ...]
    gaps: Mapping[str, Gap]
    level: float
    cautions: tuple[str, ...]

    @property
    def verdict(self) -> GapVerdict:
        """What can be said of macro F1: it is lower (or higher) on test only where its interval leaves out 0."""
        gap = self.gaps["macro_f1"]
        if min(self.n_dev, self.n_test) < stats.LEAST_SUPPORT or math.isnan(gap.low):
            return "too few to tell"
        if gap.high < 0:
            return "overfitting to dev"
        return "higher on test" if gap.low > 0 else "no gap shown"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        return {"verdict": self.verdict, **plain}


def dev_against_test(
    dev: ComparedRun, test: ComparedRun, settings: Settings | None = None, together: int = 1
) -> DevTest:
    """Return how much a prompt's scores differ between two sets of samples, with intervals.

    Args:
        dev: The prompt's run on the samples that it was tuned on.
        test: Its run on others; of the same labels in the same order.
        settings: Seed, resamples and level of the intervals.
        together: How many prompts are looked at together: with several of them each interval is wider (Bonferroni), so
            that all of them hold at once as often as one would.

    Raises:
        ValueError: The two are not about the same labels in the same order.
    """
    names = tuple(row.label for row in dev.scores.labels)
    if names != tuple(row.label for row in test.scores.labels):
        raise ValueError("dev and test must have the same labels in the same order")
    chosen = settings or Settings()
    chosen = replace(chosen, level=1 - (1 - chosen.level) / together)
    support = [np.array([row.support > 0 for row in run.scores.labels]) for run in (dev, test)]
    both = np.logical_and(*support)
    sides = [_side(run, both, has, chosen, at) for at, (run, has) in enumerate(zip((dev, test), support, strict=True))]
    return DevTest(
        n_dev=dev.scores.n_samples,
        n_test=test.scores.n_samples,
        labels=tuple(name for name, here in zip(names, both, strict=True) if here),
        one_sided=tuple(name for name, one in zip(names, np.logical_xor(*support), strict=True) if one),
        gaps={name: _gap(sides[0][name], sides[1][name], chosen.level) for name in SCORES},
        level=chosen.level,
        cautions=tuple(_cautions({"dev": dev.scores.n_samples, "test": test.scores.n_samples})),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """A score, and what it is in resamples of its samples."""

    value: float
    replicates: FloatVector


def _side(
    run: ComparedRun, both: BoolVector, supported: BoolVector, settings: Settings, side: int
) -> dict[str, _Scored]:
    """Return the scores of one side; macro F1 over the labels in ``both``.

    The sides are resampled with different seeds: with one seed, as many samples on both would be drawn at the same
    places, as if they were pairs.
    """
    seed = 2 * settings.seed + side
    values = {name: run.scores.headline[name] for name in SCORES}
    resampled = _resampled(run, np.ones_like(both), settings.resamples, seed)
    replicates = {name: resampled.averages[name] for name in SCORES}
    if not np.array_equal(both, supported):
        values["macro_f1"] = _macro_f1(run, both)
        replicates["macro_f1"] = (
            _resampled(run, both, settings.resamples, seed).averages["macro_f1"] if both.any() else np.empty(0)
        )
    return {name: _Scored(values[name], replicates[name]) for name in SCORES}


def _resampled(run: ComparedRun, labels: BoolVector, resamples: int, seed: int) -> stats.Replicates:
    def kept(cells: BoolMatrix) -> BoolMatrix:
        return cells[:, labels]

    repeats = [stats.Repeat(kept(rows.y_pred), kept(rows.answered)) for rows in run.repeats]
    return stats.bootstrap([stats.outcomes(kept(run.plain.y_true), repeats)], resamples, seed)[0]


def _macro_f1(run: ComparedRun, labels: BoolVector) -> float:
    """Return macro F1 over some labels, the mean over the repeats; NaN without labels."""
    return mean_defined(
        metrics.macro_f1(metrics.count(rows.y_true[:, labels], rows.y_pred[:, labels], rows.answered[:, labels]))
        for rows in run.repeats
    )


def _gap(dev: _Scored, test: _Scored, level: float) -> Gap:
    delta = test.value - dev.value
    gap = Gap(dev.value, test.value, delta, NAN, NAN)
    if math.isnan(delta) or not (_varies(dev) and _varies(test)):
        return gap  # a side on which nothing varies says nothing of how far it may be from the truth
    found = stats.interval(test.replicates - dev.replicates, level)
    low, high = around(np.array([delta]), np.array([found.low]), np.array([found.high]))
    return replace(gap, low=float(low[0]), high=float(high[0]))


def _varies(scored: _Scored) -> bool:
    defined = scored.replicates[~np.isnan(scored.replicates)]
    return bool(len(defined)) and float(np.ptp(defined)) > stats.TOLERANCE


def _cautions(sizes: Mapping[str, int]) -> Sequence[str]:
    return [
        f"{n} samples on {side} are few: intervals are narrower than they should be"
        for side, n in sizes.items()
        if n < FEW_SAMPLES
    ]
