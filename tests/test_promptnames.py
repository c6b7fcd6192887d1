"""Names in templates: whatever nobody defines is told before any call, with its line and the nearest name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import Problems
from harness.labelspace import Field, Label, LabelSpace
from harness.literals import quoted
from harness.parsing import Output
from harness.prompt import Candidates, MessageTemplate, Model, Pass, Prompt
from harness.promptnames import check_templates, unused_variables
from harness.records import Sample
from harness.shots import Shots

SPACE = LabelSpace((Label("shipping"), Label("price")), (Field("mood", "text"),))
NO_SCORES = "needs a source of probabilities, and no earlier pass has one."


def asking(name: str, *templates: str, when: str | None = None, shots: Shots | None = None) -> Pass:
    """Return a pass whose messages begin on the lines 10, 20 and so on."""
    messages = tuple(MessageTemplate("user", text, 10 * at) for at, text in enumerate(templates, 1))
    return Pass(name, messages, Model("m"), Output(), shots, when)


def told(*passes: Pass, space: LabelSpace = SPACE) -> list[str]:
    """Return what is wrong in the templates of a prompt; every `when` stands on line 5."""
    problems = Problems(Path("p.yaml"))
    prompt = Prompt("p", passes, variables={"tone": "calm"})
    check_templates(prompt, frozenset({"text", "lang"}), space, problems, {each.name: 5 for each in passes})
    return [str(each).removeprefix("p.yaml:") for each in problems.found]


FIRST = asking("first", "{{ text }} {{ lang }} {{ tone }} {{ labels | length }} {{ groups | length }}")


def test_columns_variables_and_the_label_space_are_there() -> None:
    """The first pass may use columns, variables, `labels` and `groups`."""
    assert told(FIRST) == []


@pytest.mark.parametrize("name", ["predicted", "n_predicted", "failed", "failure", "off_list", "fields", "passes"])
def test_the_answer_so_far_is_there_after_the_first_pass(name: str) -> None:
    """A later pass may use the answer so far, in templates and `when`; the first pass may not."""
    assert told(FIRST, asking("second", f"{{{{ {name} }}}}", when=name)) == []
    (problem,) = told(asking("first", f"a\n{{{{ {name} }}}}"))
    assert problem.startswith(f"11: '{name}' is not defined.")


def test_every_message_is_checked_at_its_line() -> None:
    """Unknown names are told for every message, in the file's lines, with the nearest known name."""
    assert told(asking("first", "{{ txt }}", "\n\n{{ lng }}")) == [
        "10: 'txt' is not defined. Did you mean 'text'? Here there is: groups, labels, lang, text, tone.",
        "22: 'lng' is not defined. Did you mean 'lang'? Here there is: groups, labels, lang, text, tone.",
    ]


def test_shots_are_there_only_with_shots() -> None:
    """`shots` is a name of passes that have shots."""
    assert told(asking("first", "{{ shots }}", shots=Shots(()))) == []
    assert told(asking("first", "{{ shots }}"))[0].startswith("10: 'shots' is not defined.")


@pytest.mark.parametrize("name", ["scores", "confidence"])
def test_probabilities_need_a_source(name: str) -> None:
    """A `when` or template with `scores` or `confidence` is told that no pass has a source of probabilities."""
    assert told(FIRST, asking("second", "{{ text }}", when=f"{name} < 0.5")) == [
        f"5: 'when' of pass second: '{name}' {NO_SCORES}"
    ]
    assert told(FIRST, asking("second", f"{{{{ {name} }}}}")) == [f"10: '{name}' {NO_SCORES}"]


def test_a_when_does_not_see_the_label_space() -> None:
    """`labels` in a `when` is an error, because a label is always in the label space."""
    (problem,) = told(FIRST, asking("second", "{{ text }}", when="'price' in labels"))
    assert problem.startswith("5: 'when' of pass second: 'labels' is not defined.")


def test_a_when_must_be_an_expression() -> None:
    """A `when` that is no Jinja expression is told with its pass."""
    (problem,) = told(FIRST, asking("second", "{{ text }}", when="'price' inn predicted"))
    assert problem.startswith("5: 'when' of pass second: must be a Jinja expression, but ")


