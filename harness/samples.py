"""Sample files: JSONL, CSV, TSV, Parquet and fine-tuning JSONL become samples, or all their problems at once."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problems, did_you_mean, listing
from harness.identity import canonical, text_id
from harness.labelspace import NONE_WORD, Field, LabelSpace, normalize
from harness.records import FieldValue, Sample
from harness.yamlfile import read_text

RESERVED = frozenset(
    {"id", "labels", "groups", "shots", "gold", "label", "group", "passes", "predicted", "scores", "failed", "failure"}
    | {"off_list", "confidence", "n_predicted", "fields"}
)
"""Names that templates and expressions give a meaning to; no input column may have one."""

EXTENSIONS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
MAX_TOLD = 50
"""Problems told of one file; what is wrong more often than that is wrong in one way."""

_SEPARATORS = re.compile(r"\s*[,;|\n]\s*")
_YES, _NO = frozenset({"1", "true", "yes", "x", "1.0"}), frozenset({"0", "false", "no", "", "0.0"})


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns hold what, where the file does not use the standard names."""

    text: str = "text"
    labels: str = "labels"
    id: str = "id"


@dataclass(frozen=True, slots=True)
class SampleSet:
    """The samples of a file, in its order, and what a person should know about them."""

    path: Path
    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)


Row = tuple[int, dict[str, Any]]
"""A line number (of the file, from 1) and the row's values by column."""


def read_samples(path: Path, space: LabelSpace, columns: Columns | None = None) -> SampleSet:
    """Return the samples of a file; its format goes by its extension.

    Raises:
        DataError: The file is missing, of an unknown kind, empty, or has bad rows; all of them are told by line.
    """
    problems = Problems(path)
    rows = read_rows(path, space, problems)
    problems.raise_if_any()
    if not rows:
        raise DataError(f"{path}: must hold at least one sample, got none.")
    return _Reader(path, space, columns or Columns(), problems).read(rows)


def read_rows(path: Path, space: LabelSpace | None, problems: Problems) -> list[Row]:
    """Return the rows of a sample file as they stand there, with their line numbers."""
    kind = path.suffix.lower()
    if kind not in EXTENSIONS:
        raise DataError(
            f"{path}: must end in {listing(EXTENSIONS)}, got '{path.suffix}'.{did_you_mean(kind, EXTENSIONS)}"
        )
    if kind == ".parquet":
        return _parquet_rows(path)
    text = read_text(path)
    if kind in (".csv", ".tsv"):
        return list(_csv_rows(text, "," if kind == ".csv" else "\t", space, problems))
    return list(_jsonl_rows(text, problems))


def _jsonl_rows(text: str, problems: Problems) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            problems.add(f"must be one JSON object a line, but {error}.", number)
            continue
        if not isinstance(row, dict):
            problems.add(f"must be a JSON object, got {line.strip()[:40]}.", number)
        else:
            yield number, _from_fine_tuning(row)


def _from_fine_tuning(row: dict[str, Any]) -> dict[str, Any]:
    """Return a fine-tuning row ({"prompt","completion"} or chat "messages") as text and labels; others as they are."""
    if "text" in row or "labels" in row:
        return row
    rest = {key: value for key, value in row.items() if key not in ("prompt", "completion", "messages")}
    if isinstance(row.get("prompt"), str) and isinstance(row.get("completion"), str):
        # Fine-tuning files end a prompt with a separator ("\n\n###\n\n") and a completion with a stop word.
        text = re.sub(r"\s*(###|->)\s*$", "", row["prompt"])
        return {**rest, "text": text, "labels": re.sub(r"\s*(END|###)?\s*$", "", row["completion"]).strip()}
    messages = row.get("messages")
    if isinstance(messages, list) and all(isinstance(each, dict) for each in messages):
        said = {each.get("role"): each.get("content") for each in messages}
        if isinstance(said.get("user"), str):
            return {**rest, "text": said["user"], "labels": said.get("assistant")}
    return row


