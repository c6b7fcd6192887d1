"""`harness init`: a project from nothing or from a labelled file, and the questions on the way."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cli_project
import pytest
from cli_project import Cli

cli = cli_project.cli

CSV = 'id,body,description,tags\n1,Late again,x1,"late; bad"\n2,It broke,x2,bad\n3,All fine,x3,\n4,Never came,x4,late\n'


class Terminal(io.StringIO):
    """A standard input at which somebody sits."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def labelled(here: Path, name: str = "tickets.csv", text: str = CSV) -> str:
    """Write a labelled file and return its name."""
    (here / name).write_text(text, encoding="utf-8")
    return name


def samples(path: Path) -> list[dict[str, object]]:
    """Return the rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- an example -------------------------------------------------------------------------------------------------------


def test_a_new_project_tells_what_was_made_and_what_to_type(here: Path, cli: Cli) -> None:
    """The files, then `cd` and `run`; the project passes its own check."""
    done = cli("init", "new project")
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == [
        *("made", "new", "project/datasets/feedback.yaml", "new", "project/datasets/feedback.dev.jsonl"),
        *("new", "project/datasets/feedback.test.jsonl", "new", "project/prompts/v1.yaml"),
        *("new", "project/harness.toml", "new", "project/.gitignore", "new", "project/runs/README.md"),
        *("Next:", "cd", "'new", "project'", "harness", "run", "prompts/v1.yaml"),
    ]
    assert cli("check", "new project/prompts/v1.yaml").code == 0


def test_in_the_current_folder_there_is_nowhere_to_go(here: Path, cli: Cli) -> None:
    """Without DIR the project is here, and the next command is `run`."""
    done = cli("init")
    assert done.out.startswith("made datasets/feedback.yaml\n")
    assert "cd " not in done.out
    assert cli("check").code == 0


def test_what_is_there_is_told_and_kept(here: Path, cli: Cli) -> None:
    """Exit code 1, every file that is in the way, nothing written."""
    (here / "prompts").mkdir()
    (here / "prompts/v1.yaml").write_text("mine")
    (here / ".gitignore").write_text("mine")
    done = cli("init")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: .: must hold no file that is to be made, but prompts/v1.yaml, .gitignore are there already; nothing was "
        "written. Move them away, or name another folder.\n"
    )
    assert not (here / "datasets").exists()


def test_another_model_is_asked_at_temperature_0(here: Path, cli: Cli) -> None:
    """`--model` goes into the prompt."""
    cli("init", "--model", "gpt-4.1-mini")
    text = (here / "prompts/v1.yaml").read_text(encoding="utf-8")
    assert "model:\n  name: gpt-4.1-mini\n  params: {temperature: 0}\n" in text


@pytest.mark.parametrize(
    ("given", "option"),
    [(["--text", "a"], "--text"), (["--labels", "a"], "--labels"), (["--test-share", "0.5"], "--test-share"),
     (["--id", "a"], "--id"), (["--seed", "0"], "--seed")],
)  # fmt: skip
def test_options_of_a_labelled_file_need_one(here: Path, cli: Cli, given: list[str], option: str) -> None:
    """They are refused where they would be ignored."""
    done = cli("init", *given)
    assert done.code == 2
    assert f"{option} goes with --from FILE." in done.err
    assert not list(here.iterdir())


# --- from a labelled file ---------------------------------------------------------------------------------------------


def test_a_labelled_file_becomes_a_project(here: Path, cli: Cli) -> None:
    """Statistics on standard output, what looks odd on standard error, and a project that passes its check."""
    done = cli("init", "--from", labelled(here), "--text", "body", "project")
    assert done.code == 0
    assert "tickets: 4 samples of tickets.csv\n" in done.out
    assert "text from column 'body', labels from column 'tags', ids from column 'id'\n" in done.out
    assert "1.00 labels a sample, 25.0 % without any\n" in done.out
    words = done.out.split()
    assert words[words.index("label") : words.index("label") + 4] == ["label", "samples", "dev", "test"]
    assert words[words.index("bad") + 1] == words[words.index("late") + 1] == "2"
    told = [line.strip() for line in done.out.splitlines()]
    assert told[-3:] == ["Next:", "cd project", "harness run prompts/v1.yaml"]
    assert done.err.splitlines() == [
        "warning: labels are split at ';'; another: --separator",
        "warning: empty label cells: 1, read as 'no label applies'; if they were never labelled: --empty unlabelled",
        "warning: labels with fewer than 20 samples, whose scores will say little: bad (2), late (2)",
    ]
    assert cli("check", "project/prompts/v1.yaml").code == 0
    rows = [
        *samples(here / "project/datasets/tickets.dev.jsonl"),
        *samples(here / "project/datasets/tickets.test.jsonl"),
    ]
    assert sorted(rows, key=lambda row: str(row["id"]))[0] == {
        "id": "1",
        "text": "Late again",
        "labels": ["bad", "late"],
        "description": "x1",
    }


def test_a_first_look_at_a_large_file_has_a_limit(here: Path, cli: Cli) -> None:
    """The run that is offered takes minutes, not hours: with many samples it names a limit."""
    rows = "".join(f"{number},words of number {number},{'late' if number % 2 else 'bad'}\n" for number in range(400))
    done = cli("init", "--from", labelled(here, text=f"id,body,tags\n{rows}"), "--text", "body")
    assert done.out.rstrip().endswith("harness run prompts/v1.yaml --limit 100")


def test_all_options_are_heeded(here: Path, cli: Cli) -> None:
    """Columns, separator, name, share, seed, meaning of an empty cell and model go where they belong."""
    labelled(here, text="nr,a,b\nn1,some words,x/y\nn2,more words,y\nn3,other words,\n")
    given = (
        "--text a --labels b --id nr --separator / --name my-data --test-share 0 --seed 7 --empty unlabelled --model m"
    )
    done = cli("init", "--from", "tickets.csv", *given.split())
    assert done.code == 0
    assert "2 unlabelled" not in done.out
    assert "1.50 labels a sample, 0.0 % without any, 1 sample unlabelled and set aside\n" in done.out
    assert [row["id"] for row in samples(here / "datasets/my-data.dev.jsonl")] == ["n1", "n2"]
    assert [row["id"] for row in samples(here / "datasets/my-data.unlabelled.jsonl")] == ["n3"]
    assert not (here / "datasets/my-data.test.jsonl").exists()
    assert "# Drawn with seed 7, 0 of the samples" in (here / "datasets/my-data.yaml").read_text(encoding="utf-8")


def test_a_project_that_is_there_keeps_its_settings(here: Path, cli: Cli) -> None:
    """A labelled file joins it, under a prompt name that is free."""
    cli("init")
    done = cli("init", "--from", labelled(here), "--text", "body")
    assert done.code == 0
    assert "kept as it was: harness.toml, .gitignore, runs/README.md\n" in done.out
    assert done.out.rstrip().endswith("harness run prompts/tickets-v1.yaml")
    assert cli("check").code == 0


def test_a_choice_is_asked_for_on_a_terminal(here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two columns could be the text and two the labels: both questions are asked, with the choices."""
    labelled(here, text="body,review,tags,topic\na,b,x,u\nc,d,y,v\n")
    monkeypatch.setattr("sys.stdin", Terminal("nonsense\nreview\ntopic\n"))
    done = cli("init", "--from", "tickets.csv")
    assert done.code == 0
    assert "Which column is the text? (review, body)" in done.err
    assert "'nonsense' is not one of 'review', 'body'." in done.err
    assert "Which column holds the labels? (tags, topic)" in done.err
    assert "text from column 'review', labels from column 'topic'" in done.out


