"""Counts and scores of label vectors, against scikit-learn, by hand and by invariance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from strategies_labels import Vectors, unhurried, vectors

from harness import metrics
from harness.metrics import Averages, BoolMatrix


def matrix(*rows: str) -> BoolMatrix:
    """Return label vectors written as rows of 0 and 1."""
    return np.array([[cell == "1" for cell in row] for row in rows], dtype=np.bool_)


def random_vectors(seed: int, n_samples: int, n_labels: int, density: float = 0.3) -> tuple[BoolMatrix, BoolMatrix]:
    """Return seeded gold and predicted label vectors."""
    rng = np.random.default_rng(seed)
    return rng.random((n_samples, n_labels)) < density, rng.random((n_samples, n_labels)) < density


DEGENERATE = {
    "no gold": (matrix("000", "000"), matrix("010", "110")),
    "no predictions": (matrix("010", "110"), matrix("000", "000")),
    "all rows empty": (matrix("000", "000"), matrix("000", "000")),
    "one sample": (matrix("011"), matrix("110")),
    "one label": (matrix("0", "1", "1"), matrix("1", "1", "0")),
    "one cell": (matrix("1"), matrix("0")),
    "perfect": (matrix("011", "000"), matrix("011", "000")),
    "never right": (matrix("011", "100"), matrix("100", "011")),
}
RANDOM = {f"random {seed}": random_vectors(seed, 40, 6, density) for seed, density in enumerate((0.05, 0.3, 0.9))}
PAIRS = DEGENERATE | RANDOM
every_pair = pytest.mark.parametrize(("y_true", "y_pred"), PAIRS.values(), ids=PAIRS.keys())

# Three samples and labels; the last cell of the second sample is unanswered and was "predicted" there.
GOLD = matrix("110", "011", "000")
PREDICTED = matrix("100", "011", "001")
ANSWERED = matrix("111", "110", "111")


# --- against scikit-learn ---------------------------------------------------------------------------------------------


@every_pair
def test_scores_per_label_are_those_of_scikit_learn(y_true: BoolMatrix, y_pred: BoolMatrix) -> None:
    """Precision, recall and F1 of each label are scikit-learn's with zero_division=nan."""
    counts = metrics.count(y_true, y_pred)
    theirs = sk.precision_recall_fscore_support(*_two_columns(y_true, y_pred), average=None, zero_division=np.nan)
    for ours, expected in zip((metrics.precision, metrics.recall, metrics.f1), theirs, strict=False):
        np.testing.assert_allclose(ours(counts), expected[: y_true.shape[1]])
    np.testing.assert_array_equal(counts.support, theirs[3][: y_true.shape[1]])


@every_pair
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_averages_over_labels_are_those_of_scikit_learn(y_true: BoolMatrix, y_pred: BoolMatrix, average: str) -> None:
    """Macro and weighted averages are scikit-learn's over the supported labels (none: NaN), zero_division=0."""
    counts = metrics.count(y_true, y_pred)
    supported = np.flatnonzero(y_true.any(axis=0))
    expected = [math.nan] * 3
    if supported.size:
        pair = _two_columns(y_true, y_pred)
        expected = sk.precision_recall_fscore_support(*pair, labels=supported, average=average, zero_division=0)[:3]
    ours = [getattr(metrics, f"{average}_{name}")(counts) for name in ("precision", "recall", "f1")]
    np.testing.assert_allclose(ours, expected)


@every_pair
def test_micro_is_that_of_scikit_learn(y_true: BoolMatrix, y_pred: BoolMatrix) -> None:
    """Micro precision, recall and F1 are scikit-learn's with zero_division=nan."""
    counts = metrics.count(y_true, y_pred)
    expected = sk.precision_recall_fscore_support(
        *_two_columns(y_true, y_pred), average="micro", zero_division=np.nan, labels=range(y_true.shape[1])
    )[:3]
    ours = [metrics.micro_precision(counts), metrics.micro_recall(counts), metrics.micro_f1(counts)]
    np.testing.assert_allclose(ours, np.array(expected, dtype=float))


