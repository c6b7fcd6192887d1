"""The page of a report as it is written, and the other files: nothing outside becomes markup, and everything is there."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cli_project
import pytest
import report_runs
from cli_project import ANSWERS, ok, stored_run, write
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from harness import api
from harness.errors import DataError
from harness.records import Call, Completion
from harness.report import html, samples
from harness.report.html import page_data, to_html
from harness.report.markup import h
from harness.report.parquet import to_parquet
from harness.report.reports import FORMATS, to_markdown, write_report
from harness.report.samples import NOTHING, Numbered, SampleTable, Texts, sample_table
from harness.report.text import visible
from harness.reportdata import Report
from harness.rescoring import calls_of

project = cli_project.project


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """Reports of runs that try everything: alone, against a baseline, of two passes, of repeats."""
    root = report_runs.write_project(tmp_path_factory.mktemp("reports") / "project")
    return {
        "alone": report_runs.report(root, "v1"),
        "compared": report_runs.report(root, "v2", "v1"),
        "passes": report_runs.report(root, "v3", "v2"),
        "repeats": report_runs.report(root, "v2", "v1", repeats=3),
    }


class Page(HTMLParser):
    """What a browser would find in a page: elements with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "br", "hr"):
            self.open.append(tag)
        if tag in ("script", "style"):
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        """Check that the element that ends is the last that began."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text, that of scripts apart."""
        if self.open and self.open[-1] in ("script", "style"):
            self.scripts[-1] += data
        else:
            self.text.append(data)


# --- nothing outside becomes markup -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alone", "compared", "passes", "repeats"])
def test_the_page_is_whole_and_has_no_elements_from_outside(reports: dict[str, Report], name: str) -> None:
    """Every element is closed where it belongs, there is one style and two scripts, and no handler, image or frame."""
    page = Page(to_html(reports[name]))
    assert page.open == []
    names = [tag for tag, _ in page.elements]
    assert (names.count("script"), names.count("style")) == (2, 1)
    assert not {"img", "iframe", "link", "object", "b", "base"} & set(names)
    for tag, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], tag
        for key in ("src", "href", "action"):
            assert (attributes.get(key) or "#").startswith("#"), (tag, attributes)


def test_the_policy_allows_only_what_is_in_the_page(reports: dict[str, Report]) -> None:
    """The policy loads nothing, and names the style and the script by their hashes."""
    page = Page(to_html(reports["alone"]))
    policy = next(given["content"] for tag, given in page.elements if "http-equiv" in given)
    style, data, script = page.scripts
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (style, script)]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert json.loads(data)["labels"] == list(report_runs.LABELS)


def test_data_cannot_end_its_script(reports: dict[str, Report]) -> None:
    """In the data stands no angle bracket, no separator of lines and no lone surrogate, and it reads back as it was."""
    data = Page(to_html(reports["compared"])).scripts[1]
    assert not re.search("[<>&\u2028\u2029\x00\x1b\u202e\ud800-\udfff]", data)
    assert json.loads(data) == json.loads(json.dumps(page_data(reports["compared"])))


def test_what_moves_a_cursor_or_turns_a_line_is_visible(reports: dict[str, Report]) -> None:
    """Escapes, null bytes and marks of direction are shown as such."""
    text = page_data(reports["alone"])["samples"]["inputs"][0][4]
    assert text == visible(report_runs.NASTY["s004"])
    assert "\\x1b[31mred" in text
    assert "\\u202egnorw" in text


def test_a_report_is_the_same_bytes_every_time(reports: dict[str, Report]) -> None:
    """The page holds no time and no random number."""
    assert to_html(reports["compared"]) == to_html(reports["compared"])


@given(st.text(), st.text())
def test_elements_hold_text_alone(text: str, value: str) -> None:
    """Whatever is put into an element or an attribute is read back as text, with nothing invisible in it."""
    page = Page(str(h("p", text, h("bdi", text), None, [text], title=value, hidden=True, lang=False)))
    assert page.elements == [("p", {"title": visible(value), "hidden": ""}), ("bdi", {})]
    assert "".join(page.text) == visible(text) * 3


# --- the samples ------------------------------------------------------------------------------------------------------


