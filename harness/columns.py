"""Which column of a labelled file holds the text, which hold the labels, and which the ids.

Names decide first, then what stands in the columns. Where more than one column could be meant nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import UsageError, did_you_mean, listing
from harness.labelcells import is_blank
from harness.labelspace import normalize
from harness.table import Table

TEXT_NAMES = (
    *("text", "review", "comment", "message", "body", "content", "description", "sentence", "feedback", "utterance"),
    *("tweet", "post", "document", "review text", "comment text", "texts", "ticket", "complaint"),
)
LABEL_NAMES = (
    *("labels", "label", "tags", "tag", "categories", "category", "topics", "topic", "classes", "class", "themes"),
    *("theme", "annotations", "annotation", "intents", "intent"),
)
_FLAGS = frozenset({"0", "1", "true", "false", "yes", "no", "0.0", "1.0"})

Shape = Literal["cells", "flags"]


class AmbiguousColumnsError(UsageError):
    """More than one column could be meant: somebody must choose.

    Attributes:
        option: The option that decides, without its dashes.
        question: What to ask a person.
        choices: What the option could be, most likely first.
    """

    def __init__(self, message: str, option: str, question: str, choices: Sequence[str]) -> None:
        super().__init__(message)
        self.option = option
        self.question = question
        self.choices = tuple(choices)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Columns that a person named; None leaves it to the names and contents."""

    text: str | None = None
    labels: tuple[str, ...] = ()
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Which column holds what.

    Attributes:
        shape: cells: each label column holds names. flags: each label column is a label and holds 0 or 1.
        others: All that is left, in order.
    """

    text: str
    labels: tuple[str, ...]
    shape: Shape
    id: str | None
    others: tuple[str, ...]


def find_columns(table: Table, wanted: Wanted) -> Found:
    """Return which column of a file holds what.

    Raises:
        UsageError: A column that was named is not there, or the label columns do not fit together.
        AmbiguousColumnsError: More than one column could be meant.
    """
    columns = _Columns(table)
    named = columns.check(wanted)
    identity = wanted.id or columns.id(named)
    text = wanted.text or columns.text({*named, identity})
    labels = columns.named_labels(wanted.labels) or columns.labels({text, identity})
    shape = columns.shape(labels)
    others = tuple(name for name in columns.names if name not in {text, identity, *labels})
    return Found(text, labels, shape, identity, others)


class _Columns:
    """The columns of a file by name, with their values."""

    def __init__(self, table: Table) -> None:
        self.path = table.path
        self.names = tuple(dict.fromkeys(column for _, row in table.seen for column in row))
        self.values: dict[str, list[Any]] = {
            name: [row[name] for _, row in table.seen if not is_blank(row.get(name))] for name in self.names
        }
        self.n_rows = len(table.seen)

    def check(self, wanted: Wanted) -> tuple[str, ...]:
        """Return the columns that were named, all of them known."""
        labels = self.named_labels(wanted.labels)
        named = [("--text", wanted.text), ("--id", wanted.id), *(("--labels", name) for name in labels)]
        for option, name in named:
            if name is not None and name not in self.names:
                raise UsageError(
                    f"{option} '{name}': must be a column of {self.path}: {listing(self.names, 30)}."
                    f"{did_you_mean(name, self.names)}"
                )
        used = [name for _, name in named if name is not None]
        if twice := next((name for name in used if used.count(name) > 1), None):
            raise UsageError(f"column '{twice}': must be named for one thing, got it twice. Name another.")
        return tuple(used)

    def named_labels(self, given: Sequence[str]) -> tuple[str, ...]:
        """Return the columns that ``--labels`` means: a name of a column, or several between commas."""
        parts = [[each] if each in self.names else each.split(",") for each in given]
        return tuple(name if name in self.names else name.strip() for part in parts for name in part)

    def id(self, taken: Sequence[str]) -> str | None:
        """Return the column called id, where its values tell all rows apart."""
        for name in self.names:
            if normalize(name) == "id" and name not in taken:
                values = [str(value) for value in self.values[name] if not isinstance(value, list | dict)]
                if len(set(values)) == self.n_rows:
                    return name
        return None

    def text(self, taken: set[str | None]) -> str:
        """Return the column of texts: by its name, else the only one that holds prose."""
        free = [name for name in self.names if name not in taken]
        found = [name for known in TEXT_NAMES for name in free if normalize(name) == known]
        if found and normalize(found[0]) == "text":
            return found[0]
        found = found or [name for name in free if self._is_prose(name)]
        if len(found) != 1:
            raise self._ambiguous("text", "Which column is the text?", found or free)
        return found[0]

    def labels(self, taken: set[str | None]) -> tuple[str, ...]:
        """Return the label columns: by name, else all 0/1 columns, else the only one that can be meant."""
        free = [name for name in self.names if name not in taken and self.values[name]]
        named = [name for known in LABEL_NAMES for name in free if normalize(name) == known]
        flags = [name for name in free if name not in named and self._is_flag(name)]
        if len(named) == 1 and len(flags) < 2:
            return (named[0],)
        if not named and len(flags) >= 2:
            return tuple(flags)
        lists = [name for name in free if any(isinstance(value, list) for value in self.values[name])]
        only = lists if len(lists) == 1 else free
        if not named and len(only) == 1:
            return (only[0],)
        joined = [",".join(flags)] if len(flags) >= 2 else []
        raise self._ambiguous("labels", "Which column holds the labels?", [*named, *joined] or free)

    def shape(self, labels: Sequence[str]) -> Shape:
        """Return how the label columns hold labels.

        Raises:
            UsageError: Some are 0/1 columns, others not.
        """
        flags = [name for name in labels if self._is_flag(name)]
        if len(labels) == 1:
            return "flags" if flags and normalize(labels[0]) not in LABEL_NAMES else "cells"
        if flags and len(flags) < len(labels):
            rest = [name for name in labels if name not in flags]
            raise UsageError(
                f"--labels: must be all columns of 0 and 1 or all columns of names, but {listing(flags)} "
                f"{'is' if len(flags) == 1 else 'are'} 0/1 and {listing(rest)} not. Leave out what is no label."
            )
        return "flags" if flags else "cells"

    def _is_flag(self, name: str) -> bool:
        values = self.values[name]
        return bool(values) and all(
            isinstance(value, str | int | float) and str(value).strip().casefold() in _FLAGS for value in values
        )

    def _is_prose(self, name: str) -> bool:
        """Return whether a column reads like texts: several words each, hardly ever the same."""
        values = self.values[name]
        if not values or not all(isinstance(value, str) for value in values):
            return False
        words = sum(len(value.split()) for value in values) / len(values)
        return words >= 4 and len(set(values)) > len(values) / 2

    def _ambiguous(self, option: str, question: str, choices: Sequence[str]) -> AmbiguousColumnsError:
        could = f"{listing(choices, 30)} could be it" if choices else "no column is left for it"
        wanted = "the text" if option == "text" else "the labels"
        return AmbiguousColumnsError(
            f"{self.path}: must have one column that is clearly {wanted}, but {could}. Give --{option} COLUMN.",
            option,
            question,
            choices,
        )
