"""Conditions on one thing that a `when` can see: what the answer so far is, what stands in a column, which words.

Each is made with its mask, by NumPy, and must be true of just the cases of which `harness.template.expression` says so.
"""

from __future__ import annotations

import typing
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, TypeAlias

import numpy as np

from harness.cases import EXACT_FLOATS, Cases, Column, input_columns
from harness.metrics import BoolMatrix, BoolVector, FloatVector, IntVector
from harness.outcomes import FloatMatrix
from harness.standout import LEAST_TEXTS, Vocabulary, stand_out, vocabulary
from harness.template import words

Kind: TypeAlias = typing.Literal[
    "failure",
    "off_list",
    "n_predicted",
    "predicted",
    "confidence",
    "scores",
    "field",
    "column",
    "number",
    "length",
    "word",
]

KINDS: tuple[Kind, ...] = typing.get_args(Kind)
"""What a condition is about; of equal triggers that of the earlier kind is kept."""

TENTHS = tuple(tenth / 10 for tenth in range(1, 10))
"""The quantiles at which numbers are cut."""

NEAREST = (0.05, 0.1, 0.2)
"""Shares of the cases that count as near the boundary of a label, on each side of it."""

LONGEST_VALUE = 60
"""Characters of a value that an expression names."""

COMMON = 0.5
"""Share of the cases from which on a word is too common to be a condition: it stands in any text of some length."""

