"""The `model` section of a prompt file: who answers, with which parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from harness.clients.wires import WIRES
from harness.errors import Problems
from harness.parsing import Output
from harness.prompt import Api, Engine, MessageTemplate, Model, Pass, Prompt
from harness.promptmodel import UNREADABLE, model_problems, read_model, with_local_params
from harness.yamlfile import read_yaml


def read(tmp_path: Path, text: str) -> tuple[dict[str, Any], list[str]]:
    """Return what a file's `model` says, and its problems without the file's name."""
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    problems = Problems(path)
    said = read_model(read_yaml(path, problems))
    return said, [str(each).removeprefix(f"{path}:") for each in problems.found]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("notes: x", {}),
        ("model:", {}),
        ("model: gpt-x", {"name": "gpt-x"}),
        ("model: {base_url: 'http://h/v1'}", {"base_url": "http://h/v1"}),
        ("model: {name: m, api: chat, params: {}}", {"name": "m", "api": "chat", "params": {}}),
        ("model: {params: {stop: [x], n: 1, stream: false}}", {"params": {"stop": ["x"], "n": 1, "stream": False}}),
        ("model: {api: completions, suffix: ' ->'}", {"api": "completions", "suffix": " ->"}),
        ('model: {suffix: "\\n\\n###\\n\\n"}', {"suffix": "\n\n###\n\n"}),
        ("model: {suffix: ''}", {"suffix": ""}),
        ("model: {engine: {}}", {"engine": Engine()}),
        ("model: {engine: {slots: 4, threads: auto}}", {"engine": Engine(slots=4)}),
        (
            "model: {engine: {slots: 2, threads: 3, prefix_reuse: false, context: 512}}",
            {"engine": Engine(slots=2, threads=3, prefix_reuse=False, context=512)},
        ),
    ],
)
def test_only_what_is_said_is_there(tmp_path: Path, text: str, said: dict[str, Any]) -> None:
    """What the section leaves out is not in the result, so that another section's word can stand for it."""
    assert read(tmp_path, text) == (said, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model: [m]", "1: 'model' must be a mapping, got a list."),
        ("model: {nam: m}", "1: unknown key 'model.nam'. Did you mean 'name'?"),
        (
            "model: {api: chatt}",
            "1: 'model.api' must be one of chat, responses, completions, decisions, systemone, got 'chatt'. "
            "Did you mean 'chat'?",
        ),
        ("model: {suffix: [x]}", "1: 'model.suffix' must be a text, got a list."),
        ("model:\n  name: m\n  params: 5", "3: 'model.params' must be a mapping, got a number."),
        ("model: {params: {model: x}}", "1: 'model.params' must not set model: the prompt does."),
        (
            "model: {params: {messages: [], model: x}}",
            "1: 'model.params' must not set messages, model: the prompt does.",
        ),
        (
            "model: {params: {stream: true}}",
            "1: 'model.params' must not set 'stream' or 'n': one call has one answer. For more, use --repeat.",
        ),
        (
            "model: {params: {n: 3}}",
            "1: 'model.params' must not set 'stream' or 'n': one call has one answer. For more, use --repeat.",
        ),
        (
            "model: {params: {extra_headers: {x-key: sk-1}, API_KEY: sk-2}}",
            "1: 'model.params' must not set extra_headers, API_KEY: it is saved with every run. A key goes into "
            "OPENAI_API_KEY; what is to be sent in the request stands here by its own name.",
        ),
        ("model: {engine: {slots: 0}}", "1: 'model.engine.slots' must be at least 1, got 0."),
        ("model: {engine: {threads: many}}", "1: 'model.engine.threads' must be a whole number, got a text."),
        ("model: {engine: {prefix_reuse: 1}}", "1: 'model.engine.prefix_reuse' must be true or false, got a number."),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, problem: str) -> None:
    """A model section that cannot be used is one message with its line."""
    assert read(tmp_path, text)[1] == [problem]


@pytest.mark.parametrize("text", ["model: [m]", "model: {name: [m]}"])
def test_a_name_that_cannot_be_read_does_not_count_as_missing(tmp_path: Path, text: str) -> None:
    """A wrong name is told once: it is not said to be missing too."""
    said, problems = read(tmp_path, text)
    assert said["name"] == UNREADABLE
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("name", "replacement", "params"),
    [
        ("local/m", None, {"temperature": 0, "max_tokens": 8}),
        ("gpt", None, {"max_tokens": 8}),
        ("gpt", "local/m", {"temperature": 0, "max_tokens": 8}),
        ("local/m", "gpt", {"max_tokens": 8}),
    ],
)
def test_an_embedded_model_is_greedy_where_nothing_else_is_said(
    name: str, replacement: str | None, params: dict[str, Any]
) -> None:
    """Defaults for the embedded model hold for the model that will answer, and what the prompt says goes before them."""
    assert with_local_params(Model(name, params={"max_tokens": 8}), replacement).params == params


# What cannot go together


LOGPROBS = {"include": ["message.output_text.logprobs"], "top_logprobs": 5}


