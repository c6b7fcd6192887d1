"""Paired statistics of label vectors: intervals, tests, corrections and verdicts.

Two runs are compared on the same samples, so everything here is paired: a sample is drawn, or swapped, whole, with all
its labels and all its repeats.

* `bootstrap` draws samples with replacement (Efron 1979); the 2.5 % and 97.5 % percentiles of a score or of a
  difference over the resamples are its interval.
* `sign_swap` exchanges the two runs' answers of samples at random (Fisher 1935; Yeh 2000, "More accurate tests for the
  statistical significance of result differences"): were the runs equally good, no exchange would matter.
* `mcnemar` is the exact test of two paired shares. It tests accuracy, never an F1: 10 labels found and 10 false alarms
  more leave accuracy where it was and move F1.
* `holm` corrects for testing many labels; `verdict` says in one word what can be said.

Nothing loops over resamples or labels: a score is a function of sums over samples, so all resamples of all labels are
one product of weights and sparse sufficient statistics. Random numbers come from NumPy's PCG64 with a given seed; the
same inputs and seed give the same values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector

FloatMatrix: TypeAlias = NDArray[np.float64]

AVERAGES = ("macro_f1", "micro_f1", "weighted_f1", "samples_f1", "subset_accuracy", "coverage")
"""The scores that are resampled, besides the F1 of each label."""

LEVEL = 0.95
"""Share of intervals that hold the true value."""

ALPHA = 0.05
"""Two-sided: how often a test may see a difference where there is none."""

MARGIN = 0.02
"""How much lower a score may be and still be called no worse."""

LEAST_SUPPORT = 20
"""Gold cells that a label needs before anything is said of it."""

RESAMPLES = 1_000
PERMUTATIONS = 10_000
"""Corrected for 230 labels a p-value of 0.05 needs one below 0.0003, which 1,000 permutations cannot give."""

MOST_EXACT = 13
"""Changed samples up to which all ``2 ** n`` exchanges are made instead of random ones."""

DETECTABLE = 2.8
"""Standard errors that a difference must be to be found with 80 % power, two-sided at 5 %: 1.96 + 0.84."""

CELLS_AT_ONCE = 4_000_000
"""Numbers in a block of resampling weights: 32 MB of them."""

TOLERANCE = 1e-9
"""Differences of scores that are equal but for rounding."""

MOST_IN_DOUBLE = 4_096
"""Changed samples up to which exchanges are summed in double precision; above it in single, which counts below 2**24 do
not notice and which halves the time."""

Verdict: TypeAlias = Literal["better", "worse", "no worse", "inconclusive", "too few to tell"]


# --- what an answer comes to ------------------------------------------------------------------------------------------


class Repeat(NamedTuple):
    """The answers of one repeat: bool arrays of shape (n_samples, n_labels), as in `metrics`."""

    y_pred: BoolMatrix
    answered: BoolMatrix


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """A run's answers as what scores are made of: what each sample adds to each count.

    Attributes:
        gold: Gold cells, sparse, shape (n_samples, n_labels).
        tp: By repeat, cells that are gold and predicted.
        predicted: By repeat, cells that are predicted.
        per_sample: By the name of a score that is a mean over samples, its value for each sample (the mean over
            repeats), shape (n_samples,).
        exact: By repeat, which samples are exactly right.
    """

    gold: sparse.csr_array
    tp: tuple[sparse.csr_array, ...]
    predicted: tuple[sparse.csr_array, ...]
    per_sample: Mapping[str, FloatVector]
    exact: tuple[BoolVector, ...]

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
    tp = [y_true & each for each in predicted]
    gold_size = np.count_nonzero(y_true, axis=1)
    complete = [np.logical_and.reduce(repeat.answered, axis=1) for repeat in repeats]
    exact = tuple(
        np.logical_and.reduce(y_true == each, axis=1) & whole for each, whole in zip(predicted, complete, strict=True)
    )
    f1 = [
        _sample_f1(np.count_nonzero(hit, axis=1), gold_size + np.count_nonzero(each, axis=1), whole)
        for hit, each, whole in zip(tp, predicted, complete, strict=True)
    ]
    return Outcomes(
        gold=_sparse(y_true),
        tp=tuple(map(_sparse, tp)),
        predicted=tuple(map(_sparse, predicted)),
        per_sample={
            "samples_f1": np.mean(f1, axis=0),
            "subset_accuracy": np.mean(exact, axis=0),
            "coverage": np.mean(complete, axis=0),
        },
        exact=exact,
    )


def _sample_f1(tp: NDArray[Any], sizes: NDArray[Any], complete: BoolVector) -> FloatVector:
    """Return the F1 of each sample: 1 where gold and prediction are both empty, 0 where a cell is unanswered."""
    values = np.ones(len(tp))
    np.divide(2.0 * tp, sizes, out=values, where=sizes != 0)
    values[~complete] = 0.0
    return values


def _sparse(cells: BoolMatrix) -> sparse.csr_array:
    return sparse.csr_array(cells.astype(np.float64))


# --- intervals --------------------------------------------------------------------------------------------------------


class Replicates(NamedTuple):
    """The scores of one run in every resample.

    Attributes:
        averages: By name of the score, shape (n_resamples,); NaN where a resample leaves it undefined.
        labels: F1 of each label, shape (n_resamples, n_labels); NaN where a resample has the label neither in gold nor
            in the answers.
    """

    averages: Mapping[str, FloatVector]
    labels: FloatMatrix


class Interval(NamedTuple):
    """From where to where a value may lie; NaN, NaN when nothing can be said."""

    low: float
    high: float


def bootstrap(runs: Sequence[Outcomes], resamples: int = RESAMPLES, seed: int = 0) -> tuple[Replicates, ...]:
    """Return the scores of each run in resamples of the samples, drawn with replacement.

    All runs are scored on the same resamples, so that the difference of two runs' replicates is a replicate of their
    difference. In a resample macro F1 is over the labels that are supported in it. Scores of several repeats are means.

    Args:
        runs: On the same samples, in the same order.
        resamples: How many, 1 or more.
        seed: Of the draws.
    """
    n, n_labels = runs[0].n_samples, runs[0].n_labels
    stacked = _stacked(runs)
    labels = [np.empty((resamples, n_labels)) for _ in runs]
    averages: list[dict[str, FloatVector]] = [{name: np.full(resamples, NAN) for name in AVERAGES} for _ in runs]
    if not n:
        return tuple(Replicates(each, np.full((resamples, n_labels), NAN)) for each in averages)
    for first, weights in _weights(n, resamples, np.random.default_rng(seed)):
        sums = stacked @ weights  # (statistics, resamples of this block)
        block = slice(first, first + weights.shape[1])
        gold, rest = sums[:n_labels], sums[n_labels:]
        for at, run in enumerate(runs):
            size = 2 * n_labels * len(run.tp) + len(run.per_sample)
            mine, rest = rest[:size], rest[size:]
            counts = mine[: 2 * n_labels * len(run.tp)].reshape(len(run.tp), 2, n_labels, -1)
            f1, found = _f1_scores(gold[None], counts[:, 0], counts[:, 1])
            labels[at][block] = f1.T
            for name, values in found.items():
                averages[at][name][block] = values
            for name, values in zip(run.per_sample, mine[-len(run.per_sample) :], strict=True):
                averages[at][name][block] = values / n
    return tuple(Replicates(*each) for each in zip(averages, labels, strict=True))


def _stacked(runs: Sequence[Outcomes]) -> sparse.csr_array:
    """Return all that is summed over samples, one row a statistic: gold, then for each run its counts and means."""
    rows: list[Any] = [runs[0].gold.T]
    for run in runs:
        for tp, predicted in zip(run.tp, run.predicted, strict=True):
            rows += [tp.T, predicted.T]
        rows.append(sparse.csr_array(np.stack(list(run.per_sample.values()))))
    return sparse.csr_array(sparse.vstack(rows, format="csr"))


def _weights(n: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[int, FloatMatrix]]:
    """Yield how often each sample is in each resample, in blocks of shape (n_samples, resamples of the block)."""
    step = max(1, min(resamples, CELLS_AT_ONCE // n))
    for first in range(0, resamples, step):
        size = min(step, resamples - first)
        drawn = rng.integers(0, n, size=(size, n))
        drawn += np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        yield first, np.ascontiguousarray(counts.T, dtype=np.float64)


def _f1_scores(
    gold: FloatMatrix, tp: FloatMatrix, predicted: FloatMatrix
) -> tuple[FloatMatrix, dict[str, FloatVector]]:
    """Return the F1 of labels and its averages from counts, each the mean over the repeats.

    Args:
        gold: Support, shape (1 or n_repeats, n_labels, m) for m resamples.
        tp: True positives, shape (n_repeats, n_labels, m).
        predicted: Predicted cells, of the same shape.

    Returns:
        F1 of shape (n_labels, m), NaN at 0/0; and by name the averages of shape (m,): macro over the supported labels.
    """
    f1 = _divided(2 * tp, gold + predicted)
    supported = gold > 0
    defined = np.where(supported, np.nan_to_num(f1), 0.0)
    averages = {
        "macro_f1": _divided(defined.sum(axis=1), supported.sum(axis=1)),
        "micro_f1": _divided(2 * tp.sum(axis=1), gold.sum(axis=1) + predicted.sum(axis=1)),
        "weighted_f1": _divided((defined * gold).sum(axis=1), gold.sum(axis=1)),
    }
    return _mean_over_repeats(f1), {name: _mean_over_repeats(values) for name, values in averages.items()}


def _mean_over_repeats(values: FloatMatrix) -> FloatMatrix:
    """Return the mean over the first axis of what is defined; NaN where nothing is."""
    if len(values) == 1:
        only: FloatMatrix = values[0]
        return only
    defined = ~np.isnan(values)
    return _divided(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))


def _divided(part: NDArray[Any], whole: NDArray[Any]) -> FloatMatrix:
    out: FloatMatrix = np.full(np.broadcast_shapes(part.shape, whole.shape), NAN)
    np.divide(part, whole, out=out, where=whole != 0)
    return out


def interval(replicates: FloatVector, level: float = LEVEL) -> Interval:
    """Return the percentile interval of a score or a difference (Efron & Tibshirani 1993, chapter 13).

    Resamples in which the value is undefined are left out; NaN, NaN when it is defined in fewer than half of them.
    """
    low, high = intervals(replicates[:, None], level)
    return Interval(float(low[0]), float(high[0]))


def intervals(replicates: FloatMatrix, level: float = LEVEL) -> tuple[FloatVector, FloatVector]:
    """Return low and high ends of the percentile intervals of each column, shape (n_columns,); see `interval`."""
    tail = (1 - level) / 2
    missing = np.isnan(replicates)
    low, high = np.full(replicates.shape[1], NAN), np.full(replicates.shape[1], NAN)
    whole = ~missing.any(axis=0)
    if whole.any():
        low[whole], high[whole] = np.quantile(replicates[:, whole], [tail, 1 - tail], axis=0)
    some = ~whole & (missing.mean(axis=0) < 0.5)
    if some.any():
        low[some], high[some] = np.nanquantile(replicates[:, some], [tail, 1 - tail], axis=0)
    return low, high


def standard_errors(replicates: FloatMatrix) -> FloatVector:
    """Return the standard deviation of each column over the resamples, shape (n_columns,); NaN as in `interval`."""
    defined = ~np.isnan(replicates)
    n = defined.sum(axis=0)
    mean = _divided(np.where(defined, replicates, 0.0).sum(axis=0), n)
    squares = np.where(defined, (replicates - mean) ** 2, 0.0).sum(axis=0)
    errors = np.sqrt(_divided(squares, np.maximum(n - 1, 0)))
    errors[n <= len(replicates) / 2] = NAN
    return errors


def detectable(standard_error: float) -> float:
    """Return the smallest true difference that is found with 80 % power by a two-sided test at 5 %.

    It is ``2.8 × standard_error`` (Cohen 1988; 2.8 = 1.96 + 0.84), for the paired standard error of the difference.
    """
    return DETECTABLE * standard_error


# --- tests ------------------------------------------------------------------------------------------------------------


class PValues(NamedTuple):
    """Two-sided p-values of the difference of two runs.

    Attributes:
        averages: By name of the score.
        labels: Of the F1 of each label, shape (n_labels,); NaN for labels without support.
        exact: Whether all exchanges were made, not a random choice of them.
    """

    averages: Mapping[str, float]
    labels: FloatVector
    exact: bool


def sign_swap(before: Outcomes, after: Outcomes, permutations: int = PERMUTATIONS, seed: int = 0) -> PValues:
    """Return the p-values of the differences: how often exchanging the two runs' answers gives one as large.

    A sample is exchanged whole, with chance 1/2. Up to `MOST_EXACT` samples that differ, every exchange is made once
    and p is the share with a difference at least as large; above that ``p = (1 + hits) / (1 + permutations)`` (Phipson
    & Smyth 2010, "Permutation P-values should never be zero"). Of several repeats, the mean counts are compared: for
    one repeat that is the F1 itself.

    Args:
        before: The baseline's outcomes.
        after: The later run's, on the same samples in the same order.
        permutations: Number of random exchanges.
        seed: Of the exchanges.
    """
    tp, predicted = _mean_counts(before), _mean_counts(after)
    old_tp, old_predicted = tp
    new_tp, new_predicted = predicted
    change_tp, change_predicted = new_tp - old_tp, new_predicted - old_predicted
    means = np.stack([after.per_sample[name] - before.per_sample[name] for name in before.per_sample], axis=1)
    moved = np.flatnonzero(_row_sizes(change_tp) + _row_sizes(change_predicted) + np.abs(means).sum(axis=1))
    exact, precision = len(moved) <= MOST_EXACT, np.float64 if len(moved) <= MOST_IN_DOUBLE else np.float32
    changes = sparse.csr_array(
        sparse.hstack([change_tp[moved], change_predicted[moved], sparse.csr_array(means[moved])], format="csr").T,
        dtype=precision,
    )
    support = _column_sums(before.gold)
    base = [_column_sums(each) for each in (old_tp, new_tp, old_predicted, new_predicted)]
    observed = _exchanged(changes @ np.zeros((len(moved), 1)), support, base, means)
    hits = np.zeros(len(observed))
    n_drawn = 0
    for swaps in _swaps(len(moved), permutations, exact, np.random.default_rng(seed)):
        sums = np.asarray(changes @ swaps.astype(precision), dtype=np.float64)
        drawn = np.abs(_exchanged(sums, support, base, means))
        hits += np.count_nonzero(drawn >= np.abs(observed) - TOLERANCE, axis=1)
        n_drawn += swaps.shape[1]
    p = hits / n_drawn if exact else (1 + hits) / (1 + n_drawn)
    p[np.isnan(observed[:, 0])] = NAN
    n_labels = before.n_labels
    names = (*_F1_AVERAGES, *before.per_sample)
    labels = np.where(support > 0, p[:n_labels], NAN)
    return PValues(dict(zip(names, p[n_labels:].tolist(), strict=True)), labels, exact)


_F1_AVERAGES = AVERAGES[:3]


def _mean_counts(run: Outcomes) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return true positives and predicted cells, the mean over the repeats, each of shape (n_samples, n_labels)."""
    return _mean_matrix(run.tp), _mean_matrix(run.predicted)


