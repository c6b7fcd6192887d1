"""What a sample is asked about: what gates, candidates and the answer so far leave, and that nothing is lost by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness import narrowing, predict
from harness.errors import DataError
from harness.labelspace import Field, Label, LabelSpace
from harness.narrowing import answer_space, asked_units, never_offered
from harness.parsing import FORMATS, Output
from harness.predict import Reading, Step
from harness.prompt import (
    Candidates,
    MergeHow,
    MessageTemplate,
    Model,
    Pass,
    Prompt,
    QuestionTemplates,
    Votes,
    without_answer,
)
from harness.records import Call, Completion, FailureKind, Prediction, Sample
from harness.rendering import shot_answer
from harness.units import Unit

SPACE = LabelSpace(
    (
        Label("shipping", "Late or lost", code="s", group="delivery"),
        Label("packaging", "Torn box", code="k", group="delivery"),
        Label("quality", "Badly made", code="q", group="product"),
        Label("fit", "Too small", code="f", group="product"),
        Label("price", "Too dear", code="p", group="money"),
    ),
    (Field("mood", "choice", ("happy", "mad")),),
    about_groups=(("delivery", "On the way"),),
)
GROUPS = tuple(SPACE.groups)
SAMPLE = Sample("s", {"text": "Late."}, candidates={"few": ("shipping", "fit"), "again": ("shipping", "price")})
BROKEN = Completion("error", error={"kind": "timeout", "message": "too slow", "status": None})
NOBODY = Prediction("s", frozenset(), unanswered=frozenset(SPACE.names))
HOWS: tuple[MergeHow, ...] = ("replace", "add", "remove", "union", "intersection", "confirm")


def asking(name: str, template: str = "{{ text }}", **options: Any) -> Pass:
    """Return a pass of one user message."""
    return Pass(name, (MessageTemplate("user", template, 4),), **{"model": Model("m"), "output": Output(), **options})


def gate(name: str = "gate", **options: Any) -> Pass:
    """Return a pass that chooses groups."""
    return asking(name, "{{ candidates | join(' ') }}", chooses_groups=True, **options)


def prompt_of(*passes: Pass) -> Prompt:
    """Return a prompt with these passes."""
    return Prompt("v", passes, path=Path("prompts/v.yaml"))


Replies = Mapping[tuple[str, str], str | Completion]


def answered(
    prompt: Prompt, replies: Replies, sample: Sample = SAMPLE, reading: Reading | None = None
) -> tuple[Prediction, list[Call], list[Step]]:
    """Return the prediction when calls are answered by pass and unit, the calls, and what each pass did."""
    calls: list[Call] = []
    steps: list[Step] = []
    asker = predict.predict(prompt, SPACE, sample, 0, reading, steps.append)
    try:
        asked = next(asker)
        while True:
            calls += asked
            said = [replies.get((call.pass_name, call.unit), "none") for call in asked]
            asked = asker.send([Completion("ok", each) if isinstance(each, str) else each for each in said])
    except StopIteration as end:
        return end.value, calls, steps


def asked_of(calls: list[Call], name: str) -> list[str]:
    """Return what the calls of a pass are about."""
    return [call.unit for call in calls if call.pass_name == name]


def said(labels: str = "", unanswered: str = "") -> Prediction:
    """Return an answer so far."""
    return Prediction("s", frozenset(labels.split()), frozenset(unanswered.split()))


# --- the answer so far ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "units"),
    [
        ("replace", "shipping packaging quality fit price"),
        ("add", "packaging quality fit price"),
        ("union", "packaging quality fit price"),
        ("remove", "shipping price"),
        ("intersection", "shipping price"),
        ("confirm", "shipping"),
    ],
)
def test_what_an_answer_could_not_change_is_not_asked(how: MergeHow, units: str) -> None:
    """Shipping is present, price is open, the rest is absent: each rule asks about the cells that it can change."""
    each = asking("again", per="label", how=how)
    found = asked_units(each, SPACE, SAMPLE, said("shipping", "price"), frozenset())
    assert " ".join(unit.name for unit in found) == units


@pytest.mark.parametrize(("predicted", "n_calls"), [("", 0), ("price", 0), ("price shipping", 1)])
def test_a_text_about_the_sample_is_asked_for_when_it_could_change_anything(predicted: str, n_calls: int) -> None:
    """A pass that confirms some labels in one text makes no call where none of them is predicted."""
    each = asking("again", how="confirm", scope=("shipping", "fit"))
    assert len(asked_units(each, SPACE, SAMPLE, said(predicted), frozenset())) == n_calls


def test_fields_are_asked_for_in_any_case() -> None:
    """A pass that has fields to answer is asked, though no label could change."""
    each = asking("again", how="confirm", output=Output("json", {}, ("mood",)))
    assert len(asked_units(each, SPACE, SAMPLE, said(), frozenset())) == 1


def test_todays_scope_and_rule_decide_what_could_change() -> None:
    """Read with another scope or rule, a pass needs other calls: those, in the units that it was asked in."""
    each = asking("again", per="group", how="confirm")
    reader = replace(each, scope=("quality", "price"), how="replace")
    found = asked_units(each, SPACE, SAMPLE, said("shipping"), frozenset(), reader)
    assert [(unit.name, unit.labels) for unit in found] == [("product", ("quality", "fit")), ("money", ("price",))]


# --- gates ------------------------------------------------------------------------------------------------------------

COARSE = prompt_of(gate(), asking("fine", per="group"))


def test_only_chosen_groups_are_asked_about() -> None:
    """Labels of groups that a gate did not choose are absent, and nothing is asked about them."""
    prediction, calls, steps = answered(COARSE, {("gate", ""): "product", ("fine", "product"): "fit"})
    assert [(call.pass_name, call.unit, call.labels) for call in calls] == [
        ("gate", "", GROUPS),
        ("fine", "product", ("quality", "fit")),
    ]
    assert calls[0].messages[0]["content"] == "delivery product money"
    assert prediction == Prediction("s", frozenset({"fit"}))
    assert [step.groups(SPACE) for step in steps] == [("product",), ("product",)]


def test_a_gate_that_chooses_nothing_is_an_answer() -> None:
    """The empty set of groups is the empty set of labels, and nothing more is asked."""
    prediction, calls, _ = answered(COARSE, {("gate", ""): "none"})
    assert (prediction, len(calls)) == (Prediction("s", frozenset()), 1)


def test_a_failed_gate_leaves_all_unanswered() -> None:
    """Nothing is asked after it, and it is the reason."""
    prediction, calls, _ = answered(COARSE, {("gate", ""): BROKEN})
    assert (prediction.unanswered, prediction.failure) == (frozenset(SPACE.names), FailureKind.CALL_ERROR)
    assert len(calls) == 1


def test_a_failed_gate_leaves_the_earlier_answer() -> None:
    """After a pass over all labels a gate that fails changes nothing, and nothing more is asked."""
    prompt = prompt_of(asking("flat"), *COARSE.passes)
    prediction, calls, _ = answered(prompt, {("flat", ""): "fit", ("gate", ""): BROKEN})
    assert (prediction, len(calls)) == (Prediction("s", frozenset({"fit"})), 2)


def test_a_gate_can_ask_about_each_group() -> None:
    """Each group is a call of its own; one that fails leaves its labels open and unasked, and no others."""
    prompt = prompt_of(gate(per="group"), asking("fine", per="group"))
    replies: Replies = {("gate", "delivery"): "delivery", ("gate", "product"): BROKEN, ("fine", "delivery"): "shipping"}
    prediction, calls, _ = answered(prompt, replies)
    assert asked_of(calls, "gate") == list(GROUPS)
    assert asked_of(calls, "fine") == ["delivery"]
    assert (prediction.labels, prediction.unanswered) == (frozenset({"shipping"}), frozenset({"quality", "fit"}))


def test_a_gate_narrows_passes_by_label_and_not_texts_about_the_sample() -> None:
    """`per: label` asks about the labels of chosen groups; a text about the sample may name any label."""
    prompt = prompt_of(gate(), asking("fine", per="label"), asking("last"))
    prediction, calls, _ = answered(prompt, {("gate", ""): "money", ("last", ""): "fit"})
    assert [asked_of(calls, name) for name in ("fine", "last")] == [["price"], [""]]
    assert prediction.labels == {"fit"}


def test_a_gate_about_some_labels_closes_these() -> None:
    """A group of which a gate closed one label is asked about the others, and read with their names."""
    prompt = prompt_of(gate(scope=("shipping", "quality")), asking("fine", per="group"))
    prediction, calls, _ = answered(prompt, {("gate", ""): "product", ("fine", "delivery"): "shipping, packaging"})
    assert [(call.unit, call.labels) for call in calls[1:]] == [
        ("delivery", ("packaging",)),
        ("product", ("quality", "fit")),
        ("money", ("price",)),
    ]
    assert (prediction.labels, prediction.off_list) == (frozenset({"packaging"}), ("shipping",))


def test_gates_vote() -> None:
    """Draws of a gate become one choice of groups."""
    prompt = prompt_of(gate(votes=Votes(2, "any")), asking("fine", per="group"))
    prediction, calls, _ = answered(prompt, {("gate", ""): "money", ("fine", "money"): "price"})
    assert asked_of(calls, "gate") == ["", ""]
    assert prediction == Prediction("s", frozenset({"price"}))


def test_groups_are_read_by_the_names_that_were_asked_with() -> None:
    """A group that is called otherwise today, or has other labels, is what it was; fields are today's."""
    renamed = LabelSpace(
        tuple(replace(label, group="all") for label in SPACE), (Field("mood", "choice", ("happy", "mad", "mixed")),)
    )
    prompt = prompt_of(gate(output=Output("json", {}, ("mood",))), asking("fine", per="group"))
    replies = {("gate", ""): '{"labels": ["money"], "mood": "mixed"}', ("fine", "money"): "price"}
    prediction, _, _ = answered(prompt, replies, reading=Reading(renamed))
    assert (prediction.labels, prediction.fields) == (frozenset({"price"}), {"mood": "mixed"})


