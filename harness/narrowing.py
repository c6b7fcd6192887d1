"""What a pass asks about a certain sample: less than it could, where a gate, candidates or the answer so far leave less.

A cell that an answer could not change is not asked about: what its merge rule leaves alone, what a gate closed, and what is
no candidate. So a pass that confirms labels one by one makes a call for each predicted label and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from harness.labelspace import LabelSpace
from harness.prompt import MergeHow, Pass, Unit
from harness.records import Prediction, Sample

_CHANGEABLE: Mapping[MergeHow, Callable[[str, Prediction], bool]] = {
    "replace": lambda _name, _said: True,
    "add": lambda name, said: name not in said.labels,
    "union": lambda name, said: name not in said.labels,
    "remove": lambda name, said: name in said.labels or name in said.unanswered,
    "intersection": lambda name, said: name in said.labels or name in said.unanswered,
    "confirm": lambda name, said: name in said.labels,
}
"""By merge rule, whether an answer can change a cell of what is said so far."""


def asked_units(
    each: Pass, space: LabelSpace, sample: Sample, said: Prediction, closed: frozenset[str]
) -> tuple[Unit, ...]:
    """Return what the calls of a pass for a sample are about, in label-space order; none where none could change anything.

    Args:
        each: The pass.
        space: The label space.
        sample: With its candidates where the pass has some.
        said: The answer so far.
        closed: The labels that earlier gates closed: those of groups they did not choose, all of theirs where they failed.

    Raises:
        KeyError: The sample's candidates are not chosen yet.
    """
    units: Iterator[Unit] = iter(each.units(space))
    if each.chooses_groups:
        return tuple(units)
    if each.per != "sample" and closed:
        units = _open(units, closed)
    if each.candidates is not None:
        units = _offered(units, space, frozenset(sample.candidates[each.name]))
    if each.how == "replace" or each.output.fields:
        return tuple(units)
    can_change = _CHANGEABLE[each.how]
    return tuple(unit for unit in units if any(can_change(name, said) for name in unit.labels))


def _open(units: Iterator[Unit], closed: frozenset[str]) -> Iterator[Unit]:
    """Yield the units with the labels that no gate closed."""
    for unit in units:
        if closed.isdisjoint(unit.labels):
            yield unit
        elif left := tuple(name for name in unit.labels if name not in closed):
            yield replace(unit, labels=left, space=unit.space.only(left))


def _offered(units: Iterator[Unit], space: LabelSpace, candidates: frozenset[str]) -> Iterator[Unit]:
    """Yield the units that ask about candidates alone; such a unit fills their cells and is read with their names."""
    for unit in units:
        left = tuple(name for name in unit.labels if name in candidates)
        if left:
            yield unit if len(left) == len(unit.labels) else replace(unit, labels=left, space=space.only(left))


def answer_space(each: Pass, unit: str, space: LabelSpace, sample: Sample) -> LabelSpace:
    """Return the label space that a stored answer of a pass is read with.

    Args:
        each: The pass.
        unit: Name of what the call was about.
        space: The run's label space.
        sample: The sample that it was about, as the run has it.
    """
    known = {one.name: one.space for one in each.units(space)}
    names = sample.candidates.get(each.name)
    return known[unit] if names is None or unit else space.only(names)
