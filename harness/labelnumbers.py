"""Numbers in label cells: 0 and 1, or probabilities. Which of them a file has is known when all of it is read."""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from harness.labelspace import LabelSpace
from harness.records import Shared, Weights
from harness.samples import NO, YES

_NONE = math.nan
"""Stands for a cell without a number."""

_BLANK = -1.0
"""Stands for a blank cell of a sheet, which is a 0 among flags, as in sample files, and none among probabilities."""

_SHORT = 8
"""Characters of a number below 1 that has six digits at most: it needs no rounding."""


class LabelNumbers:
    """Reads the label cells of a file, and says which labels their numbers mean.

    Attributes:
        outside: By column, the lines whose cell is neither 0 or 1 nor between them.
        fraction: Line and column of the first number between 0 and 1; None while there is none.
    """

    def __init__(self, space: LabelSpace, shared: Shared) -> None:
        self.space = space
        self.shared = shared
        self.outside: dict[str, list[int]] = {}
        self.fraction: tuple[int, str] | None = None

    def read(self, line: int, cells: Sequence[Any], columns: Sequence[str]) -> array[float]:
        """Return the cells of a row, in label-space order; `labels` and `probabilities` say what they mean.

        A probability is rounded as `harness.parsing.deciding.rounded` does it.
        """
        try:
            values = list(map(float, cells))
            usual = min(values) >= 0 and max(values) <= 1 and not math.isnan(sum(values))
        except (TypeError, ValueError):
            usual = False
        if not usual:
            values = [self._number(line, cell, column) for cell, column in zip(cells, columns, strict=True)]
        if values.count(0.0) + values.count(1.0) < len(values):
            if self.fraction is None:
                odd = (column for value, column in zip(values, columns, strict=True) if 0 < value < 1)
                self.fraction = next(((line, column) for column in odd), None)
            if not _are_short(cells):
                values = list(map(float, ("%.6g " * len(values) % tuple(values)).split()))
        return array("d", values)

    def _number(self, line: int, cell: Any, column: str) -> float:
        told = str(cell).strip().casefold()
        if not told:
            return _BLANK
        if told in ("none", "nan", "null"):
            return _NONE
        if told in YES or told in NO:
            return float(told in YES)
        try:
            value = float(told)
        except ValueError:
            value = _NONE
        if 0 <= value <= 1:
            return value
        self.outside.setdefault(column, []).append(line)
        return _NONE

    def labels(self, values: array[float], threshold: float | None) -> tuple[frozenset[str] | None, frozenset[str]]:
        """Return the labels that the numbers of a row mean, and those that have no number.

        Args:
            values: What `read` returned.
            threshold: From which probability on a label is present; None where the numbers are 0 and 1.

        Returns:
            None in the place of the labels where no label has a number.
        """
        least = 1.0 if threshold is None else threshold
        present = self.shared.labels(itertools.compress(self.space.names, map(float(least).__le__, values)))
        if _is_whole(values):
            return present, self.shared.labels(())
        if not any(value >= 0 for value in values):
            return None, frozenset(self.space.names)
        enough = _BLANK if threshold is None else 0.0
        named = zip(self.space.names, values, strict=True)
        return present, self.shared.labels(name for name, value in named if not value >= enough)

    def probabilities(self, values: array[float], unanswered: frozenset[str]) -> Mapping[str, float]:
        """Return P(label) of the answered labels that have one."""
        if not unanswered and _is_whole(values):
            return Weights(self.space.index, values)
        named = zip(self.space.names, values, strict=True)
        return {name: value for name, value in named if value >= 0 and name not in unanswered}


def _are_short(cells: Sequence[Any]) -> bool:
    """Return whether all cells are text of few characters."""
    try:
        return max(map(len, cells)) <= _SHORT
    except TypeError:  # numbers
        return False


def _is_whole(values: array[float]) -> bool:
    """Return whether every label has a number."""
    return min(values) >= 0 and not math.isnan(sum(values))