# --- candidates -------------------------------------------------------------------------------------------------------


def test_a_sample_is_asked_about_its_candidates_alone() -> None:
    """What is no candidate is no answer, and absent where the candidates were answered."""
    few = asking("few", "{{ candidates | join('+') }}", candidates=Candidates(2))
    prediction, (call,), _ = answered(prompt_of(few), {("few", ""): "fit, price"})
    assert (call.messages[0]["content"], call.labels) == ("shipping+fit", ("shipping", "fit"))
    assert (set(prediction.labels), set(prediction.unanswered), prediction.off_list) == ({"fit"}, set(), ("price",))


def test_a_failure_answers_what_was_not_offered_neither() -> None:
    """Where all calls about the candidates failed, no label is answered."""
    prediction, _, _ = answered(prompt_of(asking("few", candidates=Candidates(2))), {("few", ""): BROKEN})
    assert prediction.unanswered == frozenset(SPACE.names)
    by_label = asking("few", per="label", candidates=Candidates(2))
    prediction, calls, _ = answered(prompt_of(by_label), {("few", "fit"): BROKEN, ("few", "shipping"): "shipping"})
    assert asked_of(calls, "few") == ["shipping", "fit"]
    assert (set(prediction.labels), set(prediction.unanswered)) == ({"shipping"}, {"fit"})


