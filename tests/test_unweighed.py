"""Cells that a threshold was to decide and whose words decided: who is told, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from projects import Folder
from scripted_server import ScriptedServer, say

from harness.execution import start
from harness.labelspace import Label, LabelSpace
from harness.parsing import Output
from harness.prompt import Model, Pass, Prompt, Votes
from harness.records import Prediction
from harness.unweighed import Unweighed

SPACE = LabelSpace((Label("shipping"), Label("price")))
MAIN = Pass("main", (), Model("m", params={"logprobs": True}), Output("yes_no", threshold=0.9), per="label")


def told(predictions: list[Prediction], *passes: Pass) -> list[str]:
    """Return what is told of a run with these predictions."""
    unweighed = Unweighed(Prompt("v1", passes), SPACE)
    for each in predictions:
        unweighed.note(each)
    return list(unweighed.warnings())


def test_cells_without_a_probability_are_counted() -> None:
    """One notice says how many of the answered cells had none, what decided them, and what to do next."""
    none = frozenset[str]()
    weighed = Prediction("s2", none, probabilities={"shipping": 0.2, "price": 0.1})
    half = Prediction("s3", none, frozenset({"price"}), probabilities={"shipping": 0.2})
    (notice,) = told([Prediction("s1", none), weighed, half], MAIN)
    assert notice.startswith(
        "pass main: 2 of 5 answered labels came without a probability, so the threshold was not applied to them: their "
        "words decided. Look if the server gives log-probabilities with 'top_logprobs: 20'"
    )
    assert told([weighed, half], MAIN) == []


@pytest.mark.parametrize(
    "passes",
    [
        pytest.param((replace(MAIN, output=Output("yes_no")),), id="no-threshold"),
        pytest.param((replace(MAIN, output=Output("scores", threshold=0.9)),), id="its-own-numbers"),
        pytest.param((replace(MAIN, votes=Votes(3, "mean")),), id="votes"),
        pytest.param((MAIN, replace(MAIN, name="check", output=Output("list"))), id="another-pass-answers-too"),
    ],
)
def test_cells_that_need_none_are_not_counted(passes: tuple[Pass, ...]) -> None:
    """Where nothing is decided by log-probabilities, or another pass may have decided, nobody is told."""
    assert told([Prediction("s1", frozenset())], *passes) == []


def test_each_pass_is_told_by_itself() -> None:
    """Passes about different labels are counted apart."""
    passes = replace(MAIN, scope=("price",)), replace(MAIN, name="other", scope=("shipping",))
    found = told([Prediction("s1", frozenset(), probabilities={"price": 0.5})], *passes)
    assert [notice.partition(" answered")[0] for notice in found] == ["pass other: 1 of 1"]


def test_a_run_tells_at_its_end(folder: Folder) -> None:
    """A server that lists no other token than the one it wrote gives no probabilities, and the run says so."""
    folder.write(
        "prompts/v1.yaml",
        "dataset: ../datasets/reviews.yaml\n"
        "model: {name: scripted, params: {max_tokens: 1, logprobs: true, top_logprobs: 20}}\n"
        "per: label\noutput: {format: yes_no, threshold: 0.9}\n"
        'template: "{{ label.name }}? {{ text }}"\n',
    )
    notices: list[str] = []
    with ScriptedServer(lambda _: say("yes")) as server:
        run = start(folder.plan("v1", base_url=server.base_url), folder.project, warn=notices.append)
    assert all(each.labels for each in run.predictions)
    n_cells = len(run.predictions) * len(run.manifest.space)
    (notice,) = [each for each in notices if "threshold" in each]
    assert f"pass main: {n_cells} of {n_cells} answered labels came without a probability" in notice
