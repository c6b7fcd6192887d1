"""From a prompt and a sample to a prediction: which passes ask, how their answers are read, and how they merge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried

from harness.errors import DataError
from harness.labelspace import Field, Label, LabelSpace
from harness.merging import Reasons, merge
from harness.parsing import Output
from harness.predict import Reading, predict
from harness.prompt import MessageTemplate, Model, Pass, Prompt, QuestionTemplates, Votes, without_answer
from harness.records import Answer, Call, Completion, FailureKind, ParseFailure, Prediction, Sample
from harness.shots import Shots

SPACE = space_of("shipping", "quality", "price")
SAMPLE = Sample("s", {"text": "Late."}, frozenset({"shipping"}), {"mood": "gold-mood"})
BROKEN = Completion("error", error={"kind": "timeout", "message": "too slow", "status": None})


def asking(name: str, template: str = "{{ text }}", **options: Any) -> Pass:
    """Return a pass of one user message, which stands on line 4 of its file."""
    return Pass(name, (MessageTemplate("user", template, 4),), Model("m"), **{"output": Output(), **options})


def prompt_of(*passes: Pass) -> Prompt:
    """Return a prompt with these passes."""
    return Prompt("v", passes, path=Path("prompts/v.yaml"))


def answered(
    prompt: Prompt, answers: Mapping[str, str | Completion], reading: Reading | None = None, repeat: int = 0
) -> tuple[Prediction, list[Call]]:
    """Return the prediction when each pass answers as its name says, and the calls that were made."""
    asked: list[Call] = []
    asker = predict(prompt, SPACE, SAMPLE, repeat, reading)
    try:
        calls = next(asker)
        while True:
            asked += calls
            said = [answers[call.pass_name] for call in calls]
            calls = asker.send([Completion("ok", each) if isinstance(each, str) else each for each in said])
    except StopIteration as end:
        return end.value, asked


def text_of(call: Call) -> str:
    """Return the content of a call's only message."""
    (message,) = call.messages
    return message["content"]


# --- one pass ---------------------------------------------------------------------------------------------------------


def test_one_pass_is_one_call_and_its_answer() -> None:
    """The prediction of a prompt of one pass is what its answer says."""
    prediction, (call,) = answered(prompt_of(asking("main")), {"main": "price, shipping"}, repeat=2)
    assert prediction == Prediction("s", frozenset({"shipping", "price"}), repeat=2)
    assert call == Call("s", "main", "", 2, ({"role": "user", "content": "Late."},), draw=2)


@pytest.mark.parametrize(
    ("completion", "failure", "why"),
    [
        (BROKEN, FailureKind.CALL_ERROR, "too slow"),
        (Completion("refusal", "No."), FailureKind.REFUSAL, "No."),
        (Completion("ok", "shipp", "length"), FailureKind.TRUNCATED, None),
        (Completion("ok", "bananas"), FailureKind.UNPARSEABLE, None),
    ],
)
def test_a_failed_only_pass_leaves_every_cell_unanswered(
    completion: Completion, failure: FailureKind, why: str | None
) -> None:
    """A failure of the only pass is never an empty label set: all cells are unanswered, and it says why."""
    prediction, _ = answered(prompt_of(asking("main")), {"main": completion})
    assert prediction.labels == frozenset()
    assert prediction.unanswered == frozenset(SPACE.names)
    assert prediction.failure is failure
    assert prediction.why if why is None else prediction.why == why


def test_an_explicit_none_is_an_answer() -> None:
    """The empty label set that was said is an answer, not a failure."""
    assert answered(prompt_of(asking("main")), {"main": "none"})[0] == Prediction("s", frozenset())


def test_asked_fields_are_those_of_all_passes_once() -> None:
    """A prediction knows the fields that its passes ask for, also when they were not answered."""
    mood, both = Output("json", {}, ("mood",)), Output("json", {}, ("mood", "item"))
    prediction, _ = answered(prompt_of(asking("a", output=mood), asking("b", output=both)), {"a": BROKEN, "b": BROKEN})
    assert prediction.asked_fields == ("mood", "item")


# --- several passes ---------------------------------------------------------------------------------------------------


