"""Label spaces and sample sets as files: `datasets/<name>.yaml` and the splits that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from harness.errors import DataError, Problems, did_you_mean, did_you_mean_file, listing
from harness.labelspace import NONE_WORD, Field, FieldType, Label, LabelSpace, TextMatch, is_visible, normalize
from harness.project import Project
from harness.samples import RESERVED, SampleSet, read_samples
from harness.yamlfile import Node, Section, names_beside, read_yaml

LOCKED_NAMES = ("test", "holdout")
"""Splits that are locked where the file does not say which are; the default split is not."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A label space with the sample files of its splits.

    Attributes:
        splits: Sample file by split name, in the order of the file.
        locked: Splits that are there to test what was tuned elsewhere: to look at one needs ``--final``.
    """

    name: str
    path: Path
    space: LabelSpace
    splits: Mapping[str, Path]
    locked: tuple[str, ...] = ()

    @property
    def default_split(self) -> str:
        """The split that is used when none is named: `dev` where there is one, else the first; never a locked one."""
        free = [name for name in self.splits if name not in self.locked]
        return "dev" if "dev" in free else free[0]

    def read(self, split: str | None = None) -> SampleSet:
        """Return the samples of a split (default: `default_split`).

        Raises:
            DataError: There is no such split, or its file has problems (all of them are told).
        """
        chosen = split or self.default_split
        if chosen not in self.splits:
            raise DataError(
                f"{self.path}: there is no split '{chosen}'; it has {listing(self.splits)}."
                f"{did_you_mean(chosen, self.splits)}"
            )
        return read_samples(self.splits[chosen], self.space)


def load_dataset(path: Path, project: Project) -> Dataset:
    """Return the dataset that a YAML file describes. Sample files are not read yet.

    Raises:
        DataError: The file has problems; all of them are told, with their lines.
    """
    problems = Problems(path)
    top = read_yaml(path, problems)
    name = top.text("name") or path.stem
    space = _space(top, problems)
    splits = _splits(top, path, project)
    locked = _locked(top, splits, problems)
    top.finish()
    problems.raise_if_any()
    return Dataset(name, path, space, splits, locked)


def _space(top: Section, problems: Problems) -> LabelSpace:
    grouping, about, section = _groups(top)
    labels = _labels(top, grouping)
    _check_spellings(labels, top, problems)
    names = [label.name for label in labels]
    for group, members in grouping.items():
        for member in members:
            if names and member not in names and section is not None:
                section.problem(group, f"has '{member}', which is no label.{did_you_mean(member, names)}")
    return LabelSpace(tuple(labels), tuple(_fields(top, set(names))), *_rules(top, names, problems), about)


_About = tuple[tuple[str, str], ...]


def _groups(top: Section) -> tuple[dict[str, tuple[str, ...]], _About, Section | None]:
    """Read groups: lists of labels, or mappings of `labels` and a `description`."""
    section = top.section("groups")
    if section is None:
        return {}, (), None
    groups: dict[str, tuple[str, ...]] = {}
    about: list[tuple[str, str]] = []
    for group, node in section.node.value.items():
        details = section.section(group) if isinstance(node.value, dict) else None
        if details is None:
            groups[group] = section.texts(group) or ()
            if not groups[group] and node.value in (None, "", []):
                section.problem(group, "must name at least one label, got none.")
            continue
        groups[group] = details.texts("labels") or ()
        if not details.has("labels"):
            details.problem("labels", "is missing. Name the labels of the group.")
        elif groups[group] == () and details.node.value["labels"].value == []:
            details.problem("labels", "must name at least one label, got none.")
        if description := details.text("description"):
            about.append((group, description))
        details.finish()
    owner: dict[str, str] = {}
    for group, members in groups.items():
        for member in members:
            if owner.setdefault(member, group) != group:
                section.problem(group, f"has '{member}', which is in '{owner[member]}' too. A label has one group.")
    return groups, tuple(about), section


def _labels(top: Section, grouping: Mapping[str, tuple[str, ...]]) -> list[Label]:
    """Read labels as a list of names, or as a mapping of name to description or to details."""
    group_of = {member: group for group, members in grouping.items() for member in members}
    node = top.take("labels")
    if node is None or node.value in ({}, [], ""):
        top.problem("labels", "must name at least one label. Add: labels: {name: description, …}.")
        return []
    if isinstance(node.value, list):
        return [Label(name, group=group_of.get(name)) for name in top.texts("labels") or ()]
    section = top.section("labels")
    if section is None:
        return []
    return [_label(name, each, section, group_of.get(name)) for name, each in node.value.items()]


def _label(name: str, node: Node, section: Section, group: str | None) -> Label:
    details = section.section(name) if isinstance(node.value, dict) else None
    if details is None:
        return Label(name, section.text(name) or "", group=group)
    label = Label(
        name,
        details.text("description") or "",
        details.texts("aliases") or (),
        details.text("code"),
        group,
    )
    if label.code is not None and not (len(label.code) == 1 and label.code.isascii() and label.code.isalnum()):
        details.problem("code", f"must be one character of 0-9a-zA-Z, got '{label.code}'.")
    details.finish()
    return label


def _check_spellings(labels: list[Label], top: Section, problems: Problems) -> None:
    """Refuse a label space in which an answer could mean two things."""
    node = top.take("labels")
    if node is None:
        return
    spelling_of: dict[str, tuple[int, str]] = {}
    code_of: dict[str, str] = {}
    for at, label in enumerate(labels):
        line = _line_of_label(label, at, node)
        for spelling in (label.name, *label.aliases):
            form = normalize(spelling)
            owner, other = spelling_of.setdefault(form, (at, spelling))
            if not is_visible(spelling):
                problems.add(f"label '{label.name}': a name must be visible text on one line, got {spelling!a}.", line)
            elif form == NONE_WORD:
                problems.add(f"label '{label.name}': '{spelling}' is how the empty set is written. Rename it.", line)
            elif owner != at:
                problems.add(
                    f"'{spelling}' of label '{label.name}' reads like '{other}' of label '{labels[owner].name}'.", line
                )
        if label.code is not None and code_of.setdefault(label.code, label.name) != label.name:
            problems.add(f"code '{label.code}' of label '{label.name}' is that of '{code_of[label.code]}' too.", line)


def _line_of_label(label: Label, at: int, labels: Node) -> int:
    node: Node = labels.value[at] if isinstance(labels.value, list) else labels.value[label.name]
    return node.told_line


def _rules(
    top: Section, names: Sequence[str], problems: Problems
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, str], ...]]:
    """Read the rules that label sets keep: `LabelSpace.exclusive` and `LabelSpace.implies`."""
    exclusive, section = _exclusive(top, names, problems), top.section("implies")
    implied = {} if section is None else _implied(section, names)
    for name in implied:
        having = {name}
        while more := {other for each in having for other in implied.get(each, ())} - having:
            having |= more
        for group in exclusive:
            if section is not None and len(both := [each for each in group if each in having]) > 1:
                why = f"it would bring '{both[0]}' and '{both[1]}' together, which are exclusive"
                section.problem(name, f"means that '{name}' never applies: {why}. Change a rule.")
    return exclusive, tuple((name, other) for name, others in implied.items() for other in others)


def _exclusive(top: Section, names: Sequence[str], problems: Problems) -> tuple[tuple[str, ...], ...]:
    """Read sets of labels of which a sample has one at most."""
    node = top.take("exclusive")
    if node is None:
        return ()
    items = node.value if isinstance(node.value, list) else [node]
    if not all(isinstance(each.value, list) and all(word.source for word in each.value) for each in items):
        top.problem("exclusive", "must be a list of lists of labels: exclusive: [[happy, mad]].")
        return ()
    sets = []
    for each in items:
        words = tuple(word.source for word in each.value)
        for word in (word for word in each.value if names and word.source not in names):
            problems.add(
                f"'exclusive' has '{word.source}', which is no label.{did_you_mean(word.source, names)}", word.line
            )
        if len(set(words)) < max(2, len(words)):
            problems.add("'exclusive' must hold sets of at least two different labels.", each.line)
        sets.append(words)
    return tuple(sets)


def _implied(section: Section, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read what each label implies. Labels that imply each other are always together: that is no mistake."""
    implied = {}
    for name in section.keys():  # noqa: SIM118 - a Section is no dict
        others = tuple(dict.fromkeys(section.texts(name) or ()))
        if names and name not in names:
            section.problem(name, f"is no label.{did_you_mean(name, names)}")
        for other in others:
            if other == name:
                section.problem(name, "must imply other labels, got itself.")
            elif names and other not in names:
                section.problem(name, f"has '{other}', which is no label.{did_you_mean(other, names)}")
        implied[name] = others
    return implied


