"""What changed between runs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import cases, runs_of, space_of, unhurried

from harness.comparison import (
    FLIPS,
    Comparison,
    Diff,
    F1Change,
    RunPredictions,
    SampleChange,
    compare,
    headline_delta,
)
from harness.labelspace import LabelSpace
from harness.records import FailureKind, Prediction, Sample
from harness.scoring import score

ABC = space_of("a", "b", "c")
ALL = frozenset("abc")


def sample(name: str, labels: str | None) -> Sample:
    """Return a sample whose gold labels are the letters of ``labels``."""
    return Sample(name, {"text": name}, None if labels is None else frozenset(labels))


def said(name: str, labels: str, repeat: int = 0, **more: Any) -> Prediction:
    """Return an answered prediction of the letters of ``labels``."""
    return Prediction(name, frozenset(labels), repeat=repeat, **more)


def failed(name: str, kind: FailureKind = FailureKind.TRUNCATED, repeat: int = 0) -> Prediction:
    """Return a prediction that answers nothing."""
    return Prediction(name, frozenset(), ALL, kind, repeat=repeat)


def ids(changes: Any) -> list[str]:
    """Return the sample ids of the changes."""
    return [change.sample for change in changes]


# The common samples are 1 to 5. The third fails after, the fifth before.
GOLD = [
    sample("1", "a"),
    sample("2", "b"),
    sample("3", ""),
    sample("4", "c"),
    sample("5", "ab"),
    sample("6", "a"),
    sample("7", "c"),
    sample("8", None),
]
BEFORE = [said("1", "a"), said("2", "a"), said("3", ""), said("4", "b"), failed("5"), said("6", "a"), said("8", "a")]
AFTER = [
    said("1", ""),
    said("2", "b"),
    failed("3"),
    said("4", "a"),
    said("5", "a"),
    said("7", "c"),
    said("8", "b"),
    said("gone", "b"),
    said("gone too", "b"),
]
COMPARISON = compare(ABC, GOLD, [RunPredictions("v1", BEFORE), RunPredictions("v2", AFTER)])
DIFF = COMPARISON.diffs[0]


# --- a small example, every number ------------------------------------------------------------------------------------


def test_runs_are_scored_on_their_common_labelled_samples() -> None:
    """Common are labelled samples that every run predicted; what a run has beyond them is counted as dropped."""
    assert (COMPARISON.n_common, COMPARISON.samples) == (5, ("1", "2", "3", "4", "5"))
    assert [(run.name, run.n_dropped) for run in COMPARISON.runs] == [("v1", 1), ("v2", 3)]
    for run, predictions in zip(COMPARISON.runs, (BEFORE, AFTER), strict=True):
        assert repr(run.scores) == repr(score(ABC, GOLD[:5], predictions[:5]))


def test_samples_regress_get_fixed_or_churn() -> None:
    """Regressed: exactly right before, wrong now. Fixed: the reverse. Churned: wrong both times, differently."""
    assert (DIFF.before, DIFF.after) == ("v1", "v2")
    assert (ids(DIFF.regressed), ids(DIFF.fixed), ids(DIFF.churned)) == (["1", "3"], ["2"], ["4", "5"])
    change = DIFF.churned[1]
    assert (change.before, change.after, change.gold, change.kind) == (BEFORE[4], AFTER[4], frozenset("ab"), "churned")
    assert {change.kind for change in DIFF.regressed} == {"regressed"}
    assert {change.kind for change in DIFF.fixed} == {"fixed"}


def test_labels_tell_which_of_their_cells_flipped() -> None:
    """Each label has F1 of both runs, its change, and the cells that went wrong and right; unanswered is wrong."""
    a, b, c = DIFF.labels
    expected = (  # on the samples answered by both, 1, 2 and 4, a is found and falsely said before, only that after
        ("a", 2, 1 / 2, 1 / 2, 0, -2 / 3, 3, 2),
        ("b", 2, 0, 2 / 3, 2 / 3, 1, 1, 2),
        ("c", 1, 0, 0, 0, 0, 1, 1),
    )
    for found, (label, *numbers) in zip(DIFF.labels, expected, strict=True):
        assert (found.label, found.unstable) == (label, 0)
        told = (found.support, found.f1_before, found.f1_after, found.delta, found.answered_by_both)
        assert [*told, found.regressed, found.fixed] == pytest.approx(numbers)
    assert dict(a.flips) == flips(lost=1, alarm=1, mended=1, failed=1, answered=1)
    assert dict(b.flips) == flips(found=1, mended=1, failed=1, answered=1)
    assert dict(c.flips) == flips(failed=1, answered=1)


def test_cells_flip_in_six_ways() -> None:
    """Flipped cells are counted by type, in a fixed order."""
    assert list(DIFF.cells.items()) == [
        ("TP→FN", 1),
        ("FN→TP", 1),
        ("TN→FP", 1),
        ("FP→TN", 2),
        ("answer→failure", 3),
        ("failure→answer", 3),
    ]


def test_a_change_of_f1_is_split_into_answers_and_failures() -> None:
    """The change over samples that both answered is one part, the rest is what failures did."""
    assert DIFF.n_answered_by_both == 3
    macro = F1Change(before=1 / 6, after=7 / 18, total=2 / 9, answered_by_both=1 / 3 - 2 / 9, failures=1 / 9)
    micro = F1Change(before=1 / 4, after=1 / 2, total=1 / 4, answered_by_both=2 / 5 - 1 / 3, failures=11 / 60)
    assert asdict(DIFF.macro_f1) == pytest.approx(asdict(macro))
    assert asdict(DIFF.micro_f1) == pytest.approx(asdict(micro))


def test_headline_scores_have_a_change() -> None:
    """The change of each headline score is after minus before."""
    expected = {"macro_f1": 2 / 9, "micro_f1": 1 / 4, "subset_accuracy": -1 / 5, "coverage": 0}
    assert DIFF.headline == pytest.approx(expected)
    assert headline_delta(COMPARISON.runs[0].scores, COMPARISON.runs[1].scores) == DIFF.headline


def flips(
    lost: int = 0, found: int = 0, alarm: int = 0, mended: int = 0, failed: int = 0, answered: int = 0
) -> dict[str, int]:
    """Return numbers of cells by how they changed."""
    return dict(zip(FLIPS, (lost, found, alarm, mended, failed, answered), strict=True))


def test_samples_tell_which_of_their_cells_flipped() -> None:
    """A changed sample has its flips by label, in label-space order."""
    failure, answer = dict.fromkeys("abc", "answer→failure"), dict.fromkeys("abc", "failure→answer")
    assert [dict(each.flips) for each in (*DIFF.regressed, *DIFF.fixed, *DIFF.churned)] == [
        {"a": "TP→FN"},
        failure,
        {"a": "FP→TN", "b": "FN→TP"},
        {"a": "TN→FP", "b": "FP→TN"},
        answer,
    ]
    assert list(DIFF.fixed[0].flips) == ["a", "b"]


def test_errors_move_from_one_confusion_to_another() -> None:
    """Confusions that changed, the most gained first, the most lost last; a failure is none."""
    assert [(each.missed, each.predicted, each.before, each.after) for each in DIFF.errors_moved] == [
        ("a", None, 0, 1),
        ("b", None, 0, 1),
        ("c", "a", 0, 1),
        ("b", "a", 1, 0),
        ("c", "b", 1, 0),
    ]


# --- rules ------------------------------------------------------------------------------------------------------------


def test_f1_that_rises_by_failures_alone_is_told_apart() -> None:
    """A failure that hides false positives lifts micro F1; answered by both nothing changed."""
    gold = [sample("1", "a"), sample("2", "")]
    diff = one_diff(gold, [said("1", "a"), said("2", "bc")], [said("1", "a"), failed("2")])
    assert diff.micro_f1.total == pytest.approx(1 / 2)
    assert (diff.micro_f1.answered_by_both, diff.micro_f1.failures) == (0, diff.micro_f1.total)


def test_without_samples_answered_by_both_the_split_is_undefined() -> None:
    """Where no sample was answered by both, 0/0 is said."""
    diff = one_diff([sample("1", "a")], [said("1", "a")], [failed("1")])
    assert (diff.n_answered_by_both, diff.macro_f1.total) == (0, -1.0)
    assert math.isnan(diff.macro_f1.answered_by_both)
    assert math.isnan(diff.macro_f1.failures)


def test_macro_runs_over_the_labels_of_the_common_samples() -> None:
    """A label whose gold is only in dropped samples is in no run's macro average."""
    gold = [sample("1", "a"), sample("2", "b")]
    comparison = compare(
        ABC, gold, [RunPredictions("v1", [said("1", "a"), said("2", "")]), RunPredictions("v2", [said("1", "ab")])]
    )
    assert [run.scores.averages.macro_labels for run in comparison.runs] == [1, 1]
    assert [run.scores.averages.macro_f1 for run in comparison.runs] == [1.0, 1.0]


