"""Runs against runs: the baseline that is meant, and what runs can be compared on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from projects import DATASET, DEV, HEAD, PROMPT, TWO_PASSES, Folder, Switch, jsonl, right_but
from scripted_server import ScriptedServer, error

from harness import execution
from harness.errors import DataError, RunNameError
from harness.jsonfiles import write_json
from harness.lineage import doubts, file_has_changed, find_baseline
from harness.records import FailureKind
from harness.significance import Settings
from harness.store import StoredRun, load_run
from harness.versions import ComparedRuns, compare_runs


@pytest.fixture
def switch() -> Switch:
    """Return a script that answers exactly right until it is told otherwise."""
    return Switch(right_but())


@pytest.fixture
def server(switch: Switch) -> Iterator[ScriptedServer]:
    """Return a server that answers as the switch stands."""
    with ScriptedServer(switch) as running:
        yield running


class Runs:
    """Makes runs of a project against one server."""

    def __init__(self, folder: Folder, server: ScriptedServer) -> None:
        self.folder = folder
        self.server = server

    def make(
        self, version: str, words: str = "", parent: str | None = None, text: str = PROMPT, **options: Any
    ) -> StoredRun:
        """Make a run of a version whose prompt has these words in it."""
        head = f"parent: {parent}\n" if parent else ""
        self.folder.prompt(version, head + text.replace("Labels:", f"Labels {words}:"))
        return self.folder.run_on(self.server, version, **options).stored

    def baseline(self, run: StoredRun, named: str | None = None) -> str | None:
        """Return the id of a run's baseline."""
        found = find_baseline(load_run(run.path), self.folder.project, named)
        return None if found is None else found.manifest.id

    def compare(self, *runs: StoredRun) -> ComparedRuns:
        """Compare runs as they are on disk now."""
        return compare_runs([load_run(run.path) for run in runs], self.folder.project)

    def refusal(self, *runs: StoredRun) -> str:
        """Return the message with which a comparison is refused."""
        with pytest.raises(DataError) as caught:
            self.compare(*runs)
        return str(caught.value)


@pytest.fixture
def runs(folder: Folder, server: ScriptedServer) -> Runs:
    """Return what makes runs of the small project."""
    return Runs(folder, server)


# --- the baseline of a run --------------------------------------------------------------------------------------------


def test_the_first_run_has_no_baseline(runs: Runs) -> None:
    """Without an earlier run there is nothing to compare with."""
    assert runs.baseline(runs.make("v1")) is None


def test_the_baseline_is_the_previous_run_of_the_version_with_another_prompt(runs: Runs) -> None:
    """A version that was edited is compared with its newest run before the edit, not with a repetition of itself."""
    runs.make("v1", "one")
    two = runs.make("v1", "two")
    three = runs.make("v1", "three")
    again = runs.make("v1", "three")
    assert runs.baseline(again) == two.manifest.id
    assert runs.baseline(three) == two.manifest.id


def test_the_versions_own_run_goes_before_the_parents(runs: Runs) -> None:
    """The parent is the baseline only where the version has no earlier run with another prompt."""
    parent = runs.make("v1")
    first = runs.make("v2", "one", parent="v1")
    assert runs.baseline(first) == parent.manifest.id
    newer = runs.make("v1")
    assert runs.baseline(runs.make("v2", "one", parent="v1")) == newer.manifest.id
    assert runs.baseline(runs.make("v2", "two", parent="v1")) != newer.manifest.id


def test_later_and_unfinished_runs_are_no_baselines(runs: Runs, switch: Switch) -> None:
    """A baseline is earlier and complete."""
    switch.to(right_but(s1=error(500)))
    broken = runs.make("v1")
    switch.to(right_but())
    run = runs.make("v2", "x", parent="v1")
    assert broken.manifest.state == "incomplete"
    assert runs.baseline(run) is None
    runs.make("v1")
    assert runs.baseline(run) is None


