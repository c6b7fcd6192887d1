"""A project from a labelled file: everything in it can be used at once, no value is harmed, and the splits are fair."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.columns import Wanted
from harness.dataset import load_dataset
from harness.errors import DataError, UsageError
from harness.identity import content
from harness.intake import Empty, take_in
from harness.labelspace import Label, LabelSpace
from harness.parsing import Output
from harness.predict import predict
from harness.project import find_project
from harness.promptfile import Task, load_task
from harness.records import Sample
from harness.samples import read_samples
from harness.starting import Start, choose_shots, dataset_name, output_for, split, start_project

Rows = Sequence[tuple[str, Sequence[str] | None]]

ODD = [
    *(
        "no",
        "on",
        "1",
        "2024",
        "1e3",
        "null",
        "true",
        "~",
        "a: b",
        "a #b",
        "it's",
        'say "x"',
        "Food, drink",
        "a; b",
        "a|b",
    ),
    *(
        "[x]",
        "{x}",
        "- x",
        "*",
        "日本語",
        "👩‍🚀",
        "naïve",
        "labels",
        "text",
        "%",
        "back\\slash",
        "<<",
        "<think>",
        "{{ x }}",
        "= 1",
    ),
]
"""Names that YAML, Jinja, CSV or a parser could take for something else."""


def start(
    tmp_path: Path,
    rows: Rows,
    *,
    seed: int = 0,
    test_share: float = 0.33,
    empty: Empty = "none",
    folder: str = "project",
) -> Start:
    """Return the project made from rows of text and labels."""
    source = tmp_path / "data.jsonl"
    source.write_text("".join(f"{json.dumps({'text': text, 'labels': labels})}\n" for text, labels in rows))
    intake = take_in(source, Wanted(), empty=empty)
    return start_project(intake, tmp_path / folder, "data", "scripted", test_share=test_share, seed=seed)


def checked(folder: Path, prompt: str) -> list[Task]:
    """Return the prompt on every split, read and checked like `harness check` does, first calls rendered."""
    project = find_project(folder)
    dataset = load_dataset(folder / "datasets/data.yaml", project)
    tasks = [load_task(folder / prompt, project, split=name) for name in dataset.splits]
    for task in tasks:
        assert not task.samples.warnings
        for sample in task.samples:
            next(predict(task.prompt, task.dataset.space, sample))
    return tasks


def many(n: int, *labels: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    """Return n different texts, the given sets of labels in turn."""
    return [(f"text number {at}", labels[at % len(labels)]) for at in range(n)]


def sample(identity: str, *labels: str, text: str | None = None) -> Sample:
    """Return a labelled sample."""
    return Sample(identity, {"text": text or f"text of {identity}"}, frozenset(labels))


# --- the project ------------------------------------------------------------------------------------------------------


def test_the_project_passes_every_check_at_once(tmp_path: Path) -> None:
    """Dataset, splits and prompt can be read, nothing is warned of, every sample renders, and the model is the named one."""
    made = start(tmp_path, many(60, ["a"], ["a", "b"], []))
    dev, test = checked(tmp_path / "project", made.prompt)
    assert len(dev.samples) + len(test.samples) + len(made.parts["shots"]) == 60
    assert dev.prompt.models[0].name == "scripted"
    assert [path.relative_to(tmp_path / "project").as_posix() for path in made.made] == [
        *("datasets/data.yaml", "datasets/data.dev.jsonl", "datasets/data.test.jsonl", "datasets/data.shots.jsonl"),
        *("prompts/v1.yaml", "harness.toml", ".gitignore", "runs/README.md"),
    ]


def test_labels_stand_in_the_order_of_their_frequency_to_be_described(tmp_path: Path) -> None:
    """Each has an empty description, and its count as a comment."""
    start(tmp_path, many(30, ["rare", "often"], ["often"], ["often"], ["mid"], ["mid"]))
    text = (tmp_path / "project/datasets/data.yaml").read_text(encoding="utf-8")
    assert '\nlabels:\n  often: ""  # 18\n  mid: ""  # 12\n  rare: ""  # 6\n\n' in text
    assert "# Drawn with seed 0, 0.33 of the samples for test, every label in its share.\n" in text


def test_no_label_name_is_lost_or_changed(tmp_path: Path) -> None:
    """Names that mean something in YAML, Jinja or an answer come back from the dataset and from every split."""
    made = start(tmp_path, many(300, *([name] for name in ODD)))
    tasks = checked(tmp_path / "project", made.prompt)
    assert set(tasks[0].dataset.space.names) == set(ODD)
    read = {each.inputs["text"]: each.labels for task in tasks for each in task.samples}
    assert read == {each.inputs["text"]: each.labels for part in ("dev", "test") for each in made.parts[part]}


def test_labels_that_no_list_can_carry_are_asked_for_as_json(tmp_path: Path) -> None:
    """The first prompt takes the plainest format in which every label can be read back."""
    plain = LabelSpace((Label("a"), Label("b c")))
    assert output_for(plain) == Output("list")
    assert output_for(LabelSpace((Label("<think>"), Label("*")))) == Output("json")
    assert output_for(LabelSpace((Label("<think>"), Label("labels")))) == Output("json", {"labels_key": "answer"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.builds("{}x{}".format, st.text(), st.text()),
            st.lists(
                st.builds("{}z".format, st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=8)), max_size=2
            ),
        ),
        max_size=10,
    ),
    st.integers(0, 3),
)
def test_any_file_makes_a_project_that_can_be_used(
    tmp_path: Path, rows: list[tuple[str, list[str]]], seed: int
) -> None:
    """Whatever texts and labels say: the project passes every check, and each sample is in it once, unharmed."""
    import shutil

    shutil.rmtree(tmp_path / "project", ignore_errors=True)
    made = start(tmp_path, [("first", ["one"]), *rows], seed=seed)
    tasks = checked(tmp_path / "project", made.prompt)
    read = [each for task in tasks for each in task.samples]
    if "shots" in made.parts:
        read += read_samples(tmp_path / "project/datasets/data.shots.jsonl", tasks[0].dataset.space).samples
    assert {each.id: (each.inputs, each.labels) for each in read} == {
        each.id: (each.inputs, each.labels) for each in made.intake.samples
    }
    assert Counter(each.inputs["text"] for each in read) == Counter(text for text, _ in [("first", []), *rows])


def test_other_columns_are_template_variables(tmp_path: Path) -> None:
    """Numbers, lists, dates and lone surrogates of other columns are kept in the splits."""
    rows = [{"text": f"t{at}", "labels": ["x"], "n": 1.5, "tags": [1, None], "odd": "\ud800"} for at in range(3)]
    (tmp_path / "d.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    intake = take_in(tmp_path / "d.jsonl", Wanted(labels=("labels",)))
    made = start_project(intake, tmp_path / "p", "data", "m", test_share=0, seed=0)
    (task,) = checked(tmp_path / "p", made.prompt)
    assert {key: task.samples.samples[0].inputs[key] for key in ("n", "tags", "odd")} == {
        "n": 1.5,
        "tags": [1, None],
        "odd": "\ud800",
    }


def test_unlabelled_samples_are_set_aside(tmp_path: Path) -> None:
    """They are in no split, and in a file that `harness label` can read."""
    made = start(tmp_path, [*many(20, ["a"], ["b"]), ("nobody labelled it", None)], empty="unlabelled")
    assert [each.inputs["text"] for each in made.parts["unlabelled"]] == ["nobody labelled it"]
    (line,) = (tmp_path / "project/datasets/data.unlabelled.jsonl").read_text().splitlines()
    assert json.loads(line)["labels"] is None
    assert all(each.labels is not None for task in checked(tmp_path / "project", made.prompt) for each in task.samples)


def test_support_is_told_by_part(tmp_path: Path) -> None:
    """Samples of a label in a part; a part that is not there has none."""
    made = start(tmp_path, many(6, ["a"], ["b"]), test_share=0)
    assert [made.support("a", part) for part in ("dev", "test")] == [3, 0]


# --- in a folder that is a project already ---------------------------------------------------------------------------


def test_settings_that_are_there_are_kept(tmp_path: Path) -> None:
    """A second dataset joins a project: its settings stay, and its first prompt gets a name that is free."""
    start(tmp_path, many(10, ["a"]))
    (tmp_path / "project/harness.toml").write_text("concurrency = 3\n")
    source = tmp_path / "data.jsonl"
    made = start_project(take_in(source, Wanted()), tmp_path / "project", "other", "m", test_share=0.3, seed=0)
    assert made.prompt == "prompts/other-v1.yaml"
    assert [path.name for path in made.kept] == ["harness.toml", ".gitignore", "README.md"]
    assert (tmp_path / "project/harness.toml").read_text() == "concurrency = 3\n"
    assert "parent: other-v1" in (tmp_path / "project/prompts/other-v1.yaml").read_text()


def test_a_dataset_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """The second time nothing is written, and all files that are there are told."""
    start(tmp_path, many(10, ["a"]))
    before = {path: path.read_bytes() for path in (tmp_path / "project").rglob("*") if path.is_file()}
    with pytest.raises(DataError) as caught:
        start(tmp_path, many(10, ["b"]))
    told = ", ".join(
        f"{tmp_path}/project/datasets/data.{end}" for end in ("yaml", "dev.jsonl", "test.jsonl", "shots.jsonl")
    )
    assert f"but {told} are there already; nothing was written." in str(caught.value)
    assert {path: path.read_bytes() for path in (tmp_path / "project").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("file", "given", "name"),
    [
        ("reviews.csv", None, "reviews"),
        ("my data (2).csv", None, "my-data-2"),
        (".csv", None, "csv"),
        ("a.b.jsonl", None, "a.b"),
        ("!!.csv", None, "data"),
        ("x.csv", "größe_1", "größe_1"),
    ],
)
def test_the_dataset_is_called_as_its_file(file: str, given: str | None, name: str) -> None:
    """What cannot stand in the name of a file becomes a dash; a given name is taken."""
    assert dataset_name(Path(file), given) == name


@pytest.mark.parametrize("given", ["", "a/b", "..", "-x", "a b"])
def test_a_name_that_is_none_is_refused(given: str) -> None:
    """A name must be good for a file."""
    with pytest.raises(UsageError) as caught:
        dataset_name(Path("x.csv"), given)
    assert str(caught.value) == (
        f"--name '{given}': must be letters, digits, '.', '_' and '-', a letter or digit first."
    )


# --- splits and shots -------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_splits(tmp_path: Path) -> None:
    """Nothing but the seed decides, and it does decide."""
    rows = many(60, ["a"], ["a", "b"], [])
    made = [start(tmp_path, rows, seed=seed, folder=f"p{at}") for at, seed in enumerate((0, 0, 1))]
    ids = [{part: [each.id for each in samples] for part, samples in each.parts.items()} for each in made]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_every_label_is_in_both_splits_in_its_share() -> None:
    """A third of each label's samples is for test."""
    samples = [sample(f"{label}{at}", label) for label, n in (("a", 60), ("b", 30), ("c", 3)) for at in range(n)]
    parts = split(samples, 1 / 3, 0)
    assert Counter(label for each in parts["test"] for label in each.labels or ()) == {"a": 20, "b": 10, "c": 1}
    assert [each for each in samples if each in parts["dev"]] == parts["dev"]


