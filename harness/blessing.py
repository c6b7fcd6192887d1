"""The baseline that a project commits: a run in one small file, written, read and found by its name.

`baselines/<name>.json` has what a comparison needs: for each sample its id, the hash of its inputs and the labels that
were predicted, in every repeat. Nothing that a sample says is in it, so a comparison needs no `runs/` and no secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, RunNameError, UsageError, did_you_mean, listing
from harness.gatecheck import partial
from harness.identity import digest
from harness.jsonfiles import encodable, json_line, reading, write_lines, writing
from harness.plainvalues import to_plain
from harness.project import Project
from harness.records import FailureKind, Prediction, Sample, Shared
from harness.runnames import find_run, list_runs
from harness.scoring import Scores
from harness.store import StoredRun

FORMAT = 1
"""Version of the file; a reader refuses what is newer."""

FOLDER = "baselines"
"""Where baselines are, in the project's root."""

INPUTS_HASH = 12
"""Hex digits of the hash of a sample's inputs: enough to see that they changed, too few to guess at a text with."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Baseline:
    """A run as a baseline keeps it.

    Attributes:
        run: Its id.
        labels: Names of its labels, in their order.
        started: When it was run.
        scores: Headline scores, as they were when it was blessed, as plain values: for people.
        label_scores: The same by label.
        columns: Names of the input columns that `inputs` covers; a column that is new since does not matter.
        inputs: By sample id, the hash of its inputs; its samples, in their order.
        predictions: Of every sample and repeat: labels, unanswered cells and failure, and nothing else.
    """

    run: str
    version: str
    notes: str | None
    dataset: str
    split: str
    models: tuple[str, ...]
    prompt_hash: str
    hashes: Mapping[str, str]
    labels: tuple[str, ...]
    repeats: int
    started: str
    cost_usd: float | None
    scores: Mapping[str, Any]
    label_scores: Mapping[str, Any]
    columns: tuple[str, ...]
    inputs: Mapping[str, str]
    predictions: tuple[Prediction, ...]


def baseline_of(run: StoredRun, notes: str | None = None) -> Baseline:
    """Return a run as a baseline.

    Raises:
        DataError: It is not complete, lacks a prediction, or has no scores.
    """
    manifest = run.manifest
    if manifest.is_labelling:
        raise DataError(f"run {manifest.id}: must have scores to be a baseline, but labelled a file without gold.")
    if manifest.state != "complete":
        raise DataError(
            f"run {manifest.id}: must be complete to be a baseline, but is {manifest.state}. "
            f"Type: harness run --resume {manifest.id}"
        )
    said = [(each.sample, each.repeat) for each in run.predictions]
    ids = [sample.id for sample in run.samples]
    if lacking := partial(manifest.state, ids, manifest.repeats, said, ()):
        raise DataError(f"run {manifest.id}: must be whole to be a baseline, but is {'; '.join(lacking)}.")
    scores = Scores.from_json(run.scores)
    columns = tuple(sorted({name for sample in run.samples for name in sample.inputs}))
    return Baseline(
        run=manifest.id,
        version=manifest.version,
        notes=notes,
        dataset=manifest.dataset,
        split=manifest.split,
        models=manifest.models,
        prompt_hash=manifest.prompt_hash,
        hashes=dict(manifest.hashes),
        labels=manifest.space.names,
        repeats=manifest.repeats,
        started=manifest.started,
        cost_usd=manifest.cost_usd,
        scores=to_plain({"n_samples": scores.n_samples, **scores.headline}),
        label_scores=_label_scores(scores),
        columns=columns,
        inputs={sample.id: inputs_hash(sample, columns) for sample in run.samples},
        predictions=tuple(_bare(each) for each in run.predictions),
    )


def inputs_hash(sample: Sample, columns: Iterable[str]) -> str:
    """Return the short hash of the inputs of a sample, over some columns."""
    return digest({name: sample.inputs[name] for name in columns if name in sample.inputs}, INPUTS_HASH)


def _label_scores(scores: Scores) -> dict[str, Any]:
    names = ("support", "precision", "recall", "f1")
    plain: dict[str, Any] = to_plain({row.label: {name: getattr(row, name) for name in names} for row in scores.labels})
    return plain


def _bare(said: Prediction) -> Prediction:
    """Return a prediction without anything that a model wrote."""
    return Prediction(said.sample, said.labels, said.unanswered, said.failure, repeat=said.repeat)


# --- the file ---------------------------------------------------------------------------------------------------------


def default_name(dataset: str, split: str) -> str:
    """Return the name of the baseline of a dataset and split, fit for a file."""
    return _slug(f"{dataset}-{split}") or "baseline"


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("._-")


def path_of(project: Project, name: str) -> Path:
    """Return where a baseline is kept."""
    return project.root / FOLDER / f"{name}.json"


def check_name(name: str) -> None:
    """Refuse what is no name of a file.

    Raises:
        UsageError: It has other characters than letters, digits, dots, hyphens and underscores, or begins with a dot.
    """
    if not _NAME.fullmatch(name):
        say = _slug(name) or "release"
        raise UsageError(f"--as: must be letters, digits, '.', '-' and '_', got '{name}'. Say: --as {say}")


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline, as a whole: a reader sees the old one or the new one.

    Raises:
        DataError: The disk refuses.
    """
    with writing(path, "Make room or check permissions."):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_lines(path, _lines(baseline))


