"""The one reader of field values: what a text or a JSON value says of a field, in every format that carries fields.

- "Nothing there" is an answer, for fields of every type: null, an empty text, or one of a closed list of words for it
  ("none", "n/a", "-", "not mentioned", …). A choice that has such a word among its values means that value by it.
- What a field cannot have ("angry" for happy, mad or mixed) is no answer: `MISSING`.
- A choice and a bool are found through quotes, emphasis and a full stop. A text is only trimmed: its signs may be its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, Literal

from harness.labelspace import Field, normalize
from harness.parsing.cleaning import INVISIBLE, encodable, peel
from harness.records import FieldValue


class Missing(Enum):
    """Says that a field was not answered: None would say that there is nothing there."""

    MISSING = "missing"


MISSING: Final[Literal[Missing.MISSING]] = Missing.MISSING

_TRUE = frozenset({"true", "yes", "y", "1", "✓", "✔", "✅", "☑"})
_FALSE = frozenset({"false", "no", "n", "0", "✗", "✘", "❌", "☐"})

_TOLD = ("mentioned", "specified", "stated", "given", "provided", "found")

# Closed on purpose: these say that there is nothing, and name nothing. "Unknown" says something else. "" is a dash.
_NOTHING = frozenset(
    {"", "\u2212", "[]", "none", "null", "nil", "n/a", "nothing", "unspecified", "not applicable", "not available"}
    | {f"{start} {told}" for start in ("not", "none", "nothing") for told in _TOLD}
)


def read_value(field: Field, given: Any) -> FieldValue | Missing:
    """Return what a text or a JSON value says of a field: a value of its type, None for "nothing there", or `MISSING`.

    `MISSING` goes in and comes out; lists and objects are no value of any field.
    """
    if given is None:
        return None
    if field.type == "text":
        return _read_text(given)
    flag = truth(given)
    if field.type == "bool" and flag is not None:
        return flag
    written = _written(given)
    if written is None:
        return MISSING
    if field.type == "choice":
        known = {normalize(value): value for value in field.values}
        found = next((known[form] for form in _forms(written) if form in known), None)
        if found is not None:
            return found
    return None if says_nothing(written) else MISSING


def _read_text(given: Any) -> FieldValue | Missing:
    written = None if isinstance(given, bool) else _written(given)
    if written is None:
        return MISSING
    return None if says_nothing(written) else encodable(written.strip())


def _written(given: Any) -> str | None:
    """Return a scalar as it would be written in a text; None for everything else."""
    if isinstance(given, bool):
        return "true" if given else "false"
    return str(given) if isinstance(given, str | int | float) else None


def says_nothing(text: str) -> bool:
    """Return whether a text means that there is nothing: blank, or one of the words for it, however it is dressed."""
    return not text.strip().strip(INVISIBLE).strip() or any(form in _NOTHING for form in _forms(text))


def truth(given: Any) -> bool | None:
    """Return what a value says as a bool: true, yes, y, 1 or a tick; false, no, n, 0 or a cross; None for all else."""
    if isinstance(given, int | float):
        return bool(given) if given in (0, 1) else None
    if not isinstance(given, str):
        return None
    forms = set(_forms(given))
    if forms & _TRUE:
        return True
    return False if forms & _FALSE else None


def _forms(text: str) -> Iterator[str]:
    """Yield the normalised text, then again with one more layer of decoration off; the likeliest reading first."""
    yield from map(normalize, peel(text))
    if core := text.strip().rstrip(".!。"):  # `peel` takes "1." for the number of an item
        yield normalize(core)
