"""What an attacker would try: the key out of the process, paths out of the project, files that fill memory.

Templates are in test_template.py and test_templatebudget.py, what texts do to terminals and files in
test_outside_text.py, the page in test_report_html.py and test_report_browser.py.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import cli_project
import click
import pytest
from cli_project import Cli, Outcome, stored_run, write, write_samples
from hypothesis import given
from hypothesis import strategies as st
from projects import Folder
from scripted_server import Gate, Reply, Request, ScriptedServer, error, say
from test_parsing_fuzz import OUTPUTS

from harness.cli import group
from harness.clients.embedded import find_weights, start_server
from harness.clients.hiding import PLACE, decoded, hidden
from harness.parsing import read
from harness.prompt import Engine
from harness.records import Answer, Completion, ParseFailure
from harness.report.files import to_csv

project, cli = cli_project.project, cli_project.cli
SOURCES = sorted(Path(__file__).parent.parent.joinpath("harness").rglob("*.py"))


def told(outcome: Outcome) -> str:
    """Return what a command told, errors and all, on one line."""
    return " ".join((outcome.out + " " + outcome.err).split())


# --- the key ----------------------------------------------------------------------------------------------------------

KEY = "sk-proj-planted/0123456789+abcdef"
ESCAPED = "".join(f"\\u{ord(each):04x}" for each in KEY)


def everything(root: Path, *said: str) -> bytes:
    """Return all that a project holds, file names too, but for its `.env`; and what was told."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != ".env"]
    assert files
    return b"\0".join([*(str(path).encode() + path.read_bytes() for path in files), *(each.encode() for each in said)])


