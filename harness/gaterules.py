"""The rules of a gate: what a person writes as an expression or in a file of rules, as values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias

from harness.errors import DataError, Problems, did_you_mean, listing, shortened
from harness.labelspace import LabelSpace
from harness.metrics import Averages
from harness.project import Project
from harness.significance import JUDGED
from harness.stats import AVERAGES as RESAMPLED
from harness.yamlfile import Node, Section, read_text, read_yaml

Operator = Literal[">=", "<=", ">", "<", "=="]
Unit = Literal["score", "amount", "count", "usd"]
"""score: from 0 to 1. amount: a mean that may be above 1. count: samples. usd: a price."""

_AMOUNTS = ("macro_labels", "cardinality_gold", "cardinality_predicted")
SCORES = (*(each.name for each in fields(Averages) if each.name not in _AMOUNTS), "coverage")
"""Scores of a run as a whole, from 0 to 1."""

LABEL_SCORES = ("precision", "recall", "f1")
CHANGES = ("regressed", "fixed", "churned")
"""Counts of samples that only a comparison has."""

COUNTS = (*CHANGES, "failures", "off_list")
UNITS: dict[str, Unit] = {
    **dict.fromkeys(SCORES, "score"),
    **dict.fromkeys(_AMOUNTS, "amount"),
    **dict.fromkeys(LABEL_SCORES, "score"),
    **dict.fromkeys(COUNTS, "count"),
    "cost_usd": "usd",
}
"""What a rule can bound, by name."""

DEFAULT_RULES = ("no significant drop", "no significant drop in coverage")
"""What holds where nobody says a rule: nothing that chance may have done blocks unless a person says so."""


class RuleError(ValueError):
    """An expression that is no rule; the message says what is wrong with it, and not where it stands."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of a run: of the run as a whole, or of one label."""

    name: str
    label: str | None = None

    def __str__(self) -> str:
        return self.name if self.label is None else f"{self.name}[{self.label}]"

    @property
    def unit(self) -> Unit:
        """What kind of number it is."""
        return UNITS[self.name]


@dataclass(frozen=True, slots=True)
class Bound:
    """A number, or the change of one against the baseline, must be above or below another.

    Attributes:
        text: The rule as it was written, as every kind of rule has it.
        wanted: The operator and the number as they were written.
    """

    text: str
    measure: Measure
    operator: Operator
    bound: float
    wanted: str
    change: bool = False

    @property
    def needs_baseline(self) -> bool:
        """Whether nothing can be said without a baseline."""
        return self.change or self.measure.name in CHANGES


@dataclass(frozen=True, slots=True)
class NoDrop:
    """No judged score is significantly worse than in the baseline; an inconclusive difference is none.

    Attributes:
        measure: The only one that counts; None means every judged headline score and every judged label.
    """

    text: str
    measure: Measure | None = None
    needs_baseline = True


@dataclass(frozen=True, slots=True)
class NoWorse:
    """A score is shown to be better or no worse; an inconclusive difference does not do."""

    text: str
    measure: Measure
    needs_baseline = True


@dataclass(frozen=True, slots=True)
class Protected:
    """A sample that may never regress."""

    text: str
    sample: str
    needs_baseline = False


Rule: TypeAlias = Bound | NoDrop | NoWorse | Protected


@dataclass(frozen=True, slots=True)
class Rules:
    """What a gate is to hold.

    Attributes:
        rules: In the order in which they were written, protected samples behind them.
        against: The baseline that a file of rules names.
        margin: How much lower is still no worse, where a file of rules says it.
    """

    rules: tuple[Rule, ...] = ()
    against: str | None = None
    margin: float | None = None


def with_defaults(rules: Iterable[Rule], space: LabelSpace, *, has_baseline: bool) -> tuple[Rule, ...]:
    """Return the rules, each once; `DEFAULT_RULES` too where there are none but protected samples.

    Protected samples alone need no baseline, so without one nothing is added to them.
    """
    unique = tuple(dict.fromkeys(rules))
    if any(not isinstance(rule, Protected) for rule in unique) or (unique and not has_baseline):
        return unique
    return (*(parse_rule(text, space) for text in DEFAULT_RULES), *unique)


# --- expressions ------------------------------------------------------------------------------------------------------

