"""Comparisons as a person reads them, at 100 columns, and as Markdown."""

from __future__ import annotations

import io
import re
from pathlib import Path

import cli_project
import pytest
from cli_project import ANSWERS, call_error, stored_run, write, write_samples
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from harness.project import find_project
from harness.report import changes
from harness.report.terminal import rendered
from harness.store import StoredRun
from harness.versions import ComparedRuns, compare_runs

project = cli_project.project


def compared(*runs: StoredRun) -> ComparedRuns:
    """Return the comparison of stored runs."""
    return compare_runs(runs, find_project(runs[0].path))


def report(*runs: StoredRun, limit: int = 8) -> str:
    """Return the comparison as it is printed where there is no terminal."""
    text = rendered([changes.comparison_report(compared(*runs), limit)], io.StringIO())
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
        assert line == line.rstrip(), line
    return text


def test_two_runs(project: Path, snapshot: SnapshotAssertion) -> None:
    """Two versions: headline, F1 by label with cells lost and won, and the samples that regressed and were fixed."""
    assert report(stored_run(project, "v1"), stored_run(project, "v2")) == snapshot


def test_three_runs(project: Path, snapshot: SnapshotAssertion) -> None:
    """Three versions: each later one against the first; a change of F1 by failures is told apart."""
    assert report(*(stored_run(project, version) for version in ("v1", "v2", "v3"))) == snapshot


def test_two_runs_of_one_version(project: Path, snapshot: SnapshotAssertion) -> None:
    """Runs of one version are told by their ids, which are whole."""
    text = report(stored_run(project, "v1", day=1), stored_run(project, "v1", ANSWERS["v2"], day=2))
    assert "v1-20260103-030405" in text
    assert "v1-20260104-030405" in text
    assert text == snapshot


def test_many_runs_have_no_changes_beside_their_scores(project: Path, snapshot: SnapshotAssertion) -> None:
    """From six runs on, F1 by label stands without changes, so that every number has its place."""
    runs = [stored_run(project, "v1", ANSWERS[f"v{1 + day % 3}"], day=day) for day in range(6)]
    text = rendered([changes.labels_table(compared(*runs).comparison)], io.StringIO())
    assert "Δ" not in text
    assert text == snapshot


def test_runs_that_differ_beside_the_prompt(project: Path) -> None:
    """What differs beside the prompt, and what is left out, stands above the tables."""
    before = stored_run(project, "v1", {key: ANSWERS["v1"][key] for key in ("r01", "r02", "r03")})
    text = report(before, stored_run(project, "v2", repeats=2))
    assert "repeats: v1 1, v2 2" in text
    assert "left out, because not every run or today's gold has them: 7 of v2" in text
    assert "on reviews dev · 3 common samples" in text


def test_the_same_answers_change_nothing(project: Path) -> None:
    """Where nothing changed it says so, and lists no samples."""
    text = report(stored_run(project, "v1"), stored_run(project, "v2", ANSWERS["v1"]))
    assert "0 regressed  0 fixed  0 churned  no cell changed" in text
    assert "before = gold" not in text


def test_f1_that_rises_by_failures_alone_is_called_out(project: Path) -> None:
    """When F1 rises only because wrong answers became failures, the report says that answers did not get better."""
    before = stored_run(project, "v1", {**ANSWERS["v1"], "r04": "shipping, quality, price"})
    after = stored_run(project, "v2", {**ANSWERS["v1"], "r04": "hm"})
    assert "it rose because more went unanswered, not because answers got better" in " ".join(
        report(before, after).split()
    )


def test_nothing_that_both_answered_is_said_in_words(project: Path) -> None:
    """Where one run answered nothing, no change of F1 is split: it is told that all of it is failures."""
    text = report(stored_run(project, "v1"), stored_run(project, "v2", dict.fromkeys(ANSWERS["v2"], "what?")))
    assert "no sample was answered by both: what changed is failures, not answers\n" in text
    assert "on the 0 samples" not in text


