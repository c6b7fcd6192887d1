"""What fan-out and decision APIs are asked: units, what templates see of them, and typed questions."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Field, Group, Label, LabelSpace
from harness.parsing import Output
from harness.prompt import MessageTemplate, Model, Pass, QuestionTemplates, Votes
from harness.records import Call, FailureKind, Prediction, Sample
from harness.rendering import answer_context, answer_names, base_context, known_names, render_call, unit_context
from harness.shots import Shots
from harness.template import TemplateError
from harness.units import MOST_QUESTIONS, Unit

SPACE = LabelSpace(
    (
        Label("shipping", "Late", group="delivery"),
        Label("quality", "Bad", aliases=("build",), group="product"),
        Label("packaging", "Torn", group="delivery"),
        Label("price", "Dear"),
    ),
    (Field("mood", "choice", ("happy", "mad")), Field("vip", "bool", description="Known?")),
)
SAMPLE = Sample("s", {"text": "Late."}, frozenset({"shipping"}), {"mood": "mad"})
TYPED = QuestionTemplates(
    MessageTemplate("label", "{{ label }}? {{ tone }}", 7), MessageTemplate("field", "{{ field }}?", 9)
)


def asking(template: str = "{{ text }}", **options: Any) -> Pass:
    """Return a pass of one user message."""
    return Pass("main", (MessageTemplate("user", template, 4),), **{"model": Model("m"), "output": Output(), **options})


def deciding(**options: Any) -> Pass:
    """Return a pass that asks a decision API."""
    return asking(questions=TYPED, **{"output": Output("decisions"), **options})


def rendered(each: Pass, space: LabelSpace = SPACE, repeat: int = 0) -> list[Call]:
    """Return the requests of a pass, one for each unit."""
    context = base_context(SAMPLE, space, {"tone": "Kindly."})
    return [render_call(each, SAMPLE, unit, space, context, repeat) for unit in each.units(space)]


def numbered(count: int) -> LabelSpace:
    """Return a label space of so many labels, with the fields."""
    return LabelSpace(tuple(Label(f"l{number}") for number in range(1, count + 1)), SPACE.fields)


def contents(call: Call) -> list[str]:
    """Return what the messages of a call say."""
    return [message["content"] for message in call.messages]


# --- units ------------------------------------------------------------------------------------------------------------


def test_a_sample_is_one_unit() -> None:
    """Without fan-out a call is about the whole sample, and read with the whole label space even in a narrow scope."""
    assert asking().units(SPACE) == (Unit("", SPACE.names, SPACE),)
    assert asking(scope=("price",)).units(SPACE) == (Unit("", ("price",), SPACE),)


def test_a_format_for_one_label_is_read_with_it_alone() -> None:
    """With a scope of one label, yes_no is about that label."""
    (unit,) = asking(scope=("price",), output=Output("yes_no")).units(SPACE)
    assert unit == Unit("", ("price",), SPACE.only(["price"]))


def test_per_label_is_a_unit_for_each_label() -> None:
    """In label-space order, within the scope, each with a label space of its own."""
    assert [unit.name for unit in asking(per="label").units(SPACE)] == list(SPACE.names)
    assert asking(per="label", scope=("price", "shipping")).units(SPACE) == (
        Unit("shipping", ("shipping",), SPACE.only(["shipping"])),
        Unit("price", ("price",), SPACE.only(["price"])),
    )


def test_per_group_is_a_unit_for_each_group() -> None:
    """Groups in the order of their first label, with those of their labels that the scope has."""
    assert asking(per="group").units(SPACE) == (
        Unit("delivery", ("shipping", "packaging"), SPACE.only(["shipping", "packaging"])),
        Unit("product", ("quality",), SPACE.only(["quality"])),
    )
    assert asking(per="group", scope=("packaging",)).units(SPACE) == (
        Unit("delivery", ("packaging",), SPACE.only(["packaging"])),
    )


@pytest.mark.parametrize(
    ("labels", "fields", "sizes"),
    [
        (1, 0, [1]),
        (399, 0, [399]),
        (400, 0, [400]),
        (401, 0, [400, 1]),
        (801, 0, [400, 400, 1]),
        (398, 2, [398]),
        (399, 2, [398, 1]),
        (400, 2, [398, 2]),
        (401, 2, [398, 3]),
        (801, 2, [398, 400, 3]),
        (1, MOST_QUESTIONS - 1, [1]),
        (2, MOST_QUESTIONS - 1, [1, 1]),
    ],
)
def test_questions_are_split_at_the_limit(labels: int, fields: int, sizes: list[int]) -> None:
    """No request has more than 400 questions, the fields go with the first, and every label is asked about once."""
    space = numbered(labels)
    names = tuple(f"f{number}" for number in range(fields))
    units = deciding(output=Output("decisions", {}, names)).units(space)
    assert [len(unit.labels) for unit in units] == sizes
    assert [name for unit in units for name in unit.labels] == list(space.names)
    assert all(unit.space.names == unit.labels for unit in units)
    assert len({unit.name for unit in units}) == len(units)


def test_parts_are_called_by_their_places() -> None:
    """One request has no name, several say which labels they ask about."""
    assert [unit.name for unit in deciding().units(numbered(400))] == [""]
    assert [unit.name for unit in deciding().units(numbered(801))] == ["1-400", "401-800", "801-801"]


def test_a_decision_pass_asks_about_its_scope_alone() -> None:
    """Labels outside of the scope are neither asked about nor missed in the answer."""
    (unit,) = deciding(scope=("price", "shipping")).units(SPACE)
    assert unit == Unit("", ("shipping", "price"), SPACE.only(["shipping", "price"]))


# --- what templates see -----------------------------------------------------------------------------------------------


def test_templates_see_what_they_ask_about() -> None:
    """`label` has name and description, `group` name and labels; without fan-out there is neither."""
    (first, *_), (group, _) = asking(per="label").units(SPACE), asking(per="group").units(SPACE)
    assert unit_context(asking(per="label"), first, SPACE) == {"label": SPACE.labels[0]}
    assert unit_context(asking(per="group"), group, SPACE) == {
        "group": Group("delivery", (SPACE.labels[0], SPACE.labels[2]))
    }
    assert unit_context(asking(), Unit("", SPACE.names, SPACE), SPACE) == {}


def test_a_call_for_each_label_renders_that_label() -> None:
    """Each call has its unit, its label and its own text; `labels` stays the whole label space."""
    calls = rendered(asking("{{ label }} ({{ label.description }}) of {{ labels | length }}: {{ text }}", per="label"))
    assert [call.unit for call in calls] == list(SPACE.names)
    assert [call.labels for call in calls] == [(name,) for name in SPACE.names]
    assert contents(calls[1]) == ["quality (Bad) of 4: Late."]


def test_a_call_for_each_group_renders_that_group() -> None:
    """A group prints as its name and has its labels."""
    calls = rendered(asking("{{ group }}: {{ group.labels | join(', ') }}", per="group"))
    assert [contents(call) for call in calls] == [["delivery: shipping, packaging"], ["product: quality"]]
    assert [call.labels for call in calls] == [("shipping", "packaging"), ("quality",)]


def test_a_call_about_all_labels_names_none() -> None:
    """Where the answer can name every label, the call does not list them."""
    assert rendered(asking())[0].labels == ()
    assert rendered(deciding())[0].labels == ()


def test_draws_are_counted_through_the_repeats() -> None:
    """The first draw of a repeat comes after all draws of the repeats before it."""
    assert [rendered(asking(votes=Votes(3)), repeat=repeat)[0].draw for repeat in (0, 1, 2)] == [0, 3, 6]


@pytest.mark.parametrize(
    ("per", "there"),
    [("sample", set()), ("label", {"label"}), ("group", {"group"})],
)
def test_names_are_known_where_they_are_there(per: Any, there: set[str]) -> None:
    """`label` and `group` are names of the passes that fan out over them."""
    known = known_names(asking(per=per), [], columns=frozenset({"text"}), variables=frozenset())
    assert known == {"text", "labels", "groups"} | there


def test_shots_are_answered_for_the_unit() -> None:
    """A shot's answer in a call about a group names labels of that group alone."""
    shots = Shots((Sample("w", {"text": "Torn and dear."}, frozenset({"packaging", "price"})),))
    delivery, product = rendered(asking("{{ group }}: {{ text }}", per="group", shots=shots))
    assert contents(delivery) == ["delivery: Torn and dear.", "packaging", "delivery: Late."]
    assert contents(product) == ["product: Torn and dear.", "none", "product: Late."]


