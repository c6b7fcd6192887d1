"""The `shots` section of a prompt file: worked examples, where they come from and which of them are used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from harness.errors import DataError, listing
from harness.labelspace import LabelSpace
from harness.project import Project
from harness.prompt import LOCAL, Pass
from harness.records import Sample
from harness.rendering import shot_answer
from harness.samples import read_samples
from harness.shots import Nearest, NearestBy, Shots, balanced, drawn
from harness.yamlfile import Section

SELECTIONS = ("fixed", "random", "balanced", "similar")
DRAWS = ("random", "balanced")


@dataclass(frozen=True, slots=True)
class ShotFile:
    """Where the shots of a pass come from, how they are chosen, and the section that says so."""

    path: Path
    count: int | None
    section: Section
    select: str = "fixed"
    seed: int = 0
    by: NearestBy = "tfidf"
    model: str | None = None


def read_shots(section: Section, folder: Path, project: Project) -> ShotFile | None:
    """Return what a `shots` section says; None when it names no file that may be read.

    Args:
        section: The mapping under `shots`.
        folder: What its paths are relative to.
        project: Where files may be read.
    """
    path = inside(section, "from", folder, project)
    count = section.integer("k", least=1)
    select = section.choice("select", SELECTIONS)
    seed, by, model = section.integer("seed"), section.choice("by", get_args(NearestBy)), section.text("model")
    if not section.has("from"):
        section.problem("from", "is missing. Name a sample file.")
    if select not in (None, "fixed") and not section.has("k"):
        section.problem("k", f"is missing. Say how many shots 'select: {select}' chooses.")
    if section.has("seed") and select not in DRAWS:
        section.problem("seed", f"needs a draw: 'select: {DRAWS[0]}' or 'select: {DRAWS[1]}'. Take it out.")
    if section.has("by") and select != "similar":
        section.problem("by", "needs 'select: similar'. Take it out.")
    if by == "embeddings" and not section.has("model"):
        section.problem("model", "is missing. Name the server's embedding model.")
    if section.has("model") and by != "embeddings":
        section.problem("model", "needs 'by: embeddings'. Take it out.")
    section.finish()
    near: NearestBy = "embeddings" if by == "embeddings" else "tfidf"
    return None if path is None else ShotFile(path, count, section, select or "fixed", seed or 0, near, model)


def inside(section: Section, key: str, folder: Path, project: Project) -> Path | None:
    """Return a file that a prompt file names, which must lie in the project and not be hidden."""
    text = section.text(key)
    if text is None:
        return None
    path = folder / text
    if barred := project.bars(path):
        section.problem(key, f"{barred}, got '{text}'.")
        return None
    return path


def read_pool(file: ShotFile, space: LabelSpace) -> tuple[Sample, ...] | None:
    """Return the samples that shots are chosen from; None, with its problems noted, when they cannot be used."""
    try:
        samples = read_samples(file.path, space).samples
    except DataError as error:
        file.section.problems.add(f"'shots' cannot be used:\n{error}", file.section.line)
        return None
    if unlabelled := [shot.id for shot in samples if shot.labels is None]:
        file.section.problem("from", f"must be labelled, but these are not: {listing(unlabelled, 5)}.")
    if file.count is not None and file.count > len(samples):
        file.section.problem("k", f"must be at most {len(samples)}, the samples of {file.path.name}, got {file.count}.")
    return samples


def choose_shots(file: ShotFile, pool: tuple[Sample, ...], each: Pass, space: LabelSpace) -> Shots:
    """Return the shots of a pass: chosen here, unless they depend on the sample; then the pool.

    Args:
        file: How they are chosen.
        pool: Labelled samples.
        each: The pass; with 'select: balanced' each unit of it gets shots of its own.
        space: The label space, with every label that the pass names.
    """
    k = file.count or len(pool)
    if file.select == "similar":
        return Shots(pool, nearest=Nearest(k, file.by, file.model))
    if file.select == "random":
        return Shots(drawn(pool, k, file.seed), seed=file.seed)
    if file.select != "balanced":
        return Shots(pool[:k])
    units = each.units(space)
    chosen = {unit.name: balanced(pool, unit.labels, k, file.seed, unit.name) for unit in units}
    if len(units) == 1:
        return Shots(chosen[units[0].name], seed=file.seed)
    ids = {name: tuple(shot.id for shot in shots) for name, shots in chosen.items()}
    used = {identity for each in ids.values() for identity in each}
    return Shots(tuple(shot for shot in pool if shot.id in used), ids, seed=file.seed)


def check_shots(each: Pass, file: ShotFile, space: LabelSpace) -> None:
    """Note what a pass's shots lack to be rendered as answers: a field of the output, or a form in its format.

    Args:
        each: With its shots; its output is sound.
        file: Takes the problems.
        space: The label space.
    """
    shots = () if each.shots is None else each.shots.samples
    for name in each.output.fields:
        if lacking := [shot.id for shot in shots if name not in shot.fields]:
            file.section.problem(
                "from", f"must have the field '{name}' of the output, but these have not: {listing(lacking, 5)}."
            )
    for shot in shots:
        try:
            for unit in each.units(space):
                shot_answer(shot, each, unit, space)
        except ValueError as error:
            file.section.problem("from", f"format {each.output.format} cannot write shot {shot.id}: {error}")


def check_server(file: ShotFile, model: str) -> None:
    """Note shots by embeddings for a model that has no server to ask for them."""
    if file.by == "embeddings" and model.startswith(LOCAL):
        file.section.problem("by", f"needs a server with embeddings, and {model} has none. Use 'by: tfidf'.")
