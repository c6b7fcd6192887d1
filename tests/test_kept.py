"""What is made once of the very same objects, and how much of it is kept."""

from __future__ import annotations

import pytest

from harness.kept import Kept


def test_the_same_objects_are_made_once() -> None:
    """What came of objects is given again for them under the same names, and for no others that are equal."""
    kept, made = Kept[int](), list[int]()
    first, equal = [1], [1]

    def make() -> int:
        made.append(0)
        return len(made)

    assert [kept.of((), (first,), make), kept.of((), (first,), make)] == [1, 1]
    assert kept.of((), (equal,), make) == 2
    assert kept.of(("named",), (first,), make) == 3


def test_what_fails_is_not_kept() -> None:
    """An error is raised each time, and the next attempt is made anew."""
    kept, one = Kept[int](), object()

    def fails() -> int:
        raise ValueError("it cannot be made")

    for _ in range(2):
        with pytest.raises(ValueError, match=r"^it cannot be made$"):
            kept.of((), (one,), fails)
    assert kept.of((), (one,), lambda: 5) == 5


def test_all_are_let_go_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a process which sees many prompts does not grow without end."""
    monkeypatch.setattr("harness.kept.MOST_KEPT", 2)
    kept, objects = Kept[int](), [object() for _ in range(3)]
    assert [kept.of((), (each,), lambda at=at: at) for at, each in enumerate(objects)] == [0, 1, 2]  # type: ignore[misc]
    assert [kept.of((), (each,), lambda: 9) for each in reversed(objects)] == [2, 9, 9]
