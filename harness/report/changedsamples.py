"""Changed samples of a comparison: as a table, or each in full with both answers and both raw outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.comparison import FLIPS, SampleChange
from harness.failures import describe
from harness.labelspace import LabelSpace
from harness.records import Prediction, Sample
from harness.report import numbers
from harness.report.terminal import BAD, GOOD, QUIET, captioned, clipped, named, table
from harness.report.text import one_line, visible
from harness.store import StoredRun

STYLES = {"regressed": BAD, "fixed": GOOD, "churned": "yellow"}
"""The kinds of change in the order in which they are told."""

BAD_FLIPS = ("TP→FN", "TN→FP", "answer→failure")

MOST_IN_A_CELL = 8
"""Labels of a prediction that are named in a list of changes: an answer of all 28 would fill the screen."""

FEW_IN_A_CELL = 4
"""The same where three columns hold labels."""

LONGEST_RAW = 2_000
"""Characters of a raw output that are shown."""


def sample_changes(
    changes: Sequence[SampleChange],
    kind: str,
    space: LabelSpace,
    samples: Mapping[str, Sample],
    limit: int,
    more: str,
    cell: bool = False,
) -> Iterator[RenderableType]:
    """List samples that changed in one way: id, gold where neither answer is it, what was said and is said now, text.

    With ``cell``, where the changes are those of one label, also how its cell changed.

    Those in which nothing changed but what changes by itself are grey and called unstable.
    """
    if not changes or not limit:
        return
    shown = changes[:limit]
    exact = all(_is_gold(each.before if kind == "regressed" else each.after, each) for each in shown)
    then, now = "before = gold" if kind == "regressed" and exact else "before", "now"
    now = "now = gold" if kind == "fixed" and exact else now
    most = MOST_IN_A_CELL if "gold" in then + now else FEW_IN_A_CELL
    columns = (kind, *(() if "gold" in then + now else ("gold",)), then, now, *(("cell",) if cell else ()), "text")
    made = table(*columns, left=columns, gives_way=columns)
    made.columns[0].header_style = f"bold {STYLES[kind]}"
    for column in made.columns[1:-1]:
        column.max_width = 30 if len(columns) == 4 else 24 if len(columns) == 5 else 20
    for each in shown:
        text = ("unstable · " if each.is_unstable else "") + text_of(samples[each.sample])
        gold = [label_list(space.ordered(each.gold), most)] if "gold" in columns else []
        cells = [*gold, *(said(which, space, most) for which in (each.before, each.after))]
        cells += list(each.flips.values()) if cell else []
        made.add_row(named(each.sample), *map(Text, cells), clipped(text, 80), style=QUIET if each.is_unstable else "")
    rest = len(changes) - limit
    yield Text("")
    yield captioned(made, f"and {rest} more: {more}") if rest > 0 else made


def _is_gold(prediction: Prediction, change: SampleChange) -> bool:
    return prediction.labels == change.gold and not prediction.unanswered


def samples_in_full(
    changes: Sequence[SampleChange],
    kind: str,
    runs: tuple[StoredRun, StoredRun],
    names: tuple[str, str],
    samples: Mapping[str, Sample],
    limit: int,
    more: str,
) -> Iterator[RenderableType]:
    """Show samples that changed in one way, each in full: text, gold, both answers with their flips, both raw outputs."""
    for each in changes[:limit]:
        yield Text("")
        style = QUIET if each.is_unstable else STYLES[kind]
        mark = " · unstable: nothing changed but what changes by itself" if each.is_unstable else ""
        yield Text.assemble(named(each.sample, "bold"), (f"  {kind}{mark}", style))
        yield from _in_full(each, runs, names, samples[each.sample])
    if len(changes) > limit:
        yield Text("")
        yield Text(f"and {len(changes) - limit} more {kind}: {more}", style=QUIET)


def _in_full(
    change: SampleChange, runs: tuple[StoredRun, StoredRun], names: tuple[str, str], sample: Sample
) -> Iterator[RenderableType]:
    space = runs[0].manifest.space
    width = max(len(one_line(name, 40)) for name in (*names, "flips"))

    def fact(name: str, *value: str | Text | tuple[str, str]) -> RenderableType:
        return Padding(Text.assemble(f"{one_line(name, 40) + ':':<{width + 1}} ", *value), (0, 0, 0, 2))

    yield Padding(Text(visible(text_of(sample).strip())), (0, 0, 0, 2))
    yield fact("gold", (label_list(space.ordered(change.gold)), GOOD))
    yield fact(names[0], said(change.before, space))
    yield fact(names[1], said(change.after, space))
    yield fact("flips", flips(change, len(space)))
    outputs = [raw_outputs(run, sample, which, change.gold) for run, which in _sides(change, runs)]
    if outputs[0] == outputs[1] and outputs[0]:
        yield from _raws("both", outputs[0])
        return
    for name, raws in zip(names, outputs, strict=True):
        yield from _raws(name, raws)


def _sides(change: SampleChange, runs: tuple[StoredRun, StoredRun]) -> Iterator[tuple[StoredRun, Prediction]]:
    yield runs[0], change.before
    yield runs[1], change.after


def flips(change: SampleChange, n_labels: int) -> Text:
    """Return which labels changed in which way; those that change by themselves are grey and marked."""
    text = Text()
    for flip in FLIPS:
        labels = [label for label, its in change.flips.items() if its == flip]
        if not labels:
            continue
        text.append(" · " if text else "").append(f"{flip} ", style=BAD if flip in BAD_FLIPS else GOOD)
        if len(labels) == n_labels > 1 and not change.unstable:
            text.append("all labels")
            continue
        for at, label in enumerate(labels):
            mark, style = (" (unstable)", QUIET) if label in change.unstable else ("", "")
            text.append(", " if at else "").append(f"{one_line(label, 40)}{mark}", style=style)
    return text


def raw_outputs(run: StoredRun, sample: Sample, prediction: Prediction, gold: frozenset[str]) -> dict[str, str]:
    """Return what the model wrote, by what was asked where that is more than one thing; empty without completions."""
    passes = [each.name for each in run.manifest.prompt.passes]
    raws = describe(run, sample, prediction, gold).raws
    return {
        name.removeprefix(passes[0]).strip() if len(passes) == 1 else name: "(nothing came back)"
        if raw is None
        else raw
        for name, raw in raws.items()
    }


def _raws(name: str, raws: Mapping[str, str]) -> Iterator[RenderableType]:
    for asked, raw in raws.items():
        title = f"{one_line(name, 40)} raw" + (f", {one_line(asked, 60)}" if asked else "")
        shown = visible(raw.strip("\n"))
        shown = shown[:LONGEST_RAW] + "…" if len(shown) > LONGEST_RAW else shown
        yield Padding(Text(f"{title}: {shown or '(empty)'}", style=QUIET), (0, 0, 0, 2))


def text_of(sample: Sample) -> str:
    """Return the input that tells a sample best: its text, else its first long column."""
    text = sample.inputs.get("text")
    if isinstance(text, str):
        return text
    return " · ".join(str(value) for value in sample.inputs.values())


def label_list(labels: Sequence[str], most: int | None = None) -> str:
    """Return labels for a table cell, those above ``most`` as their number; the empty set is said."""
    shown = ", ".join(one_line(label, 40) for label in labels[:most]) or "none"
    return shown if most is None or len(labels) <= most else f"{shown} and {len(labels) - most} more"


def said(prediction: Prediction, space: LabelSpace, most: int | None = None) -> str:
    """Return what a prediction says: its labels (of many the first ``most``), or why there is no answer."""
    if prediction.failure is not None and len(prediction.unanswered) == len(space):
        return f"({prediction.failure})"
    text = label_list(space.ordered(prediction.labels), most)
    return f"{text} ({prediction.failure})" if prediction.failure is not None else text


def counted(changes: Sequence[SampleChange], kind: str) -> str:
    """Return how many samples changed in one way: "12 regressed (4 of them unstable)"."""
    unstable = sum(each.is_unstable for each in changes)
    return f"{numbers.count(len(changes))} {kind}" + (f" ({unstable} of them unstable)" if unstable else "")
