"""The project a command works in: its root folder, its settings and the environment.

Precedence of settings: flag, then environment, then file (`.env`, `harness.toml`).
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problems, did_you_mean, listing, shortened
from harness.yamlfile import read_text

SETTINGS_FILE = "harness.toml"
MOST_DOTS = 1000
"""In a line of it: the reader of TOML takes gigabytes for a key of many parts."""

FAR = os.path.join("..", "..")  # noqa: PTH118 - the text that begins a far relative path


@dataclass(frozen=True, slots=True)
class Settings:
    """What `harness.toml` may say; every value has a default.

    Attributes:
        model: The model of prompts that name none.
        concurrency: Calls under way at once at most; there are fewer where the server does not keep up.
        timeout_s: Seconds one attempt of a call may take.
        max_attempts: How often a call is sent before it counts as failed.
        max_retry_s: Seconds that the attempts of one call may take together, waits included.
        rpm: Requests a minute at most, of each model; None is no limit.
        tpm: Tokens a minute at most, of each model, those of request and answer.
        prices: Per model, USD per million tokens: ``{input = 0.4, output = 1.6}``; goes before the price list. With
            ``batch = 0.5`` a batch API takes half of it.
    """

    model: str | None = None
    concurrency: int = 64
    timeout_s: float = 120.0
    max_attempts: int = 10
    max_retry_s: float = 300.0
    rpm: int | None = None
    tpm: int | None = None
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
        """Return whether a path, links resolved, lies in the project; a path that cannot be resolved does not."""
        try:
            return path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError, ValueError):  # no access, links in a circle, a NUL byte
            return False

    def bars(self, path: Path) -> str:
        """Return why no file of the project may name a path, links resolved: what it must be. "" where it may.

        Hidden files are no texts to send: `.env` has the key, and `.harness/` and `.git/` are not for people.
        """
        if not self.inside(path):
            return f"must lie in the project {self.root}"
        parts = path.resolve().relative_to(self.root.resolve()).parts
        hidden = next((part for part in parts if part.startswith(".")), None)
        return "" if hidden is None else f"must not be hidden, as '{hidden}' is"

    def show(self, path: Path) -> str:
        """Return a path as a person in the current folder would type it: from there when it is near, else whole."""
        try:
            short = os.path.relpath(path)
        except ValueError:  # another drive
            return str(path)
        return str(path) if short.startswith(FAR) else short


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
        found = next((folder for folder in upward if _marked(folder, marker)), None)
        if found is not None:
            root = found
            break
    _load_env(root / ".env")
    return Project(root, _settings(root / SETTINGS_FILE))


def _marked(folder: Path, marker: str) -> bool:
    path = folder / marker
    return path.is_dir() if marker == "prompts" else path.exists()


def _load_env(path: Path) -> None:
    """Put what `.env` says into the environment, where the environment itself says nothing."""
    if path.is_file():
        from dotenv import load_dotenv

        try:
            load_dotenv(path, override=False)
        except (OSError, ValueError):  # not UTF-8, or a NUL byte; what the file says is secret, also in an error
            raise DataError(f"{path}: must be readable lines of NAME=value in UTF-8.") from None


def _settings(path: Path) -> Settings:
    if not path.is_file():
        return Settings()
    problems = Problems(path)
    text = read_text(path)
    known = {each.name for each in fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in _toml(text, problems).items():
        if key not in known:
            near = did_you_mean(key, known) or f" Known here: {listing(sorted(known))}."
            problems.add(f"unknown key '{key}'.{near}", _line_of_key(key, text))
        elif wanted := _wrong_setting(key, value):
            problems.add(f"'{key}' must be {wanted}, got {shortened(repr(value))}.", _line_of_key(key, text))
        else:
            values[key] = value
    problems.raise_if_any()
    return Settings(**values)


def _toml(text: str, problems: Problems) -> dict[str, Any]:
    dotted = next((at for at, line in enumerate(text.split("\n"), 1) if line.count(".") > MOST_DOTS), None)
    if dotted is not None:
        problems.add("must be TOML, but it nests too deep.", dotted)
        return {}
    try:
        return tomllib.loads(text)
    except RecursionError:
        problems.add("must be TOML, but it nests too deep.")
    except tomllib.TOMLDecodeError as error:
        why, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        problems.add(f"must be TOML, but {why}.", int(line[1]) if line else text.count("\n") + 1)
    return {}


def _line_of_key(key: str, text: str) -> int | None:
    """Return the first line that begins with a top-level key or its table; the TOML reader does not tell lines."""
    found = re.search(rf"""^[ \t]*\[*[ \t]*["']?{re.escape(key)}\b""", text, re.MULTILINE)
    return None if found is None else text.count("\n", 0, found.start()) + 1


def _wrong_setting(key: str, value: Any) -> str | None:
    """Return what the setting must be when it is not, else None."""
    if key == "model":
        return None if isinstance(value, str) and value.strip() else "the name of a model"
    if key == "prices":
        fits = isinstance(value, dict) and all(_is_price(price) for price in value.values())
        return None if fits else 'tables such as [prices."my-model"] with input and output in USD per million tokens'
    if key in ("concurrency", "max_attempts", "rpm", "tpm"):
        return None if type(value) is int and value >= 1 else "a whole number of at least 1"
    return None if _is_number(value) and value > 0 else "seconds above 0"


def _is_price(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) <= {"input", "output", "batch"}
        and all(_is_number(each) and each >= 0 for each in value.values())
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
