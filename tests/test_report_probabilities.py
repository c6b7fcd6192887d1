"""Probabilities and thresholds as a person reads them, at 100 columns."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from harness.calibration import calibrate
from harness.labelspace import Label, LabelSpace
from harness.probabilities import score_probabilities
from harness.records import Prediction, Sample
from harness.report import files, probabilities, terminal
from harness.scoring import Scores, score
from harness.thresholds import Evidence

LONG = "the courier left it with a neighbour who has since moved away and cannot be reached"


def shown(*parts: Any) -> str:
    """Return what is printed where there is no terminal; nothing is wider than 100 columns."""
    text = terminal.rendered(parts, io.StringIO())
    assert all(cell_len(line) <= 100 for line in text.splitlines())
    return text


def scores_of(*names: str, n: int = 12) -> Scores:
    """Return the scores of predictions with probabilities; the first sample is unanswered, the last has none."""
    rng = np.random.default_rng(1)
    space = LabelSpace(tuple(map(Label, names)))
    gold = [frozenset(name for name in names if rng.random() < 0.4) for _ in range(n)]
    samples = [Sample(f"s{at}", {"text": ""}, each) for at, each in enumerate(gold)]
    predictions = []
    for at, each in enumerate(gold):
        p = {name: round(0.6 * rng.random() + 0.4 * (name in each), 3) for name in names} if at < n - 1 else {}
        predictions.append(Prediction(f"s{at}", frozenset(name for name in p if p[name] >= 0.5), probabilities=p))
    return score(space, samples, predictions)


def test_labels_with_long_names_have_a_table_of_their_own(snapshot: SnapshotAssertion) -> None:
    """Where AUROC and AP would make the label table too wide, they stand in a table of their own."""
    scores = scores_of("shipping", LONG)
    assert scores.probabilities is not None
    assert shown(terminal.label_table(scores, None)).count("AUROC") == 0
    assert shown(*terminal._probabilities(scores, None)) == snapshot


def test_labels_with_short_names_have_columns(snapshot: SnapshotAssertion) -> None:
    """Where they fit, they are columns of the label table, and a label without gold has none."""
    assert shown(terminal.label_table(scores_of("shipping", "price"), None)) == snapshot


def test_what_is_not_defined_is_a_dash(snapshot: SnapshotAssertion) -> None:
    """Without gold there is no AUROC; without cells there is nothing; bins without cells have no share."""
    y_true, p = np.zeros((3, 2), np.bool_), np.array([[0.2, np.nan], [0.31, np.nan], [1.0, np.nan]])
    scores = score_probabilities(["a", "b"], y_true, p)
    tables = (probabilities.probability_table(scores), probabilities.label_probabilities(scores))
    assert shown(*tables, probabilities.reliability_table(scores.bins)) == snapshot


@pytest.mark.parametrize("value", [None, math.nan])
def test_no_threshold_is_a_dash(value: float | None) -> None:
    """A label that no threshold decides has a dash."""
    assert probabilities._number(value) == "–"


def test_labels_that_all_have_their_own() -> None:
    """When every label has a threshold of its own and one now, nothing needs a footnote."""
    y_true = np.tile([[True], [False]], (30, 1))
    p = np.where(y_true, 0.4, 0.2)
    evidence = Evidence(("a",), y_true, np.zeros_like(y_true), np.ones_like(y_true), p)
    text = shown(probabilities._label_thresholds(calibrate(evidence, now=[0.5])))
    assert text.splitlines()[-1].split() == ["a", "30", "0.5", "0.3", "0.000", "1.000", "+1.000"]


def test_scores_go_to_json_and_back() -> None:
    """Probability scores survive JSON, not defined ones among them; scores without them have no such key."""
    scores = scores_of("a", "b")
    again = Scores.from_json(scores.to_json())
    assert again.to_json() == scores.to_json()
    assert again.probabilities is not None
    assert again.probabilities.averages == scores.probabilities.averages  # type: ignore[union-attr]
    without = replace(scores, probabilities=None)
    assert "probabilities" not in without.to_json()
    assert Scores.from_json(without.to_json()).probabilities is None


def test_probabilities_are_in_markdown() -> None:
    """A run's Markdown has the averages of its probabilities; without them it says nothing."""
    scores = scores_of("a", "b")
    averages = scores.probabilities.averages  # type: ignore[union-attr]
    text = files.probabilities_markdown(scores.probabilities)  # type: ignore[arg-type]
    assert text.splitlines()[0] == "| probabilities | AUROC | AP | Brier loss | ECE | labels | cells |"
    assert f"| macro average | {averages.macro_auroc:.3f} |" in text
    bins = [each for each in scores.probabilities.bins if each.n]  # type: ignore[union-attr]
    assert f"| {bins[0].lower:.1f} to {bins[0].upper:.1f} | {bins[0].n} | {bins[0].mean_probability:.3f} |" in text
