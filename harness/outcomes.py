"""What a run's answers come to: what every sample adds to the counts that scores are made of.

A score of label vectors is a function of sums over samples: of gold, missed and falsely predicted cells by label, or of
one value a sample. So the score of a resample, or of an exchange of two runs' answers, needs no label vectors: all
resamples of all labels are one product of weights with these sufficient statistics. They are sparse, the more so the
better the answers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector

if TYPE_CHECKING:
    from scipy import sparse

FloatMatrix: TypeAlias = NDArray[np.float64]

F1_AVERAGES = ("macro_f1", "micro_f1", "weighted_f1")
"""The averages that are functions of the labels' counts."""

AVERAGES = (*F1_AVERAGES, "samples_f1", "subset_accuracy", "coverage")
"""The scores that are resampled, besides the F1 of each label; the last three are means over samples."""


class Repeat(NamedTuple):
    """The answers of one repeat: bool arrays of shape (n_samples, n_labels), as in `metrics`."""

    y_pred: BoolMatrix
    answered: BoolMatrix


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """A run's answers as what scores are made of: what each sample adds to each count.

    Attributes:
        gold: Gold cells, sparse, shape (n_samples, n_labels).
        missed: By repeat, cells that are gold and not predicted (FN), the unanswered ones among them.
        alarms: By repeat, cells that are predicted and not gold (FP).
        per_sample: By the name of a score that is a mean over samples, its value for each sample (the mean over
            repeats), shape (n_samples,).
        exact: By repeat, which samples are exactly right.
    """

    gold: sparse.csr_array
    missed: tuple[sparse.csr_array, ...]
    alarms: tuple[sparse.csr_array, ...]
    per_sample: Mapping[str, FloatVector]
    exact: tuple[BoolVector, ...]

    @property
    def n_repeats(self) -> int:
        """Number of repeats, 1 or more."""
        return len(self.missed)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.gold.shape[0])

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return int(self.gold.shape[1])


def outcomes(y_true: BoolMatrix, repeats: Sequence[Repeat]) -> Outcomes:
    """Return what the answers come to: by the accounting of `metrics`, where a failure is a wrong answer.

    Args:
        y_true: Gold, shape (n_samples, n_labels).
        repeats: The answers of each repeat, at least one.

    Raises:
        ValueError: There is no repeat, or the shapes differ.
    """
    if not repeats or any(array.shape != y_true.shape for repeat in repeats for array in repeat):
        raise ValueError(f"answers must have the shape of gold, {y_true.shape}, in at least one repeat")
    predicted = [repeat.y_pred & repeat.answered for repeat in repeats]
    gold = _sparse(y_true)
    missed = tuple(_sparse(y_true & ~each) for each in predicted)
    alarms = tuple(_sparse(each & ~y_true) for each in predicted)
    complete = [np.logical_and.reduce(repeat.answered, axis=1) for repeat in repeats]
    errors = [_row_sizes(fn) + _row_sizes(fp) for fn, fp in zip(missed, alarms, strict=True)]
    sizes = [2 * _row_sizes(gold) - _row_sizes(fn) + _row_sizes(fp) for fn, fp in zip(missed, alarms, strict=True)]
    exact = tuple((wrong == 0) & whole for wrong, whole in zip(errors, complete, strict=True))
    return Outcomes(
        gold=gold,
        missed=missed,
        alarms=alarms,
        per_sample={
            "samples_f1": np.mean([*map(_sample_f1, errors, sizes, complete)], axis=0),
            "subset_accuracy": np.mean(exact, axis=0),
            "coverage": np.mean(complete, axis=0),
        },
        exact=exact,
    )


def _sparse(cells: BoolMatrix) -> sparse.csr_array:
    from scipy import sparse

    return sparse.csr_array(sparse.csr_array(cells).astype(np.float64))


def _row_sizes(cells: sparse.csr_array) -> NDArray[Any]:
    """Return how many cells each sample has, shape (n_samples,)."""
    return np.diff(cells.indptr)


def _sample_f1(errors: NDArray[Any], sizes: NDArray[Any], complete: BoolVector) -> FloatVector:
    """Return the F1 of each sample: 1 where gold and prediction are both empty, 0 where a cell is unanswered.

    Args:
        errors: FN + FP of each.
        sizes: Labels of gold and of the prediction together, ``2 TP + FN + FP``.
        complete: Which are fully answered.
    """
    values = np.ones(len(errors))
    np.divide(sizes - errors, sizes, out=values, where=sizes != 0)
    values[~complete] = 0.0
    return values


def column_sums(cells: sparse.csr_array) -> FloatVector:
    """Return the sum over the samples, shape (n_labels,)."""
    return np.asarray(cells.sum(axis=0), dtype=np.float64)


# --- counts to scores -------------------------------------------------------------------------------------------------


def f1_of(gold: NDArray[Any], missed: NDArray[Any], alarms: NDArray[Any]) -> FloatMatrix:
    """Return F1 from counts: ``2 TP / (2 TP + FN + FP)`` with ``TP = gold - missed``; NaN at 0/0."""
    hits = 2 * (gold - missed)
    return divided(hits, hits + missed + alarms)


def f1_scores(
    gold: FloatMatrix, missed: FloatMatrix, alarms: FloatMatrix
) -> tuple[FloatMatrix, dict[str, FloatVector]]:
    """Return the F1 of labels and its averages from counts, each the mean over the repeats in which it is defined.

    The formulas of `metrics`, for many sets of counts at once.

    Args:
        gold: Support, shape (1, n_labels, m) for m sets of counts, or (1, n_labels, 1) where it is the same in all.
        missed: False negatives, shape (n_repeats, n_labels, m).
        alarms: False positives, of the same shape.

    Returns:
        F1 of shape (n_labels, m), NaN at 0/0; and by name the `F1_AVERAGES` of shape (m,): macro over the labels that
        have support.
    """
    f1 = f1_of(gold, missed, alarms)
    supported = gold > 0
    defined = np.where(supported, f1, 0.0)
    averages = {
        "macro_f1": divided(defined.sum(axis=1), supported.sum(axis=1)),
        "micro_f1": f1_of(gold.sum(axis=1), missed.sum(axis=1), alarms.sum(axis=1)),
        "weighted_f1": divided((defined * gold).sum(axis=1), gold.sum(axis=1)),
    }
    return _mean_over_repeats(f1), {name: _mean_over_repeats(values) for name, values in averages.items()}


def _mean_over_repeats(values: FloatMatrix) -> FloatMatrix:
    """Return the mean over the first axis of what is defined; NaN where nothing is."""
    if len(values) == 1:
        only: FloatMatrix = values[0]
        return only
    defined = ~np.isnan(values)
    return divided(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))


def divided(part: NDArray[Any], whole: NDArray[Any]) -> FloatMatrix:
    """Return ``part / whole``, NaN where ``whole`` is 0."""
    out: FloatMatrix = np.full(np.broadcast_shapes(part.shape, whole.shape), NAN)
    np.divide(part, whole, out=out, where=whole != 0)
    return out
