"""Sample sets: how rows become samples, what is warned of, and everything that is wrong told at once."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from strategies_labels import unhurried

from harness.errors import DataError
from harness.identity import gold_hash, text_id
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import Output
from harness.prompt import MessageTemplate, Model, Pass
from harness.records import GoldField, Sample, first_right
from harness.rendering import base_context, render_call
from harness.samples import RESERVED, Columns, SampleSet, read_samples, split_labels
from harness.selection import Selection, select
from harness.shots import Shots

SPACE = LabelSpace(
    (Label("shipping", aliases=("late delivery",)), Label("price"), Label("poor, but cheap")),
    (Field("mood", "choice", ("happy", "mad")), Field("item", "text"), Field("bought", "bool")),
)
NAMES = SPACE.names


def write(folder: Path, rows: list[dict[str, Any]] | str, name: str = "a.jsonl") -> Path:
    """Write a sample file, from rows as JSONL or from its text, and return its path."""
    file = folder / name
    text = rows if isinstance(rows, str) else "\n".join(map(json.dumps, rows))
    file.write_text(text, encoding="utf-8", newline="")
    return file


def read(folder: Path, rows: list[dict[str, Any]] | str, name: str = "a.jsonl", **columns: str) -> SampleSet:
    """Return the samples of a file with these rows or this text."""
    return read_samples(write(folder, rows, name), SPACE, Columns(**columns) if columns else None)


def one(folder: Path, row: dict[str, Any]) -> Sample:
    """Return the only sample of a JSONL file with this row."""
    (sample,) = read(folder, [row])
    return sample


def gold(folder: Path, text: str, name: str = "a.csv") -> list[list[str] | None]:
    """Return the gold labels of a file with this text, sorted."""
    return [None if sample.labels is None else SPACE.ordered(sample.labels) for sample in read(folder, text, name)]


def refusal(folder: Path, rows: list[dict[str, Any]] | str, name: str = "a.jsonl", **columns: str) -> list[str]:
    """Return what is wrong with a file, line by line, without its path."""
    with pytest.raises(DataError) as caught:
        read(folder, rows, name, **columns)
    return [line.removeprefix(f"{folder / name}:").strip() for line in str(caught.value).split("\n")]


# --- rows become samples ----------------------------------------------------------------------------------------------


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    """Id, labels and fields are taken out of a row; whatever is left are its input columns."""
    row = {"id": "s1", "text": "late", "labels": ["Late-Delivery", "price"], "stars": 2, "mood": "MAD", "bought": True}
    sample = one(tmp_path, row)
    assert sample == Sample(
        "s1", {"text": "late", "stars": 2}, frozenset({"shipping", "price"}), {"mood": "mad", "bought": True}
    )


def test_samples_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """A sample set has its samples in the order of the file, and a length."""
    samples = read(tmp_path, [{"id": name, "text": "x", "labels": []} for name in "cab"])
    assert [sample.id for sample in samples] == ["c", "a", "b"]
    assert len(samples) == 3
    assert samples.warnings == ()


def test_other_input_columns_can_stand_for_the_text(tmp_path: Path) -> None:
    """A sample needs an input column, not one that is called text."""
    sample = one(tmp_path, {"title": "a", "body": "", "labels": []})
    assert sample.inputs == {"title": "a", "body": ""}
    assert sample.id == one(tmp_path, {"labels": ["price"], "body": "", "title": "a"}).id


def test_columns_can_be_named(tmp_path: Path) -> None:
    """Where a file uses other names, they can be said; the text is then an input called text."""
    rows = [{"key": 7, "review": "late", "tags": "price; shipping", "stars": 1}]
    (sample,) = read(tmp_path, rows, text="review", labels="tags", id="key")
    assert sample == Sample("7", {"text": "late", "stars": 1}, frozenset({"shipping", "price"}))


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "x" * 100_000,
        "\x1b[31mred",
        "[bold]b[/bold]",
        "👩‍👧",
        "שלום",
        "\ud800",
        "{{ 7 }}",
        " kept \n",
        "a\u2028b",
    ],
)
def test_odd_texts_pass_unharmed(tmp_path: Path, text: str) -> None:
    """NUL, long lines, ANSI, markup, emoji, right-to-left text and lone surrogates are text, and have an id."""
    sample = one(tmp_path, {"text": text, "labels": []})
    assert sample.inputs["text"] == text
    assert sample.id == text_id(text)


def test_fine_tuning_rows_are_samples(tmp_path: Path) -> None:
    """Prompt and completion, and chat messages, become text and labels."""
    messages = [{"role": "user", "content": "dear"}, {"role": "assistant", "content": "price, late delivery"}]
    rows: list[dict[str, Any]] = [
        {"prompt": "late\n\n###\n\n", "completion": " shipping END"},
        {"prompt": "fine", "completion": " none"},
        {"prompt": "?", "completion": ""},
        {"messages": messages},
    ]
    samples = read(tmp_path, rows)
    assert [(sample.inputs["text"], sample.labels) for sample in samples] == [
        ("late", {"shipping"}),
        ("fine", set()),
        ("?", None),
        ("dear", {"shipping", "price"}),
    ]


# --- gold labels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["price"], {"price"}),
        (["PRICE", "price"], {"price"}),
        ([], set()),
        (["none"], set()),
        (None, None),
        ("price|late_delivery", {"price", "shipping"}),
        ("none", set()),
        ("[]", set()),
        ("  ", None),
    ],
)
def test_labels_are_a_list_or_a_delimited_text(tmp_path: Path, labels: object, expected: set[str] | None) -> None:
    """A list or a cell of labels; null and a blank cell are unlabelled, `[]` and "none" the empty set."""
    assert one(tmp_path, {"text": "x", "labels": labels}).labels == expected


def test_a_row_without_labels_is_unlabelled(tmp_path: Path) -> None:
    """An absent `labels` is unlabelled, silently; its gold fields are not read."""
    samples = read(tmp_path, [{"text": "x", "mood": "?"}, {"text": "y", "labels": None}])
    assert [(sample.labels, sample.fields) for sample in samples] == [(None, {}), (None, {})]
    assert samples.warnings == ()


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("price", ["price"]),
        ("price, shipping", ["price", "shipping"]),
        ("price;shipping", ["price", "shipping"]),
        ("price | shipping\n", ["price", "shipping"]),
        (" ,price,, shipping; ", ["price", "shipping"]),
        ("poor, but cheap", ["poor, but cheap"]),
        ("Poor,  But_cheap", ["Poor,  But_cheap"]),
        ("price, poor, but cheap, shipping", ["price", "poor, but cheap", "shipping"]),
        ("poor, but cheap; price", ["poor, but cheap", "price"]),
        ("poor; but cheap", ["poor", "but cheap"]),
        ("nonsense, price", ["nonsense", "price"]),
        ("none", []),
        (" NONE ", []),
        ("[]", []),
        ("[ ]", []),
        ('["price", "poor, but cheap"]', ["price", "poor, but cheap"]),
        ("['price', \"it's\"]", ["price", "it's"]),
        ("[price, shipping]", ["price", "shipping"]),
        ("[1, null]", ["1", "None"]),
        ("['a'], ['b']", ["'a']", "['b'"]),
        ("[" * 10_000, ["[" * 9_999]),
        ("", None),
        (" \n", None),
        (",;|", None),
        ("[,]", None),
    ],
)
def test_a_cell_is_split_into_label_names(cell: str, names: list[str] | None) -> None:
    """Names stand between , ; | or line breaks, or in a list; a name that holds a separator is kept whole."""
    assert split_labels(cell, SPACE) == names


@unhurried
@given(st.lists(st.sampled_from(NAMES), min_size=1), st.sampled_from([",", "; ", " | ", "\n"]))
def test_joined_label_names_are_split_again(names: list[str], separator: str) -> None:
    """Whatever the separator, and though a name holds one, joining and splitting gives the names back."""
    assert split_labels(separator.join(names), SPACE) == names


@unhurried
@given(st.text() | st.text("[]'\",;|none a"))
def test_any_cell_can_be_split(cell: str) -> None:
    """No cell makes splitting fail; only explicit none is the empty set."""
    names = split_labels(cell, SPACE)
    assert names != [] or cell.strip().casefold() == "none" or cell.strip().startswith("[")


def test_a_very_long_cell_is_split_quickly() -> None:
    """Runs of spaces and of separators take time in proportion to their length."""
    begun = time.perf_counter()
    assert split_labels(" " * 200_000 + "x" + " ," * 20_000 + " " * 200_000 + "y", SPACE) == ["x", "y"]
    assert time.perf_counter() - begun < 30


def test_empty_label_cells_are_unlabelled_with_a_warning(tmp_path: Path) -> None:
    """A blank cell is not the empty set: it is unlabelled, and counted in a warning that says how to write none."""
    file = write(tmp_path, "text,labels\na,\nb,none\nc,[]\nd, \n", "a.csv")
    samples = read_samples(file, SPACE)
    assert [sample.labels for sample in samples] == [None, set(), set(), None]
    assert samples.warnings == (
        f"{file}: samples with an empty label cell: 2. They are unlabelled and not scored; "
        "write 'none' where no label applies.",
    )


# --- one column for each label ----------------------------------------------------------------------------------------


def test_label_columns_may_stand_in_any_order_and_be_aliases(tmp_path: Path) -> None:
    """0/1 columns are aligned by their names, never by position; the other columns are inputs."""
    text = 'price,text,"Poor, but cheap",stars,Late_Delivery\n1,a,0,5,0\n0,b,1,4,1\n0,c,0,3,0\n'
    assert gold(tmp_path, text) == [["price"], ["shipping", "poor, but cheap"], []]
    assert next(iter(read(tmp_path, text, "a.csv"))).inputs == {"text": "a", "stars": "5"}


@unhurried
@given(st.permutations(range(3)), st.lists(st.frozensets(st.sampled_from(NAMES)), min_size=1, max_size=4))
def test_the_order_of_label_columns_decides_nothing(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], sets: list[frozenset[str]]
) -> None:
    """Whatever the order of the columns, every sample has the labels whose cells are 1."""
    out = io.StringIO()
    names = [NAMES[at] for at in order]
    csv.writer(out).writerows([["text", *names], *(["x", *(int(name in each) for name in names)] for each in sets)])
    file = write(tmp_path_factory.mktemp("samples"), out.getvalue(), "a.csv")
    assert [sample.labels for sample in read_samples(file, SPACE)] == sets


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("TRUE", "False"), ("yes", "no"), ("x", ""), ("1.0", "0.0"), (" 1", "0 ")]
)
def test_a_flag_may_be_written_in_several_ways(tmp_path: Path, yes: str, no: str) -> None:
    """1, true, yes and x are yes; 0, false, no and a blank beside another flag are no."""
    assert gold(tmp_path, f'text,shipping,price,"poor, but cheap"\na,{yes},{no},{no}\n') == [["shipping"]]


def test_a_row_whose_flags_are_all_blank_is_unlabelled_with_a_warning(tmp_path: Path) -> None:
    """Blank flags in every label column are an empty label cell."""
    samples = read(tmp_path, 'text,shipping,price,"poor, but cheap"\na,,,\nb,0,0,0\n', "a.csv")
    assert [sample.labels for sample in samples] == [None, set()]
    assert len(samples.warnings) == 1


def test_a_headerless_file_is_read_in_label_space_order(tmp_path: Path) -> None:
    """`'this is a sample',0,1,0,1,1,0,0,1`: single quotes, no header, one column per label."""
    space = LabelSpace(tuple(Label(name) for name in "abcdefgh"))
    file = write(tmp_path, "'this is a sample',0,1,0,1,1,0,0,1\n'this, too',0,0,0,0,0,0,0,0\n", "a.csv")
    samples = read_samples(file, space).samples
    assert [(sample.inputs, sample.labels) for sample in samples] == [
        ({"text": "this is a sample"}, frozenset("bdeh")),
        ({"text": "this, too"}, frozenset()),
    ]


def test_flags_that_are_neither_yes_nor_no_are_told(tmp_path: Path) -> None:
    """A flag must be 0 or 1; each that is not is told by column and line."""
    assert refusal(tmp_path, 'text,shipping,price,"poor, but cheap"\na,2,0,0\nb,1,maybe,0\n', "a.csv") == [
        "2: column 'shipping' must be 0 or 1, got '2'.",
        "3: column 'price' must be 0 or 1, got 'maybe'.",
    ]


def test_label_columns_must_be_complete_and_single(tmp_path: Path) -> None:
    """Columns for some labels only, and two columns for one label, are told."""
    assert refusal(tmp_path, "text,shipping,late delivery\na,1,0\n", "a.csv") == [
        "2: column 'late delivery' is a second one for label 'shipping'. Remove one.",
        "2: has columns for some labels (shipping), but none for price, poor, but cheap. "
        "Add them, or rename what is no label.",
    ]


def test_parquet_has_lists_of_labels_or_flags(tmp_path: Path) -> None:
    """Parquet columns of lists, of delimited texts and of numbers or booleans are all gold labels."""
    texts = ["a", "b", "c"]
    tables: dict[str, dict[str, list[Any]]] = {
        "lists": {"text": texts, "labels": [["price"], [], None]},
        "cells": {"text": texts, "labels": ["price", "none", None]},
        "numbers": {
            "text": texts,
            "shipping": [0, 0, None],
            "price": [1.0, 0.0, None],
            "poor, but cheap": [False, False, None],
        },
    }
    for name, table in tables.items():
        parquet.write_table(pa.table(table), tmp_path / f"{name}.parquet")
        samples = read_samples(tmp_path / f"{name}.parquet", SPACE).samples
        assert [sample.labels for sample in samples] == [{"price"}, set(), None], name


# --- gold fields ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        (
            {"mood": "Happy", "item": "a Kettle ", "bought": "no"},
            {"mood": "happy", "item": "a Kettle ", "bought": False},
        ),
        ({"mood": None, "item": "", "bought": None}, {"mood": None, "item": None, "bought": None}),
        ({"bought": 1}, {"bought": True}),
        ({"item": ["iPhone 12", "iphone", "iphone"]}, {"item": ("iPhone 12", "iphone")}),
        ({"item": '["iPhone 12", "iphone"]'}, {"item": ("iPhone 12", "iphone")}),
        ({"item": "['iPhone 12', 'iphone']"}, {"item": ("iPhone 12", "iphone")}),
        ({"item": ["lamp"]}, {"item": "lamp"}),
        ({"item": []}, {"item": None}),
        ({"item": "[sic] lamp|light"}, {"item": "[sic] lamp|light"}),
        ({"item": "[1, 2]"}, {"item": "[1, 2]"}),
        ({}, {}),
    ],
)
def test_fields_are_read_by_their_type(tmp_path: Path, row: dict[str, Any], fields: dict[str, Any]) -> None:
    """A choice is one of its values, a text stays as it is, a bool may be written in words; null and blank are nothing."""
    sample = one(tmp_path, {"text": "x", "labels": [], **row})
    assert sample.fields == fields
    assert sample.inputs == {"text": "x"}


def test_alternatives_survive_every_kind_of_file(tmp_path: Path) -> None:
    """A list of texts is gold with alternatives in JSONL, in a cell of CSV, and in Parquet; it comes back from JSON."""
    wanted = ("iPhone 12", "iphone")
    (tmp_path / "a.csv").write_text('text,labels,item\nx,none,"[""iPhone 12"", ""iphone""]"\n', encoding="utf-8")
    table = {"text": ["x"], "labels": [["price"]], "item": [["iPhone 12", "iphone"]]}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    write(tmp_path, [{"text": "x", "labels": [], "item": ["iPhone 12", "iphone"]}])
    for kind in ("csv", "parquet", "jsonl"):
        (sample,) = read_samples(tmp_path / f"a.{kind}", SPACE).samples
        assert sample.fields == {"item": wanted}, kind
        assert Sample.from_json(json.loads(json.dumps(sample.to_json()))) == sample
        assert first_right(sample.fields["item"]) == "iPhone 12"


def test_a_filter_and_a_shot_take_the_first_alternative() -> None:
    """Where one value is needed, the first of several that are right is it: in filters, and in what a shot answers."""
    sample = Sample("s1", {"text": "x"}, frozenset({"price"}), {"item": ("iPhone 12", "iphone")})
    assert select([sample], Selection(filter="gold.item == 'iPhone 12'")) == (sample,)
    output = Output("containers", {}, ("item",))
    asking = Pass("main", (MessageTemplate("user", "{{ text }}"),), Model("m"), output, Shots((sample,)))
    (unit,) = asking.units(SPACE)
    messages = render_call(asking, sample, unit, SPACE, base_context(sample, SPACE, {})).messages
    assert messages[1]["content"] == "<labels>price</labels>\n<item>iPhone 12</item>"


def test_gold_without_alternatives_has_the_hash_it_had() -> None:
    """A field with one value hashes as ever; alternatives, and their order, are part of gold."""
    golds: dict[str, GoldField] = {"one": "lamp", "two": ("lamp", "light"), "back": ("light", "lamp")}
    samples = {
        name: [Sample("s1", {"text": "x"}, frozenset({"price"}), {"item": item, "bought": True})]
        for name, item in golds.items()
    }
    assert gold_hash(samples["one"]) == "7463575c8ea4e423"
    assert len({gold_hash(each) for each in samples.values()}) == 3
    stored = [Sample.from_json(each.to_json()) for each in samples["two"]]
    assert gold_hash(stored) == gold_hash(samples["two"])


def test_fields_that_do_not_fit_are_told(tmp_path: Path) -> None:
    """A wrong choice, a text that is none and a bool that is neither are told by line, with what they must be."""
    rows = [
        {"text": "x", "labels": [], **row}
        for row in ({"mood": "hapy"}, {"mood": ["mad"]}, {"item": ["a", None]}, {"item": 5}, {"bought": "maybe"})
    ]
    assert refusal(tmp_path, rows) == [
        "1: 'mood' must be one of happy, mad, got 'hapy'. Did you mean 'happy'?",
        "2: 'mood' must be a text, got [\"mad\"].",
        "3: 'item' must be a text, or a list of texts that are right, got [\"a\", null].",
        "4: 'item' must be a text, or a list of texts that are right, got 5.",
        "5: 'bought' must be true or false, got \"maybe\".",
    ]


# --- ids --------------------------------------------------------------------------------------------------------------


def test_a_missing_id_is_the_hash_of_the_text_alone(tmp_path: Path) -> None:
    """Without an id, gold, other columns and the place in the file decide nothing of it."""
    rows: list[dict[str, Any]] = [{"text": "late"}, {"text": "fine", "id": " "}, {"text": "dear", "id": None}]
    ids = {sample.inputs["text"]: sample.id for sample in read(tmp_path, rows)}
    assert ids == {text: text_id(text) for text in ("late", "fine", "dear")}
    changed = [{"text": row["text"], "labels": ["price"], "mood": "mad", "stars": 3} for row in reversed(rows)]
    assert {sample.inputs["text"]: sample.id for sample in read(tmp_path, changed)} == ids


def test_repeated_texts_are_numbered_with_a_warning(tmp_path: Path) -> None:
    """The second of a text gets -2, the third -3; the warning tells how many and where."""
    file = write(tmp_path, [{"text": text, "labels": []} for text in ("a", "b", "a", "a")])
    samples = read_samples(file, SPACE)
    assert [sample.id for sample in samples] == [text_id("a"), text_id("b"), f"{text_id('a')}-2", f"{text_id('a')}-3"]
    assert samples.warnings == (
        f"{file}: texts that repeat an earlier one: 2 (lines 3, 4). Their ids end in -2, -3, …",
    )


@unhurried
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=6))
def test_ids_are_unique_and_those_of_the_texts(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """Every sample has an id of its own, which begins with the hash of its text, in any order of the rows."""
    folder = tmp_path_factory.mktemp("samples")
    forward = read(folder, [{"text": text} for text in texts]).samples
    backward = read(folder, [{"text": text} for text in reversed(texts)]).samples
    assert len({sample.id for sample in forward}) == len(texts)
    assert all(sample.id.split("-")[0] == text_id(sample.inputs["text"]) for sample in forward)
    assert {sample.id for sample in forward} == {sample.id for sample in backward}


def test_doubled_ids_are_told(tmp_path: Path) -> None:
    """Each id that stands twice is told with both lines; numbers and texts that print alike are alike."""
    given_ids: list[Any] = ["a", 1, "b", "a", "1", [1]]
    rows: list[dict[str, Any]] = [{"id": given, "text": f"t{at}", "labels": []} for at, given in enumerate(given_ids)]
    assert refusal(tmp_path, rows) == [
        "4: id 'a' is that of line 1 too. Ids are unique.",
        "5: id '1' is that of line 2 too. Ids are unique.",
        "6: an id must be a text or a number, got [1].",
    ]


# --- refused ----------------------------------------------------------------------------------------------------------


def test_labels_that_the_label_space_lacks_are_grouped_over_lines(tmp_path: Path) -> None:
    """An unknown label is told once, with every line it stands on and the nearest label, else all labels."""
    cells = ["shiping", "price, zzz", "shiping; zzz", "shiping", "zzz|zzz"]
    assert refusal(
        tmp_path, "text,labels\n" + "".join(f'"{at}","{cell}"\n' for at, cell in enumerate(cells)), "a.csv"
    ) == [
        "2: label 'shiping' is not in the label space (also in lines 4, 5). Did you mean 'shipping'?",
        "3: label 'zzz' is not in the label space (also in lines 4, 6). It has shipping, price, poor, but cheap.",
    ]
    assert refusal(tmp_path, [{"text": "x", "labels": ["none", "price"]}]) == [
        "1: label 'none' is not in the label space. It has shipping, price, poor, but cheap."
    ]


@pytest.mark.parametrize("labels", [5, True, {"price": 1}, ["price", 1], [["price"]]])
def test_labels_of_the_wrong_kind_are_told(tmp_path: Path, labels: object) -> None:
    """Labels are a list of names, and nothing else."""
    assert refusal(tmp_path, [{"text": "x", "labels": labels}]) == [
        f"1: 'labels' must be a list of label names, got {json.dumps(labels)}."
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": ""}, "'text' must not be empty, got \"\"."),
        ({"text": " \n\u3000"}, "'text' must not be empty, got \" \\n\u3000\"."),
        ({"text": None}, "'text' must be a text, got null."),
        ({"text": 5}, "'text' must be a text, got 5."),
        ({"text": ["a"]}, "'text' must be a text, got [\"a\"]."),
        ({}, "'text' is missing, which other samples have."),
        ({"title": "a"}, "'text' is missing, which other samples have."),
    ],
)
def test_a_text_that_is_empty_or_none_is_told(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    """Every sample of a file with texts has one, and there is something in it."""
    assert refusal(tmp_path, [{"id": "a", "text": "x"}, {"id": "b", **row}]) == [f"2: {message}"]


def test_a_sample_without_any_input_is_told(tmp_path: Path) -> None:
    """A row of id and labels alone has nothing to ask about."""
    assert refusal(tmp_path, [{"id": "a", "labels": []}]) == ["1: must have a text or another input column, got none."]


@pytest.mark.parametrize("name", sorted(RESERVED - {"id", "labels"}))
def test_a_column_with_a_reserved_name_is_told(tmp_path: Path, name: str) -> None:
    """No input column may take a name that templates give a meaning to, in whatever row it first stands."""
    rows: list[dict[str, Any]] = [{"text": "a"}, {"text": "b", name: 1}, {"text": "c", name: 2}]
    assert refusal(tmp_path, rows) == [f"2: column '{name}' has a name that templates use. Rename it."]


def test_columns_that_are_named_must_be_there_and_alone(tmp_path: Path) -> None:
    """A named column that no row has is told with those that there are; so is a standard name beside its stand-in."""
    rows = [{"review": "a", "stars": 1, "labels": []}]
    assert refusal(tmp_path, rows, text="revew", labels="tags", id="key") == [
        "1: column 'labels' has a name that templates use. Rename it.",
        "1: no column 'revew'; the file has review, stars, labels.",
        "1: no column 'tags'; the file has review, stars, labels.",
        "1: no column 'key'; the file has review, stars, labels.",
    ]
    assert refusal(tmp_path, [{"review": "a", "text": "b"}], text="review") == [
        "1: column 'text' stands beside 'review'. Rename it."
    ]
    assert refusal(tmp_path, [{"text": "a", "tags": [], "labels": [], "id": 1, "key": 1}], labels="tags", id="key") == [
        "1: column 'labels' has a name that templates use. Rename it.",
        "1: column 'id' has a name that templates use. Rename it.",
    ]


@pytest.mark.parametrize(
    ("name", "text"), [("a.jsonl", ""), ("a.jsonl", "\n \n"), ("a.csv", "text,labels\n"), ("a.tsv", "")]
)
def test_a_file_without_samples_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """A sample file holds at least one sample."""
    assert refusal(tmp_path, text, name) == ["must hold at least one sample, got none."]


def test_a_file_in_which_nothing_can_be_read_tells_why(tmp_path: Path) -> None:
    """Where no row is left, the rows' own problems are told."""
    assert refusal(tmp_path, "{\n") == [
        "1: must be one JSON object a line, but Expecting property name enclosed in double quotes at column 2."
    ]


