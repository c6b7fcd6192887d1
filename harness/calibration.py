"""Thresholds that maximise a score on a run, and what they give on samples that they were not found on.

**Which thresholds.** For macro and weighted F1 each label gets its own: the average is highest when every label's F1 is.
A label with fewer than `LEAST_SUPPORT` gold samples gets the global one, which maximises the score when it is used for
all labels; so does every label for the other scores.

**Cross-validation.** The samples are dealt into folds; each fold is decided with the thresholds that the others give,
and all of these predictions together are scored once (Forman & Scholz 2010, "Apples-to-apples in cross-validation
studies": a mean of F1 over folds is biased). The score on the very samples that thresholds were found on is optimistic
(Lipton, Elkan & Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness import metrics
from harness.errors import UsageError
from harness.metrics import NAN, BoolMatrix, FloatVector, IntVector
from harness.thresholds import EQUAL, METRICS, Evidence, decided, fit, search_in

LEAST_SUPPORT = 20
"""Gold samples from which on a label gets a threshold of its own."""


@dataclass(frozen=True, slots=True)
class LabelThreshold:
    """The threshold of one label.

    Attributes:
        support: Gold samples.
        now: The threshold that decides now; None where the words of the answer do.
        found: None where no cell of the label has a probability.
        own: False where it is the global threshold.
        f1_in_sample: On the samples that the threshold was found on.
        f1_out_of_fold: By cross-validation.
    """

    label: str
    support: int
    now: float | None
    found: float | None
    own: bool
    f1_now: float
    f1_in_sample: float
    f1_out_of_fold: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds, and what they give.

    Attributes:
        metric: What they maximise, a key of `METRICS`.
        one_threshold: Whether all labels have the global threshold because of the metric, or because that was asked for.
        threshold: The global one; None where every label has its own.
        now: The score of what is predicted now.
        in_sample: The score on the samples that the thresholds were found on: optimistic.
        out_of_fold: The score by cross-validation: what to expect on other samples.
        constant: The score of the better of two answers that need no probability: every label, or none, where there is
            one. What is not above it ranks nothing.
        labels: In label-space order.
    """

    metric: str
    folds: int
    seed: int
    n_samples: int
    n_repeats: int
    one_threshold: bool
    threshold: float | None
    now: float
    in_sample: float
    out_of_fold: float
    constant: float
    labels: tuple[LabelThreshold, ...]

    @property
    def thresholds(self) -> dict[str, float]:
        """The labels' own thresholds, by name."""
        return {each.label: each.found for each in self.labels if each.own and each.found is not None}

    @property
    def helps(self) -> bool:
        """Whether the score by cross-validation is better than the one now."""
        return self.out_of_fold > self.now + EQUAL

    @property
    def ranks(self) -> bool:
        """Whether the score by cross-validation is better than that of an answer that needs no probability."""
        return self.out_of_fold > self.constant + EQUAL


