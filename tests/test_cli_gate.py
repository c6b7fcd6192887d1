"""``harness bless`` and ``harness gate`` as a person types them, and as continuous integration does."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import cli_project
import pytest
import yaml
from cli_project import ANSWERS, Cli, call_error, stored_run, write, write_samples
from syrupy.assertion import SnapshotAssertion

from harness.errors import EXIT_GATE
from harness.gaterules import DEFAULT_RULES, parse_rule, read_rules
from harness.labelspace import Label, LabelSpace
from harness.project import Project

project, cli = cli_project.project, cli_project.cli

ROOT = Path(__file__).resolve().parent.parent
BASELINE = Path("baselines/reviews-dev.json")


# --- bless ------------------------------------------------------------------------------------------------------------


def test_bless_writes_a_file_to_commit(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """The baseline of dataset and split is written, and a person is told to commit it."""
    stored_run(project, "v1")
    told = cli("bless", "v1", "--notes", "the first")
    assert (told.code, told.err) == (0, "")
    assert told.out == snapshot
    assert json.loads(BASELINE.read_text(encoding="utf-8"))["notes"] == "the first"


def test_blessing_again_says_what_it_replaces(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """The scores of the old baseline and the new are compared before the old is gone."""
    stored_run(project, "v1")
    stored_run(project, "v2")
    cli("bless", "v1")
    told = cli("bless", "v2")
    assert told.out == snapshot
    assert json.loads(BASELINE.read_text(encoding="utf-8"))["version"] == "v2"


def test_bless_replaces_what_cannot_be_compared(project: Path, cli: Cli) -> None:
    """A damaged baseline, and one without common samples, is replaced and told."""
    stored_run(project, "v1", {"r01": "shipping"})
    stored_run(project, "v2", {"r02": "quality"})
    write(project / BASELINE, "<<<<<<< HEAD\n")
    told = cli("bless", "v1")
    assert told.code == 0
    told_flat = " ".join(told.out.split())
    assert (
        "replaces a baseline that it cannot be compared with: baselines/reviews-dev.json: cannot be read" in told_flat
    )
    told = cli("bless", "v2")
    assert "no sample with gold labels and the same inputs is in both" in " ".join(told.out.split())


def test_bless_under_a_name(project: Path, cli: Cli) -> None:
    """A name makes a baseline beside the others, and is one file."""
    stored_run(project, "v1")
    assert cli("bless", "v1", "--as", "release-1").code == 0
    assert Path("baselines/release-1.json").is_file()
    told = cli("bless", "v1", "--as", "../x")
    assert (told.code, told.err) == (
        2,
        "error: --as: must be letters, digits, '.', '-' and '_', got '../x'. Say: --as x\n",
    )


def test_a_partial_run_is_not_blessed(project: Path, cli: Cli) -> None:
    """What is not complete writes no file."""
    run = stored_run(project, "v1", {**ANSWERS["v1"], "r01": call_error()})
    told = cli("bless", run.manifest.id)
    assert told.code == 1
    assert "must be complete to be a baseline, but is incomplete" in told.err
    assert not Path("baselines").exists()


def test_doubts_about_the_run_are_told(project: Path, cli: Cli) -> None:
    """A prompt that has changed since its run is told by both commands."""
    stored_run(project, "v1")
    path = project / "prompts/v1.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("Labels:", "Choose of:"), encoding="utf-8")
    assert "has changed since v1-20260103-030405" in cli("bless", "v1").err
    assert "has changed since v1-20260103-030405" in cli("gate", "v1").err


# --- gate -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def blessed(project: Path, cli: Cli) -> Path:
    """A project whose v1 is blessed and, as on another machine, no longer among the runs."""
    run = stored_run(project, "v1")
    assert cli("bless", "v1").code == 0
    shutil.rmtree(run.path)
    stored_run(project, "v2")
    stored_run(project, "v3")
    return project


def test_the_default_rules(blessed: Path, cli: Cli) -> None:
    """Without rules nothing may drop significantly, coverage neither; two failures of ten may be chance."""
    assert cli("gate", "v2").code == 0
    told = cli("gate", "v3")  # two answers of ten cannot be read
    assert told.code == 0
    assert re.search(r"−0\.200 inconclusive +not worse +ok", told.out), told.out
    assert cli("gate", "v3", "--rule", "change coverage >= -0.02").code == EXIT_GATE == 4
    nothing = dict.fromkeys(ANSWERS["v1"], "?")  # no answer can be read
    stored_run(blessed, "v3", nothing, day=9)
    told = cli("gate", "v3")
    assert told.code == EXIT_GATE
    assert re.search(r"no significant drop in coverage .*FAILED", told.out), told.out


def test_an_inconclusive_difference_does_not_block(blessed: Path, cli: Cli) -> None:
    """Lower scores on ten samples are no significant drop; they block where 'no worse' must be shown."""
    worse = {**ANSWERS["v1"], "r01": "price", "r07": "none"}
    stored_run(blessed, "v2", worse, day=9)
    told = cli("gate", "v2", "--json")
    assert told.code == 0
    assert told.json["judgement"]["diffs"][0]["averages"]["micro_f1"]["verdict"] == "inconclusive"
    assert told.json["comparison"]["diffs"][0]["headline"]["micro_f1"] < 0
    told = cli("gate", "v2", "--rule", "no worse in micro_f1")
    assert told.code == 4
    assert "inconclusive" in told.out


def test_a_gate_that_fails_names_the_sample(blessed: Path, cli: Cli) -> None:
    """All files are written although the gate fails, and the Markdown names what regressed."""
    rules = ("--rule", "regressed <= 2", "--rule", "protected[r08]")
    told = cli("gate", "v3", *rules, "-o", "junit.xml", "-o", "report.md", "-o", "gate.json")
    assert told.code == 4
    assert told.out.endswith("written to junit.xml\nwritten to report.md\nwritten to gate.json\n")
    text = Path("report.md").read_text(encoding="utf-8")
    assert text.startswith("## Gate failed: v3 against v1 on reviews dev, 2 of 2 rules failed\n\n### 3 regressed\n")
    assert "| r08 | quality | quality | (unparseable) | Stitching came apart after one wash. |" in text
    assert ET.parse("junit.xml").getroot().get("failures") == "2"
    assert json.loads(Path("gate.json").read_text(encoding="utf-8"))["passed"] is False


def test_json_is_all_that_is_printed(blessed: Path, cli: Cli) -> None:
    """With --json standard output is one value, and files are told on standard error."""
    told = cli("gate", "v2", "--json", "-o", "report.md")
    assert told.json["passed"] is True
    assert told.err == "written to report.md\n"


def test_rules_from_a_file(blessed: Path, cli: Cli) -> None:
    """Rules, protected samples, baseline and margin come from the file; the command line adds rules and goes before."""
    write(blessed / "ci/safe.txt", "r01\nr02\n")
    write(
        blessed / "ci/gate.yaml",
        "rules:\n- macro_f1 >= 0.5\nprotected: safe.txt\nagainst: ../baselines/reviews-dev.json\nmargin: 0.1\n",
    )
    told = cli("gate", "v2", "--rules", "ci/gate.yaml", "--rule", "fixed >= 1", "--json").json
    assert [case["name"] for case in told["cases"]] == [
        "complete",
        "fixed >= 1",
        "macro_f1 >= 0.5",
        "protected[r01]",
        "protected[r02]",
    ]
    assert told["judgement"]["settings"]["margin"] == 0.1
    told = cli(
        "gate", "v2", "--rules", "ci/gate.yaml", "--against", "v3", "--margin", "0.3", "--seed", "7", "--json"
    ).json
    assert told["baseline"]["where"] == "run v3-20260105-030405"
    assert (told["judgement"]["settings"]["margin"], told["judgement"]["settings"]["seed"]) == (0.3, 7)


def test_all_wrong_rules_are_told_at_once(blessed: Path, cli: Cli) -> None:
    """Mistakes in the file and on the command line come together, before anything is compared."""
    write(blessed / "gate.yaml", "rules:\n- macro_f >= 0.5\nprotect: [r1]\n")
    told = cli("gate", "v2", "--rules", "gate.yaml", "--rule", "x > 1")
    assert (told.code, told.out) == (1, "")
    assert told.err.splitlines()[:2] == [
        "error: gate.yaml:2: 'macro_f >= 0.5': must name a score or a count, got 'macro_f'. Did you mean 'macro_f1'?",
        "gate.yaml:3: unknown key 'protect'. Did you mean 'protected'?",
    ]
    assert told.err.splitlines()[2].startswith("--rule 'x > 1': must name a score or a count, got 'x'.")
    told = cli("gate", "v2", "--rule", "recall[prce] > 0")
    assert told.code == 2
    assert told.err == (
        "error: --rule 'recall[prce] > 0': must name a label, got prce: recall[LABEL]. Did you mean 'price'?\n"
    )
    assert cli("gate", "v2", "--rules", "gone.yaml").err == (
        "error: gone.yaml: no such file. Did you mean 'gate.yaml'?\n"
    )


def test_without_a_baseline(project: Path, cli: Cli) -> None:
    """Rules that need a baseline say how to make one; rules that do not are checked."""
    stored_run(project, "v2")
    told = cli("gate", "v2")
    assert (told.code, told.out) == (2, "")
    assert told.err == (
        "error: baselines/reviews-dev.json: there is no baseline of reviews dev, and 'no significant drop', "
        "'no significant drop in coverage' must have one. Bless a run and commit the file: harness bless RUN. Or name one: "
        "--against RUN\n"
    )
    assert cli("gate", "v2", "--rule", "macro_f1 >= 0.5").code == 0
    assert cli("gate", "v2", "--rule", "protected[r01]").code == 0
    assert cli("gate", "v2", "--rule", "protected[r04]").code == 4
    assert cli("gate", "v2", "--rule", "protected[r01]", "--rule", "regressed <= 3").code == 2
    assert cli("gate", "v2", "--against", "main").code == 1


def test_a_run_is_held_against_another(project: Path, cli: Cli) -> None:
    """--against takes a run too, where it is at hand."""
    stored_run(project, "v1")
    stored_run(project, "v2")
    told = cli("gate", "v2", "--against", "v1", "--rule", "regressed <= 2")
    assert told.code == 0
    assert "baseline: run v1-20260103-030405\n" in told.out


def test_a_partial_run_never_passes(blessed: Path, cli: Cli) -> None:
    """Failed calls, missing predictions and left-out samples fail the gate, however mild the rules are."""
    rule = ("--rule", "macro_f1 >= 0")
    failed = stored_run(blessed, "v2", {**ANSWERS["v2"], "r01": call_error()}, day=11)
    told = cli("gate", failed.manifest.id, *rule)
    assert told.code == 4
    assert "the run is incomplete" in told.out
    some = stored_run(blessed, "v2", {key: ANSWERS["v2"][key] for key in ("r01", "r02")}, day=12)
    told = cli("gate", some.manifest.id, *rule)
    assert told.code == 4
    assert "samples of the baseline" in told.out
    broken = stored_run(blessed, "v2", day=13, state="interrupted")
    (broken.path / "predictions.jsonl").unlink()
    told = cli("gate", broken.manifest.id, *rule, "-o", "junit.xml", "-o", "report.md")
    assert told.code == 4
    assert "the run is interrupted" in told.out
    assert ET.parse("junit.xml").getroot().get("failures") == "1"


def test_no_sample_dropped_on_purpose_passes(blessed: Path, cli: Cli) -> None:
    """A sample that is gone from the dataset is gone from the run: the baseline must be blessed again."""
    rows = {identity: {"text": text, "labels": gold} for identity, (text, gold) in cli_project.TEXTS.items()}
    del rows["r04"]
    write_samples(blessed, rows)
    answers = {key: value for key, value in ANSWERS["v2"].items() if key != "r04"}
    run = stored_run(blessed, "v2", answers, day=14)
    told = cli("gate", run.manifest.id)
    assert told.code == 4
    assert "1 of 10 (r04)" in told.out
    cli("bless", run.manifest.id)
    assert cli("gate", run.manifest.id).code == 0


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("report.html", "-o report.html: must end in .xml, .md, .json, got '.html'."),
        ("gone/report.md", "-o gone/report.md: the folder gone is not there. Make it first."),
    ],
)
def test_bad_outputs_are_refused_first(blessed: Path, cli: Cli, output: str, message: str) -> None:
    """A file that cannot be written is told before any work is done."""
    told = cli("gate", "v2", "-o", output)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"error: {message}")


def test_the_same_files_give_the_same_bytes(blessed: Path, cli: Cli) -> None:
    """What a gate writes depends on its inputs and seed alone."""
    for name in ("one", "two"):
        assert cli("gate", "v2", "-o", f"{name}.xml", "-o", f"{name}.md", "-o", f"{name}.json").code == 0
    for kind in ("xml", "md", "json"):
        assert Path(f"one.{kind}").read_bytes() == Path(f"two.{kind}").read_bytes()


# --- the page ---------------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yml\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_of_the_page_are_valid(tmp_path: Path) -> None:
    """The page's workflow is YAML with the jobs that GitHub asks for, and its file of rules is read without a problem."""
    workflows = [yaml.safe_load(text) for text in EXAMPLES if "runs-on" in text]
    rules = [text for text in EXAMPLES if "runs-on" not in text]
    assert len(workflows) == 1
    assert len(rules) == 1
    for workflow in workflows:
        steps = workflow["jobs"]["gate"]["steps"]
        assert all(("uses" in step) != ("run" in step) for step in steps)
        assert any("harness gate" in step.get("run", "") for step in steps)
    space = LabelSpace(tuple(Label(name) for name in ("shipping", "price", "gift wrap", "safety")))
    write(tmp_path / "baselines/protected.txt", "r012\n")
    path = write(tmp_path / "baselines/gate.yaml", rules[0])
    assert len(read_rules(path, space, Project(tmp_path)).rules) > 5


def test_the_rules_of_the_page_are_rules() -> None:
    """Every rule in the page's tables is one, and the default rules stand there."""
    space = LabelSpace(tuple(Label(name) for name in ("shipping", "price", "gift wrap", "safety")))
    grammar = PAGE.split("## Rules")[1].split("\n## ")[0]
    rules = [text for row in re.findall(r"^\| (.*?) \|", grammar, re.MULTILINE) for text in re.findall(r"`(.+?)`", row)]
    assert len(rules) >= 11
    for text in rules:
        parse_rule(text, space)
    for text in DEFAULT_RULES:
        assert f"`{text}`" in PAGE
