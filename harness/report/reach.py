"""Coarse to fine, and candidates, as people see them: what a choice left to later passes, and what it saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from harness.flatprompt import Saving
from harness.reach import ENOUGH, Bound, CandidateReach, GateReach, Inside, Reach
from harness.report import numbers
from harness.report.files import markdown_cell, markdown_table
from harness.report.fitting import Fitting
from harness.report.terminal import BAD, QUIET, captioned, named, table
from harness.report.text import one_line

MOST_ROWS = 8
"""Groups that a table has in the terminal."""

MOST_LABELS = 3
"""Labels that are named in a line."""

LIST_LENGTHS = (10, 20, 30, 50, 100)
"""Numbers of candidates whose recall is told beside that of the prompt's own."""

_NAME = 60


def reach_parts(found: Reach | None) -> list[RenderableType]:
    """Return what a person sees of a run's gates and candidates; nothing of prompts without."""
    if found is None:
        return []
    parts: list[RenderableType] = []
    for gate in found.gates:
        parts += ["", *_gate(gate, found.now)]
    for each in found.candidates:
        parts += ["", *_candidates(each, found.now)]
    if found.saving is not None:
        parts += ["", *_saving(found.saving)]
    if found.reread:
        parts.append(Text(_reread(found), style="yellow"))
    return parts


def reach_markdown(found: Reach | None) -> str:
    """Return the same as Markdown; nothing of prompts without gates and candidates."""
    if found is None:
        return ""
    parts: list[str] = []
    for gate in found.gates:
        parts += [f"## Coarse to fine: {markdown_cell(gate.name)}\n", _markdown_lines(_gate_words(gate))]
        parts += [markdown_table(("group", *GROUP_COLUMNS), _group_rows(gate, len(gate.groups)))]
        parts += [markdown_table(("", *_BOUNDS), _bound_rows(found.now, gate.bound))]
    for each in found.candidates:
        parts += [f"## Candidates: {markdown_cell(each.name)}\n", _markdown_lines(_candidate_words(each))]
        if each.recall_at:
            parts += [markdown_table(*_lengths(each), left=0)]
        parts += [markdown_table(("", *_BOUNDS), _bound_rows(found.now, each.bound))]
    if found.saving is not None:
        parts += ["## Prompt tokens\n", _markdown_lines(_saving_words(found.saving))]
        parts += [markdown_table(("pass", *TOKEN_COLUMNS), _token_rows(found.saving))]
    if found.reread:
        parts.append(markdown_cell(_reread(found)) + "\n")
    return "\n" + "\n".join(parts)


def _markdown_lines(lines: Sequence[tuple[str, str]]) -> str:
    return "".join(f"- {markdown_cell(text)}\n" for text, _ in lines)


# --- gates ------------------------------------------------------------------------------------------------------------

GROUP_COLUMNS = ("labels", "gold", "left open", "recall", "chosen", "rightly", "precision")


def _gate(gate: GateReach, now: Bound) -> Iterator[RenderableType]:
    yield Text.assemble(("Coarse to fine", "bold"), f": groups by pass {one_line(gate.name, _NAME)}")
    yield from (Text(text, style=style) for text, style in _gate_words(gate))
    columns = tuple(name.replace("left ", "left\n") for name in GROUP_COLUMNS)
    made = table("group", *columns, left=("group",), gives_way=("group",))
    for name, *cells in _group_rows(gate, MOST_ROWS):
        made.add_row(named(name), *cells)
    rest = len(gate.groups) - MOST_ROWS
    more = [f"The groups that lose most gold; {numbers.plural(rest, 'other')} in --json"] if rest > 0 else []
    yield captioned(Fitting(made, [(1,), (6,)]), *more)
    yield ""
    yield _bounds(now, gate.bound)


