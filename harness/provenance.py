"""Where a run's numbers come from: versions of the software and the state of the project's git."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import harness


def versions() -> dict[str, str]:
    """Return the versions of what computes a run."""
    found = {"harness": harness.__version__, "python": platform.python_version()}
    for package in ("openai", "jinja2", "numpy", "xllamacpp"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(root: Path) -> dict[str, Any] | None:
    """Return the commit that the project is at and whether files differ from it; None outside git or before a commit."""
    try:
        commit, status = (
            subprocess.run(  # noqa: S603 - fixed arguments
                ["git", "-C", str(root), *arguments],  # noqa: S607
                capture_output=True,
                encoding="utf-8",
                errors="replace",  # names of changed files may be in any encoding
                check=True,
                timeout=10,
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(status)}
