"""The gate: whether a run holds the rules that it is to hold, alone and against a baseline, and why not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from harness.comparison import ComparedRun, Comparison, Diff
from harness.errors import listing
from harness.gaterules import CHANGES, Bound, Measure, NoDrop, NoWorse, Operator, Protected, Rule, judged_measures
from harness.labelspace import LabelSpace
from harness.metrics import NAN
from harness.plainvalues import to_plain
from harness.scoring import LabelScore
from harness.significance import Difference, Judgement

CaseKind = Literal["complete", "rule", "protected"]
Status = Literal["passed", "failed", "skipped"]
Shown = Literal["score", "change", "amount", "count", "usd", "word"]
"""How a value is to be shown; "word" where there is none but what `Case.found` says."""

ROUNDING = 1e-9
"""How far a number may be from a bound and still be on it: 0.80 − 0.79 is not 0.01 to a computer."""

SHOWN = 0.001
"""A smaller distance from a bound cannot be seen in a score with three decimals, so it is said."""

ENOUGH_COMPARED = 0.9
"""Share of the baseline's samples that must be compared: who changes all texts must not find that nothing regressed."""

COMPLETE = "complete"
"""Name of the case that a partial run fails, whatever the rules are."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a run is judged by.

    Attributes:
        space: Orders the labels.
        alone: The run over all its samples that have gold; None when it has no predictions.
        samples: Ids of all samples that it was asked about.
        partial: Why it is not complete, for people; empty when it is.
        cost_usd: None when the price is unknown.
        comparison: The run behind its baseline, on the common samples; None when there is none.
        judgement: How real its differences are; None without a comparison.
        changed: Samples of both whose inputs are not the same: they are not compared.
        uncompared: Why there is no comparison though there is a baseline, for people; empty otherwise.
    """

    space: LabelSpace
    alone: ComparedRun | None
    samples: frozenset[str]
    partial: tuple[str, ...] = ()
    cost_usd: float | None = None
    comparison: Comparison | None = None
    judgement: Judgement | None = None
    changed: frozenset[str] = frozenset()
    uncompared: str = ""

    @property
    def diff(self) -> Diff | None:
        """What changed from the baseline."""
        return None if self.comparison is None else self.comparison.diffs[0]


class Judged(NamedTuple):
    """A score with its difference to the baseline."""

    measure: Measure
    difference: Difference


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that a run has to hold.

    Attributes:
        name: The rule as it was written.
        subject: What it is about, where `wanted` says the rest of it.
        status: "skipped" where it could not be checked; then the gate fails for another reason.
        value: What it looked at; NaN where that is not defined or no number.
        shown: How the value is to be shown.
        found: The value in words, where it is no number.
        why: Why it failed, or what a person should know all the same; empty where nothing is to be said.
        judged: The differences that decided it.
        labels: Labels because of which it failed.
    """

    kind: CaseKind
    name: str
    status: Status
    subject: str
    wanted: str
    value: float = NAN
    shown: Shown = "word"
    found: str = ""
    why: str = ""
    judged: tuple[Judged, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateResult:
    """What came of all cases.

    Attributes:
        cases: First whether the run is complete, then the rules and the protected samples in their order.
    """

    cases: tuple[Case, ...]

    @property
    def passed(self) -> bool:
        """Whether every case passed."""
        return all(case.status == "passed" for case in self.cases)

    @property
    def failed(self) -> tuple[Case, ...]:
        """The cases that failed."""
        return tuple(case for case in self.cases if case.status == "failed")

    def because_of(self, label: str) -> tuple[Case, ...]:
        """Return the cases that failed because of a label."""
        return tuple(case for case in self.failed if label in case.labels)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values, NaN as None."""
        return {"passed": self.passed, "cases": [_case_to_json(case) for case in self.cases]}


def _case_to_json(case: Case) -> dict[str, Any]:
    judged = [
        {"name": each.measure.name, "label": each.measure.label, **to_plain(each.difference)} for each in case.judged
    ]
    return {**to_plain(replace(case, judged=())), "judged": judged}


def evaluate(rules: Sequence[Rule], evidence: Evidence) -> GateResult:
    """Return which rules a run holds.

    A score alone is over all its samples that have gold, a change and a count of changes over those that it has in
    common with the baseline. A number that is not defined (0/0, an unknown price) holds no rule.
    """
    state = Case(
        "complete", COMPLETE, "failed" if evidence.partial else "passed", COMPLETE, "a complete run",
        found="partial" if evidence.partial else "complete", why="; ".join(evidence.partial),
    )  # fmt: skip
    exact = _Exact.of(evidence)
    return GateResult((state, *(_case(rule, evidence, exact) for rule in rules)))


