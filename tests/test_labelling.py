"""Labelling a file: which of its columns are seen, what is added to its rows, and what is paid when."""

from __future__ import annotations

import csv
import json
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cli_project
import pyarrow
import pytest
from pyarrow import parquet
from scripted_server import Reply, ScriptedServer, answering, cut, error, refuse

import harness
from harness import api
from harness.errors import DataError, HarnessError, ModelError, RunNameError, UsageError
from harness.execution import InterruptedRun
from harness.identity import text_id
from harness.labelling import Labelled, Texts, check_target, columns_for, texts_of
from harness.labelspace import Field, Label, LabelSpace
from harness.project import find_project
from harness.records import FailureKind, Prediction
from harness.runnames import find_run, list_runs
from harness.table import Added, read_table

project = cli_project.project

SPACE = LabelSpace((Label("late"), Label("gift wrap"), Label("bad", aliases=("broken",))), (Field("mood", "text"),))
ANSWERS: Mapping[str, str | Reply] = {
    "too late": "shipping",
    "bent": "quality, price",
    "fine": "none",
    "odd": "shipping, colour",
    "silent": refuse("I cannot help with that."),
    "mumble": "Well, it is hard to say what they want here.",
    "endless": cut("shipping, qual"),
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers by what the text says."""
    with ScriptedServer(answering(ANSWERS)) as running:
        yield running


def texts(path: Path, content: str, *, space: LabelSpace = SPACE, **columns: str) -> Texts:
    """Return a file with this content as samples."""
    path.write_text(content, encoding="utf-8")
    return texts_of(read_table(path), space, **columns)


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Write a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def label(source: Path | str, output: str, server: ScriptedServer, **options: Any) -> Labelled:
    """Label a file of the current project."""
    return api.label("prompts/v1.yaml", source, output, base_url=server.base_url, **options)


# --- rows as samples --------------------------------------------------------------------------------------------------


def test_every_column_is_an_input_but_gold_and_names_with_a_meaning(tmp_path: Path) -> None:
    """Labels, fields and reserved names are not there for any template; what else the file has is."""
    row = {"id": "a", "text": "t", "labels": "no such", "mood": "m", "group": "g", "failure": "f", "late": "7", "n": 1}
    (sample,) = texts(tmp_path / "d.jsonl", json.dumps(row)).samples
    assert (sample.id, dict(sample.inputs), sample.labels) == ("a", {"text": "t", "late": "7", "n": 1}, None)


def test_a_0_1_column_for_every_label_is_gold(tmp_path: Path) -> None:
    """Then they all are left out, under any of their spellings."""
    (sample,) = texts(tmp_path / "d.csv", "text,LATE,gift_wrap,broken,n\nt,1,0,1,5\n").samples
    assert dict(sample.inputs) == {"text": "t", "n": "5"}


def test_the_text_can_be_in_another_column(tmp_path: Path) -> None:
    """It is called text for the templates, and goes before a column of that name."""
    (sample,) = texts(tmp_path / "d.csv", "body,text,nr\nb,t,7\n", text="body", identity="nr").samples
    assert (sample.id, dict(sample.inputs)) == ("7", {"text": "b"})


def test_rows_without_a_text_are_no_samples(tmp_path: Path) -> None:
    """Their place among the rows is kept, and their lines are told."""
    found = texts(tmp_path / "d.csv", 'id,text\na,x\nb," "\n,\nd,y\n')
    assert (found.ids, found.blank) == (("a", None, None, "d"), (3, 4))


def test_rows_without_a_column_of_texts_are_samples_of_their_other_columns(tmp_path: Path) -> None:
    """A template may ask for a title and a body instead."""
    found = texts(tmp_path / "d.csv", "title,body\na,b\na,b\n")
    assert [dict(sample.inputs) for sample in found.samples] == [{"title": "a", "body": "b"}] * 2
    assert found.ids[1] == f"{found.ids[0]}-2"


def test_ids_are_made_unique(tmp_path: Path) -> None:
    """A column id need not tell rows apart, and a missing id is the hash of the text."""
    found = texts(tmp_path / "d.csv", "id,text\na,x\na,y\n,z\n,z\n")
    assert found.ids == ("a", "a-2", text_id("z"), f"{text_id('z')}-2")


def test_problems_are_told_at_once_by_line(tmp_path: Path) -> None:
    """A text that is a number, and an id that the named column has twice."""
    rows = [{"nr": 1, "text": "a"}, {"nr": 2, "text": 5}, {"nr": 1, "text": "b"}]
    with pytest.raises(DataError) as caught:
        texts(tmp_path / "d.jsonl", "\n".join(map(json.dumps, rows)), identity="nr")
    assert str(caught.value) == (
        f"{tmp_path}/d.jsonl:2: 'text' must be a text, got 5.\n"
        f"{tmp_path}/d.jsonl:3: id '1' is that of line 1 too. Ids are unique."
    )


def test_named_columns_must_be_there(tmp_path: Path) -> None:
    """Both options are checked at once."""
    with pytest.raises(DataError) as caught:
        texts(tmp_path / "d.csv", "text,n\na,1\n", text="body", identity="nr")
    assert str(caught.value) == (
        f"{tmp_path}/d.csv: --text 'body': no such column; the file has text, n.\n"
        f"{tmp_path}/d.csv: --id 'nr': no such column; the file has text, n."
    )


def test_a_file_without_any_text_is_refused(tmp_path: Path) -> None:
    """There is nothing to ask about."""
    with pytest.raises(DataError) as caught:
        texts(tmp_path / "d.csv", "text,n\n,1\n")
    assert str(caught.value) == f"{tmp_path}/d.csv: must have a text in column 'text', got none. Give --text COLUMN."


# --- predictions as columns -------------------------------------------------------------------------------------------


def columns(
    found: Texts, *predictions: Prediction, space: LabelSpace = SPACE, fields: Sequence[str] = ()
) -> list[Added]:
    """Return the columns that predictions become."""
    return columns_for(found, {each.sample: each for each in predictions}, space, fields)[0]


def test_labels_stand_in_label_space_order_beside_what_went_wrong(tmp_path: Path) -> None:
    """Labels, the empty set, a failure, an answer off the list, and a row that was never asked."""
    found = texts(tmp_path / "d.csv", "id,text\na,x\nb,x\nc,x\nd,x\ne,\n")
    failed = Prediction("c", frozenset(), frozenset(SPACE.names), FailureKind.REFUSAL, "no", ("red", "a;b"))
    labels, failure, off_list = columns(
        found,
        Prediction("a", frozenset({"bad", "late"})),
        Prediction("b", frozenset()),
        failed,
        Prediction("d", frozenset({"late"}), off_list=("=red",)),
    )
    assert labels == Added(
        "labels", [["late", "bad"], [], None, ["late"], None], ["late; bad", "none", "", "late", ""], listed=True
    )
    assert failure == Added("failure", [None, None, "refusal", None, None], ["", "", "refusal", "", ""])
    assert off_list.values == [None, None, ["red", "a;b"], ["=red"], None]
    assert off_list.cells == ["", "", '["red", "a;b"]', "'=red", ""]


def test_an_answer_in_part_is_no_answer(tmp_path: Path) -> None:
    """Where a cell stayed unanswered the labels stay empty, and the failure says why."""
    found = texts(tmp_path / "d.csv", "id,text\na,x\n")
    half = Prediction("a", frozenset({"late"}), frozenset({"bad"}), FailureKind.TRUNCATED)
    labels, failure, _ = columns(found, half)
    assert (labels.values, failure.values) == ([None], ["truncated"])


@pytest.mark.parametrize("odd", ["a; b", "[x]"])
def test_labels_that_a_cell_would_tear_apart_are_json_lists(tmp_path: Path, odd: str) -> None:
    """One such label in the label space is enough, so that the whole column is read in one way."""
    found = texts(tmp_path / "d.csv", "id,text\na,x\nb,x\nc,x\n")
    space = LabelSpace((Label("ä"), Label(odd)))
    labels, *_ = columns(found, Prediction("a", frozenset({"ä", odd})), Prediction("b", frozenset()), space=space)
    assert labels.cells == [json.dumps(["ä", odd], ensure_ascii=False), "[]", ""]


def test_formulas_are_escaped_in_added_cells(tmp_path: Path) -> None:
    """A label or field that begins like a formula gets an apostrophe before it."""
    found = texts(tmp_path / "d.csv", "id,text\na,x\n")
    space = LabelSpace((Label("=1+1"), Label("b")), SPACE.fields)
    answer = Prediction("a", frozenset({"=1+1", "b"}), fields={"mood": "-2"})
    labels, _, _, mood = columns(found, answer, space=space, fields=("mood",))
    assert (labels.cells, mood.cells, mood.values) == (["'=1+1; b"], ["'-2"], ["-2"])


def test_fields_have_a_column_each(tmp_path: Path) -> None:
    """A text, a bool, nothing there, and not answered."""
    found = texts(tmp_path / "d.csv", "id,text\na,x\nb,x\nc,x\n")
    answers = [Prediction(id_, frozenset(), fields={"mood": value}) for id_, value in (("a", "glad"), ("b", True))]
    *_, mood = columns(found, *answers, Prediction("c", frozenset()), fields=("mood",))
    assert mood == Added("mood", ["glad", True, None], ["glad", "true", ""])


def test_probabilities_have_a_column_where_there_are_any(tmp_path: Path) -> None:
    """P(label) is a JSON object in label-space order; without a source of probabilities there is no such column."""
    found = texts(tmp_path / "d.csv", "id,text\na,x\nb,x\n")
    weighed = Prediction("a", frozenset({"bad"}), probabilities={"bad": 0.75, "late": 0.5})
    *_, last = columns(found, weighed, Prediction("b", frozenset()))
    shown = '{"late": 0.5, "bad": 0.75}'
    assert last == Added("probabilities", [shown, None], [shown, ""])
    assert [each.name for each in columns(found, Prediction("a", frozenset()))] == ["labels", "failure", "off_list"]


def test_columns_of_the_file_are_never_replaced(tmp_path: Path) -> None:
    """What the file has already is called predicted_… where it is added."""
    found = texts(tmp_path / "d.csv", "text,labels,mood\nx,y,z\n")
    added, names = columns_for(found, {}, SPACE, ("mood",))
    assert [each.name for each in added] == ["predicted_labels", "failure", "off_list", "predicted_mood"]
    assert names["labels"] == "predicted_labels"


# --- the new file -----------------------------------------------------------------------------------------------------


def test_a_file_is_refused_before_any_call(tmp_path: Path) -> None:
    """Unknown extension, no such folder, a folder, a file that is there, the input itself."""
    source = tmp_path / "a.csv"
    source.touch()
    (tmp_path / "f.csv").mkdir()
    (tmp_path / "b.csv").touch()
    refused = {
        "b.xlsx": "must end in .jsonl, .ndjson, .csv, .tsv, .parquet, got '.xlsx'.",
        "no/b.csv": f"the folder {tmp_path}/no is not there. Make it first.",
        "f.csv": "must be a file, got a folder. Name a file in it.",
        "b.csv": "must not exist yet, but does. Give another name, or --force to replace it.",
        "a.csv": "must be another file than the one that is labelled. Give another name.",
    }
    for name, message in refused.items():
        with pytest.raises(UsageError) as caught:
            check_target(source, tmp_path / name, force=False)
        assert str(caught.value) == f"-o {tmp_path}/{name}: {message}"
    check_target(source, tmp_path / "b.csv", force=True)
    with pytest.raises(UsageError, match="must be another file"):
        check_target(source, tmp_path / "a.csv", force=True)


# --- from end to end --------------------------------------------------------------------------------------------------


def test_what_goes_into_a_sheet_from_elsewhere_is_no_formula(project: Path, server: ScriptedServer) -> None:
    """Cells of a JSONL file that a spreadsheet would run get an apostrophe; those of a sheet stay as they were in it."""
    (project / "new.jsonl").write_text('{"id": "a", "text": "=too late", "n": -1}\n')
    label("new.jsonl", "out.csv", server)
    assert read_csv(project / "out.csv")[0]["text"] == "'=too late"
    label("out.csv", "again.tsv", server)
    assert "\t'=too late\t" in (project / "again.tsv").read_text()
    label("new.jsonl", "same.jsonl", server)
    assert json.loads((project / "same.jsonl").read_text())["text"] == "=too late"


def test_csv_comes_back_with_the_answers_beside_its_rows(project: Path, server: ScriptedServer) -> None:
    """Every cell and row is kept, in order; each kind of answer stands where it belongs, and is counted."""
    source = write_csv(
        project / "new.csv",
        [
            ("nr", "text", "labels"),
            ("007", "=too late", "??"),
            ("x", "", ""),
            (" 8 ", "so bent\r\n", ""),
            ("9", "fine", ""),
        ]
        + [(str(at), text, "") for at, text in enumerate(("odd", "silent", "mumble", "endless"), 10)],
    )
    told: list[str] = []
    done = label(source, "out.csv", server, warn=told.append)
    rows = read_csv(project / "out.csv")
    assert [(row["nr"], row["text"], row["labels"]) for row in rows] == [
        tuple(row.values()) for row in read_csv(source)
    ]
    assert [(row["predicted_labels"], row["failure"], row["off_list"]) for row in rows] == [
        ("shipping", "", ""),
        ("", "", ""),
        ("quality; price", "", ""),
        ("none", "", ""),
        ("shipping", "", "colour"),
        ("", "refusal", ""),
        ("", "unparseable", ""),
        ("", "truncated", ""),
    ]
    assert told == [f"{source}: rows without a text are not asked and stay empty: line 3."]
    assert done.to_json() == {
        "run": done.run.manifest.id,
        "state": "complete",
        "output": "out.csv",
        "rows": 8,
        "answered": 4,
        "none": 1,
        "labels": {"shipping": 2, "quality": 1, "price": 1, "gift wrap": 0},
        "failures": {"call_error": 0, "refusal": 1, "truncated": 1, "unparseable": 1},
        "off_list": 1,
        "blank_lines": [3],
        "columns": {"labels": "predicted_labels", "failure": "failure", "off_list": "off_list"},
        "cost_usd": done.run.manifest.cost_usd,
    }
    assert done.run.manifest.cost_usd is not None
    assert server.count == 7


def test_labels_of_the_file_are_never_sent(project: Path, server: ScriptedServer) -> None:
    """They need not even be labels of the label space, and a template that asks for them is refused."""
    (project / "new.jsonl").write_text('{"text": "fine", "labels": ["SECRET"], "gold": "SECRET"}\n')
    label("new.jsonl", "out.jsonl", server)
    assert "SECRET" not in json.dumps(server.bodies())
    prompt = project / "prompts/v1.yaml"
    prompt.write_text(prompt.read_text().replace("{{ text }}", "{{ text }} {{ gold }}"))
    with pytest.raises(DataError, match=r"v1\.yaml:\d+: 'gold' "):
        label("new.jsonl", "out2.jsonl", server)
    assert server.count == 1


def test_jsonl_rows_keep_every_character(project: Path, server: ScriptedServer) -> None:
    """Labels are lists, null where there is no answer; what was there is untouched."""
    (project / "new.jsonl").write_text('{"text":"too late", "n": 1.50}\n{"text": "silent", "x": "\\u00e4"}\n')
    label("new.jsonl", "out.jsonl", server)
    assert (project / "out.jsonl").read_text() == (
        '{"text":"too late", "n": 1.50, "labels": ["shipping"], "failure": null, "off_list": null}\n'
        '{"text": "silent", "x": "\\u00e4", "labels": null, "failure": "refusal", "off_list": null}\n'
    )


def test_parquet_and_other_formats(project: Path, server: ScriptedServer) -> None:
    """The extension of the new file decides its format."""
    parquet.write_table(pyarrow.table({"body": ["bent", "fine"], "n": [1, 2]}), project / "new.parquet")
    label("new.parquet", "out.parquet", server, text="body")
    assert parquet.read_table(project / "out.parquet").to_pylist() == [
        {"body": "bent", "n": 1, "labels": ["quality", "price"], "failure": None, "off_list": None},
        {"body": "fine", "n": 2, "labels": [], "failure": None, "off_list": None},
    ]
    label("new.parquet", "out.tsv", server, text="body")
    assert (project / "out.tsv").read_text() == (
        "body\tn\tlabels\tfailure\toff_list\nbent\t1\tquality; price\t\t\nfine\t2\tnone\t\t\n"
    )


def test_what_cannot_become_parquet_is_told_before_any_call(project: Path, server: ScriptedServer) -> None:
    """A column that mixes types costs nothing."""
    (project / "new.jsonl").write_text('{"text": "fine", "n": 1}\n{"text": "bent", "n": "x"}\n')
    with pytest.raises(DataError, match=r"out\.parquet: the columns of new\.jsonl cannot be Parquet"):
        label("new.jsonl", "out.parquet", server)
    assert server.count == 0


def test_a_template_that_the_file_does_not_fit_is_told_before_any_call(project: Path, server: ScriptedServer) -> None:
    """The message names the column that is missing, and the option that maps it."""
    source = write_csv(project / "new.csv", [("body", "n"), ("too late", "1")])
    with pytest.raises(DataError) as caught:
        label(source, "out.csv", server)
    assert str(caught.value) == f"{source}: has no column 'text'. Give --text COLUMN: body, n."
    with pytest.raises(DataError) as caught:
        label(source, "out.csv", server, variables={"n": "x"}, text="body")
    assert "Give --text" not in str(caught.value)
    assert server.count == 0


def test_a_limit_labels_the_same_rows_every_time(project: Path, server: ScriptedServer) -> None:
    """Only these rows are in the new file, in their order; a larger limit has the smaller one's rows."""
    source = write_csv(project / "new.csv", [("text",), ("",), *((f"too late {at}",) for at in range(20))])
    first = [row["text"] for limit in (3, 6) for row in _limited(source, limit, server)]
    assert len(first) == 9
    assert set(first[:3]) < set(first[3:])
    assert first[3:] == sorted(first[3:], key=lambda text: int(text.rsplit(maxsplit=1)[1]))
    assert server.count == 6


def _limited(source: Path, limit: int, server: ScriptedServer) -> list[dict[str, str]]:
    label(source, f"out{limit}.csv", server, limit=limit)
    return read_csv(Path(f"out{limit}.csv"))


# --- what is paid -----------------------------------------------------------------------------------------------------


def test_equal_texts_are_asked_once(project: Path, server: ScriptedServer) -> None:
    """Each row has its answer all the same."""
    source = write_csv(project / "new.csv", [("text",), *[("fine",)] * 5])
    assert label(source, "out.csv", server).none == 5
    assert server.count == 1


def test_after_ctrl_c_the_same_command_asks_only_for_what_is_missing(project: Path, server: ScriptedServer) -> None:
    """Three of ten calls were answered: they are not made again, and the message said so."""
    source = write_csv(project / "new.csv", [("text",), *((f"fine {at}",) for at in range(10))])

    def stop(progress: Any) -> None:
        if progress.done == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRun) as caught:
        label(source, "out.csv", server, concurrency=1, progress=stop)
    (run,) = list_runs(project / "runs")
    assert str(caught.value) == (
        f"run {run.manifest.id}: stopped; 3 completions are kept. out.csv is not written. Type the same command again: "
        "it asks only for what is missing."
    )
    assert not (project / "out.csv").exists()
    assert label(source, "out.csv", server, concurrency=1).none == 10
    asked = Counter(request.text.rsplit("fine ", 1)[1] for request in server.requests)
    kept = [sample.inputs["text"].split()[1] for sample in run.samples if (sample.id, "main", "", 0) in run.log.latest]
    assert (len(kept), [asked[number] for number in kept], len(asked)) == (3, [1, 1, 1], 10)


