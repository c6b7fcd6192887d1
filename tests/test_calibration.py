"""Calibration: which labels get a threshold of their own, cross-validation, folds, repeats."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk
from strategies_labels import unhurried

from harness.calibration import LEAST_SUPPORT, Calibration, calibrate, stratified_folds
from harness.errors import UsageError
from harness.metrics import BoolMatrix
from harness.thresholds import METRICS, Evidence, decided


def evidence(n: int = 200, n_labels: int = 4, seed: int = 0, *, gold_share: float = 0.3) -> Evidence:
    """Return samples whose probabilities are higher for gold, but all too high for a threshold of 0.5."""
    rng = np.random.default_rng(seed)
    y_true = rng.random((n, n_labels)) < gold_share
    p = np.round(1 / (1 + np.exp(-(rng.normal(size=(n, n_labels)) + 2 * y_true + 1))), 4)
    return Evidence(tuple("abcdefgh"[:n_labels]), y_true, p >= 0.5, np.ones_like(y_true), p)


def with_gold(cells: Evidence, y_true: BoolMatrix) -> Evidence:
    """Return the same predictions with other gold."""
    return Evidence(cells.names, y_true, cells.y_pred, cells.answered, cells.probabilities)


def tiled(cells: Evidence, down: int, across: int) -> Evidence:
    """Return the same cells several times."""
    times = (down, across)
    return Evidence(
        cells.names,
        np.tile(cells.y_true, times),
        np.tile(cells.y_pred, times),
        np.tile(cells.answered, times),
        np.tile(cells.probabilities, times),
    )


def thresholds_of(calibration: Calibration) -> Any:
    """Return the threshold of every label."""
    return np.array([each.found for each in calibration.labels])


def test_better_thresholds_are_found() -> None:
    """Where 0.5 is far off, the score by cross-validation is better, and in sample it is better still."""
    result = calibrate(evidence())
    assert result.now < result.out_of_fold <= result.in_sample
    assert result.helps
    assert result.threshold is None
    assert list(result.thresholds) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_the_scores_are_those_of_the_thresholds(metric: str) -> None:
    """The scores now and in sample are scikit-learn's of what is decided now and by the thresholds found."""
    cells = evidence()
    result = calibrate(cells, metric)
    said = decided(cells, thresholds_of(result), np.ones(len(cells.y_true), np.bool_))

    def score(y_pred: BoolMatrix) -> float:
        if metric == "subset_accuracy":
            return float(sk.accuracy_score(cells.y_true, y_pred))
        if metric == "jaccard":
            return float(sk.jaccard_score(cells.y_true, y_pred, average="samples", zero_division=1))
        return float(sk.f1_score(cells.y_true, y_pred, average=metric.removesuffix("_f1"), zero_division=1))

    assert result.now == pytest.approx(score(cells.y_pred))
    assert result.in_sample == pytest.approx(score(said))
    assert [each.f1_in_sample for each in result.labels] == pytest.approx(
        list(sk.f1_score(cells.y_true, said, average=None))
    )


@pytest.mark.parametrize("metric", ["micro_f1", "samples_f1", "subset_accuracy", "jaccard"])
def test_other_scores_have_one_threshold(metric: str) -> None:
    """A score that is no average of labels' F1 has one threshold for all labels."""
    result = calibrate(evidence(), metric)
    assert {each.found for each in result.labels} == {result.threshold}
    assert result.thresholds == {}


def test_one_threshold_can_be_asked_for() -> None:
    """With one threshold every label has the global one, also for macro F1, which then can only be lower."""
    own, one = calibrate(evidence()), calibrate(evidence(), one_threshold=True)
    assert {each.found for each in one.labels} == {one.threshold}
    assert one.in_sample <= own.in_sample


