"""Completions by call key, in one SQLite file: an identical call is paid once. And the forms that servers take.

`at` is when a completion was put there, in Unix seconds; entries of older files have none.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from harness.cachepages import MAGIC
from harness.jsonfiles import packed_line, packed_value
from harness.records import Completion

_TABLES = (
    "CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY, completion TEXT NOT NULL, at INTEGER)",
    "CREATE TABLE IF NOT EXISTS forms (key TEXT PRIMARY KEY, form TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS unfinished (run TEXT PRIMARY KEY) WITHOUT ROWID",
)

SETTLED, MADE, EMPTIED = range(3)
"""What is owed to a file, in its ``user_version``: nothing; it was made where there was none; it was there and empty, or is
what was left of a damaged one, so that what the runs were answered belongs into it."""

BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside the file while it is open: the newest writes, and an index of them."""

_CORRUPT, _NOTADB = 11, 26
"""https://www.sqlite.org/rescode.html"""

_MEND = "To mend it, type: harness cache verify --repair"

TOGETHER = 64
"""Completions that are written at once at most: a write for each would cost more than all else that is done with it."""

WITHIN_S = 0.25
"""Seconds that a completion waits for others at most, while more come; and for which what is read is of one moment: to begin
to read takes longer than to find a completion."""


def _text(completion: Completion) -> str:
    """Return a completion as JSON; what is infinite, as log-probabilities can be, only `json` can write."""
    if completion.logprobs is None:
        return packed_line(completion.to_json()).decode("utf-8")
    return json.dumps(completion.to_json())  # ASCII: UTF-8 could not hold a lone surrogate


def besides(path: Path) -> list[Path]:
    """Return where SQLite keeps the newest writes of a file while it is open."""
    return [path.with_name(path.name + suffix) for suffix in BESIDE]


def has_head(path: Path) -> bool:
    """Return whether a file begins as a database does; one that does not is not given to SQLite.

    SQLite would delete the log of newest writes beside it, from which entries can be salvaged. It would also do that where
    the file is empty.
    """
    if not path.is_file():
        return True  # it is made, or SQLite says what is wrong
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC))
    except OSError:
        return True  # SQLite says what is wrong
    return head == MAGIC or (not head and not _has_log(path))


def is_damage(error: Exception) -> bool:
    """Return whether SQLite says that the file is damaged, and not that it may not be used."""
    return isinstance(error, sqlite3.Error) and has_code(error, _CORRUPT, _NOTADB)


def _has_log(path: Path) -> bool:
    try:
        return besides(path)[0].stat().st_size > 0
    except OSError:
        return False


def has_code(error: sqlite3.Error, *codes: int) -> bool:
    """Return whether SQLite gives one of these codes for an error."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in codes


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection to the file, which is made where there is none.

    Raises:
        sqlite3.Error, OSError: It cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not has_head(path):
        none = sqlite3.DatabaseError("file is not a database")  # as SQLite says it
        none.sqlite_errorcode = _NOTADB
        raise none
    owed = EMPTIED if path.exists() else MADE
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        # WAL lets several runs share the file; without a sync per write a power cut can lose the last
        # entries, which the run's own completions.jsonl still has.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")
        if not _columns(connection):
            _make_tables(connection, owed)
        for table in _TABLES:  # an older version may have made the file
            connection.execute(table)
        if "at" not in _columns(connection):
            connection.execute("ALTER TABLE completions ADD COLUMN at INTEGER")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _columns(connection: sqlite3.Connection) -> list[str]:
    return [str(column) for _, column, *_ in connection.execute("PRAGMA table_info(completions)")]


def _make_tables(connection: sqlite3.Connection, owed: int) -> None:
    """Make the tables, and note what is owed with them: of processes that come together the first one knows."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _columns(connection):
            connection.execute(f"PRAGMA user_version={owed}")
        for table in _TABLES:
            connection.execute(table)
        connection.execute("COMMIT")
    except sqlite3.Error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


