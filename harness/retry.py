"""The one place that sends a call again: bounded in attempts and in time, with full jitter, a server's wish first."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from harness.records import CallError, Completion


class AttemptFailed(Exception):  # noqa: N818 - it is caught by its meaning, not as an error
    """One attempt of a call brought no completion.

    Attributes:
        again: Whether sending it again can help (429, 5xx, time-out, broken connection or body).
        retry_after: Seconds that the server asked to wait, None when it did not.
    """

    def __init__(self, error: CallError, *, again: bool, retry_after: float | None = None) -> None:
        super().__init__(error["message"])
        self.error = error
        self.again = again
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How persistent to be.

    Attributes:
        attempts: How often a call is sent at most.
        total_s: Seconds since the first attempt, waits included, after which no further one begins.
        backoff_s: The n-th wait is drawn from 0 to ``backoff_s * 2**n`` (full jitter: Brooker 2015, "Exponential Backoff
            and Jitter"), at most ``longest_s``.
        longest_s: Longest wait of our own; a server's Retry-After may be longer.
    """

    attempts: int = 6
    total_s: float = 300.0
    backoff_s: float = 0.5
    longest_s: float = 30.0


async def with_retries(
    attempt: Callable[[], Awaitable[Completion]],
    policy: RetryPolicy,
    sleep: Callable[[float], Awaitable[None]] | None = None,
) -> Completion:
    """Return the completion of a call, or one of status "error" when the policy is exhausted. Never raises AttemptFailed.

    What else ``attempt`` raises passes through: a `ModelError` stops the run, it is not tried again. So does what ``sleep``
    raises, which is how a wait ends early; by default it is asyncio's.
    """
    started = time.monotonic()
    number = 0
    while True:
        number += 1
        try:
            completion = await attempt()
            return completion if number == 1 else replace(completion, attempts=number)
        except AttemptFailed as failure:
            wait = random.uniform(0, min(policy.longest_s, policy.backoff_s * 2**number))  # noqa: S311 - jitter
            if failure.retry_after is not None:
                wait += failure.retry_after
            spent = time.monotonic() - started
            if not failure.again or number >= policy.attempts or spent + wait > policy.total_s:
                return Completion(status="error", error=failure.error, attempts=number, latency_s=spent)
        await (sleep or asyncio.sleep)(wait)
