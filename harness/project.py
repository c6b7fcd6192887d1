"""The project a command works in: its root folder, its settings and the environment.

Precedence of settings: flag, then environment, then file (`.env`, `harness.toml`).
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problems, did_you_mean

SETTINGS_FILE = "harness.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `harness.toml` may say; every value has a default.

    Attributes:
        model: The model of prompts that name none.
        concurrency: Calls under way at once.
        timeout_s: Seconds one attempt of a call may take.
        max_attempts: How often a call is sent before it counts as failed.
        max_retry_s: Seconds that the attempts of one call may take together, waits included.
        prices: Per model, USD per million tokens: ``{input = 0.4, output = 1.6}``; goes before the price list.
    """

    model: str | None = None
    concurrency: int = 16
    timeout_s: float = 120.0
    max_attempts: int = 6
    max_retry_s: float = 300.0
    prices: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder and its settings."""

    root: Path
    settings: Settings = field(default_factory=Settings)

    @property
    def runs(self) -> Path:
        """Where runs are kept."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """The completion cache's file."""
        return self.root / ".harness" / "cache.sqlite"

    def inside(self, path: Path) -> bool:
        """Return whether a path, links resolved, lies in the project."""
        return path.resolve().is_relative_to(self.root)

    def show(self, path: Path) -> str:
        """Return a path as a person in the current folder would type it."""
        try:
            return os.path.relpath(path)
        except ValueError:  # another drive
            return str(path)


def find_project(start: Path | None = None) -> Project:
    """Return the project around a file or folder (default: the current folder), its `.env` loaded.

    The root is the nearest folder upward with a `harness.toml`, else with `.git`, else the nearest that holds
    `prompts/`, else the folder itself.

    Raises:
        DataError: `harness.toml` is not valid.
    """
    here = (start or Path.cwd()).resolve()
    here = here if here.is_dir() else here.parent
    upward = [here, *here.parents]
    root = here
    for marker in (SETTINGS_FILE, ".git", "prompts"):
        found = next((folder for folder in upward if (folder / marker).exists()), None)
        if found is not None:
            root = found
            break
    _load_env(root / ".env")
    return Project(root, _settings(root / SETTINGS_FILE))


def _load_env(path: Path) -> None:
    """Put what `.env` says into the environment, where the environment itself says nothing."""
    if path.is_file():
        from dotenv import load_dotenv

        load_dotenv(path, override=False)


def _settings(path: Path) -> Settings:
    if not path.is_file():
        return Settings()
    problems = Problems(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: must be TOML, but {error}.") from None
    known = {each.name for each in fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            problems.add(f"unknown key '{key}'.{did_you_mean(key, known)} Known: {', '.join(sorted(known))}.")
        elif wanted := _wrong_setting(key, value):
            problems.add(f"'{key}' must be {wanted}, got {value!r}.")
        else:
            values[key] = value
    problems.raise_if_any()
    return Settings(**values)


def _wrong_setting(key: str, value: Any) -> str | None:
    """Return what the setting must be when it is not, else None."""
    if key == "model":
        return None if isinstance(value, str) and value else "the name of a model"
    if key == "prices":
        fits = isinstance(value, dict) and all(
            isinstance(price, dict)
            and set(price) <= {"input", "output"}
            and all(isinstance(each, int | float) for each in price.values())
            for price in value.values()
        )
        return None if fits else 'tables such as [prices."my-model"] with input and output in USD per million tokens'
    if key in ("concurrency", "max_attempts"):
        return None if type(value) is int and value >= 1 else "a whole number of at least 1"
    return None if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else "seconds above 0"
