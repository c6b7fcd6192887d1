"""Stopping in order: once asked, no new call is made and those under way are kept; asked again, it ends at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from harness.errors import HarnessError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Halted(Exception):  # noqa: N818 - no error of anybody's
    """A call is not made, because the run is coming to its end."""


class Halt:
    """Whether a run is to end, and why. It belongs to one event loop; `ask` may be called from any thread.

    Attributes:
        error: What cannot be got over, the first that was met; None when a person stops the run.
    """

    def __init__(self) -> None:
        self.error: HarnessError | None = None
        self._asked = 0
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    @property
    def is_set(self) -> bool:
        """Whether no new call may be made."""
        return self._asked > 0 or self.error is not None

    def bind(self) -> None:
        """Take the running task as the one that ends at once when it is asked for twice."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()

    def ask(self) -> int:
        """Ask for the end, as a person does; return how often that was done."""
        self._asked += 1
        if self._loop is not None and self._task is not None:
            with suppress(RuntimeError):  # the loop has closed: there is nothing left to stop
                self._loop.call_soon_threadsafe(self._event.set if self._asked == 1 else self._task.cancel)
        return self._asked

    def give_up(self, error: HarnessError) -> None:
        """Come to the end because of an error."""
        self.error = self.error or error
        self._event.set()

    def check(self) -> None:
        """Raise `Halted` when no new call may be made."""
        if self.is_set:
            raise Halted

    async def sleep(self, seconds: float) -> None:
        """Sleep, but not into the end.

        Raises:
            Halted: The run is coming to its end.
        """
        self.check()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), seconds)
        self.check()

    async def wait(self) -> None:
        """Wait until no new call may be made."""
        await self._event.wait()


@contextmanager
def on_signals(halt: Halt, tell: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM ask for the end; in a thread that gets no signals nothing is done.

    Args:
        halt: What is asked.
        tell: Told at the first signal, to say that it was heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def heard(_number: int, _frame: FrameType | None) -> None:
        if halt.ask() == 1:
            tell()
        else:
            restore()  # who asks a third time does not wait for us

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in SIGNALS:
        signal.signal(number, heard)
    try:
        yield
    finally:
        restore()
