"""``harness runs``: list the runs of the project."""

from __future__ import annotations

import click

from harness.cli.common import json_option, limit_option, say, show, show_json
from harness.errors import EXIT_OK


@click.command("runs")
@limit_option(20, "runs")
@json_option
def command(limit: int, as_json: bool) -> int:
    """List runs, newest first.

    \b
    Example:
      harness runs --limit 5
    """
    from rich.text import Text

    from harness.project import find_project
    from harness.report.listing import run_row, runs_table, searched_line
    from harness.runnames import list_runs, unreadable_runs
    from harness.store import is_held

    project = find_project()
    every = list_runs(project.runs)
    if unreadable := unreadable_runs(project.runs):
        say(unreadable)
    rows = []
    for run in every[:limit]:
        state = run.manifest.state
        if state == "running" and not is_held(run.path):
            state = "interrupted"  # its process was killed before it could say so
        rows.append(run_row(run, state))
    if as_json:
        show_json(rows)
    elif not rows and not unreadable:
        show(Text(f"No runs in {project.show(project.runs)} yet. Type: harness run prompts/YOURS.yaml"))
    elif rows:
        show(runs_table(rows))
        searched = [line for run in every[:limit] if (line := searched_line(run.manifest)) is not None]
        show(*{line.plain: line for line in searched}.values())  # of several runs of a version once
        if len(every) > limit:
            show(Text(f"and {len(every) - limit} older: see --limit", style="dim"))
    return EXIT_OK
