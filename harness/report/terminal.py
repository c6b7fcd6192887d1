"""Runs in the terminal: headline, per-label table, failures and cost."""

from __future__ import annotations

import difflib
import io
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from harness.comparison import Diff
from harness.labelspace import LabelSpace
from harness.pricing import Spent
from harness.prompt import ANSWER_LIMITS
from harness.records import FailureKind
from harness.report import numbers
from harness.report.files import FIELD_COLUMNS, MOST_REASONS, field_cells
from harness.report.text import one_line, visible
from harness.scoring import Scores
from harness.store import InForce, Manifest

if TYPE_CHECKING:
    from harness.callerrors import Failing
    from harness.holdoutlog import Looks
    from harness.noise import Noise

BAR = 16
"""Characters of the F1 bar at 1.0."""

MOST_EMPTY_ROWS = 3
"""Rows of labels without gold and predictions; of more, as in a few samples of many labels, there are only names."""

GOOD, BAD, QUIET = "green", "red", "dim"
NARROW = 100
"""Width when the output is no terminal."""

LONGEST_NAME = 200
"""Characters of a label, run or sample id that are shown."""


def console(stream: IO[str] | None = None) -> Console:
    """Return a console for results (default: standard output). Colour goes by the terminal and NO_COLOR."""
    out = stream or sys.stdout
    width = None if out.isatty() or "COLUMNS" in os.environ else NARROW
    return Console(file=out, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False)


class _Safe:
    """What is shown, with every control character in it escaped: the last gate before the terminal."""

    def __init__(self, renderable: RenderableType) -> None:
        self.renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def rendered(parts: Iterable[RenderableType], stream: IO[str] | None = None) -> str:
    """Return what is to be written to a stream: control characters escaped, no spaces at the ends of lines."""
    out = console(stream)
    with out.capture() as captured:
        for part in parts:
            # What is wider than the terminal was meant so: a command must stay whole to be copied.
            out.print(_Safe(Text(part) if isinstance(part, str) else part), crop=False)
    return re.sub(" +$", "", captured.get(), flags=re.MULTILINE)


def table(*columns: str, left: Sequence[str] = (), gives_way: Sequence[str] = ()) -> Table:
    """Return an empty table in the house style.

    Args:
        columns: Headers; a line break in one makes it two lines high.
        left: Those that are left-aligned.
        gives_way: Those that get narrower when the terminal is: their cells go on in the next line, or are cut with an
            ellipsis where they are `clipped`. Numbers and what is typed are never cut for them.
    """
    made = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    height = max((name.count("\n") for name in columns), default=0)
    for name in columns:
        header = Text("\n" * (height - name.count("\n")) + name)
        justify: Literal["left", "right"] = "left" if name in left else "right"
        gives = name in gives_way
        made.add_column(header, justify=justify, no_wrap=not gives, overflow="fold" if gives else "ellipsis")
    return made


def clipped(text: str, width: int, style: str = "") -> Text:
    """Return outside text for a cell of one line that is cut where the column ends."""
    return Text(one_line(text, width), style=style, no_wrap=True, overflow="ellipsis")


def captioned(made: RenderableType, *lines: str) -> RenderableType:
    """Return the table with quiet lines below it, which may be wider than it is."""
    return Group(made, *(Text(line, style=QUIET) for line in lines))


def named(text: str, style: str = "") -> Text:
    """Return a name that a person may want to type: on one line and whole, unless it is longer than any name."""
    return Text(one_line(text, LONGEST_NAME), style=style)


def change(value: float, *, good_is_up: bool = True) -> Text:
    """Return a signed difference in the colour of what it means."""
    text = numbers.delta(value)
    if math.isnan(value) or text == "0.000":
        return Text(text, style=QUIET)
    return Text(text, style=GOOD if (value > 0) == good_is_up else BAD)


def bar(value: float, width: int = BAR) -> Text:
    """Return a bar of eighths of a character for a score between 0 and 1; empty for NaN."""
    if math.isnan(value):
        return Text("")
    eighths = round(value * width * 8)
    whole, part = divmod(eighths, 8)
    return Text("█" * whole + ("▏▎▍▌▋▊▉"[part - 1] if part else ""), style="cyan")


