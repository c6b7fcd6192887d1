"""Retrying is bounded, waits as the server wishes, and turns only an attempt's failure into a completion."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from harness.errors import ModelError
from harness.records import CallError, Completion
from harness.retry import AttemptFailed, RetryPolicy, with_retries


@dataclass
class Clock:
    """Time that passes only in waits, and in attempts that say how long they take."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    jitter_bounds: list[tuple[float, float]] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        """Wait in no time."""
        self.waits.append(seconds)
        self.now += seconds

    def longest(self, low: float, high: float) -> float:
        """Draw the longest wait."""
        self.jitter_bounds.append((low, high))
        return high


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock in place of the real one, and jitter that always draws the longest wait."""
    clock = Clock()
    monkeypatch.setattr(asyncio, "sleep", clock.sleep)
    monkeypatch.setattr(random, "uniform", clock.longest)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def failed(*, again: bool = True, retry_after: float | None = None, message: str = "busy") -> AttemptFailed:
    """One attempt's failure."""
    error = CallError(kind="http_429", message=message, status=429)
    return AttemptFailed(error, again=again, retry_after=retry_after)


def attempts(
    *outcomes: Exception | Completion, clock: Clock | None = None, take: float = 0.0
) -> Callable[[], Awaitable[Completion]]:
    """An attempt that ends in one outcome after the other, and takes so many seconds each time."""
    rest = iter(outcomes)

    async def attempt() -> Completion:
        if clock is not None:
            clock.now += take
        outcome = next(rest)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt


ANSWER = Completion("ok", raw="shipping", latency_s=0.25)


async def test_first_answer_is_returned_without_a_wait(clock: Clock) -> None:
    """An attempt that succeeds is the only one, and its own values are kept."""
    assert await with_retries(attempts(ANSWER), RetryPolicy()) == ANSWER
    assert clock.waits == []


async def test_answer_after_failures_counts_its_attempts(clock: Clock) -> None:
    """A failure that can pass is followed by another attempt, and the completion says how many there were."""
    completion = await with_retries(attempts(failed(), failed(), ANSWER), RetryPolicy())
    assert (completion.status, completion.raw, completion.attempts) == ("ok", "shipping", 3)
    assert len(clock.waits) == 2


async def test_waits_double_up_to_the_longest(clock: Clock) -> None:
    """The n-th wait is drawn between 0 and backoff * 2^n, never above the longest."""
    policy = RetryPolicy(attempts=6, backoff_s=0.5, longest_s=6.0)
    await with_retries(attempts(*[failed()] * 6), policy)
    assert clock.jitter_bounds[:5] == [(0, 1.0), (0, 2.0), (0, 4.0), (0, 6.0), (0, 6.0)]
    assert clock.waits == [1.0, 2.0, 4.0, 6.0, 6.0]


async def test_retry_after_is_waited_for_at_least(clock: Clock) -> None:
    """A server's Retry-After is the least wait, also above the longest of our own; a little jitter comes on top of it."""
    policy = RetryPolicy(backoff_s=0.5, longest_s=6.0)
    await with_retries(attempts(failed(retry_after=40.0), failed(retry_after=0.8), ANSWER), policy)
    assert clock.waits == [40.0 + 0.5, 0.8 + 0.2]


async def test_a_retry_after_of_nothing_is_none(clock: Clock) -> None:
    """Who is told to come back at once waits as long as without that, or a server in trouble would be flooded."""
    await with_retries(attempts(failed(retry_after=0.0), failed(retry_after=0.0), ANSWER), RetryPolicy(backoff_s=0.5))
    assert clock.waits == [1.0, 2.0]


def uncounted() -> AttemptFailed:
    """A failure that says nothing about the call."""
    failure = failed()
    failure.counts = False
    return failure


async def test_what_says_nothing_about_a_call_is_bounded_by_time_alone(clock: Clock) -> None:
    """Attempts that do not count use up none of those that a policy allows, and are told with the others."""
    policy = RetryPolicy(attempts=2, longest_s=1.0)
    completion = await with_retries(attempts(*[uncounted() for _ in range(50)], failed(), ANSWER), policy)
    assert (completion.raw, completion.attempts) == ("shipping", 52)
    lasting = await with_retries(attempts(*[uncounted() for _ in range(500)], clock=clock), policy)
    assert (lasting.status, lasting.attempts) == ("error", 301)


