"""The format `json`: labels under a key, as a bare array or string, or as one boolean for each label; fields beside them.

Of several values in a text the last one that reads as an answer counts: models reason first. What the words beside it deny
or only offer ("not", "options:") is none, a value with the key of the labels goes before one without, and what follows a
heading such as "Review:" answers something else. Two that differ, where nothing says which one is meant, are no answer.

Broken JSON is mended and marked so, but mending may neither invent nor lose: an empty array must really have been written,
and every label that stands there in quotes must be in what comes of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from harness.errors import listing
from harness.labelspace import NONE_WORD, LabelSpace, normalize
from harness.parsing.cleaning import answer_text
from harness.parsing.formats import Format, Output, none_problems, setting
from harness.parsing.grammars import json_grammar
from harness.parsing.headings import ANNOUNCING, Heading, heading_of
from harness.parsing.jsonanswer import JsonReader
from harness.parsing.jsonscan import Turn, Value, broken_off, find_brackets, turns_of, values_of
from harness.parsing.schemas import json_schema
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.regexes import regex

OPTIONS: Mapping[str, Any] = {"labels_key": "labels", "none": NONE_WORD}

_ADDED = regex(
    r"\W*(?:(?:and|or|plus|but|maybe|perhaps|possibly|also|alternatively|additionally|as well as|und|oder|auch)\b\W*)+",
    re.IGNORECASE,
)
_SETTLES = regex(
    r"\b(?:no|wait|rather|instead|actually|correct(?:ed|ion)|revised|settled? on|so|thus|therefore|hence)\b",
    re.IGNORECASE,
)
_FENCED = regex(r"\s*```\w*\n(.*?)(?:```|\Z)", re.DOTALL)


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels and fields that the JSON of a text says.

    Raises:
        ParseFailure: No JSON in it is an answer, its labels are no labels, or it was cut before its end.
    """
    body = answer_text(text, cut)
    reader = JsonReader(space, setting(output, OPTIONS, "labels_key"), setting(output, OPTIONS, "none"), output.fields)
    for turn in turns_of(body, space):
        answer = _answer_in(turn, reader, cut and turn.is_last)
        if answer:
            return answer
    if cut:
        raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before an answer")
    off_list = tuple(reader.off_list)
    why = f"only off-list labels: {listing(off_list)}" if off_list else "no JSON in it is an answer"
    raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)


def _answer_in(turn: Turn, reader: JsonReader, cut: bool) -> Answer | None:
    """Return what one part of a text answers, None when nothing in it is an answer.

    Raises:
        ParseFailure: What stands there has the form of an answer, and cannot be used.
    """
    if cut and broken_off(turn.text, turn.brackets):
        raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before the JSON was complete")
    if not turn.brackets.spans and not turn.brackets.unclosed:
        return _bare_string(turn.text, reader, cut)
    found = _readings(turn, reader, cut)
    first = next(found, None)
    if first is None:
        return None
    value, result = first
    is_keyed = reader.holds_key(value)
    before = [] if is_keyed or _is_announced(value) else list(found)
    keyed = next((said for each, said in before if reader.holds_key(each)), None)
    if keyed is not None:
        return _keyed(keyed, value, result)
    if isinstance(result, ParseFailure):
        raise result
    is_one_more = _ADDED.fullmatch(value.lead) or (not is_keyed and not value.lead.strip())
    others = (said for _, said in (before or found) if isinstance(said, Answer)) if is_one_more else iter(())
    _refuse_other(result, next(others, None))
    return result


def _readings(turn: Turn, reader: JsonReader, cut: bool) -> Iterator[tuple[Value, Answer | ParseFailure]]:
    """Yield the values that read as answers, the likeliest first, and what each says or why it says nothing."""
    for value in values_of(turn.text, turn.brackets, cut):
        try:
            answer = reader.read(value)
        except ParseFailure as failure:
            yield value, failure
        else:
            if answer:
                yield value, answer


def _is_announced(value: Value) -> bool:
    """Return whether the words before a value say that it is the answer."""
    return heading_of(_lead_of(value)) in ANNOUNCING or _SETTLES.search(value.lead) is not None


def _lead_of(value: Value) -> str:
    return value.lead.strip(" \t,;:=：*_`#>-")


def _keyed(keyed: Answer | ParseFailure, value: Value, result: Answer | ParseFailure) -> Answer:
    """Return what a value with the key says before one without it: notes, scores or quotes that are no answer.

    Raises:
        ParseFailure: It says nothing, or the other one could just as well be meant.
    """
    if isinstance(keyed, ParseFailure):
        raise keyed
    is_note = isinstance(result, ParseFailure) or not result.labels or heading_of(_lead_of(value)) is Heading.ASIDE
    if not is_note:
        _refuse_other(keyed, result)
    return keyed


def _refuse_other(answer: Answer, other: Answer | ParseFailure | None) -> None:
    if isinstance(other, Answer) and other.labels != answer.labels:
        raise ParseFailure(
            FailureKind.UNPARSEABLE, "it gives two answers that differ, and says of neither that it counts"
        )


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


def answer_of(text: str, space: LabelSpace, none: str, labels_key: str = "labels") -> Answer | None:
    """Return what a text answers that is one sound JSON object or array, in a fence or not; None for any other text.

    Raises:
        ParseFailure: It has the form of an answer, and cannot be used.
    """
    fenced = _FENCED.match(text)
    source = (fenced[1] if fenced else text).strip()
    if not source.startswith(("{", "[")):
        return None
    brackets = find_brackets(source)
    if brackets.spans != [(0, len(source))]:
        return None
    value = next(values_of(source, brackets, cut=False), None)
    return None if value is None or value.repaired else JsonReader(space, labels_key, none, ()).read(value)


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
