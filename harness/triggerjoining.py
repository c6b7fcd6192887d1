"""Triggers joined by ``or`` up to a budget: each must add what chance would hardly have found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.cases import Cases
from harness.metrics import BoolMatrix, BoolVector, FloatVector
from harness.triggers import Candidates, Caught, Trigger

CHANCE = 0.05
"""How often the best of as many random sets of cases would be taken for evident."""


class Combination(NamedTuple):
    """Triggers that are joined, with where each prefix of them is true: shape (n_parts, n_rows)."""

    parts: tuple[Trigger, ...]
    masks: BoolMatrix


def joined(triggers: Sequence[Trigger]) -> str:
    """Return the expression that is true where one of the triggers is."""
    if len(triggers) == 1:
        return triggers[0].source
    return " or ".join(f"({each.source})" for each in triggers)


def combine(cases: Cases, given: BoolVector, found: Candidates, budget: float, most: int) -> Combination:
    """Return triggers joined greedily: each adds the most while all of them together stay within the budget.

    What it adds is `Caught.merit`, against what the average case holds. A trigger is joined to another only where chance
    would hardly have found one like it, among as many as were looked at, in the cases that are left: what is measured
    afterwards is all parts together, and would hide one that is good for nothing.
    """
    rows = np.flatnonzero(given)
    masks, errors = found.masks[:, rows], cases.errors[rows]
    caution, alike = (
        np.array([float(value) for value in values])
        for values in ([each.caution for each in found.triggers], [each.n_alike for each in found.triggers])
    )
    left, parts, prefixes = np.ones(len(rows), np.bool_), list[int](), list[BoolVector]()
    while len(masks) and len(parts) < most:
        gained = Caught(np.count_nonzero(masks[:, left], axis=1).astype(np.float64), masks[:, left] @ errors[left])
        within = gained.sent + np.count_nonzero(~left) <= budget * len(rows) + 1e-9
        wanted = within & (np.round(gained.merit(errors), 9) > 0)
        if parts:
            wanted &= is_evident(gained, errors[left], alike)
        if not wanted.any():
            break
        merits = np.where(wanted, np.round(gained.merit(errors, caution), 9), -np.inf)
        best = int(merits.argmax())  # of equals the first, which is ranked higher
        parts.append(best)
        prefixes.append(np.logical_or.reduce(found.masks[parts], axis=0))
        left &= ~masks[best]
    return Combination(
        tuple(found.triggers[at] for at in parts), np.array(prefixes, np.bool_).reshape(len(parts), len(cases.rows))
    )


def is_evident(gained: Caught, errors: FloatVector, alike: FloatVector) -> BoolVector:
    """Return which sets of cases hold more errors than the best of many random ones does in 19 of 20 searches.

    By Bennett's bound: with the variance v of the errors of random sets and the most b that a case has above the mean,
    ``P(excess >= t) <= exp(-v / b**2 * h(b * t / v))``, where ``h(u) = (1 + u) log(1 + u) - u``. It holds for rare errors,
    where it is that of a Poisson count, and for frequent ones.

    Args:
        gained: The sets, of these cases.
        errors: Of the cases from which they are taken.
        alike: Of each set how many like it were looked at.
    """
    if len(errors) < 2 or not np.ptp(errors):
        return np.zeros(gained.sent.shape, np.bool_)
    n, most = len(errors), float(errors.max() - errors.mean())
    variance = gained.sent * (1 - gained.sent / n) * errors.var(ddof=1)
    excess = gained.errors - gained.sent * errors.mean()
    above = (excess > 0) & (variance > 0)
    u = np.divide(most * excess, variance, out=np.zeros_like(excess), where=above)
    exponent = variance / most**2 * ((1 + u) * np.log1p(u) - u)
    return np.asarray(above & (exponent >= np.log(alike / CHANCE)), np.bool_)
