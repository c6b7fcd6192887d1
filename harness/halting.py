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

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, the wish of another process, and a terminal that is closed."""


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
        self._at_the_end: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None

    @property
    def is_set(self) -> bool:
        """Whether no new call may be made."""
        return self._asked > 0 or self.error is not None

    def bind(self) -> None:
        """Take the running task as the one that ends at once when it is asked for twice."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._asked:
            self._end()

    def ask(self, tell: Callable[[], None] = lambda: None) -> int:
        """Ask for the end, as a person does; return how often that was done.

        Args:
            tell: Called the first time, by the loop where there is one: a signal may come in the middle of a print.
        """
        self._asked += 1
        if self._asked == 1:
            self._soon(self._end, tell)
        elif self._task is not None:
            self._soon(self._task.cancel)
        return self._asked

    def _soon(self, *calls: Callable[[], object]) -> None:
        """Call these in the loop; at once where there is none, or none any more."""
        for call in calls:
            try:
                if self._loop is None:
                    call()
                else:
                    self._loop.call_soon_threadsafe(call)
            except RuntimeError:  # the loop has closed: there is nothing left to stop
                return

    def give_up(self, error: HarnessError) -> None:
        """Come to the end because of an error."""
        self.error = self.error or error
        self._end()

    def at_the_end(self, call: Callable[[], None]) -> None:
        """Have something called when no new call may be made any more."""
        self._at_the_end.append(call)

    def _end(self) -> None:
        self._event.set()
        calls, self._at_the_end = self._at_the_end, []
        for call in calls:
            call()

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
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    # What is ignored stays so (nohup, jobs in the background), and what is not Python's could not be put back.
    before = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}

    def heard(_number: int, _frame: FrameType | None) -> None:
        if halt.ask(told) > 1:
            restore()  # who asks a third time does not wait for us

    def told() -> None:
        with suppress(OSError):  # the terminal may be gone
            tell()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, heard)
    try:
        yield
    finally:
        restore()
