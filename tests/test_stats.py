"""Intervals, tests, corrections and verdicts: against scipy, statsmodels, published values and naive loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from strategies_labels import unhurried

from harness import metrics, stats
from harness.metrics import BoolMatrix, FloatVector
from harness.pairedtests import MOST_EXACT, exchanges
from harness.resampling import weights
from harness.stats import Outcomes, PValues, Repeat

NAN = math.nan


# --- runs, and what they score by `metrics` ---------------------------------------------------------------------------


class Run:
    """Answers of one or more repeats, with what `metrics` says of them."""

    def __init__(self, gold: BoolMatrix, *repeats: tuple[BoolMatrix, BoolMatrix]) -> None:
        self.gold = gold
        self.repeats = [Repeat(*each) for each in repeats]

    @property
    def outcomes(self) -> Outcomes:
        """What `stats` takes."""
        return stats.outcomes(self.gold, self.repeats)

    def at(self, rows: Any) -> Run:
        """Return the run on these samples."""
        return Run(self.gold[rows], *((each.y_pred[rows], each.answered[rows]) for each in self.repeats))

    def scores(self) -> FloatVector:
        """Return the F1 of each label and `stats.AVERAGES`, each the mean over the repeats in which it is defined."""
        rows = [self._scores(*each) for each in self.repeats]
        return np.array(
            [np.mean([x for x in column if not math.isnan(x)] or NAN) for column in zip(*rows, strict=True)]
        )

    def _scores(self, y_pred: BoolMatrix, answered: BoolMatrix) -> list[float]:
        counts = metrics.count(self.gold, y_pred, answered)
        averages = [
            metrics.macro_f1(counts),
            metrics.micro_f1(counts),
            metrics.weighted_f1(counts),
            metrics.samples_f1(self.gold, y_pred, answered),
            metrics.subset_accuracy(self.gold, y_pred, answered),
            float(answered.all(axis=1).mean()) if len(answered) else NAN,
        ]
        return [*metrics.f1(counts).tolist(), *averages]


def drawn(seed: int, n: int, n_labels: int, n_runs: int = 2, repeats: int = 1, errors: float = 0.3) -> list[Run]:
    """Return random runs on the same gold, in which some cells are unanswered."""
    rng = np.random.default_rng(seed)
    gold = rng.random((n, n_labels)) < 0.4

    def repeat() -> tuple[BoolMatrix, BoolMatrix]:
        return gold ^ (rng.random(gold.shape) < errors), rng.random(gold.shape) < 0.95

    return [Run(gold, *(repeat() for _ in range(repeats))) for _ in range(n_runs)]


def exchanged(before: Run, after: Run, swapped: Sequence[int]) -> tuple[Run, Run]:
    """Return the two runs with the answers of some samples exchanged."""
    chosen = np.asarray(swapped, dtype=np.bool_)[:, None]

    def mixed(first: Run, second: Run) -> Run:
        pairs = zip(first.repeats, second.repeats, strict=True)
        return Run(first.gold, *(tuple(np.where(chosen, b, a) for a, b in zip(*pair, strict=True)) for pair in pairs))  # type: ignore[arg-type]

    return mixed(before, after), mixed(after, before)


def flat(p: PValues) -> FloatVector:
    """Return p-values in the order of `Run.scores`."""
    return np.array([*p.labels, *p.averages.values()])


def naive_p(before: Run, after: Run, swaps: Sequence[Sequence[int]], *, drawn_at_random: bool) -> FloatVector:
    """Return the p-values by scoring each exchange of the two runs with `metrics`."""
    observed = np.abs(after.scores() - before.scores())
    hits = np.zeros(len(observed))
    for swapped in swaps:
        one, other = exchanged(before, after, swapped)
        hits += ~(np.abs(other.scores() - one.scores()) < observed - 1e-9)
    p = (1 + hits) / (1 + len(swaps)) if drawn_at_random else hits / len(swaps)
    unsupported = np.concatenate([~before.gold.any(axis=0), np.zeros(len(stats.AVERAGES), np.bool_)])
    return np.where(np.isnan(observed) | unsupported, NAN, p)


# --- outcomes ---------------------------------------------------------------------------------------------------------


def test_outcomes_are_what_each_sample_adds() -> None:
    """Misses (an unanswered gold cell is one), false alarms, and the value of each sample."""
    gold = np.array([[1, 1], [0, 0], [1, 0], [0, 1]], bool)
    y_pred = np.array([[1, 0], [0, 0], [1, 1], [0, 1]], bool)
    answered = np.array([[1, 1], [1, 1], [1, 1], [1, 0]], bool)
    found = stats.outcomes(gold, [Repeat(y_pred, answered)])
    assert (found.n_samples, found.n_labels, found.n_repeats) == (4, 2, 1)
    assert found.missed[0].toarray().tolist() == [[0, 1], [0, 0], [0, 0], [0, 1]]
    assert found.alarms[0].toarray().tolist() == [[0, 0], [0, 0], [0, 1], [0, 0]]
    assert found.per_sample["samples_f1"] == pytest.approx([2 / 3, 1, 2 / 3, 0])
    assert found.per_sample["subset_accuracy"].tolist() == [0, 1, 0, 0]
    assert found.per_sample["coverage"].tolist() == [1, 1, 1, 0]
    assert found.exact[0].tolist() == [False, True, False, False]


def test_outcomes_need_answers_of_the_shape_of_gold() -> None:
    """No repeat, or one of another shape, is an error."""
    gold = np.zeros((2, 3), bool)
    for repeats in ([], [Repeat(gold, gold[:1])]):
        with pytest.raises(
            ValueError, match=r"^answers must have the shape of gold, \(2, 3\), in at least one repeat$"
        ):
            stats.outcomes(gold, repeats)


# --- the bootstrap ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_bootstrap_is_a_loop_over_resamples(repeats: int) -> None:
    """Each replicate is the score of the drawn samples, as `metrics` has it: in all labels and averages, to rounding."""
    runs = drawn(1, n=17, n_labels=3, repeats=repeats)
    found = stats.bootstrap([run.outcomes for run in runs], resamples=40, seed=5)
    (first, counts), *others = weights(17, 40, np.random.default_rng(5))
    assert (first, others) == (0, [])
    for run, replicates in zip(runs, found, strict=True):
        naive = np.array([run.at(np.repeat(np.arange(17), column.astype(int))).scores() for column in counts.T])
        ours = np.column_stack([replicates.labels, *(replicates.averages[name] for name in stats.AVERAGES)])
        np.testing.assert_allclose(ours, naive, atol=1e-12)


def test_blocks_of_resamples_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many resamples are made at once, they are the same."""
    runs = [run.outcomes for run in drawn(2, n=20, n_labels=2)]
    whole = stats.bootstrap(runs, resamples=50)
    monkeypatch.setattr("harness.resampling.CELLS_AT_ONCE", 20 * 7)
    for one, other in zip(whole, stats.bootstrap(runs, resamples=50), strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        for name in stats.AVERAGES:
            np.testing.assert_array_equal(one.averages[name], other.averages[name])


def test_the_percentile_interval_is_that_of_scipy() -> None:
    """`scipy.stats.bootstrap`, given our draws, has the same interval and standard error of a mean over samples."""

    class Draws(np.random.Generator):
        """A generator that draws our resamples."""

        def integers(self, *args: Any, **kwargs: Any) -> Any:
            (_, counts), *_ = weights(60, 400, np.random.default_rng(3))
            return np.array([np.repeat(np.arange(60), column.astype(int)) for column in counts.T])

    before, after = (run.outcomes for run in drawn(3, n=60, n_labels=3))
    old, new = stats.bootstrap([before, after], resamples=400, seed=3)
    for name, change in ((name, after.per_sample[name] - before.per_sample[name]) for name in before.per_sample):
        reference = scipy_stats.bootstrap(
            (change,), np.mean, n_resamples=400, batch=400, method="percentile", rng=Draws(np.random.PCG64())
        )
        replicates = new.averages[name] - old.averages[name]
        assert stats.interval(replicates) == pytest.approx(tuple(reference.confidence_interval), abs=1e-12)
        assert stats.standard_errors(replicates[:, None])[0] == pytest.approx(reference.standard_error, abs=1e-12)


def test_the_standard_error_of_a_share_is_the_textbook_one() -> None:
    """The bootstrap's standard error of subset accuracy is near sqrt(p (1 - p) / n)."""
    gold = np.zeros((400, 1), bool)
    y_pred = np.arange(400)[:, None] < 100
    (found,) = stats.bootstrap([Run(gold, (y_pred, ~gold)).outcomes], resamples=4_000)
    errors = stats.standard_errors(found.averages["subset_accuracy"][:, None])
    assert errors[0] == pytest.approx(math.sqrt(0.75 * 0.25 / 400), rel=0.05)


def test_resamples_in_which_a_score_is_undefined_are_left_out() -> None:
    """An interval needs a value in more than half of the resamples; macro is over the labels that a resample has."""
    few, many = np.array([NAN] * 5 + [1.0, 2, 3, 4, 5]), np.array([NAN] * 4 + [1.0, 2, 3, 4, 5, 6])
    low, high = stats.intervals(np.column_stack([few, many, np.arange(10.0)]), level=0.5)
    assert low.tolist() == pytest.approx([NAN, 2.25, 2.25], nan_ok=True)
    assert high.tolist() == pytest.approx([NAN, 4.75, 6.75], nan_ok=True)
    errors = stats.standard_errors(np.column_stack([few, many]))
    assert errors.tolist() == pytest.approx([NAN, math.sqrt(3.5)], nan_ok=True)
    assert math.isnan(stats.standard_errors(np.ones((1, 1)))[0])

    gold = np.zeros((30, 2), bool)
    gold[:15, 0] = gold[0, 1] = True
    (found,) = stats.bootstrap([Run(gold, (gold & [True, False], np.ones_like(gold))).outcomes])
    assert np.isnan(found.labels[:, 1]).any()
    assert set(found.averages["macro_f1"].tolist()) == {0.5, 1.0}


def test_no_samples_have_no_replicates() -> None:
    """Without samples nothing is defined, and nothing fails."""
    empty = np.zeros((0, 2), bool)
    run = Run(empty, (empty, empty)).outcomes
    (found,) = stats.bootstrap([run], resamples=3)
    assert np.isnan([found.labels[:, 0], *found.averages.values()]).all()
    assert stats.interval(found.averages["macro_f1"]) == pytest.approx((NAN, NAN), nan_ok=True)
    p = stats.sign_swap(run, run)
    assert np.isnan(flat(p)).all()


def test_detectable_is_what_80_percent_power_needs() -> None:
    """2.8 standard errors: of a normal difference that large, a two-sided test at 5 % finds 80 %. Without one, unknown."""
    assert stats.detectable(0.01) == pytest.approx(0.028)
    assert math.isnan(stats.detectable(0.0))
    normal = scipy_stats.norm
    assert normal.ppf(0.975) + normal.ppf(0.8) == pytest.approx(stats.detectable(1), abs=0.002)


@given(st.integers(1, 500), st.sampled_from([0.9, 0.95, 0.99]))
def test_what_never_varied_has_the_exact_interval(n: int, level: float) -> None:
    """All or none of n: the interval is that of Clopper and Pearson."""
    for hits, share in ((0, 0), (n, 1)):
        reference = scipy_stats.binomtest(hits, n).proportion_ci(level, method="exact")
        assert stats.unvarying(share, n, level) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_what_was_never_seen_is_unknown() -> None:
    """Of no trial nothing can be said; of 100 without a failure, failures are at most 3.6 %."""
    assert stats.unvarying(1, 0) == pytest.approx((NAN, NAN), nan_ok=True)
    assert stats.unvarying(0, 100) == pytest.approx((0, 0.0362), abs=1e-4)


# --- the sign-swap test -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_all_exchanges_are_a_loop_over_all_of_them(seed: int) -> None:
    """With few samples that differ, every p-value is the share of all 2 ** n exchanges, scored by `metrics`."""
    before, after = drawn(seed, n=8, n_labels=3)
    p = stats.sign_swap(before.outcomes, after.outcomes)
    assert p.exact
    every = list(itertools.product((0, 1), repeat=8))
    np.testing.assert_allclose(flat(p), naive_p(before, after, every, drawn_at_random=False), atol=1e-12)


def test_random_exchanges_are_a_loop_over_them() -> None:
    """With many samples that differ, averages are tested on random exchanges, scored as `metrics` scores them."""
    before, after = drawn(11, n=60, n_labels=2, errors=0.5)
    p = stats.sign_swap(before.outcomes, after.outcomes, permutations=300, seed=4)
    assert not p.exact
    (swaps,) = exchanges(moved(before, after).sum(), 300, False, np.random.default_rng(4))
    every = np.zeros((300, 60), int)
    every[:, moved(before, after)] = swaps.T
    naive = naive_p(before, after, every.tolist(), drawn_at_random=True)
    np.testing.assert_allclose(flat(p)[2:6], naive[2:6], atol=1e-12)


def test_random_exchanges_of_repeats_exchange_all_repeats_of_a_sample() -> None:
    """Of several repeats the summed counts are compared, those of labels too."""
    before, after = drawn(12, n=40, n_labels=2, repeats=2, errors=0.4)
    p = stats.sign_swap(before.outcomes, after.outcomes, permutations=200, seed=9)
    differ = moved(before, after)
    (swaps,) = exchanges(differ.sum(), 200, False, np.random.default_rng(9))

    def pooled(one: Run, other: Run) -> FloatVector:
        """Return the differences of the F1 of the counts of both repeats together."""
        whole = [np.concatenate(each) for each in zip(*one.repeats, strict=True)]
        rest = [np.concatenate(each) for each in zip(*other.repeats, strict=True)]
        gold = np.concatenate([one.gold] * 2)
        return Run(gold, (rest[0], rest[1])).scores()[:5] - Run(gold, (whole[0], whole[1])).scores()[:5]

    observed, hits = np.abs(pooled(before, after)), np.zeros(5)
    for column in swaps.T:
        swapped = np.zeros(40, int)
        swapped[differ] = column
        hits += np.abs(pooled(*exchanged(before, after, swapped.tolist()))) >= observed - 1e-9
    np.testing.assert_allclose(flat(p)[:5], (1 + hits) / 201, atol=1e-12)


def moved(before: Run, after: Run) -> Any:
    """Return the samples of which a count or a value differs."""
    one, other = before.outcomes, after.outcomes
    gaps = [
        sum(b.toarray() for b in getattr(other, name)) - sum(a.toarray() for a in getattr(one, name))
        for name in ("missed", "alarms")
    ]
    means = np.array([other.per_sample[name] - one.per_sample[name] for name in one.per_sample]).T
    return (np.column_stack([*gaps, means]) != 0).any(axis=1)


@pytest.mark.parametrize("name", ["samples_f1", "subset_accuracy", "coverage"])
def test_means_over_samples_are_tested_as_scipy_does(name: str) -> None:
    """The exact p-value of a mean is that of `permutation_test` with every exchange of every pair."""
    before, after = (run.outcomes for run in drawn(5, n=11, n_labels=2))
    reference = scipy_stats.permutation_test(
        (after.per_sample[name], before.per_sample[name]),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        n_resamples=2**11,
        vectorized=True,
    )
    assert stats.sign_swap(before, after).averages[name] == pytest.approx(reference.pvalue, abs=1e-12)


def test_a_label_has_its_exact_p_value_however_many_samples_differ() -> None:
    """With 400 samples the p-value of a label is that of all exchanges of its contested cells, by their binomials."""
    before, after = drawn(21, n=400, n_labels=3, errors=0.25)
    p = stats.sign_swap(before.outcomes, after.outcomes, permutations=10)
    assert not p.exact
    for label in range(3):
        assert p.labels[label] == pytest.approx(by_binomials(before, after, label), abs=1e-12)


def by_binomials(before: Run, after: Run, label: int) -> float:
    """Return the exact p-value of a label's F1 by a loop over how its contested cells may fall."""
    gold, (old, new) = (
        before.gold[:, label],
        ((run.repeats[0][0] & run.repeats[0][1])[:, label] for run in (before, after)),
    )
    both_hit, both_alarm = (int(np.sum(old & new & of)) for of in (gold, ~gold))
    n_hits, n_alarms = (int(np.sum((old ^ new) & of)) for of in (gold, ~gold))

    def gap(k: int, m: int) -> float:
        def f1(hits: int, alarms: int) -> float:
            return 2 * hits / (int(gold.sum()) + hits + alarms)

        return f1(both_hit + n_hits - k, both_alarm + n_alarms - m) - f1(both_hit + k, both_alarm + m)

    observed = abs(gap(int(np.sum(old & ~new & gold)), int(np.sum(old & ~new & ~gold))))
    chances = (scipy_stats.binom(n, 0.5).pmf(range(n + 1)) for n in (n_hits, n_alarms))
    table = np.outer(*chances)
    return float(sum(table[k, m] for k, m in np.ndindex(table.shape) if abs(gap(k, m)) >= observed - 1e-9))


def test_single_and_double_precision_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchanges of many samples are summed in single precision, which changes no p-value."""
    before, after = (run.outcomes for run in drawn(6, n=300, n_labels=3, repeats=2))
    double = stats.sign_swap(before, after, permutations=400)
    monkeypatch.setattr("harness.pairedtests.MOST_IN_DOUBLE", 10)
    np.testing.assert_array_equal(flat(stats.sign_swap(before, after, permutations=400)), flat(double))


def test_exchanges_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block has whole bytes of bits, and all of them together are as many exchanges as were asked for."""
    monkeypatch.setattr("harness.pairedtests.CELLS_AT_ONCE", 20 * 30)
    sizes = [block.shape for block in exchanges(20, 100, False, np.random.default_rng(0))]
    assert sizes == [(20, 32), (20, 32), (20, 32), (20, 4)]
    (every,) = exchanges(3, 100, True, np.random.default_rng(0))
    assert sorted(map(tuple, every.T.tolist())) == list(itertools.product((0, 1), repeat=3))


def test_an_exchange_that_leaves_a_score_undefined_speaks_for_no_difference() -> None:
    """Without gold micro F1 is 0 or 0/0: runs that both have false alarms do not differ in it, whatever is exchanged."""
    gold = np.zeros((2, 1), bool)
    one, other = np.array([[True], [False]]), np.array([[False], [True]])
    p = stats.sign_swap(Run(gold, (one, ~gold)).outcomes, Run(gold, (other, ~gold)).outcomes)
    assert p.averages["micro_f1"] == 1.0
    assert math.isnan(p.averages["macro_f1"])
    assert math.isnan(p.labels[0])


def test_runs_on_other_samples_are_refused() -> None:
    """Both runs must be about the same number of samples and labels."""
    (one,), (other,) = (drawn(1, n, 2, n_runs=1) for n in (3, 4))
    with pytest.raises(ValueError, match=r"^runs must be on the same samples, got \(3, 2\) and \(4, 2\)$"):
        stats.sign_swap(one.outcomes, other.outcomes)


def test_a_p_value_is_never_0() -> None:
    """However clear a difference is, its p-value is above 0."""
    gold = np.ones((3_000, 1), bool)
    p = stats.sign_swap(Run(gold, (~gold, gold)).outcomes, Run(gold, (gold, gold)).outcomes, permutations=99)
    assert 0 < p.labels[0] < 1e-300
    assert p.averages["macro_f1"] == pytest.approx(1 / 100)
    assert 0 < stats.mcnemar(3_000, 0) < 1e-300


# --- McNemar ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_that_of_statsmodels_and_scipy(lost: int, won: int) -> None:
    """The exact p-value is statsmodels' and the binomial test's, to 1e-12."""
    found = stats.mcnemar(lost, won)
    assert found == pytest.approx(
        reference_mcnemar([[0, lost], [won, 0]], exact=True).pvalue if lost + won else 1, abs=1e-12
    )
    assert found == pytest.approx(scipy_stats.binomtest(lost, lost + won).pvalue if lost + won else 1, abs=1e-12)
    assert found == stats.mcnemar(won, lost)


@pytest.mark.parametrize(("few", "n", "tail"), [(7, 25, 0.022), (5, 20, 0.021), (1, 10, 0.011), (3, 15, 0.018)])
def test_mcnemar_has_the_published_tail_of_the_binomial(few: int, n: int, tail: float) -> None:
    """Twice the one-tailed probabilities of Siegel 1956, table D."""
    assert stats.mcnemar(few, n - few) / 2 == pytest.approx(tail, abs=5e-4)


def test_mcnemar_is_no_test_of_f1() -> None:
    """10 labels found and 10 false alarms more: accuracy stays, p = 1, while F1 rises from .53 to .72."""
    gold = np.arange(100)[:, None] < 20
    before = np.arange(100)[:, None] < 8  # 8 of 20 found
    before[-2:] = True  # and 2 false alarms
    after = before.copy()
    after[8:18] = after[-12:-2] = True
    one, other = (Run(gold, (each, np.ones_like(gold))) for each in (before, after))
    assert [one.scores()[0], other.scores()[0]] == pytest.approx([16 / 30, 36 / 50])
    p = stats.sign_swap(one.outcomes, other.outcomes)
    assert p.averages["subset_accuracy"] == stats.mcnemar(10, 10) == 1.0
    assert p.labels[0] == pytest.approx(by_binomials(one, other, 0), abs=1e-12)
    assert p.labels[0] == pytest.approx(0.12, abs=5e-4)


# --- Holm -------------------------------------------------------------------------------------------------------------


def test_holm_has_the_published_values() -> None:
    """The example of four p-values that Wikipedia gives for the Holm-Bonferroni method."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("n", [1, 2, 5, 28, 230])
def test_holm_is_that_of_statsmodels(n: int) -> None:
    """Corrected p-values are statsmodels', to 1e-12, ties among them; none is below what it was."""
    p = np.random.default_rng(n).beta(0.3, 2.0, n).round(3)
    found = stats.holm(p)
    np.testing.assert_allclose(found, multipletests(p, method="holm")[1], atol=1e-12)
    assert (found >= p).all()


def test_what_is_no_test_does_not_count() -> None:
    """NaN stays NaN and makes no other p-value larger; shape is kept; of nothing there is nothing."""
    assert stats.holm([NAN, 0.02, NAN, 0.03]).tolist() == pytest.approx([NAN, 0.04, NAN, 0.04], nan_ok=True)
    found = stats.holm(np.array([[0.01, 0.5], [NAN, 0.02]]))
    assert found.tolist()[0] == pytest.approx([0.03, 0.5])
    assert found.tolist()[1] == pytest.approx([NAN, 0.04], nan_ok=True)
    assert stats.holm([]).size == 0


# --- verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "p", "size", "expected"),
    [
        (0.01, 0.05, 0.05, 1000, "better"),
        (0.01, 0.05, 0.051, 1000, "no worse"),
        (0.0, 0.05, 0.01, 1000, "no worse"),  # the interval does not leave out 0
        (-0.05, -0.01, 0.05, 1000, "worse"),
        (-0.05, -0.01, 0.051, 1000, "inconclusive"),
        (-0.015, -0.01, 0.01, 1000, "worse"),  # less than the margin, and real
        (-0.015, 0.05, 0.5, 1000, "no worse"),
        (-0.02, 0.05, 0.5, 1000, "inconclusive"),
        (-0.0195, 0.05, 0.5, 1000, "inconclusive"),  # with one more sample lost it would reach the margin
        (0.0, 0.0, 1.0, 150, "no worse"),
        (0.0, 0.0, 1.0, 149, "inconclusive"),  # nothing seen in so few proves nothing
        (0.0, 0.0, 1.0, 0, "inconclusive"),
        (NAN, 0.1, 0.01, 1000, "inconclusive"),
        (0.1, NAN, 0.01, 1000, "inconclusive"),
        (0.1, 0.2, NAN, 1000, "inconclusive"),
    ],
)
def test_verdicts(low: float, high: float, p: float, size: float, expected: str) -> None:
    """What is said follows from the interval, the corrected p-value and how many samples there are."""
    assert stats.verdict(low, high, p, size=size) == expected


