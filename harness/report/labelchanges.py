"""F1 by label in a comparison: two runs with how sure each difference is, or a matrix of several."""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.comparison import FLIPS, Comparison, Diff, LabelDiff
from harness.report import numbers
from harness.report.changedsamples import BAD_FLIPS
from harness.report.fitting import Fitting
from harness.report.judged import SCORES, STYLES, level, p_value, shown_word, word
from harness.report.terminal import (
    BAD,
    GOOD,
    LONGEST_NAME,
    NARROW,
    QUIET,
    captioned,
    change,
    empty_labels,
    named,
    table,
    without_gold,
)
from harness.report.text import one_line
from harness.scoring import LabelScore
from harness.significance import Difference
from harness.versions import ComparedRuns

MOST_WITH_CHANGE = 5
"""Runs that are shown with a change beside every F1; of more there is no room for it."""

LABEL_WIDTH = 22
"""Columns of the terminal that a matrix leaves to the names of labels and their support."""

WIDEST_NAME = 16
"""Characters of a run's name in a line of a header."""

SHORT_NAME = 6
"""Characters of a run's name up to which it stands over a column of a full table."""

MOST_ROWS = 32
"""Labels that are all shown; of more, those that really changed and `FEW_ROWS` together, unless all are asked for."""

FEW_ROWS = 20

BEST = "*"
"""Marks the run that is really better than every other; it is bold too."""

UP, DOWN = "↑", "↓"
"""Mark what is really better or worse than the baseline."""

AVERAGES = tuple(SCORES)[:5]

_CELL_FLIPS, _FAILURES = FLIPS[:4], FLIPS[4:]


@dataclass(frozen=True, slots=True)
class _Row:
    """A label in all runs."""

    scores: tuple[LabelScore, ...]
    diffs: tuple[LabelDiff, ...]
    judged: tuple[Difference, ...]
    best: str | None

    @property
    def label(self) -> str:
        return self.scores[0].label

    @property
    def support(self) -> float:
        return self.scores[0].support

    @property
    def is_real(self) -> bool:
        return self.best is not None or any(each.verdict in ("better", "worse") for each in self.judged)

    @property
    def size(self) -> float:
        """The largest change, for order."""
        return max((abs(each.delta) for each in self.judged if not math.isnan(each.delta)), default=0.0)


def label_changes(compared: ComparedRuns, shown: Comparison, full: bool = False) -> RenderableType:
    """Return F1 by label for every run, each later one with its change and how sure that is.

    Labels without support stand apart: an F1 of theirs would say nothing. Of many labels those that really changed and
    the largest changes are shown, and the others are counted, unless ``full``.

    Args:
        compared: The comparison, whole.
        shown: What of it is looked at: its labels are shown.
        full: All of many labels.
    """
    rows = _rows(compared, shown.diffs)
    scores = [run.scores for run in compared.comparison.runs]
    empty = empty_labels(scores)
    alone = len(shown.diffs[0].labels) < len(scores[0].labels)
    supported = [row for row in rows if row.support]
    lonely = [row for row in rows if not row.support and row.label not in empty]
    told, rest = (supported, []) if full or len(supported) <= MOST_ROWS else _chosen(supported)
    if len(scores) == 2:
        made = _pair_table(compared, told, lonely, with_averages=not alone)
        tables: Sequence[RenderableType] = [Fitting(made, [range(9, len(made.columns)), (5, 6), (7,)])]
        captions = _pair_captions(compared, told)
    else:
        tables = _matrix(compared, told, lonely, with_averages=not alone)
        captions = _matrix_captions(compared, told)
    captions += [_summary(rest)] if rest else []
    told_below = [*captions, *([] if alone else without_gold(scores))]
    return Group(*tables[:-1], captioned(tables[-1], *told_below))


def _rows(compared: ComparedRuns, shown: Sequence[Diff]) -> list[_Row]:
    """Return the labels that the comparison tells of, in label-space order."""
    comparison, judgement = compared.comparison, compared.judgement
    place = comparison.space.index
    return [
        _Row(
            tuple(run.scores.labels[at] for run in comparison.runs),
            tuple(diffs),
            tuple(judged.labels[at] for judged in judgement.diffs),
            judgement.best_labels[at],
        )
        for diffs in zip(*(diff.labels for diff in shown), strict=True)
        for at in [place[diffs[0].label]]
    ]


