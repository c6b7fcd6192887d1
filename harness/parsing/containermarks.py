"""Where containers stand in a text: their prefixes and suffixes, found as models write them, and contents that hold them.

A mark is found in any case, with other white space or markup in it (``**LABELS:** <<`` is ``LABELS: <<``), and with other
joiners in its words (``<purchased item>`` is ``<purchased_item>``). A suffix that is a line break ends with the text too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.labelspace import Field, LabelSpace
from harness.parsing.cleaning import answer_text
from harness.regexes import regex

_JOINED = regex(r"(?<=[^\W_])[\s_\-]+(?=[^\W_])")
_TOKENS = regex(r"[^\W_]+|[^\w\s]|_")
_JOINT, _GAP = r"[\s_\-*`]{1,9}", r"[\s*_`]{0,9}"
_LINE_START = r"^[^\S\n]{0,9}(?:[*_#>`+•-]{1,6}[^\S\n]{0,3}){0,2}"

_EMPHASIS, _EMPHASIS_BEFORE = re.compile(r"[*_`]{1,3}"), re.compile(r"[*_`]{1,3}\Z")

_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": "\xa0"}
_ESCAPE = regex(rf"&(?:#(\d{{1,7}})|#x([0-9a-f]{{1,6}})|({'|'.join(_NAMED)}));", re.IGNORECASE)
_HELD_OPEN, _HELD_CLOSE = "\ue000", "\ue001"
_HELD = regex(f"{_HELD_OPEN}(\\d+){_HELD_CLOSE}")


@dataclass(frozen=True)
class Container:
    """One container.

    Attributes:
        name: "labels", or the name of a group or field.
        labels: The label space of what stands in it; None for a field.
        field: The field that stands in it; None for labels.
    """

    name: str
    prefix: str
    suffix: str
    delimiter: str
    labels: LabelSpace | None = None
    field: Field | None = None

    @property
    def ends_with_text(self) -> bool:
        """Whether the suffix is a mere line break, which a text need not have at its end."""
        return not self.suffix.strip()

    @cached_property
    def mark(self) -> re.Pattern[str]:
        """Finds the prefix anywhere."""
        return re.compile(_pattern(self.prefix), re.IGNORECASE)

    @cached_property
    def closing(self) -> re.Pattern[str]:
        """Finds the suffix."""
        if self.ends_with_text:
            return re.compile(r"[^\S\n]{0,9}".join(["\n"] * self.suffix.count("\n")))
        return re.compile(_pattern(self.suffix), re.IGNORECASE)

    @property
    def opening(self) -> str:
        """The pattern of the prefix where it opens the container: what ends with its line begins one too."""
        return (_LINE_START if self.ends_with_text else "") + _pattern(self.prefix)


@dataclass(frozen=True, slots=True)
class Found:
    """A container that was found in a text.

    Attributes:
        content: What stands in it; of one that is not closed, all up to the next prefix or the end of the text.
        closed: Its suffix is there.
        at_end: It goes up to the end of the text: only there can a line break be missing as a suffix.
        bounded: What follows is the end of the text, or a container on a line of its own.
    """

    container: Container
    start: int
    end: int
    content: str
    closed: bool
    at_end: bool
    bounded: bool


def _without_emphasis(
    content: str, container: Container, text: str, opening: re.Match[str], closing: re.Match[str] | None
) -> str:
    """Return a content without the signs that belong to an emphasis around its prefix or suffix: ``**Item:** lamp``."""
    mark = container.mark.search(text, opening.start(), opening.end())
    at = mark.start() if mark else opening.start()
    before = _EMPHASIS_BEFORE.search(text[max(0, at - 3) : at])
    if before:
        content = content.removeprefix(before[0])
    after = _EMPHASIS.match(text, closing.end()) if closing and not container.ends_with_text else None
    return content.removesuffix(after[0]) if after else content


def _ends_a_line(text: str) -> bool:
    return text.rstrip(" \t*_").endswith("\n")


def _pattern(mark: str) -> str:
    words = [_GAP.join(map(re.escape, _TOKENS.findall(part))) for part in _JOINED.split(mark.strip())]
    before = r"(?<![a-zA-Z0-9])" if _is_word(mark.strip()[:1]) else ""
    after = r"(?![a-zA-Z0-9])" if _is_word(mark.strip()[-1:]) else ""
    return before + _JOINT.join(words) + after


def _is_word(character: str) -> bool:
    return character.isascii() and character.isalnum()


class Marks:
    """Finds the containers of one layout in texts."""

    def __init__(self, containers: Sequence[Container]) -> None:
        self._containers = containers
        self._opening = re.compile(
            "|".join(f"(?P<c{at}>{each.opening})" for at, each in enumerate(containers)), re.IGNORECASE | re.MULTILINE
        )

    def scan(self, text: str) -> list[Found]:
        """Return the containers in a text, in order. A prefix ends what was opened before it."""
        found: list[Found] = []
        opening = self._opening.search(text)
        while opening:
            container = self._containers[int((opening.lastgroup or "c0")[1:])]
            following = self._opening.search(text, opening.end())
            limit = following.start() if following else len(text)
            closing = container.closing.search(text, opening.end(), limit)
            content = text[opening.end() : closing.start() if closing else limit]
            found.append(
                Found(
                    container,
                    start=opening.start(),
                    end=closing.end() if closing else limit,
                    content=_without_emphasis(content, container, text, opening, closing),
                    closed=closing is not None,
                    at_end=closing is None and following is None,
                    bounded=following is None or _ends_a_line(text[max(opening.end(), limit - 9) : limit]),
                )
            )
            opening = following
        return found

    def clean(self, text: str, cut: bool) -> str:
        """Return the part of a text in which the answer stands, as `answer_text`, which may touch none of the marks.

        Raises:
            ParseFailure: As `answer_text`.
        """
        taken = [each for each in self._containers if _taken_out(each)]
        if not taken:
            return answer_text(text, cut)
        held: list[str] = []

        def hold(mark: re.Match[str]) -> str:
            held.append(mark[0])
            return f"{_HELD_OPEN}{len(held) - 1}{_HELD_CLOSE}"

        safe = re.sub(_HELD_OPEN, hold, text)
        for each in taken:
            for pattern in [each.mark] if each.ends_with_text else [each.mark, each.closing]:
                safe = pattern.sub(hold, safe)
        return _HELD.sub(lambda mark: held[int(mark[1])], answer_text(safe, cut))

    def enclosed(self, container: Container, content: str) -> str:
        """Return a container with this content; where that holds a mark, signs of it are escaped (``&#60;``).

        Raises:
            ValueError: It could not be read back.
        """
        for written in self._spellings(container, content):
            text = f"{container.prefix}{written}{container.suffix}"
            found = self.scan(text)
            if len(found) == 1 and found[0].closed and unescaped(found[0].content).strip() == content.strip():
                return text
        raise ValueError(f"container {container.name} cannot hold {content!r}: it could not be told from its suffix")

    def _spellings(self, container: Container, content: str) -> Iterator[str]:
        plain = _ESCAPE.sub(lambda escape: f"&amp;{escape[0][1:]}", content)
        yield plain
        marked = plain
        for pattern in (*(each.mark for each in self._containers), container.closing):
            marked = pattern.sub(lambda mark: _escaped(mark[0][0]) + mark[0][1:], marked)
        yield marked
        yield "".join(map(_escaped, content))


def _taken_out(container: Container) -> bool:
    """Return whether the marks of a container are taken out of answers, as ``<answer>`` and ``<reasoning>`` are."""
    sample = f"x{container.prefix}x{container.suffix}x"
    return answer_text(sample, cut=False) != sample


def _escaped(character: str) -> str:
    return f"&#{ord(character)};"


def unescaped(text: str) -> str:
    """Return a content with its escapes (``&lt;``, ``&amp;``, ``&#60;``, …) as what they stand for."""
    return _ESCAPE.sub(_meant, text)


def _meant(escape: re.Match[str]) -> str:
    if escape[3]:
        return _NAMED[escape[3].lower()]
    code = int(escape[1]) if escape[1] else int(escape[2], 16)
    return chr(code) if code <= 0x10FFFF else escape[0]


def layout(space: LabelSpace, said: Mapping[str, Mapping[str, str] | None], fields: Sequence[str]) -> list[Container]:
    """Return the containers of an answer in the order in which they are written: labels, then fields.

    Args:
        space: The label space that is asked about.
        said: By container, what is said of it; what is not said has its default.
        fields: Names of the fields that are asked for.
    """
    groups = {name: labels for name, labels in space.groups.items() if name in said and name != "labels"}
    made = [_container(name, said, labels=space.only(labels)) for name, labels in groups.items()]
    made = made or [_container("labels", said, labels=space)]
    return made + [
        _container(each.name, said, field=each) for name in dict.fromkeys(fields) if (each := space.field(name))
    ]


def _container(
    name: str,
    said: Mapping[str, Mapping[str, str] | None],
    labels: LabelSpace | None = None,
    field: Field | None = None,
) -> Container:
    own = said.get(name) or {}
    return Container(
        name, own.get("prefix", f"<{name}>"), own.get("suffix", f"</{name}>"), own.get("delimiter", ","), labels, field
    )
