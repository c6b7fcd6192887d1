"""The log of looks at locked splits, `runs/holdout.jsonl`: what a look is, how looks are counted, read and written.

The log is append-only and meant to be committed. A run is logged before its first call; which run the look came to, or
that it came to nothing, is a line of its own that follows. Lines may stand in any order, as they do after a merge.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from harness.errors import DataError, listing
from harness.identity import digest
from harness.jsonfiles import json_line, reading, writing
from harness.project import Project
from harness.store import Manifest

FORMAT = 1
"""Version of the log; a reader refuses what is newer."""

FILE = "holdout.jsonl"
"""Name of the log, in the folder of runs."""

ID = 12
"""Hex digits of a look's id."""

PATIENCE = 10
"""Seconds that another process may take to write its line."""

WITHOUT = "A look at a locked split that cannot be logged is refused: make room or check permissions."
"""What a person can do where the log cannot be written."""

BY_PROMPT = ("run", "resume")
"""What asks for looks at prompts."""

OUTSIDE = ("baseline", "import")
"""What asks for looks at predictions that no prompt made; it is what they are called, too."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a locked split: something was scored on it.

    Attributes:
        asked: The command: "run", "resume" (of a run whose look was not logged), "baseline" or "import".
        prompt: `Prompt.hash`; of predictions that no prompt made, the hash of where they come from.
        inputs: Hash of the inputs that were looked at.
        gold: Hash of their gold.
        run: The run that came of it; None while it is not known, as when the process was killed.
    """

    look: str
    time: str
    asked: str
    dataset: str
    split: str
    version: str
    prompt: str
    inputs: str
    gold: str
    n_samples: int
    models: tuple[str, ...]
    reason: str | None
    run: str | None = None

    @property
    def tried(self) -> tuple[str, tuple[str, ...], str]:
        """What was tried on which samples: looks that have it in common have taught nothing new."""
        return self.prompt, self.models, self.inputs

    def is_of(self, manifest: Manifest) -> bool:
        """Return whether a run can be what came of the look."""
        mine = (self.dataset, self.split, self.version, self.prompt, self.inputs)
        its = (manifest.dataset, manifest.split, manifest.version, manifest.prompt_hash, manifest.hashes.get("inputs"))
        return mine == its and self.time <= manifest.started


