"""The errors worth reading: what went wrong most often, in groups of samples in which the same went wrong. Pure.

A wrong sample can have several errors. The groups are chosen one after the other, each time that with the most errors
which no group before it holds, so that ten of them tell ten things. One that is large is narrowed to the samples with the
word, or the value of a column, that stands out most in it; what is left of it can come again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from harness.cases import Cases, input_columns
from harness.metrics import BoolMatrix, BoolVector, IntVector
from harness.standout import stand_out, vocabulary

What: TypeAlias = Literal["confused", "missed", "added", "unanswered"]
"""One label missed where another one was added; a label missed, or added, alone; no answer."""

CLUSTERS = 10
SHOWN = 3
LARGE = 0.25
"""Share of the wrong samples from which on a group is narrowed."""

LEAST_LARGE = 12
"""Samples that a group which is narrowed has."""

LEAST_NARROW = 4
"""Samples that a narrowed group keeps, and leaves."""

LEAST_Z = 2.0
"""How clearly what a group is narrowed by must stand out."""

MOST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Cluster:
    """Samples in which the same went wrong.

    Attributes:
        what: The kind of error.
        missed: The label that was missed; None unless `confused` or `missed`.
        added: The label that was said wrongly; None unless `confused` or `added`.
        failure: Why there is no answer; None unless `unanswered`.
        word: A word that all of them have, and the column it is in; None where the group is not narrowed so.
        value: A column and the value that all of them have there; None where the group is not narrowed so.
        n: Samples, a mean over repeats.
        n_errors: Their errors of this kind that no group before holds, as `harness.cases` counts them; a mean over repeats.
        shown: Rows of the cases to read, at most `SHOWN`, of different samples: those with the fewest other errors, the
            shortest first.
    """

    what: What
    missed: str | None
    added: str | None
    failure: str | None
    n: float
    n_errors: float
    shown: tuple[int, ...]
    word: tuple[str, str] | None = None
    value: tuple[str, str] | None = None


class _Group(NamedTuple):
    """A kind of error, with the cells that it stands for: their positions in the flattened label vectors, ascending.

    There are hundreds of kinds with hundreds of labels, and few cells are of each.
    """

    what: What
    missed: str | None
    added: str | None
    failure: str | None
    cells: IntVector


class _Feature(NamedTuple):
    word: tuple[str, str] | None
    value: tuple[str, str] | None


def clusters(cases: Cases, given: BoolVector, most: int = CLUSTERS) -> tuple[Cluster, ...]:
    """Return the groups of errors among some of the samples, that with the most errors first.

    Args:
        cases: All cases.
        given: The samples that may be read, shape (n_samples,).
        most: Groups at most.
    """
    rows = cases.by_case(given)
    groups = [each for each in _groups(cases, rows) if len(each.cells)]
    features, present = _features(cases)
    errors = np.ravel(cases.missed | cases.added)
    left = np.ravel(cases.wrong_cells & rows[:, None])
    read: set[str] = set()
    found: list[Cluster] = []
    while groups and len(found) < most:
        sizes = [_n_errors(errors, each.cells[left[each.cells]], len(cases.space)) for each in groups]
        best = int(np.argmax(sizes))
        if not sizes[best]:
            break
        group = groups[best]
        cells = group.cells[left[group.cells]]
        mine = np.zeros_like(cases.missed)
        mine.flat[cells] = True
        inside = np.logical_or.reduce(mine, axis=1)
        narrow, feature = _narrowed(inside, rows, cases, features, present)
        taken = cells[narrow[cells // len(cases.space)]]
        left[taken] = False
        shown = _shown(cases, mine, narrow, read)
        read |= {cases.rows[row].sample for row in shown}
        found.append(
            Cluster(
                group.what,
                group.missed,
                group.added,
                group.failure,
                n=int(np.count_nonzero(narrow)) / cases.n_repeats,
                n_errors=_n_errors(errors, taken, len(cases.space)) / cases.n_repeats,
                shown=shown,
                word=feature.word,
                value=feature.value,
            )
        )
    return tuple(found)


def _n_errors(errors: BoolVector, cells: IntVector, n_labels: int) -> int:
    """Return the errors among some wrong cells: missed and added ones, at least 1 a case, as an answer that is not there.

    Args:
        errors: The cells that are missed or added, flattened.
        cells: Positions in them, ascending.
        n_labels: Cells of a case.
    """
    among = cells[errors[cells]]
    return len(among) + _n_rows(cells, n_labels) - _n_rows(among, n_labels)


def _n_rows(cells: IntVector, n_labels: int) -> int:
    """Return in how many rows some cells are; their positions are ascending."""
    return int(np.count_nonzero(np.diff(cells // n_labels))) + (len(cells) > 0)


def _groups(cases: Cases, rows: BoolVector) -> Iterator[_Group]:
    """Yield every kind of error that there is: pairs first, so that of as many cells the more telling kind is chosen."""
    names = cases.space.names
    missed, added = (each & cases.answered & rows[:, None] for each in (cases.missed, cases.added))
    any_missed, any_added = (np.logical_or.reduce(each, axis=1) for each in (missed, added))
    for one in np.flatnonzero(missed.any(axis=0)).tolist():
        for other in np.flatnonzero((missed[:, [one]] & added).any(axis=0)).tolist():
            first = np.flatnonzero(missed[:, one] & added[:, other]) * len(names)
            cells = np.sort(np.concatenate([first + one, first + other]))
            yield _Group("confused", names[one], names[other], None, cells)
    for what, errors, others in (("missed", missed, any_added), ("added", added, any_missed)):
        for at in np.flatnonzero(errors.any(axis=0)).tolist():
            cells = np.flatnonzero(errors[:, at] & ~others) * len(names) + at
            label = names[at]
            if what == "missed":
                yield _Group("missed", label, None, None, cells)
            else:
                yield _Group("added", None, label, None, cells)
    kinds = [row.prediction.failure for row in cases.rows]
    for kind in sorted({str(each) for each in kinds if each is not None}):
        mine = np.array([each is not None and str(each) == kind for each in kinds], np.bool_)
        yield _Group("unanswered", None, None, kind, np.flatnonzero(~cases.answered & (mine & rows)[:, None]))


def _features(cases: Cases) -> tuple[list[_Feature], BoolMatrix]:
    """Return what a group can be narrowed by, and which rows have it: shape (n_rows, n_features)."""
    features, masks = list[_Feature](), [np.zeros((len(cases.rows), 0), np.bool_)]
    for column in input_columns(cases.rows):
        if column.text:
            known = vocabulary([str(value) for value in column.values], LEAST_NARROW)
            features += [_Feature((word, column.name), None) for word in known.words]
            masks.append(known.present)
        elif column.numbers is None or column.flag:
            values = [str(value) for value in column.values]
            for value in sorted({each for each in values if len(each) <= MOST_VALUE}):
                features.append(_Feature(None, (column.name, value)))
                masks.append(np.array([[each == value] for each in values], np.bool_))
    return features, np.concatenate(masks, axis=1)


def _narrowed(
    inside: BoolVector, rows: BoolVector, cases: Cases, features: Sequence[_Feature], present: BoolMatrix
) -> tuple[BoolVector, _Feature]:
    """Return the rows of a group, when it is large those with what stands out in it; and what that is."""
    n, whole = np.count_nonzero(inside), (inside, _Feature(None, None))
    if n < max(LEAST_LARGE * cases.n_repeats, LARGE * np.count_nonzero(cases.wrong & rows)):
        return whole
    counts = np.count_nonzero(present[inside], axis=0)
    least = LEAST_NARROW * cases.n_repeats
    able = np.flatnonzero((counts >= least) & (counts <= n - least))
    if not len(able) or n == np.count_nonzero(rows):
        return whole
    _, z = stand_out(present[rows][:, able], inside[rows])
    best = int(np.argmax(np.round(np.nan_to_num(z), 9)))
    if z[best] < LEAST_Z:
        return whole
    return inside & present[:, able[best]], features[able[best]]


def _shown(cases: Cases, cells: BoolMatrix, narrow: BoolVector, read: set[str]) -> tuple[int, ...]:
    """Return the rows to read: samples that were not shown before, with the fewest other errors, the shortest first."""

    def rank(row: int) -> tuple[bool, int, int, int]:
        case = cases.rows[row]
        others = int(cases.n_cells[row]) - int(np.count_nonzero(cells[row]))
        return case.sample in read, others, sum(len(str(value)) for value in case.inputs.values()), row

    chosen: dict[str, int] = {}
    for row in sorted(np.flatnonzero(narrow).tolist(), key=rank):
        chosen.setdefault(cases.rows[row].sample, row)
    return tuple(list(chosen.values())[:SHOWN])
