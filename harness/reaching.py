"""What the gates and candidates of a stored run left to its later passes: its calls replayed, without a new one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.bulk import many_values
from harness.embeddings import ranked_by_vectors
from harness.flatprompt import Asked
from harness.neighbours import input_text, label_texts, ranked_labels
from harness.project import Project
from harness.prompt import Candidates, Pass
from harness.reach import Reach, chooses
from harness.reachcounting import reach
from harness.records import Prediction, Sample
from harness.rescoring import steps_of
from harness.store import StoredRun

_Places = Mapping[str, Mapping[str, int]]
"""By sample and gold label its place in a ranking, the nearest 0."""


def reach_of(run: StoredRun, project: Project) -> Reach | None:
    """Return what the choices of a run left to its later passes, measured on the gold of its last scoring.

    Args:
        run: With predictions and gold.
        project: Whose cache has the vectors of candidates by embeddings; no call is made.

    Returns:
        None for a run whose prompt has neither gate nor candidates, or that no prompt made.
    """
    manifest = run.manifest
    if manifest.origin is not None or not chooses(manifest.prompt):
        return None
    samples = [replace(each, labels=run.gold.get(each.id, each.labels)) for each in run.samples]
    labelled = [sample for sample in samples if sample.labels is not None]
    with many_values():
        asked = list[Prediction]()
        found = reach(
            manifest.prompt,
            manifest.space,
            _asked(run, labelled, asked),
            manifest.repeats,
            dict(_ranks(run, labelled, project)),
        )
    stored = {(each.sample, each.repeat): each for each in run.predictions}
    reread = sum(not _alike(each, stored.get((each.sample, each.repeat))) for each in asked)
    return replace(found, reread=reread)


def _asked(run: StoredRun, samples: Sequence[Sample], predictions: list[Prediction]) -> Iterator[Asked]:
    """Yield every sample in every repeat as it was asked; its prediction is kept too."""
    for repeat in range(run.manifest.repeats):
        for sample in samples:
            prediction, steps = steps_of(run, sample, repeat)
            predictions.append(prediction)
            yield Asked(sample, prediction, {step.name: step for step in steps})


def _alike(one: Prediction, other: Prediction | None) -> bool:
    return other is not None and (one.labels, one.unanswered) == (other.labels, other.unanswered)


def _ranks(run: StoredRun, samples: Sequence[Sample], project: Project) -> Iterator[tuple[str, _Places]]:
    """Yield passes with candidates whose ranking is known, and where it puts the gold labels of each sample."""
    for each in run.manifest.prompt.passes:
        if each.candidates is not None:
            rows = _rows(run, each, each.candidates, samples, project)
            places = None if rows is None else _places(run, each, samples, rows)
            if places is not None:
                yield each.name, places


def _rows(
    run: StoredRun, each: Pass, how: Candidates, samples: Sequence[Sample], project: Project
) -> Iterable[Sequence[int]] | None:
    """Return for each sample the positions of all labels in a pass's scope, the nearest first; None where unknown."""
    space = run.manifest.space
    if how.by == "tfidf":
        pool = label_texts(space.only(each.inside(space)), how.examples)
        return ranked_labels(pool, [input_text(sample) for sample in samples])
    asked_there = each.model.base_url or run.manifest.endpoints[each.name].get("base_url")
    there = replace(each, model=replace(each.model, base_url=asked_there))
    return ranked_by_vectors(there, how, space, samples, project)


def _places(run: StoredRun, each: Pass, samples: Sequence[Sample], rows: Iterable[Sequence[int]]) -> _Places | None:
    """Return by sample and gold label its place; None where the ranking is not the one by which candidates were chosen."""
    inside = each.inside(run.manifest.space)
    found: dict[str, dict[str, int]] = {}
    for sample, row in zip(samples, rows, strict=True):
        chosen = sample.candidates[each.name]
        if {inside[at] for at in row[: len(chosen)]} != set(chosen):
            return None
        place = {at: rank for rank, at in enumerate(row)}
        gold = sample.labels or frozenset()
        found[sample.id] = {name: place[at] for at, name in enumerate(inside) if name in gold}
    return found
