"""How real the changes of a comparison are: every verdict of a pair of runs that is known by hand, and the rules."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from strategies_labels import cases, runs_of, space_of, unhurried

from harness import stats
from harness.comparison import Comparison, RunPredictions, compare
from harness.records import FailureKind, Prediction, Sample
from harness.significance import JUDGED, Difference, Judgement, Settings, judge
from harness.stats import AVERAGES

NAN = math.nan
Labels = Callable[[int], set[str]]


def compared(names: Sequence[str], n: int, gold: Labels, **runs: Callable[[int], set[str] | None]) -> Comparison:
    """Return the comparison of runs on samples 0 to n - 1; None is no answer."""
    space = space_of(*names)
    samples = [Sample(str(row), {}, frozenset(gold(row))) for row in range(n)]
    return compare(
        space,
        samples,
        [RunPredictions(name, [said(row, answer(row), names) for row in range(n)]) for name, answer in runs.items()],
    )


def said(row: int, labels: set[str] | None, names: Sequence[str], repeat: int = 0) -> Prediction:
    """Return a prediction of these labels, or one that failed."""
    if labels is None:
        return Prediction(str(row), frozenset(), frozenset(names), FailureKind.UNPARSEABLE, repeat=repeat)
    return Prediction(str(row), frozenset(labels), repeat=repeat)


def within(ranges: Mapping[str, tuple[int, int]]) -> Labels:
    """Return who has each label: the samples from one number up to another."""
    return lambda row: {label for label, (first, end) in ranges.items() if first <= row < end}


def verdicts(found: Mapping[str, Difference]) -> dict[str, str]:
    """Return the verdicts by name."""
    return {name: row.verdict for name, row in found.items()}


# --- a pair of runs that is known by hand -----------------------------------------------------------------------------

# 240 samples, 4 labels, no false alarms. `good` is found in 30 of 60 and then in 50, `bad` the other way round, `rare`
# in 2 of 10 and then in 8. `same` is missed once in 160, each time in another sample.
LABELS = ("good", "bad", "same", "rare")
GOLD = within({"good": (0, 60), "bad": (60, 120), "same": (80, 240), "rare": (0, 10)})
V1 = within({"good": (0, 30), "bad": (60, 110), "same": (80, 239), "rare": (0, 2)})
V2 = within({"good": (0, 50), "bad": (60, 90), "same": (80, 240), "rare": (0, 8)})
COMPARISON = compared(LABELS, 240, GOLD, v1=V1, v2=lambda row: V2(row) - ({"same"} if row == 238 else set()))
JUDGEMENT = judge(COMPARISON)
DIFF = JUDGEMENT.diffs[0]


def test_the_differences_of_labels_are_those_of_the_hand_calculation() -> None:
    """F1 of each label changes as counted by hand."""
    assert (DIFF.before, DIFF.after, DIFF.exact) == ("v1", "v2", False)
    up = 100 / 110 - 60 / 90
    assert [row.delta for row in DIFF.labels] == pytest.approx([up, -up, 0, 16 / 18 - 4 / 12])


def test_the_p_values_of_labels_are_those_of_the_hand_calculation() -> None:
    """20 of 20 contested cells to one side are 2 in 2**20 exchanges, 6 of 6 are 2 in 64; corrected for three labels."""
    p = 2 / 2**20
    assert [row.p for row in DIFF.labels] == pytest.approx([p, p, 1, 2 / 64], rel=1e-9)
    assert [row.p_corrected for row in DIFF.labels] == pytest.approx([3 * p, 3 * p, 1, NAN], rel=1e-9, nan_ok=True)


def test_the_verdicts_of_labels_are_right() -> None:
    """Clearly better, clearly worse, no worse with enough gold cells, and too few gold cells to tell."""
    assert [row.verdict for row in DIFF.labels] == ["better", "worse", "no worse", "too few to tell"]
    assert JUDGEMENT.best_labels == ("v2", "v1", None, None)
    for row, (low, high) in zip(DIFF.labels, [(0.1, 0.4), (-0.4, -0.1), (-0.01, 0.01), (0.1, 1.0)], strict=True):
        assert low < row.low <= row.delta <= row.high < high


def test_the_averages_are_those_of_the_hand_calculation() -> None:
    """Means of the labels' F1, F1 of all cells, and samples that are exactly right."""
    averages = DIFF.averages
    assert tuple(averages) == AVERAGES
    assert averages["macro_f1"].delta == pytest.approx((16 / 18 - 4 / 12) / 4)
    assert averages["micro_f1"].delta == pytest.approx(2 * 247 / (247 + 290) - 2 * 241 / (241 + 290))
    assert averages["subset_accuracy"].delta == pytest.approx((197 - 191) / 240)
    assert (averages["coverage"].delta, averages["coverage"].p) == (0, 1)


