"""Grammars: what a perfect model writes keeps to them, and whatever keeps to them can be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from gbnf import accepts, pattern_of
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried

from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.parsing.constraints import forms
from harness.parsing.grammars import (
    MOST_CHARACTERS,
    codes_grammar,
    containers_grammar,
    json_grammar,
    list_grammar,
    literal,
    none_of,
    one_of,
    several,
    vector_grammar,
)
from harness.records import Answer, Completion, FieldValue

# --- label spaces -----------------------------------------------------------------------------------------------------

FIELDS = (Field("mood", "choice", ("happy", 'mad "as" hell')), Field("item", "text"), Field("urgent", "bool"))

NAMES = st.text(st.sampled_from("abc xyz,;:-\"'[]{}\\^|/()éß価格.é"), min_size=1, max_size=12)

PLAIN = space_of("shipping", "quality", "price")
AWKWARD = LabelSpace(
    (
        Label("price"),
        Label("price match"),
        Label("late, lost", aliases=("gone, for good",)),
        Label('a "b" [c] \\ {d}'),
        Label("価格・配送"),
        Label("not - this^"),
    ),
    FIELDS,
)


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    """Label spaces with names of all kinds."""
    names = draw(st.lists(NAMES.map(str.strip).filter(bool), min_size=1, max_size=4, unique_by=str.casefold))
    return LabelSpace(tuple(Label(name) for name in names), FIELDS)


def sound(space: LabelSpace, output: Output) -> bool:
    """Whether `harness check` lets the label space pass."""
    spellings = [one for label in space for one in (label.name, *label.aliases)]
    return len(space.spellings) == len(spellings) and not FORMATS[output.format].check(output, space)


def some_of(names: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """Any of the names."""
    return st.lists(st.sampled_from(names), unique=True)


def readable(text: str, space: LabelSpace, output: Output) -> Answer:
    """What a whole text answers; it must, with nothing that is off the list."""
    result = read(Completion("ok", raw=text, finish_reason="stop"), space, output)
    assert isinstance(result, Answer), f"{text!r}: {result}"
    assert result.off_list == ()
    assert not result.repaired
    return result


def grammar_of(space: LabelSpace, output: Output) -> str:
    """The grammar of a format."""
    (found,) = (each.grammar for each in forms(FORMATS[output.format], output, space) if each.form == "grammar")
    assert found is not None
    return found


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_a_literal_escapes_what_ends_it() -> None:
    """Quotes, backslashes and line ends are escaped, every other character stands for itself."""
    assert literal('a "b"\\\n\t価') == '"a \\"b\\"\\\\\\n\\t価"'
    assert accepts(f"root ::= {literal('[^x]-価')}\n", "[^x]-価")


def test_alternatives_are_named_once() -> None:
    """Equal texts are one alternative, and a single one needs no brackets."""
    assert one_of(["a", "b", "a"]) == '("a" | "b")'
    assert one_of(["a"]) == '"a"'


@given(st.text(min_size=1, max_size=5), st.characters(exclude_categories=["Cs", "Cc"]))
def test_a_class_leaves_out_exactly_its_characters(excluded: str, character: str) -> None:
    """All characters but those that are named, and control characters, are in the class."""
    assert accepts(f"root ::= {none_of(excluded)}\n", character) == (character not in excluded)
    assert not accepts(f"root ::= {none_of(excluded)}\n", "\n")


@pytest.mark.parametrize(("most", "texts"), [(1, ["a"]), (3, ["a", "a,a", "a,a,a"])])
def test_several_are_bounded(most: int, texts: list[str]) -> None:
    """From one item to the most, and never more."""
    grammar = f"root ::= {several(literal('a'), literal(','), most)}\n"
    assert [text for text in ["", "a", "a,a", "a,a,a", "a,a,a,a", "a,"] if accepts(grammar, text)] == texts


# --- list -------------------------------------------------------------------------------------------------------------


def test_the_grammar_of_a_list() -> None:
    """The none word, or at most as many labels as there are, in any order."""
    assert list_grammar(PLAIN, Output()) == (
        'root ::= "none" | item (", " item){0,2}\nitem ::= ("shipping" | "quality" | "price")\n'
    )


@pytest.mark.parametrize("text", ["none", "price", "price, shipping", "price, price, price"])
def test_a_list_may_say(text: str) -> None:
    """Labels in any order, also twice."""
    assert accepts(list_grammar(PLAIN, Output()), text)


@pytest.mark.parametrize(
    "text", ["", "None", "prices", "price,", "none, price", "price quality", " price", "price, price, price, price"]
)
def test_a_list_may_not_say(text: str) -> None:
    """Nothing that is no label, no label beside none, and no more labels than there are."""
    assert not accepts(list_grammar(PLAIN, Output()), text)


def test_the_options_of_a_list_are_in_its_grammar() -> None:
    """Separator and none word are those of the output."""
    grammar = list_grammar(PLAIN, Output(options={"separator": "\n", "none": "n/a"}))
    assert accepts(grammar, "price\nquality")
    assert accepts(grammar, "n/a")
    assert not accepts(grammar, "none")


@unhurried
@given(spaces(), st.sampled_from([",", ";", "|", "\n", " / "]), st.data())
def test_a_rendered_list_keeps_to_its_grammar(space: LabelSpace, separator: str, data: st.DataObject) -> None:
    """Whatever labels a perfect model writes, the grammar lets it."""
    output = Output(options={"separator": separator})
    assume(sound(space, output))
    labels = data.draw(some_of(space.names))
    text = FORMATS["list"].render(labels, {}, space, output)
    assert accepts(list_grammar(space, output), text)


def test_an_awkward_list_keeps_to_its_grammar() -> None:
    """Names with separators, quotes, brackets and one another inside are written as they can be read."""
    output = Output()
    assert sound(AWKWARD, output)
    grammar = list_grammar(AWKWARD, output)
    for first in AWKWARD.names:
        for second in AWKWARD.names:
            assert accepts(grammar, FORMATS["list"].render({first, second}, {}, AWKWARD, output))


# --- json -------------------------------------------------------------------------------------------------------------


def test_the_grammar_of_json() -> None:
    """An object with the labels first and the fields behind them, with white space between as models write it."""
    grammar = json_grammar(AWKWARD, Output("json", {"labels_key": "tags"}, ("mood", "item", "urgent")))
    whole = '{"tags": ["price"], "mood": "happy", "item": "a lamp", "urgent": false}'
    assert accepts(grammar, whole)
    assert accepts(
        grammar, whole.replace(", ", ",\n  ").replace("{", "{\n").replace("}", "\n}").replace(" false", "true")
    )
    assert accepts(grammar, whole.replace('"a lamp"', "null").replace('["price"]', "[]"))
    for wrong in (
        whole.replace("tags", "labels"),
        whole.replace("price", "prices"),
        whole.replace("happy", "sad"),
        whole.replace(', "urgent": false', ""),
        whole + "\n",
        "[]",
    ):
        assert not accepts(grammar, wrong)


def test_a_text_is_bounded() -> None:
    """A text ends after so many characters, so that a model that repeats itself comes to an end."""
    grammar = json_grammar(AWKWARD, Output("json", fields=("item",)))
    assert accepts(grammar, '{"labels":[],"item":"' + "x" * MOST_CHARACTERS + '"}')
    assert not accepts(grammar, '{"labels":[],"item":"' + "x" * (MOST_CHARACTERS + 1) + '"}')


VALUES: Mapping[str, st.SearchStrategy[FieldValue]] = {
    "mood": st.sampled_from((*FIELDS[0].values, None)),
    "item": st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=20),
    "urgent": st.sampled_from((True, False, None)),
}


@unhurried
@given(spaces(), st.lists(st.sampled_from(list(VALUES)), unique=True), st.data())
def test_a_rendered_object_keeps_to_its_grammar(space: LabelSpace, names: list[str], data: st.DataObject) -> None:
    """Whatever labels and fields a perfect model writes, the grammar lets it; DEL alone it keeps out, as llama.cpp does."""
    output = Output("json", fields=tuple(names))
    assume(sound(space, output))
    fields = {name: data.draw(VALUES[name]) for name in names}
    text = FORMATS["json"].render(data.draw(some_of(space.names)), fields, space, output)
    assert accepts(json_grammar(space, output), text)


# --- vector -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ", ", "", "\n"])
def test_a_vector_has_a_place_for_each_label(separator: str) -> None:
    """Exactly as many values as there are labels."""
    grammar = vector_grammar(PLAIN, Output("vector", {"separator": separator}))
    for length in range(6):
        for value in "01":
            assert accepts(grammar, separator.join(value * length)) == (length == 3)
    assert not accepts(grammar, separator.join("012"))


def test_a_vector_of_one_label_has_no_separator() -> None:
    """One value is the whole answer."""
    assert vector_grammar(space_of("a"), Output("vector")) == "root ::= [01]\n"


# --- codes ------------------------------------------------------------------------------------------------------------

CODED = LabelSpace((Label("shipping", code="s"), Label("quality", code="q"), Label("price", code="p")))
SETS = {"codes": {"a": ["shipping"], "b": ["shipping", "quality"], "c": "price", "d": ["quality"], "0": []}}


@pytest.mark.parametrize(
    ("options", "said", "unsaid"),
    [
        ({}, ["none", "s", "p,s", "s,q,p"], ["", "x", "S", "s,", "none,s", "s,q,p,s", "sq"]),
        (SETS, ["0", "b", "a,c", "d,c,a"], ["none", "0,a", "a,b,c,d"]),
        ({"separator": ""}, ["none", "s", "sp", "sqp", "qp"], ["", "ps", "ss", "s,p"]),
        ({"codes": {"0": []}}, ["0"], ["none", "s"]),
    ],
)
def test_codes_are_written_as_they_are_told(options: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    """The codes that there are, bounded by the labels, and the code of the empty set alone."""
    grammar = codes_grammar(CODED, Output("codes", options))
    assert [text for text in said + unsaid if accepts(grammar, text)] == said


# --- containers -------------------------------------------------------------------------------------------------------


def test_the_grammar_of_containers() -> None:
    """Each container on its line: its prefix, what it can hold, its suffix."""
    space = LabelSpace(PLAIN.labels, FIELDS)
    options = {"containers": {"labels": {"prefix": "LABELS: <<", "suffix": ">>", "delimiter": ";"}}}
    grammar = containers_grammar(space, Output("containers", options, ("mood", "item", "urgent")))
    whole = "LABELS: <<price; quality>>\n<mood>happy</mood>\n<item>a lamp</item>\n<urgent>true</urgent>"
    assert accepts(grammar, whole)
    assert accepts(grammar, whole.replace("price; quality", "none").replace("a lamp", "").replace("happy", ""))
    for wrong in (
        whole.replace(";", ","),
        whole.replace("happy", "sad"),
        whole.replace("lamp", "lamp</item>"),
        whole.replace("lamp", "x" * MOST_CHARACTERS),
        whole.replace("\n", ""),
        whole + "\n",
        whole.replace("price; quality", ""),
    ):
        assert not accepts(grammar, wrong)


def test_a_last_container_that_ends_with_its_line_needs_no_line_break() -> None:
    """A line break as a suffix is that of the line."""
    options = {"containers": {"labels": {"prefix": "LABELS: ", "suffix": "\n"}}}
    assert accepts(containers_grammar(PLAIN, Output("containers", options)), "LABELS: price, shipping")


# --- what is rendered keeps to the grammar ----------------------------------------------------------------------------

GROUPED = LabelSpace((Label("a", group="one"), Label("b, c", group="one"), Label("d", group="two")), FIELDS)
LINES = {"labels": {"prefix": "LABELS: ", "suffix": "\n"}, "item": {"prefix": "ITEM: ", "suffix": "\n"}}

RENDERED: Mapping[str, tuple[LabelSpace, Output]] = {
    "vector": (PLAIN, Output("vector")),
    "codes": (CODED, Output("codes")),
    "sets": (CODED, Output("codes", SETS)),
    "joined": (CODED, Output("codes", {"separator": ""})),
    "containers": (AWKWARD, Output("containers", fields=("mood", "urgent"))),
    "groups": (GROUPED, Output("containers", {"containers": {"one": {}, "two": {}}}, ("item",))),
    "lines": (LabelSpace(PLAIN.labels, FIELDS), Output("containers", {"containers": LINES}, ("item", "mood"))),
    "yes_no": (space_of("price"), Output("yes_no")),
    "scores": (PLAIN, Output("scores")),
    "tenths": (AWKWARD, Output("scores", {"scale": "0-10"})),
    "percent": (space_of("価格", "b c"), Output("scores", {"scale": "percent"})),
    "ja_nein": (space_of("price"), Output("yes_no", {"yes": "Ja", "no": "Nein"})),
}


@unhurried
@pytest.mark.parametrize("which", RENDERED)
@given(data=st.data())
def test_what_is_rendered_keeps_to_the_grammar(which: str, data: st.DataObject) -> None:
    """Whatever a perfect model writes, the grammar lets it; texts are of one line, without the signs of containers."""
    space, output = RENDERED[which]
    assert FORMATS[output.format].check(output, space) == []
    fields = {name: data.draw(VALUES[name]) for name in output.fields}
    if isinstance(fields.get("item"), str):
        fields["item"] = " ".join(re.sub(r"[<\x00-\x1f\x7f]", "", str(fields["item"])).split(" ")).strip()
    text = FORMATS[output.format].render(data.draw(some_of(space.names)), fields, space, output)
    assert accepts(grammar_of(space, output), text)


# --- what the grammar lets through can be read ------------------------------------------------------------------------

ALL = ("mood", "item", "urgent")

OUTPUTS: Mapping[str, tuple[LabelSpace, Output]] = {
    **RENDERED,
    "list": (PLAIN, Output()),
    "awkward list": (AWKWARD, Output()),
    "list of lines": (AWKWARD, Output(options={"separator": "\n", "none": "nothing"})),
    "json": (AWKWARD, Output("json")),
    "json with fields": (AWKWARD, Output("json", fields=ALL)),
    "containers with a text": (AWKWARD, Output("containers", fields=ALL)),
}


@unhurried
@pytest.mark.parametrize("which", OUTPUTS)
@given(data=st.data())
def test_what_keeps_to_the_grammar_can_be_read(which: str, data: st.DataObject) -> None:
    """A constrained answer is never unparseable, and never names what is off the list."""
    space, output = OUTPUTS[which]
    answer = readable(data.draw(st.from_regex(pattern_of(grammar_of(space, output)), fullmatch=True)), space, output)
    assert set(answer.fields) == set(output.fields)