def _gate_words(gate: GateReach) -> list[tuple[str, str]]:
    of = f"{numbers.count(gate.open)} of {numbers.plural(gate.gold, 'gold cell')}"
    style = BAD if gate.recall < ENOUGH else ""
    words = [(f"Gate recall {numbers.score(gate.recall)}: {of} are in groups that it chose", style)]
    if gate.lost:
        failed = f", {numbers.count(gate.failed)} where it gave no answer" if gate.failed else ""
        words.append((f"  lost to later passes: {numbers.count(gate.not_chosen)} in groups not chosen{failed}", ""))
    mean = f" ({numbers.count(gate.groups_chosen)} a sample)" if gate.samples else ""
    words += _inside(f"Inside the chosen groups{mean}", gate.inside)
    return words + _outside(gate.repaired, gate.wrong_outside, "closed groups")


def _group_rows(gate: GateReach, most: int) -> list[list[str]]:
    worst = sorted(gate.groups, key=lambda row: -(row.gold - row.open))[:most]
    return [
        [
            row.group,
            numbers.count(row.n_labels),
            numbers.count(row.gold),
            numbers.count(row.open),
            numbers.score(row.recall),
            numbers.count(row.chosen),
            numbers.count(row.right),
            numbers.score(row.precision),
        ]
        for row in worst
    ]


# --- candidates -------------------------------------------------------------------------------------------------------


def _candidates(each: CandidateReach, now: Bound) -> Iterator[RenderableType]:
    of = f"the {numbers.count(each.k)} of {numbers.plural(each.n_labels, 'label')} nearest by {each.by}"
    yield Text.assemble(("Candidates", "bold"), f": pass {one_line(each.name, _NAME)}, {of}")
    yield from (Text(text, style=style) for text, style in _candidate_words(each))
    if each.recall_at:
        header, rows = _lengths(each)
        made = table(*header, left=header[:1])
        for row in rows:
            made.add_row(*row)
        yield Fitting(made, [(1,), (len(header) - 1,)])
    yield ""
    yield _bounds(now, each.bound)


def _candidate_words(each: CandidateReach) -> list[tuple[str, str]]:
    of = f"{numbers.count(each.open)} of {numbers.plural(each.gold, 'gold cell')}"
    heavy = each.recall < ENOUGH
    words = [(f"Candidate recall {numbers.score(each.recall)}: {of} are candidates", BAD if heavy else "")]
    if heavy and each.enough is not None:
        held = f"{numbers.count(each.enough)} candidates would hold {numbers.percent(ENOUGH)}"
        words.append((f"  {numbers.count(each.lost)} are lost before the model is asked; on these samples {held}", BAD))
    if each.gold and not each.recall_at:
        words.append(("  what other k would hold is not known: this choice cannot be made again without calls", QUIET))
    if each.left_out:
        most = [
            f"{one_line(row.label, 40)} {numbers.count(row.left_out)} of {numbers.count(row.gold)}"
            for row in each.left_out[:MOST_LABELS]
        ]
        words.append((f"  left out most: {', '.join(most)}", QUIET))
    words += _inside("Among the candidates", each.inside)
    return words + _outside(each.repaired, each.wrong_outside, "what was no candidate")


def _lengths(each: CandidateReach) -> tuple[list[str], list[list[str]]]:
    """Return the header and the row of a table of recall by number of candidates."""
    shown = sorted({*(k for k in LIST_LENGTHS if k < each.n_labels), each.k, *([each.enough] if each.enough else [])})
    header = ["candidates", *(f"{numbers.count(k)}{' (now)' if k == each.k else ''}" for k in shown), "all"]
    return header, [["recall", *(numbers.score(each.recall_at[k - 1]) for k in shown), numbers.score(1.0)]]


# --- both -------------------------------------------------------------------------------------------------------------

_BOUNDS = ("macro recall", "micro recall", "macro F1", "micro F1", "subset accuracy")


