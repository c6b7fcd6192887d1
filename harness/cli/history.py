"""``harness history``: how prompt versions became each other, with notes and scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import json_option, note_written, output_option, show, show_json
from harness.errors import EXIT_OK, HarnessError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def complete_version(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return versions that begin like what was typed, for the shell."""
    from click.shell_completion import CompletionItem

    from harness.project import find_project
    from harness.runnames import list_runs

    try:
        project = find_project()
        runs = [run.manifest.version for run in list_runs(project.runs)]
    except HarnessError:  # a shell that completes has no place for a message
        return []
    files = [path.stem for path in sorted((project.root / "prompts").glob("*.yaml"))]
    return [CompletionItem(name) for name in dict.fromkeys((*runs, *files)) if name.startswith(incomplete)]


@click.command("history", short_help="See what every prompt version changed, with its notes.")
@click.argument("version", required=False, shell_complete=complete_version)
@output_option("as .json, .csv or .md")
@json_option
def command(version: str | None, output: Path | None, as_json: bool) -> int:
    """List prompt versions with their notes and scores, each measured against its parent.

    With a VERSION its chain of parents, the oldest first. Without one, all versions that were run on the dataset of
    the newest run, in the order of their first run, then the prompts that were never run. A version stands for its
    newest complete run on the default split.

    \b
    Examples:
      harness history
      harness history v3
      harness history -o history.md
    """
    from harness.history import history
    from harness.project import find_project
    from harness.report import files
    from harness.report.history import history_markdown, history_report, history_rows

    if output is not None:
        files.check_output(output)
    found = history(find_project(), version)
    if as_json:
        show_json(found.to_json())
    elif output is None:
        show(history_report(found))
    if output is not None:
        files.write_result(output, found.to_json(), history_rows(found), lambda: history_markdown(found))
        note_written(output, as_json)
    return EXIT_OK
