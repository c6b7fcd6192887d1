"""What triggers catch: their price, coverage and precision on some cases, and the gain of a perfect next pass.

The gain is an upper bound and called so: it is what the scores would gain if every sample that is sent became right. All
of it comes from products of masks with what each case adds to the counts that scores are made of (see `outcomes`), so that
thousands of triggers cost no more than a few.

Counts are means over the repeats, as scores are. 0/0 is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cases import Cases
from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector, IntVector
from harness.outcomes import FloatMatrix, Repeat, divided, f1_scores, outcomes
from harness.resampling import RESAMPLES, Interval, bootstrap, interval, weights

BOUNDED = ("macro_f1", "micro_f1", "subset_accuracy")
"""The headline scores whose gain has an upper bound."""

SCOPE_SHARE = 0.8
"""Share of the errors that the labels in question hold among what is sent."""

SCOPE_LABELS = 8
"""Labels that are in question at most: a prompt about more of them is about nothing in particular."""

PERMUTATIONS = 5_000
"""Random exchanges: a p-value of 0.05 is then known to 0.003."""

DRAWS = 200
"""Random choices of as many samples."""

CELLS_AT_ONCE = 4_000_000
"""Numbers in a block of exchanges."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a trigger does on some cases. A share is of the samples, errors or wrong cells there.

    Attributes:
        n: Samples.
        sent: Samples that it sends.
        price: ``sent / n``: the share of the samples that are asked twice.
        wrong: Samples with a wrong cell.
        wrong_sent: Those among the ones that are sent.
        coverage_samples: ``wrong_sent / wrong``.
        precision: ``wrong_sent / sent``: the share of what is sent that is wrong.
        base_rate: ``wrong / n``: what the precision of any trigger must beat.
        lift: ``precision / base_rate``.
        errors: Errors, see `harness.cases`.
        errors_sent: Those among the samples that are sent.
        coverage: ``errors_sent / errors``.
        excess: Errors caught beyond what as many random samples would hold: ``errors_sent - sent * errors / n``.
        cells: Cells that are missed, added or unanswered.
        cells_sent: Those among the samples that are sent.
        scores: The scores as they are, by the names in `BOUNDED`.
        bound: What each would gain at most: if every sample that is sent became right in all its cells.
        scope: The labels in question: the fewest that hold `SCOPE_SHARE` of the errors among what is sent, the one with
            the most errors first, `SCOPE_LABELS` at most. An unanswered cell is an error of its label where it is gold.
        scope_share: Share of the errors among what is sent that these labels hold.
        scope_bound: What each score would gain at most if only their cells became right.
    """

    n: int
    sent: float
    price: float
    wrong: float
    wrong_sent: float
    coverage_samples: float
    precision: float
    base_rate: float
    lift: float
    errors: float
    errors_sent: float
    coverage: float
    excess: float
    cells: float
    cells_sent: float
    scores: Mapping[str, float]
    bound: Mapping[str, float]
    scope: tuple[str, ...]
    scope_share: float
    scope_bound: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """The intervals of a trigger's numbers, by bootstrap over samples; NaN, NaN where nothing can be said."""

    price: Interval
    precision: Interval
    lift: Interval
    coverage: Interval
    coverage_samples: Interval
    bound: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Reference:
    """What as many random samples would do: means over `DRAWS` choices.

    Attributes:
        sent: Samples that are sent.
        coverage: Share of the errors that they hold.
        coverage_samples: Share of the wrong samples.
        bound: By score, what it would gain at most.
        bound_interval: In which range 95 % of the choices lie.
    """

    sent: float
    coverage: float
    coverage_samples: float
    bound: Mapping[str, float]
    bound_interval: Mapping[str, Interval]


