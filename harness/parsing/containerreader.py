"""What the containers of a text say: which of them are the answer, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from harness.labelspace import Field, LabelSpace, normalize
from harness.parsing.cleaning import bare
from harness.parsing.containermarks import Container, Found, Marks, unescaped
from harness.parsing.fieldvalues import MISSING, Missing, read_value
from harness.parsing.formats import Output
from harness.parsing.headings import Heading, by_colon, heading_of, marked_heading
from harness.parsing.list import LIST
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.regexes import regex

_BLANK_LINE = regex(r"\n[^\S\n]*\n")
_BROKEN_TAG = regex(r"</[\w\s-]{0,40}>?\Z")
_ELEMENT = regex(r"<(label|item|li|value|name|tag|category|topic|class|theme)>([^<>]{1,300})</\1>", re.IGNORECASE)
_HEADING_REACH = 200
_MOST_CONTENTS = 50
"""Different contents of one container that are looked at; a text with more of them is no answer."""


class ContainerReader:
    """Reads texts for one layout.

    Attributes:
        containers: In the order in which they are written.
        marks: Finds them.
    """

    def __init__(self, containers: Sequence[Container], none: str) -> None:
        self.containers = containers
        self.marks = Marks(containers)
        self.none = none
        self._outputs = {each.name: Output("list", {"separator": each.delimiter, "none": none}) for each in containers}
        self._lists: dict[tuple[str, str], Answer | ParseFailure] = {}  # What was read in this text.

    def list_output(self, container: Container) -> Output:
        """Return the output with which the content of a container of labels is read and written as a list."""
        return self._outputs[container.name]

    def read(self, text: str, cut: bool) -> Answer:
        """Return what the containers of a text hold, as `harness.parsing.containers.parse` says."""
        self._lists.clear()
        body = self.marks.clean(text, cut)
        found, ended = self._this_answer(self.marks.scan(body), body)
        cut = cut and not ended
        if cut:
            self._check_end(found, body)
        labels: set[str] = set()
        off_list: list[str] = []
        fields: dict[str, FieldValue] = {}
        repaired = False
        failure: ParseFailure | None = None
        for each in self.containers:
            closed, opened = _occurrences(each, found, cut)
            if each.field is not None:
                value = self._field(each.field, closed, opened)
                if not isinstance(value, Missing):
                    fields[each.name] = value
                    repaired |= not closed
                continue
            result = self._labels(each, closed, opened, cut)
            off_list += result.off_list
            if isinstance(result, ParseFailure):
                failure = failure or result
            else:
                labels |= result.labels
                repaired |= not closed
        if failure is not None:
            raise ParseFailure(failure.kind, failure.why, tuple(dict.fromkeys(off_list)))
        return Answer(frozenset(labels), tuple(dict.fromkeys(off_list)), fields, repaired)

    def _this_answer(self, found: Sequence[Found], body: str) -> tuple[list[Found], bool]:
        """Return the containers that belong to the answer, and whether a new input follows it.

        What stands outside of them tells: the heading of a new input, behind all labels, ends the answer; one that
        announces an answer starts it again, and what stood before it counts only where the container does not stand again.
        """
        missing = {each.name for each in self.containers if each.labels is not None}
        opened: dict[str, Found] = {}
        tried = 0
        before: list[Found] = []
        after: list[Found] = []
        position = 0
        for each in [*found, None]:
            for heading in _headings(body[position : each.start if each else len(body)], first=position == 0):
                if heading is Heading.ANSWER and after:
                    before, after = _newest(before, after), []
                if heading is not Heading.INPUT or tried > _MOST_CONTENTS:
                    continue
                tried += len(opened)
                missing -= {name for name, one in opened.items() if self._mended(one.container, [one])}
                opened.clear()
                if not missing:
                    return _newest(before, after), True
            if each:
                after.append(each)
                position = each.end if each.closed else each.end - len(each.content)
                if each.closed:
                    missing.discard(each.container.name)
                elif each.container.labels is not None:
                    opened[each.container.name] = each
        return _newest(before, after), False

    def _check_end(self, found: Sequence[Found], body: str) -> None:
        """Refuse a cut text that ends in a container, unless that only began to say again what was said."""
        last = found[-1] if found else None
        if last is not None and last.at_end:
            said = [each for each in found if each.closed and each.container is last.container]
            if said and _begins(last, said[-1]):
                return
            raise _truncated(last.container)
        tail = _squeezed(body[last.end if last else 0 :][-_HEADING_REACH:])
        closed = {each.container.name for each in found if each.closed}
        for each in self.containers:
            if tail and each.name not in closed and _squeezed(each.prefix).startswith(tail):
                raise _truncated(each)

    def _labels(
        self, container: Container, closed: Sequence[Found], opened: Sequence[Found], cut: bool
    ) -> Answer | ParseFailure:
        if not closed:
            return self._mended(container, opened) or _without(container, opened, cut)
        contents = _contents(closed)
        last = self._list(container, contents[-1])
        earlier = contents[-_MOST_CONTENTS:-1]
        said = {each.labels for content in earlier if content and (each := self._answer(container, content))}
        if isinstance(last, Answer):
            later = bool(opened) and opened[-1].start > closed[-1].start and not _begins(opened[-1], closed[-1])
            again = self._mended(container, opened) if later else None
            said = (said | {again.labels} if again else said) - {last.labels}
        if said or len(contents) > _MOST_CONTENTS:
            why = f"container {container.name} stands there more than once, with different contents"
            return ParseFailure(FailureKind.UNPARSEABLE, why, last.off_list)
        return last

    def _answer(self, container: Container, content: str) -> Answer | None:
        result = self._list(container, content)
        return result if isinstance(result, Answer) else None

    def _list(self, container: Container, content: str) -> Answer | ParseFailure:
        """Return what a content says about labels; an empty one says that there is none."""
        key = (container.name, content)
        if key not in self._lists:
            self._lists[key] = self._read_list(container, content)
        return self._lists[key]

    def _read_list(self, container: Container, content: str) -> Answer | ParseFailure:
        if not content:
            return Answer(frozenset())
        # Each label may stand in an element of its own, as markup has lists.
        items = [item[2] for item in _ELEMENT.finditer(content)]
        if items and not _ELEMENT.sub("", content).strip(" \t\r\n,;"):
            content = "\n".join(items)
        try:
            return LIST.parse(content, container.labels or LabelSpace(()), self.list_output(container), False)
        except ParseFailure as failure:
            why = f"container {container.name}: {failure.why}"
            return ParseFailure(FailureKind.UNPARSEABLE, why, failure.off_list)

    def _mended(self, container: Container, opened: Sequence[Found]) -> Answer | None:
        """Return what stands behind the last prefix without a suffix: labels and nothing else, or None."""
        for content in _without_suffix(opened[-1]) if opened else ():
            answer = self._answer(container, content)
            if answer and not answer.off_list:
                return Answer(answer.labels, repaired=True)
        return None

    def _field(self, field: Field, closed: Sequence[Found], opened: Sequence[Found]) -> FieldValue | Missing:
        if not closed:
            sound = (each for each in _without_suffix(opened[-1]) if "\n" not in each) if opened else iter(())
            return read_value(field, next(sound, MISSING)) if opened and opened[-1].bounded else MISSING
        contents = _contents(closed)
        value = read_value(field, contents[-1])
        earlier = (read_value(field, each) for each in contents[-_MOST_CONTENTS:-1] if each.strip("-.… "))
        others = [each for each in earlier if each is not MISSING]
        same = all(_form(other) == _form(value) for other in others)
        return value if same and len(contents) <= _MOST_CONTENTS else MISSING


def _newest(before: list[Found], after: list[Found]) -> list[Found]:
    again = {each.container.name for each in after}
    return [each for each in before if each.container.name not in again] + after


def _headings(gap: str, first: bool) -> Iterator[Heading]:
    """Yield the headings in what stands between two containers; the rest of a container's line has none."""
    for line in gap.split("\n")[0 if first else 1 :]:
        heading = _heading(line.strip()[:_HEADING_REACH])
        if heading is not None:
            yield heading


