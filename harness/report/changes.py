"""Comparisons in the terminal: versions side by side, and which samples regressed, were fixed or churned."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.comparison import Comparison, Diff, F1Change, SampleChange
from harness.labelspace import LabelSpace
from harness.records import Prediction, Sample
from harness.report import numbers
from harness.report.files import markdown_cell, markdown_table
from harness.report.terminal import (
    BAD,
    GOOD,
    LONGEST_NAME,
    QUIET,
    captioned,
    change,
    clipped,
    empty_labels,
    named,
    table,
    without_gold,
)
from harness.report.text import one_line
from harness.versions import ComparedRuns

MOST_WITH_CHANGE = 5
"""Runs that are shown with a change beside every F1; of more there is no room for it."""

WIDEST_NAME = 16
"""Characters of a run's name in a line of a header."""

MOST_IN_A_CELL = 8
"""Labels of a prediction that are named in a list of changes: an answer of all 28 would fill the screen."""

STYLES = {"regressed": BAD, "fixed": GOOD, "churned": "yellow"}


def comparison_report(compared: ComparedRuns, limit: int) -> RenderableType:
    """Return versions side by side: headline, labels, then for each later run what changed, sample by sample."""
    comparison = compared.comparison
    samples = {sample.id: sample for run in compared.runs for sample in run.samples}
    parts: list[RenderableType] = [_title(compared)]
    parts += [note(each) for each in compared.notes]
    parts += [Text(""), versions_table(compared), Text(""), labels_table(comparison)]
    for diff in comparison.diffs:
        parts += [Text(""), *diff_report(diff, comparison.space, samples, limit, "see --limit")]
    return Group(*parts)


def note(text: str) -> Text:
    """Return what differs beside the prompt, as a line."""
    return Text(one_line(text, 400), style="yellow")


def _title(compared: ComparedRuns) -> Text:
    manifest = compared.runs[0].manifest
    names = ", ".join(compared.names[1:])
    text = Text.assemble((names, "bold"), " against ", (compared.names[0], "bold"))
    common = numbers.plural(compared.comparison.n_common, "common sample")
    return text.append(f" on {manifest.dataset} {manifest.split} · {common}")


def versions_table(compared: ComparedRuns) -> Table:
    """Return one row a run: its headline scores, each with the change against the first."""
    comparison = compared.comparison
    columns = ("run", "macro\nF1", "Δ", "micro\nF1", "Δ", "subset\nacc.", "Δ", "coverage", "time", "cost")
    made = table(*columns, left=("run",), gives_way=("run",))
    diffs: Sequence[Diff | None] = (None, *comparison.diffs)
    for run, stored, diff in zip(comparison.runs, compared.runs, diffs, strict=True):
        scores, manifest = run.scores, stored.manifest
        cells: list[str | Text] = []
        for name in ("macro_f1", "micro_f1", "subset_accuracy"):
            cells.append(Text(numbers.score(scores.headline[name]), style="bold"))
            cells.append(change(diff.headline[name]) if diff else "")
        made.add_row(
            named(run.name),
            *cells,
            numbers.percent(scores.coverage),
            numbers.seconds(manifest.seconds),
            numbers.usd(manifest.cost_usd),
        )
    return made


