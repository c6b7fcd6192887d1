"""Comparisons as a person reads them, at 100 columns, and as Markdown."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cli_project
import pytest
import report_runs
from cli_project import ANSWERS, PROMPT, call_error, stored_run, write, write_samples
from rich.cells import cell_len
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from harness.ledger import View
from harness.project import find_project
from harness.promptdiff import prompt_diff
from harness.report import changes
from harness.report.changesmarkdown import comparison_markdown
from harness.report.judged import how_made, p_value, verdict_line, verdict_lines, verdict_text
from harness.report.labelchanges import label_changes, stacked
from harness.report.promptdiff import prompt_markdown, prompt_report
from harness.report.terminal import rendered
from harness.significance import McNemar
from harness.store import StoredRun
from harness.versions import ComparedRuns, compare_runs

project = cli_project.project


def compared(*runs: StoredRun) -> ComparedRuns:
    """Return the comparison of stored runs."""
    return compare_runs(runs, find_project(runs[0].path))


def report(*runs: StoredRun, limit: int = 8, full: bool = False, **view: Any) -> str:
    """Return the comparison as it is printed where there is no terminal."""
    return shown([changes.comparison_report(compared(*runs), limit, View(**view), full)])


def shown(parts: Iterable[RenderableType]) -> str:
    """Return what is printed where there is no terminal; no line is too long or ends in spaces."""
    text = rendered(parts, io.StringIO())
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
        assert line == line.rstrip(), line
    return text


def flat(text: str) -> str:
    """Return a text as one line: where the terminal breaks it is not what is tested."""
    return " ".join(text.split())


def larger(project: Path, n: int = 200) -> None:
    """Write as many samples, of which every other one is about shipping and the others about the price."""
    write_samples(project, {f"s{at:03}": {"text": f"Text {at}.", "labels": [LABELS[at % 2]]} for at in range(n)})


LABELS = ("shipping", "price")


def answers(n: int, *, wrong: int = 0, failed: int = 0, also: int = 0) -> dict[str, str]:
    """Return answers to the `larger` samples, right but for the first samples about shipping.

    Args:
        n: Number of samples.
        wrong: So many are answered `none`.
        failed: So many of those after them are not answered.
        also: So many samples about the price are answered `quality` as well.
    """
    found = {f"s{at:03}": LABELS[at % 2] for at in range(n)}
    shipping, price = [f"s{at:03}" for at in range(0, n, 2)], [f"s{at:03}" for at in range(1, n, 2)]
    found |= dict.fromkeys(shipping[:wrong], "none") | dict.fromkeys(shipping[wrong : wrong + failed], "hm")
    return found | dict.fromkeys(price[:also], "quality, price")


def test_two_runs(project: Path, snapshot: SnapshotAssertion) -> None:
    """Two versions: headline, F1 by label with cells lost and won, and the samples that regressed and were fixed."""
    assert report(stored_run(project, "v1"), stored_run(project, "v2")) == snapshot


def test_three_runs(project: Path, snapshot: SnapshotAssertion) -> None:
    """Three versions: each later one against the first; a change of F1 by failures is told apart."""
    assert report(*(stored_run(project, version) for version in ("v1", "v2", "v3"))) == snapshot


def test_two_runs_of_one_version(project: Path, snapshot: SnapshotAssertion) -> None:
    """Runs of one version are told by their ids, which are whole."""
    text = report(stored_run(project, "v1", day=1), stored_run(project, "v1", ANSWERS["v2"], day=2))
    assert "v1-20260103-030405" in text
    assert "v1-20260104-030405" in text
    assert text == snapshot


def test_many_runs_have_no_changes_beside_their_scores(project: Path, snapshot: SnapshotAssertion) -> None:
    """From six runs on, F1 by label stands without changes, so that every number has its place."""
    runs = [stored_run(project, "v1", ANSWERS[f"v{1 + day % 3}"], day=day) for day in range(6)]
    found = compared(*runs)
    text = shown([label_changes(found, found.comparison)])
    assert "Δ" not in text
    assert text == snapshot


def test_runs_that_differ_beside_the_prompt(project: Path) -> None:
    """What differs beside the prompt, and what is left out, stands above the tables."""
    before = stored_run(project, "v1", {key: ANSWERS["v1"][key] for key in ("r01", "r02", "r03")})
    text = report(before, stored_run(project, "v2", repeats=2))
    assert "repeats: v1 1, v2 2" in text
    assert "left out, because not every run or today's gold has them: 7 of v2" in text
    assert "on reviews dev · 3 common samples" in text


def test_the_same_answers_change_nothing(project: Path) -> None:
    """Where nothing changed it says so, and lists no samples."""
    text = report(stored_run(project, "v1"), stored_run(project, "v2", ANSWERS["v1"]))
    assert "0 regressed  0 fixed  0 churned  no cell changed" in text
    assert "before = gold" not in text


def test_f1_that_rises_by_failures_alone_is_called_out(project: Path) -> None:
    """When F1 rises only because wrong answers became failures, the report says that answers did not get better."""
    before = stored_run(project, "v1", {**ANSWERS["v1"], "r04": "shipping, quality, price"})
    after = stored_run(project, "v2", {**ANSWERS["v1"], "r04": "hm"})
    assert "it rose because more went unanswered, not because answers got better" in " ".join(
        report(before, after).split()
    )


def test_nothing_that_both_answered_is_said_in_words(project: Path) -> None:
    """Where one run answered nothing, no change of F1 is split: it is told that all of it is failures."""
    text = report(stored_run(project, "v1"), stored_run(project, "v2", dict.fromkeys(ANSWERS["v2"], "what?")), limit=0)
    assert "no sample was answered by both: what changed is failures, not answers\n" in text
    assert "on the 0 samples" not in text


def test_an_answer_of_many_labels_is_shortened(project: Path) -> None:
    """In a list of changes a prediction has at most eight names, and the number of the others."""
    labels = "".join(f"  t{number}: ''\n" for number in range(10))
    write(project / "datasets/reviews.yaml", f"labels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    write_samples(project, {"r1": {"text": "Late.", "labels": ["t0"]}})
    every = ", ".join(f"t{number}" for number in range(10))
    text = report(stored_run(project, "v1", {"r1": "t0"}), stored_run(project, "v2", {"r1": every}))
    assert re.search(r"t0, t1, t2, t3, t4, t5, t6, t7  Late\.\n +and 2 more\n", text)
    other = report(stored_run(project, "v1", {"r1": "t1"}, day=3), stored_run(project, "v2", {"r1": every}, day=4))
    assert "t0, t1, t2, t3 and 6      Late." in other
    assert "Neither gold nor predicted" not in text  # v2 predicts them all


def test_many_labels_that_no_run_predicts_are_one_line(project: Path) -> None:
    """Labels without gold and without a prediction in any of the runs have no rows."""
    labels = "".join(f"  t{number}: ''\n" for number in range(6))
    write(project / "datasets/reviews.yaml", f"labels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    write_samples(project, {"r1": {"text": "Late.", "labels": ["t0"]}})
    text = report(stored_run(project, "v1", {"r1": "t0"}), stored_run(project, "v2", {"r1": "t0, t1"}))
    assert "Neither gold nor predicted: t2, t3, t4, t5\n" in text
    assert "\nt2 " not in text


@pytest.mark.parametrize(
    ("name", "header"),
    [("v1", "v1"), ("containers", "containers"), ("v1-20260103-030405", "v1-\n20260103-\n030405"),
     ("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnop\nqrstuvwxyz")],
)  # fmt: skip
def test_a_name_breaks_at_its_hyphens(name: str, header: str) -> None:
    """The name of a version stands whole over its column; only what is very long is broken within a word."""
    assert stacked(name) == header


def test_more_changes_than_the_limit_are_counted(project: Path) -> None:
    """Samples beyond the limit are counted, with what shows them; at limit 0 none is listed."""
    runs = stored_run(project, "v1"), stored_run(project, "v3")
    assert "and 3 more: see --limit" in report(*runs, limit=2)
    assert "r02" not in report(*runs, limit=0)


def test_ids_are_whole_and_texts_give_way(project: Path) -> None:
    """A sample's id is typed into other commands: it is never cut, the text beside it is."""
    identity = "https://example.org/feedback/2026/01/" + "0123456789abcdef" * 2
    write_samples(project, {identity: {"text": "late " * 60, "labels": ["shipping"]}})
    runs = stored_run(project, "v1", {identity: "none"}), stored_run(project, "v2", {identity: "shipping"})
    text = report(*runs)
    (row,) = (line for line in text.splitlines() if line.startswith("https://"))
    following = text.splitlines()[text.splitlines().index(row) + 1]
    assert (row.split()[0] + following.strip()).startswith(identity) or row.startswith(identity)
    assert "late late" in row
    assert row.endswith("…")


