"""Outside text passes through every command unharmed, and harms nothing: it is data, never markup or a command."""

from __future__ import annotations

import csv
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import Cli, Outcome, write, write_samples
from scripted_server import Request, ScriptedServer, say

project, cli = cli_project.project, cli_project.cli

TEXTS = {
    "markup": "[bold]not bold[/bold] [red] [/] [link=http://x]y[/link] :smile:",
    "ansi": "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07 \x1b[2J\x9b31m \r over",
    "html": "<script>alert('x')</script> <b>&amp;</b>",
    "formula": "=cmd()|'/c calc'!A1",
    "long": "wort " * 10 + "x" * 100_000,
    "nul": "a\x00b\x07c",
    "bidi": "שלום \u202eevil\u202c \u2066x\u2069 مرحبا \u200f\u061c",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 é́́ Ω ﷽",
    "surrogate": "lone \ud800 and \udfff",
    "jinja": "{{ labels }} {% raw %} {# no #}",
    "markdown": "| a | b |\n|---|\n# title `code` **bold** ![i](x)",
    "lines": "one\r\ntwo\u2028three\x85four\x0bfive",
}
"""Samples by id: what a text of somebody else's can hold."""

STRANGE_ID = "=1+1\x1b[31m\u202e"

LABELS = {
    "[bold]x[/bold]": "markup",
    "=sum(a1)": "formula",
    "@at": "formula",
    "<i>html</i>": "html",
    "a|b*c_d": "markdown",
    "🚚 שילוח": "scripts",
}
"""Label names as they are allowed."""

DIRECTIONS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def assert_harmless(text: str) -> None:
    """Check that nothing in a text moves a cursor, rings a bell or turns the line around."""
    for each in set(text) - {"\n", "\t"}:
        assert unicodedata.category(each) not in ("Cc", "Cs", "Zl", "Zp"), repr(each)
        assert unicodedata.bidirectional(each) not in DIRECTIONS, repr(each)
        assert each not in "\u200e\u200f\u061c", repr(each)


def answer(request: Request) -> str:
    """Return what the model says: outside text around a label, and for some samples nothing but outside text."""
    name = next(key for key in TEXTS if f"<{key}>" in request.text)
    labels = list(LABELS)
    known = labels[len(name) % len(labels)]
    return f"{known}, {TEXTS[name][:300]}" if name not in ("html", "nul") else TEXTS[name]


@pytest.fixture
def strange(project: Path) -> Iterator[ScriptedServer]:
    """A project whose texts, label names, tag and model output are outside text, with a server that answers so."""
    labels = "".join(f"  {json.dumps(name, ensure_ascii=False)}: {text}\n" for name, text in LABELS.items())
    write(project / "datasets/reviews.yaml", f"name: '[red]=x'\nlabels:\n{labels}splits: {{dev: reviews.dev.jsonl}}\n")
    names = list(LABELS)
    rows: dict[str, dict[str, Any]] = {
        key: {"text": text, "key": key, "labels": [names[at % len(names)]]}
        for at, (key, text) in enumerate(TEXTS.items())
    }
    rows[STRANGE_ID] = {"text": "An id that is outside text too.", "key": "markup", "labels": []}
    write_samples(project, rows)
    for version, parent in (("v1", "null"), ("v2", "v1")):
        write(
            project / f"prompts/{version}.yaml",
            f"parent: {parent}\ndataset: ../datasets/reviews.yaml\nmodel: '[red]m'\n"
            f'template: "{version} <{{{{ key }}}}> {{{{ text }}}}"\n',
        )
    with ScriptedServer(lambda request: say(answer(request))) as server:
        yield server


def ran(cli: Cli, strange: ScriptedServer, *versions: str) -> Outcome:
    """Run prompt versions."""
    paths = [f"prompts/{version}.yaml" for version in versions]
    return cli("run", *paths, "--tag", "[bold]=t", "--base-url", strange.base_url)


COMMANDS = [
    ("check", "prompts/v1.yaml", "--show", "99"),
    ("runs",),
    ("show", "v2"),
    *(("show", "v2", key) for key in TEXTS),
    ("show", "v2", STRANGE_ID),
    ("failures", "v2", "--limit", "99"),
    ("failures", "v2", "--label", "[bold]x[/bold]"),
    ("compare", "v1", "v2", "--limit", "99"),
    ("score", "v2"),
]


