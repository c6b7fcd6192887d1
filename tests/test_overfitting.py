"""Dev against test: the numbers, their intervals, and what may be said of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import stats
from harness.comparison import ComparedRun, RunPredictions, compare
from harness.evidence import Settings
from harness.labelspace import Label, LabelSpace
from harness.overfitting import SCORES, DevTest, dev_against_test
from harness.records import FailureKind, Prediction, Sample

SPACE = LabelSpace((Label("a"), Label("b"), Label("c")))
QUICK = Settings(resamples=200)

Cells = list[tuple[set[str], set[str] | None]]
"""Gold and prediction of each sample; None where it was not answered."""


def side(cells: Cells, space: LabelSpace = SPACE, repeats: int = 1) -> ComparedRun:
    """Return a run with these answers, the same in all repeats."""
    samples = [Sample(f"s{at}", {"text": "x"}, frozenset(gold)) for at, (gold, _) in enumerate(cells)]
    every = frozenset(space.names)
    predictions = [
        Prediction(f"s{at}", frozenset(), every, FailureKind.CALL_ERROR, "x", repeat=repeat)
        if said is None
        else Prediction(f"s{at}", frozenset(said), repeat=repeat)
        for repeat in range(repeats)
        for at, (_, said) in enumerate(cells)
    ]
    return compare(space, samples, [RunPredictions("v1", predictions)]).runs[0]


def noisy(n: int, wrong: float, seed: int, labels: str = "abc") -> ComparedRun:
    """Return a run that gets each cell wrong as often as said."""
    rng = np.random.default_rng(seed)
    gold = rng.random((n, len(labels))) < 0.4
    said = gold ^ (rng.random(gold.shape) < wrong)
    rows = zip(gold.tolist(), said.tolist(), strict=True)
    return side([({x for x, on in zip(labels, one, strict=True) if on}, {x for x, on in zip(labels, two, strict=True) if on})
                 for one, two in rows])  # fmt: skip


def test_a_gap_is_test_minus_dev() -> None:
    """Every headline score stands with both values, worked out by hand, and their difference."""
    dev = side([({"a"}, {"a"}), ({"b"}, {"b"}), ({"c"}, {"a", "c"}), (set(), set())])
    test = side([({"a"}, {"a"}), ({"b"}, {"c"}), ({"c"}, {"c"})])
    found = dev_against_test(dev, test, QUICK)
    macro, micro, subset = (found.gaps[name] for name in SCORES)
    assert (macro.dev, macro.test) == pytest.approx(((2 / 3 + 1 + 1) / 3, (1 + 0 + 2 / 3) / 3))
    assert (micro.dev, micro.test) == pytest.approx((6 / 7, 4 / 6))
    assert (subset.dev, subset.test) == pytest.approx((3 / 4, 2 / 3))
    assert all(gap.delta == gap.test - gap.dev for gap in found.gaps.values())
    assert (found.n_dev, found.n_test, found.labels, found.one_sided) == (4, 3, ("a", "b", "c"), ())


def test_macro_is_over_the_labels_with_gold_on_both_sides() -> None:
    """A label that only one side has is in neither macro average; micro F1 and subset accuracy have all of it."""
    dev = side([({"a"}, {"a"}), ({"b"}, {"b"}), ({"c"}, set()), ({"a"}, {"a", "b"})] * 8)
    test = side([({"a"}, {"a"}), ({"b"}, {"a"}), ({"b"}, {"b", "c"})] * 8)
    found = dev_against_test(dev, test, QUICK)
    assert (found.labels, found.one_sided) == (("a", "b"), ("c",))
    assert found.gaps["macro_f1"].dev == pytest.approx((1 + 2 / 3) / 2)
    assert dev.scores.averages.macro_f1 == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found.gaps["macro_f1"].test == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert found.gaps["micro_f1"].dev == dev.scores.averages.micro_f1


def test_sides_without_a_common_label() -> None:
    """Without a label on both sides there is no macro F1 to compare, and nothing is said."""
    found = dev_against_test(
        side([({"a"}, {"a"}), ({"a"}, {"b"})] * 20), side([({"b"}, {"b"}), ({"b"}, {"a"})] * 20), QUICK
    )
    assert math.isnan(found.gaps["macro_f1"].delta)
    assert found.verdict == "too few to tell"
    assert found.to_json()["gaps"]["macro_f1"] == dict.fromkeys(("dev", "test", "delta", "low", "high"))


def test_overfitting_is_said_where_it_is_plain() -> None:
    """A drop that the samples prove is overfitting, a rise is told as such, and noise is no gap."""
    good, bad = noisy(300, 0.05, 1), noisy(300, 0.25, 2)
    assert dev_against_test(good, bad, QUICK).verdict == "overfitting to dev"
    assert dev_against_test(bad, good, QUICK).verdict == "higher on test"
    assert dev_against_test(good, noisy(300, 0.05, 3), QUICK).verdict == "no gap shown"


def test_few_samples_prove_nothing() -> None:
    """Below `LEAST_SUPPORT` samples on a side nothing is said; below 100 there is a caution."""
    good, bad = noisy(stats.LEAST_SUPPORT, 0.02, 1), noisy(stats.LEAST_SUPPORT - 1, 0.5, 2)
    found = dev_against_test(good, bad, QUICK)
    assert found.gaps["macro_f1"].high < 0
    assert found.verdict == "too few to tell"
    assert found.cautions == (
        "20 samples on dev are few: intervals are narrower than they should be",
        "19 samples on test are few: intervals are narrower than they should be",
    )
    assert dev_against_test(noisy(100, 0.1, 1), noisy(100, 0.1, 2), QUICK).cautions == ()


@pytest.mark.parametrize("said", [{"a"}, {"b"}, None])
def test_a_side_on_which_nothing_varies_has_no_interval(said: set[str] | None) -> None:
    """All right, all wrong or all failed: no resample varies, so how far the truth may be is not known."""
    found = dev_against_test(noisy(50, 0.2, 1), side([({"a"}, said)] * 50), QUICK)
    assert all(math.isnan(gap.low) and math.isnan(gap.high) for gap in found.gaps.values())
    assert found.verdict == "too few to tell"


def test_several_prompts_widen_the_intervals() -> None:
    """Of k prompts each interval has the level 1 - 0.05 / k, and holds the one that a prompt alone has."""
    dev, test = noisy(150, 0.1, 1), noisy(150, 0.15, 2)
    alone, four = dev_against_test(dev, test), dev_against_test(dev, test, together=4)
    assert (alone.level, four.level) == (0.95, 0.9875)
    for name in SCORES:
        assert four.gaps[name].low <= alone.gaps[name].low < alone.gaps[name].high <= four.gaps[name].high


def test_repeats_are_means() -> None:
    """Several repeats count as their mean, also over a part of the labels."""
    cells: Cells = [({"a"}, {"a"}), ({"b"}, set()), ({"a", "c"}, {"a"}), ({"a"}, None)] * 6
    others: Cells = [({"a"}, {"a"}), ({"b"}, {"b"}), ({"a"}, {"b"})] * 8
    assert dev_against_test(side(cells), side(others), QUICK) == dev_against_test(
        side(cells, repeats=2), side(others), QUICK
    )


def test_the_same_seed_gives_the_same_intervals() -> None:
    """Intervals are seeded, and the two sides are drawn with different seeds."""
    dev, test = noisy(80, 0.1, 1), noisy(80, 0.2, 2)
    assert dev_against_test(dev, test) == dev_against_test(dev, test)
    assert dev_against_test(dev, test) != dev_against_test(dev, test, Settings(seed=1))
    same = dev_against_test(dev, dev)
    assert same.gaps["macro_f1"].delta == 0
    assert same.gaps["macro_f1"].low < 0 < same.gaps["macro_f1"].high


def test_other_labels_cannot_be_compared() -> None:
    """Both sides have the same labels in the same order."""
    other = LabelSpace((Label("b"), Label("a"), Label("c")))
    with pytest.raises(ValueError, match="same labels in the same order"):
        dev_against_test(side([({"a"}, {"a"})]), side([({"a"}, {"a"})], other))


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.0, 0.6), st.floats(0.0, 0.6), st.integers(1, 30), st.integers(1, 30))
def test_an_interval_holds_its_gap(seed: int, one: float, two: float, n_dev: int, n_test: int) -> None:
    """Wherever there is an interval it holds the gap, and what is said of it is what it says."""
    found: DevTest = dev_against_test(noisy(n_dev, one, seed), noisy(n_test, two, seed + 1), Settings(resamples=50))
    for gap in found.gaps.values():
        assert math.isnan(gap.low) == math.isnan(gap.high)
        assert math.isnan(gap.low) or gap.low <= gap.delta <= gap.high
    if found.verdict == "overfitting to dev":
        assert found.gaps["macro_f1"].high < 0
    assert found.to_json()["verdict"] == found.verdict


def test_a_false_alarm_is_rare() -> None:
    """Where dev and test are of one kind, overfitting is said in about 2.5 % of the cases (one side of 95 %)."""
    alarms = [
        dev_against_test(noisy(120, 0.15, 2 * at), noisy(120, 0.15, 2 * at + 1), QUICK).verdict == "overfitting to dev"
        for at in range(100)
    ]
    assert sum(alarms) <= 7
