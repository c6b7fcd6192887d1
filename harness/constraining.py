"""Constrained answers: finding out in which of its forms a server lets an answer be constrained.

`constrain: auto` is a way down: the strictest form first, the next one when the server refuses it, at last none at all. The
first call that goes through settles it for all others that could be constrained in the same ways.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.cache import Cache
from harness.clients import Client
from harness.clients.wires import WIRES
from harness.completionlog import Slot, StoredCompletion
from harness.errors import listing
from harness.identity import digest
from harness.labelspace import LabelSpace
from harness.narrowing import answer_space
from harness.parsing import FORMATS, Output, read
from harness.parsing.constraints import forms
from harness.prompt import Pass, Prompt
from harness.records import Call, Completion, Constraint, FailureKind, ParseFailure, Sample
from harness.store import InForce

Form = Literal["json_schema", "json_object", "grammar", "off"]

MOST_KEPT = 1024
"""Ladders of calls with labels of their own that are kept at a time: each is asked for several times while it is made."""

REFUSALS = frozenset({400, 422, 500, 501})
"""HTTP statuses with which servers refuse a form that they do not know: some of them as an error of their own."""


@dataclass(frozen=True)
class Ladder:
    """The ways to constrain the answers to some calls, in the order in which to try them; None stands for "off".

    Attributes:
        key: What the way that a server takes is remembered under.
        lock: Held by the call that finds out.
    """

    steps: tuple[Constraint | None, ...]
    key: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False)

    def at(self, form: str | None) -> int | None:
        """Return the place of a form; None when it is not among the steps."""
        return next((at for at, step in enumerate(self.steps) if form_of(step) == form), None)


OFF = Ladder((None,), "off")
"""How the calls of a pass that wants no constraint are constrained."""


def form_of(step: Constraint | None) -> Form:
    """Return the name of a way to constrain an answer."""
    return "off" if step is None else step.form


def ladder(each: Pass, space: LabelSpace, client: Client) -> Ladder:
    """Return how a pass's answers about a label space can be constrained: one step when there is nothing to find out."""
    steps = _steps(each, space)
    told = [None if step is None else [step.form, step.schema, step.grammar] for step in steps]
    return Ladder(steps, digest({"endpoint": client.endpoint, "model": each.model.name, "steps": told}, 40))


def _steps(each: Pass, space: LabelSpace) -> tuple[Constraint | None, ...]:
    wanted = each.output.constrain
    weighs = FORMATS[each.output.format].weigh is not None and each.model.asks_logprobs
    # A constrained answer's log-probabilities say nothing of what the model would have written.
    if wanted == "off" or (wanted == "auto" and weighs):
        return (None,)
    takes = WIRES[each.model.api].forms
    known = [step for step in forms(FORMATS[each.output.format], each.output, space) if step.form in takes]
    if wanted == "auto":
        return (*known, None)
    return tuple(step for step in known if step.form == wanted) or (None,)


