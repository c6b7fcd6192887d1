"""Numbers in label cells: 0 and 1, or probabilities. Which of them a file has is known when all of it is read."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.labelspace import LabelSpace
from harness.metrics import BoolVector, FloatVector
from harness.parsing.deciding import rounded
from harness.records import Shared, Weights
from harness.samples import NO, YES

_NONE = math.nan
"""Stands for a cell without a number."""

_BLANK = -1.0
"""Stands for a blank cell of a sheet, which is a 0 among flags, as in sample files, and none among probabilities."""

_DIGITS = 6
"""Significant digits of a probability, as `harness.parsing.deciding.rounded` keeps them."""

_POWERS = np.array([float(f"1e{power}") for power in range(23)])
"""The powers of ten that a float has exactly."""

_DOUBT = 1e-6
"""How near to the middle between two whole numbers one is that arithmetic may round to the wrong side."""


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
            values = np.array(list(map(float, cells)))
            usual = bool(values.min() >= 0 and values.max() <= 1)  # of NaN neither is true
        except (TypeError, ValueError):
            usual = False
        if not usual:
            values = np.array([self._number(line, cell, column) for cell, column in zip(cells, columns, strict=True)])
        between = (values > 0) & (values < 1)
        if between.any():
            if self.fraction is None:
                self.fraction = line, columns[int(between.argmax())]
            values[between] = rounded_all(values[between])
        return array("d", values.tobytes())

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
        numbers = np.frombuffer(values)
        present = self._named(numbers >= least)
        if _is_whole(numbers):
            return present, self.shared.labels(())
        if not (numbers >= 0).any():
            return None, frozenset(self.space.names)
        enough = _BLANK if threshold is None else 0.0
        return present, self._named(~(numbers >= enough))

    def _named(self, chosen: BoolVector) -> frozenset[str]:
        """Return the labels at the chosen places."""
        return self.shared.labels(self.space.names[at] for at in np.flatnonzero(chosen).tolist())

    def probabilities(self, values: array[float], unanswered: frozenset[str]) -> Mapping[str, float]:
        """Return P(label) of the answered labels that have one."""
        if not unanswered and _is_whole(np.frombuffer(values)):
            return Weights(self.space.index, values)
        named = zip(self.space.names, values, strict=True)
        return {name: value for name, value in named if value >= 0 and name not in unanswered}


def rounded_all(values: FloatVector) -> FloatVector:
    """Return probabilities above 0 and below 1 as `harness.parsing.deciding.rounded` rounds them, to the last bit.

    A whole number of six digits over a power of ten is the float that the same digits in a text would be, as long as both
    are exact. What is too small for that, or lies in the middle between two such numbers, is rounded as text.
    """
    powers = _DIGITS - 1 - np.floor(np.log10(values)).astype(np.intp)
    exact = powers < len(_POWERS)
    scale = _POWERS[np.where(exact, powers, 0)]
    scaled = values * scale
    found: FloatVector = np.rint(scaled) / scale
    for at in np.flatnonzero(~exact | (np.abs(scaled - np.floor(scaled) - 0.5) < _DOUBT)).tolist():
        found[at] = rounded(float(values[at]))
    return found


def _is_whole(numbers: FloatVector) -> bool:
    """Return whether every label has a number."""
    return bool(numbers.min() >= 0)  # of NaN it is not true
