"""One threshold, or one for each label, that maximises a score on some rows.

A cell with a probability is present from its label's threshold on. A cell that was answered without one stays as it is,
and an unanswered cell stays unanswered and counts as `metrics` says.

Candidates are the midpoints between neighbouring distinct probabilities, 0 and 1 among the neighbours. Of equally good
ones the nearest to 0.5 is taken, of two as near the higher one, with as few digits as keep it between its neighbours.
Cells are sorted once; whatever rows are asked for then, the scores at all candidates are running sums over them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from harness import metrics
from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector, IntVector
from harness.probabilities import Curve, FloatMatrix, sorted_curve

IntMatrix = NDArray[np.int64]

EQUAL = 1e-9
"""Scores that differ by no more are equal."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A score that thresholds can maximise.

    Attributes:
        words: How people call it.
        score: ``y_true, y_pred, answered`` → the score.
        by_label: True when it is highest where every label's F1 is.
    """

    words: str
    score: Callable[[BoolMatrix, BoolMatrix, BoolMatrix], float]
    by_label: bool = False


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "macro_f1": Metric("macro F1", lambda *cells: metrics.macro_f1(metrics.count(*cells)), by_label=True),
        "micro_f1": Metric("micro F1", lambda *cells: metrics.micro_f1(metrics.count(*cells))),
        "weighted_f1": Metric("weighted F1", lambda *cells: metrics.weighted_f1(metrics.count(*cells)), by_label=True),
        "samples_f1": Metric("samples F1", metrics.samples_f1),
        "subset_accuracy": Metric("subset accuracy", metrics.subset_accuracy),
        "jaccard": Metric("Jaccard", metrics.jaccard_score),
    }
)
"""By the names that `Averages` has."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What thresholds are found on. The rows are samples, repeat after repeat; shapes (n_rows, n_labels).

    Attributes:
        names: The labels, in the order of the columns.
        y_true: Gold.
        y_pred: What is predicted now.
        answered: What is answered now; a cell with a probability is answered once a threshold decides it.
        probabilities: NaN where no threshold would decide.
    """

    names: tuple[str, ...]
    y_true: BoolMatrix
    y_pred: BoolMatrix
    answered: BoolMatrix
    probabilities: FloatMatrix
    n_repeats: int = 1

    @property
    def has_probabilities(self) -> bool:
        """Whether any cell has a probability."""
        return not bool(np.isnan(self.probabilities).all())

    @property
    def support(self) -> IntVector:
        """Gold samples of each label, those of one repeat."""
        support: IntVector = np.count_nonzero(self.y_true, axis=0) // self.n_repeats
        return support


def decided(evidence: Evidence, thresholds: FloatVector, rows: BoolVector) -> BoolMatrix:
    """Return what the thresholds make of some rows."""
    probabilities = evidence.probabilities[rows]
    said = evidence.y_pred[rows] & evidence.answered[rows]
    decided: BoolMatrix = np.where(np.isnan(probabilities), said, probabilities >= thresholds)
    return decided


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One label: its cells in the order in which a falling threshold meets them, sorted once for all folds.

    Attributes:
        rows: Row numbers of the cells with a probability, highest first.
        probabilities: Theirs.
        gold: Whether they are gold.
        codes: Where their probabilities stand among the distinct ones of all cells; empty where nobody asks.
        gold_rows: Row numbers of all gold cells.
        fixed_rows: Row numbers of the cells that are present whatever the threshold.
        fixed_gold_rows: Those of them that are gold.
    """

    rows: IntVector
    probabilities: FloatVector
    gold: BoolVector
    codes: IntVector
    gold_rows: IntVector
    fixed_rows: IntVector
    fixed_gold_rows: IntVector