class Constraining:
    """What is known of the forms that the servers of a run take.

    Args:
        prompt: The run's.
        space: Its label space.
        clients: By pass name.
        cache: Where forms are remembered from run to run.
        frozen: What the run says already: it is kept to.
        record: Told what is in force whenever there is news of it.
        warn: Told when a server does not take the strictest form.
    """

    def __init__(
        self,
        prompt: Prompt,
        space: LabelSpace,
        clients: Mapping[str, Client],
        cache: Cache,
        frozen: InForce,
        record: Callable[[InForce], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._cache, self._record, self._warn = cache, record, warn
        self._told: set[str] = set()
        self._in_force: dict[str, str | dict[str, str]] = {
            name: said if isinstance(said, str) else dict(said) for name, said in frozen.items()
        }
        self._ladders: dict[tuple[str, str], Ladder] = {}
        self._labels: dict[tuple[str, str], tuple[str, ...]] = {}
        self._space = space
        self._passes = {each.name: each for each in prompt.passes}
        self._own: dict[tuple[str, str, tuple[str, ...]], Ladder] = {}
        self._differing: set[str] = set()
        self._settled: dict[str, int] = {}
        by_key: dict[str, Ladder] = {}  # units that can be constrained in the same ways find out together
        for each in prompt.passes:
            if each.output.constrain == "off":
                continue
            units = each.units(space)
            self._labels |= {(each.name, unit.name): unit.space.names for unit in units}
            made = {unit.name: ladder(each, unit.space, clients[each.name]) for unit in units}
            for unit, one in made.items():
                self._ladders[each.name, unit] = by_key.setdefault(one.key, one)
                at = one.at(form_in_force(frozen, each.name, unit))
                if at is not None:
                    self._settled[one.key] = at
            if len({one.key for one in made.values()}) > 1:
                self._differing.add(each.name)

    def ladder(self, call: Call) -> Ladder:
        """Return how a call can be constrained.

        A call about fewer labels than its unit has, because a sample has candidates or a gate closed some, has forms that
        name these; what a server takes is found out once for all.
        """
        found = self._ladders.get((call.pass_name, call.unit), OFF)
        if found is OFF or call.labels in ((), self._labels[call.pass_name, call.unit]):
            return found
        key = call.pass_name, call.unit, call.labels
        if key not in self._own:
            if len(self._own) >= MOST_KEPT:
                self._own.clear()
            self._own[key] = replace(found, steps=self._steps_about(call, found))
        return self._own[key]

    def _steps_about(self, call: Call, whole: Ladder) -> tuple[Constraint | None, ...]:
        """Return the steps of a ladder for the labels of a call; a form that these alone do not have is "off"."""
        each = self._passes[call.pass_name]
        own = {form_of(step): step for step in _steps(each, self._space.only(call.labels))}
        return tuple(own.get(form_of(step)) for step in whole.steps)

    def settled(self, one: Ladder) -> bool:
        """Return whether it is known which step holds for this run."""
        return len(one.steps) == 1 or one.key in self._settled

    def likely(self, one: Ladder) -> int:
        """Return the step to begin with: the settled one, the one that an earlier run found, else the strictest."""
        if self.settled(one):
            return self._settled.get(one.key, 0)
        return one.at(self._cache.form(one.key)) or 0

    def use(self, call: Call, at: int) -> None:
        """Note that a call's answer comes by this step."""
        if self.ladder(call) is OFF:
            return
        form = form_of(self.ladder(call).steps[at])
        before = self._in_force.get(call.pass_name)
        new: str | dict[str, str] = form
        if call.pass_name in self._differing:
            new = {**(before if isinstance(before, dict) else {}), call.unit: form}
        if new != before:
            self._in_force[call.pass_name] = new
            self._record(dict(self._in_force))

    def settle(self, call: Call, at: int, refusals: Mapping[str, str]) -> None:
        """Take a step as the one that holds for all calls of its ladder, remember it, and tell what was refused.

        Args:
            call: The call that went through.
            at: With which step.
            refusals: What the server said of the steps before, by form.
        """
        one = self.ladder(call)
        form = form_of(one.steps[at])
        self._settled[one.key] = at
        self._cache.remember(one.key, form)
        self.use(call, at)
        instead = "are not constrained" if form == "off" else f"are constrained by {form} instead"
        told = f"pass {call.pass_name}: the server does not take {listing(refusals)}; the answers {instead}."
        if refusals and told not in self._told:  # once for all units of a pass
            self._told.add(told)
            self._warn(f"{told} The server: {next(iter(refusals.values()))}")


def form_in_force(in_force: InForce, name: str, unit: str) -> str | None:
    """Return the form in which the answers about a unit of a pass were written; None where that is not known."""
    said = in_force.get(name)
    return said if said is None or isinstance(said, str) else said.get(unit)


def ignored(
    prompt: Prompt,
    space: LabelSpace,
    samples: Iterable[Sample],
    in_force: InForce,
    completions: Mapping[Slot, StoredCompletion],
) -> Iterator[str]:
    """Yield a warning for each pass whose answers do not keep to the form that the server took: it is not in force."""
    by_id = {sample.id: sample for sample in samples}
    for each in prompt.passes:
        units = {unit.name for unit in each.units(space)} if each.name in in_force else set()
        told = [
            (form, _keeps(stored.completion, answer_space(each, unit, space, by_id[sample]), each.output, form))
            for (sample, name, unit, _), stored in completions.items()
            if name == each.name and unit in units and _is_whole(stored.completion)
            if (form := form_in_force(in_force, name, unit)) not in (None, "off")
        ]
        kept = [keeps for _, keeps in told]
        if not all(kept):
            yield (
                f"pass {each.name}: 'constrain: {told[0][0]}' was accepted, but {kept.count(False)} of {len(kept)} answers "
                "do not keep to it: the server passes over it, or writes more than the model's answer. "
                "Say 'constrain: off', or look up how this server is told."
            )


def _is_whole(completion: Completion) -> bool:
    return completion.status == "ok" and completion.raw is not None and completion.finish_reason != "length"


def _keeps(completion: Completion, space: LabelSpace, output: Output, form: str | None) -> bool:
    """Return whether a whole answer keeps to its form; all forms but "json_object" leave nothing but labels to be named."""
    if form == "json_object":
        return _is_object(completion.raw or "")
    result = read(completion, space, output)
    if isinstance(result, ParseFailure):
        return result.kind is not FailureKind.UNPARSEABLE
    return not result.off_list


def _is_object(raw: str) -> bool:
    try:
        return isinstance(json.loads(raw), dict)
    except (ValueError, RecursionError):
        return False
