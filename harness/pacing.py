"""When the next call may go to a server: as many at once as it takes, as often as its limits and the user's allow.

How many at once is `congestion`'s. A server's Retry-After, and a rate-limit header that says that nothing is left, hold back
all calls at once. Errors of the server and time-outs only pause growth; when nothing else comes any more, the circuit opens:
single calls probe until one is answered.

Limits in requests and tokens a minute are kept by the generic cell rate algorithm: calls are spread, not sent in bursts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.congestion import Stage, Window
from harness.errors import ModelError
from harness.halting import Halted
from harness.ordering import next_in_line

FIRST = 32
"""Calls under way at the start."""

BURST_S = 1.0
"""Seconds' worth of a rate that may go at once."""

DOWN_AFTER = 5
"""Attempts in a row that failed, no answer between them, after which the circuit opens: these, and two round trips."""

PROBE_S = 2.0
"""Seconds until the first probe of a server that is down; each later wait is twice as long, up to `LONGEST_PROBE_S`."""

LONGEST_PROBE_S = 60.0

REFUSED_S = 0.5
"""Seconds that all calls wait where a server does nothing but refuse and does not say until when; each later wait is twice
as long, up to `LONGEST_PROBE_S`."""

NO_TIME_S = 1e-6
"""Seconds that are none: what differences of floats leave over."""

TOLD_FROM_S = 10.0
"""Seconds of waiting at a server's wish from which on a person is told, once."""

Tell = Callable[[str], None]
Log = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Rates:
    """Limits that the user gives: requests and tokens a minute; None is no limit."""

    rpm: int | None = None
    tpm: int | None = None


@dataclass(slots=True)
class Ticket:
    """A call that may go: `Pace.enter` gives it, and one of the other methods takes it back.

    Attributes:
        sent_at: When.
        tokens: What it was expected to cost.
        stage: The stage of the pace in which it was sent: a 429 slows down once for all calls of a stage.
        number: Which call of the stage it is.
    """

    sent_at: float
    tokens: int
    stage: Stage
    number: int


