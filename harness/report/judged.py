"""What can be said of a comparison, in words: for the terminal, for Markdown and for other programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from rich.text import Text

from harness.comparison import Diff, F1Change
from harness.report import numbers
from harness.report.text import one_line
from harness.significance import JUDGED, Difference, JudgedDiff, Settings
from harness.stats import Interval
from harness.versions import ComparedRuns

SCORES: Mapping[str, str] = {
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "weighted_f1": "weighted F1",
    "samples_f1": "samples F1",
    "subset_accuracy": "subset accuracy",
    "coverage": "coverage",
}
"""What the averages are called, in the order in which they are told."""

STYLES: Mapping[str, str] = {
    "better": "green",
    "worse": "red",
    "no worse": "",
    "inconclusive": "yellow",
    "withheld": "yellow",
    "too few to tell": "dim",
    "no change": "",
}
LEAST_P = 0.001
"""P-values below it are only said to be so."""

LONGEST_NAME = 60
"""Characters of a run's name in a sentence."""


def p_value(p: float) -> str:
    """Return a p-value with three decimals; a smaller one is said to be below the last of them."""
    return f"<{numbers.score(LEAST_P)}" if p < LEAST_P else numbers.score(p)


def level(settings: Settings) -> str:
    """Return the level of the intervals: "95 %"."""
    return numbers.percent(settings.level).replace(".0 %", " %")


def interval(difference: Difference) -> str:
    """Return from where to where a difference may lie; a dash where that cannot be said."""
    if math.isnan(difference.low):
        return numbers.DASH
    return f"{numbers.delta(difference.low)} to {numbers.delta(difference.high)}"


def score_interval(found: Interval) -> str:
    """Return from where to where a score may lie; a dash where that cannot be said."""
    if math.isnan(found.low):
        return numbers.DASH
    return f"{numbers.score(found.low)}–{numbers.score(found.high)}"


def word(difference: Difference) -> str:
    """Return the verdict of a difference in a word; that of one that failures made is "withheld"."""
    return "withheld" if difference.withheld else difference.verdict


def shown_word(difference: Difference) -> str:
    """Return the same for a table: where nothing differs in any resample, "no change" says more than "inconclusive"."""
    same = difference.delta == difference.low == difference.high == 0
    return "no change" if same and difference.verdict == "inconclusive" else word(difference)


def verdict_text(compared: ComparedRuns, at: int) -> str:
    """Return the verdict of a later run in one line: the word, macro F1 with its uncertainty, and what else is sure.

    Args:
        compared: The comparison, whole.
        at: Which later run, from 0.
    """
    grounds, whole = compared.grounds[at], compared.comparison.diffs[at]
    before, after = one_line(whole.before, LONGEST_NAME), one_line(whole.after, LONGEST_NAME)
    if grounds.diff is None or grounds.judged is None:
        return f"{after} against {before}: no verdict, because there is no sample that the search never saw"
    n, macro = len(grounds.samples), grounds.judged.averages["macro_f1"]
    samples = numbers.plural(n, "sample")
    who = "the search never saw" if len(grounds.flattered) == 1 else "neither search saw"
    unseen = f" on the {samples} that {who}" if grounds.flattered else ""
    if is_same(grounds.diff):
        of = "" if unseen else f"{samples}, "
        return f"{after} answers exactly as {before} does{unseen}: {of}no cell changed"
    if math.isnan(macro.delta):
        return f"{after} against {before}{unseen}: nothing can be said of macro F1, because no label has gold here"
    settings = compared.judgement.settings
    head = _head(f"{before}{unseen}", after, macro, _macro(macro, settings), n, settings)
    return "; ".join([head, *_others(grounds.judged)])


def _macro(macro: Difference, settings: Settings) -> str:
    return (
        f"macro F1 {numbers.delta(macro.delta)} ({level(settings)} {interval(macro)}, p {p_value(macro.p_corrected)})"
    )


def seen_text(compared: ComparedRuns, at: int) -> str | None:
    """Return what all samples say of a later run whose verdict leaves out those that a search saw; None of the others."""
    grounds = compared.grounds[at]
    if not grounds.flattered:
        return None
    macro = compared.judgement.diffs[at].averages["macro_f1"]
    flatters = " and ".join(one_line(name, LONGEST_NAME) for name in grounds.flattered)
    every = numbers.plural(compared.comparison.n_common, "sample")
    told = _macro(macro, compared.judgement.settings)
    return f"seen samples included, which flatters {flatters}: {told} on all {every}"