# --- what is the same for all samples ---------------------------------------------------------------------------------


def asked_of(each: Pass, inputs: dict[str, Any], variables: dict[str, str] | None = None) -> list[str]:
    """Return what the one call of a pass says about a sample with these inputs."""
    sample = Sample("s", inputs)
    (unit,) = each.units(SPACE)
    return contents(render_call(each, sample, unit, SPACE, base_context(sample, SPACE, variables or {})))


@pytest.mark.parametrize(
    "source", ["{{ place }}", "{% set x = place %}{{ x }}", "{% for x in [place] %}{{ x }}{% endfor %}"]
)
@pytest.mark.parametrize("place", ["text", "range", "dict", "predicted"])
def test_a_message_that_names_a_column_is_that_of_its_sample(source: str, place: str) -> None:
    """No sample ever gets the text of another one, not even by a column that is named as something of Jinja's own."""
    each = asking(source.replace("place", place))
    said = [asked_of(each, {"text": "", place: word}) for word in ("one", "two", "one")]
    assert said == [["one"], ["two"], ["one"]]


def test_a_message_without_columns_is_that_of_its_variables() -> None:
    """Variables are seen as they are now, those too that are named as something of Jinja's own."""
    for name in ("tone", "range"):
        each = asking(f"{{{{ {name} }}}} {{{{ labels | length }}}}")
        said = [asked_of(each, {"text": "Late."}, {name: word}) for word in ("Kindly.", "Dryly.", "Kindly.")]
        assert said == [["Kindly. 4"], ["Dryly. 4"], ["Kindly. 4"]]


