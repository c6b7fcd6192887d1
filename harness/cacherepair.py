"""A cache made whole again: what a damaged file still holds, and what the runs have of it."""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from harness.cache import EMPTIED, SETTLED, Cache, besides
from harness.cachecare import completion_rows, refuse_held, run_folders
from harness.cachefile import (
    WAIT_S,
    CacheBusyError,
    CacheDamagedError,
    CacheMissingError,
    Entry,
    claim,
    decoded,
    opened,
    remove,
    text_of,
)
from harness.cachepages import Value, rows
from harness.errors import DataError
from harness.jsonfiles import reading, writing
from harness.records import Completion
from harness.store import is_held

FORMS = frozenset({"json_schema", "json_object", "grammar", "off"})
"""What the cache remembers of servers."""

PATIENCE_S = 600.0
"""Seconds to wait for another process that puts the same cache in order."""

_AT_ONCE = 1_000
"""Entries of a damaged file that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found out about a cache.

    Attributes:
        exists: Whether there is a file.
        entries: Those that could be read, damaged ones among them.
        damaged: Keys of entries that hold no completion.
        problems: What is wrong with the file's structure.
        missing: Completions that the project's runs have and the cache has not.
    """

    path: Path
    exists: bool
    entries: int = 0
    damaged: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    missing: int = 0

    @property
    def sound(self) -> bool:
        """Whether everything in it can be used."""
        return not self.damaged and not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {**asdict(self), "path": str(self.path), "sound": self.sound}


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was done to a cache.

    Attributes:
        found: How it was.
        salvaged: Entries that were taken over from a damaged file.
        removed: Damaged entries of a file that was sound otherwise.
        refilled: Completions that were put back from the project's runs.
        old: Where the damaged file is now; None where it could be used on.
    """

    found: Verified
    salvaged: int = 0
    removed: int = 0
    refilled: int = 0
    old: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            **asdict(self),
            "found": self.found.to_json(),
            "old": None if self.old is None else str(self.old),
        }


def verify(path: Path, runs: Path) -> Verified:
    """Return what can be used of a cache: its structure is checked and every entry is decoded.

    Args:
        path: The cache's file.
        runs: The project's folder of runs.

    Raises:
        CacheBusyError: Another process holds it.
        DataError: It may not be read.
    """
    keys: set[str] = set()
    damaged: list[str] = []
    problems: tuple[str, ...] = ()
    exists = True
    try:
        with opened(path) as file:
            problems = file.problems()
            for entry in file.entries():
                keys.add(entry.key)
                if entry.completion() is None:
                    damaged.append(entry.key)
    except CacheMissingError:
        exists = False
    except CacheDamagedError as error:
        problems = problems or (error.why,)
    missing = {key for key, _ in _missing(keys.difference(damaged), runs)}
    return Verified(path, exists, len(keys), tuple(damaged), problems, len(missing))


def repair(path: Path, runs: Path, *, now: datetime | None = None) -> Repaired:
    """Make a cache whole: take what can be read out of a damaged file into a new one, and refill it from the runs.

    A damaged file is kept beside the new one, as ``cache.damaged-…``. Damaged entries of a sound file are deleted: their
    calls would be made again in any case.

    Args:
        path: The cache's file; it is made where there is none.
        runs: The project's folder of runs.
        now: When this is, for the name of the damaged file.

    Raises:
        RunBusyError: A run is being written.
        CacheBusyError: Another process has the cache open.
        DataError: The disk refuses; the damaged file is where it was.
    """
    refuse_held(runs)
    claim(path)
    found = verify(path, runs)
    salvaged, old = 0, None
    if found.problems:
        salvaged, old = _salvage(path, now or datetime.now(UTC))
    elif found.damaged:
        with opened(path, write=True) as file:
            file.delete(found.damaged)
    refilled = _refill(path, runs)
    return Repaired(found, salvaged, 0 if old else len(found.damaged), refilled, old)


def _salvage(path: Path, now: datetime) -> tuple[int, Path]:
    """Put a new file with what can be read in the place of a damaged one; return how much that is, and where the old is."""
    new = path.with_name(f".{path.name}.repair")
    remove(new)
    try:
        _empty(new)
        with opened(new, write=True) as file:
            for entries, forms in _readable(path):
                file.put(entries)
                file.put_forms(forms)
            salvaged = file.count()
            file.compact()
        old = _moved_away(path, now)
        with writing(path, "Check the folder's permissions."):
            new.replace(path)
    finally:
        with suppress(DataError):
            remove(new)
    return salvaged, old


def _empty(path: Path) -> None:
    """Make a cache file without entries, which what the runs have belongs into.

    Raises:
        DataError: The disk refuses.
    """
    problems: list[str] = []
    with Cache(path, problems.append) as cache:
        cache.owe(EMPTIED)
    if problems:
        raise DataError(problems[0])


def _readable(path: Path) -> Iterator[tuple[list[Entry], list[tuple[str, str]]]]:
    """Yield what a damaged file still holds, entries and forms: first what its pages say, then what SQLite reads of it.

    Of several of a key the last one counts. Few of them are in memory at once.
    """
    carved = _carved(path)
    while some := list(islice(carved, _AT_ONCE)):
        found = [(_entry_of(row), row) for row in some]
        yield (
            [entry for entry, _ in found if entry is not None],
            [(text_of(row[0]), text_of(row[1])) for entry, row in found if entry is None and text_of(row[1]) in FORMS],
        )
    with suppress(DataError), opened(path) as file:
        entries = (entry for entry in file.entries() if entry.completion() is not None)
        while read := list(_until_damage(entries)):
            yield read, []
    with suppress(DataError), opened(path) as file:
        yield [], [(key, form) for key, form in file.forms().items() if form in FORMS]


def _until_damage(entries: Iterator[Entry]) -> Iterator[Entry]:
    """Yield the next entries; the last of them are those before the rest cannot be read."""
    with suppress(DataError):
        yield from islice(entries, _AT_ONCE)


def _entry_of(row: tuple[Value, ...]) -> Entry | None:
    content = row[1]
    at = row[2] if len(row) > 2 else None
    if not isinstance(content, bytes) or decoded(content) is None:
        return None
    return Entry(text_of(row[0]), content, at if isinstance(at, int) else None)


def _carved(path: Path) -> Iterator[tuple[Value, ...]]:
    """Yield the rows that could be entries, read from the pages of the file and of its log."""
    wal = besides(path)[0]
    with reading(path, "Check the file's permissions."):
        newest = wal.read_bytes() if wal.is_file() else b""
        if not path.stat().st_size:
            found = rows(b"", newest)
            yield from (row for row in found if _could_be_entry(row))
            return
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield from (row for row in rows(content, newest) if _could_be_entry(row))


def _could_be_entry(row: tuple[Value, ...]) -> bool:
    return len(row) in (2, 3) and isinstance(row[0], bytes) and isinstance(row[1], bytes)


def _moved_away(path: Path, now: datetime) -> Path:
    """Rename a damaged file, with what stands beside it, and return where it is now."""
    stem = f"{path.stem}.damaged-{now.astimezone(UTC):%Y%m%d-%H%M%S}"
    old, number = path.with_name(stem + path.suffix), 1
    while old.exists():
        number += 1
        old = path.with_name(f"{stem}-{number}{path.suffix}")
    with writing(path, "Check the folder's permissions."):
        for here, there in zip(besides(path), besides(old), strict=True):
            if here.exists():
                here.rename(there)
        path.rename(old)
    return old


def _refill(path: Path, runs: Path) -> int:
    """Put completions of the runs into the cache that it has not; return how many calls they are of."""
    keys = _keys(path)
    if next(_missing(keys, runs), None) is None:
        return 0
    problems: list[str] = []
    with Cache(path, problems.append) as cache:
        refilled = _put_back(cache, keys, runs)
        if not problems:
            cache.owe(SETTLED)
    if problems:
        raise DataError(problems[0])
    return refilled


def _keys(path: Path) -> set[str]:
    with suppress(CacheMissingError), opened(path) as file:
        return file.keys()
    return set()


def _put_back(cache: Cache, keys: Set[str], runs: Path) -> int:
    """Put completions of the runs into an open cache whose keys are not among these; return how many calls they are of."""
    refilled: set[str] = set()
    for key, completion in _missing(keys, runs):  # of several of a call the last one counts, as in the runs
        cache.put(key, completion)
        refilled.add(key)
    return len(refilled)


def _missing(keys: Set[str], runs: Path) -> Iterator[tuple[str, Completion]]:
    """Yield the completions of all runs whose key is not among these; of a call there can be several."""
    for folder in run_folders(runs):
        for row in completion_rows(folder):
            if row["key"] in keys or row.get("again"):  # what was drawn again is never in the cache: see the runner
                continue
            try:
                completion = Completion.from_json(row)
            except (ValueError, KeyError, TypeError):
                continue
            if completion.status != "error":
                yield row["key"], replace(completion, cached=False)


def others_answered(runs: Path, run: Path) -> int:
    """Return how many runs of a project, one left out, hold completions."""
    others = (each for each in run_folders(runs) if each != run)
    return sum(next(completion_rows(each), None) is not None for each in others)


def filled(cache: Cache, path: Path, runs: Path) -> str:
    """Put into a cache that was found empty what the runs have; return what was done in words, "" where nothing was."""
    with _alone(path):
        if cache.owed != EMPTIED:  # another process was faster
            return ""
        refilled = _put_back(cache, _keys(path), runs)
        cache.owe(SETTLED)
    return f"{path}: was empty; {_completions(refilled)} put back from the runs." if refilled else ""


def mended(path: Path, runs: Path) -> str:
    """Put a damaged file in order while runs go on; return what was done in words, "" where another process did it.

    Raises:
        CacheBusyError: Another process has the file open.
        DataError: The disk refuses.
    """
    with _alone(path):
        if not _is_damaged(path):
            return ""
        _claim(path)
        salvaged, old = _salvage(path, datetime.now(UTC))
        problems: list[str] = []
        with Cache(path, problems.append) as cache:
            # Who had the old file open writes on into that one. Its run tells what it was answered.
            for folder in run_folders(runs):
                if is_held(folder):
                    cache.begin(folder)
            refilled = _put_back(cache, _keys(path), runs)
            if not problems:
                cache.owe(SETTLED)
    if problems:
        raise DataError(problems[0])
    kept = f"{_completions(salvaged)} read from it, " if salvaged else ""
    return (
        f"{path}: was damaged; {kept}{_completions(refilled)} put back from the runs. The damaged file is {old.name}."
    )


def _completions(n: int) -> str:
    return "1 completion was" if n == 1 else f"{n:,} completions were"


def _is_damaged(path: Path) -> bool:
    try:
        with opened(path) as file:
            return bool(file.problems(quick=True))
    except CacheDamagedError:
        return True
    except CacheMissingError:
        return False


def _claim(path: Path) -> None:
    """Make sure that no other process has the file open; who met the damage too lets go of it soon."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            claim(path)
            return
        except CacheBusyError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.1)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Have no other process put this cache in order meanwhile.

    Raises:
        CacheBusyError: One does, for very long.
        DataError: The folder may not be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE_S)
    with writing(path, "Check the folder's permissions."):
        try:
            lock.acquire()
        except Timeout:
            raise CacheBusyError(f"{path}: another process is putting it in order. Wait until it has ended.") from None
    try:
        yield
    finally:
        lock.release()
