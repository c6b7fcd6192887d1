"""The Python API: runs and comparisons as tables, and the functions that make them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from projects import DATASET, DEV, PROMPT, Folder, Switch, jsonl, right_but
from scripted_server import ScriptedServer, error

import harness
from harness import api
from harness.comparison import FLIPS
from harness.errors import DataError, HarnessError, RunNameError, UsageError
from harness.runner import Progress
from harness.selection import Selection
from harness.significance import Settings
from harness.stats import AVERAGES


@pytest.fixture
def switch() -> Switch:
    """Return a script that answers exactly right until it is told otherwise."""
    return Switch(right_but())


@pytest.fixture
def server(switch: Switch) -> Iterator[ScriptedServer]:
    """Return a server that answers as the switch stands."""
    with ScriptedServer(switch) as running:
        yield running


def run(folder: Folder, server: ScriptedServer, version: str = "v1", **options: Any) -> api.Run:
    """Run a prompt by the API."""
    return harness.run(folder.path(version), base_url=server.base_url, project=folder.project, **options)


# --- run --------------------------------------------------------------------------------------------------------------


def test_a_run_tells_what_it_is(folder: Folder, server: ScriptedServer) -> None:
    """A run has id, version, state, path and a short way to print it."""
    made = run(folder, server)
    assert made.id.startswith("v1-")
    assert (made.version, made.state, made.path) == ("v1", "complete", folder.project.runs / made.id)
    assert repr(made) == f"<Run {made.id}: complete, 6 samples>"
    assert made.headline == {"macro_f1": 1.0, "micro_f1": 1.0, "subset_accuracy": 1.0, "coverage": 1.0}


def test_scores_have_one_row_a_label(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """`scores` is indexed by label, in label-space order."""
    switch.to(right_but(s1="price", s2=error(500)))
    scores = run(folder, server).scores
    assert scores.index.name == "label"
    assert list(scores.index) == ["shipping", "quality", "price"]
    assert list(scores.columns) == ["support", "predicted", "tp", "fp", "fn", "precision", "recall", "f1", "unanswered"]
    assert scores[["support", "predicted", "tp", "fp", "fn"]].values.tolist()[2] == [2, 3, 2, 1, 0]
    assert scores.loc["quality", "unanswered"] == 1


def test_predictions_have_one_row_each(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """`predictions` has every prediction with its gold, in the order of samples, repeat by repeat."""
    switch.to(right_but(s2=error(500)))
    predictions = run(folder, server, repeat=2).predictions
    assert list(predictions.columns) == [
        "id",
        "repeat",
        "gold",
        "labels",
        "unanswered",
        "failure",
        "why",
        "off_list",
        "fields",
        "repaired",
    ]
    assert list(predictions["id"]) == [*DEV, *DEV]
    assert list(predictions["repeat"]) == [0] * 6 + [1] * 6
    failed = predictions.iloc[1]
    assert (failed["labels"], failed["unanswered"]) == ([], ["shipping", "quality", "price"])
    assert failed["failure"] == "call_error"


def test_options_choose_samples_and_variables(folder: Folder, server: ScriptedServer) -> None:
    """Split, filter, ids, limit and variables reach the run."""
    folder.prompt("v1", PROMPT.replace("Labels:", "{{ tone }}:"))
    given: dict[str, Any] = {"variables": {"tone": "calm"}}
    assert list(run(folder, server, split="test", final=True, **given).predictions["id"]) == ["t1", "t2"]
    assert list(run(folder, server, filter="'price' in gold", **given).predictions["id"]) == ["s3", "s5"]
    assert list(run(folder, server, samples=iter(["s4"]), **given).predictions["id"]) == ["s4"]
    assert len(run(folder, server, limit=2, **given).predictions) == 2
    assert run(folder, server, tag="night", **given).stored.manifest.tag == "night"
    assert server.bodies()[0]["messages"][0]["content"].startswith("calm:")


def test_model_cache_and_concurrency_reach_the_run(folder: Folder, server: ScriptedServer) -> None:
    """The model goes before the prompt's, `cache=False` asks anew, and `concurrency` bounds the calls under way."""
    run(folder, server, model="other")
    assert {body["model"] for body in server.bodies()} == {"other"}
    run(folder, server, model="other")
    assert server.count == 6
    server.reset()
    run(folder, server, model="other", cache=False, concurrency=1)
    assert (server.count, server.max_in_flight) == (6, 1)


