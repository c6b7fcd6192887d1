"""Outside predictions: every shape of file becomes the run that it says, and nothing that is missing becomes an answer."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from projects import DEV, Folder, right_but

import harness
from harness import api
from harness.errors import DataError, UsageError
from harness.importing import Imported
from harness.labelnumbers import LabelNumbers, rounded_all
from harness.labelspace import Label, LabelSpace
from harness.parsing.deciding import rounded
from harness.records import FailureKind, Prediction, Shared, Weights
from harness.runnames import find_run
from harness.store import Origin, load_run

NAMES = ("shipping", "quality", "price")
GOLD: Mapping[str, list[str]] = {identity: labels for identity, (_, labels) in DEV.items()}
ALL = frozenset(NAMES)


def jsonl(rows: Sequence[Any]) -> str:
    """Return rows as JSONL."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def sheet(header: Sequence[str], rows: Sequence[Sequence[Any]], delimiter: str = ",") -> str:
    """Return rows as CSV."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([header, *rows])
    return out.getvalue()


def take(folder: Folder, text: str, file: str = "p.jsonl", **options: Any) -> Imported:
    """Import a file of this text."""
    path = folder.write(file, text)
    given = {"dataset": folder.root / "datasets/reviews.yaml", "name": "bert", "project": folder.project}
    return harness.import_predictions(path, **{**given, **options})


def said(imported: Imported) -> dict[str, list[str] | None]:
    """Return the labels by sample, in label-space order; None where the sample is unanswered."""
    return {
        each.sample: None if each.failed else [name for name in NAMES if name in each.labels]
        for each in imported.run.predictions
    }


def problems_of(folder: Folder, text: str, file: str = "p.jsonl", **options: Any) -> list[str]:
    """Return what an import tells as wrong, line by line, without the file's folder."""
    with pytest.raises(DataError) as raised:
        take(folder, text, file, **options)
    return str(raised.value).replace(f"{folder.root}/", "").splitlines()


def flags(labels: Sequence[str]) -> list[int]:
    """Return a label vector."""
    return [int(name in labels) for name in NAMES]


# --- every shape of file ----------------------------------------------------------------------------------------------

