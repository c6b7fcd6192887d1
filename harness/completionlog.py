"""`completions.jsonl` read back: the latest completion of every call, and what was damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import listing
from harness.jsonfiles import reading
from harness.records import Completion

Slot = tuple[str, str, str, int]
"""(sample, pass, unit, draw)"""


@dataclass(frozen=True, slots=True)
class StoredCompletion:
    """A completion with the key and slot of its call, and how often that was drawn again."""

    key: str
    slot: Slot
    completion: Completion
    again: int = 0


@dataclass(frozen=True, slots=True)
class CompletionLog:
    """What `completions.jsonl` holds.

    Attributes:
        latest: The latest completion of every slot.
        n_lines: Lines that could be read.
        torn: True when the last line was cut in the middle of a write.
        damaged: Numbers of other lines that could not be read, from 1.
        whole_bytes: Length of the file up to a torn line.
    """

    latest: Mapping[Slot, StoredCompletion]
    n_lines: int = 0
    torn: bool = False
    damaged: tuple[int, ...] = ()
    whole_bytes: int = 0

    def warnings(self, path: Path) -> Iterator[str]:
        """Say what was lost, for people."""
        if self.torn:
            yield f"{path}: the last line was cut off while it was written; its call is made again."
        if self.damaged:
            yield f"{path}: lines {listing(map(str, self.damaged), 5)} cannot be read; their calls are made again."


def read_completions(path: Path) -> CompletionLog:
    """Return the completions of a run; lines that cannot be read are left out and told."""
    latest: dict[Slot, StoredCompletion] = {}
    damaged: list[int] = []
    lines, whole, torn = 0, 0, False
    if not path.is_file():
        return CompletionLog(latest)
    with reading(path, "Check the file's permissions."), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            stored = _stored_completion(line)
            if stored is not None and line.endswith(b"\n"):
                latest[stored.slot] = stored
                lines += 1
                whole += len(line)
            elif line.endswith(b"\n"):
                damaged.append(number)
                whole += len(line)
            else:
                torn = True
    return CompletionLog(latest, lines, torn, tuple(damaged), whole)


def _stored_completion(line: bytes) -> StoredCompletion | None:
    try:
        row = json.loads(line)
        slot = (row["sample"], row["pass"], row["unit"], row.get("draw", row["repeat"]))
        hash(slot)
        return StoredCompletion(row["key"], slot, Completion.from_json(row), int(row.get("again", 0)))
    except (ValueError, KeyError, TypeError):
        return None