def test_a_rare_label_has_the_global_threshold() -> None:
    """A label with fewer gold samples than the least has the global threshold; with just as many it has its own."""
    cells = evidence()
    y_true = cells.y_true.copy()
    y_true[:, 0], y_true[:, 1] = False, False
    y_true[: LEAST_SUPPORT - 1, 0] = True
    y_true[:LEAST_SUPPORT, 1] = True
    result = calibrate(with_gold(cells, y_true))
    rare, enough = result.labels[:2]
    assert (rare.support, rare.own, rare.found) == (LEAST_SUPPORT - 1, False, result.threshold)
    assert (enough.support, enough.own) == (LEAST_SUPPORT, True)
    assert "a" not in result.thresholds


def test_noise_does_not_pass_for_an_improvement() -> None:
    """Where probabilities say nothing, cross-validation shows what the score in sample hides."""
    cells = evidence(80, 3)
    noise = np.random.default_rng(5).random(cells.y_true.shape).round(3)
    blind = Evidence(cells.names, cells.y_true, cells.y_true, cells.answered, noise)
    result = calibrate(blind)
    assert not result.helps
    assert result.out_of_fold < result.in_sample


def test_what_takes_no_probability_is_told() -> None:
    """Where thresholds can only say everything or nothing, the score is no better than that of one answer for all."""
    cells = evidence(60, 2)
    blind = replace(cells, probabilities=np.full_like(cells.probabilities, 0.3))
    result = calibrate(blind, "micro_f1")
    assert result.constant == pytest.approx(sk.f1_score(cells.y_true, np.ones_like(cells.y_true), average="micro"))
    assert result.in_sample == pytest.approx(result.constant)
    assert not result.ranks
    assert calibrate(cells, "micro_f1").ranks
    exact = calibrate(replace(cells, y_true=np.zeros_like(cells.y_true)), "subset_accuracy")
    assert exact.constant == 1.0  # saying nothing is right where there is no gold


def test_every_sample_is_decided_by_thresholds_of_the_others() -> None:
    """The score by cross-validation is that of all predictions together, each with thresholds found without it."""
    cells = evidence(60, 2)
    result = calibrate(cells, "micro_f1", folds=3, seed=4)
    fold_of = stratified_folds(cells.y_true, 3, 4)
    outside = np.zeros_like(cells.y_true)
    for fold in range(3):
        out = fold_of == fold
        part = Evidence(
            cells.names, cells.y_true[~out], cells.y_pred[~out], cells.answered[~out], cells.probabilities[~out]
        )
        found = calibrate(part, "micro_f1", folds=2).threshold
        outside[out] = cells.probabilities[out] >= found
    assert result.out_of_fold == pytest.approx(sk.f1_score(cells.y_true, outside, average="micro"))


def test_an_unanswered_cell_stays_wrong() -> None:
    """Without a probability an unanswered cell counts as missed, before and after."""
    cells = evidence(50, 1)
    p, answered = cells.probabilities.copy(), cells.answered.copy()
    p[:10], answered[:10] = np.nan, False
    y_true = cells.y_true.copy()
    y_true[:10] = True
    result = calibrate(Evidence(cells.names, y_true, y_true, answered, p), "subset_accuracy")
    assert result.now == pytest.approx(0.8)
    assert result.in_sample <= 0.8


def test_an_unanswered_cell_with_a_probability_is_answered_by_a_threshold() -> None:
    """An answer that could not be read in its words counts as missed now, and as decided with thresholds."""
    y_true = np.array([[True], [False]] * 4)
    p = np.where(y_true, 0.9, 0.1)
    result = calibrate(Evidence(("a",), y_true, ~y_true, np.zeros_like(y_true), p), folds=2)
    assert (result.now, result.in_sample, result.out_of_fold) == (0.0, 1.0, 1.0)


def test_a_label_without_probabilities_has_no_threshold() -> None:
    """A label that is answered in words alone keeps its F1 and gets no threshold."""
    cells = evidence()
    p = cells.probabilities.copy()
    p[:, 2] = np.nan
    result = calibrate(Evidence(cells.names, cells.y_true, cells.y_pred, cells.answered, p))
    words = result.labels[2]
    assert (words.found, words.own) == (None, False)
    assert words.f1_now == words.f1_in_sample == words.f1_out_of_fold
    assert result.threshold is None


