"""The gate: which rules a run holds, and why it does not hold the others."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried

from harness.comparison import ComparedRun, RunPredictions, compare
from harness.gatecheck import Case, Evidence, GateResult, evaluate, partial
from harness.gaterules import parse_rule
from harness.records import FailureKind, Prediction, Sample
from harness.scoring import align, score
from harness.significance import judge

SPACE = space_of("a", "b", "never")
ALL = frozenset(SPACE.names)


def gold_of(labels: Sequence[str]) -> list[Sample]:
    """Return samples s0, s1, … whose gold labels are the letters given; "-" is none, "?" is unlabelled."""
    return [
        Sample(f"s{at}", {}, None if letters == "?" else frozenset(letters.strip("-")))
        for at, letters in enumerate(labels)
    ]


def said(answers: Sequence[str], repeat: int = 0) -> list[Prediction]:
    """Return predictions of s0, s1, …: the letters given; "-" is none, "!" a failure, "+" before them an off-list answer."""
    found = []
    for at, letters in enumerate(answers):
        if letters == "!":
            found.append(Prediction(f"s{at}", frozenset(), ALL, FailureKind.REFUSAL, repeat=repeat))
        else:
            off_list = ("other",) if letters.startswith("+") else ()
            found.append(Prediction(f"s{at}", frozenset(letters.strip("+-")), off_list=off_list, repeat=repeat))
    return found


def evidence(
    gold: Sequence[str], now: Sequence[str] | None, before: Sequence[str] | None = None, **more: Any
) -> Evidence:
    """Return what a run is judged by, with a baseline where there is one; ``None`` as answers are no predictions."""
    samples = gold_of(gold)
    asked = frozenset(sample.id for sample in samples)
    if now is None:
        return Evidence(SPACE, None, asked, **more)
    predictions = said(now)
    labelled = [sample for sample in samples if sample.labels is not None]
    kept = [each for each in predictions if each.sample in {sample.id for sample in labelled}]
    alone = ComparedRun("now", 0, score(SPACE, labelled, kept), align(SPACE, labelled, kept))
    if before is None:
        return Evidence(SPACE, alone, asked, **more)
    comparison = compare(SPACE, samples, [RunPredictions("before", said(before)), RunPredictions("now", predictions)])
    return Evidence(SPACE, alone, asked, comparison=comparison, judgement=judge(comparison), **more)


def case_of(rule: str, found: Evidence) -> Case:
    """Return what comes of one rule."""
    return evaluate([parse_rule(rule, SPACE)], found).cases[1]


GOLD = ["a", "b", "ab", "-", "a"]
BEFORE = ["a", "b", "a", "-", "b"]
NOW = ["a", "+a", "ab", "!", "b"]
SMALL = evidence(GOLD, NOW, BEFORE, cost_usd=0.5)

MANY_GOLD = ["a", "b"] * 100
WORSE = evidence(MANY_GOLD, ["b", "b"] * 60 + ["a", "b"] * 40, MANY_GOLD)
SAME = evidence(MANY_GOLD, MANY_GOLD, MANY_GOLD)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "status", "value"),
    [
        ("recall[a] >= 0.6", "passed", 2 / 3),
        ("recall[a] >= 0.7", "failed", 2 / 3),
        ("precision[a] <= 0.5", "failed", 2 / 3),
        ("f1[b] > 0.4", "passed", 1 / 2),
        ("macro_f1 >= 0.5", "passed", (2 / 3 + 1 / 2) / 2),
        ("subset_accuracy == 0.4", "passed", 0.4),
        ("coverage >= 0.81", "failed", 0.8),
        ("cardinality_gold >= 1", "passed", 1.0),
        ("macro_labels >= 3", "failed", 2.0),
        ("regressed <= 2", "passed", 2.0),
        ("regressed <= 1", "failed", 2.0),
        ("fixed >= 1", "passed", 1.0),
        ("churned == 0", "passed", 0.0),
        ("failures <= 0", "failed", 1.0),
        ("off_list < 1", "failed", 1.0),
        ("cost_usd <= 0.5", "passed", 0.5),
        ("change recall[a] >= 0", "passed", 0.0),
        ("change coverage >= -0.1", "failed", -0.2),
        ("change subset_accuracy >= -0.2", "passed", -0.2),
    ],
)
def test_numbers_are_bounded(rule: str, status: str, value: float) -> None:
    """A number holds its bound or does not; failures are wrong answers here as everywhere."""
    case = case_of(rule, SMALL)
    assert case.status == status
    assert case.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [("change macro_f1 >= -0.01", True), ("change macro_f1 > -0.01", False), ("change macro_f1 < -0.01", False)],
)
def test_the_last_binary_digit_decides_nothing(rule: str, holds: bool) -> None:
    """0.80 − 0.79 is 0.01 to a person, so it is on the bound of 0.01 and not below it."""
    assert SAME.comparison is not None
    runs = [
        replace(run, scores=replace(run.scores, averages=replace(run.scores.averages, macro_f1=value)))
        for run, value in zip(SAME.comparison.runs, (0.80, 0.79), strict=True)
    ]
    assert 0.79 - 0.80 < -0.01
    found = replace(SAME, comparison=replace(SAME.comparison, runs=tuple(runs)))
    assert (case_of(rule, found).status == "passed") is holds


def test_a_miss_that_cannot_be_seen_is_said() -> None:
    """Where the value is shown like the bound, the reason says that it is less than can be seen."""
    assert case_of("recall[a] >= 0.667", SMALL).why == "by less than 0.001"
    assert case_of("recall[a] >= 0.7", SMALL).why == ""


def test_counts_name_their_samples() -> None:
    """A count of changes that is too high names the first of them."""
    assert case_of("regressed <= 1", SMALL).why == "s1, s3"
    assert case_of("failures == 0", SMALL).why == ""


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("recall[never] >= 0", "not defined: no sample has the label in gold"),
        ("precision[never] <= 1", "not defined: the label was never predicted"),
        ("f1[never] >= 0", "not defined: the label is neither in gold nor predicted"),
        (
            "change recall[never] >= -1",
            "not defined: before no sample has the label in gold, now no sample has the label in gold",
        ),
    ],
)
def test_what_is_not_defined_holds_no_rule(rule: str, why: str) -> None:
    """0/0 fails every bound, and the reason is told."""
    case = case_of(rule, SMALL)
    assert (case.status, case.why, case.labels) == ("failed", why, ("never",))
    assert math.isnan(case.value)


def test_a_change_from_what_is_not_defined_tells_which_side() -> None:
    """Where one run alone has no value, that one is named."""
    found = evidence(["a", "b"], ["a", "-"], ["-", "b"])
    assert case_of("change precision[a] >= 0", found).why == "not defined: before the label was never predicted"
    assert case_of("change precision[b] >= 0", found).why == "not defined: now the label was never predicted"


def test_an_unknown_price_and_no_gold_hold_no_rule() -> None:
    """What nobody knows is not below a bound."""
    found = evidence(["?", "?"], ["a", "b"])
    assert case_of("cost_usd <= 100", found).why == "not defined: the price is unknown"
    assert case_of("macro_f1 >= 0", found).why == "not defined: no sample has gold labels"
    empty = evidence(["-"], ["-"])
    assert case_of("macro_f1 >= 0", empty).why == "not defined: nothing to average over"


def test_a_failed_bound_blames_its_label() -> None:
    """The case of a label fails with the rules that name it, and with no others."""
    result = evaluate([parse_rule(text, SPACE) for text in ("recall[a] >= 0.9", "f1[b] >= 0", "macro_f1 >= 1")], SMALL)
    assert [case.name for case in result.because_of("a")] == ["recall[a] >= 0.9"]
    assert result.because_of("b") == ()


# --- verdicts ---------------------------------------------------------------------------------------------------------


def test_a_significant_drop_fails() -> None:
    """Every judged score that is worse is told, with its difference."""
    case = case_of("no significant drop", WORSE)
    assert (case.status, case.found) == ("failed", "5 worse")
    told = [str(each.measure) for each in case.judged]
    assert told == ["macro_f1", "micro_f1", "subset_accuracy", "f1[a]", "f1[b]"]
    assert case.labels == ("a", "b")
    one = case_of("no significant drop in f1[a]", WORSE)
    assert (one.status, one.found, one.labels) == ("failed", "worse", ("a",))
    assert one.value == pytest.approx(WORSE.diff.labels[0].delta if WORSE.diff else math.nan)


def test_what_is_inconclusive_blocks_only_where_no_worse_is_asked_for() -> None:
    """A drop that could be chance is no significant drop; 'no worse' must be shown."""
    assert SMALL.judgement is not None
    assert SMALL.judgement.diffs[0].averages["subset_accuracy"].verdict == "inconclusive"
    assert SMALL.judgement.diffs[0].averages["subset_accuracy"].delta < 0
    assert case_of("no significant drop", SMALL).status == "passed"
    assert case_of("no significant drop in subset_accuracy", SMALL).status == "passed"
    blocked = case_of("no worse in subset_accuracy", SMALL)
    assert (blocked.status, blocked.found, blocked.why) == ("failed", "inconclusive", "")


def test_too_few_to_tell_is_not_shown_to_be_no_worse() -> None:
    """A label with too few gold cells drops nothing, and is not shown to be no worse either."""
    assert case_of("no significant drop in f1[b]", SMALL).status == "passed"
    case = case_of("no worse in f1[b]", SMALL)
    assert (case.status, case.found, case.labels) == ("failed", "too few to tell", ("b",))


def test_the_same_answers_are_no_worse() -> None:
    """Enough samples without a change show that nothing is worse."""
    assert case_of("no worse in macro_f1", SAME).status == "passed"
    assert case_of("no significant drop", SAME).found == "none worse"


def test_better_by_failures_alone_is_not_better() -> None:
    """A verdict that is withheld does not do for 'no worse', and says why."""
    assert SAME.judgement is not None
    diff = SAME.judgement.diffs[0]
    withheld = replace(diff.averages["macro_f1"], verdict="inconclusive", withheld=True)
    averages = {**diff.averages, "macro_f1": withheld}
    judgement = replace(SAME.judgement, diffs=(replace(diff, averages=averages),))
    case = case_of("no worse in macro_f1", replace(SAME, judgement=judgement))
    assert (case.status, case.why) == ("failed", "what rose comes from failures, not from better answers")


# --- protected samples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "status", "found", "why"),
    [
        ("s0", "passed", "right", ""),
        ("s2", "passed", "right", ""),
        ("s1", "failed", "wrong", "it was right in the baseline"),
        ("s3", "failed", "wrong", "it was right in the baseline"),
        ("s4", "passed", "wrong", "it was wrong in the baseline too"),
        ("gone", "failed", "missing", "the run does not have this sample"),
    ],
)
def test_protected_samples_may_not_regress(sample: str, status: str, found: str, why: str) -> None:
    """Right before and not exactly right now fails, and so does a sample that is not there; never right is told."""
    case = case_of(f"protected[{sample}]", SMALL)
    assert (case.kind, case.status, case.found, case.why) == ("protected", status, found, why)


def test_without_a_baseline_protected_samples_must_be_right() -> None:
    """There is nothing to be no worse than, so wrong is wrong."""
    alone = evidence(GOLD, NOW)
    assert case_of("protected[s0]", alone).status == "passed"
    case = case_of("protected[s4]", alone)
    assert (case.status, case.why) == ("failed", "it must be right, for there is no baseline")


def test_protected_samples_that_cannot_be_compared_must_be_right() -> None:
    """A new sample, and one whose inputs changed, has nothing to be no worse than."""
    new = evidence(GOLD, NOW, BEFORE[:4])
    assert case_of("protected[s4]", new).why == "it must be right, for the baseline does not have it"
    changed = replace(new, changed=frozenset({"s4"}))
    assert case_of("protected[s4]", changed).why == "it must be right, for its inputs are not those of the baseline"
    uncompared = evidence(GOLD, NOW, uncompared="nothing in common")
    assert case_of("protected[s4]", uncompared).why == "it must be right, for the baseline does not have it"


def test_protected_samples_without_gold_fail() -> None:
    """Nothing can be said of a sample that has no gold labels."""
    case = case_of("protected[s1]", evidence(["a", "?"], ["a", "b"]))
    assert (case.status, case.found, case.why) == ("failed", "not scored", "the sample has no gold labels")


# --- partial runs and missing baselines -------------------------------------------------------------------------------


def test_a_partial_run_never_passes() -> None:
    """Whatever the rules say, a partial run fails, and says why it is one."""
    whole = evaluate([parse_rule("macro_f1 >= 0", SPACE)], SMALL)
    assert whole.passed
    result = evaluate([parse_rule("macro_f1 >= 0", SPACE)], replace(SMALL, partial=("the run is incomplete", "more")))
    assert not result.passed
    assert [(case.kind, case.status, case.why) for case in result.cases] == [
        ("complete", "failed", "the run is incomplete; more"),
        ("rule", "passed", ""),
    ]


def test_without_predictions_nothing_is_checked() -> None:
    """Rules of a run that says nothing are skipped, and the gate fails."""
    rules = ["macro_f1 >= 0", "no significant drop", "no worse in macro_f1", "no worse in f1[a]", "protected[s0]"]
    result = evaluate([parse_rule(text, SPACE) for text in rules], evidence(GOLD, None, partial=("nothing",)))
    assert [case.status for case in result.cases] == ["failed", *["skipped"] * 5]
    assert {case.why for case in result.cases[1:]} == {"the run has no predictions"}
    assert not result.passed
    assert not evaluate([], replace(evidence(GOLD, None), partial=("nothing",))).passed


@pytest.mark.parametrize(("uncompared", "why"), [("", "there is no baseline"), ("none in common", "none in common")])
def test_rules_that_need_a_baseline_fail_without_one(uncompared: str, why: str) -> None:
    """What cannot be compared does not hold; a rule of the run alone is checked all the same."""
    alone = evidence(GOLD, NOW, uncompared=uncompared)
    assert (case_of("regressed <= 9", alone).status, case_of("regressed <= 9", alone).why) == ("failed", why)
    assert case_of("no significant drop", alone).why == why
    assert case_of("coverage >= 0.8", alone).status == "passed"


def test_what_makes_a_run_partial() -> None:
    """A state that is not complete, a missing prediction in any repeat, and a sample of the baseline that is not there."""
    asked = ["a", "b"]
    every = [(sample, repeat) for sample in asked for repeat in (0, 1)]
    assert partial("complete", asked, 2, every, ["b"]) == ()
    assert partial("interrupted", asked, 2, every, ()) == ("the run is interrupted",)
    assert partial("complete", asked, 2, every[:3], ()) == ("without a prediction: 1 of 2 (b)",)
    assert partial("complete", asked, 2, every, ["a", *(f"x{n}" for n in range(7))]) == (
        "samples of the baseline that the run does not have: 7 of 8 (x0, x1, x2, x3, x4 and 2 more)",
    )


# --- laws -------------------------------------------------------------------------------------------------------------

ANSWERS = st.lists(st.sampled_from(["a", "b", "ab", "-", "!"]), min_size=1, max_size=6)


@unhurried
@given(ANSWERS, ANSWERS, st.data())
def test_a_failure_never_turns_a_protected_sample_or_a_recall_good(
    gold: list[str], now: list[str], data: st.DataObject
) -> None:
    """An answer that becomes a failure makes no failed rule of recall, coverage or protected samples pass."""
    gold = ["-" if letters == "!" else letters for letters in gold]
    now = (now * len(gold))[: len(gold)]
    at = data.draw(st.integers(0, len(gold) - 1))
    failed = [*now[:at], "!", *now[at + 1 :]]
    rules = [parse_rule(text, SPACE) for text in ("recall[a] >= 0.5", "coverage >= 0.5", f"protected[s{at}]")]
    for before, after in zip(
        evaluate(rules, evidence(gold, now)).cases, evaluate(rules, evidence(gold, failed)).cases, strict=True
    ):
        assert not (before.status == "failed" and after.status == "passed")


@unhurried
@given(ANSWERS, ANSWERS)
def test_a_run_against_itself_holds_every_rule_of_change(gold: list[str], now: list[str]) -> None:
    """Where nothing changed, nothing regressed, dropped or moved."""
    gold = ["a", *("-" if letters == "!" else letters for letters in gold)]
    now = ["a", *(now * len(gold))][: len(gold)]
    rules = [
        "regressed == 0",
        "fixed == 0",
        "churned == 0",
        "change micro_f1 == 0",
        "no significant drop",
        "protected[s0]",
        f"protected[s{len(gold) - 1}]",
    ]
    assert evaluate([parse_rule(text, SPACE) for text in rules], evidence(gold, now, now)).passed


def test_results_become_plain_values() -> None:
    """JSON has every case, NaN as null and differences by their names."""
    rules = ["recall[never] >= 0", "no worse in f1[b]"]
    result = evaluate([parse_rule(text, SPACE) for text in rules], SMALL)
    assert isinstance(result, GateResult)
    plain: Mapping[str, Any] = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert plain["passed"] is False
    assert [case["name"] for case in plain["cases"]] == ["complete", *rules]
    assert plain["cases"][1]["value"] is None
    judged = plain["cases"][2]["judged"][0]
    assert (judged["name"], judged["label"], judged["verdict"]) == ("f1", "b", "too few to tell")
