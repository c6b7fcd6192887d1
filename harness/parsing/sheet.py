"""The lines of a list put together: which of them are the answer, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.errors import listing
from harness.labelspace import normalize
from harness.parsing.cleaning import BULLET, bare
from harness.parsing.headings import ANNOUNCING, Heading, by_colon, by_verb, heading_of, marked_heading
from harness.parsing.lines import LineReader
from harness.parsing.names import Item, Kind, Names
from harness.records import Answer, FailureKind, ParseFailure

_FENCE = re.compile(r"(?:```|~~~)\w*")
_FEWEST_FOR_ECHO = 3


@dataclass(slots=True)
class _Findings:
    """What was read since the last heading that announced an answer.

    Attributes:
        answers: Labels, denied labels and the none word.
        off_list: What stands beside them and is no label.
        loose: Short words in paragraphs without any label: off-list only when there is no label at all.
        pending: Short words of this paragraph, off-list once it holds a label.
        in_paragraph: True when this paragraph holds a label.
    """

    answers: list[Item] = field(default_factory=list)
    off_list: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    in_paragraph: bool = False

    def end_paragraph(self) -> None:
        (self.off_list if self.in_paragraph else self.loose).extend(self.pending)
        self.pending, self.in_paragraph = [], False

    @property
    def every(self) -> list[str]:
        return self.off_list + self.loose


class Sheet:
    """Takes the lines of a text one after the other, and says at the end what the answer is."""

    def __init__(self, names: Names, reader: LineReader) -> None:
        self._names = names
        self._reader = reader
        self._found = _Findings()
        self._headings: dict[str, tuple[Heading | None, str]] = {}  # Models that run on repeat the same lines.
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
                self._headings[line] = self._heading(line)
            self._take_announced(*self._headings[line], line)

    def _take_announced(self, heading: Heading | None, rest: str, line: str) -> None:
        """Read a line that has ``rest`` behind its heading."""
        if heading is None:
            self._add(line)
        elif heading is Heading.INPUT:
            self._finished = bool(self._found.answers)
            self._may_go_on = False
        elif heading is Heading.ASIDE:
            self._aside = not BULLET.match(line) and (not bare(rest) or rest.endswith(":"))
            self._skipped = self._may_go_on = False
        else:
            self._aside = False
            if heading is Heading.ANSWER:
                self._found = _Findings()
            self._announced = True
            self._add(rest)

    def _heading(self, line: str) -> tuple[Heading | None, str]:
        """Return the heading of a line and what follows it. A line that starts with a label's name has none."""
        split = by_colon(line)
        if split:
            head, rest = split
            heading = None if self._reader.names_in(head) else heading_of(bare(head))
            if heading in ANNOUNCING:
                rest = self._behind_another(rest)
            return (heading, rest) if heading and self._may_announce(heading, rest, line) else (None, line)
        split = by_verb(line)
        if split:
            head, rest = split
            heading = None if self._reader.names_in(head) else heading_of(head)
            if heading in ANNOUNCING and self._reader.read(rest).only_answers:
                return heading, rest
        heading = marked_heading(line)
        return (heading, "") if heading else (None, line)

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
        if line.answers:
            found.answers += [item for item in line.items if item.kind is not Kind.OTHER]
            found.in_paragraph = True
            self._announced = False
        elif not line.bulleted and self._reader.is_prose(text):
            self._may_go_on = self._reader.searches
            return
        self._may_go_on = line.may_go_on and (found.in_paragraph or line.bulleted)
        off_list = [item.name for item in line.items if item.kind is Kind.OTHER]
        (found.off_list if line.bulleted else found.pending).extend(off_list)

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
        answers = self._found.answers
        if cut and (not answers or self._announced or (self._may_go_on and not ended)):
            raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before the list was complete")
        labels = frozenset(item.name for item in answers if item.kind is Kind.LABEL)
        denied = frozenset(item.name for item in answers if item.kind is Kind.DENIED)
        off_list = tuple(dict.fromkeys(self._found.off_list if answers else self._found.every))
        said_none = any(item.kind is Kind.NONE for item in answers) or denied.issuperset(self._names.space.names)
        why = self._contradiction(labels, denied, said_none) or (self._echo() if labels else None)
        if not why and not labels and not said_none:
            why = f"only off-list labels: {listing(off_list)}" if off_list else "no label and no explicit none in it"
        if why:
            raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)
        return Answer(labels, off_list)

    def _contradiction(self, labels: frozenset[str], denied: frozenset[str], said_none: bool) -> str | None:
        unclear = {item.name for item in self._found.answers if item.kind is Kind.UNCLEAR}
        if unclear:
            return f"it is not clear whether it gives or denies {listing(self._names.space.ordered(unclear))}"
        if labels and said_none:
            return f"it says none, and {listing(self._names.space.ordered(labels))}"
        both = self._names.space.ordered(labels & denied)
        return f"it both gives and denies {listing(both)}" if both else None

    def _echo(self) -> str | None:
        """Return why this is no answer when it is the prompt's list of labels, each with its description."""
        space = self._names.space
        explained = [item for item in self._found.answers if item.explanation]
        if len(space) < _FEWEST_FOR_ECHO or len({item.name for item in explained}) < len(space):
            return None
        descriptions = {label.name: normalize(label.description) for label in space}
        echoed = {item.name for item in explained if descriptions[item.name].startswith(normalize(item.explanation))}
        return "it repeats the list of labels with their descriptions" if len(echoed) == len(space) else None