def _case(rule: Rule, evidence: Evidence, exact: _Exact) -> Case:
    if isinstance(rule, Protected):
        return _protected(rule, evidence, exact)
    case = _unchecked(rule)
    if evidence.alone is None:
        return replace(case, why="the run has no predictions")
    if rule.needs_baseline and evidence.comparison is None:
        return replace(case, status="failed", why=evidence.uncompared or "there is no baseline")
    if isinstance(rule, Bound):
        return _bound(rule, case, evidence, evidence.alone)
    if isinstance(rule, NoDrop):
        return _no_drop(rule, case, evidence)
    return _no_worse(rule, case, evidence)


def _unchecked(rule: Bound | NoDrop | NoWorse) -> Case:
    if isinstance(rule, Bound):
        subject = f"change {rule.measure}" if rule.change else str(rule.measure)
        return Case("rule", rule.text, "skipped", subject, rule.wanted)
    if isinstance(rule, NoDrop):
        return Case("rule", rule.text, "skipped", rule.text, "none worse" if rule.measure is None else "not worse")
    return Case("rule", rule.text, "skipped", rule.text, "better or no worse")


# --- numbers ----------------------------------------------------------------------------------------------------------


def _bound(rule: Bound, case: Case, evidence: Evidence, alone: ComparedRun) -> Case:
    value, undefined = _value(rule, evidence, alone)
    holds = not math.isnan(value) and _holds(value, rule.operator, rule.bound)
    label = rule.measure.label
    return replace(
        case,
        status="passed" if holds else "failed",
        value=value,
        shown="change" if rule.change and rule.measure.unit == "score" else rule.measure.unit,
        why="" if holds else f"not defined: {undefined}" if math.isnan(value) else _missed(rule, value, evidence),
        labels=() if holds or label is None else (label,),
    )


def _missed(rule: Bound, value: float, evidence: Evidence) -> str:
    """Say what a number does not: which samples it counts, and that it lies so near that it is shown as the bound."""
    if rule.measure.name in CHANGES:
        return listing((each.sample for each in getattr(evidence.diff, rule.measure.name)), 5)
    near = rule.measure.unit == "score" and 0 < abs(value - rule.bound) < SHOWN
    return f"by less than {SHOWN:g}" if near else ""


def _holds(value: float, operator: Operator, bound: float) -> bool:
    above = value - bound
    return {
        ">=": above >= -ROUNDING,
        "<=": above <= ROUNDING,
        ">": above > ROUNDING,
        "<": above < -ROUNDING,
        "==": abs(above) <= ROUNDING,
    }[operator]


def _value(rule: Bound, evidence: Evidence, alone: ComparedRun) -> tuple[float, str]:
    """Return what a rule bounds, and why it is not defined where it is NaN."""
    measure = rule.measure
    if measure.name in CHANGES:
        return float(len(getattr(evidence.diff, measure.name))), ""
    if measure.name == "cost_usd":
        return (NAN, "the price is unknown") if evidence.cost_usd is None else (evidence.cost_usd, "")
    if not rule.change or evidence.comparison is None:
        return _score(alone, measure), _undefined(alone, measure)
    before, after = evidence.comparison.runs
    why = [f"{said} {_undefined(run, measure)}" for said, run in (("before", before), ("now", after))]
    undefined = [said for said, run in zip(why, (before, after), strict=True) if math.isnan(_score(run, measure))]
    return _score(after, measure) - _score(before, measure), ", ".join(undefined)


def _score(run: ComparedRun, measure: Measure) -> float:
    scores = run.scores
    if measure.label is not None:
        return float(getattr(_label(run, measure.label), measure.name))
    if measure.name == "failures":
        return float(sum(scores.failures.values()))
    if measure.name == "off_list":
        return float(scores.off_list_samples)
    return scores.coverage if measure.name == "coverage" else float(getattr(scores.averages, measure.name))


def _label(run: ComparedRun, label: str) -> LabelScore:
    return next(row for row in run.scores.labels if row.label == label)


def _undefined(run: ComparedRun, measure: Measure) -> str:
    """Return why a score is 0/0."""
    if not run.scores.n_samples:
        return "no sample has gold labels"
    if measure.label is None:
        return "nothing to average over"
    return {
        "precision": "the label was never predicted",
        "recall": "no sample has the label in gold",
        "f1": "the label is neither in gold nor predicted",
    }[measure.name]


# --- verdicts ---------------------------------------------------------------------------------------------------------


def _difference(evidence: Evidence, measure: Measure) -> Difference:
    assert evidence.judgement is not None  # noqa: S101 - a comparison is judged
    judged = evidence.judgement.diffs[0]
    return (
        judged.averages[measure.name] if measure.label is None else judged.labels[evidence.space.index[measure.label]]
    )


