"""Locked splits on the command line: what is refused, what a look shows, and dev against test in a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cli_project
import pytest
from cli_project import ANSWERS, DATASET, TEXTS, Cli, answer_of, stored_run, write
from scripted_server import ScriptedServer, answering
from syrupy.assertion import SnapshotAssertion

from harness.project import find_project
from harness.report.reports import to_markdown
from harness.reportdata import report_of
from harness.runnames import find_run

project, cli = cli_project.project, cli_project.cli

PROMPT = "prompts/v1.yaml"


@pytest.fixture(autouse=True)
def _test_split(project: Path) -> None:
    """The samples of dev stand in test too, so that the scripted model knows them."""
    write(project / "datasets/reviews.test.jsonl", (project / "datasets/reviews.dev.jsonl").read_text())


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers as `ANSWERS` says."""
    with ScriptedServer(answering(answer_of)) as running:
        yield running


def on_test(server: ScriptedServer, *more: str) -> list[str]:
    """Return the words that run v1 on test."""
    return ["run", PROMPT, "--split", "test", "--base-url", server.base_url, *more]


def test_a_look_needs_final(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Without --final exit code 2, no call, and what to type; a dry run is no look."""
    told = cli(*on_test(server))
    assert told.code == 2
    assert told.err == (
        "error: --split test: must be asked for with --final, because 'test' of reviews is locked: a look spends some of "
        "what it can tell. So far it was never looked at. Add --final, and say why with --reason TEXT: the look is logged "
        "in runs/holdout.jsonl.\n"
    )
    assert cli(*on_test(server, "--dry-run")).code == 0
    assert server.count == 0
    assert not (project / "runs").exists()


def test_all_prompts_are_refused_before_the_first(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Of several prompts none is run where one may not be; each of them is a look."""
    words = on_test(server)
    words.insert(2, "prompts/v2.yaml")
    assert cli(*words).code == 2
    assert server.count == 0
    told = cli(*words, "--final", "--reason", "before release")
    assert told.code == 0
    assert "\ntest is locked: looked at 2 times, by 2 prompts\n" in told.out
    rows = [json.loads(line) for line in (project / "runs/holdout.jsonl").read_text().splitlines()]
    assert [(row["version"], row["reason"]) for row in rows if "asked" in row] == [
        ("v1", "before release"),
        ("v2", "before release"),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["run", PROMPT],
        ["baseline", "datasets/reviews.yaml"],
        ["import", "x.jsonl", "--dataset", "datasets/reviews.yaml", "--name", "x"],
    ],
)
def test_a_reason_goes_with_final(project: Path, cli: Cli, words: list[str]) -> None:
    """A reason for a look that is not asked for is a mistake."""
    told = cli(*words, "--split", "test", "--reason", "x")
    assert told.code == 2
    assert told.err.startswith("error: --reason: goes with --final. See: harness ")


