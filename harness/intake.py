"""Taking in a labelled file of unknown shape: its rows become samples, with everything that a person should know of it."""

from __future__ import annotations

import itertools
import keyword
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.columns import Found, Wanted, find_columns
from harness.errors import DataError, Problems, listing, shortened
from harness.identity import content, text_id
from harness.labelcells import (
    detect_separator,
    is_blank,
    is_vector,
    listed,
    look_alikes,
    merged,
    name_of,
    name_problem,
    only_names,
    split_cell,
)
from harness.labelspace import NONE_WORD, normalize
from harness.records import Sample
from harness.samples import RESERVED
from harness.table import SHEETS, Table, read_table

FEW = 20
"""Samples of a label below which its scores say little."""

MOST_COMPARED = 500
"""Labels, the most frequent ones, that are compared pair by pair for spellings that look alike."""

Empty = Literal["none", "unlabelled"]
_TAKEN = RESERVED | {"text", "true", "false", "none", "self", "loop"}
_YES = frozenset({"1", "1.0", "true", "yes"})


@dataclass(frozen=True, slots=True)
class Intake:
    """A labelled file, understood.

    Attributes:
        columns: Which column was what.
        samples: In the order of the file, ids and label names settled; rows without a text are left out.
        support: Samples of each label, the most frequent first.
        notes: What a person should know: what was merged, renamed, left out, or looks wrong.
    """

    path: Path
    columns: Found
    samples: tuple[Sample, ...]
    support: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def labelled(self) -> tuple[Sample, ...]:
        """The samples with gold labels, those with none of them among them."""
        return tuple(sample for sample in self.samples if sample.labels is not None)

    @property
    def cardinality(self) -> float:
        """Labels per labelled sample, on average."""
        return sum(self.support.values()) / len(self.labelled)

    @property
    def share_none(self) -> float:
        """Share of the labelled samples to which no label applies."""
        return sum(not sample.labels for sample in self.labelled) / len(self.labelled)


def take_in(path: Path, wanted: Wanted, *, separator: str | None = None, empty: Empty = "none") -> Intake:
    """Return what a labelled file holds.

    Args:
        path: CSV, TSV, JSONL, Parquet or fine-tuning JSONL.
        wanted: Columns that are known; the others are found by name and content.
        separator: What stands between the names in a cell; "" for cells that are one name, None finds it out.
        empty: What an empty label cell means.

    Raises:
        DataError: The file has problems; all of them are told with their lines.
        UsageError: A column is not there, or somebody must choose one.
    """
    table = read_table(path)
    _refuse_other_delimiters(table)
    found = find_columns(table, wanted)
    return _Intake(table, found, separator, empty).read()


def _refuse_other_delimiters(table: Table) -> None:
    """Refuse a sheet without a header or with another delimiter, before its columns confuse everything."""
    if table.kind not in SHEETS:
        return
    if set(table.seen[0][1].keys()) - {table.columns[0].strip()} <= {"0", "1"} and len(table.columns) > 1:
        raise DataError(
            f"{table.path}:1: must be a header that names the columns, got '{shortened(','.join(table.columns))}'. "
            "Add a line such as: text,LABEL,LABEL"
        )
    other = next((mark for mark in (";", "\t", ",", "|") if mark in table.columns[0]), None)
    if len(table.columns) == 1 and other is not None:
        told = "tabs stand" if other == "\t" else f"'{other}' stands"
        raise DataError(
            f"{table.path}:1: must have columns separated by {'commas' if table.kind == '.csv' else 'tabs'}, got the "
            f"one column '{shortened(table.columns[0])}'. If {told} between them, save it as CSV with commas."
        )