FUNCTION_WORDS = frozenset(
    words(
        """a about after all also am an and any are as at be been before being by can could did do does for from had has have
        he her his how i i'm i've if in into is it it's its just me more my of on or our out over she so some than that the
        their them then there these they this those to up us very was we were what when where which who will with would
        you your"""
    )
)
"""English words that stand in a text for its grammar, whatever it is about; those that deny or limit (not, but, only) are
none of them. Of other languages `COMMON` keeps the most frequent out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many conditions are made, and what they must hold; counts of cases are for one repeat.

    Attributes:
        least_sent: Samples that a trigger must send.
        least_errors: Errors that it must catch.
        price: Share of the samples that a trigger may send to be of use; most of the conjunctions keep to it.
        labels: Labels whose probabilities are cut: those with the most errors.
        values: Values of a column that are named: the most frequent.
        words: Words that are conditions by themselves: those that stand out most among the wrong samples.
        partners: Frequent words that may be conditions in a conjunction.
        bases: Triggers that conjunctions start from.
        conjunctions: Conjunctions that are kept of each number of conditions, twice as many at most.
        terms: Conditions of a trigger.
        most: Triggers at all.
    """

    least_sent: int = 5
    least_errors: int = 3
    price: float = 1.0
    labels: int = 40
    values: int = 30
    words: int = 60
    partners: int = 300
    bases: int = 80
    conjunctions: int = 600
    terms: int = 2
    most: int = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """One condition.

    Attributes:
        source: The expression.
        opposite: The expression that is true of all other cases; empty where it is of no use.
        kind: What it is about.
        mask: Where it is true, shape (n_rows,).
        alone: Whether it can be a trigger by itself; else only a part of one.
        looked: Conditions of its kind that were looked at: the best of many may be the best by chance.
    """

    source: str
    opposite: str
    kind: Kind
    mask: BoolVector
    alone: bool = True
    looked: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """The different values of a column or field that an expression may name, and which case has which.

    Attributes:
        values: Each once.
        codes: Of each case the place of its value among them, -1 where it is none of them: shape (n_rows,).
    """

    values: tuple[Any, ...]
    codes: IntVector

    @classmethod
    def of(cls, values: Sequence[Any]) -> Named:
        """Return those of the values of all cases."""
        places: dict[Any, int] = {}
        codes = [places.setdefault(each, len(places)) if _is_named(each) else -1 for each in values]
        return cls(tuple(places), np.array(codes, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What a `when` can tell cases by, as arrays over the cases; made once, whichever cases are given later.

    Attributes:
        cases: The cases.
        predicted: The labels said so far, shape (n_rows, n_labels).
        failures: The kind of failure, None where nothing failed.
        scores: P(label), NaN where there is none, shape (n_rows, n_labels); None where no case has any.
        confidence: Shape (n_rows,); None where no case has a probability.
        fields: The fields answered so far by name: their values, None where one was not answered.
        columns: The input columns that an expression can name.
        named: Of those of them that hold no texts the values.
        vocabularies: The words of the columns that hold texts, by name.
    """

    cases: Cases
    predicted: BoolMatrix
    failures: tuple[str | None, ...]
    scores: FloatMatrix | None
    confidence: FloatVector | None
    fields: Mapping[str, Named]
    columns: tuple[Column, ...]
    named: Mapping[str, Named]
    vocabularies: Mapping[str, Vocabulary]


def signals_of(cases: Cases) -> Signals:
    """Return what the contexts of the cases hold.

    Raises:
        KeyError: A context lacks a name of the answer so far: `predicted`, `failed`, `failure`, `off_list`, `fields`,
            `scores`, `confidence`.
    """
    contexts = [row.context for row in cases.rows]
    names = cases.space.names
    scores = np.array([[context["scores"][name] for name in names] for context in contexts], np.float64)
    weighed = bool(scores.size) and not np.isnan(scores).all()
    fields = dict.fromkeys(name for context in contexts for name in context["fields"])
    columns = input_columns(cases.rows)
    return Signals(
        cases=cases,
        predicted=cases.space.vectors(context["predicted"] for context in contexts),
        failures=tuple(context["failure"] for context in contexts),
        scores=scores if weighed else None,
        confidence=np.array([context["confidence"] for context in contexts], np.float64) if weighed else None,
        fields={name: Named.of([context["fields"].get(name) for context in contexts]) for name in fields},
        columns=columns,
        named={each.name: Named.of(each.values) for each in columns if not each.text and not each.flag},
        vocabularies={each.name: vocabulary(each.values, LEAST_TEXTS) for each in columns if each.text},
    )


def literals(signals: Signals, rows: IntVector, limits: Limits) -> Iterator[Literal]:
    """Yield the conditions that tell some of the given cases from others.

    Args:
        signals: Of all cases.
        rows: The given cases: thresholds, values and words are taken from these.
        limits: How many of each.
    """
    least = limits.least_sent * signals.cases.n_repeats
    made = [
        *_of_failures(signals),
        *_of_labels(signals, rows, least),
        *_of_scores(signals, rows, limits),
        *(each for name, named in signals.fields.items() for each in _of_field(name, named, rows, limits, least)),
        *(each for column in signals.columns for each in _of_column(signals, column, rows, limits, least)),
        *_of_words(signals, rows, limits, least),
    ]
    counts = Counter(each.kind for each in made)
    for each in made:
        n = np.count_nonzero(each.mask[rows])
        if 0 < n < len(rows):
            yield replace(each, looked=max(each.looked, counts[each.kind]))


# --- the answer so far ------------------------------------------------------------------------------------------------


def _of_failures(signals: Signals) -> Iterator[Literal]:
    contexts = [row.context for row in signals.cases.rows]
    yield Literal("failed", "not failed", "failure", np.array([bool(each["failed"]) for each in contexts], np.bool_))
    for kind in sorted({kind for kind in signals.failures if kind is not None}):
        mask = np.array([found == kind for found in signals.failures], np.bool_)
        yield Literal(f"failure == {quoted(kind)}", f"failure != {quoted(kind)}", "failure", mask)
    off_list = np.array([bool(each["off_list"]) for each in contexts], np.bool_)
    yield Literal("off_list", "not off_list", "off_list", off_list)


def _of_labels(signals: Signals, rows: IntVector, least: int) -> Iterator[Literal]:
    n = np.count_nonzero(signals.predicted, axis=1)
    yield Literal("n_predicted == 0", "n_predicted > 0", "n_predicted", n == 0)
    for k in range(2, int(n[rows].max(initial=0)) + 1):
        yield Literal(f"n_predicted >= {k}", f"n_predicted < {k}", "n_predicted", n >= k)
    counts = np.count_nonzero(signals.predicted[rows], axis=0)
    for place in np.flatnonzero(counts >= least).tolist():
        name = quoted(signals.cases.space.names[place])
        yield Literal(f"{name} in predicted", f"{name} not in predicted", "predicted", signals.predicted[:, place])


def _of_scores(signals: Signals, rows: IntVector, limits: Limits) -> Iterator[Literal]:
    """Yield conditions on the confidence and on probabilities near where a label begins to be said."""
    if signals.scores is None or signals.confidence is None:
        return
    for cut in _cuts(signals.confidence[rows]):
        below = signals.confidence < cut.below
        yield Literal(f"confidence < {cut.below!r}", f"confidence >= {cut.below!r}", "confidence", below)
    wrong = np.count_nonzero(signals.cases.wrong_cells[rows], axis=0)
    for place in np.argsort(-wrong, kind="stable")[: limits.labels].tolist():
        scores, said = signals.scores[:, place], signals.predicted[:, place]
        name = f"scores[{quoted(signals.cases.space.names[place])}]"
        for low, high in _windows(scores[rows], said[rows]):
            source = (
                f"{name} < {high!r}" if low < 0 else f"{name} > {low!r}" if high > 1 else f"{low!r} < {name} < {high!r}"
            )
            yield Literal(source, "", "scores", (low < scores) & (scores < high))


def _windows(scores: FloatVector, said: BoolVector) -> list[tuple[float, float]]:
    """Return the intervals of probabilities near the boundary between labels that are said and those that are not.

    They hold the `NEAREST` shares of the cases, on one side of it or on both. An open end is -1 or 2.
    """
    known = ~np.isnan(scores)
    order = np.argsort(scores[known], kind="stable")
    values, said = scores[known][order], said[known][order]
    n = len(values)
    # The boundary is where the fewest cases are on the wrong side of it.
    strays = np.concatenate([[0], np.cumsum(said)]) + np.concatenate([np.cumsum(~said[::-1])[::-1], [0]])
    at = int(strays.argmin())
    found: dict[tuple[float, float], None] = {}
    for share in NEAREST:
        reach = max(1, round(share * n))
        low, high = _above(values, max(at - reach, 0)), _below(values, min(at + reach, n))
        found |= dict.fromkeys([(low, high), (low, _below(values, at)), (_above(values, at), high)])
    return [(low, high) for low, high in found if low < high and (low, high) != (-1, 2)]


def _above(values: FloatVector, at: int) -> float:
    """Return a short number that the sorted values from ``at`` on are above, and none before; -1 without any before."""
    if at == 0:
        return -1
    low, high = float(values[at - 1]), float(values[min(at, len(values) - 1)])
    return shortest(low, high, at_low=True) if low < high else low


def _below(values: FloatVector, at: int) -> float:
    """Return a short number that the sorted values before ``at`` are below, and none after; 2 without any after."""
    if at == len(values):
        return 2
    low, high = float(values[max(at - 1, 0)]), float(values[at])
    return shortest(low, high, at_low=False) if low < high else high


# --- fields and columns -----------------------------------------------------------------------------------------------


def _of_field(name: str, named: Named, rows: IntVector, limits: Limits, least: int) -> Iterator[Literal]:
    yield from _equalities(f"fields.get({quoted(name)})", named, rows, limits, least, "field")


def _of_column(signals: Signals, column: Column, rows: IntVector, limits: Limits, least: int) -> Iterator[Literal]:
    if column.flag:
        yield Literal(column.name, f"not {column.name}", "column", np.array(column.values, np.bool_))
        return
    if not column.text:
        yield from _equalities(column.name, signals.named[column.name], rows, limits, least, "column")
    if column.numbers is not None:
        yield from _thresholds(column.number_source, column.numbers, rows, "number")
    elif column.text:
        lengths = np.array([len(value) for value in column.values], np.float64)
        yield from _thresholds(f"{column.name} | length", lengths, rows, "length")


def _equalities(
    source: str, named: Named, rows: IntVector, limits: Limits, least: int, kind: Kind
) -> Iterator[Literal]:
    counts = Counter(code for code in named.codes[rows].tolist() if code >= 0)
    for code, n in counts.most_common(limits.values):
        if n >= least:
            value = _value(named.values[code])
            yield Literal(f"{source} == {value}", f"{source} != {value}", kind, named.codes == code)


def _is_named(value: Any) -> bool:
    """Return whether an expression may name a value: a short text, a whole number, a bool or none."""
    if isinstance(value, str):
        return len(value) <= LONGEST_VALUE
    return value is None or (isinstance(value, int) and abs(value) <= EXACT_FLOATS)


def _value(value: str | int | bool | None) -> str:
    return quoted(value) if isinstance(value, str) else repr(value).lower()


def _thresholds(source: str, numbers: FloatVector, rows: IntVector, kind: Kind) -> Iterator[Literal]:
    for cut in _cuts(numbers[rows]):
        yield Literal(f"{source} > {cut.above!r}", "", kind, numbers > cut.above)
        yield Literal(f"{source} < {cut.below!r}", "", kind, numbers < cut.below)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where numbers are cut in two: what is above the lower part, and what is below the upper one."""

    above: float
    below: float


def _cuts(numbers: FloatVector) -> list[_Cut]:
    """Return cuts at the `TENTHS` of numbers, each between two neighbouring values, with the shortest number there."""
    values, counts = np.unique(numbers, return_counts=True)
    reached = np.cumsum(counts)
    places = dict.fromkeys(int(np.searchsorted(reached, tenth * len(numbers))) for tenth in TENTHS)
    pairs = [(float(values[at]), float(values[at + 1])) for at in places if at + 1 < len(values)]
    return [_Cut(shortest(low, high, at_low=True), shortest(low, high, at_low=False)) for low, high in pairs]


# --- words ------------------------------------------------------------------------------------------------------------


def _of_words(signals: Signals, rows: IntVector, limits: Limits, least: int) -> Iterator[Literal]:
    for name, known in signals.vocabularies.items():
        present = known.present[rows]
        counts = np.count_nonzero(present, axis=0)
        telling = np.array([word not in FUNCTION_WORDS for word in known.words], np.bool_)
        frequent = np.flatnonzero((counts >= least) & (counts <= COMMON * len(rows)) & telling)
        _, z = stand_out(present[:, frequent], signals.cases.wrong[rows])
        order = frequent[np.argsort(-np.round(np.nan_to_num(z), 9), kind="stable")][: limits.words]
        alone = frozenset(order.tolist())
        for place in sorted(alone | frozenset(frequent[: limits.partners].tolist())):
            word = quoted(known.words[place])
            source, opposite = f"{word} in {name} | words", f"{word} not in {name} | words"
            mask = known.present[:, place]
            yield Literal(source, opposite, "word", mask, alone=place in alone, looked=len(frequent))


# --- writing expressions ----------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """Return a text as Jinja writes it: in single quotes, or in double ones where only single ones stand in it.

    Control characters, lone surrogates and line ends are written as code points.
    """
    quote = '"' if "'" in text and '"' not in text else "'"
    return quote + "".join(_written(character, quote) for character in text) + quote


def _written(character: str, quote: str) -> str:
    if character in ("\\", quote):
        return f"\\{character}"
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return f"\\u{ord(character):04x}"
    return character


def shortest(low: float, high: float, *, at_low: bool) -> float:
    """Return the number with the fewest digits from ``low`` to ``high``, an int where it is whole.

    Args:
        low: Below ``high``.
        high: Above ``low``.
        at_low: Whether it may be ``low`` and must not be ``high``; else the other way round.
    """
    first, last, edge = Decimal(repr(low)), Decimal(repr(high)), ROUND_CEILING if at_low else ROUND_FLOOR
    for digits in range(-(last - first).adjusted() - 1, 20):
        step = Decimal(1).scaleb(-digits)
        found = ((first if at_low else last) / step).to_integral_value(edge) * step
        number = int(found) if found == found.to_integral_value() else float(found)
        if low <= number < high if at_low else low < number <= high:
            return number
    return low if at_low else high