def test_a_sample_without_a_text_is_told_by_its_columns(project: Path) -> None:
    """Where no column is called `text`, the input columns together tell the sample."""
    sample = compared(stored_run(project, "v1"), stored_run(project, "v2")).runs[0].samples[0]
    other = type(sample)("x", {"title": "Late", "stars": 1}, sample.labels)
    assert changes.text_of(sample) == "Arrived three weeks late."
    assert changes.text_of(other) == "Late · 1"


def test_what_a_prediction_says(project: Path) -> None:
    """A prediction says its labels, `none`, why there is none, or both where a part is unanswered."""
    run = stored_run(project, "v1", {"r01": "none", "r02": "price, shipping", "r03": call_error()})
    space = run.manifest.space
    none, labels, failed = run.predictions
    assert changes.said(none, space) == "none"
    assert changes.said(labels, space) == "shipping, price"
    assert changes.said(failed, space) == "(call_error)"
    part = type(failed)("r03", frozenset({"price"}), frozenset({"quality"}), failed.failure)
    assert changes.said(part, space) == "price (call_error)"


def test_markdown_of_a_comparison(project: Path, snapshot: SnapshotAssertion) -> None:
    """The Markdown of a comparison has headline, labels, and every sample that regressed or was fixed."""
    runs = stored_run(project, "v1"), stored_run(project, "v2", repeats=2), stored_run(project, "v3")
    assert comparison_markdown(compared(*runs)) == snapshot


