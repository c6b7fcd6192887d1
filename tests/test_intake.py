"""Taking in a labelled file: rows become samples unharmed, and what is odd about them is told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.columns import Wanted
from harness.errors import DataError
from harness.identity import text_id
from harness.intake import Empty, Intake, stated, take_in
from harness.labelspace import normalize

NOBODY = Wanted()


def intake_of(
    path: Path, content: str, *, wanted: Wanted = NOBODY, separator: str | None = None, empty: Empty = "none"
) -> Intake:
    """Return a file with this content, taken in."""
    path.write_text(content, encoding="utf-8")
    return take_in(path, wanted, separator=separator, empty=empty)


def jsonl(tmp_path: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> Intake:
    """Return JSONL rows, taken in."""
    return intake_of(tmp_path / "data.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows), **options)


def refusal(tmp_path: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> list[str]:
    """Return what is wrong with JSONL rows, line by line, without the path."""
    with pytest.raises(DataError) as caught:
        jsonl(tmp_path, rows, **options)
    return [line.removeprefix(f"{tmp_path}/data.jsonl:") for line in str(caught.value).split("\n")]


def golds(intake: Intake) -> list[list[str] | None]:
    """Return the labels of each sample, sorted."""
    return [None if sample.labels is None else sorted(sample.labels) for sample in intake.samples]


def notes_without_support(intake: Intake) -> list[str]:
    """Return the notes but the one on labels with few samples, which every small file has."""
    return [note for note in intake.notes if not note.startswith("labels with fewer than 20 samples")]


# --- the shapes of files ----------------------------------------------------------------------------------------------


def test_a_csv_with_delimited_cells(tmp_path: Path) -> None:
    """Ids, texts, labels and other columns come in as they stand there; the separator is told."""
    content = 'nr,id,review,tags\n1,a,"Late, and ""broken""",shipping; quality\n2,b, =1 ,quality\n007,c,Fine,none\n'
    intake = intake_of(tmp_path / "d.csv", content)
    assert [(sample.id, dict(sample.inputs)) for sample in intake.samples] == [
        ("a", {"text": 'Late, and "broken"', "nr": "1"}),
        ("b", {"text": " =1 ", "nr": "2"}),
        ("c", {"text": "Fine", "nr": "007"}),
    ]
    assert golds(intake) == [["quality", "shipping"], ["quality"], []]
    assert dict(intake.support) == {"quality": 2, "shipping": 1}
    assert notes_without_support(intake) == [
        "labels are split at ';'; another: --separator",
        "label cells that say 'none': 1, read as 'no label applies', not as a label",
    ]
    assert list(stated(intake)) == ["text from column 'review'", "labels from column 'tags'", "ids from column 'id'"]


def test_a_csv_with_0_1_columns(tmp_path: Path) -> None:
    """Each column is a label, also one without a single 1; an all-blank row is an empty cell."""
    intake = intake_of(tmp_path / "d.csv", "text,late,bad,never\na,1,0,0\nb,1,1,0\nc,0,0,0\nd,,,\n")
    assert golds(intake) == [["late"], ["bad", "late"], [], []]
    assert list(intake.support.items()) == [("late", 2), ("bad", 1), ("never", 0)]
    assert intake.notes[0].startswith("empty label cells: 1, read as 'no label applies'")
    assert list(stated(intake))[1:] == ["labels from 0/1 columns 'late', 'bad', 'never'", "ids made from the texts"]


def test_a_0_1_column_called_none_is_no_label(tmp_path: Path) -> None:
    """It says that no label applies."""
    intake = intake_of(tmp_path / "d.tsv", "text\tlate\tNone\na\t1\t0\nb\t0\t1\n")
    assert (golds(intake), dict(intake.support)) == ([["late"], []], {"late": 1})


def test_several_columns_of_names(tmp_path: Path) -> None:
    """The labels of a row are those of all its label columns."""
    rows: list[dict[str, Any]] = [
        {"text": "a b c d", "l1": "x", "l2": ""},
        {"text": "e f g h", "l1": "y", "l2": "x"},
        {"text": "i", "l1": None},
    ]
    intake = jsonl(tmp_path, rows, wanted=Wanted(labels=("l1,l2",)))
    assert golds(intake) == [["x"], ["x", "y"], []]
    assert list(stated(intake))[1] == "labels from columns 'l1', 'l2'"


