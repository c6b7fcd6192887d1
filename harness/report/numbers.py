"""The one place that rounds numbers for people. NaN, "not defined", is a dash everywhere."""

from __future__ import annotations

import math

DASH = "–"
MINUS = "−"


def score(value: float) -> str:
    """Return a score between 0 and 1 with three decimals."""
    return DASH if math.isnan(value) else f"{value:.3f}"


def delta(value: float) -> str:
    """Return a signed difference of scores with three decimals; what rounds to zero has no sign."""
    if math.isnan(value):
        return DASH
    text = f"{abs(value):.3f}"
    if text == "0.000":
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def percent(value: float) -> str:
    """Return a share as a percentage with one decimal; 100 % only when it is all of it."""
    if math.isnan(value):
        return DASH
    shown = f"{value * 100:.1f} %"
    return "99.9 %" if shown == "100.0 %" and value < 1 else shown


def count(value: float) -> str:
    """Return a count; a mean over repeats keeps one decimal."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def short_count(value: int) -> str:
    """Return a large count in few characters."""
    for limit, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (10_000, "k")):
        if value >= limit:
            return f"{value / (1000 if unit == 'k' else limit):.1f}{unit}"
    return f"{value:,}"


def seconds(value: float) -> str:
    """Return a duration."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 100:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def usd(value: float | None) -> str:
    """Return a price; None is said to be unknown, never guessed."""
    if value is None:
        return "unknown"
    if value == 0:
        return "$0"
    return f"${value:.4f}" if value < 1 else f"${value:,.2f}"


def plural(number: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
