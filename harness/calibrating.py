"""A run's thresholds: found on its probabilities, and written as a new prompt version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError, UsageError, did_you_mean, listing
from harness.holdout import refuse_locked
from harness.labelspace import LabelSpace
from harness.narrowing import answer_space
from harness.nextversion import check_new_file, load_as_run, run_command, write_new
from harness.parsing import FORMATS, Output, read
from harness.parsing.formats import DEFAULT_THRESHOLD
from harness.project import Project
from harness.prompt import DECISION_APIS, Pass, Prompt
from harness.promptedit import with_thresholds
from harness.records import Answer, FailureKind, Prediction, Sample
from harness.store import StoredRun
from harness.voting import voted
from harness.yamlfile import read_text

if TYPE_CHECKING:
    from harness.calibration import Calibration
    from harness.probabilities import ProbabilityScores
    from harness.thresholds import Evidence

NEEDED = (
    "They come from log-probabilities (model.params: {logprobs: true, top_logprobs: 20}) with format yes_no or codes, "
    "from format scores, from votes, or from an API that decides."
)
"""Where probabilities come from, for a message."""

_READABLE = (FailureKind.UNPARSEABLE, FailureKind.TRUNCATED)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Thresholds found on a run.

    Attributes:
        pass_name: The pass whose thresholds they are.
        probabilities: The scores of the probabilities they were found on.
        notes: What a person should know of them.
        written: The new prompt file; None when none was asked for.
        next_command: What runs the new version as this run was made.
    """

    run: StoredRun
    calibration: Calibration
    pass_name: str
    probabilities: ProbabilityScores | None
    notes: tuple[str, ...] = ()
    written: Path | None = None
    next_command: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values, NaN as None."""
        from harness.plainvalues import to_plain

        found = self.calibration
        return {
            "run": self.run.manifest.id,
            "dataset": self.run.manifest.dataset,
            "split": self.run.manifest.split,
            "pass": self.pass_name,
            **to_plain(found),
            "thresholds": found.thresholds,
            "helps": found.helps,
            "ranks": found.ranks,
            "notes": list(self.notes),
            "probabilities": to_plain(self.probabilities),
            "written": None if self.written is None else str(self.written),
        }


def calibrate_run(
    run: StoredRun,
    project: Project,
    *,
    metric: str = "macro_f1",
    one_threshold: bool = False,
    folds: int = 5,
    seed: int = 0,
    write: Path | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Calibrated:
    """Find the thresholds that maximise a score on a run, and write them as a new prompt version where that is asked for.

    The run's frozen prompt counts, and the gold that the run was last scored against. No call is made.

    Args:
        run: A run on labelled samples.
        project: Where its prompt file lies.
        metric: A key of `thresholds.METRICS`.
        one_threshold: The same threshold for all labels.
        folds: Parts of the cross-validation.
        seed: Of the folds.
        write: The new prompt file, in the folder of the run's.
        warn: Told when the prompt file has changed since the run.

    Raises:
        UsageError: There is no such metric, the folds cannot be, or the new file cannot be there.
        DataError: The run has no gold or no probabilities, is on a locked split, or its prompt file cannot be edited.
    """
    from harness.calibration import calibrate
    from harness.scoring import Scores, score
    from harness.thresholds import METRICS

    if metric not in METRICS:
        raise UsageError(f"--metric '{metric}': must be one of {listing(METRICS)}.{did_you_mean(metric, METRICS)}")
    refuse_locked(run, project, "calibrate thresholds", warn)
    manifest = run.manifest
    if not run.scores:
        raise DataError(
            f"run {manifest.id}: must have gold labels to be calibrated on, but its samples are unlabelled."
        )
    if write is not None:
        check_new_file(write, run, project)
    samples = [replace(each, labels=run.gold.get(each.id, each.labels)) for each in run.samples]
    target = _calibrated_pass(run)
    today = _todays_prompt(run, project)
    if today is not None and today.hash != manifest.prompt_hash:
        warn(f"{manifest.prompt.path}: has changed since run {manifest.id}. What the run asked and answered counts.")
    evidence, revived = _evidence(run, target, samples)
    if not evidence.has_probabilities:
        raise _without_probabilities(run)
    now = [_threshold_now(target, name, manifest.space) for name in manifest.space.names]
    found = calibrate(evidence, metric, one_threshold=one_threshold, folds=folds, seed=seed, now=now)
    probabilities = (
        Scores.from_json(run.scores).probabilities or score(manifest.space, samples, run.predictions).probabilities
    )
    result = Calibrated(run, found, target.name, probabilities, _notes(manifest.prompt, target, revived))
    if write is None:
        return result
    return replace(
        result, written=write, next_command=_write(write, run, project, target, found, METRICS[metric].words, today)
    )


def _notes(prompt: Prompt, target: Pass, revived: int) -> tuple[str, ...]:
    notes = []
    if revived:
        notes.append(
            f"{revived} cells that could not be read in the answers' words have a probability: thresholds answer them."
        )
    if prompt.passes[-1].name != target.name:
        notes.append(f"They are those of pass {target.name}; what later passes ask and answer may change with them.")
    return tuple(notes)


# --- what thresholds are found on -------------------------------------------------------------------------------------


def _calibrated_pass(run: StoredRun) -> Pass:
    """Return the last pass with probabilities that covers the labels that have some.

    Raises:
        DataError: There are none, or no pass covers them all.
    """
    if run.manifest.origin is not None:
        raise DataError(
            f"run {run.manifest.id}: no prompt made it, so there is no file to put thresholds in. Import it again with "
            "--threshold."
        )
    names = run.manifest.space.names
    labels = {name for each in run.predictions for name in each.probabilities}
    giving = [each for each in run.manifest.prompt.passes if _scores_labels(each)]
    if not giving:
        raise _without_probabilities(run)
    whole = [each for each in giving if labels <= set(each.scope or names)]
    if not whole:
        raise DataError(
            f"run {run.manifest.id}: one pass must give the probabilities of all labels, but they come from several: "
            f"{listing(each.name for each in giving)}. Set their thresholds by hand."
        )
    return whole[-1]


def _scores_labels(each: Pass) -> bool:
    """Return whether a pass leaves probabilities of labels; those of a gate are of groups."""
    return each.gives_probabilities and not each.chooses_groups


def _without_probabilities(run: StoredRun) -> DataError:
    return DataError(f"run {run.manifest.id}: must have probabilities to be calibrated, but has none. {NEEDED}")


def _threshold_now(target: Pass, label: str, space: LabelSpace) -> float | None:
    """Return the threshold that decides a label now; None where the words of the answer or the count of votes do."""
    by_itself = target.model.api in DECISION_APIS or FORMATS[target.output.format].gives_probabilities
    decides = by_itself or target.output.has_thresholds if target.votes is None else target.votes.how == "mean"
    inside = label in (target.scope or space.names)
    return target.output.threshold_of(label) if decides and inside else None


def _evidence(run: StoredRun, target: Pass, samples: Sequence[Sample]) -> tuple[Evidence, int]:
    """Return the run's cells, and how many of them only a threshold answers.

    Those are in answers that could not be read in their words and yet have probabilities. A probability that another
    pass gave is none here: the thresholds of ``target`` do not decide its cell.
    """
    import numpy as np

    from harness.probabilities import matrix
    from harness.scoring import align
    from harness.thresholds import Evidence

    space = run.manifest.space
    repeats = align(space, samples, run.predictions)
    rows = [row for repeat in repeats for row in repeat.predictions]
    own = _own_probabilities(run, target, rows)
    probabilities = matrix(space.names, own)
    answered = np.vstack([each.answered for each in repeats])
    evidence = Evidence(
        names=space.names,
        y_true=np.vstack([each.y_true for each in repeats]),
        y_pred=np.vstack([each.y_pred for each in repeats]),
        answered=answered,
        probabilities=probabilities,
        n_repeats=len(repeats),
    )
    return evidence, int(np.count_nonzero(~answered & ~np.isnan(probabilities)))


def _own_probabilities(run: StoredRun, target: Pass, rows: Sequence[Prediction]) -> list[Mapping[str, float]]:
    """Return the probabilities that the thresholds of a pass decide, by prediction."""
    inside = set(target.scope or run.manifest.space.names)
    others = [each for each in run.manifest.prompt.passes if _scores_labels(each) and each.name != target.name]
    shared = any(inside & set(each.scope or run.manifest.space.names) for each in others)
    words = target.votes is None and not target.output.has_thresholds and bool(FORMATS[target.output.format].weigh)
    samples = {sample.id: sample for sample in run.samples} if shared or words else {}
    found: list[Mapping[str, float]] = []
    for row in rows:
        kept = {name: p for name, p in row.probabilities.items() if name in inside and name not in row.unanswered}
        unread = words and row.failure in _READABLE
        if shared or unread:
            mine = _read_again(run, target, row, samples[row.sample])
            kept = {name: p for name, p in kept.items() if mine.get(name) == p}
            kept |= {name: p for name, p in mine.items() if unread and name in row.unanswered}
        found.append(kept)
    return found


def _read_again(run: StoredRun, target: Pass, row: Prediction, sample: Sample) -> dict[str, float]:
    """Return the probabilities in a pass's own completions, read with thresholds."""
    output = target.output
    if not output.has_thresholds:
        output = replace(output, threshold=DEFAULT_THRESHOLD)
    found: dict[str, float] = {}
    for unit in target.units(run.manifest.space):
        slots = [(row.sample, target.name, unit.name, row.repeat * target.draws + at) for at in range(target.draws)]
        drawn = [run.log.latest[slot].completion for slot in slots if slot in run.log.latest]
        if len(drawn) == len(slots):
            within = answer_space(target, unit.name, run.manifest.space, sample)
            result = voted([read(each, within, output) for each in drawn], target.votes, within, output)
            if isinstance(result, Answer):
                found |= {name: p for name, p in result.probabilities.items() if name in unit.labels}
    return found


