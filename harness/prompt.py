"""A prompt as a value: its passes, who answers them, and what they ask about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.identity import digest
from harness.kept import Kept
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS, Output
from harness.records import Sample
from harness.searched import Searched
from harness.shots import NearestBy, Shots
from harness.units import Unit, gate_units, group_units, question_units

Api = Literal["chat", "responses", "completions", "decisions", "systemone"]
DECISION_APIS = frozenset({"decisions", "systemone"})
"""APIs that are asked typed questions and answer with probabilities instead of text."""

Per = Literal["sample", "label", "group"]
How = Literal["majority", "any", "all", "mean"]
MergeHow = Literal["replace", "add", "remove", "union", "intersection", "confirm"]
ANSWERING = frozenset[MergeHow]({"replace", "union", "intersection"})
"""Merge rules by which a cell that nobody answered yet is answered, whatever the answer says of it."""

ANSWER_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""What the APIs call the most tokens of an answer."""

DEFAULT_PASS = "main"  # noqa: S105 - a name, no password
"""Name of the pass of a prompt that does not list passes."""

LOCAL = "local/"
"""Model names that begin so are served by llama.cpp inside this process."""

_UNITS = Kept[tuple[Unit, ...]]()


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
        suffix: For the completions API, what ends every prompt: the separator that a fine-tuned model was taught.
    """

    name: str
    api: Api = "chat"
    base_url: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    engine: Engine = field(default_factory=Engine)
    suffix: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the model runs inside this process."""
        return self.name.startswith(LOCAL)

    @property
    def answers_alike(self) -> bool:
        """Whether the same request has the same answer whenever it is sent: by a seed, or greedy in this process."""
        return "seed" in self.params or (self.is_local and self.params.get("temperature") == 0)

    @property
    def asks_logprobs(self) -> bool:
        """Whether the parameters ask for the log-probabilities of several tokens a place; of one alone they tell nothing."""
        listed = self.params.get("logprobs" if self.api == "completions" else "top_logprobs")
        return any(type(n) is int and n > 1 for n in (listed, self.params.get("n_probs")))


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """One message of a pass; `line` is where its text begins in the prompt file, 0 when it comes from a run."""

    role: str
    source: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Votes:
    """An ensemble of draws of the same request, and how they become one answer.

    Attributes:
        k: Number of draws, 2 or more.
        how: "majority" (more than half of those that answered), "any", "all", or "mean" (of their probabilities, against
            the output's thresholds).
    """

    k: int
    how: How = "majority"


@dataclass(frozen=True, slots=True)
class QuestionTemplates:
    """What a decision API is asked: templates over ``label`` and over ``field``, and whatever else a template sees."""

    label: MessageTemplate
    field: MessageTemplate