@pytest.fixture
def planted(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose `.env` holds the key, which is in no environment before."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.delenv("OPENAI_API_KEY")
    write(project / ".env", f"OPENAI_API_KEY={KEY}\n")
    yield project
    monkeypatch.setenv("OPENAI_API_KEY", "")  # what .env said goes with the test


LEAKS: dict[str, Callable[[Request], Reply]] = {
    "an error's words": lambda request: error(500, f"bad key {KEY} in {request.headers['authorization']}"),
    "a refused key": lambda _: error(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"),
    "a code and a parameter": lambda _: error(400, f"{KEY} is wrong", code=KEY, param=KEY),
    "a page": lambda _: Reply(status=502, raw_body=f"<html>Bearer {KEY}</html>".encode()),
    "a page with status 200": lambda _: Reply(raw_body=f"<html>Bearer {KEY}</html>".encode()),
    "a JSON text": lambda _: Reply(raw_body=json.dumps(KEY).encode()),
    "broken JSON": lambda _: Reply(raw_body=f'{{"{KEY}": "{KEY}'.encode()),
    "an unknown shape": lambda _: Reply(raw_body=json.dumps({"error": {"message": KEY}}).encode()),
    "headers": lambda _: Reply("shipping", headers={"x-key": KEY, "x-request-id": KEY, "openai-organization": KEY}),
    "a long wait": lambda _: error(429, f"slow down {KEY}", headers={"retry-after": KEY}),
}
"""What servers answer that hold the key against us."""

ECHOES: dict[str, Callable[[Request], Reply]] = {
    "the answer": lambda request: say(f"shipping, {request.headers['authorization']}"),
    "the model, finish reason and refusal": lambda _: Reply(
        "shipping", model=KEY, finish_reason=KEY, refusal=f"no: {KEY}"
    ),
    "the reasoning": lambda _: Reply("shipping", reasoning=f"the key is {KEY}"),
    "escapes of JSON": lambda _: Reply(
        raw_body=json.dumps(
            {"model": "ESC", "choices": [{"message": {"content": "shipping, ESC"}, "finish_reason": "stop"}]}
        )
        .replace("ESC", ESCAPED)
        .encode()
    ),
}
"""What servers answer that repeat the key as if it were an answer."""


def all_commands(cli: Cli, url: str) -> str:
    """Run a prompt with all that shows and writes what came of it, and return what was told."""
    said = []
    for arguments in (
        ("run", "prompts/v1.yaml", "--base-url", url),
        ("run", "prompts/v1.yaml", "--base-url", url, "--resume", "latest"),
        ("failures", "latest", "--limit", "99"),
        ("show", "latest", "r01"),
        (
            "report",
            "latest",
            *(part for end in ("html", "md", "json", "jsonl", "csv", "parquet") for part in ("-o", f"out.{end}")),
        ),
        ("check", "prompts/v1.yaml", "--show", "1"),
        ("exceptions", "latest", "-o", "exceptions.md"),
        ("bless", "latest", "--as", "base"),
        ("gate", "latest", "--against", "base", "-o", "out.xml"),
        ("runs",),
        ("runs", "--json"),
    ):
        outcome = cli(*arguments)
        said += [outcome.out, outcome.err]
    return "\n".join(said)


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_a_server_that_tells_the_key_tells_nobody_else(planted: Path, cli: Cli, leak: Any) -> None:
    """The key stands in no file, name of a file or message, whatever an error says, and a run from `.env` sends it."""
    with ScriptedServer(leak) as server:
        said = all_commands(cli, server.base_url)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    found = everything(planted, said)
    assert KEY.encode() not in found
    assert KEY[:20].encode() not in found  # cut in the middle, most of it would do


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
def test_an_answer_that_repeats_the_key_is_kept_without_it(planted: Path, cli: Cli, echo: Any) -> None:
    """Raw output is kept as it came, but for the very key of this process."""
    with ScriptedServer(echo) as server:
        said = all_commands(cli, server.base_url)
    found = everything(planted, said)
    assert KEY.encode() not in found
    assert ESCAPED.encode() not in found
    assert PLACE.encode() in found


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_server_cannot_send_us_elsewhere(planted: Path, cli: Cli, status: int) -> None:
    """A redirect is not followed: neither the key nor a text goes to an address that nobody named."""
    with ScriptedServer(say("shipping")) as other:
        away = Reply(status=status, headers={"location": f"{other.base_url}/chat/completions"}, raw_body=b"")
        with ScriptedServer(away) as server:
            outcome = cli("run", "prompts/v1.yaml", "--base-url", server.base_url)
        assert other.requests == []
    assert outcome.code == 1


def test_the_key_is_hidden_wherever_an_answer_has_it() -> None:
    """In texts, names, lists, escapes and pages; all else is as it came."""
    plain = json.dumps({"a": [f"x {KEY}", {KEY: 1}], "b": "caf\u00e9 \\/ \ud83d\ude00", "n": [1.5, None, True]})
    expected = {"a": [f"x {PLACE}", {PLACE: 1}], "b": "caf\u00e9 \\/ \U0001f600", "n": [1.5, None, True]}
    assert decoded(plain.encode(), KEY) == expected
    assert decoded(plain.replace(KEY, ESCAPED).encode(), KEY) == expected
    assert decoded(plain.replace(KEY, KEY.replace("/", "\\/")).encode(), KEY) == expected
    assert decoded(f"<p>{KEY}</p>".encode(), KEY) == f"<p>{PLACE}</p>"
    assert decoded(plain.encode(), None) == json.loads(plain)
    assert decoded(b"[]", KEY) == []


@pytest.mark.parametrize("word", ["none", "EMPTY", "x", "sk-no-key", "", None])
def test_a_word_in_the_place_of_a_key_is_no_secret(word: str | None) -> None:
    """Servers without keys are given short words, which answers are full of: they stay."""
    assert hidden("none, EMPTY, x, sk-no-key", word) == "none, EMPTY, x, sk-no-key"


@given(st.text())
def test_an_answer_without_the_key_is_as_it_came(text: str) -> None:
    """Nothing else is ever taken out."""
    assert decoded(json.dumps([text]).encode(), KEY) == [text]
    assert decoded(json.dumps([text], ensure_ascii=False).encode("utf-8", "replace"), KEY)[0].count(
        "[key]"
    ) == text.count("[key]")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc")
def test_the_key_is_on_no_command_line(planted: Path) -> None:
    """While a run waits for answers, neither its command line nor that of a child of it holds the key."""
    gate = Gate()
    with ScriptedServer(say("shipping", hold=gate)) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", "run", "prompts/v1.yaml", "--base-url", server.base_url],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            until = time.monotonic() + 60
            while not server.requests and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            lines = {each.parent.name: _bytes(each) for each in Path("/proc").glob("[0-9]*/cmdline")}
        finally:
            gate.set()
            out, err = process.communicate(timeout=60)
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert b"prompts/v1.yaml" in lines[str(process.pid)]
    assert not [line for line in lines.values() if KEY.encode() in line]
    assert KEY.encode() not in everything(planted) + out + err


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def test_no_option_takes_a_key() -> None:
    """What stands on a command line everybody on the machine can read: no command has an option for a secret."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        for each in command.params:
            assert not re.search(r"key|token$|secret|password|header", " ".join([each.name or "", *each.opts])), name


@pytest.mark.parametrize(
    "model",
    [
        f"{{name: m, params: {{api_key: {KEY}}}}}",
        f"{{name: m, params: {{extra_headers: {{Authorization: {KEY}}}}}}}",
        f"{{name: m, params: {{headers: {{x: {KEY}}}}}}}",
        f"{{name: m, api_key: {KEY}}}",
        f"{{name: m, headers: {{x: {KEY}}}}}",
        f"{{name: m, base_url: 'http://user:{KEY}@127.0.0.1:1/v1'}}",
        f"{{name: m, base_url: 'http://127.0.0.1:1/v1?key={KEY}'}}",
        f"{{name: m, base_url: 'http://127.0.0.1:1/v1#{KEY}'}}",
    ],
)
def test_a_key_in_a_prompt_is_refused_and_not_repeated(project: Path, cli: Cli, model: str) -> None:
    """A prompt is committed and frozen into runs: a key in it is an error, and the error does not hold it."""
    text = (project / "prompts/v1.yaml").read_text().replace("model: scripted", f"model: {model}")
    write(project / "prompts/v1.yaml", text)
    outcome = cli("run", "prompts/v1.yaml")
    assert outcome.code == 1
    assert KEY not in outcome.out + outcome.err
    assert not (project / "runs").exists()


def test_a_broken_env_is_told_without_its_content(project: Path, cli: Cli) -> None:
    """A `.env` that cannot be read is named, and not quoted."""
    (project / ".env").write_bytes(f"OPENAI_API_KEY={KEY}\xff".encode("latin-1"))
    outcome = cli("runs")
    assert outcome.code == 1
    assert KEY not in outcome.out + outcome.err
    assert ".env: must be readable lines of NAME=value" in outcome.err


# --- paths ------------------------------------------------------------------------------------------------------------

OUTSIDE = {
    "up": "../../outside/{name}",
    "far up": "../../../../../../../../../etc/passwd",
    "absolute": "{root}/outside/{name}",
    "a link": "link-{name}",
    "a linked folder": "linked/{name}",
    "a circle": "circle",
    "NUL": "a\\0b",
}
"""Ways out of the folder `prompts` or `datasets` of a project, as YAML writes them in double quotes."""

PLACES = {
    "dataset": ("reviews.yaml", 'dataset: "{path}"\nmodel: m\ntemplate: "{{{{ text }}}}"\n'),
    "include": (
        "secret.txt",
        HEAD := "dataset: ../datasets/reviews.yaml\nmodel: m\ntemplate: |\n  {{% include '{path}' %}}\n",
    ),
    "import": ("secret.txt", HEAD.replace("{{% include '{path}' %}}", "{{% import '{path}' as x %}}")),
    "shots": (
        "shots.jsonl",
        'dataset: ../datasets/reviews.yaml\nmodel: m\ntemplate: "{{{{ text }}}}"\nshots: {{from: "{path}"}}\n',
    ),
    "variable": (
        "secret.txt",
        'dataset: ../datasets/reviews.yaml\nmodel: m\nvars: {{x: {{file: "{path}"}}}}\ntemplate: "{{{{ x }}}}"\n',
    ),
}
"""Where a prompt names a file: what it would find there, and the prompt."""


@pytest.fixture
def traps(project: Path) -> Path:
    """A project beside a folder of secrets, with links into that folder."""
    outside = project.parent / "outside"
    outside.mkdir()
    write(outside / "secret.txt", "SECRET")
    write(outside / "reviews.yaml", (project / "datasets/reviews.yaml").read_text())
    write(outside / "reviews.dev.jsonl", '{"id": "a", "text": "SECRET", "labels": []}\n')
    write(outside / "shots.jsonl", '{"id": "a", "text": "SECRET", "labels": []}\n')
    write(outside / "rules.yaml", "SECRET: SECRET\n")
    for folder in ("prompts", "datasets"):
        (project / folder / "linked").symlink_to(outside)
        (project / folder / "circle").symlink_to("circle")
        for file in outside.iterdir():
            (project / folder / f"link-{file.name}").symlink_to(file)
    return project


@pytest.mark.parametrize("way", OUTSIDE.values(), ids=OUTSIDE.keys())
@pytest.mark.parametrize("place", PLACES, ids=PLACES)
def test_no_file_that_a_prompt_names_lies_outside(traps: Path, cli: Cli, place: str, way: str) -> None:
    """A prompt reads no file outside of its project, by whichever way, and the message shows nothing of what is there."""
    name, prompt = PLACES[place]
    path = way.format(name=name, root=traps.parent)
    if place in ("include", "import"):
        path = path.replace("\\0", "\0")
        if "\0" in path:
            pytest.skip("YAML has no NUL outside of quotes")
    write(traps / "prompts/v9.yaml", prompt.format(path=path))
    outcome = cli("check", "prompts/v9.yaml", "--show", "1")
    assert outcome.code == 1, outcome.out
    assert "SECRET" not in told(outcome)
    assert "root:" not in told(outcome)
    assert re.search(r"prompts/v9\.yaml:\d+: .*(?:in the project|from the prompt's folder)", told(outcome))


HIDDEN = ["../.env", "../.harness/notes.txt", "../.git/config", "link-env", "linked-git/config", "./../prompts/../.env"]
"""Hidden files, some behind names that are not, as the folder `prompts` or `datasets` sees them."""


@pytest.fixture
def secretive(project: Path) -> Path:
    """A project with a key in `.env`, and other files that are not for people."""
    write(project / ".env", f"OPENAI_API_KEY={KEY}\n")
    write(project / ".harness/notes.txt", KEY)
    write(project / ".git/config", KEY)
    for folder in ("prompts", "datasets"):
        (project / folder / "link-env").symlink_to("../.env")
        (project / folder / "linked-git").symlink_to("../.git")
    return project


@pytest.mark.parametrize("path", HIDDEN)
@pytest.mark.parametrize("place", PLACES, ids=PLACES)
def test_no_file_that_a_prompt_names_is_hidden(secretive: Path, cli: Cli, place: str, path: str) -> None:
    """A prompt cannot send `.env`, where the key is, nor what is in other hidden files and folders."""
    write(secretive / "prompts/v9.yaml", PLACES[place][1].format(path=path))
    outcome = cli("check", "prompts/v9.yaml", "--show", "1")
    assert outcome.code == 1
    assert KEY not in told(outcome)
    assert re.search(r"prompts/v9\.yaml:\d+: .*must not be hidden, as '\.(env|harness|git)' is", told(outcome))


@pytest.mark.parametrize("path", HIDDEN)
def test_no_split_is_hidden(secretive: Path, cli: Cli, path: str) -> None:
    """Neither does a dataset read samples from such a file."""
    text = (secretive / "datasets/reviews.yaml").read_text()
    write(secretive / "datasets/reviews.yaml", text.replace("dev: reviews.dev.jsonl", f'dev: "{path}"'))
    outcome = cli("check", "prompts/v1.yaml", "--show", "1")
    assert outcome.code == 1
    assert KEY not in told(outcome)
    assert re.search(r"datasets/reviews\.yaml:\d+: .*must not be hidden", told(outcome))


@pytest.mark.parametrize("way", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_no_split_lies_outside(traps: Path, cli: Cli, way: str) -> None:
    """Neither does a dataset read samples from outside."""
    path = way.format(name="reviews.dev.jsonl", root=traps.parent)
    text = (traps / "datasets/reviews.yaml").read_text()
    write(traps / "datasets/reviews.yaml", text.replace("dev: reviews.dev.jsonl", f'dev: "{path}"'))
    outcome = cli("check", "prompts/v1.yaml", "--show", "1")
    assert outcome.code == 1
    assert "SECRET" not in told(outcome)
    assert re.search(r"datasets/reviews\.yaml:\d+: .*in the project", told(outcome))


def test_a_tilde_is_a_letter(traps: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """No home folder is put in the place of `~`."""
    monkeypatch.setenv("HOME", str(traps.parent / "outside"))
    write(traps / "prompts/v9.yaml", PLACES["variable"][1].format(path="~/secret.txt"))
    outcome = cli("check", "prompts/v9.yaml", "--show", "1")
    assert outcome.code == 1
    assert "~/secret.txt: no such file" in told(outcome)


@pytest.mark.parametrize("name", ["../../outside/secret.txt", "link-secret.txt", "linked/secret.txt"])
def test_an_included_file_does_not_lead_outside_either(traps: Path, cli: Cli, name: str) -> None:
    """What a file in the project includes is held to the same."""
    write(traps / "prompts/inner.txt", f"{{% include '{name}' %}}")
    write(traps / "prompts/v9.yaml", PLACES["include"][1].format(path="inner.txt"))
    outcome = cli("check", "prompts/v9.yaml", "--show", "1")
    assert outcome.code == 1
    assert "SECRET" not in told(outcome)
    assert "must lie in the project" in told(outcome)


EVIL_NAMES = ["../../evil", "/tmp/evil", "..", ".", "~", "a/b", "a\x00b", "con", "a" * 300, "\x1b[31m", "-rf"]


def test_no_name_of_a_sample_label_or_model_becomes_a_path(project: Path, cli: Cli) -> None:
    """Ids, labels, tags, datasets and models that look like paths are names: nothing is written beside the project."""
    before = {path for path in project.parent.rglob("*") if not path.is_relative_to(project)}
    labels = {name: "x" for name in EVIL_NAMES if name.isprintable()}
    head = f"name: '../../evil'\nlabels: {json.dumps(labels)}\nsplits: {{dev: reviews.dev.jsonl}}\n"
    write(project / "datasets/reviews.yaml", head)
    write_samples(project, {name: {"text": name, "labels": ["../../evil"]} for name in EVIL_NAMES})
    text = (project / "prompts/v1.yaml").read_text()
    write(project / "prompts/v1.yaml", text.replace("model: scripted", "model: ../../evil"))
    with ScriptedServer(Reply("../../evil", model="../../../evil")) as server:
        assert cli("run", "prompts/v1.yaml", "--tag", "../../evil", "--base-url", server.base_url).code == 0
    (run,) = (project / "runs").iterdir()
    assert re.fullmatch(r"v1-\d{8}-\d{6}", run.name)
    for end in ("html", "md", "csv", "json"):
        assert cli("report", "v1", "-o", f"out.{end}").code == 0
    assert cli("bless", "v1").code == 0
    assert {path for path in project.parent.rglob("*") if not path.is_relative_to(project)} == before
    assert not list(Path("/tmp").glob("evil*"))  # where the absolute name would have led


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/b", "..", ".hidden", "a\x00b", ""])
def test_a_baseline_s_name_is_no_path(project: Path, cli: Cli, name: str) -> None:
    """`bless --as` takes a word."""
    stored_run(project, "v1")
    outcome = cli("bless", "v1", "--as", name)
    assert outcome.code != 0
    assert "--as: must be letters, digits" in outcome.err


@pytest.mark.parametrize("way", [OUTSIDE["up"], OUTSIDE["absolute"], OUTSIDE["a link"], OUTSIDE["a linked folder"]])
@pytest.mark.parametrize("key", ["protected", "against"])
def test_rules_name_no_file_outside(traps: Path, cli: Cli, key: str, way: str) -> None:
    """The rules of a gate read no list of ids and no baseline from outside."""
    run = stored_run(traps, "v1")
    for folder in ("outside", "project/prompts"):
        (traps.parent / folder / "base.json").write_text("{}")
    path = way.format(name="base.json" if key == "against" else "secret.txt", root=traps.parent)
    if "link-" in path and key == "against":
        (traps / "prompts/link-base.json").symlink_to(traps.parent / "outside/base.json")
    write(traps / "prompts/rules.yaml", f"rules: [macro_f1 >= 0]\n{key}: '{path}'\n")
    outcome = cli("gate", run.manifest.id, "--rules", "prompts/rules.yaml")
    assert outcome.code == 1
    assert f"'{key}' names a file that must lie in the project" in outcome.err
    assert "SECRET" not in outcome.err


@pytest.mark.parametrize("name", ["../../outside/base", "{root}/outside/base", "link-base"])
def test_a_baseline_that_rules_name_is_no_file_outside(
    traps: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither under a name without an ending, which is that of a baseline or a run."""
    stored_run(traps, "v1")
    write(traps.parent / "outside/base", "SECRET")
    (traps / "prompts/link-base").symlink_to(traps.parent / "outside/base")
    write(traps / "prompts/rules.yaml", f"rules: [macro_f1 >= 0]\nagainst: '{name.format(root=traps.parent)}'\n")
    monkeypatch.chdir(traps / "prompts")
    outcome = cli("gate", "v1", "--rules", "rules.yaml")
    assert outcome.code == 1
    assert "no such baseline, file or run" in told(outcome) or "names a file that" in told(outcome)


def test_a_run_s_folder_cannot_be_named_by_its_manifest(project: Path, cli: Cli) -> None:
    """A manifest with a path for an id writes nowhere else: a run is where its folder is."""
    run = stored_run(project, "v1")
    row = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**row, "id": "../../evil"}))
    before = sorted(project.parent.iterdir())
    assert cli("score", str(run.path)).code == 0
    assert sorted(project.parent.iterdir()) == before