class _Intake:
    """Reads the rows of one file, collecting what is wrong and what is worth a note."""

    def __init__(self, table: Table, found: Found, separator: str | None, empty: Empty) -> None:
        self.path = table.path
        self.rows = table.seen
        self.found = found
        self.separator = separator
        self.empty = empty
        self.problems = Problems(table.path)
        self.notes: list[str] = []
        self.lines: dict[str, int] = {}

    def read(self) -> Intake:
        """Return the samples, or raise everything that is wrong."""
        kept = self._with_text()
        names = self._flagged(kept) if self.found.shape == "flags" else self._named(kept)
        names = self._checked(kept, names)
        variables = self._variables()
        ids = [self._id(line, row) for line, row in kept]
        self.problems.raise_if_any()
        space, support = self._merged(names)
        samples = tuple(
            Sample(
                identity,
                {"text": row[self.found.text], **{variables[key]: row[key] for key in variables if key in row}},
                None if each is None else frozenset(space[name] for name in each),
            )
            for (_, row), identity, each in zip(kept, ids, names, strict=True)
        )
        self._note_duplicates(kept, samples)
        self._note_labels(support, samples)
        return Intake(self.path, self.found, samples, support, tuple(self.notes))

    def _with_text(self) -> list[tuple[int, dict[str, Any]]]:
        """Return the rows that have a text; the others are told."""
        column = self.found.text
        kept, blank = [], []
        for line, row in self.rows:
            value = row.get(column)
            if is_blank(value):
                blank.append(line)
            elif not isinstance(value, str):
                self.problems.add(f"'{column}' must be a text, got {shortened(repr(value))}.", line)
            else:
                kept.append((line, row))
        if blank:
            self.notes.append(f"rows without a text are left out: {len(blank)} ({_lines(blank)})")
        if not kept:
            self.problems.raise_if_any()
            raise DataError(f"{self.path}: must have a text in column '{column}', got none. Give --text COLUMN.")
        return kept

    def _flagged(self, kept: Sequence[tuple[int, Mapping[str, Any]]]) -> list[list[str] | None]:
        """Read 0/1 columns; a column called none is no label but says that none applies."""
        names: list[list[str] | None] = []
        for _, row in kept:
            flags = {name: row.get(name) for name in self.found.labels}
            chosen = only_names(name for name, flag in flags.items() if str(flag).strip().casefold() in _YES)
            names.append(None if all(map(is_blank, flags.values())) else chosen)
        return names

    def _named(self, kept: Sequence[tuple[int, Mapping[str, Any]]]) -> list[list[str] | None]:
        """Read cells of names: lists, or texts between separators."""
        cells = [[row.get(column) for column in self.found.labels] for _, row in kept]
        texts = [cell for row in cells for cell in row if isinstance(cell, str) and cell.strip() and not _is_list(cell)]
        separator = (self.separator or None) if self.separator is not None else detect_separator(texts)
        if self.separator is None:
            self._note_separator(texts, separator)
        names: list[list[str] | None] = []
        for (line, _), row in zip(kept, cells, strict=True):
            given = [self._cell(line, cell, separator) for cell in row if not is_blank(cell)]
            names.append([name for each in given for name in each] if given else None)
        if said := sum(normalize(cell) == NONE_WORD for cell in texts):
            self.notes.append(f"label cells that say 'none': {said}, read as 'no label applies', not as a label")
        if is_vector(names):
            self.problems.add(
                f"'{self.found.labels[0]}' must hold names of labels, got rows of 0 and 1. Give each label a column of "
                "its own, called as the label."
            )
        return names

    def _cell(self, line: int, cell: Any, separator: str | None) -> list[str]:
        try:
            given = listed(cell)
            if given is not None:
                return given
            if isinstance(cell, str):
                return split_cell(cell, separator)
            if isinstance(cell, int | float):
                return [name_of(cell)]
        except TypeError:
            pass
        self.problems.add(f"labels must be a text or a list of texts, got {shortened(repr(cell))}.", line)
        return []

    def _note_separator(self, texts: Sequence[str], separator: str | None) -> None:
        if separator is not None:
            self.notes.append(f"labels are split at {separator!r}; another: --separator")
        elif odd := next((text for text in texts if any(mark in text for mark in ",;|\n")), None):
            self.notes.append(
                f"cells such as {shortened(odd)!r} are read as one label each, because their parts never stand apart; "
                "to split them: --separator"
            )

    def _checked(
        self, kept: Sequence[tuple[int, Mapping[str, Any]]], names: Sequence[list[str] | None]
    ) -> list[list[str] | None]:
        """Note what is no label, settle what an empty cell means, and refuse a file without labels."""
        wrong: dict[str, int] = {}
        columns = [name for name in self.found.labels if normalize(name) != NONE_WORD]
        header = (1, columns if self.found.shape == "flags" else [])
        for line, each in [header, *((line, each) for (line, _), each in zip(kept, names, strict=True))]:
            for name in each or ():
                if (problem := name_problem(name)) is not None and wrong.setdefault(problem, line) == line:
                    self.problems.add(problem, line)
        n_empty = sum(each is None for each in names)
        if not any(names) and not self.problems.found:
            raise DataError(
                f"{self.path}: must have labels in {listing(self.found.labels)}, got none at all. Give --labels COLUMN."
            )
        if n_empty and self.empty == "none":
            self.notes.append(
                f"empty label cells: {n_empty}, read as 'no label applies'; if they were never labelled: "
                "--empty unlabelled"
            )
        return [[] if each is None and self.empty == "none" else each for each in names]

    def _merged(self, names: Sequence[list[str] | None]) -> tuple[dict[str, str], dict[str, int]]:
        """Return the label by spelling, and how many samples each label has, the most frequent first."""
        spellings = Counter(name for each in names for name in each or ())
        space, notes = merged(spellings)
        self.notes += notes
        counts: Mapping[str, int] = Counter(label for each in names for label in {space[name] for name in each or ()})
        if self.found.shape == "flags":  # a column without a 1 is a label too
            empty = (name.strip() for name in self.found.labels if normalize(name) != NONE_WORD)
            known = {normalize(name) for name in counts}
            counts = {**counts, **{name: 0 for name in empty if normalize(name) not in known}}
        return space, dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def _id(self, line: int, row: Mapping[str, Any]) -> str:
        given = row.get(self.found.id) if self.found.id is not None else None
        if isinstance(given, list | dict):
            self.problems.add(f"an id must be a text or a number, got {shortened(repr(given))}.", line)
        if not is_blank(given):
            identity = str(given)
            if identity in self.lines:
                first = self.lines[identity]
                self.problems.add(f"id '{shortened(identity)}' is that of line {first} too. Ids are unique.", line)
        else:
            base = identity = text_id(row[self.found.text])
            number = 1
            while identity in self.lines:
                number += 1
                identity = f"{base}-{number}"
        self.lines.setdefault(identity, line)
        return identity

    def _variables(self) -> dict[str, str]:
        """Return the template variable for each other column, where the column's own name cannot be one."""
        variables = {column: _identifier(column, at) for at, column in enumerate(self.found.others, 1)}
        taken = {column for column, name in variables.items() if name == column}
        renamed = []
        for column, wanted in variables.items():
            if column not in taken:
                names = itertools.chain([wanted], (f"{wanted}_{number}" for number in itertools.count(2)))
                name = next(each for each in names if each not in taken)
                taken.add(name)
                variables[column] = name
                renamed.append(f"{column!r} → {name}")
        if renamed:
            self.notes.append(f"columns renamed, because templates could not name them: {listing(renamed, 20)}")
        return variables

    def _note_duplicates(self, kept: Sequence[tuple[int, Any]], samples: Sequence[Sample]) -> None:
        first: dict[str, Sample] = {}
        again, differing = [], []
        for (line, _), sample in zip(kept, samples, strict=True):
            before = first.setdefault(content(sample), sample)
            if before is not sample:
                again.append(line)
                differing += [line] if before.labels != sample.labels else []
        if again:
            other = f"; {len(differing)} of them with other labels ({_lines(differing)})" if differing else ""
            self.notes.append(f"texts that stand there already: {len(again)} ({_lines(again)}){other}")

    def _note_labels(self, support: Mapping[str, int], samples: Sequence[Sample]) -> None:
        if pairs := list(look_alikes(list(support)[:MOST_COMPARED])):
            told = listing(
                (f"'{first}' ({support[first]}) and '{second}' ({support[second]})" for first, second in pairs), 8
            )
            self.notes.append(
                f"labels that look alike: {told}. Where two are one, make them one in the file, or one an alias of the other"
            )
        if few := [f"{name} ({count})" for name, count in support.items() if count < FEW]:
            self.notes.append(f"labels with fewer than {FEW} samples, whose scores will say little: {listing(few, 20)}")
        if len(support) > 20 and len(support) * 2 > len(samples):
            self.notes.append(
                f"{len(support)} labels in {len(samples)} samples: perhaps another column or separator is meant "
                "(--labels, --separator)"
            )


def _is_list(cell: str) -> bool:
    try:
        return listed(cell) is not None
    except TypeError:
        return True


def _identifier(column: str, at: int) -> str:
    """Return a name for a column that a template can say."""
    name = column
    if not name.isidentifier():
        name = re.sub(r"\W+", "_", column).strip("_") or f"column_{at}"
        name = name if name.isidentifier() else f"column_{name}"
    return f"{name}_column" if name in _TAKEN or keyword.iskeyword(name) else name


def _lines(lines: Sequence[int]) -> str:
    return f"line{'' if len(lines) == 1 else 's'} {listing(map(str, lines), 5)}"


def stated(intake: Intake) -> Iterator[str]:
    """Say which column was taken for what, for people."""
    columns = intake.columns
    what = "0/1 columns" if columns.shape == "flags" else "column" if len(columns.labels) == 1 else "columns"
    yield f"text from column '{columns.text}'"
    names = (f"'{name}'" for name in columns.labels)
    yield f"labels from {what} {listing(names, 8)}"
    yield f"ids from column '{columns.id}'" if columns.id is not None else "ids made from the texts"
