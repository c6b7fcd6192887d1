"""The parts of a report's page that stand still: everything above the samples. The page's script sorts and links them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from harness.comparison import LabelDiff, MovedError
from harness.promptdiff import Line
from harness.report import charts, numbers
from harness.report.files import FIELD_COLUMNS, field_cells
from harness.report.judged import SCORES, interval, level, p_value, shown_word
from harness.report.markup import Content, Node, h
from harness.report.text import visible
from harness.reportdata import LabelRow, Report, failure_kinds
from harness.significance import Difference

SIGNS: Mapping[str, str] = {"better": "▲", "worse": "▼", "no worse": "≈", "no change": "=", "too few to tell": "…"}
"""What stands before the word of a verdict, for the eye; before the others stands a question mark."""

HEADLINE = ("macro_f1", "micro_f1", "subset_accuracy", "coverage")
AVERAGES = ("macro", "micro", "weighted", "samples")

AROUND = 2
"""Lines of a prompt that stayed and are shown around a changed one."""

ELEMENTS: Mapping[str, str] = {"removed": "del", "added": "ins"}
LINE_SIGNS: Mapping[str, str] = {"same": " ", "removed": "−", "added": "+", "changed": "~"}

MOST_ERRORS_MOVED = 12
MOST_OFF_LIST = 12


def samples_link(text: str, **filters: str) -> Node:
    """Return a link that shows the samples for which the filters hold."""
    return h("a", text, href=samples_href(**filters))


def samples_href(**filters: str) -> str:
    """Return the address within the page of the samples for which the filters hold; names as the page's data has them."""
    return "#" + urlencode({name: visible(value) for name, value in filters.items()})


