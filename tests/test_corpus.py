"""Outputs of models, and what each of them says: real ones of the embedded model, and such as larger models write.

A row of `corpus/FORMAT.jsonl` has what the model wrote (``raw``, and ``cut`` when the tokens ran out), how it was asked
(``options``, ``fields``, and ``label`` where the format is about one), and what a person reads in it: ``labels`` (null for
a failure), the kind of ``failure``, the ``values`` of fields, what is ``off_list`` (where that is of interest), and
whether it must be ``repaired``. ``source`` is "hand", or the model and the style of the prompt.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.records import Answer, Completion, ParseFailure

CORPUS = Path(__file__).parent / "corpus"
FORMATS_READ = [name for name in FORMATS if name != "decisions"]  # whose answers are no model's writing

# As it was when the outputs were written: the corpus does not move with the data set.
SPACE = LabelSpace(
    (
        Label(
            "shipping",
            "The journey of the parcel - late, lost, sent to the wrong place, or damaged on the way",
            ("delivery", "late delivery"),
            "s",
        ),
        Label(
            "packaging",
            "The box, wrapping or padding itself - torn, too thin, wasteful, impossible to open, leaking",
            ("package", "wrapping"),
            "k",
        ),
        Label(
            "quality",
            "The product itself is badly made, faulty, wears out or does its job poorly",
            ("defect", "build quality"),
            "q",
        ),
        Label(
            "mismatch",
            "What came is not what was shown, promised or ordered - other size, colour, model, count or features",
            ("not as described", "wrong item"),
            "m",
        ),
        Label(
            "usability",
            "It works as made, but is hard to set up, understand, clean or use",
            ("hard to use", "ease of use"),
            "u",
        ),
        Label(
            "price",
            "Costs too much for what it is, hidden costs, or cheaper elsewhere or a week later",
            ("cost", "value"),
            "p",
        ),
        Label(
            "service",
            "How the people at the seller or at support behaved - no answer, rude, useless or wrong advice",
            ("customer service", "support"),
            "c",
        ),
        Label(
            "refund",
            "Money back, return or exchange - wanted, refused, slow or costly",
            ("return", "money back"),
            "r",
        ),
    ),
    (Field("happy_or_mad", "choice", ("happy", "mad", "mixed")), Field("purchased_item", "text")),
)


def rows() -> list[tuple[str, dict[str, Any]]]:
    """Return every row with where it stands."""
    return [
        (f"{path.name}:{number}", json.loads(line))
        for path in sorted(CORPUS.glob("*.jsonl"))
        for number, line in enumerate(path.read_text("utf-8").removesuffix("\n").split("\n"), start=1)
    ]


ROWS = rows()


@pytest.mark.parametrize("row", [pytest.param(row, id=where) for where, row in ROWS])
def test_an_output_is_read_as_what_it_says(row: Mapping[str, Any]) -> None:
    """The parser reads in a model's output what a person reads in it, and calls what it cannot use by the right name."""
    space = SPACE.only([row["label"]]) if "label" in row else SPACE
    output = Output(row["format"], row.get("options", {}), tuple(row.get("fields", ())))
    result = read(Completion("ok", row["raw"], "length" if row.get("cut") else "stop"), space, output)
    if "off_list" in row:
        assert list(result.off_list) == row["off_list"]
    if row["labels"] is None:
        assert isinstance(result, ParseFailure), f"it was read as {result}"
        assert result.kind == row["failure"]
        return
    assert isinstance(result, Answer), f"no answer: {result}"
    assert (space.ordered(result.labels), result.repaired) == (space.ordered(row["labels"]), row.get("repaired", False))
    if "values" in row:
        assert result.fields == row["values"]


def test_the_corpus_is_large_and_real() -> None:
    """There are 300 outputs at least, 100 of them of a real model, and 25 of every format; each says how it was asked."""
    assert len(ROWS) >= 300
    assert sum(row["source"] != "hand" for _, row in ROWS) >= 100
    count = Counter(row["format"] for _, row in ROWS)
    assert set(count) == set(FORMATS_READ)
    assert min(count.values()) >= 25
    assert all(where.startswith(f"{row['format']}.jsonl:") for where, row in ROWS)


def test_every_output_is_asked_for_as_check_allows() -> None:
    """No row has options that `harness check` would refuse, nor a label that is none."""
    for where, row in ROWS:
        output = Output(row["format"], row.get("options", {}), tuple(row.get("fields", ())))
        assert not FORMATS[row["format"]].check(output, SPACE), where
        assert set(row["labels"] or ()) <= set(SPACE.names), where
        assert (row["labels"] is None) == ("failure" in row), where
