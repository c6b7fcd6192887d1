"""What the passes of a run are worth, as a person reads it: at 100 columns, and as Markdown."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from harness.evidence import Settings
from harness.passeffects import Effect, Gain, LabelEffect, Trigger, TriggerPart
from harness.passmeasuring import CostPer, Failures, MeasuredPass, MeasuredPasses, PerThousand, Price, WhatIf
from harness.report.passes import hint, passes_report, verdict_text
from harness.report.passeshtml import passes_section
from harness.report.passesmarkdown import passes_markdown
from harness.report.terminal import rendered
from harness.significance import Difference

NAN = math.nan
HEADLINE = {"macro_f1": 0.712, "micro_f1": 0.733, "subset_accuracy": 0.55, "coverage": 1.0}


def label(name: str, corrected: float, broken: float) -> LabelEffect:
    """Return what a pass did to a label."""
    return LabelEffect(name, corrected + broken, corrected, broken, corrected - broken, 0.7, 0.7 + corrected / 100)


def what_if(name: str, by: float, missing: int = 0) -> WhatIf:
    """Return final answers that are better or worse by so much."""
    if missing:
        return WhatIf(name, dict.fromkeys(HEADLINE, NAN), dict.fromkeys(HEADLINE, NAN), missing)
    change = {score: 0.0 if score == "coverage" else by for score in HEADLINE}
    return WhatIf(name, {score: HEADLINE[score] + change[score] for score in HEADLINE}, change, 0)


def difference(delta: float, word: str) -> Difference:
    """Return a change with its verdict."""
    return Difference(delta, delta - 0.01, delta + 0.01, 0.005, 0.014, 0.012, 0.012, word)  # type: ignore[arg-type]


PARTS = (TriggerPart("'shipping' in predicted", 60, 50, 0.25), TriggerPart("failed", 38, 28, 0.3158))
LABELS = (label("shipping", 9, 1), label("packaging", 3, 2))
PRICE = Price(88, 0, 28_204, 3_000, 0.0021, 0.0021, 0.42, 36.9, 224)
CHECK = MeasuredPass(
    name="check",
    how="replace",
    when="'shipping' in predicted or failed",
    effect=Effect(
        224, 1, 15, 12, 3, 9, 2, 7, 1, LABELS, Trigger(88, 41, 24, 24 / 88, 24 / 41, 41 / 224, 88 / 224, PARTS)
    ),
    gain=Gain(9, 4.02, 1.2, 6.9, 1.4, 3.92, 0.012, 14, NAN),
    of_final=True,
    judged={"macro_f1": difference(0.02, "better"), "subset_accuracy": difference(0.005, "inconclusive")},
    failures=Failures(88, {"unparseable": 2, "call_error": 1}),
    price=PRICE,
    per_corrected=CostPer(2600.333, 0.000175),
    per_net=CostPer(3467.111, 0.000233),
    per_thousand=PerThousand(393, 139_304, 0.0094),
    what_ifs=(
        what_if("without", -0.02),
        what_if("add", -0.01),
        what_if("union", -0.01),
        what_if("confirm", 0, missing=12),
    ),
    worth="pays",
)


def found(*passes: MeasuredPass, **changes: Any) -> MeasuredPasses:
    """Return the passes of a run."""
    return replace(MeasuredPasses(224, 1, HEADLINE, passes, (), None, False, Settings()), **changes)


def report(given: MeasuredPasses) -> str:
    """Return what is printed where there is no terminal; no line is too long or ends in spaces."""
    text = rendered([passes_report(given)], io.StringIO())
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
        assert line == line.rstrip(), line
    return text


def flat(text: str) -> str:
    """Return a text as one line."""
    return " ".join(text.split())


def changed(counts: Mapping[str, Any], **changes: Any) -> MeasuredPass:
    """Return the pass with other counts of its effect, and other changes."""
    return replace(CHECK, effect=replace(CHECK.effect, **counts), **changes)


NOTHING = {"changed": 0, "corrected": 0, "broken": 0, "net": 0, "filled": 0, "labels": ()}
SAME = (what_if("without", 0), what_if("add", 0))


def test_a_pass_that_pays(snapshot: SnapshotAssertion) -> None:
    """The verdict, whom it was asked about, what it changed and cost, and what would be otherwise."""
    assert report(found(CHECK)) == snapshot


def test_a_pass_as_markdown(snapshot: SnapshotAssertion) -> None:
    """Markdown has the same lines and tables."""
    assert (
        passes_markdown(found(CHECK, replace(CHECK, name="a_b", worth="never asked"), left_out=("fine",))) == snapshot
    )


def test_a_run_without_later_passes_has_no_markdown() -> None:
    """Where there is nothing to say, nothing is said."""
    assert passes_markdown(None) == ""
    assert passes_section(None) is None


def test_a_pass_as_html() -> None:
    """The page has the same lines and tables, and outside text in it is no markup."""
    idle = changed(NOTHING, worth="does not pay", what_ifs=SAME, name="idle")
    one = changed({"trigger": replace(CHECK.effect.trigger, parts=())}, name="<b>")
    page = str(passes_section(found(CHECK, idle, one, replace(CHECK, worth="never asked"), left_out=("fine",))))
    assert page.count("<h3>") == 4
    assert page.count("<table>") == 4 + 1 + 3
    assert "The pass &#x27;check&#x27; pays: it corrected 12 cells and broke 3" in page
    assert "<caption>check: without it, and merged otherwise</caption>" in page
    assert "<b>" not in page
    assert "Not measured, because no earlier pass answers what they answer: fine" in page


@pytest.mark.parametrize(
    ("each", "text"),
    [
        (CHECK, "pays: it corrected 12 cells and broke 3, for 88 calls (31,204 tokens, $0.0021)."),
        (
            changed({"corrected": 3, "broken": 12, "net": -9}, worth="does not pay",
                    judged={"macro_f1": difference(-0.02, "worse")}),
            "does not pay: it corrected 3 cells and broke 12, for 88 calls (31,204 tokens, $0.0021); macro F1 is worse "
            "with it (−0.020).",
        ),
        (
            changed({}, worth="does not pay", judged={}, gain=replace(CHECK.gain, net=0)),
            "does not pay: it corrected 12 cells and broke 3, for 88 calls (31,204 tokens, $0.0021); in the final answers "
            "the net gain is 0, after the later passes.",
        ),
        (
            changed({"corrected": 1, "broken": 2, "net": -1}, worth="does not pay", judged={}),
            "does not pay: it corrected 1 cell and broke 2, for 88 calls (31,204 tokens, $0.0021).",
        ),
        (
            changed(NOTHING, worth="does not pay", price=replace(PRICE, usd=None)),
            "does not pay: it changed nothing, for 88 calls (31,204 tokens).",
        ),
        (
            changed(NOTHING, worth="does not pay", failures=Failures(88, {"call_error": 88})),
            "does not pay: it changed nothing, because every answer of it failed, for 88 calls (31,204 tokens, $0.0021).",
        ),
        (
            changed({"corrected": 1, "broken": 2, "net": -1, "n_samples": 10}, worth="does not pay", judged={}),
            "does not pay: it corrected 1 cell and broke 2, for 88 calls (31,204 tokens, $0.0021); 10 samples are too few "
            "to tell what it would do on others.",
        ),
        (
            changed({}, gain=replace(CHECK.gain, low=-1.0)),
            "pays: it corrected 12 cells and broke 3, for 88 calls (31,204 tokens, $0.0021); macro F1 is better (+0.020), "
            "the gain in cells alone could be chance.",
        ),
        (
            changed({}, worth="not shown to pay", gain=replace(CHECK.gain, net=0)),
            "is not shown to pay: it corrected 12 cells and broke 3, for 88 calls (31,204 tokens, $0.0021); macro F1 is "
            "better (+0.020), but no more cells are right.",
        ),
        (
            changed({}, worth="not shown to pay", gain=replace(CHECK.gain, needed=901)),
            "is not shown to pay: it corrected 12 cells and broke 3, for 88 calls (31,204 tokens, $0.0021); about 901 "
            "samples like these would show such a gain.",
        ),
        (
            changed({}, worth="not shown to pay"),
            "is not shown to pay: it corrected 12 cells and broke 3, for 88 calls (31,204 tokens, $0.0021); these samples "
            "cannot tell that from chance.",
        ),
        (
            changed({}, worth="not shown to pay", judged={"macro_f1": difference(-0.02, "worse")}),
            "is not shown to pay: it corrected 12 cells and broke 3, for 88 calls (31,204 tokens, $0.0021); more cells are "
            "right, but macro F1 is worse (−0.020).",
        ),
    ],
)  # fmt: skip
def test_the_verdict_in_a_line(each: MeasuredPass, text: str) -> None:
    """The word, what it did, for how much, and why not where it does not pay."""
    assert verdict_text(each) == f"The pass 'check' {text}"


def test_a_pass_that_was_never_asked() -> None:
    """There is one line and nothing else."""
    assert report(found(replace(CHECK, worth="never asked"))) == (
        "The pass 'check' was never asked: its trigger held for no sample.\n"
    )


def test_a_pass_that_changed_nothing() -> None:
    """What did not change has no tables; that no merge rule would change it is said in words."""
    text = report(found(changed(NOTHING, worth="does not pay", what_ifs=SAME, judged={})))
    assert "Under every merge rule, and without it, the final answers are the same" in text
    assert "the final answers  " not in text
    assert "with it against without" not in text
    assert "with it against without" not in passes_markdown(
        found(changed(NOTHING, worth="does not pay", what_ifs=SAME))
    )


def test_calls_that_are_missing_withhold_the_final_answers() -> None:
    """Where the final answers without a pass are not known, that is said, with why."""
    one = replace(CHECK, of_final=False, judged={}, what_ifs=(what_if("without", 0, missing=1),))
    told = "The gain is that of the pass alone, not of the final answers:"
    assert f"{told} 1 call of later passes would be needed that was never made" in flat(report(found(one)))
    many = replace(one, what_ifs=(what_if("without", 0, missing=13),))
    assert f"{told} 13 calls of later passes would be needed that were never made" in flat(report(found(many)))
    none = replace(one, what_ifs=(what_if("add", 0.01),))
    assert f"{told} without it some labels would have no answer" in flat(report(found(none)))


def test_what_the_cache_answered_is_told_apart() -> None:
    """Cached calls are in the price on new samples, and not in what was paid."""
    cached = replace(CHECK, price=replace(PRICE, cached=80, paid_usd=0.0002, latency_s=NAN))
    assert (
        "Price: 88 calls, 80 of them from the cache, 28,204 + 3,000 tokens, cost $0.0021, paid $0.0002, 37 s in all"
        in (flat(report(found(cached))))
    )


def test_many_labels_are_told_in_part() -> None:
    """Of many labels those with the most changed cells have a row, in label-space order."""
    labels = tuple(label(f"label {at:02}", at, 0) for at in range(1, 13))
    text = report(found(changed({"labels": labels})))
    assert "label 02 " not in text
    assert text.index("label 03 ") < text.index("label 12 ")
    assert "and 2 more labels with fewer changes: in --json" in text


def test_a_trigger_of_one_part_has_no_table() -> None:
    """A trigger without alternatives is told in the line above."""
    one = changed({"trigger": replace(CHECK.effect.trigger, parts=PARTS[:1])})
    assert "sent when" not in report(found(one))
    assert "sent when" not in passes_markdown(found(one))


def test_outside_text_is_data() -> None:
    """Names and expressions of a prompt file cannot move the cursor, style the text or make markup."""
    parts = (TriggerPart("'\x1b[31m|[bold]' in text", 1, 1, 0.5), *PARTS)
    nasty = replace(
        CHECK, name="[red]\x1b[2J", effect=replace(CHECK.effect, trigger=replace(CHECK.effect.trigger, parts=parts))
    )
    for text in (report(found(nasty)), passes_markdown(found(nasty))):
        assert "\x1b" not in text
    assert "[red]\\x1b[2J" in report(found(nasty))
    assert "\\|\\[bold\\]" in passes_markdown(found(nasty))


def test_notes_below() -> None:
    """What is left out, what was read otherwise since, which samples count, and that counts are means."""
    idle = changed(NOTHING, worth="does not pay", what_ifs=SAME, judged={})
    text = flat(report(found(idle, left_out=("gate", "fine"), searched=112, reread=True, n_repeats=3)))
    for told in (
        "Not measured, because no earlier pass answers what they answer: gate, fine",
        "On the 224 samples that the search for errors did not see; 112 that it saw are left out",
        "The stored answers were read in another way since (harness score). Here they are read as the run's own prompt says",
        "Counts, tokens and prices are means over 3 repeats",
    ):
        assert told in text
    saw_all = flat(report(found(idle, searched=0)))
    assert (
        "The search for errors saw all these samples, so that what is drafted from it looks better here than it is"
        in saw_all
    )


def test_two_passes_stand_apart() -> None:
    """Between two passes is an empty line."""
    never = replace(CHECK, worth="never asked")
    assert report(found(never, replace(never, name="last"))).count("\n\n") == 1


def test_a_large_run_is_told_what_to_type() -> None:
    """Where measuring takes long, the command that does it stands there."""
    assert hint("v4").plain == "What the later passes are worth takes a while here. Type: harness show v4 --passes"
