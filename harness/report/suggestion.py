"""A suggestion in the terminal: what was sent, what came back, what it changes, and how much longer the prompt gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.asking import Asked
from harness.copiedtext import Copied
from harness.report import numbers
from harness.report.promptdiff import prompt_report
from harness.report.terminal import BAD, QUIET, next_steps, table
from harness.report.text import one_line, visible
from harness.suggesting import Growth, Prepared, Suggested

LONGEST_ANSWER = 4_000
"""Characters of an answer that cannot be used that are shown."""

MOST_COPIED = 5
"""Copied pieces that are shown."""


def request_report(prepared: Prepared) -> Iterator[RenderableType]:
    """Return what would be sent, as it is."""
    yield from _title(prepared)
    for message in prepared.request.messages:
        yield Text("")
        yield Text(f"{message['role']}:", style="bold dim")
        yield Padding(Text(visible(message["content"])), (0, 0, 0, 2))


def answer_report(prepared: Prepared, asked: Asked) -> Iterator[RenderableType]:
    """Return an answer of which no version can be made, as it came."""
    yield from _title(prepared)
    yield _cost(asked)
    yield Text("")
    yield Text("the answer, as it came:", style="bold dim")
    raw = asked.completion.raw or "(nothing)"
    yield Padding(Text(visible(raw[:LONGEST_ANSWER])), (0, 0, 0, 2))
    if len(raw) > LONGEST_ANSWER:
        more = numbers.plural(len(raw) - LONGEST_ANSWER, "character")
        yield Text(f"and {more} more: --json has all of it", style=QUIET)


def suggestion_report(found: Suggested, full: bool) -> Iterator[RenderableType]:
    """Return what a model suggests.

    Args:
        found: The suggestion.
        full: All changed lines of the prompt.
    """
    yield from _title(found.prepared)
    yield _cost(found.asked)
    if found.reworded.reasons:
        yield Text("")
        yield Text("the model says:", style="bold dim")
        yield Padding(Text(visible(found.reworded.reasons)), (0, 0, 0, 2))
    yield from (Text(f"note: {visible(note)}", style=QUIET) for note in found.reworded.notes)
    yield Text("")
    yield from prompt_report(found.diff, full)
    yield Text("")
    yield _growth(found.growth)
    if found.copied:
        yield Text("")
        yield from _copied(found.copied)


def suggestion_steps(found: Suggested) -> RenderableType:
    """Return what to type next."""
    return next_steps([found.next_command])


def _title(prepared: Prepared) -> Iterator[RenderableType]:
    manifest, request = prepared.run.manifest, prepared.request
    what = "output instructions" if prepared.format_only else "a better prompt"
    passes = "" if len(prepared.prompt.passes) == 1 else f", pass {one_line(prepared.digest.target.name, 60)}"
    yield Text.assemble(
        (one_line(manifest.version, 200), "bold"),
        f" on {manifest.dataset} {manifest.split}{passes} · {what} by {one_line(prepared.model.name, 100)}",
        (f" · {manifest.id}", QUIET),
    )
    parts = [f"≈ {numbers.plural(request.tokens, 'token')}"]
    if not prepared.format_only:
        parts.append(f"text and gold of {numbers.plural(len(request.samples), 'wrong sample')}")
    if request.n_unread or prepared.format_only:
        parts.append(f"{numbers.plural(request.n_unread, 'answer')} that could not be read")
    left = f"; left out for room: {', '.join(request.left_out)}" if request.left_out else ""
    yield Text(f"sent: {', '.join(parts)}{left}", style=QUIET)


def _cost(asked: Asked) -> Text:
    completion, usage = asked.completion, asked.completion.usage
    tokens = ""
    if "prompt_tokens" in usage and "completion_tokens" in usage:
        tokens = f" · {numbers.count(usage['prompt_tokens'])} + {numbers.plural(usage['completion_tokens'], 'token')}"
    if completion.cached:
        number = f" (draw {asked.draw + 1})" if asked.draw else ""
        return Text(f"from the cache, nothing is paid again{number}; --again asks anew", style=QUIET)
    return Text(f"cost {numbers.usd(asked.usd)}{tokens} · {numbers.seconds(completion.latency_s)}", style=QUIET)


def _growth(growth: Growth) -> RenderableType:
    made = table("length of the prompt", "before", "after", "change", left=("length of the prompt",))
    before: float
    after: float
    before, after = growth.characters
    made.add_row("characters", *map(numbers.count, (before, after)), numbers.count_delta(after - before))
    if growth.tokens is not None:
        before, after = map(round, growth.tokens)
        made.add_row("tokens a sample ≈", *map(numbers.count, (before, after)), numbers.count_delta(after - before))
    if growth.usd is not None and any(growth.usd):
        before, after = growth.usd
        sign = "" if after == before else "+" if after > before else numbers.MINUS
        made.add_row("price of them in a run ≈", *map(numbers.usd, growth.usd), sign + numbers.usd(abs(after - before)))
    return made


def _copied(copied: Sequence[Copied]) -> Iterator[RenderableType]:
    what = numbers.plural(len(copied), "piece")
    yield Text(f"Copied from evaluated samples: {what}. Its score on them would flatter the new prompt.", style=BAD)
    for each in copied[:MOST_COPIED]:
        how = "nearly all of" if each.whole else "from"
        yield Text.assemble(
            (f"  {how} ", QUIET), (one_line(each.name, 60), "bold"), f"  {one_line(each.text, 70)}".rstrip()
        )
    if len(copied) > MOST_COPIED:
        yield Text(f"  and {len(copied) - MOST_COPIED} more: see the first lines of the file", style=QUIET)
