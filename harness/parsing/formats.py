"""What an output format is: how an answer is asked for, checked, read and written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.errors import did_you_mean, listing
from harness.labelspace import LabelSpace, normalize
from harness.parsing.constraints import constraint_problems
from harness.parsing.tokens import Token
from harness.records import Answer, FieldValue

Constrain = Literal["auto", "off", "json_schema", "json_object", "grammar"]
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Output:
    """How a pass wants its answer written.

    Attributes:
        format: Name of a format in `harness.parsing.FORMATS`.
        options: Options of that format, plain JSON values; an option that is not here has the format's default.
        fields: Names of the label-space fields that the answer carries beside the labels.
        constrain: What forces the server to write the answer in this form: "off" (the default), "auto" (the strictest
            form that the server takes), or one form.
        threshold: A label is present from this probability on; None leaves it to the words of the answer.
        thresholds: By label, goes before `threshold`.
    """

    format: str = "list"
    options: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    constrain: Constrain = "off"
    threshold: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_thresholds(self) -> bool:
        """Whether probabilities decide instead of the words of the answer."""
        return self.threshold is not None or bool(self.thresholds)

    def threshold_of(self, label: str) -> float:
        """Return the probability from which on a label is present; 0.5 where the output does not say."""
        default = DEFAULT_THRESHOLD if self.threshold is None else self.threshold
        return self.thresholds.get(label, default)

    def to_json(self) -> dict[str, Any]:
        """Return the output as plain values, what is not said left out; `from_json` is the way back."""
        said: dict[str, Any] = {"format": self.format, "options": dict(self.options), "fields": list(self.fields)}
        if self.constrain != "off":
            said["constrain"] = self.constrain
        if self.threshold is not None:
            said["threshold"] = self.threshold
        if self.thresholds:
            said["thresholds"] = dict(self.thresholds)
        return said

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Output:
        """Return the output that `to_json` wrote."""
        return cls(
            data["format"],
            dict(data["options"]),
            tuple(data["fields"]),
            data.get("constrain", "off"),
            data.get("threshold"),
            dict(data.get("thresholds", {})),
        )


Parse = Callable[[str, LabelSpace, Output, bool], Answer]
Render = Callable[[Collection[str], Mapping[str, FieldValue], LabelSpace, Output], str]
Check = Callable[[LabelSpace, Output], list[str]]
Weigh = Callable[[Sequence[Token], LabelSpace, Output], "tuple[Mapping[str, float], Mapping[str, float]]"]
Schema = Callable[[LabelSpace, Output], "dict[str, Any] | None"]
Grammar = Callable[[LabelSpace, Output], "str | None"]


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
        one_label: True when an answer is about a single label: a pass then asks ``per: label``, or has one label in its
            scope, and ``parse``, ``render`` and ``weigh`` get a label space of that label alone.
        weigh: Tokens with their probabilities, label space, output → P(label) and the mass that it rests on, by label;
            both empty when the tokens tell none. None when no token of this format stands for labels.
        gives_probabilities: True when the answer itself is made of numbers.
        schema: JSON schema of an answer (strict: every key required, nothing else allowed); None for a format that is
            no JSON, or when this output has none.
        grammar: GBNF of an answer, with ``root`` as its start; None when the format or this output has none.
    """

    name: str
    options: Mapping[str, Any]
    parse: Parse
    render: Render
    problems: Check
    carries_fields: bool = False
    one_label: bool = False
    weigh: Weigh | None = None
    gives_probabilities: bool = False
    schema: Schema | None = None
    grammar: Grammar | None = None

    def check(self, output: Output, space: LabelSpace) -> list[str]:
        """Return what is impossible in ``output`` for this label space, one message each; empty when all is well."""
        found = [*self._bad_options(output), *self._bad_fields(output, space), *self._bad_thresholds(output, space)]
        return found or self.problems(space, output) or constraint_problems(self, output, space)

    def _bad_thresholds(self, output: Output, space: LabelSpace) -> list[str]:
        return [
            f"'thresholds' names '{name}', which is no label.{did_you_mean(name, space.names)}"
            for name in output.thresholds
            if name not in space.index
        ]

    def _bad_options(self, output: Output) -> list[str]:
        found = []
        for name, value in output.options.items():
            if name not in self.options:
                known = f"It has {listing(self.options)}." if self.options else "It has none."
                found.append(
                    f"format {self.name} has no option '{name}'. {known}{did_you_mean(name, self.options)}",
                )
            elif not _is_like(value, self.options[name]):
                wanted = _TYPE_NAMES[type(self.options[name])]
                found.append(f"{name} must be {wanted}, got {value!r}.{_QUOTE_IT.get(wanted, '')}")
        return found

    def _bad_fields(self, output: Output, space: LabelSpace) -> list[str]:
        if output.fields and not self.carries_fields:
            from harness.parsing import FORMATS  # which is made of formats

            able = [each.name for each in FORMATS.values() if each.carries_fields]
            return [
                f"format {self.name} carries no fields, but {listing(output.fields)} is asked for. Formats that do: "
                f"{listing(able)}."
            ]
        known = [each.name for each in space.fields]
        return [
            f"the label space has no field '{name}'.{did_you_mean(name, known)}"
            for name in output.fields
            if name not in known
        ]


def _is_like(value: Any, default: Any) -> bool:
    """Return whether a value has the type of an option's default; a whole number is a number too, a bool is none."""
    return type(value) is type(default) or (isinstance(default, float) and type(value) is int)


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
