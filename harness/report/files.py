"""Results as files, by extension: JSON for programs, CSV for spreadsheets, Markdown for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.callerrors import Failing
from harness.comparison import Diff
from harness.errors import UsageError, did_you_mean, listing
from harness.fieldscoring import FieldScore, token_f1
from harness.jsonfiles import write_bytes
from harness.metrics import NAN
from harness.probabilities import ProbabilityScores
from harness.records import FailureKind, GoldField, Prediction
from harness.report import numbers
from harness.report.text import csv_safe, json_text, visible
from harness.scoring import Scores
from harness.store import StoredRun

Rows = Sequence[Mapping[str, Any]]
FORMATS = (".json", ".jsonl", ".csv", ".md")
MOST_REASONS = 3
"""Reasons of failed calls that are told; what else there is stands in `harness failures --kind call_error`."""


def check_output(path: Path, formats: Sequence[str] = FORMATS) -> None:
    """Refuse an output file whose extension says no known format, before any work is done.

    Raises:
        UsageError: The extension is unknown, or the folder is not there.
    """
    kind = path.suffix.lower()
    if kind not in formats:
        raise UsageError(f"-o {path}: must end in {listing(formats)}, got '{kind}'.{did_you_mean(kind, formats)}")
    if not path.parent.is_dir():
        raise UsageError(f"-o {path}: the folder {path.parent} is not there. Make it first.")


def write_result(path: Path, value: Any, rows: Rows, markdown: Callable[[], str]) -> None:
    """Write a result in the format that the file's extension says.

    Args:
        path: Where; `check_output` has seen it.
        value: The result as plain values, for `.json`.
        rows: Its rows, for `.csv` and `.jsonl`.
        markdown: Its text, for `.md`.
    """
    kind = path.suffix.lower()
    if kind == ".json":
        text = json_text(value, indent=1) + "\n"
    elif kind == ".jsonl":
        text = "".join(json_text(row) + "\n" for row in rows)
    elif kind == ".csv":
        text = to_csv(rows)
    else:
        text = markdown()
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def to_csv(rows: Rows) -> str:
    """Return rows as CSV; lists are joined by ``; ``, and no cell is taken for a formula."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180; else a cell with a carriage return is not quoted
    writer.writerow([csv_safe(column) for column in columns])
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = "; ".join(str(each) for each in value)
    elif isinstance(value, Mapping):
        value = json_text(value)
    return csv_safe(value.replace("\x00", "\\x00")) if isinstance(value, str) else value


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, words: Sequence[str] = ()
) -> str:
    """Return a Markdown table; the first ``left`` columns and those called as in ``words`` are left-aligned."""
    rule = ["---" if at < left or name in words else "---:" for at, name in enumerate(header)]
    lines = [[markdown_cell(cell) for cell in header], rule, *([markdown_cell(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def markdown_cell(text: str) -> str:
    """Return outside text for Markdown: no markup of its own, one line."""
    flat = " ".join(visible(text).split())
    for character in "\\`*_[]<>|~#$&!":
        flat = flat.replace(character, f"\\{character}")
    return flat


FIELD_COLUMNS = (
    "field", "support", "answered", "accuracy", "exact", "normalized", "token F1", "macro F1", "most frequent",
)  # fmt: skip


def field_cells(row: FieldScore) -> list[str]:
    """Return what stands behind a field's name in a table of fields, as `FIELD_COLUMNS` says."""
    scores = (row.accuracy, row.exact, row.normalized, row.token_f1, row.macro_f1, row.most_frequent)
    return [numbers.count(row.support), numbers.count(row.answered), *map(numbers.score, scores)]


def prediction_rows(run: StoredRun) -> list[dict[str, Any]]:
    """Return one row a prediction: id, gold, labels, failure, off-list answers and fields.

    Where fields were asked for that have gold, that stands there too, and the token F1 of those that are texts.
    """
    index = run.manifest.space.index
    fields_by_id = {sample.id: sample.fields for sample in run.samples}
    rows = []
    for prediction in run.predictions:
        row = prediction.to_json(index, run.gold[prediction.sample])
        row = {key: value for key, value in row.items() if key != "asked_fields"}
        rows.append(row | _gold_of_fields(run, prediction, fields_by_id[prediction.sample]))
    return rows


def _gold_of_fields(run: StoredRun, prediction: Prediction, fields: Mapping[str, GoldField]) -> dict[str, Any]:
    gold = {name: fields[name] for name in prediction.asked_fields if name in fields}
    texts = {each.name for each in run.manifest.space.fields if each.type == "text"}
    token_f1s = {
        name: round(token_f1(wanted, prediction.fields[name]), 6) if name in prediction.fields else 0.0
        for name, wanted in gold.items()
        if name in texts
    }
    shown = {name: list(wanted) if isinstance(wanted, tuple) else wanted for name, wanted in gold.items()}
    return ({"gold_fields": shown} if gold else {}) | ({"token_f1": token_f1s} if token_f1s else {})


def run_markdown(run: StoredRun, scores: Scores, diff: Diff | None) -> str:
    """Return a run's scores as Markdown."""
    manifest = run.manifest
    about = [numbers.plural(scores.n_samples, "sample"), " + ".join(manifest.models), f"run {manifest.id}"]
    about += [f"mean of {manifest.repeats} repeats"] if manifest.repeats > 1 else []
    about += [manifest.state] if manifest.state != "complete" else []
    title = f"{manifest.version} on {manifest.dataset} {manifest.split}"
    parts = [f"## {markdown_cell(title)}\n", markdown_cell(", ".join(about)) + "\n"]
    header = ["", "macro F1", "micro F1", "subset accuracy", "coverage"]
    rows = [["all samples", *(numbers.score(value) for value in list(scores.headline.values())[:3])]]
    rows[0].append(numbers.percent(scores.coverage))
    if diff is not None:
        rows.append([f"change against {diff.before}", *(numbers.delta(value) for value in diff.headline.values())])
    parts.append(markdown_table(header, rows))
    labels = [
        [
            row.label,
            numbers.count(row.support),
            numbers.count(row.predicted),
            *(numbers.score(value) for value in (row.precision, row.recall, row.f1)),
        ]
        for row in scores.labels
    ]
    parts.append(markdown_table(["label", "support", "predicted", "precision", "recall", "F1"], labels))
    if scores.fields:
        fields = [[row.field, *field_cells(row)] for row in scores.fields]
        parts.append(markdown_table(FIELD_COLUMNS, fields))
    if scores.probabilities is not None:
        parts.append(probabilities_markdown(scores.probabilities))
    failures = [[str(kind), str(number)] for kind, number in scores.failures.items() if number]
    if failures:
        parts.append(markdown_table(["without an answer", "samples"], failures))
    if scores.failures[FailureKind.CALL_ERROR] and run.call_errors:
        parts.append(call_errors_markdown(run.call_errors))
    return "\n".join(parts)


def call_errors_markdown(call_errors: Sequence[Failing]) -> str:
    """Return why calls failed as a Markdown table, the commonest reason first."""
    rows = [
        [str(each.reason.status or each.reason.kind), each.reason.message, numbers.count(each.calls)]
        for each in call_errors[:MOST_REASONS]
    ]
    return markdown_table(["call error", "message", "calls"], rows, left=2)


def probabilities_markdown(scores: ProbabilityScores) -> str:
    """Return the averages of a run's probabilities, and their reliability, as Markdown tables."""
    averages = scores.averages
    over = [numbers.count(averages.macro_labels), numbers.percent(averages.coverage)]
    macro = (averages.macro_auroc, averages.macro_average_precision, averages.macro_brier_loss, NAN)
    micro = (
        averages.micro_auroc,
        averages.micro_average_precision,
        averages.micro_brier_loss,
        averages.calibration_error,
    )
    rows = [
        ["macro average", *map(numbers.score, macro), over[0], ""],
        ["all cells", *map(numbers.score, micro), "", over[1]],
    ]
    table = markdown_table(["probabilities", "AUROC", "AP", "Brier loss", "ECE", "labels", "cells"], rows)
    bins = [
        [
            f"{each.lower:.1f} to {each.upper:.1f}",
            numbers.count(each.n),
            numbers.score(each.mean_probability),
            numbers.score(each.share_positive),
        ]
        for each in scores.bins
        if each.n
    ]
    return f"{table}\n{markdown_table(['probability', 'cells', 'mean', 'gold'], bins)}"


def rows_markdown(title: str, rows: Rows) -> str:
    """Return rows as a Markdown table under a title."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[str(_cell(row.get(column))) for column in columns] for row in rows]
    return f"## {markdown_cell(title)}\n\n" + (markdown_table(columns, cells, left=len(columns)) if rows else "None.\n")
