"""A prompt as a value: its hash, its way to JSON and back, and the messages that it becomes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried

from harness.parsing import Output
from harness.prompt import Candidates, Engine, MessageTemplate, Model, Pass, Prompt, without_answer
from harness.records import FailureKind, Prediction, Sample
from harness.rendering import (
    ANSWER_NAMES,
    TASK_NAMES,
    WEIGHED_NAMES,
    Said,
    answer_context,
    base_context,
    columns_of,
    known_names,
    render_call,
    runs_now,
    shot_turn,
)
from harness.shots import Shots
from harness.template import TemplateError

SPACE = space_of("shipping", "quality", "price")
SHOT = Sample("w1", {"text": "Lost."}, frozenset({"shipping"}), {"mood": "mad"})
MODEL = Model("m", base_url="http://localhost/v1", params={"temperature": 0})
PASS = Pass(
    "first",
    (MessageTemplate("system", "Label."), MessageTemplate("user", "{{ text }}")),
    MODEL,
    Output("json", {"labels_key": "found"}, ("mood",)),
    Shots((SHOT,)),
)
SECOND = Pass("second", (MessageTemplate("user", "{{ text }}"),), MODEL, Output(), None, "failed", ("price",))
PROMPT = Prompt("v2", (PASS, SECOND), "v1", "notes", Path("d.yaml"), {"tone": "calm"}, Path("prompts/v2.yaml"))


def first(**changes: Any) -> Prompt:
    """Return the prompt with a changed first pass."""
    return replace(PROMPT, passes=(replace(PASS, **changes), SECOND))


def second(**changes: Any) -> Prompt:
    """Return the prompt with a changed second pass."""
    return replace(PROMPT, passes=(PASS, replace(SECOND, **changes)))


# --- hash -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        replace(PROMPT, passes=(PASS,)),
        replace(PROMPT, passes=(SECOND, PASS)),
        replace(PROMPT, variables={"tone": "stern"}),
        replace(PROMPT, variables={}),
        first(name="other"),
        first(messages=PASS.messages[1:]),
        first(messages=(MessageTemplate("developer", "Label."), PASS.messages[1])),
        first(messages=(MessageTemplate("system", "Label!"), PASS.messages[1])),
        first(model=replace(MODEL, params={"temperature": 1})),
        first(model=replace(MODEL, params={})),
        first(output=replace(PASS.output, format="list")),
        first(output=replace(PASS.output, options={})),
        first(output=replace(PASS.output, fields=())),
        first(shots=None),
        first(shots=Shots((SHOT, SHOT))),
        first(shots=Shots((replace(SHOT, inputs={"text": "Lost!"}),))),
        first(shots=Shots((replace(SHOT, labels=frozenset()),))),
        first(shots=Shots((replace(SHOT, fields={"mood": "happy"}),))),
        second(when="not failed"),
        second(when=None),
        second(scope=()),
        second(candidates=Candidates(2)),
        second(candidates=Candidates(3, examples=(SHOT,))),
    ],
)
def test_whatever_changes_what_is_asked_changes_the_hash(changed: Prompt) -> None:
    """The prompt hash covers passes, templates, params, outputs, shots' content, conditions, scopes and variables."""
    assert changed.hash != PROMPT.hash


@pytest.mark.parametrize(
    "changed",
    [
        replace(PROMPT, version="v9"),
        replace(PROMPT, parent=None),
        replace(PROMPT, notes="other"),
        replace(PROMPT, path=None),
        replace(PROMPT, dataset=None),
        first(model=replace(MODEL, name="n")),
        first(model=replace(MODEL, base_url=None)),
        first(model=replace(MODEL, engine=Engine(slots=2))),
        first(messages=tuple(replace(each, line=7) for each in PASS.messages)),
    ],
)
def test_whatever_changes_only_who_is_asked_or_why_keeps_the_hash(changed: Prompt) -> None:
    """The prompt hash does not cover version, parent, notes, paths, model name, base URL or engine."""
    assert changed.hash == PROMPT.hash


def test_examples_of_candidates_are_part_of_what_is_asked() -> None:
    """Other examples choose other labels: they change the hash. Without any the plain values are what they were."""
    plain = second(candidates=Candidates(2))
    given = second(candidates=Candidates(2, examples=(SHOT,)))
    other = second(candidates=Candidates(2, examples=(replace(SHOT, inputs={"text": "Lost!"}),)))
    assert len({plain.hash, given.hash, other.hash}) == 3
    assert plain.to_json()["passes"][1]["candidates"] == {"k": 2, "by": "tfidf", "model": None}
    for prompt in (plain, given, second(candidates=Candidates(2, "embeddings", "e5", (SHOT,)))):
        again = Prompt.from_json(json.loads(json.dumps(prompt.to_json())))
        assert again.passes[1].candidates == prompt.passes[1].candidates
        assert again.hash == prompt.hash


