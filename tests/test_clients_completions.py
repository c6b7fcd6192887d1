"""The completions API: messages become one prompt that the model goes on writing, and what it wrote is the answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import completions
from harness.clients.completions import prompt_of
from harness.parsing.tokens import tokens_of
from harness.prompt import Model
from harness.records import Call, Completion, Constraint, Message

SCHEMA = {"type": "object"}


def said(*turns: str) -> tuple[Message, ...]:
    """Messages: `s:` a system's, `a:` an assistant's, `u:` a user's."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return tuple({"role": roles[turn[0]], "content": turn[2:]} for turn in turns)


def answer(choice: Any, **more: Any) -> dict[str, Any]:
    """An answer with one choice."""
    return {"choices": [choice], **more}


# Requests


def test_the_body_is_params_model_and_prompt() -> None:
    """Params go as they are; the prompt is the call's own, and ends with the model's suffix."""
    model = Model(
        "m", "completions", params={"max_tokens": 1, "logprobs": 2, "stop": ["\n"], "prompt": "x"}, suffix=" ->"
    )
    assert completions.body(Call("s1", "main", "", 0, said("u:late")), model, "served-name") == {
        "max_tokens": 1,
        "logprobs": 2,
        "stop": ["\n"],
        "model": "served-name",
        "prompt": "late ->",
    }


@pytest.mark.parametrize(
    ("constraint", "asked"),
    [
        (Constraint("json_schema", schema=SCHEMA), {"json_schema": SCHEMA, "structured_outputs": {"json": SCHEMA}}),
        (Constraint("json_object"), {"json_schema": SCHEMA, "structured_outputs": {"json_object": True}}),
        (Constraint("grammar", grammar="g"), {"grammar": "g", "structured_outputs": {"grammar": "g"}}),
    ],
)
def test_a_constraint_goes_by_the_names_of_two_servers(constraint: Constraint, asked: dict[str, Any]) -> None:
    """llama.cpp and vLLM each find theirs; the API itself has no name for it."""
    call = Call("s1", "main", "", 0, said("u:late"))
    assert completions.body(call, Model("m"), "m", constraint) == {"model": "m", "prompt": "late", **asked}


@pytest.mark.parametrize(
    ("messages", "suffix", "prompt"),
    [
        (said(), "", ""),
        (said("u:late"), "", "late"),
        (said("u:late"), "\n\n###\n\n", "late\n\n###\n\n"),
        (said("s:Label.", "u:late"), "", "Label.\n\nlate"),
        (said("s:Label.", "u:late\nLabels:"), "", "Label.\n\nlate\nLabels:"),
        (said("u:a:", "a:x", "u:b:"), "", "a: x\n\nb:"),
        (said("u:a:\n", "a:x", "u:b:\n"), "", "a:\nx\n\nb:\n"),
        (said("u:a", "a:x", "u:b"), "\n\n###\n\n", "a\n\n###\n\n x\n\nb\n\n###\n\n"),
        (said("s:L", "u:a", "a:x", "u:b"), " ->", "L\n\na -> x\n\nb ->"),
        (said("u:a", "u:b", "a:x", "u:c"), " ->", "a\n\nb -> x\n\nc ->"),
        (said("u:a", "a:<<"), " ->", "a -> <<"),
        (said("u:a", "a:x", "a:y", "u:b"), " ->", "a -> x y\n\nb ->"),
        (said("a:x", "u:b"), " ->", "x\n\nb ->"),
        (said("s:L"), " ->", "L ->"),
    ],
)
def test_messages_become_a_prompt(messages: tuple[Message, ...], suffix: str, prompt: str) -> None:
    """Blank lines between what is said; an answer stands behind the suffix and a space; the end is the suffix.

    An answer that is only begun is the end: the model goes on with it.
    """
    assert prompt_of(messages, suffix) == prompt


@given(st.lists(st.tuples(st.text(), st.text()), max_size=3), st.text(), st.text(min_size=1))
def test_every_shot_stands_as_the_question_does(shots: list[tuple[str, str]], question: str, suffix: str) -> None:
    """What stands between a shot and its answer is exactly what stands behind the question, and a space."""
    turns = [turn for text, label in shots for turn in (f"u:{text}", f"a:{label}")]
    expected = "".join(f"{text}{suffix} {label}\n\n" for text, label in shots) + question + suffix
    assert prompt_of(said(*turns, f"u:{question}"), suffix) == expected


# Answers


def test_an_answer_is_read_whole() -> None:
    """Text with its leading space, finish reason, log-probabilities, usage and the served model, as they came."""
    logprobs = {"tokens": [" a"], "token_logprobs": [-0.5], "top_logprobs": [{" a": -0.5, " b": -1.5}]}
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}
    data = answer({"text": " a", "finish_reason": "length", "logprobs": logprobs}, usage=usage, model="m-2026")
    assert completions.read(data) == Completion(
        "ok",
        raw=" a",
        finish_reason="length",
        logprobs=logprobs,
        usage={"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 8},
        served_model="m-2026",
    )


@pytest.mark.parametrize(
    "logprobs",
    [
        {
            "tokens": [" yes"],
            "token_logprobs": [0.0],
            "top_logprobs": [{" yes": 0.0, " no": -9999.0}],
            "text_offset": [7],
        },
        {
            "content": [
                {
                    "id": 10,
                    "token": " yes",
                    "bytes": [32, 121, 101, 115],
                    "logprob": 0.0,
                    "top_logprobs": [{"token": " yes", "logprob": 0.0}, {"token": " no", "logprob": -9999.0}],
                }
            ]
        },
    ],
    ids=["openai", "llama.cpp"],
)
def test_both_shapes_of_log_probabilities_are_read(logprobs: dict[str, Any]) -> None:
    """OpenAI's shape and llama.cpp's say the same about the same tokens."""
    (token,) = tokens_of(completions.read(answer({"text": " yes", "logprobs": logprobs})).logprobs)
    assert (token.text, dict(token.top)) == (" yes", {" yes": 1.0, " no": 0.0})


@pytest.mark.parametrize(
    ("text", "finish_reason", "raw"), [(None, "stop", None), (None, "length", ""), ("", "stop", ""), (" a", None, " a")]
)
def test_no_text_is_none_unless_it_was_cut(text: str | None, finish_reason: str | None, raw: str | None) -> None:
    """An answer that was cut before its first word is the empty text."""
    assert completions.read(answer({"text": text, "finish_reason": finish_reason})).raw == raw


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "no choices[0].text in the answer (KeyError)"),
        ({"choices": []}, "no choices[0].text in the answer (IndexError)"),
        ({"choices": [None]}, "no choices[0].text in the answer (TypeError)"),
        (answer({"message": {"content": "a"}}), "no choices[0].text in the answer (KeyError)"),
        ({"error": {"message": "down"}}, "no choices[0].text in the answer (KeyError): {'message': 'down'}"),
        (answer({"text": ["a"]}), "choices[0].text must be a text, got list"),
        ([1], "the answer must be a JSON object, got '[1]'. Is the base URL that of an API?"),
    ],
)
def test_what_has_no_text_is_no_answer(data: Any, why: str) -> None:
    """Another shape, or an error inside a 200, is told, never read as an answer."""
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        completions.read(data)
