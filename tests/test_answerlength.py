"""Limits and stop sequences of formats: no answer that a format writes is cut, whatever the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried

from harness.answerlength import SLACK, longest_answers, most_tokens, stops, stops_of, with_limits
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.parsing.grammars import MOST_CHARACTERS, list_on_one_line
from harness.prompt import Model, Pass
from harness.records import Answer, Completion, FieldValue

FIELDS = (Field("mood", "choice", ("happy", 'mad "as" hell')), Field("item", "text"), Field("urgent", "bool"))
NAMES = st.text(st.sampled_from("abc xyz,;:-\"'[]{}\\^|/()éß価格.é"), min_size=1, max_size=12)
SPACE = space_of("shipping", "quality", "price")
GROUPED = LabelSpace(
    (Label("shipping", group="goods"), Label("quality", group="goods"), Label("price", group="seller"))
)
WRITTEN = [name for name in FORMATS if name != "decisions"]
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "list": [{}, {"separator": "\n"}, {"separator": "|", "none": "nothing at all of it"}],
    "vector": [{}, {"separator": " "}, {"separator": ""}, {"separator": "\n"}],
    "codes": [{}, {"separator": ""}, {"separator": " "}],
    "json": [{}, {"labels_key": "what is wrong"}],
    "containers": [{}],
    "yes_no": [{}, {"yes": "it does apply", "no": "not at all"}],
    "scores": [{}, {"scale": "percent"}, {"scale": "0-10"}],
}


@st.composite
def spaces(draw: st.DrawFn, n_least: int = 1, n_most: int = 5) -> LabelSpace:
    """Label spaces with names, aliases and codes of all kinds."""
    names = draw(st.lists(NAMES.map(str.strip).filter(bool), min_size=n_least, max_size=n_most, unique_by=str.casefold))
    return LabelSpace(tuple(Label(name, code="abcde"[at]) for at, name in enumerate(names)), FIELDS)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Output, LabelSpace]:
    """An output, and a label space that `harness check` lets pass with it."""
    name = draw(st.sampled_from(WRITTEN))
    space = draw(spaces(n_most=1 if name == "yes_no" else 5))
    fields = draw(st.permutations([field.name for field in FIELDS])) if FORMATS[name].carries_fields else []
    output = Output(name, draw(st.sampled_from(OPTIONS[name])), tuple(fields[: draw(st.integers(0, 3))]))
    assume(len(space.spellings) == len(space) and not FORMATS[name].check(output, space))
    return output, space


def fields_of(draw: st.DataObject) -> dict[str, FieldValue]:
    """Values of all fields, a text among them that is as long as a text is taken to be."""
    text = st.text(st.sampled_from("abc xyz."), max_size=MOST_CHARACTERS)
    return {
        "mood": draw.draw(st.sampled_from([None, *FIELDS[0].values])),
        "item": draw.draw(st.none() | text | st.just("z" * MOST_CHARACTERS)),
        "urgent": draw.draw(st.sampled_from([None, True, False])),
    }


def rendered(labels: Sequence[str], fields: dict[str, FieldValue], space: LabelSpace, output: Output) -> str:
    """What a perfect model writes; assumes that the format has a form for it."""
    try:
        return FORMATS[output.format].render(labels, fields, space, output)
    except ValueError:
        assume(False)
        raise


def model(**params: Any) -> Model:
    """A model of some server."""
    return Model("m", params=params)


def asking(output: str | Output, **more: Any) -> Pass:
    """A pass that asks for both a limit and stop sequences."""
    said = Output(output) if isinstance(output, str) else output
    return Pass("main", (), **{"model": model(max_tokens="auto", stop="auto"), "output": said, **more})


# --- limits -----------------------------------------------------------------------------------------------------------


@unhurried
@given(asked(), st.data())
def test_no_answer_is_cut(given_: tuple[Output, LabelSpace], data: st.DataObject) -> None:
    """Whatever labels and fields an answer has: in any format it is shorter than the limit, by more than the slack."""
    output, space = given_
    labels = data.draw(st.lists(st.sampled_from(space.names), unique=True))
    text = rendered(labels, fields_of(data), space, output)
    (bytes_of,) = most_tokens([text])
    limit = max(most_tokens(longest_answers(output, space)))
    assert bytes_of <= limit


@pytest.mark.parametrize(
    ("output", "usual"),
    [
        (Output(), "1. Shipping\n2. **Quality**\n3. Price"),
        (Output(), "Labels: shipping, quality, price."),
        (Output("vector"), "shipping: 1\nquality: 1\nprice: 0"),
        (
            Output("json"),
            '```json\n{\n    "labels": [\n        "shipping",\n        "quality",\n        "price"\n    ]\n}\n```',
        ),
        (Output("json"), '{\n  "shipping": true,\n  "quality": false,\n  "price": false\n}'),
        (Output("scores"), '```json\n{\n    "shipping": 0.95,\n    "quality": 0.15,\n    "price": 0.05\n}\n```'),
        (Output("yes_no"), "The answer is yes."),
    ],
)
def test_what_models_like_to_write_fits_too(output: Output, usual: str) -> None:
    """The usual forms of an answer fit, by bytes, with the words around them."""
    space = space_of("price") if output.format == "yes_no" else SPACE
    assert isinstance(read(Completion("ok", usual), space, output), Answer)
    assert most_tokens([usual])[0] <= max(most_tokens(longest_answers(output, space))) + SLACK


@pytest.mark.parametrize("output", ["list", "json", "containers"])
def test_a_constrained_answer_may_repeat_itself(output: str) -> None:
    """A grammar lets a model name the longest label as often as there are labels: that fits too."""
    space = space_of(*"abcdefg", "not as described in the shop")
    said = Output(output, constrain="auto")
    repeated = ", ".join(['"not as described in the shop"'] * len(space))
    around = FORMATS[output].render((), {}, space, said)
    assert most_tokens([around + repeated])[0] <= max(most_tokens(longest_answers(said, space)))


def test_an_alias_fits_as_well_as_its_label() -> None:
    """The longest spelling of each label counts."""
    space = LabelSpace((Label("price", aliases=("cost",)), Label("refund", aliases=("wants all of the money back",))))
    texts = "".join(longest_answers(Output(), space))
    assert "wants all of the money back" in texts
    assert '1. "price"' in texts


def test_the_limit_is_a_number_of_tokens() -> None:
    """The most that an answer can have, counted with what is given, and the slack; nothing else changes."""
    told: list[Model] = []

    def forty(asked_model: Model) -> Any:
        told.append(asked_model)
        return lambda texts: [40, *(7 for _ in texts[1:])]

    each = asking("list", model=model(max_tokens="auto", temperature=0))
    limited = with_limits(each, SPACE, forty)
    assert told == [each.model]
    assert limited.model.params == {"max_tokens": 40 + SLACK, "temperature": 0}
    by_bytes = with_limits(each, SPACE).model.params["max_tokens"]
    assert by_bytes == max(most_tokens(longest_answers(Output(), SPACE))) + SLACK


def test_a_pass_that_asks_for_nothing_stays_as_it_is() -> None:
    """Numbers, texts and silence are left alone, and no tokens are counted for them."""

    def never(_: Model) -> Any:
        raise AssertionError

    for params in ({}, {"max_tokens": 24, "stop": ["\n"]}, {"max_completion_tokens": "auto"}):
        each = asking("list", model=model(**params))
        assert with_limits(each, SPACE, never) is each
    none = Pass("main", (), Model("m", "decisions", params={"max_tokens": "auto"}), Output("decisions"))
    assert with_limits(none, SPACE, never) is none


def test_the_longest_unit_decides() -> None:
    """A pass by label or group needs room for the longest of their answers, not for all."""
    whole, by_group = (
        with_limits(asking("list", per=per), GROUPED).model.params["max_tokens"] for per in ("sample", "group")
    )
    assert by_group < whole
    goods = GROUPED.only(["shipping", "quality"])
    assert by_group == max(most_tokens(longest_answers(Output(), goods))) + SLACK


# --- stop sequences ---------------------------------------------------------------------------------------------------


@unhurried
@given(asked(), st.data())
def test_no_stop_sequence_stands_in_an_answer(given_: tuple[Output, LabelSpace], data: st.DataObject) -> None:
    """What a format writes holds none of its stop sequences; so a server that stops there cuts nothing of it."""
    output, space = given_
    labels = data.draw(st.lists(st.sampled_from(space.names), unique=True))
    text = rendered(labels, fields_of(data), space, output)
    for stop in stops(output, space):
        assert stop not in text
        assert f"{text}{stop}Text: more".split(stop)[0] == text


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (Output("list"), ("\n",)),
        (Output("list", {"separator": "\n"}), ()),
        (Output("vector"), ("\n",)),
        (Output("vector", {"separator": "\n"}), ()),
        (Output("codes"), ("\n",)),
        (Output("yes_no"), ("\n",)),
        (Output("scores"), ("\n\n",)),
        (Output("json"), ()),
        (Output("containers"), ()),
    ],
)
def test_where_an_answer_ends(output: Output, expected: tuple[str, ...]) -> None:
    """One line ends with it, lines end with a blank one; what ends with a text of its own has no stop sequence."""
    assert stops(output, SPACE) == expected


def test_names_that_need_lines_have_no_stop_sequence() -> None:
    """Names that are only read on a line of their own are not cut at the first."""
    space = LabelSpace((Label("a, b"), Label('"c" - d')))
    assert not list_on_one_line(space, Output())
    assert stops(Output(), space) == ()


@pytest.mark.parametrize(("output", "left"), [("list", {"stop": ["\n"]}), ("json", {}), ("scores", {"stop": ["\n\n"]})])
def test_stop_sequences_become_texts(output: str, left: dict[str, Any]) -> None:
    """`stop: auto` is what the format has, and goes where it has none."""
    each = asking(output, model=model(stop="auto"))
    assert with_limits(each, SPACE).model.params == left


def test_what_is_asked_in_units_stops_where_all_of_them_do() -> None:
    """A stop sequence must hold for every unit."""
    assert stops_of([("\n",), ("\n", "#")]) == ("\n",)
    assert stops_of([("\n",), ()]) == ()
    assert stops_of([]) == ()
