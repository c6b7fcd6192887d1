"""Datasets: a label space and its splits as a file, and everything that can be wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.dataset import Dataset, load_dataset
from harness.errors import DataError
from harness.identity import space_hash
from harness.labelspace import Field, Label, LabelSpace
from harness.project import Project

TWO_WORDS = "is a choice: its 'values' must be at least two different words."
SPLITS = "splits: {dev: dev.jsonl}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a project with one sample file."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "dev.jsonl").write_text('{"id": "s1", "text": "late", "labels": ["shipping"]}\n')
    return root


def load(folder: Path, text: str) -> Dataset:
    """Return the dataset that a file with this text describes."""
    file = folder / "reviews.yaml"
    file.write_text(text, encoding="utf-8")
    return load_dataset(file, Project(folder))


def refusal(folder: Path, text: str) -> list[str]:
    """Return what is wrong with a dataset file, line by line, without its path."""
    with pytest.raises(DataError) as caught:
        load(folder, text)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{folder / 'reviews.yaml'}:") for line in lines)
    return [line.removeprefix(f"{folder / 'reviews.yaml'}:").strip() for line in lines]


def labels_refusal(folder: Path, labels: str) -> list[str]:
    """Return what is wrong with a `labels` that begins on line 2."""
    return refusal(folder, f"{SPLITS}labels:\n{labels}")


# --- good files -------------------------------------------------------------------------------------------------------


def test_everything_that_a_dataset_can_say(folder: Path) -> None:
    """Labels keep their order and get their groups; fields, splits and the name are read."""
    text = """\
name: my reviews
labels:
  shipping: Late or lost
  quality: {description: Badly made, aliases: [build quality, 404], code: q}
  no:
  2024: {code: 0}
groups:
  delivery: [shipping]
  product: [quality, 2024]
fields:
  mood: {type: choice, values: [happy, mad], description: How it sounds}
  item: {type: text, match: exact}
  bought: {type: bool}
splits:
  test: test.jsonl
  dev: ./dev.jsonl
