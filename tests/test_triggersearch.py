"""The search as a whole: it finds a rule that is there, says so when none is, and its numbers hold on other samples."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of
from trigger_cases import SPACE, failed_case, made_cases, no_rule, shipping_that_is_not_late

from harness.cases import gather
from harness.literals import Limits
from harness.template import expression
from harness.triggerjoining import joined
from harness.triggernumbers import BOUNDED, measure
from harness.triggers import Trigger
from harness.triggersearch import (
    BUDGETS,
    Search,
    Settings,
    fold_of,
    in_search_half,
    search,
)
from harness.triggerverdict import ALPHA, LEAST_SAMPLES, LEAST_WRONG

RULE = "'shipping' in predicted and 'late' not in text | words"
QUICK = Settings(budget=0.25, limits=Limits(conjunctions=100, partners=120, bases=30))


@pytest.fixture(scope="module")
def found() -> Search:
    """Return the search of a set whose errors follow the rule."""
    return search(SPACE, made_cases(400, 11, shipping_that_is_not_late), QUICK)


# --- who sees what ----------------------------------------------------------------------------------------------------


@given(st.text(max_size=5), st.integers(0, 9), st.floats(0, 1))
def test_a_sample_is_in_its_half_by_the_hash_of_its_id(name: str, seed: int, share: float) -> None:
    """The first eight bytes of SHA-256 of seed and id as a fraction of 2**64, below the share."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogatepass")).digest()
    assert in_search_half(name, seed, share) == (int.from_bytes(digest[:8], "big") / 2**64 < share)


def test_halves_and_folds_are_about_as_large_and_independent() -> None:
    """Every fold holds its share of each half; another seed divides otherwise."""
    ids = [f"s{number}" for number in range(4_000)]
    sizes = Counter((in_search_half(name, 0, 0.5), fold_of(name, 0, 5)) for name in ids)
    assert len(sizes) == 10
    assert all(320 < size < 480 for size in sizes.values())
    assert [in_search_half(name, 1, 0.5) for name in ids] != [in_search_half(name, 0, 0.5) for name in ids]


# --- a rule that is there ---------------------------------------------------------------------------------------------


def test_a_known_rule_is_ranked_first_and_worth_a_pass(found: Search) -> None:
    """The rule itself comes first, is what the budget buys, and both measurements on samples not searched confirm it."""
    assert found.ranked[0].expression == RULE
    assert found.chosen is not None
    assert found.procedure is not None
    assert RULE in found.chosen.expression
    assert found.verdict == "worth"
    assert all(reason.holds for reason in found.reasons)
    assert [reason.ground for reason in found.reasons] == [
        "few samples",
        "few errors",
        "few sent",
        "out of fold",
        "unseen",
    ]
    assert found.procedure.p <= ALPHA
    assert found.unseen_p <= ALPHA
    assert len(found.procedure.expressions) == 5


def test_the_estimated_gain_holds_on_fresh_samples(found: Search) -> None:
    """What the choice gains at most on samples that nobody has seen lies in the interval from the unseen half."""
    assert found.chosen is not None
    assert found.uncertainty is not None
    assert found.reference is not None
    fresh = gather(SPACE, made_cases(2_000, 77, shipping_that_is_not_late, prefix="fresh"))
    evaluate = expression(found.chosen.expression)
    mask = np.array([bool(evaluate(row.context)) for row in fresh.rows])
    (numbers,) = measure(fresh, np.ones(2_000, np.bool_), mask[None])
    for name in BOUNDED:
        low, high = found.uncertainty.bound[name]
        assert low <= numbers.bound[name] <= high
        assert found.reference.bound[name] < found.chosen.unseen.bound[name]
    assert found.uncertainty.precision.low <= numbers.precision <= found.uncertainty.precision.high


def test_in_sample_numbers_are_no_worse_than_those_of_the_procedure(found: Search) -> None:
    """The optimism of having chosen the best of many."""
    assert found.chosen is not None
    assert found.procedure is not None
    assert found.chosen.seen.excess >= found.procedure.numbers.excess
    assert found.procedure.numbers.n == found.n_seen
    assert found.n_seen + found.n_unseen == found.n_samples == 400


def test_the_front_trades_price_against_coverage(found: Search) -> None:
    """The cheapest first, each catches more than the one before; no single trigger beats one of them in both."""
    prices = [each.seen.price for each in found.front]
    coverages = [each.seen.coverage for each in found.front]
    assert prices == sorted(set(prices))
    assert coverages == sorted(set(coverages))
    assert len(found.front) <= QUICK.front
    for choice in found.front:
        for other in found.ranked:
            cheaper = other.seen.price <= choice.seen.price and other.seen.coverage > choice.seen.coverage + 1e-9
            assert not cheaper, (choice.expression, other.expression)


def test_the_front_has_what_small_prices_buy() -> None:
    """Within each budget stands what catches the most beyond chance there, whatever budget was asked for."""
    cases = made_cases(400, 5, shipping_that_is_not_late, noise=0.3)
    result = search(SPACE, cases, replace(QUICK, budget=0.5))
    assert result.front[0].seen.price <= BUDGETS[0]
    assert all(each.seen.excess > 0 for each in result.front)
    for budget in BUDGETS:
        within = max(each.seen.excess for each in result.front if each.seen.price <= budget)
        singles = [each.seen.excess for each in result.ranked if each.seen.price <= budget]
        assert within >= max(singles, default=0) - 1e-9


