"""`harness run` and `harness show` on prompts of several passes, and the same in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import Cli, stored_run, write
from scripted_server import Request, ScriptedServer, say
from test_passmeasuring import CHECK, CHECKED, FIRST, HEAD, LAST, SAID, run_of

from harness import passmeasuring
from harness.api import load

project, cli = cli_project.project, cli_project.cli

VERDICT = "The pass 'check' is not shown to pay: it corrected 7 cells and broke 2, for 6 calls"


def flat(text: str) -> str:
    """Return a text as one line."""
    return " ".join(text.split())


def answer(request: Request) -> Any:
    """Answer over HTTP as the stored runs do."""
    (identity,) = (name for name, (text, _) in cli_project.TEXTS.items() if text in request.text)
    return say((SAID if request.text.startswith("FIRST") else CHECKED)[identity])


def test_run_tells_what_its_passes_are_worth(project: Path, cli: Cli) -> None:
    """After the scores stand the passes: in the terminal, as JSON, and as Markdown."""
    write(project / "prompts/v9.yaml", HEAD + FIRST + CHECK)
    with ScriptedServer(answer) as server:
        arguments = ("run", "prompts/v9.yaml", "--base-url", server.base_url)
        told = cli(*arguments, "-o", "out.md")
        assert told.code == 0, told.err
        as_json = cli(*arguments, "--json").json
    assert VERDICT in flat(told.out)
    assert flat(told.out).index("Every sample was answered") < flat(told.out).index(VERDICT)
    assert "## Passes\n\n**The pass 'check' is not shown to pay" in (project / "out.md").read_text(encoding="utf-8")
    assert as_json["passes"]["passes"][0]["effect"]["corrected"] == 7


def test_a_run_of_one_pass_says_nothing_of_passes(project: Path, cli: Cli) -> None:
    """Without later passes there is no part about them, and null in JSON."""
    stored_run(project, "v2")
    assert "pass" not in cli("show", "v2").out
    assert cli("show", "v2", "--json").json["passes"] is None


def test_show_tells_it_again(project: Path, cli: Cli) -> None:
    """`harness show` measures a stored run, without a call."""
    run_of(project, FIRST + CHECK)
    assert VERDICT in flat(cli("show", "v9").out)
    assert cli("show", "v9", "--json").json["passes"]["n_samples"] == 10


def test_reports_have_the_passes(project: Path, cli: Cli) -> None:
    """A report has the passes in its page, in Markdown and in JSON."""
    run_of(project, FIRST + CHECK)
    for kind in ("html", "md", "json"):
        assert cli("report", "v9", "-o", f"report.{kind}").code == 0
    page, text, value = ((project / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "md", "json"))
    assert 'id="passes"' in page
    assert "is not shown to pay: it corrected 7 cells and broke 2" in page
    assert "## Passes" in text
    assert json.loads(value)["passes"]["passes"][0]["name"] == "check"


def test_a_large_run_is_measured_where_a_person_asks(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a size there is a hint with the command, in `run` and in `show`, and null in JSON; --passes measures."""
    monkeypatch.setattr(passmeasuring, "MOST_UNASKED", 1)
    write(project / "prompts/v9.yaml", HEAD + FIRST + CHECK)
    with ScriptedServer(answer) as server:
        told = cli("run", "prompts/v9.yaml", "--base-url", server.base_url)
    hint = "What the later passes are worth takes a while here. Type: harness show v9 --passes"
    assert hint in told.out
    assert hint in cli("show", "v9").out
    assert cli("show", "v9", "--json").json["passes"] is None
    assert VERDICT in flat(cli("show", "v9", "--passes").out)


def test_show_without_a_pass(project: Path, cli: Cli) -> None:
    """Scores as they would be without a pass, with the change from what they are, and nothing written."""
    run = run_of(project, FIRST + CHECK)
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    told = cli("show", "v9", "--without-pass", "check")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith(f"v9 without check on reviews dev · 10 samples · {run.manifest.id}, from its stored")
    assert "change from v9" in told.out
    assert "No call was made, and nothing is written." in told.out
    assert "v9 without check against v9: inconclusive" in flat(told.out)
    as_json = cli("show", "v9", "--without-pass", "check", "--json").json
    assert (as_json["without"], as_json["missing"], as_json["scores"]["coverage"]) == (["check"], 0, 0.9)
    assert {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()} == before


def test_show_without_a_pass_that_a_later_one_depends_on(project: Path, cli: Cli) -> None:
    """Missing calls are told on standard error, and no verdict is given."""
    run = run_of(project, FIRST + CHECK + LAST)
    told = cli("show", "v9", "--without-pass", "check")
    assert told.err == (
        f"warning: without check run {run.manifest.id} would need calls that were never made: 1. "
        "They count as call errors.\n"
    )
    assert "No verdict: it would need calls of other passes that were never made: 1" in told.out


def test_passes_that_cannot_be_left_out(project: Path, cli: Cli) -> None:
    """What cannot be left out is told with the next step; nor does a sample go with it."""
    run = run_of(project, FIRST + CHECK)
    told = cli("show", "v9", "--without-pass", "chek")
    assert (told.code, told.err) == (
        2,
        f"error: --without-pass 'chek': must be a pass of run {run.manifest.id}: first, check. Did you mean 'check'?\n",
    )
    assert cli("show", "v9", "--without-pass", "first").code == 2
    assert "--without-pass: does not go with a sample" in cli("show", "v9", "r01", "--without-pass", "check").err


def test_passes_in_python(project: Path) -> None:
    """A run has its passes as a table, as a value, and itself without some of them."""
    run_of(project, FIRST + CHECK)
    run = load("v9")
    row = run.passes.loc["check"]
    assert (row["worth"], row["corrected"], row["broken"], row["calls"], row["gain"]) == (
        "not shown to pay",
        7,
        2,
        6,
        50.0,
    )
    assert run.measured is not None
    assert run.measured.passes[0].name == "check"
    without = run.without("check")
    assert repr(without) == f"<Run {run.id} without check: 0 calls missing>"
    assert without.headline["coverage"] == 0.9
    assert without.comparison.headline.index.get_level_values(0)[0] == "v9"
    assert "v9 without check" in without.comparison.verdict


def test_a_run_of_one_pass_has_an_empty_table(project: Path) -> None:
    """Without later passes the table has its columns and no row."""
    stored_run(project, "v2")
    table = load("v2").passes
    assert (len(table), list(table.columns)[:3]) == (0, ["how", "when", "worth"])
