"""From a task to a plan: which samples a run asks about, and whether it may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from harness.copiedtext import passages
from harness.errors import DataError, listing
from harness.identity import content
from harness.labelspace import LabelSpace
from harness.neighbours import input_text, label_texts, near_duplicates, nearest, nearest_labels
from harness.predict import predict
from harness.prompt import Candidates, Pass, Prompt
from harness.promptfile import Task
from harness.records import Sample
from harness.selection import Selection, select
from harness.shots import Nearest, Shots
from harness.stencil import Stencil, stencil_of
from harness.store import FILE_SPLIT


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do: chosen samples, and who answers.

    Attributes:
        samples: Already chosen; those shots that depend on the sample are chosen too, but for those by embeddings.
        split: Name of the split, or where unlabelled samples came from.
        warnings: What a person should know before it runs.
        locked: Whether the split is locked, so that to run it is a look: see `harness.holdout`.
    """

    prompt: Prompt
    space: LabelSpace
    dataset: str
    samples: tuple[Sample, ...]
    split: str
    default_split: bool
    selection: Selection
    repeats: int = 1
    tag: str | None = None
    warnings: tuple[str, ...] = ()
    locked: bool = False

    @property
    def seeds(self) -> dict[str, int]:
        """The seed of every random draw, by what it decided: ``shots``, in a prompt of several passes ``PASS.shots``."""
        alone = len(self.prompt.passes) == 1
        return {
            "shots" if alone else f"{each.name}.shots": each.shots.seed
            for each in self.prompt.passes
            if each.shots is not None and each.shots.seed is not None
        }


def plan_run(task: Task, split: str | None, selection: Selection, repeats: int, tag: str | None) -> Plan:
    """Return the plan of a run on labelled samples.

    Raises:
        DataError: Nothing to score is left, a shot is among the samples, or the first pass's template fails on one.
    """
    chosen = select(task.samples.samples, selection)
    name = split or task.dataset.default_split
    chosen, aside = without_set_aside(task.prompt, chosen, name)
    labelled = tuple(sample for sample in chosen if sample.labels is not None)
    if not labelled:
        raise DataError(
            f"{task.samples.path}: must have labelled samples to score, got {len(chosen)} without labels. "
            "To label them, type: harness label PROMPT FILE -o OUT"
        )
    prompt, space = task.prompt, task.dataset.space
    refuse_leaks(prompt, labelled)
    samples = with_candidates(prompt, space, with_shots(prompt, labelled))
    _try_templates(prompt, space, samples)
    default = name == task.dataset.default_split
    leaks = *near_leaks(prompt, labelled), *pasted_text(prompt, space, labelled)
    warnings = (*aside, *leaks, *bare_labels(prompt, space), *vain_votes(prompt))
    locked = name in task.dataset.locked
    return Plan(prompt, space, task.dataset.name, samples, name, default, selection, repeats, tag, warnings, locked)


