"""The bootstrap: what scores, and differences of scores, would be in other samples of the same kind.

Samples are drawn with replacement (Efron 1979), each whole, with all its labels and all its repeats; the 2.5 % and
97.5 % percentiles of a score over the resamples are the ends of its interval. Nothing loops over labels or over single
resamples: see `outcomes`. Random numbers come from NumPy's PCG64 with a given seed; the same inputs and seed give the
same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.metrics import NAN, FloatVector
from harness.outcomes import AVERAGES, FloatMatrix, Outcomes, divided, f1_scores

if TYPE_CHECKING:
    from scipy import sparse

LEVEL = 0.95
"""Share of intervals that hold the true value."""

RESAMPLES = 1_000

DETECTABLE = 2.8
"""Standard errors that a difference must be to be found with 80 % power, two-sided at 5 %: 1.96 + 0.84."""

CELLS_AT_ONCE = 4_000_000
"""Numbers in a block of resampling weights: 32 MB of them."""


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
        runs: On the same samples, in the same order; at least one.
        resamples: How many, 1 or more.
        seed: Of the draws.
    """
    n, n_labels = runs[0].n_samples, runs[0].n_labels
    labels = [np.full((resamples, n_labels), NAN) for _ in runs]
    averages: list[dict[str, FloatVector]] = [{name: np.full(resamples, NAN) for name in AVERAGES} for _ in runs]
    if not n:
        return tuple(Replicates(*each) for each in zip(averages, labels, strict=True))
    stacked = _stacked(runs)
    for first, drawn in weights(n, resamples, np.random.default_rng(seed)):
        sums = stacked @ drawn  # (statistics, resamples of this block)
        block = slice(first, first + drawn.shape[1])
        gold, rest = sums[:n_labels], sums[n_labels:]
        for at, run in enumerate(runs):
            n_counts = 2 * n_labels * run.n_repeats
            counts, shortfalls, rest = np.split(rest, [n_counts, n_counts + len(run.per_sample)])
            errors = counts.reshape(run.n_repeats, 2, n_labels, -1)
            f1, found = f1_scores(gold[None], errors[:, 0], errors[:, 1])
            labels[at][block] = f1.T
            for name, values in (*found.items(), *zip(run.per_sample, 1 - shortfalls / n, strict=True)):
                averages[at][name][block] = values
    return tuple(Replicates(*each) for each in zip(averages, labels, strict=True))


def _stacked(runs: Sequence[Outcomes]) -> sparse.csr_array:
    """Return all that is summed over samples, one row a statistic: gold, then for each run its errors.

    Means over samples are summed as what each sample lacks to 1, which for most samples is nothing.
    """
    from scipy import sparse

    rows: list[Any] = [runs[0].gold.T]
    for run in runs:
        for missed, alarms in zip(run.missed, run.alarms, strict=True):
            rows += [missed.T, alarms.T]
        rows.append(sparse.csr_array(1 - np.stack(list(run.per_sample.values()))))
    return sparse.csr_array(sparse.vstack(rows, format="csr"))


def weights(n: int, resamples: int, rng: np.random.Generator) -> Iterator[tuple[int, FloatMatrix]]:
    """Yield how often each sample is in each resample, in blocks of shape (n_samples, resamples of the block)."""
    step = max(1, min(resamples, CELLS_AT_ONCE // n))
    for first in range(0, resamples, step):
        size = min(step, resamples - first)
        drawn = rng.integers(0, n, size=(size, n))
        drawn += np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        yield first, np.ascontiguousarray(counts.T, dtype=np.float64)


# --- what replicates say ----------------------------------------------------------------------------------------------


def interval(replicates: FloatVector, level: float = LEVEL) -> Interval:
    """Return the percentile interval of a score or a difference (Efron & Tibshirani 1993, chapter 13).

    Resamples in which the value is undefined are left out; NaN, NaN when it is defined in no more than half of them.
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
    mean = divided(np.where(defined, replicates, 0.0).sum(axis=0), n)
    squares = np.where(defined, (replicates - mean) ** 2, 0.0).sum(axis=0)
    errors = np.sqrt(divided(squares, np.maximum(n - 1, 0)))
    errors[n <= len(replicates) / 2] = NAN
    return errors


def detectable(standard_error: float) -> float:
    """Return the smallest true difference that is found with 80 % power by a two-sided test at 5 %.

    It is ``2.8 × standard_error`` (Cohen 1988; 2.8 = 1.96 + 0.84), for the paired standard error of the difference. NaN
    for a standard error of 0: where nothing varied, how much could have been found is not known.
    """
    return DETECTABLE * standard_error if standard_error else NAN


def unvarying(share: float, n: float, level: float = LEVEL) -> Interval:
    """Return the exact interval of a share of which ``n`` independent trials showed only 0 or only 1.

    No resample of such data varies, so the bootstrap would say [0, 0] or [1, 1]. Seen in none of ``n`` trials, a share
    may still be as high as ``1 - tail ** (1 / n)`` with ``tail = (1 - level) / 2``, about ``3.7 / n`` at 95 % (Clopper
    & Pearson 1934; Hanley & Lippman-Hand 1983, "If nothing goes wrong, is everything all right?").

    Args:
        share: 0 or 1.
        n: Number of trials; with none, nothing can be said.
        level: Of the interval.
    """
    if not n:
        return Interval(NAN, NAN)
    unseen = 1 - ((1 - level) / 2) ** (1 / n)
    return Interval(0.0, unseen) if share == 0 else Interval(1 - unseen, 1.0)
