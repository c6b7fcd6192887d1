"""The format `vector`: a 0 or 1 for each label, in label-space order, or behind each label's name.

How a text is read:

- A vector stands alone on its line or lines (``1,0,1``, ``[1, 0, 1]``, ``101``, true/false words, one value a line), or
  behind words that announce it ("The answer is [1, 0, 1]."). Numbers anywhere else in a sentence are none.
- Values that have names count by name: ``price: 1`` lines, a row of label names above the values, comments behind them.
  All labels must then be said, and a vector beside them must agree.
- A final answer ("Answer: …") voids what stands before it, and so does a vector behind a word of revision ("Wait, …").
  Else a text with two different vectors is no answer: nothing tells which of them is meant. A vector that is too short or
  too long is passed over when a right one follows, and never when it comes last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from harness.errors import listing
from harness.kept import Kept
from harness.labelspace import LabelSpace
from harness.parsing.cleaning import answer_text, bare, clip
from harness.parsing.formats import Format, Output, setting
from harness.parsing.grammars import vector_grammar
from harness.parsing.headings import ANNOUNCING, Heading, Passage, by_colon, heading_of, passages
from harness.parsing.lines import LineReader
from harness.parsing.names import Item, Kind, names_of
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.regexes import regex

OPTIONS: Mapping[str, Any] = {"separator": ","}

_WORDS: Mapping[str, str] = {"true": "1", "false": "0", "yes": "1", "no": "0"}
_VECTOR_WORDS = regex(r"\b(?:vectors?|values|encoding|array|bits?|flags)\b")
_REVISION = regex(
    r"\b(?:wait|actually|correction|corrected|revised?|on second thoughts?|scratch that|let me (?:re|correct|fix))",
    re.IGNORECASE,
)

_SUPPOSES = regex(r"\b(?:not|no|never|wrong|incorrect|if|examples?|e\.g)\b|n['’]t\b", re.IGNORECASE)

_VALUE = r"(?:[-+]?\d++(?:\.\d++)?%?|true|false|yes|no)(?![\w%])"
_QUOTES = "\"'`*_"
# What may stand between two values, the quotes and emphasis of both included.
_JOINT = rf"[{_QUOTES}]*+(?: ?(?:[,;|，；、]|\bREPLACED\b) ?| )[{_QUOTES}]*+"
_NAMED = regex(
    rf" ?(?:==?|\||→|=>|->|:) ?[{_QUOTES}]*+([-+]?\d++|true|false|yes|no)(?:\.0++)?(?![\w%])[{_QUOTES}]*+"
    r"(?: ?[,;|]| ?(?=[(\[})\]#–—]|- |$|\.(?!\d)))",
    re.IGNORECASE,
)
_NAME_AND_VALUE = regex(r"(.+) ([01])[,;]?")
_BULLET = regex(r"[-*+•] ")
_OPENING = rf"[\[({{<|=~> {_QUOTES}]*+"
_CLOSING = rf"[\])}}<>|,;.~! {_QUOTES}]*+"
_EXPLAINS = regex(r"[(（#–—]|- |//|->|=>|→|(?:because|since|as|where|which|meaning)\b", re.IGNORECASE)
_VALUE_AND_NAME = regex(rf"(?<![\w.+-])({_VALUE}) ?[(\[]([^()\[\]]{{1,200}})[)\]]", re.IGNORECASE)
_ONLY_STOPS = regex(r"[\s,;|.]*")
_NUMBERED = regex(r"(\d{1,3})[.)] ([01]|true|false|yes|no)[.,;]?|([2-9]|\d{2,3})[.)]", re.IGNORECASE)
_COMMENT = regex(r"(?:#|//|--) ?(.*)")
_WORDLESS = regex(r"[\W_]*")
_ASSIGNS = regex(r"[\s=:_]+")
_SENTENCE_END = regex(r"[.!?;] ")
_VALUES = regex(_VALUE, re.IGNORECASE)
_DIGITS = regex(r"[01]{2,}")


class _Vectors:
    """Reads vectors for one label space and the options of one output."""

    def __init__(self, space: LabelSpace, output: Output) -> None:
        self.space = space
        self.separator: str = setting(output, OPTIONS, "separator")
        own = self.separator.strip()
        joint = _JOINT.replace(r"\bREPLACED\b", re.escape(own) if own else ",")
        run = rf"{_VALUE}(?:{joint}{_VALUE})*+"
        self._line = re.compile(rf"{_OPENING}({run})({_CLOSING})", re.IGNORECASE)
        self._run = re.compile(rf"(?<![\w.]){run}", re.IGNORECASE)
        self._bracketed = re.compile(rf"[\[(] ?[{_QUOTES}]*+({run})[{_QUOTES}]*+ ?[\])]", re.IGNORECASE)
        self._names = names_of(space)
        self._reader = LineReader(self._names, ",")
        self._start()

    def _start(self) -> None:
        self._found: list[list[str]] = []
        self._rows: list[list[str]] = []  # Lines of values that stand together: one vector, or one each.
        self._revised = 0  # How many of those found stand before a word of revision.
        self._header: list[str] = []
        self._passing: set[tuple[str, ...]] = set()  # Vectors in sentences since the last one that was found.
        self._trouble: ParseFailure | None = None
        self._said: dict[str, str] = {}  # By label the value that stands behind its name.

    def read(self, text: str, cut: bool) -> Answer:
        """Return the answer in a text; raises `ParseFailure` as `parse` does."""
        self._start()
        body = answer_text(text, cut)
        for passage in passages(body, self._is_name, self._is_row, self._answered, _VECTOR_WORDS):
            try:
                self._take(passage)
            except ParseFailure as failure:  # A final answer further down may still void it.
                self._trouble = self._trouble or failure
        self._end_rows()
        return self._answer(cut)

    def _is_name(self, words: str) -> bool:
        return self.space.find(words) is not None or self.space.find(bare(words)) is not None

    def _is_row(self, text: str) -> bool:
        return self._line.match(text) is not None

    def _answered(self) -> bool:
        return bool(self._found or self._rows or self._said)

    def _take(self, passage: Passage) -> None:
        if passage.heading is Heading.ANSWER:
            self._start()
        line = " ".join(passage.text.split())
        if _WORDLESS.fullmatch(line):
            return
        row = [] if self._take_values_of(line) else self._row(line)
        if row:
            self._rows.append(row)
            return
        self._end_rows()
        if _REVISION.search(line):
            self._revised = len(self._found)
        split = by_colon(line)
        row = self._row(split[1]) if split and not _SUPPOSES.search(split[0]) else []
        if 1 < len(row) == len(self.space):
            self._rows.append(row)
            return
        self._take_named(line)
        self._take_announced(line)

    def _take_values_of(self, line: str) -> bool:
        """Take the values of a line that has each label's name in brackets behind its value, and nothing else."""
        if not _ONLY_STOPS.fullmatch(_VALUE_AND_NAME.sub("", line)):
            return False
        found = [(self.space.find(bare(match[2])), _plain(match[1])) for match in _VALUE_AND_NAME.finditer(line)]
        named = [(name, value) for name, value in found if name is not None]
        if not named or len(named) < len(found):
            return False
        for name, value in named:
            self._claim(name, value)
        return True

    def _take_named(self, line: str) -> None:
        """Take the values that stand behind labels' names, or a line of names as the header of what follows."""
        items = self._reader.read(_NAMED.sub(r": \1,", line.strip("| "))).items
        names = [item.name for item in items if item.kind is Kind.LABEL and not item.opener]
        self._header = names if len(names) == len(items) and sorted(names) == sorted(self.space.names) else []
        for item in items:
            self._say(item)
        by_space = _NAME_AND_VALUE.fullmatch(line)
        named = self.space.find(bare(by_space[1])) if by_space else None
        if by_space and named is not None and not self._is_name(bare(line)):
            self._claim(named, by_space[2])

    def _row(self, line: str) -> list[str]:
        """Return the values that a line is made of; empty for any other line, that of a name and its value among them."""
        signs = list(_NAMED.finditer(line))
        if signs and self._is_name(line[: signs[-1].start()]):
            return []
        mark = _BULLET.match(line)
        line = line[mark.end() :] if mark else line
        number = _NUMBERED.fullmatch(line)
        if number:  # "1. 0" gives the first label's value, "5." alone is the number of an item that was cut off.
            at = 1 + sum(map(len, self._rows))
            return [_plain(number[2])] if number[2] and int(number[1]) == at else []
        match = self._line.match(line)
        if match is None:
            return []
        values, rest = _values(match[1]), line[match.end() :]
        if not rest:
            return values
        named = self.space.find(bare(comment[1])) if (comment := _COMMENT.match(rest)) else None
        if named is not None and len(values) == 1:
            self._claim(named, values[0])
            return values
        if not _EXPLAINS.match(rest) and not ("." in match[2] and len(values) > 1):
            return []
        self._refuse_another(values, rest)
        return values

    def _refuse_another(self, values: list[str], rest: str) -> None:
        """Raise when a second vector stands behind one in the same line."""
        for match in self._run.finditer(rest):
            other = _values(match[0])
            if 1 < len(other) == len(self.space) and other != values:
                raise _unparseable(_TWO)

    def _take_announced(self, line: str) -> None:
        """Take the vectors in brackets that the words before them announce, and note all others."""
        begin = 0
        for match in self._bracketed.finditer(line):
            head = _SENTENCE_END.split(line[begin : match.start()][-_HEAD:])[-1]
            begin = match.end()
            values = _values(match[1])
            if len(values) > 1 and heading_of(_ASSIGNS.sub(" ", head), _VECTOR_WORDS) in ANNOUNCING:
                self._refuse_another(values, line[begin:])
                self._rows.append(values)
                self._end_rows()
                return
        for match in self._run.finditer(line):
            values = _values(match[0])
            if 1 < len(values) == len(self.space) and ("," in match[0] or _REVISION.search(line)):
                self._passing.add(tuple(values))

    def _say(self, item: Item) -> None:
        """Take what an item says of a label by its name."""
        if item.kind is Kind.DENIED:
            self._claim(item.name, "0")
        elif item.kind in (Kind.LABEL, Kind.UNCLEAR) and item.name and item.opener:
            value = _VALUES.match(item.explanation)
            if value and re.match(r"$| ?[.,;(（–—#]| - ", item.explanation[value.end() :]):
                self._claim(item.name, _plain(value[0]))
        elif item.opener == ":" and item.explanation:  # A score, which the list does not take for a yes or a no.
            named = self.space.find(bare(item.name.removesuffix(item.explanation)))
            if named is not None and _VALUES.fullmatch(item.explanation):
                self._claim(named, _plain(item.explanation))

    def _claim(self, label: str, value: str) -> None:
        before = self._said.setdefault(label, value)
        if before != value:
            raise _unparseable(f"it says both {before} and {value} of '{label}'")

    def _end_rows(self) -> None:
        """Make a vector of the lines of values up to here, or one of each when a line by itself has the right length."""
        rows, self._rows = self._rows, []
        if rows:
            self._passing = set()
        n = len(self.space)
        if rows and not any(len(row) == n for row in rows):
            rows = [[value for row in rows for value in row]]
        for row in rows:
            by_name = dict(zip(self._header, row, strict=False))
            self._found.append([by_name[name] for name in self.space.names] if self._header and len(row) == n else row)

    def _answer(self, cut: bool) -> Answer:
        if self._trouble:
            raise self._trouble
        n = len(self.space)
        found = self._found[self._revised :] or self._found
        right = [number for number, values in enumerate(found) if len(values) == n and set(values) <= {"0", "1"}]
        if found and (not right or right[-1] < len(found) - 1):
            raise self._wrong(found[-1], cut)
        vectors = {tuple(found[number]) for number in right}
        if len(vectors) > 1 or (vectors and self._passing - vectors):
            raise _unparseable(_TWO)
        said = dict(zip(self.space.names, found[right[-1]], strict=True)) if vectors else self._all_said(cut)
        for name, value in self._said.items():
            if said[name] != value:
                raise _unparseable(f"its vector says {said[name]} of '{name}', and beside the name stands {value}")
        return Answer(frozenset(name for name, value in said.items() if value == "1"))

    def _wrong(self, values: list[str], cut: bool) -> ParseFailure:
        foreign = list(dict.fromkeys(clip(value) for value in values if value not in ("0", "1")))
        n = len(self.space)
        if cut and len(values) < n and not foreign:
            return ParseFailure(FailureKind.TRUNCATED, f"the text was cut after {_count(len(values))} of {n}")
        if foreign:
            return _unparseable(f"values must be 0 or 1, got {listing(foreign[:_MOST_SHOWN])}")
        return _unparseable(f"got {_count(len(values))}, want {n}")

    def _all_said(self, cut: bool) -> Mapping[str, str]:
        """Return the value of every label by its name; raises when there are none, not all, or others than 0 and 1."""
        missing = [name for name in self.space.names if name not in self._said]
        if missing:
            why = f"it says nothing of {listing(missing)}" if self._said else "no vector in it"
            if cut:
                raise ParseFailure(FailureKind.TRUNCATED, f"the text was cut before the vector was complete: {why}")
            raise _unparseable(why)
        if not set(self._said.values()) <= {"0", "1"}:
            raise self._wrong(list(self._said.values()), cut)
        return self._said


