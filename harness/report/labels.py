"""What a run does to its labels, in the terminal and as files: see `harness.labelanalysis`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.labelanalysis import CARDINALITIES, LabelAnalysis, LabelPair, RuleCheck
from harness.report import numbers
from harness.report.files import markdown_cell, markdown_table
from harness.report.terminal import BAD, NARROW, QUIET, captioned, console, named, table
from harness.report.text import one_line
from harness.store import Manifest

MOST_IN_MATRIX = 12
"""Labels up to which the confusions are shown as a matrix."""

MOST_IDS = 5
"""Ids that are shown in a cell."""

NOTHING = "nothing"


def labels_title(manifest: Manifest, analysis: LabelAnalysis, label: str | None = None) -> str:
    """Return what the analysis is of, as a line."""
    about = [f"{manifest.version} on {manifest.dataset} {manifest.split}"]
    about += [f"label {label}"] if label else []
    about += [numbers.plural(analysis.n_samples, "sample")]
    about += [f"mean of {analysis.n_repeats} repeats"] if analysis.n_repeats > 1 else []
    return " · ".join([*about, manifest.id])


def labels_report(analysis: LabelAnalysis, title: str, limit: int, label: str | None = None) -> list[RenderableType]:
    """Return what a person sees of the analysis.

    Args:
        analysis: The analysis; of one label the part that is about it.
        title: The line at the top.
        limit: Rows of a list of pairs or of ids.
        label: The label that it is about; None: all.
    """
    parts: list[RenderableType] = [Text(one_line(title, 400), style="bold")]
    if label is None:
        parts += [Text(""), cardinality_table(analysis)]
    parts += [Text(""), bias_table(analysis)]
    if label is None and len(analysis.names) <= MOST_IN_MATRIX:
        parts += [Text(""), confusion_matrix(analysis)]
    parts += [Text(""), confusion_list(analysis, limit), Text(""), pair_table(analysis, limit)]
    parts += [Text(""), rule_table(analysis)] if analysis.rules else []
    return parts


def cardinality_table(analysis: LabelAnalysis) -> RenderableType:
    """Return how many labels samples have, in gold and predicted."""
    found = analysis.cardinality
    made = table("labels per sample", "mean", *CARDINALITIES, "unanswered", left=("labels per sample",))
    made.add_row("gold", numbers.score(found.gold), *map(numbers.count, found.gold_samples), "")
    predicted = [numbers.count(each) for each in (*found.predicted_samples, found.unanswered)]
    made.add_row("predicted", numbers.score(found.predicted), *predicted)
    return captioned(made, *_cardinality_lines(analysis))


def _cardinality_lines(analysis: LabelAnalysis) -> Iterator[str]:
    found = analysis.cardinality
    answered = numbers.plural(found.answered, "answered sample")
    fewer, as_many, more = (numbers.count(each) for each in (found.fewer, found.as_many, found.more))
    yield f"Of {answered} {fewer} have fewer labels than gold, {as_many} as many, {more} more."
    if found.unanswered:
        means = [numbers.score(each) for each in (found.answered_predicted, found.answered_gold)]
        yield f"An unanswered cell counts as no label; answered samples alone: {means[0]} predicted, {means[1]} gold."


def bias_table(analysis: LabelAnalysis) -> RenderableType:
    """Return one row a label: how often it is predicted for how often it is gold, and its two kinds of errors."""
    lost = any(row.unanswered for row in analysis.labels)
    names = ["label", "support", "predicted", "predicted/\nsupport", "missed", "alone", "added", " alone"]
    made = table(*names, *(["unanswered"] if lost else []), left=("label",), gives_way=("label",))
    for row in analysis.labels:
        errors = (row.missed, row.missed_alone, row.added, row.added_alone, *((row.unanswered,) if lost else ()))
        counts = [numbers.count(row.support), numbers.count(row.predicted), numbers.score(row.ratio)]
        made.add_row(named(row.label), *counts, *map(numbers.count, errors))
    return captioned(
        made,
        "missed: gold, answered and not predicted; added: predicted and not gold;",
        "alone: no other label was added, or missed, in the sample",
    )


def confusion_matrix(analysis: LabelAnalysis) -> RenderableType:
    """Return the confusion as a matrix of missed × added; where the names do not fit, the columns are numbers."""
    made = _matrix(analysis, [one_line(name, 40) for name in analysis.names])
    out = console(io.StringIO())
    if Measurement.get(out, out.options.update(max_width=100 * NARROW), made).maximum > NARROW:
        made = _matrix(analysis, [str(at + 1) for at in range(len(analysis.names))], numbered=True)
    return captioned(made, "Samples in which a label was missed (row) and another one added (column).")


def _matrix(analysis: LabelAnalysis, columns: Sequence[str], numbered: bool = False) -> Table:
    made = table("missed ↓  added →", *columns, NOTHING, left=("missed ↓  added →",), gives_way=("missed ↓  added →",))
    for at, (name, row) in enumerate(zip((*analysis.names, NOTHING), analysis.confusion, strict=True)):
        head = Text(f"{at + 1} " if numbered and at < len(analysis.names) else "", style=QUIET)
        head.append_text(named(name, "" if at < len(analysis.names) else QUIET))
        made.add_row(head, *(_cell(value, same=column == at) for column, value in enumerate(row)))
    return made


def _cell(value: float, same: bool) -> Text:
    """Return a count; none is a quiet dot, so that the others stand out, and what cannot be is empty."""
    return Text("" if same else numbers.count(value) if value else "·", style="" if value else QUIET)


def confusion_list(analysis: LabelAnalysis, limit: int) -> RenderableType:
    """Return the pairs of labels that are confused, the most frequent first."""
    if not analysis.confusions:
        return Text("No label was missed where another one was added.", style=QUIET)
    words = ("missed", "added", "such as")
    made = table("missed", "added", "samples", "such as", left=words, gives_way=words)
    listed = [_listed(each.samples) for each in analysis.confusions[:limit]]
    longest = max((len(ids) for ids in listed), default=0)
    made.columns[3].min_width = min(16, longest)  # long names go on in the next line, so that the ids stay
    for each, ids in zip(analysis.confusions, listed, strict=False):
        made.add_row(named(each.missed), named(each.added), numbers.count(each.n), ids)
    return captioned(made, *_rest(len(analysis.confusions) - limit))


def pair_table(analysis: LabelAnalysis, limit: int) -> RenderableType:
    """Return the pairs of labels that stand together more or less often than in gold."""
    differing = [each for each in analysis.pairs if each.difference]
    if not differing:
        return Text("Labels stand together as often as in gold.", style=QUIET)
    names = ("together", "gold", "predicted", "Δ", "lift in\ngold", "lift in\npredictions")
    made = table(*names, left=("together",), gives_way=("together",))
    for each in differing[:limit]:
        made.add_row(Text(_pair(each)), *_pair_cells(each))
    lines = ["lift: how much more often than by chance; 1 is by chance", *_rest(len(differing) - limit)]
    return captioned(made, *lines)


def rule_table(analysis: LabelAnalysis) -> Table:
    """Return one row a rule: how often gold and the predictions break it, and where."""
    names = ("rule", "broken\nby gold", "broken by\npredictions", "such as")
    made = table(*names, left=("rule", "such as"), gives_way=("rule", "such as"))
    for each in analysis.rules:
        said = Text(numbers.count(each.n_predicted), style=BAD if each.predicted else QUIET)
        gold = Text(str(len(each.gold)), style=BAD if each.gold else QUIET)
        made.add_row(Text(one_line(str(each.rule), 400)), gold, said, _where(each))
    return made


def _pair(each: LabelPair) -> str:
    return " + ".join(one_line(name, 80) for name in each.labels)


def _pair_cells(each: LabelPair) -> list[str]:
    counts = (numbers.count(each.gold), numbers.count(each.predicted))
    return [
        *counts,
        numbers.count_delta(each.difference),
        numbers.score(each.gold_lift),
        numbers.score(each.predicted_lift),
    ]


def _listed(ids: Sequence[str], most: int = MOST_IDS) -> Text:
    shown = ", ".join(one_line(each, 40) for each in ids[:most])
    return Text(shown if len(ids) <= most else f"{shown} and {len(ids) - most} more", style=QUIET)


def _where(each: RuleCheck) -> Text:
    """Return ids of the samples that break a rule, by what breaks it."""
    found = [(what, ids) for what, ids in (("gold", each.gold), ("predictions", each.predicted)) if ids]
    return Text("; ").join(Text.assemble((f"{what}: ", QUIET), _listed(ids, 3)) for what, ids in found)


def _rest(n: int) -> Iterator[str]:
    if n > 0:
        yield f"and {numbers.plural(n, 'pair')} more: see --limit"


def confusion_rows(analysis: LabelAnalysis) -> list[dict[str, Any]]:
    """Return one row a confusion, the most frequent first; then what was missed or added alone, with the other empty."""
    rows = [
        {"missed": each.missed, "added": each.added, "samples": each.n, "ids": list(each.samples)}
        for each in analysis.confusions
    ]
    alone = [
        *((row.label, "", row.missed_alone) for row in analysis.labels),
        *(("", row.label, row.added_alone) for row in analysis.labels),
    ]
    return rows + [{"missed": missed, "added": added, "samples": n, "ids": []} for missed, added, n in alone if n]


def labels_markdown(analysis: LabelAnalysis, title: str) -> str:
    """Return the analysis as Markdown, with all its pairs."""
    found = analysis.cardinality
    parts = [f"## {markdown_cell(title)}\n"]
    counts = [
        ["gold", numbers.score(found.gold), *map(numbers.count, found.gold_samples), ""],
        ["predicted", numbers.score(found.predicted), *map(numbers.count, found.predicted_samples)],
    ]
    counts[1].append(numbers.count(found.unanswered))
    parts.append(markdown_table(["labels per sample", "mean", *CARDINALITIES, "unanswered"], counts))
    parts += [markdown_cell(line) + "\n" for line in _cardinality_lines(analysis)]
    labels = [
        [row.label, numbers.count(row.support), numbers.count(row.predicted), numbers.score(row.ratio)]
        + [numbers.count(each) for each in (row.missed, row.missed_alone, row.added, row.added_alone, row.unanswered)]
        for row in analysis.labels
    ]
    columns = ["label", "support", "predicted", "ratio", "missed", "alone", "added", "alone", "unanswered"]
    parts.append(markdown_table(columns, labels))
    confusions = [
        [each.missed, each.added, numbers.count(each.n), ", ".join(each.samples)] for each in analysis.confusions
    ]
    if confusions:
        parts.append(markdown_table(["missed", "added", "samples", "such as"], confusions, left=2, words=("such as",)))
    if pairs := [[" + ".join(each.labels), *_pair_cells(each)] for each in analysis.pairs if each.difference]:
        parts.append(markdown_table(["together", "gold", "predicted", "Δ", "lift in gold", "in predictions"], pairs))
    rules = [
        [
            str(each.rule),
            str(len(each.gold)),
            numbers.count(each.n_predicted),
            ", ".join(each.gold),
            ", ".join(each.predicted),
        ]
        for each in analysis.rules
    ]
    if rules:
        header = ["rule", "broken by gold", "by predictions", "gold", "predictions"]
        parts.append(markdown_table(header, rules, words=("gold", "predictions")))
    return "\n".join(parts)
