"""The `shots` section of a prompt file: worked examples, where they come from and which of them are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, listing
from harness.labelspace import LabelSpace
from harness.project import Project
from harness.prompt import Pass, Shots
from harness.records import Sample
from harness.samples import read_samples
from harness.yamlfile import Section


@dataclass(frozen=True, slots=True)
class ShotFile:
    """Where the shots of a pass come from, and the section that says so."""

    path: Path
    count: int | None
    section: Section


def read_shots(section: Section, folder: Path, project: Project) -> ShotFile | None:
    """Return what a `shots` section says; None when it names no file that may be read.

    Args:
        section: The mapping under `shots`.
        folder: What its paths are relative to.
        project: Where files may be read.
    """
    path = inside(section, "from", folder, project)
    count = section.integer("k", least=1)
    section.choice("select", ["fixed"])
    if not section.has("from"):
        section.problem("from", "is missing. Name a sample file.")
    section.finish()
    return None if path is None else ShotFile(path, count, section)


def inside(section: Section, key: str, folder: Path, project: Project) -> Path | None:
    """Return a file that a prompt file names, which must lie in the project."""
    text = section.text(key)
    if text is None:
        return None
    path = folder / text
    if not project.inside(path):
        section.problem(key, f"must lie in the project {project.root}, got '{text}'.")
        return None
    return path


def bind_shots(file: ShotFile, space: LabelSpace) -> Shots | None:
    """Return the shots of a file for a label space; None, with its problems noted, when they cannot be used."""
    try:
        samples = read_samples(file.path, space).samples
    except DataError as error:
        file.section.problems.add(f"'shots' cannot be used:\n{error}", file.section.line)
        return None
    if unlabelled := [shot.id for shot in samples if shot.labels is None]:
        file.section.problem("from", f"must be labelled, but these are not: {listing(unlabelled, 5)}.")
    if file.count is not None and file.count > len(samples):
        file.section.problem("k", f"must be at most {len(samples)}, the samples of {file.path.name}, got {file.count}.")
    return Shots(samples[: file.count])


def check_shot_fields(each: Pass, shots: tuple[Sample, ...], file: ShotFile) -> None:
    """Note every field of the output that a shot lacks: it could not be rendered as an answer."""
    for name in each.output.fields:
        if lacking := [shot.id for shot in shots if name not in shot.fields]:
            file.section.problem(
                "from", f"must have the field '{name}' of the output, but these have not: {listing(lacking, 5)}."
            )
