"""What the cache holds and what was done to it, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from harness.cachecare import Pruned, Statistics
from harness.cacherepair import Repaired, Verified
from harness.errors import listing
from harness.prompt import LOCAL
from harness.report import numbers
from harness.report.terminal import BAD, GOOD, QUIET, captioned, clipped, named, table
from harness.report.text import one_line, visible

LONGEST_PATH = 300
MOST_NAMED = 3
"""Damaged entries and problems that are told one by one."""

NOWHERE = "(not known)"
"""Stands for a model or server that neither a run nor the entry names."""


def byte_size(value: int) -> str:
    """Return a number of bytes in few characters."""
    text = numbers.short_count(value)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def entries(number: int) -> str:
    """Return a number of entries."""
    return numbers.plural(number, "entry", "entries")


def statistics_report(found: Statistics, shown: str) -> RenderableType:
    """Return what a cache holds: how much, of which models, and what its calls cost when they were made.

    Args:
        found: The statistics.
        shown: The cache's path as a person would type it.
    """
    head = Text.assemble(
        (one_line(shown, LONGEST_PATH), "bold"),
        f": {entries(found.entries)}, {byte_size(found.file_bytes + found.wal_bytes)}",
    )
    if not found.entries:
        return head
    made = table(
        "model", "server", "entries", "size", "prompt\ntokens", "answer\ntokens", "worth", left=("model", "server"),
        gives_way=("model", "server"),
    )  # fmt: skip
    for share in found.shares:
        here = share.model.startswith(LOCAL) or share.model.endswith(".gguf")
        server = share.server or ("this machine" if here else NOWHERE)
        made.add_row(
            named(share.model or NOWHERE),
            clipped(server, 60),
            numbers.count(share.entries),
            byte_size(share.bytes),
            numbers.short_count(share.prompt_tokens),
            numbers.short_count(share.completion_tokens),
            numbers.usd(share.usd),
        )
    return Group(head, Text(""), captioned(made, *_notes(found)))


def _notes(found: Statistics) -> Iterator[str]:
    """Yield what is said below the table."""
    worth = f"worth {numbers.usd(found.usd)}, what the calls cost when they were made"
    yield worth + (f"; the price of {entries(found.unpriced)} is not known" if found.unpriced else "")
    yield f"{entries(found.used)}, {byte_size(found.used_bytes)}, of calls that the runs of this project have too"
    if found.oldest is not None and found.newest is not None:
        undated = f"; {entries(found.undated)} without a date" if found.undated else ""
        yield f"from {day(found.oldest)} to {day(found.newest)}{undated}"
    if found.damaged:
        yield f"{entries(found.damaged)} cannot be read. Type: harness cache verify --repair"


def day(seconds: int) -> str:
    """Return the day of a Unix time, in UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (OverflowError, OSError, ValueError):  # a clock that had jumped
        return numbers.DASH


def verified_report(found: Verified, shown: str) -> RenderableType:
    """Return whether a cache can be used."""
    where = one_line(shown, LONGEST_PATH)
    lines: list[Text] = []
    if not found.exists:
        lines.append(Text(f"{where}: there is no cache yet"))
    elif found.sound:
        lines.append(Text.assemble(("ok ", GOOD), (where, "bold"), f": {entries(found.entries)}, all can be read"))
    else:
        lines.append(Text.assemble(("bad ", BAD), (where, "bold")))
        lines += [Text(f"  {visible(problem)}") for problem in found.problems[:MOST_NAMED]]
        if len(found.problems) > MOST_NAMED:
            lines.append(Text(f"  and {len(found.problems) - MOST_NAMED} more"))
        if found.damaged:
            them = listing((one_line(key, 40) for key in found.damaged), MOST_NAMED)
            lines.append(Text(f"  {entries(len(found.damaged))} cannot be read: {them}"))
    if found.missing:
        lines.append(Text(f"{numbers.plural(found.missing, 'completion')} of the runs here are not in it", style=QUIET))
    if found.missing or not found.sound:
        lines.append(Text("Type: harness cache verify --repair", style=QUIET))
    return Group(*lines)


def repaired_report(done: Repaired, shown: str, old: str | None) -> RenderableType:
    """Return what was done to a cache; ``old`` is where the damaged file is now, as a person would type it."""
    where = one_line(shown, LONGEST_PATH)
    lines: list[str] = []
    if old is not None:
        lines.append(f"{entries(done.salvaged)} salvaged into a new file; the damaged one is kept as {visible(old)}")
    if done.removed:
        lines.append(f"{entries(done.removed)} that could not be read taken out")
    if done.refilled:
        lines.append(f"{numbers.plural(done.refilled, 'completion')} put back from the runs")
    if not lines:
        lines.append("there was nothing to repair")
    return Group(*(Text(f"{where}: {line}", no_wrap=True, overflow="ignore") for line in lines))


def pruned_report(done: Pruned, shown: str) -> RenderableType:
    """Return what was taken out of a cache, or would be."""
    verb = "would go" if done.dry else "went"
    left = f"{entries(done.left)} {'would stay' if done.dry else 'stay'}"
    about = "about " if done.dry else ""
    sizes = f"{byte_size(done.before_bytes)} → {about}{byte_size(done.after_bytes)}"
    lines = [Text(f"{one_line(shown, LONGEST_PATH)}: {entries(done.entries)} {verb}, {left}; {sizes}")]
    if done.undated:
        told = f"{entries(done.undated)} of no known age stay: they were kept before dates were"
        lines.append(Text(told, style=QUIET))
    if done.not_compacted is not None:
        told = f"the file could not be made smaller yet ({visible(done.not_compacted)}); its room is used again"
        lines.append(Text(told, style=QUIET))
    return Group(*lines)


def cleared_line(size: int, shown: str) -> Text:
    """Return that a cache is gone."""
    return Text(f"{one_line(shown, LONGEST_PATH)}: deleted, {byte_size(size)}")
