"""Candidate triggers: which are made, in which order, and that the exact rule of the errors comes first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried
from trigger_cases import LABELS, SPACE, cases_of_a_word, made_cases, shipping_that_is_not_late

from harness.cases import Case, Cases, gather
from harness.literals import KINDS, Limits, literals, signals_of
from harness.metrics import BoolVector
from harness.template import expression
from harness.triggers import CAUTION, Candidates, Caught, Trigger, best_of, candidates

RULE = "'shipping' in predicted and 'late' not in text | words"


def found_in(cases: Cases, limits: Limits = Limits()) -> Candidates:  # noqa: B008 - frozen
    """Return the candidates of all cases."""
    return candidates(signals_of(cases), np.ones(len(cases.rows), np.bool_), limits)


def made(n: int = 200, seed: int = 5, **more: Any) -> Cases:
    """Return cases whose errors follow the rule."""
    return gather(SPACE, made_cases(n, seed, shipping_that_is_not_late, **more))


def test_the_exact_rule_comes_first() -> None:
    """Cases that a superset sends in vain, and those that a subset leaves out, put both behind the rule itself."""
    found = found_in(made())
    assert found.triggers[0].source == RULE
    assert found.triggers[0].conditions == ("'shipping' in predicted", "'late' not in text | words")
    assert found.triggers[0].kinds == ("predicted", "word")
    assert (np.diff(found.merits) <= 0).all()
    assert found.n_scored > len(found.triggers) == len(found.masks)


@pytest.mark.parametrize("terms", [1, 2, 3])
def test_masks_of_triggers_are_what_their_expressions_say(terms: int) -> None:
    """Conjunctions and their masks belong together, whatever the number of conditions."""
    cases = made(120, noise=0.3, weighed=True)
    found = found_in(cases, Limits(terms=terms, conjunctions=60))
    lengths = {len(each.conditions) for each in found.triggers}
    assert lengths == set(range(1, terms + 1))
    for trigger, mask in list(zip(found.triggers, found.masks, strict=True))[::6]:
        assert trigger.source == " and ".join(trigger.conditions)
        evaluate = expression(trigger.source)
        assert [bool(evaluate(row.context)) for row in cases.rows] == mask.tolist(), trigger.source


def test_no_two_candidates_send_the_same_cases() -> None:
    """Equal masks are one candidate, that with the fewest conditions, which says how many others it stands for."""
    cases = gather(SPACE, [_also_as(each) for each in made(120, noise=0.2).rows])
    found = found_in(cases)
    assert len({mask.tobytes() for mask in found.masks}) == len(found.masks)
    by_source = {each.source: each for each in found.triggers}
    assert "lang == 'de'" in by_source
    assert "language == 'de'" not in by_source
    assert by_source["lang == 'de'"].equivalents >= 1


def _also_as(case: Case) -> Case:
    """Return a case with its language in a second column with a shorter name."""
    more = {"lang": case.inputs["language"]}
    return replace(case, inputs={**case.inputs, **more}, context={**case.context, **more})


def test_of_equal_triggers_the_simplest_is_kept() -> None:
    """Fewer conditions, then kinds that stand earlier, then a shorter text, then the alphabet."""
    ordered = [
        Trigger("b", ("b",), ("predicted",)),
        Trigger("c", ("c",), ("predicted",)),
        Trigger("cc", ("cc",), ("predicted",)),
        Trigger("a", ("a",), ("word",)),
        Trigger("a and b", ("a", "b"), ("failure", "failure")),
    ]
    backwards = ordered[::-1]
    assert sorted(backwards, key=lambda each: each.simplicity) == ordered
    assert KINDS[0] == "failure"


def test_candidates_come_from_the_given_cases_alone() -> None:
    """What is not given changes nothing: neither its errors nor its columns."""
    cases = made(160, noise=0.2)
    given_half = np.arange(160) < 80
    other = gather(
        SPACE, [replace(row, gold=frozenset(LABELS)) if at >= 80 else row for at, row in enumerate(cases.rows)]
    )
    first, second = (candidates(signals_of(each), given_half, Limits()) for each in (cases, other))
    assert first.triggers == second.triggers
    assert first.merits.tolist() == second.merits.tolist()


def test_candidates_hold_enough_and_are_not_too_many() -> None:
    """Each sends and catches what the limits say, and leaves a case out."""
    cases = made(150, noise=0.2)
    limits = Limits(least_sent=9, least_errors=4, most=50)
    found = found_in(cases, limits)
    sent, caught = found.masks.sum(axis=1), found.masks @ cases.errors
    assert len(found.triggers) == 50
    assert (sent >= 9).all()
    assert (sent < 150).all()
    assert (caught >= 4).all()


def test_support_is_counted_by_repeat() -> None:
    """Two answers to a sample are not two samples: with two repeats a trigger must send twice as many cases."""
    once, twice = made(120), made(120, repeats=2)
    assert found_in(twice, Limits(least_sent=8)).masks.sum(axis=1).min() >= 16
    assert found_in(once, Limits(least_sent=8)).masks.sum(axis=1).min() >= 8


@pytest.mark.parametrize("n", [0, 1, 3])
def test_without_errors_or_cases_there_is_no_candidate(n: int) -> None:
    """Nothing to catch, nothing to tell apart."""
    cases = gather(SPACE, made_cases(n, 1, noise=0.0))
    assert found_in(cases).triggers == ()
    none_given = candidates(signals_of(cases), np.zeros(n, np.bool_), Limits())
    assert none_given.masks.shape == (0, n)


@pytest.mark.parametrize("n", [1, 8, 500])
def test_the_best_of_many_stays_below_what_is_asked(n: int) -> None:
    """The largest of so many standard normals is below it as often as is said."""
    largest = np.random.default_rng(n).standard_normal((4_000, n)).max(axis=1)
    for chance in (0.5, 0.95):
        assert (largest < best_of(n, chance)).mean() == pytest.approx(chance, abs=0.03)


def test_a_label_goes_before_a_word_that_is_as_good_by_chance() -> None:
    """Of some hundred words the best one catches more than the label that is wrong too often; the label goes first."""
    rng = np.random.default_rng(3)
    cases = []
    for case in made_cases(240, 2, noise=0.0):
        chance = 0.75 if "quality" in case.prediction.labels else 0.45
        gold = case.prediction.labels ^ ({"refund"} if rng.random() < chance else set())
        cases.append(replace(case, gold=gold))
    found = found_in(gather(SPACE, cases))
    assert found.triggers[0].source == "'quality' in predicted"
    excess = Caught(found.masks.sum(axis=1).astype(np.float64), found.masks @ gather(SPACE, cases).errors)
    plain = excess.merit(gather(SPACE, cases).errors, caution=0)
    assert plain.argmax() > 0  # by what is caught alone another one would be first


def test_a_condition_that_adds_nothing_certain_ranks_behind() -> None:
    """A conjunction that its second condition does not clearly sharpen has the caution of the best of all like it."""
    found = found_in(made(200, noise=0.3))
    by_source = {each.source: each for each in found.triggers}
    base, rule = by_source["'shipping' in predicted"], by_source[RULE]
    assert rule.caution == base.caution == max(CAUTION, best_of(base.n_alike))
    single = {each.kinds[0]: each.caution for each in found.triggers if len(each.conditions) == 1}
    doubtful = 0
    for each in found.triggers:
        if len(each.conditions) == 2:
            all_alike = max(CAUTION, best_of(each.n_alike))
            assert each.caution in {all_alike, *(single[kind] for kind in each.kinds if kind in single)}
            doubtful += each.caution == all_alike
    assert doubtful


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("price", [0.2, 1.0])
def test_a_conjunction_is_charged_no_less_than_the_better_of_its_parts(seed: int, price: float) -> None:
    """What finds the errors by itself keeps its caution, however few conditions there are like the one it is joined to."""
    cases = gather(SPACE, cases_of_a_word(300, seed))
    signals, rows = signals_of(cases), np.arange(300)
    looked: dict[str, tuple[BoolVector, int]] = {}
    for each in literals(signals, rows, Limits()):
        looked |= {each.source: (each.mask, each.looked), each.opposite: (~each.mask, 2 * each.looked)}
    joined = [each for each in found_in(cases, Limits(price=price)).triggers if len(each.conditions) == 2]
    assert joined

    def merit(source: str, times: int = 1) -> float:
        mask, n_alike = looked[source]
        sent, caught = np.array([mask.sum()], np.float64), np.array([cases.errors[mask].sum()])
        return float(Caught(sent, caught).merit(cases.errors, max(CAUTION, best_of(times * n_alike)))[0])

    told = 0
    for trigger in joined:
        for mine, other in (trigger.conditions, trigger.conditions[::-1]):
            if merit(mine, times=2) > merit(other):  # the better one, also where it is looked at with its opposite
                assert trigger.caution >= max(CAUTION, best_of(looked[mine][1])), trigger.source
                told += 1
    assert told > len(joined) / 2


def test_the_word_that_all_errors_follow_comes_first() -> None:
    """No length of the text, number of labels or other word that narrows a rule by chance ranks above the rule itself."""
    first = [found_in(gather(SPACE, cases_of_a_word(200, seed))).triggers[0].source for seed in range(40)]
    assert first.count("'crate' in text | words") >= 38, [each for each in first if each != "'crate' in text | words"]


def test_what_is_good_but_too_dear_is_narrowed() -> None:
    """Within a small price a good trigger is offered with any condition that sharpens it, at the caution of its own."""
    cases = made(200, noise=0.1)
    base = next(each for each in found_in(cases).triggers if each.source == "'shipping' in predicted")
    narrow = [each for each in found_in(cases, Limits(price=0.1)).triggers if base.source in each.conditions]
    wide = {each.source: each.caution for each in found_in(cases, Limits(price=1.0)).triggers}
    cheaper = [each for each in narrow if each.caution < wide.get(each.source, 0)]
    assert cheaper
    assert all(each.caution == base.caution for each in cheaper)


@unhurried
@given(st.lists(st.integers(0, 3), min_size=2, max_size=30), st.data())
def test_merit_is_highest_for_the_cases_with_more_errors_than_the_mean(errors: list[int], data: st.DataObject) -> None:
    """Without caution no set of cases has a higher merit than that of all whose errors are above the mean."""
    values = np.array(errors, np.float64)
    chosen = np.array(data.draw(st.lists(st.booleans(), min_size=len(errors), max_size=len(errors))))
    above = values > values.mean()
    sets = Caught(
        np.array([above.sum(), chosen.sum()], np.float64), np.array([values[above].sum(), values[chosen].sum()])
    )
    best, other = sets.merit(values, caution=0).tolist()
    assert best >= other - 1e-9
    careful = sets.merit(values)
    assert (careful <= sets.merit(values, caution=0) + 1e-9).all()
    assert Caught(np.ones(2), np.ones(2)).merit(np.ones(1)).tolist() == [0, 0]