def test_a_later_pass_answers_the_cells_of_its_scope_alone() -> None:
    """What a scoped pass says of other labels does not count, and its scope is replaced whole."""
    prompt = prompt_of(asking("first"), asking("second", scope=("quality", "price")))
    prediction, _ = answered(prompt, {"first": "shipping, price", "second": "quality"})
    assert prediction.labels == {"shipping", "quality"}
    prediction, _ = answered(prompt, {"first": "price", "second": "shipping"})
    assert prediction.labels == frozenset()


def test_passes_with_parts_of_the_labels_answer_them_together() -> None:
    """Labels shared out among passes are all answered when every pass is."""
    prompt = prompt_of(asking("a", scope=("shipping",)), asking("b", scope=("quality", "price")))
    assert answered(prompt, {"a": "shipping", "b": "price"})[0] == Prediction("s", frozenset({"shipping", "price"}))
    prediction, _ = answered(prompt, {"a": BROKEN, "b": "price"})
    assert prediction.labels == {"price"}
    assert prediction.unanswered == {"shipping"}
    assert prediction.failure is FailureKind.CALL_ERROR


def test_a_later_pass_that_fails_leaves_the_earlier_answer() -> None:
    """A failed later pass changes no cell that is answered, and is no failure of the prediction."""
    prompt = prompt_of(asking("first"), asking("second"))
    assert answered(prompt, {"first": "price", "second": BROKEN})[0] == Prediction("s", frozenset({"price"}))


def test_a_later_pass_can_answer_what_the_first_failed_at() -> None:
    """After a failed first pass a later answer stands, and there is no failure any more."""
    prompt = prompt_of(asking("first"), asking("second", when="failed"))
    prediction, _ = answered(prompt, {"first": "bananas", "second": "price"})
    assert replace(prediction, off_list=()) == Prediction("s", frozenset({"price"}))


def test_a_failure_is_that_of_the_pass_whose_cells_are_unanswered() -> None:
    """A pass that fails beside the unanswered cells does not change the reason why they are."""
    prompt = prompt_of(
        asking("a", scope=("shipping",)),
        asking("b", scope=("quality", "price")),
        asking("again", scope=("shipping",)),
    )
    prediction, _ = answered(prompt, {"a": "shipping", "b": Completion("refusal", "No."), "again": BROKEN})
    assert prediction.unanswered == {"quality", "price"}
    assert (prediction.failure, prediction.why) == (FailureKind.REFUSAL, "No.")


def test_of_several_reasons_the_last_is_told() -> None:
    """Where two passes fail at the same cells, the later one's reason stands."""
    prediction, _ = answered(prompt_of(asking("a"), asking("b")), {"a": BROKEN, "b": Completion("refusal", "No.")})
    assert prediction.failure is FailureKind.REFUSAL


@pytest.mark.parametrize(("answer", "asked"), [("shipping", ["first", "second"]), ("price", ["first"])])
def test_when_decides_whether_a_pass_asks(answer: str, asked: list[str]) -> None:
    """A pass whose `when` is false makes no call and changes nothing."""
    prompt = prompt_of(asking("first"), asking("second", when="'shipping' in predicted"))
    prediction, calls = answered(prompt, {"first": answer, "second": answer})
    assert [call.pass_name for call in calls] == asked
    assert prediction.labels == {answer}


def test_later_passes_see_the_answer_so_far() -> None:
    """Templates of later passes see `predicted`, `failed`, `off_list`, and `passes.NAME` with what stood after it."""
    second = asking(
        "second",
        "{{ predicted | join('+') }}|{{ n_predicted }}|{{ failed }}|{{ failure }}|{{ off_list | join }}|"
        "{{ passes.first.raw }}|{{ passes.first.predicted | join('+') }}",
    )
    _, calls = answered(prompt_of(asking("first"), second), {"first": "price, cost, shipping", "second": "none"})
    assert text_of(calls[1]) == "shipping+price|2|False|None|cost|price, cost, shipping|shipping+price"
    _, calls = answered(prompt_of(asking("first"), second), {"first": BROKEN, "second": "none"})
    assert text_of(calls[1]) == "|0|True|call_error|||"


def test_a_pass_that_was_not_asked_is_there_for_later_ones() -> None:
    """`passes.NAME` of a skipped pass is what stood before it, with an empty raw text."""
    third = asking("third", "{{ passes.second.predicted | join }}|{{ passes.second.raw }}|")
    prompt = prompt_of(asking("first"), asking("second", when="failed"), third)
    _, calls = answered(prompt, {"first": "price", "third": "none"})
    assert [call.pass_name for call in calls] == ["first", "third"]
    assert text_of(calls[1]) == "price||"


