"""How often a locked split was looked at, as people see it."""

from __future__ import annotations

from rich.text import Text

from harness.holdoutlog import Looks
from harness.report.files import markdown_cell
from harness.report.terminal import QUIET
from harness.report.text import one_line


def looks_line(looks: Looks) -> Text:
    """Return how often a locked split was looked at, as a line; in yellow once several prompts were tried on it."""
    return Text(looks_text(looks), style="yellow" if looks.n_prompts > 1 or looks.damaged else QUIET)


def looks_text(looks: Looks) -> str:
    """Return how often a locked split was looked at, in words."""
    return f"{one_line(looks.split, 60)} is locked: {looks.words}"


def looks_markdown(looks: Looks | None) -> str:
    """Return how often a locked split was looked at, as a paragraph of Markdown; nothing of other splits."""
    return "" if looks is None else f"\n{markdown_cell(looks_text(looks))}\n"