def test_runs_of_other_splits_labels_and_samples_are_no_baselines(runs: Runs) -> None:
    """A baseline is on the same split and labels, and has samples in common."""
    runs.make("v1", split="test")
    runs.make("v1")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({"n1": ("New.", [])}))
    assert runs.baseline(runs.make("v2", "x", parent="v1")) is None
    runs.folder.write("datasets/reviews.yaml", DATASET.replace("  price:", "  cost:"))
    runs.folder.write("datasets/reviews.test.jsonl", jsonl({"n1": ("New.", [])}))
    assert runs.baseline(runs.make("v2", "y", parent="v1")) is None


def test_a_named_baseline_goes_before_all(runs: Runs) -> None:
    """--baseline is taken whatever it is, by any name that a run has."""
    one = runs.make("v1")
    runs.make("v2", "one")
    run = runs.make("v2", "two")
    assert runs.baseline(run, "v1") == one.manifest.id
    assert runs.baseline(run, one.manifest.id) == one.manifest.id
    with pytest.raises(RunNameError, match="run 'v7': no such run"):
        runs.baseline(run, "v7")


def test_a_runs_own_version_as_baseline_is_the_previous_run(runs: Runs) -> None:
    """--baseline with the version that was just run means the run before it, and never the run itself."""
    only = runs.make("v1")
    with pytest.raises(RunNameError) as caught:
        runs.baseline(only, "v1")
    assert str(caught.value) == f"--baseline v1: must be another run, got {only.manifest.id} itself. See: harness runs"
    assert runs.baseline(runs.make("v1"), "v1") == only.manifest.id


# --- comparing --------------------------------------------------------------------------------------------------------


def test_runs_are_compared_with_the_first(runs: Runs, switch: Switch) -> None:
    """Each later run is compared with the first, on the samples that all have; names are the versions."""
    one = runs.make("v1")
    switch.to(right_but(s1="price"))
    two = runs.make("v2", "x", limit=4)
    compared = runs.compare(one, two)
    assert compared.names == ("v1", "v2")
    assert compared.comparison.n_common == 4
    assert [diff.before for diff in compared.comparison.diffs] == ["v1"]
    assert compared.notes == ("left out, because not every run or today's gold has them: 2 of v1",)


def test_runs_of_one_version_are_called_by_their_ids(runs: Runs) -> None:
    """A version that stands there twice cannot be a name."""
    one, two, other = runs.make("v1", "one"), runs.make("v1", "two"), runs.make("v2")
    assert runs.compare(one, other, two).names == (one.manifest.id, "v2", two.manifest.id)


def test_the_same_run_twice_is_refused(runs: Runs) -> None:
    """A run has no difference to itself."""
    one = runs.make("v1")
    assert runs.refusal(one, one) == (
        f"{one.manifest.id}: must be compared with other runs, got the same run twice. See: harness runs"
    )


def test_other_labels_are_refused_by_name(runs: Runs) -> None:
    """Runs over different label spaces cannot be compared; the message names the labels."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.yaml", DATASET.replace("  price:", "  cost:"))
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({"s1": DEV["s1"]}))
    two = runs.make("v2", "x")
    assert runs.refusal(one, two) == (
        f"{one.manifest.id} and {two.manifest.id}: must have the same labels to be compared, but differ in cost, price. "
        "Run or import the older one again, with the labels of the newer."
    )


def test_no_common_samples_are_refused(runs: Runs) -> None:
    """Runs on different splits have nothing to be compared on."""
    assert runs.refusal(runs.make("v1"), runs.make("v2", "x", split="test")) == (
        "v1, v2: must have labelled samples in common to be compared, but have none. Run them on the same split."
    )


def test_a_run_without_predictions_is_refused(runs: Runs) -> None:
    """An unfinished run has nothing to be compared yet; the message says how to go on."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    (two.path / "predictions.jsonl").unlink()
    assert runs.refusal(one, two).endswith(f"Type: harness run --resume {two.manifest.id}")


