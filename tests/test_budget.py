"""Budgets stop where they say: before the call that would go beyond them, and never while calls under way leave room."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_time import simulated

from harness.budget import UNBOUNDED_ANSWER, Budget, BudgetReached
from harness.errors import EXIT_INCOMPLETE, UsageError
from harness.parsing import Output
from harness.prompt import MessageTemplate, Model, Pass, Prompt
from harness.records import Usage

PRICES = {"m": {"input": 1.0, "output": 2.0}}
"""USD per million tokens."""


def prompt(*models: str) -> Prompt:
    """Return a prompt with a pass for each model."""
    passes = [Pass(f"p{at}", (MessageTemplate("user", "x"),), Model(name), Output()) for at, name in enumerate(models)]
    return Prompt("v1", tuple(passes))


def opened(**limits: Any) -> Budget:
    """Return a budget that knows the price of ``m``."""
    budget = Budget(**limits)
    budget.open([prompt("m")], PRICES)
    return budget


def usage(prompt_tokens: int, completion_tokens: int) -> Usage:
    """Return the tokens of a call."""
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}


async def take(budget: Budget, asked: int = 0, **body: Any) -> float:
    """Take a call that is asked of ``m``."""
    return await budget.take("m", body, asked)


async def test_without_limits_everything_may_be_sent() -> None:
    """A budget without limits only counts, and needs no price."""
    budget = Budget()
    budget.open([prompt("nobody-knows-it")], {})
    for _ in range(3):
        budget.settle("m", await take(budget), usage(1, 1))
    assert (budget.calls, budget.usd, budget.counts_cost) == (3, 0.0, False)


@pytest.mark.parametrize(("most", "were"), [(1, "1 call was"), (3, "3 calls were")])
async def test_no_call_is_sent_beyond_the_number(most: int, were: str) -> None:
    """The calls that may be sent are counted when they are sent, answered or not."""
    budget = opened(max_calls=most)
    for _ in range(most):
        await take(budget)
    with pytest.raises(BudgetReached) as caught:
        await take(budget)
    assert str(caught.value) == f"--max-calls {most}: {were} sent, no more may be."
    assert caught.value.exit_code == EXIT_INCOMPLETE == 3


async def test_no_call_is_sent_that_could_cost_too_much() -> None:
    """The next call may cost what its text and the bound of its answer cost; with what is spent it must be within that."""
    budget = opened(max_cost=0.001)
    for _ in range(3):
        aside = await take(budget, 100, max_tokens=100)
        assert aside == pytest.approx(0.0003)
        budget.settle("m", aside, usage(100, 100), 100)
    with pytest.raises(BudgetReached) as caught:
        await take(budget, 100, max_tokens=100)
    assert str(caught.value) == ("--max-cost 0.001: 0.0009 USD spent by 3 calls, and the next one may cost 0.0003 USD.")


async def test_calls_that_cost_less_leave_room() -> None:
    """What was put aside counts until an answer says what it cost."""
    budget = opened(max_cost=0.001)
    for _ in range(10):
        budget.settle("m", await take(budget, 100, max_tokens=200), usage(20, 10), 100)
    assert budget.usd == pytest.approx(0.0004)


async def test_what_is_not_answered_costs_nothing() -> None:
    """A call without an answer gives back what was put aside for it."""
    budget = opened(max_cost=0.001)
    for _ in range(10):
        budget.settle("m", await take(budget, 100, max_tokens=400), None)
    assert budget.usd == 0.0


async def test_an_answer_without_usage_costs_what_was_put_aside() -> None:
    """Where the server does not tell, the most that it can have cost is counted."""
    budget = opened(max_cost=1.0)
    budget.settle("m", await take(budget, 100, max_tokens=100), {})
    assert budget.usd == pytest.approx(0.0003)


async def test_an_answer_without_a_bound_is_as_long_as_the_longest() -> None:
    """Where the prompt bounds no answer, one is expected to be as long as the longest so far; before, of a fixed length."""
    budget = opened(max_cost=1.0)
    aside = await take(budget)
    assert aside == pytest.approx(UNBOUNDED_ANSWER * 2e-6)
    budget.settle("m", aside, usage(0, 30))
    assert await take(budget) == pytest.approx(60e-6)
    assert await take(budget, 0, max_completion_tokens=7, max_tokens=9) == pytest.approx(14e-6)


async def test_estimates_of_texts_learn() -> None:
    """Where texts have more tokens than was thought, the next call is expected to have more too; never fewer."""
    budget = opened(max_cost=1.0)
    budget.settle("m", await take(budget, 100, max_tokens=0), usage(250, 0), 100)
    assert await take(budget, 100, max_tokens=0) == pytest.approx(250e-6)
    other = opened(max_cost=1.0)
    other.settle("m", await take(other, 100, max_tokens=0), usage(50, 0), 100)
    assert await take(other, 100, max_tokens=0) == pytest.approx(100e-6)


def test_who_finds_no_room_waits_for_those_under_way() -> None:
    """A call that could go beyond the limit waits for the answers under way, and goes if they leave room."""

    async def test() -> None:
        budget = opened(max_cost=0.001)
        first = [await take(budget, 0, max_tokens=100) for _ in range(5)]
        waiting = [asyncio.create_task(take(budget, 0, max_tokens=100)) for _ in range(2)]
        await asyncio.sleep(1.0)
        assert not any(task.done() for task in waiting)
        budget.settle("m", first[0], usage(0, 10))
        await asyncio.sleep(1.0)
        assert not any(task.done() for task in waiting)  # 10 and 400 and 100 tokens are still too many
        budget.settle("m", first[1], usage(0, 10))
        await asyncio.sleep(1.0)
        assert [task.done() for task in waiting] == [True, False]
        for aside in [*first[2:], waiting[0].result()]:
            budget.settle("m", aside, usage(0, 100))
        assert budget.usd == pytest.approx(0.00084)
        with pytest.raises(
            BudgetReached, match=r"0\.0008 USD spent by 6 calls, and the next one may cost 0\.0002 USD\.$"
        ):
            await waiting[1]

    simulated(test())


def test_sums_of_floats_keep_nobody_waiting() -> None:
    """When the last call under way has ended nothing is put aside, whatever the sums of floats leave over."""

    async def test() -> None:
        budget = opened(max_cost=0.31)
        asides = [await budget.take("m", {"max_tokens": tokens}, 0) for tokens in (50_000, 100_000)]
        for aside in asides:
            budget.settle("m", aside, None)
        with pytest.raises(BudgetReached):
            await budget.take("m", {"max_tokens": 200_000}, 0)

    simulated(test())


@pytest.mark.parametrize(("models", "named"), [(("m", "x", "x"), "x"), (("y", "x"), "y, x")])
def test_an_unknown_price_is_told_before_any_call(models: tuple[str, ...], named: str) -> None:
    """A limit of cost that could not be kept is refused, with what to write where."""
    with pytest.raises(UsageError) as caught:
        Budget(max_cost=1.0).open([prompt(*models)], PRICES)
    first = named.partition(",")[0]
    assert str(caught.value) == (
        f"--max-cost: must know what every call costs, but has no price of {named}. Give it in harness.toml as "
        f'[prices."{first}"] with input and output in USD per million tokens, or use --max-calls.'
    )


async def test_the_embedded_model_costs_nothing() -> None:
    """A model of this machine has a price, which is none."""
    budget = Budget(max_cost=0.01)
    budget.open([prompt("local/m")], {})
    budget.settle("local/m", await budget.take("local/m", {}, 1000), usage(1000, 1000))
    assert budget.usd == 0.0


CALL = st.tuples(st.integers(0, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1), st.sampled_from("okx"))


@settings(max_examples=60)
@given(st.floats(1e-5, 5e-3), st.one_of(st.none(), st.integers(1, 30)), st.lists(CALL, max_size=40))
def test_no_limit_is_ever_broken(
    max_cost: float, max_calls: int | None, calls: list[tuple[int, int, float, float, str]]
) -> None:
    """Where estimates hold, no more is spent than allowed and no more calls are sent, whatever comes back and when."""

    async def test() -> None:
        budget = opened(max_cost=max_cost, max_calls=max_calls)
        sent = 0

        async def call(asked: int, bound: int, share: float, seconds: float, outcome: str) -> None:
            nonlocal sent
            aside = await take(budget, asked, max_tokens=bound)
            sent += 1
            await asyncio.sleep(seconds)
            answer: Mapping[str, Usage | None] = {"o": usage(asked, round(bound * share)), "k": {}, "x": None}
            budget.settle("m", aside, answer[outcome], asked)

        done = await asyncio.gather(*(call(*each) for each in calls), return_exceptions=True)
        assert all(each is None or isinstance(each, BudgetReached) for each in done)
        assert budget.usd <= max_cost * (1 + 1e-9)
        assert budget.calls == sent <= (max_calls or len(calls))

    simulated(test())
