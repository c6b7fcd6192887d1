"""The format `json`: labels under a key, as a bare array or string, or as one boolean for each label; fields beside them.

Of several values in a text the last one that reads as an answer counts: models reason first. Broken JSON is mended and
marked so, but mending may neither invent nor lose: an empty array must really have been written, and every label that
stands there in quotes must be in what comes of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from harness.errors import listing
from harness.labelspace import NONE_WORD, LabelSpace, normalize
from harness.parsing.cleaning import answer_text
from harness.parsing.formats import Format, Output, none_problems, setting
from harness.parsing.grammars import json_grammar
from harness.parsing.jsonanswer import JsonReader
from harness.parsing.jsonscan import broken_off, find_brackets, values_of
from harness.parsing.schemas import json_schema
from harness.records import Answer, FailureKind, FieldValue, ParseFailure

OPTIONS: Mapping[str, Any] = {"labels_key": "labels", "none": NONE_WORD}

_FENCED = re.compile(r"\s*```\w*\n(.*?)(?:```|\Z)", re.DOTALL)


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels and fields that the JSON of a text says.

    Raises:
        ParseFailure: No JSON in it is an answer, its labels are no labels, or it was cut before its end.
    """
    body = answer_text(text, cut)
    reader = JsonReader(space, setting(output, OPTIONS, "labels_key"), setting(output, OPTIONS, "none"), output.fields)
    brackets = find_brackets(body)
    if cut and broken_off(body, brackets):
        raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before the JSON was complete")
    answers = (reader.read(value) for value in values_of(body, brackets, cut))
    answer = next((answer for answer in answers if answer), None)
    if answer is None and not brackets.spans and not brackets.unclosed:
        answer = _bare_string(body, reader, cut)
    if answer:
        return answer
    if cut:
        raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before an answer")
    off_list = tuple(reader.off_list)
    why = f"only off-list labels: {listing(off_list)}" if off_list else "no JSON in it is an answer"
    raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)


def _bare_string(body: str, reader: JsonReader, cut: bool) -> Answer | None:
    """Return the answer of a text that is one string, in quotes or (mended) without; None for any other text."""
    fenced = _FENCED.match(body)
    word = (fenced[1] if fenced else body).strip()
    try:
        value = json.loads(word)
    except (ValueError, RecursionError):
        # Without its closing quote a cut word may be the beginning of another.
        return None if cut else reader.read_string(word, repaired=True)
    return reader.read_string(value, repaired=False) if isinstance(value, str) else None


def render(labels: Collection[str], fields: Mapping[str, FieldValue], space: LabelSpace, output: Output) -> str:
    """Return an object with the labels in label-space order, then the fields that are asked for and given."""
    answer: dict[str, Any] = {setting(output, OPTIONS, "labels_key"): space.ordered(labels)}
    answer |= {name: fields[name] for name in output.fields if name in fields}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _problems(space: LabelSpace, output: Output) -> list[str]:
    found = none_problems(setting(output, OPTIONS, "none"), space)
    key = setting(output, OPTIONS, "labels_key")
    if not normalize(key):
        found.append(f"labels_key must be visible text, got {key!r}.")
    elif space.find(key):
        found.append(f"labels_key must be no label, but '{key}' names label '{space.find(key)}'.")
    found += [
        f"labels_key must be no field, but '{name}' is one."
        for name in output.fields
        if normalize(name) == normalize(key)
    ]
    return found


JSON = Format("json", OPTIONS, parse, render, _problems, carries_fields=True, schema=json_schema, grammar=json_grammar)
