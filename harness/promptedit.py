"""A prompt file's text with other thresholds or messages: comments, order and layout of all else stay as they are.

The text is edited where PyYAML says that a value stands. What cannot be edited so is refused; whether the new text says
what it should is for its reader to check.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import yaml

from harness.errors import DataError
from harness.yamltext import scalar

Value = str | Mapping[str, "Value"]
"""A scalar as it is to be written, or a mapping of such values."""


def with_thresholds(
    text: str,
    where: str,
    *,
    parent: str,
    notes: str,
    pass_number: int,
    threshold: float | None,
    thresholds: Mapping[str, float],
) -> str:
    """Return the text of a prompt file as that of a version whose thresholds differ.

    Args:
        text: A prompt file that has no problems.
        where: What it is called in a message.
        parent: The version that it is made from.
        notes: What was done, on one line.
        pass_number: Which of its passes has the thresholds, from 0.
        threshold: For every label without one of its own; None leaves it as it is.
        thresholds: By label. A label that has one in the text and none here gets ``threshold``.

    Raises:
        DataError: The text cannot be edited: it is written as one flow mapping, the output is an alias, or stands at the
            top for several passes.
    """
    return _Editor(text, where).edited(parent, notes, pass_number, threshold, thresholds)


def with_messages(
    text: str,
    where: str,
    *,
    parent: str,
    notes: str,
    pass_number: int,
    messages: Sequence[str],
    remarks: Sequence[str] = (),
) -> str:
    """Return the text of a prompt file as that of a version one of whose passes says other words.

    Args:
        text: A prompt file that has no problems.
        where: What it is called in a message.
        parent: The version that it is made from.
        notes: What was done, on one line.
        pass_number: Which of its passes is reworded, from 0.
        messages: The templates of that pass, in its order, as many as it has. One that is as it was stays as it is written.
        remarks: Lines of comment that go before the first key.

    Raises:
        DataError: The text cannot be edited: it is written as one flow mapping, or a message is an alias or has an anchor
            or a tag.
    """
    return _Editor(text, where).reworded(parent, notes, pass_number, messages, remarks)


class _Editor:
    """Collects the changes of one text."""

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.changes: list[tuple[int, int, str]] = []

    def edited(
        self, parent: str, notes: str, number: int, threshold: float | None, thresholds: Mapping[str, float]
    ) -> str:
        root = self._root()
        self._set_notes(root, parent, notes)
        holder = self._holder(root, number)
        new: dict[str, Value] = {} if threshold is None else {"threshold": _number(threshold)}
        output = _entry(holder, "output")
        if output is not None and isinstance(output[1], yaml.MappingNode) and output[1].value:
            self._not_an_alias("output", *output)
            for key, value in new.items():
                self._set(output[1], key, value)
            self._set_thresholds(output[1], threshold, thresholds)
        else:
            if thresholds:
                new["thresholds"] = {scalar(label): _number(value) for label, value in thresholds.items()}
            self._set_output(holder, output, new)
        return self._applied()

    def reworded(self, parent: str, notes: str, number: int, messages: Sequence[str], remarks: Sequence[str]) -> str:
        root = self._root()
        first = root.value[0][0].start_mark.index
        self.changes += [(first, first, f"# {remark}{self.newline}") for remark in remarks]
        self._set_notes(root, parent, notes)
        for (key, value, flow), new in zip(_messages(root, number), messages, strict=True):
            if value.value != new:
                self._reword(key, value, new, flow)
        return self._applied()

    def _root(self) -> yaml.MappingNode:
        root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode) or root.flow_style:
            raise self._cannot(0, "it is one mapping in braces. Write it as lines of 'key: value'.")
        return root

    def _reword(self, key: yaml.Node, value: yaml.Node, new: str, flow: bool) -> None:
        """Write a template in the place of another: as lines where it has several, else in quotes."""
        self._not_an_alias(key.value, key, value)
        start, end = value.start_mark.index, value.end_mark.index
        if self.text[start] in "&!":
            raise self._cannot(_line((key, value)), f"'{key.value}' has an anchor or a tag. Take it out.")
        column = key.start_mark.column + 2
        lines = None if flow else _literal(new, column, self.newline)
        if lines is None:
            self._replace(value, _quoted(new))
            return
        header, body = lines
        if getattr(value, "style", None) in ("|", ">"):
            head, _, _ = self.text[start:end].partition("\n")
            comment = head.rstrip("\r").lstrip("|>+-0123456789")
            self._replace(value, f"{header}{comment}{body}")
        else:  # what stands behind it on its line, a comment, stays there
            self.changes.append((start, end, header))
            after = self._line_end(end)
            self.changes.append((after, after, body))

    def _holder(self, root: yaml.MappingNode, number: int) -> yaml.MappingNode:
        """Return the mapping whose `output` is that of the pass: its own, or the top."""
        passes = _entry(root, "passes")
        if passes is None:
            return root
        listed = passes[1].value
        mine: yaml.MappingNode = listed[number]
        if _entry(mine, "output") is not None or _entry(root, "output") is None:
            return mine
        if sum(_entry(each, "output") is None for each in listed) > 1:
            line = _line(_entry(root, "output"))
            raise self._cannot(line, "'output' stands at the top for several passes. Give each an 'output' of its own.")
        return root

    def _set_notes(self, root: yaml.MappingNode, parent: str, notes: str) -> None:
        first = root.value[0][0].start_mark.index
        for key, value in (("parent", parent), ("notes", notes)):
            entry = _entry(root, key)
            if entry is None:
                self.changes.append((first, first, f"{key}: {scalar(value)}{self.newline}"))
            else:
                self._not_an_alias(key, *entry)
                self._replace(entry[1], scalar(value))

    def _set_output(
        self, holder: yaml.MappingNode, entry: tuple[yaml.Node, yaml.Node] | None, new: Mapping[str, Value]
    ) -> None:
        """Write an `output` that is a word, or nothing, as a mapping."""
        if entry is None:
            self._append(holder, "output", new)
            return
        key, value = entry
        self._not_an_alias("output", key, value)
        name = self.text[value.start_mark.index : value.end_mark.index]
        said: dict[str, Value] = {"format": name, **new} if value.value else dict(new)
        if holder.flow_style:
            self._replace(value, _flow(said))
            return
        start = value.start_mark.index
        while self.text[start - 1] == " ":
            start -= 1
        self.changes.append((start, value.end_mark.index, ""))
        end = self._line_end(value.end_mark.index)
        self.changes.append((end, end, self._block(said, key.start_mark.column + 2)))

    def _set_thresholds(
        self, output: yaml.MappingNode, threshold: float | None, thresholds: Mapping[str, float]
    ) -> None:
        entry = _entry(output, "thresholds")
        written: dict[str, Value] = {scalar(label): _number(value) for label, value in thresholds.items()}
        if entry is None:
            if thresholds:
                self._append(output, "thresholds", written)
            return
        self._not_an_alias("thresholds", *entry)
        if not isinstance(entry[1], yaml.MappingNode) or not entry[1].value:
            self._replace(entry[1], _flow(written))
            return
        for key, _ in entry[1].value:
            if key.value not in thresholds and threshold is not None:
                self._set(entry[1], key.value, _number(threshold))
        for label, value in thresholds.items():
            self._set(entry[1], label, _number(value))

    def _set(self, mapping: yaml.MappingNode, key: str, value: Value) -> None:
        """Write a scalar in the place of the one that a key has, or behind the mapping's last key."""
        entry = _entry(mapping, key)
        if entry is None:
            self._append(mapping, scalar(key), value)
        else:
            self._not_an_alias(key, *entry)
            self._replace(entry[1], _flow(value))

    def _append(self, mapping: yaml.MappingNode, key: str, value: Value) -> None:
        last_key, last = mapping.value[-1]
        column = mapping.value[0][0].start_mark.column
        if mapping.flow_style:
            at = max(last.end_mark.index, last_key.end_mark.index)
            self.changes.append((at, at, f", {key}: {_flow(value)}"))
            return
        written = f"{key}: {value}" if isinstance(value, str) else f"{key}:{self._block(value, column + 2)}"
        if _ends_in_block_scalar(last):  # its line breaks may be part of it: what is new goes before its key
            at = last_key.start_mark.index
            self.changes.append((at, at, f"{written}{self.newline}{' ' * column}"))
        else:
            at = self._line_end(max(_end(last), last_key.end_mark.index))
            self.changes.append((at, at, f"{self.newline}{' ' * column}{written}"))

    def _replace(self, node: yaml.Node, new: str) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        old = self.text[start:end]
        kept = old[len(old.rstrip("\r\n ")) :] if getattr(node, "style", None) in ("|", ">") else ""
        space = " " if start == end and self.text[start - 1] == ":" else ""
        self.changes.append((start, end, f"{space}{new}{kept}"))

    def _block(self, value: Mapping[str, Value], column: int) -> str:
        """Return a mapping as lines below its key."""
        lines = []
        for key, each in value.items():
            below = f" {each}" if isinstance(each, str) else self._block(each, column + 2)
            lines.append(f"{self.newline}{' ' * column}{key}:{below}")
        return "".join(lines)

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[end - 1] == "\r" else end

    def _not_an_alias(self, name: str, key: yaml.Node, value: yaml.Node) -> None:
        if value.start_mark.index < key.end_mark.index:
            raise self._cannot(_line((key, value)), f"'{name}' is an alias. Write it out.")

    def _cannot(self, line: int, why: str) -> DataError:
        return DataError(f"{self.where}:{line or 1}: cannot be edited, because {why}")

    def _applied(self) -> str:
        parts, at = [], 0
        for start, end, new in sorted(self.changes, key=lambda change: change[0]):
            parts += [self.text[at:start], new]
            at = end
        return "".join([*parts, self.text[at:]])


