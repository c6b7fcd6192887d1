"""The merge rules and gates, by what each may and may not do to a cell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Label, LabelSpace
from harness.merging import Gated, Reasons, Result, changeable, choose, merge
from harness.prompt import ANSWERING, MergeHow
from harness.records import Answer, FailureKind, ParseFailure, Prediction
from harness.units import Unit

NAMES = ("a", "b", "c", "d")
SPACE = LabelSpace(tuple(Label(name, group="ab" if name in "ab" else "cd") for name in NAMES))
HOWS: tuple[MergeHow, ...] = ("replace", "add", "remove", "union", "intersection", "confirm")

sets = st.frozensets(st.sampled_from(NAMES))
hows = st.sampled_from(HOWS)
failures = st.builds(ParseFailure, st.sampled_from(FailureKind), st.just("why"))
Standing = tuple[Prediction, Reasons]


@st.composite
def answers(draw: st.DrawFn, names: tuple[str, ...] = NAMES) -> Answer:
    """Draw an answer: labels, refused ones, probabilities of some of the others."""
    some = st.frozensets(st.sampled_from(names))
    refused = draw(st.just(frozenset[str]()) | some)
    weighed = draw(some) - refused
    numbers = {name: draw(st.sampled_from([0.1, 0.5, 0.9])) for name in sorted(weighed)}
    return Answer(draw(some) - refused, probabilities=numbers, mass=dict.fromkeys(numbers, 1.0), refused=refused)


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Draw what stands before a pass: labels, probabilities, and unanswered cells with their reasons."""
    unanswered = draw(st.lists(st.sampled_from(NAMES), unique=True))
    reasons = {name: (draw(st.sampled_from(FailureKind)), f"why {name}") for name in unanswered}
    failure, why = reasons[unanswered[-1]] if unanswered else (None, None)
    numbers = dict.fromkeys(sorted(draw(sets) - reasons.keys()), 0.3)
    labels = draw(sets) - reasons.keys()
    said = Prediction("s", labels, frozenset(unanswered), failure, why, probabilities=numbers, mass=dict(numbers))
    return said, reasons


def standing(labels: str = "", unanswered: str = "") -> Standing:
    """Return what stands before a pass, a letter a label; every answered cell has probability 0.3."""
    reasons = dict.fromkeys(unanswered, (FailureKind.CALL_ERROR, "down"))
    failure, why = (FailureKind.CALL_ERROR, "down") if unanswered else (None, None)
    numbers = {name: 0.3 for name in NAMES if name not in unanswered}
    return Prediction("s", frozenset(labels), frozenset(unanswered), failure, why, probabilities=numbers), reasons


def merged(before: Standing, said: str, how: MergeHow, scope: str = "abcd") -> Prediction:
    """Return what holds after an answer that gives every label of the scope probability 0.9."""
    answer = Answer(frozenset(said), probabilities=dict.fromkeys(scope, 0.9))
    return merge(*before, answer, frozenset(scope), how)[0]


# --- each rule, cell by cell ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "labels", "unanswered", "decided"),
    [
        ("replace", "bd", "", "abcd"),
        ("add", "abd", "c", "d"),
        ("remove", "a", "c", "bd"),
        ("union", "abd", "", "cd"),
        ("intersection", "bd", "", "acd"),
        ("confirm", "b", "cd", "a"),
    ],
)
def test_every_kind_of_cell_under_every_rule(how: MergeHow, labels: str, unanswered: str, decided: str) -> None:
    """Before: a and b are present, c and d unanswered; the answer names b and d. Decided cells have its probability."""
    after = merged(standing("ab", "cd"), "bd", how)
    assert "".join(sorted(after.labels)) == labels
    assert "".join(sorted(after.unanswered)) == unanswered
    of_answer = 0.1 if how == "remove" else 0.9
    assert "".join(sorted(name for name, p in after.probabilities.items() if p == of_answer)) == decided


