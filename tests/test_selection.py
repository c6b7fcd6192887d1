"""Which samples a run looks at: by expression, by id, and how many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.errors import DataError
from harness.records import Sample
from harness.selection import Selection, read_ids, select

SAMPLES = (
    Sample("a", {"text": "late", "stars": 1}, frozenset({"shipping", "price"}), {"happy_or_mad": "mad"}),
    Sample("b", {"text": "fine", "stars": 5}, frozenset(), {"happy_or_mad": "happy"}),
    Sample("c", {"text": "dear", "stars": 3}, frozenset({"price"}), {"happy_or_mad": "mad"}),
    Sample("d", {"text": "well", "stars": 4}, None),
)


def ids(**options: Any) -> str:
    """Return the ids of the samples that a selection chooses, in their order."""
    return "".join(sample.id for sample in select(SAMPLES, Selection(**options)))


def refusal(**options: Any) -> str:
    """Return the message with which a selection is refused."""
    with pytest.raises(DataError) as caught:
        select(SAMPLES, Selection(**options))
    return str(caught.value)


# --- --filter ---------------------------------------------------------------------------------------------------------


def test_nothing_set_chooses_all_in_their_order() -> None:
    """A selection that says nothing leaves the samples as they are, and is nothing to tell."""
    assert ids() == "abcd"
    assert Selection().to_json() == {}


@pytest.mark.parametrize(
    ("filter", "chosen"),
    [
        ("'shipping' in gold", "a"),
        ("'shipping' not in gold", "bcd"),
        ("gold | length == 1", "c"),
        ("gold", "ac"),
        ("gold | list == ['price', 'shipping']", "a"),
        ("id != 'd' and gold.happy_or_mad == 'mad'", "ac"),
        ("gold.happy_or_mad is defined", "abc"),
        ("gold['happy_or_mad'] is defined and gold['happy_or_mad'] == 'happy'", "b"),
        ("stars >= 4", "bd"),
        ("'a' in text", "ac"),
        ("id in ['a', 'd']", "ad"),
    ],
)
def test_a_filter_sees_inputs_id_and_gold(filter: str, chosen: str) -> None:  # noqa: A002 - the option's name
    """An expression may use the input columns, `id`, and `gold`: its labels as a set, its fields as attributes."""
    assert ids(filter=filter) == chosen


def test_a_filter_that_fails_names_the_expression_and_the_sample() -> None:
    """A syntax error, an unknown name, a field that the sample has not, and a filter that leaves nothing are told."""
    assert refusal(filter="stars >") == (
        "--filter 'stars >': must be a Jinja expression, but unexpected 'end of template'."
    )
    assert refusal(filter="star > 1") == (
        "--filter 'star > 1': sample a: 'star' is undefined. Did you mean 'stars'? Here there is: gold, id, stars, text."
    )
    assert refusal(filter="gold.mood == 'mad'") == (
        "--filter 'gold.mood == 'mad'': sample a: gold has no attribute 'mood'."
    )
    assert refusal(filter="text > 1") == (
        "--filter 'text > 1': sample a: TypeError: '>' not supported between instances of 'str' and 'int'."
    )
    assert refusal(filter="stars > 9") == "--filter 'stars > 9': must leave at least one of 4 samples, left none."


def test_a_filter_cannot_change_or_unwrap_gold() -> None:
    """What is inside `gold` is out of reach, like every other private thing."""
    assert "SecurityError" in refusal(filter="gold._labels")
    assert "SecurityError" in refusal(filter="gold.__class__")


# --- --limit ----------------------------------------------------------------------------------------------------------


@unhurried
@given(st.sets(st.text(), min_size=1, max_size=20), st.integers(1, 25), st.integers(1, 25), st.randoms())
def test_limits_are_nested_and_independent_of_the_order(names: set[str], one: int, other: int, random: Any) -> None:
    """A larger limit holds a smaller one's samples; the order of the set decides nothing; the given order is kept."""
    samples = [Sample(name, {}) for name in names]
    small, large = (select(samples, Selection(limit=limit)) for limit in sorted((one, other)))
    assert len(small) == min(len(samples), one, other)
    assert {sample.id for sample in small} <= {sample.id for sample in large}
    assert [sample for sample in samples if sample in small] == list(small)
    shuffled = select(random.sample(samples, len(samples)), Selection(limit=min(one, other)))
    assert {sample.id for sample in shuffled} == {sample.id for sample in small}


