"""The format decisions: probabilities become labels by their thresholds, and nothing unanswered becomes an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.parsing.decisions import MOST_CHOICES, is_probability
from harness.records import Answer, Completion, FailureKind, ParseFailure

DECISIONS = FORMATS["decisions"]
SPACE = LabelSpace(
    (Label("shipping"), Label("quality"), Label('Größe "XL", [1]')),
    (Field("mood", "choice", ("happy", "mad")), Field("vip", "bool"), Field("item", "text")),
)
FIELDS = ("mood", "vip")


def predicate(name: str, probability: Any) -> dict[str, Any]:
    """Return the answer to a predicate."""
    return {"name": name, "type": "predicate", "probability": probability}


def chosen(name: str, value: Any) -> dict[str, Any]:
    """Return the answer to a choice."""
    return {"name": name, "type": "choice", "choice": value}


def refusal(name: str) -> dict[str, Any]:
    """Return a refusal to answer."""
    return {"name": name, "type": "refusal"}


ALL = [predicate("shipping", 0.9), predicate("quality", 0.45), predicate('Größe "XL", [1]', 0.1)]


def parsed(answers: Any, cut: bool = False, **output: Any) -> Answer:
    """Return what is read in some answers."""
    text = answers if isinstance(answers, str) else json.dumps(answers)
    return DECISIONS.parse(text, SPACE, Output("decisions", {}, FIELDS, **output), cut)


def failure(answers: Any, cut: bool = False) -> tuple[FailureKind, str]:
    """Return why nothing can be read in some answers."""
    with pytest.raises(ParseFailure) as caught:
        parsed(answers, cut)
    return caught.value.kind, caught.value.why


@pytest.mark.parametrize(
    ("output", "labels"),
    [
        ({}, {"shipping"}),
        ({"threshold": 0.4}, {"shipping", "quality"}),
        ({"threshold": 0.45}, {"shipping", "quality"}),
        ({"threshold": 0.95}, set()),
        ({"threshold": 0.95, "thresholds": {'Größe "XL", [1]': 0.1}}, {'Größe "XL", [1]'}),
        ({"thresholds": {"shipping": 0.91}}, set()),
    ],
)
def test_thresholds_decide(output: Mapping[str, Any], labels: set[str]) -> None:
    """A label is present from its threshold on: its own, else that of all, else one half."""
    answer = parsed(ALL, **output)
    assert answer.labels == labels
    assert answer.probabilities == {"shipping": 0.9, "quality": 0.45, 'Größe "XL", [1]': 0.1}
    assert answer.mass == {}


def test_the_order_of_the_answers_does_not_matter() -> None:
    """Answers are found by name, wherever they stand."""
    assert parsed([chosen("mood", "mad"), *reversed(ALL)]) == parsed([*ALL, chosen("mood", "mad")])


def test_a_refused_question_leaves_its_label_open() -> None:
    """A refusal is neither present nor absent, whatever the others say."""
    answer = parsed([ALL[0], refusal("quality"), ALL[2]], threshold=0.0)
    assert answer.refused == {"quality"}
    assert answer.labels == {"shipping", 'Größe "XL", [1]'}
    assert "quality" not in answer.probabilities


def test_refusing_every_label_is_a_refusal() -> None:
    """No label answered is a refusal as a whole, unless a field was answered."""
    refused = [refusal(name) for name in SPACE.names]
    assert failure(refused) == (FailureKind.REFUSAL, "every question was refused")
    answer = parsed([*refused, chosen("mood", "mad")])
    assert (answer.refused, answer.labels, answer.fields) == (frozenset(SPACE.names), frozenset(), {"mood": "mad"})


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (ALL[:2], 'no answer for Größe "XL", [1]'),
        ([ALL[2]], "no answer for shipping, quality"),
        ([], 'no answer for shipping, quality, Größe "XL", [1]'),
        ([*ALL[:2], chosen('Größe "XL", [1]', True)], 'no probability for Größe "XL", [1]'),
        ([*ALL[1:], predicate("shipping", 1.2)], "no probability for shipping"),
        ([*ALL[1:], predicate("shipping", True)], "no probability for shipping"),
        ([*ALL, ALL[0]], "two answers have the same name"),
        ([*ALL, {"type": "refusal"}], "it is not an array of answers with names"),
        ([*ALL, "x"], "it is not an array of answers with names"),
        ({"shipping": 0.9}, "it is not an array of answers with names"),
        ("shipping", "it is not the JSON of a decision API's answers"),
        ("[" * 100_000, "it is not the JSON of a decision API's answers"),
    ],
)
def test_what_is_not_answered_is_no_answer(answers: Any, why: str) -> None:
    """A label without an answer, or without a probability, makes the answer unreadable: it is not absent."""
    assert failure(answers) == (FailureKind.UNPARSEABLE, why)


def test_a_cut_text_is_truncated() -> None:
    """JSON that was cut is told as such; a whole answer counts although the text was cut behind it."""
    assert failure(json.dumps(ALL)[:-3], cut=True)[0] is FailureKind.TRUNCATED
    assert parsed(ALL, cut=True).labels == {"shipping"}


def test_a_question_that_nobody_asked_is_off_list() -> None:
    """An answer under a name that is neither label nor field is reported, and counts for nothing."""
    assert parsed([*ALL, predicate("price", 1.0), chosen("item", "x")]).off_list == ("price",)


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (chosen("mood", "mad"), {"mood": "mad"}),
        (chosen("mood", "angry"), {}),
        (chosen("mood", True), {}),
        (refusal("mood"), {}),
        (chosen("vip", True), {"vip": True}),
        (chosen("vip", False), {"vip": False}),
        (chosen("vip", "true"), {"vip": True}),
        (chosen("vip", "false"), {"vip": False}),
        (chosen("vip", "maybe"), {}),
        (chosen("vip", 1), {}),
    ],
)
def test_a_field_is_what_was_chosen(answer: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """A field has the chosen value; what it cannot be, and a refusal, leave it unanswered."""
    assert parsed([*ALL, answer]).fields == fields


def test_a_field_that_is_not_asked_for_does_not_count() -> None:
    """Fields of the answer that the output does not name are left out."""
    output = Output("decisions", {}, ("vip",))
    assert DECISIONS.parse(json.dumps([*ALL, chosen("mood", "mad")]), SPACE, output, False).fields == {}


def test_only_the_labels_of_the_space_are_needed() -> None:
    """A request that was split answers for its own labels, and is read with them alone."""
    answer = DECISIONS.parse(json.dumps(ALL[:1]), SPACE.only(["shipping"]), Output("decisions"), False)
    assert answer.probabilities == {"shipping": 0.9}


@pytest.mark.parametrize(
    ("value", "is_one"),
    [(0, True), (1, True), (1.0000001, True), (-0.0000001, True), (1.01, False), (10**400, False), (None, False)],
)
def test_a_probability_is_a_number_in_its_range(value: Any, is_one: bool) -> None:
    """Rounding may leave a number a hair outside of [0, 1]; it is stored inside."""
    assert is_probability(value) is is_one
    if is_one:
        assert 0 <= parsed([predicate("shipping", value), *ALL[1:]]).probabilities["shipping"] <= 1


def test_problems_are_fields_that_no_choice_can_hold() -> None:
    """A text cannot be chosen, and a choice has at most 255 values."""
    many = Field("shade", "choice", tuple(f"v{number}" for number in range(MOST_CHOICES + 1)))
    space = LabelSpace(SPACE.labels, (*SPACE.fields, many))
    assert DECISIONS.check(Output("decisions", {}, ("mood", "vip", "item", "shade")), space) == [
        "field 'item' is a text: a decision API can choose, not extract. Ask for it in another pass.",
        "field 'shade' has 256 values: a decision API chooses among 255 at most. Ask for it in another pass.",
    ]
    assert DECISIONS.check(Output("decisions", {}, FIELDS), SPACE) == []
    assert DECISIONS.check(Output("decisions", {"separator": ";"}), SPACE) == [
        "format decisions has no option 'separator'. It has none."
    ]


def test_rendering_writes_a_sure_answer() -> None:
    """Labels have 1, the others 0; fields that are not given are left out."""
    text = DECISIONS.render(
        {"quality"}, {"mood": "mad", "vip": None}, SPACE.only(["shipping", "quality"]), Output(fields=FIELDS)
    )
    assert json.loads(text) == [predicate("shipping", 0.0), predicate("quality", 1.0), chosen("mood", "mad")]


names = st.text(min_size=1, max_size=12)


@given(st.data(), st.lists(names, min_size=1, max_size=6, unique=True), st.floats(0.001, 1))
def test_what_is_rendered_is_read_again(data: st.DataObject, spellings: list[str], threshold: float) -> None:
    """The reading of a rendered answer is the answer, whatever the labels are called and wherever the threshold is."""
    space = LabelSpace(
        tuple(Label(name) for name in spellings), (Field("f 1", "choice", ("a", "b")), Field("f 2", "bool"))
    )
    labels = data.draw(st.frozensets(st.sampled_from(spellings)))
    fields: dict[str, Any] = data.draw(
        st.fixed_dictionaries({}, optional={"f 1": st.sampled_from("ab"), "f 2": st.booleans()})
    )
    output = Output("decisions", {}, ("f 1", "f 2"), threshold=threshold)
    text = DECISIONS.render(labels, fields, space, output)
    answer = read(Completion("ok", text), space, output)
    assert isinstance(answer, Answer)
    assert (answer.labels, dict(answer.fields), answer.refused) == (labels, fields, frozenset())


fragments = st.sampled_from([json.dumps(each) for each in (*ALL, refusal("quality"), chosen("mood", "x"), {}, 1)])
texts = st.text() | st.lists(fragments | st.sampled_from(["[", "]", ",", "NaN"])).map("".join)
arrays = st.lists(fragments).map(lambda parts: f"[{','.join(parts)}]")


@given(texts | arrays, st.booleans())
def test_no_text_raises_anything_but_a_parse_failure(text: str, cut: bool) -> None:
    """Any text is an answer with every label of the space accounted for, or a failure that says why."""
    try:
        answer = parsed(text, cut)
    except ParseFailure:
        return
    assert answer.probabilities.keys() | answer.refused == set(SPACE.names)
    assert answer.labels <= answer.probabilities.keys()
