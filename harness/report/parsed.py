"""Pasted outputs and what each became, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.labelspace import LabelSpace
from harness.parsing import Output
from harness.pasted import Pasted, tally
from harness.records import Answer, ParseFailure
from harness.report import numbers
from harness.report.changes import label_list
from harness.report.terminal import BAD, GOOD, QUIET
from harness.report.text import one_line


def parsed_report(outputs: Sequence[Pasted], space: LabelSpace, output: Output) -> RenderableType:
    """Return each output over its reading, then how many became what."""
    parts: list[RenderableType] = []
    for each in outputs:
        raw = "(no text)" if each.completion.raw is None else one_line(each.completion.raw, 300) or "(empty)"
        about = f"{one_line(each.unit, 40)}: " if each.unit else ""
        parts.append(Text.assemble((f"{each.line:>4}  {about}", QUIET), raw))
        parts.append(Padding(_reading(each.result, space, output), (0, 0, 0, 6)))
    return Group(*parts, Text(""), _sums(outputs, output))


def _reading(result: Answer | ParseFailure, space: LabelSpace, output: Output) -> Text:
    if isinstance(result, ParseFailure):
        return Text.assemble(("✗ ", BAD), (f"{result.kind}: {one_line(result.why, 200)}", BAD))
    off_list = f" · off list: {', '.join(one_line(each, 40) for each in result.off_list)}" if result.off_list else ""
    said = Text.assemble(("→ ", GOOD), (label_list(space.ordered(result.labels)), GOOD))
    for name, value in result.fields.items():
        said.append(f" · {one_line(name, 40)}: {'none' if value is None else one_line(str(value), 100)}")
    for name in (name for name in output.fields if name not in result.fields):
        said.append(f" · {one_line(name, 40)}: (unanswered)", BAD)
    if result.probabilities:
        shown = ", ".join(f"{one_line(name, 40)} {result.probabilities[name]:.2f}" for name in result.probabilities)
        said.append(f" · P: {one_line(shown, 120)}", QUIET)
    said.append(off_list, QUIET)
    return said.append(" · mended", QUIET) if result.repaired else said


def _sums(outputs: Sequence[Pasted], output: Output) -> Text:
    counts = tally(outputs)
    read = f"{numbers.plural(counts.pop('outputs'), 'output')} as {output.format}: "
    answers = f"{numbers.plural(counts.pop('answers'), 'answer')}, {counts.pop('none')} of them none"
    rest = "".join(f" · {number} {_WORDS.get(kind, kind)}" for kind, number in counts.items() if number)
    return Text(read + answers + rest, style="bold")


_WORDS = {"off_list": "with off-list labels", "repaired": "mended"}