def test_a_limit_is_not_simply_the_beginning() -> None:
    """Samples are drawn over the whole set, by the hash of the id: a sorted file gives no skewed draw."""
    samples = [Sample(f"s{at:03}", {}) for at in range(400)]
    drawn = [samples.index(sample) for sample in select(samples, Selection(limit=100))]
    assert 10 <= sum(at < 100 for at in drawn) <= 40
    assert [sample.id for sample in select(samples, Selection(limit=3))] == ["s080", "s213", "s279"]


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    """A limit must leave something."""
    assert refusal(limit=limit) == f"--limit: must be at least 1, got {limit}."


def test_a_limit_draws_among_what_the_filter_left() -> None:
    """Filter first, then draw: a limit of two of two matches is both."""
    assert ids(filter="'price' in gold", limit=2) == "ac"
    assert ids(ids=("a", "b"), filter="'price' in gold", limit=9) == "a"


# --- --samples --------------------------------------------------------------------------------------------------------


def test_ids_choose_samples_in_the_order_of_the_set() -> None:
    """Chosen ids keep the order of the set, each once."""
    assert ids(ids=("c", "a", "c")) == "ac"


def test_an_unknown_id_is_told_with_the_nearest() -> None:
    """Ids that are not in the split are named, and a near one suggested."""
    samples = [Sample("alpha", {}), Sample("beta", {})]
    with pytest.raises(DataError) as caught:
        select(samples, Selection(ids=("alpa", "beta")))
    assert str(caught.value) == "--samples: alpa is not in the split. Did you mean 'alpha'?"
    assert refusal(ids=("x1", "y1")) == "--samples: x1, y1 are not in the split."
    assert refusal(ids=()) == "--samples: must name at least one sample, got none."
    assert refusal(ids=("x" * 1000,)) == f"--samples: {'x' * 60}… is not in the split."


def test_ids_are_read_from_the_command_line() -> None:
    """Ids stand between commas, with spaces or without, and as many as one likes."""
    assert read_ids("a, b,,c ") == ("a", "b", "c")
    many = [f"{number:012}" for number in range(500)]
    assert read_ids(",".join(many)) == tuple(many)


def test_ids_are_read_from_a_file(tmp_path: Path) -> None:
    """A file has one id a line, or JSONL with `id`; blank lines, a byte order mark and Windows line ends do not matter."""
    file = tmp_path / "ids.txt"
    file.write_bytes(b"\xef\xbb\xbfa\r\n\r\n b \r\n")
    assert read_ids(str(file)) == ("a", "b")
    lines = [
        json.dumps({"id": "x\u2028y", "text": "t"}, ensure_ascii=False),
        '{"id": 7}',
        "{curly",
        '{"no": 1}',
        "z\u2028",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert read_ids(str(file)) == ("x\u2028y", "7", "{curly", '{"no": 1}', "z")


def test_a_file_of_ids_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file that is not UTF-8, and one without an id, have one message each."""
    file = tmp_path / "ids.txt"
    file.write_bytes(b"a\n\xff\n")
    with pytest.raises(DataError) as caught:
        read_ids(str(file))
    assert str(caught.value) == f"{file}:2: must be UTF-8 text, got the byte 0xff. Save the file as UTF-8."
    file.write_text("\n")
    with pytest.raises(DataError) as caught:
        read_ids(str(file))
    assert str(caught.value) == f"--samples: must name at least one sample, got '{file}'. Give ids, or a file of ids."


def test_what_is_set_is_told_as_plain_values() -> None:
    """`to_json` holds what a selection says and nothing else."""
    assert Selection("stars > 1", ("a",), 3).to_json() == {"filter": "stars > 1", "ids": ("a",), "limit": 3}
    assert Selection(limit=3).to_json() == {"limit": 3}