# --- files that fill memory -------------------------------------------------------------------------------------------

DEEP = 100_000
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{at + 1}: &a{at + 1} [*a{at}, *a{at}]\n" for at in range(60))
MERGES = "a0: &a0 {k0: 1}\n" + "".join(
    f"a{at + 1}: &a{at + 1} {{<<: [*a{at}, *a{at}], k{at}: 1}}\n" for at in range(60)
)
YAML_BOMBS = {
    "aliases": LAUGHS,
    "merges": MERGES,
    "lists": "a: " + "[" * DEEP,
    "closed lists": "a: " + "[" * DEEP + "]" * DEEP,
    "mappings": "a: " + "{a: " * DEEP,
    "blocks": "\n".join(" " * at + "a:" for at in range(2000)),
    "dashes": "a:\n" + "- " * DEEP + "x",
    "keys": "? " * DEEP,
    "an alias in itself": "a: &a [*a]",
    "a mapping in itself": "a: &a {b: *a}",
    "anchors": "a: " + "&a " * DEEP,
    "tags": "a: " + "!!str " * DEEP,
    "a number": "a: " + "9" * DEEP,
    "an object": "a: !!python/object/apply:os.system ['touch /tmp/evil']",
    "a class": "a: !!python/name:os.system",
    "a module": "a: !!python/module:os",
}
READERS: dict[str, tuple[str, ...]] = {
    "prompts/v1.yaml": ("check", "prompts/v1.yaml"),
    "datasets/reviews.yaml": ("check", "prompts/v1.yaml"),
    "gates.yaml": ("gate", "latest", "--rules", "gates.yaml"),
}


