"""Hashes: what they depend on, and what they do not."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.identity import CallKeys, call_key, canonical, digest, gold_hash, inputs_hash, space_hash, text_id
from harness.labelspace import Field, Label, LabelSpace
from harness.records import Sample

SAMPLES = (
    Sample("a", {"text": "late", "stars": 1}, frozenset({"x", "y"}), {"mood": "mad"}),
    Sample("b", {"text": "fine"}, frozenset(), {}),
    Sample("c", {"text": "well"}, None),
)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
any_text = st.text(st.characters(codec=None, exclude_categories=()))
"""Lone surrogates too."""

samples = st.lists(
    st.builds(
        Sample,
        st.text(),
        st.dictionaries(st.text(), plain_values, max_size=3),
        st.none() | st.frozensets(st.text(), max_size=3),
        st.dictionaries(st.text(), st.none() | st.booleans() | st.text(), max_size=2),
    ),
    max_size=4,
    unique_by=lambda sample: sample.id,
)


def first(**changes: Any) -> tuple[Sample, ...]:
    """Return the samples with a change in the first."""
    return (replace(SAMPLES[0], **changes), *SAMPLES[1:])


@unhurried
@given(samples, st.randoms())
def test_data_hashes_do_not_depend_on_the_order_of_the_samples(rows: list[Sample], random: Any) -> None:
    """The same samples in another order have the same hashes, whatever they hold (lone surrogates too)."""
    shuffled = random.sample(rows, len(rows))
    assert inputs_hash(shuffled) == inputs_hash(rows)
    assert gold_hash(shuffled) == gold_hash(rows)


@unhurried
@given(st.dictionaries(st.text(), plain_values, max_size=5))
def test_the_order_of_keys_changes_no_hash(value: dict[str, Any]) -> None:
    """Two mappings with the same content are the same, in whatever order they were filled."""
    assert digest(dict(reversed(value.items()))) == digest(value)


@pytest.mark.parametrize(
    "changed",
    [
        first(id="z"),
        first(inputs={"text": "late", "stars": 2}),
        first(inputs={"text": "late", "stars": "1"}),
        first(inputs={"text": "late"}),
        first(inputs={"text": "Late", "stars": 1}),
        first(inputs={"body": "late", "stars": 1}),
        SAMPLES[1:],
    ],
)
def test_any_change_of_ids_or_inputs_changes_the_inputs_hash(changed: tuple[Sample, ...]) -> None:
    """An id, a column's name, value or type, and the number of samples are part of the inputs hash."""
    assert inputs_hash(changed) != inputs_hash(SAMPLES)


@pytest.mark.parametrize(
    "changed",
    [
        first(id="z"),
        first(labels=frozenset({"x"})),
        first(labels=frozenset()),
        first(labels=None),
        first(fields={"mood": "happy"}),
        first(fields={"mood": None}),
        first(fields={}),
        SAMPLES[:2],
    ],
)
def test_any_change_of_gold_changes_the_gold_hash(changed: tuple[Sample, ...]) -> None:
    """An id, a label, a field, and whether a sample is labelled at all are part of the gold hash."""
    assert gold_hash(changed) != gold_hash(SAMPLES)


def test_inputs_and_gold_are_hashed_apart() -> None:
    """A corrected gold label leaves the inputs hash, a changed text leaves the gold hash."""
    assert inputs_hash(first(labels=None, fields={})) == inputs_hash(SAMPLES)
    assert gold_hash(first(inputs={"text": "other"})) == gold_hash(SAMPLES)


@pytest.mark.parametrize(
    "changed",
    [
        LabelSpace((Label("y"), Label("x"))),
        LabelSpace((Label("x"),)),
        LabelSpace((Label("x", "what"), Label("y"))),
        LabelSpace((Label("x", aliases=("z",)), Label("y"))),
        LabelSpace((Label("x", code="q"), Label("y"))),
        LabelSpace((Label("x", group="g"), Label("y"))),
        LabelSpace((Label("x"), Label("y")), (Field("f", "bool"),)),
    ],
)
def test_any_change_of_the_label_space_changes_its_hash(changed: LabelSpace) -> None:
    """The order of the labels, everything said of one, and the fields are part of the label space's hash."""
    assert space_hash(changed) != space_hash(LabelSpace((Label("x"), Label("y"))))