def test_a_reordered_label_space_changes_nothing(runs: Runs) -> None:
    """Labels are aligned by name: another order in the dataset is no other label space."""
    one = runs.make("v1")
    lines = DATASET.splitlines()
    runs.folder.write("datasets/reviews.yaml", "\n".join([*lines[:2], lines[4], lines[3], lines[2], *lines[5:]]) + "\n")
    compared = runs.compare(one, runs.make("v1"))
    assert compared.comparison.diffs[0].headline == {
        "macro_f1": 0.0,
        "micro_f1": 0.0,
        "subset_accuracy": 0.0,
        "coverage": 0.0,
    }


def test_a_field_that_is_newer_than_a_run_does_not_matter(runs: Runs, switch: Switch) -> None:
    """A later run may ask for a field that the label space of the earlier one did not have."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.yaml", DATASET.replace("fields:\n", "fields:\n  item: {type: text}\n"))
    switch.to('{"labels": [], "item": "lamp"}')
    two = runs.make("v2", text=PROMPT + "output: {format: json, fields: [item]}\n")
    assert runs.compare(one, two).comparison.n_common == 6
    assert runs.compare(two, one).comparison.n_common == 6


def test_other_samples_are_refused_unless_the_common_ones_are_asked_for(runs: Runs) -> None:
    """Runs of other samples are compared only on those that both have, and only when that was asked for."""
    one, two = runs.make("v1"), runs.make("v2", "x", limit=4)
    with pytest.raises(DataError) as caught:
        compare_runs([load_run(run.path) for run in (one, two)], runs.folder.project, common=False)
    assert str(caught.value) == (
        "v1, v2: must have the same samples to be compared, but differ (v1 6, v2 4; 4 in common). "
        f"Compare on those alone: harness compare {one.manifest.id} {two.manifest.id} --common"
    )
    assert not runs.compare(one, two).same_samples
    assert runs.compare(one, runs.make("v2", "y")).same_samples


def test_the_same_samples_are_never_refused(runs: Runs) -> None:
    """A new column, or a sample that gold has lost since, makes no other samples."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl(DEV, language="en"))
    two = runs.make("v2", "x")
    pair = [load_run(run.path) for run in (one, two)]
    assert compare_runs(pair, runs.folder.project, common=False).comparison.n_common == 6
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({key: DEV[key] for key in DEV if key != "s2"}, language="en"))
    three = load_run(runs.make("v1", "y").path)
    with pytest.raises(DataError, match=r"v1-.* 6, v2 6, v1-.* 5; 5 in common"):
        compare_runs([*pair, three], runs.folder.project, common=False)


def test_settings_decide_the_judgement(runs: Runs, switch: Switch) -> None:
    """What decides a verdict is handed on, and saved with it."""
    one = runs.make("v1")
    switch.to(right_but(s1="price"))
    pair = [one, runs.make("v2", "x")]
    compared = compare_runs(pair, runs.folder.project, Settings(margin=0.5, seed=3, resamples=50))
    assert (compared.judgement.settings.margin, compared.judgement.settings.seed) == (0.5, 3)
    assert compared.judgement is compared.judgement


def test_the_median_latency_is_that_of_answered_calls(runs: Runs, switch: Switch) -> None:
    """Failed calls have no latency that says anything; a run without completions has none at all."""
    one = runs.make("v1")
    (two := runs.make("v2", "x")).path.joinpath("completions.jsonl").unlink()
    first, second = runs.compare(one, two).latencies
    assert first > 0
    assert math.isnan(second)


def test_prompt_diffs_are_between_prompts(runs: Runs) -> None:
    """Each later prompt is compared with the first; predictions that no prompt made have no diff."""
    one, two, three = runs.make("v1"), runs.make("v2", "x"), runs.make("v3", "y")
    changed(three, origin={"kind": "import", "model": "last year's"})
    diff, none = runs.compare(one, two, three).prompt_diffs
    assert diff is not None
    assert [section.title for section in diff.sections] == ["user message"]
    assert none is None
    assert runs.compare(three, one).prompt_diffs == (None,)


