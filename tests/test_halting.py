"""Stopping in order: asked once, no new call is made; asked again, it ends at once; after it signals are as they were."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from simulated_time import simulated

from harness.errors import ModelError
from harness.halting import SIGNALS, Halt, Halted, on_signals


async def test_asked_once_nothing_new_is_made() -> None:
    """After the first wish for an end no call may be made; nobody is cancelled."""
    halt = Halt()
    halt.bind()
    assert not halt.is_set
    halt.check()
    assert halt.ask() == 1
    await halt.wait()
    assert (halt.is_set, halt.error) == (True, None)
    with pytest.raises(Halted):
        halt.check()


async def test_asked_twice_it_ends_at_once() -> None:
    """The second wish cancels the run's task."""
    halt = Halt()

    async def run() -> None:
        halt.bind()
        await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    assert (halt.ask(), halt.ask(), halt.ask()) == (1, 2, 3)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_asked_before_it_begins_it_does_not_begin() -> None:
    """A wish that comes before the loop runs is kept."""
    halt, told = Halt(), []
    halt.at_the_end(lambda: told.append("end"))
    assert halt.ask(lambda: told.append("heard")) == 1
    halt.bind()
    await halt.wait()
    assert told == ["end", "heard"]


def test_asked_when_the_loop_is_gone_nothing_happens() -> None:
    """A wish that comes too late is no error."""
    halt = Halt()

    async def run() -> None:
        halt.bind()

    asyncio.run(run())
    assert (halt.ask(), halt.ask()) == (1, 2)


async def test_an_error_is_the_end_too_and_the_first_one_counts() -> None:
    """What cannot be got over ends the run; what it brings about is not what is told."""
    halt, told = Halt(), []
    halt.at_the_end(lambda: told.append("end"))
    first = ModelError("gone")
    halt.give_up(first)
    halt.give_up(ModelError("and this too"))
    assert halt.error is first
    assert told == ["end"]
    with pytest.raises(Halted):
        await halt.sleep(1.0)


def test_a_sleep_ends_with_its_time_or_with_the_run() -> None:
    """A call that waits for its next attempt does not keep the run from ending."""

    async def test() -> None:
        halt, loop = Halt(), asyncio.get_running_loop()
        halt.bind()
        start = loop.time()
        await halt.sleep(50.0)
        assert loop.time() - start == pytest.approx(50.0)
        loop.call_later(10.0, halt.ask)
        with pytest.raises(Halted):
            await halt.sleep(50.0)
        assert loop.time() - start == pytest.approx(60.0)

    simulated(test())


@contextmanager
def handlers(**chosen: Any) -> Iterator[None]:
    """Have these handlers of signals for a while."""
    before = {name: signal.signal(getattr(signal, name), handler) for name, handler in chosen.items()}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_and_is_told_once(number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a closed terminal ask for the end; at the second one the handlers are those of before."""
    heard: list[int] = []
    mine = lambda given, _frame: heard.append(given)  # noqa: E731
    with handlers(SIGINT=mine, SIGTERM=mine, SIGHUP=mine):
        halt, told = Halt(), []
        with on_signals(halt, lambda: told.append("stopping")):
            signal.raise_signal(number)
            assert (halt.is_set, told, heard) == (True, ["stopping"], [])
            signal.raise_signal(number)
            assert (told, heard) == (["stopping"], [])
            signal.raise_signal(number)
            assert heard == [number]
        assert all(signal.getsignal(each) is mine for each in SIGNALS)


def test_the_handlers_are_put_back_whatever_happens() -> None:
    """An error inside leaves no handler of ours behind."""
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(ZeroDivisionError), on_signals(Halt(), lambda: None):
        raise ZeroDivisionError
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_what_is_ignored_stays_ignored() -> None:
    """Under `nohup` a closed terminal stops nothing."""
    with handlers(SIGHUP=signal.SIG_IGN):
        halt = Halt()
        with on_signals(halt, lambda: None):
            signal.raise_signal(signal.SIGHUP)
        assert not halt.is_set
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_terminal_that_is_gone_is_no_error() -> None:
    """What cannot be told is not told."""

    def tell() -> None:
        raise OSError(5, "Input/output error")

    halt = Halt()
    with handlers(SIGHUP=signal.SIG_DFL), on_signals(halt, tell):
        signal.raise_signal(signal.SIGHUP)
    assert halt.is_set


def test_it_is_told_by_the_loop() -> None:
    """A signal that comes while the loop runs is told when whatever it interrupted is over."""
    halt = Halt()
    told: list[str] = []

    async def run() -> None:
        halt.bind()
        signal.raise_signal(signal.SIGTERM)
        assert told == []
        await halt.wait()
        await asyncio.sleep(0)
        assert told == ["stopping"]

    with on_signals(halt, lambda: told.append("stopping")):
        asyncio.run(run())


def test_a_thread_gets_no_signals() -> None:
    """Outside of the main thread nothing is touched."""
    before = [signal.getsignal(each) for each in SIGNALS]
    seen: list[object] = []

    def run() -> None:
        with on_signals(Halt(), lambda: None):
            seen.extend(signal.getsignal(each) for each in SIGNALS)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == before
