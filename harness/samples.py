"""Sample sets: the rows of a file become samples, or all their problems at once."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from harness.bulk import many_values
from harness.errors import DataError, Problems, did_you_mean, listing, shortened
from harness.identity import canonical, text_id
from harness.labelcells import alternatives, literal
from harness.labelspace import NONE_WORD, Field, LabelSpace, normalize
from harness.records import GoldField, Sample, Shared
from harness.rows import Row, read_rows

RESERVED = frozenset(
    {"id", "labels", "groups", "shots", "gold", "label", "group", "passes", "predicted", "scores", "failed", "failure"}
    | {"off_list", "confidence", "n_predicted", "fields", "field"}
)
"""Names that templates and expressions give a meaning to; no input column may have one."""

_SEPARATORS = re.compile(r"[,;|\n]")
YES, NO = frozenset({"1", "true", "yes", "x", "1.0"}), frozenset({"0", "false", "no", "", "0.0"})
"""What stands in a cell that is 0 or 1, case folded."""

_NONE: Mapping[str, Any] = {}
"""The fields, shots and candidates of samples that have none: one object for all of them, and nobody changes it."""

_FLAGS: Mapping[Any, bool] = {"1": True, "0": False, 1: True, 0: False}
"""The usual ones of these (`True` is equal to 1), which are looked up as they are."""


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


def read_samples(path: Path, space: LabelSpace, columns: Columns | None = None) -> SampleSet:
    """Return the samples of a file; its format goes by its extension.

    Raises:
        DataError: The file is missing, of an unknown kind, empty, or has bad rows; all of them are told by line.
    """
    problems = Problems(path)
    with many_values():
        rows = read_rows(path, space, problems)
        if not rows:
            problems.raise_if_any()
            raise DataError(f"{path}: must hold at least one sample, got none.")
        return _Reader(path, space, columns or Columns(), problems).read(rows)


class _Reader:
    """Turns rows into samples, collecting what is wrong with them."""

    def __init__(self, path: Path, space: LabelSpace, columns: Columns, problems: Problems) -> None:
        self.path = path
        self.space = space
        self.columns = columns
        self.problems = problems
        self.field_names = frozenset(each.name for each in space.fields)
        self.lines: dict[str, int] = {}
        self.repeated: list[int] = []
        self.empty_cells = 0
        self.has_text = False
        self.unknown: dict[str, list[int]] = {}
        self.found: dict[str, str | None] = {}
        self.skipped: set[str] = set()
        self.shared = Shared()

    def read(self, rows: list[Row]) -> SampleSet:
        """Return the samples, or raise everything that is wrong with them; the list of rows is empty then."""
        self.has_text = any(self.columns.text in row for _, row in rows)
        label_columns = self._label_columns(rows[0])
        self._check_columns(rows, label_columns)
        self.skipped = {self.columns.labels, self.columns.id, *label_columns, *self.field_names}
        rows.reverse()
        samples = []
        while rows:  # each row makes room for its sample
            samples.append(self._sample(*rows.pop(), label_columns))
        for name, lines in self.unknown.items():
            self.problems.add(unknown_label(name, lines, self.space), lines[0])
        self.problems.raise_if_any()
        return SampleSet(self.path, tuple(samples), tuple(self._warnings()))

    def _label_columns(self, first: Row) -> dict[str, str]:
        """Return label name by column, where the file has one 0/1 column for each label; else nothing."""
        line, row = first
        if self.columns.labels in row:
            return {}
        found: dict[str, str] = {}
        for column in row:
            name = self.space.find(column)
            if name is not None and name in found.values():
                self.problems.add(f"column '{column}' is a second one for label '{name}'. Remove one.", line)
            elif name is not None:
                found[column] = name
        missing = [name for name in self.space.names if name not in found.values()]
        if found and missing:
            told = f"has columns for some labels ({listing(found)}), but none for {listing(missing)}."
            self.problems.add(f"{told} Add them, or rename what is no label.", line)
        return found

    def _check_columns(self, rows: list[Row], label_columns: Mapping[str, str]) -> None:
        """Check the names of columns: those of all rows, because JSONL rows may differ."""
        line_of: dict[str, int] = {}
        before: tuple[str, ...] = ()
        for line, row in rows:
            names = tuple(row)
            if names != before:
                for column in names:
                    line_of.setdefault(column, line)
            before = names
        own = {self.columns.text, self.columns.labels, self.columns.id, *label_columns}
        for column, line in line_of.items():
            if column in RESERVED and column not in own:
                self.problems.add(f"column '{column}' has a name that templates use. Rename it.", line)
        for column, standard in ((self.columns.text, "text"), (self.columns.labels, "labels"), (self.columns.id, "id")):
            if column not in line_of and column != standard:
                self.problems.add(f"no column '{column}'; the file has {listing(line_of)}.", rows[0][0])
        if self.columns.text != "text" and "text" in line_of:
            self.problems.add(f"column 'text' stands beside '{self.columns.text}'. Rename it.", line_of["text"])

    def _sample(self, line: int, row: Mapping[str, Any], label_columns: Mapping[str, str]) -> Sample:
        inputs = {
            ("text" if key == self.columns.text else key): value
            for key, value in row.items()
            if key not in self.skipped
        }
        self._check_inputs(line, inputs)
        labels = self._flags(line, row, label_columns) if label_columns else self._labels(line, row)
        gold = {
            each.name: self._field(line, each, row[each.name])
            for each in self.space.fields
            if each.name in row and labels is not None
        }
        return Sample(self._id(line, row, inputs), inputs, labels, gold or _NONE, _NONE, _NONE)

    def _check_inputs(self, line: int, inputs: Mapping[str, Any]) -> None:
        if "text" in inputs:
            text = inputs["text"]
            if not isinstance(text, str):
                self.problems.add(f"'{self.columns.text}' must be a text, got {_told(text)}.", line)
            elif not text.strip():
                self.problems.add(f"'{self.columns.text}' must not be empty, got {_told(text)}.", line)
        elif self.has_text:
            self.problems.add(f"'{self.columns.text}' is missing, which other samples have.", line)
        elif not inputs:
            self.problems.add("must have a text or another input column, got none.", line)

    def _id(self, line: int, row: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
        given = row.get(self.columns.id)
        if isinstance(given, list | dict):
            self.problems.add(f"an id must be a text or a number, got {_told(given)}.", line)
        if given is not None and str(given).strip():
            identity = str(given)
            if identity in self.lines:
                self.problems.add(
                    f"id '{shortened(identity)}' is that of line {self.lines[identity]} too. Ids are unique.", line
                )
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
            value = split_labels(value, self.space)
            self.empty_cells += value is None
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.problems.add(f"'{self.columns.labels}' must be a list of label names, got {_told(value)}.", line)
            return None
        if len(value) == 1 and normalize(value[0]) == NONE_WORD:
            return frozenset()
        return self.shared.labels(self._known(line, value))

    def _known(self, line: int, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name not in self.found:
                self.found[name] = self.space.find(name)
            found = self.found[name]
            if found is None:
                self.unknown.setdefault(name, []).append(line)
            else:
                yield found

    def _flags(self, line: int, row: Mapping[str, Any], label_columns: Mapping[str, str]) -> frozenset[str] | None:
        usual = self._usual_flags([row.get(column) for column in label_columns])
        if usual is not None:
            return self.shared.labels(itertools.compress(label_columns.values(), usual))
        flags = {column: str(row.get(column, "")).strip().casefold() for column in label_columns}
        if all(flag in ("", "none", "nan") for flag in flags.values()):
            self.empty_cells += 1
            return None
        for column, flag in flags.items():
            if flag not in YES and flag not in NO:
                self.problems.add(f"column '{column}' must be 0 or 1, got '{shortened(flag)}'.", line)
        return frozenset(label_columns[column] for column, flag in flags.items() if flag in YES)

    def _usual_flags(self, cells: Iterable[Any]) -> list[bool] | None:
        """Return the cells as flags, None where one of them takes a closer look: a wide file has millions of them."""
        try:
            flags = [_FLAGS.get(cell) for cell in cells]
        except TypeError:  # a list
            return None
        return None if None in flags else cast("list[bool]", flags)

    def _field(self, line: int, field: Field, value: Any) -> GoldField:
        if value is None or value == "":
            return None
        if field.type == "text" and (several := alternatives(value)) is not None:
            return several if len(several) > 1 else next(iter(several), None)
        if field.type == "bool":
            flag = str(value).strip().casefold()
            if flag not in YES and flag not in NO:
                self.problems.add(f"'{field.name}' must be true or false, got {_told(value)}.", line)
            return flag in YES
        if not isinstance(value, str):
            wanted = "a text, or a list of texts that are right" if field.type == "text" else "a text"
            self.problems.add(f"'{field.name}' must be {wanted}, got {_told(value)}.", line)
            return None
        if field.type == "choice":
            found = next((each for each in field.values if normalize(each) == normalize(value)), None)
            if found is None:
                near = did_you_mean(value, field.values)
                told = f"'{field.name}' must be one of {listing(field.values)}, got '{shortened(value)}'.{near}"
                self.problems.add(told, line)
            return found
        return value

    def _warnings(self) -> Iterator[str]:
        if count := len(self.repeated):
            where = f"line{_s(count)} {listing(map(str, self.repeated), 5)}"
            yield f"{self.path}: texts that repeat an earlier one: {count} ({where}). Their ids end in -2, -3, …"
        if count := self.empty_cells:
            yield (
                f"{self.path}: samples with an empty label cell: {count}. They are unlabelled and not scored; "
                f"write '{NONE_WORD}' where no label applies."
            )


def split_labels(cell: str, space: LabelSpace) -> list[str] | None:
    """Return the label names in a delimited cell, None when it is blank; `none` and `[]` are the empty set.

    A name that holds a separator itself is recognised: at each place the longest name that fits is taken.
    """
    bare = cell.strip()
    if space.find(bare) is None and normalize(bare) == NONE_WORD:
        return []
    if bare.startswith("["):
        listed = literal(bare)
        if isinstance(listed, list):
            return [str(name) for name in listed]
        bare = bare.removeprefix("[").removesuffix("]")
    ends = [*(found.start() for found in _SEPARATORS.finditer(bare)), len(bare)]
    starts = [0, *(end + 1 for end in ends[:-1])]
    widest = 1 + max(len(_SEPARATORS.findall(spelling)) for spelling in space.spellings)
    names: list[str] = []
    at = 0
    while at < len(ends):
        pieces = {
            width: bare[starts[at] : ends[at + width - 1]].strip()
            for width in range(1, widest + 1)
            if at + width <= len(ends)
        }
        width = max((width for width, piece in pieces.items() if space.find(piece) is not None), default=1)
        if pieces[width]:
            names.append(pieces[width])
        at += width
    return names or None


def unknown_label(name: str, lines: list[int], space: LabelSpace) -> str:
    """Return what is wrong with a name that is no label, for the first of the lines in which it stands."""
    return f"label '{shortened(name)}' is not in the label space{also_in(lines)}." + (
        did_you_mean(name, space.names) or f" It has {listing(space.names)}."
    )


def _told(value: Any) -> str:
    """Return a value as a message shows it: JSON, short."""
    return shortened(json.dumps(value, default=str, ensure_ascii=False))


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def also_in(lines: list[int]) -> str:
    """Return where else something stands, for the end of a sentence; empty for a single line."""
    more = sorted(set(lines) - {lines[0]})
    return f" (also in line{_s(len(more))} {listing(map(str, more), 5)})" if more else ""
