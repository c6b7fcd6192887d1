"""Which columns of a file of predictions say what: told apart by their names and by what stands in their first rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from harness.errors import DataError, did_you_mean, listing
from harness.labelcells import is_blank, literal
from harness.labelspace import LabelSpace
from harness.rows import Row

Shape = Literal["labels", "vector", "columns", "scores"]
"""How a file says labels: their names, a vector of 0 and 1, a column of 0 or 1 for each, or a number for each."""

SHAPES: tuple[str, ...] = get_args(Shape)
ANSWERS = ("predicted_labels", "predicted", "prediction", "predictions", "pred", "labels")
"""Columns that hold label names, the likeliest first: `labels` beside another one is gold."""

VECTORS = ("predicted_vector", "vector")
SCORES = ("predicted_probabilities", "probabilities", "predicted_scores", "scores")
PREDICTED = "predicted_"
"""Stands before the name of a field where the file has the field's gold too."""

_LOOKED_FOR: Mapping[Shape, tuple[str, ...]] = {"labels": ANSWERS, "vector": VECTORS, "columns": (), "scores": SCORES}
"""Columns by shape, in the order in which shapes are tried."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a person wants a file of predictions read; None finds it out.

    Attributes:
        shape: How labels are said.
        column: Where they are said, unless each label has a column.
        id: The column of ids.
        threshold: From which number on a label is present; it decides over label names that stand beside the numbers.
    """

    shape: Shape | None = None
    column: str | None = None
    id: str | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns say what.

    Attributes:
        column: That of the names, the vector or the object of numbers; None where each label has a column.
        places: The columns of the labels, in label-space order; empty where they have none.
        weights: The object of numbers beside names; None where there is none.
        fields: Column by field.
        id: The column of ids; None where texts stand for them.
    """

    shape: Shape
    column: str | None
    places: tuple[str, ...] = ()
    weights: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None

    @property
    def described(self) -> str:
        """Return where the predictions stand, for people."""
        if self.column is None:
            return "a column for each label"
        what = {"labels": "label names", "vector": "label vectors", "scores": "numbers by label"}[self.shape]
        beside = "" if self.weights is None else f", probabilities in '{self.weights}'"
        return f"{what} in column '{self.column}'{beside}"


def find_layout(path: Path, space: LabelSpace, reading: Reading, rows: Sequence[Row]) -> Layout:
    """Return which columns say what.

    Args:
        path: The file, for messages.
        space: Its labels and fields.
        reading: What a person says of it.
        rows: The first rows; those of JSONL can differ.

    Raises:
        DataError: A column is not there, or there are no predictions.
    """
    columns = list(dict.fromkeys(column for _, row in rows for column in row))
    for given in (reading.column, reading.id):
        if given is not None and given not in columns:
            near = did_you_mean(given, columns)
            raise DataError(f"{path}: must have a column '{given}', got {listing(columns)}.{near}")
    by_label = _label_columns(path, space, columns)
    shape, column = _shape(path, space, reading, rows, columns, by_label)
    if column is None:
        _check_all_labels(path, space, columns, by_label)
    beside_gold = "labels" in columns and column != "labels"  # then a field's own column is gold too
    fields: dict[str, str] = {}
    for each in space.fields:
        for name in (PREDICTED + each.name, *(() if beside_gold else (each.name,))):
            if name in columns:
                fields.setdefault(each.name, name)
    weights = next((name for name in SCORES if name in columns), None) if shape == "labels" else None
    if weights is not None and reading.threshold is not None:
        shape, column, weights = "scores", weights, None
    return Layout(
        shape,
        column,
        tuple(by_label[name] for name in space.names) if column is None else (),
        weights,
        fields,
        reading.id or ("id" if "id" in columns else None),
    )


def _label_columns(path: Path, space: LabelSpace, columns: Iterable[str]) -> dict[str, str]:
    """Return column by label, where columns are called like labels."""
    found: dict[str, str] = {}
    for column in columns:
        name = space.find(column)
        if name is not None and name in found:
            raise DataError(
                f"{path}: must have one column for label '{name}', got '{found[name]}' and '{column}'. Remove one."
            )
        if name is not None:
            found[name] = column
    return found


def _shape(
    path: Path,
    space: LabelSpace,
    reading: Reading,
    rows: Sequence[Row],
    columns: Sequence[str],
    by_label: Mapping[str, str],
) -> tuple[Shape, str | None]:
    """Return how the file says labels and in which column, None where each label has a column."""
    if reading.column is not None:
        return reading.shape or _shape_of(reading.column, space, rows), reading.column
    for shape, names in _LOOKED_FOR.items():
        if reading.shape not in (None, shape):
            continue
        column = next((name for name in names if name in columns and name not in by_label.values()), None)
        if column is not None:
            return reading.shape or _shape_of(column, space, rows), column
        if by_label and shape in ("columns", "scores"):
            return shape, None
    if reading.shape is None:
        told = f"a column of label names ({listing(ANSWERS)}), vectors or numbers by label, or a column for each label"
        raise DataError(f"{path}: must have {told}; got the columns {listing(columns)}. Say which one: --column")
    wanted: Mapping[Shape, str] = {
        "labels": f"a column of label names ({listing(ANSWERS)})",
        "vector": f"a column of label vectors ({listing(VECTORS)})",
        "columns": "a column for each label",
        "scores": f"a column of numbers by label ({listing(SCORES)}), or one for each label",
    }
    told = wanted[reading.shape]
    raise DataError(f"{path}: must have {told}; got the columns {listing(columns)}. Say which one: --column")


def _check_all_labels(path: Path, space: LabelSpace, columns: Iterable[str], by_label: Mapping[str, str]) -> None:
    if missing := [name for name in space.names if name not in by_label]:
        near = did_you_mean(missing[0], [column for column in columns if column not in by_label.values()])
        raise DataError(
            f"{path}: has columns for some labels ({listing(by_label)}), but none for {listing(missing)}.{near} "
            "Add them, or say where the predictions are: --column"
        )


def _shape_of(column: str, space: LabelSpace, rows: Sequence[Row]) -> Shape:
    """Return what the first filled cell of a column looks like."""
    cell = next((row[column] for _, row in rows if not is_blank(row.get(column))), None)
    value = literal(cell) if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "[") else cell
    if isinstance(value, Mapping) or (isinstance(value, list) and value and isinstance(value[0], Mapping)):
        return "scores"
    numbers = [each for each in value if isinstance(each, int | float)] if isinstance(value, list) else []
    is_vector = len(numbers) == len(space) and set(numbers) <= {0, 1}
    return "vector" if is_vector or column in VECTORS else "labels"
