"""The order of calls to a model that keeps what two prompts in a row have in common at their beginning.

Passes, labels and worked examples begin their prompts differently, so whoever takes calls as they come makes such a model
read a whole beginning again and again. Of the calls that wait, the one goes next whose prompt begins most like one that was
just read; where it makes no difference, the one that has waited longest. Pure: whoever sends calls keeps the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LOOK_AHEAD = 32
"""Samples that are begun at a time, so that there are calls to choose from: one change of beginnings for so many samples."""

WORTH = 64
"""Characters that a prompt must share beyond what the oldest one does to go before it: fewer are read in no time."""


def request_text(body: Mapping[str, Any]) -> str:
    """Return what decides how far a request's prompt is that of another: its messages or its prompt, in their order."""
    if isinstance(prompt := body.get("prompt"), str):
        return prompt
    messages = body.get("messages") or ()
    return "".join(f"{message['role']}\n{message['content']}\n" for message in messages)


def shared(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    least, most = 0, min(len(one), len(other))
    while least < most:  # slices compare as fast as memory is read, characters one by one do not
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def next_in_line(held: Sequence[str], waiting: Sequence[str]) -> int:
    """Return the position of the call that goes next.

    Nobody waits for ever: a call that is passed over keeps its sample from going on, so that no more than `LOOK_AHEAD` are.

    Args:
        held: The prompts that were read last, one for each slot of the model, as `request_text` gives them.
        waiting: Those of the calls that wait, the oldest first; at least one.

    Returns:
        0 where no prompt shares `WORTH` characters more with a held one than the oldest does.

    Raises:
        ValueError: No call waits.
    """
    if not waiting:
        raise ValueError("no call waits")
    gains = [max((shared(text, each) for each in held), default=0) for text in waiting]
    best = max(range(len(waiting)), key=gains.__getitem__)
    return best if gains[best] >= gains[0] + WORTH else 0
