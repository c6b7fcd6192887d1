"""What a prompt saves by asking about less than all labels: its prompt tokens against those of the flat prompt. Pure.

The flat prompt asks what a narrowed pass asks, of all labels of its scope at once: the template of a `per: group` pass
rendered with all of them as one group, that of a pass with candidates with all of them as candidates. A `per: label` pass
asks of every label. It has no gate. It is asked once a sample and repeat, wherever a pass without a `when` could have been
asked, and where one with a `when` was. Both sides are counted by the same estimate, `harness.pricing.estimated_tokens`, so
that neither depends on what a server counts.

Where a gate failed, nothing more was asked: that is no saving, so such a sample counts on neither side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, NamedTuple

from harness.labelspace import LabelSpace
from harness.metrics import NAN
from harness.predict import Step, said_by
from harness.pricing import estimated_tokens
from harness.prompt import Pass, Prompt
from harness.records import ParseFailure, Prediction, Sample
from harness.rendering import answer_context, base_context, render_call
from harness.shots import Shots
from harness.template import TemplateError
from harness.units import Unit


class Asked(NamedTuple):
    """A sample in one repeat: what is predicted, and what each pass that was asked did."""

    sample: Sample
    prediction: Prediction
    steps: Mapping[str, Step]


@dataclass(frozen=True, slots=True)
class PassTokens:
    """The prompt tokens of one pass, over all samples and repeats that count.

    Attributes:
        calls: Its calls, every draw of votes counted.
        tokens: About what they ask with.
        flat_calls: Calls of the flat prompt in its place; 0 for a gate.
        flat_tokens: About what these would ask with.
        counted: Calls of which the server told how many prompt tokens it counted.
        served: The sum of what it told.
    """

    name: str
    calls: int
    tokens: int
    flat_calls: int
    flat_tokens: int
    counted: int
    served: int


@dataclass(frozen=True, slots=True)
class Saving:
    """Prompt tokens of gates and of the passes that ask about less for it, against those of the flat prompt.

    Attributes:
        passes: In the order of the prompt.
        n: (sample, repeat) pairs that count.
        left_out: Pairs that do not, because a gate failed.
    """

    passes: tuple[PassTokens, ...]
    n: int
    left_out: int

    @property
    def totals(self) -> dict[str, Any]:
        """The sums over the passes, and what comes of them; NaN at 0/0.

        ``saved`` is a share of the flat prompt's tokens, below 0 where that asks with fewer; ``tokens_each`` and
        ``flat_tokens_each`` are means over the pairs.
        """
        sums = {
            name: sum(getattr(each, name) for each in self.passes)
            for name in ("calls", "tokens", "flat_calls", "flat_tokens", "counted", "served")
        }
        each = {f"{name}_each": sums[name] / self.n if self.n else NAN for name in ("tokens", "flat_tokens")}
        return {**sums, **each, "saved": 1 - sums["tokens"] / sums["flat_tokens"] if sums["flat_tokens"] else NAN}


def narrowed(prompt: Prompt, space: LabelSpace) -> tuple[Pass, ...]:
    """Return the passes that ask about less than all labels of their scope: behind a gate, or by candidates."""
    found: list[Pass] = []
    gated: set[str] = set()
    for each in prompt.passes:
        if each.chooses_groups:
            gated.update(each.inside(space))
        elif each.candidates is not None or (each.per != "sample" and not gated.isdisjoint(each.inside(space))):
            found.append(each)
    return tuple(found)


class Tokens:
    """Counts prompt tokens, sample by sample, as they were asked and as the flat prompt would ask."""

    def __init__(self, prompt: Prompt, space: LabelSpace) -> None:
        self._prompt = prompt
        self._space = space
        fine = narrowed(prompt, space)
        by_gate = {name for each in fine if each.per != "sample" for name in each.inside(space)}
        gates = [each for each in prompt.passes if each.chooses_groups and not by_gate.isdisjoint(each.inside(space))]
        self._flat = {each.name: _Flat(each, space) for each in fine}
        self._gates = frozenset(each.name for each in gates)
        names = self._gates | self._flat.keys()
        self._counts = {each.name: Counter[str]() for each in prompt.passes if each.name in names}
        self._n = self._left_out = 0
        self._unaskable = False

    def take(self, one: Asked) -> None:
        """Count one sample."""
        if any(_failed(one.steps[name]) for name in self._gates & one.steps.keys()):
            self._left_out += 1
            return
        self._n += 1
        for name, counts in self._counts.items():
            step = one.steps.get(name)
            if step is not None:
                _add(counts, step)
            flat = self._flat.get(name)
            if flat is not None and (step is not None or flat.each.when is None) and not self._unaskable:
                self._add_flat(counts, flat, one)

    def _add_flat(self, counts: Counter[str], flat: _Flat, one: Asked) -> None:
        step = one.steps.get(flat.each.name)
        context = _context(flat.each, self._prompt, self._space, one) if step is None else step.context
        try:
            for unit in flat.units:
                call = render_call(flat.each, one.sample, unit, self._space, context, 0, self._prompt.files)
                counts["flat calls"] += flat.each.draws
                counts["flat tokens"] += flat.each.draws * estimated_tokens(call)
        except TemplateError:  # made for one of its groups, and not for all labels at once
            self._unaskable = True

    def saving(self) -> Saving | None:
        """Return what was counted; None where no pass asks about less, or where the flat prompt cannot be asked."""
        if not self._flat or self._unaskable:
            return None
        passes = [
            PassTokens(
                name=name,
                calls=counts["calls"],
                tokens=counts["tokens"],
                flat_calls=counts["flat calls"],
                flat_tokens=counts["flat tokens"],
                counted=counts["counted"],
                served=counts["served"],
            )
            for name, counts in self._counts.items()
        ]
        return Saving(tuple(passes), self._n, self._left_out)


class _Flat:
    """A pass as the flat prompt asks it, and what its calls are about."""

    def __init__(self, each: Pass, space: LabelSpace) -> None:
        by_sample = each.per == "group" or (each.per == "sample" and each.questions is None)
        inside = each.inside(space)
        self.units = (Unit("", inside, space.only(inside)),) if by_sample else each.units(space)
        self.each = replace(each, shots=_shots(each.shots)) if each.per == "group" else each


def _shots(shots: Shots | None) -> Shots | None:
    """Return the shots of a pass by group for one call about all of them: as many as a group has at most."""
    if shots is None or not shots.units:
        return shots
    most = max(map(len, shots.units.values()))
    return replace(shots, units={"": tuple(shot.id for shot in shots.samples[:most])})


def _failed(gate: Step) -> bool:
    return any(isinstance(result, ParseFailure) or result.refused for result in gate.results)


def _add(counts: Counter[str], step: Step) -> None:
    counts["calls"] += len(step.calls)
    counts["tokens"] += sum(map(estimated_tokens, step.calls))
    told = [one.usage["prompt_tokens"] for one in step.completions if "prompt_tokens" in one.usage]
    counts["counted"] += len(told)
    counts["served"] += sum(told)


def _context(each: Pass, prompt: Prompt, space: LabelSpace, one: Asked) -> dict[str, Any]:
    """Return what the templates of a pass would have seen that was not asked, because nothing was left to ask about."""
    fields = tuple(dict.fromkeys(name for each in prompt.passes for name in each.output.fields))
    nothing = Prediction(one.sample.id, frozenset(), unanswered=frozenset(space.names), asked_fields=fields)
    before = takewhile(lambda other: other.name != each.name, prompt.passes)
    earlier = said_by(before, one.steps, space, nothing)
    base = base_context(one.sample, space, prompt.variables)
    return {**base, **answer_context([*earlier.values()][-1].prediction, earlier, space)} if earlier else base
