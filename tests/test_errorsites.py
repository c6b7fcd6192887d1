"""Where the errors are: counted by hand, and tested against the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_labels import Case as Drawn
from strategies_labels import cases as drawn_cases
from strategies_labels import space_of
from trigger_cases import SPACE, case_of, failed_case, made_cases

from harness.cases import Case, Cases, gather
from harness.errorplaces import EXAMPLES, LEAST, Site, fisher
from harness.errorsites import error_sites, failure_errors, label_errors, pair_errors
from harness.records import FailureKind, Prediction, Sample

ABC = space_of("a", "b", "c")


def said(name: str, gold: str, answer: str, unanswered: str = "") -> Case:
    """Return a case whose labels are letters."""
    failure = FailureKind.TRUNCATED if unanswered else None
    prediction = Prediction(name, frozenset(answer), frozenset(unanswered), failure)
    return case_of(Sample(name, {}, frozenset(gold)), prediction, ABC)


FIVE = gather(
    ABC,
    [
        said("1", "a", "b"),
        said("2", "a", "b"),
        said("3", "ab", "bc"),
        said("4", "c", "", unanswered="abc"),
        said("5", "b", "b"),
    ],
)


def test_labels_tell_how_their_cells_are_wrong() -> None:
    """Missed, added and unanswered cells of each label, its share of all wrong cells, and where to read them."""
    a, b, c = label_errors(FIVE)
    assert (a.label, a.support, a.missed, a.added, a.unanswered, a.cells) == ("a", 3, 3, 0, 1, 4)
    assert (b.label, b.missed, b.added, b.unanswered, b.cells) == ("b", 0, 2, 1, 3)
    assert (c.label, c.missed, c.added, c.unanswered, c.cells) == ("c", 0, 1, 1, 2)
    assert a.share == pytest.approx(4 / 9)
    assert a.samples == ("1", "2", "3", "4")


def test_pairs_tell_which_label_was_said_for_which() -> None:
    """A label that was missed where another was added, the most frequent first; failures are no confusion."""
    assert [(each.missed, each.added, each.n, each.samples) for each in pair_errors(FIVE)] == [
        ("a", "b", 2, ("1", "2")),
        ("a", "c", 1, ("3",)),
    ]
    assert pair_errors(FIVE)[0].share == pytest.approx(2 / 3)


def test_failures_tell_why_there_is_no_answer() -> None:
    """By kind: samples, and how much of all that is wrong they are."""
    (found,) = failure_errors(FIVE)
    assert (found.kind, found.n, found.cells, found.samples) == ("truncated", 1, 3, ("4",))
    assert (found.share, found.share_cells) == pytest.approx((1 / 4, 1 / 3))


def test_only_the_rows_that_count_count() -> None:
    """Labels, pairs and failures of what a trigger sends are those of these cases alone."""
    rows = np.array([True, False, False, False, True])
    assert [(each.label, each.cells) for each in label_errors(FIVE, rows)] == [("a", 1), ("b", 1)]
    assert [(each.missed, each.added) for each in pair_errors(FIVE, rows)] == [("a", "b")]
    assert failure_errors(FIVE, rows) == ()


@settings(deadline=None, max_examples=50)
@given(drawn_cases())
def test_every_wrong_cell_is_of_one_label(drawn: Drawn) -> None:
    """Labels hold all wrong cells, each once, in every mean over repeats."""
    golden = {sample.id: sample for sample in drawn.samples}
    places = {(each.sample, each.repeat) for each in drawn.predictions}
    repeats = {repeat for _, repeat in places}
    whole = [each for each in drawn.predictions if all((each.sample, repeat) in places for repeat in repeats)]
    cases = gather(drawn.space, [case_of(golden[each.sample], each, drawn.space) for each in whole])
    found = error_sites(cases)
    assert sum(each.cells for each in found.labels) == pytest.approx(found.cells)
    assert sum(each.missed + each.added + each.unanswered for each in found.labels) == pytest.approx(found.cells)
    assert sum(each.n for each in found.failures) <= found.wrong
    if found.labels:
        assert sum(each.share for each in found.labels) == pytest.approx(1)


def wrong_where(n: int, is_wrong: list[bool], **columns: list[object]) -> Cases:
    """Return cases that are wrong where that is true, with these columns."""
    return gather(
        ABC,
        [
            case_of(
                Sample(f"{at:03}", {name: values[at] for name, values in columns.items()}, frozenset("a")),
                Prediction(
                    f"{at:03}", frozenset("b" if is_wrong[at] else "a"), probabilities={"a": 0.5 + at / (2 * n)}
                ),
                ABC,
            )
            for at in range(n)
        ],
    )


def site(cases: Cases, kind: str, value: object = None) -> Site:
    """Return the site of a kind, and of a value where there are several."""
    (found,) = [each for each in error_sites(cases).sites if each.kind == kind and each.value == value]
    return found


def test_a_column_is_a_site_by_each_of_its_values() -> None:
    """Samples with a value against all others: rates, errors a sample, Fisher's p, and examples to read."""
    wrong = [at % 2 == 0 and at < 20 for at in range(40)]
    cases = wrong_where(40, wrong, lang=["de" if at < 20 else "en" for at in range(40)], rare=["x", *["y"] * 39])
    german = site(cases, "column", "de")
    assert (german.name, german.n, german.wrong, german.rate, german.rest_rate) == ("lang", 20, 10, 0.5, 0)
    assert (german.errors, german.rest_errors) == (1, 0)
    assert german.p == pytest.approx(2 * math.comb(20, 10) / math.comb(40, 10))
    assert german.p < german.p_holm < 0.05
    assert german.samples == ("000", "002", "004", "006", "008")
    assert len(german.samples) == EXAMPLES
    assert all(each.name != "rare" for each in error_sites(cases).sites)


