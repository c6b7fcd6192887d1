"""Token log-probabilities: the shapes of all APIs become the same tokens, and what cannot be read becomes none."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.parsing.tokens import Token, tokens_of


def chat(*entries: Any) -> dict[str, Any]:
    """Return log-probabilities in the shape of the chat API."""
    return {"content": list(entries)}


def entry(token: Any, logprob: Any, **top: Any) -> dict[str, Any]:
    """Return one token of the chat API with what is listed beside it."""
    return {"token": token, "logprob": logprob, "top_logprobs": [{"token": k, "logprob": v} for k, v in top.items()]}


def test_the_chat_shape() -> None:
    """Every listed token has its probability, the generated one too when it is not among them."""
    found = tokens_of(
        chat(entry("Yes", math.log(0.5), Yes=math.log(0.5), No=math.log(0.25)), entry("!", math.log(0.1), x=-1))
    )
    assert [each.text for each in found] == ["Yes", "!"]
    assert found[0].top == pytest.approx({"Yes": 0.5, "No": 0.25})
    assert found[1].top == pytest.approx({"!": 0.1, "x": math.exp(-1)})


@pytest.mark.parametrize("top", [[], None])
def test_without_a_list_only_the_generated_token_is_known(top: Any) -> None:
    """A server that was not asked for alternatives lists none."""
    assert tokens_of(chat({"token": "Yes", "logprob": 0.0, "top_logprobs": top})) == (Token("Yes", {"Yes": 1.0}),)
    assert tokens_of(chat({"token": "Yes", "logprob": 0.0})) == (Token("Yes", {"Yes": 1.0}),)


def test_the_shape_of_legacy_completions() -> None:
    """OpenAI's completions have three lists side by side."""
    logprobs = {
        "tokens": [" a", "b"],
        "token_logprobs": [math.log(0.5), -1.0],
        "top_logprobs": [{" a": math.log(0.5)}, None],
    }
    assert tokens_of(logprobs) == (Token(" a", {" a": 0.5}), Token("b", {"b": math.exp(-1.0)}))
    assert tokens_of({"tokens": ["a"]}) == (Token("a", {}),)
    assert tokens_of({"tokens": ["a"], "token_logprobs": [None], "top_logprobs": [{"b": 0.0}]}) == (
        Token("a", {"b": 1.0}),
    )


def test_tokens_of_one_text_are_summed() -> None:
    """A server that does not show the space before a word lists the word twice; both are it."""
    listed = [{"token": "yes", "logprob": math.log(0.25)}, {"token": "yes", "logprob": math.log(0.5)}]
    (found,) = tokens_of(chat({"token": "yes", "logprob": math.log(0.5), "top_logprobs": listed}))
    assert found.top == pytest.approx({"yes": 0.75})


@pytest.mark.parametrize(
    ("logprob", "probability"), [(-9999.0, 0.0), (-3.4e38, 0.0), (0.0, 1.0), (0.00001, 1.0), (float("-inf"), 0)]
)
def test_probabilities_are_within_their_range(logprob: float, probability: float) -> None:
    """What cannot be is 0, and rounding never makes more than 1."""
    assert tokens_of(chat(entry("x", logprob)))[0].top == {"x": probability}


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        "text",
        [],
        {},
        {"content": None},
        {"content": "x"},
        {"content": [None]},
        {"content": [{"token": "a"}]},
        {"content": [{"token": "a", "prob": 0.5, "top_probs": []}]},
        {"content": [{"token": 1, "logprob": 0.0}]},
        {"content": [{"token": "a", "logprob": "x"}]},
        {"content": [{"token": "a", "logprob": float("nan")}]},
        {"content": [{"token": "a", "logprob": -(10**400)}]},
        {"content": [{"token": "a", "logprob": 0.0, "top_logprobs": [{"token": ["b"], "logprob": 0.0}]}]},
        {"content": [{"token": "a", "logprob": 0.0, "top_logprobs": 7}]},
        {"tokens": ["a", "b"], "token_logprobs": [0.0]},
        {"tokens": ["a"], "top_logprobs": [["b"]]},
        {"tokens": "a"},
    ],
)
def test_what_cannot_be_read_is_no_tokens(logprobs: Any) -> None:
    """Any other shape, what llama.cpp gives after sampling among them, has no probabilities and raises nothing."""
    assert tokens_of(logprobs) == ()


def test_an_unknown_probability_beside_known_ones_is_left_out() -> None:
    """A listed token without a log-probability is not listed."""
    assert tokens_of(chat(entry("a", 0.0, a=0.0, b=None))) == (Token("a", {"a": 1.0}),)


entries = st.tuples(st.text(max_size=3), st.floats(-20, 0))


@given(listed=st.lists(entries, max_size=8), order=st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(listed: list[tuple[str, float]], order: Any) -> None:
    """The same tokens in any order have the same probabilities, to the last bit."""
    shuffled = list(listed)
    order.shuffle(shuffled)
    first, second = (
        tokens_of(chat({"token": "x", "logprob": -1.0, "top_logprobs": [{"token": t, "logprob": p} for t, p in each]}))
        for each in (listed, shuffled)
    )
    assert first == second
    assert all(0 <= value <= 1 for value in first[0].top.values())


shapes = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "tokens", "token", "logprob", "top_logprobs", "token_logprobs"]), inner
        )
    ),
    max_leaves=12,
)


@given(logprobs=shapes)
def test_no_shape_raises(logprobs: Any) -> None:
    """Whatever a server sends as log-probabilities, nothing is raised."""
    for each in tokens_of(json.loads(json.dumps(logprobs))):
        assert isinstance(each.text, str)
