"""Field values: what a text or a JSON value says of a field, in every format."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.parsing.fieldvalues import MISSING, Missing, read_value, says_nothing, truth
from harness.records import FieldValue, ParseFailure

MOOD = Field("mood", "choice", ("happy", "very mad", "1", "true"))
ITEM = Field("item", "text")
VIP = Field("vip", "bool")
CHOICE_OF_NONE = Field("size", "choice", ("large", "None", "n/a"))

TRUE = [
    "true",
    "True.",
    "YES",
    "y",
    "1",
    "1.",
    "✓",
    "✔",
    "✅",
    "☑",
    "**yes**",
    '"yes"',
    "- yes",
    " yes! ",
    True,
    1,
    1.0,
]
FALSE = ["false", "No", "n", "0", "0.", "✗", "✘", "❌", "☐", "`no`", False, 0, 0.0]
NOTHING = [
    "", " \n", "\u200b", "none", "None.", "(none)", "NULL", "nil", "n/a", "N/A", "nothing", "-", "–", "—", "\u2212", "[]",
    "not mentioned", "Not_Mentioned", "none mentioned", "nothing specified", "not stated.", "not given", "not provided",
    "none found", "not applicable", "not available", "unspecified", "**none**", None,
]  # fmt: skip
SOMETHING = ["unknown", "?", "...", ".", "!", "na", "none of it", "no lamp", "nothing phone", "0", "the none", "n"]


@pytest.mark.parametrize("given", TRUE, ids=repr)
def test_yes_is_said_in_many_ways(given: Any) -> None:
    """True, yes, y, 1 and a tick are true, in any case and through quotes, emphasis, a bullet and a stop."""
    assert truth(given) is True
    assert read_value(VIP, given) is True


@pytest.mark.parametrize("given", FALSE, ids=repr)
def test_no_is_said_in_many_ways(given: Any) -> None:
    """False, no, n, 0 and a cross are false."""
    assert truth(given) is False
    assert read_value(VIP, given) is False


@pytest.mark.parametrize(
    "given", ["perhaps", "yes and no", "2", 2, 0.5, [True], {"vip": True}, "yes, because", MISSING]
)
def test_what_is_no_bool_is_missing(given: Any) -> None:
    """A bool that is neither is no answer, nor is one with more beside it."""
    assert truth(given) is None
    assert read_value(VIP, given) is MISSING


@pytest.mark.parametrize("given", NOTHING, ids=repr)
@pytest.mark.parametrize("field", [MOOD, ITEM, VIP], ids=str)
def test_nothing_there_is_an_answer_for_every_type(field: Field, given: str | None) -> None:
    """Null, an empty text and the words for nothing are None, which is an answer and not a missing one."""
    assert given is None or says_nothing(given)
    assert read_value(field, given) is None


@pytest.mark.parametrize("given", SOMETHING)
def test_other_words_are_not_nothing(given: str) -> None:
    """Only the closed list says nothing; "unknown" and a text of stops are texts."""
    assert not says_nothing(given)
    assert read_value(ITEM, given) == given


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("happy", "happy"),
        (" Happy. ", "happy"),
        ("**Very-Mad**", "very mad"),
        ('"very_mad"', "very mad"),
        ("(happy)", "happy"),
        ("- happy", "happy"),
        ("1.", "1"),
        (1, "1"),
        (True, "true"),
        ("mad", MISSING),
        ("happy, very mad", MISSING),
        ("happy because", MISSING),
        (["happy"], MISSING),
        (2, MISSING),
        (False, MISSING),
        (MISSING, MISSING),
    ],
)
def test_a_choice_is_one_of_its_values(given: Any, value: FieldValue | Missing) -> None:
    """A choice is found in any case, with any joiner and under decoration; what it cannot be is missing."""
    assert read_value(MOOD, given) == value


@pytest.mark.parametrize(
    ("given", "value"), [("none", "None"), ("N/A.", "n/a"), ("", None), (None, None), ("null", None), ("-", None)]
)
def test_a_choice_goes_before_the_words_for_nothing(given: Any, value: FieldValue) -> None:
    """Where "none" is a value of the field, that is meant by it; null and an empty text still say nothing."""
    assert read_value(CHOICE_OF_NONE, given) == value


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("  iPhone 12\n", "iPhone 12"),
        ('"iPhone" (12).', '"iPhone" (12).'),
        ("**lamp**", "**lamp**"),
        (12, "12"),
        (1.5, "1.5"),
        ("\ud800", "?"),
        (True, MISSING),
        (["lamp"], MISSING),
        ({}, MISSING),
        (MISSING, MISSING),
    ],
)
def test_a_text_is_only_trimmed(given: Any, value: FieldValue | Missing) -> None:
    """The signs of a text may be its own; a number is written out; lists, objects and bools are no text."""
    assert read_value(ITEM, given) == value


SPACE = LabelSpace((Label("price"),), (MOOD, ITEM, VIP))
FIELDS = ("mood", "item", "vip")
words = st.one_of(st.sampled_from([*TRUE, *FALSE, *NOTHING, *SOMETHING, "happy", "very mad"]), st.text(max_size=8))


@given(words.filter(lambda word: isinstance(word, str) and not set(word) & set("<>&")), st.sampled_from(FIELDS))
@unhurried
def test_formats_read_fields_alike(word: str, name: str) -> None:
    """What a model writes for a field means the same in JSON and in a container."""
    texts = {
        "json": json.dumps({"labels": [], name: word}),
        "containers": f"<labels></labels>\n<{name}>{word}</{name}>",
    }
    read = {each: FORMATS[each].parse(text, SPACE, Output(each, {}, FIELDS), False) for each, text in texts.items()}
    assert read["json"].fields == read["containers"].fields


@given(
    st.one_of(words, st.floats(), st.integers(), st.lists(words)), st.sampled_from([MOOD, ITEM, VIP, CHOICE_OF_NONE])
)
@unhurried
def test_every_value_is_one_of_its_type_or_none(given: Any, field: Field) -> None:
    """Whatever is given, a field has a value of its type, nothing, or no answer; and it can be saved."""
    value = read_value(field, given)
    if value is MISSING or value is None:
        return
    assert value in field.values or field.type != "choice"
    assert isinstance(value, bool if field.type == "bool" else str)
    json.dumps(value, ensure_ascii=False).encode("utf-8")


@given(st.text(), st.sampled_from([MOOD, ITEM, VIP]))
@unhurried
def test_a_value_that_was_read_is_read_again(text: str, field: Field) -> None:
    """Reading a value twice changes nothing: what is stored is what would be read."""
    value = read_value(field, text)
    if not isinstance(value, Missing):
        assert read_value(field, value) == value


@pytest.mark.parametrize("field", [MOOD, ITEM, VIP], ids=str)
@pytest.mark.parametrize("sign", ["(", '"', "1. ", "x", "\u200b", ". ", "ﷺ"])
def test_long_values_are_read_in_linear_time(field: Field, sign: str) -> None:
    """A value of a hundred thousand signs takes a moment."""
    begin = time.process_time()
    read_value(field, sign * (100_000 // len(sign)))
    assert time.process_time() - begin < 15.0


def test_a_missing_container_is_not_an_empty_one() -> None:
    """A field that is not there is absent in the answer; an empty one is there, and None."""
    output = Output("containers", {}, FIELDS)
    answer = FORMATS["containers"].parse("<labels>price</labels><item></item>", SPACE, output, False)
    assert dict(answer.fields) == {"item": None}
    with pytest.raises(ParseFailure):
        FORMATS["containers"].parse("<item></item>", SPACE, output, False)