def test_partly_answered_is_not_exactly_right() -> None:
    """A sample with the right labels and an unanswered cell is wrong, and churns when another cell goes unanswered."""
    gold = [sample("1", "a")]
    part, other = (Prediction("1", frozenset("a"), frozenset(cell), FailureKind.REFUSAL) for cell in "bc")
    assert ids(one_diff(gold, [said("1", "a")], [part]).regressed) == ["1"]
    assert ids(one_diff(gold, [part], [said("1", "a")]).fixed) == ["1"]
    assert ids(one_diff(gold, [part], [other]).churned) == ["1"]


def test_wrong_in_the_same_way_is_no_change() -> None:
    """Equal labels are no churn, nor is the same sample failing for another reason or under another repeat."""
    gold = [sample("1", "a"), sample("2", "a")]
    before = [said("1", "b", why="x"), failed("2", FailureKind.TRUNCATED)]
    diff = one_diff(gold, before, [said("1", "b", off_list=("y",)), failed("2", FailureKind.REFUSAL)])
    assert (diff.regressed, diff.fixed, diff.churned) == ((), (), ())


def test_later_runs_are_compared_with_the_first() -> None:
    """Every diff is against the baseline; all of them are on the samples common to all runs."""
    runs = [
        RunPredictions("v1", [said("1", "a"), said("2", "b")]),
        RunPredictions("v2", [said("1", ""), said("2", "b")]),
        RunPredictions("v3", [said("1", "a")]),
    ]
    comparison = compare(ABC, GOLD, runs)
    assert comparison.samples == ("1",)
    assert [(diff.before, diff.after, ids(diff.regressed)) for diff in comparison.diffs] == [
        ("v1", "v2", ["1"]),
        ("v1", "v3", []),
    ]


