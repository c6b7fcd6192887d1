"""The label space: order, spellings, groups, vectors, and the way to JSON and back."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Field, Label, LabelSpace, normalize

SPACE = LabelSpace(
    (
        Label("shipping", "Late or lost", ("late delivery",), "s", "delivery"),
        Label("Build_Quality"),
        Label("packaging", group="delivery"),
        Label("price", group="seller"),
    ),
    (Field("mood", "choice", ("happy", "mad")), Field("item", "text", match="exact", description="What was bought")),
)

labels = st.builds(
    Label,
    st.text(min_size=1),
    st.text(),
    st.lists(st.text(), max_size=3).map(tuple),
    st.none() | st.sampled_from("abc1"),
    st.none() | st.text(min_size=1),
)
fields = st.builds(
    Field,
    st.text(min_size=1),
    st.sampled_from(["choice", "text", "bool"]),
    st.lists(st.text(), max_size=3).map(tuple),
    st.sampled_from(["exact", "normalized"]),
    st.text(),
)
spaces = st.builds(
    LabelSpace,
    st.lists(labels, max_size=5).map(tuple),
    st.lists(fields, max_size=3).map(tuple),
    st.lists(st.lists(st.text(), max_size=3).map(tuple), max_size=2).map(tuple),
    st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
)


def test_label_and_field_print_as_their_names() -> None:
    """Templates may join labels and fields as if they were their names."""
    assert ", ".join(map(str, [*SPACE, *SPACE.fields])) == "shipping, Build_Quality, packaging, price, mood, item"


def test_the_order_of_the_labels_is_the_order_of_everything() -> None:
    """Names, positions and `ordered` follow the order in which the labels were given, never the alphabet."""
    assert SPACE.names == ("shipping", "Build_Quality", "packaging", "price")
    assert list(SPACE.index.items()) == [("shipping", 0), ("Build_Quality", 1), ("packaging", 2), ("price", 3)]
    assert SPACE.ordered({"price", "packaging", "shipping"}) == ["shipping", "packaging", "price"]
    assert len(SPACE) == 4


def test_groups_hold_their_labels_in_label_space_order() -> None:
    """Groups stand in order of their first label; a label without a group is in none."""
    assert dict(SPACE.groups) == {"delivery": ("shipping", "packaging"), "seller": ("price",)}


@pytest.mark.parametrize(
    "text",
    [
        "Build_Quality",
        "build quality",
        " BUILD-QUALITY ",
        "build\u2013quality",
        "build\n quality",
        "ｂｕｉｌｄ quality",
    ],
)
def test_a_label_is_found_in_every_spelling_but_for_case_and_joiners(text: str) -> None:
    """Case, width, and spaces, hyphens, dashes and underscores between words make no other label."""
    assert SPACE.find(text) == "Build_Quality"


def test_an_alias_names_its_label_and_nothing_else_does() -> None:
    """An alias finds its label; a part of a name, a description or a code does not."""
    assert SPACE.find("Late Delivery") == "shipping"
    assert [SPACE.find(text) for text in ("ship", "s", "Late or lost", "", "none")] == [None] * 5


def test_a_field_is_found_by_its_exact_name() -> None:
    """`field` returns the field of that name, or None."""
    assert SPACE.field("item") is SPACE.fields[1]
    assert SPACE.field("Item") is None


@unhurried
@given(st.text())
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    """The normal form is its own normal form, and has no joiner at either end or twice in a row."""
    form = normalize(text)
    assert normalize(form) == form
    assert form == form.strip()
    assert not {"  ", "_", "-", "\n"} & {form[at : at + width] for at in range(len(form)) for width in (1, 2)}


@unhurried
@given(st.text(st.characters(codec="utf-8")))
def test_composed_and_decomposed_texts_are_one_spelling(text: str) -> None:
    """How an editor composes its accents makes no other label."""
    assert normalize(unicodedata.normalize("NFD", text)) == normalize(unicodedata.normalize("NFC", text))


def test_vectors_have_a_column_for_each_label_in_order() -> None:
    """Row by row, a cell is true when the set holds the label of its column."""
    vectors = SPACE.vectors([{"price", "shipping"}, [], iter(["packaging"])])
    assert vectors.dtype == np.bool_
    assert vectors.tolist() == [[True, False, False, True], [False] * 4, [False, False, True, False]]
    assert SPACE.vectors([]).shape == (0, 4)


def test_a_name_that_is_no_label_is_no_vector() -> None:
    """A set that names something else is a mistake of the caller's, never a row without it."""
    with pytest.raises(KeyError):
        SPACE.vectors([{"shiping"}])


@unhurried
@given(st.permutations(SPACE.labels), st.lists(st.frozensets(st.sampled_from(SPACE.names)), max_size=4))
def test_vectors_follow_their_label_space(order: list[Label], sets: list[frozenset[str]]) -> None:
    """Another order of the labels permutes the columns and nothing else: a column is what its label says."""
    other = LabelSpace(tuple(order))
    ours, theirs = SPACE.vectors(sets), other.vectors(sets)
    for name in SPACE.names:
        assert ours[:, SPACE.index[name]].tolist() == theirs[:, other.index[name]].tolist()
    assert [frozenset(np.array(other.names)[row]) for row in theirs] == sets


@unhurried
@given(spaces)
def test_a_label_space_goes_to_json_and_back(space: LabelSpace) -> None:
    """`from_json` gives back what `to_json` gave, through JSON text, whatever the names are."""
    assert LabelSpace.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_a_label_space_that_was_written_without_rules_has_none() -> None:
    """Runs from before there were rules are read; and without rules nothing more is written than then."""
    written = SPACE.to_json()
    assert list(written) == ["labels", "fields"]
    space = LabelSpace.from_json(written)
    assert (space.exclusive, space.implies) == ((), ())


def test_a_part_of_a_label_space_keeps_no_rules() -> None:
    """Rules are about whole label sets; a pass that asks for some labels knows nothing of them."""
    ruled = replace(SPACE, exclusive=(("shipping", "price"),), implies=(("packaging", "price"),))
    part = ruled.only(["shipping", "price"])
    assert (part.exclusive, part.implies, part.fields) == ((), (), SPACE.fields)
    assert ruled.only(ruled.names) is ruled
