"""An event loop whose time passes only in waits: hours of retries and rate limits in milliseconds, the same every time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class NothingHappens(Exception):  # noqa: N818 - it is what it says
    """Everybody waits, and nothing will ever wake them: a real loop would hang."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop for code that waits for timers, futures and one another, but for no thread and no network."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start
        super().__init__(_Waitless(self))

    def time(self) -> float:
        """Return the simulated seconds."""
        return self.now


class _Waitless(selectors.DefaultSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingHappens
        self._loop.now += max(0.0, timeout)
        return super().select(0)


def simulated(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in simulated time.

    Raises:
        NothingHappens: It would hang.
    """
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)
