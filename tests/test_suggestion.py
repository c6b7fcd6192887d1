"""What a model is told when it is asked for a better prompt: all that matters, within a budget."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from harness.answerwords import in_words, sample_answers
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.prompt import MessageTemplate, Model, Pass, QuestionTemplates
from harness.scoring import LabelScore
from harness.shots import Shots
from harness.suggestion import (
    DEMONSTRATIONS,
    Digest,
    Unread,
    Wrong,
    blocks,
    drawn,
    fence_for,
    request,
    shortened_to,
)

SPACE = LabelSpace(
    (Label("shipping", "Late or lost", code="s"), Label("price", "Too dear", code="p"), Label("other", code="o")),
    (Field("mood", "choice", ("happy", "mad")),),
)
MESSAGES = (
    MessageTemplate("system", "Labels: {{ labels | join(', ') }}.\n"),
    MessageTemplate("user", "Review: {{ text }}\nLabels:"),
)


def wrong(identity: str, *kinds: str, text: str = "It came late.", raw: str = "price") -> Wrong:
    """Return a wrong sample."""
    return Wrong(identity, {"text": text}, ("shipping",), ("price",), kinds, (raw,))


def score(label: str, **counts: float) -> LabelScore:
    """Return the scores of a label."""
    row = {"support": 4, "predicted": 1, "tp": 0, "fp": 1, "fn": 4, "unanswered": 1, "precision": 0.0, "recall": 0.0}
    return LabelScore(label=label, f1=0.0, **{**row, **counts})


def digest(**changes: Any) -> Digest:
    """Return what went wrong in a small run."""
    made = Digest(
        space=SPACE,
        target=Pass("main", MESSAGES, Model("scripted"), Output()),
        columns=frozenset({"text", "stars"}),
        names=frozenset({"text", "stars", "labels", "groups"}),
        kept=((), ("text",)),
        n_predictions=10,
        n_exact=4,
        labels=(
            score("shipping"),
            score("price", fn=0.5, fp=0, support=2.5, unanswered=0, precision=math.nan, recall=0.8),
        ),
        confused=(("shipping", "price", 3),),
        n_unread={"unparseable": 2, "truncated": 1},
        unread=(
            Unread("unparseable", "no label in it", "I think\nit is late"),
            Unread("truncated", "cut off", "ship"),
        ),
        off_list={"delay": 2},
        wrong=(
            wrong("s1", "missed shipping", "added price"),
            wrong("s2", "unparseable", text="Box\n```\nbroken", raw=""),
        ),
    )
    return replace(made, **changes)


def asked(**options: Any) -> str:
    """Return the text that is sent for a whole prompt."""
    made = request(options.pop("digest", digest()), format_only=False, budget=options.pop("budget", 10_000))
    return made.messages[-1]["content"]


def test_the_whole_request(snapshot: SnapshotAssertion) -> None:
    """Task, labels, prompt, form, rules, results by label, unread answers, wrong samples: and no id of a sample."""
    made = request(digest(), format_only=False, budget=10_000)
    assert [message["role"] for message in made.messages] == ["system", "user"]
    assert made.samples == ("s1", "s2")
    assert (made.n_unread, made.left_out) == (2, ())
    text = "\n".join(message["content"] for message in made.messages)
    assert "s1" not in text
    assert text == snapshot


def test_the_request_about_the_form(snapshot: SnapshotAssertion) -> None:
    """Two worked examples, the form in words, and answers that break it: neither samples nor gold."""
    made = request(digest(), format_only=True, budget=10_000)
    assert made.samples == ()
    assert [message["role"] for message in made.messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert "\n".join(message["content"] for message in made.messages) == snapshot
    none = request(digest(unread=()), format_only=True, budget=10_000)
    assert "- (none of them)" in none.messages[-1]["content"]


@pytest.mark.parametrize(("name", "last"), [("list", "names"), ("yes_no", "word"), ("vector", "numbers")])
def test_the_nearest_example_stands_last(name: str, last: str) -> None:
    """A small model follows what it read last."""
    target = replace(digest().target, output=Output(name), per="label" if name == "yes_no" else "sample")
    made = request(digest(target=target), format_only=True, budget=10_000)
    assert made.messages[-2]["content"] == DEMONSTRATIONS[last][2]


def test_what_has_no_room_is_left_out_in_order() -> None:
    """Wrong samples go first, then unread answers, then pairs; what is left stands even beyond the budget."""
    whole = request(digest(), format_only=False, budget=10_000)
    smaller = request(digest(), format_only=False, budget=whole.tokens - 1)
    assert (smaller.samples, smaller.left_out) == (("s1",), ("1 of 2 wrong samples",))
    least = request(digest(), format_only=False, budget=0)
    assert least.left_out == ("2 of 2 wrong samples", "2 of 2 unread answers", "1 of 1 confused pairs")
    assert least.tokens > least.budget
    assert "Given instead" not in least.messages[-1]["content"]
    assert "2 unparseable, 1 truncated." in least.messages[-1]["content"]


@given(budget=st.integers(0, 2_000))
def test_a_budget_is_kept_where_it_can_be(budget: int) -> None:
    """Whatever is left out, the request is within the budget or nothing more can go."""
    made = request(digest(), format_only=False, budget=budget)
    assert made.tokens <= budget or made.left_out == (
        "2 of 2 wrong samples",
        "2 of 2 unread answers",
        "1 of 1 confused pairs",
    )


def test_settings_of_the_pass_are_told() -> None:
    """Shots, the unit and the condition of a pass change what its words mean."""
    target = replace(digest().target, per="label", when="failed", shots=Shots(()), output=Output("codes"))
    text = asked(digest=digest(target=target))
    assert "For each text it is sent once for each label. It is sent where this holds after the passes before" in text
    assert "Worked examples" in text
    assert "- shipping (code s): Late or lost\n" in text
    assert "\n- other (code o)\n" in text


def test_an_api_that_decides_has_no_form() -> None:
    """There is nothing to say about how an answer is written."""
    questions = QuestionTemplates(MessageTemplate("label", "x"), MessageTemplate("field", "y"))
    target = replace(digest().target, model=Model("m", api="decisions"), questions=questions)
    assert sample_answers(target, SPACE) == ()
    assert "The model answers a question about each label with a probability." in asked(digest=digest(target=target))


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_has_its_sample_answers(name: str) -> None:
    """They are what the format itself writes, and read back as the labels that they stand for."""
    output = Output(
        name, {"containers": {"labels": {"prefix": "<l>", "suffix": "</l>"}}} if name == "containers" else {}
    )
    one = FORMATS[name].one_label
    target = replace(digest().target, output=output, per="label" if one else "sample")
    answers = sample_answers(target, SPACE)
    assert answers
    assert in_words(target)
    unit = target.units(SPACE)[0]
    read = [FORMATS[name].parse(each, unit.space, output, False).labels for each in answers]
    assert read[0] == ({"shipping"} if one else {"shipping", "price"})
    assert read[-1] == set()


def test_a_format_that_cannot_write_them_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels without codes, for example."""

    def fails(*_: object) -> str:
        raise ValueError("no code")

    broken = replace(FORMATS["list"], render=fails)
    monkeypatch.setattr("harness.rendering.FORMATS", {"list": broken})
    assert sample_answers(digest().target, SPACE) == ()


