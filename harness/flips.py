"""The flip ledger: which cells changed between two runs, in which samples, and which confusions came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from harness.confusion import set_confusion
from harness.labelspace import LabelSpace
from harness.metrics import BoolMatrix
from harness.records import Prediction
from harness.scoring import Aligned

ChangeKind: TypeAlias = Literal["regressed", "fixed", "churned"]

FLIPS = ("TP→FN", "FN→TP", "TN→FP", "FP→TN", "answer→failure", "failure→answer")
"""The ways in which a cell can change between two runs."""


@dataclass(frozen=True, slots=True)
class SampleChange:
    """A sample whose prediction changed in a way that matters.

    Attributes:
        sample: Its id.
        before: The baseline's prediction, in repeat 0.
        after: The later run's.
        gold: The gold labels.
        flips: How each label changed that did, one of `FLIPS`, in label-space order.
        unstable: The changed labels that do not stay the same from repeat to repeat of one of the two runs either.
    """

    sample: str
    before: Prediction
    after: Prediction
    gold: frozenset[str]
    kind: ChangeKind
    flips: Mapping[str, str]
    unstable: frozenset[str] = frozenset()

    @property
    def is_unstable(self) -> bool:
        """Whether nothing changed here but what changes by itself, when the same prompt is asked again."""
        return len(self.unstable) == len(self.flips)


@dataclass(frozen=True, slots=True)
class MovedError:
    """A confusion of two labels that became more or less frequent.

    Attributes:
        missed: The gold label that was missed; None where nothing was.
        predicted: The label that was predicted though it is not gold; None where nothing was.
        before: Samples with this confusion in the baseline, in repeat 0.
        after: In the later run.
    """

    missed: str | None
    predicted: str | None
    before: int
    after: int


def flipped_cells(before: Aligned, after: Aligned) -> dict[str, BoolMatrix]:
    """Return the cells that changed, by how they did: for each of `FLIPS` an array of shape (n_samples, n_labels)."""
    gold, answered = before.y_true, before.answered & after.answered
    gained = answered & ~before.y_pred & after.y_pred
    lost = answered & before.y_pred & ~after.y_pred
    flipped = (
        lost & gold,
        gained & gold,
        gained & ~gold,
        lost & ~gold,
        before.answered & ~after.answered,
        after.answered & ~before.answered,
    )
    return dict(zip(FLIPS, flipped, strict=True))


def sample_changes(
    space: LabelSpace, before: Aligned, after: Aligned, flipped: Mapping[str, BoolMatrix], unstable: BoolMatrix
) -> list[SampleChange]:
    """Return the samples in which a cell flipped, in their order.

    Args:
        space: Names and orders the labels.
        before: The baseline.
        after: The later run, on the same samples.
        flipped: From `flipped_cells`.
        unstable: The cells that change by themselves, shape (n_samples, n_labels).
    """
    right_before, right_after = before.exact.tolist(), after.exact.tolist()
    kinds = np.zeros(unstable.shape, np.int8)
    for at, name in enumerate(FLIPS, 1):
        kinds[flipped[name]] = at
    rows, places = np.nonzero(kinds)
    flips: dict[int, dict[str, str]] = {}
    by_themselves: dict[int, list[str]] = {}
    cells = zip(
        rows.tolist(), places.tolist(), kinds[rows, places].tolist(), unstable[rows, places].tolist(), strict=True
    )
    for row, place, at, by_itself in cells:
        label = space.names[place]
        flips.setdefault(row, {})[label] = FLIPS[at - 1]
        if by_itself:
            by_themselves.setdefault(row, []).append(label)
    changes = []
    for row, changed in flips.items():
        sample = before.samples[row]
        kind: ChangeKind = "regressed" if right_before[row] else "fixed" if right_after[row] else "churned"
        gold = sample.labels or frozenset()
        then, now = before.predictions[row], after.predictions[row]
        alone = frozenset(by_themselves.get(row, ()))
        changes.append(SampleChange(sample.id, then, now, gold, kind, changed, alone))
    return changes


def errors_moved(space: LabelSpace, before: Aligned, after: Aligned) -> tuple[MovedError, ...]:
    """Return the confusions that became more or less frequent, the most gained first, the most lost last."""
    old, new = (set_confusion(rows.y_true, rows.y_pred, rows.answered) for rows in (before, after))
    names: tuple[str | None, ...] = (*space.names, None)
    missed, predicted = np.nonzero(old != new)
    counts = old[missed, predicted], new[missed, predicted]
    order = np.argsort(counts[0] - counts[1], kind="stable")
    columns = (each[order].tolist() for each in (missed, predicted, *counts))
    return tuple(
        MovedError(names[row], names[place], then, now) for row, place, then, now in zip(*columns, strict=True)
    )
