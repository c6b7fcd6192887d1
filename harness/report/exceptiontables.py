"""The tables of a search for exceptions, in plain words and numbers: the terminal and the digest show the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.errorplaces import Site, SiteKind
from harness.errorsites import ErrorSites
from harness.exceptionsearch import Exceptions
from harness.labeltriggers import WIDEST
from harness.report import numbers
from harness.report.judged import p_value
from harness.report.text import json_text, one_line
from harness.stats import Interval
from harness.triggernumbers import Numbers, Uncertainty
from harness.triggersearch import Choice

MOST_ROWS = 5
"""Rows of each table of places, so that what matters stands on a screen."""

MOST_IDS = 3

LEAST_Z = 2.0
"""How clearly a word must stand out to be shown."""

PLACES: Mapping[str, tuple[SiteKind, ...]] = {
    "column": ("column", "range", "length"),
    "disagreement": ("version", "versions", "repeats"),
    "confidence": ("confidence",),
}
"""Tables of samples with something in common, each with the kinds that stand in it."""

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table.

    Attributes:
        columns: Headers; a line break makes one two lines high.
        rows: Cells, outside text among them as it is.
        left: The columns that are left-aligned: those that hold words.
        notes: Lines below it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[str, ...]
    notes: tuple[str, ...] = ()


def site_sheets(sites: ErrorSites, most: int = MOST_ROWS) -> Iterator[Sheet]:
    """Yield where the errors are: labels, pairs, failures, samples with something in common, words.

    Args:
        sites: Of the half that was searched.
        most: Rows of each table.
    """
    if sites.labels:
        yield _labels(sites, most)
    if sites.pairs:
        rows = [(each.missed, each.added, numbers.count(each.n), _ids(each.samples)) for each in sites.pairs]
        columns = ("missed", "added", "samples", "such as")
        yield _cut(columns, rows, ("missed", "added", "such as"), most, "pair")
    if sites.failures:
        rows = [
            (each.kind, numbers.count(each.n), numbers.percent(each.share), _ids(each.samples))
            for each in sites.failures
        ]
        columns = ("without an answer", "samples", "of the wrong", "such as")
        yield _cut(columns, rows, ("without an answer", "such as"), most, "kind")
    for head, kinds in PLACES.items():
        if found := sites.of(*kinds):
            yield _places(head, found, most)
    clear = [each for each in sites.words if each.word.z >= LEAST_Z]
    if clear:
        words = [
            (
                each.word.word,
                each.column,
                numbers.count(each.word.here),
                numbers.count(each.word.there),
                f"{each.word.z:.1f}",
            )
            for each in clear
        ]
        heads = ("word", "in", "wrong\nsamples", "right\nsamples", "z")
        note = "z: how clearly it stands out among the wrong samples; of so many words some reach 2 by chance"
        yield _cut(heads, words, ("word", "in"), most, "word", note)


def _labels(sites: ErrorSites, most: int) -> Sheet:
    lost = any(each.unanswered for each in sites.labels)
    rows = []
    for each in sites.labels:
        counts = [each.support, each.missed, each.added, *([each.unanswered] if lost else [])]
        cells = [*map(numbers.count, counts), numbers.percent(each.share)]
        rows.append((each.label, *cells, _ids(each.samples)))
    unanswered = ("unanswered",) if lost else ()
    columns = ("label", "support", "missed", "added", *unanswered, "of all\nwrong cells", "such as")
    return _cut(columns, rows, ("label", "such as"), most, "label")


def _places(head: str, sites: Sequence[Site], most: int) -> Sheet:
    rows = [
        (
            place(each),
            numbers.count(each.n),
            numbers.percent(each.rate),
            numbers.percent(each.rest_rate),
            f"{each.errors:.2f}",
            f"{each.rest_errors:.2f}",
            p_value(each.p_holm),
        )
        for each in sites
    ]
    columns = (
        head, "samples", "wrong", "of all\nothers", "errors\na sample", "of all\nothers ", "p (Holm)",
    )  # fmt: skip
    return _cut(columns, rows, (head,), most, "place")


def place(site: Site) -> str:
    """Return what samples have in common, in words."""
    span = f"{_number(site.low)} to {_number(site.high)}"
    match site.kind:
        case "column":
            value = site.value if isinstance(site.value, str) else json_text(site.value)
            return f"{site.name}: {value}"
        case "range":
            return f"{site.name}: {span}"
        case "length":
            return f"{site.name} of {span} characters"
        case "confidence":
            return f"{numbers.score(site.low)} to {numbers.score(site.high)}"
        case "version":
            return f"another answer by {site.name}"
        case "versions":
            return "another answer by any other run"
        case "repeats":
            return "repeats that differ"


def _number(value: float) -> str:
    return numbers.count(value) if float(value).is_integer() else f"{value:g}"


def _cut(
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    left: tuple[str, ...],
    most: int,
    what: str,
    *notes: str,
) -> Sheet:
    rest = len(rows) - most
    told = (f"and {numbers.plural(rest, what)} more",) if rest > 0 else ()
    return Sheet(columns, tuple(rows[:most]), left, (*notes, *told))


def _ids(ids: Sequence[str]) -> str:
    return ", ".join(one_line(each, 40) for each in ids[:MOST_IDS])


# --- triggers ---------------------------------------------------------------------------------------------------------


def trigger_sheet(found: Exceptions, most: int) -> Sheet:
    """Return the best triggers, with their numbers on the half that was searched."""
    result = found.search
    rows = [(each.expression, *_numbers(each.seen), ", ".join(each.seen.scope)) for each in result.ranked]
    columns = ("trigger", *_NUMBERS, "labels in question")
    sheet = _cut(columns, rows, ("trigger", "labels in question"), most, "trigger")
    base = result.ranked[0].seen.base_rate if result.ranked else math.nan
    beats = (
        "Every sample is wrong, so precision tells nothing: what counts is how many errors a sample has."
        if base >= 1
        else f"Precision is to beat {numbers.percent(base)}, the share of all samples that is wrong."
    )
    looked = f"{numbers.count(result.n_scored)} expressions were looked at, {numbers.count(result.n_candidates)} kept"
    notes = (
        f"On the searched half, where they were found: too good to be true. {beats} {looked}.",
        *sheet.notes,
    )
    return Sheet(sheet.columns, sheet.rows, sheet.left, notes)


_NUMBERS = ("sent", "price", "errors\ncaught", "precision", "macro F1\nat most")


def _numbers(found: Numbers) -> tuple[str, ...]:
    return (
        numbers.count(found.sent),
        numbers.percent(found.price),
        numbers.percent(found.coverage),
        numbers.percent(found.precision),
        numbers.delta(found.bound["macro_f1"]),
    )


def front_sheet(found: Exceptions) -> Sheet:
    """Return the choices of which none is cheaper and catches more than another."""
    rows = tuple((*_numbers(each.seen)[1:3], each.expression) for each in found.search.front)
    return Sheet(("price", "errors\ncaught", "trigger"), rows, ("trigger",))


def choice_sheet(found: Exceptions, chosen: Choice) -> Sheet:
    """Return the choice's numbers: where it was found, by cross-validation, on the unseen half; beside random samples."""
    result = found.search
    rows = [("searched half, in sample", *_measured(chosen.seen))]
    if result.procedure is not None:
        rows.append(("searched half, cross-validated", *_measured(result.procedure.numbers)))
    rows.append(("unseen half", *_measured(chosen.unseen)))
    if result.uncertainty is not None:
        rows.append(("  95 % interval", *_intervals(result.uncertainty)))
    if result.reference is not None:
        random = result.reference
        share = random.sent / chosen.unseen.n if chosen.unseen.n else math.nan
        rate, gain = numbers.percent(chosen.unseen.base_rate), numbers.delta(random.bound["macro_f1"])
        sent = numbers.count(random.sent)
        row = (
            "as many at random there",
            sent,
            numbers.percent(share),
            numbers.percent(random.coverage),
            rate,
            "",
            gain,
        )
        rows.append(row)
    columns = ("the choice", *_NUMBERS[:4], "of all\nwrong", _NUMBERS[4])
    return Sheet(columns, tuple(rows), ("the choice",))