@pytest.mark.parametrize("text", ["a\nb", "x" * 500])
def test_a_note_is_one_line(text: str) -> None:
    """A note, which may quote params of a prompt, is one line."""
    assert "\n" not in changes.note(text).plain


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_a_pair_whose_differences_are_known(project: Path, snapshot: SnapshotAssertion) -> None:
    """Of 200 samples 30 of 100 about shipping are missed, then none: F1 of shipping is 140/170, macro rises by 3/34."""
    larger(project)
    before, after = stored_run(project, "v1", answers(200, wrong=30)), stored_run(project, "v2", answers(200))
    found = compared(before, after)
    assert found.judgement.diffs[0].labels[0].delta == pytest.approx(30 / 170)
    assert found.judgement.diffs[0].averages["macro_f1"].delta == pytest.approx(15 / 170)
    assert found.judgement.diffs[0].mcnemar == McNemar(0, 30, 0.5**29)
    assert verdict_text(found, 0).startswith("v2 is better than v1: macro F1 +0.088 (95 % +0.")
    assert report(before, after, limit=2) == snapshot


def test_the_reverse_is_worse(project: Path) -> None:
    """The same pair the other way round is worse, with the signs turned."""
    larger(project)
    found = compared(stored_run(project, "v1", answers(200)), stored_run(project, "v2", answers(200, wrong=30)))
    assert verdict_text(found, 0).startswith("v2 is worse than v1: macro F1 −0.088 (95 % −0.")
    assert verdict_line(found, 0).style == "bold red"


def test_a_small_difference_of_many_samples_is_no_worse(project: Path) -> None:
    """Where a loss of the margin is ruled out, the later version is no worse."""
    larger(project)
    found = compared(stored_run(project, "v1", answers(200, also=1)), stored_run(project, "v2", answers(200, also=2)))
    assert re.fullmatch(
        r"v2 is no worse than v1: macro F1 0\.000 \(95 % 0\.000 to 0\.000, p 1\.000\): a drop of 0\.02 is ruled out",
        verdict_text(found, 0),
    )


