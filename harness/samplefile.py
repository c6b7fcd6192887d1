"""The samples of a run, on disk: each is read when it is asked for, so that many of them take no memory."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

from harness.jsonfiles import packed_value, reading
from harness.records import Sample, Shared

_TEXTS = frozenset({str})
_LONG_INTEGER = re.compile(rb"\d{19}")
"""What may be an integer beyond 64 bits, of which the faster reader would make a float."""


class StoredSamples(Sequence[Sample]):
    """The samples in a `samples.jsonl`, in its order. In memory is where each begins: eight bytes a sample.

    Args:
        path: The file; it is not changed while this is in use.
        next_step: What to do when it is damaged.
        count: How many there are, where that is known; else they are counted.

    Raises:
        DataError: It cannot be read: at once where they are counted, or where a sample is asked for.
    """

    def __init__(self, path: Path, next_step: str, count: int | None = None) -> None:
        self._path, self._next_step = path, next_step
        self._shared = Shared()
        self._count = len(self._starts) if count is None else count

    @cached_property
    def _starts(self) -> array[int]:
        starts, start = array("Q"), 0
        with reading(self._path, self._next_step), self._path.open("rb") as file:
            for line in file:
                starts.append(start)
                start += len(line)
        return starts

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        with reading(self._path, self._next_step), self._path.open("rb") as file:
            for line in file:
                yield self._sample(line)

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, at: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(at, slice):
            return tuple(self[each] for each in range(*at.indices(len(self))))
        with reading(self._path, self._next_step), self._path.open("rb") as file:
            file.seek(self._starts[at])
            return self._sample(file.readline())

    def _sample(self, line: bytes) -> Sample:
        row = packed_value(line)
        if not _TEXTS.issuperset(map(type, row["inputs"].values())) and _LONG_INTEGER.search(line):
            row = json.loads(line)
        return Sample.from_json(row, self._shared)