def test_the_reason_left_is_that_of_a_cell_that_is_still_unanswered() -> None:
    """When a later pass answers one of two cells that failed in different ways, the other one's reason stays."""
    by_label = asking("first", output=Output("yes_no"), per="label", scope=("price", "quality"))
    rest = asking("second", scope=("shipping",))
    again = asking("third", scope=("price",), when="failed")
    replies = {"price": BROKEN, "quality": Completion("refusal", "No.")}
    for answers, kind in (("price", FailureKind.REFUSAL), ("quality", FailureKind.CALL_ERROR)):
        third = replace(again, scope=(answers,))
        asked = predict(prompt_of(by_label, rest, third), SPACE, SAMPLE)
        assert [call.unit for call in next(asked)] == ["quality", "price"]
        asked.send([replies["quality"], replies["price"]])
        asked.send([Completion("ok", "none")])
        with pytest.raises(StopIteration) as end:
            asked.send([Completion("ok", "none")])
        prediction: Prediction = end.value.value
        assert prediction.failure is kind
        assert prediction.unanswered == {"price", "quality"} - {answers}


def test_fields_are_taken_over_name_by_name() -> None:
    """A later pass's fields go before an earlier one's, and leave those alone that it does not give."""
    before = Prediction("s", frozenset(), fields={"mood": "mad", "item": "lamp"})
    after, _ = merge(before, {}, Answer(frozenset(), fields={"mood": "happy"}), frozenset(SPACE.names))
    assert after.fields == {"mood": "happy", "item": "lamp"}


# --- fan-out ----------------------------------------------------------------------------------------------------------

GROUPED = LabelSpace(
    (Label("shipping", group="delivery"), Label("quality", group="product"), Label("price", group="product"))
)
TYPED = QuestionTemplates(MessageTemplate("label", "{{ label }}"), MessageTemplate("field", "{{ field }}"))


def deciding(name: str, **options: Any) -> Pass:
    """Return a pass that asks a decision API."""
    options = {"output": Output("decisions"), "questions": TYPED, **options}
    return replace(asking(name, **options), model=Model("m", "decisions"))


def decided(**answers: float | None) -> Completion:
    """Return the answers of a decision API: a probability by label, None for a refusal."""
    return Completion("ok", json.dumps([decision(name, value) for name, value in answers.items()]))


def decision(name: str, value: float | None) -> dict[str, Any]:
    """Return one answer of a decision API."""
    return (
        {"name": name, "type": "refusal"}
        if value is None
        else {"name": name, "type": "predicate", "probability": value}
    )


def fanned(
    prompt: Prompt,
    answers: Callable[[Call], str | Completion],
    space: LabelSpace = GROUPED,
    reading: Reading | None = None,
) -> tuple[Prediction, list[Call]]:
    """Return the prediction when every call is answered by a function of it, and the calls that were made."""
    asked: list[Call] = []
    asker = predict(prompt, space, SAMPLE, 0, reading)
    try:
        calls = next(asker)
        while True:
            asked += calls
            said = [answers(call) for call in calls]
            calls = asker.send([Completion("ok", each) if isinstance(each, str) else each for each in said])
    except StopIteration as end:
        return end.value, asked


def test_each_label_is_asked_about_by_itself() -> None:
    """Every unit fills its own cell from its own answer."""
    prediction, calls = fanned(prompt_of(asking("main", "{{ label }}?", per="label")), lambda call: "none")
    assert [text_of(call) for call in calls] == ["shipping?", "quality?", "price?"]
    assert prediction == Prediction("s", frozenset())
    prediction, _ = fanned(
        prompt_of(asking("main", per="label")), lambda call: "none" if call.unit == "quality" else call.unit
    )
    assert prediction.labels == {"shipping", "price"}


@pytest.mark.parametrize("broken", ["shipping", "quality", "price"])
def test_one_failed_label_leaves_only_its_cell_open(broken: str) -> None:
    """The other labels keep their answers, and the reason is that of the call that failed, first or last."""
    prediction, _ = fanned(
        prompt_of(asking("main", per="label")), lambda call: BROKEN if call.unit == broken else call.unit
    )
    assert prediction.unanswered == {broken}
    assert prediction.labels == set(GROUPED.names) - {broken}
    assert (prediction.failure, prediction.why) == (FailureKind.CALL_ERROR, "too slow")