SHAPES: Mapping[str, tuple[str, str]] = {
    "list": ("p.jsonl", jsonl([{"id": key, "labels": labels} for key, labels in GOLD.items()])),
    "none": ("p.jsonl", jsonl([{"id": key, "labels": labels or ["none"]} for key, labels in GOLD.items()])),
    "delimited": ("p.csv", sheet(["id", "labels"], [[key, ", ".join(it) or "none"] for key, it in GOLD.items()])),
    "aliases": (
        "p.jsonl",
        jsonl([{"id": key, "pred": [n.replace("quality", "Build_Quality") for n in it]} for key, it in GOLD.items()]),
    ),
    "beside gold": (
        "p.tsv",
        sheet(["id", "labels", "prediction"], [[key, "price", json.dumps(it)] for key, it in GOLD.items()], "\t"),
    ),
    "vector": ("p.jsonl", jsonl([{"id": key, "vector": flags(it)} for key, it in GOLD.items()])),
    "vector in labels": ("p.jsonl", jsonl([{"id": key, "labels": flags(it)} for key, it in GOLD.items()])),
    "written vector": ("p.csv", sheet(["id", "vector"], [[key, str(flags(it))] for key, it in GOLD.items()])),
    "bare vector": ("p.csv", sheet(["id", "vector"], [[key, "".join(map(str, flags(it)))] for key, it in GOLD.items()])),
    "columns": ("p.csv", sheet(["id", *NAMES], [[key, *flags(it)] for key, it in GOLD.items()])),
    "yes and no": (
        "p.csv",
        sheet(["id", *NAMES], [[key, *("yes" if each else "" for each in flags(it))] if it else [key, 0, "no", ""]
                               for key, it in GOLD.items()]),
    ),
    "other order": (
        "p.csv",
        sheet(["price", "id", "Build quality", "SHIPPING"],
              [[flags(it)[2], key, flags(it)[1], flags(it)[0]] for key, it in GOLD.items()]),
    ),
    "bools": ("p.jsonl", jsonl([{"id": key, **{n: n in it for n in NAMES}} for key, it in GOLD.items()])),
    "probability columns": (
        "p.csv",
        sheet(["id", *NAMES], [[key, *(0.5 if each else 0.49 for each in flags(it))] for key, it in GOLD.items()]),
    ),
    "scores": (
        "p.jsonl",
        jsonl([{"id": key, "scores": {n: 0.9 if n in it else 0.1 for n in NAMES}} for key, it in GOLD.items()]),
    ),
    "scores as text": (
        "p.csv",
        sheet(["id", "probabilities"],
              [[key, json.dumps({n: 1 if n in it else 0 for n in NAMES})] for key, it in GOLD.items()]),
    ),
    "label and score": (
        "p.jsonl",
        jsonl([{"id": key, "scores": [{"label": n, "score": 0.8 if n in it else 0.2} for n in reversed(NAMES)]}
               for key, it in GOLD.items()]),
    ),
    "by text": ("p.jsonl", jsonl([{"text": DEV[key][0], "predicted": it} for key, it in GOLD.items()])),
    "headerless": ("p.csv", "".join(f"'{DEV[key][0]}',{','.join(map(str, flags(it)))}\n" for key, it in GOLD.items())),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_says_the_same(folder: Folder, shape: str) -> None:
    """Names, vectors, columns and scores that mean gold are a complete run with macro F1 1, whatever they look like."""
    if shape in ("by text", "headerless"):  # ids of samples that bring none come from their texts
        rows = [{"text": text, "labels": labels} for text, labels in DEV.values()]
        folder.write("datasets/reviews.dev.jsonl", jsonl(rows))
    file, text = SHAPES[shape]
    imported = take(folder, text, file)
    assert list(said(imported).values()) == list(GOLD.values())
    assert (imported.run.manifest.state, imported.missing) == ("complete", 0)
    assert api.Run(imported.run, folder.project).headline["macro_f1"] == 1


def test_parquet_is_read(folder: Folder) -> None:
    """A Parquet file has lists or a column for each label."""
    import pyarrow
    from pyarrow import parquet

    ids = list(GOLD)
    lists = {"id": ids, "labels": list(GOLD.values())}
    wide = {"id": ids, **{n: pyarrow.array([0.75 * (n in GOLD[i]) for i in ids], pyarrow.float32()) for n in NAMES}}
    for number, columns in enumerate((lists, wide)):
        parquet.write_table(pyarrow.table(columns), folder.root / f"p{number}.parquet")
        imported = api.import_predictions(
            folder.root / f"p{number}.parquet",
            dataset=folder.root / "datasets/reviews.yaml",
            name="bert",
            project=folder.project,
        )
        assert list(said(imported).values()) == list(GOLD.values())
    assert imported.run.predictions[0].probabilities == {"shipping": 0.75, "quality": 0.0, "price": 0.0}


def test_what_harness_wrote_is_read_back(folder: Folder) -> None:
    """The predictions of a run, failures, off-list answers and repeats among them, are imported as they are."""
    run = folder.run("v1", right_but(s2="quality, colour", s5="Hm.", s6=""), repeats=2)
    text = (run.path / "predictions.jsonl").read_text(encoding="utf-8")
    imported = take(folder, text)
    assert imported.run.predictions == run.stored.predictions
    assert imported.run.manifest.repeats == 2
    assert imported.run.scores["averages"] == run.stored.scores["averages"]


def test_a_csv_of_predictions_is_read_back(folder: Folder) -> None:
    """`harness run -o predictions.csv` writes an empty set as an empty cell: beside no failure it is an answer."""
    from harness.report.files import prediction_rows, to_csv

    run = folder.run("v1", right_but(s2="quality, colour, shade", s5="Hm."))
    imported = take(folder, to_csv(prediction_rows(run.stored)), "p.csv")
    assert [replaced(each) for each in imported.run.predictions] == [replaced(each) for each in run.stored.predictions]


def replaced(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction without what CSV does not hold."""
    return {**prediction.to_json({name: at for at, name in enumerate(NAMES)}, None), "asked_fields": None}


def test_what_harness_label_wrote_is_read(folder: Folder) -> None:
    """Its predicted columns count, not the gold beside them; a failure keeps its kind."""
    rows = [
        {"id": "s1", "labels": ["price"], "predicted_labels": ["shipping"], "failure": None, "off_list": None},
        {"id": "s2", "labels": [], "predicted_labels": None, "failure": "truncated", "off_list": ["hue"]},
    ]
    imported = take(folder, jsonl(rows), partial=True)
    assert said(imported) == {"s1": ["shipping"], "s2": None}
    failed = imported.run.predictions[1]
    assert (failed.failure, failed.off_list) == (FailureKind.TRUNCATED, ("hue",))


# --- what is missing is no answer -------------------------------------------------------------------------------------


def test_null_and_blank_cells_are_unanswered(folder: Folder) -> None:
    """Null, a blank cell and a blank row of flags are failures, told with their lines; a none is the empty set."""
    warned: list[str] = []
    rows = [{"id": "s1", "labels": None}, {"id": "s4", "labels": "none"}, {"id": "s2", "labels": " "}]
    imported = take(folder, jsonl(rows), partial=True, warn=warned.append)
    assert said(imported) == {"s1": None, "s2": None, "s4": []}
    assert {each.failure for each in imported.run.predictions} == {FailureKind.UNPARSEABLE, None}
    assert imported.run.predictions[0].why == "the file has no answer in line 1"
    assert [each.replace(f"{folder.root}/", "") for each in warned] == [
        "p.jsonl: rows without an answer: 2 (lines 1, 3). They count as failures; write 'none' or [] where no label applies."
    ]
    blank = take(folder, sheet(["id", *NAMES], [["s1", "", "", ""], ["s2", "", 1, ""]]), "p.csv", partial=True)
    assert said(blank) == {"s1": None, "s2": ["quality"]}


def test_a_cell_without_a_number_is_unanswered(folder: Folder) -> None:
    """Among probabilities a blank cell, among flags a null is a failure of that cell alone."""
    warned: list[str] = []
    scores = jsonl([{"id": "s3", "scores": {"price": 0.7, "shipping": 0.2}}, {"id": "s1", "scores": None}])
    imported = take(folder, scores, partial=True, warn=warned.append)
    first = imported.run.predictions[1]
    assert (first.labels, first.unanswered) == (frozenset({"price"}), frozenset({"quality"}))
    assert first.probabilities == {"shipping": 0.2, "price": 0.7}
    assert any("rows that say nothing of some labels: 1 (line 1)" in each for each in warned)
    wide = take(folder, sheet(["id", *NAMES], [["s3", "0.2", "", "0.7"]]), "p.csv", partial=True)
    assert wide.run.predictions[0].unanswered == {"quality"}
    null = take(folder, jsonl([{"id": "s3", "shipping": 0, "quality": None, "price": 1}, {"id": "s1", "price": 0}]),
                partial=True)  # fmt: skip
    assert null.run.predictions[1].unanswered == {"quality"}
    assert null.run.predictions[0].unanswered == {"shipping", "quality"}


def test_samples_without_a_prediction_are_failures(folder: Folder) -> None:
    """They stay in the denominator as call errors, are told, and make the run incomplete."""
    warned: list[str] = []
    imported = take(folder, jsonl([{"id": "s4", "labels": []}]), warn=warned.append)
    assert imported.run.manifest.state == "incomplete"
    assert imported.missing == 5
    assert imported.run.scores["failures"]["call_error"] == 5
    assert {each.why for each in imported.run.predictions if each.failed} == {"no prediction"}
    assert warned[0].endswith(
        "p.jsonl: samples without a prediction: 5 (s1, s2, s3, s5, s6). They count as failures, and the run as incomplete. "
        "To leave them out of the run: --partial"
    )


def test_partial_leaves_other_samples_out(folder: Folder) -> None:
    """With `partial` the run is about the samples in the file alone, and says so."""
    imported = take(folder, jsonl([{"id": "s4", "labels": []}, {"id": "s1", "labels": []}]), partial=True)
    manifest = imported.run.manifest
    assert (manifest.state, manifest.n_samples, manifest.selection) == ("complete", 2, {"partial": True})
    assert [sample.id for sample in imported.run.samples] == ["s1", "s4"]


def test_rows_of_unlabelled_samples_are_left_out(folder: Folder) -> None:
    """A sample without gold is never scored; a split of such samples is refused."""
    folder.write(
        "datasets/reviews.test.jsonl", jsonl([{"id": "t1", "text": "a"}, {"id": "t2", "text": "b", "labels": []}])
    )
    warned: list[str] = []
    rows = jsonl([{"id": "t1", "labels": []}, {"id": "t2", "labels": []}])
    imported = take(folder, rows, split="test", final=True, warn=warned.append)
    assert said(imported) == {"t2": []}
    assert not imported.run.manifest.default_split
    assert any(each.endswith("rows of samples without gold labels are left out: 1.") for each in warned)
    assert problems_of(folder, jsonl([{"id": "t1", "labels": []}]), split="test", final=True) == [
        "p.jsonl: must have a prediction of a sample with gold labels, got none."
    ]
    folder.write("datasets/reviews.test.jsonl", jsonl([{"id": "t1", "text": "a"}]))
    assert problems_of(folder, rows, split="test", final=True) == [
        "datasets/reviews.test.jsonl: must have labelled samples to score, got 1 without labels."
    ]


# --- fields, scores, thresholds ---------------------------------------------------------------------------------------


def test_fields_are_read(folder: Folder) -> None:
    """A field's column is an answer, null is nothing there, a value it cannot have is told and unanswered."""
    samples = [{"id": key, "text": text, "labels": labels, "mood": "mad"} for key, (text, labels) in DEV.items()]
    folder.write("datasets/reviews.dev.jsonl", jsonl(samples))
    moods = ["mad", "Happy", None, "angry", "mad", "mad"]
    rows = [
        {"id": key, "labels": labels, "mood": mood} for (key, labels), mood in zip(GOLD.items(), moods, strict=True)
    ]
    rows[5]["labels"] = rows[5]["mood"] = None
    warned: list[str] = []
    imported = take(folder, jsonl(rows), warn=warned.append)
    answers = [dict(each.fields) for each in imported.run.predictions]
    assert answers == [{"mood": "mad"}, {"mood": "happy"}, {"mood": None}, {}, {"mood": "mad"}, {}]
    assert {each.asked_fields for each in imported.run.predictions} == {("mood",)}
    assert any(
        each.endswith("values that field 'mood' cannot have: 1 (line 4). They count as unanswered.") for each in warned
    )
    assert imported.run.scores["fields"][0]["accuracy"] == pytest.approx(2 / 6)


def test_a_gold_field_beside_predictions_is_no_answer(folder: Folder) -> None:
    """In a dataset's own rows with a column of predictions, only predicted fields are answers."""
    rows = [{"id": key, "labels": labels, "pred": labels, "mood": "mad"} for key, labels in GOLD.items()]
    assert not take(folder, jsonl(rows)).run.predictions[0].asked_fields
    rows = [{**row, "predicted_mood": "happy"} for row in rows]
    assert take(folder, jsonl(rows)).run.predictions[0].fields == {"mood": "happy"}


def test_a_threshold_decides(folder: Folder) -> None:
    """A label is present from the threshold on; probabilities are kept, so that they can be scored."""
    text = sheet(
        ["id", *NAMES], [[key, *(0.3 if each else 0.1234567 for each in flags(it))] for key, it in GOLD.items()]
    )
    imported = take(folder, text, "p.csv", threshold=0.3)
    assert list(said(imported).values()) == list(GOLD.values())
    assert imported.run.predictions[0].probabilities == {"shipping": 0.3, "quality": 0.123457, "price": 0.123457}
    assert imported.run.scores["probabilities"]["averages"]["macro_auroc"] == 1
    assert imported.run.manifest.origin is not None
    assert imported.run.manifest.origin.settings == {"read": "a column for each label", "threshold": 0.3}


def test_names_decide_over_scores_unless_a_threshold_is_given(folder: Folder) -> None:
    """Labels and probabilities in one row: the labels are the answer; a threshold asks for the probabilities."""
    rows = jsonl([{"id": "s1", "labels": ["price"], "probabilities": {"shipping": 0.6, "quality": 0.1, "price": 0.2}}])
    named = take(folder, rows, partial=True)
    assert said(named) == {"s1": ["price"]}
    assert named.run.predictions[0].probabilities["shipping"] == 0.6
    assert named.described == "label names in column 'labels', probabilities in 'probabilities'"
    assert said(take(folder, rows, partial=True, threshold=0.5)) == {"s1": ["shipping"]}
    assert said(take(folder, rows, partial=True, format="scores")) == {"s1": ["shipping"]}


def test_a_threshold_without_probabilities_is_told(folder: Folder) -> None:
    """It decides nothing, and says so."""
    warned: list[str] = []
    take(folder, jsonl([{"id": key, "labels": []} for key in GOLD]), threshold=0.7, warn=warned.append)
    assert warned[0].startswith("--threshold 0.7: decides nothing, because ")


def test_a_person_can_say_what_is_what(folder: Folder) -> None:
    """The format, the column and the ids go by what was said, before what was found."""
    rows = [[key, "price", "; ".join(it) or "none", *flags([])] for key, it in GOLD.items()]
    text = sheet(["key", "labels", "said", *NAMES], rows)
    assert list(said(take(folder, text, "p.csv", id="key", column="said")).values()) == list(GOLD.values())
    assert set(map(str, said(take(folder, text, "p.csv", id="key", format="columns")).values())) == {"[]"}
    assert take(folder, text, "p.csv", id="key", format="scores").threshold == 0.5


# --- problems, all at once --------------------------------------------------------------------------------------------


def test_all_problems_are_told_at_once(folder: Folder) -> None:
    """Unknown and doubled ids, unknown labels and bad cells come together, by line, with what was meant."""
    rows = [
        {"id": "s1", "labels": ["shiping"]},
        {"id": "s1", "labels": []},
        {"id": "s22", "labels": ["shiping", "hue"]},
        {"id": None, "labels": []},
        {"id": "t1", "labels": []},
        {"id": "s3", "labels": 7},
        {"id": "s4", "labels": [{"a": 1}]},
        {"id": "s5", "labels": [], "failure": "refused"},
        {"id": "s6", "labels": [], "repeat": -1},
    ]
    assert problems_of(folder, jsonl(rows)) == [
        "p.jsonl:1: label 'shiping' is not in the label space (also in line 3). Did you mean 'shipping'?",
        "p.jsonl:2: id 's1' is that of line 1 too. Ids are unique.",
        "p.jsonl:3: label 'hue' is not in the label space. It has shipping, quality, price.",
        "p.jsonl:3: id 's22' is no sample of split 'dev' of reviews. Did you mean 's2'?",
        "p.jsonl:4: must have an id in 'id', got null.",
        "p.jsonl:5: id 't1' is no sample of split 'dev' of reviews. It is one of split 'test': --split test",
        "p.jsonl:6: 'labels' must be names of labels, got 7.",
        "p.jsonl:7: 'labels' must be names of labels, got [{\"a\": 1}].",
        "p.jsonl:8: 'failure' must be one of call_error, refusal, truncated, unparseable, got \"refused\". "
        "Did you mean 'refusal'?",
        "p.jsonl:9: 'repeat' must be a whole number from 0 on, got -1.",
    ]


def test_bad_numbers_are_told_by_column(folder: Folder) -> None:
    """Logits, words and doubled or unknown labels among the scores are told once for a column, with their lines."""
    text = sheet(["id", *NAMES], [["s1", "2.5", "0.1", "0.2"], ["s2", "-1", "0.1", "high"]])
    assert problems_of(folder, text, "p.csv") == [
        "p.csv:2: 'shipping' must be 0, 1 or a probability between them (also in line 3).",
        "p.csv:3: 'price' must be 0, 1 or a probability between them.",
    ]
    rows = [
        {"id": "s1", "scores": {"quality": 0.1, "build quality": 0.2, "hue": 0.3}},
        {"id": "s2", "scores": "high"},
        {"id": "s3", "scores": {"quality": 2}},
    ]
    assert problems_of(folder, jsonl(rows)) == [
        "p.jsonl:1: 'scores' must have one number for label 'quality', got two. Remove one.",
        "p.jsonl:1: label 'hue' is not in the label space. It has shipping, quality, price.",
        "p.jsonl:2: 'scores' must be an object with a number for each label, got \"high\".",
        "p.jsonl:3: 'scores.quality' must be 0, 1 or a probability between them.",
    ]


def test_fractions_are_no_flags(folder: Folder) -> None:
    """A vector, and columns that a person calls 0 and 1, must not hold probabilities."""
    assert problems_of(folder, jsonl([{"id": "s1", "vector": [0, 0.5, 1]}, {"id": "s2", "vector": [0, 1]}])) == [
        "p.jsonl:1: 'vector' must be 0 or 1. Probabilities need the names of labels: --format scores",
        "p.jsonl:2: 'vector' must be 3 times 0 or 1, in the order of the labels, got 2 of them.",
    ]
    text = sheet(["id", *NAMES], [["s1", 0, 1, 0.5]])
    assert problems_of(folder, text, "p.csv", format="columns") == [
        "p.csv:2: 'price' must be 0 or 1. Probabilities need the names of labels: --format scores"
    ]
    assert problems_of(folder, jsonl([{"id": "s1", "vector": None}, {"id": "s2", "vector": 5}])) == [
        "p.jsonl:2: 'vector' must be 3 times 0 or 1, in the order of the labels, got 5."
    ]


@pytest.mark.parametrize(
    ("file", "text", "options", "told"),
    [
        ("p.jsonl", "", {}, "p.jsonl: must hold at least one prediction, got none."),
        ("p.jsonl", "{", {}, "p.jsonl:1: must be one JSON object a line, but Expecting property name enclosed in double "
         "quotes at column 2."),
        ("p.csv", "id,shipping,prize\ns1,1,0\n", {},
         "p.csv: has columns for some labels (shipping), but none for quality, price. Add them, or say where the "
         "predictions are: --column"),
        ("p.csv", "id,quality,build quality\ns1,1,0\n", {},
         "p.csv: must have one column for label 'quality', got 'quality' and 'build quality'. Remove one."),
        ("p.csv", "id,x\ns1,1\n", {},
         "p.csv: must have a column of label names (predicted_labels, predicted, prediction, predictions, pred, labels), "
         "vectors or numbers by label, or a column for each label; got the columns id, x. Say which one: --column"),
        ("p.csv", "id,x\ns1,1\n", {"format": "vector"},
         "p.csv: must have a column of label vectors (predicted_vector, vector); got the columns id, x. Say which one: "
         "--column"),
        ("p.csv", "id,labels\ns1,price\n", {"column": "label"},
         "p.csv: must have a column 'label', got id, labels. Did you mean 'labels'?"),
        ("p.csv", "key,labels\ns1,price\n", {},
         "p.csv:2: must have an 'id', or the 'text' of its sample. Name the column of ids: --id COLUMN"),
        ("p.jsonl", '{"id": "s1", "labels": [], "repeat": 1}\n', {}, "p.jsonl: 'repeat' must count from 0 on, got 1."),
    ],
)  # fmt: skip
def test_files_that_say_nothing(folder: Folder, file: str, text: str, options: dict[str, Any], told: str) -> None:
    """A file without predictions, or of which a column is missing, is told with the columns that it has."""
    assert problems_of(folder, text, file, **options) == [told]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "v1"}, "--name 'v1': must not be the name of a prompt version, which means that prompt's runs."),
        ({"name": "a/b"}, "--name 'a/b': must be a word of letters, digits and . _ + -, and not 'latest'."),
        ({"name": "latest"}, "--name 'latest': must be a word of letters, digits and . _ + -, and not 'latest'."),
        ({"threshold": 1.5}, "--threshold: must be from 0 to 1, got 1.5."),
        ({"format": "lables"}, "--format 'lables': must be one of labels, vector, columns, scores. Did you mean 'labels'?"),
        ({"format": "columns", "column": "x"},
         "--column: does not go with --format columns, where each label has a column."),
    ],
)  # fmt: skip
def test_options_that_cannot_be(folder: Folder, options: dict[str, Any], told: str) -> None:
    """Each is refused before the file is read."""
    with pytest.raises(UsageError) as raised:
        take(folder, "", **options)
    assert str(raised.value) == told


