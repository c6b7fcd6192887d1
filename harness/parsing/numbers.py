"""The numbers that a text gives names: "shipping: 0.9", "- **shipping** - 8/10", "| shipping | 90% |". Linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from harness.labelspace import LabelSpace
from harness.parsing.cleaning import LINE_ENDS, bare, clip
from harness.parsing.headings import Heading, by_colon, heading_of
from harness.parsing.names import Kind, names_of
from harness.regexes import regex

_CLOSE = r"[\"'”’»*_`~\u200b-\u200f\ufe0f\ufeff]*+"
NUMBER = regex(
    r"(?<![\w.])(?<!\d,)(?P<number>[-+−]?(?:\d{1,15}(?:[.,]\d{1,15})?|\.\d{1,15})(?:[eE][-+]?\d{1,3})?)"
    r"(?:[ \t]?(?P<percent>%|percent\b|per cent\b|Prozent\b)"
    r"|[ \t]?(?:/|out of|von|sur)[ \t]?(?P<top>[1-9]\d{0,5}(?:[.,]\d{1,6})?))?(?![\w%])"
)
"""A number as it is written: a sign, a decimal point or comma, and of which whole it is a part."""

_ENDS = regex(
    rf"{_CLOSE}(?:\s*+(?:$|[,;|)\]}}(（，；、。<]|\.(?!\d)|[–—]\s*+(?!\d))|\s++-\s++(?!\d)|\t"
    r"|\s++(?:because|since|as|due to|and|und|confidence|points?|probability|for)\b)",
    re.IGNORECASE,
)
_JOINT_END = regex(
    r"(?:[:=|→>(：\[~≈,\-–—]|\b(?:score|probability|confidence|rating|likelihood|value|is|about))[\s\"'”’*_`]*+\Z",
    re.IGNORECASE,
)
_STRONG_END = regex(r"(?:[:=|→>(：]|\s[-–—])[\s\"'”’*_`~≈]*\Z")
_NEXT = regex(r"\s++([^:=：]++)[:=：]")
_STARTS = regex(r"[,;|)\]}\t，；、。]|\s(?:and|und)\s|[:：]\s|\.\s")
_PREFIX = regex(
    r"[\s\"'*_`|#{\[>-]*+(?:(?:label|category|name|topic)\s*[:=]|p\(|(?:the )?(?:score|probability) (?:for|of)"
    r"|(?:so|thus|therefore|overall|also),?\s)\s*",
    re.IGNORECASE,
)
_VALUE_LINE = regex(
    r"[\s\"'*_`|#>•-]*+(?:(?:score|probability|confidence|rating|likelihood|value)\b[\s\"'*_`]*+)?[\s:=：*-]*+",
    re.IGNORECASE,
)
_META = regex(
    r"(?:scores?|totals?|confidence|overall|sum|threshold|scale|labels?|average|mean|note|step|rank|no|nr|probability|max|min"
    r"|example|review|text|sample|range|from|between|i|the|it|this|there|answer)\b",
    re.IGNORECASE,
)
_MOST_WORDS = 5
_MOST_STARTS = 6
_MOST_STRIPPED = 6
_MOST_AHEAD = 6
_MOST_NUMBERS = 2_000
_MOST_NOTED = 40
_FARTHEST_NOTED = 8


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a text gives.

    Attributes:
        value: As it is written.
        top: Of which whole it is a part: 100 for percents, 10 for "8/10"; None when it does not say.
        written: How it is written.
        may_go_on: True when a cut text could have gone on with further digits.
    """

    value: float
    top: float | None
    written: str
    may_go_on: bool = False


@dataclass(slots=True)
class Numbers:
    """What a text gives numbers.

    Attributes:
        given: Label and number, in order.
        off_list: What has a number and is no label.
        unclear: Labels that stand there without a number that can be read.
    """

    given: list[tuple[str, Number]] = field(default_factory=list)
    off_list: list[str] = field(default_factory=list)
    unclear: set[str] = field(default_factory=set)


def number_of(found: re.Match[str], *, may_go_on: bool = False) -> Number:
    """Return the number of a match of `NUMBER`."""
    top = found["top"]
    whole = 100.0 if found["percent"] else None if top is None else _float(top)
    return Number(_float(found["number"]), whole, found[0], may_go_on and not found["percent"])


def _float(written: str) -> float:
    return float(written.replace(",", ".").replace("−", "-"))


