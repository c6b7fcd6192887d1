"""What the later passes of a run are worth, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from harness.passeffects import PER
from harness.passmeasuring import MeasuredPass, MeasuredPasses
from harness.report import numbers
from harness.report.files import markdown_cell, markdown_table
from harness.report.judged import SCORES, interval, level, p_value, shown_word
from harness.report.passes import (
    CHANGES,
    LABELS,
    OTHERWISE,
    PARTS,
    calls_missing,
    cells,
    final_score,
    gain_interval,
    gain_notes,
    matters,
    notes,
    part_rows,
    told,
    verdict_text,
    ways,
)


def passes_markdown(found: MeasuredPasses | None) -> str:
    """Return the same as Markdown; nothing for a run of which there is nothing to say."""
    if found is None:
        return ""
    parts = ["## Passes\n"]
    for each in found.passes:
        parts += [f"**{markdown_cell(verdict_text(each))}**\n"]
        if each.worth != "never asked":
            lines = (*told(each), *(gain_notes(each) if each.effect.changed else ()))
            parts += ["".join(f"- {markdown_cell(line)}\n" for line in lines)]
            parts += _markdown_tables(each, found)
    parts += ["".join(f"- {markdown_cell(line)}\n" for line in notes(found))]
    return "\n" + "\n".join(part for part in parts if part)


def _markdown_tables(each: MeasuredPass, found: MeasuredPasses) -> Iterator[str]:
    head = (CHANGES[0], CHANGES[1], level(found.settings), *CHANGES[3:])
    if each.effect.changed:
        yield markdown_table(head, change_rows(each), words=CHANGES[4:])
    if len(each.effect.trigger.parts) > 1:
        yield markdown_table(PARTS, part_rows(each))
    if each.effect.labels:
        yield markdown_table(LABELS, label_rows(each))
    if matters(each):
        yield markdown_table(OTHERWISE, otherwise_rows(each, found))


def change_rows(each: MeasuredPass) -> list[list[str]]:
    """Return what is with a pass against without it, as `CHANGES` says."""
    gain = each.gain
    first = [f"right cells for {PER} samples", cells(gain.value), gain_interval(gain), p_value(gain.p), ""]
    return [
        first,
        *(
            [SCORES[name], numbers.delta(row.delta), interval(row), p_value(row.p_corrected), shown_word(row)]
            for name, row in each.judged.items()
        ),
    ]


def label_rows(each: MeasuredPass) -> list[list[str]]:
    """Return one row for each label that changed, as `LABELS` says."""
    return [
        [
            row.label,
            *(numbers.count(value) for value in (row.changed, row.corrected, row.broken)),
            numbers.count_delta(row.net),
            *(numbers.score(value) for value in (row.f1_before, row.f1_after)),
            numbers.delta(row.f1_after - row.f1_before),
        ]
        for row in each.effect.labels
    ]


def otherwise_rows(each: MeasuredPass, found: MeasuredPasses) -> list[list[str]]:
    """Return the final answers as they are, without a pass and merged otherwise, as `OTHERWISE` says."""
    return [
        [
            name,
            *(
                final_score(found.headline if what is None else what.headline, what, score).plain
                for score in ("macro_f1", "micro_f1", "subset_accuracy")
            ),
            numbers.percent((found.headline if what is None else what.headline)["coverage"]),
            calls_missing(what),
        ]
        for name, what in ways(each)
    ]