@pytest.mark.parametrize(
    ("how", "unanswered"),
    [
        ("replace", ""),
        ("union", ""),
        ("intersection", ""),
        ("add", "quality"),
        ("remove", "quality"),
        ("confirm", "quality"),
    ],
)
def test_a_rule_that_leaves_alone_what_is_not_named_leaves_what_is_not_offered(how: MergeHow, unanswered: str) -> None:
    """A label nobody answered, and that is no candidate, is absent under the rules that answer open cells, else open."""
    first = asking("first", per="label")
    replies: Replies = {("first", "quality"): BROKEN, ("first", "shipping"): "shipping", ("again", ""): "none"}
    prediction, calls, _ = answered(prompt_of(first, asking("again", how=how, candidates=Candidates(2))), replies)
    assert asked_of(calls, "again") == [""]
    assert " ".join(prediction.unanswered) == unanswered


def test_labels_of_a_closed_group_are_no_candidates() -> None:
    """Candidates in groups that were not chosen are not asked about; where none is left, chosen labels are absent too."""
    prompt = prompt_of(gate(), asking("few", per="label", candidates=Candidates(2)))
    prediction, calls, _ = answered(prompt, {("gate", ""): "delivery", ("few", "shipping"): "shipping"})
    assert asked_of(calls, "few") == ["shipping"]
    assert prediction == Prediction("s", frozenset({"shipping"}))
    prediction, calls, _ = answered(prompt, {("gate", ""): "money"})
    assert asked_of(calls, "few") == []
    assert prediction == Prediction("s", frozenset())
    prediction, calls, _ = answered(prompt, {("gate", ""): BROKEN})
    assert asked_of(calls, "few") == []
    assert prediction.unanswered == frozenset(SPACE.names)


