"""What a drafted exception pass is to be, and what it asks: templates for a person to write on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.literals import quoted
from harness.prompt import DECISION_APIS, MergeHow, Model
from harness.yamltext import indented

Style: TypeAlias = Literal["list", "yes_no", "decisions"]
"""How the exception pass asks: about the labels in question at once, about each in a call, or as a decision API is asked."""

NEARLY_ALL = 0.9
"""Share of the errors from which on they are of one kind, so that a merge rule can leave the other answers alone."""

WRITE_HERE = "WRITE HERE"
"""Marks in a draft what a person should write."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two labels of which one is taken for the other.

    Attributes:
        first: That of the two which is in question more.
        second: The other.
        n: Samples in which one of them was missed and the other one added.
    """

    first: str
    second: str
    n: float


@dataclass(frozen=True, slots=True)
class Errors:
    """The wrong cells of the labels in question among what is sent, by kind; counts of samples, means over repeats."""

    missed: float
    added: float
    unanswered: float

    @property
    def how(self) -> MergeHow:
        """The merge rule: what is nearly all missed is added to, what is nearly all wrong is confirmed, else replaced."""
        total = self.missed + self.added + self.unanswered
        if self.missed and self.missed >= NEARLY_ALL * total:
            return "add"
        return "confirm" if self.added and self.added >= NEARLY_ALL * total else "replace"


@dataclass(frozen=True, slots=True)
class DraftShots:
    """The worked examples of the exception pass.

    Attributes:
        file: As the prompt names it.
        n: How many are in it.
        seed: Of the draw of those that a call has.
    """

    file: str
    n: int
    seed: int


@dataclass(frozen=True, slots=True)
class ExceptionPass:
    """What the exception pass is to be.

    Attributes:
        name: Of no other pass.
        when: The trigger.
        scope: The labels in question, in label-space order.
        descriptions: By label its description.
        style: How it asks.
        model: Who answers the last pass of the parent, and will answer this one.
        columns: The input columns that it shows.
        errors: What of the scope is wrong in the samples that are sent.
        contrasts: Pairs of labels to tell apart, at least one of each in the scope.
        shots: None has no worked examples of its own.
        why: What is known of the trigger, for people.
        about_shots: Where the worked examples come from, or how to get some, for people.
    """

    name: str
    when: str
    scope: tuple[str, ...]
    descriptions: Mapping[str, str]
    style: Style
    model: Model
    columns: tuple[str, ...]
    errors: Errors
    contrasts: tuple[Contrast, ...]
    shots: DraftShots | None
    why: str
    about_shots: str


def default_style(model: Model) -> Style:
    """Return how a model is best asked: a small one, and one that gives log-probabilities, about one label at a time."""
    if model.api in DECISION_APIS:
        return "decisions"
    return "yes_no" if model.is_local or model.asks_logprobs else "list"


# --- what is asked ----------------------------------------------------------------------------------------------------


def asked(new: ExceptionPass) -> list[str]:
    """Return the lines of the pass that ask: its messages, and the question for a decision API."""
    return {"list": _list_messages, "yes_no": _yes_no_messages, "decisions": _questions}[new.style](new)


def _list_messages(new: ExceptionPass) -> list[str]:
    names = ", ".join(map(quoted, new.scope))
    told = _told(new.scope, new)
    system = [
        "The text below was labelled before. Decide again which of these labels apply to it, and look closely:",
        f"{{% for label in labels if label.name in [{names}] %}}",
        f"- {told}",
        "{% endfor %}",
        *_contrasts(new, new.contrasts),
        'The first answer was: {{ predicted | join(", ") or "none" }}. It can be wrong.',
        "Answer with those of these labels that apply, separated by commas, or none.",
    ]
    return _messages(system, _shown(new.columns))


def _yes_no_messages(new: ExceptionPass) -> list[str]:
    system = [
        "Say yes if the label applies to the text, else no. The label:",
        _told(new.scope, new),
        *_by_label(new),
    ]
    return _messages(system, [*_shown(new.columns), "", 'Does "{{ label.name }}" apply?'])


def _questions(new: ExceptionPass) -> list[str]:
    """Return what a decision API is asked: a statement about each label, and what it is about."""
    about = _told(new.scope, new).removeprefix("{{ label.name }}")
    question = [f'The label "{{{{ label.name }}}}" applies{about}', *_by_label(new)]
    return ["messages:", "  - user: |", *indented(_shown(new.columns), 6), "question: |", *indented(question, 2)]


def _messages(system: Sequence[str], user: Sequence[str]) -> list[str]:
    return ["messages:", "  - system: |", *indented(system, 6), "  - user: |", *indented(user, 6)]


def _told(names: Sequence[str], new: ExceptionPass) -> str:
    """Return the template of a label and its description."""
    described = [bool(new.descriptions.get(name)) for name in names]
    if all(described):
        return "{{ label.name }}: {{ label.description }}"
    # No block: behind one that ends a line, the line's end would be lost.
    rest = '{{ ": " ~ label.description if label.description else "" }}' if any(described) else ""
    return "{{ label.name }}" + rest


def _shown(columns: Sequence[str]) -> list[str]:
    """Return the template of the inputs: the one column alone, several by their names."""
    if len(columns) == 1:
        return [f"{{{{ {columns[0]} }}}}"]
    return [f"{name}: {{{{ {name} }}}}" for name in columns]


def _by_label(new: ExceptionPass) -> Iterator[str]:
    """Yield for each label in question what it is not, in a part of the template that is about that label."""
    if not new.contrasts:
        yield from _contrasts(new, ())
    for name in new.scope:
        mine = [_from(name, each) for each in new.contrasts if name in (each.first, each.second)]
        if mine:
            yield f"{{% if label.name == {quoted(name)} %}}"
            yield from _contrasts(new, mine)
            yield "{% endif %}"


def _from(name: str, each: Contrast) -> Contrast:
    return each if each.first == name else Contrast(each.second, each.first, each.n)


def _contrasts(new: ExceptionPass, contrasts: Sequence[Contrast]) -> Iterator[str]:
    """Yield the contrasts as the descriptions give them, each with the place where a person says it in words."""
    from harness.report import numbers

    if not contrasts:
        yield f"{{# {WRITE_HERE}: what is hard about these labels, in your words. #}}"
    for each in contrasts:
        samples = numbers.plural(each.n, "sample")
        names = " and ".join(one_line(name) for name in (each.first, each.second))
        words = f"{WRITE_HERE}: what tells {names} apart, in your words. One stood for the other in {samples}."
        yield f"{{# {words.replace('#}', '# }')} #}}"
        if new.style == "list":
            first, second = (_described(name, new) for name in (each.first, each.second))
            yield f"Tell {first} from {second}."
        else:
            yield f"Not to be taken for {_described(each.second, new)}, which is another label."


def _described(name: str, new: ExceptionPass) -> str:
    about = one_line(new.descriptions.get(name, "")).rstrip(".")
    return _plain(f'"{one_line(name)}"' + (f" ({about})" if about else ""))


def one_line(text: str) -> str:
    """Return a text on one line, without control characters."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _plain(text: str) -> str:
    """Return a text as a template that prints it."""
    return f"{{{{ {quoted(text)} }}}}" if re.search(r"\{[{%#]", text) else text
