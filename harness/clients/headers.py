"""The headers that the openai client sends, without its import of nearly a second: a test holds both equal.

Where the environment says more than key, organisation and project, openai itself is asked.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping


def request_headers(key: str, base_url: str) -> dict[str, str]:
    """Return the headers of a request: the key, the organisation and project of the environment, the types of the bodies.

    Args:
        key: Checked, "" for a server that needs none.
        base_url: Where it goes to.
    """
    if os.environ.get("OPENAI_CUSTOM_HEADERS"):
        return _openais_own(key, base_url)
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"AsyncOpenAI/Python {importlib.metadata.version('openai')}",
        "Authorization": f"Bearer {key or 'none'}",
    }
    for header, name in (("OpenAI-Organization", "OPENAI_ORG_ID"), ("OpenAI-Project", "OPENAI_PROJECT_ID")):
        if (value := os.environ.get(name)) is not None:
            headers[header] = value
    return headers


def _openais_own(key: str, base_url: str) -> dict[str, str]:
    import openai

    client = openai.AsyncOpenAI(api_key=key or "none", base_url=base_url)
    headers: Mapping[str, object] = {**client.default_headers, **client.auth_headers}
    return {name: value for name, value in headers.items() if isinstance(value, str)}
