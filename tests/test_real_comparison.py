"""The shipped prompts on the whole dev split, as the embedded model answered: every verdict is worked out again by hand.

`tests/data/reviews.dev.*.jsonl` are those answers. What is worked out here uses scikit-learn, statsmodels and plain loops
over resamples and exchanges, and nothing of the code that it checks.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from syrupy.assertion import SnapshotAssertion

import harness
from harness.project import find_project
from harness.report.changes import comparison_report
from harness.report.terminal import rendered
from harness.results import ComparisonResult
from harness.significance import Difference

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("v1", "v2", "v3")
RESAMPLES, EXCHANGES, MARGIN = 1_000, 3_000, 0.02

Cells = NDArray[np.bool_]
Score = Callable[[Cells, Cells, Cells], float]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> ComparisonResult:
    """Return the comparison of the three versions, from their answers alone."""
    root = tmp_path_factory.mktemp("reviews")
    shutil.copytree(ROOT / "datasets", root / "datasets")
    (root / "harness.toml").write_text("", encoding="utf-8")
    project = find_project(root)
    dataset = root / "datasets/reviews.yaml"
    for version in VERSIONS:
        answers = ROOT / f"tests/data/reviews.dev.{version}.jsonl"
        harness.import_predictions(answers, dataset=dataset, name=version, project=project)
    return harness.compare(*VERSIONS, project=project)


class Run(NamedTuple):
    """Gold and answers as arrays."""

    gold: Cells
    said: Cells
    answered: Cells


def run_of(compared: ComparisonResult, at: int) -> Run:
    """Return a run's arrays; an unanswered cell says nothing."""
    rows = compared.compared.comparison.runs[at].plain
    return Run(rows.y_true, rows.y_pred & rows.answered, rows.answered)


def macro(gold: Cells, said: Cells, answered: Cells) -> float:
    """Return macro F1 over the supported labels."""
    labels = np.flatnonzero(gold.any(axis=0))
    return float(f1_score(gold, said, labels=labels, average="macro", zero_division=0))


def micro(gold: Cells, said: Cells, answered: Cells) -> float:
    """Return micro F1."""
    return float(f1_score(gold, said, average="micro", zero_division=0))


def subset(gold: Cells, said: Cells, answered: Cells) -> float:
    """Return the share of samples that are answered and exactly right."""
    whole = answered.all(axis=1)
    return float(accuracy_score(gold[whole], said[whole], normalize=False) / len(gold)) if whole.any() else 0.0


def f1_of(label: int) -> Score:
    """Return the F1 of a label as a function of arrays: 2 TP / (gold + predicted)."""

    def score(gold: Cells, said: Cells, answered: Cells) -> float:
        both = np.count_nonzero(gold[:, label] & said[:, label])
        whole = np.count_nonzero(gold[:, label]) + np.count_nonzero(said[:, label])
        return 2 * both / whole if whole else math.nan

    return score


class ByHand(NamedTuple):
    """A difference, worked out with loops."""

    delta: float
    low: float
    high: float
    p: float


def by_hand(before: Run, after: Run, score: Score, *, loops: bool = True) -> ByHand:
    """Return a difference with the interval of resamples, and p by exchanging answers sample by sample."""
    gold, n = before.gold, len(before.gold)
    delta = score(*after) - score(*before)
    draws = np.random.default_rng(0).integers(0, n, size=(RESAMPLES, n))
    gaps = [score(*(part[rows] for part in after)) - score(*(part[rows] for part in before)) for rows in draws]
    low, high = np.nanquantile(gaps, [0.025, 0.975])
    hits, rng = 0, np.random.default_rng(1)
    for _ in range(EXCHANGES if loops else 0):
        swap = rng.integers(0, 2, size=(n, 1)).astype(bool)
        one = Run(gold, np.where(swap, after.said, before.said), np.where(swap, after.answered, before.answered))
        two = Run(gold, np.where(swap, before.said, after.said), np.where(swap, before.answered, after.answered))
        hits += abs(score(*two) - score(*one)) >= abs(delta) - 1e-9
    return ByHand(delta, float(low), float(high), (1 + hits) / (1 + EXCHANGES))


def word(low: float, high: float, p: float, size: float) -> str:
    """Return the verdict as docs/statistics.md words it."""
    if p <= 0.05 and low > 0:
        return "better"
    if p <= 0.05 and high < 0:
        return "worse"
    return "no worse" if low - 1 / size > -MARGIN and size >= 3 / MARGIN else "inconclusive"


def holm(p_values: list[float]) -> list[float]:
    """Return p-values corrected by Holm."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def error_of(p: float) -> float:
    """Return how far two p-values by random exchanges may be apart: five standard errors."""
    return 5 * math.sqrt(p * (1 - p) * (1 / EXCHANGES + 1 / 10_000)) + 2 / EXCHANGES


def test_the_table(compared: ComparisonResult, snapshot: SnapshotAssertion) -> None:
    """The verdicts and all below the table of versions, 100 columns wide; that table has the machine's times in it."""
    text = rendered((comparison_report(compared.compared, 3),))
    assert max(map(len, text.splitlines())) <= 100
    assert [*compared.verdict.splitlines(), *text.partition("Below each score")[2].splitlines()] == snapshot


