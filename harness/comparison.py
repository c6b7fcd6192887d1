"""What changed between runs: scores on the common samples, the flip ledger, and what a change of F1 is made of.

Nothing here says "better": whether a difference is more than chance is for `significance` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from harness import metrics
from harness.flips import FLIPS as FLIPS
from harness.flips import ChangeKind as ChangeKind
from harness.flips import MovedError as MovedError
from harness.flips import SampleChange as SampleChange
from harness.flips import errors_moved, flipped_cells, sample_changes
from harness.labelspace import LabelSpace
from harness.metrics import BoolMatrix, BoolVector, Counts, FloatVector
from harness.noise import unstable_cells
from harness.plainvalues import to_plain
from harness.records import Prediction, Sample
from harness.scoring import Aligned, Scores, align, mean_defined, score_aligned


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
        repeats: The common samples with their predictions, repeat by repeat.
    """

    name: str
    n_dropped: int
    scores: Scores
    repeats: tuple[Aligned, ...]

    @property
    def plain(self) -> Aligned:
        """The plain run: repeat 0."""
        return self.repeats[0]


@dataclass(frozen=True, slots=True)
class LabelDiff:
    """One label in two runs.

    Attributes:
        support: Gold cells among the common samples.
        f1_before: F1 in the baseline, the mean over its repeats; NaN at 0/0.
        delta: ``f1_after - f1_before``; NaN when either is.
        answered_by_both: The same difference over the samples that both runs answered fully; the rest is failures.
        regressed: Cells right before and wrong now, in repeat 0; an unanswered cell is wrong.
        fixed: Cells wrong before and right now, in repeat 0.
        flips: Cells by how they changed, in repeat 0; every one of `FLIPS` is a key.
        unstable: Changed cells that change by themselves too, from repeat to repeat of one of the runs.
    """

    label: str
    support: float
    f1_before: float
    f1_after: float
    delta: float
    answered_by_both: float
    regressed: int
    fixed: int
    flips: Mapping[str, int]
    unstable: int


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
        errors_moved: Confusions whose number changed, the most gained first, the most lost last.
        repeats: The larger number of repeats of the two runs; with 1 nothing is known of what is unstable.
        headline: Change of each headline score; NaN where one of the two is.
        n_answered_by_both: Samples that both runs answered fully, in all their repeats.
        macro_f1: The change of macro F1, split.
        micro_f1: The change of micro F1, split.
        weighted_f1: The change of weighted F1, split.
    """

    before: str
    after: str
    regressed: tuple[SampleChange, ...]
    fixed: tuple[SampleChange, ...]
    churned: tuple[SampleChange, ...]
    labels: tuple[LabelDiff, ...]
    cells: Mapping[str, int]
    errors_moved: tuple[MovedError, ...]
    repeats: int
    headline: Mapping[str, float]
    n_answered_by_both: int
    macro_f1: F1Change
    micro_f1: F1Change
    weighted_f1: F1Change

    @property
    def n_unstable(self) -> int:
        """Changed samples in which nothing changed but what changes by itself."""
        return sum(each.is_unstable for each in (*self.regressed, *self.fixed, *self.churned))


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
            "runs": [
                {"name": run.name, "n_dropped": run.n_dropped, "scores": run.scores.to_json()} for run in self.runs
            ],
            "diffs": [self._diff_to_json(diff) for diff in self.diffs],
        }

    def _diff_to_json(self, diff: Diff) -> dict[str, Any]:
        changes = ("regressed", "fixed", "churned")
        plain = {each.name: to_plain(getattr(diff, each.name)) for each in fields(diff) if each.name not in changes}
        return plain | {kind: [self._change_to_json(change) for change in getattr(diff, kind)] for kind in changes}

    def _change_to_json(self, change: SampleChange) -> dict[str, Any]:
        gold = change.gold
        return {
            "sample": change.sample,
            "kind": change.kind,
            "gold": self.space.ordered(gold),
            "flips": dict(change.flips),
            "unstable": self.space.ordered(change.unstable),
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
    aligned = [align(space, samples, predictions) for predictions in kept]
    compared = tuple(
        ComparedRun(run.name, len(ids - common - unlabelled), score_aligned(space, repeats), repeats)
        for run, ids, repeats in zip(runs, predicted, aligned, strict=True)
    )
    baseline, *later = compared
    return Comparison(
        space=space,
        samples=tuple(sample.id for sample in samples),
        runs=compared,
        diffs=tuple(_diff(space, baseline, run) for run in later),
    )


def headline_delta(before: Scores, after: Scores) -> dict[str, float]:
    """Return the change of each headline score, ``after - before``; NaN where one of the two is undefined."""
    return {name: after.headline[name] - value for name, value in before.headline.items()}


# --- one pair of runs -------------------------------------------------------------------------------------------------


def _diff(space: LabelSpace, before: ComparedRun, after: ComparedRun) -> Diff:
    flipped = flipped_cells(before.plain, after.plain)
    unstable = unstable_cells(before.repeats) | unstable_cells(after.repeats)
    changes = sample_changes(space, before.plain, after.plain, flipped, unstable)
    both: BoolVector = np.logical_and.reduce([rows.complete for rows in (*before.repeats, *after.repeats)])
    return Diff(
        before=before.name,
        after=after.name,
        regressed=tuple(change for change in changes if change.kind == "regressed"),
        fixed=tuple(change for change in changes if change.kind == "fixed"),
        churned=tuple(change for change in changes if change.kind == "churned"),
        labels=_label_diffs(before, after, both, flipped, unstable),
        cells={name: int(np.count_nonzero(cells)) for name, cells in flipped.items()},
        errors_moved=errors_moved(space, before.plain, after.plain),
        repeats=max(len(before.repeats), len(after.repeats)),
        headline=headline_delta(before.scores, after.scores),
        n_answered_by_both=int(np.count_nonzero(both)),
        macro_f1=_f1_change(metrics.macro_f1, before, after, both),
        micro_f1=_f1_change(metrics.micro_f1, before, after, both),
        weighted_f1=_f1_change(metrics.weighted_f1, before, after, both),
    )


def _label_diffs(
    before: ComparedRun, after: ComparedRun, both: BoolVector, flipped: Mapping[str, BoolMatrix], unstable: BoolMatrix
) -> tuple[LabelDiff, ...]:
    right_before, right_after = before.plain.right, after.plain.right
    regressed = np.count_nonzero(right_before & ~right_after, axis=0).tolist()
    fixed = np.count_nonzero(right_after & ~right_before, axis=0).tolist()
    tallies = np.array([np.count_nonzero(cells, axis=0) for cells in flipped.values()]).T.tolist()
    any_flip = np.logical_or.reduce(list(flipped.values()))
    by_themselves = np.count_nonzero(any_flip & unstable, axis=0).tolist()
    answered = (_label_f1(after, both) - _label_f1(before, both)).tolist()
    return tuple(
        LabelDiff(
            label=old.label,
            support=old.support,
            f1_before=old.f1,
            f1_after=new.f1,
            delta=new.f1 - old.f1,
            answered_by_both=answered[at],
            regressed=regressed[at],
            fixed=fixed[at],
            flips=dict(zip(flipped, tallies[at], strict=True)),
            unstable=by_themselves[at],
        )
        for at, (old, new) in enumerate(zip(before.scores.labels, after.scores.labels, strict=True))
    )


def _label_f1(run: ComparedRun, chosen: BoolVector) -> FloatVector:
    """Return the F1 of each label over the chosen samples, the mean over the repeats in which it is defined."""
    values = np.array([metrics.f1(_counts(rows, chosen)) for rows in run.repeats])
    return np.array([mean_defined(column) for column in values.T.tolist()], dtype=np.float64)


def _f1_change(f1: Callable[[Counts], float], before: ComparedRun, after: ComparedRun, both: BoolVector) -> F1Change:
    everything = np.ones_like(both)
    old, new = _mean_f1(f1, before, everything), _mean_f1(f1, after, everything)
    answered_by_both = _mean_f1(f1, after, both) - _mean_f1(f1, before, both)
    total = new - old
    return F1Change(old, new, total, answered_by_both, failures=total - answered_by_both)


def _mean_f1(f1: Callable[[Counts], float], run: ComparedRun, chosen: BoolVector) -> float:
    """Return the mean over repeats of the F1 of the chosen samples."""
    return mean_defined(f1(_counts(rows, chosen)) for rows in run.repeats)


def _counts(rows: Aligned, chosen: BoolVector) -> Counts:
    return metrics.count(rows.y_true[chosen], rows.y_pred[chosen], rows.answered[chosen])
