"""The APIs on the wire: for each its path, how a call looks as a request, and how its answer is read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from harness.clients import chat, completions, decisions, responses, systemone
from harness.prompt import Api, Model
from harness.records import Call, Completion, Constraint

Form = Literal["json_schema", "json_object", "grammar"]
"""A form of `Constraint`."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One API.

    Attributes:
        path: Behind the base URL.
        body: Call, model, the name that the server knows the model by, what constrains the answer → the request.
        read: The answer's JSON, and the seconds it took → the completion; raises `ValueError` when the answer has not the
            API's shape.
        forms: Which forms of `Constraint` a request can carry; empty where nothing is written freely.
        renamed: Parameters of the other APIs that go by another name here.
    """

    path: str
    body: Callable[[Call, Model, str, Constraint | None], dict[str, Any]]
    read: Callable[[Any, float], Completion]
    forms: tuple[Form, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)


WIRES: Mapping[Api, Wire] = MappingProxyType(
    {
        "chat": Wire(chat.PATH, chat.body, chat.read, ("json_schema", "json_object", "grammar")),
        "responses": Wire(
            responses.PATH,
            responses.body,
            responses.read,
            ("json_schema", "json_object"),
            {
                "max_tokens": "max_output_tokens",
                "max_completion_tokens": "max_output_tokens",
                "reasoning_effort": "reasoning: {effort: …}",
                "response_format": "text: {format: …}",
            },
        ),
        "completions": Wire(
            completions.PATH,
            completions.body,
            completions.read,
            ("json_schema", "json_object", "grammar"),
            {"max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens"},
        ),
        "decisions": Wire(decisions.PATH, decisions.body, decisions.read),
        "systemone": Wire(systemone.PATH, systemone.body, systemone.read),
    }
)
"""Every API by name. A new one is a file beside `chat.py` and an entry here."""

LOCAL_APIS: tuple[Api, ...] = ("chat", "completions", "systemone")
"""The APIs of embedded models, the last one that of decision models.

llama.cpp also has `responses`, but without schema and log-probabilities, and an answer that was cut says there that it is
complete.
"""