def test_few_samples_cannot_tell(project: Path) -> None:
    """A difference that may be chance is inconclusive, and it is said what these samples could have shown."""
    found = compared(stored_run(project, "v1"), stored_run(project, "v2"))
    told = verdict_text(found, 0)
    assert told.startswith("v2 against v1: inconclusive: macro F1 +0.")
    assert re.search(r": 10 samples could show a change of 0\.\d{3}$", told)


def test_better_by_failures_is_withheld(project: Path) -> None:
    """Macro F1 that rises because wrong answers became failures is not called better."""
    larger(project)
    first = answers(200) | {f"s{at:03}": "shipping, price" for at in range(0, 120, 2)}
    second = first | {f"s{at:03}": "hm" for at in range(1, 120, 2)} | {f"s{at:03}": "hm" for at in range(0, 120, 2)}
    third = answers(200) | {f"s{at:03}": "hm" for at in range(0, 100, 2)}
    wrong = answers(200) | {f"s{at:03}": "price" for at in range(0, 100, 2)}
    found = compared(
        stored_run(project, "v1", wrong), stored_run(project, "v2", third), stored_run(project, "v3", second)
    )
    assert found.judgement.diffs[0].averages["macro_f1"].withheld
    assert verdict_text(found, 0).startswith("v2 against v1: better withheld: macro F1 +0.")
    assert ": what rose comes from failures, not from answers" in verdict_text(found, 0)
    text = report(found.runs[0], found.runs[1])
    assert "withheld: F1 rose, but by failures and not by better answers" in text


def test_another_score_can_be_sure(project: Path) -> None:
    """Where macro F1 is not better and subset accuracy is, the line says so too."""
    larger(project)
    found = compared(stored_run(project, "v1", answers(200, also=30)), stored_run(project, "v2", answers(200)))
    assert verdict_text(found, 0).endswith("; micro F1 is better (+0.070); subset accuracy is better (+0.150)")


def test_the_same_answers_are_the_verdict(project: Path) -> None:
    """Two runs that answer the same are not judged; it is said that they do."""
    found = compared(stored_run(project, "v1"), stored_run(project, "v2", ANSWERS["v1"]))
    assert verdict_text(found, 0) == "v2 answers exactly as v1 does: 10 samples, no cell changed"
    assert verdict_line(found, 0).style == "bold"


def test_without_gold_labels_nothing_is_said(project: Path) -> None:
    """Where no label has gold there is no macro F1, and no verdict of it."""
    write_samples(project, {"r1": {"text": "Late.", "labels": []}})
    found = compared(stored_run(project, "v1", {"r1": "none"}), stored_run(project, "v2", {"r1": "price"}))
    told = "v2 against v1: nothing can be said of macro F1, because no label has gold here"
    assert verdict_text(found, 0) == told
    assert told in flat(report(*found.runs))


@pytest.mark.parametrize(
    ("p", "told"), [(0.0004, "<0.001"), (0.001, "0.001"), (0.5, "0.500"), (1.0, "1.000"), (float("nan"), "–")]
)
def test_p_values(p: float, told: str) -> None:
    """A p-value is never zero."""
    assert p_value(p) == told


def test_how_it_was_made(project: Path) -> None:
    """Resamples, exchanges, seed and margin stand in one line."""
    runs = [stored_run(project, version) for version in ("v1", "v2")]
    settings = replace(compared(*runs).settings, seed=7, margin=0.1)
    made = how_made(compare_runs(runs, find_project(project), settings))
    assert made == "1,000 resamples, exact tests, seed 7; no worse: less than 0.1 is lost"
    larger(project)
    many = compared(stored_run(project, "v1", answers(200, wrong=30)), stored_run(project, "v2", answers(200)))
    assert how_made(many) == ("1,000 resamples, 10,000 exchanges of averages, seed 0; no worse: less than 0.02 is lost")


# --- several versions -------------------------------------------------------------------------------------------------