def text_of(table: SampleTable, number: int, at: int) -> str:
    """Return a text put together again."""
    parts = []
    for item in table.texts[number]:
        if isinstance(item, tuple):
            parts += table.pieces[item[0] : item[1] + 1]
        else:
            parts.append(table.inputs[-1 - item][at] or "" if item < 0 else table.pieces[item])
    return "".join(parts)


@pytest.mark.parametrize("name", ["alone", "compared", "passes", "repeats"])
def test_every_call_can_be_read_again(reports: dict[str, Report], name: str) -> None:
    """Put together from its pieces, each sample has what was sent and what came back, call by call, as it was."""
    report = reports[name]
    table = sample_table(report)
    runs = [report.run, *([report.baseline] if report.baseline is not None else [])]
    for run, side in zip(runs, table.sides, strict=True):
        for at, sample in enumerate(run.samples):
            calls = [each for repeat in range(run.manifest.repeats) for each in calls_of(run, sample, repeat)]
            plan, answers = table.plans[side.plan[at]], side.answers[at]
            assert len(plan) == 2 * len(calls) == 2 * len(answers)
            for number, (call, stored) in enumerate(calls):
                request = table.requests[plan[2 * number + 1]]
                sent = [(table.pieces[role], text_of(table, text, at)) for role, text in _pairs(request)]
                assert sent == [(each["role"], visible(each["content"])) for each in call.messages]
                raw = table.completions[answers[number]][0]
                wanted = stored.completion.raw
                assert (None if raw == NOTHING else text_of(table, raw, at)) == (
                    None if wanted is None else visible(wanted)
                )


def _pairs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_what_is_sent_to_all_stands_there_once(reports: dict[str, Report]) -> None:
    """A request that differs in the sample's text alone is one request, and one plan."""
    table = sample_table(reports["alone"])
    long = [at for at, text in enumerate(table.inputs[0]) if text is not None and len(text) >= samples.LEAST_SHARED]
    assert len(long) == report_runs.N
    assert (len(table.requests), len(table.plans)) == (1, 1)


def test_gold_predictions_and_changes_are_by_sample(reports: dict[str, Report]) -> None:
    """The sets, failures, changes and probabilities of each sample are those of its predictions."""
    report = reports["compared"]
    table = sample_table(report)
    names = report.space.names
    found = {each.sample: each for each in report.run.predictions}
    for at, sample in enumerate(report.samples):
        side, said = table.sides[0], found[sample.id]
        assert {names[label] for label in table.sets[table.gold[at]]} == set(sample.labels or ())
        assert {names[label] for label in table.sets[side.predicted[at]]} == said.labels
        assert {names[label] for label in table.sets[side.unanswered[at]]} == said.unanswered
        failure = None if side.failure[at] == NOTHING else samples.FAILURES[side.failure[at]]
        assert failure == said.failure
        change = report.changes.get(sample.id)
        assert samples.CHANGES[table.change[at]] == ("" if change is None else change.kind)
        assert side.probabilities.get(at) == (
            [f"{said.probabilities[name]:.3f}" for name in names] if said.probabilities else None
        )


def test_fields_have_their_answer_and_whether_it_is_right(reports: dict[str, Report]) -> None:
    """A field is right, wrong or without gold; one that is unanswered has no answer."""
    table = sample_table(reports["passes"])
    side = table.sides[0]
    assert side.fields[0] == [("happy", None), ("lamp", None)]  # no gold
    assert side.fields[5] == [(None, False), (None, False)]  # could not be read
    assert table.gold_fields[1] == [report_runs.row(1)["mood"], "a lamp"]
    assert side.fields[1] == [("happy", report_runs.row(1)["mood"] == "happy"), ("lamp", True)]
    assert table.sides[1].fields == {}


def test_calls_are_told_apart_where_there_are_several(reports: dict[str, Report]) -> None:
    """A call says its pass and its repeat where a run has more than one."""

    def headings(name: str) -> set[str]:
        table = sample_table(reports[name])
        return {table.pieces[heading] for at in table.sides[0].plan for heading, _ in _pairs(table.plans[at])}

    assert headings("alone") == {""}
    assert headings("passes") == {"pass first", "pass again"}
    assert headings("repeats") == {"repeat 0", "repeat 1", "repeat 2"}


