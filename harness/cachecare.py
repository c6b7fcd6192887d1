"""Taking care of the cache: what is in it and what that is worth, which of it to let go, and all of it.

Nothing here is needed to run: a cache that is gone costs calls, or nothing where the runs have their completions still
(`harness.cacherepair`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from harness.cachefile import CacheMissingError, Entry, claim, opened, remove, sizes
from harness.errors import DataError, RunBusyError, UsageError, listing
from harness.pricing import Prices, spent
from harness.prompt import LOCAL
from harness.records import Completion, Usage
from harness.store import Manifest, is_held, load_run

_AGE_S = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZE_BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_MOST_ROUNDS = 5
"""How often entries are taken out until the file is small enough: how much room one takes is an estimate."""


@dataclass(frozen=True, slots=True)
class Use:
    """Who answered a call, as a run of the project tells it.

    Attributes:
        model: As it was asked for; "" where the run's manifest cannot be read.
        server: The base URL; None for an embedded model, and where it is not known.
    """

    model: str = ""
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """The entries of one model of one server.

    Attributes:
        model: As a run asked for it, else as the server named it; "" where neither is known.
        server: The base URL; None for an embedded model, and where it is not known.
        usd: What its calls cost when they were made; None when the price is unknown.
    """

    model: str
    server: str | None
    entries: int
    bytes: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a cache holds.

    Attributes:
        file_bytes: Of the file, and of its log of newest writes (`wal_bytes`).
        damaged: Entries that hold no completion; they are in no share.
        oldest: Unix seconds of the oldest entry with a date, None without one; so `newest`.
        undated: Entries that say no date: they were written before dates were.
        used: Entries that a run of the project has too.
        shares: By model and server, the largest first.
    """

    path: Path
    file_bytes: int
    wal_bytes: int
    entries: int
    entry_bytes: int
    damaged: int
    oldest: int | None
    newest: int | None
    undated: int
    used: int
    used_bytes: int
    shares: tuple[Share, ...]

    @property
    def usd(self) -> float:
        """What the calls whose price is known cost together."""
        return sum(share.usd or 0.0 for share in self.shares)

    @property
    def unpriced(self) -> int:
        """Entries whose price is unknown."""
        return sum(share.entries for share in self.shares if share.usd is None)

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as plain values."""
        return {**asdict(self), "path": str(self.path), "usd": self.usd, "unpriced": self.unpriced}


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken out of a cache, or would be.

    Attributes:
        entries: How many, with their `bytes`.
        left: Entries that stay.
        undated: Of those that stay, how many say no date where only an age was asked for.
        before_bytes: Of the file; `after_bytes` is an estimate where nothing was taken out yet.
        not_compacted: Why the file could not give the room back; None when it did.
    """

    entries: int
    bytes: int
    left: int
    undated: int
    before_bytes: int
    after_bytes: int
    not_compacted: str | None = None
    dry: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)


def statistics(path: Path, runs: Path, prices: Prices) -> Statistics:
    """Return what a cache holds.

    Args:
        path: The cache's file.
        runs: The project's folder of runs.
        prices: Of the project's settings.

    Raises:
        DataError: There is no cache, or it cannot be read.
    """
    with opened(path) as file:
        uses = used_keys(runs)
        groups: dict[Use, list[Usage]] = {}
        room: dict[Use, int] = {}
        dates: list[int] = []
        entries = size = damaged = used = used_bytes = 0
        for entry in file.entries():
            entries += 1
            size += entry.size
            if entry.at is not None:
                dates.append(entry.at)
            if entry.key in uses:
                used += 1
                used_bytes += entry.size
            completion = entry.completion()
            if completion is None:
                damaged += 1
                continue
            use = uses.get(entry.key) or Use(_served(completion))
            groups.setdefault(use, []).append(completion.usage)
            room[use] = room.get(use, 0) + entry.size
    file_bytes, wal_bytes = sizes(path)
    shares = [_share(use, usages, room[use], prices) for use, usages in groups.items()]
    return Statistics(
        path=path,
        file_bytes=file_bytes,
        wal_bytes=wal_bytes,
        entries=entries,
        entry_bytes=size,
        damaged=damaged,
        oldest=min(dates, default=None),
        newest=max(dates, default=None),
        undated=entries - len(dates),
        used=used,
        used_bytes=used_bytes,
        shares=tuple(sorted(shares, key=lambda share: (-share.entries, share.model, share.server or ""))),
    )


