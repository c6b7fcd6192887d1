"""A run's report as a person reads it, at 100 columns."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import call_error, ok, stored_run, write, write_samples
from rich.cells import cell_len
from rich.text import Text
from syrupy.assertion import SnapshotAssertion

from harness.api import Run
from harness.execution import run_spent
from harness.labelspace import Label, LabelSpace
from harness.project import find_project
from harness.records import Completion
from harness.report import terminal
from harness.report.terminal import near_misses
from harness.store import StoredRun
from harness.versions import compare_runs

project = cli_project.project


def report(run: StoredRun, before: StoredRun | None = None) -> str:
    """Return the report of a run as it is printed where there is no terminal."""
    where = find_project(run.path)
    compared = compare_runs([before, run], where) if before is not None else None
    diff, n_common = (compared.comparison.diffs[0], compared.comparison.n_common) if compared else (None, None)
    spent = run_spent(run, where.settings.prices)
    text = terminal.rendered(
        [terminal.run_report(run.manifest, Run(run, where).result, spent, diff, n_common)], io.StringIO()
    )
    assert_fits(text)
    return text


def assert_fits(text: str, *, cut: bool = False) -> None:
    """Check what holds for everything that is printed: 100 columns, no spaces at ends of lines, nothing cut."""
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
        assert line == line.rstrip(), line
        assert cut or "…" not in line, line


def test_a_run_without_a_baseline(project: Path, snapshot: SnapshotAssertion) -> None:
    """Scores, the label without gold apart, an off-list answer with the alias that may be missing, and the cost."""
    assert report(stored_run(project, "v1")) == snapshot


def test_a_run_with_a_baseline_and_failures(project: Path, snapshot: SnapshotAssertion) -> None:
    """Below full coverage the scores of the answered samples and the worst case stand beside the headline."""
    assert report(stored_run(project, "v3"), stored_run(project, "v2")) == snapshot


def test_a_baseline_that_is_named_by_its_id(project: Path, snapshot: SnapshotAssertion) -> None:
    """A baseline of the same version is told by its id, and nothing is cut for it."""
    before = stored_run(project, "v2", cli_project.ANSWERS["v1"], day=40)
    assert report(stored_run(project, "v2", day=41), before) == snapshot


def test_a_run_with_repeats(project: Path, snapshot: SnapshotAssertion) -> None:
    """With repeats the scores are means, and failures and off-list answers are counted over all answers."""

    def answer(call: object) -> str:
        sample, repeat = call.sample, call.repeat  # type: ignore[attr-defined]
        return "what?" if (sample, repeat) == ("r07", 1) else cli_project.ANSWERS[f"v{1 + repeat}"][sample]

    assert report(stored_run(project, "v3", answer, repeats=3)) == snapshot


def test_a_run_that_is_incomplete(project: Path, snapshot: SnapshotAssertion) -> None:
    """Call errors, refusals and truncated answers are counted by kind; the state stands in the title."""
    answers: dict[str, str | Completion] = {
        **cli_project.ANSWERS["v1"],
        "r01": call_error(),
        "r02": call_error(),
        "r03": ok("", finish_reason="content_filter"),
        "r04": ok("shipping, qua", finish_reason="length"),
    }
    assert report(stored_run(project, "v1", answers, redrawn=("refusal",))) == snapshot


def test_a_run_with_fields(project: Path, snapshot: SnapshotAssertion) -> None:
    """Fields have a table of their own; only a text has exact, normalized and token F1, only a choice has macro F1."""
    fields = "fields:\n  mood: {type: choice, values: [happy, mad]}\n  item: {type: text}\nsplits:"
    write(project / "datasets/reviews.yaml", cli_project.DATASET.replace("splits:", fields))
    rows: dict[str, tuple[str, list[str], str, Any]] = {
        "r1": ("Never came.", ["shipping"], "mad", ["The lamp", "table lamp"]),
        "r2": ("Lovely.", [], "happy", None),
        "r3": ("Sad.", [], "mad", "a red chair"),
    }
    write_samples(project, {i: {"text": t, "labels": g, "mood": m, "item": x} for i, (t, g, m, x) in rows.items()})
    write(
        project / "prompts/v1.yaml",
        "dataset: ../datasets/reviews.yaml\nmodel: scripted\ntemplate: '{{ text }}'\n"
        "output: {format: json, fields: [mood, item]}\n",
    )
    answers = {
        "r1": '{"labels": ["shipping"], "mood": "mad", "item": "lamp"}',
        "r2": '{"labels": [], "mood": "mad", "item": null}',
        "r3": '{"labels": [], "mood": "mad", "item": "chair"}',
    }
    assert report(stored_run(project, "v1", answers)) == snapshot


def test_labels_of_any_length_are_whole(project: Path, snapshot: SnapshotAssertion) -> None:
    """A long label goes on in the next line; no number is cut for it."""
    long = "the courier left it with a neighbour who has since moved away and cannot be reached by anyone"
    write(project / "datasets/reviews.yaml", cli_project.DATASET.replace("  price: It", f"  {long}: It"))
    write_samples(project, {"r1": {"text": "Gone.", "labels": [long]}, "r2": {"text": "Late.", "labels": ["shipping"]}})
    text = report(stored_run(project, "v1", {"r1": f"{long}, shipping", "r2": "shipping"}))
    assert text == snapshot


def test_many_labels_without_gold_and_predictions_are_one_line(project: Path) -> None:
    """A few samples of many labels: what is neither gold nor predicted is named in a line, what is predicted has a row."""
    labels = "".join(f"  theme{number}: ''\n" for number in range(6))
    write(project / "datasets/reviews.yaml", f"labels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    write_samples(project, {"r1": {"text": "Late.", "labels": ["theme0"]}})
    text = report(stored_run(project, "v1", {"r1": "theme0, theme5"}))
    assert re.search(r"^theme5 +0 +1 +0.000 +– +0.000$", text, re.MULTILINE)
    assert "\ntheme1 " not in text
    assert (
        "Neither gold nor predicted: theme1, theme2, theme3, theme4\n"
        "Labels without gold are in no macro average; every prediction of one is wrong.\n"
    ) in text


def test_truncated_answers_tell_what_cut_them(project: Path) -> None:
    """Where answers were cut, the limit of the prompt is told: it is what a person can change."""
    cut = {"r01": ok("shipping, qua", finish_reason="length")}
    assert "ends an answer" not in report(stored_run(project, "v1", cut))
    prompt = project / "prompts/v1.yaml"
    model = "model: {name: scripted, params: {max_tokens: 4}}"
    write(prompt, prompt.read_text(encoding="utf-8").replace("model: scripted", model))
    told = report(stored_run(project, "v1", cut, day=9))
    assert "1 truncated\n  truncated: max_tokens 4 ends an answer. It needs more, or the model runs on\n" in told


def test_many_off_list_answers_are_counted_not_listed(project: Path) -> None:
    """Of many off-list answers the five most frequent are shown, and at most three near misses are offered."""
    near = ["shippin", "qualty", "prices", "shippings", "qualitty", "prize", "shiping"]
    answers = {f"r{at:02d}": f"{word}, price" for at, word in enumerate(near, 1)}
    text = report(stored_run(project, "v1", answers))
    assert "Off-list labels in 7 samples: 'prices' 1" in text
    assert text.count("make it an alias of") == 3


def test_answers_that_were_mended_are_counted(project: Path) -> None:
    """How many answers were broken and mended stands in the report."""
    write(
        project / "prompts/v1.yaml",
        "dataset: ../datasets/reviews.yaml\nmodel: scripted\ntemplate: '{{ text }}'\noutput: json\n",
    )
    text = report(stored_run(project, "v1", {"r01": "{'labels': ['shipping'],}", "r02": '{"labels": ["quality"]}'}))
    assert "· 1 answer mended" in text


def test_no_calls_are_told_as_such(project: Path) -> None:
    """A run whose completions all were in the cache says that no call was made."""
    cached = {key: ok(raw) for key, raw in cli_project.ANSWERS["v1"].items()}
    for key, each in cached.items():
        cached[key] = type(each)(**{**{n: getattr(each, n) for n in each.__slots__}, "cached": True})
    assert "no call made: every completion was there · 0 tokens · cost $0" in report(stored_run(project, "v1", cached))


def test_no_answer_is_not_told_as_no_call(project: Path) -> None:
    """A run whose calls all failed says that none was answered, not that none was made."""
    lost = dict.fromkeys(cli_project.ANSWERS["v1"], call_error())
    assert "no call was answered · 0 tokens" in report(stored_run(project, "v1", lost))


def test_a_denial_is_never_offered_as_an_alias() -> None:
    """An off-list answer that denies a label would, as its alias, turn every denial into an answer."""
    space = LabelSpace((Label("refund"), Label("price")))
    assert near_misses(space, ["no refund", "refunds", "not price", "pricing"]) == [("refund", "refunds")]
    assert near_misses(space, ["Price", "prices"]) == [("price", "prices")]  # "price" is a label: of another group, say


def test_versions_in_a_row_are_one_line_each(project: Path, snapshot: SnapshotAssertion) -> None:
    """When several prompts run, each has one line, aligned, within 100 columns."""
    lines = []
    for version in ("v1", "v3"):
        run = stored_run(project, version, seconds=3_725.0)
        lines.append(terminal.headline_line(run.manifest, Run(run, find_project(project)).result, width=10))
    text = terminal.rendered(lines, io.StringIO())
    assert_fits(text)
    assert len(text.splitlines()) == 2
    assert text == snapshot


def test_commands_stay_on_one_line() -> None:
    """A command to type next is never wrapped or cut, however long it is."""
    command = "harness failures " + "x" * 150
    assert terminal.rendered([terminal.next_steps([command])], io.StringIO()) == f"\nNext:\n  {command}\n"


@pytest.mark.parametrize(
    ("value", "shown"), [(1.0, "█" * 16), (0.0, ""), (0.5, "█" * 8), (0.5 + 1 / 128, "█" * 8 + "▏"), (math.nan, "")]
)
def test_a_bar_is_as_long_as_the_score(value: float, shown: str) -> None:
    """The bar is sixteen characters at 1, in eighths, and empty for what is not defined."""
    assert terminal.bar(value).plain == shown


@pytest.mark.parametrize(
    ("value", "good_is_up", "style"),
    [(0.1, True, "green"), (0.1, False, "red"), (-0.1, True, "red"), (0.0, True, "dim")],
)
def test_a_change_has_the_colour_of_what_it_means(value: float, good_is_up: bool, style: str) -> None:
    """A change is green when it is good, red when it is bad, and quiet when it is none."""
    assert terminal.change(value, good_is_up=good_is_up).style == style


def test_nothing_that_moves_a_cursor_passes_the_last_gate() -> None:
    """Whatever a report forgot to escape is escaped before it is written."""
    made = terminal.table("a\nb", "c")
    made.add_row(Text("x\x1b[2Jy"), Text("\u202ez\ud800"))
    text = terminal.rendered([made, "plain \x9b", Text("[bold]no markup[/bold] :smile:")], io.StringIO())
    assert "\\x1b[2Jy" in text
    assert "\\u202ez\\ud800" in text
    assert "plain \\x9b" in text
    assert "[bold]no markup[/bold] :smile:" in text
    assert not set(text) & set("\x1b\x9b\u202e\ud800")


def test_the_width_is_100_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report in a pipe is 100 columns wide, and COLUMNS goes before that."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.console(io.StringIO()).width == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal.console(io.StringIO()).width == 72