def _chosen(rows: Sequence[_Row]) -> tuple[list[_Row], list[_Row]]:
    """Return the rows that are shown of many, the really changed first, and the others."""
    ranked = sorted(rows, key=lambda row: (not row.is_real, -row.size))
    n = max(FEW_ROWS, sum(row.is_real for row in rows))
    return ranked[:n], ranked[n:]


def _summary(rest: Sequence[_Row]) -> str:
    told = Counter(word(each) for row in rest for each in row.judged)
    words = ", ".join(f"{numbers.count(n)} {said}" for said, n in told.most_common())
    return f"and {numbers.plural(len(rest), 'more label')} ({words}): see --full"


# --- two runs ---------------------------------------------------------------------------------------------------------


def _pair_table(compared: ComparedRuns, rows: Sequence[_Row], lonely: Sequence[_Row], with_averages: bool) -> Table:
    names = [one_line(name, LONGEST_NAME) for name in compared.names]
    before, after = names if max(map(len, names)) <= SHORT_NAME else ("before", "after")
    failed = any(row.diffs[0].flips[name] for row in (*rows, *lonely) for name in _FAILURES)
    kinds = (*_CELL_FLIPS, *(_FAILURES if failed else ()))
    flips = [_SHORT_FLIPS.get(name, name.replace("→", "→\n")) for name in kinds]
    columns = (
        "label",
        "gold",
        before,
        after,
        "Δ",
        f"{level(compared.judgement.settings)}\nfrom",
        "\nto",
        "p",
        "verdict",
    )
    made = table(*columns, *flips, left=("label", "verdict"), gives_way=("label",))
    made.padding = (0, 0, 0, 0)  # two spaces between so many columns would leave the labels no room
    for row in rows:
        scores = [numbers.score(each.f1) for each in row.scores]
        made.add_row(
            named(row.label), numbers.count(row.support), *scores, *_judged_cells(row.judged[0]), *_tally(row, kinds)
        )
    if with_averages:
        made.add_section()
        judged = compared.judgement.diffs[0].averages
        for name in AVERAGES:
            values = [getattr(run.scores.averages, name) for run in compared.comparison.runs]
            made.add_row(
                Text(_NAMES.get(name, SCORES[name]), style=QUIET),
                "",
                *map(numbers.score, values),
                *_judged_cells(judged[name]),
            )
    made.add_section()
    for row in lonely:
        scores = [numbers.score(each.f1) for each in row.scores]
        made.add_row(named(row.label), "0", *scores, *[numbers.DASH] * 4, "", *_tally(row, kinds))
    return made


_NAMES = {"subset_accuracy": "subset acc."}
_SHORT_FLIPS = {"answer→failure": "to\nfail.", "failure→answer": "from\nfail."}


def _judged_cells(judged: Difference) -> list[str | Text]:
    said = shown_word(judged)
    return [
        change(judged.delta) if said in ("better", "worse") else Text(numbers.delta(judged.delta)),
        numbers.delta(judged.low),
        numbers.delta(judged.high),
        p_value(judged.p_corrected),
        Text(said, style=STYLES[said]),
    ]


def _tally(row: _Row, kinds: Sequence[str]) -> Iterator[Text]:
    for name in kinds:
        number = row.diffs[0].flips[name]
        yield Text(numbers.count(number), style=QUIET if not number else BAD if name in BAD_FLIPS else GOOD)


def _pair_captions(compared: ComparedRuns, rows: Sequence[_Row]) -> list[str]:
    tested = sum(not math.isnan(row.p_corrected) for row in compared.judgement.diffs[0].labels)
    told = "F1 by label; the last columns count cells by what they were and are now"
    captions = [f"{told}; p is corrected for {numbers.plural(tested, 'label')}" if tested else told]
    averages = [compared.judgement.diffs[0].averages[name] for name in AVERAGES]
    said = {shown_word(each) for each in (*(row.judged[0] for row in rows), *averages)}
    if "too few to tell" in said:
        least = compared.judgement.settings.least_support
        captions.append(f"too few to tell: a label with fewer than {least} gold cells has no verdict")
    if "no change" in said:
        margin = compared.judgement.settings.margin
        captions.append(
            f"no change: nothing differs, but fewer than {math.ceil(3 / margin)} cells or samples cannot rule out a loss "
            f"of {margin:g}"
        )
    if "withheld" in said:
        captions.append("withheld: F1 rose, but by failures and not by better answers")
    return captions


