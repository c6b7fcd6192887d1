"""The import directions that the design sets: one way along the flow, edges apart, heavy packages late."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "harness"
MODULES = {
    path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", "."): path
    for path in PACKAGE.rglob("*.py")
}

PURE = [
    "records",
    "labelspace",
    "identity",
    "metrics",
    "probabilities",
    "thresholds",
    "calibration",
    "fieldscoring",
    "scoring",
    "flips",
    "comparison",
    "outcomes",
    "resampling",
    "pairedtests",
    "stats",
    "evidence",
    "significance",
    "passeffects",
    "overfitting",
    "answerlength",
    "ordering",
    "gatecheck",
    "ledger",
    "promptdiff",
    "copiedtext",
    "answerwords",
    "suggestion",
    "suggestionanswer",
    "confusion",
    "labelanalysis",
    "noise",
    "predict",
    "searched",
    "unseen",
    "prompt",
    "units",
    "kept",
    "regexes",
    "rendering",
    "stencil",
    "voting",
    "merging",
    "narrowing",
    "template",
    "templatenames",
    "templatemembers",
    "plainvalues",
    "yamltext",
    "clusters",
    "draftshots",
    "splitting",
    "shots",
    "neighbours",
    "cases",
    "errorplaces",
    "errorsites",
    "standout",
    "literals",
    "triggers",
    "triggernumbers",
    "triggerjoining",
    "triggerverdict",
    "triggersearch",
    "labeltriggers",
    "flatprompt",
    "reach",
    "reachcounting",
    "cachepages",
    "callerrors",
    "congestion",
]
"""Stages that take values and return values: no disk, no network, no terminal."""

EDGES = ["cli", "report", "store", "cache", "runner", "clients", "execution", "api", "project"]

ORDER = [
    ["errors", "kept", "regexes", "health", "cachepages"],
    [
        "records",
        "labelspace",
        "templatebudget",
        "template",
        "templatenames",
        "templatemembers",
        "plainvalues",
        "yamltext",
        "bulk",
    ],
    [
        "identity",
        "callerrors",
        "parsing",
        "metrics",
        "confusion",
        "probabilities",
        "outcomes",
        "resampling",
        "pairedtests",
        "stats",
        "thresholds",
        "calibration",
        "splitting",
        "yamlfile",
        "jsonfiles",
        "batchlog",
        "batchfiles",
        "shots",
        "neighbours",
        "standout",
        "units",
    ],
    [
        "searched",
        "prompt",
        "rendering",
        "stencil",
        "voting",
        "merging",
        "narrowing",
        "samples",
        "rows",
        "labelcells",
        "labelnumbers",
        "project",
        "fieldscoring",
        "scoring",
        "selection",
    ],
    [
        "predict",
        "dataset",
        "labelanalysis",
        "noise",
        "flips",
        "comparison",
        "clusters",
        "draftshots",
        "evidence",
        "significance",
        "cases",
        "errorplaces",
        "errorsites",
        "literals",
        "triggers",
        "triggernumbers",
        "triggerjoining",
        "triggerverdict",
        "triggersearch",
        "labeltriggers",
        "passeffects",
        "unseen",
        "unweighed",
        "overfitting",
        "gaterules",
        "gatecheck",
        "ledger",
        "promptdiff",
        "copiedtext",
        "answerwords",
        "suggestion",
        "suggestionanswer",
        "pricing",
        "completionlog",
        "samplefile",
        "congestion",
        "pacing",
        "halting",
        "logfile",
        "flatprompt",
        "answerlength",
        "ordering",
        "reach",
        "reachcounting",
        "store",
        "runnames",
        "holdoutlog",
        "retry",
    ],
    [
        "clients",
        "cache",
        "budget",
        "constraining",
        "promptmodel",
        "promptoutput",
        "promptpasses",
        "promptshots",
        "promptnames",
        "includes",
    ],
    ["cachefile", "cachecare", "cacherepair", "cachewhole"],
    ["promptfile", "failures", "provenance", "predictionlayout", "predictionextra", "predictionfile", "outside"],
    ["sending"],
    ["batchreading", "batchsending", "batching"],
    [
        "runner",
        "differing",
        "lineage",
        "versions",
        "holdout",
        "devtest",
        "blessing",
        "measuring",
        "gating",
        "planning",
        "embeddings",
    ],
    [
        "execution",
        "batchrunning",
        "outlook",
        "history",
        "rescoring",
        "samplesteps",
        "reaching",
        "passreplay",
        "passmeasuring",
        "withoutpasses",
        "importing",
        "baselines",
        "promptedit",
        "nextversion",
        "asking",
        "digesting",
        "suggesting",
        "calibrating",
        "preview",
        "reportdata",
    ],
    ["table", "columns", "intake"],
    [
        "pasted",
        "api",
        "results",
        "report",
        "labelling",
        "starting",
        "scaffold",
        "installation",
        "serverchecks",
        "projectchecks",
        "doctor",
        "exceptionsearch",
        "exceptionpass",
        "draft",
        "draftexamples",
        "drafting",
    ],
    ["cli"],
]
"""A module imports only from rows above its own, or from its own row."""


HEAVY = {"openai", "pandas", "numpy", "scipy", "sklearn", "rich", "jinja2", "yaml", "aiohttp", "xllamacpp"}


def imports_of(path: Path, *, top_level: bool) -> set[str]:
    """Return the modules that a file imports; those under `if TYPE_CHECKING` do not run and do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own(name: str) -> str:
    """Return the part of the package that a module belongs to: `harness.clients.chat` is of `clients`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_one_way(name: str) -> None:
    """A module imports from its own row of the order or from a row above it, never from below."""
    rank = {module: row for row, modules in enumerate(ORDER) for module in modules}
    mine = own(name)
    if mine in ("", "__init__", "__main__"):
        return
    assert mine in rank, f"{mine} has no place in the order: give it one"
    for imported in imports_of(MODULES[name], top_level=False):
        other = own(imported) if imported.startswith("harness.") else ""
        if other in rank:
            assert rank[other] <= rank[mine], f"{name} imports {imported} from below"


@pytest.mark.parametrize("name", PURE)
def test_pure_stages_touch_no_edge(name: str) -> None:
    """A pure stage imports no edge, and nothing that reaches the disk, the network or the terminal."""
    forbidden = {f"harness.{edge}" for edge in EDGES} | {"rich", "click", "openai", "aiohttp", "sqlite3", "subprocess"}
    for imported in imports_of(PACKAGE / f"{name}.py", top_level=False):
        assert not any(imported == each or imported.startswith(f"{each}.") for each in forbidden), imported


@pytest.mark.parametrize(
    ("package", "owners"),
    [
        ("openai", {"harness.clients.headers", "harness.clients.modellist", "harness.clients.batches"}),
        ("aiohttp", {"harness.clients.remote"}),
        ("xllamacpp", {"harness.clients.embedded"}),
        ("sqlite3", {"harness.cache", "harness.cachefile"}),
        ("genai_prices", {"harness.pricing"}),
        ("orjson", {"harness.jsonfiles", "harness.identity", "harness.clients.remote"}),
        ("scipy", {"harness.outcomes", "harness.pairedtests", "harness.resampling", "harness.baselines"}),
        ("json_repair", {"harness.parsing.json", "harness.parsing.jsonscan", "harness.parsing.jsonanswer"}),
        ("yaml", {"harness.yamlfile", "harness.starting", "harness.scaffold", "harness.promptedit"}),
        ("jinja2", {"harness.template", "harness.templatebudget", "harness.templatenames", "harness.templatemembers"}),
    ],
)
def test_every_outside_concern_has_one_owner(package: str, owners: set[str]) -> None:
    """A package that talks to the outside is imported by the module that owns the concern, and by no other."""
    users = {
        name
        for name, path in MODULES.items()
        if any(each == package or each.startswith(f"{package}.") for each in imports_of(path, top_level=False))
    }
    assert users <= owners


@pytest.mark.parametrize("command", ["", "run", "compare", "failures", "history", "gate", "report"])
def test_help_imports_nothing_heavy(command: str) -> None:
    """Help starts without openai, pandas, numpy, sklearn, rich, jinja2 or yaml."""
    code = (
        "import sys\nfrom harness.cli import group\n"
        f"group({[command, '--help'] if command else ['--help']}, standalone_mode=False)\n"
        f"heavy = {HEAVY!r} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_is_free() -> None:
    """`import harness` loads no module of it but the package itself; the API comes when it is used."""
    code = "import sys, harness; sys.exit(sorted(m for m in sys.modules if m.startswith('harness.')) and 1 or 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_the_edges_print() -> None:
    """No module but the command line writes to standard output."""
    for name, path in MODULES.items():
        if own(name) != "cli":
            assert "print(" not in path.read_text(encoding="utf-8").replace("out.print(", ""), name
