"""What went wrong in a run: every kind of failure, and every way to choose among them."""

from __future__ import annotations

from typing import Any

import pytest
from projects import TWO_PASSES, Folder, right_but
from scripted_server import cut, error, refuse, say

from harness.failures import KINDS, SORTS, Failure, describe, find_failures
from harness.records import FailureKind
from harness.store import StoredRun

WRONG = {"s1": "shipping, price", "s2": "none", "s3": "shipping, quality"}
"""One label too many, one missed, and one of both."""


@pytest.fixture
def run(folder: Folder) -> StoredRun:
    """Return a run with every kind of failure; s4 alone is right."""
    answers: dict[str, Any] = {**WRONG, "s5": error(500), "s6": refuse("No.")}
    return folder.run("v1", right_but(**answers)).stored


def found(run: StoredRun, **options: Any) -> list[str]:
    """Return the ids of the failures, in their order."""
    return [each.sample.id for each in find_failures(run, **options)]


def one(run: StoredRun, identity: str) -> Failure:
    """Return the failure of a sample."""
    (failure,) = (each for each in find_failures(run) if each.sample.id == identity)
    return failure


def test_every_prediction_that_is_not_exactly_right_is_a_failure(run: StoredRun) -> None:
    """Right samples are left out; the rest comes in the order of the samples."""
    assert found(run) == ["s1", "s2", "s3", "s5", "s6"]


def test_a_failure_tells_missed_and_extra_labels(run: StoredRun) -> None:
    """Gold, missed and extra labels are in label-space order, beside the raw output."""
    failure = one(run, "s3")
    assert (failure.gold, failure.missed, failure.extra) == (("quality", "price"), ("price",), ("shipping",))
    assert failure.raws == {"main": "shipping, quality"}
    assert (failure.kind, failure.n_errors) == ("wrong", 2)


def test_unanswered_cells_are_not_missed(run: StoredRun) -> None:
    """A failed prediction has no missed labels: its cells are unanswered, and those with gold are errors."""
    failure = one(run, "s6")
    assert (failure.gold, failure.missed, failure.extra) == (("shipping", "quality"), (), ())
    assert (failure.kind, failure.n_errors) == ("refusal", 2)
    assert failure.raws == {"main": "No."}
    assert one(run, "s5").raws == {"main": None}


def test_every_failure_kind_has_a_filter(folder: Folder) -> None:
    """The kinds are fp, fn, wrong, and the failure kinds of the one enumeration."""
    assert set(KINDS) == {"fp", "fn", "wrong", *FailureKind}
    run = folder.run(
        "v1",
        right_but(
            s1=error(500), s2=refuse("No."), s3=cut("qual"), s4="bananas", s5="none", s6="price, shipping, quality"
        ),
    ).stored
    assert {kind: found(run, kind=kind) for kind in KINDS} == {
        "fp": ["s6"],
        "fn": ["s5"],
        "wrong": ["s5", "s6"],
        "call_error": ["s1"],
        "refusal": ["s2"],
        "truncated": ["s3"],
        "unparseable": ["s4"],
    }
    assert {kind: one(run, found(run, kind=kind)[0]).kind for kind in FailureKind} == {
        kind: kind for kind in FailureKind
    }


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"label": "price"}, ["s1", "s3", "s5", "s6"]),
        ({"label": "shipping"}, ["s3", "s5", "s6"]),
        ({"label": "price", "kind": "fp"}, ["s1"]),
        ({"label": "price", "kind": "fn"}, ["s3"]),
        ({"label": "quality", "kind": "fp"}, []),
        ({"label": "quality", "kind": "wrong"}, ["s2"]),
        ({"label": "price", "kind": "call_error"}, ["s5"]),
        ({"kind": "fp"}, ["s1", "s3"]),
        ({"kind": "fn"}, ["s2", "s3"]),
    ],
)
def test_a_label_chooses_where_its_cell_is_wrong(run: StoredRun, options: dict[str, str], ids: list[str]) -> None:
    """With a label only its wrong or unanswered cells count; fp and fn are then about that label."""
    assert found(run, **options) == ids


def test_among_chooses_by_id(run: StoredRun) -> None:
    """Only samples with the given ids are told; no ids, no failures."""
    assert found(run, among={"s2", "s4", "s6"}) == ["s2", "s6"]
    assert found(run, among=()) == []


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("order", ["s1", "s2", "s3", "s5", "s6"]),
        ("errors", ["s3", "s6", "s1", "s2", "s5"]),
        ("length", ["s5", "s2", "s3", "s1", "s6"]),
    ],
)
def test_failures_can_be_sorted(run: StoredRun, sort: str, ids: list[str]) -> None:
    """By the order of samples, the most wrong cells, or the shortest text; ties keep the order of samples."""
    assert sort in SORTS
    assert found(run, sort=sort) == ids


def test_unlabelled_samples_are_no_failures(folder: Folder) -> None:
    """Without gold nothing is wrong."""
    run = folder.run("v1", say("price")).stored
    rows = (run.path / "predictions.jsonl").read_text().splitlines(keepends=True)
    (run.path / "predictions.jsonl").write_text(
        rows[0].replace('"gold":["shipping"]', '"gold":null') + "".join(rows[1:])
    )
    assert "s1" not in found(run)


def test_every_repeat_is_a_prediction_of_its_own(folder: Folder) -> None:
    """Repeats of a sample are told one by one."""
    run = folder.run("v1", right_but(s1="none"), repeats=2).stored
    assert [(each.sample.id, each.prediction.repeat) for each in find_failures(run)] == [("s1", 0), ("s1", 1)]


def test_raw_outputs_are_those_of_the_passes_that_asked(folder: Folder) -> None:
    """A pass that was skipped for a sample has no raw output there."""
    folder.prompt("v2", TWO_PASSES)
    run = folder.run("v2", right_but(s1="price", s2=error(500), s3="quality")).stored
    assert one(run, "s1").raws == {"first": "price"}
    assert one(run, "s3").raws == {"first": "quality", "second": "quality"}


def test_any_prediction_can_be_described(run: StoredRun) -> None:
    """`describe` tells a right prediction like a wrong one."""
    (sample,) = (each for each in run.samples if each.id == "s4")
    (prediction,) = (each for each in run.predictions if each.sample == "s4")
    failure = describe(run, sample, prediction, frozenset())
    assert (failure.missed, failure.extra, failure.raws) == ((), (), {"main": "none"})
