"""Markdown tables in an answer: rows of labels with what is said of each become lines as a list has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from harness.regexes import regex

_RULE = regex(r":?-+:?")
_NUMBER_SIGN = regex(r"(?:#|no\.?|nr\.?|number)", re.IGNORECASE)
_LABELS = regex(
    r"\b(?:labels?|categor(?:y|ies)|tags?|topics?|themes?|class(?:es)?|complaints?|issues?|etiquetas?|kategorien?)\b|标签|ラベル",
    re.IGNORECASE,
)
_DENYING = regex(r"\b(?:not|no|non|without|excluded|irrelevant|absent|rejected)\b|n['’]t\b", re.IGNORECASE)
_DASHES = " -–—.…"


def without_tables(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a text; a table's rows as "first cell: second cell - third cell", its head and rule left out.

    Only a table is meant that has a rule under its head, whose first column (behind one of numbers) is headed as one of
    labels and no other as what does not apply, and in whose rows no cell is empty or a mere dash: that may say that a
    label does not apply. All else stays as it is.
    """
    position = 0
    while position < len(lines):
        head, end = _cells(lines[position]), position + 1
        if head and _is_rule(lines[end : end + 1]):
            rows = []
            end += 1
            while end < len(lines) and len(cells := _cells(lines[end])) == len(head):
                rows.append(cells)
                end += 1
            yield from _read(head, rows) or lines[position:end]
        else:
            yield lines[position]
        position = end


def _is_rule(lines: Sequence[str]) -> bool:
    cells = _cells(lines[0]) if lines else []
    return bool(cells) and all(map(_RULE.fullmatch, cells))


def _cells(line: str) -> list[str]:
    """Return the cells of a table's row, trimmed; empty for any other line."""
    line = line.strip()
    is_row = len(line) > 2 and line.startswith("|") and line.endswith("|")
    return [cell.strip() for cell in line[1:-1].split("|")] if is_row else []


def _read(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's rows as lines; empty when it is none of labels."""
    first = 1 if len(head) > 1 and _NUMBER_SIGN.fullmatch(head[0]) else 0
    # Of two columns of labels nobody knows what each of them is for.
    of_labels = [at for at, cell in enumerate(head) if _LABELS.search(cell)]
    if of_labels != [first] or any(map(_DENYING.search, head[first:])):
        return []
    if not all(cell.strip(_DASHES) for row in rows for cell in row[first:]):
        return []
    return [": ".join([row[first], *([" - ".join(row[first + 1 :])] if row[first + 1 :] else [])]) for row in rows]
