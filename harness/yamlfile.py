"""YAML with line numbers: a file becomes sections that remember where they stand and collect what is wrong in them.

Booleans are `true` and `false` alone (YAML 1.2), so that a label called `no` or `on` stays a word, and dates stay text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from harness.errors import DataError, Problems, did_you_mean, did_you_mean_file, listing, shortened

Choice = TypeVar("Choice", bound=str)
"""A text, or one of the words of a Literal."""

_TAG = "tag:yaml.org,2002:"
MAX_DEPTH = 40
MAX_NODES = 100_000
"""Far above any real file; an alias bomb ("billion laughs") meets it before it fills the memory."""


class _Loader(yaml.SafeLoader):
    """The safe loader with YAML 1.2's idea of booleans and numbers, no dates, and an end to nesting."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way to say it
    depth = 0

    def _mark(self) -> yaml.Mark:
        mark: yaml.Mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return mark

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, unless it stands too deep: PyYAML alone would use up the stack."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="it nests too deep", problem_mark=self._mark())
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))

_CONSTRUCTORS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda word: {"true": True, "false": False}[word.lower()],
    "null": lambda _: None,
    "merge": str,
}


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a YAML file: a scalar, a list of nodes, or a dict of nodes by key; and its line, counted from 1.

    Attributes:
        block: True for a block scalar (``|`` or ``>``), whose text begins on the next line.
        key_line: The line of the key that it is the value of; 0 where it has none.
        source: A scalar as it was written (``007`` is the number 7); empty for the others.
    """

    value: Any
    line: int
    block: bool = False
    key_line: int = 0
    source: str = ""

    @property
    def told_line(self) -> int:
        """The line to name in a message about this value: its key's, where it has one."""
        return self.key_line or self.line

    @property
    def text_line(self) -> int:
        """The line on which the first character of a text stands."""
        return self.line + 1 if self.block else self.line

    def plain(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    @property
    def kind(self) -> str:
        """What a person calls this kind of value."""
        names = {
            dict: "a mapping",
            list: "a list",
            str: "a text",
            bool: "true/false",
            int: "a number",
            float: "a number",
        }
        return names.get(type(self.value), "nothing")


def read_yaml(path: Path, problems: Problems) -> Section:
    """Return the file's top mapping.

    Raises:
        DataError: The file cannot be read, is not YAML, or its top is not a mapping.
    """
    text = read_text(path)
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            node = _Converter(loader, problems).convert(root, 0) if root is not None else Node({}, 1)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = str(error.problem or error.context).removeprefix("but ")
        problems.add(f"must be YAML, but {why}.", mark.line + 1 if mark else None)
        problems.raise_if_any()
    except yaml.reader.ReaderError as error:
        line = text[: int(error.position)].count("\n") + 1
        problems.add(f"must be YAML, but the character {chr(int(error.character))!a} is not allowed in it.", line)
        problems.raise_if_any()
    if not isinstance(node.value, dict):
        problems.add(f"must be a mapping (key: value), got {node.kind}.", node.line)
    problems.raise_if_any()
    return Section(node, problems)


def plain_yaml(text: str, where: str) -> Any:
    """Return a YAML value given on one line, as plain values; ``where`` names it in a message.

    Raises:
        DataError: It is not YAML.
    """
    problems = Problems(Path(where))
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            value = None if root is None else _Converter(loader, problems).convert(root, 0).plain()
        finally:
            loader.dispose()
    except yaml.YAMLError:
        raise DataError(f"{where}: must be a YAML value, got '{shortened(text)}'. Put a text in quotes.") from None
    problems.raise_if_any()
    return value


def read_text(path: Path) -> str:
    """Return the text of a file of the user's.

    Raises:
        DataError: It is not there, is a folder, or is not UTF-8; the message names near file names.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")  # not read_text: a line break inside a CSV cell stays what it is
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.{did_you_mean_file(path.name, names_beside(path))}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: must be a file, got a folder. Name a file in it.") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}:{line}: must be UTF-8 text, got the byte 0x{error.object[error.start]:02x}. "
            "Save the file as UTF-8."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None


def names_beside(path: Path) -> list[str]:
    """Return the names in the folder in which a path lies; nothing when there is no such folder."""
    return sorted(each.name for each in path.parent.glob("*"))


class _Converter:
    """Turns PyYAML's nodes into ours, telling doubled keys and stopping at the size limits."""

    def __init__(self, loader: _Loader, problems: Problems) -> None:
        self.loader = loader
        self.problems = problems
        self.nodes = 0

    def convert(self, node: yaml.Node, depth: int) -> Node:
        line = node.start_mark.line + 1
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            self.problems.add("must nest less deeply and repeat fewer aliases than this.", line)
            self.problems.raise_if_any()
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, depth), line)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.convert(each, depth + 1) for each in node.value], line)
        return self._scalar(node, line)

    def _scalar(self, node: yaml.Node, line: int) -> Node:
        kind = node.tag.removeprefix(_TAG)
        value = None
        try:
            value = _CONSTRUCTORS[kind](node.value)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError
        except (KeyError, ValueError):
            self.problems.add(
                f"must be readable as {kind}, got '{shortened(node.value)}'. Quote it without a tag.", line
            )
        return Node(value, line, getattr(node, "style", None) in ("|", ">"), source=node.value)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        result: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.add("a key must be a word.", line)
                continue
            value = self.convert(value_node, depth + 1)
            if key_node.tag == f"{_TAG}merge":
                merged = {**self._merged(value, line), **merged}
                continue
            key = str(key_node.value)
            if key in result:
                self.problems.add(f"'{key}' stands here twice. Remove one.", line)
            result[key] = replace(value, key_line=line)
        return {**merged, **result}

    def _merged(self, value: Node, line: int) -> dict[str, Node]:
        """Return what ``<<`` brings in: of several mappings the first goes before the others."""
        parts = value.value if isinstance(value.value, list) else [value]
        if not all(isinstance(part.value, dict) for part in parts):
            self.problems.add("'<<' must bring in a mapping or a list of mappings.", line)
            return {}
        return {key: node for part in reversed(parts) for key, node in part.value.items()}