def test_the_margin_and_the_level_are_the_users() -> None:
    """A wider margin needs fewer samples; a stricter level needs a smaller p."""
    assert stats.verdict(-0.03, 0.04, 1.0, size=100, margin=0.05) == "no worse"
    assert stats.verdict(-0.03, 0.04, 1.0, size=59, margin=0.05) == "inconclusive"
    assert stats.verdict(0.01, 0.04, 0.02, size=100, alpha=0.01) == "inconclusive"


def test_the_examples_of_the_page_hold() -> None:
    """What docs/statistics.md calculates by hand."""
    assert stats.mcnemar(2, 9) == pytest.approx(134 / 2048)
    assert stats.unvarying(1, 200).low == pytest.approx(0.982, abs=5e-4)
    hits = stats.unvarying(1, 50).low
    assert [hits, 2 * hits / (1 + hits)] == pytest.approx([0.929, 0.963], abs=5e-4)
    assert stats.detectable(math.sqrt(48 - 6**2 / 240) / 240) == pytest.approx(0.081, abs=5e-4)
    gold = np.arange(40)[:, None] < 30
    for more, p in ((3, 2 / 8), (5, 2 / 32), (6, 2 / 64), (20, 2 / 2**20)):
        before, after = (np.arange(40)[:, None] < found for found in (5, 5 + more))
        one, other = (Run(gold, (each, np.ones_like(gold))).outcomes for each in (before, after))
        assert stats.sign_swap(one, other, permutations=9).labels[0] == pytest.approx(p)