"""
    (folder / "test.jsonl").touch()
    dataset = load(folder, text)
    assert dataset.name == "my reviews"
    assert dataset.space == LabelSpace(
        (
            Label("shipping", "Late or lost", group="delivery"),
            Label("quality", "Badly made", ("build quality", "404"), "q", "product"),
            Label("no"),
            Label("2024", code="0", group="product"),
        ),
        (
            Field("mood", "choice", ("happy", "mad"), description="How it sounds"),
            Field("item", "text", match="exact"),
            Field("bought", "bool"),
        ),
    )
    assert dict(dataset.splits) == {"test": folder / "test.jsonl", "dev": folder / "dev.jsonl"}


def test_labels_can_be_a_mere_list(folder: Path) -> None:
    """A list of names is a label space; words that older YAML takes for booleans stay words."""
    dataset = load(folder, f"labels: [no, on, 007, shipping]\ngroups: {{g: 'no'}}\n{SPLITS}")
    assert dataset.space == LabelSpace((Label("no", group="g"), Label("on"), Label("007"), Label("shipping")))
    assert dataset.name == "reviews"


def test_an_alias_may_repeat_its_own_label(folder: Path) -> None:
    """Only spellings of two labels are ambiguous; an alias that reads like its own label is merely needless."""
    dataset = load(folder, f"labels: {{late delivery: {{aliases: [late-delivery, late, LATE]}}}}\n{SPLITS}")
    assert dataset.space.find("Late") == "late delivery"


def test_the_default_split_is_dev_else_the_first(folder: Path) -> None:
    """`dev` is the default split where there is one, wherever it stands; else the first."""
    (folder / "b.jsonl").touch()
    assert load(folder, "labels: [a]\nsplits: {b: b.jsonl, dev: dev.jsonl}").default_split == "dev"
    assert load(folder, "labels: [a]\nsplits: {b: b.jsonl, a: dev.jsonl}").default_split == "b"


def test_a_split_is_read_by_name_or_by_default(folder: Path) -> None:
    """`read` gives the samples of a split; a split that does not exist is told with those that do."""
    dataset = load(folder, f"labels: [shipping]\n{SPLITS}")
    assert [sample.id for sample in dataset.read()] == [sample.id for sample in dataset.read("dev")] == ["s1"]
    with pytest.raises(DataError) as caught:
        dataset.read("dve")
    message = f"{dataset.path}: there is no split 'dve'; it has dev. Did you mean 'dev'?"
    assert str(caught.value) == message


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ["", "labels:\n", "labels: []\n", "labels: {}\n", "labels: ''\n"])
def test_a_dataset_without_labels_is_refused(folder: Path, labels: str) -> None:
    """A label space has at least one label."""
    assert refusal(folder, SPLITS + labels)[0].endswith(
        "'labels' must name at least one label. Add: labels: {name: description, …}."
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (" 5\n", "2: 'labels' must be a mapping, got a number."),
        (" - a\n - {b: c}\n", "4: 'labels' must be a list of texts, got a mapping in it."),
        (" - a\n - true\n", "4: 'labels' must be a list of texts, got true/false in it."),
        (" a: [x]\n", "3: 'labels.a' must be a text, got a list."),
        (" a: {descripton: x}\n", "3: unknown key 'labels.a.descripton'. Did you mean 'description'?"),
        (" a: {code: xy}\n", "3: 'labels.a.code' must be one character of 0-9a-zA-Z, got 'xy'."),
        (" a: {code: é}\n", "3: 'labels.a.code' must be one character of 0-9a-zA-Z, got 'é'."),
        (" a: {code: '-'}\n", "3: 'labels.a.code' must be one character of 0-9a-zA-Z, got '-'."),
        (" a:\n  aliases: {x: y}\n", "4: 'labels.a.aliases' must be a list of texts, got a mapping in it."),
    ],
)
def test_a_label_that_is_wrong_is_told_with_its_line(folder: Path, labels: str, message: str) -> None:
    """A label is a name with a description, or with description, aliases and a code of one character."""
    assert labels_refusal(folder, labels) == [message]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (" - a b\n - A_B\n", "4: 'A_B' of label 'A_B' reads like 'a b' of label 'a b'."),
        (" - a\n - a\n", "4: 'a' of label 'a' reads like 'a' of label 'a'."),
        (" a: {aliases: [x]}\n b:\n  aliases: [X]\n", "4: 'X' of label 'b' reads like 'x' of label 'a'."),
        (" a: {aliases: [B]}\n b: ''\n", "4: 'b' of label 'b' reads like 'B' of label 'a'."),
        (" a: ''\n a: ''\n", "4: 'a' stands here twice. Remove one."),
        (" a: {code: x}\n b: {code: x}\n", "4: code 'x' of label 'b' is that of 'a' too."),
        (" None: ''\n", "3: label 'None': 'None' is how the empty set is written. Rename it."),
        (" a: {aliases: [none]}\n", "3: label 'a': 'none' is how the empty set is written. Rename it."),
        (" '': x\n", "3: label '': a name must be visible text on one line, got ''."),
        (" ' ': x\n", "3: label ' ': a name must be visible text on one line, got ' '."),
        (" - '-'\n", "3: label '-': a name must be visible text on one line, got '-'."),
        (' "\\u200b": x\n', r"3: label '​': a name must be visible text on one line, got '\u200b'."),
    ],
)
def test_a_label_space_in_which_an_answer_could_mean_two_things_is_refused(
    folder: Path, labels: str, message: str
) -> None:
    """No two labels read alike or share a code, none reads like the empty set, and each has something to read."""
    assert labels_refusal(folder, labels) == [message]


@pytest.mark.parametrize("escape", ["\\n", "\\t", "\\0", "\\e", "\\x7f", "\\x9b", "\\u2028", "\\u2029"])
def test_control_characters_in_a_label_are_refused(folder: Path, escape: str) -> None:
    """Line breaks and control characters, in a name or an alias, are refused, and told escaped."""
    for labels in (f' - "a{escape}b"\n', f' a: {{aliases: ["a{escape}b"]}}\n'):
        with pytest.raises(DataError, match="a name must be visible text on one line, got ") as caught:
            load(folder, f"{SPLITS}labels:\n{labels}")
        assert f"{folder / 'reviews.yaml'}:3: " in str(caught.value)


def test_labels_in_any_language_are_fine(folder: Path) -> None:
    """Emoji with joiners, accents, right-to-left and Han names are visible text."""
    names = ["👩\u200d👧", "Qualität", "משלוח", "价格", "a/b, c;d|e", "~", "it's"]
    text = json.dumps({"labels": names, "splits": {"dev": "dev.jsonl"}}, ensure_ascii=False)
    assert load(folder, text).space.names == tuple(names)


# --- groups and fields ------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_groups_is_told_at_the_group(folder: Path) -> None:
    """A group holds labels, at least one, and a label has one group."""
    text = (
        f"{SPLITS}labels: [shipping, price]\ngroups:\n  a: [shiping]\n  b: [price]\n  c:\n    - price\n  d: {{x: y}}\n"
        "  e: []\n  f:\n  g: {labels: []}\n"
    )
    assert refusal(folder, text) == [
        "4: 'groups.a' has 'shiping', which is no label. Did you mean 'shipping'?",
        "6: 'groups.c' has 'price', which is in 'b' too. A label has one group.",
        "8: 'groups.d.labels' is missing. Name the labels of the group.",
        "8: unknown key 'groups.d.x'. Known here: description, labels.",
        "9: 'groups.e' must name at least one label, got none.",
        "10: 'groups.f' must name at least one label, got none.",
        "11: 'groups.g.labels' must name at least one label, got none.",
    ]


def test_a_group_can_have_a_description(folder: Path) -> None:
    """A group that is a mapping has its labels and what it is about, which is part of the label space's hash."""
    plain = load(folder, f"{SPLITS}labels: [a, b]\ngroups:\n  g: [b]\n").space
    told = load(folder, f"{SPLITS}labels: [a, b]\ngroups:\n  g: {{labels: [b], description: All about b}}\n").space
    assert told.groups == plain.groups == {"g": ("b",)}
    assert told.as_groups.labels == (Label("g", "All about b"),)
    assert space_hash(told) != space_hash(plain)
    assert LabelSpace.from_json(told.to_json()) == told


