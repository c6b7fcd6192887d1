"""Iterate on LLM prompts for multi-label text classification: run, score per label, see what regressed.

import harness

run = harness.run("prompts/v3.yaml", limit=50)
run.scores
run.failures()
harness.compare("v2", "v3").labels
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import ComparisonResult as ComparisonResult
    from harness.api import Run as Run
    from harness.api import baseline as baseline
    from harness.api import calibrate as calibrate
    from harness.api import compare as compare
    from harness.api import exceptions as exceptions
    from harness.api import import_predictions as import_predictions
    from harness.api import label as label
    from harness.api import load as load
    from harness.api import resume as resume
    from harness.api import run as run
    from harness.api import score as score
    from harness.api import suggest as suggest
    from harness.budget import Budget as Budget
    from harness.errors import HarnessError as HarnessError
    from harness.pacing import Rates as Rates

__version__ = "0.1.0"
__all__ = [
    "Budget",
    "ComparisonResult",
    "HarnessError",
    "Rates",
    "Run",
    "__version__",
    "baseline",
    "calibrate",
    "compare",
    "exceptions",
    "gate",
    "import_predictions",
    "label",
    "load",
    "resume",
    "run",
    "score",
    "suggest",
]

_ELSEWHERE = {"Budget": "harness.budget", "HarnessError": "harness.errors", "Rates": "harness.pacing"}


def __getattr__(name: str) -> Any:
    """Load the API when something of it is first used: the command line starts without it."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE.get(name, "harness.api")), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
