"""Scoring a run again from its stored completions: a fix to a parser, an alias or a gold label costs no call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.bulk import many_values
from harness.completionlog import Slot, StoredCompletion
from harness.dataset import load_dataset
from harness.errors import DataError, listing
from harness.jsonfiles import packed_rows
from harness.labelspace import LabelSpace
from harness.lineage import has_inputs_of
from harness.narrowing import asks_by_label
from harness.outside import state_of
from harness.parsing import FORMATS
from harness.predict import Reading, Step, answered, predict, said_by
from harness.project import Project
from harness.prompt import Pass, Prompt, without_answer
from harness.promptfile import load_task
from harness.promptoutput import impossible
from harness.records import Asked, Call, Completion, Prediction, Sample, Shared
from harness.rendering import Said, answer_context, base_context
from harness.samples import SampleSet
from harness.store import RunWriter, State, StoredRun, load_run, open_run, write_derived


@dataclass(frozen=True, slots=True)
class Rescored:
    """A run scored again.

    Attributes:
        missing: Calls that today's reading of the answers would need and that were never made.
        changed: Predictions that differ from those before.
        sources: What was taken from today's files, for people.
    """

    run: StoredRun
    missing: int
    changed: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Today:
    """What today's files say, where they are still there; else what the run froze."""

    reading: Reading
    samples: tuple[Sample, ...]
    sources: tuple[str, ...]


@many_values()
def rescore(run: StoredRun, project: Project) -> Rescored:
    """Parse and score a run again from its stored completions, with today's output formats, scopes, aliases and gold.

    What the run froze stays as it is, so that `--resume` and `harness show` still know what was asked. No call is made.

    Raises:
        DataError: Today's inputs differ from those that were sent, or the label space has other labels.
        RunBusyError: Another process is writing the run.
    """
    from harness.scoring import score

    if run.manifest.origin is not None:
        return _rescore_outside(run, project)
    today = _todays(run, project)
    space, samples = today.reading.space, today.samples
    with open_run(run) as writer:
        manifest = writer.manifest
        asked = space if space == manifest.space else manifest.space
        predictions, missing = replay(manifest.prompt, asked, samples, manifest.repeats, writer.latest, today.reading)
        changed = _changed(run, predictions)
        gold = {sample.id: sample.labels for sample in samples}
        labelled = any(labels is not None for labels in gold.values())
        write_derived(
            run.path, space, gold, predictions, score(space, samples, predictions).to_json() if labelled else {}
        )
        writer.update(state=_state(writer, missing))
    return Rescored(load_run(run.path), missing, changed, today.sources)


def _rescore_outside(run: StoredRun, project: Project) -> Rescored:
    """Score predictions again that no prompt made: they stand as they are, the gold is today's."""
    from harness.scoring import score

    today = _todays(run, project)
    with open_run(run) as writer:
        predictions = run.predictions
        gold = {sample.id: sample.labels for sample in today.samples}
        labelled = any(labels is not None for labels in gold.values())
        scores = score(today.reading.space, today.samples, predictions).to_json() if labelled else {}
        write_derived(run.path, today.reading.space, gold, predictions, scores)
        writer.update(state=state_of(predictions))
    sources = tuple(each for each in today.sources if each.startswith("gold"))
    return Rescored(load_run(run.path), 0, 0, sources)


def _changed(run: StoredRun, predictions: Sequence[Prediction]) -> int:
    """Return how many predictions are not what was stored: all of them where nothing was, or nothing can be read.

    What is stored is read line by line, so that it never takes memory beside what came of it.
    """
    now = {(each.sample, each.repeat): each for each in predictions}
    same, shared = 0, Shared()
    try:
        for row in packed_rows(run.path / "predictions.jsonl"):
            same += now.pop((row["id"], row["repeat"]), None) == Prediction.from_json(row, shared)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return len(predictions)
    return len(predictions) - same


def _state(writer: RunWriter, missing: int) -> State:
    """Return the state of a run after scoring: how its calls ended does not change, whether they suffice can."""
    if not missing and not writer.failed:
        return "complete"
    before = writer.manifest.state
    return before if before in ("interrupted", "stopped") else "incomplete"


def _todays(run: StoredRun, project: Project) -> _Today:
    prompt = run.manifest.prompt
    path = _file(project, prompt.path)
    dataset = _file(project, prompt.dataset)
    loaded = None if dataset is None else load_dataset(dataset, project)
    space, samples = run.manifest.space, run.samples
    if loaded is not None and loaded.space != space:
        space = loaded.space
    _refuse(run, set(run.manifest.space.names) ^ set(space.names))

    @cache
    def todays() -> SampleSet | None:
        """Return today's samples, read once; None where the run's split is gone."""
        return loaded.read(run.manifest.split) if loaded and run.manifest.split in loaded.splits else None

    sources: list[str] = []
    passes: dict[str, Pass] = {}
    if path is not None:
        passes = _todays_passes(run, path, dataset, project, todays)
        what = "output formats and merge rules" if len(prompt.passes) > 1 else "output format"
        sources.append(f"{what} of {path.name}")
    asked = {name for each in prompt.passes for name in passes.get(each.name, each).output.fields}
    _refuse(run, asked - {each.name for each in space.fields})
    if loaded is not None:
        sources.append(f"aliases of {loaded.path.name}")
        if (fresh := todays()) is not None:
            samples = todays_gold(run, fresh.samples)
            sources.append(f"gold of {loaded.splits[run.manifest.split].name}")
    return _Today(Reading(space, passes), samples, tuple(sources))


