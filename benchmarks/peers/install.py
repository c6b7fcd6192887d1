"""Installs the peers of the benchmark in a folder outside the project's environment.

    python benchmarks/peers/install.py [--peers .harness/peers]

inspect_ai and pydantic_evals share one virtual environment, promptfoo has a folder of npm's, some 2 GB in all. What is
there in the wanted version stays.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

DEFAULT = Path(__file__).resolve().parent.parent.parent / ".harness" / "peers"
PYTHON = ("inspect_ai==0.3.285", "pydantic-evals==2.62.0", "openai[aiohttp]==3.54.0")
NODE = "promptfoo@0.121.20"


def main() -> None:
    """Install what can be installed; exits 1 where something cannot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=Path, default=DEFAULT, metavar="DIR")
    folder = parser.parse_args().peers.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    done = [_python(folder / "python"), _npm(folder / "npm")]
    print("\n".join(f"{name} {number}" for name, number in versions(folder).items()))
    sys.exit(not all(done))


def _python(folder: Path) -> bool:
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return _done([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON])


def _npm(folder: Path) -> bool:
    npm = shutil.which("npm")
    if npm is None:
        print("promptfoo: npm is not here. Install Node.js 20.20 or newer, then type this again.", file=sys.stderr)
        return False
    folder.mkdir(exist_ok=True)
    # Scripts of packages would fetch browsers and the like, which no evaluation here needs.
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--include=optional", "--loglevel=error")
    return _done([npm, "install", "--prefix", str(folder), *quiet, NODE])


def _done(command: list[str]) -> bool:
    off = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"}
    return subprocess.run(command, env={**os.environ, **off}, check=False).returncode == 0


def versions(peers: Path) -> dict[str, str]:
    """Return the versions of all contenders that are installed, ours and the packages of the bare loops too."""
    found = {"Python": platform.python_version()}
    for name in ("harness", "aiohttp", "openai"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    inside = [str(path) for path in (peers / "python").glob("lib/python*/site-packages")]
    theirs = (
        {each.metadata["Name"].replace("_", "-"): each.version for each in distributions(path=inside)} if inside else {}
    )
    found |= {name: theirs[name] for name in ("inspect-ai", "pydantic-evals") if name in theirs}
    package = peers / "npm" / "node_modules" / "promptfoo" / "package.json"
    if package.exists():
        found["promptfoo"] = json.loads(package.read_text(encoding="utf-8"))["version"]
    return found


if __name__ == "__main__":
    main()
