"""What the calls of a pass are about: the sample, or one label or group of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.labelspace import LabelSpace

MOST_QUESTIONS = 400
"""Questions that one request to a decision API can hold."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What one call of a pass is about.

    Attributes:
        name: "" for the sample, else the label or group.
        labels: The cells that its answer fills or, for a gate, leaves to later passes.
        space: The label space that its answer is read with; for a gate, that of the groups.
    """

    name: str
    labels: tuple[str, ...]
    space: LabelSpace


def group_units(names: tuple[str, ...], space: LabelSpace) -> tuple[Unit, ...]:
    """Return what is asked about some labels group by group; labels without a group are in none."""
    return tuple(Unit(group, of, space.only(of)) for group, of in _by_group(names, space).items())


def gate_units(names: tuple[str, ...], space: LabelSpace, *, by_group: bool) -> tuple[Unit, ...]:
    """Return what a gate is asked: about all groups of some labels in one call, or about each in one of its own."""
    asked = _by_group(names, space)
    if by_group:
        return tuple(Unit(group, of, space.as_groups.only([group])) for group, of in asked.items())
    grouped = {name for of in asked.values() for name in of}
    return (Unit("", tuple(name for name in names if name in grouped), space.as_groups.only(asked)),)


def question_units(names: tuple[str, ...], space: LabelSpace, n_fields: int) -> tuple[Unit, ...]:
    """Return as many units as the limit of questions in a request asks for; the first one asks for the fields too.

    Each is read with a label space of its own labels, so that a label without an answer is seen.
    """
    if len(names) + n_fields <= MOST_QUESTIONS:
        return (Unit("", names, space.only(names)),)
    return tuple(Unit(name, chunk, space.only(chunk)) for name, chunk in _chunks(names, n_fields))


def _chunks(names: tuple[str, ...], n_fields: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the labels of each request, by their places."""
    start, room = 0, max(1, MOST_QUESTIONS - n_fields)
    while start < len(names):
        chunk = names[start : start + room]
        yield f"{start + 1}-{start + len(chunk)}", chunk
        start, room = start + len(chunk), MOST_QUESTIONS


def _by_group(names: tuple[str, ...], space: LabelSpace) -> dict[str, tuple[str, ...]]:
    """Return some labels by their group, groups and labels in label-space order; groups of none of them are not in it."""
    wanted = frozenset(names)
    members = {group: tuple(name for name in of if name in wanted) for group, of in space.groups.items()}
    return {group: of for group, of in members.items() if of}
