"""Files of requests through a provider's batch API: uploaded, submitted, looked at, fetched; each step is noted at once.

Money is spent in one step alone, the submission. The log announces it and notes it, and what was announced and not noted is
looked for at the provider before anything is submitted.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import cast

from harness.batchfiles import Draft, Limits, Target, results
from harness.batchlog import BatchLog, Ended, How, Part, StillOpenError
from harness.batchreading import Keep, Reading
from harness.clients.batches import (
    ENDED,
    QUEUE_FULL,
    BatchApi,
    Fault,
    GoneError,
    NotReachedError,
    QueueFullError,
    RemoteBatch,
)
from harness.clients.wires import WIRES
from harness.errors import HarnessError, ModelError
from harness.prompt import Api
from harness.records import Call

_HALVINGS = 4
"""How often a file that is more than the provider's queue takes is made half as large, before it is given up."""

_ACCESS = frozenset({401, 403, 404})
"""HTTP statuses of a key, a right or a model that is not there: when all requests end so, no batch ever helps."""

_TOLD = 5
"""Faults of a batch that are told."""


class CancelledBatchError(ModelError):
    """Somebody cancelled a batch; what it answered is kept."""


@dataclass(frozen=True, slots=True)
class Looks:
    """How often batches are looked at: first soon, then more and more seldom.

    Attributes:
        unreached: Looks in a row without an answer of the provider, after which it is given up.
    """

    first_s: float = 5.0
    factor: float = 1.5
    longest_s: float = 60.0
    unreached: int = 20

    def after(self, looks: int) -> float:
        """Return the seconds until the next look, given how many there were since something happened."""
        return min(self.longest_s, self.first_s * self.factor ** min(looks, 50))


@dataclass(frozen=True, slots=True)
class Waiting:
    """How far the batches under way are.

    Attributes:
        batches: How many there are.
        done: Requests with an answer, of ``total``; ``failed`` have none.
        since: When the first of them was submitted.
        next_s: Seconds until they are looked at again; 0 where nobody will.
        unreached: Whether the provider did not answer just now.
    """

    batches: int
    done: int
    failed: int
    total: int
    since: datetime | None
    next_s: float = 0.0
    unreached: bool = False


@dataclass(frozen=True, slots=True)
class Ways:
    """How a run's calls are batched.

    Attributes:
        submit: False submits nothing: it fetches what is there.
        wait: False looks once, and leaves what is under way.
        limits: What a file of requests can hold.
        rounds: How many batches a request is in before its failure stands.
        looks: How often to look.
        tell: Told how far the batches are, at every look.
        allow: Told of every file, its requests and bytes before it is uploaded; raises what forbids it.
        sleep: How to wait.
    """

    submit: bool = True
    wait: bool = True
    limits: Limits = field(default_factory=Limits)
    rounds: int = 3
    looks: Looks = field(default_factory=Looks)
    tell: Callable[[Waiting], None] = lambda _: None
    allow: Callable[[Target, int, int], None] = lambda _target, _requests, _bytes: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


def metadata(run: str, part: Part) -> dict[str, str]:
    """Return what tells a part's batch among all others of its provider."""
    return {"harness_run": run[:512], "part": str(part.number), "sha256": part.sha256}


