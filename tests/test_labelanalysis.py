"""What a run does to its labels: by hand, and by what must fit together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import Case, cases, space_of, unhurried

from harness import metrics
from harness.labelanalysis import (
    EXAMPLES,
    Confusion,
    LabelAnalysis,
    LabelBias,
    LabelPair,
    Rule,
    RuleCheck,
    analyse,
    broken,
    broken_by_gold,
    rules_of,
)
from harness.records import FailureKind, Prediction, Sample
from harness.scoring import align

ABC = space_of("a", "b", "c")
RULES = replace(ABC, exclusive=(("a", "b", "c"),), implies=(("a", "b"), ("c", "a")))
GOLD = ("ab", "a", "", "bc")


def analysed(*repeats: Sequence[str], gold: Sequence[str] = GOLD) -> LabelAnalysis:
    """Return the analysis of repeats written as the labels of each sample; "?" after a label leaves it unanswered."""
    samples = [Sample(f"s{at}", {"text": ""}, frozenset(labels)) for at, labels in enumerate(gold)]
    predictions = [
        said(sample.id, labels, repeat)
        for repeat, row in enumerate(repeats)
        for sample, labels in zip(samples, row, strict=True)
    ]
    return analyse(RULES, align(RULES, samples, predictions))


def said(sample: str, labels: str, repeat: int = 0) -> Prediction:
    """Return a prediction of these letters, those before a "?" unanswered."""
    unanswered = frozenset(name for name, mark in pairwise(labels) if mark == "?")
    present = frozenset(labels) - unanswered - {"?"}
    return Prediction(sample, present, unanswered, FailureKind.REFUSAL if unanswered else None, repeat=repeat)


# s0: b missed, c added; s1: a missed, b and c added; s2: right; s3: b missed alone, c unanswered.
FOUND = analysed(("ac", "bc", "", "c?"))


def test_confusions_are_listed_with_their_samples() -> None:
    """Each pair of a missed and an added label has its count and its ids; labels missed or added alone have none."""
    assert [list(row) for row in FOUND.confusion] == [[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert FOUND.confusions == (
        Confusion("a", "b", 1, ("s1",)),
        Confusion("a", "c", 1, ("s1",)),
        Confusion("b", "c", 1, ("s0",)),
    )


def test_frequent_confusions_come_first_with_some_of_their_ids() -> None:
    """The order is by count, and no confusion has more than so many ids."""
    gold = ["b", *"a" * 7]
    found = analysed(["a", *"c" * 7], gold=gold)
    assert [(each.missed, each.added, each.n) for each in found.confusions] == [("a", "c", 7), ("b", "a", 1)]
    assert found.confusions[0].samples == tuple(f"s{at}" for at in range(1, EXAMPLES + 1))


def test_the_bias_of_each_label() -> None:
    """A label's predictions stand against its support, its errors apart by what else went wrong in the sample."""
    assert FOUND.labels[:2] == (
        LabelBias("a", 2, 1, 0.5, missed=1, missed_alone=0, added=0, added_alone=0, unanswered=0),
        LabelBias("b", 2, 1, 0.5, missed=2, missed_alone=1, added=1, added_alone=0, unanswered=0),
    )
    assert FOUND.labels[2] == LabelBias("c", 1, 2, 2.0, missed=0, missed_alone=0, added=2, added_alone=0, unanswered=1)


def test_a_label_without_gold_has_no_ratio() -> None:
    """Predicted against no support is 0/0, and not infinite."""
    found = analysed(["a"], gold=["b"])
    assert math.isnan(found.labels[0].ratio)
    assert found.to_json()["labels"][0]["ratio"] is None


def test_pairs_of_labels_in_gold_and_predicted() -> None:
    """Pairs that stand together somewhere are counted on both sides; those that differ most come first."""
    (ab, ac, bc) = FOUND.pairs
    assert ab == LabelPair(("a", "b"), gold=1, predicted=0, difference=-1, gold_lift=4 * 1 / 4, predicted_lift=0)
    assert ac == LabelPair(("a", "c"), gold=0, predicted=1, difference=1, gold_lift=0, predicted_lift=4 * 1 / 2)
    assert bc == LabelPair(("b", "c"), gold=1, predicted=1, difference=0, gold_lift=4 * 1 / 2, predicted_lift=2)


def test_a_pair_has_no_lift_where_one_of_its_labels_never_is() -> None:
    """The lift of labels that are not there is 0/0."""
    (pair,) = analysed(["ab"], gold=["a"]).pairs
    assert (pair.gold, pair.predicted, pair.predicted_lift) == (0, 1, 1)
    assert math.isnan(pair.gold_lift)


def test_the_number_of_labels() -> None:
    """Of gold all samples count, of predictions those that are fully answered; an unanswered cell is no label."""
    found = FOUND.cardinality
    assert (found.gold, found.predicted) == (5 / 4, 4 / 4)
    assert (found.gold_samples, found.predicted_samples) == ((1, 1, 2, 0), (1, 0, 2, 0))
    assert (found.answered, found.unanswered, found.answered_gold, found.answered_predicted) == (3, 1, 1, 4 / 3)
    assert (found.fewer, found.as_many, found.more) == (0, 2, 1)


