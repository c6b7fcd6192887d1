"""Taking care of the cache: what it holds and is worth, what is let go, and that a repair loses nothing that is there."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cli_project
import pytest
from cli_project import stored_run
from filelock import FileLock

from harness.cache import Cache
from harness.cachecare import clear as cleared
from harness.cachecare import parse_age, parse_size, prune, statistics
from harness.cachefile import CacheDamagedError, CacheMissingError, opened
from harness.cacherepair import repair, verify
from harness.errors import DataError, RunBusyError, UsageError
from harness.project import find_project
from harness.records import Completion, Usage

project = cli_project.project

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 86_400
ANSWER = Completion("ok", raw="shipping", finish_reason="stop", usage=Usage(prompt_tokens=1000, completion_tokens=10))
PRICES = {"scripted": {"input": 400.0, "output": 1600.0}}


def answer(model: str | None = "m-1", raw: str = "shipping", **values: Any) -> Completion:
    """Return a completion as a server gives it."""
    usage = Usage(prompt_tokens=1000, completion_tokens=10)
    return Completion("ok", raw=raw, finish_reason="stop", usage=usage, served_model=model, **values)


@pytest.fixture
def path(project: Path) -> Path:
    """Where the cache of the project is."""
    return project / ".harness" / "cache.sqlite"


@pytest.fixture
def runs(project: Path) -> Path:
    """Where its runs are."""
    return project / "runs"


def fill(path: Path, entries: dict[str, Completion]) -> None:
    """Put completions into a cache."""
    with Cache(path, pytest.fail) as cache:
        for key, completion in entries.items():
            cache.put(key, completion)


def change(path: Path, *statements: str) -> None:
    """Change the file behind everybody's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def date(path: Path, dates: dict[str, int | None]) -> None:
    """Say when entries were put into a cache, in a file that may not know of dates yet."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if not any(row[1] == "at" for row in connection.execute("PRAGMA table_info(completions)")):
            connection.execute("ALTER TABLE completions ADD COLUMN at INTEGER")
        for key, at in dates.items():
            connection.execute("UPDATE completions SET at = ? WHERE key = ?", (at, key))


def undate(path: Path) -> None:
    """Make the file one of a version that knew no dates."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if any(row[1] == "at" for row in connection.execute("PRAGMA table_info(completions)")):
            connection.execute("ALTER TABLE completions DROP COLUMN at")


def keys(path: Path) -> set[str]:
    """Return the keys of all entries."""
    with opened(path) as file:
        return {entry.key for entry in file.entries()}


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be another process that writes a run."""
    with FileLock(folder / ".lock", timeout=0):
        yield


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Be another process that has the cache open, as a run has it."""
    script = (
        "import sys; from pathlib import Path; from harness.cache import Cache\n"
        "with Cache(Path(sys.argv[1]), sys.exit) as cache:\n"
        "    cache.get('x')\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        yield
    finally:
        process.communicate()


# --- Sizes and ages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 30 * DAY), ("90m", 5400), ("1.5h", 5400), (" 2 W ", 14 * DAY), ("0d", 0)]
)
def test_an_age(text: str, seconds: int) -> None:
    """An age is a number with a unit."""
    assert parse_age(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("1GB", 10**9), ("1.5 mb", 1_500_000), ("0B", 0), ("2TB", 2 * 10**12)])