def _csv_rows(text: str, delimiter: str, space: LabelSpace | None, problems: Problems) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)  # the default refuses cells of 131,072 characters
    quote = "'" if text.lstrip().startswith("'") else '"'
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=False)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _headerless(cells, space)
                if header is None:
                    header = [cell.strip() for cell in cells]
                    _check_header(header, problems, start)
                    continue
            if len(cells) != len(header):
                problems.add(f"must have {len(header)} cells like the first line, got {len(cells)}.", start)
                continue
            yield start, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        problems.add(f"must be CSV, but {error}.", line)


def _headerless(cells: list[str], space: LabelSpace | None) -> list[str] | None:
    """Return the columns of a file without a header: the text, then one 0/1 column per label in label-space order."""
    if space is None or len(cells) != len(space) + 1 or not all(cell.strip() in ("0", "1") for cell in cells[1:]):
        return None
    return ["text", *space.names]


def _check_header(header: list[str], problems: Problems, line: int) -> None:
    for name in sorted({each for each in header if header.count(each) > 1}):
        problems.add(f"column '{name}' stands here twice. Rename one.", line)


def _parquet_rows(path: Path) -> list[Row]:
    if not path.is_file():
        read_text(path)  # says what is wrong with it
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow. Type: pip install 'harness[parquet]'") from None
    try:
        return list(enumerate(parquet.read_table(path).to_pylist(), 1))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: must be Parquet, but {error}.") from None


