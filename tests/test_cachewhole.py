"""A run that meets a damaged, emptied or new cache: what is put back from the runs, and what is left alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import cli_project
import pytest
from cli_project import stored_run
from filelock import FileLock

from harness import cacherepair
from harness.cache import EMPTIED, MADE, SETTLED, Cache
from harness.cachecare import clear, completion_rows
from harness.cachefile import opened
from harness.cachewhole import opened_whole
from harness.records import Completion

project = cli_project.project

MALFORMED = b"\xee"


@pytest.fixture
def path(project: Path) -> Path:
    """Where the cache of the project is."""
    return project / ".harness" / "cache.sqlite"


@pytest.fixture
def run(project: Path) -> Path:
    """The folder of a run of the project, whose completions the cache had."""
    return stored_run(project, "v1").path


@pytest.fixture
def mine(project: Path) -> Path:
    """The folder of the run that begins."""
    folder = project / "runs" / "mine"
    folder.mkdir(parents=True)
    (folder / "completions.jsonl").touch()
    return folder


def keys_of(run: Path) -> set[str]:
    """The keys of a run's completions."""
    return {row["key"] for row in completion_rows(run)}


def keys(path: Path) -> set[str]:
    """The keys of a cache's entries."""
    with opened(path) as file:
        return file.keys()


def owed(path: Path) -> int:
    """What is owed to a cache."""
    with Cache(path, pytest.fail) as cache:
        return cache.owed


def filled(path: Path, run: Path, *more: str) -> int:
    """Fill a cache with what a run has and with more, and return how large it is."""
    with Cache(path, pytest.fail) as cache:
        for key in (*keys_of(run), *more):
            cache.put(key, Completion("ok", raw="x" * 3000))
        cache.owe(SETTLED)
    return path.stat().st_size


def met(path: Path, mine: Path) -> list[str]:
    """Open the cache as a run does, and return what it told."""
    told: list[str] = []
    with opened_whole(path, mine, told.append) as cache:
        for folder in mine.parent.iterdir():
            for key in keys_of(folder):
                cache.get(key)
    return told


def damaged_files(path: Path) -> list[Path]:
    """The damaged files that were kept."""
    return sorted(path.parent.glob("cache.damaged-*.sqlite"))


def test_a_cache_that_is_off_or_sound_is_left_alone(path: Path, run: Path, mine: Path) -> None:
    """Without a file nothing is kept and nothing told; a sound file is opened as it is, whatever it lacks."""
    told: list[str] = []
    with opened_whole(None, mine, told.append) as cache:
        assert not cache.is_open
    filled(path, run)
    with Cache(path, pytest.fail):
        pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM completions")
    assert met(path, mine) == []
    assert (told, keys(path)) == ([], set())


def test_what_was_damaged_beyond_opening_is_put_back(path: Path, run: Path, mine: Path) -> None:
    """A file that is no database is kept under another name; what the runs have is in the new one before any call."""
    filled(path, run)
    path.write_bytes(b"no database" * 1000)
    told = met(path, mine)
    (old,) = damaged_files(path)
    n = len(keys_of(run))
    assert told == [
        f"{path}: was damaged; {n} completions were put back from the runs. The damaged file is {old.name}."
    ]
    assert old.read_bytes() == b"no database" * 1000
    assert keys(path) == keys_of(run)
    assert met(path, mine) == []


def test_what_a_damaged_file_still_holds_is_kept_too(path: Path, run: Path, mine: Path) -> None:
    """Entries that no run has, such as those of runs that were deleted, are read out of the damaged file."""
    only_here = {f"{number:040x}" for number in range(30)}
    size = filled(path, run, *only_here)
    content = path.read_bytes()
    path.write_bytes(content[: size * 3 // 4])
    (told,) = met(path, mine)
    assert "completions were read from it, " in told
    assert keys_of(run) <= keys(path)
    assert keys(path) & only_here


def test_damage_that_is_met_later_is_mended_then(path: Path, run: Path, mine: Path) -> None:
    """A file that can be opened, and not read, is put in order at the first call that is looked up in it."""
    filled(path, run, *(f"{number:040x}" for number in range(50)))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + MALFORMED * (len(content) - 4096))
    told: list[str] = []
    with opened_whole(path, mine, told.append) as cache:
        assert not told
        assert all(cache.get(key) is not None for key in keys_of(run))
        cache.put("new", Completion("ok", raw="x"))
    assert len(told) == 1
    assert keys(path) == keys_of(run) | {"new"}


def test_damage_that_is_met_by_a_write_is_mended_then(path: Path, run: Path, mine: Path) -> None:
    """What waited to be written when the damage was met is written into the file that was put in order."""
    filled(path, run, *(f"{number:040x}" for number in range(50)))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + MALFORMED * (len(content) - 4096))
    told: list[str] = []
    with opened_whole(path, mine, told.append) as cache:
        cache.put("new", Completion("ok", raw="x"))
        cache.flush()
        assert cache.get("new") is not None
    assert len(told) == 1
    assert keys(path) == keys_of(run) | {"new"}


@pytest.mark.parametrize("looked_at", [False, True])
def test_an_emptied_file_is_filled(path: Path, run: Path, mine: Path, looked_at: bool) -> None:
    """A file of no bytes is filled from the runs, once, also where another command made its tables before."""
    path.parent.mkdir()
    path.touch()
    if looked_at:
        assert owed(path) == EMPTIED
    n = len(keys_of(run))
    assert met(path, mine) == [f"{path}: was empty; {n} completions were put back from the runs."]
    assert (keys(path), owed(path)) == (keys_of(run), SETTLED)
    assert met(path, mine) == []