def test_a_size(text: str, size: int) -> None:
    """A size is a number with a decimal unit."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "30", "d", "30 years", "-1d", "1e3d", "∞d"])
def test_what_is_no_age(text: str) -> None:
    """Everything else is told with examples."""
    with pytest.raises(UsageError) as error:
        parse_age(text)
    assert str(error.value) == f"must be an age such as 90m, 12h, 30d or 8w, got '{text}'."


def test_what_is_no_size() -> None:
    """A size without a unit, or with one that is none, is told with examples."""
    with pytest.raises(UsageError, match=r"must be a size such as 500MB or 1\.5GB, got '1GiB'"):
        parse_size("1GiB")


# --- Statistics -------------------------------------------------------------------------------------------------------


def test_an_absent_cache_is_told(path: Path, runs: Path) -> None:
    """Without a file there is nothing to tell, and none is made."""
    for look in (lambda: statistics(path, runs, {}), lambda: prune(path, runs, now=0), lambda: cleared(path, runs)):
        with pytest.raises(CacheMissingError) as error:
            look()
        assert str(error.value) == f"{path}: there is no cache yet. The first run makes it."
    assert not path.parent.exists()


def test_what_a_cache_holds(project: Path, path: Path, runs: Path) -> None:
    """Entries are counted by who answered: by the run that has the call, else by the name that the server gave."""
    stored_run(project, "v1")
    fill(path, {"r01-main-0": answer("served-1"), "a": answer("m-1"), "b": answer("m-1"), "c": answer(None)})
    date(path, {"a": 1000, "b": 3000, "c": None, "r01-main-0": None})
    change(path, "INSERT INTO completions (key, completion) VALUES ('d', '{')")
    found = statistics(path, runs, PRICES)
    assert (found.entries, found.damaged, found.used) == (5, 1, 1)
    assert (found.oldest, found.newest, found.undated) == (1000, 3000, 3)
    assert [(share.model, share.entries, share.usd) for share in found.shares] == [
        ("m-1", 2, None),
        ("", 1, None),
        ("scripted", 1, 0.416),
    ]
    assert (found.usd, found.unpriced) == (0.416, 3)
    assert found.shares[0].prompt_tokens == 2000
    assert sum(share.bytes for share in found.shares) + len("d{") == found.entry_bytes
    assert found.file_bytes == path.stat().st_size
    assert json.loads(json.dumps(found.to_json()))["unpriced"] == 3


def test_the_server_of_a_model_is_told(project: Path, path: Path, runs: Path) -> None:
    """The same model of two servers is two shares; what an embedded model answered costs nothing."""
    for version, url in (("v1", "http://a/v1"), ("v2", "http://b/v1")):
        stored_run(project, version, endpoints={"main": {"base_url": url, "api": "chat"}})
    run = next(runs.glob("v2-*/completions.jsonl"))
    run.write_text(run.read_text().replace("-main-0", "-second-0"), encoding="utf-8")
    fill(path, {"r01-main-0": ANSWER, "r01-second-0": ANSWER, "x": answer("weights.gguf")})
    shares = {(share.model, share.server): share.usd for share in statistics(path, runs, {}).shares}
    assert shares == {
        ("scripted", "http://a/v1"): None,
        ("scripted", "http://b/v1"): None,
        ("weights.gguf", None): 0.0,
    }


def test_a_run_without_its_manifest_still_uses_the_cache(project: Path, path: Path, runs: Path) -> None:
    """Damaged lines, and a manifest that cannot be read, hide no other line of the run."""
    folder = stored_run(project, "v1").path
    (folder / "run.json").write_text("{", encoding="utf-8")
    with (folder / "completions.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"key": 7}\n[]\n{"key": "la')
    fill(path, {"r01-main-0": answer("served-1"), "x": answer("served-2")})
    found = statistics(path, runs, {})
    assert found.used == 1
    assert {share.model for share in found.shares} == {"", "served-2"}


def test_a_cache_of_an_older_version_has_no_dates(path: Path, runs: Path) -> None:
    """A file that knows no dates is read all the same, and entries can be taken out and put in."""
    fill(path, {"a": ANSWER, "b": ANSWER})
    undate(path)
    assert statistics(path, runs, {}).undated == 2
    assert prune(path, runs, now=NOW.timestamp(), older_than_s=0).undated == 2
    assert prune(path, runs, now=NOW.timestamp(), unused=True).entries == 2


def test_an_empty_file_holds_nothing(path: Path, runs: Path) -> None:
    """A file of no bytes is a cache without entries."""
    path.parent.mkdir()
    path.touch()
    assert statistics(path, runs, {}).entries == 0
    with opened(path) as file:
        assert (file.count(), file.forms(), file.problems()) == (0, {}, ())


def test_a_damaged_file_is_told(path: Path, runs: Path) -> None:
    """What is no database, or no whole one, is told with the command that mends it."""
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(CacheDamagedError) as error:
        statistics(path, runs, {})
    assert str(error.value) == f"{path}: is damaged (file is not a database). Type: harness cache verify --repair"


def test_a_folder_in_the_files_place_is_told(path: Path, runs: Path) -> None:
    """What is no file is told."""
    path.mkdir(parents=True)
    with pytest.raises(DataError) as error:
        statistics(path, runs, {})
    assert str(error.value) == f"{path}: must be a file, got a folder. Move it away; the next run makes a new cache."


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_in_the_files_place_is_told(path: Path, runs: Path) -> None:
    """A named pipe, whose reader would wait for ever, is told and never opened."""
    path.parent.mkdir()
    os.mkfifo(path)
    for use in (
        lambda: statistics(path, runs, {}),
        lambda: verify(path, runs),
        lambda: repair(path, runs),
        lambda: prune(path, runs, now=0, unused=True),
    ):
        with pytest.raises(DataError) as error:
            use()
        assert str(error.value) == f"{path}: must be a file, got a pipe. Move it away; the next run makes a new cache."
    assert cleared(path, runs) == 0
    assert not path.exists()


# --- Letting go -------------------------------------------------------------------------------------------------------


def test_old_entries_are_taken_out(path: Path, runs: Path) -> None:
    """`older_than_s` takes what was put there before; what says no date stays, and is counted."""
    now = int(NOW.timestamp())
    fill(path, dict.fromkeys("abcd", ANSWER))
    date(path, {"a": now - 31 * DAY, "b": now - 30 * DAY, "c": now, "d": None})
    found = prune(path, runs, now=now, older_than_s=30 * DAY)
    assert (found.entries, found.left, found.undated, found.not_compacted) == (1, 3, 1, None)
    assert keys(path) == {"b", "c", "d"}


def test_a_dry_run_takes_nothing_out(path: Path, runs: Path) -> None:
    """`dry_run` tells what would go, and changes no byte."""
    fill(path, dict.fromkeys("abcd", ANSWER))
    before = path.read_bytes()
    found = prune(path, runs, now=0, unused=True, dry_run=True)
    assert (found.entries, found.left, found.dry) == (4, 0, True)
    assert path.read_bytes() == before


def test_entries_that_no_run_has_are_taken_out(project: Path, path: Path, runs: Path) -> None:
    """`unused` takes what no run of the project has; a vector, which no run mentions, stays."""
    stored_run(project, "v1")
    fill(path, {"r01-main-0": ANSWER, "old": ANSWER, "vector": Completion("ok", raw="AAAA")})
    assert prune(path, runs, now=0, unused=True).entries == 1
    assert keys(path) == {"r01-main-0", "vector"}


def test_the_oldest_go_until_the_file_is_small(path: Path, runs: Path) -> None:
    """`to_bytes` takes the oldest out, undated ones first, and the file is no larger afterwards."""
    fill(path, {f"{number:03}": answer(raw="x" * 2000) for number in range(200)})
    date(path, {f"{number:03}": number or None for number in range(200)})
    found = prune(path, runs, now=0, to_bytes=200_000)
    assert path.stat().st_size <= 200_000
    assert found.after_bytes == path.stat().st_size
    left = sorted(keys(path))
    assert left == [f"{number:03}" for number in range(200 - found.left, 200)]
    assert found.left > 30  # the file is not much smaller than it may be


def test_a_small_file_is_left_alone(path: Path, runs: Path) -> None:
    """Where the file is small enough nothing goes; where nothing may stay all of it goes."""
    fill(path, {"a": ANSWER, "b": ANSWER})
    assert prune(path, runs, now=0, to_bytes=10**9).entries == 0
    assert prune(path, runs, now=0, to_bytes=10**9, dry_run=True).entries == 0
    assert prune(path, runs, now=0, to_bytes=0).left == 0


def test_a_file_that_another_process_reads_is_pruned_too(path: Path, runs: Path) -> None:
    """What another process has open loses its entries; the file gives the room back as soon as it can."""
    fill(path, {"a": ANSWER, "b": ANSWER})
    with in_use(path):
        found = prune(path, runs, now=0, unused=True)
    assert found.entries == 2
    assert keys(path) == set()


def test_a_file_that_is_being_read_shrinks_later(path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process reads the old state the entries go, and it is said that the file is not smaller yet."""
    monkeypatch.setattr("harness.cachefile.WAIT_S", 0.01)
    fill(path, {"a": ANSWER, "b": ANSWER})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM completions").fetchone()
        found = prune(path, runs, now=0, unused=True)
    assert found.not_compacted in ("another process is reading it", "database is locked")
    assert keys(path) == set()


