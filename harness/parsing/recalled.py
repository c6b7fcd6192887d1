"""What was read before, in bounded room: thousands of answers are made of the same few texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from harness.labelspace import LabelSpace
    from harness.parsing.formats import Output
    from harness.records import Answer, ParseFailure

_Value = TypeVar("_Value")

MOST_PIECES = 2**21
"""Room for what pieces of texts mean, for one label space: characters, and `PER_TEXT` of them a piece beside its own."""

MOST_ANSWERS = 2**23
"""Room for whole answers, of all label spaces together: characters, and `PER_ANSWER` of them beside the text's own."""

PER_TEXT = 256
PER_ANSWER = 640
"""Bytes that an entry takes beside its text, with what it says."""


class Recalled(dict[str, _Value]):
    """What a function makes of texts, made once for those that come often: it forgets all when its room is full."""

    def __init__(self, make: Callable[[str], _Value], room: int = MOST_PIECES) -> None:
        super().__init__()
        self._make = make
        self._room = self._left = room

    def __missing__(self, text: str) -> _Value:
        value = self._make(text)
        self._left -= len(text) + PER_TEXT
        if self._left < 0:
            self.clear()
            self._left = self._room
        self[text] = value
        return value


class Answers:
    """Answers by what was read and with what: label spaces and outputs are the same by identity."""

    def __init__(self, room: int = MOST_ANSWERS) -> None:
        self._room = self._left = room
        self._known: dict[tuple[str, bool, int, int], tuple[Answer | ParseFailure, LabelSpace, Output]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(
        self,
        text: str,
        space: LabelSpace,
        output: Output,
        cut: bool,
        read: Callable[[str, LabelSpace, Output, bool], Answer | ParseFailure],
    ) -> Answer | ParseFailure:
        """Return what ``read`` reads in a text, as before where it was read before."""
        key = (text, cut, id(space), id(output))
        found = self._known.get(key)
        if found is None:
            self._left -= len(text) + PER_ANSWER
            if self._left < 0:
                self._known.clear()
                self._left = self._room
            # They are kept with it, so that no other label space or output can take their place in the memory.
            found = self._known[key] = (read(text, space, output, cut), space, output)
        return found[0]
