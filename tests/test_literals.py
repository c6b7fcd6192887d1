"""Conditions of a `when`: which are made, how they are written, and that each mask is what the expression says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies_labels import space_of
from trigger_cases import SPACE, case_of, failed_case, made_cases

from harness.cases import Case, Cases, gather
from harness.labelspace import LabelSpace
from harness.literals import KINDS, Limits, Literal, literals, quoted, shortest, signals_of
from harness.records import FailureKind, Prediction, Sample
from harness.template import expression

ODD = ("it's", 'a "b"', "a\\b", "'\"\\'", "größe", "日本", "{{ x }}", "%}", "\\n", "👩\u200d👧", "#", "nicht wahr?")
ODD_SPACE = space_of(*ODD)


def every_literal(cases: Cases, limits: Limits = Limits()) -> list[Literal]:  # noqa: B008 - frozen
    """Return the conditions that are made from all cases."""
    return list(literals(signals_of(cases), np.arange(len(cases.rows)), limits))


def sources(cases: Cases, kind: str, **limits: Any) -> list[str]:
    """Return the conditions of a kind."""
    return [each.source for each in every_literal(cases, Limits(**limits)) if each.kind == kind]


def assert_masks_are_true(cases: Cases, made: list[Literal]) -> None:
    """Assert that masks, and their complements for the opposites, are what Jinja says of each context."""
    for each in made:
        evaluate = expression(each.source)
        assert [bool(evaluate(row.context)) for row in cases.rows] == each.mask.tolist(), each.source
        if each.opposite:
            evaluate = expression(each.opposite)
            assert [not evaluate(row.context) for row in cases.rows] == each.mask.tolist(), each.opposite


def many() -> list[Case]:
    """Return cases with everything in them: failures, off-list answers, fields, probabilities."""
    cases = made_cases(60, 3, noise=0.3, weighed=True)
    for at in range(0, len(cases), 9):
        cases[at] = failed_case(cases[at], FailureKind.TRUNCATED if at % 2 else FailureKind.UNPARSEABLE)
    for at in range(1, len(cases), 5):
        old = cases[at]
        answer = Prediction(
            old.sample,
            old.prediction.labels,
            off_list=("other",),
            fields={"mood": "it's mad" if at % 2 else "happy", "paid": at % 3 == 0},
            repeat=old.prediction.repeat,
        )
        cases[at] = case_of(Sample(old.sample, old.inputs, old.gold), answer)
    return cases


def test_every_mask_is_what_the_expression_says() -> None:
    """No Jinja runs for a mask, and it is true of just the cases of which the expression is; so is the opposite false."""
    cases = gather(SPACE, many())
    made = every_literal(cases)
    assert_masks_are_true(cases, made)
    assert {each.kind for each in made} == set(KINDS)
    assert len({each.source for each in made}) == len(made)


values = st.one_of(
    st.sampled_from([*ODD, "", "de", " x "]),
    st.integers(-3, 3),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=True),
    st.text(max_size=3),
    st.integers(2**52, 2**54),
)


@settings(deadline=None, max_examples=20)  # every expression is compiled
@given(
    st.lists(
        st.tuples(
            st.frozensets(st.sampled_from(ODD), max_size=3),
            st.dictionaries(st.sampled_from(ODD), st.floats(0, 1), max_size=3),
            st.fixed_dictionaries(
                {"text": st.text("aé'’ 日x,", max_size=40), "a": values, "b": values, "n": st.floats(-1e9, 1e9)}
            ),
            st.booleans(),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_odd_labels_values_and_words_are_written_safely(rows: list[Any]) -> None:
    """Quotes, backslashes, Jinja's own signs and scripts of all kinds in labels, values and words change no meaning."""
    cases = []
    for number, (said, scores, inputs, failed) in enumerate(rows):
        unanswered = frozenset(ODD) if failed else frozenset[str]()
        answer = Prediction(
            str(number),
            said - unanswered,
            unanswered,
            FailureKind.REFUSAL if failed else None,
            probabilities={} if failed else scores,
            fields={"it's": inputs["a"]},
        )
        cases.append(case_of(Sample(str(number), inputs, said), answer, ODD_SPACE))
    gathered = gather(ODD_SPACE, cases)
    assert_masks_are_true(gathered, every_literal(gathered, Limits(least_sent=1, least_errors=1)))


@given(st.text(), st.sampled_from(ODD))
def test_a_quoted_text_is_that_text(text: str, odd: str) -> None:
    """Whatever a text holds, the expression that it is quoted to gives it back."""
    assert expression(quoted(text + odd))({}) == text + odd


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("late", "'late'"),
        ("it's", '"it\'s"'),
        ("'\"", "'\\'\"'"),
        ("a\\b", "'a\\\\b'"),
        ("größe 日", "'größe 日'"),
        ("a\nb", "'a\\u000ab'"),
    ],
)
def test_a_text_is_quoted_as_a_person_would(text: str, written: str) -> None:
    """Single quotes unless single quotes stand in it; nothing is escaped that need not be."""
    assert quoted(text) == written


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (118, 123, 120, 120),
        (118, 119, 118, 119),
        (0.3141, 0.3199, 0.315, 0.319),
        (0.1, 0.9, 0.1, 0.9),
        (0.0, 0.04, 0, 0.04),
        (-5, -4.5, -5, -4.5),
        (1.0, 1.0000000000000002, 1, 1.0000000000000002),
        (999, 12_345, 10_000, 10_000),
    ],
)
def test_the_shortest_number_between(low: float, high: float, above: float, below: float) -> None:
    """Fewest digits first, whole numbers as ints; an end counts where it is named."""
    found = shortest(low, high, at_low=True), shortest(low, high, at_low=False)
    assert found == (above, below)
    assert low <= found[0] < high
    assert low < found[1] <= high


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.booleans())
def test_a_number_between_lies_between(first: float, second: float, at_low: bool) -> None:
    """It tells the two ends apart, on the side that may be equal."""
    low, high = sorted([first, second])
    if low < high:
        found = shortest(low, high, at_low=at_low)
        assert low <= found < high if at_low else low < found <= high


