"""A file of rows as its owner has it: read with every cell as it stands there, written back with columns added.

`harness.rows` says what is wrong with a file; here nothing is stripped, renamed or left out.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problems, shortened
from harness.jsonfiles import write_bytes
from harness.rows import Row, read_rows

SHEETS: Mapping[str, str] = {".csv": ",", ".tsv": "\t"}
"""Delimiter by extension, of the formats in which every cell is text."""

LISTS = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file.

    Attributes:
        columns: Names in their order, as they are written; of JSONL rows all that occur.
        rows: The rows with their lines, as they stand there.
        seen: The same rows as sample files are understood: CSV names stripped, fine-tuning JSONL as text and labels.
        marked: A byte order mark stands before a CSV file, which some spreadsheets need.
        line_end: Of a CSV file.
        sources: The lines of a JSONL file.
        arrow: A Parquet file's own table, which knows the types.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    seen: tuple[Row, ...]
    marked: bool = False
    line_end: str = "\n"
    sources: tuple[str, ...] = ()
    arrow: Any = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """The extension, in lower case."""
        return self.path.suffix.lower()

    def only(self, chosen: Sequence[int]) -> Table:
        """Return the table with these rows alone, counted from 0."""
        return replace(
            self,
            rows=tuple(self.rows[at] for at in chosen),
            seen=tuple(self.seen[at] for at in chosen),
            sources=tuple(self.sources[at] for at in chosen) if self.sources else (),
            arrow=None if self.arrow is None else self.arrow.take(list(chosen)),
        )


def read_table(path: Path) -> Table:
    """Return the rows of a file; its format goes by its extension.

    Raises:
        DataError: The file is missing, of an unknown kind, empty, or has bad rows; all of them are told by line.
    """
    problems = Problems(path)
    understood = read_rows(path, None, problems)
    problems.raise_if_any()
    if not understood:
        raise DataError(f"{path}: must hold at least one row, got none.")
    kind = path.suffix.lower()
    if kind in SHEETS:
        return _sheet(path, SHEETS[kind])
    if kind in LISTS:
        lines = [(line, text) for line, text in enumerate(_text(path).split("\n"), 1) if text.strip()]
        rows = tuple((line, json.loads(text)) for line, text in lines)
        columns = tuple(dict.fromkeys(key for _, row in rows for key in row))
        return Table(path, columns, rows, tuple(understood), sources=tuple(text.strip() for _, text in lines))
    from pyarrow import parquet

    arrow = parquet.read_table(path, partitioning=None)
    return Table(path, tuple(arrow.column_names), tuple(understood), tuple(understood), arrow=arrow)


def _text(path: Path) -> str:
    """Return a text with its line ends as they are; that it can be read is known already."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return file.read()


def _sheet(path: Path, delimiter: str) -> Table:
    text = _text(path)
    quote = "'" if text.lstrip().startswith("'") else '"'
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=True)
    records = list(_records(reader))
    (_, header), body = records[0], records[1:]
    names = [cell.strip() for cell in header]
    return Table(
        path,
        tuple(header),
        tuple((line, dict(zip(header, cells, strict=True))) for line, cells in body if len(cells) == len(header)),
        tuple((line, dict(zip(names, cells, strict=True))) for line, cells in body if len(cells) == len(header)),
        marked=path.read_bytes()[:3] == b"\xef\xbb\xbf",
        line_end="\r\n" if text.partition("\n")[0].endswith("\r") else "\n",
    )


def _records(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the records with the line each begins on, but lines that are blank through and through."""
    began = False
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        began = began or any(cell.strip() for cell in cells)
        if began and cells:
            yield line, cells


@dataclass(frozen=True, slots=True)
class Added:
    """A column that is added to a table, one value a row.

    Attributes:
        values: Plain values, for JSONL and Parquet.
        cells: The same as text, for CSV and TSV.
        listed: Whether the values are lists of texts (or None); else they are texts, booleans or None.
    """

    name: str
    values: Sequence[Any]
    cells: Sequence[str]
    listed: bool = False


def free_names(wanted: Sequence[str], table: Table, prefix: str) -> dict[str, str]:
    """Return the name that each column to be added gets: with the prefix, as often as needed, where it is taken."""
    taken = {column.strip() for column in table.columns}
    names: dict[str, str] = {}
    for each in wanted:
        name = each
        while name in taken:
            name = prefix + name
        names[each] = name
        taken.add(name)
    return names


def write_table(path: Path, table: Table, added: Sequence[Added]) -> None:
    """Write a table with added columns, in the format of the new file's extension.

    Raises:
        DataError: The disk refuses, or the columns have no Parquet type.
    """
    write_bytes(path, encode_table(path, table, added))


def encode_table(path: Path, table: Table, added: Sequence[Added]) -> bytes:
    """Return what `write_table` writes.

    Raises:
        DataError: The columns have no Parquet type.
    """
    kind = path.suffix.lower()
    if kind in SHEETS:
        return _to_sheet(table, added, SHEETS[kind])
    if kind in LISTS:
        return _to_lines(table, added)
    return _to_parquet(path, table, added)


def _to_sheet(table: Table, added: Sequence[Added], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=table.line_end)
    writer.writerow([*table.columns, *(each.name for each in added)])
    for number, (_, row) in enumerate(table.rows):
        own = [_cell(row.get(column)) for column in table.columns]
        writer.writerow([*own, *(each.cells[number] for each in added)])
    return out.getvalue().encode("utf-8-sig" if table.marked else "utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict | bool):
        return json.dumps(_plain(value), ensure_ascii=False, default=str)
    return str(value)


def _to_lines(table: Table, added: Sequence[Added]) -> bytes:
    lines = []
    for number, (_, row) in enumerate(table.rows):
        extra = json.dumps({each.name: each.values[number] for each in added}, ensure_ascii=False)
        if table.sources:  # not a character of the row that was there changes
            own = table.sources[number].removesuffix("}").rstrip()
        else:
            own = json.dumps(_plain(row), ensure_ascii=False, default=str).removesuffix("}")
        lines.append(f"{own}{', ' if row and added else ''}{extra.removeprefix('{')}\n")
    return "".join(lines).encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    """Return a value with NaN, which JSON does not have, as null."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _to_parquet(path: Path, table: Table, added: Sequence[Added]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path}: writing Parquet needs pyarrow. Type: pip install 'harness[parquet]'") from None
    arrow = table.arrow
    try:
        if arrow is None:
            columns = {column: [row.get(column) for _, row in table.rows] for column in table.columns}
            arrow = pyarrow.table(columns)
        for each in added:
            kind = _arrow_type(each, pyarrow)
            arrow = arrow.append_column(pyarrow.field(each.name, kind), pyarrow.array(each.values, kind))
        sink = pyarrow.BufferOutputStream()
        parquet.write_table(arrow, sink)
    except (pyarrow.ArrowException, UnicodeError) as error:
        why = shortened(str(error), 200).rstrip(".")
        raise DataError(f"{path}: the columns of {table.path} cannot be Parquet ({why}). Give a .jsonl.") from None
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _arrow_type(each: Added, pyarrow: Any) -> Any:
    if each.listed:
        return pyarrow.list_(pyarrow.string())
    return pyarrow.bool_() if any(isinstance(value, bool) for value in each.values) else pyarrow.string()
