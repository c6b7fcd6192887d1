"""Probabilities and thresholds in the terminal: how well they rank, how true they are, and what a calibration found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.calibrating import Calibrated
from harness.calibration import LEAST_SUPPORT, Calibration, LabelThreshold
from harness.probabilities import Bin, ProbabilityScores
from harness.report import numbers
from harness.report.terminal import BAD, GOOD, QUIET, bar, captioned, change, named, next_steps, table
from harness.report.text import one_line
from harness.thresholds import EQUAL, METRICS


def probability_table(scores: ProbabilityScores) -> Table:
    """Return the averages: over labels, and over all cells as one."""
    averages = scores.averages
    made = table(
        "probabilities", "AUROC", "AP", "Brier loss", "ECE", " ", left=("probabilities", " "), gives_way=(" ",)
    )
    made.add_row(
        Text("macro average", style=QUIET),
        numbers.score(averages.macro_auroc),
        numbers.score(averages.macro_average_precision),
        numbers.score(averages.macro_brier_loss),
        "",
        Text(f"over {numbers.plural(averages.macro_labels, 'label')} with and without gold", style=QUIET),
    )
    made.add_row(
        Text("all cells", style=QUIET),
        numbers.score(averages.micro_auroc),
        numbers.score(averages.micro_average_precision),
        numbers.score(averages.micro_brier_loss),
        numbers.score(averages.calibration_error),
        Text(f"{numbers.plural(averages.n, 'cell')}, {numbers.percent(averages.coverage)} of all", style=QUIET),
    )
    return made


def label_probabilities(scores: ProbabilityScores) -> Table:
    """Return one row a label: its cells with a probability, the gold ones among them, and how well they are ranked."""
    made = table("label", "cells", "gold", "AUROC", "AP", "Brier loss", left=("label",), gives_way=("label",))
    for row in scores.labels:
        ranks = (row.auroc, row.average_precision, row.brier_loss)
        made.add_row(named(row.label), numbers.count(row.n), numbers.count(row.support), *map(numbers.score, ranks))
    return made


def reliability_table(bins: Sequence[Bin]) -> RenderableType:
    """Return the reliability table: in each bin that has cells what was said, and what was so, with a bar of it."""
    made = table("probability", "cells", "mean", "gold", " ", left=("probability", " "))
    for each in (each for each in bins if each.n):
        made.add_row(
            f"{each.lower:.1f} to {each.upper:.1f}",
            numbers.count(each.n),
            numbers.score(each.mean_probability),
            numbers.score(each.share_positive),
            bar(each.share_positive),
        )
    return captioned(made, "Where probabilities can be taken at their word, the share that is gold is their mean.")


def calibration_report(calibrated: Calibrated) -> list[RenderableType]:
    """Return what a person sees of a calibration: what to expect, what each label gets, and how true probabilities are."""
    found, manifest = calibrated.calibration, calibrated.run.manifest
    words = METRICS[found.metric].words
    title = Text.assemble(
        (one_line(manifest.version, 200), "bold"),
        f" on {manifest.dataset} {manifest.split} · thresholds for {words} · "
        f"{numbers.plural(found.n_samples, 'sample')} · {found.folds} folds, seed {found.seed}",
        (f" · {manifest.id}", QUIET),
    )
    parts: list[RenderableType] = [title, Text(""), _scores(found, words), Text("")]
    parts += [_verdict(found, words), *(Text(f"note: {note}", style=QUIET) for note in calibrated.notes)]
    parts += [Text(""), _label_thresholds(found)]
    if calibrated.probabilities is not None:
        parts += [Text(""), probability_table(calibrated.probabilities)]
        parts += [Text(""), reliability_table(calibrated.probabilities.bins)]
    return parts


def calibration_steps(calibrated: Calibrated) -> list[RenderableType]:
    """Return what to type next."""
    if calibrated.next_command is None:
        return []
    return [
        next_steps([calibrated.next_command]),
        Text("  Its calls are the same, so their answers come from the cache."),
    ]


def _scores(found: Calibration, words: str) -> Table:
    made = table("thresholds", words, "change", " ", left=("thresholds", " "), gives_way=(" ",))
    made.add_row("now", numbers.score(found.now), "", "")
    without = Text("for every sample: takes no probability", style=QUIET)
    made.add_row("every label, or none", numbers.score(found.constant), change(found.constant - found.now), without)
    for name, value, told in (
        ("found, by cross-validation", found.out_of_fold, "what to expect on other samples"),
        ("found, in sample", found.in_sample, "optimistic: on the samples they were found on"),
    ):
        made.add_row(name, numbers.score(value), change(value - found.now), Text(told, style=QUIET))
    return made


def _verdict(found: Calibration, words: str) -> Text:
    before, after = numbers.score(found.now), numbers.score(found.out_of_fold)
    if not found.helps:
        fitted = " What they gain in sample is fitted to these samples." if found.in_sample > found.now + EQUAL else ""
        return Text(f"Not better: by cross-validation {words} is {after}, and {before} now.{fitted}", style=BAD)
    told = f"By cross-validation {words} goes from {before} to {after}"
    without = f"{numbers.score(found.constant)} by the same answer for every sample"
    if not found.ranks:
        return Text(f"{told}, but to {without}: these probabilities say too little.", style=BAD)
    return Text(f"{told}, and to {without}." if found.constant > found.now else f"{told}.", style=GOOD)


def _label_thresholds(found: Calibration) -> RenderableType:
    names = ("label", "support", "threshold\nnow", "threshold\nfound", "F1\nnow", "F1 by\ncross-val.", "change")
    made = table(*names, left=("label",), gives_way=("label",))
    for row in found.labels:
        delta = row.f1_out_of_fold - row.f1_now
        made.add_row(
            named(row.label),
            numbers.count(row.support),
            _number(row.now),
            Text.assemble(_number(row.found), ("*" if _is_global(row) else " ")),
            numbers.score(row.f1_now),
            numbers.score(row.f1_out_of_fold),
            change(delta),
        )
    lines = []
    if any(map(_is_global, found.labels)):
        why = "" if found.one_threshold else f", for labels with fewer than {LEAST_SUPPORT} gold samples"
        lines.append(f"* the global threshold{why}")
    if any(row.now is None for row in found.labels):
        lines.append("Without a threshold now: the words of the answer decide.")
    return captioned(made, *lines)


def _is_global(row: LabelThreshold) -> bool:
    return row.found is not None and not row.own


def _number(value: float | None) -> str:
    return numbers.DASH if value is None or math.isnan(value) else f"{value:g}"
