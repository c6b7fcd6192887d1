"""The flip ledger as it is looked at: of one label, of one kind of change, in the order that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from harness.comparison import ChangeKind, Comparison, Diff, F1Change, LabelDiff, SampleChange
from harness.records import Sample

Only: TypeAlias = Literal["regressed", "fixed", "churned", "unstable"]
Sort: TypeAlias = Literal["order", "flips", "length"]

ONLY: tuple[str, ...] = get_args(Only)
SORTS: tuple[str, ...] = get_args(Sort)
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)


@dataclass(frozen=True, slots=True)
class View:
    """What of a comparison is looked at.

    Attributes:
        label: Only this label: its row, its errors, and the samples whose cell of it changed, by what that cell did.
        only: Only changes of this kind; "unstable" are those of any kind in which nothing changed but what changes by
            itself.
        sort: "order" (of the samples), "flips" (most changed cells first) or "length" (shortest input first).
    """

    label: str | None = None
    only: str | None = None
    sort: str = "order"


def viewed(comparison: Comparison, view: View, samples: Mapping[str, Sample]) -> Comparison:
    """Return the comparison with what is looked at alone; scores stay those of all labels and samples.

    Args:
        comparison: Of which `view.label` is a label.
        view: What is looked at.
        samples: By id, all that changed.
    """
    place = {identity: at for at, identity in enumerate(comparison.samples)}
    return replace(comparison, diffs=tuple(_viewed(diff, view, samples, place) for diff in comparison.diffs))


def _viewed(diff: Diff, view: View, samples: Mapping[str, Sample], place: Mapping[str, int]) -> Diff:
    shown = diff if view.label is None else _about(diff, view.label, place)
    changes: dict[str, tuple[SampleChange, ...]] = {kind: getattr(shown, kind) for kind in KINDS}
    if view.only == "unstable":
        changes = {kind: tuple(each for each in found if each.is_unstable) for kind, found in changes.items()}
    elif view.only is not None:
        changes = {kind: found if kind == view.only else () for kind, found in changes.items()}
    return _with(shown, {kind: _ordered(found, view.sort, samples) for kind, found in changes.items()})


def _with(diff: Diff, changes: Mapping[str, tuple[SampleChange, ...]]) -> Diff:
    return replace(diff, regressed=changes["regressed"], fixed=changes["fixed"], churned=changes["churned"])


def _ordered(changes: Iterable[SampleChange], sort: str, samples: Mapping[str, Sample]) -> tuple[SampleChange, ...]:
    if sort == "flips":
        return tuple(sorted(changes, key=lambda each: -len(each.flips)))
    if sort == "length":
        return tuple(sorted(changes, key=lambda each: _length(samples[each.sample])))
    return tuple(changes)


def _length(sample: Sample) -> int:
    return sum(len(str(value)) for value in sample.inputs.values())


def _about(diff: Diff, label: str, place: Mapping[str, int]) -> Diff:
    """Return what changed in one label: its cells, its errors, and the samples by what its cell did.

    A sample in which the cell was right and is wrong now has regressed, whatever its other cells did.
    """
    (row,) = (each for each in diff.labels if each.label == label)
    flipped = [_of_label(change, label) for kind in KINDS for change in getattr(diff, kind) if label in change.flips]
    flipped.sort(key=lambda each: place[each.sample])
    moved = tuple(each for each in diff.errors_moved if label in (each.missed, each.predicted))
    shown = replace(diff, labels=(row,), cells=row.flips, errors_moved=moved)
    return _with(shown, {kind: tuple(each for each in flipped if each.kind == kind) for kind in KINDS})


def _of_label(change: SampleChange, label: str) -> SampleChange:
    gold, before, after = change.gold, change.before, change.after
    right_before = label not in before.unanswered and (label in before.labels) == (label in gold)
    right_after = label not in after.unanswered and (label in after.labels) == (label in gold)
    kind: ChangeKind = "regressed" if right_before else "fixed" if right_after else "churned"
    return replace(change, kind=kind, flips={label: change.flips[label]}, unstable=change.unstable & frozenset([label]))


def label_split(row: LabelDiff) -> F1Change:
    """Return the change of a label's F1, split as that of the averages is."""
    return F1Change(row.f1_before, row.f1_after, row.delta, row.answered_by_both, row.delta - row.answered_by_both)
