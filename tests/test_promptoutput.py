"""How a pass asks and wants its answer: what the file says, what is wrong in it, and what cannot go together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Problems
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.prompt import MessageTemplate, Model, Pass, QuestionTemplates, Votes
from harness.promptoutput import (
    FIELD_QUESTION,
    LABEL_QUESTION,
    default_output,
    impossible,
    read_output,
    read_per,
    read_questions,
    read_votes,
    unreadable_units,
)
from harness.shots import Shots
from harness.template import render
from harness.units import MOST_QUESTIONS
from harness.yamlfile import Section, read_yaml

NAMES = "list, vector, codes, json, containers, yes_no, scores, decisions"
CHAT, DECIDER = Model("m"), Model("m", "decisions")
TYPED = QuestionTemplates(MessageTemplate("label", "x"), MessageTemplate("field", "y"))
SPACE = LabelSpace(
    (Label("shipping", group="delivery"), Label("packaging", group="delivery"), Label("price")),
    (Field("mood", "choice", ("happy", "mad")),),
)
WEIGHED = Model("m", params={"logprobs": True, "top_logprobs": 20})


def told(tmp_path: Path, text: str, read: Callable[[Section], Any]) -> tuple[Any, list[str]]:
    """Return what is read in a file, and its problems without the file's name."""
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    problems = Problems(path)
    said = read(read_yaml(path, problems))
    return said, [str(each).removeprefix(f"{path}:") for each in problems.found]


def asking(**options: Any) -> Pass:
    """Return a pass that answers in format list, unless the options say otherwise."""
    return Pass("main", (MessageTemplate("user", "x"),), **{"model": CHAT, "output": Output(), **options})


def found(**options: Any) -> list[str]:
    """Return what is impossible in a pass."""
    return [message for _, message in impossible(asking(**options), SPACE)]


# --- output -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "output", "line"),
    [
        ("output: json", Output("json"), 1),
        ("output: {format: json, labels_key: themes}", Output("json", {"labels_key": "themes"}), 1),
        ("output:\n  fields: [mood]\n  separator: ;", Output("list", {"separator": ";"}, ("mood",)), 1),
        (
            "output: {format: yes_no, threshold: 0.3, thresholds: {shipping: 0.7, price: 0}}",
            Output("yes_no", threshold=0.3, thresholds={"shipping": 0.7, "price": 0.0}),
            1,
        ),
        ("notes: x\noutput: {format: json, constrain: json_schema}", Output("json", constrain="json_schema"), 2),
        (
            "output: {format: codes, codes: {a: [shipping], 0: []}}",
            Output("codes", {"codes": {"a": ["shipping"], "0": []}}),
            1,
        ),
    ],
)
def test_an_output_is_what_is_said(tmp_path: Path, text: str, output: Output, line: int) -> None:
    """A name, or a mapping: its own keys are read, all others are options of the format."""
    said, problems = told(tmp_path, text, read_output)
    assert problems == []
    assert (said.for_model(CHAT), said.line) == (output, line)


def test_no_output_is_none(tmp_path: Path) -> None:
    """A section that says nothing leaves it to what stands above, or to the API."""
    assert told(tmp_path, "notes: x", read_output) == (None, [])
    assert default_output(CHAT) == Output("list")
    assert default_output(DECIDER) == default_output(Model("m", "systemone")) == Output("decisions")


def test_where_no_format_is_named_the_api_decides(tmp_path: Path) -> None:
    """Thresholds and fields go with the API's own format; a format that is named stays."""
    said, _ = told(tmp_path, "output: {threshold: 0.4, fields: [mood]}", read_output)
    assert said.for_model(DECIDER) == Output("decisions", {}, ("mood",), threshold=0.4)
    assert said.for_model(CHAT) == Output("list", {}, ("mood",), threshold=0.4)
    said, _ = told(tmp_path, "output: json", read_output)
    assert said.for_model(DECIDER) == Output("json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("output: jsn", f"1: 'output' must be one of {NAMES}, got 'jsn'. Did you mean 'json'?"),
        ("output: 5", "1: 'output' must be a mapping, got a number."),
        ("output:\n  format: lst", f"2: 'output.format' must be one of {NAMES}, got 'lst'. Did you mean 'list'?"),
        ("output: {format: [json]}", f"1: 'output.format' must be one of {NAMES}, got a list."),
        ("output: {fields: {mood: x}}", "1: 'output.fields' must be a list of texts, got a mapping in it."),
        (
            "output: {constrain: jsonschema}",
            "1: 'output.constrain' must be one of auto, off, json_schema, json_object, grammar, got 'jsonschema'. "
            "Did you mean 'json_schema'?",
        ),
        ("output: {threshold: 2}", "1: 'output.threshold' must be between 0 and 1, got 2."),
        ("output: {thresholds: 0.5}", "1: 'output.thresholds' must be a mapping, got a number."),
        ("output: {thresholds: {a: -1}}", "1: 'output.thresholds.a' must be between 0 and 1, got -1."),
        ("output: {thresholds: {a: high}}", "1: 'output.thresholds.a' must be a number, got a text."),
    ],
)
def test_a_wrong_output_is_told(tmp_path: Path, text: str, problem: str) -> None:
    """What an output cannot be is one message with its line."""
    assert told(tmp_path, text, read_output)[1] == [problem]