def _fields(top: Section, label_names: set[str]) -> list[Field]:
    section = top.section("fields")
    if section is None:
        return []
    found = []
    for name in section.keys():  # noqa: SIM118 - a Section is no dict
        if name in label_names or name in RESERVED or name == "text":
            section.problem(name, "has a name that is taken. Rename the field.")
        if not section.has(name):
            section.problem(name, f"needs a type: one of {listing(get_args(FieldType))}.")
        elif (details := section.section(name)) is not None:
            found.append(_field(name, details, section))
    return found


def _field(name: str, details: Section, section: Section) -> Field:
    kind = details.choice("type", get_args(FieldType))
    match = details.choice("match", get_args(TextMatch))
    values = details.texts("values") or ()
    field = Field(name, kind or "text", values, match or "normalized", details.text("description") or "")
    if not details.has("type"):
        section.problem(name, f"needs a type: one of {listing(get_args(FieldType))}.")
    if kind == "choice" and len({normalize(value) for value in values}) < max(2, len(values)):
        section.problem(name, "is a choice: its 'values' must be at least two different words.")
    if kind in ("text", "bool") and values:
        section.problem(name, f"is of type {kind}: 'values' belongs to type choice.")
    if kind in ("choice", "bool") and match:
        section.problem(name, f"is of type {kind}: 'match' belongs to type text.")
    details.finish()
    return field


