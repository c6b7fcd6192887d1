"""Which column of a labelled file is what: names first, then contents, and never a guess between two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.columns import AmbiguousColumnsError, Found, Wanted, find_columns
from harness.errors import UsageError
from harness.table import read_table

PROSE = ["It came a week too late.", "The lid broke on day two.", "I like the colour of it."]


def find(tmp_path: Path, columns: Mapping[str, list[Any]], wanted: Wanted | None = None) -> Found:
    """Return what is found in a JSONL file with these columns."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return find_columns(read_table(path), wanted or Wanted())


def ambiguity(tmp_path: Path, columns: Mapping[str, list[Any]], wanted: Wanted | None = None) -> AmbiguousColumnsError:
    """Return the refusal to guess."""
    with pytest.raises(AmbiguousColumnsError) as caught:
        find(tmp_path, columns, wanted)
    return caught.value


# --- the text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["text", "Review", "COMMENT", "message", "body", "content", "review_text", "sentence"])
def test_a_column_with_a_usual_name_is_the_text(tmp_path: Path, name: str) -> None:
    """Names count whatever their case and joiners, and however short the texts are."""
    assert find(tmp_path, {"n": ["1", "2"], name: ["a", "b"], "labels": ["x", "y"]}).text == name


def test_text_goes_before_all_other_names(tmp_path: Path) -> None:
    """A column called text needs no question, whatever else there is."""
    assert find(tmp_path, {"body": PROSE, "text": PROSE, "labels": ["x", "y", "x"]}).text == "text"


def test_two_columns_with_usual_names_are_asked_about(tmp_path: Path) -> None:
    """The more usual name is offered first."""
    told = ambiguity(tmp_path, {"description": PROSE, "body": PROSE, "labels": ["x", "y", "x"]})
    assert (told.option, told.question, told.choices) == ("text", "Which column is the text?", ("body", "description"))
    assert str(told) == (
        f"{tmp_path}/data.jsonl: must have one column that is clearly the text, but body, description could be it. "
        "Give --text COLUMN."
    )


def test_without_a_usual_name_the_only_prose_is_the_text(tmp_path: Path) -> None:
    """Several words a cell, hardly ever the same twice: that is prose; a constant or a number is none."""
    columns: dict[str, list[Any]] = {
        "n": [1, 2, 3],
        "shop": ["the big shop in town"] * 3,
        "said": PROSE,
        "blank": [None] * 3,
    }
    assert find(tmp_path, {**columns, "labels": ["x", "y", "x"]}).text == "said"


def test_without_prose_every_column_is_offered(tmp_path: Path) -> None:
    """A person may know better."""
    told = ambiguity(tmp_path, {"a": ["x", "y"], "b": ["u", "v"], "labels": ["x", "y"]})
    assert told.choices == ("a", "b", "labels")


def test_a_file_without_a_column_for_it_says_so(tmp_path: Path) -> None:
    """Where nothing is left there is nothing to choose from."""
    told = ambiguity(tmp_path, {"labels": ["x", "y"]}, Wanted(labels=("labels",)))
    assert str(told).endswith("clearly the text, but no column is left for it. Give --text COLUMN.")


# --- the labels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["labels", "Label", "tags", "categories", "topic", "CLASS", "themes"])
def test_a_column_with_a_usual_name_holds_the_labels(tmp_path: Path, name: str) -> None:
    """One such column is enough, whatever else there is."""
    found = find(tmp_path, {"text": PROSE, "n": ["1", "2", "3"], "seen": [0, 1, 1], name: ["x", "y", "x"]})
    assert (found.labels, found.shape, found.others) == ((name,), "cells", ("n", "seen"))


def test_a_usual_name_holds_names_also_where_they_are_0_and_1(tmp_path: Path) -> None:
    """A column `label` of zeros and ones has the labels 0 and 1."""
    assert find(tmp_path, {"text": PROSE, "label": [0, 1, 1]}).shape == "cells"


@pytest.mark.parametrize(
    "values", [["0", "1", ""], [0, 1, None], [True, False, True], ["yes", "No", "yes"], [0.0, 1.0, 1]]
)
def test_0_1_columns_are_labels_of_their_own(tmp_path: Path, values: list[Any]) -> None:
    """Several columns of nothing but zeros and ones, in any spelling, are one label each."""
    found = find(tmp_path, {"id": [1, 2, 3], "text": PROSE, "a": values, "b": [1, 0, 1], "n": [4, 5, 6]})
    assert (found.labels, found.shape, found.others) == (("a", "b"), "flags", ("n",))


def test_labels_by_name_and_0_1_columns_are_asked_about(tmp_path: Path) -> None:
    """Both could be meant: the named column, or all 0/1 columns together."""
    told = ambiguity(tmp_path, {"text": PROSE, "category": ["x", "y", "x"], "a": [1, 0, 1], "b": [0, 0, 1]})
    assert (told.option, told.choices) == ("labels", ("category", "a,b"))