def _file(project: Project, path: Path | None) -> Path | None:
    """Return where a file of a run lies today, None when it is not there."""
    return project.root / path if path is not None and (project.root / path).is_file() else None


def _refuse(run: StoredRun, differing: set[str]) -> None:
    """Refuse a label space in which the run's answers have no place."""
    if differing:
        names = listing(sorted(differing))
        raise DataError(f"run {run.manifest.id}: the label space has changed: {names}. Run it again.")


def _todays_passes(
    run: StoredRun, path: Path, dataset: Path | None, project: Project, todays: Callable[[], SampleSet | None]
) -> dict[str, Pass]:
    """Return the passes of a run with the output format, the scope, merge rule and way of voting of today's file."""
    prompt = run.manifest.prompt
    model, variables = prompt.only_model, prompt.variables
    task = load_task(
        path,
        project,
        variables=variables,
        model=model,
        dataset=dataset,
        read=lambda _: todays() or SampleSet(path, run.samples),
    )
    today = {each.name: each for each in task.prompt.passes}
    passes = {each.name: _as_today(run, each, today[each.name]) for each in prompt.passes if each.name in today}
    merged = [passes.get(each.name, each) for each in prompt.passes]
    if left := without_answer(merged, run.manifest.space):
        raise DataError(
            f"run {run.manifest.id}: with today's 'merge' none of its passes answers {listing(left)}. Run it again."
        )
    return passes


def _as_today(run: StoredRun, asked: Pass, today: Pass) -> Pass:
    """Return a pass as it was asked, read as today's file says.

    Raises:
        DataError: Its answers cannot be read so, because something else was asked.
    """
    votes = replace(asked.votes, how=today.votes.how) if asked.votes and today.votes else asked.votes
    output = replace(today.output, constrain=asked.output.constrain)  # what was in force then
    read = replace(asked, output=output, scope=today.scope, how=today.how, votes=votes)
    where = f"run {run.manifest.id}: pass {asked.name}"
    for problem in _unreadable(asked, today, read, run.manifest.space):
        because = problem.partition(". ")[0].rstrip(".")
        raise DataError(f"{where} cannot be read as today's file says: {because}. Run it again.")
    if asked.scope and asks_by_label(asked):
        # Each call asked about labels of its own: a wider scope than then has no answers.
        space = run.manifest.space
        scope = tuple(name for name in asked.scope if name in (today.scope or space.names))
        if not scope:
            raise DataError(f"{where} was asked about none of the labels in today's 'merge.scope'. Run it again.")
        return replace(read, scope=scope)
    return read


def _unreadable(asked: Pass, today: Pass, read: Pass, space: LabelSpace) -> Iterator[str]:
    """Yield why what a pass was asked cannot be read as today's file says."""
    if asked.chooses_groups != today.chooses_groups:
        yield f"it chose {'groups' if asked.chooses_groups else 'labels'} then"
    yield from (problem for _, problem in impossible(read, space))
    if asked.chooses_groups:  # their names are those of then, whatever they are called today
        yield from FORMATS[read.output.format].check(read.output, asked.answer_space(space))