@pytest.mark.parametrize(
    "model",
    [
        Model("m", params={"max_tokens": 5, "logprobs": True, "top_logprobs": 5, "prompt": {}, "input": 1}),
        Model("m", "responses", params={"max_output_tokens": 5, **LOGPROBS, "prompt": {"id": "p"}}),
        Model("m", "completions", params={"max_tokens": 1, "logprobs": 2}, suffix=" ->"),
        Model("local/m", "completions"),
        Model("local/m", "systemone"),
        Model("m", "decisions"),
        Model("m", "systemone", params={"max_tokens": 5}),
        Model("m", params={"max_tokens": "auto", "stop": "auto"}),
        Model("m", "completions", params={"max_tokens": "auto", "stop": ["auto"]}),
    ],
)
def test_what_goes_together_is_no_problem(model: Model) -> None:
    """Each API takes its own parameters by its own names; what it does not know it is given as it is."""
    assert list(model_problems(model)) == []


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (
            Model("local/m", "responses"),
            "'model.api' must be one of chat, completions, systemone for local/m, got 'responses'. "
            "Name another API or model.",
        ),
        (
            Model("m", suffix=" ->"),
            "'model.suffix' must stand with 'api: completions', got 'api: chat', which has messages. "
            "Take it out, or write suffix: ''.",
        ),
        (Model("m", "responses", params={"input": "x"}), "'model.params' must not set input: the prompt does."),
        (Model("m", "completions", params={"prompt": "x"}), "'model.params' must not set prompt: the prompt does."),
        (
            Model("m", "responses", params={"max_tokens": 5}),
            "'model.params' must not set 'max_tokens': with 'api: responses' it is called 'max_output_tokens'. Rename it.",
        ),
        (
            Model("m", "completions", params={"max_completion_tokens": 5}),
            "'model.params' must not set 'max_completion_tokens': with 'api: completions' it is called 'max_tokens'. "
            "Rename it.",
        ),
        (
            Model("m", "completions", params={"logprobs": True}),
            "'model.params' must ask for log-probabilities by a number with 'api: completions', that of the tokens that "
            "are listed. Write logprobs: 5.",
        ),
        (
            Model("m", "completions", params={"logprobs": 5, "top_logprobs": 5}),
            "'model.params' must ask for log-probabilities by a number with 'api: completions', that of the tokens that "
            "are listed. Write logprobs: 5.",
        ),
        (
            Model("m", params={"logprobs": 20}),
            "'model.params' must ask for log-probabilities in another way with 'api: chat'. "
            "Write logprobs: true and top_logprobs: 20.",
        ),
        (
            Model("m", "responses", params={"logprobs": True, **LOGPROBS}),
            "'model.params' must ask for log-probabilities in another way with 'api: responses'. "
            "Write include: [message.output_text.logprobs] and top_logprobs: 20.",
        ),
        (
            Model("m", "responses", params={"top_logprobs": 5, "include": "all"}),
            "'model.params' must ask for log-probabilities in another way with 'api: responses'. "
            "Write include: [message.output_text.logprobs] and top_logprobs: 20.",
        ),
        (
            Model("m", params={"max_completion_tokens": "auto"}),
            "'max_completion_tokens' must be a number, got 'auto': what a model thinks before it answers counts too, and no "
            "format bounds that. Write max_completion_tokens: 2000, or leave it out.",
        ),
        (
            Model("m", "responses", params={"max_output_tokens": "auto"}),
            "'max_output_tokens' must be a number, got 'auto': what a model thinks before it answers counts too, and no "
            "format bounds that. Write max_output_tokens: 2000, or leave it out.",
        ),
        (
            Model("m", "responses", params={"max_tokens": "auto"}),
            "'model.params' must not set 'max_tokens': with 'api: responses' it is called 'max_output_tokens'. Rename it.",
        ),
        (
            Model("m", "responses", params={"stop": "auto"}),
            "'stop: auto' needs an API that takes stop sequences, and 'api: responses' takes none. Take it out.",
        ),
        (
            Model("m", "decisions", params={"max_tokens": "auto"}),
            "'max_tokens: auto' needs a text to bound, and 'api: decisions' writes none. Take it out.",
        ),
        (
            Model("m", "systemone", params={"stop": "auto"}),
            "'stop: auto' needs a text to bound, and 'api: systemone' writes none. Take it out.",
        ),
    ],
)
def test_what_cannot_go_together_is_told(model: Model, problem: str) -> None:
    """A parameter that the API knows by another name, or would silently leave unread, is told before any call."""
    assert list(model_problems(model)) == [problem]


def test_the_model_that_answers_decides_which_apis_there_are() -> None:
    """A model that replaces the prompt's own has its own APIs; the prompt's own does not matter then."""
    assert list(model_problems(Model("gpt", "responses"), "local/m")) == [
        "'model.api' must be one of chat, completions, systemone for local/m, got 'responses'. Name another API or model."
    ]
    assert list(model_problems(Model("local/m", "responses"), "gpt")) == []


def test_every_api_of_a_prompt_has_a_wire() -> None:
    """What a prompt file may name can be asked."""
    assert set(WIRES) == set(get_args(Api))


def test_a_suffix_is_part_of_what_is_asked() -> None:
    """A suffix changes the prompt's hash and survives the way into a run; without one all is as it was before."""

    def prompt(model: Model) -> Prompt:
        return Prompt("v1", (Pass("main", (MessageTemplate("user", "{{ text }}"),), model, Output("list")),))

    plain, ended = prompt(Model("m", "completions")), prompt(Model("m", "completions", suffix=" ->"))
    assert plain.hash != ended.hash
    assert "suffix" not in plain.to_json()["passes"][0]["model"]
    assert ended.to_json()["passes"][0]["model"]["suffix"] == " ->"
    assert Prompt.from_json(ended.to_json()) == ended
    assert Prompt.from_json(plain.to_json()) == plain