@pytest.mark.parametrize("text", YAML_BOMBS.values(), ids=YAML_BOMBS.keys())
@pytest.mark.parametrize("file", READERS)
def test_a_yaml_bomb_is_refused_soon(project: Path, cli: Cli, file: str, text: str) -> None:
    """Aliases that multiply, endless nesting and Python's own tags end in a message with the file and the line."""
    stored_run(project, "v1")
    write(project / file, text)
    began = time.process_time()
    outcome = cli(*READERS[file])
    assert outcome.code == 1
    assert re.search(rf"\b{re.escape(file)}:\d+: ", told(outcome)), told(outcome)[:300]
    assert len(told(outcome)) < 5000
    assert time.process_time() - began < 20
    assert not Path("/tmp/evil").exists()  # what the tag would have made


def test_a_parameter_is_read_alike(project: Path, cli: Cli) -> None:
    """A value that is given as YAML on the command line is held to the same."""
    for text in ("[" * DEEP, "&a [*a]", "!!python/name:os.system"):
        outcome = cli("run", "prompts/v1.yaml", "--param", f"x={text}")
        assert outcome.code != 0
        assert outcome.err.startswith("error: ")


def test_yaml_is_read_by_the_safe_loader_alone() -> None:
    """No source names a loader that makes objects, unpickles, or evaluates text as Python."""
    wrong = re.compile(
        r"yaml\.(?:load|load_all|full_load|unsafe_load)\b|(?<!Safe)Loader=yaml\.(?!SafeLoader)|UnsafeLoader|FullLoader"
        r"|\bpickle\b|\bmarshal\b|\bshelve\b|(?<![\w.])(?:eval|exec)\(|shell=True|os\.system|verify=False|ssl=False"
    )
    found = [f"{path.name}: {each[0]}" for path in SOURCES for each in wrong.finditer(path.read_text())]
    assert found == []