def test_a_project_without_runs_is_told_nothing(path: Path, mine: Path) -> None:
    """Where no run has an answer there is nothing to put back, and nothing to tell."""
    assert met(path, mine) == []
    clear(path, mine.parent)
    path.touch()
    assert met(path, mine) == []
    assert owed(path) == SETTLED


def test_what_was_cleared_stays_cleared(path: Path, run: Path, mine: Path) -> None:
    """Into a new file nothing is put, cleared or deleted by hand; how to have it is told once, and works."""
    filled(path, run)
    clear(path, mine.parent)
    with Cache(path, pytest.fail) as cache:  # as the vectors of a run's texts are looked up before it begins
        assert cache.owed == MADE
    told = met(path, mine)
    assert told == [f"{path}: is new. What 1 run of this project was answered is put into it by: {REPAIR}"]
    assert keys(path) == set()
    assert met(path, mine) == []
    assert cacherepair.repair(path, mine.parent).refilled == len(keys_of(run))
    assert keys(path) == keys_of(run)


REPAIR = "harness cache verify --repair"


def test_a_refill_that_was_killed_is_done_again(
    path: Path, run: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was salvaged and not refilled yet, because the process was killed, is refilled by the next run."""
    filled(path, run)
    path.write_bytes(b"no database" * 1000)
    with monkeypatch.context() as patched:
        patched.setattr(cacherepair, "_put_back", lambda *_: sys.exit("killed"))
        with pytest.raises(SystemExit):
            met(path, mine)
    assert owed(path) == EMPTIED
    assert len(met(path, mine)) == 1
    assert (keys(path), owed(path)) == (keys_of(run), SETTLED)


def test_a_run_of_another_process_is_taken_over_from(path: Path, run: Path, mine: Path) -> None:
    """A run that is being written may have the damaged file open: the new one knows that it goes on."""
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with FileLock(run / ".lock", timeout=0):
        met(path, mine)
    with Cache(path, pytest.fail) as cache:
        assert cache.unfinished() == [run]


def test_a_file_that_another_process_uses_is_not_replaced(
    path: Path, run: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process has the damaged file open it stays where it is, and the command that mends it is told."""
    monkeypatch.setattr(cacherepair, "WAIT_S", 0.0)
    filled(path, run, *(f"{number:040x}" for number in range(50)))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + MALFORMED * (len(content) - 4096))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version").fetchone()
        told = met(path, mine)
    assert damaged_files(path) == []
    assert len(told) == 1
    assert told[0].endswith(f"its call is made again. To mend it, type: {REPAIR}")


def test_a_folder_that_may_not_be_written_costs_calls_alone(
    path: Path, run: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the damaged file cannot be put in order, the run goes on without a cache."""
    filled(path, run)
    path.write_bytes(b"no database" * 1000)

    def refuses(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", refuses)
    first, second = met(path, mine)
    assert "No space left on device" in first
    assert second == (
        f"{path}: the cache cannot be used (file is not a database); every call is made. To mend it, type: {REPAIR}"
    )
    assert path.read_bytes() == b"no database" * 1000


def test_who_takes_too_long_is_not_waited_for(
    path: Path, run: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run waits for another process that fills the cache, but not for ever, and what is owed stays owed."""
    monkeypatch.setattr(cacherepair, "PATIENCE_S", 0.0)
    path.parent.mkdir()
    path.touch()
    with FileLock(path.with_name(".cache.sqlite.lock"), timeout=0):
        assert met(path, mine) == [f"{path}: another process is putting it in order. Wait until it has ended."]
    assert owed(path) == EMPTIED
    assert len(met(path, mine)) == 1
    assert keys(path) == keys_of(run)


def test_runs_that_begin_together_mend_it_once(path: Path, run: Path, mine: Path) -> None:
    """Of processes that meet the damage at the same moment one mends it, and all use what it made."""
    filled(path, run, *(f"{number:040x}" for number in range(50)))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + MALFORMED * (len(content) - 4096))
    script = (
        "import sys; from pathlib import Path; from harness.cachewhole import opened_whole\n"
        "from harness.records import Completion\n"
        "sys.stdin.readline()\n"
        "path, mine, name, *keys = sys.argv[1:]\n"
        "with opened_whole(Path(path), Path(mine), lambda told: print(told, file=sys.stderr)) as cache:\n"
        "    assert all(cache.get(key) is not None for key in keys)\n"
        "    cache.put(name, Completion('ok', raw='x'))"
    )
    command = [sys.executable, "-c", script, str(path), str(mine)]
    running = [
        subprocess.Popen([*command, name, *keys_of(run)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in "abcd"
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = "".join(process.communicate()[1] for process in running)
    assert [process.returncode for process in running] == [0] * 4, told
    assert told.count("was damaged; ") == len(told.splitlines()) == len(damaged_files(path)) == 1, told
    assert keys(path) == keys_of(run) | set("abcd")


def test_the_log_of_an_emptied_file_is_read(path: Path, run: Path, mine: Path) -> None:
    """Newest writes that a killed process left beside a file that was emptied are kept: SQLite would delete them."""
    script = (
        "import os, sys; from pathlib import Path; from harness.cache import Cache; from harness.records import Completion\n"
        "cache = Cache(Path(sys.argv[1]), sys.exit)\n"
        "cache.put('newest', Completion('ok', raw='x'))\n"
        "cache.flush()\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.with_name("cache.sqlite-wal").stat().st_size
    path.write_bytes(b"")
    (told,) = met(path, mine)
    assert "was damaged; 1 completion was read from it, " in told
    assert keys(path) == keys_of(run) | {"newest"}
