"""What templates ask of known values: wrong members and impossible comparisons are told before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.labelspace import Group, Label
from harness.template import TemplateError, render
from harness.templatemembers import Equal, Kind, impossible_comparisons, unknown_members

LABEL = Kind("label", {"name": None, "description": None, "group": None})
LABELS = Kind("labels", items=LABEL)
GROUP = Kind("group", {"name": None, "labels": LABELS}, silent=("get",))
KINDS = {"labels": LABELS, "label": LABEL, "group": GROUP, "passes": Kind("passes", {"first": GROUP}, is_told=False)}
VALUES = {
    "failure": Equal(("refusal", "truncated"), "no kind of failure"),
    "fields.mood": Equal(("happy", "mad"), "none of its values"),
    "predicted": Equal(None, "a list of labels", "Write: '{}' in predicted"),
}


def wrong(source: str) -> list[str]:
    """Return what is told of members, with its lines."""
    return [f"{each.line}: {each.message}" for each in unknown_members(source, KINDS)]


def never(source: str) -> list[str]:
    """Return what is told of comparisons."""
    return [each.message for each in impossible_comparisons(f"{{{{{source}}}}}", VALUES)]


@pytest.mark.parametrize(
    "source",
    [
        "{{ label.nam }}",
        "{{ label['nam'] }}",
        "{{ labels[0].nam }}",
        "{{ (labels | first).nam }}",
        "{{ labels[:2][0].nam }}",
        "{{ group.labels[0].nam }}",
        "{{ passes.first.labels[0].nam }}",
        "{% for x in labels %}{{ x.nam }}{% endfor %}",
        "{% for x in group.labels | sort(attribute='name') %}{{ x.nam | upper }}{% endfor %}",
        "{% for x in labels if x.nam %}{% endfor %}",
        "{% for x in [] %}{% else %}{{ label.nam }}{% endfor %}",
        "{% if label.name %}{{ label.nam ~ '!' }}{% endif %}",
        "{{ labels | map(attribute='nam') | join }}",
        "{{ labels | map(attribute='nam.upper') | join }}",
        "{{ 'a' if label.nam else 'b' }}",
        "{{ range(label.nam) }}",
        "{{ [label.nam, 1] | default('') }}",
    ],
)
def test_a_member_that_is_not_there(source: str) -> None:
    """It is told wherever a template asks for it, with the nearest one and all that there are."""
    told = "label has no attribute 'nam'. Did you mean 'name'? It has name, description, group."
    assert wrong(f"\n{source}") == [f"2: {told}"]


@pytest.mark.parametrize(
    "source",
    [
        "{{ label.name.upper() }} {{ label.description[0] }} {{ label }}",
        "{{ labels.count(1) }} {{ labels | length }} {{ labels[0] }} {{ labels[at].name }}",
        "{{ group.get('x') }} {{ group.labels | map(attribute='name') | join }}",
        "{% for x, y in labels | batch(2) %}{{ x.nam }}{% endfor %}",
        "{% for label in other %}{{ label.nam }}{% endfor %}",
        "{% for x in labels %}{{ loop.nam }}{% endfor %}{{ x.nam }}",
        "{% set label = other %}{{ label.nam }}",
        "{% macro m(label) %}{{ label.nam }}{% endmacro %}",
        "{% for x in labels %}{% set x = other %}{{ x.nam }}{% endfor %}",
        "{% if label.nam is defined %}{% endif %}",
        "{{ label.nam | default('none') }} {{ label['nam'] | d('') }}",
        "{{ labels | map(attribute='nam', default='') | join }}",
        "{{ passes.second.labels }} {{ passes[name].nam }} {{ unknown.nam }}",
        "{{ labels | groupby('group') | length }}",
        "{{ not jinja",
    ],
)
def test_what_is_there_or_cannot_be_known(source: str) -> None:
    """Nothing is told of what is there, has a default, is a name of the template's own, or is not known."""
    assert wrong(source) == []