def test_of_several_passes_each_answer_is_told_as_it_is_read(reports: dict[str, Report]) -> None:
    """The labels of a sample are those of all its passes together; of one pass they are its own."""

    def told(name: str) -> set[str]:
        table = sample_table(reports[name])
        pieces = {table.pieces[each[1]] for each in table.completions}
        return {part for piece in pieces for part in piece.split(" · ") if part.startswith("read as")}

    assert told("alone") == set()
    assert {"read as none", "read as refusal"} < told("passes")
    assert "read as call_error" not in told("passes")


def test_repeats_are_there(reports: dict[str, Report]) -> None:
    """With repeats each sample has its prediction in each, and the labels that are unstable."""
    report = reports["repeats"]
    table = sample_table(report)
    assert {len(each) for each in table.sides[0].repeats} == {3}
    assert {table.ids[at] for at in table.unstable} == set(report.unstable)
    assert sample_table(reports["alone"]).sides[0].repeats == []


def test_a_sample_that_the_baseline_lacks_has_no_answer_of_it(project: Path) -> None:
    """Only samples that were compared have two answers."""
    few = stored_run(project, "v1", {"r01": "shipping"})
    report = cli_project_report(few, stored_run(project, "v2"))
    assert sample_table(report).sides[1].predicted[0] != NOTHING
    assert set(sample_table(report).sides[1].predicted[1:]) == {NOTHING}


def cli_project_report(*runs: Any) -> Report:
    """Return the report of the last run, against the first where there are two."""
    from harness.project import find_project
    from harness.reportdata import report_of

    *before, run = runs
    return report_of(run, find_project(run.path), before[0] if before else None)


@given(st.text(), st.text(min_size=1), st.lists(st.text(), max_size=3))
def test_texts_are_put_together_again(head: str, value: str, rest: list[str]) -> None:
    """Any text reads back, whichever inputs it holds and how often."""
    inputs = [value * samples.LEAST_SHARED, None, "\n".join([head, *rest]) * 3]
    text = head + (inputs[0] or "") + "\n".join(rest) + (inputs[2] or "") + (inputs[0] or "")
    texts = Texts()
    texts.text("something before\n,a,b")
    number = texts.text(text, inputs)
    again = texts.text(text, inputs)
    pieces = texts.pieces.values
    found = []
    for item in texts.texts.values[number]:
        if isinstance(item, tuple):
            found += pieces[item[0] : item[1] + 1]
        else:
            found.append(visible(inputs[-1 - item] or "") if item < 0 else pieces[item])
    assert "".join(found) == visible(text)
    assert again == number


def test_long_lines_share_their_clauses() -> None:
    """Two long answers that differ in one place have all other pieces in common."""
    texts = Texts()
    one = ", ".join(f'"label {at}": false' for at in range(30))
    texts.text(one)
    before = len(texts.pieces.values)
    texts.text(one.replace('"label 7": false', '"label 7": true'))
    assert len(texts.pieces.values) == before + 1


def test_values_are_numbered_in_the_order_in_which_they_come() -> None:
    """A value keeps its number."""
    table = Numbered[str]()
    assert [table.number(each) for each in "abac"] == [0, 1, 0, 2]
    assert table.values == ["a", "b", "c"]


def test_questions_votes_reasoning_and_mended_answers(project: Path) -> None:
    """What a decision API was asked stands there question by question, and each of several draws with its answer."""
    head = "dataset: ../datasets/reviews.yaml\nmodel: {name: scripted, api: decisions}\ntemplate: '{{ text }}'\n"
    write(project / "prompts/v1.yaml", head + "question: 'Is it about {{ label }}?'\n")
    write(project / "prompts/v2.yaml", PROMPT + "votes: {k: 3}\noutput: json\n")

    def decided(call: Call) -> Completion:
        answers = [{"name": each["name"], "type": "predicate", "probability": 0.7} for each in call.questions]
        return replace(ok(json.dumps(answers)), reasoning="It seems so.")

    table = sample_table(cli_project_report(stored_run(project, "v1", decided)))
    request = table.requests[0]
    assert [table.pieces[role] for role in request[::2]] == [
        "user", "question shipping", "question quality", "question price", "question gift wrap",
    ]  # fmt: skip
    assert text_of(table, request[3], 0) == "Is it about shipping?"
    assert {text_of(table, each[3], 0) for each in table.completions} == {"It seems so."}

    report = cli_project_report(stored_run(project, "v2", lambda _: ok("{'labels': ['price',]}")))
    table = sample_table(report)
    plan = table.plans[0]
    assert [table.pieces[heading] for heading in plan[::2]] == ["draw 1", "draw 2", "draw 3"]
    assert table.sides[0].mended == list(range(10))
    assert "10 answers had to be mended before it could be read." in text(report)


