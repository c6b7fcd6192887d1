"""A search for exceptions as a digest for people, in Markdown, and as plain values for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.exceptionsearch import Exceptions, Worth
from harness.failures import Failure
from harness.labeltriggers import LabelTrigger
from harness.plainvalues import to_plain
from harness.report import numbers
from harness.report.exceptiontables import Sheet, choice_sheet, front_sheet, label_sheet, site_sheets, trigger_sheet
from harness.report.exceptionwords import bound_line, title_line, verdict_line
from harness.report.files import markdown_cell, markdown_table
from harness.report.text import visible
from harness.triggersearch import Choice

MOST_ROWS = 12
MOST_TRIGGERS = 15
LONGEST_TEXT = 1_500
"""Characters of a text or of a raw output that are shown."""


def digest(found: Exceptions) -> str:
    """Return what a person reads before they write a second pass: numbers, and the clusters with samples of each."""
    parts = [f"# Exceptions: {_said(title_line(found))}\n", f"**{_said(verdict_line(found))}**\n"]
    parts += [_said(note) + "\n" for note in found.notes]
    parts.append(
        f"All samples below are of the {numbers.count(found.search.n_seen)} that the search saw. The other "
        f"{numbers.count(found.search.n_unseen)} stay unread, so that the next version can be judged on them.\n"
    )
    parts.append("## Where the errors are\n")
    parts += [_sheet(sheet) for sheet in site_sheets(found.sites, MOST_ROWS)]
    parts += _triggers(found)
    parts.append("## Worth reading\n")
    if not found.worth:
        parts.append("Nothing is wrong.\n")
    for number, each in enumerate(found.worth, 1):
        parts += _cluster(number, each)
    return "\n".join(parts)


def _triggers(found: Exceptions) -> Iterator[str]:
    result = found.search
    yield "## What would send them to a second pass\n"
    if not result.ranked:
        yield "No expression sends enough samples with more errors than the others.\n"
    else:
        yield _sheet(trigger_sheet(found, MOST_TRIGGERS))
    if len(result.front) > 1:
        yield "What a price buys:\n"
        yield _sheet(front_sheet(found))
    if result.chosen is not None:
        yield f"Chosen for a budget of {numbers.percent(found.settings.budget)} of the samples:\n"
        yield _block(result.chosen.expression)
        yield _sheet(choice_sheet(found, result.chosen))
        yield _said(bound_line(found)) + "\n"
    if found.by_label:
        yield "## Label by label\n"
        yield _sheet(label_sheet(found))


def _sheet(sheet: Sheet) -> str:
    header = [" ".join(name.split()) for name in sheet.columns]
    words = [name for name, own in zip(header, sheet.columns, strict=True) if own in sheet.left]
    made = markdown_table(header, sheet.rows, left=0, words=words)
    return "\n".join([made, *(_said(note) + "\n" for note in sheet.notes)])


def _cluster(number: int, each: Worth) -> Iterator[str]:
    yield f"### {number}. {_said(cluster_words(each))}\n"
    for example in each.examples:
        yield from _example(example)


def cluster_words(each: Worth) -> str:
    """Return what went wrong in a cluster, and in how many samples, as a plain sentence."""
    found = each.cluster
    match found.what:
        case "confused":
            what = f"'{found.missed}' is missed and '{found.added}' said instead"
        case "missed":
            what = f"'{found.missed}' is missed, and nothing said instead"
        case "added":
            what = f"'{found.added}' is said, and nothing is missed"
        case "unanswered":
            what = f"No answer: {found.failure}"
    where = ""
    if found.word is not None:
        where = f", where '{found.word[0]}' stands in {found.word[1]}"
    elif found.value is not None:
        where = f", where {found.value[0]} is {found.value[1]}"
    errors = numbers.plural(found.n_errors, "error")
    return f"{what}{where}: {numbers.plural(found.n, 'sample')}, {errors} not told above"


def _example(each: Failure) -> Iterator[str]:
    gold, predicted = (", ".join(names) or "none" for names in (each.gold, each.predicted))
    failure = "" if each.prediction.failure is None else f" · failure: {each.prediction.failure}"
    yield f"- {_said(each.sample.id)} · gold: {_said(gold)} · predicted: {_said(predicted)}{_said(failure)}\n"
    for name, value in each.sample.inputs.items():
        if name == "text" or "text" not in each.sample.inputs:
            yield _indented(_block(value if isinstance(value, str) else str(value)))
    for name, raw in each.raws.items():
        yield f"  {_said(name)}:\n"
        yield _indented(_block("" if raw is None else raw))


def _said(text: str) -> str:
    return markdown_cell(text)


def _block(text: str) -> str:
    """Return outside text as a fenced block that it cannot end."""
    shown = visible(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…")
    longest, run = 0, 0
    for character in shown:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}\n"


def _indented(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))


def to_json(found: Exceptions) -> dict[str, Any]:
    """Return what was found as plain values, NaN as None."""
    manifest, result = found.run.manifest, found.search
    chosen = None if result.chosen is None else _choice(result.chosen)
    return {
        "run": manifest.id,
        "dataset": manifest.dataset,
        "split": manifest.split,
        "seed": found.settings.seed,
        "share": found.settings.share,
        "budget": found.settings.budget,
        "labels": list(found.labels),
        "versions": {name: run.manifest.id for name, run in found.versions.items()},
        "notes": list(found.notes),
        "verdict": result.verdict,
        "why": verdict_line(found),
        "sites": to_plain(found.sites),
        "search": {
            **{
                name: to_plain(getattr(result, name))
                for name in ("n_samples", "n_repeats", "n_seen", "n_unseen", "n_scored", "n_candidates")
            },
            "ranked": [_choice(each) for each in result.ranked],
            "front": [_choice(each) for each in result.front],
            "steps": [_choice(each) for each in result.steps],
            "chosen": chosen,
            "procedure": to_plain(result.procedure),
            "unseen_p": to_plain(result.unseen_p),
            "uncertainty": to_plain(result.uncertainty),
            "reference": to_plain(result.reference),
            "reasons": to_plain(result.reasons),
        },
        "by_label": [_label_json(each) for each in found.by_label],
        "clusters": [_cluster_json(each) for each in found.worth],
        "drafted": None if found.drafted is None else found.drafted.to_json(),
    }


def _choice(each: Choice) -> dict[str, Any]:
    return {"expression": each.expression, **to_plain(each)}


def _label_json(each: LabelTrigger) -> dict[str, Any]:
    return {**to_plain(each), "choice": None if each.choice is None else _choice(each.choice)}


def _cluster_json(each: Worth) -> dict[str, Any]:
    plain = to_plain(each.cluster)
    kept = {name: value for name, value in plain.items() if name != "shown"}
    return {**kept, "words": cluster_words(each), "samples": [example.sample.id for example in each.examples]}
