"""Plain values as the text of a YAML file: what is new in a file that a person wrote, and will go on writing."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

_PLAIN = re.compile(r"[^\W\d](?:[\w ./+-]*[\w./+-])?")
_NO_WORD = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def scalar(text: str) -> str:
    """Return a text as a scalar on one line: as it is where that can only be a text, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _NO_WORD:
        return text
    return "".join(map(_printable, json.dumps(text, ensure_ascii=False)))


def _printable(character: str) -> str:
    """Return a character as it may stand in double quotes: what YAML takes for no character or a line end is escaped."""
    if unicodedata.category(character) in ("Cc", "Cf", "Cn", "Cs", "Zl", "Zp"):
        code = ord(character)
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def flow(value: Any) -> str:
    """Return plain values on one line: mappings in braces, lists in brackets."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(key))}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value) if isinstance(value, str) else json.dumps(value)


def indented(lines: Iterable[str], by: int) -> list[str]:
    """Return lines further to the right; empty ones stay empty, so that no white space is left at their ends."""
    return [" " * by + line if line.strip("\r\n") else line for line in lines]


def comment(text: str, width: int) -> list[str]:
    """Return a text as lines of comment, each at most ``width`` characters long where its words let it."""
    lines, line = [], "#"
    for word in "".join(character if character.isprintable() else " " for character in text).split():
        if len(line) + 1 + len(word) > width and line != "#":
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]
