"""The values that flow between the stages: sample, call, completion, answer, prediction."""

from __future__ import annotations

from array import array
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypedDict

FieldValue = str | bool | None
"""What a field holds: an extracted string or a choice, a bool, or None for "nothing there"."""

GoldField = FieldValue | tuple[str, ...]
"""What a field should hold: a value, or for a text several that are right, the first of them the one to show."""


def first_right(gold: GoldField) -> FieldValue:
    """Return the value that a perfect answer gives: of several right ones the first."""
    return gold[0] if isinstance(gold, tuple) else gold


class Weights(Mapping[str, float]):
    """A number for each label, in an array: a mapping like any other, in an eighth of the room that a `dict` takes.

    Args:
        index: Position of each label, shared by all mappings with the same labels.
        values: The numbers, in the order of the positions.
    """

    __slots__ = ("_index", "_values")

    def __init__(self, index: Mapping[str, int], values: array[float]) -> None:
        self._index = index
        self._values = values

    def __getitem__(self, name: str) -> float:
        return self._values[self._index[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __repr__(self) -> str:
        return repr(dict(self.items()))

    def keys(self) -> KeysView[str]:
        """Return the labels."""
        return self._index.keys()

    def items(self) -> ItemsView[str, float]:
        """Return the labels with their numbers."""
        return self.plain().items()

    def plain(self) -> dict[str, float]:
        """Return the labels with their numbers as a `dict`."""
        return dict(zip(self._index, self._values, strict=True))

    def vector(self, names: Sequence[str]) -> Sequence[float] | None:
        """Return the numbers in the order of all labels; None where the labels are others, or in another order."""
        return self._values if tuple(self._index) == tuple(names) else None


def _plain(weights: Mapping[str, float]) -> dict[str, float]:
    return weights.plain() if isinstance(weights, Weights) else dict(weights)


class Shared:
    """What many rows of a file have in common, made once: label sets, and the names under which numbers stand."""

    def __init__(self) -> None:
        self._sets: dict[tuple[str, ...], frozenset[str]] = {}
        self._indexes: dict[tuple[str, ...], dict[str, int]] = {}

    def labels(self, names: Iterable[str]) -> frozenset[str]:
        """Return the set of some names."""
        written = tuple(names)
        found = self._sets.get(written)
        if found is None:
            found = self._sets[written] = frozenset(written)
        return found

    def weights(self, given: Mapping[str, float]) -> Mapping[str, float]:
        """Return numbers by label, in little room."""
        if not given:
            return given
        names = tuple(given)
        index = self._indexes.get(names)
        if index is None:
            index = self._indexes[names] = {name: at for at, name in enumerate(names)}
        return Weights(index, array("d", given.values()))


class FailureKind(StrEnum):
    """Why cells are unanswered: the one enumeration of it."""

    CALL_ERROR = "call_error"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    UNPARSEABLE = "unparseable"


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a sample set.

    Attributes:
        id: Unique in its set.
        inputs: The input columns, `text` among them or not; all that a template may see.
        labels: The gold labels; None means unlabelled (never scored), the empty set means none of them.
        fields: The gold fields by name; a field that the row does not have is absent here and is not scored.
        shots: By the name of a pass that chooses shots for each sample, the ids of those that were chosen for this one.
        candidates: By the name of a pass that chooses labels for each sample, those that were chosen for this one, in
            label-space order.
    """

    id: str
    inputs: Mapping[str, Any]
    labels: frozenset[str] | None = None
    fields: Mapping[str, GoldField] = field(default_factory=dict)
    shots: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    candidates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the sample as plain values; `from_json` is the way back."""
        labels = None if self.labels is None else sorted(self.labels)
        fields = {name: list(gold) if isinstance(gold, tuple) else gold for name, gold in self.fields.items()}
        chosen = {
            what: {name: list(of) for name, of in by_pass.items()}
            for what, by_pass in (("shots", self.shots), ("candidates", self.candidates))
            if by_pass
        }
        return {"id": self.id, "inputs": dict(self.inputs), "labels": labels, "fields": fields, **chosen}

    @classmethod
    def from_json(cls, row: Mapping[str, Any], shared: Shared | None = None) -> Sample:
        """Return the sample that `to_json` wrote; ``shared`` is that of the rows of its file."""
        labels = None if row["labels"] is None else (shared or Shared()).labels(row["labels"])
        fields = {name: tuple(gold) if isinstance(gold, list) else gold for name, gold in row["fields"].items()}
        shots = {name: tuple(ids) for name, ids in row.get("shots", {}).items()}
        candidates = {name: tuple(names) for name, names in row.get("candidates", {}).items()}
        return cls(row["id"], row["inputs"], labels, fields, shots, candidates)


class Message(TypedDict):
    """One message of a request, as the chat APIs have it."""

    role: str
    content: str


class Question(TypedDict, total=False):
    """One typed question of a decision API: about a label (predicate) or about a field (choice)."""

    name: str
    kind: Literal["predicate", "choice"]
    instructions: str
    choices: tuple[str | bool, ...]


Asked = tuple[tuple[Message, ...], tuple[Question, ...]]
"""What a call asks: its messages, and its questions."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What forces a server to write an answer in its form.

    Attributes:
        form: "json_schema" (strict), "json_object" (any JSON object) or "grammar" (GBNF).
        schema: The JSON schema, for "json_schema".
        grammar: The GBNF text, for "grammar".
    """

    form: Literal["json_schema", "json_object", "grammar"]
    schema: Mapping[str, Any] | None = None
    grammar: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One rendered request.

    Attributes:
        sample: Id of the sample.
        pass_name: The pass that asks.
        unit: What the call is about: "" for the sample, else the name of a label or group.
        repeat: 0 is the plain run.
        messages: What is sent, in order.
        draw: Which of several draws of the same request this is: ``repeat * votes + vote``. It is in the call key.
        labels: The labels that the answer can name, in label-space order; empty means all of them.
        questions: What a decision API is asked about the messages; empty for every other API.
        again: How often this draw was made again, because its answer was a bad one.
    """

    sample: str
    pass_name: str
    unit: str
    repeat: int
    messages: tuple[Message, ...]
    draw: int = 0
    labels: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    again: int = 0

    @property
    def slot(self) -> tuple[str, str, str, int]:
        """Where the call stands in its run: (sample, pass, unit, draw). The latest completion of a slot counts."""
        return (self.sample, self.pass_name, self.unit, self.draw)

    @property
    def asked(self) -> Asked:
        """What the model was asked: two calls of a slot are one call when this is equal."""
        return (self.messages, self.questions)


class CallError(TypedDict):
    """Why a call has no completion: a word to count by, the message, and the HTTP status (None without a response)."""

    kind: str
    message: str
    status: int | None


class Usage(TypedDict, total=False):
    """Tokens of one call, as the server counted them."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back for a call.

    Attributes:
        status: "ok", "refusal" (the API itself said so; `raw` is what it said) or "error" (see `error`; `raw` is None).
        raw: The model's text, as it came.
        finish_reason: As the server named it: "stop", "length", "content_filter", …
        logprobs: Token log-probabilities as they came, or None.
        usage: Token counts, empty when the server gave none.
        latency_s: Seconds from sending the request to the whole answer, of the last attempt.
        attempts: How often the call was sent, 1 or more.
        cached: True when nothing was sent because the cache had the answer.
        served_model: The model's name as the server gave it.
        reasoning: What a reasoning model wrote before its answer, where the server tells it apart; never parsed.
        batch: True when it came by a batch API, where calls cost less and no latency is known.
    """

    status: Literal["ok", "refusal", "error"]
    raw: str | None = None
    finish_reason: str | None = None
    error: CallError | None = None
    logprobs: Any = None
    usage: Usage = field(default_factory=lambda: Usage())
    latency_s: float = 0.0
    attempts: int = 1
    cached: bool = False
    served_model: str | None = None
    reasoning: str | None = None
    batch: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the completion as plain values; `from_json` is the way back."""
        reasoning = {} if self.reasoning is None else {"reasoning": self.reasoning}
        return {
            **reasoning,
            **({"batch": True} if self.batch else {}),
            "attempt": self.attempts,
            "status": self.status,
            "error": self.error,
            "raw": self.raw,
            "finish_reason": self.finish_reason,
            "logprobs": self.logprobs,
            "usage": self.usage,
            "latency_s": round(self.latency_s, 4),
            "cached": self.cached,
            "model": self.served_model,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Completion:
        """Return the completion that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: It is not what `to_json` writes.
        """
        if row["status"] not in ("ok", "refusal", "error"):
            raise ValueError(f"unknown status {row['status']!r}")
        return cls(
            status=row["status"],
            raw=row["raw"],
            finish_reason=row["finish_reason"],
            error=row["error"],
            logprobs=row["logprobs"],
            usage=row["usage"],
            latency_s=row["latency_s"],
            attempts=row["attempt"],
            cached=row["cached"],
            served_model=row["model"],
            reasoning=row.get("reasoning"),
            batch=row.get("batch", False),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a parser read in a completion.

    Attributes:
        labels: The labels that it said; the empty set only when it said "none of them" explicitly.
        off_list: What stood where a label should and is none, as it was written.
        fields: The fields that it gave; a field that it did not give is absent.
        repaired: True when the text was broken and had to be mended before it could be read.
        probabilities: P(label) in [0, 1] of the labels for which there is one; empty without a source of them.
        mass: For probabilities from token log-probabilities, by label the share of all probability that the tokens
            which could be read hold, in [0, 1]; empty for every other source.
        refused: Labels whose question was refused while others were answered (decision APIs): they stay unanswered.
    """

    labels: frozenset[str]
    off_list: tuple[str, ...] = ()
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    repaired: bool = False
    probabilities: Mapping[str, float] = field(default_factory=dict)
    mass: Mapping[str, float] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()


class ParseFailure(Exception):  # noqa: N818 - the design's word; it is also a value that flows on
    """A completion in which no answer could be read, and why.

    Parsers raise it; `harness.parsing.read` returns it as a value, because a failure is a result like any other.
    """

    def __init__(self, kind: FailureKind, why: str, off_list: tuple[str, ...] = ()) -> None:
        super().__init__(f"{kind}: {why}")
        self.kind = kind
        self.why = why
        self.off_list = off_list


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the passes together say of one sample (in one repeat).

    Attributes:
        labels: The labels that are present. A label that is neither here nor in `unanswered` is absent.
        unanswered: The labels whose cell no pass answered; all of them when the only pass failed.
        failure: Why, when a cell is unanswered; of several reasons the last.
        why: The reason in words, for people.
        off_list: Off-list answers of all passes, in order.
        fields: Fields that were answered.
        asked_fields: Names of the fields that were asked for; one of them that is not in `fields` is unanswered.
        repaired: True when any answer had to be mended.
        probabilities: P(label) of the answered cells that have one, from the pass that answered the cell.
        mass: As in `Answer`.
    """

    sample: str
    labels: frozenset[str]
    unanswered: frozenset[str] = frozenset()
    failure: FailureKind | None = None
    why: str | None = None
    off_list: tuple[str, ...] = ()
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    asked_fields: tuple[str, ...] = ()
    repaired: bool = False
    repeat: int = 0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    mass: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """True when some cell is unanswered."""
        return bool(self.unanswered)

    @property
    def confidence(self) -> float | None:
        """How sure the least sure label is: the smallest ``max(p, 1 - p)``, in [0.5, 1]; None without probabilities."""
        return min((max(p, 1 - p) for p in self.probabilities.values()), default=None)

    def to_json(self, space_order: Mapping[str, int], gold: frozenset[str] | None) -> dict[str, Any]:
        """Return the prediction beside its gold as plain values, labels in label-space order."""

        def ordered(names: frozenset[str]) -> list[str]:
            return sorted(names, key=space_order.__getitem__)

        return {
            "id": self.sample,
            "repeat": self.repeat,
            "gold": None if gold is None else ordered(gold),
            "labels": ordered(self.labels),
            "unanswered": ordered(self.unanswered),
            "failure": None if self.failure is None else str(self.failure),
            "why": self.why,
            "off_list": list(self.off_list),
            "fields": dict(self.fields),
            "asked_fields": list(self.asked_fields),
            "repaired": self.repaired,
            **({"probabilities": _plain(self.probabilities)} if self.probabilities else {}),
            **({"mass": _plain(self.mass)} if self.mass else {}),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any], shared: Shared | None = None) -> Prediction:
        """Return the prediction that `to_json` wrote; ``shared`` is that of the rows of its file."""
        shared = shared or Shared()
        return cls(
            sample=row["id"],
            labels=shared.labels(row["labels"]),
            unanswered=shared.labels(row["unanswered"]),
            failure=None if row["failure"] is None else FailureKind(row["failure"]),
            why=row["why"],
            off_list=tuple(row["off_list"]),
            fields=row["fields"],
            asked_fields=tuple(row["asked_fields"]),
            repaired=row["repaired"],
            repeat=row["repeat"],
            probabilities=shared.weights(row.get("probabilities", {})),
            mass=shared.weights(row.get("mass", {})),
        )
