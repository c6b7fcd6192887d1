"""The JSON values in a text: where they stand, what they are, and whether they had to be mended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

# Mending takes time that grows with the square of the length, and with the depth: an answer is shorter than this.
_MOST_TO_MEND = 4_000
_MOST_MENDED = 8_000
_MOST_OPENERS = 200
_DEEPEST = 16
_MOST_VALUES = 1_000

_SIGN = re.compile(r"\\.|[\"'\[\]{}]", re.DOTALL)
_STRING_ENDS = re.compile(r"\s*(?:[,:\]}]|\Z)")
_BEGINS_JSON = re.compile(r"\{|\[\s*(?:[\"'“\[{\]]|\Z)")
_CHECKBOX = re.compile(r"\[ \]\s*\w")
_CLOSER = {"[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a text.

    Attributes:
        value: What it is.
        source: How it was written.
        repaired: True when it had to be mended before it could be read.
    """

    value: Any
    source: str
    repaired: bool = False


@dataclass(slots=True)
class Brackets:
    """Where the brackets of a text stand.

    Attributes:
        spans: Start and end of every outermost pair, in order.
        unclosed: Positions of opening brackets that nothing closes, in order.
        deepest: How deep brackets stand in brackets.
    """

    spans: list[tuple[int, int]] = field(default_factory=list)
    unclosed: list[int] = field(default_factory=list)
    deepest: int = 0


def find_brackets(text: str) -> Brackets:
    """Return where the brackets of ``text`` stand, those inside of strings left out. It takes linear time.

    A quote begins a string only after ``[ { , : (`` and ends one only before ``, : ] }``, so that apostrophes and quotes
    that a model forgot to escape do no harm; in sound JSON every string begins and ends so.
    """
    found = Brackets()
    waiting = {"[": 0, "{": 0}
    quote = ""
    for sign in _SIGN.finditer(text):
        mark, position = sign[0], sign.start()
        if quote:
            quote = "" if mark == quote and _STRING_ENDS.match(text, position + 1) else quote
        elif mark in ("'", '"'):
            quote = mark if found.unclosed and _last_sign(text, position) in "[{,:(" else ""
        elif mark in _CLOSER:
            found.unclosed.append(position)
            waiting[mark] += 1
            found.deepest = max(found.deepest, len(found.unclosed))
        elif mark in "]}":
            _close(found, waiting, text, position)
    return found


def _last_sign(text: str, position: int) -> str:
    position -= 1
    while position > 0 and text[position].isspace():
        position -= 1
    return text[position]


def _close(found: Brackets, waiting: dict[str, int], text: str, position: int) -> None:
    """Pair a closing bracket with the nearest opening one of its kind; brackets forgotten between them are dropped."""
    opener = "[" if text[position] == "]" else "{"
    if not waiting[opener]:
        return
    while True:
        start = found.unclosed.pop()
        waiting[text[start]] -= 1
        if text[start] == opener:
            break
    while found.spans and found.spans[-1][0] > start:
        found.spans.pop()
    found.spans.append((start, position + 1))


def broken_off(text: str, brackets: Brackets) -> bool:
    """Return whether a JSON value begins in ``text`` that nothing closes."""
    return any(_BEGINS_JSON.match(text, position) for position in brackets.unclosed)


def values_of(text: str, brackets: Brackets, cut: bool) -> Iterator[Value]:
    """Yield the values of ``text``, the likeliest answer first.

    First what is left open to the end (in a cut text that is no value), then the last to the first, and after all of
    them what only looks like JSON when it is mended: words in square brackets may be prose. Only what `json` cannot read
    is mended, and of that only as much as an answer can be.
    """
    left_open = [] if cut else [(start, len(text)) for start in brackets.unclosed[:_DEEPEST]]
    spans = [*left_open, *reversed(brackets.spans[-_MOST_VALUES:])]
    budget = _MOST_MENDED if brackets.deepest <= _DEEPEST else 0
    for begins in (True, False):
        for start, end in spans:
            if bool(_BEGINS_JSON.match(text, start)) is not begins or _CHECKBOX.match(text, start):
                continue
            source = text[start:end]
            value = _load(source)
            if value is None and len(source) <= min(budget, _MOST_TO_MEND) and _openers(source) <= _MOST_OPENERS:
                budget -= len(source)
                value = _mend(source)
            if value is not None:
                yield value


class Doubled:
    """Stands where an object gives a key two different values: nobody can say which is meant."""


DOUBLED: Final = Doubled()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key] = value if found.get(key, value) == value else DOUBLED
    return found


def _openers(source: str) -> int:
    return sum(map(source.count, "[{("))


def _load(source: str) -> Value | None:
    try:
        return Value(json.loads(source, object_pairs_hook=_object), source)
    except (ValueError, RecursionError):
        return None


def _mend(source: str) -> Value | None:
    import json_repair

    try:
        return Value(json_repair.loads(source, skip_json_loads=True), source, repaired=True)
    except (ValueError, RecursionError):
        return None
