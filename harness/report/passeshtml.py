"""What the later passes of a run are worth, as a section of a report's page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.passmeasuring import MeasuredPass, MeasuredPasses
from harness.report.judged import level
from harness.report.markup import Content, Node, h
from harness.report.passes import (
    CHANGES,
    LABELS,
    OTHERWISE,
    PARTS,
    gain_notes,
    matters,
    notes,
    part_rows,
    told,
    verdict_text,
)
from harness.report.passesmarkdown import change_rows, label_rows, otherwise_rows
from harness.report.sections import cell, heading, number_heads, table


def passes_section(found: MeasuredPasses | None) -> Node | None:
    """Return the passes of a run; None where there is nothing to say."""
    if found is None:
        return None
    parts: list[Content] = []
    for each in found.passes:
        parts += _one(each, found)
    parts += [h("p", line, class_="quiet") for line in notes(found)]
    return h("div", parts)


def _one(each: MeasuredPass, found: MeasuredPasses) -> Iterator[Node]:
    yield h("h3", verdict_text(each))
    if each.worth == "never asked":
        return
    lines = (*told(each), *(gain_notes(each) if each.effect.changed else ()))
    yield h("ul", [h("li", line) for line in lines])
    name = each.name
    if each.effect.changed:
        head = (CHANGES[0], CHANGES[1], level(found.settings), *CHANGES[3:])
        yield _table(f"{name}: with it against without", head, change_rows(each))
    if len(each.effect.trigger.parts) > 1:
        yield _table(f"{name}: whom it was asked about", PARTS, part_rows(each))
    if each.effect.labels:
        yield _table(f"{name}: what it changed", LABELS, label_rows(each))
    if matters(each):
        yield _table(f"{name}: without it, and merged otherwise", OTHERWISE, otherwise_rows(each, found))


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Node:
    made = [h("tr", heading(first), *map(cell, rest)) for first, *rest in rows]
    return table(caption, [head[0], *number_heads(*head[1:])], made)
