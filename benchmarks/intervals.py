"""Do the intervals, tests and verdicts of `harness compare` keep what they promise? By simulation.

    python benchmarks/intervals.py [--trials 200] [--only coverage|alarms|margin|power]

A large fixed population of label vectors, with two models' answers whose errors are correlated, stands for all texts
there are; its scores are the truth. A trial draws n samples from it, as a sample set would be, and asks the code of
`harness` about them. 95 % intervals should hold the truth in 95 % of the trials; a test at 5 % should see a difference
where there is none in at most 5 %; a true difference of the size called detectable should be found in 80 %.

With 1,000 trials a printed share of 95 % or 5 % has a standard error of 0.7 points, one of 80 % of 1.3; what is said
of labels is the mean of many and has less.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from harness import metrics, stats
from harness.comparison import RunPredictions, compare
from harness.labelspace import Label, LabelSpace
from harness.metrics import BoolMatrix, FloatVector
from harness.records import Prediction, Sample
from harness.significance import JUDGED, JudgedDiff, Settings, judge

POPULATION = 200_000
SIZES = (30, 50, 100, 300, 1000)
SUPPORTS = (1, 5, 10, 20, 50, 100, 200, 10_000)
SHOWN = ("macro_f1", "micro_f1", "weighted_f1", "samples_f1", "subset_accuracy")


# --- populations ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """A kind of task.

    Attributes:
        prevalences: How frequent each label is.
        missed: By model, the log-odds of missing a gold cell, before what makes texts and cells hard.
        alarms: By model, the log-odds of a false alarm, relative to the label's prevalence.
        losses: Where not 0, the second model is the first but for this share of its exactly right samples, which get one
            more error: all that differs is a loss.
        blind: A coin decides for every sample drawn which model is called the first: there is no difference at all.
    """

    name: str
    prevalences: tuple[float, ...]
    missed: tuple[float, float] = (-1.0, -1.2)
    alarms: tuple[float, float] = (-1.0, -1.1)
    losses: float = 0.0
    blind: bool = False


EVEN = Scenario("8 labels, 12-40 %", tuple(np.linspace(0.12, 0.4, 8)))
TAIL = Scenario("28 labels, 0.5-30 %", tuple(np.geomspace(0.3, 0.005, 28)))
SCENARIOS = (EVEN, TAIL)


class Population(NamedTuple):
    """Gold and two models' answers, each of shape (POPULATION, n_labels), and what they score: averages, then labels."""

    gold: BoolMatrix
    answers: tuple[BoolMatrix, BoolMatrix]
    truth: FloatVector

    @property
    def difference(self) -> FloatVector:
        """Return the true differences of the second model to the first."""
        gap: FloatVector = self.truth[1] - self.truth[0]
        return gap


@cache
def population(scenario: Scenario) -> Population:
    """Return the population of a scenario, the same every time."""
    rng = np.random.default_rng(20_240_607)
    shape = (POPULATION, len(scenario.prevalences))
    prevalence = np.array(scenario.prevalences)
    richness = rng.gamma(4.0, 0.25, size=(POPULATION, 1))  # some texts are about many things
    gold = rng.random(shape) < np.minimum(prevalence * richness, 0.95)
    hard = rng.normal(0.0, 0.7, size=(POPULATION, 1)) + rng.normal(0.0, 0.7, size=shape)  # for both models
    by_label = np.linspace(-0.6, 0.6, shape[1])
    answers = []
    for missed, alarms in zip(scenario.missed, scenario.alarms, strict=True):
        own = hard + by_label + rng.logistic(size=shape)
        quiet = np.log(prevalence) + alarms
        answers.append(np.where(gold, own + missed < 0, own + quiet > 0))
    first, second = answers
    if scenario.losses:
        second = first.copy()
        unlucky = np.flatnonzero((gold == first).all(axis=1) & (rng.random(POPULATION) < scenario.losses))
        second[unlucky, rng.integers(0, shape[1], len(unlucky))] ^= True
    return Population(gold, (first, second), np.stack([scores(gold, first), scores(gold, second)]))


def scores(gold: BoolMatrix, answers: BoolMatrix) -> FloatVector:
    """Return the averages of `SHOWN`, then the F1 of the labels."""
    counts = metrics.count(gold, answers)
    averages = metrics.averages(gold, answers)
    return np.array([*(getattr(averages, name) for name in SHOWN), *metrics.f1(counts)])


def drawn(scenario: Scenario, n: int, rng: np.random.Generator) -> tuple[BoolMatrix, BoolMatrix, BoolMatrix]:
    """Return gold and both answers of n samples drawn from a population."""
    of, rows = population(scenario), rng.integers(0, POPULATION, n)
    first, second = of.answers[0][rows], of.answers[1][rows]
    if scenario.blind:
        exchanged = rng.random((n, 1)) < 0.5
        first, second = np.where(exchanged, second, first), np.where(exchanged, first, second)
    return of.gold[rows], first, second


