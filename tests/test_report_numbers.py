"""Numbers as people read them: rounded in one place, never to something that is not so."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report import numbers

NAN = math.nan
SHARES = st.floats(0, 1)


@pytest.mark.parametrize(("value", "text"), [(0, "0.000"), (1, "1.000"), (0.8695, "0.870"), (NAN, "–")])
def test_a_score_has_three_decimals(value: float, text: str) -> None:
    """A score has three decimals, and what is not defined is a dash."""
    assert numbers.score(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "+0.100"), (-0.1, "−0.100"), (0.0004, "0.000"), (-0.0004, "0.000"), (NAN, "–")]
)
def test_a_difference_has_a_sign_where_it_has_digits(value: float, text: str) -> None:
    """A difference has a sign, except where it rounds to nothing."""
    assert numbers.delta(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "100.0 %"), (0.99999, "99.9 %"), (0, "0.0 %"), (0.00001, "0.1 %"), (0.8, "80.0 %"), (NAN, "–")],
)
def test_only_all_is_a_hundred_percent_and_only_nothing_is_zero(value: float, text: str) -> None:
    """100 % is all of it and 0 % is nothing of it, whatever rounding would make of them."""
    assert numbers.percent(value) == text


@given(SHARES)
def test_a_percentage_is_within_a_tenth(value: float) -> None:
    """A shown percentage is within 0.1 of the share it stands for."""
    assert abs(float(numbers.percent(value).removesuffix(" %")) - value * 100) <= 0.1


@pytest.mark.parametrize(
    ("value", "text"), [(-0.2, "−20.0 pp"), (0.125, "+12.5 pp"), (0.0001, "0.0 pp"), (0, "0.0 pp"), (NAN, "–")]
)
def test_a_difference_of_shares_is_in_percentage_points(value: float, text: str) -> None:
    """A change of a percentage is told in points, so that nobody reads it as a relative one."""
    assert numbers.points(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (3.0, "3"), (2.5, "2.5"), (12345, "12,345"), (1234.56, "1,234.6")]
)
def test_a_count_is_whole_unless_it_is_a_mean(value: float, text: str) -> None:
    """Counts are whole with separators; a mean over repeats keeps one decimal."""
    assert numbers.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.0k"),
        (999_949, "999.9k"),
        (999_999, "1.0M"),
        (2_500_000, "2.5M"),
        (999_999_999, "1.0G"),
        (5_000_000_000_000, "5,000.0G"),
    ],
)
def test_a_large_count_is_short(value: int, text: str) -> None:
    """A large count has a unit, and never four digits before it where the next unit would do."""
    assert numbers.short_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (99.6, "1 min 40 s"),
        (3599.6, "1 h 00 min"),
        (3661, "1 h 01 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_a_duration_is_told_in_the_units_it_fills(value: float, text: str) -> None:
    """A duration is told in seconds, minutes or hours, and rounding never shows sixty of one."""
    assert numbers.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "unknown"), (0, "$0"), (0.00001, "<$0.0001"), (0.0412, "$0.0412"), (1, "$1.00"), (1234.5, "$1,234.50")],
)
def test_a_price_is_never_guessed(value: float | None, text: str) -> None:
    """An unknown price is said to be so, and only what costs nothing is $0."""
    assert numbers.usd(value) == text


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [(1, ("sample",), "1 sample"), (0, ("sample",), "0 samples"), (1.5, ("reply", "replies"), "1.5 replies")],
)
def test_a_noun_agrees_with_its_number(number: float, words: tuple[str, ...], text: str) -> None:
    """A noun is singular at one alone, and an irregular plural is given."""
    assert numbers.plural(number, *words) == text


@pytest.mark.parametrize(("value", "text"), [(3, "+3"), (-1200, "−1,200"), (0, "0"), (0.5, "+0.5")])
def test_a_difference_of_counts_has_a_sign_where_there_is_one(value: float, text: str) -> None:
    """More is +, less is a minus sign, and none has no sign."""
    assert numbers.count_delta(value) == text