def is_same(diff: Diff) -> bool:
    """Return whether two runs answered the same, as far as one repeat can tell."""
    return diff.repeats == 1 and not any(diff.cells.values())


def _head(before: str, after: str, macro: Difference, told: str, n: int, settings: Settings) -> str:
    said = word(macro)
    if said == "withheld":
        return f"{after} against {before}: better withheld: {told}: what rose comes from failures, not from answers"
    if said == "no worse":
        return f"{after} is no worse than {before}: {told}: a drop of {settings.margin:g} is ruled out"
    if said in ("better", "worse"):
        return f"{after} is {said} than {before}: {told}"
    least = f": {numbers.plural(n, 'sample')} could show a change of {numbers.score(macro.detectable)}"
    return f"{after} against {before}: inconclusive: {told}{least if macro.detectable > 0 else ''}"


def _others(judged: JudgedDiff) -> Iterator[str]:
    """Yield the other headline scores that are really better or worse, where macro F1 is not so too."""
    macro = word(judged.averages["macro_f1"])
    for name in JUDGED[1:]:
        found = judged.averages[name]
        if (said := word(found)) in ("better", "worse") and said != macro:
            yield f"{SCORES[name]} is {said} ({numbers.delta(found.delta)})"


def verdict_line(compared: ComparedRuns, at: int) -> Text:
    """Return the verdict of a later run for the terminal."""
    grounds = compared.grounds[at]
    said = "inconclusive" if grounds.judged is None else word(grounds.judged.averages["macro_f1"])
    style = "" if grounds.diff is not None and is_same(grounds.diff) else STYLES[said]
    return Text(verdict_text(compared, at), style=f"bold {style}".strip())


def verdict_lines(compared: ComparedRuns, at: int) -> list[Text]:
    """Return the verdict of a later run for the terminal, below it what all samples say where it leaves some out."""
    seen = seen_text(compared, at)
    return [verdict_line(compared, at), *([Text(seen, style="dim")] if seen else [])]


def how_sure(compared: ComparedRuns, at: int) -> str:
    """Return what all common samples could show: the least change that is detectable, and McNemar's test."""
    judged = compared.judgement.diffs[at]
    least = [
        f"{SCORES[name]} {numbers.score(judged.averages[name].detectable)}"
        for name in JUDGED
        if judged.averages[name].detectable > 0
    ]
    parts = [f"detectable with 80 % power: {', '.join(least)}"] if least else []
    if judged.mcnemar is not None:
        lost, won, p = judged.mcnemar
        told = f"{numbers.count(lost)} lost, {numbers.count(won)} won"
        parts.append(f"exactly right: {told} (McNemar p {p_value(p)})")
    every = "on all samples: " if parts and compared.unseen[at] is not None else ""
    return every + " · ".join(parts)


def how_made(compared: ComparedRuns) -> str:
    """Return how intervals and tests were made, and what decides a verdict."""
    judgement = compared.judgement
    settings = judgement.settings
    exact = all(diff.exact for diff in judgement.diffs)
    exchanges = "exact tests" if exact else f"{numbers.count(settings.permutations)} exchanges of averages"
    return (
        f"{numbers.count(settings.resamples)} resamples, {exchanges}, seed {settings.seed}; "
        f"no worse: less than {settings.margin:g} is lost"
    )


def split_text(name: str, split: F1Change, diff: Diff) -> str:
    """Return how much of a change of F1 comes from other answers, and how much from failures that came or went."""
    text = (
        f"{name} {numbers.delta(split.total)} = {numbers.delta(split.answered_by_both)} on the "
        f"{numbers.plural(diff.n_answered_by_both, 'sample')} answered by both, {numbers.delta(split.failures)} "
        "from failures"
    )
    if split.total > 0 >= split.answered_by_both:
        reason = "more went unanswered" if more_failed(diff) else "more is answered now"
        text += f": it rose because {reason}, not because answers got better"
    return text


def more_failed(diff: Diff) -> bool:
    """Return whether more cells went unanswered than came to be answered."""
    return diff.cells["answer→failure"] > diff.cells["failure→answer"]