def run_report(
    manifest: Manifest,
    scores: Scores,
    spent: Spent,
    diff: Diff | None,
    n_common: int | None,
    noise: Noise | None = None,
    looks: Looks | None = None,
    call_errors: Sequence[Failing] = (),
) -> RenderableType:
    """Return what a person sees of a run: who answered what, how well, what went wrong, what it cost.

    With ``noise``, which a run with several repeats has, also how much it disagrees with itself; with ``looks``, which a
    run on a locked split has, how often that was looked at; with ``call_errors``, which a run with failed calls has, why.
    """
    parts: list[RenderableType] = [
        _title(manifest, scores),
        *_looks(looks),
        Text(""),
        headline(scores, diff, n_common),
        Text(""),
        label_table(scores, diff),
        *_probabilities(scores, diff),
    ]
    parts += [Text(""), field_table(scores)] if scores.fields else []
    parts += [Text(""), *failure_lines(scores, manifest, call_errors), *_noise(noise)]
    parts += [_cost(manifest, scores, spent)]
    return Group(*parts)


def _title(manifest: Manifest, scores: Scores) -> Text:
    text = Text.assemble((manifest.version, "bold"), f" on {manifest.dataset} {manifest.split}")
    details = [numbers.plural(scores.n_samples, "sample"), " + ".join(manifest.models)]
    if manifest.repeats > 1:
        details.append(f"mean of {manifest.repeats} repeats")
    if manifest.constrained:
        details.append(f"constrained: {_in_force(manifest.constrained)}")
    if manifest.redrawn:
        details.append(f"redrawn: {', '.join(manifest.redrawn)}")
    if manifest.state != "complete":
        details.append(manifest.state)
    return text.append(" · " + " · ".join(details)).append(f" · {manifest.id}", style=QUIET)


def _looks(looks: Looks | None) -> list[RenderableType]:
    """Return how often a locked split was looked at; nothing of other splits."""
    from harness.report.looks import looks_line

    return [] if looks is None else [looks_line(looks)]


def _in_force(constrained: InForce) -> str:
    """Return the forms in which answers had to be written; with the passes' names where they differ."""
    by_pass = {
        name: " or ".join(dict.fromkeys([said] if isinstance(said, str) else said.values()))
        for name, said in constrained.items()
    }
    if len(set(by_pass.values())) == 1:
        return next(iter(by_pass.values()))
    return ", ".join(f"{one_line(name, LONGEST_NAME)} {forms}" for name, forms in by_pass.items())


def headline_line(manifest: Manifest, scores: Scores, width: int = 0) -> Text:
    """Return a run in one line, for when others follow; ``width`` is that of the longest version."""
    text = Text.assemble((f"{one_line(manifest.version, LONGEST_NAME):<{width}}", "bold"))
    for name, value in zip(("macro F1", "micro F1", "subset acc."), _three(scores), strict=True):
        text.append(f"  {name} ").append(numbers.score(value), style="bold")
    text.append(f"  coverage {numbers.percent(scores.coverage)}")
    text.append(f"  {numbers.seconds(manifest.seconds)}", style=QUIET)
    text.no_wrap, text.overflow = True, "ignore"
    return text


def headline(scores: Scores, diff: Diff | None, n_common: int | None) -> Table:
    """Return the headline scores, with what they are over and the change against the baseline."""
    made = table("", "macro F1", "micro F1", "subset accuracy", "coverage", " ", left=("", " "), gives_way=("", " "))
    averages, answered = scores.averages, scores.answered
    made.add_row(
        Text("all samples", style="bold"),
        *(Text(numbers.score(each), style="bold") for each in _three(scores)),
        Text(numbers.percent(scores.coverage), style="bold"),
        Text(f"macro over {numbers.plural(averages.macro_labels, 'label')}", style=QUIET),
    )
    if scores.coverage < 1:
        made.add_row(
            "answered only",
            *(numbers.score(each) for each in (answered.macro_f1, answered.micro_f1, answered.subset_accuracy)),
            "",
            Text(numbers.plural(scores.n_answered, "sample"), style=QUIET),
        )
    if scores.worst_case is not None:
        worst = scores.worst_case
        made.add_row(
            "worst case",
            *(numbers.score(each) for each in (worst.macro_f1, worst.micro_f1, worst.subset_accuracy)),
            "",
            Text("all unanswered cells wrong", style=QUIET),
        )
    if diff is not None:
        made.add_row(
            Text(f"change from {one_line(diff.before, LONGEST_NAME)}"),
            *(change(diff.headline[name]) for name in ("macro_f1", "micro_f1", "subset_accuracy")),
            _points(diff.headline["coverage"]),
            Text(f"on {numbers.plural(n_common or 0, 'common sample')}", style=QUIET),
        )
    return made


def _points(value: float) -> Text:
    """Return a change of coverage in the unit that coverage is shown in."""
    return Text(numbers.points(value), style=change(value).style)


def _three(scores: Scores) -> tuple[float, float, float]:
    return scores.averages.macro_f1, scores.averages.micro_f1, scores.averages.subset_accuracy