def test_candidates_that_are_not_chosen_yet_are_a_mistake() -> None:
    """A pass without the sample's candidates cannot be asked."""
    with pytest.raises(KeyError):
        answered(prompt_of(asking("other", candidates=Candidates(2))), {})


def test_a_template_that_fails_is_told() -> None:
    """A gate's template is told with its pass and line like any other."""
    failing = replace(gate(), messages=(MessageTemplate("user", "{{ text.x.y }}", 4),))
    with pytest.raises(DataError, match=r"^prompts/v\.yaml:4: sample s, pass gate: "):
        answered(prompt_of(failing, asking("fine", per="group")), {})


# --- which label space reads a stored answer --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("each", "unit", "names"),
    [
        (asking("main"), "", SPACE.names),
        (asking("main", output=Output("yes_no"), scope=("fit",)), "", ("fit",)),
        (asking("main", per="label"), "fit", ("fit",)),
        (asking("main", per="group"), "product", ("quality", "fit")),
        (gate(), "", GROUPS),
        (gate(per="group"), "money", ("money",)),
        (asking("few", candidates=Candidates(2)), "", ("shipping", "fit")),
        (asking("few", per="label", candidates=Candidates(2)), "fit", ("fit",)),
    ],
)
def test_a_stored_answer_is_read_with_what_it_was_asked_about(each: Pass, unit: str, names: tuple[str, ...]) -> None:
    """By pass, unit and sample, the names that the answer can have."""
    assert answer_space(each, unit, SPACE, SAMPLE).names == names


def test_never_offered_is_about_candidates_alone() -> None:
    """A pass without candidates offers everything; one by label leaves what gates closed."""
    assert never_offered(asking("main"), SPACE, SAMPLE, NOBODY, frozenset()) == frozenset()
    few = asking("few", candidates=Candidates(2), scope=("shipping", "fit", "price", "quality"))
    assert never_offered(few, SPACE, SAMPLE, NOBODY, frozenset({"price"})) == {"price", "quality"}
    by_label = replace(few, per="label")
    assert never_offered(by_label, SPACE, SAMPLE, NOBODY, frozenset({"price"})) == {"quality"}


# --- every format -----------------------------------------------------------------------------------------------------

TYPED = QuestionTemplates(MessageTemplate("label", "{{ label }}"), MessageTemplate("field", "{{ field }}"))
BY_GROUP = {"codes": {"codes": {"d": ["delivery"], "r": ["product"], "m": ["money"]}}}