def _no_drop(rule: NoDrop, case: Case, evidence: Evidence) -> Case:
    measures = judged_measures(evidence.space.names) if rule.measure is None else [rule.measure]
    judged = [Judged(measure, _difference(evidence, measure)) for measure in measures]
    worse = tuple(each for each in judged if each.difference.verdict == "worse")
    one = judged[0].difference if rule.measure is not None else None
    found = f"{len(worse)} worse" if worse else "none worse"
    sure = any(each.difference.verdict in ("better", "worse", "no worse") for each in judged)
    return replace(
        case,
        status="failed" if worse else "passed",
        value=NAN if one is None else one.delta,
        shown="word" if one is None else "change",
        found=found if one is None else one.verdict,
        why="" if sure or one is not None else "nothing is sure on so few samples",
        judged=worse if one is None else tuple(judged),
        labels=tuple(each.measure.label for each in worse if each.measure.label is not None),
    )


def _no_worse(rule: NoWorse, case: Case, evidence: Evidence) -> Case:
    difference = _difference(evidence, rule.measure)
    holds = difference.verdict in ("better", "no worse")
    label = rule.measure.label
    return replace(
        case,
        status="passed" if holds else "failed",
        value=difference.delta,
        shown="change",
        found=difference.verdict,
        why="what rose comes from failures, not from better answers" if difference.withheld else "",
        judged=(Judged(rule.measure, difference),),
        labels=() if holds or label is None else (label,),
    )


# --- protected samples ------------------------------------------------------------------------------------------------


class _Exact(NamedTuple):
    """Which samples are exactly right, in repeat 0, by id: in the baseline, among the common ones, and now."""

    before: Mapping[str, bool]
    now: Mapping[str, bool]

    @classmethod
    def of(cls, evidence: Evidence) -> _Exact:
        before = {} if evidence.comparison is None else _exact(evidence.comparison.runs[0])
        return cls(before, {} if evidence.alone is None else _exact(evidence.alone))


def _exact(run: ComparedRun) -> dict[str, bool]:
    return dict(zip((sample.id for sample in run.plain.samples), run.plain.exact.tolist(), strict=True))


def _protected(rule: Protected, evidence: Evidence, exact: _Exact) -> Case:
    sample = rule.sample
    case = Case("protected", rule.text, "failed", rule.text, "right")
    if sample not in evidence.samples:
        return replace(case, found="missing", why="the run does not have this sample")
    if evidence.alone is None:
        return replace(case, status="skipped", why="the run has no predictions")
    if sample not in exact.now:
        return replace(case, found="not scored", why="the sample has no gold labels")
    if exact.now[sample]:
        return replace(case, status="passed", found="right")
    case = replace(case, found="wrong")
    if sample in exact.before:
        if exact.before[sample]:
            return replace(case, why="it was right in the baseline")
        return replace(case, status="passed", why="it was wrong in the baseline too")
    return replace(case, why=f"it must be right, for {_not_compared(evidence, sample)}")


def _not_compared(evidence: Evidence, sample: str) -> str:
    if evidence.comparison is None and not evidence.uncompared:
        return "there is no baseline"
    if sample in evidence.changed:
        return "its inputs are not those of the baseline"
    return "the baseline does not have it"


# --- complete ---------------------------------------------------------------------------------------------------------


def partial(
    state: str, asked: Sequence[str], repeats: int, predicted: Iterable[tuple[str, int]], wanted: Iterable[str]
) -> tuple[str, ...]:
    """Say why a run is partial; nothing when it is complete.

    Args:
        state: The run's.
        asked: Ids of its samples.
        repeats: How often each was asked.
        predicted: Sample and repeat of each of its predictions.
        wanted: Ids of the baseline's samples, all of which it must have.
    """
    found = [] if state == "complete" else [f"the run is {state}"]
    have = set(predicted)
    unsaid = [sample for sample in asked if any((sample, repeat) not in have for repeat in range(repeats))]
    if unsaid:
        found.append(f"without a prediction: {_of(unsaid, len(asked))}")
    every = tuple(dict.fromkeys(wanted))
    mine = set(asked)
    if missing := [sample for sample in every if sample not in mine]:
        found.append(f"samples of the baseline that the run does not have: {_of(missing, len(every))}")
    return tuple(found)


def barely_compared(n_compared: int, n_baseline: int) -> tuple[str, ...]:
    """Say that a comparison speaks for too few samples of the baseline; nothing when it speaks for enough of them.

    Args:
        n_compared: Samples of both, with gold and the same inputs.
        n_baseline: Samples of the baseline that had gold when it was blessed.
    """
    if n_compared >= ENOUGH_COMPARED * n_baseline:
        return ()
    return (
        f"only {n_compared} of the baseline's {n_baseline} samples can be compared: the others have other inputs, or no "
        "gold, today. Bless a run that has today's",
    )


def _of(ids: Sequence[str], total: int) -> str:
    return f"{len(ids)} of {total} ({listing(ids, 5)})"
