"""From a labelled file to a project: its label space, seeded splits, a few shots and a first prompt, as files."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.identity import content
from harness.intake import Intake
from harness.labelspace import Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.records import Sample
from harness.scaffold import SETUP, prompt_file, quoted, write_new
from harness.splitting import stratified_split

MOST_SHOTS = 24
SHOT_SHARE = 0.1
"""At most so many samples become shots: they are lost to the splits."""
SPARE = 3
"""Samples that a label must have for one of them to become a shot, so that dev and test can have one each."""
LONG_SHOT = 600
"""Characters above which a sample is a shot only where no shorter one will do: shots are paid with every call."""


@dataclass(frozen=True, slots=True)
class Start:
    """A project made from a labelled file.

    Attributes:
        made: The files that were written.
        kept: Files of the project that were there already and stay as they are.
        prompt: The first prompt, relative to the folder.
        parts: Samples by part: dev, test, shots, unlabelled; parts without samples are not there.
    """

    name: str
    intake: Intake
    prompt: str
    parts: Mapping[str, tuple[Sample, ...]]
    made: tuple[Path, ...]
    kept: tuple[Path, ...]

    def support(self, label: str, part: str) -> int:
        """Return how many samples of a part have a label."""
        return sum(label in (sample.labels or ()) for sample in self.parts.get(part, ()))


def start_project(intake: Intake, folder: Path, name: str, model: str, *, test_share: float, seed: int) -> Start:
    """Write a project for a labelled file. Settings that the folder has already are kept.

    Args:
        intake: The file, understood.
        folder: The project's folder.
        name: Of the dataset and of its files.
        model: Who answers the first prompt.
        test_share: Share of the labelled samples that go into the test split.
        seed: Of the splits and the shots.

    Raises:
        DataError: A file that is to be made is there already, or the disk refuses.
    """
    shots, rest = choose_shots(intake.labelled, seed)
    parts = {**split(rest, test_share, seed), "shots": shots}
    parts["unlabelled"] = [sample for sample in intake.samples if sample.labels is None]
    parts = {part: samples for part, samples in parts.items() if samples}
    order = {label: at for at, label in enumerate(intake.support)}
    version = "v1" if not (folder / "prompts" / "v1.yaml").exists() else f"{name}-v1"
    prompt = f"prompts/{version}.yaml"
    space = LabelSpace(tuple(map(Label, intake.support)))
    files: dict[str, str] = {
        f"datasets/{name}.yaml": _dataset_file(name, intake, parts, test_share, seed),
        **{f"datasets/{name}.{part}.jsonl": _jsonl(samples, order) for part, samples in parts.items()},
        prompt: prompt_file(name, model, "text", "Text", output_for(space), version),
    }
    setup = {path: text for path, text in SETUP.items() if not (folder / path).exists()}
    made = write_new(folder, {**files, **setup})
    kept = tuple(folder / path for path in SETUP if path not in setup)
    return Start(name, intake, prompt, {part: tuple(each) for part, each in parts.items()}, tuple(made), kept)


def dataset_name(path: Path, given: str | None) -> str:
    """Return the name of the dataset: the given one, else that of the file.

    Raises:
        UsageError: The given one cannot be the name of a file.
    """
    if given is None:
        return re.sub(r"[^\w.-]+", "-", path.stem).strip("-.") or "data"
    if not re.fullmatch(r"\w[\w.-]*", given):
        raise UsageError(f"--name '{given}': must be letters, digits, '.', '_' and '-', a letter or digit first.")
    return given


def choose_shots(samples: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return a handful of samples for worked examples, and all others.

    Every label that can spare a sample gets one, the rarest first; one sample without labels is among them where there are
    such. A text that stands in the file twice is no shot: its twin would be evaluated with the answer in the prompt.
    """
    times = Counter(map(content, samples))
    order = sorted((sample for sample in samples if times[content(sample)] == 1), key=lambda sample: sample.id)
    random.Random(seed).shuffle(order)  # noqa: S311 - a reproducible draw, no secret
    order.sort(key=lambda sample: len(sample.inputs["text"]) > LONG_SHOT)
    left = Counter(theme for sample in samples for theme in _themes(sample))
    most = min(MOST_SHOTS, int(len(samples) * SHOT_SHARE))
    shots: list[Sample] = []
    covered: set[str] = set()
    for theme in sorted(left, key=lambda each: (left[each], each)):
        if theme in covered or len(shots) == most:
            continue
        able = [
            sample
            for sample in order
            if theme in _themes(sample) and all(left[each] >= SPARE for each in _themes(sample))
        ]
        if able:
            shot = max(able, key=lambda sample: len(_themes(sample) - covered) - len(_themes(sample) & covered))
            shots.append(shot)
            covered |= _themes(shot)
            left -= Counter(_themes(shot))
            order.remove(shot)
    chosen = {shot.id for shot in shots}
    return [each for each in samples if each.id in chosen], [each for each in samples if each.id not in chosen]