def test_shots_are_asked_with_the_names_that_they_have() -> None:
    """A column of the sample hides a variable of its name from the shots, and only where the sample has it."""
    shots = Shots((Sample("w", {"text": "Torn."}, frozenset({"packaging"})),))
    each = asking("{{ tone is defined and tone }}: {{ text }}", shots=shots)
    variables = {"tone": "Kindly"}
    assert asked_of(each, {"text": "Late."}, variables) == ["Kindly: Torn.", "packaging", "Kindly: Late."]
    assert asked_of(each, {"text": "Late.", "tone": "Dryly"}, variables) == [
        "False: Torn.",
        "packaging",
        "Dryly: Late.",
    ]
    assert asked_of(each, {"text": "Dear."}, variables) == ["Kindly: Torn.", "packaging", "Kindly: Dear."]


def test_messages_are_the_call_s_own() -> None:
    """What is done to the messages of one call is not seen in the next."""
    each = asking(shots=Shots((Sample("w", {"text": "Torn."}, frozenset({"packaging"})),)))
    (call,) = rendered(each)
    for message in call.messages:
        message["content"] = "changed"
    assert contents(rendered(each)[0]) == ["Torn.", "packaging", "Late."]


def test_texts_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too many texts are kept all are let go, and made again when they are needed."""
    monkeypatch.setattr("harness.kept.MOST_KEPT", 2)
    said = [asked_of(asking(f"{number} {{{{ labels | length }}}}"), {"text": "Late."}) for number in (1, 2, 3, 1)]
    assert said == [["1 4"], ["2 4"], ["3 4"], ["1 4"]]


# --- the answer so far ------------------------------------------------------------------------------------------------


def test_scores_and_confidence_are_there_after_a_source_of_probabilities() -> None:
    """Passes after decisions, votes or the like may use them; others may not."""
    assert {"scores", "confidence"} <= answer_names([asking(), deciding(model=Model("m", "decisions"))])
    assert {"scores", "confidence"} <= answer_names([asking(votes=Votes(2))])
    assert not {"scores", "confidence"} & answer_names([asking()])
    assert answer_names([]) == frozenset()


def test_scores_are_the_probabilities_of_all_labels() -> None:
    """A label without a probability has NaN, for which every comparison is false."""
    so_far = Prediction("s", frozenset({"price"}), probabilities={"price": 0.9, "shipping": 0.2})
    context = answer_context(so_far, {}, SPACE)
    assert list(context["scores"]) == list(SPACE.names)
    assert (context["scores"]["price"], context["scores"]["shipping"]) == (0.9, 0.2)
    assert math.isnan(context["scores"]["quality"])
    assert context["confidence"] == 0.8


def test_a_failed_answer_is_one_to_be_least_sure_of() -> None:
    """With an unanswered cell, or without any probability, the confidence is 0."""
    failed = Prediction("s", frozenset(), frozenset({"price"}), FailureKind.REFUSAL, probabilities={"shipping": 0.01})
    assert answer_context(failed, {}, SPACE)["confidence"] == 0.0
    assert answer_context(Prediction("s", frozenset()), {}, SPACE)["confidence"] == 0.0


# --- questions --------------------------------------------------------------------------------------------------------


def test_labels_are_predicates_and_fields_choices() -> None:
    """Instructions come from the templates, which see the label or field and all that the messages see."""
    (call,) = rendered(deciding(scope=("price", "shipping"), output=Output("decisions", {}, ("mood", "vip"))))
    assert contents(call) == ["Late."]
    assert call.labels == ("shipping", "price")
    assert call.questions == (
        {"name": "shipping", "kind": "predicate", "instructions": "shipping? Kindly."},
        {"name": "price", "kind": "predicate", "instructions": "price? Kindly."},
        {"name": "mood", "kind": "choice", "instructions": "mood?", "choices": ("happy", "mad")},
        {"name": "vip", "kind": "choice", "instructions": "vip?", "choices": (True, False)},
    )


def test_other_passes_ask_no_questions() -> None:
    """Questions are for decision APIs."""
    assert rendered(asking())[0].questions == ()


def test_fields_go_with_the_first_request() -> None:
    """A split pass asks for its fields once, and never for more than 400 answers at a time."""
    calls = rendered(deciding(output=Output("decisions", {}, ("mood", "vip"))), numbered(801))
    kinds = [[question["kind"] for question in call.questions] for call in calls]
    assert [len(each) for each in kinds] == [400, 400, 3]
    assert [each.count("choice") for each in kinds] == [2, 0, 0]
    assert [call.labels[0] for call in calls] == ["l1", "l399", "l799"]


def test_what_is_asked_tells_calls_apart() -> None:
    """The same messages with other questions are another call."""
    one, other = rendered(deciding(), numbered(401))
    assert one.messages == other.messages
    assert one.asked != other.asked


def test_a_question_that_fails_names_its_line() -> None:
    """An error in a question's template is told at its line of the prompt file."""
    broken = QuestionTemplates(MessageTemplate("label", "x\n{{ label.nothing.more }}", 7), TYPED.field)
    with pytest.raises(TemplateError) as caught:
        rendered(asking(questions=broken, output=Output("decisions")))
    assert caught.value.line == 8