@lru_cache(1_000)  # models that run on repeat the same lines
def _heading(line: str) -> Heading | None:
    split = by_colon(line)
    if split:
        return heading_of(bare(split[0]))
    return marked_heading(line) if line else None


def _occurrences(container: Container, found: Sequence[Found], cut: bool) -> tuple[list[Found], list[Found]]:
    """Return where a container stands with its suffix, and where without.

    A line break at the end of a text that was not cut is a suffix that nobody writes, where the container has no other.
    """
    here = [each for each in found if each.container is container]
    closed = [each for each in here if each.closed]
    opened = [each for each in here if not each.closed and (each.content.strip() or container.ends_with_text)]
    if container.ends_with_text and not closed and not cut and opened and opened[-1].at_end:
        return opened[-1:], opened[:-1]
    return closed, opened


def _contents(closed: Sequence[Found]) -> list[str]:
    """Return the different contents, each once and trimmed, in the order of their last occurrences."""
    last_first = dict.fromkeys(unescaped(each.content).strip() for each in reversed(closed))
    return list(last_first)[::-1]


def _without_suffix(opened: Found) -> Iterator[str]:
    """Yield what may be the content of a container without a suffix: all of it, then what stands before a blank line."""
    content = unescaped(opened.content).strip()
    for each in (content, _BLANK_LINE.split(content, 1)[0].strip()):
        if inside := _BROKEN_TAG.sub("", _without_half(each, opened.container.suffix.strip())).strip():
            yield inside


def _without_half(content: str, suffix: str) -> str:
    """Return a content without the half of a suffix at its end."""
    halves = (suffix[:length] for length in range(len(suffix) - 1, 0, -1))
    return next((content.removesuffix(half) for half in halves if content.endswith(half)), content)


def _begins(opened: Found, closed: Found) -> bool:
    """Return whether what was opened only began to say again what was said, up to within its suffix."""
    return _squeezed(closed.content + closed.container.suffix).startswith(_squeezed(opened.content))


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()


def _form(value: FieldValue | Missing) -> object:
    return normalize(value) if isinstance(value, str) else value


def _truncated(container: Container) -> ParseFailure:
    return ParseFailure(FailureKind.TRUNCATED, f"the text was cut before container {container.name} was closed")


def _without(container: Container, opened: Sequence[Found], cut: bool) -> ParseFailure:
    """Return why there is no answer where a container of labels is not there, or not closed."""
    if cut:
        return _truncated(container)
    state = "is never closed, and what follows is more than labels" if opened else "is missing"
    return ParseFailure(FailureKind.UNPARSEABLE, f"container {container.name} {state}")