def _share(use: Use, usages: list[Usage], size: int, prices: Prices) -> Share:
    # What a run does not tell is only the file's name of an embedded model.
    name = f"{LOCAL}{use.model}" if use.server is None and use.model.endswith(".gguf") else use.model
    cost = spent(((name, usage) for usage in usages), prices)
    return Share(use.model, use.server, len(usages), size, cost.prompt_tokens, cost.completion_tokens, cost.usd)


def _served(completion: Completion) -> str:
    """Return what a server called its model; of a file of weights the name alone, wherever it is."""
    name = completion.served_model or ""
    return PurePath(name).name if name.endswith(".gguf") else name


def used_keys(runs: Path) -> dict[str, Use]:
    """Return who answered, by the key of every call that some run of the project has a line for."""
    found: dict[str, Use] = {}
    for folder in run_folders(runs):
        manifest = _manifest(folder)
        by_pass: dict[str, Use] = {}
        for row in completion_rows(folder):
            name = str(row.get("pass"))
            if name not in by_pass:
                by_pass[name] = _use(manifest, name)
            found.setdefault(str(row["key"]), by_pass[name])
    return found


def _use(manifest: Manifest | None, name: str) -> Use:
    if manifest is None:
        return Use()
    model = next((each.model.name for each in manifest.prompt.passes if each.name == name), "")
    server = manifest.endpoints.get(name, {}).get("base_url")
    return Use(model, None if server is None else str(server))


def _manifest(folder: Path) -> Manifest | None:
    try:
        return load_run(folder).manifest
    except DataError:  # its completions are good all the same
        return None


def run_folders(runs: Path) -> list[Path]:
    """Return the folders that hold completions, by name; whether or not their manifest can be read."""
    try:
        return sorted(folder for folder in runs.iterdir() if (folder / "completions.jsonl").is_file())
    except OSError:
        return []


