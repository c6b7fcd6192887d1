"""Comparisons in the terminal: the verdict, versions side by side, what changed and which samples it was."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from harness.comparison import ComparedRun, Diff, MovedError
from harness.labelspace import LabelSpace
from harness.ledger import View, label_split, viewed
from harness.records import Sample
from harness.report import numbers
from harness.report.changedsamples import STYLES as STYLES
from harness.report.changedsamples import counted, sample_changes, samples_in_full
from harness.report.changedsamples import label_list as label_list
from harness.report.changedsamples import said as said
from harness.report.changedsamples import text_of as text_of
from harness.report.fitting import Fitting
from harness.report.judged import how_made, how_sure, level, more_failed, score_interval, split_text, verdict_lines
from harness.report.labelchanges import label_changes, stacked
from harness.report.promptdiff import prompt_report
from harness.report.terminal import BAD, QUIET, captioned, change, named, table
from harness.report.text import one_line
from harness.stats import Interval
from harness.versions import ComparedRuns

MOST_MOVED = 5
"""Confusions that are told of those that became more frequent, and of those that became less."""

FEW = 5
"""Changed samples up to which each is shown in full, when a label or a kind was asked for."""

MORE = "see --limit"
"""What to type to see what a list leaves out."""


def comparison_report(
    compared: ComparedRuns, limit: int, view: View | None = None, full: bool = False
) -> RenderableType:
    """Return a comparison as a person reads it: verdict, versions, labels, then for each later run what changed.

    Args:
        compared: The comparison, whole.
        limit: Samples of a kind that are shown.
        view: What of it is looked at.
        full: All labels, the whole prompt diff, and each sample in full.
    """
    chosen = view or View()
    shown = viewed(compared.comparison, chosen, compared.samples)
    whole = viewed(compared.comparison, replace(chosen, only=None), compared.samples)
    parts: list[RenderableType] = [_title(compared, chosen)]
    parts += [note(each) for each in compared.notes]
    parts += [Text(""), *(line for at in range(len(shown.diffs)) for line in verdict_lines(compared, at))]
    parts += [Text(""), versions_table(compared), Text(""), label_changes(compared, shown, full)]
    if chosen.label is None and any(run.scores.fields for run in compared.comparison.runs):
        parts += [Text(""), fields_table(compared)]
    parts += [Text(f"caution: {each}", style="yellow") for each in compared.cautions]
    parts.append(Text(how_made(compared), style=QUIET))
    for at, diff in enumerate(shown.diffs):
        parts += [Text(""), *_counts(whole.diffs[at], chosen.label), *_changed(compared, at, diff, chosen, limit, full)]
    return Group(*parts)


def note(text: str) -> Text:
    """Return what differs beside the prompt, as a line."""
    return Text(one_line(text, 400), style="yellow")


def _title(compared: ComparedRuns, view: View) -> Text:
    manifest = compared.runs[0].manifest
    names = ", ".join(one_line(name, 60) for name in compared.names[1:])
    text = Text.assemble((names, "bold"), " against ", (one_line(compared.names[0], 60), "bold"))
    common = numbers.plural(compared.comparison.n_common, "common sample")
    text.append(f" on {one_line(f'{manifest.dataset} {manifest.split}', 100)} · {common}")
    what = [f"label {one_line(view.label, 60)}"] if view.label is not None else []
    what += [f"only {view.only}"] if view.only is not None else []
    return text.append(f" · {', '.join(what)}" if what else "")


def versions_table(compared: ComparedRuns) -> RenderableType:
    """Return one row a run: its headline scores with the change against the first and their intervals, cost and time.

    Where a run left cells unanswered, the worst case stands below: what it would score with all of them wrong.
    """
    columns = ("run", "macro F1", "micro F1", "subset acc.", "coverage", "time", "median\ncall", "cost")
    made = table(*columns, left=columns[:4], gives_way=("run",))
    diffs: tuple[Diff | None, ...] = (None, *compared.comparison.diffs)
    for at, (run, stored, diff) in enumerate(zip(compared.comparison.runs, compared.runs, diffs, strict=True)):
        intervals, manifest = compared.judgement.runs[at].averages, stored.manifest
        made.add_row(
            named(run.name),
            *(_headline(run, name, intervals[name], diff) for name in ("macro_f1", "micro_f1", "subset_accuracy")),
            numbers.percent(run.scores.coverage),
            numbers.DASH if manifest.origin is not None else numbers.seconds(manifest.seconds),
            numbers.DASH if math.isnan(compared.latencies[at]) else numbers.seconds(compared.latencies[at]),
            numbers.DASH if manifest.origin is not None else numbers.usd(manifest.cost_usd),
        )
    told = f"Below each score: its {level(compared.judgement.settings)} interval"
    if any(run.scores.worst_case for run in compared.comparison.runs):
        told += "; worst: with all unanswered cells wrong"
    return captioned(Fitting(made, [(5,), (6,), (7,)]), told)


def fields_table(compared: ComparedRuns) -> RenderableType:
    """Return the accuracy of every field in every run, the later ones with their change; a dash where none was asked."""
    first, *later = compared.comparison.runs
    columns = ["field", "gold", stacked(first.name)]
    for run in later:
        columns += [stacked(run.name), "Δ"]
    made = table(*columns, left=("field",), gives_way=("field",))
    runs = [{row.field: row for row in run.scores.fields} for run in compared.comparison.runs]
    for name in dict.fromkeys(name for fields in runs for name in fields):
        accuracies = [fields[name].accuracy if name in fields else math.nan for fields in runs]
        gold = next(fields[name].support for fields in runs if name in fields)
        cells: list[str | Text] = [numbers.score(accuracies[0])]
        for accuracy in accuracies[1:]:
            gap = accuracy - accuracies[0]
            cells += [numbers.score(accuracy), Text(numbers.delta(gap))]
        made.add_row(named(name), numbers.count(gold), *cells)
    return captioned(made, "accuracy of fields, unanswered ones wrong; no verdict is given of them")


def _headline(run: ComparedRun, name: str, interval: Interval, diff: Diff | None) -> Text:
    text = Text(numbers.score(run.scores.headline[name]), style="bold")
    cell = Text.assemble(text, *((" ", change(diff.headline[name])) if diff else ()))
    cell.append(f"\n{score_interval(interval)}", style=QUIET)
    worst = run.scores.worst_case
    if worst is not None and name != "subset_accuracy":
        cell.append(f"\nworst {numbers.score(getattr(worst, name))}", style=QUIET)
    return cell


def _changed(
    compared: ComparedRuns, at: int, diff: Diff, view: View, limit: int, full: bool
) -> Iterator[RenderableType]:
    """Tell what changed from the first run to another: how sure that is, confusions, the prompt, the samples."""
    if sure := how_sure(compared, at):
        yield Text(sure, style=QUIET)
    if diff.errors_moved:
        yield Text("")
        yield _errors_moved(diff)
    prompts = compared.prompt_diffs[at]
    yield Text("")
    if prompts is None:
        yield Text("prompt: no diff, because not both runs were made with a prompt", style=QUIET)
    else:
        yield from prompt_report(prompts, full)
    changes = {kind: getattr(diff, kind) for kind in STYLES}
    total = sum(map(len, changes.values()))
    if hint := _repeat_hint(compared, at, total):
        yield Text("")
        yield Text(hint, style=QUIET)
    if view.only is not None and not total:
        yield Text("")
        yield Text(_none(view.only, diff), style=QUIET)
    narrowed = view.label is not None or view.only is not None
    for kind, found in changes.items():
        if full or (narrowed and total <= FEW):
            pair = compared.runs[0], compared.runs[at + 1]
            names = compared.names[0], compared.names[at + 1]
            yield from samples_in_full(found, kind, pair, names, compared.samples, limit, MORE)
        else:
            yield from sample_changes(
                found, kind, compared.comparison.space, compared.samples, limit, MORE, view.label is not None
            )


def _none(only: str, diff: Diff) -> str:
    """Return that no sample changed in the one way that was asked for."""
    if only == "unstable" and diff.repeats == 1:
        return "no run has repeats, so it is not known which samples are unstable"
    return {"fixed": "no sample was fixed", "unstable": "no sample is unstable"}.get(only, f"no sample {only}")


def _repeat_hint(compared: ComparedRuns, at: int, n_changed: int) -> str:
    """Return what a run with repeats would tell, where none was made and answers can differ from draw to draw."""
    prompt = compared.runs[at + 1].manifest.prompt
    drawn = any(not model.answers_alike for model in prompt.models)
    if not n_changed or compared.comparison.diffs[at].repeats > 1 or not drawn or prompt.path is None:
        return ""
    return f"Which of these change by themselves? harness run {one_line(str(prompt.path), 60)} --repeat 3 tells."


def diff_report(
    diff: Diff, space: LabelSpace, samples: Mapping[str, Sample], limit: int, more: str, verdict: Sequence[Text] = ()
) -> Iterator[RenderableType]:
    """Tell in short what changed between two runs: verdict, counts, where a change of F1 comes from, some samples.

    Args:
        diff: What changed.
        space: Orders the labels.
        samples: By id, all that `diff` tells of.
        limit: How many samples of a kind are listed.
        more: What to type to see the others.
        verdict: What can be said of it, see `harness.report.judged.verdict_lines`.
    """
    yield from verdict
    yield from _counts(diff, None)
    for kind in ("regressed", "fixed"):
        yield from sample_changes(getattr(diff, kind), kind, space, samples, limit, more)


def _counts(diff: Diff, label: str | None) -> Iterator[RenderableType]:
    """Count what changed: samples by kind, cells by how they flipped; and say what failures did to F1."""
    yield Text(f"{one_line(diff.before, 60)} → {one_line(diff.after, 60)}", style="bold")
    counts = (
        Text(counted(getattr(diff, kind), kind), style=style if getattr(diff, kind) else QUIET)
        for kind, style in STYLES.items()
    )
    yield Text("  ").join(counts).append("  " + _flips(diff), style=QUIET)
    if not diff.n_answered_by_both:
        yield Text("no sample was answered by both: what changed is failures, not answers", style=BAD)
    elif diff.cells["answer→failure"] or diff.cells["failure→answer"]:
        splits = {"macro F1": diff.macro_f1, "micro F1": diff.micro_f1}
        if label is not None:
            splits = {f"F1 of {one_line(label, 60)}": label_split(diff.labels[0])}
        for name, split in splits.items():
            misleads = split.total > 0 >= split.answered_by_both and more_failed(diff)
            yield Text(split_text(name, split, diff), style=BAD if misleads else "")


def _flips(diff: Diff) -> str:
    flips = [f"{name} {numbers.count(number)}" for name, number in diff.cells.items() if number]
    return "cells: " + ", ".join(flips) if flips else "no cell changed"


def _errors_moved(diff: Diff) -> RenderableType:
    """Return which labels are more and less often predicted where another one is missed."""
    gained = [each for each in diff.errors_moved if each.after > each.before]
    lost = [each for each in reversed(diff.errors_moved) if each.after < each.before]
    made = table("errors moved: missed", "predicted", "before", "now", "Δ", left=("errors moved: missed", "predicted"),
                 gives_way=("errors moved: missed", "predicted"))  # fmt: skip
    for found in (gained, lost):
        for each in found[:MOST_MOVED]:
            made.add_row(*_moved(each))
        made.add_section()
    rest = len(gained[MOST_MOVED:]), len(lost[MOST_MOVED:])
    words = ("more became more frequent", "more became less frequent")
    told = [f"{number} {word}" for number, word in zip(rest, words, strict=True) if number]
    return captioned(made, f"and {', '.join(told)}: in -o FILE.json") if any(rest) else made


def _moved(each: MovedError) -> tuple[str | Text, ...]:
    change_by = each.after - each.before
    return (
        Text("(nothing)", style=QUIET) if each.missed is None else named(each.missed),
        Text("(nothing)", style=QUIET) if each.predicted is None else named(each.predicted),
        numbers.count(each.before),
        numbers.count(each.after),
        Text(numbers.count_delta(change_by), style=BAD if change_by > 0 else "green"),
    )