# --- several ----------------------------------------------------------------------------------------------------------


def _matrix(compared: ComparedRuns, rows: Sequence[_Row], lonely: Sequence[_Row], with_averages: bool) -> list[Table]:
    """Return runs beside each other, in as many tables as their number needs; the baseline stands first in each."""
    later = range(1, len(compared.names))
    widest = max(len(line) for name in compared.names for line in stacked(name).split("\n"))
    column = max(7, widest) + 2
    each = column + (9 if len(compared.names) <= MOST_WITH_CHANGE else 0)
    size = max(1, (NARROW - LABEL_WIDTH - column) // each)
    blocks = [later[start : start + size] for start in range(0, len(later), size)]
    return [_matrix_block(compared, rows, lonely, block, with_averages) for block in blocks]


def _matrix_block(
    compared: ComparedRuns, rows: Sequence[_Row], lonely: Sequence[_Row], later: Sequence[int], with_averages: bool
) -> Table:
    judgement = compared.judgement
    with_change = len(compared.names) <= MOST_WITH_CHANGE
    columns = ["label", "gold", stacked(compared.names[0])]
    for at in later:
        columns += [stacked(compared.names[at]), "Δ"] if with_change else [stacked(compared.names[at])]
    made = table(*columns, left=("label",), gives_way=("label",))

    def cells(values: Sequence[float], judged: Sequence[Difference], best: str | None) -> Iterator[Text]:
        for at in (0, *later):
            mark = "" if not at or with_change else _mark(judged[at - 1])
            yield _score(values[at], mark, best == compared.names[at])
            if at and with_change:
                yield _marked_change(judged[at - 1])

    for row in rows:
        values = [each.f1 for each in row.scores]
        made.add_row(named(row.label), numbers.count(row.support), *cells(values, row.judged, row.best))
    if with_averages:
        made.add_section()
        for name in AVERAGES:
            values = [getattr(run.scores.averages, name) for run in compared.comparison.runs]
            judged = [diff.averages[name] for diff in judgement.diffs]
            made.add_row(Text(SCORES[name], style=QUIET), "", *cells(values, judged, judgement.best[name]))
    made.add_section()
    for row in lonely:
        scores = [Text(numbers.score(row.scores[at].f1) + "  ") for at in (0, *later)]
        with_dashes = [scores[0], *(cell for each in scores[1:] for cell in (each, numbers.DASH))]
        made.add_row(named(row.label), "0", *(with_dashes if with_change else scores))
    return made


def _score(value: float, mark: str, is_best: bool) -> Text:
    text = Text(numbers.score(value), style="bold" if is_best else "")
    return text.append(f"{mark:<1}" if mark else " ").append(BEST if is_best else " ")


def _mark(judged: Difference) -> str:
    return {"better": UP, "worse": DOWN}.get(word(judged), "")


def _marked_change(judged: Difference) -> Text:
    mark = _mark(judged)
    text = change(judged.delta) if mark else Text(numbers.delta(judged.delta), style=QUIET)
    return text.append(mark or " ")


def _matrix_captions(compared: ComparedRuns, rows: Sequence[_Row]) -> list[str]:
    first = one_line(compared.names[0], LONGEST_NAME)
    marked = [compared.judgement.best[name] for name in AVERAGES] + [row.best for row in rows]
    best = (
        f"{BEST} really better than every other version; where there is none, no version is"
        if any(marked)
        else f"no {BEST}: no version is really better than every other"
    )
    captions = [f"F1 by label; {UP} {DOWN} really better or worse than {first}; {best}"]
    if any(word(each) == "too few to tell" for row in rows for each in row.judged):
        least = compared.judgement.settings.least_support
        captions.append(f"Labels with fewer than {least} gold cells have too few to tell, and no mark")
    return captions


def stacked(name: str) -> str:
    """Return a name as a narrow header: it breaks at its hyphens, and within a word only where that is very long."""
    shown = one_line(name, LONGEST_NAME)
    widest = max(len(part) for part in re.split(r"(?<=-)|\s", shown))
    return "\n".join(textwrap.wrap(shown, min(max(9, widest), WIDEST_NAME)))