def test_flips_are_of_repeat_0_and_f1_is_the_mean_over_repeats() -> None:
    """Other repeats change no flip list; F1 changes are those of the scores, split over samples answered in all repeats."""
    gold = [sample("1", "a"), sample("2", "b")]
    before = [said("1", "a"), said("2", "b"), said("1", "a", repeat=1), failed("2", repeat=1)]
    after = [said("1", "a"), said("2", "b"), said("1", "", repeat=1), said("2", "b", repeat=1)]
    diff = one_diff(gold, before, after)
    assert (diff.regressed, diff.fixed, diff.churned, set(diff.cells.values())) == ((), (), (), {0})
    assert [(label.f1_before, label.f1_after, label.delta) for label in diff.labels[:2]] == [
        (1, 0.5, -0.5),
        (0.5, 1, 0.5),
    ]
    assert diff.n_answered_by_both == 1
    assert diff.macro_f1 == F1Change(before=0.75, after=0.75, total=0, answered_by_both=-0.5, failures=0.5)


def test_what_changes_by_itself_is_told_apart() -> None:
    """A flip is unstable where a repeat of either run has the cell in another state; a sample, where all its flips are."""
    gold = [sample("1", "a"), sample("2", "a"), sample("3", "")]
    before = [*answers("a", "ab", ""), *answers("", "ab", "", repeat=1)]
    after = [*answers("", "c", "b"), *answers("", "", "b", repeat=1)]
    diff = one_diff(gold, before, after)
    assert diff.repeats == 2
    assert [(each.sample, sorted(each.flips), sorted(each.unstable), each.is_unstable) for each in changes(diff)] == [
        ("1", ["a"], ["a"], True),
        ("3", ["b"], [], False),
        ("2", ["a", "b", "c"], ["c"], False),
    ]
    assert diff.n_unstable == 1
    assert [(label.unstable, sum(label.flips.values())) for label in diff.labels] == [(1, 2), (0, 2), (1, 1)]


def test_with_one_repeat_nothing_is_known_to_be_unstable() -> None:
    """Without repeats no flip is called unstable."""
    assert (DIFF.repeats, DIFF.n_unstable) == (1, 0)
    assert all(not each.unstable for each in changes(DIFF))


def answers(*labels: str, repeat: int = 0) -> list[Prediction]:
    """Return the answers to samples 1, 2 and so on."""
    return [said(str(row), each, repeat) for row, each in enumerate(labels, start=1)]


def changes(diff: Diff) -> list[SampleChange]:
    """Return the changed samples, by kind."""
    return [*diff.regressed, *diff.fixed, *diff.churned]


def test_one_run_has_scores_and_no_diff() -> None:
    """A comparison of one run is that run; of none is an error."""
    comparison = compare(ABC, GOLD, [RunPredictions("v1", BEFORE)])
    assert (comparison.n_common, len(comparison.runs), comparison.diffs) == (6, 1, ())
    with pytest.raises(ValueError, match="at least one run"):
        compare(ABC, GOLD, [])


