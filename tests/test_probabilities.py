"""Scores of probabilities: formulas, ties, 0/0, and what scikit-learn says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve
from strategies_labels import unhurried

from harness import probabilities as pr
from harness.labelspace import Label, LabelSpace
from harness.records import FailureKind, Prediction, Sample
from harness.scoring import Scores, score

Cells = tuple[Any, Any]


@st.composite
def cells(draw: st.DrawFn, least: int = 1) -> Cells:
    """Draw gold and probabilities of one shape, with many ties and many probabilities on the edges of bins."""
    n = draw(st.integers(least, 30))
    y_true = draw(hnp.arrays(np.bool_, n))
    steps = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 20)))
    return y_true, steps / 20


@st.composite
def tables(draw: st.DrawFn) -> Cells:
    """Draw gold and probabilities of several labels; some cells have none."""
    shape = (draw(st.integers(0, 8)), draw(st.integers(1, 3)))
    y_true = draw(hnp.arrays(np.bool_, shape))
    values = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 10))) / 10
    has = draw(hnp.arrays(np.bool_, shape))
    return y_true, np.where(has, values, np.nan)


@unhurried
@given(cells())
def test_auroc_is_scikit_learn_s(drawn: Cells) -> None:
    """AUROC equals `roc_auc_score`, ties among them; with one class alone it is not defined."""
    y_true, p = drawn
    found = pr.roc_auc_score(y_true, p)
    if y_true.all() or not y_true.any():
        assert math.isnan(found)
    else:
        assert found == pytest.approx(sk.roc_auc_score(y_true, p))


@unhurried
@given(cells())
def test_auroc_is_the_chance_to_rank_a_pair_right(drawn: Cells) -> None:
    """AUROC is the share of (gold, other) pairs that are ranked right, ties counting half."""
    y_true, p = drawn
    pairs = [(a > b) + 0.5 * (a == b) for a in p[y_true] for b in p[~y_true]]
    if pairs:
        assert pr.roc_auc_score(y_true, p) == pytest.approx(np.mean(pairs))


@unhurried
@given(cells())
def test_average_precision_is_scikit_learn_s(drawn: Cells) -> None:
    """Average precision equals `average_precision_score`; without gold cells it is not defined."""
    y_true, p = drawn
    found = pr.average_precision_score(y_true, p)
    if y_true.any():
        assert found == pytest.approx(sk.average_precision_score(y_true, p))
    else:
        assert math.isnan(found)


@unhurried
@given(cells())
def test_brier_loss_is_scikit_learn_s(drawn: Cells) -> None:
    """The Brier loss equals `brier_score_loss`."""
    y_true, p = drawn
    assert pr.brier_score_loss(y_true, p) == pytest.approx(sk.brier_score_loss(y_true, p, pos_label=True))


@unhurried
@given(cells())
def test_the_reliability_table_is_scikit_learn_s(drawn: Cells) -> None:
    """The bins with cells are those of `calibration_curve`, also for a probability on an edge."""
    y_true, p = drawn
    share, mean = calibration_curve(y_true, p, n_bins=10, pos_label=True)
    filled = [each for each in pr.reliability(y_true, p) if each.n]
    assert [each.share_positive for each in filled] == pytest.approx(list(share))
    assert [each.mean_probability for each in filled] == pytest.approx(list(mean))
    assert sum(each.n for each in filled) == len(p)


@unhurried
@given(cells(), st.randoms())
def test_order_does_not_matter(drawn: Cells, random: Any) -> None:
    """Shuffled cells have the same scores."""
    y_true, p = drawn
    order = list(range(len(p)))
    random.shuffle(order)
    for loss in (pr.roc_auc_score, pr.average_precision_score, pr.brier_score_loss):
        assert loss(y_true[order], p[order]) == pytest.approx(loss(y_true, p), nan_ok=True)


def test_what_is_certain_and_right_is_perfect() -> None:
    """Probabilities that are gold itself have AUROC and average precision 1, Brier loss and calibration error 0."""
    y_true = np.array([True, False, True])
    p = y_true.astype(float)
    assert (pr.roc_auc_score(y_true, p), pr.average_precision_score(y_true, p)) == (1.0, 1.0)
    assert pr.brier_score_loss(y_true, p) == 0.0
    assert pr.expected_calibration_error(pr.reliability(y_true, p)) == 0.0


def test_one_probability_for_all_ranks_nothing() -> None:
    """When all are tied AUROC is one half and average precision the share of gold."""
    y_true, p = np.array([True, False, False, False]), np.full(4, 0.3)
    assert pr.roc_auc_score(y_true, p) == 0.5
    assert pr.average_precision_score(y_true, p) == 0.25


def test_nothing_is_not_defined() -> None:
    """Without cells every score is NaN, and every bin is there and empty."""
    y_true, p = np.zeros(0, np.bool_), np.zeros(0)
    assert math.isnan(pr.roc_auc_score(y_true, p))
    assert math.isnan(pr.average_precision_score(y_true, p))
    assert math.isnan(pr.brier_score_loss(y_true, p))
    bins = pr.reliability(y_true, p)
    assert math.isnan(pr.expected_calibration_error(bins))
    assert [(each.lower, each.upper, each.n) for each in bins] == [(k / 10, (k + 1) / 10, 0) for k in range(10)]


def test_the_calibration_error_weighs_bins_by_their_cells() -> None:
    """Three cells said 0.9 of which two are gold, and one said 0.2 that is not: (3 x |2/3 - 0.9| + 0.2) / 4."""
    y_true, p = np.array([True, True, False, False]), np.array([0.9, 0.9, 0.9, 0.2])
    assert pr.expected_calibration_error(pr.reliability(y_true, p)) == pytest.approx((3 * (0.9 - 2 / 3) + 0.2) / 4)


@unhurried
@given(tables())
def test_a_run_s_scores_are_those_of_its_cells(drawn: Cells) -> None:
    """Labels are over their own cells, micro over all cells as one, macro over the labels with both classes."""
    y_true, p = drawn
    names = ["a", "b", "c"][: p.shape[1]]
    scores = pr.score_probabilities(names, y_true, p)
    has = ~np.isnan(p)
    both = []
    for at, each in enumerate(scores.labels):
        mine = has[:, at]
        assert (each.label, each.n, each.support) == (names[at], mine.sum(), y_true[mine, at].sum())
        assert each.auroc == pytest.approx(pr.roc_auc_score(y_true[mine, at], p[mine, at]), nan_ok=True)
        both += [each] if not math.isnan(each.auroc) else []
    averages = scores.averages
    assert averages.n == has.sum()
    assert averages.coverage == pytest.approx(has.mean() if has.size else math.nan, nan_ok=True)
    assert averages.macro_labels == len(both)
    assert averages.macro_auroc == pytest.approx(
        np.mean([each.auroc for each in both]) if both else math.nan, nan_ok=True
    )
    assert averages.micro_auroc == pytest.approx(pr.roc_auc_score(y_true[has], p[has]), nan_ok=True)
    assert averages.micro_average_precision == pytest.approx(
        pr.average_precision_score(y_true[has], p[has]), nan_ok=True
    )
    assert averages.micro_brier_loss == pytest.approx(pr.brier_score_loss(y_true[has], p[has]), nan_ok=True)
    assert averages.calibration_error == pytest.approx(pr.expected_calibration_error(scores.bins), nan_ok=True)


SPACE = LabelSpace((Label("a"), Label("b")))
SAMPLES = [Sample("s1", {}, frozenset("a")), Sample("s2", {}, frozenset("b")), Sample("s3", {}, None)]


def said(sample: str, repeat: int = 0, **p: float) -> Prediction:
    """Return a prediction with these probabilities."""
    return Prediction(sample, frozenset(name for name in p if p[name] >= 0.5), repeat=repeat, probabilities=p)


def test_a_run_without_probabilities_has_no_scores_of_them() -> None:
    """Nothing is invented: without a probability of a labelled sample there are no scores of probabilities."""
    assert score(SPACE, SAMPLES, [said("s1"), said("s2"), said("s3", a=0.2)]).probabilities is None


def test_an_unanswered_cell_has_no_probability() -> None:
    """What a prediction says of an unanswered cell does not count; the coverage is that of all cells."""
    failed = Prediction("s2", frozenset(), frozenset("b"), FailureKind.REFUSAL, probabilities={"a": 0.1, "b": 0.9})
    found = score(SPACE, SAMPLES, [said("s1", a=0.7, b=0.2), failed]).probabilities
    assert found is not None
    assert (found.averages.n, found.averages.coverage) == (3, 0.75)
    assert [each.n for each in found.labels] == [2, 1]


def test_repeats_are_averaged() -> None:
    """Every number is the mean over the repeats in which it is defined; a repeat without probabilities covers nothing."""
    predictions = [said("s1", a=0.7, b=0.2), said("s2", a=0.1, b=0.9), said("s1", 1), said("s2", 1)]
    scores = score(SPACE, SAMPLES, predictions)
    first, second = (each.probabilities for each in scores.repeats)
    assert scores.probabilities is not None
    assert first is not None
    assert second is not None
    assert (first.averages.coverage, second.averages.coverage, scores.probabilities.averages.coverage) == (1, 0, 0.5)
    assert scores.probabilities.averages.macro_auroc == first.averages.macro_auroc == 1
    assert scores.probabilities.labels[0].n == 1
    assert scores.probabilities.bins[6].n == 0.5
    assert Scores.from_json(scores.to_json()).to_json() == scores.to_json()


def test_a_probability_of_an_unknown_label_is_refused() -> None:
    """Probabilities are aligned by label name like everything else."""
    with pytest.raises(ValueError, match="prediction of sample 's1': 'c' is not a label of the label space"):
        score(SPACE, SAMPLES, [said("s1", c=0.1)])


def test_rows_become_columns_by_name() -> None:
    """Probabilities are placed by label name, whatever their order; what is not there is NaN."""
    made = pr.matrix(["a", "b"], [{"b": 0.2, "a": 0.1}, {}, {"b": 0.3}])
    assert np.array_equal(made, [[0.1, 0.2], [np.nan, np.nan], [np.nan, 0.3]], equal_nan=True)


def test_arrays_of_other_shapes_are_refused() -> None:
    """Gold and probabilities must have one shape, with a column for each label."""
    with pytest.raises(ValueError, match=r"must be of one shape \(n_samples, 1\), got \(2, 1\), \(1, 1\)"):
        pr.score_probabilities(["a"], np.zeros((2, 1), np.bool_), np.zeros((1, 1)))


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_what_is_no_probability_is_refused(value: float) -> None:
    """A value outside of [0, 1] is refused."""
    with pytest.raises(ValueError, match=rf"probabilities must be in \[0, 1\], got {value:g} to {value:g}"):
        pr.score_probabilities(["a"], np.zeros((1, 1), np.bool_), np.full((1, 1), value))


@unhurried
@given(cells(least=0))
def test_a_curve_is_that_of_its_cells_in_order(drawn: Cells) -> None:
    """Sorting the values alone gives the same steps as sorting the cells, highest first."""
    y_true, p = drawn
    order = np.argsort(-p)
    found, expected = pr.curve(y_true, p), pr.sorted_curve(y_true[order], p[order])
    assert found.values.tolist() == expected.values.tolist()
    assert found.tp.tolist() == expected.tp.tolist()
    assert found.fp.tolist() == expected.fp.tolist()
