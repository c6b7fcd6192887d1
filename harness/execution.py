"""From a task to a finished run: plan it, make it, resume it. The one place that joins runner, store and scoring."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.cache import Cache
from harness.clients import Client, connect
from harness.errors import EXIT_INTERRUPTED, DataError, HarnessError
from harness.identity import call_key, gold_hash, inputs_hash, space_hash
from harness.labelspace import LabelSpace
from harness.predict import predict
from harness.pricing import Prices, Spent, spent
from harness.project import Project
from harness.prompt import Prompt
from harness.promptfile import Task
from harness.provenance import git_state, versions
from harness.records import FailureKind, Sample
from harness.retry import RetryPolicy
from harness.runner import Job, Progress, run_job
from harness.selection import Selection, select
from harness.store import (
    Manifest,
    RunWriter,
    Slot,
    State,
    StoredRun,
    create_run,
    load_run,
    new_id,
    open_run,
)

OnProgress = Callable[[Progress], None]
Warn = Callable[[str], None]


class InterruptedRun(HarnessError):  # noqa: N818 - no error of anybody's
    """The user stopped the run; what was answered is kept."""

    exit_code = EXIT_INTERRUPTED


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a dry run tells.

    Attributes:
        calls: Calls of the first pass, all repeats.
        cached: How many of them the cache answers.
        later_calls: Most calls that later passes can add.
        prompt_tokens: Estimated tokens of the calls to be made (four bytes of UTF-8 a token).
        completion_tokens: Most tokens that can come back; None when no max_tokens bounds them.
        usd: Most that it can cost; None when unknown.
    """

    calls: int
    cached: int
    later_calls: int
    prompt_tokens: int
    completion_tokens: int | None
    usd: float | None


