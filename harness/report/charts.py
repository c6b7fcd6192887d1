"""Small charts as SVG: intervals, reliability, scores over thresholds. Colours and fonts come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.probabilities import Bin
from harness.report import numbers
from harness.report.markup import Node, h
from harness.reportdata import THRESHOLDS, ThresholdCurve


def score_bar(value: float, low: float, high: float, before: float, width: int) -> Node:
    """Return a score from 0 to 1 as a bar with its interval, and the baseline's as a tick.

    It is an ornament for the eye: the numbers stand beside it, so it is hidden from readers of the page.
    """
    inner = width - 2

    def x(of: float) -> float:
        return 1 + of * inner

    parts: list[Node] = [h("rect", class_="track", x=1, y=7, width=inner, height=4, rx=2)]
    if not math.isnan(value):
        parts.append(h("rect", class_="bar", x=1, y=7, width=max(value * inner, 0.01), height=4, rx=2))
    if not math.isnan(low):
        parts.append(h("rect", class_="interval", x=x(low), y=5, width=max(x(high) - x(low), 1.0), height=8, rx=2))
    if not math.isnan(before):
        parts.append(h("line", class_="before", x1=x(before), x2=x(before), y1=2, y2=16))
    if not math.isnan(value):
        parts.append(h("circle", class_="value", cx=x(value), cy=9, r=3))
    return h("svg", parts, class_="score", viewBox=f"0 0 {width} 18", width=width, height=18, aria_hidden="true")


SIZE, MARGIN, EDGE = 300, 54, 15
"""Of a square plot: the side of what is plotted, the room for its axes, and that for points on its other two edges."""

LARGEST, SMALLEST = 12, 3
"""Radius of the points with the most and the fewest cells."""


def reliability_plot(bins: Sequence[Bin]) -> Node:
    """Return how often what was given a probability was so: on the diagonal, where it can be taken at its word.

    The area of a point goes by the number of its cells.
    """
    filled = [each for each in bins if each.n]
    most = max((each.n for each in filled), default=1.0)
    points = [(each.mean_probability, each.share_positive) for each in filled]
    dots = [
        h(
            "circle",
            h("title", _of_bin(each)),
            class_="point",
            cx=_x(p),
            cy=_y(share),
            r=SMALLEST + (LARGEST - SMALLEST) * math.sqrt(each.n / most),
        )
        for each, (p, share) in zip(filled, points, strict=True)
    ]
    line = h("polyline", class_="reliability", points=_points(points))
    diagonal = h("line", class_="diagonal", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1))
    axes = _axes("probability given", "share that is gold")
    label = f"Reliability: {'; '.join(map(_of_bin, filled))}"
    return _square([*axes, diagonal, line, *dots], label)


def _of_bin(each: Bin) -> str:
    said = f"probability {numbers.score(each.mean_probability)}, gold {numbers.score(each.share_positive)}"
    return f"{said}, {numbers.plural(each.n, 'cell')}"


def threshold_plot(curve: ThresholdCurve, label: str) -> Node:
    """Return precision, recall and F1 over the thresholds, with the best F1 marked."""
    lines = [
        h("polyline", class_=f"curve {name}", points=_points(list(zip(THRESHOLDS, values, strict=True))))
        for name, values in (("precision", curve.precision), ("recall", curve.recall), ("f1", curve.f1))
    ]
    best = f"best F1 {numbers.score(curve.best_f1)} at threshold {numbers.score(curve.best)}"
    mark = h("line", class_="best", x1=_x(curve.best), x2=_x(curve.best), y1=_y(0), y2=_y(1))
    dot = h("circle", class_="point", cx=_x(curve.best), cy=_y(curve.best_f1), r=5)
    return _square([*_axes("threshold", "score"), *lines, mark, dot], f"{label} over thresholds: {best}")


def _square(parts: Sequence[Node], label: str) -> Node:
    side = SIZE + MARGIN + EDGE
    return h("svg", parts, class_="plot", viewBox=f"0 0 {side} {side}", role="img", aria_label=label)


def _axes(below: str, beside: str) -> list[Node]:
    grid: list[Node] = []
    for at in (0.0, 0.25, 0.5, 0.75, 1.0):
        grid.append(h("line", class_="grid", x1=_x(at), x2=_x(at), y1=_y(0), y2=_y(1)))
        grid.append(h("line", class_="grid", x1=_x(0), x2=_x(1), y1=_y(at), y2=_y(at)))
        if at in (0.0, 0.5, 1.0):
            grid.append(h("text", f"{at:g}", class_="tick", x=_x(at), y=_y(0) + 26, text_anchor="middle"))
            grid.append(h("text", f"{at:g}", class_="tick", x=_x(0) - 15, y=_y(at) + 4, text_anchor="end"))
    middle = _y(0.5)
    grid.append(h("text", below, class_="axis", x=_x(0.5), y=_y(0) + 41, text_anchor="middle"))
    turn = f"rotate(-90 14 {middle:g})"
    grid.append(h("text", beside, class_="axis", x=14, y=middle, text_anchor="middle", transform=turn))
    return grid


def _x(value: float) -> float:
    return MARGIN + value * SIZE


def _y(value: float) -> float:
    return EDGE + (1 - value) * SIZE


def _points(values: Sequence[tuple[float, float]]) -> str:
    """Return points of a line; where nothing is defined there is none."""
    return " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in values if not math.isnan(y))
