"""Predictions as a Parquet file: typed columns, lists as lists, probabilities and fields by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.labelspace import LabelSpace
from harness.report.text import json_text

LISTS = ("gold", "labels", "unanswered", "off_list")


def to_parquet(path: Path, rows: Sequence[Mapping[str, Any]], space: LabelSpace) -> bytes:
    """Return rows of predictions as a Parquet file.

    Args:
        path: What the file is called, for messages.
        rows: As `Report.prediction_rows` gives them.
        space: Names the labels that probabilities are of, and types the fields.

    Raises:
        DataError: pyarrow is missing.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path}: writing Parquet needs pyarrow. Type: pip install 'harness[parquet]'") from None
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(_columns(rows, space, pyarrow)), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _columns(rows: Sequence[Mapping[str, Any]], space: LabelSpace, pyarrow: Any) -> dict[str, Any]:
    """Return the columns; what some predictions lack is null there, and what all lack has no column."""
    text, number = pyarrow.string(), pyarrow.float64()
    kinds = {"id": text, "repeat": pyarrow.int64(), "exact": pyarrow.bool_(), "repaired": pyarrow.bool_()}
    kinds |= {"failure": text, "why": text, **dict.fromkeys(LISTS, pyarrow.list_(text))}
    columns = {name: pyarrow.array([_held(row[name]) for row in rows], kind) for name, kind in kinds.items()}
    for name in dict.fromkeys(name for row in rows for name in row["inputs"]):
        columns[_held(f"input_{name}")] = pyarrow.array([_shown(row["inputs"].get(name)) for row in rows], text)
    for name in dict.fromkeys(name for row in rows for name in row["fields"]):
        columns[f"field_{name}"] = pyarrow.array([_shown(row["fields"].get(name)) for row in rows], text)
    for what in ("probabilities", "mass"):
        for name in space.names:
            if any(name in row.get(what, ()) for row in rows):
                values = [row.get(what, {}).get(name) for row in rows]
                columns[f"{'p' if what == 'probabilities' else what}_{name}"] = pyarrow.array(values, number)
    return columns


def _shown(value: Any) -> str | None:
    """Return a value as text; a column of a sample file may hold values of several types."""
    text: str | None = _held(value if value is None or isinstance(value, str) else json_text(value))
    return text


def _held(value: Any) -> Any:
    """Return a value as Parquet can hold it: lone surrogates, which UTF-8 has not, as escapes."""
    if isinstance(value, list):
        return [_held(each) for each in value]
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
