"""A cache made whole again: what a damaged file still holds, and what the runs have of it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.cache import Cache
from harness.cachecare import completion_rows, refuse_held, run_folders
from harness.cachefile import (
    CacheDamagedError,
    CacheMissingError,
    Entry,
    besides,
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

FORMS = frozenset({"json_schema", "json_object", "grammar", "off"})
"""What the cache remembers of servers."""


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
        entries, forms = _readable(path)
        with opened(new, write=True) as file:
            file.put(entries.values())
            file.put_forms(forms.items())
            file.compact()
        old = _moved_away(path, now)
        with writing(path, "Check the folder's permissions."):
            new.replace(path)
    finally:
        with suppress(DataError):
            remove(new)
    return len(entries), old


def _empty(path: Path) -> None:
    """Make a cache file without entries.

    Raises:
        DataError: The disk refuses.
    """
    problems: list[str] = []
    Cache(path, problems.append).close()
    if problems:
        raise DataError(problems[0])


def _readable(path: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return what a damaged file still holds, by key: what SQLite reads of it goes before what its pages say."""
    entries: dict[str, Entry] = {}
    forms: dict[str, str] = {}
    for row in _carved(path):
        key, content = text_of(row[0]), row[1]
        at = row[2] if len(row) > 2 else None
        if decoded(content) is not None and isinstance(content, bytes):
            entries[key] = Entry(key, content, at if isinstance(at, int) else None)
        elif text_of(content) in FORMS:
            forms[key] = text_of(content)
    with suppress(DataError), opened(path) as file:
        for entry in file.entries():
            if entry.completion() is not None:
                entries[entry.key] = entry
    with suppress(DataError), opened(path) as file:
        forms |= {key: form for key, form in file.forms().items() if form in FORMS}
    return entries, forms


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
    keys: set[str] = set()
    with suppress(CacheMissingError), opened(path) as file:
        keys = {entry.key for entry in file.entries()}
    if next(_missing(keys, runs), None) is None:
        return 0
    refilled: set[str] = set()
    problems: list[str] = []
    with Cache(path, problems.append) as cache:
        for key, completion in _missing(keys, runs):  # of several of a call the last one counts, as in the runs
            cache.put(key, completion)
            refilled.add(key)
    if problems:
        raise DataError(problems[0])
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