def test_without_common_samples_nothing_crashes() -> None:
    """Runs that share no sample have scores over none, and a diff that says nothing."""
    comparison = compare(ABC, GOLD, [RunPredictions("v1", [said("1", "a")]), RunPredictions("v2", [said("2", "b")])])
    assert (comparison.n_common, [run.n_dropped for run in comparison.runs]) == (0, [1, 1])
    assert math.isnan(comparison.diffs[0].macro_f1.total)
    assert math.isnan(comparison.diffs[0].headline["coverage"])


def test_a_comparison_is_plain_json() -> None:
    """`to_json` has every number, NaN as null, and labels in label-space order."""
    space = LabelSpace(tuple(reversed(ABC.labels)))
    data = compare(space, GOLD, [RunPredictions("v1", BEFORE), RunPredictions("v2", AFTER)]).to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["n_common"], data["samples"]) == (5, ["1", "2", "3", "4", "5"])
    assert data["runs"][0] == {"name": "v1", "n_dropped": 1, "scores": score(space, GOLD[:5], BEFORE[:5]).to_json()}
    (diff,) = data["diffs"]
    assert [row["label"] for row in diff["labels"]] == ["c", "b", "a"]
    assert diff["macro_f1"]["total"] == DIFF.macro_f1.total
    assert diff["cells"] == DIFF.cells
    churned = diff["churned"][1]
    assert (churned["sample"], churned["kind"], churned["gold"]) == ("5", "churned", ["b", "a"])
    assert (churned["before"]["failure"], churned["before"]["unanswered"]) == ("truncated", ["c", "b", "a"])
    assert (churned["after"]["failure"], churned["after"]["labels"]) == (None, ["a"])
    assert [len(diff[kind]) for kind in ("regressed", "fixed", "churned")] == [2, 1, 2]
    assert list(diff["fixed"][0]["flips"].items()) == [("b", "FN→TP"), ("a", "FP→TN")]
    assert diff["fixed"][0]["unstable"] == []
    assert diff["errors_moved"][-1] == {"missed": "b", "predicted": "a", "before": 1, "after": 0}
    assert diff["labels"][2]["flips"] == DIFF.labels[0].flips


# --- properties -------------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """Two runs over the same samples."""

    space: LabelSpace
    gold: list[Sample]
    before: list[Prediction]
    after: list[Prediction]


@st.composite
def pairs(draw: st.DrawFn, max_repeats: int = 2) -> Pair:
    """Draw samples with two runs."""
    case = draw(cases(max_repeats))
    return Pair(*case, draw(runs_of(case.space.names, case.samples, max_repeats)))


def one_diff(gold: list[Sample], before: list[Prediction], after: list[Prediction], space: LabelSpace = ABC) -> Diff:
    """Return what changed between two runs."""
    return compare(space, gold, [RunPredictions("v1", before), RunPredictions("v2", after)]).diffs[0]


@unhurried
@given(pairs())
def test_a_run_against_itself_has_not_changed(pair: Pair) -> None:
    """No flips, and every change of a score that is defined is 0."""
    diff = one_diff(pair.gold, pair.before, pair.before, pair.space)
    assert (diff.regressed, diff.fixed, diff.churned) == ((), (), ())
    assert set(diff.cells.values()) == {0}
    deltas = [
        *diff.headline.values(),
        diff.macro_f1.total,
        diff.micro_f1.failures,
        *(each.delta for each in diff.labels),
    ]
    assert [delta for delta in deltas if not math.isnan(delta) and delta != 0] == []


@unhurried
@given(pairs())
def test_the_way_back_undoes_every_change(pair: Pair) -> None:
    """With the runs exchanged regressed is fixed, flips are mirrored and deltas have the other sign."""
    there = one_diff(pair.gold, pair.before, pair.after, pair.space)
    back = one_diff(pair.gold, pair.after, pair.before, pair.space)
    assert (ids(back.regressed), ids(back.fixed)) == (ids(there.fixed), ids(there.regressed))
    assert ids(back.churned) == ids(there.churned)
    mirrored = {name: "→".join(reversed(name.split("→"))) for name in FLIPS}
    assert {mirrored[name]: n for name, n in back.cells.items()} == there.cells
    assert {(each.missed, each.predicted, each.after, each.before) for each in back.errors_moved} == {
        (each.missed, each.predicted, each.before, each.after) for each in there.errors_moved
    }
    assert back.n_unstable == there.n_unstable
    for old, new in zip(there.labels, back.labels, strict=True):
        assert (old.regressed, old.fixed) == (new.fixed, new.regressed)
        assert old.delta == pytest.approx(-new.delta, nan_ok=True)
    assert there.macro_f1.failures == pytest.approx(-back.macro_f1.failures, nan_ok=True)


