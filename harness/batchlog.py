"""`batches.jsonl` of a run: which calls went to a provider's batch API, in which batch, and what came of it.

A line is written, and on the disk, before the step that it announces and after the step that it notes. So a run that is
killed anywhere knows what it may have submitted, and looks for that at the provider before it submits anything again.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

from harness.errors import EXIT_INCOMPLETE, DataError, HarnessError
from harness.jsonfiles import json_line, reading, writing
from harness.records import CallError

FILE = "batches.jsonl"
FORMAT = 1
"""Version of the file; a reader refuses what is newer."""

How = Literal["completed", "expired", "cancelled", "failed", "refused", "dropped"]
"""completed, expired, cancelled: as the provider says; what was answered is kept. failed: the provider took none of it.
refused: more tokens than the provider lets wait. dropped: it never came to be a batch, or the provider knows it no more."""


class StillOpenError(HarnessError):
    """Batches are at the provider, or calls are missing, and nobody waits for them."""

    exit_code = EXIT_INCOMPLETE


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a part.

    Attributes:
        answered: Requests with an answer.
        failed: By call key, failures that asking again does not change.
        again: By call key, failures that are worth another batch.
    """

    how: How
    answered: int = 0
    failed: Mapping[str, CallError] = field(default_factory=dict)
    again: Mapping[str, CallError] = field(default_factory=dict)
    at: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of requests, and the batch that it becomes.

    Attributes:
        number: From 1, in the order of planning.
        name: Of the file at the provider.
        sha256: Of its content; with the run and the number it tells the part's batch among all others.
        base_url: The server; `api` and `model` are those of all its requests.
        passes: Names of the passes whose calls it holds.
        keys: Call keys, which are the requests' ``custom_id``, in the order of the lines.
        file: Id of the uploaded file.
        batch: Id of the batch.
        submitted: When it was made a batch.
        ended: What came of it; None while it is under way.
    """

    number: int
    name: str
    sha256: str
    n_bytes: int
    base_url: str
    api: str
    model: str
    passes: tuple[str, ...]
    keys: tuple[str, ...]
    planned: str = ""
    file: str | None = None
    batch: str | None = None
    submitted: str | None = None
    ended: Ended | None = None

    @property
    def state(self) -> str:
        """How far it has come, in a word."""
        if self.ended is not None:
            return self.ended.how
        return "submitted" if self.batch else "uploaded" if self.file else "planned"


@dataclass(frozen=True, slots=True)
class Batches:
    """What the log of a run says.

    Attributes:
        parts: In the order of planning.
        settled: How many of the first parts belong to what was finished: their failures count no more.
        torn: Whether the last line was cut in the middle of a write.
        whole_bytes: Length of the file up to a torn line.
    """

    parts: tuple[Part, ...] = ()
    settled: int = 0
    torn: bool = False
    whole_bytes: int = 0

    @property
    def open(self) -> tuple[Part, ...]:
        """The parts of which nothing is known yet but that they were planned or submitted."""
        return tuple(part for part in self.parts if part.ended is None)

    def standing(self, rounds: int) -> dict[str, CallError]:
        """Return, by call key, the failures that are not asked again: their own, and those of ``rounds`` batches."""
        tries = self.tries()
        found: dict[str, CallError] = {}
        for part in self.parts[self.settled :]:
            if part.ended is not None:
                found.update(part.ended.failed)
                found.update({key: error for key, error in part.ended.again.items() if tries[key] >= rounds})
        return found

    def tries(self) -> Counter[str]:
        """Return, by call key, in how many batches it failed in a way that is worth another one."""
        ended = [part.ended for part in self.parts[self.settled :] if part.ended is not None]
        return Counter(key for each in ended for key in each.again)


def read_batches(run: Path) -> Batches:
    """Return what the log in a run's folder says; without a log, that there are no batches.

    Raises:
        DataError: It cannot be read, is of a newer version, or a line is damaged: what it says of money is not guessed.
    """
    path = run / FILE
    if not path.is_file():
        return Batches()
    parts: dict[int, Part] = {}
    settled, whole = 0, 0
    next_step = "Restore it from a copy; the provider's own list of batches names this run in their metadata."
    with reading(path, next_step), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return Batches(tuple(parts.values()), settled, torn=True, whole_bytes=whole)
            whole += len(line)
            try:
                row = json.loads(line)
                if row["v"] > FORMAT:
                    raise DataError(f"{path}: was written by a newer harness (format {row['v']}). Update it.")
                settled = len(parts) if row["event"] == "finished" else settled
                _take(row, parts)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                told = f"{type(error).__name__}: {error}"
                raise DataError(f"{path}:{number}: must be a line of this file, got {told}. {next_step}") from None
    return Batches(tuple(parts.values()), settled, whole_bytes=whole)


def _take(row: Mapping[str, Any], parts: dict[int, Part]) -> None:
    """Take a line of the log into what is known of the parts."""
    event, at = row["event"], row["at"]
    if event == "finished":
        return
    if event == "planned":
        named = {name: row[name] for name in ("number", "name", "sha256", "n_bytes", "base_url", "api", "model")}
        parts[row["number"]] = Part(**named, passes=tuple(row["passes"]), keys=tuple(row["keys"]), planned=at)
        return
    part = parts[row["number"]]
    if event == "uploaded":
        part = replace(part, file=row["file"], batch=None)
    elif event == "submitted":
        part = replace(part, batch=row["batch"], submitted=at)
    elif event == "ended":
        part = replace(part, ended=Ended(row["how"], row["answered"], row["failed"], row["again"], at))
    else:
        raise ValueError(f"unknown event {event!r}")
    parts[part.number] = part


class BatchLog:
    """The log of a run while it is written; the one process that holds the run writes it.

    Attributes:
        known: What it says so far.
    """

    def __init__(self, run: Path, known: Batches) -> None:
        self._path = run / FILE
        self._again = f"Make room, then type: harness run --resume {run.name}"
        self._file: IO[bytes] | None = None
        self._whole_bytes = known.whole_bytes
        self._torn = known.torn
        self.known = known

    def plan(self, part: Part) -> Part:
        """Note what is about to be submitted; returns the part, with its number and the time."""
        part = replace(part, number=len(self.known.parts) + 1)
        names = ("name", "sha256", "n_bytes", "base_url", "api", "model", "passes", "keys")
        self._append("planned", part.number, **{name: getattr(part, name) for name in names})
        return self.known.parts[part.number - 1]

    def uploaded(self, part: Part, file: str) -> Part:
        """Note the file of a part. It has no batch: a batch that it had is none any more."""
        return self._append("uploaded", part.number, file=file)

    def submitted(self, part: Part, batch: str, at: datetime | None = None) -> Part:
        """Note the batch of a part."""
        return self._append("submitted", part.number, at, batch=batch)

    def ended(self, part: Part, ended: Ended) -> Part:
        """Note what came of a part. Its answers are in the run's completions already."""
        said = {"how": ended.how, "answered": ended.answered, "failed": ended.failed, "again": ended.again}
        return self._append("ended", part.number, **said)

    def finished(self) -> None:
        """Note that nothing is missing: what failed stands, until somebody asks for it again."""
        if self.known.settled < len(self.known.parts):
            self._append("finished", len(self.known.parts))
            self.known = replace(self.known, settled=len(self.known.parts))

    def _append(self, event: str, number: int, at: datetime | None = None, /, **row: Any) -> Part:
        """Write a line, and wait until it is on the disk.

        Raises:
            DataError: The disk refuses; what was written before is untouched.
        """
        when = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
        whole = {"v": FORMAT, "event": event, "number": number, "at": when, **row}
        line = json_line(whole)
        with writing(self._path, self._again):
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            if self._torn:
                self._file.truncate(self._whole_bytes)
                self._torn = False
            try:
                if self._file.write(line) != len(line):
                    raise OSError("the disk took only a part of the line")
                os.fsync(self._file.fileno())
            except OSError:
                with suppress(OSError):  # else the next line would begin in the middle of this one
                    self._file.truncate(self._whole_bytes)
                raise
        self._whole_bytes += len(line)
        parts = {part.number: part for part in self.known.parts}
        _take(json.loads(line), parts)
        self.known = replace(self.known, parts=tuple(parts.values()))
        return parts[number]

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


@contextmanager
def batch_log(run: Path) -> Iterator[BatchLog]:
    """Return the log of a run to write in; the file is made with its first line."""
    log = BatchLog(run, read_batches(run))
    try:
        yield log
    finally:
        log.close()


def left_running(run: Path) -> str:
    """Return, as a sentence for people, that batches of a run go on at the provider; empty where none do.

    A file that was never noted as uploaded is no batch: it becomes one after that note. One that was may have become one, if
    the run ended before that was noted.
    """
    try:
        parts = read_batches(run).open
    except DataError:
        parts = ()
    running = sum(part.batch is not None for part in parts)
    unsure = sum(part.batch is None and part.file is not None for part in parts)
    told = []
    if running:
        told.append("1 batch of it goes on" if running == 1 else f"{running} batches of it go on")
    if unsure:
        told.append("1 batch of it may be" if unsure == 1 else f"{unsure} batches of it may be")
    return f"{' and '.join(told)} at the provider (harness batch status {run.name})." if told else ""