def test_the_same_text_is_never_in_both_splits() -> None:
    """Twins, but for case and blanks, go together."""
    samples = [sample(f"s{at}", "x", text=f"  Text {at // 3}" if at % 2 else f"text  {at // 3}") for at in range(60)]
    parts = split(samples, 0.5, 0)
    assert not {content(each) for each in parts["dev"]} & {content(each) for each in parts["test"]}
    assert len(parts["dev"]) + len(parts["test"]) == 60


@pytest.mark.parametrize(("n", "share"), [(10, 0.0), (1, 0.5), (3, 0.01), (2, 0.99)])
def test_dev_is_never_empty(n: int, share: float) -> None:
    """Where a share leaves a part without samples there is dev alone."""
    samples = [sample(f"s{at}", "x") for at in range(n)]
    assert split(samples, share, 0) == {"dev": samples}


def test_shots_show_every_label_that_can_spare_a_sample() -> None:
    """Each label with three samples or more has one, the empty set too; labels that are rarer have none."""
    samples = [
        sample(f"{label}{at}", *label) for label, n in (("a", 30), ("b", 3), ("c", 2), ("", 30)) for at in range(n)
    ]
    shots, rest = choose_shots(samples, 0)
    assert Counter("".join(each.labels or ()) for each in shots) == {"a": 1, "b": 1, "": 1}
    assert sorted([*shots, *rest], key=samples.index) == samples


