"""Runs by a provider's batch API: before the ordinary way of a run begins, batches answer what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness import execution, holdout
from harness.batchfiles import Target
from harness.batching import Work, fill, refuse_unbatched
from harness.batchlog import FILE, Batches, Ended, Part, batch_log, read_batches
from harness.batchsending import Ways, calls, metadata
from harness.budget import UNBOUNDED_ANSWER, Budget, BudgetReached
from harness.clients.batches import ENDED, BatchApi, GoneError, RemoteBatch, batch_apis
from harness.completionlog import read_completions
from harness.constraining import Constraining
from harness.errors import DataError
from harness.pricing import BYTES_A_TOKEN, Prices, price
from harness.project import Project, Settings
from harness.prompt import ANSWER_LIMITS, Prompt
from harness.records import Call, Completion, FailureKind, Prediction, Sample, Usage
from harness.runner import Job, run_job
from harness.store import StoredRun


def by_batches(settings: Settings, ways: Ways | None = None) -> execution.Before:
    """Return what has a job's missing calls answered by batches, and leaves it nothing to ask.

    Args:
        settings: How persistent to be.
        ways: How the calls are batched; how to wait, and what the budget allows, are the job's.
    """

    async def before(job: Job) -> Job:
        refuse_unbatched(job.prompt)
        if job.redraw:
            raise DataError(
                f"run {job.writer.manifest.id}: bad answers are drawn again by ordinary calls. Leave out: --engine batch"
            )
        job.halt.bind()
        how = replace(ways or Ways(), sleep=job.halt.sleep, allow=_allowance(job.budget, job.prompt, settings.prices))
        with batch_log(job.writer.path) as log:
            async with batch_apis(settings) as api_of:
                clients = await fill(_work(job), log, api_of, how)
        _refresh(job)
        return replace(job, clients=clients)

    return before


def goes_on_by_batches(run: StoredRun) -> bool:
    """Return whether a run was made by batches, so that it goes on by them."""
    return (run.path / FILE).exists()


def _work(job: Job) -> Work:
    """Return a job as what batches are to fill."""
    writer = job.writer

    def constraining() -> Constraining:
        _refresh(job)
        return replace(job).constraining  # with what the run froze since

    def at_hand(call: Call, key: str) -> Completion | None:
        stored = writer.latest.get(call.slot)
        if stored is not None and stored.key == key and stored.completion.status != "error":
            return stored.completion
        return job.cache.get(key)

    def keep(call: Call, key: str, completion: Completion) -> None:
        if not completion.cached:
            job.cache.put(key, completion)
        stored = writer.latest.get(call.slot)
        again = 0 if stored is None else stored.again
        writer.append(replace(call, again=again) if again else call, key, completion)
        if completion.served_model:
            job.served.setdefault(completion.served_model)

    async def try_out(sample: Sample) -> str | None:
        _refresh(job)
        made: list[Prediction] = []
        alone = replace(job, samples=(sample,), progress=lambda _: None)
        await run_job(alone, lambda _position, _sample, prediction: made.append(prediction))
        return next((each.why or "" for each in made if each.failure is FailureKind.CALL_ERROR), None)

    return Work(
        run=writer.manifest.id,
        path=writer.path,
        prompt=job.prompt,
        space=job.space,
        samples=job.samples,
        repeats=job.repeats,
        clients=job.clients,
        constraining=constraining,
        at_hand=at_hand,
        keep=keep,
        try_out=try_out,
        warn=job.warn,
    )


def _refresh(job: Job) -> None:
    """Have the writer of a run know what was written since it was opened."""
    job.writer.latest = read_completions(job.writer.path / "completions.jsonl").latest


def _allowance(budget: Budget, prompt: Prompt, prices: Prices) -> Callable[[Target, int, int], None]:
    """Return what forbids a file of requests that would go beyond a budget.

    A file counts as a whole before it is submitted, with the most that it may cost; what it did cost in the end is less.
    """

    def allow(target: Target, requests: int, n_bytes: int) -> None:
        if budget.max_calls is not None and budget.calls + requests > budget.max_calls:
            raise BudgetReached(
                f"--max-calls {budget.max_calls}: {calls(budget.calls)} sent, and the next batch has {requests:,}."
            )
        if budget.max_cost is not None:
            limits = [
                model.params.get(name)
                for model in prompt.models
                if model.name == target.model
                for name in ANSWER_LIMITS
            ]
            answer = max([limit for limit in limits if isinstance(limit, int)], default=UNBOUNDED_ANSWER)
            tokens = Usage(prompt_tokens=n_bytes // BYTES_A_TOKEN, completion_tokens=requests * answer)
            usd = price(target.model, tokens, prices) or 0.0
            if budget.usd + usd > budget.max_cost:
                raise BudgetReached(
                    f"--max-cost {budget.max_cost:g}: {budget.usd:.4f} USD spent, and the next batch may cost {usd:.4f} USD."
                )
            budget.usd += usd
        budget.calls += requests

    return allow


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A part of a run, and what the provider says of it now.

    Attributes:
        remote: None where it has ended and nobody was asked, or the provider knows none.
    """

    run: str
    part: Part
    remote: RemoteBatch | None = None