# --- JSON -------------------------------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8"), max_size=8)
plain: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | words
models = st.builds(
    Model,
    name=words,
    base_url=st.none() | words,
    params=st.dictionaries(words, plain, max_size=2),
    engine=st.builds(
        Engine, slots=st.integers(1, 4), threads=st.none() | st.integers(1, 4), prefix_reuse=st.booleans()
    ),
)
samples = st.builds(
    Sample,
    id=words,
    inputs=st.dictionaries(words, plain, max_size=2),
    labels=st.none() | st.frozensets(words, max_size=2),
    fields=st.dictionaries(words, st.none() | st.booleans() | words, max_size=2),
)
passes = st.builds(
    Pass,
    name=words,
    messages=st.lists(st.builds(MessageTemplate, role=words, source=words), max_size=2).map(tuple),
    model=models,
    output=st.builds(
        Output,
        format=words,
        options=st.dictionaries(words, plain, max_size=2),
        fields=st.lists(words, max_size=2).map(tuple),
    ),
    shots=st.none() | st.builds(Shots, st.lists(samples, max_size=2).map(tuple)),
    when=st.none() | words,
    scope=st.lists(words, max_size=2).map(tuple),
)
prompts = st.builds(
    Prompt,
    version=words,
    passes=st.lists(passes, max_size=2).map(tuple),
    parent=st.none() | words,
    notes=words,
    dataset=st.none() | st.just(Path("datasets/d.yaml")),
    variables=st.dictionaries(words, words, max_size=2),
    path=st.none() | st.just(Path("prompts/v.yaml")),
)


@given(prompts)
@unhurried
def test_a_prompt_comes_back_from_json(prompt: Prompt) -> None:
    """`from_json` gives back what `to_json` wrote, through a file's text too, and with it the hash."""
    back = Prompt.from_json(json.loads(json.dumps(prompt.to_json())))
    assert back == prompt
    assert back.hash == prompt.hash


# --- models -----------------------------------------------------------------------------------------------------------


def test_another_model_or_base_url_goes_into_every_pass() -> None:
    """`with_model` replaces name and base URL in all passes and keeps the params."""
    changed = second(model=Model("x")).with_model("n", "http://other/v1")
    assert [each.model.name for each in changed.passes] == ["n", "n"]
    assert [each.model.base_url for each in changed.passes] == ["http://other/v1"] * 2
    assert changed.passes[0].model.params == MODEL.params


def test_no_other_model_changes_nothing() -> None:
    """`with_model` without a name and a URL gives back the same prompt."""
    assert PROMPT.with_model(None, None) == PROMPT


def test_models_are_told_once_in_order() -> None:
    """`models` has each model once, in order of first use."""
    assert PROMPT.models == (MODEL,)
    assert second(model=Model("x")).models == (MODEL, Model("x"))


@pytest.mark.parametrize(
    ("model", "alike"),
    [
        (Model("m", params={"seed": 0}), True),
        (Model("m", params={"temperature": 0}), False),
        (Model("local/m", params={"temperature": 0}), True),
        (Model("local/m", params={"temperature": 0.5}), False),
        (Model("local/m"), False),
    ],
)
def test_which_models_answer_alike(model: Model, alike: bool) -> None:
    """A seed of the prompt's own, or a greedy embedded model, gives the same answer whenever it is asked."""
    assert model.answers_alike == alike


def test_what_was_given_comes_back_from_json_and_is_not_in_the_hash() -> None:
    """A run knows which variables were given to it; that changes nothing of what is asked."""
    plain = Prompt("v1", (), variables={"tone": "calm"})
    given = replace(plain, given=("tone",))
    assert Prompt.from_json(given.to_json()) == given
    assert given.hash == plain.hash


def test_names_that_begin_with_local_run_inside() -> None:
    """A model is local when its name begins with ``local/``."""
    assert Model("local/smollm2-135m").is_local
    assert not Model("my-local/thing").is_local