def test_a_name_of_a_run_is_taken(folder: Folder) -> None:
    """A version whose prompt file is gone keeps its name; the name of an import can be used again."""
    folder.run("v1", right_but())
    folder.path("v1").unlink()
    rows = jsonl([{"id": key, "labels": []} for key in GOLD])
    with pytest.raises(UsageError, match="--name 'v1': must not be the name of a prompt version"):
        take(folder, rows, name="v1")
    assert take(folder, rows).run.manifest.id != take(folder, rows).run.manifest.id


def test_many_unknown_ids_name_their_split(folder: Folder) -> None:
    """A split that cannot be read has no ids to name; the problem is told all the same."""
    folder.write("datasets/reviews.test.jsonl", "{")
    assert problems_of(folder, jsonl([{"id": "zzz", "labels": []}])) == [
        "p.jsonl:1: id 'zzz' is no sample of split 'dev' of reviews."
    ]


def test_predictions_that_are_gold_are_doubted(folder: Folder) -> None:
    """Twenty samples and more that are all exactly right look like a column of gold; a few do not."""
    rows = [{"id": f"n{number}", "text": f"text {number}", "labels": ["price"]} for number in range(20)]
    folder.write("datasets/reviews.dev.jsonl", jsonl(rows))
    warned: list[str] = []
    take(folder, jsonl(rows), warn=warned.append)
    assert warned[0].endswith(
        "p.jsonl: every prediction is exactly the gold. If that is what the column holds, name another: --column"
    )
    warned.clear()
    take(folder, jsonl([*rows[1:], {**rows[0], "labels": []}]), warn=warned.append)
    assert not warned


