"""Candidate triggers: `when` expressions of a next pass, made of what the answer so far and the input columns are.

A *literal* is one condition (``'shipping' in predicted``), a *trigger* one or more of them joined by ``and``. Each is made
together with its mask, which says of every case whether the expression is true there; no Jinja runs for it. The errors of
the cases that are given decide which of them are worth making. Gold is in none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.literals import KINDS, Kind, Limits, Literal, Signals, literals
from harness.metrics import BoolMatrix, BoolVector, FloatVector, IntVector
from harness.outcomes import FloatMatrix

CAUTION = 1.0
"""Standard errors that are taken off what a trigger catches, before it is ranked, however few were looked at."""

SHARPER = 2.0
"""Standard errors by which a conjunction must hold more errors than either of its parts."""

STEP = 0.5
"""Errors by which a conjunction must hold more for certain: half a step of a count, the correction for continuity. Without
it the last two right cases of twenty, left out by one of ten conditions, would be no chance."""

CHEAP = (0.05, 0.1, 0.2)
"""Shares of the cases within which some conjunctions are kept, so that a small price buys something too."""

SURELY = 0.95
"""How often the best of many random conditions stays below what is asked of one that is joined to a trigger."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A `when` expression.

    Attributes:
        source: The expression.
        conditions: What it joins by ``and``, each an expression.
        kinds: What each of them is about.
        caution: Standard errors that are taken off its merit.
        n_alike: How many triggers with conditions of these kinds were looked at, this among them.
        equivalents: How many other triggers that were made are true of just the same given cases.
    """

    source: str
    conditions: tuple[str, ...]
    kinds: tuple[Kind, ...]
    caution: float = CAUTION
    n_alike: int = 1
    equivalents: int = 0

    @property
    def simplicity(self) -> tuple[int, int, int, str]:
        """What of equal triggers decides: fewer conditions, kinds that stand earlier in `KINDS`, shorter, the text."""
        return len(self.conditions), sum(map(KINDS.index, self.kinds)), len(self.source), self.source


def best_of(n: int, chance: float = 0.5) -> float:
    """Return the standard errors that the best of ``n`` random ones stays below with this probability; else the median."""
    return NormalDist().inv_cdf(chance ** (1 / n))


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Triggers, those with the highest merit first, no two of them true of the same given cases.

    Attributes:
        triggers: The triggers.
        masks: Where each is true, shape (n_triggers, n_rows).
        merits: Of each, on the given cases; see `Caught.merit`.
        n_scored: Expressions that were looked at, these among them.
    """

    triggers: tuple[Trigger, ...]
    masks: BoolMatrix
    merits: FloatVector
    n_scored: int


class Caught(NamedTuple):
    """What masks send and catch of some cases, each of shape (n_masks,) or (n_masks, m)."""

    sent: FloatMatrix
    errors: FloatMatrix

    def merit(self, errors: FloatVector, caution: float | FloatVector = CAUTION) -> FloatMatrix:
        """Return the errors caught beyond what as many random cases would hold, less some standard errors of that.

        The first part, divided by the number of cases, is the weighted relative accuracy of subgroup discovery (Lavrač,
        Flach & Zupan 1999). It falls when cases with fewer errors than the average are sent too, and when cases with
        more are left out: the exact rule of the errors is above its supersets and its subsets. The second part is for
        runs with many errors, of which a large group has some too many by chance, more than a small one can have at all;
        and for kinds of which many were looked at, so that the best of some hundred words must be better than the best of
        some labels.

        Args:
            errors: Of all the cases of which these are chosen, shape (n,).
            caution: Standard errors that are taken off, of all or by mask; see `Trigger.caution`.
        """
        n = len(errors)
        if n < 2:
            return np.zeros(self.sent.shape)
        spread = np.sqrt(self.sent * (1 - self.sent / n) * errors.var(ddof=1))
        return np.asarray(self.errors - self.sent * errors.mean() - caution * spread)


class _Given(NamedTuple):
    """The cases that candidates are made from."""

    rows: IntVector
    errors: FloatVector
    least_sent: int
    least_errors: float

    @property
    def n(self) -> int:
        return len(self.rows)

    def caught(self, masks: BoolMatrix) -> Caught:
        """Return what masks over the given cases catch."""
        return Caught(np.count_nonzero(masks, axis=1).astype(np.float64), masks @ self.errors)

    def supported(self, found: Caught) -> BoolMatrix:
        """Return which send and catch enough, and leave a case out."""
        enough = (found.sent >= self.least_sent) & (found.errors >= self.least_errors)
        return np.asarray(enough & (found.sent < self.n), np.bool_)


class _Pool(NamedTuple):
    """Triggers with their masks over all cases."""

    triggers: list[Trigger]
    masks: BoolMatrix


