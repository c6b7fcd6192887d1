"""What a run would have answered without some of its passes, from its stored completions: no call, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import DataError, UsageError, did_you_mean, listing
from harness.predict import Reading
from harness.prompt import without_answer
from harness.records import Prediction, Sample
from harness.rescoring import replay
from harness.scoring import Scores, score
from harness.store import StoredRun


@dataclass(frozen=True, slots=True)
class Without:
    """What a run would have answered without some of its passes.

    Attributes:
        names: Of the passes that are left out, in the order of the prompt.
        missing: Calls of other passes that it would need and that were never made; they count as call errors.
        gold: The samples with the gold that the run was last scored against.
    """

    names: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    missing: int
    gold: tuple[Sample, ...]
    scores: Scores


def without_passes(run: StoredRun, names: Sequence[str]) -> Without:
    """Return what a run would have answered without some of its passes, from its stored completions. Nothing is written.

    Answers are read as the run's prompt says.

    Raises:
        UsageError: A name is no pass of the run, or without these passes some label has no answer.
        DataError: No prompt made the run, or it has no gold.
    """
    manifest = run.manifest
    if manifest.origin is not None:
        raise DataError(f"run {manifest.id}: has no passes, because no prompt made it.")
    passes = [each.name for each in manifest.prompt.passes]
    if strange := [name for name in names if name not in passes]:
        raise UsageError(
            f"--without-pass '{strange[0]}': must be a pass of run {manifest.id}: {listing(passes)}."
            f"{did_you_mean(strange[0], passes)}"
        )
    left = [each for each in manifest.prompt.passes if each.name not in names]
    if unanswered := without_answer(left, manifest.space):
        out = [name for name in passes if name in names]
        raise UsageError(
            f"--without-pass {' '.join(out)}: must leave a pass that answers every label, but none would answer "
            f"{listing(unanswered, 5)}. Leave out a later pass."
        )
    gold = tuple(replace(each, labels=run.gold.get(each.id, each.labels)) for each in run.samples)
    if all(each.labels is None for each in gold):
        raise DataError(f"run {manifest.id}: has no scores, because its samples are unlabelled.")
    reading = Reading(manifest.space, without=frozenset(names))
    predictions, missing = replay(manifest.prompt, manifest.space, gold, manifest.repeats, run.log.latest, reading)
    scores = score(manifest.space, gold, predictions)
    return Without(tuple(name for name in passes if name in names), tuple(predictions), missing, gold, scores)
