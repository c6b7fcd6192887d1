"""The System One API (`POST /v1/systemone`): typed questions about a state on the wire, and how answers are read. Pure.

Documented, in `tools/server/README.md` of llama.cpp and at docs.typesafe.ai/api, whose API it is (Fireworks, OpenRouter,
LiteLLM and others serve the same):

- A request has `model`, `state` (a string, or an object or array that the model is given as JSON) and `questions`, an
  object from question to its `type` (`noul`, `choice`, `score`), `instructions` and `criteria`, for a choice an object
  from option to its description or null.
- The answer has `model`, `usage` (`input_tokens`, `output_tokens`) and `answers`, an object from question to its answer:
  of a noul `{"type": "noul", "noul": P(true)}`, of a choice `choice`, `confidence` and `probabilities` by option.

Assumed, because nothing says it:

- Several messages go as the object `{"messages": [{"role", "content"}]}`. llama.cpp knows that shape of a state; for the
  others it is an object like any other. A single user message goes as its text.
- Options are strings, so a bool field has the options `true` and `false`.
- An answer `{"type": "refusal"}` is read as a refusal, as in the Decisions API. The API itself has none; a question that
  is not answered is missing, and then the answer as a whole is not one.
- A request holds up to 400 questions, as in the Decisions API. llama.cpp and TypeSafe bound the tokens alone; some
  servers take fewer questions (64 to 128) and answer 400 or 422 above that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.clients.decisions import answer_of, answers_in, completed, refuse, text_or_messages
from harness.prompt import Model
from harness.records import Call, Completion, Constraint, Message, Question

PATH = "/systemone"


def body(call: Call, model: Model, served_as: str, constraint: Constraint | None = None) -> dict[str, Any]:
    """Return the request of a call; the prompt's params are passed on as they are.

    Raises:
        ValueError: There is a constraint: no text is written that could have one.
    """
    refuse(constraint, "systemone")
    return {
        **model.params,
        "model": served_as,
        "state": _state(call.messages),
        "questions": {each["name"]: _question(each) for each in call.questions},
    }


def _state(messages: Sequence[Message]) -> str | dict[str, Any]:
    """Return a single user message as its text, everything else as an object with messages."""
    said = text_or_messages(messages)
    return said if isinstance(said, str) else {"messages": said}


def _question(question: Question) -> dict[str, Any]:
    if question["kind"] == "predicate":
        return {"type": "noul", "instructions": question["instructions"]}
    options = {_option(value): None for value in question["choices"]}
    return {"type": "choice", "instructions": question["instructions"], "criteria": options}


def _option(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def read(data: Any, latency_s: float = 0.0) -> Completion:
    """Return the completion in an answer, its text in the form that is kept of every decision API.

    Raises:
        ValueError: The answer has not the API's shape.
    """
    given = answers_in(data)
    if not isinstance(given, Mapping):
        raise ValueError(f"answers must be an object, got {type(given).__name__}")
    return completed([answer_of(name, _kept(each)) for name, each in given.items()], data, latency_s)


def _kept(given: Any) -> Mapping[str, Any]:
    """Return an answer under the names of the Decisions API."""
    if not isinstance(given, Mapping):
        return {"type": None, "got": given}
    if given.get("type") == "noul":
        return {"type": "predicate", "probability": given.get("noul")}
    shares = given.get("probabilities")
    if not isinstance(shares, Mapping):
        return given
    return {**given, "probabilities": [{"value": value, "probability": share} for value, share in shares.items()]}
