"""A new project's files: what they hold, that they work together, and that nothing is ever overwritten."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError, Problems
from harness.parsing import Output
from harness.project import Settings, find_project
from harness.promptfile import Task, load_task
from harness.scaffold import DEFAULT_MODEL, SETTINGS, SETUP, example, prompt_file, quoted, write_new
from harness.yamlfile import read_yaml


def task_of(folder: Path, prompt: str = "prompts/v1.yaml", split: str | None = None) -> Task:
    """Return a prompt of a project, read and checked like `harness check` does."""
    return load_task(folder / prompt, find_project(folder), split=split)


def top_of(path: Path, text: str) -> Mapping[str, object]:
    """Return a YAML text as this program reads it, as plain values."""
    path.write_text(text, encoding="utf-8")
    plain: Mapping[str, object] = read_yaml(path, Problems(path)).node.plain()
    return plain


# --- the example ------------------------------------------------------------------------------------------------------


def test_the_example_passes_every_check_and_runs_on_the_embedded_model(tmp_path: Path) -> None:
    """The prompt, the dataset and both splits can be read as they are, and the embedded model answers."""
    write_new(tmp_path, example())
    assert task_of(tmp_path).prompt.models[0].name == DEFAULT_MODEL == "local/smollm2-135m"
    assert [len(task_of(tmp_path, split=split).samples) for split in ("dev", "test")] == [24, 12]


def test_every_label_of_the_example_has_support_in_both_splits(tmp_path: Path) -> None:
    """No label of the example is without samples, and some samples have no label or several."""
    write_new(tmp_path, example())
    for split in ("dev", "test"):
        task = task_of(tmp_path, split=split)
        golds = [sample.labels or frozenset() for sample in task.samples]
        support = Counter(label for gold in golds for label in gold)
        assert len(task.dataset.space) == 4
        assert min(support[name] for name in task.dataset.space.names) >= 3
        assert {0, 1, 2} <= {len(gold) for gold in golds}


def test_no_text_of_the_example_is_in_both_splits(tmp_path: Path) -> None:
    """What is tested was not seen in dev."""
    write_new(tmp_path, example())
    texts = [sample.inputs["text"] for split in ("dev", "test") for sample in task_of(tmp_path, split=split).samples]
    assert len(set(texts)) == len(texts) == 36


def test_the_folder_is_a_project_of_its_own(tmp_path: Path) -> None:
    """The settings file marks the root, and the folder of runs is there although git ignores what is in it."""
    write_new(tmp_path / "new", example())
    assert find_project(tmp_path / "new" / "prompts").root == tmp_path / "new"
    assert (tmp_path / "new" / "runs").is_dir()
    ignored = (tmp_path / "new" / ".gitignore").read_text(encoding="utf-8").split("\n")
    assert {".env", ".harness/", "runs/*", "!runs/README.md"} <= set(ignored)


def test_the_settings_in_comments_are_the_defaults(tmp_path: Path) -> None:
    """Each commented setting, with its # taken away, changes nothing but limits and prices; every setting is there."""
    told = re.sub(r"^# (?=\w+ = |\[)", "", SETTINGS, flags=re.MULTILINE)
    (tmp_path / "harness.toml").write_text(told, encoding="utf-8")
    settings = find_project(tmp_path).settings
    prices = {"my-model": {"input": 0.4, "output": 1.6}}
    assert settings == Settings(model=DEFAULT_MODEL, rpm=500, tpm=200_000, prices=prices)
    assert all(re.search(rf"^# \[?{name}\b", SETTINGS, re.MULTILINE) for name in Settings.__dataclass_fields__)
    (tmp_path / "harness.toml").write_text(SETTINGS, encoding="utf-8")
    assert find_project(tmp_path).settings == Settings()


# --- the prompt -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "org/model:tag", "on", 'a "quoted" name', "Qwen/Qwen3: 8B # big"])
def test_a_model_that_is_not_embedded_is_asked_at_temperature_0(tmp_path: Path, model: str) -> None:
    """The model's name is kept as it is, and the answer does not depend on a draw."""
    write_new(tmp_path, example(model))
    (asked,) = task_of(tmp_path).prompt.models
    assert (asked.name, dict(asked.params)) == (model, {"temperature": 0})


def test_the_prompt_says_its_own_version_to_whoever_copies_it() -> None:
    """The comment on how to make the next version names this one as the parent."""
    assert "write `parent: tickets-v1` at its top" in prompt_file("tickets", "m", "text", "Text", name="tickets-v1")


