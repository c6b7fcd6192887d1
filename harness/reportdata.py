"""What a report shows, gathered: scores with their intervals, what changed from a baseline, and what the labels do.

Every number of every format of a report is made here or before. A renderer lays out, and rounds for people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from harness import metrics
from harness.comparison import Comparison, Diff, LabelDiff, RunPredictions, SampleChange, compare
from harness.errors import DataError
from harness.holdout import Looks, looks_of
from harness.labelanalysis import LabelAnalysis, analyse
from harness.labelspace import LabelSpace
from harness.noise import Noise, noise, unstable_cells
from harness.passmeasuring import MeasuredPasses, measure_passes, takes_long
from harness.plainvalues import to_plain
from harness.probabilities import LabelProbabilities
from harness.project import Project
from harness.records import FailureKind, Sample
from harness.scoring import Aligned, LabelScore, Scores
from harness.significance import Difference, JudgedDiff, Judgement, Settings, judge
from harness.store import StoredRun
from harness.thresholds import Evidence, decided, fit, search_in
from harness.versions import ComparedRuns, compare_runs, with_todays_rules

THRESHOLDS = tuple(at / 50 for at in range(51))
"""Where the curves over thresholds have their points."""


@dataclass(frozen=True, slots=True)
class ThresholdCurve:
    """What one threshold for all, or for one label, would give: a point for each of `THRESHOLDS`.

    Attributes:
        label: None for the macro average.
        precision: In [0, 1]; NaN where nothing is predicted.
        recall: In [0, 1].
        f1: In [0, 1].
        best: The threshold with the highest F1 on these very samples, which flatters it; `harness calibrate` tells by
            cross-validation what it is worth.
        best_f1: F1 there.
    """

    label: str | None
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    best: float
    best_f1: float


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label with all that is known of it.

    Attributes:
        low: Lower end of the interval of its F1; NaN where nothing can be said.
        high: Upper end.
        diff: What changed from the baseline, on the common samples; None without one.
        change: How real the change of its F1 is; None without a baseline.
        probabilities: None where the run has none.
        curve: None where the label has no probability, or no support.
    """

    score: LabelScore
    description: str
    low: float
    high: float
    diff: LabelDiff | None = None
    change: Difference | None = None
    probabilities: LabelProbabilities | None = None
    curve: ThresholdCurve | None = None

    def to_row(self) -> dict[str, Any]:
        """Return the label as one flat row for a table: NaN as None; without a baseline there are no changes in it."""
        score = asdict(self.score)
        row = {name: score[name] for name in ("label", "support", "predicted", "tp", "fp", "fn", "unanswered")}
        row |= {name: score[name] for name in ("precision", "recall", "f1")}
        row |= {"f1_low": self.low, "f1_high": self.high}
        if self.diff is not None:
            row |= {"baseline_f1": self.diff.f1_before, "delta": self.diff.delta}
        if self.change is not None:
            row |= {"delta_low": self.change.low, "delta_high": self.change.high}
            row |= {"p": self.change.p, "p_corrected": self.change.p_corrected, "verdict": self.change.verdict}
        if self.diff is not None:
            row |= {"regressed": self.diff.regressed, "fixed": self.diff.fixed, "unstable": self.diff.unstable}
        if self.probabilities is not None:
            found = self.probabilities
            row |= {"auroc": found.auroc, "average_precision": found.average_precision, "brier_loss": found.brier_loss}
        plain: dict[str, Any] = to_plain(row)
        return plain


