"""The command line as a whole: what goes where, in which colours, and what a shell can complete."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cli_project
import click
import pytest
from cli_project import ANSWERS, Cli, answer_of, call_error, stored_run, write
from click.shell_completion import ShellComplete
from scripted_server import ScriptedServer, answering

from harness.cli import COMMANDS, common, group

project, cli = cli_project.project, cli_project.cli


def typed(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, check=False, **{"capture_output": True, **options})  # type: ignore[call-overload, no-any-return]


def test_help_lists_the_commands_in_the_order_of_the_loop(cli: Cli) -> None:
    """Help names every command, in the order in which a person uses them, and exits 0."""
    told = cli("--help")
    assert told.code == 0
    listed = [line.split()[0] for line in told.out.partition("Commands:")[2].splitlines() if line.strip()]
    assert [each for each in listed if each in COMMANDS] == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(cli: Cli, name: str) -> None:
    """Every command says in its help what to type."""
    told = cli(name, "--help")
    assert told.code == 0
    assert f"harness {name}" in told.out.partition("Example")[2]


def test_the_version_is_told(cli: Cli) -> None:
    """`--version` prints the package's version."""
    from harness import __version__

    assert cli("--version").out == f"harness, version {__version__}\n"


def test_nothing_typed_shows_the_help(cli: Cli) -> None:
    """`harness` alone is wrong usage and shows what there is."""
    told = cli()
    assert (told.code, told.out) == (2, "")
    assert "Commands:" in told.err


def test_results_go_to_stdout_and_warnings_to_stderr(project: Path, cli: Cli) -> None:
    """Warnings stand on standard error alone, so that a result can be piped."""
    write(project / "datasets/reviews.test.jsonl", '{"text": "Late.", "labels": []}\n' * 2)
    told = cli("check", "prompts/v1.yaml", "--split", "test")
    assert told.err.startswith("warning: ")
    assert "texts that repeat an earlier one: 1 (line 2)" in told.err
    assert told.out == "ok prompts/v1.yaml: reviews, 4 labels, 2 samples, scripted\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs",),
        ("show", "v2"),
        ("show", "v2", "r01"),
        ("compare", "v1", "v2"),
        ("failures", "v2"),
        ("failures", "v2", "--kind", "refusal"),
        ("score", "v2"),
        ("check",),
        ("run", "prompts/v1.yaml", "--dry-run", "--base-url", "http://127.0.0.1:9/v1"),
        ("run", "--resume", "v2"),
    ],
)
def test_json_is_all_that_is_printed(project: Path, cli: Cli, arguments: tuple[str, ...]) -> None:
    """With --json standard output is one JSON value and nothing else."""
    with ScriptedServer(answering(answer_of)) as server:
        for version in ("v1", "v2"):
            assert cli("run", f"prompts/{version}.yaml", "--base-url", server.base_url).code == 0
    told = cli(*arguments, "--json")
    assert told.code == 0, told.err
    assert isinstance(told.json, dict | list)


def test_json_of_no_runs_is_an_empty_list(project: Path, cli: Cli) -> None:
    """A listing of nothing is an empty list as JSON, and a sentence with the next step for people."""
    assert cli("runs", "--json").json == []
    assert cli("runs").out == "No runs in runs yet. Type: harness run prompts/YOURS.yaml\n"


# --- colours ----------------------------------------------------------------------------------------------------------


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard output be taken for a terminal of 100 columns."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")


def test_no_colour_codes_where_there_is_no_terminal(project: Path, cli: Cli) -> None:
    """In a pipe there is no escape sequence."""
    stored_run(project, "v3")
    assert "\x1b" not in cli("show", "v3").out