def test_jsonl_with_lists_of_names_and_numbers(tmp_path: Path) -> None:
    """Lists are taken as they are; numbers are names; null is an empty cell, [] an answer."""
    rows: list[dict[str, Any]] = [
        {"text": "a", "labels": ["x, y", 3]},
        {"text": "b", "labels": []},
        {"text": "c", "labels": None},
    ]
    intake = jsonl(tmp_path, rows, empty="unlabelled")
    assert golds(intake) == [["3", "x, y"], [], None]
    assert intake.notes == ("labels with fewer than 20 samples, whose scores will say little: 3 (1), x, y (1)",)


def test_single_labels(tmp_path: Path) -> None:
    """A name or a number a row is one label; a number that pandas made a float is a whole number still."""
    rows: list[dict[str, Any]] = [
        {"text": "a", "class": 1.0},
        {"text": "b", "class": 2},
        {"text": "c", "class": "spam"},
    ]
    assert golds(jsonl(tmp_path, rows)) == [["1"], ["2"], ["spam"]]


def test_fine_tuning_jsonl(tmp_path: Path) -> None:
    """Prompt and completion are text and labels."""
    rows: list[dict[str, Any]] = [
        {"prompt": "late ->", "completion": " x, y END"},
        {"prompt": "ok ->", "completion": " y END"},
    ]
    intake = jsonl(tmp_path, rows)
    assert [sample.inputs["text"] for sample in intake.samples] == ["late", "ok"]
    assert golds(intake) == [["x", "y"], ["y"]]


def test_parquet_with_missing_values(tmp_path: Path) -> None:
    """NaN is an empty cell, and no label called nan."""
    frame = pd.DataFrame({"text": ["a", "b", "c"], "label": [1.0, math.nan, 2.0]})
    frame.to_parquet(tmp_path / "d.parquet")
    assert golds(take_in(tmp_path / "d.parquet", NOBODY, empty="unlabelled")) == [["1"], None, ["2"]]


def test_a_separator_that_is_given_is_taken(tmp_path: Path) -> None:
    """Any text can stand between labels, and an empty one means that cells are one label each."""
    content = "text,labels\na,x / y\nb,y\n"
    assert golds(intake_of(tmp_path / "d.csv", content, separator="/")) == [["x", "y"], ["y"]]
    intake = intake_of(tmp_path / "d.csv", 'text,labels\na,"x,y"\nb,y\n', separator="")
    assert (golds(intake), notes_without_support(intake)) == ([["x,y"], ["y"]], [])


def test_cells_that_are_not_split_are_told(tmp_path: Path) -> None:
    """Where a mark is read as part of a name, the note says how to split it."""
    intake = intake_of(tmp_path / "d.csv", 'text,topic\na,"Food, drink"\nb,"Food, drink"\nc,Travel\n')
    assert dict(intake.support) == {"Food, drink": 2, "Travel": 1}
    assert notes_without_support(intake) == [
        "cells such as 'Food, drink' are read as one label each, because their parts never stand apart; "
        "to split them: --separator"
    ]


# --- what is told -----------------------------------------------------------------------------------------------------


def test_empty_cells_are_told_and_mean_what_the_option_says(tmp_path: Path) -> None:
    """By default no label applies; with the option the samples are unlabelled."""
    rows: list[dict[str, Any]] = [{"text": "a", "labels": "x"}, {"text": "b", "labels": ""}, {"text": "c"}]
    assert notes_without_support(jsonl(tmp_path, rows)) == [
        "empty label cells: 2, read as 'no label applies'; if they were never labelled: --empty unlabelled"
    ]
    intake = jsonl(tmp_path, rows, empty="unlabelled")
    assert (golds(intake), len(intake.labelled)) == ([["x"], None, None], 1)
    assert (intake.cardinality, intake.share_none) == (1, 0)


def test_statistics_are_over_the_labelled_samples(tmp_path: Path) -> None:
    """Two labels, none, one: one label a sample, a third without."""
    intake = jsonl(
        tmp_path, [{"text": text, "labels": list(labels)} for text, labels in (("a", "xy"), ("b", ""), ("c", "x"))]
    )
    assert intake.cardinality == 1
    assert intake.share_none == pytest.approx(1 / 3)


def test_spellings_that_read_the_same_are_merged_and_told(tmp_path: Path) -> None:
    """The most frequent spelling is the label's name."""
    rows: list[dict[str, Any]] = [
        {"text": str(at), "labels": label} for at, label in enumerate(["Ship it", "ship_it", "Ship it", "price"])
    ]
    intake = jsonl(tmp_path, rows)
    assert dict(intake.support) == {"Ship it": 3, "price": 1}
    assert notes_without_support(intake) == ["read as 'Ship it' (2), the same but for case or joiners: 'ship_it' (1)"]