def test_the_choice_keeps_to_the_budget_and_grows_step_by_step() -> None:
    """Each part adds errors; together they send no more of the searched half than the budget allows."""
    cases = made_cases(400, 5, shipping_that_is_not_late, noise=0.1)
    cases = [failed_case(each) if at % 15 == 0 else each for at, each in enumerate(cases)]
    for budget in (0.05, 0.15, 0.4):
        result = search(SPACE, cases, replace(QUICK, budget=budget))
        assert all(step.seen.price <= budget + 1e-9 for step in result.steps)
        caught = [step.seen.errors_sent for step in result.steps]
        assert caught == sorted(set(caught))
        assert result.steps[-1:] == ((result.chosen,) if result.chosen else ())
    assert result.chosen is not None
    assert result.chosen.expression == f"(failed) or ({RULE})"


def test_triggers_are_joined_by_or() -> None:
    """One stands as it is, several in brackets."""
    one, two = (Trigger(source, (source,), ("word",)) for source in ("a and b", "c"))
    assert joined([one]) == "a and b"
    assert joined([one, two]) == "(a and b) or (c)"
    assert joined([]) == ""


# --- same in, same out ------------------------------------------------------------------------------------------------


def test_the_order_of_the_cases_changes_nothing() -> None:
    """The same samples in another order are the same search."""
    cases = made_cases(120, 3, shipping_that_is_not_late, noise=0.2)
    mixed = cases.copy()
    random.Random(1).shuffle(mixed)
    assert repr(search(SPACE, cases, QUICK)) == repr(search(SPACE, mixed, QUICK))


def test_what_is_unseen_changes_no_trigger() -> None:
    """Gold of the unseen half decides nothing but the numbers of that half: no trigger, fold or choice."""
    cases = made_cases(200, 3, shipping_that_is_not_late, noise=0.2)
    other = [
        case if in_search_half(case.sample, 0, 0.5) else replace(case, gold=frozenset({"price"})) for case in cases
    ]
    first, second = search(SPACE, cases, QUICK), search(SPACE, other, QUICK)
    assert [each.expression for each in first.ranked] == [each.expression for each in second.ranked]
    assert [(each.expression, each.seen) for each in first.front] == [
        (each.expression, each.seen) for each in second.front
    ]
    assert first.procedure == second.procedure
    assert first.unseen_p != second.unseen_p


def test_repeats_of_a_sample_stand_on_one_side() -> None:
    """With repeats samples are counted, not answers, and the rule is found all the same."""
    result = search(SPACE, made_cases(200, 11, shipping_that_is_not_late, repeats=2, noise=0.03), QUICK)
    assert (result.n_samples, result.n_repeats) == (200, 2)
    assert result.n_seen == sum(in_search_half(f"s{number}", 0, 0.5) for number in range(200))
    assert result.ranked[0].expression == RULE
    assert result.verdict == "worth"


# --- nothing is there -------------------------------------------------------------------------------------------------


def test_on_random_errors_no_trigger_is_worth_it() -> None:
    """Whatever the search finds in noise, the measurements show it as nothing; at three rates of errors."""
    verdicts = Counter(
        search(SPACE, made_cases(200, seed, no_rule, noise), QUICK).verdict
        for noise in (0.15, 0.4, 0.75)
        for seed in range(3)
    )
    assert verdicts["worth"] == 0
    assert verdicts["not worth"] >= 6


@pytest.mark.parametrize("n", [0, 1, 12])
def test_a_handful_of_samples_is_too_few_to_tell(n: int) -> None:
    """With none, one or a dozen there is no verdict, and nothing fails."""
    result = search(SPACE, made_cases(n, 1, shipping_that_is_not_late), QUICK)
    assert result.verdict == "too few to tell"
    reason = result.reasons[0]
    assert (reason.ground, reason.limit, reason.holds) == ("few samples", LEAST_SAMPLES, False)


@pytest.mark.parametrize("noise", [0.0, 0.01, 1.0])
def test_few_errors_or_few_samples_without_are_too_few_to_tell(noise: float) -> None:
    """Where nearly all are right, or all are as wrong, no trigger can stand out."""
    result = search(SPACE, made_cases(150, 1, noise=noise), QUICK)
    assert result.verdict == "too few to tell"
    reason = result.reasons[1]
    assert (reason.ground, reason.limit, reason.holds) == ("few errors", LEAST_WRONG, False)


def test_nothing_to_tell_samples_apart_by_is_not_worth_it() -> None:
    """Errors, but no column, label or length that differs: nothing is found, and nothing can be measured."""
    space = space_of("a")
    cases = [
        replace(case, inputs={}, context={**case.context, "predicted": []}, gold=frozenset("a" if at % 2 else ""))
        for at, case in enumerate(made_cases(200, 1, noise=0))
    ]
    cases = [replace(case, prediction=replace(case.prediction, labels=frozenset())) for case in cases]
    cases = [replace(case, context={**case.context, "scores": {"a": math.nan}}) for case in cases]
    result = search(space, cases, QUICK)
    assert (result.chosen, result.ranked, result.front, result.uncertainty) == (None, (), (), None)
    assert math.isnan(result.unseen_p)
    assert result.verdict == "not worth"
    assert result.reasons[-1].ground == "nothing found"
    assert result.procedure is not None
    assert result.procedure.expressions == ("",) * 5
