"""Results as files: the extension says the format, and nothing in a cell is markup or a formula."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import ANSWERS, call_error, stored_run, write, write_samples
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from harness.api import Run
from harness.errors import DataError, UsageError
from harness.failures import describe
from harness.project import find_project
from harness.report import files, listing, terminal
from harness.store import StoredRun
from harness.versions import compare_runs

project = cli_project.project


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.jsn", "-o out.jsn: must end in .json, .jsonl, .csv, .md, got '.jsn'. Did you mean '.json'?"),
        ("out", "-o out: must end in .json, .jsonl, .csv, .md, got ''."),
        ("no/such/out.md", "-o no/such/out.md: the folder no/such is not there. Make it first."),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(project: Path, name: str, message: str) -> None:
    """An unknown extension and a folder that is not there are told with what would do."""
    with pytest.raises(UsageError) as error:
        files.check_output(Path(name))
    assert str(error.value) == message


def test_an_extension_counts_in_any_case(project: Path) -> None:
    """`.JSON` is `.json`."""
    files.check_output(Path("out.JSON"))
    files.write_result(Path("out.JSON"), {"a": 1}, [], lambda: "")
    assert json.loads(Path("out.JSON").read_text()) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("out.json", '{\n "a": "größer"\n}\n'),
        ("out.jsonl", '{"a": [1, 2]}\n{"a": null, "b": "x"}\n'),
        ("out.csv", "a,b\r\n1; 2,\r\n,x\r\n"),
        ("out.md", "# words\n"),
    ],
)
def test_the_extension_says_the_format(project: Path, name: str, content: str) -> None:
    """JSON holds the value, JSONL and CSV its rows, Markdown its text."""
    rows: list[dict[str, Any]] = [{"a": [1, 2]}, {"a": None, "b": "x"}]
    files.write_result(Path(name), {"a": "größer"}, rows, lambda: "# words\n")
    assert Path(name).read_bytes().decode() == content


def test_lone_surrogates_are_written_in_each_format_s_own_way(project: Path) -> None:
    """JSON keeps a lone surrogate exactly; CSV, which has no escape, shows it."""
    value = {"text": "\ud800"}
    for name in ("out.json", "out.jsonl", "out.csv"):
        files.write_result(Path(name), value, [value], lambda: "")
    assert json.loads(Path("out.json").read_text()) == value
    assert json.loads(Path("out.jsonl").read_text()) == value
    assert Path("out.csv").read_text() == "text\n\\ud800\n"


def test_a_mapping_in_a_cell_is_json() -> None:
    """A cell that holds a mapping is JSON."""
    assert list(csv.reader(io.StringIO(files.to_csv([{"inputs": {"text": "a\nb"}}]))))[1] == ['{"text": "a\\nb"}']


def test_a_full_disk_leaves_the_old_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses, the error says what to do, and what was there stays."""
    path = cli_project.write(project / "out.json", "old")

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(DataError) as error:
        files.write_result(Path("out.json"), {}, [], lambda: "")
    assert str(error.value) == (
        "out.json: cannot be written (No space left on device). Make room or check permissions."
    )
    assert path.read_text() == "old"
    assert sorted(each.name for each in project.glob("*out*")) == ["out.json"]


def test_markdown_of_a_run(project: Path, snapshot: SnapshotAssertion) -> None:
    """The Markdown of a run has its headline with the change, its labels, and what went unanswered."""
    before = stored_run(project, "v2", ANSWERS["v1"])
    run = stored_run(project, "v3", {**ANSWERS["v3"], "r01": call_error()}, repeats=2)
    where = find_project(project)
    diff = compare_runs([before, run], where).comparison.diffs[0]
    assert files.run_markdown(run, Run(run, where).result, diff) == snapshot


def test_markdown_of_a_complete_run_has_no_failures(project: Path) -> None:
    """Where everything was answered, no table says otherwise, and there is no change without a baseline."""
    run = stored_run(project, "v1")
    text = files.run_markdown(run, Run(run, find_project(project)).result, None)
    assert "without an answer" not in text
    assert "change against" not in text


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_markdown_cells_hold_no_markup(text: str) -> None:
    """In Markdown outside text is one cell: every character with a meaning has a backslash before it."""
    cell = files.markdown_cell(text)
    assert "\n" not in cell
    assert not re.search(r"[`*_\[\]<>|~#]", re.sub(r"\\.", "", cell))


