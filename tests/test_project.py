"""The project: where its root is, what its settings may say, and what lies inside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.project import Project, Settings, find_project


def make(root: Path, *paths: str) -> Path:
    """Make files, and folders where a path ends in a slash; return the last one."""
    for path in paths:
        made = root / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir(exist_ok=True) if path.endswith("/") else made.touch()
    return made


def refusal(folder: Path, settings: str | bytes) -> list[str]:
    """Return what is wrong with a `harness.toml`, line by line, without its path."""
    file = folder / "harness.toml"
    file.write_bytes(settings if isinstance(settings, bytes) else settings.encode())
    with pytest.raises(DataError) as caught:
        find_project(folder)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:").strip() for line in lines]


# --- the root ---------------------------------------------------------------------------------------------------------


def test_the_nearest_settings_file_upward_is_the_root(tmp_path: Path) -> None:
    """A `harness.toml` makes the root, even where a `.git` or `prompts/` is nearer."""
    deep = make(tmp_path, "harness.toml", "a/harness.toml", "a/b/.git/", "a/b/prompts/", "a/b/c/")
    assert find_project(deep).root == tmp_path / "a"


def test_without_settings_the_repository_is_the_root(tmp_path: Path) -> None:
    """Without a `harness.toml`, the nearest `.git` makes the root, a folder or (in a worktree) a file."""
    deep = make(tmp_path, ".git/", "a/.git", "a/b/prompts/", "a/b/c/")
    assert find_project(deep).root == tmp_path / "a"


def test_without_a_repository_the_folder_that_holds_prompts_is_the_root(tmp_path: Path) -> None:
    """Without both, the nearest folder with a folder `prompts` makes the root; a file of that name does not."""
    deep = make(tmp_path, "a/prompts/x/", "a/b/prompts", "a/b/c/")
    assert find_project(deep).root == tmp_path / "a"


def test_without_any_mark_the_folder_itself_is_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any mark the root is where the command works, by default the current folder."""
    deep = make(tmp_path, "a/b/")
    assert find_project(deep).root == deep
    monkeypatch.chdir(deep)
    assert find_project().root == deep


def test_a_file_stands_for_its_folder(tmp_path: Path) -> None:
    """The search begins at the folder of a file, whether the file is there or not."""
    make(tmp_path, "harness.toml", "prompts/v1.yaml")
    assert find_project(tmp_path / "prompts" / "v1.yaml").root == tmp_path
    assert find_project(tmp_path / "prompts" / "v2.yaml").root == tmp_path


def test_runs_and_cache_lie_in_the_root(tmp_path: Path) -> None:
    """Runs are kept under `runs/`, the cache under `.harness/`."""
    project = Project(tmp_path)
    assert project.runs == tmp_path / "runs"
    assert project.cache == tmp_path / ".harness" / "cache.sqlite"


# --- inside -----------------------------------------------------------------------------------------------------------


def test_what_lies_outside_of_the_project_is_outside(tmp_path: Path) -> None:
    """Neither `..`, nor an absolute path, nor a link leads out of the project unseen; a file need not be there."""
    root = make(tmp_path, "secret.txt", "project-2/", "project/a/").parent
    (root / "link").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "circle").symlink_to(root / "circle")
    project = Project(root)
    for inside in ("a", "a/../b.txt", "nowhere/x", "up/project/a"):
        assert project.inside(root / inside), inside
    for outside in (
        "..",
        "../secret.txt",
        "a/../../secret.txt",
        "../project-2",
        "link",
        "up/secret.txt",
        "circle",
        "a\0b",
    ):
        assert not project.inside(root / outside), outside
    assert not project.inside(Path("/etc/passwd"))


def test_a_root_that_is_reached_through_a_link_holds_its_files(tmp_path: Path) -> None:
    """Links are resolved on both sides."""
    make(tmp_path, "real/a.txt")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Project(tmp_path / "link").inside(tmp_path / "real" / "a.txt")


def test_paths_are_shown_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is shown as one would type it here; where the system knows no such way, whole."""
    here = make(tmp_path, "runs/r1/scores.json", "prompts/")
    monkeypatch.chdir(here)
    assert Project(tmp_path).show(tmp_path / "runs" / "r1") == "../runs/r1"

    def other_drive(path: object) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", other_drive)
    assert Project(tmp_path).show(tmp_path / "runs") == str(tmp_path / "runs")


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_have_defaults(tmp_path: Path) -> None:
    """Without a `harness.toml`, and with an empty one, every setting has its default."""
    assert find_project(tmp_path).settings == Settings()
    (tmp_path / "harness.toml").write_text("# nothing yet\n")
    assert find_project(tmp_path).settings == Settings()


def test_settings_are_read(tmp_path: Path) -> None:
    """Every setting can be said; a byte order mark and Windows line ends do not matter."""
    text = """\ufeffmodel = "gpt-x"\r\nconcurrency = 2\r\ntimeout_s = 5\r\nmax_attempts = 1\r\nmax_retry_s = 0.5\r