def tuned(make: Callable[[float], Scenario], score: str, goal: float, low: float, high: float) -> Scenario:
    """Return the scenario in which the true difference of a score is as wanted; it rises from ``low`` to ``high``."""
    for _ in range(14):
        middle = (low + high) / 2
        if population.__wrapped__(make(middle)).difference[SHOWN.index(score)] < goal:
            low = middle
        else:
            high = middle
    return make((low + high) / 2)


# --- intervals --------------------------------------------------------------------------------------------------------


class Held(NamedTuple):
    """Whether each interval held the truth: of the first model, and of the difference; shape (trials, scores).

    Attributes:
        support: Of each label in each trial.
    """

    single: FloatVector
    difference: FloatVector
    support: FloatVector


def coverage(scenario: Scenario, n: int, seed: int, trials: int) -> Held:
    """Return which intervals held the truth; NaN where there is no interval."""
    of, rng = population(scenario), np.random.default_rng([seed, n])
    found: list[list[FloatVector]] = [[], [], []]
    for trial in range(trials):
        gold, first, second = drawn(scenario, n, rng)
        answered = np.ones_like(gold)
        runs = [stats.outcomes(gold, [stats.Repeat(each, answered)]) for each in (first, second)]
        columns = [
            np.column_stack([*(each.averages[name] for name in SHOWN), each.labels])
            for each in stats.bootstrap(runs, seed=trial)
        ]
        for values, truth, into in (
            (columns[0], of.truth[0], found[0]),
            (columns[1] - columns[0], of.difference, found[1]),
        ):
            low, high = stats.intervals(values)
            into.append(np.where(np.isnan(low), np.nan, (low <= truth) & (truth <= high)))
        found[2].append(gold.sum(axis=0))
    return Held(*(np.array(each, dtype=np.float64) for each in found))