def test_rules_that_are_broken() -> None:
    """Each rule names the samples whose gold or prediction breaks it; an unanswered cell breaks none."""
    exclusive, a_b, c_a = FOUND.rules
    assert exclusive == RuleCheck(Rule("exclusive", ("a", "b", "c")), ("s0", "s3"), ("s0", "s1"), 2)
    assert a_b == RuleCheck(Rule("implies", ("a", "b")), ("s1",), ("s0",), 1)
    assert c_a == RuleCheck(Rule("implies", ("c", "a")), ("s3",), ("s1",), 1)
    assert [str(each.rule) for each in FOUND.rules] == ["at most one of a, b, c", "a → b", "c → a"]
    assert analysed(["a" + "b?"], gold=["ab"]).rules[1].n_predicted == 0


def test_counts_of_several_repeats_are_means_and_ids_of_any() -> None:
    """Over repeats counts are means, and a sample is named where it happens in one of them."""
    found = analysed(("ac", "bc", "", "c?"), ("ab", "c", "a", "bc"))
    assert found.n_repeats == 2
    assert Confusion("a", "c", 1, ("s1",)) in found.confusions
    assert Confusion("b", "c", 0.5, ("s0",)) in found.confusions
    assert found.labels[0].predicted == 1.5
    assert found.rules[1] == RuleCheck(Rule("implies", ("a", "b")), ("s1",), ("s0", "s2"), 1)
    assert found.cardinality.predicted_samples == (0.5, 1, 2, 0)


def test_the_part_about_one_label() -> None:
    """`about` keeps what names the label."""
    found = FOUND.about("b")
    assert [(each.missed, each.added) for each in found.confusions] == [("a", "b"), ("b", "c")]
    assert [each.label for each in found.labels] == ["b"]
    assert [each.labels for each in found.pairs] == [("a", "b"), ("b", "c")]
    assert [each.rule.labels for each in found.rules] == [("a", "b", "c"), ("a", "b")]
    assert (found.confusion, found.cardinality, found.n_samples) == (FOUND.confusion, FOUND.cardinality, 4)


def test_nothing_to_analyse() -> None:
    """Without samples there are no counts, and means are not defined."""
    found = analysed([], gold=[])
    assert (found.confusions, found.pairs, found.n_samples) == ((), (), 0)
    assert math.isnan(found.cardinality.gold)
    assert math.isnan(found.cardinality.answered_predicted)
    assert all(row.predicted == 0 for row in found.labels)


def test_gold_that_breaks_rules() -> None:
    """`broken_by_gold` names the rules that are broken with their samples, and nothing where there is no rule."""
    gold = [("x", "ab"), ("y", "c"), ("z", "")]
    assert broken_by_gold(RULES, gold) == ((rules_of(RULES)[0], ["x"]), (rules_of(RULES)[2], ["y"]))
    assert broken_by_gold(ABC, gold) == ()


@unhurried
@given(cases(max_repeats=3))
def test_what_the_analysis_says_fits_together(case: Case) -> None:
    """Its counts are those of the scores, its samples those that break something, and its JSON is JSON."""
    repeats = align(*case)
    found = analyse(case.space, repeats)
    counts = [metrics.count(rows.y_true, rows.y_pred, rows.answered) for rows in repeats]
    for at, row in enumerate(found.labels):
        assert row.support == counts[0].support[at]
        assert row.predicted == pytest.approx(np.mean([each.predicted[at] for each in counts]))
        assert row.missed + row.unanswered == pytest.approx(np.mean([each.fn[at] for each in counts]))
        assert row.added == pytest.approx(np.mean([each.fp[at] for each in counts]))
        assert row.missed_alone <= row.missed + 1e-9
        assert row.added_alone <= row.added + 1e-9
    cardinality = found.cardinality
    assert sum(cardinality.gold_samples) == found.n_samples
    assert sum(cardinality.predicted_samples) == pytest.approx(cardinality.answered)
    assert cardinality.fewer + cardinality.as_many + cardinality.more == pytest.approx(cardinality.answered)
    assert cardinality.answered + cardinality.unanswered == pytest.approx(found.n_samples)
    for each in found.confusions:
        assert 1 <= len(each.samples) <= EXAMPLES
        assert each.n >= len(each.samples) / found.n_repeats - 1e-9 or len(each.samples) == EXAMPLES
    json.dumps(found.to_json(), allow_nan=False)


@unhurried
@given(st.lists(st.frozensets(st.sampled_from("abc")), max_size=6), st.data())
def test_answering_less_breaks_no_rule(sets: list[frozenset[str]], data: st.DataObject) -> None:
    """A rule is broken only by cells that are answered: taking an answer away never adds a violation."""
    y = RULES.vectors(sets)
    answered = ~RULES.vectors(data.draw(st.frozensets(st.sampled_from("abc"))) for _ in sets)
    for rule in rules_of(RULES):
        everything = broken(rule, RULES, y)
        assert not (broken(rule, RULES, y, answered) & ~everything).any()
        by_hand = [
            len(names & set(rule.labels)) > 1
            if rule.kind == "exclusive"
            else rule.labels[0] in names and rule.labels[1] not in names
            for names in sets
        ]
        assert everything.tolist() == by_hand
