"""Words that stand out among some texts against others: log-odds with an informative Dirichlet prior.

A word is counted once a text, so that one long complaint about lateness does not make "late" a sign of anything. How
much more likely it is here than there is judged by Monroe, Colaresi & Quinn 2008, "Fightin' Words": a prior that is
shaped like all texts together pulls what is rare towards no difference, and the difference is divided by its standard
error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector
from harness.template import words

MOST_WORDS = 3_000
"""Words of a vocabulary: the most frequent ones."""

LEAST_TEXTS = 5
"""Texts that must have a word before anything is said of it."""

PRIOR_TEXTS = 10.0
"""How many texts of the ordinary kind the prior is worth, on each side."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Which texts have which words.

    Attributes:
        words: As `harness.template.words` gives them, the most frequent first.
        present: Whether a text has a word, shape (n_texts, n_words).
    """

    words: tuple[str, ...]
    present: BoolMatrix


@dataclass(frozen=True, slots=True)
class Standout:
    """A word that is more frequent in some texts than in others.

    Attributes:
        word: Case folded.
        here: Texts among those in question that have it.
        there: Texts among the others that have it.
        log_odds: How much larger its log-odds are here, the prior counted in.
        z: That divided by its standard error; about 2 is worth a look, if only one word were looked at.
    """

    word: str
    here: int
    there: int
    log_odds: float
    z: float


def vocabulary(texts: Sequence[str], least: int = 1, most: int = MOST_WORDS) -> Vocabulary:
    """Return the words of some texts.

    Args:
        texts: Any; the same text twice counts twice.
        least: Texts that must have a word.
        most: Words that are kept, the most frequent ones, of equally frequent ones the first in the alphabet.
    """
    found = {text: frozenset(words(text)) for text in set(texts)}
    counts = Counter(word for text in texts for word in found[text])
    kept = sorted((word for word, n in counts.items() if n >= least), key=lambda word: (-counts[word], word))[:most]
    place = {word: at for at, word in enumerate(kept)}
    present = np.zeros((len(texts), len(kept)), np.bool_)
    for row, text in enumerate(texts):
        present[row, [place[word] for word in found[text] if word in place]] = True
    return Vocabulary(tuple(kept), present)


def log_odds(here: FloatVector, there: FloatVector, prior: FloatVector) -> tuple[FloatVector, FloatVector]:
    """Return by word how much larger its log-odds are here than there, and its z-score; both of shape (n_words,).

    With counts y, their total n, a prior a_w of each word and their total a, the log-odds on a side are
    ``log((y + a_w) / (n + a - y - a_w))``; their difference has the variance ``1 / (y_here + a_w) + 1 / (y_there + a_w)``.
    NaN where a word has neither count nor prior, or is the only one.

    Args:
        here: Counts of the words in question, shape (n_words,).
        there: Counts of the others.
        prior: Counts that are taken to have been seen on each side before.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = here + prior, there + prior
        odds = [np.log(weight / (weight.sum() - weight)) for weight in weights]
        difference = odds[0] - odds[1]
        z = difference / np.sqrt(1 / weights[0] + 1 / weights[1])
    defined = np.isfinite(difference) & np.isfinite(z)
    return np.where(defined, difference, NAN), np.where(defined, z, NAN)


def stand_out(present: BoolMatrix, here: BoolVector) -> tuple[FloatVector, FloatVector]:
    """Return the `log_odds` of the words of a vocabulary, with a prior worth `PRIOR_TEXTS` texts like all of them.

    Args:
        present: Whether a text has a word, shape (n_texts, n_words).
        here: Which texts are in question, shape (n_texts,).
    """
    ours, theirs = (np.count_nonzero(present[side], axis=0).astype(np.float64) for side in (here, ~here))
    return log_odds(ours, theirs, PRIOR_TEXTS * (ours + theirs) / max(len(here), 1))


def standing_out(
    texts: Sequence[str], here: BoolVector, most: int = 20, least: int = LEAST_TEXTS
) -> tuple[Standout, ...]:
    """Return the words that are more frequent in some texts than in the others, those with the highest z first.

    Args:
        texts: All texts.
        here: Which of them are in question, shape (n_texts,).
        most: Words that are returned.
        least: Texts that must have a word, on both sides together.
    """
    known = vocabulary(texts, least)
    difference, z = stand_out(known.present, here)
    counts = known.present[here].sum(axis=0), known.present[~here].sum(axis=0)
    order = [at for at in np.argsort(-np.round(z, 9), kind="stable").tolist() if z[at] > 0][:most]
    return tuple(
        Standout(known.words[at], int(counts[0][at]), int(counts[1][at]), float(difference[at]), float(z[at]))
        for at in order
    )
