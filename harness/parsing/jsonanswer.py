"""What a JSON value answers: labels, fields, or nothing at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import listing
from harness.labelspace import LabelSpace, normalize
from harness.parsing.cleaning import bare, clip
from harness.parsing.fieldvalues import MISSING, Missing, read_value
from harness.parsing.jsonscan import DOUBLED, Value, find_brackets, values_of
from harness.parsing.names import Kind, names_of
from harness.records import Answer, FailureKind, FieldValue, ParseFailure

_EMPTY_ARRAY = re.compile(r"\[\s*\]")
_QUOTED_ITEM = re.compile(r"(?=[\[{,:(\"']\s*[\"']([^\"']{1,200})[\"'](?!\s*:))")
_NAME_KEYS = ("label", "name")
_DEEPEST = 3
_WRAPPERS = (
    *("arguments", "parameters", "input", "args", "function", "answer", "final_answer", "result", "response", "output"),
    *("data", "classification", "prediction", "json"),
)
_TRUTH: Mapping[str, bool] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(slots=True)
class _Said:
    """What a value says about labels.

    Attributes:
        unclear: Labels whose value is neither true nor false.
        none: The none word stands there, or an empty array.
    """

    labels: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    off_list: list[str] = field(default_factory=list)
    none: bool = False


class JsonReader:
    """Reads JSON values as answers, for one label space and key.

    Attributes:
        off_list: What the last value that was no answer names as if it were labels.
    """

    def __init__(self, space: LabelSpace, labels_key: str, none: str, fields: Iterable[str]) -> None:
        self._space = space
        self._names = names_of(space, none)
        self._key = labels_key
        self._fields = [each for each in space.fields if each.name in set(fields)]
        self.off_list: list[str] = []

    def read(self, value: Value) -> Answer | None:
        """Return what a value answers, or None when it is nothing that looks like an answer.

        Raises:
            ParseFailure: It has the form of an answer but says nothing that can be used.
        """
        content = value.value
        if isinstance(content, Mapping):
            return self._read_object(content, value)
        if not isinstance(content, list) or not _names_something(content):
            return None
        wrapped = _wrapped(content[0]) if len(content) == 1 and isinstance(content[0], Mapping) else None
        if wrapped is not None:
            return self._read_object(wrapped, value)
        said = self._said_by(content, value)
        if value.repaired and not (said.labels or said.none):
            return None  # Prose in square brackets is mended to an array too.
        return self._answer(said, value)

    def read_string(self, text: str, repaired: bool) -> Answer | None:
        """Return what a bare string answers: labels or the none word; None for any other text."""
        said = _Said()
        self._name(said, text)
        return None if said.off_list else self._answer(said, Value(text, text, repaired))

    def _read_object(self, content: Mapping[str, Any], value: Value, depth: int = 0) -> Answer | None:
        listed = _get(content, self._key)
        if listed is DOUBLED:
            raise ParseFailure(FailureKind.UNPARSEABLE, f"it gives '{self._key}' twice, differently")
        said = self._flags(content) if listed is MISSING else self._said_by(listed, value)
        if listed is MISSING and not (said.labels or said.denied or said.unclear or said.none):
            wrapped = _wrapped(content) if depth < _DEEPEST else None
            if wrapped is not None:
                return self._read_object(wrapped, value, depth + 1)
            self.off_list = self.off_list or said.off_list
            return None
        return self._answer(said, value, self._read_fields(content))

    def _said_by(self, listed: Any, value: Value) -> _Said:
        """Return what an array, a string or an object of flags says."""
        if isinstance(listed, Mapping):
            return self._flags(listed)
        said = _Said()
        if isinstance(listed, list):
            for item in listed:
                self._name(said, item)
            # Mending makes an empty array of what is no list of labels, such as "[...]".
            said.none |= not listed and not (value.repaired and not _EMPTY_ARRAY.search(value.source))
        else:
            self._name(said, listed)
        return said

    def _name(self, said: _Said, item: Any) -> None:
        """Add what one item of an array, or a string in its place, names."""
        if isinstance(item, Mapping):
            item = next((item[key] for key in _NAME_KEYS if isinstance(item.get(key), str)), item)
        found = self._names.joined(item) if isinstance(item, str) else []
        said.labels |= {each.name for each in found if each.kind is Kind.LABEL}
        said.none |= any(each.kind is Kind.NONE for each in found)
        written = _as_written(item)
        if not found and written:
            said.off_list.append(written)

    def _flags(self, content: Mapping[str, Any]) -> _Said:
        """Return what an object says that has labels as keys."""
        said = _Said()
        for key, flag in content.items():
            if flag is None or key == "fields" or any(normalize(key) == normalize(each.name) for each in self._fields):
                continue
            item = self._names.exact(key)
            truth = _truth(flag)
            if item is None:
                # A number beside the labels is a confidence or a count, not a label that is on.
                said.off_list += [clip(key)] if truth and isinstance(flag, bool | str) else []
            elif item.kind is Kind.NONE:
                said.none |= bool(truth)
            else:
                {True: said.labels, False: said.denied, None: said.unclear}[truth].add(item.name)
        return said

    def _answer(self, said: _Said, value: Value, fields: Mapping[str, FieldValue] | None = None) -> Answer:
        off_list = tuple(dict.fromkeys(said.off_list))
        why = self._trouble(said, value)
        if why is None and not said.labels and not said.none and not said.denied:
            why = f"only off-list labels: {listing(off_list)}" if off_list else "its labels are neither named nor none"
        if why is None and not said.labels and not said.none and len(said.denied) < len(self._space):
            rest = [name for name in self._space.names if name not in said.denied]
            why = f"no label is true, and nothing is said of {listing(rest)}"
        if why:
            raise ParseFailure(FailureKind.UNPARSEABLE, why, off_list)
        return Answer(frozenset(said.labels), off_list, fields or {}, value.repaired)

    def _trouble(self, said: _Said, value: Value) -> str | None:
        """Return why what was said cannot be believed, or None."""
        if said.unclear:
            return f"neither true nor false: {listing(self._space.ordered(said.unclear))}"
        if said.labels & said.denied:
            return f"both true and false: {listing(self._space.ordered(said.labels & said.denied))}"
        if said.labels and said.none:
            return f"it says none, and {listing(self._space.ordered(said.labels))}"
        lost = self._lost(said, value) if value.repaired else []
        return f"too broken to be mended without losing {listing(lost)}" if lost else None

    def _lost(self, said: _Said, value: Value) -> list[str]:
        """Return the labels in quotes that mending left out."""
        quoted = {self._space.find(word) for word in _QUOTED_ITEM.findall(value.source)} - {None}
        return [name for name in self._space.names if name in quoted - said.labels]

    def _read_fields(self, content: Mapping[str, Any]) -> dict[str, FieldValue]:
        """Return the fields that stand beside the labels or under "fields"; one that cannot be read is left out."""
        under = content.get("fields")
        found: dict[str, FieldValue] = {}
        for each in self._fields:
            given = _get(content, each.name)
            if given is MISSING and isinstance(under, Mapping):
                given = _get(under, each.name)
            value = read_value(each, given)
            if not isinstance(value, Missing):
                found[each.name] = value
        return found


def _names_something(items: list[Any]) -> bool:
    """Return whether an array is empty or holds a string or an object with a name: numbers are no labels."""
    return not items or any(isinstance(item, str | Mapping) for item in items)


def _wrapped(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the one object that an object only wraps: the arguments of a tool call, {"answer": {…}}."""
    found = [value for key in _WRAPPERS if isinstance(value := _loaded(content.get(key)), Mapping)]
    return found[0] if len(found) == 1 else None


def _loaded(value: Any) -> Any:
    """Return a value, or what it is when it is an object written as a string, as the arguments of a tool call are."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    return next((each.value for each in values_of(value, find_brackets(value), cut=False) if not each.repaired), None)


def _get(content: Mapping[str, Any], name: str) -> Any:
    """Return the value at a key however it is spelled, or `MISSING`."""
    if name in content:
        return content[name]
    form = normalize(name)
    return next((value for key, value in content.items() if normalize(key) == form), MISSING)


def _truth(flag: Any) -> bool | None:
    if isinstance(flag, str):
        return _TRUTH.get(flag.strip().casefold())
    return bool(flag) if isinstance(flag, bool | int | float) and flag in (0, 1) else None


def _as_written(item: Any) -> str:
    """Return an item of an array as it may be reported; deep values only by their kind."""
    if isinstance(item, str):
        return clip(bare(item))
    if isinstance(item, list | Mapping):
        return "[…]" if isinstance(item, list) else "{…}"
    return "" if item is None else str(item)