def test_groups_that_are_no_mapping_are_told(folder: Path) -> None:
    """`groups` maps a group to its labels."""
    assert refusal(folder, f"{SPLITS}labels: [a]\ngroups: [a]\n") == ["3: 'groups' must be a mapping, got a list."]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("mood:", "4: 'fields.mood' needs a type: one of choice, text, bool."),
        ("mood: {}", "4: 'fields.mood' needs a type: one of choice, text, bool."),
        ("mood: text", "4: 'fields.mood' must be a mapping, got a text."),
        (
            "mood: {type: chioce, values: [a, b]}",
            "4: 'fields.mood.type' must be one of choice, text, bool, got 'chioce'. Did you mean 'choice'?",
        ),
        ("mood: {type: choice}", f"4: 'fields.mood' {TWO_WORDS}"),
        ("mood: {type: choice, values: [a]}", f"4: 'fields.mood' {TWO_WORDS}"),
        ("mood: {type: choice, values: [a, b, A]}", f"4: 'fields.mood' {TWO_WORDS}"),
        ("mood: {type: bool, values: [a, b]}", "4: 'fields.mood' is of type bool: 'values' belongs to type choice."),
        ("mood: {type: bool, match: exact}", "4: 'fields.mood' is of type bool: 'match' belongs to type text."),
        ("mood: {type: text, match: fuzzy}", "4: 'fields.mood.match' must be one of exact, normalized, got 'fuzzy'."),
        ("mood: {type: text, vales: x}", "4: unknown key 'fields.mood.vales'. Did you mean 'values'?"),
        ("shipping: {type: text}", "4: 'fields.shipping' has a name that is taken. Rename the field."),
        ("text: {type: text}", "4: 'fields.text' has a name that is taken. Rename the field."),
        ("gold: {type: text}", "4: 'fields.gold' has a name that is taken. Rename the field."),
    ],
)
def test_a_field_that_is_wrong_is_told_with_its_line(folder: Path, field: str, message: str) -> None:
    """A field has a name of its own, a type, and what belongs to that type."""
    assert refusal(folder, f"{SPLITS}labels: [shipping]\nfields:\n  {field}\n") == [message]