def test_all_problems_of_a_file_are_told_at_once_in_order(tmp_path: Path) -> None:
    """Lines that do not parse, wrong texts, ids, labels and fields are told together, by line."""
    text = "\n".join(
        [
            '{"id": 1, "text": "a", "labels": ["zzz"]}',
            "{",
            '{"id": 1, "text": "", "labels": 5, "gold": 1}',
            '{"id": 2, "text": "b", "labels": [], "mood": "?"}',
        ]
    )
    assert refusal(tmp_path, text) == [
        "1: label 'zzz' is not in the label space. It has shipping, price, poor, but cheap.",
        "2: must be one JSON object a line, but Expecting property name enclosed in double quotes at column 2.",
        "3: column 'gold' has a name that templates use. Rename it.",
        "3: 'text' must not be empty, got \"\".",
        "3: 'labels' must be a list of label names, got 5.",
        "3: id '1' is that of line 1 too. Ids are unique.",
        "4: 'mood' must be one of happy, mad, got '?'.",
    ]


def test_very_many_problems_are_cut(tmp_path: Path) -> None:
    """Of a file that is wrong throughout the first problems are told and the rest counted, quickly."""
    begun = time.perf_counter()
    lines = refusal(tmp_path, [{"text": f"t{at}", "labels": [f"unknown {at}" + "x" * 200]} for at in range(3000)])
    assert len(lines) == 51
    assert lines[-1] == "… and 2950 more problems."
    assert lines[0] == (
        f"1: label 'unknown 0{'x' * 51}…' is not in the label space. It has shipping, price, poor, but cheap."
    )
    assert time.perf_counter() - begun < 30


@unhurried
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "text", "labels", "mood", "bought", "shipping", "n"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | st.lists(st.text() | st.none(), max_size=2),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_rows_become_samples_or_problems(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    """Whatever JSON rows hold, they become as many samples with known labels, or a `DataError` that names the file."""
    file = write(tmp_path_factory.mktemp("samples"), rows)
    told = ""
    try:
        samples = read_samples(file, SPACE)
        assert len(samples) == len(rows) == len({sample.id for sample in samples})
        assert all(sample.labels is None or sample.labels <= set(NAMES) for sample in samples)
    except DataError as error:
        told = str(error)
    assert not told or told.startswith(f"{file}:")
