"""Requests with gaps: what they say is what the templates say, and where they cannot say it there are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness import stencil
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import Output
from harness.prompt import Candidates, MessageTemplate, Model, Pass, Prompt, QuestionTemplates, Votes
from harness.records import Call, Sample
from harness.rendering import base_context, render_call
from harness.shots import Nearest, Shots
from harness.stencil import LONGEST, MOST_UNITS, Stencil, stencil_of
from harness.template import TemplateError
from harness.templatenames import printed_alone

SPACE = LabelSpace(
    (Label("shipping", "Late", group="delivery"), Label("packaging", group="delivery"), Label("price", group="money")),
    (Field("mood", "choice", ("happy", "mad")),),
)
SAMPLE = Sample("s1", {"text": "It came late.", "title": "Meh"})
SHOTS = Shots((Sample("w", {"text": "Torn.", "title": "No"}, frozenset({"packaging"})),))
FRAGMENTS = (
    "{{ text }}",
    "{{ title }}",
    "{{- text -}}",
    " {{ tone }} ",
    "{{ labels | join(', ') }}\n",
    "{% for label in labels %}{{ label }}: {{ text }}\n{% endfor %}",
    "{% for text in labels %}{{ text }}{% endfor %}",
    "{% if tone %}{{ title }}{% endif %}",
    "{{ text | upper }}",
    "{{ text ~ title }}",
    "{% if text %}yes{% endif %}",
    "{% set title = 'x' %}",
    "{% set seen %}{{ text }}{% endset %}{{ seen | upper }}",
    "{% filter upper %}{{ text }}{% endfilter %}",
    "{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice(title) }}",
    "{% raw %}{{ text }}{% endraw %}",
    "{# {{ text }} #}",
    "\ue0a10\ue0a1",
    "\ue0a21\ue0a2",
    "0",
    "\n",
)
texts = st.text(max_size=8) | st.sampled_from(["{{ title }}", "\ue0a10\ue0a1", "\ue0a1", "\r\n", "0"])


def asking(*templates: str, **options: Any) -> Pass:
    """Return a pass of these messages, the last of the user."""
    roles = ["system"] * (len(templates) - 1) + ["user"]
    messages = tuple(MessageTemplate(*each) for each in zip(roles, templates, strict=True))
    return Pass("main", messages, **{"model": Model("m"), "output": Output(), **options})


def prompted(each: Pass, files: dict[str, str] | None = None) -> Prompt:
    """Return a prompt of one pass, with a variable."""
    return Prompt("v1", (each,), variables={"tone": "Kindly."}, files=files or {})


def stencils(each: Pass, sample: Sample = SAMPLE, files: dict[str, str] | None = None) -> Iterator[Stencil | None]:
    """Yield what there is for each unit of a pass."""
    prompt = prompted(each, files)
    return (stencil_of(each, unit, SPACE, prompt, sample) for unit in each.units(SPACE))


def rendered(each: Pass, sample: Sample = SAMPLE, repeat: int = 0) -> list[Call]:
    """Return the requests of a pass, each rendered by itself."""
    context = base_context(sample, SPACE, {"tone": "Kindly."})
    return [render_call(each, sample, unit, SPACE, context, repeat) for unit in each.units(SPACE)]


# --- what they say ----------------------------------------------------------------------------------------------------


@unhurried
@given(st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=4).map("".join), min_size=1, max_size=2), texts, texts)
def test_a_stencil_says_what_the_templates_say(templates: list[str], text: str, title: str) -> None:
    """Whatever the templates are made of and whatever stands in the columns: where there is a stencil, it says the same."""
    each, sample = asking(*templates), Sample("s", {"text": text, "title": title})
    (made,) = stencils(each)
    if made is not None:
        assert made.fits(sample)
        assert [made.call(sample, 0)] == rendered(each, sample)


@pytest.mark.parametrize(
    ("options", "units"),
    [
        ({}, 1),
        ({"shots": SHOTS}, 1),
        ({"per": "label", "shots": SHOTS}, 3),
        ({"per": "group"}, 2),
        ({"per": "group", "chooses_groups": True}, 2),
        ({"scope": ("price",), "output": Output("yes_no")}, 1),
        ({"votes": Votes(3)}, 1),
    ],
    ids=str,
)
def test_every_kind_of_pass_has_them(options: dict[str, Any], units: int) -> None:
    """Shots, fan-out, scopes and votes are in a stencil as in what is rendered, in every repeat."""
    about = {"label": "{{ label }}? ", "group": "{{ group }}? "}.get(options.get("per", ""), "")
    each = asking("{{ tone }}", about + "{{ labels | join(', ') }}: {{ text }}", **options)
    made = [found for found in stencils(each) if found is not None]
    assert len(made) == units
    assert [found.call(SAMPLE, 2) for found in made] == rendered(each, repeat=2)


def test_questions_that_are_the_same_for_all_samples_are_in_them() -> None:
    """A decision API is asked the same typed questions about every sample, where their templates name no column."""
    typed = QuestionTemplates(
        MessageTemplate("label", "{{ label }}? {{ tone }}"), MessageTemplate("field", "{{ field }}?")
    )
    each = asking("{{ text }}", questions=typed, output=Output("decisions", fields=("mood",)))
    (made,) = stencils(each)
    assert made is not None
    assert [made.call(SAMPLE, 0)] == rendered(each)
    assert len(made.questions) == 4


def test_messages_of_a_call_are_its_own() -> None:
    """What is done to the messages of one call is not seen in the next."""
    (made,) = stencils(asking("Be kind.", "{{ text }}"))
    assert made is not None
    made.call(SAMPLE, 0).messages[0]["content"] = "Be harsh."
    assert made.call(SAMPLE, 0).messages[0]["content"] == "Be kind."


# --- where there are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "{{ text | upper }}",
        "{{ text.upper() }}",
        "{% if text %}x{% endif %}",
        "{{ title if text else '' }}",
        "{% filter upper %}{{ text }}{% endfilter %}",
        "{% set x %}{{ text }}{% endset %}{{ x }}",
        "{% macro x() %}{{ text }}{% endmacro %}{{ x() }}",
        "{% for x in [[1]] recursive %}{{ text }}{{ loop([]) }}{% endfor %}",
        "{% block x %}{{ text }}{% endblock %}",
        "{% set text = text %}{{ text }}",
        "{{ predicted }} {{ text }}",
        "{{ confidence }} {{ text }}",
        "{{ nothing }} {{ text }}",
        "{{ text }} {{ 1 // 0 }}",
    ],
)
def test_what_does_more_than_print_has_none(source: str) -> None:
    """A template that does anything else with a column, or looks at the answer so far, or fails, is rendered each time."""
    assert list(stencils(asking(source))) == [None]


def test_what_an_included_file_prints_has_none() -> None:
    """A file that prints a column is rendered each time; one that names none may be a part of a stencil."""
    assert list(stencils(asking("{% include 'a' %}"), files={"a": "{{ text }}"})) == [None]
    (made,) = stencils(asking("{% include 'a' %}", "{{ text }}"), files={"a": "{{ tone }}"})
    assert made is not None
    assert [message["content"] for message in made.call(SAMPLE, 0).messages] == ["Kindly.", "It came late."]


def test_what_is_chosen_for_each_sample_has_none() -> None:
    """Shots and candidates that depend on the sample, and questions that print a column, are rendered each time."""
    nearest = Shots(SHOTS.samples, nearest=Nearest(1, "tfidf"))
    typed = QuestionTemplates(MessageTemplate("label", "{{ label }} in {{ text }}?"), MessageTemplate("field", "?"))
    for options in (
        {"shots": nearest},
        {"candidates": Candidates(2)},
        {"questions": typed, "output": Output("decisions")},
    ):
        each = asking("{{ text }}", **options)
        assert stencil_of(each, asking("{{ text }}").units(SPACE)[0], SPACE, prompted(each), SAMPLE) is None


def test_a_pass_of_very_many_units_has_none() -> None:
    """More units than are kept would be made again and again."""
    space = LabelSpace(tuple(Label(f"l{at}") for at in range(MOST_UNITS + 1)))
    each = asking("{{ label }}: {{ text }}", per="label", output=Output("yes_no"))
    assert stencil_of(each, each.units(space)[0], space, prompted(each), SAMPLE) is None


@pytest.mark.parametrize("column", ["labels", "groups", "shots", "label", "range", "dict"])
def test_a_column_that_hides_another_name_has_none(column: str) -> None:
    """A column that is named as what templates see besides, or as something of Jinja's own, is rendered each time."""
    each = asking(f"{{{{ {column} }}}} {{{{ label }}}}", per="label", output=Output("yes_no"))
    assert list(stencils(each, Sample("s", {column: "x"}))) == [None, None, None]