def test_nothing_reaches_the_terminal_raw(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """No command writes a control character of somebody else's to the terminal, as text or as JSON."""
    told = ran(cli, strange, "v1", "v2")
    assert told.code == 0, told.err
    assert_harmless(told.out + told.err)
    for command in COMMANDS:
        for arguments in (command, (*command, "--json")):
            outcome = cli(*arguments)
            assert outcome.code == 0, outcome.err
            assert_harmless(outcome.out + outcome.err)


def test_nothing_reaches_a_terminal_with_colours_raw(
    project: Path, cli: Cli, strange: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the only escape sequences are the styles of the report itself."""
    ran(cli, strange, "v1", "v2")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    styled = 0
    for command in COMMANDS:
        bare, styles = re.subn(r"\x1b\[[0-9;]*m", "", cli(*command).out)
        styled += styles
        assert_harmless(bare)
        assert "\\x1b[31mred" in bare or "ansi" not in command
    assert styled > 100


def test_a_dry_run_counts_every_text(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """The tokens of any text can be estimated, those of lone surrogates too."""
    outcome = cli("run", "prompts/v1.yaml", "--dry-run", "--base-url", strange.base_url)
    assert outcome.code == 0, outcome.err
    assert_harmless(outcome.out)
    assert strange.count == 0


def test_no_markup_is_interpreted(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """Brackets, tags and emoji names stand in the output as they were written."""
    told = ran(cli, strange, "v1")
    assert "[red]=x dev" in told.out
    assert "[bold]x[/bold]" in told.out
    assert "<i>html</i>" in told.out
    shown = cli("show", "v1", "markup").out
    assert f"  {TEXTS['markup']}\n" in shown
    assert "  <script>alert('x')</script> <b>&amp;</b>\n" in cli("show", "v1", "html").out
    assert "\\x1b[31mred\\x1b[0m" in cli("show", "v1", "ansi").out
    assert "[bold]=t" in cli("runs", "--json").json[0]["tag"]


def test_a_sample_is_sent_as_it_is(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """What the model gets is the very text: escaped for nobody, and no template of its own."""
    ran(cli, strange, "v1")
    sent = {request.text for request in strange.requests}
    for key, text in TEXTS.items():
        assert f"v1 <{key}> {text}" in sent, key


def test_json_round_trips_every_text(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """JSON of a sample and of failures reads back to the exact text and the exact output, lone surrogates too."""
    ran(cli, strange, "v1")
    for key, text in TEXTS.items():
        shown = cli("show", "v1", key, "--json").json
        assert shown["inputs"]["text"] == text
        assert shown["calls"][0]["messages"][0]["content"] == f"v1 <{key}> {text}"
    failures = cli("failures", "v1", "--json").json
    assert cli("failures", "v1", "-o", "out.json").code == cli("failures", "v1", "-o", "out.jsonl").code == 0
    assert json.loads(Path("out.json").read_text(encoding="utf-8")) == failures
    lines = Path("out.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines if line] == failures
    assert {row["id"]: row["inputs"]["text"] for row in failures} == {
        row["id"]: TEXTS.get(row["id"], "An id that is outside text too.") for row in failures
    }
    assert len(failures) >= len(TEXTS) // 2


def test_csv_has_no_formula_and_as_many_rows_as_results(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """In a spreadsheet no cell begins a formula, and no text breaks a row."""
    ran(cli, strange, "v1", "v2")
    assert cli("run", "--resume", "v2", "-o", "run.csv").code == 0
    assert cli("failures", "v2", "-o", "failures.csv").code == 0
    assert cli("compare", "v1", "v2", "-o", "labels.csv").code == 0
    counts = {
        "run.csv": len(TEXTS) + 1,
        "failures.csv": len(cli("failures", "v2", "--json").json),
        "labels.csv": len(LABELS),
    }
    for name, count in counts.items():
        with Path(name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) == count + 1, name
        assert {len(row) for row in rows} == {len(rows[0])}, name
        assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r\n") and cell[:1]], name
    assert "'=sum(a1)" in Path("labels.csv").read_text(encoding="utf-8")
    assert "'=1+1" in Path("run.csv").read_text(encoding="utf-8")


def test_markdown_has_no_markup_of_somebody_else(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """In Markdown every text is one cell of its row, without tags, links or code of its own."""
    ran(cli, strange, "v1", "v2")
    cli("run", "--resume", "v2", "-o", "run.md")
    cli("failures", "v2", "-o", "failures.md")
    cli("compare", "v1", "v2", "-o", "compare.md")
    for name in ("run.md", "failures.md", "compare.md"):
        text = Path(name).read_text(encoding="utf-8")
        assert_harmless(text)
        text = re.sub(
            r"^(`{3,})diff\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL
        )  # a fence longer than any in it
        bare = text.replace("\\\\", "").replace("\\<", "").replace("\\`", "").replace("\\[", "").replace("\\|", "")
        assert "<" not in bare
        assert "`" not in bare
        assert "[" not in bare
        widths = [len(line.split(" | ")) for line in bare.splitlines() if line.startswith("| ")]
        assert len(widths) > 2
    assert "a\\|b\\*c\\_d" in Path("run.md").read_text(encoding="utf-8")


def test_a_huge_line_is_cut_in_lists_and_whole_in_full(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """Lists stay readable beside a text of 100,000 characters; one sample in full shows all of it."""
    ran(cli, strange, "v1")
    assert len(cli("failures", "v1", "--limit", "99").out) < 20_000
    assert cli("show", "v1", "long").out.count("x") >= 100_000


def test_a_prompt_file_may_have_any_name(project: Path, cli: Cli, strange: ScriptedServer) -> None:
    """A version's name is outside text too: it comes from a file name."""
    name = "=[red]v\x1b[31m"
    (project / f"prompts/{name}.yaml").write_text((project / "prompts/v1.yaml").read_text())
    for command in (
        ("check",),
        ("run", f"prompts/{name}.yaml", "--base-url", strange.base_url),
        ("runs",),
        ("show", "latest"),
    ):
        outcome = cli(*command)
        assert outcome.code == 0, outcome.err
        assert_harmless(outcome.out + outcome.err)
        assert "=[red]v\\x1b[31m" in outcome.out
