"""What changed between runs: scores on the common samples, flip lists, and what a change of F1 is made of.

Nothing here says "better": whether a difference is more than chance is for statistics to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from harness import metrics
from harness.labelspace import LabelSpace
from harness.metrics import BoolVector, Counts
from harness.plainvalues import to_plain
from harness.records import Prediction, Sample
from harness.scoring import Aligned, Scores, align, mean_defined, score

ChangeKind: TypeAlias = Literal["regressed", "fixed", "churned"]

FLIPS = ("TP→FN", "FN→TP", "TN→FP", "FP→TN", "answer→failure", "failure→answer")
"""The ways in which a cell can change between two runs."""


class RunPredictions(NamedTuple):
    """A run as `compare` takes it: its name, and its predictions in every repeat."""

    name: str
    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One run on the common samples.

    Attributes:
        n_dropped: Samples that the run has predictions for and that do not count here, because another run lacks them
            or gold no longer has them. Samples without gold labels are never scored and not counted as dropped.
        scores: Over the common samples alone.
    """

    name: str
    n_dropped: int
    scores: Scores


@dataclass(frozen=True, slots=True)
class SampleChange:
    """A sample whose prediction changed in a way that matters.

    Attributes:
        sample: Its id.
        before: The baseline's prediction, in repeat 0.
        after: The later run's.
        gold: The gold labels.
    """

    sample: str
    before: Prediction
    after: Prediction
    gold: frozenset[str]
    kind: ChangeKind


@dataclass(frozen=True, slots=True)
class LabelDiff:
    """One label in two runs.

    Attributes:
        support: Gold cells among the common samples.
        f1_before: F1 in the baseline, the mean over its repeats; NaN at 0/0.
        delta: ``f1_after - f1_before``; NaN when either is.
        regressed: Cells right before and wrong now, in repeat 0; an unanswered cell is wrong.
        fixed: Cells wrong before and right now, in repeat 0.
    """

    label: str
    support: float
    f1_before: float
    f1_after: float
    delta: float
    regressed: int
    fixed: int


