"""A gate as a person reads it, at 100 columns, and as Markdown for a pull request."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import cli_project
import pytest
from cli_project import ANSWERS, stored_run, write, write_samples
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from harness.blessing import Found, baseline_of
from harness.gatecheck import GateResult, evaluate
from harness.gaterules import parse_rule
from harness.measuring import Measured, measure
from harness.project import find_project
from harness.report import gate
from harness.report.terminal import rendered
from harness.store import StoredRun

project = cli_project.project

RULES = (
    "macro_f1 >= 0.8",
    "regressed <= 2",
    'recall["gift wrap"] >= 0.5',
    "change coverage >= -0.02",
    "no significant drop",
    "no worse in f1[price]",
    "cost_usd <= 1",
    "cardinality_predicted <= 1.5",
    "failures <= 5",
    "protected[r01]",
    "protected[r02]",
    "protected[r07]",
    "protected[r99]",
)


def judged(run: StoredRun, before: StoredRun | None, *rules: str) -> tuple[Measured, GateResult]:
    """Return a run against a baseline, and what comes of the rules."""
    where = find_project(run.path)
    found = None if before is None else Found(baseline_of(before), "baselines/reviews-dev.json")
    measured = measure(run, found, where)
    return measured, evaluate([parse_rule(rule, run.manifest.space) for rule in rules], measured.evidence)


def report(run: StoredRun, before: StoredRun | None, *rules: str) -> str:
    """Return the gate as it is printed where there is no terminal."""
    text = rendered([gate.gate_report(*judged(run, before, *rules))], io.StringIO())
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
        assert line == line.rstrip(), line
    return text


def markdown(run: StoredRun, before: StoredRun | None, *rules: str) -> str:
    """Return the gate as Markdown."""
    measured, result = judged(run, before, *rules)
    evidence = measured.evidence
    if evidence.judgement is not None:
        judgement = replace(evidence.judgement, cautions=("10 samples are few",))
        measured = replace(measured, evidence=replace(evidence, judgement=judgement))
    return gate.gate_markdown(measured, result)


# --- terminal ---------------------------------------------------------------------------------------------------------


def test_a_gate_that_fails(project: Path, snapshot: SnapshotAssertion) -> None:
    """The verdict in a line, the rules with those that fail first and why, and the samples that regressed."""
    assert report(stored_run(project, "v3"), stored_run(project, "v1"), *RULES) == snapshot


def test_a_gate_that_passes(project: Path, snapshot: SnapshotAssertion) -> None:
    """Where nothing regressed, no samples are listed."""
    run = stored_run(project, "v2", {**ANSWERS["v1"], "r03": "shipping, price"})
    assert report(run, stored_run(project, "v1"), "no significant drop", "regressed == 0") == snapshot


def test_a_gate_without_a_baseline(project: Path) -> None:
    """Without a baseline there is a verdict on the run alone."""
    text = report(stored_run(project, "v2"), None, "macro_f1 >= 0.5")
    assert text.startswith("Gate passed: v2 on reviews dev, 1 rule\nrun v2-20260104-030405: 10 samples\n\nrule")
    assert "regressed" not in text


def test_a_partial_run(project: Path) -> None:
    """The first line says that the run is not complete, and the table why."""
    run = stored_run(project, "v2", state="interrupted")
    text = report(run, None, "macro_f1 >= 0.5")
    assert text.startswith("Gate failed: v2 on reviews dev, the run is not complete, 0 of 1 rule failed\n")
    assert re.search(r"^complete +partial +a complete run +FAILED +the run is interrupted$", text, re.MULTILINE)
    (run.path / "predictions.jsonl").unlink()
    text = report(StoredRun(run.path, run.manifest), None, "macro_f1 >= 0.5", "no significant drop")
    assert re.search(r"^macro_f1 +– +>= 0.5 +not checked +the run has no predictions$", text, re.MULTILINE)


def test_many_regressions_are_counted(project: Path) -> None:
    """The terminal lists some and counts the rest."""
    write_samples(project, {f"s{at:03}": {"text": "Late.", "labels": ["shipping"]} for at in range(30)})
    before = stored_run(project, "v1", dict.fromkeys([f"s{at:03}" for at in range(30)], "shipping"))
    after = stored_run(project, "v2", dict.fromkeys([f"s{at:03}" for at in range(30)], "none"))
    text = report(after, before, "no significant drop", "no significant drop in micro_f1")
    assert "and 10 more: -o report.md has them\n" in text
    assert "4 worse" in text


# --- blessing ---------------------------------------------------------------------------------------------------------


def test_what_changes_by_itself_is_counted_apart(project: Path) -> None:
    """Of the samples that regressed those are counted that also change from repeat to repeat of one run."""
    ids = [f"s{at:03}" for at in range(4)]
    write_samples(project, {each: {"text": "Late.", "labels": ["shipping"]} for each in ids})
    before = stored_run(project, "v1", dict.fromkeys(ids, "shipping"))
    after = stored_run(project, "v2", lambda call: "quality" if call.repeat == 0 or call.sample == "s000" else "shipping",
                       repeats=2)  # fmt: skip
    assert "\n4 regressed (3 of them unstable)  0 fixed  0 churned\n" in report(after, before, "regressed <= 4")
    assert "### 4 regressed (3 of them unstable)\n" in markdown(after, before, "regressed <= 4")


def test_a_score_that_is_not_defined_is_a_dash(project: Path) -> None:
    """A baseline without gold has no scores, and says so."""
    write_samples(project, {"r01": {"text": "Late."}})
    run = stored_run(project, "v1", {"r01": "shipping"})
    shown = rendered([gate.blessed_report(run, baseline_of(run), "x.json", None)], io.StringIO())
    assert "macro F1 –, micro F1 –, subset accuracy –, coverage – on 0 samples" in " ".join(shown.split())


# --- Markdown ---------------------------------------------------------------------------------------------------------


def test_markdown(project: Path, snapshot: SnapshotAssertion) -> None:
    """The verdict first, then what regressed with gold, before and now, the rules, and the rest folded away."""
    assert markdown(stored_run(project, "v3"), stored_run(project, "v1"), *RULES) == snapshot


def test_markdown_without_a_baseline(project: Path, snapshot: SnapshotAssertion) -> None:
    """Without a baseline the table of labels has precision, recall and F1 of the run."""
    assert markdown(stored_run(project, "v1"), None, "macro_f1 >= 0.5") == snapshot


def test_markdown_of_a_run_without_predictions(project: Path) -> None:
    """Where nothing was predicted the labels have no rows, and nothing breaks."""
    run = stored_run(project, "v1", state="stopped")
    (run.path / "predictions.jsonl").unlink()
    text = markdown(StoredRun(run.path, run.manifest), None, "macro_f1 >= 0.5")
    assert text.startswith("## Gate failed: v1 on reviews dev, the run is not complete, 0 of 1 rule failed\n")


EVIL = "</details> <script>alert(1)</script> | `x` **b** [l](http://e.vil) @octocat #12 www.e.vil https://e.vil \x1b[2J\n# h"


def test_outside_text_is_data_in_markdown(project: Path) -> None:
    """Texts and ids close no tag, open no link, mention nobody and reference no issue."""
    write_samples(project, {"a|b @you": {"text": EVIL, "labels": ["shipping"]}})
    before = stored_run(project, "v1", {"a|b @you": "shipping"})
    text = markdown(stored_run(project, "v2", {"a|b @you": "none"}), before, "regressed <= 0", "protected['a|b @you']")
    (row,) = [line for line in text.splitlines() if line.startswith("| a")]
    assert row.startswith("| a\\|b @&#8203;you | shipping | shipping | none | \\</details\\> \\<script\\>")
    assert len(re.findall(r"(?<!\\)\|", row)) == 6
    assert "@octocat" not in text
    assert "#12" not in text
    assert "://" not in text
    assert "www.e" not in text
    assert "\x1b" not in text
    assert text.count("</details>") == text.count("<details>")
    assert "\\</details\\>" in text


def test_markdown_fits_into_a_comment(project: Path) -> None:
    """However much regressed, GitHub takes the comment, and what is left out is counted."""
    ids = [f"sample-{'x' * 100}-{at:05}" for at in range(1_500)]
    write_samples(project, {each: {"text": "<&*" * 200, "labels": ["shipping"]} for each in ids})
    before = stored_run(project, "v1", dict.fromkeys(ids, "shipping"))
    after = stored_run(project, "v2", dict.fromkeys(ids, "none"))
    text = markdown(after, before, "regressed <= 3", *(f"protected[{each}]" for each in ids))
    assert len(text) <= gate.MOST_CHARACTERS
    left_out = re.findall(r"^… and (\d+) more\.$", text, re.MULTILINE)
    shown = len(re.findall(r"^\| sample-x", text, re.MULTILINE))
    assert int(left_out[0]) == 1_500 - shown
    assert shown > 20
    assert text.startswith("## Gate failed: ")
    assert text.count("<details>") == text.count("</details>")


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_baseline", [True, False])
def test_json(project: Path, with_baseline: bool) -> None:
    """Programs get cases, scores, the comparison and its judgement, with nulls where there is none."""
    before = stored_run(project, "v1") if with_baseline else None
    value = gate.gate_json(*judged(stored_run(project, "v3"), before, "macro_f1 >= 0.8"))
    plain = json.loads(json.dumps(value, allow_nan=False))
    assert plain["run"] == "v3-20260105-030405"
    assert [case["status"] for case in plain["cases"]] == ["passed", "passed"]
    assert plain["scores"]["coverage"] == 0.8
    if with_baseline:
        assert plain["baseline"] == {
            "where": "baselines/reviews-dev.json",
            "run": "v1-20260103-030405",
            "version": "v1",
        }
        assert [each["sample"] for each in plain["comparison"]["diffs"][0]["regressed"]] == ["r07", "r08", "r10"]
        assert plain["judgement"]["settings"]["seed"] == 0
    else:
        assert (plain["baseline"], plain["comparison"], plain["judgement"]) == (None, None, None)


def test_long_rules_and_names_stay_in_the_terminal(project: Path) -> None:
    """A long label wraps in its column and hides no number."""
    long = "a label with a very long name that goes on and on until it does not fit into any column of a table"
    write(project / "datasets/reviews.yaml", f"labels:\n  {long}: ''\nsplits: {{dev: reviews.dev.jsonl}}\n")
    write_samples(project, {"r1": {"text": "Late.", "labels": [long]}})
    text = report(stored_run(project, "v1", {"r1": long}), None, f"recall[{long}] >= 0.95")
    assert re.search(r"1\.000 +>= 0\.95 +ok", text)
