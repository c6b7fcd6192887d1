"""Cases side by side: what counts as an error, and which columns an expression can name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from strategies_labels import Case as Drawn
from strategies_labels import cases as drawn_cases
from strategies_labels import space_of, unhurried
from trigger_cases import case_of

from harness.cases import Case, gather, input_columns, is_usable
from harness.metrics import count, subset_accuracy
from harness.records import FailureKind, Prediction, Sample

ABC = space_of("a", "b", "c")
ALL = frozenset("abc")


def case(name: str, gold: str | None, said: str, repeat: int = 0, unanswered: str = "", **inputs: Any) -> Case:
    """Return a case whose labels are the letters of words."""
    failure = FailureKind.UNPARSEABLE if unanswered else None
    answer = Prediction(name, frozenset(said), frozenset(unanswered), failure, repeat=repeat)
    return case_of(Sample(name, inputs, None if gold is None else frozenset(gold)), answer, ABC)


def test_errors_are_what_scores_count_and_wrong_cells_are_all() -> None:
    """An answer that cannot be read has all its cells wrong, and as many errors as it has gold labels, at least one."""
    cases = gather(
        ABC,
        [
            case("right", "a", "a"),
            case("both", "ab", "bc"),
            case("failed", "ab", "", unanswered="abc"),
            case("failed too", "", "", unanswered="abc"),
            case("half", "a", "b", unanswered="a"),
        ],
    )
    assert cases.n_cells.tolist() == [0, 2, 3, 3, 2]
    assert cases.errors.tolist() == [0, 2, 2, 1, 2]
    assert cases.wrong.tolist() == [False, True, True, True, True]


def test_rows_stand_repeat_after_repeat() -> None:
    """Row r * n + i is sample i in repeat r, whatever the order of the cases; what has no gold is left out."""
    given_cases = [
        case("y", "b", "b", repeat=1),
        case("x", "a", "b", repeat=1),
        case("z", None, "a"),
        case("x", "a", "a"),
        case("y", "b", ""),
    ]
    cases = gather(ABC, given_cases)
    assert [(row.sample, row.prediction.repeat) for row in cases.rows] == [("y", 0), ("x", 0), ("y", 1), ("x", 1)]
    assert (cases.n_samples, cases.n_repeats, cases.ids) == (2, 2, ("y", "x"))
    assert cases.per_sample(cases.errors).tolist() == [1, 2]
    assert cases.by_case(np.array([True, False])).tolist() == [True, False, True, False]
    nothing = gather(ABC, [])
    assert (nothing.n_samples, nothing.n_repeats, nothing.y_true.shape) == (0, 1, (0, 3))


@pytest.mark.parametrize(
    "more",
    [[case("y", "a", "a", repeat=1)], [case("x", "a", "a")], [case("y", "a", "a"), case("y", "a", "a", repeat=2)]],
)
def test_a_sample_has_one_case_in_each_repeat(more: list[Case]) -> None:
    """A case that is missing, or stands there twice, is an error: sums over repeats would be wrong."""
    with pytest.raises(ValueError, match="every sample must have one case in each repeat, got"):
        gather(ABC, [case("x", "a", "a"), *more])


@unhurried
@given(drawn_cases(max_repeats=1))
def test_cells_are_those_of_the_scores(drawn: Drawn) -> None:
    """False negatives, false positives and exact samples are those that `metrics` counts."""
    golden = {sample.id: sample for sample in drawn.samples}
    rows = [case_of(golden[each.sample], each, drawn.space) for each in drawn.predictions]
    cases = gather(drawn.space, rows)
    counts = count(cases.y_true, cases.y_pred, cases.answered)
    assert counts.fn.tolist() == cases.missed.sum(axis=0).tolist()
    assert counts.fp.tolist() == cases.added.sum(axis=0).tolist()
    if rows:
        assert subset_accuracy(cases.y_true, cases.y_pred, cases.answered) == pytest.approx(1 - cases.wrong.mean())
    assert ((cases.errors > 0) == cases.wrong).all()
    assert (cases.errors <= cases.n_cells).all()


def columns_of(*rows: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of samples with these inputs, by name."""
    return {each.name: each for each in input_columns([case(str(n), "a", "a", **row) for n, row in enumerate(rows)])}


def test_a_column_is_a_flag_a_number_a_category_or_a_text() -> None:
    """Texts of numbers are read by the filter `float`; a number that is not finite, or too large, is none."""
    found = columns_of(
        {"flag": True, "n": 1, "csv": "1.5", "lang": "de", "mixed": 1, "nan": 1.0, "big": 2**60, "none": None},
        {"flag": False, "n": 2.5, "csv": "2", "lang": "en", "mixed": "x", "nan": float("nan"), "big": 1, "none": 2},
    )
    assert {name for name, each in found.items() if each.flag} == {"flag"}
    assert {name for name, each in found.items() if each.numbers is not None} == {"n", "csv"}
    assert (found["n"].number_source, found["csv"].number_source) == ("n", "csv | float")
    assert found["csv"].numbers.tolist() == [1.5, 2.0]
    assert not any(each.text for each in found.values())
    assert columns_of(*({"text": f"text {n}"} for n in range(31)))["text"].text


def test_a_column_that_an_expression_cannot_name_is_none() -> None:
    """Every case must have it, and its name must reach it: not one of the answer's, no keyword, no spaces."""
    found = columns_of({"a": 1, "b": 1, "predicted": 1, "not": 1, "two words": 1}, {"a": 2, "predicted": 1, "not": 1})
    assert list(found) == ["a"]
    assert input_columns([]) == ()
    assert [
        name for name in ("x", "größe", "true", "if", "label", "shots", "scores", "", "1x", "a.b") if is_usable(name)
    ] == [
        "x",
        "größe",
    ]