# --- the run ----------------------------------------------------------------------------------------------------------


def test_the_manifest_says_where_it_comes_from(folder: Folder) -> None:
    """It has the file's name and hash and no passes, and reads back as it was written."""
    text = jsonl([{"id": key, "labels": labels} for key, labels in GOLD.items()])
    run = take(folder, text, model="BERT, fine-tuned", notes="last year's").run
    manifest = run.manifest
    assert manifest.origin == Origin(
        "import",
        "BERT, fine-tuned",
        "p.jsonl",
        hashlib.sha256(text.encode()).hexdigest(),
        {"read": "label names in column 'labels'"},
    )
    assert (manifest.version, manifest.prompt.passes, manifest.prompt.notes) == ("bert", (), "last year's")
    assert (manifest.models, manifest.cost_usd, manifest.endpoints) == (("BERT, fine-tuned",), None, {})
    assert str(manifest.prompt.dataset) == "datasets/reviews.yaml"
    assert load_run(run.path).manifest == manifest
    assert find_run(folder.project.runs, "bert").manifest.id == manifest.id
    assert (run.path / "completions.jsonl").read_bytes() == b""
    assert take(folder, text, model=None).run.manifest.models == ("import of p.jsonl",)


def test_an_import_is_scored_again_with_todays_gold(folder: Folder) -> None:
    """`score` takes corrected gold by id and keeps the predictions and the state; no calls are missed."""
    run = take(folder, jsonl([{"id": key, "labels": ["price"]} for key in list(GOLD)[:5]])).run
    before = run.predictions
    samples = [{"id": key, "text": text, "labels": ["price"]} for key, (text, _) in DEV.items()]
    folder.write("datasets/reviews.dev.jsonl", jsonl(samples))
    rescored = api.score(run.manifest.id, folder.project)
    assert (rescored.missing, rescored.changed, rescored.sources) == (0, 0, ("gold of reviews.dev.jsonl",))
    assert rescored.run.predictions == before
    assert rescored.run.gold["s1"] == frozenset({"price"})
    assert rescored.run.scores["averages"]["subset_accuracy"] == pytest.approx(5 / 6)
    assert rescored.run.manifest.state == "incomplete"
    folder.write("datasets/reviews.dev.jsonl", jsonl([{**row, "labels": None} for row in samples]))
    assert api.score(run.manifest.id, folder.project).run.scores == {}