def test_two_usual_names_are_asked_about(tmp_path: Path) -> None:
    """A file with tags and a category needs a choice."""
    told = ambiguity(tmp_path, {"text": PROSE, "category": ["x", "y", "x"], "tags": ["a", "b", "c"]})
    assert told.choices == ("tags", "category")
    assert str(told) == (
        f"{tmp_path}/data.jsonl: must have one column that is clearly the labels, but tags, category could be it. "
        "Give --labels COLUMN."
    )


def test_the_only_column_of_lists_holds_the_labels(tmp_path: Path) -> None:
    """Lists are labels where nothing else is one."""
    assert find(tmp_path, {"text": PROSE, "n": [1, 2, 3], "what": [["x"], [], ["y"]]}).labels == ("what",)


def test_the_only_column_left_holds_the_labels(tmp_path: Path) -> None:
    """Beside the text and the id there is one column: nothing to choose."""
    assert find(tmp_path, {"id": [1, 2, 3], "text": PROSE, "mood": ["x", "y", "x"]}).labels == ("mood",)


def test_columns_that_could_be_anything_are_asked_about(tmp_path: Path) -> None:
    """No name, no list, no 0/1 columns: every column is offered."""
    assert ambiguity(tmp_path, {"text": PROSE, "a": ["x", "y", "x"], "b": ["u", "v", "u"]}).choices == ("a", "b")


# --- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "found"), [([1, 2, 3], "ID"), ([1, 2, 2], None), ([1, None, 3], None), ([[1], [2], [3]], None)]
)
def test_a_column_called_id_is_taken_where_it_tells_all_rows_apart(
    tmp_path: Path, ids: list[Any], found: str | None
) -> None:
    """Ids that repeat or are missing are an ordinary column."""
    columns = find(tmp_path, {"ID": ids, "text": PROSE, "labels": ["x", "y", "x"]})
    assert (columns.id, columns.others) == (found, () if found else ("ID",))


# --- columns that were named ------------------------------------------------------------------------------------------


def test_named_columns_are_taken_whatever_they_look_like(tmp_path: Path) -> None:
    """What a person says goes before every name and content."""
    columns: dict[str, list[Any]] = {
        "text": PROSE,
        "labels": ["x", "y", "x"],
        "id": [1, 2, 3],
        "a": ["u", "v", "w"],
        "b": ["1", "2", "3"],
    }
    found = find(tmp_path, columns, Wanted("a", ("b",), "labels"))
    assert found == Found("a", ("b",), "cells", "labels", ("text", "id"))


def test_a_named_0_1_column_is_a_label(tmp_path: Path) -> None:
    """One column of zeros and ones that is called as a label is that label."""
    assert find(tmp_path, {"text": PROSE, "toxic": [0, 1, 0]}, Wanted(labels=("toxic",))).shape == "flags"


def test_several_label_columns_between_commas(tmp_path: Path) -> None:
    """`--labels a,b` is two columns, a column whose name holds a comma is one, and the option can stand twice."""
    columns: dict[str, list[Any]] = {"text": PROSE, "a": ["x", "y", "x"], "b": ["u", "v", "u"], "c,d": ["p", "q", "p"]}
    assert find(tmp_path, columns, Wanted(labels=("a, b", "c,d"))).labels == ("a", "b", "c,d")


@pytest.mark.parametrize(
    ("wanted", "option"),
    [(Wanted(text="tekst"), "--text 'tekst'"), (Wanted(labels=("x",)), "--labels 'x'"), (Wanted(id="nr"), "--id 'nr'")],
)
def test_a_named_column_must_be_there(tmp_path: Path, wanted: Wanted, option: str) -> None:
    """The message names the option and the columns."""
    with pytest.raises(UsageError) as caught:
        find(tmp_path, {"text": PROSE, "labels": ["x", "y", "x"]}, wanted)
    near = " Did you mean 'text'?" if wanted.text else ""
    assert str(caught.value) == f"{option}: must be a column of {tmp_path}/data.jsonl: text, labels.{near}"


def test_a_column_is_one_thing(tmp_path: Path) -> None:
    """The text cannot be the labels too."""
    with pytest.raises(UsageError, match=r"^column 'a': must be named for one thing, got it twice\. Name another\.$"):
        find(tmp_path, {"a": PROSE, "b": PROSE}, Wanted("a", ("b", "a")))


@pytest.mark.parametrize(("flags", "verb"), [("a", "a is"), ("a,c", "a, c are")])
def test_label_columns_are_of_one_shape(tmp_path: Path, flags: str, verb: str) -> None:
    """0/1 columns and columns of names do not mix."""
    columns: dict[str, list[Any]] = {"text": PROSE, "a": [1, 0, 1], "b": ["x", "y", "x"], "c": [0, 1, 1]}
    with pytest.raises(UsageError) as caught:
        find(tmp_path, columns, Wanted(labels=(f"{flags},b",)))
    assert str(caught.value) == (
        f"--labels: must be all columns of 0 and 1 or all columns of names, but {verb} 0/1 and b not. "
        "Leave out what is no label."
    )
