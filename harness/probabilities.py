"""Scores of probabilities: how well P(label) ranks the samples, and how far it can be taken at its word.

Thresholds have no part in them. They are over the cells that have a probability alone; the coverage says how many that
are, and nothing is put in the place of one that is missing. ``*_loss`` is better when lower, the others when higher.
0/0 is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector, IntVector
from harness.records import Weights

FloatMatrix = NDArray[np.float64]

N_BINS = 10
"""Bins of equal width in the reliability table."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What is predicted right and wrong from each probability on; arrays of shape (n_distinct,).

    Attributes:
        values: The distinct probabilities, highest first.
        tp: Gold cells with at least that probability.
        fp: Cells that are not gold with at least that probability.
    """

    values: FloatVector
    tp: IntVector
    fp: IntVector


def curve(y_true: BoolVector, probabilities: FloatVector) -> Curve:
    """Return the curve of cells in any order; equal probabilities are one step of it."""
    rising = np.sort(probabilities)  # much sooner done than the order that sorts them
    first = np.flatnonzero(np.append(np.full(min(len(rising), 1), True), rising[1:] != rising[:-1]))
    distinct = rising[first]
    gold = np.bincount(np.searchsorted(distinct, probabilities[y_true]), minlength=len(distinct))
    tp = np.cumsum(gold[::-1], dtype=np.int64)
    return Curve(distinct[::-1], tp, len(rising) - first[::-1] - tp)


def sorted_curve(y_true: BoolVector, probabilities: FloatVector) -> Curve:
    """Return the curve of cells whose probabilities fall or stay equal."""
    last = np.flatnonzero(np.append(np.diff(probabilities) != 0, [True] * (len(probabilities) > 0)))
    tp = np.cumsum(y_true, dtype=np.int64)[last]
    return Curve(probabilities[last], tp, last + 1 - tp)


# --- of some cells: arrays of shape (n_cells,) ------------------------------------------------------------------------


def roc_auc_score(y_true: BoolVector, probabilities: FloatVector) -> float:
    """Return the chance that a gold cell has a higher probability than one that is not, ties counting half; in [0, 1].

    NaN unless there are both. Fawcett 2006, "An introduction to ROC analysis"; scikit-learn: ``roc_auc_score``.
    """
    return _auroc(curve(y_true, probabilities))


def average_precision_score(y_true: BoolVector, probabilities: FloatVector) -> float:
    """Return the sum over the distinct probabilities, highest first, of precision times the recall gained; in [0, 1].

    NaN without gold cells. scikit-learn: ``average_precision_score``; nothing is interpolated.
    """
    return _average_precision(curve(y_true, probabilities))


def brier_score_loss(y_true: BoolVector, probabilities: FloatVector) -> float:
    """Return the mean squared difference of probability and gold; lower is better, in [0, 1]. NaN without cells.

    Brier 1950, "Verification of forecasts expressed in terms of probability"; scikit-learn: ``brier_score_loss``.
    """
    return float(np.mean((probabilities - y_true) ** 2)) if len(probabilities) else NAN


def _auroc(of: Curve) -> float:
    if not len(of.tp) or not of.tp[-1] or not of.fp[-1]:
        return NAN
    steps = np.diff(of.fp, prepend=0)
    before = np.append(0, of.tp[:-1])
    return float(int(steps @ (of.tp + before)) / (2 * int(of.tp[-1]) * int(of.fp[-1])))


def _average_precision(of: Curve) -> float:
    if not len(of.tp) or not of.tp[-1]:
        return NAN
    gained = np.diff(of.tp, prepend=0) / of.tp[-1]
    return float(gained @ (of.tp / (of.tp + of.fp)))


@dataclass(frozen=True, slots=True)
class Bin:
    """The cells whose probability is above ``lower`` and at most ``upper``; the first bin has 0 too.

    Attributes:
        n: Cells in the bin.
        mean_probability: What was said; NaN without cells.
        share_positive: What was so: the share of gold cells; NaN without cells.
    """

    lower: float
    upper: float
    n: float
    mean_probability: float
    share_positive: float


def reliability(y_true: BoolVector, probabilities: FloatVector) -> tuple[Bin, ...]:
    """Return `N_BINS` bins of equal width, lowest first.

    DeGroot & Fienberg 1983, "The comparison and evaluation of forecasters"; scikit-learn: ``calibration_curve``, which
    leaves out empty bins.
    """
    edges = np.arange(1, N_BINS) / N_BINS
    places = np.searchsorted(edges, probabilities)
    n = np.bincount(places, minlength=N_BINS)
    said = np.bincount(places, weights=probabilities, minlength=N_BINS)
    so = np.bincount(places, weights=y_true, minlength=N_BINS)
    return tuple(
        Bin(
            at / N_BINS, (at + 1) / N_BINS, int(count), *((float(p / count), float(y / count)) if count else (NAN, NAN))
        )
        for at, (count, p, y) in enumerate(zip(n, said, so, strict=True))
    )


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean over cells of |share positive - mean probability| of their bin; lower is better, in [0, 1].

    NaN without cells. Naeini, Cooper & Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian
    binning"; with few cells a bin it is biased upward.
    """
    n = sum(each.n for each in bins)
    return sum(each.n * abs(each.share_positive - each.mean_probability) for each in bins if each.n) / n if n else NAN


