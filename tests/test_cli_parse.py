"""`harness parse`: a format tried on pasted outputs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import Cli, write
from syrupy.assertion import SnapshotAssertion

project, cli = cli_project.project, cli_project.cli

DATASET = "datasets/reviews.yaml"

OUTPUTS = """\
shipping, price
none
Labels: quality, colour
shipping and quality, I would say
What a lovely day.
I'm sorry, but I can't help with that.
"""


@pytest.fixture
def outputs(project: Path) -> str:
    """A file of outputs in the project."""
    write(project / "outputs.txt", OUTPUTS)
    return "outputs.txt"


def test_what_each_output_became_is_shown(outputs: str, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """Every output stands over its reading, and what they became is counted below."""
    assert cli("parse", "--format", "list", "--dataset", DATASET, outputs).out == snapshot


def test_a_field_that_was_not_answered_is_told(project: Path, cli: Cli) -> None:
    """A field without a value that it can have stands there as unanswered, not as nothing."""
    write(
        project / "datasets/reviews.yaml",
        cli_project.DATASET.replace("splits:", "fields:\n  mood: {type: choice, values: [happy, mad]}\nsplits:"),
    )
    write(project / "outputs.txt", '{"labels": ["price"], "mood": "angry"}\n{"labels": ["price"], "mood": "mad"}\n')
    told = cli("parse", "--format", "json", "--fields", "mood", "--dataset", DATASET, "outputs.txt").out
    assert [line.strip() for line in told.splitlines() if "→" in line] == [
        "→ price · mood: (unanswered)",
        "→ price · mood: mad",
    ]


def test_json_is_one_object_an_output(outputs: str, cli: Cli) -> None:
    """Each line of --json is a reading, with the keys that programs rely on."""
    told = cli("parse", "--dataset", DATASET, "--json", outputs)
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [row["failure"] for row in rows] == [None, None, None, None, "unparseable", "refusal"]
    assert {"labels", "fields", "off_list", "failure", "repaired"} <= rows[0].keys()
    assert [row["labels"] for row in rows[:2]] == [["shipping", "price"], []]


def test_outputs_come_from_standard_input(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With - they are piped in."""
    stdin: Any = io.TextIOWrapper(io.BytesIO(b'{"labels": ["price",]}\n'))
    monkeypatch.setattr("sys.stdin", stdin)
    told = cli("parse", "--format", "json", "--dataset", DATASET, "--json", "-")
    assert (told.json["labels"], told.json["repaired"]) == (["price"], True)


def test_a_prompt_says_how_to_read(outputs: str, cli: Cli) -> None:
    """--prompt takes the format, its options and the label space of a prompt's pass."""
    assert cli("parse", "--prompt", "prompts/v1.yaml", outputs).code == 0
    told = cli("parse", "--prompt", "prompts/v1.yaml", "--pass", "first", outputs)
    assert (told.code, told.err) == (1, "error: --pass: must be one of main, got 'first'.\n")


def test_options_are_given_as_yaml(project: Path, cli: Cli) -> None:
    """--option sets what the prompt file would: texts, lists and mappings as YAML writes them."""
    write(project / "semi.txt", "shipping; price\nnix")
    told = cli("parse", "--dataset", DATASET, "--option", "separator=;", "--option", "none=nix", "--json", "semi.txt")
    assert [json.loads(line)["labels"] for line in told.out.splitlines()] == [["shipping", "price"], []]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "lst"], "--format: must be one of list, vector, codes, json, containers, yes_no, scores, "
         "decisions, got 'lst'. Did you mean 'list'?"),
        (["--option", "separatr=;"], "output: format list has no option 'separatr'. "),
        (["--option", "separator"], "--option: must be NAME=VALUE, got 'separator'. See: harness parse --help"),
        (["--option", "separator=[;"], "--option separator: must be a YAML value, got '[;'. Put a text in quotes."),
        (["--format", "yes_no"], "format yes_no answers for one label. Give --label, one of "),
        (["--label", "shiping"], "--label: must be a label, got 'shiping'. Did you mean 'shipping'?"),
        (["--fields", "moood", "--format", "json"], "output: the label space has no field 'moood'."),
    ],
)  # fmt: skip
def test_mistakes_are_told(outputs: str, cli: Cli, arguments: list[str], message: str) -> None:
    """Every mistake has a message that says what must hold, and no traceback."""
    told = cli("parse", "--dataset", DATASET, *arguments, outputs)
    assert told.code == (2 if "See:" in message else 1)
    assert told.err.startswith(f"error: {message}")


def test_labels_are_needed(outputs: str, cli: Cli) -> None:
    """Without a label space nothing can be read."""
    told = cli("parse", outputs)
    assert told.err.startswith("error: give --dataset FILE, which has the labels, or --prompt FILE.")


def test_a_file_that_is_not_there_is_told(project: Path, cli: Cli) -> None:
    """A wrong path is told with the names beside it."""
    write(project / "outputs.txt", OUTPUTS)
    told = cli("parse", "--dataset", DATASET, "output.txt")
    assert told.err == "error: output.txt: no such file. Did you mean 'outputs.txt'?\n"


def test_answers_of_a_gate_name_groups(project: Path, cli: Cli) -> None:
    """What a pass that chooses groups was answered is read with the names of the groups."""
    grouped = cli_project.DATASET.replace(
        "splits:", "groups: {way: [shipping, gift wrap], goods: [quality, price]}\nsplits:"
    )
    write(project / DATASET, grouped)
    gate = "  - {name: gate, choose: groups, template: \"{{ candidates | join(', ') }}: {{ text }}\"}\n"
    fine = "  - {name: fine, per: group, template: '{{ group }}: {{ text }}'}\n"
    write(project / "prompts/v7.yaml", f"dataset: ../{DATASET}\nmodel: scripted\npasses:\n{gate}{fine}")
    rows = [{"raw": "Way", "pass": "gate"}, {"raw": "shipping", "pass": "fine", "unit": "way"}]
    write(project / "outputs.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    read = {
        name: cli("parse", "--prompt", "prompts/v7.yaml", "--pass", name, "outputs.jsonl", "--json").json
        for name in ("gate", "fine")
    }
    assert {name: (row["line"], row["labels"]) for name, row in read.items()} == {
        "gate": (1, ["way"]),
        "fine": (2, ["shipping"]),
    }
