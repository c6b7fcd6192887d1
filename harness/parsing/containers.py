"""The format `containers`: labels, or each group of them, and every field in a container of its own.

``LABELS: <<shipping; price>>`` and ``<item>lamp</item>`` are containers: a prefix, a content, a suffix. How they are read:

- What stands in a container of labels is read as the format `list` reads it. A container that is there and empty says
  that there is nothing: no label, or None for a field. One that is not there says nothing at all: without its labels an
  answer is unparseable, a field stays unanswered.
- A suffix that is missing is mended where the content can be told without it: up to the next container, the next blank
  line or the end of the text stand labels and nothing else, or one line of text. In a cut text it is truncated.
- A container that stands twice with the same content counts once. With different contents its labels are unparseable and
  its field is unanswered, for nobody can say which is meant. But what quotes the form before the answer is no content: one
  that is empty, is a mere "…", or names no label (no value of the field); and behind a heading that announces an answer
  ("Answer:") the reading starts again. A heading of a new input ("Text:") behind the labels ends it.
- Escapes (``&lt;``, ``&#60;``) stand for their signs: a content may hold a suffix so, and is rendered so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.errors import did_you_mean, listing
from harness.kept import Kept
from harness.labelspace import NONE_WORD, LabelSpace
from harness.parsing.containermarks import Container, layout
from harness.parsing.containerreader import ContainerReader
from harness.parsing.formats import Format, Output, none_problems, setting
from harness.parsing.grammars import containers_grammar
from harness.parsing.list import LIST
from harness.records import Answer, FieldValue, ParseFailure
from harness.regexes import regex

OPTIONS: Mapping[str, Any] = {"containers": {}, "none": NONE_WORD}

LABELS = "labels"
"""Name of the container of all labels."""

_KEYS = ("prefix", "suffix", "delimiter")
_NO_DELIMITER = regex(r"[\w\"'`\[\](){}\\]")


_READERS = Kept[ContainerReader]()


def _reader(space: LabelSpace, output: Output) -> ContainerReader:
    """Return the reader of containers for a label space and an output, made once."""
    return _READERS.of((), (space, output), lambda: _new_reader(space, output))


def _new_reader(space: LabelSpace, output: Output) -> ContainerReader:
    containers = layout(space, setting(output, OPTIONS, "containers"), output.fields)
    return ContainerReader(containers, setting(output, OPTIONS, "none"))


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels and fields that the containers of a text hold.

    Raises:
        ParseFailure: A container of labels is missing, never closed, names no label, or stands there with different
            contents; or the text was cut within a container.
    """
    return _reader(space, output).read(text, cut)


def render(labels: Collection[str], fields: Mapping[str, FieldValue], space: LabelSpace, output: Output) -> str:
    """Return the containers, one a line: labels in label-space order, then the fields that are asked for and given.

    No labels are the none word, a field without a value is an empty container.

    Raises:
        ValueError: A value cannot be told from the suffix of its container, not even escaped.
    """
    reader = _reader(space, output)
    written = []
    for each in reader.containers:
        if each.labels is not None:
            inside = [name for name in labels if name in each.labels.index]
            content = LIST.render(inside, {}, each.labels, reader.list_output(each))
        elif each.name in fields:
            content = _written(fields[each.name])
        else:
            continue
        written.append(reader.marks.enclosed(each, content))
    return "".join(each if each.endswith("\n") else f"{each}\n" for each in written).removesuffix("\n")


