"""Comparisons as Markdown: the verdict first, then what regressed, then the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.comparison import Diff, SampleChange
from harness.labelspace import LabelSpace
from harness.ledger import View, viewed
from harness.report import numbers
from harness.report.changedsamples import STYLES, counted, flips, label_list, said, text_of
from harness.report.files import markdown_cell, markdown_table
from harness.report.judged import (
    SCORES,
    how_made,
    how_sure,
    interval,
    level,
    p_value,
    score_interval,
    seen_text,
    shown_word,
    verdict_text,
)
from harness.report.promptdiff import prompt_markdown
from harness.report.text import one_line
from harness.significance import Difference
from harness.versions import ComparedRuns

MOST_MOVED = 20
"""Confusions whose number changed the most."""

LONGEST_TEXT = 300
"""Characters of a sample's text."""


def comparison_markdown(compared: ComparedRuns, view: View | None = None, verdicts: bool = True) -> str:
    """Return a comparison as Markdown: verdict, regressed samples, then scores, labels and all else that changed.

    Without ``verdicts`` these are left out, for a page that begins with them.
    """
    chosen = view or View()
    shown = viewed(compared.comparison, chosen, compared.samples)
    whole = viewed(compared.comparison, replace(chosen, only=None), compared.samples)
    common = numbers.plural(compared.comparison.n_common, "common sample")
    names = [markdown_cell(name) for name in compared.names]
    parts = [f"## {', '.join(names[1:])} against {names[0]}: {common}\n"]
    if verdicts:
        parts += [line for at in range(len(shown.diffs)) for line in verdict_markdown(compared, at)]
    told = [*compared.notes, *(f"caution: {each}" for each in compared.cautions)]
    parts += ["".join(f"- {markdown_cell(each)}\n" for each in told)] if told else []
    for diff in shown.diffs:
        parts += _samples(compared, diff, "regressed")
    parts += [_versions(compared, whole.diffs), *_labels(compared, shown.diffs)]
    for at, diff in enumerate(shown.diffs):
        parts += [*_moved(diff), *_samples(compared, diff, "fixed"), *_samples(compared, diff, "churned")]
        prompts = compared.prompt_diffs[at]
        if prompts is not None and prompts.sections:
            parts += [f"### {_pair(diff)}: the prompt\n", prompt_markdown(prompts)]
        if sure := how_sure(compared, at):
            parts.append(f"{_pair(diff)}: {markdown_cell(sure)}\n")
    parts.append(markdown_cell(how_made(compared)) + "\n")
    return "\n".join(parts)


def verdict_markdown(compared: ComparedRuns, at: int) -> list[str]:
    """Return the verdict of a later run, below it what all samples say where it leaves some out."""
    seen = seen_text(compared, at)
    return [f"**{markdown_cell(verdict_text(compared, at))}**\n", *([f"{markdown_cell(seen)}\n"] if seen else [])]


def _pair(diff: Diff) -> str:
    return f"{markdown_cell(diff.before)} → {markdown_cell(diff.after)}"


def _versions(compared: ComparedRuns, diffs: tuple[Diff, ...]) -> str:
    header = ["run", "macro F1", "micro F1", "subset accuracy", "coverage", *STYLES, "time", "cost"]
    rows = []
    for run, judged, stored, diff in zip(
        compared.comparison.runs, compared.judgement.runs, compared.runs, (None, *diffs), strict=True
    ):
        scores = [
            f"{numbers.score(run.scores.headline[name])} ({score_interval(judged.averages[name])})"
            for name in ("macro_f1", "micro_f1", "subset_accuracy")
        ]
        counts = [numbers.count(len(getattr(diff, kind))) if diff else "" for kind in STYLES]
        spent = [numbers.DASH, numbers.DASH]
        if stored.manifest.origin is None:
            spent = [numbers.seconds(stored.manifest.seconds), numbers.usd(stored.manifest.cost_usd)]
        rows.append([run.name, *scores, numbers.percent(run.scores.coverage), *counts, *spent])
    table = markdown_table(header, rows)
    return f"{table}\nIn brackets: {level(compared.judgement.settings)} intervals.\n"


def _labels(compared: ComparedRuns, diffs: tuple[Diff, ...]) -> Iterator[str]:
    """Yield a table of F1 by label for each later run, and the averages below where all labels are told."""
    before, space = compared.comparison.runs[0], compared.comparison.space
    ends = f"{level(compared.judgement.settings)} interval"
    for diff, judged in zip(diffs, compared.judgement.diffs, strict=True):
        rows = [
            [
                row.label,
                numbers.count(row.support),
                numbers.score(row.f1_before),
                numbers.score(row.f1_after),
                *_judged(judged.labels[space.index[row.label]]),
                numbers.count(row.regressed),
                numbers.count(row.fixed),
            ]
            for row in diff.labels
        ]
        if len(rows) == len(before.scores.labels):
            after = next(run for run in compared.comparison.runs if run.name == diff.after)
            rows += [
                [
                    name,
                    "",
                    *(numbers.score(getattr(run.scores.averages, key)) for run in (before, after)),
                    *_judged(judged.averages[key]),
                    "",
                    "",
                ]
                for key, name in list(SCORES.items())[:5]
            ]
        header = ["F1", "gold", diff.before, diff.after, "Δ", ends, "p", "verdict", "cells lost", "won"]
        yield f"### {_pair(diff)}: labels\n"
        yield markdown_table(header, rows, words=("verdict",))


def _judged(difference: Difference) -> tuple[str, str, str, str]:
    return (
        numbers.delta(difference.delta),
        interval(difference),
        p_value(difference.p_corrected),
        shown_word(difference),
    )


def _moved(diff: Diff) -> Iterator[str]:
    if diff.errors_moved:
        yield f"### {_pair(diff)}: errors moved\n"
        rows = [
            [each.missed or "(nothing)", each.predicted or "(nothing)", str(each.before), str(each.after)]
            for each in sorted(diff.errors_moved, key=lambda each: -abs(each.after - each.before))[:MOST_MOVED]
        ]
        yield markdown_table(["missed", "predicted", "before", "now"], rows, left=2)
        if rest := diff.errors_moved[MOST_MOVED:]:
            yield f"and {len(rest)} that moved less\n"


def _samples(compared: ComparedRuns, diff: Diff, kind: str) -> Iterator[str]:
    changes: tuple[SampleChange, ...] = getattr(diff, kind)
    if changes:
        yield f"### {_pair(diff)}: {counted(changes, kind)}\n"
        rows = [_sample(compared, each) for each in changes]
        yield markdown_table(["sample", "gold", "before", "now", "changed", "text"], rows, left=6)


def _sample(compared: ComparedRuns, change: SampleChange) -> list[str]:
    space: LabelSpace = compared.comparison.space
    text = one_line(text_of(compared.samples[change.sample]), LONGEST_TEXT)
    gold = label_list(space.ordered(change.gold))
    return [
        change.sample,
        gold,
        said(change.before, space),
        said(change.after, space),
        flips(change, len(space)).plain,
        text,
    ]