def calibrate(
    evidence: Evidence,
    metric: str = "macro_f1",
    *,
    one_threshold: bool = False,
    folds: int = 5,
    seed: int = 0,
    now: Sequence[float | None] | None = None,
) -> Calibration:
    """Return the thresholds that maximise a score, and what they give by cross-validation.

    Args:
        evidence: At least one cell has a probability.
        metric: A key of `METRICS`.
        one_threshold: The global threshold for all labels, whatever the metric.
        folds: Parts of the cross-validation.
        seed: Decides which sample goes into which fold.
        now: The thresholds that decide now, by label; told, not used.

    Raises:
        UsageError: There are fewer than 2 folds, or fewer samples than folds, or the seed is negative.
    """
    n_samples = len(evidence.y_true) // evidence.n_repeats
    if not 2 <= folds <= n_samples:
        raise UsageError(f"--folds: must be from 2 to the number of samples, {n_samples}, got {folds}.")
    if seed < 0:
        raise UsageError(f"--seed: must be at least 0, got {seed}.")
    has = ~np.isnan(evidence.probabilities)
    one_threshold = one_threshold or not METRICS[metric].by_label
    own = (evidence.support >= LEAST_SUPPORT) & has.any(axis=0) & (not one_threshold)
    search = search_in(evidence, metric, own)
    everything = np.ones(len(evidence.y_true), np.bool_)
    threshold, found = fit(search, everything)
    fold_of = np.tile(stratified_folds(evidence.y_true[:n_samples], folds, seed), evidence.n_repeats)
    outside = np.empty_like(evidence.y_pred)
    for fold in range(folds):
        held_out = fold_of == fold
        outside[held_out] = decided(evidence, fit(search, ~held_out)[1], held_out)
    answered = evidence.answered | has
    three = (
        (evidence.y_pred, evidence.answered),
        (decided(evidence, found, everything), answered),
        (outside, answered),
    )
    scores = [float(_mean_over_repeats(evidence, METRICS[metric].score, *each)) for each in three]
    same = [decided(evidence, np.full(len(own), each), everything) for each in (0.0, np.inf)]
    constants = [_mean_over_repeats(evidence, METRICS[metric].score, each, answered) for each in same]
    f1 = [_mean_over_repeats(evidence, lambda *cells: metrics.f1(metrics.count(*cells)), *each) for each in three]
    labels = tuple(
        LabelThreshold(
            name,
            int(evidence.support[at]),
            None if now is None else now[at],
            float(found[at]) if has[:, at].any() else None,
            bool(own[at]),
            *(float(each[at]) for each in f1),
        )
        for at, name in enumerate(evidence.names)
    )
    return Calibration(
        metric=metric,
        folds=folds,
        seed=seed,
        n_samples=n_samples,
        n_repeats=evidence.n_repeats,
        one_threshold=one_threshold,
        threshold=None if math.isnan(threshold) else threshold,
        now=scores[0],
        in_sample=scores[1],
        out_of_fold=scores[2],
        constant=float(np.nan_to_num(constants).max()),
        labels=labels,
    )


def _mean_over_repeats(
    evidence: Evidence,
    score: Callable[[BoolMatrix, BoolMatrix, BoolMatrix], float | FloatVector],
    y_pred: BoolMatrix,
    answered: BoolMatrix,
) -> FloatVector:
    """Return the mean of a score over the repeats in which it is defined; NaN where it is in none."""
    parts = [np.split(cells, evidence.n_repeats) for cells in (evidence.y_true, y_pred, answered)]
    values = np.array([score(*cells) for cells in zip(*parts, strict=True)], dtype=np.float64)
    defined = np.count_nonzero(~np.isnan(values), axis=0)
    total: FloatVector = np.nansum(values, axis=0)
    return np.where(defined > 0, total / np.maximum(defined, 1), NAN)


def stratified_folds(y_true: BoolMatrix, folds: int, seed: int) -> IntVector:
    """Return the fold of each sample, shape (n_samples,), each label spread as evenly as the others allow.

    The rarest label goes first, each of its samples to the fold that has fewest of it, then to the smaller one (after
    Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data", label by label instead of sample
    by sample). Samples without a label come last and even out the sizes.
    """
    rng = np.random.default_rng(seed)
    fold_of = np.full(len(y_true), -1, np.int64)
    sizes = np.zeros(folds, np.int64)
    by_rarity = np.argsort(np.count_nonzero(y_true, axis=0), kind="stable")
    for members in (*(y_true[:, label] for label in by_rarity), np.ones(len(y_true), np.bool_)):
        waiting = rng.permutation(np.flatnonzero(members & (fold_of < 0)))
        there = fold_of[members & (fold_of >= 0)]
        have = np.bincount(there, minlength=folds)
        # Every fold offers places, numbered from what it has on: the lowest numbers are filled first.
        number = (have[:, None] + np.arange(len(waiting))).ravel()
        place = np.repeat(np.arange(folds), len(waiting))
        lowest = np.lexsort((rng.permutation(folds)[place], sizes[place], number))[: len(waiting)]
        fold_of[waiting] = place[lowest]
        sizes = np.bincount(fold_of[fold_of >= 0], minlength=folds)
    return fold_of
