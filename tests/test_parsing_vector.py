"""The format vector: what models write as zeros and ones, and how it is read."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.labelspace import Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.records import Answer, FailureKind, ParseFailure

VECTOR = FORMATS["vector"]
SPACE = LabelSpace((Label("shipping"), Label("quality", aliases=("build quality",)), Label("price")))
ONE = LabelSpace((Label("shipping"),))
NASTY = LabelSpace(
    tuple(
        Label(name) for name in ("0", "1", "price", "price match", "a, b", 'say "hi"', "[urgent]", "яд", "true", "a: 1")
    )
)
EIGHT = LabelSpace(tuple(Label(name) for name in "abcdefgh"))


def read(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> Answer:
    """Return what the vector format reads in a text."""
    return VECTOR.parse(text, space, Output("vector", options), cut)


def bits(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> str:
    """Return the label vector that was read, as digits."""
    found = read(text, cut, space, **options)
    return "".join("1" if name in found.labels else "0" for name in space.names)


def failure(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> ParseFailure:
    """Return why the vector format reads nothing in a text."""
    with pytest.raises(ParseFailure) as caught:
        read(text, cut, space, **options)
    return caught.value


READS = {
    # what was asked for
    "commas": ("1,0,1", "101"),
    "comma-and-space": ("1, 0, 1", "101"),
    "spaces": ("1 0 1", "101"),
    "semicolons": ("1;0;1", "101"),
    "bars": ("1|0|1", "101"),
    "table-row": ("| 1 | 0 | 1 |", "101"),
    "digits": ("101", "101"),
    "zeros": ("000", "000"),
    "all-zero": ("0,0,0", "000"),
    "brackets": ("[1, 0, 1]", "101"),
    "parentheses": ("(1, 0, 1)", "101"),
    "nested": ("[[1, 0, 1]]", "101"),
    "booleans": ("[true, false, true]", "101"),
    "python-booleans": ("[True, False, True]", "101"),
    "yes-and-no": ("yes, no, yes", "101"),
    "floats": ("1.0, 0.0, 1.0", "101"),
    "quoted": ('"1", "0", "1"', "101"),
    "quoted-whole": ('"1,0,1"', "101"),
    "bold": ("**1, 0, 1**", "101"),
    "trailing-comma": ("1, 0, 1,", "101"),
    "full-stop": ("1, 0, 1.", "101"),
    "lines": ("1\n0\n1", "101"),
    "lines-with-blanks": ("1\n\n0\n\n1\n", "101"),
    "bullets": ("- 1\n- 0\n- 1", "101"),
    "wrapped": ("1, 0,\n1", "101"),
    "json-lines": ("```json\n[\n  1,\n  0,\n  1\n]\n```", "101"),
    "fence": ("```\n1,0,1\n```", "101"),
    "inline-fence": ("`1,0,1`", "101"),
    "windows-lines": ("1\r\n0\r\n1\r\n", "101"),
    # announced
    "answer": ("Answer: 1,0,1", "101"),
    "vector": ("Vector: 1,0,1", "101"),
    "labels": ("Labels: 1,0,1", "101"),
    "bold-heading": ("**Answer:** 1,0,1", "101"),
    "heading-line": ("## Answer\n1,0,1", "101"),
    "heading-before-lines": ("Labels:\n1\n0\n1", "101"),
    "json-object": ('{"labels": [1, 0, 1]}', "101"),
    "assigned": ("label_vector = [1, 0, 1]", "101"),
    "verb": ("The vector is 1,0,1.", "101"),
    "sentence": ("So the final answer would be [1, 0, 1].", "101"),
    "other-heading": ("Here you go: 1,0,1", "101"),
    "boxed": ("\\boxed{1,0,1}", "101"),
    "chatty": ("Sure! Here is the vector:\n\n[1, 0, 1]\n\nLet me know!", "101"),
    # explained
    "explained-in-brackets": ("1,0,1 (shipping and price)", "101"),
    "explained-by-because": ("1 0 1 because it was late", "101"),
    "explained-by-a-sentence": ("1,0,1. The parcel was late.", "101"),
    "explanation-section": ("1,0,1\n\nExplanation:\nquality: 1\n\nquality: 1", "101"),
    "prose-behind": ("1,0,1\n\nThe answer is based on the text.", "101"),
    # by name
    "names": ("shipping: 1\nquality: 0\nprice: 1", "101"),
    "names-in-another-order": ("price: 1\nquality: 0\nshipping: 0", "001"),
    "names-in-one-line": ("price: 1, quality: 0, shipping: 0", "001"),
    "names-and-semicolons": ("price=1; quality=0; shipping=0", "001"),
    "names-in-json": ('{"price": 1, "shipping": 0, "quality": 0}', "001"),
    "names-and-booleans": ('{"price": true, "shipping": false, "quality": false}', "001"),
    "names-and-words": ("price: yes\nquality: no\nshipping: not mentioned", "001"),
    "names-in-a-table": ("| price | 1 |\n| quality | 0 |\n| shipping | 0 |", "001"),
    "names-and-arrows": ("price → 1\nquality → 0\nshipping → 0", "001"),
    "names-and-spaces": ("price 1\nquality 0\nshipping 0", "001"),
    "names-in-bullets": ("- **Price**: 1 - too dear\n- **Quality**: 0\n- **Shipping**: 0 (fine)", "001"),
    "names-and-brackets": ("price (1), quality (0), shipping (0)", "001"),
    "names-and-floats": ("price: 1.0\nquality: 0.0\nshipping: 0.0", "001"),
    "aliases": ("price: 0\nbuild quality: 1\nshipping: 0", "010"),
    "header": ("price, shipping, quality\n1,0,0", "001"),
    "header-of-a-table": ("| price | shipping | quality |\n|---|---|---|\n| 1 | 0 | 0 |", "001"),
    "comments": ("[1, # shipping\n0, # quality\n1] # price", "101"),
    "both-agree": ("1,0,1\n\nshipping: 1\nprice: 1", "101"),
    # reasoning before, other things behind
    "thinking": ("<think>0,0,0</think>1,0,1", "101"),
    "thinking-aloud": ("Let me think: there is 1 complaint, in 2010.\n\n1,0,1", "101"),
    "first-thought": ("First I thought of [1,0,0].\n\n[1,0,1]", "101"),
    "final-answer": ("1,0,0\n\nFinal answer: 1,0,1", "101"),
    "final-answer-voids-names": ("shipping: 1\nshipping: 0\n\nFinal answer: 1,0,1", "101"),
    "revised": ("1,0,0\nWait, the price too.\n1,0,1", "101"),
    "corrected": ("1,0,0\nCorrection: 1,0,1", "101"),
    "revised-by-words": ("1,0,1\nActually, I am sure of that.", "101"),
    "said-twice": ("1,0,1\n\nSo: 1,0,1", "101"),
    "too-short-then-right": ("1,0\n\nThat was too short:\n1,0,1", "101"),
    "next-input": ("1,0,1\n\nText: foo\nLabels: 0,0,0", "101"),
    "end-of-turn": ("1,0,1<|im_end|>\n0,0,0", "101"),
    "answer-tag": ("maybe 0,0,0 <answer>1,0,1</answer>", "101"),
}


@pytest.mark.parametrize(("text", "expected"), READS.values(), ids=READS)
def test_reads_what_models_write(text: str, expected: str) -> None:
    """What a person reads as the vector is what the parser reads; values with names count by name."""
    assert bits(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("0", "0"),
        ("1.", "1"),
        ("[1]", "1"),
        ("yes", "1"),
        ("No.", "0"),
        ("Answer: 1", "1"),
        ("shipping: 1", "1"),
    ],
)
def test_a_space_of_one_label_has_vectors_too(text: str, expected: str) -> None:
    """One value is a vector of one label."""
    assert bits(text, space=ONE) == expected


UNPARSEABLE = {
    "seven-of-eight": ("1,1,1,0,1,0,0", EIGHT, "got 7 values, want 8"),
    "seven-digits": ("1110100", EIGHT, "got 7 values, want 8"),
    "nine-of-eight": ("1,1,1,0,1,0,0,0,0", EIGHT, "got 9 values, want 8"),
    "one-of-three": ("1", SPACE, "got 1 value, want 3"),
    "last-is-too-short": ("1,0,1\n\nFinal answer: 1,0", SPACE, "got 2 values, want 3"),
    "right-then-too-short": ("1,0,1\nHm.\n1,0", SPACE, "got 2 values, want 3"),
    "digits-for-one": ("10", ONE, "got 2 values, want 1"),
    "two": ("1,2,0", SPACE, "values must be 0 or 1, got 2"),
    "several": ("1, 0.7, -1, 5", SPACE, "values must be 0 or 1, got 0.7, -1, 5"),
    "percent": ("100%", SPACE, "values must be 0 or 1, got 100%"),
    "by-name": ("shipping: 0.7\nquality: 0\nprice: 2", SPACE, "values must be 0 or 1, got 0.7, 2"),
    "names-missing": ("shipping: 1", SPACE, "it says nothing of quality, price"),
    "two-vectors": ("1,0,0\n0,1,0", SPACE, "it gives two different vectors"),
    "two-in-a-line": ("1,0,0 (or 0,1,0)", SPACE, "it gives two different vectors"),
    "two-in-a-sentence": ("So the label vector could be [1,0,0], or [0,1,0].", SPACE, "it gives two different vectors"),
    "revised-in-a-sentence": ("1,0,0\nActually, it should be 1,0,1.", SPACE, "it gives two different vectors"),
    "two-for-one": ("1\n0", ONE, "it gives two different vectors"),
    "name-against-vector": ("1,0,1\nprice: 0", SPACE, "its vector says 1 of 'price', and beside the name stands 0"),
    "comment-against-vector": (
        "[1, # price\n0, # shipping\n0]",
        SPACE,
        "its vector says 0 of 'price', and beside the name stands 1",
    ),
    "name-against-name": ("price: 1\nprice: 0", SPACE, "it says both 1 and 0 of 'price'"),
    "prose": ("I bought 2 of them in 2010", SPACE, "no vector in it"),
    "digits-in-prose": ("The bus 101 was late", SPACE, "no vector in it"),
    "denied": ("The answer is not [1,0,1]", SPACE, "no vector in it"),
    "supposed": ("Not this: 1,0,1", SPACE, "no vector in it"),
    "alternatives": ("1,0,1 or 0,1,1", SPACE, "no vector in it"),
    "numbering": ("1. The parcel came late", ONE, "no vector in it"),
    "one-of-two": ("1 of 2", ONE, "no vector in it"),
    "labels": ("shipping, price", SPACE, "no vector in it"),
    "number-behind-a-name": ("shipping: 3 days late", SPACE, "no vector in it"),
    "only-explained": ("Explanation: 1,0,1", SPACE, "no vector in it"),
    "none": ("none", SPACE, "no vector in it"),
    "empty": (" ", SPACE, "empty answer"),
}


@pytest.mark.parametrize(("text", "space", "why"), UNPARSEABLE.values(), ids=UNPARSEABLE)
def test_what_is_no_vector_is_unparseable(text: str, space: LabelSpace, why: str) -> None:
    """A wrong length, a foreign value, two vectors or none: the failure says which."""
    found = failure(text, space=space)
    assert (found.kind, found.why) == (FailureKind.UNPARSEABLE, why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty answer: the tokens ran out before an answer"),
        ("1,0", "the text was cut after 2 values of 3"),
        ("1,0,", "the text was cut after 2 values of 3"),
        ("1\n", "the text was cut after 1 value of 3"),
        ("1,0,1\nFinal answer: 1", "the text was cut after 1 value of 3"),
        ("shipping: 1\nqual", "the text was cut before the vector was complete: it says nothing of quality, price"),
        ("The customer", "the text was cut before the vector was complete: no vector in it"),
    ],
)
def test_a_cut_and_incomplete_vector_is_truncated(text: str, why: str) -> None:
    """A cut text whose vector is too short is truncated."""
    found = failure(text, cut=True)
    assert (found.kind, found.why) == (FailureKind.TRUNCATED, why)


@pytest.mark.parametrize("text", ["1,0,1", "101", "1,0,1\n\nThe parc", "price: 1\nquality: 0\nshipping: 1", "[1, 0, 1"])
def test_a_cut_but_complete_vector_is_an_answer(text: str) -> None:
    """All values are there: that the text was cut behind them changes nothing."""
    assert bits(text, cut=True) == "101"


def test_a_cut_vector_of_wrong_values_is_unparseable() -> None:
    """What is wrong before the cut stays wrong."""
    assert failure("1,5", cut=True).why == "values must be 0 or 1, got 5"


def test_names_that_are_values_themselves() -> None:
    """Labels called 0, 1 and true are told from values by where they stand."""
    space = LabelSpace((Label("0"), Label("1"), Label("true")))
    assert bits("1,0,1", space=space) == "101"
    assert bits("true: 0\n1: 1\n0: 0", space=space) == "010"


def test_the_longest_name_has_the_value() -> None:
    """A name with a separator in it is one name."""
    space = LabelSpace((Label("b"), Label("a, b")))
    assert bits("a, b: 1\nb: 0", space=space) == "01"
    assert failure("a, b: 1", space=space).why == "it says nothing of b"


@pytest.mark.parametrize(
    ("separator", "written"),
    [
        (",", "1,0,1"),
        (", ", "1, 0, 1"),
        ("", "101"),
        (" ", "1 0 1"),
        ("\n", "1\n0\n1"),
        ("/", "1/0/1"),
        (" | ", "1 | 0 | 1"),
    ],
)
def test_render_uses_the_separator(separator: str, written: str) -> None:
    """The separator of the output stands between the values, and is read again."""
    output = Output("vector", {"separator": separator})
    assert VECTOR.check(output, SPACE) == []
    assert VECTOR.render(["price", "shipping"], {}, SPACE, output) == written
    assert bits(written, separator=separator) == "101"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"separator": "-"},
            "separator must be one of , ; | / : with or without spaces, white space, or empty, got '-'.",
        ),
        (
            {"separator": "0"},
            "separator must be one of , ; | / : with or without spaces, white space, or empty, got '0'.",
        ),
        ({"separator": 1}, "separator must be a text, got 1. Put it in quotes."),
        ({"none": "none"}, "format vector has no option 'none'. It has separator."),
    ],
)
def test_impossible_options_are_told(options: dict[str, Any], message: str) -> None:
    """Every impossible option has a message that says what must hold and what was given."""
    assert VECTOR.check(Output("vector", options), SPACE) == [message]


SEPARATORS = ["", " ", ",", ", ", ";", "|", " / ", "\n", "\t", "、", ":"]


@given(st.data(), st.sampled_from([SPACE, ONE, NASTY, EIGHT]), st.sampled_from(SEPARATORS))
def test_what_is_rendered_is_read_back(data: st.DataObject, space: LabelSpace, separator: str) -> None:
    """A perfect vector is read as what it says, whatever the names look like; cut anywhere it is truncated."""
    output = Output("vector", {"separator": separator})
    assert VECTOR.check(output, space) == []
    labels = data.draw(st.frozensets(st.sampled_from(space.names)))
    written = VECTOR.render(labels, {}, space, output)
    assert VECTOR.parse(written, space, output, False) == Answer(labels)
    by_name = "\n".join(f"{name}: {int(name in labels)}" for name in reversed(space.names))
    with contextlib.suppress(ParseFailure):
        assert VECTOR.parse(by_name, space, output, False) == Answer(labels)
    end = data.draw(st.integers(0, len(written) - 1))
    if written[:end].strip(f"{separator} ") != written:
        assert failure(written[:end], True, space, separator=separator).kind is FailureKind.TRUNCATED


PIECES = [
    "0",
    "1",
    "10",
    "1.0",
    "2",
    "-1",
    "true",
    "no",
    ",",
    ";",
    "|",
    " ",
    "\n",
    "[",
    "]",
    "(",
    ")",
    ":",
    '"',
    "#",
    "- ",
]
PIECES += [
    "shipping",
    "price",
    "quality",
    "Answer:",
    "Labels:",
    "Explanation:",
    "Text:",
    "The vector is ",
    "Wait, ",
    "not ",
]
PIECES += [
    "```",
    "**",
    "=",
    "|---|",
    "1,0,1",
    "shipping: 1\n",
    "price: 0, ",
    "\ud800",
    "１",
    "²",
    "<think>",
    "</think>",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)), st.booleans())
def test_no_text_breaks_the_parser(text: str, cut: bool) -> None:
    """Whatever is written, it is labels or a failure; cut or not, it says the same or fails."""
    for space in (SPACE, ONE, NASTY):
        try:
            found = read(text, cut, space)
        except ParseFailure as why:
            why.why.encode()
            continue
        assert found.labels <= set(space.names)
        assert read(text, space=space) == found


@pytest.mark.parametrize(
    "piece", ["1", "1,", "1 ", "[", "'", '"1', ":'", "(1", "price: 1,", "1,0,1 or ", " ", "=1", "1\n", "-"]
)
def test_long_texts_are_read_in_linear_time(piece: str) -> None:
    """A text of 100,000 characters takes a moment, whatever it repeats."""
    begin = time.process_time()
    failure(piece * (100_000 // len(piece)) + "x")
    assert time.process_time() - begin < 15.0


def test_numbered_values_count_in_their_order() -> None:
    """A list of values with their numbers is a vector when it numbers all of them from 1 on."""
    assert bits("1. 1\n2. 0\n3. 1") == "101"
    assert bits("1) yes\n2) no\n3) no") == "100"
    assert failure("1. 1\n3. 1\n2. 0").why == "got 1 value, want 3"
    assert failure("2. 1\n3. 0\n4. 0").why == "no vector in it"


def test_the_number_of_an_item_is_no_value() -> None:
    """A text that was cut behind the number of an item is truncated; that number is no value out of range."""
    assert failure("4. Press again\n5.", cut=True).kind is FailureKind.TRUNCATED
    assert bits("1,0,1\n5.") == "101"


def test_names_in_brackets_may_stand_behind_the_values() -> None:
    """A value with its label's name in brackets counts by the name, when all labels are said."""
    assert bits("1 (shipping), 0 (quality), 1 (price)") == bits("1,0,1")
    assert bits("0 (price), 1 (shipping), 0 (quality)") == bits("1,0,0")
    assert failure("1 (shipping), 0 (quality)").kind is FailureKind.UNPARSEABLE
    assert failure("1 (shipping), 0 (quality), 1 (colour)").kind is FailureKind.UNPARSEABLE
