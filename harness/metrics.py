"""Counts and scores of label vectors.

Every function takes bool arrays of shape (n_samples, n_labels): ``y_true`` (gold), ``y_pred`` and, where cells may be
unanswered, ``answered`` (None means that all are). There are two families (Tsoumakas & Katakis 2007, "Multi-Label
Classification: An Overview"):

* label-based scores are functions of the `Counts` that `count` returns: per label, and their macro, micro and weighted
  averages;
* example-based scores are functions of the arrays: one value per sample, averaged over the samples.

**Accounting.** An unanswered cell counts TP 0, FP 0, FN = gold; what ``y_pred`` says there is ignored. A sample with an
unanswered cell is wrong as a whole: no exact match, samples precision, recall, F1 and Jaccard 0, Hamming loss 1.

**0/0** is NaN, never a guess, with two exceptions that the functions name: what is undefined for a label contributes 0
to an average over supported labels, and a sample whose gold and prediction are both empty is right, so it has 1. No
function warns or raises on degenerate input; an average over nothing is NaN.

Scores range over [0, 1]; ``*_score``, precision, recall and F1 are better when higher, ``*_loss`` when lower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

BoolMatrix: TypeAlias = NDArray[np.bool_]
BoolVector: TypeAlias = NDArray[np.bool_]
IntVector: TypeAlias = NDArray[np.int64]
FloatVector: TypeAlias = NDArray[np.float64]

NAN = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What happened to each label: int arrays of shape (n_labels,), in label-space order.

    Attributes:
        tp: Cells that are gold and predicted.
        fp: Cells that are predicted and not gold.
        fn: Cells that are gold and not predicted, the unanswered ones among them.
        support: Cells that are gold: ``tp + fn``.
        n: Number of samples.
    """

    tp: IntVector
    fp: IntVector
    fn: IntVector
    support: IntVector
    n: int

    @property
    def predicted(self) -> IntVector:
        """Cells that are predicted: ``tp + fp``."""
        return self.tp + self.fp

    def without(self, some: Counts) -> Counts:
        """Return the counts of the other samples, where ``some`` are those of some of them."""
        return Counts(
            tp=self.tp - some.tp,
            fp=self.fp - some.fp,
            fn=self.fn - some.fn,
            support=self.support - some.support,
            n=self.n - some.n,
        )