def test_samples_by_id(runs: Runs) -> None:
    """All samples of the compared runs are found by their ids."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    assert sorted(runs.compare(one, two).samples) == sorted(DEV)


# --- gold -------------------------------------------------------------------------------------------------------------


def test_all_runs_are_scored_against_todays_gold(runs: Runs) -> None:
    """A corrected gold label counts for all compared runs, and the note says for how many samples."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s1": (DEV["s1"][0], ["price"])}))
    compared = runs.compare(one, two)
    assert [run.scores.averages.subset_accuracy for run in compared.comparison.runs] == [pytest.approx(5 / 6)] * 2
    assert compared.notes == ("gold: today's; samples that had other labels when they were run: 1",)


def test_a_gold_correction_between_two_runs_is_no_difference(runs: Runs) -> None:
    """Runs made before and after a correction are scored alike."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s1": (DEV["s1"][0], ["price"])}))
    two = runs.make("v2", "x")
    diff = runs.compare(one, two).comparison.diffs[0]
    assert (diff.regressed, diff.fixed, diff.churned) == ((), (), ())


def test_samples_that_are_gone_today_are_left_out(runs: Runs) -> None:
    """A sample that was taken out of the dataset has no gold any more."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({key: DEV[key] for key in DEV if key != "s2"}))
    compared = runs.compare(one, two)
    assert compared.comparison.n_common == 5
    assert compared.notes == ("left out, because not every run or today's gold has them: 1 of v1, 1 of v2",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda folder: (folder.root / "datasets/reviews.dev.jsonl").unlink(), "today's dataset cannot be read"),
        (lambda folder: (folder.root / "datasets/reviews.yaml").unlink(), "today's dataset cannot be read"),
        (
            lambda folder: folder.write("datasets/reviews.yaml", DATASET.replace("  price:", "  cost:")),
            "today's label space is another",
        ),
    ],
    ids=["no samples", "no dataset", "other labels"],
)
def test_without_todays_gold_it_is_that_of_the_newest_run(runs: Runs, change: Any, why: str) -> None:
    """Where today's dataset is of no use, the newest run's gold counts, wherever it stands, and the note says so."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s1": (DEV["s1"][0], ["price"])}))
    two = runs.make("v2", "x")
    change(runs.folder)
    compared = runs.compare(two, one)
    assert compared.notes == (f"gold: as run {two.manifest.id} had it; {why}",)
    assert [run.scores.averages.subset_accuracy for run in compared.comparison.runs] == [pytest.approx(5 / 6)] * 2


def test_a_run_without_a_dataset_brings_its_own_gold(runs: Runs) -> None:
    """A run that names no dataset is scored against what it froze."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    row = two.manifest.to_json()
    write_json(two.path / "run.json", {**row, "prompt": {**row["prompt"], "dataset": None}})
    assert runs.compare(one, two).notes == (f"gold: as run {two.manifest.id} had it; today's dataset cannot be read",)


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_samples_with_changed_inputs_are_left_out_and_told(runs: Runs) -> None:
    """An id whose text changed between two runs is two samples: it is left out, and named."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s2": ("It broke at once.", ["quality"])}))
    two = runs.make("v2", "x")
    compared = runs.compare(one, two)
    assert compared.comparison.n_common == 5
    assert compared.notes == ("left out, because their inputs differ between the runs: s2",)


def test_a_column_that_is_new_does_not_matter(runs: Runs) -> None:
    """A column that only one of the runs has makes no other sample."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl(DEV, language="en"))
    two = runs.make("v2", "x")
    assert runs.compare(one, two).notes == ()
    assert runs.compare(two, one).comparison.n_common == 6


