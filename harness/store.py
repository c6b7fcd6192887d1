"""Runs on disk: written while they go, read back whole.

`runs/<id>/` holds `run.json` (what was asked of whom), `samples.jsonl`, `completions.jsonl` (append-only, the truth) and
what is derived from them: `predictions.jsonl` and `scores.json`.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import IO, Any, Literal

from harness import batchlog
from harness.bulk import many_values
from harness.callerrors import Failing, Reason, commonest, reason_of
from harness.completionlog import CompletionLog, Slot, read_completions
from harness.errors import DataError, RunBusyError
from harness.jsonfiles import (
    json_line,
    packed_line,
    packed_rows,
    reading,
    unwritable,
    write_json,
    write_lines,
    write_whole,
    writing,
)
from harness.labelspace import LabelSpace
from harness.pricing import Kind
from harness.prompt import Prompt
from harness.records import Call, Completion, Prediction, Sample, Shared
from harness.samplefile import StoredSamples

FORMAT = 1
"""Version of the files of a run; a reader refuses what is newer."""

FILE_SPLIT = "file:"
"""What the split of a labelling run begins with; the file's name follows."""

State = Literal["running", "complete", "incomplete", "interrupted", "stopped"]
"""running: being written. complete: every call has a completion. incomplete: calls failed. interrupted: Ctrl-C or killed.
stopped: the model could not be used any more."""


InForce = Mapping[str, "str | Mapping[str, str]"]
"""By pass, the form in which its answers had to be written, "off" for none; by unit where the units of a pass differ."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the predictions of a run come from that no prompt made: it has no passes, no calls and no completions.

    Attributes:
        kind: "import" (a file of predictions) or "baseline" (trained here on the labels).
        model: Who made them, for people; it stands where a prompt's run has the name of its model.
        file: Name of the file, for "import".
        sha256: Of its content.
        settings: What else decided the predictions, as plain values.
    """

    kind: Literal["import", "baseline"]
    model: str
    file: str | None = None
    sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run is: everything that is needed to resume it, to score it again and to know where its numbers come from.

    Attributes:
        prompt: Resolved: shots read, defaults filled in.
        prompt_hash: `Prompt.hash`.
        hashes: Of the inputs, the gold and the label space.
        split: The split's name; `default_split` tells whether it is the dataset's default.
        selection: What chose among the split's samples: filter, limit, sample ids.
        endpoints: By pass name, what stood for the server in the call key.
        served: Model names as the servers gave them.
        seeds: Seed of every random draw, by what it decides.
        constrained: What constrained the answers of the passes that wanted it and were asked.
        origin: Where the predictions come from when no prompt made them; else None.
    """

    id: str
    version: str
    state: State
    prompt: Prompt
    prompt_hash: str
    space: LabelSpace
    dataset: str
    hashes: Mapping[str, str]
    split: str
    default_split: bool
    selection: Mapping[str, Any]
    repeats: int
    endpoints: Mapping[str, Mapping[str, Any]]
    served: tuple[str, ...] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git: Mapping[str, Any] | None = None
    tag: str | None = None
    redrawn: tuple[str, ...] = ()
    n_samples: int = 0
    started: str = ""
    ended: str | None = None
    seconds: float = 0.0
    cost_usd: float | None = None
    constrained: InForce = field(default_factory=dict)
    origin: Origin | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models as they were asked for; of predictions that no prompt made, who made them."""
        if self.origin is not None:
            return (self.origin.model,)
        return tuple(model.name for model in self.prompt.models)

    @property
    def is_labelling(self) -> bool:
        """Whether the run labelled a file without gold (`harness label`): it has no scores."""
        return self.split.startswith(FILE_SPLIT)

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as plain values; `from_json` is the way back."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "origin"}
        origin = {} if self.origin is None else {"origin": asdict(self.origin)}
        return {"v": FORMAT, **row, "prompt": self.prompt.to_json(), "space": self.space.to_json(), **origin}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Manifest:
        """Return the manifest that `to_json` wrote."""
        values = {key: value for key, value in row.items() if key in cls.__dataclass_fields__}
        return cls(
            **{
                **values,
                "prompt": Prompt.from_json(row["prompt"]),
                "space": LabelSpace.from_json(row["space"]),
                "served": tuple(row["served"]),
                "redrawn": tuple(row["redrawn"]),
                "origin": Origin(**row["origin"]) if "origin" in row else None,
            }
        )


