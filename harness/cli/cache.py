"""``harness cache``: what the cache holds, whether it is sound, and letting go of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

from harness.cli.common import json_option, show, show_json
from harness.errors import EXIT_ERROR, EXIT_OK, UsageError


@click.group("cache", short_help="See, verify, prune or clear the cache.")
def command() -> None:
    """Take care of the cache, which keeps the answer to every call so that none is paid twice.

    Deleting it loses no run: runs keep their own completions, from which `verify --repair` fills it again.

    \b
    Examples:
      harness cache stats
      harness cache verify --repair
      harness cache prune --older-than 30d --dry-run
      harness cache clear
    """


@command.command("stats")
@json_option
def stats(as_json: bool) -> int:
    """Tell what the cache holds: entries, size, by model and server, and what it is worth.

    \b
    Example:
      harness cache stats
    """
    from harness.cachecare import statistics
    from harness.project import find_project
    from harness.report.cache import statistics_report

    project = find_project()
    found = statistics(project.cache, project.runs, project.settings.prices)
    if as_json:
        show_json(found.to_json())
    else:
        show(statistics_report(found, project.show(project.cache)))
    return EXIT_OK


@command.command("verify")
@click.option("--repair", "mend", is_flag=True, help="Save what can be read, and refill the cache from the runs.")
@json_option
def verify(mend: bool, as_json: bool) -> int:
    """Check the file and every entry in it.

    --repair takes what can be read out of a damaged or cut off file into a new one and keeps the damaged one beside it;
    it takes damaged entries out, and puts back what the runs of the project have and the cache has not. Exit code 1: it is
    damaged.

    \b
    Examples:
      harness cache verify
      harness cache verify --repair
    """
    from harness import cacherepair
    from harness.project import find_project
    from harness.report.cache import repaired_report, verified_report

    project = find_project()
    shown = project.show(project.cache)
    if not mend:
        found = cacherepair.verify(project.cache, project.runs)
        if as_json:
            show_json(found.to_json())
        else:
            show(verified_report(found, shown))
        return EXIT_OK if found.sound else EXIT_ERROR
    done = cacherepair.repair(project.cache, project.runs)
    if as_json:
        show_json(done.to_json())
    else:
        show(repaired_report(done, shown, None if done.old is None else project.show(done.old)))
    return EXIT_OK


@command.command("prune")
@click.option("--older-than", metavar="AGE", help="Take out what is older: 12h, 30d, 8w.")
@click.option("--unused", is_flag=True, help="Take out what no run of this project has.")
@click.option("--to-size", metavar="SIZE", help="Take out the oldest until the file is so small: 500MB, 2GB.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@json_option
def prune(older_than: str | None, unused: bool, to_size: str | None, dry_run: bool, as_json: bool) -> int:
    """Take entries out of the cache. Their calls are paid again if they are made again.

    Of several options each takes out its own. Entries without a date are of an unknown age: --older-than keeps them, and
    --to-size takes them first. --unused keeps what may be the vector of a text (shots and candidates by embeddings),
    and takes out what `harness suggest` asked.

    \b
    Examples:
      harness cache prune --older-than 30d --dry-run
      harness cache prune --unused
      harness cache prune --to-size 1GB
    """
    from harness import cachecare
    from harness.project import find_project
    from harness.report.cache import pruned_report

    if older_than is None and not unused and to_size is None:
        raise click.UsageError("say what to take out: --older-than AGE, --unused or --to-size SIZE.")
    age = size = None
    if older_than is not None:
        age = _parsed("--older-than", cachecare.parse_age, older_than)
    if to_size is not None:
        size = _parsed("--to-size", cachecare.parse_size, to_size)
    project = find_project()
    done = cachecare.prune(
        project.cache,
        project.runs,
        now=time.time(),
        older_than_s=age,
        unused=unused,
        to_bytes=size,
        dry_run=dry_run,
    )
    if as_json:
        show_json(done.to_json())
    else:
        show(pruned_report(done, project.show(project.cache)))
    return EXIT_OK


@command.command("clear")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def clear(yes: bool, as_json: bool) -> int:
    """Delete the cache, after asking. Nothing of a run is lost, but calls that are made again are paid again.

    \b
    Example:
      harness cache clear
    """
    from harness import cachecare
    from harness.cachefile import sizes
    from harness.project import find_project
    from harness.report.cache import byte_size, cleared_line

    project = find_project()
    path = project.cache
    shown = project.show(path)
    if path.exists() and not yes:
        if not sys.stdin.isatty():
            raise UsageError("clear: must be confirmed, but there is no terminal to ask on. Add --yes.")
        question = f"Delete {shown} ({byte_size(sum(sizes(path)))})? Its calls will be paid again."
        if not click.confirm(question, err=True):
            return EXIT_OK
    size = cachecare.clear(path, project.runs)
    if as_json:
        show_json({"path": str(path), "bytes": size})
    else:
        show(cleared_line(size, shown))
    return EXIT_OK


def _parsed(option: str, parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None