_QUOTED = r""""(?:[^"]|"")*"|'(?:[^']|'')*'"""
_INNER = rf"""{_QUOTED}|[^\]"'\s][^\]]*?|"""
_BRACKETS = rf"\[\s*(?P<inner>{_INNER})\s*\]"
_MEASURE = re.compile(rf"(?P<name>[^\s\[\]]+)\s*(?:{_BRACKETS})?")
_COMPARED = re.compile(rf"(?P<left>(?:\[\s*(?:{_INNER})\s*\]|[^<>=!≥≤\[])*)(?P<op>[<>=!≥≤]+)(?P<right>.*)")
_PROTECTED = re.compile(rf"protected\s*{_BRACKETS}")
_COMMENT = re.compile(r"(?:^|\s)#.*")  # an id may have a "#" in it, but not behind a space
_NUMBER = re.compile(r"(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<percent>%)?")
_OPERATORS: dict[str, Operator] = {">=": ">=", "<=": "<=", ">": ">", "<": "<", "==": "==", "≥": ">=", "≤": "<="}
_EXAMPLE = "a rule such as 'macro_f1 >= 0.8', 'regressed <= 3' or 'no significant drop'"


def parse_rule(text: str, space: LabelSpace) -> Rule:
    """Return the rule that an expression says; `docs/ci.md` has the grammar.

    Args:
        text: The expression.
        space: The labels that it may name, by any of their spellings.

    Raises:
        RuleError: It is no rule.
    """
    rule = " ".join(text.split())
    if drop := re.fullmatch(r"no significant drop(?: in (.*))?", rule):
        return NoDrop(rule, None if drop[1] is None else _judged(drop[1], space))
    if worse := re.fullmatch(r"no worse in (.*)", rule):
        return NoWorse(rule, _judged(worse[1], space))
    if protected := _PROTECTED.fullmatch(text.strip()):  # as it was written: an id may have two spaces in it
        if not (sample := _unquoted(protected["inner"])):
            raise RuleError("must name a sample: protected[ID].")
        return Protected(rule, sample)
    compared = _COMPARED.fullmatch(rule)
    if compared is None:
        raise RuleError(f"must be {_EXAMPLE}.{did_you_mean(rule, ('no significant drop', 'no worse in macro_f1'))}")
    return _bound(rule, compared, space)


def _bound(rule: str, compared: re.Match[str], space: LabelSpace) -> Bound:
    left, right = compared["left"].strip(), compared["right"].strip()
    change = left.startswith("change ")
    measure = _measure(left.removeprefix("change "), space)
    if compared["op"] not in _OPERATORS:
        raise RuleError(f"must compare with >=, <=, >, < or ==, got '{compared['op']}'.")
    number = _NUMBER.fullmatch(right.replace("−", "-"))
    if number is None:
        raise RuleError(f"must end in a number, got '{shortened(right)}'.")
    if change and measure.unit in ("count", "usd"):
        raise RuleError(f"must be the change of a score, got '{measure}'. Without 'change' it can be bounded as it is.")
    value = float(number["number"]) / (100 if number["percent"] else 1)
    _check_number(measure, value, change=change, percent=bool(number["percent"]))
    return Bound(rule, measure, _OPERATORS[compared["op"]], value, f"{compared['op']} {right}", change)


def _check_number(measure: Measure, value: float, *, change: bool, percent: bool) -> None:
    """Refuse a bound that every run is above, or every run is below, by mistake."""
    if percent and measure.unit != "score":
        raise RuleError(f"must compare {measure} with a plain number, got one in %.")
    if measure.unit == "score" and not (-1 if change else 0) <= value <= 1:
        wanted = "the change of a score with a number from -1 to 1" if change else "a score with a number from 0 to 1"
        raise RuleError(f"must compare {wanted}, got {value:g}." + (" 80 % is 0.8." if value > 1 else ""))
    if not math.isfinite(value) or (value < 0 and not change):
        raise RuleError(f"must compare {measure} with a number of at least 0, got {value:g}.")


def _measure(text: str, space: LabelSpace) -> Measure:
    """Return the number that is named, with its label where it has one."""
    found = _MEASURE.fullmatch(text.strip())
    if found is None:
        raise RuleError(f"must be {_EXAMPLE}; got '{shortened(text)}'. A label with brackets or quotes needs quotes.")
    name, inner = found["name"], found["inner"]
    if name not in UNITS:
        near = did_you_mean(name, UNITS) or f" Known: {listing(UNITS, len(UNITS))}."
        raise RuleError(f"must name a score or a count, got '{shortened(name)}'.{near}")
    if name not in LABEL_SCORES:
        if inner is not None:
            raise RuleError(f"{name} is of all labels together, got [{inner}]. Of one: {listing(LABEL_SCORES)}.")
        return Measure(name)
    label = space.find(_unquoted(inner or ""))
    if label is None:
        wrong = "must name a label" if not inner else f"must name a label, got {inner}"
        near = did_you_mean(_unquoted(inner or ""), space.names) or f" Labels: {listing(space.names)}."
        raise RuleError(f"{wrong}: {name}[LABEL].{near}")
    return Measure(name, label)


