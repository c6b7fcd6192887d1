"""A search for exceptions in words and tables: each verdict says why, and outside text is data."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import exception_runs
import pytest
from cli_project import write

from harness.errorplaces import Site, SiteKind
from harness.errorsites import FailureErrors
from harness.exceptionsearch import Exceptions, find_exceptions
from harness.labeltriggers import LabelTrigger
from harness.project import find_project
from harness.report.exceptions import exceptions_report, search_steps
from harness.report.exceptionsmarkdown import digest, to_json
from harness.report.exceptiontables import choice_sheet, label_sheet, place, site_sheets, trigger_sheet
from harness.report.exceptionwords import bound_line, notes_line, trigger_line, verdict_line
from harness.report.terminal import rendered
from harness.stats import Interval
from harness.store import StoredRun
from harness.triggerverdict import Ground, Reason, Verdict

NONE = Interval(math.nan, math.nan)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Exceptions:
    """Return what is found on a run whose errors follow a rule."""
    root = exception_runs.write_project(tmp_path_factory.mktemp("project"))
    return find_exceptions(exception_runs.stored(root), find_project(root))


def judged(found: Exceptions, verdict: Verdict, *reasons: Reason, **changes: Any) -> Exceptions:
    """Return the same with another verdict, for these reasons, and nothing looked at label by label."""
    return replace(found, by_label=(), search=replace(found.search, verdict=verdict, reasons=reasons, **changes))


def reason(ground: Ground, value: float, limit: float, *, holds: bool) -> Reason:
    """Return what a verdict rests on."""
    return Reason(ground, value, limit, holds)


@pytest.mark.parametrize(
    ("verdict", "reasons", "told"),
    [
        (
            "not worth",
            [reason("out of fold", 0.4, 0.05, holds=False), reason("unseen", 0.0001, 0.05, holds=False)],
            "No trigger is worth it: what it catches on samples that it did not see, chance would catch too: by "
            "cross-validation (p 0.400) and on the unseen half (p <0.001).",
        ),
        (
            "not worth",
            [reason("nothing found", 0, 1, holds=False)],
            "No trigger is worth it: none catches clearly more errors than as many random samples hold.",
        ),
        (
            "not worth",
            [],
            "No trigger is worth it: what it catches on samples that it did not see, chance would catch too.",
        ),
        (
            "too few to tell",
            [
                reason("few samples", 12, 30, holds=False),
                reason("few errors", 3, 8, holds=False),
                reason("few sent", 1, 5, holds=False),
            ],
            "Too few to tell: each half needs 30 samples, and one has 12; each half needs 8 samples with more errors than "
            "the others, and as many with fewer; one has 3; of the unseen half 1 sample would be sent, and 5 are needed.",
        ),
        (
            "too few to tell",
            [reason("out of fold", 0.01, 0.05, holds=True), reason("unseen", 0.2, 0.05, holds=False)],
            "Too few to tell: by cross-validation what the search picks catches more than chance (p 0.010), on the unseen "
            "half no more than chance may (p 0.200).",
        ),
        (
            "too few to tell",
            [
                reason("few sent", 2, 5, holds=False),
                reason("out of fold", 0.01, 0.05, holds=True),
                reason("unseen", 0.02, 0.05, holds=True),
            ],
            "Too few to tell: of the unseen half 2 samples would be sent, and 5 are needed.",
        ),
    ],
)
def test_each_verdict_says_why(found: Exceptions, verdict: Verdict, reasons: list[Reason], told: str) -> None:
    """What does not hold is told in words, with what it is and what it must be."""
    assert verdict_line(judged(found, verdict, *reasons)) == told


def test_what_is_worth_it(found: Exceptions) -> None:
    """What is worth it is said with what it catches of the half that the search never saw."""
    assert verdict_line(found).startswith(
        "Worth a second pass: on samples that the search never saw it catches more errors than chance (p <0.001), "
    )


def test_a_limited_run_can_be_made_whole(found: Exceptions) -> None:
    """Where samples are few because the run was limited, that is said, and how to have more."""
    manifest = replace(found.run.manifest, selection={"limit": 50}, n_samples=50)
    limited = replace(found, run=StoredRun(found.run.path, manifest))
    few = reason("few samples", 24, 30, holds=False)
    assert verdict_line(judged(limited, "too few to tell", few)) == (
        "Too few to tell: each half needs 30 samples, and one has 24. The run took 50 samples (--limit 50): run it without."
    )
    sent = reason("few sent", 1, 5, holds=False)
    assert "--limit" not in verdict_line(judged(limited, "too few to tell", sent))


def test_answers_that_cannot_be_read_come_first(found: Exceptions) -> None:
    """Where most wrong samples have no answer, the form of the answers is what to mend, and that is said."""
    unread = FailureErrors("unparseable", 30.0, 0.6, 60.0, 0.7, ("s001",))
    whole = replace(judged(found, "not worth"), sites=replace(found.sites, failures=(unread,)))
    assert verdict_line(whole).endswith(
        " Most of what is wrong has no answer (unparseable): mend the form of the answers first, see 'harness failures v1 "
        "--kind unparseable'."
    )


@pytest.mark.parametrize("verdict", ["not worth", "too few to tell"])
def test_labels_that_are_worth_it_are_told(found: Exceptions, verdict: Verdict) -> None:
    """Where nothing is worth it for all labels together, those that are worth it alone are named, and how to go on."""
    whole = judged(found, verdict, reason("few samples", 12, 30, holds=False))
    mixed = replace(whole, by_label=found.by_label)
    assert {each.label: each.verdict for each in found.by_label} == {"shipping": "worth", "packaging": "worth"}
    assert verdict_line(mixed) == verdict_line(whole).removesuffix(".") + "; but label by label: shipping, packaging."
    steps = rendered(search_steps(mixed, "v1"))
    assert f"harness exceptions v1 --label shipping --budget 50% --write {found.next_file}\n" in steps
    assert f"harness exceptions v1 --label packaging --budget 50% --write {found.next_file}\n" in steps
    assert "harness exceptions v1 --write" not in steps
    assert "--label" not in rendered(search_steps(found, "v1")).replace("harness failures v1 --label", "")


def test_the_next_commands_search_as_this_one_did(found: Exceptions) -> None:
    """Labels, budget and seed stand in the commands that come next."""
    other = replace(found, labels=("a b",), by_label=(), settings=replace(found.settings, budget=0.125, seed=3))
    steps = rendered(search_steps(other, "v1"))
    assert "harness exceptions v1 --label 'a b' --budget 12.5% --seed 3 -o exceptions.md" in steps
    assert f"harness exceptions v1 --label 'a b' --budget 12.5% --seed 3 --write {found.next_file}\n" in steps


def test_a_file_that_is_gone_has_no_next_version(found: Exceptions) -> None:
    """Nothing is offered to be written where there is no file for it."""
    assert "--write" in rendered(search_steps(found, "v1"))
    assert "--write" not in rendered(search_steps(replace(found, next_file=None), "v1"))


def test_where_every_sample_is_wrong(found: Exceptions) -> None:
    """No precision can beat 100 %, so what counts instead is said."""
    assert "Precision is to beat 2" in trigger_sheet(found, 8).notes[0]
    first = found.search.ranked[0]
    ranked = (replace(first, seen=replace(first.seen, base_rate=1.0)),)
    note = trigger_sheet(replace(found, search=replace(found.search, ranked=ranked)), 8).notes[0]
    assert "Every sample is wrong, so precision tells nothing: what counts is how many errors a sample has." in note


def test_a_label_without_a_trigger_has_dashes(found: Exceptions) -> None:
    """What was not found has no numbers, in the table and in the JSON."""
    none = LabelTrigger("price", None, math.nan, math.nan, math.nan, math.nan, "not worth")
    with_none = replace(found, by_label=(none,))
    sheet = label_sheet(with_none)
    assert sheet.rows == (("price", "nothing found", *(["–"] * 7), "not worth"),)
    assert sheet.notes[0].endswith("Both p are corrected for 1 label (Holm).")
    (plain,) = to_json(with_none)["by_label"]
    assert plain == {
        "label": "price",
        "choice": None,
        **dict.fromkeys(("fold_p", "fold_p_holm", "unseen_p", "unseen_p_holm")),
        "verdict": "not worth",
    }


def test_without_a_choice(found: Exceptions) -> None:
    """Where nothing was chosen no sentence is made of it, and nothing is offered to be written."""
    nothing = judged(found, "not worth", chosen=None, uncertainty=None, procedure=None, reference=None, front=())
    assert (bound_line(nothing), trigger_line(nothing)) == ("", "Nothing was found to send.")
    assert notes_line(nothing) == f"drafted from run {found.run.manifest.id}"
    told = rendered([*exceptions_report(nothing), *search_steps(nothing, "v1")])
    assert "Chosen for" not in told
    assert "What a price buys" not in told
    assert "--write" not in told
    assert "Chosen for" not in digest(nothing)


def test_what_is_not_defined_is_a_dash(found: Exceptions) -> None:
    """An interval of which nothing can be said is a dash, or left out of a sentence."""
    sure = found.search.uncertainty
    assert sure is not None
    unsure = replace(sure, price=NONE, coverage=NONE, precision=NONE, bound=dict.fromkeys(sure.bound, NONE))
    result = replace(found, search=replace(found.search, uncertainty=unsure))
    assert found.search.chosen is not None
    assert ("  95 % interval", "", "–", "–", "–", "", "–") in choice_sheet(result, found.search.chosen).rows
    assert "(" not in bound_line(result)
    alone = replace(result, search=replace(result.search, uncertainty=None, reference=None, procedure=None))
    assert len(choice_sheet(alone, found.search.chosen).rows) == 2
    assert "cross-validation" not in trigger_line(alone)


@pytest.mark.parametrize(
    ("kind", "name", "value", "span", "told"),
    [
        ("column", "language", "de", (math.nan, math.nan), "language: de"),
        ("column", "stars", 3, (math.nan, math.nan), "stars: 3"),
        ("column", "vip", None, (math.nan, math.nan), "vip: null"),
        ("range", "stars", None, (1, 2.5), "stars: 1 to 2.5"),
        ("length", "text", None, (10, 1200), "text of 10 to 1,200 characters"),
        ("confidence", "", None, (0.25, 0.5), "0.250 to 0.500"),
        ("version", "v2", None, (math.nan, math.nan), "another answer by v2"),
        ("versions", "", None, (math.nan, math.nan), "another answer by any other run"),
        ("repeats", "", None, (math.nan, math.nan), "repeats that differ"),
    ],
)
def test_places_in_words(kind: SiteKind, name: str, value: Any, span: tuple[float, float], told: str) -> None:
    """What samples have in common is said in words."""
    site = Site(kind, name, value, *span, 5, 3, 0.6, 0.1, 1, 0.1, 0.01, 0.2, ())
    assert place(site) == told


def test_tables_are_short(found: Exceptions) -> None:
    """Each table of places has five rows at most, and says how many more there are."""
    sites = replace(found.sites, labels=found.sites.labels * 3, words=(), sites=(), pairs=(), failures=())
    (sheet,) = site_sheets(sites)
    assert len(sheet.rows) == 5
    assert sheet.notes == (f"and {len(found.sites.labels) * 3 - 5} labels more",)


NASTY = "``` \x1b[31m [red]x[/red] <script> | *b* ````\n# not a heading\n```"


def test_outside_text_is_data(tmp_path: Path) -> None:
    """Texts, labels and outputs that look like markup or a terminal's commands are shown as they are."""
    root = exception_runs.write_project(tmp_path)
    rows = [{**exception_runs.sample(at), "id": f"s{at:03}"} for at in range(exception_runs.N)]
    for row in rows:
        row["text"] += f" {NASTY}"
        row["*odd* [b]"] = "[/b]\x1b[2J|"
    write(root / "datasets/reviews.dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    run = exception_runs.stored(root, answer=lambda call: f"```\n# {NASTY}")
    found = find_exceptions(run, find_project(root))
    text = digest(found)
    told = rendered(exceptions_report(found))
    assert "\x1b" not in text + told
    assert "\n# not a heading" not in text
    assert "\n`````text" in text.replace("\n  ", "\n")
    assert max(map(len, told.splitlines())) <= 100
    assert found.worth[0].cluster.what == "unanswered"
