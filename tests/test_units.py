"""What the calls of a pass are about, for labels of which some have a group."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.labelspace import Label, LabelSpace
from harness.parsing import Output
from harness.prompt import MessageTemplate, Model, Pass, Per
from harness.units import MOST_QUESTIONS, gate_units, group_units, question_units

SPACE = LabelSpace(
    (Label("late", group="delivery"), Label("torn", group="goods"), Label("lost", group="delivery"), Label("rude"))
)


def test_group_units_leave_out_what_has_no_group() -> None:
    """Each group of the labels has a unit, read with its own labels in label-space order."""
    units = group_units(("late", "lost", "rude"), SPACE)
    assert [(unit.name, unit.labels, unit.space.names) for unit in units] == [
        ("delivery", ("late", "lost"), ("late", "lost"))
    ]


def test_a_gate_is_asked_about_groups_together_or_one_by_one() -> None:
    """Its answer is read with the groups; the cells are those of labels that have one."""
    (whole,) = gate_units(SPACE.names, SPACE, by_group=False)
    assert (whole.name, whole.labels, whole.space.names) == ("", ("late", "torn", "lost"), ("delivery", "goods"))
    apart = gate_units(SPACE.names, SPACE, by_group=True)
    assert [(unit.name, unit.labels, unit.space.names) for unit in apart] == [
        ("delivery", ("late", "lost"), ("delivery",)),
        ("goods", ("torn",), ("goods",)),
    ]


@given(n_labels=st.integers(1, 3 * MOST_QUESTIONS), n_fields=st.integers(0, MOST_QUESTIONS - 1))
def test_questions_are_all_asked_once_and_fit_their_requests(n_labels: int, n_fields: int) -> None:
    """Labels keep their order, no request has more questions than it can hold, and the first has room for the fields."""
    names = tuple(f"l{at}" for at in range(n_labels))
    units = question_units(names, LabelSpace(tuple(map(Label, names))), n_fields)
    assert tuple(name for unit in units for name in unit.labels) == names
    assert all(unit.space.names == unit.labels for unit in units)
    assert len(units[0].labels) + n_fields <= MOST_QUESTIONS
    assert max(len(unit.labels) for unit in units) <= MOST_QUESTIONS


@pytest.mark.parametrize("per", ["sample", "label", "group"])
def test_a_pass_gives_the_same_units_for_each_sample(per: Per) -> None:
    """They are made once for a label space, and anew for another pass or label space that is equal."""

    def asking() -> Pass:
        return Pass("main", (MessageTemplate("user", "?"),), Model("m"), Output("list"), per=per)

    one, other = asking(), asking()
    assert one.units(SPACE) is one.units(SPACE)
    assert other.units(SPACE) == one.units(SPACE)
    assert one.units(LabelSpace(SPACE.labels)) == one.units(SPACE)