@dataclass(frozen=True)
class StoredRun:
    """A run as it is on disk. Its parts are read when they are asked for."""

    path: Path
    manifest: Manifest
    just_paid: Mapping[Kind, int] | None = None
    just_failed: Mapping[Slot, Reason] | None = None

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The samples as they were, in order."""
        with many_values():
            samples = tuple(_stored_samples(self.path))
        _check_whole(self.path, self.manifest, len(samples))
        return samples

    @cached_property
    def log(self) -> CompletionLog:
        """The completions, and what was damaged among them."""
        return read_completions(self.path / "completions.jsonl")

    @property
    def paid(self) -> Mapping[Kind, int]:
        """As that of `CompletionLog`; who wrote the run has counted it."""
        return self.log.paid if self.just_paid is None else self.just_paid

    @property
    def call_errors(self) -> tuple[Failing, ...]:
        """How often calls failed in which way, the commonest first; who wrote the run has kept it."""
        return commonest((self.log.errors if self.just_failed is None else self.just_failed).values())

    @cached_property
    def predictions(self) -> tuple[Prediction, ...]:
        """The predictions as they were last derived.

        Raises:
            DataError: There are none yet; the message says how to derive them.
        """
        return self._derived[0]

    @cached_property
    def gold(self) -> Mapping[str, frozenset[str] | None]:
        """The gold labels by sample id against which the predictions were last scored."""
        return self._derived[1]

    @cached_property
    def _derived(self) -> tuple[tuple[Prediction, ...], dict[str, frozenset[str] | None]]:
        """Predictions and gold, read together: the file is large and its rows are many times that."""
        path = self.path / "predictions.jsonl"
        if not path.is_file():
            again = f"Type: harness run --resume {self.manifest.id}"
            raise DataError(
                f"run {self.manifest.id}: has no predictions yet ({self.manifest.state}). {self._being_written or again}"
            )
        predictions: list[Prediction] = []
        gold: dict[str, frozenset[str] | None] = {}
        shared = Shared()
        with self._reading_derived(path.name), many_values():
            for row in packed_rows(path):
                predictions.append(Prediction.from_json(row, shared))
                gold[row["id"]] = None if row["gold"] is None else shared.labels(row["gold"])
        return tuple(predictions), gold

    @cached_property
    def scores(self) -> Mapping[str, Any]:
        """The content of `scores.json`."""
        path = self.path / "scores.json"
        if not path.is_file():
            again = f"Type: harness score {self.manifest.id}"
            raise DataError(f"run {self.manifest.id}: has no scores yet. {self._being_written or again}")
        with self._reading_derived(path.name):
            scores: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return scores

    @property
    def _being_written(self) -> str:
        """What is to be done where another process is writing the run; "" where none is."""
        held = self.manifest.state == "running" and is_held(self.path)
        return "Another process is writing it: wait until it has ended." if held else ""

    def _reading_derived(self, name: str) -> AbstractContextManager[None]:
        return reading(self.path / name, f"Type: harness score {self.manifest.id}")


RESTORE = "Restore it from a copy, or start a new run."


def _stored_samples(path: Path, count: int | None = None) -> StoredSamples:
    return StoredSamples(path / "samples.jsonl", RESTORE, count)


def _check_whole(path: Path, manifest: Manifest, count: int) -> None:
    """Refuse samples that are not as many as the run began with: what is scored without the others is another score."""
    if manifest.n_samples and count != manifest.n_samples:
        raise DataError(
            f"{path / 'samples.jsonl'}: must have the {manifest.n_samples} samples of the run, has {count}. {RESTORE}"
        )


def _sample_line(sample: Sample) -> bytes:
    """Return a sample as it is kept, sooner where its inputs are texts: numbers can be such as only `json` writes."""
    plain = all(type(value) is str for value in sample.inputs.values())
    return (packed_line if plain else json_line)(sample.to_json())


class RunWriter:
    """A run while it is written. One process at a time holds it.

    Use it as a context; `open_run` and `create_run` make it.

    Attributes:
        samples: The samples as they were, in order; each is read from disk when it is asked for.
        latest: The completions that the run had when it was opened.
        errors: Why, of the slots whose latest completion is an error.
        paid: As that of `CompletionLog`.
        n_answered: How many slots have an answer.
    """

    def __init__(self, path: Path, manifest: Manifest, samples: Sequence[Sample], log: CompletionLog) -> None:
        self.path = path
        self.manifest = manifest
        self.samples = samples
        self.latest = log.latest
        self.errors = dict(log.errors)
        self._reasons = {reason: reason for reason in self.errors.values()}
        self.paid = Counter(log.paid)
        self.n_answered = log.n_answered
        self._whole_bytes = log.whole_bytes
        self._waiting: list[tuple[bytes, Call, Completion]] = []
        with writing(path / "completions.jsonl", "Make room or check permissions."):
            self._file: IO[bytes] = (path / "completions.jsonl").open("ab", buffering=0)
            if log.torn:
                self._file.truncate(self._whole_bytes)

    @property
    def failed(self) -> Set[Slot]:
        """The slots whose latest completion is an error."""
        return self.errors.keys()

    @property
    def is_empty(self) -> bool:
        """Whether no completion was ever written, not even of a call that failed."""
        return self._whole_bytes == 0

    def append(self, call: Call, key: str, completion: Completion, *, in_cache: bool = False) -> None:
        """Write a completion down. It is in the file, whole, when this returns.

        Args:
            call: What was asked.
            key: Its call key.
            completion: What was answered.
            in_cache: It came from the cache, so that it is not lost if it waits to be written together with others.

        Raises:
            DataError: The disk refuses; what was written before is untouched.
        """
        row = {
            "v": FORMAT,
            "key": key,
            "sample": call.sample,
            "pass": call.pass_name,
            "unit": call.unit,
            "repeat": call.repeat,
            **({"draw": call.draw} if call.draw != call.repeat else {}),
            **({"again": call.again} if call.again else {}),
            **completion.to_json(),
        }
        # Log-probabilities may be infinite, which only `json` can write.
        line = packed_line(row) if completion.logprobs is None else json_line(row)
        self._waiting.append((line, call, completion))
        if not in_cache or len(self._waiting) == TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write down the completions that wait to be written.

        Raises:
            DataError: The disk refuses; what was written before is untouched.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        lines = waiting[0][0] if len(waiting) == 1 else b"".join(line for line, *_ in waiting)
        try:
            write_whole(self._file, lines)
        except OSError as error:
            with suppress(OSError):  # else the next line would begin in the middle of this one
                self._file.truncate(self._whole_bytes)
            again = f"harness run --resume {self.manifest.id}" if self.n_answered else "the same command again"
            raise unwritable(self.path / "completions.jsonl", error, f"Make room, then type: {again}") from None
        self._whole_bytes += len(lines)
        for _, call, completion in waiting:
            self._count(call, completion)

    def _count(self, call: Call, completion: Completion) -> None:
        slot = call.slot
        if completion.status == "error":
            self.n_answered -= slot in self.latest and slot not in self.errors
            reason = reason_of(completion.error)
            self.errors[slot] = self._reasons.setdefault(reason, reason)  # most are alike: each is kept once
            return
        if slot in self.errors:
            del self.errors[slot]
            self.n_answered += 1
        elif slot not in self.latest:
            self.n_answered += 1
        if not completion.cached:
            self.paid[Kind.of(call.pass_name, completion.usage, completion.batch)] += 1

    def update(self, **changes: Any) -> None:
        """Change the manifest and write it down."""
        self.manifest = replace(self.manifest, **changes)
        write_json(self.path / "run.json", self.manifest.to_json())

    @contextmanager
    def predicting(self) -> Iterator[PredictionDraft]:
        """Take predictions as they are made; when all of them are there, they are the run's.

        Raises:
            DataError: The disk refuses.
        """
        path = self.path / "predictions.jsonl"
        draft = path.with_name(f".{path.name}.draft")
        try:
            with writing(path, f"Make room, then type: harness run --resume {self.manifest.id}"):
                # Without a buffer: what is left in one would be written, and refused, once more when the file is closed.
                file = draft.open("wb", buffering=0)
            with file:
                made = PredictionDraft(path, file, self.manifest)
                yield made
                made.flush()
            with writing(path, "Check the folder's permissions."):
                draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise

    def keep_scores(self, scores: Mapping[str, Any]) -> None:
        """Write down what the predictions are worth."""
        write_json(self.path / "scores.json", scores)

    def derive(self, predictions: Iterable[Prediction], scores: Mapping[str, Any]) -> None:
        """Write what was derived from the completions."""
        gold = {sample.id: sample.labels for sample in self.samples}
        write_derived(self.path, self.manifest.space, gold, predictions, scores)

    def close(self) -> None:
        """Let go of the file."""
        with suppress(DataError):  # what waits is in the cache, and whoever wanted to know flushed before
            self.flush()
        self._file.close()


TOGETHER = 64
"""Predictions, or completions out of the cache, that are written together: done at once they take half the time."""


class PredictionDraft:
    """`predictions.jsonl` while its predictions are made, in any order; it has them in that of the samples."""

    def __init__(self, path: Path, file: IO[bytes], manifest: Manifest) -> None:
        self._path, self._file, self._manifest = path, file, manifest
        self._new: list[tuple[int, Prediction, frozenset[str] | None]] = []
        self._early: dict[int, bytes] = {}
        self._next = 0

    def add(self, position: int, sample: Sample, prediction: Prediction) -> None:
        """Take a prediction.

        Args:
            position: Among all predictions, from 0.
            sample: Whose it is.
            prediction: What was said.

        Raises:
            DataError: The disk refuses.
        """
        self._new.append((position, prediction, sample.labels))
        if len(self._new) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write down the predictions whose turn it is.

        Raises:
            DataError: The disk refuses.
        """
        new, self._new = self._new, []
        for position, prediction, gold in new:
            self._early[position] = _prediction_line(prediction, self._manifest.space, gold)
        lines = list[bytes]()
        while (line := self._early.pop(self._next, None)) is not None:
            lines.append(line)
            self._next += 1
        try:
            write_whole(self._file, b"".join(lines))
        except OSError as error:
            next_step = f"Make room, then type: harness run --resume {self._manifest.id}"
            raise unwritable(self._path, error, next_step) from None


