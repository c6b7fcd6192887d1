"""What each pass of a run made of one sample: what it answered, and what stood then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.labelspace import LabelSpace
from harness.predict import Step
from harness.prompt import Pass
from harness.records import ParseFailure, Prediction, Sample
from harness.rescoring import steps_of
from harness.store import StoredRun


@dataclass(frozen=True, slots=True)
class Unused:
    """Answers of a pass in which nothing could be read, for one reason.

    Attributes:
        units: The labels or groups that they are about; empty where the pass asks about the sample.
        kind: call_error, refusal, truncated or unparseable.
        why: In words.
    """

    units: tuple[str, ...]
    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class PassStep:
    """What a pass did with a sample. Labels and groups are in label-space order.

    Attributes:
        name: The pass.
        is_gate: Whether its answers name groups.
        when: Its `when`, None where it is always asked.
        asked: Whether it was; if not, its `when` was false, or no answer could have changed anything.
        answered: What its answers named: labels, or groups; None where none of them could be used.
        unused: Its answers that could not be used.
        lost: Gold labels that it left out for later passes: of groups that it did not choose, or that were no candidates.
        after: The labels that stood then.
        unanswered: The labels without an answer then.
    """

    name: str
    is_gate: bool
    when: str | None
    asked: bool
    answered: tuple[str, ...] | None
    unused: tuple[Unused, ...]
    lost: tuple[str, ...]
    after: tuple[str, ...]
    unanswered: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        from harness.plainvalues import to_plain

        plain: dict[str, Any] = to_plain(self)
        return plain


@dataclass(frozen=True, slots=True)
class SampleSteps:
    """What all passes did with a sample.

    Attributes:
        passes: In the order of the prompt.
        is_stored: Whether that is what is stored; else `harness score` has read the answers otherwise since.
    """

    passes: tuple[PassStep, ...]
    is_stored: bool


def sample_steps(run: StoredRun, sample: Sample, said: Prediction) -> SampleSteps | None:
    """Return what each pass of a run made of a sample, read as the run's prompt says; None where one pass asks about all.

    Args:
        run: A run.
        sample: One of its samples.
        said: What is stored of it, in the repeat that is meant.
    """
    manifest = run.manifest
    passes = manifest.prompt.passes
    if manifest.origin is not None or (len(passes) == 1 and passes[0].candidates is None):
        return None
    final, steps = steps_of(run, sample, said.repeat)
    gold = run.gold[sample.id] or frozenset()
    found = tuple(_passes(run, sample, gold, {step.name: step for step in steps}))
    same = (final.labels, final.unanswered) == (said.labels, said.unanswered)
    return SampleSteps(found, same)


def _passes(run: StoredRun, sample: Sample, gold: frozenset[str], steps: dict[str, Step]) -> Iterator[PassStep]:
    space = run.manifest.space
    labels, unanswered, closed = frozenset[str](), frozenset(space.names), frozenset[str]()
    for each in run.manifest.prompt.passes:
        step = steps.get(each.name)
        lost = frozenset[str]()
        if step is not None:
            labels, unanswered = step.after.labels, step.after.unanswered
            lost = gold & _left_out(each, step, closed, sample, space)
            closed = step.closed
        yield PassStep(
            name=each.name,
            is_gate=each.chooses_groups,
            when=each.when,
            asked=step is not None,
            answered=None if step is None else _answered(each, step, space),
            unused=() if step is None else tuple(_unused(step)),
            lost=tuple(space.ordered(lost)),
            after=tuple(space.ordered(labels)),
            unanswered=tuple(space.ordered(unanswered)),
        )


def _left_out(each: Pass, step: Step, closed: frozenset[str], sample: Sample, space: LabelSpace) -> frozenset[str]:
    if each.chooses_groups:
        return step.closed - closed
    return frozenset() if each.candidates is None else frozenset(each.inside(space)) - set(sample.candidates[each.name])


def _answered(each: Pass, step: Step, space: LabelSpace) -> tuple[str, ...] | None:
    usable = [result.labels for result in step.results if not isinstance(result, ParseFailure)]
    named = each.answer_space(space).ordered(frozenset[str]().union(*usable))
    return tuple(named) if usable else None


def _unused(step: Step) -> Iterator[Unused]:
    """Yield the answers that could not be used, those of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for unit, result in zip(step.units, step.results, strict=True):
        if isinstance(result, ParseFailure):
            found.setdefault((str(result.kind), result.why), []).append(unit.name)
        elif result.refused:
            found.setdefault(("refusal", "refused"), []).extend(sorted(result.refused))
    for (kind, why), units in found.items():
        yield Unused(tuple(filter(None, units)), kind, why)
