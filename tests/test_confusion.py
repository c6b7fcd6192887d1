"""Confusion for label sets: by hand, against a loop over the samples, and by invariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from strategies_labels import Vectors, unhurried, vectors

from harness import confusion, metrics
from harness.confusion import IntMatrix, cooccurrence, set_confusion
from harness.metrics import BoolMatrix


def matrix(*rows: str) -> BoolMatrix:
    """Return label vectors written as rows of 0 and 1."""
    return np.array([[cell == "1" for cell in row] for row in rows], dtype=np.bool_)


def by_hand(found: Vectors) -> IntMatrix:
    """Return the confusion as a person would count it, sample by sample."""
    n_labels = found.y_true.shape[1]
    counts = np.zeros((n_labels + 1, n_labels + 1), dtype=np.int64)
    for gold, predicted, answered in zip(*found, strict=True):
        missed = [at for at in range(n_labels) if answered[at] and gold[at] and not predicted[at]]
        added = [at for at in range(n_labels) if answered[at] and predicted[at] and not gold[at]]
        if missed or added:
            for row in missed or [n_labels]:
                for column in added or [n_labels]:
                    counts[row, column] += 1
    return counts


def test_a_missed_label_is_confused_with_every_label_that_was_added() -> None:
    """Each pair of a missed and an added label counts; what stands alone is in the last row or column."""
    gold = matrix("110", "100", "000", "011")
    predicted = matrix("001", "000", "010", "011")
    assert set_confusion(gold, predicted).tolist() == [
        [0, 0, 1, 1],  # the first sample misses two labels and adds the third; the second misses one and adds nothing
        [0, 0, 1, 0],
        [0, 0, 0, 0],
        [0, 1, 0, 0],  # the third sample adds one and misses nothing; the last is right
    ]


def test_an_unanswered_cell_is_no_confusion() -> None:
    """A gold label whose cell is unanswered was not missed, and what stands in such a cell was not added."""
    gold, predicted = matrix("110"), matrix("001")
    assert (
        set_confusion(gold, predicted, matrix("010")).tolist()
        == by_hand(Vectors(gold, predicted, matrix("010"))).tolist()
    )
    assert not set_confusion(gold, predicted, matrix("000")).any()


@unhurried
@given(vectors())
def test_the_confusion_is_what_a_loop_over_the_samples_counts(found: Vectors) -> None:
    """Matrix products count what a person would, entry by entry; 0 on the diagonal and in the last entry."""
    counts = set_confusion(*found)
    assert counts.dtype == np.int64
    assert counts.tolist() == by_hand(found).tolist()
    assert not counts.diagonal().any()


@unhurried
@given(vectors())
def test_the_confusion_transposes_when_gold_and_prediction_change_places(found: Vectors) -> None:
    """What was missed is added then, and the reverse."""
    turned = set_confusion(found.y_pred, found.y_true, found.answered)
    assert turned.tolist() == set_confusion(*found).T.tolist()


@unhurried
@given(vectors(min_samples=1))
def test_no_row_is_below_the_misses_of_its_label(found: Vectors) -> None:
    """Every missed cell is in its label's row once at least, every false positive in its label's column."""
    counts, tally = set_confusion(*found), metrics.count(*found)
    unanswered = np.count_nonzero(found.y_true & ~found.answered, axis=0)
    assert (counts[:-1].sum(axis=1) >= tally.fn - unanswered).all()
    assert (counts[:, :-1].sum(axis=0) >= tally.fp).all()


@unhurried
@given(vectors())
def test_cooccurrence_counts_samples_with_both_labels(found: Vectors) -> None:
    """It is symmetric, each label's own count on the diagonal."""
    counts = cooccurrence(found.y_true)
    assert counts.dtype == np.int64
    n_labels = found.y_true.shape[1]
    assert counts.tolist() == [
        [int(np.count_nonzero(found.y_true[:, a] & found.y_true[:, b])) for b in range(n_labels)]
        for a in range(n_labels)
    ]


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting in blocks counts every sample once, the last short block too."""
    rng = np.random.default_rng(7)
    found = Vectors(*(rng.random((23, 4)) < share for share in (0.4, 0.4, 0.9)))
    whole, together = set_confusion(*found), cooccurrence(found.y_true)
    monkeypatch.setattr(confusion, "BLOCK", 5)
    assert set_confusion(*found).tolist() == whole.tolist() == by_hand(found).tolist()
    assert cooccurrence(found.y_true).tolist() == together.tolist()


def test_arrays_of_different_shapes_are_refused() -> None:
    """Gold, prediction and mask are about the same cells, or it is a mistake of the caller's."""
    with pytest.raises(ValueError, match=r"^label vectors must all have one shape \(n_samples, n_labels\), got "):
        set_confusion(matrix("10"), matrix("100"))
    with pytest.raises(ValueError, match="must all have one shape"):
        set_confusion(matrix("10"), matrix("10"), matrix("10", "11"))
    with pytest.raises(ValueError, match="must all have one shape"):
        set_confusion(np.array([True]), np.array([True]))