@pytest.mark.parametrize(
    ("how", "labels", "decided"),
    [
        ("replace", "b", "abcd"),
        ("add", "ab", "b"),
        ("remove", "a", ""),
        ("union", "ab", "b"),
        ("intersection", "", "a"),
        ("confirm", "", "a"),
    ],
)
def test_answered_cells_under_every_rule(how: MergeHow, labels: str, decided: str) -> None:
    """Before: a alone is present; the answer names b. A rule that changes no cell leaves it to whom it belonged."""
    after = merged(standing("a"), "b", how)
    assert "".join(sorted(after.labels)) == labels
    assert "".join(sorted(name for name, p in after.probabilities.items() if p != 0.3)) == decided


def test_what_is_named_for_removal_has_the_probability_that_it_is_absent() -> None:
    """An answer that is 0.9 sure that a label must go leaves it at 0.1, without a rest of the subtraction."""
    assert merged(standing("a"), "a", "remove").probabilities["a"] == 0.1


# --- properties of every rule -----------------------------------------------------------------------------------------


@given(standings(), answers() | failures, sets, hows)
@unhurried
def test_every_rule_is_idempotent(before: Standing, result: Result, scope: frozenset[str], how: MergeHow) -> None:
    """The same result again changes no cell, probability, failure or reason: under all six rules."""
    once, reasons = merge(*before, result, scope, how)
    assert merge(once, reasons, result, scope, how) == (once, reasons)


@given(standings(), answers() | failures, sets, hows)
@unhurried
def test_the_scope_is_never_left(before: Standing, result: Result, scope: frozenset[str], how: MergeHow) -> None:
    """Labels, open cells, reasons and probabilities outside of the scope are what they were."""
    after, reasons = merge(*before, result, scope, how)
    assert after.labels - scope == before[0].labels - scope
    assert after.unanswered - scope == before[0].unanswered - scope
    for now, then in (
        (reasons, before[1]),
        (after.probabilities, before[0].probabilities),
        (after.mass, before[0].mass),
    ):
        assert {name: now[name] for name in now if name not in scope} == {
            name: then[name] for name in then if name not in scope
        }


@given(standings(), failures, sets, hows)
@unhurried
def test_a_failure_changes_no_cell(
    before: Standing, result: ParseFailure, scope: frozenset[str], how: MergeHow
) -> None:
    """A failed pass leaves labels, open cells, probabilities and fields; it is the reason of those it could answer."""
    said, reasons = before
    after, why = merge(said, reasons, result, scope, how)
    assert replace(after, failure=said.failure, why=said.why) == said
    blamed = frozenset(name for name in why if why[name] == (result.kind, "why"))
    assert blamed == (frozenset() if how == "confirm" else scope & said.unanswered)


@given(standings(), answers(), sets, hows)
@unhurried
def test_refused_cells_are_left_alone(before: Standing, answer: Answer, scope: frozenset[str], how: MergeHow) -> None:
    """Of a label whose question was refused, everything that was said before stands."""
    said, refused = before[0], answer.refused
    after, reasons = merge(*before, answer, scope, how)
    assert (after.labels & refused, after.unanswered & refused) == (said.labels & refused, said.unanswered & refused)
    for name in refused:
        assert after.probabilities.get(name) == said.probabilities.get(name)
    if how != "confirm":
        assert all(reasons[name][0] is FailureKind.REFUSAL for name in refused & scope & said.unanswered)


@given(standings(), answers() | failures, sets, hows)
@unhurried
def test_coverage_never_falls(before: Standing, result: Result, scope: frozenset[str], how: MergeHow) -> None:
    """What was answered stays so; the rules that answer every open cell do, the others only where they change one."""
    after, reasons = merge(*before, result, scope, how)
    assert after.unanswered <= before[0].unanswered
    assert reasons.keys() == after.unanswered
    assert not after.labels & after.unanswered
    if isinstance(result, Answer) and how in ANSWERING:
        assert not (after.unanswered - result.refused) & scope