# --- properties -------------------------------------------------------------------------------------------------------


@st.composite
def pairs(draw: st.DrawFn, max_samples: int = 9, repeats: int = 1) -> tuple[Run, Run]:
    """Draw two runs on the same gold."""
    shape = (draw(st.integers(1, max_samples)), draw(st.integers(1, 4)))
    cells: Any = hnp.arrays(np.bool_, shape)
    gold = draw(cells)
    answered = cells if draw(st.booleans()) else st.just(np.ones(shape, np.bool_))
    one, other = (Run(gold, *((draw(cells), draw(answered)) for _ in range(repeats))) for _ in range(2))
    return one, other


def p_of(pair: tuple[Run, Run], **more: Any) -> FloatVector:
    """Return the p-values of a pair."""
    return flat(stats.sign_swap(pair[0].outcomes, pair[1].outcomes, **more))


@unhurried
@given(pairs())
def test_exchanging_the_runs_keeps_p_and_negates_the_difference(pair: tuple[Run, Run]) -> None:
    """Both tests are two-sided; replicates of the way back are those of the way there with the other sign."""
    np.testing.assert_allclose(p_of(pair), p_of(pair[::-1]), atol=1e-12)
    there, back = (stats.bootstrap([run.outcomes for run in runs], 20) for runs in (pair, pair[::-1]))
    np.testing.assert_array_equal(there[1].labels - there[0].labels, -(back[1].labels - back[0].labels))


