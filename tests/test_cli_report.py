"""``harness report``: files of a run by extension, against its baseline or alone."""

from __future__ import annotations

import json
from pathlib import Path

import cli_project
import pytest
from cli_project import ANSWERS, Cli, stored_run, write
from pyarrow import parquet

project, cli = cli_project.project, cli_project.cli


@pytest.fixture
def runs(project: Path) -> Path:
    """The project with a run of each version."""
    for version in ("v1", "v2", "v3"):
        stored_run(project, version)
    return project


def test_a_page_against_the_parent(runs: Path, cli: Cli) -> None:
    """Without a baseline it is the one that `harness run` compares with."""
    told = cli("report", "v2", "-o", "report.html")
    assert (told.code, told.out, told.err) == (0, "written to report.html\n", "")
    page = (runs / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<title>v2 on reviews dev</title>" in page
    assert "v2 against v1: inconclusive" in page


def test_a_named_baseline(runs: Path, cli: Cli) -> None:
    """The second run is what the first is measured against."""
    assert cli("report", "v3", "v1", "--json").json["baseline"]["version"] == "v1"


def test_no_baseline(runs: Path, cli: Cli) -> None:
    """With --no-baseline the run stands alone."""
    told = cli("report", "v2", "--no-baseline", "-o", "report.html", "--json")
    assert told.json["comparison"] is None
    assert told.err == "written to report.html\n"
    assert '<section id="changes"' not in (runs / "report.html").read_text(encoding="utf-8")


def test_several_files_at_once(runs: Path, cli: Cli) -> None:
    """Each extension makes its file, all of the same data."""
    names = ["r.html", "r.md", "scores.csv", "r.json", "p.jsonl", "p.parquet"]
    told = cli("report", "v2", *(part for name in names for part in ("-o", name)))
    assert told.out == "".join(f"written to {name}\n" for name in names)
    value = json.loads((runs / "r.json").read_text(encoding="utf-8"))
    assert len(value["predictions"]) == 10
    assert parquet.read_table(runs / "p.parquet").num_rows == 10
    assert "| shipping | 4 |" in (runs / "r.md").read_text(encoding="utf-8")
    assert (runs / "scores.csv").read_text(encoding="utf-8").startswith("label,support,predicted,")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("v2",), 2, "error: -o: name a file to write, such as -o report.html."),
        (
            ("v2", "v1", "--no-baseline", "-o", "r.html"),
            2,
            "error: --no-baseline: does not go with a BASELINE. Leave one of them out.",
        ),
        (
            ("v2", "--open", "-o", "r.md"),
            2,
            "error: --open: needs a page to open. Add -o report.html.",
        ),
        (
            ("v2", "-o", "r.htm"),
            2,
            "error: -o r.htm: must end in .html, .md, .csv, .json, .jsonl, .parquet, got '.htm'. "
            "Did you mean '.html'?\n",
        ),
        (("v2", "-o", "no/r.html"), 2, "error: -o no/r.html: the folder no is not there. Make it first.\n"),
        (
            ("v2", "v2", "-o", "r.html"),
            1,
            "error: v2: must be another run than v2-20260104-030405, got the same one. See: harness runs\n",
        ),
    ],
)
def test_mistakes_are_told_before_any_work(
    runs: Path, cli: Cli, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """A mistake in what was typed is one line with the next step, and nothing is written."""
    told = cli("report", *arguments)
    assert (told.code, told.err[: len(message)]) == (code, message)
    assert not list(runs.glob("r.*"))


def test_a_run_without_gold_is_told(project: Path, cli: Cli) -> None:
    """Unlabelled samples have no scores."""
    write(project / "datasets/reviews.dev.jsonl", '{"id": "r01", "text": "Arrived three weeks late."}\n')
    run = stored_run(project, "v1", {"r01": "shipping"}).manifest.id
    told = cli("report", run, "-o", "r.html")
    assert told.code == 1
    assert told.err.startswith(f"error: run {run}: has no scores, because its samples are unlabelled.")


def test_the_first_version_stands_alone(runs: Path, cli: Cli) -> None:
    """Where there is no earlier run there is no baseline, and that is no error."""
    assert cli("report", "v1", "--json").json["baseline"] is None


def test_an_incomplete_run_says_so(project: Path, cli: Cli) -> None:
    """A run that lacks answers is reported by its id, with the warning on top."""
    run = stored_run(project, "v1", ANSWERS["v1"], state="incomplete").manifest.id
    assert cli("report", run, "-o", "r.html").code == 0
    assert "the run is incomplete: calls are missing" in (project / "r.html").read_text(encoding="utf-8")


def test_doubts_about_a_name_are_told(runs: Path, cli: Cli) -> None:
    """A version whose file has changed since says so, for both runs."""
    for version in ("v1", "v2"):
        path = runs / f"prompts/{version}.yaml"
        write(path, path.read_text(encoding="utf-8").replace("Labels:", "The labels:"))
    told = cli("report", "v2", "v1", "-o", "r.html")
    assert told.err.count("has changed since") == 2


@pytest.mark.parametrize("command", [("show", "v2"), ("failures", "v2", "--regressed-from", "v1")])
def test_doubts_are_told_wherever_a_run_is_shown(runs: Path, cli: Cli, command: tuple[str, ...]) -> None:
    """What makes it doubtful which run a version means is told by commands that read one, of each name, not of an id."""
    for version in ("v1", "v2"):
        path = runs / f"prompts/{version}.yaml"
        write(path, path.read_text(encoding="utf-8").replace("Labels:", "The labels:"))
    told = cli(*command, "--json")
    assert told.err.count("has changed since") == len([word for word in command if word in ("v1", "v2")])
    assert cli("show", "latest").err == ""


def test_the_page_is_opened(runs: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --open a browser is started; where there is none, that is said."""
    opened: list[str] = []

    def launch(address: str) -> int:
        opened.append(address)
        return len(opened) - 1

    monkeypatch.setattr("click.launch", launch)
    assert cli("report", "v2", "-o", "r.html", "--open").err == ""
    assert opened == [str((runs / "r.html").resolve())]
    told = cli("report", "v2", "-o", "r.html", "--open")
    assert told.err == "warning: --open: no browser could be started. Open r.html yourself.\n"
