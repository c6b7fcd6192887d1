"""How many calls at once a server takes, found out from its answers and refusals. Pure: no clock, no loop.

The number starts low and doubles every round trip, as TCP's slow start does; a 429 halves it, and from then on it grows by
one a round trip (additive increase, multiplicative decrease: Chiu and Jain 1989).

Some refusals have nothing to do with the number of calls: a gateway that fails at random, a limit that others share. Half
the calls after a rest would then be refused just as soon, while the server takes others that came later. Where it looks
so, a few calls are made with a quarter as many at once, and without a rest: if the share of refused ones is still about the
same, nothing is won by waiting with all calls, and only those that were refused wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SLOWED = 2.0
"""How many times its best a server's latency may be while the number of calls still grows."""

SLACK_S = 0.02
"""Seconds of latency that may be our own."""

FORGETTING = 1.02
"""How much the best latency is forgotten in a round trip: it may have been that of another hour, or of shorter texts."""

SOON = 4
"""Round trips after a halving within which another refusal comes too soon to be about the number of calls."""

TOLERATED = 0.4
"""The share of calls that may be refused at random while the number of calls still stays or grows."""

CLOSED = 0.9
"""The share of refused calls above which a server refuses because it is asked too much, and nothing is at random."""

NEAR = 0.9
"""Of the number of calls that was refused, the part from which on it is approached with care."""

CARE = 10.0
"""How many times as long as all calls must wait after a refusal it takes at least to come from there to the next one."""

ENOUGH = 20
"""Calls after which their share of refused ones says something."""


@dataclass(slots=True)
class Stage:
    """The calls that were sent between two changes of their number.

    Attributes:
        limit: How many could be under way at its start.
        peak: And at its end.
        sent: How many calls belong to it.
        first: Which of them, from 1, was the first to be known as refused; 0 while none is.
        soon: How many had been sent when that was known.
        ok: Answered calls.
        refused: Refused calls.
        later: Of the answered ones those that were sent after the first refused one.
        later_refused: And of the refused ones.
    """

    limit: float
    peak: float = 0.0
    sent: int = 0
    first: int = 0
    soon: int = 0
    ok: int = 0
    refused: int = 0
    later: int = 0
    later_refused: int = 0

    @property
    def calls(self) -> int:
        """How many calls came to an end that says something."""
        return self.ok + self.refused

    @property
    def share(self) -> float:
        """The share of them that was refused, 0 without any."""
        return self.refused / self.calls if self.calls else 0.0

    @property
    def takes_others(self) -> bool:
        """Whether the server took most of the calls that came after one that it refused."""
        return self.later > self.later_refused

    def answer(self, number: int) -> None:
        """Note that a call was answered."""
        self.ok += 1
        self.later += 0 < self.first < number

    def refuse(self, number: int) -> None:
        """Note that a call was refused."""
        self.refused += 1
        if not self.first:
            self.first, self.soon = number, self.sent
        self.later_refused += self.first < number


@dataclass(slots=True)
class Growth:
    """Whether a server keeps up: its latency now beside the best that it had.

    Attributes:
        doubles: Whether the number of calls doubles every round trip.
        latency: Seconds that the answers of the last round trip took on average.
    """

    doubles: bool = True
    latency: float = 0.0
    _paused_until: float = 0.0
    _best: float = float("inf")
    _times: list[float] = field(default_factory=list)
    _calls: float = 0.0
    """How many make a round trip: as many as could be under way when it began."""

    def keeps_up(self, now: float, latency: float, limit: float) -> bool:
        """Return whether there may be more calls at once, after an answer that took so long."""
        self._times.append(latency)
        self._calls = self._calls or limit
        if len(self._times) >= self._calls:
            self.latency = sum(self._times) / len(self._times)
            self._best = min(self._best * FORGETTING, self.latency)
            self._times.clear()
            self._calls = limit
        return now >= self._paused_until and self.latency <= SLOWED * self._best + SLACK_S

    def pause(self, now: float) -> None:
        """Let nothing grow for a round trip."""
        self._paused_until = max(self._paused_until, now + self.latency)


