"""Hard stops: how many calls a command may send, and what they may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import EXIT_INCOMPLETE, HarnessError, UsageError, listing
from harness.pricing import Prices, price
from harness.prompt import Prompt
from harness.records import Usage

UNBOUNDED_ANSWER = 500
"""Tokens that an answer is expected to have when the prompt sets no bound and none has come yet."""

_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class BudgetReached(HarnessError):  # noqa: N818 - it is what was asked for
    """`--max-calls` or `--max-cost` is used up; what was answered is kept."""

    exit_code = EXIT_INCOMPLETE


class Budget:
    """What the calls of a command may come to together. It belongs to one event loop at a time.

    A call is counted before it is sent, with what it may cost at most as far as that can be told; when its answer has come,
    with what it did cost. Where calls under way leave no room, the next one waits for their answers.

    Args:
        max_calls: Requests that may be sent, those that are sent again included; None is no limit.
        max_cost: US dollars that they may cost; None is no limit.
    """

    def __init__(self, max_calls: int | None = None, max_cost: float | None = None) -> None:
        self.max_calls, self.max_cost = max_calls, max_cost
        self.calls = 0
        self.usd = 0.0
        self._prices: Prices = {}
        self._under_way = 0
        self._aside = 0.0
        self._longest: dict[str, int] = {}
        self._ratio: dict[str, float] = {}
        self._changed: asyncio.Event | None = None

    @property
    def counts_cost(self) -> bool:
        """Whether it matters what a call costs."""
        return self.max_cost is not None

    def open(self, prompts: Iterable[Prompt], prices: Prices) -> None:
        """Take the prices by which calls count; refuse a limit of cost that could not be kept.

        Args:
            prompts: What is asked.
            prices: The project's own, which go before the list.

        Raises:
            UsageError: The price of a model is not known.
        """
        self._prices = prices
        if not self.counts_cost:
            return
        models = dict.fromkeys(model.name for prompt in prompts for model in prompt.models)
        one: Usage = {"prompt_tokens": 1, "completion_tokens": 1}
        unknown = [name for name in models if price(name, one, prices) is None]
        if unknown:
            raise UsageError(
                f"--max-cost: must know what every call costs, but has no price of {listing(unknown)}. Give it "
                f'in harness.toml as [prices."{unknown[0]}"] with input and output in USD per million tokens, or use '
                "--max-calls."
            )

    async def take(self, model: str, body: Mapping[str, Any], asked_tokens: int) -> float:
        """Count a call that is about to be sent; return the US dollars that are put aside for it.

        Args:
            model: Its name.
            body: The request, for the bound that it sets to its answer.
            asked_tokens: About how many tokens it asks with.

        Raises:
            BudgetReached: It may not be sent.
        """
        aside = self._most(model, body, asked_tokens)
        while True:
            if self.max_calls is not None and self.calls >= self.max_calls:
                were = "was" if self.calls == 1 else "were"
                raise BudgetReached(f"--max-calls {self.max_calls}: {_calls(self.calls)} {were} sent, no more may be.")
            if self.max_cost is None or self.usd + self._aside + aside <= self.max_cost:
                self.calls += 1
                self._under_way += 1
                self._aside += aside
                return aside
            if not self._under_way:
                raise BudgetReached(
                    f"--max-cost {self.max_cost:g}: {self.usd:.4f} USD spent by {_calls(self.calls)}, and the next one may "
                    f"cost {aside:.4f} USD."
                )
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()

    def settle(self, model: str, aside: float, usage: Usage | None, asked_tokens: int = 0) -> None:
        """Count what a call did cost.

        Args:
            model: Its name.
            aside: What `take` put aside for it.
            usage: Its tokens; empty where the server does not tell: then it counts as what was put aside. None when no
                answer came.
            asked_tokens: As `take` was told.
        """
        self._under_way -= 1
        self._aside = max(0.0, self._aside - aside) if self._under_way else 0.0  # sums of floats do not end at 0
        if self.counts_cost and usage is not None:
            cost = price(model, usage, self._prices)
            self.usd += aside if cost is None else cost
            self._longest[model] = max(self._longest.get(model, 0), usage.get("completion_tokens", 0))
            if asked_tokens:
                ratio = usage.get("prompt_tokens", 0) / asked_tokens
                self._ratio[model] = max(self._ratio.get(model, 1.0), ratio)
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def _most(self, model: str, body: Mapping[str, Any], asked_tokens: int) -> float:
        if not self.counts_cost:
            return 0.0
        bounds = [body[name] for name in _BOUNDS if isinstance(body.get(name), int)]
        answer = min(bounds) if bounds else self._longest.get(model, UNBOUNDED_ANSWER)
        asked = round(asked_tokens * self._ratio.get(model, 1.0))
        cost = price(model, {"prompt_tokens": asked, "completion_tokens": answer}, self._prices)
        return cost or 0.0


def _calls(number: int) -> str:
    return f"{number} call{'s' * (number != 1)}"