def _splits(top: Section, path: Path, project: Project) -> dict[str, Path]:
    section = top.section("splits")
    if section is None and top.has("splits"):
        return {}
    if section is None or not section.node.value:
        top.problem("splits", "must name at least one sample file. Add: splits: {dev: FILE.jsonl}.")
        return {}
    splits: dict[str, Path] = {}
    for name in section.keys():  # noqa: SIM118 - a Section is no dict
        if not section.has(name):
            section.problem(name, "must name a sample file, got nothing.")
        elif (text := section.text(name)) is not None:
            splits[name] = path.parent / text
            if (problem := _file_problem(splits[name], text, project)) is not None:
                section.problem(name, problem)
    return splits


def _locked(top: Section, splits: Mapping[str, Path], problems: Problems) -> tuple[str, ...]:
    """Read which splits are locked; where the file does not say it, those that are called as in `LOCKED_NAMES`."""
    names = top.texts("locked")
    if names is None:
        default = "dev" if "dev" in splits else next(iter(splits), None)
        return tuple(name for name in splits if name.casefold() in LOCKED_NAMES and name != default)
    node = top.node.value["locked"]
    for name, item in zip(names, node.value if isinstance(node.value, list) else [node], strict=True):
        if splits and name not in splits:
            problems.add(f"'locked' has '{name}', which is no split.{did_you_mean(name, splits)}", item.line)
    if splits and set(splits) <= set(names):
        top.problem("locked", f"must leave a split to try prompts on, but locks {listing(splits)}.")
    return tuple(dict.fromkeys(names))


def _file_problem(file: Path, text: str, project: Project) -> str | None:
    """Return what is wrong with a sample file before it is opened."""
    if barred := project.bars(file):
        return f"{barred}, got {text!r}."
    try:
        if file.is_dir():
            return f"must name a file, got the folder {text}."
        if file.is_file():
            return None
    except OSError as error:
        return f"names a file that cannot be read: {error.strerror}."
    return f"names a file that is not there: {text}.{did_you_mean_file(file.name, names_beside(file))}"
