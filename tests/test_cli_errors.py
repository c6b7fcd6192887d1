"""Every mistake ends in one message that says where it is, what must hold, what was found and what to do next."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path

import cli_project
import pytest
from cli_project import Cli, stored_run, write, write_samples
from scripted_server import ScriptedServer, error, say

project, cli = cli_project.project, cli_project.cli

PROMPT = "prompts/v1.yaml"
NOWHERE = ("--base-url", "http://127.0.0.1:9/v1")
"""A server that is never asked in these tests: the mistake is found before."""

HEAD = "dataset: ../datasets/reviews.yaml\nmodel: scripted\n"
Change = Callable[[Path], object]


def files(project: Path) -> dict[str, bytes]:
    """Return every file of a project but caches."""
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and ".harness" not in path.parts
    }


def told(cli: Cli, *arguments: str, code: int = 1) -> str:
    """Return the error of a command, which must print nothing else, change no file and exit with the code."""
    before = files(Path.cwd())
    outcome = cli(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith("error: ")
    assert files(Path.cwd()) == before, "something was lost or left behind"
    return outcome.err.removeprefix("error: ").rstrip("\n")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("template: [\n", "prompts/x.yaml:2: must be YAML, but expected the node content, but found '<stream end>'."),
        (
            f"{HEAD}tempalte: '{{{{ text }}}}'\n",
            "prompts/x.yaml:3: unknown key 'tempalte'. Did you mean 'template'?",
        ),
        (
            f"{HEAD}template: |\n  Labels.\n  {{{{ txt }}}}\n",
            "prompts/x.yaml:5: 'txt' is not defined. Did you mean 'text'? Here there is: groups, labels, text.",
        ),
    ],
    ids=["broken YAML", "unknown key", "undefined variable"],
)
def test_a_bad_prompt(project: Path, cli: Cli, text: str, message: str) -> None:
    """Broken YAML, an unknown key and an undefined variable are told with file and line, before any call."""
    write(project / "prompts/x.yaml", text)
    assert message in told(cli, "run", "prompts/x.yaml", *NOWHERE).splitlines()
    outcome = cli("check", "prompts/x.yaml")
    assert (outcome.code, outcome.err) == (1, "")
    assert f"  {message}\n" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "prompts/v9.yaml"), "prompts/v9.yaml: no such file. Did you mean 'v3.yaml'?"),
        (("run", "prompts/nope.yaml"), "prompts/nope.yaml: no such file."),
        (("run", "v1"), "v1: no such file. Did you mean 'prompts/v1.yaml'?"),
        (("run", "v1.yaml"), "v1.yaml: no such file. Did you mean 'prompts/v1.yaml'?"),
        (
            ("run", PROMPT, "--samples", "ids.txt", *NOWHERE),
            "--samples: must be ids of the split or a file of ids, got ids.txt: there is no such file.",
        ),
        (
            ("run", PROMPT, "--samples", "datasets/reviews.dv.jsonl", *NOWHERE),
            "--samples: must be ids of the split or a file of ids, got datasets/reviews.dv.jsonl: there is no such file. "
            "Did you mean 'reviews.dev.jsonl'?",
        ),
        (("run", "prompts"), "prompts: must be a file, got a folder. Name a file in it."),
        (("run", PROMPT, "--samples", "r1", *NOWHERE), "--samples: r1 is not in the split. Did you mean 'r10'?"),
        (
            ("run", PROMPT, "--samples", ",", *NOWHERE),
            "--samples: must name at least one sample, got ','. Give ids, or a file of ids.",
        ),
        (
            ("run", PROMPT, "--filter", "textt == 1", *NOWHERE),
            "--filter 'textt == 1': sample r01: 'textt' is undefined. Did you mean 'text'? Here there is: gold, id, text.",
        ),
        (
            ("run", PROMPT, "--filter", "((", *NOWHERE),
            "--filter '((': must be a Jinja expression, but unexpected 'end of template'.",
        ),
        (
            ("run", PROMPT, "--filter", "text == ''", *NOWHERE),
            "--filter 'text == ''': must leave at least one of 10 samples, left none.",
        ),
    ],
)
def test_a_file_or_sample_that_is_not_there(project: Path, cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    """A missing file, an unknown sample and a filter that fails or leaves nothing are told, with what is near."""
    assert told(cli, *arguments) == message


def test_a_server_that_nobody_would_use(project: Path, cli: Cli) -> None:
    """A --base-url is refused where every model runs in this program, by every command that has it; --model makes it fit."""
    local = "prompts/local.yaml"
    write(project / local, f"{HEAD}template: '{{{{ text }}}}'\n".replace("scripted", "local/smollm2-135m"))
    write(project / "new.csv", "text\nLate.\n")
    message = "--base-url: 'local/smollm2-135m' runs in this program and uses no server. Add: --model NAME"
    for command in (("run", local), ("run", local, "--dry-run"), ("label", local, "new.csv", "-o", "out.csv")):
        assert told(cli, *command, *NOWHERE, code=2) == message
    assert told(cli, "doctor", "--model", "local/smollm2-135m", *NOWHERE, code=2) == message
    assert message in [check["found"] for check in cli("doctor", local, *NOWHERE, "--json").json["checks"]]
    assert cli("run", local, "--dry-run", "--model", "scripted", *NOWHERE).code == 0


def test_the_environments_server_is_for_the_models_that_ask_one(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPENAI_BASE_URL and a base_url of the prompt are no mistake beside a model that runs in this program."""
    model = "{name: local/smollm2-135m, base_url: 'http://127.0.0.1:9/v1'}"
    write(project / "prompts/local.yaml", f"{HEAD}template: '{{{{ text }}}}'\n".replace("scripted", model))
    monkeypatch.setenv("OPENAI_BASE_URL", NOWHERE[1])
    assert cli("run", "prompts/local.yaml", "--dry-run").code == 0


