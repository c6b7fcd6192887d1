"""What prompts score on dev against test, as people see it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from harness.devtest import HeldOut, HeldOutRun
from harness.holdoutlog import Looks
from harness.overfitting import SCORES, Gap
from harness.report import numbers
from harness.report.files import markdown_cell, markdown_table
from harness.report.judged import SCORES as NAMES
from harness.report.looks import looks_line, looks_text
from harness.report.terminal import BAD, QUIET, captioned, change, named, table
from harness.report.text import one_line

MOST_LABELS = 6
"""Labels that are named in a line."""

COLUMNS = ("macro F1", "micro F1", "subset acc.")


def against_report(tested: HeldOut) -> RenderableType:
    """Return prompts on dev against test: a verdict each, a table, and how often test was looked at.

    Args:
        tested: With at least one run.
    """
    found = tested.runs
    parts: list[RenderableType] = [Text(_sides(found), style="bold")]
    parts += [
        Text(verdict_text(each), style=BAD if each.against.verdict == "overfitting to dev" else "") for each in found
    ]
    made = table("run", *COLUMNS, "samples", "looks", left=("run", *COLUMNS), gives_way=("run",))
    for each in found:
        against = each.against
        made.add_row(
            named(_name(each, found)),
            *(_cell(against.gaps[name]) for name in SCORES),
            f"{numbers.count(against.n_dev)} → {numbers.count(against.n_test)}",
            numbers.count(each.own_looks),
        )
    parts += [Text(""), captioned(made, *_captions(found))]
    parts += [Text(one_line(each, 400), style="yellow") for each in (*_cautions(found), *tested.notes)]
    parts += [looks_line(looks) for looks in _looks(found)]
    return Group(*parts)


def against_markdown(tested: HeldOut) -> str:
    """Return the same as Markdown; nothing where no prompt was tested."""
    found = tested.runs
    if not found:
        return ""
    rows = [
        [
            _name(each, found),
            *(_plain(each.against.gaps[name]) for name in SCORES),
            f"{numbers.count(each.against.n_dev)} → {numbers.count(each.against.n_test)}",
            numbers.count(each.own_looks),
        ]
        for each in found
    ]
    told = [*_captions(found), *_cautions(found), *tested.notes, *map(looks_text, _looks(found))]
    parts = [f"## {markdown_cell(_sides(found))}\n"]
    parts += [f"**{markdown_cell(verdict_text(each))}**\n" for each in found]
    parts += [markdown_table(["run", *COLUMNS, "samples", "looks"], rows)]
    parts += ["".join(f"- {markdown_cell(each)}\n" for each in told)]
    return "\n" + "\n".join(parts)


def verdict_text(of: HeldOutRun) -> str:
    """Return in a line what can be said of a prompt on dev against test."""
    against = of.against
    gap, verdict = against.gaps["macro_f1"], against.verdict
    name, split = one_line(of.name, 60), one_line(of.tested.manifest.split, 60)
    told = f"macro F1 {numbers.delta(gap.delta)} on {split}"
    told += f" ({_level(against.level)} {_interval(gap)})" if not math.isnan(gap.low) else ""
    if verdict == "overfitting to dev":
        return f"{name}: overfitting to {one_line(of.dev.manifest.split, 60)}: {told}"
    if verdict == "higher on test":
        return f"{name}: higher on {split}: {told}: the splits differ by more than chance"
    return f"{name}: {verdict}: {told}"


def _sides(found: Sequence[HeldOutRun]) -> str:
    pairs = dict.fromkeys(f"{each.dev.manifest.split} against {each.tested.manifest.split}" for each in found)
    return one_line(", ".join(pairs), 200)


def _name(of: HeldOutRun, found: Sequence[HeldOutRun]) -> str:
    """Return what a row is called: the run, with its locked split where there are several."""
    several = len({each.tested.manifest.split for each in found}) > 1
    return f"{of.name} on {of.tested.manifest.split}" if several else of.name


def _level(level: float) -> str:
    return numbers.percent(level).replace(".0 %", " %")


def _interval(gap: Gap) -> str:
    if math.isnan(gap.low):
        return numbers.DASH
    return f"{numbers.delta(gap.low)} to {numbers.delta(gap.high)}"


def _cell(gap: Gap) -> Text:
    text = Text.assemble(numbers.score(gap.dev), " → ", (numbers.score(gap.test), "bold"))
    sure = gap.high < 0 or gap.low > 0
    told = change(gap.delta) if sure else Text(numbers.delta(gap.delta), style=QUIET)
    return text.append("\n").append_text(told).append(f"\n{_interval(gap)}", style=QUIET)


def _plain(gap: Gap) -> str:
    return f"{numbers.score(gap.dev)} → {numbers.score(gap.test)}: {numbers.delta(gap.delta)} ({_interval(gap)})"


def _captions(found: Sequence[HeldOutRun]) -> Iterator[str]:
    several = len(found) > 1
    wider = f", wider because {numbers.count(len(found))} are looked at" if several else ""
    level = _level(found[0].against.level)
    yield f"Below each pair: the difference and its {level} interval{wider}; looks: at this very prompt"
    over = dict.fromkeys((each.against.labels, each.against.one_sided) for each in found)
    for labels, one_sided in over:
        mine = [each for each in found if (each.against.labels, each.against.one_sided) == (labels, one_sided)]
        whose = [_name(each, found) for each in mine]
        of = f"{one_line(', '.join(whose), 100)}: " if len(over) > 1 else ""
        left = ", ".join(one_line(name, 60) for name in one_sided[:MOST_LABELS])
        left += f" and {numbers.count(len(one_sided) - MOST_LABELS)} more" if len(one_sided) > MOST_LABELS else ""
        without = f", without {left}: gold on one side alone" if one_sided else ""
        yield f"{of}{NAMES['macro_f1']} over the {numbers.plural(len(labels), 'label')} with gold on both sides{without}"


def _cautions(found: Sequence[HeldOutRun]) -> list[str]:
    return [f"caution: {each}" for each in dict.fromkeys(told for run in found for told in run.against.cautions)]


def _looks(found: Sequence[HeldOutRun]) -> list[Looks]:
    return list({(each.looks.dataset, each.looks.split): each.looks for each in found}.values())