def label_table(scores: Scores, diff: Diff | None) -> RenderableType:
    """Return one row a label, in label-space order, with the averages below; labels without support stand apart.

    Where the labels have probabilities, how well they rank stands there too, when the table then fits in `NARROW` columns.
    """
    made = _label_rows(scores, diff, _ranks_fit(scores, diff))
    return captioned(made, *without_gold([scores]))


def without_gold(runs: Sequence[Scores]) -> Iterator[str]:
    """Yield what is said below a table of labels where some have no gold."""
    if empty := empty_labels(runs):
        yield f"Neither gold nor predicted: {', '.join(one_line(name, LONGEST_NAME) for name in empty)}"
    if not all(row.support for row in runs[0].labels):
        yield "Labels without gold are in no macro average; every prediction of one is wrong."


def empty_labels(runs: Sequence[Scores]) -> list[str]:
    """Return the labels that are told in a line instead of rows: without gold and predictions in any run, and many such."""
    rows = zip(*(run.labels for run in runs), strict=True)
    empty = [each[0].label for each in rows if not any(row.support or row.predicted for row in each)]
    return empty if len(empty) > MOST_EMPTY_ROWS else []


def _ranks_fit(scores: Scores, diff: Diff | None) -> bool:
    """Return whether the label table has room for AUROC and average precision, no label on two lines for it."""
    if scores.probabilities is None:
        return False
    out = console(io.StringIO())
    unlimited = out.options.update(max_width=100 * NARROW)
    return Measurement.get(out, unlimited, _label_rows(scores, diff, ranks=True)).maximum <= NARROW


def _label_rows(scores: Scores, diff: Diff | None, ranks: bool) -> Table:
    names = ["label", "support", "predicted", "P", "R", "F1", " "]
    deltas = {each.label: each.delta for each in diff.labels} if diff else {}
    last = [*(["Δ F1"] if diff else []), *(["AUROC", "AP"] if ranks else [])]
    made = table(*names, *last, left=("label", " "), gives_way=("label",))
    weighed = scores.probabilities.labels if ranks and scores.probabilities is not None else ()
    ranked = {row.label: [numbers.score(row.auroc), numbers.score(row.average_precision)] for row in weighed}
    for row in (row for row in scores.labels if row.support):
        cells = [numbers.score(value) for value in (row.precision, row.recall, row.f1)]
        extra = [change(deltas[row.label])] if diff else []
        counts = (numbers.count(row.support), numbers.count(row.predicted))
        made.add_row(named(row.label), *counts, *cells, bar(row.f1), *extra, *ranked.get(row.label, ()))
    made.add_section()
    for name in ("macro", "micro", "weighted", "samples"):
        cells = [numbers.score(getattr(scores.averages, f"{name}_{what}")) for what in ("precision", "recall", "f1")]
        made.add_row(Text(f"{name} average", style=QUIET), "", "", *cells)
    empty = empty_labels([scores])
    lonely = [row for row in scores.labels if not row.support and row.label not in empty]
    made.add_section()
    for row in lonely:
        cells = [numbers.score(value) for value in (row.precision, row.recall, row.f1)]
        made.add_row(named(row.label), "0", numbers.count(row.predicted), *cells)
    return made


def _probabilities(scores: Scores, diff: Diff | None) -> list[RenderableType]:
    """Return what is said of a run's probabilities; nothing where it has none."""
    from harness.report.probabilities import label_probabilities, probability_table, reliability_table

    if scores.probabilities is None:
        return []
    parts: list[RenderableType] = [Text(""), probability_table(scores.probabilities)]
    if not _ranks_fit(scores, diff):
        parts += [Text(""), label_probabilities(scores.probabilities)]
    return [*parts, Text(""), reliability_table(scores.probabilities.bins)]


def _noise(noise: Noise | None) -> list[RenderableType]:
    """Return what is said of a run's noise floor; nothing where it was not measured."""
    from harness.report.noise import noise_block

    return [] if noise is None else [noise_block(noise)]


def field_table(scores: Scores) -> Table:
    """Return one row a field that was asked for."""
    columns = [name.replace("most ", "most\n") for name in FIELD_COLUMNS]
    made = table(*columns, left=("field",), gives_way=("field",))
    for row in scores.fields:
        made.add_row(named(row.field), *field_cells(row))
    return made