def test_an_import_has_no_calls_to_make(folder: Folder) -> None:
    """Resuming and redrawing are refused, and the run stays what it is."""
    run = take(folder, jsonl([{"id": "s1", "labels": []}])).run
    with pytest.raises(DataError) as raised:
        api.resume(run.manifest.id, project=folder.project)
    assert (
        str(raised.value)
        == f"run {run.manifest.id}: no prompt made it, so it has no calls to make. Type: harness import"
    )
    assert load_run(run.path).manifest.state == "incomplete"


def test_an_incomplete_import_is_named_by_its_id(folder: Folder) -> None:
    """Its name does not mean it, and nothing says that it could be resumed."""
    run = take(folder, jsonl([{"id": "s1", "labels": []}])).run
    with pytest.raises(DataError.__mro__[1]) as raised:
        find_run(folder.project.runs, "bert")
    assert str(raised.value) == (
        f"run 'bert': no complete run on the default split. Its newest is {run.manifest.id} (incomplete, split dev). "
        "Name it by its id."
    )


def test_an_import_is_compared_with_a_prompt(folder: Folder) -> None:
    """Of what was asked nothing is said against predictions that no prompt made; the models are named."""
    folder.run("v1", right_but(s1="price"))
    take(folder, jsonl([{"id": key, "labels": labels} for key, labels in GOLD.items()]))
    compared = api.compare("v1", "bert", project=folder.project).compared
    assert compared.notes == ("model: v1 scripted, bert import of p.jsonl",)
    assert [change.sample for change in compared.comparison.diffs[0].fixed] == ["s1"]
    failures = api.load("v1", folder.project).failures(regressed_from="bert")
    assert list(failures["id"]) == ["s1"]