@dataclass(frozen=True, slots=True)
class Candidates:
    """How a pass chooses the labels that a sample is asked about: those that are nearest to its input text.

    Attributes:
        k: So many of the labels of its scope.
        by: What nearness is measured with.
        model: The server's embedding model, for "embeddings".
        examples: Labelled samples whose texts describe their labels too. They are in no message, but decide what is asked.
    """

    k: int
    by: NearestBy = "tfidf"
    model: str | None = None
    examples: tuple[Sample, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the choice as plain values; `from_json` is the way back."""
        said = {"k": self.k, "by": self.by, "model": self.model}
        return {**said, "examples": [each.to_json() for each in self.examples]} if self.examples else said

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Candidates:
        """Return the choice that `to_json` wrote."""
        return cls(**{**data, "examples": tuple(Sample.from_json(each) for each in data.get("examples", ()))})


@dataclass(frozen=True, slots=True)
class Pass:
    """One question to the model.

    Attributes:
        when: A Jinja expression over the answer so far; None means always.
        scope: Labels that the pass answers; empty means all.
        how: How its answer is merged with what earlier passes said: see `harness.merging`.
        per: What one call is about: the sample, or one label or group of it.
        chooses_groups: Whether its answer names groups instead of labels: a gate, by which later passes that ask by
            group or by label ask about the labels of the chosen groups alone.
        candidates: How the labels are chosen that a sample is asked about; None asks about all of the scope.
        votes: None asks once.
        questions: For decision APIs, else None.
    """

    name: str
    messages: tuple[MessageTemplate, ...]
    model: Model
    output: Output
    shots: Shots | None = None
    when: str | None = None
    scope: tuple[str, ...] = ()
    per: Per = "sample"
    votes: Votes | None = None
    questions: QuestionTemplates | None = None
    how: MergeHow = "replace"
    chooses_groups: bool = False
    candidates: Candidates | None = None

    @property
    def draws(self) -> int:
        """How often each of its requests is sent."""
        return 1 if self.votes is None else self.votes.k

    @property
    def gives_probabilities(self) -> bool:
        """Whether its answers come with probabilities: from the API, the votes, the format, or token log-probabilities."""
        written = FORMATS[self.output.format]
        return (
            self.model.api in DECISION_APIS
            or self.votes is not None
            or written.gives_probabilities
            or (written.weigh is not None and self.model.asks_logprobs)
        )

    def answer_space(self, space: LabelSpace) -> LabelSpace:
        """Return what its answers name: the labels, or for a gate the groups."""
        return space.as_groups if self.chooses_groups else space

    def inside(self, space: LabelSpace) -> tuple[str, ...]:
        """Return the labels of its scope, in label-space order."""
        return space.names if not self.scope else tuple(space.ordered(set(self.scope)))

    def units(self, space: LabelSpace) -> tuple[Unit, ...]:
        """Return what its calls for one sample are about at most, in label-space order.

        What a certain sample is asked about can be less: see `harness.narrowing`.
        """
        return _UNITS.of((), (self, space), lambda: self._units(space))

    def _units(self, space: LabelSpace) -> tuple[Unit, ...]:
        inside = self.inside(space)
        if self.chooses_groups:
            return gate_units(inside, space, by_group=self.per == "group")
        if self.per == "label":
            return tuple(Unit(name, (name,), space.only([name])) for name in inside)
        if self.per == "group":
            return group_units(inside, space)
        if self.questions is not None and self.candidates is None:
            return question_units(inside, space, len(self.output.fields))
        alone = FORMATS[self.output.format].one_label or self.questions is not None
        return (Unit("", inside, space.only(inside) if alone else space),)

    def most_calls(self, space: LabelSpace) -> int:
        """Return how many calls it makes for one sample at most."""
        n_units = len(self.units(space))
        if self.candidates is not None and self.per == "label":
            n_units = min(n_units, self.candidates.k)
        return n_units * self.draws


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a prompt.

    Attributes:
        version: The file's name without its ending; what the version is called everywhere.
        parent: The version that this one was made from: its default baseline.
        variables: Constant template variables.
        files: Texts of the files that the templates include or import, by the names that they use for them.
        given: Names of those variables that were given from outside of the file.
        searched: What it was drafted from, where a search of errors drafted it, or an ancestor. It is not asked, so it is in
            no hash.
    """

    version: str
    passes: tuple[Pass, ...]
    parent: str | None = None
    notes: str = ""
    dataset: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    searched: Searched | None = None

    @property
    def hash(self) -> str:
        """The hash of what is asked: passes, shots, params, variables, files; not parent, notes, model or base URL."""
        passes = [_pass_json(each) for each in self.passes]
        for each in passes:
            each["model"] = {name: each["model"][name] for name in ("api", "params", "suffix") if name in each["model"]}
        return digest({"passes": passes, "variables": dict(self.variables), **self._files_json()})

    def _files_json(self) -> dict[str, Any]:
        """Return the files where there are any, so that the hash of a prompt without them stays what it was."""
        return {"files": dict(self.files)} if self.files else {}

    @property
    def models(self) -> tuple[Model, ...]:
        """The models of the passes, each once, in order of first use."""
        unique: list[Model] = []
        for each in self.passes:
            if each.model not in unique:
                unique.append(each.model)
        return tuple(unique)

    @property
    def only_model(self) -> str | None:
        """The name of the model that answers every pass; None when there are several."""
        names = {each.model.name for each in self.passes}
        return names.pop() if len(names) == 1 else None

    def searched_on(self, split: str) -> Searched | None:
        """Return what it was drafted from where that is on this split; what is elsewhere flatters nothing here."""
        return self.searched if self.searched is not None and self.searched.split == split else None

    def with_model(self, name: str | None, base_url: str | None) -> Prompt:
        """Return the prompt with another model name in every pass, and another base URL where a server is asked."""

        def changed(model: Model) -> Model:
            named = replace(model, name=name or model.name)
            return named if named.is_local else replace(named, base_url=base_url or model.base_url)

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
            **({"given": list(self.given)} if self.given else {}),
            **self._files_json(),
            **({} if self.searched is None else {"searched": self.searched.to_json()}),
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
            given=tuple(data.get("given", ())),
            files=data.get("files", {}),
            searched=Searched.from_json(data["searched"]) if "searched" in data else None,
            passes=tuple(_pass_from_json(each) for each in data["passes"]),
        )


