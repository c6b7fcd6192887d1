"""Sample files as rows: JSONL, CSV, TSV, Parquet and fine-tuning JSONL, each row with its line."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problems, did_you_mean, listing, shortened
from harness.jsonfiles import packed_value
from harness.labelspace import LabelSpace
from harness.yamlfile import read_text

EXTENSIONS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_CSV_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_KEY_END = re.compile(r'"\s*:')
_LONG_INTEGER = re.compile(r"[0-9]{19}")

_BATCH = 4096
"""Rows of a Parquet file that become Python values at a time."""

Row = tuple[int, dict[str, Any]]
"""A line number (of the file, from 1) and the row's values by column."""


def read_rows(path: Path, space: LabelSpace | None, problems: Problems) -> list[Row]:
    """Return the rows of a sample file as they stand there, with their line numbers; bad rows become problems."""
    return list(rows_of(path, space, problems))


def rows_of(path: Path, space: LabelSpace | None, problems: Problems) -> Iterator[Row]:
    """Return the rows as `read_rows` does, one after the other: with a column for each label they take much room.

    Raises:
        DataError: At once, where the file as a whole cannot be read.
    """
    kind = path.suffix.lower()
    if kind not in EXTENSIONS:
        raise DataError(
            f"{path}: must end in {listing(EXTENSIONS)}, got '{path.suffix}'.{did_you_mean(kind, EXTENSIONS)}"
        )
    if kind == ".parquet":
        return _parquet_rows(path)
    text = read_text(path)
    if kind in (".csv", ".tsv"):
        return _csv_rows(text, "," if kind == ".csv" else "\t", space, problems)
    return _jsonl_rows(text, problems)


def _jsonl_rows(text: str, problems: Problems) -> Iterator[Row]:
    for number, found in enumerate(_LINE.finditer(text), 1):
        line = found[0].removesuffix("\n")
        if not line.strip():
            continue
        try:
            row = _simple_row(line)
            if row is None:
                row = json.loads(line, object_pairs_hook=_once)
        except json.JSONDecodeError as error:
            problems.add(f"must be one JSON object a line, but {error.msg} at column {error.colno}.", number)
        except RecursionError:
            problems.add("must be one JSON object a line, but it nests too deep.", number)
        except ValueError as error:
            problems.add(f"must be one JSON object a line, but {error}.", number)
        else:
            if isinstance(row, dict):
                yield number, _from_fine_tuning(row)
            else:
                problems.add(f"must be a JSON object, got {shortened(line.strip())}.", number)


def _simple_row(line: str) -> dict[str, Any] | None:
    """Return a JSON object as `json` reads it, where it is a plain one; else None: it takes a closer look.

    A plain one is read by `orjson`, many times as fast. It holds no objects, no key of it stands twice (there are no more
    colons behind a quote than keys) and no integer is beyond 64 bits, of which `orjson` would make a float.
    """
    try:
        row = packed_value(line)
    except ValueError:
        return None
    if type(row) is not dict or len(_KEY_END.findall(line)) != len(row) or _LONG_INTEGER.search(line):
        return None
    return row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object in which no key stands twice: `json` alone would silently take the last one."""
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{next(key for key in keys if keys.count(key) > 1)}' stands twice in an object")
    return row


def _from_fine_tuning(row: dict[str, Any]) -> dict[str, Any]:
    """Return a fine-tuning row ({"prompt","completion"} or chat "messages") as text and labels; others as they are."""
    if "text" in row or "labels" in row:
        return row
    rest = {key: value for key, value in row.items() if key not in ("prompt", "completion", "messages")}
    if isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str):
        return {**rest, "text": _without_separator(row["prompt"]), "labels": _without_stop(row["completion"])}
    messages = row.get("messages")
    if isinstance(messages, list) and all(isinstance(each, dict) for each in messages):
        said = {each.get("role"): each.get("content") for each in messages if isinstance(each.get("role"), str)}
        if isinstance(said.get("user"), str):
            return {**rest, "text": said["user"], "labels": said.get("assistant")}
    return row


def _without_separator(prompt: str) -> str:
    """Return a fine-tuning prompt without the mark that ends it, such as ``###`` on a line of its own."""
    bare = prompt.rstrip()
    mark = next((each for each in ("###", "->") if bare.endswith(each)), None)
    return prompt if mark is None else bare.removesuffix(mark).rstrip()


