"""The history of prompt versions: one row a version, its note below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.history import History, Version
from harness.report import numbers
from harness.report.files import markdown_cell, markdown_table
from harness.report.judged import STYLES, word
from harness.report.terminal import BAD, QUIET, change, clipped, table
from harness.report.text import one_line

WIDEST_MODEL = 24
WIDEST_NAME = 24

COLUMNS = ("version", "parent", "n", "macro\nF1", "micro\nF1", "subset\nacc.", "cover-\nage", "Δ", "verdict", "cost", "date",
           "model")  # fmt: skip
LEFT = ("version", "parent", "verdict", "date", "model")


def history_report(found: History) -> RenderableType:
    """Return the versions in their order, each with its note, and with what a person should know of it."""
    if not found.versions:
        return Text("No runs and no prompts yet. Type: harness init")
    rows = [_cells(each) for each in found.versions]
    widths = _widths(rows)
    parts: list[RenderableType] = [_rows(widths, [], header=True)]
    if found.dataset is not None:
        title = f"{one_line(found.dataset, 60)}: every version, and what it changed"
        parts = [Text(title, style="bold"), Text(""), *parts]
    for each, cells in zip(found.versions, rows, strict=True):
        parts.append(_rows(widths, cells, header=False))
        for text, style in _below(each):
            parts.append(Padding(Text(one_line(text, 1_000), style=style), (0, 0, 0, 2)))
    if any(each.change for each in found.versions):
        told = "Δ and verdict: macro F1 against the parent, on the samples that both have"
        parts += [Text(""), Text(told, style=QUIET)]
    return Group(*parts)


def _cells(each: Version) -> list[str | Text]:
    scores = each.scores or {}
    against = each.change
    said = "" if against is None else word(against.macro_f1)
    return [
        Text(one_line(each.name, WIDEST_NAME), style="bold"),
        one_line(each.parent or "", WIDEST_NAME),
        numbers.count(each.n_samples) if each.run else "",
        *(numbers.score(scores[name]) if scores else "" for name in ("macro_f1", "micro_f1", "subset_accuracy")),
        numbers.percent(scores["coverage"]) if scores else "",
        change(against.macro_f1.delta) if against else "",
        Text(said, style=STYLES.get(said, "")),
        numbers.usd(each.cost_usd) if each.run and each.cost_usd is not None else "",
        (each.started or "")[:10],
        one_line(" + ".join(each.models), WIDEST_MODEL),
    ]


def _widths(rows: Sequence[Sequence[str | Text]]) -> list[int]:
    """Return how wide each column must be, so that tables of one row each stand in line."""
    header = [max(map(cell_len, name.split("\n"))) for name in COLUMNS]
    return [max(own, *(cell_len(str(row[at])) for row in rows)) for at, own in enumerate(header)]


def _rows(widths: Sequence[int], cells: Sequence[str | Text], header: bool) -> RenderableType:
    """Return the header, or one row, as a table of its own, so that a note can stand between two rows."""
    made = table(*COLUMNS, left=LEFT, gives_way=("model",))
    made.show_header = header
    made.padding = (0, 0, 0, 0)
    for column, width in zip(made.columns[:-1], widths, strict=False):
        column.width = width
    if cells:
        *first, model = cells
        made.add_row(*first, clipped(str(model), WIDEST_MODEL))
    return made


def _below(each: Version) -> list[tuple[str, str]]:
    """Return what stands below a version's row, with its style."""
    told = [(each.notes, "")] if each.notes.strip() else []
    if each.searched is not None:
        unseen = each.change.n_common if each.change is not None and each.change.unseen else None
        on = f": Δ and verdict on the {numbers.plural(unseen, 'sample')} that the search never saw" if unseen else ""
        told.append((f"{each.searched.words}{on}", QUIET))
    if each.status == "never run":
        told.append((f"never run: harness run {each.file}", QUIET))
    elif each.status == "incomplete":
        told.append((f"no complete run on the default split: {each.why}", "yellow"))
    elif each.status == "broken":
        told.append((f"cannot be read: {each.why}", BAD))
    elif each.status == "missing":
        told.append(("missing: there is neither a run nor a prompt file", BAD))
    elif each.why:
        told.append((f"not compared: {each.why}", "yellow"))
    if each.changed:
        told.append((f"{each.file} has changed since {each.run}", "yellow"))
    return told


def history_rows(found: History) -> list[dict[str, Any]]:
    """Return one row a version as plain columns, for CSV."""
    return [
        {
            "version": each.name,
            "status": each.status,
            "parent": each.parent,
            "run": each.run,
            "samples": each.n_samples if each.run else None,
            **{name: (each.scores or {}).get(name) for name in ("macro_f1", "micro_f1", "subset_accuracy", "coverage")},
            "common": None if each.change is None else each.change.n_common,
            "delta": None if each.change is None else each.change.macro_f1.delta,
            "low": None if each.change is None else each.change.macro_f1.low,
            "high": None if each.change is None else each.change.macro_f1.high,
            "p": None if each.change is None else each.change.macro_f1.p_corrected,
            "verdict": None if each.change is None else word(each.change.macro_f1),
            "regressed": None if each.change is None else each.change.regressed,
            "fixed": None if each.change is None else each.change.fixed,
            "models": list(each.models),
            "cost_usd": each.cost_usd,
            "started": each.started,
            "changed": each.changed,
            "notes": each.notes,
            "why": each.why,
        }
        for each in found.versions
    ]


def history_markdown(found: History) -> str:
    """Return the versions as a Markdown table, with the notes in its last column."""
    header = [*(name.replace("-\n", "").replace("\n", " ") for name in COLUMNS), "notes"]
    rows = []
    for each in found.versions:
        told = "; ".join(text for text, _ in _below(each))
        rows.append([*map(str, _cells(each)), told])
    return f"## {markdown_cell(f'History of {found.dataset}' if found.dataset else 'History')}\n\n" + markdown_table(
        header, rows, left=2, words=("verdict", "date", "model", "notes")
    )
