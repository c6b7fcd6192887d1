"""The format `scores`: a number for each label, by name; the label is present from its threshold on (0.5 by default).

Numbers stand in lines ("shipping: 0.9", bullets and table rows too) or in JSON. "90%" and "8/10" say themselves what they
are a part of, all others are on the output's scale. What gives a label two different numbers is no answer; what follows a
heading such as "Review:" answers something else.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.errors import did_you_mean, listing
from harness.labelspace import LabelSpace, normalize
from harness.parsing.cleaning import answer_text, clip
from harness.parsing.deciding import rounded
from harness.parsing.formats import Format, Output, setting
from harness.parsing.grammars import literal
from harness.parsing.jsonscan import Brackets, Turn, Value, turns_of, values_of
from harness.parsing.numbers import NUMBER, Number, NumberReader, Numbers, number_of
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.regexes import regex

OPTIONS: Mapping[str, Any] = {"scale": "0-1", "missing": "fail"}
"""`scale`: what a number is a part of. `missing`: whether a label without a number fails the answer, or has zero."""

MISSING = ("fail", "zero")


@dataclass(frozen=True, slots=True)
class _Scale:
    """A scale: its top, and the numbers on it as GBNF."""

    top: float
    grammar: str
    in_percent: bool = False


SCALES: Mapping[str, _Scale] = {
    "0-1": _Scale(1, '"0" ("." [0-9]{1,2})? | "1" (".0")?'),
    "0-10": _Scale(10, '[0-9] ("." [0-9])? | "10"'),
    "percent": _Scale(100, '[0-9] | [1-9] [0-9] | "100"', in_percent=True),
}

_NAME_KEYS = ("label", "name", "category", "topic")
_NUMBER_KEYS = ("score", "probability", "confidence", "value", "rating", "likelihood", "p")
_META_KEYS = frozenset({*_NUMBER_KEYS, "scale", "threshold", "total", "overall", "sum", "id", "index", "rank", "none"})
_JSON_KEY = regex(r"[\"'“]([^\"'“”\n]{1,200})[\"'”]\s*:")
_MENDED = regex(r"\{|\[\s*\{")
_DEEPEST = 3


class _Object(list[tuple[str, Any]]):
    """A JSON object with all its pairs: a key that is given twice must be seen."""


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels from their thresholds on, and the probabilities: each number divided by the top of its scale.

    With a threshold of 0 a label is present whatever its number.

    Raises:
        ParseFailure: A label has no number (and ``missing`` is "fail"), one that is outside its scale, or two; no label
            has one; or the text was cut before the last number.
    """
    body = answer_text(text, cut)
    reader = NumberReader(space)
    # Lines alone end at the next input by themselves.
    turns = turns_of(body, space) if "{" in body or "[" in body else [Turn(body, Brackets())]
    in_turns = (_read_turn(turn, reader, cut and turn.is_last) for turn in turns)
    told = next((each for each in in_turns if each[0].given or len(turns) == 1), None)
    numbers, repaired = told or (reader.read(body, cut), False)
    off_list = tuple(dict.fromkeys(numbers.off_list))
    found = _probabilities(numbers, space, output, off_list)
    lacking = [name for name in space.names if name not in found]
    if lacking and cut:
        why = f"the text was cut before a number for {listing(lacking, 5)}"
        raise ParseFailure(FailureKind.TRUNCATED, why, off_list)
    spare = setting(output, OPTIONS, "missing") == "zero"
    if not found and not (spare and reader.says_none(body)):
        why = f"only off-list labels: {listing(off_list)}" if off_list else "no label has a number"
        raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)
    lacking = [name for name in lacking if not spare or name in numbers.unclear]
    if lacking:
        raise ParseFailure(FailureKind.UNPARSEABLE, f"no number for {listing(lacking, 5)}", off_list)
    probabilities = {name: found.get(name, 0.0) for name in space.names}
    labels = frozenset(name for name, value in probabilities.items() if value >= output.threshold_of(name))
    return Answer(labels, off_list, repaired=repaired, probabilities=probabilities)


def _probabilities(numbers: Numbers, space: LabelSpace, output: Output, off_list: tuple[str, ...]) -> dict[str, float]:
    """Return the probability of each label that has a number.

    Raises:
        ParseFailure: A number is outside of its scale, or a label has two.
    """
    scale = setting(output, OPTIONS, "scale")
    found: dict[str, float] = {}
    doubled: set[str] = set()
    for name, number in numbers.given:
        top = number.top or SCALES[scale].top
        value = number.value / top
        if not 0 <= value <= 1:
            within = scale if number.top is None else f"0-{number.top:g}"
            why = f"{clip(number.written)} for {name} is outside of {within}"
            raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)
        if number.may_go_on and value < 1:
            continue  # A digit behind it would have made it another number.
        if found.setdefault(name, rounded(value)) != rounded(value):
            doubled.add(name)
    if doubled:
        why = f"different numbers for {listing(space.ordered(doubled), 5)}"
        raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)
    return found


