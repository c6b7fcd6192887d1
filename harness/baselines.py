"""What a prompt must beat: the most frequent label set, and TF-IDF with logistic regression, both cross-validated.

Each fold is predicted by what is learned from the others, so no sample is predicted with its own gold. Both are runs of
their own. The same samples, seed and folds give the same predictions.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.dataset import Dataset, load_dataset
from harness.errors import DataError, UsageError
from harness.labelspace import LabelSpace
from harness.neighbours import input_text
from harness.outside import BASELINES, check_name, labelled_samples, store_outside
from harness.parsing.deciding import rounded
from harness.parsing.formats import DEFAULT_THRESHOLD
from harness.project import Project
from harness.records import Prediction, Sample
from harness.splitting import stratified_split
from harness.store import Origin, StoredRun
from harness.thresholds import Evidence, fit, search_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INNER_FOLDS = 4
"""Parts of the samples that are learned from, on which the threshold is found."""

LEAST = 2
"""Samples that a fold must have for anything to be learned from the others."""

WORDS = (1, 2)
"""Lengths of word n-grams."""

CHARACTERS = (2, 5)
"""Lengths of character n-grams, within words and with the spaces around them."""

REGRESSION: Mapping[str, Any] = {
    "solver": "liblinear",
    "dual": True,  # many more n-grams than samples
    "C": 1.0,
    "class_weight": "balanced",
    "max_iter": 1000,
    "random_state": 0,
}
"""Parameters of scikit-learn's `LogisticRegression`."""

Fold = tuple[Sequence[Sample], Sequence[Sample]]
"""The samples that are learned from, and those that are predicted."""


