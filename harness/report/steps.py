"""What each pass made of a sample, as a table in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from harness.errors import listing
from harness.report.changes import label_list
from harness.report.terminal import BAD, QUIET, captioned, table
from harness.report.text import one_line
from harness.samplesteps import PassStep, SampleSteps

LONGEST_NAME = 40
LONGEST_WHY = 60
MOST_UNITS = 4
"""Labels or groups that are named whose answers could not be used."""

OTHERWISE = "Read as the run's prompt says; harness score has read it otherwise since"


def steps_table(found: SampleSteps) -> RenderableType:
    """Return a row for each pass: what it answered, and what stood then."""
    made = table(
        "pass", "answered", "then it is", left=("pass", "answered", "then it is"), gives_way=("answered", "then it is")
    )
    for each in found.passes:
        made.add_row(one_line(each.name, LONGEST_NAME), _answered(each), _after(each))
    return made if found.is_stored else captioned(made, OTHERWISE)


def _answered(each: PassStep) -> Text:
    if not each.asked:
        why = "" if each.when is None else f": {one_line(each.when, LONGEST_WHY)}"
        return Text(f"(not asked{why})", style=QUIET)
    parts = []
    if each.answered is not None:
        parts.append(("groups: " if each.is_gate else "") + label_list(each.answered))
    text = Text("; ".join([*parts, *_unused(each)]))
    if each.lost:
        text.append(f"; leaves out {label_list(each.lost)}", style=BAD)
    return text


def _unused(each: PassStep) -> Iterator[str]:
    for unused in each.unused:
        about = f" for {one_line(listing(unused.units, MOST_UNITS), LONGEST_WHY)}" if unused.units else ""
        yield f"{unused.kind}{about}: {one_line(unused.why, LONGEST_WHY)}"


def _after(each: PassStep) -> Text:
    if not each.after and each.unanswered:
        return Text("(open)", style=QUIET)
    text = Text(label_list(each.after))
    if each.unanswered:
        text.append(f" (open: {label_list(each.unanswered, MOST_UNITS)})", style=QUIET)
    return text
