"""What a report shows: every number of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import cli_project
import numpy as np
import pytest
import report_runs
from cli_project import ANSWERS, call_error, stored_run, write, write_samples

from harness import metrics
from harness.errors import DataError
from harness.project import find_project
from harness.records import FailureKind
from harness.reportdata import THRESHOLDS, Report, failure_kinds, report_of
from harness.scoring import Scores
from harness.store import StoredRun
from harness.versions import compare_runs

project = cli_project.project


def report(*runs: StoredRun) -> Report:
    """Return the report of the last run, against the first where there are two."""
    *before, run = runs
    return report_of(run, find_project(run.path), before[0] if before else None)


# --- scores -----------------------------------------------------------------------------------------------------------


def test_a_run_alone_has_the_scores_that_are_stored(project: Path) -> None:
    """Without a baseline the scores are those of `harness show`; there are no changes."""
    run = stored_run(project, "v2")
    found = report(run)
    assert repr(found.scores) == repr(Scores.from_json(run.scores))
    assert (found.name, found.baseline_name, found.diff, found.change, found.noise) == ("v2", None, None, None, None)
    assert found.title == "v2 on reviews dev"
    assert found.changes == {}
    assert [row.score for row in found.labels] == list(found.scores.labels)
    assert all(row.diff is None and row.change is None and row.curve is None for row in found.labels)
    assert (found.macro_curve, found.label_curves) == (None, {})


def test_intervals_hold_their_scores(project: Path) -> None:
    """A score lies within its interval."""
    found = report(stored_run(project, "v2"))
    for row in found.labels:
        assert math.isnan(row.low) or row.low <= row.score.f1 <= row.high
    for name, value in found.scores.headline.items():
        ends = found.judgement.runs[0].averages[name]
        assert ends.low <= value <= ends.high


def test_against_a_baseline_the_changes_are_those_of_compare(project: Path) -> None:
    """Changes and verdicts are those of `harness compare`, label by label."""
    before, after = stored_run(project, "v1"), stored_run(project, "v2")
    found = report(before, after)
    compared = compare_runs([before, after], find_project(project))
    assert repr(found.diff) == repr(compared.comparison.diffs[0])
    assert repr(found.change) == repr(compared.judgement.diffs[0])
    assert repr([row.diff for row in found.labels]) == repr(list(compared.comparison.diffs[0].labels))
    assert repr([row.change for row in found.labels]) == repr(list(compared.judgement.diffs[0].labels))
    assert (found.name, found.baseline_name) == ("v2", "v1")
    assert repr(found.scores) == repr(compared.comparison.runs[1].scores)


def test_labels_are_matched_by_name(project: Path) -> None:
    """A baseline with the labels in another order changes nothing."""
    before, after = stored_run(project, "v1"), stored_run(project, "v2")
    straight = report(before, after)
    space = before.manifest.space
    turned = replace(before.manifest, space=replace(space, labels=space.labels[::-1]))
    rows = report(replace(before, manifest=turned), after).labels
    assert [row.score.label for row in rows] == [row.score.label for row in straight.labels]
    for one, other in zip(rows, straight.labels, strict=True):
        assert one.diff is not None
        assert other.diff is not None
        assert one.diff.label == one.score.label
        assert one.diff.delta == pytest.approx(other.diff.delta, nan_ok=True)


def test_scores_are_over_all_samples_where_the_baseline_has_fewer(project: Path) -> None:
    """A baseline of a few samples takes nothing from the run's scores, and it is said what the changes are on."""
    few = stored_run(project, "v1", {name: ANSWERS["v1"][name] for name in ("r01", "r02", "r03")})
    run = stored_run(project, "v2")
    found = report(few, run)
    assert repr(found.scores) == repr(report(run).scores)
    assert found.notes[0] == "changes are on the 3 samples that both runs have; scores are on all 10"
    assert found.compared is not None
    assert found.notes == (*found.own_notes, *found.compared.notes)


