"""Tests of two runs on the same samples: could chance alone have made their scores differ so much?

* `sign_swap` exchanges the two runs' answers of samples at random (Fisher 1935; Yeh 2000, "More accurate tests for the
  statistical significance of result differences"): were the runs equally good, no exchange would matter. It is the test
  of every F1.
* `mcnemar` is the same test for a share of samples, in closed form. It tests accuracy, never an F1: 10 labels found and
  10 false alarms more leave accuracy where it was and move F1.
* `holm` corrects for testing several at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.metrics import NAN, FloatVector
from harness.outcomes import F1_AVERAGES, FloatMatrix, Outcomes, column_sums, f1_of, f1_scores

if TYPE_CHECKING:
    from scipy import sparse

PERMUTATIONS = 10_000
"""Random exchanges: a p-value of 0.05 is then known to 0.002."""

MOST_EXACT = 13
"""Samples that differ up to which all ``2 ** n`` exchanges are made instead of random ones."""

TOLERANCE = 1e-9
"""Differences of scores that are equal but for rounding."""

MOST_IN_DOUBLE = 4_096
"""Samples that differ up to which exchanges are summed in double precision; above it in single, which whole numbers
below 2**24 do not notice and which halves the time."""

CELLS_AT_ONCE = 4_000_000
"""Numbers in a block of exchanges."""


class PValues(NamedTuple):
    """Two-sided p-values of the difference of two runs.

    Attributes:
        averages: By name of the score; NaN where the score is not defined.
        labels: Of the F1 of each label, shape (n_labels,); NaN for labels without support.
        exact: Whether all exchanges were made, not a random choice of them. The p-values of labels, and of means over
            samples that are right or wrong, are exact whenever both runs have one repeat.
    """

    averages: Mapping[str, float]
    labels: FloatVector
    exact: bool


def sign_swap(before: Outcomes, after: Outcomes, permutations: int = PERMUTATIONS, seed: int = 0) -> PValues:
    """Return the p-values of the differences: how often exchanging the two runs' answers gives one as large.

    A sample is exchanged whole, with chance 1/2. Three ways lead to that share, the first that fits is taken:

    * the F1 of a label (one repeat) and means of samples that are right or wrong: exactly, by `exchanged_labels` and
      `mcnemar`;
    * up to `MOST_EXACT` samples that differ: every exchange is made once;
    * else random ones, with ``p = (1 + hits) / (1 + permutations)`` (Phipson & Smyth 2010, "Permutation P-values should
      never be zero").

    Of several repeats the summed counts are compared: for one repeat that is the F1 itself.

    Args:
        before: The baseline's outcomes.
        after: The later run's, on the same samples in the same order.
        permutations: Number of random exchanges.
        seed: Of the exchanges.

    Raises:
        ValueError: The runs are not about as many samples and labels.
    """
    if before.gold.shape != after.gold.shape:
        raise ValueError(f"runs must be on the same samples, got {before.gold.shape} and {after.gold.shape}")
    means = np.stack([after.per_sample[name] - before.per_sample[name] for name in before.per_sample])
    means[np.abs(means) < TOLERANCE] = 0.0
    observed, p, exact = _exchange(
        _summed(before, after.n_repeats), _summed(after, before.n_repeats), means, permutations, seed
    )
    p[np.isnan(observed)] = NAN
    labels, averages = np.split(p, [before.n_labels])
    if before.n_repeats == after.n_repeats == 1:
        labels = exchanged_labels(before, after)
    for at, change in enumerate(means, start=len(F1_AVERAGES)):
        if before.n_samples and np.isin(change, (-1, 0, 1)).all():
            averages[at] = mcnemar(int(np.count_nonzero(change < 0)), int(np.count_nonzero(change > 0)))
    return PValues(
        averages=dict(zip((*F1_AVERAGES, *before.per_sample), averages.tolist(), strict=True)),
        labels=np.where(column_sums(before.gold) > 0, labels, NAN),
        exact=exact,
    )


# --- exchanges made one by one ----------------------------------------------------------------------------------------


class _Sums(NamedTuple):
    """The counts of a run, summed over its repeats and scaled so that both runs stand for as many.

    Whole numbers, which single precision adds without error, where means would be fractions.
    """

    gold: FloatVector
    missed: sparse.csr_array
    alarms: sparse.csr_array


def _summed(run: Outcomes, scale: int) -> _Sums:
    gold = column_sums(run.gold) * run.n_repeats * scale
    return _Sums(gold, _total(run.missed, scale), _total(run.alarms, scale))


def _total(repeats: Sequence[sparse.csr_array], scale: int) -> sparse.csr_array:
    from scipy import sparse

    total = repeats[0]
    for each in repeats[1:]:
        total = total + each
    return sparse.csr_array(total * float(scale))


def _exchange(
    old: _Sums, new: _Sums, means: FloatMatrix, permutations: int, seed: int
) -> tuple[FloatVector, FloatVector, bool]:
    """Return the observed differences, their p-values, and whether all exchanges were made: labels, then averages."""
    from scipy import sparse

    changes = sparse.csr_array(
        sparse.vstack([(new.missed - old.missed).T, (new.alarms - old.alarms).T, sparse.csr_array(means)])
    )
    moved = np.flatnonzero(abs(changes).sum(axis=0))
    exact, precision = len(moved) <= MOST_EXACT, np.dtype(np.float64 if len(moved) <= MOST_IN_DOUBLE else np.float32)
    changes = sparse.csr_array(changes[:, moved]).astype(precision)
    gold, n = old.gold, means.shape[1]
    was, now = (np.concatenate([column_sums(run.missed), column_sums(run.alarms)]) for run in (old, new))

    def differences(sums: FloatMatrix) -> FloatMatrix:
        """Return after - before, one column an exchange, when it takes these sums from the later run to the baseline."""
        counts, shifts = np.split(sums, [2 * len(gold)])
        old_f1, old_averages = _f1_scores(gold, was[:, None] + counts)
        new_f1, new_averages = _f1_scores(gold, now[:, None] - counts)
        rest = (means.sum(axis=1)[:, None] - 2 * shifts) / (n or NAN)
        return np.vstack([new_f1 - old_f1, *(new_averages[name] - old_averages[name] for name in F1_AVERAGES), rest])

    observed = differences(np.zeros((changes.shape[0], 1)))
    least = np.abs(observed) - TOLERANCE
    hits, n_made = np.zeros(len(observed)), 0
    for swaps in exchanges(len(moved), permutations, exact, np.random.default_rng(seed)):
        found = np.abs(differences(np.asarray(changes @ swaps.astype(precision), dtype=np.float64)))
        hits += np.count_nonzero(~(found < least), axis=1)  # what an exchange leaves undefined speaks for no difference
        n_made += swaps.shape[1]
    return observed[:, 0], hits / n_made if exact else (1 + hits) / (1 + n_made), exact


def _f1_scores(gold: FloatVector, errors: FloatMatrix) -> tuple[FloatMatrix, dict[str, FloatVector]]:
    missed, alarms = np.split(errors, 2)
    return f1_scores(gold[None, :, None], missed[None], alarms[None])


def exchanges(n: int, permutations: int, exact: bool, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Yield which of ``n`` samples are exchanged, 0 or 1, in blocks of shape (n, exchanges of the block).

    Args:
        n: Number of samples.
        permutations: Random exchanges, all blocks together.
        exact: Yield every possible exchange once instead.
        rng: Of the random ones.
    """
    if exact:
        yield ((np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1).astype(np.uint8)
        return
    step = -(-min(permutations, max(1, CELLS_AT_ONCE // n)) // 8) * 8  # whole bytes
    for first in range(0, permutations, step):
        bits = np.unpackbits(np.frombuffer(rng.bytes(n * step // 8), np.uint8)).reshape(n, step)
        yield bits[:, : permutations - first]


# --- exchanges counted ------------------------------------------------------------------------------------------------


class _Contested(NamedTuple):
    """Errors by label: those that both runs make, and those that one of them makes alone."""

    both: FloatVector
    old: FloatVector
    new: FloatVector

    @property
    def n(self) -> NDArray[np.int64]:
        """Errors that only one of the runs makes."""
        return (self.old + self.new).astype(np.int64)

    def of(self, labels: NDArray[np.int64]) -> _Contested:
        """Return the same for these labels."""
        return _Contested(self.both[labels], self.old[labels], self.new[labels])


def exchanged_labels(before: Outcomes, after: Outcomes) -> FloatVector:
    """Return the exact p-values of the F1 of each label over all exchanges of two runs of one repeat, shape (n_labels,).

    To a label, a sample is one cell. An error that both runs make is theirs in every exchange. Of the ``n`` gold cells
    that only one of them missed, an exchange gives ``k`` to the baseline and ``n - k`` to the later run, with ``k``
    binomial at chance 1/2; so too, independently, with the false alarms that only one of them raised. The p-value is
    the probability, over both, of a difference at least as large as the observed one.
    """
    support = column_sums(before.gold)
    missed, alarms = _contested(before.missed[0], after.missed[0]), _contested(before.alarms[0], after.alarms[0])
    least = np.abs(_f1_gap(support, missed, alarms, missed.old, alarms.old)) - TOLERANCE
    p = np.ones(len(support))
    changed = np.flatnonzero(least > 0)
    if changed.size:
        p[changed] = _tails(support[changed], missed.of(changed), alarms.of(changed), least[changed])
    return p


def _contested(old: sparse.csr_array, new: sparse.csr_array) -> _Contested:
    from scipy import sparse

    both = column_sums(sparse.csr_array(old.multiply(new)))
    return _Contested(both, column_sums(old) - both, column_sums(new) - both)


def _f1_gap(
    support: FloatVector, missed: _Contested, alarms: _Contested, k: NDArray[Any], m: NDArray[Any]
) -> FloatVector:
    """Return F1 after - before when the baseline has ``k`` of the contested misses and ``m`` of the contested alarms."""
    after = f1_of(support, missed.both + missed.n - k, alarms.both + alarms.n - m)
    return after - f1_of(support, missed.both + k, alarms.both + m)


def _tails(support: FloatVector, missed: _Contested, alarms: _Contested, least: FloatVector) -> FloatVector:
    """Return by label the probability of an exchange with a difference of at least ``least`` to either side.

    The more of the alarms the baseline has, the larger is the difference. So for every number of misses there is a
    least number of alarms from which on it is large enough, found by bisection. Both sides are equally likely.
    """
    from scipy import special

    sizes = missed.n + 1
    label = np.repeat(np.arange(len(sizes)), sizes)  # one row for each label and each number of its misses
    k = np.arange(len(label)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    its, rows, n_alarms = support[label], (missed.of(label), alarms.of(label)), alarms.n[label]
    low, high = np.zeros(len(label), np.int64), n_alarms + 1  # n_alarms + 1: no number of alarms is enough
    while (low < high).any():
        middle = (low + high) // 2
        enough = (_f1_gap(its, *rows, k, middle) >= least[label]) | (middle > n_alarms)
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    chance = _binomial(k, missed.n[label]) * np.where(low > 0, special.bdtrc(low - 1.0, n_alarms, 0.5), 1.0)
    return _probability(2.0 * np.bincount(label, weights=chance))


def _binomial(k: NDArray[np.int64], n: NDArray[np.int64]) -> FloatVector:
    """Return the probability of ``k`` of ``n`` at chance 1/2."""
    from scipy import special

    ways = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.asarray(np.exp(ways - n * np.log(2)))


def _probability(p: NDArray[Any]) -> FloatVector:
    """Return probabilities that rounding, and the smallest number there is, leave in (0, 1]."""
    return np.asarray(np.clip(p, np.finfo(np.float64).tiny, 1.0), dtype=np.float64)


# --- closed forms -----------------------------------------------------------------------------------------------------


def mcnemar(lost: int, won: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: is right→wrong as likely as wrong→right?

    ``p = min(1, 2 · P(X ≤ min(lost, won)))`` with X binomial over the ``lost + won`` samples that differ, chance 1/2
    (McNemar 1947; Agresti 2013, section 11.1). 1 when no sample differs.

    Args:
        lost: Samples that were right before and are wrong after.
        won: Samples that were wrong before and are right after.
    """
    from scipy import special

    if lost + won == 0:
        return 1.0
    return float(_probability(np.asarray(2.0 * special.bdtr(float(min(lost, won)), lost + won, 0.5))))


def holm(p_values: Sequence[float] | FloatVector) -> FloatVector:
    """Return p-values corrected for their number by Holm (1979): the chance of any false alarm stays below alpha.

    The i-th smallest of m is multiplied by ``m - i + 1``, is at least the one before it and at most 1. NaN is no test:
    it does not count and stays NaN. Shape and order are those of the argument.
    """
    p = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(p.shape, NAN)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p.flat[tested], kind="stable")]
    factors = len(order) - np.arange(len(order))
    corrected.flat[order] = np.minimum(1.0, np.maximum.accumulate(p.flat[order] * factors))
    return corrected
