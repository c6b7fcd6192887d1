"""What of the flip ledger is looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import Case, cases, runs_of, space_of, unhurried

from harness.comparison import Comparison, RunPredictions, compare
from harness.ledger import KINDS, ONLY, SORTS, View, label_split, viewed
from harness.records import FailureKind, Prediction, Sample

ABC = space_of("a", "b", "c")
ALL = frozenset("abc")


def sample(name: str, labels: str, text: str = "") -> Sample:
    """Return a sample whose gold labels are the letters of ``labels``."""
    return Sample(name, {"text": text or name}, frozenset(labels))


def said(name: str, labels: str, repeat: int = 0) -> Prediction:
    """Return an answered prediction of the letters of ``labels``."""
    return Prediction(name, frozenset(labels), repeat=repeat)


def failed(name: str) -> Prediction:
    """Return a prediction that answers nothing."""
    return Prediction(name, frozenset(), ALL, FailureKind.TRUNCATED)


# By sample: gold, what was said, what is said. In sample 1 a was lost, while b was gained: as a whole it churned.
GOLD = [sample("1", "a", "a long text"), sample("2", "b", "short"), sample("3", "c", "a text"), sample("4", "a", "x")]
BEFORE = [said("1", "ab"), said("2", "b"), failed("3"), said("4", "")]
AFTER = [said("1", ""), said("2", "ab"), said("3", "b"), failed("4")]
COMPARISON = compare(ABC, GOLD, [RunPredictions("v1", BEFORE), RunPredictions("v2", AFTER)])
SAMPLES = {each.id: each for each in GOLD}


def seen(view: View, comparison: Comparison = COMPARISON) -> dict[str, list[str]]:
    """Return the ids of the changed samples by kind, those without any left out."""
    diff = viewed(comparison, view, SAMPLES).diffs[0]
    found = {kind: [each.sample for each in getattr(diff, kind)] for kind in KINDS}
    return {kind: names for kind, names in found.items() if names}


def test_without_a_wish_all_is_seen() -> None:
    """The plain view is the comparison itself."""
    assert viewed(COMPARISON, View(), SAMPLES) == COMPARISON
    assert seen(View()) == {"regressed": ["2"], "churned": ["1", "3", "4"]}


def test_a_label_has_kinds_of_its_own() -> None:
    """With a label a sample counts by what its cell did: lost, won, or wrong both times in another way."""
    assert seen(View("a")) == {"regressed": ["1", "2"], "fixed": ["3"], "churned": ["4"]}
    assert seen(View("b")) == {"regressed": ["4"], "fixed": ["1"], "churned": ["3"]}
    assert seen(View("c")) == {"regressed": ["4"], "churned": ["3"]}


def test_a_label_has_its_own_cells_and_errors() -> None:
    """Rows, cells and confusions are those of the label; what changed in a sample is its cell alone."""
    diff = viewed(COMPARISON, View("a"), SAMPLES).diffs[0]
    assert [row.label for row in diff.labels] == ["a"]
    assert diff.cells == diff.labels[0].flips
    assert {name: n for name, n in diff.cells.items() if n} == {
        "TP→FN": 1,
        "TN→FP": 1,
        "answer→failure": 1,
        "failure→answer": 1,
    }
    assert {(each.missed, each.predicted) for each in diff.errors_moved} == {(None, "a")}
    assert [dict(each.flips) for each in diff.regressed] == [{"a": "TP→FN"}, {"a": "TN→FP"}]
    assert diff.macro_f1 == COMPARISON.diffs[0].macro_f1


@pytest.mark.parametrize(
    ("only", "expected"),
    [("regressed", {"regressed": ["2"]}), ("fixed", {}), ("churned", {"churned": ["1", "3", "4"]}), ("unstable", {})],
)
def test_one_kind(only: str, expected: dict[str, list[str]]) -> None:
    """`only` keeps the samples of a kind; without repeats nothing is unstable."""
    assert seen(View(only=only)) == expected


def test_unstable_samples_of_any_kind() -> None:
    """Unstable are samples in which nothing changed but what changes from repeat to repeat."""
    before = [*BEFORE, said("1", "ab", 1), said("2", "ab", 1), said("3", "", 1), said("4", "", 1)]
    comparison = compare(ABC, GOLD, [RunPredictions("v1", before), RunPredictions("v2", AFTER)])
    assert seen(View(only="unstable"), comparison) == {"regressed": ["2"], "churned": ["3"]}
    assert seen(View("a", "unstable"), comparison) == {"regressed": ["2"], "fixed": ["3"]}


def test_order() -> None:
    """Samples come in their order, the most changed first, or the shortest input first."""
    assert seen(View(sort="flips"))["churned"] == ["3", "4", "1"]
    assert seen(View(sort="length"))["churned"] == ["4", "3", "1"]


def test_the_change_of_a_label_is_split() -> None:
    """What a label changed is what answers changed and what failures did."""
    row = COMPARISON.diffs[0].labels[0]
    split = label_split(row)
    assert (split.before, split.after, split.total) == (row.f1_before, row.f1_after, row.delta)
    assert split.answered_by_both + split.failures == pytest.approx(split.total, nan_ok=True)


@unhurried
@given(cases(), st.sampled_from([None, *ONLY]), st.sampled_from(SORTS), st.data())
def test_a_view_invents_nothing(case: Case, only: str | None, sort: str, data: st.DataObject) -> None:
    """Whatever is looked at, every sample seen changed in the whole comparison, and by a cell of the label."""
    space, gold, first = case
    second = data.draw(runs_of(space.names, gold, 2))
    comparison = compare(space, gold, [RunPredictions("v1", first), RunPredictions("v2", second)])
    label = data.draw(st.sampled_from([None, *space.names]))
    diff = viewed(comparison, View(label, only, sort), {each.id: each for each in gold}).diffs[0]
    whole = comparison.diffs[0]
    changed = {each.sample: each for kind in KINDS for each in getattr(whole, kind)}
    for kind in KINDS:
        for each in getattr(diff, kind):
            assert each.kind == kind
            assert each.flips.items() <= changed[each.sample].flips.items()
            assert label is None or list(each.flips) == [label]
    if label is not None and only is None:
        flipped = sum(len(getattr(diff, kind)) for kind in KINDS)
        assert flipped == sum(diff.labels[0].flips.values())
