"""`harness import` and `harness baseline`: what they tell, how the other commands show their runs, and what can go wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import cli_project
import pytest
from cli_project import TEXTS, Cli, stored_run, write

project, cli = cli_project.project, cli_project.cli

PREDICTED: Mapping[str, list[str] | None] = {
    **{identity: list(labels) for identity, (_, labels) in TEXTS.items()},
    "r02": ["quality", "price"],
    "r08": None,
}
IMPORT = ("--dataset", "datasets/reviews.yaml", "--name", "bert")


@pytest.fixture
def predictions(project: Path) -> Path:
    """A file of predictions: one label too many, one row without an answer."""
    rows = [{"id": identity, "labels": labels} for identity, labels in PREDICTED.items()]
    return write(project / "bert.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def test_import_tells_scores_how_it_read_and_what_is_next(project: Path, predictions: Path, cli: Cli) -> None:
    """The run's table, then the columns that were read, then commands; failures are told on standard error."""
    done = cli("import", "bert.jsonl", *IMPORT, "--model", "BERT, fine-tuned")
    assert done.code == 0
    assert re.match(r"bert on reviews dev · 10 samples · BERT, fine-tuned · bert-\d{8}-\d{6}\n", done.out)
    assert "1 of 10 without an answer, counted as wrong: 1 unparseable" in done.out
    assert "\nRead from label names in column 'labels'.\n" in done.out
    assert done.out.endswith("Next:\n  harness failures bert\n  harness compare bert VERSION\n")
    assert done.err == (
        "warning: bert.jsonl: rows without an answer: 1 (line 8). They count as failures; write 'none' or [] where no label "
        "applies.\n"
    )


def test_import_as_json(project: Path, predictions: Path, cli: Cli) -> None:
    """The manifest with its origin, the scores, and how many samples had no prediction."""
    value = cli("import", "bert.jsonl", *IMPORT, "--json", "--notes", "epoch 3").json
    assert value["missing"] == 0
    assert value["run"]["origin"]["file"] == "bert.jsonl"
    assert value["run"]["prompt"]["passes"] == []
    assert value["run"]["prompt"]["notes"] == "epoch 3"
    assert value["scores"]["n_answered"] == 9


def test_import_of_a_part_is_incomplete(project: Path, cli: Cli) -> None:
    """It ends like a run whose calls failed; what is next names the id, which alone means it."""
    write(project / "part.csv", "id,labels\nr01,shipping\nr04,none\n")
    done = cli("import", "part.csv", *IMPORT)
    assert done.code == 3
    assert "samples without a prediction: 8 (r02, r03, r05, r06, r07 and 3 more)." in done.err
    assert re.search(r"harness failures bert-\d{8}-\d{6}\n", done.out)
    assert cli("import", "part.csv", *IMPORT, "--partial").code == 0
    assert cli("show", "bert").out.splitlines()[0].startswith("bert on reviews dev · 2 samples · import of part.csv")


def test_import_by_scores_says_what_decided(project: Path, cli: Cli) -> None:
    """The threshold stands beside how the file was read."""
    rows = [{"key": key, "scores": {"shipping": 0.4, "quality": 0, "price": 0, "gift wrap": 0}} for key in TEXTS]
    write(project / "p.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    done = cli("import", "p.jsonl", *IMPORT, "--id", "key", "--threshold", "0.35", "--column", "scores")
    assert done.code == 0
    assert "Read from numbers by label in column 'scores'; a label is present from 0.35 on." in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("import", "bert.jsonl", "--name", "x"), 2, "error: Missing option '--dataset'."),
        (("import", "brt.jsonl", *IMPORT), 1, "error: brt.jsonl: no such file. Did you mean 'bert.jsonl'?"),
        (("import", "bert.jsonl", *IMPORT[:3], "v1"), 2,
         "error: --name 'v1': must not be the name of a prompt version, which means that prompt's runs."),
        (("import", "bert.jsonl", *IMPORT, "--threshold", "2"), 2, "error: --threshold: must be from 0 to 1, got 2."),
        (("import", "bert.jsonl", *IMPORT, "--split", "tset"), 1,
         "error: datasets/reviews.yaml: there is no split 'tset'; it has dev, test. Did you mean 'test'?"),
        (("import", "bert.jsonl", *IMPORT, "--format", "names"), 2,
         "error: Invalid value for '--format': 'names' is not one of 'labels', 'vector', 'columns', 'scores'."),
        (("baseline", "datasets/review.yaml"), 1,
         "error: datasets/review.yaml: no such file. Did you mean 'reviews.yaml'?"),
        (("baseline", "datasets/reviews.yaml", "--folds", "6"), 1,
         "error: datasets/reviews.dev.jsonl: must have 12 labelled samples or more for 6 folds, got 10. Label more, or give "
         "fewer --folds."),
    ],
)  # fmt: skip
def test_mistakes(project: Path, predictions: Path, cli: Cli, arguments: tuple[str, ...], code: int, told: str) -> None:
    """Each is one message that says what must hold and what to type; no run is left behind."""
    done = cli(*arguments)
    assert (done.code, done.err.partition(" See: ")[0].rstrip("\n"), done.out) == (code, told, "")
    assert not (project / "runs").exists()


