"""Triggers joined by ``or``: what is natural together is found together, and chance adds nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried
from trigger_cases import SPACE, made_cases

from harness.cases import Cases, gather
from harness.literals import Limits, signals_of
from harness.triggerjoining import CHANCE, combine, is_evident
from harness.triggers import Caught, candidates


def two_labels(n: int, seed: int, base: float = 0.1) -> Cases:
    """Return cases in which two labels are wrong in eight of ten samples that they are said of, others now and then."""
    rng = np.random.default_rng(seed)
    cases = []
    for case in made_cases(n, seed, noise=0.0):
        gold = {name for name in case.prediction.labels if name not in ("shipping", "quality") or rng.random() > 0.8}
        cases.append(replace(case, gold=frozenset(gold ^ ({"refund"} if rng.random() < base else set()))))
    return gather(SPACE, cases)


def test_two_labels_are_joined_where_the_budget_allows() -> None:
    """Each part adds what chance would not; with a budget for one of them there is one."""
    cases = two_labels(300, 4)
    every = np.ones(300, np.bool_)
    found = candidates(signals_of(cases), every, Limits(price=0.6))
    both = combine(cases, every, found, 0.6, 3)
    assert {each.source for each in both.parts} == {"'shipping' in predicted", "'quality' in predicted"}
    assert both.masks.shape == (2, 300)
    assert (both.masks[0] <= both.masks[1]).all()
    (one,) = combine(cases, every, found, 0.3, 3).parts
    assert one in both.parts


def test_nothing_is_joined_without_triggers() -> None:
    """Without a trigger the combination is empty, and so are its masks."""
    cases = two_labels(20, 1)
    none = candidates(signals_of(cases), np.zeros(20, np.bool_), Limits())
    joint = combine(cases, np.zeros(20, np.bool_), none, 0.5, 3)
    assert joint.parts == ()
    assert joint.masks.shape == (0, 20)


@pytest.mark.parametrize("rate", [0.03, 0.3, 0.8])
def test_random_sets_are_hardly_ever_evident(rate: float) -> None:
    """Of random sets of cases, one of which is looked at, fewer than 5 in 100 hold evidently more, at any rate of errors."""
    rng = np.random.default_rng(1)
    errors = np.where(rng.random(150) < rate, rng.integers(1, 3, 150), 0).astype(np.float64)
    sets = np.array([rng.permutation(150) < 40 for _ in range(2_000)])
    caught = Caught(sets.sum(axis=1).astype(np.float64), sets @ errors)
    assert is_evident(caught, errors, np.ones(2_000)).mean() <= CHANCE
    assert not is_evident(caught, errors, np.full(2_000, 1e12)).any()


@unhurried
@given(st.integers(1, 60), st.integers(1, 400))
def test_evidence_falls_with_the_number_that_was_looked_at(caught: int, many: int) -> None:
    """What is evident among many is evident among few, and what catches more is evident where less is."""
    errors = (np.arange(100) < 60).astype(np.float64)
    found = Caught(np.full(2, 60.0), np.array([caught, min(caught + 5, 60)], np.float64))
    among = [is_evident(found, errors, np.full(2, float(n))) for n in (1, many)]
    assert (among[1] <= among[0]).all()
    assert all(each[0] <= each[1] for each in among)


def test_nothing_is_evident_where_all_are_alike() -> None:
    """Where every case has as many errors no set has more; nor where nothing, or everything, is sent."""
    found = Caught(np.array([0.0, 5.0, 10.0]), np.array([0.0, 5.0, 10.0]))
    assert not is_evident(found, np.ones(10, np.float64), np.ones(3)).any()
    assert not is_evident(found, np.zeros(0, np.float64), np.ones(3)).any()
    mixed = Caught(np.array([0.0, 10.0]), np.array([0.0, 5.0]))
    assert not is_evident(mixed, np.array([1.0, 0.0] * 5), np.ones(2)).any()