def test_an_answer_about_another_label_is_none() -> None:
    """What a call about one label says of others is off-list there, and fills no cell of theirs."""
    prediction, _ = fanned(
        prompt_of(asking("main", per="label")), lambda call: "price" if call.unit == "shipping" else "none"
    )
    assert prediction.unanswered == {"shipping"}
    assert prediction.failure is FailureKind.UNPARSEABLE
    assert prediction.off_list == ("price",)
    assert prediction.labels == frozenset()


def test_each_group_is_asked_about_by_itself() -> None:
    """A group's answer fills the group's cells; one that fails leaves them open together."""
    prompt = prompt_of(asking("main", "{{ group }}", per="group"))
    prediction, calls = fanned(prompt, lambda call: "price" if call.unit == "product" else "shipping")
    assert [text_of(call) for call in calls] == ["delivery", "product"]
    assert prediction == Prediction("s", frozenset({"shipping", "price"}))
    prediction, _ = fanned(prompt, lambda call: BROKEN if call.unit == "product" else "none")
    assert prediction.unanswered == {"quality", "price"}


def test_a_fanned_out_pass_can_look_again_at_some_labels() -> None:
    """A later pass per label replaces the cells of its scope, each from its own call."""
    prompt = prompt_of(asking("first"), asking("again", per="label", scope=("price", "quality")))
    prediction, calls = fanned(
        prompt, lambda call: {"": "shipping, quality", "quality": "none", "price": "price"}[call.unit]
    )
    assert [call.unit for call in calls] == ["", "quality", "price"]
    assert prediction.labels == {"shipping", "price"}


# --- decisions --------------------------------------------------------------------------------------------------------


def test_probabilities_are_kept_and_decide() -> None:
    """A label is present from its threshold on, and its probability is in the prediction."""
    output = Output("decisions", threshold=0.4, thresholds={"price": 0.8})
    prediction, _ = fanned(
        prompt_of(deciding("main", output=output)), lambda call: decided(shipping=0.45, quality=0.1, price=0.7)
    )
    assert prediction.labels == {"shipping"}
    assert prediction.probabilities == {"shipping": 0.45, "quality": 0.1, "price": 0.7}
    assert prediction.confidence == 0.55


def test_refused_questions_leave_their_cells_open() -> None:
    """Labels whose question was refused are unanswered, say so, and have no probability."""
    prediction, _ = fanned(prompt_of(deciding("main")), lambda call: decided(shipping=0.9, quality=None, price=None))
    assert prediction == Prediction(
        "s",
        frozenset({"shipping"}),
        frozenset({"quality", "price"}),
        FailureKind.REFUSAL,
        "refused: price, quality",
        probabilities={"shipping": 0.9},
    )


def test_a_refusal_changes_no_earlier_answer() -> None:
    """A later pass that is refused a label leaves what stood there, and its probability."""
    prompt = prompt_of(deciding("first"), deciding("again"))
    prediction, _ = fanned(
        prompt,
        lambda call: (
            decided(shipping=0.9, quality=0.1, price=0.2)
            if call.pass_name == "first"
            else decided(shipping=None, quality=0.8, price=0.3)
        ),
    )
    assert prediction == Prediction(
        "s", frozenset({"shipping", "quality"}), probabilities={"shipping": 0.9, "quality": 0.8, "price": 0.3}
    )


def test_words_of_a_later_pass_take_the_probabilities_away() -> None:
    """A cell has the probability of the pass that answered it, or none."""
    prompt = prompt_of(deciding("first"), asking("again", scope=("price", "quality")))
    prediction, _ = fanned(
        prompt,
        lambda call: decided(shipping=0.9, quality=0.1, price=0.2) if call.questions else "price",
    )
    assert prediction.labels == {"shipping", "price"}
    assert prediction.probabilities == {"shipping": 0.9}


def test_a_missing_answer_is_not_absent() -> None:
    """A label that was asked about and is not in the answer makes the answer unreadable."""
    prediction, _ = fanned(prompt_of(deciding("main")), lambda call: decided(shipping=0.9, quality=0.1))
    assert prediction.unanswered == set(GROUPED.names)
    assert (prediction.failure, prediction.why) == (FailureKind.UNPARSEABLE, "no answer for price")