def _measured(found: Numbers) -> tuple[str, ...]:
    cells = _numbers(found)
    return (*cells[:4], numbers.percent(found.base_rate), cells[4])


def _intervals(sure: Uncertainty) -> tuple[str, ...]:
    shares = [_span(each) for each in (sure.price, sure.coverage, sure.precision)]
    bound = sure.bound["macro_f1"]
    gain = numbers.DASH if math.isnan(bound.low) else f"{numbers.delta(bound.low)}–{numbers.delta(bound.high)}"
    return ("", *shares, "", gain)


def label_sheet(found: Exceptions) -> Sheet:
    """Return the best trigger for each label's errors alone, with its numbers on the half that was not searched."""
    rows = []
    for each in found.by_label:
        trigger, cells = "nothing found", [numbers.DASH] * 5
        if each.choice is not None:
            unseen = each.choice.unseen
            shares = (unseen.price, unseen.coverage, unseen.precision, unseen.base_rate)
            trigger, cells = each.choice.expression, [numbers.count(unseen.sent), *map(numbers.percent, shares)]
        ps = (p_value(each.fold_p_holm), p_value(each.unseen_p_holm))
        rows.append((each.label, trigger, *cells, *ps, each.verdict))
    columns = (
        "label", "trigger for its errors", *_NUMBERS[:4], "of all\nwrong", "p, by\nfolds", "p,\nunseen", "verdict",
    )  # fmt: skip
    widest = numbers.percent(max(found.settings.budget, WIDEST))
    note = (
        f"On the unseen half. Only the label's errors count, and up to {widest} of the samples may be sent. Both p are "
        f"corrected for {numbers.plural(len(rows), 'label')} (Holm)."
    )
    return Sheet(columns, tuple(rows), ("label", "trigger for its errors", "verdict"), (note,))


def _span(found: Interval) -> str:
    if math.isnan(found.low):
        return numbers.DASH
    return f"{numbers.percent(found.low).removesuffix(' %')}–{numbers.percent(found.high)}"