def completion_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a run that have a key, in their order; damaged ones are passed over."""
    try:
        with (folder / "completions.jsonl").open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict) and isinstance(row.get("key"), str):
                    yield row
    except OSError:  # it may not be read, or has just been removed
        return


def refuse_held(runs: Path) -> None:
    """Refuse to go on while a run of the project is being written: it has the cache open.

    Raises:
        RunBusyError: One is.
    """
    held = [folder.name for folder in run_folders(runs) if is_held(folder)]
    if held:
        raise RunBusyError(
            f"run {listing(held, 3)}: is being written, with this cache. Wait until it has ended, or stop it."
        )


def parse_age(text: str) -> int:
    """Return an age such as ``30d`` in seconds; its units are m, h, d and w.

    Raises:
        UsageError: It is none.
    """
    return round(_quantity(text, _AGE_S, "an age", "90m, 12h, 30d or 8w"))


def parse_size(text: str) -> int:
    """Return a size such as ``1GB`` in bytes; its units are B, KB, MB, GB and TB, each a thousand of the one before.

    Raises:
        UsageError: It is none.
    """
    return round(_quantity(text, _SIZE_BYTES, "a size", "500MB or 1.5GB"))


def _quantity(text: str, units: Mapping[str, int], what: str, example: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    by_unit = {unit.casefold(): factor for unit, factor in units.items()}
    if found is None or found[2].casefold() not in by_unit:
        raise UsageError(f"must be {what} such as {example}, got '{text}'.")
    return float(found[1]) * by_unit[found[2].casefold()]


def prune(
    path: Path,
    runs: Path,
    *,
    now: float,
    older_than_s: int | None = None,
    unused: bool = False,
    to_bytes: int | None = None,
    dry_run: bool = False,
) -> Pruned:
    """Take entries out of the cache: all that one of the conditions is true of.

    Args:
        path: The cache's file.
        runs: The project's folder of runs.
        now: Unix seconds.
        older_than_s: Take out what was put there longer ago. Entries without a date stay.
        unused: Take out what no run of the project has. What may be a vector of `shots: {by: embeddings}` stays.
        to_bytes: Take out the oldest, those without a date first, until the file is no larger.
        dry_run: Only say what would go.

    Raises:
        DataError: There is no cache, or it cannot be read or written.
    """
    before = sizes(path)[0]
    with opened(path, write=not dry_run) as file:
        known = used_keys(runs) if unused else {}
        entries: list[tuple[int, str, int]] = []  # age, key and size are all that is kept of an entry
        gone: dict[str, int] = {}
        undated = 0
        for entry in file.entries():
            old = older_than_s is not None and entry.at is not None and entry.at < now - older_than_s
            if old or (unused and entry.key not in known and not _may_be_vector(entry)):
                gone[entry.key] = entry.size
            else:
                entries.append((entry.at or 0, entry.key, entry.size))
                undated += older_than_s is not None and entry.at is None
        entries.sort()
        total = sum(gone.values()) + sum(size for _, _, size in entries)
        factor = file.used_bytes() / total if total else 1.0  # what the file needs for a byte of an entry
        if to_bytes is not None:
            gone |= _oldest(entries, gone, (to_bytes / factor) if factor else 0)
        left = sum(key not in gone for _, key, _ in entries)
        if dry_run:
            after = round((total - sum(gone.values())) * factor)
            return Pruned(len(gone), sum(gone.values()), left, undated, before, after, dry=True)
        file.delete(gone)
        why_not = file.compact() if gone or to_bytes is not None else None
        for _ in range(_MOST_ROUNDS):
            more = [] if to_bytes is None or why_not is not None else _rest(entries, gone, sizes(path)[0] - to_bytes)
            if not more:
                break
            gone |= dict(more)
            file.delete(key for key, _ in more)
            why_not = file.compact()
        left = sum(key not in gone for _, key, _ in entries)
    return Pruned(len(gone), sum(gone.values()), left, undated, before, sizes(path)[0], why_not)


def _oldest(entries: Iterable[tuple[int, str, int]], gone: Mapping[str, int], room: float) -> dict[str, int]:
    """Return the oldest of the entries that stay, so many that the others take no more than so many bytes."""
    rest = [(key, size) for _, key, size in entries if key not in gone]
    kept = sum(size for _, size in rest)
    found: dict[str, int] = {}
    for key, size in rest:
        if kept <= room:
            break
        found[key] = size
        kept -= size
    return found


def _rest(entries: Iterable[tuple[int, str, int]], gone: Mapping[str, int], too_much: int) -> list[tuple[str, int]]:
    """Return the oldest entries that together are as large as what the file is too large by."""
    found: list[tuple[str, int]] = []
    for _, key, size in entries:
        if too_much <= 0:
            break
        if key not in gone:
            found.append((key, size))
            too_much -= size
    return found


def _may_be_vector(entry: Entry) -> bool:
    """Return whether an entry may be a text's vector, which no run mentions: a server says nothing beside those."""
    completion = entry.completion()
    return completion is not None and _is_bare(completion)


def _is_bare(completion: Completion) -> bool:
    return not completion.usage and completion.finish_reason is None and completion.served_model is None


def clear(path: Path, runs: Path) -> int:
    """Delete the cache and return how many bytes it had.

    Raises:
        RunBusyError: A run is being written.
        CacheBusyError: Another process has it open.
        DataError: There is none, or it may not be deleted.
    """
    if not path.exists():
        raise CacheMissingError(f"{path}: there is no cache yet. The first run makes it.")
    refuse_held(runs)
    claim(path)
    size = sum(sizes(path))
    remove(path)
    return size