def test_a_label_that_is_there_twice_in_a_row_counts_once(tmp_path: Path) -> None:
    """Support counts samples."""
    assert dict(jsonl(tmp_path, [{"text": "a", "labels": ["x", "X", "x"]}]).support) == {"x": 1}


def test_near_spellings_are_told_and_not_merged(tmp_path: Path) -> None:
    """Only a person can know whether refund and refunds are one label."""
    intake = jsonl(tmp_path, [{"text": "a", "labels": ["refund"]}, {"text": "b", "labels": ["refunds"]}])
    assert dict(intake.support) == {"refund": 1, "refunds": 1}
    assert notes_without_support(intake) == [
        "labels that look alike: 'refund' (1) and 'refunds' (1). Where two are one, make them one in the file, or "
        "one an alias of the other"
    ]


def test_duplicates_are_told_with_their_lines(tmp_path: Path) -> None:
    """Texts are the same but for case and blanks; other labels for the same text are told apart."""
    rows: list[dict[str, Any]] = [
        {"text": text, "labels": label} for text, label in (("A b", "x"), ("c", "x"), ("a  B ", "x"), ("A b", "y"))
    ]
    intake = jsonl(tmp_path, rows)
    assert notes_without_support(intake) == [
        "texts that stand there already: 2 (lines 3, 4); 1 of them with other labels (line 4)"
    ]
    assert len({sample.id for sample in intake.samples}) == 4
    assert [intake.samples[at].id for at in (0, 3)] == [text_id("A b"), f"{text_id('A b')}-2"]


def test_labels_with_few_samples_are_told(tmp_path: Path) -> None:
    """Twenty is enough, nineteen is not."""
    rows: list[dict[str, Any]] = [
        {"text": f"{label} {at}", "labels": [label]} for label, n in (("many", 20), ("few", 19)) for at in range(n)
    ]
    assert jsonl(tmp_path, rows).notes == ("labels with fewer than 20 samples, whose scores will say little: few (19)",)


def test_a_column_of_free_text_is_told(tmp_path: Path) -> None:
    """Nearly as many labels as samples: some other column was meant."""
    rows: list[dict[str, Any]] = [{"text": f"t{at}", "labels": f"{at * 7919}"} for at in range(21)]
    assert jsonl(tmp_path, rows).notes[-1] == (
        "21 labels in 21 samples: perhaps another column or separator is meant (--labels, --separator)"
    )


def test_rows_without_a_text_are_left_out_and_told(tmp_path: Path) -> None:
    """There is nothing to label in them."""
    rows: list[dict[str, Any]] = [
        {"text": "a", "labels": "x"},
        {"text": " ", "labels": "x"},
        {"text": None, "labels": "x"},
        {"labels": "x"},
    ]
    intake = jsonl(tmp_path, rows)
    assert (len(intake.samples), intake.notes[0]) == (1, "rows without a text are left out: 3 (lines 2, 3, 4)")


def test_columns_that_no_template_can_name_are_renamed_and_told(tmp_path: Path) -> None:
    """Reserved names, names with blanks, keywords and empty names become names; none of them collides with another."""
    names = ["ok", "Product Name", "group", "Product_Name", "1st", "if", "", "!", "_x", "größe", "title"]
    rows: list[dict[str, Any]] = [{"title": "t", "body": "a", "labels": "x", **dict.fromkeys(names, "v"), "text": "v"}]
    intake = jsonl(tmp_path, rows, wanted=Wanted(text="body"))
    assert dict(intake.samples[0].inputs) == {
        "text": "a",
        **dict.fromkeys(
            ["title", "ok", "Product_Name_2", "group_column", "Product_Name", "column_1st", "if_column"], "v"
        ),
        **dict.fromkeys(["column_8", "column_9", "_x", "größe", "text_column"], "v"),
        "title": "v",
    }
    assert notes_without_support(intake) == [
        "columns renamed, because templates could not name them: 'Product Name' → Product_Name_2, 'group' → group_column, "
        "'1st' → column_1st, 'if' → if_column, '' → column_8, '!' → column_9, 'text' → text_column"
    ]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_all_problems_are_told_at_once_by_line(tmp_path: Path) -> None:
    """A text that is a number, labels that are no names, none beside a label, an id twice: four lines, one message."""
    rows: list[dict[str, Any]] = [
        {"nr": 1, "text": "a", "labels": ["x"]},
        {"nr": 2, "text": 5, "labels": ["x"]},
        {"nr": 3, "text": "b", "labels": {"x": 1}},
        {"nr": 4, "text": "c", "labels": "[['x']]"},
        {"nr": 5, "text": "d", "labels": ["none", "x"]},
        {"nr": 1, "text": "e", "labels": ["a\nb"]},
        {"nr": [6], "text": "f", "labels": ["none", "x"]},
    ]
    assert refusal(tmp_path, rows, wanted=Wanted(id="nr")) == [
        "2: 'text' must be a text, got 5.",
        "3: labels must be a text or a list of texts, got {'x': 1}.",
        "4: labels must be a text or a list of texts, got \"[['x']]\".",
        "5: 'none' says that no label applies, but others stand beside it. Remove it, or them.",
        "6: a label must be visible text on one line, got 'a\\nb'. Rename it, or write 'none'.",
        "6: id '1' is that of line 1 too. Ids are unique.",
        "7: an id must be a text or a number, got [6].",
    ]


