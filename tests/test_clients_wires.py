"""Every API that answers with text, from a prompt file over real HTTP to scores."""

from __future__ import annotations

import json

import pytest
from projects import DEV, RIGHT, TEMPLATE, Folder
from scripted_server import COMPLETIONS_PATH, RESPONSES_PATH, Reply, ScriptedServer, answering, error

from harness.clients.wires import LOCAL_APIS, WIRES
from harness.errors import DataError, ModelError
from harness.records import FailureKind

THINKING = answering(lambda text: Reply(answer_to(text), reasoning=f"Let me think: price? {text}"))


def answer_to(text: str) -> str:
    """The right answer to a request."""
    return next(answer for sample, answer in RIGHT.items() if sample in text)


def prompt(model: str) -> str:
    """A prompt file with this model."""
    return f"dataset: ../datasets/reviews.yaml\nmodel: {model}\n{TEMPLATE}"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("{name: m, api: responses, params: {temperature: 0, max_output_tokens: 99}}", RESPONSES_PATH),
        (
            "{name: m, api: completions, params: {temperature: 0, max_tokens: 9, stop: [x]}, suffix: ' ->'}",
            COMPLETIONS_PATH,
        ),
    ],
)
def test_a_run_over_every_api(folder: Folder, model: str, path: str) -> None:
    """Right answers are all right whatever API they come from, and the same run again comes from the cache."""
    folder.prompt("v2", prompt(model))
    with ScriptedServer(answering(answer_to)) as server:
        first = folder.run_on(server, "v2")
        again = folder.run_on(server, "v2")
    assert {request.path for request in server.requests} == {path}
    assert server.count == len(DEV)
    assert [run.stored.scores["averages"]["subset_accuracy"] for run in (first, again)] == [1.0, 1.0]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_reasoning_is_stored_and_never_read(folder: Folder, api: str) -> None:
    """What a model thought names labels that its answer does not: it is stored beside the answer, and not in it."""
    folder.prompt("v2", prompt(f"{{name: m, api: {api}}}"))
    run = folder.run("v2", THINKING)
    assert run.stored.scores["averages"]["subset_accuracy"] == 1.0
    lines = (run.path / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["reasoning"].startswith("Let me think: price?") for line in lines)


@pytest.mark.parametrize("api", ["chat", "responses", "completions"])
def test_an_answer_for_which_no_tokens_were_left_is_truncated(folder: Folder, api: str) -> None:
    """An empty answer that its length ended is truncated, whether the model reasoned before it or not."""
    folder.prompt("v2", prompt(f"{{name: m, api: {api}}}"))
    run = folder.run("v2", Reply(None, reasoning="It came late, so", finish_reason="length"))
    assert {each.failure for each in run.stored.predictions} == {FailureKind.TRUNCATED}


def test_a_rejected_parameter_ends_the_run(folder: Folder) -> None:
    """A parameter that the server does not take ends the run, with its name."""
    folder.prompt("v2", prompt("{name: m, params: {max_tokens: 5}}"))
    with (
        ScriptedServer(error(400, "Unsupported parameter: 'max_tokens'", param="max_tokens")) as server,
        pytest.raises(ModelError, match=r"the server rejects the parameter 'max_tokens' \(400\)"),
    ):
        folder.run_on(server, "v2")


def test_parameters_of_another_api_are_told_before_any_call(folder: Folder) -> None:
    """A prompt file whose parameters go by another name is told with its line."""
    folder.prompt("v2", prompt("{name: m, api: responses, params: {max_tokens: 5}}"))
    with pytest.raises(DataError) as caught:
        folder.task("v2")
    assert str(caught.value) == (
        f"{folder.path('v2')}:2: 'model.params' must not set 'max_tokens': with 'api: responses' it is called "
        "'max_output_tokens'. Rename it."
    )


def test_every_api_of_embedded_models_is_one() -> None:
    """The APIs of embedded models are among all of them."""
    assert set(LOCAL_APIS) <= set(WIRES)