def measure(cases: Cases, samples: BoolVector, masks: BoolMatrix) -> tuple[Numbers, ...]:
    """Return the numbers of triggers on some of the samples.

    Args:
        cases: All cases.
        samples: The samples that count, shape (n_samples,).
        masks: Where each trigger is true, shape (n_triggers, n_rows).
    """
    rows = np.flatnonzero(cases.by_case(samples))
    sent = masks[:, rows]
    counts = _counts(cases, rows, sent)
    scopes = [_scope(each) for each in counts.errors_sent.T]
    inside = np.zeros((len(masks), len(cases.space)), np.bool_)
    for at, scope in enumerate(scopes):
        inside[at, scope] = True
    scores = {name: float(values[0]) for name, values in counts.scores(None).items()}
    bounds, scope_bounds = counts.scores(np.ones_like(inside)), counts.scores(inside)
    scores["subset_accuracy"] = _mean(~cases.wrong[rows])
    mended = (
        {"subset_accuracy": np.count_nonzero(sent & cases.wrong[rows], axis=1)},
        {"subset_accuracy": _mended(cases.wrong_cells[rows], sent, inside)},
    )
    found = []
    for at, scope in enumerate(scopes):
        bound, scope_bound = (
            {
                **{name: float(after[name][at]) - scores[name] for name in after},
                **{name: _ratio(n[at], len(rows)) for name, n in exact.items()},
            }
            for after, exact in zip((bounds, scope_bounds), mended, strict=True)
        )
        held = counts.errors_sent[:, at]
        found.append(
            Numbers(
                **_shares(cases, rows, sent[at]),
                scores=scores,
                bound=bound,
                scope=tuple(cases.space.names[place] for place in scope),
                scope_share=_ratio(held[scope].sum(), held.sum()),
                scope_bound=scope_bound,
            )
        )
    return tuple(found)