def _themes(sample: Sample) -> frozenset[str]:
    """Return the labels of a sample; what has none counts as having one of its own."""
    return sample.labels or frozenset({""})


def split(samples: Sequence[Sample], test_share: float, seed: int) -> dict[str, list[Sample]]:
    """Return dev and test, every label in both as the share says; the same text is never in both of them.

    Dev is never empty; test is left out where the share is 0 or no sample falls to it.
    """
    first: dict[str, Sample] = {}
    for sample in samples:
        first.setdefault(content(sample), sample)
    if test_share <= 0 or len(first) < 2:
        return {"dev": list(samples)}
    parts = stratified_split(list(first.values()), {"dev": 1 - test_share, "test": test_share}, seed)
    test = {content(sample) for sample in parts["test"]}
    if not test or not parts["dev"]:
        return {"dev": list(samples)}
    return {
        "dev": [sample for sample in samples if content(sample) not in test],
        "test": [sample for sample in samples if content(sample) in test],
    }


def output_for(space: LabelSpace) -> Output:
    """Return the plainest output format that can carry these label names."""
    tried = [Output("list"), *(Output("json", {} if key == "labels" else {"labels_key": key}) for key in _KEYS)]
    return next(each for each in tried if not FORMATS[each.format].check(each, space))


_KEYS = ("labels", "answer", "labels_that_apply", "all_labels_that_apply")


def _dataset_file(
    name: str, intake: Intake, parts: Mapping[str, Sequence[Sample]], test_share: float, seed: int
) -> str:
    labels = "".join(f'  {quoted(label)}: ""  # {count}\n' for label, count in intake.support.items())
    splits = "".join(f"  {part}: {name}.{part}.jsonl\n" for part in ("dev", "test") if part in parts)
    shots = f"# Worked examples for prompts, in neither split: {name}.shots.jsonl\n" if "shots" in parts else ""
    return (
        f"# Made by harness init from {json.dumps(intake.path.name)}.\n"
        f"name: {quoted(name)}\n\n"
        "# The most frequent first, each with its number of samples. Write down what each label means and where its border\n"
        "# is: prompts can show it. Other words for a label go into aliases:\n"
        "#   LABEL: {description: …, aliases: [another word]}\n"
        f"labels:\n{labels}\n"
        f"# Drawn with seed {seed}, {test_share:g} of the samples for test, every label in its share.\n"
        "# Write prompts against dev; look at test rarely, or you tune your prompt to it.\n"
        f"splits:\n{splits}{shots}"
    )


def _jsonl(samples: Sequence[Sample], order: Mapping[str, int]) -> str:
    return "".join(_line(sample, order) for sample in samples)


def _line(sample: Sample, order: Mapping[str, int]) -> str:
    labels = None if sample.labels is None else sorted(sample.labels, key=order.__getitem__)
    inputs = dict(sample.inputs)
    row = {"id": sample.id, "text": inputs.pop("text"), "labels": labels, **inputs}
    text = json.dumps(row, ensure_ascii=False, default=str)
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(row, default=str)  # UTF-8 cannot hold a lone surrogate, JSON's escapes can
    return f"{text}\n"