def _prediction_line(prediction: Prediction, space: LabelSpace, gold: frozenset[str] | None) -> bytes:
    return packed_line(prediction.to_json(space.index, gold))


def write_derived(
    path: Path,
    space: LabelSpace,
    gold: Mapping[str, frozenset[str] | None],
    predictions: Iterable[Prediction],
    scores: Mapping[str, Any],
) -> None:
    """Write `predictions.jsonl` and `scores.json` of a run."""
    write_lines(
        path / "predictions.jsonl", (_prediction_line(each, space, gold.get(each.sample)) for each in predictions)
    )
    write_json(path / "scores.json", scores)


@contextmanager
def create_run(runs: Path, manifest: Manifest, samples: Iterable[Sample]) -> Iterator[RunWriter]:
    """Make a run's folder and hold it. The manifest's id is made unique when the folder exists.

    A run that breaks off before a call was answered is removed; so is one of outside predictions that breaks off at all.

    Raises:
        DataError: The disk refuses.
    """
    path = _new_folder(runs, manifest.id)
    keep = False
    try:
        with _held(path):
            counted = count()
            write_lines(path / "samples.jsonl", (_sample_line(each) for each, _ in zip(samples, counted, strict=False)))
            stored = _stored_samples(path, next(counted))
            writer = RunWriter(path, replace(manifest, id=path.name), stored, CompletionLog())
            try:
                writer.update(state="running")
                yield writer
                keep = not writer.is_empty or manifest.origin is not None
            finally:
                writer.close()
                # What was submitted goes on at the provider, and is paid.
                keep = keep or bool(writer.n_answered) or (path / batchlog.FILE).exists()
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)  # no call was answered before the run broke off


