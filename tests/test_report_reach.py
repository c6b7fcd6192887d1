"""Coarse to fine, and candidates, as people see them, 100 columns wide and as Markdown."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from harness.flatprompt import PassTokens, Saving
from harness.reach import Bound, CandidateReach, GateReach, GroupReach, Inside, LeftOut, Reach
from harness.report.reach import reach_markdown, reach_parts
from harness.report.terminal import rendered

NAN = math.nan
NOW = Bound(0.721, 0.717, 0.777, 0.79, 0.633)
INSIDE = Inside(1701, 1336, 315, 50, 182, 1336 / 1701, 1336 / 1518)


def group(at: int, name: str = "") -> GroupReach:
    """Return a group that loses more the higher its number is."""
    return GroupReach(name or f"area {at}", 11, 90 + at, 90 - at, at % 2, (90 - at) / (90 + at), 100.0, 88, 0.88)


GATE = GateReach(
    name="gate",
    samples=1000,
    n_labels=230,
    gold=1863,
    open=1701,
    not_chosen=125,
    failed=37,
    recall=1701 / 1863,
    groups_chosen=1.719,
    groups=tuple(group(at) for at in range(20)),
    inside=INSIDE,
    repaired=0,
    wrong_outside=0,
    bound=Bound(0.9164, 0.913, 0.9521, 0.9545, 0.862),
)
CANDIDATES = CandidateReach(
    name="main",
    k=30,
    by="tfidf",
    samples=1000,
    n_labels=230,
    gold=1863,
    open=1273,
    recall=1273 / 1863,
    left_out=tuple(LeftOut(f"label {at}", 14, 10 - at, (10 - at) / 14) for at in range(6)),
    recall_at=tuple(min(1.0, (at / 165) ** 0.2 * 0.95) for at in range(1, 231)),
    inside=INSIDE,
    repaired=0,
    wrong_outside=0,
    bound=Bound(0.68, 0.683, 0.784, 0.812, 0.53),
)
SAVING = Saving(
    (
        PassTokens("gate", 982, 304_608, 0, 0, 982, 298_296),
        PassTokens("fine", 1719, 583_343, 982, 5_641_778, 1671, 556_274),
    ),
    982,
    18,
)
COARSE = Reach(1, NOW, (GATE,), (), SAVING)
OFFERED = Reach(1, NOW, (), (CANDIDATES,), Saving((PassTokens("main", 10, 800, 10, 5000, 0, 0),), 10, 0))


def shown(found: Reach | None, width: int = 100) -> str:
    """Return what is printed where there is no terminal; no line is too long or ends in spaces."""
    text = rendered(reach_parts(found), io.StringIO())
    for line in text.splitlines():
        assert cell_len(line) <= width, line
        assert line == line.rstrip(), line
    return text


def flat(text: str) -> str:
    """Return a text as one line."""
    return " ".join(text.split())


def test_a_gate(snapshot: SnapshotAssertion) -> None:
    """Recall, what is lost, the errors inside, the groups that lose most, the upper bound, and the tokens saved."""
    assert shown(COARSE) == snapshot


def test_candidates(snapshot: SnapshotAssertion) -> None:
    """Recall, the number of candidates that would hold enough, the labels left out most, and recall by number."""
    assert shown(OFFERED) == snapshot


def test_markdown(snapshot: SnapshotAssertion) -> None:
    """The same as Markdown, with every group."""
    assert reach_markdown(replace(COARSE, candidates=(CANDIDATES,), reread=3)) == snapshot


def test_nothing_is_said_of_other_prompts() -> None:
    """A run without gates and candidates has no block."""
    assert shown(None) == ""
    assert reach_markdown(None) == ""


def test_a_narrow_terminal_keeps_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 60 columns tables leave columns out instead of cutting numbers."""
    monkeypatch.setenv("COLUMNS", "60")
    text = rendered(reach_parts(COARSE), io.StringIO())
    assert "columns left out" in text
    assert "…" not in text


