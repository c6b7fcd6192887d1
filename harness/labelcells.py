"""Label columns of an unknown file: what stands in their cells becomes lists of names, and spellings become labels."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from harness.errors import shortened
from harness.labelspace import NONE_WORD, is_visible, normalize

SEPARATORS = (",", ";", "|", "\n")
LONGEST_NAME = 200
"""Characters of a label's name; what is longer is no name but a sign of another separator or column."""

NEAR = 0.86
"""Similarity (`difflib`) from which two names are told as perhaps the same."""


def is_blank(value: Any) -> bool:
    """Return whether a cell holds nothing: null, NaN or blank text."""
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )


def listed(value: Any) -> list[str] | None:
    """Return the names in a list, also in one that is written as JSON or Python; None for any other cell.

    Raises:
        TypeError: Something in the list is no name.
    """
    if isinstance(value, str) and value.strip().startswith("["):
        value = literal(value.strip())
    if not isinstance(value, list):
        return None
    if not all(isinstance(each, str | int | float) for each in value):
        raise TypeError
    return only_names([name_of(each) for each in value])


def only_names(parts: Iterable[str]) -> list[str]:
    """Return the names without blanks around them; the none word alone is the empty list."""
    names = [part.strip() for part in parts if part.strip()]
    return [] if [normalize(name) for name in names] == [NONE_WORD] else names


def alternatives(value: Any) -> tuple[str, ...] | None:
    """Return the texts in a list, also in one that is written as JSON or Python; None for any other cell.

    Each stands once, in order. A list with something else in it than texts to see is none.
    """
    if isinstance(value, str) and value.strip().startswith("["):
        value = literal(value.strip())
    if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
        return None
    return tuple(dict.fromkeys(value))


def literal(text: str) -> Any:
    """Return the value that a text is in JSON or in Python, None when it is neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def name_of(value: str | float) -> str:
    """Return a value as the name of a label; a whole number stays one where a file made it a float."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def split_cell(cell: str, separator: str | None) -> list[str]:
    """Return the names in a cell of text."""
    return only_names([cell] if separator is None else cell.split(separator))


def detect_separator(cells: Sequence[str]) -> str | None:
    """Return what stands between the names in delimited cells, None where each cell is one name.

    The separator that leaves the fewest different names wins: names recur, combinations of them hardly do. Where splitting
    only makes more of them and whole cells recur, the mark belongs to the names (``Food, drink``).
    """
    whole = Counter(normalize(cell) for cell in cells)
    names = {
        mark: {normalize(name) for cell in whole for name in cell.split(mark) if name.strip()}
        for mark in SEPARATORS
        if any(mark in cell for cell in cells)
    }
    if "\n" in names:  # `normalize` makes a space of it
        names["\n"] = {normalize(name) for cell in cells for name in cell.split("\n") if name.strip()}
    if not names:
        return None
    best = min(names, key=lambda mark: len(names[mark]))
    if len(names[best]) <= len(whole):
        return best
    marked = Counter(cell for cell in cells if best in cell)
    repeated = sum(count > 1 for count in marked.values())
    return None if repeated * 2 > len(marked) else best


def is_vector(rows: Sequence[list[str] | None]) -> bool:
    """Return whether lists of labels are really rows of a 0/1 matrix, whose columns have no names here."""
    given = [row for row in rows if row is not None]
    widths = {len(row) for row in given}
    return (
        len(given) > 1 and len(widths) == 1 and widths != {1} and {each for row in given for each in row} == {"0", "1"}
    )


def name_problem(name: str) -> str | None:
    """Return why a name can be that of no label, None when it can."""
    if not is_visible(name):
        return f"a label must be visible text on one line, got {shortened(name)!a}. Rename it, or write '{NONE_WORD}'."
    if normalize(name) == NONE_WORD:
        return f"'{name}' says that no label applies, but others stand beside it. Remove it, or them."
    if len(name) > LONGEST_NAME:
        return (
            f"a label must have at most {LONGEST_NAME} characters, got '{shortened(name)}' with {len(name)}. "
            "Give --separator or --labels."
        )
    return None


def merged(spellings: Mapping[str, int]) -> tuple[dict[str, str], list[str]]:
    """Return the name that each spelling stands for, and notes on the spellings that are another's.

    Spellings that are equal after `normalize` are one label, called as it is written most often.
    """
    groups: dict[str, list[str]] = {}
    for spelling in spellings:
        groups.setdefault(normalize(spelling), []).append(spelling)
    name_by: dict[str, str] = {}
    notes = []
    for group in groups.values():
        name = max(group, key=lambda spelling: spellings[spelling])
        name_by |= dict.fromkeys(group, name)
        if others := [f"'{each}' ({spellings[each]})" for each in group if each != name]:
            notes.append(f"read as '{name}' ({spellings[name]}), the same but for case or joiners: {', '.join(others)}")
    return name_by, notes


def look_alikes(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of names that are perhaps one label; names that differ in their numbers alone are not."""
    forms = [normalize(name) for name in names]
    bare = ["".join(character for character in form if character.isalpha()) for form in forms]
    for at, second in enumerate(forms):
        matcher = SequenceMatcher(b=second)
        for before in range(at):
            if bare[before] == bare[at] and not _same_but_marks(forms[before], second):
                continue
            matcher.set_seq1(forms[before])
            near = matcher.real_quick_ratio() >= NEAR and matcher.quick_ratio() >= NEAR and matcher.ratio() >= NEAR
            if near or bare[before] == bare[at]:
                yield names[before], names[at]


def _same_but_marks(first: str, second: str) -> bool:
    """Return whether two forms have the same letters and digits, and at least one of them."""
    alike = [[character for character in form if character.isalnum()] for form in (first, second)]
    return bool(alike[0]) and alike[0] == alike[1]