# --- per and votes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "per", "problems"),
    [
        ("notes: x", "sample", []),
        ("per: sample", "sample", []),
        ("per: label", "label", []),
        ("per: group", "group", []),
        (
            "per: labels",
            "sample",
            ["1: 'per' must be one of sample, label, group, got 'labels'. Did you mean 'label'?"],
        ),
    ],
)
def test_per_is_the_sample_unless_said(tmp_path: Path, text: str, per: str, problems: list[str]) -> None:
    """One call is about the sample, a label or a group."""
    assert told(tmp_path, text, read_per) == (per, problems)


@pytest.mark.parametrize(
    ("text", "votes", "problems"),
    [
        ("notes: x", None, []),
        ("votes: {k: 5}", Votes(5, "majority"), []),
        ("votes: {k: 2, how: any}", Votes(2, "any"), []),
        ("votes: {k: 2, how: all}", Votes(2, "all"), []),
        ("votes: {k: 3, how: mean}", Votes(3, "mean"), []),
        ("votes: 3", None, ["1: 'votes' must be a mapping, got a number. Write votes: {k: 5}."]),
        ("votes:\n  how: any", Votes(2, "any"), ["1: 'votes.k' is missing. Say how many draws vote."]),
        ("votes: {k: 1}", Votes(2), ["1: 'votes.k' must be at least 2, got 1."]),
        ("votes: {k: many}", Votes(2), ["1: 'votes.k' must be a whole number, got a text."]),
        ("votes: {k: 3, how: most}", Votes(3), ["1: 'votes.how' must be one of majority, any, all, mean, got 'most'."]),
        ("votes: {k: 3, hwo: any}", Votes(3), ["1: unknown key 'votes.hwo'. Did you mean 'how'?"]),
    ],
)
def test_votes_are_read_with_their_rule(tmp_path: Path, text: str, votes: Votes | None, problems: list[str]) -> None:
    """So many draws and how they become one answer; the majority where nothing else is said."""
    assert told(tmp_path, text, read_votes) == (votes, problems)


# --- questions --------------------------------------------------------------------------------------------------------


def questions(tmp_path: Path, text: str, model: Model = DECIDER) -> tuple[tuple[str, str] | None, list[str]]:
    """Return the templates of the label and field question, and the problems."""
    said, problems = told(tmp_path, text, lambda section: read_questions(section, model))
    return None if said is None else (said.label.source, said.field.source), problems


@pytest.mark.parametrize(
    ("text", "label", "field"),
    [
        ("notes: x", LABEL_QUESTION, FIELD_QUESTION),
        ("question: Is it {{ label }}?", "Is it {{ label }}?", FIELD_QUESTION),
        ("question: {label: L, field: F}", "L", "F"),
        ("question: {field: F}", LABEL_QUESTION, "F"),
    ],
)
def test_questions_are_templates_with_defaults(tmp_path: Path, text: str, label: str, field: str) -> None:
    """A text asks about labels; a mapping says both; what is not said has a default."""
    assert questions(tmp_path, text) == ((label, field), [])
    assert questions(tmp_path, text, Model("m", "systemone")) == ((label, field), [])


def test_a_question_knows_its_line(tmp_path: Path) -> None:
    """Templates begin where the file has their text."""
    said, _ = told(
        tmp_path, "notes: x\nquestion:\n  label: L\n  field: |\n    F\n", lambda each: read_questions(each, DECIDER)
    )
    assert (said.label.line, said.field.line) == (3, 5)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("question: ''", ["1: 'question' must be a text, got an empty one."]),
        ("question: [a]", ["1: 'question' must be a text, got a list."]),
        ("question:\n  label: L\n  feld: F", ["3: unknown key 'question.feld'. Did you mean 'field'?"]),
        ("question: {label: ' '}", ["1: 'question.label' must be a text, got an empty one."]),
    ],
)
def test_a_wrong_question_is_told(tmp_path: Path, text: str, problems: list[str]) -> None:
    """What a question cannot be is one message with its line."""
    assert questions(tmp_path, text)[1] == problems


def test_other_apis_are_asked_no_questions(tmp_path: Path) -> None:
    """A question of an API that takes messages alone is an error; without one there is none."""
    assert questions(tmp_path, "question: x", CHAT) == (
        None,
        ["1: 'question' needs an API that is asked questions: decisions, systemone."],
    )
    assert questions(tmp_path, "notes: x", CHAT) == (None, [])