@dataclass(frozen=True)
class Report:
    """What a report of a run shows, with or without a baseline.

    The run's scores are over all its samples with gold; changes are over the samples that it has in common with the
    baseline. There is one gold for both: today's where a baseline is compared, else that of the last scoring.

    Attributes:
        run: The run that the report is of.
        baseline: None where it stands alone.
        samples: All samples of the run, with the gold that everything here is scored against.
        comparison: The run alone, over all its samples.
        judgement: Its intervals.
        compared: The baseline and the run; None without a baseline.
        analysis: What the run does to its labels.
        noise: How much its repeats differ; None where there is one.
        macro_curve: The macro average over thresholds; None where the run has no probabilities.
        label_curves: By label, those that have probabilities and support.
        looks: How often the run's split was looked at; None where it is not locked.
        passes: What the later passes are worth; None where there are none, or too much would have to be read again.
    """

    run: StoredRun
    baseline: StoredRun | None
    samples: tuple[Sample, ...]
    comparison: Comparison
    judgement: Judgement
    compared: ComparedRuns | None
    analysis: LabelAnalysis
    noise: Noise | None
    macro_curve: ThresholdCurve | None
    label_curves: Mapping[str, ThresholdCurve]
    looks: Looks | None = None
    passes: MeasuredPasses | None = None

    @property
    def space(self) -> LabelSpace:
        """The label space of the run, which orders every label here."""
        return self.run.manifest.space

    @property
    def name(self) -> str:
        """What the run is called: its version; its id where the baseline is of the same version."""
        return self.run.manifest.version if self.compared is None else self.compared.names[1]

    @property
    def baseline_name(self) -> str | None:
        """What the baseline is called."""
        return None if self.compared is None else self.compared.names[0]

    @property
    def title(self) -> str:
        """What the report is of, as a line."""
        manifest = self.run.manifest
        return f"{manifest.version} on {manifest.dataset} {manifest.split}"

    @property
    def scores(self) -> Scores:
        """The run's scores, over all its samples."""
        return self.comparison.runs[0].scores

    @property
    def repeats(self) -> tuple[Aligned, ...]:
        """The run's samples with their predictions, repeat by repeat."""
        return self.comparison.runs[0].repeats

    @property
    def diff(self) -> Diff | None:
        """What changed from the baseline."""
        return None if self.compared is None else self.compared.comparison.diffs[0]

    @property
    def change(self) -> JudgedDiff | None:
        """How real it is."""
        return None if self.compared is None else self.compared.judgement.diffs[0]

    @property
    def cautions(self) -> tuple[str, ...]:
        """Why numbers here are rough, each said once."""
        of_change = () if self.compared is None else self.compared.cautions
        return tuple(dict.fromkeys((*self.judgement.cautions, *of_change)))

    @property
    def own_notes(self) -> tuple[str, ...]:
        """What a person must know of the run before reading on."""
        manifest = self.run.manifest
        searched = manifest.prompt.searched_on(manifest.split)
        notes = [] if searched is None else [f"{manifest.version} is {searched.words}"]
        notes += [] if self.looks is None else [f"{manifest.split} is locked: {self.looks.words}"]
        notes += [] if manifest.state == "complete" else [f"the run is {manifest.state}: calls are missing"]
        notes += [f"answers were drawn again: {', '.join(manifest.redrawn)}"] if manifest.redrawn else []
        if self.compared is not None and self.compared.comparison.n_common < self.scores.n_samples:
            common, n = self.compared.comparison.n_common, self.scores.n_samples
            notes.append(f"changes are on the {common} samples that both runs have; scores are on all {n}")
        return tuple(notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person must know of the run and of its comparison."""
        return self.own_notes if self.compared is None else (*self.own_notes, *self.compared.notes)

    @cached_property
    def labels(self) -> tuple[LabelRow, ...]:
        """All that is known of each label, in label-space order."""
        diffs, changes = _by_label(self.compared)
        weighed = self.scores.probabilities
        ranked = {} if weighed is None else {row.label: row for row in weighed.labels}
        return tuple(
            LabelRow(
                score=score,
                description=label.description,
                low=ends.low,
                high=ends.high,
                diff=diffs.get(label.name),
                change=changes.get(label.name),
                probabilities=ranked.get(label.name),
                curve=self.label_curves.get(label.name),
            )
            for label, score, ends in zip(
                self.space.labels, self.scores.labels, self.judgement.runs[0].labels, strict=True
            )
        )

    @cached_property
    def changes(self) -> Mapping[str, SampleChange]:
        """The samples that regressed, were fixed or churned, by id."""
        diff = self.diff
        return {} if diff is None else {each.sample: each for each in (*diff.regressed, *diff.fixed, *diff.churned)}

    @cached_property
    def unstable(self) -> Mapping[str, frozenset[str]]:
        """By sample id the labels that do not stay the same from repeat to repeat of one of the runs."""
        found: dict[str, frozenset[str]] = {}
        runs = [(self.space, self.repeats)]
        if self.compared is not None:
            runs.append((self.compared.comparison.space, self.compared.comparison.runs[0].repeats))
        for space, repeats in runs:
            cells = unstable_cells(repeats)
            for row in np.flatnonzero(np.logical_or.reduce(cells, axis=1)).tolist():
                name = repeats[0].samples[row].id
                labels = frozenset(space.names[at] for at in np.flatnonzero(cells[row]).tolist())
                found[name] = found.get(name, frozenset()) | labels
        return found

    @cached_property
    def kinds(self) -> Mapping[str, int]:
        """How many samples are of each kind, in repeat 0: all, right, wrong, missed, added, by failure, by change."""
        plain = self.repeats[0]
        exact = plain.exact
        missed = plain.y_true & ~plain.y_pred & plain.answered
        added = plain.y_pred & ~plain.y_true
        failures = Counter(each.failure for each in plain.predictions if each.failed)
        changes = Counter(each.kind for each in self.changes.values())
        return {
            "all": len(self.samples),
            "wrong": int(np.count_nonzero(~exact)),
            "right": int(np.count_nonzero(exact)),
            "missed": int(np.count_nonzero(missed.any(axis=1))),
            "added": int(np.count_nonzero(added.any(axis=1))),
            **{str(kind): failures[kind] for kind in FailureKind},
            "regressed": changes["regressed"],
            "fixed": changes["fixed"],
            "churned": changes["churned"],
            "unstable": len(self.unstable),
        }

    def prediction_rows(self) -> list[dict[str, Any]]:
        """Return one row a prediction: inputs, gold, what was predicted, and whether that is right."""
        index = self.space.index
        samples = {sample.id: sample for sample in self.samples}
        rows = []
        for each in self.run.predictions:
            gold = samples[each.sample].labels
            row = each.to_json(index, gold)
            exact = None if gold is None else not each.failed and each.labels == gold
            head = {"id": row.pop("id"), "repeat": row.pop("repeat"), "inputs": dict(samples[each.sample].inputs)}
            rows.append({**head, "gold": row.pop("gold"), "labels": row.pop("labels"), "exact": exact, **row})
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return the whole report as plain values, NaN as None."""
        compared = self.compared
        return {
            "title": self.title,
            "run": self.run.manifest.to_json(),
            "baseline": None if self.baseline is None else self.baseline.manifest.to_json(),
            "notes": list(self.notes),
            "cautions": list(self.cautions),
            "holdout": None if self.looks is None else self.looks.to_json(),
            "scores": self.scores.to_json(),
            "passes": None if self.passes is None else self.passes.to_json(),
            "intervals": self.judgement.to_json(),
            "labels": [row.to_row() for row in self.labels],
            "comparison": None if compared is None else compared.comparison.to_json(),
            "judgement": None if compared is None else compared.judgement.to_json(),
            **({"unseen": unseen.to_json()} if compared is not None and (unseen := compared.unseen[0]) else {}),
            "analysis": self.analysis.to_json(),
            "noise": to_plain(self.noise),
            "thresholds": None
            if self.macro_curve is None
            else {
                "at": list(THRESHOLDS),
                "macro": to_plain(self.macro_curve),
                "labels": to_plain(list(self.label_curves.values())),
            },
            "predictions": to_plain(self.prediction_rows()),
        }


def report_of(
    run: StoredRun, project: Project, baseline: StoredRun | None = None, settings: Settings | None = None
) -> Report:
    """Return what a report of a run shows.

    Args:
        run: A run with gold and predictions; it may be incomplete, and it may have no prompt.
        project: Where today's gold is.
        baseline: What it is measured against.
        settings: What decides whether a change is real.

    Raises:
        DataError: The run's samples are unlabelled, or as `compare_runs` says.
    """
    if all(gold is None for gold in run.gold.values()):
        raise DataError(
            f"run {run.manifest.id}: has no scores, because its samples are unlabelled. "
            f"Show one: harness show {run.manifest.id} ID"
        )
    compared = None if baseline is None else compare_runs([baseline, run], project, settings)
    samples = _samples(run, compared)
    comparison = compare(run.manifest.space, samples, [RunPredictions(run.manifest.version, run.predictions)])
    repeats = comparison.runs[0].repeats
    macro_curve, label_curves = threshold_curves(run.manifest.space, repeats)
    return Report(
        run=run,
        baseline=baseline,
        samples=samples,
        comparison=comparison,
        judgement=judge(comparison, settings),
        compared=compared,
        analysis=analyse(with_todays_rules(run.manifest, project), repeats),
        noise=noise(run.manifest.space, repeats, comparison.runs[0].scores),
        macro_curve=macro_curve,
        label_curves=label_curves,
        looks=looks_of(run, project),
        passes=None if takes_long(run) else measure_passes(run, project.settings.prices, settings),
    )


def _samples(run: StoredRun, compared: ComparedRuns | None) -> tuple[Sample, ...]:
    """Return the run's samples with the gold of the comparison, and of the last scoring where they are not in it."""
    common = {} if compared is None else {sample.id: sample for sample in compared.comparison.runs[1].plain.samples}
    return tuple(
        replace(each, labels=common[each.id].labels, fields=common[each.id].fields)
        if each.id in common
        else replace(each, labels=run.gold.get(each.id, each.labels))
        for each in run.samples
    )


def _by_label(compared: ComparedRuns | None) -> tuple[dict[str, LabelDiff], dict[str, Difference]]:
    """Return changes by label name: the baseline may have the labels in another order."""
    if compared is None:
        return {}, {}
    diffs, judged = compared.comparison.diffs[0].labels, compared.judgement.diffs[0].labels
    return {row.label: row for row in diffs}, {row.label: each for row, each in zip(diffs, judged, strict=True)}


def failure_kinds(scores: Scores) -> dict[FailureKind, int]:
    """Return the failures that there were, by kind, the most frequent first."""
    found = [(kind, n) for kind, n in scores.failures.items() if n]
    return dict(sorted(found, key=lambda each: -each[1]))


# --- curves over thresholds -------------------------------------------------------------------------------------------


def threshold_curves(
    space: LabelSpace, repeats: tuple[Aligned, ...]
) -> tuple[ThresholdCurve | None, dict[str, ThresholdCurve]]:
    """Return what each of `THRESHOLDS` would give: macro averages for one threshold for all, and each label.

    A cell without a probability stays as it was answered. Of several repeats the answers count together.

    Returns:
        The macro averages, None without probabilities; and by name the labels that have probabilities and support.
    """
    evidence = Evidence(
        names=space.names,
        y_true=np.concatenate([rows.y_true for rows in repeats]),
        y_pred=np.concatenate([rows.y_pred for rows in repeats]),
        answered=np.concatenate([rows.answered for rows in repeats]),
        probabilities=np.concatenate([rows.probabilities(space) for rows in repeats]),
        n_repeats=len(repeats),
    )
    if not evidence.has_probabilities:
        return None, {}
    every = np.ones(len(evidence.y_true), np.bool_)
    counts = [_counts(evidence, np.full(len(space), threshold)) for threshold in THRESHOLDS]
    precision, recall, f1 = (
        np.stack([score(each) for each in counts]).T.tolist()
        for score in (metrics.precision, metrics.recall, metrics.f1)
    )
    own = np.ones(len(space), np.bool_)
    _, best = fit(search_in(evidence, "macro_f1", own), every)
    best_f1 = metrics.f1(_counts(evidence, best)).tolist()
    weighed = np.logical_and(~np.isnan(evidence.probabilities).all(axis=0), evidence.support > 0)
    labels = {
        name: ThresholdCurve(
            name, tuple(precision[at]), tuple(recall[at]), tuple(f1[at]), float(best[at]), float(best_f1[at])
        )
        for at, name in enumerate(space.names)
        if weighed[at]
    }
    one, _ = fit(search_in(evidence, "macro_f1", ~own), every)
    macro = ThresholdCurve(
        None,
        tuple(map(metrics.macro_precision, counts)),
        tuple(map(metrics.macro_recall, counts)),
        tuple(map(metrics.macro_f1, counts)),
        best=one,
        best_f1=metrics.macro_f1(_counts(evidence, np.full(len(space), one))),
    )
    return macro, labels


def _counts(evidence: Evidence, thresholds: metrics.FloatVector) -> metrics.Counts:
    every = np.ones(len(evidence.y_true), np.bool_)
    return metrics.count(evidence.y_true, decided(evidence, thresholds, every))
