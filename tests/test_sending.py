"""The one way a call is sent: through limits and refusals all are answered; what ends the run ends it at once, in order."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from simulated_time import simulated

from harness.budget import Budget, BudgetReached
from harness.errors import ModelError
from harness.halting import Halt, Halted
from harness.pacing import Rates
from harness.records import Call, CallError, Completion, Constraint
from harness.retry import AttemptFailed, RetryPolicy
from harness.sending import Sender

CALL = Call("s1", "main", "", 0, ({"role": "user", "content": "It came late."},))
BODY = {"model": "m", "max_tokens": 10}


@pytest.fixture(autouse=True)
def _same_jitter() -> None:
    random.seed(7)


def failed(kind: str, status: int | None, retry_after: float | None = None, *, again: bool = True) -> AttemptFailed:
    """Return an attempt's failure."""
    return AttemptFailed(
        CallError(kind=kind, message="It came late", status=status), again=again, retry_after=retry_after
    )


def refused(retry_after: float | None = None) -> AttemptFailed:
    """Return a 429."""
    return failed("http_429", 429, retry_after)


def seconds() -> float:
    """Return the simulated seconds since the start."""
    return asyncio.get_running_loop().time() - 1000.0


class Server:
    """A server in memory: a rule says when a call fails, all others are answered after the latency."""

    endpoint: Mapping[str, Any] = {"base_url": "S"}
    holds = 0

    def __init__(
        self, rule: Callable[[], Exception | None] = lambda: None, latency: float = 0.02, concurrency: int | None = None
    ) -> None:
        self.rule, self.latency, self.concurrency = rule, latency, concurrency
        self.wait_s = 0.0
        self.sent = self.answered = self.under_way = self.most = 0
        self.times: list[float] = []

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """Return the request."""
        return dict(BODY)

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Answer, or fail at once."""
        self.sent += 1
        self.times.append(seconds())
        failure = self.rule()
        if failure is not None:
            await asyncio.sleep(0.001)
            raise failure
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.under_way -= 1
        self.answered += 1
        return Completion("ok", raw="shipping", usage={"prompt_tokens": 10, "completion_tokens": 10})

    async def close(self) -> None:
        """Nothing to close."""


class Bucket:
    """A rate limit: so many calls a second, a second's worth at once; and a share of refusals by chance."""

    def __init__(self, rate: float, share: float, retry_after: float, seed: int = 0) -> None:
        self.rate, self.share, self.retry_after = rate, share, retry_after
        self.left, self.at = rate, 0.0
        self.draw = random.Random(seed)

    def __call__(self) -> Exception | None:
        """Admit a call or refuse it."""
        if self.draw.random() < self.share:
            return refused(self.retry_after)
        now = seconds()
        self.left, self.at = min(self.rate, self.left + (now - self.at) * self.rate), now
        if self.left < 1:
            return refused(self.retry_after)
        self.left -= 1
        return None


class Bench:
    """A sender and what it told."""

    def __init__(
        self, server: Server, *, concurrency: int = 64, policy: RetryPolicy | None = None, **more: Any
    ) -> None:
        self.halt = more.pop("halt", None) or Halt()
        self.said: list[str] = []
        self.logged: list[tuple[str, Mapping[str, Any]]] = []
        usual: dict[str, Any] = {"rates": Rates(), "budget": Budget()}
        self.sender = Sender(
            {"main": server},
            policy or RetryPolicy(),
            self.halt,
            concurrency=concurrency,
            tell=self.said.append,
            log=lambda event, about: self.logged.append((event, about)),
            **{**usual, **more},
        )

    async def send(self, *, patient: bool = True) -> Completion:
        """Send one call."""
        return await self.sender.send(CALL, BODY, patient=patient)

    async def send_all(self, number: int, width: int = 256) -> list[Completion]:
        """Send so many calls, as many side by side as a run begins samples."""
        work, done = iter(range(number)), list[Completion]()

        async def worker() -> None:
            for _ in work:
                done.append(await self.send())

        await asyncio.gather(*(worker() for _ in range(width)))
        return done

    def events(self, event: str) -> list[Mapping[str, Any]]:
        """Return what was logged of an event."""
        return [about for name, about in self.logged if name == event]