def test_subset_accuracy_has_mcnemars_test() -> None:
    """21 samples were right and are not, 27 the other way round: an exact binomial test."""
    assert DIFF.mcnemar is not None
    assert (DIFF.mcnemar.lost, DIFF.mcnemar.won) == (21, 27)
    assert DIFF.mcnemar.p == DIFF.averages["subset_accuracy"].p == pytest.approx(binomtest(21, 48).pvalue, abs=1e-12)


def test_the_verdicts_of_averages_are_right() -> None:
    """Macro F1 rose for the rare label did, which counts like any other.

    Samples F1 rose by 15 1/3 of 240, with a standard error of 4.9 of 240: what `good` won counts a whole sample, what
    `bad` lost a third of one. Micro F1 rose by 6 of 290 gold cells, and may have fallen by no more than 0.014.
    """
    assert DIFF.averages["samples_f1"].delta == pytest.approx(46 / 3 / 240)
    assert verdicts(DIFF.averages) == {
        "macro_f1": "better",
        "micro_f1": "no worse",
        "weighted_f1": "inconclusive",
        "samples_f1": "better",
        "subset_accuracy": "inconclusive",
        "coverage": "no worse",
    }
    assert JUDGEMENT.best == dict.fromkeys(AVERAGES) | {"macro_f1": "v2", "samples_f1": "v2"}


def test_what_is_detectable_follows_from_the_standard_error() -> None:
    """For subset accuracy the standard error is that of 48 samples that differ: sqrt(48 - 6² / 240) / 240."""
    row = DIFF.averages["subset_accuracy"]
    assert row.standard_error == pytest.approx(math.sqrt(48 - 36 / 240) / 240, rel=0.06)
    assert row.detectable == pytest.approx(2.8 * row.standard_error)


def test_it_is_said_that_rare_labels_make_macro_rough() -> None:
    """240 samples are enough; the rare label is named."""
    assert JUDGEMENT.cautions == (
        "macro F1 counts every label alike, those with fewer than 20 gold cells too (rare): its interval is rough",
    )


def test_intervals_of_a_run_hold_its_score() -> None:
    """Every score of a run lies in its interval."""
    for run, intervals in zip(COMPARISON.runs, JUDGEMENT.runs, strict=True):
        for name in AVERAGES[:5]:
            assert intervals.averages[name].low < getattr(run.scores.averages, name) < intervals.averages[name].high
        for row, label in zip(run.scores.labels, intervals.labels, strict=True):
            assert label.low <= row.f1 <= label.high


def test_a_judgement_is_plain_json() -> None:
    """`to_json` has the settings that decided, and NaN as null."""
    data = JUDGEMENT.to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["settings"] == {
        "margin": 0.02,
        "least_support": 20,
        "resamples": 1000,
        "permutations": 10_000,
        "seed": 0,
        "level": 0.95,
        "alpha": 0.05,
    }
    assert data["diffs"][0]["labels"][3]["p_corrected"] is None


def test_the_same_seed_gives_the_same_judgement() -> None:
    """Nothing is drawn without a seed; another one changes intervals a little, and no exact p-value."""
    assert judge(COMPARISON).to_json() == JUDGEMENT.to_json()
    other = judge(COMPARISON, Settings(seed=1)).diffs[0]
    assert [row.low for row in other.labels] != [row.low for row in DIFF.labels]
    assert [row.p for row in other.labels] == [row.p for row in DIFF.labels]


