"""The `model` section of a prompt file: who answers, with which parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import Problems
from harness.prompt import Engine, Model
from harness.promptmodel import UNREADABLE, read_model, with_local_params
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
        ("model: {api: chatt}", "1: 'model.api' must be one of chat, got 'chatt'. Did you mean 'chat'?"),
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