def test_fields_that_are_no_mapping_are_told(folder: Path) -> None:
    """`fields` maps a name to what the field is."""
    assert refusal(folder, f"{SPLITS}labels: [a]\nfields: mood\n") == ["3: 'fields' must be a mapping, got a text."]


# --- rules of label sets ----------------------------------------------------------------------------------------------

RULED = f"{SPLITS}labels: [mad, happy, refund, billing]\n"


def test_rules_are_read_in_the_order_of_the_file(folder: Path) -> None:
    """`exclusive` holds sets of labels, `implies` maps a label to what it brings with it: one label or several."""
    text = "exclusive: [[happy, mad], [refund, happy]]\nimplies: {refund: [billing, mad], mad: billing}\n"
    space = load(folder, RULED + text).space
    assert space.exclusive == (("happy", "mad"), ("refund", "happy"))
    assert space.implies == (("refund", "billing"), ("refund", "mad"), ("mad", "billing"))


def test_a_dataset_without_rules_has_none(folder: Path) -> None:
    """Rules are optional, and may be empty."""
    assert load(folder, RULED).space == load(folder, f"{RULED}exclusive: []\nimplies: {{}}\n").space
    assert (load(folder, RULED).space.exclusive, load(folder, RULED).space.implies) == ((), ())


def test_labels_that_imply_each_other_are_always_together(folder: Path) -> None:
    """A cycle is no mistake: it says that labels are there together or not at all."""
    space = load(folder, f"{RULED}implies: {{refund: billing, billing: refund}}\n").space
    assert space.implies == (("refund", "billing"), ("billing", "refund"))


@pytest.mark.parametrize(
    ("rules", "messages"),
    [
        ("exclusive: [happy, mad]", ["3: 'exclusive' must be a list of lists of labels: exclusive: [[happy, mad]]."]),
        ("exclusive: happy", ["3: 'exclusive' must be a list of lists of labels: exclusive: [[happy, mad]]."]),
        (
            "exclusive: [[mad, {a: b}]]",
            ["3: 'exclusive' must be a list of lists of labels: exclusive: [[happy, mad]]."],
        ),
        ("exclusive:\n- [happy]", ["4: 'exclusive' must hold sets of at least two different labels."]),
        ("exclusive:\n- [mad, mad]", ["4: 'exclusive' must hold sets of at least two different labels."]),
        (
            "exclusive:\n- [happy, mad]\n- [happy,\n   madd, x]",
            [
                "6: 'exclusive' has 'madd', which is no label. Did you mean 'mad'?",
                "6: 'exclusive' has 'x', which is no label.",
            ],
        ),
        ("implies: [refund, billing]", ["3: 'implies' must be a mapping, got a list."]),
        ("implies: {refund: {billing: mad}}", ["3: 'implies.refund' must be a list of texts, got a mapping in it."]),
        ("implies:\n  refnd: mad", ["4: 'implies.refnd' is no label. Did you mean 'refund'?"]),
        (
            "implies:\n  refund: [mad, biling]",
            ["4: 'implies.refund' has 'biling', which is no label. Did you mean 'billing'?"],
        ),
        ("implies:\n  mad: [mad]", ["4: 'implies.mad' must imply other labels, got itself."]),
    ],
)
def test_rules_that_are_wrong_are_told_with_their_lines(folder: Path, rules: str, messages: list[str]) -> None:
    """A rule is about labels of the dataset, two different ones at least."""
    assert refusal(folder, f"{RULED}{rules}\n") == messages


def test_rules_that_contradict_each_other_are_refused(folder: Path) -> None:
    """A label that brings labels together of which only one may be there could never apply, however far it reaches."""
    text = "exclusive: [[mad, happy]]\nimplies:\n  happy: mad\n  refund: billing\n  billing: [mad, happy]\n"
    why = "it would bring 'mad' and 'happy' together, which are exclusive. Change a rule."
    assert refusal(folder, RULED + text) == [
        f"5: 'implies.happy' means that 'happy' never applies: {why}",
        f"6: 'implies.refund' means that 'refund' never applies: {why}",
        f"7: 'implies.billing' means that 'billing' never applies: {why}",
    ]