def _read_turn(turn: Turn, reader: NumberReader, cut: bool) -> tuple[Numbers, bool]:
    """Return what a part of a text gives numbers, in JSON or else in its lines, and whether it was mended."""
    return _read_json(turn, reader, cut) or (reader.read(turn.text, cut), False)


def _read_json(turn: Turn, reader: NumberReader, cut: bool) -> tuple[Numbers, bool] | None:
    """Return what the JSON of a part of a text gives numbers, and whether it was mended; None when none does.

    The last value that gives one counts; where several lines each hold one (``{"shipping": 0.9}``), all of them.
    """
    found = Numbers()
    repaired = False
    for value in values_of(turn.text, turn.brackets, cut):
        if value.repaired and not _MENDED.match(value.source):
            continue  # Prose in square brackets is mended too.
        inside = Numbers()
        _collect(_with_all_pairs(value), reader, inside, 0)
        if value.repaired:
            _note_doubled(value.source, reader, inside)
        if not inside.given:
            found.off_list += [] if found.given else inside.off_list
            found.unclear |= inside.unclear
            continue
        if found.given and ({name for name, _ in inside.given} & {name for name, _ in found.given}):
            break  # An earlier draft of the same answer.
        if not found.given:
            found.off_list.clear()
        found.given += inside.given
        found.off_list += inside.off_list
        found.unclear |= inside.unclear
        repaired = repaired or value.repaired
    return (found, repaired) if found.given else None


def _with_all_pairs(value: Value) -> Any:
    """Return a value whose objects hold every pair; what was mended has lost those that were given twice."""
    return value.value if value.repaired else json.loads(value.source, object_pairs_hook=_Object)


def _note_doubled(source: str, reader: NumberReader, numbers: Numbers) -> None:
    """Give up the labels that are keys more than once in a source that had to be mended: which one counts is lost."""
    names = Counter(name for key in _JSON_KEY.findall(source) if (name := reader.label(key)))
    doubled = {name for name, count in names.items() if count > 1}
    numbers.unclear |= doubled
    numbers.given = [(name, number) for name, number in numbers.given if name not in doubled]


def _collect(value: Any, reader: NumberReader, numbers: Numbers, depth: int) -> None:
    """Add what a JSON value gives numbers: an object by its keys, an array of named objects or of pairs."""
    pairs = value if isinstance(value, _Object) else _pairs_of(value)
    if depth > _DEEPEST or not isinstance(value, list | Mapping):
        return
    if pairs is None:
        for item in value:
            _collect(item, reader, numbers, depth + 1)
        return
    named = next((item for key, item in pairs if normalize(key) in _NAME_KEYS and isinstance(item, str)), None)
    if named is not None:
        _add(named, _number_in(pairs), reader, numbers)
        return
    for key, item in pairs:
        inner = item if isinstance(item, _Object) else _pairs_of(item)
        if reader.label(key):
            _add(key, _number(item) if inner is None else _number_in(inner), reader, numbers)
        elif isinstance(item, list | Mapping):
            _collect(item, reader, numbers, depth + 1)
        elif normalize(key) not in _META_KEYS and not isinstance(item, bool):
            _add(key, _number(item), reader, numbers)


def _pairs_of(value: Any) -> Sequence[tuple[str, Any]] | None:
    """Return the pairs of an object, of an array that is a name and its number the one pair; None for all else."""
    if isinstance(value, Mapping):
        return list(value.items())
    is_pair = isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
    return [(value[0], value[1])] if is_pair and _number(value[1]) is not None else None


def _number_in(pairs: Sequence[tuple[str, Any]]) -> Number | None:
    """Return the number that the object of a label holds."""
    return next((_number(item) for key, item in pairs if normalize(key) in _NUMBER_KEYS), None)


def _add(key: str, number: Number | None, reader: NumberReader, numbers: Numbers) -> None:
    name = reader.label(key)
    if name and number:
        numbers.given.append((name, number))
    elif name:
        numbers.unclear.add(name)
    elif number:
        numbers.off_list.append(clip(key))


