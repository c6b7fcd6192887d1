"""What every test starts from: a key that is none, no server or width of the environment's, and a small project."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from projects import KEY, Folder

# A shell that starts a job in the background has it ignore Ctrl-C, which the tests of Ctrl-C would then wait for.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("usual", deadline=None)  # how long an example takes depends on what else the machine does
settings.load_profile("usual")
settings.register_profile("nightly", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)  # where there is no terminal, tables are 100 columns wide


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a project with a dataset of three labels and six samples, and the prompt `v1`."""
    return Folder(tmp_path / "project").filled()
