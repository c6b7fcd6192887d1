"""A gate as people and programs see it: in the terminal, as Markdown for a pull request, as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from harness.blessing import Baseline
from harness.comparison import Diff, SampleChange
from harness.gatecheck import Case, GateResult, Judged
from harness.measuring import Measured
from harness.report import numbers
from harness.report.changedsamples import counted, label_list, said, text_of
from harness.report.files import markdown_cell
from harness.report.terminal import BAD, GOOD, QUIET, captioned, clipped, named, table
from harness.report.text import one_line, visible
from harness.store import StoredRun

MOST_REGRESSED = 20
"""Samples that the terminal lists; the files have more."""

MOST_IN_A_CELL = 8
"""Labels of a prediction that are named."""

MOST_DROPS = 5
"""Scores that became worse, of one rule, that are told with their intervals."""

MOST_CHARACTERS = 60_000
"""Of the Markdown: GitHub refuses a comment of more than 65,536, and what posts it may add a line."""

LIMITS = (400, 200, 100, 50, 25, 12, 6, 3)
"""Rows of a table, tried one after the other until the Markdown fits."""

HEADLINE = {"macro_f1": "macro F1", "micro_f1": "micro F1", "subset_accuracy": "subset accuracy"}
STATUS = {"passed": ("ok", GOOD), "failed": ("FAILED", BAD), "skipped": ("not checked", QUIET)}


# --- a case in words --------------------------------------------------------------------------------------------------


def value_of(case: Case) -> str:
    """Return what a case looked at: a number, a verdict, or both."""
    shown: dict[str, Callable[[float], str]] = {
        "score": numbers.score,
        "change": numbers.delta,
        "amount": numbers.score,
        "count": numbers.count,
        "usd": numbers.usd,
    }
    if case.status == "skipped":
        return case.found or numbers.DASH
    if case.shown == "word":
        return case.found
    value = numbers.DASH if math.isnan(case.value) else shown[case.shown](case.value)
    return f"{value} {case.found}".rstrip()


def why_of(case: Case, most: int = MOST_DROPS) -> str:
    """Return why a case came out as it did; empty where there is nothing to say.

    Of the differences that decided it so many are told, and the number of the others.
    """
    told = [case.why] if case.why else []
    if case.shown == "change" and len(case.judged) == 1:
        told.append(_interval(case.judged[0]))
    else:
        drops = [f"{each.measure} {numbers.delta(each.difference.delta)} ({_interval(each)})" for each in case.judged]
        told += [*drops[:most], *([f"and {len(drops) - most} more"] if len(drops) > most else [])]
    return "; ".join(told)


def _interval(judged: Judged) -> str:
    low, high = judged.difference.low, judged.difference.high
    if math.isnan(low) or math.isnan(high):
        return "no interval"
    return f"{numbers.delta(low)} to {numbers.delta(high)}"


def verdict_of(measured: Measured, result: GateResult) -> str:
    """Return the outcome in a line of plain text."""
    before, after = measured.names
    manifest = measured.run.manifest
    against = f" against {before}" if measured.found is not None else ""
    total, failed = len(result.cases) - 1, len([case for case in result.failed if case.kind != "complete"])
    told = (
        f"{numbers.plural(total, 'rule')}" if result.passed else f"{failed} of {numbers.plural(total, 'rule')} failed"
    )
    broken = "" if result.cases[0].status == "passed" else "the run is not complete, "
    word = "passed" if result.passed else "failed"
    return f"Gate {word}: {after}{against} on {manifest.dataset} {manifest.split}, {broken}{told}"


def _about(measured: Measured) -> list[str]:
    """Return what the verdict is about: the run, its samples and its baseline, in lines."""
    evidence, found, manifest = measured.evidence, measured.found, measured.run.manifest
    samples = numbers.plural(len(evidence.samples), "sample")
    if evidence.comparison is not None:
        samples += f", {numbers.count(evidence.comparison.n_common)} in common with the baseline"
    about = [f"run {manifest.id}: {samples}"]
    if found is not None:
        own = found.baseline
        about.append(f"baseline: {found.where}" + ("" if own.run in found.where else f", {own.run}"))
    return about


def _kept(cases: Sequence[Case]) -> tuple[list[Case], int]:
    """Return the cases to show, failed ones first, and how many protected samples are right and need no row."""
    quiet = [case for case in cases if case.kind == "protected" and case.status == "passed" and not case.why]
    shown = [case for case in cases if case not in quiet and (case.kind != "complete" or case.status != "passed")]
    return sorted(shown, key=lambda case: case.status == "passed"), len(quiet)


# --- terminal ---------------------------------------------------------------------------------------------------------


def gate_report(measured: Measured, result: GateResult) -> RenderableType:
    """Return the verdict, the rules, and the samples that regressed."""
    style = GOOD if result.passed else BAD
    parts: list[RenderableType] = [Text(one_line(verdict_of(measured, result), 400), style=f"bold {style}")]
    parts += [Text(one_line(each, 400), style=QUIET) for each in _about(measured)]
    parts += [Text(one_line(each, 400), style="yellow") for each in measured.notes]
    parts += [Text(""), _rules_table(result)]
    if measured.evidence.diff is not None:
        parts += [Text(""), *_changes(measured, measured.evidence.diff)]
    return Group(*parts)


def _rules_table(result: GateResult) -> RenderableType:
    shown, quiet = _kept(result.cases)
    made = table(
        "rule", "value", "wanted", "", "why", left=("rule", "value", "wanted", "", "why"), gives_way=("rule", "why")
    )
    made.columns[0].min_width = 16
    for case in shown:
        word, style = STATUS[case.status]
        made.add_row(
            named(case.subject),
            Text(value_of(case)),
            Text(case.wanted),
            Text(word, style=style),
            Text(visible(why_of(case))),
        )
    note = f"and {numbers.plural(quiet, 'protected sample')} that {'is' if quiet == 1 else 'are'} right"
    return captioned(made, note) if quiet else made


def _changes(measured: Measured, diff: Diff) -> Iterator[RenderableType]:
    counts = [counted(getattr(diff, kind), kind) for kind in ("regressed", "fixed", "churned")]
    yield Text("  ".join(counts), style=BAD if diff.regressed else QUIET)
    if not diff.regressed:
        return
    columns = ("regressed", "before = gold", "now", "text")
    made = table(*columns, left=columns, gives_way=columns)
    made.columns[0].header_style = f"bold {BAD}"
    for column in made.columns[1:3]:
        column.max_width = 30
    texts = _texts(measured)
    space = measured.evidence.space
    for each in diff.regressed[:MOST_REGRESSED]:
        then, now = (Text(said(which, space, MOST_IN_A_CELL)) for which in (each.before, each.after))
        text = clipped(_marked(each, texts), 80)
        made.add_row(named(each.sample), then, now, text, style=QUIET if each.is_unstable else "")
    rest = len(diff.regressed) - MOST_REGRESSED
    yield Text("")
    yield captioned(made, f"and {rest} more: -o report.md has them") if rest > 0 else made


def _marked(change: SampleChange, texts: Mapping[str, str]) -> str:
    """Return a sample's text behind a word that says so where nothing changed in it but what changes by itself."""
    return ("unstable · " if change.is_unstable else "") + texts[change.sample]


