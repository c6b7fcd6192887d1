"""``harness labels``, the label rules of ``harness check``, and the noise of ``harness show``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cli_project
import pytest
from cli_project import ANSWERS, DATASET, Cli, stored_run, write
from syrupy.assertion import SnapshotAssertion

from harness.records import Call

project, cli = cli_project.project, cli_project.cli

RULES = "exclusive: [[shipping, price]]\nimplies: {price: quality}\n"


CROSSED = {**ANSWERS["v2"], "r01": "quality", "r02": "price", "r07": "quality"}
"""Answers with labels that are missed where others are added."""


def repeated(call: Call) -> str:
    """Return another version's answer in each repeat."""
    return ANSWERS[f"v{1 + call.repeat}"][call.sample]


# --- harness labels ---------------------------------------------------------------------------------------------------


def test_a_run_s_labels(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """The analysis of a run goes to standard output."""
    stored_run(project, "v2", CROSSED)
    assert cli("labels", "v2").out == snapshot


def test_one_label_by_its_alias(project: Path, cli: Cli) -> None:
    """A label is found by any spelling of it; one that is none is told with the nearest."""
    stored_run(project, "v2")
    told = cli("labels", "v2", "--label", "Delivery").out
    assert told.startswith("v2 on reviews dev · label shipping · 10 samples · v2-20260104-030405\n")
    wrong = cli("labels", "v2", "--label", "shiping")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == (
        "error: --label 'shiping': must be a label of reviews: shipping, quality, price, gift wrap. "
        "Did you mean 'shipping'?\n"
    )


def test_the_analysis_as_json(project: Path, cli: Cli) -> None:
    """`--json` prints the run's id and all of the analysis."""
    stored_run(project, "v3", lambda call: CROSSED[call.sample] if call.repeat else "none", repeats=2)
    found = cli("labels", "v3", "--json").json
    assert found["run"] == "v3-20260105-030405"
    assert (found["n_samples"], found["n_repeats"], found["names"][3]) == (10, 2, "gift wrap")
    assert len(found["confusion"]) == 5
    assert found["confusions"][0] == {"missed": "shipping", "added": "quality", "n": 1.0, "samples": ["r01", "r07"]}
    assert [row["label"] for row in found["labels"]] == found["names"]
    assert cli("labels", "v3", "--json", "--label", "price").json["labels"][0]["label"] == "price"


@pytest.mark.parametrize("extension", ["json", "md", "csv"])
def test_the_analysis_goes_to_a_file(project: Path, cli: Cli, extension: str) -> None:
    """`-o` writes all pairs by the file's extension, whatever the limit says."""
    stored_run(project, "v2", CROSSED)
    assert cli("labels", "v2", "--limit", "0", "-o", f"labels.{extension}").out == f"written to labels.{extension}\n"
    text = (project / f"labels.{extension}").read_text(encoding="utf-8")
    if extension == "json":
        assert json.loads(text) == cli("labels", "v2", "--json").json
    elif extension == "csv":
        rows = list(csv.DictReader(text.splitlines()))
        assert rows[0] == {"missed": "shipping", "added": "quality", "samples": "2", "ids": "r01; r07"}
        assert rows[-1] == {"missed": "", "added": "price", "samples": "1", "ids": ""}
    else:
        assert text.startswith("## v2 on reviews dev · 10 samples · v2-20260104-030405\n")
        assert "| shipping | quality | 2 | r01, r07 |" in text


def test_json_and_a_file_together(project: Path, cli: Cli) -> None:
    """Beside JSON on standard output the note of the file goes to standard error."""
    stored_run(project, "v2")
    done = cli("labels", "v2", "--json", "-o", "labels.md")
    assert done.json["run"] == "v2-20260104-030405"
    assert done.err == "written to labels.md\n"


def test_a_file_of_an_unknown_kind_is_refused_first(project: Path, cli: Cli) -> None:
    """What cannot be written is told before the run is looked for."""
    done = cli("labels", "nothing", "-o", "labels.xlsx")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: -o labels.xlsx: must end in .json, .csv, .md, got '.xlsx'.\n"


def test_a_rule_that_is_written_after_the_run_counts(project: Path, cli: Cli) -> None:
    """The rules are those of today's dataset file: they change nothing that was asked."""
    stored_run(project, "v2")
    assert cli("labels", "v2", "--json").json["rules"] == []
    write(project / "datasets/reviews.yaml", DATASET + RULES)
    exclusive, implies = cli("labels", "v2", "--json").json["rules"]
    assert exclusive == {
        "rule": {"kind": "exclusive", "labels": ["shipping", "price"]},
        "gold": ["r03"], "predicted": ["r03", "r07"], "n_predicted": 2,
    }  # fmt: skip
    assert (implies["gold"], implies["predicted"]) == (["r03", "r10"], ["r03", "r04", "r06", "r07", "r10"])


@pytest.mark.parametrize(
    "today", ["labels: [", DATASET.replace("gift wrap:", "wrapping:") + "exclusive: [[price, wrapping]]\n"]
)
def test_the_rules_of_the_run_count_where_today_s_are_of_other_labels(project: Path, cli: Cli, today: str) -> None:
    """Where the dataset file cannot be read, or has other labels today, the rules of the run's own time count."""
    write(project / "datasets/reviews.yaml", DATASET + RULES)
    stored_run(project, "v2")
    write(project / "datasets/reviews.yaml", today)
    rules = cli("labels", "v2", "--json").json["rules"]
    assert [each["rule"]["kind"] for each in rules] == ["exclusive", "implies"]


def test_the_rules_of_a_run_without_a_dataset_file_are_its_own(project: Path, cli: Cli) -> None:
    """A run that names no dataset file has the rules that it froze."""
    write(project / "datasets/reviews.yaml", DATASET + RULES)
    run = stored_run(project, "v2")
    manifest = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    manifest["prompt"]["dataset"] = None
    write(run.path / "run.json", json.dumps(manifest))
    write(project / "datasets/reviews.yaml", DATASET)
    assert len(cli("labels", "v2", "--json").json["rules"]) == 2


def test_a_run_without_gold_has_no_analysis(project: Path, cli: Cli) -> None:
    """Without gold labels there is nothing to hold the labels against."""
    cli_project.write_samples(project, {"r01": {"text": "Never came."}})
    stored_run(project, "v1", {"r01": "shipping"})
    (path,) = project.glob("runs/*/scores.json")
    write(path, "{}")
    done = cli("labels", "v1")
    assert (done.code, done.out) == (1, "")
    assert "has no scores, because its samples are unlabelled." in done.err


# --- harness check ----------------------------------------------------------------------------------------------------


def test_check_warns_of_gold_that_breaks_a_rule(project: Path, cli: Cli) -> None:
    """Gold that breaks a rule of its own dataset is told with some ids; it is no error."""
    write(project / "datasets/reviews.yaml", DATASET + RULES)
    done = cli("check", "prompts/v1.yaml", "--json")
    warnings = [
        "datasets/reviews.yaml: gold breaks the rule 'at most one of shipping, price' in 1 sample: r03.",
        "datasets/reviews.yaml: gold breaks the rule 'price → quality' in 2 samples: r03, r10.",
    ]
    assert done.code == 0
    assert done.json[0]["warnings"] == warnings
    assert done.err == "".join(f"warning: {each}\n" for each in warnings)


def test_check_names_only_some_samples(project: Path, cli: Cli) -> None:
    """Of many samples some are named and the others counted; unlabelled ones break nothing."""
    rows = {f"s{at}": {"text": f"Late again, {at}.", "labels": ["shipping"] if at else None} for at in range(8)}
    cli_project.write_samples(project, rows)
    write(project / "datasets/reviews.yaml", DATASET + "implies: {shipping: price}\n")
    told = cli("check", "prompts/v1.yaml").err
    assert "'shipping → price' in 7 samples: s1, s2, s3, s4, s5 and 2 more.\n" in told


# --- harness show -----------------------------------------------------------------------------------------------------


def test_show_tells_the_noise_of_a_run_with_repeats(project: Path, cli: Cli) -> None:
    """A run with repeats shows how much it disagrees with itself, in its report and as JSON."""
    stored_run(project, "v3", repeated, repeats=2)
    assert (
        "Same prompt, 2 repeats: 6 of 10 samples (60.0 %) answer differently by themselves;\n" in cli("show", "v3").out
    )
    found = cli("show", "v3", "--json").json["noise"]
    assert (found["n_repeats"], found["unstable_samples"], found["share_samples"]) == (2, 6, 0.6)
    assert list(found["scores"]) == ["macro_f1", "micro_f1", "subset_accuracy", "coverage"]


def test_one_repeat_has_no_noise(project: Path, cli: Cli) -> None:
    """Without repeats there is nothing to measure it on."""
    stored_run(project, "v2")
    assert "Same prompt" not in cli("show", "v2").out
    assert cli("show", "v2", "--json").json["noise"] is None