def test_thresholds_are_the_users() -> None:
    """With another least support and margin, other labels can be told of and other losses are accepted."""
    loose = judge(COMPARISON, Settings(least_support=10, margin=0.3)).diffs[0]
    assert [row.verdict for row in loose.labels] == ["better", "worse", "no worse", "no worse"]
    assert loose.labels[3].p_corrected == pytest.approx(4 / 64)
    assert loose.averages["subset_accuracy"].verdict == "no worse"
    strict = judge(COMPARISON, Settings(alpha=1e-7)).diffs[0]
    assert [row.verdict for row in strict.labels[:2]] == ["inconclusive", "inconclusive"]


# --- several versions -------------------------------------------------------------------------------------------------


def test_with_more_versions_there_is_more_to_correct_for() -> None:
    """Averages are corrected for the later versions, labels for labels × versions."""
    both = compared(LABELS, 240, GOLD, v1=V1, v2=V2, v3=V2)
    one, other = judge(both).diffs
    p = 2 / 2**20
    assert [row.p_corrected for row in one.labels[:2]] == pytest.approx([6 * p, 6 * p])
    assert one.averages["macro_f1"].p_corrected == 2 * one.averages["macro_f1"].p
    assert verdicts(one.averages) == verdicts(other.averages)


def test_the_best_is_better_than_all_others() -> None:
    """Best is the one that is ahead of every other: of the baseline by its verdict, of its rivals by the same test."""

    def finds(good: int, bad: int) -> Labels:
        return within({"good": (0, good), "bad": (60, 60 + bad), "same": (80, 240), "rare": (0, 10)})

    found = judge(compared(LABELS, 240, GOLD, v1=finds(20, 50), v2=finds(36, 20), v3=finds(56, 20)))
    assert found.best_labels == ("v3", "v1", None, None)
    near = judge(compared(LABELS, 240, GOLD, v1=finds(20, 50), v2=finds(55, 20), v3=finds(56, 55)))
    assert [diff.labels[0].verdict for diff in near.diffs] == ["better", "better"]
    assert near.best_labels == (None, None, None, None)


def test_a_rival_that_answered_more_is_not_beaten() -> None:
    """F1 rises with failures that hide false alarms: then the one with more failures is not best."""
    gold = within({"a": (0, 60)})
    comparison = compared(
        ("a", "b"),
        200,
        gold,
        v1=within({"a": (0, 20)}),
        v2=within({"a": (0, 80)}),
        v3=lambda row: None if 60 <= row < 80 else {"a"} if row < 60 else set(),
    )
    judgement = judge(comparison)
    assert [diff.labels[0].verdict for diff in judgement.diffs] == ["better", "better"]
    assert judgement.best_labels[0] is None


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """Draw two to four runs on the same samples."""
    case = draw(cases(1))
    names = case.space.names
    runs = [case.predictions, *(draw(runs_of(names, case.samples, 1)) for _ in range(draw(st.integers(1, 3))))]
    copies = draw(st.sampled_from([1, 8]))  # enough samples for a verdict, now and then
    samples = [Sample(f"{each.id}-{copy}", {}, each.labels) for copy in range(copies) for each in case.samples]
    return compare(
        case.space,
        samples,
        [
            RunPredictions(f"v{at}", [_copied(each, copy) for copy in range(copies) for each in run])
            for at, run in enumerate(runs)
        ],
    )


def _copied(each: Prediction, copy: int) -> Prediction:
    return Prediction(f"{each.sample}-{copy}", each.labels, each.unanswered, each.failure)


QUICK = Settings(resamples=60, permutations=99, least_support=1)


@unhurried
@given(comparisons())
def test_an_interval_holds_its_value(comparison: Comparison) -> None:
    """No interval leaves out the score or the difference that it is of, whatever the resamples do."""
    judgement = judge(comparison, QUICK)
    for run, found in zip(comparison.runs, judgement.runs, strict=True):
        for label, interval in zip(run.scores.labels, found.labels, strict=True):
            assert math.isnan(interval.low) or interval.low <= label.f1 + 1e-12 <= interval.high + 2e-12
        macro = found.averages["macro_f1"]
        assert math.isnan(macro.low) or macro.low <= run.scores.averages.macro_f1 <= macro.high
    for diff in judgement.diffs:
        for row in (*diff.averages.values(), *diff.labels):
            assert math.isnan(row.low) or math.isnan(row.delta) or row.low <= row.delta <= row.high