@pytest.mark.parametrize(
    ("rate", "share", "number", "least", "factor"),
    [
        (500, 0.2, 5000, 9.0, 1.75),  # the storm: a limit, and a fifth refused by chance
        (500, 0.0, 5000, 9.0, 1.25),
        (1e9, 0.2, 5000, 9.0, 1.5),
        (1e9, 0.0, 5000, 1.6, 1.2),
        (10, 0.0, 300, 29.0, 1.15),
        (1, 0.0, 60, 59.0, 1.15),
    ],
    ids=["storm", "limit", "chance", "free", "ten-a-second", "one-a-second"],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_all_are_answered_about_as_fast_as_the_server_can(
    rate: float, share: float, number: int, least: float, factor: float, seed: int
) -> None:
    """Whatever its limit, and whatever it refuses by chance, a server is used nearly fully and every call is answered."""

    async def test() -> None:
        server = Server(Bucket(rate, share, 1.0, seed))
        bench = Bench(server)
        done = await bench.send_all(number)
        assert [each.status for each in done] == ["ok"] * number
        assert server.most <= 64
        assert seconds() <= least * factor
        assert server.sent <= number * (1 + share) * 1.5 + 100

    simulated(test())


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_limit_of_calls_at_once_is_found(retry_after: float | None) -> None:
    """A server that takes ten calls at once is soon asked about as many, hardly more, and is used nearly fully."""

    async def test() -> None:
        server = Server(lambda: refused(retry_after) if server.under_way >= 10 else None)
        bench = Bench(server)
        done = await bench.send_all(3000)
        assert all(each.status == "ok" for each in done)
        assert seconds() <= 1.35 * 3000 * 0.02 / 10 + 4 * (retry_after or 0.0)
        assert server.sent < 1.05 * 3000

    simulated(test())


def test_many_refusals_are_no_reason_to_give_up() -> None:
    """Refusals for the pace are not counted as attempts: they cost nothing, and say nothing about the call."""

    async def test() -> None:
        refusals = iter([refused(1.0)] * 40)
        bench = Bench(Server(lambda: next(refusals, None)), policy=RetryPolicy(attempts=2))
        completion = await bench.send()
        assert (completion.status, completion.attempts) == ("ok", 41)

    simulated(test())


def test_a_wait_in_line_is_no_attempt() -> None:
    """A call that stood in line for longer than it may be tried is tried all the same, and again."""

    async def test() -> None:
        failures = iter([None, failed("http_500", 500), failed("http_500", 500)])
        bench = Bench(Server(lambda: next(failures, None)), rates=Rates(rpm=1), policy=RetryPolicy(total_s=100.0))
        done = await asyncio.gather(*(bench.send() for _ in range(4)))
        assert [each.status for each in done] == ["ok"] * 4
        assert seconds() > 300.0

    simulated(test())


def test_what_came_in_another_way_is_not_sent() -> None:
    """After a long wait in line a call is not sent whose answer another process has paid by then."""

    async def test() -> None:
        server = Server(latency=2.0)
        bench = Bench(server, concurrency=1)
        theirs = Completion("ok", raw="theirs", cached=True)
        first = asyncio.create_task(bench.sender.send(CALL, BODY, meanwhile=lambda: theirs))
        second = asyncio.create_task(bench.sender.send(CALL, BODY, meanwhile=lambda: theirs))
        third = asyncio.create_task(bench.send())
        done = await asyncio.gather(first, second, third)
        assert [each.raw for each in done] == ["shipping", "theirs", "shipping"]
        assert (server.sent, round(seconds(), 3)) == (2, 4.0)

    simulated(test())


def test_a_server_that_fails_is_quoted() -> None:
    """What it said last stands in the warning, short; without an answer it is the kind of failure alone."""

    async def test() -> None:
        for status, words in ((503, 'http_503: "the model is loading"'), (None, "connection")):
            kind = "connection" if status is None else f"http_{status}"
            said = CallError(kind=kind, message="the model is\nloading", status=status)
            bench = Bench(Server(partial(AttemptFailed, said, again=True)), concurrency=1)
            with pytest.raises(ModelError, match=re.escape(f"(last: {words})")):
                await bench.send_all(100, width=2)
            assert f"(last: {words})" in bench.said[0]
            assert {event["last"] for event in bench.events("circuit opened")} == {kind}

    simulated(test())


def test_a_server_that_refuses_for_good_is_quoted() -> None:
    """Why it refuses, such as a quota that is used up, stands in the error that ends the run."""

    async def test() -> None:
        bench = Bench(Server(refused), concurrency=1)
        with pytest.raises(ModelError, match=r'\(last: 429: "It came late"\)'):
            await bench.send_all(100, width=2)

    simulated(test())


def test_no_more_requests_a_minute_than_said() -> None:
    """With `--rpm`, no 60 seconds see more requests, those that are sent again included."""

    async def test() -> None:
        draw = random.Random(3)
        server = Server(lambda: failed("http_503", 503) if draw.random() < 0.2 else None)
        bench = Bench(server, rates=Rates(rpm=120), policy=RetryPolicy(attempts=20))
        assert all(each.status == "ok" for each in await bench.send_all(400, width=32))
        assert max(sum(start <= each < start + 60 for each in server.times) for start in server.times) <= 120
        assert seconds() < 1.1 * server.sent / 2

    simulated(test())


def test_no_more_tokens_a_minute_than_said() -> None:
    """With `--tpm`, answers count with the tokens that they had."""

    async def test() -> None:
        server = Server()
        await Bench(server, rates=Rates(tpm=1200)).send_all(180, width=32)
        assert 110 < seconds() < 190  # 20 tokens each: 60 a minute

    simulated(test())


def test_a_server_that_was_away_is_waited_for_and_no_call_fails() -> None:
    """A server that is dead for minutes costs time and no call: it is said once, probed, and said when it is back."""

    async def test() -> None:
        server = Server(lambda: failed("connection", None) if 1.0 < seconds() < 200.0 else None)
        bench = Bench(server, concurrency=8)
        done = await bench.send_all(2000, width=32)
        assert all(each.status == "ok" for each in done)
        assert [said.partition(":")[2][:30] for said in bench.said] == [
            f" the last {2 * 8} attempts failed (",
            " answers again.",
        ]
        assert 200.0 < seconds() < 260.0
        during = [at for at in server.times if 2.0 < at < 200.0]
        assert len(during) < 10  # probes alone

    simulated(test())


@pytest.mark.parametrize("concurrency", [1, 2, 64])
def test_a_server_that_stays_away_stops_the_run(concurrency: int) -> None:
    """After `max_retry_s` without any answer the run stops; hardly a call was given up before."""

    async def test() -> None:
        bench = Bench(Server(lambda: failed("connection", None)), concurrency=concurrency)
        with pytest.raises(ModelError, match=r"^S: has given no answer for \d+ s \(last: connection\)\."):
            await bench.send_all(500, width=2 * concurrency)
        assert 300.0 < seconds() < 450.0
        assert bench.events("call failed") == []

    simulated(test())


def test_a_failure_of_the_call_alone_is_none_of_the_server() -> None:
    """A server that rejects one call after the other is up; nothing is sent again."""

    async def test() -> None:
        server = Server(lambda: failed("http_400", 400, again=False))
        bench = Bench(server)
        done = await bench.send_all(100, width=8)
        assert [(each.status, each.attempts) for each in done] == [("error", 1)] * 100
        assert (server.sent, bench.said) == (100, [])

    simulated(test())


def test_errors_of_the_server_leave_the_others_alone() -> None:
    """5xx hold back nobody and halve nothing: they only pause growth."""

    async def test() -> None:
        draw = random.Random(1)
        server = Server(lambda: failed("http_500", 500) if draw.random() < 0.1 else None)
        bench = Bench(server)
        assert all(each.status == "ok" for each in await bench.send_all(2000))
        assert bench.events("calls at once") == bench.events("all calls wait") == []
        assert server.most > 8

    simulated(test())


def test_the_header_of_a_429_counts_where_it_has_no_retry_after() -> None:
    """Without Retry-After, the rate-limit headers say how long all wait."""

    async def test() -> None:
        failures = iter([refused()])
        server = Server(lambda: next(failures, None))
        server.wait_s = 6.0
        bench = Bench(server)
        await bench.send()
        assert 6.0 < seconds() < 12.1
        assert bench.events("all calls wait")[0]["seconds"] == 6.0

    simulated(test())


@pytest.mark.parametrize("held", ["line", "retry", "hold", "budget"])
def test_the_end_is_not_waited_for(held: str) -> None:
    """Whatever a call waits for, the end of the run ends the wait, and what is under way is answered."""

    async def test() -> None:
        failures = iter(
            [refused(100.0)] if held == "hold" else [failed("http_500", 500, 100.0)] if held == "retry" else []
        )
        server = Server(lambda: next(failures, None), latency=5.0)
        budget = Budget(max_cost=25e-6) if held == "budget" else Budget()
        budget._prices = {"m": {"input": 0.0, "output": 1.0}}
        bench = Bench(server, concurrency=2 if held != "line" else 1, budget=budget)
        tasks = [asyncio.create_task(bench.send()) for _ in range(4)]
        await asyncio.sleep(1.0)
        bench.halt.bind()
        bench.halt.ask()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert seconds() < 12.0
        assert any(isinstance(each, Halted) for each in done)
        assert all(isinstance(each, Halted | Completion) for each in done)
        assert server.answered == sum(isinstance(each, Completion) for each in done)
        sent = server.sent
        with pytest.raises(Halted):
            await bench.send()
        assert server.sent == sent

    simulated(test())


def test_a_call_that_is_let_go_leaves_nothing_behind() -> None:
    """A call that is cancelled under way gives back its place and what was put aside for it."""

    async def test() -> None:
        budget = Budget(max_cost=11e-6)
        budget._prices = {"m": {"input": 0.0, "output": 1.0}}
        bench = Bench(Server(latency=5.0), concurrency=1, budget=budget)
        task = asyncio.create_task(bench.send())
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await bench.send()).status == "ok"

    simulated(test())


