"""The lines of a list put together: which of them are the answer, and what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from harness.errors import listing
from harness.labelspace import normalize
from harness.parsing.cleaning import BULLET, bare
from harness.parsing.headings import (
    ANNOUNCING,
    Heading,
    behind_revision,
    behind_so,
    by_colon,
    by_verb,
    heading_key,
    heading_of,
    is_choice,
    is_marked,
    marked_heading,
)
from harness.parsing.lines import Line, LineReader
from harness.parsing.names import Item, Kind, Names
from harness.parsing.verdicts import is_flag
from harness.records import Answer, FailureKind, ParseFailure
from harness.regexes import regex

_FENCE = regex(r"(?:```|~~~)\w*")
_ARROW = regex(r"(?:=>|->|→|➡\ufe0f?|⇒|➔)\s*")
_FEWEST_FOR_ECHO = 3

# Who speaks, and what labels are of: they announce labels in a list, where other formats may mean something else by them.
_MORE = regex(
    r"\A(?:(?:#?[1-9]\d{0,2}|a|ai|assistant|model|bot|only|i(?:['’]d| would) (?:say|go with|choose|pick))\Z"
    r"|(?:(?:main|key|primary|secondary|other|customer|identified) )?(?:complaints?|issues?|themes?|problems?)"
    r"(?: (?:identified|found|raised))?\Z)"
)
_BY_AS = regex(
    r"(.{1,100}?\b(?:label(?:l?ed)?|classif(?:y|ied)|tag(?:ged)?|categori[sz]ed?)\b(?: (?:it|this|that)(?: \w+)?)?) (?:as )?"
)
_BY_WORD = regex(r"(?:the )?(?:labels?|tags?|topics?|categor(?:y|ies)|answer) +(?=[\w\"'*`])", re.IGNORECASE)
_REVISED = regex(r"\b(?:revised|corrected|updated)\b", re.IGNORECASE)
_MOST_HEADING_WORDS = 12


class _Headed(NamedTuple):
    """A line, with what its heading announces: None where it has no known one.

    Attributes:
        rest: What stands behind the heading, or the whole line.
        words: The words of the heading.
    """

    heading: Heading | None
    rest: str
    words: str = ""


@dataclass(slots=True)
class _Section:
    """What stands under one heading, or before all of them.

    Attributes:
        key: The heading's words, but for those that only count ("Label 1:", "Main topic:").
        words: All of them.
        announced: It is a heading of labels.
    """

    key: str = ""
    words: str = ""
    announced: bool = False
    answers: list[Item] = field(default_factory=list)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(item.name for item in self.answers if item.kind in (Kind.LABEL, Kind.UNCLEAR))


@dataclass(slots=True)
class _Findings:
    """What was read since the last heading that announced an answer.

    Attributes:
        sections: Labels, denied labels and the none word, by the headings that they stand under.
        open: A label behind which a line ended with a colon: the next line says what is said of it.
        revised: A line went back on what was said.
        off_list: What stands beside them and is no label.
        loose: Short words in paragraphs without any label: off-list only when there is no label at all.
        pending: Short words of this paragraph, off-list once it holds a label.
        in_paragraph: True when this paragraph holds a label.
    """

    sections: list[_Section] = field(default_factory=lambda: [_Section()])
    open: Item | None = None
    revised: bool = False
    off_list: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    in_paragraph: bool = False

    def end_paragraph(self) -> None:
        (self.off_list if self.in_paragraph else self.loose).extend(self.pending)
        self.pending, self.in_paragraph = [], False

    @property
    def answers(self) -> list[Item]:
        if len(self.sections) == 1:
            return self.sections[0].answers
        return [item for section in self.sections for item in section.answers]

    def begin(self, words: str, announced: bool) -> None:
        """Begin a section, or go on with one of the same heading."""
        key = heading_key(words)
        same = next((each for each in self.sections if each.key == key and each.words), None)
        section = same or _Section(key, words, announced)
        self.sections = [*(each for each in self.sections if each is not section), section]

    def settle(self, item: Item) -> None:
        """Put a judged item in the place of the open one."""
        answers = self.sections[-1].answers
        at = max(number for number, each in enumerate(answers) if each is self.open)
        answers[at], self.open = item, None

    @property
    def every(self) -> list[str]:
        return self.off_list + self.loose


class Sheet:
    """Takes the lines of a text one after the other, and says at the end what the answer is."""

    def __init__(self, names: Names, reader: LineReader) -> None:
        self._names = names
        self._reader = reader
        self._found = _Findings()
        self._headings: dict[str, _Headed] = {}  # Models that run on repeat the same lines.
        self._aside = False  # These lines belong to a heading that announced something else than the answer.
        self._skipped = False  # … and one of them was met.
        self._announced = False  # A heading announced labels that were not met yet.
        self._finished = False
        self._may_go_on = False

    def take(self, line: str) -> None:
        """Read the next line, trimmed."""
        if self._finished:
            return
        if not line:
            self._end_paragraph()
        elif self._reader.is_name(line):
            self._add(line)
        elif not _FENCE.fullmatch(line):
            if line not in self._headings:
                arrow = _ARROW.match(line)
                line = line[arrow.end() :] if arrow else line
                self._headings[line] = self._heading(line)
            if not self._goes_back(line):
                self._take_announced(self._headings[line], line)

    def _goes_back(self, line: str) -> bool:
        """Take a line that goes back on what was said, and return whether it is one: "Actually, only shipping."."""
        rest = behind_revision(line) if self._found.sections[-1].answers and not self._aside else None
        if rest is None:
            return False
        if _says_all(self._reader.read(rest)):
            self._found = _Findings()
            self._add(rest)
        elif self._headings[line].heading is not Heading.ANSWER:
            self._found.revised = True
        return self._headings[line].heading is not Heading.ANSWER or bool(self._found.answers)

    def _take_announced(self, headed: _Headed, line: str) -> None:
        """Read a line that may have a heading."""
        heading, rest, words = headed
        if heading is None:
            if words and self._found.answers and not self._aside:
                self._close()
                self._found.begin(words, announced=False)
            self._add(line)
        elif heading is Heading.INPUT:
            self._finished = bool(self._found.answers)
            self._may_go_on = False
        elif heading is Heading.ASIDE:
            self._close(rest)
            self._aside = not BULLET.match(line) and (not bare(rest) or rest.endswith(":"))
            self._skipped = self._may_go_on = False
        else:
            self._close()
            self._aside = False
            if heading is Heading.ANSWER or self._found.revised:
                self._found = _Findings()
            self._found.begin(words, announced=True)
            self._announced = True
            self._add(rest)

    def _heading(self, line: str) -> _Headed:
        """Return the heading of a line and what follows it. A line that starts with a label's name has none."""
        so = behind_so(line)
        if so is not None and not self._reader.names_in(line[: len(line) - len(so)]):
            concluded = self._heading(so)
            rest = concluded.rest if concluded.heading in ANNOUNCING else so
            if self._reader.read(rest).only_answers:
                return _Headed(Heading.ANSWER, rest, concluded.words)
        split = by_colon(line)
        if split:
            head, rest = split
            heading = None if self._reader.names_in(head) else self._announced_by(line, bare(head))
            if heading in ANNOUNCING:
                rest = self._behind_another(rest)
            is_one = heading is not None and self._may_announce(heading, rest, line)
            return _Headed(heading, rest, bare(head)) if is_one else _Headed(None, line, self._unknown(line))
        for split in (by_verb(line), _split(_BY_AS, line), _split(_BY_WORD, line)):
            if split:
                head, rest = split
                heading = None if self._reader.names_in(head) else heading_of(head)
                if heading in ANNOUNCING and self._reader.read(rest).only_answers:
                    return _Headed(heading, rest, head)
        heading = marked_heading(line, _MORE)
        return _Headed(heading, "", bare(line)) if heading else _Headed(None, line, self._unknown(line))

    def _announced_by(self, line: str, head: str) -> Heading | None:
        """Return what the words before a colon announce; where they begin a label's name, they are none of a list alone."""
        heading = heading_of(head)
        if heading is None and _MORE.match(head.casefold()) and self._names.explained(line) is None:
            heading = heading_of(head, _MORE)
        return heading

    def _unknown(self, line: str) -> str:
        """Return the words of a heading on a line of its own that may announce anything: "## Praise", "What is fine:"."""
        is_heading = not BULLET.match(line) and (line.rstrip(" *_").endswith((":", "：")) or is_marked(line))
        words = bare(line) if is_heading else ""
        return words if len(words.split()) <= _MOST_HEADING_WORDS and not self._reader.read(line).answers else ""

    def _behind_another(self, rest: str) -> str:
        """Return what stands behind a second heading: "Final answer: The final answer is …"."""
        split = by_verb(rest)
        if split and heading_of(split[0]) in ANNOUNCING and self._reader.read(split[1]).only_answers:
            return split[1]
        return rest

    def _may_announce(self, heading: Heading, rest: str, line: str) -> bool:
        """Return whether a heading is one where it stands: an item of a list may hold a heading's words by chance."""
        if heading is Heading.ASIDE or not BULLET.match(line):
            return True
        return heading is not Heading.INPUT and self._reader.read(rest).answers

    def _add(self, text: str) -> None:
        """Add what a line, or the rest of one behind its heading, says."""
        if self._aside:
            self._skipped = True
            return
        line = self._reader.read(text)
        found = self._found
        if text and found.open is not None:
            if line.answers:
                self._close()
            elif self._close(text) or is_flag(text):
                return
        if line.answers:
            found.sections[-1].answers += [item for item in line.items if item.kind is not Kind.OTHER]
            found.in_paragraph = True
            self._announced = False
            last = line.items[-1]
            if last.kind is Kind.LABEL and last.opener == ":" and not last.explanation:
                found.open = last
        elif not line.bulleted and self._reader.is_prose(text):
            self._may_go_on = self._reader.searches
            return
        self._may_go_on = line.may_go_on and (found.in_paragraph or line.bulleted)
        off_list = [item.name for item in line.items if item.kind is Kind.OTHER]
        (found.off_list if line.bulleted else found.pending).extend(off_list)

    def _close(self, explanation: str = "") -> bool:
        """Judge the label that a line ended with, by what stands on the next one; return whether it does not give it."""
        found = self._found
        if found.open is None:
            return False
        explanation = bare(explanation)
        judged = replace(found.open, explanation=explanation, kind=Kind.UNCLEAR)
        judged = self._names.judged(replace(judged, kind=Kind.LABEL)) if explanation else judged
        found.settle(judged)
        return judged.kind is not Kind.LABEL

    def _end_paragraph(self) -> None:
        self._found.end_paragraph()
        # Reasons given first end with their paragraph. Those given after the labels go on to the next heading.
        self._aside = self._aside and (bool(self._found.answers) or not self._skipped)

    def answer(self, cut: bool, ended: bool) -> Answer:
        """Return what the lines say.

        Args:
            cut: The text was cut off.
            ended: Its last line was ended.

        Raises:
            ParseFailure: They say nothing, or two things, or were cut before their end.
        """
        self._end_paragraph()
        found = self._found
        if cut and (not found.answers or self._announced or found.open or (self._may_go_on and not ended)):
            raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before the list was complete")
        self._close()
        answers = self._chosen()
        labels = frozenset(item.name for item in answers if item.kind is Kind.LABEL)
        denied = frozenset(item.name for item in answers if item.kind is Kind.DENIED)
        off_list = tuple(dict.fromkeys(found.off_list if found.answers else found.every))
        said_none = any(item.kind is Kind.NONE for item in answers) or denied.issuperset(self._names.space.names)
        why = self._contradiction(answers, labels, denied, said_none) or (self._echo(answers) if labels else None)
        if not why and not labels and not said_none:
            why = f"only off-list labels: {listing(off_list)}" if off_list else "no label and no explicit none in it"
        if why:
            raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)
        return Answer(labels, off_list)

    def _chosen(self) -> list[Item]:
        """Return what counts of several lists: the last one where it chooses among what stands before it, else all."""
        *before, last = [each for each in self._found.sections if each.names] or [_Section()]
        earlier = [item for each in before for item in each.answers]
        among = frozenset().union(*(each.names for each in before))
        chooses = is_choice(last.words, [each.words for each in before])
        # What stands before may be a walk through the labels, with a word on each of them.
        walked = not any(each.announced for each in before) and all(item.explanation for item in earlier)
        is_last = _REVISED.search(last.words) or (last.names < among and (chooses or walked))
        return last.answers if before and last.announced and is_last else self._found.answers

    def _differs(self, answers: Sequence[Item]) -> bool:
        """Return whether lists under different headings differ: nobody can say which is meant, or whether all are."""
        lists = [each.names for each in self._found.sections if each.names]
        return len(set(lists)) > 1 and len(answers) == len(self._found.answers)

    def _contradiction(
        self, answers: Sequence[Item], labels: frozenset[str], denied: frozenset[str], said_none: bool
    ) -> str | None:
        unclear = {item.name for item in answers if item.kind is Kind.UNCLEAR}
        if self._found.revised:
            return "it goes back on what it said, and gives no new answer"
        if unclear == {""}:
            return "a yes or no stands in it that is said of no label"
        if self._differs(answers):
            return "it gives two different lists under two headings"
        if unclear:
            named = self._names.space.ordered(unclear - {""})
            return f"it is not clear whether it gives or denies {listing(named)}"
        if labels and said_none:
            return f"it says none, and {listing(self._names.space.ordered(labels))}"
        both = self._names.space.ordered(labels & denied)
        return f"it both gives and denies {listing(both)}" if both else None

    def _echo(self, answers: Sequence[Item]) -> str | None:
        """Return why this is no answer when it is the prompt's list of labels, each with its description."""
        space = self._names.space
        explained = [item for item in answers if item.explanation]
        if len(space) < _FEWEST_FOR_ECHO or len({item.name for item in explained}) < len(space):
            return None
        descriptions = {label.name: normalize(label.description) for label in space}
        echoed = {item.name for item in explained if descriptions[item.name].startswith(normalize(item.explanation))}
        return "it repeats the list of labels with their descriptions" if len(echoed) == len(space) else None


def _says_all(line: Line) -> bool:
    """Return whether a line gives labels, or says none, and nothing else."""
    return line.only_answers and all(
        item.kind in (Kind.LABEL, Kind.NONE) and not item.explanation for item in line.items
    )


def _split(pattern: re.Pattern[str], line: str) -> tuple[str, str] | None:
    found = pattern.match(line)
    return (line[: found.end()].strip(), line[found.end() :].strip()) if found else None
