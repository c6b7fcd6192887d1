"""YAML with line numbers: a file becomes sections that remember where they stand and collect what is wrong in them.

Booleans are `true` and `false` alone (YAML 1.2), so that a label called `no` or `on` stays a word, and dates stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import DataError, Problems, did_you_mean, listing

MAX_DEPTH = 40
MAX_NODES = 200_000
"""Far above any real file; an alias bomb ("billion laughs") meets it before it fills the memory."""


class _Loader(yaml.SafeLoader):
    """The safe loader with YAML 1.2's idea of booleans and numbers, and no dates."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own way to say it


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass(frozen=True, slots=True)
class Node:
    """A value in a YAML file: a scalar, a list of nodes, or a dict of nodes by key; and its line, counted from 1.

    Attributes:
        block: True for a block scalar (``|`` or ``>``), whose text begins on the next line.
    """

    value: Any
    line: int
    block: bool = False

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
        problems.add(f"must be YAML, but {error.problem or error.context}.", mark.line + 1 if mark else None)
        problems.raise_if_any()
    except (yaml.YAMLError, RecursionError) as error:
        problems.add(f"must be YAML, but {str(error).splitlines()[0] if str(error) else 'it nests too deep'}.")
        problems.raise_if_any()
    if not isinstance(node.value, dict):
        problems.add(f"must be a mapping (key: value), got {node.kind}.", node.line)
    problems.raise_if_any()
    return Section(node, problems)


def read_text(path: Path) -> str:
    """Return the text of a file of the user's.

    Raises:
        DataError: It is not there, is a folder, or is not UTF-8; the message names near file names.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file.{did_you_mean(path.name, near)}") from None
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
        return Node(self.loader.construct_object(node), line, getattr(node, "style", None) in ("|", ">"))

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Node]:
        self.loader.flatten_mapping(node)
        result: dict[str, Node] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.add("a key must be a word.", key_node.start_mark.line + 1)
                continue
            key = str(key_node.value)
            if key in result:
                self.problems.add(f"'{key}' stands here twice. Remove one.", key_node.start_mark.line + 1)
            result[key] = self.convert(value_node, depth + 1)
        return result


class Section:
    """A mapping of a YAML file. Take what it may hold, key by key, then `finish`: what nobody took is unknown."""

    def __init__(self, node: Node, problems: Problems, name: str = "") -> None:
        self.node = node
        self.problems = problems
        self.name = name
        self._taken: set[str] = set()

    @property
    def line(self) -> int:
        """The line on which the mapping begins."""
        return self.node.line

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
        self.problems.add(f"'{self._at(key)}' {message}", node.line if node else self.line)

    def _typed(self, key: str, types: tuple[type, ...], wanted: str) -> Any:
        node = self.take(key)
        if node is None:
            return None
        if not isinstance(node.value, types) or (bool not in types and isinstance(node.value, bool)):
            self.problem(key, f"must be {wanted}, got {node.kind}.")
            return None
        return node.value

    def text(self, key: str, *, required: bool = False) -> str | None:
        """Return a text; a number counts as its text. None when absent or wrong."""
        value = self._typed(key, (str, int, float), "a text")
        if value is None and required and not self.has(key):
            self.problems.add(f"'{self._at(key)}' is missing.", self.line)
        return None if value is None else str(value)

    def integer(self, key: str, *, least: int = 0) -> int | None:
        """Return a whole number of at least ``least``. None when absent or wrong."""
        value = self._typed(key, (int,), "a whole number")
        if value is not None and value < least:
            self.problem(key, f"must be at least {least}, got {value}.")
            return None
        return value if value is None else int(value)

    def boolean(self, key: str) -> bool | None:
        """Return true or false. None when absent or wrong."""
        value = self._typed(key, (bool,), "true or false")
        return None if value is None else bool(value)

    def choice(self, key: str, choices: Iterable[str]) -> str | None:
        """Return one of the choices. None when absent or wrong."""
        value, known = self.text(key), list(choices)
        if value is not None and value not in known:
            self.problem(key, f"must be one of {listing(known)}, got '{value}'.{did_you_mean(value, known)}")
            return None
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of texts; a single text counts as a list of one. None when absent or wrong."""
        node = self.take(key)
        if node is None:
            return None
        items = node.value if isinstance(node.value, list) else [node]
        wrong = next((item for item in items if not isinstance(item.value, str | int | float)), None)
        if wrong is not None:
            self.problems.add(f"'{self._at(key)}' must be a list of texts, got {wrong.kind} in it.", wrong.line)
            return None
        return tuple(str(item.value) for item in items)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a mapping of plain values, empty when absent or wrong."""
        section = self.section(key)
        return {} if section is None else section.node.plain()

    def section(self, key: str) -> Section | None:
        """Return a mapping to be taken apart further. None when absent or wrong."""
        node = self.take(key)
        if node is None:
            return None
        if not isinstance(node.value, dict):
            self.problem(key, f"must be a mapping, got {node.kind}.")
            return None
        return Section(node, self.problems, self._at(key))

    def finish(self) -> None:
        """Note every key that nobody took."""
        for key, node in self.node.value.items():
            if key not in self._taken:
                known = sorted(self._taken)
                near = did_you_mean(key, known) or f" Known here: {listing(known, 20)}."
                self.problems.add(f"unknown key '{self._at(key)}'.{near}", node.line)
