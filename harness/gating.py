"""A stored run held against rules and its blessed baseline: what is said, what is found, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from harness.blessing import FOLDER, default_name, find_blessed
from harness.errors import DataError, UsageError, listing
from harness.gatecheck import GateResult, evaluate
from harness.gaterules import Rule, Rules, parse_rules, read_rules, with_defaults
from harness.labelspace import LabelSpace
from harness.measuring import Measured, measure
from harness.project import Project
from harness.significance import Settings
from harness.stats import MARGIN
from harness.store import StoredRun


class Gated(NamedTuple):
    """How a run did.

    Attributes:
        measured: The run, by itself and against its baseline.
        result: What became of every rule.
    """

    measured: Measured
    result: GateResult


def gate_run(
    run: StoredRun,
    project: Project,
    expressions: Sequence[str] = (),
    file: Path | None = None,
    *,
    against: str | None = None,
    margin: float | None = None,
    seed: int = 0,
) -> Gated:
    """Return how a run does against rules.

    Args:
        run: Complete or not; one that is not never passes.
        project: Where baselines and today's gold are.
        expressions: Rules.
        file: Further rules.
        against: A baseline's name or file, or a run; default: what the file of rules says, else the baseline of the
            run's dataset and split.
        margin: How much lower a score may be and still be called no worse; default: what the file says, else 0.02.
        seed: Of the resampling.

    Raises:
        UsageError: Rules are none, or need a baseline where there is none.
        DataError: The file of rules, the baseline or the run cannot be used.
    """
    manifest = run.manifest
    said = _rules(expressions, file, manifest.space, project)
    blessed = find_blessed(project, run, against or said.against)
    rules = with_defaults(said.rules, manifest.space, has_baseline=blessed is not None)
    if blessed is None:
        _refuse(rules, manifest.dataset, manifest.split)
    measured = measure(run, blessed, project, Settings(margin=margin or said.margin or MARGIN, seed=seed))
    return Gated(measured, evaluate(rules, measured.evidence))


def _rules(expressions: Sequence[str], file: Path | None, space: LabelSpace, project: Project) -> Rules:
    """Return what expressions and the file of rules say; what is wrong in both is told at once."""
    given, wrong = parse_rules(expressions, space)
    said = Rules()
    if file is not None:
        try:
            said = read_rules(file, space, project)
        except DataError as error:
            raise DataError("\n".join([str(error), *wrong])) from None
    if wrong:
        raise UsageError("\n".join(wrong))
    return replace(said, rules=(*given, *said.rules))


def _refuse(rules: Sequence[Rule], dataset: str, split: str) -> None:
    """Refuse rules that nothing can be said of without a baseline."""
    if needing := [f"'{rule.text}'" for rule in rules if rule.needs_baseline]:
        path = f"{FOLDER}/{default_name(dataset, split)}.json"
        raise UsageError(
            f"{path}: there is no baseline of {dataset} {split}, and {listing(needing, 4)} must have one. "
            "Bless a run and commit the file: harness bless RUN. Or name one: --against RUN"
        )