class NumberReader:
    """Reads the numbers of texts, for one label space."""

    def __init__(self, space: LabelSpace) -> None:
        self._names = names_of(space)
        self._longest = 64 + 2 * max(len(spelling) for label in space for spelling in (label.name, *label.aliases))

    def label(self, text: str) -> str | None:
        """Return the label that ``text`` names when only decoration is taken off it, or None."""
        item = self._names.exact(text)
        return item.name if item and item.kind is Kind.LABEL else None

    def says_none(self, text: str) -> bool:
        """Return whether ``text`` as a whole says that no label applies."""
        item = self._names.exact(text)
        return item is not None and item.kind is Kind.NONE

    def read(self, text: str, cut: bool) -> Numbers:
        """Return what the lines of a text give numbers, after the last heading that announces an answer.

        A new input ("Review:") behind numbers ends them. Where nothing follows the heading, what stood before it counts.

        Args:
            text: What `answer_text` left of a completion.
            cut: It was cut off: a number at its very end may go on.
        """
        before = found = Numbers()
        awaiting: str | None = None
        idle: set[str] = set()  # Lines without numbers: models that run on repeat them.
        budget = _MOST_NUMBERS
        lines = LINE_ENDS.split(text)
        for at, line in enumerate(lines):
            if not line.strip() or (line in idle and not awaiting):
                continue
            heading, rest = self._heading(line)
            if (heading is Heading.INPUT and found.given) or budget <= 0:
                break
            if heading is Heading.ANSWER:
                before, found, line = (found if found.given else before), Numbers(), rest
            is_last = cut and at == len(lines) - 1
            number = _only_number(line) if awaiting else None
            if awaiting and number:
                found.given.append((awaiting, number_of(number, may_go_on=is_last and number.end() == len(line))))
            awaiting = None if number else self._alone(line)
            if awaiting:
                found.unclear.add(awaiting)
            elif not number:
                used = self._read_line(line, found, budget, is_last)
                budget -= used
                if not used:
                    idle.add(lines[at])
        return found if found.given else before

    def _heading(self, line: str) -> tuple[Heading | None, str]:
        split = by_colon(line)
        if split is None or self.label(split[0]):
            return None, line
        return heading_of(bare(split[0])), split[1]

    def _alone(self, line: str) -> str | None:
        """Return the label that has a line to itself; its number may stand on the next one."""
        return self.label(_PREFIX.sub("", line, count=1)) if len(line) <= self._longest else None

    def _read_line(self, line: str, found: Numbers, most: int, cut: bool) -> int:
        """Read a line; return how many numbers it has."""
        every = islice(NUMBER.finditer(line), most)
        numbers = [each for each in every if _ENDS.match(line, each.end()) or self._next(line, each)]
        end = position = 0
        while position < len(numbers):
            whole = self._whole(line, end, numbers[position : position + _MOST_AHEAD])
            if whole:
                name: str | None = whole[0]
                position += whole[1]
            else:
                head = line[end : numbers[position].start()]
                name, rest = self._last(head if not end else _behind_brackets(head), is_first=not end)
                self._note(rest, found)
                if name is None:
                    found.off_list += self._other(rest, is_first=not end)
            end = numbers[position].end()
            if name is not None:
                found.given.append((name, number_of(numbers[position], may_go_on=cut and end == len(line))))
            position += 1
        self._note(line[end:], found)
        return len(numbers)

    def _next(self, line: str, number: re.Match[str]) -> bool:
        """Return whether the next "name:" stands right behind a number."""
        follows = _NEXT.match(line, number.end(), number.end() + self._longest)
        return follows is not None and self.label(follows[1]) is not None

    def _whole(self, line: str, start: int, numbers: list[re.Match[str]]) -> tuple[str, int] | None:
        """Return the label that all between ``start`` and a number names, and which number; the farthest first.

        So a name that holds numbers itself is read as a whole.
        """
        for position in range(len(numbers) - 1, -1, -1):
            head = line[start : numbers[position].start()]
            if len(head) > self._longest or head.lstrip()[:1] in ("(", "（"):
                continue
            name = self._named(head)
            if name:
                return name, position
        return None

    def _last(self, head: str, *, is_first: bool) -> tuple[str | None, str]:
        """Return the label at the end of what stands before a number, and what stands before that.

        It stands behind a separator, or at the beginning of a line; the longest such name counts.
        """
        window = head[-self._longest :]
        for start in self._pieces(window, is_first=is_first and len(window) == len(head)):
            name = self._named(window[start:])
            if name:
                return name, window[:start]
        return None, head

    def _pieces(self, head: str, *, is_first: bool) -> list[int]:
        starts = [sign.end() for sign in _STARTS.finditer(head) if head[sign.end() :].strip()]
        return ([0] if is_first else []) + starts[-_MOST_STARTS:]

    def _named(self, head: str) -> str | None:
        """Return the label that a piece names, the sign that joins it to its number taken off as late as can be."""
        for text in (head, _PREFIX.sub("", head, count=1)):
            for stripped in _stripped(text):
                name = self.label(stripped)
                if name:
                    return name
        return None

    def _other(self, head: str, *, is_first: bool) -> Iterator[str]:
        """Yield what is no label and has a number."""
        window = head[-self._longest :]
        starts = self._pieces(_JOINT_END.sub("", window), is_first=is_first and len(window) == len(head))
        if not starts or not _STRONG_END.search(window):
            return
        core = bare(list(_stripped(window[starts[-1] :]))[-1])
        is_name = any(map(str.isalpha, core)) and len(core.split()) <= _MOST_WORDS
        if is_name and not _META.match(core) and not heading_of(core):
            yield clip(core)

    def _note(self, text: str, found: Numbers) -> None:
        """Note the labels that stand in a text without a number."""
        for piece in re.split(r"[,;|]", text[: _FARTHEST_NOTED * self._longest])[:_MOST_NOTED]:
            item = self._names.exact(piece) or self._names.explained(piece)
            if item and item.name and item.kind is not Kind.NONE and item.kind is not Kind.OTHER:
                found.unclear.add(item.name)


def _only_number(line: str) -> re.Match[str] | None:
    """Return the number of a line that begins with it, or None."""
    lead = _VALUE_LINE.match(line)
    found = NUMBER.match(line, lead.end()) if lead else None
    return found if found and _ENDS.match(line, found.end()) else None


def _stripped(head: str) -> Iterator[str]:
    """Yield what stands before a number, then again and again with one joining sign less at its end."""
    for _ in range(_MOST_STRIPPED):
        head = head.rstrip()
        yield head
        joint = _JOINT_END.search(head[-64:])
        if joint is None:
            return
        head = head[: max(0, len(head) - 64) + joint.start()]


def _behind_brackets(head: str) -> str:
    """Return what follows an explanation in brackets: of one that is not closed, nothing."""
    if head.lstrip()[:1] not in ("(", "（"):
        return head
    closed = re.search(r"[)）]", head)
    return "" if closed is None else head[closed.end() :]
