"""Thresholds: the best of all candidates, ties, digits, and cells that no threshold decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies_labels import unhurried

from harness import metrics
from harness.thresholds import METRICS, Evidence, decided, fit, search_in


@st.composite
def evidence(draw: st.DrawFn, most: int = 12) -> Evidence:
    """Draw cells of which some have a probability, some are answered without, and some are unanswered."""
    shape = (draw(st.integers(1, most)), draw(st.integers(1, 3)))
    cells: Any = hnp.arrays(np.bool_, shape)
    steps = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 10)))
    has = draw(cells)
    has[0, 0] = True
    return Evidence(
        names=tuple("abc"[: shape[1]]),
        y_true=draw(cells),
        y_pred=draw(cells),
        answered=draw(cells),
        probabilities=np.where(has, steps / 10, np.nan),
    )


def score_of(cells: Evidence, metric: str, thresholds: Any) -> float:
    """Return what thresholds give, by the functions of `metrics`; not defined counts as 0."""
    everything = np.ones(len(cells.y_true), np.bool_)
    y_pred = decided(cells, np.broadcast_to(thresholds, len(cells.names)), everything)
    answered = cells.answered | ~np.isnan(cells.probabilities)
    return float(np.nan_to_num(METRICS[metric].score(cells.y_true, y_pred, answered)))


@unhurried
@given(evidence(), st.sampled_from(sorted(METRICS)), st.data())
def test_no_global_threshold_is_better(cells: Evidence, metric: str, data: st.DataObject) -> None:
    """The global threshold gives the highest score that any threshold gives, on whatever rows."""
    rows = data.draw(hnp.arrays(np.bool_, len(cells.y_true)))
    rows[0] = True
    part = Evidence(
        cells.names, cells.y_true[rows], cells.y_pred[rows], cells.answered[rows], cells.probabilities[rows]
    )
    threshold, by_label = fit(search_in(cells, metric, np.zeros(len(cells.names), np.bool_)), rows)
    assert (by_label == threshold).all()
    best = max(score_of(part, metric, t) for t in np.arange(0, 101) / 100)
    assert score_of(part, metric, threshold) == pytest.approx(best)


@unhurried
@given(evidence())
def test_no_threshold_of_a_label_is_better(cells: Evidence) -> None:
    """A label's own threshold gives the highest F1 of that label that any threshold gives."""
    everything = np.ones(len(cells.y_true), np.bool_)
    own: Any = ~np.isnan(cells.probabilities).all(axis=0)
    _, found = fit(search_in(cells, "macro_f1", own), everything)
    answered = cells.answered | ~np.isnan(cells.probabilities)

    def f1(thresholds: Any) -> Any:
        y_pred = decided(cells, thresholds, everything)
        return np.nan_to_num(metrics.f1(metrics.count(cells.y_true, y_pred, answered)))

    grid = np.array([f1(np.full(len(own), t)) for t in np.arange(0, 101) / 100]).max(axis=0)
    assert f1(np.nan_to_num(found))[own] == pytest.approx(grid[own])


def one_label(gold: list[int], probabilities: list[float]) -> Evidence:
    """Return evidence of one label, all of whose cells have a probability."""
    y_true = np.array(gold, np.bool_)[:, None]
    return Evidence(("a",), y_true, np.zeros_like(y_true), np.ones_like(y_true), np.array(probabilities)[:, None])


def found(gold: list[int], probabilities: list[float]) -> float:
    """Return the threshold of one label."""
    cells = one_label(gold, probabilities)
    own = np.ones(1, np.bool_)
    return float(fit(search_in(cells, "macro_f1", own), np.ones(len(gold), np.bool_))[1][0])


@pytest.mark.parametrize(
    ("gold", "probabilities", "threshold"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.4, 0.9], 0.3),  # the middle of its neighbours
        ([0, 0, 1, 1], [0.12345, 0.2, 0.2001, 0.9], 0.2001),  # as many digits as it needs, four here
        ([0, 1], [0.999, 0.9999], 0.9994),
        ([0, 1], [0.00001, 0.00003], 0.00002),
        ([1, 1], [0.4, 0.8], 0.2),  # all are present below the lowest one
        ([1, 1], [0.0, 0.8], 0.0),  # also where that is 0
        ([0, 0], [0.4, 0.8], 0.6),  # all are equally bad: the middle nearest to 0.5
        ([0, 0], [0.3, 0.9], 0.6),  # 0.6 is nearer than 0.15
        ([0, 0], [0.0, 1.0], 0.5),  # no threshold leaves out what is certain
        ([0, 0], [1.0, 1.0], 0.5),
        ([0, 0], [0.5, 0.5], 0.75),  # of two as near, 0.25 and 0.75, the higher one
    ],
)
def test_which_threshold_is_taken(gold: list[int], probabilities: list[float], threshold: float) -> None:
    """It is a middle between neighbours, of equally good ones the nearest to 0.5, in the fewest digits, two at least."""
    assert found(gold, probabilities) == threshold


def test_cells_without_a_probability_keep_what_they_say() -> None:
    """A cell answered in words alone counts in every candidate's score, and no threshold changes it."""
    # Two right answers in words: with them it pays to leave out the doubtful cell.
    y_true = np.array([[1], [1], [0], [1]], np.bool_)
    y_pred = np.array([[1], [1], [0], [0]], np.bool_)
    answered = np.ones((4, 1), np.bool_)
    p = np.array([[np.nan], [np.nan], [0.8], [0.6]])
    cells = Evidence(("a",), y_true, y_pred, answered, p)
    everything = np.ones(4, np.bool_)
    assert decided(cells, np.array([0.7]), everything).ravel().tolist() == [True, True, True, False]
    threshold, _ = fit(search_in(cells, "micro_f1", np.zeros(1, np.bool_)), everything)
    assert threshold == 0.3  # F1 6/7: the cell that is wrong is worth the one that is right


def test_an_unanswered_cell_is_never_present() -> None:
    """Whatever a prediction says of an unanswered cell, it is absent; with a probability a threshold decides it."""
    y = np.ones((2, 1), np.bool_)
    cells = Evidence(("a",), y, y, ~y, np.array([[np.nan], [0.7]]))
    assert decided(cells, np.array([0.5]), np.ones(2, np.bool_)).ravel().tolist() == [False, True]
    assert decided(cells, np.array([0.8]), np.ones(2, np.bool_)).ravel().tolist() == [False, False]


def test_no_global_threshold_where_nobody_needs_it() -> None:
    """When every label with probabilities has a threshold of its own there is no global one."""
    cells = one_label([0, 1], [0.2, 0.6])
    threshold, by_label = fit(search_in(cells, "macro_f1", np.ones(1, np.bool_)), np.ones(2, np.bool_))
    assert np.isnan(threshold)
    assert by_label.tolist() == [0.4]