@given(standings(), answers(), sets, hows)
@unhurried
def test_what_each_rule_may_do_to_labels(
    before: Standing, answer: Answer, scope: frozenset[str], how: MergeHow
) -> None:
    """Add and union take no label away; remove, intersection and confirm add none to an answered cell."""
    said, answered = before[0], scope - answer.refused
    after = merge(*before, answer, scope, how)[0].labels
    if how in ("add", "union"):
        assert after == said.labels | (answer.labels & answered)
    if how in ("remove", "confirm"):
        assert after <= said.labels
    if how == "confirm":
        assert after == said.labels - (answered - answer.labels)
    if how == "remove":
        assert after == said.labels - (answered & answer.labels)
    if how == "intersection":
        known = answered - said.unanswered
        assert after & known == said.labels & answer.labels & known
        assert after & said.unanswered == answer.labels & answered & said.unanswered
    if how == "replace":
        assert after & answered == answer.labels & answered


@given(standings(), answers() | failures, sets, hows)
@unhurried
def test_only_changeable_cells_change(before: Standing, result: Result, scope: frozenset[str], how: MergeHow) -> None:
    """What `changeable` leaves out no answer could have changed: labels, open cells and their reasons, probabilities."""
    said, reasons = before
    rest = frozenset(NAMES) - changeable(said, scope, how)
    after, why = merge(said, reasons, result, scope, how)
    assert (after.labels & rest, after.unanswered & rest) == (said.labels & rest, said.unanswered & rest)
    assert {name: why[name] for name in rest & why.keys()} == {name: reasons[name] for name in rest & reasons.keys()}
    for name in rest:
        assert after.probabilities.get(name) == said.probabilities.get(name)
        assert after.mass.get(name) == said.mass.get(name)


@given(standings(), answers(), sets, hows)
@unhurried
def test_a_probability_is_that_of_whom_the_cell_belongs_to(
    before: Standing, answer: Answer, scope: frozenset[str], how: MergeHow
) -> None:
    """A cell that was changed or answered first has the answer's probability or none; but for replace others keep theirs."""
    said = before[0]
    after = merge(*before, answer, scope, how)[0]
    changed = (after.labels ^ said.labels) | (said.unanswered - after.unanswered)
    mine = scope - answer.refused if how == "replace" else changed
    for name in NAMES:
        own = answer.probabilities.get(name)
        own = round(1 - own, 6) if own is not None and how == "remove" else own
        assert after.probabilities.get(name) == (own if name in mine else said.probabilities.get(name))


# --- gates ------------------------------------------------------------------------------------------------------------

GROUPS = ("ab", "cd")
UNIT = Unit("", NAMES, SPACE.as_groups)


def gated(before: Standing, so_far: Gated, result: Result, unit: Unit = UNIT) -> tuple[Prediction, Gated]:
    """Return what holds after a gate's answer, and what gates have said."""
    after, reasons, said = choose(*before, so_far, unit, result, SPACE.group_of)
    assert reasons.keys() <= after.unanswered
    return after, said


@st.composite
def gates(draw: st.DrawFn) -> Gated:
    """Draw what gates have said so far."""
    closed = draw(sets)
    return Gated(closed, draw(sets))


@given(standings(), gates(), answers(GROUPS))
@unhurried
def test_what_a_gate_does_not_choose_is_absent(before: Standing, so_far: Gated, answer: Answer) -> None:
    """Labels of groups that were not chosen are absent and closed; those of chosen ones are as they were, and open."""
    after, said = gated(before, so_far, answer)
    of = {group: frozenset(SPACE.groups[group]) for group in GROUPS}
    for group in GROUPS:
        if group in answer.refused:
            assert after.labels & of[group] == before[0].labels & of[group]
            assert after.unanswered & of[group] == before[0].unanswered & of[group]
            assert said.closed & of[group] == (so_far.closed | (of[group] - so_far.decided)) & of[group]
        elif group in answer.labels:
            assert after.labels & of[group] == before[0].labels & of[group]
            assert after.unanswered & of[group] == before[0].unanswered & of[group]
            assert not said.closed & of[group]
        else:
            assert not (after.labels | after.unanswered) & of[group]
            assert said.closed >= of[group]
    assert after.probabilities.items() <= before[0].probabilities.items()