@unhurried
@given(pairs(max_repeats=1))
def test_flips_add_up_to_the_change_of_the_scores(pair: Pair) -> None:
    """Without repeats, fixed minus regressed is the change of exact matches, and the parts of F1 add up to the total."""
    comparison = compare(pair.space, pair.gold, [RunPredictions("1", pair.before), RunPredictions("2", pair.after)])
    diff = comparison.diffs[0]
    if comparison.n_common:
        exact = diff.headline["subset_accuracy"] * comparison.n_common
        assert len(diff.fixed) - len(diff.regressed) == pytest.approx(exact)
    cells = diff.cells
    wrong = cells["TP→FN"] + cells["TN→FP"]
    regressed = sum(label.regressed for label in diff.labels)
    assert wrong <= regressed <= wrong + cells["answer→failure"]
    for label in diff.labels:
        assert label.fixed - label.regressed == pytest.approx(balance(comparison, label.label))
    for change, name in ((diff.macro_f1, "macro_f1"), (diff.micro_f1, "micro_f1")):
        assert change.total == pytest.approx(diff.headline[name], nan_ok=True)
        parts = change.answered_by_both + change.failures
        assert math.isnan(parts) or parts == pytest.approx(change.total)


def balance(comparison: Comparison, label: str) -> float:
    """Return how many more cells of a label are right in the later run; an unanswered cell is not."""
    before, after = (
        next(row for row in run.scores.labels if row.label == label) for run in (comparison.runs[0], comparison.runs[1])
    )
    at = comparison.space.index[label]
    unanswered = [int((~run.plain.answered & ~run.plain.y_true)[:, at].sum()) for run in comparison.runs]
    return (before.fp + before.fn + unanswered[0]) - (after.fp + after.fn + unanswered[1])


@unhurried
@given(pairs())
def test_the_ledger_adds_up(pair: Pair) -> None:
    """Flips by cell type, by label and by sample are the same flips; each changed sample is in one list, in order."""
    diff = one_diff(pair.gold, pair.before, pair.after, pair.space)
    for name in FLIPS:
        by_sample = sum(flip == name for change in changes(diff) for flip in change.flips.values())
        assert diff.cells[name] == sum(label.flips[name] for label in diff.labels) == by_sample
    told = ids(changes(diff))
    assert len(set(told)) == len(told)
    order = [each.id for each in pair.gold]
    for kind in (diff.regressed, diff.fixed, diff.churned):
        assert ids(kind) == sorted(ids(kind), key=order.index)
    assert sum(label.unstable for label in diff.labels) == sum(len(change.unstable) for change in changes(diff))
    assert diff.repeats > 1 or diff.n_unstable == 0
    gained = [each.after - each.before for each in diff.errors_moved]
    assert gained == sorted(gained, reverse=True)
    assert 0 not in gained


@unhurried
@given(pairs(), st.randoms(use_true_random=False))
def test_order_of_predictions_and_labels_changes_nothing(pair: Pair, random: Any) -> None:
    """Runs are aligned by id and by label name: another order gives the same flips and the same diff of each label."""
    labels, before = list(pair.space.labels), list(pair.before)
    random.shuffle(labels)
    random.shuffle(before)
    plain = one_diff(pair.gold, pair.before, pair.after, pair.space)
    shuffled = one_diff(pair.gold, before, pair.after, LabelSpace(tuple(labels)))
    by_name = {label.label: label for label in shuffled.labels}
    assert repr([by_name[label.label] for label in plain.labels]) == repr(list(plain.labels))
    assert set(shuffled.errors_moved) == set(plain.errors_moved)
    assert (shuffled.cells, ids(shuffled.churned)) == (plain.cells, ids(plain.churned))


@unhurried
@given(pairs())
def test_full_coverage_leaves_nothing_to_failures(pair: Pair) -> None:
    """Where both runs answered everything, all of the change is answered by both."""

    def answer(run: list[Prediction]) -> list[Prediction]:
        found = {(each.sample, each.repeat): replace(each, unanswered=frozenset(), failure=None) for each in run}
        repeats = {each.repeat for each in run}
        return [
            found.get((each.id, repeat), Prediction(each.id, frozenset(), repeat=repeat))
            for repeat in repeats
            for each in pair.gold
        ]

    diff = one_diff(pair.gold, answer(pair.before), answer(pair.after), pair.space)
    assert math.isnan(diff.micro_f1.total) or diff.micro_f1.failures == 0
    assert math.isnan(diff.macro_f1.total) or diff.macro_f1.failures == 0