def open_runs(runs: list[StoredRun]) -> list[tuple[StoredRun, Batches]]:
    """Return the runs that have batches at the provider."""
    found = [(run, read_batches(run.path)) for run in runs if goes_on_by_batches(run)]
    return [(run, known) for run, known in found if known.open]


async def look_at(run: StoredRun, settings: Settings) -> list[OpenBatch]:
    """Return the parts of a run, those that are open with what the provider says of them now.

    Raises:
        ModelError: The provider cannot be asked.
    """
    found = []
    async with batch_apis(settings) as api_of:
        for part in read_batches(run.path).parts:
            remote = await _remote(api_of, run, part) if part.ended is None else None
            found.append(OpenBatch(run.manifest.id, part, remote))
    return found


async def _remote(api_of: Callable[[str], BatchApi], run: StoredRun, part: Part) -> RemoteBatch | None:
    """Return a part's batch; where its id was never noted, it is looked for."""
    api = api_of(part.base_url)
    if part.batch is None:
        return await api.find(metadata(run.manifest.id, part))
    try:
        return await api.retrieve(part.batch)
    except GoneError:
        return None


async def cancel(run: StoredRun, settings: Settings) -> list[OpenBatch]:
    """Ask the provider for the end of a run's open batches, and return these; nothing is written.

    Raises:
        ModelError: The provider cannot be asked.
    """
    asked = []
    async with batch_apis(settings) as api_of:
        for part in read_batches(run.path).open:
            remote = await _remote(api_of, run, part)
            if remote is not None and remote.status not in ENDED:
                remote = await api_of(part.base_url).cancel(remote.id)
            asked.append(OpenBatch(run.manifest.id, part, remote))
    return asked


def forget_lost(run: StoredRun, lost: list[OpenBatch]) -> None:
    """Note that batches are not at the provider any more, so that a run that goes on asks for their calls again.

    The run must be held by this process.
    """
    with batch_log(run.path) as log:
        numbers = {each.part.number for each in lost if each.remote is None}
        for part in log.known.open:
            if part.number in numbers:
                log.ended(part, Ended("dropped"))


def go_on(
    run: StoredRun, project: Project, ways: Ways | None = None, *, warn: Callable[[str], None] = lambda _: None
) -> StoredRun:
    """Go on with a run by batches and return it, finished.

    Raises:
        StillOpenError: Batches are under way, or calls are missing, and it was not to wait or to submit.
        HarnessError: As `execution.resume` and `batching.fill` do.
    """
    holdout.look_again(run, project, final=False, reason=None)
    return execution.resume(run, project, warn=warn, before=by_batches(project.settings, ways))
