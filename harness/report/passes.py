"""What the later passes of a run are worth: a verdict each, whom they were asked about, what they changed, their price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from harness.errors import listing
from harness.passeffects import PER, Gain, LabelEffect, Worth, is_shown
from harness.passmeasuring import THOUSAND, CostPer, MeasuredPass, MeasuredPasses, WhatIf
from harness.passreplay import WITHOUT
from harness.report import numbers
from harness.report.judged import SCORES, interval, is_same, level, p_value, shown_word, verdict_line
from harness.report.judged import STYLES as WORD_STYLES
from harness.report.terminal import (
    BAD,
    GOOD,
    QUIET,
    captioned,
    change,
    failure_lines,
    headline,
    label_table,
    named,
    table,
)
from harness.report.text import one_line
from harness.versions import ComparedRuns
from harness.withoutpasses import Without

STYLES: dict[Worth, str] = {"pays": GOOD, "does not pay": BAD, "not shown to pay": "yellow", "never asked": "yellow"}

FEW_SAMPLES = 20
"""Samples below which a loss is not said without a word on how few they are."""

LONGEST_NAME = 60
LONGEST_PART = 60
MOST_LABELS = 10
"""Labels that have a row; of more, those with the most changed cells."""

CHANGES = ("with it against without", "change", "interval", "p", "verdict")
PARTS = ("sent when", "samples", "it alone", "precision")
LABELS = ("label", "changed", "corrected", "broken", "net", "F1 before", "F1 after", "Δ")
OTHERWISE = ("the final answers", "macro F1", "micro F1", "subset acc.", "coverage", "calls missing")


def passes_report(found: MeasuredPasses, *, locked: bool = False) -> RenderableType:
    """Return what is said of the passes of a run in the terminal.

    On a locked split other ways to merge are not shown: to choose one there is to tune on it.
    """
    parts: list[RenderableType] = []
    for each in found.passes:
        parts += [Text(""), *_one(each, found, locked)] if parts else _one(each, found, locked)
    return Group(*parts, *(Text(line, style=QUIET) for line in notes(found)))


def hint(run: str) -> Text:
    """Return what to type to have the passes of a large run measured."""
    return Text(f"What the later passes are worth takes a while here. Type: harness show {run} --passes", style=QUIET)


def _one(each: MeasuredPass, found: MeasuredPasses, locked: bool) -> Iterator[RenderableType]:
    yield Text(verdict_text(each), style=f"bold {STYLES[each.worth]}")
    if each.worth == "never asked":
        return
    yield from (Text(line) for line in told(each))
    tables: list[RenderableType] = []
    if each.effect.changed:
        tables.append(captioned(_changes_table(each, found), *gain_notes(each)))
    if len(each.effect.trigger.parts) > 1:
        tables.append(_parts_table(each))
    if each.effect.labels:
        tables.append(_label_table(each))
    if matters(each) and not locked:
        tables.append(_otherwise_table(each, found))
    for made in tables:
        yield Text("")
        yield made


def matters(each: MeasuredPass) -> bool:
    """Return whether the final answers would be others without a pass, or merged otherwise, as far as that is known."""
    return any(what.missing or any(what.change.values()) for what in each.what_ifs)


def without_report(compared: ComparedRuns, answers: Without) -> RenderableType:
    """Return the scores of a run as they would be without some passes, with what would change from the run as it is.

    Args:
        compared: The run as it is, and without these passes.
        answers: What would be answered without them.
    """
    manifest, diff = compared.runs[0].manifest, compared.comparison.diffs[0]
    n = numbers.plural(answers.scores.n_samples, "sample")
    title = Text.assemble((one_line(compared.names[1], LONGEST_NAME), "bold"))
    title.append(f" on {one_line(f'{manifest.dataset} {manifest.split}', LONGEST_NAME)} · {n}")
    title.append(f" · {manifest.id}, from its stored completions", style=QUIET)
    return Group(
        title,
        Text(""),
        headline(answers.scores, diff, compared.comparison.n_common),
        Text(""),
        label_table(answers.scores, diff),
        Text(""),
        *failure_lines(answers.scores, manifest),
        Text(""),
        *_without_verdict(compared, answers),
        Text("No call was made, and nothing is written.", style=QUIET),
    )


def _flattered(compared: ComparedRuns) -> Iterator[Text]:
    """Yield that the prompt has an advantage on some of the samples, because it was drafted from the errors on them."""
    manifest = compared.runs[0].manifest
    searched = manifest.prompt.searched_on(manifest.split)
    seen = 0 if searched is None else sum(searched.saw(each) for each in compared.comparison.samples)
    if seen and not is_same(compared.comparison.diffs[0]):
        told = f"{numbers.count(seen)} of these {numbers.plural(compared.comparison.n_common, 'sample')}"
        version = one_line(manifest.version, LONGEST_NAME)
        yield Text(
            f"caution: {version} was drafted from the errors on {told}, which flatters it here; "
            f"'harness show {version}' judges its passes on the others",
            style="yellow",
        )


def _without_verdict(compared: ComparedRuns, answers: Without) -> Iterator[Text]:
    """Yield what can be said of it; nothing certain where calls are missing."""
    if not answers.missing:
        yield from _flattered(compared)
        yield verdict_line(compared, 0)
        return
    calls = numbers.count(answers.missing)
    yield Text(f"No verdict: it would need calls of other passes that were never made: {calls}", style="yellow")


# --- in words ---------------------------------------------------------------------------------------------------------


def verdict_text(each: MeasuredPass) -> str:
    """Return in a line whether a pass pays, and why."""
    name = f"The pass '{one_line(each.name, LONGEST_NAME)}'"
    if each.worth == "never asked":
        return f"{name} was never asked: its trigger held for no sample."
    word = {"pays": "pays", "does not pay": "does not pay", "not shown to pay": "is not shown to pay"}[each.worth]
    return f"{name} {word}: {_did(each)}, for {_spent(each)}{_why_not(each)}."


def _did(each: MeasuredPass) -> str:
    effect, failures = each.effect, each.failures
    if not effect.changed:
        if failures.n_answers and failures.failed == failures.n_answers:
            return "it changed nothing, because every answer of it failed"
        return "it changed nothing"
    return f"it corrected {numbers.plural(effect.corrected, 'cell')} and broke {numbers.count(effect.broken)}"


def _spent(each: MeasuredPass) -> str:
    price = each.price
    told = f"{numbers.plural(price.calls, 'call')} ({numbers.count(price.tokens)} tokens"
    return f"{told}, {numbers.usd(price.usd)})" if price.usd else f"{told})"


def _why_not(each: MeasuredPass) -> str:
    """Return what keeps a gain from being shown, or what the final answers say where the pass itself says otherwise."""
    gain, effect = each.gain, each.effect
    macro = each.judged.get("macro_f1")
    better = macro is not None and macro.verdict == "better"
    if each.worth == "pays" and macro is not None and better and not is_shown(gain):
        return f"; macro F1 is better ({numbers.delta(macro.delta)}), the gain in cells alone could be chance"
    if each.worth == "not shown to pay" and macro is not None and better and not gain.net > 0:
        return f"; macro F1 is better ({numbers.delta(macro.delta)}), but no more cells are right"
    if each.worth == "not shown to pay":
        if macro is not None and macro.verdict == "worse":
            return f"; more cells are right, but macro F1 is worse ({numbers.delta(macro.delta)})"
        if not math.isnan(gain.needed):
            return f"; about {numbers.plural(gain.needed, 'sample')} like these would show such a gain"
        return "; these samples cannot tell that from chance"
    if each.worth == "does not pay" and effect.changed and effect.n_samples < FEW_SAMPLES:
        return f"; {numbers.plural(effect.n_samples, 'sample')} are too few to tell what it would do on others"
    if each.worth == "does not pay" and macro is not None and macro.verdict == "worse":
        return f"; macro F1 is worse with it ({numbers.delta(macro.delta)})"
    if each.worth == "does not pay" and effect.net > 0 >= gain.net:
        return f"; in the final answers the net gain is {numbers.count_delta(gain.net)}, after the later passes"
    return ""


def told(each: MeasuredPass) -> Iterator[str]:
    """Yield whom a pass was asked about, what failed, what it changed and what it costs, a line each."""
    effect, trigger = each.effect, each.effect.trigger
    yield (
        f"Sent: {numbers.count(trigger.sent)} of {numbers.plural(effect.n_samples, 'sample')} "
        f"({numbers.percent(trigger.share)}), {numbers.count(trigger.caught)} of them with a wrong cell in its scope: "
        f"precision {numbers.percent(trigger.precision)}, recall {numbers.percent(trigger.recall)}; "
        f"of all samples {numbers.percent(trigger.base_rate)} have one"
    )
    if each.failures.failed:
        kinds = ", ".join(f"{numbers.count(n)} {kind}" for kind, n in each.failures.kinds.items())
        failed, asked = numbers.count(each.failures.failed), numbers.plural(each.failures.n_answers, "answer")
        yield f"Failed: {failed} of {asked} ({kinds}); what stood before them stands"
    filled = f" ({numbers.count(effect.filled)} that nobody had answered)" if effect.filled else ""
    yield (
        f"Changed: {numbers.plural(effect.changed, 'cell')}{filled}, {numbers.count(effect.corrected)} corrected, "
        f"{numbers.count(effect.broken)} broken, net {numbers.count_delta(effect.net)}; samples: "
        f"{numbers.count(effect.made_right)} made right, {numbers.count(effect.made_wrong)} made wrong"
    )
    if not each.effect.changed and not matters(each):
        yield "Under every merge rule, and without it, the final answers are the same"
    yield from _price_lines(each)


def _price_lines(each: MeasuredPass) -> Iterator[str]:
    price, new = each.price, each.per_thousand
    cached = f", {numbers.count(price.cached)} of them from the cache" if price.cached else ""
    paid = f", paid {numbers.usd(price.paid_usd)}" if price.cached else ""
    latency = "" if math.isnan(price.latency_s) else f"; median call {numbers.seconds(price.latency_s)}"
    yield (
        f"Price: {numbers.plural(price.calls, 'call')}{cached}, {numbers.count(price.prompt_tokens)} + "
        f"{numbers.count(price.completion_tokens)} tokens, cost {numbers.usd(price.usd)}{paid}{latency}, "
        f"{numbers.seconds(price.seconds)} in all"
    )
    cells = [
        f"{_cost(cost)} for each {what}"
        for cost, what in ((each.per_corrected, "corrected cell"), (each.per_net, "cell of the net gain"))
        if not math.isnan(cost.tokens)
    ]
    thousand = (
        f"{numbers.short_count(new.calls)} calls, {numbers.short_count(new.tokens)} tokens, "
        f"cost {numbers.usd(new.usd)} for {numbers.count(THOUSAND)} new samples"
    )
    yield f"That is {'; '.join([*cells, thousand])}"


def _cost(cost: CostPer) -> str:
    priced = f", {numbers.usd(cost.usd)}" if cost.usd else ""
    return f"{numbers.short_count(round(cost.tokens))} tokens{priced}"


def notes(found: MeasuredPasses) -> Iterator[str]:
    """Yield what must be known of all of it."""
    if found.left_out:
        names = listing([one_line(name, LONGEST_NAME) for name in found.left_out])
        yield f"Not measured, because no earlier pass answers what they answer: {names}"
    if found.passes and found.searched:
        yield (
            f"On the {numbers.plural(found.n_samples, 'sample')} that the search for errors did not see; "
            f"{numbers.count(found.searched)} that it saw are left out"
        )
    if found.passes and found.searched == 0:
        yield "The search for errors saw all these samples, so that what is drafted from it looks better here than it is"
    if found.reread:
        yield (
            "The stored answers were read in another way since (harness score). Here they are read as the run's own "
            "prompt says"
        )
    if found.n_repeats > 1 and found.passes:
        yield f"Counts, tokens and prices are means over {found.n_repeats} repeats"


def gain_notes(each: MeasuredPass) -> Iterator[str]:
    """Yield what the gain rests on."""
    if not each.of_final:
        missing = next((what.missing for what in each.what_ifs if what.name == WITHOUT), 0)
        because = (
            f"{numbers.plural(missing, 'call')} of later passes would be needed that {'was' if missing == 1 else 'were'} "
            "never made"
            if missing
            else "without it some labels would have no answer"
        )
        yield f"The gain is that of the pass alone, not of the final answers: {because}"
    if each.gain.detectable > 0:
        yield (
            f"{numbers.plural(each.effect.n_samples, 'sample')} could show a gain of "
            f"{cells(each.gain.detectable)} right cells for {PER} samples (80 % power); "
            f"they differ in {numbers.count(each.gain.n_changed)}"
        )


# --- tables -----------------------------------------------------------------------------------------------------------


def cells(value: float) -> str:
    """Return a signed number of cells; a small one with its decimals, which a count would round away."""
    return numbers.count_delta(value) if abs(value) >= 1 else numbers.delta(value)


def gain_interval(gain: Gain) -> str:
    """Return from where to where a net gain may lie."""
    return f"{cells(gain.low)} to {cells(gain.high)}"


def _changes_table(each: MeasuredPass, found: MeasuredPasses) -> RenderableType:
    head = (CHANGES[0], CHANGES[1], level(found.settings), *CHANGES[3:])
    made = table(*head, left=(CHANGES[0], CHANGES[4]), gives_way=(CHANGES[0],))
    gain = each.gain
    made.add_row(
        f"right cells for {PER} samples",
        Text(cells(gain.value), style=change(gain.value).style),
        gain_interval(gain),
        p_value(gain.p),
        "",
    )
    for name, found_change in each.judged.items():
        word = shown_word(found_change)
        made.add_row(
            SCORES[name],
            change(found_change.delta),
            interval(found_change),
            p_value(found_change.p_corrected),
            Text(word, style=WORD_STYLES[word]),
        )
    return made


def _parts_table(each: MeasuredPass) -> RenderableType:
    made = table(*PARTS, left=PARTS[:1], gives_way=PARTS[:1])
    for row in part_rows(each):
        made.add_row(Text(row[0]), *row[1:])
    return made


def part_rows(each: MeasuredPass) -> list[list[str]]:
    """Return one row for each alternative of a trigger, as `PARTS` says."""
    return [
        [
            one_line(part.source, LONGEST_PART),
            numbers.count(part.sent),
            numbers.count(part.alone),
            numbers.percent(part.precision),
        ]
        for part in each.effect.trigger.parts
    ]


def _label_table(each: MeasuredPass) -> RenderableType:
    made = table(*LABELS, left=LABELS[:1], gives_way=LABELS[:1])
    shown = most_changed(each)
    for row in shown:
        net = Text(numbers.count_delta(row.net), style=GOOD if row.net > 0 else BAD if row.net < 0 else QUIET)
        counts = (numbers.count(row.changed), numbers.count(row.corrected), numbers.count(row.broken))
        f1 = (numbers.score(row.f1_before), numbers.score(row.f1_after))
        made.add_row(named(row.label), *counts, net, *f1, change(row.f1_after - row.f1_before))
    rest = len(each.effect.labels) - len(shown)
    return captioned(made, f"and {numbers.plural(rest, 'more label')} with fewer changes: in --json") if rest else made


def most_changed(each: MeasuredPass) -> Sequence[LabelEffect]:
    """Return the labels that are shown: those with the most changed cells, in label-space order."""
    most = sorted(each.effect.labels, key=lambda row: -row.changed)[:MOST_LABELS]
    return [row for row in each.effect.labels if row in most]


def _otherwise_table(each: MeasuredPass, found: MeasuredPasses) -> RenderableType:
    missing = any(what.missing for what in each.what_ifs)
    columns = OTHERWISE if missing else OTHERWISE[:-1]
    made = table(*columns, left=columns[:4], gives_way=columns[:1])
    for name, what in ways(each):
        told_scores = found.headline if what is None else what.headline
        scores = (final_score(told_scores, what, score) for score in ("macro_f1", "micro_f1", "subset_accuracy"))
        last = (calls_missing(what),) if missing else ()
        made.add_row(name, *scores, numbers.percent(told_scores["coverage"]), *last)
    return made


def ways(each: MeasuredPass) -> Iterator[tuple[str, WhatIf | None]]:
    """Yield the final answers as they are, without a pass, and merged otherwise, each with its name.

    Rules that come to the same are one.
    """
    yield f"as they are (merge: {each.how})", None
    alike: dict[str, tuple[list[str], WhatIf]] = {}
    for what in each.what_ifs:
        key = what.name if what.name == WITHOUT else f"{what.missing} {what.headline}"
        alike.setdefault(key, ([], what))[0].append(what.name)
    for names, what in alike.values():
        yield ("without the pass" if what.name == WITHOUT else f"merged by {' or '.join(names)}"), what


def final_score(scores: Mapping[str, float], what: WhatIf | None, name: str) -> Text:
    """Return a headline score of final answers, with its change from what they are."""
    text = Text(numbers.score(scores[name]))
    return text if what is None or what.missing else text.append(" ").append_text(change(what.change[name]))


def calls_missing(what: WhatIf | None) -> str:
    """Return how many calls other final answers would need that were never made; empty where none."""
    return "" if what is None or not what.missing else numbers.count(what.missing)