def test_repeats_are_one_sample() -> None:
    """Repeats of a sample are in one fold and count once as support; the score is the mean over the repeats."""
    cells = evidence(100, 2)
    twice = replace(tiled(cells, 2, 1), n_repeats=2)
    once, both = calibrate(cells), calibrate(twice)
    assert (once.now, once.in_sample, once.out_of_fold) == pytest.approx((both.now, both.in_sample, both.out_of_fold))
    assert [each.support for each in once.labels] == [each.support for each in both.labels]
    assert (both.n_samples, both.n_repeats) == (100, 2)


def test_what_is_in_no_repeat_defined_is_not_defined() -> None:
    """A label without gold that is never predicted has no F1."""
    cells = evidence(30, 1)
    none = np.zeros_like(cells.y_true)
    result = calibrate(Evidence(cells.names, none, none, cells.answered, np.zeros_like(cells.probabilities) + 0.3))
    assert np.isnan([result.now, result.labels[0].f1_now]).all()
    assert not result.helps


def test_the_thresholds_now_are_told() -> None:
    """What decides now stands beside what was found."""
    result = calibrate(evidence(n_labels=2), now=[0.5, None])
    assert [each.now for each in result.labels] == [0.5, None]


def test_the_seed_decides_the_folds_alone() -> None:
    """Another seed gives other folds and the same thresholds; the same seed gives the same result."""
    cells = evidence(90)
    assert calibrate(cells, seed=1) == calibrate(cells, seed=1)
    assert thresholds_of(calibrate(cells, seed=1)).tolist() == thresholds_of(calibrate(cells, seed=2)).tolist()
    assert not np.array_equal(stratified_folds(cells.y_true, 5, 1), stratified_folds(cells.y_true, 5, 2))


@pytest.mark.parametrize("folds", [1, 31])
def test_folds_that_cannot_be_are_refused(folds: int) -> None:
    """There must be two folds at least, and a sample for each."""
    with pytest.raises(UsageError) as refused:
        calibrate(evidence(30), folds=folds)
    assert str(refused.value) == f"--folds: must be from 2 to the number of samples, 30, got {folds}."


def test_a_seed_below_zero_is_refused() -> None:
    """A seed counts from 0."""
    with pytest.raises(UsageError) as refused:
        calibrate(evidence(30), seed=-1)
    assert str(refused.value) == "--seed: must be at least 0, got -1."


@unhurried
@given(hnp.arrays(np.bool_, st.tuples(st.integers(2, 40), st.integers(1, 4))), st.integers(2, 5), st.integers(0, 3))
def test_folds_are_even(y_true: Any, folds: int, seed: int) -> None:
    """Every sample is in one fold, and the rarest label is spread to within one sample."""
    fold_of = stratified_folds(y_true, folds, seed)
    assert ((fold_of >= 0) & (fold_of < folds)).all()
    rarest = np.argsort(y_true.sum(axis=0), kind="stable")[0]
    there = np.bincount(fold_of[y_true[:, rarest]], minlength=folds)
    assert there.max() - there.min() <= 1


def test_every_label_is_spread() -> None:
    """With enough samples every label has nearly its share in every fold, and the folds are of one size."""
    y_true = evidence(500, 5, gold_share=0.1).y_true
    fold_of = stratified_folds(y_true, 5, 0)
    assert np.bincount(fold_of).tolist() == [100] * 5
    for label in range(5):
        share = y_true[:, label].sum() / 5
        assert np.abs(np.bincount(fold_of[y_true[:, label]], minlength=5) - share).max() <= 4


def test_many_samples_take_no_time() -> None:
    """2,000 samples of 28 labels take well under a second."""
    wide = replace(tiled(evidence(2000, 7), 1, 4), names=tuple(f"l{at}" for at in range(28)))
    started = time.process_time()
    calibrate(wide)
    assert time.process_time() - started < 15
