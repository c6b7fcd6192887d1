"""``harness score``: parse and score a run again, without a call."""

from __future__ import annotations

import click

from harness.cli.common import json_option, run_argument, say, show, show_json
from harness.errors import EXIT_INCOMPLETE, EXIT_OK


@click.command("score", short_help="Parse and score a run again, without a call.")
@run_argument()
@json_option
def command(run: str, as_json: bool) -> int:
    """Parse and score a run again from its stored completions.

    Takes the output format, the aliases and the gold from today's files, so that a fix to any of them costs no call.
    The inputs must be those that were sent.

    \b
    Example:
      harness score v3
    """
    from rich.text import Text

    from harness import api
    from harness.execution import run_spent
    from harness.holdout import looks_of
    from harness.project import find_project
    from harness.report.numbers import plural
    from harness.report.terminal import run_report

    project = find_project()
    rescored = api.score(run, project)
    loaded = api.Run(rescored.run, project)
    if rescored.missing:
        calls = plural(rescored.missing, "call")
        unfinished = rescored.run.manifest.state in ("interrupted", "stopped", "running")
        again = f"harness run --resume {loaded.id}" if unfinished else "harness run PROMPT"
        say(f"{calls} would now be needed that never were made; they count as call errors. Type: {again}")
    scores = loaded.result.to_json() if rescored.run.scores else {}
    if as_json:
        show_json({"run": loaded.id, "changed": rescored.changed, "missing": rescored.missing, **scores})
    else:
        if scores:
            spent = run_spent(rescored.run, project.settings.prices)
            looks = looks_of(rescored.run, project)
            show(run_report(rescored.run.manifest, loaded.result, spent, None, None, looks=looks))
        taken = ", ".join(rescored.sources) or "nothing, they are gone"
        show(Text(f"{plural(rescored.changed, 'prediction')} changed. Taken from today's files: {taken}.", style="dim"))
    return EXIT_INCOMPLETE if rescored.missing else EXIT_OK