def in_format(name: str, each: Pass, per: str) -> Pass:
    """Return a pass that answers in a format; one about single labels or groups asks about each."""
    options = BY_GROUP.get(name, {}) if each.chooses_groups else {}
    output = Output(name, options)
    if name == "decisions":
        asked = replace(each, output=output, questions=TYPED, model=Model("m", "decisions"))
        return replace(asked, per="sample")
    return replace(each, output=output, per=per if FORMATS[name].one_label else each.per)  # type: ignore[arg-type]


def right(prompt: Prompt, gold: frozenset[str]) -> tuple[Prediction, list[Call]]:
    """Return the prediction when every call is answered as a perfect model would, and the calls."""
    passes = {each.name: each for each in prompt.passes}
    sample = replace(SAMPLE, labels=gold)
    asker = predict.predict(prompt, SPACE, sample)
    asked: list[Call] = []
    try:
        calls = next(asker)
        while True:
            asked += calls
            calls = asker.send([Completion("ok", perfect(passes[call.pass_name], call, sample)) for call in calls])
    except StopIteration as end:
        return end.value, asked


def perfect(each: Pass, call: Call, sample: Sample) -> str:
    """Return what a perfect model answers to a call."""
    unit = next(unit for unit in each.units(SPACE) if unit.name == call.unit)
    if not each.chooses_groups:
        names = call.labels or SPACE.names
        unit = Unit(unit.name, names, SPACE.only(names))
    asked = replace(each, candidates=None)  # a shot would be asked about its own labels too
    return shot_answer(sample, asked, unit, SPACE)


GOLD = [frozenset[str](), frozenset({"fit"}), frozenset({"shipping", "fit"}), frozenset(SPACE.names)]


@pytest.mark.parametrize("gold", GOLD, ids=len)
@pytest.mark.parametrize("name", FORMATS)
def test_a_gate_in_every_format(name: str, gold: frozenset[str]) -> None:
    """Right answers to a gate, and about the labels of the groups that it chose, are the right prediction."""
    fine = asking("fine", per="label" if name in ("yes_no", "decisions") else "group")
    last = fine if name == "decisions" else in_format(name, fine, "label")
    prediction, calls = right(prompt_of(in_format(name, gate(), "group"), last), gold)
    assert (prediction.labels, prediction.unanswered, prediction.off_list) == (gold, frozenset(), ())
    chosen = {SPACE.group_of[label] for label in gold}
    assert {SPACE.group_of.get(unit, unit) for unit in asked_of(calls, "fine")} == chosen


@pytest.mark.parametrize("gold", GOLD, ids=len)
@pytest.mark.parametrize("name", FORMATS)
def test_candidates_in_every_format(name: str, gold: frozenset[str]) -> None:
    """Right answers about the candidates are those of the gold labels that are among them; the others are absent."""
    few = in_format(name, asking("few", candidates=Candidates(2)), "label")
    prediction, calls = right(prompt_of(few), gold)
    assert (prediction.labels, prediction.unanswered) == (gold & {"shipping", "fit"}, frozenset())
    assert {label for call in calls for label in call.labels} == {"shipping", "fit"}
    if name == "decisions":
        assert [question["name"] for question in calls[0].questions] == ["shipping", "fit"]


# --- properties -------------------------------------------------------------------------------------------------------

label_lists = st.lists(st.sampled_from(SPACE.names), unique=True, min_size=1).map(tuple)
texts = st.sampled_from(["none", *SPACE.names, "shipping, fit", "price, quality", "bananas", "delivery"])
completions = texts.map(lambda text: Completion("ok", text)) | st.just(BROKEN) | st.just(Completion("refusal", "No."))
group_texts = st.sampled_from(["none", *GROUPS, "delivery, money", "bananas"])
group_completions = group_texts.map(lambda text: Completion("ok", text)) | st.just(BROKEN)