# --- the new version --------------------------------------------------------------------------------------------------


def _todays_prompt(run: StoredRun, project: Project) -> Prompt | None:
    """Return the run's prompt as its file has it today; None where that is gone or has problems."""
    path = run.manifest.prompt.path
    try:
        return None if path is None else load_as_run(project.root / path, run, project)
    except DataError:
        return None


def _asked(prompt: Prompt, name: str) -> str:
    """Return the hash of a prompt but for the thresholds of one pass."""

    def without(output: Output) -> Output:
        return replace(output, threshold=None, thresholds={})

    passes = [replace(each, output=without(each.output)) if each.name == name else each for each in prompt.passes]
    return replace(prompt, passes=tuple(passes)).hash


def _write(
    path: Path, run: StoredRun, project: Project, target: Pass, found: Calibration, words: str, today: Prompt | None
) -> str:
    """Write the new version, check it as it is read back, and return what runs it.

    Raises:
        DataError: The thresholds of this pass decide nothing, the prompt has changed, or its text cannot be edited.
    """
    manifest = run.manifest
    old = project.root / (manifest.prompt.path or "")
    if target.votes is not None and target.votes.how != "mean":
        raise DataError(
            f"{manifest.prompt.path}: pass {target.name} counts its votes (how: {target.votes.how}), and thresholds decide "
            "with 'how: mean' alone. Write a version that says so, run it (no call is made again), and calibrate that run."
        )
    if today is None or _asked(today, target.name) != _asked(manifest.prompt, target.name):
        raise DataError(
            f"{manifest.prompt.path}: must ask what run {manifest.id} asked, but has changed since. "
            "Run it again, and calibrate that run."
        )
    notes = (
        f"thresholds for {words}, calibrated on {manifest.dataset} {manifest.split} (run {manifest.id}, "
        f"{found.n_samples} samples, {found.folds} folds, seed {found.seed})"
    )
    text = with_thresholds(
        read_text(old),
        str(manifest.prompt.path),
        parent=manifest.version,
        notes=notes,
        pass_number=[each.name for each in manifest.prompt.passes].index(target.name),
        threshold=found.threshold,
        thresholds=found.thresholds,
    )
    write_new(path, text)
    try:
        new = load_as_run(path, run, project)
        why = _wrong(new, today, target, found, notes)
    except DataError as error:
        why = str(error)
    if why is not None:
        path.unlink()
        raise DataError(
            f"{manifest.prompt.path}: cannot be edited so that only its thresholds change: {why} "
            "Write the version by hand; harness calibrate --json tells the thresholds."
        )
    return run_command(path, run, project)


def _wrong(new: Prompt, today: Prompt, target: Pass, found: Calibration, notes: str) -> str | None:
    """Return what is not as it should be in the new version; None when it is the old one with other thresholds."""
    output = next((each.output for each in new.passes if each.name == target.name), target.output)
    wanted = {each.label: each.found for each in found.labels if each.found is not None}
    if any(output.threshold_of(label) != value for label, value in wanted.items()):
        return "its thresholds did not come out right."
    same = (_asked(today, target.name), today.models, today.dataset, today.version, notes)
    if (_asked(new, target.name), new.models, new.dataset, new.parent, new.notes) != same:
        return "something else came out different."
    return None
