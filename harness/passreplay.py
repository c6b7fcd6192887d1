"""A run's completions taken through its passes once more: what each pass did, and what would be said without it. No call.

What was asked is not rendered for it: the slot of a call says which completion answers it. Messages are rendered only after
a pass that is left out or merged otherwise, where a later call may be one that was never made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.labelspace import LabelSpace
from harness.merging import Reasons, merge
from harness.narrowing import asked_units, cells, never_offered
from harness.predict import Reading, Step, answered, predict
from harness.prompt import ANSWERING, MergeHow, MessageTemplate, Pass, Prompt, QuestionTemplates, without_answer
from harness.records import Answer, Asked, Call, Completion, FailureKind, ParseFailure, Prediction, Sample
from harness.rendering import render_call
from harness.store import StoredRun
from harness.template import TemplateError, expression
from harness.templatenames import alternatives

WITHOUT = "without"
"""What the answers are called that a run would have without a pass."""

NAMING: tuple[MergeHow, ...] = ("replace", "add", "union", "intersection", "confirm")
"""Merge rules by which an answer names the labels that apply. An answer that names what must go can be merged by no other
rule than its own: it would say the opposite."""

_NEVER_MADE = Completion(
    status="error", error={"kind": "never_made", "message": "the call was never made", "status": None}
)


def compared_passes(prompt: Prompt, space: LabelSpace) -> tuple[Pass, ...]:
    """Return the passes that answer cells which an earlier pass has answered: there is something to compare them with."""
    found, answered = [], frozenset[str]()
    for each in prompt.passes:
        if each.chooses_groups:
            continue
        cells = frozenset(name for unit in each.units(space) for name in unit.labels) & frozenset(each.inside(space))
        if cells & answered:
            found.append(each)
        if each.how in ANSWERING:
            answered |= cells
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Variant:
    """A prompt with one pass left out or merged otherwise; what comes after that pass is rendered whole."""

    name: str
    changed: Pass
    prompt: Prompt
    reading: Reading | None


@dataclass(slots=True)
class Tally:
    """What is seen of a pass while a run is replayed; predictions by row, where they are not the final ones.

    Lists have an entry for each repeat.
    """

    each: Pass
    parts: tuple[str, ...]
    variants: tuple[Variant, ...]
    before: list[dict[int, Prediction]]
    after: list[dict[int, Prediction]]
    sent: list[dict[int, tuple[bool, ...]]]
    otherwise: dict[str, list[dict[int, Prediction]]]
    missing: Counter[str] = field(default_factory=Counter)
    completions: list[Completion] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    n_answers: int = 0


@dataclass(slots=True)
class Seen:
    """What is seen of a run while it is replayed.

    Attributes:
        final: By repeat, the final predictions in the order of the samples.
        differs: Whether one of them is not what is stored.
    """

    tallies: dict[str, Tally]
    final: list[list[Prediction]]
    differs: bool = False


def replayed(run: StoredRun, samples: Sequence[Sample], measured: Sequence[Pass], *, every: bool) -> Seen:
    """Return what a run's completions say of its passes.

    A sample about which no measured pass was asked is not replayed, where no merge rule would ask more of it either: what
    is stored of it stands.

    Args:
        run: The run.
        samples: Those with gold labels.
        measured: The passes to look at.
        every: Replay all samples.
    """
    manifest = run.manifest
    bare = replace(manifest.prompt, passes=tuple(map(_bare, manifest.prompt.passes)))
    every = every or any(each.how != "replace" for each in measured)
    asked = _asked_about(run, measured)
    stored = {(each.sample, each.repeat): each for each in run.predictions}
    seen = Seen({each.name: _tally(each, manifest.prompt, bare, manifest) for each in measured}, [])
    for repeat in range(manifest.repeats):
        rows: list[Prediction] = []
        for row, sample in enumerate(samples):
            known = stored.get((sample.id, repeat))
            if known is not None and not every and (sample.id, repeat) not in asked:
                rows.append(known)
                continue
            final, steps = _walked(run, bare, sample, repeat)
            seen.differs |= known is not None and not _is_same(known, final)
            rows.append(final)
            _look(seen, _Place(run, sample, repeat, row, final, steps))
        seen.final.append(rows)
    return seen


def to_replay(run: StoredRun) -> int:
    """Return about how many completions are read again to measure the passes of a run: that is what takes the time."""
    manifest = run.manifest
    measured = () if manifest.origin is not None else compared_passes(manifest.prompt, manifest.space)
    if not measured:
        return 0
    if manifest.state != "complete" or any(each.how != "replace" for each in measured):
        return len(run.log.latest)
    asked = _asked_about(run, measured)
    draws = {each.name: each.draws for each in manifest.prompt.passes}
    return sum((sample, draw // draws[name]) in asked for sample, name, _, draw in run.log.latest)


def _tally(each: Pass, prompt: Prompt, bare: Prompt, manifest: Any) -> Tally:
    variants = tuple(_variants(each, prompt, bare, manifest.space))
    repeats = range(manifest.repeats)
    return Tally(
        each=each,
        parts=() if each.when is None else alternatives(each.when),
        variants=variants,
        before=[{} for _ in repeats],
        after=[{} for _ in repeats],
        sent=[{} for _ in repeats],
        otherwise={variant.name: [{} for _ in repeats] for variant in variants},
    )


def _bare(each: Pass) -> Pass:
    """Return a pass with nothing to render: its calls have the same slots, and its answers are read alike."""
    nothing = MessageTemplate("user", "")
    asked = None if each.questions is None else QuestionTemplates(nothing, nothing)
    return replace(each, messages=(), shots=None, questions=asked)


def _variants(each: Pass, prompt: Prompt, bare: Prompt, space: LabelSpace) -> Iterator[Variant]:
    """Yield the prompt without a pass and with its other merge rules, where every label still has an answer."""
    at = prompt.passes.index(each)
    passes = (*bare.passes[: at + 1], *prompt.passes[at + 1 :])
    if not without_answer((*passes[:at], *passes[at + 1 :]), space):
        yield Variant(WITHOUT, each, replace(bare, passes=passes), Reading(space, without=frozenset({each.name})))
    for how in NAMING if each.how in NAMING else ():
        changed = (*passes[:at], replace(passes[at], how=how), *passes[at + 1 :])
        if how != each.how and not without_answer(changed, space):
            yield Variant(how, changed[at], replace(bare, passes=changed), None)


def _asked_about(run: StoredRun, measured: Sequence[Pass]) -> set[tuple[str, int]]:
    """Return the samples and repeats of which a pass has a completion."""
    draws = {each.name: each.draws for each in measured}
    return {(sample, draw // draws[name]) for sample, name, _, draw in run.log.latest if name in draws}


def _walked(run: StoredRun, bare: Prompt, sample: Sample, repeat: int) -> tuple[Prediction, dict[str, Step]]:
    """Return what the passes say of a sample, and what each that was asked did, by its name."""
    steps: list[Step] = []

    def find(call: Call) -> Completion:
        return _stored(run, call)

    said = answered(predict(bare, run.manifest.space, sample, repeat, None, steps.append), find)
    return said, {step.name: step for step in steps}


def _stored(run: StoredRun, call: Call) -> Completion:
    found = run.log.latest.get(call.slot)
    return _NEVER_MADE if found is None else found.completion


@dataclass(frozen=True, slots=True)
class _Place:
    """A sample in a repeat, with what was said of it and what each pass that was asked did."""

    run: StoredRun
    sample: Sample
    repeat: int
    row: int
    final: Prediction
    steps: Mapping[str, Step]


def _look(seen: Seen, place: _Place) -> None:
    """Note what the passes did to one sample."""
    repeat, row, final = place.repeat, place.row, place.final
    prompt = place.run.manifest.prompt
    said = Prediction(place.sample.id, frozenset(), unanswered=frozenset(place.run.manifest.space.names), repeat=repeat)
    for at, each in enumerate(prompt.passes):
        step = place.steps.get(each.name)
        before, said = said, said if step is None else step.after
        tally = seen.tallies.get(each.name)
        if tally is None:
            continue
        for what, prediction in ((tally.before, before), (tally.after, said)):
            if not _is_same(prediction, final):
                what[repeat][row] = prediction
        if step is not None:
            _note(tally, step, repeat, row)
        for variant in tally.variants:
            otherwise = _otherwise(variant, tally, place, last=at == len(prompt.passes) - 1)
            if otherwise is not None and not _is_same(otherwise, final):
                tally.otherwise[variant.name][repeat][row] = otherwise


def _note(tally: Tally, step: Step, repeat: int, row: int) -> None:
    """Note whom a pass was asked about and why, what came back, and what could not be read."""
    tally.sent[repeat][row] = tuple(_holds(part, step.context) for part in tally.parts)
    tally.completions += [each for each in step.completions if each is not _NEVER_MADE]
    tally.n_answers += len(step.results)
    tally.failed.update(str(result.kind) for result in step.results if isinstance(result, ParseFailure))


def _holds(part: str, context: Mapping[str, Any]) -> bool:
    """Return whether an alternative of a trigger holds by itself; one that another alternative guards may fail alone."""
    try:
        return bool(expression(part)(context))
    except TemplateError:
        return False


def _is_same(one: Prediction, other: Prediction) -> bool:
    """Return whether two predictions are the same in every cell."""
    return one is other or (one.labels == other.labels and one.unanswered == other.unanswered)


def _otherwise(variant: Variant, tally: Tally, place: _Place, *, last: bool) -> Prediction | None:
    """Return what would be said of a sample without a pass or under another rule; None where nothing would differ."""
    each, step = tally.each, place.steps.get(tally.each.name)
    if step is None and (variant.name == WITHOUT or each.how == "replace"):
        return None  # it was not asked, and no other rule asks where `replace` does not
    space = place.run.manifest.space
    if step is not None and last:
        if variant.name == WITHOUT:
            return step.before
        said, missing = merged_otherwise(step, variant.changed, place.sample, space)
    else:
        reused = _Reused(each.name, place)
        asking = predict(variant.prompt, space, place.sample, place.repeat, variant.reading)
        said, missing = answered(asking, reused.find), reused.missing
    tally.missing[variant.name] += missing
    return said


def merged_otherwise(step: Step, each: Pass, sample: Sample, space: LabelSpace) -> tuple[Prediction, int]:
    """Return what would hold after a pass that merges by another rule, as `predict` does it, from what was read.

    Args:
        step: What the pass did as it is.
        each: The pass with the other rule.
        sample: The sample.
        space: The label space.

    Returns:
        The prediction, and the calls that the rule would need and that were never made.
    """
    read = {unit.name: result for unit, result in zip(step.units, step.results, strict=True)}
    units = asked_units(each, space, sample, step.before, step.closed)
    found = [(unit, read[unit.name]) for unit in units if unit.name in read]
    kind, why = step.before.failure or FailureKind.UNPARSEABLE, step.before.why or ""
    said = step.before
    reasons: Reasons = dict.fromkeys(space.ordered(said.unanswered), (kind, why))
    for unit, result in found:
        said, reasons = merge(said, reasons, result, cells(each, unit, space), each.how)
    if not found or any(isinstance(result, Answer) for _, result in found):
        rest = never_offered(each, space, sample, said, step.closed)
        said, reasons = merge(said, reasons, Answer(frozenset()), rest)
    return said, (len(units) - len(found)) * each.draws


class _Reused:
    """Stored completions for calls of another way of merging, as far as they were made for the very same question.

    Args:
        changed: The pass that is left out or merged otherwise. What comes before it is asked as it was; of its own calls
            those exist that it was asked; later ones exist where their messages are what they were.
        place: The sample.
    """

    def __init__(self, changed: str, place: _Place) -> None:
        self.missing = 0
        self._place = place
        names = [each.name for each in place.run.manifest.prompt.passes]
        self._order = {name: at - names.index(changed) for at, name in enumerate(names)}
        self._asked: dict[tuple[str, str], Asked] = {}

    def find(self, call: Call) -> Completion:
        """Return the completion of a call; of one that was never made, an error."""
        if self._order[call.pass_name] >= 0 and not self._was_made(call):
            self.missing += 1
            return _NEVER_MADE
        return _stored(self._place.run, call)

    def _was_made(self, call: Call) -> bool:
        step = self._place.steps.get(call.pass_name)
        if step is None or call.unit not in {unit.name for unit in step.units}:
            return False
        return self._order[call.pass_name] == 0 or self._rendered(step, call.unit) == call.asked

    def _rendered(self, step: Step, unit: str) -> Asked:
        """Return what was asked, rendered as it was."""
        key = step.name, unit
        if key not in self._asked:
            place, manifest = self._place, self._place.run.manifest
            (each,) = (one for one in manifest.prompt.passes if one.name == step.name)
            (about,) = (one for one in step.units if one.name == unit)
            files = manifest.prompt.files
            call = render_call(each, place.sample, about, manifest.space, step.context, place.repeat, files)
            self._asked[key] = call.asked
        return self._asked[key]