def test_a_run_that_the_server_stops_says_how_to_go_on(project: Path) -> None:
    """A refused key ends the run; its message leads back to this command."""
    source = write_csv(project / "new.csv", [("text",), ("fine",), ("no key",)])
    script = answering({"fine": "none", "no key": error(401, "bad key")})
    with ScriptedServer(script) as server, pytest.raises(ModelError) as caught:
        label(source, "out.csv", server, concurrency=1)
    assert str(caught.value).endswith(
        "1 completion is kept. out.csv is not written. Type the same command again: it asks only for what is missing."
    )


def test_past_the_cache_everything_is_asked_anew(project: Path) -> None:
    """The message does not promise what `--no-cache` cannot keep."""
    source = write_csv(project / "new.csv", [("text",), ("fine",), ("no key",)])
    script = answering({"fine": "none", "no key": error(401, "bad key")})
    with ScriptedServer(script) as server, pytest.raises(ModelError) as caught:
        label(source, "out.csv", server, concurrency=1, cache=False)
    assert str(caught.value).endswith("Type the same command again: past the cache it asks for everything anew.")


def test_an_error_before_the_first_answer_is_told_as_it_is(project: Path) -> None:
    """There is nothing to go on with."""
    source = write_csv(project / "new.csv", [("text",), ("fine",)])
    with ScriptedServer(error(401, "bad key")) as server, pytest.raises(HarnessError) as caught:
        label(source, "out.csv", server)
    assert "Type the same command again" not in str(caught.value)


