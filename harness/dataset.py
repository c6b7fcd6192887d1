"""Label spaces and sample sets as files: `datasets/<name>.yaml` and the splits that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from harness.errors import DataError, Problems, did_you_mean, listing
from harness.labelspace import NONE_WORD, Field, FieldType, Label, LabelSpace, TextMatch, normalize
from harness.project import Project
from harness.samples import RESERVED, SampleSet, read_samples
from harness.yamlfile import Node, Section, read_yaml


@dataclass(frozen=True, slots=True)
class Dataset:
    """A label space with the sample files of its splits.

    Attributes:
        splits: Sample file by split name, in the order of the file; the first is the default split.
    """

    name: str
    path: Path
    space: LabelSpace
    splits: Mapping[str, Path]

    @property
    def default_split(self) -> str:
        """The split that is used when none is named: `dev` where there is one, else the first."""
        return "dev" if "dev" in self.splits else next(iter(self.splits))

    def read(self, split: str | None = None) -> SampleSet:
        """Return the samples of a split (default: `default_split`).

        Raises:
            DataError: There is no such split, or its file has problems (all of them are told).
        """
        chosen = split or self.default_split
        if chosen not in self.splits:
            raise DataError(
                f"{self.path}: no split '{chosen}'; it has {listing(self.splits)}.{did_you_mean(chosen, self.splits)}"
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
    top.finish()
    problems.raise_if_any()
    return Dataset(name, path, space, splits)


def _space(top: Section, problems: Problems) -> LabelSpace:
    grouping = _groups(top)
    labels = _labels(top, grouping)
    _check_spellings(labels, top, problems)
    for group, members in grouping.items():
        for member in members:
            if member not in {label.name for label in labels}:
                known = [label.name for label in labels]
                top.problem("groups", f"puts '{member}' in {group}, which is no label.{did_you_mean(member, known)}")
    return LabelSpace(tuple(labels), tuple(_fields(top, {label.name for label in labels})))


def _groups(top: Section) -> dict[str, tuple[str, ...]]:
    section = top.section("groups")
    if section is None:
        return {}
    groups = {group: section.texts(group) or () for group in section.keys()}  # noqa: SIM118 - a Section is no dict
    owner: dict[str, str] = {}
    for group, members in groups.items():
        for member in members:
            if owner.setdefault(member, group) != group:
                section.problem(group, f"has '{member}', which is in '{owner[member]}' too. A label has one group.")
    return groups


def _labels(top: Section, grouping: Mapping[str, tuple[str, ...]]) -> list[Label]:
    """Read labels as a list of names, or as a mapping of name to description or to details."""
    group_of = {member: group for group, members in grouping.items() for member in members}
    node = top.take("labels")
    if node is None or not node.value:
        top.problem("labels", "must name at least one label. Add: labels: {name: description, …}.")
        return []
    if isinstance(node.value, list):
        return [Label(name, group=group_of.get(name)) for name in top.texts("labels") or ()]
    section = top.section("labels")
    if section is None:
        return []
    return [_label(name, each, section, group_of.get(name)) for name, each in node.value.items()]


def _label(name: str, node: Node, section: Section, group: str | None) -> Label:
    if not isinstance(node.value, dict):
        return Label(name, section.text(name) or "", group=group)
    details = section.section(name)
    if details is None:
        return Label(name, group=group)
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
    lines = {key: each.line for key, each in node.value.items()} if node and isinstance(node.value, dict) else {}
    spelling_of: dict[str, tuple[str, str]] = {}
    code_of: dict[str, str] = {}
    for label in labels:
        line = lines.get(label.name, node.line if node else top.line)
        for spelling in (label.name, *label.aliases):
            form = normalize(spelling)
            if not form or any(ord(character) < 32 for character in spelling):
                problems.add(f"label '{label.name}': a name must be visible text without line breaks.", line)
            elif form == NONE_WORD:
                problems.add(f"label '{label.name}': '{spelling}' is how the empty set is written. Rename it.", line)
            elif form in spelling_of:
                owner, other = spelling_of[form]
                problems.add(f"'{spelling}' of label '{label.name}' reads like '{other}' of label '{owner}'.", line)
            spelling_of.setdefault(form, (label.name, spelling))
        if label.code is not None and code_of.setdefault(label.code, label.name) != label.name:
            problems.add(f"code '{label.code}' of label '{label.name}' is that of '{code_of[label.code]}' too.", line)


def _fields(top: Section, label_names: set[str]) -> list[Field]:
    section = top.section("fields")
    if section is None:
        return []
    found = []
    for name in section.keys():  # noqa: SIM118 - a Section is no dict
        details = section.section(name)
        if details is None:
            continue
        if name in label_names or name in RESERVED:
            section.problem(name, "has a name that is taken. Rename the field.")
        field = Field(
            name,
            details.choice("type", get_args(FieldType)) or "text",  # type: ignore[arg-type]
            details.texts("values") or (),
            details.choice("match", get_args(TextMatch)) or "normalized",  # type: ignore[arg-type]
            details.text("description") or "",
        )
        if not details.has("type"):
            section.problem(name, f"needs a type: one of {listing(get_args(FieldType))}.")
        if field.type == "choice" and len({normalize(value) for value in field.values}) < max(2, len(field.values)):
            section.problem(name, "is a choice: its 'values' must be at least two different words.")
        if field.type != "choice" and field.values:
            section.problem(name, f"is of type {field.type}: 'values' belongs to type choice.")
        details.finish()
        found.append(field)
    return found


def _splits(top: Section, path: Path, project: Project) -> dict[str, Path]:
    section = top.section("splits")
    if section is None or not section.node.value:
        top.problem("splits", "must name at least one sample file. Add: splits: {dev: FILE.jsonl}.")
        return {}
    splits: dict[str, Path] = {}
    for name in section.keys():  # noqa: SIM118 - a Section is no dict
        text = section.text(name)
        if text is None:
            continue
        file = path.parent / text
        if not project.inside(file):
            section.problem(name, f"must lie in the project {project.root}, got '{text}'.")
        elif not file.is_file():
            near = did_you_mean(file.name, [each.name for each in file.parent.glob("*")])
            section.problem(name, f"names a file that is not there: {text}.{near}")
        splits[name] = file
    return splits
