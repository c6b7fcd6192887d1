"""The search label by label: what is lost among the errors of all labels is found for one, and noise is told as noise."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried
from trigger_cases import LABELS, SPACE, failed_case, made_cases, shipping_that_is_not_late

from harness.cases import Case, gather
from harness.labeltriggers import LIMITS, MOST_LABELS, WIDEST, LabelTrigger, label_triggers, only_about
from harness.triggersearch import Settings, search
from harness.triggerverdict import ALPHA, LEAST_WRONG

SAID_WRONGLY = ("shipping", "quality")
SETTINGS = Settings()


def mostly_wrong(n: int, seed: int) -> list[Case]:
    """Return cases of which nearly all are wrong: two labels wherever they are said, four others now and then."""
    rng = np.random.default_rng(seed)
    others = np.array([name for name in LABELS if name not in SAID_WRONGLY][:4])
    cases = []
    for case in made_cases(n, seed, noise=0.0):
        gold = case.prediction.labels - set(SAID_WRONGLY)
        cases.append(replace(case, gold=gold ^ set(others[rng.random(4) < 0.35].tolist())))
    return cases


@pytest.fixture(scope="module")
def found() -> dict[str, LabelTrigger]:
    """Return what is found where nearly everything is wrong."""
    return {each.label: each for each in label_triggers(SPACE, mostly_wrong(240, 1), SETTINGS)}


def test_each_label_has_the_trigger_for_its_own_errors(found: dict[str, LabelTrigger]) -> None:
    """Two labels are wrong wherever they are said: that is found for each; of those that are wrong at random nothing."""
    assert {name for name, each in found.items() if each.verdict == "worth"} == set(SAID_WRONGLY)
    assert len(found) == 6
    for name in SAID_WRONGLY:
        choice = found[name].choice
        assert choice is not None
        assert choice.expression == f"'{name}' in predicted"
        assert choice.unseen.precision == choice.unseen.coverage == 1
        assert choice.unseen.scope == (name,)


def test_the_labels_with_the_most_wrong_cells_come_first(found: dict[str, LabelTrigger]) -> None:
    """In the searched half alone, and none that is wrong in too few samples there."""
    cases = gather(SPACE, sorted(mostly_wrong(240, 1), key=lambda case: case.sample))
    seen = {name: each.choice.seen.errors for name, each in found.items() if each.choice is not None}
    assert list(seen.values()) == sorted(seen.values(), reverse=True)
    assert min(seen.values()) >= LEAST_WRONG
    assert sum(seen.values()) < cases.wrong_cells.sum()


def test_p_values_are_corrected_for_the_labels_that_were_looked_at(found: dict[str, LabelTrigger]) -> None:
    """By Holm, out of fold and on the unseen half alike; the verdict goes by the corrected ones."""
    for uncorrected, corrected in (("fold_p", "fold_p_holm"), ("unseen_p", "unseen_p_holm")):
        pairs = sorted((getattr(each, uncorrected), getattr(each, corrected)) for each in found.values())
        assert pairs[0][1] == pytest.approx(len(found) * pairs[0][0])
        assert all(p <= p_holm <= 1 for p, p_holm in pairs)
    for each in found.values():
        assert (each.verdict == "worth") == (max(each.fold_p_holm, each.unseen_p_holm) <= ALPHA)


def test_a_label_by_itself_is_the_same_search() -> None:
    """What is told of a label is what a search for its errors alone finds, with one trigger and the wider budget."""
    cases = mostly_wrong(200, 3)
    first, *_ = label_triggers(SPACE, cases, SETTINGS)
    alone = replace(SETTINGS, budget=WIDEST, parts=1, limits=LIMITS)
    same = search(SPACE, [only_about(case, [first.label]) for case in cases], alone)
    assert same.chosen is not None
    assert same.procedure is not None
    assert first.choice == same.chosen
    assert (first.fold_p, first.unseen_p) == (same.procedure.p, same.unseen_p)


def test_a_larger_budget_is_kept() -> None:
    """Where a person would pay more than `WIDEST`, more may be sent; a smaller budget changes nothing."""
    cases = [replace(case, gold=case.prediction.labels - {"shipping"}) for case in made_cases(160, 4, noise=0)]
    cases = [
        replace(case, gold=case.gold if case.inputs["language"] == "en" else case.prediction.labels) for case in cases
    ]
    small, same = (label_triggers(SPACE, cases, replace(SETTINGS, budget=budget)) for budget in (0.1, WIDEST))
    assert small == same
    for each in label_triggers(SPACE, cases, replace(SETTINGS, budget=0.9)):
        assert each.choice is not None
        assert each.choice.seen.price <= 0.9


def test_random_errors_of_a_label_are_told_as_such() -> None:
    """Each label is wrong at random: for none of them a trigger is worth it."""
    verdicts = Counter[str]()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        cases = [
            replace(case, gold=case.prediction.labels ^ set(np.array(LABELS)[rng.random(8) < 0.2].tolist()))
            for case in made_cases(160, seed, noise=0)
        ]
        verdicts.update(each.verdict for each in label_triggers(SPACE, cases, SETTINGS))
    assert verdicts["worth"] == 0
    assert verdicts["not worth"] >= 20


def test_few_errors_or_none_are_looked_at_for_no_label() -> None:
    """A label that is hardly ever wrong is left out; so are all of them where there are no samples."""
    assert label_triggers(SPACE, made_cases(100, 1, noise=0.0), SETTINGS) == ()
    assert label_triggers(SPACE, [], SETTINGS) == ()


def test_no_more_labels_than_a_table_has() -> None:
    """Of many wrong labels those with the most wrong cells are looked at."""
    cases = [replace(case, gold=frozenset(LABELS) - case.prediction.labels) for case in made_cases(60, 2, noise=0)]
    assert len(label_triggers(SPACE, cases, SETTINGS)) == MOST_LABELS == len(LABELS)


def test_a_label_that_is_always_wrong_has_no_trigger() -> None:
    """Where no sample has more errors than another, nothing is chosen, and there are no p-values."""
    cases = [replace(case, gold=case.prediction.labels ^ {"shipping"}) for case in made_cases(100, 2, noise=0.0)]
    (only,) = label_triggers(SPACE, cases, SETTINGS)
    assert (only.label, only.choice, only.verdict) == ("shipping", None, "too few to tell")
    assert all(map(math.isnan, (only.fold_p, only.fold_p_holm, only.unseen_p, only.unseen_p_holm)))


def test_the_order_of_the_cases_changes_nothing_by_label() -> None:
    """The same samples in another order are the same table."""
    cases = made_cases(120, 3, shipping_that_is_not_late, noise=0.3)
    assert label_triggers(SPACE, cases, SETTINGS) == label_triggers(SPACE, cases[::-1], SETTINGS)


@unhurried
@given(st.sets(st.sampled_from(LABELS), min_size=1), st.integers(0, 30), st.booleans())
def test_only_these_labels_can_be_wrong(labels: set[str], seed: int, failed: bool) -> None:
    """The wrong cells of the labels stay, all others are right, and what a `when` sees is the same."""
    case = made_cases(1, seed, noise=0.8)[0]
    case = failed_case(case) if failed else case
    alone = only_about(case, labels)
    whole, part = (gather(SPACE, [each]) for each in (case, alone))
    inside = np.array([name in labels for name in SPACE.names])
    assert (part.wrong_cells == (whole.wrong_cells & inside)).all()
    assert (part.missed[:, inside] == whole.missed[:, inside]).all()
    assert alone.context is case.context
    assert only_about(replace(case, gold=None), labels).gold is None