def _pass_json(each: Pass) -> dict[str, Any]:
    return {
        "name": each.name,
        "messages": [{"role": message.role, "source": message.source} for message in each.messages],
        "model": _model_json(each.model),
        "output": each.output.to_json(),
        "shots": None if each.shots is None else each.shots.to_json(),
        "when": each.when,
        "scope": list(each.scope),
        **_said_json(each),
    }


def _model_json(model: Model) -> dict[str, Any]:
    """Return a model as plain values, without a suffix where there is none, so that hashes outlive it."""
    whole = {**asdict(model), "params": dict(model.params)}
    return whole if model.suffix else {name: value for name, value in whole.items() if name != "suffix"}


def _said_json(each: Pass) -> dict[str, Any]:
    """Return what a pass has beyond the plainest, so that the hash of a prompt outlives new settings."""
    said: dict[str, Any] = {}
    if each.per != "sample":
        said["per"] = each.per
    if each.votes is not None:
        said["votes"] = {"k": each.votes.k, "how": each.votes.how}
    if each.questions is not None:
        said["questions"] = {"label": each.questions.label.source, "field": each.questions.field.source}
    if each.how != "replace":
        said["how"] = each.how
    if each.chooses_groups:
        said["choose"] = "groups"
    if each.candidates is not None:
        said["candidates"] = each.candidates.to_json()
    return said


def _questions_from_json(row: Mapping[str, str] | None) -> QuestionTemplates | None:
    if row is None:
        return None
    return QuestionTemplates(MessageTemplate("label", row["label"]), MessageTemplate("field", row["field"]))


def _pass_from_json(row: Mapping[str, Any]) -> Pass:
    return Pass(
        name=row["name"],
        messages=tuple(MessageTemplate(each["role"], each["source"]) for each in row["messages"]),
        model=Model(**{**row["model"], "engine": Engine(**row["model"]["engine"])}),
        output=Output.from_json(row["output"]),
        shots=None if row["shots"] is None else Shots.from_json(row["shots"]),
        when=row["when"],
        scope=tuple(row["scope"]),
        per=row.get("per", "sample"),
        votes=Votes(**row["votes"]) if "votes" in row else None,
        questions=_questions_from_json(row.get("questions")),
        how=row.get("how", "replace"),
        chooses_groups=row.get("choose") == "groups",
        candidates=Candidates.from_json(row["candidates"]) if "candidates" in row else None,
    )


def templates_of(passes: Iterable[Pass]) -> Iterator[MessageTemplate]:
    """Yield every template of passes: their messages, and what they ask a decision API."""
    for each in passes:
        yield from each.messages
        if each.questions is not None:
            yield each.questions.label
            yield each.questions.field


def without_answer(passes: Iterable[Pass], space: LabelSpace) -> list[str]:
    """Return the labels that no pass without a `when` answers: their cells could stay unanswered without a failure.

    A gate answers none by itself, nor does a pass whose merge rule only adds to an answer or takes from it.
    """
    always = [each for each in passes if each.when is None and not each.chooses_groups and each.how in ANSWERING]
    answered = {name for each in always for name in each.scope or space.names}
    return [name for name in space.names if name not in answered]