@st.composite
def later_passes(draw: st.DrawFn, name: str) -> Pass:
    """Draw a pass with any rule, scope and unit, with candidates or without, or a gate."""
    kind = draw(st.sampled_from(["gate", "gate by group", "text", "text", "label", "label", "group"]))
    scope = draw(st.just(()) | label_lists)
    if kind.startswith("gate"):
        return gate(name, per="group" if kind == "gate by group" else "sample", scope=scope)
    offer = Candidates(2) if kind != "group" and draw(st.booleans()) else None
    per = {"text": "sample"}.get(kind, kind)
    return asking(name, per=per, scope=scope, how=draw(st.sampled_from(HOWS)), candidates=offer)


Script = tuple[Prompt, Sample, dict[tuple[str, str], str | Completion]]


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Draw a prompt whose passes cover the labels, candidates of the sample, and what every call is answered."""
    passes = [draw(later_passes(f"p{at}")) for at in range(draw(st.integers(1, 3)))]
    first = asking("first", per=draw(st.sampled_from(["sample", "label", "group"])))
    passes.insert(draw(st.integers(0, len(passes))) if draw(st.booleans()) else 0, first)
    candidates = {
        each.name: tuple(SPACE.ordered(draw(st.frozensets(st.sampled_from(each.inside(SPACE)), min_size=1))))
        for each in passes
        if each.candidates is not None
    }
    replies: dict[tuple[str, str], str | Completion] = {
        (each.name, unit.name): draw(group_completions if each.chooses_groups else completions)
        for each in passes
        for unit in each.units(SPACE)
    }
    return prompt_of(*passes), replace(SAMPLE, candidates=candidates), replies


@given(scripts())
@unhurried
def test_narrowing_changes_no_prediction(
    script: Script,
) -> None:
    """What is left out because no answer could change anything would have changed nothing, whatever it had said."""
    prompt, sample, replies = script
    narrowed, fewer, _ = answered(prompt, replies, sample)

    def all_units(each: Pass, space: LabelSpace, one: Sample, so_far: Prediction, *rest: Any) -> tuple[Unit, ...]:
        closed, reader = rest
        return asked_units(each, space, one, so_far, closed, replace(reader, how="replace"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "asked_units", all_units)
        whole, more, _ = answered(prompt, replies, sample)
    assert replace(narrowed, off_list=()) == replace(whole, off_list=())
    assert {call.slot for call in fewer} <= {call.slot for call in more}


@given(scripts())
@unhurried
def test_an_open_cell_always_has_a_failure(
    script: Script,
) -> None:
    """Whatever passes merge, gate and offer: a cell is open exactly where there is a reason, and is not present."""
    prompt, sample, replies = script
    assert not without_answer(prompt.passes, SPACE)
    prediction, _, steps = answered(prompt, replies, sample)
    assert prediction.failed == (prediction.failure is not None)
    assert not prediction.labels & prediction.unanswered
    for step in steps:
        assert step.after.unanswered <= step.before.unanswered


@given(scripts())
@unhurried
def test_nothing_is_asked_about_closed_groups(
    script: Script,
) -> None:
    """A pass by group or label asks about no label that gates have closed by then."""
    prompt, sample, replies = script
    _, _, steps = answered(prompt, replies, sample)
    by_name = {each.name: each for each in prompt.passes}
    closed: frozenset[str] = frozenset()
    for step in steps:
        each = by_name[step.name]
        if each.per != "sample" and not each.chooses_groups:
            assert closed.isdisjoint(name for unit in step.units for name in unit.labels)
        closed = step.closed


def test_narrowing_needs_no_parser_of_its_own() -> None:
    """What a text about the sample fills is its scope; what asks about certain labels fills these."""
    unit = asking("main").units(SPACE)[0]
    assert narrowing.cells(asking("main", scope=("fit",)), unit, SPACE) == {"fit"}
    few = asking("few", candidates=Candidates(2))
    (unit,) = asked_units(few, SPACE, SAMPLE, NOBODY, frozenset())
    assert narrowing.cells(few, unit, SPACE) == {"shipping", "fit"}
