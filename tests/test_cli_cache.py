"""``harness cache``: what it prints, what it asks, and what it refuses."""

from __future__ import annotations

import io
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import cli_project
import pytest
from cli_project import Cli, stored_run
from filelock import FileLock
from syrupy.assertion import SnapshotAssertion

from harness.cache import Cache
from harness.cachecare import Pruned, Share, Statistics
from harness.cacherepair import Verified
from harness.records import Completion, Usage
from harness.report import cache as report
from harness.report.terminal import rendered

project, cli = cli_project.project, cli_project.cli

ABSENT = "error: {path}: there is no cache yet. The first run makes it.\n"


@pytest.fixture
def path(project: Path) -> Path:
    """Where the cache of the project is."""
    return project / ".harness" / "cache.sqlite"


def fill(path: Path, count: int = 3) -> None:
    """Put completions into the cache."""
    with Cache(path, pytest.fail) as cache:
        for number in range(count):
            usage = Usage(prompt_tokens=1000, completion_tokens=10)
            cache.put(f"r{number:02}-main-0", Completion("ok", raw="x", usage=usage, served_model="served-1"))


def steady(text: str) -> str:
    """Return a text without what depends on SQLite's version and the clock."""
    return re.sub(r"\d{4}-\d\d-\d\d|\d{8}-\d{6}", "(date)", re.sub(r"[\d.,]+ k?B\b", "(size)", text))


def test_without_a_cache(project: Path, cli: Cli, path: Path) -> None:
    """Every command says that there is none yet; only verification finds that in order."""
    for arguments in (["stats"], ["prune", "--unused"], ["clear", "--yes"], ["clear"]):
        told = cli("cache", *arguments)
        assert (told.code, told.err) == (1, ABSENT.format(path=path))
    assert cli("cache", "verify").out == ".harness/cache.sqlite: there is no cache yet\n"
    assert cli("cache", "verify", "--repair").out == ".harness/cache.sqlite: there was nothing to repair\n"


def test_statistics(project: Path, cli: Cli, path: Path, snapshot: SnapshotAssertion) -> None:
    """How much there is of whom, and what it was worth."""
    url = "http://localhost:8000/v1"
    stored_run(project, "v1", endpoints={"main": {"base_url": url, "api": "chat"}})
    fill(path)
    assert steady(cli("cache", "stats").out) == snapshot
    found = cli("cache", "stats", "--json").json
    assert (found["entries"], found["used"], found["shares"][0]["server"]) == (3, 2, url)


def test_statistics_as_a_table(snapshot: SnapshotAssertion) -> None:
    """Models without a name or a price, dates, damage and long names find their place in 100 columns."""
    shares = (
        Share("gpt-4.1-mini", "https://api.openai.com/v1", 120_000, 90_000_000, 48_000_000, 900_000, 20.64),
        Share("local/smollm2-135m", None, 450, 500_000, 260_000, 4000, 0.0),
        Share("weights.gguf", None, 40, 5000, 2600, 400, 0.0),
        Share("", None, 7, 9000, 0, 0, None),
        Share(
            "an-organisation/a-model-with-a-long-name-8b", "http://gpu-7.internal.example.org:8000/v1", 1, 9, 1, 1, None
        ),
    )
    found = Statistics(
        Path("c"),
        200_000_000,
        4096,
        120_500,
        91_000_000,
        2,
        1_760_000_000,
        1_770_000_000,
        50,
        99_000,
        80_000_000,
        shares,
    )
    assert rendered([report.statistics_report(found, ".harness/cache.sqlite")], io.StringIO()) == snapshot
    assert report.day(10**30) == "–"


def test_verify(project: Path, cli: Cli, path: Path, snapshot: SnapshotAssertion) -> None:
    """A sound cache is ok; damage is exit code 1 with the command that mends it."""
    fill(path)
    sound = cli("cache", "verify")
    assert (sound.code, sound.out) == (0, "ok .harness/cache.sqlite: 3 entries, all can be read\n")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE completions SET completion = '{' WHERE key = 'r00-main-0'")
    stored_run(project, "v1")
    damaged = cli("cache", "verify")
    assert damaged.code == 1
    assert damaged.out == snapshot
    assert cli("cache", "verify", "--json").json["damaged"] == ["r00-main-0"]
    assert cli("cache", "verify", "--repair").out == snapshot(name="repaired")
    assert cli("cache", "verify", "--json").json["sound"] is True