# --- what every label needs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "whens", "left"),
    [
        ([()], [None], []),
        ([("shipping",)], [None], ["quality", "price"]),
        ([("shipping",), ("price", "quality")], [None, None], []),
        ([("shipping",), ()], [None, "failed"], ["quality", "price"]),
    ],
)
def test_labels_that_no_unconditional_pass_answers(
    scopes: list[tuple[str, ...]], whens: list[str | None], left: list[str]
) -> None:
    """Only passes without a `when` count, and a pass without a scope answers all labels."""
    found = [replace(SECOND, scope=scope, when=when) for scope, when in zip(scopes, whens, strict=True)]
    assert without_answer(found, SPACE) == left


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_of_the_first_pass_hold_no_answer() -> None:
    """The first pass sees columns, variables and the label space; later ones the answer so far; shots where there are."""
    columns, variables = frozenset({"text"}), frozenset({"tone"})
    bare = replace(PASS, shots=None)
    assert known_names(bare, [], columns=columns, variables=variables) == columns | variables | TASK_NAMES
    assert "shots" in known_names(PASS, [], columns=columns, variables=variables)
    assert known_names(bare, [PASS], columns=columns, variables=variables) >= ANSWER_NAMES


def test_columns_are_those_that_all_samples_have() -> None:
    """A column counts when every sample has it; without samples there is none."""
    rows = [Sample("a", {"text": "x", "lang": "en"}), Sample("b", {"text": "y"})]
    assert columns_of(rows) == {"text"}
    assert columns_of(()) == frozenset()


@given(st.frozensets(st.sampled_from(SPACE.names)), st.sampled_from(["happy-gold", "mad-gold"]))
@unhurried
def test_gold_is_in_no_template_context(labels: frozenset[str], mood: str) -> None:
    """What templates see of a sample is the same whatever its gold is."""
    sample = Sample("s", {"text": "x"}, labels, {"mood": mood})
    assert base_context(sample, SPACE, {}) == base_context(replace(sample, labels=None, fields={}), SPACE, {})


def test_the_answer_so_far_has_the_names_of_the_design() -> None:
    """`predicted` is in label-space order; earlier passes are `passes.NAME` with what stood after them."""
    so_far = Prediction(
        "s", frozenset({"price", "shipping"}), frozenset({"quality"}), FailureKind.REFUSAL, "no", ("cost",)
    )
    context = answer_context(so_far, {"first": Said(so_far, "raw text")}, SPACE)
    assert context == {
        "predicted": ["shipping", "price"],
        "n_predicted": 2,
        "failed": True,
        "failure": "refusal",
        "off_list": ["cost"],
        "fields": {},
        "scores": {"shipping": ANY, "quality": ANY, "price": ANY},
        "confidence": 0.0,
        "passes": {"first": {"predicted": ["shipping", "price"], "raw": "raw text", "fields": {}, "groups": []}},
    }
    assert set(context) == ANSWER_NAMES | WEIGHED_NAMES
    assert all(math.isnan(score) for score in context["scores"].values())
    assert answer_context(replace(so_far, failure=None), {}, SPACE)["failure"] is None


def test_a_pass_without_when_always_runs() -> None:
    """`when` decides, and None means always."""
    assert runs_now(replace(SECOND, when=None), {})
    assert runs_now(SECOND, {"failed": True})
    assert not runs_now(SECOND, {"failed": False})


def test_a_failing_when_says_why() -> None:
    """An expression that fails on an answer is a template error."""
    with pytest.raises(TemplateError, match="'failed' is undefined"):
        runs_now(SECOND, {})


# --- messages ---------------------------------------------------------------------------------------------------------


def messages_of(each: Pass, inputs: Mapping[str, Any] | None = None, **context: Any) -> list[tuple[str, str]]:
    """Return the rendered messages of a pass for a sample as (role, content)."""
    sample = Sample("s", inputs or {"text": "Late."}, frozenset({"quality"}))
    call = render_call(
        each, sample, each.units(SPACE)[0], SPACE, {**base_context(sample, SPACE, {"tone": "calm"}), **context}, 3
    )
    assert (call.sample, call.pass_name, call.unit, call.repeat) == ("s", each.name, "", 3)
    return [(message["role"], message["content"]) for message in call.messages]


def asking(*templates: tuple[str, str], shots: Shots | None = None, output: Output | None = None) -> Pass:
    """Return a pass with these messages, each on line 10 of its file."""
    return Pass(
        "main", tuple(MessageTemplate(role, text, 10) for role, text in templates), MODEL, output or Output(), shots
    )