def _written(value: FieldValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or ""


# --- check ------------------------------------------------------------------------------------------------------------


def _problems(space: LabelSpace, output: Output) -> list[str]:
    said: Mapping[str, Any] = setting(output, OPTIONS, "containers")
    none = setting(output, OPTIONS, "none")
    found = [*none_problems(none, space), *_bad_names(said, space, output.fields), *_bad_entries(said, space)]
    if found:
        return found
    containers = layout(space, said, output.fields)
    found = [*_bad_marks(containers), *_confused(containers)]
    found = found or [*_inside_labels(containers, none), *_unreadable(space, output)]
    return found or list(_disordered(space, output))


def _bad_names(said: Mapping[str, Any], space: LabelSpace, fields: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the names of containers: each is "labels", a group, or a field that is asked for."""
    known = [LABELS, *space.groups, *fields]
    for name in said:
        if name not in known:
            asked = " Add it to 'fields'." if space.field(name) else did_you_mean(name, known)
            yield f"containers names '{name}', but there can be {listing(known)}.{asked}"
        elif name in fields and name in space.groups:
            yield f"containers names '{name}', which is both a group and a field. Rename one of them."
    groups = [name for name in said if name in space.groups and name != LABELS]
    if groups and LABELS in said:
        yield f"containers must have either '{LABELS}' or groups, got '{LABELS}' and {listing(groups)}."
    covered = {label for name in groups for label in space.groups[name]}
    if groups and (left := [name for name in space.names if name not in covered]):
        yield f"containers has groups, but none for {listing(left)}. Add theirs, or use '{LABELS}' alone."


def _bad_entries(said: Mapping[str, Any], space: LabelSpace) -> Iterator[str]:
    for name, entry in said.items():
        if entry is None:
            continue
        if not isinstance(entry, Mapping):
            yield f"containers.{name} must be a mapping with {listing(_KEYS)}, got {entry!r}."
            continue
        for key, value in entry.items():
            if key not in _KEYS:
                yield f"containers.{name} has no key '{key}'. It has {listing(_KEYS)}.{did_you_mean(key, _KEYS)}"
            elif not isinstance(value, str):
                yield f"containers.{name}.{key} must be a text, got {value!r}. Put it in quotes."
            elif key == "delimiter" and name != LABELS and name not in space.groups:
                yield f"containers.{name}.delimiter belongs to labels: a field has one value. Take it out."


def _bad_marks(containers: Sequence[Container]) -> Iterator[str]:
    for each in containers:
        where = f"containers.{each.name}"
        if not each.prefix.strip():
            yield f"{where}.prefix must be visible text, got {each.prefix!r}."
        if not each.suffix.strip() and "\n" not in each.suffix:
            yield f"{where}.suffix must be visible text or a line break, got {each.suffix!r}."
        if not each.delimiter.strip(" ") or _NO_DELIMITER.search(each.delimiter):
            wanted = "a punctuation mark or a line break"
            yield f"{where}.delimiter must be {wanted}, got {each.delimiter!r}: names are made of the rest."


def _confused(containers: Sequence[Container]) -> Iterator[str]:
    """Yield where the mark of one container would be taken for that of another."""
    for at, each in enumerate(containers):
        if each.labels is not None and each.closing.search(each.delimiter):
            yield f"containers.{each.name}.suffix must not be its delimiter, got {each.suffix!r}."
        for other in containers:
            if each.mark.search(other.suffix):
                yield f"prefix {each.prefix!r} of container {each.name} stands in suffix {other.suffix!r} of {other.name}."
        for other in containers[at + 1 :]:
            if each.mark.search(other.prefix) or other.mark.search(each.prefix):
                marks = f"{each.prefix!r} of {each.name} and {other.prefix!r} of {other.name}"
                yield f"prefixes of containers must differ, and none may stand in another: {marks}."


def _inside_labels(containers: Sequence[Container], none: str) -> Iterator[str]:
    """Yield where a label would open or close a container."""
    for each in containers:
        names = (*each.labels.names, none) if each.labels is not None else each.field.values if each.field else ()
        for name in names:
            if each.closing.search(name):
                yield f"suffix {each.suffix!r} of container {each.name} stands in '{name}', where it would end it."
            for other in containers:
                if other.mark.search(name):
                    yield f"prefix {other.prefix!r} of container {other.name} stands in '{name}' of {each.name}."


def _unreadable(space: LabelSpace, output: Output) -> Iterator[str]:
    """Yield what would not be read back: labels alone and together, the choices of fields, texts that hold every mark."""
    reader = _reader(space, output)
    held = "&lt; " + " ".join(f"{each.prefix} {each.suffix}" for each in reader.containers)
    for each in reader.containers:
        if each.labels is not None:
            yield from (f"containers.{each.name}: {told}" for told in LIST.check(reader.list_output(each), each.labels))
            contents = [*each.labels.names, reader.none]
        else:
            contents = ["", "true", held] if each.field is None or not each.field.values else ["", *each.field.values]
        for content in contents:
            try:
                reader.marks.enclosed(each, content)
            except ValueError:
                yield f"containers.{each.name}: {content!r} could not be told from its suffix {each.suffix!r}. Change that."


def _disordered(space: LabelSpace, output: Output) -> Iterator[str]:
    """Yield that whole answers would not be read back, though each of their containers would."""
    fields = [each.field for each in _reader(space, output).containers if each.field]
    values = {field.name: field.values[0] if field.values else None for field in fields}
    if not all(_reads_back(frozenset(names), values, space, output) for names in ((), space.names)):
        yield "containers could not be read back one after the other. Choose other prefixes and suffixes."


def _reads_back(names: frozenset[str], fields: Mapping[str, FieldValue], space: LabelSpace, output: Output) -> bool:
    try:
        return parse(render(names, fields, space, output), space, output, False) == Answer(names, (), fields)
    except (ParseFailure, ValueError):
        return False


CONTAINERS = Format("containers", OPTIONS, parse, render, _problems, carries_fields=True, grammar=containers_grammar)