def test_macro_f1_of_rare_labels_lies_in_its_interval() -> None:
    """Sixty labels with one gold cell each: a resample lacks a third of them, and macro is over the others."""
    names = [f"l{at}" for at in range(60)]
    comparison = compared(
        names,
        60,
        lambda row: {f"l{row}"},
        v1=lambda row: {f"l{row}", f"l{(row + 1) % 60}"} if row % 2 else {f"l{(row + 7) % 60}"},
        v2=lambda row: {f"l{row}"},
    )
    judgement = judge(comparison)
    macro = judgement.runs[0].averages["macro_f1"]
    assert macro.low <= comparison.runs[0].scores.averages.macro_f1 <= macro.high
    row = judgement.diffs[0].averages["macro_f1"]
    assert row.low <= row.delta <= row.high


@unhurried
@given(comparisons())
def test_the_best_never_contradicts_a_verdict(comparison: Comparison) -> None:
    """A later run that is best is "better" than the baseline; where the baseline is best all others are "worse"."""
    judgement = judge(comparison, QUICK)
    best = [*judgement.best.values(), *judgement.best_labels]
    words = [[row.verdict for row in (*diff.averages.values(), *diff.labels)] for diff in judgement.diffs]
    for name, *told in zip(best, *words, strict=True):
        if name == "v0":
            assert set(told) == {"worse"}
        elif name is not None:
            assert told[int(name[1:]) - 1] == "better"


@unhurried
@given(comparisons())
def test_a_judgement_fits_together(comparison: Comparison) -> None:
    """Differences are those of the scores, p-values are in order, and a verdict follows from what stands beside it."""
    judgement = judge(comparison, QUICK)
    first = comparison.runs[0]
    for run, split, diff in zip(comparison.runs[1:], comparison.diffs, judgement.diffs, strict=True):
        for name in JUDGED:
            assert diff.averages[name].delta == pytest.approx(split.headline[name], nan_ok=True)
        assert diff.averages["macro_f1"].delta == pytest.approx(split.macro_f1.total, nan_ok=True)
        assert [row.delta for row in diff.labels] == pytest.approx([row.delta for row in split.labels], nan_ok=True)
        assert len(run.scores.labels) == len(first.scores.labels) == len(diff.labels)
        for row in (*diff.averages.values(), *diff.labels):
            assert math.isnan(row.p_corrected) or 0 < row.p <= row.p_corrected <= 1
            assert row.verdict != "better" or (row.low > 0 and row.p_corrected <= 0.05 and not row.withheld)
            assert row.verdict != "worse" or (row.high < 0 and row.p_corrected <= 0.05)
            assert not row.withheld or row.verdict == "inconclusive"
    assert json.dumps(judgement.to_json(), allow_nan=False)


# --- failures ---------------------------------------------------------------------------------------------------------


def test_better_is_withheld_where_only_failures_changed() -> None:
    """Failures that hide false alarms raise F1; on the samples answered by both nothing changed, so nothing is better."""
    comparison = compared(
        ("a", "b"),
        200,
        within({"a": (0, 40)}),
        v1=lambda row: {"a"},
        v2=lambda row: None if row >= 80 else {"a"},
    )
    judgement = judge(comparison)
    (diff,) = judgement.diffs
    for row in (diff.labels[0], diff.averages["macro_f1"], diff.averages["micro_f1"]):
        assert (row.low > 0, row.p_corrected < 0.001) == (True, True)
        assert (row.verdict, row.withheld) == ("inconclusive", True)
    assert verdicts(diff.averages)["coverage"] == "worse"
    assert judgement.best == dict.fromkeys(AVERAGES) | {"coverage": "v1"}


def test_better_stands_where_failures_only_went() -> None:
    """Where no answer became a failure, what rose are answers that were not there before: that is better."""
    comparison = compared(("a",), 200, lambda _: {"a"}, v1=lambda _: None, v2=lambda _: {"a"})
    judgement = judge(comparison)
    assert (judgement.diffs[0].labels[0].verdict, judgement.diffs[0].labels[0].withheld) == ("better", False)