def test_another_separator_is_told_as_it_is() -> None:
    """In quotes, because it may be a space."""
    target = replace(digest().target, output=Output("list", {"separator": ";"}))
    assert in_words(target) == 'the names of the labels that apply, with ";" between them'


def test_a_fence_is_longer_than_what_it_holds() -> None:
    """A template with a fence in it does not end its block."""
    assert fence_for("a", "b") == "```"
    assert blocks([MessageTemplate("user", "````\n{{ text }}\n````\n")]).startswith("`````user\n````\n")


def test_long_texts_are_shortened() -> None:
    """To one line, with an ellipsis."""
    assert shortened_to("a\n b", 9) == "a b"
    assert shortened_to("word " * 9, 10) == "word word…"


def test_samples_are_drawn_over_all_kinds() -> None:
    """In turn one of every kind, the most frequent first; a larger number begins with the smaller one's."""
    many = [wrong(f"m{at}", "missed price") for at in range(9)]
    few = [wrong("u1", "unparseable"), wrong("b1", "added price", "missed price")]
    found = [each.sample for each in drawn([*many, *few], 4, seed=0)]
    assert {"u1", "b1"} <= set(found[:3])
    assert [each.sample for each in drawn([*many, *few], 2, seed=0)] == found[:2]
    assert [each.sample for each in drawn([*few, *many], 4, seed=0)] != [
        each.sample for each in drawn([*few, *many], 4, seed=1)
    ]
    assert drawn([], 4, seed=0) == ()


@given(n=st.integers(0, 12), seed=st.integers())
def test_no_sample_is_drawn_twice(n: int, seed: int) -> None:
    """However many kinds of error it has."""
    samples = [wrong(str(at), *(f"k{kind}" for kind in range(at % 3 + 1))) for at in range(8)]
    found = [each.sample for each in drawn(samples, n, seed)]
    assert len(found) == len(set(found)) == min(n, 8)
