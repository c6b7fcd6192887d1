"""The API key kept out of what a server answers: some repeat it, and what they answer is written into files."""

from __future__ import annotations

import re
from typing import Any

from harness.jsonfiles import packed_value

PLACE = "[key]"
SHORTEST = 16
"""Keys below are words such as "none" or "EMPTY" that servers without keys are given: answers are full of them."""

SHORTEST_IN_ERRORS = 8
"""In errors, by which nothing is scored, a key of a small server is hidden too; below that are words such as "x", of which
other words are full."""

_ESCAPED = re.compile(r"\\(?:u00[2-7]|/)")
"""A printable ASCII character in an escape of JSON, behind which a key could hide."""


def unsaid(words: str, key: str | None) -> str:
    """Return a server's own words about an error with `PLACE` where the key stands in them."""
    return words.replace(key, PLACE) if key and len(key) >= SHORTEST_IN_ERRORS else words


def hidden(text: str, key: str | None) -> str:
    """Return a text with `PLACE` where the key stands in it."""
    return text.replace(key, PLACE) if key and len(key) >= SHORTEST else text


class Hiding:
    """The key kept out of bytes that come in pieces, also where it lies across two of them."""

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key and len(key) >= SHORTEST else b""
        self._held = b""

    def of(self, piece: bytes) -> bytes:
        """Return what can be said to be without the key, up to the end of this piece."""
        if not self._key:
            return piece
        whole = (self._held + piece).replace(self._key, PLACE.encode())
        begun = next(
            (n for n in range(min(len(self._key) - 1, len(whole)), 0, -1) if self._key.startswith(whole[-n:])), 0
        )
        self._held = whole[len(whole) - begun :]
        return whole[: len(whole) - begun]

    def rest(self) -> bytes:
        """Return what was held back, when no further piece comes."""
        return self._held


def decoded(answer: bytes, key: str | None) -> Any:
    """Return an answer's JSON value, or its text when it is some page and no JSON at all; the key is in neither.

    Of what a model says this alone is not kept as it came.

    Raises:
        ValueError: It is no UTF-8, or broken JSON.
        RecursionError: It nests too deep.
    """
    text = hidden(answer.decode("utf-8"), key)
    if text.lstrip()[:1] not in ("{", "[", ""):
        return text
    value = packed_value(text)
    return _without(value, key) if key and _ESCAPED.search(text) else value


def _without(value: Any, key: str) -> Any:
    if isinstance(value, str):
        return hidden(value, key)
    if isinstance(value, list):
        return [_without(each, key) for each in value]
    if isinstance(value, dict):
        return {hidden(name, key): _without(each, key) for name, each in value.items()}
    return value
