"""The one way in which a call is sent: in its turn, within the budget, again where that helps, and noted in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from harness.budget import Budget
from harness.clients import Client
from harness.constraining import REFUSALS
from harness.errors import shortened
from harness.halting import Halt
from harness.ordering import request_text
from harness.pacing import FIRST, Log, Pace, Rates, Tell, Ticket
from harness.pricing import estimated_tokens
from harness.records import Call, CallError, Completion
from harness.retry import AttemptFailed, RetryPolicy, with_retries

_CHANCES = 2
"""How often a form is sent to a server that refuses it."""

_THROTTLED = 429

LONG_S = 0.5
"""Seconds in line after which the answer to a call may have come in another way."""


class Sender:
    """Sends calls to the servers of a run. It belongs to one event loop.

    Args:
        clients: Who answers, by pass name.
        policy: How persistent to be.
        halt: When to send nothing more.
        concurrency: Calls under way at once at most.
        rates: Requests and tokens a minute, of each model.
        budget: What the calls may come to.
        tell: Told what a person should know.
        log: Told what happens.

    Attributes:
        waits: Called when a call waits before it is sent again: others can take its place.
    """

    def __init__(
        self,
        clients: Mapping[str, Client],
        policy: RetryPolicy,
        halt: Halt,
        *,
        concurrency: int,
        rates: Rates,
        budget: Budget,
        tell: Tell,
        log: Log,
    ) -> None:
        self.waits: Callable[[], None] = lambda: None
        self._clients, self._policy, self._halt, self._budget, self._log = clients, policy, halt, budget, log
        paces: dict[Client, Pace] = {}
        for client in clients.values():
            if client not in paces:
                most = client.concurrency or concurrency
                paces[client] = Pace(
                    min(most, concurrency),
                    rates,
                    first=most if client.concurrency else FIRST,
                    holds=client.holds,
                    patience_s=policy.total_s,
                    where=str(client.endpoint.get("base_url", "the embedded model")),
                    tell=tell,
                    log=log,
                )
        self._paces = {name: paces[client] for name, client in clients.items()}
        for pace in paces.values():
            halt.at_the_end(pace.stop)
        self._counts_tokens = budget.counts_cost or rates.tpm is not None

    async def send(
        self,
        call: Call,
        body: Mapping[str, Any],
        *,
        patient: bool = True,
        meanwhile: Callable[[], Completion | None] = lambda: None,
    ) -> Completion:
        """Return the completion of a call, one of status "error" when none came.

        Args:
            call: What is asked.
            body: The request.
            patient: False for a request whose form the server may refuse: it is not sent many times.
            meanwhile: Asked after a long wait whether the answer has come in another way: another process may have paid it.

        Raises:
            ModelError: No call will be answered any more.
            BudgetReached: The call may not be sent.
            Halted: The run is coming to its end.
        """
        clock = asyncio.get_running_loop().time
        in_line, again = 0.0, False

        async def attempt() -> Completion:
            nonlocal in_line, again
            came = clock()
            asked, ticket = await self._enter(call, body, again=again)
            again = True
            waited = clock() - came
            in_line += waited  # it has not been tried for so long, only waited for its turn
            if waited > LONG_S and (known := meanwhile()) is not None:
                self._paces[call.pass_name].left(ticket, answered=False)
                return known
            return await self._attempt(call, body, asked, ticket)

        completion = await with_retries(
            attempt if patient else _refused_once(attempt),
            self._policy,
            self._sleep,
            clock=lambda: clock() - in_line,
        )
        if completion.error is not None:
            error = {"kind": completion.error["kind"], "attempts": completion.attempts}
            self._log("call failed", {"sample": call.sample, "pass": call.pass_name, "unit": call.unit, **error})
        return completion

    async def _sleep(self, seconds: float) -> None:
        self.waits()
        await self._halt.sleep(seconds)

    async def _enter(self, call: Call, body: Mapping[str, Any], *, again: bool) -> tuple[int, Ticket]:
        """Wait for the turn of a call; return about how many tokens it asks with, where that matters, and its ticket."""
        asked = estimated_tokens(call) if self._counts_tokens else 0
        text = request_text(body) if self._clients[call.pass_name].holds else ""
        return asked, await self._paces[call.pass_name].enter(asked, text, again=again)

    async def _attempt(self, call: Call, body: Mapping[str, Any], asked: int, ticket: Ticket) -> Completion:
        """Send a call once, whose turn it is, and tell the pace what came of it."""
        name = call.pass_name
        client, pace, budget = self._clients[name], self._paces[name], self._budget
        model = str(body.get("model", ""))
        aside: float | None = None
        try:
            self._halt.check()
            aside = await budget.take(model, body, asked)
            self._halt.check()  # it may have waited
            completion = await client.send(body)
        except AttemptFailed as failure:
            self._told(call, failure)
            budget.settle(model, aside or 0.0, None)
            if failure.error["status"] == _THROTTLED:
                failure.counts = False
                wait = client.wait_s or None if failure.retry_after is None else failure.retry_after
                pace.throttled(ticket, wait, _said(failure.error))
            elif failure.again:
                failure.counts = not pace.is_down
                pace.troubled(ticket, failure.error["kind"], _said(failure.error))
            else:
                pace.left(ticket, answered=True)
            raise
        except BaseException:
            if aside is not None:
                budget.settle(model, aside, None)
            pace.left(ticket, answered=False)
            raise
        budget.settle(model, aside, completion.usage, asked)
        tokens = None
        if self._counts_tokens and "prompt_tokens" in completion.usage:
            tokens = completion.usage["prompt_tokens"] + completion.usage.get("completion_tokens", 0)
        pace.answered(ticket, tokens, client.wait_s)
        return completion

    def _told(self, call: Call, failure: AttemptFailed) -> None:
        """Note a failed attempt, without the server's words: they may repeat the text."""
        about = {"sample": call.sample, "pass": call.pass_name, "unit": call.unit}
        what = {"kind": failure.error["kind"], "status": failure.error["status"], "again": failure.again}
        self._log("attempt failed", {**about, **what, "retry_after": failure.retry_after})


def _refused_once(send: Callable[[], Awaitable[Completion]]) -> Callable[[], Awaitable[Completion]]:
    """Return the attempt with a second chance, but no third, after a status by which servers refuse a form.

    Some refuse with a 500, which is otherwise worth many attempts: a hiccup must not cost the constraint, nor a refusal
    minutes.
    """
    refusals = 0

    async def attempt() -> Completion:
        nonlocal refusals
        try:
            return await send()
        except AttemptFailed as failure:
            refusals += failure.error["status"] in REFUSALS
            failure.again = failure.again and refusals < _CHANCES
            raise

    return attempt


def _said(error: CallError) -> str:
    """Return how a server's own words begin; nothing where it said none."""
    return "" if error["status"] is None else shortened(" ".join(error["message"].split()))