_TWO = "it gives two different vectors"
_HEAD = 120
_MOST_SHOWN = 5


def _count(number: int) -> str:
    return f"{number} value" if number == 1 else f"{number} values"


def _unparseable(why: str) -> ParseFailure:
    return ParseFailure(FailureKind.UNPARSEABLE, why)


def _values(run: str) -> list[str]:
    """Return the values of a run: "0" and "1", and what is neither as it was written."""
    values = [_plain(value[0]) for value in _VALUES.finditer(run)]
    return list(values[0]) if len(values) == 1 and _DIGITS.fullmatch(values[0]) else values


def _plain(value: str) -> str:
    """Return 1 for 1.0 and true, 0 for 0.0 and false; any other value as it was written."""
    if value in ("0", "1"):
        return value
    value = _WORDS.get(value.casefold(), value)
    return re.sub(r"^([01])\.0+$", r"\1", value)


_VECTORS = Kept[_Vectors]()


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels that a vector gives a 1.

    Raises:
        ParseFailure: There is no vector or there are two, its length or a value is wrong, or it was cut before its end.
    """
    return _VECTORS.of((), (space, output), lambda: _Vectors(space, output)).read(text, cut)


def render(
    labels: Collection[str],
    fields: Mapping[str, FieldValue],  # noqa: ARG001 - a vector carries no fields
    space: LabelSpace,
    output: Output,
) -> str:
    """Return a 0 or 1 for each label in label-space order, with the separator between them."""
    return _joined((name in labels for name in space.names), setting(output, OPTIONS, "separator"))


def _joined(values: Iterable[bool], separator: str) -> str:
    return separator.join("1" if value else "0" for value in values)


_SEPARATOR = regex(r"|[^\S\n]*[,;|/:，；、][^\S\n]*|[^\S\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+|\n")


def _problems(space: LabelSpace, output: Output) -> list[str]:  # noqa: ARG001 - any label space has vectors
    separator = setting(output, OPTIONS, "separator")
    if _SEPARATOR.fullmatch(separator):
        return []
    return [f"separator must be one of , ; | / : with or without spaces, white space, or empty, got {separator!r}."]


VECTOR = Format("vector", OPTIONS, parse, render, _problems, grammar=vector_grammar)