class Window:
    """The number of calls that may be under way at once.

    Args:
        first: At the start.
        most: At most, at least 1.
    """

    def __init__(self, first: int, most: int) -> None:
        self.limit = float(max(1, min(first, most)))
        self.at_random = False
        self._suspected: Stage | None = None
        self._refused_at, self._waited = 0.0, 0.0
        self._first, self._most = self.limit, float(most)
        self._growth = Growth()
        self._before: Stage | None = None
        self.stage = Stage(self.limit)

    @property
    def room(self) -> int:
        """How many calls may be under way, at least 1."""
        return int(self.limit)

    @property
    def latency(self) -> float:
        """Seconds that an answer takes now; 0 before the first ones."""
        return self._growth.latency

    def sent(self) -> tuple[Stage, int]:
        """Take note of a call that is sent; return its stage and its number there."""
        self.stage.sent += 1
        return self.stage, self.stage.sent

    def answered(self, stage: Stage, number: int, now: float, latency: float, under_way: int) -> None:
        """Take note of an answer: there may be more calls at once, where as many as may be are wanted.

        Args:
            stage: The call's.
            number: The call's.
            now: Seconds.
            latency: Seconds that the answer took.
            under_way: Calls that are, this one included.
        """
        stage.answer(number)
        keeps_up = self._growth.keeps_up(now, latency, self.limit)
        if keeps_up and 2 * under_way >= self.limit and self._suspected is None:
            self.limit = min(self._most, self.limit + self._step())
        if self.at_random and stage is self.stage and self._is_over(stage):
            self._judge(stage)

    def _step(self) -> float:
        """Return what an answer adds: a round trip doubles the number or adds one, less where a refusal costs a wait."""
        if self._growth.doubles:
            return 1.0
        careful = self._waited > 0 and NEAR * self._refused_at <= self.limit <= self._refused_at + 1.0
        return (min(1.0, self.latency / (CARE * self._waited)) if careful else 1.0) / self.limit

    def refused(self, stage: Stage, number: int, wait: float = 0.0) -> bool:
        """Take note of a 429: fewer calls at once, but only once for all that were sent together.

        Args:
            stage: The call's.
            number: The call's.
            wait: Seconds until the server wants another call.

        Returns:
            Whether all calls are to wait, and not this one alone.
        """
        stage.refuse(number)
        if stage is not self.stage:
            return not self.at_random
        if self.at_random:
            if self._is_over(stage):
                self._judge(stage)
            return not self.at_random
        if self._looks_random():
            self.at_random, self._suspected = True, self._before
            self._halve()
            return False
        self._refused_at, self._waited = self.limit, wait
        self._halve()
        return True

    def _judge(self, stage: Stage) -> None:
        """Say what the calls of a stage are worth that were made without a rest after refusals."""
        suspected, self._suspected = self._suspected, None
        if suspected is not None and stage.share < suspected.share / 2:
            self.at_random = False  # fewer calls are refused less: it is about their number
            self._go_on()
        elif stage.share > TOLERATED:
            self.at_random = stage.share <= CLOSED and self.limit > 2
            self._halve()
        else:
            if suspected is not None:
                self.limit, self._growth.doubles = suspected.peak, True
            self._go_on()

    def pause(self, now: float) -> None:
        """Let nothing grow for a round trip."""
        self._growth.pause(now)

    def start_anew(self) -> None:
        """Begin as at the start: the server was away."""
        self.limit = min(self.limit, self._first)
        self._growth = Growth()
        self.at_random, self._suspected = False, None
        self._before, self.stage = None, Stage(self.limit)

    def _looks_random(self) -> bool:
        """Return whether half as many calls as before were refused just as soon, and before that others were not."""
        before, now = self._before, self.stage
        if before is None or not before.takes_others:
            return False
        return self.limit <= 0.75 * before.peak and now.soon <= SOON * now.limit + ENOUGH / 2

    def _halve(self) -> None:
        self.stage.peak = self.limit
        self.limit = max(1.0, self.limit / 2)
        self._growth.doubles = False
        self._go_on()

    def _go_on(self) -> None:
        self._before, self.stage = self.stage, Stage(self.limit)

    def _is_over(self, stage: Stage) -> bool:
        return stage.calls >= max(ENOUGH, 2 * self.limit)
