"""Bounded, resumable execution: takes samples through the passes, many at a time, and loses nothing on the way.

A call is looked up in the run itself (resume), then in the cache, and only then made; its completion is written down
before anything is done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.cache import Cache
from harness.clients import Client
from harness.identity import call_key
from harness.labelspace import LabelSpace
from harness.predict import predict
from harness.prompt import Prompt
from harness.records import Call, Completion, Prediction, Sample
from harness.retry import RetryPolicy, with_retries
from harness.store import RunWriter


@dataclass(slots=True)
class Progress:
    """How far a run is: what the progress bar shows.

    Attributes:
        total: Predictions to make: samples times repeats.
        done: Predictions made.
        failed: Predictions with an unanswered cell.
        calls: Calls that were sent and ended.
        cached: Calls that the cache answered.
        resumed: Calls that the run already had.
        tokens: Tokens of the calls that were sent, prompt and completion.
    """

    total: int
    done: int = 0
    failed: int = 0
    calls: int = 0
    cached: int = 0
    resumed: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Job:
    """What a runner works with.

    Attributes:
        clients: Who answers, by pass name.
        cache: Where identical calls are found; None asks anew.
        redraw: Slots whose stored completion is not used but asked anew, past the cache.
        progress: Told after every prediction and call.
    """

    prompt: Prompt
    space: LabelSpace
    samples: Sequence[Sample]
    repeats: int
    clients: Mapping[str, Client]
    writer: RunWriter
    cache: Cache
    policy: RetryPolicy
    concurrency: int
    progress: Callable[[Progress], None]
    redraw: frozenset[tuple[str, str, str, int]] = frozenset()
    served: dict[str, None] = field(default_factory=dict)
    """Filled on the way: model names as the servers gave them, in order of appearance."""
    under_way: dict[str, asyncio.Future[Completion]] = field(default_factory=dict)
    """Calls that were sent and have no answer yet, by key: the same call is not sent twice."""

    @property
    def width(self) -> int:
        """How many calls are under way at once at most."""
        return max(1, min([self.concurrency, *(n for each in self.clients.values() if (n := each.concurrency))]))

    @cached_property
    def gate(self) -> asyncio.Semaphore:
        """What every call that is sent passes through: a sample may have many of them at once."""
        return asyncio.Semaphore(self.width)


async def run_job(job: Job) -> list[Prediction]:
    """Return the predictions of all samples and repeats, in the order of the samples, repeat by repeat.

    Raises:
        HarnessError: The model or the disk cannot be used any more. What was answered is written down.
        asyncio.CancelledError: The run was interrupted; what was answered is written down.
    """
    progress = Progress(len(job.samples) * job.repeats)
    work = _work(job)
    made: dict[tuple[str, int], Prediction] = {}

    async def worker() -> None:
        for sample, repeat in work:
            prediction = await _predict(job, progress, sample, repeat)
            made[sample.id, repeat] = prediction
            progress.done += 1
            progress.failed += prediction.failed
            job.progress(progress)

    tasks = [asyncio.create_task(worker()) for _ in range(max(1, min(job.width, progress.total)))]
    try:
        await _all_or_first_error(tasks)
    finally:
        for client in set(job.clients.values()):
            with suppress(Exception):  # the server may be gone already; what it answered is written down
                await client.close()
    return [made[sample.id, repeat] for sample, repeat in _work(job)]


def _work(job: Job) -> Iterator[tuple[Sample, int]]:
    return ((sample, repeat) for repeat in range(job.repeats) for sample in job.samples)


async def _all_or_first_error(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for all tasks; when one fails, stop the others before its error goes on."""
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _predict(job: Job, progress: Progress, sample: Sample, repeat: int) -> Prediction:
    """Take one sample through the passes."""
    asking = predict(job.prompt, job.space, sample, repeat)
    try:
        calls = next(asking)
        while True:
            calls = asking.send(await _completions(job, progress, calls))
    except StopIteration as end:
        prediction: Prediction = end.value
        return prediction


async def _completions(job: Job, progress: Progress, calls: Sequence[Call]) -> list[Completion]:
    """Return the completions of the calls of a pass, made side by side."""
    if len(calls) == 1:
        return [await _complete(job, progress, calls[0])]
    tasks = [asyncio.create_task(_complete(job, progress, call)) for call in calls]
    await _all_or_first_error(tasks)
    return [task.result() for task in tasks]


async def _complete(job: Job, progress: Progress, call: Call) -> Completion:
    """Return the completion of a call: the run's own, the cache's, or a new one."""
    client = job.clients[call.pass_name]
    body = client.body(call)
    key = call_key(client.endpoint, body, call.draw)
    redraw = call.slot in job.redraw
    stored = job.writer.latest.get(call.slot)
    if stored is not None and stored.key == key and not redraw and stored.completion.status != "error":
        progress.resumed += 1
        return stored.completion
    completion = None if redraw else job.cache.get(key)
    if completion is None and key in job.under_way:
        completion = replace(await asyncio.shield(job.under_way[key]), cached=True)
    if completion is None:
        completion = await _ask(job, key, client, body)
        # No await between the answer and its line in the file: a cancelled run loses only what was in flight.
        progress.calls += 1
        progress.tokens += completion.usage.get("prompt_tokens", 0) + completion.usage.get("completion_tokens", 0)
        if not redraw:  # or a later run would get the better of two draws without being marked
            job.cache.put(key, completion)
    else:
        progress.cached += 1
    job.writer.append(call, key, completion)
    if completion.served_model:
        job.served.setdefault(completion.served_model)
    job.progress(progress)
    return completion


async def _ask(job: Job, key: str, client: Client, body: Mapping[str, Any]) -> Completion:
    """Send a call, and let whoever wants the very same one meanwhile wait for its answer."""
    answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
    job.under_way[key] = answer
    try:
        async with job.gate:
            completion = await with_retries(lambda: client.send(body), job.policy)
        answer.set_result(completion)
    except Exception as error:
        answer.set_exception(error)
        answer.exception()  # it is raised here already; nobody else need be waiting
        raise
    finally:
        answer.cancel()
        del job.under_way[key]
    return completion
