"""JSON schemas: strict, of the labels that there are, and kept to by what a perfect model writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of

from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.parsing.schemas import field_schema, json_schema
from harness.records import FieldValue

MOOD = Field("mood", "choice", ("happy", "mad"))
ITEM = Field("item", "text")
URGENT = Field("urgent", "bool")
SPACE = LabelSpace((Label("late, lost"), Label('a "b"'), Label("価格")), (MOOD, ITEM, URGENT))

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def keeps_to(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value keeps to a schema, as far as schemas are used here; an unknown word in one is an error."""
    assert schema.keys() <= {"type", "enum", "items", "maxItems", "properties", "required", "additionalProperties"}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, _TYPES[each]) for each in types) or value not in schema.get("enum", [value]):
        return False
    if isinstance(value, list):
        return len(value) <= schema["maxItems"] and all(keeps_to(each, schema["items"]) for each in value)
    if isinstance(value, dict):
        known: Mapping[str, Any] = schema["properties"]
        assert schema["additionalProperties"] is False
        return value.keys() == known.keys() == set(schema["required"]) and all(
            keeps_to(each, known[name]) for name, each in value.items()
        )
    return True


def test_the_schema_of_labels() -> None:
    """Labels alone: an object with one list of them, no longer than there are labels, and nothing beside it."""
    assert json_schema(space_of("a", "b"), Output("json")) == {
        "type": "object",
        "properties": {
            "labels": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "maxItems": 2},
        },
        "required": ["labels"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        (MOOD, {"type": ["string", "null"], "enum": ["happy", "mad", None]}),
        (ITEM, {"type": ["string", "null"]}),
        (URGENT, {"type": ["boolean", "null"]}),
    ],
)
def test_the_schema_of_a_field(field: Field, schema: dict[str, Any]) -> None:
    """A choice is one of its values, a text any, a bool true or false; each of them may say that there is nothing."""
    assert field_schema(field) == schema


def test_every_field_that_is_asked_for_is_required() -> None:
    """Strict schemas know no optional keys: all are required, in the order in which they are written."""
    schema = json_schema(SPACE, Output("json", {"labels_key": "tags"}, ("urgent", "mood")))
    assert list(schema["properties"]) == schema["required"] == ["tags", "urgent", "mood"]


VALUES: Mapping[str, st.SearchStrategy[FieldValue]] = {
    "mood": st.sampled_from((*MOOD.values, None)),
    "item": st.none() | st.text(max_size=20),
    "urgent": st.sampled_from((True, False, None)),
}


@given(st.sets(st.sampled_from(SPACE.names)), st.lists(st.sampled_from(list(VALUES)), unique=True), st.data())
def test_a_rendered_object_keeps_to_its_schema(labels: set[str], names: list[str], data: st.DataObject) -> None:
    """Whatever labels and fields a perfect model writes, the schema lets it."""
    output = Output("json", fields=tuple(names))
    fields = {name: data.draw(VALUES[name]) for name in names}
    value = json.loads(FORMATS["json"].render(labels, fields, SPACE, output))
    assert keeps_to(value, json_schema(SPACE, output))


@pytest.mark.parametrize(
    "value",
    [
        {"labels": ["other"]},
        {"labels": "価格"},
        {"labels": ["価格"] * 4},
        {"labels": [], "mood": "happy"},
        {},
        ["価格"],
    ],
)
def test_nothing_else_keeps_to_it(value: Any) -> None:
    """No other label, no other key, no missing one, and no endless list."""
    assert not keeps_to(value, json_schema(SPACE, Output("json")))
