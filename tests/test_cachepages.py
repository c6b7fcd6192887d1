"""The pages of an SQLite file, read without SQLite: all rows of a sound file, and those that damage leaves."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cachepages import Value, rows

Row = tuple[Value, ...]


def content_of(
    count: int, length: int, *, page: int = 4096, wal: bool = False, rowid: bool = False
) -> tuple[bytes, bytes, set[Row]]:
    """Return the bytes of a file and of its log, and the rows that it was filled with."""
    draw = random.Random(count * 100_000 + length)
    made = {
        (f"{draw.getrandbits(160):040x}".encode(), draw.randbytes(draw.randrange(length + 1)).hex().encode(), at - 2)
        for at in range(count)
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA page_size={page}")
            connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            without = "" if rowid else "WITHOUT ROWID"
            connection.execute(f"CREATE TABLE c (key TEXT PRIMARY KEY, completion TEXT, at INTEGER) {without}")
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO c VALUES (?, ?, ?)", [(k.decode(), v.decode(), n) for k, v, n in made])
            connection.execute("COMMIT")
            log = path.with_name("c.sqlite-wal")
            return path.read_bytes(), log.read_bytes() if log.exists() else b"", set(made)


SOUND = content_of(300, 3000)


@pytest.mark.parametrize("rowid", [True, False])
@pytest.mark.parametrize("page", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("length", [0, 40, 500, 20_000])
def test_all_rows_of_a_sound_file(page: int, length: int, rowid: bool) -> None:
    """Every row is found, on one page or over many, in leaves and between them, once; so is what an index has of it."""
    content, _, made = content_of(120, length, page=page, rowid=rowid)
    found = [row for row in rows(content) if len(row) == 3]
    assert {row[0] for row in rows(content)} == {key for key, _, _ in made}
    assert len(found) == len(made)
    assert set(found) == made


def test_the_log_goes_before_the_file() -> None:
    """Rows that are only in the log of newest writes are found; so is what a file without a page has there."""
    content, wal, made = content_of(200, 300, wal=True)
    assert wal
    assert set(rows(content, wal)) == made
    assert set(rows(b"", wal)) == made


def test_frames_of_an_earlier_round_do_not_count() -> None:
    """A frame whose salt is not that of the log was left from before, and is passed over."""
    content, wal, _ = content_of(200, 300, wal=True)
    stale = bytearray(wal)
    for at in range(32, len(stale) - 24 - 4096 + 1, 24 + 4096):
        stale[at + 8] ^= 0xFF
    assert list(rows(content, bytes(stale))) == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_keeps_the_rows_before_the_cut(share: float) -> None:
    """A file that ends early gives only rows that it was filled with, and about as many as it has pages left."""
    content, _, made = content_of(3000, 100)
    found = list(rows(content[: int(len(content) * share)]))
    assert set(found) <= made
    assert len(found) > 0.5 * share * len(made)


def test_a_ruined_head_costs_its_own_page_alone() -> None:
    """Without the first page, which says where the tables begin, all rows of the others are there."""
    content, _, made = content_of(500, 500)
    assert set(rows(b"\0" * 4096 + content[4096:])) == made


@pytest.mark.parametrize("content", [b"", b"x", b"this is no database" * 1000, b"\0" * 20_000, b"\xff" * 20_000])
def test_what_is_no_database_has_no_rows(content: bytes) -> None:
    """Anything else has none."""
    assert list(rows(content)) == []


@given(st.lists(st.tuples(st.integers(0, len(SOUND[0]) - 1), st.integers(0, 255)), max_size=60), st.integers(0))
def test_no_damage_is_too_much(changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever bytes are changed and wherever the file ends, reading it ends without an error."""
    content = bytearray(SOUND[0])
    for at, byte in changes:
        content[at] = byte
    list(rows(bytes(content[: cut % (len(content) + 1)])))


@given(st.integers(0), st.integers(0, 9000))
def test_garbage_is_read_to_its_end(seed: int, size: int) -> None:
    """Pages and logs of noise are read without an error, those that look like an index too."""
    draw = random.Random(seed)
    noise = b"\x0a" + draw.randbytes(4095) + b"\x02" + draw.randbytes(4095)
    list(rows(noise, b"\x37\x7f\x06\x82" + draw.randbytes(size)))


def test_overflow_in_a_circle_is_left_out() -> None:
    """A row whose overflow pages lead back to themselves, or to a page that is not there, is left out."""
    content, _, made = content_of(1, 9000, page=4096)
    (row,) = rows(content)
    assert set(rows(content)) == made
    assert isinstance(row[1], bytes)
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    for target in (3, 999):
        turned = [page if number < 2 else target.to_bytes(4, "big") + page[4:] for number, page in enumerate(pages)]
        assert list(rows(b"".join(turned))) == []


def test_values_of_every_kind() -> None:
    """Whole numbers of every length, the constants 0 and 1, floats and nothing are told apart."""
    numbers = [0, 1, -1, 2, 300, 70_000, 9_000_000, 2**33, 2**50, -(2**63), None, 1.5]
    with tempfile.TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "c")) as connection:
        connection.execute("CREATE TABLE c (key TEXT PRIMARY KEY, n) WITHOUT ROWID")
        connection.executemany("INSERT INTO c VALUES (?, ?)", [(f"{at:02}", n) for at, n in enumerate(numbers)])
        connection.commit()
        found = list(rows((Path(folder) / "c").read_bytes()))
    assert [row[1] for row in found] == [*numbers[:-1], None]
