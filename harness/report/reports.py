"""Reports as files, by extension: a page, Markdown, label scores as CSV, everything as JSON, predictions as rows."""

from __future__ import annotations

from pathlib import Path

from harness.jsonfiles import write_bytes
from harness.report import numbers
from harness.report.changesmarkdown import comparison_markdown, verdict_markdown
from harness.report.files import FIELD_COLUMNS, field_cells, markdown_cell, markdown_table, to_csv
from harness.report.html import to_html
from harness.report.judged import SCORES, level
from harness.report.parquet import to_parquet
from harness.report.passesmarkdown import passes_markdown
from harness.report.sections import HEADLINE
from harness.report.text import json_text
from harness.reportdata import Report, failure_kinds

FORMATS = (".html", ".md", ".csv", ".json", ".jsonl", ".parquet")


def write_report(path: Path, report: Report) -> None:
    """Write a report in the format that the file's extension says; `files.check_output` has seen it.

    Raises:
        DataError: The disk refuses, or pyarrow is missing for ``.parquet``.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        write_bytes(path, to_parquet(path, report.prediction_rows(), report.space))
        return
    if kind == ".html":
        text = to_html(report)
    elif kind == ".md":
        text = to_markdown(report)
    elif kind == ".csv":
        text = to_csv([row.to_row() for row in report.labels])
    elif kind == ".json":
        text = json_text(report.to_json(), indent=1) + "\n"
    else:
        text = "".join(json_text(row) + "\n" for row in report.prediction_rows())
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def to_markdown(report: Report) -> str:
    """Return headline, labels and failures of the run, and what changed from the baseline, as Markdown."""
    manifest, scores = report.run.manifest, report.scores
    about = [numbers.plural(scores.n_samples, "sample"), " + ".join(manifest.models), f"run {manifest.id}"]
    about += [manifest.state] if manifest.state != "complete" else []
    parts = [f"## {markdown_cell(report.title)}\n", markdown_cell(", ".join(about)) + "\n"]
    parts += verdict_markdown(report.compared, 0) if report.compared is not None else []
    notes = [*report.own_notes, *(report.cautions if report.compared is None else ())]  # the comparison tells its own
    parts += ["".join(f"- {markdown_cell(each)}\n" for each in notes)] if notes else []
    parts += [_headline(report), _labels(report)]
    if scores.fields:
        parts.append(markdown_table(FIELD_COLUMNS, [[row.field, *field_cells(row)] for row in scores.fields]))
    if kinds := failure_kinds(scores):
        rows = [[str(kind), str(n)] for kind, n in kinds.items()]
        parts.append(markdown_table(["without an answer", "samples"], rows))
    if report.passes is not None:
        parts.append(passes_markdown(report.passes))
    if report.compared is not None:
        parts.append(comparison_markdown(report.compared, verdicts=False))
    return "\n".join(parts)


def _headline(report: Report) -> str:
    rows = []
    for name in HEADLINE:
        value, ends = report.scores.headline[name], report.judgement.runs[0].averages[name]
        shown = numbers.percent if name == "coverage" else numbers.score
        rows.append([SCORES[name], shown(value), f"{shown(ends.low)} to {shown(ends.high)}"])
    return markdown_table(["score", "value", f"{level(report.judgement.settings)} interval"], rows)


def _labels(report: Report) -> str:
    header = ["label", "support", "predicted", "precision", "recall", "F1", "interval"]
    rows = []
    for each in report.labels:
        score = each.score
        counts = [numbers.count(score.support), numbers.count(score.predicted)]
        scores = [numbers.score(value) for value in (score.precision, score.recall, score.f1)]
        rows.append([score.label, *counts, *scores, f"{numbers.score(each.low)} to {numbers.score(each.high)}"])
    return markdown_table(header, rows)
