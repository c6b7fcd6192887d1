"""Completions by call key, in one SQLite file: an identical call is paid once. And the forms that servers take.

`at` is when a completion was put there, in Unix seconds; entries of older files have none.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from harness.jsonfiles import packed_value
from harness.records import Completion

_TABLES = (
    "CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY, completion TEXT NOT NULL, at INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS forms (key TEXT PRIMARY KEY, form TEXT NOT NULL) WITHOUT ROWID",
)


class Cache:
    """The cache file, open. Failed calls are never in it; whatever it cannot read is a miss, said once.

    Args:
        path: The SQLite file; it and its folder are made when missing. None keeps nothing and finds nothing.
        warn: Told in words when the file is damaged or cannot be written.
    """

    def __init__(self, path: Path | None, warn: Callable[[str], None]) -> None:
        self.path = path
        self._warn_once: Callable[[str], None] | None = warn
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            self._open(path)

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            try:
                # WAL lets several runs share the file; without a sync per write a power cut can lose the last
                # entries, which the run's own completions.jsonl still has.
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")
                for table in _TABLES:
                    connection.execute(table)
                if all(column != "at" for _, column, *_ in connection.execute("PRAGMA table_info(completions)")):
                    connection.execute("ALTER TABLE completions ADD COLUMN at INTEGER")
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        except (sqlite3.Error, OSError) as error:
            self._warn(
                f"{path}: the cache cannot be used ({error}); every call is made. Delete the file to start a new one."
            )

    def _warn(self, message: str) -> None:
        if self._warn_once is not None:
            self._warn_once(message)
            self._warn_once = None

    def get(self, key: str) -> Completion | None:
        """Return the completion of a call, marked as cached, or None."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT completion FROM completions WHERE key = ?", (key,)).fetchone()
            return None if row is None else Completion.from_json({**packed_value(row[0]), "cached": True})
        except (sqlite3.Error, ValueError, KeyError, TypeError, RecursionError) as error:
            self._warn(f"{self.path}: a damaged entry is not used ({error}); its call is made again.")
            return None

    def put(self, key: str, completion: Completion) -> None:
        """Keep the completion of a call; failed calls are not kept, so that they are tried again."""
        if self._connection is None or completion.status == "error":
            return
        text = json.dumps(completion.to_json())  # ASCII: UTF-8 could not hold a lone surrogate
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO completions (key, completion, at) VALUES (?, ?, ?)", (key, text, int(time.time()))
            )
        except sqlite3.Error as error:
            self._warn(f"{self.path}: cannot keep completions ({error}). The run itself is saved as ever.")

    def form(self, key: str) -> str | None:
        """Return the form of answers that a server was found to take, or None."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT form FROM forms WHERE key = ?", (key,)).fetchone()
            return None if row is None else str(row[0])
        except sqlite3.Error as error:
            self._warn(f"{self.path}: a damaged entry is not used ({error}); the server is asked again.")
            return None

    def remember(self, key: str, form: str) -> None:
        """Keep the form of answers that a server takes."""
        if self._connection is None:
            return
        try:
            self._connection.execute("INSERT OR REPLACE INTO forms VALUES (?, ?)", (key, form))
        except sqlite3.Error as error:
            self._warn(f"{self.path}: cannot keep what a server takes ({error}). It is asked again in the next run.")

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