def _texts(measured: Measured) -> Mapping[str, str]:
    return {sample.id: text_of(sample) for sample in measured.run.samples}


# --- blessing ---------------------------------------------------------------------------------------------------------


def blessed_report(run: StoredRun, baseline: Baseline, where: str, replaced: Measured | str | None) -> RenderableType:
    """Return what became of `harness bless`: the baseline, what it replaces, and what to do with the file."""
    scores = baseline.scores
    coverage = numbers.DASH if scores["coverage"] is None else numbers.percent(scores["coverage"])
    headline = ", ".join(f"{word} {_or_dash(scores[name])}" for name, word in HEADLINE.items())
    samples = numbers.plural(scores["n_samples"], "sample")
    text = f"{run.manifest.version} is the baseline of {baseline.dataset} {baseline.split}: {headline}"
    text += f", coverage {coverage} on {samples}"
    lines: list[RenderableType] = [Text(one_line(text, 400)), *_replaced(replaced)]
    lines.append(Text(f"written to {visible(where)}: commit this file", no_wrap=True, overflow="ignore"))
    return Group(*lines)


def _or_dash(value: float | None) -> str:
    return numbers.score(math.nan if value is None else value)


def _replaced(replaced: Measured | str | None) -> Iterator[Text]:
    if replaced is None:
        return
    if isinstance(replaced, str):
        yield Text(f"replaces a baseline that it cannot be compared with: {visible(replaced)}", style="yellow")
        return
    old = replaced.found.baseline if replaced.found is not None else None
    diff, comparison = replaced.evidence.diff, replaced.evidence.comparison
    name = "another baseline" if old is None else f"{old.version} ({old.run}, {old.dataset} {old.split})"
    if diff is None or comparison is None:
        yield Text(one_line(f"replaces {name}; {replaced.evidence.uncompared}", 400), style="yellow")
        return
    changes = ", ".join(f"{word} {numbers.delta(diff.headline[key])}" for key, word in HEADLINE.items())
    changes += f", coverage {numbers.points(diff.headline['coverage'])}"
    common = numbers.plural(comparison.n_common, "common sample")
    yield Text(one_line(f"replaces {name}: {changes} on {common}", 400))
    counts = ", ".join(counted(getattr(diff, kind), kind) for kind in ("regressed", "fixed", "churned"))
    yield Text(counts, style=BAD if diff.regressed else QUIET)


# --- JSON -------------------------------------------------------------------------------------------------------------