def test_a_gate_that_loses_nothing_says_so_shortly() -> None:
    """Nothing is told of losses that are not there, nor of groups a sample where it was asked about none."""
    whole = replace(GATE, open=1863, not_chosen=0, failed=0, recall=1.0, groups=(group(0),))
    text = shown(replace(COARSE, gates=(whole,)))
    assert "lost to later passes" not in text
    assert "others in --json" not in text
    never = replace(whole, samples=0, gold=0, open=0, recall=NAN, groups_chosen=NAN)
    assert "Inside the chosen groups: recall" in shown(replace(COARSE, gates=(never,)))


def test_a_gate_that_failed_nowhere_says_nothing_of_failures() -> None:
    """Only what it did not choose is lost."""
    text = shown(replace(COARSE, gates=(replace(GATE, failed=0, not_chosen=162),)))
    assert "lost to later passes: 162 in groups not chosen\n" in text


def test_what_other_passes_named_is_told() -> None:
    """Labels in closed groups, or that are no candidates, which another pass named."""
    text = flat(shown(replace(COARSE, gates=(replace(GATE, repaired=4, wrong_outside=9),))))
    assert "Other passes named in closed groups: 4 right, 9 wrong" in text
    text = flat(shown(replace(OFFERED, candidates=(replace(CANDIDATES, wrong_outside=2.5),))))
    assert "Other passes named in what was no candidate: 0 right, 2.5 wrong" in text


def test_enough_candidates_need_no_advice() -> None:
    """Where the candidates hold 95 % of the gold no other number is advised."""
    text = shown(replace(OFFERED, candidates=(replace(CANDIDATES, open=1850, recall=1850 / 1863, left_out=()),)))
    assert "would hold" not in text
    assert "left out most" not in text


def test_a_ranking_that_is_gone_is_told() -> None:
    """Without the ranking there is no table, and the reason is there."""
    gone = replace(OFFERED, candidates=(replace(CANDIDATES, recall_at=()),))
    text = flat(shown(gone))
    assert "what other k would hold is not known: this choice cannot be made again without calls" in text
    assert "(now)" not in text
    assert "(now)" not in reach_markdown(gone)


def test_a_prompt_that_costs_more_says_so() -> None:
    """Where asking in parts asks with more tokens than the flat prompt, that is told as plainly."""
    dear = Saving((PassTokens("fine", 20, 6000, 10, 5000, 20, 5900),), 10, 0)
    assert "20.0 % more than it (600 against 500 a sample)" in flat(shown(replace(COARSE, saving=dear)))


def test_without_a_gate_that_answered_there_is_no_comparison() -> None:
    """Where it failed in every sample there is nothing to compare, and without a flat prompt nothing is said."""
    none = Saving((PassTokens("gate", 0, 0, 0, 0, 0, 0),), 0, 5)
    text = flat(shown(replace(COARSE, saving=none)))
    assert "Prompt tokens: a gate failed in every sample, so there is nothing to compare with." in text
    assert "Prompt tokens" not in shown(replace(COARSE, saving=None))
    assert "Prompt tokens" not in reach_markdown(replace(COARSE, saving=None))


def test_answers_that_are_read_otherwise_are_told() -> None:
    """After another reading the block says of which it is."""
    text = flat(shown(replace(COARSE, reread=1)))
    assert "1 answer is read otherwise since (harness score); this block reads as the run's own prompt says" in text
    text = flat(shown(replace(COARSE, reread=4)))
    assert "4 answers are read otherwise since" in text


def test_names_are_data() -> None:
    """Names that would be markup or move the cursor are shown as they are written, escaped."""
    evil = "[red]\x1b[2J|<b>"
    gate = replace(GATE, name=evil, groups=(group(3, evil),))
    offered = replace(CANDIDATES, name=evil, left_out=(LeftOut(evil, 1, 1, 1.0),))
    nasty = Reach(1, NOW, (gate,), (offered,), Saving((PassTokens(evil, 1, 1, 1, 1, 1, 1),), 1, 0))
    assert "\x1b" not in shown(nasty)
    assert "[red]" in shown(nasty)
    text = reach_markdown(nasty)
    assert "\x1b" not in text
    assert "<b>" not in text.replace("\\<b\\>", "")