def test_final_on_another_split_is_told(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """--final on a split that is not locked runs, and says that it is no look."""
    told = cli("run", PROMPT, "--base-url", server.base_url, "--final")
    assert told.code == 0
    assert told.err == (
        "warning: --final: split 'dev' of reviews is not locked, so this is no look and is not logged.\n"
    )
    assert not (project / "runs/holdout.jsonl").exists()


def test_a_look_tells_how_often(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Below the title, in JSON and in files stands how often the split was looked at, this look among them."""
    first = cli(*on_test(server, "--final"))
    assert first.out.splitlines()[1] == "test is locked: looked at once, by 1 prompt"
    found = cli(*on_test(server, "--final", "--json")).json["holdout"]
    words = "looked at 2 times, by 1 prompt (1 look repeated an earlier one)"
    assert (found["n_looks"], found["n_prompts"], found["words"]) == (2, 1, words)
    cli(*on_test(server, "--final", "-o", "run.md"))
    assert "\ntest is locked: looked at 3 times, by 1 prompt (2 looks repeated an earlier one)\n" in (
        project / "run.md"
    ).read_text(encoding="utf-8")
    assert cli("run", PROMPT, "--base-url", server.base_url, "--json").json["holdout"] is None


def test_nothing_that_tunes_is_offered(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """After a look there is no hint to read or to calibrate on what is kept for testing."""
    assert "Next:" not in cli(*on_test(server, "--final")).out
    words = on_test(server, "--final")
    words[1] = "prompts/v2.yaml"
    told = cli(*words).out.partition("\nNext:\n")[2].split("\n")
    assert [line.split()[:2] for line in told if line] == [["harness", "compare"]]


def test_a_resumed_run_is_the_same_look(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Going on needs no --final; a run whose look is not logged needs it."""
    cli(*on_test(server, "--final"))
    log = project / "runs/holdout.jsonl"
    before = log.read_text()
    run = find_run(project / "runs", "v1", any_state=True).manifest.id
    assert cli("run", "--resume", run).code == 0
    assert log.read_text() == before
    log.unlink()
    told = cli("run", "--resume", run)
    assert (told.code, told.err.startswith("error: --split test: must be asked for with --final")) == (2, True)
    assert cli("run", "--retry-failures", run, "--final", "--reason", "again").code == 0
    assert json.loads(log.read_text())["reason"] == "again"


def test_baselines_and_imports(project: Path, cli: Cli) -> None:
    """Both take --final and --reason, and tell how often the split was looked at."""
    made = cli("baseline", "datasets/reviews.yaml", "--split", "test", "--final")
    assert made.out.count("\ntest is locked: looked at 2 times, by 2 baselines\n") == 2
    rows = [{"id": name, "labels": gold} for name, (_, gold) in TEXTS.items()]
    write(project / "bert.jsonl", "\n".join(map(json.dumps, rows)) + "\n")
    words = ["import", "bert.jsonl", "--dataset", "datasets/reviews.yaml", "--split", "test", "--final", "--name"]
    told = cli(*words, "bert", "--reason", "the competitor")
    assert "\ntest is locked: looked at 3 times, by 2 baselines and 1 import\n" in told.out
    assert "harness failures" not in told.out
    assert cli(*words, "other", "--json").json["holdout"]["n_looks"] == 4
    again = cli("baseline", "datasets/reviews.yaml", "--split", "test", "--final", "--json").json
    assert [each["holdout"]["n_looks"] for each in again] == [6, 6]
    assert cli("baseline", "datasets/reviews.yaml", "--json").json[0]["holdout"] is None


def test_reports_say_it_too(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """The page, Markdown and JSON say how often the split was looked at."""
    cli(*on_test(server, "--final"))
    run = find_run(project / "runs", "v1", any_state=True)
    report = report_of(run, find_project(project))
    assert report.own_notes == ("test is locked: looked at once, by 1 prompt",)
    assert "- test is locked: looked at once, by 1 prompt\n" in to_markdown(report)
    assert cli("report", run.manifest.id, "-o", "r.html", "-o", "r.json").code == 0
    assert "<li>test is locked: looked at once, by 1 prompt</li>" in (project / "r.html").read_text(encoding="utf-8")
    assert json.loads((project / "r.json").read_text())["holdout"]["n_looks"] == 1
    dev = report_of(stored_run(project, "v2"), find_project(project))
    assert (dev.looks, dev.to_json()["holdout"]) == (None, None)


# --- compare ----------------------------------------------------------------------------------------------------------


def test_a_comparison_shows_dev_against_test(
    project: Path, cli: Cli, server: ScriptedServer, snapshot: SnapshotAssertion
) -> None:
    """Where a version has a run of the same prompt on test, both stand side by side; nothing is added elsewhere."""
    for version in ("v1", "v2"):
        stored_run(project, version)
    before = cli("compare", "v1", "v2")
    assert "dev against test" not in before.out
    assert "dev_against_test" not in cli("compare", "v1", "v2", "--json").json
    cli(*on_test(server, "--final"))
    told = cli("compare", "v1", "v2")
    assert told.out.startswith(before.out)
    assert told.out.removeprefix(before.out) == snapshot
    found = cli("compare", "v1", "v2", "--json").json["dev_against_test"]
    (row,) = found["runs"]
    assert (row["name"], row["verdict"], row["own_looks"]) == ("v1", "too few to tell", 1)
    assert row["gaps"]["macro_f1"]["delta"] == 0
    assert found["notes"] == []


def test_markdown_and_json_files_have_it(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Files of a comparison end with dev against test."""
    for version in ("v1", "v2"):
        stored_run(project, version)
    cli("compare", "v1", "v2", "-o", "before.md")
    cli(*on_test(server, "--final"))
    cli("compare", "v1", "v2", "-o", "c.md")
    text = (project / "c.md").read_text(encoding="utf-8")
    assert text.startswith((project / "before.md").read_text(encoding="utf-8"))
    assert "\n## dev against test\n" in text
    cli("compare", "v1", "v2", "-o", "c.json")
    assert "dev_against_test" in json.loads((project / "c.json").read_text())


def test_a_run_of_another_prompt_is_left_out(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """What was run on test must be the prompt and model that is compared: another one's score says nothing of it."""
    for version in ("v1", "v2"):
        stored_run(project, version)
    cli(*on_test(server, "--final"))
    words = on_test(server, "--final")
    words[1] = "prompts/v2.yaml"
    path = project / "prompts/v2.yaml"
    path.write_text(path.read_text().replace("Labels:", "All labels:"))
    cli(*words)
    other = find_run(project / "runs", "v2", any_state=True).manifest.id
    told = cli("compare", "v1", "v2").out
    assert f"\nv2: its run on test, {other}, is of another prompt or model: left out\n" in told


def test_todays_gold_counts_on_both_sides(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Corrected gold of test changes what stands there; where no gold is left the run is told and left out."""
    for version in ("v1", "v2"):
        stored_run(project, version)
    cli(*on_test(server, "--final"))
    rows = [
        {"id": name, "text": text, "labels": [] if ANSWERS["v1"][name] == "none" else ["gift wrap"]}
        for name, (text, _) in TEXTS.items()
    ]
    path = project / "datasets/reviews.test.jsonl"
    write(path, "\n".join(map(json.dumps, rows)) + "\n")
    (row,) = cli("compare", "v1", "v2", "--json").json["dev_against_test"]["runs"]
    assert row["gaps"]["subset_accuracy"]["test"] == 0.1
    assert (row["labels"], row["one_sided"]) == ([], ["shipping", "quality", "price", "gift wrap"])
    write(path, "\n".join(json.dumps({**each, "labels": None}) for each in rows) + "\n")
    assert "dev_against_test" not in cli("compare", "v1", "v2", "--json").json


def test_runs_on_test_are_compared_as_they_are(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """A comparison on the locked split itself, or of a dataset that locks nothing, has no such part."""
    words = on_test(server, "--final")
    cli(*words)
    words[1] = "prompts/v2.yaml"
    cli(*words)
    ids = [find_run(project / "runs", name, any_state=True).manifest.id for name in ("v1", "v2")]
    assert "dev_against_test" not in cli("compare", *ids, "--json").json
    for version in ("v1", "v2"):
        stored_run(project, version)
    write(project / "datasets/reviews.yaml", DATASET + "locked: []\n")
    assert "dev_against_test" not in cli("compare", "v1", "v2", "--json").json


def test_imports_are_matched_by_their_name(project: Path, cli: Cli) -> None:
    """Predictions that no prompt made have a file for each split: their name says what belongs together."""
    rows = [{"id": name, "labels": gold} for name, (_, gold) in TEXTS.items()]
    write(project / "bert.jsonl", "\n".join(map(json.dumps, rows)) + "\n")
    words = ["import", "bert.jsonl", "--dataset", "datasets/reviews.yaml", "--name", "bert"]
    cli(*words)
    cli(*words, "--split", "test", "--final")
    stored_run(project, "v1")
    (row,) = cli("compare", "bert", "v1", "--json").json["dev_against_test"]["runs"]
    assert (row["name"], row["test"]["split"]) == ("bert", "test")
