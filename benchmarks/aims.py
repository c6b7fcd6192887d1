"""The aims, and whether what was measured meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from figures import DASH, OURS, rows_of, table

Figures = Mapping[str, Any]
Value = Callable[[Figures], float | None]


@dataclass(frozen=True, slots=True)
class Aim:
    """One line of the table of aims.

    Attributes:
        what: What is measured.
        script: What measures it.
        value: Finds it in the figures; None where it was not measured.
        bound: What it is held against.
        at_least: Whether the bound is the least that is wanted; else it is the most.
        unit: Follows the number.
    """

    what: str
    script: str
    value: Value
    bound: float
    at_least: bool = False
    unit: str = ""

    def met(self, figures: Figures) -> bool | None:
        """Return whether it is met, None where it was not measured."""
        value = self.value(figures)
        if value is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound

    def line(self, figures: Figures) -> list[str]:
        """Return the line of the table."""
        value = self.value(figures)
        verdict = {None: "not measured", True: "met", False: "not met"}[self.met(figures)]
        measured = DASH if value is None else f"{value:.3g}{self.unit}" if value < 1000 else f"{value:,.0f}{self.unit}"
        sign = "≥" if self.at_least else "≤"
        return [self.what, f"{sign} {self.bound:g}{self.unit}", measured, verdict, self.script]


def _wall(figures: Figures, contender: str, samples: int, latency: float, cached: bool) -> float | None:
    return _of_row(figures, "wall_s", contender, samples, latency, cached)


def _of_row(
    figures: Figures, name: str, contender: str, samples: int, latency: float = 0.0, cached: bool = False
) -> float | None:
    wanted = (latency, samples, contender, cached)
    found = (row for row in rows_of(figures) if (row.latency_s, row.samples, row.contender, row.cached) == wanted)
    return next((float(getattr(row, name)) for row in found), None)


def _times(contender: str, samples: int, latency: float = 0.0, cached: bool = False) -> Value:
    """Return how many times as fast as a contender we are."""

    def value(figures: Figures) -> float | None:
        ours, theirs = (_wall(figures, name, samples, latency, cached) for name in (OURS, contender))
        return None if ours is None or theirs is None else theirs / ours

    return value


def _cpu_ms(figures: Figures) -> float | None:
    seconds = _of_row(figures, "cpu_s", OURS, 20_000)
    return None if seconds is None else seconds / 20_000 * 1000


def _in(section: str, name: str) -> Value:
    """Return a number of a section."""

    def value(figures: Figures) -> float | None:
        found = _judged(figures, section).get(name)
        return None if found is None else float(found)

    return value


def _storm(name: str) -> Value:
    """Return a number of our row in the storm; seconds in units of the server's own limit."""

    def value(figures: Figures) -> float | None:
        storm = _judged(figures, "storm")
        ours = next((row for row in storm.get("rows", ()) if row["contender"] == OURS), None)
        if ours is None:
            return None
        return float(ours[name] / storm["limit_s"] if name == "wall_s" else ours[name])

    return value


def _changed(figures: Figures) -> float | None:
    same = _judged(figures, "kill").get("same_scores")
    return None if same is None else float(not same)


SIZES: Mapping[str, Mapping[str, float]] = {
    "scale": {"samples": 120_000, "labels": 230},
    "storm": {"samples": 5000, "errors": 0.2, "retry_after": 1.0},
    "kill": {"samples": 5000, "kills": 50},
}
"""What a section must have been measured with, at least, to be held against an aim."""


def _judged(figures: Figures, section: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = figures.get(section, {})
    return found if all(found.get(name, 0) >= least for name, least in SIZES[section].items()) else {}


_T, _S, _K, _W = "throughput.py", "storm.py", "kill.py", "scale.py"

AIMS = (
    Aim("20,000 samples, 0 ms, against bare AsyncOpenAI", _T, _times("bare AsyncOpenAI", 20_000), 4, True, " ×"),
    Aim("2,000 samples, 50 ms, against bare aiohttp", _T, _times("bare aiohttp", 2_000, 0.05), 0.85, True, " ×"),
    Aim("20,000 samples, 0 ms, against pydantic_evals", _T, _times("pydantic_evals", 20_000), 6, True, " ×"),
    Aim("20,000 samples, 0 ms, against promptfoo", _T, _times("promptfoo", 20_000), 10, True, " ×"),
    Aim("20,000 samples, 0 ms, against inspect_ai", _T, _times("inspect_ai", 20_000), 40, True, " ×"),
    Aim("CPU a sample, 20,000 samples, 0 ms", _T, _cpu_ms, 0.6, unit=" ms"),
    Aim(
        "peak memory, 20,000 samples, 0 ms", _T, lambda given: _of_row(given, "peak_mb", OURS, 20_000), 150, unit=" MB"
    ),
    Aim("cached, 2,000 samples, against promptfoo", _T, _times("promptfoo", 2_000, cached=True), 10, True, " ×"),
    Aim("cached, 20,000 samples, against promptfoo", _T, _times("promptfoo", 20_000, cached=True), 10, True, " ×"),
    Aim("peak memory, fresh run, 120,000 samples × 230 labels", _W, _in("scale", "run_peak_mb"), 600, unit=" MB"),
    Aim("scoring 120,000 × 230 from stored completions", _W, _in("scale", "score_s"), 15, unit=" s"),
    Aim("429 storm: samples without an answer", _S, _storm("unanswered"), 0),
    Aim("429 storm: time, in the server's own limit", _S, _storm("wall_s"), 1.5, unit=" ×"),
    Aim("killed 50 times: completions lost", _K, _in("kill", "lost"), 0),
    Aim("killed 50 times: answered calls paid again", _K, _in("kill", "paid_twice"), 0),
    Aim("killed 50 times: scores that changed", _K, _changed, 0),
)


def aims_table(figures: Figures, *scripts: str) -> str:
    """Return the table of the aims that these scripts measure, of all where none is named."""
    return table(("aim", "wanted", "measured", "", "by"), _lines(figures, scripts))


def _lines(figures: Figures, scripts: tuple[str, ...]) -> Iterator[list[str]]:
    return (aim.line(figures) for aim in AIMS if not scripts or aim.script in scripts)