async def test_one_attempt_is_one_whatever_it_says(clock: Clock) -> None:
    """A policy of one attempt never sends again, though the attempt did not count."""
    assert (await with_retries(attempts(uncounted()), RetryPolicy(attempts=1))).attempts == 1


async def test_many_waits_are_bounded(clock: Clock) -> None:
    """However often a call was sent, the next wait is a number."""
    policy = RetryPolicy(attempts=5000, total_s=1e9)
    assert (await with_retries(attempts(*[failed()] * 5000), policy)).attempts == 5000


async def test_a_machine_that_slept_tries_again(clock: Clock) -> None:
    """An attempt in which hours passed is followed by a second one, and by no third."""
    hours = attempts(failed(), failed(), ANSWER, clock=clock, take=7200.0)
    assert (await with_retries(hours, RetryPolicy())).attempts == 2


async def test_time_that_does_not_count_is_left_out(clock: Clock) -> None:
    """The total time is that of the clock which is handed in."""
    completion = await with_retries(
        attempts(*[failed()] * 8, ANSWER, clock=clock, take=1000.0), RetryPolicy(attempts=9), clock=lambda: 0.0
    )
    assert completion.attempts == 9


async def test_attempts_are_bounded(clock: Clock) -> None:
    """After the last attempt the failure becomes a completion of status error, without a further wait."""
    last = failed(message="still busy")
    completion = await with_retries(attempts(failed(), failed(), last, ANSWER), RetryPolicy(attempts=3))
    assert (completion.status, completion.raw, completion.attempts) == ("error", None, 3)
    assert completion.error == last.error
    assert len(clock.waits) == 2


async def test_one_attempt_means_no_retry(clock: Clock) -> None:
    """A policy of one attempt never waits."""
    completion = await with_retries(attempts(failed()), RetryPolicy(attempts=1))
    assert (completion.status, completion.attempts, clock.waits) == ("error", 1, [])


async def test_no_attempt_begins_after_the_total_time(clock: Clock) -> None:
    """When the wait would end after the total time, the call ends at once, and says how long it took."""
    policy = RetryPolicy(attempts=100, total_s=10.0, backoff_s=0.5, longest_s=4.0)
    completion = await with_retries(attempts(*[failed()] * 100, clock=clock, take=1.0), policy)
    # attempt 1 s, wait 1, attempt 1, wait 2, attempt 1: a wait of 4 would end at 10 s, the next attempt may begin then
    assert clock.waits == [1.0, 2.0, 4.0]
    assert completion.attempts == 4
    assert completion.latency_s == pytest.approx(11.0)


async def test_a_retry_after_beyond_the_total_time_ends_the_call(clock: Clock) -> None:
    """A server that asks for more patience than the policy has is not waited for."""
    completion = await with_retries(attempts(failed(retry_after=3600.0), ANSWER), RetryPolicy(total_s=300.0))
    assert (completion.status, completion.attempts, clock.waits) == ("error", 1, [])


async def test_what_cannot_pass_is_not_tried_again(clock: Clock) -> None:
    """A failure that the same request would meet again ends the call at once."""
    completion = await with_retries(attempts(failed(again=False), ANSWER), RetryPolicy())
    assert (completion.status, completion.attempts, clock.waits) == ("error", 1, [])


async def test_model_error_passes_through(clock: Clock) -> None:
    """A ModelError is raised as it is, also from a later attempt, and is not tried again."""
    with pytest.raises(ModelError, match=r"^no such model$"):
        await with_retries(attempts(failed(), ModelError("no such model"), ANSWER), RetryPolicy())
    assert len(clock.waits) == 1


async def test_cancelling_ends_the_wait() -> None:
    """A cancelled call does not swallow its cancellation while it waits for the next attempt."""
    tried = asyncio.Event()

    async def attempt() -> Completion:
        tried.set()
        raise failed(retry_after=100.0)

    task = asyncio.create_task(with_retries(attempt, RetryPolicy()))
    await tried.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_jitter_is_drawn_within_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real random numbers every wait lies within its bounds."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await with_retries(attempts(*[failed()] * 30), RetryPolicy(attempts=30, total_s=1e9, backoff_s=1.0, longest_s=8.0))
    assert len(waits) == 29
    assert all(0 <= wait <= min(8.0, 2.0**number) for number, wait in enumerate(waits, 1))


def test_the_failure_says_the_servers_words() -> None:
    """An AttemptFailed prints as its message."""
    assert str(failed(message="slow down")) == "slow down"