def foresee(plan: Plan, project: Project, *, use_cache: bool = True) -> Outlook:
    """Return what a run would do, without a call."""
    clients = _clients(plan.prompt, project)
    calls = cached = tokens = 0
    first = plan.prompt.passes[0]
    with Cache(project.cache if use_cache and project.cache.exists() else None, lambda _: None) as cache:
        for repeat in range(plan.repeats):
            for sample in plan.samples:
                for call in next(predict(plan.prompt, plan.space, sample, repeat)):
                    body = clients[call.pass_name].body(call)
                    key = call_key(clients[call.pass_name].endpoint, body, repeat)
                    calls += 1
                    if cache.get(key) is not None:
                        cached += 1
                    else:
                        tokens += sum(len(message["content"].encode()) // 4 + 4 for message in call.messages)
    limits = [each.model.params.get("max_tokens", each.model.params.get("max_completion_tokens")) for each in (first,)]
    answer = (calls - cached) * limits[0] if isinstance(limits[0], int) else None
    later = (len(plan.prompt.passes) - 1) * len(plan.samples) * plan.repeats
    price = spent(
        [(first.model.name, {"prompt_tokens": tokens, "completion_tokens": answer or 0})], project.settings.prices
    ).usd
    known = price is not None and not later and (answer is not None or price == 0)
    return Outlook(calls, cached, later, tokens, answer, price if known else None)


def start(
    plan: Plan,
    project: Project,
    *,
    concurrency: int | None = None,
    use_cache: bool = True,
    progress: OnProgress = lambda _: None,
    warn: Warn = lambda _: None,
) -> StoredRun:
    """Make a new run and return it, finished.

    Raises:
        HarnessError: The model or the disk cannot be used; what was answered is kept and can be resumed.
        InterruptedRun: Ctrl-C.
    """
    clients = _clients(plan.prompt, project)
    with create_run(project.runs, _manifest(plan, clients, project), plan.samples) as writer:
        return _execute(writer, clients, project, concurrency, use_cache, progress, warn)


def resume(
    run: StoredRun,
    project: Project,
    *,
    concurrency: int | None = None,
    use_cache: bool = True,
    retry: frozenset[FailureKind] = frozenset(),
    progress: OnProgress = lambda _: None,
    warn: Warn = lambda _: None,
) -> StoredRun:
    """Make the calls that a run still misses, with what it froze, and return it.

    Args:
        run: Interrupted, incomplete or complete.
        project: Settings and cache.
        concurrency: Calls under way at once.
        use_cache: False asks anew.
        retry: Failures of these kinds are drawn again, past the cache. Other kinds than call errors mark the run,
            because redrawing bad answers inflates scores.
        progress: Told how far it is.
        warn: Told what a person should know.

    Raises:
        RunBusyError: Another process is writing it.
    """
    for warning in run.log.warnings(run.path / "completions.jsonl"):
        warn(warning)
    clients = _clients(run.manifest.prompt, project)
    for name, client in clients.items():
        if dict(client.endpoint) != dict(run.manifest.endpoints[name]):
            raise DataError(
                f"run {run.manifest.id}: its calls went to {_show(run.manifest.endpoints[name])}, now they would go to "
                f"{_show(client.endpoint)}. Restore that, or start a new run."
            )
    redraw = _slots_of(run, retry) if retry else frozenset()
    with open_run(run) as writer:
        kinds = sorted({*writer.manifest.redrawn, *(str(kind) for kind in retry - {FailureKind.CALL_ERROR})})
        writer.update(state="running", redrawn=tuple(kinds))
        return _execute(writer, clients, project, concurrency, use_cache, progress, warn, redraw)


def _slots_of(run: StoredRun, kinds: frozenset[FailureKind]) -> frozenset[Slot]:
    """Return the slots of the predictions that failed in one of the ways."""
    failed = {(each.sample, each.repeat) for each in run.predictions if each.failure in kinds}
    return frozenset(slot for slot in run.log.latest if (slot[0], slot[3]) in failed)


def _show(endpoint: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in endpoint.items())


def _clients(prompt: Prompt, project: Project) -> dict[str, Client]:
    """Return who answers each pass; passes with the same model share a client."""
    by_model = {id(model): connect(model, project.settings) for model in prompt.models}
    position = {each.name: prompt.models.index(each.model) for each in prompt.passes}
    clients = list(by_model.values())
    return {name: clients[at] for name, at in position.items()}


def _manifest(plan: Plan, clients: Mapping[str, Client], project: Project) -> Manifest:
    now = datetime.now(UTC)
    return Manifest(
        id=new_id(plan.prompt.version, now),
        version=plan.prompt.version,
        state="running",
        prompt=plan.prompt,
        prompt_hash=plan.prompt.hash,
        space=plan.space,
        dataset=plan.dataset,
        hashes={
            "inputs": inputs_hash(plan.samples),
            "gold": gold_hash(plan.samples),
            "labels": space_hash(plan.space),
        },
        split=plan.split,
        default_split=plan.default_split,
        selection=plan.selection.to_json(),
        repeats=plan.repeats,
        endpoints={name: dict(client.endpoint) for name, client in clients.items()},
        versions=versions(),
        git=git_state(project.root),
        tag=plan.tag,
        n_samples=len(plan.samples),
        started=now.isoformat(timespec="milliseconds"),
    )


def _execute(
    writer: RunWriter,
    clients: Mapping[str, Client],
    project: Project,
    concurrency: int | None,
    use_cache: bool,
    progress: OnProgress,
    warn: Warn,
    redraw: frozenset[Slot] = frozenset(),
) -> StoredRun:
    """Make the calls of a run that is held, then derive its predictions and scores."""
    manifest = writer.manifest
    settings = project.settings
    began = time.monotonic()

    def ended(state: State) -> dict[str, Any]:
        return {
            "state": state,
            "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": round(manifest.seconds + time.monotonic() - began, 3),
            "cost_usd": _spent(manifest.prompt, writer.latest.values(), settings.prices).usd,
            "served": tuple(dict.fromkeys([*manifest.served, *job.served])),
        }

    with ExitStack() as stack:
        job = Job(
            prompt=manifest.prompt,
            space=manifest.space,
            samples=writer.samples,
            repeats=manifest.repeats,
            clients=clients,
            writer=writer,
            cache=stack.enter_context(Cache(project.cache if use_cache else None, warn)),
            policy=RetryPolicy(settings.max_attempts, settings.max_retry_s),
            concurrency=concurrency or settings.concurrency,
            progress=progress,
            redraw=redraw,
        )
        # What the end of the run needs (numpy takes 0.1 s to load) loads while the first calls are out.
        threading.Thread(target=_preload, daemon=True).start()
        again = f"Go on with: harness run --resume {manifest.id}"
        try:
            predictions = asyncio.run(run_job(job))
        except KeyboardInterrupt:
            writer.update(**ended("interrupted"))
            kept = len(writer.latest)
            raise InterruptedRun(f"run {manifest.id}: stopped; {kept} completions are kept. {again}") from None
        except HarnessError as error:
            writer.update(**ended("stopped"))
            if writer.latest:
                raise type(error)(
                    f"{error}\nrun {manifest.id}: {len(writer.latest)} completions are kept. {again}"
                ) from None
            raise
        from harness.scoring import score

        failed_calls = any(each.completion.status == "error" for each in writer.latest.values())
        if any(sample.labels is not None for sample in writer.samples):
            scores = score(manifest.space, writer.samples, predictions).to_json()
        else:
            scores = {}
        writer.derive(predictions, scores)
        writer.update(**ended("incomplete" if failed_calls else "complete"))
    return load_run(writer.path)


def _preload() -> None:
    import harness.scoring  # noqa: F401 - its numpy is what takes time


def _spent(prompt: Prompt, stored: Iterable[Any], prices: Prices) -> Spent:
    model_of = {each.name: each.model.name for each in prompt.passes}
    return spent(
        (
            (model_of[each.slot[1]], each.completion.usage)
            for each in stored
            if not each.completion.cached and each.completion.status != "error"
        ),
        prices,
    )


def run_spent(run: StoredRun, prices: Prices) -> Spent:
    """Return what the calls of a run cost; cached calls cost nothing."""
    return _spent(run.manifest.prompt, run.log.latest.values(), prices)
