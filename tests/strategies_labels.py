"""Hypothesis strategies for label vectors, and for samples with predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.labelspace import Label, LabelSpace
from harness.metrics import BoolMatrix
from harness.records import FailureKind, Prediction, Sample

unhurried = settings(deadline=None)
"""For properties: a busy machine is no failure."""


class Vectors(NamedTuple):
    """Gold, predicted and answered cells of one shape."""

    y_true: BoolMatrix
    y_pred: BoolMatrix
    answered: BoolMatrix


class Case(NamedTuple):
    """A label space, its samples, and the predictions of every repeat."""

    space: LabelSpace
    samples: list[Sample]
    predictions: list[Prediction]


@st.composite
def vectors(draw: st.DrawFn, min_samples: int = 0) -> Vectors:
    """Draw label vectors; half of the time everything is answered."""
    shape = (draw(st.integers(min_samples, 7)), draw(st.integers(1, 4)))
    cells: Any = hnp.arrays(np.bool_, shape)
    answered = draw(cells) if draw(st.booleans()) else np.ones(shape, dtype=np.bool_)
    return Vectors(draw(cells), draw(cells), answered)


def space_of(*names: str) -> LabelSpace:
    """Return a label space with these labels."""
    return LabelSpace(tuple(Label(name) for name in names))


@st.composite
def cases(draw: st.DrawFn, max_repeats: int = 2) -> Case:
    """Draw labelled samples, and predictions that are answered, partly answered, failed or not there at all."""
    names = ["a", "b", "c", "d"][: draw(st.integers(1, 4))]
    sets = st.frozensets(st.sampled_from(names))
    samples = [Sample(f"s{row}", {"text": ""}, draw(sets)) for row in range(draw(st.integers(1, 6)))]
    return Case(space_of(*names), samples, draw(runs_of(names, samples, max_repeats)))


@st.composite
def runs_of(draw: st.DrawFn, names: Sequence[str], samples: Sequence[Sample], max_repeats: int) -> list[Prediction]:
    """Draw the predictions of one run; now and then one is missing."""
    return [
        draw(predictions_of(names, sample.id, repeat))
        for repeat in range(draw(st.integers(1, max_repeats)))
        for sample in samples
        if draw(st.integers(0, 7))
    ]


@st.composite
def predictions_of(draw: st.DrawFn, names: Sequence[str], sample: str, repeat: int) -> Prediction:
    """Draw one prediction of a sample."""
    sets = st.frozensets(st.sampled_from(names))
    unanswered = draw(st.one_of(st.just(frozenset[str]()), sets, st.just(frozenset(names))))
    failure = draw(st.sampled_from(FailureKind)) if unanswered else None
    return Prediction(sample, draw(sets) - unanswered, unanswered, failure, repeat=repeat)