def test_an_import_that_breaks_off_leaves_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of outside predictions is whole or not there."""

    def fail(*_: Any) -> None:
        raise DataError("full")

    monkeypatch.setattr("harness.store.RunWriter.derive", fail)
    with pytest.raises(DataError, match="full"):
        take(folder, jsonl([{"id": "s1", "labels": []}]))
    assert list(folder.project.runs.iterdir()) == []


# --- parts ------------------------------------------------------------------------------------------------------------

SPACE = LabelSpace((Label("a"), Label("b")))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_probabilities_are_rounded_as_everywhere(values: list[float]) -> None:
    """Numbers are read as `rounded` has them, also from text."""
    for cells in (values, [repr(value) for value in values]):
        read = LabelNumbers(SPACE, Shared()).read(1, cells, ("a", "b"))
        assert list(read) == [rounded(value) for value in values]


@given(
    st.lists(
        st.floats(0, 1, exclude_min=True, exclude_max=True)
        | st.integers(1, 10**7 - 1).map(lambda whole: whole / 10**7)
        | st.builds(lambda whole, power: (whole * 10 + 5) / 10**power, st.integers(1, 10**6 - 1), st.integers(8, 30)),
        min_size=1,
    )
)
@example([5e-324, 1e-17, 0.1, 0.09999999999999999, 0.9999995, 0.9999994999999999, 0.1234565])
def test_all_at_once_are_rounded_to_the_last_bit(values: list[float]) -> None:
    """Probabilities are rounded as one by one, those too that lie in the middle, next to a power of ten or near 0."""
    assert rounded_all(np.array(values)).tolist() == [rounded(value) for value in values]


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=5))
def test_weights_are_a_mapping(given: dict[str, float]) -> None:
    """Kept in little room, numbers by label are equal to the dictionary that they came from, in its order."""
    kept = Shared().weights(given)
    assert kept == given
    assert list(kept) == list(given)
    assert dict(kept.items()) == given
    assert repr(kept) == repr(given)
    assert all(kept[name] == kept.get(name) == value for name, value in given.items())
    assert kept.get("four characters") is None


def test_weights_are_a_vector_in_their_own_order_only() -> None:
    """Another order of labels is never taken for the own one."""
    kept = Shared().weights({"a": 0.1, "b": 0.2})
    assert isinstance(kept, Weights)
    assert list(kept.vector(["a", "b"]) or ()) == [0.1, 0.2]
    assert kept.vector(["b", "a"]) is None


@given(st.lists(st.lists(st.sampled_from(["a", "b"]), max_size=3), max_size=6))
def test_shared_sets_are_the_sets(rows: list[list[str]]) -> None:
    """Sets that are made once are equal to those that are made each time."""
    shared = Shared()
    assert [shared.labels(row) for row in rows] == [frozenset(row) for row in rows]


def test_no_file(folder: Folder, tmp_path: Path) -> None:
    """A file that is not there is told before anything is made."""
    with pytest.raises(DataError, match=r"gone\.jsonl: no such file\."):
        api.import_predictions(tmp_path / "gone.jsonl", dataset=folder.root / "datasets/reviews.yaml", name="x")
    assert not folder.project.runs.exists()


def test_what_the_sample_reader_warns_of_is_told(folder: Folder) -> None:
    """A split whose samples look odd says so here as everywhere."""
    rows = [{"text": "Late.", "labels": ["shipping"]}, {"text": "Late.", "labels": []}]
    folder.write("datasets/reviews.dev.jsonl", jsonl(rows))
    warned: list[str] = []
    imported = take(folder, jsonl(rows), warn=warned.append)
    assert "texts that repeat an earlier one: 1 (line 2)" in warned[0]
    assert list(said(imported).values()) == [["shipping"], []]


def test_a_file_of_another_dataset_is_told_once(folder: Folder) -> None:
    """Where no id is of the dataset, that is one problem and not one a line."""
    rows = [{"id": f"x{at}", "labels": ["price"]} for at in range(30)]
    assert problems_of(folder, jsonl(rows)) == [
        "p.jsonl:1: none of the 30 ids is a sample of split 'dev' of reviews: they are like 'x0', not like 's1'. Name the "
        "dataset that they are of, or the column of ids: --id COLUMN"
    ]