def gate_json(measured: Measured, result: GateResult) -> dict[str, Any]:
    """Return the outcome as plain values."""
    found, evidence = measured.found, measured.evidence
    baseline = None
    if found is not None:
        baseline = {"where": found.where, "run": found.baseline.run, "version": found.baseline.version}
    return {
        "run": measured.run.manifest.id,
        "baseline": baseline,
        **result.to_json(),
        "notes": list(measured.notes),
        "scores": None if evidence.alone is None else evidence.alone.scores.to_json(),
        "comparison": None if evidence.comparison is None else evidence.comparison.to_json(),
        "judgement": None if evidence.judgement is None else evidence.judgement.to_json(),
    }


# --- Markdown ---------------------------------------------------------------------------------------------------------


def gate_markdown(measured: Measured, result: GateResult) -> str:
    """Return the outcome for a pull request: the verdict, what regressed, the rules, and the rest folded away.

    It has at most `MOST_CHARACTERS`: where that is too few, the tables end with the number of the rows left out.
    """
    text = ""
    for limit in LIMITS:
        text = "\n".join(_markdown(measured, result, limit))
        if len(text) <= MOST_CHARACTERS:
            break
    return text


def _markdown(measured: Measured, result: GateResult, limit: int) -> Iterator[str]:
    evidence, diff = measured.evidence, measured.evidence.diff
    yield f"## {_cell(verdict_of(measured, result), 400)}\n"
    if diff is not None and diff.regressed:
        yield f"### {counted(diff.regressed, 'regressed')}\n"
        yield _changed_table(measured, diff.regressed, limit)
    shown, quiet = _kept(result.cases)
    rows = [[case.name, value_of(case), STATUS[case.status][0], why_of(case)] for case in shown]
    yield "### Rules\n"
    yield _table(["rule", "value", "", "why"], rows, limit, left=4)
    if quiet:
        yield f"Protected samples that are right: {quiet}.\n"
    yield _folded("Labels", _labels_table(measured, limit))
    if diff is not None:
        for kind, changes in (("fixed", diff.fixed), ("churned", diff.churned)):
            if changes:
                yield _folded(f"{len(changes)} {kind}", _changed_table(measured, changes, limit // 2))
    cautions = () if evidence.judgement is None else evidence.judgement.cautions
    lines = [*_about(measured), *measured.notes[:10], *cautions]
    yield _folded("About", "\n".join(f"- {_cell(line, 300)}" for line in lines) + "\n")


def _folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n</details>\n"


def _changed_table(measured: Measured, changes: Sequence[SampleChange], limit: int) -> str:
    texts, space = _texts(measured), measured.evidence.space
    rows = [
        [
            each.sample,
            label_list(space.ordered(each.gold), MOST_IN_A_CELL),
            *(said(which, space, MOST_IN_A_CELL) for which in (each.before, each.after)),
            _marked(each, texts),
        ]
        for each in changes[:limit]
    ]
    return _table(["sample", "gold", "before", "now", "text"], rows, limit, left=5, total=len(changes))


def _labels_table(measured: Measured, limit: int) -> str:
    evidence = measured.evidence
    if evidence.comparison is None or evidence.diff is None or evidence.judgement is None:
        scores = () if evidence.alone is None else evidence.alone.scores.labels
        alone = [
            [row.label, numbers.count(row.support), *map(numbers.score, (row.precision, row.recall, row.f1))]
            for row in scores
        ]
        return _table(["label", "support", "precision", "recall", "F1"], alone, limit)
    judged = evidence.judgement.diffs[0].labels
    now = evidence.comparison.runs[1].scores.labels
    rows = [
        [
            row.label,
            numbers.count(row.support),
            *map(numbers.score, (scored.precision, scored.recall, row.f1_before, row.f1_after)),
            numbers.delta(row.delta),
            difference.verdict,
        ]
        for row, scored, difference in zip(evidence.diff.labels, now, judged, strict=True)
    ]
    header = ["label", "support", "precision", "recall", "F1 before", "F1 now", "change", "verdict"]
    return _table(header, rows, limit)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], limit: int, left: int = 1, total: int = 0) -> str:
    """Return a Markdown table of at most so many rows, and a line that counts the others."""
    rule = ["---" if at < left else "---:" for at in range(len(header))]
    lines = [header, rule, *([_cell(cell) for cell in row] for row in rows[:limit])]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
    rest = max(total, len(rows)) - min(limit, len(rows))
    return f"{text}\n… and {rest} more.\n" if rest > 0 else text


def _cell(text: str, width: int = 160) -> str:
    """Return outside text for GitHub: shortened, no markup, nobody mentioned, nothing linked.

    A zero-width space breaks what GitHub would turn into a mention, a reference or a link; all else reads the same.
    """
    cell = markdown_cell(one_line(text, width))
    cell = re.sub(r"@(?=\w)", "@&#8203;", cell)
    cell = re.sub(r"\\#(?=\w)", r"\\#&#8203;", cell)
    return re.sub(r"://|(?<=www)\.(?=\S)", lambda found: f"{found[0][0]}&#8203;{found[0][1:]}", cell)