@contextmanager
def open_run(run: StoredRun) -> Iterator[RunWriter]:
    """Hold a run that exists, to add completions to it.

    Raises:
        RunBusyError: Another process holds it.
    """
    with _held(run.path):
        fresh = load_run(run.path)
        samples = _stored_samples(run.path)
        _check_whole(run.path, fresh.manifest, len(samples))
        writer = RunWriter(run.path, fresh.manifest, samples, fresh.log)
        try:
            yield writer
        finally:
            writer.close()


@contextmanager
def _held(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path / ".lock", timeout=0)
    with writing(path / ".lock", "Check the folder's permissions."):
        try:
            lock.acquire()
        except Timeout:  # an OSError too
            raise RunBusyError(
                f"run {path.name}: another process is writing it. Wait until it has ended, or start a run of its own."
            ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Return whether some process is writing the run; True also where this one may not look."""
    try:
        with _held(path):
            return False
    except (RunBusyError, DataError):
        return True


def _new_folder(runs: Path, wanted: str) -> Path:
    with writing(runs / wanted, "Check the folder's permissions."):
        runs.mkdir(parents=True, exist_ok=True)
        number, path = 1, runs / wanted
        while not _made(path):
            number += 1
            path = runs / f"{wanted}-{number}"
    return path


def _made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def new_id(version: str, now: datetime) -> str:
    """Return the id of a run that starts now: its version and the time in UTC."""
    return f"{version}-{now.astimezone(UTC):%Y%m%d-%H%M%S}"


def load_run(path: Path) -> StoredRun:
    """Return the run in a folder.

    Raises:
        DataError: There is no run, or it was written by a newer version of this program, or is damaged.
    """
    file = path / "run.json"
    if not file.exists():
        raise DataError(f"{path}: must be a run's folder, but has no run.json. See: harness runs")
    with reading(file, "Restore it from a copy, or start a new run."):
        row = json.loads(file.read_text(encoding="utf-8"))
        if row["v"] > FORMAT:
            raise DataError(
                f"{file}: was written by a newer harness (format {row['v']}, this one reads {FORMAT}). Update it."
            )
        return StoredRun(path, Manifest.from_json(row))