def _mean_matrix(repeats: Sequence[sparse.csr_array]) -> sparse.csr_array:
    total = repeats[0]
    for each in repeats[1:]:
        total = total + each
    return sparse.csr_array(total / len(repeats))


def _row_sizes(cells: sparse.csr_array) -> FloatVector:
    return np.asarray(abs(cells).sum(axis=1), dtype=np.float64)


def _column_sums(cells: sparse.csr_array) -> FloatVector:
    return np.asarray(cells.sum(axis=0), dtype=np.float64)


def _exchanged(
    moved: FloatMatrix, support: FloatVector, base: Sequence[FloatVector], means: FloatMatrix
) -> FloatMatrix:
    """Return the differences, after - before, when the given sums went from one run to the other.

    Rows are the labels, then the averages; columns the exchanges.
    """
    n_labels = len(support)
    tp, predicted, rest = moved[:n_labels], moved[n_labels : 2 * n_labels], moved[2 * n_labels :]
    old_tp, new_tp, old_predicted, new_predicted = (each[:, None] for each in base)
    gold = support[None, :, None]
    before, before_averages = _f1_scores(gold, (old_tp + tp)[None], (old_predicted + predicted)[None])
    after, after_averages = _f1_scores(gold, (new_tp - tp)[None], (new_predicted - predicted)[None])
    n = max(1, len(means))
    shifted = (means.sum(axis=0)[:, None] - 2 * rest) / n
    return np.vstack([after - before, *(after_averages[name] - before_averages[name] for name in _F1_AVERAGES), shifted])


