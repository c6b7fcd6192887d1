"""``harness parse``: try an output format on pasted outputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import show
from harness.errors import EXIT_OK, DataError, did_you_mean, listing

if TYPE_CHECKING:
    from harness.labelspace import LabelSpace
    from harness.parsing import Output
    from harness.project import Project


@click.command("parse", short_help="Try an output format on pasted outputs, without a call.")
@click.argument("file", metavar="FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--format", "format_name", metavar="NAME", help="The output format.  [default: list]")
@click.option("--dataset", type=click.Path(path_type=Path), metavar="FILE", help="The label space.")
@click.option(
    "--prompt", type=click.Path(path_type=Path), metavar="FILE", help="Take format and dataset from a prompt."
)
@click.option("--pass", "pass_name", metavar="NAME", help="Which pass of the prompt.  [default: its first]")
@click.option("--option", "options", multiple=True, metavar="K=V", help="An option of the format, its value as YAML.")
@click.option("--fields", metavar="A,B", help="Fields that the outputs hold beside the labels.")
@click.option("--label", metavar="LABEL", help="What the outputs are about, for a format of one label.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each output.")
def command(
    file: Path,
    format_name: str | None,
    dataset: Path | None,
    prompt: Path | None,
    pass_name: str | None,
    options: tuple[str, ...],
    fields: str | None,
    label: str | None,
    as_json: bool,
) -> int:
    """Read outputs of a model in a format, and show what each became.

    FILE holds one output a line, or JSONL with the output under 'raw', which may then have several lines; the
    completions.jsonl of a run is such a file. With - the outputs are read from standard input.

    \b
    Examples:
      harness parse --format vector --dataset datasets/reviews.yaml outputs.txt
      echo '{"labels": ["shipping",]}' | harness parse --format json --dataset datasets/reviews.yaml -
      harness parse --prompt prompts/v3.yaml runs/v3-20260101-120000/completions.jsonl
    """
    from harness.pasted import read_pasted
    from harness.project import find_project
    from harness.report.parsed import parsed_report
    from harness.report.text import json_text
    from harness.yamlfile import read_text

    project = find_project(prompt or dataset)
    if prompt is not None:
        space, output, pass_name = _of_prompt(prompt, pass_name, dataset, project)
    else:
        space, output = _of_dataset(dataset, format_name or "list", project)
    output = _changed(output, format_name, options, fields)
    space = _about(space, output, label)
    piped = str(file) == "-"
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if piped else read_text(file)
    outputs = read_pasted(text, "standard input" if piped else str(file), space, output, pass_name)
    if as_json:
        for each in outputs:
            sys.stdout.write(json_text(each.to_json(space)) + "\n")
    else:
        show(parsed_report(outputs, space, output))
    return EXIT_OK


def _of_dataset(dataset: Path | None, format_name: str, project: Project) -> tuple[LabelSpace, Output]:
    from harness.dataset import load_dataset
    from harness.parsing import Output

    if dataset is None:
        raise click.UsageError("give --dataset FILE, which has the labels, or --prompt FILE.")
    return load_dataset(dataset, project).space, Output(format_name)


def _of_prompt(
    prompt: Path, pass_name: str | None, dataset: Path | None, project: Project
) -> tuple[LabelSpace, Output, str]:
    """Return what the answers of a pass name, labels or groups, their format, and the pass."""
    from harness.promptfile import load_task

    task = load_task(prompt, project, dataset=dataset)
    passes = {each.name: each for each in task.prompt.passes}
    if pass_name is not None and pass_name not in passes:
        raise DataError(
            f"--pass: must be one of {listing(passes)}, got '{pass_name}'.{did_you_mean(pass_name, passes)}"
        )
    name = pass_name or next(iter(passes))
    return passes[name].answer_space(task.dataset.space), passes[name].output, name


def _changed(output: Output, format_name: str | None, options: tuple[str, ...], fields: str | None) -> Output:
    """Return the output with what the command line says; another format begins with no options."""
    from dataclasses import replace

    from harness.parsing import FORMATS

    if format_name is not None and format_name not in FORMATS:
        raise DataError(
            f"--format: must be one of {listing(FORMATS)}, got '{format_name}'.{did_you_mean(format_name, FORMATS)}"
        )
    if format_name is not None and format_name != output.format:
        output = replace(output, format=format_name, options={})
    if options:
        output = replace(output, options={**output.options, **dict(map(_option, options))})
    if fields is not None:
        output = replace(output, fields=tuple(name.strip() for name in fields.split(",") if name.strip()))
    return output


def _option(pair: str) -> tuple[str, Any]:
    from harness.yamlfile import plain_yaml

    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--option: must be NAME=VALUE, got '{pair}'.")
    return name, plain_yaml(value, f"--option {name}")


def _about(space: LabelSpace, output: Output, label: str | None) -> LabelSpace:
    """Return the label space to read with.

    Raises:
        DataError: The label is unknown, or the output is impossible for the label space.
    """
    from harness.parsing import FORMATS

    if label is not None:
        found = space.find(label)
        if found is None:
            raise DataError(f"--label: must be a label, got '{label}'.{did_you_mean(label, space.names)}")
        space = space.only([found])
    if problems := FORMATS[output.format].check(output, space):
        raise DataError("\n".join(f"output: {each}" for each in problems))
    return space
