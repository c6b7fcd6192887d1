"""``harness doctor``: check everything that a run needs."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from harness.cli.common import json_option, show, show_json
from harness.errors import EXIT_ERROR, EXIT_OK


@click.command("doctor", short_help="Check everything that a run needs.")
@click.argument("prompts", nargs=-1, metavar="[PROMPT…]", type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", help="Check this model, instead of the prompts'.")
@click.option("--base-url", metavar="URL", help="Check this OpenAI-compatible server, instead of the prompts'.")
@click.option("--calls", is_flag=True, help="Also make about six tiny calls of each remote model, which cost.")
@json_option
def command(prompts: tuple[Path, ...], model: str | None, base_url: str | None, calls: bool, as_json: bool) -> int:
    """Check the installation, the key, the project's files, its runs and the cache.

    Says of each ok, warning or problem, and the next step. A server is asked only where a prompt, --model or --base-url
    names one, and only for its list of models; --calls also finds out how soon the model answers, and whether JSON
    schemas, grammars, log-probabilities and seeds work. The key itself is never shown. Exit code 1: something is a problem.

    \b
    Examples:
      harness doctor
      harness doctor prompts/v3.yaml
      harness doctor --model gpt-4.1-mini --calls
    """
    import shutil
    import sys

    from harness.doctor import Wanted, diagnose
    from harness.health import Check, is_sound
    from harness.report.doctor import checks_table, verdict_line

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    found: list[Check] = []
    looking = diagnose(Wanted(prompts, model, base_url, calls), encoding=sys.stdout.encoding, width=width)
    for group, checks in groupby(looking, key=lambda check: check.group):
        listed = list(checks)
        if not as_json:
            show(*([""] if found else []), checks_table(group, listed))
            sys.stdout.flush()
        found += listed
    if as_json:
        show_json({"ok": is_sound(found), "checks": [check.to_json() for check in found]})
    else:
        show("", verdict_line(found))
    return EXIT_OK if is_sound(found) else EXIT_ERROR
