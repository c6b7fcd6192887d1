"""The APIs on the wire: for each its path, how a call looks as a request, and how its answer is read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harness.clients import chat
from harness.prompt import Api, Model
from harness.records import Call, Completion, Constraint


@dataclass(frozen=True, slots=True)
class Wire:
    """One API.

    Attributes:
        path: Behind the base URL.
        body: Call, model, the name that the server knows the model by, what constrains the answer → the request.
        read: The answer's JSON → the completion; raises `ValueError` when the answer has not the API's shape.
    """

    path: str
    body: Callable[[Call, Model, str, Constraint | None], dict[str, Any]]
    read: Callable[[Any], Completion]


WIRES: Mapping[Api, Wire] = MappingProxyType({"chat": Wire(chat.PATH, chat.body, chat.read)})
"""Every API by name. A new one is a file beside `chat.py` and an entry here."""