def test_a_condition_of_the_first_pass_is_not_checked_further() -> None:
    """The first pass's `when` is refused as such, so its names are not told too."""
    assert told(asking("first", "{{ text }}", when="predicted")) == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ passes.first.raw }}",
        "{{ passes['first'].raw }}",
        '{% if passes["first"].predicted %}x{% endif %}',
        "{% for name, each in passes.items() %}{{ name }}{% endfor %}",
        "It passes.The rest: {{ text }}",
    ],
)
def test_earlier_passes_are_there_by_name(source: str) -> None:
    """`passes.NAME` is fine for an earlier pass; text outside of Jinja's tags does not count."""
    assert told(FIRST, asking("second", source)) == []


@pytest.mark.parametrize(
    "source", ["\n{{ passes.frist.raw }}", "\n{{ passes['frist'].raw }}", "{{ 1\n + passes.frist }}"]
)
def test_a_pass_that_is_not_earlier_is_told(source: str) -> None:
    """`passes.NAME` of no earlier pass is an error with the nearest name, at its line."""
    assert told(FIRST, asking("second", source)) == [
        "11: there is no earlier pass 'frist'; there is first. Did you mean 'first'?"
    ]


def test_a_when_may_not_name_its_own_pass() -> None:
    """A pass is not earlier than itself."""
    assert told(FIRST, asking("second", "{{ text }}", when="passes.second.predicted")) == [
        "5: 'when' of pass second: there is no earlier pass 'second'; there is first."
    ]


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ("scores.shiping > 0.5", "scores"),
        ("scores['shiping'] > 0.5", "scores"),
        ("scores.get('shiping')", "scores"),
        ("'price' in predicted and 'shiping' in predicted", "predicted"),
        ("text == 'price' and \"shiping\" not in passes.first.predicted", "predicted"),
    ],
)
def test_what_is_asked_of_an_answer_must_be_a_label(asked: str, what: str) -> None:
    """A score or a predicted label that is none would never be there, in a `when` or in a template."""
    first = replace(FIRST, output=Output("scores"))
    wrong = f"'{what}' is asked for 'shiping', which is no label. Did you mean 'shipping'?"
    assert told(first, asking("second", "{{ text }}", when=asked)) == [f"5: 'when' of pass second: {wrong}"]
    assert told(first, asking("second", f"x\n{{% if {asked} %}}y{{% endif %}}")) == [f"11: {wrong}"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ scores.shipping }} {{ scores['price'] }} {{ scores.get('price', 0) }} {{ scores.items() | list }}",
        "{% macro told(scores) %}{{ scores.total }}{% endmacro %}{{ told({'total': 1}) }}",
        "{{ shipping }} is 'shiping' in predicted".replace("{{ shipping }}", "It"),
        "{% for each in labels if each.name in predicted %}{{ each }}{% endfor %}",
        "{{ 'x' if text == 'y' and 'price' in predicted }}",
    ],
)
def test_labels_and_names_of_a_templates_own_are_fine(source: str) -> None:
    """Labels, methods of mappings, arguments of a macro and plain text are not told."""
    assert told(replace(FIRST, output=Output("scores")), asking("second", source)) == []


@pytest.mark.parametrize(
    "name", ["it's", 'a "b"', """'both' and "b\"""", "back\\slash", "new\nline", "größe", "日本", "\u2028x"]
)
def test_labels_in_quotes_are_read_as_jinja_reads_them(name: str) -> None:
    """A label whose name needs an escape is found; of one that is none the message has the name, not the escape."""
    space = LabelSpace((Label(name), Label("price")))
    for asked in (f"{quoted(name)} in predicted", f"{quoted(name)} not in passes['first'].predicted"):
        assert told(FIRST, asking("second", "{{ text }}", when=asked), space=space) == []
    (problem,) = told(FIRST, asking("second", "{{ text }}", when=f"{quoted(name + 'x')} in predicted"), space=space)
    assert f"'predicted' is asked for '{name}x', which is no label." in problem


def test_a_bad_escape_is_told_by_jinja() -> None:
    """What Jinja cannot read in quotes is a problem of the expression, not a crash."""
    problems = told(FIRST, asking("second", "{{ text }}", when=r"'\x4' in predicted"))
    assert problems
    assert all("'when' of pass second" in each for each in problems)