def _entry(mapping: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((each, value) for each, value in mapping.value if each.value == key), None)


def _messages(root: yaml.MappingNode, number: int) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
    """Yield the templates of a pass with their keys, and whether they stand in brackets or braces."""
    passes = _entry(root, "passes")
    above: list[yaml.Node] = []
    holder = root
    if passes is not None:
        holder = passes[1].value[number]
        above = [passes[1], holder]
    template, listed = _entry(holder, "template"), _entry(holder, "messages")
    if template is not None:
        yield (*template, _in_flow(*above))
    for item in () if listed is None else listed[1].value:
        for key, value in item.value:
            yield key, value, _in_flow(*above, *(() if listed is None else (listed[1],)), item)


def _in_flow(*nodes: yaml.Node) -> bool:
    return any(getattr(node, "flow_style", False) for node in nodes)


def _literal(text: str, column: int, newline: str) -> tuple[str, str] | None:
    """Return a text as a literal block, its header and its lines; None where it has one line, or would not read back."""
    body = text.removesuffix("\n")
    if text == body and "\n" not in body:
        return None
    header = f"|{'2' if body.startswith((' ', chr(10))) else ''}{'' if text.endswith(chr(10)) else '-'}"
    lines = "".join(f"{newline}{' ' * column}{line}" if line else newline for line in body.split("\n"))
    try:
        read = yaml.safe_load(f"{' ' * (column - 2)}k: {header}{lines}\n")
    except yaml.YAMLError:
        return None
    return (header, lines) if read == {"k": text} else None


def _quoted(text: str) -> str:
    """Return a text in double quotes on one line."""
    quoted: str = yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf)
    return quoted.rstrip("\n")


def _line(entry: tuple[yaml.Node, yaml.Node] | None) -> int:
    return 0 if entry is None else int(entry[0].start_mark.line) + 1


def _last(node: yaml.Node) -> yaml.Node:
    """Return the node that ends a node that is written as a block."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last if isinstance(node, yaml.SequenceNode) else last[1]
    return node


def _end(node: yaml.Node) -> int:
    return int(_last(node).end_mark.index)


def _ends_in_block_scalar(node: yaml.Node) -> bool:
    return getattr(_last(node), "style", None) in ("|", ">")


def _flow(value: Value) -> str:
    if isinstance(value, str):
        return value
    return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"


def _number(value: float) -> str:
    """Return a number without an exponent, which not every reader of YAML takes for a number."""
    return format(Decimal(repr(value)).normalize(), "f")