def test_the_best_of_three_is_marked_where_it_is(project: Path, snapshot: SnapshotAssertion) -> None:
    """A mark says which version is really better than every other, arrows what is better or worse than the first."""
    larger(project)
    runs = (
        stored_run(project, "v1", answers(200, wrong=30)),
        stored_run(project, "v2", answers(200, wrong=60)),
        stored_run(project, "v3", answers(200)),
    )
    found = compared(*runs)
    text = shown([label_changes(found, found.comparison)])
    assert found.judgement.best["macro_f1"] == "v3"
    assert re.search(r"shipping +100 +0\.824 +0\.571 +−0\.252↓ +1\.000 \* +\+0\.176↑", text)
    assert text == snapshot


def test_no_mark_says_that_none_is_best(project: Path) -> None:
    """Where no version is really the best, none is marked, and that is said."""
    text = report(*(stored_run(project, version) for version in ("v1", "v2", "v3")))
    assert "no *: no version is really better than every other" in text


def test_more_versions_than_fit_go_on_below(project: Path) -> None:
    """Of many runs the matrix has several tables, each with the baseline; every run is there."""
    runs = [stored_run(project, f"v{1 + day % 3}", day=day) for day in range(12)]
    found = compared(*runs)
    text = shown([label_changes(found, found.comparison)])
    assert text.count("macro F1") == 2
    header = "".join(line for line in text.splitlines() if "shipping" not in line)
    assert all(name.split("-")[1] in header for name in found.names)


