"""Stratified splits: a partition, reproducible, in which every label keeps its share."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.errors import UsageError
from harness.records import Sample
from harness.splitting import stratified_split

sample_sets = st.lists(st.none() | st.frozensets(st.sampled_from("abcd")), max_size=30).map(
    lambda sets: [Sample(f"s{at}", {"text": ""}, labels) for at, labels in enumerate(sets)]
)
share_maps = st.dictionaries(st.sampled_from(["train", "dev", "test"]), st.floats(0.01, 10), min_size=1)


def ordinary(count: int, n_labels: int, seed: int = 1) -> list[Sample]:
    """Return samples as they are in practice: two labels on average, some labels common and most rare."""
    rng = random.Random(seed)
    weights = [2 / (rank + 1) / sum(1 / (each + 1) for each in range(n_labels)) for rank in range(n_labels)]
    return [
        Sample(f"s{at}", {"text": ""}, frozenset(f"l{k}" for k, weight in enumerate(weights) if rng.random() < weight))
        for at in range(count)
    ]


@unhurried
@given(sample_sets, share_maps, st.integers(0, 99))
def test_every_sample_is_in_exactly_one_part(samples: list[Sample], shares: dict[str, float], seed: int) -> None:
    """The parts are those asked for, and together they are the samples, each once."""
    parts = stratified_split(samples, shares, seed)
    assert list(parts) == list(shares)
    assert sorted(sample.id for part in parts.values() for sample in part) == sorted(sample.id for sample in samples)


@unhurried
@given(sample_sets, share_maps, st.integers(0, 99), st.randoms())
def test_the_order_of_the_samples_decides_nothing(
    samples: list[Sample], shares: dict[str, float], seed: int, rng: random.Random
) -> None:
    """The same samples, shares and seed give the same parts in any order; within a part the given order stays."""
    shuffled = rng.sample(samples, len(samples))
    place = {sample.id: at for at, sample in enumerate(shuffled)}
    for part, members in stratified_split(shuffled, shares, seed).items():
        assert members == sorted(stratified_split(samples, shares, seed)[part], key=lambda sample: place[sample.id])


def test_another_seed_gives_other_parts() -> None:
    """The seed decides between samples that are alike."""
    samples = ordinary(100, 4)
    parts = [stratified_split(samples, {"dev": 1, "test": 1}, seed)["dev"] for seed in (1, 2)]
    assert parts[0] != parts[1]


def test_shares_are_relative_to_their_sum() -> None:
    """Shares of 3 and 1 are three quarters and one quarter."""
    samples = ordinary(200, 5)
    assert stratified_split(samples, {"dev": 3, "test": 1}, 7) == stratified_split(
        samples, {"dev": 0.75, "test": 0.25}, 7
    )


@pytest.mark.parametrize("shares", [{"dev": 0.5, "test": 0.5}, {"train": 0.8, "dev": 0.1, "test": 0.1}])
@pytest.mark.parametrize(("count", "n_labels"), [(100, 5), (300, 8), (1000, 28)])
def test_every_label_keeps_its_share(count: int, n_labels: int, shares: dict[str, float]) -> None:
    """In every part the number of samples with a label is within 2 of the wanted one, and the part's size within 5 %."""
    samples = ordinary(count, n_labels)
    support = Counter(label for sample in samples for label in sample.labels or ())
    for part, members in stratified_split(samples, shares, 3).items():
        got = Counter(label for sample in members for label in sample.labels or ())
        assert max(abs(got[label] - support[label] * shares[part]) for label in support) < 2
        assert abs(len(members) - count * shares[part]) <= 0.05 * count


def test_samples_without_a_label_are_spread_too() -> None:
    """No label and unlabelled count as one kind, of which each part gets its share."""
    samples = [Sample(f"s{at}", {"text": ""}, None if at % 2 else frozenset()) for at in range(40)]
    parts = stratified_split(samples, {"dev": 1, "test": 3}, 0)
    assert {part: len(members) for part, members in parts.items()} == {"dev": 10, "test": 30}


def test_a_large_set_is_split_in_seconds() -> None:
    """20,000 samples with 28 labels take about a second: the work grows with samples times labels, no faster."""
    samples = ordinary(20_000, 28)
    begun = time.perf_counter()
    stratified_split(samples, {"dev": 0.5, "test": 0.5}, 0)
    assert time.perf_counter() - begun < 30


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({}, "no part"),
        ({"dev": 0.0, "test": 1}, "dev=0, test=1"),
        ({"dev": -1}, "dev=-1"),
        ({"dev": float("nan")}, "dev=nan"),
    ],
)
def test_shares_that_cannot_be_are_refused(shares: dict[str, float], told: str) -> None:
    """Without a part, or with a share that is not above 0, there is no split."""
    with pytest.raises(UsageError) as caught:
        stratified_split(ordinary(3, 2), shares, 0)
    assert str(caught.value) == f"shares: every part must have a share above 0, got {told}."