def test_colours_on_a_terminal(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal failures are red."""
    stored_run(project, "v3")
    on_a_terminal(monkeypatch)
    assert "\x1b[31m2 of 10 without an answer\x1b[0m" in cli("show", "v3").out


def test_no_color_is_respected(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR there is no colour on a terminal either."""
    stored_run(project, "v3")
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    told = cli("show", "v3").out
    assert not re.search(r"\x1b\[(\d+;)*3\d", told)
    assert "\x1b[1m" in told  # bold is no colour


def test_a_terminal_that_lacks_a_character_ends_nothing(project: Path) -> None:
    """Where the output's encoding has no dash or bar, they are escapes; the result is told all the same."""
    stored_run(project, "v1")
    done = typed("show", "v1", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert b"\\u2013" in done.stdout
    assert done.stderr == b""


# --- the progress bar -------------------------------------------------------------------------------------------------


def test_progress_goes_to_a_terminal_alone(project: Path, cli: Cli) -> None:
    """Where standard error is no terminal, no progress is written to it."""
    with ScriptedServer(answering(answer_of)) as server:
        told = cli("run", "prompts/v1.yaml", "--base-url", server.base_url)
    assert told.err == ""


def test_progress_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar on standard error tells what is done, failed and spent, and takes no title for markup."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    with common.progress_bar("[bold]v1\x1b[2J") as tell:
        tell(SimpleNamespace(total=40, done=10, failed=3, calls=86, tokens=12_345))  # type: ignore[arg-type]
    shown = screen.getvalue()
    assert "[bold]v1\\x1b[2J" in shown
    assert "10/40" in shown
    assert "3 failed" in shown
    assert "86 calls" in shown
    assert "12.3k tokens" in shown


def test_progress_knows_what_there_is_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first call has ended, which can take long, the number of samples is there already."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    with common.progress_bar("v1", 40):
        pass
    assert "0/40" in screen.getvalue()


def test_a_warning_stands_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told while the bar is shown has a line of its own: the bar's is cleared first, and drawn anew below."""
    written = io.BytesIO()
    screen = io.TextIOWrapper(written, encoding="utf-8", write_through=True)  # with bytes below, as a real one has
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with common.progress_bar("v1", 40):
        common.say("stopping")
    before, _, after = written.getvalue().decode().partition("warning: stopping\n")
    assert before.endswith("\r\x1b[2K")
    assert "0/40" in after


@pytest.mark.parametrize(
    ("speed", "told"),
    [(None, ""), (0.0, ""), (12.34, "12.3/s"), (1.0, "1.0/s"), (0.07, "14 s each"), (0.4, "2.5 s each")],
)
def test_slow_samples_tell_how_long_each_takes(speed: float | None, told: str) -> None:
    """A pass with a call for each label does far less than one sample a second: the bar says seconds, not 0.0/s."""
    assert common._pace(speed) == told


# --- completion -------------------------------------------------------------------------------------------------------


def completed(*words: str, incomplete: str = "") -> list[str]:
    """Return what a shell would offer after the words."""
    return [
        each.value
        for each in ShellComplete(group, {}, "harness", "_HARNESS_COMPLETE").get_completions(list(words), incomplete)
    ]


@pytest.mark.parametrize("words", [("show",), ("compare", "v1"), ("failures", "v1", "--regressed-from"), ("score",)])
def test_run_names_are_completed(project: Path, words: tuple[str, ...]) -> None:
    """A shell offers versions and run ids wherever a run is named."""
    stored_run(project, "v1")
    stored_run(project, "v2")
    assert completed(*words) == ["latest", "v2", "v1", "v2-20260104-030405", "v1-20260103-030405"]
    assert completed(*words, incomplete="v2-") == ["v2-20260104-030405"]


def test_commands_are_completed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell offers the commands, asked as the script asks."""
    assert completed(incomplete="c") == ["check", "compare", "calibrate", "cache", "completion"]
    assert completed("nothing", incomplete="-") == ["--version", "-h", "--help"]
    monkeypatch.setenv("_HARNESS_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "harness fai")
    monkeypatch.setenv("COMP_CWORD", "1")
    told = cli()
    assert (told.code, told.out.splitlines()[:2]) == (0, ["plain", "failures"])


def test_a_broken_project_completes_nothing(project: Path) -> None:
    """While the shell completes there is no place for a message: a project that cannot be read offers nothing."""
    write(project / "harness.toml", "= broken")
    assert completed("show") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_completion_script_is_printed(cli: Cli, shell: str) -> None:
    """`harness completion` prints a script for the shell."""
    told = cli("completion", shell)
    assert told.code == 0
    assert "_HARNESS_COMPLETE" in told.out


# --- ends that are no result --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("show", "v1"), ("show", "v1", "--json"), ("--help",)])
def test_a_reader_that_leaves_ends_quietly(project: Path, arguments: tuple[str, ...]) -> None:
    """`harness show | head` ends without a word when the reader has gone."""
    stored_run(project, "v1")
    reading, writing = os.pipe()
    os.close(reading)
    done = typed(*arguments, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(("rule", "code"), [("macro_f1 >= 0", 0), ("macro_f1 > 1", 4)])
@pytest.mark.parametrize("both", [False, True])
def test_a_reader_that_leaves_changes_no_exit_code(project: Path, rule: str, code: int, *, both: bool) -> None:
    """A gate that fails says so with its exit code, whoever reads what it prints, and its files are written."""
    stored_run(project, "v1")
    reading, writing = os.pipe()
    os.close(reading)
    errors = writing if both else subprocess.PIPE
    done = typed(
        "gate",
        "v1",
        "--rule",
        rule,
        "-o",
        "gate.md",
        "-o",
        "gate.json",
        capture_output=False,
        stdout=writing,
        stderr=errors,
    )
    os.close(writing)
    assert done.returncode == code
    assert json.loads((project / "gate.json").read_text(encoding="utf-8"))["passed"] is (code == 0)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            OSError(28, "No space left on device"),
            1,
            "error: a file: cannot be used (No space left on device). Check that there is room,",
        ),
        (PermissionError(13, "Permission denied", "runs/x"), 1, "error: runs/x: cannot be used (Permission denied)."),
    ],
)
def test_an_error_of_the_system_is_no_traceback(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, error: OSError, code: int, told: str
) -> None:
    """What the system refuses is told in a sentence, with the file's name where there is one."""

    def refuse(_: object) -> None:
        raise error

    cli("runs")  # loads what it uses: what is loaded below would keep the function that is put in here
    monkeypatch.setattr("harness.runnames.list_runs", refuse)
    outcome = cli("runs")
    assert outcome.code == code
    assert outcome.err.startswith(told)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("show", "v1"), ("show", "v1", "--json"), ("--help",)])
def test_a_full_disk_under_stdout_is_told(project: Path, arguments: tuple[str, ...]) -> None:
    """When standard output cannot be written, the error says so, and nothing is lost."""
    run = stored_run(project, "v1")
    with Path("/dev/full").open("wb") as full:
        done = typed(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "error: standard output: cannot be written (No space left on device). Make room, or write elsewhere.\n"
    )
    assert (run.path / "completions.jsonl").stat().st_size > 0


@pytest.mark.parametrize("stop", [KeyboardInterrupt, click.exceptions.Abort])
def test_ctrl_c_exits_130(cli: Cli, monkeypatch: pytest.MonkeyPatch, project: Path, stop: type[BaseException]) -> None:
    """Ctrl-C ends any command with one word and exit code 130."""

    def interrupt(_: object) -> None:
        raise stop

    monkeypatch.setattr("harness.runnames.list_runs", interrupt)
    told = cli("runs")
    assert (told.code, told.out, told.err.strip()) == (130, "", "interrupted")


def test_the_package_runs_as_a_module(project: Path) -> None:
    """`python -m harness` is the command line."""
    done = typed("runs", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[]\n", b"")


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_without_a_file_checks_every_prompt(project: Path, cli: Cli) -> None:
    """Without a file all prompts of the project are checked, and one that is bad makes the exit code 1."""
    write(project / "prompts/v2.yml", "dataset: ../datasets/reviews.yaml\nmodel: m\ntemplate: '{{ texx }}'\n")
    told = cli("check")
    assert told.code == 1
    assert told.out.splitlines()[0] == "ok prompts/v1.yaml: reviews, 4 labels, 10 samples, scripted"
    assert "bad prompts/v2.yml" in told.out
    assert "  prompts/v2.yml:3: 'texx' is not defined. Did you mean 'text'?" in told.out


def test_check_shows_what_would_be_sent(project: Path, cli: Cli) -> None:
    """`--show N` prints what the first N samples send, message by message, with settings and estimated tokens."""
    told = cli("check", "prompts/v1.yaml", "--show", "2")
    assert told.out == (
        "ok prompts/v1.yaml: reviews, 4 labels, 10 samples, scripted\n"
        "  sample r01  pass main  ≈ 23 tokens\n"
        "  user:\n    [v1] Labels: shipping, quality, price, gift wrap.\n\n    Arrived three weeks late.\n"
        "  model scripted\n"
        "  sample r02  pass main  ≈ 23 tokens\n"
        "  user:\n    [v1] Labels: shipping, quality, price, gift wrap.\n\n    The handle broke on day two.\n"
        "  model scripted\n"
        "  tokens a sample: ≈ 25 on average\n"
        "  longest request: ≈ 39 tokens (sample r03)\n"
    )


def test_check_shows_every_unit_up_to_a_limit(project: Path, cli: Cli) -> None:
    """A pass with a request for each label shows five of a sample; votes are told, and JSON has all of it."""
    labels = "".join(f"  l{number}: L\n" for number in range(7))
    write(project / "datasets/many.yaml", f"labels:\n{labels}splits: {{dev: many.jsonl}}\n")
    write(project / "datasets/many.jsonl", '{"id": "a", "text": "x", "labels": []}\n')
    write(
        project / "prompts/v9.yaml",
        "dataset: ../datasets/many.yaml\nmodel: {name: m, params: {temperature: 1}}\npasses:\n"
        "  - {template: '{{ label }}? {{ text }}', per: label, output: yes_no, votes: {k: 3}}\n",
    )
    told = cli("check", "prompts/v9.yaml", "--show", "1").out.splitlines()
    assert told[1:5] == [
        "  sample a  pass pass1  l0  ×3  ≈ 5 tokens",
        "  user:",
        "    l0? x",
        "  temperature 1, model m",
    ]
    assert told[-3:] == [
        "  sample a  … and 2 more requests",
        "  tokens a sample: ≈ 105 on average",
        "  longest request: ≈ 5 tokens (sample a)",
    ]
    (row,) = cli("check", "prompts/v9.yaml", "--show", "1", "--json").json
    assert [call["unit"] for call in row["calls"]] == [f"l{number}" for number in range(7)]
    assert row["calls"][0] == {
        "sample": "a",
        "pass": "pass1",
        "unit": "l0",
        "draws": 3,
        "tokens": 5,
        "exact": False,
        "request": {"temperature": 1, "model": "m", "messages": [{"role": "user", "content": "l0? x"}]},
    }
    assert row["tokens"] == {"mean_estimate": 105.0, "longest_request": {"sample": "a", "tokens": 5, "exact": False}}


def test_check_shows_what_constrains_an_answer(project: Path, cli: Cli) -> None:
    """A schema is a part of what is sent."""
    prompt = project / "prompts/v1.yaml"
    prompt.write_text(prompt.read_text().replace("output: list", "output: {format: json, constrain: json_schema}"))
    told = cli("check", "prompts/v1.yaml", "--show", "1").out
    assert '  response_format:\n    {\n     "type": "json_schema",\n' in told
    (row,) = cli("check", "prompts/v1.yaml", "--show", "1", "--json").json
    assert row["calls"][0]["request"]["response_format"]["type"] == "json_schema"


def test_check_warns_of_shots_that_nearly_are_evaluated(project: Path, cli: Cli) -> None:
    """Near-duplicates are a warning of check, on standard error and in JSON."""
    near = '{"id": "w", "text": "Arrived three weeks late!", "labels": ["shipping"]}\n'
    write(project / "datasets/shots.jsonl", near)
    prompt = project / "prompts/v1.yaml"
    prompt.write_text(prompt.read_text() + "shots: {from: ../datasets/shots.jsonl}\n")
    told = cli("check", "prompts/v1.yaml")
    assert (told.code, told.out.startswith("ok ")) == (0, True)
    assert told.err.startswith(
        "warning: prompts/v1.yaml: shots are nearly the same texts as evaluated samples, so the prompt may hold their "
        "answers: w and sample r01 (1.00)."
    )
    (row,) = cli("check", "prompts/v1.yaml", "--json").json
    assert [f"warning: {each}" for each in row["warnings"]] == told.err.splitlines()


def test_check_warns_of_text_that_was_pasted_into_the_prompt(project: Path, cli: Cli) -> None:
    """A passage of a sample of the checked split, locked or not, is told by the sample's id."""
    row = {"id": "t1", "text": "Two screws were missing, and nobody picks up.", "labels": ["shipping"]}
    write(project / "datasets/reviews.test.jsonl", json.dumps(row))
    prompt = project / "prompts/v1.yaml"
    prompt.write_text(prompt.read_text().replace("{{ text }}", f"Not as in: {row['text']} {{{{ text }}}}"))
    told = cli("check", "prompts/v1.yaml", "--split", "test")
    assert (told.code, told.err) == (
        0,
        "warning: prompts/v1.yaml: its messages hold text of an evaluated sample, so its score on them would flatter it: "
        "t1. Take the text out of the prompt.\n",
    )
    assert cli("check", "prompts/v1.yaml").err == ""


def test_check_asks_no_server_for_vectors(project: Path, cli: Cli) -> None:
    """Where the nearest shots are not known without a call, the first ones stand in, and check says so."""
    write(project / "datasets/shots.jsonl", '{"id": "w", "text": "A lost parcel.", "labels": ["shipping"]}\n')
    prompt = project / "prompts/v1.yaml"
    prompt.write_text(
        prompt.read_text()
        + "shots: {from: ../datasets/shots.jsonl, k: 1, select: similar, by: embeddings, model: e5}\n"
    )
    told = cli("check", "prompts/v1.yaml", "--show", "1")
    assert "A lost parcel." in told.out
    assert told.err == (
        "warning: prompts/v1.yaml: the nearest shots or labels need embeddings, which are asked for in a run; the first "
        "ones stand in.\n"
    )


def test_check_takes_variables(project: Path, cli: Cli) -> None:
    """`--var` sets a variable of the template."""
    write(
        project / "prompts/v1.yaml",
        (project / "prompts/v1.yaml").read_text().replace("[v1]", "{{ tone }}") + "vars: {tone: mild}\n",
    )
    assert "    stern Labels:" in cli("check", "prompts/v1.yaml", "--show", "1", "--var", "tone=stern").out


@pytest.mark.parametrize("command", [("check",), ("run", "--dry-run")])
def test_a_variable_that_no_prompt_uses_is_told(project: Path, cli: Cli, command: tuple[str, ...]) -> None:
    """A variable that none of several prompts uses is a warning; one that belongs to another of them is none."""
    text = (project / "prompts/v1.yaml").read_text()
    (project / "prompts/v1.yaml").write_text(text.replace("[v1]", "{{ tone }}") + "vars: {tone: mild}\n")
    both = (*command, "prompts/v1.yaml", "prompts/v2.yaml")
    assert "tone" not in cli(*both, "--var", "tone=x").err
    assert (
        "warning: --var ton: no template and no 'when' uses it, so that it changes nothing. Did you mean 'tone'?"
        in (cli(*both, "--var", "ton=x").err)
    )
    assert "    mild Labels:" in cli("check", "prompts/v1.yaml", "--show", "1").out


# --- compare, failures, show, score --------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["json", "jsonl", "csv", "md"])
def test_a_result_goes_to_a_file(project: Path, cli: Cli, extension: str) -> None:
    """`-o` writes the result and says where; beside --json that is said on standard error."""
    stored_run(project, "v1")
    stored_run(project, "v2")
    for command in (("compare", "v1", "v2"), ("failures", "v2")):
        told = cli(*command, "-o", f"out.{extension}")
        assert (told.code, told.out, told.err) == (0, f"written to out.{extension}\n", "")
        told = cli(*command, "-o", f"out.{extension}", "--json")
        assert told.err == f"written to out.{extension}\n"
        assert told.json
    assert Path(f"out.{extension}").stat().st_size > 0


def test_failures_that_regressed(project: Path, cli: Cli) -> None:
    """`--regressed-from` lists what was exactly right in the other run; without any it says what else to ask."""
    stored_run(project, "v1")
    stored_run(project, "v2")
    told = cli("failures", "v2", "--regressed-from", "v1")
    assert told.out.startswith("v2-20260104-030405: 2 of 10 predictions not exactly right (regressed from v1)\n\nr04")
    stored_run(project, "v3", ANSWERS["v1"])
    told = cli("failures", "v3", "--regressed-from", "v1")
    assert told.out.endswith("\nAdd --label LABEL to see where one label was right before and is wrong now.\n")


def test_failures_of_a_label_found_by_an_alias(project: Path, cli: Cli) -> None:
    """A label may be named by an alias; the title has its name."""
    stored_run(project, "v1")
    told = cli("failures", "v1", "--label", "delivery", "--kind", "fn", "--sort", "length")
    assert told.out.startswith("v1-20260103-030405: 1 of 10 predictions not exactly right (label shipping, fn)\n\nr05")


def test_score_reads_today_s_files(project: Path, cli: Cli) -> None:
    """An alias that is added later changes predictions without a call, and the report says from where."""
    stored_run(project, "v1")
    dataset = project / "datasets/reviews.yaml"
    dataset.write_text(dataset.read_text().replace("[delivery]", "[delivery, shiping]"))
    told = cli("score", "v1")
    assert told.code == 0
    assert "1 prediction changed. Taken from today's files:" in told.out
    assert cli("score", "v1", "--json").json["changed"] == 0


def test_score_without_today_s_files(project: Path, cli: Cli) -> None:
    """A run can be scored when prompt and dataset are gone; it says so."""
    stored_run(project, "v1")
    (project / "prompts/v1.yaml").unlink()
    (project / "datasets/reviews.yaml").unlink()
    assert cli("score", "v1").out.endswith("0 predictions changed. Taken from today's files: nothing, they are gone.\n")


def test_score_that_misses_calls_exits_3(project: Path, cli: Cli) -> None:
    """Calls that were never made count as call errors: exit code 3, and what to type."""
    run = stored_run(project, "v1", {**ANSWERS["v1"], "r10": call_error()})
    lines = (run.path / "completions.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "completions.jsonl").write_bytes(b"".join(lines[:-1]))
    told = cli("score", run.manifest.id)
    assert told.code == 3
    assert told.err == (
        "warning: 1 call would now be needed that never were made; they count as call errors. "
        "Type: harness run PROMPT\n"
    )


def test_show_of_a_sample_that_was_never_asked(project: Path, cli: Cli) -> None:
    """A sample whose completion is gone is shown with what there is."""
    run = stored_run(project, "v1")
    (run.path / "completions.jsonl").write_bytes(b"")
    shown = cli("show", "v1", "r01").out
    assert "predicted  shipping\n" in shown
    assert "sent as" not in shown


def test_show_of_a_run_is_its_report(project: Path, cli: Cli) -> None:
    """`show RUN` prints the scores again, by version, id or the beginning of an id."""
    stored_run(project, "v1")
    stored_run(project, "v2")
    assert cli("show", "v1").out == cli("show", "v1-20260103-030405").out == cli("show", "v1-2026").out
    assert cli("show", "latest").out == cli("show", "v2").out