@given(st.frozensets(st.sampled_from(SPACE.names)), st.sampled_from(["happy", "mad"]))
@unhurried
def test_questions_do_not_depend_on_gold(labels: frozenset[str], mood: str) -> None:
    """What is asked is the same whatever the sample's gold is."""
    each = deciding(output=Output("decisions", {}, ("mood",)))
    sample = Sample("s", {"text": "Late."}, labels, {"mood": mood})
    (unit,) = each.units(SPACE)
    context = base_context(sample, SPACE, {"tone": "Kindly."})
    assert render_call(each, sample, unit, SPACE, context) == rendered(each)[0]


# --- gates and fields ---------------------------------------------------------------------------------------------


def test_shots_of_a_gate_are_answered_with_the_groups_of_its_labels() -> None:
    """A gold label outside of the gate's scope does not make its group right."""
    shot = Sample("w", {"text": "x"}, frozenset({"shipping", "quality"}))
    gate = asking("{{ text }}", chooses_groups=True, scope=("packaging", "quality"), shots=Shots((shot,)))
    (call,) = rendered(gate)
    assert contents(call) == ["x", "product", "Late."]
    assert call.labels == ("delivery", "product")


def test_a_field_without_an_answer_is_none_and_an_unknown_one_an_error() -> None:
    """Fields that are asked for can be looked up in any answer; they are there to go through only when answered."""
    said = Prediction("s", frozenset(), fields={"mood": "mad"}, asked_fields=("mood", "vip"))
    fields = answer_context(said, {}, SPACE)["fields"]
    assert (fields["mood"], fields["vip"], fields.get("vip"), dict(fields)) == ("mad", None, None, {"mood": "mad"})
    with pytest.raises(KeyError):
        fields["item"]