rpm = 60\r\ntpm = 7\r
[prices."my-model"]\r\ninput = 0.4\r\noutput = 0\r\n"""
    (tmp_path / "harness.toml").write_text(text, encoding="utf-8", newline="")
    prices = {"my-model": {"input": 0.4, "output": 0}}
    assert find_project(tmp_path).settings == Settings("gpt-x", 2, 5, 1, 0.5, 60, 7, prices)


def test_all_errors_of_the_settings_are_told_at_once(tmp_path: Path) -> None:
    """Every unknown key and every wrong value is told, with its line and what it must be."""
    text = """model = ""
modle = "x"
zzz = 1
concurrency = 0

max_attempts = true
timeout_s = inf
max_retry_s = "long"
[prices.m]
input = -1
"""
    assert refusal(tmp_path, text) == [
        "1: 'model' must be the name of a model, got ''.",
        "2: unknown key 'modle'. Did you mean 'model'?",
        "3: unknown key 'zzz'. Known here: concurrency, max_attempts, max_retry_s, model, prices, rpm, timeout_s, tpm.",
        "4: 'concurrency' must be a whole number of at least 1, got 0.",
        "6: 'max_attempts' must be a whole number of at least 1, got True.",
        "7: 'timeout_s' must be seconds above 0, got inf.",
        "8: 'max_retry_s' must be seconds above 0, got 'long'.",
        """9: 'prices' must be tables such as [prices."my-model"] with input and output in USD per million tokens, """
        "got {'m': {'input': -1}}.",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "concurrency = 1.5",
        "concurrency = '2'",
        "timeout_s = 0",
        "timeout_s = nan",
        "timeout_s = true",
        "model = 5",
        "model = ' '",
        "prices = 1",
        "prices = {m = 1}",
        "prices = {m = {in = 1}}",
        "prices = {m = {input = '1'}}",
        "prices = {m = {input = true}}",
        "prices = {m = {input = nan}}",
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(tmp_path: Path, line: str) -> None:
    """No value of another kind or out of range passes for a setting."""
    (problem,) = refusal(tmp_path, f"\n{line}\n")
    assert problem.startswith(f"2: '{line.split()[0]}' must be ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb =\n", "2: must be TOML, but Invalid value."),
        ("a = [1\n", "2: must be TOML, but Unclosed array."),
        ("a = 1\na = 2\n", "2: must be TOML, but Cannot overwrite a value."),
        ("a = " + "[" * 10_000, "must be TOML, but it nests too deep."),
        (b"a = 1\nb = '\xff'\n", "2: must be UTF-8 text, got the byte 0xff. Save the file as UTF-8."),
    ],
)
def test_settings_that_are_not_toml_are_told_with_the_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    """A `harness.toml` that does not parse has one message, with its line where there is one."""
    assert refusal(tmp_path, text) == [message]


def test_a_key_whose_line_cannot_be_told_is_still_told(tmp_path: Path) -> None:
    """A key written with escapes is not found again in the text; its problem is told without a line."""
    assert refusal(tmp_path, '"mod\\u0065x" = 1\n') == ["unknown key 'modex'. Did you mean 'model'?"]


# --- .env -------------------------------------------------------------------------------------------------------------


def test_the_environment_goes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `.env` says counts only where the environment says nothing."""
    monkeypatch.setenv("HARNESS_TEST_SET", "from the environment")
    monkeypatch.setenv("HARNESS_TEST_UNSET", "")
    monkeypatch.delenv("HARNESS_TEST_UNSET")
    (tmp_path / ".env").write_text("HARNESS_TEST_SET=from the file\nexport HARNESS_TEST_UNSET='from the file'\n")
    find_project(tmp_path)
    assert os.environ["HARNESS_TEST_SET"] == "from the environment"
    assert os.environ["HARNESS_TEST_UNSET"] == "from the file"


def test_the_env_file_of_the_root_is_read_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the root's own `.env` counts, not that of a folder in it or above it."""
    monkeypatch.setenv("HARNESS_TEST_OTHER", "")
    monkeypatch.delenv("HARNESS_TEST_OTHER")
    deep = make(tmp_path, "root/harness.toml", "root/a/")
    for folder in (tmp_path, deep):
        (folder / ".env").write_text("HARNESS_TEST_OTHER=1\n")
    find_project(deep)
    assert "HARNESS_TEST_OTHER" not in os.environ


@pytest.mark.parametrize("text", [b"KEY=\xff-secret\n", b"HARNESS_TEST_NUL=a\0secret\n"])
def test_an_unreadable_env_file_is_told_without_its_content(tmp_path: Path, text: bytes) -> None:
    """What stands in `.env` is secret: the message says only which file it is and what it must be."""
    (tmp_path / ".env").write_bytes(text)
    with pytest.raises(DataError) as caught:
        find_project(tmp_path)
    assert str(caught.value) == f"{tmp_path / '.env'}: must be readable lines of NAME=value in UTF-8."
