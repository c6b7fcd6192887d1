"""Fields against their gold: texts that are the same, token F1, and what a field scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from strategies_labels import unhurried

from harness.fieldscoring import FieldScore, field_matches, field_score, normalize_text, token_f1
from harness.labelspace import Field, TextMatch
from harness.parsing.fieldvalues import says_nothing
from harness.records import FieldValue, GoldField

ITEM = Field("item", "text")
SKU = Field("sku", "text", match="exact")
MOOD = Field("mood", "choice", ("happy", "mad", "mixed", "none"))
VIP = Field("vip", "bool")

Pair = tuple[GoldField, Mapping[str, FieldValue]]


# --- when two texts are the same -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  The T-shirt's\t sleeve! ", "t shirts sleeve"),
        ("an Apple", "apple"),
        ("A/C unit", "c unit"),
        ("theatre", "theatre"),
        ("The", "the"),
        ("the an the", "an the"),
        ("3.5 mm", "3 5 mm"),
        ("\uff21\uff22\uff23", "abc"),
        ("C++", "c++"),
        ("???", "???"),
        (" \n", ""),
    ],
)
def test_texts_are_normalised(text: str, expected: str) -> None:
    """Case, white space, punctuation and one leading article go; what would leave nothing stays."""
    assert normalize_text(text) == expected


@unhurried
@given(st.text())
def test_only_a_blank_text_normalises_to_nothing(text: str) -> None:
    """An extracted text never becomes equal to "nothing there"."""
    assert (normalize_text(text) == "") == (not text.strip())


@pytest.mark.parametrize(
    ("field", "gold", "answer", "match", "right"),
    [
        (ITEM, None, None, "exact", True),
        (ITEM, None, "", "normalized", True),
        (ITEM, None, " ", "exact", True),
        (ITEM, None, "none", "normalized", True),
        (ITEM, None, "?", "normalized", False),
        (ITEM, "", None, "exact", True),
        (ITEM, "n/a", None, "exact", True),
        (ITEM, "N/A", "none", "exact", True),
        (ITEM, "x", None, "normalized", False),
        (ITEM, "Lamp", "lamp", "exact", False),
        (ITEM, "Lamp", "a lamp.", "normalized", True),
        (ITEM, "Lamp", "a lamp.", None, True),
        (SKU, "Lamp", "a lamp.", None, False),
        (SKU, "Lamp", "Lamp", None, True),
        (ITEM, ("iPhone 12", "iphone"), "IPHONE", None, True),
        (ITEM, ("iPhone 12", "iphone"), "IPHONE", "exact", False),
        (ITEM, ("iPhone 12", "iphone"), "iphone", "exact", True),
        (ITEM, ("iPhone 12", "iphone"), "phone", None, False),
        (ITEM, ("lamp", "none"), None, None, True),
        (VIP, True, True, None, True),
        (VIP, False, None, None, False),
        (VIP, None, False, None, False),
        (VIP, None, None, None, True),
        (MOOD, "none", None, None, False),
        (MOOD, None, "none", None, False),
        (MOOD, "none", "none", None, True),
    ],
)
def test_what_is_right(field: Field, gold: GoldField, answer: FieldValue, match: TextMatch | None, right: bool) -> None:
    """An answer is right when it equals one gold value; a text that says nothing is None, a choice is what it is."""
    assert field_matches(field, gold, answer, match) is right


# --- token F1 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("red lamp", "the red lamp", 1.0),
        ("red lamp", "red", 2 / 3),
        ("red lamp", "a big red lamp", 4 / 5),
        ("red lamp", "green shoe", 0.0),
        ("so so good", "so good", 4 / 5),
        ("so good", "so so so", 2 / 5),
        (None, None, 1.0),
        (None, "n/a", 1.0),
        ("", None, 1.0),
        (None, "lamp", 0.0),
        ("lamp", None, 0.0),
        (("lamp", "red table lamp"), "table lamp", 4 / 5),
        (("lamp", "none"), None, 1.0),
        ("価格 表", "価格", 2 / 3),
    ],
)
def test_token_f1_is_that_of_squad(gold: GoldField, answer: FieldValue, expected: float) -> None:
    """Words that both have, as often as both have them; of several alternatives the best; nothing against nothing is 1."""
    assert token_f1(gold, answer) == pytest.approx(expected)


texts = st.one_of(
    st.none(), st.lists(st.sampled_from(["a", "red", "Lamp", "lamp.", "-", "none"]), max_size=4).map(" ".join)
)


@unhurried
@given(texts, texts)
def test_token_f1_is_symmetric_and_at_most_one(gold: str | None, answer: str | None) -> None:
    """It does not matter which of two texts is gold; the score is in [0, 1], and 1 for texts that are the same."""
    score = token_f1(gold, answer)
    assert score == token_f1(answer, gold)
    assert 0 <= score <= 1
    assert token_f1(gold, gold) == 1
    if field_matches(ITEM, gold, answer):
        assert score == 1


@unhurried
@given(st.lists(texts.filter(lambda text: text is not None), min_size=1, max_size=4), texts)
def test_alternatives_never_lower_a_score(golds: list[str], answer: str | None) -> None:
    """With more texts that are right, an answer is never less right."""
    fewer: GoldField = golds[0]
    more = tuple(golds)
    assert token_f1(more, answer) >= token_f1(fewer, answer)
    for match in (None, "exact", "normalized"):
        assert field_matches(ITEM, more, answer, match) >= field_matches(ITEM, fewer, answer, match)
    before = field_score(ITEM, [(fewer, {"item": answer})])
    after = field_score(ITEM, [(more, {"item": answer})])
    for name in ("accuracy", "exact", "normalized", "token_f1", "most_frequent"):
        assert getattr(after, name) >= getattr(before, name)


# --- what a field scores ---------------------------------------------------------------------------------------------


def assert_score(found: FieldScore, **expected: object) -> None:
    """Check the numbers of a score, NaN being equal to NaN."""
    assert {name: asdict(found)[name] for name in expected} == pytest.approx(expected, nan_ok=True)


def test_a_text_has_four_scores_and_a_baseline() -> None:
    """Exact, normalised and token F1 are means over all samples, the unanswered ones being 0."""
    pairs: list[Pair] = [
        ("Red lamp", {"item": "Red lamp"}),
        (("Red lamp", "lamp"), {"item": "the red lamp!"}),
        ("Red lamp", {"item": "lamp"}),
        ("shoe", {}),
        (None, {"item": None}),
    ]
    assert_score(
        field_score(ITEM, pairs),
        support=5,
        answered=4,
        accuracy=3 / 5,
        exact=2 / 5,
        normalized=3 / 5,
        token_f1=(1 + 1 + 2 / 3 + 0 + 1) / 5,
        macro_f1=math.nan,
        most_frequent=3 / 5,
    )
    assert_score(
        field_score(Field("item", "text", match="exact"), pairs), accuracy=2 / 5, exact=2 / 5, normalized=3 / 5
    )


def test_the_most_frequent_value_counts_every_text_that_is_right() -> None:
    """The baseline answers one value everywhere; it is right wherever that value is among the alternatives."""
    pairs: list[Pair] = [(("Lamp", "light"), {}), (("a light", "bulb"), {}), ("light", {}), ("shoe", {}), ("n/a", {})]
    assert_score(field_score(ITEM, pairs), most_frequent=3 / 5, accuracy=0, token_f1=0)
    assert_score(field_score(SKU, [(gold, {}) for gold, _ in pairs]), most_frequent=2 / 5)


def test_a_choice_has_macro_f1_over_the_values_of_gold() -> None:
    """A value that gold never has is in no mean, but saying it is no hit; an unanswered field is a miss."""
    pairs: list[Pair] = [
        ("happy", {"mood": "happy"}),
        ("happy", {"mood": "mad"}),
        ("happy", {}),
        ("mad", {"mood": "mad"}),
        (None, {"mood": "mixed"}),
    ]
    expected = {
        "support": 5,
        "answered": 4,
        "accuracy": 2 / 5,
        "macro_f1": (1 / 2 + 2 / 3 + 0) / 3,
        "most_frequent": 3 / 5,
    }
    assert_score(field_score(MOOD, pairs), **expected, exact=math.nan, normalized=math.nan, token_f1=math.nan)


def test_a_field_without_gold_is_undefined() -> None:
    """Without support nothing is defined but the counts."""
    for field in (ITEM, MOOD, VIP):
        found = asdict(field_score(field, []))
        assert (found.pop("support"), found.pop("answered")) == (0, 0)
        assert all(math.isnan(value) for name, value in found.items() if name not in ("field", "type"))


choices = st.sampled_from(["happy", "mad", "mixed", "none", None])


@unhurried
@given(st.lists(st.tuples(choices, choices | st.just("unanswered")), min_size=1, max_size=12))
def test_macro_f1_is_that_of_scikit_learn(rows: list[tuple[str | None, str | None]]) -> None:
    """Over the values that gold has, as scikit-learn's f1_score with those as its labels and 0 for 0/0."""
    pairs: list[Pair] = [(gold, {} if said == "unanswered" else {"mood": said}) for gold, said in rows]
    y_true = ["None" if gold is None else f"={gold}" for gold, _ in rows]
    y_pred = ["None" if said is None else f"={said}" for _, said in rows]
    expected = f1_score(y_true, y_pred, labels=sorted(set(y_true)), average="macro", zero_division=0)
    assert field_score(MOOD, pairs).macro_f1 == pytest.approx(expected)


@unhurried
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6), st.sampled_from([ITEM, SKU]))
def test_an_unanswered_field_never_scores_more(rows: list[tuple[str | None, str | None]], field: Field) -> None:
    """Taking an answer away improves no score and leaves the baseline; the order of samples changes nothing."""
    pairs: list[Pair] = [(gold, {field.name: said}) for gold, said in rows]
    before = field_score(field, pairs)
    after = field_score(field, [(pairs[0][0], {}), *pairs[1:]])
    for name in ("accuracy", "exact", "normalized", "token_f1"):
        assert getattr(after, name) <= getattr(before, name)
    assert after.most_frequent == before.most_frequent
    assert_score(
        field_score(field, pairs[::-1]), **{name: value for name, value in asdict(before).items() if name != "macro_f1"}
    )


@unhurried
@given(st.text())
def test_gold_that_says_nothing_is_met_by_nothing(text: str) -> None:
    """Whatever an answer's reader takes for nothing is nothing in gold too, so that no gold is out of reach."""
    assert field_matches(ITEM, text, None) == says_nothing(text)