def todays_gold(run: StoredRun, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples of a run with today's gold, by id; input columns that are new since do not matter.

    Raises:
        DataError: A sample is gone, or its inputs are not what was sent.
    """
    today = {sample.id: sample for sample in samples}
    gone = [sample.id for sample in run.samples if sample.id not in today]
    changed = [each.id for each in run.samples if each.id in today and not has_inputs_of(each, today[each.id])]
    for wrong, what in ((gone, "are gone"), (changed, "have other inputs now")):
        if wrong:
            raise DataError(
                f"run {run.manifest.id}: its samples must be as they were sent, but these {what}: {listing(wrong, 5)}. "
                "Its completions answer the old ones; run it again."
            )
    return tuple(_with_gold_of(today[sample.id], sample) for sample in run.samples)


def _with_gold_of(today: Sample, sample: Sample) -> Sample:
    """Return a sample of a run with the gold that it has today."""
    if today.labels == sample.labels and today.fields == sample.fields:
        return sample
    return replace(sample, labels=today.labels, fields=today.fields)


def replay(
    prompt: Prompt,
    space: LabelSpace,
    samples: Sequence[Sample],
    repeats: int,
    stored: Mapping[Slot, StoredCompletion],
    reading: Reading,
) -> tuple[list[Prediction], int]:
    """Return the predictions that stored completions give, and how many calls they would need that were never made.

    A call that was never made counts as a call error. A later pass's call is another one when its messages are others,
    because the answer before it is read in another way.
    """
    found = _Found(stored)
    wordless = _same_words(prompt, space, reading)
    checked = len(wordless) < len(prompt.passes)
    predictions = []
    for repeat in range(repeats):
        for sample in samples:
            if checked:
                found.made = _made(prompt, space, sample, repeat, stored, wordless)
            asking = predict(prompt, space, sample, repeat, reading, wordless=wordless)
            predictions.append(answered(asking, found))
    return predictions, found.missing


class _Found:
    """Finds the completions of calls among those that are stored, and counts those that were never made.

    Attributes:
        made: What the calls of a sample asked that were made; None where a call that has a completion asked just that.
        missing: Calls that were never made.
    """

    def __init__(self, stored: Mapping[Slot, StoredCompletion]) -> None:
        self._stored = stored
        self.made: Mapping[Slot, Asked] | None = None
        self.missing = 0

    def __call__(self, call: Call) -> Completion:
        """Return the completion of a call, a call error where there is none."""
        if self.made is None or self.made.get(call.slot) == call.asked:
            stored = self._stored.get(call.slot)
            if stored is not None:
                return stored.completion
        self.missing += 1
        return _NEVER_MADE


def _same_words(prompt: Prompt, space: LabelSpace, reading: Reading) -> frozenset[str]:
    """Return the passes of which each call asks the same words, however the answers are read: they need not be rendered.

    That is the first pass, which comes before every answer. Where all is read as it was, it is all of them.
    """
    as_before = reading.space == space and all(reading.passes.get(each.name, each) == each for each in prompt.passes)
    return frozenset(each.name for each in (prompt.passes if as_before and not reading.without else prompt.passes[:1]))


def calls_of(run: StoredRun, sample: Sample, repeat: int) -> Iterator[tuple[Call, StoredCompletion]]:
    """Yield the calls of a sample that have a completion, rendered again from what the run froze.

    What came back is read only where a later pass depends on it.
    """
    last = {each.name for each in run.manifest.prompt.passes[-1:]}
    asking = predict(run.manifest.prompt, run.manifest.space, sample, repeat)
    try:
        calls = next(asking)
        while True:
            found = [run.log.latest.get(call.slot) for call in calls]
            known = [each for each in found if each is not None]
            yield from ((call, each) for call, each in zip(calls, found, strict=True) if each is not None)
            if len(known) < len(found) or {call.pass_name for call in calls} <= last:
                return
            calls = asking.send([each.completion for each in known])
    except StopIteration:
        return


def _made(
    prompt: Prompt,
    space: LabelSpace,
    sample: Sample,
    repeat: int,
    stored: Mapping[Slot, StoredCompletion],
    wordless: frozenset[str],
) -> dict[Slot, Asked]:
    """Return what the calls of a sample asked that have a completion, rendered as they were but for the ``wordless``."""
    made: dict[Slot, Asked] = {}

    def find(call: Call) -> Completion:
        found = stored.get(call.slot)
        if found is None:
            return _NEVER_MADE
        made[call.slot] = call.asked
        return found.completion

    answered(predict(prompt, space, sample, repeat, wordless=wordless), find)
    return made


def steps_of(
    run: StoredRun,
    sample: Sample,
    repeat: int,
    reading: Reading | None = None,
) -> tuple[Prediction, tuple[Step, ...]]:
    """Return what the passes of a run said of a sample, and what each of them that was asked did, from what is stored.

    Args:
        run: A run that a prompt made.
        sample: One of its samples, as the run has it.
        repeat: Which repeat.
        reading: How to read the answers; default: as the run's prompt says.
    """
    steps: list[Step] = []
    asking = predict(run.manifest.prompt, run.manifest.space, sample, repeat, reading, steps.append)
    return answered(asking, lambda call: _stored(run, call)), tuple(steps)


def _stored(run: StoredRun, call: Call) -> Completion:
    found = run.log.latest.get(call.slot)
    return _NEVER_MADE if found is None else found.completion


def next_contexts(run: StoredRun) -> Iterator[tuple[Prediction, Mapping[str, Any]]]:
    """Yield for each sample and repeat what is predicted, and what the `when` of a pass after the last one would see.

    The predictions are those that the stored completions give as the run's prompt reads them, repeat by repeat in the order
    of the samples. Of predictions that no prompt made, and of passes whose completions are gone, there is no raw output.
    """
    space, variables = run.manifest.space, run.manifest.prompt.variables
    samples = {sample.id: sample for sample in run.samples}
    for prediction in run.predictions:
        sample = samples[prediction.sample]
        left = {} if run.manifest.origin is not None else _left(run, sample, prediction.repeat)
        yield prediction, {**base_context(sample, space, variables), **answer_context(prediction, left, space)}


def _left(run: StoredRun, sample: Sample, repeat: int) -> dict[str, Said]:
    """Return what each pass of a run left of a sample."""
    _, steps = steps_of(run, sample, repeat)
    nothing = Prediction(sample.id, frozenset(), unanswered=frozenset(run.manifest.space.names), repeat=repeat)
    return said_by(run.manifest.prompt.passes, {step.name: step for step in steps}, run.manifest.space, nothing)


_NEVER_MADE = Completion(
    status="error", error={"kind": "never_made", "message": "the call was never made", "status": None}
)