def test_the_other_commands_show_an_import(project: Path, predictions: Path, cli: Cli) -> None:
    """`runs`, `failures`, `show` and `score` know it; no calls are shown, and none can be made."""
    run = cli("import", "bert.jsonl", *IMPORT, "--json").json["run"]["id"]
    (row,) = cli("runs", "--json").json
    assert (row["version"], row["model"], row["state"], row["cost_usd"]) == (
        "bert",
        "import of bert.jsonl",
        "complete",
        None,
    )
    failures = cli("failures", "bert").out
    assert f"{run}: 2 of 10 predictions not exactly right" in failures
    assert "too much: price" in failures
    assert "raw" not in failures
    assert cli("show", "bert", "r08").out == (
        f"r08  in {run}, import of bert.jsonl\n"
        "text:\n"
        "  Stitching came apart after one wash.\n"
        "\n"
        "gold       quality\n"
        "predicted  (unparseable)\n"
        "           unparseable: the file has no answer in line 8\n"
    )
    assert cli("show", "bert", "r02", "--json").json["calls"] == []
    assert "0 predictions changed. Taken from today's files: gold of reviews.dev.jsonl." in cli("score", "bert").out
    refused = cli("run", "--retry-failures", "bert")
    assert (refused.code, refused.err) == (
        1,
        f"error: run {run}: no prompt made it, so it has no calls to make. Type: harness import\n",
    )


def test_an_import_is_compared_with_prompts(project: Path, predictions: Path, cli: Cli) -> None:
    """It stands beside prompt versions under its name, with nothing said of params that it has not."""
    stored_run(project, "v1")
    cli("import", "bert.jsonl", *IMPORT)
    value = cli("compare", "v1", "bert", "--json").json
    assert value["notes"] == ["model: v1 scripted, bert import of bert.jsonl"]
    assert cli("compare", "bert", "v1").code == 0


def test_outside_text_is_data(project: Path, predictions: Path, cli: Cli) -> None:
    """What a person calls the model is shown with its control characters escaped, and as no markup."""
    done = cli("import", "bert.jsonl", *IMPORT, "--model", "[red]x[/red]\x1b[31m")
    assert "· [red]x[/red]\\x1b[31m ·" in done.out


def test_baseline_tells_both_runs(project: Path, cli: Cli) -> None:
    """The same table as a run's for each, and one line how to compare."""
    done = cli("baseline", "datasets/reviews.yaml")
    assert done.code == 0
    titles = [line for line in done.out.splitlines() if " on reviews dev · 10 samples" in line]
    assert [title.split(" · ")[2] for title in titles] == ["most frequent label set", "TF-IDF + logistic regression"]
    assert done.out.endswith("Next:\n  harness compare tfidf VERSION\n")
    assert [row["version"] for row in cli("runs", "--json").json] == ["tfidf", "majority"]


def test_baseline_as_json(project: Path, cli: Cli) -> None:
    """Both manifests with their settings, and their scores."""
    majority, tfidf = cli("baseline", "datasets/reviews.yaml", "--folds", "2", "--seed", "4", "--json").json
    assert majority["run"]["seeds"] == {"folds": 4}
    assert tfidf["run"]["origin"]["settings"]["class_weight"] == "balanced"
    assert tfidf["scores"]["probabilities"]["averages"]["coverage"] == 1


def test_a_run_that_loses_to_a_baseline_is_told(project: Path, cli: Cli) -> None:
    """`harness run` says so in one line; a run that wins says nothing of it."""
    from scripted_server import ScriptedServer, always, answering

    cli("baseline", "datasets/reviews.yaml", "--folds", "2")
    scores = {row["version"]: row["macro_f1"] for row in cli("runs", "--json").json}
    best = max(scores, key=lambda name: scores[name])
    with ScriptedServer(always("none")) as server:
        lost = cli("run", "prompts/v1.yaml", "--base-url", server.base_url)
    assert re.search(rf"\n{best}, .*, has macro F1 0\.\d+ on these samples: harness compare {best} v1\n", lost.out)
    right = {text: ", ".join(labels) or "none" for text, labels in TEXTS.values()}
    with ScriptedServer(answering(right)) as server:
        won = cli("run", "prompts/v2.yaml", "--base-url", server.base_url)
    assert "has macro F1" not in won.out