def table(caption: str, head: Sequence[Content], rows: Sequence[Node], **attributes: str) -> Node:
    """Return a table that scrolls in itself where it is too wide."""
    cells = [each if isinstance(each, Node) else h("th", each, scope="col") for each in head]
    parts = [h("caption", caption), h("thead", h("tr", cells)), h("tbody", rows)]
    made = h("table", parts, **attributes)
    return h("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def cell(text: Content, value: float | None = None, **attributes: str) -> Node:
    """Return a cell of numbers; ``value`` is what it is sorted by."""
    by = None if value is None else "" if math.isnan(value) else repr(float(value))
    return h("td", text, data_v=by, **{"class_": "n", **attributes})


def heading(text: str, **attributes: str) -> Node:
    """Return a row's header."""
    return h("th", h("bdi", text), scope="row", **attributes)


def verdict(of: Difference) -> Node:
    """Return a verdict as a word with a sign."""
    said = shown_word(of)
    sign = h("span", SIGNS.get(said, "?"), aria_hidden="true")
    return h("span", sign, f" {said}", class_=f"verdict {said.replace(' ', '-')}")


def signed(value: float, of: Difference | None = None) -> Node:
    """Return a difference of scores, in colour only where it is more than chance."""
    kind = {"better": "delta up", "worse": "delta down"}.get("" if of is None else of.verdict, "delta")
    return h("span", numbers.delta(value), class_=kind)


# --- headline ---------------------------------------------------------------------------------------------------------


def headline(report: Report) -> Node:
    """Return the headline scores, each with its interval and what changed."""
    cards = [_card(report, name) for name in HEADLINE]
    more = h("details", h("summary", "All averages"), averages(report))
    return h("div", h("div", cards, class_="cards"), _noise(report), more)


def _noise(report: Report) -> Node | None:
    """Return how much the run disagrees with itself; None where it was made once."""
    if report.noise is None:
        return None
    found, f1 = report.noise, report.noise.scores["macro_f1"]
    moving = f"{numbers.count(found.unstable_samples)} of {numbers.plural(found.n_samples, 'sample')}"
    return h(
        "p",
        f"Same prompt, {numbers.plural(found.n_repeats, 'repeat')}: ",
        samples_link(moving, kind="unstable") if found.unstable_samples else moving,
        f" are not answered the same each time; two repeats disagree in {numbers.percent(found.cell_disagreement)} of the "
        f"cells; macro F1 between {numbers.score(f1.least)} and {numbers.score(f1.most)}.",
    )


def _card(report: Report, name: str) -> Node:
    value, ends = report.scores.headline[name], report.judgement.runs[0].averages[name]
    shown = numbers.percent if name == "coverage" else numbers.score
    before, of_level = math.nan, level(report.judgement.settings)
    changed: list[Content] = []
    if report.compared is not None and report.change is not None and report.diff is not None:
        before = report.compared.comparison.runs[0].scores.headline[name]
        of = report.change.averages[name]
        delta = signed(of.delta, of) if name != "coverage" else h("span", numbers.points(of.delta), class_="delta")
        changed = [delta, " ", verdict(of) if name != "coverage" else None]
        ends_of = interval(of) if name != "coverage" else f"from {numbers.percent(before)}"
        changed.append(h("span", ends_of, class_="quiet"))
    return h(
        "div",
        h("h3", SCORES[name][0].upper() + SCORES[name][1:]),
        h("p", shown(value), class_="big"),
        charts.score_bar(value, ends.low, ends.high, before, 220),
        h(
            "p",
            "no interval" if math.isnan(ends.low) else f"{of_level} {shown(ends.low)} to {shown(ends.high)}",
            class_="quiet",
        ),
        h("p", changed, class_="change") if changed else None,
        class_="card",
    )


def averages(report: Report) -> Node:
    """Return every average over labels and over samples, and what failures do to them."""
    scores = report.scores
    kinds = [("all samples", scores.averages)]
    if scores.n_answered < scores.n_samples:
        kinds.append((f"answered only ({numbers.count(scores.n_answered)})", scores.answered))
    if scores.worst_case is not None:
        kinds.append(("worst case", scores.worst_case))
    rows = [
        h(
            "tr",
            heading(f"{kind} {which}" if len(kinds) > 1 else which),
            *(cell(numbers.score(getattr(of, f"{which}_{what}"))) for what in ("precision", "recall", "f1")),
        )
        for which in AVERAGES
        for kind, of in kinds
    ]
    over = scores.averages
    facts = [
        f"Macro over {numbers.plural(over.macro_labels, 'label')} with gold.",
        f"Hamming loss {numbers.score(over.hamming_loss)}, Jaccard {numbers.score(over.jaccard)}.",
        f"Labels per sample: {numbers.score(over.cardinality_predicted)} predicted, "
        f"{numbers.score(over.cardinality_gold)} gold.",
    ]
    if scores.worst_case is not None:
        facts.append("Worst case: as if every unanswered cell were wrong.")
    return h(
        "div", table("Averages", ["average", *number_heads("precision", "recall", "F1")], rows), h("p", " ".join(facts))
    )


def number_heads(*names: str) -> list[Node]:
    """Return headers of columns of numbers."""
    return [h("th", name, scope="col", class_="n") for name in names]


# --- labels -----------------------------------------------------------------------------------------------------------


def label_table(report: Report) -> Node:
    """Return one row a label; the page's script sorts it by any column."""
    two = report.diff is not None
    names = ["support", "predicted", "precision", "recall", "F1"]
    more = ["Δ F1", "Δ interval", "p", "verdict", "lost", "won"] if two else []
    text = {"verdict", "Δ interval"}
    head = [_sortable("label", "", "none")]
    for name in [*names, "interval", *more]:
        if name in ("interval", "Δ interval"):
            head.append(
                h(
                    "th",
                    f"{level(report.judgement.settings)} interval" if name == "interval" else "interval of Δ",
                    scope="col",
                )
            )
        else:
            head.append(_sortable(name, "" if name in text else "n", "none"))
    rows = [_label_row(row) for row in report.labels]
    made = table("Scores by label", head, rows, class_="labels", id="label-table")
    return h("div", made, _legend(report, two), class_="wide")


def _sortable(name: str, kind: str, order: str) -> Node:
    sign = h("span", aria_hidden="true", class_="order")
    return h("th", h("button", name, sign, type="button"), scope="col", class_=kind or None, aria_sort=order)


def _label_row(row: LabelRow) -> Node:
    score, name = row.score, row.score.label
    supported = score.support > 0  # else F1 is 0 whatever is predicted: no bar, no interval, no verdict
    before = row.diff.f1_before if row.diff is not None and supported else math.nan
    cells: list[Content] = [
        h(
            "th",
            h("a", h("bdi", name), href=samples_href(label=name), title=row.description or None),
            scope="row",
            data_v=name,
        ),
        cell(numbers.count(score.support), score.support),
        cell(numbers.count(score.predicted), score.predicted),
        cell(numbers.score(score.precision), score.precision),
        cell(numbers.score(score.recall), score.recall),
        cell(numbers.score(score.f1), score.f1, class_="n strong"),
        h(
            "td",
            charts.score_bar(score.f1 if supported else math.nan, row.low, row.high, before, 96),
            h("span", _range(row) if supported else "", class_="quiet"),
        ),
    ]
    if row.diff is not None and row.change is not None:
        cells += _label_change(row.change) if supported else [cell("", math.nan) for _ in range(4)]
        cells += _tally(row.diff)
    return h("tr", cells)


def _range(row: LabelRow) -> str:
    return "" if math.isnan(row.low) else f"{numbers.score(row.low)} to {numbers.score(row.high)}"


def _label_change(of: Difference) -> list[Content]:
    return [
        cell(signed(of.delta, of), of.delta),
        h("td", interval(of) if not math.isnan(of.low) else numbers.DASH, class_="quiet"),
        cell(p_value(of.p_corrected), of.p_corrected),
        h("td", verdict(of), data_v=shown_word(of)),
    ]


def _tally(diff: LabelDiff) -> list[Content]:
    return [
        cell(samples_link(numbers.count(n), label=diff.label, kind=kind) if n else "0", n)
        for n, kind in ((diff.regressed, "regressed"), (diff.fixed, "fixed"))
    ]


def _legend(report: Report, two: bool) -> Node:
    told = ["Bar: F1; band: its interval" + ("; tick: the baseline's F1." if two else ".")]
    told += (
        ["Lost: cells that were right and are wrong now; won: the reverse. p is corrected over the labels."]
        if two
        else []
    )
    if any(not row.score.support for row in report.labels):
        told.append("Labels without gold are in no macro average; every prediction of one is wrong.")
    return h("p", " ".join(told), class_="quiet")


# --- fields and failures ----------------------------------------------------------------------------------------------


def field_table(report: Report) -> Node | None:
    """Return one row a field that was asked for; None where none was."""
    if not report.scores.fields:
        return None
    first, *others = FIELD_COLUMNS
    rows = [h("tr", heading(row.field), *map(cell, field_cells(row))) for row in report.scores.fields]
    return table("Scores by field", [first, *number_heads(*others)], rows)


def failures(report: Report) -> Node:
    """Return what was not answered, by kind, and what was answered that is no label."""
    scores = report.scores
    parts: list[Content] = []
    kinds = failure_kinds(scores)
    before = {} if report.compared is None else report.compared.comparison.runs[0].scores.failures
    told = {**kinds, **{kind: 0 for kind, n in before.items() if n and kind not in kinds}}
    if told:
        rows = [
            h(
                "tr",
                h("th", samples_link(str(kind), kind=str(kind)) if n else str(kind), scope="row"),
                *([cell(numbers.count(before.get(kind, 0)))] if report.compared is not None else []),
                cell(numbers.count(n)),
            )
            for kind, n in told.items()
        ]
        names = [report.name] if report.baseline_name is None else [report.baseline_name, report.name]
        made = table("Without an answer, by kind", ["kind", *number_heads(*names)], rows)
        parts.append(h("div", made, h("p", "They count as wrong everywhere.", class_="quiet")))
    else:
        parts.append(h("p", "Every sample was answered."))
    if scores.repaired:
        parts.append(h("p", f"{numbers.plural(scores.repaired, 'answer')} had to be mended before it could be read."))
    if scores.off_list:
        most = list(scores.off_list.items())[:MOST_OFF_LIST]
        rows = [h("tr", heading(text), cell(numbers.count(n))) for text, n in most]
        more = len(scores.off_list) - len(most)
        caption = "Answered, but no label" + (f" (the first {len(most)} of {more + len(most)})" if more > 0 else "")
        parts.append(table(caption, ["text", *number_heads("times")], rows))
    return h("div", parts, class_="columns")


# --- what changed -----------------------------------------------------------------------------------------------------


def changes(report: Report) -> Node | None:
    """Return how cells flipped, where a change of F1 comes from, and which confusions came and went."""
    diff = report.diff
    if diff is None:
        return None
    tallies = [
        h("li", samples_link(f"{numbers.count(len(getattr(diff, kind)))} {kind}", kind=kind), class_=kind)
        for kind in ("regressed", "fixed", "churned")
    ]
    parts: list[Content] = [h("ul", tallies, class_="tallies")]
    flips = [h("tr", heading(name), cell(numbers.count(n))) for name, n in diff.cells.items()]
    splits = [
        h(
            "tr",
            heading(name),
            cell(signed(split.total)),
            cell(signed(split.answered_by_both)),
            cell(signed(split.failures)),
        )
        for name, split in (("macro F1", diff.macro_f1), ("micro F1", diff.micro_f1), ("weighted F1", diff.weighted_f1))
    ]
    columns: list[Content] = [
        table("Cells that changed", ["from → to", *number_heads("cells")], flips),
        table(
            "Where a change of F1 comes from",
            [
                "score",
                *number_heads("change", f"answers ({numbers.plural(diff.n_answered_by_both, 'sample')})", "failures"),
            ],
            splits,
        ),
    ]
    parts.append(h("div", columns, class_="columns"))
    gained = [each for each in diff.errors_moved if each.after > each.before][:MOST_ERRORS_MOVED]
    lost = [each for each in reversed(diff.errors_moved) if each.after < each.before][:MOST_ERRORS_MOVED]
    moved = [(title, some) for title, some in (("Errors that came", gained), ("Errors that went", lost)) if some]
    if moved:
        parts.append(h("div", [_moved(title, some, report) for title, some in moved], class_="columns"))
    return h("div", parts, _prompt_diff(report))


def _moved(title: str, moved: Sequence[MovedError], report: Report) -> Node:
    head: list[Content] = ["missed", "added", *number_heads(report.baseline_name or "", report.name)]
    return table(title, head, [h("tr", _moved_cells(each)) for each in moved])


def _moved_cells(each: MovedError) -> Iterator[Node]:
    yield h("td", h("bdi", each.missed)) if each.missed is not None else h("td", "nothing", class_="quiet")
    yield h("td", h("bdi", each.predicted)) if each.predicted is not None else h("td", "nothing", class_="quiet")
    yield cell(numbers.count(each.before))
    link = samples_link(numbers.count(each.after), missed=each.missed or "", added=each.predicted or "")
    yield cell(link if each.after else "0")


def _prompt_diff(report: Report) -> Node | None:
    """Return what changed in the prompt, line by line; None where one of the runs has none, or nothing changed."""
    diff = None if report.compared is None else report.compared.prompt_diffs[0]
    if diff is None or not diff.sections:
        return None
    parts: list[Content] = []
    for section in diff.sections:
        parts += [h("h3", section.title), h("pre", _diff_lines(section.lines), class_="text diff", tabindex="0")]
    return h("details", h("summary", f"The prompt: {numbers.plural(diff.n_changed, 'changed line')}"), parts)


def _diff_lines(lines: Sequence[Line]) -> Iterator[Node]:
    """Yield changed lines with those around them; what is gone and what is new is marked, and signed for readers."""
    changed = [at for at, line in enumerate(lines) if line.kind != "same"]
    near = {at + by for at in changed for by in range(-AROUND, AROUND + 1)}
    skipped = False
    for at, line in enumerate(lines):
        if at not in near:
            skipped = True
            continue
        if skipped:
            yield h("span", "⋯\n", class_="quiet")
        skipped = False
        words = [h(ELEMENTS[each.kind], each.text) if each.kind in ELEMENTS else each.text for each in line.words]
        yield h("span", f"{LINE_SIGNS[line.kind]} ", words, "\n", class_=f"line {line.kind}")