def test_a_text_that_changed_after_both_runs_keeps_its_gold(runs: Runs) -> None:
    """Today's gold of another text is not that of the text that was run."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    runs.folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s2": ("All is well.", [])}))
    compared = runs.compare(one, two)
    assert [run.scores.averages.subset_accuracy for run in compared.comparison.runs] == [1.0, 1.0]
    assert compared.notes == ("gold: as it was run for samples that have other inputs today: 1",)


# --- notes ------------------------------------------------------------------------------------------------------------


def test_what_differs_beside_the_words_is_told(runs: Runs) -> None:
    """Another model, params, split, output format or number of repeats is a note; equal ones are not."""
    text = PROMPT.replace("scripted", "other").replace("temperature: 0", "temperature: 1") + "output: json\n"
    runs.folder.write("datasets/reviews.test.jsonl", jsonl(DEV))
    one, two = runs.make("v1"), runs.make("v2", text=text, split="test", repeats=2)
    assert runs.compare(one, two).notes == (
        "model: v1 scripted, v2 other",
        'params: v1 {"max_tokens":16,"temperature":0}, v2 {"max_tokens":16,"temperature":1}',
        "split: v1 dev, v2 test",
        "output format: v1 list, v2 json",
        "repeats: v1 1, v2 2",
    )


def test_another_way_to_ask_is_told(runs: Runs) -> None:
    """Fan-out, votes, thresholds and what constrained the answers differ beside the words: each is a note."""
    asked = "per: group\nvotes: {k: 2, how: mean}\noutput: {format: list, threshold: 0.4, thresholds: {price: 0.9}}\n"
    dataset = runs.folder.root / "datasets/reviews.yaml"
    dataset.write_text(dataset.read_text() + "groups: {all: [shipping, quality, price]}\n")
    one, two = runs.make("v1"), runs.make("v2", text=PROMPT + asked)
    three = runs.make("v3", text=PROMPT + "output: {format: list, constrain: grammar}\n")
    assert runs.compare(one, two, three).notes == (
        "only the output format differs from v1 to v3: the words of the prompt are the same",
        "asked: v1 per sample, v2 per group, 2 votes, mean, v3 per sample",
        "threshold: v1 none, v2 0.4 price 0.9, v3 none",
        "constrained: v1 no, v2 no, v3 grammar",
    )


def test_forms_that_differ_by_group_are_told_once_each(runs: Runs) -> None:
    """Where the calls of a pass were constrained differently, each form is named."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    manifest = json.loads((two.path / "run.json").read_text())
    manifest["constrained"] = {"main": {"a": "grammar", "b": "off", "c": "grammar"}}
    (two.path / "run.json").write_text(json.dumps(manifest))
    assert runs.compare(one, load_run(two.path)).notes == ("constrained: v1 no, v2 grammar or off",)


def test_how_answers_are_written_is_told_whole(runs: Runs) -> None:
    """Options and fields of the output belong to how an answer is read."""
    one = runs.make("v1", text=PROMPT + "output: {format: list, separator: ;, none: nothing}\n")
    two = runs.make("v2", text=PROMPT + "output: {format: json, fields: [mood]}\n")
    assert runs.compare(one, two).notes == (
        "only the output format differs from v1 to v2: the words of the prompt are the same",
        "output format: v1 list (separator ;, none nothing), v2 json (with mood)",
    )


def test_shots_are_told_by_their_number(runs: Runs) -> None:
    """How many worked examples a prompt shows stands above the tables."""
    shots = "shots: {{from: ../datasets/shots.jsonl, k: 2{more}}}\n"
    one, two = runs.make("v1"), runs.make("v2", text=PROMPT + shots.format(more=""))
    three = runs.make("v3", text=PROMPT + shots.format(more=", select: similar"))
    assert runs.compare(one, two, three).notes == ("shots: v1 none, v2 2, v3 the nearest 2",)


def test_another_server_is_told(runs: Runs) -> None:
    """Another base URL, engine or dataset is named, and what the server calls its model where that alone changed."""
    one, two = runs.make("v1"), runs.make("v2", "x")
    changed(one, endpoints={"answer": {"base_url": "http://a/v1", "api": "chat"}}, served=["scripted-1"])
    changed(two, endpoints={"answer": {"gguf": "ab" * 32, "api": "chat"}}, served=["scripted-2"], dataset="other")
    assert runs.compare(one, two).notes == (
        "engine: v1 none, v2 embedded",
        "base url: v1 http://a/v1, v2 none",
        "served model: v1 scripted-1, v2 scripted-2",
        "dataset: v1 reviews, v2 other",
    )