def test_a_split_that_is_not_there(project: Path, cli: Cli) -> None:
    """An unknown split is told with those that there are."""
    message = told(cli, "run", PROMPT, "--split", "tset", *NOWHERE)
    assert message.endswith("datasets/reviews.yaml: there is no split 'tset'; it has dev, test. Did you mean 'test'?")


def test_bad_samples_are_told_all_at_once(project: Path, cli: Cli) -> None:
    """A label that the label space lacks, an empty text and a duplicate id are told together, each with its line."""
    rows = ['{"id": "a", "text": "x", "labels": ["shiping"]}', '{"id": "b", "text": " ", "labels": []}']
    write(project / "datasets/reviews.dev.jsonl", "\n".join([*rows, '{"id": "a", "text": "y", "labels": []}']))
    messages = [line.partition("reviews.dev.jsonl")[2] for line in told(cli, "run", PROMPT, *NOWHERE).splitlines()]
    assert messages == [
        ":1: label 'shiping' is not in the label space. Did you mean 'shipping'?",
        """:2: 'text' must not be empty, got " ".""",
        ":3: id 'a' is that of line 1 too. Ids are unique.",
    ]


@pytest.mark.parametrize("command", [("runs",), ("check",), ("run", PROMPT), ("show", "v1")])
def test_broken_settings_are_told_by_every_command(project: Path, cli: Cli, command: tuple[str, ...]) -> None:
    """A wrong harness.toml is told whatever was typed."""
    write(project / "harness.toml", "modle = 'x'\n")
    if command == ("check",):
        outcome = cli(*command)
        message = outcome.out + outcome.err
    else:
        message = told(cli, *command)
    assert "harness.toml:1: unknown key 'modle'. Did you mean 'model'?" in message


