"""What a JSON value answers: labels, fields, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import listing
from harness.labelspace import LabelSpace, normalize
from harness.parsing.cleaning import bare, clip
from harness.parsing.fieldvalues import MISSING, Missing, read_value
from harness.parsing.jsonkeys import Asks, announces_labels, asks, denies, hedges, negates, sets_aside, words_of
from harness.parsing.jsonscan import DOUBLED, Value, find_brackets, values_of
from harness.parsing.names import Kind, names_of
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.regexes import regex

_EMPTY_ARRAY = regex(r"\[\s*\]")
_QUOTED_ITEM = regex(r"(?=[\[{,:(\"']\s*[\"']([^\"']{1,200})[\"'](?!\s*:))")
_NAME_KEYS = ("label", "name", "category", "topic", "tag", "class")
_DEGREE = regex(r"\d{1,3}(?:[.,]\d{1,9})?(?: ?%|/\d{1,3})?|[.]\d{1,9}")
_DEEPEST = 3
_MOST_WORDS = 3
_WRAPPERS = (
    *("arguments", "parameters", "input", "args", "function", "answer", "final_answer", "final", "result", "response"),
    *("output", "data", "classification", "prediction", "json"),
)
_TRUTH: Mapping[str, bool] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(slots=True)
class _Said:
    """What a value says about labels.

    Attributes:
        unclear: Labels whose value is neither true nor false.
        aside: Labels under a key that sets them aside.
        none: The none word stands there, or an empty array.
    """

    labels: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    off_list: list[str] = field(default_factory=list)
    none: bool = False

    @property
    def is_nothing(self) -> bool:
        """True when it says nothing of any label."""
        return not (self.labels or self.denied or self.unclear or self.none)

    def judge(self, name: str, truth: bool | None) -> None:
        """Add what is said of a label; None is unclear."""
        {True: self.labels, False: self.denied, None: self.unclear}[truth].add(name)


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
        only = content[0] if len(content) == 1 else None
        if isinstance(only, Mapping) and (self._holds(only) or _wrapped(only) is not None):
            return self._read_object(only, value)
        said = self._said_by(content, value)
        if value.repaired and not (said.labels or said.none):
            return None  # Prose in square brackets is mended to an array too.
        return self._answer(said, value)

    def read_string(self, text: str, repaired: bool) -> Answer | None:
        """Return what a bare string answers: labels or the none word; None for any other text."""
        said = _Said()
        self._name(said, text)
        return None if said.off_list else self._answer(said, Value(text, text, repaired))

    def holds_key(self, value: Value) -> bool:
        """Return whether the key of the labels is in a value: it is meant as an answer, whatever stands there."""
        content = value.value
        if isinstance(content, list) and len(content) == 1:
            content = content[0]
        return isinstance(content, Mapping) and self._holds(content)

    def _holds(self, content: Mapping[str, Any], depth: int = 0) -> bool:
        if _get(content, self._key) is not MISSING:
            return True
        wrapped = _wrapped(content) if depth < _DEEPEST else None
        return wrapped is not None and self._holds(wrapped, depth + 1)

    def _read_object(self, content: Mapping[str, Any], value: Value, depth: int = 0) -> Answer | None:
        listed = _get(content, self._key)
        if listed is DOUBLED:
            raise ParseFailure(FailureKind.UNPARSEABLE, f"it gives '{self._key}' twice, differently")
        said = self._flags(content) if listed is MISSING else self._said_by(listed, value)
        if listed is MISSING and said.is_nothing:
            wrapped = _wrapped(content) if depth < _DEEPEST else None
            if wrapped is not None:
                return self._read_object(wrapped, value, depth + 1)
            off_list, said = said.off_list, self._under_another_key(content, value)
            if said.is_nothing:
                self.off_list = self.off_list or off_list
                return None
        if value.repaired:
            said.aside |= self._set_aside(content)
        return self._answer(said, value, self._read_fields(content))

    def _under_another_key(self, content: Mapping[str, Any], value: Value) -> _Said:
        """Return what stands at the one key that holds nothing but labels, or that says that it holds them.

        Two such keys could each be the answer, and say nothing.
        """
        found = {key: said for key, item in content.items() if (said := self._at_key(key, item, value)) is not None}
        key, said = next(iter(found.items()), ("", _Said()))
        if len(found) != 1 or hedges(words_of(key)):
            return _Said()
        if isinstance(content[key], str):
            rest = {other: item for other, item in content.items() if other != key and not self._is_field(other)}
            verdict = self._verdict(rest, listed=True)
            if verdict is not True:
                judged = _Said()
                for name in said.labels:
                    judged.judge(name, verdict)
                return judged
        return said

    def _at_key(self, key: str, item: Any, value: Value) -> _Said | None:
        if not isinstance(item, list | str) or key == "fields" or self._is_field(key):
            return None
        words = words_of(key)
        if sets_aside(words) or not (isinstance(item, list) or announces_labels(words)):
            return None
        said = self._said_by(item, value)
        is_told = announces_labels(words) or bool(item)
        return None if said.off_list or said.is_nothing or not is_told else said

    def _set_aside(self, content: Mapping[str, Any]) -> set[str]:
        """Return the labels that an object lists as those that do not apply, or were only considered."""
        listed = [item for key, item in content.items() if isinstance(item, list) and sets_aside(words_of(key))]
        return {
            name for items in listed for item in items if isinstance(item, str) and (name := self._space.find(item))
        }

    def _is_field(self, key: str) -> bool:
        return bool(self._fields) and any(normalize(key) == normalize(each.name) for each in self._fields)

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
        verdict: bool | None = True
        if isinstance(item, Mapping):
            named = self._name_key(item)
            if named is None and not (flags := self._flags(item)).is_nothing:
                said.labels |= flags.labels
                said.denied |= flags.denied
                said.unclear |= flags.unclear
                said.none |= flags.none
                return
            if named is not None:
                verdict = self._verdict({key: each for key, each in item.items() if key != named}, listed=True)
                item = item[named]
        found = self._names.joined(item) if isinstance(item, str) else []
        for each in found:
            if each.kind is Kind.LABEL:
                said.judge(each.name, verdict)
        said.none |= any(each.kind is Kind.NONE for each in found) and verdict is True
        written = _as_written(item)
        if not found and written:
            said.off_list.append(written)

    def _name_key(self, item: Mapping[str, Any]) -> str | None:
        """Return the key at which an object says what it is about: where a label stands, else the usual one."""
        usual = [key for key in item if normalize(key) in _NAME_KEYS and isinstance(item[key], str)]
        return next((key for key in usual if self._names.joined(item[key])), usual[0] if usual else None)

    def _verdict(self, beside: Mapping[str, Any], *, listed: bool) -> bool | None:
        """Return whether a label applies by what an object says beside its name; None is unclear.

        A key that asks whether decides ("applies", "not_mentioned"), else one that asks how much, by 1 and 0 alone. Other
        keys decide nothing, but leave it unclear with a no, or with a number between 0 and 1.

        Args:
            beside: The pairs of the object.
            listed: The object is an item of a list of labels: without a word on it the label applies.
        """
        verdicts: set[bool | None] = set()
        degrees: set[bool | None] = set()
        doubts = False
        for key, flag in beside.items():
            words = words_of(key)
            asked, truth = asks(words), _truth(flag)
            is_number = isinstance(flag, int | float) and not isinstance(flag, bool)
            if asked is Asks.WHETHER and (truth is not None or flag is None or self._answers(flag)):
                truth = False if isinstance(flag, str) and denies(flag) else truth
                verdicts.add(None if truth is None else truth is not negates(words))
            elif asked is Asks.HOW_MUCH and (is_number or (isinstance(flag, str) and _DEGREE.fullmatch(flag.strip()))):
                degrees.add(truth)
            elif is_number:
                doubts |= 0 < flag < 1
            else:
                doubts |= truth is False or (isinstance(flag, str) and denies(flag))
        if verdicts or degrees:
            return _only(verdicts or degrees)
        return True if listed and not doubts else None

    def _answers(self, flag: Any) -> bool:
        """Return whether a value is meant as a verdict: a number or a word or two, and not a reason or the name again."""
        if isinstance(flag, str):
            return denies(flag) or (len(flag.split()) <= _MOST_WORDS and not self._names.joined(flag))
        return isinstance(flag, int | float)

    def _flags(self, content: Mapping[str, Any]) -> _Said:
        """Return what an object says that has labels as keys."""
        said = _Said()
        for key, flag in content.items():
            if flag is None or key == "fields" or self._is_field(key):
                continue
            item = self._names.exact(key)
            truth = self._verdict(flag, listed=False) if isinstance(flag, dict) else _truth(flag)
            if item is None:
                # A number beside the labels is a confidence or a count, not a label that is on.
                said.off_list += [clip(key)] if truth and isinstance(flag, bool | str) else []
            elif item.kind is Kind.NONE:
                said.none |= bool(truth)
            else:
                said.judge(item.name, truth)
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
        return [name for name in self._space.names if name in quoted - said.labels - said.denied - said.aside]

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


def _only(verdicts: set[bool | None]) -> bool | None:
    """Return the one verdict of several that say the same; None when they differ."""
    return next(iter(verdicts)) if len(verdicts) == 1 else None


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