def test_there_is_one_gold(project: Path) -> None:
    """Against a baseline today's gold counts for scores and changes; alone, that of the last scoring."""
    before, run = stored_run(project, "v1"), stored_run(project, "v2")
    rows = {name: {"text": text, "labels": gold} for name, (text, gold) in cli_project.TEXTS.items()}
    write_samples(project, rows | {"r04": {"text": rows["r04"]["text"], "labels": ["price"]}})
    gold = {sample.id: sample.labels for sample in report(before, run).samples}
    assert gold["r04"] == frozenset({"price"})
    assert "gold: today's; samples that had other labels when they were run: 1" in report(before, run).notes
    assert {sample.id: sample.labels for sample in report(run).samples}["r04"] == frozenset()
    assert report(before, run).scores.averages.subset_accuracy > report(run).scores.averages.subset_accuracy


def test_notes_tell_what_makes_a_run_doubtful(project: Path) -> None:
    """A run that is not complete, and one with answers drawn again, say so."""
    run = stored_run(project, "v2", dict(ANSWERS["v2"]) | {"r01": call_error()}, redrawn=["truncated"])
    assert report(run).notes == ("the run is incomplete: calls are missing", "answers were drawn again: truncated")
    assert report(stored_run(project, "v1")).notes == ()


def test_cautions_are_said_once(project: Path) -> None:
    """What is rough in the scores and in the changes alike stands there once."""
    found = report(stored_run(project, "v1"), stored_run(project, "v2"))
    assert len(found.cautions) == len(set(found.cautions)) > 0


def test_an_unlabelled_run_is_refused(project: Path) -> None:
    """A run without gold has nothing to report; the message says what can be seen of it."""
    write(project / "datasets/reviews.dev.jsonl", '{"id": "r01", "text": "Arrived three weeks late."}\n')
    run = stored_run(project, "v1", {"r01": "shipping"})
    with pytest.raises(DataError) as told:
        report(run)
    assert str(told.value) == (
        f"run {run.manifest.id}: has no scores, because its samples are unlabelled. "
        f"Show one: harness show {run.manifest.id} ID"
    )


# --- samples ----------------------------------------------------------------------------------------------------------


def test_kinds_count_the_samples(project: Path) -> None:
    """Every kind of sample is counted in repeat 0: right and wrong, missed and added, failures, changes."""
    found = report(stored_run(project, "v1"), stored_run(project, "v3"))
    kinds = found.kinds
    assert (kinds["all"], kinds["right"] + kinds["wrong"]) == (10, 10)
    assert kinds["unparseable"] == 2
    assert found.diff is not None
    for kind in ("regressed", "fixed", "churned"):
        assert (
            kinds[kind] == len(getattr(found.diff, kind)) == sum(each.kind == kind for each in found.changes.values())
        )
    assert kinds["unstable"] == 0


def test_unstable_labels_of_both_runs_count(tmp_path: Path) -> None:
    """A cell that changes from repeat to repeat of either run is unstable."""
    found = report_runs.report(report_runs.write_project(tmp_path), "v2", "v1", repeats=2)
    assert found.noise is not None
    own = {each.sample for each in found.noise.samples}
    assert own < set(found.unstable)
    assert found.kinds["unstable"] == len(found.unstable)
    for each in found.noise.samples:
        assert set(each.labels) <= found.unstable[each.sample]


def test_failures_come_by_number(project: Path) -> None:
    """Only the kinds that there are, the most frequent first."""
    answers = dict(ANSWERS["v3"]) | {"r01": call_error()}
    assert list(failure_kinds(report(stored_run(project, "v3", answers)).scores).items()) == [
        (FailureKind.UNPARSEABLE, 2),
        (FailureKind.CALL_ERROR, 1),
    ]