def _swaps(n: int, permutations: int, exact: bool, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Yield which of ``n`` samples are exchanged, 0 or 1, in blocks of shape (n, exchanges of the block)."""
    if exact:
        yield ((np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1).astype(np.uint8)
        return
    step = max(8, CELLS_AT_ONCE // n // 8 * 8)
    for first in range(0, permutations, step):
        bits = np.unpackbits(np.frombuffer(rng.bytes(n * step // 8), np.uint8)).reshape(n, step)
        yield bits[:, : permutations - first]


def mcnemar(lost: int, won: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: is right→wrong as likely as wrong→right?

    ``p = min(1, 2 · P(X ≤ min(lost, won)))`` with X binomial over the ``lost + won`` samples that differ, chance 1/2
    (McNemar 1947; Agresti 2013, section 11.1). 1 when no sample differs.

    Args:
        lost: Samples that were right before and are wrong after.
        won: Samples that were wrong before and are right after.
    """
    if lost + won == 0:
        return 1.0
    few, n = min(lost, won), lost + won
    return min(1.0, 2.0 * float(special.bdtr(few, n, 0.5)))


def holm(p_values: Sequence[float] | FloatVector) -> FloatVector:
    """Return p-values corrected for their number by Holm (1979): the chance of any false alarm stays below alpha.

    The i-th smallest of m is multiplied by ``m - i + 1``, is at least the one before it and at most 1. NaN is no test:
    it does not count and stays NaN. Shape and order are those of the argument.
    """
    p = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(p.shape, NAN)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return corrected


def verdict(
    low: float, high: float, p: float, *, size: float, margin: float = MARGIN, alpha: float = ALPHA
) -> Verdict:
    """Return in a word what can be said of a difference of scores, of which more is better.

    * better, worse: p is at most ``alpha`` and the interval leaves out 0: both ways of asking agree;
    * no worse: neither, the interval ends above ``-margin``, and there are at least ``3 / margin`` samples: with fewer,
      nothing seen is no proof that nothing is there (the rule of three, Hanley & Lippman-Hand 1983);
    * inconclusive: none of these, so the samples cannot tell, or nothing is defined.

    Args:
        low: Lower end of the difference's interval.
        high: Upper end.
        p: Its p-value, corrected where several are tested.
        size: On how many it rests: samples of an average, gold cells of a label.
        margin: How much lower is still no worse.
        alpha: Level of the test.
    """
    if any(map(math.isnan, (low, high, p))):
        return "inconclusive"
    if p <= alpha and low > 0:
        return "better"
    if p <= alpha and high < 0:
        return "worse"
    return "no worse" if low > -margin and size >= 3 / margin else "inconclusive"
