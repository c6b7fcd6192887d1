"""Why calls failed, counted."""

from __future__ import annotations

import pytest

from harness.callerrors import LONGEST, Failing, Reason, commonest, reason_of
from harness.records import CallError


def test_messages_that_differ_in_numbers_are_one() -> None:
    """The commonest way comes first, in the words of its first call; the status and the kind tell ways apart."""
    reasons = [
        Reason("http_500", 500, "busy"),
        *(Reason("http_400", 400, f"{n} tokens are too many") for n in (5012, 6013, 7014)),
        Reason("http_422", 422, "5012 tokens are too many"),
    ]
    found = commonest(reasons)
    assert found[0] == Failing(Reason("http_400", 400, "5012 tokens are too many"), 3)
    assert [each.calls for each in found] == [3, 1, 1]
    assert commonest([]) == ()


@pytest.mark.parametrize(("status", "permanent"), [(400, True), (422, True), (429, False), (408, False), (503, False)])
def test_a_refusal_is_permanent(status: int, permanent: bool) -> None:
    """A status of 4xx means the request, but for those by which a server asks to come back; so does no response."""
    assert Failing(Reason("x", status, ""), 1).permanent is permanent
    assert not Failing(Reason("timeout", None, ""), 1).permanent


def test_a_reason_is_short_and_always_there() -> None:
    """A long message is cut, and what is no error has a reason too."""
    reason = reason_of(CallError(kind="http_400", message="x" * 9999, status=400))
    assert (reason.kind, reason.status, len(reason.message)) == ("http_400", 400, LONGEST + 1)
    assert reason_of(None) == Reason("unknown", None, "")
