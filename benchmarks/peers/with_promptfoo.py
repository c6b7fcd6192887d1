"""promptfoo: a config with one prompt, one provider, a test for each sample, and a JavaScript assertion on label sets."""

from __future__ import annotations

import json
from pathlib import Path

from peers.contender import INSTALL, Contender, Work
from peers.task import BEFORE, LABELS, MODEL, Outcome, read_samples

ENTRY = Path("npm", "node_modules", "promptfoo", "dist", "src", "entrypoint.js")
RESULTS = "results.json"

EXACT = """\
const known = new Set(context.vars.known.split('|'));
const sets = (text) => new Set(text.split(',').map((name) => name.trim()).filter((name) => known.has(name)));
const said = sets(output), wanted = sets(context.vars.labels);
const both = [...said].filter((name) => wanted.has(name)).length;
const pass = both === said.size && both === wanted.size;
return {pass, score: both / (said.size + wanted.size - both), reason: 'label sets'};
"""
"""Right is the same set; the score is the Jaccard index. Without a reason a failed assertion would count as passed."""


def prepare(work: Work) -> None:
    """Write the config with a test for each sample."""
    known = "|".join(LABELS)
    config = {
        "prompts": [BEFORE + "{{text}}"],
        "providers": [{"id": f"openai:chat:{MODEL}", "config": {"apiBaseUrl": work.url, "apiKey": "none"}}],
        "defaultTest": {"vars": {"known": known}, "assert": [{"type": "javascript", "value": EXACT}]},
        "tests": [
            {"vars": {"id": sample.id, "text": sample.text, "labels": ", ".join(sample.labels)}}
            for sample in read_samples(work.data)
        ],
    }
    (work.folder / "promptfooconfig.json").write_text(json.dumps(config))


def command(work: Work) -> list[str]:
    """Return `promptfoo eval`: its results go to one JSON file, and no table, progress bar or database is made."""
    asked = ("eval", "-c", "promptfooconfig.json", "-j", str(work.concurrency), "-o", RESULTS)
    return ["node", str(work.peers / ENTRY), *asked, "--no-write", "--no-table", "--no-progress-bar", "--no-share"]


def outcome(work: Work) -> Outcome:
    """Read the file of results."""
    results = json.loads((work.folder / RESULTS).read_text(encoding="utf-8"))["results"]
    answers = {row["vars"]["id"]: row["response"]["output"] for row in results["results"]}
    return Outcome(answers, results["stats"]["successes"] / len(answers))


def missing(peers: Path) -> str | None:
    """Return how to install it where it is missing."""
    return None if (peers / ENTRY).exists() else f"promptfoo is not in {peers}. Type: {INSTALL} --peers {peers}"


def environment(work: Work) -> dict[str, str]:
    """Keep what it writes in the folder, and the network out."""
    off = ("TELEMETRY", "UPDATE", "REMOTE_GENERATION", "SHARING")
    own = {"PROMPTFOO_CONFIG_DIR": str(work.folder / ".promptfoo"), "PROMPTFOO_LOG_LEVEL": "error"}
    return own | {f"PROMPTFOO_DISABLE_{name}": "1" for name in off}


CONTENDER = Contender(
    "promptfoo",
    command=command,
    outcome=outcome,
    scores="sets: exact, Jaccard",
    prepare=prepare,
    caches=True,
    missing=missing,
    slow=True,
    environment=environment,
    codes=(0, 100),  # 100: some assertion failed
)