@every_pair
def test_example_based_scores_are_those_of_scikit_learn(y_true: BoolMatrix, y_pred: BoolMatrix) -> None:
    """Samples F1 and Jaccard are scikit-learn's with zero_division=1; exact match and Hamming loss are its own."""
    pair = _two_columns(y_true, y_pred)
    assert metrics.samples_f1(y_true, y_pred) == pytest.approx(sk.f1_score(*pair, average="samples", zero_division=1))
    assert metrics.jaccard_score(y_true, y_pred) == pytest.approx(
        sk.jaccard_score(*pair, average="samples", zero_division=1)
    )
    assert metrics.subset_accuracy(y_true, y_pred) == pytest.approx(sk.accuracy_score(*pair))
    wrong_cells = sk.hamming_loss(*pair) * pair[0].size
    assert metrics.hamming_loss(y_true, y_pred) == pytest.approx(wrong_cells / y_true.size)


@every_pair
def test_samples_precision_and_recall_are_zero_where_one_side_is_empty(y_true: BoolMatrix, y_pred: BoolMatrix) -> None:
    """They are scikit-learn's with zero_division=0, plus 1 for each sample whose gold and prediction are both empty."""
    pair = _two_columns(y_true, y_pred)
    both_empty = float(np.mean(~(y_true | y_pred).any(axis=1)))
    for ours, theirs in ((metrics.samples_precision, sk.precision_score), (metrics.samples_recall, sk.recall_score)):
        expected = theirs(*pair, average="samples", zero_division=0) + both_empty
        assert ours(y_true, y_pred) == pytest.approx(expected)


def _two_columns(y_true: BoolMatrix, y_pred: BoolMatrix) -> tuple[Any, Any]:
    """Return the pair for scikit-learn, which takes one column for a binary task: a lone label gets an empty second."""
    if y_true.shape[1] > 1:
        return y_true.astype(int), y_pred.astype(int)
    pad = ((0, 0), (0, 1))
    return np.pad(y_true.astype(int), pad), np.pad(y_pred.astype(int), pad)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_an_unanswered_cell_counts_as_missed_gold_and_nothing_else() -> None:
    """An unanswered cell has TP 0, FP 0 and FN = gold, whatever y_pred says there."""
    counts = metrics.count(GOLD, PREDICTED, ANSWERED)
    assert counts.tp.tolist() == [1, 1, 0]
    assert counts.fp.tolist() == [0, 0, 1]
    assert counts.fn.tolist() == [0, 1, 1]
    assert counts.support.tolist() == [1, 2, 1]
    assert counts.predicted.tolist() == [1, 1, 1]
    assert counts.n == 3
    without_gold = metrics.count(matrix("0"), matrix("1"), matrix("0"))
    assert (without_gold.tp.tolist(), without_gold.fp.tolist(), without_gold.fn.tolist()) == ([0], [0], [0])


def test_all_averages_of_a_small_example() -> None:
    """Every average of the three samples is what one computes by hand."""
    expected = Averages(
        macro_precision=2 / 3,  # 1, 1, 0
        macro_recall=1 / 2,  # 1, 1/2, 0
        macro_f1=5 / 9,  # 1, 2/3, 0
        macro_labels=3,
        micro_precision=2 / 3,
        micro_recall=2 / 4,
        micro_f1=4 / 7,
        weighted_precision=3 / 4,
        weighted_recall=2 / 4,
        weighted_f1=(1 + 2 * 2 / 3) / 4,
        samples_precision=1 / 3,  # 1, failed, 0
        samples_recall=1 / 6,  # 1/2, failed, 0
        samples_f1=2 / 9,  # 2/3, failed, 0
        subset_accuracy=0.0,
        hamming_loss=(1 / 3 + 1 + 1 / 3) / 3,
        jaccard=1 / 6,
        cardinality_gold=4 / 3,
        cardinality_predicted=1.0,
    )
    assert asdict(metrics.averages(GOLD, PREDICTED, ANSWERED)) == pytest.approx(asdict(expected))


