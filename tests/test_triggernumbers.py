"""What triggers catch: every number by hand and against the scores themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried
from trigger_cases import SPACE, case_of, made_cases, shipping_that_is_not_late

from harness.cases import Case, Cases, gather
from harness.metrics import BoolVector, averages
from harness.records import FailureKind, Prediction, Sample
from harness.triggernumbers import (
    BOUNDED,
    DRAWS,
    SCOPE_LABELS,
    SCOPE_SHARE,
    excess_p,
    measure,
    reference,
    uncertainty,
)

ABC = space_of("a", "b", "c")


def said(name: str, gold: str, answer: str, unanswered: str = "") -> Case:
    """Return a case whose labels are letters."""
    failure = FailureKind.UNPARSEABLE if unanswered else None
    prediction = Prediction(name, frozenset(answer), frozenset(unanswered), failure)
    return case_of(Sample(name, {}, frozenset(gold)), prediction, ABC)


def everything(cases: Cases) -> BoolVector:
    """Return that all samples count."""
    return np.ones(cases.n_samples, np.bool_)


SIX = gather(
    ABC,
    [
        said("1", "a", "a"),
        said("2", "a", "b"),
        said("3", "ab", "a"),
        said("4", "c", "", unanswered="abc"),
        said("5", "", ""),
        said("6", "b", "b"),
    ],
)


def test_a_trigger_has_its_price_and_what_it_catches() -> None:
    """Sent are 2, 4 and 5: 2 of the 3 wrong samples, 3 of the 4 errors, 5 of the 6 wrong cells."""
    (found,) = measure(SIX, everything(SIX), np.array([[False, True, False, True, True, False]]))
    assert (found.n, found.sent, found.wrong, found.wrong_sent) == (6, 3, 3, 2)
    assert (found.price, found.precision, found.base_rate, found.lift) == pytest.approx((1 / 2, 2 / 3, 1 / 2, 4 / 3))
    assert (found.errors, found.errors_sent, found.coverage, found.excess) == pytest.approx((4, 3, 3 / 4, 1))
    assert (found.cells, found.cells_sent, found.coverage_samples) == pytest.approx((6, 5, 2 / 3))
    assert found.scores["subset_accuracy"] == pytest.approx(1 / 2)
    assert found.bound["subset_accuracy"] == pytest.approx(1 / 3)
    assert (found.scope, found.scope_share) == (("a", "b", "c"), 1.0)


def test_only_the_samples_that_count_count() -> None:
    """On part of the samples everything is as if there were no others."""
    part = np.array([False, True, True, True, False, False])
    alone = gather(ABC, SIX.rows[1:4])
    mask = np.array([[True, True, False, False, True, True]])
    assert measure(SIX, part, mask) == measure(alone, everything(alone), mask[:, 1:4])


def test_nothing_sent_and_nothing_there_are_not_defined() -> None:
    """0/0 is NaN; nothing sent gains nothing."""
    (none,) = measure(SIX, everything(SIX), np.zeros((1, 6), np.bool_))
    assert math.isnan(none.precision)
    assert math.isnan(none.lift)
    assert math.isnan(none.scope_share)
    assert (none.scope, none.coverage, none.excess) == ((), 0, 0)
    assert dict(none.bound) == pytest.approx(dict.fromkeys(BOUNDED, 0))
    (empty,) = measure(SIX, ~everything(SIX), np.ones((1, 6), np.bool_))
    assert math.isnan(empty.price)
    assert math.isnan(empty.scores["macro_f1"])


def perfect(cases: Cases, mask: BoolVector, labels: frozenset[str] | None = None) -> list[Any]:
    """Return the averages by repeat when cells of these labels became right where the mask is true."""
    columns = np.array([labels is None or name in labels for name in cases.space.names])
    right = mask[:, None] & columns
    shape = cases.n_repeats, cases.n_samples, -1
    arrays = cases.y_true, np.where(right, cases.y_true, cases.y_pred), cases.answered | right
    return [averages(*each) for each in zip(*(array.reshape(shape) for array in arrays), strict=True)]


@pytest.mark.parametrize("repeats", [1, 2])
def test_bounds_are_the_scores_of_a_perfect_pass(repeats: int) -> None:
    """What the products say is what scoring says when the cells are put right, in all labels or in those in question."""
    cases = gather(SPACE, made_cases(60, 2, shipping_that_is_not_late, noise=0.4, repeats=repeats))
    masks = np.random.default_rng(1).random((5, len(cases.rows))) < 0.4
    before = perfect(cases, np.zeros(len(cases.rows), np.bool_))
    for found, mask in zip(measure(cases, everything(cases), masks), masks, strict=True):
        for gains, labels in ((found.bound, None), (found.scope_bound, frozenset(found.scope))):
            after = perfect(cases, mask, labels)
            for name in BOUNDED:
                was, now = (np.mean([getattr(each, name) for each in rows]) for rows in (before, after))
                assert gains[name] == pytest.approx(now - was)
                assert found.scores[name] == pytest.approx(was)
        assert all(found.scope_bound[name] <= found.bound[name] + 1e-9 for name in BOUNDED)


def test_the_scope_is_the_fewest_labels_that_hold_most_errors() -> None:
    """The label with the most errors first, until they hold the share; no more than a pass can be about."""
    space = space_of(*"abcdefghijkl")
    cases = [
        case_of(Sample(f"{name}{number}", {}, frozenset(name)), Prediction(f"{name}{number}", frozenset()), space)
        for place, name in enumerate(space.names)
        for number in range(1 if place else 50)
    ]
    gathered = gather(space, cases)
    assert SCOPE_SHARE == 0.8
    (found,) = measure(gathered, everything(gathered), np.ones((1, len(cases)), np.bool_))
    assert found.scope == ("a",)
    assert found.scope_share == pytest.approx(50 / 61)
    (found,) = measure(gathered, everything(gathered), np.array([[row.sample[0] != "a" for row in cases]]))
    assert found.scope == tuple("bcdefghi")
    assert len(found.scope) == SCOPE_LABELS
    assert found.scope_share == pytest.approx(8 / 11)


def test_intervals_hold_the_numbers_and_grow_with_fewer_samples() -> None:
    """The bootstrap draws samples whole; with a quarter of the samples intervals are about twice as wide."""
    cases = gather(SPACE, made_cases(400, 2, shipping_that_is_not_late, noise=0.2))
    mask = np.array([shipping_that_is_not_late(row.prediction.labels, row.inputs["text"]) for row in cases.rows])
    widths = []
    for part in (everything(cases), np.arange(400) < 100):
        (numbers,), found = measure(cases, part, mask[None]), uncertainty(cases, part, mask, resamples=300)
        for name in ("price", "precision", "lift", "coverage", "coverage_samples"):
            low, high = getattr(found, name)
            assert low <= getattr(numbers, name) <= high
        for name in BOUNDED:
            assert found.bound[name].low <= numbers.bound[name] <= found.bound[name].high
        widths.append(found.bound["micro_f1"].high - found.bound["micro_f1"].low)
    assert 1.3 < widths[1] / widths[0] < 3
    nothing = uncertainty(cases, ~everything(cases), mask, resamples=10)
    assert math.isnan(nothing.price.low)
    assert math.isnan(nothing.bound["macro_f1"].high)


def test_random_samples_catch_what_they_are_many() -> None:
    """As many samples at random hold their share of the errors, and gain their share of exact samples."""
    cases = gather(SPACE, made_cases(200, 2, noise=0.3))
    found = reference(cases, everything(cases), 50)
    assert DRAWS >= 100
    assert found.sent == 50
    assert found.coverage == pytest.approx(0.25, abs=0.02)
    assert found.coverage_samples == pytest.approx(0.25, abs=0.02)
    assert found.bound["subset_accuracy"] == pytest.approx(cases.wrong.mean() / 4, abs=0.01)
    assert found.bound_interval["micro_f1"].low < found.bound["micro_f1"] < found.bound_interval["micro_f1"].high
    assert found == reference(cases, everything(cases), 50)


# --- p-values ---------------------------------------------------------------------------------------------------------


def test_the_p_value_is_that_of_fishers_exact_test() -> None:
    """For samples that are right or wrong it is the hypergeometric tail, but for the draws."""
    sent, wrong = np.repeat([1.0, 0.0], [10, 30]), np.zeros(40)
    wrong[[0, 1, 2, 3, 4, 5, 15, 16, 17, 18, 19, 20]] = 1
    n, k, drawn = 40, 12, 10
    tail = sum(math.comb(k, x) * math.comb(n - k, drawn - x) for x in range(6, 11)) / math.comb(n, drawn)
    assert excess_p(sent, wrong) == pytest.approx(tail, rel=0.2)
    assert excess_p(sent, wrong) == excess_p(sent, wrong)


def test_errors_are_dealt_within_strata() -> None:
    """Where one part has all the errors and all that is sent, sending it says nothing."""
    sent, errors = np.repeat([1.0, 0.0], 20), np.repeat([1.0, 0.0], 20)
    assert excess_p(sent, errors) < 0.001
    assert excess_p(sent, errors, np.repeat([0, 1], 20)) == 1


@unhurried
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=12))
def test_a_p_value_is_one_where_nothing_can_be_told(rows: list[tuple[int, int]]) -> None:
    """It lies in (0, 1]; it is 1 when everything or nothing is sent, or all have the same errors."""
    sent, errors = (np.array([row[at] for row in rows], np.float64) for at in (0, 1))
    p = excess_p(sent, errors, permutations=50)
    assert 0 < p <= 1
    if len(set(sent.tolist())) < 2 or len(set(errors.tolist())) < 2:
        assert p == 1


def test_p_values_are_uniform_when_nothing_is_there() -> None:
    """On errors that have nothing to do with what is sent, p is at most 0.1 about one time in ten, and no more."""
    rng = np.random.default_rng(4)
    p = [
        excess_p((rng.random(60) < 0.3).astype(float), rng.poisson(0.7, 60).astype(float), permutations=200, seed=seed)
        for seed in range(300)
    ]
    assert 0.05 < np.mean(np.array(p) <= 0.1) < 0.15


def test_numbers_are_means_over_repeats() -> None:
    """Two equal repeats are as one."""
    once = made_cases(40, 7, noise=0.4)
    again = [replace(case, prediction=replace(case.prediction, repeat=1)) for case in once]
    first, second = gather(SPACE, once), gather(SPACE, [*once, *again])
    mask = np.random.default_rng(3).random(40) < 0.5
    (one,), (two,) = (measure(cases, everything(cases), cases.by_case(mask)[None]) for cases in (first, second))
    assert one == two


def test_samples_that_are_sent_in_some_repeats_alone() -> None:
    """Where samples are sent not, in one repeat or in both, the p-value is the share of all exchanges that catch as many."""
    sent, errors = np.array([0.0, 0, 1, 1, 2, 2]), np.array([0.0, 1, 0, 2, 1, 2])
    caught = [float(np.array(each) @ sent) for each in permutations(errors.tolist())]
    exact = np.mean([each >= errors @ sent - 1e-9 for each in caught])
    assert excess_p(sent, errors, permutations=20_000) == pytest.approx(exact, abs=0.01)
    often = np.where(sent > 0, 2.0, 1.0)  # and where all are sent, some of them twice
    caught = [float(np.array(each) @ often) for each in permutations(errors.tolist())]
    exact = np.mean([each >= errors @ often - 1e-9 for each in caught])
    assert excess_p(often, errors, permutations=20_000) == pytest.approx(exact, abs=0.01)
