"""A prompt as a value: its passes, the names its templates see, and the messages that it becomes for a sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.identity import digest
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS, Output
from harness.records import Call, Message, Prediction, Sample
from harness.template import TemplateError, expression, names_used, render

Api = Literal["chat"]
DEFAULT_PASS = "main"  # noqa: S105 - a name, no password
"""Name of the pass of a prompt that does not list passes."""

LOCAL = "local/"
"""Model names that begin so are served by llama.cpp inside this process."""


@dataclass(frozen=True, slots=True)
class Engine:
    """How llama.cpp runs an embedded model. Part of the call key: each setting can change an answer's bytes.

    Attributes:
        slots: Sequences decoded side by side. One slot is bit-stable; more are batched together, which changes
            rounding and so, now and then, a word.
        threads: Threads that read the prompt; half as many write the answer. None takes the cores that may be used but
            for one in four, at most 8.
        prefix_reuse: Keep what two prompts have in common in the slot. Much faster with long shots, but the answer then
            depends on where the previous prompt diverged.
        context: Tokens that one slot can hold, prompt and answer together.
    """

    slots: int = 1
    threads: int | None = None
    prefix_reuse: bool = True
    context: int = 4096


@dataclass(frozen=True, slots=True)
class Model:
    """Who answers, and with which parameters.

    Attributes:
        base_url: None takes OPENAI_BASE_URL, else OpenAI's own. Not used for ``local/…``.
        params: Passed on in the request as they are.
    """

    name: str
    api: Api = "chat"
    base_url: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    engine: Engine = field(default_factory=Engine)

    @property
    def is_local(self) -> bool:
        """Whether the model runs inside this process."""
        return self.name.startswith(LOCAL)


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """One message of a pass; `line` is where its text begins in the prompt file, 0 when it comes from a run."""

    role: str
    source: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Shots:
    """Worked examples placed in the prompt, in order."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """One question to the model.

    Attributes:
        when: A Jinja expression over the answer so far; None means always.
        scope: Labels that the pass answers; empty means all.
    """

    name: str
    messages: tuple[MessageTemplate, ...]
    model: Model
    output: Output
    shots: Shots | None = None
    when: str | None = None
    scope: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt.

    Attributes:
        version: The file's name without its ending; what the version is called everywhere.
        parent: The version that this one was made from: its default baseline.
        variables: Constant template variables.
    """

    version: str
    passes: tuple[Pass, ...]
    parent: str | None = None
    notes: str = ""
    dataset: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None

    @property
    def hash(self) -> str:
        """The hash of what is asked: passes, shots, params, variables; not parent, notes, model or base URL."""
        passes = [_pass_json(each) for each in self.passes]
        for each in passes:
            each["model"] = {"api": each["model"]["api"], "params": each["model"]["params"]}
        return digest({"passes": passes, "variables": dict(self.variables)})

    @property
    def models(self) -> tuple[Model, ...]:
        """The models of the passes, each once, in order of first use."""
        unique: list[Model] = []
        for each in self.passes:
            if each.model not in unique:
                unique.append(each.model)
        return tuple(unique)

    def with_model(self, name: str | None, base_url: str | None) -> Prompt:
        """Return the prompt with another model name or base URL in every pass, all else kept."""

        def changed(model: Model) -> Model:
            return replace(model, name=name or model.name, base_url=base_url or model.base_url)

        return replace(self, passes=tuple(replace(each, model=changed(each.model)) for each in self.passes))

    def to_json(self) -> dict[str, Any]:
        """Return the prompt as plain values; `from_json` is the way back."""
        return {
            "version": self.version,
            "parent": self.parent,
            "notes": self.notes,
            "dataset": None if self.dataset is None else str(self.dataset),
            "path": None if self.path is None else str(self.path),
            "variables": dict(self.variables),
            "passes": [_pass_json(each) for each in self.passes],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prompt:
        """Return the prompt that `to_json` wrote."""
        return cls(
            version=data["version"],
            parent=data["parent"],
            notes=data["notes"],
            dataset=None if data["dataset"] is None else Path(data["dataset"]),
            path=None if data["path"] is None else Path(data["path"]),
            variables=data["variables"],
            passes=tuple(_pass_from_json(each) for each in data["passes"]),
        )


def _pass_json(each: Pass) -> dict[str, Any]:
    return {
        "name": each.name,
        "messages": [{"role": message.role, "source": message.source} for message in each.messages],
        "model": {**asdict(each.model), "params": dict(each.model.params)},
        "output": each.output.to_json(),
        "shots": None if each.shots is None else [shot.to_json() for shot in each.shots.samples],
        "when": each.when,
        "scope": list(each.scope),
    }


def _pass_from_json(row: Mapping[str, Any]) -> Pass:
    return Pass(
        name=row["name"],
        messages=tuple(MessageTemplate(each["role"], each["source"]) for each in row["messages"]),
        model=Model(**{**row["model"], "engine": Engine(**row["model"]["engine"])}),
        output=Output.from_json(row["output"]),
        shots=None if row["shots"] is None else Shots(tuple(Sample.from_json(each) for each in row["shots"])),
        when=row["when"],
        scope=tuple(row["scope"]),
    )


def without_answer(passes: Iterable[Pass], space: LabelSpace) -> list[str]:
    """Return the labels that no pass without a `when` answers: their cells could stay unanswered without a failure."""
    always = [each for each in passes if each.when is None]
    answered = {name for each in always for name in each.scope or space.names}
    return [name for name in space.names if name not in answered]


# What templates and expressions see ---------------------------------------------------------------------------------

TASK_NAMES = frozenset({"labels", "groups"})
"""Names that every template has, beside the input columns and the variables."""

ANSWER_NAMES = frozenset({"predicted", "n_predicted", "failed", "failure", "off_list", "fields", "passes"})
"""Names of the answer so far, in passes after the first."""


def known_names(
    prompt_pass: Pass, *, first: bool, columns: frozenset[str], variables: frozenset[str]
) -> frozenset[str]:
    """Return the names that the templates of a pass may use."""
    names = columns | variables | TASK_NAMES
    if prompt_pass.shots is not None:
        names |= {"shots"}
    return names if first else names | ANSWER_NAMES


def answer_context(
    so_far: Prediction, earlier: Mapping[str, tuple[Prediction, str]], space: LabelSpace
) -> dict[str, Any]:
    """Return the answer so far as template names, labels in label-space order.

    Args:
        so_far: What the passes up to now say together.
        earlier: For each earlier pass, what stood after it and its raw output ("" where it was not asked or no text
            came back).
        space: The label space.
    """
    return {
        "predicted": space.ordered(so_far.labels),
        "n_predicted": len(so_far.labels),
        "failed": so_far.failed,
        "failure": None if so_far.failure is None else str(so_far.failure),
        "off_list": list(so_far.off_list),
        "fields": dict(so_far.fields),
        "passes": {
            name: {"predicted": space.ordered(after.labels), "raw": raw, "fields": dict(after.fields)}
            for name, (after, raw) in earlier.items()
        },
    }


def runs_now(each: Pass, context: Mapping[str, Any]) -> bool:
    """Return whether a pass runs, by its `when`.

    Raises:
        TemplateError: The expression fails on this answer.
    """
    return each.when is None or bool(expression(each.when)(context))


def render_call(each: Pass, sample: Sample, space: LabelSpace, context: Mapping[str, Any], repeat: int) -> Call:
    """Return the request of a pass for a sample.

    Shots become turns of user and assistant before the last user message, rendered by the same template and the same
    output format as the question itself; a template that uses `shots` places them itself.

    Raises:
        TemplateError: A template fails on this sample; its line is that of the prompt file, 0 where that is unknown.
    """
    shots = each.shots.samples if each.shots is not None else ()
    answers = [_shot_answer(shot, each, space) for shot in shots]
    if each.shots is not None:
        placed = [{**shot.inputs, "answer": answer} for shot, answer in zip(shots, answers, strict=True)]
        context = {**context, "shots": placed}
    turn = shot_turn(each)
    # A shot is asked with its own columns alone: what it lacks must not come from the sample.
    bare = {name: value for name, value in context.items() if name not in ANSWER_NAMES and name not in sample.inputs}
    messages: list[Message] = []
    for message in each.messages:
        if message is turn:
            for shot, answer in zip(shots, answers, strict=True):
                messages.append({"role": "user", "content": _render(message, {**bare, **shot.inputs})})
                messages.append({"role": "assistant", "content": answer})
        messages.append({"role": message.role, "content": _render(message, context)})
    return Call(sample.id, each.name, "", repeat, tuple(messages))


def shot_turn(each: Pass) -> MessageTemplate | None:
    """Return the message that asks for the shots too, the last user message; None when a template places them itself.

    Raises:
        TemplateError: A template is not valid Jinja.
    """
    if any("shots" in names_used(message.source) for message in each.messages):
        return None
    return next((message for message in reversed(each.messages) if message.role == "user"), None)


def base_context(sample: Sample, space: LabelSpace, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what every template sees: input columns, variables and the label space. Never gold."""
    return {**variables, **sample.inputs, "labels": space.labels, "groups": space.groups}


def columns_of(samples: Iterable[Sample]) -> frozenset[str]:
    """Return the input columns that every one of the samples has."""
    common: frozenset[str] | None = None
    for sample in samples:
        common = frozenset(sample.inputs) if common is None else common & sample.inputs.keys()
    return common or frozenset()


def _shot_answer(shot: Sample, each: Pass, space: LabelSpace) -> str:
    """Return what a perfect model would answer to a shot, in the pass's output format."""
    fields = {name: shot.fields.get(name) for name in each.output.fields}
    return FORMATS[each.output.format].render(shot.labels or frozenset(), fields, space, each.output)


def _render(message: MessageTemplate, context: Mapping[str, Any]) -> str:
    try:
        return render(message.source, context)
    except TemplateError as error:
        raise TemplateError(error.message, error.line + message.line - 1 if message.line else 0) from None
