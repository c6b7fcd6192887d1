"""What calls cost: own prices first, each call by itself, and unknown is unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.pricing import Spent, spent
from harness.records import Usage

MILLION = 1_000_000
OWN = {"mine": {"input": 1.0, "output": 4.0}}


def usage(prompt: int = 0, completion: int = 0, cached: int | None = None) -> Usage:
    """The counts of one call."""
    counts: Usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return counts if cached is None else {**counts, "cached_tokens": cached}


def test_nothing_costs_nothing() -> None:
    """No calls are no tokens and exactly 0 dollars, not an unknown price."""
    assert spent([], {}) == Spent(0, 0, 0, 0.0)


def test_own_prices_are_per_million_tokens() -> None:
    """A price from the settings is dollars per million tokens, input and output each."""
    assert spent([("mine", usage(MILLION, MILLION // 2))], OWN) == Spent(1, MILLION, MILLION // 2, 3.0)


def test_own_prices_go_before_the_list() -> None:
    """A model of the list that the settings price too costs what the settings say."""
    prices = {"gpt-4.1-mini": {"input": 100.0, "output": 0.0}}
    assert spent([("gpt-4.1-mini", usage(MILLION, 5))], prices).usd == 100.0


@pytest.mark.parametrize("side", ["input", "output"])
def test_half_a_price_is_no_price(side: str) -> None:
    """Settings that price only one side leave the cost unknown: the other side is not free."""
    assert spent([("mine", usage(10, 10))], {"mine": {side: 1.0}}).usd is None


def test_a_known_model_is_priced_from_the_list() -> None:
    """A model that the list has costs something; twice the calls cost twice as much."""
    once = spent([("gpt-4.1-mini", usage(1000, 100))], {}).usd
    twice = spent([("gpt-4.1-mini", usage(1000, 100))] * 2, {}).usd
    assert once is not None
    assert once > 0
    assert twice == pytest.approx(2 * once)


def test_an_unknown_model_has_an_unknown_price() -> None:
    """One call of unknown price makes the whole sum unknown; tokens are counted all the same."""
    calls = [("mine", usage(1, 2)), ("no-such-model", usage(10, 20))]
    assert spent(calls, OWN) == Spent(2, 11, 22, None)


@pytest.mark.parametrize("counts", [Usage(), Usage(prompt_tokens=5), Usage(completion_tokens=5)])
def test_uncounted_tokens_have_an_unknown_price(counts: Usage) -> None:
    """A server that left out a count leaves the price unknown, whatever the model's price."""
    assert spent([("mine", counts)], OWN).usd is None


def test_local_models_are_free() -> None:
    """The embedded model costs nothing, with or without counted tokens."""
    calls = [("local/smollm2-135m", Usage()), ("local/smollm2-135m", usage(7, 3))]
    assert spent(calls, {}) == Spent(2, 7, 3, 0.0)


def test_a_local_call_does_not_hide_an_unknown_price() -> None:
    """Free calls and calls of unknown price together are of unknown price, in either order."""
    calls = [("local/x", Usage()), ("no-such-model", usage(1, 1)), ("mine", usage(1, 1))]
    assert spent(calls, OWN).usd is None
    assert spent(reversed(calls), OWN).usd is None


def test_every_call_is_priced_by_itself() -> None:
    """A price that rises with the length of a prompt is not reached by many short prompts together."""
    short = spent([("gemini-2.5-pro", usage(1000, 10))], {}).usd
    assert short is not None
    assert spent([("gemini-2.5-pro", usage(1000, 10))] * 400, {}).usd == pytest.approx(400 * short)


def test_tokens_from_the_providers_cache_cost_less() -> None:
    """Prompt tokens that the provider had cached are priced as such."""
    fresh = spent([("gpt-4.1-mini", usage(1000, 10))], {}).usd
    cached = spent([("gpt-4.1-mini", usage(1000, 10, cached=800))], {}).usd
    assert fresh is not None
    assert cached is not None
    assert cached < fresh


def test_more_cached_than_sent_is_taken_as_all() -> None:
    """A server that counts cached tokens beside the prompt breaks nothing."""
    every = spent([("gpt-4.1-mini", usage(1000, 10, cached=1000))], {}).usd
    assert spent([("gpt-4.1-mini", usage(1000, 10, cached=5000))], {}).usd == every


@given(st.lists(st.tuples(st.sampled_from(["mine", "local/x"]), st.integers(0, 10**6), st.integers(0, 10**6))))
def test_the_sum_is_the_sum_of_its_calls(rows: list[tuple[str, int, int]]) -> None:
    """Calls cost together what they cost one by one, in any order."""
    calls = [(model, usage(prompt, completion)) for model, prompt, completion in rows]
    together = spent(calls, OWN)
    single = [spent([call], OWN) for call in calls]
    assert together.calls == len(calls)
    assert together.prompt_tokens == sum(each.prompt_tokens for each in single)
    assert together.completion_tokens == sum(each.completion_tokens for each in single)
    assert together.usd == pytest.approx(sum(each.usd or 0.0 for each in single))
    assert spent(reversed(calls), OWN).usd == pytest.approx(together.usd)