@unhurried
@given(pairs(), st.randoms(use_true_random=False))
def test_order_of_samples_and_labels_changes_no_exact_test(pair: tuple[Run, Run], random: Any) -> None:
    """Samples in another order give the same p-values, labels in another order the same in that order."""
    n, n_labels = pair[0].gold.shape
    rows, columns = random.sample(range(n), n), random.sample(range(n_labels), n_labels)
    plain = p_of(pair)
    np.testing.assert_allclose(p_of((pair[0].at(rows), pair[1].at(rows))), plain, atol=1e-12)
    turned = p_of((pair[0].at(np.ix_(range(n), columns)), pair[1].at(np.ix_(range(n), columns))))
    np.testing.assert_allclose(turned, [*plain[columns], *plain[n_labels:]], atol=1e-12)


@unhurried
@given(pairs())
def test_a_label_that_is_there_twice_has_the_same_p_twice(pair: tuple[Run, Run]) -> None:
    """A copy of a label changes no p-value of a label, nor of an average over all labels when all are copied."""
    n, n_labels = pair[0].gold.shape
    twice = [*range(n_labels)] * 2
    doubled = p_of((pair[0].at(np.ix_(range(n), twice)), pair[1].at(np.ix_(range(n), twice))))
    plain = p_of(pair)
    np.testing.assert_allclose(doubled, [*plain[:n_labels], *plain], atol=1e-12)


