"""Where a run's numbers come from: versions, and the state of git."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import pytest

import harness
from harness.provenance import git_state, versions

_IDENTITY = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]


@pytest.fixture(autouse=True)
def _no_surrounding_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Git as on a fresh machine: no variables of a hook that runs the tests, and no repository above."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def git(root: Path, *arguments: str) -> str:
    """What a git command prints."""
    command = ["git", *_IDENTITY, "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def repository(root: Path) -> str:
    """Make a repository with one commit, and return the commit."""
    git(root, "init", "-q")
    (root / "prompt.yaml").write_text("template: a\n", encoding="utf-8")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    return git(root, "rev-parse", "HEAD")


def test_a_clean_repository_is_its_commit(tmp_path: Path) -> None:
    """Where every file is as committed, the state is the commit, not dirty; a folder inside says the same."""
    commit = repository(tmp_path)
    (tmp_path / "inner").mkdir()
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    assert git_state(tmp_path / "inner") == {"commit": commit, "dirty": False}


@pytest.mark.parametrize("name", ["prompt.yaml", "new.yaml"])
def test_a_changed_or_new_file_is_dirty(tmp_path: Path, name: str) -> None:
    """A file that differs from the commit or is not in it makes the state dirty."""
    commit = repository(tmp_path)
    (tmp_path / name).write_text("template: b\n", encoding="utf-8")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_a_file_name_in_another_encoding_is_dirty(tmp_path: Path) -> None:
    """A name that is not UTF-8 and that git prints raw is no obstacle."""
    commit = repository(tmp_path)
    git(tmp_path, "config", "core.quotePath", "false")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_bytes(b"")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_no_repository_has_no_state(tmp_path: Path) -> None:
    """Outside git there is no state."""
    assert git_state(tmp_path) is None


def test_a_repository_before_its_first_commit_has_no_state(tmp_path: Path) -> None:
    """Without a commit there is nothing to compare with."""
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) is None


def test_a_machine_without_git_has_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git is not installed there is no state, and no error."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


def test_versions_name_what_computes_a_run() -> None:
    """The versions are those of this program, Python and the packages that decide about numbers."""
    found = versions()
    assert found["harness"] == harness.__version__
    assert found["python"] == platform.python_version()
    assert {"openai", "jinja2", "numpy"} <= set(found)
    assert found["openai"] == importlib.metadata.version("openai")


def test_a_package_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An optional package that is missing has no version, and is no error."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert set(versions()) == {"harness", "python"}