class _Reader:
    """Turns rows into samples, collecting what is wrong with them."""

    def __init__(self, path: Path, space: LabelSpace, columns: Columns, problems: Problems) -> None:
        self.path = path
        self.space = space
        self.columns = columns
        self.problems = problems
        self.lines: dict[str, int] = {}
        self.repeated: list[int] = []
        self.empty_cells = 0
        self.unknown: dict[str, list[int]] = {}

    def read(self, rows: list[Row]) -> SampleSet:
        label_columns = self._label_columns(rows[0][1])
        self._check_columns(rows[0], label_columns)
        samples = [self._sample(line, row, label_columns) for line, row in rows]
        for name, lines in self.unknown.items():
            self.problems.add(
                f"label '{name}' is not in the label space{_also(lines)}."
                + (did_you_mean(name, self.space.names) or f" It has {listing(self.space.names)}."),
                lines[0],
            )
        self._raise()
        return SampleSet(self.path, tuple(samples), tuple(self._warnings()))

    def _raise(self) -> None:
        found = self.problems.found
        found.sort(key=lambda problem: int(problem.where.rpartition(":")[2]) if problem.where[-1].isdigit() else 0)
        if len(found) > MAX_TOLD:
            rest = len(found) - MAX_TOLD
            del found[MAX_TOLD:]
            self.problems.add(f"… and {rest} more problems.")
        self.problems.raise_if_any()

    def _label_columns(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return label name by column, where the file has one 0/1 column for each label; else nothing."""
        if self.columns.labels in row:
            return {}
        found = {column: name for column in row if (name := self.space.find(column)) is not None}
        missing = [name for name in self.space.names if name not in found.values()]
        if found and missing:
            self.problems.add(f"has columns for some labels, but none for {listing(missing)}.", 1)
        return found

    def _check_columns(self, first: Row, label_columns: Mapping[str, str]) -> None:
        line, row = first
        own = {self.columns.text, self.columns.labels, self.columns.id, "labels", "id", *label_columns}
        for column in row:
            if column in RESERVED and column not in own:
                self.problems.add(f"column '{column}' has a name that templates use. Rename it.", line)
        if self.columns.text not in row and self.columns.text != "text":
            self.problems.add(f"no column '{self.columns.text}'; the file has {listing(row)}.", line)

    def _sample(self, line: int, row: Mapping[str, Any], label_columns: Mapping[str, str]) -> Sample:
        fields = {each.name for each in self.space.fields}
        skip = {self.columns.labels, self.columns.id, *label_columns, *fields}
        inputs = {("text" if key == self.columns.text else key): value for key, value in row.items() if key not in skip}
        text = inputs.get("text")
        if "text" in inputs and not (isinstance(text, str) and text.strip()):
            self.problems.add(f"the text must not be empty, got {text!r}.", line)
        labels = self._flags(line, row, label_columns) if label_columns else self._labels(line, row)
        gold = {
            each.name: self._field(line, each, row[each.name])
            for each in self.space.fields
            if each.name in row and labels is not None
        }
        return Sample(self._id(line, row, inputs), inputs, labels, gold)

    def _id(self, line: int, row: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
        given = row.get(self.columns.id)
        if given is not None and str(given).strip():
            identity = str(given)
            if identity in self.lines:
                self.problems.add(f"id '{identity}' is that of line {self.lines[identity]} too. Ids are unique.", line)
        else:
            text = inputs.get("text")
            base = identity = text_id(text if isinstance(text, str) else canonical(dict(inputs)))
            number = 1
            while identity in self.lines:
                number += 1
                identity = f"{base}-{number}"
            if number > 1:
                self.repeated.append(line)
        self.lines.setdefault(identity, line)
        return identity

    def _labels(self, line: int, row: Mapping[str, Any]) -> frozenset[str] | None:
        value = row.get(self.columns.labels)
        if isinstance(value, str):
            if not value.strip():
                self.empty_cells += 1
                return None
            value = self._split(value)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.problems.add(
                f"'labels' must be a list of label names, got {json.dumps(value, default=str)[:60]}.", line
            )
            return None
        return frozenset(self._known(line, value))

    def _split(self, cell: str) -> list[str]:
        """Return the label names of a delimited cell; `none` and `[]` are the empty set."""
        if self.space.find(cell) is not None:
            return [cell]
        if normalize(cell) == NONE_WORD or cell.strip() == "[]":
            return []
        if cell.lstrip().startswith("["):
            try:
                names = json.loads(cell)
            except json.JSONDecodeError:
                names = None
            if isinstance(names, list):
                return [str(name) for name in names]
            cell = re.sub(r"[\[\]'\"]", "", cell)
        return [name for name in _SEPARATORS.split(cell.strip()) if name]

    def _known(self, line: int, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            found = self.space.find(name)
            if found is None:
                self.unknown.setdefault(name, []).append(line)
            else:
                yield found

    def _flags(self, line: int, row: Mapping[str, Any], label_columns: Mapping[str, str]) -> frozenset[str] | None:
        flags = {name: str(row.get(column, "")).strip().casefold() for column, name in label_columns.items()}
        if all(flag in ("", "none", "nan") for flag in flags.values()):
            return None
        for name, flag in flags.items():
            if flag not in _YES and flag not in _NO:
                self.problems.add(f"column '{name}' must be 0 or 1, got '{flag}'.", line)
        return frozenset(name for name, flag in flags.items() if flag in _YES)

    def _field(self, line: int, field: Field, value: Any) -> FieldValue:
        if value is None or value == "":
            return None
        if field.type == "bool":
            flag = str(value).strip().casefold()
            if flag not in _YES and flag not in _NO:
                self.problems.add(f"'{field.name}' must be true or false, got {value!r}.", line)
            return flag in _YES
        if not isinstance(value, str):
            self.problems.add(f"'{field.name}' must be a text, got {json.dumps(value, default=str)[:60]}.", line)
            return None
        if field.type == "choice":
            found = next((each for each in field.values if normalize(each) == normalize(value)), None)
            if found is None:
                near = did_you_mean(value, field.values)
                self.problems.add(f"'{field.name}' must be one of {listing(field.values)}, got '{value}'.{near}", line)
            return found
        return value

    def _warnings(self) -> Iterator[str]:
        if self.repeated:
            where = listing(map(str, self.repeated), 5)
            yield f"{self.path}: {len(self.repeated)} texts repeat an earlier one (lines {where}): ids end in -2, …"
        if self.empty_cells:
            yield (
                f"{self.path}: {self.empty_cells} samples have an empty label cell and are not scored. "
                f"Write '{NONE_WORD}' where no label applies."
            )


def _also(lines: list[int]) -> str:
    """Return where else something stands, for the end of a sentence; empty for a single line."""
    return f" (also in lines {listing(map(str, lines[1:]), 5)})" if len(lines) > 1 else ""
