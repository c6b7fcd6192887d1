"""Every parser against texts that nobody would write: `make fuzz` tries ten thousand of them on each."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.records import Answer, Completion, FailureKind, ParseFailure

FIELDS = (
    Field("mood", "choice", values=("happy", "mad", "mixed")),
    Field("item", "text"),
    Field("urgent", "bool"),
)
PLAIN = LabelSpace(
    (
        Label("shipping", aliases=("delivery",), code="s"),
        Label("price", code="p"),
        Label("price match", code="m"),
        Label("build quality", code="q"),
    ),
    FIELDS,
)
NASTY = LabelSpace(
    (
        Label('say "hi"', code="a"),
        Label("a, b", code="b"),
        Label("[draft]", code="c"),
        Label("10", code="d"),
        Label("доставка", code="e"),
        Label("配送", code="f"),
        Label("it's late", code="g"),
        Label("not shipping", code="h"),
        Label("R&D: cost (net)", code="i"),
        Label("<item>", code="j"),
    ),
    FIELDS,
)
GROUPED = LabelSpace(
    tuple(replace(label, group="parcel" if label.name == "shipping" else "offer") for label in PLAIN.labels), FIELDS
)
ONE = LabelSpace((Label("shipping", code="s"),), FIELDS)
CODES = {"a": ["shipping"], "b": ["price", "build quality"], "c": ["price match"], "0": []}
MARKED = {
    "parcel": {"prefix": "PARCEL: <<", "suffix": ">>", "delimiter": ";"},
    "offer": {"prefix": "Offer:", "suffix": "\n"},
    "item": {"prefix": "Item =", "suffix": "\n"},
}

OUTPUTS: Mapping[str, tuple[Output, LabelSpace]] = {
    **{name: (Output(name), PLAIN) for name, each in FORMATS.items() if not each.one_label},
    **{name: (Output(name), ONE) for name, each in FORMATS.items() if each.one_label},
    "list, searched": (Output("list", {"search": True}), PLAIN),
    "list, nasty names": (Output("list", {"separator": ";"}), NASTY),
    "json with fields": (Output("json", fields=("mood", "item", "urgent")), PLAIN),
    "json, nasty names": (Output("json", fields=("item",)), NASTY),
    "containers with fields": (Output("containers", fields=("mood", "item", "urgent")), PLAIN),
    "containers of groups": (Output("containers", {"containers": {"parcel": None, "offer": None}}), GROUPED),
    "containers, marked": (Output("containers", {"containers": MARKED, "none": "nil"}, ("mood", "item")), GROUPED),
    "codes of combinations": (Output("codes", {"codes": CODES}), PLAIN),
    "codes, none is 0": (Output("codes", {"none": "0", "separator": ""}), PLAIN),
    "codes, nasty names": (Output("codes"), NASTY),
    "vector, nasty names": (Output("vector"), NASTY),
    "vector, semicolons": (Output("vector", {"separator": ";"}), PLAIN),
    "scores, some missing": (Output("scores", {"missing": "zero"}), NASTY),
    "scores in percent": (Output("scores", {"scale": "percent"}), PLAIN),
    "decisions with fields": (Output("decisions", fields=("mood", "urgent")), PLAIN),
}
"""By what it is about, an output and the label space that it is read with."""

PIECES = (
    [name for space in (PLAIN, NASTY) for name in space.names]
    + ["delivery", "colour", "none", "None of the above", "yes", "no", "not", "true", "false", "happy", "mad", "lamp"]
    + ["0", "1", "0.5", "90%", "8/10", "1,0", "1010", "s", "p", "a", "b", "-1", "NaN", "1e999"]
    + [", ", "; ", "\n", "\n\n", ": ", " - ", "|", "\t", "- ", "* ", "1. ", "(", ")", "[", "]", "{", "}", '"', "'"]
    + ["```", "```json\n", "**", "<", ">", "</", "<labels>", "</labels>", "<item>", "</item>", "<mood>", "</mood>"]
    + ["<think>", "</think>", "<answer>", "</answer>", "Answer: ", "Final answer:", "Labels:", "Explanation:", "✓", "✗"]
    + [
        "labels",
        '"labels": ',
        '"mood": ',
        "<parcel>",
        "</parcel>",
        "PARCEL: <<",
        ">>",
        "Offer:",
        "Item =",
        "nil",
        ":",
        ",",
        "\\",
        "\x00",
        "\u200b",
        "\ud800",
        "🚚",
        "null",
        "I'm sorry, but",
    ]
)

TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=10).map(" ".join),
)


def json_values() -> st.SearchStrategy[str]:
    """Return JSON texts, sound or with a hole in them."""
    leaves = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.sampled_from(PIECES))
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(PIECES), inner, max_size=4),
        max_leaves=8,
    )
    whole = values.map(json.dumps)
    return st.one_of(whole, st.tuples(whole, st.integers(0, 40)).map(lambda pair: pair[0][: -pair[1] or None]))


@pytest.mark.parametrize("about", OUTPUTS)
@given(text=st.one_of(TEXTS, json_values()), cut=st.booleans())
@unhurried
def test_any_text_is_an_answer_or_a_failure(about: str, text: str, cut: bool) -> None:
    """No text raises, and what is read can be stored: known labels, numbers that are probabilities, encodable words."""
    output, space = OUTPUTS[about]
    result = read(Completion("ok", text, "length" if cut else "stop"), space, output)
    for word in result.off_list:
        word.encode("utf-8")
    if isinstance(result, ParseFailure):
        assert result.kind is not FailureKind.CALL_ERROR
        result.why.encode("utf-8")
        return
    assert result.labels <= set(space.names)
    assert set(result.fields) <= set(output.fields)
    assert set(result.probabilities) <= set(space.names)
    assert all(0 <= value <= 1 and not math.isnan(value) for value in result.probabilities.values())
    json.dumps(dict(result.fields)).encode("utf-8")


def field_values(name: str) -> st.SearchStrategy[Any]:
    """Return values that a field can have as gold."""
    words = st.sampled_from(["lamp", "a blue lamp", "iPhone 12", "лампа", "O'Neill cap", "75% cotton shirt", "x-ray"])
    return {"mood": st.sampled_from(["happy", "mad", "mixed"]), "urgent": st.booleans()}.get(name, words)


@pytest.mark.parametrize("about", [about for about in OUTPUTS if not about.startswith("decisions")])
@given(data=st.data())
@unhurried
def test_what_a_perfect_model_writes_is_read_back(about: str, data: st.DataObject) -> None:
    """`parse(render(labels))` is labels, and fields come back with them, for every set that the format can write."""
    output, space = OUTPUTS[about]
    written = FORMATS[output.format]
    if written.check(output, space):
        return  # `harness check` refuses this label space
    labels = data.draw(st.frozensets(st.sampled_from(space.names)))
    fields = {name: data.draw(field_values(name)) for name in output.fields}
    try:
        text = written.render(labels, fields, space, output)
    except ValueError:
        return  # what the format cannot write is told when shots are read
    result = read(Completion("ok", text, "stop"), space, output)
    assert isinstance(result, Answer), (text, result)
    assert (result.labels, result.off_list, dict(result.fields)) == (labels, (), fields), text