def test_labels_by_hand(compared: ComparisonResult) -> None:
    """F1 of every label in every version: difference, interval, p, Holm over all of them, and the word."""
    space, judged = compared.compared.comparison.space, compared.compared.judgement.diffs
    runs = [run_of(compared, at) for at in range(3)]
    support = runs[0].gold.sum(axis=0)
    assert (support >= 20).all()
    told: list[Difference] = [row for diff in judged for row in diff.labels]
    assert holm([row.p for row in told]) == pytest.approx([row.p_corrected for row in told], abs=1e-12)
    for diff, after in zip(judged, runs[1:], strict=True):
        for label, row in enumerate(diff.labels):
            hand = by_hand(runs[0], after, f1_of(label))
            where = (space.names[label], diff.after)
            assert hand[:3] == pytest.approx((row.delta, row.low, row.high), abs=1e-9), where
            assert abs(hand.p - row.p) <= error_of(row.p), where
            assert row.verdict == word(hand.low, hand.high, row.p_corrected, support[label]), where


@pytest.mark.parametrize(("name", "score"), [("macro_f1", macro), ("micro_f1", micro), ("subset_accuracy", subset)])
def test_averages_by_hand(compared: ComparisonResult, name: str, score: Score) -> None:
    """The headline scores: difference and interval by scikit-learn, p by Holm over the versions, and the word."""
    judged = compared.compared.judgement.diffs
    runs = [run_of(compared, at) for at in range(3)]
    rows = [diff.averages[name] for diff in judged]
    assert holm([row.p for row in rows]) == pytest.approx([row.p_corrected for row in rows], abs=1e-12)
    for after, row in zip(runs[1:], rows, strict=True):
        hand = by_hand(runs[0], after, score, loops=False)
        assert hand[:3] == pytest.approx((row.delta, row.low, row.high), abs=1e-9)
        assert not row.withheld
        assert row.verdict == word(hand.low, hand.high, row.p_corrected, len(after.gold))


def test_p_of_averages_by_hand(compared: ComparisonResult) -> None:
    """The p-values of macro and micro F1 are those of exchanges made one by one; of subset accuracy McNemar's."""
    runs = [run_of(compared, at) for at in range(3)]
    for diff, after in zip(compared.compared.judgement.diffs, runs[1:], strict=True):
        for name, score in (("macro_f1", _fast_macro), ("micro_f1", _fast_micro)):
            hand = by_hand(runs[0], after, score)
            assert hand.delta == pytest.approx(diff.averages[name].delta, abs=1e-9)
            assert abs(hand.p - diff.averages[name].p) <= error_of(diff.averages[name].p), (name, diff.after)
        right = [((run.gold == run.said) & run.answered).all(axis=1) for run in (runs[0], after)]
        lost, won = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
        exact: Any = mcnemar([[0, lost], [won, 0]], exact=True)
        assert diff.averages["subset_accuracy"].p == pytest.approx(exact.pvalue, abs=1e-12)


def _fast_macro(gold: Cells, said: Cells, answered: Cells) -> float:
    both, sizes = (gold & said).sum(axis=0), gold.sum(axis=0) + said.sum(axis=0)
    return float(np.mean(2 * both / np.maximum(sizes, 1)))


def _fast_micro(gold: Cells, said: Cells, answered: Cells) -> float:
    return float(2 * (gold & said).sum() / (gold.sum() + said.sum()))


def test_flips_by_hand(compared: ComparisonResult) -> None:
    """The ledger counts each cell that changed once, by what it was and what it is; samples by what they were and are."""
    runs = [run_of(compared, at) for at in range(3)]
    for diff, after in zip(compared.compared.comparison.diffs, runs[1:], strict=True):
        counted = dict.fromkeys(diff.cells, 0)
        for state in zip(*(part.ravel().tolist() for part in (*runs[0], *after[1:])), strict=True):
            gold, said, answered, says, answers = state
            if answered and answers and said != says:
                was = ("TP" if said else "FN") if gold else ("FP" if said else "TN")
                now = ("TP" if says else "FN") if gold else ("FP" if says else "TN")
                counted[f"{was}→{now}"] += 1
            elif answered != answers:
                counted["answer→failure" if answered else "failure→answer"] += 1
        assert counted == dict(diff.cells)
        right = [((run.gold == run.said) & run.answered).all(axis=1) for run in (runs[0], after)]
        differs = ((runs[0].said != after.said) | (runs[0].answered != after.answered)).any(axis=1)
        assert len(diff.regressed) == (right[0] & ~right[1]).sum()
        assert len(diff.fixed) == (~right[0] & right[1]).sum()
        assert len(diff.churned) == (~right[0] & ~right[1] & differs).sum()
