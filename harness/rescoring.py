"""Scoring a run again from its stored completions: a fix to a parser, an alias or a gold label costs no call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.dataset import load_dataset
from harness.errors import DataError
from harness.identity import gold_hash
from harness.labelspace import LabelSpace
from harness.parsing import Output
from harness.predict import predict
from harness.project import Project
from harness.prompt import Prompt
from harness.promptfile import load_task
from harness.records import Completion, FailureKind, Prediction, Sample
from harness.store import Slot, State, StoredCompletion, StoredRun, load_run, open_run, write_derived


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


def rescore(run: StoredRun, project: Project) -> Rescored:
    """Parse and score a run again from its stored completions, with today's output format, aliases and gold. No call.

    Raises:
        DataError: Today's inputs differ from those that were sent, or the label space has other labels.
    """
    manifest = run.manifest
    outputs, space, samples, sources = _todays(run, project)
    predictions, missing = replay(manifest.prompt, space, samples, manifest.repeats, run.log.latest, outputs)
    from harness.scoring import score

    before = {(each.sample, each.repeat): each for each in (run.predictions if _has_predictions(run) else ())}
    changed = sum(before.get((each.sample, each.repeat)) != each for each in predictions)
    with open_run(run) as writer:
        gold = {sample.id: sample.labels for sample in samples}
        write_derived(run.path, space, gold, predictions, score(space, samples, predictions).to_json())
        incomplete = missing or any(each.failure is FailureKind.CALL_ERROR for each in predictions)
        state: State = "incomplete" if incomplete else "complete"
        writer.update(state=state, space=space, hashes={**manifest.hashes, "gold": gold_hash(samples)})
    return Rescored(load_run(run.path), missing, changed, sources)


def _has_predictions(run: StoredRun) -> bool:
    return (run.path / "predictions.jsonl").is_file()


def _todays(
    run: StoredRun, project: Project
) -> tuple[Mapping[str, Output], LabelSpace, tuple[Sample, ...], tuple[str, ...]]:
    """Return output formats by pass, label space and samples as today's files have them, where they are still there."""
    prompt = run.manifest.prompt
    outputs: dict[str, Output] = {}
    space, samples = run.manifest.space, run.samples
    sources = []
    if prompt.path is not None and (project.root / prompt.path).is_file():
        path = project.root / prompt.path
        task = load_task(path, project, variables=prompt.variables, model=prompt.passes[0].model.name)
        outputs = {each.name: each.output for each in task.prompt.passes}
        sources.append(f"output format of {path.name}")
    if prompt.dataset is not None and (project.root / prompt.dataset).is_file():
        dataset = load_dataset(project.root / prompt.dataset, project)
        if set(dataset.space.names) != set(space.names):
            differing = sorted(set(dataset.space.names) ^ set(space.names))
            raise DataError(
                f"run {run.manifest.id}: the label space has changed: {', '.join(differing)}. Run it again."
            )
        space = dataset.space
        sources.append(f"aliases of {dataset.path.name}")
        if run.manifest.split in dataset.splits:
            samples = todays_gold(run, dataset.read(run.manifest.split).samples)
            sources.append(f"gold of {dataset.splits[run.manifest.split].name}")
    return outputs, space, samples, tuple(sources)


def todays_gold(run: StoredRun, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples of a run with today's gold, by id.

    Raises:
        DataError: A sample is gone, or its inputs are not what was sent.
    """
    today = {sample.id: sample for sample in samples}
    gone = [sample.id for sample in run.samples if sample.id not in today]
    changed = [each.id for each in run.samples if each.id in today and dict(today[each.id].inputs) != dict(each.inputs)]
    for wrong, what in ((gone, "are gone"), (changed, "have other inputs now")):
        if wrong:
            raise DataError(
                f"run {run.manifest.id}: {len(wrong)} of its samples {what}, {wrong[0]} the first. "
                "Its completions answer the old ones; run it again."
            )
    return tuple(today[sample.id] for sample in run.samples)


def replay(
    prompt: Prompt,
    space: LabelSpace,
    samples: Sequence[Sample],
    repeats: int,
    stored: Mapping[Slot, StoredCompletion],
    outputs: Mapping[str, Output] | None = None,
) -> tuple[list[Prediction], int]:
    """Return the predictions that stored completions give, and how many calls they would need that were never made.

    A call that was never made counts as a call error.
    """
    missing = 0
    predictions = []
    for repeat in range(repeats):
        for sample in samples:
            asking = predict(prompt, space, sample, repeat, outputs)
            try:
                calls = next(asking)
                while True:
                    found = [stored.get(call.slot) for call in calls]
                    missing += found.count(None)
                    calls = asking.send([_NEVER_MADE if each is None else each.completion for each in found])
            except StopIteration as end:
                predictions.append(end.value)
    return predictions, missing


_NEVER_MADE = Completion(
    status="error", error={"kind": "never_made", "message": "the call was never made", "status": None}
)