class Pace:
    """The pace of the calls to one server. It belongs to one event loop.

    Args:
        most: Calls under way at once at most.
        rates: The user's own limits.
        first: Calls under way at the start.
        holds: How many of the last prompts the server keeps: what begins like one of them goes first.
        patience_s: Seconds that a server may ask to wait for, or give no answer, before the run stops.
        where: The server, for messages.
        tell: Told what a person should know.
        log: Told every change.
        clock: Seconds that never jump; None is the clock of the running loop.
    """

    def __init__(
        self,
        most: int,
        rates: Rates | None = None,
        *,
        first: int = FIRST,
        holds: int = 0,
        patience_s: float = 300.0,
        where: str = "the server",
        tell: Tell = lambda _: None,
        log: Log = lambda _, __: None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.window = Window(first, most)
        self.under_way = 0
        self._patience_s, self._where = patience_s, where
        self._tell, self._log = tell, log
        self._clock = clock or asyncio.get_running_loop().time
        rates = rates or Rates()
        self._requests = None if rates.rpm is None else _Rate(rates.rpm)
        self._tokens = None if rates.tpm is None else _Rate(rates.tpm)
        self._open_at = 0.0
        self._told_wait = False
        self._down = _Down()
        self._stopped = False
        self._line: deque[_Turn] = deque()
        self._held: deque[str] = deque(maxlen=holds)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_down(self) -> bool:
        """Whether the server gives no answers, and is only probed."""
        return self._down.is_open

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters what a call costs."""
        return self._tokens is not None

    async def enter(self, tokens: int = 0, text: str = "", *, again: bool = False) -> Ticket:
        """Wait for a call's turn: first come, first served, but for what the server has read the beginning of just now.

        Args:
            tokens: What the call will cost of the tokens a minute, as far as that is known.
            text: Its prompt, where the server keeps some.
            again: Whether it is sent again: it has waited before, and goes first.

        Raises:
            Halted: `stop` was called.
        """
        if self._stopped:
            raise Halted
        if not self._line and self._may_go():
            self._held.append(text)
            return self._go(tokens)
        turn = _Turn(asyncio.get_running_loop().create_future(), tokens, text)
        (self._line.appendleft if again else self._line.append)(turn)
        self._wake()
        try:
            ticket = await turn.ticket
        except asyncio.CancelledError:
            if not turn.ticket.cancelled() and turn.ticket.result() is not None:
                self._gone()  # its turn came as it was called off: it is the next one's
            raise
        if ticket is None:
            raise Halted
        return ticket

    def stop(self) -> None:
        """Let no call go any more: who waits, or comes, meets `Halted`."""
        self._stopped = True
        for turn in self._line:
            if not turn.ticket.done():
                turn.ticket.set_result(None)
        self._line.clear()
        self._set_timer(None)

    def answered(self, ticket: Ticket, tokens: int | None = None, wait_s: float = 0.0) -> None:
        """Take note of an answer.

        Args:
            ticket: The call's.
            tokens: What it really cost; None where the server does not say.
            wait_s: Seconds until the server's limits allow another call, 0 where they do.
        """
        now = self._clock()
        self._is_up()
        self.window.answered(ticket.stage, ticket.number, now, now - ticket.sent_at, self.under_way)
        if tokens is not None:
            self._cost(ticket, tokens)
        self._hold_back(now, min(wait_s, self._patience_s))  # a header is no refusal: the next call finds out
        self._gone()

    def throttled(self, ticket: Ticket, retry_after: float | None = None, said: str = "") -> None:
        """Take note of a 429: fewer calls at once, and none before the server wants one.

        Where refusals go on in the same share however few calls are made, they do not come from too many calls: then only
        those that were refused wait.

        Args:
            ticket: The call's.
            retry_after: Seconds until the server wants a call again.
            said: As for `troubled`.

        Raises:
            ModelError: It wants none for longer than we are ready to wait.
        """
        now = self._clock()
        self._cost(ticket, 0)
        free_in = 0.0
        try:
            if retry_after is not None and retry_after > self._patience_s:
                raise ModelError(
                    f"{self._where}: wants no call for {retry_after:.0f} s (429), which is longer than max_retry_s "
                    f"({self._patience_s:g} s). Go on later, or raise max_retry_s in harness.toml."
                )
            room = self.window.room
            if self.window.refused(ticket.stage, ticket.number, retry_after or 0.0) and retry_after:
                self._hold_back(now, retry_after)
            else:  # it takes its place as long as an answer would: refusals come at once, and would be a flood
                free_in = self.window.latency - (now - ticket.sent_at)
            if self.window.room != room:
                self._log("calls at once", {"server": self._where, "limit": self.window.room})
            self._count_failure(now, "429", said, may_open=False)
            if not retry_after:
                self._wait_longer(now)
        finally:
            if free_in > 0:
                asyncio.get_running_loop().call_later(free_in, self._gone)
            else:
                self._gone()

    def troubled(self, ticket: Ticket, why: str, said: str = "") -> None:
        """Take note of an error of the server, a time-out or a broken connection: nothing grows for a round trip.

        Args:
            ticket: The call's.
            why: The kind of error.
            said: The server's own words, for people: they may quote a text, so they are in no log.

        Raises:
            ModelError: The server has given no answer for longer than we are ready to wait.
        """
        now = self._clock()
        self._cost(ticket, 0)
        self.window.pause(now)
        try:
            self._count_failure(now, why, said)
        finally:
            self._gone()

    def left(self, ticket: Ticket, *, answered: bool) -> None:
        """Take note that a call is over that says nothing about the pace: it was called off, or is itself wrong.

        Args:
            ticket: The call's.
            answered: Whether the server said something, and so is not down.
        """
        if answered:
            self._is_up()
        self._cost(ticket, 0)
        self._gone()

    def _is_up(self) -> None:
        """Note that the server said something; close the circuit, and begin slowly with a server that has come back."""
        if self._down.is_open:
            self.window.start_anew()
            self._tell(f"{self._where}: answers again.")
            self._log("circuit closed", {"server": self._where})
        self._down = _Down()

    def _count_failure(self, now: float, why: str, said: str = "", *, may_open: bool = True) -> None:
        """Note that an attempt failed; open the circuit when nothing else comes any more.

        A server that refuses is there: it says itself when to ask again.
        """
        down = self._down
        told = f'{why}: "{said}"' if said else why
        down.failures += 1
        down.since = now if down.since is None else down.since
        if down.failures < max(DOWN_AFTER, 2 * self.window.room) or now < down.probe_at:
            return
        if not down.is_open and may_open:
            down.is_open = True
            self._tell(
                f"{self._where}: the last {down.failures} attempts failed (last: {told}). "
                "Single calls probe it until one is answered."
            )
            self._log("circuit opened", {"server": self._where, "failures": down.failures, "last": why})
        elif now - down.since > self._patience_s:
            raise ModelError(
                f"{self._where}: has given no answer for {now - down.since:.0f} s (last: {told}). Go on when it is up again."
            )
        if down.is_open:
            down.probe_at = now + min(LONGEST_PROBE_S, PROBE_S * 2**down.probes)
            down.probes += 1

    def _wait_longer(self, now: float) -> None:
        """Let all calls wait where a server has only refused for two round trips, each time twice as long."""
        down = self._down
        if down.failures < max(DOWN_AFTER, 2 * self.window.room) or now < self._open_at:
            return
        seconds = min(LONGEST_PROBE_S, REFUSED_S * 2**down.waits)
        down.waits += 1
        self._hold_back(
            now, seconds, "refuses every call (429) and does not say until when. It is asked again in {} s."
        )

    def _hold_back(
        self, now: float, seconds: float, why: str = "asks to wait {} s, as its rate limit is reached. All calls wait."
    ) -> None:
        if seconds <= 0 or now + seconds <= self._open_at:
            return
        self._open_at = now + seconds
        self._log("all calls wait", {"server": self._where, "seconds": round(seconds, 3)})
        if seconds >= TOLD_FROM_S and not self._told_wait:
            self._told_wait = True
            self._tell(f"{self._where}: {why.format(f'{seconds:.0f}')}")

    def _cost(self, ticket: Ticket, tokens: int) -> None:
        if self._tokens is not None:
            self._tokens.take(self._clock(), tokens - ticket.tokens)

    def _wait(self, now: float) -> float:
        """Return the seconds until a call may go, if only time holds it back."""
        waits = (rate.wait(now) for rate in (self._requests, self._tokens) if rate is not None)
        return max(self._open_at - now, self._down.probe_at - now, *waits, 0.0)

    def _may_go(self) -> bool:
        free = self.under_way < (1 if self._down.is_open else self.window.room)
        return free and self._wait(self._clock()) <= NO_TIME_S

    def _go(self, tokens: int) -> Ticket:
        now = self._clock()
        self.under_way += 1
        if self._requests is not None:
            self._requests.take(now, 1)
        if self._tokens is not None:
            self._tokens.take(now, tokens)
        return Ticket(now, tokens, *self.window.sent())

    def _gone(self) -> None:
        self.under_way -= 1
        self._wake()

    def _wake(self) -> None:
        """Let those go whose turn it is; a timer wakes again when it is time that the next one waits for."""
        while self._line and self._may_go():
            turn = self._next()
            if not turn.ticket.done():
                self._held.append(turn.text)
                turn.ticket.set_result(self._go(turn.tokens))
        wait = self._wait(self._clock()) if self._line else 0.0
        self._set_timer(wait if wait > NO_TIME_S else None)

    def _set_timer(self, wait: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wait is None else asyncio.get_running_loop().call_later(wait, self._wake)

    def _next(self) -> _Turn:
        if not self._held:
            return self._line.popleft()
        at = next_in_line(self._held, [turn.text for turn in self._line])
        turn = self._line[at]
        del self._line[at]
        return turn


@dataclass(slots=True)
class _Turn:
    """A call that waits in line."""

    ticket: asyncio.Future[Ticket | None]
    tokens: int
    text: str


class _Rate:
    """A limit per minute: the generic cell rate algorithm, so that no 60 seconds hold more than the limit."""

    def __init__(self, per_minute: int) -> None:
        self._cell_s = (60.0 + BURST_S) / per_minute
        self._tolerance_s = max(0.0, BURST_S - self._cell_s)
        self._due = 0.0

    def wait(self, now: float) -> float:
        return self._due - now - self._tolerance_s

    def take(self, now: float, cells: int) -> None:
        """Take so many cells; a negative number gives back what was taken too much."""
        self._due = max(self._due, now if cells > 0 else 0.0) + cells * self._cell_s


@dataclass(slots=True)
class _Down:
    """A server that gives no answers.

    Attributes:
        failures: Attempts in a row that failed.
        since: When the first of them did.
        is_open: Whether the circuit is open.
        probes: How often it was probed.
        probe_at: When the next probe goes.
        waits: How often all calls waited because it only refused.
    """

    failures: int = 0
    since: float | None = None
    is_open: bool = False
    probes: int = 0
    probe_at: float = 0.0
    waits: int = 0
