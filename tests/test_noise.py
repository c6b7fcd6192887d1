"""The noise floor: how much repeats of one run differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from strategies_labels import Case, cases, space_of, unhurried

from harness.noise import Noise, disagreement, noise, noise_of, unstable_cells
from harness.records import FailureKind, Prediction, Sample
from harness.scoring import Aligned, align, score

AB = space_of("a", "b")
BOTH = frozenset("ab")
GOLD = [Sample("s1", {"text": ""}, frozenset("a")), Sample("s2", {"text": ""}, frozenset()),
        Sample("s3", {"text": ""}, BOTH)]  # fmt: skip


def said(*repeats: Sequence[str]) -> list[Prediction]:
    """Return the predictions of repeats written as the labels of each sample; "?" is no answer."""
    return [
        Prediction(sample.id, frozenset(), BOTH, FailureKind.UNPARSEABLE, repeat=repeat)
        if labels == "?"
        else Prediction(sample.id, frozenset(labels), repeat=repeat)
        for repeat, row in enumerate(repeats)
        for sample, labels in zip(GOLD, row, strict=True)
    ]


def measured(*repeats: Sequence[str]) -> Noise | None:
    """Return the noise of repeats written as in `said`."""
    predictions = said(*repeats)
    return noise(AB, align(AB, GOLD, predictions), score(AB, GOLD, predictions))


# s1 always the same; s2 has b once; s3 both, a alone, no answer.
REPEATS = (("a", "", "ab"), ("a", "b", "a"), ("a", "", "?"))


def test_a_small_example_by_hand() -> None:
    """Every number of three repeats of three samples."""
    found = measured(*REPEATS)
    assert found is not None
    assert (found.n_samples, found.n_repeats) == (3, 3)
    assert (found.unstable_samples, found.unstable_cells) == (2, 3)
    assert [found.share_samples, found.share_cells] == pytest.approx([2 / 3, 1 / 2])
    # s2: b differs in two of the three pairs; s3: a (present, present, unanswered) in two, b (all three) in all.
    assert [(row.label, row.unstable) for row in found.labels] == [("a", 1), ("b", 2)]
    assert [row.disagreement for row in found.labels] == pytest.approx([2 / 9, 5 / 9])
    assert [(each.sample, each.labels) for each in found.samples] == [("s3", ("a", "b")), ("s2", ("b",))]
    assert [each.disagreement for each in found.samples] == pytest.approx([5 / 3, 2 / 3])
    assert found.sample_disagreement == pytest.approx((0 + 2 / 3 + 1) / 3)
    assert found.cell_disagreement == pytest.approx(7 / 18)
    assert found.unstable_labels == (found.labels[1], found.labels[0])


def test_the_spread_of_the_headline_scores() -> None:
    """Of every headline score there are the lowest, the highest and the standard deviation over the repeats."""
    found, scores = measured(*REPEATS), score(AB, GOLD, said(*REPEATS))
    assert found is not None
    assert list(found.scores) == ["macro_f1", "micro_f1", "subset_accuracy", "coverage"]
    values = [[each.headline[name] for each in scores.repeats] for name in found.scores]
    assert values[2:] == [[1, 1 / 3, 2 / 3], [1, 1, 2 / 3]]
    for spread, over in zip(found.scores.values(), values, strict=True):
        assert (spread.least, spread.most) == (min(over), max(over))
        assert spread.deviation == pytest.approx(np.std(over, ddof=1))


def test_the_spread_is_over_the_repeats_in_which_a_score_is_defined() -> None:
    """A score that is 0/0 in a repeat has no value there; in one repeat there is no deviation, in none nothing."""
    gold = [Sample("s1", {"text": ""}, frozenset())]
    predictions = [Prediction("s1", frozenset("a")), Prediction("s1", frozenset(), repeat=1)]
    found = noise(AB, align(AB, gold, predictions), score(AB, gold, predictions))
    assert found is not None
    micro, macro = found.scores["micro_f1"], found.scores["macro_f1"]
    assert (micro.least, micro.most) == (0, 0)
    assert math.isnan(micro.deviation)
    assert all(map(math.isnan, (macro.least, macro.most, macro.deviation)))


def test_repeats_that_agree_are_stable() -> None:
    """The same answers in every repeat have no unstable cell, failures among them."""
    found = measured(("a", "?", "ab"), ("a", "?", "ab"))
    assert found is not None
    assert (found.unstable_samples, found.unstable_cells, found.samples, found.unstable_labels) == (0, 0, (), ())
    assert found.cell_disagreement == found.sample_disagreement == 0
    assert all(spread.deviation == 0 for spread in found.scores.values())


def test_an_answer_and_a_failure_disagree() -> None:
    """Unanswered is a state of its own: neither absent nor present."""
    repeats = align(AB, GOLD, said(("", "a", "ab"), ("?", "?", "?")))
    assert unstable_cells(repeats).all()


def test_one_repeat_measures_nothing() -> None:
    """There is no noise of one repeat; none of its cells is unstable."""
    predictions = said(REPEATS[0])
    repeats, scores = align(AB, GOLD, predictions), score(AB, GOLD, predictions)
    assert noise(AB, repeats, scores) is None
    assert noise_of(AB, GOLD, {}, predictions, scores) is None
    assert not unstable_cells(repeats).any()
    with pytest.raises(ValueError, match=r"^disagreement needs at least two repeats, got 1$"):
        disagreement(repeats)


def test_repeats_of_other_samples_are_refused() -> None:
    """Cells are compared sample by sample: repeats must be about the same ones, and there must be one."""
    ours, theirs = align(AB, GOLD, said(REPEATS[0])), align(AB, GOLD[::-1], said(REPEATS[0]))
    with pytest.raises(
        ValueError, match=r"^repeats must be about the same samples in the same order, and these are not"
    ):
        unstable_cells([*ours, *theirs])
    with pytest.raises(ValueError, match=r"^the noise of a run needs its repeats, got none$"):
        unstable_cells([])


def test_no_samples_have_no_noise() -> None:
    """Without samples shares and disagreements are not defined."""
    (empty,) = align(AB, [], [])
    found = noise(AB, [empty, empty], score(AB, [], []))
    assert found is not None
    assert (found.n_samples, found.unstable_samples, found.unstable_cells) == (0, 0, 0)
    undefined = (found.share_samples, found.share_cells, found.sample_disagreement, found.cell_disagreement)
    assert all(map(math.isnan, (*undefined, *(row.disagreement for row in found.labels))))


def test_the_noise_of_a_stored_run_counts_the_samples_it_was_scored_on() -> None:
    """The gold of the scores decides: what was unlabelled there does not count, what was labelled since does."""
    samples = [Sample("s1", {"text": ""}, frozenset("a")), Sample("s2", {"text": ""}, None)]
    gold = {"s1": None, "s2": frozenset("b")}
    predictions = [Prediction(name, frozenset("a" * repeat), repeat=repeat) for repeat in (0, 1) for name in gold]
    scores = score(
        AB, [Sample("s2", {"text": ""}, frozenset("b"))], [each for each in predictions if each.sample == "s2"]
    )
    found = noise_of(AB, samples, gold, predictions, scores)
    assert found is not None
    assert [each.sample for each in found.samples] == ["s2"]
    assert found.n_samples == 1


@unhurried
@given(cases(max_repeats=4))
def test_disagreement_is_the_share_of_differing_pairs(case: Case) -> None:
    """The formula gives what comparing every pair of repeats gives: between 0 and 1, above 0 where a cell is unstable."""
    repeats = align(*case)
    if len(repeats) < 2:
        return
    pairs = [unstable_cells(pair) for pair in combinations(repeats, 2)]
    np.testing.assert_allclose(disagreement(repeats), np.mean(pairs, axis=0))
    np.testing.assert_array_equal(disagreement(repeats) > 0, unstable_cells(repeats))


@unhurried
@given(cases(max_repeats=4))
def test_what_the_noise_says_fits_together(case: Case) -> None:
    """Its counts are those of `unstable_cells`, its means those of its parts, and no order of repeats changes it."""
    repeats, scores = align(*case), score(*case)
    found = noise(case.space, repeats, scores)
    assert (found is None) == (len(repeats) == 1)
    if found is None:
        return
    unstable = unstable_cells(repeats)
    assert found.unstable_cells == sum(row.unstable for row in found.labels) == np.count_nonzero(unstable)
    assert {each.sample for each in found.samples} == {
        sample.id for sample, row in zip(repeats[0].samples, unstable, strict=True) if row.any()
    }
    assert found.cell_disagreement == pytest.approx(np.mean([row.disagreement for row in found.labels]))
    assert found.cell_disagreement <= found.share_cells + 1e-12
    assert found.cell_disagreement - 1e-12 <= found.sample_disagreement <= found.share_samples + 1e-12
    turned = noise(case.space, repeats[::-1], scores)
    assert turned is not None
    assert turned.labels == found.labels
    assert turned.sample_disagreement == pytest.approx(found.sample_disagreement)


def test_disagreement_is_unbiased() -> None:
    """Over many draws its mean is the probability that two answers differ, with two repeats as with five."""
    rng = np.random.default_rng(1)
    share = 0.3
    gold = [Sample(f"s{row}", {"text": ""}, frozenset()) for row in range(20_000)]
    for n_repeats in (2, 5):
        (plain,) = align(space_of("a"), gold, [])
        cells = rng.random((n_repeats, len(gold), 1)) < share
        answered = np.ones((len(gold), 1), dtype=np.bool_)
        repeats = [
            Aligned(repeat, plain.samples, plain.predictions, plain.y_true, cells[repeat], answered)
            for repeat in range(n_repeats)
        ]
        assert disagreement(repeats).mean() == pytest.approx(2 * share * (1 - share), abs=0.01)
