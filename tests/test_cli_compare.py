"""``harness compare`` on the command line: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cli_project
import pytest
from cli_project import ANSWERS, Cli, stored_run, write

from harness.store import Origin

project, cli = cli_project.project, cli_project.cli


@pytest.fixture
def runs(project: Path) -> Path:
    """Return a project with runs of v1, v2 and v3."""
    for version in ("v1", "v2", "v3"):
        stored_run(project, version)
    return project


def test_it_says_the_verdict_first(runs: Path, cli: Cli) -> None:
    """Below the title stands the verdict, then scores, labels, confusions, the prompt and the samples."""
    told = cli("compare", "v1", "v2")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0] == "v2 against v1 on reviews dev · 10 common samples"
    assert lines[2].startswith("v2 against v1: inconclusive: macro F1 +0.012 (95 % ")
    parts = [
        "run  macro F1",
        "label",
        "v1 → v2",
        "errors moved",
        "prompt:",
        "regressed  before",
        "fixed",
        "churned  gold",
    ]
    places = [told.out.index(f"\n{part}") for part in parts]
    assert places == sorted(places)


def test_samples_are_chosen_and_sorted(runs: Path, cli: Cli) -> None:
    """--only, --sort and --label choose what is listed; labels are found by their aliases."""
    only = cli("compare", "v1", "v3", "--only", "fixed", "--sort", "length", "--limit", "10").out
    assert "3 regressed  5 fixed  0 churned" in only  # counts are of all that changed
    ids = [line.split()[0] for line in only.splitlines() if line[:1] == "r" and line[1:3].isdigit()]
    assert ids == ["r09", "r02", "r06", "r05", "r03"]
    about = cli("compare", "v1", "v2", "--label", "delivery").out
    assert "· label shipping\n" in about
    assert "\nquality " not in about
    assert "\nr05  fixed\n" in about


def test_full_shows_raw_outputs(runs: Path, cli: Cli) -> None:
    """--full shows each sample whole."""
    assert "  v1 raw: quality, gift wrap\n  v2 raw: quality\n" in cli("compare", "v1", "v2", "--full").out


def test_json_has_all_of_it(runs: Path, cli: Cli) -> None:
    """As JSON there are verdicts, runs, what changed, the judgement and the prompt diffs."""
    found = cli("compare", "v1", "v2", "v3", "--json", "--margin", "0.1", "--seed", "5").json
    assert list(found) == [
        "verdicts", "notes", "n_common", "samples", "runs", "diffs", "judgement", "prompt_diffs",
    ]  # fmt: skip
    assert [(each["before"], each["after"], each["verdict"]) for each in found["verdicts"]] == [
        ("v1", "v2", "inconclusive"),
        ("v1", "v3", "inconclusive"),
    ]
    assert found["verdicts"][0]["text"].startswith("v2 against v1: inconclusive: ")
    assert {name: found["runs"][0][name] for name in ("name", "id", "models", "median_latency_s")} == {
        "name": "v1",
        "id": "v1-20260103-030405",
        "models": ["scripted"],
        "median_latency_s": 0.25,
    }
    assert found["runs"][0]["scores"]["n_samples"] == 10
    assert (found["judgement"]["settings"]["margin"], found["judgement"]["settings"]["seed"]) == (0.1, 5)
    assert found["prompt_diffs"][0]["sections"][0]["title"] == "user message"
    assert found["diffs"][0]["regressed"][0]["flips"] == {"price": "TN→FP"}


def test_json_of_outside_predictions(project: Path, cli: Cli) -> None:
    """Predictions that no prompt made have no latency and no prompt diff."""
    stored_run(project, "v1", origin=Origin("import", "last year's"))
    (stored_run(project, "v2").path / "completions.jsonl").unlink()
    found = cli("compare", "v1", "v2", "--json").json
    assert found["prompt_diffs"] == [None]
    assert found["runs"][1]["median_latency_s"] is None
    told = cli("compare", "v1", "v2").out
    assert "prompt: no diff, because not both runs were made with a prompt\n" in told
    assert "\nv1   0.794         0.762         0.500          100.0 %     –   0.2 s        –\n" in told
    cli("compare", "v1", "v2", "-o", "out.md")
    assert "the prompt" not in Path("out.md").read_text()


def test_files_by_extension(runs: Path, cli: Cli) -> None:
    """.json is what --json prints, .csv the labels with all statistics, .md begins with the verdict."""
    for name in ("out.json", "out.csv", "out.jsonl", "out.md"):
        told = cli("compare", "v1", "v2", "-o", name)
        assert (told.code, told.out, told.err) == (0, f"written to {name}\n", "")
    assert json.loads(Path("out.json").read_text()) == cli("compare", "v1", "v2", "--json").json
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == ["shipping", "quality", "price", "gift wrap"]
    assert (rows[0]["run"], rows[0]["verdict"], rows[0]["FN→TP"], rows[0]["p_corrected"]) == (
        "v2", "too few to tell", "1", "",
    )  # fmt: skip
    assert len(Path("out.jsonl").read_text().splitlines()) == 4
    assert Path("out.md").read_text().startswith("## v2 against v1: 10 common samples\n\n**v2 against v1: inconclusive")


def test_files_hold_what_is_looked_at(runs: Path, cli: Cli) -> None:
    """--label and --only choose in files too, --limit does not."""
    view = ("--label", "price", "--only", "regressed", "--limit", "0")
    cli("compare", "v1", "v2", *view, "-o", "out.csv")
    assert len(Path("out.csv").read_text().splitlines()) == 2
    found = cli("compare", "v1", "v2", *view, "--json").json["diffs"][0]
    assert ([each["sample"] for each in found["regressed"]], found["fixed"]) == (["r04", "r07"], [])


def test_an_unknown_label_is_refused(runs: Path, cli: Cli) -> None:
    """A label that is none is told with what there is."""
    told = cli("compare", "v1", "v2", "--label", "prise")
    assert (told.code, told.err) == (
        2,
        "error: --label 'prise': must be a label of reviews: shipping, quality, price, gift wrap. "
        "Did you mean 'price'?\n",
    )


def test_what_was_asked_for_and_is_not_there_is_said(runs: Path, cli: Cli) -> None:
    """--only without such a sample says so; what is unstable cannot be known without repeats."""
    stored_run(runs, "v2", ANSWERS["v1"])
    stored_run(runs, "v3", ANSWERS["v1"], repeats=2)

    def last(version: str, only: str) -> str:
        return cli("compare", "v1", version, "--only", only).out.splitlines()[-1]

    assert [last("v2", only) for only in ("regressed", "fixed", "churned")] == [
        "no sample regressed",
        "no sample was fixed",
        "no sample churned",
    ]
    assert last("v2", "unstable") == "no run has repeats, so it is not known which samples are unstable"
    assert last("v3", "unstable") == "no sample is unstable"


def test_a_second_file_is_refused(runs: Path, cli: Cli) -> None:
    """One file is written; a second -o would be written and the first dropped unsaid, so it is refused."""
    told = cli("compare", "v1", "v2", "-o", "a.md", "-o", "b.csv")
    assert (told.code, told.err) == (
        2,
        "error: -o: must be given once, got a.md, b.csv. Run it again for another file.\n",
    )
    assert not (runs / "b.csv").exists()


def test_other_samples_are_refused(project: Path, cli: Cli) -> None:
    """Runs of other samples are compared on the common ones only after --common, and it says how many those are."""
    one = stored_run(project, "v1", {key: ANSWERS["v1"][key] for key in ("r01", "r02", "r03")})
    two = stored_run(project, "v2")
    told = cli("compare", "v1", "v2")
    assert (told.code, told.err) == (
        1,
        "error: v1, v2: must have the same samples to be compared, but differ (v1 3, v2 10; 3 in common). "
        f"Compare on those alone: harness compare {one.manifest.id} {two.manifest.id} --common\n",
    )
    assert cli("compare", "v1", "v2", "--common").out.startswith("v2 against v1 on reviews dev · 3 common samples\n")


def test_other_labels_are_refused(project: Path, cli: Cli) -> None:
    """Runs of other label spaces are refused, naming the labels."""
    stored_run(project, "v1")
    dataset = project / "datasets/reviews.yaml"
    dataset.write_text(dataset.read_text().replace("gift wrap:", "wrapping:"))
    stored_run(project, "v2")
    told = cli("compare", "v1", "v2")
    assert told.code == 1
    assert "must have the same labels to be compared, but differ in gift wrap, wrapping." in told.err


def test_a_doubtful_version_is_told(runs: Path, cli: Cli) -> None:
    """That a prompt file has changed since its run is a warning."""
    prompt = runs / "prompts/v2.yaml"
    write(prompt, prompt.read_text().replace("Labels", "Choose"))
    assert "warning: the prompt prompts/v2.yaml has changed since v2-20260104-030405." in cli("compare", "v1", "v2").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--margin", "0"), "Invalid value for '--margin': 0.0 is not in the range 0.001<=x<=0.999."),
        (("--seed", "-1"), "Invalid value for '--seed': -1 is not in the range x>=0."),
        (("--only", "lost"), "Invalid value for '--only': 'lost' is not one of 'regressed', 'fixed', 'churned', "),
    ],
)  # fmt: skip
def test_wrong_usage(runs: Path, cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    """An option outside its range is refused with what it may be."""
    told = cli("compare", "v1", "v2", *arguments)
    assert told.code == 2
    assert message in told.err