def test_engine_settings_are_told_of_engines(runs: Runs) -> None:
    """Beside a server an engine is one line; its settings are told where they differ between embedded models."""
    one, two, three = runs.make("v1"), runs.make("v2", "x"), runs.make("v3", "y")
    local = {"gguf": "ab" * 32, "xllamacpp": "2.2", "slots": 1, "threads": 6, "api": "chat"}
    changed(one, endpoints={"answer": {"base_url": "http://a/v1", "api": "chat"}})
    changed(two, endpoints={"answer": local})
    changed(three, endpoints={"answer": {**local, "slots": 4}})
    assert runs.compare(one, two).notes == ("engine: v1 none, v2 embedded", "base url: v1 http://a/v1, v2 none")
    assert runs.compare(two, three).notes == ("slots: v2 1, v3 4",)
    assert runs.compare(one, two, three).notes == (
        "engine: v1 none, v2 embedded, v3 embedded",
        "base url: v1 http://a/v1, v2 none, v3 none",
        "slots: v2 1, v3 4",
    )


def changed(run: StoredRun, **manifest: Any) -> None:
    """Change what a run on disk says of itself."""
    write_json(run.path / "run.json", {**run.manifest.to_json(), **manifest})


def test_other_descriptions_of_labels_are_told(runs: Runs) -> None:
    """Labels of the same names can be described in other words: that is a change beside the prompt."""
    one = runs.make("v1")
    runs.folder.write("datasets/reviews.yaml", DATASET.replace("Too dear", "It costs too much"))
    told = "labels: their descriptions, aliases, groups or order differ between the runs"
    assert told in runs.compare(one, runs.make("v2", "x")).notes


def test_answers_that_were_drawn_again_are_told(runs: Runs, switch: Switch) -> None:
    """A run whose bad answers were redrawn is not compared in silence: that inflates scores."""
    switch.to(right_but(s1="bananas"))
    one, two = runs.make("v1"), runs.make("v2", "x")
    switch.to(right_but())
    two = execution.resume(load_run(two.path), runs.folder.project, retry=frozenset({FailureKind.UNPARSEABLE}))
    assert runs.compare(one, two).notes == ("answers drawn again: v1 none, v2 unparseable",)


def test_params_of_every_pass_are_told(runs: Runs) -> None:
    """The same params in other passes are a difference."""
    passes = "dataset: ../datasets/reviews.yaml\nmodel: scripted\npasses:\n"
    one_pass = "  - {{template: '{{{{ text }}}}', model: {{params: {{temperature: {}}}}}}}\n"
    one = runs.make("v1", text=passes + one_pass.format(0) + one_pass.format(1))
    two = runs.make("v2", text=passes + one_pass.format(1) + one_pass.format(0))
    assert runs.compare(one, two).notes == (
        'params: v1 {"temperature":0} + {"temperature":1}, v2 {"temperature":1} + {"temperature":0}',
    )


# --- what a version name may not mean ------------------------------------


def doubted(runs: Runs, name: str, run: StoredRun) -> list[str]:
    """Return what is doubtful about a name."""
    return doubts(name, load_run(run.path), runs.folder.project)


def test_a_version_whose_prompt_has_changed_since_is_doubtful(runs: Runs) -> None:
    """A version name is told to be doubtful when its file would ask something else today; notes do not count."""
    run = runs.make("v1")
    assert doubted(runs, "v1", run) == []
    runs.folder.prompt("v1", "notes: other words\n" + PROMPT.replace("Labels:", "Labels :"))
    assert doubted(runs, "v1", run) == []
    runs.folder.prompt("v1", PROMPT.replace("Labels:", "Labels now:"))
    id_ = run.manifest.id
    assert doubted(runs, "v1", run) == [
        f"the prompt prompts/v1.yaml has changed since {id_}. Run it again to score it."
    ]
    assert doubted(runs, id_, run) == []