@dataclass(frozen=True, eq=False)
class _Cells:
    """All cells, and what is computed of them once for all folds."""

    evidence: Evidence
    metric: str

    @cached_property
    def has(self) -> BoolMatrix:
        """Where a cell has a probability."""
        return ~np.isnan(self.evidence.probabilities)

    @cached_property
    def fixed(self) -> BoolMatrix:
        """Where a cell is present whatever the threshold."""
        return self.evidence.y_pred & self.evidence.answered & ~self.has

    @cached_property
    def ranked(self) -> tuple[FloatVector, IntMatrix]:
        """The distinct probabilities, highest first, and where each cell's stands among them (-1: it has none)."""
        values, places = np.unique(self.evidence.probabilities[self.has], return_inverse=True)
        codes = np.full(self.has.shape, -1, np.int64)
        codes[self.has] = len(values) - 1 - places
        return values[::-1], codes

    def column(self, label: int, *, ranked: bool) -> _Column:
        """Return a label's cells, sorted."""
        rows = np.flatnonzero(self.has[:, label])
        probabilities = self.evidence.probabilities[rows, label]
        order = np.argsort(-probabilities)
        rows = rows[order]
        gold = self.evidence.y_true[:, label]
        return _Column(
            rows,
            probabilities[order],
            gold[rows],
            self.ranked[1][rows, label] if ranked else rows[:0],
            np.flatnonzero(gold),
            np.flatnonzero(self.fixed[:, label]),
            np.flatnonzero(self.fixed[:, label] & gold),
        )

    @cached_property
    def gains(self) -> tuple[FloatMatrix, FloatVector]:
        """What each cell adds to its sample's score when a falling threshold meets it, and the scores before."""
        return _gains_of_samples(self)


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What is searched: which labels get a threshold of their own, and the columns that are asked for.

    Attributes:
        own: Shape (n_labels,).
        columns: By label, where its F1 counts.
    """

    cells: _Cells
    own: BoolVector
    columns: Mapping[int, _Column]

    @property
    def needs_global(self) -> bool:
        """Whether some label that has probabilities gets the global threshold."""
        return not bool(self.own[self.cells.has.any(axis=0)].all())


def search_in(evidence: Evidence, metric: str, own: BoolVector) -> Search:
    """Return what `fit` searches, sorted.

    Args:
        evidence: At least one cell has a probability.
        metric: A key of `METRICS`.
        own: Labels that get a threshold of their own, shape (n_labels,); only for a metric that is `by_label`.
    """
    cells = _Cells(evidence, metric)
    bare = Search(cells, own, {})
    labels = range(len(own)) if METRICS[metric].by_label else ()
    return replace(bare, columns={label: cells.column(label, ranked=bare.needs_global) for label in labels})


def fit(search: Search, rows: BoolVector) -> tuple[float, FloatVector]:
    """Return the global threshold (NaN where no label needs it) and that of each label, shape (n_labels,)."""
    threshold = _best(*_global_scores(search, rows)) if search.needs_global else NAN
    thresholds = np.full(len(search.own), threshold)
    for label in np.flatnonzero(search.own).tolist():
        of, f1 = _label_f1(search.columns[label], rows)
        thresholds[label] = _best(of.values, f1)
    return threshold, thresholds


def _label_f1(column: _Column, rows: BoolVector) -> tuple[Curve, FloatVector]:
    """Return a label's curve over some rows, and its F1 when the i highest distinct probabilities are present."""
    inside = rows[column.rows]
    of = sorted_curve(column.gold[inside], column.probabilities[inside])
    tp = np.append(0, of.tp) + np.count_nonzero(rows[column.fixed_gold_rows])
    predicted = np.append(0, of.tp + of.fp) + np.count_nonzero(rows[column.fixed_rows])
    return of, _f1(tp, int(np.count_nonzero(rows[column.gold_rows])), predicted)


def _global_scores(search: Search, rows: BoolVector) -> tuple[FloatVector, FloatVector]:
    """Return the distinct probabilities in some rows, highest first, and the scores as `_best` takes them."""
    cells = search.cells
    if search.columns:
        return _scores_by_label(search, rows)
    values, codes = cells.ranked
    inside = cells.has & rows[:, None]
    met = codes[inside]
    there = np.flatnonzero(np.bincount(met, minlength=len(values)))

    def running(weights: NDArray[np.float64 | np.bool_], start: float) -> FloatVector:
        """Return a sum over the cells that are present, from none of them on to all."""
        gained = np.bincount(met, weights=weights[inside], minlength=len(values))[there]
        return start + np.append(0.0, np.cumsum(gained))

    if cells.metric == "micro_f1":
        y_true, fixed = cells.evidence.y_true[rows], cells.fixed[rows]
        tp = running(cells.evidence.y_true, int(np.count_nonzero(fixed & y_true)))
        predicted = running(cells.has, int(np.count_nonzero(fixed)))
        return values[there], _f1(tp, int(np.count_nonzero(y_true)), predicted)
    gains, before = cells.gains
    return values[there], running(gains, float(before[rows].sum())) / np.count_nonzero(rows)


