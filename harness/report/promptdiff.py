"""Prompt diffs in the terminal and as Markdown: changed lines with their words marked, and what is around them.

What is gone stands in ``[-…-]``, what is new in ``{+…+}``, so that it reads without colour as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.promptdiff import Line, PromptDiff, Section
from harness.report import numbers
from harness.report.text import one_line, visible

MOST_LINES = 12
"""Changed lines that are shown without --full."""

AROUND = 1
"""Lines that stayed and are shown before and after a changed one."""

LONGEST_LINE = 400
"""Characters of a line that are shown without --full."""

_SIGNS: Mapping[str, str] = {"same": "  ", "removed": "- ", "added": "+ ", "changed": "~ "}
_STYLES: Mapping[str, str] = {"same": "dim", "removed": "red", "added": "green", "changed": ""}


def prompt_report(diff: PromptDiff, full: bool) -> Iterator[RenderableType]:
    """Yield the parts of a prompt that changed, with the lines around each change.

    Args:
        diff: What changed.
        full: All changed lines, not only the first `MOST_LINES`; and whole ones.
    """
    yield Text.assemble(("prompt: ", "bold"), _summary(diff))
    left = diff.n_changed if full else MOST_LINES
    for section in diff.sections:
        if not left:
            break
        yield Text(f"  {one_line(section.title, 100)}", style="bold dim")
        shown = _shown(section, left)
        for line in shown:
            yield Text("    ⋯", style="dim") if line is None else _line(line, full)
        left -= sum(line is not None and line.kind != "same" for line in shown)
    if not full and diff.n_changed > MOST_LINES:
        rest = numbers.plural(diff.n_changed - MOST_LINES, "more changed line")
        yield Text(f"  and {rest}: see --full", style="dim")


def _summary(diff: PromptDiff) -> str:
    if not diff.sections:
        return "both versions ask the same"
    return f"{numbers.plural(diff.n_changed, 'changed line')}"


def _shown(section: Section, most: int) -> list[Line | None]:
    """Return changed lines, at most so many, with what is around them; None where lines are left out.

    Settings and shots stand alone: what is around them says nothing of them.
    """
    lines = section.lines
    changed = [at for at, line in enumerate(lines) if line.kind != "same"][:most]
    last = changed[-1]
    if section.part != "words":
        return [lines[at] for at in changed]
    near = {row for at in changed for row in range(at - AROUND, at + AROUND + 1) if 0 <= row < len(lines)}
    rows = [row for row in sorted(near) if lines[row].kind == "same" or row <= last]
    found: list[Line | None] = []
    for before, row in zip([rows[0] - 1, *rows], rows, strict=False):
        found += [None, lines[row]] if row > before + 1 else [lines[row]]
    return found


def _line(line: Line, full: bool) -> RenderableType:
    text = Text(_SIGNS[line.kind], style=_STYLES[line.kind])
    if line.kind == "changed":
        for word in line.words:
            text.append(_marked(word.kind, visible(word.text)), style="" if word.kind == "same" else _STYLES[word.kind])
    else:
        text.append(visible(line.words[0].text))
    if not full:
        text.truncate(LONGEST_LINE, overflow="ellipsis")
    return Padding(text, (0, 0, 0, 4))


def _marked(kind: str, text: str) -> str:
    return {"removed": f"[-{text}-]", "added": f"{{+{text}+}}"}.get(kind, text)


def prompt_markdown(diff: PromptDiff) -> str:
    """Return all changed lines of a prompt as a block of a diff, for Markdown."""
    text = "\n".join(line for section in diff.sections for line in _diff_lines(section))
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 3)
    return f"{fence}diff\n{text}\n{fence}\n"


def _diff_lines(section: Section) -> Iterator[str]:
    yield f"@@ {one_line(section.title, 100)} @@"
    for line in _shown(section, section.n_changed):
        if line is None:
            yield " ⋯"
        else:
            yield from _both(line)


def _both(line: Line) -> Iterable[str]:
    before, after = visible(line.before), visible(line.after)
    if line.kind == "same":
        return [f" {before}"]
    return [*([] if line.kind == "added" else [f"-{before}"]), *([] if line.kind == "removed" else [f"+{after}"])]
