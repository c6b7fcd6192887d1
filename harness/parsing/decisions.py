"""The format `decisions`: what decision APIs answer, a probability for each label and a choice for each field.

The text is the JSON array in which `harness.clients.decisions` keeps the answers of every such API. Thresholds decide which
labels are present. A question that was refused leaves its label unanswered; a label without any answer makes the whole
answer unreadable, because nothing may be read as absent that nobody answered. Of a field the choice counts; how probable
it was stays in the raw text alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from harness.errors import listing
from harness.labelspace import Field, LabelSpace
from harness.parsing.cleaning import clip
from harness.parsing.deciding import rounded
from harness.parsing.formats import Format, Output
from harness.records import Answer, FailureKind, FieldValue, ParseFailure

MOST_CHOICES = 255
"""Values that one choice question can have, of OpenAI's API and of llama.cpp."""

_SLACK = 1e-6
_TRUTH: Mapping[str, bool] = {"true": True, "false": False}

Given = Mapping[str, Any]
"""One answer."""


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels whose probability reaches their threshold, the probabilities, and the fields that were chosen.

    Raises:
        ParseFailure: It is no array of named answers, a label has no answer or one without a probability, or everything
            was refused.
    """
    answers = _by_name(text, cut)
    found = {name: answers[name] for name in space.names if name in answers}
    refused = frozenset(name for name, each in found.items() if each.get("type") == "refusal")
    odd = [name for name in found.keys() - refused if not is_probability(found[name].get("probability"))]
    known = {*space.names, *(each.name for each in space.fields)}
    off_list = tuple(clip(name) for name in answers if name not in known)
    for what, names in (("no answer for", space.index.keys() - found.keys()), ("no probability for", odd)):
        if names:
            raise ParseFailure(FailureKind.UNPARSEABLE, f"{what} {listing(space.ordered(names), 5)}", off_list)
    fields = _fields(answers, space, output)
    if refused and len(refused) == len(space) and not fields:
        raise ParseFailure(FailureKind.REFUSAL, "every question was refused", off_list)
    probabilities = {name: rounded(found[name]["probability"]) for name in space.names if name not in refused}
    return Answer(
        labels=frozenset(name for name, value in probabilities.items() if value >= output.threshold_of(name)),
        off_list=off_list,
        fields=fields,
        probabilities=probabilities,
        refused=refused,
    )


def _by_name(text: str, cut: bool) -> dict[str, Given]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        kind = FailureKind.TRUNCATED if cut else FailureKind.UNPARSEABLE
        raise ParseFailure(kind, "it is not the JSON of a decision API's answers") from None
    named = isinstance(given, list) and all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in given
    )
    if not named:
        raise ParseFailure(FailureKind.UNPARSEABLE, "it is not an array of answers with names")
    answers = {each["name"]: each for each in given}
    if len(answers) < len(given):
        raise ParseFailure(FailureKind.UNPARSEABLE, "two answers have the same name")
    return answers


def is_probability(value: Any) -> bool:
    """Return whether a JSON value is a number within [0, 1], give or take what rounding leaves (1e-6)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_SLACK <= value <= 1 + _SLACK


def _fields(answers: Mapping[str, Given], space: LabelSpace, output: Output) -> dict[str, FieldValue]:
    """Return the fields that have a choice; one that was refused, or not answered, is left out."""
    asked = [each for each in space.fields if each.name in output.fields and each.name in answers]
    values = {each.name: _choice(each, answers[each.name].get("choice")) for each in asked}
    return {name: value for name, value in values.items() if value is not None}


def _choice(asked: Field, given: Any) -> FieldValue:
    """Return what was chosen, None when it is nothing that the field can be."""
    if asked.type == "bool":
        return given if isinstance(given, bool) else _TRUTH.get(given) if isinstance(given, str) else None
    return given if isinstance(given, str) and given in asked.values else None


def render(labels: Collection[str], fields: Mapping[str, FieldValue], space: LabelSpace, output: Output) -> str:
    """Return what a model that is sure would answer: 1 for the labels, 0 for the others, and the fields that are given."""
    answers: list[dict[str, Any]] = [
        {"name": name, "type": "predicate", "probability": float(name in labels)} for name in space.names
    ]
    given = [(name, fields[name]) for name in output.fields if fields.get(name) is not None]
    answers += [{"name": name, "type": "choice", "choice": value} for name, value in given]
    return json.dumps(answers, ensure_ascii=False, separators=(",", ":"))


def _problems(space: LabelSpace, output: Output) -> list[str]:
    found = []
    for each in space.fields:
        if each.name in output.fields and each.type == "text":
            found.append(
                f"field '{each.name}' is a text: a decision API can choose, not extract. Ask for it in another pass."
            )
        elif each.name in output.fields and len(each.values) > MOST_CHOICES:
            found.append(
                f"field '{each.name}' has {len(each.values)} values: a decision API chooses among {MOST_CHOICES} at most. "
                "Ask for it in another pass."
            )
    return found


DECISIONS = Format("decisions", {}, parse, render, _problems, carries_fields=True, gives_probabilities=True)
