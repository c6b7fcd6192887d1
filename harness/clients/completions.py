"""The (legacy) completions API: a prompt that the model goes on writing, as base and fine-tuned models are asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.clients.reading import answer_object, error_said, started, usage_of, word
from harness.prompt import Model
from harness.records import Call, Completion, Constraint, Message

PATH = "/completions"


def body(call: Call, model: Model, served_as: str, constraint: Constraint | None = None) -> dict[str, Any]:
    """Return the request of a call; the prompt's params are passed on as they are."""
    asked = {**model.params, "model": served_as, "prompt": prompt_of(call.messages, model.suffix)}
    return asked if constraint is None else {**asked, **constrained(constraint)}


def prompt_of(messages: Sequence[Message], suffix: str = "") -> str:
    r"""Return the prompt that messages become: their contents, a blank line between them.

    What an assistant says stands right behind what it answers, so that worked examples read like the prompts and
    completions that models are fine-tuned on: ``late\n\n###\n\n shipping``. Between them are the suffix and one space;
    without a suffix a text that ends in white space needs no other.

    Args:
        messages: In order.
        suffix: What stands at the end of every text that is to be answered: at the end of the prompt, and before every
            answer in it.
    """
    prompt, answering = "", False
    for position, message in enumerate(messages):
        answers = message["role"] == "assistant" and position > 0
        if answers:
            prompt += suffix if not answering else ""
            prompt += "" if not suffix and prompt[-1:].isspace() else " "
        elif position > 0:
            prompt += "\n\n"
        prompt += message["content"]
        answering = answers
    return prompt if answering else prompt + suffix


def constrained(constraint: Constraint) -> dict[str, Any]:
    """Return what a request carries so that its answer is constrained.

    The API itself has nothing for it. llama.cpp takes ``json_schema`` and ``grammar`` here (``response_format`` it leaves
    unread), vLLM ``structured_outputs``; neither minds the other's.
    """
    if constraint.form == "json_schema":
        return {"json_schema": constraint.schema, "structured_outputs": {"json": constraint.schema}}
    if constraint.form == "json_object":
        return {"json_schema": {"type": "object"}, "structured_outputs": {"json_object": True}}
    return {"grammar": constraint.grammar, "structured_outputs": {"grammar": constraint.grammar}}


def read(data: Any, latency_s: float = 0.0) -> Completion:
    """Return the completion in an answer; log-probabilities stay as they came, in the shape of OpenAI or of llama.cpp.

    Raises:
        ValueError: The answer has not the API's shape.
    """
    data = answer_object(data)
    try:
        choice = data["choices"][0]
        text = choice["text"]
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"no choices[0].text in the answer ({type(error).__name__}){error_said(data)}") from None
    if text is not None and not isinstance(text, str):
        raise ValueError(f"choices[0].text must be a text, got {type(text).__name__}")
    finish_reason = word(choice.get("finish_reason"))
    return Completion(
        status="ok",
        raw=started(text, finish_reason),
        finish_reason=finish_reason,
        logprobs=choice.get("logprobs"),
        usage=usage_of(data.get("usage")),
        served_model=word(data.get("model")),
        latency_s=latency_s,
    )