def test_a_budget_stops_exactly_there() -> None:
    """No call is sent beyond `--max-calls`, and those under way are answered."""

    async def test() -> None:
        server = Server()
        bench = Bench(server, budget=Budget(max_calls=20))
        done = await asyncio.gather(*(bench.send() for _ in range(30)), return_exceptions=True)
        assert server.sent == server.answered == 20
        assert sum(isinstance(each, BudgetReached) for each in done) == 10

    simulated(test())


def test_a_form_that_may_be_refused_is_not_sent_many_times() -> None:
    """A request whose form the server may not know gets a second chance after a 500, and no third."""

    async def test() -> None:
        server = Server(lambda: failed("http_500", 500))
        completion = await Bench(server).send(patient=False)
        assert (completion.status, server.sent) == ("error", 2)
        patient = Server(lambda: failed("http_500", 500))
        assert (await Bench(patient).send()).attempts == patient.sent == 6

    simulated(test())


def test_the_log_has_no_words_of_the_server() -> None:
    """Failed attempts are logged with kind and status; what the server says may repeat the text."""

    async def test() -> None:
        failures = iter([failed("http_503", 503, 0.1)])
        bench = Bench(Server(lambda: next(failures, failed("http_400", 400, again=False))))
        await bench.send()
        about = {"sample": "s1", "pass": "main", "unit": ""}
        assert bench.events("attempt failed") == [
            {**about, "kind": "http_503", "status": 503, "again": True, "retry_after": 0.1},
            {**about, "kind": "http_400", "status": 400, "again": False, "retry_after": None},
        ]
        assert bench.events("call failed") == [{**about, "kind": "http_400", "attempts": 2}]

    simulated(test())


def test_a_client_that_knows_how_many_calls_are_worth_it_begins_with_them() -> None:
    """An embedded model says how many calls at once are worth it: so many from the start, and no more."""

    async def test() -> None:
        server = Server(concurrency=3)
        await Bench(server).send_all(20, width=10)
        assert server.most == 3

    simulated(test())
