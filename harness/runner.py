"""Bounded, resumable execution: takes samples through the passes, many at a time, and loses nothing on the way.

A call is looked up in the run itself (resume), then in the cache, and only then made; its completion is written down
before anything is done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.cache import Cache
from harness.clients import Client
from harness.constraining import REFUSALS, Constraining, form_of
from harness.identity import call_key
from harness.labelspace import LabelSpace
from harness.predict import predict
from harness.prompt import Prompt
from harness.records import Call, Completion, Prediction, Sample
from harness.retry import AttemptFailed, RetryPolicy, with_retries
from harness.store import InForce, RunWriter

_CHANCES = 2
"""How often a form is sent to a server that refuses it."""


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

    found_out: dict[str, Completion] = field(default_factory=dict)
    """What the calls brought that found out about constraints, by their first key: the same calls waited for them."""

    warn: Callable[[str], None] = lambda _: None
    """Told what a person should know."""

    @property
    def width(self) -> int:
        """How many calls are under way at once at most."""
        return max(1, min([self.concurrency, *(n for each in self.clients.values() if (n := each.concurrency))]))

    @cached_property
    def gate(self) -> asyncio.Semaphore:
        """What every call that is sent passes through: a sample may have many of them at once."""
        return asyncio.Semaphore(self.width)

    @cached_property
    def constraining(self) -> Constraining:
        """What is known of the forms in which the servers let answers be constrained."""
        frozen = self.writer.manifest.constrained
        return Constraining(self.prompt, self.space, self.clients, self.cache, frozen, self._record, self.warn)

    def _record(self, in_force: InForce) -> None:
        self.writer.update(constrained=in_force)


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
    call = _numbered(job, call)
    known = job.constraining
    ways = known.ladder(call)
    request = _request(job, call, known.likely(ways))
    same: Completion | None = None
    if not known.settled(ways) and _at_hand(job, request) is None:
        first = request.key
        async with ways.lock:
            same = job.found_out.get(first)
            if not known.settled(ways) and same is None:
                job.found_out[first] = await _find_out(job, progress, call)
                return job.found_out[first]
        request = _request(job, call, known.likely(ways))
    known.use(call, request.at)
    completion = await _fetched(job, request) if same is None else replace(same, cached=True)
    return _kept(job, progress, request, completion)


def _numbered(job: Job, call: Call) -> Call:
    """Return a call with how often it was drawn again, this time included."""
    stored = job.writer.latest.get(call.slot)
    again = (0 if stored is None else stored.again) + (call.slot in job.redraw)
    return replace(call, again=again) if again else call


async def _find_out(job: Job, progress: Progress, call: Call) -> Completion:
    """Return the completion of the call that finds out in which form its server lets answers be constrained.

    It goes down from form to form as long as they are refused. Where it is refused without any constraint too, or fails in
    another way, the constraint is not to blame: that is the call's own failure, and the next call finds out.
    """
    known = job.constraining
    ways = known.ladder(call)
    refusals: dict[str, str] = {}
    at, last = known.likely(ways), len(ways.steps) - 1
    while True:
        request = _request(job, call, at)
        completion = await _fetched(job, request, patient=at == last)
        if completion.error is None:
            known.settle(call, at, refusals)
        if completion.error is None or at == last or completion.error["status"] not in REFUSALS:
            return _kept(job, progress, request, completion)
        refusals[form_of(ways.steps[at])] = completion.error["message"]
        at += 1


@dataclass(frozen=True, slots=True)
class _Request:
    """A call as it is sent; `at` is the step of its ladder by which it is constrained."""

    call: Call
    at: int
    body: Mapping[str, Any]
    key: str


def _request(job: Job, call: Call, at: int) -> _Request:
    client = job.clients[call.pass_name]
    body = client.body(call, job.constraining.ladder(call).steps[at])
    return _Request(call, at, body, call_key(client.endpoint, body, call.draw))


def _at_hand(job: Job, request: _Request) -> Completion | None:
    """Return the completion that the run itself or the cache has of a call; None when it must be asked."""
    slot = request.call.slot
    if slot in job.redraw:
        return None
    stored = job.writer.latest.get(slot)
    if stored is not None and stored.key == request.key and stored.completion.status != "error":
        return stored.completion
    return job.cache.get(request.key)


async def _fetched(job: Job, request: _Request, *, patient: bool = True) -> Completion:
    """Return the completion that is at hand, that of the same call under way, or a new one."""
    completion = _at_hand(job, request)
    if completion is None and request.key in job.under_way:
        return replace(await asyncio.shield(job.under_way[request.key]), cached=True)
    return await _ask(job, request, patient=patient) if completion is None else completion


def _kept(job: Job, progress: Progress, request: _Request, completion: Completion) -> Completion:
    """Return a completion, written down.

    No await stands between the answer and its line in the file: a cancelled run loses only what was in flight.
    """
    call, key = request.call, request.key
    stored = job.writer.latest.get(call.slot)
    if stored is not None and stored.completion is completion:
        progress.resumed += 1
        return completion
    if completion.cached:
        progress.cached += 1
    else:
        progress.calls += 1
        progress.tokens += completion.usage.get("prompt_tokens", 0) + completion.usage.get("completion_tokens", 0)
        if call.slot not in job.redraw:  # or a later run would get the better of two draws without being marked
            job.cache.put(key, completion)
    job.writer.append(call, key, completion)
    if completion.served_model:
        job.served.setdefault(completion.served_model)
    job.progress(progress)
    return completion


async def _ask(job: Job, request: _Request, *, patient: bool) -> Completion:
    """Send a call, and let whoever wants the very same one meanwhile wait for its answer."""
    client = job.clients[request.call.pass_name]
    answer: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
    job.under_way[request.key] = answer

    async def send() -> Completion:
        return await client.send(request.body)

    try:
        async with job.gate:
            completion = await with_retries(send if patient else _refused_once(send), job.policy)
        answer.set_result(completion)
    except Exception as error:
        answer.set_exception(error)
        answer.exception()  # it is raised here already; nobody else need be waiting
        raise
    finally:
        answer.cancel()
        del job.under_way[request.key]
    return completion


def _refused_once(send: Callable[[], Awaitable[Completion]]) -> Callable[[], Awaitable[Completion]]:
    """Return the attempt with a second chance, but no third, after a status by which servers refuse a form.

    Some refuse with a 500, which is otherwise worth many attempts: a hiccup must not cost the constraint, nor a refusal
    minutes.
    """
    refusals = 0

    async def attempt() -> Completion:
        nonlocal refusals
        try:
            return await send()
        except AttemptFailed as failure:
            refusals += failure.error["status"] in REFUSALS
            raise AttemptFailed(
                failure.error, again=failure.again and refusals < _CHANCES, retry_after=failure.retry_after
            ) from None

    return attempt