def count(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> Counts:
    """Return the counts of each label.

    Raises:
        ValueError: The arrays are not of one shape (n_samples, n_labels).
    """
    y_true, y_pred, _ = _masked(y_true, y_pred, answered)
    tp = np.count_nonzero(y_true & y_pred, axis=0)
    predicted = np.count_nonzero(y_pred, axis=0)
    support = np.count_nonzero(y_true, axis=0)
    return Counts(tp=tp, fp=predicted - tp, fn=support - tp, support=support, n=len(y_true))


# --- label-based: one value per label ---------------------------------------------------------------------------------


def precision(counts: Counts) -> FloatVector:
    """Return TP / (TP + FP) of each label, shape (n_labels,); NaN for a label that was never predicted."""
    return _ratio(counts.tp, counts.predicted)


def recall(counts: Counts) -> FloatVector:
    """Return TP / (TP + FN) of each label, shape (n_labels,); NaN for a label without support."""
    return _ratio(counts.tp, counts.support)


def f1(counts: Counts) -> FloatVector:
    """Return 2 TP / (2 TP + FP + FN) of each label, shape (n_labels,).

    It is 0 for a supported label that was never predicted, and NaN only for a label that is neither gold nor predicted.
    """
    return _ratio(2 * counts.tp, counts.support + counts.predicted)


# --- label-based: macro, over the labels with support -----------------------------------------------------------------


def macro_precision(counts: Counts) -> float:
    """Return the mean precision of the labels with support; a label never predicted contributes 0. NaN without support.

    scikit-learn: ``average="macro", zero_division=0`` with ``labels`` = those with support. Gold alone decides which
    labels that is, so that no prediction can drop a label from the average.
    """
    return _macro(precision(counts), counts)


def macro_recall(counts: Counts) -> float:
    """Return the mean recall of the labels with support. NaN without support."""
    return _macro(recall(counts), counts)


def macro_f1(counts: Counts) -> float:
    """Return the mean F1 of the labels with support. NaN without support.

    The mean of the labels' F1, not the F1 of macro precision and recall (Opitz & Burst 2019, "Macro F1 and Macro F1").
    """
    return _macro(f1(counts), counts)


# --- label-based: micro, over all cells -------------------------------------------------------------------------------


def micro_precision(counts: Counts) -> float:
    """Return TP / (TP + FP) over all cells, labels without support among them; NaN when nothing was predicted."""
    return _share(counts.tp.sum(), counts.predicted.sum())


def micro_recall(counts: Counts) -> float:
    """Return TP / (TP + FN) over all cells; NaN when there is no gold label."""
    return _share(counts.tp.sum(), counts.support.sum())


def micro_f1(counts: Counts) -> float:
    """Return 2 TP / (2 TP + FP + FN) over all cells; NaN when there is neither a gold nor a predicted label."""
    return _share(2 * counts.tp.sum(), counts.support.sum() + counts.predicted.sum())


# --- label-based: weighted by support ---------------------------------------------------------------------------------


def weighted_precision(counts: Counts) -> float:
    """Return the mean precision weighted by support; a label never predicted contributes 0. NaN without support."""
    return _weighted(precision(counts), counts)


def weighted_recall(counts: Counts) -> float:
    """Return the mean recall weighted by support, which equals `micro_recall`. NaN without support."""
    return _weighted(recall(counts), counts)


def weighted_f1(counts: Counts) -> float:
    """Return the mean F1 weighted by support. NaN without support."""
    return _weighted(f1(counts), counts)


# --- example-based: one value per sample, averaged --------------------------------------------------------------------


def samples_precision(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> float:
    """Return the mean over samples of |gold ∩ predicted| / |predicted|. NaN without samples.

    A sample has 1 when gold and prediction are both empty, 0 when only the prediction is (scikit-learn gives that one
    the value of ``zero_division``), and 0 when a cell is unanswered.
    """
    return _rows(y_true, y_pred, answered).precision()


def samples_recall(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> float:
    """Return the mean over samples of |gold ∩ predicted| / |gold|. NaN without samples.

    A sample has 1 when gold and prediction are both empty, 0 when only gold is (scikit-learn gives that one the
    value of ``zero_division``), and 0 when a cell is unanswered.
    """
    return _rows(y_true, y_pred, answered).recall()


def samples_f1(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> float:
    """Return the mean over samples of 2 |gold ∩ predicted| / (|gold| + |predicted|). NaN without samples.

    A sample has 1 when gold and prediction are both empty, and 0 when a cell is unanswered. scikit-learn:
    ``f1_score(average="samples", zero_division=1)``.
    """
    return _rows(y_true, y_pred, answered).f1()


def jaccard_score(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> float:
    """Return the mean over samples of |gold ∩ predicted| / |gold or predicted|. NaN without samples.

    A sample has 1 when gold and prediction are both empty, and 0 when a cell is unanswered. It is the "accuracy" of
    Godbole & Sarawagi 2004; scikit-learn: ``jaccard_score(average="samples", zero_division=1)``.
    """
    return _rows(y_true, y_pred, answered).jaccard()


def subset_accuracy(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> float:
    """Return the share of samples whose labels are all right and all answered. NaN without samples.

    scikit-learn: ``accuracy_score``; also called exact match ratio.
    """
    return _rows(y_true, y_pred, answered).exact()


def hamming_loss(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> float:
    """Return the mean over samples of the share of wrong cells; lower is better. NaN without samples.

    A sample with an unanswered cell has 1. scikit-learn: ``hamming_loss``.
    """
    return _rows(y_true, y_pred, answered).hamming_loss()


def label_cardinality(y: BoolMatrix, answered: BoolMatrix | None = None) -> float:
    """Return the mean number of labels per sample, in [0, n_labels]. NaN without samples.

    An unanswered cell counts as none. Tsoumakas & Katakis 2007.
    """
    _, y, _ = _masked(y, y, answered)
    return _mean(np.count_nonzero(y, axis=1))


# --- all averages together --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Averages:
    """The averages over labels and over samples; each is the value of the function of that name.

    Attributes:
        macro_labels: Number of labels with support, which is what the macro averages run over.
        cardinality_gold: Mean number of gold labels per sample.
        cardinality_predicted: Mean number of predicted labels per sample; an unanswered cell has none.
    """

    macro_precision: float
    macro_recall: float
    macro_f1: float
    macro_labels: float
    micro_precision: float
    micro_recall: float
    micro_f1: float
    weighted_precision: float
    weighted_recall: float
    weighted_f1: float
    samples_precision: float
    samples_recall: float
    samples_f1: float
    subset_accuracy: float
    hamming_loss: float
    jaccard: float
    cardinality_gold: float
    cardinality_predicted: float


def averages(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> Averages:
    """Return all averages of these label vectors."""
    return _averages(count(y_true, y_pred, answered), _rows(y_true, y_pred, answered))


def answered_averages(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix) -> Averages:
    """Return all averages over the samples that are fully answered alone: macro over the labels with support among them.

    They are what `averages` returns for those rows, without a copy of all of them.
    """
    rows = _rows(y_true, y_pred, answered)
    whole, failed = count(y_true, y_pred, answered), ~rows.complete
    broken = count(y_true[failed], y_pred[failed], answered[failed])
    return _averages(whole.without(broken), rows.only(rows.complete))


def _averages(counts: Counts, rows: _Rows) -> Averages:
    return Averages(
        **label_based(counts),
        samples_precision=rows.precision(),
        samples_recall=rows.recall(),
        samples_f1=rows.f1(),
        subset_accuracy=rows.exact(),
        hamming_loss=rows.hamming_loss(),
        jaccard=rows.jaccard(),
        cardinality_gold=_mean(rows.gold),
        cardinality_predicted=_mean(rows.predicted),
    )


def label_based(counts: Counts) -> dict[str, float]:
    """Return the label-based averages by their names in `Averages`."""
    return {
        "macro_precision": macro_precision(counts),
        "macro_recall": macro_recall(counts),
        "macro_f1": macro_f1(counts),
        "macro_labels": int(np.count_nonzero(counts.support)),
        "micro_precision": micro_precision(counts),
        "micro_recall": micro_recall(counts),
        "micro_f1": micro_f1(counts),
        "weighted_precision": weighted_precision(counts),
        "weighted_recall": weighted_recall(counts),
        "weighted_f1": weighted_f1(counts),
    }


# --- shared -----------------------------------------------------------------------------------------------------------


class _Rows(NamedTuple):
    """What happened to each sample; arrays of shape (n_samples,)."""

    both: IntVector
    gold: IntVector
    predicted: IntVector
    complete: BoolVector
    n_labels: int

    def only(self, some: BoolVector) -> _Rows:
        """Return what happened to some of the samples."""
        return _Rows(self.both[some], self.gold[some], self.predicted[some], self.complete[some], self.n_labels)

    def precision(self) -> float:
        return self._average(self.both, self.predicted)

    def recall(self) -> float:
        return self._average(self.both, self.gold)

    def f1(self) -> float:
        return self._average(2 * self.both, self.gold + self.predicted)

    def jaccard(self) -> float:
        return self._average(self.both, self.gold + self.predicted - self.both)

    def exact(self) -> float:
        return _mean((self.both == self.gold) & (self.both == self.predicted) & self.complete)

    def hamming_loss(self) -> float:
        wrong = self.gold + self.predicted - 2 * self.both
        losses = _ratio(wrong, np.full_like(wrong, self.n_labels))
        losses[~self.complete] = 1.0
        return _mean(losses)

    def _average(self, part: IntVector, whole: IntVector) -> float:
        """Return the mean of part / whole: 1 where both sides are empty, 0 at any other 0/0 and at a failure."""
        values = _ratio(part, whole, undefined=0.0)
        values[(self.gold == 0) & (self.predicted == 0)] = 1.0
        values[~self.complete] = 0.0
        return _mean(values)


def _masked(
    y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None
) -> tuple[BoolMatrix, BoolMatrix, BoolMatrix | None]:
    """Return the arrays checked, and ``y_pred`` without its unanswered cells: the one place of that rule.

    Taken as absent, an unanswered cell has TP 0, FP 0 and FN = gold, which is just what the accounting asks for.
    """
    y_true, y_pred = np.asarray(y_true, dtype=np.bool_), np.asarray(y_pred, dtype=np.bool_)
    shapes = [y_true.shape, y_pred.shape]
    if answered is not None:
        answered = np.asarray(answered, dtype=np.bool_)
        shapes.append(answered.shape)
    if y_true.ndim != 2 or len(set(shapes)) > 1:
        raise ValueError(f"label vectors must all have one shape (n_samples, n_labels), got {shapes}")
    return y_true, y_pred if answered is None else y_pred & answered, answered


def _rows(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None) -> _Rows:
    y_true, y_pred, answered = _masked(y_true, y_pred, answered)
    complete = np.ones(len(y_true), np.bool_) if answered is None else np.logical_and.reduce(answered, axis=1)
    return _Rows(
        both=np.count_nonzero(y_true & y_pred, axis=1),
        gold=np.count_nonzero(y_true, axis=1),
        predicted=np.count_nonzero(y_pred, axis=1),
        complete=complete,
        n_labels=y_true.shape[1],
    )


def _ratio(part: IntVector, whole: IntVector, undefined: float = NAN) -> FloatVector:
    out = np.full(part.shape, undefined)
    np.divide(part, whole, out=out, where=whole != 0)
    return out


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else NAN


def _mean(values: FloatVector | IntVector | BoolVector) -> float:
    return float(values.mean()) if values.size else NAN


def _macro(values: FloatVector, counts: Counts) -> float:
    return _mean(np.nan_to_num(values[counts.support > 0], nan=0.0))


def _weighted(values: FloatVector, counts: Counts) -> float:
    return _share(float(np.nan_to_num(values, nan=0.0) @ counts.support), float(counts.support.sum()))
