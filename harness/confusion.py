"""Confusion for label sets: which label was missed where which other was predicted, and which labels go together.

With one label a sample, confusion is a table of gold × predicted. With sets no single prediction stands for a missed
label, so a confusion is a pair of errors in one sample: label a was missed, and label b was predicted though it is not
gold. Every such pair counts, so that a sample with two misses and one false positive counts in two entries.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.metrics import BoolMatrix

IntMatrix: TypeAlias = NDArray[np.int64]

BLOCK = 1 << 16
"""Samples that are counted at once. A float32 counts exactly up to 2**24, and a block takes little memory."""


def set_confusion(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None = None) -> IntMatrix:
    """Return how many samples miss one label and add another: int, shape (n_labels + 1, n_labels + 1).

    Entry (a, b) counts the samples in which gold label a was missed and label b was predicted though it is not gold.
    The last column counts samples that miss a and add nothing; the last row those that add b and miss nothing. The
    diagonal is 0, and so is the last entry: a sample without an error is no confusion. An unanswered cell is none
    either, whatever ``y_true`` and ``y_pred`` say there: failures are counted apart.

    Args:
        y_true: Gold label vectors, shape (n_samples, n_labels).
        y_pred: Predicted label vectors.
        answered: False where a cell is unanswered; None means that all are answered.

    Raises:
        ValueError: The arrays are not of one shape (n_samples, n_labels).
    """
    y_true, y_pred = np.asarray(y_true, dtype=np.bool_), np.asarray(y_pred, dtype=np.bool_)
    answered = np.ones_like(y_true) if answered is None else np.asarray(answered, dtype=np.bool_)
    if y_true.ndim != 2 or not y_true.shape == y_pred.shape == answered.shape:
        shapes = [y_true.shape, y_pred.shape, answered.shape]
        raise ValueError(f"label vectors must all have one shape (n_samples, n_labels), got {shapes}")
    missed, added = y_true & ~y_pred & answered, y_pred & ~y_true & answered
    counts = _pairs(_with_nothing(missed), _with_nothing(added))
    counts[-1, -1] = 0
    return counts


def cooccurrence(y: BoolMatrix) -> IntMatrix:
    """Return how many samples have both labels of each pair: int, symmetric, shape (n_labels, n_labels).

    The diagonal is how many samples have the label at all.
    """
    y = np.asarray(y, dtype=np.bool_)
    return _pairs(y, y)


def _with_nothing(errors: BoolMatrix) -> BoolMatrix:
    """Return the errors with a last column that is true where a sample has none."""
    nothing = ~np.logical_or.reduce(errors, axis=1, keepdims=True)
    return np.concatenate([errors, nothing], axis=1)


def _pairs(left: BoolMatrix, right: BoolMatrix) -> IntMatrix:
    """Return ``left.T @ right``: in how many rows both columns of each pair are true, counted exactly."""
    counts = np.zeros((left.shape[1], right.shape[1]), dtype=np.int64)
    for start in range(0, len(left), BLOCK):
        block = slice(start, start + BLOCK)
        # Whole numbers below 2**24 are exact in float32, which BLAS multiplies fast; integers it does not.
        counts += np.rint(left[block].T.astype(np.float32) @ right[block].astype(np.float32)).astype(np.int64)
    return counts
