"""Words that stand out among some texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.standout import PRIOR_TEXTS, log_odds, stand_out, standing_out, vocabulary
from harness.template import words

TEXTS = ["late again", "Late!", "plate broken", "broken late", "a plate", "a a cup", "cup", "a cup", "a", "a cup late"]
HERE = np.array([True] * 4 + [False] * 6)

texts = st.lists(st.text("ab c", max_size=8), max_size=8)


def test_a_vocabulary_counts_a_word_once_a_text() -> None:
    """Words stand in the order of how many texts have them, then of the alphabet; rare ones can be left out."""
    known = vocabulary(TEXTS, least=2)
    assert known.words == ("a", "cup", "late", "broken", "plate")
    assert known.present.sum(axis=0).tolist() == [5, 4, 4, 2, 2]
    assert vocabulary(TEXTS, most=1).words == ("a",)
    assert vocabulary([]).present.shape == (0, 0)


@given(texts)
def test_a_vocabulary_says_which_text_has_which_word(each: list[str]) -> None:
    """The cell of a text and a word is true when the filter `words` finds the word in the text."""
    known = vocabulary(each)
    for row, text in enumerate(each):
        assert {known.words[at] for at in np.flatnonzero(known.present[row])} == set(words(text))


def test_log_odds_are_those_of_the_formula() -> None:
    """The difference of log-odds with the prior counted in, and that divided by its standard error."""
    difference, z = log_odds(np.array([4.0, 2.0]), np.array([1.0, 5.0]), np.array([0.5, 0.7]))
    expected = math.log(4.5 / 2.7) - math.log(1.5 / 5.7)
    assert difference[0] == pytest.approx(expected)
    assert z[0] == pytest.approx(expected / math.sqrt(1 / 4.5 + 1 / 1.5))
    assert difference[1] == pytest.approx(-expected)


@pytest.mark.parametrize("counts", [[3.0], [0.0, 2.0], []])
def test_a_word_alone_and_a_word_that_is_nowhere_have_no_odds(counts: list[float]) -> None:
    """0/0 is NaN: a word that is the only one, or that neither side nor the prior has."""
    here = np.array(counts)
    difference, z = log_odds(here, here, np.zeros(len(here)))
    assert np.isnan(difference).all()
    assert np.isnan(z).all()


def test_words_that_are_more_frequent_here_stand_out() -> None:
    """The words with a positive z, the highest first, with how many texts have them here and there."""
    found = standing_out(TEXTS, HERE, least=2)
    assert [(each.word, each.here, each.there) for each in found] == [("late", 3, 1), ("broken", 2, 0), ("plate", 1, 1)]
    assert found[0].z > found[1].z > found[2].z > 0
    assert standing_out(TEXTS, HERE, most=1, least=2) == found[:1]
    assert standing_out([], np.zeros(0, np.bool_)) == ()


@unhurried
@given(st.lists(st.tuples(st.text("abc ", max_size=6), st.booleans()), max_size=12))
def test_what_stands_out_here_stands_back_there(rows: list[tuple[str, bool]]) -> None:
    """Exchanging the two sides turns the sign of every z, and the order of the texts does not matter."""
    here = np.array([side for _, side in rows], np.bool_)
    present = vocabulary([text for text, _ in rows]).present
    difference, z = stand_out(present, here)
    back = stand_out(present, ~here)
    assert np.allclose(z, -back[1], equal_nan=True)
    assert np.allclose(difference, -back[0], equal_nan=True)
    assert np.allclose(z, stand_out(present[::-1], here[::-1])[1], equal_nan=True)


def test_the_prior_pulls_rare_words_towards_no_difference() -> None:
    """A word of one text in question says less than one of ten, though both are in no other."""
    assert PRIOR_TEXTS > 0
    several = [*["common"] * 10, "rare", *["other"] * 11]
    here = np.array([True] * 11 + [False] * 11)
    known = vocabulary(several)
    _, z = stand_out(known.present, here)
    by_word = dict(zip(known.words, z.tolist(), strict=True))
    assert by_word["common"] > by_word["rare"] > 0 > by_word["other"]
