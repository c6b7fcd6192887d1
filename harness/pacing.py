"""How many calls may be under way at once with a server, and when the next may go: as many as it takes, and no more.

The number starts low and doubles every round trip, as TCP's slow start does; a 429 halves it, and from then on it grows by
one a round trip (additive increase, multiplicative decrease: Chiu and Jain 1989). A server's Retry-After, and a rate-limit
header that says that nothing is left, hold back all calls at once. Errors of the server and time-outs only pause growth;
when nothing else comes any more, the circuit opens: single calls probe until one is answered.

Limits in requests and tokens a minute are kept by the generic cell rate algorithm: calls are spread, not sent in bursts.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import ModelError
from harness.ordering import next_in_line

FIRST = 8
"""Calls under way at the start."""

SLOWED = 2.0
"""How many times its best a server's latency may be while the number of calls still grows."""

SLACK_S = 0.02
"""Seconds of latency that may be our own."""

BURST_S = 1.0
"""Seconds' worth of a rate that may go at once."""

ENOUGH = 10
"""Calls of a stage after which the share of refused ones says something."""

SAME_SHARE = 0.6
"""A share of refused calls that is not below this part of what it was at four times the calls does not come from them."""

DOWN_AFTER = 20
"""Attempts in a row that failed, no answer between them, after which the circuit opens."""

PROBE_S = 2.0
"""Seconds until the first probe of a server that is down; each later wait is twice as long, up to `LONGEST_PROBE_S`."""

LONGEST_PROBE_S = 60.0

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
    """

    sent_at: float
    tokens: int
    stage: int


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
        clock: Seconds that never jump.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.limit = float(min(first, most))
        self.under_way = 0
        self._patience_s, self._where = patience_s, where
        self._tell, self._log, self._clock = tell, log, clock
        rates = rates or Rates()
        self._requests = None if rates.rpm is None else _Rate(rates.rpm)
        self._tokens = None if rates.tpm is None else _Rate(rates.tpm)
        self._open_at = 0.0
        self._growth = _Growth()
        self._stages = [_Stage(self.limit)]
        self._at_random = False
        self._down = _Down()
        self._line: deque[_Turn] = deque()
        self._held: deque[str] = deque(maxlen=holds)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters what a call costs."""
        return self._tokens is not None

    async def enter(self, tokens: int = 0, text: str = "") -> Ticket:
        """Wait for a call's turn: first come, first served, but for what the server has read the beginning of just now.

        Args:
            tokens: What the call will cost of the tokens a minute, as far as that is known.
            text: Its prompt, where the server keeps some.
        """
        if not self._line and self._may_go():
            self._held.append(text)
            return self._go(tokens)
        turn = _Turn(asyncio.get_running_loop().create_future(), tokens, text)
        self._line.append(turn)
        self._wake()
        try:
            return await turn.ticket
        except asyncio.CancelledError:
            if turn.ticket.cancelled():
                self._line.remove(turn)
            else:  # its turn came as it was called off: it is the next one's
                self._gone()
            raise

    def answered(self, ticket: Ticket, tokens: int | None = None, wait_s: float = 0.0) -> None:
        """Take note of an answer.

        Args:
            ticket: The call's.
            tokens: What it really cost; None where the server does not say.
            wait_s: Seconds until the server's limits allow another call, 0 where they do.
        """
        now = self._clock()
        self._stages[ticket.stage].ok += 1
        if self._down.is_open:
            self._tell(f"{self._where}: answers again.")
            self._log("circuit closed", {"server": self._where})
        self._down = _Down()
        if self._growth.keeps_up(now, now - ticket.sent_at, self.limit) and self.limit < self.most:
            self.limit = min(float(self.most), self.limit + (1.0 if self._growth.doubles else 1.0 / self.limit))
        if tokens is not None:
            self._cost(ticket, tokens)
        self._hold_back(now, wait_s)
        self._gone()

    def throttled(self, ticket: Ticket, retry_after: float | None = None) -> None:
        """Take note of a 429: fewer calls at once, and none before the server wants one.

        Where refusals go on in the same share however few calls are made, they do not come from too many calls: then only
        those that were refused wait.

        Raises:
            ModelError: It wants none for longer than we are ready to wait.
        """
        now = self._clock()
        self._stages[ticket.stage].refused += 1
        self._cost(ticket, 0)
        try:
            if retry_after is not None and retry_after > self._patience_s:
                raise ModelError(
                    f"{self._where}: wants no call for {retry_after:.0f} s (429), which is longer than max_retry_s "
                    f"({self._patience_s:g} s). Go on later, or raise max_retry_s in harness.toml."
                )
            self._slow_down(ticket)
            if not self._at_random:
                self._hold_back(now, retry_after or 0.0)
            self._count_failure(now, "429")
        finally:
            self._gone()

    def troubled(self, ticket: Ticket, why: str) -> None:
        """Take note of an error of the server, a time-out or a broken connection: nothing grows for a round trip.

        Raises:
            ModelError: The server has given no answer for longer than we are ready to wait.
        """
        now = self._clock()
        self._cost(ticket, 0)
        self._growth.pause(now)
        try:
            self._count_failure(now, why)
        finally:
            self._gone()

    def left(self, ticket: Ticket, *, answered: bool) -> None:
        """Take note that a call is over that says nothing about the pace: it was called off, or is itself wrong.

        Args:
            ticket: The call's.
            answered: Whether the server said something, and so is not down.
        """
        if answered:
            self._down = _Down()
        self._cost(ticket, 0)
        self._gone()

    def _slow_down(self, ticket: Ticket) -> None:
        """Halve the calls under way, once for all that were sent together."""
        if self._at_random:
            self._at_random = not self._stages[-1].is_closed
        if self._at_random or ticket.stage < len(self._stages) - 1:
            return
        if self._refused_at_random():
            self._at_random = True
            self.limit = self._stages[-4].limit
            self._growth.doubles = True
            self._log("refusals do not depend on the pace", {"server": self._where, "limit": int(self.limit)})
        else:
            self.limit = max(1.0, self.limit / 2)
            self._growth.doubles = False
            self._log("fewer calls at once", {"server": self._where, "limit": int(self.limit)})
        self._stages.append(_Stage(self.limit))

    def _refused_at_random(self) -> bool:
        """Return whether a quarter of the calls at once were refused in about the same share as all of them.

        A server with a limit refuses hardly any call of a quarter when it took half of them or more.
        """
        if len(self._stages) < 4:
            return False
        before, now = self._stages[-4], self._stages[-2]  # the last stage has only begun
        enough = min(before.calls, now.calls) >= ENOUGH
        return enough and before.share < 0.5 and now.share >= SAME_SHARE * before.share

    def _count_failure(self, now: float, why: str) -> None:
        """Note that an attempt failed; open the circuit when nothing else comes any more."""
        down = self._down
        down.failures += 1
        down.since = down.since or now
        if down.failures < DOWN_AFTER or now < down.probe_at:
            return
        if down.is_open and now - down.since > self._patience_s:
            raise ModelError(
                f"{self._where}: has given no answer for {now - down.since:.0f} s (last: {why}). Go on when it is up again."
            )
        if not down.is_open:
            self._tell(
                f"{self._where}: the last {down.failures} attempts failed (last: {why}). "
                "Single calls probe it until one is answered."
            )
            self._log("circuit opened", {"server": self._where, "failures": down.failures, "last": why})
        down.is_open = True
        wait = min(LONGEST_PROBE_S, PROBE_S * 2**down.probes)
        down.probes += 1
        down.probe_at = now + wait
        self._hold_back(now, wait)

    def _hold_back(self, now: float, seconds: float) -> None:
        if seconds > 0 and now + seconds > self._open_at:
            self._open_at = now + seconds
            self._log("all calls wait", {"server": self._where, "seconds": round(seconds, 3)})

    def _cost(self, ticket: Ticket, tokens: int) -> None:
        if self._tokens is not None:
            self._tokens.take(self._clock(), tokens - ticket.tokens)

    def _wait(self, now: float) -> float:
        """Return the seconds until a call may go, if only time holds it back."""
        waits = (rate.wait(now) for rate in (self._requests, self._tokens) if rate is not None)
        return max(self._open_at - now, *waits, 0.0)

    def _may_go(self) -> bool:
        free = self.under_way < (1 if self._down.is_open else int(self.limit))
        return free and self._wait(self._clock()) <= 0

    def _go(self, tokens: int) -> Ticket:
        now = self._clock()
        self.under_way += 1
        if self._requests is not None:
            self._requests.take(now, 1)
        if self._tokens is not None:
            self._tokens.take(now, tokens)
        return Ticket(now, tokens, len(self._stages) - 1)

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
        if self._line and self._timer is None and (wait := self._wait(self._clock())) > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self._rung)

    def _next(self) -> _Turn:
        if not self._held:
            return self._line.popleft()
        at = next_in_line(self._held, [turn.text for turn in self._line])
        turn = self._line[at]
        del self._line[at]
        return turn

    def _rung(self) -> None:
        self._timer = None
        self._wake()