def test_a_narrow_scope_is_not_missing_the_others() -> None:
    """A pass that asks about some labels is answered when these are."""
    prompt = prompt_of(deciding("a", scope=("price",)), deciding("b", scope=("shipping", "quality")))
    prediction, calls = fanned(prompt, lambda call: decided(**{question["name"]: 0.7 for question in call.questions}))
    assert [len(call.questions) for call in calls] == [1, 2]
    assert prediction.labels == set(GROUPED.names)


def test_many_labels_are_asked_in_parts() -> None:
    """Above 400 questions each part fills its own cells; one that fails leaves those of the others."""
    space = LabelSpace(
        tuple(Label(f"l{number}") for number in range(401)), (Field("mood", "choice", ("happy", "mad")),)
    )
    prompt = prompt_of(deciding("main", output=Output("decisions", {}, ("mood",))))

    def answer(call: Call) -> Completion:
        answers: list[dict[str, Any]] = [
            decision(each["name"], 0.9) for each in call.questions if each["kind"] == "predicate"
        ]
        answers += [
            {"name": each["name"], "type": "choice", "choice": "mad"}
            for each in call.questions
            if each["kind"] == "choice"
        ]
        return Completion("ok", json.dumps(answers))

    prediction, calls = fanned(prompt, answer, space)
    assert [len(call.questions) for call in calls] == [400, 2]
    assert prediction.labels == set(space.names)
    assert len(prediction.probabilities) == 401
    assert prediction.fields == {"mood": "mad"}
    prediction, _ = fanned(prompt, lambda call: BROKEN if call.unit == "400-401" else answer(call), space)
    assert prediction.unanswered == {"l399", "l400"}
    assert len(prediction.labels) == 399


# --- votes ------------------------------------------------------------------------------------------------------------


def test_every_unit_has_its_own_votes() -> None:
    """Draws are numbered within their repeat, and those of one unit become one answer."""
    prompt = prompt_of(asking("main", per="group", votes=Votes(3)))
    said = {("delivery", 0): "shipping", ("delivery", 1): "none", ("delivery", 2): "shipping"}
    prediction, calls = fanned(prompt, lambda call: said.get((call.unit, call.draw), "none"))
    assert [(call.unit, call.draw) for call in calls] == [
        (unit, draw) for unit in ("delivery", "product") for draw in range(3)
    ]
    assert prediction.labels == {"shipping"}
    assert prediction.probabilities == {"shipping": 0.666667, "quality": 0.0, "price": 0.0}


def test_votes_that_all_fail_are_a_failure() -> None:
    """Draws that fail have no vote; without any vote the cells stay open."""
    prompt = prompt_of(asking("main", votes=Votes(3)))
    prediction, _ = fanned(prompt, lambda call: "price" if call.draw == 1 else BROKEN)
    assert prediction == Prediction(
        "s", frozenset({"price"}), probabilities={"shipping": 0.0, "quality": 0.0, "price": 1.0}
    )
    prediction, _ = fanned(prompt, lambda call: BROKEN)
    assert prediction.unanswered == set(GROUPED.names)


def test_draws_of_repeats_never_meet() -> None:
    """The second repeat's draws go on where those of the first end."""
    _, calls = answered(prompt_of(asking("main", votes=Votes(2))), {"main": "none"}, repeat=1)
    assert [call.slot for call in calls] == [("s", "main", "", 2), ("s", "main", "", 3)]


def test_votes_can_be_counted_in_another_way() -> None:
    """A reading says how votes become an answer; how many were drawn stays."""
    main = asking("main", votes=Votes(3, "majority"))
    reading = Reading(SPACE, {"main": replace(main, votes=Votes(3, "any"))})
    once = {0: "price", 1: "none", 2: "none"}
    assert fanned(prompt_of(main), lambda call: once[call.draw], SPACE)[0].labels == frozenset()
    assert fanned(prompt_of(main), lambda call: once[call.draw], SPACE, reading)[0].labels == {"price"}