class Section:
    """A mapping of a YAML file. Take what it may hold, key by key, then `finish`: what nobody took is unknown."""

    def __init__(self, node: Node, problems: Problems, name: str = "") -> None:
        self.node = node
        self.problems = problems
        self.name = name
        self._taken: set[str] = set()

    @property
    def line(self) -> int:
        """The line of the mapping's key, or where it begins when it has none."""
        return self.node.told_line

    def _at(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def keys(self) -> Iterable[str]:
        """Return the keys of the mapping, in the order of the file."""
        return list(self.node.value)

    def has(self, key: str) -> bool:
        """Return whether the key is there with a value."""
        node = self.node.value.get(key)
        return node is not None and node.value is not None

    def take(self, key: str) -> Node | None:
        """Return the node of a key, None when it is absent or null."""
        self._taken.add(key)
        return self.node.value[key] if self.has(key) else None

    def problem(self, key: str, message: str) -> None:
        """Note a problem with a key, at its line."""
        node = self.node.value.get(key)
        self.problems.add(f"'{self._at(key)}' {message}", node.told_line if node else self.line)

    def _typed(self, key: str, types: tuple[type, ...], wanted: str) -> Any:
        node = self.take(key)
        if node is None:
            return None
        if not isinstance(node.value, types) or (bool not in types and isinstance(node.value, bool)):
            self.problem(key, f"must be {wanted}, got {node.kind}.")
            return None
        return node.value

    def text(self, key: str) -> str | None:
        """Return a text; a number counts as it was written. None when absent or wrong."""
        value = self._typed(key, (str, int, float), "a text")
        return None if value is None else str(self.node.value[key].source)

    def integer(self, key: str, *, least: int = 0) -> int | None:
        """Return a whole number of at least ``least``. None when absent or wrong."""
        value = self._typed(key, (int,), "a whole number")
        if value is not None and value < least:
            self.problem(key, f"must be at least {least}, got {value}.")
            return None
        return value if value is None else int(value)

    def number(self, key: str, *, least: float, most: float) -> float | None:
        """Return a number between ``least`` and ``most``. None when absent or wrong."""
        value = self._typed(key, (int, float), "a number")
        if value is not None and not least <= value <= most:
            self.problem(key, f"must be between {least:g} and {most:g}, got {value:g}.")
            return None
        return value if value is None else float(value)

    def boolean(self, key: str) -> bool | None:
        """Return true or false. None when absent or wrong."""
        value = self._typed(key, (bool,), "true or false")
        return None if value is None else bool(value)

    def choice(self, key: str, choices: Iterable[Choice]) -> Choice | None:
        """Return one of the choices. None when absent or wrong."""
        value, known = self.text(key), list(choices)
        if value is not None and value not in known:
            self.problem(key, f"must be one of {listing(known)}, got '{value}'.{did_you_mean(value, known)}")
        return next((each for each in known if each == value), None)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts; a single text counts as a list of one. None when absent or wrong."""
        node = self.take(key)
        if node is None:
            return None
        items = node.value if isinstance(node.value, list) else [node]
        wrong = next((item for item in items if not _is_text(item)), None)
        if wrong is not None:
            self.problems.add(f"'{self._at(key)}' must be a list of texts, got {wrong.kind} in it.", wrong.line)
            return None
        return tuple(item.source for item in items)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a mapping of plain values, empty when absent or wrong."""
        section = self.section(key)
        return {} if section is None else section.node.plain()

    def section(self, key: str, example: str = "") -> Section | None:
        """Return a mapping to be taken apart further. None when absent or wrong.

        Args:
            key: Its name.
            example: What to write where something else stands there.
        """
        node = self.take(key)
        if node is None:
            return None
        if not isinstance(node.value, dict):
            step = f" Write {example}." if example else ""
            self.problem(key, f"must be a mapping, got {node.kind}.{step}")
            return None
        return Section(node, self.problems, self._at(key))

    def finish(self) -> None:
        """Note every key that nobody took."""
        for key, node in self.node.value.items():
            if key not in self._taken:
                known = sorted(self._taken)
                near = did_you_mean(key, known) or f" Known here: {listing(known, 20)}."
                self.problems.add(f"unknown key '{self._at(key)}'.{near}", node.told_line)


def _is_text(node: Node) -> bool:
    """Return whether a value is a text, or a number that counts as one."""
    return isinstance(node.value, str | int | float) and not isinstance(node.value, bool)
