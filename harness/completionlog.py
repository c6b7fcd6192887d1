"""`completions.jsonl` read back: the latest completion of every call, and what was damaged.

Completions stay on disk: in memory is where each call's line begins. What is looked up is read then.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, overload

from harness.bulk import many_values
from harness.callerrors import Reason, reason_of
from harness.errors import listing
from harness.jsonfiles import packed_value, reading
from harness.pricing import Kind
from harness.records import Completion

Slot = tuple[str, str, str, int]
"""(sample, pass, unit, draw)"""

_T = TypeVar("_T")
_LENGTH_BITS = 32
"""Where a line is, is one number: its first byte, shifted by so many bits, and its length."""


@dataclass(frozen=True, slots=True)
class StoredCompletion:
    """A completion with the key and slot of its call, and how often that was drawn again."""

    key: str
    slot: Slot
    completion: Completion
    again: int = 0


class Completions(Mapping[Slot, StoredCompletion]):
    """The latest completion of every slot, in the order in which the slots were first answered.

    Each look-up reads the file; what is needed often is best looked up once. Lines that are appended later are not seen.
    """

    def __init__(self, path: Path | None, places: Mapping[Slot, int]) -> None:
        self._path = path
        self._places = places
        self._file: int | None = None

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._places)

    def __contains__(self, slot: object) -> bool:
        return slot in self._places

    def __getitem__(self, slot: Slot) -> StoredCompletion:
        place = self._places[slot]
        stored = _stored_completion(self._line(place >> _LENGTH_BITS, place & (1 << _LENGTH_BITS) - 1))
        if stored is None:
            raise KeyError(slot)
        return stored

    @overload
    def get(self, slot: Slot, default: None = None, /) -> StoredCompletion | None: ...
    @overload
    def get(self, slot: Slot, default: _T, /) -> StoredCompletion | _T: ...
    def get(self, slot: Slot, default: object = None, /) -> object:
        """Return the completion of a slot, else the default."""
        return self[slot] if slot in self._places else default

    def _line(self, start: int, length: int) -> bytes:
        if self._file is None:
            self._file = os.open(self._path or "", os.O_RDONLY)
        if hasattr(os, "pread"):
            return os.pread(self._file, length, start)
        os.lseek(self._file, start, os.SEEK_SET)
        return os.read(self._file, length)

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


@dataclass(frozen=True, slots=True)
class CompletionLog:
    """What `completions.jsonl` holds.

    Attributes:
        latest: The latest completion of every slot.
        errors: Why, of the slots whose latest completion is an error.
        paid: How many calls of each kind were answered, not by the cache; a kind has the pass where others have the model.
        n_lines: Lines that could be read.
        torn: True when the last line was cut in the middle of a write.
        damaged: Numbers of other lines that could not be read, from 1.
        whole_bytes: Length of the file up to a torn line.
    """

    latest: Mapping[Slot, StoredCompletion] = field(default_factory=lambda: Completions(None, {}))
    errors: Mapping[Slot, Reason] = field(default_factory=dict)
    paid: Mapping[Kind, int] = field(default_factory=dict)
    n_lines: int = 0
    torn: bool = False
    damaged: tuple[int, ...] = ()
    whole_bytes: int = 0

    @property
    def failed(self) -> Set[Slot]:
        """The slots whose latest completion is an error."""
        return self.errors.keys()

    @property
    def n_answered(self) -> int:
        """How many slots have an answer."""
        return len(self.latest) - len(self.failed)

    def warnings(self, path: Path) -> Iterator[str]:
        """Say what was lost, for people."""
        if self.torn:
            yield f"{path}: the last line was cut off while it was written; its call is made again."
        if self.damaged:
            yield f"{path}: lines {listing(map(str, self.damaged), 5)} cannot be read; their calls are made again."


def read_completions(path: Path) -> CompletionLog:
    """Return the completions of a run; lines that cannot be read are left out and told."""
    if not path.is_file():
        return CompletionLog()
    places: dict[Slot, int] = {}
    errors: dict[Slot, Reason] = {}
    reasons: dict[Reason, Reason] = {}  # most are alike: each is kept once
    paid: Counter[Kind] = Counter()
    damaged: list[int] = []
    lines, whole, torn = 0, 0, False
    with reading(path, "Check the file's permissions."), path.open("rb") as file, many_values():
        for number, line in enumerate(file, 1):
            stored = _stored_completion(line)
            if not line.endswith(b"\n"):
                torn = True
                break
            if stored is None:
                damaged.append(number)
            else:
                lines += 1
                places[stored.slot] = whole << _LENGTH_BITS | len(line)
                if stored.completion.status == "error":
                    reason = reason_of(stored.completion.error)
                    errors[stored.slot] = reasons.setdefault(reason, reason)
                else:
                    errors.pop(stored.slot, None)
                    if not stored.completion.cached:
                        paid[Kind.of(stored.slot[1], stored.completion.usage, stored.completion.batch)] += 1
            whole += len(line)
    return CompletionLog(Completions(path, places), errors, paid, lines, torn, tuple(damaged), whole)


def completions_in(path: Path) -> Iterator[StoredCompletion]:
    """Yield every completion of a run that can be read, in the order in which they came; none where there is no file."""
    with suppress(OSError), path.open("rb") as file:
        yield from (
            stored for line in file if line.endswith(b"\n") and (stored := _stored_completion(line)) is not None
        )


def _stored_completion(line: bytes) -> StoredCompletion | None:
    try:
        row = packed_value(line)
        # The names of passes and units are few: each is kept once.
        name, unit = sys.intern(row["pass"]), sys.intern(row["unit"])
        slot = (row["sample"], name, unit, row.get("draw", row["repeat"]))
        hash(slot)
        return StoredCompletion(row["key"], slot, Completion.from_json(row), int(row.get("again", 0)))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
