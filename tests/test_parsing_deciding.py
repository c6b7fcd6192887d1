"""Thresholds: when probabilities decide, when the words do, and what is stored of both."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of

from harness.labelspace import LabelSpace
from harness.parsing import Output, read
from harness.parsing.deciding import decided, rounded
from harness.records import Answer, Completion, FailureKind, ParseFailure

AB = space_of("a", "b")
SAID_A = Answer(frozenset({"a"}), off_list=("x",), fields={"mood": "mad"}, repaired=True)


def failed(kind: FailureKind) -> ParseFailure:
    """Return a failure of that kind, with an off-list word."""
    return ParseFailure(kind, "why", ("x",))


def labels(result: Answer | ParseFailure) -> frozenset[str]:
    """Return the labels of an answer."""
    assert isinstance(result, Answer)
    return result.labels


def test_without_thresholds_the_words_decide() -> None:
    """Probabilities and their mass are stored beside what the words say, and change nothing of it."""
    found = decided(SAID_A, {"a": 0.1, "b": 0.9}, {"a": 0.8, "b": 0.7}, AB, Output())
    expected = Answer(frozenset({"a"}), ("x",), {"mood": "mad"}, True, {"a": 0.1, "b": 0.9}, {"a": 0.8, "b": 0.7})
    assert found == expected


def test_with_thresholds_probabilities_decide() -> None:
    """A label is present from its threshold on, whatever the words say; all else of the answer is kept."""
    found = decided(SAID_A, {"a": 0.1, "b": 0.5}, {}, AB, Output(threshold=0.5))
    assert found == Answer(frozenset({"b"}), ("x",), {"mood": "mad"}, True, {"a": 0.1, "b": 0.5})


def test_a_label_goes_by_its_own_threshold() -> None:
    """Thresholds by label go before the common one, which is 0.5 where the output names none."""
    numbers = {"a": 0.4, "b": 0.45}
    assert labels(decided(SAID_A, numbers, {}, AB, Output(thresholds={"b": 0.3}))) == {"b"}
    assert labels(decided(SAID_A, numbers, {}, AB, Output(threshold=0.4, thresholds={"b": 0.9}))) == {"a"}


@pytest.mark.parametrize("output", [Output(), Output(threshold=0.9)])
def test_without_probabilities_nothing_changes(output: Output) -> None:
    """What has no probability stays as the words have it, and none is invented."""
    for result in (SAID_A, failed(FailureKind.UNPARSEABLE)):
        assert decided(result, {}, {}, AB, output) is result


def test_a_label_without_a_probability_stays_as_it_was_said() -> None:
    """Where only some labels have a probability, the words decide about the others."""
    assert labels(decided(SAID_A, {"b": 0.9}, {}, AB, Output(threshold=0.5))) == {"a", "b"}
    assert labels(decided(SAID_A, {"a": 0.2}, {}, AB, Output(threshold=0.5))) == frozenset()


@pytest.mark.parametrize("kind", [FailureKind.UNPARSEABLE, FailureKind.TRUNCATED])
def test_thresholds_read_what_words_do_not_say(kind: FailureKind) -> None:
    """An answer that is unreadable or cut is decided by thresholds when every label has a probability, and only then."""
    whole = {"a": 0.7, "b": 0.2}
    expected = Answer(frozenset({"a"}), ("x",), probabilities=whole)
    assert decided(failed(kind), whole, {}, AB, Output(threshold=0.5)) == expected
    for numbers, output in (({"a": 0.7}, Output(threshold=0.5)), (whole, Output())):
        failure = failed(kind)
        assert decided(failure, numbers, {}, AB, output) is failure


@pytest.mark.parametrize("kind", [FailureKind.REFUSAL, FailureKind.CALL_ERROR])
def test_a_refusal_stays_one(kind: FailureKind) -> None:
    """What the model refused, or what never came, is not decided by the probabilities of other words."""
    failure = failed(kind)
    assert decided(failure, {"a": 0.7, "b": 0.2}, {}, AB, Output(threshold=0.5)) is failure


def test_a_refused_label_has_no_probability() -> None:
    """A label whose question was refused stays unanswered, whatever is known of it."""
    refused = Answer(frozenset(), refused=frozenset({"a"}))
    found = decided(refused, {"a": 0.9, "b": 0.9}, {"a": 1.0, "b": 1.0}, AB, Output(threshold=0.5))
    assert found == Answer(frozenset({"b"}), probabilities={"b": 0.9}, mass={"b": 1.0}, refused=frozenset({"a"}))
    assert decided(refused, {"a": 0.9}, {}, AB, Output(threshold=0.5)) is refused


def test_names_outside_of_the_label_space_are_dropped() -> None:
    """A probability of what was not asked about is not stored."""
    assert decided(Answer(frozenset()), {"c": 0.9}, {"c": 1.0}, AB, Output(threshold=0.5)) == Answer(frozenset())


def test_what_decides_is_what_is_stored() -> None:
    """A probability is compared as it is stored: scoring again from the files decides the same."""
    just_under = 0.4999999999
    found = decided(Answer(frozenset()), {"a": just_under}, {}, space_of("a"), Output(threshold=0.5))
    assert found == Answer(frozenset({"a"}), probabilities={"a": 0.5})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-0.1, 0.0), (1.1, 1.0), (1 / 3, 0.333333), (1e-9, 1e-9), (0.12345678, 0.123457), (math.nan, 0.0)],
)
def test_rounding_keeps_six_digits_within_the_range(value: float, expected: float) -> None:
    """Six significant digits, so that small probabilities do not vanish; nothing is outside of [0, 1]."""
    assert rounded(value) == expected


numbers = st.dictionaries(st.sampled_from("abc"), st.floats(0, 1))


@given(
    said=st.frozensets(st.sampled_from("abc")),
    probabilities=numbers,
    lower=st.floats(0, 1),
    higher=st.floats(0, 1),
    own=numbers,
)
def test_raising_a_threshold_adds_no_label(
    said: frozenset[str], probabilities: Mapping[str, float], lower: float, higher: float, own: Mapping[str, float]
) -> None:
    """Labels shrink or stay when thresholds rise."""
    lower, higher = sorted((lower, higher))
    found = [
        labels(
            decided(Answer(said), probabilities, {}, space_of("a", "b", "c"), Output(threshold=each, thresholds=own))
        )
        for each in (lower, higher)
    ]
    assert found[1] <= found[0]


# --- from a completion on --------------------------------------------------------------------------------------------

SPACE: LabelSpace = space_of("shipping")


def answered(
    text: str, yes: float, no: float, threshold: float | None = None, finish: str = "length"
) -> Answer | ParseFailure:
    """Return what is read in a completion of one token, with the probabilities of yes and no."""
    listed = [{"token": word, "logprob": math.log(p)} for word, p in (("Yes", yes), ("No", no), ("The", 1 - yes - no))]
    own = next((each["logprob"] for each in listed if each["token"] == text), -3.0)
    logprobs = {"content": [{"token": text, "logprob": own, "top_logprobs": listed}]}
    return read(Completion("ok", text, finish, logprobs=logprobs), SPACE, Output("yes_no", threshold=threshold))


def test_words_and_probabilities_of_a_completion() -> None:
    """Without a threshold "Yes" is a yes of 0.6; with one of 0.7 it is none; with one of 0.3 a "No" of 0.4 is a yes."""
    assert answered("Yes", 0.6, 0.3) == Answer(
        frozenset({"shipping"}), probabilities={"shipping": 0.666667}, mass={"shipping": 0.9}
    )
    assert labels(answered("Yes", 0.6, 0.3, threshold=0.7)) == frozenset()
    assert labels(answered("No", 0.3, 0.4, threshold=0.3)) == {"shipping"}


def test_a_completion_without_a_word_is_decided_by_its_threshold() -> None:
    """A cut "The" says nothing in words; with a threshold its probabilities do, unless they rest on too little."""
    found = answered("The", 0.3, 0.1)
    assert isinstance(found, ParseFailure)
    assert found.kind is FailureKind.TRUNCATED
    assert labels(answered("The", 0.3, 0.1, threshold=0.5)) == {"shipping"}
    little = answered("The", 0.02, 0.01, threshold=0.5)
    assert isinstance(little, ParseFailure)
    assert little.kind is FailureKind.TRUNCATED


def test_a_completion_that_refuses_is_a_refusal() -> None:
    """A refusal in words is not outvoted by what the first token could have been."""
    found = answered("I'm sorry, but I can't help with that.", 0.5, 0.1, threshold=0.5, finish="stop")
    assert isinstance(found, ParseFailure)
    assert found.kind is FailureKind.REFUSAL
