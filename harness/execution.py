"""From a plan to a finished run: make it, resume it. The one place that joins runner, store and scoring."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.batchlog import StillOpenError, left_running
from harness.budget import Budget
from harness.cache import WITHIN_S, Cache
from harness.cachewhole import opened_whole
from harness.clients import Client, connect_passes
from harness.completionlog import Slot, completions_in, read_completions
from harness.constraining import ignored
from harness.embeddings import with_embedded
from harness.errors import EXIT_INTERRUPTED, DataError, HarnessError
from harness.halting import Halt, Halted, on_signals
from harness.identity import gold_hash, inputs_hash, space_hash
from harness.logfile import no_log
from harness.narrowing import answer_space
from harness.pacing import Log, Rates
from harness.parsing import read
from harness.planning import Plan
from harness.pricing import Kind, Prices, Spent, spent_on
from harness.project import Project
from harness.prompt import Prompt
from harness.provenance import git_state, versions
from harness.records import FailureKind, ParseFailure, Prediction, Sample
from harness.retry import RetryPolicy
from harness.runner import Job, Made, Progress, run_job
from harness.store import Manifest, RunWriter, State, StoredRun, create_run, is_held, load_run, new_id, open_run
from harness.unweighed import Unweighed

OnProgress = Callable[[Progress], None]
Warn = Callable[[str], None]
Before = Callable[[Job], Awaitable[Job]]
"""What is done with a job before it runs; the job that runs is what it returns."""


_NO_INPUTS: Mapping[str, Any] = {}

MOST_AT_HAND = 20_000
"""Predictions that stay in memory until they are scored; more are read again, so that memory does not grow with them."""


class InterruptedRun(HarnessError):  # noqa: N818 - no error of anybody's
    """The user stopped the run; what was answered is kept."""

    exit_code = EXIT_INTERRUPTED


def start(
    plan: Plan,
    project: Project,
    *,
    concurrency: int | None = None,
    use_cache: bool = True,
    rates: Rates | None = None,
    budget: Budget | None = None,
    progress: OnProgress = lambda _: None,
    warn: Warn = lambda _: None,
    log: Log = no_log,
    before: Before | None = None,
) -> StoredRun:
    """Make a new run and return it, finished.

    Args:
        plan: What to ask.
        project: Settings, cache, and where runs are.
        concurrency: Calls under way at once at most.
        use_cache: False asks anew.
        rates: Requests and tokens a minute at most, of each model; None takes those of the settings.
        budget: What the calls may come to.
        progress: Told how far it is.
        warn: Told what a person should know.
        log: Told what happens.
        before: What is done before the first call, such as by batches.

    Raises:
        HarnessError: The model or the disk cannot be used; what was answered is kept and can be resumed.
        BudgetReached: So can a run that reached its budget.
        InterruptedRun: Ctrl-C or SIGTERM.
    """
    budget = budget or Budget()
    budget.open([plan.prompt], project.settings.prices)
    samples = with_embedded(plan.prompt, plan.space, plan.samples, project, use_cache=use_cache, warn=warn)
    plan = replace(plan, samples=samples)
    clients = connect_passes(plan.prompt, project.settings)
    with create_run(project.runs, _manifest(plan, clients, project), plan.samples) as writer:
        effort = _Effort(use_cache, concurrency, rates, budget, progress, warn, log, before)
        return _Execution(writer, clients, project, effort).run()


def resume(
    run: StoredRun,
    project: Project,
    *,
    concurrency: int | None = None,
    use_cache: bool = True,
    retry: frozenset[FailureKind] = frozenset(),
    rates: Rates | None = None,
    budget: Budget | None = None,
    progress: OnProgress = lambda _: None,
    warn: Warn = lambda _: None,
    log: Log = no_log,
    before: Before | None = None,
) -> StoredRun:
    """Make the calls that a run still misses, with what it froze, and return it.

    Args:
        run: Interrupted, incomplete or complete.
        project: Settings and cache.
        concurrency: Calls under way at once.
        use_cache: False asks anew.
        retry: Failures of these kinds are drawn again, past the cache. Other kinds than call errors mark the run,
            because redrawing bad answers inflates scores.
        rates: As for `start`.
        budget: What the calls that are still missing may come to.
        progress: Told how far it is.
        warn: Told what a person should know.
        log: Told what happens.
        before: What is done before the first call, such as by batches.

    Raises:
        RunBusyError: Another process is writing it.
    """
    if run.manifest.origin is not None:
        again = "harness import" if run.manifest.origin.kind == "import" else "harness baseline"
        raise DataError(f"run {run.manifest.id}: no prompt made it, so it has no calls to make. Type: {again}")
    for warning in run.log.warnings(run.path / "completions.jsonl"):
        warn(warning)
    budget = budget or Budget()
    budget.open([run.manifest.prompt], project.settings.prices)
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
        effort = _Effort(use_cache, concurrency, rates, budget, progress, warn, log, before)
        return _Execution(writer, clients, project, effort, frozenset(redraw)).run()


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


@dataclass(frozen=True, slots=True)
class _Effort:
    """How the calls of a run are made, and who is told."""

    use_cache: bool
    concurrency: int | None
    rates: Rates | None
    budget: Budget
    progress: OnProgress
    warn: Warn
    log: Log
    before: Before | None = None


class AtHand:
    """What the predictions of a run are scored with, as far as that need not be read again: gold, and few predictions.

    A prediction that does not come back from its file as it was, such as one with probabilities, which are rounded there,
    is read again: scores are those of the file.
    """

    def __init__(self) -> None:
        self._samples: dict[int, Sample] = {}
        self._predictions: dict[int, Prediction] | None = {}

    def note(self, position: int, sample: Sample, prediction: Prediction) -> None:
        """Take a prediction; its position is that among all of them."""
        if prediction.repeat == 0:
            self._samples[position] = Sample(sample.id, _NO_INPUTS, sample.labels, sample.fields)
        if self._predictions is not None:
            self._predictions[position] = prediction
            changes = prediction.probabilities or prediction.mass or prediction.fields
            if changes or len(self._predictions) > MOST_AT_HAND:
                self._predictions = None

    def samples(self) -> list[Sample]:
        """Return the samples with their gold and without their inputs, in order."""
        return [self._samples[at] for at in sorted(self._samples)]

    def predictions(self) -> list[Prediction]:
        """Return the predictions in order; nothing where they must be read again."""
        return [self._predictions[at] for at in sorted(self._predictions)] if self._predictions else []


@dataclass(slots=True)
class _Execution:
    """Makes the calls of a run that is held, then derives its predictions and scores."""

    writer: RunWriter
    clients: Mapping[str, Client]
    project: Project
    effort: _Effort
    redraw: frozenset[Slot] = frozenset()
    served: dict[str, None] = field(default_factory=dict)
    halt: Halt = field(default_factory=Halt)
    at_hand: AtHand = field(default_factory=AtHand)
    began: float = field(default_factory=time.monotonic)
    unweighed: Unweighed = field(init=False)

    def __post_init__(self) -> None:
        self.unweighed = Unweighed(self.writer.manifest.prompt, self.writer.manifest.space)

    def run(self) -> StoredRun:
        """Return the run, finished.

        Raises:
            HarnessError: As `start` says; the manifest says how far it came.
        """
        self._log("run started", samples=len(self.writer.samples), answered=self.writer.n_answered)
        try:
            with self.writer.predicting() as draft:
                self._ask(self._noting(draft.add))
            self._finish()
        except (KeyboardInterrupt, Halted, asyncio.CancelledError):
            with suppress(DataError):  # what stopped the run matters more than that it could not be noted
                self._end("interrupted")
            raise InterruptedRun(f"run {self.writer.manifest.id}: stopped; {self._kept()}") from None
        except StillOpenError:
            self._end("interrupted")
            raise
        except HarnessError as error:
            with suppress(DataError):
                self._end("stopped")
            if self.writer.n_answered:
                raise type(error)(f"{error}\nrun {self.writer.manifest.id}: {self._kept()}") from None
            raise
        return replace(load_run(self.writer.path), just_paid=self.writer.paid, just_failed=self.writer.errors)

    def _noting(self, made: Made) -> Made:
        """Return what is told every prediction, and keeps at hand what it will be scored with."""
        note, weighed = self.at_hand.note, self.unweighed.note

        def told(position: int, sample: Sample, prediction: Prediction) -> None:
            made(position, sample, prediction)
            note(position, sample, prediction)
            weighed(prediction)

        return told

    def _ask(self, made: Made) -> None:
        """Take the samples through the passes, where signals and threads allow it in this one."""
        with on_signals(self.halt, self._tell_halt):
            if _no_loop_here():
                asyncio.run(self._asking(made))
                return
            with ThreadPoolExecutor(max_workers=1) as pool:  # in a notebook, whose loop runs already
                done = pool.submit(lambda: asyncio.run(self._asking(made)))
                while not done.done():
                    try:
                        done.result()
                    except KeyboardInterrupt:
                        if not done.done() and self.halt.ask() == 1:
                            self._tell_halt()
                done.result()

    def _tell_halt(self) -> None:
        self.effort.warn("stopping: waiting for the calls that are under way. Again to stop at once.")

    async def _asking(self, made: Made) -> None:
        manifest, settings, effort = self.writer.manifest, self.project.settings, self.effort
        with opened_whole(self.project.cache if effort.use_cache else None, self.writer.path, effort.warn) as cache:
            _take_over(cache, self.writer.path)
            cache.begin(self.writer.path)
            job = Job(
                prompt=manifest.prompt,
                space=manifest.space,
                samples=self.writer.samples,
                repeats=manifest.repeats,
                clients=self.clients,
                writer=self.writer,
                cache=cache,
                policy=RetryPolicy(settings.max_attempts, settings.max_retry_s),
                concurrency=effort.concurrency or settings.concurrency,
                progress=effort.progress,
                redraw=self.redraw,
                rates=effort.rates or Rates(settings.rpm, settings.tpm),
                budget=effort.budget,
                halt=self.halt,
                log=effort.log,
                served=self.served,
                warn=effort.warn,
            )
            writing = asyncio.create_task(_written_soon(cache))
            try:
                await run_job(job if effort.before is None else await effort.before(job), made)
            finally:
                writing.cancel()
                cache.end(self.writer.path)

    def _finish(self) -> None:
        """Derive the scores, and say what became of the run."""
        from harness.scoring import score

        writer = self.writer
        manifest, samples = writer.manifest, self.at_hand.samples()
        predictions = self.at_hand.predictions() or load_run(writer.path).predictions
        labelled = any(sample.labels is not None for sample in samples)
        writer.keep_scores(score(manifest.space, samples, predictions).to_json() if labelled else {})
        for warning in self.unweighed.warnings():
            self.effort.warn(warning)
        if manifest.constrained:
            latest = read_completions(writer.path / "completions.jsonl").latest
            for warning in ignored(manifest.prompt, manifest.space, writer.samples, manifest.constrained, latest):
                self.effort.warn(warning)
        self._end("incomplete" if writer.failed else "complete")

    def _end(self, state: State) -> None:
        manifest = self.writer.manifest
        self.writer.update(
            state=state,
            ended=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=round(manifest.seconds + time.monotonic() - self.began, 3),
            cost_usd=_spent(manifest.prompt, self.writer.paid, self.project.settings.prices).usd,
            served=tuple(dict.fromkeys([*manifest.served, *self.served])),
        )
        self._log("run ended", state=state, answered=self.writer.n_answered, failed=len(self.writer.failed))

    def _kept(self) -> str:
        kept, left = self.writer.n_answered, left_running(self.writer.path)
        if not kept and not left:
            return "nothing was answered yet, so nothing is kept."
        completions = "1 completion is" if kept == 1 else f"{kept} completions are"
        also = f"{left} " if left else ""
        return f"{completions} kept. {also}Go on with: harness run --resume {self.writer.manifest.id}"

    def _log(self, event: str, **about: Any) -> None:
        self.effort.log(event, {"run": self.writer.manifest.id, **about})


async def _written_soon(cache: Cache) -> None:
    """Write what waits in the cache also when no further answer comes, so that other processes find it."""
    while True:
        await asyncio.sleep(WITHIN_S)
        cache.flush()


def _take_over(cache: Cache, mine: Path) -> None:
    """Put into the cache what runs were answered and have not written there yet: killed ones, and those that go on now.

    Args:
        cache: Where it goes.
        mine: The folder of the run that this process holds.
    """
    for folder in cache.unfinished():
        goes_on = folder != mine and folder.is_dir() and is_held(folder)  # by another process
        for stored in completions_in(folder / "completions.jsonl"):
            # A draw that replaced another one is no answer for runs that are not marked so.
            if not stored.completion.cached and not stored.again and cache.get(stored.key) is None:
                cache.put(stored.key, stored.completion)
        if not goes_on:
            cache.end(folder)


def _no_loop_here() -> bool:
    """Return whether this thread is free to run an event loop; in a notebook it is not."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _spent(prompt: Prompt, paid: Mapping[Kind, int], prices: Prices) -> Spent:
    model_of = {each.name: each.model.name for each in prompt.passes}
    by_model: Counter[Kind] = Counter()
    for kind, number in paid.items():  # of a pass
        by_model[kind._replace(model=model_of[kind.model])] += number
    return spent_on(by_model, prices)


def run_spent(run: StoredRun, prices: Prices) -> Spent:
    """Return what the calls of a run cost; cached calls cost nothing."""
    return _spent(run.manifest.prompt, run.paid, prices)