def test_a_supported_label_that_is_never_predicted_pulls_macro_down() -> None:
    """Its precision is NaN by itself and 0 in macro and weighted precision; its F1 is 0."""
    counts = metrics.count(matrix("11", "10"), matrix("10", "10"))
    assert math.isnan(metrics.precision(counts)[1])
    assert metrics.f1(counts)[1] == 0
    assert metrics.macro_precision(counts) == 0.5
    assert metrics.weighted_precision(counts) == pytest.approx(2 / 3)


def test_predictions_never_decide_which_labels_macro_runs_over() -> None:
    """A label without support is in no macro average, predicted or not."""
    y_true = matrix("10", "10")
    silent, noisy = matrix("10", "00"), matrix("11", "01")
    assert metrics.macro_f1(metrics.count(y_true, silent)) == metrics.macro_f1(metrics.count(y_true, noisy))
    assert metrics.micro_f1(metrics.count(y_true, silent)) > metrics.micro_f1(metrics.count(y_true, noisy))


def test_macro_f1_is_the_mean_of_f1_and_not_f1_of_the_means() -> None:
    """With F1 of 2/3 and 2/3 macro F1 is 2/3, where F1 of macro precision and recall would be 3/4."""
    counts = metrics.count(matrix("11", "01"), matrix("11", "10"))
    assert (metrics.macro_precision(counts), metrics.macro_recall(counts)) == (0.75, 0.75)
    assert metrics.macro_f1(counts) == pytest.approx(2 / 3)


def test_a_failed_sample_with_empty_gold_is_wrong() -> None:
    """Empty gold answered with the empty set is right; unanswered it is wrong in every example-based score."""
    empty = matrix("00")
    for rule, right in EXAMPLE_BASED.items():
        assert rule(empty, empty) == right
        assert rule(empty, empty, matrix("01")) == 1 - right


def test_cardinality_counts_labels_per_sample() -> None:
    """Label cardinality is the mean number of labels; unanswered cells have none."""
    assert metrics.label_cardinality(GOLD) == pytest.approx(4 / 3)
    assert metrics.label_cardinality(matrix("11"), matrix("10")) == 1.0


# --- degenerate input -------------------------------------------------------------------------------------------------


EXAMPLE_BASED: dict[Callable[..., float], float] = {
    metrics.samples_precision: 1,
    metrics.samples_recall: 1,
    metrics.samples_f1: 1,
    metrics.jaccard_score: 1,
    metrics.subset_accuracy: 1,
    metrics.hamming_loss: 0,
}


@pytest.mark.parametrize("answered", [None, np.zeros((0, 3), dtype=np.bool_)])
def test_without_samples_every_average_is_nan(answered: BoolMatrix | None) -> None:
    """An average over no samples is NaN, without a crash or a warning; no label is averaged over."""
    empty = np.zeros((0, 3), dtype=np.bool_)
    averages = metrics.averages(empty, empty, answered)
    assert averages.macro_labels == 0
    values = {name: getattr(averages, name) for name in Averages.__slots__ if name != "macro_labels"}
    assert [name for name, value in values.items() if not math.isnan(value)] == []


def test_hamming_loss_without_labels_is_nan() -> None:
    """A share of no cells is 0/0."""
    assert math.isnan(metrics.hamming_loss(np.zeros((2, 0), np.bool_), np.zeros((2, 0), np.bool_)))


@pytest.mark.parametrize(
    ("y_true", "y_pred", "answered"),
    [
        (matrix("10"), matrix("1"), None),
        (matrix("10"), matrix("10"), matrix("1")),
        (np.array([True]), np.array([True]), None),
    ],
)
def test_shapes_must_agree(y_true: BoolMatrix, y_pred: BoolMatrix, answered: BoolMatrix | None) -> None:
    """Arrays of other shapes than one (n_samples, n_labels) are an error, never broadcast."""
    with pytest.raises(ValueError, match="one shape"):
        metrics.count(y_true, y_pred, answered)