def make_baselines(
    dataset: Path,
    project: Project,
    *,
    split: str | None = None,
    seed: int = 0,
    folds: int = 5,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[StoredRun, ...]:
    """Return the runs of the baselines, `BASELINES` in order, newly made; `harness.api.baseline` tells the arguments.

    Raises:
        UsageError: There are fewer than 2 folds, the seed is negative, or a prompt has a baseline's name.
        DataError: The dataset has problems, or too few samples with gold labels.
    """
    if seed < 0:
        raise UsageError(f"--seed: must be at least 0, got {seed}.")
    for name in BASELINES:
        check_name(name, project)
    loaded = load_dataset(dataset, project)
    chosen = split or loaded.default_split
    every = loaded.read(chosen)
    for warning in every.warnings:
        warn(warning)
    samples = labelled_samples(loaded, every.samples, chosen)
    _check_folds(loaded, chosen, len(samples), folds)
    parts = list(_folds(samples, folds, seed))
    runs = []
    for method in (_majority, _tfidf):
        began = time.monotonic()
        made = method(loaded.space, parts)
        by_id = {each.sample: each for each in made.predictions}
        runs.append(
            store_outside(
                made.name,
                Origin("baseline", made.model, settings={"folds": folds, "seed": seed, **made.settings}),
                loaded,
                chosen,
                samples,
                [by_id[sample.id] for sample in samples],
                project,
                notes=made.notes,
                seeds={"folds": seed},
                packages=made.packages,
                began=began,
                cost_usd=0.0,
            )
        )
    return tuple(runs)


def _check_folds(dataset: Dataset, split: str, n_samples: int, folds: int) -> None:
    if folds < 2:
        raise UsageError(f"--folds: must be at least 2, got {folds}.")
    if n_samples < LEAST * folds:
        raise DataError(
            f"{dataset.splits[split]}: must have {LEAST * folds} labelled samples or more for {folds} folds, got "
            f"{n_samples}. Label more, or give fewer --folds."
        )


def _folds(samples: Sequence[Sample], folds: int, seed: int) -> Iterator[Fold]:
    """Yield the folds, every label spread evenly over them."""
    parts = stratified_split(samples, {str(number): 1.0 for number in range(folds)}, seed)
    for part in parts.values():
        held_out = {sample.id for sample in part}
        yield [sample for sample in samples if sample.id not in held_out], part


@dataclass(frozen=True, slots=True)
class _Made:
    """What a baseline predicts, and how."""

    name: str
    model: str
    notes: str
    predictions: Sequence[Prediction]
    settings: Mapping[str, Any]
    packages: Mapping[str, str]


def _majority(space: LabelSpace, folds: Sequence[Fold]) -> _Made:
    """Predict the label set that is most frequent in the other folds; of equally frequent ones the first by its labels."""
    predictions = []
    for learned, held_out in folds:
        counts = Counter(tuple(space.ordered(sample.labels or ())) for sample in learned)
        most = min(counts, key=lambda names: (-counts[names], [space.index[name] for name in names]))
        predictions += [Prediction(sample.id, frozenset(most)) for sample in held_out]
    notes = "The most frequent label set of the other folds, for every sample."
    return _Made("majority", "most frequent label set", notes, predictions, {}, {})


def _tfidf(space: LabelSpace, folds: Sequence[Fold]) -> _Made:
    """Predict each label by a logistic regression on TF-IDF of words and characters.

    From which P on a label is present is learned too, as somebody would who wanted to use it: at 0.5 rare labels are
    hardly ever said.
    """
    import sklearn

    predictions, thresholds = [], []
    for learned, held_out in folds:
        threshold = _threshold(space, learned)
        thresholds.append(threshold)
        gold = space.vectors(sample.labels or () for sample in learned)
        values = _probabilities([input_text(each) for each in learned], gold, [input_text(each) for each in held_out])
        for sample, row in zip(held_out, values.tolist(), strict=True):
            weights = {name: rounded(value) for name, value in zip(space.names, row, strict=True)}
            present = frozenset(name for name, value in weights.items() if value >= threshold)
            predictions.append(Prediction(sample.id, present, probabilities=weights))
    settings = {
        "word_ngrams": list(WORDS),
        "char_wb_ngrams": list(CHARACTERS),
        **REGRESSION,
        "inner_folds": INNER_FOLDS,
        "thresholds": thresholds,
    }
    notes = "TF-IDF of words and characters, a logistic regression for each label, one threshold; of the other folds."
    packages = {"scikit-learn": str(sklearn.__version__)}
    return _Made("tfidf", "TF-IDF + logistic regression", notes, predictions, settings, packages)


def _threshold(space: LabelSpace, learned: Sequence[Sample]) -> float:
    """Return the threshold with the best macro F1 on samples that are each predicted by what the others teach.

    Fewer samples than `LEAST` a fold have the usual one.
    """
    import numpy as np

    if len(learned) < LEAST * INNER_FOLDS:
        return DEFAULT_THRESHOLD
    gold, values = [], []
    for others, part in _folds(learned, INNER_FOLDS, 0):
        known = space.vectors(sample.labels or () for sample in others)
        gold.append(space.vectors(sample.labels or () for sample in part))
        values.append(_probabilities([input_text(each) for each in others], known, [input_text(each) for each in part]))
    y_true = np.vstack(gold)
    if not y_true.any():
        return DEFAULT_THRESHOLD
    nothing, everything = np.zeros_like(y_true), np.ones_like(y_true)
    evidence = Evidence(space.names, y_true, nothing, everything, np.vstack(values))
    search = search_in(evidence, "macro_f1", own=np.zeros(len(space), np.bool_))
    return fit(search, np.ones(len(y_true), np.bool_))[0]


def _probabilities(learned: Sequence[str], gold: NDArray[np.bool_], held_out: Sequence[str]) -> NDArray[np.float64]:
    """Return P(label) of texts, shape (n_held_out, n_labels), as learned from other texts with their label vectors.

    A label that none of them has gets 0, one that all of them have 1: there is nothing to tell apart.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    known, new = _features(learned, held_out)
    values = np.tile(gold.all(axis=0).astype(np.float64), (len(held_out), 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough is good enough for a baseline
        for at in np.flatnonzero(gold.any(axis=0) & ~gold.all(axis=0)):
            model = LogisticRegression(**REGRESSION).fit(known, gold[:, at])
            values[:, at] = model.predict_proba(new)[:, 1]
    return values


def _features(learned: Sequence[str], new: Sequence[str]) -> tuple[Any, Any]:
    """Return both groups of texts as TF-IDF of word and character n-grams, with weights of the first group alone."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    blocks = []
    for analyzer, lengths in (("word", WORDS), ("char_wb", CHARACTERS)):
        counted = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, sublinear_tf=True)
        try:
            blocks.append((counted.fit_transform(learned), counted.transform(new)))
        except ValueError:  # no text has a word, or a character
            blocks.append((sparse.csr_array((len(learned), 1)), sparse.csr_array((len(new), 1))))
    return sparse.hstack([known for known, _ in blocks]).tocsr(), sparse.hstack([other for _, other in blocks]).tocsr()