def test_runs_that_answer_nothing_in_common_have_no_better() -> None:
    """Where no sample was answered by both and answers were lost too, a better F1 may come from failures."""
    comparison = compared(
        ("a",),
        200,
        lambda _: {"a"},
        v1=lambda row: None if row else set(),
        v2=lambda row: {"a"} if row else None,
    )
    judgement = judge(comparison)
    assert (judgement.diffs[0].labels[0].verdict, judgement.diffs[0].labels[0].withheld) == ("inconclusive", True)
    assert judgement.diffs[0].averages["coverage"].verdict == "better"
    assert judgement.best["subset_accuracy"] == "v2"


# --- repeats ----------------------------------------------------------------------------------------------------------


def repeated(k: int, answers: Sequence[Labels], least: int = 20) -> Judgement:
    """Return the judgement of two runs of so many equal repeats."""
    samples = [Sample(str(row), {}, frozenset(GOLD(row))) for row in range(240)]
    runs = [
        RunPredictions(f"v{at}", [said(row, answer(row), LABELS, n) for n in range(k) for row in range(240)])
        for at, answer in enumerate(answers, start=1)
    ]
    return judge(compare(space_of(*LABELS), samples, runs), Settings(least_support=least))


def test_repeats_that_are_the_same_say_what_one_says() -> None:
    """Three equal repeats have the intervals, differences and verdicts of one; McNemar's table is of one repeat alone."""
    one, three = (repeated(k, [V1, V2]) for k in (1, 3))
    assert three.diffs[0].mcnemar is None
    for plain, row in zip(one.diffs[0].labels, three.diffs[0].labels, strict=True):
        assert (row.low, row.high, row.standard_error) == pytest.approx((plain.low, plain.high, plain.standard_error))
        assert row.verdict == plain.verdict
    assert verdicts(three.diffs[0].averages) == verdicts(one.diffs[0].averages)
    for plain_run, run in zip(one.runs, three.runs, strict=True):
        for name in AVERAGES:
            assert run.averages[name] == pytest.approx(plain_run.averages[name])


def test_labels_of_repeats_get_exchanges_enough_for_their_correction() -> None:
    """Drawn exchanges cannot give a p-value below 1 in their number: with 400 labels there are more of them."""
    names = [f"l{at}" for at in range(400)]
    samples = [Sample("s", {}, frozenset(names))]
    runs = [
        RunPredictions(name, [Prediction("s", frozenset(names), repeat=repeat) for repeat in range(2)])
        for name in ("v1", "v2")
    ]
    judgement = judge(compare(space_of(*names), samples, runs), Settings(least_support=1, resamples=10))
    assert judgement.settings.permutations == 16_000


# --- where there is little to go by -----------------------------------------------------------------------------------


def test_one_run_has_intervals_alone() -> None:
    """There is nothing to judge of a single run but where its scores may lie."""
    judgement = judge(compared(LABELS, 240, GOLD, v1=V1))
    assert (judgement.diffs, len(judgement.runs)) == ((), 1)
    assert set(judgement.best.values()) == set(judgement.best_labels) == {None}


def test_without_common_samples_nothing_is_said() -> None:
    """No sample: no interval, no p-value, no verdict, and nothing fails."""
    samples = [Sample("1", {}, frozenset("a")), Sample("2", {}, frozenset("a"))]
    runs = [RunPredictions("v1", [Prediction("1", frozenset())]), RunPredictions("v2", [Prediction("2", frozenset())])]
    judgement = judge(compare(space_of("a"), samples, runs))
    (diff,) = judgement.diffs
    assert {row.verdict for row in diff.averages.values()} == {"inconclusive"}
    assert diff.labels[0].verdict == "too few to tell"
    for row in (*diff.averages.values(), *diff.labels):
        assert all(map(math.isnan, (row.delta, row.low, row.high, row.p, row.detectable)))
    assert all(math.isnan(end) for run in judgement.runs for each in run.averages.values() for end in each)


