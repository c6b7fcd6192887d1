"""Bounded, resumable execution: takes samples through the passes, many at a time, and loses nothing on the way.

A call is looked up in the run itself (resume), then in the cache, and only then made; its completion is written down
before anything is done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from harness.budget import Budget, BudgetReached
from harness.cache import Cache
from harness.clients import Client
from harness.completionlog import Slot, StoredCompletion
from harness.constraining import REFUSALS, Constraining, form_of
from harness.errors import HarnessError
from harness.halting import Halt, Halted
from harness.identity import CallKeys
from harness.labelspace import LabelSpace
from harness.ordering import LOOK_AHEAD
from harness.pacing import Log, Rates
from harness.predict import predict
from harness.prompt import Prompt
from harness.records import Call, Completion, Prediction, Sample
from harness.retry import RetryPolicy
from harness.sending import Sender
from harness.store import InForce, RunWriter

GRACE_S = 5.0
"""Seconds that calls under way have to come back when the model cannot be used any more: they may have been paid."""

IN_LINE = 8
"""Samples that are begun for each call that may be under way: a call that waits to be sent again holds no other up."""

Made = Callable[[int, Sample, Prediction], None]
"""Told every prediction: its position among all of them (the samples, repeat by repeat), its sample, and itself."""


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
        concurrency: Calls under way at once at most.
        progress: Told after every prediction and call.
        redraw: Slots whose stored completion is not used but asked anew, past the cache.
        rates: Requests and tokens a minute at most, of each model.
        budget: What the calls may come to.
        halt: When to come to the end.
        log: Told what happens to calls.
        grace_s: Seconds that calls under way have to come back when the model cannot be used any more.
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
    redraw: frozenset[Slot] = frozenset()
    rates: Rates = field(default_factory=Rates)
    budget: Budget = field(default_factory=Budget)
    halt: Halt = field(default_factory=Halt)
    log: Log = lambda _, __: None
    grace_s: float = GRACE_S
    served: dict[str, None] = field(default_factory=dict)
    """Filled on the way: model names as the servers gave them, in order of appearance."""
    under_way: dict[str, list[asyncio.Future[Completion]]] = field(default_factory=dict)
    """Calls that were sent and have no answer yet, by key, with who waits for it: the same call is not sent twice."""

    found_out: dict[str, Completion] = field(default_factory=dict)
    """What the calls brought that found out about constraints, by their first key: the same calls waited for them."""

    warn: Callable[[str], None] = lambda _: None
    """Told what a person should know."""

    @property
    def begun(self) -> int:
        """How many samples are under way at the start.

        They are one for each call that may be: who waits in line costs time. They are more where it matters which call goes
        next, and where a pass could keep them all from another one's model.
        """
        if any(each.holds for each in self.clients.values()):
            return max(IN_LINE * self.width, LOOK_AHEAD)
        return self.width if len(set(self.clients.values())) == 1 else IN_LINE * self.width

    @property
    def width(self) -> int:
        """How many calls are under way at once at most with the client that takes most."""
        return max(min(self.concurrency, each.concurrency or self.concurrency) for each in self.clients.values())

    @cached_property
    def keys(self) -> Mapping[str, CallKeys]:
        """What gives the calls of each pass their keys."""
        return {name: CallKeys(client.endpoint) for name, client in self.clients.items()}

    @cached_property
    def sender(self) -> Sender:
        """The one way in which calls are sent."""
        return Sender(
            self.clients,
            self.policy,
            self.halt,
            concurrency=self.concurrency,
            rates=self.rates,
            budget=self.budget,
            tell=self.warn,
            log=self.log,
        )

    @cached_property
    def constraining(self) -> Constraining:
        """What is known of the forms in which the servers let answers be constrained."""
        frozen = self.writer.manifest.constrained
        return Constraining(self.prompt, self.space, self.clients, self.cache, frozen, self._record, self.warn)

    def _record(self, in_force: InForce) -> None:
        self.writer.update(constrained=in_force)


async def run_job(job: Job, made: Made) -> None:
    """Take all samples through the passes, repeat by repeat.

    Raises:
        HarnessError: The model, the budget or the disk cannot be used any more. What was answered is written down.
        Halted: A person stopped the run; the calls that were under way are written down too.
        asyncio.CancelledError: The run was stopped at once; what was answered is written down.
    """
    progress = Progress(len(job.samples) * job.repeats)
    work = enumerate((sample, repeat) for repeat in range(job.repeats) for sample in job.samples)
    job.halt.bind()

    async def worker() -> None:
        for position, (sample, repeat) in work:
            if job.halt.is_set:
                return
            try:
                prediction = await _predict(job, progress, sample, repeat)
            except Halted:
                return
            except HarnessError as error:
                job.halt.give_up(error)
                return
            made(position, sample, prediction)
            progress.done += 1
            progress.failed += prediction.failed
            job.progress(progress)

    tasks: list[asyncio.Task[None]] = []
    try:
        async with asyncio.TaskGroup() as group:

            def begin(most: int) -> None:
                if len(tasks) < min(most, progress.total):
                    tasks.append(group.create_task(worker()))

            for _ in range(job.begun):
                begin(job.begun)
            job.sender.waits = lambda: begin(IN_LINE * job.width)
            grace = group.create_task(_let_go(job, tasks))
            await _all_done(tasks)
            grace.cancel()
        job.writer.flush()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        with suppress(HarnessError):  # what broke the run off matters more
            job.writer.flush()
        job.sender.waits = lambda: None
        for client in set(job.clients.values()):
            with suppress(Exception):  # the server may be gone already; what it answered is written down
                await client.close()
    if job.halt.error is not None:
        raise job.halt.error
    job.halt.check()


async def _all_done(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until all tasks have ended, those too that are added meanwhile."""
    while open_tasks := [task for task in tasks if not task.done()]:
        await asyncio.wait(open_tasks)