def test_progress_and_warnings_are_told(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """`progress` is called on the way, and `warn` with what a person should know."""
    folder.write("datasets/reviews.dev.jsonl", '{"text": "a", "labels": []}\n{"text": "a", "labels": []}\n')
    done: list[int] = []
    told: list[str] = []

    def progress(now: Progress) -> None:
        done.append(now.done)

    switch.to("none")
    run(folder, server, progress=progress, warn=told.append)
    assert done[-1] == 2
    assert len(told) == 1
    assert "texts that repeat an earlier one: 1" in told[0]


def test_the_project_is_that_of_the_prompt(
    folder: Folder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a project the one around the prompt file is used, wherever the program runs."""
    monkeypatch.chdir(tmp_path)
    made = api.run(str(folder.path("v1")), base_url=server.base_url)
    assert made.path.parent == folder.root.resolve() / "runs"


def test_fewer_than_one_repeat_is_refused(folder: Folder, server: ScriptedServer) -> None:
    """A run asks at least once."""
    with pytest.raises(UsageError, match=r"^--repeat: must be at least 1, got 0\.$"):
        run(folder, server, repeat=0)


def test_a_plan_makes_no_call(folder: Folder, server: ScriptedServer) -> None:
    """`plan_run` reads and checks everything, and asks nothing."""
    plan, project = api.plan_run(folder.path("v1"), project=folder.project)
    assert (len(plan.samples), plan.repeats, plan.selection) == (6, 1, Selection())
    assert project is folder.project
    assert server.count == 0


# --- failures ---------------------------------------------------------------------------------------------------------


def test_failures_have_one_row_each(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """`failures` is a table of what went wrong, with the same columns when nothing did."""
    columns = ["id", "repeat", "kind", "gold", "predicted", "missed", "extra", "off_list", "why", "inputs", "raw"]
    empty = run(folder, server).failures()
    assert (list(empty.columns), len(empty)) == (columns, 0)
    switch.to(right_but(s1="price", s2=error(500)))
    failures = run(folder, server, cache=False).failures()
    assert list(failures.columns) == columns
    assert failures[["id", "kind"]].values.tolist() == [["s1", "wrong"], ["s2", "call_error"]]
    assert failures.loc[0, "raw"] == {"main": "price"}


def test_failures_can_be_chosen(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Label (by any spelling), kind and order choose among the failures."""
    switch.to(right_but(s1="price", s2="none", s3="shipping"))
    made = run(folder, server)
    assert list(made.failures(label="Build Quality")["id"]) == ["s2", "s3"]
    assert list(made.failures(kind="fp", sort="errors")["id"]) == ["s3", "s1"]


def test_failures_can_be_those_that_were_right_before(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """`regressed_from` leaves what was exactly right in that run; with a label, what was right in that label."""
    switch.to(right_but(s2="price", s3="price"))
    run(folder, server)
    folder.prompt("v2", PROMPT.replace("Labels:", "Choose:"))
    switch.to(right_but(s1="none", s2="none", s3="none"))
    made = run(folder, server, "v2")
    assert list(made.failures()["id"]) == ["s1", "s2", "s3"]
    assert list(made.failures(regressed_from="v1")["id"]) == ["s1"]
    assert list(made.failures(regressed_from="v1", label="price")["id"]) == ["s3"]
    assert list(made.failures(regressed_from="v1", label="quality")["id"]) == []


def test_regressions_are_those_of_common_samples(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A sample whose text changed between the runs has not regressed, in a label neither."""
    run(folder, server)
    folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s1": ("Other.", ["shipping"])}))
    folder.prompt("v2", PROMPT.replace("Labels:", "Choose:"))
    switch.to("none")
    made = run(folder, server, "v2")
    assert list(made.failures(regressed_from="v1", label="shipping")["id"]) == ["s6"]
    assert "s1" not in list(made.failures(regressed_from="v1")["id"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"label": "prize"},
            "--label 'prize': must be a label of reviews: shipping, quality, price. Did you mean 'price'?",
        ),
        (
            {"kind": "refused"},
            "--kind 'refused': must be one of fp, fn, wrong, call_error, refusal, truncated, unparseable. "
            "Did you mean 'refusal'?",
        ),
        ({"sort": "error"}, "--sort 'error': must be one of order, errors, length. Did you mean 'errors'?"),
    ],
)
def test_what_does_not_exist_is_told(
    folder: Folder, server: ScriptedServer, options: dict[str, str], message: str
) -> None:
    """An unknown label, kind or order is a usage error that names the known ones."""
    with pytest.raises(UsageError) as caught:
        run(folder, server).failures(**options)
    assert str(caught.value) == message


# --- load, resume, score ----------------------------------------------------------------------------------------------


def test_runs_are_loaded_by_name(folder: Folder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`load` takes what the commands take, in the given project or the one around the current folder."""
    made = run(folder, server)
    for name in ("v1", "latest", made.id, str(made.path)):
        assert api.load(name, folder.project).id == made.id
    monkeypatch.chdir(folder.root)
    assert harness.load("v1").scores.equals(made.scores)
    with pytest.raises(RunNameError, match="run 'v7': no such run"):
        harness.load("v7")


def test_a_run_is_resumed_by_name(
    folder: Folder, switch: Switch, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`resume` makes the missing calls of the newest run of a name, whatever its state."""
    switch.to(right_but(s1=error(500), s2="bananas"))
    assert run(folder, server).state == "incomplete"
    switch.to(right_but())
    told: list[Progress] = []
    resumed = api.resume("v1", retry=["call_error"], project=folder.project, progress=told.append)
    assert (resumed.state, len(resumed.failures())) == ("complete", 1)
    assert told[-1].resumed == 5
    monkeypatch.chdir(folder.root)
    assert len(harness.resume("latest", retry=["unparseable"]).failures()) == 0


def test_an_unknown_kind_to_retry_is_refused(folder: Folder) -> None:
    """A kind that no failure has is a usage error, before the run is looked for."""
    with pytest.raises(UsageError) as caught:
        api.resume("v1", retry=["call_error", "truncatd"], project=folder.project)
    assert str(caught.value) == (
        "--kind 'truncatd': must be one of call_error, refusal, truncated, unparseable. Did you mean 'truncated'?"
    )


def test_a_run_is_scored_again_by_name(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """`score` reads the newest run of a name with today's files."""
    switch.to(right_but(s5="cost"))
    made = run(folder, server)
    folder.write("datasets/reviews.yaml", DATASET.replace("price: Too dear", "price: {aliases: [cost]}"))
    rescored = harness.score("v1", folder.project)
    assert (rescored.changed, rescored.missing, rescored.run.manifest.id) == (1, 0, made.id)
    assert api.load("v1", folder.project).headline["coverage"] == 1.0


# --- compare ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def compared(folder: Folder, switch: Switch, server: ScriptedServer) -> api.ComparisonResult:
    """Return two versions side by side: one sample regressed, one fixed, one churned."""
    switch.to(right_but(s2="none", s3="price"))
    run(folder, server)
    folder.prompt("v2", PROMPT.replace("Labels:", "Choose:"))
    switch.to(right_but(s1="price, shipping", s3="shipping"))
    run(folder, server, "v2")
    return harness.compare("v1", "v2", project=folder.project)


def test_headlines_have_one_row_a_run(compared: api.ComparisonResult) -> None:
    """`headline` is indexed by the runs' names."""
    assert list(compared.headline.index) == ["v1", "v2"]
    names = ["macro_f1", "micro_f1", "subset_accuracy", "coverage"]
    assert list(compared.headline.columns) == [*names, *(f"{name}_{end}" for name in names for end in ("low", "high"))]
    assert (compared.headline["macro_f1_low"] <= compared.headline["macro_f1"]).all()
    assert compared.headline.loc["v1", "subset_accuracy"] == pytest.approx(4 / 6)


def test_labels_have_one_row_a_later_run_and_label(compared: api.ComparisonResult) -> None:
    """`labels` tells the change of each label."""
    table = compared.labels
    assert list(table.columns) == [
        "run", "label", "support", "f1_before", "f1_after", "delta", "answered_by_both", "regressed", "fixed", "unstable",
        "low", "high", "standard_error", "detectable", "p", "p_corrected", "verdict", "withheld", *FLIPS,
    ]  # fmt: skip
    assert set(table["verdict"]) == {"too few to tell"}
    assert table[["run", "label"]].values.tolist() == [["v2", "shipping"], ["v2", "quality"], ["v2", "price"]]
    price = table.set_index("label").loc["price"]
    assert (price["regressed"], price["fixed"]) == (2, 0)
    assert price["delta"] == pytest.approx(price["f1_after"] - price["f1_before"])


def test_samples_have_one_row_a_change(compared: api.ComparisonResult) -> None:
    """`samples` tells regressed, fixed and churned samples, labels in label-space order."""
    assert compared.samples.to_dict("records") == [
        {
            "run": "v2",
            "sample": "s1",
            "kind": "regressed",
            "gold": ["shipping"],
            "before": ["shipping"],
            "after": ["shipping", "price"],
            "flips": {"price": "TN→FP"},
            "unstable": [],
        },
        {
            "run": "v2",
            "sample": "s2",
            "kind": "fixed",
            "gold": ["quality"],
            "before": [],
            "after": ["quality"],
            "flips": {"quality": "FN→TP"},
            "unstable": [],
        },
        {
            "run": "v2",
            "sample": "s3",
            "kind": "churned",
            "gold": ["quality", "price"],
            "before": ["price"],
            "after": ["shipping"],
            "flips": {"shipping": "TN→FP", "price": "TP→FN"},
            "unstable": [],
        },
    ]


def test_differences_have_one_row_a_later_run_and_average(compared: api.ComparisonResult) -> None:
    """`differences` has every average before and after, with its uncertainty and verdict."""
    table = compared.differences
    assert table["run"].tolist() == ["v2"] * 6
    assert table["score"].tolist() == list(AVERAGES)
    assert (table["after"] - table["before"]).tolist() == pytest.approx(table["delta"].tolist())
    assert set(table["verdict"]) == {"inconclusive"}


def test_errors_moved_have_one_row_a_confusion(compared: api.ComparisonResult) -> None:
    """`errors_moved` tells which confusions became more or less frequent."""
    assert compared.errors_moved.to_dict("records")[0] == {
        "run": "v2",
        "missed": "quality",
        "predicted": "shipping",
        "before": 0,
        "after": 1,
    }


def test_the_verdict_is_a_text(compared: api.ComparisonResult) -> None:
    """`verdict` says a line of each later run."""
    assert compared.verdict.startswith("v2 against v1: inconclusive: macro F1 ")
    assert "\n" not in compared.verdict


def test_settings_reach_the_judgement(compared: api.ComparisonResult, folder: Folder) -> None:
    """`margin` and `seed` go before `settings`; a margin that is no share is refused."""
    again = api.compare("v1", "v2", margin=0.5, settings=Settings(seed=4, margin=0.1), project=folder.project)
    assert (again.compared.settings.margin, again.compared.settings.seed) == (0.5, 4)
    with pytest.raises(UsageError, match=r"^--margin: must be between 0 and 1, got 2\.$"):
        api.compare("v1", "v2", margin=2, project=folder.project)


def test_other_samples_are_compared_when_asked_for(folder: Folder, server: ScriptedServer) -> None:
    """`common` compares runs of other samples on those that both have."""
    one, two = run(folder, server), run(folder, server, limit=4)
    with pytest.raises(DataError, match="must have the same samples to be compared"):
        api.compare(one.id, two.id, project=folder.project)
    assert api.compare(one.id, two.id, common=True, project=folder.project).compared.comparison.n_common == 4


def test_no_change_is_an_empty_table(folder: Folder, server: ScriptedServer) -> None:
    """Without changes the tables keep their columns."""
    one, two = run(folder, server), run(folder, server)
    result = api.compare(one.id, two.id, project=folder.project)
    assert isinstance(result.samples, pd.DataFrame)
    assert (list(result.samples.columns), len(result.samples)) == (
        ["run", "sample", "kind", "gold", "before", "after", "flips", "unstable"],
        0,
    )


def test_one_run_is_no_comparison(folder: Folder) -> None:
    """A comparison needs two runs."""
    with pytest.raises(DataError, match=r"^compare: must have at least two runs, got one \(v1\)\.$"):
        api.compare("v1", project=folder.project)


def test_the_current_folders_project_is_compared(
    compared: api.ComparisonResult, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a project, `compare` and `score` use the one around the current folder."""
    monkeypatch.chdir(folder.root)
    assert harness.compare("v1", "v2").headline.equals(compared.headline)
    assert harness.score("v1").changed == 0


# --- the package ------------------------------------------------------------------------------------------------------


def test_the_package_offers_the_api() -> None:
    """`import harness` gives the functions and the error to catch; what it has not is an AttributeError."""
    assert harness.run is api.run
    assert harness.HarnessError is HarnessError
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'runn'"):
        harness.runn  # noqa: B018 - the access is what is tested


def test_undefined_scores_are_nan(folder: Folder, server: ScriptedServer) -> None:
    """0/0 is NaN in the tables, never a number that looks like a score."""
    made = run(folder, server, samples=["s4"])
    assert math.isnan(made.scores.loc["price", "f1"])  # type: ignore[arg-type]
    assert math.isnan(made.headline["macro_f1"])


async def test_a_run_works_inside_a_running_event_loop(folder: Folder) -> None:
    """In a notebook, where an event loop is running already, `run` works like anywhere else."""
    folder.prompt("v1", PROMPT)
    with ScriptedServer("shipping") as server:
        assert folder.run_on(server, "v1").state == "complete"


# --- gate -------------------------------------------------------------------------------------------------------------


def test_a_gate_returns_what_became_of_every_rule(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """`gate` holds a run against rules and another run, and says of every rule how it went."""
    first = run(folder, server)
    switch.to(right_but(s1="price"))
    later = run(folder, server, cache=False)
    gated = harness.gate(later.id, "macro_f1 >= 0.5", "regressed <= 0", against=first.id, project=folder.project)
    assert not gated.result.passed
    status = {case.name: case.status for case in gated.result.cases if case.name != "complete"}
    assert status == {"macro_f1 >= 0.5": "passed", "regressed <= 0": "failed"}
