"""The JSON values in a text: where they stand, what they are, and whether they had to be mended.

A text may go on with another input and its answer ("Review: …"): its turns are read one by one. Of a turn's values those are
left out that the words beside them set aside: ``not ["price"]``, ``(options: ["shipping", "price"])``.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from harness.parsing.cleaning import bare
from harness.parsing.headings import Heading, heading_of
from harness.regexes import regex

if TYPE_CHECKING:
    from harness.labelspace import LabelSpace

# Mending takes time that grows with the square of the length, and with the depth: an answer is shorter than this.
_MOST_TO_MEND = 4_000
_MOST_MENDED = 8_000
_MOST_OPENERS = 200
_DEEPEST = 16
_MOST_VALUES = 1_000

_SIGN = regex(r"\\.|[\"'\[\]{}]", re.DOTALL)
_STRING_ENDS = regex(r"\s*(?:[,:\]}]|\Z)")
_BEGINS_JSON = regex(r"\{|\[\s*(?:[\"'“\[{\]]|\Z)")
_CHECKBOX = regex(r"\[ \]\s*\w")
_CLOSER = {"[": "]", "{": "}"}

_HEAD = regex(r"(?:\A|(?<=[\n\r]))[^\S\n\r]*(?![\s\"'{}\[\]])([^\n\r:：{}\[\]]{1,100})[:：]")
_EXAMPLE = regex(r"\W*(?:example|sample)\b", re.IGNORECASE)
_MOST_TURNS = 16

_REACH = 120
_FENCE_END = regex(r"(?:```|~~~)\w{0,20}\s*\Z")
_CLAUSE_ENDS = regex(r"[.!?;。！？；\n\r]")
_FILLER = (
    r"(?:[^\w,]+(?:the|these|those|this|that|they|it|its|them|any|an?|are|is|was|were|be|been|as|of|like|from|in|to|with|for|here"
    r"|labels?|categor(?:y|ies)|tags?|topics?|class(?:es)?|ones?|following|include[sd]?|mentioned|present|relevant|applicable"
    r"|appl(?:y|ies)))*\W*\Z"
)
_DENIED = regex(
    r"(?:\b(?:not|never|neither|nor|without|except|instead of|rather than|unlike|exclud(?:es?|ed|ing)|reject(?:ed|ing)"
    r"|rul(?:ed|ing) out|discard(?:ed|ing)|removed|irrelevant|inapplicable|unrelated|absent|missing|nicht|pas)|n't)"
    + _FILLER,
    re.IGNORECASE,
)
_OFFERED = regex(
    r"\b(?:consider(?:ed|ing)|options?|choices?|candidates?|available|possible|potential|allowed|other|remaining)"
    + _FILLER,
    re.IGNORECASE,
)
# "If I had to choose" does.
_SUPPOSED = regex(
    r"\W*(?:if|unless)\b(?! i (?:had|have) to)|.*\b(?:for (?:example|instance)|example of)\b", re.IGNORECASE | re.DOTALL
)
_TAKEN_BACK = regex(
    r"[\s`\"')]{0,5}(?:(?:is|are|was|were|do|does|did|would|should|has been|have been)(?: not\b|n't\b)"
    r"|(?:is|are|was|were|has been|have been) (?:\w+ly )?(?:wrong|incorrect|excluded|rejected|considered|ruled out"
    r"|irrelevant|inapplicable|absent)\b|would be\b(?! (?:my|the|what)\b))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a text.

    Attributes:
        value: What it is.
        source: How it was written.
        repaired: True when it had to be mended before it could be read.
        start: Where it begins.
        lead: The clause that stands right before it, behind any other value.
    """

    value: Any
    source: str
    repaired: bool = False
    start: int = 0
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """The part of a text that is about one input.

    Attributes:
        text: What stands there.
        brackets: Those of the part.
        start: Where it begins in the whole text.
        is_last: True when the whole text ends with it.
    """

    text: str
    brackets: Brackets
    start: int = 0
    is_last: bool = True


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


def turns_of(text: str, space: LabelSpace) -> list[Turn]:
    """Return the parts of ``text`` that are about one input each, the one that is to be answered first.

    A heading that announces an input ("Review:") and is no label begins one, outside of brackets. The first part with an
    answer in it is the answer: what follows, the model has made up. An example is nobody's answer while another part has
    one.
    """
    brackets = find_brackets(text)
    if "\n" not in text and "\r" not in text:
        return [Turn(text, brackets)]
    starts = [0, *_input_headings(text, brackets, space)]
    if len(starts) == 1:
        return [Turn(text, brackets)]
    parts = [(start, text[start:end]) for start, end in pairwise([*starts, len(text)]) if text[start:end].strip()]
    turns = [Turn(part, find_brackets(part), start, start == starts[-1]) for start, part in parts]
    return sorted(turns, key=lambda turn: _EXAMPLE.match(turn.text) is not None)


def _input_headings(text: str, brackets: Brackets, space: LabelSpace) -> list[int]:
    """Return where lines begin, behind the first one, whose heading announces an input."""
    found = []
    outside = [0, *(position for span in brackets.spans for position in span), len(text)]
    for start, end in zip(outside[::2], outside[1::2], strict=True):
        for head in _HEAD.finditer(text, start, end):
            # In an object that is never closed a key without quotes is no heading, unless a blank line stands before it.
            is_inside = bool(brackets.unclosed) and brackets.unclosed[0] < head.start()
            is_apart = not is_inside or text.endswith(("\n\n", "\r\n\r\n"), 0, head.start())
            if head.start() == 0 or not is_apart or space.find(head[1]):
                continue
            words = bare(head[1])
            if heading_of(words) is Heading.INPUT and not space.find(words):
                found.append(head.start())
                if len(found) == _MOST_TURNS:
                    return found
    return found


def values_of(text: str, brackets: Brackets, cut: bool) -> Iterator[Value]:
    """Yield the values of ``text`` that are not set aside, the likeliest answer first.

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
            lead = _lead(text, brackets, start) if start else ""
            if _is_set_aside(text, start, end, lead):
                continue
            source = text[start:end]
            value = _load(source, start, lead)
            if value is None and len(source) <= min(budget, _MOST_TO_MEND) and _openers(source) <= _MOST_OPENERS:
                budget -= len(source)
                value = _mend(source, start, lead)
            if value is not None:
                yield value


def _lead(text: str, brackets: Brackets, start: int) -> str:
    """Return the clause before a value, a code fence between them left out."""
    before = bisect_right(brackets.spans, start, key=lambda span: span[1])
    begin = max(brackets.spans[before - 1][1] if before else 0, start - _REACH)
    words = _FENCE_END.sub("", text[begin:start]).rstrip()
    return _CLAUSE_ENDS.split(words)[-1].replace("’", "'")


def _is_set_aside(text: str, start: int, end: int, lead: str) -> bool:
    """Return whether the words beside a value say that it is not the answer: they deny, offer or only suppose it."""
    if lead and (_DENIED.search(lead) or _SUPPOSED.match(lead) or (text[start] == "[" and _OFFERED.search(lead))):
        return True
    return end < len(text) and _TAKEN_BACK.match(text[end : end + _REACH].replace("’", "'")) is not None


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


def _load(source: str, start: int, lead: str) -> Value | None:
    try:
        return Value(json.loads(source, object_pairs_hook=_object), source, start=start, lead=lead)
    except (ValueError, RecursionError):
        return None


def _mend(source: str, start: int, lead: str) -> Value | None:
    import json_repair

    try:
        return Value(json_repair.loads(source, skip_json_loads=True), source, True, start, lead)
    except (ValueError, RecursionError):
        return None