def test_without_a_terminal_a_choice_is_an_error(here: Path, cli: Cli) -> None:
    """The message names the option that decides."""
    done = cli("init", "--from", labelled(here))
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: tickets.csv: must have one column that is clearly the text, but body, description could be it. "
        "Give --text COLUMN.\n"
    )
    assert [path.name for path in here.iterdir()] == ["tickets.csv"]


def test_where_there_is_nothing_to_choose_nothing_is_asked(
    here: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal does not help a file without a column of labels."""
    monkeypatch.setattr("sys.stdin", Terminal(""))
    done = cli("init", "--from", labelled(here, text="id,text\n1,a\n"))
    assert (done.code, done.err.endswith("no column is left for it. Give --labels COLUMN.\n")) == (2, True)


def test_problems_of_the_file_are_told_by_line(here: Path, cli: Cli) -> None:
    """Nothing is written for a file that cannot be read whole."""
    done = cli("init", "--from", labelled(here, text='text,labels\na,x\nb\nc,"none,x"\n'))
    assert done.code == 1
    assert done.err == "error: tickets.csv:3: must have 2 cells like the first line, got 1.\n"
    assert [path.name for path in here.iterdir()] == ["tickets.csv"]


def test_a_file_that_is_not_there(here: Path, cli: Cli) -> None:
    """Near names are offered."""
    labelled(here)
    assert cli("init", "--from", "ticket.csv").err == ("error: ticket.csv: no such file. Did you mean 'tickets.csv'?\n")
