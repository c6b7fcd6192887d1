"""Worked examples of an exception pass: which samples tell labels apart, and never one that is evaluated."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from harness.draftshots import contrastive, shots_text, usable
from harness.records import Sample


def sample(name: str, *labels: str, text: str | None = None) -> Sample:
    """Return a labelled sample."""
    return Sample(name, {"text": text or f"text of {name}"}, frozenset(labels))


POOL = (
    sample("1", "a"),
    sample("2", "b"),
    sample("3", "a", "b"),
    sample("4"),
    sample("5", "c"),
    sample("6", "a", "c"),
)


def ids(samples: Sequence[Sample]) -> set[str]:
    """Return the ids of samples."""
    return {each.id for each in samples}


def test_nothing_evaluated_is_usable() -> None:
    """A sample whose text stands in a split is none, whatever its id; nor is one without labels, or one that came before."""
    pools = [
        (sample("1", text="Late  AGAIN"), sample("2"), Sample("3", {"text": "x"})),
        (sample("2", text="other"), sample("4", text="text of 2"), sample("5")),
    ]
    assert [each.id for each in usable(pools, [sample("e", text="late again")])] == ["2", "5"]


def test_pairs_come_first() -> None:
    """With room for two there is one of each label of the pair, without the other one."""
    found = contrastive(POOL, ["a", "b"], [("a", "b")], 2, 0)
    assert "2" in ids(found)
    assert ids(found) < {"1", "2", "6"}


def test_then_labels_and_none() -> None:
    """With more room each label in question has a sample, and one has none of them."""
    found = contrastive(POOL, ["a", "b"], [("a", "b")], 5, 0)
    assert ids(found) & {"4", "5"}
    assert len(found) == 5


def test_a_pool_without_the_labels_gives_nothing() -> None:
    """Examples of other labels tell these apart from nothing."""
    assert contrastive(POOL, ["z"], [], 5, 0) == ()
    assert contrastive([], ["a"], [("a", "b")], 5, 0) == ()


@given(st.permutations(POOL), st.integers(0, 8), st.integers(0, 3))
def test_the_draw_goes_by_id(pool: list[Sample], k: int, seed: int) -> None:
    """The order of the pool does not matter, no sample comes twice, and there are as many as wanted or as there are."""
    found = contrastive(pool, ["a", "b"], [("a", "b")], k, seed)
    assert found == contrastive(POOL, ["a", "b"], [("a", "b")], k, seed)
    assert len(ids(found)) == len(found) == min(k, len(POOL))


def test_they_are_written_as_a_sample_file() -> None:
    """A row a sample: id, input columns, labels in their order, gold fields; half a character is escaped."""
    shot = Sample("1", {"text": "\ud800 é", "n": 1}, frozenset({"b", "a"}), {"mood": ("mad", "sad")})
    text = shots_text([shot, sample("2")], ["b", "a"])
    assert text.splitlines()[1] == '{"id": "2", "text": "text of 2", "labels": []}'
    row = json.loads(text.splitlines()[0])
    assert row == {"id": "1", "text": "\ud800 é", "n": 1, "labels": ["b", "a"], "mood": ["mad", "sad"]}
    assert text.endswith("\n")
    text.encode()