def test_a_run_does_not_differ_from_itself() -> None:
    """Nothing changed: p = 1, [0, 0], and "no worse" where there are samples enough."""
    many, few = (judge(compared(LABELS, n, GOLD, v1=V1, v2=V1)).diffs[0] for n in (240, 140))
    assert {(row.delta, row.low, row.high, row.p) for row in many.averages.values()} == {(0, 0, 0, 1)}
    assert set(verdicts(many.averages).values()) == {"no worse"}
    assert set(verdicts(few.averages).values()) == {"inconclusive"}
    assert [row.verdict for row in many.labels] == ["inconclusive", "inconclusive", "no worse", "too few to tell"]


def test_a_run_in_which_nothing_varies_has_bounds() -> None:
    """All right, or nothing: shares and labels get exact bounds, other averages no interval instead of [1, 1]."""
    gold = within({"a": (0, 150), "b": (50, 100)})
    right, wrong = judge(compared(("a", "b"), 200, gold, v1=gold, v2=lambda _: None)).runs
    unseen = 1 - 0.025 ** (1 / 200)
    for name in ("subset_accuracy", "samples_f1", "coverage"):
        assert right.averages[name] == pytest.approx((1 - unseen, 1))
        assert wrong.averages[name] == pytest.approx((0, unseen))
    for name in stats.F1_AVERAGES:
        assert right.averages[name] == wrong.averages[name] == pytest.approx((NAN, NAN), nan_ok=True)
    for at, cells in enumerate((150, 50)):
        hits = 0.025 ** (1 / cells)
        assert right.labels[at] == pytest.approx((2 * hits / (1 + hits), 1))
        assert wrong.labels[at] == pytest.approx((0, 2 * (1 - hits) / (2 - hits)))


def test_what_cannot_vary_for_another_reason_has_no_interval() -> None:
    """One sample that is half right, in its labels or its repeats: no resample differs, and nothing follows from that."""
    sample = Sample("0", {}, frozenset("ab"))
    answers = [said(0, {"a"}, "ab"), said(0, {"a", "b"}, "ab", repeat=1)]
    (run,) = judge(compare(space_of("a", "b"), [sample], [RunPredictions("v1", answers)])).runs
    assert run.averages["samples_f1"] == run.labels[1] == pytest.approx((NAN, NAN), nan_ok=True)
    assert run.labels[0] == pytest.approx((2 * 0.025 / 1.025, 1))


@pytest.mark.parametrize(
    ("n", "right", "expected"),
    [
        (1, 1, ["1 sample is few: intervals are narrower than they should be, and only large differences can be seen"]),
        (99, 50, ["99 samples are few: intervals are narrower than they should be, and only large differences can be seen"]),
        (100, 50, []),
        (100, 5, []),
        (100, 4, ["v1: fewer than 5 samples are exactly right: the interval of its subset accuracy is too narrow"]),
        (100, 96, ["v1: fewer than 5 samples are not exactly right: the interval of its subset accuracy is too narrow"]),
        (100, 0, ["v1: no sample is exactly right: subset accuracy has a bound from their number as its interval"]),
        (100, 100, ["v1: every sample is exactly right: instead of intervals there are bounds from their number, or none"]),
    ],
)  # fmt: skip
def test_cautions(n: int, right: int, expected: list[str]) -> None:
    """It is said where the intervals do not hold: few samples, and hardly any that is right, or wrong."""
    answer = within({"a": (0, right)})
    found = judge(compared(("a",), n, lambda _: {"a"}, v1=answer), Settings(least_support=1, resamples=10)).cautions
    assert list(found)[: len(expected)] == expected
    assert len(found) == len(expected) + (n == 1)


def caution_of(judgement: Judgement) -> Any:
    """Return the only caution."""
    (found,) = judgement.cautions
    return found


def test_many_rare_labels_are_counted() -> None:
    """Of many rare labels the first are named; a label without support is in no average and in no caution."""
    names = [f"l{at}" for at in range(8)]
    gold = within({name: (0, 5 if name != "l7" else 0) for name in names} | {"l0": (0, 60)})
    judgement = judge(compared(names, 120, gold, v1=within({"l0": (0, 30)})), Settings(resamples=10))
    assert caution_of(judgement) == (
        "macro F1 counts every label alike, those with fewer than 20 gold cells too (l1, l2, l3, l4 and 2 more): "
        "its interval is rough"
    )
