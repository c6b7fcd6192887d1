"""A search for exceptions in the terminal: where the errors are, what catches them, and whether that is worth a pass."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.drafting import Drafted
from harness.exceptionsearch import Exceptions
from harness.labeltriggers import WIDEST
from harness.report import numbers
from harness.report.exceptiontables import (
    LONGEST,
    Sheet,
    choice_sheet,
    front_sheet,
    label_sheet,
    site_sheets,
    trigger_sheet,
)
from harness.report.exceptionwords import bound_line, title_line, verdict_line
from harness.report.terminal import BAD, GOOD, QUIET, captioned, next_steps, table
from harness.report.text import one_line
from harness.triggersearch import Settings

MOST_TRIGGERS = 8

MOST_LABELS = 3
"""Labels for which the next command is told."""

STYLES = {"worth": GOOD, "not worth": BAD, "too few to tell": "yellow"}


def exceptions_report(found: Exceptions, limit: int = MOST_TRIGGERS) -> list[RenderableType]:
    """Return what a person sees.

    Args:
        found: What was found.
        limit: Triggers in their table.
    """
    parts: list[RenderableType] = [Text(one_line(title_line(found), 400), style="bold")]
    parts += [Text(f"note: {one_line(note, 1000)}", style=QUIET) for note in found.notes]
    parts += [Text(""), _heading("Where the errors are, in the searched half"), Text(_wrong_line(found))]
    for sheet in site_sheets(found.sites):
        parts += [Text(""), sheet_table(sheet)]
    parts += _triggers(found, limit)
    parts += [Text(""), Text(verdict_line(found), style=STYLES[found.search.verdict])]
    if bound := bound_line(found):
        parts.append(Text(bound, style=QUIET))
    if found.by_label:
        parts += [Text(""), _heading("Label by label"), Text(""), sheet_table(label_sheet(found))]
    return parts


def _triggers(found: Exceptions, limit: int) -> Iterator[RenderableType]:
    result = found.search
    yield from (Text(""), _heading("What would send them to a second pass"))
    if not result.ranked:
        yield Text("No expression sends enough samples with more errors than the others.", style=QUIET)
        return
    yield from (Text(""), sheet_table(trigger_sheet(found, limit)))
    if len(result.front) > 1:
        yield from (Text(""), Text("What a price buys:"), sheet_table(front_sheet(found)))
    if result.chosen is not None:
        budget = numbers.percent(found.settings.budget)
        yield from (Text(""), Text(f"Chosen for a budget of {budget} of the samples:"))
        yield Text(f"  {one_line(result.chosen.expression, 2000)}", style="bold")
        yield from (Text(""), sheet_table(choice_sheet(found, result.chosen)))


def _wrong_line(found: Exceptions) -> str:
    sites = found.sites
    wrong = f"{numbers.count(sites.wrong)} of {numbers.plural(sites.n_samples, 'sample')} are wrong"
    return (
        f"{wrong}: {numbers.plural(sites.cells, 'wrong cell')}, {numbers.count(sites.unanswered)} of them unanswered."
    )


def _heading(text: str) -> Text:
    return Text(text, style="bold underline")


def sheet_table(sheet: Sheet) -> RenderableType:
    """Return a table for the terminal: numbers are never cut, words go on in the next line."""
    made: Table = table(*sheet.columns, left=sheet.left, gives_way=sheet.left)
    for row in sheet.rows:
        made.add_row(*(Text(_cell(cell)) for cell in row))
    return captioned(made, *sheet.notes)


def _cell(text: str) -> str:
    """Return outside text on one line; leading spaces are ours."""
    inside = text.lstrip(" ")
    return " " * (len(text) - len(inside)) + one_line(inside, LONGEST)


def draft_report(drafted: Drafted, name: str) -> list[RenderableType]:
    """Return what is said of a draft: what it is made of, and what to type next."""
    new = drafted.new
    labels = ", ".join(one_line(each, LONGEST) for each in new.scope)
    lines = [f"pass {one_line(new.name, LONGEST)}: {new.style}, merged by {new.errors.how}, about {labels}"]
    if drafted.shots is not None:
        aside = f", set aside from the split: {', '.join(drafted.set_aside)}" if drafted.set_aside else ""
        lines.append(f"{numbers.plural(drafted.n_shots, 'worked example')} in {drafted.shots.name}{aside}")
    else:
        lines.append(new.about_shots)
    lines.append("Search it for WRITE HERE: what tells the labels apart is for a person to say.")
    steps = [
        f"harness check {drafted.written} --show",
        drafted.next_command,
        f"harness compare {name} {drafted.written.stem}",
    ]
    return [*(Text(line, style=QUIET) for line in lines), next_steps(steps)]


def search_steps(found: Exceptions, name: str) -> list[RenderableType]:
    """Return what to type next where nothing was drafted; ``name`` is what to type for the run."""
    again = f"harness exceptions {name}"
    steps = [f"{again}{_options(found)} -o exceptions.md"]
    if found.sites.labels:
        label = found.sites.labels[0].label
        steps.append(f"harness failures {name} --label {one_line(shlex.quote(label), LONGEST)}")
    if found.next_file is not None:
        new = shlex.quote(str(found.next_file))
        by_label = [] if found.search.verdict == "worth" else found.worth_by_label[:MOST_LABELS]
        if found.search.chosen is not None and found.search.verdict != "not worth" and not by_label:
            steps.append(f"{again}{_options(found)} --write {new}")
        steps += [f"{again}{_options(_about(found, label))} --write {new}" for label in by_label]
    return [next_steps(steps)]


def _about(found: Exceptions, label: str) -> Exceptions:
    """Return the same as if one label had been named, with the budget that its trigger may need."""
    budget = max(found.settings.budget, WIDEST)
    return replace(found, labels=(label,), settings=replace(found.settings, budget=budget))


def _options(found: Exceptions) -> str:
    """Return the options of the command that searches just so."""
    settings, manifest = found.settings, found.run.manifest
    words = [f" --label {one_line(shlex.quote(each), LONGEST)}" for each in found.labels]
    if settings.budget != Settings().budget:
        words.append(f" --budget {settings.budget * 100:g}%")
    if settings.seed and manifest.prompt.searched_on(manifest.split) is None:
        words.append(f" --seed {settings.seed}")
    return "".join(words)