def test_numbers_lengths_and_confidence_are_sites_by_parts_of_the_same_size() -> None:
    """Each part says from where to where it goes; the parts hold all samples."""
    wrong = [at < 10 for at in range(40)]
    texts: list[object] = ["x" * (at + 1) for at in range(40)]
    cases = wrong_where(40, wrong, stars=list(range(40)), text=texts, few=[at % 2 for at in range(40)])
    found = error_sites(cases)
    ranges = sorted(found.of("range"), key=lambda each: each.low)
    assert [(each.low, each.high, each.n, each.rate) for each in ranges] == [
        (0, 9, 10, 1),
        (10, 19, 10, 0),
        (20, 29, 10, 0),
        (30, 39, 10, 0),
    ]
    assert sorted((each.low, each.high) for each in found.of("length")) == [(1, 10), (11, 20), (21, 30), (31, 40)]
    assert [each.n for each in found.of("confidence")] == [10, 10, 10, 10]
    assert {(each.name, each.value) for each in found.of("column")} == {("few", 0), ("few", 1)}
    assert [each.p for each in found.sites] == sorted(each.p for each in found.sites)


def test_disagreement_with_other_runs_is_a_site() -> None:
    """Samples that another run answers otherwise; with several runs also those that any of them does."""
    cases = wrong_where(30, [at < 10 for at in range(30)])
    ours = [row.prediction for row in cases.rows]
    other = [replace(each, labels=frozenset("c")) if at < 8 else each for at, each in enumerate(ours)]
    later = [replace(each, repeat=1, labels=frozenset()) for each in ours]
    failing = [replace(each, labels=frozenset(), unanswered=frozenset("abc")) for each in ours[5:12]]
    found = error_sites(cases, {"v1": [*later, *other], "v2": failing, "v3": []})
    by_name = {each.name: each for each in found.of("version")}
    assert list(by_name) == ["v1", "v2"]
    assert (by_name["v1"].n, by_name["v1"].rate, by_name["v2"].n) == (8, 1, 7)
    (either,) = found.of("versions")
    assert (either.n, either.wrong) == (12, 10)
    assert not error_sites(cases, {"v1": other}).of("versions")


def test_disagreement_among_repeats_is_a_site() -> None:
    """Samples with a cell that is not the same in every repeat."""
    once = wrong_where(20, [False] * 20).rows
    again = [
        replace(row, prediction=replace(row.prediction, repeat=1, labels=frozenset("b" if at < 6 else "a")))
        for at, row in enumerate(once)
    ]
    (found,) = error_sites(gather(ABC, [*once, *again])).of("repeats")
    assert (found.n, found.wrong, found.rate, found.rest_rate) == (6, 3, 0.5, 0)
    assert found.p == 1  # wrong in one of two repeats is not wrong most of the time


def test_words_that_stand_out_among_the_wrong_samples_are_told() -> None:
    """With how many wrong and right samples have them, and some to read."""
    texts: list[object] = [f"text {at} " + ("late" if at % 2 == 0 else "soon") for at in range(60)]
    first = error_sites(wrong_where(60, [at % 2 == 0 for at in range(60)], text=texts)).words[0]
    assert (first.column, first.word.word, first.word.here, first.word.there) == ("text", "late", 30, 0)
    assert first.samples == ("000", "002", "004", "006", "008")


def test_a_run_without_errors_or_samples_has_no_sites_to_speak_of() -> None:
    """Nothing is wrong: no label, pair or failure; no sample: no site either."""
    right = error_sites(gather(SPACE, made_cases(20, 1, noise=0)))
    assert (right.wrong, right.labels, right.pairs, right.failures) == (0, (), (), ())
    assert all(each.p == 1 for each in right.sites)
    nothing = error_sites(gather(SPACE, []))
    assert (nothing.n_samples, nothing.sites, nothing.words) == (0, (), ())


def test_all_failed_is_all_wrong() -> None:
    """Errors are the gold labels that nobody said, cells are all of them."""
    cases = gather(SPACE, [failed_case(each) for each in made_cases(20, 1)])
    found = error_sites(cases)
    assert (found.wrong, found.cells, found.unanswered) == (20, 160, 160)
    assert found.errors == sum(max(1, len(row.gold or ())) for row in cases.rows)


# --- Fisher's exact test ----------------------------------------------------------------------------------------------


def test_fishers_p_is_that_of_the_lady_tasting_tea() -> None:
    """Three of four cups: 17/35 one-sided, 34/70 two-sided; all four: 1/35."""
    assert fisher(3, 4, 4, 8) == pytest.approx(34 / 70)
    assert fisher(4, 4, 4, 8) == pytest.approx(2 / 70)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_fishers_p_is_a_probability_and_symmetric(a: int, b: int, c: int, d: int) -> None:
    """Exchanging place and rest, wrong and right, or the two questions, changes nothing."""
    n = a + b + c + d
    p = fisher(a, a + b, a + c, n)
    assert 0 < p <= 1
    assert p == pytest.approx(fisher(c, c + d, a + c, n))
    assert p == pytest.approx(fisher(a, a + c, a + b, n))
    assert LEAST > 0