@unhurried
@given(pairs())
def test_samples_that_both_answer_alike_change_no_test_of_a_mean(pair: tuple[Run, Run]) -> None:
    """More samples on which the runs agree leave every exchange of the others as extreme as it was."""
    n = len(pair[0].gold)
    alike = [Run(np.concatenate([run.gold, run.gold]), *more) for run, more in zip(pair, padded(pair), strict=True)]
    plain, longer = p_of(pair), p_of((alike[0], alike[1]))
    np.testing.assert_allclose(longer[-3:], plain[-3:], atol=1e-12)
    assert len(alike[0].gold) == 2 * n


def padded(pair: tuple[Run, Run]) -> list[list[tuple[BoolMatrix, BoolMatrix]]]:
    """Return the answers of both runs, followed by those of the first."""
    first = pair[0].repeats[0]
    return [
        [(np.concatenate([each.y_pred, first.y_pred]), np.concatenate([each.answered, first.answered]))]
        for each in (pair[0].repeats[0], pair[1].repeats[0])
    ]


@unhurried
@given(pairs(max_samples=30))
def test_p_values_are_probabilities(pair: tuple[Run, Run]) -> None:
    """Every p-value is above 0 and at most 1; it is NaN just where the difference is, or a label has no support."""
    p, gap = p_of(pair, permutations=50), pair[1].scores() - pair[0].scores()
    assert ((p > 0) & (p <= 1))[~np.isnan(p)].all()
    n_labels = pair[0].gold.shape[1]
    np.testing.assert_array_equal(np.isnan(p[n_labels:]), np.isnan(gap[n_labels:]))
    np.testing.assert_array_equal(np.isnan(p[:n_labels]), ~pair[0].gold.any(axis=0))