def _shares(cases: Cases, rows: IntVector, sent: BoolVector) -> dict[str, Any]:
    """Return the numbers of a trigger but for its gains."""
    times, wrong, errors, cells = cases.n_repeats, cases.wrong[rows], cases.errors[rows], cases.n_cells[rows]
    n_sent, n_wrong, wrong_sent = (int(np.count_nonzero(each)) for each in (sent, wrong, wrong & sent))
    precision, base_rate = _ratio(wrong_sent, n_sent), _ratio(n_wrong, len(rows))
    held = float(errors[sent].sum())
    return {
        "n": len(rows) // times,
        "sent": n_sent / times,
        "price": _ratio(n_sent, len(rows)),
        "wrong": n_wrong / times,
        "wrong_sent": wrong_sent / times,
        "coverage_samples": _ratio(wrong_sent, n_wrong),
        "precision": precision,
        "base_rate": base_rate,
        "lift": _ratio(precision, base_rate),
        "errors": float(errors.sum()) / times,
        "errors_sent": held / times,
        "coverage": _ratio(held, errors.sum()),
        "excess": (held - n_sent * _mean(errors)) / times if len(rows) else 0.0,
        "cells": float(cells.sum()) / times,
        "cells_sent": float(cells[sent].sum()) / times,
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """What scores are made of, and what of it lies in the cases that each of m triggers sends.

    Attributes:
        gold: Support, shape (n_labels,).
        missed: False negatives by repeat, shape (n_repeats, n_labels, 1).
        added: False positives, of the same shape.
        missed_sent: Those that are sent, shape (n_repeats, n_labels, m).
        added_sent: The same of false positives.
    """

    gold: IntVector
    missed: FloatMatrix
    added: FloatMatrix
    missed_sent: FloatMatrix
    added_sent: FloatMatrix

    @property
    def errors_sent(self) -> FloatMatrix:
        """False negatives and positives that are sent, over all repeats: shape (n_labels, m)."""
        errors: FloatMatrix = (self.missed_sent + self.added_sent).sum(axis=0)
        return errors

    def scores(self, mended: BoolMatrix | None) -> dict[str, FloatVector]:
        """Return the F1 scores in `BOUNDED`, shape (m,), when cells of these labels became right in what is sent.

        Args:
            mended: The labels by trigger, shape (m, n_labels); None leaves everything as it is, and then m is 1.
        """
        missed, added = self.missed, self.added
        if mended is not None:
            missed, added = missed - self.missed_sent * mended.T, added - self.added_sent * mended.T
        _, averages = f1_scores(self.gold[None, :, None].astype(np.float64), missed, added)
        return {name: values for name, values in averages.items() if name in BOUNDED}


def _counts(cases: Cases, rows: IntVector, sent: BoolMatrix) -> _Counts:
    times, n = cases.n_repeats, len(rows) // cases.n_repeats
    by_repeat = sent.reshape(len(sent), times, n).astype(np.float32)

    def of(cells: BoolMatrix) -> tuple[FloatMatrix, FloatMatrix]:
        each = (
            cells[rows].reshape(times, n, len(cases.space)).astype(np.float32)
        )  # counts of cases are exact in single precision
        caught = [each[repeat].T @ by_repeat[:, repeat].T for repeat in range(times)]
        return each.sum(axis=1, dtype=np.float64)[:, :, None], np.array(caught, np.float64)

    (missed, missed_sent), (added, added_sent) = of(cases.missed), of(cases.added)
    return _Counts(np.count_nonzero(cases.y_true[rows[:n]], axis=0), missed, added, missed_sent, added_sent)


def _scope(errors: FloatVector) -> list[int]:
    """Return the labels in question, given the errors by label among what is sent."""
    order = np.argsort(-errors, kind="stable")[:SCOPE_LABELS]
    order = order[errors[order] > 0]
    reached = np.cumsum(errors[order]) >= SCOPE_SHARE * errors.sum() - 1e-9
    enough = int(reached.argmax()) + 1 if reached.any() else len(order)
    chosen: list[int] = order[:enough].tolist()
    return chosen


def _mended(wrong: BoolMatrix, sent: BoolMatrix, inside: BoolMatrix) -> IntVector:
    """Return by trigger how many of the wrong cases that it sends have no wrong cell outside of its scope."""
    n_cells = np.count_nonzero(wrong, axis=1)
    return np.array(
        [
            np.count_nonzero((n_cells[each] > 0) & (np.count_nonzero(wrong[each][:, scope], axis=1) == n_cells[each]))
            for each, scope in zip(sent, inside, strict=True)
        ],
        np.int64,
    )


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else NAN


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else NAN


# --- how sure ---------------------------------------------------------------------------------------------------------


def uncertainty(
    cases: Cases, samples: BoolVector, mask: BoolVector, resamples: int = RESAMPLES, seed: int = 0
) -> Uncertainty:
    """Return the intervals of a trigger's numbers on some of the samples.

    Args:
        cases: All cases.
        samples: The samples that count, shape (n_samples,).
        mask: Where the trigger is true, shape (n_rows,).
        resamples: Of the samples, with replacement; a sample is drawn with all its repeats.
        seed: Of the draws.
    """
    wrong, errors = cases.wrong.astype(np.float64), cases.errors
    every = np.ones_like(errors)
    sums = np.stack([cases.per_sample(each)[samples] for each in (every, wrong, errors)])
    sent = np.stack([cases.per_sample(each * mask)[samples] for each in (every, wrong, errors)])
    drawn = (
        [
            np.concatenate([sums, sent]) @ block
            for _, block in weights(sums.shape[1], resamples, np.random.default_rng(seed))
        ]
        if sums.shape[1]
        else [np.zeros((6, resamples))]
    )
    n, n_wrong, n_errors, n_sent, wrong_sent, errors_sent = np.concatenate(drawn, axis=1)
    precision = divided(wrong_sent, n_sent)
    return Uncertainty(
        price=interval(divided(n_sent, n)),
        precision=interval(precision),
        lift=interval(divided(precision, divided(n_wrong, n))),
        coverage=interval(divided(errors_sent, n_errors)),
        coverage_samples=interval(divided(wrong_sent, n_wrong)),
        bound=_bound_intervals(cases, samples, mask, resamples, seed),
    )


def _bound_intervals(
    cases: Cases, samples: BoolVector, mask: BoolVector, resamples: int, seed: int
) -> dict[str, Interval]:
    """Return by score the interval of its gain, if everything that is sent became right."""
    shape = cases.n_repeats, cases.n_samples, len(cases.space)
    gold, predicted, answered = (
        each.reshape(shape)[:, samples] for each in (cases.y_true, cases.y_pred, cases.answered)
    )
    sent = mask.reshape(cases.n_repeats, cases.n_samples, 1)[:, samples]
    before = outcomes(gold[0], [Repeat(*each) for each in zip(predicted, answered, strict=True)])
    perfect = zip(np.where(sent, gold, predicted), answered | sent, strict=True)
    after = outcomes(gold[0], [Repeat(*each) for each in perfect])
    old, new = bootstrap([before, after], resamples, seed)
    return {name: interval(new.averages[name] - old.averages[name]) for name in BOUNDED}


def excess_p(
    sent: FloatVector,
    errors: FloatVector,
    strata: IntVector | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """Return the one-sided p-value of the errors that are caught: do as many samples, chosen at random, hold as many?

    The errors are dealt to the samples anew at random, and ``p = (1 + hits) / (1 + permutations)``, where a hit catches at
    least as many (Fisher 1935; Phipson & Smyth 2010). For samples that are right or wrong it is Fisher's exact test.

    Args:
        sent: How often each sample is sent, in as many repeats as there are; shape (n_samples,).
        errors: Its errors in all repeats.
        strata: Parts within which errors are dealt, as ints; None is one part.
        permutations: Number of random exchanges.
        seed: Of the exchanges.

    Returns:
        The p-value; 1 where nothing or everything is sent, or no sample has more errors than another.
    """
    parts = np.zeros(len(sent), np.int64) if strata is None else strata
    rng = np.random.default_rng(seed)
    caught = np.zeros(permutations)
    least = 0.0
    for part in np.unique(parts):
        ours, theirs = sent[parts == part], errors[parts == part]
        if np.ptp(ours) and np.ptp(theirs):
            least += float(ours @ theirs)
            caught += _dealt(ours, theirs, permutations, rng)
    return float((1 + np.count_nonzero(caught >= least - 1e-9)) / (1 + permutations))


def _dealt(sent: FloatVector, errors: FloatVector, permutations: int, rng: np.random.Generator) -> FloatVector:
    """Return the errors that are caught when they are dealt at random, shape (permutations,)."""
    rates, n_rates = np.unique(sent, return_counts=True)
    if len(rates) == 2:  # then only how many of each value fall to those that are sent more often matters
        values, counts = np.unique(errors, return_counts=True)
        dealt = rng.multivariate_hypergeometric(counts, int(n_rates[1]), permutations) @ values
        return np.asarray(rates[0] * errors.sum() + (rates[1] - rates[0]) * dealt, np.float64)
    step = max(1, CELLS_AT_ONCE // len(sent))
    found = []
    for first in range(0, permutations, step):
        size = min(step, permutations - first)
        found.append(rng.permuted(np.tile(errors, (size, 1)), axis=1) @ sent)
    return np.concatenate(found)


def reference(cases: Cases, samples: BoolVector, sent: float, seed: int = 0) -> Reference:
    """Return what as many random samples would catch.

    Args:
        cases: All cases.
        samples: The samples that count, shape (n_samples,).
        sent: How many of them are sent; rounded to whole samples.
        seed: Of the choices.
    """
    rng = np.random.default_rng(seed)
    places, n = np.flatnonzero(samples), round(sent)
    masks = np.zeros((DRAWS, len(cases.rows)), np.bool_)
    for mask in masks:
        chosen = np.zeros(cases.n_samples, np.bool_)
        chosen[rng.permutation(places)[:n]] = True
        mask[:] = cases.by_case(chosen)
    found = measure(cases, samples, masks)
    gains = {name: np.array([each.bound[name] for each in found]) for name in BOUNDED}
    return Reference(
        sent=float(n),
        coverage=_mean(np.array([each.coverage for each in found])),
        coverage_samples=_mean(np.array([each.coverage_samples for each in found])),
        bound={name: _mean(values) for name, values in gains.items()},
        bound_interval={name: interval(values) for name, values in gains.items()},
    )
