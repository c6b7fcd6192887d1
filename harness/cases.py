"""What a run answered, beside what it should have, in the shape in which a search for a next pass reads it.

A case is one sample in one repeat. Of each there are the answer, the gold, and the *context*: what the `when` of a next
pass would see. Triggers are made of contexts alone; gold says afterwards what they caught.

**Errors.** A cell is wrong when it is missed, falsely predicted or unanswered. Scores count less than that: an
unanswered cell costs them something where the label is gold. Therefore a case has

* *wrong cells*: missed, added and unanswered ones;
* *errors*: its false negatives and false positives by the accounting of `metrics`, at least 1 when any cell is wrong. One
  answer that cannot be read would else weigh as much as all labels together;

and it is *wrong* when it has any of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.labelspace import LabelSpace
from harness.metrics import BoolMatrix, BoolVector, FloatVector, IntVector
from harness.records import Prediction, Sample
from harness.rendering import ANSWER_NAMES, TASK_NAMES, UNIT_NAMES, WEIGHED_NAMES
from harness.scoring import align
from harness.template import TemplateError, expression

RESERVED = frozenset(
    {*ANSWER_NAMES, *WEIGHED_NAMES, *TASK_NAMES, *frozenset().union(*UNIT_NAMES.values()), "shots", "if", "else"}
)
"""Names that an input column cannot be reached by: they are those of the answer and of the task, or end an expression."""

MOST_VALUES = 30
"""Different values up to which a column of strings is one of categories; with more of them it holds texts."""

EXACT_FLOATS = 2**53
"""Whole numbers up to which every one is a float of its own."""


@dataclass(frozen=True, slots=True)
class Case:
    """A sample in one repeat.

    Attributes:
        sample: Its id.
        inputs: The input columns.
        gold: The gold labels; None where the sample has none, and then it is left out.
        prediction: What the run answered; it says which repeat this is.
        context: What the `when` of a next pass would see: input columns, variables and the answer so far.
    """

    sample: str
    inputs: Mapping[str, Any]
    gold: frozenset[str] | None
    prediction: Prediction
    context: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Cases:
    """The labelled cases of a run, repeat after repeat; row ``r * n_samples + i`` is sample i in repeat r.

    Attributes:
        space: Names and orders the labels.
        rows: The cases, ``n_samples * n_repeats``.
        ids: The samples, in their order.
        y_true: Gold, shape (n_rows, n_labels) like the next two.
        y_pred: What was predicted; absent where unanswered.
        answered: False where a cell is unanswered.
    """

    space: LabelSpace
    rows: tuple[Case, ...]
    ids: tuple[str, ...]
    y_true: BoolMatrix
    y_pred: BoolMatrix
    answered: BoolMatrix

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.ids)

    @property
    def n_repeats(self) -> int:
        """Number of repeats; 1 where there is no case."""
        return len(self.rows) // len(self.ids) if self.ids else 1

    @cached_property
    def missed(self) -> BoolMatrix:
        """False negatives, shape (n_rows, n_labels): gold and not predicted, the unanswered ones among them."""
        missed: BoolMatrix = self.y_true & ~self.y_pred
        return missed

    @cached_property
    def added(self) -> BoolMatrix:
        """False positives, shape (n_rows, n_labels)."""
        added: BoolMatrix = self.y_pred & ~self.y_true
        return added

    @cached_property
    def wrong_cells(self) -> BoolMatrix:
        """Cells that are missed, added or unanswered, shape (n_rows, n_labels)."""
        wrong: BoolMatrix = (self.y_true != self.y_pred) | ~self.answered
        return wrong

    @cached_property
    def wrong(self) -> BoolVector:
        """Cases with a wrong cell, shape (n_rows,)."""
        wrong: BoolVector = np.logical_or.reduce(self.wrong_cells, axis=1)
        return wrong

    @cached_property
    def n_cells(self) -> IntVector:
        """Wrong cells of each case, shape (n_rows,)."""
        n: IntVector = np.count_nonzero(self.wrong_cells, axis=1)
        return n

    @cached_property
    def errors(self) -> FloatVector:
        """Errors of each case, shape (n_rows,): false negatives and positives, at least 1 when any cell is wrong."""
        counted = np.count_nonzero(self.missed | self.added, axis=1)
        return np.asarray(np.maximum(counted, self.wrong), np.float64)

    def per_sample(self, values: BoolVector | FloatVector | IntVector) -> FloatVector:
        """Return what stands by case summed by sample: shape (n_samples,)."""
        summed: FloatVector = np.asarray(values, np.float64).reshape(self.n_repeats, self.n_samples).sum(axis=0)
        return summed

    def by_case(self, samples: BoolVector) -> BoolVector:
        """Return what stands by sample for each of its cases: shape (n_rows,)."""
        return np.tile(samples, self.n_repeats)


def gather(space: LabelSpace, cases: Iterable[Case]) -> Cases:
    """Return the cases that have gold, aligned by sample and by label name.

    Samples stand in the order in which they come first, repeats in that of their numbers.

    Raises:
        ValueError: A sample lacks a case in one of the repeats or has two, or as `harness.scoring.align` does.
    """
    kept = [case for case in cases if case.gold is not None]
    by_place = {(case.prediction.repeat, case.sample): case for case in kept}
    ids, repeats = tuple(dict.fromkeys(case.sample for case in kept)), sorted({repeat for repeat, _ in by_place})
    if not len(by_place) == len(kept) == len(ids) * len(repeats):
        raise ValueError(
            f"every sample must have one case in each repeat, got {len(kept)} cases of {len(ids)} samples and "
            f"{len(repeats)} repeats"
        )
    rows = tuple(by_place[repeat, name] for repeat in repeats for name in ids)
    samples = [Sample(case.sample, case.inputs, case.gold) for case in rows[: len(ids)]]
    aligned = align(space, samples, [case.prediction for case in rows])
    return Cases(
        space=space,
        rows=rows,
        ids=ids,
        y_true=np.concatenate([each.y_true for each in aligned]),
        y_pred=np.concatenate([each.y_pred for each in aligned]),
        answered=np.concatenate([each.answered for each in aligned]),
    )


# --- input columns ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """An input column that every case has and that an expression can name.

    Attributes:
        name: Of the column.
        values: By case.
        flag: Whether all values are bools.
        numbers: The values as numbers, shape (n_rows,); None unless all are finite numbers, or texts of them.
        number_source: The expression that gives the number: the name, with ``| float`` for texts.
        text: Whether all values are strings and more than `MOST_VALUES` of them differ.
    """

    name: str
    values: tuple[Any, ...]
    flag: bool
    numbers: FloatVector | None
    number_source: str
    text: bool


def input_columns(rows: Sequence[Case]) -> tuple[Column, ...]:
    """Return the input columns that every case has and whose name an expression can use, in the order of the first case.

    A column that is named like a part of the answer (`predicted`) or is no name in Jinja (``has space``) is none.
    """
    if not rows:
        return ()
    common = [name for name in rows[0].inputs if all(name in row.inputs and name in row.context for row in rows)]
    return tuple(_column(name, tuple(row.context[name] for row in rows)) for name in common if is_usable(name))


def is_usable(name: str) -> bool:
    """Return whether an expression that is just this name gives the column of that name."""
    if not name.isidentifier() or name in RESERVED:
        return False
    value = object()
    try:
        return expression(name)({name: value}) is value
    except TemplateError:
        return False


def _column(name: str, values: tuple[Any, ...]) -> Column:
    strings = all(isinstance(value, str) for value in values)
    return Column(
        name=name,
        values=values,
        flag=all(isinstance(value, bool) for value in values),
        numbers=_numbers(values),
        number_source=f"{name} | float" if strings else name,
        text=strings and len(set(values)) > MOST_VALUES,
    )


def _numbers(values: tuple[Any, ...]) -> FloatVector | None:
    """Return values as numbers where all of them are numbers, or all are texts of numbers; else None."""
    if all(isinstance(value, str) for value in values):
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            return None
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        if any(isinstance(value, int) and abs(value) > EXACT_FLOATS for value in values):
            return None
        numbers = list(values)
    else:
        return None
    return np.array(numbers, np.float64) if all(map(math.isfinite, numbers)) else None