def test_each_set_of_columns_has_its_own() -> None:
    """A sample that lacks a column which others have is no sample of theirs: there the template fails, and is rendered."""
    each = asking("{{ title }}: {{ text }}")
    (made,) = stencils(each)
    assert made is not None
    bare = Sample("s2", {"text": "Late."})
    assert list(stencils(each, bare)) == [None]
    with pytest.raises(TemplateError, match="'title' is undefined"):
        rendered(each, bare)


@pytest.mark.parametrize("value", [1, None, ["a"], {"a": 1}, "x" * (LONGEST + 1)])
def test_only_texts_of_some_length_fit(value: Any) -> None:
    """What is no text, or a very long one, is printed by Jinja; a column that is not printed may be anything."""
    (made,) = stencils(asking("{{ text }}"))
    assert made is not None
    assert not made.fits(Sample("s", {"text": value, "title": "x"}))
    assert made.fits(Sample("s", {"text": "x", "title": value}))


def test_a_stencil_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For thousands of samples a template is rendered twice: with one kind of marks, and with another."""
    made: list[str] = []

    def counted(each: Pass, sample: Sample, *others: Any) -> Call:
        made.append(sample.inputs["text"])
        return render_call(each, sample, *others)

    monkeypatch.setattr(stencil, "render_call", counted)
    each = asking("{{ text }} {{ tone }}")
    prompt, (unit,) = prompted(each), each.units(SPACE)
    for at in range(100):
        found = stencil_of(each, unit, SPACE, prompt, Sample(f"s{at}", {"text": str(at)}))
        assert found is not None
    assert len(made) == 2


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("{{ a }} {{ b }}", {"a", "b"}),
        ("{{ a }} {{ a | upper }}", set()),
        ("{{ a }}{% for x in b %}{{ x }}{{ a }}{% endfor %}", {"a"}),
        ("{% set a = 1 %}{{ a }}", set()),
        ("{{ a.b }}", set()),
        ("{% include 'f' %}{{ a }}", set()),
        ("text", set()),
    ],
)
def test_names_that_are_printed_and_nothing_else(source: str, names: set[str]) -> None:
    """A name counts when every place that has it prints it as it is."""
    assert printed_alone(source) == names
