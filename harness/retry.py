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
        counts: Whether it is one of the attempts that a policy allows. Those are not which say nothing about the call: a
            429, and a failure of a server that is down for everybody.
    """

    def __init__(self, error: CallError, *, again: bool, retry_after: float | None = None) -> None:
        super().__init__(error["message"])
        self.error = error
        self.again = again
        self.retry_after = retry_after
        self.counts = True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How persistent to be.

    Attributes:
        attempts: How often a call is sent at most; 1 is never again. Attempts that do not count are bounded by time alone.
        total_s: Seconds since the first attempt, waits included, after which no further one begins but the second: a machine
            that slept during the first one has not tried for so long.
        backoff_s: The n-th wait is drawn from 0 to ``backoff_s * 2**n`` (full jitter: Brooker 2015, "Exponential Backoff
            and Jitter"), at most ``longest_s``. On a wait that the server asked for comes no more than a quarter of
            it, and ``backoff_s``: who comes back then is let in by the pace.
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
    clock: Callable[[], float] | None = None,
) -> Completion:
    """Return the completion of a call, or one of status "error" when the policy is exhausted. Never raises AttemptFailed.

    What else ``attempt`` raises passes through: a `ModelError` stops the run, it is not tried again. So does what ``sleep``
    raises, which is how a wait ends early; by default it is asyncio's.

    Args:
        attempt: Sends the call once.
        policy: How persistent to be.
        sleep: Waits.
        clock: Seconds, without those that are not to count.
    """
    clock = clock or time.monotonic
    started = clock()
    number = counted = 0
    while True:
        number += 1
        try:
            completion = await attempt()
            return completion if number == 1 else replace(completion, attempts=number)
        except AttemptFailed as failure:
            counted += failure.counts or policy.attempts == 1
            wait = _wait(policy, number, failure.retry_after)
            spent = clock() - started
            too_late = (spent if number > 1 else 0.0) + wait > policy.total_s
            if not failure.again or counted >= policy.attempts or too_late:
                return Completion(status="error", error=failure.error, attempts=number, latency_s=spent)
        await (sleep or asyncio.sleep)(wait)


def _wait(policy: RetryPolicy, number: int, retry_after: float | None) -> float:
    """Return the seconds to wait after the attempt of this number."""
    if retry_after:
        return retry_after + random.uniform(0, min(policy.backoff_s, retry_after / 4))  # noqa: S311 - jitter
    doublings = min(number, 64)  # a float ends at 2**1023
    return random.uniform(0, min(policy.longest_s, policy.backoff_s * 2**doublings))  # noqa: S311 - jitter
