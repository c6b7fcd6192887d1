"""What calls cost: prices from the project's settings, else from the maintained list of genai-prices; unknown is unknown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness.prompt import LOCAL
from harness.records import Call, Usage

Prices = Mapping[str, Mapping[str, float]]
"""By model, USD per million tokens: input and output; and what share of it a batch API takes."""


BYTES_A_TOKEN = 4
"""UTF-8 bytes that a token stands for, on average of English text; other scripts need more tokens."""

TOKENS_A_MESSAGE = 4
"""Tokens that a chat format puts around a message."""


def estimated_tokens(call: Call) -> int:
    """Return about how many tokens a call asks with: four bytes of UTF-8 a token, and a few for each message."""
    texts = [message["content"] for message in call.messages]
    texts += [json.dumps(question, ensure_ascii=False) for question in call.questions]
    return sum(len(text.encode("utf-8", "surrogatepass")) // BYTES_A_TOKEN + TOKENS_A_MESSAGE for text in texts)


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


class Kind(NamedTuple):
    """What decides about the price of one call, of which the calls of a run have few: the model, and its tokens.

    Attributes:
        cached: Tokens of the request that the server had cached.
        batch: Whether it went by a batch API.
    """

    model: str
    prompt: int | None
    completion: int | None
    cached: int
    batch: bool = False

    @classmethod
    def of(cls, model: str, usage: Usage, batch: bool = False) -> Kind:
        """Return that of a call."""
        tokens = usage.get("prompt_tokens"), usage.get("completion_tokens"), usage.get("cached_tokens", 0)
        return cls(model, *tokens, batch)


def spent(calls: Iterable[tuple[str, Usage]], prices: Prices) -> Spent:
    """Return what calls cost together, given the model and the usage of each.

    Every call is priced by itself, because some prices rise with the length of a prompt.
    """
    return spent_on(Counter(Kind.of(model, usage) for model, usage in calls), prices)


def spent_on(kinds: Mapping[Kind, int], prices: Prices) -> Spent:
    """Return what calls cost together, given how many there are of each kind."""
    usd: float | None = 0.0
    for kind, number in kinds.items():
        each = _usd(kind, prices)
        usd = None if usd is None or each is None else usd + each * number
    return Spent(
        calls=sum(kinds.values()),
        prompt_tokens=sum((kind.prompt or 0) * number for kind, number in kinds.items()),
        completion_tokens=sum((kind.completion or 0) * number for kind, number in kinds.items()),
        usd=usd,
    )


def price(model: str, usage: Usage, prices: Prices) -> float | None:
    """Return what one call costs in US dollars; None when the price of the model is unknown or no tokens were counted."""
    return _usd(Kind.of(model, usage), prices)


def _usd(kind: Kind, prices: Prices) -> float | None:
    """Return the price of one call, None when it is unknown."""
    if kind.model.startswith(LOCAL):
        return 0.0
    if kind.prompt is None or kind.completion is None:
        return None
    if kind.model in prices:
        own = prices[kind.model]
        if "input" not in own or "output" not in own or (kind.batch and "batch" not in own):
            return None
        share = own["batch"] if kind.batch else 1.0
        return share * (kind.prompt * own["input"] + kind.completion * own["output"]) / 1e6
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    cached = min(kind.cached, kind.prompt)  # servers that count it beside the prompt exist
    tokens = Tokens(input_tokens=kind.prompt, cache_read_tokens=cached, output_tokens=kind.completion)
    try:
        listed = calc_price(tokens, model_ref=kind.model)
        if not kind.batch:
            return float(listed.total_price)
        batched = calc_price(tokens, model_ref=kind.model, price_context={"processing": "batch"})
        # The list says nothing of batches of this model when its price is the same with and without.
        return None if batched.total_price == listed.total_price != 0 else float(batched.total_price)
    except LookupError:
        return None
