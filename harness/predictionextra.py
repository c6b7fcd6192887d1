"""What a row of predictions says beside its labels: fields, and what `harness` itself writes of a prediction."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import Problems, did_you_mean, listing, shortened
from harness.labelcells import is_blank, literal
from harness.labelspace import LabelSpace
from harness.parsing.fieldvalues import MISSING, read_value
from harness.records import FailureKind, FieldValue

_OWN = frozenset({"failure", "why", "off_list", "unanswered", "fields", "asked_fields", "repaired"})
"""Columns that `harness` itself writes beside labels."""


@dataclass(frozen=True, slots=True)
class Extra:
    """What a row says beside labels and numbers.

    Attributes:
        failure: Why there is no answer, where the row says so.
        unanswered: Labels whose cells are said to be unanswered; None where the row tells nothing of single cells.
        fields: Fields that were answered.
        blank: Those of them whose cell is blank: nothing there, or no answer where there is none at all.
        asked_fields: As in `Prediction`, like the others.
    """

    failure: FailureKind | None = None
    why: str | None = None
    off_list: tuple[str, ...] = ()
    unanswered: frozenset[str] | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    blank: frozenset[str] = frozenset()
    asked_fields: tuple[str, ...] = ()
    repaired: bool = False


NO_EXTRA = Extra()


class ExtraReader:
    """Reads what stands beside the labels.

    Args:
        space: Its fields.
        columns: Column by field.
        problems: Takes what is wrong.
        find: Returns the label that a name in a line means; notes one that means none.

    Attributes:
        odd: By field, the lines whose value it cannot have.
    """

    def __init__(
        self,
        space: LabelSpace,
        columns: Mapping[str, str],
        problems: Problems,
        find: Callable[[str, int], str | None],
    ) -> None:
        self.space = space
        self.columns = columns
        self.problems = problems
        self.find = find
        self.odd: dict[str, list[int]] = {}

    def read(self, line: int, row: Mapping[str, Any]) -> Extra:
        """Return what a row says."""
        if not self.columns and row.keys().isdisjoint(_OWN):
            return NO_EXTRA
        given = {name: row[column] for name, column in self.columns.items() if column in row}
        inside = opened(row.get("fields"))
        if isinstance(inside, Mapping):
            given |= {name: value for name, value in inside.items() if self.space.field(name) is not None}
        asked = {*given, *self.columns, *(_listed(row.get("asked_fields")) or ())}
        unanswered = _listed(row.get("unanswered"))
        why = row.get("why")
        return Extra(
            self._failure(line, row.get("failure")),
            why if isinstance(why, str) and why.strip() else None,
            tuple(_listed(row.get("off_list")) or ()),
            None if unanswered is None else frozenset(filter(None, (self.find(each, line) for each in unanswered))),
            self._fields(line, given),
            frozenset(name for name, value in given.items() if is_blank(value)),
            tuple(each.name for each in self.space.fields if each.name in asked),
            str(row.get("repaired")).casefold() == "true",
        )

    def _fields(self, line: int, given: Mapping[str, Any]) -> dict[str, FieldValue]:
        said: dict[str, FieldValue] = {}
        for each in self.space.fields:
            if each.name in given:
                answer = read_value(each, given[each.name])
                if answer is MISSING:
                    self.odd.setdefault(each.name, []).append(line)
                else:
                    said[each.name] = answer
        return said

    def _failure(self, line: int, given: Any) -> FailureKind | None:
        kinds = list(FailureKind)
        if is_blank(given) or given in kinds:
            return None if is_blank(given) else FailureKind(given)
        near = did_you_mean(str(given), kinds)
        self.problems.add(f"'failure' must be one of {listing(kinds)}, got {told(given)}.{near}", line)
        return None


def told(value: Any) -> str:
    """Return a value as a message shows it: JSON, short."""
    return shortened(json.dumps(value, default=str, ensure_ascii=False))


def opened(cell: Any) -> Any:
    """Return what a cell holds: the list or object that is written in it, else the cell."""
    return literal(cell) if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{") else cell


def _listed(cell: Any) -> list[str] | None:
    """Return a list, also one that `harness run -o` or `harness label` wrote into a cell; None for anything else."""
    value = opened(cell)
    if isinstance(value, str):
        value = [part for part in value.split("; ") if part]
    return [str(each) for each in value] if isinstance(value, list) else None