@dataclass
class Sending:
    """The batches of a run.

    Attributes:
        run: Its id.
        folder: Where it is kept.
        api_of: Returns the batches of a server, by its base URL.
        keep: Writes a completion down.
        warn: Told what a person should know.
        halvings: How often the files were made half as large, because the provider's queue did not take them.
    """

    run: str
    folder: Path
    log: BatchLog
    api_of: Callable[[str], BatchApi]
    ways: Ways
    keep: Keep
    warn: Callable[[str], None]
    halvings: int = 0
    _one_by_one: bool = False
    _too_large: bool = False

    async def recover(self) -> None:
        """Find at the provider what was announced and not noted, because the run was killed in between."""
        for part in self.log.known.open:
            if part.batch is not None:
                continue
            api = self.api_of(part.base_url)
            if (found := await api.find(metadata(self.run, part))) is not None:
                part = part if part.file else self.log.uploaded(part, found.input or "")
                self.log.submitted(part, found.id, found.created)
            elif part.file is None and (file := await api.find_file(part.name, part.n_bytes)):
                self.log.uploaded(part, file)
            elif part.file is None:
                self.log.ended(part, Ended("dropped"))

    async def carry_out(self, drafts: Sequence[Draft], wanted: Mapping[str, Sequence[Call]]) -> None:
        """Submit files of requests, and fetch what these and all other open batches answer.

        Args:
            drafts: What to submit.
            wanted: By call key, the calls that wait for an answer; without their messages, which nobody looks at here.

        Raises:
            StillOpenError: Batches are under way, and nobody waits for them.
            CancelledBatchError: One of them was cancelled.
            ModelError: One of them failed as a whole, or the provider cannot be used.
        """
        left, looks, unreached = list(drafts), 0, 0
        self._too_large = False
        while True:
            await self._submit_more(left)
            n = len(self._running())
            unreached = 0 if await self._fetch_ended(wanted, self.ways.looks.after(looks)) else unreached + 1
            if unreached >= self.ways.looks.unreached:
                raise NotReachedError(
                    f"{self._where()}: the provider does not answer. Its batches go on. {self._later()}"
                )
            if self._too_large:
                left.clear()  # the next round makes smaller ones
            if not self._running() and not (self.ways.submit and (left or self._idle())):
                if self._idle():
                    raise self._still_open()
                return
            if self._running() and not self.ways.wait:
                raise self._still_open()
            if len(self._running()) == n:
                await self.ways.sleep(self.ways.looks.after(looks))
            looks = looks + 1 if len(self._running()) == n else 0

    # Submitting

    async def _submit_more(self, left: list[Draft]) -> None:
        """Submit what is left, all of it where the provider's queue has room."""
        if not self.ways.submit:
            return
        for part in self._idle():
            if not (self._one_by_one and self._running()):
                await self._create(part)
        while left and not self._too_large and not (self._one_by_one and self.log.known.open):
            await self._submit(left.pop(0))

    async def _submit(self, draft: Draft) -> None:
        target, sha = draft.target, draft.sha256
        self.ways.allow(target, len(draft.keys), draft.n_bytes)
        name = f"harness-{sha[:32]}.jsonl"
        passes, keys = tuple(draft.passes), tuple(draft.keys)
        part = self.log.plan(Part(0, name, sha, draft.n_bytes, *target, passes=passes, keys=keys))
        try:
            file = await self.api_of(target.base_url).upload(name, draft.file)
        except NotReachedError:  # it may be there: `recover` looks
            raise
        except ModelError:
            self.log.ended(part, Ended("dropped"))
            raise
        part = self.log.uploaded(part, file)
        draft.file.close()  # its room on the disk is free from here on
        await self._create(part)

    async def _create(self, part: Part) -> None:
        """Make a batch of a file that is uploaded."""
        path = WIRES[cast(Api, part.api)].path
        try:
            made = await self.api_of(part.base_url).submit(str(part.file), path, metadata(self.run, part))
        except QueueFullError as error:
            self._queue_is_full(part, str(error))
            return
        except NotReachedError:  # it may be a batch: `recover` looks
            raise
        except ModelError:
            self.log.ended(part, Ended("dropped"))
            raise
        self.log.submitted(part, made.id, made.created)

    def _queue_is_full(self, part: Part, said: str) -> None:
        """Wait for the batches that are in the provider's queue; where there are none of this run, make the file smaller.

        Raises:
            ModelError: The queue takes not even a small one.
        """
        self._one_by_one = True
        if any(other.number != part.number for other in self._running()):
            self.log.uploaded(part, str(part.file))
            return
        self.log.ended(part, Ended("refused"))
        self.halvings += 1
        self._too_large = True
        if len(part.keys) == 1 or self.halvings > _HALVINGS:
            raise ModelError(
                f"{self._where()}: the provider's queue has no room for {calls(len(part.keys))}: {said.rstrip('.')}. "
                f"{self._later()}"
            )

    def _running(self) -> list[Part]:
        return [part for part in self.log.known.open if part.batch is not None]

    def _idle(self) -> list[Part]:
        """Return the parts that are uploaded and no batch yet."""
        return [part for part in self.log.known.open if part.batch is None and part.file is not None]

    # Fetching

    async def _fetch_ended(self, wanted: Mapping[str, Sequence[Call]], next_s: float) -> bool:
        """Look at the batches under way, and fetch what ended ones answer; return whether all could be seen."""
        seen: list[RemoteBatch] = []
        ends: list[HarnessError] = []
        unreached = 0
        for part in self._running():
            try:
                batch = await self.api_of(part.base_url).retrieve(str(part.batch))
            except NotReachedError:
                unreached += 1
                continue
            except GoneError as error:
                raise self._lost(error) from None
            if batch.status not in ENDED:
                seen.append(batch)
            elif (end := await self._end(part, batch, wanted)) is not None:
                ends.append(end)
        if running := self._running():
            since = [datetime.fromisoformat(part.submitted) for part in running if part.submitted]
            self.ways.tell(
                Waiting(
                    len(running),
                    done=sum(each.done for each in seen),
                    failed=sum(each.failed for each in seen),
                    total=sum(len(part.keys) for part in running),
                    since=min(since, default=None),
                    next_s=next_s if self.ways.wait else 0.0,
                    unreached=unreached > 0,
                )
            )
        if ends:
            raise ends[0]
        return not unreached

    async def _end(self, part: Part, batch: RemoteBatch, wanted: Mapping[str, Sequence[Call]]) -> HarnessError | None:
        """Take what an ended batch brought, and return what of it ends the run."""
        if batch.status == "failed":
            return self._failed(part, batch.faults, wanted)
        ended = await self._fetch(part, batch, wanted)
        statuses = {error["status"] for error in ended.failed.values()}
        if not ended.answered and len(ended.failed) == len(part.keys) and len(statuses) == 1 and statuses <= _ACCESS:
            self.log.ended(part, Ended("failed"))
            said = next(iter(ended.failed.values()))["message"].rstrip(".")
            return ModelError(
                f"{part.base_url}, model {part.model}: no request of batch {batch.id} was let in: {said}."
            )
        self.log.ended(part, ended)
        if ended.how == "cancelled":
            kept = f"{ended.answered} of its {calls(len(part.keys))} had an answer, which is kept"
            return CancelledBatchError(f"{self._where()}: batch {batch.id} was cancelled; {kept}. {self._later()}")
        return None

    def _failed(self, part: Part, faults: Sequence[Fault], wanted: Mapping[str, Sequence[Call]]) -> HarnessError | None:
        """Return the message about a batch that a provider does not take; None when its queue is full."""
        full = next((fault for fault in faults if fault.code == QUEUE_FULL), None)
        if full is not None:
            self._queue_is_full(part, full.message)
            return None
        told = [_fault(part, fault, wanted) for fault in faults[:_TOLD]]
        told += [f"and {len(faults) - _TOLD} more"] if len(faults) > _TOLD else []
        self.log.ended(part, Ended("failed"))
        why = "; ".join(told) or "it does not say why"
        return ModelError(
            f"{part.base_url}: batch {part.batch} failed before any of its requests was processed: {why}."
        )

    async def _fetch(self, part: Part, batch: RemoteBatch, wanted: Mapping[str, Sequence[Call]]) -> Ended:
        """Write down what an ended batch answered, and return what came of its requests."""
        reading = Reading(part, wanted, self.log.known.tries(), self.keep)
        for file in (batch.output, batch.errors):
            if file is not None:
                with tempfile.TemporaryFile(dir=self.folder) as content:
                    try:
                        await self.api_of(part.base_url).download(file, content)
                    except GoneError as error:
                        raise self._lost(error) from None
                    for result in results(content):
                        reading.take(result)
        for n, what in (
            (reading.unreadable, "cannot be read"),
            (reading.doubled, "answer a request that another line answers, and are left out"),
            (reading.strange, "answer no request of it, and are left out"),
        ):
            if n:
                self.warn(f"batch {batch.id}: lines of its files that {what}: {n}.")
        return reading.end(cast(How, batch.status))

    def _still_open(self) -> StillOpenError:
        told = []
        for parts, one, more, where in (
            (self._running(), "1 batch", "batches", " at the provider"),
            (self._idle(), "1 uploaded file", "uploaded files", " not submitted yet"),
        ):
            n = sum(len(part.keys) for part in parts)
            if parts:
                told.append(f"{one if len(parts) == 1 else f'{len(parts)} {more}'} with {calls(n)}{where}")
        see = f"See: harness batch status {self.run}"
        return StillOpenError(f"{self._where()}: {', '.join(told)}. {see}. {self._later()}")

    def _lost(self, error: GoneError) -> ModelError:
        """Return the message about what the provider has no more; that its calls are paid again is for a person to say."""
        forget = f"harness batch cancel {self.run}"
        return GoneError(f"{error} It was deleted, or made with another key. To have its calls asked again: {forget}")

    def _where(self) -> str:
        return f"run {self.run}"

    def _later(self) -> str:
        return f"Go on with: harness run --resume {self.run}"


def _fault(part: Part, fault: Fault, wanted: Mapping[str, Sequence[Call]]) -> str:
    """Return a fault in words, with the sample whose request it is about."""
    about = ""
    if fault.line is not None:
        asking = wanted.get(part.keys[fault.line - 1], ()) if 0 < fault.line <= len(part.keys) else ()
        about = f"line {fault.line}{f', sample {asking[0].sample}' if asking else ''}: "
    return f"{about}{fault.message.rstrip('.')} ({fault.code})"


def calls(n: int) -> str:
    """Return a number of calls in words."""
    return "1 call" if n == 1 else f"{n:,} calls"