JSON_BOMBS = {
    "lists": "[" * DEEP,
    "closed lists": "[" * DEEP + "]" * DEEP,
    "objects": '{"a":' * DEEP,
    "in a row": '{"id": "x", "text": ' + "[" * DEEP + "]" * DEEP + ', "labels": []}',
    "a number": '{"id": "x", "text": "y", "labels": ' + "9" * DEEP + "}",
}


@pytest.mark.parametrize("text", JSON_BOMBS.values(), ids=JSON_BOMBS.keys())
def test_a_json_bomb_among_samples_is_told(project: Path, cli: Cli, text: str) -> None:
    """Deep nesting in a sample file is a message with file and line."""
    write(project / "datasets/reviews.dev.jsonl", text + "\n")
    outcome = cli("check", "prompts/v1.yaml")
    assert outcome.code == 1
    assert "datasets/reviews.dev.jsonl:1: " in told(outcome)
    assert len(told(outcome)) < 2000


STORED = ["run.json", "samples.jsonl", "completions.jsonl", "predictions.jsonl", "scores.json"]


@pytest.mark.parametrize("text", [JSON_BOMBS["lists"], JSON_BOMBS["closed lists"], JSON_BOMBS["objects"]])
@pytest.mark.parametrize("file", STORED)
def test_a_json_bomb_in_a_run_is_told(project: Path, cli: Cli, file: str, text: str) -> None:
    """A run's file that nests too deep is a damaged file, in every command that reads it."""
    run = stored_run(project, "v1")
    (run.path / file).write_text(text + "\n")
    for command in (("show", str(run.path)), ("failures", str(run.path)), ("score", str(run.path)), ("runs",)):
        outcome = cli(*command)
        assert len(outcome.err) < 2000, command


