"""The pace: who may go when. Time is simulated; where a test would hang it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_time import simulated

from harness.errors import ModelError
from harness.halting import Halted
from harness.pacing import FIRST, Pace, Rates, Ticket


class Told:
    """What a pace tells a person and logs."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.logged: list[tuple[str, Mapping[str, Any]]] = []

    def events(self) -> list[str]:
        """Return the names of what was logged."""
        return [event for event, _ in self.logged]


def a_pace(most: int = 8, rates: Rates | None = None, **options: Any) -> tuple[Pace, Told]:
    """Return a pace and what it tells."""
    told = Told()
    log = lambda event, about: told.logged.append((event, dict(about)))  # noqa: E731
    return Pace(most, rates, where="S", tell=told.said.append, log=log, **options), told


def now() -> float:
    """Return the seconds since the start."""
    return asyncio.get_running_loop().time() - 1000.0


async def tickets(pace: Pace, number: int) -> list[Ticket]:
    """Return so many tickets, which must be free."""
    return [await asyncio.wait_for(pace.enter(), 0.001) for _ in range(number)]


def in_time(test: Coroutine[Any, Any, None]) -> None:
    """Run a test in simulated time."""
    simulated(test)


def test_as_many_go_as_may_and_the_next_waits_for_one_to_end() -> None:
    """At first there are as many calls under way as slow start allows; then one for each that ends."""

    async def test() -> None:
        pace, _ = a_pace(64)
        first = await tickets(pace, FIRST)
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(1.0)
        assert (waiting.done(), pace.under_way) == (False, FIRST)
        pace.left(first[0], answered=True)
        await asyncio.sleep(0)
        assert (waiting.done(), pace.under_way) == (True, FIRST)

    in_time(test())


def test_first_come_first_served_but_who_was_refused_goes_before() -> None:
    """Calls go in the order in which they came; one that is sent again has waited before."""

    async def test() -> None:
        pace, _ = a_pace(1)
        (ticket,) = await tickets(pace, 1)
        order: list[str] = []

        async def call(name: str, *, again: bool = False) -> None:
            mine = await pace.enter(again=again)
            order.append(name)
            pace.left(mine, answered=True)

        tasks = [asyncio.create_task(call(name, again=name == "again")) for name in ("a", "b", "again", "c")]
        await asyncio.sleep(0)
        pace.left(ticket, answered=True)
        await asyncio.gather(*tasks)
        assert order == ["again", "a", "b", "c"]

    in_time(test())


def test_what_begins_like_the_last_prompt_goes_first() -> None:
    """With a server that keeps its last prompt, the call goes next that has most in common with it."""

    async def test() -> None:
        pace, _ = a_pace(1, holds=1)
        ticket = await pace.enter(text="a" * 100)
        order: list[str] = []

        async def call(text: str) -> None:
            mine = await pace.enter(text=text)
            order.append(text[0])
            pace.left(mine, answered=True)

        tasks = [asyncio.create_task(call(letter * 100)) for letter in "baba"]
        await asyncio.sleep(0)
        pace.left(ticket, answered=True)
        await asyncio.gather(*tasks)
        assert order == ["a", "a", "b", "b"]

    in_time(test())


def test_who_waits_can_be_called_off() -> None:
    """A call that is called off in line leaves no gap, in whatever moment that comes."""

    async def test() -> None:
        pace, _ = a_pace(1)
        (ticket,) = await tickets(pace, 1)
        early, late, last = (asyncio.create_task(pace.enter()) for _ in range(3))
        await asyncio.sleep(0)
        early.cancel()
        pace.left(ticket, answered=True)  # before the one that was called off has run: `late` has its turn
        late.cancel()  # which it never learns
        await asyncio.wait([early, late, last])
        assert (early.cancelled(), late.cancelled(), pace.under_way) == (True, True, 1)
        assert isinstance(last.result(), Ticket)

    in_time(test())