def test_arrays_of_zeros_and_ones_are_taken_as_bool() -> None:
    """An int array gives the same counts as its bool form, so that ~ and & never work on integers."""
    counts = metrics.count(GOLD.astype(int), PREDICTED.astype(int), ANSWERED.astype(int))
    assert counts.fp.tolist() == [0, 0, 1]


def test_a_benchmark_sized_matrix_overflows_nothing() -> None:
    """120,000 samples with 230 labels each are counted exactly."""
    y_true = np.ones((120_000, 230), dtype=np.bool_)
    counts = metrics.count(y_true, y_true)
    assert counts.tp.tolist() == [120_000] * 230
    assert metrics.samples_f1(y_true, y_true) == 1.0


# --- properties -------------------------------------------------------------------------------------------------------


@unhurried
@given(vectors(), st.randoms(use_true_random=False))
def test_order_of_samples_and_labels_changes_no_score(drawn: Vectors, random: Any) -> None:
    """Permuting samples, or labels, changes no average."""
    rows, columns = list(range(drawn.y_true.shape[0])), list(range(drawn.y_true.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = Vectors(*(each[rows][:, columns] for each in drawn))
    before, after = metrics.averages(*drawn), metrics.averages(*shuffled)
    for name in Averages.__slots__:
        assert getattr(after, name) == pytest.approx(getattr(before, name), nan_ok=True)


@unhurried
@given(vectors(min_samples=1))
def test_a_perfect_prediction_has_one(drawn: Vectors) -> None:
    """Gold answered with gold has 1 in every score that is defined, and no loss."""
    averages = metrics.averages(drawn.y_true, drawn.y_true)
    for name in ("samples_precision", "samples_recall", "samples_f1", "subset_accuracy", "jaccard"):
        assert getattr(averages, name) == 1.0
    assert averages.hamming_loss == 0.0
    label_based = [getattr(averages, f"{a}_{s}") for a in ("macro", "micro") for s in ("precision", "recall", "f1")]
    expected = 1.0 if drawn.y_true.any() else math.nan
    assert label_based == pytest.approx([expected] * 6, nan_ok=True)


@unhurried
@given(vectors())
def test_scores_stay_in_their_range(drawn: Vectors) -> None:
    """Every average but the counts of labels is in [0, 1], or NaN."""
    averages = metrics.averages(*drawn)
    for name in set(Averages.__slots__) - {"macro_labels", "cardinality_gold", "cardinality_predicted"}:
        value = getattr(averages, name)
        assert math.isnan(value) or 0 <= value <= 1


@unhurried
@given(vectors(min_samples=1))
def test_weighted_recall_is_micro_recall(drawn: Vectors) -> None:
    """Recall weighted by support is recall over all cells."""
    counts = metrics.count(*drawn)
    assert metrics.weighted_recall(counts) == pytest.approx(metrics.micro_recall(counts), nan_ok=True)


@unhurried
@given(st.data())
def test_averages_of_the_answered_are_those_of_their_rows(data: st.DataObject) -> None:
    """To take away what failed gives the very numbers that the fully answered samples have by themselves."""
    shape = (data.draw(st.integers(0, 6)), data.draw(st.integers(1, 4)))
    n_cells = shape[0] * shape[1]
    drawn = [data.draw(st.lists(st.booleans(), min_size=n_cells, max_size=n_cells)) for _ in range(3)]
    y_true, y_pred, answered = (np.array(cells, dtype=np.bool_).reshape(shape) for cells in drawn)
    complete = answered.all(axis=1)
    expected = asdict(metrics.averages(y_true[complete], y_pred[complete]))
    found = asdict(metrics.answered_averages(y_true, y_pred, answered))
    assert {name: repr(value) for name, value in found.items()} == {
        name: repr(value) for name, value in expected.items()
    }