def test_a_json_bomb_in_a_baseline_is_told(project: Path, cli: Cli) -> None:
    """So is a committed baseline."""
    stored_run(project, "v1")
    cli("bless", "v1", "--as", "base")
    (path,) = project.rglob("base.json")
    path.write_text("[" * DEEP)
    outcome = cli("gate", "v1", "--against", "base")
    assert outcome.code != 0
    assert "base.json: cannot be read" in outcome.err


def test_toml_bombs_are_told(project: Path, cli: Cli) -> None:
    """Deep nesting in the settings is a message."""
    for text in ("a = " + "[" * DEEP, "a = " + "{a=" * DEEP, ".".join("a" * DEEP) + " = 1"):
        write(project / "harness.toml", text)
        outcome = cli("runs")
        assert outcome.code == 1
        assert outcome.err.startswith("error: harness.toml") or "harness.toml" in outcome.err
        assert len(outcome.err) < 2000


LONG = 20_000
ANSWERS = {
    "deep lists": "[" * LONG,
    "deep objects": '{"a":' * LONG,
    "deep answer": '{"labels": ' + "[" * LONG + '"shipping"' + "]" * LONG + "}",
    "brackets": "[{(" * LONG,
    "fences": "```" * LONG,
    "tags": "<a>" * LONG,
    "quotes": '"' * LONG,
    "backslashes": "\\" * LONG,
    "separators": "," * LONG,
    "spaces": " " * LONG + "shipping",
    "lines": "\n" * LONG,
    "nots": "not " * LONG + "shipping",
    "names": "shipping " * (LONG // 5),
    "colons": "labels: " * (LONG // 5),
}


@pytest.mark.parametrize("about", OUTPUTS)
def test_answers_that_nest_or_repeat_are_read_soon(about: str) -> None:
    """Whatever a model says, a parser gives labels or a failure, in time that grows with the text."""
    output, space = OUTPUTS[about]
    began = time.process_time()
    for text in ANSWERS.values():
        assert isinstance(read(Completion("ok", text, "stop"), space, output), Answer | ParseFailure)
    assert (
        time.process_time() - began < 60
    )  # a twentieth of that on an idle machine; hours where it grows with the square


def test_a_server_s_deep_answer_is_a_failure(folder: Folder) -> None:
    """JSON that no parser can follow is a failed call, not a crash."""
    for body in (b"[" * DEEP, b'{"a":' * DEEP, b'{"choices": ' + b"[" * DEEP + b"]" * DEEP + b"}"):
        run = folder.run("v1", Reply(raw_body=body), limit=1)
        (prediction,) = run.stored.predictions
        assert prediction.failure == "call_error"


def test_a_deep_entry_of_the_cache_is_asked_again(folder: Folder) -> None:
    """A cached answer that nests too deep is no answer."""
    import sqlite3

    folder.run("v1", say("shipping"), limit=1)
    with sqlite3.connect(folder.project.cache) as connection:
        connection.execute("UPDATE completions SET completion = ?", ("[" * DEEP,))
    connection.close()
    with ScriptedServer(say("quality")) as server:
        folder.run_on(server, limit=1)


# --- the embedded server ----------------------------------------------------------------------------------------------


def test_the_embedded_server_is_told_to_keep_to_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It gets the loopback address alone, a free port, a key, and no page for browsers."""
    seen: list[Any] = []
    params = SimpleNamespace(model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace())
    fake = ModuleType("xllamacpp")
    fake.CommonParams = lambda: params  # type: ignore[attr-defined]
    fake.Server = lambda given: seen.append(given) or SimpleNamespace(handle_metrics=lambda: None)  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setitem(sys.modules, "xllamacpp", fake)
    start_server(tmp_path / "m.gguf", Engine(), 2, "a-random-key")
    (given,) = seen
    assert given.hostnames == ["127.0.0.1"]
    assert given.port == 0
    assert given.api_keys == ["a-random-key"]
    assert given.ui is False


@pytest.mark.model
def test_the_embedded_server_answers_nobody_without_its_key() -> None:
    """A request without the key, or with another, is refused, on an address that no other machine reaches."""
    server = start_server(find_weights("smollm2-135m"), Engine(context=256, slots=1), 1, "right-key-0123456789")
    address = server.listening_address
    assert urlsplit(address).hostname == "127.0.0.1"
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in ("/v1/chat/completions", "/v1/completions", "/tokenize", "/props", "/slots", "/metrics"):
        for key in (None, "", "wrong-key"):
            headers = {
                "content-type": "application/json",
                **({"authorization": f"Bearer {key}"} if key is not None else {}),
            }
            asked = urllib.request.Request(f"{address}{path}", data=body, headers=headers)
            with pytest.raises(urllib.error.HTTPError) as refused:
                opener.open(asked, timeout=30)
            assert refused.value.code == 401, path
            refused.value.close()


# --- spreadsheets -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), min_size=1, max_size=3), min_size=1, max_size=3)
)
def test_no_cell_of_a_csv_is_a_formula(rows: list[dict[str, str]]) -> None:
    """No cell and no heading begins with what a spreadsheet takes for a formula, and each is one cell when read back."""
    text = to_csv(rows)
    for line in csv.reader(io.StringIO(text, newline="")):
        assert not [cell for cell in line if cell[:1] in tuple("=+-@\t\r\n")]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    assert len(next(csv.reader(io.StringIO(text, newline="")))) == len(columns)
