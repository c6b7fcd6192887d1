"""What a pass asks about a certain sample: less than it could, where a gate, candidates or the answer so far leave less.

A cell that an answer could not change is not asked about: what its merge rule leaves alone, what a gate closed, and what is
no candidate. So a pass that confirms labels one by one makes a call for each predicted label and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.kept import Kept
from harness.labelspace import LabelSpace
from harness.merging import changeable
from harness.parsing import FORMATS
from harness.prompt import ANSWERING, Pass
from harness.records import Prediction, Sample
from harness.units import Unit


def asked_units(
    each: Pass,
    space: LabelSpace,
    sample: Sample,
    said: Prediction,
    closed: frozenset[str],
    reader: Pass | None = None,
) -> tuple[Unit, ...]:
    """Return what the calls of a pass for a sample are about, in label-space order; none where none could change anything.

    Args:
        each: The pass.
        space: The label space.
        sample: With its candidates where the pass has some.
        said: The answer so far.
        closed: The labels that earlier gates closed: those of groups they did not choose, all of theirs where they failed.
        reader: The pass as its answers are read, where its scope or merge rule is another now: that decides which cells an
            answer could change.

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
    reader = reader or each
    if reader.output.fields or never_offered(reader, space, sample, said, closed):
        return tuple(units)  # what is not offered is answered with what is, so that nothing may be left out
    return tuple(unit for unit in units if changeable(said, cells(reader, unit, space), reader.how))


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
        if left := tuple(name for name in unit.labels if name in candidates):
            yield replace(unit, labels=left, space=space.only(left))


_CELLS = Kept[frozenset[str]]()


def cells(each: Pass, unit: Unit, space: LabelSpace) -> frozenset[str]:
    """Return the cells that an answer fills: those of the pass's scope that it was asked about."""
    if not asks_by_label(each):
        return _CELLS.of((), (each, space), lambda: frozenset(each.scope or space.names))
    asked = frozenset(unit.labels)
    return asked & frozenset(each.scope) if each.scope else asked


def asks_by_label(each: Pass) -> bool:
    """Return whether the calls of a pass ask about certain labels; a text about the sample may name any."""
    certain = each.per != "sample" or each.questions is not None or each.candidates is not None
    return certain or FORMATS[each.output.format].one_label


def never_offered(
    each: Pass, space: LabelSpace, sample: Sample, said: Prediction, closed: frozenset[str]
) -> frozenset[str]:
    """Return the open cells in a pass's scope that it does not ask about because they are no candidates of the sample.

    They are answered with the candidates: nobody said them. Empty for a pass without candidates, and for one whose merge
    rule leaves alone what is not named.
    """
    if each.candidates is None or each.how not in ANSWERING:
        return frozenset()
    left = (said.unanswered & frozenset(each.inside(space))) - frozenset(sample.candidates[each.name])
    return left if each.per == "sample" else left - closed


def answer_space(each: Pass, unit: str, space: LabelSpace, sample: Sample) -> LabelSpace:
    """Return the label space that a stored answer of a pass is read with.

    Args:
        each: The pass.
        unit: Name of what the call was about.
        space: The run's label space.
        sample: The sample that it was about, as the run has it.

    Raises:
        KeyError: The pass asks about no such unit.
    """
    if each.per == "label":
        return space.only([unit])
    if not unit and each.candidates is not None:
        return space.only(sample.candidates[each.name])
    return {one.name: one.space for one in each.units(space)}[unit]
