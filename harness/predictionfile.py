"""A file of predictions from any tool, read: what each row says of its sample.

Rows are aligned by id and label names, with the one exception of a vector, which must be in label-space order. What a row
does not say is unanswered: an empty set has to be written.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from harness.bulk import many_values
from harness.errors import MOST_TOLD, DataError, Problems, did_you_mean, listing, shortened
from harness.identity import text_id
from harness.labelcells import is_blank, listed
from harness.labelnumbers import LabelNumbers
from harness.labelspace import NONE_WORD, LabelSpace
from harness.parsing.formats import DEFAULT_THRESHOLD
from harness.predictionextra import Extra, ExtraReader, opened, told
from harness.predictionlayout import Layout, Reading, find_layout
from harness.records import FailureKind, Prediction, Shared
from harness.rows import Row, rows_of
from harness.samples import also_in, split_labels, unknown_label

LOOKED_AT = 100
"""Rows by which columns are told apart: those of JSONL can differ."""

MOST_COMPARED = 2000
"""Sample ids among which a similar one is looked for."""


@dataclass(frozen=True, slots=True)
class PredictionFile:
    """What a file of predictions says.

    Attributes:
        predictions: One a row, in the order of the file; rows of samples without gold labels are left out.
        described: In which columns the predictions were found, for people.
        threshold: What decided, where numbers did; else None.
        notes: What a person should know.
    """

    predictions: tuple[Prediction, ...]
    described: str
    threshold: float | None
    notes: tuple[str, ...]


_NOTHING = frozenset[str]()


@dataclass(frozen=True, slots=True)
class _Said:
    """What a row says, before it is known whether its numbers are flags or probabilities."""

    line: int
    id: str
    repeat: int
    extra: Extra
    labels: frozenset[str] | None = None
    values: array[float] | None = None


def read_predictions(
    path: Path,
    space: LabelSpace,
    known: Mapping[str, bool],
    reading: Reading,
    *,
    where: str,
    elsewhere: Callable[[], Mapping[str, str]],
) -> PredictionFile:
    """Return what a file of predictions says of the samples of a split.

    Args:
        path: CSV, TSV, JSONL or Parquet.
        space: Its labels and fields.
        known: The split's sample ids, and whether each sample has gold labels.
        reading: What a person says of the file.
        where: The split, for messages.
        elsewhere: Returns the split by id of the dataset's other samples; asked only when an id is unknown.

    Raises:
        DataError: The file has problems; all of them are told, by line.
    """
    problems = Problems(path)
    with many_values():
        rows = iter(rows_of(path, space, problems))
        first = list(itertools.islice(rows, LOOKED_AT))
        if not first:
            problems.raise_if_any()
            raise DataError(f"{path}: must hold at least one prediction, got none.")
        layout = find_layout(path, space, reading, first)
        reader = _Reader(path, space, known, layout, reading, problems)
        said = reader.read(itertools.chain(first, rows))
        reader.tell(where, elsewhere)
        return reader.predictions(said)


class _Reader:
    """Turns rows into predictions, collecting what is wrong with them and what is worth a note."""

    def __init__(
        self,
        path: Path,
        space: LabelSpace,
        known: Mapping[str, bool],
        layout: Layout,
        reading: Reading,
        problems: Problems,
    ) -> None:
        self.path = path
        self.space = space
        self.known = known
        self.layout = layout
        self.reading = reading
        self.problems = problems
        self.shared = Shared()
        self.numbers = LabelNumbers(space, self.shared)
        self.extras = ExtraReader(space, layout.fields, problems, self._find)
        self.found: dict[str, str | None] = {}
        self.cells: dict[Any, frozenset[str]] = {}
        self.lines: dict[tuple[str, int], int] = {}
        self.texts: dict[str, int] = {}
        self.strangers: list[tuple[int, str]] = []
        self.unknown: dict[str, list[int]] = {}
        self.unlabelled = 0
        places = layout.places or ("",)
        self.pick = itemgetter(*places, places[0])  # two at least, so that it returns a tuple

    def read(self, rows: Iterable[Row]) -> list[_Said]:
        """Return what the rows say; what is wrong with them is noted."""
        layout = self.layout
        said = []
        for line, row in rows:
            identity, repeat = self._identity(line, row), self._repeat(line, row)
            if identity is None or not self._counts(line, identity, repeat):
                continue
            labels, values = None, None
            if layout.column is None:
                values = self.numbers.read(line, self._cells(row), layout.places)
            elif layout.shape == "labels":
                labels = self._labels(line, row.get(layout.column))
                if labels is None and row.get("unanswered") == row.get("failure") == "":
                    labels = _NOTHING  # `harness run -o predictions.csv` writes an empty list as an empty cell
                values = None if layout.weights is None else self._weights(line, layout.weights, row)
            elif layout.shape == "vector":
                values = self._vector(line, row.get(layout.column))
            else:
                values = self._weights(line, layout.column, row)
            said.append(_Said(line, identity, repeat, self.extras.read(line, row), labels, values))
        return said

    def tell(self, where: str, elsewhere: Callable[[], Mapping[str, str]]) -> None:
        """Raise all that is wrong with the rows.

        Raises:
            DataError: Something is.
        """
        for name, lines in self.unknown.items():
            self.problems.add(unknown_label(name, lines, self.space), lines[0])
        for column, lines in self.numbers.outside.items():
            self.problems.add(f"'{column}' must be 0, 1 or a probability between them{also_in(lines)}.", lines[0])
        flags = self.layout.shape == "vector" or self.reading.shape == "columns"
        if flags and self.numbers.fraction is not None:
            line, column = self.numbers.fraction
            self.problems.add(
                f"'{column}' must be 0 or 1. Probabilities need the names of labels: --format scores", line
            )
        others = elsewhere() if self.strangers else {}
        names = self.known if len(self.known) <= MOST_COMPARED else ()
        strangers = [identity for _, identity in self.strangers]
        if len(strangers) == len(self.lines) > 1 and not any(identity in others for identity in strangers):
            its, mine = shortened(strangers[0]), shortened(next(iter(self.known), ""))
            self.problems.add(
                f"none of the {len(strangers)} ids is a sample of {where}: they are like '{its}', not like '{mine}'. "
                "Name the dataset that they are of, or the column of ids: --id COLUMN",
                self.strangers[0][0],
            )
            self.problems.raise_if_any()
        for at, (line, identity) in enumerate(self.strangers):
            if identity in others:
                hint = f" It is one of split '{others[identity]}': --split {others[identity]}"
            else:
                hint = did_you_mean(identity, names) if at < MOST_TOLD else ""
            self.problems.add(f"id '{shortened(identity)}' is no sample of {where}.{hint}", line)
        self.problems.raise_if_any()

    # --- which sample -------------------------------------------------------------------------------------------------

    def _identity(self, line: int, row: Mapping[str, Any]) -> str | None:
        """Return the id of a row's sample; without an id the one that its text alone would have in a sample file."""
        if self.layout.id is not None:
            given = row.get(self.layout.id)
            if is_blank(given) or isinstance(given, list | dict):
                self.problems.add(f"must have an id in '{self.layout.id}', got {told(given)}.", line)
                return None
            return str(given)
        text = row.get("text")
        if not isinstance(text, str):
            self.problems.add(
                "must have an 'id', or the 'text' of its sample. Name the column of ids: --id COLUMN", line
            )
            return None
        base = text_id(text)
        number = self.texts[base] = self.texts.get(base, 0) + 1
        return base if number == 1 else f"{base}-{number}"

    def _repeat(self, line: int, row: Mapping[str, Any]) -> int:
        given = row.get("repeat", 0)
        if isinstance(given, str) and given.strip().isdecimal():
            given = int(given)
        if type(given) is not int or given < 0:
            self.problems.add(f"'repeat' must be a whole number from 0 on, got {told(given)}.", line)
            return 0
        return given

    def _counts(self, line: int, identity: str, repeat: int) -> bool:
        """Return whether a row counts: it is of a sample of the split with gold labels, and the first of it."""
        first = self.lines.setdefault((identity, repeat), line)
        if first != line:
            self.problems.add(f"id '{shortened(identity)}' is that of line {first} too. Ids are unique.", line)
            return False
        if identity not in self.known:
            self.strangers.append((line, identity))
            return True  # what else is wrong with the row is told with it
        self.unlabelled += not self.known[identity]
        return self.known[identity]

    # --- labels and numbers -------------------------------------------------------------------------------------------

    def _labels(self, line: int, cell: Any) -> frozenset[str] | None:
        """Return the labels that a cell names; None where it holds nothing."""
        written = tuple(cell) if isinstance(cell, list) else cell
        try:
            if written in self.cells:  # most cells are as others are
                return self.cells[written]
            names = (
                None if is_blank(cell) else split_labels(cell, self.space) if isinstance(cell, str) else listed(cell)
            )
        except TypeError:
            names = None
        if names is None:
            if not is_blank(cell):
                self.problems.add(f"'{self.layout.column}' must be names of labels, got {told(cell)}.", line)
            return None
        known = [self._find(name, line) for name in names]
        labels = self.shared.labels(name for name in known if name is not None)
        if None not in known:
            self.cells[written] = labels
        return labels

    def _find(self, name: str, line: int) -> str | None:
        """Return the label that a name means; None, noted, where it is none."""
        if name not in self.found:
            self.found[name] = self.space.find(name)
        if self.found[name] is None:
            self.unknown.setdefault(name, []).append(line)
        return self.found[name]

    def _cells(self, row: Mapping[str, Any]) -> Sequence[Any]:
        """Return the cells of the labels; None where a row of JSONL lacks one."""
        try:
            cells: tuple[Any, ...] = self.pick(row)
        except KeyError:
            return [row.get(place) for place in self.layout.places]
        return cells[:-1]

    def _vector(self, line: int, cell: Any) -> array[float] | None:
        """Return a vector in label-space order, written as a list or as text: ``[0, 1]``, ``0,1``, ``0 1`` or ``01``."""
        if is_blank(cell):
            return None
        if isinstance(cell, str):
            parts = cell.strip().strip("[]()").replace(",", " ").replace(";", " ").split()
            cell = list(parts[0]) if len(parts) == 1 else parts
        if not isinstance(cell, list) or len(cell) != len(self.space):
            got = f"{len(cell)} of them" if isinstance(cell, list) else told(cell)
            wanted = f"{len(self.space)} times 0 or 1, in the order of the labels"
            self.problems.add(f"'{self.layout.column}' must be {wanted}, got {got}.", line)
            return None
        return self.numbers.read(line, cell, (self.layout.column or "",) * len(cell))

    def _weights(self, line: int, column: str, row: Mapping[str, Any]) -> array[float] | None:
        """Return the numbers of an object by label, or of a list of objects that have `label` and `score`."""
        cell = row.get(column)
        if is_blank(cell):
            return None
        value = opened(cell)
        if isinstance(value, list) and all(isinstance(each, Mapping) for each in value):
            value = {str(each.get("label")): each.get("score") for each in value}
        if not isinstance(value, Mapping):
            self.problems.add(f"'{column}' must be an object with a number for each label, got {told(cell)}.", line)
            return None
        by_label: dict[str, Any] = {}
        for name, number in value.items():
            found = self._find(name, line)
            if found in by_label:
                self.problems.add(f"'{column}' must have one number for label '{found}', got two. Remove one.", line)
            elif found is not None:
                by_label[found] = number
        cells = [by_label.get(name) for name in self.space.names]
        return self.numbers.read(line, cells, [f"{column}.{name}" for name in self.space.names])

    # --- what that means ----------------------------------------------------------------------------------------------

    def predictions(self, said: Sequence[_Said]) -> PredictionFile:
        """Return the predictions, once all rows are read: one fraction makes probabilities of columns of 0 and 1."""
        by_names = self.layout.shape == "labels"
        weighed = by_names or self.layout.shape == "scores" or self.numbers.fraction is not None
        given = self.reading.threshold
        threshold = None if by_names or not weighed else DEFAULT_THRESHOLD if given is None else given
        made = tuple(self._prediction(each, threshold, weighed=weighed) for each in said)
        return PredictionFile(made, self.layout.described, threshold, tuple(self._notes(said, made)))

    def _prediction(self, said: _Said, threshold: float | None, *, weighed: bool) -> Prediction:
        extra, every = said.extra, self.space.names
        labels, unanswered = said.labels, _NOTHING
        if self.layout.shape != "labels" and said.values is not None:
            labels, unanswered = self.numbers.labels(said.values, threshold)
        if labels is None or (extra.failure is not None and extra.unanswered is None):
            unanswered = self.shared.labels(every)
        elif extra.unanswered:
            unanswered = self.shared.labels(self.space.ordered(unanswered | extra.unanswered))
        if labels is None or unanswered:
            labels = self.shared.labels(self.space.ordered((labels or _NOTHING) - unanswered))
        fields = extra.fields
        if len(unanswered) == len(every):  # a blank field is no "nothing there" where nothing is
            fields = {name: value for name, value in fields.items() if name not in extra.blank}
        return Prediction(
            said.id,
            labels=labels,
            unanswered=unanswered,
            failure=(extra.failure or FailureKind.UNPARSEABLE) if unanswered else None,
            why=(extra.why or f"the file has no answer in line {said.line}") if unanswered else None,
            off_list=extra.off_list,
            fields=fields,
            asked_fields=extra.asked_fields,
            repaired=extra.repaired,
            repeat=said.repeat,
            probabilities=self.numbers.probabilities(said.values, unanswered)
            if weighed and said.values is not None
            else {},
        )

    def _notes(self, said: Sequence[_Said], made: Sequence[Prediction]) -> Iterator[str]:
        """Say what a person should know of the file."""
        whole = len(self.space)
        silent = [row.line for row, each in zip(said, made, strict=True) if len(each.unanswered) == whole]
        partly = [row.line for row, each in zip(said, made, strict=True) if 0 < len(each.unanswered) < whole]
        if silent:
            yield (
                f"{self.path}: rows without an answer: {_where(silent)}. They count as failures; write '{NONE_WORD}' or [] "
                "where no label applies."
            )
        if partly:
            yield (
                f"{self.path}: rows that say nothing of some labels: {_where(partly)}. Those count as failures; give every "
                "label a 0, a 1 or a probability."
            )
        for name, lines in self.extras.odd.items():
            yield f"{self.path}: values that field '{name}' cannot have: {_where(lines)}. They count as unanswered."
        if self.unlabelled:
            yield f"{self.path}: rows of samples without gold labels are left out: {self.unlabelled}."


def _where(lines: Sequence[int]) -> str:
    """Return how many lines there are, and which."""
    return f"{len(lines)} (line{'' if len(lines) == 1 else 's'} {listing(map(str, lines), 5)})"