def candidates(signals: Signals, given: BoolVector, limits: Limits) -> Candidates:
    """Return the triggers that are worth measuring, made from the given cases alone.

    These are the literals, and the best conjunctions of the best literals of each kind with any literal or its opposite:
    those that hold more errors than either of their parts leads to expect, found by products of masks.

    Args:
        signals: Of all cases.
        given: The cases that may be looked at, shape (n_rows,). Masks are returned for all.
        limits: How many, and which.
    """
    cases = signals.cases
    rows = np.flatnonzero(given)
    errors, times = cases.errors[rows], cases.n_repeats
    known = _Given(rows, errors, limits.least_sent * times, limits.least_errors * times)
    made = list(literals(signals, rows, limits))
    if not made or not errors.any():
        return Candidates((), np.zeros((0, len(cases.rows)), np.bool_), np.zeros(0), len(made))
    alone = [each for each in made if each.alone]
    pool = _Pool([_single(each) for each in alone], np.array([each.mask for each in alone]))
    pool, merits = _best(pool, known, limits.most)
    n_scored, last = len(made), pool
    partners = _partners(made)
    for _ in range(1, limits.terms):
        bases = _bases(last, known, limits.bases)
        if not bases.triggers:
            break
        n_scored += len(bases.triggers) * len(partners.triggers)
        last = _conjunctions(bases, partners, known, limits)
        pool = _Pool(pool.triggers + last.triggers, np.concatenate([pool.masks, last.masks]))
    pool, merits = _best(pool, known, limits.most)
    return Candidates(tuple(pool.triggers), pool.masks, merits, n_scored)


def _single(each: Literal) -> Trigger:
    return Trigger(each.source, (each.source,), (each.kind,), max(CAUTION, best_of(each.looked)), each.looked)


def _partners(made: Sequence[Literal]) -> _Pool:
    """Return all literals and the opposites of those that have one; of these twice as many are looked at."""
    twice = [replace(each, looked=2 * each.looked) if each.opposite else each for each in made]
    both = [*twice, *(replace(each, source=each.opposite, mask=~each.mask) for each in twice if each.opposite)]
    return _Pool([_single(each) for each in both], np.array([each.mask for each in both]))


def _bases(pool: _Pool, known: _Given, most: int) -> _Pool:
    """Return those of a ranked pool that conjunctions start from: in turn the best of each kind."""
    found = known.caught(pool.masks[:, known.rows])
    positive = np.flatnonzero(found.merit(known.errors) > 0).tolist()
    seen: dict[tuple[Kind, ...], int] = {}
    turns = []
    for at in positive:
        kinds = pool.triggers[at].kinds
        turns.append((seen.get(kinds, 0), at))
        seen[kinds] = seen.get(kinds, 0) + 1
    chosen = [at for _, at in sorted(turns)[:most]]
    return _Pool([pool.triggers[at] for at in chosen], pool.masks[chosen])