TWO_SHOTS = Shots((SHOT, Sample("w2", {"text": "Fine."}, frozenset())))


def test_messages_are_rendered_in_order() -> None:
    """Without shots the messages are those of the pass, with columns, variables and labels filled in."""
    each = asking(("system", "{{ tone }}: {{ labels | join('/') }}"), ("user", "{{ text }}"))
    assert messages_of(each) == [("system", "calm: shipping/quality/price"), ("user", "Late.")]


def test_shots_are_turns_before_the_last_user_message() -> None:
    """Each shot is a user turn from the same template and an assistant turn in the output format."""
    each = asking(
        ("user", "Hello."),
        ("assistant", "Hi."),
        ("user", "{{ tone }}: {{ text }}"),
        ("assistant", "So:"),
        shots=TWO_SHOTS,
    )
    assert messages_of(each) == [
        ("user", "Hello."),
        ("assistant", "Hi."),
        ("user", "calm: Lost."),
        ("assistant", "shipping"),
        ("user", "calm: Fine."),
        ("assistant", "none"),
        ("user", "calm: Late."),
        ("assistant", "So:"),
    ]


def test_shots_are_answered_in_the_output_format() -> None:
    """The assistant turn is what the output format writes, fields included."""
    each = asking(("user", "{{ text }}"), shots=Shots((SHOT,)), output=PASS.output)
    assert messages_of(each)[1] == ("assistant", '{"found":["shipping"],"mood":"mad"}')


def test_a_template_that_names_shots_places_them_itself() -> None:
    """`shots` in any message puts the worked examples there, with their columns and `answer`, and adds no turns."""
    each = asking(
        ("system", "{% for shot in shots %}{{ shot.text }}={{ shot.answer }};{% endfor %}"),
        ("user", "{{ text }}"),
        shots=TWO_SHOTS,
    )
    assert messages_of(each) == [("system", "Lost.=shipping;Fine.=none;"), ("user", "Late.")]
    assert shot_turn(each) is None


def test_the_message_that_asks_for_shots_is_the_last_user_message() -> None:
    """`shot_turn` is the last user message; a pass without one has none."""
    assert shot_turn(PASS) is PASS.messages[1]
    assert shot_turn(asking(("system", "x"))) is None


def test_a_column_called_answer_is_the_shots_own_in_its_turn() -> None:
    """In a turn a column named `answer` holds the shot's column, never its expected labels."""
    shots = Shots((Sample("w", {"text": "Q", "answer": "A"}, frozenset({"price"})),))
    each = asking(("user", "{{ text }} {{ answer }}"), shots=shots)
    assert messages_of(each, {"text": "Q2", "answer": "A2"})[0] == ("user", "Q A")


def test_what_a_shot_lacks_does_not_come_from_the_sample() -> None:
    """A shot without a column is an error, not a turn with the sample's value, nor with the sample's answer so far."""
    each = asking(("user", "{{ title }}: {{ text }}"), shots=TWO_SHOTS)
    with pytest.raises(TemplateError, match="'title' is undefined"):
        messages_of(each, {"text": "Late.", "title": "secret"})
    later = asking(("user", "{{ predicted }}: {{ text }}"), shots=TWO_SHOTS)
    with pytest.raises(TemplateError, match="'predicted' is undefined"):
        messages_of(later, predicted=["price"])


def test_an_error_is_told_at_the_prompt_files_line() -> None:
    """A template that fails on a sample names the line of the prompt file, and 0 where that is unknown."""
    each = asking(("user", "one\n{{ text.nothing.more }}"))
    with pytest.raises(TemplateError) as caught:
        messages_of(each)
    assert caught.value.line == 11
    unknown = replace(each, messages=tuple(replace(message, line=0) for message in each.messages))
    with pytest.raises(TemplateError) as caught:
        messages_of(unknown)
    assert caught.value.line == 0


@given(st.frozensets(st.sampled_from(SPACE.names)))
@unhurried
def test_no_message_depends_on_the_samples_gold(labels: frozenset[str]) -> None:
    """The rendered messages of a sample are the same whatever its gold labels are."""
    sample = Sample("s", {"text": "Late."}, labels, {"mood": "mad"})
    context = base_context(sample, SPACE, {"tone": "calm"})
    bare = replace(sample, labels=None, fields={})
    (unit,) = PASS.units(SPACE)
    assert render_call(PASS, sample, unit, SPACE, context) == render_call(PASS, bare, unit, SPACE, context)
