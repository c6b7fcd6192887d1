"""``harness suggest``: ask a model for a better prompt, and write it as the next version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import json_option, note_written, progress_bar, run_argument, say, show, show_json
from harness.cli.running import finish, run_all
from harness.errors import EXIT_OK

if TYPE_CHECKING:
    from harness.api import Run
    from harness.suggesting import Suggested


@click.command("suggest", short_help="Ask a model for a better prompt.")
@run_argument()
@click.option("--model", metavar="NAME", help="Who is asked; default: the run's own model.")
@click.option("--base-url", metavar="URL", help="Its server, OpenAI-compatible; default: the run's own.")
@click.option("--pass", "pass_name", metavar="NAME", help="Which pass is reworded; default: the first.")
@click.option("--format-only", is_flag=True, help="Ask only how to say in which form to answer.")
@click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=12,
    metavar="N",
    show_default=True,
    help="Most wrong samples sent.",
)
@click.option(
    "--seed", type=int, default=0, metavar="N", show_default=True, help="Decides which wrong samples are sent."
)
@click.option("--budget", type=click.IntRange(min=1), metavar="N", help="Most tokens of the request.")
@click.option("--param", "params", multiple=True, metavar="K=V", help="A parameter of the request: temperature=0.7.")
@click.option("--show", "only_show", is_flag=True, help="Show what would be sent; make no call.")
@click.option("--again", is_flag=True, help="Ask anew, whatever the cache has.")
@click.option(
    "--write",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The new version's file; default: the next number, beside the run's.",
)
@click.option("--run", "runs_it", is_flag=True, help="Run the new version as the run was made, and compare.")
@click.option("--allow-copied", is_flag=True, help="With --run: although it holds text of evaluated samples.")
@click.option("--full", is_flag=True, help="Show all changed lines of the prompt.")
@json_option
def command(
    run: str,
    model: str | None,
    base_url: str | None,
    pass_name: str | None,
    format_only: bool,
    examples: int,
    seed: int,
    budget: int | None,
    params: tuple[str, ...],
    only_show: bool,
    again: bool,
    write: Path | None,
    runs_it: bool,
    allow_copied: bool,
    full: bool,
    as_json: bool,
) -> int:
    """Ask a model to improve the prompt of a run, and write its answer as the next version.

    It is sent the prompt, the labels with their descriptions, what went wrong by label and by kind, and some wrong samples
    with gold and answer; with --format-only just the form of the answer and answers that could not be read. What it
    writes must be a sound prompt with the same messages and inputs, else nothing is written. Text copied from evaluated
    samples is flagged. The answer is kept: the same command shows it again without a call.

    \b
    Examples:
      harness suggest v3 --show
      harness suggest v3 --model gpt-5
      harness suggest v3 --model gpt-5 --run
      harness suggest v1 --format-only
    """
    from harness import api, suggesting
    from harness.report.suggestion import answer_report, request_report, suggestion_report

    if allow_copied and not runs_it:
        raise click.UsageError("--allow-copied goes with --run.")
    loaded = api.load(run, warn=say)
    prepared = suggesting.prepare(
        loaded.stored,
        loaded.project,
        model=model,
        base_url=base_url,
        pass_name=pass_name,
        format_only=format_only,
        examples=examples,
        seed=seed,
        params=_params(params),
        budget=budget,
        warn=say,
    )
    if only_show:
        if as_json:
            show_json(prepared.to_json())
        else:
            show(*request_report(prepared))
        return EXIT_OK
    with progress_bar(f"asking {prepared.model.name}"):
        try:
            found = suggesting.suggest(prepared, loaded.project, write=write, again=again, warn=say)
        except suggesting.UnusableSuggestion as error:
            if as_json:
                show_json(error.to_json())
            else:
                show(*answer_report(error.prepared, error.asked))
            raise
    if not as_json:
        show(*suggestion_report(found, full))
        _note(found)
    if not runs_it:
        return _told(found, as_json)
    if found.copied and not allow_copied:
        if as_json:
            show_json(found.to_json())
        raise suggesting.CopiedTextError(found)
    return _run(found, loaded, as_json)


def _params(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return ``--param K=V`` pairs as a mapping; values are JSON where they can be, else text."""
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--param: must be NAME=VALUE, got '{pair}'.")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _note(found: Suggested) -> None:
    from rich.text import Text

    from harness.report.text import visible

    if found.is_new:
        note_written(found.written, as_json=False)
    else:
        show(Text(f"it is there already: {visible(str(found.written))}", no_wrap=True, overflow="ignore"))


def _told(found: Suggested, as_json: bool) -> int:
    """Tell what to type next, or all of it as JSON."""
    from harness.report.suggestion import suggestion_steps

    if as_json:
        show_json(found.to_json())
        note_written(found.written, as_json)
    else:
        show(suggestion_steps(found))
    return EXIT_OK


def _run(found: Suggested, loaded: Run, as_json: bool) -> int:
    """Run the new version as the run was made, and tell what `harness run` tells, as JSON under ``ran``."""
    from harness import api
    from harness.promptnames import unused_variables
    from harness.selection import Selection

    manifest = loaded.stored.manifest
    prompt, chosen = manifest.prompt, manifest.selection
    urls = {each.base_url for each in prompt.models if not each.is_local}
    plan, project = api.plan_run(
        found.written,
        model=prompt.only_model,
        base_url=urls.pop() if len(urls) == 1 else None,
        split=manifest.split,
        selection=Selection(chosen.get("filter"), tuple(chosen.get("ids", ())) or None, chosen.get("limit")),
        repeat=manifest.repeats,
        variables={name: prompt.variables[name] for name in prompt.given},
        warn=say,
    )
    for warning in unused_variables([plan.prompt]):
        say(warning)
    if not as_json:
        show("")
    made = run_all([(plan, project)], quiet=as_json)
    return finish(made, manifest.id, None, as_json, lambda ran: {**found.to_json(), "ran": ran})