PROMPT = "dataset: ../datasets/reviews.yaml\nmodel: scripted\ntemplate: '{{ text }}'\n"


def test_values_that_are_no_texts_are_shown_as_json(project: Path) -> None:
    """Of a list or a number the JSON is shown; a column that a sample lacks is none; of gold all that is right."""
    fields = "fields: {item: {type: text}}\n"
    write(project / "datasets/reviews.yaml", cli_project.DATASET + fields)
    rows = [
        {"id": "r01", "text": "Late.", "labels": [], "tags": ["a", "b"], "item": ["lamp", "a lamp"]},
        {"id": "r02", "text": "Dear.", "labels": [], "n": 3, "item": None},
    ]
    write(project / "datasets/reviews.dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(project / "prompts/v1.yaml", PROMPT + "output: {format: json, fields: [item]}\n")
    raw = '{"labels": [], "item": null}'
    table = sample_table(cli_project_report(stored_run(project, "v1", {"r01": raw, "r02": raw})))
    assert table.columns == ["text", "tags", "n"]
    assert table.inputs[1:] == [['["a", "b"]', None], [None, "3"]]
    assert table.gold_fields == {0: ["lamp / a lamp"], 1: ["none"]}
    assert table.sides[0].fields == {0: [("none", False)], 1: [("none", True)]}


# --- what stands still ------------------------------------------------------------------------------------------------


def text(report: Report) -> str:
    """Return the text of a page, as a reader meets it."""
    return re.sub(r"\s+", " ", " ".join(Page(to_html(report)).text))


def test_the_verdict_is_the_first_thing_said(reports: dict[str, Report]) -> None:
    """Against a baseline the page begins with the verdict in plain words; alone it has none."""
    assert "v2 is better than v1: macro F1 +" in text(reports["compared"])
    assert "verdict-line" not in to_html(reports["alone"]).partition("</style>")[2]


@pytest.mark.parametrize(
    ("name", "there", "not_there"),
    [
        ("alone", ["Scores", "Labels", "Failures", "Confusion", "About"], ["Changes", "Fields", "Probabilities"]),
        ("compared", ["Changes", "Probabilities"], ["Fields"]),
        ("passes", ["Fields", "Changes"], ["Probabilities"]),
    ],
)
def test_sections_are_there_where_they_have_something(
    reports: dict[str, Report], name: str, there: list[str], not_there: list[str]
) -> None:
    """Fields, probabilities and changes have a section only in the reports of runs that have them."""
    page = to_html(reports[name])
    for title in there:
        assert f'<h2 id="{title.lower()}-title">{title}</h2>' in page
    for title in not_there:
        assert f'id="{title.lower()}-title"' not in page


def test_repeats_tell_how_much_they_differ(reports: dict[str, Report]) -> None:
    """With repeats it is said above the labels how many samples are not answered the same each time."""
    noise = reports["repeats"].noise
    assert noise is not None
    assert f"Same prompt, 3 repeats: {noise.unstable_samples} of 130 samples are not" in text(reports["repeats"])
    assert "Same prompt" not in text(reports["alone"])


def test_every_label_has_its_row(reports: dict[str, Report]) -> None:
    """The table of labels has every label with its numbers, rounded in one place."""
    page = text(reports["compared"])
    for row in reports["compared"].labels:
        assert row.score.label in page
        assert f"{row.score.f1:.3f}" in page
        assert f"{row.low:.3f} to {row.high:.3f}" in page


def test_tables_are_for_readers_of_screens_too(reports: dict[str, Report]) -> None:
    """Every table has a caption, every header a scope, every plot a name, every section a title."""
    page = Page(to_html(reports["compared"]))
    names = [tag for tag, _ in page.elements]
    assert names.count("caption") == names.count("table")
    for tag, given_ in page.elements:
        if tag == "th":
            assert given_.get("scope") in ("col", "row")
        if tag == "svg":
            assert given_.get("aria-hidden") == "true" or given_.get("aria-label")
        if tag == "section":
            assert given_.get("aria-labelledby")


def test_many_labels_have_a_list_of_confusions_instead_of_a_map(
    reports: dict[str, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above so many labels no map is drawn."""
    assert 'class="heat"' in to_html(reports["alone"])
    monkeypatch.setattr("harness.report.analysis.MOST_IN_HEAT_MAP", 3)
    page = to_html(reports["alone"])
    assert 'class="heat"' not in page
    assert "Most frequent confusions" in page


def test_a_perfect_run_says_so(project: Path) -> None:
    """Without failures, confusions and changes the page says that there are none."""
    gold = {name: ", ".join(labels) or "none" for name, (_, labels) in cli_project.TEXTS.items()}
    page = text(cli_project_report(stored_run(project, "v1", gold), stored_run(project, "v2", gold)))
    assert "Every sample was answered." in page
    assert "No label was missed where another one was added." in page
    assert "v2 answers exactly as v1 does: 10 samples, no cell changed." in page


def test_labels_without_gold_are_in_no_average(project: Path) -> None:
    """A label that no sample has is listed with its predictions, and it is said that it is in no average."""
    page = text(cli_project_report(stored_run(project, "v2")))
    assert "Labels without gold are in no macro average; every prediction of one is wrong." in page


def test_rules_of_the_labels_are_checked(project: Path) -> None:
    """Where the dataset has rules, the page says how often they are broken."""
    write(project / "datasets/reviews.yaml", cli_project.DATASET + "exclusive: [[shipping, price]]\n")
    page = text(cli_project_report(stored_run(project, "v2")))
    assert "Rules of the labels, how often broken rule gold predicted at most one of shipping, price 1 2" in page


def test_predictions_from_elsewhere_have_a_report(project: Path) -> None:
    """A run without a prompt has its scores and samples, and nothing that was sent."""
    rows = [{"id": name, "labels": labels} for name, (_, labels) in cli_project.TEXTS.items()]
    file = write(project / "bert.jsonl", "".join(json.dumps(row) + "\n" for row in rows[:-1]))
    dataset = project / "datasets/reviews.yaml"
    run = api.import_predictions(file, dataset=dataset, name="bert", model="a BERT").run
    report = cli_project_report(stored_run(project, "v2"), run)
    page = text(report)
    assert "bert on reviews dev" in page
    assert "import bert.jsonl" in page
    assert "The prompt of bert" not in page
    table = sample_table(report)
    assert table.sides[0].answers == [[]] * 10
    assert report.kinds["call_error"] == 1


def test_many_off_list_answers_are_told_in_part(project: Path) -> None:
    """Of many texts that are no label the most frequent are listed, with how many there are."""
    answers = {name: f"price, odd {at}, strange {at}" for at, name in enumerate(cli_project.TEXTS)}
    page = text(cli_project_report(stored_run(project, "v1", answers)))
    assert "Answered, but no label (the first 12 of 20)" in page


def test_a_changed_prompt_is_shown_with_the_lines_around(project: Path) -> None:
    """Of a long prompt the changed lines are shown, with what is gone and what is new marked, and a sign for the rest."""
    lines = [f"  Line {at} of the rules." for at in range(20)]
    for version, told in (("v1", "some"), ("v2", "all")):
        changed = [*lines[:10], f"  Name {told} labels.", *lines[10:], "  {{ text }}"]
        head = f"parent: {'v1' if version == 'v2' else 'null'}\ndataset: ../datasets/reviews.yaml\nmodel: scripted\n"
        write(project / f"prompts/{version}.yaml", head + "template: |\n" + "\n".join(changed) + "\noutput: list\n")
    page = to_html(cli_project_report(stored_run(project, "v1"), stored_run(project, "v2")))
    diff = page.partition('<pre class="text diff"')[2].partition("</pre>")[0]
    assert "Name <del>some</del><ins>all</ins> labels." in diff
    assert ("Line 9 of" in diff, "Line 3 of" in diff, diff.count("⋯")) == (True, False, 1)


def test_the_assets_are_found_in_the_package() -> None:
    """The page's parts are read as the package's data."""
    for name in ("report.html", "report.css", "report.js"):
        assert html._asset(name)
    assert "<script" not in html._asset("report.js")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", html._asset("report.js"))
    assert not re.search(
        r"https?:(?!//www\.w3\.org/2000/svg)|url\(|@import", html._asset("report.js") + html._asset("report.css")
    )


# --- the other formats ------------------------------------------------------------------------------------------------


def test_label_scores_as_csv(reports: dict[str, Report], tmp_path: Path) -> None:
    """One row a label, with intervals and verdict; what is not defined is empty."""
    write_report(tmp_path / "scores.csv", reports["compared"])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "scores.csv").read_text(encoding="utf-8"))))
    assert [row["label"] for row in rows] == list(report_runs.LABELS)
    for row, found in zip(rows, reports["compared"].labels, strict=True):
        assert float(row["f1_low"]) == found.low
        assert found.change is not None
        assert row["verdict"] == found.change.verdict


def test_predictions_as_rows(reports: dict[str, Report], tmp_path: Path) -> None:
    """As JSONL one row a prediction; as JSON everything."""
    write_report(tmp_path / "p.jsonl", reports["repeats"])
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3 * report_runs.N
    assert json.loads(lines[0])["id"] == "s000"
    write_report(tmp_path / "all.json", reports["repeats"])
    assert json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["title"] == "v2 on feedback dev"


def test_predictions_as_parquet(reports: dict[str, Report], tmp_path: Path) -> None:
    """Lists are lists, probabilities numbers by label, and empty lists have their type."""
    write_report(tmp_path / "p.parquet", reports["compared"])
    table = parquet.read_table(tmp_path / "p.parquet").to_pydict()
    rows = reports["compared"].prediction_rows()
    assert table["id"] == [row["id"] for row in rows]
    assert table["gold"] == [row["gold"] for row in rows]
    assert table["p_late"] == [row.get("probabilities", {}).get("late") for row in rows]
    assert table["input_stars"] == [str(row["inputs"]["stars"]) for row in rows]
    assert table["input_text"][5].startswith("A lone surrogate \\ud800 and")
    assert table["failure"].count("call_error") == 6


def test_fields_in_parquet_are_columns(reports: dict[str, Report]) -> None:
    """A field that any prediction has is a column of texts."""
    rows = reports["passes"].prediction_rows()
    content = to_parquet(Path("p.parquet"), rows, reports["passes"].space)
    table = parquet.read_table(io.BytesIO(content)).to_pydict()
    assert set(table["field_mood"]) == {"happy", None}


def test_parquet_without_pyarrow_is_told(reports: dict[str, Report], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyarrow is missing the message says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError) as told:
        to_parquet(Path("p.parquet"), [], reports["alone"].space)
    assert str(told.value) == "p.parquet: writing Parquet needs pyarrow. Type: pip install 'harness[parquet]'"


def test_markdown_has_the_verdict_the_scores_and_the_changes(reports: dict[str, Report]) -> None:
    """Title, verdict, headline and labels with intervals, failures, and what changed; markup of others is escaped."""
    found = to_markdown(reports["compared"])
    assert found.startswith("## v2 on feedback dev\n")
    assert found.count("**v2 is better than v1: macro F1 ") == 1
    assert "| score | value | 95 % interval |" in found
    assert "| \\<b\\>bad\\</b\\> |" in found
    assert "| call\\_error | 6 |" in found
    assert "## v2 against v1: 130 common samples" in found
    assert "## v1 against" not in to_markdown(reports["alone"])


def test_markdown_of_fields_and_notes(project: Path, reports: dict[str, Report]) -> None:
    """Fields have their table, and what makes a run doubtful is said once."""
    assert "| mood |" in to_markdown(reports["passes"])
    run = stored_run(project, "v2", ANSWERS["v2"], redrawn=["truncated"], state="incomplete")
    told = to_markdown(cli_project_report(run))
    assert "10 samples, scripted, run v2-20260104-030405, incomplete" in told
    assert told.count("- the run is incomplete: calls are missing") == 1


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != ".parquet"])
def test_every_format_is_written(reports: dict[str, Report], tmp_path: Path, suffix: str) -> None:
    """Each extension makes a file in UTF-8, whatever stands in the samples."""
    write_report(tmp_path / f"report{suffix}", reports["passes"])
    assert (tmp_path / f"report{suffix}").read_bytes().decode("utf-8")