@pytest.fixture
def with_fields(project: Path) -> StoredRun:
    """Return a run with a choice and a text field, of which one is unanswered and one has alternatives."""
    fields = "fields:\n  mood: {type: choice, values: [happy, mad]}\n  item: {type: text}\nsplits:"
    write(project / "datasets/reviews.yaml", cli_project.DATASET.replace("splits:", fields))
    rows: dict[str, dict[str, Any]] = {
        "r1": {"text": "Late.", "labels": ["shipping"], "mood": "mad", "item": ["red lamp", "light"]},
        "r2": {"text": "Fine.", "labels": [], "mood": "happy", "item": None},
        "r3": {"text": "Well.", "labels": []},
    }
    write_samples(project, rows)
    write(
        project / "prompts/v1.yaml",
        "dataset: ../datasets/reviews.yaml\nmodel: scripted\ntemplate: '{{ text }}'\n"
        "output: {format: containers, fields: [mood, item]}\n",
    )
    answers = {
        "r1": "<labels>shipping</labels><mood>mad</mood><item>a lamp</item>",
        "r2": "<labels></labels><mood>mad</mood>",
        "r3": "<labels></labels><item>lamp</item>",
    }
    return stored_run(project, "v1", answers)


def test_rows_have_the_gold_of_fields(with_fields: StoredRun) -> None:
    """Beside the fields stand their gold, alternatives as a list, and the token F1 of texts: 0 where unanswered."""
    rows = files.prediction_rows(with_fields)
    assert [row["fields"] for row in rows] == [{"mood": "mad", "item": "a lamp"}, {"mood": "mad"}, {"item": "lamp"}]
    assert [row.get("gold_fields") for row in rows] == [
        {"mood": "mad", "item": ["red lamp", "light"]},
        {"mood": "happy", "item": None},
        None,
    ]
    assert [row.get("token_f1") for row in rows] == [{"item": 0.666667}, {"item": 0.0}, None]
    (first, *_) = csv.DictReader(io.StringIO(files.to_csv(rows)))
    assert json.loads(first["gold_fields"]) == {"mood": "mad", "item": ["red lamp", "light"]}


def test_one_sample_shows_all_that_is_right(with_fields: StoredRun) -> None:
    """Beside the answered value of a field stand all that gold takes."""
    gold = frozenset({"shipping"})
    found = describe(with_fields, with_fields.samples[0], with_fields.predictions[0], gold)
    text = terminal.rendered([listing.sample_report(found, gold, with_fields, [])], io.StringIO())
    assert "item       a lamp (gold: red lamp / light)" in text


def test_markdown_of_a_run_has_its_fields(with_fields: StoredRun, project: Path) -> None:
    """The Markdown of a run shows fields as the terminal does."""
    text = files.run_markdown(with_fields, Run(with_fields, find_project(project)).result, None)
    assert (
        "| field | support | answered | accuracy | exact | normalized | token F1 | macro F1 | most frequent |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| mood | 2 | 2 | 0.500 | – | – | – | 0.333 | 0.500 |\n"
        "| item | 2 | 1 | 0.000 | 0.000 | 0.000 | 0.333 | – | 0.500 |\n"
    ) in text


def test_rows_as_markdown(project: Path) -> None:
    """Rows are a table under a title; without rows it says so."""
    assert files.rows_markdown("a|b", []) == "## a\\|b\n\nNone.\n"
    rows: list[dict[str, Any]] = [{"id": "r1", "gold": ["a", "b"]}, {"id": "r|2"}]
    assert files.rows_markdown("t", rows) == ("## t\n\n| id | gold |\n| --- | --- |\n| r1 | a; b |\n| r\\|2 | None |\n")


def test_predictions_are_rows_in_label_space_order(project: Path) -> None:
    """A prediction's row has gold and labels in label-space order, and no internals."""
    (row,) = files.prediction_rows(stored_run(project, "v1", {"r05": "quality, shipping"}))
    assert row == {
        "id": "r05",
        "repeat": 0,
        "gold": ["shipping", "quality"],
        "labels": ["shipping", "quality"],
        "unanswered": [],
        "failure": None,
        "why": None,
        "off_list": [],
        "fields": {},
        "repaired": False,
    }