@unhurried
@given(pairs(max_samples=30))
def test_a_run_does_not_differ_from_itself(pair: tuple[Run, Run]) -> None:
    """Against itself every p-value is 1 and every interval of the difference is [0, 0]."""
    p = p_of((pair[0], pair[0]))
    assert (p[~np.isnan(p)] == 1).all()
    one, other = stats.bootstrap([pair[0].outcomes] * 2, 20)
    assert np.nan_to_num(one.labels - other.labels).max() == 0


@unhurried
@given(pairs(max_samples=30))
def test_scores_stay_in_their_range(pair: tuple[Run, Run]) -> None:
    """All replicates are in [0, 1], ends of intervals are in order, and standard errors are at least 0."""
    for run in stats.bootstrap([each.outcomes for each in pair], 30):
        values = np.column_stack([run.labels, *run.averages.values()])
        defined = values[~np.isnan(values)]
        assert ((defined >= 0) & (defined <= 1 + 1e-12)).all()
        low, high = stats.intervals(values)
        assert (low <= high)[~np.isnan(low)].all()
        errors = stats.standard_errors(values)
        assert (errors >= 0)[~np.isnan(errors)].all()


@unhurried
@given(pairs(), st.integers(2, 4))
def test_repeats_that_are_the_same_are_one(pair: tuple[Run, Run], k: int) -> None:
    """K equal repeats have the replicates and the exact p-values of one, also against a run of another number."""
    repeated = [Run(run.gold, *(run.repeats * k)) for run in pair]
    plain = p_of(pair)
    np.testing.assert_allclose(p_of((repeated[0], repeated[1])), plain, atol=1e-9)
    np.testing.assert_allclose(p_of((pair[0], repeated[1])), plain, atol=1e-9)
    for one, other in zip(
        *(stats.bootstrap([run.outcomes for run in runs], 20) for runs in (pair, repeated)), strict=True
    ):
        np.testing.assert_allclose(one.labels, other.labels, atol=1e-12)
        for name in stats.AVERAGES:
            np.testing.assert_allclose(one.averages[name], other.averages[name], atol=1e-12)


def test_the_seed_decides() -> None:
    """The same seed gives the same bytes, another seed other draws."""
    before, after = (run.outcomes for run in drawn(8, n=100, n_labels=3))
    assert MOST_EXACT < 100

    def bytes_of(seed: int) -> bytes:
        p = flat(stats.sign_swap(before, after, permutations=200, seed=seed))
        return p.tobytes() + stats.bootstrap([before], 50, seed)[0].labels.tobytes()

    assert bytes_of(1) == bytes_of(1)
    assert bytes_of(1) != bytes_of(2)
