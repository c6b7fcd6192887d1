"""Comparisons in the terminal: versions side by side, and which samples regressed, were fixed or churned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.comparison import Comparison, Diff, F1Change, SampleChange
from harness.labelspace import LabelSpace
from harness.records import Prediction, Sample
from harness.report import numbers
from harness.report.files import markdown_cell, markdown_table
from harness.report.terminal import BAD, GOOD, QUIET, change, table
from harness.report.text import one_line
from harness.versions import ComparedRuns

STYLES = {"regressed": BAD, "fixed": GOOD, "churned": "yellow"}


def comparison_report(compared: ComparedRuns, limit: int) -> RenderableType:
    """Return versions side by side: headline, labels, then for each later run what changed, sample by sample."""
    comparison = compared.comparison
    samples = {sample.id: sample for run in compared.runs for sample in run.samples}
    parts: list[RenderableType] = [_title(compared)]
    parts += [note(each) for each in compared.notes]
    parts += [Text(""), versions_table(compared), Text(""), labels_table(comparison)]
    for diff in comparison.diffs:
        parts += [Text(""), *diff_report(diff, comparison.space, samples, limit)]
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
    made = table("run", "macro F1", "Δ", "micro F1", "Δ", "subset acc.", "Δ", "coverage", "time", "cost", left=("run",))
    diffs: Sequence[Diff | None] = (None, *comparison.diffs)
    for run, stored, diff in zip(comparison.runs, compared.runs, diffs, strict=True):
        scores, manifest = run.scores, stored.manifest
        cells: list[str | Text] = []
        for name in ("macro_f1", "micro_f1", "subset_accuracy"):
            cells.append(Text(numbers.score(scores.headline[name]), style="bold"))
            cells.append(change(diff.headline[name]) if diff else "")
        made.add_row(
            Text(one_line(run.name, 24), style="bold"),
            *cells,
            numbers.percent(scores.coverage),
            numbers.seconds(manifest.seconds),
            numbers.usd(manifest.cost_usd),
        )
    return made


def labels_table(comparison: Comparison) -> Table:
    """Return F1 by label for every run, each later one with its change; then cells that changed, for two runs."""
    two = len(comparison.runs) == 2
    columns = ["label", "support", comparison.runs[0].name]
    for run in comparison.runs[1:]:
        columns += [run.name, "Δ"]
    made = table(*columns, *(["cells lost", "cells won"] if two else []), left=("label",))
    for at, first in enumerate(comparison.runs[0].scores.labels):
        row: list[str | Text] = [Text(one_line(first.label, 32)), numbers.count(first.support), numbers.score(first.f1)]
        for run, diff in zip(comparison.runs[1:], comparison.diffs, strict=True):
            row += [numbers.score(run.scores.labels[at].f1), change(diff.labels[at].delta)]
        if two:
            label = comparison.diffs[0].labels[at]
            row += [_tally(label.regressed, BAD), _tally(label.fixed, GOOD)]
        made.add_row(*row)
    made.add_section()
    for name in ("macro_f1", "micro_f1", "weighted_f1", "samples_f1"):
        row = [Text(name.replace("_f1", " average"), style=QUIET), ""]
        before = getattr(comparison.runs[0].scores.averages, name)
        row.append(numbers.score(before))
        for run in comparison.runs[1:]:
            after = getattr(run.scores.averages, name)
            row += [numbers.score(after), change(after - before)]
        made.add_row(*row)
    made.caption = "F1 by label" + ("; cells lost: right before, wrong now" if two else "")
    made.caption_style = QUIET
    made.caption_justify = "left"
    return made


def _tally(number: int, style: str) -> Text:
    return Text(str(number), style=style if number else QUIET)


def diff_report(
    diff: Diff, space: LabelSpace, samples: Mapping[str, Sample], limit: int, *, titled: bool = True
) -> Iterator[RenderableType]:
    """Tell what changed between two runs: counts, where a change of F1 comes from, and the samples."""
    if titled:
        yield Text.assemble((f"{diff.before} → {diff.after}", "bold"))
    yield (
        Text("  ")
        .join(
            Text(f"{len(getattr(diff, kind))} {kind}", style=style if getattr(diff, kind) else QUIET)
            for kind, style in STYLES.items()
        )
        .append("  " + _flips(diff), style=QUIET)
    )
    if diff.cells["answer→failure"] or diff.cells["failure→answer"]:
        for name, split in (("macro F1", diff.macro_f1), ("micro F1", diff.micro_f1)):
            yield _split(name, split, diff.n_answered_by_both)
    for kind in ("regressed", "fixed"):
        yield from sample_changes(getattr(diff, kind), kind, space, samples, limit)


def _flips(diff: Diff) -> str:
    flips = [f"{name} {number}" for name, number in diff.cells.items() if number]
    return "cells: " + ", ".join(flips) if flips else "no cell changed"


def _split(name: str, split: F1Change, n_both: int) -> Text:
    """Say how much of a change of F1 comes from other answers, and how much from failures that came or went."""
    text = Text(f"{name} ").append(change(split.total)).append(" = ").append(change(split.answered_by_both))
    text.append(f" on the {numbers.plural(n_both, 'sample')} answered by both, ").append(change(split.failures))
    text.append(" from failures")
    if split.total > 0 and not split.answered_by_both > 0:
        text.append(": it rose because more went unanswered, not because answers got better", style=BAD)
    return text


def sample_changes(
    changes: Sequence[SampleChange], kind: str, space: LabelSpace, samples: Mapping[str, Sample], limit: int
) -> Iterator[RenderableType]:
    """List samples that changed in one way: id, text, gold, before and after."""
    if not changes or not limit:
        return
    made = table(kind, "text", "gold", "before", "after", left=(kind, "text", "gold", "before", "after"))
    made.columns[0].header_style = f"bold {STYLES[kind]}"
    for column, width in zip(made.columns, (10, 34, 16, 16, 16), strict=True):
        column.max_width = width
    for each in changes[:limit]:
        made.add_row(
            Text(one_line(each.sample, 16)),
            Text(one_line(text_of(samples[each.sample]), 80)),
            Text(label_list(space.ordered(each.gold))),
            Text(said(each.before, space)),
            Text(said(each.after, space)),
        )
    if len(changes) > limit:
        made.caption = f"and {len(changes) - limit} more: --limit shows them"
        made.caption_style = QUIET
        made.caption_justify = "left"
    yield Text("")
    yield made


def text_of(sample: Sample) -> str:
    """Return the input that tells a sample best: its text, else its first long column."""
    text = sample.inputs.get("text")
    if isinstance(text, str):
        return text
    return " · ".join(str(value) for value in sample.inputs.values())


def label_list(labels: Sequence[str]) -> str:
    """Return labels for a table cell; the empty set is said."""
    return ", ".join(one_line(label, 40) for label in labels) or "none"


def said(prediction: Prediction, space: LabelSpace) -> str:
    """Return what a prediction says: its labels, or why there is no answer."""
    if prediction.failure is not None and len(prediction.unanswered) == len(space):
        return f"({prediction.failure})"
    text = label_list(space.ordered(prediction.labels))
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
            *(numbers.score(run.scores.labels[at].f1) for run in comparison.runs),
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