# --- false alarms and power -------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What was said of the difference of two models in one trial.

    Attributes:
        p: Of `JUDGED`, uncorrected.
        labels: p-values of the labels with enough support, uncorrected.
        verdicts: Of `JUDGED`.
        label_verdicts: Of the labels.
        detectable: Of `JUDGED`.
    """

    p: list[float]
    labels: list[float]
    verdicts: list[str]
    label_verdicts: list[str]
    detectable: list[float]


def seen(scenario: Scenario, n: int, seed: int, trials: int) -> list[Seen]:
    """Return what `harness.significance` says of two models in each trial, from samples and predictions on."""
    rng = np.random.default_rng([seed, n])
    names = [f"l{at}" for at in range(len(scenario.prevalences))]
    space = LabelSpace(tuple(map(Label, names)))

    def sets(rows: BoolMatrix) -> list[frozenset[str]]:
        return [frozenset(names[at] for at in np.flatnonzero(row)) for row in rows]

    found = []
    for trial in range(trials):
        gold, first, second = drawn(scenario, n, rng)
        samples = [Sample(str(at), {}, labels) for at, labels in enumerate(sets(gold))]
        runs = [
            RunPredictions(name, [Prediction(str(at), labels) for at, labels in enumerate(sets(answers))])
            for name, answers in (("first", first), ("second", second))
        ]
        diff: JudgedDiff = judge(compare(space, samples, runs), Settings(seed=trial, permutations=1_000)).diffs[0]
        judged = [diff.averages[name] for name in JUDGED]
        found.append(
            Seen(
                p=[each.p for each in judged],
                labels=[each.p for each in diff.labels if not math.isnan(each.p_corrected)],
                verdicts=[each.verdict for each in judged],
                label_verdicts=[each.verdict for each in diff.labels],
                detectable=[each.detectable for each in judged],
            )
        )
    return found


def said(trials: Sequence[Seen], score: str, *words: str) -> float:
    """Return the share of the trials in which the verdict of a score was one of these words."""
    at = JUDGED.index(score)
    return sum(each.verdicts[at] in words for each in trials) / len(trials)


def significant(trials: Sequence[Seen], score: str) -> float:
    """Return the share of the trials in which p was at most 5 %, uncorrected."""
    at = JUDGED.index(score)
    return sum(each.p[at] <= stats.ALPHA for each in trials) / len(trials)


# --- tables -----------------------------------------------------------------------------------------------------------


def coverage_tables(pool: ProcessPoolExecutor, trials: int) -> None:
    """Print how many intervals held the truth: averages by number of samples, labels by support."""
    tasks = [(scenario, n, 1, trials) for scenario in SCENARIOS for n in SIZES]
    results = list(pool.map(coverage, *zip(*tasks, strict=True)))
    for title, field in (("intervals of a run", "single"), ("intervals of a difference", "difference")):
        heading(f"Coverage in %: {title}", "labels", "samples", *SHOWN)
        for (scenario, n, *_), held in zip(tasks, results, strict=True):
            row(scenario.name, n, *np.nanmean(getattr(held, field)[:, : len(SHOWN)], axis=0))
    heading("Coverage in %: F1 of a label, all of the above", "support", "intervals", "of a run", "of a difference")
    support = np.concatenate([held.support.ravel() for held in results])
    single = np.concatenate([held.single[:, len(SHOWN) :].ravel() for held in results])
    difference = np.concatenate([held.difference[:, len(SHOWN) :].ravel() for held in results])
    for low, high in itertools.pairwise(SUPPORTS):
        chosen = (support >= low) & (support < high)
        span = f"{low}-{high - 1}" if high < SUPPORTS[-1] else f"{low} and more"
        row(span, int(chosen.sum()), np.nanmean(single[chosen]), np.nanmean(difference[chosen]))


def alarm_tables(pool: ProcessPoolExecutor, trials: int) -> None:
    """Print how often a difference was seen where there is none."""
    tasks = [(replace(scenario, blind=True), n, 2, trials) for scenario in SCENARIOS for n in SIZES[1:]]
    heading(
        "False alarms in %: two models that are the same but for their names",
        *("labels", "samples", "macro_f1 p", "micro_f1 p", "subset p", "a label p", "macro_f1", "any label"),
    )
    for (scenario, n, *_), found in zip(tasks, pool.map(seen, *zip(*tasks, strict=True)), strict=True):
        labels = [p <= stats.ALPHA for each in found for p in each.labels]
        any_label = [not {"better", "worse"}.isdisjoint(each.label_verdicts) for each in found]
        shares = [significant(found, name) for name in JUDGED]
        shares += [float(np.mean(labels)), said(found, "macro_f1", "better", "worse"), float(np.mean(any_label))]
        row(scenario.name, n, *shares)
    careful = replace(EVEN, missed=(-0.6, -1.6), alarms=(-1.6, 0.0))
    even = tuned(lambda alarms: replace(careful, alarms=(-1.6, -alarms)), "macro_f1", 0.0, -1.0, 2.0)
    heading(
        "False alarms in %: equal macro F1, one model precise, the other one eager", "labels", "samples", "macro_f1 p"
    )
    tasks = [(even, n, 3, trials) for n in SIZES[2:]]
    for (scenario, n, *_), found in zip(tasks, pool.map(seen, *zip(*tasks, strict=True)), strict=True):
        row(scenario.name, n, significant(found, "macro_f1"))


def margin_tables(pool: ProcessPoolExecutor, trials: int) -> None:
    """Print how often "no worse" was said of a model that is worse by just the margin."""
    worse = tuned(lambda better: replace(EVEN, missed=(-1.0, -1 - better)), "micro_f1", -stats.MARGIN, -1.0, 0.5)
    lossy = tuned(lambda kept: replace(EVEN, losses=1 - kept), "subset_accuracy", -stats.MARGIN, 0.5, 0.9999)
    heading(f'"No worse" in % of a model that is worse by {stats.MARGIN}', "the second model", "samples", "no worse")
    tasks = [(scenario, n, 4, trials) for scenario in (worse, lossy) for n in (200, 300)]
    for (scenario, n, *_), found in zip(tasks, pool.map(seen, *zip(*tasks, strict=True)), strict=True):
        name, score = ("only loses", "subset_accuracy") if scenario.losses else ("errs elsewhere", "micro_f1")
        row(name, n, said(found, score, "no worse"))


def power_tables(pool: ProcessPoolExecutor, trials: int) -> None:
    """Print how often a true difference of the size called detectable was found."""
    heading("Power in % at the difference called detectable", "score", "samples", "detectable", "p <= 5 %", "better")
    for n in (300,):
        for score in ("macro_f1", "micro_f1"):
            pilot = np.array([each.detectable for each in seen(EVEN, n, 5, 50)])
            size = float(pilot[:, JUDGED.index(score)].mean())
            real = tuned(
                lambda better: replace(EVEN, missed=(-1.0, -1 - better), alarms=(-1.0, -1.0)), score, size, 0, 2
            )
            parts = pool.map(seen, [real] * 2, [n] * 2, (6, 7), [trials // 2] * 2)
            found = [each for part in parts for each in part]
            row(score, n, f"{size:.3f}", significant(found, score), said(found, score, "better"))


def heading(title: str, *columns: str) -> None:
    """Print the head of a Markdown table."""
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|---|{'---:|' * (len(columns) - 1)}")


def row(*cells: str | int | float) -> None:
    """Print a row of it; a share as a percentage."""
    shown = [f"{100 * cell:.1f}" if isinstance(cell, float) else f"{cell}" for cell in cells]
    print(f"| {' | '.join(shown)} |", flush=True)


TABLES = {"coverage": coverage_tables, "alarms": alarm_tables, "margin": margin_tables, "power": power_tables}


def main() -> None:
    """Run the simulations and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", choices=TABLES)
    options = parser.parse_args()
    started = time.perf_counter()
    with ProcessPoolExecutor() as pool:
        for name, tables in TABLES.items():
            if options.only in (None, name):
                tables(pool, options.trials)
    print(f"\n{options.trials} trials each, {time.perf_counter() - started:.0f} seconds")


if __name__ == "__main__":
    main()
