"""Does the search of `harness exceptions` say that something is there only where it is? By simulation.

    python benchmarks/triggers.py [--trials 50] [--first 30000]

Eight labels, 120 words, a language and a number, none of which has to do with another. Errors follow a rule, or none:

* noise: each answer is wrong with a probability, or each of its cells is; nothing to be found;
* rule: answers that say `shipping` of a text without the word late are wrong with one probability, all others with another;
* labels: two labels are wrong with a probability wherever they are said, and any answer with another.

Tell the seeds of a table before you look at it, and look for better settings with others.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from trigger_cases import LABELS, SPACE, made_cases, shipping_that_is_not_late  # noqa: E402 - it lives beside the tests

from harness.cases import Case  # noqa: E402
from harness.labeltriggers import label_triggers  # noqa: E402
from harness.triggersearch import Settings, search  # noqa: E402

SIZES = (200, 400, 1_000)
RULE = "'shipping' in predicted and 'late' not in text | words"
SAID = ("'shipping' in predicted", "'quality' in predicted")

Make = Callable[[int, int], list[Case]]
"""Cases by their number and seed."""


def cells(rate: float, n: int, seed: int) -> list[Case]:
    """Return cases of which each cell is wrong with a probability."""
    rng = np.random.default_rng(seed + 99)
    wrong = [frozenset(np.array(LABELS)[rng.random(len(LABELS)) < rate].tolist()) for _ in range(n)]
    made = made_cases(n, seed, noise=0.0)
    return [replace(case, gold=case.prediction.labels ^ each) for case, each in zip(made, wrong, strict=True)]


def answers(rate: float, n: int, seed: int) -> list[Case]:
    """Return cases of which each is wrong with a probability."""
    return made_cases(n, seed, noise=rate)


def by_rule(rate: float, base: float, n: int, seed: int) -> list[Case]:
    """Return cases that are wrong with one probability where the rule holds, with another elsewhere."""
    rng = np.random.default_rng(seed + 99)
    made = []
    for case in made_cases(n, seed, noise=0.0):
        said = case.prediction.labels
        if rng.random() < (rate if shipping_that_is_not_late(said, case.inputs["text"]) else base):
            said = said - {"shipping"} if "shipping" in said else said ^ {LABELS[rng.integers(len(LABELS))]}
        made.append(replace(case, gold=said))
    return made


def by_label(rate: float, base: float, n: int, seed: int) -> list[Case]:
    """Return cases in which two labels are wrong with one probability where they are said, and any case with another."""
    rng = np.random.default_rng(seed + 99)
    made = []
    for case in made_cases(n, seed, noise=0.0):
        gold = set(case.prediction.labels)
        for name in ("shipping", "quality"):
            if name in gold and rng.random() < rate:
                gold.discard(name)
        if rng.random() < base:
            gold ^= {LABELS[rng.integers(len(LABELS))]}
        made.append(replace(case, gold=frozenset(gold)))
    return made


NOISE: dict[str, Make] = {
    "5 % of the answers": partial(answers, 0.05),
    "20 % of the answers": partial(answers, 0.2),
    "50 % of the answers": partial(answers, 0.5),
    "17 % of the cells, 77 % of the answers": partial(cells, 0.17),
}
RULES: dict[str, Make] = {
    "all, and 5 % elsewhere": partial(by_rule, 1.0, 0.05),
    "60 %, and 15 % elsewhere": partial(by_rule, 0.6, 0.15),
    "all, and 50 % elsewhere": partial(by_rule, 1.0, 0.5),
}
TWO: dict[str, Make] = {
    "80 %, and 20 % of all": partial(by_label, 0.8, 0.2),
    "60 %, and 50 %": partial(by_label, 0.6, 0.5),
}


class Found(NamedTuple):
    """What one search says."""

    worth: bool
    unclear: bool
    fold: bool
    first: bool
    natural: bool


def look(make: Make, budget: float, n: int, seed: int) -> Found:
    """Return what a search says of some cases."""
    result = search(SPACE, make(n, seed), Settings(budget=budget))
    chosen = "" if result.chosen is None else result.chosen.expression
    first = bool(result.ranked) and result.ranked[0].expression == RULE
    fold = result.procedure is not None and result.procedure.p <= 0.05
    natural = RULE in chosen or all(each in chosen for each in SAID)
    return Found(result.verdict == "worth", result.verdict == "too few to tell", fold, first, natural)


def look_by_label(make: Make, n: int, seed: int) -> bool:
    """Return whether a trigger is called worth it for any label alone."""
    return any(each.verdict == "worth" for each in label_triggers(SPACE, make(n, seed), Settings()))


def rows(pool: ProcessPoolExecutor, makes: dict[str, Make], budget: float, seeds: range) -> Iterator[str]:
    """Yield the rows of a table, in shares of 100."""
    for name, make in makes.items():
        for n in SIZES:
            found = list(pool.map(partial(look, make, budget, n), seeds))
            shares = [100 * sum(each) / len(found) for each in zip(*found, strict=True)]
            yield f"| {name} | {n:,} | " + " | ".join(f"{share:.0f}" for share in shares) + " |"


def main() -> None:
    """Run the simulations and print their tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--first", type=int, default=30_000, help="the first seed")
    options = parser.parse_args()
    started, seeds = time.perf_counter(), range(options.first, options.first + options.trials)
    head = "| wrong | samples | worth | too few to tell | p out of fold ≤ 5 % | rule first | natural choice |"
    with ProcessPoolExecutor() as pool:
        for makes, budget in ((NOISE, 0.2), (RULES, 0.2), (TWO, 0.5)):
            print(f"\n{head}\n|---|---:|---:|---:|---:|---:|---:|")
            for row in rows(pool, makes, budget, seeds):
                print(row, flush=True)
        print("\n| label by label, no rule | samples | worth |\n|---|---:|---:|")
        for n in SIZES:
            alarms = sum(pool.map(partial(look_by_label, partial(cells, 0.17), n), seeds))
            print(f"| 17 % of the cells | {n:,} | {100 * alarms / options.trials:.0f} |", flush=True)
    print(f"\n{options.trials} trials each, {time.perf_counter() - started:.0f} seconds")


if __name__ == "__main__":
    main()
