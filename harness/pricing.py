"""What calls cost: prices from the project's settings, else from the maintained list of genai-prices; unknown is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.prompt import LOCAL
from harness.records import Usage

Prices = Mapping[str, Mapping[str, float]]
"""By model, USD per million tokens: input and output."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens of a number of calls, and their price.

    Attributes:
        usd: In US dollars; None when the price of a model is unknown or a server counted no tokens.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


def spent(calls: Iterable[tuple[str, Usage]], prices: Prices) -> Spent:
    """Return what calls cost together, given the model and the usage of each."""
    totals: dict[str, list[int]] = {}
    counted = True
    number = 0
    for model, usage in calls:
        number += 1
        total = totals.setdefault(model, [0, 0])
        total[0] += usage.get("prompt_tokens", 0)
        total[1] += usage.get("completion_tokens", 0)
        counted = counted and ("prompt_tokens" in usage or model.startswith(LOCAL))
    parts = [_usd(model, prompt, completion, prices) for model, (prompt, completion) in totals.items()]
    known = [part for part in parts if part is not None]
    return Spent(
        number,
        sum(total[0] for total in totals.values()),
        sum(total[1] for total in totals.values()),
        sum(known) if counted and len(known) == len(parts) else None,
    )


def _usd(model: str, prompt: int, completion: int, prices: Prices) -> float | None:
    if model.startswith(LOCAL):
        return 0.0
    if model in prices:
        own = prices[model]
        return (prompt * own.get("input", 0.0) + completion * own.get("output", 0.0)) / 1e6
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    try:
        return float(calc_price(Tokens(input_tokens=prompt, output_tokens=completion), model_ref=model).total_price)
    except LookupError:
        return None