# --- asking again where it is unsure ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "first", "asks"),
    [
        ("scores.shipping < 0.6", decided(shipping=0.5, quality=0.1, price=0.9), True),
        ("scores.shipping < 0.6", decided(shipping=0.7, quality=0.1, price=0.9), False),
        ("scores['shipping'] > 0.6", decided(shipping=0.7, quality=0.1, price=0.9), True),
        ("scores.shipping < 0.6", decided(shipping=None, quality=0.1, price=0.9), False),
        ("scores.shipping > 0.6", BROKEN, False),
        ("failed or scores.shipping < 0.6", BROKEN, True),
        ("confidence < 0.8", decided(shipping=0.7, quality=0.1, price=0.9), True),
        ("confidence < 0.7", decided(shipping=0.7, quality=0.1, price=0.9), False),
        ("confidence < 0.7", decided(shipping=None, quality=0.1, price=0.9), True),
        ("confidence < 0.7", BROKEN, True),
    ],
)
def test_when_can_look_at_probabilities(when: str, first: Completion, asks: bool) -> None:
    """A label without a probability compares false with everything; a failed answer has confidence 0."""
    prompt = prompt_of(deciding("first"), asking("again", when=when))
    _, calls = fanned(prompt, lambda call: first if call.questions else "none")
    assert len(calls) == 1 + asks


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_template_that_fails_names_file_line_sample_and_pass() -> None:
    """A template that fails on a sample is an error of the user's files."""
    with pytest.raises(DataError, match=r"^prompts/v\.yaml:5: sample s, pass main: .*'nothing'") as caught:
        answered(prompt_of(asking("main", "x\n{{ text.nothing.more }}")), {})
    assert str(caught.value).endswith(".")


def test_a_template_of_a_stored_run_names_no_line() -> None:
    """Where lines are not known any more, the message does not make one up."""
    stored = Prompt.from_json(prompt_of(asking("main", "x\n{{ text.nothing.more }}")).to_json())
    with pytest.raises(DataError, match=r"^prompts/v\.yaml: sample s, pass main: "):
        answered(stored, {})


def test_a_when_that_fails_names_sample_and_pass() -> None:
    """A `when` that fails on an answer is an error that names it."""
    prompt = replace(prompt_of(asking("first"), asking("second", when="predicted[5] == 'x'")), path=None)
    with pytest.raises(DataError, match=r"^v: sample s, 'when' of pass second: "):
        answered(prompt, {"first": "price"})


# --- reading anew -----------------------------------------------------------------------------------------------------


def test_answers_can_be_read_in_another_way() -> None:
    """A reading changes output, scope and aliases of the passes that it names, and nothing of what is asked."""
    main = asking("main", shots=Shots((Sample("w", {"text": "x"}, frozenset({"price"})),)))
    aliased = LabelSpace(tuple(Label(each.name, aliases=("cost",) if each.name == "price" else ()) for each in SPACE))
    plain, (call,) = answered(prompt_of(main), {"main": "cost; shipping"})
    reading = Reading(aliased, {"main": replace(main, output=Output("list", {"separator": ";"}))})
    read, (same,) = answered(prompt_of(main), {"main": "cost; shipping"}, reading)
    assert read.labels == {"price", "shipping"}
    assert plain != read
    assert call == same
    scoped = Reading(aliased, {"main": replace(main, scope=("price",))})
    assert answered(prompt_of(main), {"main": "cost"}, scoped)[0].labels == {"price"}


def test_a_reading_says_which_fields_were_asked() -> None:
    """The asked fields are those of the outputs that read the answers."""
    reading = Reading(SPACE, {"main": asking("main", output=Output("json", {}, ("mood",)))})
    assert answered(prompt_of(asking("main")), {"main": BROKEN}, reading)[0].asked_fields == ("mood",)


# --- properties -------------------------------------------------------------------------------------------------------

label_sets = st.frozensets(st.sampled_from(SPACE.names))
scopes = st.lists(st.sampled_from(SPACE.names), unique=True).map(tuple)
answers = st.builds(Answer, label_sets, st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple))
failures = st.builds(ParseFailure, st.sampled_from(FailureKind), st.just("why"))


