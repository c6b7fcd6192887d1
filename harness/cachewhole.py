"""The cache as a run opens it: what a damaged or emptied file has lost is put back first, so that nothing is paid twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.cache import EMPTIED, MADE, SETTLED, Cache
from harness.errors import DataError


@contextmanager
def opened_whole(path: Path | None, run: Path, warn: Callable[[str], None]) -> Iterator[Cache]:
    """Open the cache for a run, in order.

    A file that is not there was cleared on purpose, or never was: nothing is put into the new one, and where that would save
    calls it is told.

    Args:
        path: The cache's file; None keeps nothing and finds nothing.
        run: The folder of the run that this process holds, beside those of the project's other runs.
        warn: Told what was done, and what could not be.
    """
    with Cache(path, warn, lambda: path is not None and _mend(path, run.parent, warn)) as cache:
        if path is not None and cache.owed == MADE:
            _tell_new(path, run, warn)
            cache.owe(SETTLED)
        elif path is not None and cache.owed == EMPTIED:
            _fill(cache, path, run.parent, warn)
        yield cache


# What repairs is loaded only where something is to be repaired: every run begins here.


def _mend(path: Path, runs: Path, warn: Callable[[str], None]) -> bool:
    from harness.cachefile import CacheBusyError
    from harness.cacherepair import mended

    try:
        told = mended(path, runs)
    except CacheBusyError:
        return False  # the cache says what to type
    except DataError as error:
        warn(str(error))
        return False
    if told:
        warn(told)
    return True


def _fill(cache: Cache, path: Path, runs: Path, warn: Callable[[str], None]) -> None:
    from harness.cacherepair import filled

    try:
        told = filled(cache, path, runs)
    except DataError as error:
        told = str(error)
    if told:
        warn(told)


def _tell_new(path: Path, run: Path, warn: Callable[[str], None]) -> None:
    if not any(each.is_dir() and each != run for each in run.parent.iterdir()):
        return
    from harness.cacherepair import others_answered

    if others := others_answered(run.parent, run):
        n = "1 run of this project was" if others == 1 else f"{others} runs of this project were"
        warn(f"{path}: is new. What {n} answered is put into it by: harness cache verify --repair")