async def _let_go(job: Job, tasks: Sequence[asyncio.Task[None]]) -> None:
    """When the model cannot be used any more, let go of the calls that do not come back soon.

    At the end of a budget they are waited for, as after Ctrl-C: the model goes on answering, and they have been paid.
    """
    await job.halt.wait()
    if job.halt.error is not None and not isinstance(job.halt.error, BudgetReached):
        await asyncio.sleep(job.grace_s)
        for task in tasks:
            task.cancel()


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
    """Return the completions of the calls of a pass, made side by side.

    When one ends the run, the others are not called off: what is under way may have been paid.
    """
    if len(calls) == 1:
        return [await _complete(job, progress, calls[0])]
    tasks = [asyncio.create_task(_complete(job, progress, call)) for call in calls]
    try:
        done = await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    errors = [each for each in done if isinstance(each, BaseException)]
    if errors:
        raise next((each for each in errors if not isinstance(each, Halted)), errors[0])
    return [task.result() for task in tasks]


@dataclass(slots=True)
class _Request:
    """A call as it is sent.

    Attributes:
        call: What is asked, with how often it was drawn again.
        stored: What the run has of it already and may be used; else None.
        at: The step of its ladder by which it is constrained.
        body: The request.
        key: Of the call.
    """

    call: Call
    stored: StoredCompletion | None
    at: int
    body: Mapping[str, Any]
    key: str


async def _complete(job: Job, progress: Progress, call: Call) -> Completion:
    """Return the completion of a call: the run's own, the cache's, or a new one."""
    stored = job.writer.latest.get(call.slot)
    redrawn = call.slot in job.redraw
    again = (0 if stored is None else stored.again) + redrawn
    if again:
        call = replace(call, again=again)
    if redrawn or (stored is not None and stored.completion.status == "error"):
        stored = None
    known = job.constraining
    ways = known.ladder(call)
    request = _request(job, call, stored, known.likely(ways))
    if not known.settled(ways):
        at_hand = _at_hand(job, request)
        if at_hand is None:
            return await _after_finding_out(job, progress, request)
        known.use(call, request.at)
        return _kept(job, progress, request, at_hand)
    known.use(call, request.at)
    return _kept(job, progress, request, await _fetched(job, request))