# --- of a run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LabelProbabilities:
    """The probabilities of one label.

    Attributes:
        n: Cells that have one.
        support: Gold cells among them.
    """

    label: str
    n: float
    support: float
    auroc: float
    average_precision: float
    brier_loss: float


@dataclass(frozen=True, slots=True)
class ProbabilityAverages:
    """Macro is the mean over the labels that have both gold cells and others, micro is over all cells as one.

    Attributes:
        coverage: Share of all (sample, label) cells that have a probability; NaN without cells.
        n: Cells that have one.
        macro_labels: Labels that the macro averages run over.
        calibration_error: `expected_calibration_error` of all cells as one.
    """

    coverage: float
    n: float
    macro_auroc: float
    macro_average_precision: float
    macro_brier_loss: float
    macro_labels: float
    micro_auroc: float
    micro_average_precision: float
    micro_brier_loss: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class ProbabilityScores:
    """All that is said of a run's probabilities; with repeats each number is the mean over them.

    Attributes:
        labels: In label-space order, those without any probability among them.
        bins: The reliability table of all cells as one.
    """

    averages: ProbabilityAverages
    labels: tuple[LabelProbabilities, ...]
    bins: tuple[Bin, ...]


def matrix(names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> FloatMatrix:
    """Return probabilities by label name as shape (n_rows, n_labels), in the order of the names; NaN where none is."""
    values: FloatMatrix = np.full((len(rows), len(names)), NAN)
    for at, row in enumerate(rows):
        if row:
            listed = row.vector(names) if isinstance(row, Weights) else None
            values[at] = [row.get(name, NAN) for name in names] if listed is None else listed
    return values


def score_probabilities(names: Sequence[str], y_true: BoolMatrix, probabilities: FloatMatrix) -> ProbabilityScores:
    """Return the scores of probabilities.

    Args:
        names: The labels, in the order of the columns.
        y_true: Gold label vectors, shape (n_samples, n_labels).
        probabilities: Of the same shape, in [0, 1]; NaN where a cell has none.

    Raises:
        ValueError: The arrays are not of one shape, or a probability is not in [0, 1].
    """
    if y_true.shape != probabilities.shape or y_true.shape[1:] != (len(names),):
        raise ValueError(f"must be of one shape (n_samples, {len(names)}), got {y_true.shape}, {probabilities.shape}")
    has = ~np.isnan(probabilities)
    whole_table = bool(has.all())
    pooled_true, pooled = (y_true.ravel(), probabilities.ravel()) if whole_table else (y_true[has], probabilities[has])
    if len(pooled) and not (pooled.min() >= 0 and pooled.max() <= 1):
        raise ValueError(f"probabilities must be in [0, 1], got {pooled.min():g} to {pooled.max():g}")
    columns = zip(names, *(np.ascontiguousarray(each.T) for each in (y_true, probabilities, has)), strict=True)
    labels = tuple(_label(name, gold[given], said[given]) for name, gold, said, given in columns)
    both = [each for each in labels if 0 < each.support < each.n]
    whole = curve(pooled_true, pooled)
    bins = reliability(pooled_true, pooled)
    averages = ProbabilityAverages(
        coverage=len(pooled) / has.size if has.size else NAN,
        n=len(pooled),
        macro_auroc=_mean([each.auroc for each in both]),
        macro_average_precision=_mean([each.average_precision for each in both]),
        macro_brier_loss=_mean([each.brier_loss for each in both]),
        macro_labels=len(both),
        micro_auroc=_auroc(whole),
        micro_average_precision=_average_precision(whole),
        micro_brier_loss=brier_score_loss(pooled_true, pooled),
        calibration_error=expected_calibration_error(bins),
    )
    return ProbabilityScores(averages, labels, bins)


def _label(name: str, y_true: BoolVector, probabilities: FloatVector) -> LabelProbabilities:
    of = curve(y_true, probabilities)
    return LabelProbabilities(
        name,
        len(y_true),
        int(np.count_nonzero(y_true)),
        _auroc(of),
        _average_precision(of),
        brier_score_loss(y_true, probabilities),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else NAN