def test_a_variable_that_nothing_uses_is_told() -> None:
    """Of several prompts each may use what was given; what none of them uses is told once, with the nearest name."""
    one = Prompt("a", (FIRST,), variables={"tone": "calm", "toen": "x", "guide": "y"}, given=("toen", "guide"))
    two = Prompt(
        "b",
        (FIRST, asking("second", "{% include 'part' %}", when="guide == predicted")),
        files={"part": "{{ named }}"},
        variables={"guide": "y", "named": "z"},
        given=("guide", "named"),
    )
    toen = "--var toen: no template and no 'when' uses it, so that it changes nothing. Did you mean 'tone'?"
    guide = "--var guide: no template and no 'when' uses it, so that it changes nothing."
    assert list(unused_variables([one, two])) == [toen]
    assert list(unused_variables([one])) == [toen, guide]
    assert list(unused_variables([two])) == []


# --- shots ------------------------------------------------------------------------------------------------------------


def shots(**inputs: str) -> Shots:
    """Return a shot with these columns beside the text."""
    return Shots((Sample("w", {"text": "x", **inputs}, frozenset()),))


def test_shots_need_the_columns_of_the_question() -> None:
    """Where shots become turns, each needs the columns that the last user message uses."""
    assert told(asking("first", "{{ text }} {{ lang }} {{ tone }} {{ labels }}", shots=shots(lang="en"))) == []
    assert told(asking("first", "{{ text }}\n{{ lang }}", shots=shots())) == [
        "11: 'lang' is a column that not every shot has. Place the shots yourself: "
        "{% for shot in shots %} … {{ shot.answer }} {% endfor %}"
    ]


def test_shots_have_no_earlier_answer() -> None:
    """The answer of an earlier pass is the sample's: it cannot be asked of a shot."""
    (problem,) = told(FIRST, asking("second", "{{ predicted }} {{ text }}", shots=shots()))
    assert problem.startswith("10: 'predicted' is an answer of an earlier pass, which shots do not have. Place ")


def test_shots_with_a_column_called_answer() -> None:
    """A column `answer` is told where a template places shots itself, because `shot.answer` is the expected answer."""
    placing = "{% for shot in shots %}{{ shot.answer }}{% endfor %}{{ text }}"
    assert told(asking("first", placing, shots=shots(answer="42"))) == [
        "10: the shots have a column 'answer', which in a template is their expected answer. Rename the column."
    ]
    assert told(asking("first", placing, shots=shots())) == []
    assert told(asking("first", "{{ text }}", shots=shots(answer="42"))) == []


def test_shots_are_not_checked_in_a_template_that_is_wrong_already() -> None:
    """A template with unknown names is told for those; what shots lack of it is not told too."""
    assert len(told(asking("first", "{{ lng }}", shots=shots()))) == 1


# --- gates, candidates, fields ----------------------------------------------------------------------------------------


def test_candidates_must_be_shown_and_hide_nothing() -> None:
    """Gates and passes with candidates show what there is to choose from, and a column of that name is in the way."""
    gate = replace(asking("gate", "{{ text }}"), chooses_groups=True)
    says = "its template must show what there is to choose from. Write: "
    loop = "{% for label in candidates %} … {% endfor %}"
    assert told(gate, FIRST) == [f"10: pass gate: {says}{loop}"]
    assert told(replace(gate, per="group"), FIRST) == [f"10: pass gate: {says}{{{{ group }}}}"]
    assert told(asking("gate", "{{ groups }} {{ candidates }}", "{{ tx"))[0].startswith("10: ")
    few = replace(asking("few", "{{ text }}"), candidates=Candidates(1))
    assert told(replace(few, per="label")) == [f"10: pass few: {says}{{{{ label }}}}"]
    problems = Problems(Path("p.yaml"))
    shown = replace(asking("few", "{{ candidates }}"), candidates=Candidates(1))
    check_templates(Prompt("p", (shown,)), frozenset({"candidates"}), SPACE, problems, {})
    assert [str(each) for each in problems.found] == [
        "p.yaml:10: pass few: 'candidates' is what it chooses from, and a column or variable too. Rename that."
    ]