def _scores_by_label(search: Search, rows: BoolVector) -> tuple[FloatVector, FloatVector]:
    """Return the same for an average of the labels' F1."""
    values = search.cells.ranked[0]
    gained, there = np.zeros(len(values)), np.zeros(len(values), np.bool_)
    before = total = 0.0
    for column in search.columns.values():
        support = int(np.count_nonzero(rows[column.gold_rows]))
        weight = support if search.cells.metric == "weighted_f1" else min(support, 1)
        _, f1 = _label_f1(column, rows)
        codes = column.codes[rows[column.rows]]
        codes = codes[np.flatnonzero(np.diff(codes, append=-1))]  # one of each: the steps of the curve
        gained[codes] += np.diff(f1) * weight
        there[codes] = True
        before += float(f1[0]) * weight
        total += weight
    scores = (before + np.append(0.0, np.cumsum(gained[there]))) / max(total, 1.0)
    return values[there], scores


def _gains_of_samples(cells: _Cells) -> tuple[FloatMatrix, FloatVector]:
    evidence = cells.evidence
    whole = np.logical_and.reduce(evidence.answered | cells.has, axis=1)[:, None]
    order = np.argsort(-evidence.probabilities, axis=1)
    met = np.take_along_axis(cells.has, order, axis=1)
    right = np.take_along_axis(evidence.y_true, order, axis=1) & met
    none = np.zeros((len(order), 1), np.int64)
    both = np.hstack([none, np.cumsum(right, axis=1)]) + _per_row(cells.fixed & evidence.y_true)
    predicted = np.hstack([none, np.cumsum(met, axis=1)]) + _per_row(cells.fixed)
    values = np.where(whole, _sample_scores(cells.metric, both, _per_row(evidence.y_true), predicted), 0.0)
    gains = np.empty(cells.has.shape)
    np.put_along_axis(gains, order, np.diff(values, axis=1), axis=1)
    return gains, values[:, 0]


def _per_row(cells: BoolMatrix) -> IntMatrix:
    counts: IntMatrix = np.count_nonzero(cells, axis=1, keepdims=True)
    return counts


def _sample_scores(metric: str, both: IntMatrix, gold: IntMatrix, predicted: IntMatrix) -> FloatMatrix:
    """Return samples' scores from what is right, gold and predicted in each; 1 where gold and prediction are empty."""
    if metric == "subset_accuracy":
        exact: FloatMatrix = ((both == gold) & (both == predicted)).astype(np.float64)
        return exact
    part, size = (2 * both, gold + predicted) if metric == "samples_f1" else (both, gold + predicted - both)
    return np.where(size == 0, 1.0, part / np.maximum(size, 1))


def _f1(tp: NDArray[np.float64 | np.int64], support: int, predicted: NDArray[np.float64 | np.int64]) -> FloatVector:
    """Return 2 TP / (gold + predicted), 0 where there is neither."""
    return 2 * tp / np.maximum(support + predicted, 1)


def _best(values: FloatVector, scores: FloatVector) -> float:
    """Return the best threshold.

    Args:
        values: Distinct probabilities, highest first.
        scores: Entry i is the score when the i highest of them are present.
    """
    upper, lower = np.append(1.0, values), np.append(values, 0.0)
    possible = upper > lower
    possible[-1] = True  # all are present from 0 on, also where the lowest probability is 0
    best = np.flatnonzero(possible & (scores >= scores[possible].max() - EQUAL))
    at = best[np.argmin(np.abs((upper + lower)[best] / 2 - 0.5))]
    return _shortest(float(lower[at]), float(upper[at]))


def _shortest(lower: float, upper: float) -> float:
    """Return the middle with the fewest digits, two at least, that keep it above ``lower`` and at most at ``upper``."""
    middle = (lower + upper) / 2
    rounded = (float(f"{middle:.{digits}g}") for digits in range(2, 8))
    return next((each for each in rounded if lower < each <= upper), upper)
