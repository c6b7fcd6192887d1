"""Time and memory of the statistics of `harness compare`, beside the loop one would write with scikit-learn.

    python benchmarks/resampling.py [--rounds 3]

The loop scores every resample, or every exchange of the runs' answers, of two runs with `sklearn.metrics.f1_score` on
indexed arrays: by label (macro and weighted follow from that), micro and samples. It is timed on a few resamples and
scaled up to as many as `harness` makes in full. Each contender is a process of its own, which counts the data too in
its memory; all of them take turns, and seconds are those of the processor (nothing here waits or runs in parallel), so that
a busy machine hits them alike. What counts are the ratios.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from harness import stats
from harness.metrics import BoolMatrix

SIZES = ((2_000, 28), (120_000, 230))
CARDINALITY = 2.5
"""Labels of a sample, on average."""


class Data(NamedTuple):
    """Gold and the answers of two runs."""

    gold: BoolMatrix
    before: BoolMatrix
    after: BoolMatrix


def data(n: int, n_labels: int) -> Data:
    """Return gold with a long tail of labels, and two runs that find 70 % and 75 % of it, with some false alarms."""
    rng = np.random.default_rng(7)
    prevalence = 1 / np.arange(1, n_labels + 1)
    prevalence = np.minimum(CARDINALITY * prevalence / prevalence.sum(), 0.5)

    def run(missed: float) -> BoolMatrix:
        alarms = rng.random((n, n_labels)) < prevalence * 0.1
        return np.where(gold, rng.random((n, n_labels)) > missed, alarms)

    gold: BoolMatrix = rng.random((n, n_labels)) < prevalence
    return Data(gold, run(0.3), run(0.25))


class Timed(NamedTuple):
    """What a contender took: processor seconds for so many resamples, and the peak of its process in MB."""

    seconds: float
    resamples: int
    megabytes: float


def ours(task: Callable[[stats.Outcomes, stats.Outcomes], object], size: tuple[int, int], resamples: int) -> Timed:
    """Time a function of `harness` from label vectors on."""
    gold, before, after = data(*size)
    answered = np.ones_like(gold)
    started = time.process_time()
    task(*(stats.outcomes(gold, [stats.Repeat(each, answered)]) for each in (before, after)))
    return _timed(started, resamples)


def bootstrap(size: tuple[int, int], resamples: int) -> Timed:
    """Time the bootstrap of both runs, with its intervals."""

    def task(before: stats.Outcomes, after: stats.Outcomes) -> None:
        old, new = stats.bootstrap([before, after], resamples)
        stats.intervals(new.labels - old.labels)
        for name in stats.AVERAGES:
            stats.interval(new.averages[name] - old.averages[name])

    return ours(task, size, resamples)


def sign_swap(size: tuple[int, int], permutations: int) -> Timed:
    """Time the sign-swap test."""
    return ours(lambda before, after: stats.sign_swap(before, after, permutations), size, permutations)


def naive_bootstrap(size: tuple[int, int], resamples: int) -> Timed:
    """Time the loop over a few resamples, scaled."""
    values = data(*size)
    rng = np.random.default_rng(0)

    def resample() -> None:
        rows = rng.integers(0, size[0], size[0])
        gold = values.gold[rows]
        _scores(gold, values.before[rows])
        _scores(gold, values.after[rows])

    return _repeated(resample, resamples, size)


def naive_sign_swap(size: tuple[int, int], permutations: int) -> Timed:
    """Time the loop over a few exchanges, scaled."""
    values = data(*size)
    rng = np.random.default_rng(0)

    def exchange() -> None:
        swapped = rng.random((size[0], 1)) < 0.5
        _scores(values.gold, np.where(swapped, values.after, values.before))
        _scores(values.gold, np.where(swapped, values.before, values.after))

    return _repeated(exchange, permutations, size)


def _scores(gold: BoolMatrix, answers: BoolMatrix) -> None:
    from sklearn.metrics import f1_score

    for average in (None, "micro", "samples"):
        f1_score(gold, answers, average=average, zero_division=1)


def _repeated(one: Callable[[], None], resamples: int, size: tuple[int, int]) -> Timed:
    one()  # what is only slow the first time
    made = 20 if size[0] < 10_000 else 2
    started = time.process_time()
    for _ in range(made):
        one()
    spent = _timed(started, made)
    return spent._replace(seconds=spent.seconds * resamples / made)


def _timed(started: float, resamples: int) -> Timed:
    seconds = time.process_time() - started
    return Timed(seconds, resamples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


CONTENDERS: tuple[tuple[str, Callable[..., Timed], Callable[..., Timed], int], ...] = (
    ("bootstrap", bootstrap, naive_bootstrap, stats.RESAMPLES),
    ("sign-swap", sign_swap, naive_sign_swap, 1_000),
    ("sign-swap", sign_swap, naive_sign_swap, stats.PERMUTATIONS),
)


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(
        f"two runs, median of {options.rounds} rounds, each contender a process; the loop is scaled from a few resamples"
    )
    columns = ("samples x labels", "what", "resamples", "seconds", "peak MB", "loop seconds", "loop MB", "harness is")
    print(f"| {' | '.join(columns)} |\n|---|---|{'---:|' * 6}")
    for size in SIZES:
        for name, mine, naive, resamples in CONTENDERS:
            rounds = [(_alone(mine, size, resamples), _alone(naive, size, resamples)) for _ in range(options.rounds)]
            one, other = (
                Timed(statistics.median(each.seconds for each in side), resamples, max(each.megabytes for each in side))
                for side in zip(*rounds, strict=True)
            )
            cells = (f"{size[0]:,} x {size[1]}", name, f"{resamples:,}", f"{one.seconds:.2f}", f"{one.megabytes:,.0f}")
            loop = (f"{other.seconds:,.0f}", f"{other.megabytes:,.0f}", f"{other.seconds / one.seconds:,.0f} x as fast")
            print(f"| {' | '.join((*cells, *loop))} |", flush=True)


def _alone(contender: Callable[..., Timed], size: tuple[int, int], resamples: int) -> Timed:
    """Run a contender in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(contender, size, resamples).result()


if __name__ == "__main__":
    main()