def test_a_template_that_is_no_jinja_is_told_once() -> None:
    """What a broken template of a gate shows nobody knows: it is told for that, and for nothing it does not show."""
    gate = replace(asking("gate", "{{ candidates }}", "{{ tx"), chooses_groups=True)
    (problem,) = told(gate)
    assert problem.startswith("20: must be Jinja, but ")


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ fields.mood }} {{ fields['mood'] }} {{ passes.first.fields.get('mood') }} {{ fields.items() }}", None),
        ("{{ fields.mod }}", "mod"),
        ("{{ fields['item'] }}", "item"),
        ("{{ passes.first.fields.item }}", "item"),
        ("{% macro m(fields) %}{{ fields.item }}{% endmacro %}{{ m({'item': 1}) }}", None),
    ],
)
def test_fields_are_those_of_earlier_passes(template: str, problem: str | None) -> None:
    """A field that no earlier pass asks for would never have a value."""
    first = replace(FIRST, output=Output("json", {}, ("mood",)))
    why = f"10: 'fields' is asked for '{problem}', which is no field that an earlier pass asks for; there is mood."
    found = told(first, asking("second", template))
    assert [each.partition(" Did you")[0] for each in found] == ([] if problem is None else [why])


# --- members and comparisons ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("each", "template", "message"),
    [
        (FIRST, "{{ labels[0].nme }}", "label has no attribute 'nme'. Did you mean 'name'?"),
        (replace(FIRST, per="label"), "{{ label.nme }}", "label has no attribute 'nme'. Did you mean 'name'?"),
        (replace(FIRST, per="group"), "{{ group.label }}", "group has no attribute 'label'. Did you mean 'labels'?"),
        (
            replace(FIRST, chooses_groups=True),
            "{% for group in candidates %}{{ group.labels }}{% endfor %}",
            "group has no attribute 'labels'. It has name, description.",
        ),
        (
            replace(FIRST, candidates=Candidates(1)),
            "{{ text }}{{ candidates | map(attribute='nme') | join }}",
            "label has no attribute 'nme'. Did you mean 'name'?",
        ),
    ],
)
def test_members_that_are_not_there(each: Pass, template: str, message: str) -> None:
    """What labels, groups and candidates do not have is told before any call, whatever pass it is in."""
    (problem,) = told(replace(each, messages=(MessageTemplate("user", f"\n{template}", 10),)))
    assert problem.startswith(f"11: {message}")


def test_members_of_an_earlier_pass() -> None:
    """A pass leaves predicted, raw, fields and groups, in a template as in a `when`."""
    there = (
        "{{ passes.first.raw }}{{ passes['first'].predicted }}{{ passes.first.get('raw') }}{{ passes.first.groups }}"
    )
    assert told(FIRST, asking("second", there, when="passes.first.fields")) == []
    assert told(FIRST, asking("second", "{{ passes.first.raws }}", when="passes.first.answer")) == [
        "10: an earlier pass has no attribute 'raws'. Did you mean 'raw'? It has predicted, raw, fields, groups.",
        "5: 'when' of pass second: an earlier pass has no attribute 'answer'. It has predicted, raw, fields, groups.",
    ]


def test_comparisons_that_are_never_true() -> None:
    """Kinds of failure, values of a choice and label lists are known; only what an earlier pass asks for is."""
    first = replace(FIRST, output=Output("json", fields=("feeling",)))
    space = LabelSpace(SPACE.labels, (Field("feeling", "choice", ("happy", "mad")),))
    wrong = "failure == 'unparsable' or fields.feeling == 'madd' or predicted == 'price'"
    assert told(first, asking("second", "{{ text }}", when=wrong), space=space) == [
        "5: 'when' of pass second: 'failure' is compared with 'unparsable', which is no kind of failure. "
        "Did you mean 'unparseable'? It can be call_error, refusal, truncated, unparseable.",
        "5: 'when' of pass second: 'fields.feeling' is compared with 'madd', which is none of its values. "
        "Did you mean 'mad'? It can be happy, mad.",
        "5: 'when' of pass second: 'predicted' is compared with 'price', but is a list of labels. "
        "Write: 'price' in predicted",
    ]
    right = "failure == 'unparseable' or fields.feeling == 'mad' or predicted == ['price']"
    assert told(first, asking("second", "{{ text }}", when=right), space=space) == []
