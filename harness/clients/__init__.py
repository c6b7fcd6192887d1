"""Clients: one file for each API, and the embedded model's server. All of them speak through the openai package.

The runner is handed a `Client` and does not know who answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from harness.project import Settings
from harness.prompt import Model, Prompt
from harness.records import Call, Completion, Constraint


class Client(Protocol):
    """Who answers the calls of a pass."""

    @property
    def endpoint(self) -> Mapping[str, Any]:
        """What stands for the server in the call key."""

    @property
    def concurrency(self) -> int | None:
        """How many calls it is worth having under way at once; None leaves it to the user."""

    @property
    def wait_s(self) -> float:
        """Seconds until the server's own limits allow another call, as its last answer said; 0 where they do."""

    @property
    def holds(self) -> int:
        """How many of the last prompts it keeps, so that calls that begin like one of them should go next; 0 if none."""

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """Return the request as it will be sent."""

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Send a request once.

        Raises:
            AttemptFailed: No completion came back.
            ModelError: None ever will: no key, no such model, no server.
        """

    async def close(self) -> None:
        """Let go of connections and servers."""


class Server(Client, Protocol):
    """A client that can be asked for more than completions: embeddings, token counts."""

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what another endpoint of the server answers, a JSON object; tried again like any call.

        Args:
            path: Behind the base URL, as ``/embeddings``; with two slashes behind the server itself, as ``//tokenize``.
            body: The request.

        Raises:
            ModelError: No answer came.
        """


def connect(model: Model, settings: Settings) -> Server:
    """Return the client for a model. Nothing is started or sent before the first call.

    Raises:
        ModelError: The model cannot be had here: weights or package missing.
    """
    if model.is_local:
        from harness.clients.embedded import EmbeddedClient

        return EmbeddedClient(model)
    from harness.clients.remote import RemoteClient

    return RemoteClient(model, settings)


def connect_passes(prompt: Prompt, settings: Settings) -> dict[str, Client]:
    """Return who answers each pass, by its name; passes with the same model share a client.

    Raises:
        ModelError: As `connect` does.
    """
    clients = [connect(model, settings) for model in prompt.models]
    return {each.name: clients[prompt.models.index(each.model)] for each in prompt.passes}