Standing = tuple[Prediction, Reasons]


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Draw what stands before a pass: labels, and unanswered cells with their reasons."""
    unanswered = draw(st.lists(st.sampled_from(SPACE.names), unique=True))
    reasons = {name: (draw(st.sampled_from(FailureKind)), f"why {name}") for name in unanswered}
    failure, why = reasons[unanswered[-1]] if unanswered else (None, None)
    return Prediction("s", draw(label_sets) - reasons.keys(), frozenset(unanswered), failure, why), reasons


@given(standings(), answers | failures, scopes)
@unhurried
def test_merging_twice_is_merging_once(before: Standing, result: Answer | ParseFailure, scope: tuple[str, ...]) -> None:
    """The same result again changes no cell, field, failure or reason."""
    once, reasons = merge(*before, result, frozenset(scope))
    twice, same = merge(once, reasons, result, frozenset(scope))
    assert (replace(twice, off_list=()), same) == (replace(once, off_list=()), reasons)


@given(standings(), answers | failures, scopes)
@unhurried
def test_a_failure_is_that_of_a_cell_that_is_unanswered(
    before: Standing, result: Answer | ParseFailure, scope: tuple[str, ...]
) -> None:
    """Every unanswered cell has a reason and no other has, and the failure is the last one of them."""
    after, reasons = merge(*before, result, frozenset(scope))
    assert reasons.keys() == after.unanswered
    assert (after.failure, after.why) == next(reversed(list(reasons.values())), (None, None))


@given(standings(), answers, scopes)
@unhurried
def test_an_answer_never_leaves_its_scope(before_all: Standing, result: Answer, scope: tuple[str, ...]) -> None:
    """An answer decides every cell of its scope and touches no other."""
    before, inside = before_all[0], frozenset(scope)
    after, _ = merge(*before_all, result, inside)
    assert after.labels - inside == before.labels - inside
    assert after.unanswered == before.unanswered - inside
    assert after.labels & inside == result.labels & inside


@given(standings(), failures, scopes)
@unhurried
def test_a_failure_changes_no_cell(before_all: Standing, result: ParseFailure, scope: tuple[str, ...]) -> None:
    """A failed pass leaves labels, unanswered cells and fields as they are."""
    before = before_all[0]
    after, _ = merge(*before_all, result, frozenset(scope))
    assert (after.labels, after.unanswered, after.fields) == (before.labels, before.unanswered, before.fields)


@given(st.data())
@unhurried
def test_an_unanswered_cell_always_has_a_failure(data: st.DataObject) -> None:
    """Where the passes without `when` cover the labels, a prediction has a failure exactly when a cell is unanswered."""
    texts = st.sampled_from(["none", "price", "shipping, quality", "bananas"]).map(lambda text: Completion("ok", text))
    completions = texts | st.just(BROKEN) | st.just(Completion("refusal", "No."))
    whens = st.sampled_from([None, None, "failed", "'price' in predicted", "n_predicted > 1"])
    passes = [
        asking(str(at), scope=data.draw(scopes), when=data.draw(whens) if at else None)
        for at in range(data.draw(st.integers(1, 4)))
    ]
    if without_answer(passes, SPACE):
        passes.append(asking("rest"))
    prediction, _ = answered(prompt_of(*passes), {each.name: data.draw(completions) for each in passes})
    assert prediction.failed == (prediction.failure is not None)
    assert not prediction.labels & prediction.unanswered


@given(label_sets)
@unhurried
def test_a_prediction_does_not_depend_on_gold(gold: frozenset[str]) -> None:
    """The calls of a sample are the same whatever its gold is."""
    prompt = prompt_of(asking("main", "{{ labels | join }} {{ text }}"))
    calls = next(predict(prompt, SPACE, replace(SAMPLE, labels=gold)))
    assert calls == next(predict(prompt, SPACE, replace(SAMPLE, labels=None, fields={})))


# --- what need not be rendered ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("per", ["sample", "label"])
def test_calls_without_words_have_their_slots(per: Any) -> None:
    """Where only slots are looked at, the calls have those that they would have, and neither messages nor questions."""
    typed = QuestionTemplates(MessageTemplate("label", "{{ label }}?"), MessageTemplate("field", "{{ field }}?"))
    plain = asking("main", "{{ nothing }}", per=per, output=Output("decisions"), questions=typed, votes=Votes(2))
    whole = replace(plain, messages=(MessageTemplate("user", "{{ text }}"),))
    wordless = next(predict(prompt_of(plain), SPACE, SAMPLE, 1, wordless={"main"}))
    assert [call.slot for call in wordless] == [call.slot for call in next(predict(prompt_of(whole), SPACE, SAMPLE, 1))]
    assert {call.asked for call in wordless} == {((), ())}


def test_only_the_named_passes_are_without_words() -> None:
    """A pass that is not named is rendered, with what the passes before it said."""
    prompt = prompt_of(asking("first", "{{ nothing }}"), asking("second", "{{ predicted | join }} {{ text }}"))
    asker = predict(prompt, SPACE, SAMPLE, wordless={"first"})
    assert next(asker)[0].messages == ()
    (call,) = asker.send([Completion("ok", "price")])
    assert text_of(call) == "price Late."
