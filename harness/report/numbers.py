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
    """Return a share as a percentage with one decimal; 100 % only when it is all of it, 0 % only when it is nothing."""
    if math.isnan(value):
        return DASH
    least, most = (0.1 if value > 0 else 0.0), (99.9 if value < 1 else 100.0)
    return f"{min(max(value * 100, least), most):.1f} %"


def points(value: float) -> str:
    """Return a signed difference of shares in percentage points; what rounds to zero has no sign."""
    if math.isnan(value):
        return DASH
    text = f"{abs(value) * 100:.1f} pp"
    return text if text == "0.0 pp" else f"{'+' if value > 0 else MINUS}{text}"


def count(value: float) -> str:
    """Return a count; a mean over repeats keeps one decimal."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def count_delta(value: float) -> str:
    """Return a signed difference of counts; none has no sign."""
    return count(value) if value == 0 else f"{'+' if value > 0 else MINUS}{count(abs(value))}"


def short_count(value: int) -> str:
    """Return a large count in few characters."""
    if value < 10_000:
        return f"{value:,}"
    for size, unit in ((1e3, "k"), (1e6, "M")):
        text = f"{value / size:.1f}"
        if float(text) < 1000:
            return text + unit
    return f"{value / 1e9:,.1f}G"


def seconds(value: float) -> str:
    """Return a duration."""
    if round(value, 1) < 10:
        return f"{value:.1f} s"
    if round(value) < 100:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def usd(value: float | None) -> str:
    """Return a price; None is said to be unknown, never guessed, and only what costs nothing is $0."""
    if value is None:
        return "unknown"
    if value == 0:
        return "$0"
    if value < 0.0001:
        return "<$0.0001"
    return f"${value:.4f}" if value < 1 else f"${value:,.2f}"


def plural(number: float, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
