"""OpenAI's Decisions API: typed questions on the wire, and how their answers are read. Pure.

A request is `input` (the messages) and `questions`: a predicate for each label, a choice for each field. The answers come
with the names of their questions, which are the names of labels and fields as they are: they are mapped back by name,
never by place, and an answer without a name is no answer.

What stays of an answer is one JSON array, the same for every decision API, in the order in which the answers came:

    [{"name": "shipping", "type": "predicate", "probability": 0.91},
     {"name": "price", "type": "refusal"},
     {"name": "mood", "type": "choice", "choice": "mad", "confidence": 0.7,
      "probabilities": [{"value": "mad", "probability": 0.8}, {"value": "happy", "probability": 0.2}]}]

Sources: `openai/types/decision_create_params.py` and `decision.py` of openai 3.54.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.clients.reading import answer_object, error_said, usage_of, word
from harness.errors import listing
from harness.parsing.decisions import is_probability
from harness.prompt import Model
from harness.records import Call, Completion, Constraint, Message, Question

PATH = "/decisions"


def body(call: Call, model: Model, served_as: str, constraint: Constraint | None = None) -> dict[str, Any]:
    """Return the request of a call; the prompt's params are passed on as they are.

    Raises:
        ValueError: There is a constraint: no text is written that could have one.
    """
    refuse(constraint, "decisions")
    return {
        **model.params,
        "model": served_as,
        "input": text_or_messages(call.messages),
        "questions": [_question(each) for each in call.questions],
    }


def refuse(constraint: Constraint | None, api: str) -> None:
    """Refuse what would constrain a text, where none is written.

    Raises:
        ValueError: There is a constraint.
    """
    if constraint is not None:
        raise ValueError(f"the API '{api}' writes no text that could be constrained, got {constraint.form}")


def text_or_messages(messages: Sequence[Message]) -> str | list[dict[str, str]]:
    """Return a single user message as its text, everything else as messages."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"]
    return [{"role": each["role"], "content": each["content"]} for each in messages]


def _question(question: Question) -> dict[str, Any]:
    asked = {"type": question["kind"], "name": question["name"], "instructions": question["instructions"]}
    if question["kind"] == "predicate":
        return asked
    return {**asked, "choices": [{"value": value} for value in question["choices"]]}


def read(data: Any, latency_s: float = 0.0) -> Completion:
    """Return the completion in an answer.

    Raises:
        ValueError: The answer has not the API's shape.
    """
    given = answers_in(data)
    if not isinstance(given, list):
        raise ValueError(f"answers must be a list, got {type(given).__name__}")
    found = [answer_of(_name(number, each), each) for number, each in enumerate(given, 1)]
    times = Counter(each["name"] for each in found)
    if twice := [name for name, number in times.items() if number > 1]:
        raise ValueError(f"two answers to one question: {listing(twice, 5)}")
    return completed(found, data, latency_s)


def answers_in(data: Any) -> Any:
    """Return what stands under `answers`.

    Raises:
        ValueError: There is nothing.
    """
    data = answer_object(data)
    if not data.get("answers"):
        raise ValueError(f"no answers in the answer{error_said(data)}")
    return data["answers"]


def _name(number: int, given: Any) -> str:
    name = given.get("name") if isinstance(given, Mapping) else None
    if not isinstance(name, str):
        raise ValueError(f"answer {number} must have the name of its question, got {str(given)[:100]}")
    return name


def answer_of(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return one answer in the form that is kept.

    Raises:
        ValueError: It is neither a predicate nor a choice nor a refusal.
    """
    kind = given.get("type")
    if kind == "refusal":
        return {"name": name, "type": kind}
    if kind == "predicate" and is_probability(given.get("probability")):
        return {"name": name, "type": kind, "probability": given["probability"]}
    if kind == "choice" and isinstance(given.get("choice"), str | bool):
        kept = {key: given[key] for key in ("choice", "confidence", "probabilities") if given.get(key) is not None}
        return {"name": name, "type": kind, **kept}
    raise ValueError(
        f"the answer to '{name}' must be a predicate with a probability, a choice or a refusal, got {str(given)[:100]}"
    )


def completed(answers: Sequence[Mapping[str, Any]], data: Mapping[str, Any], latency_s: float) -> Completion:
    """Return the completion of some answers; it is a refusal when every question was refused."""
    refused = all(each["type"] == "refusal" for each in answers)
    kept = json.dumps(answers, ensure_ascii=False, separators=(",", ":"))
    return Completion(
        status="refusal" if refused else "ok",
        raw=f"all {len(answers)} questions were refused" if refused else kept,
        usage=usage_of(data.get("usage"), "input_tokens", "output_tokens"),
        served_model=word(data.get("model")),
        latency_s=latency_s,
    )