def test_a_shot_takes_no_label_below_what_the_splits_need() -> None:
    """A sample whose other label is rare stays with the splits."""
    samples = [*(sample(f"a{at}", "a", "rare") for at in range(2)), *(sample(f"b{at}", "a") for at in range(20))]
    shots, _ = choose_shots(samples, 0)
    assert [each.labels for each in shots] == [frozenset({"a"})]


def test_shots_are_a_handful() -> None:
    """With many labels there are at most 24 shots, and never more than a tenth of the samples."""
    samples = [sample(f"s{at}", f"l{at % 40}") for at in range(400)]
    assert len(choose_shots(samples, 0)[0]) == 24
    assert len(choose_shots(samples[:90], 0)[0]) == 9
    assert len(choose_shots([sample(f"s{at}", f"l{at % 10}") for at in range(50)], 0)[0]) == 5


def test_a_shot_covers_several_labels_where_it_can() -> None:
    """One worked example with two labels is cheaper than two."""
    samples = [*(sample(f"ab{at}", "a", "b") for at in range(9)), *(sample(f"a{at}", "a") for at in range(11))]
    shots, _ = choose_shots(samples, 0)
    assert [each.labels for each in shots] == [frozenset({"a", "b"})]


def test_long_texts_and_twins_are_no_shots() -> None:
    """Shots are paid with every call, and a shot's twin among the samples would be answered in the prompt."""
    samples = [sample(f"s{at}", "a", text="y" * 700 + str(at)) for at in range(5)]
    samples += [sample(f"t{at}", "a", text=" The same" if at else "the  same") for at in range(4)]
    samples += [sample("only", "a")]
    assert [each.id for each in choose_shots(samples, 0)[0]] == ["only"]
