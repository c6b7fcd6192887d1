"""How many calls at once: doubles, halves, and sees when refusals have nothing to do with the number of calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.congestion import ENOUGH, Stage, Window

Sent = list[tuple[Stage, int]]


def round_trip(window: Window, now: float = 0.0, latency: float = 1.0) -> None:
    """Send as many calls as may be under way, and have all of them answered."""
    for stage, number in sent(window):
        window.answered(stage, number, now, latency, window.room)


def sent(window: Window) -> Sent:
    """Send as many calls as may be under way."""
    return [window.sent() for _ in range(window.room)]


def refuse(window: Window, calls: Sent) -> list[bool]:
    """Have calls refused; return whether all are to wait, for each."""
    return [window.refused(*call) for call in calls]


def answer(window: Window, calls: Sent) -> None:
    """Have calls answered."""
    for call in calls:
        window.answered(*call, 0.0, 1.0, window.room)


def test_it_doubles_every_round_trip_up_to_the_most() -> None:
    """Every answer lets one more call be under way, until there are as many as allowed."""
    window, rooms = Window(8, 50), []
    for _ in range(4):
        round_trip(window)
        rooms.append(window.room)
    assert rooms == [16, 32, 50, 50]


@pytest.mark.parametrize(("first", "most", "room"), [(8, 3, 3), (8, 1, 1), (0, 5, 1), (8, 8, 8)])
def test_it_begins_within_its_bounds(first: int, most: int, room: int) -> None:
    """At the start there is at least one call, and no more than allowed."""
    assert Window(first, most).room == room


def test_a_refusal_halves_it_once_for_all_that_were_sent_together() -> None:
    """Of many calls that are refused together the first one halves the number; all of them hold back the others."""
    window = Window(8, 64)
    assert refuse(window, sent(window)) == [True] * 8
    assert window.room == 4
    assert refuse(window, sent(window)) == [True] * 4
    assert window.room == 2


def test_after_a_refusal_it_grows_by_one_a_round_trip() -> None:
    """Additive increase: as many answers as calls under way make it one more."""
    window = Window(16, 64)
    refuse(window, sent(window)[:1])
    round_trip(window)
    assert window.limit == pytest.approx(8.9, abs=0.1)


def test_it_never_falls_below_one() -> None:
    """However often it is refused, one call may be under way."""
    window = Window(2, 64)
    for _ in range(10):
        refuse(window, sent(window))
    assert window.room == 1


def test_it_does_not_grow_while_the_server_gets_slower() -> None:
    """Latency of more than twice the best means that more calls at once only wait longer."""
    window = Window(8, 64)
    round_trip(window, latency=1.0)
    assert window.room == 16
    round_trip(window, latency=3.0)  # the last of them ends the round trip that shows it
    room = window.room
    round_trip(window, latency=3.0)
    assert window.room == room < 64
    round_trip(window, latency=1.0)
    round_trip(window, latency=1.0)
    assert window.room > room


def test_latencies_of_milliseconds_are_our_own() -> None:
    """A few milliseconds more say nothing about a server."""
    window = Window(8, 64)
    for latency in (0.001, 0.012, 0.015):
        round_trip(window, latency=latency)
    assert window.room == 64


def test_trouble_pauses_growth_for_a_round_trip() -> None:
    """An error of the server changes nothing but that nothing grows for as long as an answer takes."""
    window = Window(8, 64)
    round_trip(window, now=0.0, latency=1.0)
    window.pause(10.0)
    round_trip(window, now=10.5)
    assert window.room == 16
    round_trip(window, now=11.5)
    assert window.room > 16


def test_it_does_not_grow_where_fewer_calls_are_wanted() -> None:
    """Answers to few calls say nothing about how many more a server takes."""
    window = Window(8, 64)
    for _ in range(100):
        window.answered(*window.sent(), 0.0, 1.0, 2)
    assert window.room == 8


def lossy(window: Window) -> bool:
    """Send a round trip of which the second call is refused and all others are answered."""
    calls = sent(window)
    waits = window.refused(*calls[1])
    answer(window, calls[:1] + calls[2:])
    return waits


def test_refusals_that_go_on_whatever_is_sent_are_at_random() -> None:
    """When half the calls are refused as soon, while others are taken, the number returns and only those refused wait."""
    window = Window(32, 64)
    assert lossy(window)
    assert (window.room < 32, window.at_random) == (True, False)
    assert not lossy(window)
    assert (window.at_random, window.room) == (True, 8)  # a quarter, to see what becomes of few calls
    for _ in range(20):
        assert not lossy(window)
    assert window.room == 64


def test_what_looks_random_and_ends_with_fewer_calls_is_not() -> None:
    """Where a quarter of the calls is hardly refused any more it was about their number; it grows by one a round trip."""
    window = Window(32, 64)
    lossy(window)
    assert not lossy(window)
    trips = 0
    while window.at_random:
        round_trip(window)
        trips += 1
    assert trips > 1
    assert 6 <= window.room <= 10
    assert lossy(window)


def test_a_number_that_was_refused_is_approached_with_care() -> None:
    """Where every refusal makes all wait, the next comes after at least ten times as long; beyond it growth is as ever."""
    window = Window(20, 64)
    (call, *others) = sent(window)
    assert window.refused(*call, 5.0)
    for other in others:
        window.refused(*other, 5.0)
    trips = []
    for room in (17, 18, 19, 20, 21, 22, 23):
        seen = 0
        while window.room < room:
            round_trip(window, latency=1.0)
            seen += 1
        trips.append(seen)
    assert trips[0] <= 9
    assert all(40 <= each <= 60 for each in trips[2:5])
    assert trips[-1] <= 2


def test_a_server_that_takes_nothing_after_a_refusal_has_a_limit() -> None:
    """Where all calls that come after a refused one are refused too, it is about the number of calls."""
    window = Window(16, 64)
    for _ in range(6):
        calls = sent(window)
        answer(window, calls[: len(calls) // 2])
        assert all(refuse(window, calls[len(calls) // 2 :]))
    assert (window.at_random, window.room) == (False, 1)


def test_a_sawtooth_is_no_chance() -> None:
    """Where the number has grown back before it is refused again, it is about the number of calls."""
    window = Window(16, 64)
    for _ in range(20):
        while window.room < 16:
            round_trip(window)
        lossy(window)
        assert not window.at_random


def test_a_refusal_long_after_the_last_is_no_chance() -> None:
    """Where many calls were taken between two refusals, it is about how many they were."""
    window = Window(8, 64)
    lossy(window)
    window.pause(1e9)  # it stays as low as it is
    for _ in range(40):
        round_trip(window)
    lossy(window)
    assert not window.at_random


def at_random() -> Window:
    """Return a window that has seen refusals at random, with 64 calls at once."""
    window = Window(64, 64)
    while not window.at_random or window.room < 64:
        lossy(window)
    return window


def test_many_refusals_halve_it_though_they_are_at_random() -> None:
    """When more is refused than chance can be blamed for, there are fewer calls at once; the others still go on."""
    window = at_random()
    for _ in range(4):
        calls = sent(window)
        answer(window, calls[::3])
        assert not any(refuse(window, [call for at, call in enumerate(calls) if at % 3]))
    assert window.at_random
    assert 16 <= window.room <= 32


def test_a_server_that_closes_ends_the_chance() -> None:
    """When nearly everything is refused all calls wait again."""
    window = at_random()
    waits = [wait for _ in range(8) for wait in refuse(window, sent(window))]
    assert any(waits)
    assert not window.at_random


def test_after_the_server_was_away_it_begins_anew() -> None:
    """What was known of a server that comes back is forgotten, but not that it had a limit below the first number."""
    window = Window(8, 64)
    for _ in range(3):
        round_trip(window)
    window.start_anew()
    assert window.room == 8
    round_trip(window)
    assert window.room == 16
    for _ in range(4):
        refuse(window, sent(window))
    low = window.room
    window.start_anew()
    assert (window.room, low) == (1, 1)


@given(st.integers(1, 100), st.integers(1, 100), st.lists(st.sampled_from(["ok", "429", "5xx", "away"]), max_size=300))
def test_it_stays_within_its_bounds_whatever_comes(first: int, most: int, events: list[str]) -> None:
    """There is always room for one call, never for more than allowed, and a refusal never makes it more than it was."""
    window, peak = Window(first, most), 0
    for now, event in enumerate(events):
        stage, number = window.sent()
        before, random = window.room, window.at_random
        if event == "ok":
            window.answered(stage, number, float(now), 1.0, window.room)
        elif event == "429":
            window.refused(stage, number)
            peak = max(peak, before)
            assert window.room <= (before if random or not window.at_random else peak)
        elif event == "5xx":
            window.pause(float(now))
        else:
            window.start_anew()
        assert 1 <= window.room <= most


def test_shares_of_few_calls_say_nothing() -> None:
    """A stage at random is judged when enough of its calls are over."""
    window = at_random()
    assert refuse(window, sent(window)[: ENOUGH - 1]) == [False] * (ENOUGH - 1)
    assert (window.room, Stage(1.0).share) == (64, 0.0)