@dataclass(slots=True)
class _Turn:
    """A call that waits in line."""

    ticket: asyncio.Future[Ticket]
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
class _Growth:
    """Whether a server keeps up: its latency now beside the best that it had."""

    doubles: bool = True
    _paused_until: float = 0.0
    _latency: float = 0.0
    _best: float = float("inf")
    _times: list[float] = field(default_factory=list)

    def keeps_up(self, now: float, latency: float, limit: float) -> bool:
        """Return whether there may be more calls at once, after an answer that took so long."""
        self._times.append(latency)
        if len(self._times) >= limit:  # a round trip of all calls
            self._latency = sum(self._times) / len(self._times)
            self._best = min(self._best, self._latency)
            self._times.clear()
        return now >= self._paused_until and self._latency <= SLOWED * self._best + SLACK_S

    def pause(self, now: float) -> None:
        """Let nothing grow for a round trip."""
        self._paused_until = now + self._latency


@dataclass(slots=True)
class _Stage:
    """What came of the calls that were sent between two changes of the pace."""

    limit: float
    ok: int = 0
    refused: int = 0

    @property
    def calls(self) -> int:
        return self.ok + self.refused

    @property
    def share(self) -> float:
        return self.refused / self.calls if self.calls else 0.0

    @property
    def is_closed(self) -> bool:
        """Whether the server refuses most calls."""
        return self.calls >= ENOUGH and self.share > 0.5


@dataclass(slots=True)
class _Down:
    """A server that gives no answers.

    Attributes:
        failures: Attempts in a row that failed.
        since: When the first of them did.
        is_open: Whether the circuit is open.
        probes: How often it was probed.
        probe_at: When the next probe goes.
    """

    failures: int = 0
    since: float = 0.0
    is_open: bool = False
    probes: int = 0
    probe_at: float = 0.0