class Cache:
    """The cache file, open. Failed calls are never in it; whatever it cannot read is a miss, said once.

    Args:
        path: The SQLite file; it and its folder are made when missing. None keeps nothing and finds nothing.
        warn: Told in words when the file is damaged or cannot be written.
        mend: Puts a damaged file in order, and returns whether it could; tried once, when damage is met. Without it the file
            stays as it is.
    """

    def __init__(self, path: Path | None, warn: Callable[[str], None], mend: Callable[[], bool] | None = None) -> None:
        self.path = path
        self._warn_once: Callable[[str], None] | None = warn
        self._mend = mend
        self._connection: sqlite3.Connection | None = None
        self._waiting: dict[str, tuple[Completion, int]] = {}
        self._waiting_since = 0.0
        self._reading_since = 0.0
        self._lost = False
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        try:
            self._connection = _connected(path)
        except (sqlite3.Error, OSError) as error:
            if self._mended(error):
                return
            step = _MEND if is_damage(error) else "Check that it is a file, and the permissions of its folder."
            self._warn(f"{path}: the cache cannot be used ({error}); every call is made. {step}")

    def _mended(self, error: Exception) -> bool:
        """Return whether an error was of damage, and the file is in order now, and open again."""
        mend, self._mend = self._mend, None
        if mend is None or self.path is None or not is_damage(error):
            return False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        done = mend()
        with suppress(sqlite3.Error, OSError):
            self._connection = _connected(self.path)
        return done and self._connection is not None

    def _warn(self, message: str) -> None:
        if self._warn_once is not None:
            self._warn_once(message)
            self._warn_once = None

    @property
    def is_open(self) -> bool:
        """Whether what is put here is kept: no cache was unwanted, and its file can be used."""
        return self._connection is not None

    @property
    def owed(self) -> int:
        """What is owed to the file: `SETTLED`, `MADE` or `EMPTIED`."""
        if self._connection is None:
            return SETTLED
        try:
            return int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error:  # told where it matters
            return SETTLED

    def owe(self, owed: int) -> None:
        """Note what is owed to the file."""
        self.flush()
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute(f"PRAGMA user_version={owed}")

    def get(self, key: str) -> Completion | None:
        """Return the completion of a call, marked as cached, or None."""
        if self._connection is not None and (
            key in self._waiting or time.monotonic() - self._reading_since >= WITHIN_S
        ):
            self.flush()
        connection = self._connection
        if connection is None:
            return None
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN")
                self._reading_since = time.monotonic()
            row = connection.execute("SELECT completion FROM completions WHERE key = ?", (key,)).fetchone()
            return None if row is None else Completion.from_json({**packed_value(row[0]), "cached": True})
        except (sqlite3.Error, ValueError, KeyError, TypeError, RecursionError) as error:
            if self._mended(error):
                return self.get(key)
            step = f" {_MEND}" if is_damage(error) else ""
            self._warn(f"{self.path}: a damaged entry is not used ({error}); its call is made again.{step}")
            return None

    def put(self, key: str, completion: Completion) -> None:
        """Keep the completion of a call; failed calls are not kept, so that they are tried again.

        It is written together with others. What a killed process did not write is in its run: see `unfinished`.
        """
        if self._connection is None or completion.status == "error":
            return
        now = time.monotonic()
        if not self._waiting:
            self._waiting_since = now
        self._waiting[key] = completion, int(time.time())
        if len(self._waiting) >= TOGETHER or now - self._waiting_since >= WITHIN_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits to be written, and find from now on what others have written."""
        waiting, self._waiting = self._waiting, {}
        rows = [(key, _text(completion), at) for key, (completion, at) in waiting.items()]
        self._end_reading()
        if self._connection is None or not rows:
            return
        try:
            self._write(self._connection, rows)
        except sqlite3.Error as error:
            if self._mended(error):
                self._waiting = waiting | self._waiting
                self.flush()
                return
            self._lost = True
            self._warn(f"{self.path}: cannot keep completions ({error}). The run itself is saved as ever.")

    @staticmethod
    def _write(connection: sqlite3.Connection, rows: list[tuple[str, str, int]]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT OR REPLACE INTO completions (key, completion, at) VALUES (?, ?, ?)", rows
                )
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _end_reading(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def unfinished(self) -> list[Path]:
        """Return the folders of runs that began and did not end: what they were answered may not be here."""
        if self._connection is None:
            return []
        try:
            return [Path(run) for (run,) in self._connection.execute("SELECT run FROM unfinished ORDER BY run")]
        except sqlite3.Error:  # a miss costs a call, and whatever else is wrong is told where it matters
            return []

    def begin(self, run: Path) -> None:
        """Note that a run begins to be answered."""
        self._note("INSERT OR REPLACE INTO unfinished VALUES (?)", run)

    def end(self, run: Path) -> None:
        """Note that all that a run was answered is here; where that is not so, the next run puts it here."""
        self.flush()
        if not self._lost:
            self._note("DELETE FROM unfinished WHERE run = ?", run)

    def _note(self, statement: str, run: Path) -> None:
        self._end_reading()
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute(statement, (str(run),))

    def form(self, key: str) -> str | None:
        """Return the form of answers that a server was found to take, or None."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT form FROM forms WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])
        except sqlite3.Error as error:
            if self._mended(error):
                return self.form(key)
            self._warn(f"{self.path}: a damaged entry is not used ({error}); the server is asked again.")
            return None

    def remember(self, key: str, form: str) -> None:
        """Keep the form of answers that a server takes."""
        self._end_reading()
        if self._connection is None:
            return
        try:
            self._connection.execute("INSERT OR REPLACE INTO forms VALUES (?, ?)", (key, form))
        except sqlite3.Error as error:
            self._warn(f"{self.path}: cannot keep what a server takes ({error}). It is asked again in the next run.")

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.flush()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