def failure_lines(scores: Scores, manifest: Manifest, call_errors: Sequence[Failing] = ()) -> Iterator[RenderableType]:
    """Say what was not answered and what was answered off the list, and what may help: aliases, room for the answer.

    Of calls that failed the commonest reasons stand there, in the server's own words.
    """
    total = sum(scores.failures.values())
    if total:
        kinds = ", ".join(f"{n} {kind}" for kind, n in scores.failures.items() if n)
        asked = numbers.count(scores.n_samples * scores.n_repeats)
        yield Text.assemble((f"{total} of {asked} without an answer", BAD), f", counted as wrong: {kinds}")
        yield from _call_error_lines(call_errors)
        if scores.failures[FailureKind.TRUNCATED] and (limit := _answer_limit(manifest)):
            yield Text(f"  truncated: {limit} ends an answer. It needs more, or the model runs on", style=QUIET)
    else:
        yield Text("Every sample was answered.", style=QUIET)
    averages = scores.averages
    yield Text(
        f"Labels per sample: {averages.cardinality_predicted:.2f} predicted, {averages.cardinality_gold:.2f} gold"
        f" · Hamming loss {numbers.score(averages.hamming_loss)} · Jaccard {numbers.score(averages.jaccard)}"
        + (f" · {numbers.plural(scores.repaired, 'answer')} mended" if scores.repaired else "")
    )
    if scores.off_list:
        most = [f"'{one_line(text, 24)}' {n}" for text, n in list(scores.off_list.items())[:5]]
        rest = f" and {numbers.plural(len(scores.off_list) - 5, 'other')}" if len(scores.off_list) > 5 else ""
        samples = numbers.plural(scores.off_list_samples, "sample" if scores.n_repeats == 1 else "answer")
        yield Text(f"Off-list labels in {samples}: {', '.join(most)}{rest}")
        for label, spelling in near_misses(manifest.space, scores.off_list):
            alias = f"  if '{one_line(spelling, 40)}' means {label}: make it an alias of {label}"
            told = f"{alias}, then: harness score {manifest.id}"
            yield Text(told, style=QUIET, no_wrap=True, overflow="ignore")


def _call_error_lines(call_errors: Sequence[Failing]) -> Iterator[RenderableType]:
    """Yield a line for each of the commonest reasons; the message is cut where the line ends, the count never."""
    shown = call_errors[:MOST_REASONS]
    rows = Table.grid(pad_edge=False)
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="ellipsis")
    rows.add_column(no_wrap=True)
    for each in shown:
        kind, status, message = each.reason
        said = clipped(f'"{message}"', LONGEST_NAME, QUIET)
        rows.add_row(
            Text(f"  call_error: {status or one_line(kind, 24)} ", QUIET), said, f" {numbers.count(each.calls)}×"
        )
    if shown:
        yield rows
    if rest := call_errors[MOST_REASONS:]:
        calls = numbers.plural(sum(each.calls for each in rest), "call")
        yield Text(f"  and {numbers.plural(len(rest), 'other reason')} of {calls}", style=QUIET)


def _answer_limit(manifest: Manifest) -> str:
    """Return what bounds the answers of a run, as it is written in the prompt; empty where nothing does."""
    limits = [
        f"{name} {each.model.params[name]}"
        for each in manifest.prompt.passes
        for name in ANSWER_LIMITS
        if name in each.model.params
    ]
    return one_line(" or ".join(dict.fromkeys(limits)), LONGEST_NAME)


_DENIALS = frozenset({"no", "not", "non", "without", "never", "none"})


def near_misses(space: LabelSpace, off_list: Iterable[str], most: int = 3) -> list[tuple[str, str]]:
    """Return (label, spelling) for off-list answers that look like a label. Offered, never accepted by themselves."""
    found: list[tuple[str, str]] = []
    for spelling in off_list:
        if spelling.split(" ")[0] in _DENIALS or space.find(spelling):
            continue  # "no refund" as an alias of refund would turn a denial into an answer; a label was not asked about
        near = difflib.get_close_matches(spelling, space.spellings, n=1, cutoff=0.75)
        if near and len(found) < most:
            found.append((space.spellings[near[0]], spelling))
    return found


def _cost(manifest: Manifest, scores: Scores, spent: Spent) -> Text:
    if manifest.origin is not None:
        return Text(f"no prompt made it: no calls · {numbers.seconds(manifest.seconds)}", style=QUIET)
    tokens = numbers.short_count(spent.prompt_tokens + spent.completion_tokens)
    calls = f"{numbers.plural(spent.calls, 'call')} made" if spent.calls else "no call made: every completion was there"
    if not spent.calls and scores.failures[FailureKind.CALL_ERROR]:
        calls = "no call was answered"
    return Text(
        f"{calls} · {tokens} tokens · cost {numbers.usd(spent.usd)} · {numbers.seconds(manifest.seconds)}", style=QUIET
    )


def next_steps(commands: Sequence[str]) -> RenderableType:
    """Return the commands that a person will want to type next, each on one line to be copied."""
    lines = [Text(f"  {command}", style="bold", no_wrap=True, overflow="ignore") for command in commands]
    return Group(Text(""), Text("Next:"), *lines)