def labels_table(comparison: Comparison) -> RenderableType:
    """Return F1 by label for every run, each later one with its change; then cells that changed, for two runs.

    Labels without support stand apart: an F1 of theirs would say nothing.
    """
    first, *later = comparison.runs
    two, with_change = len(later) == 1, len(later) < MOST_WITH_CHANGE
    columns = ["label", "support", _stacked(first.name)]
    for run in later:
        columns += [_stacked(run.name), "Δ"] if with_change else [_stacked(run.name)]
    made = table(*columns, *(["lost", "won"] if two else []), left=("label",), gives_way=("label",))

    def row(before: float, after: Sequence[float]) -> list[str | Text]:
        cells: list[str | Text] = [numbers.score(before)]
        for value in after:
            cells += [numbers.score(value), change(value - before)] if with_change else [numbers.score(value)]
        return cells

    scores = [run.scores for run in comparison.runs]
    empty = empty_labels(scores)
    lonely = []
    for at, label in enumerate(first.scores.labels):
        f1 = [run.scores.labels[at].f1 for run in later]
        tally = [_tally(label.label, diff) for diff in comparison.diffs[:1]] if two else [()]
        if label.support:
            made.add_row(named(label.label), numbers.count(label.support), *row(label.f1, f1), *tally[0])
        elif label.label not in empty:
            lonely.append((named(label.label), "0", *row(math.nan, [math.nan] * len(f1)), *tally[0]))
    made.add_section()
    for name in ("macro_f1", "micro_f1", "weighted_f1", "samples_f1"):
        averages = [getattr(run.scores.averages, name) for run in comparison.runs]
        made.add_row(Text(name.replace("_f1", " average"), style=QUIET), "", *row(averages[0], averages[1:]))
    made.add_section()
    for cells in lonely:
        made.add_row(*cells)
    caption = "F1 by label" + ("; lost: cells that were right and are wrong now, won: the reverse" if two else "")
    return captioned(made, caption, *without_gold(scores))


def _stacked(name: str) -> str:
    """Return a name as a narrow header: it breaks at its hyphens, and within a word only where that is very long."""
    shown = one_line(name, LONGEST_NAME)
    widest = max(len(part) for part in re.split(r"(?<=-)|\s", shown))
    return "\n".join(textwrap.wrap(shown, min(max(9, widest), WIDEST_NAME)))


def _tally(label: str, diff: Diff) -> tuple[Text, Text]:
    found = next(each for each in diff.labels if each.label == label)
    lost, won = found.regressed, found.fixed
    return Text(str(lost), style=BAD if lost else QUIET), Text(str(won), style=GOOD if won else QUIET)


def diff_report(
    diff: Diff, space: LabelSpace, samples: Mapping[str, Sample], limit: int, more: str
) -> Iterator[RenderableType]:
    """Tell what changed between two runs: counts, where a change of F1 comes from, and the samples.

    Args:
        diff: What changed.
        space: Orders the labels.
        samples: By id, all that `diff` tells of.
        limit: How many samples of a kind are listed.
        more: What to type to see the others.
    """
    yield Text(f"{diff.before} → {diff.after}", style="bold")
    yield (
        Text("  ")
        .join(
            Text(f"{len(getattr(diff, kind))} {kind}", style=style if getattr(diff, kind) else QUIET)
            for kind, style in STYLES.items()
        )
        .append("  " + _flips(diff), style=QUIET)
    )
    if not diff.n_answered_by_both:
        yield Text("no sample was answered by both: what changed is failures, not answers", style=BAD)
    elif diff.cells["answer→failure"] or diff.cells["failure→answer"]:
        for name, split in (("macro F1", diff.macro_f1), ("micro F1", diff.micro_f1)):
            yield _split(name, split, diff)
    for kind in ("regressed", "fixed"):
        yield from sample_changes(getattr(diff, kind), kind, space, samples, limit, more)


def _flips(diff: Diff) -> str:
    flips = [f"{name} {numbers.count(number)}" for name, number in diff.cells.items() if number]
    return "cells: " + ", ".join(flips) if flips else "no cell changed"


def _split(name: str, split: F1Change, diff: Diff) -> Text:
    """Say how much of a change of F1 comes from other answers, and how much from failures that came or went."""
    text = Text(f"{name} ").append(change(split.total)).append(" = ").append(change(split.answered_by_both))
    text.append(f" on the {numbers.plural(diff.n_answered_by_both, 'sample')} answered by both, ").append(
        change(split.failures)
    )
    text.append(" from failures")
    if split.total > 0 >= split.answered_by_both:
        more = diff.cells["answer→failure"] > diff.cells["failure→answer"]
        reason = "more went unanswered" if more else "more is answered now"
        text.append(f": it rose because {reason}, not because answers got better", style=BAD if more else QUIET)
    return text