def test_a_file_that_is_being_written_is_told(path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process holds the file for longer than one waits, nothing is taken out."""
    monkeypatch.setattr("harness.cachefile.WAIT_S", 0.01)
    fill(path, {"a": ANSWER})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataError) as error:
            prune(path, runs, now=0, unused=True)
    assert str(error.value) == f"{path}: another process is using the cache. Wait until it has ended."
    assert keys(path) == {"a"}


def test_a_full_disk_is_told(path: Path, runs: Path) -> None:
    """A disk without room takes nothing out, and is told."""
    fill(path, {"a": ANSWER})
    change(path, "CREATE TRIGGER full BEFORE DELETE ON completions BEGIN SELECT RAISE(FAIL, 'database is full'); END")
    with pytest.raises(DataError, match="database is full"):
        prune(path, runs, now=0, unused=True)
    assert keys(path) == {"a"}


def test_clear_deletes_the_file(path: Path, runs: Path) -> None:
    """The file goes, with what SQLite keeps beside it; how much it was is returned."""
    fill(path, {"a": ANSWER})
    size = path.stat().st_size
    assert cleared(path, runs) == size
    assert list(path.parent.iterdir()) == []


def test_clear_deletes_a_damaged_file_too(path: Path, runs: Path) -> None:
    """What is no database can be cleared: that is what clearing is for."""
    path.parent.mkdir()
    path.write_bytes(b"no database")
    assert cleared(path, runs) == 11
    assert not path.exists()


def test_clear_refuses_while_a_run_is_written(project: Path, path: Path, runs: Path) -> None:
    """A run that is being written keeps its cache; so does a process that has the file open without a run."""
    stored = stored_run(project, "v1")
    fill(path, {"a": ANSWER})
    with held(stored.path), pytest.raises(RunBusyError) as busy:
        cleared(path, runs)
    assert str(busy.value) == (
        f"run {stored.path.name}: is being written, with this cache. Wait until it has ended, or stop it."
    )
    with in_use(path), pytest.raises(DataError) as error:
        cleared(path, runs)
    assert str(error.value) == f"{path}: another process is using the cache. Wait until it has ended."
    assert keys(path) == {"a"}


# --- Verification and repair ------------------------------------------------------------------------------------------


def test_a_sound_cache(path: Path, runs: Path) -> None:
    """A file whose entries all decode is sound, and a repair changes nothing."""
    fill(path, {"a": ANSWER})
    found = verify(path, runs)
    assert (found.exists, found.sound, found.entries, found.missing) == (True, True, 1, 0)
    done = repair(path, runs)
    assert (done.salvaged, done.removed, done.refilled, done.old) == (0, 0, 0, None)


def test_damaged_entries_are_removed(path: Path, runs: Path) -> None:
    """Entries that hold no completion are told, and taken out; their calls would be made again anyway."""
    fill(path, dict.fromkeys("abcdefg", ANSWER))
    change(
        path,
        "UPDATE completions SET completion = '{' WHERE key = 'a'",
        "UPDATE completions SET completion = x'ff' WHERE key = 'b'",
        "UPDATE completions SET completion = 7 WHERE key = 'c'",
        "UPDATE completions SET completion = '[]' WHERE key = 'd'",
        f"UPDATE completions SET completion = '{'[' * 100_000}' WHERE key = 'e'",
    )
    found = verify(path, runs)
    assert (found.damaged, found.problems, found.sound) == (("a", "b", "c", "d", "e"), (), False)
    assert repair(path, runs).removed == 5
    assert keys(path) == {"f", "g"}
    assert verify(path, runs).sound


def test_the_runs_refill_the_cache(project: Path, path: Path, runs: Path) -> None:
    """What the runs have and the cache has not is put back, but for failed calls and answers that were drawn again."""
    stored = stored_run(project, "v1")
    stored_run(project, "v2", {"r01": cli_project.call_error(), "r02": "price"})
    lines = [json.loads(line) for line in (stored.path / "completions.jsonl").read_text().splitlines()]
    more = [
        {**lines[0], "key": "again", "again": 1},
        {**lines[0], "key": "cached", "cached": True},
        {**lines[0], "key": "damaged", "status": "odd"},
        {key: value for key, value in lines[0].items() if key != "usage"} | {"key": "short"},
    ]
    with (stored.path / "completions.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in more)
    assert verify(path, runs).missing == 11
    done = repair(path, runs)
    assert (done.found.exists, done.refilled) == (False, 11)
    assert keys(path) == {"cached", *(f"r{number:02}-main-0" for number in range(1, 11))}
    with Cache(path, pytest.fail) as cache:
        found = cache.get("r03-main-0")
    assert found is not None
    assert found.raw == "shipping"
    with opened(path) as file:
        assert {completion.cached for each in file.entries() if (completion := each.completion())} == {False}
    assert verify(path, runs).missing == 0


@pytest.mark.parametrize("damage", ["head", "truncated", "middle", "empty"])
def test_what_a_damaged_file_still_holds_is_kept(path: Path, runs: Path, damage: str) -> None:
    """Whatever is wrong with the file: what can be read of it is in the new one, and the old one stands beside it."""
    answers = {f"{number:040x}": answer(raw=str(number) * (5 + number % 50 * 60)) for number in range(400)}
    fill(path, answers)
    with Cache(path, pytest.fail) as cache:
        cache.remember("server", "json_schema")
    content = path.read_bytes()
    broken = {
        "head": b"\0" * 4096 + content[4096:],
        "truncated": content[: len(content) // 2],
        "middle": content[: 10 * 4096] + b"\xaa" * 20 * 4096 + content[30 * 4096 :],
        "empty": b"x" * 600,
    }[damage]
    path.write_bytes(broken)
    found = verify(path, runs)
    assert found.problems
    done = repair(path, runs, now=NOW)
    assert done.old == path.with_name("cache.damaged-20260301-000000.sqlite")
    assert done.old.read_bytes() == broken
    assert done.salvaged == len(keys(path))
    assert done.salvaged >= {"head": 400, "truncated": 150, "middle": 300, "empty": 0}[damage]
    with Cache(path, pytest.fail) as cache:
        for key in keys(path):
            assert (kept := cache.get(key)) is not None
            assert kept.raw == answers[key].raw
        if damage == "head":
            assert cache.form("server") == "json_schema"
    assert verify(path, runs).sound
    assert sorted(each.name for each in path.parent.iterdir()) == [done.old.name, path.name]


def test_dates_survive_a_repair(path: Path, runs: Path) -> None:
    """Entries of a damaged file keep their dates."""
    fill(path, {f"{number:040x}": answer(raw="x" * 3000) for number in range(50)})
    date(path, {f"{number:040x}": 1_700_000_000 + number for number in range(50)})
    content = path.read_bytes()
    path.write_bytes(b"\0" * 4096 + content[4096:])
    repair(path, runs, now=NOW)
    with opened(path) as file:
        if "at" in file.columns("completions"):
            assert sorted(entry.at or 0 for entry in file.entries()) == [1_700_000_000 + each for each in range(50)]


def test_the_newest_writes_of_a_damaged_file_are_kept(path: Path, runs: Path) -> None:
    """Entries that a killed process left in the log beside the file are salvaged, and the log goes with the old file."""
    script = (
        "import os, sys; from pathlib import Path; from harness.cache import Cache; from harness.records import Completion\n"
        "cache = Cache(Path(sys.argv[1]), sys.exit)\n"
        "for number in range(20):\n"
        "    cache.put(f'{number:040x}', Completion('ok', raw='x'))\n"
        "if hasattr(cache, 'flush'): cache.flush()\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.with_name("cache.sqlite-wal").stat().st_size
    log = path.with_name("cache.sqlite-wal")
    newest = bytearray(log.read_bytes())
    newest[24] ^= 0xFF  # its checksum: SQLite reads none of it any more
    log.write_bytes(newest)
    path.write_bytes(b"x" * 8192)
    done = repair(path, runs, now=NOW)
    assert done.salvaged == 20
    assert done.old is not None
    assert done.old.with_name(done.old.name + "-wal").exists()


def test_a_file_whose_tables_are_lost_is_salvaged(path: Path, runs: Path) -> None:
    """A file whose head is sound and whose list of tables is not says which tables it has no more; its pages are read."""
    fill(path, {f"{number:040x}": answer(raw="x" * 900) for number in range(40)})
    with opened(path) as file:
        assert file.problems() == ()
    content = bytearray(path.read_bytes())
    content[100:108] = b"\xff" * 8  # the head of the first page's tree, behind a file header that is sound
    path.write_bytes(content)
    found = verify(path, runs)
    assert found.problems == ("database disk image is malformed",)
    assert repair(path, runs, now=NOW).salvaged == 40


def test_two_repairs_keep_two_old_files(path: Path, runs: Path) -> None:
    """The file that an earlier repair kept is not overwritten."""
    path.parent.mkdir()
    for _ in range(2):
        path.write_bytes(b"no database" * 100)
        repair(path, runs, now=NOW)
    assert len(list(path.parent.glob("cache.damaged-*.sqlite"))) == 2


def test_a_repair_waits_for_runs(project: Path, path: Path, runs: Path) -> None:
    """While a run is written nothing is repaired."""
    stored = stored_run(project, "v1")
    with held(stored.path), pytest.raises(RunBusyError):
        repair(path, runs)
    assert not path.exists()


def test_a_repair_that_cannot_write_says_so(project: Path, path: Path, runs: Path) -> None:
    """Where the new file cannot be made, the damaged one stays where it is."""
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    (path.parent / ".cache.sqlite.repair").mkdir()
    with pytest.raises(DataError, match=r"\.cache\.sqlite\.repair: cannot be deleted"):
        repair(path, runs)
    assert path.read_bytes() == b"no database" * 100


def test_a_refill_that_cannot_write_says_so(project: Path, path: Path, runs: Path) -> None:
    """A cache that takes no entries is told."""
    stored_run(project, "v1")
    fill(path, {"a": ANSWER})
    change(path, "CREATE TRIGGER full BEFORE INSERT ON completions BEGIN SELECT RAISE(FAIL, 'no room'); END")
    with pytest.raises(DataError, match=r"cannot keep completions"):
        repair(path, runs)


def test_a_read_only_file_is_told_and_can_be_looked_at() -> None:
    """Where nothing may be written, statistics and verification go on; what would change the file says why it cannot."""
    script = (
        "import os, time; from pathlib import Path\n"
        "from harness.cachecare import clear, prune, statistics; from harness.cacherepair import verify\n"
        "from harness.errors import DataError\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"  # root may write everywhere
        "path, runs = Path('cache.sqlite'), Path('runs')\n"
        "prices = {'m': {'input': 1.0, 'output': 1.0}}\n"
        "print(statistics(path, runs, prices).entries, verify(path, runs).sound)\n"
        "for each in (lambda: prune(path, runs, now=0, unused=True), lambda: clear(path, runs)):\n"
        "    try: each()\n"
        "    except DataError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.sqlite"
        fill(path, {"a": answer("m")})
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
        )
        Path(folder).chmod(0o755)
    assert done.stderr == ""
    why = "cache.sqlite: may not be written. Check the permissions of the file and of its folder."
    assert done.stdout == f"1 True\n{why}\n{why}\n"


def test_the_project_knows_where_its_cache_is(project: Path, path: Path) -> None:
    """What the commands take care of is what runs use."""
    assert find_project(project).cache == path
