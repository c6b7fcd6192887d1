"""``harness gate``: hold a run against the baseline, in continuous integration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import json_option, note_written, run_argument, say, show, show_json
from harness.errors import EXIT_GATE, EXIT_OK

if TYPE_CHECKING:
    from harness.gatecheck import GateResult
    from harness.measuring import Measured

OUTPUTS = (".xml", ".md", ".json")


@click.command("gate", short_help="Check a run against rules and the blessed baseline; exits 4 when it fails.")
@run_argument()
@click.option("--against", metavar="NAME", help="A baseline, its file, or a run; default: that of dataset and split.")
@click.option("--rule", "expressions", multiple=True, metavar="EXPR", help="A rule, as often as there are rules.")
@click.option("--rules", "file", type=click.Path(path_type=Path), metavar="FILE", help="Rules in a YAML file.")
@click.option(
    "--margin",
    type=click.FloatRange(0.001, 0.999),
    metavar="X",
    help="How much lower is still no worse; default: 0.02.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, metavar="N", show_default=True, help="Of the resampling."
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to a file: .xml (JUnit), .md or .json. As often as there are files.",
)
@json_option
def command(
    run: str,
    against: str | None,
    expressions: tuple[str, ...],
    file: Path | None,
    margin: float | None,
    seed: int,
    outputs: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Check a run against rules, and against the baseline of its dataset and split. Exits 4 when it fails.

    Rules bound scores (macro_f1 >= 0.8, recall[safety] >= 0.95), counts of samples (regressed <= 3, failures == 0) and
    changes (change f1[price] >= -0.05), or say that nothing became worse (no significant drop) and which samples must
    stay right (protected[r012]). Without any: no significant drop, in coverage neither. A run that is not
    complete never passes.

    \b
    Examples:
      harness gate v3
      harness gate latest --rules gate.yaml -o junit.xml -o report.md
      harness gate v3 --against v2 --rule "macro_f1 >= 0.8" --rule "regressed <= 3"
    """
    from harness import api
    from harness.report import files

    for output in outputs:
        files.check_output(output, OUTPUTS)
    gated = api.gate(run, *expressions, file=file, against=against, margin=margin, seed=seed, warn=say)
    _tell(gated.measured, gated.result, outputs, as_json)
    return EXIT_OK if gated.result.passed else EXIT_GATE


def _tell(measured: Measured, result: GateResult, outputs: tuple[Path, ...], as_json: bool) -> None:
    from harness.jsonfiles import write_bytes
    from harness.report import files
    from harness.report.gate import gate_json, gate_markdown, gate_report
    from harness.report.junit import gate_junit

    for output in outputs:  # before anything is shown: whoever reads that may stop reading
        if output.suffix.lower() == ".xml":
            write_bytes(output, gate_junit(measured, result))
        else:
            files.write_result(output, gate_json(measured, result), (), lambda: gate_markdown(measured, result))
    if as_json:
        show_json(gate_json(measured, result))
    else:
        show(gate_report(measured, result))
    for output in outputs:
        note_written(output, as_json)
