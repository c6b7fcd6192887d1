"""The prompts that are shipped, and every way to ask the embedded model, from the prompt file to the scores."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import harness
from harness.project import find_project

ROOT = Path(__file__).parent.parent
STYLES = {
    "vector": """\
output: {format: vector, constrain: grammar}
""",
    "codes, weighed": """\
model: {name: local/smollm2-135m, params: {max_tokens: 1, logprobs: true, top_logprobs: 20}}
output: {format: codes, none: "0", min_mass: 0, threshold: 0.2}
""",
    "json by schema": """\
model: {name: local/smollm2-135m, params: {max_tokens: 160}}
output: {format: json, constrain: json_schema, fields: [happy_or_mad]}
""",
    "containers by grammar": """\
output: {format: containers, constrain: auto, fields: [happy_or_mad]}
""",
    "scores by grammar": """\
model: {name: local/smollm2-135m, params: {max_tokens: 80}}
output: {format: scores, constrain: grammar}
""",
    "completions, weighed": """\
model: {name: local/smollm2-135m, api: completions, suffix: " ->", params: {max_tokens: 1, logprobs: 20}}
output: {format: codes, none: "0", min_mass: 0, threshold: 0.2}
""",
    "votes": """\
model: {name: local/smollm2-135m, params: {temperature: 1, max_tokens: 12}}
votes: {k: 3, how: mean}
output: {format: list, constrain: grammar, threshold: 0.5}
""",
    "per group": """\
per: group
output: {format: list, constrain: grammar}
""",
}
"""What a prompt says beside its template, by what it shows."""

HEAD = """\
dataset: ../datasets/reviews.yaml
template: |
  {% for label in labels %}
  {{ label.code }} = {{ label.name }}
  {% endfor %}
  0 = none
  Which applies to this review? Answer with one letter.
  {{ text }}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is shipped, without its runs."""
    for name in ("prompts", "datasets"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "harness.toml").write_text('model = "local/smollm2-135m"\n')
    return tmp_path


def run(project: Path, prompt: str, limit: int) -> harness.Run:
    """Run a prompt on a few of the shipped reviews."""
    return harness.run(project / "prompts" / f"{prompt}.yaml", limit=limit, project=find_project(project / "prompts"))


def test_the_readme_names_what_is_shipped() -> None:
    """Every shipped prompt that shows a style is in the table of styles."""
    page = (ROOT / "docs" / "prompt-styles.md").read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / "prompts").glob("*.yaml") if f"prompts/{path.name}" not in page]
    assert missing == []


@pytest.mark.model
@pytest.mark.parametrize("prompt", ["vector", "codes", "containers", "per-label"])
def test_the_shipped_styles_run_on_the_embedded_model(project: Path, prompt: str) -> None:
    """Each is complete and scored, with probabilities where it weighs tokens (fewer shots, because time is short here)."""
    path = project / "prompts" / f"{prompt}.yaml"
    path.write_text(path.read_text().replace("k: 14", "k: 2").replace("k: 8", "k: 2"))
    made = run(project, prompt, 2)
    assert made.stored.manifest.state == "complete"
    assert made.result.n_samples == 2
    assert (made.result.probabilities is not None) == (prompt in ("codes", "per-label"))


@pytest.mark.model
@pytest.mark.parametrize("style", STYLES)
def test_every_way_to_ask_runs_on_the_embedded_model(project: Path, style: str) -> None:
    """A constrained answer can always be read, and where tokens are weighed every cell has its probability."""
    (project / "prompts" / "x.yaml").write_text(HEAD + STYLES[style])
    made = run(project, "x", 2)
    scores = made.result
    assert made.stored.manifest.state == "complete"
    if "weighed" in style or style == "votes":
        assert scores.probabilities is not None
    else:
        assert scores.failures == dict.fromkeys(scores.failures, 0)
    if "fields" in STYLES[style]:
        assert [field.answered for field in scores.fields] == [2.0] * len(scores.fields)