def _conjunctions(bases: _Pool, partners: _Pool, known: _Given, limits: Limits) -> _Pool:
    """Return the conjunctions of a base and a partner with the highest merit: some cheap, some within the price, any."""
    ours, theirs = (pool.masks[:, known.rows].astype(np.float32) for pool in (bases, partners))
    weighed = ours * known.errors.astype(np.float32)  # whole numbers, exact in single precision
    both = Caught(*(np.asarray(each @ theirs.T, np.float64) for each in (ours, weighed)))
    of_base, of_partner = (_Moments.of(each, known.errors) for each in (ours, theirs))
    from_either = np.minimum(_sharpness(both, of_base, axis=1), _sharpness(both, of_partner, axis=0))
    sharper = known.supported(both) & (from_either > SHARPER)
    certain = _sharpness(both, of_base, axis=1, less=STEP)
    cautions = _cautions(bases, partners, certain, both.sent <= limits.price * known.n, known, limits)
    merits = np.where(sharper, both.merit(known.errors, cautions), -np.inf)
    tiers = dict.fromkeys((*(price for price in CHEAP if price < limits.price), limits.price, 1.0))
    triggers: dict[str, tuple[Trigger, BoolVector]] = {}
    for price in tiers:
        values = np.where(both.sent <= price * known.n, merits, -np.inf)
        # Most are there twice: each of their two conditions can be the base.
        order = np.argsort(-np.round(values, 6), axis=None, kind="stable")[: 2 * limits.conjunctions // len(tiers)]
        places = zip(*np.unravel_index(order[values.flat[order] > -np.inf], values.shape), strict=True)
        for row, place in places:
            joined = _joined(bases.triggers[row], partners.triggers[place], float(cautions[row, place]))
            if joined.source not in triggers or joined.caution < triggers[joined.source][0].caution:
                triggers[joined.source] = joined, bases.masks[row] & partners.masks[place]
    masks = [mask for _, mask in triggers.values()]
    pool = _Pool(
        [each for each, _ in triggers.values()], np.array(masks, np.bool_).reshape(len(masks), bases.masks.shape[1])
    )
    return _best(pool, known, len(masks))[0]


def _cautions(
    bases: _Pool, partners: _Pool, sharpness: FloatMatrix, affordable: BoolMatrix, known: _Given, limits: Limits
) -> FloatMatrix:
    """Return the caution of each conjunction: that of the best of all like it, or of its base where that is enough.

    It is enough only where the base is the better of the two, because any condition seems to be sharpened by the one that
    finds the errors: that of the rule itself must not count for less with some length of the text beside it. Then it is
    where the partner sharpens the base by more than the best of all partners like it would by chance; and where the base is
    good but too dear, so that it must be narrowed to be of use at all.

    Args:
        bases: What the partners are joined to.
        partners: Conditions.
        sharpness: What they certainly add to the bases, in standard errors, shape (n_bases, n_partners).
        affordable: Which conjunctions keep to the price.
        known: The given cases.
        limits: With the price.
    """
    own, theirs = (np.array([each.caution for each in pool.triggers]) for pool in (bases, partners))
    whole, part = (known.caught(pool.masks[:, known.rows]) for pool in (bases, partners))
    merit = whole.merit(known.errors, own)
    better = merit[:, None] >= part.merit(known.errors, theirs)
    dear = (merit > 0) & (whole.sent > limits.price * known.n)
    n_base, n_partner = ([each.n_alike for each in pool.triggers] for pool in (bases, partners))
    clearly = {n: best_of(n, SURELY) for n in set(n_partner)}
    all_alike = {(a, b): max(CAUTION, best_of(a * b)) for a in set(n_base) for b in set(n_partner)}
    evident = sharpness > np.array([clearly[n] for n in n_partner])
    many = np.array([[all_alike[a, b] for b in n_partner] for a in n_base])
    return np.where(better & (evident | (dear[:, None] & affordable)), own[:, None], many)


class _Moments(NamedTuple):
    """Of the cases that each mask sends: how many, the mean of their errors, and the variance; shape (n_masks,)."""

    sent: FloatVector
    mean: FloatVector
    variance: FloatVector

    @classmethod
    def of(cls, masks: NDArray[np.float32], errors: FloatVector) -> _Moments:
        """Return them of masks as numbers, shape (n_masks, n_rows)."""
        powers = np.stack([errors**0, errors, errors**2], axis=1).astype(np.float32)  # whole numbers, exact
        sent, total, of_squares = np.asarray(masks @ powers, np.float64).T
        mean = total / np.maximum(sent, 1)
        squares = of_squares - sent * mean**2
        return cls(sent, mean, np.maximum(squares, 0) / np.maximum(sent - 1, 1))


def _sharpness(both: Caught, whole: _Moments, axis: int, less: float = 0) -> FloatMatrix:
    """Return how many more errors conjunctions hold than as many random cases of one of their parts, in standard errors.

    Args:
        both: What they send and catch.
        whole: The same of the part.
        axis: Along which the part is the same.
        less: Errors that are taken off before.
    """
    sent, mean, variance = (np.expand_dims(each, axis) for each in whole)
    spread = np.sqrt(both.sent * np.maximum(1 - both.sent / np.maximum(sent, 1), 0) * variance)
    more = both.errors - both.sent * mean - less
    # Where all cases of the part are alike, none is more than another.
    return np.asarray(np.divide(more, spread, out=np.zeros_like(more), where=spread > 1e-6), np.float64)


def _joined(base: Trigger, partner: Trigger, caution: float) -> Trigger:
    """Return the conjunction, its conditions in the order of their kinds."""
    parts = zip(base.conditions + partner.conditions, base.kinds + partner.kinds, strict=True)
    ordered = sorted(parts, key=lambda part: (KINDS.index(part[1]), part[0]))
    sources, kinds = zip(*ordered, strict=True)
    return Trigger(" and ".join(sources), sources, kinds, caution, base.n_alike * partner.n_alike)


def _best(pool: _Pool, known: _Given, most: int) -> tuple[_Pool, FloatVector]:
    """Return the supported triggers of a pool, of equal ones the simplest, those with the highest merit first."""
    inside = pool.masks[:, known.rows]
    found = known.caught(inside)
    merits = np.round(found.merit(known.errors, np.array([each.caution for each in pool.triggers])), 9)
    groups: dict[bytes, list[int]] = {}
    packed = np.packbits(inside, axis=1)
    for at in np.flatnonzero(known.supported(found)).tolist():
        groups.setdefault(packed[at].tobytes(), []).append(at)
    simplest = [(min(group, key=lambda at: pool.triggers[at].simplicity), len(group) - 1) for group in groups.values()]
    ranked = sorted(simplest, key=lambda each: (-merits[each[0]], pool.triggers[each[0]].simplicity))[:most]
    chosen = [at for at, _ in ranked]
    kept = [replace(pool.triggers[at], equivalents=pool.triggers[at].equivalents + others) for at, others in ranked]
    return _Pool(kept, pool.masks[chosen]), merits[chosen]