def without_set_aside(
    prompt: Prompt, samples: Sequence[Sample], split: str
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return the samples that a prompt has not set aside as its shots, and a warning that names those that it has.

    It comes after the selection: a limit draws the same samples for every version.

    Raises:
        DataError: All of them are set aside.
    """
    searched = prompt.searched_on(split)
    aside = set() if searched is None else set(searched.set_aside)
    dropped = [sample.id for sample in samples if sample.id in aside]
    if not dropped:
        return tuple(samples), ()
    told = f"'searched.set_aside' of the prompt: {listing(dropped, 5)}"
    if len(dropped) == len(samples):
        raise DataError(
            f"{prompt.path}: must have samples to evaluate, but all that were chosen are set aside as shots, "
            f"{told}. Choose others."
        )
    them = f"{len(dropped)} {'sample' if len(dropped) == 1 else 'samples'} of {split}"
    kept = tuple(sample for sample in samples if sample.id not in aside)
    return kept, (f"{prompt.path}: not evaluated, because set aside as shots: {them}, {told}.",)


def plan_labels(task: Task, selection: Selection) -> Plan:
    """Return the plan of labelling the texts of a file: there is no gold, so nothing is scored.

    It is on no split of the dataset, so its run is never what the name of a version means.

    Raises:
        DataError: Nothing is left, or the first pass's template fails on a sample.
    """
    chosen = with_shots(task.prompt, select(task.samples.samples, selection))
    chosen = with_candidates(task.prompt, task.dataset.space, chosen)
    _try_templates(task.prompt, task.dataset.space, chosen)
    split = f"{FILE_SPLIT}{task.samples.path.name}"
    return Plan(
        task.prompt,
        task.dataset.space,
        task.dataset.name,
        chosen,
        split,
        default_split=False,
        selection=selection,
        warnings=(*bare_labels(task.prompt, task.dataset.space), *vain_votes(task.prompt)),
    )


def refuse_leaks(prompt: Prompt, samples: Iterable[Sample]) -> None:
    """Refuse shots, and examples of candidates, that are evaluated too: the prompt would know their answers.

    Raises:
        DataError: One of them has the text of a sample.
    """
    ids = {content(sample): sample.id for sample in samples}
    for given in _given(prompt):
        texts = {content(one): one.id for one in given.samples}
        leaks = [f"{identity} (sample {ids[text]})" for text, identity in texts.items() if text in ids]
        if leaks:
            raise DataError(
                f"{prompt.path}: {given.what} must not be among the evaluated samples, or {given.holds}, but "
                f"{listing(leaks, 5)} {'is' if len(leaks) == 1 else 'are'}. "
                f"Take them out of the {given.name} or of the split."
            )


def near_leaks(prompt: Prompt, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield a warning when shots, or examples, are nearly the same text as evaluated samples; it names up to three pairs."""
    for given in _given(prompt):
        pairs = near_duplicates(given.samples, samples)
        if pairs:
            told = listing([f"{pair.shot} and sample {pair.sample} ({pair.cosine:.2f})" for pair in pairs], 3)
            yield (
                f"{prompt.path}: {given.what} are nearly the same texts as evaluated samples, so {given.may_hold}: "
                f"{told}. Take them out of the {given.name} or of the split."
            )


def pasted_text(prompt: Prompt, space: LabelSpace, samples: Sequence[Sample]) -> Iterator[str]:
    """Yield a warning when a passage of an evaluated sample stands in the prompt's own text; it names up to five samples."""
    texts = [message.source for each in prompt.passes for message in each.messages]
    texts += [*prompt.files.values(), *prompt.variables.values()]
    known = [f"{label.name}: {label.description}" for label in space.labels]
    found = list(dict.fromkeys(each.sample for each in passages(list(dict.fromkeys(texts)), known, samples)))
    if found:
        what = "an evaluated sample" if len(found) == 1 else "evaluated samples"
        yield (
            f"{prompt.path}: its messages hold text of {what}, so its score on them would flatter it: {listing(found, 5)}. "
            "Take the text out of the prompt."
        )


class _Given(NamedTuple):
    """Labelled samples that a prompt was given, and how it is told where they are evaluated too."""

    samples: list[Sample]
    what: str
    name: str
    holds: str
    may_hold: str


def _given(prompt: Prompt) -> Iterator[_Given]:
    """Yield the shots of a prompt, and the examples of its candidates, each once."""
    shots = _once(each.shots.samples for each in prompt.passes if each.shots is not None)
    examples = _once(each.candidates.examples for each in prompt.passes if each.candidates is not None)
    if shots:
        yield _Given(shots, "shots", "shots", "the prompt holds their answers", "the prompt may hold their answers")
    if examples:
        find, may = "they find their own labels", "they may find their own labels"
        yield _Given(examples, "examples of 'candidates'", "examples", find, may)


def _once(pools: Iterable[Iterable[Sample]]) -> list[Sample]:
    """Return the samples of several passes; those that passes share once."""
    return list({(one.id, content(one)): one for pool in pools for one in pool}.values())


def bare_labels(prompt: Prompt, space: LabelSpace) -> Iterator[str]:
    """Yield a warning for each pass whose candidates have examples for some labels and none for others."""
    for each in prompt.passes:
        if each.candidates is None or not each.candidates.examples:
            continue
        inside = each.inside(space)
        known = frozenset[str]().union(*(example.labels or () for example in each.candidates.examples))
        bare = [name for name in inside if name not in known]
        if bare:
            yield (
                f"{prompt.path}: pass {each.name}: {len(bare)} of {len(inside)} labels have no example in 'candidates.from' "
                f"and come behind those that have: {listing(bare, 5)}. Add examples of them."
            )


def vain_votes(prompt: Prompt) -> Iterator[str]:
    """Yield a warning for each pass whose draws, made to vote, are all the same answer."""
    for each in prompt.passes:
        if each.votes is not None and each.model.params.get("temperature") == 0:
            yield (
                f"{prompt.path}: pass {each.name}: {each.votes.k} draws at 'temperature: 0' are one answer asked for "
                f"{each.votes.k} times. Set a temperature, or take 'votes' out."
            )


def with_shots(prompt: Prompt, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples with the shots that each pass chooses for them by TF-IDF; those by embeddings need a server."""
    for each, shots, how in choosing(prompt, "tfidf"):
        pool = [input_text(shot) for shot in shots.samples]
        samples = with_nearest(each, shots, samples, nearest(pool, [input_text(one) for one in samples], how.k))
    return tuple(samples)


def choosing(prompt: Prompt, by: str) -> Iterator[tuple[Pass, Shots, Nearest]]:
    """Yield the passes that choose shots for each sample in this way, their shots, and how they choose."""
    for each in prompt.passes:
        if each.shots is not None and each.shots.nearest is not None and each.shots.nearest.by == by:
            yield each, each.shots, each.shots.nearest


def with_nearest(
    each: Pass, shots: Shots, samples: Sequence[Sample], chosen: Sequence[Sequence[int]]
) -> tuple[Sample, ...]:
    """Return the samples with the shots of a pass, given by their positions in its pool."""
    ids = [shot.id for shot in shots.samples]
    return tuple(
        replace(sample, shots={**sample.shots, each.name: tuple(ids[at] for at in positions)})
        for sample, positions in zip(samples, chosen, strict=True)
    )


def with_candidates(prompt: Prompt, space: LabelSpace, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples with the labels that each pass chooses for them by TF-IDF; those by embeddings need a server."""
    for each, how in offering(prompt, "tfidf"):
        pool = label_texts(space.only(each.inside(space)), how.examples)
        chosen = nearest_labels(pool, [input_text(one) for one in samples], how.k)
        samples = with_offered(each, space, samples, chosen)
    return tuple(samples)


def offering(prompt: Prompt, by: str) -> Iterator[tuple[Pass, Candidates]]:
    """Yield the passes that choose labels for each sample in this way, and how they choose."""
    for each in prompt.passes:
        if each.candidates is not None and each.candidates.by == by:
            yield each, each.candidates


def with_offered(
    each: Pass, space: LabelSpace, samples: Sequence[Sample], chosen: Sequence[Sequence[int]]
) -> tuple[Sample, ...]:
    """Return the samples with the candidates of a pass, given by their positions in its scope."""
    inside = each.inside(space)
    return tuple(
        replace(sample, candidates={**sample.candidates, each.name: tuple(inside[at] for at in sorted(positions))})
        for sample, positions in zip(samples, chosen, strict=True)
    )


def with_stand_ins(prompt: Prompt, space: LabelSpace, samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples with the first shots of the pool, and labels of the scope, that embeddings did not choose yet.

    They stand in where nothing may be asked yet: to try templates, and to estimate.
    """
    for each, shots, how in choosing(prompt, "embeddings"):
        first = {each.name: tuple(shot.id for shot in shots.samples[: how.k])}
        samples = [replace(sample, shots={**first, **sample.shots}) for sample in samples]
    for each, offer in offering(prompt, "embeddings"):
        names = {each.name: each.inside(space)[: offer.k]}
        samples = [replace(sample, candidates={**names, **sample.candidates}) for sample in samples]
    return tuple(samples)


def _try_templates(prompt: Prompt, space: LabelSpace, samples: Sequence[Sample]) -> None:
    """Render every sample's first pass: a template that fails on a sample fails here, unpaid.

    Where a stencil of it fits the sample, it cannot fail.
    """
    first = prompt.passes[0]
    stencils: dict[tuple[str, ...], tuple[Stencil, ...]] = {}
    for sample in with_stand_ins(prompt, space, samples):
        columns = tuple(sample.inputs)
        if columns not in stencils:
            stencils[columns] = _stencils(first, prompt, space, sample)
        known = stencils[columns]
        if not known or not all(stencil.fits(sample) for stencil in known):
            next(predict(prompt, space, sample))


def _stencils(first: Pass, prompt: Prompt, space: LabelSpace, sample: Sample) -> tuple[Stencil, ...]:
    """Return the stencils of what a pass asks about such samples, one for each set of columns; none where one is missing."""
    if first.when is not None or first.candidates is not None:
        return ()
    made = [stencil_of(first, unit, space, prompt, sample) for unit in first.units(space)]
    found = {stencil.columns: stencil for stencil in made if stencil is not None}
    return tuple(found.values()) if None not in made else ()