@given(standings(), failures)
@unhurried
def test_a_failed_gate_leaves_every_cell_and_closes_them(before: Standing, failure: ParseFailure) -> None:
    """Nothing more is asked about the labels, nobody answered them, and it is the reason."""
    after, said = gated(before, Gated(), failure)
    assert (after.labels, after.unanswered) == (before[0].labels, before[0].unanswered)
    assert said == Gated(frozenset(NAMES), frozenset())
    assert after.failure is (failure.kind if after.unanswered else None)


def test_a_failed_second_gate_leaves_what_the_first_one_chose() -> None:
    """A later gate that fails changes nothing: what was chosen stays open, what was not stays absent."""
    nobody = standing("", "abcd")
    after, reasons, first = choose(*nobody, Gated(), UNIT, Answer(frozenset({"ab"})), SPACE.group_of)
    assert (after.unanswered, first.closed) == (frozenset("ab"), frozenset("cd"))
    after, _, second = choose(after, reasons, first, UNIT, ParseFailure(FailureKind.REFUSAL, "no"), SPACE.group_of)
    assert (after.unanswered, second) == (frozenset("ab"), first)
    refused = Answer(frozenset({"cd"}), refused=frozenset({"ab"}))
    after, _, third = choose(after, reasons, first, UNIT, refused, SPACE.group_of)
    assert (after.unanswered, third.closed) == (frozenset("ab"), frozenset())


def test_a_second_gate_takes_the_place_of_the_first() -> None:
    """What a later gate chooses is open again, and what it does not choose is closed."""
    after, first = gated(standing("", "abcd"), Gated(), Answer(frozenset({"ab"})))
    after, second = gated(
        (after, dict.fromkeys(after.unanswered, (FailureKind.REFUSAL, ""))), first, Answer(frozenset({"cd"}))
    )
    assert (second.closed, after.unanswered) == (frozenset("ab"), frozenset())


def test_a_gate_asks_about_the_labels_of_its_unit_alone() -> None:
    """A group of which only some labels are in the scope closes those."""
    unit = Unit("ab", ("a",), SPACE.as_groups.only(["ab"]))
    after, said = gated(standing("", "abcd"), Gated(), Answer(frozenset()), unit)
    assert (after.unanswered, said.closed, said.decided) == (frozenset("bcd"), frozenset("a"), frozenset("a"))


# --- the first answer of all ------------------------------------------------------------------------------------------


@unhurried
@given(sets, sets, st.booleans(), st.sampled_from([{}, {"mood": "mad"}]), st.sampled_from([(), ("bananas",)]))
def test_a_plain_first_answer_is_merged_like_any_other(
    labels: frozenset[str], scope: frozenset[str], repaired: bool, fields: dict[str, str], off_list: tuple[str, ...]
) -> None:
    """What answers all open cells at once, by labels alone, comes to what the same answer cell by cell comes to."""
    before = Prediction("s", frozenset(), scope, asked_fields=("mood",), repeat=3, fields={"place": "here"})
    answer = Answer(labels, off_list, fields, repaired)
    expected, reasons = before, dict[str, tuple[FailureKind, str]]()
    for name in sorted(scope):
        expected, _ = merge(expected, reasons, answer, frozenset({name}))
    if not scope:
        expected, _ = merge(expected, reasons, answer, frozenset())
    assert merge(before, {}, answer, scope) == (replace(expected, off_list=off_list), {})
