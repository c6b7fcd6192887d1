"""JSON schemas of answers, for servers that write nothing else.

Only what strict modes know is used: every key required, nothing beside them, ``enum``, several types, ``maxItems``. That no
label is named twice (``uniqueItems``) is left out, because strict modes refuse it; naming one twice does no harm.
"""

from __future__ import annotations

from typing import Any

from harness.labelspace import Field, LabelSpace
from harness.parsing.formats import Output


def json_schema(space: LabelSpace, output: Output) -> dict[str, Any]:
    """Return the schema of an answer in the format `json`: the labels under their key, then the fields."""
    from harness.parsing.json import OPTIONS  # it names this function where it says what the format is

    properties: dict[str, Any] = {
        output.options.get("labels_key", OPTIONS["labels_key"]): {
            "type": "array",
            "items": {"type": "string", "enum": list(space.names)},
            # Without it a small model can name labels until its tokens are used up.
            "maxItems": len(space),
        }
    }
    for name in output.fields:
        field = space.field(name)
        if field is not None:
            properties[name] = field_schema(field)
    return closed(properties)


def field_schema(field: Field) -> dict[str, Any]:
    """Return the schema of a field's value: one of its choices, a bool or a text; null says that there is nothing."""
    if field.type == "choice":
        return {"type": ["string", "null"], "enum": [*field.values, None]}
    return {"type": ["boolean" if field.type == "bool" else "string", "null"]}


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