def _without_stop(completion: str) -> str:
    """Return a fine-tuning completion without the stop word that ends it: ``END`` or ``###``."""
    bare = completion.strip()
    if bare.endswith("###"):
        return bare.removesuffix("###").rstrip()
    words = bare.rsplit(None, 1)
    return words[0] if len(words) == 2 and words[1] == "END" else bare


def _csv_rows(text: str, delimiter: str, space: LabelSpace | None, problems: Problems) -> Iterator[Row]:
    records = _csv_records(text, delimiter, problems)
    first = next(records, None)
    if first is None:
        return
    line, cells = first
    if len(cells) > 1 and all(cell.strip() in ("0", "1") for cell in cells[1:]) and space is not None:
        header, records = ["text", *space.names], itertools.chain([first], records)
        if len(cells) != len(header):
            wanted = f"a text and {len(space)} columns of 0 or 1, one per label"
            problems.add(f"a file without a header must have {wanted}; got {len(cells) - 1} of them.", line)
            return
    else:
        header = [cell.strip() for cell in cells]
        twice = sorted({each for each in header if header.count(each) > 1})
        if twice and sum(cell not in ("0", "1") for cell in header) <= 1:
            got = f"got '{shortened(delimiter.join(cells))}'"
            problems.add(f"must be a header that names the columns, {got}. Put one above: text,LABEL,LABEL,…", line)
            return
        for name in twice:
            problems.add(f"column '{name}' stands here twice. Rename one.", line)
    for line, cells in records:
        if len(cells) == len(header):
            yield line, dict(zip(header, cells, strict=True))
        else:
            problems.add(f"must have {len(header)} cells like the first line, got {len(cells)}.", line)


def _csv_records(text: str, delimiter: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not blank with the line each begins on; what breaks the quoting is a problem."""
    csv.field_size_limit(2**31 - 1)  # the default refuses cells of 131,072 characters
    quote = "'" if text.lstrip().startswith("'") else '"'
    # Strict: else a quote that nobody closed or doubled silently changes the text.
    lines = (found[0] for found in _CSV_LINE.finditer(text))
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(f"must be CSV, but {error}. Write a quote within quotes twice.", line)
            continue
        if any(cell.strip() for cell in cells):
            yield line, cells


def _parquet_rows(path: Path) -> Iterator[Row]:
    if not path.is_file():
        read_text(path)  # says what is wrong with it
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow. Type: pip install 'harness[parquet]'") from None
    with _reading_parquet(path):
        batches = parquet.read_table(path, partitioning=None).to_batches(max_chunksize=_BATCH)
    return enumerate(_values(path, batches), 1)


def _values(path: Path, batches: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        with _reading_parquet(path):
            columns = [_listed(column) for column in batch.columns]
        names = batch.schema.names
        for row in zip(*columns, strict=True):
            yield dict(zip(names, row, strict=True))


def _listed(column: Any) -> list[Any]:
    """Return the values of a column; numbers by way of numpy, which makes them twenty times as fast as Arrow."""
    from pyarrow import types

    is_plain = types.is_integer(column.type) or types.is_float32(column.type) or types.is_float64(column.type)
    if is_plain and not column.null_count:
        plain: list[Any] = column.to_numpy().tolist()
        return plain
    values: list[Any] = column.to_pylist()
    return values


@contextmanager
def _reading_parquet(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        why = str(error).removeprefix(f"Could not open Parquet input source '{path}': ").partition(". ")[0]
        raise DataError(f"{path}: must be Parquet, but {shortened(why, 200).rstrip('.')}.") from None