@dataclass(frozen=True, slots=True)
class F1Change:
    """The change of an F1, split into what the answers changed and what the failures did.

    A failure takes false positives away as well as true ones, so F1 can rise because more answers failed.

    Attributes:
        before: F1 of the baseline over all common samples, the mean over its repeats.
        after: F1 of the later run.
        total: ``after - before``.
        answered_by_both: The same difference over the samples that both runs answered fully, in all their repeats;
            macro over the labels with support among those. NaN without such samples or without labels in them.
        failures: The rest: ``total - answered_by_both``.
    """

    before: float
    after: float
    total: float
    answered_by_both: float
    failures: float


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from the baseline (`before`) to a later run (`after`), on the common samples.

    The flips are those of repeat 0, the plain run; F1 is the mean over repeats. Tuples are in the order of the samples.

    Attributes:
        before: Name of the baseline.
        after: Name of the later run.
        regressed: Samples that were exactly right (every cell answered and right) and are not now.
        fixed: Samples that were not exactly right and are now.
        churned: Samples that are wrong both times, differently: other labels, or other unanswered cells.
        labels: In label-space order.
        cells: Number of flipped cells by type; every one of `FLIPS` is a key.
        headline: Change of each headline score; NaN where one of the two is.
        n_answered_by_both: Samples that both runs answered fully, in all their repeats.
        macro_f1: The change of macro F1, split.
        micro_f1: The change of micro F1, split.
    """

    before: str
    after: str
    regressed: tuple[SampleChange, ...]
    fixed: tuple[SampleChange, ...]
    churned: tuple[SampleChange, ...]
    labels: tuple[LabelDiff, ...]
    cells: Mapping[str, int]
    headline: Mapping[str, float]
    n_answered_by_both: int
    macro_f1: F1Change
    micro_f1: F1Change


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side, on the samples that all of them have.

    Attributes:
        space: The label space that orders everything here.
        samples: Ids of the common samples, in the order of gold.
        runs: In the order given; the first is the baseline.
        diffs: Each later run against the baseline.
    """

    space: LabelSpace
    samples: tuple[str, ...]
    runs: tuple[ComparedRun, ...]
    diffs: tuple[Diff, ...]

    @property
    def n_common(self) -> int:
        """Number of the common samples."""
        return len(self.samples)

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain values: NaN as None, labels in label-space order, samples by id."""
        return {
            "n_common": self.n_common,
            "samples": list(self.samples),
            "runs": [to_plain(run) for run in self.runs],
            "diffs": [self._diff_to_json(diff) for diff in self.diffs],
        }

    def _diff_to_json(self, diff: Diff) -> dict[str, Any]:
        plain: dict[str, Any] = to_plain(diff)
        for kind in ("regressed", "fixed", "churned"):
            plain[kind] = [self._change_to_json(change) for change in getattr(diff, kind)]
        return plain

    def _change_to_json(self, change: SampleChange) -> dict[str, Any]:
        gold = change.gold
        return {
            "sample": change.sample,
            "kind": change.kind,
            "gold": self.space.ordered(gold),
            "before": change.before.to_json(self.space.index, gold),
            "after": change.after.to_json(self.space.index, gold),
        }


def compare(space: LabelSpace, gold: Sequence[Sample], runs: Sequence[RunPredictions]) -> Comparison:
    """Return what changed between the runs, each later one against the first.

    Common are the samples with gold labels for which every run has a prediction (in some repeat). All runs are scored
    on them against the same gold, so that macro runs over the same labels in all of them.

    Raises:
        ValueError: No run is given, or as `harness.scoring.align` does.
    """
    if not runs:
        raise ValueError("a comparison needs at least one run, got none")
    predicted = [{prediction.sample for prediction in run.predictions} for run in runs]
    in_all = set.intersection(*predicted)
    samples = [sample for sample in gold if sample.labels is not None and sample.id in in_all]
    common = {sample.id for sample in samples}
    unlabelled = {sample.id for sample in gold if sample.labels is None}
    kept = [[each for each in run.predictions if each.sample in common] for run in runs]
    compared = tuple(
        ComparedRun(run.name, len(ids - common - unlabelled), score(space, samples, predictions))
        for run, ids, predictions in zip(runs, predicted, kept, strict=True)
    )
    aligned = [align(space, samples, predictions) for predictions in kept]
    baseline, *later = (_Side(*side) for side in zip(compared, aligned, strict=True))
    return Comparison(
        space=space,
        samples=tuple(sample.id for sample in samples),
        runs=compared,
        diffs=tuple(_diff(baseline, side) for side in later),
    )


def headline_delta(before: Scores, after: Scores) -> dict[str, float]:
    """Return the change of each headline score, ``after - before``; NaN where one of the two is undefined."""
    return {name: after.headline[name] - value for name, value in before.headline.items()}


# --- one pair of runs -------------------------------------------------------------------------------------------------


class _Side(NamedTuple):
    """A compared run with its aligned repeats."""

    run: ComparedRun
    repeats: tuple[Aligned, ...]

    @property
    def plain(self) -> Aligned:
        """The plain run: repeat 0."""
        return self.repeats[0]


def _diff(before: _Side, after: _Side) -> Diff:
    changes = _sample_changes(before.plain, after.plain)
    both: BoolVector = np.logical_and.reduce([rows.complete for rows in (*before.repeats, *after.repeats)])
    return Diff(
        before=before.run.name,
        after=after.run.name,
        regressed=tuple(change for change in changes if change.kind == "regressed"),
        fixed=tuple(change for change in changes if change.kind == "fixed"),
        churned=tuple(change for change in changes if change.kind == "churned"),
        labels=_label_diffs(before, after),
        cells=_cell_flips(before.plain, after.plain),
        headline=headline_delta(before.run.scores, after.run.scores),
        n_answered_by_both=int(np.count_nonzero(both)),
        macro_f1=_f1_change(metrics.macro_f1, before, after, both),
        micro_f1=_f1_change(metrics.micro_f1, before, after, both),
    )


def _sample_changes(before: Aligned, after: Aligned) -> list[SampleChange]:
    """Return the samples that changed: y_pred and answered together are all that a prediction says of its cells."""
    right_before, right_after = before.exact, after.exact
    differs = (before.y_pred != after.y_pred) | (before.answered != after.answered)
    changes = []
    for row in np.unique(np.nonzero(differs)[0]):
        sample = before.samples[row]
        kind: ChangeKind = "regressed" if right_before[row] else "fixed" if right_after[row] else "churned"
        gold = sample.labels or frozenset()
        changes.append(SampleChange(sample.id, before.predictions[row], after.predictions[row], gold, kind))
    return changes


def _label_diffs(before: _Side, after: _Side) -> tuple[LabelDiff, ...]:
    right_before, right_after = before.plain.right, after.plain.right
    regressed = np.count_nonzero(right_before & ~right_after, axis=0).tolist()
    fixed = np.count_nonzero(right_after & ~right_before, axis=0).tolist()
    return tuple(
        LabelDiff(old.label, old.support, old.f1, new.f1, new.f1 - old.f1, *flips)
        for old, new, *flips in zip(before.run.scores.labels, after.run.scores.labels, regressed, fixed, strict=True)
    )


def _cell_flips(before: Aligned, after: Aligned) -> dict[str, int]:
    gold, answered = before.y_true, before.answered & after.answered
    gained = answered & ~before.y_pred & after.y_pred
    lost = answered & before.y_pred & ~after.y_pred
    flipped = (
        lost & gold,
        gained & gold,
        gained & ~gold,
        lost & ~gold,
        before.answered & ~after.answered,
        after.answered & ~before.answered,
    )
    return {name: int(np.count_nonzero(cells)) for name, cells in zip(FLIPS, flipped, strict=True)}


def _f1_change(f1: Callable[[Counts], float], before: _Side, after: _Side, both: BoolVector) -> F1Change:
    everything = np.ones_like(both)
    old, new = _mean_f1(f1, before, everything), _mean_f1(f1, after, everything)
    answered_by_both = _mean_f1(f1, after, both) - _mean_f1(f1, before, both)
    total = new - old
    return F1Change(old, new, total, answered_by_both, failures=total - answered_by_both)


def _mean_f1(f1: Callable[[Counts], float], side: _Side, chosen: BoolVector) -> float:
    """Return the mean over repeats of the F1 of the chosen samples."""
    return mean_defined(
        f1(metrics.count(rows.y_true[chosen], rows.y_pred[chosen], rows.answered[chosen])) for rows in side.repeats
    )