def test_a_damaged_file_is_repaired(project: Path, cli: Cli, path: Path, snapshot: SnapshotAssertion) -> None:
    """The damaged file is kept, and it is said where."""
    fill(path, 30)
    content = path.read_bytes()
    path.write_bytes(b"\0" * 4096 + content[4096:])
    assert cli("cache", "verify").code == 1
    told = cli("cache", "verify", "--repair")
    assert told.code == 0
    assert steady(told.out) == snapshot
    assert len(list(path.parent.glob("cache.damaged-*.sqlite"))) == 1
    path.write_bytes(b"x" * 5000)
    assert cli("cache", "verify", "--repair", "--json").json["old"].endswith(".sqlite")
    assert cli("cache", "stats").code == 0


def test_many_problems_are_a_few_and_a_number() -> None:
    """Of many problems and entries some are named."""
    found = Verified(Path("c"), True, 9, tuple("abcdefg"), tuple("12345"), 1)
    told = rendered([report.verified_report(found, "c")], io.StringIO())
    assert told == (
        "bad c\n  1\n  2\n  3\n  and 2 more\n  7 entries cannot be read: a, b, c and 4 more\n"
        "1 completion of the runs here are not in it\nType: harness cache verify --repair\n"
    )


def test_prune(project: Path, cli: Cli, path: Path) -> None:
    """A dry run says what would go; then it goes."""
    stored_run(project, "v1")
    fill(path)
    dry = cli("cache", "prune", "--unused", "--dry-run")
    assert re.fullmatch(
        r"\.harness/cache\.sqlite: 1 entry would go, 2 entries would stay; .* kB → about .* k?B\n", dry.out
    )
    assert cli("cache", "prune", "--unused", "--json").json["entries"] == 1
    assert "0 entries went, 2 entries stay" in cli("cache", "prune", "--to-size", "1GB", "--older-than", "30d").out


def test_pruning_tells_what_stays() -> None:
    """Entries without a date and a file that could not shrink are told."""
    done = Pruned(1, 10, 5, 4, 9_000, 9_000, "database is locked")
    assert rendered([report.pruned_report(done, "c")], io.StringIO()) == (
        "c: 1 entry went, 5 entries stay; 9,000 B → 9,000 B\n"
        "4 entries of no known age stay: they were kept before dates were\n"
        "the file could not be made smaller yet (database is locked); its room is used again\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "say what to take out: --older-than AGE, --unused or --to-size SIZE. See: harness cache prune --help"),
        (["--older-than", "30"], "--older-than: must be an age such as 90m, 12h, 30d or 8w, got '30'."),
        (["--to-size", "big"], "--to-size: must be a size such as 500MB or 1.5GB, got 'big'."),
    ],
)
def test_prune_wants_to_know_what(project: Path, cli: Cli, path: Path, arguments: list[str], told: str) -> None:
    """Wrong usage is told, and nothing goes."""
    fill(path)
    found = cli("cache", "prune", *arguments)
    assert (found.code, found.err) == (2, f"error: {told}\n")


def test_clear_asks_first(project: Path, cli: Cli, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal it asks; without one it wants --yes."""
    fill(path)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    told = cli("cache", "clear")
    assert (told.code, told.err) == (
        2,
        "error: clear: must be confirmed, but there is no terminal to ask on. Add --yes.\n",
    )
    for answer, gone in (("n", False), ("y", True)):
        terminal = io.StringIO(f"{answer}\n")
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", terminal)
        told = cli("cache", "clear")
        assert told.code == 0
        assert told.err.startswith("Delete .harness/cache.sqlite (")
        assert path.exists() is not gone


def test_clear_with_yes(project: Path, cli: Cli, path: Path) -> None:
    """--yes asks nothing; a run that is being written keeps its cache."""
    fill(path)
    stored = stored_run(project, "v1")
    with FileLock(stored.path / ".lock"):
        busy = cli("cache", "clear", "--yes")
    assert (busy.code, busy.err) == (
        1,
        f"error: run {stored.path.name}: is being written, with this cache. Wait until it has ended, or stop it.\n",
    )
    assert cli("cache", "clear", "--yes", "--json").json["bytes"] > 0
    fill(path)
    assert re.fullmatch(r"\.harness/cache\.sqlite: deleted, .* kB\n", cli("cache", "clear", "--yes").out)


@pytest.mark.parametrize("name", ["stats", "verify", "prune", "clear"])
def test_every_part_has_help_with_an_example(cli: Cli, name: str) -> None:
    """Every command says in its help what to type."""
    told = cli("cache", name, "--help")
    assert told.code == 0
    assert f"harness cache {name}" in told.out.partition("Example")[2]