def test_an_answer_of_many_labels_is_shortened(project: Path) -> None:
    """In a list of changes a prediction has at most eight names, and the number of the others."""
    labels = "".join(f"  t{number}: ''\n" for number in range(10))
    write(project / "datasets/reviews.yaml", f"labels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    write_samples(project, {"r1": {"text": "Late.", "labels": ["t0"]}})
    every = ", ".join(f"t{number}" for number in range(10))
    text = report(stored_run(project, "v1", {"r1": "t0"}), stored_run(project, "v2", {"r1": every}))
    assert re.search(r"t0, t1, t2, t3, t4, t5, t6, t7  Late\.\n +and 2 more\n", text)
    assert "Neither gold nor predicted" not in text  # v2 predicts them all


def test_many_labels_that_no_run_predicts_are_one_line(project: Path) -> None:
    """Labels without gold and without a prediction in any of the runs have no rows."""
    labels = "".join(f"  t{number}: ''\n" for number in range(6))
    write(project / "datasets/reviews.yaml", f"labels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    write_samples(project, {"r1": {"text": "Late.", "labels": ["t0"]}})
    text = report(stored_run(project, "v1", {"r1": "t0"}), stored_run(project, "v2", {"r1": "t0, t1"}))
    assert "Neither gold nor predicted: t2, t3, t4, t5\n" in text
    assert "\nt2 " not in text


@pytest.mark.parametrize(
    ("name", "header"),
    [("v1", "v1"), ("containers", "containers"), ("v1-20260103-030405", "v1-\n20260103-\n030405"),
     ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnop\nqrstuvwxyz")],
)  # fmt: skip
def test_a_name_breaks_at_its_hyphens(name: str, header: str) -> None:
    """The name of a version stands whole over its column; only what is very long is broken within a word."""
    assert changes._stacked(name) == header


def test_more_changes_than_the_limit_are_counted(project: Path) -> None:
    """Samples beyond the limit are counted, with what shows them; at limit 0 none is listed."""
    runs = stored_run(project, "v1"), stored_run(project, "v3")
    assert "and 3 more: see --limit" in report(*runs, limit=2)
    assert "r02" not in report(*runs, limit=0)


def test_ids_are_whole_and_texts_give_way(project: Path) -> None:
    """A sample's id is typed into other commands: it is never cut, the text beside it is."""
    identity = "https://example.org/feedback/2026/01/" + "0123456789abcdef" * 2
    write_samples(project, {identity: {"text": "late " * 60, "labels": ["shipping"]}})
    runs = stored_run(project, "v1", {identity: "none"}), stored_run(project, "v2", {identity: "shipping"})
    text = report(*runs)
    (row,) = (line for line in text.splitlines() if line.startswith("https://"))
    following = text.splitlines()[text.splitlines().index(row) + 1]
    assert (row.split()[0] + following.strip()).startswith(identity) or row.startswith(identity)
    assert "late late" in row
    assert row.endswith("…")


def test_a_sample_without_a_text_is_told_by_its_columns(project: Path) -> None:
    """Where no column is called `text`, the input columns together tell the sample."""
    sample = compared(stored_run(project, "v1"), stored_run(project, "v2")).runs[0].samples[0]
    other = type(sample)("x", {"title": "Late", "stars": 1}, sample.labels)
    assert changes.text_of(sample) == "Arrived three weeks late."
    assert changes.text_of(other) == "Late · 1"


def test_what_a_prediction_says(project: Path) -> None:
    """A prediction says its labels, `none`, why there is none, or both where a part is unanswered."""
    run = stored_run(project, "v1", {"r01": "none", "r02": "price, shipping", "r03": call_error()})
    space = run.manifest.space
    none, labels, failed = run.predictions
    assert changes.said(none, space) == "none"
    assert changes.said(labels, space) == "shipping, price"
    assert changes.said(failed, space) == "(call_error)"
    part = type(failed)("r03", frozenset({"price"}), frozenset({"quality"}), failed.failure)
    assert changes.said(part, space) == "price (call_error)"


def test_markdown_of_a_comparison(project: Path, snapshot: SnapshotAssertion) -> None:
    """The Markdown of a comparison has headline, labels, and every sample that regressed or was fixed."""
    runs = stored_run(project, "v1"), stored_run(project, "v2", repeats=2), stored_run(project, "v3")
    assert changes.comparison_markdown(compared(*runs)) == snapshot


@pytest.mark.parametrize("text", ["a\nb", "x" * 500])
def test_a_note_is_one_line(text: str) -> None:
    """A note, which may quote params of a prompt, is one line."""
    assert "\n" not in changes.note(text).plain