def _number(item: Any) -> Number | None:
    """Return the number that a JSON value is: true is 1 of 1, a text may be "90%" or "8/10"; None when it is none."""
    if isinstance(item, bool):
        return Number(float(item), 1.0, str(item).lower())
    if isinstance(item, int | float):
        try:
            value = float(item)
        except OverflowError:
            value = math.inf
        return None if math.isnan(value) else Number(value, None, str(value))
    found = NUMBER.fullmatch(item.strip()) if isinstance(item, str) else None
    return None if found is None else number_of(found)


@dataclass(frozen=True, slots=True)
class _Form:
    """How an answer is written: what stands before the first number, between two, and behind the last one."""

    before: tuple[str, ...]
    end: str
    in_percent: bool

    def write(self, numbers: Sequence[str]) -> str:
        return "".join(before + number for before, number in zip(self.before, numbers, strict=True)) + self.end


def _lines(names: Sequence[str]) -> _Form:
    return _Form(tuple(("\n" if at else "") + f"{name}: " for at, name in enumerate(names)), "", in_percent=True)


def _object(names: Sequence[str]) -> _Form:
    keys = [json.dumps(name, ensure_ascii=False) for name in names]
    return _Form(tuple(f"{', ' if at else '{'}{key}: " for at, key in enumerate(keys)), "}", in_percent=False)


@lru_cache(maxsize=64)
def _form(space: LabelSpace, scale: str) -> _Form:
    """Return the plainest form that is read back: lines, lines with names in quotes, or else a JSON object."""
    output = Output("scores", {"scale": scale})
    quoted = [name if _reads_back(_lines([name]), space.only([name]), output) else f'"{name}"' for name in space.names]
    forms = [_lines(space.names), _lines(quoted)]
    return next((form for form in forms if _reads_back(form, space, output)), _object(space.names))


def _reads_back(form: _Form, space: LabelSpace, output: Output) -> bool:
    """Return whether every label has its number when the first, third, … and when the second, fourth, … are at the top."""
    halves = [frozenset(space.names[start::2]) for start in (0, 1)]
    return all(_reads_as(_written(form, half, space, output), half, space, output) for half in halves)


def _reads_as(text: str, present: Collection[str], space: LabelSpace, output: Output) -> bool:
    try:
        answer = parse(text, space, output, cut=False)
    except ParseFailure:
        return False
    return answer.labels == present and not answer.off_list


def _written(form: _Form, present: Collection[str], space: LabelSpace, output: Output) -> str:
    scale = SCALES[setting(output, OPTIONS, "scale")]
    sign = "%" if scale.in_percent and form.in_percent else ""
    return form.write([f"{scale.top:g}{sign}" if name in present else f"0{sign}" for name in space.names])


def render(
    labels: Collection[str],
    fields: Mapping[str, FieldValue],  # noqa: ARG001 - scores carry no fields
    space: LabelSpace,
    output: Output,
) -> str:
    """Return a line "name: 1" or "name: 0" for each label, on the output's scale; JSON where lines could be misread."""
    return _written(_form(space, setting(output, OPTIONS, "scale")), frozenset(labels), space, output)


def _problems(space: LabelSpace, output: Output) -> list[str]:
    found = []
    for option, known in (("scale", tuple(SCALES)), ("missing", MISSING)):
        value = setting(output, OPTIONS, option)
        if value not in known:
            found.append(f"{option} must be one of {listing(known)}, got '{value}'.{did_you_mean(value, known)}")
    if found:
        return found
    plain = Output("scores", {"scale": setting(output, OPTIONS, "scale")})
    if _reads_back(_form(space, setting(output, OPTIONS, "scale")), space, plain):
        return []
    alone = {name: space.only([name]) for name in space.names}
    bad = [name for name in space.names if not _reads_back(_object([name]), alone[name], plain)]
    return [f"label '{name}' cannot be read back from scores. Rename it." for name in bad] or [
        f"these labels cannot be told apart in scores: {listing(space.names, 5)}. Rename one."
    ]


def _grammar(space: LabelSpace, output: Output) -> str:
    """Return the grammar of what `render` writes, with any number of the scale for each label."""
    form = _form(space, setting(output, OPTIONS, "scale"))
    scale = SCALES[setting(output, OPTIONS, "scale")]
    parts = [part for before in form.before for part in (literal(before), "number")]
    sign = ' "%"' if scale.in_percent and form.in_percent else ""
    end = f" {literal(form.end)}" if form.end else ""
    return f"root ::= {' '.join(parts)}{end}\nnumber ::= ({scale.grammar}){sign}\n"


SCORES = Format("scores", OPTIONS, parse, render, _problems, gives_probabilities=True, grammar=_grammar)
