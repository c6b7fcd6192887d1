"""What the answers of a pass name, how they are written and what becomes of them, in words and in right examples. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from harness.labelspace import LabelSpace
from harness.prompt import DECISION_APIS, MergeHow, Pass
from harness.records import Sample
from harness.rendering import shot_answer
from harness.units import Unit

MERGED: Mapping[MergeHow, str] = {
    "replace": "Its answer takes the place of what was said of these labels before.",
    "add": "The labels that its answer names are added to what was said before.",
    "remove": "The labels that its answer names are taken away from what was said before.",
    "union": "A label applies when its answer or what was said before says so.",
    "intersection": "A label applies when its answer and what was said before both say so.",
    "confirm": "A label that was said before stays only when its answer names it.",
}
"""What becomes of the answer of a pass after the first, by its merge rule."""


def choices_of(target: Pass, space: LabelSpace) -> LabelSpace:
    """Return what the answers of a pass name: the labels of its scope, or for a gate their groups."""
    inside = target.inside(space)
    if not target.chooses_groups:
        return space.only(inside)
    return space.as_groups.only(dict.fromkeys(space.group_of[name] for name in inside))


def noun(target: Pass) -> str:
    """Return what the answers of a pass name, as a word."""
    return "group" if target.chooses_groups else "label"


def sample_answers(target: Pass, space: LabelSpace) -> tuple[str, ...]:
    """Return what right answers look like in the format of a pass: with two labels (or groups), with one, with none.

    Of a pass that asks about one label at a time: that it applies, and that it does not. Empty for APIs that decide, and
    where the format cannot write them.
    """
    if target.model.api in DECISION_APIS:
        return ()
    unit = target.units(space)[0]
    sets = dict.fromkeys(tuple(_gold_of(unit, target, space)[:n]) for n in (2, 1, 0))
    fields = {each.name: (each.values or ("…",))[0] for each in space.fields}
    try:
        answers = [shot_answer(Sample("", {}, frozenset(names), fields), target, unit, space) for names in sets]
    except ValueError:
        return ()
    return tuple(dict.fromkeys(answers))


def _gold_of(unit: Unit, target: Pass, space: LabelSpace) -> list[str]:
    """Return labels each of which makes a right answer name something of its own: for a gate, one of each group."""
    if not target.chooses_groups:
        return list(unit.labels)
    first: dict[str, str] = {}
    for name in unit.labels:
        first.setdefault(space.group_of[name], name)
    return list(first.values())


_NAMED: Mapping[MergeHow, tuple[str, str]] = {
    "add": ("to add", "is to be added"),
    "remove": ("to take away", "is to be taken away"),
}
"""Which labels an answer names, and what is said of one, by its merge rule, where it is not those that apply."""


def in_words(target: Pass) -> str:
    """Return in words how the answer of a pass is written."""
    output, what = target.output, noun(target)
    that, applies = _NAMED.get(target.how, ("that apply", "applies"))
    which = f"{what}s {that}"
    given = output.options.get("separator", ",")
    separated = "separated by commas" if given == "," else f"with {json.dumps(given, ensure_ascii=False)} between them"
    words = {
        "list": f"the names of the {which}, {separated}",
        "vector": f"one digit for each {what} in their order, 1 if it {applies} and 0 if not, {separated}",
        "codes": f"the codes of the {which}, {separated}",
        "json": f"a JSON object that lists the names of the {which}",
        "containers": f"the names of the {which}, between the marks",
        "yes_no": f"{output.options.get('yes', 'yes')} or {output.options.get('no', 'no')}",
        "scores": f"a number for each {what} that says how sure it is",
    }
    return words.get(output.format, "an answer in exactly the form of the examples")