def _lines(baseline: Baseline) -> Iterator[bytes]:
    """Yield the file: what is told of the run, one line a key; then one line a label, and one a sample."""
    rows = list(_rows(baseline))
    head = {
        "v": FORMAT,
        **{name: getattr(baseline, name) for name in Baseline.__dataclass_fields__ if name not in _APART},
    }
    head["content_hash"] = digest({**head, "label_scores": baseline.label_scores, "samples": rows})
    yield b"{"
    for key, value in head.items():
        yield _json(f"\n {_json_text(key)}: {_json_text(value)},")
    labels = (f"{_json_text(name)}: {_json_text(row)}" for name, row in baseline.label_scores.items())
    yield _json('\n "label_scores": {' + ",".join(f"\n  {line}" for line in labels) + "\n },")
    yield b'\n "samples": ['
    for at, row in enumerate(rows):
        yield (b",\n  " if at else b"\n  ") + json_line(row).rstrip(b"\n")
    yield b"\n ]\n}\n"


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _json(text: str) -> bytes:
    return encodable(text).encode()


_APART = ("label_scores", "inputs", "predictions")
"""What is written line by line behind the rest."""


def _rows(baseline: Baseline) -> Iterator[dict[str, Any]]:
    order = {name: at for at, name in enumerate(baseline.labels)}
    said: dict[str, dict[int, Prediction]] = {}
    for each in baseline.predictions:
        said.setdefault(each.sample, {})[each.repeat] = each
    for sample, inputs in baseline.inputs.items():
        answers = [_answer(said[sample][repeat], order) for repeat in range(baseline.repeats)]
        yield {"id": sample, "inputs": inputs, "answers": answers}


def _answer(said: Prediction, order: Mapping[str, int]) -> dict[str, Any]:
    answer: dict[str, Any] = {"labels": sorted(said.labels, key=order.__getitem__)}
    if said.unanswered:
        every = len(said.unanswered) == len(order)
        answer["unanswered"] = "all" if every else sorted(said.unanswered, key=order.__getitem__)
        answer["failure"] = None if said.failure is None else str(said.failure)
    return answer


def read_baseline(path: Path) -> Baseline:
    """Return the baseline in a file.

    Raises:
        DataError: It is not there or damaged, was changed by hand, or was written by a newer version of this program.
    """
    again = "Restore it from git, or bless a run again: harness bless RUN"
    with reading(path, again):
        row = json.loads(path.read_text(encoding="utf-8"))
        if row["v"] > FORMAT:
            raise DataError(
                f"{path}: was written by a newer harness (format {row['v']}, this one reads {FORMAT}). Update it."
            )
        samples = row["samples"]
        if digest({name: value for name, value in row.items() if name != "content_hash"}) != row["content_hash"]:
            raise DataError(f"{path}: is not as it was written: it was merged or edited. {again}")
        labels = tuple(row["labels"])
        shared = Shared()
        values: dict[str, Any] = {name: row[name] for name in Baseline.__dataclass_fields__ if name in row}
        return Baseline(
            **{**values, **{name: tuple(row[name]) for name in _TUPLES}},
            inputs={each["id"]: each["inputs"] for each in samples},
            predictions=tuple(
                _prediction(each["id"], repeat, answer, labels, shared)
                for each in samples
                for repeat, answer in enumerate(each["answers"])
            ),
        )


_TUPLES = ("labels", "models", "columns")


def _prediction(
    sample: str, repeat: int, answer: Mapping[str, Any], labels: tuple[str, ...], shared: Shared
) -> Prediction:
    unanswered = answer.get("unanswered", ())
    failure = answer.get("failure")
    return Prediction(
        sample,
        shared.labels(answer["labels"]),
        shared.labels(labels if unanswered == "all" else unanswered),
        None if failure is None else FailureKind(failure),
        repeat=repeat,
    )


# --- which baseline is meant ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A baseline and what a person calls it: a path, or a run."""

    baseline: Baseline
    where: str


def load_blessed(path: Path, project: Project) -> Found:
    """Return the baseline in a file, which messages call as a person here would.

    Raises:
        DataError: As `read_baseline` does.
    """
    shown = project.show(path)
    return Found(read_baseline(Path(shown)), shown)


def find_blessed(project: Project, run: StoredRun, named: str | None = None) -> Found | None:
    """Return the baseline that a run is measured against; None when none was named and its dataset and split have none.

    A name is that of a baseline, else a path of one, else a run's.

    Raises:
        DataError: The baseline cannot be read, or the run that was named is no baseline.
        RunNameError: There is nothing of that name, or it is the run itself.
    """
    manifest = run.manifest
    path = path_of(project, default_name(manifest.dataset, manifest.split) if named is None else named)
    if named is None and not path.is_file():
        return None
    if named is None or (_NAME.fullmatch(named) and path.is_file()):
        return load_blessed(path, project)
    if Path(named).is_file():
        return load_blessed(Path(named), project)
    try:
        other = find_run(project.runs, named)
    except RunNameError as error:
        raise _nothing_named(project, named, str(error)) from None
    if other.manifest.id == manifest.id:
        raise RunNameError(f"--against {named}: must be another run, got {manifest.id} itself. See: harness runs")
    return Found(baseline_of(other), f"run {other.manifest.id}")


def _nothing_named(project: Project, named: str, no_run: str) -> RunNameError:
    blessed = sorted(path.stem for path in (project.root / FOLDER).glob("*.json"))
    known = [*blessed, *dict.fromkeys(each.manifest.version for each in list_runs(project.runs))]
    if not known:
        return RunNameError(f"--against {named}: there are no baselines and no runs yet. Type: harness bless RUN")
    if named not in known:
        there = f"Baselines: {listing(blessed) or 'none'}. Runs: see harness runs."
        return RunNameError(f"--against {named}: no such baseline, file or run. {there}{did_you_mean(named, known)}")
    return RunNameError(f"--against {named}: {no_run}")
