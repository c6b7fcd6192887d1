"""Votes: draws of one request become one answer, and a draw that failed has no vote."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried

from harness.parsing import Output
from harness.prompt import How, Votes
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.voting import voted

SPACE = space_of("shipping", "quality", "price")
FAILED = ParseFailure(FailureKind.CALL_ERROR, "too slow")
UNREADABLE = ParseFailure(FailureKind.UNPARSEABLE, "only off-list labels: cost", ("cost",))


def said(*labels: str, **probabilities: float) -> Answer:
    """Return an answer with these labels."""
    return Answer(frozenset(labels), probabilities=probabilities)


def voting(*results: Answer | ParseFailure, how: How = "majority", **output: object) -> Answer:
    """Return the answer that draws give together."""
    answer = voted(results, Votes(len(results), how), SPACE, Output(**output))  # type: ignore[arg-type]
    assert isinstance(answer, Answer)
    return answer


def test_without_votes_the_only_result_stands() -> None:
    """A pass that asks once has its answer or failure as it is."""
    answer = said("price", price=0.7)
    assert voted([answer], None, SPACE, Output()) is answer
    assert voted([FAILED], None, SPACE, Output()) is FAILED


@pytest.mark.parametrize(
    ("how", "labels"),
    [
        ("majority", {"shipping", "quality"}),
        ("any", {"shipping", "quality", "price"}),
        ("all", {"shipping"}),
        ("mean", {"shipping", "quality"}),
    ],
)
def test_the_rule_decides(how: How, labels: set[str]) -> None:
    """More than half, one, all, or the mean share against one half; the share is the probability."""
    answer = voting(said("shipping", "quality"), said("shipping", "quality"), said("shipping", "price"), how=how)
    assert answer.labels == labels
    assert answer.probabilities == {"shipping": 1.0, "quality": 0.666667, "price": 0.333333}


def test_half_of_the_votes_are_no_majority() -> None:
    """A tie is no majority, but it reaches a mean's threshold of one half."""
    tie = (said("price"), said())
    assert voting(*tie).labels == frozenset()
    assert voting(*tie, how="mean").labels == {"price"}


def test_the_mass_of_a_mean_is_the_mean_of_masses() -> None:
    """What mean probabilities rest on is told where all draws tell it; a share of votes rests on no tokens."""
    sure = Answer(
        frozenset({"price"}), probabilities={"price": 0.9, "quality": 0.2}, mass={"price": 1.0, "quality": 0.9}
    )
    less = Answer(frozenset(), probabilities={"price": 0.4, "quality": 0.1}, mass={"price": 0.5})
    assert voting(sure, less, how="mean").mass == {"price": 0.75}
    assert voting(sure, less, said(), how="mean").mass == {}
    assert voting(sure, less, how="majority").mass == {}


def test_a_mean_is_measured_against_the_thresholds() -> None:
    """The labels' own thresholds, else the output's, decide about the mean."""
    draws = (said("shipping", "price"), said(), said(), said())
    assert voting(*draws, how="mean", threshold=0.25).labels == {"shipping", "price"}
    assert voting(*draws, how="mean", threshold=0.25, thresholds={"price": 0.3}).labels == {"shipping"}


def test_a_mean_is_that_of_probabilities_where_there_are_any() -> None:
    """Probabilities of every draw go before the share of votes, label by label."""
    draws = (said("price", price=0.9, quality=0.2), said("quality", price=0.2))
    answer = voting(*draws, how="mean")
    assert answer.probabilities == {"shipping": 0.0, "quality": 0.5, "price": 0.55}
    assert answer.labels == {"quality", "price"}
    assert voting(*draws).probabilities["price"] == 0.5


def test_failed_draws_have_no_vote() -> None:
    """The share is that of the draws that answered; what was off-list is kept of all."""
    answer = voting(said("price"), FAILED, UNREADABLE)
    assert answer.labels == {"price"}
    assert answer.probabilities["price"] == 1.0
    assert answer.off_list == ("cost",)


def test_when_all_draws_fail_the_last_failure_stands() -> None:
    """Nobody voted: that is a failure and not the empty set, whatever the rule."""
    for how in ("majority", "any", "all", "mean"):
        assert voted([UNREADABLE, FAILED], Votes(2, how), SPACE, Output()) is FAILED


def test_a_label_is_refused_when_every_draw_refused_it() -> None:
    """Draws that answered decide; a label that none answered stays open."""
    draws = (
        Answer(frozenset({"price"}), refused=frozenset({"shipping", "quality"})),
        Answer(frozenset({"quality"}), refused=frozenset({"shipping"})),
    )
    answer = voting(*draws)
    assert answer.refused == {"shipping"}
    assert answer.labels == {"quality"}
    assert answer.probabilities == {"quality": 1.0, "price": 0.5}


@pytest.mark.parametrize(
    ("given_fields", "value"),
    [
        ([{"mood": "mad"}, {"mood": "happy"}, {"mood": "mad"}], {"mood": "mad"}),
        ([{"mood": "happy"}, {"mood": "mad"}], {"mood": "happy"}),
        ([{}, {"mood": None}], {"mood": None}),
        ([{}, {}], {}),
    ],
)
def test_a_field_has_its_most_frequent_value(
    given_fields: list[dict[str, FieldValue]], value: Mapping[str, FieldValue]
) -> None:
    """Of equally frequent values the first counts; draws without the field have no vote on it."""
    assert voting(*(Answer(frozenset(), fields=fields) for fields in given_fields)).fields == value


def test_one_mended_draw_makes_the_answer_mended() -> None:
    """What had to be mended is counted."""
    assert voting(said(), Answer(frozenset(), repaired=True)).repaired
    assert not voting(said(), said()).repaired


labels = st.frozensets(st.sampled_from(SPACE.names))
draws = st.lists(labels.map(lambda names: Answer(names)) | st.just(FAILED), min_size=1, max_size=7)


@given(draws, st.permutations(range(7)))
@unhurried
def test_votes_do_not_depend_on_the_order_of_draws(results: list[Answer | ParseFailure], order: list[int]) -> None:
    """The same draws in another order elect the same labels."""
    if all(isinstance(each, ParseFailure) for each in results):
        return
    shuffled = [results[at] for at in order if at < len(results)]
    for how in ("majority", "any", "all", "mean"):
        assert voting(*results, how=how).labels == voting(*shuffled, how=how).labels


@given(st.lists(labels.map(lambda names: Answer(names)), min_size=1, max_size=7))
@unhurried
def test_rules_are_nested(results: list[Answer]) -> None:
    """What all draws say the majority says, what the majority says the mean says, and that some draw says."""
    elected = [voting(*results, how=how).labels for how in ("all", "majority", "mean", "any")]
    for narrow, wide in pairwise(elected):
        assert narrow <= wide


@given(labels, st.integers(2, 7))
@unhurried
def test_unanimous_draws_elect_themselves(names: frozenset[str], k: int) -> None:
    """Whatever the rule, draws that agree are the answer."""
    for how in ("majority", "any", "all", "mean"):
        assert voting(*[Answer(names)] * k, how=how).labels == names