def test_failed_calls_are_rows_and_are_asked_again(project: Path) -> None:
    """The row says call_error; the same command with force makes that one call anew."""
    source = write_csv(project / "new.csv", [("text",), ("fine",), ("down",)])
    replies: dict[str, str | Reply] = {"fine": "none", "down": error(400, "no")}
    with ScriptedServer(answering(replies)) as server:
        done = label(source, "out.csv", server)
        assert (done.run.manifest.state, done.failures[FailureKind.CALL_ERROR]) == ("incomplete", 1)
        assert [row["failure"] for row in read_csv(project / "out.csv")] == ["", "call_error"]
        replies["down"] = "price"
        again = label(source, "out.csv", server, force=True)
        assert (again.run.manifest.state, server.count) == ("complete", 3)
    assert [row["labels"] for row in read_csv(project / "out.csv")] == ["none", "price"]


# --- its run ----------------------------------------------------------------------------------------------------------


def test_a_version_never_means_a_run_that_labelled_a_file(project: Path, server: ScriptedServer) -> None:
    """The run is kept and found by its id; `v1` stays the run that was scored."""
    scored = cli_project.stored_run(project, "v1")
    done = label(write_csv(project / "new.csv", [("text",), ("fine",)]), "out.csv", server)
    runs = find_project(project).runs
    assert find_run(runs, "v1").manifest.id == scored.manifest.id
    assert find_run(runs, done.run.manifest.id).manifest.split == "file:new.csv"
    assert done.run.scores == {}
    assert done.run.predictions[0].labels == frozenset()
    with pytest.raises(RunNameError):
        find_run(runs, "v2")


def test_the_function_is_part_of_the_package(project: Path, server: ScriptedServer) -> None:
    """`harness.label` is it."""
    assert harness.label is api.label
