"""Lists as a person reads them, at 100 columns: runs, dry runs, failures, and one sample in full."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cli_project
from cli_project import ANSWERS, Cli, call_error, ok, stored_run, write, write_samples
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from harness.report import listing
from harness.report.terminal import rendered

project, cli = cli_project.project, cli_project.cli

TWO_PASSES = """\
dataset: ../datasets/reviews.yaml
model: scripted
passes:
  - name: label
    messages:
      - system: Label the review.
      - user: "{{ text }}"
  - name: price-or-quality
    when: "'price' in predicted"
    model: judge
    template: "Is it the price? {{ text }}"
    merge: {scope: [price, quality]}
"""


def printed(*parts: Any) -> str:
    """Return what is printed where there is no terminal, having checked that it fits."""
    import io

    text = rendered(parts, io.StringIO())
    assert_fits(text)
    return text


def assert_fits(text: str) -> None:
    """Check that no line is wider than 100 columns or ends in spaces."""
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
        assert line == line.rstrip(), line


def test_runs(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """Every run has its whole id, its state, its scores and what it was run on; unfinished ones have what there is."""
    stored_run(project, "v1", tag="nightly")
    stored_run(project, "v2", repeats=3)
    stored_run(project, "v3", {**ANSWERS["v3"], "r01": call_error()}, cost_usd=None)
    stored_run(project, "v3", day=9, state="interrupted")
    held = stored_run(project, "v3", day=10, state="running")
    (held.path / "scores.json").unlink()
    text = cli("runs").out
    assert_fits(text)
    assert "v3-20260112-030405  interrupted" in text
    assert text == snapshot


def test_run_ids_are_never_cut(project: Path, cli: Cli) -> None:
    """An id stands there whole: data and model give way to it, and a very long one goes on in the next line."""
    version = "second-pass-on-shipping"
    write(project / f"prompts/{version}.yaml", (project / "prompts/v1.yaml").read_text().replace("scripted", "m" * 60))
    run = stored_run(project, version, ANSWERS["v1"], day=1)
    text = cli("runs").out
    assert_fits(text)
    assert f"\n{run.manifest.id}  complete       10  0.794  0.762   100.0 %  $0.0412" in text
    longer = f"{version}-or-packaging"
    write(project / f"prompts/{longer}.yaml", (project / "prompts/v1.yaml").read_text())
    run = stored_run(project, longer, ANSWERS["v1"], day=2)
    text = cli("runs").out
    assert_fits(text)
    first, *others = text.splitlines()[3:]
    assert "complete       10  0.794  0.762   100.0 %  $0.0412" in first
    assert "".join([first.split()[0], *others]).startswith(run.manifest.id)


def test_dry_runs(project: Path, snapshot: SnapshotAssertion) -> None:
    """A dry run tells calls, those of later passes as a limit, tokens and price; what is unknown is said to be so."""
    plain = {"version": "v1", "samples": 120, "calls": 120, "cached": 100, "later_calls": 0, "prompt_tokens": 11_000}
    rows = [
        {**plain, "completion_tokens": 640, "usd": 0.0421},
        {**plain, "version": "v2", "cached": 0, "later_calls": 120, "completion_tokens": None, "usd": None},
        {**plain, "version": "v3", "completion_tokens": 64, "usd": 0},
    ]
    assert printed(listing.outlook_table(rows)) == snapshot
    rows = [{**row, "embeddings": count} for row, count in zip(rows, (0, 1250, 3), strict=True)]
    assert printed(listing.outlook_table(rows)) == snapshot


def test_failures(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """A failure tells what is wrong, the text, gold and prediction, and the raw output or that there was none."""
    answers: dict[str, Any] = {**ANSWERS["v3"], "r01": call_error(), "r04": ok("quality, ship", finish_reason="length")}
    stored_run(project, "v3", answers, state="complete")
    text = cli("failures", "v3").out
    assert_fits(text)
    assert text == snapshot


def test_failures_of_repeats_and_passes(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """With repeats each failure tells its repeat, with several passes each raw output its pass."""
    write(project / "prompts/v1.yaml", TWO_PASSES)
    stored_run(project, "v1", lambda call: "price" if call.pass_name == "label" else "quality", repeats=2)
    assert cli("failures", "v1", "--limit", "2").out == snapshot


def test_a_raw_output_is_told_with_what_it_is_about(project: Path, cli: Cli) -> None:
    """With a call for each label the wrong ones are shown, each with its label, also where it is one alone."""
    prompt = "dataset: ../datasets/reviews.yaml\nmodel: scripted\nper: label\noutput: yes_no\n"
    write(project / "prompts/v1.yaml", prompt + "template: 'About {{ label.name }}? {{ text }}'\n")
    stored_run(project, "v1", lambda call: "yes" if (call.sample, call.unit) == ("r01", "shipping") else "no")
    told = cli("failures", "v1").out
    assert "  raw, quality: no\n" in told
    assert "  raw: " not in told


def test_off_list_answers_stand_beside_the_prediction(project: Path, cli: Cli) -> None:
    """What was said beside a wrong answer and is no label is told; a failure's reason tells it already."""
    stored_run(project, "v1", {"r01": "price, colour", "r02": "colour"})
    told = cli("failures", "v1").out
    assert "predicted: price  off list: colour\n" in told
    assert told.count("off list") == 1