def test_without_labels_rules_are_not_held_against_them(folder: Path) -> None:
    """Where the labels are missing that alone is told."""
    rules = "exclusive: [[a, b]]\nimplies: {c: d}\n"
    assert refusal(folder, SPLITS + rules) == [
        "1: 'labels' must name at least one label. Add: labels: {name: description, …}."
    ]


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ("", "1: 'splits' must name at least one sample file. Add: splits: {dev: FILE.jsonl}."),
        ("splits: {}\n", "2: 'splits' must name at least one sample file. Add: splits: {dev: FILE.jsonl}."),
        ("splits: [dev.jsonl]\n", "2: 'splits' must be a mapping, got a list."),
        ("splits: {dev: }\n", "2: 'splits.dev' must name a sample file, got nothing."),
        ("splits: {dev: [dev.jsonl]}\n", "2: 'splits.dev' must be a text, got a list."),
        (
            "splits: {dev: dv.jsonl}\n",
            "2: 'splits.dev' names a file that is not there: dv.jsonl. Did you mean 'dev.jsonl'?",
        ),
        ("splits: {dev: nowhere/dev.jsonl}\n", "2: 'splits.dev' names a file that is not there: nowhere/dev.jsonl."),
        ("splits: {dev: .}\n", "2: 'splits.dev' must name a file, got the folder .."),
        (f"splits: {{dev: {'x' * 300}}}\n", "2: 'splits.dev' names a file that cannot be read: File name too long."),
    ],
)
def test_splits_that_are_wrong_are_told_with_their_line(folder: Path, splits: str, message: str) -> None:
    """Every split names a sample file that is there."""
    assert refusal(folder, f"labels: [a]\n{splits}") == [message]


@pytest.mark.parametrize("path", ["../secret.jsonl", "/etc/passwd", "link.jsonl", "up/secret.jsonl", "a\\0b"])
def test_a_split_outside_of_the_project_is_refused(folder: Path, path: str) -> None:
    """No path and no link lets a dataset file read what lies outside of its project."""
    (folder.parent / "secret.jsonl").write_text('{"text": "secret", "labels": []}\n')
    (folder / "link.jsonl").symlink_to(folder.parent / "secret.jsonl")
    (folder / "up").symlink_to(folder.parent)
    (problem,) = refusal(folder, f'labels: [a]\nsplits: {{dev: "{path}"}}\n')
    told = path.replace("\\0", "\\x00")
    assert problem == f"2: 'splits.dev' must lie in the project {folder}, got '{told}'."


# --- the file as a whole ----------------------------------------------------------------------------------------------


def test_all_problems_of_a_file_are_told_at_once(folder: Path) -> None:
    """Labels, groups, fields, splits and unknown keys are all told in one error."""
    text = "lables: [a]\nlabels: [a, A]\ngroups: {g: [b]}\nfields: {f: {}}\nsplits: {dev: x.jsonl}\n"
    assert refusal(folder, text) == [
        "1: unknown key 'lables'. Did you mean 'labels'?",
        "2: 'A' of label 'A' reads like 'a' of label 'a'.",
        "3: 'groups.g' has 'b', which is no label.",
        "4: 'fields.f' needs a type: one of choice, text, bool.",
        "5: 'splits.dev' names a file that is not there: x.jsonl.",
    ]


def test_a_missing_dataset_is_told_with_the_nearest_name(folder: Path) -> None:
    """A dataset file that is not there is told like any other file."""
    (folder / "reviews.yaml").touch()
    with pytest.raises(DataError) as caught:
        load_dataset(folder / "review.yaml", Project(folder))
    assert str(caught.value) == f"{folder / 'review.yaml'}: no such file. Did you mean 'reviews.yaml'?"


def test_the_datasets_of_this_project_are_right() -> None:
    """The dataset that comes with the project loads, every split of it, without a warning."""
    root = Path(__file__).parents[1]
    for file in sorted((root / "datasets").glob("*.yaml")):
        dataset = load_dataset(file, Project(root))
        assert all(not dataset.read(split).warnings for split in dataset.splits)