def test_every_wrong_member_is_told_once_in_its_line() -> None:
    """Several are told together, in the order of the lines."""
    source = "{{ group.label }}\n{% for x in labels %}{{ x.code }}{{ x.code }}\n{{ x.nam }}{% endfor %}"
    assert [each.split(".")[0] for each in wrong(source)] == [
        "1: group has no attribute 'label'",
        "2: label has no attribute 'code'",
        "3: label has no attribute 'nam'",
    ]


LABEL_VALUES = (Label("shipping", "Late", group="delivery"), Label("price", "Dear"))
CONTEXT: dict[str, Any] = {
    "labels": LABEL_VALUES,
    "label": LABEL_VALUES[0],
    "group": Group("delivery", LABEL_VALUES),
}
KNOWN = {
    "label": Kind("label", dict.fromkeys(Label.__dataclass_fields__)),
    "labels": Kind("labels", items=Kind("label", dict.fromkeys(Label.__dataclass_fields__))),
}
MEMBERS = st.sampled_from(["name", "description", "aliases", "code", "group", "nam", "labels", "x"])
PIECES = st.one_of(
    st.builds("{{{{ label.{} }}}}".format, MEMBERS),
    st.builds("{{{{ labels[1].{} }}}}".format, MEMBERS),
    st.builds("{{% for each in labels %}}{{{{ each['{}'] }}}}{{% endfor %}}".format, MEMBERS),
    st.builds("{{{{ labels | map(attribute='{}') | join(' ') }}}}".format, MEMBERS),
    st.just("words"),
)


@given(pieces=st.lists(PIECES, max_size=4))
def test_it_says_what_jinja_would_say(pieces: list[str]) -> None:
    """Where all of a template runs, a member is told exactly when rendering would fail."""
    source = "\n".join(pieces)
    try:
        render(source, CONTEXT)
        fails = False
    except TemplateError:
        fails = True
    assert bool(unknown_members(source, KNOWN)) is fails


@pytest.mark.parametrize(
    "source",
    [
        "failure == 'refused'",
        "'refused' != failure",
        "failure in ['refusal', 'refused']",
        "failure not in ('refused',)",
        "not (failed and failure == 'refused')",
    ],
)
def test_a_text_that_a_value_never_is(source: str) -> None:
    """A comparison with a text that a value never is is told, with the nearest one and all that it can be."""
    told = "'failure' is compared with 'refused', which is no kind of failure. Did you mean 'refusal'?"
    assert never(source) == [f"{told} It can be refusal, truncated."]


def test_a_list_is_no_text() -> None:
    """A list that is compared with a text is told what to write."""
    told = "'predicted' is compared with 'price', but is a list of labels. Write: 'price' in predicted"
    assert never("predicted == 'price'") == [told]


@pytest.mark.parametrize("source", ["fields.mood == 'grim'", "fields['mood'] == 'grim'", "'grim' == fields.mood"])
def test_a_member_is_compared(source: str) -> None:
    """The values of a member are known by its name."""
    assert never(source) == [
        "'fields.mood' is compared with 'grim', which is none of its values. It can be happy, mad."
    ]


@pytest.mark.parametrize(
    "source",
    [
        "failure == 'refusal' or failure is none",
        "failure == other or failure == none or failure < 'x'",
        "predicted == ['price'] or 'price' in predicted",
        "fields.mood == 'mad' or fields.other == 'x' or fields[name] == 'x'",
        "text == 'refused' or passes.first.failure == 'refused'",
        "failure ==",
    ],
)
def test_comparisons_that_can_be_true(source: str) -> None:
    """Nothing is told of what can be true, or cannot be known."""
    assert never(source) == []


def test_a_name_of_the_templates_own_is_not_the_answer() -> None:
    """What a template sets itself can be equal to anything."""
    assert impossible_comparisons("{% set failure = 'x' %}{{ failure == 'x' }}", VALUES) == []
