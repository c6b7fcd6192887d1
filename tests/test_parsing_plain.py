"""Answers that are nothing but names or codes are read sooner, and just as any other answer is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Label, LabelSpace
from harness.parsing import Output, codes
from harness.parsing import list as lists
from harness.records import Answer, ParseFailure

WORDS = (
    "late",
    "box",
    "is",
    "are",
    "and",
    "none",
    "no",
    "not",
    "label",
    "topic",
    "answer",
    "a",
    "1",
    "Ü",
    "x-y",
    "no.",
)
names = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join) | st.sampled_from(["late, box", "a,no"])
aliases = st.sampled_from([(), (), ("box, late",), ("late and box",)])
spaces = st.tuples(st.lists(names, min_size=1, max_size=5, unique_by=str.casefold), aliases).map(
    lambda drawn: LabelSpace((Label(drawn[0][0], aliases=drawn[1]), *(Label(name) for name in drawn[0][1:])))
)
CODED = LabelSpace(tuple(Label(name, code=code) for name, code in zip(("late", "box", "dear"), "abN", strict=True)))
TABLES: tuple[dict[str, Any], ...] = (
    {},
    {"none": "0"},
    {"none": "x"},
    {"codes": {"a": ["late"], "A": ["box"], "b": ["late", "dear"], "0": []}},
)


def said(read: Any, *given: Any) -> Any:
    """Return what is read, or why nothing is."""
    try:
        return read(*given)
    except ParseFailure as failure:
        return failure.kind, failure.why, failure.off_list


@unhurried
@given(st.data(), spaces, st.booleans(), st.sampled_from([",", ";"]))
def test_a_list_of_names_is_read_like_any_other(
    data: st.DataObject, space: LabelSpace, cut: bool, separator: str
) -> None:
    """Whatever the labels are called: the short way gives what the long way gives, and is not taken where it would not."""
    pieces = data.draw(st.lists(st.sampled_from([*space.names, "none", "bananas", ""]), max_size=4))
    text = data.draw(st.sampled_from([", ", ",", "; ", " "])).join(pieces)
    output = Output("list", {"separator": separator})
    reader = lists._Lists(space, output)
    short = said(reader.read, text, cut)
    reader._tame = frozenset()
    assert short == said(reader.read, text, cut)


@unhurried
@given(
    st.lists(st.sampled_from("abABnN0x"), max_size=4), st.sampled_from([",", ", ", "", ", ,"]), st.sampled_from(TABLES)
)
def test_codes_alone_are_read_like_any_others(said_codes: list[str], joint: str, options: dict[str, Any]) -> None:
    """Whatever the codes stand for, a code for no label and the none word among them."""
    text, output = joint.join(said_codes), Output("codes", options)
    whole = said(codes.parse, text, CODED, output, False)
    # A line end behind the codes changes nothing but the way in which they are read.
    assert whole == said(codes.parse, f"{text}\n", CODED, output, False)


@pytest.mark.parametrize("text", ["theme 1", "theme 1, theme 2", "theme 2, theme 1, theme 2"])
def test_names_alone_need_no_reader(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A usual answer is looked up, name by name."""
    monkeypatch.setattr(lists, "Sheet", None)
    space = LabelSpace((Label("theme 1"), Label("theme 2")))
    assert lists.parse(text, space, Output("list"), False) == Answer(frozenset(text.split(", ")))


@pytest.mark.parametrize("text", ["a", "a,b", "b, a, b"])
def test_codes_alone_need_no_reader(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A usual answer is looked up, code by code."""
    monkeypatch.setattr(codes, "CodeReader", None)
    names_of = {"a": "late", "b": "box"}
    expected = Answer(frozenset(names_of[code] for code in text.split(", " if ", " in text else ",")))
    assert codes.parse(text, CODED, Output("codes"), False) == expected