def test_a_project_without_prompts(project: Path, cli: Cli) -> None:
    """`check` without anything to check says what to type."""
    for path in (project / "prompts").iterdir():
        path.unlink()
    assert told(cli, "check") == "prompts: must hold at least one prompt, got none. Type: harness init"


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("show", "v1-2026"),
            "run 'v1-2026': must mean one run, but 2 begin so: v1-20260104-030405, v1-20260103-030405. Type more of the id.",
        ),
        (("failures", "vv1"), "run 'vv1': no such run. There are v1, or any id of 'harness runs'. Did you mean 'v1'?"),
        (("compare", "v1", "nope"), "run 'nope': no such run. There are v1, or any id of 'harness runs'."),
        (("score", "nope"), "run 'nope': no such run. There are v1, or any id of 'harness runs'."),
        (("run", "--resume", "nope"), "run 'nope': no such run. There are v1, or any id of 'harness runs'."),
        (
            ("compare", "v1", "v1"),
            "v1-20260104-030405: must be compared with other runs, got the same run twice. See: harness runs",
        ),
        (("show", "v1", "r99"), "run v1-20260104-030405: has no sample 'r99'. Did you mean 'r09'?"),
        (
            ("show", "v1", "r01", "--repeat", "3"),
            "--repeat: must be below 1, the repeats of run v1-20260104-030405, got 3.",
        ),
    ],
)
def test_a_name_that_means_no_run_or_several(project: Path, cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    """A run or sample name that means none, or more than one, is told with what there is."""
    stored_run(project, "v1", day=1)
    stored_run(project, "v1", day=2)
    assert told(cli, *arguments) == message


@pytest.mark.parametrize("command", [("show", "v1"), ("failures", "latest"), ("score", "v1"), ("run", "--resume")])
def test_no_runs_at_all(project: Path, cli: Cli, command: tuple[str, ...]) -> None:
    """Without any run, every command that needs one says how to make one."""
    assert told(cli, *command).endswith("runs: there are no runs yet. Type: harness run prompts/YOURS.yaml")


def test_a_run_without_scores(project: Path, cli: Cli) -> None:
    """A run of unlabelled samples has no scores to show; the message says what can be shown."""
    run = stored_run(project, "v1")
    (run.path / "scores.json").write_text("{}")
    assert told(cli, "show", "v1") == (
        "run v1-20260103-030405: has no scores, because its samples are unlabelled. "
        "Show one: harness show v1-20260103-030405 ID"
    )


def test_a_run_that_another_process_writes(project: Path, cli: Cli) -> None:
    """A run that is being written cannot be resumed meanwhile."""
    from harness.store import open_run

    run = stored_run(project, "v1")
    with open_run(run):
        outcome = cli("score", "v1")
    assert (outcome.code, outcome.err) == (
        1,
        "error: run v1-20260103-030405: another process is writing it. "
        "Wait until it has ended, or start a run of its own.\n",
    )


def test_a_run_that_is_being_written_is_waited_for(project: Path, cli: Cli) -> None:
    """What it has not derived yet is not asked for by --resume, which would be refused; once nobody writes it, it is."""
    from harness.store import open_run

    run = stored_run(project, "v1", state="running")
    (run.path / "predictions.jsonl").unlink()
    (run.path / "scores.json").unlink()
    name = f"error: run {run.manifest.id}: has no"
    wait = "Another process is writing it: wait until it has ended.\n"
    with open_run(run):
        assert cli("show", "latest").err == f"{name} scores yet. {wait}"
        assert cli("show", "latest", "r01").err == f"{name} predictions yet (running). {wait}"
    assert f"Type: harness run --resume {run.manifest.id}" in cli("show", "latest", "r01").err


# --- models -----------------------------------------------------------------------------------------------------------


def test_no_api_key(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote model without a key is told where the key goes, and nothing is sent or left behind."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert told(cli, "run", PROMPT) == (
        "model scripted: needs an API key, got none. Set OPENAI_API_KEY or write it into .env; "
        "for another server give --base-url."
    )


def test_a_server_that_is_not_there(project: Path, cli: Cli) -> None:
    """When nobody listens, the run stops after a few tries and says what to check."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        outcome = cli("run", PROMPT, "--base-url", url)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"error: {url}: no server answers there (")
    assert "Check --base-url, or start it." in outcome.err


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "invalid_api_key", "the key is refused (401): no way. Check OPENAI_API_KEY."),
        (404, "model_not_found", "not found (404): no way. Check the model's name and the base URL."),
    ],
)
def test_a_model_that_cannot_be_used_stops_the_run_at_once(
    project: Path, cli: Cli, status: int, code: str, message: str
) -> None:
    """A refused key and a model that does not exist cost one request, and leave no run behind."""
    with ScriptedServer(error(status, "no way.", code=code)) as server:
        text = told(cli, "run", PROMPT, "-j", "1", "--base-url", server.base_url)
        assert text == f"{server.base_url}, model scripted: {message}"
        assert server.count == 1


@pytest.mark.parametrize("url", ["localhost:80", "ftp://x/v1", "http://user:pw@host/v1", "http://"])
def test_a_base_url_that_is_none(project: Path, cli: Cli, url: str) -> None:
    """A base URL must be one, and must hold no secret; a password in it is not repeated."""
    message = told(cli, "run", PROMPT, "--base-url", url)
    assert message.startswith(
        "model scripted: the base URL must be http://HOST/PATH or https://HOST/PATH, without user"
    )
    assert "pw" not in message.replace("password", "")


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rnu",), "no command 'rnu'. Did you mean 'run'? See: harness --help"),
        (("completion",), "name a shell: bash, zsh, fish. See: harness completion --help"),
        (("frobnicate",), "no command 'frobnicate'. See: harness --help"),
        (("runs", "--jsn"), "No such option '--jsn'. Did you mean '--json'? See: harness runs --help"),
        (("run",), "name a prompt file, or --resume or --retry-failures a run: one of them. See: harness run --help"),
        (
            ("run", "--resume", "v1", PROMPT),
            f"--resume v1: must stand without a prompt, got {PROMPT}. Leave out {PROMPT}, or v1. See: harness run --help",
        ),
        (
            ("run", PROMPT, "--retry-failures", "v1"),
            f"--retry-failures v1: must stand without a prompt, got {PROMPT}. Leave out {PROMPT}. See: harness run --help",
        ),
        (
            ("run", "--resume", "v1", "--retry-failures", "v1"),
            "name a prompt file, or --resume or --retry-failures a run: one of them. See: harness run --help",
        ),
        (("run", PROMPT, "--kind", "refusal"), "--kind goes with --retry-failures. See: harness run --help"),
        (
            ("run", "--resume", "v1", "--limit", "3"),
            "--limit: does not go with --resume, which keeps what the run froze. See: harness run --help",
        ),
        (
            ("run", "--retry-failures", "v1", "--dry-run"),
            "--dry-run: does not go with --retry-failures, which keeps what the run froze. See: harness run --help",
        ),
        (("run", PROMPT, "--var", "x", *NOWHERE), "--var: must be NAME=VALUE, got 'x'. See: harness run --help"),
        (("check", "--var", "a b=1"), "--var: must be NAME=VALUE, got 'a b=1'. See: harness check --help"),
        (("run", PROMPT, "-o", "out.txt"), "-o out.txt: must end in .json, .csv, .md, got '.txt'."),
        (("run", PROMPT, "-o", "no/out.md"), "-o no/out.md: the folder no is not there. Make it first."),
        (("run", PROMPT, "-o", "x.jsonl"), "-o x.jsonl: must end in .json, .csv, .md, got '.jsonl'. Did you mean '.json'?"),
        (("failures", "v1", "-o", "out"), "-o out: must end in .json, .jsonl, .csv, .md, got ''."),
        (
            ("compare", "v1"),
            "name at least two runs: the baseline first. Type 'harness runs' to see them. See: harness compare --help",
        ),
        (
            ("failures", "v1", "--kind", "truncate"),
            "--kind 'truncate': must be one of fp, fn, wrong, call_error, refusal, truncated, unparseable. "
            "Did you mean 'truncated'?",
        ),
        (
            ("failures", "v1", "--label", "shoping"),
            "--label 'shoping': must be a label of reviews: shipping, quality, price, gift wrap. Did you mean 'shipping'?",
        ),
        (("failures",), "Missing argument 'RUN'. See: harness failures --help"),
        (("run", "x", "--limit", "0"), "Invalid value for '--limit': 0 is not in the range x>=1. See: harness run --help"),
    ],
)  # fmt: skip
def test_wrong_usage(project: Path, cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    """Wrong usage exits 2 before any work, and says what goes, what is near, or where to read on."""
    stored_run(project, "v1")
    assert told(cli, *arguments, code=2) == message


def test_an_error_cannot_write_to_the_terminal(project: Path, cli: Cli) -> None:
    """What was typed stands in an error with its control characters escaped."""
    stored_run(project, "v1")
    for arguments in (("rnu\x1b[31m",), ("show", "\x1b[31m\u202e"), ("runs", "--\x1b[2J"), ("run", "a\x07.yaml")):
        outcome = cli(*arguments)
        assert outcome.code in (1, 2)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", outcome.err), arguments
        assert "\\x" in outcome.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_completions_file_that_cannot_be_written_stops_the_run(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full during a run, the error says how to go on, and nothing before it is lost."""
    run = stored_run(project, "v1", {"r01": "shipping"})
    before = (run.path / "predictions.jsonl").read_bytes()
    completions = run.path / "completions.jsonl"
    completions.unlink()
    completions.symlink_to("/dev/full")
    with ScriptedServer(say("none")) as server:
        endpoints = f'{{"main": {{"base_url": "{server.base_url}", "api": "chat"}}}}'
        manifest = run.path / "run.json"
        text = re.sub(r'"endpoints": \{.*?\}\s*\}', f'"endpoints": {endpoints}', manifest.read_text(), flags=re.DOTALL)
        manifest.write_text(text)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        outcome = cli("run", "--resume", "v1", "--no-cache")
    assert outcome.code == 1
    assert "completions.jsonl: cannot be written (No space left on device)." in outcome.err
    assert "Make room, then type: the same command again" in outcome.err  # nothing was answered yet
    assert (run.path / "predictions.jsonl").read_bytes() == before


def test_unlabelled_samples_cannot_be_scored(project: Path, cli: Cli) -> None:
    """A split without any gold is told with the command that labels instead."""
    write_samples(project, {"r1": {"text": "Late."}})
    assert told(cli, "run", PROMPT, *NOWHERE).endswith(
        "must have labelled samples to score, got 1 without labels. To label them, type: harness label PROMPT FILE -o OUT"
    )
