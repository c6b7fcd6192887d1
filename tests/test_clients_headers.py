"""The headers of a request are those of the openai package, whatever the environment says."""

from __future__ import annotations

import subprocess
import sys

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients.faults import wait_said
from harness.clients.headers import request_headers

URL = "http://127.0.0.1:9/v1"
NAMES = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OPENAI_ORG_ID": "org-1"},
        {"OPENAI_PROJECT_ID": "proj-1"},
        {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-1"},
        {"OPENAI_ORG_ID": ""},
        {"OPENAI_CUSTOM_HEADERS": "X-Gateway: blue\nX-Team: reviews"},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["sk-x", ""])
def test_they_are_those_of_openai(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], key: str) -> None:
    """Every header of ours is one that the openai client sends, with its value; it adds only what it says of itself."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = openai.AsyncOpenAI(api_key=key or "none", base_url=URL)
    theirs = {
        name: value
        for name, value in {**client.default_headers, **client.auth_headers}.items()
        if isinstance(value, str)
    }
    ours = request_headers(key, URL)
    assert ours.items() <= theirs.items()
    assert all(name.startswith("X-Stainless-") for name in theirs.keys() - ours.keys())


def test_openai_is_not_imported_for_them() -> None:
    """An ordinary run does not pay for the import of the openai package."""
    code = (
        "import sys; from harness.clients.headers import request_headers; request_headers('k', 'http://x/v1'); "
        "sys.exit('openai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "8s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "17ms"}, 0.017),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1d"}, 86400.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "12.5"}, 12.5),
        ({"x-ratelimit-remaining-requests": "0"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.2.3s"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1790000000"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9" * 400 + "s"}, 0.0),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "5s",
            },
            5.0,
        ),
    ],
)
def test_rate_limit_headers_say_how_long_to_wait(headers: dict[str, str], seconds: float) -> None:
    """Only where nothing is left of a limit, and the header says until when, is there a wait: the longer one."""
    assert wait_said(headers) == pytest.approx(seconds)


@given(st.text(max_size=20))
def test_any_header_can_be_read(text: str) -> None:
    """Whatever stands in a header, the wait is a number of seconds."""
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": text}
    assert wait_said(headers) >= 0.0