FROM_FILES = (
    HEAD
    + """\
vars: {tone: calm, guide: {file: guide.md}}
template: |
  {% include "part.txt" %}
  {{ tone }} {{ guide }} {{ shots | length }} {{ text }}
shots: {from: ../datasets/shots.jsonl}
"""
)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("prompts/guide.md", "Be strict."),
        ("prompts/part.txt", "Another part."),
        ("datasets/shots.jsonl", jsonl({"w1": ("Lost in the post.", ["price"])})),
        ("prompts/v1.yaml", FROM_FILES.replace("calm", "angry")),
    ],
)
def test_a_version_has_changed_with_any_file_that_it_is_made_of(runs: Runs, file: str, text: str) -> None:
    """A variable, a file of a variable, an included file and shots are asked with too: a change of them is told."""
    runs.folder.write("prompts/guide.md", "Be kind.")
    runs.folder.write("prompts/part.txt", "A part.")
    run = runs.make("v1", text=FROM_FILES)
    assert doubted(runs, "v1", run) == []
    runs.folder.write(file, text)
    assert doubted(runs, "v1", run) == [
        f"the prompt prompts/v1.yaml has changed since {run.manifest.id}. Run it again to score it."
    ]


def test_what_was_given_to_a_run_is_no_change_of_its_prompt(runs: Runs) -> None:
    """A variable that was given on the command line holds for the file of today too, whatever it says itself."""
    text = HEAD + 'vars: {tone: calm}\ntemplate: "{{ tone }} {{ guide }} {{ text }}"\n'
    run = runs.make("v1", text=text, variables={"tone": "angry", "guide": "Be strict."})
    assert doubted(runs, "v1", run) == []


def test_models_of_several_passes_are_no_change(runs: Runs) -> None:
    """Where passes have models of their own, none of them stands in for another when the file is read again."""
    text = TWO_PASSES.replace("name: second", "name: second\n    model: {name: other, api: responses, params: {}}")
    run = runs.make("v1", text=text)
    assert run.manifest.models == ("scripted", "other")
    assert doubted(runs, "v1", run) == []


def test_a_version_that_several_models_ran_is_doubtful(runs: Runs) -> None:
    """A version name is told to be doubtful when its complete runs were made with different models."""
    runs.make("v1", model="large")
    run = runs.make("v1", model="small")
    assert doubted(runs, "v1", run) == [f"v1 was run with small, large; this is {run.manifest.id} with small."]


def test_a_version_whose_newest_run_is_a_small_one_is_doubtful(runs: Runs) -> None:
    """After a quick run on a few samples, the version means that one, and an older run with more of them is named."""
    whole = runs.make("v1")
    small = runs.make("v1", limit=2)
    assert doubted(runs, "v1", small) == [
        f"v1 is its newest run, {small.manifest.id}, with 2 samples; {whole.manifest.id} has 6."
    ]


def test_a_prompt_that_is_gone_or_broken_leaves_no_doubt_to_tell(runs: Runs) -> None:
    """Without a prompt file that can be read there is nothing to compare with."""
    run = runs.make("v1")
    path = runs.folder.prompt("v1", "nonsense: [")
    assert doubted(runs, "v1", run) == []
    path.unlink()
    assert doubted(runs, "v1", run) == []


def test_params_that_all_passes_share_are_told_once(runs: Runs) -> None:
    """A prompt of two passes with the params of one differs from it in no params."""
    one, two = runs.make("v1"), runs.make("v2", text=TWO_PASSES)
    assert not any(note.startswith("params") for note in runs.compare(one, two).notes)


def test_whether_a_prompt_file_has_changed_since_a_run(runs: Runs) -> None:
    """A file that says something else than what was run has changed; one that is gone says nothing."""
    run = runs.make("v1", "one")
    assert not file_has_changed(run, runs.folder.project)
    runs.folder.prompt("v1", PROMPT)
    assert file_has_changed(run, runs.folder.project)
    runs.folder.path("v1").unlink()
    assert not file_has_changed(run, runs.folder.project)
