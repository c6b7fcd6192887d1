"""Whether a trigger that was found is worth a pass: what that rests on, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from harness.cases import Cases
from harness.metrics import BoolVector, FloatVector

ALPHA = 0.05
"""One-sided level of each of the two tests that a choice must pass."""

LEAST_SAMPLES = 30
"""Samples that each half needs before anything is said."""

LEAST_WRONG = 8
"""Samples with an error, and samples without more errors than the least, that each half needs."""

Verdict: TypeAlias = Literal["worth", "not worth", "too few to tell"]

Ground: TypeAlias = Literal["few samples", "few errors", "nothing found", "out of fold", "unseen", "few sent"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the verdict is what it is.

    Attributes:
        ground: What was looked at: samples and wrong samples of the smaller half, whether anything was found, samples of
            the unseen half that are sent, the p-value out of fold, that on the unseen half.
        value: What it is.
        limit: What it must be: at least for counts, at most for p-values.
        holds: Whether it is.
    """

    ground: Ground
    value: float
    limit: float
    holds: bool


def reasons_of(
    cases: Cases, seen: BoolVector, sent: float | None, fold_p: float | None, unseen_p: float, least_sent: int
) -> Iterator[Reason]:
    """Yield what a verdict rests on, as far as it goes.

    Args:
        cases: All cases.
        seen: The half that was searched, shape (n_samples,).
        sent: Samples of the other half that the choice sends; None where nothing was chosen.
        fold_p: The p-value out of fold; None where the half is too small for it.
        unseen_p: That on the unseen half.
        least_sent: Samples of the unseen half that must be sent.
    """
    halves = seen, ~seen
    fewest = min(int(np.count_nonzero(half)) for half in halves)
    yield Reason("few samples", fewest, LEAST_SAMPLES, fewest >= LEAST_SAMPLES)
    errors = cases.per_sample(cases.errors)
    unlike = min((_unlike(errors[half]) for half in halves if half.any()), default=0)
    yield Reason("few errors", unlike, LEAST_WRONG, unlike >= LEAST_WRONG)
    if sent is None or fold_p is None:
        yield Reason("nothing found", 0, 1, holds=False)
        return
    yield Reason("few sent", sent, least_sent, sent >= least_sent)
    yield Reason("out of fold", fold_p, ALPHA, fold_p <= ALPHA)
    yield Reason("unseen", unseen_p, ALPHA, unseen_p <= ALPHA)


def _unlike(errors: FloatVector) -> int:
    """Return how many samples have more errors than the one with the fewest, or have as few, whichever are fewer."""
    more = int(np.count_nonzero(errors > errors.min()))
    return min(more, len(errors) - more)


def verdict_of(reasons: Sequence[Reason]) -> Verdict:
    """Return whether it is worth it: both measurements must say so; where one of the two does, it is not known."""
    holds = {reason.ground: reason.holds for reason in reasons}
    if not (holds["few samples"] and holds["few errors"]):
        return "too few to tell"
    if not holds.get("nothing found", True):
        return "not worth"
    if holds["out of fold"] and holds["unseen"] and holds["few sent"]:
        return "worth"
    return "too few to tell" if holds["out of fold"] or holds["unseen"] else "not worth"
