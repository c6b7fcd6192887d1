"""Requests in the terminal, as they will be sent, with their token counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.preview import Preview, Request
from harness.report import numbers
from harness.report.terminal import QUIET, named
from harness.report.text import json_text, one_line, visible

MOST_UNITS = 5
"""Requests of one sample that are shown; a pass may make one for each label."""

TEXTS = frozenset({"messages", "input", "prompt", "questions", "state"})
"""What a request asks; what else is in it are its settings."""

LONGEST_SETTING = 60
"""Characters of a setting that is told in a line with others."""


def preview_report(preview: Preview) -> Iterator[RenderableType]:
    """Return the requests of the first samples, and what all of them come to."""
    for sample, group in groupby(preview.requests, key=lambda each: each.sample):
        requests = list(group)
        for each in requests[:MOST_UNITS]:
            yield from _request(each)
        if len(requests) > MOST_UNITS:
            more = numbers.plural(len(requests) - MOST_UNITS, "more request")
            yield Text.assemble(("  sample ", QUIET), named(sample, "bold"), (f"  … and {more}", QUIET))
    if preview.requests:
        most = f"{'' if preview.exact else '≈ '}{numbers.count(preview.longest_tokens)}"
        yield Text(f"  tokens a sample: ≈ {numbers.count(round(preview.mean))} on average", style=QUIET)
        yield Text(f"  longest request: {most} tokens (sample {one_line(preview.longest, 60)})", style=QUIET)


def _request(each: Request) -> Iterator[RenderableType]:
    tokens = f"  {'' if each.exact else '≈ '}{numbers.plural(each.tokens, 'token')}"
    unit = f"  {one_line(each.unit, 60)}" if each.unit else ""
    draws = f"  ×{each.draws}" if each.draws > 1 else ""
    about = f"  pass {one_line(each.pass_name, 60)}{unit}{draws}{tokens}"
    yield Text.assemble(("  sample ", QUIET), named(each.sample, "bold"), (about, QUIET))
    settings = []
    for name, value in each.body.items():
        short = value if isinstance(value, str) else json_text(value)
        if name in TEXTS or len(short) > LONGEST_SETTING or "\n" in short:
            yield from _blocks(name, value)
        else:
            settings.append(f"{name} {short}")
    yield Padding(Text(visible(", ".join(settings)), style=QUIET), (0, 0, 0, 2))


def _blocks(name: str, value: Any) -> Iterator[RenderableType]:
    """Return a part of a request: messages one by one, a text as it is, all else as JSON."""
    if isinstance(value, list) and value and all(_is_message(each) for each in value):
        for message in value:
            yield from _block(message["role"], message["content"])
    else:
        yield from _block(name, value if isinstance(value, str) else json_text(value, indent=1))


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"role", "content"} and isinstance(value["content"], str)


def _block(title: str, content: str) -> Sequence[RenderableType]:
    head = Padding(Text(f"{visible(title)}:", style=QUIET), (0, 0, 0, 2))
    return head, Padding(Text(visible(content.strip("\n"))), (0, 0, 0, 4))