def sample_changes(
    changes: Sequence[SampleChange],
    kind: str,
    space: LabelSpace,
    samples: Mapping[str, Sample],
    limit: int,
    more: str,
) -> Iterator[RenderableType]:
    """List samples that regressed or were fixed: id, what was said and is said now (one of them is gold), and text."""
    if not changes or not limit:
        return
    then, now = ("before = gold", "now") if kind == "regressed" else ("before", "now = gold")
    columns = (kind, then, now, "text")
    made = table(*columns, left=columns, gives_way=columns)
    made.columns[0].header_style = f"bold {STYLES[kind]}"
    for column in made.columns[1:3]:
        column.max_width = 30
    for each in changes[:limit]:
        text = clipped(text_of(samples[each.sample]), 80)
        said_then, said_now = (Text(said(which, space, MOST_IN_A_CELL)) for which in (each.before, each.after))
        made.add_row(named(each.sample), said_then, said_now, text)
    rest = len(changes) - limit
    yield Text("")
    yield captioned(made, f"and {rest} more: {more}") if rest > 0 else made


def text_of(sample: Sample) -> str:
    """Return the input that tells a sample best: its text, else its first long column."""
    text = sample.inputs.get("text")
    if isinstance(text, str):
        return text
    return " · ".join(str(value) for value in sample.inputs.values())


def label_list(labels: Sequence[str], most: int | None = None) -> str:
    """Return labels for a table cell, those above ``most`` as their number; the empty set is said."""
    shown = ", ".join(one_line(label, 40) for label in labels[:most]) or "none"
    return shown if most is None or len(labels) <= most else f"{shown} and {len(labels) - most} more"


def said(prediction: Prediction, space: LabelSpace, most: int | None = None) -> str:
    """Return what a prediction says: its labels (of many the first ``most``), or why there is no answer."""
    if prediction.failure is not None and len(prediction.unanswered) == len(space):
        return f"({prediction.failure})"
    text = label_list(space.ordered(prediction.labels), most)
    return f"{text} ({prediction.failure})" if prediction.failure is not None else text


def comparison_markdown(compared: ComparedRuns) -> str:
    """Return versions side by side as Markdown: headline, labels, and what changed from the first run to each other."""
    comparison = compared.comparison
    common = numbers.plural(comparison.n_common, "common sample")
    parts = [f"## {', '.join(compared.names[1:])} against {compared.names[0]}: {common}\n"]
    parts += [f"- {markdown_cell(each)}\n" for each in compared.notes]
    header = ["run", "macro F1", "micro F1", "subset accuracy", "coverage", "regressed", "fixed", "churned"]
    rows = []
    for run, diff in zip(comparison.runs, (None, *comparison.diffs), strict=True):
        scores = [numbers.score(value) for value in list(run.scores.headline.values())[:3]]
        counts = [str(len(getattr(diff, kind))) if diff else "" for kind in STYLES]
        rows.append([run.name, *scores, numbers.percent(run.scores.coverage), *counts])
    parts.append(markdown_table(header, rows))
    names = [run.name for run in comparison.runs]
    labels = [
        [
            first.label,
            numbers.count(first.support),
            *(numbers.score(run.scores.labels[at].f1 if first.support else math.nan) for run in comparison.runs),
        ]
        for at, first in enumerate(comparison.runs[0].scores.labels)
    ]
    parts.append(markdown_table(["F1 by label", "support", *names], labels))
    for diff in comparison.diffs:
        for kind in ("regressed", "fixed"):
            changed = [
                [each.sample, label_list(comparison.space.ordered(each.gold)), *_both(each, comparison.space)]
                for each in getattr(diff, kind)
            ]
            if changed:
                parts.append(f"### {diff.before} → {diff.after}: {len(changed)} {kind}\n")
                parts.append(markdown_table(["sample", "gold", "before", "after"], changed, left=4))
    return "\n".join(parts)


def _both(each: SampleChange, space: LabelSpace) -> tuple[str, str]:
    return said(each.before, space), said(each.after, space)
