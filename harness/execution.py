"""From a plan to a finished run: make it, resume it. The one place that joins runner, store and scoring."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from harness.cache import Cache
from harness.clients import Client, connect_passes
from harness.completionlog import Slot, StoredCompletion
from harness.constraining import ignored
from harness.embeddings import with_embedded
from harness.errors import EXIT_INTERRUPTED, DataError, HarnessError
from harness.identity import gold_hash, inputs_hash, space_hash
from harness.narrowing import answer_space
from harness.parsing import read
from harness.planning import Plan
from harness.pricing import Prices, Spent, spent
from harness.project import Project
from harness.prompt import Prompt
from harness.provenance import git_state, versions
from harness.records import FailureKind, ParseFailure, Prediction
from harness.retry import RetryPolicy
from harness.runner import Job, Progress, run_job
from harness.store import Manifest, RunWriter, State, StoredRun, create_run, load_run, new_id, open_run

OnProgress = Callable[[Progress], None]
Warn = Callable[[str], None]


class InterruptedRun(HarnessError):  # noqa: N818 - no error of anybody's
    """The user stopped the run; what was answered is kept."""

    exit_code = EXIT_INTERRUPTED


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
    samples = with_embedded(plan.prompt, plan.space, plan.samples, project, use_cache=use_cache, warn=warn)
    plan = replace(plan, samples=samples)
    clients = connect_passes(plan.prompt, project.settings)
    with create_run(project.runs, _manifest(plan, clients, project), plan.samples) as writer:
        return _Execution(writer, clients, project, use_cache, concurrency, progress, warn).run()


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
    if run.manifest.origin is not None:
        again = "harness import" if run.manifest.origin.kind == "import" else "harness baseline"
        raise DataError(f"run {run.manifest.id}: no prompt made it, so it has no calls to make. Type: {again}")
    for warning in run.log.warnings(run.path / "completions.jsonl"):
        warn(warning)
    clients = connect_passes(run.manifest.prompt, project.settings)
    for name, client in clients.items():
        if dict(client.endpoint) != dict(run.manifest.endpoints[name]):
            raise DataError(
                f"run {run.manifest.id}: its calls went to {_show(run.manifest.endpoints[name])}, now they would go to "
                f"{_show(client.endpoint)}. Restore that, or start a new run."
            )
    # Failed calls are made again in any case, from the cache too, where another run has their answer by now.
    redraw = _failed_slots(run, retry - {FailureKind.CALL_ERROR})
    _refuse_alike(run, redraw)
    with open_run(run) as writer:
        kinds = sorted({*writer.manifest.redrawn, *map(str, redraw.values())})
        writer.update(state="running", redrawn=tuple(kinds))
        slots = frozenset(redraw)
        return _Execution(writer, clients, project, use_cache, concurrency, progress, warn, slots).run()


def _failed_slots(run: StoredRun, kinds: frozenset[FailureKind]) -> dict[Slot, FailureKind]:
    """Return the slots whose answer failed in one of the ways and left cells unanswered."""
    if not kinds:
        return {}
    failed = {(each.sample, each.repeat) for each in run.predictions if each.failed}
    passes = {each.name: each for each in run.manifest.prompt.passes}
    samples = {sample.id: sample for sample in run.samples}
    found: dict[Slot, FailureKind] = {}
    for slot, stored in run.log.latest.items():
        sample, name, unit, draw = slot
        if (sample, draw // passes[name].draws) in failed:
            within = answer_space(passes[name], unit, run.manifest.space, samples[sample])
            result = read(stored.completion, within, passes[name].output)
            if isinstance(result, ParseFailure) and result.kind in kinds:
                found[slot] = result.kind
    return found


def _refuse_alike(run: StoredRun, slots: Iterable[Slot]) -> None:
    """Refuse to draw again where that gives the same answer."""
    names = {name for _, name, _, _ in slots}
    alike = [each for each in run.manifest.prompt.passes if each.name in names and each.model.answers_alike]
    if alike:
        why = "'seed' of its params" if "seed" in alike[0].model.params else "'temperature: 0'"
        raise DataError(
            f"run {run.manifest.id}: answers must differ when they are drawn again, but by {why} pass {alike[0].name} gives "
            "the same ones. Change the prompt, and run it anew."
        )


def _show(endpoint: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in endpoint.items())


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
        seeds=plan.seeds,
        n_samples=len(plan.samples),
        started=now.isoformat(timespec="milliseconds"),
    )


@dataclass(slots=True)
class _Execution:
    """Makes the calls of a run that is held, then derives its predictions and scores."""

    writer: RunWriter
    clients: Mapping[str, Client]
    project: Project
    use_cache: bool
    concurrency: int | None
    progress: OnProgress
    warn: Warn
    redraw: frozenset[Slot] = frozenset()
    served: dict[str, None] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def run(self) -> StoredRun:
        """Return the run, finished.

        Raises:
            HarnessError: As `start` says; the manifest says how far it came.
        """
        # What the end of the run needs (numpy takes 0.1 s to load) loads while the first calls are out.
        threading.Thread(target=_preload, daemon=True).start()
        try:
            predictions = self._ask() if _no_loop_here() else _in_thread(self._ask)
        except KeyboardInterrupt:
            with suppress(DataError):  # what stopped the run matters more than that it could not be noted
                self._end("interrupted")
            raise InterruptedRun(f"run {self.writer.manifest.id}: stopped; {self._kept()}") from None
        except HarnessError as error:
            with suppress(DataError):
                self._end("stopped")
            if self.writer.n_answered:
                raise type(error)(f"{error}\nrun {self.writer.manifest.id}: {self._kept()}") from None
            raise
        self._derive(predictions)
        manifest = self.writer.manifest
        samples, latest = self.writer.samples, self.writer.latest
        for warning in ignored(manifest.prompt, manifest.space, samples, manifest.constrained, latest):
            self.warn(warning)
        failed_calls = any(each.completion.status == "error" for each in self.writer.latest.values())
        self._end("incomplete" if failed_calls else "complete")
        return load_run(self.writer.path)

    def _ask(self) -> list[Prediction]:
        manifest, settings = self.writer.manifest, self.project.settings
        with Cache(self.project.cache if self.use_cache else None, self.warn) as cache:
            job = Job(
                prompt=manifest.prompt,
                space=manifest.space,
                samples=self.writer.samples,
                repeats=manifest.repeats,
                clients=self.clients,
                writer=self.writer,
                cache=cache,
                policy=RetryPolicy(settings.max_attempts, settings.max_retry_s),
                concurrency=self.concurrency or settings.concurrency,
                progress=self.progress,
                redraw=self.redraw,
                served=self.served,
                warn=self.warn,
            )
            return asyncio.run(run_job(job))

    def _derive(self, predictions: list[Prediction]) -> None:
        from harness.scoring import score

        manifest, samples = self.writer.manifest, self.writer.samples
        labelled = any(sample.labels is not None for sample in samples)
        self.writer.derive(predictions, score(manifest.space, samples, predictions).to_json() if labelled else {})

    def _end(self, state: State) -> None:
        manifest = self.writer.manifest
        self.writer.update(
            state=state,
            ended=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=round(manifest.seconds + time.monotonic() - self.began, 3),
            cost_usd=_spent(manifest.prompt, self.writer.latest.values(), self.project.settings.prices).usd,
            served=tuple(dict.fromkeys([*manifest.served, *self.served])),
        )

    def _kept(self) -> str:
        kept = self.writer.n_answered
        if not kept:
            return "nothing was answered yet, so nothing is kept."
        completions = "1 completion is" if kept == 1 else f"{kept} completions are"
        return f"{completions} kept. Go on with: harness run --resume {self.writer.manifest.id}"


def _no_loop_here() -> bool:
    """Return whether this thread is free to run an event loop; in a notebook it is not."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _in_thread(ask: Callable[[], list[Prediction]]) -> list[Prediction]:
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(ask).result()


def _preload() -> None:
    import harness.scoring  # noqa: F401 - its numpy is what takes time


def _spent(prompt: Prompt, stored: Iterable[StoredCompletion], prices: Prices) -> Spent:
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