@dataclass(frozen=True, slots=True)
class Looks:
    """All looks at one locked split, the oldest first.

    Attributes:
        damaged: Numbers of the log's lines that cannot be read, from 1; they may be further looks.
    """

    dataset: str
    split: str
    looks: tuple[Look, ...] = ()
    damaged: tuple[int, ...] = ()

    @property
    def n_prompts(self) -> int:
        """How many different prompts were looked at: what matters for overfitting, more than the number of looks."""
        return len({each.prompt for each in self.looks if each.asked in BY_PROMPT})

    @property
    def n_models(self) -> int:
        """How many different models, or combinations of them, answered those prompts."""
        return len({each.models for each in self.looks if each.asked in BY_PROMPT})

    @property
    def n_repeated(self) -> int:
        """How many looks were at the same prompt with the same models and samples as an earlier one."""
        return len(self.looks) - len({each.tried for each in self.looks})

    @property
    def versions(self) -> tuple[str, ...]:
        """What was looked at, by the names of versions, each once."""
        return tuple(dict.fromkeys(each.version for each in self.looks))

    @property
    def words(self) -> str:
        """How often the split was looked at and by what, for people: "looked at 3 times, by 2 prompts"."""
        return f"{self._count()}{self._lost()}"

    def named(self, most: int = 6) -> str:
        """Return the same words with the names of the versions."""
        return f"{self._count(f' ({listing(self.versions, most)})')}{self._lost()}"

    def _count(self, names: str = "") -> str:
        if not self.looks:
            return "never looked at"
        parts = [_plural(self.n_prompts, "prompt")] if self.n_prompts else []
        outside = {kind: len({each.tried for each in self.looks if each.asked == kind}) for kind in OUTSIDE}
        parts += [_plural(n, kind) for kind, n in outside.items() if n]
        by = " and ".join(each for each in (", ".join(parts[:-1]), parts[-1]) if each)
        models = f" with {_plural(self.n_models, 'model')}" if self.n_models > 1 else ""
        repeated = f"{_plural(self.n_repeated, 'look')} repeated an earlier one"
        again = "" if not self.n_repeated else f", {repeated}" if names else f" ({repeated})"
        return f"looked at {_times(len(self.looks))}, by {by}{models}{names}{again}"

    def _lost(self) -> str:
        if not self.damaged:
            return ""
        lines = "line" if len(self.damaged) == 1 else "lines"
        return f"; {lines} {listing(map(str, self.damaged), 5)} of runs/{FILE} cannot be read, and may be more looks"

    def of(self, manifest: Manifest) -> int:
        """Return how many of the looks were at the prompt of a run, with its models."""
        return sum((each.prompt, each.models) == (manifest.prompt_hash, manifest.models) for each in self.looks)

    def to_json(self) -> dict[str, Any]:
        """Return the looks as plain values."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "n_looks": len(self.looks),
            "n_prompts": self.n_prompts,
            "n_models": self.n_models,
            "n_repeated": self.n_repeated,
            "words": self.words,
            "damaged": list(self.damaged),
            "looks": [{**asdict(each), "models": list(each.models)} for each in self.looks],
        }


def _plural(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def new_look(**values: Any) -> Look:
    """Return a look that is made now, by the names of its attributes."""
    identity = digest([time.time_ns(), os.getpid(), values], ID)
    return Look(look=identity, time=_now(), **values)


def look_of(manifest: Manifest, asked: str, reason: str | None) -> Look:
    """Return a look that is made now and came to a run."""
    return new_look(
        asked=asked,
        dataset=manifest.dataset,
        split=manifest.split,
        version=manifest.version,
        prompt=manifest.prompt_hash,
        inputs=manifest.hashes.get("inputs", ""),
        gold=manifest.hashes.get("gold", ""),
        n_samples=manifest.n_samples,
        models=manifest.models,
        reason=reason,
        run=manifest.id,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


# --- the file ---------------------------------------------------------------------------------------------------------


def path_of(project: Project) -> Path:
    """Return where the log is."""
    return project.runs / FILE


def looks_at(project: Project, dataset: str, split: str) -> Looks:
    """Return the looks at a split, the oldest first, those at the same samples under another name among them.

    Raises:
        DataError: The log cannot be read, or was written by a newer version of this program.
    """
    every, damaged = _looks(project)
    inputs = {each.inputs for each in every if (each.dataset, each.split) == (dataset, split)}
    return Looks(dataset, split, tuple(each for each in every if each.inputs in inputs), damaged)


def _looks(project: Project) -> tuple[list[Look], tuple[int, ...]]:
    """Return all looks, the oldest first, and the lines that cannot be read; looks that were withdrawn are none."""
    begun, endings, damaged = _read(path_of(project))
    found = [
        each if each.look not in endings else replace(each, run=endings[each.look])
        for each in begun
        if endings.get(each.look, "") is not None
    ]
    return sorted(found, key=lambda each: each.time), tuple(damaged)


def known_as(project: Project, n_samples: int, inputs: Callable[[], str]) -> Looks | None:
    """Return the looks at the locked split that these samples were, whatever they are called now; None when at none.

    Args:
        project: Where the log is.
        n_samples: How many they are.
        inputs: Returns their `identity.inputs_hash`; it is called only where a look at as many samples is logged.

    Raises:
        DataError: As `looks_at` says.
    """
    like = [each for each in _looks(project)[0] if each.n_samples == n_samples]
    if not like:
        return None
    wanted = inputs()
    first = next((each for each in like if each.inputs == wanted), None)
    return None if first is None else looks_at(project, first.dataset, first.split)


def _read(path: Path) -> tuple[list[Look], dict[str, str | None], list[int]]:
    """Return the looks of the log, what they came to (None for nothing), and the lines that cannot be read."""
    begun: dict[str, Look] = {}
    endings: dict[str, str | None] = {}
    damaged: list[int] = []
    for number, line in _lines(path):
        try:
            row = json.loads(line)
            if int(row["v"]) > FORMAT:
                raise DataError(
                    f"{path}:{number}: was written by a newer harness (format {row['v']}, this one reads {FORMAT}). "
                    "Update it."
                )
            if "asked" in row:
                begun.setdefault(row["look"], _from_row(row))
            else:
                endings[row["look"]] = None if row["run"] is None else str(row["run"])
        except (ValueError, KeyError, TypeError, RecursionError):
            damaged.append(number)
    return list(begun.values()), endings, damaged


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of the log that are not blank, with their numbers; of a log that is not there, none."""
    if not path.exists():
        return
    with reading(path, "Restore it from version control, or check permissions."):
        content = path.read_bytes()
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            yield number, line


def beginning(mine: Look) -> dict[str, Any]:
    """Return the line that says that a look is made."""
    return {"v": FORMAT, **asdict(mine)}


def _from_row(row: Mapping[str, Any]) -> Look:
    values = {name: row[name] for name in Look.__dataclass_fields__}
    texts = [values[name] for name in ("look", "time", "dataset", "split", "version", "prompt", "inputs")]
    if not all(isinstance(each, str) for each in texts) or values["asked"] not in (*BY_PROMPT, *OUTSIDE):
        raise TypeError("no look of this program's")
    return Look(**{**values, "models": tuple(map(str, values["models"]))})


def ending(mine: Look, run: str | None) -> dict[str, Any]:
    """Return the line that says what a look came to: None withdraws it."""
    return {"v": FORMAT, "look": mine.look, "time": _now(), "run": run}


def append(project: Project, *rows: Mapping[str, Any]) -> None:
    """Write lines at the end of the log; they are on the disk, whole, when this returns.

    Raises:
        DataError: The disk refuses; what was written before is untouched.
    """
    content = b"".join(map(json_line, rows))
    with opened(project) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                content = b"\n" + content  # a line that was cut off stays what it is, and ends there
        if file.write(content) != len(content):
            file.truncate(size)
            raise OSError("the disk took only a part of the line")
        os.fsync(file.fileno())


@contextmanager
def opened(project: Project) -> Iterator[IO[bytes]]:
    """Open the log to write at its end; one process at a time.

    Raises:
        DataError: It cannot be written.
    """
    from filelock import FileLock

    path = path_of(project)
    with writing(path, WITHOUT):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{FILE}.lock"), timeout=PATIENCE)
        with lock, path.open("a+b", buffering=0) as file:
            yield file
