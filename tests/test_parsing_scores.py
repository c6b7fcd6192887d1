"""The format scores: the numbers that models give labels, and when they are no answer."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Label, LabelSpace, normalize
from harness.parsing import FORMATS, Output, read
from harness.records import Answer, Completion, FailureKind, ParseFailure

SCORES = FORMATS["scores"]
SPACE = LabelSpace((Label("shipping", aliases=("late delivery",)), Label("price"), Label("price match")))
EXPECTED = {"shipping": 0.9, "price": 0.2, "price match": 0.0}


def answer(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> Answer:
    """Return what the format reads in a text."""
    return SCORES.parse(text, space, Output("scores", options), cut)


def numbers(text: str, cut: bool = False, **options: Any) -> list[float]:
    """Return the probabilities in label-space order."""
    found = answer(text, cut, **options).probabilities
    return [found[name] for name in SPACE.names]


def failure(text: str, cut: bool = False, **options: Any) -> ParseFailure:
    """Return why nothing is read in a text."""
    with pytest.raises(ParseFailure) as caught:
        answer(text, cut, **options)
    return caught.value


LINES = {
    "plain": "shipping: 0.9\nprice: 0.2\nprice match: 0",
    "bold-bullets": "- **shipping**: 0.9\n- **Price**: 0.2\n- price-match: 0.0",
    "numbered": "1. shipping: 0.9\n2. price: 0.2\n3. price match: 0",
    "stops": "* shipping: 0.9.\n* price: 0.2.\n* price match: 0.",
    "bold-numbers": "shipping: **0.9**\nprice: *0.2*\nprice match: `0`",
    "quoted": '"shipping": 0.9\n"price": 0.2\n"price match": 0',
    "table": "| label | score |\n|---|---|\n| shipping | 0.9 |\n| price | 0.2 |\n| price match | 0 |",
    "table-with-numbers": "| 1 | shipping | 0.9 | late |\n| 2 | price | 0.2 | |\n| 3 | price match | 0 | |",
    "percent": "shipping: 90%\nprice: 20 %\nprice match: 0 percent",
    "of-ten": "shipping - 9/10\nprice - 2 out of 10\nprice match - 0/10",
    "of-one": "shipping: 0.9 out of 1\nprice: 0.2/1\nprice match: 0/1",
    "brackets": "shipping (0.9)\nprice (0.2)\nprice match (0)",
    "comma": "shipping: 0,9\nprice: 0,2\nprice match: 0,0",
    "no-zero": "shipping: .9\nprice: 2e-1\nprice match: 0",
    "one-line": "shipping: 0.9, price: 0.2, price match: 0",
    "one-line-tight": "shipping:0.9,price:0.2,price match:0",
    "semicolons": "shipping: 0.9; price: 0.2; price match: 0.",
    "only-spaces": "shipping=0.9 price=0.2 price match=0",
    "and": "shipping: 0.9, price: 0.2 and price match: 0",
    "csv": "shipping,0.9\nprice,0.2\nprice match,0",
    "tabs": "shipping\t0.9\tlate\nprice\t0.2\nprice match\t0",
    "bare": "shipping 0.9\nprice 0.2\nprice match 0",
    "dashes": "The scores are:\n\nshipping – 0.9\nprice - 0.2\nprice match — 0",
    "arrows": "`shipping` → 0.9\n`price` -> 0.2\n`price match` => 0",
    "about": "shipping: ~0.9\nprice: ≈ 0.2\nprice match: about 0",
    "explained": "shipping: 0.9 (the parcel, late)\nprice: 0.2 - it cost 5 dollars\nprice match: 0 because nothing",
    "explained-in-line": "shipping: 0.9 (late, price: 5), price: 0.2, price match: 0",
    "open-bracket": "price: 0.2, price match: 0, shipping: 0.9 (late, price: 5",
    "explanation": "shipping: 0.9\nprice: 0.2\nprice match: 0\nExplanation: the price: 5 dollars was fine",
    "same-twice": "shipping: 0.9\nprice: 0.2\nprice match: 0\nSo shipping: 90%",
    "heading": "Scores: shipping: 0.9, price: 0.2, price match: 0",
    "confidence": "Confidence scores:\nshipping: 0.9\nprice: 0.2\nprice match: 0",
    "alias": "Late delivery: 0.9\nprice: 0.2\nprice match: 0",
    "prefix": "Label: shipping, Score: 0.9\nLabel: price, Score: 0.2\nLabel: price match, Score: 0",
    "score-behind": "shipping score: 0.9\nprice score: 0.2\nprice match score: 0",
    "probability": "P(shipping) = 0.9\nP(price) = 0.2\nP(price match) = 0",
    "probability-of": "Probability of shipping: 0.9\nprobability of price: 0.2\nthe probability of price match is 0",
    "next-line": "**shipping**\nScore: 0.9\n\n**price**\nScore: 0.2\n\n**price match**\nScore: 0",
    "next-line-bare": "shipping\n0.9\nprice\n0.2\nprice match\n0",
    "thinking": "<think>shipping: 0.1</think>shipping: 0.9\nprice: 0.2\nprice match: 0",
    "final-answer": "I think shipping: 0.3.\n\nFinal answer:\nshipping: 0.9\nprice: 0.2\nprice match: 0",
    "empty-final-answer": "shipping: 0.9\nprice: 0.2\nprice match: 0\nFinal answer: shipping",
    "two-headings": "Answer:\nshipping: 0.9\nprice: 0.2\nprice match: 0\nConclusion:\nFinal answer: late",
    "next-input": "shipping: 0.9\nprice: 0.2\nprice match: 0\n\nReview: late\nshipping: 0.1",
    "brackets-around": "[shipping: 0.9, price: 0.2, price match: 0]",
    "meta": "scale: 1\nshipping: 0.9\nprice: 0.2\nprice match: 0\nTotal: 1.1\nconfidence: 0.5",
}

JSON = {
    "object": '{"shipping": 0.9, "price": 0.2, "price match": 0}',
    "fenced": '```json\n{"shipping": 0.9, "price": 0.2, "price match": 0}\n```',
    "nested": '{"scores": {"late delivery": 0.9, "price": "20%", "price match": false}}',
    "array": '[{"label":"shipping","score":0.9},{"label":"price","score":0.2,"why":"x"},{"name":"price match","value":0}]',
    "array-inside": '{"labels": [{"name":"shipping","p":0.9},{"name":"price","p":"2/10"},{"name":"price match","p":0}]}',
    "objects": '{"shipping": {"score": 0.9, "why": "late"}, "price": {"score": 0.2}, "price match": {"score": 0.0}}',
    "pairs": '[["shipping", 0.9], ["price", 0.2], ["price match", 0]]',
    "lines": '{"shipping": 0.9}\n{"price": 0.2}\n{"price match": 0}',
    "text-around": 'Here: {"shipping": 0.9, "price": 0.2, "price match": 0} (shipping: 0.1)',
    "draft": '{"shipping": 0.1, "price": 0.2, "price match": 0} no, {"shipping": 0.9, "price": 0.2, "price match": 0}',
    "beside": '{"shipping": 0.9, "price": 0.2, "price match": 0, "confidence": 0.7, "vip": true, "why": "late"}',
}

MENDED = {
    "python": "{'shipping': 0.9, 'price': 0.2, 'price match': 0}",
    "trailing-comma": '{"shipping": 0.9, "price": 0.2, "price match": 0,}',
    "unclosed": '{"shipping": 0.9, "price": 0.2, "price match": 0',
    "false": "{'shipping': 0.9, 'price': 0.2, 'price match': False}",
}


@pytest.mark.parametrize("text", [*LINES.values(), *JSON.values()], ids=[*LINES, *(f"json-{name}" for name in JSON)])
def test_reads_what_models_write(text: str) -> None:
    """Every label has the number that stands with its name, and is present from 0.5 on."""
    assert answer(text) == Answer(frozenset({"shipping"}), probabilities=EXPECTED)


@pytest.mark.parametrize("text", MENDED.values(), ids=MENDED)
def test_broken_json_is_marked(text: str) -> None:
    """JSON that had to be mended is read, and says so."""
    assert answer(text) == Answer(frozenset({"shipping"}), repaired=True, probabilities=EXPECTED)


@pytest.mark.parametrize(
    ("scale", "text", "expected"),
    [
        ("0-10", "shipping: 8\nprice: 10\nprice match: 0.5", [0.8, 1.0, 0.05]),
        ("0-10", '{"shipping": 8, "price": "50%", "price match": true}', [0.8, 0.5, 1.0]),
        ("percent", "shipping: 80\nprice: 10%\nprice match: 1/2", [0.8, 0.1, 0.5]),
        ("0-1", "shipping: 1\nprice: 80%\nprice match: 4/5", [1.0, 0.8, 0.8]),
    ],
)
def test_a_number_is_a_part_of_its_scale(scale: str, text: str, expected: list[float]) -> None:
    """A number is divided by the top of the scale; percents, fractions and booleans say their own."""
    assert numbers(text, scale=scale) == expected


@pytest.mark.parametrize(
    ("text", "why", "off_list"),
    [
        ("shipping: 0.9", "no number for price, price match", ()),
        ("shipping: 5\nprice: 0\nprice match: 0", "5 for shipping is outside of 0-1", ()),
        ("shipping: -0.1\nprice: 0\nprice match: 0", "-0.1 for shipping is outside of 0-1", ()),
        ("shipping: 12/10\nprice: 0\nprice match: 0", "12/10 for shipping is outside of 0-10", ()),
        ("shipping: 120%\nprice: 0\nprice match: 0", "120% for shipping is outside of 0-100", ()),
        ('{"shipping": 1e999, "price": 0, "price match": 0}', "inf for shipping is outside of 0-1", ()),
        (f'{{"shipping": {"9" * 400}, "price": 0, "price match": 0}}', "inf for shipping is outside of 0-1", ()),
        ("shipping: 0.9\nprice: 0\nprice match: 0\nshipping: 0.1", "different numbers for shipping", ()),
        ('{"shipping": 0.9, "price": 0, "price match": 0, "shipping": 0.1}', "different numbers for shipping", ()),
        ("{'shipping': 0.9, 'price': 0, 'price match': 0, 'shipping': 0.1}", "no number for shipping", ()),
        ("shipping: high\nprice: 0\nprice match: 0", "no number for shipping", ()),
        ("shipping: 0.8-0.9\nprice: 0\nprice match: 0", "no number for shipping", ()),
        ("shipping: 8/0\nprice: 0\nprice match: 0", "no number for shipping", ()),
        ("shipping: 2 weeks late\nprice: 0\nprice match: 0", "no number for shipping", ()),
        ('{"shipping": null, "price": 0, "price match": 0}', "no number for shipping", ()),
        ('{"shipping": NaN, "price": 0, "price match": 0}', "no number for shipping", ()),
        ('{"shipping": {"why": "late"}, "price": 0, "price match": 0}', "no number for shipping", ()),
        ('[{"label": "shipping"}, {"label": "price", "score": 0}, {"label": "price match", "score": 0}]',
         "no number for shipping", ()),
        ("not shipping: 0.9\nprice: 0\nprice match: 0", "no number for shipping", ("not shipping",)),
        ("free shipping: 0.9\nprice: 0\nprice match: 0", "no number for shipping", ("free shipping",)),
        ("cost: 0.4\ncolour: 1", "only off-list labels: cost, colour", ("cost", "colour")),
        ('{"cost": 0.3}', "only off-list labels: cost", ("cost",)),
        ("0.9, 0.2, 0", "no label has a number", ()),
        ("[0.9, 0.2, 0]", "no label has a number", ()),
        ("none", "no label has a number", ()),
        ("shipping, price", "no label has a number", ()),
        ("shipping\nprice", "no label has a number", ()),
        ("The shipping took 5 days.", "no label has a number", ()),
        ('{"a": {"b": {"c": {"d": {"shipping": 1}}}}}', "no number for price, price match", ()),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_unparseable(text: str, why: str, off_list: tuple[str, ...]) -> None:
    """A label without a number, with two, or with one outside of its scale makes no answer, and the failure says which."""
    found = failure(text)
    assert (found.kind, found.why, found.off_list) == (FailureKind.UNPARSEABLE, why, off_list)


@pytest.mark.parametrize(
    ("text", "off_list"),
    [
        ("shipping: 0.9\nprice: 0.2\nprice match: 0\ncolour: 0.4\ncolour: 0.4", ("colour",)),
        ("shipping: 0.9, colour: 0.4, price: 0.2, price match: 0", ("colour",)),
        ('{"shipping": 0.9, "price": 0.2, "price match": 0, "colour": 0.4}', ("colour",)),
        ("it cost about 5: shipping: 0.9\nprice: 0.2\nprice match: 0", ()),
        ("The customer says in many words that: 0.4\nshipping: 0.9\nprice: 0.2\nprice match: 0", ()),
    ],
)
def test_names_that_are_no_labels_are_off_list(text: str, off_list: tuple[str, ...]) -> None:
    """What has a number and is no label is kept as it was written; sentences and figures in them are not."""
    assert answer(text) == Answer(frozenset({"shipping"}), off_list, probabilities=EXPECTED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shipping: 0.9", [0.9, 0, 0]),
        ('{"price": 1}', [0, 1, 0]),
        ("none", [0, 0, 0]),
        ("No labels apply.", [0, 0, 0]),
    ],
)
def test_what_is_missing_may_be_zero(text: str, expected: list[float]) -> None:
    """With `missing: zero` only labels that apply need a number, and an explicit none needs no number at all."""
    assert numbers(text, missing="zero") == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("shipping: 0.9, price: high", "no number for price"),
        ("shipping: 0.9\nprice", "no number for price"),
        ("price, shipping: 0.9", "no number for price"),
        ("shipping: 0.9, price", "no number for price"),
        ('{"shipping": 0.9, "price": null}', "no number for price"),
        ("{'shipping': 0.9, 'price': 1, 'price': 0}", "no number for price"),
        ("{}", "no label has a number"),
        ("colour: 1", "only off-list labels: colour"),
        ("It came late.", "no label has a number"),
    ],
)
def test_what_is_named_without_a_number_is_not_zero(text: str, why: str) -> None:
    """A label that stands there with something unreadable is no zero, and neither is a text without any number."""
    assert failure(text, missing="zero").why == why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shipping: 0.9\nprice: 0.2\nprice match: 0\n", [0.9, 0.2, 0]),
        ("shipping: 0.9\nprice: 0.2\nprice match: 1", [0.9, 0.2, 1]),
        ("shipping: 9%\nprice: 0%\nprice match: 1%", [0.09, 0, 0.01]),
        ("shipping: 0.9\nprice: 0.2\nprice match: 0\nThe parc", [0.9, 0.2, 0]),
        ('{"shipping": 0.9, "price": 0.2, "price match": 0.3}', [0.9, 0.2, 0.3]),
        ('{"shipping": 0.9, "price": 0.2, "price match": 0.3, "why": "the', [0.9, 0.2, 0.3]),
    ],
)
def test_a_cut_text_with_all_numbers_counts(text: str, expected: list[float]) -> None:
    """What was cut behind the last number is complete."""
    assert numbers(text, cut=True) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("shipping: 0.9\nprice: 0.2\nprice match: 0", "price match"),
        ("shipping: 0.9\npri", "price, price match"),
        ("shipping\n0.9\nprice\n0.2\nprice match\n0", "price match"),
        ('{"shipping": 0.9, "price": 0.2, "price match": 0.3', "price match"),
        ("The", "shipping, price, price match"),
    ],
)
def test_a_cut_text_without_all_numbers_is_truncated(text: str, names: str) -> None:
    """A number at the very end of a cut text could go on ("0" to "0.8"): it is none yet. Nothing is zero by default."""
    for missing in ("fail", "zero"):
        found = failure(text, cut=True, missing=missing)
        assert (found.kind, found.why) == (FailureKind.TRUNCATED, f"the text was cut before a number for {names}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"shipping": 0.9, "price": 0}\n\nReview: x\n{"shipping": 0.1, "price": 1}', id="json"),
        pytest.param("shipping: 0.9\nprice: 0\n\nReview: x\nshipping: 0.1\nprice: 1", id="lines"),
        pytest.param('shipping: 0.9\nprice: 0\n\nReview: x\n{"shipping": 0.1, "price": 1}', id="lines-then-json"),
        pytest.param('Review: x\n{"shipping": 0.9, "price": 0}\nReview: y\n{"price": 1}', id="input-repeated"),
        pytest.param('{"shipping": 0.9, "price": 0} and not {"shipping": 0.1, "price": 1}', id="set-aside"),
    ],
)
def test_the_next_input_ends_the_answer(text: str) -> None:
    """The numbers of a model that runs on to an input of its own ("Review:") are those of its first answer."""
    assert numbers(text, missing="zero") == [0.9, 0.0, 0.0]


def test_a_label_is_no_heading_of_an_input() -> None:
    """A label that is called like an input has its number like any other."""
    space = LabelSpace((Label("review"), Label("message")))
    given = {"review": 0.9, "message": 0.1}
    assert answer("review: 0.9\nmessage: 0.1", space=space).probabilities == given
    assert answer('{"review": 0.9}\nmessage: {"message": 0.1}', space=space).probabilities == given


def test_thresholds_decide() -> None:
    """A label is present from its threshold on."""
    text = LINES["plain"]
    for output, expected in (
        (Output("scores", threshold=0.2), {"shipping", "price"}),
        (Output("scores", threshold=0.95), set()),
        (Output("scores", thresholds={"shipping": 0.95, "price match": 0.0}), {"price match"}),
    ):
        assert SCORES.parse(text, SPACE, output, False).labels == expected


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("0-1", "shipping: 0\nprice: 1\nprice match: 0"),
        ("0-10", "shipping: 0\nprice: 10\nprice match: 0"),
        ("percent", "shipping: 0%\nprice: 100%\nprice match: 0%"),
    ],
)
def test_render_writes_a_line_for_each_label(scale: str, expected: str) -> None:
    """A perfect model is sure: the top of the scale or zero, in label-space order."""
    assert SCORES.render({"price"}, {}, SPACE, Output("scores", {"scale": scale})) == expected


def test_render_quotes_names_or_writes_json_where_lines_would_be_misread() -> None:
    """The plainest form that is read back is written."""
    output = Output("scores", {"scale": "percent"})
    quoted = LabelSpace((Label("plain"), Label("(10)")))
    assert SCORES.render(["plain"], {}, quoted, output) == 'plain: 100%\n"(10)": 0%'
    confusable = LabelSpace((Label("a"), Label("a:")))
    assert SCORES.render(["a"], {}, confusable, output) == '{"a": 100, "a:": 0}'
    assert SCORES.check(output, confusable) == []


def test_the_grammar_is_what_is_written() -> None:
    """A constrained server writes every label in order, each with a number of the scale."""
    assert SCORES.grammar is not None
    assert SCORES.grammar(SPACE, Output("scores")) == (
        'root ::= "shipping: " number "\\nprice: " number "\\nprice match: " number\n'
        'number ::= ("0" ("." [0-9]{1,2})? | "1" (".0")?)\n'
    )
    assert SCORES.grammar(LabelSpace((Label("a"),)), Output("scores", {"scale": "percent"})) == (
        'root ::= "a: " number\nnumber ::= ([0-9] | [1-9] [0-9] | "100") "%"\n'
    )
    confusable = LabelSpace((Label("a"), Label("a:")))
    assert SCORES.grammar(confusable, Output("scores", {"scale": "percent"})) == (
        'root ::= "{\\"a\\": " number ", \\"a:\\": " number "}"\nnumber ::= ([0-9] | [1-9] [0-9] | "100")\n'
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": "0-100"}, "scale must be one of 0-1, 0-10, percent, got '0-100'. Did you mean '0-10'?"),
        ({"missing": "none"}, "missing must be one of fail, zero, got 'none'."),
        ({"scale": 10}, "scale must be a text, got 10. Put it in quotes."),
    ],
)
def test_impossible_options_are_told(options: dict[str, Any], message: str) -> None:
    """Every impossible option has a message that says what must hold and what was given."""
    assert SCORES.check(Output("scores", options), SPACE) == [message]


def test_a_name_that_cannot_be_read_back_is_told() -> None:
    """A label whose name ends the reasoning, or a turn, cannot be written in an answer."""
    space = LabelSpace((Label("</think>"), Label("fine")))
    assert SCORES.check(Output("scores"), space) == ["label '</think>' cannot be read back from scores. Rename it."]
    together = LabelSpace((Label("<answer>"), Label("</answer>")))
    assert SCORES.check(Output("scores"), together)


# --- laws ------------------------------------------------------------------------------------------------------------

BITS = [
    "price",
    "match",
    "a",
    "10",
    "0.5",
    "é",
    "цена",
    " ",
    ":",
    ": ",
    ", ",
    "-",
    " - ",
    '"',
    "'",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
]
BITS += [
    "|",
    "\\",
    ".",
    "1. ",
    "* ",
    "# ",
    "%",
    "/",
    " and ",
    "score",
    "label: ",
    "answer: ",
    "text:",
    "not ",
    "0",
    "1",
]
names = st.lists(st.sampled_from(BITS), min_size=1, max_size=5).map("".join).map(str.strip)


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    """Draw a label space whose names hold what scores are made of."""
    drawn = draw(st.lists(names, min_size=1, max_size=5, unique_by=normalize))
    known = [name for name in drawn if normalize(name) not in ("", "none")]
    return LabelSpace(tuple(Label(name) for name in known or ["price"]))


@given(space=spaces(), data=st.data())
@unhurried
def test_what_is_written_is_read_back(space: LabelSpace, data: st.DataObject) -> None:
    """`parse(render(labels)) == labels` for every label space and scale that `check` lets pass, with certain numbers."""
    output = Output("scores", {"scale": data.draw(st.sampled_from(["0-1", "0-10", "percent"]))})
    if SCORES.check(output, space):
        return
    labels = data.draw(st.frozensets(st.sampled_from(space.names)))
    text = SCORES.render(labels, {}, space, output)
    expected = {name: float(name in labels) for name in space.names}
    assert SCORES.parse(text, space, output, False) == Answer(labels, probabilities=expected), text


@given(values=st.tuples(*[st.integers(0, 100)] * 3), order=st.permutations(range(3)), as_json=st.booleans())
@unhurried
def test_numbers_go_by_name(values: tuple[int, ...], order: list[int], as_json: bool) -> None:
    """In whatever order labels are written, each has its own number, in [0, 1]."""
    given_numbers = [(SPACE.names[at], values[at]) for at in order]
    text = (
        json.dumps(dict(given_numbers)) if as_json else "\n".join(f"{name}: {value}%" for name, value in given_numbers)
    )
    assert numbers(text, scale="percent") == [value / 100 for value in values]


@given(values=st.tuples(*[st.floats(0, 1)] * 3), lower=st.floats(0, 1), higher=st.floats(0, 1))
@unhurried
def test_raising_a_threshold_adds_no_label(values: tuple[float, ...], lower: float, higher: float) -> None:
    """Labels shrink or stay when the threshold rises."""
    lower, higher = sorted((lower, higher))
    text = json.dumps(dict(zip(SPACE.names, values, strict=True)))
    found = [SCORES.parse(text, SPACE, Output("scores", threshold=each), False).labels for each in (lower, higher)]
    assert found[1] <= found[0]


PIECES = [
    *SPACE.names,
    "late delivery",
    "colour",
    ": ",
    "0.5",
    "1",
    "90%",
    "8/10",
    "-1",
    "1e999",
    ", ",
    "\n",
    "\n\n",
    " - ",
    "|",
]
PIECES += [
    "(",
    ")",
    "{",
    "}",
    '"',
    "[",
    "]",
    "score",
    "Answer:",
    "Review:",
    "<think>",
    "none",
    "**",
    "~",
    "/0",
    "\t",
    " and ",
]


@given(
    text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=16).map("".join)),
    cut=st.booleans(),
    missing=st.sampled_from(["fail", "zero"]),
)
@unhurried
def test_any_text_is_an_answer_or_a_failure(text: str, cut: bool, missing: str) -> None:
    """No text raises anything but a ParseFailure, and every probability is within [0, 1] and decides."""
    result = read(Completion("ok", text, "length" if cut else "stop"), SPACE, Output("scores", {"missing": missing}))
    if isinstance(result, Answer):
        assert all(0 <= value <= 1 for value in result.probabilities.values())
        assert result.labels == {name for name, value in result.probabilities.items() if value >= 0.5}
        assert result.probabilities.keys() == set(SPACE.names)


RUN_ON = ["a", " ", "1 ", "1, ", "0.5: ", "shipping: ", "shipping: 0.9 ", "x: 1, ", "x (1), ", "((1, ", "|", "-", "x\n"]
RUN_ON += ["shipping\n", "shipping: 0.9\n", "{", '"', "(", "1", "score ", "**", '{"a": 1}']


@pytest.mark.parametrize("piece", RUN_ON)
def test_long_texts_take_a_moment(piece: str) -> None:
    """A text of 100,000 characters is read in linear time, whatever it repeats."""
    begin = time.process_time()
    read(Completion("ok", piece * (100_000 // len(piece)) + "x", "stop"), SPACE, Output("scores"))
    assert time.process_time() - begin < 15.0