def test_nobody_goes_after_the_end() -> None:
    """When a run comes to its end, those in line and those who come are turned away, at once, whatever they wait for."""

    async def test() -> None:
        pace, _ = a_pace(64)
        (ticket,) = await tickets(pace, 1)
        pace.throttled(ticket, 200.0)
        waiting = [asyncio.create_task(pace.enter()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        pace.stop()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in done] == [asyncio.CancelledError, Halted]
        with pytest.raises(Halted):
            await pace.enter()
        assert now() == 0.0

    in_time(test())


def test_a_turn_that_comes_as_the_run_ends_and_the_call_is_called_off() -> None:
    """Who is turned away and called off in the same moment was never under way."""

    async def test() -> None:
        pace, _ = a_pace(1)
        await tickets(pace, 1)
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        pace.stop()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pace.under_way == 1

    in_time(test())


def test_a_429_holds_back_all_until_the_server_wants_a_call() -> None:
    """Retry-After counts for every call; the longest of several does; growth starts from half."""

    async def test() -> None:
        pace, told = a_pace(64, first=8)
        first = await tickets(pace, 8)
        pace.throttled(first[0], 2.0)
        pace.throttled(first[1], 5.0)
        pace.throttled(first[2], 1.0)
        for ticket in first[3:]:
            pace.answered(ticket)
        went = [asyncio.create_task(pace.enter()) for _ in range(6)]
        await asyncio.sleep(4.9)
        assert not any(task.done() for task in went)
        await asyncio.sleep(0.2)
        assert [task.done() for task in went] == [True] * 4 + [False] * 2
        assert told.events() == ["all calls wait", "calls at once", "all calls wait"]
        assert told.said == []

    in_time(test())


def test_a_429_without_retry_after_holds_back_nobody() -> None:
    """Without a word about time, and with some calls answered, there are only fewer calls at once."""

    async def test() -> None:
        pace, _ = a_pace(8)
        *refused, answered = await tickets(pace, 8)
        for ticket in refused:
            pace.throttled(ticket)
        pace.answered(answered)
        await tickets(pace, 4)
        assert now() == 0.0

    in_time(test())


def test_a_long_wait_is_told_once() -> None:
    """A run that seems to hang says why, the first time."""

    async def test() -> None:
        pace, told = a_pace()
        for seconds in (30.0, 60.0):
            (ticket,) = await tickets(pace, 1)
            pace.throttled(ticket, seconds)
            await asyncio.sleep(seconds)
        assert told.said == ["S: asks to wait 30 s, as its rate limit is reached. All calls wait."]

    in_time(test())


def test_a_429_that_wants_too_long_a_wait_stops_the_run() -> None:
    """Where the server wants no call for longer than we are ready to wait, the run stops and says what to do."""

    async def test() -> None:
        pace, _ = a_pace()
        (ticket,) = await tickets(pace, 1)
        with pytest.raises(ModelError) as caught:
            pace.throttled(ticket, 3600.0)
        assert str(caught.value) == (
            "S: wants no call for 3600 s (429), which is longer than max_retry_s (300 s). "
            "Go on later, or raise max_retry_s in harness.toml."
        )
        assert pace.under_way == 0

    in_time(test())


def test_a_header_that_says_that_nothing_is_left_holds_back_all() -> None:
    """An answer that used up the server's limit makes all wait before a 429 does; never for longer than we are ready to."""

    async def test() -> None:
        pace, told = a_pace(patience_s=300.0)
        (ticket,) = await tickets(pace, 1)
        pace.answered(ticket, wait_s=6.0)
        (ticket,) = [await pace.enter()]
        assert now() == pytest.approx(6.0)
        pace.answered(ticket, wait_s=86400.0)
        await pace.enter()
        assert now() == pytest.approx(306.0)
        assert told.said == ["S: asks to wait 300 s, as its rate limit is reached. All calls wait."]

    in_time(test())


async def fail(pace: Pace, number: int, why: str = "connection") -> None:
    """Have so many calls fail, as soon as they may go."""
    for _ in range(number):
        pace.troubled(await pace.enter(), why)


def test_a_dead_server_opens_the_circuit_and_is_probed() -> None:
    """When nothing but failures comes, it is said once, and single calls go at growing intervals until one is answered."""

    async def test() -> None:
        pace, told = a_pace(4, first=4)
        await fail(pace, 8)
        assert pace.is_down
        assert told.said == [
            "S: the last 8 attempts failed (last: connection). Single calls probe it until one is answered."
        ]
        probed = []
        for _ in range(6):
            ticket = await pace.enter()
            probed.append(round(now()))
            other = asyncio.create_task(pace.enter())
            await asyncio.sleep(0)
            assert not other.done()  # a probe is alone
            other.cancel()
            pace.troubled(ticket, "timeout")
        assert probed == [2, 6, 14, 30, 62, 122]
        probe = await pace.enter()
        assert (round(now()), pace.under_way) == (182, 1)
        pace.answered(probe)
        assert told.said[1:] == ["S: answers again."]
        await tickets(pace, 4)  # and at once
        assert told.events() == ["circuit opened", "circuit closed"]

    in_time(test())


def test_a_late_answer_closes_the_circuit() -> None:
    """Where one of the calls that were under way is answered after all, nobody waits for the next probe."""

    async def test() -> None:
        pace, told = a_pace(8)
        slow = await pace.enter()
        await fail(pace, 16)
        assert pace.is_down
        pace.left(slow, answered=True)
        await tickets(pace, 8)
        assert (now(), told.said[-1]) == (0.0, "S: answers again.")

    in_time(test())


def test_a_server_that_comes_back_is_asked_slowly() -> None:
    """After the circuit there are no more calls at once than at the start: everybody else has waited for it too."""

    async def test() -> None:
        pace, _ = a_pace(64)
        while pace.window.room < 64:
            for ticket in await tickets(pace, pace.window.room):
                pace.answered(ticket)
        await fail(pace, 128)
        pace.answered(await pace.enter())
        assert pace.window.room == FIRST
        await tickets(pace, FIRST)

    in_time(test())


def test_failures_among_answers_open_nothing() -> None:
    """An answer now and then shows that the server is there, and so does an error that is the call's own."""

    async def test() -> None:
        pace, told = a_pace()
        for at in range(20):
            await fail(pace, 15)
            if at % 2:
                pace.answered(await pace.enter())
            else:
                pace.left(await pace.enter(), answered=True)
        assert (pace.is_down, told.said) == (False, [])

    in_time(test())


def test_calls_that_were_under_way_are_no_probes() -> None:
    """Failures of calls that were sent before the circuit opened neither count as probes nor put the next one off."""

    async def test() -> None:
        pace, told = a_pace(8)
        for ticket in await tickets(pace, 8):
            pace.troubled(ticket, "timeout")
        under_way = await tickets(pace, 8)
        await fail_all(pace, under_way)
        assert pace.is_down
        await pace.enter()
        assert round(now()) == 2
        assert len(told.said) == 1

    async def fail_all(pace: Pace, under_way: list[Ticket]) -> None:
        for ticket in under_way:
            pace.troubled(ticket, "timeout")

    in_time(test())


def test_a_server_that_stays_dead_stops_the_run() -> None:
    """When it has given no answer for as long as we are ready to wait, the run stops."""

    async def test() -> None:
        pace, told = a_pace(patience_s=100.0)
        with pytest.raises(ModelError) as caught:
            await fail(pace, 100, "timeout")
        assert str(caught.value) == ("S: has given no answer for 122 s (last: timeout). Go on when it is up again.")
        assert (len(told.said), pace.under_way) == (1, 0)

    in_time(test())


def test_a_server_that_only_refuses_stops_the_run_in_the_end_and_is_not_called_dead() -> None:
    """429s alone open no circuit, for the server is there; after as long as we are ready to wait the run stops as well."""

    async def test() -> None:
        pace, told = a_pace(1, patience_s=60.0)

        async def refuse() -> None:
            while True:
                pace.throttled(await pace.enter(), 7.0)

        with pytest.raises(ModelError, match=r"^S: has given no answer for 63 s \(last: 429\)"):
            await refuse()
        assert (pace.is_down, told.said) == (False, [])

    in_time(test())


@pytest.mark.parametrize("answers", [0, 40])
def test_a_server_that_only_refuses_is_asked_more_and_more_rarely(answers: int) -> None:
    """Without a Retry-After too, refusals that come at once are no flood: all calls wait, each time twice as long."""

    async def test() -> None:
        pace, told = a_pace(64, patience_s=1e6)
        for _ in range(answers):
            ticket = await pace.enter()
            await asyncio.sleep(0.3)
            pace.answered(ticket)
        began, refused = now(), list[float]()

        async def refuse() -> None:
            while now() < began + 200.0:
                ticket = await pace.enter()
                await asyncio.sleep(0.003)
                refused.append(now() - began)
                pace.throttled(ticket)

        await asyncio.gather(*(refuse() for _ in range(64)))
        assert len([each for each in refused if each < 1.0]) <= 2 * FIRST + 20
        assert len([each for each in refused if 10.0 < each < 200.0]) <= 12
        assert not pace.is_down
        assert told.said == ["S: refuses every call (429) and does not say until when. It is asked again in 16 s."]
        pace.answered(await pace.enter())
        assert pace.under_way == 0

    in_time(test())


def test_refusals_at_random_take_their_place_as_long_as_an_answer() -> None:
    """Where only those wait that were refused, refusals that come at once are no flood: each counts for a round trip."""

    async def test() -> None:
        pace, _ = a_pace(8)
        pace.window.at_random = True
        for ticket in await tickets(pace, 8):
            await asyncio.sleep(0)
            ticket.sent_at -= 2.0
            pace.answered(ticket)
        assert pace.window.latency == pytest.approx(2.0)
        for ticket in await tickets(pace, 8):
            pace.throttled(ticket, 1.0)
        assert pace.under_way == 8
        await pace.enter()
        assert now() == pytest.approx(2.0)

    in_time(test())


@pytest.mark.parametrize(("rpm", "first"), [(1, 1), (30, 1), (60, 1), (600, 9)])
def test_requests_a_minute_are_spread(rpm: int, first: int) -> None:
    """A second's worth may go at once; then they go one by one, all in their time."""

    async def test() -> None:
        pace, _ = a_pace(64, Rates(rpm=rpm))
        times = []
        for _ in range(rpm + 2):
            pace.answered(await pace.enter())
            times.append(now())
        assert sum(each == 0.0 for each in times) == first
        assert times[rpm] - times[0] > 60.0
        assert times[-1] <= 2 * 61.0

    in_time(test())


def test_tokens_a_minute_are_those_that_were_used() -> None:
    """What a call was expected to cost is replaced by what it did cost; who waits goes as soon as that allows."""

    async def test() -> None:
        pace, _ = a_pace(64, Rates(tpm=6100))
        assert pace.counts_tokens
        big = await pace.enter(6100)
        waiting = asyncio.create_task(pace.enter(10))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        pace.answered(big, tokens=610)
        await waiting
        assert now() == pytest.approx(6.1 - 0.99, abs=0.02)
        pace.answered(waiting.result(), tokens=None)  # where the server does not say it counts as expected

    in_time(test())


def test_what_failed_cost_no_tokens() -> None:
    """A call that was refused, failed or was called off gives back its tokens, but not its request."""

    async def test() -> None:
        pace, _ = a_pace(64, Rates(rpm=60_000, tpm=60))
        for _ in range(2):
            pace.throttled(await pace.enter(1000))
            pace.troubled(await pace.enter(1000), "timeout")
            pace.left(await pace.enter(1000), answered=False)
        assert now() == 0.0

    in_time(test())


def test_a_turn_comes_earlier_when_it_may() -> None:
    """A timer that was set for later does not keep those waiting whose time has come before."""

    async def test() -> None:
        pace, _ = a_pace(8, Rates(tpm=60))
        ticket = await pace.enter(600)
        waiting = asyncio.create_task(pace.enter(1))
        await asyncio.sleep(1.0)
        pace.left(ticket, answered=False)
        await waiting
        assert now() == pytest.approx(1.0, abs=0.2)

    in_time(test())


@pytest.mark.parametrize("clock_jumps", [-7200.0, 7200.0])
def test_its_clock_can_be_given(clock_jumps: float) -> None:
    """The times are those of the clock that is handed in; one that jumps neither hangs nor breaks it."""

    async def test() -> None:
        jumped = 0.0
        loop = asyncio.get_running_loop()
        pace, _ = a_pace(8, Rates(rpm=60), clock=lambda: loop.time() + jumped)
        pace.answered(await pace.enter())
        jumped = clock_jumps
        pace.answered(await pace.enter())

    in_time(test())


OUTCOMES = st.sampled_from(["ok", "ok", "ok", "429", "5xx", "wrong", "cancel"])


@settings(max_examples=60)
@given(
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(5, 300)),
    st.lists(st.tuples(OUTCOMES, st.floats(0, 3)), min_size=1, max_size=120),
)
def test_everybody_is_served_and_never_too_many(most: int, rpm: int | None, calls: list[tuple[str, float]]) -> None:
    """Whatever becomes of calls, each has its turn or is called off; no limit is broken, and nothing is left over."""

    async def test() -> None:
        pace, _ = a_pace(most, Rates(rpm=rpm), patience_s=1e9)
        went: list[float] = []
        served = 0

        async def call(outcome: str, seconds: float) -> None:
            nonlocal served
            ticket = await pace.enter()
            went.append(now())
            assert pace.under_way <= most
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                pace.left(ticket, answered=False)
                raise
            served += 1
            if outcome == "ok":
                pace.answered(ticket)
            elif outcome == "429":
                pace.throttled(ticket, seconds)
            elif outcome == "5xx":
                pace.troubled(ticket, "http_500")
            else:
                pace.left(ticket, answered=outcome == "wrong")

        tasks = [asyncio.create_task(call(*each)) for each in calls]
        await asyncio.sleep(0)
        for task, (outcome, _) in zip(tasks, calls, strict=True):
            if outcome == "cancel" and len(went) < len(tasks) and not task.done():
                task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(each is None or isinstance(each, asyncio.CancelledError) for each in done)
        assert served >= sum(outcome != "cancel" for outcome, _ in calls)
        if rpm is not None:
            assert all(sum(start <= each < start + 60.0 for each in went) <= rpm for start in went)

    in_time(test())