def _judged(text: str, space: LabelSpace) -> Measure:
    """Return a score of which there are verdicts."""
    measure = _measure(text, space)
    if measure.name not in (*RESAMPLED, "f1"):
        raise RuleError(f"there is a verdict of {listing((*RESAMPLED, 'f1[LABEL]'))}; none of '{measure}'.")
    return measure


def _unquoted(inner: str) -> str:
    """Return what stands between brackets, without its quotes; a doubled quote inside is one."""
    quote = inner[:1]
    return inner[1:-1].replace(quote * 2, quote) if quote in ('"', "'") else inner


def parse_rules(texts: Sequence[str], space: LabelSpace) -> tuple[tuple[Rule, ...], list[str]]:
    """Return the rules of a command line, and what is wrong with the others."""
    rules: list[Rule] = []
    wrong = []
    for text in texts:
        try:
            rules.append(parse_rule(text, space))
        except RuleError as error:
            wrong.append(f"--rule '{shortened(text)}': {error}")
    return tuple(rules), wrong


# --- files of rules ---------------------------------------------------------------------------------------------------


def read_rules(path: Path, space: LabelSpace, project: Project) -> Rules:
    """Return what a file of rules says.

    Raises:
        DataError: It has problems; all of them are told, with their lines.
    """
    problems = Problems(path)
    top = read_yaml(path, problems)
    rules = [rule for node in _listed(top, "rules") if (rule := _rule(node, space, problems)) is not None]
    protected = [Protected(f"protected[{sample}]", sample) for sample in _protected(top, path, project)]
    against = _against(top, path, project)
    margin = top.number("margin", least=0.001, most=1)
    top.finish()
    problems.raise_if_any()
    return Rules((*rules, *protected), against, margin)


def _listed(top: Section, key: str) -> list[Node]:
    node = top.take(key)
    if node is None:
        return []
    if not isinstance(node.value, list):
        top.problem(key, f"must be a list, got {node.kind}. Write one a line, behind '- '.")
        return []
    return node.value


def _rule(node: Node, space: LabelSpace, problems: Problems) -> Rule | None:
    if not node.source:
        problems.add(f"a rule must be a text, got {node.kind}. Put it in quotes.", node.line)
        return None
    try:
        return parse_rule(node.source, space)
    except RuleError as error:
        problems.add(f"'{shortened(node.source)}': {error}", node.line)
        return None


def _protected(top: Section, path: Path, project: Project) -> list[str]:
    """Return the ids of protected samples: a list of them, or a file with one a line."""
    node = top.take("protected")
    if node is None or isinstance(node.value, list):
        return list(top.texts("protected") or ())
    name = top.text("protected")
    if name is None:
        return []
    file = path.parent / name
    if barred := project.bars(file):
        top.problem("protected", f"names a file that {barred}, got {name}.")
        return []
    try:
        lines = read_text(file).splitlines()
    except DataError as error:
        top.problem("protected", f"must be a list of ids, or a file of them: {error} Put a single id in [ ].")
        return []
    return [each for line in lines if (each := _COMMENT.sub("", line).strip())]


def _against(top: Section, path: Path, project: Project) -> str | None:
    """Return the baseline that is named; a file's path, relative to the file of rules, as it is from here."""
    name = top.text("against")
    if name is None:
        return None
    is_file = name.endswith(".json")
    file = path.parent / name if is_file else Path(name)  # a name is looked for as a path too, from here
    if (is_file or file.is_file()) and (barred := project.bars(file)):
        top.problem("against", f"names a file that {barred}, got {name}.")
    return str(file) if is_file else name


def judged_measures(labels: Iterable[str]) -> list[Measure]:
    """Return what `NoDrop` looks at when it names nothing: the judged headline scores, then F1 of each label."""
    return [*(Measure(name) for name in JUDGED), *(Measure("f1", label) for label in labels)]