async def _after_finding_out(job: Job, progress: Progress, request: _Request) -> Completion:
    """Return the completion of a call whose form is not known yet: one of them finds out, the others wait for that."""
    known, first = job.constraining, request.key
    ways = known.ladder(request.call)
    async with ways.lock:
        same = job.found_out.get(first)
        if not known.settled(ways) and same is None:
            job.found_out[first] = await _find_out(job, progress, request)
            return job.found_out[first]
    request = _request(job, request.call, request.stored, known.likely(ways))
    known.use(request.call, request.at)
    completion = await _fetched(job, request) if same is None else replace(same, cached=True)
    return _kept(job, progress, request, completion)


async def _find_out(job: Job, progress: Progress, request: _Request) -> Completion:
    """Return the completion of the call that finds out in which form its server lets answers be constrained.

    It goes down from form to form as long as they are refused. Where it is refused without any constraint too, or fails in
    another way, the constraint is not to blame: that is the call's own failure, and the next call finds out.
    """
    known, call = job.constraining, request.call
    ways = known.ladder(call)
    refusals: dict[str, str] = {}
    at, last = request.at, len(ways.steps) - 1
    while True:
        request = _request(job, call, request.stored, at)
        completion = await _fetched(job, request, patient=at == last)
        if completion.error is None:
            known.settle(call, at, refusals)
        if completion.error is None or at == last or completion.error["status"] not in REFUSALS:
            return _kept(job, progress, request, completion)
        refusals[form_of(ways.steps[at])] = completion.error["message"]
        at += 1


def _request(job: Job, call: Call, stored: StoredCompletion | None, at: int) -> _Request:
    client = job.clients[call.pass_name]
    body = client.body(call, job.constraining.ladder(call).steps[at])
    key = job.keys[call.pass_name].of(body, call.draw)
    return _Request(call, stored if stored is not None and stored.key == key else None, at, body, key)


def _at_hand(job: Job, request: _Request) -> Completion | None:
    """Return the completion that the run itself or the cache has of a call; None when it must be asked."""
    if request.stored is not None:
        return request.stored.completion
    return None if request.call.slot in job.redraw else job.cache.get(request.key)


async def _fetched(job: Job, request: _Request, *, patient: bool = True) -> Completion:
    """Return the completion that is at hand, that of the same call under way, or a new one."""
    completion = _at_hand(job, request)
    if completion is None and (waiting := job.under_way.get(request.key)) is not None:
        waiting.append(asyncio.get_running_loop().create_future())
        return replace(await waiting[-1], cached=True)
    return await _ask(job, request, patient=patient) if completion is None else completion


def _kept(job: Job, progress: Progress, request: _Request, completion: Completion) -> Completion:
    """Return a completion, written down.

    No await stands between an answer that was paid and its line in the file: a cancelled run loses only what was in flight.
    """
    call, key = request.call, request.key
    if request.stored is not None:
        progress.resumed += 1
        return completion
    if completion.cached:
        progress.cached += 1
    else:
        progress.calls += 1
        progress.tokens += completion.usage.get("prompt_tokens", 0) + completion.usage.get("completion_tokens", 0)
        if call.slot not in job.redraw:  # or a later run would get the better of two draws without being marked
            job.cache.put(key, completion)
    job.writer.append(call, key, completion, in_cache=completion.cached and job.cache.is_open)
    if completion.served_model:
        job.served.setdefault(completion.served_model)
    job.progress(progress)
    return completion


async def _ask(job: Job, request: _Request, *, patient: bool) -> Completion:
    """Send a call, and let whoever wants the very same one meanwhile wait for its answer."""
    waiting = job.under_way[request.key] = []
    try:
        completion = await job.sender.send(
            request.call, request.body, patient=patient, meanwhile=lambda: _at_hand(job, request)
        )
        for each in waiting:
            if not each.done():
                each.set_result(completion)
    except Exception as error:
        if isinstance(error, HarnessError):
            job.halt.give_up(error)
        for each in waiting:
            if not each.done():
                each.set_exception(error)
        raise
    finally:
        for each in waiting:
            each.cancel()
        del job.under_way[request.key]
    return completion
