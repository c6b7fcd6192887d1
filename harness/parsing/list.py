"""The format `list`: label names between separators, or on lines of their own; ``none`` for the empty set.

How a text is read, line by line:

- A heading ("Labels:", "The labels that apply are:") may stand before the labels. A heading that announces an answer
  ("Final answer:") starts the reading again, so that a model may reason first; one that announces something else
  ("Explanation:", "Labels that do not apply:") takes its lines out; a new input ("Text:") after the labels ends it.
- A line is split at the separator, and the longest run of pieces that is a name wins. What follows a name behind a
  colon, a dash, a bracket or a full stop is an explanation: it gives the label, denies it or leaves it unclear (`verdicts`).
  What is unclear fails the answer.
- Lists under two headings that differ fail, unless the last one chooses or corrects. So does a line that goes back on what
  was said ("Actually, …") and gives no answer itself, and labels behind unknown words ("Seller: price").
- Objects of JSON are read as the format `json` reads them.
- A line that holds no label and reads as prose is passed over. What is short and stands beside labels is off-list.
- In a Markdown table whose first column is headed as one of labels, each row is a label with an explanation ("| a | no |").
- With ``search: true`` such lines are searched for labels (`mentions`): "It is about shipping, not about the price".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from harness.kept import Kept
from harness.labelspace import NONE_WORD, LabelSpace
from harness.parsing.cleaning import LINE_ENDS, answer_text
from harness.parsing.formats import Format, Output, none_problems, setting
from harness.parsing.grammars import list_grammar
from harness.parsing.lines import LineReader
from harness.parsing.names import names_of
from harness.parsing.sheet import Sheet
from harness.parsing.tables import without_tables
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.regexes import regex

OPTIONS: Mapping[str, Any] = {"separator": ",", "none": NONE_WORD, "search": False}

_NO_SEPARATOR = regex(r"[\w\"'`\[\](){}\\]")


_OBJECT = regex(r"\[\s*\{|\{\s*([\"'])[^\"'\n{}]{1,100}\1\s*:")
"""The beginning of an object of JSON, or of an array of some: what it says of labels, only its form tells."""

_TAME = regex(r"\w+(?:[ -]\w+)*")
_UNTAME = frozenset(["is", "are", "would", "and", "und", "et", "y", "e", "en", "och", "и", "plus"])
"""Words by which a line may be more than its names."""


class _Lists:
    """Reads lists for one label space and the options of one output."""

    def __init__(self, space: LabelSpace, output: Output) -> None:
        self.space = space
        self.separator: str = setting(output, OPTIONS, "separator")
        self.none: str = setting(output, OPTIONS, "none")
        self._names = names_of(space, self.none)
        self._json = Output("json", {"none": self.none})
        search: bool = setting(output, OPTIONS, "search")
        mentions = None
        if search:
            from harness.parsing.mentions import mentions_of  # its patterns take a while to compile

            mentions = mentions_of(space)
        self._reader = LineReader(self._names, self.separator, mentions)
        tame = (name for name in space.names if _TAME.fullmatch(name) and _UNTAME.isdisjoint(name.casefold().split()))
        no_name_has_commas = self.separator.strip(" ") == "," and self._names.pieces(",") == 1
        self._tame = frozenset(tame if no_name_has_commas else ())

    def read(self, text: str, cut: bool) -> Answer:
        """Return the answer in a text; raises `ParseFailure` as `parse` does."""
        if not cut and text:
            # Names as they are, and nothing else: what most answers are. They are read as below, only sooner.
            names = frozenset(text.split(", "))
            if names <= self._tame:
                return Answer(names)
        sheet = Sheet(self._names, self._reader)
        body = answer_text(text, cut)
        lines = LINE_ENDS.split(body)
        found = _OBJECT.search(body)
        if found and self._is_json(body, found.start()):
            from harness.parsing.json import JSON  # few lists are written so

            return JSON.parse(body, self.space, self._json, cut)
        for line in without_tables(lines):
            sheet.take(line.strip())
        # A line end behind the labels says that they are complete, wherever the text was cut after it.
        return sheet.answer(cut, ended=not lines[-1].strip())

    def _is_json(self, body: str, begin: int) -> bool:
        """Return whether an object of JSON, or an array of some, that begins at a place is all of the answer.

        Raises:
            ParseFailure: Labels stand behind it too.
        """
        end = 1 + max(body.rfind("}"), body.rfind("]"))
        if self._says_labels(body[:begin]):
            return False
        if self._says_labels(body[max(begin, end) :]):
            raise ParseFailure(FailureKind.UNPARSEABLE, "labels stand both in JSON and behind it")
        return True

    def _says_labels(self, text: str) -> bool:
        return any(self._reader.read(line.strip()).answers for line in LINE_ENDS.split(text))

    def reads_as(self, text: str, names: Collection[str]) -> bool:
        try:
            answer = self.read(text, cut=False)
        except ParseFailure:
            return False
        return answer.labels == set(names) and not answer.off_list

    def write(self, names: list[str]) -> str:
        if not names:
            return self.none
        written = next((text for text in self._spellings(names) if self.reads_as(text, names)), None)
        # On a line of its own every name is read as it is: the last resort for names that look like two others.
        return "\n".join(names) if written is None else written

    def _spellings(self, names: list[str]) -> Iterator[str]:
        joint = self.separator if self.separator.isspace() else f"{self.separator.rstrip(' ')} "
        quoted = [f'"{name}"' for name in names]
        plain = [
            name if self.separator.strip(" ") not in name and self.reads_as(name, [name]) else in_quotes
            for name, in_quotes in zip(names, quoted, strict=True)
        ]
        yield joint.join(plain)
        yield joint.join(quoted)


_LISTS = Kept[_Lists]()


def _lists(space: LabelSpace, output: Output) -> _Lists:
    """Return the reader of lists for a label space and an output, made once."""
    return _LISTS.of((), (space, output), lambda: _Lists(space, output))


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels that a list names.

    Raises:
        ParseFailure: It names no label and does not say none, it says both, or it was cut before its end.
    """
    return _lists(space, output).read(text, cut)


def render(
    labels: Collection[str],
    fields: Mapping[str, FieldValue],  # noqa: ARG001 - a list carries no fields
    space: LabelSpace,
    output: Output,
) -> str:
    """Return the labels in label-space order, or the none word; a name is quoted where it could be misread."""
    return _lists(space, output).write(space.ordered(labels))


def _problems(space: LabelSpace, output: Output) -> list[str]:
    lists = _lists(space, output)
    separator, none = lists.separator, lists.none
    if not separator.strip(" ") or _NO_SEPARATOR.search(separator):
        return [f"separator must be a punctuation mark or a line break, got {separator!r}: names are made of the rest."]
    found = none_problems(none, space)
    if separator.strip(" ") in none:
        found.append(f"none must not hold the separator {separator!r}, got {none!r}.")
    return found or [
        f"label '{name}' cannot be read back from a list. Rename it, or use format json."
        for name in space.names
        if not lists.reads_as(lists.write([name]), [name])
    ]


LIST = Format("list", OPTIONS, parse, render, _problems, grammar=list_grammar)