def test_prediction_rows_say_whether_they_are_right(project: Path) -> None:
    """One row a prediction, with its inputs, gold, and whether it is exactly right; a failure is not."""
    rows = {row["id"]: row for row in report(stored_run(project, "v3")).prediction_rows()}
    assert rows["r01"]["inputs"] == {"text": "Arrived three weeks late."}
    assert (rows["r01"]["gold"], rows["r01"]["labels"], rows["r01"]["exact"]) == (["shipping"], ["shipping"], True)
    assert (rows["r10"]["labels"], rows["r10"]["exact"]) == (["quality", "price"], False)
    assert (rows["r08"]["failure"], rows["r08"]["exact"]) == ("unparseable", False)


# --- thresholds -------------------------------------------------------------------------------------------------------


def test_curves_are_the_scores_at_their_thresholds(tmp_path: Path) -> None:
    """Each point of a curve is what `metrics` gives when that threshold decides every cell that has a probability."""
    found = report_runs.report(report_runs.write_project(tmp_path), "v2")
    rows, space = found.repeats[0], found.space
    p = rows.probabilities(space)
    assert found.macro_curve is not None
    assert len(found.macro_curve.f1) == len(THRESHOLDS)
    for at, threshold in enumerate(THRESHOLDS):
        counts = metrics.count(rows.y_true, np.where(np.isnan(p), rows.y_pred, p >= threshold))
        assert found.macro_curve.f1[at] == pytest.approx(metrics.macro_f1(counts))
        assert found.macro_curve.precision[at] == pytest.approx(metrics.macro_precision(counts))
        for label, f1, recall in zip(space.names, metrics.f1(counts), metrics.recall(counts), strict=True):
            assert found.label_curves[label].f1[at] == pytest.approx(f1, nan_ok=True)
            assert found.label_curves[label].recall[at] == pytest.approx(recall, nan_ok=True)


def test_the_best_threshold_is_at_least_as_good_as_every_point(tmp_path: Path) -> None:
    """No threshold of the curve is better than the best one, for a label and for the macro average."""
    found = report_runs.report(report_runs.write_project(tmp_path), "v2")
    assert found.macro_curve is not None
    for curve in (found.macro_curve, *found.label_curves.values()):
        assert curve.best_f1 >= max(curve.f1) - 1e-9
        assert 0 <= curve.best <= 1
    assert [row.curve for row in found.labels] == list(found.label_curves.values())


# --- as plain values --------------------------------------------------------------------------------------------------


def test_label_rows_have_changes_only_against_a_baseline(tmp_path: Path) -> None:
    """A row has scores and interval; with a baseline changes and verdict; with probabilities how well they rank."""
    root = report_runs.write_project(tmp_path)
    plain = report_runs.report(root, "v1").labels[0].to_row()
    assert list(plain) == [
        "label", "support", "predicted", "tp", "fp", "fn", "unanswered", "precision", "recall", "f1", "f1_low", "f1_high",
    ]  # fmt: skip
    more = report_runs.report(root, "v2", "v1").labels[0].to_row()
    assert list(more)[len(plain) :] == [
        "baseline_f1", "delta", "delta_low", "delta_high", "p", "p_corrected", "verdict", "regressed", "fixed", "unstable",
        "auroc", "average_precision", "brier_loss",
    ]  # fmt: skip


def test_everything_is_json(tmp_path: Path) -> None:
    """The whole report is plain values without NaN, and holds every part."""
    root = report_runs.write_project(tmp_path)
    value = report_runs.report(root, "v2", "v1", repeats=2).to_json()
    read = json.loads(json.dumps(value, allow_nan=False))
    assert read["title"] == "v2 on feedback dev"
    assert (read["run"]["version"], read["baseline"]["version"]) == ("v2", "v1")
    assert len(read["predictions"]) == 2 * report_runs.N
    assert len(read["thresholds"]["macro"]["f1"]) == len(read["thresholds"]["at"]) == len(THRESHOLDS)
    assert [row["label"] for row in read["labels"]] == list(report_runs.LABELS)
    assert read["noise"]["n_repeats"] == 2
    alone = report_runs.report(root, "v1").to_json()
    empty = ("baseline", "comparison", "judgement", "noise", "thresholds")
    assert [alone[name] for name in empty] == [None] * len(empty)