@pytest.mark.parametrize(
    ("template", "context", "words"),
    [
        (LABEL_QUESTION, {"label": Label("price", "Too dear")}, 'The label "price" applies: Too dear'),
        (LABEL_QUESTION, {"label": Label("price")}, 'The label "price" applies'),
        (FIELD_QUESTION, {"field": Field("mood", "bool", description="Is it kind?")}, "mood: Is it kind?"),
        (FIELD_QUESTION, {"field": Field("mood", "bool")}, "mood"),
    ],
)
def test_the_default_questions_say_name_and_description(template: str, context: dict[str, Any], words: str) -> None:
    """A label is a statement that can be true; a field says what is chosen."""
    assert render(template, context) == words


# --- what cannot go together ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"per": "label", "output": Output("yes_no")},
        {"per": "label", "output": Output("list")},
        {"per": "group", "scope": ("shipping", "packaging")},
        {"scope": ("price",), "output": Output("yes_no")},
        {"per": "label", "output": Output("yes_no", threshold=0.3), "model": WEIGHED},
        {"output": Output("scores", threshold=0.3)},
        {"votes": Votes(3), "output": Output("scores", threshold=0.3)},
        {"votes": Votes(3, "mean"), "output": Output(threshold=0.3)},
        {"model": DECIDER, "questions": TYPED, "output": Output("decisions", {}, ("mood",), threshold=0.4)},
        {"output": Output("yes_no", constrain="grammar"), "per": "label"},
        {"output": Output("yes_no", constrain="auto"), "per": "label", "model": WEIGHED},
    ],
)
def test_what_goes_together_is_no_problem(options: dict[str, Any]) -> None:
    """Nothing is refused that can be asked and read."""
    assert found(**options) == []


def test_fan_out_asks_about_labels_alone() -> None:
    """A call about a label or group cannot carry fields."""
    assert found(per="label", output=Output("json", {}, ("mood",))) == [
        "'per: label' asks about labels alone, so its output can hold no fields. Ask for them in another pass."
    ]


def test_per_group_needs_a_group_for_every_label() -> None:
    """A label without a group would never be asked about."""
    assert found(per="group") == ["'per: group' needs a group for every label, but these have none: price."]


def test_a_format_for_one_label_needs_one_label() -> None:
    """yes_no answers for one label: by fan-out, or with a scope of one."""
    assert found(output=Output("yes_no")) == [
        "format yes_no answers for one label, and this pass asks about 3. Add: per: label"
    ]
    assert found(output=Output("yes_no"), per="group", scope=("shipping", "packaging")) == [
        "format yes_no answers for one label. Use 'per: label' instead of 'per: group'."
    ]


NO_PROBABILITIES = (
    "'threshold' needs probabilities. Ask for log-probabilities (model.params: {logprobs: true, top_logprobs: 20}) with "
    "format yes_no or codes, or use format scores, or votes with 'how: mean'."
)


@pytest.mark.parametrize(
    "options",
    [
        {"output": Output(threshold=0.3)},
        {"output": Output(thresholds={"price": 0.3})},
        {"output": Output("yes_no", threshold=0.3), "per": "label"},
        {"output": Output(threshold=0.3), "model": WEIGHED},
        {"output": Output(threshold=0.3), "votes": Votes(3, "majority")},
        {"output": Output(threshold=0.3), "votes": Votes(3, "any")},
    ],
)
def test_thresholds_need_probabilities_that_decide(options: dict[str, Any]) -> None:
    """A threshold that nothing is measured against would be silently ignored."""
    assert found(**options) == [NO_PROBABILITIES]


@pytest.mark.parametrize(
    ("model", "constrain", "own"),
    [
        (Model("m", params={"response_format": {"type": "json_object"}}), "auto", "response_format"),
        (
            Model("m", params={"structured_outputs": {}, "grammar": "root ::="}),
            "json_schema",
            "grammar, structured_outputs",
        ),
        (Model("m", "completions", params={"json_schema": {}}), "grammar", "json_schema"),
        (Model("m", "responses", params={"text": {"format": {"type": "json_object"}}}), "auto", "text.format"),
    ],
)
def test_an_answer_is_constrained_once(model: Model, constrain: Any, own: str) -> None:
    """A parameter that `constrain` would silently replace, or contradict, is told."""
    assert found(output=Output("json", constrain=constrain), model=model) == [
        f"'constrain: {constrain}' and {own} of 'model.params' exclude each other: both say what an answer must look like. "
        "Take one of them out."
    ]