def test_a_0_1_matrix_without_names_is_refused(tmp_path: Path) -> None:
    """Rows of zeros and ones are no names."""
    rows: list[dict[str, Any]] = [{"text": "a", "labels": [0, 1, 1]}, {"text": "b", "labels": [1, 0, 1]}]
    assert refusal(tmp_path, rows) == [
        " 'labels' must hold names of labels, got rows of 0 and 1. Give each label a column of its own, called as the label."
    ]


def test_a_column_without_any_label_is_refused(tmp_path: Path) -> None:
    """Nothing but empty cells and none."""
    rows: list[dict[str, Any]] = [{"text": "a", "labels": []}, {"text": "b", "labels": "none"}]
    assert refusal(tmp_path, rows) == [" must have labels in labels, got none at all. Give --labels COLUMN."]


def test_a_column_without_any_text_is_refused(tmp_path: Path) -> None:
    """All texts are blank, or all are no texts."""
    blank = [{"text": " ", "labels": "x"}]
    assert refusal(tmp_path, blank) == [" must have a text in column 'text', got none. Give --text COLUMN."]
    assert refusal(tmp_path, [{"text": 1, "labels": "x"}]) == ["1: 'text' must be a text, got 1."]


@pytest.mark.parametrize("name", ["a\u2028b", "\u200b"])
def test_a_0_1_column_must_have_the_name_of_a_label(tmp_path: Path, name: str) -> None:
    """A column is checked even where no row has the label."""
    rows: list[dict[str, Any]] = [{"text": "a b c d", "x": 1, name: 0}, {"text": "e f g h", "x": 0, name: 0}]
    assert refusal(tmp_path, rows) == [
        f"1: a label must be visible text on one line, got {name!a}. Rename it, or write 'none'."
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "d.csv",
            "'it came late',0,1\n'fine',1,0\n",
            ":1: must be a header that names the columns, got 'it came late,0,1'. Add a line such as: text,LABEL,LABEL",
        ),
        (
            "d.csv",
            "text;labels\na;x\n",
            ":1: must have columns separated by commas, got the one column 'text;labels'. If ';' stands between them, "
            "save it as CSV with commas.",
        ),
        (
            "d.csv",
            "text\tlabels\na\tx\n",
            ":1: must have columns separated by commas, got the one column 'text\tlabels'. If tabs stand between them, "
            "save it as CSV with commas.",
        ),
    ],
)
def test_sheets_of_another_shape_are_refused_with_a_way_out(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    """No header, or another delimiter: nothing else that could be said of such a file would help."""
    with pytest.raises(DataError) as caught:
        intake_of(tmp_path / name, content)
    assert str(caught.value) == f"{tmp_path}/{name}{message}"


# --- every value unharmed ---------------------------------------------------------------------------------------------

printable = st.characters(categories=["L", "N", "P", "S", "Zs"])
label_names = st.builds("x{}".format, st.text(printable, max_size=12))
texts = st.builds("{}x{}".format, st.text(), st.text())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.tuples(texts, st.lists(label_names, max_size=3)), max_size=8).map(
        lambda rows: [("the first", ["x"]), *rows]
    )
)
def test_texts_and_labels_come_in_as_they_are(tmp_path: Path, rows: list[tuple[str, list[str]]]) -> None:
    """Lists of names: each text is the same, and each label reads like the one that was written."""
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f"{json.dumps({'text': text, 'labels': labels})}\n" for text, labels in rows))
    intake = take_in(path, NOBODY)
    assert [sample.inputs["text"] for sample in intake.samples] == [text for text, _ in rows]
    for sample, (_, labels) in zip(intake.samples, rows, strict=True):
        assert {normalize(label) for label in sample.labels or ()} == {normalize(label) for label in labels}