@pytest.mark.parametrize(
    ("output", "asked", "written"),
    [
        (None, 'separated by commas, or with "none"', "list"),
        (Output("json"), '{"labels": ["…"]}', "json"),
        (Output("json", {"labels_key": "answer"}), '{"answer": ["…"]}', {"format": "json", "labels_key": "answer"}),
    ],
)
def test_the_prompt_asks_for_the_format_that_it_reads(
    tmp_path: Path, output: Output | None, asked: str, written: object
) -> None:
    """What the model is told to write and what is read are one format."""
    top = top_of(tmp_path / "p.yaml", prompt_file("d", "m", "text", "Text", output))
    assert asked in str(top["template"])
    assert top["output"] == written


# --- quoting ----------------------------------------------------------------------------------------------------------

TRICKY = [
    *(
        "none",
        "no",
        "on",
        "Yes",
        "null",
        "~",
        "y",
        "true",
        "1",
        "007",
        "1.5",
        "1e3",
        "0x1f",
        "2024-01-01",
        "<<",
        "=",
        "-",
    ),
    *(
        "a: b",
        "a #b",
        "# b",
        "'q'",
        '"q"',
        "back\\slash",
        "[x]",
        "{x}",
        "*x",
        "&x",
        "!x",
        "%x",
        "@x",
        "`x",
        "? x",
        "- x",
    ),
    *(
        " lead",
        "trail ",
        "a, b",
        "a; b",
        "a|b",
        "naïve",
        "日本語",
        "👩‍🚀",
        "x\u00a0y",
        "x\u2028y",
        "\ufeffx",
        "a:",
        "12:30:45",
    ),
]


@pytest.mark.parametrize("text", TRICKY)
def test_a_quoted_text_is_read_back_as_key_and_value(tmp_path: Path, text: str) -> None:
    """Whatever a label is called, YAML gives back exactly that: this reader's YAML, and any other's."""
    source = f"{quoted(text)}: {quoted(text)}\n"
    assert top_of(tmp_path / "q.yaml", source) == {text: text}
    assert yaml.safe_load(source) == {text: text}


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_read_back_from_yaml(text: str) -> None:
    """No text is lost or changed by quoting."""
    assert yaml.safe_load(f"{quoted(text)}: {quoted(text)}\n") == {text: text}


def test_a_plain_word_stays_plain() -> None:
    """Names that mean nothing else in YAML are not quoted, so that the file reads well."""
    assert [quoted(name) for name in ("shipping", "late delivery", "gpt-4.1-mini", "Größe")] == [
        "shipping",
        "late delivery",
        "gpt-4.1-mini",
        "Größe",
    ]


# --- writing ----------------------------------------------------------------------------------------------------------


def test_files_that_are_there_are_all_told_and_nothing_is_written(tmp_path: Path) -> None:
    """Two of three files exist: the message names both, they keep their content, and the third is not made."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/v1.yaml").write_text("mine")
    (tmp_path / "harness.toml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError) as caught:
        write_new(tmp_path, {"prompts/v1.yaml": "new", "harness.toml": "new", "datasets/d.yaml": "new"})
    assert str(caught.value) == (
        f"{tmp_path}: must hold no file that is to be made, but {tmp_path}/prompts/v1.yaml, {tmp_path}/harness.toml are "
        "there already; nothing was written. Move them away, or name another folder."
    )
    assert (tmp_path / "prompts/v1.yaml").read_text() == "mine"
    assert not (tmp_path / "datasets").exists()


def test_one_file_that_is_there_is_told_in_the_singular(tmp_path: Path) -> None:
    """The message reads well for a single file."""
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match=r"/a is there already; nothing was written\. Move it away, or name another"):
        write_new(tmp_path, {"a": ""})


def test_what_was_written_before_the_disk_refused_is_taken_away(tmp_path: Path) -> None:
    """A file where a folder must be stops everything: no half project stays behind."""
    (tmp_path / "runs").touch()
    with pytest.raises(DataError) as caught:
        write_new(tmp_path, SETUP)
    assert str(caught.value) == (
        f"{tmp_path}/runs: cannot be written (File exists). Name a folder that can be written to."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_paths_that_were_written_are_returned_in_order(tmp_path: Path) -> None:
    """The caller can tell what was made; line ends are the same on every system."""
    made = write_new(tmp_path / "deep/er", {"a/b": "1\n", "c": "2"})
    assert made == [tmp_path / "deep/er/a/b", tmp_path / "deep/er/c"]
    assert made[0].read_bytes() == b"1\n"