def many_labels(project: Path, n: int = 40) -> None:
    """Write a dataset of as many labels, each with 25 samples of its own."""
    labels = "".join(f"  t{number}: ''\n" for number in range(n))
    write(project / "datasets/reviews.yaml", f"labels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    samples = {f"s{at}": {"text": f"Text {at}.", "labels": [f"t{at % n}"]} for at in range(25 * n)}
    write_samples(project, samples)


def test_of_many_labels_those_that_changed_come_first(project: Path) -> None:
    """Of more labels than fit the really changed and the largest changes are shown, the others counted; --full has all."""
    many_labels(project)
    right = {f"s{at}": f"t{at % 40}" for at in range(25 * 40)}
    wrong = right | {f"s{at}": "none" for at in range(25 * 40) if at % 40 == 37}
    runs = stored_run(project, "v1", right), stored_run(project, "v2", wrong)
    found = compared(*runs)
    text = shown([label_changes(found, found.comparison)])
    rows = [line.split()[0] for line in text.splitlines() if re.match(r"t\d+ ", line)]
    assert (rows[0], len(rows)) == ("t37", 20)
    assert "and 20 more labels (20 inconclusive): see --full" in text
    whole = shown([label_changes(found, found.comparison, full=True)])
    assert len(re.findall(r"^t\d+ ", whole, re.MULTILINE)) == 40
    third = stored_run(project, "v3", right, day=9)
    several = compared(*runs, third)
    assert "and 20 more labels (40 inconclusive)" in shown([label_changes(several, several.comparison)])


# --- what changed -----------------------------------------------------------------------------------------------------


def test_failures_have_columns_of_their_own(project: Path) -> None:
    """Cells that went unanswered or came to be answered are counted by label beside the other flips."""
    text = report(stored_run(project, "v1"), stored_run(project, "v3"), limit=0)
    assert "fail. fail." in text
    assert "worst 0." in text
    assert "worst: with all unanswered cells wrong" in text
    assert "fail." not in report(stored_run(project, "v1"), stored_run(project, "v2"), limit=0)


def test_errors_that_moved(project: Path) -> None:
    """Confusions that became more or less frequent are told, at most five of each, the largest first."""
    larger(project)
    first = answers(200) | dict.fromkeys(("s000", "s002", "s004"), "price")
    second = answers(200) | dict.fromkeys(("s001", "s003"), "quality")
    text = report(stored_run(project, "v1", first), stored_run(project, "v2", second), limit=0)
    assert re.search(r"errors moved: missed +predicted +before +now +Δ\n─+\nprice +quality +0 +2 +\+2\n", text)
    assert re.search(r"\nshipping +price +3 +0 +−3\n", text)
    third = {
        f"s{at:03}": ("none", "quality", "gift wrap", "quality, gift wrap", "shipping, quality")[at % 5]
        for at in range(200)
    }
    assert re.search(r"and \d+ more became more frequent: in -o FILE.json", report(
        stored_run(project, "v1", answers(200)), stored_run(project, "v2", third), limit=0))  # fmt: skip


def test_a_label_alone(project: Path, snapshot: SnapshotAssertion) -> None:
    """With a label there is its row, its split, and the samples in which its cell changed, in full when they are few."""
    assert report(stored_run(project, "v1"), stored_run(project, "v3"), label="price") == snapshot


def test_a_label_of_many_samples_has_a_table_with_its_cell(project: Path) -> None:
    """More samples than a few are listed with how the label's cell changed."""
    larger(project)
    runs = stored_run(project, "v1", answers(200)), stored_run(project, "v2", answers(200, wrong=30))
    text = report(*runs, label="shipping", only="regressed")
    assert re.search(r"^s000 +shipping +none +TP→FN +Text 0\.$", text, re.MULTILINE)
    assert "label shipping, only regressed" in text


def test_samples_in_full(project: Path, snapshot: SnapshotAssertion) -> None:
    """In full a sample has text, gold, both answers, its flips and both raw outputs."""
    runs = stored_run(project, "v1"), stored_run(project, "v3")
    text = report(*runs, full=True, limit=1, only="regressed")
    assert text[text.index("\nr07") :] == snapshot


def test_the_same_raw_outputs_are_shown_once(project: Path) -> None:
    """Where another reading of the same text made the change, the text stands there once."""
    before = stored_run(project, "v1")
    text = PROMPT.format(version="v1", parent="v1").replace("output: list", "output: {format: list, separator: ';'}")
    write(project / "prompts/v2.yaml", text)
    after = stored_run(project, "v2", {**ANSWERS["v1"]})
    text = report(before, after, full=True)
    assert "\n  both raw: shiping, price\n" in text
    assert "only the output format differs from v1 to v2: the words of the prompt are the same" in text


def test_a_raw_output_can_be_missing_empty_or_long(project: Path) -> None:
    """That nothing came back, an empty text, and the end of a long one are said."""
    before = stored_run(project, "v1", {"r01": "shipping", "r02": "quality", "r03": call_error()}, state="complete")
    after = stored_run(project, "v2", {"r01": "x" * 5_000, "r02": "", "r03": "shipping"})
    text = report(before, after, full=True)
    assert "v1 raw: (nothing came back)" in text
    assert "v2 raw: (empty)" in text
    assert re.search(r"x…\n", text)


def test_raw_outputs_of_several_passes_are_told_apart(project: Path) -> None:
    """Where a prompt has several passes, each raw output is named by its own."""
    two = "passes:\n  - {name: first, template: '1 {{ text }}'}\n  - {name: second, template: '2 {{ text }}'}\n"
    head = PROMPT.format(version="v2", parent="v1").split("template")[0]
    write(project / "prompts/v2.yaml", head + two + "output: list\n")
    text = report(stored_run(project, "v1"), stored_run(project, "v2", ANSWERS["v2"]), full=True)
    assert "v2 raw, first: price" in text
    assert "v2 raw, second: price" in text
    assert "pass second: user message" in text


# --- unstable ---------------------------------------------------------------------------------------------------------


def test_unstable_samples_are_marked(project: Path) -> None:
    """A sample in which nothing changed but what changes by itself is counted apart and marked."""
    draws = iter(range(1_000))

    def drawn(call: Any) -> str:
        at = next(draws)
        return ANSWERS["v2"][call.sample] if call.sample != "r04" or at < 10 else "none"

    runs = stored_run(project, "v1"), stored_run(project, "v2", drawn, repeats=2)
    text = report(*runs)
    assert "2 regressed (1 of them unstable)" in text
    assert re.search(r"^r04 +none +price +unstable · Lovely", text, re.MULTILINE)
    assert "price (unstable)" in report(*runs, full=True)
    assert "r04  regressed · unstable: nothing changed but what changes by itself" in report(*runs, full=True)
    assert "--repeat 3" not in text
    assert "TN→FP price (unstable)" in comparison_markdown(compared(*runs))
    only = report(*runs, only="unstable")
    assert "2 regressed (1 of them unstable)" in only


def test_without_repeats_it_is_said_what_they_would_tell(project: Path) -> None:
    """Where answers are drawn, nothing was repeated and samples changed, one line tells how to find the unstable ones."""
    runs = stored_run(project, "v1"), stored_run(project, "v2")
    hint = "Which of these change by themselves? harness run prompts/v2.yaml --repeat 3 tells."
    assert hint in report(*runs)
    assert "--repeat" not in report(runs[0], stored_run(project, "v3", ANSWERS["v1"]))
    prompt = project / "prompts/v2.yaml"
    write(prompt, prompt.read_text().replace("model: scripted", "model: {name: scripted, params: {seed: 1}}"))
    assert "--repeat" not in report(runs[0], stored_run(project, "v2", day=9))  # a seed makes answers alike


# --- the prompt -------------------------------------------------------------------------------------------------------


def test_the_prompts_are_compared(project: Path) -> None:
    """What changed in the words stands in the report, removed and added words marked without colour."""
    text = report(stored_run(project, "v1"), stored_run(project, "v2"), limit=0)
    assert 'user message\n    ~ [[-v1-]{+v2+}] Labels: {{ labels | join(", ") }}.\n' in text


def test_prompts_that_ask_the_same(project: Path) -> None:
    """Two runs of one prompt have no prompt diff, and that is said."""
    runs = stored_run(project, "v1", day=1), stored_run(project, "v1", ANSWERS["v2"], day=2)
    assert "prompt: both versions ask the same\n" in report(*runs)
    assert "```" not in comparison_markdown(compared(*runs))


def test_a_long_prompt_diff_is_cut(project: Path) -> None:
    """Without --full twelve changed lines are shown, with one line around each, and the rest is counted."""
    text = PROMPT.format(version="v1", parent="null")
    lines = "".join(f"  line {at}\n" for at in range(30))
    before, after = text.replace("\n  {{", f"\n{lines}  {{{{", 1), text
    write(project / "prompts/v1.yaml", before)
    write(project / "prompts/v2.yaml", after.replace("output: list", "output: vector"))
    runs = stored_run(project, "v1"), stored_run(project, "v2", {"r01": "1,0,0,0"})
    diff = prompt_diff(runs[0].manifest.prompt, runs[1].manifest.prompt)
    cut, whole = shown(prompt_report(diff, False)), shown(prompt_report(diff, True))
    assert len(re.findall(r"^ +[-+~] ", cut, re.MULTILINE)) == 12
    assert "and 19 more changed lines: see --full" in cut
    assert len(re.findall(r"^ +[-+~] ", whole, re.MULTILINE)) == diff.n_changed == 31
    assert whole.endswith("  output\n    ~ format: [-list-]{+vector+}\n")


def test_lines_far_from_a_change_are_left_out(project: Path) -> None:
    """Between two changes stand only the lines next to them."""
    lines = [f"line {at}" for at in range(9)]
    before = "\n".join(["old start", *lines, "old end"])
    after = "\n".join(["new start", *lines, "new end"])
    prompt = stored_run(project, "v1").manifest.prompt
    one, two = (replace(prompt, files={"a.txt": text}) for text in (before, after))
    diff = prompt_diff(one, two)
    assert shown(prompt_report(diff, False)).splitlines()[2:] == [
        "    ~ [-old-]{+new+} start", "      line 0", "    ⋯", "      line 8", "    ~ [-old-]{+new+} end",
    ]  # fmt: skip
    assert prompt_markdown(diff) == (
        "```diff\n@@ file a.txt @@\n-old start\n+new start\n line 0\n ⋯\n line 8\n-old end\n+new end\n```\n"
    )


def test_a_prompt_cannot_end_its_block(project: Path) -> None:
    """A fence in a prompt does not end the fence around the diff; control characters are visible."""
    prompt = stored_run(project, "v1").manifest.prompt
    diff = prompt_diff(prompt, replace(prompt, files={"a.txt": "```\x1b[31m\n"}))
    text = prompt_markdown(diff)
    assert text.startswith("``````diff\n")
    assert text.endswith("\n``````\n")
    assert "\x1b" not in text
    assert "\x1b" not in shown(prompt_report(diff, True))


# --- the report of a run ----------------------------------------------------------------------------------------------


def test_the_diff_in_the_report_of_a_run(project: Path, snapshot: SnapshotAssertion) -> None:
    """A run's own report has the verdict, the counts and a few samples, and no prompt diff."""
    found = compared(stored_run(project, "v1"), stored_run(project, "v2"))
    diff, space = found.comparison.diffs[0], found.comparison.space
    parts = changes.diff_report(diff, space, found.samples, 1, "more", verdict_lines(found, 0))
    assert shown(parts) == snapshot
    assert "inconclusive" not in shown(changes.diff_report(diff, space, found.samples, 1, "more"))


def test_markdown_says_the_verdict_first(project: Path) -> None:
    """In Markdown the verdict comes first, then what regressed; one label alone has no averages."""
    runs = stored_run(project, "v1"), stored_run(project, "v2")
    text = comparison_markdown(compared(*runs))
    order = [
        "**v2 against v1: inconclusive",
        "2 regressed",
        "| run | macro F1",
        "### v1 → v2: labels",
        "fixed\n",
        "the prompt",
    ]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert "| macro F1 |  |" not in comparison_markdown(compared(*runs), View(label="price"))


def test_markdown_of_many_confusions_is_cut(project: Path) -> None:
    """Markdown tells the confusions that moved the most, and how many more there are."""
    labels = "".join(f"  t{number}: ''\n" for number in range(30))
    write(project / "datasets/reviews.yaml", f"labels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    write_samples(project, {f"s{at}": {"text": f"Text {at}.", "labels": [f"t{at}"]} for at in range(30)})
    right = {f"s{at}": f"t{at}" for at in range(30)}
    wrong = {f"s{at}": f"t{(at + 1) % 30}" for at in range(30)}
    text = comparison_markdown(compared(stored_run(project, "v1", right), stored_run(project, "v2", wrong)))
    assert "\nand 10 that moved less\n" in text


# --- nothing changed, and fields --------------------------------------------------------------------------------------


def test_a_label_that_nothing_happened_to_has_no_change(project: Path) -> None:
    """Where nothing differs in any resample it says "no change", and why that is not "no worse"; JSON has the verdict."""
    larger(project)
    v1 = stored_run(project, "v1", answers(200, wrong=60))
    v2 = stored_run(project, "v2", answers(200, wrong=10))
    found = compared(v1, v2)
    text = report(v1, v2)
    assert re.search(r"^price +100 1\.000 1\.000 +0\.000 +0\.000 +0\.000 +1\.000 no change", text, flags=re.MULTILINE)
    assert "no change: nothing differs, but fewer than 150 cells or samples cannot rule out a loss of 0.02" in flat(
        text
    )
    at = found.comparison.space.index["price"]
    assert found.judgement.diffs[0].labels[at].verdict == "inconclusive"


def test_fields_stand_beside_each_other(tmp_path: Path) -> None:
    """Accuracy of every field in both runs, a dash in one that was not asked, where all labels are looked at."""
    root = report_runs.write_project(tmp_path / "project")
    before, after = report_runs.stored(root, "v2"), report_runs.stored(root, "v3")
    text = report(before, after)
    found = re.findall(r"^(mood|item) +(\d+) +(\S+) +(\S+) +(\S+)$", text, flags=re.MULTILINE)
    asked = {row["field"]: row for row in after.scores["fields"]}
    assert found == [(name, str(row["support"]), "–", f"{row['accuracy']:.3f}", "–") for name, row in asked.items()]
    assert [name for name, *_ in found] == ["mood", "item"]
    assert "accuracy of fields, unanswered ones wrong; no verdict is given of them" in text
    assert "accuracy of fields" not in report(before, after, label=report_runs.LABELS[0])