def test_the_rules_of_a_label_space_are_not_in_its_hash() -> None:
    """`exclusive` and `implies` change nothing that is asked, so a rule that is added makes no other label space."""
    plain = LabelSpace((Label("x"), Label("y")))
    assert space_hash(replace(plain, exclusive=(("x", "y"),), implies=(("x", "y"),))) == space_hash(plain)


CALL: dict[str, Any] = {
    "endpoint": {"base_url": "http://localhost/v1", "api": "chat"},
    "body": {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"a": 1}},
    },
    "repeat": 0,
}
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "base URL": lambda call: call["endpoint"].update(base_url="http://localhost/v2"),
    "API": lambda call: call["endpoint"].update(api="responses"),
    "engine": lambda call: call["endpoint"].update(slots=2),
    "model": lambda call: call["body"].update(model="n"),
    "content": lambda call: call["body"]["messages"][0].update(content="hello "),
    "role": lambda call: call["body"]["messages"][0].update(role="system"),
    "number of messages": lambda call: call["body"]["messages"].append({"role": "user", "content": ""}),
    "params": lambda call: call["body"].update(temperature=0.5),
    "schema": lambda call: call["body"]["response_format"]["json_schema"].update(a=2),
    "repeat": lambda call: call.update(repeat=1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_part_of_a_call_is_part_of_its_key(change: Callable[[dict[str, Any]], object]) -> None:
    """Whatever can change the answer changes the key."""
    changed = copy.deepcopy(CALL)
    change(changed)
    assert call_key(**changed) != call_key(**CALL)
    assert call_key(**copy.deepcopy(CALL)) == call_key(**CALL)


def test_the_order_of_the_messages_is_part_of_the_key() -> None:
    """The same messages in another order are another call."""
    one, other = copy.deepcopy(CALL), copy.deepcopy(CALL)
    one["body"]["messages"].append({"role": "user", "content": "again"})
    other["body"]["messages"].insert(0, {"role": "user", "content": "again"})
    assert call_key(**one) != call_key(**other)


@unhurried
@given(st.lists(st.dictionaries(st.text(), plain_values | st.floats(), max_size=4), min_size=1, max_size=4), st.data())
def test_keys_of_many_calls_are_those_of_each(bodies: list[dict[str, Any]], data: st.DataObject) -> None:
    """`CallKeys` gives every call the hash of its whole canonical JSON, whatever parts it shares with the one before."""
    keys = CallKeys(CALL["endpoint"])
    for body in bodies:
        shared = data.draw(st.sampled_from(bodies))
        both = {**shared, **body}
        assert keys.of(both, 2) == digest({"endpoint": CALL["endpoint"], "body": both, "repeat": 2}, 40)


@unhurried
@given(st.one_of(st.dictionaries(st.text(), any_text), st.lists(st.dictionaries(st.text(), any_text))))
def test_canonical_is_what_json_writes(value: object) -> None:
    """Objects of texts are written as `json` writes them, lone surrogates and control characters included."""
    assert canonical(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_keys_and_ids_stay_what_they_are() -> None:
    """Caches and runs on disk hold them: these exact values must never change between versions of the program."""
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'
    assert text_id("late") == hashlib.sha256(b"late").hexdigest()[:12] == "089001a35679"
    assert digest([]) == hashlib.sha256(b"[]").hexdigest()[:16]
    assert len(call_key(**CALL)) == 40
    assert call_key(**CALL) == digest(CALL, 40)


@unhurried
@given(st.text(), st.text())
def test_texts_have_the_same_id_only_when_they_are_the_same(one: str, other: str) -> None:
    """The id of a text depends on every character of it, lone surrogates included."""
    assert (text_id(one) == text_id(other)) == (one == other)