def _inside(where: str, found: Inside) -> list[tuple[str, str]]:
    counts = [
        f"{numbers.count(value)} {what}"
        for value, what in ((found.found, "found"), (found.missed, "missed"), (found.unanswered, "unanswered"))
    ]
    scores = f"recall {numbers.score(found.recall)}, precision {numbers.score(found.precision)}"
    return [(f"{where}: {scores}", ""), (f"  {', '.join(counts)}; {numbers.count(found.wrong)} wrong", "")]


def _outside(repaired: float, wrong: float, where: str) -> list[tuple[str, str]]:
    if not repaired and not wrong:
        return []
    told = f"Other passes named in {where}: {numbers.count(repaired)} right, {numbers.count(wrong)} wrong"
    return [(told, "")]


def _bounds(now: Bound, bound: Bound) -> RenderableType:
    made = table("", *(name.replace(" ", "\n") for name in _BOUNDS), left=("",))
    for row in _bound_rows(now, bound):
        made.add_row(*row)
    told = "At most: an upper bound, were every cell that was left open right and all others as they are"
    return captioned(made, told)


def _bound_rows(now: Bound, bound: Bound) -> list[list[str]]:
    def cells(of: Bound) -> list[str]:
        return [numbers.score(each) for each in (
            of.macro_recall, of.micro_recall, of.macro_f1, of.micro_f1, of.subset_accuracy
        )]  # fmt: skip

    return [["now", *cells(now)], ["at most", *cells(bound)]]


# --- tokens -----------------------------------------------------------------------------------------------------------

TOKEN_COLUMNS = ("calls", "tokens", "flat calls", "flat tokens", "server's count")


def _saving(saving: Saving) -> Iterator[RenderableType]:
    for text, style in _saving_words(saving):
        yield Text(text, style=style)
    columns = tuple(name.replace(" ", "\n", 1) for name in TOKEN_COLUMNS)
    made = table("pass", *columns, left=("pass",), gives_way=("pass",))
    for name, *cells in _token_rows(saving):
        made.add_row(named(name), *cells)
    note = "Both sides are estimated alike, four bytes a token; the server counts the calls that were made"
    yield captioned(made, note)


def _saving_words(saving: Saving) -> list[tuple[str, str]]:
    totals = saving.totals
    if not saving.n:
        return [("Prompt tokens: a gate failed in every sample, so there is nothing to compare with.", QUIET)]
    asked, flat, saved = totals["tokens"], totals["flat_tokens"], totals["saved"]
    said = f"{numbers.percent(saved)} saved" if saved >= 0 else f"{numbers.percent(-saved)} more than it"
    words = [
        (
            f"Prompt tokens: {numbers.count(asked)}, the flat prompt {numbers.count(flat)}: {said} "
            f"({numbers.count(totals['tokens_each'])} against {numbers.count(totals['flat_tokens_each'])} a sample)",
            "" if saved >= 0 else BAD,
        )
    ]
    if saving.left_out:
        told = f"  without {numbers.plural(saving.left_out, 'sample')} in which a gate failed: that saves nothing"
        words.append((told, QUIET))
    return words


def _token_rows(saving: Saving) -> list[list[str]]:
    return [
        [
            each.name,
            numbers.count(each.calls),
            numbers.count(each.tokens),
            numbers.count(each.flat_calls) if each.flat_calls else numbers.DASH,
            numbers.count(each.flat_tokens) if each.flat_calls else numbers.DASH,
            _served(each.served, each.counted, each.calls),
        ]
        for each in saving.passes
    ]


def _served(served: int, counted: int, calls: int) -> str:
    if not counted:
        return numbers.DASH
    return numbers.count(served) + (f" in {numbers.count(counted)}" if counted < calls else "")


def _reread(found: Reach) -> str:
    told = f"{numbers.plural(found.reread, 'answer')} {'is' if found.reread == 1 else 'are'}"
    return f"{told} read otherwise since (harness score); this block reads as the run's own prompt says"