def small(n: int = 40, **inputs: Any) -> Cases:
    """Return cases with one column, whose values are made by functions of the sample's number."""
    space = LabelSpace(SPACE.labels[:2])
    rows = [{name: value(number) for name, value in inputs.items()} for number in range(n)]
    answers = [Prediction(str(at), frozenset({"shipping"} if at % 2 else ())) for at in range(n)]
    return gather(
        space, [case_of(Sample(str(at), row, frozenset()), answers[at], space) for at, row in enumerate(rows)]
    )


def test_columns_are_named_by_value_cut_or_counted() -> None:
    """Flags by name, categories by value, numbers and lengths by threshold, texts by word; rare values not at all."""
    cases = small(
        flag=lambda at: at % 3 == 0,
        lang=lambda at: "de" if at % 4 == 0 else "xx" if at == 1 else "en",
        stars=lambda at: at,
        csv=lambda at: str(at % 2),
        text=lambda at: f"word {at} " + ("late" if at % 4 == 0 else "soon" if at % 2 else "then"),
    )
    assert sources(cases, "column") == [
        "flag",
        "lang == 'en'",
        "lang == 'de'",
        "csv == '0'",
        "csv == '1'",
    ]
    assert sources(cases, "number")[:3] == ["stars > 3", "stars < 4", "stars > 7"]
    assert sources(cases, "number")[-2:] == ["csv | float > 0", "csv | float < 1"]
    assert sources(cases, "length") == ["text | length > 11", "text | length < 12"]
    assert set(sources(cases, "word")) == {"'late' in text | words", "'soon' in text | words"}


def test_words_of_grammar_and_words_of_every_text_are_no_conditions() -> None:
    """A word that is in more than half of the texts, or is there for the grammar, does not say what they are about."""
    cases = small(text=lambda at: f"{at} {'most' if at % 3 else 'box'} {'the' if at % 2 else 'not'}")
    assert set(sources(cases, "word")) == {"'box' in text | words", "'not' in text | words"}


def test_the_best_of_many_words_is_one_of_many() -> None:
    """Each condition knows how many of its kind were looked at: all frequent words, not only those that are kept."""
    cases = small(n=120, text=lambda at: " ".join(["x" * at, *(f"w{at % step}of{step}" for step in range(2, 9))]))
    made = list(literals(signals_of(cases), np.arange(120), Limits(words=3, partners=3)))
    (n,) = {each.looked for each in made if each.kind == "word"}
    assert n == sum(range(2, 9))
    assert len([each for each in made if each.kind == "word"]) < n
    assert {each.looked for each in made if each.kind == "length"} == {
        len([each for each in made if each.kind == "length"])
    }


def test_conditions_are_made_from_the_given_cases_alone() -> None:
    """A value, word or label that the given cases lack is named nowhere; the masks are over all cases."""
    cases = small(lang=lambda at: "de" if at < 20 else "en" if at < 30 else "fr")
    made = list(literals(signals_of(cases), np.arange(20, 40), Limits()))
    assert [each.source for each in made if each.kind == "column"] == ["lang == 'en'", "lang == 'fr'"]
    assert all(each.mask.shape == (40,) for each in made)


def test_probabilities_are_cut_around_where_a_label_begins_to_be_said() -> None:
    """Windows below, above and across the boundary; without any probability there is no word of scores or confidence."""
    space = LabelSpace(SPACE.labels[:1])
    cases = []
    for at in range(40):
        p = at / 40
        answer = Prediction(str(at), frozenset({"shipping"} if p > 0.6 else ()), probabilities={"shipping": p})
        cases.append(case_of(Sample(str(at), {}, frozenset()), answer, space))
    made = sources(gather(space, cases), "scores")
    assert made[:3] == [
        "0.55 < scores['shipping'] < 0.67",
        "0.55 < scores['shipping'] < 0.62",
        "0.6 < scores['shipping'] < 0.67",
    ]
    assert made[-1] == "0.6 < scores['shipping'] < 0.82"
    assert not sources(small(), "scores")
    assert not sources(small(), "confidence")


def test_windows_that_reach_the_end_are_open() -> None:
    """Where a label is always said, or few cases lie on a side, the condition has one side only."""
    space = LabelSpace(SPACE.labels[:1])
    cases = [
        case_of(
            Sample(str(at), {}, frozenset()),
            Prediction(str(at), frozenset({"shipping"}), probabilities={"shipping": 0.5 + at / 100}),
            space,
        )
        for at in range(20)
    ]
    assert sources(gather(space, cases), "scores") == [
        "scores['shipping'] < 0.51",
        "scores['shipping'] < 0.52",
        "scores['shipping'] < 0.54",
    ]
