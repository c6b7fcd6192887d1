"""What an output format is: how an answer is asked for, checked, read and written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import did_you_mean, listing
from harness.labelspace import LabelSpace, normalize
from harness.records import Answer, FieldValue


@dataclass(frozen=True, slots=True)
class Output:
    """How a pass wants its answer written.

    Attributes:
        format: Name of a format in `harness.parsing.FORMATS`.
        options: Options of that format, plain JSON values; an option that is not here has the format's default.
        fields: Names of the label-space fields that the answer carries beside the labels.
    """

    format: str = "list"
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the output as plain values; `from_json` is the way back."""
        return {"format": self.format, "options": dict(self.options), "fields": list(self.fields)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Output:
        """Return the output that `to_json` wrote."""
        return cls(data["format"], dict(data["options"]), tuple(data["fields"]))


Parse = Callable[[str, LabelSpace, Output, bool], Answer]
Render = Callable[[Collection[str], Mapping[str, FieldValue], LabelSpace, Output], str]
Check = Callable[[LabelSpace, Output], list[str]]


@dataclass(frozen=True, slots=True)
class Format:
    """One output format.

    Attributes:
        name: As the prompt file says it.
        options: The options that it knows, with their defaults.
        carries_fields: True when an answer in this format can hold fields beside the labels.
        parse: Text, label space, output, whether the text was cut off → the answer; raises `ParseFailure`.
        render: Labels, fields, label space, output → what a perfect model would write; `parse` reads it back.
        problems: What else is impossible, when the options by themselves are sound.
    """

    name: str
    options: Mapping[str, Any]
    parse: Parse
    render: Render
    problems: Check
    carries_fields: bool = False

    def check(self, output: Output, space: LabelSpace) -> list[str]:
        """Return what is impossible in ``output`` for this label space, one message each; empty when all is well."""
        found = [*self._bad_options(output), *self._bad_fields(output, space)]
        return found or self.problems(space, output)

    def _bad_options(self, output: Output) -> list[str]:
        found = []
        for name, value in output.options.items():
            if name not in self.options:
                known = f"It has {listing(self.options)}." if self.options else "It has none."
                found.append(
                    f"format {self.name} has no option '{name}'. {known}{did_you_mean(name, self.options)}",
                )
            elif type(value) is not type(self.options[name]):
                wanted = _TYPE_NAMES[type(self.options[name])]
                found.append(f"{name} must be {wanted}, got {value!r}.{_QUOTE_IT.get(wanted, '')}")
        return found

    def _bad_fields(self, output: Output, space: LabelSpace) -> list[str]:
        if output.fields and not self.carries_fields:
            return [
                f"format {self.name} carries no fields, but {listing(output.fields)} is asked for. Use format json."
            ]
        known = [each.name for each in space.fields]
        return [
            f"the label space has no field '{name}'.{did_you_mean(name, known)}"
            for name in output.fields
            if name not in known
        ]


_TYPE_NAMES: Mapping[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}
_QUOTE_IT: Mapping[str, str] = {"a text": " Put it in quotes."}


def setting(output: Output, defaults: Mapping[str, Any], name: str) -> Any:
    """Return an option of ``output``, or its default where the output does not say."""
    return output.options.get(name, defaults[name])


def none_problems(none: str, space: LabelSpace) -> list[str]:
    """Return what is impossible about a none word: it must be visible text on one line, and name no label."""
    if not normalize(none) or "\n" in none:
        return [f"none must be a word on one line, got {none!r}."]
    label = space.find(none)
    return [] if label is None else [f"none must be no label, but '{none}' names label '{label}'."]