def test_one_sample_in_full(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """One sample tells all: inputs, gold, prediction, off-list labels, and every message sent and received."""
    write(project / "prompts/v1.yaml", TWO_PASSES)
    rows = {
        "r1": {"text": "Too dear,\n  and it broke.", "stars": 2, "tags": ["a", "b"], "labels": ["quality", "price"]}
    }
    write_samples(project, rows)
    stored_run(project, "v1", lambda call: "price, shiping" if call.pass_name == "label" else "quality")
    text = cli("show", "v1", "r1").out
    assert_fits(text)
    assert text == snapshot


def test_what_several_draws_were_sent_stands_there_once(project: Path, cli: Cli) -> None:
    """Votes send one request several times: it is shown once, and every answer."""
    prompt = "dataset: ../datasets/reviews.yaml\nmodel: {name: scripted, params: {temperature: 1}}\nvotes: {k: 3}\n"
    write(project / "prompts/v1.yaml", prompt + "template: 'Label this: {{ text }}'\n")
    stored_run(project, "v1", lambda call: ("price", "quality", "price")[call.draw])
    told = cli("show", "v1", "r01").out
    assert told.count("Label this:") == 1
    assert told.count("sent as before, drawn again\n") == 2
    assert re.findall(r"came back:\n  (\w+)", told) == ["price", "quality", "price"]


def test_one_sample_whose_call_failed(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """A sample whose call failed tells the error, and how often it was tried."""
    stored_run(project, "v1", {"r01": call_error(), "r02": "quality"}, state="complete")
    assert cli("show", "v1", "r01").out == snapshot


def test_one_sample_of_a_repeat(project: Path, cli: Cli) -> None:
    """With repeats, --repeat chooses, and the report says which one it is."""
    stored_run(project, "v1", lambda call: "none" if call.repeat else "shipping", repeats=2)
    assert "r01  in v1-20260103-030405, repeat 1\n" in cli("show", "v1", "r01", "--repeat", "1").out
    assert "predicted  shipping\n" in cli("show", "v1", "r01").out


def test_one_sample_with_fields(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """Fields are told beside their gold; one that was not answered is said to be so."""
    fields = "fields:\n  mood: {type: choice, values: [happy, mad]}\n  item: {type: text}\nsplits:"
    write(project / "datasets/reviews.yaml", cli_project.DATASET.replace("splits:", fields))
    row = {"text": "Never came.", "labels": ["shipping"], "mood": "mad", "item": None}
    write_samples(project, {"r1": row, "r2": row, "r3": row})
    head = "dataset: ../datasets/reviews.yaml\nmodel: scripted\n"
    write(project / "prompts/v1.yaml", head + "template: '{{ text }}'\noutput: {format: json, fields: [mood, item]}\n")
    given = '{"labels": ["shipping"], "mood": "happy", "item": null}'
    stored_run(project, "v1", {"r1": given, "r2": "", "r3": '{"labels": ["shipping"]}'})
    assert cli("show", "v1", "r1").out + cli("show", "v1", "r2").out == snapshot


def test_a_field_without_gold_is_told_apart_from_one_that_has_none(project: Path, cli: Cli) -> None:
    """Gold that says that there is nothing is "none"; where no gold is known, that is said."""
    fields = "fields:\n  mood: {type: choice, values: [happy, mad]}\n  item: {type: text}\nsplits:"
    write(project / "datasets/reviews.yaml", cli_project.DATASET.replace("splits:", fields))
    write_samples(project, {"r1": {"text": "Never came.", "labels": ["shipping"], "item": None}})
    head = "dataset: ../datasets/reviews.yaml\nmodel: scripted\n"
    write(project / "prompts/v1.yaml", head + "template: '{{ text }}'\noutput: {format: json, fields: [mood, item]}\n")
    stored_run(project, "v1", {"r1": '{"labels": ["shipping"], "mood": "happy", "item": null}'})
    shown = cli("show", "v1", "r1").out
    assert "mood       happy (gold: not known)\nitem       none (gold: none)\n" in shown


def test_failures_tell_the_fields_beside_the_labels(project: Path, cli: Cli) -> None:
    """A wrong sample shows what its fields were answered with, and their gold."""
    fields = "fields:\n  mood: {type: choice, values: [happy, mad]}\nsplits:"
    write(project / "datasets/reviews.yaml", cli_project.DATASET.replace("splits:", fields))
    write_samples(project, {"r1": {"text": "Never came.", "labels": ["shipping"], "mood": "mad"}})
    head = "dataset: ../datasets/reviews.yaml\nmodel: scripted\n"
    write(project / "prompts/v1.yaml", head + "template: '{{ text }}'\noutput: {format: json, fields: [mood]}\n")
    stored_run(project, "v1", {"r1": '{"labels": ["price"], "mood": "happy"}'})
    assert "  gold: shipping  predicted: price\n  mood: happy (gold: mad)\n  raw: " in cli("failures", "v1").out


def test_one_sample_as_json_says_whether_it_is_right(project: Path, cli: Cli) -> None:
    """As JSON a sample is right, wrong or failed; one without gold is none of these."""
    run = stored_run(project, "v3")
    kinds = {key: cli("show", "v3", key, "--json").json["kind"] for key in ("r01", "r07", "r10")}
    assert kinds == {"r01": "right", "r07": "unparseable", "r10": "wrong"}
    sample = run.samples[0]
    from harness.failures import describe

    found = describe(run, sample, run.predictions[0], frozenset())
    row = listing.sample_row(found, None)
    assert (row["kind"], row["gold"], row["missed"], row["extra"]) == ("unlabelled", None, None, None)
    text = printed(listing.sample_report(found, None, run, []))
    assert "gold       (unlabelled)\npredicted  shipping\n" in text
    assert "too much" not in text


def test_long_lists_tell_what_is_left_out(project: Path, cli: Cli) -> None:
    """Beyond the limit, runs and failures are counted, with the option that shows them."""
    for day in range(3):
        stored_run(project, "v3", day=day)
    assert cli("runs", "--limit", "1").out.endswith("\nand 2 older: see --limit\n")
    assert cli("failures", "v3", "--limit", "1").out.endswith("\nand 2 more: see --limit\n")
