"""Choosing shots: draws that can be repeated, and choices in which every label comes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.records import Sample
from harness.shots import balanced, drawn

LABELS = ("a", "b", "c")


def pool(*sets: str) -> tuple[Sample, ...]:
    """Return samples with the labels that a word spells: "ab" has a and b, "" has none."""
    return tuple(Sample(f"w{number}", {"text": word}, frozenset(word)) for number, word in enumerate(sets))


def ids(samples: Sequence[Sample]) -> list[str]:
    """Return the ids, in order."""
    return [sample.id for sample in samples]


def counts(samples: Sequence[Sample], labels: Sequence[str] = LABELS) -> dict[str, int]:
    """Return how often each label and the empty set come up."""
    found = Counter(name for each in samples for name in (each.labels or frozenset()) & frozenset(labels) or {"-"})
    return {name: found[name] for name in [*labels, "-"]}


EVEN = pool(*(["a"] * 20), *(["b"] * 5), "c", "c", *([""] * 10))


def test_a_draw_depends_on_its_seed_and_the_ids_alone() -> None:
    """Neither the order of the pool nor what else is drawn matters; another seed or unit is another draw."""
    assert ids(drawn(EVEN, 6, 0)) == ids(drawn(EVEN[::-1], 6, 0))
    assert ids(drawn(EVEN, 9, 0))[:6] == ids(drawn(EVEN, 6, 0))
    assert ids(drawn(EVEN, 6, 0)) != ids(drawn(EVEN, 6, 1))
    assert ids(drawn(EVEN, 6, 0)) != ids(drawn(EVEN, 6, 0, "a"))
    assert ids(drawn(EVEN, 3, 7)) == ["w35", "w25", "w22"]


def test_a_draw_of_more_than_there_is_takes_all() -> None:
    """With a small pool there are fewer."""
    assert sorted(ids(drawn(pool("a", "b"), 6, 0))) == ["w0", "w1"]
    assert drawn((), 3, 0) == ()
    assert balanced((), LABELS, 3, 0) == ()


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (4, {"a": 1, "b": 1, "c": 1, "-": 1}),
        (8, {"a": 2, "b": 2, "c": 2, "-": 2}),
        (11, {"a": 3, "b": 3, "c": 2, "-": 3}),
        (37, {"a": 20, "b": 5, "c": 2, "-": 10}),
    ],
)
def test_every_label_and_the_empty_set_come_up_evenly(k: int, expected: dict[str, int]) -> None:
    """Where samples have one label each, the counts differ by one at most, as long as there are any left."""
    for seed in range(5):
        assert counts(balanced(EVEN, LABELS, k, seed)) == expected


def test_a_small_choice_depends_on_the_seed() -> None:
    """With fewer shots than labels the seed decides which of them come up."""
    chosen = {tuple(sorted(counts(balanced(EVEN, LABELS, 2, seed)).items())) for seed in range(30)}
    assert len(chosen) > 3


def test_samples_with_several_labels_count_for_all_of_them() -> None:
    """What a sample brings beside the wanted label counts too: the rarest company is taken."""
    chosen = balanced(pool("ab", "ab", "ac", "c", ""), LABELS, 3, 0)
    assert counts(chosen)["c"] >= 1
    assert counts(chosen)["-"] == 1


def test_one_label_is_balanced_against_its_absence() -> None:
    """For one label half of the shots have it and half do not, as far as there are such; of an odd number the seed says."""
    chosen = balanced(EVEN, ["b"], 6, 0, "b")
    assert counts(chosen, ["b"]) == {"b": 3, "-": 3}
    assert counts(balanced(EVEN, ["c"], 8, 0, "c"), ["c"]) == {"c": 2, "-": 6}
    assert {counts(balanced(EVEN, ["b"], 3, seed, "b"), ["b"])["b"] for seed in range(10)} == {1, 2}


def test_the_order_is_that_of_the_draw() -> None:
    """The choice is shuffled: no label always comes last."""
    last = {tuple(balanced(EVEN, LABELS, 4, seed)[-1].labels or ()) for seed in range(30)}
    assert len(last) == 4
    assert ids(balanced(EVEN, LABELS, 37, 3)) == ids(drawn(EVEN, 37, 3))


@unhurried
@given(st.lists(st.sets(st.sampled_from(LABELS)), max_size=12), st.integers(1, 14), st.integers(0, 5))
def test_a_choice_is_a_part_of_the_pool_whatever_its_order(sets: list[set[str]], k: int, seed: int) -> None:
    """As many as are asked for and there are, each once; with a shot for each label and the empty set all come up."""
    samples = pool(*("".join(sorted(each)) for each in sets))
    chosen = balanced(samples, LABELS, k, seed)
    assert len(set(ids(chosen))) == len(chosen) == min(k, len(samples))
    assert ids(chosen) == ids(balanced(samples[::-1], LABELS, k, seed))
    if k >= len(LABELS) + 1:
        assert all(counts(chosen)[name] for name, number in counts(samples).items() if number)