@pytest.mark.parametrize(
    ("model", "constrain"),
    [
        (Model("m", params={"response_format": {"type": "json_object"}}), "off"),
        (Model("m", "responses", params={"text": {"verbosity": "low"}}), "auto"),
        (Model("m", params={"top_logprobs": 20, "grammar": "root ::="}), "auto"),
    ],
)
def test_parameters_of_its_own_are_fine_where_nothing_else_constrains(model: Model, constrain: Any) -> None:
    """Without `constrain`, and where log-probabilities switch it off, a prompt may constrain answers itself."""
    written = "yes_no" if model.asks_logprobs else "json"
    assert found(output=Output(written, constrain=constrain), model=model, scope=("price",)) == []


def test_draws_that_vote_must_differ() -> None:
    """With one seed for all, every draw is the same answer."""
    assert found(votes=Votes(3), model=Model("m", params={"seed": 1})) == [
        "'votes' needs draws that differ, and 'seed' of 'model.params' makes them the same. Take one of them out."
    ]


def test_each_unit_must_have_a_form_of_its_own() -> None:
    """What can be written about all labels may have no form about those of one group, or about one label."""
    codes = {"a": ["packaging"], "b": ["shipping", "price"], "c": "price"}
    space = LabelSpace(tuple(replace(each, group=each.group or "money") for each in SPACE))
    written = Output("codes", {"codes": codes})
    assert FORMATS["codes"].check(written, space) == []
    assert list(unreadable_units(asking(output=written), space)) == []
    assert list(unreadable_units(asking(output=written, per="group"), space)) == [
        "format codes has no form for an answer about group delivery: codes cannot write shipping, packaging: every code of "
        "shipping stands for other labels too. Give it a code of its own in 'codes'."
    ]


@pytest.mark.parametrize("per", ["label", "group"])
@pytest.mark.parametrize(
    "output",
    [
        Output("codes", {"codes": {"s": "shipping", "a": "packaging", "p": "price"}}),
        Output("containers", {"containers": {"delivery": None, "money": {"prefix": "M:", "suffix": "\n"}}}),
        Output("scores", thresholds={"price": 0.3, "shipping": 0.6}),
        Output("json", constrain="json_schema"),
        Output("list"),
        Output("vector"),
    ],
)
def test_what_is_said_of_other_units_is_no_problem(output: Output, per: Any) -> None:
    """Codes, containers and thresholds of labels that a unit has not are not its business."""
    space = LabelSpace(tuple(replace(each, group=each.group or "money") for each in SPACE))
    assert FORMATS[output.format].check(output, space) == []
    assert list(unreadable_units(asking(output=output, per=per), space)) == []


def test_constrained_answers_have_no_log_probabilities() -> None:
    """A forced answer says nothing of what the model would have written."""
    assert found(output=Output("yes_no", constrain="grammar"), per="label", model=WEIGHED) == [
        "'constrain: grammar' and log-probabilities exclude each other: a constrained answer says nothing of what the model "
        "would have written. Take one of them out."
    ]


def test_decision_apis_answer_questions_and_nothing_else() -> None:
    """What goes with texts does not go with probabilities."""
    assert found(
        model=DECIDER,
        questions=TYPED,
        output=Output("list", constrain="grammar"),
        per="label",
        votes=Votes(3),
        shots=Shots(()),
    ) == [
        "'api: decisions' answers with probabilities, not in format list. Say here: output: decisions",
        "'api: decisions' asks about every label in one request. Take 'per' out.",
        "'api: decisions' gives probabilities, not draws. Take 'votes' out.",
        "'api: decisions' takes no worked examples. Take 'shots' out, or move it into the passes that use it.",
        "'api: decisions' writes no text that could be constrained. Take 'constrain' out.",
    ]


def test_fields_leave_room_for_labels() -> None:
    """The fields go with the first request, which needs a place for a label."""
    fields = tuple(f"f{number}" for number in range(MOST_QUESTIONS))
    whole = {"model": DECIDER, "questions": TYPED}
    assert found(**whole, output=Output("decisions", {}, fields)) == [
        "'api: decisions' takes 400 questions a request, and there are 400 fields."
    ]
    assert found(**whole, output=Output("decisions", {}, fields[1:])) == []


def test_the_format_of_decisions_needs_their_api() -> None:
    """No model that writes text is asked for it."""
    assert found(output=Output("decisions")) == ["format decisions needs an API that answers so: decisions, systemone."]


def test_a_pass_gives_probabilities_from_any_source() -> None:
    """The API, the votes, the format, or log-probabilities with a format that can read them."""
    assert asking(model=DECIDER).gives_probabilities
    assert asking(votes=Votes(2)).gives_probabilities
    assert asking(output=Output("scores")).gives_probabilities
    assert asking(output=Output("yes_no"), model=WEIGHED).gives_probabilities
    assert not asking(output=Output("yes_no")).gives_probabilities
    assert not asking(model=WEIGHED).gives_probabilities
    assert not replace(asking(), scope=("price",)).gives_probabilities
